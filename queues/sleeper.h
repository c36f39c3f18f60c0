/*
 * sleeper: how a thread with several inputs goes to sleep, and how those who feed it wake it.
 *
 * One thread owns a sleeper; any number of threads may wake it. The protocol is asymmetric: the
 * one who sleeps pays (a membarrier, about 0.4 us), the one who publishes pays a plain load while
 * nobody sleeps.
 *
 *     sleeper (owner)                      waker (producer)
 *     sleeper_prepare(s)                   ring_publish(...)
 *     poll every input once more           sleeper_wake(s)
 *     found something: sleeper_cancel(s)
 *     found nothing:   sleeper_wait(s, timeout_ns)
 *
 * An owner that has other things to wait for, in a call of its own, gives its sleeper an eventfd:
 * that call waits for the eventfd too, and reads it away. Then sleeper_block stands for
 * sleeper_wait, and a waker writes to the eventfd. What is written stays until it is read, so that
 * it does not matter when the call begins.
 *
 * No wake-up is lost: either the owner's last poll sees what was published, or the waker sees that
 * the owner sleeps. Where membarrier(2) is missing, both sides pay an atomic read-modify-write.
 *
 * Source: membarrier(2) MEMBARRIER_CMD_PRIVATE_EXPEDITED, futex(2), eventfd(2).
 */
#ifndef QUEUES_SLEEPER_H
#define QUEUES_SLEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Caller's memory, on a cache line of its own: a struct that holds one is aligned to 128 bytes, so
 * take it with aligned_alloc. The fields are for sleeper.c alone. */
struct sleeper {
    _Alignas(128) _Atomic uint32_t asleep;
    int32_t event_fd;     /* -1: it sleeps on a futex */
    uint64_t waits_count; /* owner: how often it went to sleep */
    char padding[128 - 16];
};

#define SLEEPER_FOREVER UINT64_MAX

/* Once a process, before the first thread sleeps: registers for membarrier. Idempotent. */
void sleeper_setup(void);

void sleeper_init(struct sleeper *sleeper);
/* `event_fd` is borrowed, does not block (EFD_NONBLOCK), and is open for as long as anybody may
 * wake. */
void sleeper_init_event(struct sleeper *sleeper, int event_fd);
/* Owner: from here on a producer's sleeper_wake will end the wait. */
void sleeper_prepare(struct sleeper *sleeper);
/* Owner: there is work after all. */
void sleeper_cancel(struct sleeper *sleeper);
/* Owner, after sleeper_prepare: sleeps until woken or for timeout_ns (0: returns at once). May
 * wake for no reason; the owner polls its inputs anyway. */
void sleeper_wait(struct sleeper *sleeper, uint64_t timeout_ns);
/* The same with an eventfd: `block` sleeps until it can be read, reads it, and may return before
 * for any reason. It is not called if somebody was here to wake already. */
void sleeper_block(struct sleeper *sleeper, void (*block)(void *context, uint64_t timeout_ns),
                   void *context, uint64_t timeout_ns);
/* Any thread, after it has published. */
void sleeper_wake(struct sleeper *sleeper);

/* How many CPUs this process may use: the smaller of its affinity and its cgroup quota (rounded
 * up), at least 1. A program that runs more threads than this must not spin. The affinity is the
 * calling thread's: ask before pinning threads. */
uint32_t sleeper_cpus_allowed(void);

#endif
