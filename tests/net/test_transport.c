/*
 * What engine/net/transport.h promises of connections, of bytes and of cutting: the same tests on
 * the owner's thread and with two threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void a_message_in_pieces_comes_in_order(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    uint8_t bytes[64];
    rig_fill_pattern(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof bytes; i++) {
        rig_peer_write(&rig, fd, &bytes[i], 1);
        rig_until_bytes(&rig, rig.last_opened, i + 1);
    }
    assert_memory_equal(rig.connections[rig.last_opened].bytes, bytes, sizeof bytes);
    close(fd);
    rig_close(&rig);
}

static void what_a_peer_sent_before_its_end_comes_before_closed(void **state)
{
    struct rig rig = open_rig(state);
    for (uint32_t i = 1; i <= 200; i++) {
        uint8_t bytes[3000];
        int fd = rig_dial(&rig, 0, 0);
        rig_fill_pattern(bytes, sizeof bytes, i);
        assert_int_equal(send(fd, bytes, sizeof bytes, 0), sizeof bytes);
        close(fd);
        rig_until_closed(&rig, i);
        const struct rig_connection *connection = &rig.connections[rig.last_opened];
        assert_int_equal(connection->reason, STATUS_OK);
        assert_int_equal(connection->count, sizeof bytes);
        assert_memory_equal(connection->bytes, bytes, sizeof bytes);
    }
    assert_int_equal(transport_counts(rig.transport).accepted, 200);
    assert_int_equal(transport_counts(rig.transport).closed, 200);
    assert_int_equal(transport_counts(rig.transport).connections, 0);
    rig_close(&rig);
}

static void a_peer_that_resets_is_closed_with_a_reason(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[rig.last_opened].reason, STATUS_IO);
    assert_string_equal(rig.connections[rig.last_opened].text, "Connection reset by peer");
    rig_close(&rig);
}

static void many_connections_are_served_at_once(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.connections_max = RIG_CONNECTIONS_MAX;
    struct rig rig;
    rig_open(&rig, &options);
    rig.echoes = true;
    int fds[RIG_CONNECTIONS_MAX];
    uint8_t bytes[1000], back[1000];
    for (uint32_t i = 0; i < RIG_CONNECTIONS_MAX; i++)
        fds[i] = rig_dial(&rig, 0, 0);
    for (uint32_t round = 0; round < 20; round++)
        for (uint32_t i = 0; i < RIG_CONNECTIONS_MAX; i++) {
            rig_fill_pattern(bytes, sizeof bytes, round + i);
            assert_int_equal(send(fds[i], bytes, sizeof bytes, 0), sizeof bytes);
        }
    for (uint32_t round = 0; round < 20; round++)
        for (uint32_t i = 0; i < RIG_CONNECTIONS_MAX; i++) {
            rig_fill_pattern(bytes, sizeof bytes, round + i);
            rig_peer_read(&rig, fds[i], back, sizeof back);
            assert_memory_equal(bytes, back, sizeof back);
        }
    for (uint32_t i = 0; i < RIG_CONNECTIONS_MAX; i++)
        close(fds[i]);
    rig_until_closed(&rig, RIG_CONNECTIONS_MAX);
    assert_int_equal(transport_counts(rig.transport).out_bytes, 0);
    rig_close(&rig);
}

static void a_peer_is_known_by_its_address(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    struct sockaddr_in address;
    socklen_t bytes = sizeof address;
    char expected[64], peer[TRANSPORT_ADDRESS_BYTES];
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(address.sin_port));
    transport_peer(rig.transport, rig.last_opened, peer);
    assert_string_equal(peer, expected);
    assert_string_equal(transport_peer_subject(rig.transport, rig.last_opened), "");
    close(fd);
    rig_close(&rig);
}

/* ---- output -------------------------------------------------------------------------------------
 */

static void a_peer_with_a_tiny_window_gets_everything_in_order(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 2048);
    uint64_t count = rig_fill(&rig, rig.last_opened);
    assert_true(count >= 3u << 20);
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    rig_peer_read(&rig, fd, bytes, count);
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i] != rig_pattern(i))
            fail_msg("byte %lu", (unsigned long)i);
    free(bytes);
    close(fd);
    rig_close(&rig);
}

static bool is_sent(struct rig *rig, void *context)
{
    return transport_backlog(rig->transport, *(uint32_t *)context) == 0 &&
           transport_counts(rig->transport).out_bytes == 0;
}

static void a_connection_that_has_sent_all_holds_no_chunk(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    assert_true(rig_send(&rig, rig.last_opened, "booked", 6));
    assert_int_equal(transport_backlog(rig.transport, rig.last_opened), 6);
    assert_int_equal(transport_counts(rig.transport).out_bytes, 4096);
    transport_flush(rig.transport);
    rig_until(&rig, is_sent, &rig.last_opened, "the chunk");
    assert_non_null(transport_reserve(rig.transport, rig.last_opened, 100000));
    transport_flush(rig.transport);
    assert_int_equal(transport_counts(rig.transport).out_bytes, 0);
    close(fd);
    rig_close(&rig);
}

static void room_for_a_whole_frame_is_contiguous(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    uint32_t count = (1u << 20) + 4;
    uint8_t *bytes = malloc(count + 7);
    assert_non_null(bytes);
    assert_true(rig_send(&rig, rig.last_opened, "before ", 7));
    uint8_t *room = transport_reserve(rig.transport, rig.last_opened, count);
    assert_non_null(room);
    rig_fill_pattern(room, count, 0);
    transport_commit(rig.transport, rig.last_opened, count);
    transport_flush(rig.transport);
    rig_peer_read(&rig, fd, bytes, count + 7);
    assert_memory_equal(bytes, "before ", 7);
    for (uint32_t i = 0; i < count; i++)
        if (bytes[7 + i] != rig_pattern(i))
            fail_msg("byte %u", i);
    free(bytes);
    close(fd);
    rig_close(&rig);
}

static void what_is_reserved_and_not_committed_is_not_sent(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    memcpy(transport_reserve(rig.transport, rig.last_opened, 9), "forgotten", 9);
    memcpy(transport_reserve(rig.transport, rig.last_opened, 9), "in part..", 9);
    transport_commit(rig.transport, rig.last_opened, 7);
    memcpy(transport_reserve(rig.transport, rig.last_opened, 4), "lost", 4);
    transport_flush(rig.transport);
    assert_true(rig_send(&rig, rig.last_opened, "!", 1));
    transport_flush(rig.transport);
    char answer[8];
    rig_peer_read(&rig, fd, answer, 8);
    assert_memory_equal(answer, "in part!", 8);
    close(fd);
    rig_close(&rig);
}

static void echo_once(struct rig *rig, int fd)
{
    char back[5];
    rig_peer_write(rig, fd, "hello", 5);
    rig_peer_read(rig, fd, back, 5);
    assert_memory_equal(back, "hello", 5);
}

static void a_peer_that_never_reads_reaches_its_limit_and_holds_up_nobody(void **state)
{
    struct rig rig = open_rig(state);
    int deaf = rig_connect(&rig, 0, 2048);
    uint32_t number = rig.last_opened;
    while (rig_fill(&rig, number) > 0)
        rig_turn(&rig);
    assert_true(transport_backlog(rig.transport, number) > 3u << 20);
    assert_true(transport_counts(rig.transport).out_bytes <= 4u << 20);
    assert_null(transport_reserve(rig.transport, number, 4096));
    rig.echoes = true;
    for (uint32_t i = 0; i < 4; i++) {
        int fd = rig_connect(&rig, 0, 0);
        for (uint32_t round = 0; round < 50; round++)
            echo_once(&rig, fd);
        close(fd);
        rig_until_closed(&rig, i + 1);
    }
    transport_cut(rig.transport, number, false);
    rig_until_closed(&rig, 5);
    assert_int_equal(rig.connections[number].reason, STATUS_OK);
    uint32_t any = number;
    rig_until(&rig, is_sent, &any, "its chunks");
    close(deaf);
    rig_close(&rig);
}

static void all_chunks_together_stay_within_their_limit(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.out_bytes_max = 3u << 20;
    struct rig rig;
    rig_open(&rig, &options);
    int first = rig_connect(&rig, 0, 2048);
    uint32_t number = rig.last_opened;
    int second = rig_connect(&rig, 0, 2048);
    uint32_t other = rig.last_opened;
    do
        rig_turn(&rig);
    while (rig_fill(&rig, number) + rig_fill(&rig, other) > 0);
    assert_true(transport_counts(rig.transport).out_bytes <= 3u << 20);
    assert_null(transport_reserve(rig.transport, other, 4096));
    transport_cut(rig.transport, number, false);
    rig_until_closed(&rig, 1);
    assert_non_null(transport_reserve(rig.transport, other, 4096));
    close(first);
    close(second);
    rig_close(&rig);
}

/* The lane has closed it, and the owner does not know yet. */
static void what_is_sent_to_a_connection_that_is_gone_comes_back_to_the_pool(void **state)
{
    struct rig rig = open_rig(state);
    for (uint32_t round = 1; round <= 200; round++) {
        int fd = rig_connect(&rig, 0, 0);
        uint32_t number = rig.last_opened;
        assert_int_equal(transport_backlog(rig.transport, number), 0);
        rig_turn(&rig);
        close(fd);
        while (!transport_turn(rig.transport))
            transport_wait(rig.transport, UINT64_MAX);
        assert_true(rig_send(&rig, number, "anybody there?", 14));
        transport_flush(rig.transport);
        rig_until_closed(&rig, round);
    }
    uint32_t number = rig.last_opened;
    rig_until(&rig, is_sent, &number, "the chunks");
    for (uint32_t i = 0; i < rig.options.connections_max; i++)
        assert_int_equal(transport_backlog(rig.transport, i), 0);
    rig_close(&rig);
}

/* ---- cutting ------------------------------------------------------------------------------------
 */

static void a_polite_cut_sends_what_was_committed_first(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 2048);
    uint64_t count = rig_fill(&rig, rig.last_opened);
    transport_cut(rig.transport, rig.last_opened, true);
    assert_null(transport_reserve(rig.transport, rig.last_opened, 1));
    assert_int_equal(rig_peer_read_all(&rig, fd), count);
    assert_int_equal(rig.closed, 0);
    close(fd);
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[rig.last_opened].reason, STATUS_OK);
    rig_close(&rig);
}

static void a_polite_cut_is_no_reset_for_a_peer_that_goes_on_sending(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 0);
    char answer[7];
    transport_pause(rig.transport, rig.last_opened, true);
    rig_turn(&rig);
    assert_true(rig_send(&rig, rig.last_opened, "no more", 7));
    rig_peer_write(&rig, fd, "one more", 8);
    transport_cut(rig.transport, rig.last_opened, true);
    rig_peer_write(&rig, fd, "and another", 11);
    rig_peer_read(&rig, fd, answer, 7);
    assert_memory_equal(answer, "no more", 7);
    assert_int_equal(rig_peer_read_all(&rig, fd), 0);
    close(fd);
    rig_until_closed(&rig, 1);
    rig_close(&rig);
}

static void a_polite_cut_waits_only_so_long(void **state)
{
    struct transport_options options = rig_options(threads_of(state));
    options.polite_ms = 20;
    struct rig rig;
    rig_open(&rig, &options);
    int deaf = rig_connect(&rig, 0, 2048);
    uint32_t number = rig.last_opened;
    rig_fill(&rig, number);
    transport_cut(rig.transport, number, true);
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[number].reason, STATUS_IO);
    assert_string_equal(rig.connections[number].text,
                        "the peer did not read what was sent before the end");
    int staying = rig_connect(&rig, 0, 0);
    number = rig.last_opened;
    transport_cut(rig.transport, number, true);
    rig_until_closed(&rig, 2);
    assert_int_equal(rig.connections[number].reason, STATUS_OK);
    close(deaf);
    close(staying);
    rig_close(&rig);
}

static void a_cut_in_the_middle_of_sending_ends_it_at_once(void **state)
{
    struct rig rig = open_rig(state);
    int fd = rig_connect(&rig, 0, 2048);
    uint32_t number = rig.last_opened;
    rig_fill(&rig, number);
    rig_turn(&rig);
    transport_cut(rig.transport, number, true);
    transport_cut(rig.transport, number, false);
    transport_cut(rig.transport, number, false);
    rig_until_closed(&rig, 1);
    assert_int_equal(transport_backlog(rig.transport, number), 0);
    rig_until(&rig, is_sent, &number, "its chunks");
    close(fd);
    rig_close(&rig);
}

static void no_data_comes_after_a_cut(void **state)
{
    struct rig rig = open_rig(state);
    for (uint32_t i = 0; i < 50; i++) {
        int fd = rig_connect(&rig, 0, 0);
        assert_int_equal(send(fd, "late", 4, 0), 4);
        transport_wait(rig.transport, 0);
        transport_turn(rig.transport);
        transport_cut(rig.transport, rig.last_opened, i % 2 == 0);
        close(fd);
        rig_until_closed(&rig, i + 1);
        assert_int_equal(rig.connections[rig.last_opened].count, 0);
    }
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
        BOTH(a_message_in_pieces_comes_in_order),
        BOTH(what_a_peer_sent_before_its_end_comes_before_closed),
        BOTH(a_peer_that_resets_is_closed_with_a_reason),
        BOTH(many_connections_are_served_at_once),
        BOTH(a_peer_is_known_by_its_address),
        BOTH(a_peer_with_a_tiny_window_gets_everything_in_order),
        BOTH(a_connection_that_has_sent_all_holds_no_chunk),
        BOTH(room_for_a_whole_frame_is_contiguous),
        BOTH(what_is_reserved_and_not_committed_is_not_sent),
        BOTH(a_peer_that_never_reads_reaches_its_limit_and_holds_up_nobody),
        BOTH(all_chunks_together_stay_within_their_limit),
        BOTH(what_is_sent_to_a_connection_that_is_gone_comes_back_to_the_pool),
        BOTH(a_polite_cut_sends_what_was_committed_first),
        BOTH(a_polite_cut_is_no_reset_for_a_peer_that_goes_on_sending),
        BOTH(a_polite_cut_waits_only_so_long),
        BOTH(a_cut_in_the_middle_of_sending_ends_it_at_once),
        BOTH(no_data_comes_after_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
