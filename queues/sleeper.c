#include "queues/sleeper.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "queues/cgroup.h"

/*
 * Two threads meet here, each of which writes one thing and then reads the other:
 *
 *     owner:  asleep = 1;  read the inputs        waker:  write an input;  read asleep
 *
 * If both reads could pass the write before them, the owner would see no input, the waker nobody
 * asleep, and the owner would sleep on its work. membarrier puts a full barrier into every running
 * thread of the process between the owner's write and its read: a waker's read either comes after
 * it and sees asleep, or its write came before it and the owner sees the input. So a waker needs
 * no barrier of its own, only that the compiler keeps the order.
 *
 * Without membarrier both sides do a read-modify-write of `asleep`. Whichever of the two comes
 * second in the order of that one variable sees the first, and all that was written before it.
 */

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#define NS_A_SECOND 1000000000u

_Static_assert(sizeof(struct sleeper) == 128 && offsetof(struct sleeper, asleep) == 0,
               "a sleeper fills a pair of cache lines");

/* Written before the first thread sleeps, then only read: a line that every core may keep. */
static _Alignas(128) _Atomic bool membarrier_works;

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0u, 0);
}

/* ThreadSanitizer knows nothing of membarrier and would call the cheap path a race. */
void sleeper_setup(void)
{
    bool works = !UNDER_TSAN && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
    atomic_store_explicit(&membarrier_works, works, memory_order_relaxed);
}

void sleeper_init(struct sleeper *sleeper)
{
    assert((uintptr_t)sleeper % _Alignof(struct sleeper) == 0);
    atomic_init(&sleeper->asleep, 0);
    sleeper->event_fd = -1;
    sleeper->waits_count = 0;
}

void sleeper_init_event(struct sleeper *sleeper, int event_fd)
{
    assert(event_fd >= 0);
    sleeper_init(sleeper);
    sleeper->event_fd = event_fd;
}

void sleeper_prepare(struct sleeper *sleeper)
{
    assert(atomic_load_explicit(&sleeper->asleep, memory_order_relaxed) == 0);
    if (!atomic_load_explicit(&membarrier_works, memory_order_relaxed)) {
        atomic_exchange_explicit(&sleeper->asleep, 1, memory_order_seq_cst);
        return;
    }
    atomic_store_explicit(&sleeper->asleep, 1, memory_order_relaxed);
    /* The kernel may be short of memory for it. Then the owner must not sleep this time: the wait
     * returns at once, and the owner polls and comes again. */
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
        sleeper_cancel(sleeper);
}

void sleeper_cancel(struct sleeper *sleeper)
{
    /* An acquire: if a waker was here, what it published is seen by the owner's next poll. */
    atomic_exchange_explicit(&sleeper->asleep, 0, memory_order_acq_rel);
}

static bool may_sleep(const struct sleeper *sleeper, uint64_t timeout_ns)
{
    return timeout_ns > 0 && atomic_load_explicit(&sleeper->asleep, memory_order_relaxed) == 1;
}

void sleeper_block(struct sleeper *sleeper, void (*block)(void *context, uint64_t timeout_ns),
                   void *context, uint64_t timeout_ns)
{
    assert(sleeper->event_fd >= 0);
    if (may_sleep(sleeper, timeout_ns)) {
        sleeper->waits_count++;
        block(context, timeout_ns);
    }
    sleeper_cancel(sleeper);
}

void sleeper_wait(struct sleeper *sleeper, uint64_t timeout_ns)
{
    assert(sleeper->event_fd < 0);
    if (may_sleep(sleeper, timeout_ns)) {
        struct timespec timeout = {
            .tv_sec = (time_t)(timeout_ns / NS_A_SECOND),
            .tv_nsec = (long)(timeout_ns % NS_A_SECOND),
        };
        sleeper->waits_count++;
        long result = syscall(SYS_futex, &sleeper->asleep, FUTEX_WAIT_PRIVATE, 1u,
                              timeout_ns == SLEEPER_FOREVER ? NULL : &timeout, NULL, 0);
        assert(result == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
        (void)result;
    }
    sleeper_cancel(sleeper);
}

static uint32_t read_asleep(struct sleeper *sleeper)
{
    if (!atomic_load_explicit(&membarrier_works, memory_order_relaxed))
        return atomic_fetch_or_explicit(&sleeper->asleep, 0, memory_order_seq_cst);
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&sleeper->asleep, memory_order_relaxed);
}

/* It does not block where the counter is at its end: it can be read then, which is all that is
 * wanted. */
static void write_event(int event_fd)
{
    const uint64_t one = 1;
    ssize_t written;
    do
        written = write(event_fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    assert(written == sizeof one || errno == EAGAIN);
}

void sleeper_wake(struct sleeper *sleeper)
{
    if (read_asleep(sleeper) == 0)
        return;
    /* Of several wakers one makes the system call. */
    if (atomic_exchange_explicit(&sleeper->asleep, 0, memory_order_acq_rel) == 0)
        return;
    if (sleeper->event_fd >= 0) {
        write_event(sleeper->event_fd);
        return;
    }
    long result = syscall(SYS_futex, &sleeper->asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    assert(result >= 0);
    (void)result;
}

static uint32_t affinity_cpus(void)
{
    cpu_set_t cpus[16]; /* the kernel refuses a set smaller than its own: this is 16,384 CPUs */
    if (sched_getaffinity(0, sizeof cpus, cpus) != 0)
        return 1;
    int count = CPU_COUNT_S(sizeof cpus, cpus);
    assert(count > 0);
    return (uint32_t)count;
}

uint32_t sleeper_cpus_allowed(void)
{
    uint32_t affinity = affinity_cpus();
    uint32_t quota = cgroup_cpus_allowed(CGROUP_MEMBERSHIP_PATH, CGROUP_MOUNT_PATH);
    return affinity < quota ? affinity : quota;
}
