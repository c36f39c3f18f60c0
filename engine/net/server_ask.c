#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/timeline.h"
#include "engine/net/server_parts.h"
#include "engine/saga/value.h"
#include "engine/saga/value_json.h"

/* An answer has payloads in it, some levels down. */
#define ANSWER_DEPTH_MAX (FLYOVER_DEPTH_MAX + 16u)
#define ANSWER_BYTES_MAX (WIRE_FRAME_BYTES_MAX - WIRE_HEAD_BYTES_MAX)

/* ---- who may ask what ---------------------------------------------------------------------------
 */

static const char client_verbs[] = " start signal answer heartbeat list show history counts "
                                   "definitions figures ";
static const char worker_verbs[] = " answer heartbeat ";

static bool is_among(const char *words, const char *verb)
{
    char word[32];
    int bytes = snprintf(word, sizeof word, " %s ", verb);
    return bytes < (int)sizeof word && strstr(words, word) != NULL;
}

static enum status check_verb(const struct peer *peer, const char *verb, struct problem *problem)
{
    enum access_role role = peer->grant->role;
    if (role == ACCESS_OPERATOR ||
        is_among(role == ACCESS_CLIENT ? client_verbs : worker_verbs, verb))
        return STATUS_OK;
    return problem_set(problem, STATUS_NO_PERMISSION,
                       "the token of '%s' is a %s's, which may ask for%sonly", peer->grant->name,
                       role == ACCESS_CLIENT ? "client" : "worker",
                       role == ACCESS_CLIENT ? client_verbs : worker_verbs);
}

/* ---- a question ---------------------------------------------------------------------------------
 */

/* *ret_request is the caller's. */
static enum status read_question(struct flyover_bytes question, json_t **ret_request,
                                 struct problem *problem)
{
    const char *reason = NULL;
    if (question.count > FLYOVER_PAYLOAD_BYTES_MAX + WIRE_HEAD_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "a question has at most %u bytes",
                           FLYOVER_PAYLOAD_BYTES_MAX + WIRE_HEAD_BYTES_MAX);
    if (!value_check(question, &reason))
        return problem_set(problem, STATUS_INVALID, "the question cannot be taken: %s", reason);
    json_t *request = timeline_payload_to_json(question);
    if (!json_is_object(request)) {
        json_decref(request);
        return problem_set(problem, STATUS_INVALID,
                           "a question is a map that JSON can hold, as of engine/admin/admin.h");
    }
    *ret_request = request;
    return STATUS_OK;
}

static enum status prepare(const struct server *server, const struct peer *peer,
                           struct flyover_bytes question, json_t **ret_request,
                           struct problem *problem)
{
    if (server->draining)
        return problem_set(problem, STATUS_IN_USE, "the engine is stopping: connect again later");
    if (server->asks_count == SERVER_ASKS_MAX)
        return problem_set(problem, STATUS_BUSY, "%u questions are under way already: ask again",
                           SERVER_ASKS_MAX);
    if (peer->open_count >= server->options.window)
        return problem_set(problem, STATUS_BUSY, "as many requests as the window allows are open");
    enum status status = read_question(question, ret_request, problem);
    if (status != STATUS_OK)
        return status;
    const char *verb = json_string_value(json_object_get(*ret_request, "do"));
    status = check_verb(peer, verb == NULL ? "" : verb, problem);
    if (status != STATUS_OK)
        json_decref(*ret_request);
    return status;
}

/* Takes the request. Next: server_turn_asks, or historian_on_errand on its own thread. */
static void begin(struct server *server, struct peer *peer, uint64_t id, json_t *request)
{
    struct ask *ask = calloc(1, sizeof *ask);
    if (ask == NULL) {
        json_decref(request);
        out_error(server, peer, id, STATUS_NO_MEMORY, "the engine has no memory for a question", 0);
        return;
    }
    ask->id = id;
    ask->connection = peer->connection;
    ask->peer = peer->generation;
    ask->is_elsewhere = historian_wants(server->historian, request);
    ask->errand = (struct errand){.kind = ERRAND_ASK, .request = request};
    if (ask->is_elsewhere)
        historian_send_errand(server->historian, &ask->errand);
    else
        admin_begin(&ask->job, request);
    ask->next = server->asks;
    server->asks = ask;
    server->asks_count++;
    peer->open_count++;
    server->counts.requests_open++;
}

enum heard server_on_ask(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t id;
    struct flyover_bytes question;
    struct problem problem = {0};
    json_t *request = NULL;
    if (!wire_take_uint(message, &id) || !wire_take_value(message, &question))
        return HEARD_MALFORMED;
    enum status status = prepare(server, peer, question, &request, &problem);
    if (status == STATUS_OK)
        begin(server, peer, id, request);
    else
        out_error(server, peer, id, status, problem.text,
                  status == STATUS_BUSY ? partition_busy_ms(server->partition) : 0);
    return HEARD;
}

/* ---- its answer ---------------------------------------------------------------------------------
 */

/* The whole message; NULL: no memory. */
static struct kept *make_answer(struct server *server, uint64_t id, const json_t *reply)
{
    struct kept *kept = malloc(sizeof *kept + WIRE_FRAME_BYTES_MAX);
    if (kept == NULL)
        return NULL;
    size_t bytes = 0;
    uint8_t *at = wire_put_array(kept->message, 3);
    at = wire_put_uint(at, WIRE_ANSWER);
    at = wire_put_uint(at, id);
    enum status status =
        value_from_deep_json(reply, ANSWER_DEPTH_MAX, at, ANSWER_BYTES_MAX, &bytes);
    if (status != STATUS_OK) {
        free(kept);
        return out_keep_error(server, id, STATUS_TOO_LARGE,
                              "the answer is larger than a frame: ask for less");
    }
    kept->bytes = (uint32_t)(at + bytes - kept->message);
    struct kept *fitting = realloc(kept, sizeof *kept + kept->bytes);
    return fitting == NULL ? kept : fitting;
}

/* A reply of admin.h's as a message. */
static struct kept *translate(struct server *server, uint64_t id, const json_t *reply)
{
    const char *error = json_string_value(json_object_get(reply, "error"));
    const char *sentence = json_string_value(json_object_get(reply, "message"));
    if (reply == NULL)
        return out_keep_error(server, id, STATUS_NO_MEMORY,
                              "the engine has no memory for an answer");
    return error != NULL && sentence != NULL
               ? out_keep_error(server, id, status_find(error), sentence)
               : make_answer(server, id, reply);
}

static struct peer *peer_of(const struct server *server, const struct ask *ask)
{
    struct peer *peer = server_peer(server, ask->connection);
    return peer->generation == ask->peer && peer->stage == PEER_OPEN ? peer : NULL;
}

/* True once its answer is there. */
static bool turn(struct server *server, struct ask *ask, bool *worked)
{
    if (ask->answer != NULL)
        return true;
    if (ask->is_elsewhere ? !ask->errand.is_done
                          : !admin_turn(&ask->job, server->partition, worked))
        return false;
    json_t *reply = ask->is_elsewhere ? ask->errand.reply : admin_end(&ask->job);
    ask->answer = translate(server, ask->id, reply);
    ask->errand.reply = NULL;
    json_decref(reply);
    *worked = true;
    return true;
}

static void end(struct server *server, struct ask *ask)
{
    if (!ask->is_elsewhere)
        json_decref(admin_end(&ask->job));
    json_decref(ask->errand.reply);
    free(ask->answer);
    free(ask);
    server->asks_count--;
    server->counts.requests_open--;
}

/* True if it is over. */
static bool look(struct server *server, struct ask *ask, bool *worked)
{
    struct peer *peer = peer_of(server, ask);
    /* What is on the other thread comes back first. */
    if (peer == NULL)
        return !ask->is_elsewhere || ask->errand.is_done;
    if (!turn(server, ask, worked) || peer->blocked)
        return false;
    if (ask->answer == NULL)
        peer_cut(server, peer, "no memory for an answer");
    else if (!out_kept(server, peer, ask->answer))
        return false;
    peer->open_count--;
    *worked = true;
    return true;
}

bool server_turn_asks(struct server *server)
{
    bool worked = false;
    struct ask **at = &server->asks;
    while (*at != NULL) {
        struct ask *ask = *at;
        if (!look(server, ask, &worked)) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        end(server, ask);
    }
    return worked;
}

/* The other thread is not there any more. */
void server_close_asks(struct server *server)
{
    while (server->asks != NULL) {
        struct ask *ask = server->asks;
        server->asks = ask->next;
        end(server, ask);
    }
}
