#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/server_parts.h"

/* ---- the table ----------------------------------------------------------------------------------
 */

struct request *request_at(const struct server *server, uint32_t index)
{
    return &server->request_chunks[index / REQUESTS_A_CHUNK][index % REQUESTS_A_CHUNK];
}

static bool add_chunk(struct server *server)
{
    uint32_t chunk = server->requests_count / REQUESTS_A_CHUNK;
    if (chunk == REQUEST_CHUNKS_MAX)
        return false;
    struct request *requests = calloc(REQUESTS_A_CHUNK, sizeof *requests);
    if (requests == NULL)
        return false;
    server->request_chunks[chunk] = requests;
    /* The first of them is taken first. */
    for (uint32_t i = REQUESTS_A_CHUNK; i-- > 0;) {
        requests[i].index = server->requests_count + i;
        requests[i].next = server->requests_free;
        server->requests_free = requests[i].index;
    }
    server->requests_count += REQUESTS_A_CHUNK;
    return true;
}

static void refuse(struct server *server, struct peer *peer, uint64_t id)
{
    bool by_window = peer->open_count >= server->options.window;
    out_error(server, peer, id, STATUS_BUSY,
              by_window ? "as many requests as the window allows are open: wait for answers"
                        : "the engine has no room for another open request now",
              partition_busy_ms(server->partition));
}

struct request *request_open(struct server *server, struct peer *peer, uint64_t id,
                             enum request_kind kind)
{
    if (peer->open_count >= server->options.window ||
        (server->requests_free == SERVER_NONE && !add_chunk(server))) {
        refuse(server, peer, id);
        return NULL;
    }
    struct request *request = request_at(server, server->requests_free);
    assert(request->place == REQUEST_FREE);
    server->requests_free = request->next;
    *request = (struct request){.id = id,
                                .index = request->index,
                                .connection = peer->connection,
                                .peer = peer->generation,
                                .generation = request->generation,
                                .kind = (uint8_t)kind,
                                .place = REQUEST_PENDING};
    peer->open_count++;
    server->counts.requests_open++;
    return request;
}

struct peer *request_peer(const struct server *server, const struct request *request)
{
    struct peer *peer = server_peer(server, request->connection);
    return peer->generation == request->peer && peer->stage == PEER_OPEN ? peer : NULL;
}

void request_close(struct server *server, struct request *request)
{
    struct peer *peer = request_peer(server, request);
    if (peer != NULL)
        peer->open_count--;
    if (request->has_end) {
        server->kept_bytes -= request->kept->bytes;
        free(request->kept);
        request->has_end = false;
    }
    if (request->is_awaiting)
        await_drop(server, request);
    server->counts.requests_open--;
    request->place = REQUEST_FREE;
    request->generation++;
    request->next = server->requests_free;
    server->requests_free = request->index;
}

/* Never 0, which is no token: the number is one more. And below 2^63. */
uint64_t request_token(const struct request *request)
{
    return (uint64_t)(request->generation & INT32_MAX) << 32 | (request->index + 1u);
}

struct request *request_of_token(const struct server *server, uint64_t token)
{
    uint32_t index = (uint32_t)token - 1;
    if (index >= server->requests_count)
        return NULL;
    struct request *request = request_at(server, index);
    bool is_it = request->place != REQUEST_FREE && request_token(request) == token;
    return is_it ? request : NULL;
}

/* ---- its places ---------------------------------------------------------------------------------
 */

static void append(struct server *server, struct request_list *list, struct request *request)
{
    request->next = SERVER_NONE;
    if (list->first == SERVER_NONE)
        list->first = request->index;
    else
        request_at(server, list->last)->next = request->index;
    list->last = request->index;
}

void request_pend(struct server *server, struct request *request)
{
    request->place = REQUEST_PENDING;
    request->block_no = partition_pending_no(server->partition);
    append(server, &server->pending, request);
}

void request_make_ready(struct server *server, struct peer *peer, struct request *request)
{
    request->place = REQUEST_READY;
    append(server, &peer->ready, request);
}

void request_wait(struct server *server, struct peer *peer, struct request *request)
{
    request->place = REQUEST_WAITING;
    request->prev = SERVER_NONE;
    request->next = peer->waiting_first;
    if (request->next != SERVER_NONE)
        request_at(server, request->next)->prev = request->index;
    peer->waiting_first = request->index;
}

void request_wait_no_more(struct server *server, struct peer *peer, struct request *request)
{
    assert(request->place == REQUEST_WAITING);
    if (request->prev == SERVER_NONE)
        peer->waiting_first = request->next;
    else
        request_at(server, request->prev)->next = request->next;
    if (request->next != SERVER_NONE)
        request_at(server, request->next)->prev = request->prev;
}

/* The first of the line is durable. Next: server_answer. */
static void release(struct server *server, struct request *request)
{
    struct peer *peer = request_peer(server, request);
    if (peer == NULL)
        request_close(server, request);
    else if (peer->blocked || !server_answer(server, peer, request))
        request_make_ready(server, peer, request);
}

bool request_release(struct server *server)
{
    uint64_t durable_no = partition_durable_no(server->partition);
    bool worked = false;
    while (server->pending.first != SERVER_NONE) {
        struct request *request = request_at(server, server->pending.first);
        if (request->block_no > durable_no)
            break;
        server->pending.first = request->next;
        release(server, request);
        worked = true;
    }
    return worked;
}

static void drop_list(struct server *server, uint32_t at)
{
    while (at != SERVER_NONE) {
        struct request *request = request_at(server, at);
        at = request->next;
        request_close(server, request);
    }
}

/* Those in the server's line are closed when they come to its front. */
void request_drop_all(struct server *server, struct peer *peer)
{
    drop_list(server, peer->ready.first);
    drop_list(server, peer->waiting_first);
    peer->ready.first = peer->waiting_first = SERVER_NONE;
    peer->open_count = 0;
}
