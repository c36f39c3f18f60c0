/*
 * Peers that are wrong, slow, dead or mean, at the real program: each costs itself, is told why as
 * far as it listens, and nobody else notices. That an address is
 * taken is looked at in test_serve.c. Many at once: test_net_crowds.c.
 */
#include "tests/cli/net_rig.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/net/wire.h"
#include "tests/certificates.h"

#define GARBAGE_COUNT   200u
#define CUT_COUNT       200u
#define DEEP_COUNT      10000u
#define MEMORY_KIB_MORE (96u << 10)

static void send_frame(struct net_peer *peer, const void *body, uint32_t bytes)
{
    uint8_t head[WIRE_LENGTH_BYTES];
    wire_put_length(head, bytes);
    net_send(peer, head, sizeof head);
    net_send(peer, body, bytes);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void say_to_new_one(const void *bytes, size_t count, const char *status)
{
    struct net_peer peer = net_connect();
    net_send(&peer, bytes, count);
    net_expect_error(&peer, 0, status);
    net_expect_end(&peer);
    net_hang_up(&peer, false);
}

static void what_is_said_in_another_protocol_is_answered_with_an_error(void **state)
{
    (void)state;
    static const char http[] = "GET / HTTP/1.1\r\nHost: flyover\r\n\r\n";
    static const char tls[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    static const char text[] = "\0\0\0\5hello";
    net_serve(NULL);
    struct flyover_client *client = serve_connect(serve_address);
    say_to_new_one(http, sizeof http - 1, "TOO_LARGE");
    say_to_new_one(tls, sizeof tls - 1, "TOO_LARGE");
    say_to_new_one(text, sizeof text - 1, "INVALID");
    net_expect_service(client);
    flyover_close(client);
    serve_stop(&serve_it);
}

/* Before its HELLO or behind it; some of it happens to be a message, so that only the end of the
 * connection is expected, which its own end brings at the latest. */
static void send_garbage(uint64_t *random)
{
    uint8_t body[64];
    struct net_peer peer = cli_draw(random) % 2 == 0 ? net_connect() : net_greet(NULL);
    uint32_t bytes = 1 + (uint32_t)(cli_draw(random) % sizeof body);
    for (uint32_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)cli_draw(random);
    if (cli_draw(random) % 2 == 0)
        body[0] = (uint8_t)(0x91 + cli_draw(random) % 8);
    send_frame(&peer, body, bytes);
    shutdown(peer.fd, SHUT_WR);
    net_expect_end(&peer);
    net_hang_up(&peer, false);
}

static void garbage_costs_itself_and_nobody_else(void **state)
{
    (void)state;
    uint64_t random = 42;
    net_serve(NULL);
    struct flyover_client *client = serve_connect(serve_address);
    for (uint32_t i = 0; i < GARBAGE_COUNT; i++)
        send_garbage(&random);
    net_expect_service(client);
    assert_int_equal(flyover_late_count(client), 0);
    flyover_close(client);
    serve_stop(&serve_it);
}

static void a_frame_of_4_gb_is_refused_by_its_length_and_takes_no_memory(void **state)
{
    (void)state;
    net_serve(NULL);
    struct flyover_client *client = serve_connect(serve_address);
    net_run(client, "pass");
    size_t before_kib = net_memory_kib();
    for (uint32_t i = 0; i < GARBAGE_COUNT; i++) {
        struct net_peer peer = i % 2 == 0 ? net_connect() : net_greet(NULL);
        net_send(&peer, "\xff\xff\xff\xff", 4);
        net_expect_error(&peer, 0, "TOO_LARGE");
        net_expect_end(&peer);
        net_hang_up(&peer, false);
    }
    net_expect_service(client);
    if (!CLI_SANITIZED)
        assert_true(net_memory_kib() < before_kib + MEMORY_KIB_MORE);
    flyover_close(client);
    serve_stop(&serve_it);
}

/* Behind `at`: `count` arrays, one in the other. */
static uint8_t *put_deep(uint8_t *at, uint32_t count)
{
    memset(at, 0x91, count);
    at[count] = 0xc0;
    return at + count + 1;
}

static void what_is_ten_thousand_deep_is_refused_and_its_connection_goes_on(void **state)
{
    (void)state;
    static uint8_t body[DEEP_COUNT + 256];
    net_serve(NULL);
    struct net_peer peer = net_greet(NULL);
    uint8_t *at = wire_put_uint(wire_put_uint(wire_put_array(body, 5), WIRE_START), 7);
    at = wire_put_nil(put_deep(wire_put_string(at, "pass"), DEEP_COUNT));
    send_frame(&peer, body, (uint32_t)(at - body));
    net_expect_error(&peer, 7, "INVALID");
    at = put_deep(wire_put_uint(wire_put_uint(wire_put_array(body, 3), WIRE_ASK), 8), DEEP_COUNT);
    send_frame(&peer, body, (uint32_t)(at - body));
    net_expect_error(&peer, 8, "INVALID");
    net_say(&peer, "[12, 9, \"pass\", [[[]]], {\"reply\": 1}]");
    net_expect(&peer, "[14,9,1,\"SUCCEEDED\",[[[]]]");
    net_hang_up(&peer, false);
    assert_int_equal(net_count("started"), 1);
    serve_stop(&serve_it);
}

/* ---- peers that stop in the middle ----------------------------------------------------------- */

static void who_says_no_hello_in_time_is_cut(void **state)
{
    (void)state;
    net_serve(SERVE_ARGS("--hello-ms", "700"));
    struct flyover_client *client = serve_connect(serve_address);
    struct net_peer mute = net_connect(), half = net_connect();
    net_send(&half, "\0\0\0\x20\x93\x01", 6);
    net_expect_end(&mute);
    net_expect_end(&half);
    serve_await(&serve_it, "no HELLO in time");
    serve_await(&serve_it, "no HELLO in time");
    net_expect_service(client);
    net_hang_up(&mute, false);
    net_hang_up(&half, false);
    flyover_close(client);
    serve_stop(&serve_it);
}

/* However much it answers meanwhile: it is asked far later than the rest of the frame is due. */
static void who_does_not_send_the_rest_of_a_frame_in_time_is_cut(void **state)
{
    (void)state;
    net_serve(SERVE_ARGS("--frame-ms", "300", "--heartbeat-ms", "3600000"));
    struct net_peer half = net_greet(NULL);
    net_send(&half, "\0\0\1\0\x95\x0c", 6);
    net_expect_end(&half);
    serve_await(&serve_it, "a frame was not whole in time");
    net_hang_up(&half, false);
    serve_stop(&serve_it);
}

static void who_stops_in_the_middle_of_a_frame_is_cut_for_its_silence(void **state)
{
    (void)state;
    net_serve(SERVE_ARGS("--heartbeat-ms", "200"));
    struct net_peer half = net_greet(NULL);
    net_send(&half, "\0\0\1\0\x95\x0c", 6);
    net_expect_end(&half);
    serve_await(&serve_it, "it does not answer");
    net_hang_up(&half, false);
    struct flyover_client *client = serve_connect(serve_address);
    net_expect_service(client);
    flyover_close(client);
    serve_stop(&serve_it);
}

static void who_closes_in_the_middle_of_a_frame_leaves_nothing_behind(void **state)
{
    (void)state;
    net_serve(NULL);
    struct flyover_client *client = serve_connect(serve_address);
    net_run(client, "pass");
    net_note_files();
    for (uint32_t i = 0; i < CUT_COUNT; i++) {
        struct net_peer peer = net_greet(NULL);
        net_say(&peer, "[12, 1, \"far\", null, {\"reply\": 2}]");
        net_send(&peer, "\0\0\1\0\x95\x0c", 6);
        net_hang_up(&peer, i % 2 == 0);
    }
    net_expect_service(client);
    net_await_files();
    flyover_close(client);
    serve_stop(&serve_it);
    assert_non_null(strstr(serve_it.log, "requests_open=0"));
}

/* As much as it takes at once, from where it stopped. False: it is cut. */
static bool push(const struct net_peer *peer, const uint8_t *bytes, size_t count, size_t *at)
{
    ssize_t sent = send(peer->fd, bytes + *at, count - *at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR;
    *at = (*at + (size_t)sent) % count;
    return true;
}

static void a_client_that_never_reads_is_cut_and_holds_up_nobody(void **state)
{
    (void)state;
    static uint8_t frame[WIRE_LENGTH_BYTES + 60000];
    wire_put_length(frame, 60000);
    for (uint32_t i = 0; i < 60000; i += 3)
        memcpy(frame + WIRE_LENGTH_BYTES + i, "\x92\x03\x01", 3);
    net_serve(SERVE_ARGS("--heartbeat-ms", "1000"));
    struct flyover_client *client = serve_connect(serve_address);
    net_run(client, "pass");
    size_t before_kib = net_memory_kib(), most_kib = 0, at = 0;
    struct net_peer deaf = net_greet(NULL);
    while (push(&deaf, frame, sizeof frame, &at)) {
        net_run(client, "pass");
        size_t kib = net_memory_kib();
        most_kib = kib > most_kib ? kib : most_kib;
    }
    serve_await(&serve_it, "it does not read");
    if (!CLI_SANITIZED && most_kib > before_kib + MEMORY_KIB_MORE)
        fail_msg("%zu KiB before, %zu with it", before_kib, most_kib);
    net_hang_up(&deaf, false);
    net_expect_service(client);
    flyover_close(client);
    serve_stop(&serve_it);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void requests_of_the_same_id_are_answered_each_and_a_doubled_offer_is_refused(void **state)
{
    (void)state;
    net_serve(NULL);
    struct net_peer peer = net_greet(NULL);
    net_say(&peer, "[12, 7, \"far\", null, null]");
    net_say(&peer, "[12, 7, \"far\", null, null]");
    net_expect(&peer, "[13,7,1,false]");
    net_expect(&peer, "[13,7,2,false]");
    net_say(&peer, "[18, 7, {\"credit\": 1}]");
    net_say(&peer, "[18, 7, {\"credit\": 1}]");
    net_expect_error(&peer, 7, "INVALID");
    net_say(&peer, "[30, 7, \"other\", [\"go\"], 1]");
    net_expect(&peer, "[31,7]");
    net_say(&peer, "[30, 7, \"other\", [\"go\"], 1]");
    net_expect_error(&peer, 7, "INVALID");
    net_hang_up(&peer, false);
    serve_stop(&serve_it);
}

static void results_that_nobody_asked_for_are_late_and_change_nothing(void **state)
{
    (void)state;
    net_serve(NULL);
    struct net_peer worker = net_greet(NULL), stranger = net_greet(NULL);
    net_say(&stranger, "[33, 12345, null]");
    net_expect(&stranger, "[36,12345]");
    net_say(&worker, "[30, 1, \"far\", [\"go\"], 1]");
    net_expect(&worker, "[31,1]");
    net_say(&stranger, "[12, 2, \"far\", null, {\"reply\": 2}]");
    net_expect(&stranger, "[13,2,1,false]");
    uint64_t number;
    assert_int_equal(sscanf(net_hear(&worker), "[32,%" SCNu64 ",", &number), 1);
    char said[64], late[64];
    snprintf(late, sizeof late, "[36,%" PRIu64 "]", number);
    snprintf(said, sizeof said, "[33, %" PRIu64 ", \"not mine\"]", number);
    net_say(&stranger, said);
    net_expect(&stranger, late);
    snprintf(said, sizeof said, "[33, %" PRIu64 ", \"mine\"]", number);
    net_say(&worker, said);
    net_expect(&stranger, "[14,2,1,\"SUCCEEDED\",\"mine\"");
    net_say(&worker, said);
    net_expect(&worker, late);
    net_hang_up(&worker, false);
    net_hang_up(&stranger, false);
    serve_stop(&serve_it);
}

/* ---- who may --------------------------------------------------------------------------------- */

static void expect_not_let_in(const char *hello)
{
    struct net_peer peer = net_connect();
    net_say(&peer, hello);
    net_expect_error(&peer, 0, "NO_PERMISSION");
    net_expect_end(&peer);
    net_hang_up(&peer, false);
}

static void who_has_no_token_is_kept_out_and_a_worker_to_what_it_may_serve(void **state)
{
    (void)state;
    char *near = serve_make_token("near", "worker:near,nearer");
    char *far = serve_make_token("far", "worker:far");
    char *shop = serve_make_token("shop", "client");
    net_serve(SERVE_ARGS("--token-file", serve_token_file));
    expect_not_let_in("[1, 1, {}]");
    expect_not_let_in("[1, 1, {\"token\": \"fly_0000000000000000000000000000000000000000\"}]");
    struct net_peer worker = net_greet(near), client = net_greet(shop), right = net_greet(far);
    net_say(&worker, "[30, 1, \"far\", [\"go\"], 1]");
    net_expect_error(&worker, 1, "NO_PERMISSION");
    net_say(&client, "[30, 1, \"far\", [\"go\"], 1]");
    net_expect_error(&client, 1, "NO_PERMISSION");
    net_say(&worker, "[12, 2, \"far\", null, null]");
    net_expect_error(&worker, 2, "NO_PERMISSION");
    net_say(&client, "[12, 3, \"far\", null, null]");
    net_expect(&client, "[13,3,1,false]");
    net_say(&right, "[30, 1, \"far\", [\"go\"], 1]");
    net_expect(&right, "[31,1]");
    net_expect(&right, "[32,");
    net_hang_up(&worker, false);
    net_hang_up(&client, false);
    net_hang_up(&right, false);
    free(near);
    free(far);
    free(shop);
    serve_stop(&serve_it);
}

/* With OpenSSL itself, since the library does not even load such a certificate. False: the engine
 * did not let it in. */
static bool shake_hands(const struct identity *identity)
{
    struct net_peer peer = net_connect();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(context, identity->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, identity->key), 1);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, peer.fd);
    char byte;
    /* In TLS 1.3 the client hears what became of its certificate with the first bytes only. */
    bool is_in = SSL_connect(ssl) == 1 && SSL_write(ssl, "\0\0\0\x03\x93\x01\x01\x80", 8) == 8 &&
                 SSL_read(ssl, &byte, 1) == 1;
    SSL_free(ssl);
    SSL_CTX_free(context);
    net_hang_up(&peer, false);
    return is_in;
}

static void a_certificate_that_has_expired_is_not_believed_on_either_side(void **state)
{
    (void)state;
    char folder[64];
    certificates_make_folder(folder);
    struct identity authority = certificates_make(folder, "ca", "Test", 1, NULL);
    struct identity fresh = certificates_make(folder, "fresh", "127.0.0.1", 1, &authority);
    struct identity old = certificates_make(folder, "old", "127.0.0.1", -1, &authority);
    const char *const expired[] = {"--data",      serve_data,          "--listen",
                                   "127.0.0.1:0", "--tls-certificate", old.certificate_file,
                                   "--tls-key",   old.key_file,        NULL};
    serve_spawn(&serve_it, NULL, expired);
    assert_int_equal(serve_wait(&serve_it), CLI_INPUT);
    assert_non_null(strstr(serve_it.log, "has expired"));
    net_serve(SERVE_ARGS("--tls-certificate", fresh.certificate_file, "--tls-key", fresh.key_file,
                         "--tls-ca", authority.certificate_file, "--tls-client-required"));
    assert_true(shake_hands(&fresh));
    assert_false(shake_hands(&old));
    assert_true(shake_hands(&fresh));
    serve_stop(&serve_it);
    certificates_free(&old);
    certificates_free(&fresh);
    certificates_free(&authority);
    certificates_remove(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_said_in_another_protocol_is_answered_with_an_error),
        TEST(garbage_costs_itself_and_nobody_else),
        TEST(a_frame_of_4_gb_is_refused_by_its_length_and_takes_no_memory),
        TEST(what_is_ten_thousand_deep_is_refused_and_its_connection_goes_on),
        TEST(who_says_no_hello_in_time_is_cut),
        TEST(who_does_not_send_the_rest_of_a_frame_in_time_is_cut),
        TEST(who_stops_in_the_middle_of_a_frame_is_cut_for_its_silence),
        TEST(who_closes_in_the_middle_of_a_frame_leaves_nothing_behind),
        TEST(a_client_that_never_reads_is_cut_and_holds_up_nobody),
        TEST(requests_of_the_same_id_are_answered_each_and_a_doubled_offer_is_refused),
        TEST(results_that_nobody_asked_for_are_late_and_change_nothing),
        TEST(who_has_no_token_is_kept_out_and_a_worker_to_what_it_may_serve),
        TEST(a_certificate_that_has_expired_is_not_believed_on_either_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
