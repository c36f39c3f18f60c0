/*
 * What the server costs on the engine's thread: a START that is parsed, taken, and answered, and
 * the remote step of an INVOKE and its DONE. The transport is memory, the engine has no threads and
 * no disk, and only what server_turn takes is counted; beside it the same start without a server.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/net/server.h"
#include "engine/net/wire.h"

#define BATCH     500u
#define OUT_BYTES (4u << 20)

static const char pass[] =
    "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Pass\", \"End\": true}}}";
static const char far[] = "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Task\", "
                          "\"Resource\": \"service:far.do\", \"End\": true}}}";
/* {"order": 12345678, "sku": "A-1234", "count": 3} */
static const uint8_t input[] = "\x83\xa5order\xce\x00\xbc\x61\x4e\xa3sku\xa6"
                               "A-1234\xa5"
                               "count\x03";
#define INPUT_BYTES (sizeof input - 1)

/* ---- a transport in memory: connection 0 is the client, 1 the worker ----------------------------
 */

static struct {
    bool opened;
    uint8_t in[1u << 20];
    uint32_t in_bytes;
    uint8_t out[OUT_BYTES];
    uint32_t out_bytes;
} sides[2];

bool transport_next(struct transport *transport, struct transport_event *ret_event)
{
    (void)transport;
    for (uint32_t i = 0; i < 2; i++) {
        *ret_event = (struct transport_event){.kind = TRANSPORT_DATA,
                                              .connection = i,
                                              .bytes = sides[i].in,
                                              .count = sides[i].in_bytes};
        if (!sides[i].opened)
            ret_event->kind = TRANSPORT_OPENED;
        else if (sides[i].in_bytes == 0)
            continue;
        else
            sides[i].in_bytes = 0;
        return sides[i].opened = true;
    }
    return false;
}

uint8_t *transport_reserve(struct transport *transport, uint32_t connection, uint32_t bytes)
{
    (void)transport;
    assert(sides[connection].out_bytes + bytes <= OUT_BYTES);
    return sides[connection].out + sides[connection].out_bytes;
}

void transport_commit(struct transport *transport, uint32_t connection, uint32_t bytes)
{
    (void)transport;
    sides[connection].out_bytes += bytes;
}

void transport_flush(struct transport *transport)
{
    (void)transport;
}

void transport_pause(struct transport *transport, uint32_t connection, bool pause)
{
    (void)transport;
    (void)connection;
    (void)pause;
    abort();
}

void transport_cut(struct transport *transport, uint32_t connection, bool politely)
{
    (void)transport;
    (void)connection;
    (void)politely;
    abort();
}

void transport_forget(struct transport *transport, uint32_t connection)
{
    (void)transport;
    (void)connection;
}

void transport_peer(const struct transport *transport, uint32_t connection,
                    char ret_address[TRANSPORT_ADDRESS_BYTES])
{
    (void)transport;
    snprintf(ret_address, TRANSPORT_ADDRESS_BYTES, "%u", connection);
}

/* ---- what is said -------------------------------------------------------------------------------
 */

static uint8_t *begin_frame(uint32_t side)
{
    return sides[side].in + sides[side].in_bytes + WIRE_LENGTH_BYTES;
}

static void end_frame(uint32_t side, const uint8_t *end)
{
    uint8_t *start = sides[side].in + sides[side].in_bytes;
    wire_put_length(start, (uint32_t)(end - start - WIRE_LENGTH_BYTES));
    sides[side].in_bytes = (uint32_t)(end - sides[side].in);
}

static void say_hello(uint32_t side)
{
    uint8_t *at = wire_put_array(begin_frame(side), 3);
    at = wire_put_uint(at, WIRE_HELLO);
    at = wire_put_uint(at, WIRE_VERSION);
    end_frame(side, wire_put_map(at, 0));
}

static void say_define(const char *name, const char *text)
{
    uint8_t *at = wire_put_array(begin_frame(0), 4);
    at = wire_put_uint(at, WIRE_DEFINE);
    at = wire_put_uint(at, 1);
    at = wire_put_string(at, name);
    end_frame(0, wire_put_string(at, text));
}

static void say_register(void)
{
    uint8_t *at = wire_put_array(begin_frame(1), 5);
    at = wire_put_uint(at, WIRE_REGISTER);
    at = wire_put_uint(at, 1);
    at = wire_put_string(at, "far");
    at = wire_put_array(at, 1);
    at = wire_put_string(at, "do");
    end_frame(1, wire_put_uint(at, 4 * BATCH));
}

static void say_starts(const char *name)
{
    uint8_t *at = begin_frame(0);
    for (uint32_t i = 0; i < BATCH; i++) {
        at = wire_put_array(at, 5);
        at = wire_put_uint(at, WIRE_START);
        at = wire_put_uint(at, 1000 + i);
        at = wire_put_string(at, name);
        at = wire_put_value(at, (struct flyover_bytes){input, INPUT_BYTES});
        at = wire_put_nil(at);
    }
    end_frame(0, at);
}

/* A DONE for each INVOKE that has come. */
static void answer_invokes(void)
{
    struct flyover_bytes body;
    uint8_t *out = begin_frame(1);
    const uint8_t *before = out;
    for (uint32_t at = 0; at < sides[1].out_bytes; at += WIRE_LENGTH_BYTES + body.count) {
        enum wire_find found = wire_find_frame(sides[1].out + at, sides[1].out_bytes - at, &body);
        assert(found == WIRE_FOUND);
        const uint8_t *message_at = body.at;
        struct wire_message message;
        uint64_t number;
        while (wire_find_message(&message_at, body.at + body.count, &message) == WIRE_FOUND) {
            if (message.kind != WIRE_INVOKE || !wire_take_uint(&message, &number))
                continue;
            out = wire_put_array(out, 3);
            out = wire_put_uint(out, WIRE_DONE);
            out = wire_put_uint(out, number);
            out = wire_put_value(out, (struct flyover_bytes){input, INPUT_BYTES});
        }
    }
    sides[1].out_bytes = 0;
    if (out > before)
        end_frame(1, out);
}

/* ---- measuring ----------------------------------------------------------------------------------
 */

struct bench {
    const struct measure *measure;
    struct partition *partition;
    struct server *server;
    uint64_t server_ns; /* in server_turn */
};

static void poll(struct bench *bench)
{
    bool worked;
    struct problem problem = {0};
    if (partition_poll(bench->partition, &worked, &problem) != STATUS_OK)
        measure_fail(bench->measure, &problem);
}

static void turn(struct bench *bench)
{
    uint64_t before_ns = clock_thread_cpu_ns();
    server_turn(bench->server);
    bench->server_ns += clock_thread_cpu_ns() - before_ns;
    poll(bench);
}

static void run_batch(struct bench *bench, const char *name)
{
    uint64_t before = core_totals(partition_state(bench->partition)->core).succeeded;
    say_starts(name);
    while (core_totals(partition_state(bench->partition)->core).succeeded < before + BATCH ||
           server_counts(bench->server).requests_open > 0) {
        turn(bench);
        answer_invokes();
    }
    sides[0].out_bytes = 0;
}

static double through_server_ns(struct bench *bench, const char *name, uint32_t batches)
{
    run_batch(bench, name);
    bench->server_ns = 0;
    for (uint32_t i = 0; i < batches; i++)
        run_batch(bench, name);
    return (double)bench->server_ns / batches / BATCH;
}

static double alone_ns(struct bench *bench, const char *name, uint32_t batches)
{
    struct partition_start_options options = {
        .plan = partition_state_find_plan(partition_state(bench->partition), name),
        .input = {input, INPUT_BYTES}};
    uint64_t ns = 0, saga_id;
    struct problem problem = {0};
    for (uint32_t i = 0; i < batches; i++) {
        uint64_t before_ns = clock_thread_cpu_ns();
        for (uint32_t j = 0; j < BATCH; j++)
            if (partition_start_with(bench->partition, &options, &saga_id, &problem) != STATUS_OK)
                measure_fail(bench->measure, &problem);
        ns += clock_thread_cpu_ns() - before_ns;
        while (!partition_is_quiet(bench->partition))
            poll(bench);
    }
    return (double)ns / batches / BATCH;
}

static void open_bench(struct bench *bench)
{
    struct problem problem = {0};
    struct partition_options options = {
        .durability = DURABILITY_MEMORY,
        .limits = {.sagas_max = 65536, .payload_bytes_max = 256u << 20},
        .remote = true,
        .threadless = true};
    if (partition_open(&options, &bench->partition, &problem) != STATUS_OK)
        measure_fail(bench->measure, &problem);
    struct server_options server = {.partition = bench->partition, .connections_max = 4};
    if (server_open(&server, &bench->server, &problem) != STATUS_OK)
        measure_fail(bench->measure, &problem);
    say_hello(0);
    say_hello(1);
    say_define("pass", pass);
    say_define("far", far);
    say_register();
    for (int i = 0; i < 100; i++)
        turn(bench);
    memset(sides[0].out, 0, sides[0].out_bytes);
    sides[0].out_bytes = sides[1].out_bytes = 0;
}

static void measure_once(struct measure *measure)
{
    struct bench bench = {.measure = measure};
    uint32_t batches = measure->quick ? 20 : 400;
    memset(sides, 0, sizeof sides);
    open_bench(&bench);
    double alone = alone_ns(&bench, "pass", batches);
    double start = through_server_ns(&bench, "pass", batches);
    double step = through_server_ns(&bench, "far", batches);
    measure_add(measure, alone, "ns a start", "partition_start_with by itself, one Pass");
    measure_add(measure, start, "ns a start", "the same by START, with its STARTED");
    measure_add(measure, start - alone, "ns a start", "the difference: the server's own");
    measure_add(measure, step, "ns a saga", "START, STARTED, INVOKE and DONE of one remote Task");
    server_close(bench.server);
    partition_free(bench.partition);
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(&measure, argc, argv, "Measures engine/net/server.h on one thread.");
    measure_pin(&measure, 0);
    for (uint32_t i = 0; i < measure.repetitions; i++)
        measure_once(&measure);
    measure_print(&measure);
    return 0;
}
