/*
 * What engine/net/transport.h promises of connections, bytes and limits: the same tests on the
 * owner's thread and with two threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/net/transport_rig.h"

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

/* ---- a life -------------------------------------------------------------------------------------
 */

static void bytes_come_as_they_were_sent_and_go_back_likewise(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    rig_peer_write(&rig, fd, "order", 5);
    rig_until_bytes(&rig, rig.last_opened, 5);
    assert_memory_equal(rig.connections[rig.last_opened].bytes, "order", 5);

    char answer[6];
    assert_true(rig_send(&rig, rig.last_opened, "booked", 6));
    transport_flush(rig.transport);
    rig_peer_read(&rig, fd, answer, 6);
    assert_memory_equal(answer, "booked", 6);
    close(fd);
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[rig.last_opened].reason, STATUS_OK);
    rig_close(&rig);
}

static void megabytes_both_ways_come_whole_and_in_order(void **state)
{
    struct rig rig = open_rig(state);
    rig.echoes = true;
    int fd = rig_connect(&rig, 0, 0);
    size_t count = 3u << 20, piece = 100003;
    uint8_t *bytes = malloc(count), *back = malloc(count);
    assert_non_null(bytes);
    assert_non_null(back);
    rig_fill_pattern(bytes, count, 0);
    for (size_t at = 0; at < count; at += piece) {
        size_t part = count - at < piece ? count - at : piece;
        rig_peer_write(&rig, fd, bytes + at, part);
        rig_peer_read(&rig, fd, back + at, part);
    }
    assert_memory_equal(bytes, back, count);
    struct transport_counts counts = transport_counts(rig.transport);
    assert_int_equal(counts.bytes_in, count);
    free(bytes);
    free(back);
    close(fd);
    rig_close(&rig);
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
        BOTH(bytes_come_as_they_were_sent_and_go_back_likewise),
        BOTH(megabytes_both_ways_come_whole_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
