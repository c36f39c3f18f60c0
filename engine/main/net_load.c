#include "engine/main/net_load.h"

#include <assert.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/clock.h"
#include "engine/main/net_options.h"
#include "engine/main/net_worker.h"
#include "engine/main/reach_remote.h"
#include "engine/main/session.h"

#define LOOK_NS      1000000000u
#define STILL_NS_MAX (UINT64_C(60) * 1000000000) /* nothing came in the meantime */
#define OPEN_TICK_NS 200000u /* waking up more often than this is what the load would be */

/* A connection that starts sagas. Slots stand for those under way on it. */
struct lane {
    struct flyover_client *client;
    uint64_t *due_ns; /* by slot: from when on its latency counts */
    uint32_t *free;   /* a stack of slots */
    uint32_t free_count;
    uint32_t *again; /* a stack of those that were told BUSY */
    uint32_t again_count;
};

struct net_load {
    struct net_load_options options;
    uint32_t lanes_count, lane_next;
    uint32_t slots_a_lane;
    struct lane lanes[NET_CONNECTIONS_MAX];
    struct net_worker workers[NET_CONNECTIONS_MAX];
    uint32_t workers_count;
    struct net_idle idle;
    struct pollfd polled[2 * NET_CONNECTIONS_MAX + 1];
    /* Of a run. */
    struct net_load_run run;
    struct net_load_counts *counts;
    uint64_t under_way, due_count; /* due_count: started or due, in order */
    uint64_t again_ns, moved_ns, looked_ns;
    struct problem problem; /* status OK: none */
};

static void fail(struct net_load *load, enum status status, const char *sentence)
{
    if (load->problem.status == STATUS_OK)
        problem_set(&load->problem, status, "%s", sentence);
}

/* ---- starts ---------------------------------------------------------------------------------- */

/* False where the connection takes no more just now. */
static bool send_start(struct net_load *load, struct lane *lane, uint32_t slot)
{
    struct generator_order order = generator_next(load->options.generator);
    const struct flyover_start start = {
        .definition = order.is_return ? load->options.return_definition : load->options.definition,
        .input = order.input.at,
        .input_bytes = order.input.count,
    };
    enum flyover_status status = flyover_send_start(lane->client, &start, FLYOVER_AT_END, slot);
    if (status == FLYOVER_OK)
        return true;
    if (status != FLYOVER_BUSY)
        fail(load, reach_status(status), flyover_problem(lane->client));
    return false;
}

static bool start_one(struct net_load *load, struct lane *lane, uint64_t due_ns)
{
    uint32_t slot = lane->free[lane->free_count - 1];
    lane->due_ns[slot] = due_ns;
    if (!send_start(load, lane, slot))
        return false;
    lane->free_count--;
    load->under_way++;
    load->counts->sent++;
    return true;
}

static void send_again(struct net_load *load, struct lane *lane)
{
    while (lane->again_count > 0 && send_start(load, lane, lane->again[lane->again_count - 1]))
        lane->again_count--;
}

/* When the next start is due; UINT64_MAX: there is none any more. */
static uint64_t next_due_ns(const struct net_load *load)
{
    const struct net_load_run *run = &load->run;
    if (run->sagas_max > 0 && load->due_count >= run->sagas_max)
        return UINT64_MAX;
    double since_s = run->rate_per_s > 0 ? (double)load->due_count / run->rate_per_s : 0;
    if (run->rate_per_s > 0 && run->duration_s > 0 && since_s >= run->duration_s)
        return UINT64_MAX;
    return load->counts->started_ns + (uint64_t)(since_s * 1e9);
}

static bool is_out_of_time(const struct net_load *load, uint64_t now_ns)
{
    const struct net_load_run *run = &load->run;
    return run->rate_per_s == 0 && run->duration_s > 0 &&
           (double)(now_ns - load->counts->started_ns) / 1e9 >= run->duration_s;
}

/* One after the other, so that all have as many; NULL: none has room. */
static struct lane *lane_with_room(struct net_load *load)
{
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        struct lane *lane = &load->lanes[(load->lane_next + i) % load->lanes_count];
        if (lane->free_count > 0) {
            load->lane_next = (load->lane_next + i) % load->lanes_count;
            return lane;
        }
    }
    return NULL;
}

/* Up to a batch on one connection; returns how many. */
static uint32_t start_batch(struct net_load *load, struct lane *lane, uint64_t now_ns)
{
    uint32_t count = 0;
    while (count < load->options.batch && lane->free_count > 0) {
        uint64_t due_ns = next_due_ns(load);
        if (due_ns > now_ns)
            break;
        if (!start_one(load, lane, load->run.rate_per_s > 0 ? due_ns : now_ns))
            break;
        load->due_count++;
        count++;
    }
    flyover_flush(lane->client);
    return count;
}

static void start_some(struct net_load *load)
{
    uint64_t now_ns = clock_now_ns();
    for (uint32_t i = 0; i < load->lanes_count && now_ns >= load->again_ns; i++)
        send_again(load, &load->lanes[i]);
    struct lane *lane;
    while (session_signal() == 0 && !is_out_of_time(load, now_ns) &&
           (lane = lane_with_room(load)) != NULL && start_batch(load, lane, now_ns) > 0) {
        load->lane_next = (load->lane_next + 1) % load->lanes_count;
        now_ns = clock_now_ns();
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void count_outcome(struct net_load_counts *counts, const char *outcome)
{
    if (strcmp(outcome, "SUCCEEDED") == 0)
        counts->succeeded++;
    else if (strcmp(outcome, "COMPENSATED") == 0)
        counts->compensated++;
    else if (strcmp(outcome, "STUCK") == 0)
        counts->stuck++;
    else
        counts->failed++;
}

static void on_ended(struct net_load *load, struct lane *lane, uint32_t slot, const char *outcome,
                     uint64_t now_ns)
{
    count_outcome(load->counts, outcome);
    histogram_add(&load->counts->latency_ns, now_ns - lane->due_ns[slot]);
    lane->free[lane->free_count++] = slot;
    load->under_way--;
}

static void on_refused(struct net_load *load, struct lane *lane,
                       const struct flyover_answer_message *answer, uint64_t now_ns)
{
    if (answer->status != FLYOVER_BUSY) {
        fail(load, reach_status(answer->status), answer->problem);
        return;
    }
    load->counts->busy++;
    load->again_ns = now_ns + answer->retry_after_ms * UINT64_C(1000000);
    lane->again[lane->again_count++] = (uint32_t)answer->word;
}

/* One look at the clock for all that came together: it came before it. */
static bool take_answers(struct net_load *load, struct lane *lane)
{
    struct flyover_answer_message answer;
    uint64_t now_ns = 0, count = 0;
    while (flyover_next(lane->client, &answer, 0)) {
        if (count++ % 64 == 0)
            now_ns = clock_now_ns();
        if (answer.kind == FLYOVER_ENDED)
            on_ended(load, lane, (uint32_t)answer.word, answer.outcome, now_ns);
        else if (answer.kind == FLYOVER_REFUSED_REQUEST)
            on_refused(load, lane, &answer, now_ns);
    }
    if (flyover_is_lost(lane->client))
        fail(load, STATUS_IO, flyover_problem(lane->client));
    return count > 0;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static uint32_t fill_polled(struct net_load *load)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < load->lanes_count + load->workers_count; i++) {
        struct flyover_client *client = i < load->lanes_count
                                            ? load->lanes[i].client
                                            : load->workers[i - load->lanes_count].client;
        short events = flyover_wants_write(client) ? POLLIN | POLLOUT : POLLIN;
        load->polled[count++] = (struct pollfd){.fd = flyover_fd(client), .events = events};
    }
    if (load->idle.count > 0)
        load->polled[count++] = (struct pollfd){.fd = load->idle.poll_fd, .events = POLLIN};
    return count;
}

/* Until the next start is due, or one may be made again. */
static uint64_t wait_ns(const struct net_load *load, uint64_t now_ns)
{
    uint64_t until_ns = now_ns + LOOK_NS;
    bool has_again = false, has_room = false;
    for (uint32_t i = 0; i < load->lanes_count; i++) {
        has_again |= load->lanes[i].again_count > 0;
        has_room |= load->lanes[i].free_count > 0;
    }
    if (has_again && load->again_ns < until_ns)
        until_ns = load->again_ns;
    uint64_t due_ns = load->run.rate_per_s > 0 && has_room ? next_due_ns(load) : UINT64_MAX;
    if (due_ns < now_ns + OPEN_TICK_NS)
        due_ns = now_ns + OPEN_TICK_NS;
    if (due_ns < until_ns)
        until_ns = due_ns;
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

static void look(struct net_load *load, uint64_t now_ns, bool moved)
{
    if (moved)
        load->moved_ns = now_ns;
    else if (load->under_way > 0 && now_ns - load->moved_ns > STILL_NS_MAX)
        fail(load, STATUS_IO, "nothing has ended for a minute: look at the engine");
    if (load->options.on_look != NULL)
        load->options.on_look(load->options.context);
}

/* What came, by connection; all of them once a second, for heartbeats and reconnects. */
static bool take_all(struct net_load *load, bool of_all)
{
    bool moved = false;
    for (uint32_t i = 0; i < load->lanes_count; i++)
        if (of_all || load->polled[i].revents != 0)
            moved |= take_answers(load, &load->lanes[i]);
    for (uint32_t i = 0; i < load->workers_count; i++) {
        if (!of_all && load->polled[load->lanes_count + i].revents == 0)
            continue;
        load->counts->invocations += net_worker_turn(&load->workers[i], of_all, &load->problem);
    }
    if (load->idle.count > 0 && load->polled[load->lanes_count + load->workers_count].revents != 0)
        net_idle_turn(&load->idle);
    return moved;
}

static void turn(struct net_load *load)
{
    start_some(load);
    uint32_t count = fill_polled(load);
    uint64_t now_ns = clock_now_ns(), left_ns = wait_ns(load, now_ns);
    struct timespec timeout = {.tv_sec = (time_t)(left_ns / 1000000000u),
                               .tv_nsec = (long)(left_ns % 1000000000u)};
    int ready = ppoll(load->polled, count, &timeout, NULL);
    if (ready <= 0) /* interrupted, or in time: what stood in revents before counts no more */
        for (uint32_t i = 0; i < count; i++)
            load->polled[i].revents = 0;
    now_ns = clock_now_ns();
    bool is_due = now_ns - load->looked_ns >= LOOK_NS;
    bool moved = take_all(load, is_due);
    if (moved || is_due)
        look(load, now_ns, moved);
    if (is_due)
        load->looked_ns = now_ns;
}

/* ---- the wire -------------------------------------------------------------------------------- */

static void add_wire_bytes(int fd, uint64_t *out, uint64_t *in)
{
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0)
        return; /* a unix socket */
    *out += info.tcpi_bytes_acked;
    *in += info.tcpi_bytes_received;
}

static void measure_wire(const struct net_load *load, uint64_t *ret_out, uint64_t *ret_in)
{
    *ret_out = *ret_in = 0;
    for (uint32_t i = 0; i < load->lanes_count; i++)
        add_wire_bytes(flyover_fd(load->lanes[i].client), ret_out, ret_in);
    for (uint32_t i = 0; i < load->workers_count; i++)
        add_wire_bytes(flyover_fd(load->workers[i].client), ret_out, ret_in);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool is_over(const struct net_load *load)
{
    if (load->problem.status != STATUS_OK)
        return true;
    if (load->under_way > 0)
        return false;
    return session_signal() != 0 || next_due_ns(load) == UINT64_MAX ||
           is_out_of_time(load, clock_now_ns());
}

enum status net_load_run(struct net_load *load, const struct net_load_run *run,
                         struct net_load_counts *ret_counts, struct problem *problem)
{
    uint64_t out_before, in_before;
    assert(load->under_way == 0);
    assert(run->sagas_max > 0 || run->duration_s > 0);
    load->run = *run;
    load->counts = ret_counts;
    memset(ret_counts, 0, sizeof *ret_counts);
    measure_wire(load, &out_before, &in_before);
    uint64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    ret_counts->started_ns = load->moved_ns = load->looked_ns = clock_now_ns();
    load->due_count = 0;
    load->again_ns = 0;
    load->problem = (struct problem){0};
    while (!is_over(load))
        turn(load);
    ret_counts->ended_ns = clock_now_ns();
    ret_counts->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    measure_wire(load, &ret_counts->wire_bytes_out, &ret_counts->wire_bytes_in);
    ret_counts->wire_bytes_out -= out_before;
    ret_counts->wire_bytes_in -= in_before;
    load->counts = NULL;
    if (load->problem.status != STATUS_OK)
        *problem = load->problem;
    return load->problem.status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum status open_slots(struct lane *lane, uint32_t count)
{
    lane->due_ns = calloc(count, sizeof *lane->due_ns);
    lane->free = calloc(count, sizeof *lane->free);
    lane->again = calloc(count, sizeof *lane->again);
    if (lane->due_ns == NULL || lane->free == NULL || lane->again == NULL)
        return STATUS_NO_MEMORY;
    while (lane->free_count < count) {
        lane->free[lane->free_count] = count - 1 - lane->free_count;
        lane->free_count++;
    }
    return STATUS_OK;
}

static enum status open_lane(struct net_load *load, struct problem *problem)
{
    struct lane *lane = &load->lanes[load->lanes_count];
    enum flyover_status status = flyover_connect(&load->options.client, &lane->client);
    if (status != FLYOVER_OK)
        return problem_set(problem, reach_status(status), "%s", flyover_connect_problem());
    load->lanes_count++;
    /* The last requests of the window are for questions. */
    uint32_t wanted =
        (load->options.outstanding + load->options.connections - 1) / load->options.connections;
    uint32_t window = flyover_window(lane->client);
    load->slots_a_lane = wanted < window ? wanted : window;
    return open_slots(lane, load->slots_a_lane) == STATUS_OK
               ? STATUS_OK
               : problem_set(problem, STATUS_NO_MEMORY, "out of memory");
}

static enum status open_workers(struct net_load *load, struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < load->options.workers && status == STATUS_OK; i++) {
        status = net_worker_open(&load->workers[i], &load->options.client,
                                 load->options.outstanding, problem);
        load->workers_count += status == STATUS_OK;
    }
    return status;
}

enum status net_load_open(const struct net_load_options *options, struct net_load **ret_load,
                          struct problem *problem)
{
    struct net_load *load = calloc(1, sizeof *load);
    if (load == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    load->options = *options;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && load->lanes_count < options->connections)
        status = open_lane(load, problem);
    if (status == STATUS_OK)
        status = open_workers(load, problem);
    if (status == STATUS_OK && options->idle > 0)
        status = net_idle_open(&load->idle, &load->options.client, options->idle, problem);
    if (status != STATUS_OK) {
        net_load_close(load);
        return status;
    }
    *ret_load = load;
    return STATUS_OK;
}

void net_load_close(struct net_load *load)
{
    if (load == NULL)
        return;
    for (uint32_t i = 0; i < NET_CONNECTIONS_MAX; i++) {
        flyover_close(load->lanes[i].client);
        free(load->lanes[i].due_ns);
        free(load->lanes[i].free);
        free(load->lanes[i].again);
        net_worker_close(&load->workers[i]);
    }
    net_idle_close(&load->idle);
    free(load);
}

struct flyover_client *net_load_client(struct net_load *load)
{
    return load->lanes[0].client;
}

uint32_t net_load_outstanding(const struct net_load *load)
{
    return load->slots_a_lane * load->lanes_count;
}

uint64_t net_load_under_way(const struct net_load *load)
{
    return load->under_way;
}

uint32_t net_load_idle_lost(const struct net_load *load)
{
    return load->idle.count > 0 ? net_idle_lost(&load->idle) : 0;
}
