/*
 * What engine/net/transport.h promises of limits, of waiting and of its end: the same tests on the
 * owner's thread and with two threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tests/net/rig.h"

static uint32_t threads_of(void **state)
{
    return *(const uint32_t *)*state;
}

static struct rig open_rig(void **state)
{
    struct rig rig;
    struct transport_options options = rig_options(threads_of(state));
    rig_open(&rig, &options);
    return rig;
}

static void echo_once(struct rig *rig, int fd)
{
    char back[5];
    rig_peer_write(rig, fd, "hello", 5);
    rig_peer_read(rig, fd, back, 5);
    assert_memory_equal(back, "hello", 5);
}

/* ---- limits -------------------------------------------------------------------------------------
 */

static bool has_refused(struct rig *rig, void *context)
{
    return transport_counts(rig->transport).refused >= *(uint64_t *)context;
}

static void one_connection_too_many_is_closed_and_counted(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.connections_max = 3;
    struct rig rig;
    rig_open(&rig, &options);
    rig.echoes = true;
    int fds[3];
    for (uint32_t i = 0; i < 3; i++)
        fds[i] = rig_connect(&rig, 0, 0);
    for (uint64_t i = 1; i <= 20; i++) {
        int fd = rig_dial(&rig, 0, 0);
        rig_until(&rig, has_refused, &i, "a refusal");
        assert_int_equal(rig_peer_read_all(&rig, fd), 0);
        close(fd);
    }
    assert_int_equal(rig.opened, 3);
    for (uint32_t i = 0; i < 3; i++)
        echo_once(&rig, fds[i]);
    close(fds[1]);
    rig_until_closed(&rig, 1);
    fds[1] = rig_connect(&rig, 0, 0);
    echo_once(&rig, fds[1]);
    for (uint32_t i = 0; i < 3; i++)
        close(fds[i]);
    rig_close(&rig);
}

static void a_number_is_used_again_only_after_it_was_forgotten(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.connections_max = 2;
    struct rig rig;
    rig_open(&rig, &options);
    rig.keeps_closed = true;
    int staying = rig_connect(&rig, 0, 0);
    uint32_t other = rig.last_opened;
    int fd = rig_connect(&rig, 0, 0);
    uint32_t number = rig.last_opened;
    assert_int_not_equal(number, other);
    close(fd);
    rig_until_closed(&rig, 1);
    uint64_t one = 1;
    fd = rig_dial(&rig, 0, 0);
    rig_until(&rig, has_refused, &one, "a refusal");
    close(fd);
    transport_forget(rig.transport, number);
    rig.connections[number].is_closed = false;
    fd = rig_connect(&rig, 0, 0);
    assert_int_equal(rig.last_opened, number);
    close(fd);
    close(staying);
    rig_close(&rig);
}

/* The third connection has the lane of the first: what came back on it came after what the lane was
 * told before. */
static void a_paused_connection_is_not_read_until_it_goes_on(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    uint32_t number = rig.last_opened;
    int second = rig_connect(&rig, 0, 0), third = rig_connect(&rig, 0, 0);
    transport_pause(rig.transport, number, true);
    rig.echoes = true;
    for (uint32_t round = 0; round < 10; round++)
        echo_once(&rig, third);
    assert_int_equal(send(fd, "later", 5, 0), 5);
    for (uint32_t round = 0; round < 50; round++)
        echo_once(&rig, third);
    assert_int_equal(rig.connections[number].count, 0);
    transport_pause(rig.transport, number, false);
    rig_until_bytes(&rig, number, 5);
    for (uint32_t round = 0; round < 1000; round++)
        transport_pause(rig.transport, number, round % 2 == 0);
    char back[5];
    rig_peer_read(&rig, fd, back, 5);
    echo_once(&rig, fd);
    close(fd);
    close(second);
    close(third);
    rig_close(&rig);
}

static bool has_starved(struct rig *rig, void *context)
{
    (void)context;
    return transport_counts(rig->transport).starved > 0;
}

static void without_a_receive_buffer_connections_wait_and_lose_nothing(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.recv_buffers = 2;
    struct rig rig;
    rig_open(&rig, &options);
    rig.keeps_lent = true;
    int fds[8];
    uint32_t numbers[8];
    uint8_t bytes[50000];
    rig_fill_pattern(bytes, sizeof bytes, 0);
    for (uint32_t i = 0; i < 8; i++) {
        fds[i] = rig_connect(&rig, 0, 0);
        numbers[i] = rig.last_opened;
    }
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(send(fds[i], bytes, sizeof bytes, 0), sizeof bytes);
    rig_until(&rig, has_starved, NULL, "a connection without a buffer");
    rig.keeps_lent = rig.has_lent = false;
    for (uint32_t i = 0; i < 8; i++) {
        rig_until_bytes(&rig, numbers[i], sizeof bytes);
        assert_memory_equal(rig.connections[numbers[i]].bytes, bytes, sizeof bytes);
        close(fds[i]);
    }
    rig_until_closed(&rig, 8);
    rig_close(&rig);
}

/* The limit stands before the transport accepts, since the kernel notes it when an accept begins.
 */
static struct rlimit limit_files(rlim_t more)
{
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    limit = before;
    limit.rlim_cur = (rlim_t)next + more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static uint32_t take_files(int *files, uint32_t most)
{
    uint32_t count = 0;
    while (count < most && (files[count] = dup(0)) >= 0)
        count++;
    assert_true(count < most);
    return count;
}

/* The peers' sockets are made before there is no descriptor left; connecting takes none. */
static void without_a_file_descriptor_who_comes_is_refused_and_nothing_spins(void **state)
{
    enum { PEERS = 6, FILES = 64 };
    struct rlimit before = limit_files(FILES);
    struct rig rig = open_rig(state);
    rig.echoes = true;
    char address[TRANSPORT_ADDRESS_BYTES];
    transport_address(rig.transport, 0, address);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[PEERS], files[FILES], first = rig_connect(&rig, 0, 0);
    for (uint32_t i = 0; i < PEERS; i++)
        assert_true((fds[i] = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
    uint32_t taken = take_files(files, FILES);
    close(files[--taken]);

    assert_int_equal(connect(fds[0], (struct sockaddr *)&in, sizeof in), 0);
    rig_until_opened(&rig, 2);
    for (uint64_t i = 1; i < PEERS; i++) {
        assert_int_equal(connect(fds[i], (struct sockaddr *)&in, sizeof in), 0);
        rig_until(&rig, has_refused, &i, "a refusal");
        assert_int_equal(rig_peer_read_all(&rig, fds[i]), 0);
    }
    if (threads_of(state) == 0) {
        while (transport_turn(rig.transport))
            continue;
        for (uint32_t i = 0; i < 100; i++)
            assert_false(transport_turn(rig.transport));
    }
    echo_once(&rig, fds[0]);
    close(fds[1]);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    close(fds[2]);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    rig_until_opened(&rig, 3);
    echo_once(&rig, fd);
    echo_once(&rig, first);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(fd);
    close(first);
    close(fds[0]);
    while (taken > 0)
        close(files[--taken]);
    for (uint32_t i = 3; i < PEERS; i++)
        close(fds[i]);
    rig_close(&rig);
}

/* ---- waiting and ending -------------------------------------------------------------------------
 */

static void *write_to_eventfd(void *argument)
{
    uint64_t one = 1;
    assert_int_equal(write(*(int *)argument, &one, sizeof one), sizeof one);
    return NULL;
}

static void a_write_to_wake_fd_ends_the_wait(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct rig rig;
    rig_open(&rig, &options);
    for (uint32_t i = 0; i < 100; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_to_eventfd, &options.wake_fd), 0);
        if (i % 2 == 0)
            pthread_join(thread, NULL);
        if (i % 4 == 0)
            transport_turn(rig.transport);
        struct pollfd ready = {.fd = options.wake_fd, .events = POLLIN};
        do
            transport_wait(rig.transport, UINT64_MAX);
        while (poll(&ready, 1, 0) == 1);
        if (i % 2 == 1)
            pthread_join(thread, NULL);
        bool is_empty = poll(&ready, 1, 0) == 0;
        if (!is_empty)
            transport_wait(rig.transport, UINT64_MAX);
    }
    rig_close(&rig);
    close(options.wake_fd);
}

/* One of a few, since a thread may have something to say once more. */
static void without_anything_to_do_the_wait_takes_its_time(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.wake_fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    struct rig rig;
    rig_open(&rig, &options);
    uint64_t longest_ns = 0;
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t begin_ns = clock_now_ns();
        transport_wait(rig.transport, 2000000);
        uint64_t took_ns = clock_now_ns() - begin_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
    }
    assert_true(longest_ns >= 2000000);
    rig_close(&rig);
    close(options.wake_fd);
}

static void what_a_peer_does_ends_the_wait(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_dial(&rig, 0, 0);
    while (rig.opened == 0) {
        transport_wait(rig.transport, UINT64_MAX);
        rig_turn(&rig);
    }
    assert_int_equal(send(fd, "x", 1, 0), 1);
    while (rig.connections[rig.last_opened].count == 0) {
        transport_wait(rig.transport, UINT64_MAX);
        rig_turn(&rig);
    }
    close(fd);
    while (rig.closed == 0) {
        transport_wait(rig.transport, UINT64_MAX);
        rig_turn(&rig);
    }
    rig_close(&rig);
}

static void who_is_connected_stays_when_listening_stops(void **state)
{
    struct rig rig = open_rig(state);
    rig.echoes = true;
    int fd = rig_connect(&rig, 0, 0);
    char text[TRANSPORT_ADDRESS_BYTES];
    transport_address(rig.transport, 0, text);
    transport_stop_listening(rig.transport);
    transport_stop_listening(rig.transport);
    for (uint32_t round = 0; round < 10; round++)
        echo_once(&rig, fd);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(text, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int late;
    do {
        rig_turn(&rig);
        late = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(late, (struct sockaddr *)&in, sizeof in) != 0)
            break;
        close(late);
    } while (true);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(rig.opened, 1);
    close(late);
    close(fd);
    rig_close(&rig);
}

/* As the engine forks for a checkpoint: the child has all the sockets, and nobody notices. */
static void a_child_that_has_the_sockets_too_disturbs_nothing(void **state)
{
    struct rig rig = open_rig(state);
    rig.echoes = true;
    int fd = rig_connect(&rig, 0, 0), pipes[2];
    uint32_t number = rig.last_opened;
    echo_once(&rig, fd);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) == 0 ? 0 : 1);
    }
    for (uint32_t round = 0; round < 200; round++)
        echo_once(&rig, fd);
    transport_cut(rig.transport, number, false);
    rig_until_closed(&rig, 1);
    assert_int_equal(rig_peer_read_all(&rig, fd), 0);
    close(pipes[1]);
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    close(pipes[0]);
    close(fd);
    rig_close(&rig);
}

static void closing_cuts_everybody_in_whatever_state(void **state)
{
    struct rig rig = open_rig(state);
    int fds[6];
    for (uint32_t i = 0; i < 6; i++)
        fds[i] = i == 5 ? rig_dial(&rig, 0, 0) : rig_connect(&rig, 0, 2048);
    rig_fill(&rig, 0);
    rig_fill(&rig, 1);
    transport_cut(rig.transport, 1, true);
    transport_pause(rig.transport, 2, true);
    assert_true(rig_send(&rig, 2, "unflushed", 9));
    assert_int_equal(send(fds[3], "unread", 6, 0), 6);
    close(fds[4]);
    rig_close(&rig);
    for (uint32_t i = 0; i < 6; i++) {
        char byte[4096];
        ssize_t count;
        while (i != 4 && (count = recv(fds[i], byte, sizeof byte, 0)) > 0)
            continue;
        if (i != 4)
            close(fds[i]);
    }
}

static void a_transport_that_never_turned_closes(void **state)
{
    struct rig rig = open_rig(state);
    rig_close(&rig);
    transport_close(NULL);
}

#define WITH(threads, test)                                                                        \
    {                                                                                              \
#test ", " #threads " threads", test, NULL, NULL, &count_##threads                         \
    }
#define BOTH(test) WITH(0, test), WITH(2, test)

int main(void)
{
    static uint32_t count_0 = 0, count_2 = 2;
    const struct CMUnitTest tests[] = {
        BOTH(one_connection_too_many_is_closed_and_counted),
        BOTH(a_number_is_used_again_only_after_it_was_forgotten),
        BOTH(a_paused_connection_is_not_read_until_it_goes_on),
        BOTH(without_a_receive_buffer_connections_wait_and_lose_nothing),
        BOTH(without_a_file_descriptor_who_comes_is_refused_and_nothing_spins),
        BOTH(a_write_to_wake_fd_ends_the_wait),
        BOTH(without_anything_to_do_the_wait_takes_its_time),
        BOTH(what_a_peer_does_ends_the_wait),
        BOTH(who_is_connected_stays_when_listening_stops),
        BOTH(a_child_that_has_the_sockets_too_disturbs_nothing),
        BOTH(closing_cuts_everybody_in_whatever_state),
        BOTH(a_transport_that_never_turned_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
