/*
 * TLS in the transport, with real sockets and peers that are sessions of engine/net/tls.h: on the
 * owner's thread and with two threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/net/tls.h"
#include "tests/certificates.h"
#include "tests/net/transport_rig.h"

static char folder[64], unix_address[96];
static struct identity authority, server, client, stranger;

static int make_all(void **state)
{
    (void)state;
    certificates_make_folder(folder);
    snprintf(unix_address, sizeof unix_address, "unix:%s/sock", folder);
    authority = certificates_make(folder, "authority", "authority", 100, NULL);
    server = certificates_make(folder, "server", "engine.example", 100, &authority);
    client = certificates_make(folder, "client", "worker-7", 100, &authority);
    stranger = certificates_make(folder, "stranger", "stranger", 100, NULL);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    certificates_free(&authority);
    certificates_free(&server);
    certificates_free(&client);
    certificates_free(&stranger);
    certificates_remove(folder);
    return 0;
}

static struct tls *open_tls(struct tls_options options)
{
    struct tls *tls = NULL;
    struct problem problem = {0};
    if (tls_open(&options, &tls, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return tls;
}

static struct rig open_rig(void **state, bool client_required)
{
    struct rig rig;
    struct transport_options options = rig_options(*(const uint32_t *)*state);
    options.listen[1] = unix_address;
    options.listen_count = 2;
    options.polite_ms = 60000;
    options.tls = open_tls((struct tls_options){.certificate_file = server.certificate_file,
                                                .key_file = server.key_file,
                                                .ca_file = authority.certificate_file,
                                                .client_required = client_required});
    rig_open(&rig, &options);
    return rig;
}

static void close_rig(struct rig *rig)
{
    rig_close(rig);
    tls_close(rig->options.tls);
}

/* ---- a peer ------------------------------------------------------------------------------------
 */

struct tls_peer {
    int fd;
    struct tls *tls;
    struct tls_session *session;
    struct problem problem;
    bool at_end;
    uint8_t *plain;
    size_t count, wanted;
    uint8_t out[16384];
    size_t out_count, out_done;
};

static struct tls_peer *open_peer(struct rig *rig, const struct identity *identity, int rcvbuf)
{
    struct tls_options options = {.ca_file = authority.certificate_file, .is_client = true};
    if (identity != NULL) {
        options.certificate_file = identity->certificate_file;
        options.key_file = identity->key_file;
    }
    struct tls_peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->fd = rig_connect(rig, 0, rcvbuf);
    peer->tls = open_tls(options);
    assert_int_equal(tls_session_open(peer->tls, "engine.example", &peer->session), STATUS_OK);
    return peer;
}

static void close_peer(struct tls_peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    tls_session_close(peer->session);
    tls_close(peer->tls);
    free(peer->plain);
    free(peer);
}

static bool peer_writes(struct tls_peer *peer)
{
    if (peer->out_done == peer->out_count) {
        peer->out_count = tls_session_output(peer->session, peer->out, sizeof peer->out);
        peer->out_done = 0;
    }
    if (peer->out_count == 0)
        return false;
    ssize_t count = send(peer->fd, peer->out + peer->out_done, peer->out_count - peer->out_done,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
    peer->out_done += count > 0 ? (size_t)count : 0;
    return count > 0;
}

static bool peer_reads(struct tls_peer *peer)
{
    uint8_t bytes[16384];
    ssize_t count = peer->at_end ? -1 : recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno == ECONNRESET))
        peer->at_end = true;
    if (count <= 0)
        return false;
    enum status status = tls_session_input(peer->session, bytes, (size_t)count, &peer->problem);
    size_t plain;
    while ((plain = tls_session_read(peer->session, bytes, sizeof bytes)) > 0) {
        peer->plain = realloc(peer->plain, peer->count + plain);
        assert_non_null(peer->plain);
        memcpy(peer->plain + peer->count, bytes, plain);
        peer->count += plain;
    }
    if (status == STATUS_OK)
        status = tls_session_status(peer->session, &peer->problem);
    return true;
}

static void peer_moves(struct tls_peer *peer)
{
    while (peer_writes(peer) || peer_reads(peer))
        continue;
}

static bool has_plain(struct rig *rig, void *context)
{
    (void)rig;
    struct tls_peer *peer = context;
    peer_moves(peer);
    return peer->count >= peer->wanted || peer->at_end;
}

static void until_plain(struct rig *rig, struct tls_peer *peer, size_t count)
{
    peer->wanted = count;
    rig_until(rig, has_plain, peer, "plain bytes for the peer");
}

static bool is_at_end(struct rig *rig, void *context)
{
    (void)rig;
    struct tls_peer *peer = context;
    peer_moves(peer);
    return peer->at_end;
}

static bool has_closed(struct rig *rig, void *context)
{
    peer_moves(context);
    return rig->closed > 0;
}

static void write_plain(struct tls_peer *peer, const void *bytes, size_t count)
{
    assert_int_equal(tls_session_write(peer->session, bytes, count), STATUS_OK);
}

/* ---- what works --------------------------------------------------------------------------------
 */

static void bytes_go_both_ways_encrypted(void **state)
{
    struct rig rig = open_rig(state, false);
    rig.echoes = true;
    struct tls_peer *peer = open_peer(&rig, NULL, 0);
    size_t count = 1000000;
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    rig_fill_pattern(bytes, count, 0);
    for (size_t at = 0; at < count; at += 50000) {
        write_plain(peer, bytes + at, 50000);
        until_plain(&rig, peer, at + 50000);
    }
    assert_int_equal(peer->count, count);
    assert_memory_equal(peer->plain, bytes, count);
    assert_true(transport_counts(rig.transport).bytes_in > count);
    assert_string_equal(transport_peer_subject(rig.transport, rig.last_opened), "");
    free(bytes);
    close_peer(peer);
    close_rig(&rig);
}

static void a_full_pipe_of_small_buffers_brings_all(void **state)
{
    struct rig rig = open_rig(state, false);
    struct tls_peer *peer = open_peer(&rig, NULL, 2048);
    uint32_t number = rig.last_opened;
    uint64_t count = rig_fill(&rig, number);
    assert_true(count >= 3u << 20);
    until_plain(&rig, peer, count);
    assert_int_equal(peer->count, count);
    for (uint64_t i = 0; i < count; i++)
        if (peer->plain[i] != rig_pattern(i))
            fail_msg("byte %lu", (unsigned long)i);
    write_plain(peer, "thanks", 6);
    peer_moves(peer);
    rig_until_bytes(&rig, number, 6);
    close_peer(peer);
    close_rig(&rig);
}

static void a_flood_from_the_peer_comes_whole(void **state)
{
    struct rig rig = open_rig(state, false);
    struct tls_peer *peer = open_peer(&rig, NULL, 0);
    uint32_t number = rig.last_opened;
    size_t count = 2u << 20;
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    rig_fill_pattern(bytes, count, 0);
    write_plain(peer, bytes, count);
    while (rig.connections[number].count < count) {
        peer_moves(peer);
        rig_turn(&rig);
    }
    assert_memory_equal(rig.connections[number].bytes, bytes, count);
    free(bytes);
    close_peer(peer);
    close_rig(&rig);
}

static bool has_come(struct rig *rig, void *context)
{
    return transport_counts(rig->transport).bytes_in >= *(uint64_t *)context;
}

/* Five records of which the first half of the first came before: more plain bytes than the receive
 * buffer had encrypted ones. */
static void more_plain_bytes_than_a_receive_buffer_come_at_once(void **state)
{
    enum { RECORD = 13900, FIRST = 8000 };
    struct rig rig = open_rig(state, false);
    struct tls_peer *peer = open_peer(&rig, NULL, 0);
    uint32_t number = rig.last_opened;
    static uint8_t plain[5 * RECORD], bytes[6 * RECORD];
    write_plain(peer, "hello", 5);
    while (rig.connections[number].count < 5) {
        peer_moves(peer);
        rig_turn(&rig);
    }
    rig_fill_pattern(plain, sizeof plain, 0);
    for (size_t i = 0; i < 5; i++)
        write_plain(peer, plain + i * RECORD, RECORD);
    size_t count = tls_session_output(peer->session, bytes, sizeof bytes);
    uint64_t come = transport_counts(rig.transport).bytes_in + FIRST;
    rig_peer_write(&rig, peer->fd, bytes, FIRST);
    rig_until(&rig, has_come, &come, "the first half");
    assert_int_equal(send(peer->fd, bytes + FIRST, count - FIRST, 0), count - FIRST);
    rig_until_bytes(&rig, number, 5 + sizeof plain);
    assert_memory_equal(rig.connections[number].bytes + 5, plain, sizeof plain);
    close_peer(peer);
    close_rig(&rig);
}

static void a_clients_certificate_is_known_with_its_first_bytes(void **state)
{
    struct rig rig = open_rig(state, true);
    struct tls_peer *peer = open_peer(&rig, &client, 0);
    write_plain(peer, "hello", 5);
    rig.echoes = true;
    until_plain(&rig, peer, 5);
    assert_int_equal(peer->count, 5);
    assert_string_equal(transport_peer_subject(rig.transport, rig.last_opened), "CN=worker-7");
    close_peer(peer);
    close_rig(&rig);
}

static void unix_sockets_stay_plain(void **state)
{
    struct rig rig = open_rig(state, true);
    rig.echoes = true;
    int fd = rig_connect(&rig, 1, 0);
    char back[5];
    rig_peer_write(&rig, fd, "hello", 5);
    rig_peer_read(&rig, fd, back, 5);
    assert_memory_equal(back, "hello", 5);
    close(fd);
    close_rig(&rig);
}

static void the_farewell_of_either_side_is_an_orderly_end(void **state)
{
    struct rig rig = open_rig(state, false);
    struct tls_peer *peer = open_peer(&rig, NULL, 0);
    uint32_t number = rig.last_opened;
    write_plain(peer, "bye", 3);
    tls_session_finish(peer->session);
    rig_until(&rig, has_closed, peer, "CLOSED");
    assert_int_equal(rig.connections[number].reason, STATUS_OK);
    close_peer(peer);

    peer = open_peer(&rig, NULL, 0);
    number = rig.last_opened;
    write_plain(peer, "hello", 5);
    peer_moves(peer);
    rig_until_bytes(&rig, number, 0);
    assert_true(rig_send(&rig, number, "go away", 7));
    until_plain(&rig, peer, 0);
    rig.closed = 0;
    while (rig.connections[number].count < 5) {
        peer_moves(peer);
        rig_turn(&rig);
    }
    transport_cut(rig.transport, number, true);
    rig_until(&rig, is_at_end, peer, "the end");
    assert_int_equal(peer->problem.status, STATUS_END);
    assert_int_equal(peer->count, 7);
    close(peer->fd);
    peer->fd = -1;
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[number].reason, STATUS_OK);
    close_peer(peer);
    close_rig(&rig);
}

/* ---- what does not -----------------------------------------------------------------------------
 */

static void an_end_without_a_farewell_is_told_as_such(void **state)
{
    struct rig rig = open_rig(state, false);
    struct tls_peer *peer = open_peer(&rig, NULL, 0);
    write_plain(peer, "hello", 5);
    rig.echoes = true;
    until_plain(&rig, peer, 5);
    close(peer->fd);
    peer->fd = -1;
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[rig.last_opened].reason, STATUS_IO);
    assert_non_null(strstr(rig.connections[rig.last_opened].text, "without the farewell"));
    close_peer(peer);
    close_rig(&rig);
}

static void expect_refused(void **state, const struct identity *identity, const char *why)
{
    struct rig rig = open_rig(state, true);
    struct tls_peer *peer = open_peer(&rig, identity, 0);
    uint32_t number = rig.last_opened;
    write_plain(peer, "let me in", 9);
    rig_until(&rig, is_at_end, peer, "the end");
    assert_int_equal(peer->problem.status, STATUS_NO_PERMISSION);
    close(peer->fd);
    peer->fd = -1;
    rig_until_closed(&rig, 1);
    assert_int_equal(rig.connections[number].reason, STATUS_NO_PERMISSION);
    assert_int_equal(rig.connections[number].count, 0);
    if (strstr(rig.connections[number].text, why) == NULL)
        fail_msg("%s", rig.connections[number].text);
    close_peer(peer);
    close_rig(&rig);
}

static void a_client_without_a_certificate_learns_that_one_is_required(void **state)
{
    expect_refused(state, NULL, "has shown no certificate");
}

static void a_client_of_an_unknown_authority_is_refused(void **state)
{
    expect_refused(state, &stranger, "unknown authority");
}

static void garbage_is_closed_with_a_reason_and_disturbs_nobody(void **state)
{
    struct rig rig = open_rig(state, false);
    struct tls_peer *peer = open_peer(&rig, NULL, 0);
    rig.echoes = true;
    write_plain(peer, "hello", 5);
    until_plain(&rig, peer, 5);
    for (uint32_t i = 1; i <= 10; i++) {
        int fd = rig_connect(&rig, 0, 0);
        uint32_t number = rig.last_opened;
        uint8_t garbage[3000];
        memset(garbage, (int)(0x20 + i), sizeof garbage);
        rig_peer_write(&rig, fd, garbage, sizeof garbage);
        if (i % 2 == 0)
            assert_int_equal(rig_peer_read_all(&rig, fd), 0);
        close(fd);
        rig_until_closed(&rig, i);
        assert_int_equal(rig.connections[number].reason, STATUS_IO);
        assert_int_equal(rig.connections[number].count, 0);
    }
    write_plain(peer, "hello", 5);
    until_plain(&rig, peer, 10);
    assert_int_equal(peer->count, 10);
    close_peer(peer);
    close_rig(&rig);
}

/* The owner bounds how long a handshake may take: it cuts, and what it had committed is dropped. */
static void a_handshake_that_never_goes_on_can_be_cut(void **state)
{
    struct rig rig = open_rig(state, false);
    int fd = rig_connect(&rig, 0, 0);
    assert_true(rig_send(&rig, rig.last_opened, "welcome", 7));
    transport_flush(rig.transport);
    assert_int_equal(send(fd, "\x16\x03\x01", 3, 0), 3);
    rig_turn(&rig);
    transport_cut(rig.transport, rig.last_opened, true);
    assert_int_equal(rig_peer_read_all(&rig, fd), 0);
    close(fd);
    rig_until_closed(&rig, 1);
    close_rig(&rig);
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
        BOTH(bytes_go_both_ways_encrypted),
        BOTH(a_full_pipe_of_small_buffers_brings_all),
        BOTH(a_flood_from_the_peer_comes_whole),
        BOTH(more_plain_bytes_than_a_receive_buffer_come_at_once),
        BOTH(a_clients_certificate_is_known_with_its_first_bytes),
        BOTH(unix_sockets_stay_plain),
        BOTH(the_farewell_of_either_side_is_an_orderly_end),
        BOTH(an_end_without_a_farewell_is_told_as_such),
        BOTH(a_client_without_a_certificate_learns_that_one_is_required),
        BOTH(a_client_of_an_unknown_authority_is_refused),
        BOTH(garbage_is_closed_with_a_reason_and_disturbs_nobody),
        BOTH(a_handshake_that_never_goes_on_can_be_cut),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
