#include "engine/edge/throttle.h"

#include <math.h>

#define TOKENS_OF_SUCCESS 1u
#define RATE_MIN          0.5
#define ROOM_MIN          1.0
#define SMOOTH            0.8
#define CUT               0.7
#define CURVE             0.4
#define CUT_APART_MS      500
#define SHARE_WEIGHT      (1.0 / 32)

void throttle_init(struct throttle *throttle)
{
    *throttle = (struct throttle){.tokens = THROTTLE_TOKENS};
}

bool throttle_pay(struct throttle *throttle, uint32_t cost)
{
    if (throttle->tokens < cost)
        return false;
    throttle->tokens -= cost;
    return true;
}

void throttle_refund(struct throttle *throttle, uint32_t paid)
{
    uint32_t tokens = throttle->tokens + (paid > 0 ? paid : TOKENS_OF_SUCCESS);
    throttle->tokens = tokens < THROTTLE_TOKENS ? tokens : THROTTLE_TOKENS;
}

int64_t throttle_backoff_ms(uint32_t retry_no, double chance)
{
    int64_t most = THROTTLE_BACKOFF_CAP_MS;
    if (retry_no < 9)
        most = (int64_t)THROTTLE_BACKOFF_MS << retry_no;
    if (most > THROTTLE_BACKOFF_CAP_MS)
        most = THROTTLE_BACKOFF_CAP_MS;
    return (int64_t)(chance * (double)(most + 1));
}

/* Half a second that is over enters the measured rate. */
static void measure(struct throttle *throttle, int64_t now_ms)
{
    uint64_t half_second = (uint64_t)now_ms / 500;
    throttle->half_second_count++;
    if (throttle->half_second == 0)
        throttle->half_second = half_second;
    if (half_second <= throttle->half_second)
        return;
    double passed_s = (double)(half_second - throttle->half_second) / 2;
    double rate = (double)throttle->half_second_count / passed_s;
    throttle->measured_rate = rate * SMOOTH + throttle->measured_rate * (1 - SMOOTH);
    throttle->half_second_count = 0;
    throttle->half_second = half_second;
}

static void fill(struct throttle *throttle, int64_t now_ms)
{
    double passed_s = (double)(now_ms - throttle->filled_ms) / 1000;
    throttle->room = fmin(throttle->room_max, throttle->room + passed_s * throttle->rate);
    throttle->filled_ms = now_ms;
}

int64_t throttle_slot_ms(struct throttle *throttle, int64_t now_ms)
{
    measure(throttle, now_ms);
    if (!throttle->slowed)
        return 0;
    fill(throttle, now_ms);
    throttle->room -= 1;
    return throttle->room >= 0 ? 0 : (int64_t)ceil(-throttle->room / throttle->rate * 1000);
}

static double grown_rate(const struct throttle *throttle, int64_t now_ms)
{
    double window_s = cbrt(throttle->rate_at_throttle * (1 - CUT) / CURVE);
    double passed_s = (double)(now_ms - throttle->throttled_ms) / 1000;
    return CURVE * pow(passed_s - window_s, 3) + throttle->rate_at_throttle;
}

static void set_rate(struct throttle *throttle, double rate, int64_t now_ms)
{
    fill(throttle, now_ms);
    throttle->rate = fmax(rate, RATE_MIN);
    throttle->room_max = fmax(rate, ROOM_MIN);
    throttle->room = fmin(throttle->room, throttle->room_max);
}

/* Of an endpoint that is new the half second under way is all that is known. */
static double rate_sent(const struct throttle *throttle)
{
    return fmax(throttle->measured_rate, 2.0 * throttle->half_second_count);
}

/* What was sent before the last cut says nothing about the rate since: many that were under way at
 * once and come back throttled are one reason to slow down, not many. */
static void slow_down(struct throttle *throttle, int64_t now_ms)
{
    if (throttle->slowed && now_ms - throttle->throttled_ms < CUT_APART_MS)
        return;
    double rate = rate_sent(throttle);
    if (throttle->slowed)
        rate = fmin(rate, throttle->rate);
    else
        throttle->filled_ms = now_ms;
    throttle->rate_at_throttle = fmax(rate, RATE_MIN);
    throttle->throttled_ms = now_ms;
    throttle->slowed = true;
    set_rate(throttle, throttle->rate_at_throttle * CUT, now_ms);
}

void throttle_on_answer(struct throttle *throttle, bool throttled, int64_t now_ms)
{
    throttle->share += SHARE_WEIGHT * ((throttled ? 1 : 0) - throttle->share);
    if (throttled && throttle->share > THROTTLE_SHARE)
        slow_down(throttle, now_ms);
    else if (!throttled && throttle->slowed)
        set_rate(throttle, fmin(grown_rate(throttle, now_ms), 2 * rate_sent(throttle)), now_ms);
}
