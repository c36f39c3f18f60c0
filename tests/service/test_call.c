#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/service/scripted_service.h"

/* Runs the handler once. The bytes of the result stay readable until the next call. */
static struct result run(struct scripted_service *service, scripted_handle *handle)
{
    script.handle = handle;
    scripted_service_send(service, SCRIPTED_HANDLER);
    assert_int_equal(worker_step(service->worker), 1);
    assert_int_equal(worker_peek_results(service->worker, 10), 1);
    struct result result = *worker_front_result(service->worker, 0);
    worker_consume_results(service->worker, 1);
    assert_int_equal(worker_in_flight(service->worker), 0);
    return result;
}

static void check_error(struct result result, enum flyover_answer answer, const char *name,
                        const char *cause)
{
    assert_int_equal(result.answer, answer);
    assert_int_equal(result.first_bytes, strlen(name));
    assert_memory_equal(result.bytes, name, strlen(name));
    assert_int_equal(result.second_bytes, strlen(cause));
    assert_memory_equal(result.bytes + result.first_bytes, cause, strlen(cause));
}

/* The step fails as `name` and the call has left no trace. */
static void check_fault(scripted_handle *handle, const char *name, const char *cause)
{
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    run(&service, scripted_service_count);
    uint64_t digest = tables_digest(service.tables);
    check_error(run(&service, handle), FLYOVER_REFUSED, name, cause);
    assert_int_equal(tables_digest(service.tables), digest);
    struct result next = run(&service, scripted_service_count);
    assert_int_equal(next.answer, FLYOVER_DONE);
    assert_int_equal(next.bytes[next.first_bytes + 4], 2);
    scripted_service_close(&service);
}

/* ---- handlers that go wrong ----------------------------------------------------------------- */

static bool write_something(struct flyover_call *call)
{
    static const struct flyover_bytes key = {(const uint8_t *)"x", 1};
    return flyover_put(call, SCRIPTED_VALUES, key, key) &&
           flyover_add(call, SCRIPTED_COUNTERS, key, 5);
}

static enum flyover_answer answer_garbage(struct flyover_call *call)
{
    write_something(call);
    return flyover_done_with(call, "\x92\x01", 2);
}

static enum flyover_answer answer_two_values(struct flyover_call *call)
{
    write_something(call);
    return flyover_done_with(call, "\x01\x02", 2);
}

static void output_that_is_not_one_value_fails_the_step(void **state)
{
    (void)state;
    const char *cause = "the output of the handler is not one whole msgpack value (no ext types, "
                        "string keys, UTF-8, at most 32 deep)";
    check_fault(answer_garbage, "Flyover.BadOutput", cause);
    check_fault(answer_two_values, "Flyover.BadOutput", cause);
}

static enum flyover_answer answer_nothing(struct flyover_call *call)
{
    write_something(call);
    return FLYOVER_DONE;
}

static enum flyover_answer answer_no_bytes(struct flyover_call *call)
{
    write_something(call);
    return flyover_done_with(call, "", 0);
}

static enum flyover_answer refuse_but_say_done(struct flyover_call *call)
{
    write_something(call);
    flyover_refused(call, "Test.No", "no");
    return FLYOVER_DONE;
}

static enum flyover_answer done_but_say_refused(struct flyover_call *call)
{
    write_something(call);
    flyover_done(call);
    return FLYOVER_REFUSED;
}

static enum flyover_answer refuse_without_a_name(struct flyover_call *call)
{
    return flyover_refused(call, "", "no name");
}

static enum flyover_answer answer_out_of_the_list(struct flyover_call *call)
{
    write_something(call);
    flyover_done(call);
    return (enum flyover_answer)77;
}

static void an_answer_that_was_not_given_fails_the_step(void **state)
{
    (void)state;
    const char *cause = "the handler did not return what flyover_done, flyover_refused or "
                        "flyover_retry gave it";
    check_fault(answer_nothing, "Flyover.NoOutput", cause);
    check_fault(answer_no_bytes, "Flyover.NoOutput", cause);
    check_fault(refuse_but_say_done, "Flyover.NoOutput", cause);
    check_fault(done_but_say_refused, "Flyover.NoOutput", cause);
    check_fault(refuse_without_a_name, "Flyover.NoOutput", cause);
    check_fault(answer_out_of_the_list, "Flyover.NoOutput", cause);
}

static enum flyover_answer answer_from_script(struct flyover_call *call)
{
    write_something(call);
    return flyover_done_with(call, script.output, script.output_bytes);
}

static void output_up_to_the_limit_is_taken_and_no_more(void **state)
{
    (void)state;
    uint8_t *largest = scripted_service_make_binary(FLYOVER_PAYLOAD_BYTES_MAX);
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    script.output = largest;
    script.output_bytes = FLYOVER_PAYLOAD_BYTES_MAX;
    struct result result = run(&service, answer_from_script);
    assert_int_equal(result.answer, FLYOVER_DONE);
    assert_int_equal(result.second_bytes, FLYOVER_PAYLOAD_BYTES_MAX);
    assert_memory_equal(result.bytes + result.first_bytes, largest, FLYOVER_PAYLOAD_BYTES_MAX);
    free(largest);

    uint64_t digest = tables_digest(service.tables);
    uint8_t *larger = scripted_service_make_binary(FLYOVER_PAYLOAD_BYTES_MAX + 1);
    script.output = larger;
    script.output_bytes = FLYOVER_PAYLOAD_BYTES_MAX + 1;
    check_error(run(&service, answer_from_script), FLYOVER_REFUSED, "States.DataLimitExceeded",
                "the output of the handler is larger than 262144 bytes");
    assert_int_equal(tables_digest(service.tables), digest);
    free(larger);
    scripted_service_close(&service);
}

static enum flyover_answer write_many_keys(struct flyover_call *call)
{
    for (uint8_t key = 0; key <= SCRIPTED_COUNTERS_MAX; key++)
        flyover_add(call, SCRIPTED_COUNTERS, (struct flyover_bytes){&key, 1}, 1);
    return flyover_done(call);
}

static enum flyover_answer write_many_bytes(struct flyover_call *call)
{
    static const uint8_t value[FLYOVER_VALUE_BYTES_MAX];
    for (uint32_t i = 0; i <= FLYOVER_WRITES_BYTES_MAX / FLYOVER_VALUE_BYTES_MAX; i++)
        flyover_put(call, SCRIPTED_VALUES, (struct flyover_bytes){(const uint8_t *)&i, sizeof i},
                    (struct flyover_bytes){value, sizeof value});
    return flyover_done(call);
}

static enum flyover_answer write_to_the_wrong_table(struct flyover_call *call)
{
    flyover_add(call, SCRIPTED_VALUES, (struct flyover_bytes){(const uint8_t *)"x", 1}, 1);
    return flyover_done(call);
}

static void writes_without_room_fail_the_step_although_it_says_done(void **state)
{
    (void)state;
    const char *cause = "a write did not fit: its table is full, missing or of the other kind, its "
                        "key or value too long, a counter at its end, or the writes of the call "
                        "too many";
    check_fault(write_many_keys, "Flyover.StateFull", cause);
    check_fault(write_many_bytes, "Flyover.StateFull", cause);
    check_fault(write_to_the_wrong_table, "Flyover.StateFull", cause);
}

static void a_service_without_tables_cannot_lose_a_write_unseen(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateless, NULL);
    struct result result = run(&service, write_to_the_wrong_table);
    assert_int_equal(result.answer, FLYOVER_REFUSED);
    assert_memory_equal(result.bytes, "Flyover.StateFull", result.first_bytes);
    check_error(run(&service, scripted_service_count), FLYOVER_REFUSED, "Test.Full", "no room");
    scripted_service_close(&service);
}

/* ---- answers -------------------------------------------------------------------------------- */

static enum flyover_answer refuse_after_writing(struct flyover_call *call)
{
    return write_something(call) ? flyover_refused(call, script.name, "%s", script.cause)
                                 : flyover_done(call);
}

static enum flyover_answer retry_after_writing(struct flyover_call *call)
{
    return write_something(call) ? flyover_retry(call, script.name, "%s", script.cause)
                                 : flyover_done(call);
}

static void a_refusal_and_a_retry_leave_no_write_behind(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    uint64_t digest = tables_digest(service.tables);
    script.name = "Test.No";
    script.cause = "not this one";
    check_error(run(&service, refuse_after_writing), FLYOVER_REFUSED, "Test.No", "not this one");
    assert_int_equal(tables_digest(service.tables), digest);
    script.cause = "";
    check_error(run(&service, retry_after_writing), FLYOVER_RETRY, "Test.No", "");
    assert_int_equal(tables_digest(service.tables), digest);
    scripted_service_close(&service);
}

/* `before` bytes, then the character as often as it takes to be too long. */
static void check_cut(struct scripted_service *service, size_t before, const char *character)
{
    char cause[FLYOVER_ERROR_CAUSE_BYTES_MAX + 16] = {0};
    memset(cause, 'x', before);
    size_t bytes = before, step = strlen(character), kept = before;
    for (; bytes <= FLYOVER_ERROR_CAUSE_BYTES_MAX; bytes += step) {
        memcpy(cause + bytes, character, step);
        if (bytes + step <= FLYOVER_ERROR_CAUSE_BYTES_MAX)
            kept = bytes + step;
    }
    script.cause = cause;
    struct result result = run(service, refuse_after_writing);
    assert_int_equal(result.second_bytes, kept);
    assert_memory_equal(result.bytes + result.first_bytes, cause, kept);
}

static void long_causes_are_cut_between_characters(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    script.name = "Test.No";
    for (size_t before = 0; before < 8; before++) {
        check_cut(&service, before, "y");
        check_cut(&service, before, "\u00e9");
        check_cut(&service, before, "\u20ac");
        check_cut(&service, before, "\U0001f6eb");
    }
    scripted_service_close(&service);
}

static void a_cause_and_a_name_of_the_largest_size_are_kept_whole(void **state)
{
    (void)state;
    char cause[FLYOVER_ERROR_CAUSE_BYTES_MAX + 1] = {0};
    char name[FLYOVER_ERROR_NAME_BYTES_MAX + 2] = {0};
    memset(cause, 'x', sizeof cause - 1);
    memcpy(cause + sizeof cause - 3, "\u00e9", 2);
    memset(name, 'n', FLYOVER_ERROR_NAME_BYTES_MAX);
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    script.name = name;
    script.cause = cause;
    check_error(run(&service, refuse_after_writing), FLYOVER_REFUSED, name, cause);
    memset(name, 'n', sizeof name - 1);
    struct result result = run(&service, refuse_after_writing);
    assert_int_equal(result.first_bytes, FLYOVER_ERROR_NAME_BYTES_MAX);
    scripted_service_close(&service);
}

static void a_result_carries_writes_that_make_the_same_tables_and_then_the_output(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    struct event_table tables[FLYOVER_TABLES_MAX];
    struct tables *replayed = NULL;
    uint32_t count = plugin_tables(&service.plugin, tables);
    assert_int_equal(tables_open(tables, count, &replayed), STATUS_OK);
    script.output = (const uint8_t *)"\xa3yes";
    script.output_bytes = 4;
    struct result result = run(&service, answer_from_script);
    assert_int_equal(result.answer, FLYOVER_DONE);
    assert_int_equal(result.branch, 11);
    assert_int_equal(result.generation, 12);
    assert_int_equal(result.second_bytes, 4);
    assert_memory_equal(result.bytes + result.first_bytes, "\xa3yes", 4);
    struct flyover_bytes writes = {result.bytes, result.first_bytes};
    assert_int_equal(tables_apply(replayed, writes), STATUS_OK);
    assert_int_equal(tables_digest(replayed), tables_digest(service.tables));
    tables_close(replayed);
    scripted_service_close(&service);
}

/* ---- what a handler sees -------------------------------------------------------------------- */

static enum flyover_answer say_done(struct flyover_call *call)
{
    return flyover_done(call);
}

static void a_handler_sees_its_input_and_its_key(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    struct result result = run(&service, say_done);
    assert_int_equal(result.answer, FLYOVER_DONE);
    assert_int_equal(result.first_bytes + result.second_bytes, 0);
    assert_int_equal(script.input_bytes, 3);
    assert_memory_equal(script.input, "\x92\x01\x02", 3);
    assert_int_equal(script.key.saga_id, 0x123456789a);
    assert_int_equal(script.key.step_no, 13);
    assert_int_equal(script.key.phase, FLYOVER_FORWARD);
    scripted_service_close(&service);
}

static void a_compensation_sees_input_and_output_of_its_step(void **state)
{
    (void)state;
    static const uint8_t input[] = {0x92, 1, 2}, output[] = {0xa2, 'o', 'k'};
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    script.handle = say_done;
    struct invoke invoke = {
        .input = input, .input_bytes = 3, .output = output, .phase = FLYOVER_COMPENSATION};
    worker_send_invoke(service.worker, &invoke);
    invoke.output_bytes = 3;
    worker_send_invoke(service.worker, &invoke);
    worker_flush(service.worker);
    assert_int_equal(worker_step(service.worker), 2);
    assert_int_equal(script.key.phase, FLYOVER_COMPENSATION);
    static const char both[] = "\x82\xa5input\x92\x01\x02\xa6output\xa2ok";
    assert_int_equal(script.input_bytes, sizeof both - 1);
    assert_memory_equal(script.input, both, sizeof both - 1);

    invoke.output_bytes = 0;
    worker_send_invoke(service.worker, &invoke);
    worker_flush(service.worker);
    assert_int_equal(worker_step(service.worker), 1);
    static const char no_output[] = "\x82\xa5input\x92\x01\x02\xa6output\xc0";
    assert_int_equal(script.input_bytes, sizeof no_output - 1);
    assert_memory_equal(script.input, no_output, sizeof no_output - 1);
    scripted_service_close(&service);
}

/* The output lies on the handler's stack and is overwritten there. */
static enum flyover_answer answer_from_stack(struct flyover_call *call)
{
    uint8_t output[2] = {0xcc, 200};
    enum flyover_answer answer = flyover_done_with(call, output, sizeof output);
    memset(output, 0xc0, sizeof output);
    return answer;
}

static void output_is_copied_before_the_handler_returns(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    struct result result = run(&service, answer_from_stack);
    assert_int_equal(result.second_bytes, 2);
    assert_memory_equal(result.bytes, "\xcc\xc8", 2);
    scripted_service_close(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_that_is_not_one_value_fails_the_step),
        cmocka_unit_test(an_answer_that_was_not_given_fails_the_step),
        cmocka_unit_test(output_up_to_the_limit_is_taken_and_no_more),
        cmocka_unit_test(writes_without_room_fail_the_step_although_it_says_done),
        cmocka_unit_test(a_service_without_tables_cannot_lose_a_write_unseen),
        cmocka_unit_test(a_refusal_and_a_retry_leave_no_write_behind),
        cmocka_unit_test(long_causes_are_cut_between_characters),
        cmocka_unit_test(a_cause_and_a_name_of_the_largest_size_are_kept_whole),
        cmocka_unit_test(a_result_carries_writes_that_make_the_same_tables_and_then_the_output),
        cmocka_unit_test(a_handler_sees_its_input_and_its_key),
        cmocka_unit_test(a_compensation_sees_input_and_output_of_its_step),
        cmocka_unit_test(output_is_copied_before_the_handler_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
