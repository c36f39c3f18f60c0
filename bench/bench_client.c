/*
 * bench_client: what a START and its answer cost a client's thread, in CPU time, library and kernel
 * apart: over a unix socket to a thread that answers each START with STARTED and does nothing else.
 *
 * As many are sent as are answered, up to the window; the input is a map of 45 bytes, as an order
 * of one line has. With names the library keeps what it would have to ask again.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench/measure.h"
#include "engine/client/flyover.h"
#include "engine/net/wire.h"

#define STARTS       4000000u
#define STARTS_QUICK 400000u
#define WINDOW       4096u
#define BUFFER_BYTES (4u << 20)

/* ---- who answers --------------------------------------------------------------------------------
 */

struct peer {
    int listener;
    uint8_t in[BUFFER_BYTES], out[BUFFER_BYTES];
};

static uint8_t *put_welcome(uint8_t *at)
{
    at = wire_put_uint(wire_put_uint(wire_put_array(at, 3), WIRE_WELCOME), 1);
    at = wire_put_map(at, 2);
    at = wire_put_uint(wire_put_string(at, "window"), WINDOW);
    return wire_put_uint(wire_put_string(at, "heartbeat_ms"), 60000);
}

static uint8_t *answer(struct wire_message *message, uint8_t *at)
{
    static uint64_t saga_id;
    uint64_t id;
    if (message->kind == WIRE_HELLO)
        return put_welcome(at);
    if (message->kind != WIRE_START || !wire_take_uint(message, &id))
        return at;
    at = wire_put_uint(wire_put_uint(wire_put_array(at, 4), WIRE_STARTED), id);
    return wire_put_bool(wire_put_uint(at, ++saga_id), false);
}

static void send_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        bytes += sent;
        count -= (size_t)sent;
    }
}

/* Returns how many bytes were whole frames. */
static size_t answer_frames(struct peer *peer, int fd, size_t count)
{
    struct flyover_bytes body;
    size_t taken = 0;
    while (wire_find_frame(peer->in + taken, count - taken, &body) == WIRE_FOUND) {
        uint8_t *at = peer->out + WIRE_LENGTH_BYTES;
        const uint8_t *next = body.at;
        struct wire_message message;
        while (wire_find_message(&next, body.at + body.count, &message) == WIRE_FOUND)
            at = answer(&message, at);
        size_t bytes = (size_t)(at - peer->out) - WIRE_LENGTH_BYTES;
        if (bytes > 0) {
            wire_put_length(peer->out, (uint32_t)bytes);
            send_all(fd, peer->out, bytes + WIRE_LENGTH_BYTES);
        }
        taken += WIRE_LENGTH_BYTES + body.count;
    }
    return taken;
}

static void *run_peer(void *context)
{
    struct peer *peer = context;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        size_t count = 0;
        ssize_t got;
        while ((got = recv(fd, peer->in + count, BUFFER_BYTES - count, 0)) > 0) {
            count += (size_t)got;
            size_t taken = answer_frames(peer, fd, count);
            memmove(peer->in, peer->in + taken, count - taken);
            count -= taken;
        }
        close(fd);
    }
    return NULL;
}

static struct peer *open_peer(const char *path)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    snprintf(place.sun_path, sizeof place.sun_path, "%s", path);
    struct peer *peer = malloc(sizeof *peer);
    peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    unlink(path);
    if (bind(peer->listener, (struct sockaddr *)&place, sizeof place) != 0 ||
        listen(peer->listener, 4) != 0 || pthread_create(&thread, NULL, run_peer, peer) != 0)
        abort();
    return peer;
}

/* ---- the client ---------------------------------------------------------------------------------
 */

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What of it is not the kernel's. */
static double user_share(const struct rusage *from, const struct rusage *to)
{
    double user = (double)(to->ru_utime.tv_sec - from->ru_utime.tv_sec) +
                  (double)(to->ru_utime.tv_usec - from->ru_utime.tv_usec) / 1e6;
    double system = (double)(to->ru_stime.tv_sec - from->ru_stime.tv_sec) +
                    (double)(to->ru_stime.tv_usec - from->ru_stime.tv_usec) / 1e6;
    return user / (user + system);
}

static uint32_t take_answers(struct flyover_client *client)
{
    struct flyover_answer_message message;
    uint32_t count = 0;
    if (!flyover_next(client, &message, -1))
        abort();
    do {
        if (message.kind != FLYOVER_STARTED)
            abort();
        count++;
    } while (flyover_next(client, &message, 0));
    return count;
}

static void converse(struct flyover_client *client, uint32_t starts, bool with_names)
{
    static const char input[] =
        "\x84\xa5order\xce\x00\x01\x86\xa0\xa3sku\xa6"
        "85123A\xa8quantity\x06\xa5price\xcb\x40\x04\x66\x66\x66\x66\x66\x66";
    char name[32];
    struct flyover_start start = {.definition = "order",
                                  .input = input,
                                  .input_bytes = sizeof input - 1,
                                  .name = with_names ? name : NULL};
    static uint64_t name_no;
    for (uint32_t sent = 0, taken = 0; taken < starts; taken += take_answers(client))
        for (; sent < starts && sent - taken < WINDOW; sent++) {
            if (with_names) /* sixteen digits, cheaply: it is not what is measured */
                for (uint64_t i = 0, number = ++name_no; i < 16; i++, number >>= 4)
                    name[i] = "0123456789abcdef"[number & 15];
            name[16] = '\0';
            if (flyover_send_start(client, &start, FLYOVER_AT_ACCEPTANCE, sent) != FLYOVER_OK)
                abort();
        }
}

static void measure_one(struct measure *measure, const char *address, uint32_t starts,
                        bool with_names)
{
    struct flyover_client_options options = {.address = address};
    struct flyover_client *client;
    struct rusage from, to;
    if (flyover_connect(&options, &client) != FLYOVER_OK)
        measure_fail(measure, &(struct problem){.text = "no connection"});
    converse(client, WINDOW, with_names); /* buffers have grown to their size */
    getrusage(RUSAGE_THREAD, &from);
    uint64_t start_ns = cpu_ns();
    converse(client, starts, with_names);
    double ns = (double)(cpu_ns() - start_ns) / starts;
    getrusage(RUSAGE_THREAD, &to);
    const char *kind = with_names ? "with a name" : "without a name";
    measure_add(measure, ns, "ns", "START and STARTED, %s", kind);
    measure_add(measure, ns * user_share(&from, &to), "ns", "START and STARTED, %s, library", kind);
    flyover_close(client);
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv, "What a START costs a client's thread.");
    char path[64], address[80];
    snprintf(path, sizeof path, "/tmp/flyover-bench-client-%d", (int)getpid());
    snprintf(address, sizeof address, "unix:%s", path);
    open_peer(path);
    uint32_t starts = measure.quick ? STARTS_QUICK : STARTS;
    measure_pin(&measure, 0);
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        measure_one(&measure, address, starts, false);
        measure_one(&measure, address, starts, true);
    }
    unlink(path);
    measure_print(&measure);
    return 0;
}
