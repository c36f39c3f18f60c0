#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/service/scripted_service.h"

static enum flyover_answer answer_from_script(struct flyover_call *call)
{
    return flyover_done_with(call, script.output, script.output_bytes);
}

static void results_wait_while_the_engine_has_not_read_and_none_is_overwritten(void **state)
{
    (void)state;
    enum { CALLS = 60, OUTPUT_BYTES = 200000 };
    struct scripted_service service;
    uint8_t *output = scripted_service_make_binary(OUTPUT_BYTES);
    scripted_service_open(&service, &scripted_stateful, NULL);
    script.handle = answer_from_script;
    script.output = output;
    script.output_bytes = OUTPUT_BYTES;
    for (uint32_t i = 0; i < CALLS; i++)
        scripted_service_send(&service, SCRIPTED_HANDLER);
    uint32_t stopped_count = 0, read_count = 0;
    while (read_count < CALLS) {
        while (worker_step(service.worker) > 0)
            continue;
        uint32_t ready = worker_peek_results(service.worker, CALLS);
        assert_true(ready > 0);
        stopped_count += ready < worker_in_flight(service.worker);
        for (uint32_t i = 0; i < ready; i++) {
            const struct result *result = worker_front_result(service.worker, i);
            assert_int_equal(result->second_bytes, OUTPUT_BYTES);
            assert_memory_equal(result->bytes + result->first_bytes, output, OUTPUT_BYTES);
        }
        worker_consume_results(service.worker, ready / 2 + 1);
        read_count += ready / 2 + 1;
    }
    assert_true(stopped_count > 2);
    free(output);
    scripted_service_close(&service);
}

static void a_whole_window_of_calls_fits_and_comes_back_in_order(void **state)
{
    (void)state;
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, NULL);
    for (uint32_t round = 0, number = 0; round < 3; round++) {
        assert_int_equal(worker_room(service.worker), WORKER_WINDOW);
        for (uint32_t i = 0; i < WORKER_WINDOW; i++)
            scripted_service_send(&service, SCRIPTED_COUNTING_HANDLER);
        assert_int_equal(worker_room(service.worker), 0);
        while (worker_step(service.worker) > 0)
            continue;
        assert_int_equal(worker_peek_results(service.worker, WORKER_WINDOW), WORKER_WINDOW);
        for (uint32_t i = 0; i < WORKER_WINDOW; i++)
            assert_int_equal(scripted_service_number(worker_front_result(service.worker, i)),
                             ++number);
        worker_consume_results(service.worker, WORKER_WINDOW);
    }
    scripted_service_close(&service);
}

/* Feeds the worker's thread, sleeps when there is nothing to read, checks the order. */
static void drive_thread(struct scripted_service *service, struct sleeper *engine,
                         uint32_t calls_count, uint16_t handler)
{
    uint32_t sent_count = 0;
    for (uint32_t read_count = 0; read_count < calls_count;) {
        for (; sent_count < calls_count && worker_room(service->worker) > 0; sent_count++) {
            struct invoke invoke = {.input = (const uint8_t *)"\xc0",
                                    .input_bytes = 1,
                                    .branch = sent_count,
                                    .handler = handler};
            worker_send_invoke(service->worker, &invoke);
        }
        worker_flush(service->worker);
        sleeper_prepare(engine);
        uint32_t ready = worker_peek_results(service->worker, 100);
        if (ready > 0)
            sleeper_cancel(engine);
        else
            sleeper_wait(engine, SLEEPER_FOREVER);
        for (uint32_t i = 0; i < ready; i++) {
            const struct result *result = worker_front_result(service->worker, i);
            assert_int_equal(result->branch, read_count++);
            if (handler == SCRIPTED_COUNTING_HANDLER)
                assert_int_equal(scripted_service_number(result), read_count);
            else
                assert_int_equal(result->bytes[result->first_bytes + result->second_bytes - 1],
                                 0x5a);
        }
        if (ready > 0)
            worker_consume_results(service->worker, ready);
    }
}

static void a_thread_answers_every_call_in_order(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_setup();
    sleeper_init(&engine);
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, &engine);
    drive_thread(&service, &engine, 100000, SCRIPTED_COUNTING_HANDLER);
    scripted_service_close(&service);
}

static void a_thread_waits_for_room_and_goes_on(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, &engine);
    uint8_t *output = scripted_service_make_binary(FLYOVER_PAYLOAD_BYTES_MAX);
    script.handle = answer_from_script;
    script.output = output;
    script.output_bytes = FLYOVER_PAYLOAD_BYTES_MAX;
    drive_thread(&service, &engine, 500, SCRIPTED_HANDLER);
    scripted_service_close(&service);
    free(output);
}

static void a_stopped_worker_has_answered_what_it_was_sent(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    struct scripted_service service;
    scripted_service_open(&service, &scripted_stateful, &engine);
    for (uint32_t i = 0; i < 1000; i++)
        scripted_service_send(&service, SCRIPTED_COUNTING_HANDLER);
    worker_stop(service.worker);
    worker_stop(service.worker);
    assert_int_equal(worker_peek_results(service.worker, 2000), 1000);
    assert_int_equal(scripted_service_number(worker_front_result(service.worker, 999)), 1000);
    assert_true(worker_cpu_ns(service.worker) > 0);
    scripted_service_close(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_wait_while_the_engine_has_not_read_and_none_is_overwritten),
        cmocka_unit_test(a_whole_window_of_calls_fits_and_comes_back_in_order),
        cmocka_unit_test(a_thread_answers_every_call_in_order),
        cmocka_unit_test(a_thread_waits_for_room_and_goes_on),
        cmocka_unit_test(a_stopped_worker_has_answered_what_it_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
