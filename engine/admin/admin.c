#include "engine/admin/admin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/saga/value_json.h"

const char *admin_state_text(enum admin_state state)
{
    static const char *const texts[] = {"RUNNING",      "SLEEPING", "AWAITING",
                                        "COMPENSATING", "STUCK",    "ENDING"};
    assert(state < ADMIN_STATES_COUNT);
    return texts[state];
}

json_t *admin_refusal(const struct problem *problem)
{
    const char *text = problem->text[0] != '\0' ? problem->text : status_text(problem->status);
    json_t *refusal =
        json_pack("{s:s, s:s}", "error", status_name(problem->status), "message", text);
    /* A sentence that was cut within a character. */
    if (refusal == NULL)
        refusal = json_pack("{s:s, s:s}", "error", status_name(problem->status), "message",
                            status_text(problem->status));
    return refusal;
}

enum status admin_check_reply(json_t *reply, json_t **ret_reply, bool *ret_refused,
                              struct problem *problem)
{
    const char *error = json_string_value(json_object_get(reply, "error"));
    const char *message = json_string_value(json_object_get(reply, "message"));
    if (error == NULL || message == NULL) {
        *ret_reply = reply;
        return STATUS_OK;
    }
    enum status status = problem_set(problem, status_find(error), "%s", message);
    *ret_refused = status != STATUS_IN_USE;
    json_decref(reply);
    return status;
}

/* ---- fields ----------------------------------------------------------------------------------
 */

enum status admin_read_text(const json_t *request, const char *key, struct flyover_bytes *ret_text,
                            struct problem *problem)
{
    const json_t *member = json_object_get(request, key);
    if (member == NULL)
        return STATUS_OK;
    if (!json_is_string(member))
        return problem_set(problem, STATUS_INVALID, "\"%s\" has to be a text", key);
    *ret_text = (struct flyover_bytes){(const uint8_t *)json_string_value(member),
                                       (uint32_t)json_string_length(member)};
    return STATUS_OK;
}

enum status admin_read_integer(const json_t *request, const char *key, int64_t min, int64_t max,
                               int64_t *ret_value, struct problem *problem)
{
    const json_t *member = json_object_get(request, key);
    if (member == NULL)
        return STATUS_OK;
    if (!json_is_integer(member) || json_integer_value(member) < min ||
        json_integer_value(member) > max)
        return problem_set(problem, STATUS_INVALID,
                           "\"%s\" has to be an integer from %" PRId64 " to %" PRId64, key, min,
                           max);
    *ret_value = json_integer_value(member);
    return STATUS_OK;
}

static enum status read_payload(const json_t *request, const char *key,
                                struct flyover_bytes *ret_payload, struct problem *problem)
{
    /* The engine's thread is the only one here, and an event copies what it needs of it. */
    static uint8_t payload[FLYOVER_PAYLOAD_BYTES_MAX];
    const json_t *member = json_object_get(request, key);
    if (member == NULL)
        return STATUS_OK;
    size_t bytes;
    enum status status = value_from_json(member, payload, sizeof payload, &bytes);
    if (status != STATUS_OK)
        return problem_set(problem, status, "the %s is larger than %u bytes or more than %u deep",
                           key, FLYOVER_PAYLOAD_BYTES_MAX, FLYOVER_DEPTH_MAX);
    *ret_payload = (struct flyover_bytes){payload, (uint32_t)bytes};
    return STATUS_OK;
}

enum status admin_read_saga(const json_t *request, const struct partition *partition,
                            uint64_t *ret_saga_id, struct problem *problem)
{
    const struct core *core = partition_state(partition)->core;
    struct flyover_bytes name = {0};
    int64_t saga_id = 0;
    enum status status = admin_read_integer(request, "saga", 1, INT64_MAX, &saga_id, problem);
    if (status == STATUS_OK)
        status = admin_read_text(request, "name", &name, problem);
    if (status != STATUS_OK)
        return status;
    if ((saga_id == 0) == (name.at == NULL))
        return problem_set(problem, STATUS_INVALID,
                           "say which saga: by its id, or by the name it was started under");
    if (saga_id == 0) {
        saga_id = (int64_t)core_find_name(core, name, clock_wall_ms());
        if (saga_id == 0)
            return problem_set(problem, STATUS_NOT_FOUND,
                               "no saga is known by the name '%.*s%s': names are kept for %" PRIu64
                               " hours, and while their sagas run",
                               (int)(name.count < 80 ? name.count : 80), (const char *)name.at,
                               name.count < 80 ? "" : "...",
                               core_limits(core).name_retention_ms / 3600000);
    }
    *ret_saga_id = (uint64_t)saga_id;
    return STATUS_OK;
}

static enum status refuse_plan(const struct partition_state *state, const char *name,
                               int64_t version, struct problem *problem)
{
    uint32_t newest = partition_state_find_plan(state, name);
    if (newest != PARTITION_NO_PLAN)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "there is no version %" PRId64 " of definition '%s': there are 1 to %u",
                           version, name, state->definitions[newest].version);
    char known[512] = "none yet, `flyover run` brings one in";
    size_t used = 0;
    for (uint32_t i = 0; i < core_plans_count(state->core) && used < sizeof known; i++)
        if (state->definitions[i].version == 1)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                     used > 0 ? ", " : "", core_plan(state->core, i)->name);
    return problem_set(problem, STATUS_NOT_FOUND,
                       "there is no definition '%.80s' in this data directory; there are: %s", name,
                       known);
}

enum status admin_read_plan(const json_t *request, const struct partition *partition,
                            uint32_t *ret_plan, struct problem *problem)
{
    const struct partition_state *state = partition_state(partition);
    struct flyover_bytes name = {0};
    int64_t version = 0;
    enum status status = admin_read_text(request, "definition", &name, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(request, "version", 1, CORE_PLANS_MAX, &version, problem);
    if (status != STATUS_OK)
        return status;
    if (name.count == 0)
        return problem_set(problem, STATUS_INVALID, "say which definition");
    const char *text = (const char *)name.at;
    uint32_t plan = version == 0 ? partition_state_find_plan(state, text)
                                 : partition_state_find_version(state, text, (uint32_t)version);
    if (plan == PARTITION_NO_PLAN)
        return refuse_plan(state, text, version, problem);
    *ret_plan = plan;
    return STATUS_OK;
}

/* ---- what changes something ------------------------------------------------------------------
 */

static enum status accept(struct admin_job *job, const struct partition *partition, json_t *reply)
{
    job->block_no = partition_pending_no(partition);
    job->reply = reply;
    return STATUS_OK;
}

static enum status accept_saga(struct admin_job *job, const struct partition *partition,
                               uint64_t saga_id)
{
    return accept(job, partition, json_pack("{s:I}", "saga", (json_int_t)saga_id));
}

/* "low", "normal", "high". */
static enum status read_priority(const json_t *request, enum partition_priority *ret_priority,
                                 struct problem *problem)
{
    static const struct {
        const char *name;
        enum partition_priority priority;
    } priorities[] = {{"low", PARTITION_PRIORITY_LOW},
                      {"normal", PARTITION_PRIORITY_NORMAL},
                      {"high", PARTITION_PRIORITY_HIGH}};
    const json_t *given = json_object_get(request, "priority");
    const char *text = json_string_value(given);
    if (given == NULL)
        return STATUS_OK;
    for (size_t i = 0; text != NULL && i < sizeof priorities / sizeof priorities[0]; i++)
        if (strcmp(text, priorities[i].name) == 0) {
            *ret_priority = priorities[i].priority;
            return STATUS_OK;
        }
    return problem_set(problem, STATUS_INVALID, "\"priority\" is low, normal or high");
}

static enum status admin_start(struct admin_job *job, struct partition *partition,
                               struct problem *problem)
{
    static const uint8_t empty_map[] = {0x80};
    struct partition_start_options options = {.input = {empty_map, sizeof empty_map}};
    uint64_t saga_id = 0;
    enum status status = admin_read_plan(job->request, partition, &options.plan, problem);
    if (status == STATUS_OK)
        status = read_payload(job->request, "input", &options.input, problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "name", &options.name, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(job->request, "at_ms", 0, INT64_MAX, &options.at_ms, problem);
    if (status == STATUS_OK)
        status = admin_read_integer(job->request, "deadline_ms", 0, INT64_MAX, &options.deadline_ms,
                                    problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "trace", &options.trace, problem);
    if (status == STATUS_OK)
        status = read_priority(job->request, &options.priority, problem);
    if (status == STATUS_OK && options.name.at != NULL && options.name.count == 0)
        status = problem_set(problem, STATUS_INVALID, "the name of a saga has 1 byte or more");
    if (status == STATUS_OK)
        status = partition_start_with(partition, &options, &saga_id, problem);
    if (status != STATUS_OK && status != STATUS_EXISTS)
        return status;
    return accept(
        job, partition,
        json_pack("{s:I, s:b}", "saga", (json_int_t)saga_id, "existed", status == STATUS_EXISTS));
}

static enum status admin_cancel(struct admin_job *job, struct partition *partition,
                                struct problem *problem)
{
    uint64_t saga_id;
    struct flyover_bytes reason = {0};
    const json_t *abort = json_object_get(job->request, "abort");
    if (abort != NULL && !json_is_boolean(abort))
        return problem_set(problem, STATUS_INVALID, "\"abort\" has to be true or false");
    enum status status = admin_read_saga(job->request, partition, &saga_id, problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "reason", &reason, problem);
    if (status == STATUS_OK)
        status = partition_cancel(partition, saga_id, json_is_true(abort), reason, problem);
    return status == STATUS_OK ? accept_saga(job, partition, saga_id) : status;
}

static enum status admin_signal(struct admin_job *job, struct partition *partition,
                                struct problem *problem)
{
    static const uint8_t nil[] = {0xc0};
    uint64_t saga_id;
    struct flyover_bytes name = {0};
    struct flyover_bytes payload = {nil, sizeof nil};
    enum status status = admin_read_saga(job->request, partition, &saga_id, problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "signal", &name, problem);
    if (status == STATUS_OK && name.count == 0)
        status = problem_set(problem, STATUS_INVALID, "say which signal");
    if (status == STATUS_OK)
        status = read_payload(job->request, "payload", &payload, problem);
    if (status == STATUS_OK)
        status = partition_signal(partition, saga_id, name, payload, problem);
    return status == STATUS_OK ? accept_saga(job, partition, saga_id) : status;
}

static enum status read_token(const json_t *request, const char **ret_token,
                              struct problem *problem)
{
    struct flyover_bytes token = {0};
    enum status status = admin_read_text(request, "token", &token, problem);
    if (status == STATUS_OK && token.count == 0)
        status = problem_set(problem, STATUS_INVALID,
                             "say which step: by the token that its handler was given");
    if (status == STATUS_OK)
        *ret_token = (const char *)token.at;
    return status;
}

/* A token begins with the id of its saga. */
static enum status accept_token(struct admin_job *job, const struct partition *partition,
                                const char *token)
{
    return accept_saga(job, partition, strtoull(token, NULL, 10));
}

static enum status admin_answer(struct admin_job *job, struct partition *partition,
                                struct problem *problem)
{
    static const uint8_t nil[] = {0xc0};
    const char *token = NULL;
    struct flyover_bytes output = {nil, sizeof nil};
    struct flyover_bytes name = {0};
    struct flyover_bytes cause = {0};
    enum status status = read_token(job->request, &token, problem);
    if (status == STATUS_OK)
        status = read_payload(job->request, "output", &output, problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "error", &name, problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "cause", &cause, problem);
    if (status != STATUS_OK)
        return status;
    if (name.at != NULL && json_object_get(job->request, "output") != NULL)
        return problem_set(problem, STATUS_INVALID,
                           "a step has an output or an error, and not both");
    if (name.at == NULL && cause.at != NULL)
        return problem_set(problem, STATUS_INVALID, "a cause needs the name of its error");
    status = name.at != NULL ? partition_answer_error(partition, token, name, cause, problem)
                             : partition_answer(partition, token, output, problem);
    return status == STATUS_OK ? accept_token(job, partition, token) : status;
}

static enum status admin_heartbeat(struct admin_job *job, struct partition *partition,
                                   struct problem *problem)
{
    const char *token = NULL;
    enum status status = read_token(job->request, &token, problem);
    if (status == STATUS_OK)
        status = partition_heartbeat(partition, token, problem);
    return status == STATUS_OK ? accept_token(job, partition, token) : status;
}

static enum status mend(struct admin_job *job, struct partition *partition, enum mend_action action,
                        struct problem *problem)
{
    uint64_t saga_id;
    struct flyover_bytes output = {0};
    struct flyover_bytes reason = {0};
    enum status status = admin_read_saga(job->request, partition, &saga_id, problem);
    if (status == STATUS_OK)
        status = read_payload(job->request, "output", &output, problem);
    if (status == STATUS_OK)
        status = admin_read_text(job->request, "reason", &reason, problem);
    if (status == STATUS_OK)
        status = partition_mend(partition, saga_id, action, output, reason, problem);
    return status == STATUS_OK ? accept_saga(job, partition, saga_id) : status;
}

static enum status admin_retry(struct admin_job *job, struct partition *partition,
                               struct problem *problem)
{
    return mend(job, partition, MEND_RETRY, problem);
}

static enum status admin_skip(struct admin_job *job, struct partition *partition,
                              struct problem *problem)
{
    return mend(job, partition, MEND_SKIP, problem);
}

static enum status admin_resolve(struct admin_job *job, struct partition *partition,
                                 struct problem *problem)
{
    return mend(job, partition, MEND_RESOLVE, problem);
}

static int digit_of(char text)
{
    if (text >= '0' && text <= '9')
        return text - '0';
    return text >= 'a' && text <= 'f' ? text - 'a' + 10 : -1;
}

/* Writes half as many bytes; false where it is not hexadecimal. */
static bool decode_digits(struct flyover_bytes text, uint8_t *out)
{
    for (uint32_t i = 0; i + 1 < text.count; i += 2) {
        int high = digit_of((char)text.at[i]);
        int low = digit_of((char)text.at[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return text.count % 2 == 0;
}

/* What the core trusts is checked here: every payload of it. */
static bool is_redrive(const uint8_t *bytes, size_t count, struct event *ret_event)
{
    if (event_decode(bytes, bytes + count, ret_event) != bytes + count ||
        ret_event->kind != EVENT_REDRIVE || !value_check(ret_event->redrive.payload, NULL))
        return false;
    const uint8_t *at = ret_event->redrive.steps.at;
    const uint8_t *end = at + ret_event->redrive.steps.count;
    for (uint32_t i = 0; i < ret_event->redrive.steps_count; i++) {
        struct event_step step;
        at = event_decode_step(at, end, &step);
        if (at == NULL || !value_check(step.input, NULL) ||
            (step.output.count > 0 && !value_check(step.output, NULL)))
            return false;
    }
    return true;
}

static enum status admin_redrive(struct admin_job *job, struct partition *partition,
                                 struct problem *problem)
{
    struct flyover_bytes text = {0};
    struct event event;
    uint64_t saga_id = 0;
    enum status status = admin_read_text(job->request, "event", &text, problem);
    if (status != STATUS_OK)
        return status;
    uint8_t *bytes = malloc(text.count / 2 + 1);
    if (bytes == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    if (!decode_digits(text, bytes) || !is_redrive(bytes, text.count / 2, &event))
        status = problem_set(problem, STATUS_INVALID,
                             "\"event\" has to be what a saga had done, in hexadecimal: `flyover "
                             "saga redrive` makes it");
    else
        status = partition_redrive(partition, &event, 0, &saga_id, problem);
    free(bytes);
    /* It does not fit its plan; nothing was written. */
    if (status == STATUS_CORRUPT)
        status = problem_set(problem, STATUS_INVALID,
                             "what the saga had done does not fit its definition");
    return status == STATUS_OK ? accept_saga(job, partition, saga_id) : status;
}

/* ---- requests --------------------------------------------------------------------------------
 */

static const struct verb {
    const char *name;
    enum status (*run)(struct admin_job *job, struct partition *partition, struct problem *problem);
    const char *fields; /* beside "do" */
} verbs[] = {
    {"start", admin_start, "definition version input name at_ms deadline_ms trace priority"},
    {"list", admin_list,
     "state definition version error name started_from_ms started_before_ms before limit"},
    {"show", admin_show, "saga name"},
    {"counts", admin_counts, ""},
    {"figures", admin_figures, ""},
    {"definitions", admin_definitions, ""},
    {"definition", admin_definition, "plan"},
    {"cancel", admin_cancel, "saga name abort reason"},
    {"signal", admin_signal, "saga name signal payload"},
    {"answer", admin_answer, "token output error cause"},
    {"heartbeat", admin_heartbeat, "token"},
    {"retry", admin_retry, "saga name reason"},
    {"skip", admin_skip, "saga name reason output"},
    {"resolve", admin_resolve, "saga name reason"},
    {"redrive", admin_redrive, "event"},
};
#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

static bool is_among(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += length)
        if (length > 0 && (at == words || at[-1] == ' ') &&
            (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static enum status find_verb(const json_t *request, const struct verb **ret_verb,
                             struct problem *problem)
{
    const char *name = json_string_value(json_object_get(request, "do"));
    char known[256];
    size_t used = 0;
    for (size_t i = 0; i < VERBS_COUNT; i++) {
        if (name != NULL && strcmp(verbs[i].name, name) == 0) {
            *ret_verb = &verbs[i];
            return STATUS_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 verbs[i].name);
    }
    return problem_set(problem, STATUS_INVALID,
                       "a request is a JSON object whose \"do\" is one of: %s", known);
}

static enum status run(struct admin_job *job, struct partition *partition, struct problem *problem)
{
    const struct verb *verb = NULL;
    enum status status = find_verb(job->request, &verb, problem);
    if (status != STATUS_OK)
        return status;
    const char *key;
    json_t *value;
    json_object_foreach(
        job->request, key,
        value) if (strcmp(key, "do") != 0 &&
                   !is_among(verb->fields,
                             key)) return problem_set(problem, STATUS_INVALID,
                                                      "%s knows no field \"%.80s\"; it knows: %s",
                                                      verb->name, key,
                                                      verb->fields[0] != '\0' ? verb->fields
                                                                              : "none");
    return verb->run(job, partition, problem);
}

void admin_begin(struct admin_job *job, json_t *request)
{
    *job = (struct admin_job){.request = request};
}

bool admin_turn(struct admin_job *job, struct partition *partition, bool *ret_worked)
{
    if (job->reply == NULL) {
        struct problem problem = {0};
        *ret_worked = true;
        enum status status = run(job, partition, &problem);
        if (status != STATUS_OK) {
            problem.status = status;
            job->block_no = 0;
            job->reply = admin_refusal(&problem);
        }
    }
    return job->reply != NULL && partition_durable_no(partition) >= job->block_no;
}

json_t *admin_end(struct admin_job *job)
{
    json_t *reply = job->reply;
    json_decref(job->request);
    free(job->scan);
    *job = (struct admin_job){0};
    return reply;
}
