/*
 * Connections and the store take their files from one limit. Whoever connects must not be able to
 * take the last ones: a journal that cannot open its next file ends the engine.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/main/serve_parts.h"

/* RocksDB has up to 256 open; history, checkpoints, the control socket and its clients, rings. */
#define FILES_OF_ENGINE 512u
/* Those who wait in the line of a listener may all have a file at one moment, before the one too
 * many is counted; where files are few, a quarter of them are left for that. */
#define FILES_OF_BURST 4096u

/* As many as the system lets it have. */
static enum status raise_limit(struct rlimit *limit, struct problem *problem)
{
    if (getrlimit(RLIMIT_NOFILE, limit) != 0)
        return problem_set(problem, STATUS_IO, "how many files may be open is not told: %s",
                           strerror(errno));
    struct rlimit raised = {.rlim_cur = limit->rlim_max, .rlim_max = limit->rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        *limit = raised;
    return STATUS_OK;
}

enum status serve_limit_connections(struct serve *serve, struct problem *problem)
{
    struct rlimit limit;
    enum status status = raise_limit(&limit, problem);
    if (status != STATUS_OK || limit.rlim_cur == RLIM_INFINITY)
        return status;
    uint64_t files = limit.rlim_cur;
    uint64_t burst = (uint64_t)FILES_OF_BURST * serve->options.addresses_count;
    burst = files / 4 < burst ? files / 4 : burst;
    if (files <= FILES_OF_ENGINE + burst)
        return problem_set(problem, STATUS_NO_SPACE,
                           "only %llu files may be open at once, and the engine needs %u for "
                           "itself and some for connections: raise the limit (ulimit -n, "
                           "LimitNOFILE=) to 1024 at least",
                           (unsigned long long)files, FILES_OF_ENGINE);
    uint64_t left = files - FILES_OF_ENGINE - burst;
    if (serve->options.connections_max <= left)
        return STATUS_OK;
    log_say(&serve->log, LOG_WARN, "connections_limited", LOG_NUMBER("connections", left),
            LOG_NUMBER("files", files),
            LOG_TEXT("text", "fewer than --connections-max, since no more files may be open at "
                             "once: raise the limit (ulimit -n, LimitNOFILE=)"));
    serve->options.connections_max = (uint32_t)left;
    return STATUS_OK;
}
