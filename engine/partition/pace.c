#include "engine/partition/pace.h"

/* One step of d kept/dt = what is new - kept, with a time constant of a second, taken implicitly:
 * no exponential, stable for a piece of any length, and a steady pace is met exactly. Since both
 * sides of the quotient start from nothing, the first piece alone is already a fair answer. */
static void fold(struct pace *pace)
{
    double seconds = (double)pace->busy_ns * 1e-9;
    pace->happened_kept = (pace->happened_kept + (double)pace->happened) / (1 + seconds);
    pace->seconds_kept = (pace->seconds_kept + seconds) / (1 + seconds);
    pace->happened = 0;
    pace->busy_ns = 0;
}

void pace_turn(struct pace *pace, uint64_t total, bool is_busy, uint64_t now_ns)
{
    if (pace->was_busy) {
        pace->busy_ns += now_ns > pace->now_ns ? now_ns - pace->now_ns : 0;
        pace->happened += total - pace->total;
        if (pace->busy_ns >= PACE_FOLD_NS)
            fold(pace);
    }
    pace->now_ns = now_ns;
    pace->total = total;
    pace->was_busy = is_busy;
}

bool pace_is_known(const struct pace *pace)
{
    return pace->seconds_kept > 0;
}

double pace_per_s(const struct pace *pace)
{
    return pace_is_known(pace) ? pace->happened_kept / pace->seconds_kept : 0;
}

uint32_t pace_hint_ms(const struct pace *pace, uint64_t count)
{
    return pace_is_known(pace) ? pace_hint_ms_at(pace_per_s(pace), count) : PACE_HINT_MS_UNKNOWN;
}

uint32_t pace_hint_ms_at(double per_s, uint64_t count)
{
    if (per_s <= 0)
        return PACE_HINT_MS_MAX;
    double ms = (double)count * 1000 / per_s;
    if (ms >= PACE_HINT_MS_MAX)
        return PACE_HINT_MS_MAX;
    uint32_t whole = (uint32_t)ms;
    whole += (double)whole < ms;
    return whole < PACE_HINT_MS_MIN ? PACE_HINT_MS_MIN : whole;
}
