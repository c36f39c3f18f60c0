/*
 * bench_dispatch: what it costs to ask whether an invocation may go, to let it wait, and to choose
 * the next of those that wait.
 *
 * Branches come in a shuffled order, as those of long-running sagas do, so that a queue is a walk
 * over the whole array of nodes: with many waiting the figure is that of memory, with few that of
 * the code.
 */
#include <assert.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/partition/dispatch.h"

#define BRANCHES_MAX (1u << 20)
#define CALLS        (4u << 20)

static uint32_t branches[BRANCHES_MAX];
static struct dispatch dispatch;

static void shuffle(void)
{
    uint64_t random = 1;
    for (uint32_t i = 0; i < BRANCHES_MAX; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t other = (uint32_t)((random >> 33) % (i + 1));
        branches[i] = branches[other];
        branches[other] = i;
    }
}

/* Past the queues, and back. */
static double pass_ns(uint32_t service)
{
    uint64_t went = 0, start_ns = clock_now_ns();
    for (uint32_t i = 0; i < CALLS; i++) {
        measure_keep(i);
        if (!dispatch_may_go(&dispatch, service, start_ns + i))
            continue;
        dispatch_went(&dispatch, service, start_ns + i);
        dispatch_came_back(&dispatch, service, 1);
        went++;
    }
    uint64_t took_ns = clock_now_ns() - start_ns;
    assert(went == CALLS);
    return (double)took_ns / CALLS;
}

struct queue_ns {
    double push;
    double pop; /* and went and came_back */
};

static struct queue_ns queue_ns(uint32_t waiting, uint32_t plans)
{
    uint64_t push_ns = 0, pop_ns = 0;
    uint32_t calls = 0;
    for (uint32_t lap = 0; calls < CALLS; lap++, calls += waiting) {
        uint64_t start_ns = clock_now_ns();
        for (uint32_t i = 0; i < waiting; i++)
            dispatch_push(&dispatch, 0, i % plans, FLYOVER_FORWARD, branches[i], lap);
        uint64_t pushed_ns = clock_now_ns();
        uint32_t branch, generation, popped = 0;
        for (; dispatch_pop(&dispatch, 0, pushed_ns, &branch, &generation); popped++) {
            dispatch_went(&dispatch, 0, pushed_ns);
            dispatch_came_back(&dispatch, 0, 1);
        }
        assert(popped == waiting);
        pop_ns += clock_now_ns() - pushed_ns;
        push_ns += pushed_ns - start_ns;
    }
    return (struct queue_ns){(double)push_ns / calls, (double)pop_ns / calls};
}

static void measure_queue(struct measure *measure, uint32_t waiting, uint32_t plans)
{
    queue_ns(waiting, plans); /* faults the pages in */
    struct queue_ns ns = queue_ns(waiting, plans);
    measure_add(measure, ns.push, "ns a call", "dispatch_push, %u waiting, of %u plans", waiting,
                plans);
    measure_add(measure, ns.pop, "ns an invocation",
                "dispatch_pop, went, came_back, %u waiting, of %u plans", waiting, plans);
}

/* A turn of the engine over 64 services at each of which something waits. */
static void measure_turns(struct measure *measure)
{
    for (uint32_t i = 0; i < PARTITION_SERVICES_MAX; i++)
        dispatch_push(&dispatch, i, 0, FLYOVER_FORWARD, i, UINT32_MAX);
    uint64_t start_ns = clock_now_ns();
    for (uint32_t i = 0; i < CALLS / 64; i++)
        dispatch_turn(&dispatch, start_ns + i * 10000ull);
    measure_add(measure, (double)(clock_now_ns() - start_ns) / (CALLS / 64), "ns a turn",
                "dispatch_turn, something waiting at 64 services");
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv, "Measures engine/partition/dispatch.h on one thread.");
    measure_pin(&measure, 0);
    shuffle();
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        if (dispatch_init(&dispatch, BRANCHES_MAX) != STATUS_OK)
            measure_fail(&measure, &(struct problem){.status = STATUS_NO_MEMORY});
        struct dispatch_limits limits = {.in_flight_max = 1000, .rate_per_s = 1000000000};
        dispatch_set_limits(&dispatch, 1, &limits, 0);
        measure_add(&measure, pass_ns(0), "ns an invocation",
                    "dispatch_may_go, went, came_back, no limits");
        measure_add(&measure, pass_ns(1), "ns an invocation",
                    "dispatch_may_go, went, came_back, limits in flight and of rate");
        measure_queue(&measure, 1000, 1);
        measure_queue(&measure, 1000, 100);
        measure_queue(&measure, 1000000, 1);
        measure_queue(&measure, 1000000, 100);
        measure_turns(&measure);
        dispatch_fini(&dispatch);
    }
    measure_print(&measure);
    return 0;
}
