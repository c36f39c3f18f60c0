#include "tests/edge/live.h"

#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/edge/aws.h"
#include "engine/edge/http.h"

static void put_between(struct live *live)
{
    rig_start_proxy(&live->server, &live->proxy);
    setenv("AWS_ACCESS_KEY_ID", "test", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
}

void live_start(struct live *live, enum rig_kind server)
{
    *live = (struct live){0};
    rig_start(server, &live->server);
    put_between(live);
}

void live_start_lambda(struct live *live, const char *functions_path)
{
    *live = (struct live){0};
    rig_start_lambda(functions_path, &live->server);
    put_between(live);
}

void live_open(struct live *live, const struct edge_kind *kind, const char *config)
{
    struct problem problem = {0};
    json_t *section = json_loads(config, 0, NULL);
    json_t *aws = json_pack("{s:s, s:s}", "region", RIG_REGION, "endpoint_url", live->proxy.url);
    assert_non_null(section);
    live->kind = kind;
    bool opened = http_open(&live->http, &problem) == STATUS_OK &&
                  aws_open(live->http, aws, &live->aws, &problem) == STATUS_OK;
    struct edge_context context = {
        .thread = fake_frame_thread(), .http = live->http, .aws = live->aws};
    if (!opened || kind->open(&context, section, &live->module, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    json_decref(section);
    json_decref(aws);
}

void live_call(struct live *live, struct fake_call *fake)
{
    live->kind->call(live->module, &fake->call);
}

static int64_t sooner(int64_t one_ms, int64_t other_ms)
{
    if (one_ms < 0)
        return other_ms;
    return other_ms < 0 || one_ms < other_ms ? one_ms : other_ms;
}

void live_run(struct live *live, uint32_t open_count)
{
    uint64_t end_ns = clock_now_ns() + RIG_SECONDS_MAX * UINT64_C(1000000000);
    while (fake_calls_open() > open_count) {
        if (clock_now_ns() > end_ns)
            fail_msg("%u calls are still open", fake_calls_open());
        http_turn(live->http);
        int64_t wait_ms = live->kind->turn(live->module, NULL, 0);
        wait_ms = sooner(wait_ms, aws_turn(live->aws));
        if (fake_calls_open() > open_count)
            http_wait(live->http, NULL, 0, sooner(wait_ms, 1000));
    }
}

void live_close(struct live *live)
{
    if (live->module == NULL)
        return;
    http_close(live->http);
    aws_close(live->aws);
    live->kind->close(live->module);
    live->module = NULL;
}

void live_stop(struct live *live)
{
    live_close(live);
    rig_stop(&live->proxy);
    rig_stop(&live->server);
}
