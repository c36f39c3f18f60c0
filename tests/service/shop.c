#include "tests/service/shop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <endian.h>
#include <string.h>

static const char *const names[SHOP_SERVICES] = {"order", "inventory", "payment", "confirmation"};

static struct plugin_path make_path(const char *const *settings)
{
    struct plugin_path path = {.directories = {PLUGINS_DIRECTORY}, .directories_count = 1};
    for (; settings != NULL && *settings != NULL; settings++)
        assert_int_equal(
            plugin_setting_parse(*settings, &path.settings[path.settings_count++], NULL),
            STATUS_OK);
    return path;
}

static void open_service(struct shop_service *service, const struct plugin_path *path,
                         const char *name)
{
    struct problem problem = {.text = ""};
    enum status status = plugin_open(path, name, &service->plugin, &problem);
    assert_string_equal(problem.text, "");
    assert_int_equal(status, STATUS_OK);
    struct event_table declared[FLYOVER_TABLES_MAX];
    uint32_t count = plugin_tables(&service->plugin, declared);
    assert_int_equal(tables_open(declared, count, &service->tables), STATUS_OK);
    assert_int_equal(tables_open(declared, count, &service->replayed), STATUS_OK);
    struct worker_options options = {
        .plugin = &service->plugin, .tables = service->tables, .threadless = true};
    assert_int_equal(worker_open(&options, &service->worker), STATUS_OK);
}

void shop_open(struct shop *shop, const char *const *settings)
{
    struct plugin_path path = make_path(settings);
    *shop = (struct shop){0};
    for (uint32_t i = 0; i < SHOP_SERVICES; i++)
        open_service(&shop->services[i], &path, names[i]);
}

void shop_close(struct shop *shop)
{
    for (uint32_t i = 0; i < SHOP_SERVICES; i++) {
        struct shop_service *service = &shop->services[i];
        worker_close(service->worker);
        tables_close(service->tables);
        tables_close(service->replayed);
        plugin_close(&service->plugin);
    }
}

enum status shop_try_open(const char *const *settings)
{
    struct plugin_path path = make_path(settings);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < SHOP_SERVICES && status == STATUS_OK; i++) {
        struct plugin plugin;
        status = plugin_open(&path, names[i], &plugin, NULL);
        if (status == STATUS_OK)
            plugin_close(&plugin);
    }
    return status;
}

static uint32_t find_service(const char *name)
{
    uint32_t i = 0;
    while (strcmp(names[i], name) != 0)
        assert_true(++i < SHOP_SERVICES);
    return i;
}

bool shop_has(const struct shop *shop, const char *service, const char *handler)
{
    const struct shop_service *found = &shop->services[find_service(service)];
    return plugin_find_handler(&found->plugin, handler) != PLUGIN_NO_HANDLER;
}

static struct shop_answer take_result(struct shop *shop, struct shop_service *service)
{
    assert_int_equal(worker_peek_results(service->worker, 2), 1);
    const struct result *result = worker_front_result(service->worker, 0);
    struct shop_answer answer = {0};
    if (result->answer == FLYOVER_DONE) {
        struct flyover_bytes writes = {result->bytes, result->first_bytes};
        assert_int_equal(result->second_bytes, 0);
        assert_int_equal(tables_apply(service->replayed, writes), STATUS_OK);
        shop->writes_bytes += writes.count;
    } else {
        assert_int_equal(result->answer, FLYOVER_REFUSED);
        memcpy(answer.name, result->bytes, result->first_bytes);
        memcpy(answer.cause, result->bytes + result->first_bytes, result->second_bytes);
    }
    worker_consume_results(service->worker, 1);
    return answer;
}

struct shop_answer shop_call(struct shop *shop, const char *service, const char *handler,
                             enum flyover_phase phase, struct flyover_bytes input)
{
    struct shop_service *called = &shop->services[find_service(service)];
    struct invoke invoke = {
        .input = input.at,
        .input_bytes = input.count,
        .handler = plugin_find_handler(&called->plugin, handler),
        .phase = (uint8_t)phase,
    };
    assert_int_not_equal(invoke.handler, PLUGIN_NO_HANDLER);
    worker_send_invoke(called->worker, &invoke);
    worker_flush(called->worker);
    assert_int_equal(worker_step(called->worker), 1);
    return take_result(shop, called);
}

static uint8_t *pack_text(uint8_t *at, const char *text)
{
    size_t bytes = strlen(text);
    assert_true(bytes < 32);
    *at++ = (uint8_t)(0xa0 | bytes);
    memcpy(at, text, bytes);
    return at + bytes;
}

static uint8_t *pack_number(uint8_t *at, int64_t number)
{
    uint64_t big_endian = htobe64((uint64_t)number);
    if (number >= 0 && number < 128) {
        *at++ = (uint8_t)number;
        return at;
    }
    *at++ = 0xd3;
    memcpy(at, &big_endian, sizeof big_endian);
    return at + sizeof big_endian;
}

/* As the reader of orders makes it. Lent until the next call. */
static struct flyover_bytes pack_order(const struct shop_order *order)
{
    static uint8_t bytes[64 + SHOP_LINES_MAX * 32];
    uint8_t *at = bytes;
    *at++ = 0x83;
    at = pack_text(pack_text(at, "number"), order->number);
    at = pack_text(pack_text(at, "customer"), order->customer);
    at = pack_text(at, "lines");
    *at++ = (uint8_t)(0x90 | order->lines_count);
    for (uint32_t i = 0; i < order->lines_count; i++) {
        *at++ = 0x93;
        at = pack_text(at, order->lines[i].code);
        at = pack_number(at, order->lines[i].quantity);
        at = pack_number(at, order->lines[i].amount);
    }
    return (struct flyover_bytes){bytes, (uint32_t)(at - bytes)};
}

struct shop_answer shop_do(struct shop *shop, const char *service, const char *handler,
                           const struct shop_order *order)
{
    return shop_call(shop, service, handler, FLYOVER_FORWARD, pack_order(order));
}

struct shop_answer shop_undo(struct shop *shop, const char *service, const char *handler,
                             const struct shop_order *order)
{
    return shop_call(shop, service, handler, FLYOVER_COMPENSATION, pack_order(order));
}

uint32_t shop_sell(struct shop *shop, const struct shop_order *order)
{
    static const char *const steps[SHOP_SERVICES] = {"record", "reserve", "charge", "confirm"};
    uint32_t done = 0;
    while (done < SHOP_SERVICES && shop_do(shop, names[done], steps[done], order).name[0] == '\0')
        done++;
    return done;
}

void shop_audit(const struct shop *shop, struct audit_report *report)
{
    for (uint32_t i = 0; i < SHOP_SERVICES; i++)
        audit_service(&shop->services[i].plugin, shop->services[i].tables, report);
}

uint64_t shop_digest(const struct shop *shop)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < SHOP_SERVICES; i++)
        digest = digest * 31 + tables_digest(shop->services[i].tables);
    return digest;
}

uint64_t shop_replayed_digest(const struct shop *shop)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < SHOP_SERVICES; i++)
        digest = digest * 31 + tables_digest(shop->services[i].replayed);
    return digest;
}
