#include "tests/service/scripted_service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct scripted_service_script script;

static enum flyover_answer run_script(struct flyover_call *call)
{
    struct flyover_cursor input = flyover_call_input(call);
    script.key = flyover_call_key(call);
    script.input_bytes = (size_t)(input.end - input.at);
    if (script.input_bytes <= sizeof script.input)
        memcpy(script.input, input.at, script.input_bytes);
    return script.handle(call);
}

enum flyover_answer scripted_service_count(struct flyover_call *call)
{
    static const uint8_t key = 'n';
    struct flyover_bytes all = {&key, 1};
    if (!flyover_add(call, SCRIPTED_COUNTERS, all, 1))
        return flyover_refused(call, "Test.Full", "no room");
    uint8_t output[5] = {0xce};
    uint32_t number = htobe32((uint32_t)flyover_count(call, SCRIPTED_COUNTERS, all));
    memcpy(output + 1, &number, sizeof number);
    return flyover_done_with(call, output, sizeof output);
}

uint32_t scripted_service_number(const struct result *result)
{
    uint32_t number;
    assert_int_equal(result->answer, FLYOVER_DONE);
    assert_int_equal(result->second_bytes, 5);
    memcpy(&number, result->bytes + result->first_bytes + 1, sizeof number);
    return be32toh(number);
}

static const struct flyover_handler handlers[] = {
    [SCRIPTED_HANDLER] = {"script", run_script},
    [SCRIPTED_COUNTING_HANDLER] = {"count", scripted_service_count},
};

static const struct flyover_table tables[] = {
    [SCRIPTED_VALUES] = {"values", FLYOVER_VALUES, 1000, FLYOVER_REFUSE},
    [SCRIPTED_COUNTERS] = {"counters", FLYOVER_COUNTERS, SCRIPTED_COUNTERS_MAX, FLYOVER_REFUSE},
};

const struct flyover_service scripted_stateful = {
    .abi = FLYOVER_ABI,
    .name = "stateful",
    .handlers = handlers,
    .handlers_count = 2,
    .tables = tables,
    .tables_count = 2,
};

const struct flyover_service scripted_stateless = {
    .abi = FLYOVER_ABI, .name = "stateless", .handlers = handlers, .handlers_count = 2};

void scripted_service_open(struct scripted_service *service,
                           const struct flyover_service *description, struct sleeper *engine)
{
    static const struct plugin_path path;
    struct event_table declared[FLYOVER_TABLES_MAX];
    memset(&script, 0, sizeof script);
    *service = (struct scripted_service){0};
    assert_int_equal(plugin_open_built_in(&path, description, &service->plugin, NULL), STATUS_OK);
    uint32_t count = plugin_tables(&service->plugin, declared);
    if (count > 0)
        assert_int_equal(tables_open(declared, count, &service->tables), STATUS_OK);
    struct worker_options options = {
        .plugin = &service->plugin,
        .tables = service->tables,
        .engine = engine,
        .cpu = WORKER_NO_CPU,
        .threadless = engine == NULL,
    };
    assert_int_equal(worker_open(&options, &service->worker), STATUS_OK);
}

void scripted_service_close(struct scripted_service *service)
{
    worker_close(service->worker);
    tables_close(service->tables);
    plugin_close(&service->plugin);
}

void scripted_service_send(struct scripted_service *service, uint16_t handler)
{
    static const uint8_t input[] = {0x92, 1, 2};
    struct invoke invoke = {
        .input = input,
        .input_bytes = sizeof input,
        .saga_id = 0x123456789a,
        .branch = 11,
        .generation = 12,
        .step_no = 13,
        .handler = handler,
    };
    worker_send_invoke(service->worker, &invoke);
    worker_flush(service->worker);
}

uint8_t *scripted_service_make_binary(size_t bytes)
{
    uint8_t *binary = calloc(1, bytes);
    uint32_t length = htobe32((uint32_t)bytes - 5);
    assert_non_null(binary);
    binary[0] = 0xc6;
    memcpy(binary + 1, &length, sizeof length);
    binary[bytes - 1] = 0x5a;
    return binary;
}
