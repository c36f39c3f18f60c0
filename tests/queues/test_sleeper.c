/*
 * A lost wake-up shows as a test that hangs: the waits here have no end of their own, and ctest's
 * timeout is the judge.
 *
 * With the argument `event` the owner sleeps in a call of its own until an eventfd can be read.
 * With the argument `without_membarrier` the kernel refuses that call (a seccomp filter), and the
 * same tests run on the other way of sleeping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queues/ring.h"
#include "queues/sleeper.h"

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

#define ROUNDS_COUNT 20000u

/* With the argument `event` the sleepers are woken by an eventfd. */
static bool with_event;

static struct sleeper *new_sleeper(void)
{
    struct sleeper *sleeper = aligned_alloc(_Alignof(struct sleeper), sizeof *sleeper);
    assert_non_null(sleeper);
    if (with_event)
        sleeper_init_event(sleeper, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    else
        sleeper_init(sleeper);
    return sleeper;
}

static void free_sleeper(struct sleeper *sleeper)
{
    if (with_event)
        close(sleeper->event_fd);
    free(sleeper);
}

static void wait_for_event(void *context, uint64_t timeout_ns)
{
    struct pollfd event = {.fd = *(const int32_t *)context, .events = POLLIN};
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    uint64_t count;
    if (ppoll(&event, 1, timeout_ns == SLEEPER_FOREVER ? NULL : &timeout, NULL) == 1)
        assert_int_equal(read(event.fd, &count, sizeof count), sizeof count);
}

static void wait_for(struct sleeper *sleeper, uint64_t timeout_ns)
{
    if (with_event)
        sleeper_block(sleeper, wait_for_event, &sleeper->event_fd, timeout_ns);
    else
        sleeper_wait(sleeper, timeout_ns);
}

static void a_wake_before_the_wait_ends_it_at_once(void **state)
{
    (void)state;
    struct sleeper *sleeper = new_sleeper();
    for (uint32_t round = 0; round < 1000; round++) {
        sleeper_prepare(sleeper);
        sleeper_wake(sleeper);
        wait_for(sleeper, SLEEPER_FOREVER);
    }
    assert_int_equal(sleeper->waits_count, 0);
    free_sleeper(sleeper);
}

static void a_timeout_of_zero_returns_at_once(void **state)
{
    (void)state;
    struct sleeper *sleeper = new_sleeper();
    for (uint32_t round = 0; round < 1000; round++) {
        sleeper_prepare(sleeper);
        wait_for(sleeper, 0);
    }
    assert_int_equal(sleeper->waits_count, 0);
    free_sleeper(sleeper);
}

static void a_timeout_ends_the_wait(void **state)
{
    (void)state;
    struct sleeper *sleeper = new_sleeper();
    sleeper_prepare(sleeper);
    wait_for(sleeper, 1);
    sleeper_prepare(sleeper);
    wait_for(sleeper, 1000000);
    assert_int_equal(sleeper->waits_count, 2);
    free_sleeper(sleeper);
}

static void a_cancel_leaves_nobody_to_wake(void **state)
{
    (void)state;
    struct sleeper *sleeper = new_sleeper();
    sleeper_prepare(sleeper);
    assert_int_equal(atomic_load(&sleeper->asleep), 1);
    sleeper_cancel(sleeper);
    assert_int_equal(atomic_load(&sleeper->asleep), 0);
    sleeper_wake(sleeper);
    assert_int_equal(atomic_load(&sleeper->asleep), 0);
    free_sleeper(sleeper);
}

static void *wait_forever(void *argument)
{
    struct sleeper *sleeper = argument;
    wait_for(sleeper, SLEEPER_FOREVER);
    return NULL;
}

/* Prepared here, waited for there: the waker needs no luck to find the owner asleep. */
static void a_wake_ends_a_wait_without_timeout(void **state)
{
    (void)state;
    struct sleeper *sleeper = new_sleeper();
    for (uint32_t round = 0; round < 200; round++) {
        pthread_t thread;
        sleeper_prepare(sleeper);
        assert_int_equal(pthread_create(&thread, NULL, wait_forever, sleeper), 0);
        for (uint32_t i = 0; i < round; i++)
            sched_yield();
        sleeper_wake(sleeper);
        pthread_join(thread, NULL);
    }
    free_sleeper(sleeper);
}

/*
 * The meeting: round after round the two threads start together, one prepares to sleep and polls,
 * the other publishes and wakes. The owner goes to sleep only when the other is through with its
 * sleeper_wake, so that its wait must end at once, or the wake-up was lost.
 */
#define NOISE_COUNT 8u

/* A round with membarrier takes some 10 us, one without a tenth of that. */
static uint32_t meetings_count = 100000;

struct meeting {
    struct sleeper *sleeper;
    _Alignas(128) _Atomic uint32_t owner_ready;
    _Alignas(128) _Atomic uint32_t waker_ready;
    _Alignas(128) _Atomic uint32_t published;
    _Alignas(128) _Atomic uint32_t woken;
    struct {
        _Alignas(128) _Atomic uint32_t word;
    } noise[NOISE_COUNT];
};

/* The other thread may be a round ahead by the time this one looks. */
static void spin_until(const _Atomic uint32_t *count, uint32_t wanted)
{
    for (uint32_t poll = 1; atomic_load_explicit(count, memory_order_acquire) < wanted; poll++)
        if (poll % 1024 == 0)
            sched_yield();
}

static void delay(uint32_t polls_count, const _Atomic uint32_t *word)
{
    for (uint32_t poll = 0; poll < polls_count; poll++)
        (void)atomic_load_explicit(word, memory_order_relaxed);
}

/* Stores to lines that the other thread has just written: until they arrive, what is published
 * next waits in the processor's store buffer behind them, and the read of `asleep` in sleeper_wake
 * has all that time to overtake it. */
static void write_noise(struct meeting *meeting, uint32_t round)
{
    for (uint32_t i = 0; i < NOISE_COUNT; i++)
        atomic_store_explicit(&meeting->noise[i].word, round, memory_order_relaxed);
}

static void *meet_and_wake(void *argument)
{
    struct meeting *meeting = argument;
    for (uint32_t round = 1; round <= meetings_count; round++) {
        atomic_store_explicit(&meeting->waker_ready, round, memory_order_release);
        spin_until(&meeting->owner_ready, round);
        delay(round % 127, &meeting->waker_ready);
        write_noise(meeting, round);
        atomic_store_explicit(&meeting->published, round, memory_order_release);
        sleeper_wake(meeting->sleeper);
        atomic_store_explicit(&meeting->woken, round, memory_order_release);
    }
    return NULL;
}

static void either_the_owner_sees_the_work_or_the_waker_sees_the_sleeper(void **state)
{
    (void)state;
    static struct meeting meeting;
    memset(&meeting, 0, sizeof meeting);
    meeting.sleeper = new_sleeper();
    pthread_t waker;
    assert_int_equal(pthread_create(&waker, NULL, meet_and_wake, &meeting), 0);
    for (uint32_t round = 1; round <= meetings_count; round++) {
        write_noise(&meeting, round);
        /* The line is here already when it is read below, as an input polled often is. */
        (void)atomic_load_explicit(&meeting.published, memory_order_relaxed);
        atomic_store_explicit(&meeting.owner_ready, round, memory_order_release);
        spin_until(&meeting.waker_ready, round);
        delay(round % 113, &meeting.owner_ready);
        sleeper_prepare(meeting.sleeper);
        bool seen = atomic_load_explicit(&meeting.published, memory_order_acquire) == round;
        spin_until(&meeting.woken, round);
        if (seen)
            sleeper_cancel(meeting.sleeper);
        else
            wait_for(meeting.sleeper, SLEEPER_FOREVER);
    }
    pthread_join(waker, NULL);
    free_sleeper(meeting.sleeper);
}

/* One side of a conversation: a count that it alone raises, and a sleeper that it owns. */
struct side {
    struct sleeper *sleeper;
    _Alignas(128) _Atomic uint32_t count;
};

static struct side caller, answerer;

static void say(struct side *from, const struct side *to, uint32_t round)
{
    atomic_store_explicit(&from->count, round, memory_order_release);
    sleeper_wake(to->sleeper);
}

static bool has_said(const struct side *side, uint32_t round)
{
    return atomic_load_explicit(&side->count, memory_order_acquire) == round;
}

/* Polls a little, so that the other side publishes now before, now amid, now after the sleep is
 * prepared, and then sleeps for as long as it takes. */
static void await(struct side *self, const struct side *other, uint32_t round, uint32_t polls_count)
{
    for (uint32_t poll = 0; poll < polls_count; poll++)
        if (has_said(other, round))
            return;
    while (!has_said(other, round)) {
        sleeper_prepare(self->sleeper);
        if (has_said(other, round))
            sleeper_cancel(self->sleeper);
        else
            wait_for(self->sleeper, SLEEPER_FOREVER);
    }
}

static void *answer(void *argument)
{
    (void)argument;
    for (uint32_t round = 1; round <= ROUNDS_COUNT; round++) {
        await(&answerer, &caller, round, round % 61);
        say(&answerer, &caller, round);
    }
    return NULL;
}

static void no_wake_up_is_lost_between_two_threads(void **state)
{
    (void)state;
    caller = (struct side){.sleeper = new_sleeper()};
    answerer = (struct side){.sleeper = new_sleeper()};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
    for (uint32_t round = 1; round <= ROUNDS_COUNT; round++) {
        say(&caller, &answerer, round);
        await(&caller, &answerer, round, round % 211);
    }
    pthread_join(thread, NULL);
    assert_true(has_said(&answerer, ROUNDS_COUNT));
    free_sleeper(caller.sleeper);
    free_sleeper(answerer.sleeper);
}

/* Several producers, each with a ring to one owner: the way the engine is fed. */
#define PRODUCERS_COUNT 4u

struct feed {
    struct ring *ring;
    struct sleeper *owner;
};

static void *produce(void *argument)
{
    struct feed *feed = argument;
    for (uint32_t number = 0; number < 2 * ROUNDS_COUNT;) {
        uint32_t count = ring_reserve(feed->ring, 1);
        if (count == 0) {
            sched_yield();
            continue;
        }
        *(uint32_t *)ring_slot(feed->ring, 0) = number++;
        ring_publish(feed->ring, count);
        sleeper_wake(feed->owner);
    }
    return NULL;
}

/* Returns how many entries there were, which must come in order. */
static uint32_t drain(struct feed *feed, uint32_t *seen_count)
{
    uint32_t count = ring_peek(feed->ring, UINT32_MAX);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(*(const uint32_t *)ring_front(feed->ring, i), (*seen_count)++);
    ring_consume(feed->ring, count);
    return count;
}

static uint32_t drain_all(struct feed *feeds, uint32_t *seen_counts)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < PRODUCERS_COUNT; i++)
        count += drain(&feeds[i], &seen_counts[i]);
    return count;
}

static void no_wake_up_of_several_producers_is_lost(void **state)
{
    (void)state;
    struct sleeper *owner = new_sleeper();
    struct feed feeds[PRODUCERS_COUNT];
    pthread_t threads[PRODUCERS_COUNT];
    for (uint32_t i = 0; i < PRODUCERS_COUNT; i++) {
        feeds[i].owner = owner;
        assert_int_equal(ring_open(&feeds[i].ring, 1 + 5 * i, sizeof(uint32_t)), STATUS_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &feeds[i]), 0);
    }
    uint32_t seen_counts[PRODUCERS_COUNT] = {0};
    for (uint32_t left = PRODUCERS_COUNT * 2 * ROUNDS_COUNT; left > 0;) {
        uint32_t count = drain_all(feeds, seen_counts);
        if (count == 0) {
            sleeper_prepare(owner);
            count = drain_all(feeds, seen_counts);
            if (count > 0)
                sleeper_cancel(owner);
            else
                wait_for(owner, SLEEPER_FOREVER);
        }
        left -= count;
    }
    for (uint32_t i = 0; i < PRODUCERS_COUNT; i++) {
        pthread_join(threads[i], NULL);
        ring_close(feeds[i].ring);
    }
    free_sleeper(owner);
}

/* From here on, membarrier fails in this process; returns whether it does. */
static bool membarrier_forbid(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return false;
    return syscall(SYS_membarrier, 0, 0, 0) == -1 && errno == ENOMEM;
}

/* In a child, with a timer that kills it should it sleep after all. */
static void nobody_sleeps_if_the_barrier_fails_later(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        sleeper_setup();
        bool membarrier_is_used = !UNDER_TSAN && syscall(SYS_membarrier, 0, 0, 0) > 0;
        if (!membarrier_is_used || !membarrier_forbid())
            _exit(77);
        alarm(60);
        struct sleeper *sleeper = new_sleeper();
        sleeper_prepare(sleeper);
        wait_for(sleeper, SLEEPER_FOREVER);
        _exit(sleeper->waits_count == 0 ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    if (WEXITSTATUS(result) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(result), 0);
}

static void *count_cpus_when_pinned(void *argument)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    *(uint32_t *)argument = sleeper_cpus_allowed();
    return NULL;
}

static void cpus_allowed_follow_the_affinity(void **state)
{
    (void)state;
    uint32_t allowed_count = sleeper_cpus_allowed();
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_in_range(allowed_count, 1, CPU_COUNT(&allowed));

    uint32_t pinned_count = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, count_cpus_when_pinned, &pinned_count), 0);
    pthread_join(thread, NULL);
    assert_int_equal(pinned_count, 1);
}

int main(int argc, char **argv)
{
    with_event = argc > 1 && strcmp(argv[argc - 1], "event") == 0;
    if (argc > 1 && strcmp(argv[1], "without_membarrier") == 0) {
        if (!membarrier_forbid())
            return 77;
        meetings_count *= UNDER_TSAN ? 1 : 20;
    }
    sleeper_setup();
    sleeper_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_before_the_wait_ends_it_at_once),
        cmocka_unit_test(a_timeout_of_zero_returns_at_once),
        cmocka_unit_test(a_timeout_ends_the_wait),
        cmocka_unit_test(a_cancel_leaves_nobody_to_wake),
        cmocka_unit_test(a_wake_ends_a_wait_without_timeout),
        cmocka_unit_test(either_the_owner_sees_the_work_or_the_waker_sees_the_sleeper),
        cmocka_unit_test(no_wake_up_is_lost_between_two_threads),
        cmocka_unit_test(no_wake_up_of_several_producers_is_lost),
        cmocka_unit_test(nobody_sleeps_if_the_barrier_fails_later),
        cmocka_unit_test(cpus_allowed_follow_the_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
