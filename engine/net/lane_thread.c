/*
 * A lane on a thread of its own: it sleeps in its own ring, and a bell of which that ring knows
 * wakes it.
 */
#include <errno.h>
#include <string.h>

#include "engine/base/thread.h"
#include "engine/net/lane.h"

static void sleep_unless_told(struct lane *lane)
{
    bell_prepare(&lane->bell);
    if (ring_peek(lane->commands, 1) == 0)
        lane_wait(lane, LANE_NOTHING_NS);
    bell_cancel(&lane->bell);
}

static void *run(void *argument)
{
    struct lane *lane = argument;
    while (!lane->stopping)
        if (!lane_turn(lane))
            sleep_unless_told(lane);
    lane_shut(lane);
    return NULL;
}

enum status lane_start(struct lane *lane, struct problem *problem)
{
    if (!bell_open(&lane->bell))
        return problem_set(problem, STATUS_IO, "no file descriptor is left: raise ulimit -n");
    lane->options.wake_fd = lane->bell.fd;
    int error = thread_start(&lane->thread, "fly-lane", NULL, run, lane);
    if (error != 0)
        return problem_set(problem, STATUS_IO, "cannot start a thread of the transport: %s",
                           strerror(error));
    lane->has_thread = true;
    return STATUS_OK;
}

void lane_join(struct lane *lane)
{
    pthread_join(lane->thread, NULL);
    lane->has_thread = false;
}
