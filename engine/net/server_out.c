#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/server_parts.h"
#include "engine/saga/utf8.h"

/* ---- the frame of this turn ---------------------------------------------------------------------
 */

static void note_writing(struct server *server, struct peer *peer)
{
    if (peer->is_writing)
        return;
    peer->is_writing = true;
    peer->next_writing = server->writing_first;
    server->writing_first = peer->connection;
}

static bool open_frame(struct server *server, struct peer *peer, uint32_t bytes)
{
    uint32_t least = WIRE_LENGTH_BYTES + bytes;
    uint32_t capacity = peer->is_writing ? SERVER_OUT_BYTES : SERVER_OUT_BYTES_FIRST;
    capacity = least > capacity ? least : capacity;
    peer->frame = transport_reserve(server->transport, peer->connection, capacity);
    if (peer->frame == NULL && capacity > least) {
        capacity = least;
        peer->frame = transport_reserve(server->transport, peer->connection, capacity);
    }
    peer->frame_used = WIRE_LENGTH_BYTES;
    peer->frame_capacity = capacity;
    return peer->frame != NULL;
}

void out_finish(struct server *server, struct peer *peer)
{
    if (peer->frame == NULL)
        return;
    uint32_t bytes = peer->frame_used - WIRE_LENGTH_BYTES;
    if (bytes > 0)
        wire_put_length(peer->frame, bytes);
    /* With nothing in it the room is given back. */
    transport_commit(server->transport, peer->connection, bytes > 0 ? peer->frame_used : 0);
    peer->frame = NULL;
}

void out_finish_all(struct server *server)
{
    while (server->writing_first != SERVER_NONE) {
        struct peer *peer = server_peer(server, server->writing_first);
        server->writing_first = peer->next_writing;
        peer->is_writing = false;
        out_finish(server, peer);
    }
}

uint8_t *out_begin(struct server *server, struct peer *peer, uint32_t bytes)
{
    if (peer->blocked || peer->stage == PEER_LEAVING)
        return NULL;
    if (peer->frame != NULL && peer->frame_capacity - peer->frame_used >= bytes)
        return peer->frame + peer->frame_used;
    out_finish(server, peer);
    if (!open_frame(server, peer, bytes)) {
        peer->wanted_bytes = bytes;
        out_block(server, peer);
        return NULL;
    }
    note_writing(server, peer);
    return peer->frame + peer->frame_used;
}

void out_end(struct server *server, struct peer *peer, const uint8_t *end)
{
    assert(end > peer->frame && end <= peer->frame + peer->frame_capacity);
    peer->frame_used = (uint32_t)(end - peer->frame);
    server->counts.messages_out++;
}

/* ---- direct answers -----------------------------------------------------------------------------
 */

uint8_t *out_begin_answer(struct server *server, struct peer *peer)
{
    uint8_t *at = out_begin(server, peer, SERVER_ANSWER_BYTES_MAX);
    if (at != NULL || peer->stage == PEER_LEAVING)
        return at;
    assert(peer->owed == NULL);
    peer->owed = malloc(sizeof *peer->owed + SERVER_ANSWER_BYTES_MAX);
    if (peer->owed == NULL) {
        peer_cut(server, peer, "no memory for an answer");
        return NULL;
    }
    peer->owed->bytes = 0;
    return peer->owed->message;
}

void out_end_answer(struct server *server, struct peer *peer, uint8_t *end)
{
    if (peer->owed == NULL)
        out_end(server, peer, end);
    else
        peer->owed->bytes = (uint32_t)(end - peer->owed->message);
}

/* What is to go to the wire has to be text. At most as long as a problem's. */
static uint8_t *put_sentence(uint8_t *at, const char *sentence)
{
    char tidy[sizeof((struct problem *)0)->text];
    struct flyover_bytes text = {(const uint8_t *)tidy, 0};
    bool is_text = utf8_check((const uint8_t *)sentence, strlen(sentence));
    for (; sentence[text.count] != '\0' && text.count < sizeof tidy; text.count++) {
        char character = sentence[text.count];
        tidy[text.count] = is_text || (uint8_t)character < 128 ? character : '?';
    }
    return wire_put_text(at, text);
}

static uint8_t *put_error(uint8_t *at, uint64_t id, enum status status, const char *sentence,
                          uint32_t retry_after_ms)
{
    at = wire_put_array(at, 5);
    at = wire_put_uint(at, WIRE_ERROR);
    at = wire_put_uint(at, id);
    at = wire_put_string(at, status_name(status));
    at = put_sentence(at, sentence);
    return wire_put_uint(at, retry_after_ms);
}

void out_error(struct server *server, struct peer *peer, uint64_t id, enum status status,
               const char *sentence, uint32_t retry_after_ms)
{
    uint8_t *at = out_begin_answer(server, peer);
    server->counts.errors[status]++;
    if (at != NULL)
        out_end_answer(server, peer, put_error(at, id, status, sentence, retry_after_ms));
}

struct kept *out_keep_error(struct server *server, uint64_t id, enum status status,
                            const char *sentence)
{
    struct kept *kept = malloc(sizeof *kept + SERVER_ANSWER_BYTES_MAX);
    uint32_t retry_after_ms = status == STATUS_BUSY ? partition_busy_ms(server->partition) : 0;
    server->counts.errors[status]++;
    if (kept != NULL)
        kept->bytes = (uint32_t)(put_error(kept->message, id, status, sentence, retry_after_ms) -
                                 kept->message);
    return kept;
}

bool out_kept(struct server *server, struct peer *peer, const struct kept *kept)
{
    uint8_t *at = out_begin(server, peer, kept->bytes);
    if (at == NULL)
        return false;
    memcpy(at, kept->message, kept->bytes);
    out_end(server, peer, at + kept->bytes);
    return true;
}

/* ---- no room ------------------------------------------------------------------------------------
 */

void out_block(struct server *server, struct peer *peer)
{
    if (peer->blocked || peer->stage == PEER_LEAVING)
        return;
    peer->blocked = true;
    peer->next_blocked = server->blocked_first;
    server->blocked_first = peer->connection;
    if (!peer->paused)
        transport_pause(server->transport, peer->connection, true);
    peer->paused = true;
}

static bool send_owed(struct server *server, struct peer *peer)
{
    if (peer->owed == NULL)
        return true;
    if (!out_kept(server, peer, peer->owed))
        return false;
    free(peer->owed);
    peer->owed = NULL;
    return true;
}

static bool send_ready(struct server *server, struct peer *peer)
{
    while (peer->ready.first != SERVER_NONE) {
        struct request *request = request_at(server, peer->ready.first);
        uint32_t index = peer->ready.first;
        peer->ready.first = request->next;
        if (server_answer(server, peer, request))
            continue;
        request->next = peer->ready.first;
        peer->ready.first = index;
        if (request->next == SERVER_NONE)
            peer->ready.last = index;
        return false;
    }
    return true;
}

/* True if it is blocked no more. */
static bool go_on(struct server *server, struct peer *peer)
{
    peer->blocked = false;
    /* Not before there is room for what had none, or the two would go round and round. */
    if (peer->wanted_bytes > 0 && out_begin(server, peer, peer->wanted_bytes) == NULL)
        return false;
    peer->wanted_bytes = 0;
    if (!send_owed(server, peer) || !send_ready(server, peer))
        return false;
    peer_go_on(server, peer);
    if (peer->blocked || peer->stage == PEER_LEAVING)
        return false;
    transport_pause(server->transport, peer->connection, false);
    peer->paused = false;
    return true;
}

bool out_go_on(struct server *server)
{
    bool worked = false;
    uint32_t at = server->blocked_first;
    server->blocked_first = SERVER_NONE;
    while (at != SERVER_NONE) {
        struct peer *peer = server_peer(server, at);
        at = peer->next_blocked;
        if (peer->blocked)
            worked |= go_on(server, peer);
    }
    return worked;
}

void out_drop(struct server *server, struct peer *peer)
{
    (void)server;
    /* It stays in the list until that is gone through next. */
    peer->blocked = false;
    free(peer->owed);
    peer->owed = NULL;
}
