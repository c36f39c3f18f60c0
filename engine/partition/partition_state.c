#include "engine/partition/partition_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/region.h"

enum status partition_state_open(struct partition_state **ret_state)
{
    struct partition_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return STATUS_NO_MEMORY;
    state->definitions = calloc(CORE_PLANS_MAX, sizeof *state->definitions);
    state->routes = calloc(CORE_PLANS_MAX, sizeof *state->routes);
    if (state->definitions == NULL || state->routes == NULL) {
        partition_state_close(state);
        return STATUS_NO_MEMORY;
    }
    *ret_state = state;
    return STATUS_OK;
}

void partition_state_close(struct partition_state *state)
{
    if (state == NULL)
        return;
    for (uint32_t i = 0; state->core != NULL && i < core_plans_count(state->core); i++) {
        free(state->routes[i]);
        free(state->definitions[i].text);
    }
    core_close(state->core);
    for (uint32_t i = 0; i < state->services_count; i++)
        tables_close(state->services[i].tables);
    free(state->routes);
    free(state->definitions);
    region_unmap(state->effects.items,
                 (uint64_t)state->effects.capacity_max * sizeof *state->effects.items);
    free(state);
}

static uint64_t hash_definition(const char *name, const char *text, size_t text_bytes)
{
    return XXH3_64bits_withSeed(text, text_bytes, XXH3_64bits(name, strlen(name)));
}

#define EFFECTS_CAPACITY_FIRST 8192u

/* Effects that wait at the same time: an invocation or a timer a branch, and the replies of the
 * sagas that ended; admission stops at half of it. */
static uint32_t effects_capacity(uint32_t branches_max)
{
    uint32_t capacity = EFFECTS_CAPACITY_FIRST;
    while (capacity / 4 < branches_max)
        capacity *= 2;
    return capacity;
}

enum status partition_state_take_core(struct partition_state *state, struct core *core)
{
    assert(state->core == NULL);
    state->core = core;
    state->effects.capacity_max = effects_capacity(core_branches_max(core));
    state->effects.capacity = EFFECTS_CAPACITY_FIRST;
    state->effects.items = region_map(
        (uint64_t)state->effects.capacity_max * sizeof *state->effects.items, REGION_SCRATCH);
    return state->effects.items == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* Once stated they stay, but for how long names are kept. */
static enum status restate_limits(struct partition_state *state, const struct core_limits *limits,
                                  struct problem *problem)
{
    struct core_limits known = core_limits(state->core);
    if (limits->sagas_max != known.sagas_max ||
        limits->payload_bytes_max != known.payload_bytes_max || limits->seed != known.seed ||
        limits->names_max != known.names_max)
        return problem_set(problem, STATUS_CORRUPT,
                           "the journal states its limits again, and differently");
    core_set_name_retention(state->core, limits->name_retention_ms);
    return STATUS_OK;
}

static enum status on_limits(struct partition_state *state, const struct event *event,
                             struct problem *problem)
{
    struct core_limits limits = {
        .sagas_max = event->limits.sagas_max,
        .payload_bytes_max = event->limits.payload_bytes_max,
        .seed = event->limits.seed,
        .names_max = event->limits.names_max,
        .name_retention_ms = event->limits.name_retention_ms,
    };
    if (state->core != NULL)
        return restate_limits(state, &limits, problem);
    struct core *core;
    enum status status = core_open(&limits, &core);
    if (status != STATUS_OK)
        return problem_set(problem, status,
                           "the limits of %u sagas and %" PRIu64 " payload bytes cannot be had: %s",
                           limits.sagas_max, limits.payload_bytes_max, status_text(status));
    return partition_state_take_core(state, core);
}

static enum status on_service(struct partition_state *state, const struct event *event,
                              struct problem *problem)
{
    char name[FLYOVER_NAME_BYTES_MAX + 1] = {0};
    if (event->service.name.count == 0 || event->service.name.count > FLYOVER_NAME_BYTES_MAX)
        return problem_set(problem, STATUS_CORRUPT, "a service in the journal has no valid name");
    memcpy(name, event->service.name.at, event->service.name.count);
    uint32_t index = partition_state_find_service(state, name);
    enum status status;
    if (index < PARTITION_SERVICES_MAX) {
        status = tables_redeclare(state->services[index].tables, event->service.tables,
                                  event->service.tables_count);
    } else if (state->services_count == PARTITION_SERVICES_MAX) {
        status = STATUS_TOO_LARGE;
    } else {
        struct partition_service *service = &state->services[state->services_count];
        status = tables_open(event->service.tables, event->service.tables_count, &service->tables);
        if (status == STATUS_OK) {
            memcpy(service->name, name, sizeof name);
            state->services_count++;
        }
    }
    if (status != STATUS_OK)
        return problem_set(problem, status, "the tables of service '%s' cannot be had: %s", name,
                           status_text(status));
    return STATUS_OK;
}

/* Which service each resource of the plan belongs to. Returns owned. */
static enum status make_routes(const struct partition_state *state, const struct plan *plan,
                               uint8_t **ret_routes, struct problem *problem)
{
    uint8_t *routes = calloc(plan->resources_count + 1, 1);
    if (routes == NULL)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < plan->resources_count; i++) {
        uint32_t service = partition_state_find_service(state, plan->resources[i].service);
        if (service == PARTITION_SERVICES_MAX) {
            free(routes);
            return problem_set(problem, STATUS_CORRUPT,
                               "definition '%s' names service '%s', which the journal does not "
                               "declare",
                               plan->name, plan->resources[i].service);
        }
        routes[i] = (uint8_t)service;
    }
    *ret_routes = routes;
    return STATUS_OK;
}

static enum status on_definition(struct partition_state *state, const struct core_moment *moment,
                                 const struct event *event, struct problem *problem)
{
    char name[FLYOVER_NAME_BYTES_MAX + 1] = {0};
    if (event->definition.name.count > FLYOVER_NAME_BYTES_MAX)
        return problem_set(problem, STATUS_CORRUPT,
                           "a definition in the journal has no valid name");
    memcpy(name, event->definition.name.at, event->definition.name.count);
    if (core_plans_count(state->core) == CORE_PLANS_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "there are %u definitions already, and no room for more",
                           CORE_PLANS_MAX);
    const char *text = (const char *)event->definition.text.at;
    struct plan *plan;
    enum status status =
        plan_compile(name, name, text, event->definition.text.count, &plan, problem);
    if (status != STATUS_OK)
        return status;
    uint8_t *routes = NULL;
    char *kept = malloc(event->definition.text.count + 1);
    status = kept == NULL ? STATUS_NO_MEMORY : make_routes(state, plan, &routes, problem);
    if (status != STATUS_OK) {
        free(kept);
        plan_free(plan);
        return status;
    }
    memcpy(kept, text, event->definition.text.count);
    uint32_t before = partition_state_find_plan(state, name);
    state->names_count += before == PARTITION_NO_PLAN;
    uint32_t index = core_add_plan(state->core, plan);
    state->routes[index] = routes;
    state->definitions[index] = (struct partition_definition){
        .hash = hash_definition(name, text, event->definition.text.count),
        .version = before == PARTITION_NO_PLAN ? 1 : state->definitions[before].version + 1,
        .before = before,
        .made = *moment,
        .text = kept,
        .text_bytes = event->definition.text.count,
    };
    return STATUS_OK;
}

/* A replay makes the writes that the worker made when the engine ran. */
static enum status replay_writes(struct partition_state *state, const struct event *event,
                                 struct problem *problem)
{
    struct core_branch_view view;
    if (!core_view_branch(state->core, event->result.branch, &view) ||
        transitions[view.phase][TRIGGER_RESULT].next == PHASE_FREE || event->result.by_token)
        return problem_set(problem, STATUS_CORRUPT,
                           "a step result in the journal belongs to no step that was waiting");
    struct core_invocation call;
    core_invocation(state->core, event->result.branch, &call);
    struct partition_service *service = &state->services[state->routes[call.plan][call.resource]];
    enum status status = tables_apply(service->tables, event->result.writes);
    if (status != STATUS_OK)
        return problem_set(problem, status, "the writes of a step of service '%s' do not fit: %s",
                           service->name, status_text(status));
    return STATUS_OK;
}

enum status partition_state_apply(struct partition_state *state, const struct core_moment *moment,
                                  const struct event *event, uint64_t token, enum apply_by by,
                                  uint64_t *ret_saga_id, struct problem *problem)
{
    if (event->kind == EVENT_LIMITS)
        return on_limits(state, event, problem);
    if (state->core == NULL)
        return problem_set(problem, STATUS_CORRUPT, "the journal does not begin with its limits");
    if (event->kind == EVENT_SERVICE)
        return on_service(state, event, problem);
    if (event->kind == EVENT_DEFINITION)
        return on_definition(state, moment, event, problem);
    if (by == APPLY_REPLAY && event->kind == EVENT_RESULT && event->result.writes.count > 0) {
        enum status status = replay_writes(state, event, problem);
        if (status != STATUS_OK)
            return status;
    }
    enum status status =
        core_apply(state->core, moment, event, token, &state->effects, ret_saga_id);
    if (status != STATUS_OK)
        return problem_set(problem, STATUS_CORRUPT, "an event (%s) does not fit the state",
                           event_kind_text(event->kind));
    return STATUS_OK;
}

enum status partition_state_replay(struct partition_state *state, const struct block_header *header,
                                   const uint8_t *body, partition_on_event on_event, void *context,
                                   struct problem *problem)
{
    const uint8_t *at = body;
    const uint8_t *end = body + header->body_bytes;
    const struct core_moment moment = {header->now_ms, header->block_no};
    struct event event;
    for (uint32_t i = 0; i < header->record_count; i++) {
        at = event_decode(at, end, &event);
        if (at == NULL)
            return problem_set(problem, STATUS_CORRUPT,
                               "block %" PRIu64 ": record %u of %u cannot be read",
                               header->block_no, i + 1, header->record_count);
        if (on_event != NULL)
            on_event(context, PARTITION_BEFORE_EVENT, header, state, &event);
        struct problem inner = {0};
        enum status status =
            partition_state_apply(state, &moment, &event, 0, APPLY_REPLAY, NULL, &inner);
        if (status != STATUS_OK)
            return problem_set(problem, status, "block %" PRIu64 ", record %u: %s",
                               header->block_no, i + 1,
                               inner.text[0] != '\0' ? inner.text : status_text(status));
        if (on_event != NULL)
            on_event(context, PARTITION_AFTER_EVENT, header, state, &event);
        state->effects.head = state->effects.tail;
    }
    if (at != end)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 ": bytes are left after its last record",
                           header->block_no);
    return STATUS_OK;
}

uint32_t partition_state_find_plan(const struct partition_state *state, const char *name)
{
    uint32_t count = state->core == NULL ? 0 : core_plans_count(state->core);
    while (count-- > 0)
        if (strcmp(core_plan(state->core, count)->name, name) == 0)
            return count;
    return PARTITION_NO_PLAN;
}

uint32_t partition_state_find_version(const struct partition_state *state, const char *name,
                                      uint32_t version)
{
    uint32_t count = state->core == NULL ? 0 : core_plans_count(state->core);
    while (count-- > 0)
        if (state->definitions[count].version == version &&
            strcmp(core_plan(state->core, count)->name, name) == 0)
            return count;
    return PARTITION_NO_PLAN;
}

uint32_t partition_state_find_definition(const struct partition_state *state, const char *name,
                                         const char *text, size_t text_bytes)
{
    uint64_t hash = hash_definition(name, text, text_bytes);
    uint32_t count = state->core == NULL ? 0 : core_plans_count(state->core);
    while (count-- > 0)
        if (state->definitions[count].hash == hash)
            return count;
    return PARTITION_NO_PLAN;
}

uint32_t partition_state_definition_live(const struct partition_state *state, uint32_t plan)
{
    /* Newer versions too: start from the newest. */
    const char *name = core_plan(state->core, plan)->name;
    uint32_t live = 0;
    for (uint32_t at = partition_state_find_plan(state, name); at != PARTITION_NO_PLAN;
         at = state->definitions[at].before)
        live += core_plan_live(state->core, at);
    return live;
}

uint32_t partition_state_find_service(const struct partition_state *state, const char *name)
{
    for (uint32_t i = 0; i < state->services_count; i++)
        if (strcmp(state->services[i].name, name) == 0)
            return i;
    return PARTITION_SERVICES_MAX;
}

void partition_state_digest(const struct partition_state *state,
                            char ret_digest[PARTITION_DIGEST_BYTES])
{
    struct core_digest core = {0};
    if (state->core != NULL)
        core = core_digest(state->core);
    uint64_t low = core.low;
    for (uint32_t i = 0; i < state->services_count; i++) {
        const struct partition_service *service = &state->services[i];
        low = XXH3_64bits_withSeed(service->name, strlen(service->name), low);
        uint64_t digest = tables_digest(service->tables);
        low = XXH3_64bits_withSeed(&digest, sizeof digest, low);
    }
    snprintf(ret_digest, PARTITION_DIGEST_BYTES, "%016" PRIx64 "%016" PRIx64, core.high, low);
}
