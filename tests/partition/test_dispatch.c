#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/partition/dispatch.h"
#include "tests/partition/dispatch_oracle.h"

#define BRANCHES_MAX 200000u
#define SECOND_NS    1000000000ull
#define FORWARD      FLYOVER_FORWARD
#define COMPENSATION FLYOVER_COMPENSATION

static struct dispatch dispatch;

static int set_up(void **state)
{
    (void)state;
    return dispatch_init(&dispatch, BRANCHES_MAX) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    dispatch_fini(&dispatch);
    return 0;
}

static void limit(uint32_t in_flight_max, uint32_t rate_per_s, uint32_t burst, uint64_t now_ns)
{
    struct dispatch_limits limits = {in_flight_max, rate_per_s, burst};
    dispatch_set_limits(&dispatch, 0, &limits, now_ns);
}

/* Generations are branch + 1, so that one is never taken for the other. */
static void push(uint32_t plan, enum flyover_phase phase, uint32_t branch)
{
    dispatch_push(&dispatch, 0, plan, phase, branch, branch + 1);
}

#define NONE DISPATCH_ORACLE_NONE

static uint32_t pop_at(uint64_t now_ns)
{
    uint32_t branch = 77, generation = 78;
    if (!dispatch_pop(&dispatch, 0, now_ns, &branch, &generation)) {
        assert_int_equal(branch, 77);
        assert_int_equal(generation, 78);
        return NONE;
    }
    assert_int_equal(generation, branch + 1);
    return branch;
}

static uint32_t send_at(uint64_t now_ns)
{
    uint32_t branch = pop_at(now_ns);
    if (branch != NONE)
        dispatch_went(&dispatch, 0, now_ns);
    return branch;
}

/* As many as may go past the queues at that moment. */
static uint64_t send_all_at(uint64_t now_ns)
{
    uint64_t sent = 0;
    for (; dispatch_may_go(&dispatch, 0, now_ns); sent++)
        dispatch_went(&dispatch, 0, now_ns);
    return sent;
}

/* ---- order -------------------------------------------------------------------------------------
 */

static void what_finds_nothing_waiting_and_no_limits_goes_past_the_queues(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(dispatch_may_go(&dispatch, 0, 0));
        dispatch_went(&dispatch, 0, 0);
    }
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 1000);
    assert_int_equal(dispatch_waiting_in_all(&dispatch), 0);
    assert_int_equal(send_at(0), NONE);
    dispatch_came_back(&dispatch, 0, 999);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 1);
}

static void nothing_goes_past_what_waits(void **state)
{
    (void)state;
    push(3, FORWARD, 5);
    assert_false(dispatch_may_go(&dispatch, 0, 0));
    assert_true(dispatch_may_go(&dispatch, 1, 0));
    assert_int_equal(send_at(0), 5);
    assert_true(dispatch_may_go(&dispatch, 0, 0));
}

static void a_definition_goes_first_in_first_out(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        push(1, FORWARD, i * 7919 % 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(send_at(0), i * 7919 % 1000);
    assert_int_equal(send_at(0), NONE);
}

static void definitions_take_turns_and_a_new_one_has_the_last(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        push(9, FORWARD, i);
    push(2, FORWARD, 10);
    push(2, FORWARD, 11);
    push(5, FORWARD, 20);
    assert_int_equal(send_at(0), 0);
    push(1, FORWARD, 30);
    assert_int_equal(send_at(0), 10);
    assert_int_equal(send_at(0), 20);
    /* It had left, and comes behind all that are there. */
    push(5, FORWARD, 21);
    assert_int_equal(send_at(0), 1);
    assert_int_equal(send_at(0), 30);
    assert_int_equal(send_at(0), 11);
    assert_int_equal(send_at(0), 21);
    assert_int_equal(send_at(0), 2);
    assert_int_equal(send_at(0), NONE);
}

static void a_trickle_waits_for_no_more_than_one_of_each_other_definition(void **state)
{
    (void)state;
    enum { FLOODS = 7, FLOOD = 20000, TRICKLE = FLOODS * FLOOD };
    for (uint32_t i = 0; i < FLOODS * FLOOD; i++)
        push(i / FLOOD, FORWARD, i);
    for (uint32_t round = 0; round < 1000; round++) {
        push(500, FORWARD, TRICKLE + round);
        uint32_t others = 0;
        while (send_at(0) != TRICKLE + round)
            others++;
        assert_in_range(others, 0, FLOODS);
        for (uint32_t i = 0; i < round % 5; i++)
            send_at(0);
    }
}

static void compensations_go_before_forward_steps(void **state)
{
    (void)state;
    push(1, FORWARD, 0);
    push(1, COMPENSATION, 1);
    push(2, COMPENSATION, 2);
    push(1, COMPENSATION, 3);
    assert_int_equal(send_at(0), 1);
    assert_int_equal(send_at(0), 2);
    assert_int_equal(send_at(0), 3);
    assert_int_equal(send_at(0), 0);
}

static void compensations_leave_every_sixteenth_turn_to_waiting_forward_steps(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        push(i % 3, COMPENSATION, i);
    /* While nothing else waits, they have all turns, and none is counted. */
    for (uint32_t i = 0; i < 20; i++)
        assert_in_range(send_at(0), 0, 999);
    for (uint32_t i = 0; i < 10; i++)
        push(i % 2, FORWARD, 1000 + i);
    for (uint32_t turn = 1; turn <= 160; turn++) {
        uint32_t branch = send_at(0);
        assert_int_equal(branch >= 1000, turn % 16 == 0);
    }
    assert_int_equal(dispatch_waiting(&dispatch, 0), 1000 - 20 - 150);
}

/* ---- what is void ------------------------------------------------------------------------------
 */

static void a_void_one_costs_neither_room_nor_rate_nor_turn(void **state)
{
    (void)state;
    limit(2, 1, 2, 0);
    for (uint32_t i = 0; i < 10; i++)
        push(1, FORWARD, i);
    push(2, FORWARD, 50);
    push(1, FORWARD, 10);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(pop_at(0), i);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 0);
    assert_int_equal(send_at(0), 9);
    assert_int_equal(send_at(0), 50);
    assert_int_equal(send_at(0), NONE);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 2);
}

static void void_compensations_do_not_count_in_the_row(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        push(1, COMPENSATION, i);
    push(1, FORWARD, 1000);
    push(1, FORWARD, 1001);
    for (uint32_t i = 0; i < 40; i++)
        assert_int_equal(pop_at(0), i);
    for (uint32_t i = 40; i < 55; i++)
        assert_int_equal(send_at(0), i);
    /* The forward step whose turn it is turns out to be void: the turn is the next one's. */
    assert_int_equal(pop_at(0), 1000);
    assert_int_equal(send_at(0), 1001);
    assert_int_equal(send_at(0), 55);
}

static void a_branch_that_comes_again_gives_up_its_old_place(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        push(1, FORWARD, i);
    dispatch_push(&dispatch, 0, 1, FORWARD, 0, 100);      /* first to last */
    dispatch_push(&dispatch, 0, 4, COMPENSATION, 2, 100); /* from the middle to another queue */
    dispatch_push(&dispatch, 3, 1, FORWARD, 4, 100);      /* to another service */
    assert_int_equal(dispatch_waiting(&dispatch, 0), 4);
    assert_int_equal(dispatch_waiting(&dispatch, 3), 1);
    assert_int_equal(dispatch_waiting_in_all(&dispatch), 5);
    static const uint32_t wanted[][2] = {{2, 100}, {1, 2}, {3, 4}, {0, 100}};
    uint32_t branch, generation;
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(dispatch_pop(&dispatch, 0, 0, &branch, &generation));
        dispatch_went(&dispatch, 0, 0);
        assert_int_equal(branch, wanted[i][0]);
        assert_int_equal(generation, wanted[i][1]);
    }
    assert_int_equal(send_at(0), NONE);
    /* The only one of its queue, and of its service. */
    dispatch_push(&dispatch, 0, 2, FORWARD, 4, 101);
    assert_int_equal(dispatch_waiting(&dispatch, 3), 0);
    assert_false(dispatch_pop(&dispatch, 3, 0, &branch, &generation));
    assert_true(dispatch_pop(&dispatch, 0, 0, &branch, &generation));
    assert_int_equal(generation, 101);
}

static void what_changes_before_the_popped_one_went_does_no_harm(void **state)
{
    (void)state;
    push(1, FORWARD, 10);
    push(2, FORWARD, 20);
    push(3, FORWARD, 30);
    push(3, FORWARD, 31);
    assert_int_equal(pop_at(0), 10);
    dispatch_push(&dispatch, 1, 1, FORWARD, 20, 100);
    dispatch_went(&dispatch, 0, 0);
    assert_int_equal(send_at(0), 30);
    assert_int_equal(send_at(0), 31);
    assert_int_equal(send_at(0), NONE);
}

static void what_comes_back_undone_goes_to_the_front_of_its_queue(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        push(1, FORWARD, i);
    push(2, FORWARD, 10);
    assert_int_equal(send_at(0), 0);
    dispatch_came_back(&dispatch, 0, 1);
    dispatch_push_first(&dispatch, 0, 1, FORWARD, 0, 1);
    /* The turn is the other plan's. */
    assert_int_equal(send_at(0), 10);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(send_at(0), i);
    assert_int_equal(send_at(0), NONE);
    dispatch_push_first(&dispatch, 0, 1, FORWARD, 5, 6);
    push(1, FORWARD, 6);
    dispatch_push_first(&dispatch, 0, 1, FORWARD, 4, 5);
    /* Taken out of the middle, as one that waits for something else by now. */
    dispatch_push(&dispatch, 1, 1, FORWARD, 5, 100);
    assert_int_equal(send_at(0), 4);
    assert_int_equal(send_at(0), 6);
    assert_int_equal(send_at(0), NONE);
}

static void all_branches_may_wait_and_every_queue_may_be_used(void **state)
{
    (void)state;
    enum { SPREAD = PARTITION_SERVICES_MAX * 2 * CORE_PLANS_MAX };
    assert_true(SPREAD <= BRANCHES_MAX);
    for (uint32_t i = 0; i < BRANCHES_MAX; i++) {
        uint32_t queue = i % SPREAD;
        uint32_t plan = queue / PARTITION_SERVICES_MAX / 2;
        uint32_t phase = queue / PARTITION_SERVICES_MAX % 2;
        dispatch_push(&dispatch, queue % PARTITION_SERVICES_MAX, plan, phase, i, i);
    }
    assert_int_equal(dispatch_waiting_in_all(&dispatch), BRANCHES_MAX);
    uint8_t *seen = calloc(BRANCHES_MAX, 1);
    assert_non_null(seen);
    uint32_t branch, generation, count = 0;
    for (uint32_t service = 0; service < PARTITION_SERVICES_MAX; service++)
        for (; dispatch_pop(&dispatch, service, 0, &branch, &generation); count++) {
            dispatch_went(&dispatch, service, 0);
            assert_int_equal(branch % SPREAD % PARTITION_SERVICES_MAX, service);
            assert_int_equal(generation, branch);
            assert_int_equal(seen[branch]++, 0);
        }
    assert_int_equal(count, BRANCHES_MAX);
    assert_int_equal(dispatch_waiting_in_all(&dispatch), 0);
    free(seen);
}

/* ---- limits ------------------------------------------------------------------------------------
 */

static bool send_from(uint32_t lane, uint64_t now_ns)
{
    uint32_t branch, generation;
    if (!dispatch_pop(&dispatch, lane, now_ns, &branch, &generation))
        return false;
    dispatch_went(&dispatch, lane, now_ns);
    return true;
}

static void lanes_share_the_limits_of_their_service(void **state)
{
    (void)state;
    const uint32_t a = 100, b = DISPATCH_SERVICES_MAX - 1;
    dispatch_share_limits(&dispatch, a, 0);
    limit(2, 10, 3, 0);
    dispatch_share_limits(&dispatch, b, 0);
    for (uint32_t i = 0; i < 10; i++) {
        dispatch_push(&dispatch, a, 1, FORWARD, i, 1);
        dispatch_push(&dispatch, b, 1, FORWARD, 10 + i, 1);
    }
    assert_true(send_from(a, 0) && send_from(b, 0));
    assert_false(send_from(a, 0) || send_from(b, 0));
    assert_true(dispatch_next_ns(&dispatch, a, 0) == DISPATCH_NEVER);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 2);
    dispatch_came_back(&dispatch, b, 1);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 1);
    /* The third of the burst; the next a tenth of a second later, from either lane. */
    assert_true(send_from(a, 0));
    dispatch_came_back(&dispatch, a, 2);
    assert_false(send_from(a, 99999999) || send_from(b, 99999999));
    assert_true(dispatch_next_ns(&dispatch, b, 99999999) == 100000000);
    assert_true(send_from(b, 100000000));
    assert_false(send_from(a, 100000000));
    assert_int_equal(dispatch_in_flight(&dispatch, a), 0);
    assert_int_equal(dispatch_in_flight(&dispatch, b), 1);
    /* Other services know nothing of it. */
    assert_true(dispatch_may_go(&dispatch, 1, 0));
}

static void no_more_are_in_flight_than_the_limit_allows(void **state)
{
    (void)state;
    limit(3, 0, 0, 0);
    assert_int_equal(send_all_at(0), 3);
    for (uint32_t i = 0; i < 10; i++)
        push(1, i % 2 == 0 ? FORWARD : COMPENSATION, i);
    assert_int_equal(send_at(0), NONE);
    assert_true(dispatch_next_ns(&dispatch, 0, 0) == DISPATCH_NEVER);
    dispatch_came_back(&dispatch, 0, 1);
    assert_true(dispatch_next_ns(&dispatch, 0, 5) == 5);
    assert_int_equal(send_at(0), 1);
    assert_int_equal(send_at(0), NONE);
    limit(5, 0, 0, 0);
    assert_int_equal(send_at(0), 3);
    assert_int_equal(send_at(0), 5);
    assert_int_equal(send_at(0), NONE);
    limit(2, 0, 0, 0);
    dispatch_came_back(&dispatch, 0, 3);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 2);
    assert_int_equal(send_at(0), NONE);
    dispatch_came_back(&dispatch, 0, 1);
    assert_int_equal(send_at(0), 7);
    limit(0, 0, 0, 0);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_not_equal(send_at(0), NONE);
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 8);
}

/* Whoever looks often enough gets the burst and then exactly the rate, to the nanosecond. */
static void expect_rate(uint32_t rate_per_s, uint32_t burst, uint64_t look_ns, uint64_t until_ns)
{
    const uint64_t begin_ns = 987654321;
    uint64_t burst_count = burst != 0 ? burst : rate_per_s < 10 ? 1 : rate_per_s / 10;
    limit(0, 0, 0, begin_ns);
    limit(0, rate_per_s, burst, begin_ns);
    uint64_t sent = 0;
    for (uint64_t at_ns = 0; at_ns <= until_ns; at_ns += look_ns) {
        sent += send_all_at(begin_ns + at_ns);
        uint64_t due = (uint64_t)((unsigned __int128)rate_per_s * at_ns / SECOND_NS);
        assert_true(sent == burst_count + due);
    }
}

static void the_rate_is_exact_from_one_a_second_to_ten_million(void **state)
{
    (void)state;
    /* A burst of 1 saves nothing up while the caller is late: these come in time, or have 2. */
    expect_rate(1, 0, SECOND_NS / 1000, 20 * SECOND_NS);
    expect_rate(1, 2, 999983, 20 * SECOND_NS);
    expect_rate(1, 5, SECOND_NS, 1000 * SECOND_NS);
    expect_rate(3, 2, 333333, 10 * SECOND_NS);
    expect_rate(7, 2, 1234567, 60 * SECOND_NS);
    expect_rate(16, 0, SECOND_NS / 64, 10 * SECOND_NS);
    expect_rate(20, 0, 1234567, 10 * SECOND_NS);
    expect_rate(1000, 0, 77777, 10 * SECOND_NS);
    expect_rate(999983, 0, 101, SECOND_NS / 100);
    expect_rate(10000000, 0, 1009, SECOND_NS / 10);
    expect_rate(UINT32_MAX, 16, 3, SECOND_NS / 1000000);
}

static void no_more_than_the_burst_is_saved_up(void **state)
{
    (void)state;
    const uint64_t year_ns = 365ull * 86400 * SECOND_NS;
    limit(0, 10000000, 0, 0);
    assert_int_equal(send_all_at(0), 1000000);
    assert_int_equal(send_all_at(SECOND_NS), 1000000);
    assert_int_equal(send_all_at(10 * year_ns), 1000000);
    assert_int_equal(send_all_at(UINT64_MAX - 1), 1000000);
    limit(0, UINT32_MAX, UINT32_MAX, UINT64_MAX - 1);
    assert_true(dispatch_may_go(&dispatch, 0, UINT64_MAX));
}

static void a_clock_that_goes_back_gives_nothing_and_takes_nothing(void **state)
{
    (void)state;
    limit(0, 10, 1, 5 * SECOND_NS);
    assert_int_equal(send_all_at(5 * SECOND_NS), 1);
    assert_int_equal(send_all_at(SECOND_NS), 0);
    push(1, FORWARD, 0);
    push(1, FORWARD, 1);
    assert_true(dispatch_next_ns(&dispatch, 0, SECOND_NS) == 5 * SECOND_NS + SECOND_NS / 10);
    assert_int_equal(send_at(5 * SECOND_NS + SECOND_NS / 10 - 1), NONE);
    assert_int_equal(send_at(5 * SECOND_NS + SECOND_NS / 10), 0);
    assert_int_equal(send_at(0), NONE);
}

static void the_next_one_goes_at_the_nanosecond_that_was_told(void **state)
{
    (void)state;
    static const uint32_t rates[] = {1, 3, 7, 9973, 1000003, 10000000, 999999999, 4000000000};
    uint64_t now_ns = 12345;
    for (uint32_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        limit(0, 0, 0, now_ns);
        limit(0, rates[i], 1, now_ns);
        assert_int_equal(send_all_at(now_ns), 1);
        assert_true(dispatch_next_ns(&dispatch, 0, now_ns) == DISPATCH_NEVER);
        for (uint32_t j = 0; j < 100; j++) {
            push(1, FORWARD, j);
            uint64_t next_ns = dispatch_next_ns(&dispatch, 0, now_ns);
            assert_in_range(next_ns - now_ns, 1, SECOND_NS);
            assert_int_equal(send_at(next_ns - 1), NONE);
            assert_int_equal(send_at(next_ns), j);
            now_ns = next_ns;
        }
    }
    push(1, FORWARD, 0);
    assert_true(dispatch_next_ns(&dispatch, 0, now_ns + SECOND_NS) == now_ns + SECOND_NS);
    limit(0, 0, 0, now_ns);
    assert_true(dispatch_next_ns(&dispatch, 0, now_ns) == now_ns);
}

static void a_new_rate_counts_from_its_moment_and_keeps_what_was_saved(void **state)
{
    (void)state;
    limit(0, 10, 10, 0);
    assert_int_equal(send_all_at(0), 10);
    /* Half an invocation was saved at the old rate; the other half comes at the new one. */
    limit(0, 1, 10, SECOND_NS / 20);
    assert_int_equal(send_all_at(SECOND_NS / 20 + SECOND_NS / 2 - 1), 0);
    assert_int_equal(send_all_at(SECOND_NS / 20 + SECOND_NS / 2), 1);
    /* Saying the same again is no new burst. */
    uint64_t now_ns = SECOND_NS;
    assert_int_equal(send_all_at(now_ns), 0);
    for (uint32_t i = 0; i < 100; i++)
        limit(0, 1, 10, now_ns);
    assert_int_equal(send_all_at(now_ns), 0);
    /* A smaller burst takes away what is above it; a larger one adds nothing. */
    limit(0, 1, 3, now_ns + 100 * SECOND_NS);
    limit(0, 1, 50, now_ns + 100 * SECOND_NS);
    assert_int_equal(send_all_at(now_ns + 100 * SECOND_NS), 3);
    /* A rate after a while without one begins full. */
    limit(0, 0, 0, now_ns + 101 * SECOND_NS);
    limit(0, 20, 0, now_ns + 102 * SECOND_NS);
    assert_int_equal(send_all_at(now_ns + 102 * SECOND_NS), 2);
}

static void rate_and_room_hold_together_also_for_compensations(void **state)
{
    (void)state;
    limit(2, 1000, 5, 0);
    for (uint32_t i = 0; i < 20; i++)
        push(1, COMPENSATION, i);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(send_at(0), i);
    assert_int_equal(send_at(0), NONE);
    uint32_t sent = 2;
    for (; sent < 5; sent++) {
        dispatch_came_back(&dispatch, 0, 1);
        assert_int_equal(send_at(0), sent);
    }
    dispatch_came_back(&dispatch, 0, 2);
    assert_int_equal(send_at(0), NONE);
    assert_int_equal(dispatch_next_ns(&dispatch, 0, 0), SECOND_NS / 1000);
    assert_int_equal(send_at(SECOND_NS / 1000), 5);
}

static void a_service_is_not_held_by_the_limits_of_another(void **state)
{
    (void)state;
    limit(1, 1, 1, 0);
    assert_int_equal(send_all_at(0), 1);
    push(1, FORWARD, 0);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(dispatch_may_go(&dispatch, 1, 0));
        dispatch_went(&dispatch, 1, 0);
    }
    assert_int_equal(dispatch_in_flight(&dispatch, 0), 1);
    assert_int_equal(dispatch_in_flight(&dispatch, 1), 100);
}

/* ---- hints -------------------------------------------------------------------------------------
 */

static void a_hint_is_what_waits_by_the_rate_that_is_set(void **state)
{
    (void)state;
    assert_int_equal(dispatch_hint_ms(&dispatch, 0), 1);
    limit(0, 100, 0, 0);
    for (uint32_t i = 0; i < 250; i++)
        push(1, FORWARD, i);
    assert_int_equal(dispatch_hint_ms(&dispatch, 0), 2500);
    limit(0, 1, 0, 0);
    assert_int_equal(dispatch_hint_ms(&dispatch, 0), 60000);
    limit(0, 10000000, 0, 0);
    assert_int_equal(dispatch_hint_ms(&dispatch, 0), 1);
}

static void a_hint_without_a_rate_is_by_what_comes_back(void **state)
{
    (void)state;
    limit(10, 0, 0, 0);
    send_all_at(0);
    for (uint32_t i = 0; i < 2000; i++)
        push(1, FORWARD, i);
    assert_int_equal(dispatch_hint_ms(&dispatch, 0), PACE_HINT_MS_UNKNOWN);
    /* One a millisecond. */
    uint64_t now_ns = 0;
    dispatch_turn(&dispatch, now_ns);
    for (uint32_t i = 0; i < 1000; i++) {
        now_ns += SECOND_NS / 1000;
        dispatch_came_back(&dispatch, 0, 1);
        assert_int_equal(send_at(now_ns), i);
        dispatch_turn(&dispatch, now_ns);
    }
    assert_in_range(dispatch_hint_ms(&dispatch, 0), 990, 1010);
    /* A rate that is set and not reached does not promise more. */
    limit(10, 1000000, 0, now_ns);
    assert_in_range(dispatch_hint_ms(&dispatch, 0), 990, 1010);
    for (uint32_t i = 0; i < 100; i++)
        dispatch_turn(&dispatch, now_ns += SECOND_NS);
    assert_int_equal(dispatch_hint_ms(&dispatch, 0), 60000);
}

/* ---- against a plain one -----------------------------------------------------------------------
 */

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static void random_push(struct dispatch_oracle *oracle, uint64_t *random)
{
    uint32_t branch = next_random(random) % DISPATCH_ORACLE_BRANCHES;
    struct dispatch_oracle_entry entry = {
        .service = next_random(random) % DISPATCH_ORACLE_SERVICES,
        .plan = next_random(random) % DISPATCH_ORACLE_PLANS,
        .phase = next_random(random) % 2,
        .generation = oracle->entries[branch].generation + 1,
    };
    dispatch_oracle_push(oracle, branch, entry);
    dispatch_push(&dispatch, entry.service, entry.plan, entry.phase, branch, entry.generation);
}

static void random_pop(struct dispatch_oracle *oracle, uint64_t *random)
{
    uint32_t service = next_random(random) % DISPATCH_ORACLE_SERVICES;
    uint32_t wanted = dispatch_oracle_next(oracle, service);
    uint32_t branch = NONE, generation = NONE;
    bool popped = dispatch_pop(&dispatch, service, 0, &branch, &generation);
    assert_int_equal(popped, wanted != NONE);
    if (!popped)
        return;
    assert_int_equal(branch, wanted);
    assert_int_equal(generation, oracle->entries[branch].generation);
    oracle->entries[branch].waits = false;
    if (next_random(random) % 4 == 0)
        return; /* void */
    dispatch_oracle_went(oracle, branch);
    dispatch_went(&dispatch, service, 0);
}

static void random_rest(struct dispatch_oracle *oracle, uint64_t *random)
{
    uint32_t service = next_random(random) % DISPATCH_ORACLE_SERVICES;
    if (next_random(random) % 16 == 0) {
        uint32_t max = next_random(random) % 30;
        oracle->in_flight_max[service] = max;
        dispatch_set_limits(&dispatch, service, &(struct dispatch_limits){.in_flight_max = max}, 0);
    }
    uint32_t back = next_random(random) % (oracle->in_flight[service] + 1);
    oracle->in_flight[service] -= back;
    dispatch_came_back(&dispatch, service, back);
}

static void random_operations_go_as_in_a_plain_one(void **state)
{
    (void)state;
    static struct dispatch_oracle oracle;
    uint64_t random = 20240607;
    for (uint32_t i = 0; i < 200000; i++) {
        /* Now mostly pushes, now mostly pops. */
        uint32_t pushes = i / 5000 % 2 == 0 ? 5 : 3;
        uint32_t dice = next_random(&random) % 10;
        if (dice < pushes)
            random_push(&oracle, &random);
        else if (dice < 9)
            random_pop(&oracle, &random);
        else
            random_rest(&oracle, &random);
        uint32_t service = i % DISPATCH_ORACLE_SERVICES;
        uint32_t waiting = dispatch_oracle_waiting(&oracle, service);
        assert_int_equal(dispatch_waiting(&dispatch, service), waiting);
        assert_int_equal(dispatch_in_flight(&dispatch, service), oracle.in_flight[service]);
        bool room = oracle.in_flight_max[service] == 0 ||
                    oracle.in_flight[service] < oracle.in_flight_max[service];
        assert_int_equal(dispatch_may_go(&dispatch, service, 0), waiting == 0 && room);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(what_finds_nothing_waiting_and_no_limits_goes_past_the_queues),
        test(nothing_goes_past_what_waits),
        test(a_definition_goes_first_in_first_out),
        test(definitions_take_turns_and_a_new_one_has_the_last),
        test(a_trickle_waits_for_no_more_than_one_of_each_other_definition),
        test(compensations_go_before_forward_steps),
        test(compensations_leave_every_sixteenth_turn_to_waiting_forward_steps),
        test(a_void_one_costs_neither_room_nor_rate_nor_turn),
        test(void_compensations_do_not_count_in_the_row),
        test(a_branch_that_comes_again_gives_up_its_old_place),
        test(what_changes_before_the_popped_one_went_does_no_harm),
        test(all_branches_may_wait_and_every_queue_may_be_used),
        test(what_comes_back_undone_goes_to_the_front_of_its_queue),
        test(lanes_share_the_limits_of_their_service),
        test(no_more_are_in_flight_than_the_limit_allows),
        test(the_rate_is_exact_from_one_a_second_to_ten_million),
        test(no_more_than_the_burst_is_saved_up),
        test(a_clock_that_goes_back_gives_nothing_and_takes_nothing),
        test(the_next_one_goes_at_the_nanosecond_that_was_told),
        test(a_new_rate_counts_from_its_moment_and_keeps_what_was_saved),
        test(rate_and_room_hold_together_also_for_compensations),
        test(a_service_is_not_held_by_the_limits_of_another),
        test(a_hint_is_what_waits_by_the_rate_that_is_set),
        test(a_hint_without_a_rate_is_by_what_comes_back),
        test(random_operations_go_as_in_a_plain_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
