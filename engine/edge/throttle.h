/*
 * throttle: how often and how soon one endpoint may be asked, and asked again.
 *
 * Retries are paid from a bucket: THROTTLE_TOKENS at first, a retry costs 5 of them and one after a
 * lost or late answer 10; the answer that a retry brings gives them back, one at the first attempt
 * gives 1. An endpoint that is down is so asked about once a request, not three times.
 *
 * Backoff: chance × min(50 ms × 2^retry, 20 s).
 *
 * Rate: unlimited, until more than THROTTLE_SHARE of an endpoint's late answers say that it is
 * asked too often. From then on each attempt gets its slot in time, at a rate that is cut to 0.7 of
 * what was measured, and grows back by CUBIC's curve, never above twice of what is really sent.
 * Fewer such answers only hold up the requests that they are for: one in a hundred, cut by each as
 * the SDKs do, left 20 of the orders a second that else are 300.
 *
 * Threads: one owner; times are the caller's. Memory: the caller's; no pointers.
 * Source:  "Retry behavior", AWS SDKs and Tools Reference Guide: standard and adaptive mode; CUBIC:
 *          RFC 9438.
 */
#ifndef ENGINE_EDGE_THROTTLE_H
#define ENGINE_EDGE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_TOKENS         500u
#define THROTTLE_COST           5u
#define THROTTLE_COST_LOST      10u
#define THROTTLE_BACKOFF_MS     50
#define THROTTLE_BACKOFF_CAP_MS 20000
#define THROTTLE_SHARE          0.1 /* of the last 32 or so */

struct throttle {
    uint32_t tokens;
    double share;      /* of late answers that say it is asked too often */
    bool slowed;       /* there were too many of them once: the rest counts */
    double rate, room; /* attempts a second; attempts that may go at once, negative: slots given */
    double room_max;
    int64_t filled_ms;
    double measured_rate; /* attempts a second, smoothed over half seconds */
    uint64_t half_second;
    uint32_t half_second_count;
    double rate_at_throttle;
    int64_t throttled_ms;
};

void throttle_init(struct throttle *throttle);

/* Takes the price of a retry; false: there is none left, the failure has to be said. */
bool throttle_pay(struct throttle *throttle, uint32_t cost);
/* An answer that is none of the endpoint's failures: `paid` is what its last retry cost, or 0. */
void throttle_refund(struct throttle *throttle, uint32_t paid);

/* How long to wait before retry number `retry_no`, from 0. `chance` is from 0 to below 1. */
int64_t throttle_backoff_ms(uint32_t retry_no, double chance);

/* Counts an attempt and gives it its slot: in how many ms it may go, mostly 0. */
int64_t throttle_slot_ms(struct throttle *throttle, int64_t now_ms);
/* What came of an attempt. */
void throttle_on_answer(struct throttle *throttle, bool throttled, int64_t now_ms);

#endif
