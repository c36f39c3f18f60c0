#include "engine/main/net_idle.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/main/reach_remote.h"

#define EVENTS_MAX 256

static enum status open_one(struct net_idle *idle, const struct flyover_client_options *options,
                            struct problem *problem)
{
    struct flyover_client *client;
    enum flyover_status status = flyover_connect(options, &client);
    if (status != FLYOVER_OK)
        return problem_set(problem, reach_status(status), "idle connection %u: %s", idle->count + 1,
                           flyover_connect_problem());
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    idle->clients[idle->count++] = client;
    if (epoll_ctl(idle->poll_fd, EPOLL_CTL_ADD, flyover_fd(client), &event) != 0)
        return problem_set(problem, STATUS_IO, "idle connection %u cannot be polled", idle->count);
    return STATUS_OK;
}

enum status net_idle_open(struct net_idle *idle, const struct flyover_client_options *options,
                          uint32_t count, struct problem *problem)
{
    *idle = (struct net_idle){.poll_fd = epoll_create1(EPOLL_CLOEXEC),
                              .clients = calloc(count, sizeof *idle->clients)};
    if (idle->poll_fd < 0 || idle->clients == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for %u idle connections", count);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && idle->count < count) {
        status = open_one(idle, options, problem);
        net_idle_turn(idle);
    }
    return status;
}

void net_idle_turn(struct net_idle *idle)
{
    struct epoll_event events[EVENTS_MAX];
    struct flyover_answer_message answer;
    int count;
    while ((count = epoll_wait(idle->poll_fd, events, EVENTS_MAX, 0)) > 0)
        for (int i = 0; i < count; i++)
            while (flyover_next(events[i].data.ptr, &answer, 0))
                continue; /* nothing was asked: nothing is to be done with it */
}

uint32_t net_idle_lost(const struct net_idle *idle)
{
    uint32_t lost_count = 0;
    for (uint32_t i = 0; i < idle->count; i++)
        lost_count += flyover_is_lost(idle->clients[i]) || flyover_fd(idle->clients[i]) < 0;
    return lost_count;
}

void net_idle_close(struct net_idle *idle)
{
    if (idle->clients == NULL)
        return;
    for (uint32_t i = 0; i < idle->count; i++)
        flyover_close(idle->clients[i]);
    free(idle->clients);
    close(idle->poll_fd);
    *idle = (struct net_idle){0};
}
