#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* An engine with its threads, whose own thread sleeps in a call of the test until its eventfd can
 * be read. A wake-up that is lost shows as a test that hangs. */

static const char two_steps[] =
    "{\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a\",\"Next\":\"P\"},"
    "\"P\":{\"Type\":\"Task\",\"Resource\":\"service:plain.p\",\"End\":true}}}";
static const char a_wait[] =
    "{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":\"Wait\",\"Seconds\":1,"
    "\"End\":true}}}";

static uint32_t blocks_count;
static uint32_t of_a_second_count; /* told to sleep for at most one */

static void block(void *context, uint64_t timeout_ns)
{
    struct pollfd event = {.fd = *(int *)context, .events = POLLIN};
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000)};
    uint64_t count;
    blocks_count++;
    of_a_second_count += timeout_ns > 0 && timeout_ns <= 1000000000;
    if (ppoll(&event, 1, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL) == 1)
        assert_int_equal(read(event.fd, &count, sizeof count), sizeof count);
}

static int event_fd;

static int set_up(void **state)
{
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    blocks_count = 0;
    of_a_second_count = 0;
    return event_fd >= 0 ? rig_set_up(state) : -1;
}

static int tear_down(void **state)
{
    int result = rig_tear_down(state);
    close(event_fd);
    return result;
}

static void open_sleeping(struct rig *rig, const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.threadless = false;
    options.may_step = NULL;
    options.wall_ms = NULL;
    options.sleep = (struct partition_sleep){block, &event_fd, event_fd};
    rig_open(rig, &options, definition);
}

static void run_one(struct rig *rig)
{
    rig_start(rig, rig->plan, "x", "y");
    struct reply reply;
    while (!partition_next_reply(rig->partition, &reply)) {
        bool worked;
        assert_int_equal(partition_poll(rig->partition, &worked, NULL), STATUS_OK);
        if (!worked)
            partition_wait(rig->partition, UINT64_MAX);
    }
    assert_int_equal(reply.outcome, OUTCOME_SUCCEEDED);
}

static void the_engine_sleeps_where_it_is_told_to_and_its_threads_wake_it(void **state)
{
    struct rig *rig = *state;
    open_sleeping(rig, two_steps);
    for (int i = 0; i < 300; i++)
        run_one(rig);
    assert_true(blocks_count > 0);
    assert_int_equal(rig_done(rig, "a"), 300);
}

static void the_engine_is_told_how_long_it_may_sleep(void **state)
{
    struct rig *rig = *state;
    open_sleeping(rig, a_wait);
    run_one(rig);
    assert_true(of_a_second_count > 0);
}

static void *wake(void *partition)
{
    partition_wake(partition);
    return NULL;
}

static void another_thread_wakes_it(void **state)
{
    struct rig *rig = *state;
    open_sleeping(rig, NULL);
    bool worked = true;
    while (worked || !partition_is_quiet(rig->partition))
        assert_int_equal(partition_poll(rig->partition, &worked, NULL), STATUS_OK);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake, rig->partition), 0);
        partition_wait(rig->partition, UINT64_MAX);
        pthread_join(thread, NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_engine_sleeps_where_it_is_told_to_and_its_threads_wake_it),
        TEST(the_engine_is_told_how_long_it_may_sleep),
        TEST(another_thread_wakes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
