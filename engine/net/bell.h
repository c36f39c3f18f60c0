/*
 * bell: wakes a thread that sleeps in the kernel on file descriptors, so where queues/sleeper.h's
 * futex does not reach. Whoever publishes pays one exchange, and a write to an eventfd only if the
 * other sleeps.
 *
 *     sleeper (owner)                       waker (one or more)
 *     bell_prepare(b)                       ring_publish(...)
 *     poll every input once more            bell_ring(b)
 *     found something: bell_cancel(b)
 *     found nothing: sleep until bell->fd can be read, then bell_drain(b)
 *
 * No wake-up is lost: both sides exchange the same word, so that the later of the two sees what the
 * earlier did before.
 *
 * Source: eventfd(2); the read-modify-write of both sides as in queues/sleeper.h without
 * membarrier.
 */
#ifndef ENGINE_NET_BELL_H
#define ENGINE_NET_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bell {
    _Alignas(128) _Atomic uint32_t asleep;
    int fd; /* readable once it was rung */
};

/* False without a file descriptor. */
static inline bool bell_open(struct bell *bell)
{
    atomic_init(&bell->asleep, 0);
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell->fd >= 0;
}

static inline void bell_close(struct bell *bell)
{
    if (bell->fd >= 0)
        close(bell->fd);
    bell->fd = -1;
}

static inline void bell_prepare(struct bell *bell)
{
    atomic_exchange(&bell->asleep, 1);
}

static inline void bell_cancel(struct bell *bell)
{
    atomic_exchange(&bell->asleep, 0);
}

static inline void bell_ring(struct bell *bell)
{
    if (atomic_exchange(&bell->asleep, 0) == 0)
        return;
    uint64_t one = 1;
    ssize_t written = write(bell->fd, &one, sizeof one);
    /* It can only fail where it is full, and then it is readable. */
    (void)written;
}

/* What was written to an eventfd is taken out; it does not block if that is EFD_NONBLOCK. */
static inline void bell_drain_fd(int fd)
{
    uint64_t rung;
    ssize_t taken = read(fd, &rung, sizeof rung);
    (void)taken;
}

static inline void bell_drain(struct bell *bell)
{
    bell_drain_fd(bell->fd);
}

#endif
