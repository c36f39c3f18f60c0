#include "tests/partition/remote_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define TURNS_MAX 20

struct partition_options remote_rig_options(const struct rig *rig)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.remote = true;
    return options;
}

void remote_rig_open(struct rig *rig, const char *definition)
{
    struct partition_options options = remote_rig_options(rig);
    rig_open(rig, &options, definition);
}

uint32_t remote_rig_lane(struct rig *rig, const char *name)
{
    uint32_t lane;
    struct problem problem = {0};
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    const char *dot = strchr(name, '.');
    assert_non_null(dot);
    int bytes = snprintf(service, sizeof service, "%.*s", (int)(dot - name), name);
    assert_true(bytes >= 0 && (size_t)bytes < sizeof service);
    if (remote_open_lane(rig->partition, service, dot + 1, &lane, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return lane;
}

struct remote_invocation remote_rig_take(struct rig *rig, const char *lane)
{
    struct remote_invocation call;
    uint32_t index = remote_rig_lane(rig, lane);
    for (int i = 0; i < TURNS_MAX; i++) {
        if (remote_take(rig->partition, index, &call))
            return call;
        rig_turn(rig);
    }
    fail_msg("nothing waits for %s", lane);
    return call;
}

enum status remote_rig_done(struct rig *rig, const char *lane, const struct remote_invocation *call,
                            const char *output)
{
    struct flyover_bytes bytes = {0};
    if (output != NULL)
        bytes = rig_text(output);
    return remote_done(rig->partition, remote_rig_lane(rig, lane), call->branch, call->generation,
                       bytes);
}

enum status remote_rig_failed(struct rig *rig, const char *lane,
                              const struct remote_invocation *call, bool retryable)
{
    return remote_failed(rig->partition, remote_rig_lane(rig, lane), call->branch, call->generation,
                         retryable, rig_text("Far.No"), rig_text("told so"));
}

void remote_rig_give_back(struct rig *rig, const char *lane, const struct remote_invocation *call)
{
    remote_give_back(rig->partition, remote_rig_lane(rig, lane), call->branch, call->generation);
}
