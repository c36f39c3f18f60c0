/*
 * TLS: who is trusted, and what is said of those who are not; HTTP/2 with a server of Node's, where
 * there is one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/certificates.h"
#include "tests/edge/fake_http.h"
#include "tests/edge/http_rig.h"

static char folder[64];
static struct identity authority, server, other_name, old, stranger;
static struct http *http;
static struct outcome outcome;

static int make_all(void **state)
{
    (void)state;
    certificates_make_folder(folder);
    authority = certificates_make(folder, "authority", "authority", 100, NULL);
    server = certificates_make(folder, "server", "127.0.0.1", 100, &authority);
    other_name = certificates_make(folder, "other", "other.example", 100, &authority);
    old = certificates_make(folder, "old", "127.0.0.1", -1, &authority);
    stranger = certificates_make(folder, "stranger", "127.0.0.1", 100, NULL);
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    struct identity *all[] = {&authority, &server, &other_name, &old, &stranger};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        certificates_free(all[i]);
    certificates_remove(folder);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    struct problem problem = {0};
    unsetenv("AWS_CA_BUNDLE");
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_close(http);
    http_rig_free(&outcome, 1);
    return 0;
}

static struct fake_http *open_server(const struct identity *identity)
{
    return fake_http_open(&(struct fake_http_options){
        .certificate_file = identity->certificate_file, .key_file = identity->key_file});
}

/* What is asked of a server with this certificate by one who trusts `ca_file`. */
static void ask(const struct identity *identity, const char *ca_file, enum http_end end)
{
    struct fake_http *secure = open_server(identity);
    struct http_request request = http_rig_request(fake_http_url(secure), &outcome);
    request.ca_file = ca_file;
    http_rig_ask(http, &request, end);
    assert_int_equal(fake_http_seen(secure), end == HTTP_ANSWERED ? 1 : 0);
    fake_http_close(secure);
}

static void expect_sentence(const char *part)
{
    if (strstr(outcome.sentence, part) == NULL)
        fail_msg("'%s' says nothing of '%s'", outcome.sentence, part);
}

static void a_certificate_of_a_trusted_authority_is_taken(void **state)
{
    (void)state;
    ask(&server, authority.certificate_file, HTTP_ANSWERED);
    assert_string_equal(outcome.body, "{}");
}

static void a_connection_with_tls_is_kept(void **state)
{
    (void)state;
    struct fake_http *secure = open_server(&server);
    for (uint32_t i = 0; i < 3; i++) {
        struct http_request request = http_rig_request(fake_http_url(secure), &outcome);
        request.ca_file = authority.certificate_file;
        http_rig_send(http, &request);
        http_rig_until(http, &outcome, 1);
        assert_int_equal(outcome.end, HTTP_ANSWERED);
        http_rig_free(&outcome, 1);
    }
    assert_int_equal(fake_http_connections(secure), 1);
    fake_http_close(secure);
}

static void nobody_else_is_sent_anything(void **state)
{
    (void)state;
    ask(&server, NULL, HTTP_NOT_SENT);
    expect_sentence("is not trusted");
    expect_sentence("AWS_CA_BUNDLE");
    http_rig_free(&outcome, 1);
    ask(&stranger, authority.certificate_file, HTTP_NOT_SENT);
    expect_sentence("is not trusted");
    http_rig_free(&outcome, 1);
    ask(&old, authority.certificate_file, HTTP_NOT_SENT);
    expect_sentence("expired");
    http_rig_free(&outcome, 1);
    ask(&other_name, authority.certificate_file, HTTP_NOT_SENT);
    expect_sentence("127.0.0.1");
}

/* What was let in by one request's authorities is not by another's. */
static void a_connection_is_not_shared_with_who_does_not_trust_it(void **state)
{
    (void)state;
    struct fake_http *secure = open_server(&server);
    struct http_request request = http_rig_request(fake_http_url(secure), &outcome);
    request.ca_file = authority.certificate_file;
    http_rig_ask(http, &request, HTTP_ANSWERED);
    http_rig_free(&outcome, 1);
    request.ca_file = NULL;
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    fake_http_close(secure);
}

static void aws_ca_bundle_is_trusted(void **state)
{
    (void)state;
    struct problem problem = {0};
    http_close(http);
    setenv("AWS_CA_BUNDLE", authority.certificate_file, 1);
    assert_int_equal(http_open(&http, &problem), STATUS_OK);
    ask(&server, NULL, HTTP_ANSWERED);
}

static void an_aws_ca_bundle_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct http *none;
    setenv("AWS_CA_BUNDLE", "/nowhere/bundle.pem", 1);
    assert_int_equal(http_open(&none, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "AWS_CA_BUNDLE: /nowhere/bundle.pem"));
}

static void a_file_of_authorities_that_is_none_is_named(void **state)
{
    (void)state;
    ask(&server, server.key_file, HTTP_NOT_SENT);
    expect_sentence("ca_file");
}

static void a_server_without_tls_is_told_from_one_with(void **state)
{
    (void)state;
    char url[128];
    struct fake_http *plain = fake_http_open(NULL);
    snprintf(url, sizeof url, "https%s", strchr(fake_http_url(plain), ':'));
    struct http_request request = http_rig_request(url, &outcome);
    http_rig_ask(http, &request, HTTP_NOT_SENT);
    expect_sentence("no TLS with https://127.0.0.1");
    fake_http_close(plain);
}

static void a_server_with_tls_that_is_asked_without_loses_it(void **state)
{
    (void)state;
    char url[128];
    struct fake_http *secure = open_server(&server);
    snprintf(url, sizeof url, "http%s", strchr(fake_http_url(secure), ':'));
    struct http_request request = http_rig_request(url, &outcome);
    http_rig_ask(http, &request, HTTP_LOST);
    fake_http_close(secure);
}

/* One that takes connections and says nothing holds back no other, and its own end in time. */
static void a_handshake_that_never_ends_holds_back_nobody(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct outcome outcomes[COUNT] = {0};
    char url[64];
    uint16_t port;
    int mute = fake_http_refusing_socket(&port);
    assert_int_equal(listen(mute, COUNT), 0);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct http_request request = http_rig_request(url, &outcomes[i]);
        request.timeout_ms = 1000;
        http_rig_send(http, &request);
    }
    ask(&server, authority.certificate_file, HTTP_ANSWERED);
    http_rig_until(http, outcomes, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(outcomes[i].end, HTTP_NOT_SENT);
    http_rig_free(outcomes, COUNT);
    close(mute);
}

/* ---- HTTP/2 -------------------------------------------------------------------------------------
 */

/* Prints its port; answers with the version that the request came in, and which session it was. */
static const char node_script[] =
    "const http2 = require('http2'), fs = require('fs');\n"
    "const server = http2.createSecureServer({cert: fs.readFileSync(process.argv[1]),\n"
    "    key: fs.readFileSync(process.argv[2]), allowHTTP1: true});\n"
    "let sessions = 0; server.on('session', () => sessions++);\n"
    "server.on('request', (request, response) => { let body = '';\n"
    "    request.on('data', more => body += more);\n"
    "    request.on('end', () => response.end(request.httpVersion + ' ' + sessions + ' ' + body)); "
    "});\n"
    "server.listen(0, '127.0.0.1', () => console.log(server.address().port));\n"
    "process.stdin.resume(); process.stdin.on('end', () => process.exit(0));\n";

struct node {
    pid_t pid;
    int to;
    unsigned port;
};

static bool start_node(struct node *node)
{
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    node->pid = fork();
    if (node->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp("node", "node", "-e", node_script, server.certificate_file, server.key_file, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    node->to = in[1];
    FILE *from = fdopen(out[0], "r");
    bool is_there = from != NULL && fscanf(from, "%u", &node->port) == 1;
    fclose(from);
    return is_there;
}

/* It ends with its input. */
static void stop_node(struct node *node)
{
    close(node->to);
    waitpid(node->pid, NULL, 0);
}

static void http_2_is_spoken_where_the_other_does(void **state)
{
    (void)state;
    struct node node;
    char url[128];
    if (!start_node(&node)) {
        stop_node(&node);
        print_message("there is no node here: HTTP/2 is not tried\n");
        skip();
    }
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", node.port);
    for (uint32_t i = 0; i < 3; i++) {
        struct http_request request = http_rig_request(url, &outcome);
        request.ca_file = authority.certificate_file;
        request.repeatable = i == 1;
        http_rig_send(http, &request);
        http_rig_until(http, &outcome, 1);
        assert_string_equal(outcome.sentence, "");
        assert_string_equal(outcome.body, "2.0 1 {}");
        assert_string_equal(outcome.reason, "");
        http_rig_free(&outcome, 1);
    }
    stop_node(&node);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_of_a_trusted_authority_is_taken),
        TEST(a_connection_with_tls_is_kept),
        TEST(nobody_else_is_sent_anything),
        TEST(a_connection_is_not_shared_with_who_does_not_trust_it),
        TEST(aws_ca_bundle_is_trusted),
        TEST(an_aws_ca_bundle_that_cannot_be_read_is_named),
        TEST(a_file_of_authorities_that_is_none_is_named),
        TEST(a_server_without_tls_is_told_from_one_with),
        TEST(a_server_with_tls_that_is_asked_without_loses_it),
        TEST(a_handshake_that_never_ends_holds_back_nobody),
        TEST(http_2_is_spoken_where_the_other_does),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
