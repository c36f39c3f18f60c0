/* Any bytes from two connections, said to a server over an engine without threads: it neither falls
 * nor keeps anything of a connection that is gone.
 *
 * The input is a script. Its first byte says which connections are greeted beforehand (bits 0 and
 * 1), whether each piece gets the length of a frame in front (bit 2), and how little room the
 * output has (bits 3 and 4). Then pieces: a byte with the connection (bit 7) and how many bytes
 * follow; none: some time passes, and what was sent to that connection is read. */
#include <stdlib.h>
#include <string.h>

#include "engine/net/server.h"
#include "engine/net/wire.h"
#include "tests/net/fake_transport.h"
#include "tests/partition/scripted.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static int64_t now_ms;
static uint64_t now_ns;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static int64_t read_ms(void)
{
    return now_ms;
}

static uint64_t read_ns(void)
{
    return now_ns;
}

struct play {
    struct partition *partition;
    struct transport *transport;
    struct server *server;
    uint32_t connections[2];
    bool framed;
};

static void turn(struct play *play, uint32_t times)
{
    bool worked;
    for (uint32_t i = 0; i < times; i++) {
        now_ns += PARTITION_SEAL_INTERVAL_NS;
        server_turn(play->server);
        require(partition_poll(play->partition, &worked, NULL) == STATUS_OK);
    }
}

static void open_play(struct play *play)
{
    struct partition_options options = {
        .durability = DURABILITY_MEMORY,
        .limits = {.sagas_max = 16,
                   .payload_bytes_max = 16u << 20,
                   .names_max = 16,
                   .name_retention_ms = 100000},
        .built_in = {&scripted_service},
        .built_in_count = 1,
        .remote = true,
        .threadless = true,
        .wall_ms = read_ms,
        .now_ns = read_ns,
    };
    now_ms = 1000000;
    now_ns = 1000000000;
    scripted_reset();
    require(partition_open(&options, &play->partition, NULL) == STATUS_OK);
    play->transport = fake_transport_open();
    struct server_options server = {.partition = play->partition,
                                    .transport = play->transport,
                                    .connections_max = FAKE_CONNECTIONS,
                                    .window = 8,
                                    .now_ns = read_ns};
    require(server_open(&server, &play->server, NULL) == STATUS_OK);
}

/* In one of the frame's own, or as it is. */
static void send_piece(struct play *play, uint32_t which, const uint8_t *bytes, uint32_t count)
{
    uint8_t head[WIRE_LENGTH_BYTES];
    if (play->framed) {
        wire_put_length(head, count);
        fake_send(play->transport, play->connections[which], head, sizeof head);
    }
    fake_send(play->transport, play->connections[which], bytes, count);
}

/* What the server sends is always whole frames of whole messages. */
static void read_all(struct play *play, uint32_t which)
{
    size_t count;
    struct flyover_bytes body;
    const uint8_t *bytes = fake_received(play->transport, play->connections[which], &count);
    for (size_t at = 0; at < count; at += WIRE_LENGTH_BYTES + body.count) {
        require(wire_find_frame(bytes + at, count - at, &body) == WIRE_FOUND);
        const uint8_t *message_at = body.at;
        struct wire_message message;
        enum wire_find found;
        while ((found = wire_find_message(&message_at, body.at + body.count, &message)) ==
               WIRE_FOUND)
            require(wire_kind_text(message.kind) != NULL);
        require(found == WIRE_NO_MORE);
    }
    fake_take(play->transport, play->connections[which], count);
}

static void begin(struct play *play, uint8_t how)
{
    static const uint8_t hello[] = {0, 0, 0, 4, 0x93, 1, 1, 0x80};
    static const size_t rooms[] = {SIZE_MAX, 3000, 100, 0};
    for (uint32_t i = 0; i < 2; i++) {
        play->connections[i] = fake_connect(play->transport);
        if ((how >> i & 1) != 0)
            fake_send(play->transport, play->connections[i], hello, sizeof hello);
    }
    turn(play, 1);
    play->framed = (how & 4) != 0;
    for (uint32_t i = 0; i < 2; i++)
        fake_set_room(play->transport, play->connections[i], rooms[how >> 3 & 3]);
}

static void act(struct play *play, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint32_t which = *at >> 7;
        uint32_t count = *at++ & 0x7f;
        if (count > (size_t)(end - at))
            count = (uint32_t)(end - at);
        if (count > 0) {
            send_piece(play, which, at, count);
        } else {
            read_all(play, which);
            now_ms += 3000;
            now_ns += 3000000000;
        }
        at += count;
        turn(play, 2);
    }
}

static void close_play(struct play *play)
{
    for (uint32_t i = 0; i < 2; i++)
        fake_hang_up(play->transport, play->connections[i]);
    turn(play, 12);
    struct server_counts counts = server_counts(play->server);
    require(counts.connections == 0 && counts.requests_open == 0 && counts.subscriptions == 0);
    server_close(play->server);
    transport_close(play->transport);
    partition_free(play->partition);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct play play;
    if (count == 0)
        return 0;
    open_play(&play);
    begin(&play, bytes[0]);
    act(&play, bytes + 1, bytes + count);
    close_play(&play);
    return 0;
}
