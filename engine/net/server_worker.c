#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/server_parts.h"

/* The number of an invocation: its place in the low bits, and how often that was used above. */
#define PLACE_BITS 24u
#define PLACES_MAX (1u << PLACE_BITS)

/* ---- REGISTER -----------------------------------------------------------------------------------
 */

struct offering {
    uint64_t id;
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    uint32_t handlers_count;
    char handlers[FLYOVER_HANDLERS_MAX][FLYOVER_NAME_BYTES_MAX + 1];
    uint64_t credit;
};

/* A name that is none becomes "", which is refused as one. */
static void copy_name(struct flyover_bytes name, char ret_name[FLYOVER_NAME_BYTES_MAX + 1])
{
    bool fine = name.count <= FLYOVER_NAME_BYTES_MAX && memchr(name.at, '\0', name.count) == NULL;
    uint32_t bytes = fine ? name.count : 0;
    memcpy(ret_name, name.at, bytes);
    ret_name[bytes] = '\0';
}

/* False: malformed. Handlers beyond FLYOVER_HANDLERS_MAX are counted only. */
static bool read_offering(struct wire_message *message, struct offering *offering)
{
    struct flyover_bytes name;
    if (!wire_take_uint(message, &offering->id) || !wire_take_text(message, &name))
        return false;
    copy_name(name, offering->service);
    if (!flyover_read_array(&message->fields, &offering->handlers_count))
        return false;
    for (uint32_t i = 0; i < offering->handlers_count; i++) {
        if (!wire_take_text(message, &name))
            return false;
        if (i < FLYOVER_HANDLERS_MAX)
            copy_name(name, offering->handlers[i]);
    }
    return wire_take_uint(message, &offering->credit);
}

static bool is_known_id(const struct peer *peer, uint64_t id)
{
    const struct registration *at = peer->registrations;
    while (at != NULL && at->id != id)
        at = at->next;
    return at != NULL;
}

static enum status check_offering(const struct peer *peer, const struct offering *offering,
                                  struct problem *problem)
{
    if (!access_may_serve(peer->grant, offering->service))
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the token of '%s' does not allow to serve '%s'", peer->grant->name,
                           offering->service);
    if (offering->handlers_count == 0 || offering->handlers_count > FLYOVER_HANDLERS_MAX)
        return problem_set(problem, STATUS_INVALID, "a service is registered with 1 to %u handlers",
                           FLYOVER_HANDLERS_MAX);
    if (offering->credit == 0 || offering->credit > PLACES_MAX)
        return problem_set(problem, STATUS_INVALID, "the credit is 1 to %u invocations",
                           PLACES_MAX);
    if (is_known_id(peer, offering->id))
        return problem_set(problem, STATUS_INVALID,
                           "a REGISTER of this id is there already: its invocations bear it");
    if (peer->draining)
        return problem_set(problem, STATUS_INVALID, "the connection is draining: use a new one");
    return STATUS_OK;
}

static enum status open_lanes(struct server *server, const struct offering *offering,
                              struct registration *registration, struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < offering->handlers_count && status == STATUS_OK; i++)
        status = remote_open_lane(server->partition, offering->service, offering->handlers[i],
                                  &registration->lanes[i], problem);
    registration->handlers_count = offering->handlers_count;
    return status;
}

static bool make_room_for_offer(struct offers *offers)
{
    if (offers->count < offers->capacity)
        return true;
    uint32_t capacity = offers->capacity == 0 ? 4 : 2 * offers->capacity;
    struct offer *items = realloc(offers->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    offers->items = items;
    offers->capacity = capacity;
    return true;
}

static void withdraw(struct server *server, const struct registration *registration)
{
    for (uint32_t i = 0; i < registration->handlers_count; i++) {
        struct offers *offers = &server->offers[registration->lanes[i]];
        uint32_t kept = 0;
        for (uint32_t j = 0; j < offers->count; j++)
            if (offers->items[j].registration != registration)
                offers->items[kept++] = offers->items[j];
        offers->count = kept;
    }
}

static bool offer(struct server *server, struct registration *registration)
{
    for (uint32_t i = 0; i < registration->handlers_count; i++) {
        struct offers *offers = &server->offers[registration->lanes[i]];
        if (!make_room_for_offer(offers)) {
            withdraw(server, registration);
            return false;
        }
        offers->items[offers->count++] = (struct offer){registration, i};
    }
    return true;
}

static enum status take_registration(struct server *server, struct peer *peer,
                                     const struct offering *offering, struct problem *problem)
{
    enum status status = check_offering(peer, offering, problem);
    if (status != STATUS_OK)
        return status;
    struct registration *registration = calloc(1, sizeof *registration);
    if (registration == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "the engine has no memory for a worker");
    registration->connection = peer->connection;
    registration->id = offering->id;
    registration->credit = (uint32_t)offering->credit;
    strcpy(registration->service, offering->service);
    status = open_lanes(server, offering, registration, problem);
    if (status == STATUS_OK && !offer(server, registration))
        status = problem_set(problem, STATUS_NO_MEMORY, "the engine has no memory for a worker");
    if (status != STATUS_OK) {
        free(registration);
        return status;
    }
    registration->next = peer->registrations;
    peer->registrations = registration;
    return STATUS_OK;
}

/* [kind, number]: REGISTERED, LATE, DRAINED. */
static void answer_short(struct server *server, struct peer *peer, enum wire_kind kind,
                         uint64_t number)
{
    uint8_t *at = out_begin_answer(server, peer);
    if (at == NULL)
        return;
    at = wire_put_array(at, 2);
    at = wire_put_uint(at, kind);
    at = wire_put_uint(at, number);
    out_end_answer(server, peer, at);
}

enum heard server_on_register(struct server *server, struct peer *peer,
                              struct wire_message *message)
{
    struct offering offering;
    struct problem problem = {0};
    if (!read_offering(message, &offering))
        return HEARD_MALFORMED;
    enum status status = take_registration(server, peer, &offering, &problem);
    if (status == STATUS_OK) {
        server_log(server, peer, "registered", offering.service);
        answer_short(server, peer, WIRE_REGISTERED, offering.id);
    } else {
        out_error(server, peer, offering.id, status,
                  problem.text[0] != '\0' ? problem.text : status_text(status), 0);
    }
    return HEARD;
}

/* ---- invocations --------------------------------------------------------------------------------
 */

static bool add_places(struct server *server)
{
    uint32_t capacity = server->invocations_capacity == 0 ? 1024 : 2 * server->invocations_capacity;
    if (capacity > PLACES_MAX)
        return false;
    struct invocation *places =
        realloc(server->invocations, capacity * sizeof *server->invocations);
    if (places == NULL)
        return false;
    server->invocations = places;
    for (uint32_t i = capacity; i-- > server->invocations_capacity;) {
        places[i] = (struct invocation){.next = server->invocations_free};
        server->invocations_free = i;
    }
    server->invocations_capacity = capacity;
    return true;
}

static uint64_t number_of(const struct server *server, const struct invocation *invocation)
{
    return (uint64_t)invocation->generation << PLACE_BITS |
           (uint32_t)(invocation - server->invocations);
}

/* There is a place. */
static struct invocation *open_invocation(struct server *server, struct peer *peer,
                                          struct registration *registration, uint32_t lane,
                                          const struct remote_invocation *call)
{
    uint32_t index = server->invocations_free;
    struct invocation *invocation = &server->invocations[index];
    assert(invocation->registration == NULL);
    server->invocations_free = invocation->next;
    *invocation = (struct invocation){.registration = registration,
                                      .connection = peer->connection,
                                      .lane = lane,
                                      .branch = call->branch,
                                      .branch_generation = call->generation,
                                      .generation = invocation->generation,
                                      .next = peer->invocations_first,
                                      .prev = SERVER_NONE};
    if (invocation->next != SERVER_NONE)
        server->invocations[invocation->next].prev = index;
    peer->invocations_first = index;
    registration->in_flight++;
    return invocation;
}

static void close_invocation(struct server *server, struct peer *peer,
                             struct invocation *invocation)
{
    if (invocation->prev == SERVER_NONE)
        peer->invocations_first = invocation->next;
    else
        server->invocations[invocation->prev].next = invocation->next;
    if (invocation->next != SERVER_NONE)
        server->invocations[invocation->next].prev = invocation->prev;
    invocation->registration->in_flight--;
    invocation->registration = NULL;
    invocation->generation++;
    invocation->next = server->invocations_free;
    server->invocations_free = (uint32_t)(invocation - server->invocations);
}

/* NULL: it is none of this connection's. */
static struct invocation *find_invocation(const struct server *server, const struct peer *peer,
                                          uint64_t number)
{
    uint32_t index = (uint32_t)number & (PLACES_MAX - 1);
    if (index >= server->invocations_capacity)
        return NULL;
    struct invocation *invocation = &server->invocations[index];
    bool is_it = invocation->registration != NULL && invocation->connection == peer->connection &&
                 invocation->generation == number >> PLACE_BITS;
    return is_it ? invocation : NULL;
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static void answer_late(struct server *server, struct peer *peer, uint64_t number)
{
    server->counts.late_results++;
    answer_short(server, peer, WIRE_LATE, number);
}

/* The last one was answered. */
static void look_drained(struct server *server, struct peer *peer)
{
    if (!peer->draining || peer->invocations_first != SERVER_NONE)
        return;
    peer->draining = false;
    answer_short(server, peer, WIRE_DRAINED, peer->drain_id);
}

/* What the partition said of an answer. */
static enum heard after_answer(struct server *server, struct peer *peer,
                               struct invocation *invocation, uint64_t number, enum status status)
{
    if (status == STATUS_BUSY)
        return HEARD_LATER;
    close_invocation(server, peer, invocation);
    if (status == STATUS_NOT_FOUND)
        answer_late(server, peer, number);
    look_drained(server, peer);
    return HEARD;
}

enum heard server_on_done(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t number;
    struct flyover_bytes output;
    if (!wire_take_uint(message, &number) || !wire_take_value(message, &output))
        return HEARD_MALFORMED;
    struct invocation *invocation = find_invocation(server, peer, number);
    if (invocation == NULL) {
        answer_late(server, peer, number);
        return HEARD;
    }
    enum status status = remote_done(server->partition, invocation->lane, invocation->branch,
                                     invocation->branch_generation, output);
    return after_answer(server, peer, invocation, number, status);
}

enum heard server_on_failed(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t number;
    bool retryable;
    struct flyover_bytes error, cause;
    if (!wire_take_uint(message, &number) || !wire_take_bool(message, &retryable) ||
        !wire_take_text(message, &error) || !wire_take_text(message, &cause))
        return HEARD_MALFORMED;
    struct invocation *invocation = find_invocation(server, peer, number);
    if (invocation == NULL) {
        answer_late(server, peer, number);
        return HEARD;
    }
    enum status status = remote_failed(server->partition, invocation->lane, invocation->branch,
                                       invocation->branch_generation, retryable, error, cause);
    return after_answer(server, peer, invocation, number, status);
}

enum heard server_on_beat(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t number;
    enum status status = STATUS_NOT_FOUND;
    if (!wire_take_uint(message, &number))
        return HEARD_MALFORMED;
    struct invocation *invocation = find_invocation(server, peer, number);
    if (invocation != NULL)
        status = remote_beat(server->partition, invocation->lane, invocation->branch,
                             invocation->branch_generation);
    if (status == STATUS_BUSY)
        return HEARD_LATER;
    if (status != STATUS_OK)
        answer_late(server, peer, number);
    return HEARD;
}

enum heard server_on_drain(struct server *server, struct peer *peer, struct wire_message *message)
{
    if (!wire_take_uint(message, &peer->drain_id))
        return HEARD_MALFORMED;
    for (const struct registration *at = peer->registrations; at != NULL; at = at->next)
        withdraw(server, at);
    peer->draining = true;
    look_drained(server, peer);
    return HEARD;
}

/* ---- handing out --------------------------------------------------------------------------------
 */

static uint8_t *put_text_or_nil(uint8_t *at, struct flyover_bytes text)
{
    return text.count == 0 ? wire_put_nil(at) : wire_put_text(at, text);
}

static uint8_t *put_invoke(uint8_t *at, uint64_t number, const struct offer *offer,
                           const struct remote_invocation *call)
{
    at = wire_put_array(at, 13);
    at = wire_put_uint(at, WIRE_INVOKE);
    at = wire_put_uint(at, number);
    at = wire_put_uint(at, offer->registration->id);
    at = wire_put_uint(at, offer->handler);
    at = wire_put_uint(at, call->saga_id);
    at = wire_put_uint(at, call->step_no);
    at = wire_put_uint(at, call->phase);
    at = wire_put_uint(at, call->attempt_no);
    at = wire_put_int(at, call->deadline_ms);
    at = wire_put_value(at, call->input);
    at = wire_put_value(at, call->output);
    at = call->has_token ? wire_put_string(at, call->token) : wire_put_nil(at);
    return put_text_or_nil(at, call->trace);
}

/* Whether a small one has room, and a place: then one may be taken. */
static bool may_hand(struct server *server, const struct offer *offer)
{
    struct registration *registration = offer->registration;
    struct peer *peer = server_peer(server, registration->connection);
    return registration->in_flight < registration->credit && !peer->blocked &&
           (server->invocations_free != SERVER_NONE || add_places(server)) &&
           out_begin(server, peer, WIRE_HEAD_BYTES_MAX) != NULL;
}

/* False: nothing waits, or this one had no room. */
static bool hand(struct server *server, uint32_t lane, const struct offer *offer)
{
    struct remote_invocation call;
    struct peer *peer = server_peer(server, offer->registration->connection);
    if (!remote_take(server->partition, lane, &call))
        return false;
    uint8_t *at =
        out_begin(server, peer,
                  WIRE_HEAD_BYTES_MAX + call.input.count + call.output.count + call.trace.count);
    if (at == NULL) {
        remote_give_back(server->partition, lane, call.branch, call.generation);
        return false;
    }
    struct invocation *invocation = open_invocation(server, peer, offer->registration, lane, &call);
    out_end(server, peer, put_invoke(at, number_of(server, invocation), offer, &call));
    server->counts.handed_out++;
    return true;
}

/* The next one in turn that has credit and room, or NULL. */
static const struct offer *choose(struct server *server, struct offers *offers)
{
    for (uint32_t i = 0; i < offers->count; i++) {
        offers->turn = offers->turn + 1 < offers->count ? offers->turn + 1 : 0;
        if (may_hand(server, &offers->items[offers->turn]))
            return &offers->items[offers->turn];
    }
    return NULL;
}

static bool hand_out_lane(struct server *server, uint32_t lane)
{
    struct offers *offers = &server->offers[lane];
    const struct offer *offer;
    bool worked = false;
    while (remote_waiting(server->partition, lane) > 0 &&
           (offer = choose(server, offers)) != NULL && hand(server, lane, offer))
        worked = true;
    return worked;
}

bool server_hand_out(struct server *server)
{
    bool worked = false;
    uint32_t count = server->draining ? 0 : remote_lanes_count(server->partition);
    for (uint32_t lane = 0; lane < count; lane++)
        if (server->offers[lane].count > 0)
            worked |= hand_out_lane(server, lane);
    return worked;
}

/* The newest first, so that the oldest of them waits in front of the others. */
void server_take_back(struct server *server, struct peer *peer)
{
    while (peer->invocations_first != SERVER_NONE) {
        struct invocation *invocation = &server->invocations[peer->invocations_first];
        remote_give_back(server->partition, invocation->lane, invocation->branch,
                         invocation->branch_generation);
        close_invocation(server, peer, invocation);
        server->counts.handed_out_again++;
    }
    while (peer->registrations != NULL) {
        struct registration *registration = peer->registrations;
        peer->registrations = registration->next;
        withdraw(server, registration);
        free(registration);
    }
}

bool server_is_served(const struct server *server, const char *service)
{
    for (uint32_t i = 0; i < remote_lanes_count(server->partition); i++)
        if (server->offers[i].count > 0 &&
            strcmp(remote_lane(server->partition, i)->service, service) == 0)
            return true;
    const struct server_options *options = &server->options;
    return options->serves != NULL && options->serves(options->serves_context, service);
}

void server_close_workers(struct server *server)
{
    for (uint32_t i = 0; i < REMOTE_LANES_MAX; i++)
        free(server->offers[i].items);
    free(server->invocations);
}

uint32_t server_workers(const struct server *server, struct server_worker_view *views,
                        uint32_t capacity)
{
    uint32_t count = 0, seen = 0;
    for (uint32_t i = 0; i < server->options.connections_max && seen < server->counts.connections;
         i++) {
        const struct peer *peer = &server->peers[i];
        seen += peer->stage == PEER_GREETING || peer->stage == PEER_OPEN;
        for (const struct registration *at = peer->registrations; at != NULL; at = at->next) {
            struct server_worker_view *view = count < capacity ? &views[count] : NULL;
            count++;
            if (view == NULL)
                continue;
            *view = (struct server_worker_view){.credit = at->credit, .in_flight = at->in_flight};
            strcpy(view->service, at->service);
            transport_peer(server->transport, at->connection, view->peer);
        }
    }
    return count;
}
