#include "engine/main/reach.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/admin/admin.h"
#include "engine/main/control.h"
#include "engine/main/reach_remote.h"

#define WAIT_NS_MAX 100000000u

/* One is not made by a question that was put to the wrong place. */
static enum status check_directory(const char *directory, struct problem *problem)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/journal", directory) < sizeof path &&
        access(path, F_OK) == 0)
        return STATUS_OK;
    return problem_set(problem, STATUS_NOT_FOUND,
                       "there is no data directory at %s: name the one that the engine was given "
                       "with --data",
                       directory);
}

static enum status open_partition(struct reach *reach, struct problem *problem)
{
    struct partition_options options = {
        .directory = reach->directory,
        .durability = DURABILITY_SYNC,
        .offline = true,
        .history_bytes = UINT64_MAX, /* how much is kept is the engine's to say */
    };
    enum status status = check_directory(reach->directory, problem);
    return status == STATUS_OK ? partition_open(&options, &reach->partition, problem) : status;
}

static enum status ask_partition(struct reach *reach, json_t *request, json_t **ret_reply,
                                 struct problem *problem)
{
    struct admin_job job;
    enum status status = STATUS_OK;
    bool worked = false;
    admin_begin(&job, json_incref(request));
    while (status == STATUS_OK && !admin_turn(&job, reach->partition, &worked)) {
        bool polled;
        status = partition_poll(reach->partition, &polled, problem);
        if (!polled && !worked)
            partition_wait(reach->partition, WAIT_NS_MAX);
        worked = false;
    }
    json_t *reply = admin_end(&job);
    if (status == STATUS_OK)
        *ret_reply = reply;
    else
        json_decref(reply);
    return status;
}

static enum status ask_once(struct reach *reach, json_t *request, json_t **ret_reply,
                            bool *ret_refused, struct problem *problem)
{
    json_t *reply = NULL;
    enum status status = STATUS_NOT_FOUND;
    if (reach->partition == NULL)
        status = control_ask(reach->directory, request, &reply, problem);
    if (status == STATUS_NOT_FOUND) {
        status = reach->partition != NULL ? STATUS_OK : open_partition(reach, problem);
        if (status == STATUS_OK)
            status = ask_partition(reach, request, &reply, problem);
    }
    return status == STATUS_OK ? admin_check_reply(reply, ret_reply, ret_refused, problem) : status;
}

enum status reach_ask(struct reach *reach, json_t *request, json_t **ret_reply, bool *ret_refused,
                      struct problem *problem)
{
    static const struct timespec pause = {.tv_nsec = REACH_RETRY_MS * 1000000};
    *ret_refused = false;
    if (reach->address != NULL)
        return reach_ask_remote(reach, request, ret_reply, ret_refused, problem);
    for (uint32_t waited_ms = 0;; waited_ms += REACH_RETRY_MS) {
        enum status status = ask_once(reach, request, ret_reply, ret_refused, problem);
        if (status != STATUS_IN_USE || waited_ms >= REACH_RETRY_MS_MAX)
            return status;
        nanosleep(&pause, NULL);
    }
}

static enum status ask(void *context, json_t *request, json_t **ret_reply, bool *ret_refused,
                       struct problem *problem)
{
    return reach_ask(context, request, ret_reply, ret_refused, problem);
}

struct asker reach_asker(struct reach *reach)
{
    return (struct asker){
        .directory = reach->directory, .ask = ask, .context = reach, .may_replay = true};
}

enum status reach_close(struct reach *reach, struct problem *problem)
{
    enum status status = STATUS_OK;
    if (reach->partition != NULL)
        status = partition_stop(reach->partition, NULL, problem);
    partition_free(reach->partition);
    reach->partition = NULL;
    flyover_close(reach->client);
    reach->client = NULL;
    return status;
}
