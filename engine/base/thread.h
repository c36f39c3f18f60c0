/*
 * thread: threads that hear no signals. A process tells what it does about SIGTERM, SIGINT and
 * SIGHUP on one thread, its first; where every other one blocks them, two signals come in their
 * order and one after the other.
 *
 * Threads: from any one.
 */
#ifndef ENGINE_BASE_THREAD_H
#define ENGINE_BASE_THREAD_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "engine/base/status.h"

/* `name` has at most 15 bytes; `cpus` is where it may run, NULL where the caller may. 0, or an
 * error number: EAGAIN without room for a thread, EINVAL where none of `cpus` may be used.
 * ret_thread is set on success. */
NODISCARD int thread_start(pthread_t *ret_thread, const char *name, const cpu_set_t *cpus,
                           void *(*run)(void *), void *argument);

/* Around a call into a library that starts threads of its own: those hear no signals either. What
 * comes between is heard at the release. */
void thread_hold_signals(sigset_t *ret_before);
void thread_release_signals(const sigset_t *before);

#endif
