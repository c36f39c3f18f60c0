#include "engine/admin/saga_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/admin/admin.h"
#include "engine/history/history.h"
#include "engine/saga/effect.h"

/* Calls of history_list, each of which reads no more than HISTORY_SCAN_BYTES_MAX, for one page. */
#define LOOKS_MAX 16u

struct listing {
    const struct asker *asker;
    const json_t *request;
    json_t *rows;
    size_t limit;
    bool wants_live, wants_ended;
    uint32_t outcomes; /* bit by bit */
    int64_t started_from_ms, started_before_ms;
    uint64_t before_id; /* where the live ones go on; 0: at the newest */
    struct history_cursor ended;
    bool has_more_live, has_more_ended;
};

/* ---- what is asked for ----------------------------------------------------------------------- */

static enum status read_state(struct listing *listing, struct problem *problem)
{
    const char *state = json_string_value(json_object_get(listing->request, "state"));
    listing->wants_live = listing->wants_ended = state == NULL;
    if (state == NULL)
        return STATUS_OK;
    listing->wants_live = strcmp(state, "LIVE") == 0;
    listing->wants_ended = strcmp(state, "ENDED") == 0;
    for (enum admin_state live = 0; live < ADMIN_STATES_COUNT; live++)
        listing->wants_live |= strcmp(state, admin_state_text(live)) == 0;
    for (enum outcome outcome = OUTCOME_SUCCEEDED; outcome <= OUTCOME_ABORTED; outcome++)
        if (outcome != OUTCOME_STUCK && strcmp(state, outcome_text(outcome)) == 0) {
            listing->outcomes = 1u << outcome;
            listing->wants_ended = true;
        }
    if (listing->wants_live || listing->wants_ended)
        return STATUS_OK;
    return problem_set(problem, STATUS_INVALID,
                       "the state of a saga is one of RUNNING, SLEEPING, AWAITING, COMPENSATING, "
                       "STUCK, ENDING (all of them: LIVE), SUCCEEDED, FAILED, COMPENSATED, ABORTED "
                       "(all of them: ENDED)");
}

static enum status read_cursor(struct listing *listing, const char *cursor, struct problem *problem)
{
    int read = 0;
    listing->ended = HISTORY_CURSOR_NEWEST;
    if (cursor == NULL)
        return STATUS_OK;
    if (sscanf(cursor, "live:%" SCNu64 "%n", &listing->before_id, &read) == 1 && read > 0 &&
        cursor[read] == '\0' && listing->before_id > 0 && listing->before_id <= INT64_MAX)
        return STATUS_OK;
    if (sscanf(cursor, "ended:%" SCNu64 ".%" SCNu64 "%n", &listing->ended.block_no,
               &listing->ended.index, &read) == 2 &&
        cursor[read] == '\0') {
        listing->wants_live = false;
        return STATUS_OK;
    }
    return problem_set(problem, STATUS_INVALID,
                       "'%.80s' is no cursor: the page before ends with the one to go on with",
                       cursor);
}

static enum status read_request(struct listing *listing, const char *cursor,
                                struct problem *problem)
{
    int64_t limit = ADMIN_LIMIT_DEFAULT;
    listing->started_before_ms = INT64_MAX;
    enum status status = read_state(listing, problem);
    if (status == STATUS_OK)
        status = read_cursor(listing, cursor, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(listing->request, "limit", 1, ADMIN_LIMIT_MAX, &limit, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(listing->request, "started_from_ms", 0, INT64_MAX,
                                    &listing->started_from_ms, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(listing->request, "started_before_ms", 0, INT64_MAX,
                                    &listing->started_before_ms, problem);
    listing->limit = (size_t)limit;
    return status;
}

/* ---- the live ones --------------------------------------------------------------------------- */

/* The names stand in the index alone. */
static void add_names(const struct listing *listing, struct history *history)
{
    size_t index;
    json_t *row;
    struct history_saga saga;
    json_array_foreach(listing->rows, index, row)
    {
        uint64_t saga_id = (uint64_t)json_integer_value(json_object_get(row, "saga"));
        if (history_find(history, saga_id, &saga, NULL) == STATUS_OK && saga.name_bytes > 0)
            json_object_set_new(row, "name", json_stringn(saga.name, saga.name_bytes));
    }
}

static enum status list_live(struct listing *listing, bool *ret_refused, struct problem *problem)
{
    json_t *request = json_copy((json_t *)(uintptr_t)listing->request);
    const char *state = json_string_value(json_object_get(request, "state"));
    json_t *reply = NULL;
    if (state != NULL && strcmp(state, "LIVE") == 0)
        json_object_del(request, "state");
    if (listing->before_id > 0)
        json_object_set_new(request, "before", json_integer((json_int_t)listing->before_id));
    enum status status = asker_ask(listing->asker, request, &reply, ret_refused, problem);
    json_decref(request);
    if (status != STATUS_OK)
        return status;
    json_array_extend(listing->rows, json_object_get(reply, "sagas"));
    const json_t *before = json_object_get(reply, "before");
    listing->has_more_live = before != NULL;
    if (before != NULL)
        listing->before_id = (uint64_t)json_integer_value(before);
    json_decref(reply);
    return STATUS_OK;
}

/* ---- those that have ended ------------------------------------------------------------------- */

static bool is_listed(const struct listing *listing, uint64_t saga_id)
{
    size_t index;
    json_t *row;
    json_array_foreach(listing->rows, index, row) if ((uint64_t)json_integer_value(json_object_get(
                                                          row, "saga")) == saga_id) return true;
    return false;
}

static void visit(const struct history_entry *entry, void *context)
{
    struct listing *listing = context;
    if (entry->started_ms < listing->started_from_ms ||
        entry->started_ms >= listing->started_before_ms || is_listed(listing, entry->saga_id))
        return;
    json_t *row = json_pack(
        "{s:I, s:s, s:i, s:s, s:I, s:I, s:i}", "saga", (json_int_t)entry->saga_id, "definition",
        entry->definition, "version", (int)entry->version, "state",
        outcome_text((enum outcome)entry->outcome), "started_ms", (json_int_t)entry->started_ms,
        "ended_ms", (json_int_t)entry->ended_ms, "step", (int)entry->steps_count);
    if (entry->error_name[0] != '\0')
        json_object_set_new(row, "error", json_string(entry->error_name));
    if (entry->name_bytes > 0)
        json_object_set_new(row, "name", json_stringn(entry->name, entry->name_bytes));
    if (entry->redrive_of > 0)
        json_object_set_new(row, "redrive_of", json_integer((json_int_t)entry->redrive_of));
    json_array_append_new(listing->rows, row);
}

static enum status list_ended(struct listing *listing, struct history *history,
                              struct problem *problem)
{
    const json_t *request = listing->request;
    struct history_filter filter = {
        .outcomes = listing->outcomes,
        .definition = json_string_value(json_object_get(request, "definition")),
        .version = (uint32_t)json_integer_value(json_object_get(request, "version")),
        .ended_from_ms = listing->started_from_ms, /* none ends before it starts */
        .name = json_string_value(json_object_get(request, "name")),
        .error = json_string_value(json_object_get(request, "error")),
        .with_names = true,
    };
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < LOOKS_MAX && status == STATUS_OK && !listing->ended.is_at_end &&
                         json_array_size(listing->rows) < listing->limit;
         i++)
        status = history_list(history, &filter, &listing->ended,
                              (uint32_t)(listing->limit - json_array_size(listing->rows)), visit,
                              listing, problem);
    listing->has_more_ended = !listing->ended.is_at_end;
    return status;
}

/* ---- both ------------------------------------------------------------------------------------ */

static json_t *make_reply(const struct listing *listing)
{
    json_t *reply = json_pack("{s:O}", "sagas", listing->rows);
    if (listing->has_more_live)
        json_object_set_new(reply, "cursor", json_sprintf("live:%" PRIu64, listing->before_id));
    else if (listing->has_more_ended)
        json_object_set_new(reply, "cursor",
                            json_sprintf("ended:%" PRIu64 ".%" PRIu64, listing->ended.block_no,
                                         listing->ended.index));
    return reply;
}

static enum status list_both(struct listing *listing, bool *ret_refused, struct problem *problem)
{
    struct history *history = NULL;
    enum status status = STATUS_OK;
    if (listing->wants_live)
        status = list_live(listing, ret_refused, problem);
    if (status == STATUS_OK)
        status = history_open(listing->asker->directory, &history, problem);
    if (status == STATUS_OK)
        add_names(listing, history);
    if (status == STATUS_OK && listing->wants_ended && !listing->has_more_live)
        status = list_ended(listing, history, problem);
    history_close(history);
    return status;
}

enum status saga_list(const struct asker *asker, json_t *request, const char *cursor,
                      json_t **ret_reply, bool *ret_refused, struct problem *problem)
{
    struct listing listing = {.asker = asker, .request = request, .rows = json_array()};
    *ret_refused = false;
    enum status status = read_request(&listing, cursor, problem);
    if (status != STATUS_OK)
        *ret_refused = true;
    else
        status = list_both(&listing, ret_refused, problem);
    if (status == STATUS_OK)
        *ret_reply = make_reply(&listing);
    json_decref(listing.rows);
    return status;
}
