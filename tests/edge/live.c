#include "tests/edge/live.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/edge/aws.h"
#include "engine/edge/http.h"
#include "engine/edge/sooner.h"

struct rig_server live_server;
static struct rig_server proxy;
static struct http *http;
static struct aws *aws;
static const struct edge_kind *module_kind;
static void *module;
static uint32_t keys_made;

/* ---- server and proxy --------------------------------------------------------------------------
 */

static void put_between(void)
{
    rig_start_proxy(&live_server, &proxy);
    setenv("AWS_ACCESS_KEY_ID", "test", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
}

void live_start(enum rig_kind server)
{
    rig_start(server, &live_server);
    put_between();
}

void live_start_lambda(const char *functions_path)
{
    rig_start_lambda(functions_path, &live_server);
    put_between();
}

static void close_module(void)
{
    if (module == NULL)
        return;
    http_close(http);
    aws_close(aws);
    module_kind->close(module);
    module = NULL;
}

int live_stop(void **state)
{
    (void)state;
    close_module();
    rig_stop(&proxy);
    rig_stop(&live_server);
    return 0;
}

void live_tell(const char *line)
{
    json_decref(rig_tell(&proxy, line));
}

static bool is_missing(void)
{
    return live_server.pid == 0;
}

void live_skip_where_missing(void)
{
    if (is_missing())
        skip();
}

/* ---- the module --------------------------------------------------------------------------------
 */

void live_open(const struct edge_kind *kind, const char *config)
{
    if (is_missing())
        return;
    close_module();
    struct problem problem = {0};
    json_t *section = json_loads(config, 0, NULL);
    json_t *of_aws = json_pack("{s:s, s:s}", "region", RIG_REGION, "endpoint_url", proxy.url);
    assert_non_null(section);
    module_kind = kind;
    bool opened = http_open(&http, &problem) == STATUS_OK &&
                  aws_open(http, of_aws, &aws, &problem) == STATUS_OK;
    struct edge_context context = {.thread = fake_frame_thread(), .http = http, .aws = aws};
    if (!opened || kind->open(&context, section, &module, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    json_decref(section);
    json_decref(of_aws);
}

int live_tear_down(void **state)
{
    (void)state;
    if (!is_missing())
        live_tell("{\"rates\": {}, \"next\": []}");
    close_module();
    fake_frame_reset();
    return 0;
}

/* ---- calls -------------------------------------------------------------------------------------
 */

struct fake_call *live_call(uint32_t handler, const char *key, const char *input)
{
    struct fake_call *fake = fake_call_make(handler, key, input);
    module_kind->call(module, &fake->call);
    return fake;
}

struct fake_call *live_begin(uint32_t handler, const char *input)
{
    char key[EDGE_KEY_BYTES];
    snprintf(key, sizeof key, "4f3a9c0d21b7e865-%u-3", ++keys_made);
    return live_call(handler, key, input);
}

struct fake_call *live_begin_again(const struct fake_call *fake)
{
    char *input = json_dumps(fake->call.input, JSON_ENCODE_ANY);
    struct fake_call *again = live_call(fake->call.handler, fake->call.key, input);
    free(input);
    return again;
}

void live_turn_until(uint32_t open_count)
{
    uint64_t end_ns = clock_now_ns() + RIG_SECONDS_MAX * UINT64_C(1000000000);
    while (fake_calls_open() > open_count) {
        if (clock_now_ns() > end_ns)
            fail_msg("%u calls are still open", fake_calls_open());
        http_turn(http);
        int64_t wait_ms = module_kind->turn(module, NULL, 0);
        wait_ms = sooner(wait_ms, aws_turn(aws));
        if (fake_calls_open() > open_count)
            http_wait(http, NULL, 0, sooner(wait_ms, 1000));
    }
}

struct fake_call *live_run(uint32_t handler, const char *input)
{
    struct fake_call *fake = live_begin(handler, input);
    live_turn_until(0);
    return fake;
}

struct fake_call *live_run_again(const struct fake_call *fake)
{
    struct fake_call *again = live_begin_again(fake);
    live_turn_until(0);
    return again;
}
