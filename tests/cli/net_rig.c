#include "tests/cli/net_rig.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/net/wire.h"
#include "engine/saga/value_json.h"

#define FIRST_BYTES   1024u
#define MESSAGE_DEPTH 64u

serve_before *net_before;

/* ---- the engine ------------------------------------------------------------------------------ */

int net_set_up(void **state)
{
    net_before = NULL;
    return serve_set_up(state);
}

int net_tear_down(void **state)
{
    net_before = NULL;
    return serve_tear_down(state);
}

void net_serve(const char *const *arguments)
{
    const char *all[SERVE_ARGS_MAX] = {"--data",   serve_data,    "--listen", "127.0.0.1:0",
                                       "--listen", serve_address, "--define", serve_pass_file,
                                       "--define", serve_far_file};
    for (size_t count = 10; arguments != NULL && *arguments != NULL; count++) {
        assert_true(count < SERVE_ARGS_MAX - 1);
        all[count] = *arguments++;
    }
    serve_spawn(&serve_it, net_before, all);
    serve_await_address(&serve_it);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void net_until(bool (*condition)(void), const char *what)
{
    int64_t until_ms = now_ms() + SERVE_LONG_MS;
    while (!condition())
        if (now_ms() > until_ms)
            fail_msg("never: %s", what);
}

size_t net_memory_kib(void)
{
    char path[64];
    size_t pages;
    snprintf(path, sizeof path, "/proc/%d/statm", serve_it.pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static size_t count_files(void)
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", serve_it.pid);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static size_t files_noted;

void net_note_files(void)
{
    files_noted = count_files();
}

static bool are_files_as_noted(void)
{
    return count_files() <= files_noted;
}

void net_await_files(void)
{
    net_until(are_files_as_noted, "the sockets of those who left are closed");
}

/* ---- clients by the library ------------------------------------------------------------------ */

struct flyover_start net_start_of(const char *definition, const char *name)
{
    struct flyover_start start = serve_start_of(definition);
    start.name = name;
    return start;
}

void net_run(struct flyover_client *client, const char *definition)
{
    struct flyover_start start = net_start_of(definition, NULL);
    struct flyover_answer_message end;
    if (flyover_run(client, &start, &end, SERVE_LONG_MS) != FLYOVER_OK)
        fail_msg("%s\n%s", flyover_problem(client), serve_it.log);
    assert_string_equal(end.outcome, "SUCCEEDED");
}

void net_expect_service(struct flyover_client *client)
{
    net_run(client, "pass");
    struct flyover_client *other = serve_connect(serve_address);
    net_run(other, "pass");
    flyover_close(other);
}

void net_take_turn(struct flyover_client *client)
{
    static const char question[] = "\x81\xa2"
                                   "do"
                                   "\xa6"
                                   "counts";
    struct flyover_answer_message answer;
    assert_int_equal(flyover_ask(client, question, sizeof question - 1, &answer), FLYOVER_OK);
}

struct flyover_answer_message net_next(struct flyover_client *client)
{
    struct flyover_answer_message answer;
    do
        if (!flyover_next(client, &answer, SERVE_LONG_MS))
            fail_msg("nothing comes any more: %s", flyover_problem(client));
    while (answer.kind == FLYOVER_RECONNECTED);
    return answer;
}

int64_t net_count(const char *total)
{
    char path[64];
    snprintf(path, sizeof path, "totals/%s", total);
    json_t *counts =
        cli_expect_json(cli_run("saga", "-d", serve_data, "counts", "--json", (char *)NULL));
    int64_t count = cli_integer(counts, path);
    json_decref(counts);
    return count;
}

/* ---- peers by hand: saying ------------------------------------------------------------------- */

struct net_peer net_connect(void)
{
    const char *to = serve_it.address;
    char host[INET_ADDRSTRLEN];
    snprintf(host, sizeof host, "%.*s", (int)strcspn(to, ":"), to);
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(strchr(to, ':') + 1))};
    assert_int_equal(inet_pton(AF_INET, host, &where.sin_addr), 1);
    struct net_peer peer = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(peer.fd >= 0);
    if (connect(peer.fd, (const struct sockaddr *)&where, sizeof where) != 0)
        fail_msg("%s: %s", to, strerror(errno));
    return peer;
}

struct net_peer net_greet(const char *token)
{
    struct net_peer peer = net_connect();
    char hello[256];
    snprintf(hello, sizeof hello, "[1, 1, {\"name\": \"by hand\"%s%s%s}]",
             token == NULL ? "" : ", \"token\": \"", token == NULL ? "" : token,
             token == NULL ? "" : "\"");
    net_say(&peer, hello);
    net_expect(&peer, "[2,1,");
    return peer;
}

bool net_send(struct net_peer *peer, const void *bytes, size_t count)
{
    for (size_t sent = 0; sent < count;) {
        ssize_t now = send(peer->fd, (const uint8_t *)bytes + sent, count - sent, MSG_NOSIGNAL);
        if (now < 0)
            return false;
        sent += (size_t)now;
    }
    return true;
}

void net_say(struct net_peer *peer, const char *json)
{
    static uint8_t frame[WIRE_LENGTH_BYTES + WIRE_FRAME_BYTES_MAX];
    json_error_t error;
    size_t bytes;
    json_t *message = json_loads(json, 0, &error);
    if (message == NULL)
        fail_msg("%s: %s", error.text, json);
    assert_int_equal(value_from_deep_json(message, MESSAGE_DEPTH, frame + WIRE_LENGTH_BYTES,
                                          WIRE_FRAME_BYTES_MAX, &bytes),
                     STATUS_OK);
    json_decref(message);
    wire_put_length(frame, (uint32_t)bytes);
    net_send(peer, frame, WIRE_LENGTH_BYTES + bytes);
}

/* ---- hearing --------------------------------------------------------------------------------- */

/* False at the end, by which name ever. */
static bool read_more(struct net_peer *peer)
{
    if (peer->in_bytes == peer->in_capacity) {
        peer->in_capacity = peer->in_capacity == 0 ? FIRST_BYTES : 2 * peer->in_capacity;
        peer->in = realloc(peer->in, peer->in_capacity);
        assert_non_null(peer->in);
    }
    struct pollfd polled = {.fd = peer->fd, .events = POLLIN};
    if (poll(&polled, 1, SERVE_LONG_MS) != 1)
        fail_msg("nothing comes; the engine said:\n%s", serve_it.log);
    ssize_t count =
        recv(peer->fd, peer->in + peer->in_bytes, peer->in_capacity - peer->in_bytes, 0);
    peer->in_bytes += count > 0 ? (size_t)count : 0;
    return count > 0;
}

/* Takes the first message; what is left of its frame becomes a frame of its own. */
static const char *take_message(struct net_peer *peer, struct flyover_bytes body)
{
    static char text[WIRE_FRAME_BYTES_MAX];
    struct wire_message message;
    const uint8_t *at = body.at;
    assert_int_equal(wire_find_message(&at, body.at + body.count, &message), WIRE_FOUND);
    uint32_t count = (uint32_t)(at - body.at);
    value_print((struct flyover_bytes){body.at, count}, text, sizeof text);
    uint32_t taken = count == body.count ? WIRE_LENGTH_BYTES + count : count;
    peer->in_bytes -= taken;
    memmove(peer->in, peer->in + taken, peer->in_bytes);
    if (count < body.count)
        wire_put_length(peer->in, body.count - count);
    return text;
}

const char *net_hear(struct net_peer *peer)
{
    struct flyover_bytes body;
    for (;;) {
        if (peer->in_bytes == 0 || wire_find_frame(peer->in, peer->in_bytes, &body) != WIRE_FOUND) {
            if (!read_more(peer))
                return "";
            continue;
        }
        const char *heard = take_message(peer, body);
        if (strncmp(heard, "[3,", 3) != 0)
            return heard;
        net_say(peer, "[4, 0]");
    }
}

void net_expect(struct net_peer *peer, const char *beginning)
{
    const char *heard = net_hear(peer);
    if (strncmp(heard, beginning, strlen(beginning)) != 0)
        fail_msg("expected %s..., heard '%s'", beginning, heard);
}

void net_expect_error(struct net_peer *peer, uint64_t id, const char *status)
{
    char beginning[64];
    snprintf(beginning, sizeof beginning, "[5,%" PRIu64 ",\"%s\",", id, status);
    net_expect(peer, beginning);
}

void net_expect_end(struct net_peer *peer)
{
    do
        peer->in_bytes = 0;
    while (read_more(peer));
}

void net_hang_up(struct net_peer *peer, bool reset)
{
    struct linger linger = {.l_onoff = reset, .l_linger = 0};
    if (peer->fd >= 0) {
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(peer->fd);
    }
    free(peer->in);
    *peer = (struct net_peer){.fd = -1};
}
