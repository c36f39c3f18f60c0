/*
 * TLS between two sessions without any socket: what one has for the socket goes into the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/net/tls.h"
#include "tests/certificates.h"

static char folder[64];
static struct identity authority, other_authority, server, other_server, client, stranger;

static int make_all(void **state)
{
    (void)state;
    certificates_make_folder(folder);
    authority = certificates_make(folder, "authority", "authority", 100, NULL);
    other_authority = certificates_make(folder, "other", "other", 100, NULL);
    server = certificates_make(folder, "server", "engine.example", 100, &authority);
    other_server = certificates_make(folder, "other-server", "127.0.0.1", 100, &authority);
    client = certificates_make(folder, "client", "worker-7", 100, &authority);
    stranger = certificates_make(folder, "stranger", "stranger", 100, &other_authority);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    struct identity *all[] = {&authority,    &other_authority, &server,
                              &other_server, &client,          &stranger};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        certificates_free(all[i]);
    certificates_remove(folder);
    return 0;
}

static struct tls_options server_options(void)
{
    return (struct tls_options){.certificate_file = server.certificate_file,
                                .key_file = server.key_file};
}

static struct tls_options client_options(void)
{
    return (struct tls_options){.ca_file = authority.certificate_file, .is_client = true};
}

static struct tls *open_tls(struct tls_options options)
{
    struct tls *tls = NULL;
    struct problem problem = {0};
    if (tls_open(&options, &tls, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return tls;
}

/* ---- two sides ----------------------------------------------------------------------------------
 */

struct side {
    struct tls *tls;
    struct tls_session *session;
    enum status status;
    struct problem problem;
    uint8_t *plain;
    size_t count;
};

static void open_side(struct side *side, struct tls *tls, const char *host)
{
    *side = (struct side){.tls = tls};
    assert_int_equal(tls_session_open(tls, host, &side->session), STATUS_OK);
}

static void close_side(struct side *side)
{
    tls_session_close(side->session);
    tls_close(side->tls);
    free(side->plain);
}

static void read_plain(struct side *side)
{
    uint8_t bytes[3001];
    size_t count;
    while ((count = tls_session_read(side->session, bytes, sizeof bytes)) > 0) {
        side->plain = realloc(side->plain, side->count + count);
        assert_non_null(side->plain);
        memcpy(side->plain + side->count, bytes, count);
        side->count += count;
    }
    if (side->status == STATUS_OK)
        side->status = tls_session_status(side->session, &side->problem);
}

/* In pieces of `piece` bytes, as a socket may cut them. False if there was nothing. */
static bool carry(struct side *from, struct side *to, size_t piece)
{
    uint8_t bytes[20000];
    size_t count = tls_session_output(from->session, bytes, piece);
    if (count == 0)
        return false;
    enum status status = tls_session_input(to->session, bytes, count, &to->problem);
    if (to->status == STATUS_OK)
        to->status = status;
    read_plain(to);
    return true;
}

static void carry_all(struct side *a, struct side *b, size_t piece)
{
    for (bool moved = true; moved;) {
        moved = carry(a, b, piece);
        moved |= carry(b, a, piece);
    }
}

struct pair {
    struct side server, client;
};

static struct pair open_pair(struct tls_options of_server, struct tls_options of_client,
                             const char *host)
{
    struct pair pair;
    open_side(&pair.server, open_tls(of_server), NULL);
    open_side(&pair.client, open_tls(of_client), host);
    return pair;
}

static void close_pair(struct pair *pair)
{
    close_side(&pair->server);
    close_side(&pair->client);
}

/* ---- what works ---------------------------------------------------------------------------------
 */

static void bytes_go_both_ways_however_the_socket_cuts_them(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 20000; piece = piece * 5 + 2) {
        struct pair pair = open_pair(server_options(), client_options(), "engine.example");
        static uint8_t bytes[200000];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)(i % 251);
        assert_int_equal(tls_session_write(pair.client.session, bytes, sizeof bytes), STATUS_OK);
        carry_all(&pair.client, &pair.server, piece);
        assert_true(tls_session_is_ready(pair.client.session));
        assert_true(tls_session_is_ready(pair.server.session));
        assert_int_equal(pair.server.count, sizeof bytes);
        assert_memory_equal(pair.server.plain, bytes, sizeof bytes);
        assert_int_equal(tls_session_write(pair.server.session, bytes, 70000), STATUS_OK);
        assert_true(tls_session_output_bytes(pair.server.session) > 70000);
        carry_all(&pair.client, &pair.server, piece);
        assert_int_equal(pair.client.count, 70000);
        assert_memory_equal(pair.client.plain, bytes, 70000);
        close_pair(&pair);
    }
}

static void what_was_written_before_the_handshake_waits_for_it(void **state)
{
    (void)state;
    struct pair pair = open_pair(server_options(), client_options(), "engine.example");
    assert_int_equal(tls_session_write(pair.server.session, (const uint8_t *)"wel", 3), STATUS_OK);
    assert_int_equal(tls_session_write(pair.server.session, (const uint8_t *)"come", 4), STATUS_OK);
    assert_int_equal(tls_session_output_bytes(pair.server.session), 0);
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.client.count, 7);
    assert_memory_equal(pair.client.plain, "welcome", 7);
    close_pair(&pair);
}

static void the_farewell_is_an_end_and_not_a_failure(void **state)
{
    (void)state;
    struct pair pair = open_pair(server_options(), client_options(), "engine.example");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(tls_session_write(pair.client.session, (const uint8_t *)"bye", 3), STATUS_OK);
    tls_session_finish(pair.client.session);
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.server.count, 3);
    assert_int_equal(pair.server.status, STATUS_END);
    assert_int_equal(tls_session_write(pair.server.session, (const uint8_t *)"too", 3), STATUS_OK);
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.client.count, 3);
    close_pair(&pair);
    pair = open_pair(server_options(), client_options(), "engine.example");
    assert_int_equal(tls_session_write(pair.client.session, (const uint8_t *)"bye", 3), STATUS_OK);
    tls_session_finish(pair.client.session);
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.server.count, 3);
    assert_int_equal(pair.server.status, STATUS_END);
    close_pair(&pair);
}

static void a_clients_certificate_says_who_it_is(void **state)
{
    (void)state;
    struct tls_options of_server = server_options(), of_client = client_options();
    of_server.ca_file = authority.certificate_file;
    of_server.client_required = true;
    of_client.certificate_file = client.certificate_file;
    of_client.key_file = client.key_file;
    struct pair pair = open_pair(of_server, of_client, "engine.example");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.server.status, STATUS_OK);
    assert_string_equal(tls_session_subject(pair.server.session), "CN=worker-7");
    assert_string_equal(tls_session_subject(pair.client.session), "CN=engine.example");
    close_pair(&pair);
}

static void a_client_may_go_without_where_none_is_required(void **state)
{
    (void)state;
    struct tls_options of_server = server_options();
    of_server.ca_file = authority.certificate_file;
    struct pair pair = open_pair(of_server, client_options(), "engine.example");
    carry_all(&pair.client, &pair.server, 20000);
    assert_true(tls_session_is_ready(pair.server.session));
    assert_string_equal(tls_session_subject(pair.server.session), "");
    close_pair(&pair);
}

static void an_address_is_compared_with_the_addresses_of_the_certificate(void **state)
{
    (void)state;
    struct tls_options of_server = {.certificate_file = other_server.certificate_file,
                                    .key_file = other_server.key_file};
    struct pair pair = open_pair(of_server, client_options(), "127.0.0.1");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.client.status, STATUS_OK);
    assert_true(tls_session_is_ready(pair.server.session));
    close_pair(&pair);
}

/* ---- what does not ------------------------------------------------------------------------------
 */

static void expect_client_refuses(struct pair *pair, const char *why)
{
    carry_all(&pair->client, &pair->server, 20000);
    assert_int_equal(pair->client.status, STATUS_NO_PERMISSION);
    if (strstr(pair->client.problem.text, why) == NULL)
        fail_msg("%s", pair->client.problem.text);
    /* The alert has told the server. */
    assert_int_equal(pair->server.status, STATUS_NO_PERMISSION);
    assert_non_null(strstr(pair->server.problem.text, "the peer has ended TLS"));
    close_pair(pair);
}

static void a_server_of_an_unknown_authority_is_refused(void **state)
{
    (void)state;
    struct tls_options options = client_options();
    options.ca_file = other_authority.certificate_file;
    struct pair pair = open_pair(server_options(), options, "engine.example");
    expect_client_refuses(&pair, "from an unknown authority");
}

static void a_server_of_another_name_is_refused(void **state)
{
    (void)state;
    struct pair pair = open_pair(server_options(), client_options(), "engine.elsewhere");
    expect_client_refuses(&pair, "is for another name");
    pair = open_pair(server_options(), client_options(), "127.0.0.1");
    expect_client_refuses(&pair, "is for another name");
}

static void any_name_will_do_where_the_client_says_so_but_no_unknown_authority(void **state)
{
    (void)state;
    struct tls_options options = client_options();
    options.expect_any_name = true;
    struct pair pair = open_pair(server_options(), options, "engine.elsewhere");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.client.status, STATUS_OK);
    close_pair(&pair);
    options.ca_file = other_authority.certificate_file;
    pair = open_pair(server_options(), options, NULL);
    expect_client_refuses(&pair, "from an unknown authority");
}

/* A server whose certificate has expired does not start here; elsewhere it may run on. */
static SSL *open_expired(SSL_CTX **ret_context)
{
    struct identity expired =
        certificates_make(folder, "expired", "engine.example", -1, &authority);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, expired.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, expired.key), 1);
    SSL *ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl);
    certificates_free(&expired);
    *ret_context = context;
    return ssl;
}

static void a_server_with_an_expired_certificate_is_refused(void **state)
{
    (void)state;
    SSL_CTX *context;
    SSL *ssl = open_expired(&context);
    struct side side;
    uint8_t bytes[20000];
    open_side(&side, open_tls(client_options()), "engine.example");
    size_t count = tls_session_output(side.session, bytes, sizeof bytes);
    assert_int_equal(BIO_write(SSL_get_rbio(ssl), bytes, (int)count), count);
    SSL_do_handshake(ssl);
    int answer = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes);
    assert_true(answer > 0);
    struct problem problem = {0};
    assert_int_equal(tls_session_input(side.session, bytes, (size_t)answer, &problem),
                     STATUS_NO_PERMISSION);
    assert_non_null(strstr(problem.text, "has expired"));
    assert_true(tls_session_output_bytes(side.session) > 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    close_side(&side);
}

static void a_client_without_a_certificate_is_refused_where_one_is_required(void **state)
{
    (void)state;
    struct tls_options of_server = server_options();
    of_server.ca_file = authority.certificate_file;
    of_server.client_required = true;
    struct pair pair = open_pair(of_server, client_options(), "engine.example");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.server.status, STATUS_NO_PERMISSION);
    assert_non_null(strstr(pair.server.problem.text, "has shown no certificate"));
    assert_int_equal(pair.client.status, STATUS_NO_PERMISSION);
    close_pair(&pair);
}

static void a_client_of_an_unknown_authority_is_refused(void **state)
{
    (void)state;
    struct tls_options of_server = server_options(), of_client = client_options();
    of_server.ca_file = authority.certificate_file;
    of_client.certificate_file = stranger.certificate_file;
    of_client.key_file = stranger.key_file;
    struct pair pair = open_pair(of_server, of_client, "engine.example");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(pair.server.status, STATUS_NO_PERMISSION);
    assert_non_null(strstr(pair.server.problem.text, "unknown authority"));
    assert_false(tls_session_is_ready(pair.server.session));
    close_pair(&pair);
}

static void garbage_is_no_handshake(void **state)
{
    (void)state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff\xff\xff\xff",
                                          "\x16\x03\x01\xff\xff\x01\x02\x03\x04\x05"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct side side;
        struct problem problem = {0};
        open_side(&side, open_tls(server_options()), NULL);
        assert_int_equal(tls_session_input(side.session, (const uint8_t *)garbage[i],
                                           strlen(garbage[i]), &problem),
                         STATUS_IO);
        assert_non_null(strstr(problem.text, "is not TLS"));
        assert_int_equal(tls_session_input(side.session, (const uint8_t *)"more", 4, &problem),
                         STATUS_IO);
        assert_int_not_equal(tls_session_write(side.session, (const uint8_t *)"x", 1), STATUS_OK);
        close_side(&side);
    }
}

static void a_byte_changed_on_the_way_is_noticed(void **state)
{
    (void)state;
    struct pair pair = open_pair(server_options(), client_options(), "engine.example");
    carry_all(&pair.client, &pair.server, 20000);
    assert_int_equal(tls_session_write(pair.client.session, (const uint8_t *)"100", 3), STATUS_OK);
    uint8_t bytes[1000];
    size_t count = tls_session_output(pair.client.session, bytes, sizeof bytes);
    bytes[count - 1] ^= 1;
    struct problem problem = {0};
    assert_int_equal(tls_session_input(pair.server.session, bytes, count, &problem), STATUS_OK);
    assert_int_equal(tls_session_read(pair.server.session, bytes, sizeof bytes), 0);
    assert_int_equal(tls_session_status(pair.server.session, &problem), STATUS_IO);
    close_pair(&pair);
}

/* ---- files --------------------------------------------------------------------------------------
 */

static void expect_problem(struct tls_options options, enum status status, const char *file,
                           const char *why)
{
    struct tls *tls;
    struct problem problem = {0};
    assert_int_equal(tls_open(&options, &tls, &problem), status);
    if (strstr(problem.text, why) == NULL || (file != NULL && strstr(problem.text, file) == NULL))
        fail_msg("%s", problem.text);
}

static void what_is_wrong_with_a_file_is_said(void **state)
{
    (void)state;
    struct tls_options options = server_options();
    options.certificate_file = "/tmp/no/such/file.pem";
    expect_problem(options, STATUS_NOT_FOUND, options.certificate_file, "does not exist");
    options.certificate_file = server.key_file;
    expect_problem(options, STATUS_INVALID, server.key_file, "there is no certificate in PEM");
    options = server_options();
    options.key_file = server.certificate_file;
    expect_problem(options, STATUS_INVALID, server.certificate_file, "there is no key in PEM");
    options.key_file = client.key_file;
    expect_problem(options, STATUS_INVALID, client.key_file, "does not fit the certificate");
    options = server_options();
    options.ca_file = server.key_file;
    expect_problem(options, STATUS_INVALID, server.key_file, "there is no certificate in PEM");
    options = server_options();
    options.key_file = folder;
    expect_problem(options, STATUS_INVALID, folder, "there is no key");
    struct identity expired = certificates_make(folder, "old", "engine.example", -1, &authority);
    options.certificate_file = expired.certificate_file;
    options.key_file = expired.key_file;
    expect_problem(options, STATUS_INVALID, expired.certificate_file, "has expired");
    certificates_free(&expired);
}

static void options_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    expect_problem((struct tls_options){0}, STATUS_INVALID, NULL, "needs a certificate");
    struct tls_options options = server_options();
    options.key_file = NULL;
    expect_problem(options, STATUS_INVALID, NULL, "are given together");
    options = server_options();
    options.client_required = true;
    expect_problem(options, STATUS_INVALID, NULL, "name the file of the authorities");
}

static void a_file_that_may_not_be_read_is_named(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct tls *tls;
        struct problem problem = {0};
        struct tls_options options = server_options();
        bool is_nobody = chmod(server.key_file, 0600) == 0 && chmod(folder, 0755) == 0 &&
                         (getuid() != 0 || setuid(65534) == 0);
        if (getuid() == 0 || !is_nobody)
            _exit(77);
        _exit(tls_open(&options, &tls, &problem) == STATUS_NO_PERMISSION &&
                      strstr(problem.text, server.key_file) != NULL
                  ? 0
                  : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(WEXITSTATUS(result), 0);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[8192];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    assert_non_null(in);
    assert_non_null(out);
    size_t count = fread(bytes, 1, sizeof bytes, in);
    assert_int_equal(fwrite(bytes, 1, count, out), count);
    fclose(in);
    fclose(out);
}

static void renewed_files_are_for_new_connections_and_bad_ones_change_nothing(void **state)
{
    (void)state;
    char certificate[300], key[300];
    snprintf(certificate, sizeof certificate, "%s/live.pem", folder);
    snprintf(key, sizeof key, "%s/live.key", folder);
    copy_file(server.certificate_file, certificate);
    copy_file(server.key_file, key);
    struct tls *tls =
        open_tls((struct tls_options){.certificate_file = certificate, .key_file = key});
    struct problem problem = {0};
    copy_file(other_server.certificate_file, certificate);
    assert_int_equal(tls_reload(tls, &problem), STATUS_INVALID);
    struct pair pair = {0};
    open_side(&pair.server, tls, NULL);
    open_side(&pair.client, open_tls(client_options()), "engine.example");
    copy_file(other_server.key_file, key);
    assert_int_equal(tls_reload(tls, &problem), STATUS_OK);
    carry_all(&pair.client, &pair.server, 20000);
    assert_string_equal(tls_session_subject(pair.client.session), "CN=engine.example");
    tls_session_close(pair.server.session);
    close_side(&pair.client);
    open_side(&pair.server, tls, NULL);
    open_side(&pair.client, open_tls(client_options()), "127.0.0.1");
    carry_all(&pair.client, &pair.server, 20000);
    assert_string_equal(tls_session_subject(pair.client.session), "CN=127.0.0.1");
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_however_the_socket_cuts_them),
        cmocka_unit_test(what_was_written_before_the_handshake_waits_for_it),
        cmocka_unit_test(the_farewell_is_an_end_and_not_a_failure),
        cmocka_unit_test(a_clients_certificate_says_who_it_is),
        cmocka_unit_test(a_client_may_go_without_where_none_is_required),
        cmocka_unit_test(an_address_is_compared_with_the_addresses_of_the_certificate),
        cmocka_unit_test(a_server_of_an_unknown_authority_is_refused),
        cmocka_unit_test(a_server_of_another_name_is_refused),
        cmocka_unit_test(any_name_will_do_where_the_client_says_so_but_no_unknown_authority),
        cmocka_unit_test(a_server_with_an_expired_certificate_is_refused),
        cmocka_unit_test(a_client_without_a_certificate_is_refused_where_one_is_required),
        cmocka_unit_test(a_client_of_an_unknown_authority_is_refused),
        cmocka_unit_test(garbage_is_no_handshake),
        cmocka_unit_test(a_byte_changed_on_the_way_is_noticed),
        cmocka_unit_test(what_is_wrong_with_a_file_is_said),
        cmocka_unit_test(options_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_file_that_may_not_be_read_is_named),
        cmocka_unit_test(renewed_files_are_for_new_connections_and_bad_ones_change_nothing),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
