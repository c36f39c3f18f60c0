/*
 * Accepting. As long as all is well, one multishot accept a listener. Where no file descriptor is
 * left that would fail again and again, even with nobody there; so a poll waits for somebody, who
 * is accepted with the spare descriptor and closed at once: the peer learns of it, and nothing
 * spins.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/net/lane_internal.h"

#define REFUSALS_AT_ONCE 64u

void lane_listen(struct lane *lane, int fd)
{
    assert(lane->listeners_count < TRANSPORT_LISTENERS_MAX);
    lane->listeners[lane->listeners_count++] = (struct lane_listener){.fd = fd};
}

static void arm_accept(struct lane *lane, uint32_t index)
{
    struct lane_listener *listener = &lane->listeners[index];
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
    lane_operation_is(sqe, LANE_OP_ACCEPT, index);
    listener->armed = true;
}

static void arm_poll(struct lane *lane, uint32_t index)
{
    struct lane_listener *listener = &lane->listeners[index];
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_poll_add(sqe, listener->fd, POLLIN);
    lane_operation_is(sqe, LANE_OP_ACCEPT_POLL, index);
    listener->armed = true;
}

void lane_accept_arm(struct lane *lane)
{
    for (uint32_t i = 0; i < lane->listeners_count; i++) {
        if (lane->listeners[i].armed)
            continue;
        if (lane->listeners[i].listening == LANE_LISTENING)
            arm_accept(lane, i);
        if (lane->listeners[i].listening == LANE_FULL)
            arm_poll(lane, i);
    }
}

static void count_refused(struct lane *lane)
{
    atomic_fetch_add_explicit(&lane->refused, 1, memory_order_relaxed);
}

/* The owner says whether there is a number left for it. More than there are numbers in all need not
 * wait for that. */
static void hand_over(struct lane *lane, uint32_t index, int fd)
{
    uint32_t taken = atomic_load_explicit(&lane->accepts_taken, memory_order_acquire);
    if (lane->stopping || lane->listeners[index].listening == LANE_DEAF ||
        lane->accepts - taken >= lane->options.connections_max) {
        close(fd);
        count_refused(lane);
        return;
    }
    lane->accepts++;
    lane_tell(lane, (struct lane_event){.kind = LANE_ACCEPTED, .fd = fd, .listener = index});
}

static void retry_later(struct lane *lane, struct lane_listener *listener)
{
    listener->listening = LANE_RETRYING;
    lane->retry_ns = clock_now_ns() + LANE_RETRY_NS;
}

static void deafen(struct lane_listener *listener)
{
    if (listener->armed || listener->fd < 0)
        return;
    close(listener->fd);
    listener->fd = -1;
}

static void on_accept_failed(struct lane *lane, struct lane_listener *listener, int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE: listener->listening = LANE_FULL; break;
    case ECONNABORTED:
    case EINTR:
    case EAGAIN: break;
    default: retry_later(lane, listener); break;
    }
}

void lane_accept_on(struct lane *lane, uint32_t index, const struct io_uring_cqe *cqe)
{
    struct lane_listener *listener = &lane->listeners[index];
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        listener->armed = false;
    if (cqe->res >= 0)
        hand_over(lane, index, cqe->res);
    else if (listener->listening != LANE_DEAF)
        on_accept_failed(lane, listener, -cqe->res);
    if (listener->listening == LANE_DEAF)
        deafen(listener);
}

/* ---- without a file descriptor ------------------------------------------------------------------
 */

static bool is_somebody_there(const struct lane_listener *listener)
{
    struct pollfd ready = {.fd = listener->fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

/* False if the spare one is gone: then only a timer helps. */
static bool refuse_one(struct lane *lane, struct lane_listener *listener)
{
    if (lane->spare_fd >= 0)
        close(lane->spare_fd);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        count_refused(lane);
    }
    lane->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && lane->spare_fd >= 0;
}

/* True if it may go on so. */
static bool accept_or_refuse(struct lane *lane, uint32_t index)
{
    struct lane_listener *listener = &lane->listeners[index];
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        hand_over(lane, index, fd);
        listener->listening = LANE_LISTENING;
        return false;
    }
    if ((errno == EMFILE || errno == ENFILE) && refuse_one(lane, listener))
        return true;
    retry_later(lane, listener);
    return false;
}

void lane_accept_on_poll(struct lane *lane, uint32_t index)
{
    struct lane_listener *listener = &lane->listeners[index];
    listener->armed = false;
    if (listener->listening == LANE_DEAF) {
        deafen(listener);
        return;
    }
    for (uint32_t i = 0; i < REFUSALS_AT_ONCE && is_somebody_there(listener); i++)
        if (!accept_or_refuse(lane, index))
            return;
}

void lane_accept_retry(struct lane *lane)
{
    lane->retry_ns = LANE_NOTHING_NS;
    if (lane->spare_fd < 0)
        lane->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (uint32_t i = 0; i < lane->listeners_count; i++)
        if (lane->listeners[i].listening == LANE_RETRYING)
            lane->listeners[i].listening = LANE_FULL;
}

/* ---- stopping -----------------------------------------------------------------------------------
 */

static void cancel(struct lane *lane, enum lane_operation operation, uint32_t index)
{
    struct io_uring_sqe *sqe = lane_operation(lane);
    io_uring_prep_cancel64(sqe, lane_operation_data(operation, index), 0);
    lane_operation_is(sqe, LANE_OP_CANCEL_ACCEPT, index);
}

/* A socket is closed once the kernel has nothing to do with it. */
void lane_accept_stop(struct lane *lane)
{
    lane->retry_ns = LANE_NOTHING_NS;
    for (uint32_t i = 0; i < lane->listeners_count; i++) {
        struct lane_listener *listener = &lane->listeners[i];
        enum lane_listening before = listener->listening;
        listener->listening = LANE_DEAF;
        if (listener->armed && before != LANE_DEAF)
            cancel(lane, before == LANE_FULL ? LANE_OP_ACCEPT_POLL : LANE_OP_ACCEPT, i);
        deafen(listener);
    }
}
