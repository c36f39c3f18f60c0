/* What a worker is handed, and what becomes of its answers. */
#include "tests/client/rig.h"

static const char *const handlers[] = {"charge", "refund"};

static struct rig open_worker(void)
{
    struct rig rig = rig_open(&(struct fake_options){0});
    assert_int_equal(flyover_register(rig.client, "payment", handlers, 2, 8), FLYOVER_OK);
    return rig;
}

static struct flyover_invocation take(struct rig *rig)
{
    struct flyover_invocation invocation;
    assert_true(flyover_next_invocation(rig->client, &invocation, -1));
    return invocation;
}

static void check_invocation(const struct flyover_invocation *invocation, uint32_t step)
{
    bool is_compensation = step == FAKE_INVOCATIONS;
    assert_int_equal(invocation->step_no, step);
    assert_int_equal(invocation->handler, step % 2);
    assert_int_equal(invocation->saga_id, 9);
    assert_int_equal(invocation->attempt_no, 1);
    assert_int_equal(invocation->compensation, is_compensation);
    assert_int_equal(invocation->deadline_ms, 1700000000000);
    assert_memory_equal(invocation->input, "\xa9the input", invocation->input_bytes);
    assert_int_equal(invocation->output_bytes, is_compensation ? 11 : 0);
    if (is_compensation)
        assert_memory_equal(invocation->output, "\xaathe output", 11);
    if (step == 1)
        assert_string_equal(invocation->token, "the token");
    else
        assert_null(invocation->token);
    if (step == 2)
        assert_string_equal(invocation->trace, "the trace");
    else
        assert_null(invocation->trace);
}

static void what_is_handed_out_comes_whole_and_is_answered(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    for (uint32_t step = 1; step <= FAKE_INVOCATIONS; step++) {
        struct flyover_invocation invocation = take(&rig);
        check_invocation(&invocation, step);
        assert_int_equal(flyover_answer_beat(rig.client, invocation.id), FLYOVER_OK);
        enum flyover_status status =
            step % 2 == 0 ? flyover_answer_done(rig.client, invocation.id, "\x07", 1)
                          : flyover_answer_failed(rig.client, invocation.id, true, "Busy", "later");
        assert_int_equal(status, FLYOVER_OK);
    }
    assert_int_equal(flyover_drain(rig.client, -1), FLYOVER_OK);
    struct fake_counts counts = fake_counts(rig.fake);
    assert_int_equal(counts.done, 3);
    assert_int_equal(counts.failed, 3);
    assert_int_equal(counts.beats, 6);
    assert_int_equal(counts.drained, 1);
    assert_int_equal(flyover_late_count(rig.client), 1); /* the engine said so of one */
    rig_close(&rig);
}

static void a_second_answer_is_not_sent(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    struct flyover_invocation invocation = take(&rig);
    assert_int_equal(flyover_answer_done(rig.client, invocation.id, NULL, 0), FLYOVER_OK);
    assert_int_equal(flyover_answer_done(rig.client, invocation.id, NULL, 0), FLYOVER_NOT_FOUND);
    assert_int_equal(flyover_answer_beat(rig.client, invocation.id), FLYOVER_NOT_FOUND);
    assert_int_equal(flyover_answer_done(rig.client, 12345678901, NULL, 0), FLYOVER_NOT_FOUND);
    assert_int_equal(flyover_late_count(rig.client), 3);
    rig_close(&rig);
}

static void an_output_that_is_no_value_leaves_the_invocation_open(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    struct flyover_invocation invocation = take(&rig);
    assert_int_equal(flyover_answer_done(rig.client, invocation.id, "\x92", 1), FLYOVER_INVALID);
    assert_int_equal(flyover_answer_failed(rig.client, invocation.id, false, "", "no name"),
                     FLYOVER_INVALID);
    assert_int_equal(flyover_answer_done(rig.client, invocation.id, "\x90", 1), FLYOVER_OK);
    rig_close(&rig);
}

static void a_cause_is_cut_between_characters(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    struct flyover_invocation invocation = take(&rig);
    char cause[400]; /* of two bytes each, behind one of one: the limit falls into a character */
    cause[0] = 'a';
    for (size_t i = 1; i + 2 < sizeof cause; i += 2)
        memcpy(cause + i, "\xc3\xa4", 3);
    assert_int_equal(flyover_answer_failed(rig.client, invocation.id, false, "Long", cause),
                     FLYOVER_OK);
    while (fake_counts(rig.fake).failed == 0)
        assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    rig_close(&rig);
}

static void who_may_not_serve_is_told(void **state)
{
    (void)state;
    struct rig rig = rig_open(&(struct fake_options){0});
    assert_int_equal(flyover_register(rig.client, "forbidden", handlers, 2, 8),
                     FLYOVER_NO_PERMISSION);
    assert_string_equal(flyover_problem(rig.client), "said so");
    assert_int_equal(flyover_register(rig.client, "payment", handlers, 0, 8), FLYOVER_INVALID);
    assert_int_equal(flyover_register(rig.client, "payment", handlers, 2, 0), FLYOVER_INVALID);
    assert_int_equal(flyover_register(rig.client, "", handlers, 2, 8), FLYOVER_INVALID);
    rig_close(&rig);
}

static void answers_and_invocations_wait_for_each_other(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    for (uint8_t i = 1; i <= 3; i++)
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    for (uint8_t i = 1; i <= 3; i++)
        rig_expect(&rig, FLYOVER_STARTED, i); /* they come behind the invocations */
    for (uint8_t i = 4; i <= 6; i++)
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    for (uint32_t step = 1; step <= FAKE_INVOCATIONS; step++) {
        struct flyover_invocation invocation = take(&rig);
        check_invocation(&invocation, step);
        /* What is lent may be handed to the next call. */
        assert_int_equal(flyover_answer_done(rig.client, invocation.id, invocation.input,
                                             invocation.input_bytes),
                         FLYOVER_OK);
    }
    struct flyover_invocation none;
    while (fake_counts(rig.fake).asked[6] == 0)
        assert_false(flyover_next_invocation(rig.client, &none, 0));
    for (uint8_t i = 4; i <= 6; i++)
        rig_expect(&rig, FLYOVER_STARTED, i);
    rig_close(&rig);
}

static void after_a_cut_it_is_registered_again_and_what_it_had_is_over(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    struct flyover_invocation before = take(&rig);
    fake_cut(rig.fake);
    struct flyover_answer_message answer;
    assert_true(flyover_next(rig.client, &answer, -1));
    assert_int_equal(answer.kind, FLYOVER_RECONNECTED);
    assert_int_equal(flyover_answer_done(rig.client, before.id, NULL, 0), FLYOVER_NOT_FOUND);
    for (uint32_t step = 1; step <= FAKE_INVOCATIONS; step++) {
        struct flyover_invocation invocation = take(&rig);
        check_invocation(&invocation, step); /* those of the new connection, and no other */
        assert_int_equal(flyover_answer_done(rig.client, invocation.id, NULL, 0), FLYOVER_OK);
    }
    assert_int_equal(flyover_drain(rig.client, -1), FLYOVER_OK);
    struct fake_counts counts = fake_counts(rig.fake);
    assert_int_equal(counts.registered, 2);
    assert_int_equal(counts.done, FAKE_INVOCATIONS);
    rig_close(&rig);
}

static void draining_ends_when_the_last_one_was_answered(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    assert_int_equal(flyover_drain(rig.client, 0), FLYOVER_TIMEOUT);
    for (uint32_t step = 1; step <= FAKE_INVOCATIONS; step++) {
        struct flyover_invocation invocation = take(&rig);
        assert_int_equal(flyover_drain(rig.client, 0), FLYOVER_TIMEOUT);
        assert_int_equal(flyover_answer_done(rig.client, invocation.id, NULL, 0), FLYOVER_OK);
    }
    assert_int_equal(flyover_drain(rig.client, -1), FLYOVER_OK);
    assert_int_equal(fake_counts(rig.fake).drained, 1); /* it was asked for once */
    rig_close(&rig);
}

static void a_cut_ends_draining_too(void **state)
{
    (void)state;
    struct rig rig = open_worker();
    assert_int_equal(flyover_drain(rig.client, 0), FLYOVER_TIMEOUT);
    fake_cut(rig.fake);
    assert_int_equal(flyover_drain(rig.client, -1), FLYOVER_OK);
    struct flyover_answer_message answer;
    assert_true(flyover_next(rig.client, &answer, -1));
    assert_int_equal(answer.kind, FLYOVER_RECONNECTED);
    /* What is answered behind it shows that no REGISTER came before. */
    assert_int_equal(rig_send(&rig, "order", 1, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 1);
    assert_int_equal(fake_counts(rig.fake).registered, 1); /* who drains takes no more */
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_out_comes_whole_and_is_answered),
        cmocka_unit_test(a_second_answer_is_not_sent),
        cmocka_unit_test(an_output_that_is_no_value_leaves_the_invocation_open),
        cmocka_unit_test(a_cause_is_cut_between_characters),
        cmocka_unit_test(who_may_not_serve_is_told),
        cmocka_unit_test(answers_and_invocations_wait_for_each_other),
        cmocka_unit_test(after_a_cut_it_is_registered_again_and_what_it_had_is_over),
        cmocka_unit_test(draining_ends_when_the_last_one_was_answered),
        cmocka_unit_test(a_cut_ends_draining_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
