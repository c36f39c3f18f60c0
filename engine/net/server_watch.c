/* What becomes of sagas, for subscribers. The ends of the last while are kept in a ring, in the
 * order of the journal, and each subscriber has its place in it; one whose place is gone, or that
 * begins behind an old position, is told from the index of history until it has come to the ring.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/server_parts.h"

#define RING_MASK (SERVER_EVENTS_MAX - 1)

/* ---- the ring -----------------------------------------------------------------------------------
 */

static struct watch_event *event_at(const struct watch *watch, uint64_t number)
{
    return &watch->ring[number & RING_MASK];
}

static bool watch_on(struct server *server)
{
    struct watch *watch = &server->watch;
    if (watch->count > 0)
        return true;
    if (watch->ring == NULL)
        watch->ring = calloc(SERVER_EVENTS_MAX, sizeof *watch->ring);
    if (watch->ring == NULL)
        return false;
    /* What ended in the block that is filled now may have ended before this. */
    watch->first = watch->end;
    watch->whole_from_no = partition_pending_no(server->partition) + 1;
    partition_watch(server->partition, true);
    return true;
}

void watch_add(struct server *server, const struct reply *reply)
{
    struct watch *watch = &server->watch;
    if (watch->count == 0 || reply->block_no == 0)
        return;
    if (watch->end - watch->first == SERVER_EVENTS_MAX)
        watch->whole_from_no = event_at(watch, watch->first++)->block_no + 1;
    struct watch_event *event = event_at(watch, watch->end++);
    event->block_no = reply->block_no;
    event->index = reply->index;
    event->saga_id = reply->saga_id;
    event->at_ms = reply->ended_ms;
    event->plan = reply->plan;
    event->outcome = (uint8_t)reply->outcome;
    event->error_bytes =
        (uint8_t)(reply->error.count <= sizeof event->error ? reply->error.count : 0);
    if (event->error_bytes > 0)
        memcpy(event->error, reply->error.at, event->error_bytes);
}

/* The number of the first event that is of block_no or behind it. */
static uint64_t find_number(const struct watch *watch, uint64_t block_no)
{
    uint64_t least = watch->first, most = watch->end;
    while (least < most) {
        uint64_t middle = least + (most - least) / 2;
        if (event_at(watch, middle)->block_no < block_no)
            least = middle + 1;
        else
            most = middle;
    }
    return least;
}

/* ---- telling ------------------------------------------------------------------------------------
 */

static bool is_asked_for(const struct subscription *subscription, const char *definition,
                         uint8_t outcome)
{
    return (subscription->outcomes >> outcome & 1) != 0 &&
           (subscription->definition[0] == '\0' ||
            strcmp(subscription->definition, definition) == 0);
}

/* False: no room. */
static bool send_event(struct server *server, struct peer *peer, struct subscription *subscription,
                       const struct watch_event *event, const char *definition, uint32_t version)
{
    char position[48];
    snprintf(position, sizeof position, "%" PRIu64 ".%" PRIu64, event->block_no, event->index);
    uint8_t *at = out_begin(server, peer,
                            WIRE_HEAD_BYTES_MAX + sizeof position + NOTE_NAME_BYTES_MAX +
                                sizeof event->error);
    if (at == NULL)
        return false;
    at = wire_put_array(at, 10);
    at = wire_put_uint(at, WIRE_EVENT);
    at = wire_put_uint(at, subscription->id);
    at = wire_put_string(at, position);
    at = wire_put_uint(at, event->saga_id);
    at = wire_put_string(at, outcome_text((enum outcome)event->outcome));
    at = wire_put_string(at, definition);
    at = wire_put_uint(at, version);
    at = wire_put_int(at, event->at_ms);
    at = wire_put_nil(at);
    at = event->error_bytes == 0
             ? wire_put_nil(at)
             : wire_put_text(at, (struct flyover_bytes){event->error, event->error_bytes});
    out_end(server, peer, at);
    subscription->credit--;
    return true;
}

static bool may_send(const struct peer *peer, const struct subscription *subscription)
{
    return subscription->credit > 0 && !peer->blocked && peer->stage == PEER_OPEN;
}

/* From the ring. */
static bool tell_ring(struct server *server, struct peer *peer, struct subscription *subscription)
{
    const struct watch *watch = &server->watch;
    const struct partition_state *state = partition_state(server->partition);
    uint64_t before = subscription->number;
    for (; subscription->number < watch->end && may_send(peer, subscription);
         subscription->number++) {
        const struct watch_event *event = event_at(watch, subscription->number);
        const char *definition = core_plan(state->core, event->plan)->name;
        if (is_asked_for(subscription, definition, event->outcome) &&
            !send_event(server, peer, subscription, event, definition,
                        state->definitions[event->plan].version))
            break;
        subscription->next = (struct history_place_of_note){event->block_no, 0};
    }
    return subscription->number != before;
}

/* From a page of history. */
static bool tell_page(struct server *server, struct peer *peer, struct subscription *subscription)
{
    const struct page *page = &subscription->page;
    uint32_t before = subscription->told;
    for (; subscription->told < page->count && may_send(peer, subscription); subscription->told++) {
        const struct page_entry *entry = &page->entries[subscription->told];
        struct watch_event event = {.block_no = entry->block_no,
                                    .index = entry->index,
                                    .saga_id = entry->saga_id,
                                    .at_ms = entry->at_ms,
                                    .outcome = entry->outcome};
        event.error_bytes = (uint8_t)strnlen(entry->error, sizeof event.error);
        memcpy(event.error, entry->error, event.error_bytes);
        if (is_asked_for(subscription, entry->definition, entry->outcome) &&
            !send_event(server, peer, subscription, &event, entry->definition, entry->version))
            break;
    }
    return subscription->told != before;
}

/* ---- coming to the ring -------------------------------------------------------------------------
 */

static void end_subscription(struct server *server, struct subscription *subscription);

/* Ends it with an ERROR, once there is room. False: not yet. */
static bool refuse(struct server *server, struct peer *peer, struct subscription *subscription,
                   enum status status, const char *sentence)
{
    struct kept *kept = out_keep_error(server, subscription->id, status, sentence);
    bool sent = kept != NULL && out_kept(server, peer, kept);
    free(kept);
    if (sent)
        end_subscription(server, subscription);
    return sent;
}

static bool is_in_ring(const struct watch *watch, const struct subscription *subscription)
{
    return subscription->next.block_no >= watch->whole_from_no;
}

/* Next: turn_page, when the historian has it. */
static void ask_page(struct server *server, struct subscription *subscription)
{
    struct page *page = &subscription->page;
    page->next = subscription->next;
    page->end_no = server->watch.whole_from_no;
    subscription->told = 0;
    subscription->errand = (struct errand){.kind = ERRAND_PAGE, .page = page};
    subscription->is_asking = true;
    historian_send_errand(server->historian, &subscription->errand);
}

static bool turn_page(struct server *server, struct peer *peer, struct subscription *subscription)
{
    const struct page *page = &subscription->page;
    const struct errand *errand = &subscription->errand;
    if (!errand->is_done)
        return false;
    if (errand->status != STATUS_OK)
        return refuse(server, peer, subscription, errand->status, errand->problem.text);
    bool worked = tell_page(server, peer, subscription);
    if (subscription->told < page->count)
        return worked;
    subscription->is_asking = false;
    subscription->next =
        page->is_done ? (struct history_place_of_note){page->end_no, 0} : page->next;
    return true;
}

/* What is not in the ring is asked for where it is kept, once it is durable. */
static bool come_to_ring(struct server *server, struct peer *peer,
                         struct subscription *subscription)
{
    const struct watch *watch = &server->watch;
    if (is_in_ring(watch, subscription)) {
        subscription->number = find_number(watch, subscription->next.block_no);
        subscription->is_live = true;
        return true;
    }
    if (server->options.directory == NULL)
        return refuse(server, peer, subscription, STATUS_LOST,
                      "what ended there is not known any more: the engine keeps no history");
    if (partition_durable_no(server->partition) + 1 < watch->whole_from_no)
        return false;
    ask_page(server, subscription);
    return true;
}

static bool turn(struct server *server, struct subscription *subscription)
{
    struct peer *peer = server_peer(server, subscription->connection);
    if (subscription->is_asking)
        return turn_page(server, peer, subscription);
    /* Its place in the ring was needed for newer ones. */
    if (subscription->is_live && subscription->number < server->watch.first)
        subscription->is_live = false;
    if (subscription->is_live)
        return tell_ring(server, peer, subscription);
    return may_send(peer, subscription) && come_to_ring(server, peer, subscription);
}

bool server_turn_watch(struct server *server)
{
    bool worked = false;
    for (struct subscription **at = &server->watch.subscriptions; *at != NULL;) {
        struct subscription *subscription = *at;
        if (!subscription->is_over)
            worked |= turn(server, subscription);
        /* A page on its way comes back first. */
        if (!subscription->is_over || (subscription->is_asking && !subscription->errand.is_done)) {
            at = &subscription->next_of_all;
            continue;
        }
        *at = subscription->next_of_all;
        free(subscription);
    }
    return worked;
}

/* ---- SUBSCRIBE ----------------------------------------------------------------------------------
 */

static struct subscription *find(const struct server *server, const struct peer *peer, uint64_t id)
{
    struct subscription *at = server->watch.subscriptions;
    while (at != NULL && (at->is_over || at->connection != peer->connection || at->id != id))
        at = at->next_of_all;
    return at;
}

static bool read_outcome(struct wire_message *message, uint32_t *outcomes, bool *fine)
{
    struct flyover_bytes text;
    if (!wire_take_text(message, &text))
        return false;
    uint32_t outcome = OUTCOME_SUCCEEDED;
    while (outcome <= OUTCOME_ABORTED && !text_is(text, outcome_text((enum outcome)outcome)))
        outcome++;
    *fine &= outcome <= OUTCOME_ABORTED;
    *outcomes |= 1u << outcome;
    return true;
}

static bool read_outcomes(struct wire_message *message, struct subscription *wish, bool *fine)
{
    uint32_t count;
    if (!flyover_read_array(&message->fields, &count))
        return false;
    wish->outcomes = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!read_outcome(message, &wish->outcomes, fine))
            return false;
    return true;
}

static bool read_definition(struct wire_message *message, struct subscription *wish, bool *fine)
{
    struct flyover_bytes text;
    if (!wire_take_text(message, &text))
        return false;
    *fine &= text.count < sizeof wish->definition;
    if (*fine)
        memcpy(wish->definition, text.at, text.count);
    return true;
}

/* "BLOCK.INDEX": the events of the block come again, those before it do not. */
static bool read_position(struct wire_message *message, struct subscription *wish, bool *fine)
{
    struct flyover_bytes text;
    char copy[48] = "";
    int read = 0;
    uint64_t index;
    if (!wire_take_text(message, &text))
        return false;
    if (text.count < sizeof copy)
        memcpy(copy, text.at, text.count);
    *fine &= sscanf(copy, "%" SCNu64 ".%" SCNu64 "%n", &wish->next.block_no, &index, &read) == 2 &&
             (uint32_t)read == text.count && wish->next.block_no > 0;
    return true;
}

/* False: malformed. A value that cannot be makes *fine false. */
static bool read_wish(struct wire_message *message, struct subscription *wish, bool *fine)
{
    uint32_t pairs;
    struct flyover_bytes key;
    if (!wire_take_uint(message, &wish->id) || !flyover_read_map(&message->fields, &pairs))
        return false;
    for (uint32_t i = 0; i < pairs; i++) {
        bool read;
        if (!wire_take_text(message, &key))
            return false;
        if (text_is(key, "definition"))
            read = read_definition(message, wish, fine);
        else if (text_is(key, "states"))
            read = read_outcomes(message, wish, fine);
        else if (text_is(key, "after"))
            read = read_position(message, wish, fine);
        else if (text_is(key, "credit"))
            read = wire_take_uint(message, &wish->credit);
        else
            read = wire_skip(&message->fields);
        if (!read)
            return false;
    }
    return true;
}

static enum status check_wish(const struct server *server, const struct peer *peer,
                              const struct subscription *wish, bool fine, struct problem *problem)
{
    if (server->draining)
        return problem_set(problem, STATUS_IN_USE, "the engine is stopping: connect again later");
    if (!fine)
        return problem_set(problem, STATUS_INVALID,
                           "\"definition\" is a name, \"states\" are of SUCCEEDED, FAILED, "
                           "COMPENSATED, STUCK, ABORTED, and \"after\" is a position of an EVENT");
    if (find(server, peer, wish->id) != NULL)
        return problem_set(problem, STATUS_INVALID, "a subscription of this id is there already");
    if (peer->open_count >= server->options.window ||
        server->watch.count == SERVER_SUBSCRIPTIONS_MAX)
        return problem_set(problem, STATUS_BUSY, "there is no room for another subscription now");
    return STATUS_OK;
}

static enum status subscribe(struct server *server, struct peer *peer,
                             const struct subscription *wish, struct problem *problem)
{
    struct watch *watch = &server->watch;
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL || !watch_on(server)) {
        free(subscription);
        return problem_set(problem, STATUS_NO_MEMORY, "the engine has no memory for it");
    }
    *subscription = *wish;
    subscription->connection = peer->connection;
    if (wish->next.block_no == 0) {
        subscription->is_live = true;
        subscription->number = watch->end;
        subscription->next.block_no = partition_pending_no(server->partition);
    }
    subscription->next_of_all = watch->subscriptions;
    watch->subscriptions = subscription;
    watch->count++;
    peer->open_count++;
    server->counts.requests_open++;
    server->counts.subscriptions++;
    return STATUS_OK;
}

enum heard server_on_subscribe(struct server *server, struct peer *peer,
                               struct wire_message *message)
{
    struct subscription wish = {.outcomes = UINT32_MAX};
    struct problem problem = {0};
    bool fine = true;
    if (!read_wish(message, &wish, &fine))
        return HEARD_MALFORMED;
    enum status status = check_wish(server, peer, &wish, fine, &problem);
    if (status == STATUS_OK)
        status = subscribe(server, peer, &wish, &problem);
    if (status != STATUS_OK)
        out_error(server, peer, wish.id, status, problem.text,
                  status == STATUS_BUSY ? partition_busy_ms(server->partition) : 0);
    return HEARD;
}

/* To a subscription that is over it means nothing any more. */
enum heard server_on_credit(struct server *server, struct peer *peer, struct wire_message *message)
{
    uint64_t id, count;
    if (!wire_take_uint(message, &id) || !wire_take_uint(message, &count))
        return HEARD_MALFORMED;
    struct subscription *subscription = find(server, peer, id);
    if (subscription != NULL)
        subscription->credit =
            count > UINT64_MAX - subscription->credit ? UINT64_MAX : subscription->credit + count;
    return HEARD;
}

/* It is freed in the next turn. */
static void end_subscription(struct server *server, struct subscription *subscription)
{
    struct peer *peer = server_peer(server, subscription->connection);
    subscription->is_over = true;
    if (peer->stage == PEER_OPEN)
        peer->open_count--;
    server->counts.requests_open--;
    server->counts.subscriptions--;
    if (--server->watch.count == 0)
        partition_watch(server->partition, false);
}

enum heard server_on_unsubscribe(struct server *server, struct peer *peer,
                                 struct wire_message *message)
{
    uint64_t id;
    if (!wire_take_uint(message, &id))
        return HEARD_MALFORMED;
    struct subscription *subscription = find(server, peer, id);
    if (subscription != NULL)
        end_subscription(server, subscription);
    return HEARD;
}

void watch_drop_all(struct server *server, const struct peer *peer)
{
    for (struct subscription *at = server->watch.subscriptions; at != NULL; at = at->next_of_all)
        if (!at->is_over && at->connection == peer->connection)
            end_subscription(server, at);
}

void server_close_watch(struct server *server)
{
    while (server->watch.subscriptions != NULL) {
        struct subscription *subscription = server->watch.subscriptions;
        server->watch.subscriptions = subscription->next_of_all;
        free(subscription);
    }
    free(server->watch.ring);
}
