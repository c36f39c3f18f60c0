/* The ends of sagas: whoever waits for one, by the token of its own start or by the saga's id, is
 * told. What has ended already is told by the core (stuck ones) or by the index of history. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/server_parts.h"

#define BUCKETS_MIN 256u

/* ---- who waits for a saga, by its id ------------------------------------------------------------
 */

static uint32_t bucket_of(const struct awaits *awaits, uint64_t saga_id)
{
    return (uint32_t)((saga_id * 0x9e3779b97f4a7c15u) >> 32) & (awaits->buckets_count - 1);
}

static bool grow(struct server *server)
{
    struct awaits *awaits = &server->awaits;
    struct awaits grown = {.count = awaits->count,
                           .buckets_count = awaits->buckets_count == 0 ? BUCKETS_MIN
                                                                       : 2 * awaits->buckets_count};
    grown.buckets = malloc(grown.buckets_count * sizeof *grown.buckets);
    if (grown.buckets == NULL)
        return false;
    memset(grown.buckets, 0xff, grown.buckets_count * sizeof *grown.buckets);
    for (uint32_t i = 0; i < awaits->buckets_count; i++)
        for (uint32_t at = awaits->buckets[i], next; at != SERVER_NONE; at = next) {
            struct request *request = request_at(server, at);
            uint32_t bucket = bucket_of(&grown, request->saga_id);
            next = request->next_awaiting;
            request->next_awaiting = grown.buckets[bucket];
            grown.buckets[bucket] = at;
        }
    free(awaits->buckets);
    *awaits = grown;
    return true;
}

static bool add(struct server *server, struct request *request)
{
    struct awaits *awaits = &server->awaits;
    if (awaits->count >= awaits->buckets_count && !grow(server))
        return false;
    uint32_t bucket = bucket_of(awaits, request->saga_id);
    request->next_awaiting = awaits->buckets[bucket];
    awaits->buckets[bucket] = request->index;
    awaits->count++;
    request->is_awaiting = true;
    return true;
}

void await_drop(struct server *server, struct request *request)
{
    struct awaits *awaits = &server->awaits;
    uint32_t *at = &awaits->buckets[bucket_of(awaits, request->saga_id)];
    while (*at != request->index)
        at = &request_at(server, *at)->next_awaiting;
    *at = request->next_awaiting;
    awaits->count--;
    request->is_awaiting = false;
}

/* ---- ENDED --------------------------------------------------------------------------------------
 */

static uint32_t ended_bytes_max(const struct reply *reply)
{
    return WIRE_HEAD_BYTES_MAX + reply->output.count + reply->error.count + reply->cause.count;
}

static uint8_t *put_text_or_nil(uint8_t *at, struct flyover_bytes text)
{
    return text.count == 0 ? wire_put_nil(at) : wire_put_text(at, text);
}

static uint8_t *put_ended(uint8_t *at, const struct request *request, const struct reply *reply)
{
    at = wire_put_array(at, 7);
    at = wire_put_uint(at, WIRE_ENDED);
    at = wire_put_uint(at, request->id);
    at = wire_put_uint(at, reply->saga_id);
    at = wire_put_string(at, outcome_text(reply->outcome));
    at = wire_put_value(at, reply->output);
    at = put_text_or_nil(at, reply->error);
    return put_text_or_nil(at, reply->cause);
}

/* False: no room. */
static bool send_ended(struct server *server, struct peer *peer, const struct request *request,
                       const struct reply *reply)
{
    uint8_t *at = out_begin(server, peer, ended_bytes_max(reply));
    if (at == NULL)
        return false;
    out_end(server, peer, put_ended(at, request, reply));
    return true;
}

/* Until its peer has room; without the output where too much is kept already. */
static bool keep_ended(struct server *server, struct request *request, struct reply reply)
{
    if (server->kept_bytes + ended_bytes_max(&reply) > SERVER_KEPT_BYTES_MAX)
        reply.output.count = 0;
    struct kept *kept = malloc(sizeof *kept + ended_bytes_max(&reply));
    if (kept == NULL)
        return false;
    kept->bytes = (uint32_t)(put_ended(kept->message, request, &reply) - kept->message);
    server->kept_bytes += kept->bytes;
    request->kept = kept;
    request->has_end = true;
    return true;
}

/* The saga of a request has ended. Its STARTED may still wait for room. */
static void end_request(struct server *server, struct request *request, const struct reply *reply)
{
    struct peer *peer = request_peer(server, request);
    if (peer == NULL || !request->wants_end || request->has_end)
        return;
    assert(request->place == REQUEST_WAITING || request->place == REQUEST_READY);
    bool waits = request->place == REQUEST_WAITING;
    if (waits)
        request_wait_no_more(server, peer, request);
    if (waits && send_ended(server, peer, request, reply))
        request_close(server, request);
    else if (!keep_ended(server, request, *reply))
        peer_cut(server, peer, "no memory for an answer");
    else if (waits)
        request_make_ready(server, peer, request);
}

static void end_awaiting(struct server *server, const struct reply *reply)
{
    struct awaits *awaits = &server->awaits;
    uint32_t at = awaits->buckets[bucket_of(awaits, reply->saga_id)];
    while (at != SERVER_NONE) {
        struct request *request = request_at(server, at);
        at = request->next_awaiting;
        if (request->saga_id != reply->saga_id)
            continue;
        await_drop(server, request);
        end_request(server, request, reply);
    }
}

bool server_take_ends(struct server *server)
{
    struct reply reply;
    bool worked = false;
    while (partition_next_reply(server->partition, &reply)) {
        if (server->options.on_end != NULL)
            server->options.on_end(server->options.end_context, &reply);
        struct request *request = request_of_token(server, reply.token);
        if (request != NULL)
            end_request(server, request, &reply);
        if (server->awaits.count > 0)
            end_awaiting(server, &reply);
        watch_add(server, &reply);
        worked = true;
    }
    return worked;
}

/* ---- AWAIT --------------------------------------------------------------------------------------
 */

static struct flyover_bytes text_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static struct flyover_bytes member_of(struct flyover_bytes map, const char *key)
{
    struct flyover_cursor cursor = {map.at, map.at + map.count}, found;
    struct flyover_bytes text = {0};
    if (map.count == 0 || !flyover_find(&cursor, key, &found) || !flyover_read_str(&found, &text))
        text.count = 0;
    return text;
}

/* The request is WAITING. */
static void refuse(struct server *server, struct peer *peer, struct request *request,
                   enum status status, const char *sentence)
{
    struct kept *kept = out_keep_error(server, request->id, status, sentence);
    if (kept == NULL) {
        peer_cut(server, peer, "no memory for an answer");
        return;
    }
    request_wait_no_more(server, peer, request);
    server->kept_bytes += kept->bytes;
    request->kept = kept;
    request->has_end = true;
    if (peer->blocked || !server_answer(server, peer, request))
        request_make_ready(server, peer, request);
}

/* It is stuck, or has ended but for fire-and-forget steps: told when that is durable. */
static void tell_outcome(struct server *server, struct peer *peer, struct request *request,
                         const struct core_saga_view *view)
{
    struct flyover_bytes error =
        core_saga_error(partition_state(server->partition)->core, view->branch);
    struct reply reply = {.saga_id = request->saga_id,
                          .outcome = view->outcome,
                          .error = member_of(error, "Error"),
                          .cause = member_of(error, "Cause")};
    request_wait_no_more(server, peer, request);
    if (keep_ended(server, request, reply))
        request_pend(server, request);
    else
        peer_cut(server, peer, "no memory for an answer");
}

/* It has ended, by an event that may not be durable yet. Next: look_up, when it is. */
static void await_history(struct server *server, struct peer *peer, struct request *request)
{
    request_wait_no_more(server, peer, request);
    request->is_over = true;
    request_pend(server, request);
}

/* Next: server_turn_finds, when history has told. */
static void look_up(struct server *server, struct peer *peer, struct request *request)
{
    struct find *find = NULL;
    if (server->finds_count == SERVER_FINDS_MAX)
        refuse(server, peer, request, STATUS_BUSY,
               "too much is asked of history at this moment: ask again");
    else if (server->options.directory == NULL)
        refuse(server, peer, request, STATUS_NOT_FOUND,
               "the saga has ended, and this engine keeps no history: it runs in mode memory");
    else if ((find = calloc(1, sizeof *find)) == NULL)
        refuse(server, peer, request, STATUS_NO_MEMORY, "the engine has no memory to look for it");
    if (find == NULL)
        return;
    find->token = request_token(request);
    find->errand = (struct errand){.kind = ERRAND_FIND, .saga_id = request->saga_id};
    find->next = server->finds;
    server->finds = find;
    server->finds_count++;
    historian_send_errand(server->historian, &find->errand);
}

void server_await_end(struct server *server, struct peer *peer, struct request *request)
{
    const struct core *core = partition_state(server->partition)->core;
    uint32_t slot = core_find_saga(core, request->saga_id);
    struct core_saga_view view;
    if (request->is_over)
        look_up(server, peer, request);
    else if (slot == CORE_NO_SAGA || !core_view_saga(core, slot, &view))
        await_history(server, peer, request);
    else if (!partition_await(server->partition, request->saga_id))
        tell_outcome(server, peer, request, &view);
    else if (!add(server, request))
        peer_cut(server, peer, "no memory for an answer");
}

static enum status find_saga(struct server *server, struct wire_message *message,
                             uint64_t *ret_saga_id, struct problem *problem)
{
    const struct core *core = partition_state(server->partition)->core;
    struct flyover_bytes name = {0};
    if (wire_take_text(message, &name))
        *ret_saga_id = core_find_name(core, name, partition_now_ms(server->partition));
    if (name.at != NULL && *ret_saga_id == 0)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "no saga is known by this name: names are kept for %" PRIu64
                           " hours, and while their sagas run",
                           core_limits(core).name_retention_ms / 3600000);
    if (*ret_saga_id == 0 || *ret_saga_id > core_saga_id_last(core))
        return problem_set(problem, STATUS_NOT_FOUND,
                           "there is no such saga: there are %" PRIu64 ", numbered from 1",
                           core_saga_id_last(core));
    return STATUS_OK;
}

enum heard server_on_await(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t id, saga_id = 0;
    struct problem problem;
    if (!wire_take_uint(message, &id))
        return HEARD_MALFORMED;
    struct wire_message which = *message;
    struct flyover_bytes name;
    if (!wire_take_uint(message, &saga_id) && !wire_take_text(message, &name))
        return HEARD_MALFORMED;
    enum status status = find_saga(server, &which, &saga_id, &problem);
    if (status != STATUS_OK) {
        out_error(server, peer, id, status, problem.text, 0);
        return HEARD;
    }
    struct request *request = request_open(server, peer, id, REQUEST_AWAIT);
    if (request == NULL)
        return HEARD;
    request->saga_id = saga_id;
    request->existed = true;
    request->wants_end = true;
    request_wait(server, peer, request);
    server_await_end(server, peer, request);
    return HEARD;
}

/* ---- what history says --------------------------------------------------------------------------
 */

static void tell_found(struct server *server, struct request *request, const struct find *find)
{
    const struct errand *errand = &find->errand;
    struct peer *peer = request_peer(server, request);
    if (peer == NULL || request->place != REQUEST_WAITING)
        return;
    if (errand->status != STATUS_OK) {
        refuse(server, peer, request, errand->status, errand->problem.text);
        return;
    }
    struct reply reply = {.saga_id = request->saga_id,
                          .outcome = (enum outcome)errand->outcome,
                          .error = text_of(errand->error_name)};
    end_request(server, request, &reply);
}

void server_turn_finds(struct server *server)
{
    for (struct find **at = &server->finds; *at != NULL;) {
        struct find *find = *at;
        if (!find->errand.is_done) {
            at = &find->next;
            continue;
        }
        *at = find->next;
        struct request *request = request_of_token(server, find->token);
        if (request != NULL)
            tell_found(server, request, find);
        server->finds_count--;
        free(find);
    }
}

void server_close_awaits(struct server *server)
{
    while (server->finds != NULL) {
        struct find *find = server->finds;
        server->finds = find->next;
        free(find);
    }
    free(server->awaits.buckets);
}
