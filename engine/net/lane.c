#include "engine/net/lane_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define ENTRIES_COUNT    1024u
#define BUFFER_GROUP     0
#define COMMANDS_AT_ONCE 1024u
/* What one record of TLS may add to the plain text of a buffer: its part that came before. */
#define TLS_BUFFER_BYTES 20480u
#define WAIT_NS_MAX      (UINT64_C(3600) * 1000 * 1000 * 1000)

/* ---- opening and closing ------------------------------------------------------------------------
 */

static uint32_t share(const struct lane_options *options)
{
    return (options->connections_max - options->index + options->lanes_count - 1) /
           options->lanes_count;
}

/* Of each receive buffer, connection and chunk there is one word to say at a time: DATA, READY and
 * CLOSED, the return. Of an accepted socket too, which no connection is yet. */
static enum status open_rings(struct lane *lane)
{
    const struct lane_options *options = &lane->options;
    uint64_t events = (uint64_t)options->recv_buffers + 2u * (uint64_t)lane->connections_count +
                      options->connections_max + 1;
    if (events > RING_CAPACITY_MAX || options->chunks_max > RING_CAPACITY_MAX)
        return STATUS_NO_MEMORY;
    enum status status =
        ring_open(&lane->commands, LANE_COMMANDS_COUNT, sizeof(struct lane_command));
    if (status == STATUS_OK)
        status = ring_open(&lane->events, (uint32_t)events, sizeof(struct lane_event));
    if (status == STATUS_OK)
        status =
            ring_open(&lane->returns, (uint32_t)options->chunks_max, sizeof(struct lane_chunk *));
    return status;
}

/* A child of a fork has no use for it, and what is written here must not be copied for one. */
static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, bytes, MADV_DONTFORK);
    return memory;
}

static void unmap(void *memory, size_t bytes)
{
    if (memory != NULL)
        munmap(memory, bytes);
}

static enum status open_buffers(struct lane *lane)
{
    uint32_t count = lane->options.recv_buffers;
    lane->buffer_bytes = TRANSPORT_RECV_BYTES + (lane->options.tls == NULL ? 0 : TLS_BUFFER_BYTES);
    lane->buffer_ring = map(count * sizeof(struct io_uring_buf));
    lane->buffers = map(count * lane->buffer_bytes);
    return lane->buffer_ring == NULL || lane->buffers == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status register_buffers(struct lane *lane, struct problem *problem)
{
    io_uring_buf_ring_init(lane->buffer_ring);
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)lane->buffer_ring,
                                            .ring_entries = lane->options.recv_buffers,
                                            .bgid = BUFFER_GROUP};
    int error = io_uring_register_buf_ring(&lane->uring, &registration, 0);
    if (error != 0)
        return problem_set(problem, STATUS_UNSUPPORTED,
                           "io_uring takes no ring of receive buffers (%s): Linux 6.1 is needed",
                           strerror(-error));
    for (uint32_t buffer = 0; buffer < lane->options.recv_buffers; buffer++)
        lane_give_back(lane, buffer);
    return STATUS_OK;
}

static enum status open_memory(struct lane *lane)
{
    lane->connections_count = share(&lane->options);
    lane->connections = calloc(lane->connections_count + 1, sizeof *lane->connections);
    if (lane->connections == NULL)
        return STATUS_NO_MEMORY;
    enum status status = open_rings(lane);
    return status == STATUS_OK ? open_buffers(lane) : status;
}

enum status lane_open(struct lane *lane, const struct lane_options *options,
                      struct problem *problem)
{
    memset(lane, 0, sizeof *lane);
    lane->options = *options;
    lane->bell.fd = -1;
    lane->retry_ns = LANE_NOTHING_NS;
    TAILQ_INIT(&lane->starved);
    TAILQ_INIT(&lane->polite);
    lane->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (lane->spare_fd < 0)
        return problem_set(problem, STATUS_IO, "no file descriptor is left: raise ulimit -n");
    if (open_memory(lane) != STATUS_OK)
        return problem_set(problem, STATUS_NO_MEMORY,
                           "no memory for %u connections and %u receive buffers",
                           options->connections_max, options->recv_buffers);
    enum status status = lane_uring_open(&lane->uring, ENTRIES_COUNT, problem);
    if (status != STATUS_OK)
        return status;
    lane->has_uring = true;
    return register_buffers(lane, problem);
}

static void free_events(struct lane *lane)
{
    while (lane->events != NULL && ring_peek(lane->events, 1) == 1) {
        const struct lane_event *event = ring_front(lane->events, 0);
        if (event->kind == LANE_ACCEPTED)
            close(event->fd);
        else if (event->kind != LANE_DATA)
            free(event->text);
        ring_consume(lane->events, 1);
    }
}

void lane_close(struct lane *lane)
{
    if (lane->has_uring)
        io_uring_queue_exit(&lane->uring);
    free_events(lane);
    for (uint32_t i = 0; i < lane->listeners_count; i++)
        if (lane->listeners[i].fd >= 0)
            close(lane->listeners[i].fd);
    if (lane->spare_fd >= 0)
        close(lane->spare_fd);
    bell_close(&lane->bell);
    ring_close(lane->commands);
    ring_close(lane->events);
    ring_close(lane->returns);
    free(lane->connections);
    unmap(lane->buffers, lane->options.recv_buffers * lane->buffer_bytes);
    unmap(lane->buffer_ring, lane->options.recv_buffers * sizeof(struct io_uring_buf));
}

/* ---- what the rings carry -----------------------------------------------------------------------
 */

uint64_t lane_operation_data(enum lane_operation operation, uint32_t index)
{
    return (uint64_t)operation << 32 | index;
}

struct io_uring_sqe *lane_operation(struct lane *lane)
{
    struct io_uring_sqe *sqe;
    while ((sqe = io_uring_get_sqe(&lane->uring)) == NULL)
        io_uring_submit(&lane->uring);
    lane->operations++;
    return sqe;
}

/* Last, since what prepares an operation clears it. */
void lane_operation_is(struct io_uring_sqe *sqe, enum lane_operation operation, uint32_t index)
{
    io_uring_sqe_set_data64(sqe, lane_operation_data(operation, index));
}

void lane_tell(struct lane *lane, struct lane_event event)
{
    uint32_t room = ring_reserve(lane->events, 1);
    assert(room == 1);
    *(struct lane_event *)ring_slot(lane->events, 0) = event;
    ring_publish(lane->events, 1);
    lane->has_told = true;
}

void lane_return_chunk(struct lane *lane, struct lane_chunk *chunk)
{
    uint32_t room = ring_reserve(lane->returns, 1);
    assert(room == 1);
    *(struct lane_chunk **)ring_slot(lane->returns, 0) = chunk;
    ring_publish(lane->returns, 1);
    lane->has_told = true;
}

uint8_t *lane_buffer(struct lane *lane, uint32_t buffer)
{
    return lane->buffers + buffer * lane->buffer_bytes;
}

void lane_give_back(struct lane *lane, uint32_t buffer)
{
    int mask = io_uring_buf_ring_mask(lane->options.recv_buffers);
    io_uring_buf_ring_add(lane->buffer_ring, lane_buffer(lane, buffer), TRANSPORT_RECV_BYTES,
                          (uint16_t)buffer, mask, 0);
    io_uring_buf_ring_advance(lane->buffer_ring, 1);
    lane->buffers_free++;
}

uint32_t lane_connection_index(const struct lane *lane, const struct lane_connection *connection)
{
    return (uint32_t)(connection - lane->connections);
}

uint32_t lane_connection_number(const struct lane *lane, const struct lane_connection *connection)
{
    return lane_connection_index(lane, connection) * lane->options.lanes_count +
           lane->options.index;
}

/* ---- commands -----------------------------------------------------------------------------------
 */

static void forget(struct lane_connection *connection)
{
    assert(connection->state == LANE_DONE);
    connection->state = LANE_FREE;
}

static void stop(struct lane *lane)
{
    lane->stopping = true;
    lane_accept_stop(lane);
    for (uint32_t i = 0; i < lane->connections_count; i++)
        lane_connection_cut(lane, &lane->connections[i], false);
}

static void do_command(struct lane *lane, const struct lane_command *command)
{
    struct lane_connection *connection =
        &lane->connections[command->connection / lane->options.lanes_count];
    switch (command->kind) {
    case LANE_ADOPT: lane_connection_adopt(lane, connection, command->fd, command->is_tls); break;
    case LANE_SEND: lane_connection_send(lane, connection, command->chunk); break;
    case LANE_PAUSE: lane_connection_pause(lane, connection, true); break;
    case LANE_RESUME: lane_connection_pause(lane, connection, false); break;
    case LANE_CUT: lane_connection_cut(lane, connection, false); break;
    case LANE_CUT_POLITELY: lane_connection_cut(lane, connection, true); break;
    case LANE_FORGET: forget(connection); break;
    case LANE_GIVE_BACK: lane_give_back(lane, command->buffer); break;
    case LANE_STOP_LISTENING: lane_accept_stop(lane); break;
    case LANE_STOP: stop(lane); break;
    }
}

/* Those who had to wait for a buffer, as many as there are buffers; the others keep their turn. */
static void feed_starved(struct lane *lane)
{
    uint32_t fed = 0;
    struct lane_connection *connection;
    while (fed < lane->buffers_free && (connection = TAILQ_FIRST(&lane->starved)) != NULL) {
        TAILQ_REMOVE(&lane->starved, connection, starved_link);
        connection->starved = false;
        lane_connection_settle(lane, connection);
        fed++;
    }
}

static uint32_t take_commands(struct lane *lane)
{
    uint32_t taken = 0, count;
    while ((count = ring_peek(lane->commands, COMMANDS_AT_ONCE)) > 0) {
        for (uint32_t i = 0; i < count; i++)
            do_command(lane, ring_front(lane->commands, i));
        ring_consume(lane->commands, count);
        taken += count;
    }
    if (!TAILQ_EMPTY(&lane->starved) && lane->buffers_free > 0)
        feed_starved(lane);
    return taken;
}

/* ---- a turn -------------------------------------------------------------------------------------
 */

/* By the call itself: liburing 2.3 declares io_uring_enable_rings, and its library lacks it. */
static void enable(struct lane *lane)
{
    if (lane->is_enabled)
        return;
    long result =
        syscall(SYS_io_uring_register, lane->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    assert(result == 0);
    lane->is_enabled = true;
}

static void complete(struct lane *lane, const struct io_uring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data;
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        lane->operations--;
    switch ((enum lane_operation)(cqe->user_data >> 32)) {
    case LANE_OP_ACCEPT: lane_accept_on(lane, index, cqe); break;
    case LANE_OP_ACCEPT_POLL: lane_accept_on_poll(lane, index); break;
    case LANE_OP_RECV: lane_connection_on_recv(lane, &lane->connections[index], cqe); break;
    case LANE_OP_SEND: lane_connection_on_send(lane, &lane->connections[index], cqe->res); break;
    case LANE_OP_CANCEL: lane_connection_on_cancel(lane, &lane->connections[index]); break;
    case LANE_OP_CANCEL_ACCEPT: break;
    case LANE_OP_WAKE:
        lane->wake_armed = false;
        lane->woken = true;
        break;
    }
}

/* Copied out first: what a completion sets off may enter the kernel. */
static uint32_t take_completions(struct lane *lane)
{
    struct io_uring_cqe *cqe;
    uint32_t taken = 0, most = io_uring_cq_ready(&lane->uring);
    while (taken < most && io_uring_peek_cqe(&lane->uring, &cqe) == 0) {
        struct io_uring_cqe copy = {
            .user_data = cqe->user_data, .res = cqe->res, .flags = cqe->flags};
        io_uring_cqe_seen(&lane->uring, cqe);
        complete(lane, &copy);
        taken++;
    }
    return taken;
}

static bool must_enter(struct lane *lane)
{
    unsigned flags = IO_URING_READ_ONCE(*lane->uring.sq.kflags);
    return io_uring_sq_ready(&lane->uring) > 0 ||
           (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* A peer that was told of the end and does not end has missed nothing. */
static void cut_overdue(struct lane *lane, uint64_t now_ns)
{
    struct lane_connection *connection;
    while ((connection = TAILQ_FIRST(&lane->polite)) != NULL && connection->deadline_ns <= now_ns)
        if (connection->state == LANE_LINGERING)
            lane_connection_cut(lane, connection, false);
        else
            lane_connection_fail(lane, connection, STATUS_IO,
                                 "the peer did not read what was sent before the end");
}

static void take_timers(struct lane *lane)
{
    if (TAILQ_EMPTY(&lane->polite) && lane->retry_ns == LANE_NOTHING_NS)
        return;
    uint64_t now_ns = clock_now_ns();
    cut_overdue(lane, now_ns);
    if (lane->retry_ns <= now_ns)
        lane_accept_retry(lane);
}

static void ring_owner(struct lane *lane)
{
    if (lane->has_told && lane->options.owner_bell != NULL)
        bell_ring(lane->options.owner_bell);
    lane->has_told = false;
}

/* What has to be with the kernel before it is entered. */
static uint32_t prepare(struct lane *lane)
{
    enable(lane);
    uint32_t taken = take_commands(lane);
    if (!lane->stopping)
        lane_accept_arm(lane);
    return taken;
}

void lane_flush(struct lane *lane)
{
    prepare(lane);
    if (must_enter(lane))
        io_uring_submit_and_get_events(&lane->uring);
}

bool lane_turn(struct lane *lane)
{
    take_timers(lane);
    uint32_t done = prepare(lane);
    if (must_enter(lane))
        io_uring_submit_and_get_events(&lane->uring);
    done += take_completions(lane);
    ring_owner(lane);
    return done > 0;
}

/* ---- waiting ------------------------------------------------------------------------------------
 */

static uint64_t until_timer_ns(const struct lane *lane)
{
    uint64_t at_ns = lane->retry_ns;
    const struct lane_connection *first = TAILQ_FIRST(&lane->polite);
    if (first != NULL && first->deadline_ns < at_ns)
        at_ns = first->deadline_ns;
    if (at_ns == LANE_NOTHING_NS)
        return at_ns;
    uint64_t now_ns = clock_now_ns();
    return at_ns > now_ns ? at_ns - now_ns : 0;
}

static void arm_wake(struct lane *lane)
{
    if (lane->wake_armed || lane->options.wake_fd < 0)
        return;
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_poll_add(sqe, lane->options.wake_fd, POLLIN);
    lane_operation_is(sqe, LANE_OP_WAKE, 0);
    lane->wake_armed = true;
}

static void sleep_in_kernel(struct lane *lane, uint64_t timeout_ns)
{
    uint64_t ns = timeout_ns < WAIT_NS_MAX ? timeout_ns : WAIT_NS_MAX;
    struct __kernel_timespec timeout = {.tv_sec = (int64_t)(ns / 1000000000u),
                                        .tv_nsec = (int64_t)(ns % 1000000000u)};
    struct io_uring_cqe *cqe;
    int result = io_uring_submit_and_wait_timeout(&lane->uring, &cqe, 1, &timeout, NULL);
    /* Another thread than the one that turned the lane first. */
    assert(result != -EEXIST);
}

/* wake_fd is emptied before it is looked at again, so that a write after that is seen. */
void lane_wait(struct lane *lane, uint64_t timeout_ns)
{
    prepare(lane);
    ring_owner(lane);
    uint64_t timer_ns = until_timer_ns(lane);
    if (!lane->woken) {
        arm_wake(lane);
        sleep_in_kernel(lane, timer_ns < timeout_ns ? timer_ns : timeout_ns);
        lane_turn(lane);
    }
    if (lane->woken)
        bell_drain_fd(lane->options.wake_fd);
    lane->woken = false;
}

static void cancel_wake(struct lane *lane)
{
    if (!lane->wake_armed)
        return;
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_cancel64(sqe, lane_operation_data(LANE_OP_WAKE, 0), 0);
    lane_operation_is(sqe, LANE_OP_CANCEL_ACCEPT, 0);
}

void lane_shut(struct lane *lane)
{
    enable(lane);
    take_commands(lane);
    stop(lane);
    cancel_wake(lane);
    while (lane->operations > 0) {
        sleep_in_kernel(lane, LANE_NOTHING_NS);
        take_completions(lane);
    }
}
