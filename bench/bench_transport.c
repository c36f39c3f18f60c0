/*
 * bench_transport: what the sockets cost. A thread of peers writes frames, the engine's side sends
 * each back, over loopback; the engine's side, its thread with it where it has one, is on the first
 * CPU and the peers are on the second.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/net/transport.h"

#define PEERS_MAX       64u
#define FRAME_BYTES_MAX 65536u
#define IDLE_COUNT      10000u
#define CONNECTS_COUNT  5000u

struct load {
    const struct measure *measure;
    struct transport *transport;
    struct sockaddr_in address;
    uint32_t peers_count;
    uint32_t frame_bytes;
    uint64_t frames_count; /* a peer */
    int wake_fd;           /* written at the end */
};

static struct transport *open_transport(const struct measure *measure, uint32_t threads,
                                        uint32_t connections_max, struct load *load)
{
    struct problem problem;
    load->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct transport_options options = {.listen = {"127.0.0.1:0"},
                                        .listen_count = 1,
                                        .threads = threads,
                                        .connections_max = connections_max,
                                        .out_bytes_max = 64u << 20,
                                        .out_bytes_a_connection_max = 4u << 20,
                                        .recv_buffers = 64,
                                        .wake_fd = load->wake_fd};
    if (transport_open(&options, &load->transport, &problem) != STATUS_OK)
        measure_fail(measure, &problem);
    char text[TRANSPORT_ADDRESS_BYTES];
    transport_address(load->transport, 0, text);
    load->address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)atoi(strrchr(text, ':') + 1)),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return load->transport;
}

static void close_transport(struct load *load)
{
    transport_close(load->transport);
    close(load->wake_fd);
}

static int dial(const struct load *load)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    assert(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int result = connect(fd, (const struct sockaddr *)&load->address, sizeof load->address);
    assert(result == 0);
    return fd;
}

/* Ends when `closed` connections have come and gone. */
static void serve(struct load *load, uint64_t closed)
{
    struct transport_event event;
    while (closed > 0) {
        transport_turn(load->transport);
        while (transport_next(load->transport, &event)) {
            if (event.kind == TRANSPORT_DATA) {
                uint8_t *room = transport_reserve(load->transport, event.connection, event.count);
                assert(room != NULL);
                memcpy(room, event.bytes, event.count);
                transport_commit(load->transport, event.connection, event.count);
            }
            if (event.kind == TRANSPORT_CLOSED) {
                transport_forget(load->transport, event.connection);
                closed--;
            }
        }
        transport_flush(load->transport);
        if (closed > 0)
            transport_wait(load->transport, UINT64_MAX);
    }
}

/* ---- echo ---------------------------------------------------------------------------------------
 */

static void read_whole(int fd, uint8_t *bytes, size_t count)
{
    ssize_t result = recv(fd, bytes, count, MSG_WAITALL);
    assert(result == (ssize_t)count);
}

/* One frame in flight on each connection. */
static void *run_peers(void *argument)
{
    const struct load *load = argument;
    measure_pin(load->measure, 1);
    int fds[PEERS_MAX];
    uint8_t *bytes = calloc(1, load->frame_bytes);
    assert(bytes != NULL);
    for (uint32_t i = 0; i < load->peers_count; i++)
        fds[i] = dial(load);
    for (uint64_t frame = 0; frame < load->frames_count; frame++) {
        for (uint32_t i = 0; i < load->peers_count; i++) {
            ssize_t result = send(fds[i], bytes, load->frame_bytes, 0);
            assert(result == (ssize_t)load->frame_bytes);
        }
        for (uint32_t i = 0; i < load->peers_count; i++)
            read_whole(fds[i], bytes, load->frame_bytes);
    }
    for (uint32_t i = 0; i < load->peers_count; i++)
        close(fds[i]);
    free(bytes);
    return NULL;
}

static void echo(struct measure *measure, uint32_t threads, uint32_t peers, uint32_t frame_bytes,
                 uint64_t frames)
{
    struct load load = {.measure = measure,
                        .peers_count = peers,
                        .frame_bytes = frame_bytes,
                        .frames_count = measure->quick ? frames / 4 : frames};
    pthread_t thread;
    open_transport(measure, threads, PEERS_MAX, &load);
    uint64_t begin_ns = clock_now_ns();
    int error = pthread_create(&thread, NULL, run_peers, &load);
    assert(error == 0);
    serve(&load, peers);
    pthread_join(thread, NULL);
    double s = (double)(clock_now_ns() - begin_ns) / 1e9;
    double total = (double)(load.frames_count * peers);
    measure_add(measure, total / s, "1/s", "%u threads, %u peers, frames of %u bytes", threads,
                peers, frame_bytes);
    measure_add(measure, total * frame_bytes / s / 1e6, "MB/s each way",
                "%u threads, %u peers, bytes of %u", threads, peers, frame_bytes);
    close_transport(&load);
}

/* ---- connections --------------------------------------------------------------------------------
 */

static void *run_connects(void *argument)
{
    const struct load *load = argument;
    measure_pin(load->measure, 1);
    for (uint32_t i = 0; i < CONNECTS_COUNT; i++)
        close(dial(load));
    return NULL;
}

static void connects(struct measure *measure, uint32_t threads)
{
    struct load load = {.measure = measure};
    pthread_t thread;
    open_transport(measure, threads, CONNECTS_COUNT, &load);
    uint64_t begin_ns = clock_now_ns();
    int error = pthread_create(&thread, NULL, run_connects, &load);
    assert(error == 0);
    serve(&load, CONNECTS_COUNT);
    pthread_join(thread, NULL);
    measure_add(measure, CONNECTS_COUNT / ((double)(clock_now_ns() - begin_ns) / 1e9), "1/s",
                "%u threads, connected and closed", threads);
    close_transport(&load);
}

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert(file != NULL);
    int found = fscanf(file, "%*u %lu", &pages);
    assert(found == 1);
    fclose(file);
    return pages * 4096u;
}

static void until_opened(struct load *load, uint64_t count)
{
    struct transport_event event;
    while (transport_counts(load->transport).accepted < count) {
        transport_turn(load->transport);
        while (transport_next(load->transport, &event))
            continue;
        transport_flush(load->transport);
        if (transport_counts(load->transport).accepted < count)
            transport_wait(load->transport, UINT64_MAX);
    }
}

/* As many as the limit of files lets be, a peer and its other end. */
static uint32_t idle_count(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t most = (limit.rlim_cur - 100) / 2;
    return most < IDLE_COUNT ? (uint32_t)most : IDLE_COUNT;
}

/* What this process has for them; the kernel's sockets are its own. */
static void idle(struct measure *measure, uint32_t threads)
{
    struct load load = {0};
    uint32_t count = idle_count();
    uint64_t before_bytes = resident_bytes();
    open_transport(measure, threads, count, &load);
    int *fds = calloc(count, sizeof *fds);
    assert(fds != NULL);
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = dial(&load);
        until_opened(&load, i + 1);
    }
    measure_add(measure, (double)(resident_bytes() - before_bytes) / count, "bytes",
                "%u threads, memory of one of %u idle", threads, count);
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    free(fds);
    close_transport(&load);
}

int main(int argc, char **argv)
{
    struct measure measure;
    measure_init(&measure, argc, argv, "Echo of frames over loopback, connects, idle connections.");
    measure_pin(&measure, 0);
    for (uint32_t i = 0; i < measure.repetitions; i++)
        for (uint32_t threads = 0; threads <= 1; threads++) {
            echo(&measure, threads, 1, 64, 40000);
            echo(&measure, threads, 16, 6400, 10000);
            echo(&measure, threads, 16, FRAME_BYTES_MAX, 2000);
            connects(&measure, threads);
            if (i == 0 && threads == 0)
                idle(&measure, threads);
        }
    measure_print(&measure);
}
