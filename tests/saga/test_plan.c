/* What a good definition becomes, who retries and who catches, and how long a retry waits.
 * Refusals: test_plan_refusals.c, test_plan_limits.c. Choices: test_plan_choice.c. Timeouts,
 * signals, tokens, pivots and what a compensation may say: test_plan_task.c. Waits:
 * test_plan_wait.c. What is printed: test_plan_print.c. */
#include <jansson.h>
#include <stdio.h>

#include "tests/saga/plan_text.h"

static void assert_bytes(struct flyover_bytes bytes, const void *wanted, size_t count)
{
    assert_int_equal(bytes.count, count);
    assert_memory_equal(bytes.at, wanted, count);
}

static void assert_resource(const struct plan *plan, uint16_t resource, const char *service,
                            const char *handler)
{
    assert_in_range(resource, 0, plan->resources_count - 1);
    assert_string_equal(plan->resources[resource].service, service);
    assert_string_equal(plan->resources[resource].handler, handler);
}

/* ---- what a definition becomes ------------------------------------------------------------- */

static void the_order_saga_becomes_a_table(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(ORDER_SAGA);
    assert_string_equal(plan->name, "order");
    assert_int_equal(plan->start, 0);
    assert_int_equal(plan->states_count, 4);
    assert_int_equal(plan->resources_count, 7);
    assert_int_equal(plan->detached_count, 1);
    assert_int_equal(plan->undo_branches, 1);
    assert_int_equal(plan->signals_count, 0);
    assert_int_equal(plan->timeout_ms, 0);

    const struct plan_state *charge = &plan->states[2];
    assert_string_equal(charge->name, "Charge");
    assert_int_equal(charge->type, STATE_TASK);
    assert_int_equal(charge->next, 3);
    assert_int_equal(charge->result_kind, RESULT_DROPPED);
    assert_resource(plan, charge->resource, "payment", "charge");
    assert_true(charge->compensated);
    assert_resource(plan, charge->undo_resource, "payment", "refund");
    assert_int_equal(charge->undo_retriers_count, 0);
    assert_int_equal(charge->catchers_count, 0);
    assert_int_equal(charge->retriers_count, 1);
    const struct plan_retrier *retrier = &plan->retriers[charge->retriers_first];
    assert_int_equal(retrier->interval_ms, 1000);
    assert_int_equal(retrier->attempts_max, 3);
    assert_true(retrier->jitter_full);
    assert_true(retrier->backoff_rate == 2.0);

    const struct plan_state *confirm = &plan->states[3];
    assert_true(confirm->fire_and_forget);
    assert_false(confirm->compensated);
    assert_int_equal(confirm->undo_resource, PLAN_NO_HANDLER);
    assert_int_equal(confirm->result_kind, RESULT_DROPPED);
    assert_int_equal(confirm->next, PLAN_NO_STATE);
    plan_free(plan);
}

static void what_a_task_leaves_out_has_the_defaults_of_asl(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(TASK("'Retry':[{'ErrorEquals':['E']}]"));
    const struct plan_state *task = &plan->states[0];
    assert_int_equal(task->result_kind, RESULT_REPLACES);
    assert_int_equal(task->default_next, PLAN_NO_STATE);
    assert_false(task->fire_and_forget);
    assert_false(task->compensated);
    assert_false(task->pivot);
    assert_int_equal(task->task_kind, TASK_HANDLER);
    assert_int_equal(task->signal, PLAN_NO_SIGNAL);
    assert_int_equal(task->timeout_ms, 0);
    assert_int_equal(task->heartbeat_ms, 0);
    assert_int_equal(task->undo_timeout_ms, 0);
    assert_int_equal(task->undo_catchers_count, 0);
    assert_int_equal(plan->retriers[0].interval_ms, 1000);
    assert_int_equal(plan->retriers[0].attempts_max, 3);
    assert_int_equal(plan->retriers[0].delay_ms_max, PLAN_DELAY_MS_MAX);
    assert_true(plan->retriers[0].backoff_rate == 2.0);
    assert_false(plan->retriers[0].jitter_full);
    plan_free(plan);
}

static void what_a_retrier_says_is_kept(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        RETRY("'IntervalSeconds':31622399,'MaxAttempts':99999999,'BackoffRate':1.0,"
              "'MaxDelaySeconds':31622400,'JitterStrategy':'NONE','Comment':'for ever'"));
    assert_int_equal(plan->retriers[0].interval_ms, 31622399000);
    assert_int_equal(plan->retriers[0].attempts_max, 99999999);
    assert_int_equal(plan->retriers[0].delay_ms_max, 31622400000);
    assert_true(plan->retriers[0].backoff_rate == 1.0);
    assert_false(plan->retriers[0].jitter_full);
    plan_free(plan);
}

static void a_compensation_has_retriers_of_its_own(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        TASK("'Retry':[{'ErrorEquals':['A'],'MaxAttempts':1},{'ErrorEquals':['B'],'MaxAttempts':2}]"
             ",'Compensate':{'Comment':'','Resource':'service:s.undo',"
             "'Retry':[{'ErrorEquals':['C'],'MaxAttempts':0}]}"));
    const struct plan_state *task = &plan->states[0];
    assert_int_equal(task->retriers_count, 2);
    assert_int_equal(task->undo_retriers_count, 1);
    assert_int_equal(plan->retriers[task->retriers_first].attempts_max, 1);
    assert_int_equal(plan->retriers[task->retriers_first + 1].attempts_max, 2);
    assert_int_equal(plan->retriers[task->undo_retriers_first].attempts_max, 0);
    plan_free(plan);
}

static void a_pair_of_service_and_handler_stands_once(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Task','Resource':'service:s.h','Compensate':{'Resource':'service:s.u'}"
               ",'Next':'B'},'B':{'Type':'Task','Resource':'service:s.u','Next':'C'},"
               "'C':{'Type':'Task','Resource':'service:t.h','Next':'D'},"
               "'D':{'Type':'Task','Resource':'service:s.h','End':true}"));
    assert_int_equal(plan->resources_count, 3);
    assert_int_equal(plan->states[0].resource, plan->states[3].resource);
    assert_int_equal(plan->states[0].undo_resource, plan->states[1].resource);
    assert_resource(plan, plan->states[2].resource, "t", "h");
    plan_free(plan);
}

static void result_paths_are_compiled(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Task','Resource':'service:s.h','ResultPath':'$.a[\\'b c\\']',"
               "'Catch':[{'ErrorEquals':['E'],'ResultPath':null,'Next':'B'},"
               "{'ErrorEquals':['F'],'ResultPath':'$.e','Next':'C'}],'Next':'B'},"
               "'B':{'Type':'Pass','ResultPath':'$','Next':'C'},'C':{'Type':'Succeed'}"));
    const struct plan_state *task = &plan->states[0];
    assert_int_equal(task->result_kind, RESULT_INTO);
    assert_int_equal(task->result_path.parts_count, 2);
    assert_bytes(task->result_path.parts[0].field, "a", 1);
    assert_bytes(task->result_path.parts[1].field, "b c", 3);
    assert_int_equal(plan->states[1].result_kind, RESULT_REPLACES);
    const struct plan_catcher *catchers = &plan->catchers[task->catchers_first];
    assert_int_equal(task->catchers_count, 2);
    assert_int_equal(catchers[0].result_kind, RESULT_DROPPED);
    assert_int_equal(catchers[0].next, 1);
    assert_int_equal(catchers[1].result_kind, RESULT_INTO);
    assert_int_equal(catchers[1].next, 2);
    assert_bytes(catchers[1].result_path.parts[0].field, "e", 1);
    plan_free(plan);
}

static void results_become_msgpack_in_its_smallest_form(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *msgpack;
        size_t bytes;
    } rows[] = {
#define ROW(json, msgpack) {json, msgpack, sizeof(msgpack) - 1}
        ROW("null", "\xc0"),
        ROW("true", "\xc3"),
        ROW("false", "\xc2"),
        ROW("0", "\x00"),
        ROW("127", "\x7f"),
        ROW("128", "\xcc\x80"),
        ROW("256", "\xcd\x01\x00"),
        ROW("65536", "\xce\x00\x01\x00\x00"),
        ROW("9223372036854775807", "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ROW("-1", "\xff"),
        ROW("-33", "\xd0\xdf"),
        ROW("-9223372036854775808", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
        ROW("1.0", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
        ROW("1e3", "\xcb\x40\x8f\x40\x00\x00\x00\x00\x00"),
        ROW("''", "\xa0"),
        ROW("'\xc3\xa4\\u00e4'", "\xa4\xc3\xa4\xc3\xa4"),
        ROW("[]", "\x90"),
        ROW("{}", "\x80"),
        ROW("{'z':[1,{'b':null}],'a':2.5}",
            "\x82\xa1z\x92\x01\x81\xa1\x62\xc0\xa1\x61\xcb\x40\x04\x00\x00\x00\x00\x00\x00"),
        ROW("[1.0,1.0,1.0,1.0,1.0]", "\x95\xcb\x3f\xf0\0\0\0\0\0\0\xcb\x3f\xf0\0\0\0\0\0\0"
                                     "\xcb\x3f\xf0\0\0\0\0\0\0\xcb\x3f\xf0\0\0\0\0\0\0"
                                     "\xcb\x3f\xf0\0\0\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, PASS("'Result':%s"), rows[i].json);
        struct plan *plan = plan_text_compile(text);
        assert_true(plan->states[0].has_result);
        assert_bytes(plan->states[0].result, rows[i].msgpack, rows[i].bytes);
        plan_free(plan);
    }
    struct plan *plan = plan_text_compile(PASS("'Comment':'none'"));
    assert_false(plan->states[0].has_result);
    plan_free(plan);
}

static void a_failure_keeps_its_error_and_its_cause(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Fail','Error':'Order.Bad','Cause':'No line in it.'}"));
    assert_bytes(plan->states[0].error, "Order.Bad", 9);
    assert_bytes(plan->states[0].cause, "No line in it.", 14);
    plan_free(plan);
    plan = plan_text_compile(STATES("'A':{'Type':'Fail'}"));
    assert_int_equal(plan->states[0].error.count, 0);
    assert_int_equal(plan->states[0].cause.count, 0);
    plan_free(plan);
}

static void what_looks_odd_but_is_right_is_accepted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        " \n{'States' : {'A':{'Type':'Succeed'}} , 'StartAt':'A','Version':'1.0'}\n",
        /* Round for ever, but for a way out. */
        STATES("'A':{'Type':'Pass','Next':'B'},'B':{'Type':'Choice','Default':'A','Choices':["
               "{'Variable':'$.done','IsPresent':true,'Next':'C'}]},'C':{'Type':'Fail'}"),
        STATES("'A':{'Type':'Task','Resource':'service:s.h','Next':'A',"
               "'Catch':[{'ErrorEquals':['States.ALL'],'Next':'B'}]},'B':{'Type':'Succeed'}"),
        "{'StartAt':'\xc3\x84/~ b','States':{'\xc3\x84/~ b':{'Type':'Succeed'}}}",
        TASK("'Retry':[],'Catch':[]"),
        TASK("'FireAndForget':false,'ResultPath':null,'Catch':[]"),
        TASK("'FireAndForget':true,'Retry':[{'ErrorEquals':['States.ALL']}]"),
        STATES("'A':{'Type':'Choice','Comment':'x','Default':'B','Choices':[{'Comment':'y','Next':"
               "'B','Not':{'Comment':'z','Variable':'$','IsNull':true}}]},'B':{'Type':'Succeed'}"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        plan_free(plan_text_compile(texts[i]));
}

static void the_same_text_gives_the_same_plan(void **state)
{
    (void)state;
    char *printed[2];
    for (size_t i = 0; i < 2; i++) {
        size_t bytes = 0;
        FILE *out = open_memstream(&printed[i], &bytes);
        assert_non_null(out);
        struct plan *plan = plan_text_compile(ORDER_SAGA);
        plan_print(plan, out);
        for (uint32_t j = 0; j < plan->resources_count; j++)
            fprintf(out, "%s.%s\n", plan->resources[j].service, plan->resources[j].handler);
        plan_free(plan);
        fclose(out);
    }
    assert_string_equal(printed[0], printed[1]);
    free(printed[0]);
    free(printed[1]);
}

/* ---- no memory ----------------------------------------------------------------------------- */

static uint32_t allocations_left;

static void *allocate_while_there_is_some(size_t bytes)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(bytes);
}

static void want_of_memory_at_any_point_is_a_refusal_and_leaks_nothing(void **state)
{
    (void)state;
    enum status status = STATUS_NO_MEMORY;
    json_set_alloc_funcs(allocate_while_there_is_some, free);
    for (uint32_t i = 0; status != STATUS_OK; i++) {
        assert_in_range(i, 0, 1000);
        allocations_left = i;
        struct plan *plan = NULL;
        struct problem problem = {.text = ""};
        status = plan_text_try(ORDER_SAGA, &plan, &problem);
        if (status == STATUS_OK) {
            assert_int_equal(plan->states_count, 4);
            assert_int_equal(plan->resources_count, 7);
        } else {
            /* jansson cannot always tell a failed allocation from a token it does not know. */
            assert_true(status == STATUS_NO_MEMORY || status == STATUS_INVALID);
            assert_true(i > 0 || status == STATUS_NO_MEMORY);
            assert_true(strlen(problem.text) > strlen("order.asl.json: "));
            assert_null(plan);
        }
        plan_free(plan);
    }
}

static int restore_memory(void **state)
{
    (void)state;
    json_set_alloc_funcs(malloc, free);
    return 0;
}

/* ---- Retry and Catch ----------------------------------------------------------------------- */

static void the_first_retrier_that_matches_is_found(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        TASK("'Compensate':{'Resource':'service:s.u','Retry':[{'ErrorEquals':['Z']}]},"
             "'Retry':[{'ErrorEquals':['A','B']},{'ErrorEquals':['B','C']},"
             "{'ErrorEquals':['States.Timeout']},{'ErrorEquals':['States.ALL']}]"));
    const struct plan_state *task = &plan->states[0];
    static const struct {
        const char *error;
        int wanted; /* -1: none */
    } rows[] = {{"A", 0},
                {"B", 0},
                {"C", 1},
                {"States.Timeout", 2},
                {"States.HeartbeatTimeout", 2},
                {"D", 3},
                {"AB", 3},
                {"", 3},
                {"States.DataLimitExceeded", -1},
                {"States.Runtime", -1},
                {"States.TaskFailed", 3},
                {"Z", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t found = plan_find_retrier(plan, task->retriers_first, task->retriers_count,
                                           plan_text_bytes(rows[i].error));
        assert_int_equal(found,
                         rows[i].wanted < 0 ? UINT16_MAX : task->retriers_first + rows[i].wanted);
    }
    assert_int_equal(plan_find_retrier(plan, task->undo_retriers_first, task->undo_retriers_count,
                                       plan_text_bytes("Z")),
                     task->undo_retriers_first);
    assert_int_equal(plan_find_retrier(plan, task->undo_retriers_first, task->undo_retriers_count,
                                       plan_text_bytes("A")),
                     UINT16_MAX);
    plan_free(plan);
}

static void errors_of_http_are_known_by_their_status(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        TASK("'Retry':[{'ErrorEquals':['States.Http.StatusCode.503','States.Http.Socket']}]"));
    const struct plan_state *task = &plan->states[0];
    assert_int_equal(plan_find_retrier(plan, task->retriers_first, task->retriers_count,
                                       plan_text_bytes("States.Http.StatusCode.503")),
                     task->retriers_first);
    assert_int_equal(plan_find_retrier(plan, task->retriers_first, task->retriers_count,
                                       plan_text_bytes("States.Http.StatusCode.500")),
                     UINT16_MAX);
    plan_free(plan);
}

static uint16_t find_catcher(const struct plan *plan, const struct plan_state *state,
                             struct flyover_bytes error)
{
    return plan_find_catcher(plan, state->catchers_first, state->catchers_count, error);
}

static void the_first_catcher_that_matches_is_found(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Task','Resource':'service:s.h','Next':'B',"
               "'Catch':[{'ErrorEquals':['X'],'Next':'B'}]},"
               "'B':{'Type':'Task','Resource':'service:s.h','End':true,"
               "'Catch':[{'ErrorEquals':['States.Runtime'],'Next':'C'},"
               "{'ErrorEquals':['States.TaskFailed'],'Next':'C'}]},'C':{'Type':'Succeed'}"));
    const struct plan_state *first = &plan->states[0], *second = &plan->states[1];
    assert_int_equal(find_catcher(plan, first, plan_text_bytes("X")), 0);
    assert_int_equal(find_catcher(plan, first, plan_text_bytes("Y")), UINT16_MAX);
    assert_int_equal(find_catcher(plan, second, plan_text_bytes("Y")), 2);
    assert_int_equal(find_catcher(plan, second, plan_text_bytes("States.TaskFailed")), 2);
    assert_int_equal(find_catcher(plan, second, plan_text_bytes("States.Timeout")), UINT16_MAX);
    assert_int_equal(find_catcher(plan, second, plan_text_bytes("States.HeartbeatTimeout")), 2);
    assert_int_equal(find_catcher(plan, second, plan_text_bytes("States.Runtime")), 1);
    assert_int_equal(find_catcher(plan, second, plan_text_bytes("States.DataLimitExceeded")),
                     UINT16_MAX);
    assert_int_equal(find_catcher(plan, &plan->states[2], plan_text_bytes("X")), UINT16_MAX);
    plan_free(plan);
}

/* ---- delays -------------------------------------------------------------------------------- */

static void delays_grow_by_the_rate_up_to_their_cap(void **state)
{
    (void)state;
    static const struct {
        uint64_t interval_ms, delay_ms_max;
        double rate;
        uint32_t attempt_no;
        uint64_t wanted_ms;
    } rows[] = {
        {1000, PLAN_DELAY_MS_MAX, 2.0, 1, 1000},
        {1000, PLAN_DELAY_MS_MAX, 2.0, 2, 2000},
        {1000, PLAN_DELAY_MS_MAX, 2.0, 3, 4000},
        {1000, PLAN_DELAY_MS_MAX, 2.0, 25, 16777216000},
        {1000, PLAN_DELAY_MS_MAX, 2.0, 26, PLAN_DELAY_MS_MAX},
        {1000, PLAN_DELAY_MS_MAX, 2.0, UINT32_MAX, PLAN_DELAY_MS_MAX},
        {1000, PLAN_DELAY_MS_MAX, 1.0, UINT32_MAX, 1000},
        {3000, PLAN_DELAY_MS_MAX, 1.5, 2, 4500},
        {3000, PLAN_DELAY_MS_MAX, 1.5, 3, 6750},
        {1000, PLAN_DELAY_MS_MAX, 1.5, 4, 3375},
        {1000, PLAN_DELAY_MS_MAX, 1.5, 8, 17085}, /* 17085.9375, cut */
        {1000, 5000, 2.0, 3, 4000},
        {1000, 5000, 2.0, 4, 5000},
        {1000, 5000, 1e308, 2, 5000},
        {1000, 5000, 1e308, 99999999, 5000},
        {1000, PLAN_DELAY_MS_MAX, 1.0000001, 99999999, 22026450},
        {31622400000, PLAN_DELAY_MS_MAX, 1.0, 1, PLAN_DELAY_MS_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct plan_retrier retrier = {.interval_ms = rows[i].interval_ms,
                                             .delay_ms_max = rows[i].delay_ms_max,
                                             .backoff_rate = rows[i].rate};
        uint64_t delay_ms = plan_retry_delay_ms(&retrier, rows[i].attempt_no, i);
        if (delay_ms != rows[i].wanted_ms)
            fail_msg("row %zu: %llu", i, (unsigned long long)delay_ms);
    }
}

static void jitter_is_drawn_from_the_seed_alone(void **state)
{
    (void)state;
    const struct plan_retrier retrier = {
        .interval_ms = 1000, .delay_ms_max = 4000, .backoff_rate = 2.0, .jitter_full = true};
    /* The same on every machine and in every build: a journal is replayed with them. */
    static const uint64_t wanted_ms[] = {596, 320, 665, 192};
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(plan_retry_delay_ms(&retrier, i + 1, 42), wanted_ms[i]);
}

static void jitter_spreads_evenly_over_the_whole_delay(void **state)
{
    (void)state;
    const struct plan_retrier retrier = {
        .interval_ms = 9, .delay_ms_max = 9, .backoff_rate = 1.0, .jitter_full = true};
    enum { DRAWS = 100000, DELAYS = 10 };
    /* Seeds as the engine makes them, one after the other; attempts one after the other. */
    for (uint32_t attempts = 0; attempts < 2; attempts++) {
        uint32_t counts[DELAYS] = {0};
        for (uint32_t i = 0; i < DRAWS; i++) {
            uint64_t delay_ms =
                plan_retry_delay_ms(&retrier, attempts ? i + 1 : 1, attempts ? 7 : i);
            assert_in_range(delay_ms, 0, DELAYS - 1);
            counts[delay_ms]++;
        }
        for (uint32_t i = 0; i < DELAYS; i++)
            assert_in_range(counts[i], DRAWS / DELAYS * 95 / 100, DRAWS / DELAYS * 105 / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_saga_becomes_a_table),
        cmocka_unit_test(what_a_task_leaves_out_has_the_defaults_of_asl),
        cmocka_unit_test(what_a_retrier_says_is_kept),
        cmocka_unit_test(a_compensation_has_retriers_of_its_own),
        cmocka_unit_test(a_pair_of_service_and_handler_stands_once),
        cmocka_unit_test(result_paths_are_compiled),
        cmocka_unit_test(results_become_msgpack_in_its_smallest_form),
        cmocka_unit_test(a_failure_keeps_its_error_and_its_cause),
        cmocka_unit_test(what_looks_odd_but_is_right_is_accepted),
        cmocka_unit_test(the_same_text_gives_the_same_plan),
        cmocka_unit_test_teardown(want_of_memory_at_any_point_is_a_refusal_and_leaks_nothing,
                                  restore_memory),
        cmocka_unit_test(the_first_retrier_that_matches_is_found),
        cmocka_unit_test(errors_of_http_are_known_by_their_status),
        cmocka_unit_test(the_first_catcher_that_matches_is_found),
        cmocka_unit_test(delays_grow_by_the_rate_up_to_their_cap),
        cmocka_unit_test(jitter_is_drawn_from_the_seed_alone),
        cmocka_unit_test(jitter_spreads_evenly_over_the_whole_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
