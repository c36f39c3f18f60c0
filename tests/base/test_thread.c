#include "engine/base/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const int heard[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1};
#define HEARD_COUNT (sizeof heard / sizeof heard[0])

struct seen {
    sigset_t blocked;
    cpu_set_t cpus;
};

static void *look(void *argument)
{
    struct seen *seen = argument;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    pthread_getaffinity_np(pthread_self(), sizeof seen->cpus, &seen->cpus);
    return argument;
}

static void *wait_for_end(void *argument)
{
    pthread_mutex_lock(argument);
    pthread_mutex_unlock(argument);
    return argument;
}

static struct seen seen_by_a_thread(const cpu_set_t *cpus)
{
    struct seen seen = {0};
    pthread_t thread;
    void *returned = NULL;
    assert_int_equal(thread_start(&thread, "looks", cpus, look, &seen), 0);
    assert_int_equal(pthread_join(thread, &returned), 0);
    assert_ptr_equal(returned, &seen);
    return seen;
}

static void assert_blocked(const sigset_t *set, int expected)
{
    for (size_t i = 0; i < HEARD_COUNT; i++)
        assert_int_equal(sigismember(set, heard[i]), expected);
}

static sigset_t own_mask(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return mask;
}

static void it_hears_no_signals_and_the_caller_still_does(void **state)
{
    (void)state;
    struct seen seen = seen_by_a_thread(NULL);
    assert_blocked(&seen.blocked, 1);
    sigset_t mask = own_mask();
    assert_blocked(&mask, 0);
}

static void it_runs_where_it_may_and_else_where_the_caller_may(void **state)
{
    (void)state;
    cpu_set_t may, one;
    sched_getaffinity(0, sizeof may, &may);
    struct seen seen = seen_by_a_thread(NULL);
    assert_true(CPU_EQUAL(&seen.cpus, &may));
    CPU_ZERO(&one);
    for (size_t cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &may))
            CPU_SET(cpu, &one);
    seen = seen_by_a_thread(&one);
    assert_true(CPU_EQUAL(&seen.cpus, &one));
}

static void no_cpu_is_an_error(void **state)
{
    (void)state;
    cpu_set_t none;
    pthread_t thread;
    CPU_ZERO(&none);
    assert_int_equal(thread_start(&thread, "never", &none, look, NULL), EINVAL);
}

static void it_has_its_name(void **state)
{
    (void)state;
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    char name[16];
    pthread_mutex_lock(&held);
    assert_int_equal(thread_start(&thread, "fifteen letters", NULL, wait_for_end, &held), 0);
    assert_int_equal(pthread_getname_np(thread, name, sizeof name), 0);
    assert_string_equal(name, "fifteen letters");
    pthread_mutex_unlock(&held);
    pthread_join(thread, NULL);
}

static void others_threads_hear_none_while_they_are_held(void **state)
{
    (void)state;
    sigset_t before;
    struct seen seen = {0};
    pthread_t thread;
    thread_hold_signals(&before);
    assert_int_equal(pthread_create(&thread, NULL, look, &seen), 0);
    thread_release_signals(&before);
    pthread_join(thread, NULL);
    assert_blocked(&seen.blocked, 1);
    sigset_t mask = own_mask();
    assert_blocked(&mask, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_hears_no_signals_and_the_caller_still_does),
        cmocka_unit_test(it_runs_where_it_may_and_else_where_the_caller_may),
        cmocka_unit_test(no_cpu_is_an_error),
        cmocka_unit_test(it_has_its_name),
        cmocka_unit_test(others_threads_hear_none_while_they_are_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
