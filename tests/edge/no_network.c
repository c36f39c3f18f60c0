#include "engine/edge/aws.h"
#include "engine/edge/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/edge/no_network.h"

_Atomic uint32_t no_http_open, no_http_wakes, no_aws_open;
_Atomic uint64_t no_http_waits;
bool no_http_refuses, no_aws_refuses;
int64_t (*no_aws_turn)(void);

struct http {
    int event_fd;
};

struct aws {
    struct http *http;
};

enum status http_open(struct http **ret_http, struct problem *problem)
{
    if (no_http_refuses)
        return problem_set(problem, STATUS_NO_MEMORY, "no HTTP today");
    struct http *http = calloc(1, sizeof *http);
    assert(http != NULL);
    http->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(http->event_fd >= 0);
    no_http_open++;
    *ret_http = http;
    return STATUS_OK;
}

void http_close(struct http *http)
{
    no_http_open--;
    close(http->event_fd);
    free(http);
}

void http_turn(struct http *http)
{
    (void)http;
}

bool http_flush(struct http *http)
{
    (void)http;
    return false;
}

void http_wait(struct http *http, struct pollfd *fds, uint32_t fds_count, int64_t timeout_ms)
{
    struct pollfd all[512] = {{.fd = http->event_fd, .events = POLLIN}};
    uint64_t rung;
    assert(fds_count < 512);
    no_http_waits++;
    memcpy(all + 1, fds, fds_count * sizeof *fds);
    (void)poll(all, fds_count + 1, (int)timeout_ms);
    memcpy(fds, all + 1, fds_count * sizeof *fds);
    ssize_t taken = read(http->event_fd, &rung, sizeof rung);
    (void)taken;
}

void http_wake(struct http *http)
{
    static const uint64_t one = 1;
    no_http_wakes++;
    ssize_t written = write(http->event_fd, &one, sizeof one);
    (void)written;
}

enum status aws_open_in(const struct world *world, struct http *http, const json_t *config,
                        struct aws **ret_aws, struct problem *problem)
{
    (void)config;
    world->on_log(world->log_context, 6, "aws", "its region is eu-central-1");
    if (no_aws_refuses)
        return problem_set(problem, STATUS_INVALID, "aws.profile: there is no profile 'shop'");
    *ret_aws = calloc(1, sizeof **ret_aws);
    assert(*ret_aws != NULL);
    (*ret_aws)->http = http;
    no_aws_open++;
    return STATUS_OK;
}

void aws_close(struct aws *aws)
{
    no_aws_open--;
    free(aws);
}

int64_t aws_turn(struct aws *aws)
{
    (void)aws;
    return no_aws_turn == NULL ? -1 : no_aws_turn();
}
