#include "tests/saga/core_rig.h"

#include <jansson.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EFFECTS_CAPACITY = 16384, VALUES_COUNT = 8 };

static char *quoted(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    return copy;
}

/* ---- the core and its plans -------------------------------------------------------------------
 */

void rig_open(struct rig *rig, uint32_t sagas_max, uint64_t payload_bytes_max)
{
    const struct core_limits limits = {
        .sagas_max = sagas_max,
        .payload_bytes_max = payload_bytes_max,
        .seed = RIG_SEED,
        .names_max = RIG_NAMES_MAX,
        .name_retention_ms = RIG_NAME_RETENTION_MS,
    };
    *rig = (struct rig){.now_ms = 1000000, .effects = {.capacity = EFFECTS_CAPACITY}};
    rig->effects.items = calloc(EFFECTS_CAPACITY, sizeof *rig->effects.items);
    assert_non_null(rig->effects.items);
    assert_int_equal(core_open(&limits, &rig->core), STATUS_OK);
}

void rig_close(struct rig *rig)
{
    core_close(rig->core);
    free(rig->effects.items);
    for (uint32_t i = 0; i < rig->definitions_count; i++)
        free(rig->definitions[i]);
    *rig = (struct rig){0};
}

int rig_set_up(void **state)
{
    static struct rig rig;
    rig_open(&rig, 64, 16u << 20);
    *state = &rig;
    return 0;
}

int rig_tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

static uint32_t compile(struct core *core, const char *text)
{
    struct plan *plan = NULL;
    struct problem problem = {.text = ""};
    enum status status = plan_compile("test", "test", text, strlen(text), &plan, &problem);
    if (status != STATUS_OK)
        fail_msg("%s\n%s", problem.text, text);
    return core_add_plan(core, plan);
}

uint32_t rig_add(struct rig *rig, const char *definition)
{
    assert_in_range(rig->definitions_count, 0, RIG_PLANS_MAX - 1);
    char *text = quoted(definition);
    rig->definitions[rig->definitions_count++] = text;
    return compile(rig->core, text);
}

/* ---- restart ----------------------------------------------------------------------------------
 */

static struct core *copy_of(const struct rig *rig)
{
    static struct image image;
    struct core *copy = NULL;
    int file = memfd_create("core", 0);
    assert_true(file >= 0);
    image_init(&image, file);
    core_write_image(rig->core, &image);
    assert_int_equal(image_finish_write(&image), STATUS_OK);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    image_init(&image, file);
    assert_int_equal(core_read_image(&image, &copy), STATUS_OK);
    assert_int_equal(image_finish_read(&image), STATUS_OK);
    close(file);
    for (uint32_t i = 0; i < rig->definitions_count; i++)
        compile(copy, rig->definitions[i]);
    assert_true(rig_same(core_digest(rig->core), core_digest(copy)));
    return copy;
}

void rig_restart(struct rig *rig)
{
    struct core *copy = copy_of(rig);
    core_close(rig->core);
    rig->core = copy;
}

void rig_open_twin(struct rig *rig, struct rig *ret_twin)
{
    *ret_twin = (struct rig){.now_ms = rig->now_ms,
                             .block_no = rig->block_no,
                             .effects = {.capacity = EFFECTS_CAPACITY},
                             .core = copy_of(rig)};
    ret_twin->effects.items = calloc(EFFECTS_CAPACITY, sizeof *ret_twin->effects.items);
    assert_non_null(ret_twin->effects.items);
}

/* ---- payloads ---------------------------------------------------------------------------------
 */

static msgpack_sbuffer *next_buffer(void)
{
    static msgpack_sbuffer buffers[VALUES_COUNT];
    static uint32_t turn;
    msgpack_sbuffer *buffer = &buffers[turn++ % VALUES_COUNT];
    msgpack_sbuffer_destroy(buffer);
    msgpack_sbuffer_init(buffer);
    return buffer;
}

static void pack(msgpack_packer *packer, json_t *json)
{
    const char *key;
    json_t *element;
    size_t index;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        msgpack_pack_map(packer, json_object_size(json));
        json_object_foreach(json, key, element)
        {
            msgpack_pack_str_with_body(packer, key, strlen(key));
            pack(packer, element);
        }
        break;
    case JSON_ARRAY:
        msgpack_pack_array(packer, json_array_size(json));
        for (index = 0; index < json_array_size(json); index++)
            pack(packer, json_array_get(json, index));
        break;
    case JSON_STRING:
        msgpack_pack_str_with_body(packer, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER: msgpack_pack_int64(packer, json_integer_value(json)); break;
    case JSON_REAL: msgpack_pack_double(packer, json_real_value(json)); break;
    case JSON_TRUE: msgpack_pack_true(packer); break;
    case JSON_FALSE: msgpack_pack_false(packer); break;
    case JSON_NULL: msgpack_pack_nil(packer); break;
    }
}

struct flyover_bytes rig_value(const char *json)
{
    char *text = quoted(json);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    free(text);
    if (value == NULL)
        fail_msg("not JSON: %s", json);
    msgpack_sbuffer *buffer = next_buffer();
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write);
    pack(&packer, value);
    json_decref(value);
    return (struct flyover_bytes){(const uint8_t *)buffer->data, (uint32_t)buffer->size};
}

struct flyover_bytes rig_large_value(uint32_t bytes)
{
    static uint8_t value[FLYOVER_PAYLOAD_BYTES_MAX + 1];
    assert_in_range(bytes, 5, sizeof value);
    uint32_t body_bytes = bytes - 5;
    memset(value, 'x', sizeof value);
    value[0] = 0xdb; /* str 32 */
    for (uint32_t i = 0; i < 4; i++)
        value[1 + i] = (uint8_t)(body_bytes >> (24 - 8 * i));
    return (struct flyover_bytes){value, bytes};
}

void rig_assert_value(struct flyover_bytes value, const char *json)
{
    static char text[4096];
    char *wanted = quoted(json);
    value_print(value, text, sizeof text);
    assert_string_equal(text, wanted);
    free(wanted);
}

/* ---- events in --------------------------------------------------------------------------------
 */

enum status rig_apply(struct rig *rig, const struct event *event)
{
    const struct core_moment moment = {rig->now_ms, rig->block_no};
    return core_apply(rig->core, &moment, event, RIG_TOKEN, &rig->effects, &rig->saga_id);
}

static void apply(struct rig *rig, const struct event *event)
{
    assert_int_equal(rig_apply(rig, event), STATUS_OK);
}

void rig_start(struct rig *rig, uint32_t plan, struct flyover_bytes input)
{
    struct event event = {.kind = EVENT_START,
                          .start = {.plan = plan, .source = EVENT_NO_SOURCE, .input = input}};
    apply(rig, &event);
}

bool rig_result_bytes(struct rig *rig, struct effect invoke, struct flyover_bytes output)
{
    if (!core_expects(rig->core, invoke.branch, invoke.generation))
        return false;
    struct event event = {.kind = EVENT_RESULT,
                          .result = {.branch = invoke.branch, .output = output}};
    apply(rig, &event);
    return true;
}

bool rig_result(struct rig *rig, struct effect invoke, const char *output)
{
    struct flyover_bytes nil = {0};
    return rig_result_bytes(rig, invoke, output == NULL ? nil : rig_value(output));
}

bool rig_error(struct rig *rig, struct effect invoke, const char *name, bool retryable)
{
    if (!core_expects(rig->core, invoke.branch, invoke.generation))
        return false;
    struct event event = {
        .kind = EVENT_ERROR,
        .error = {.branch = invoke.branch,
                  .retryable = retryable,
                  .name = {(const uint8_t *)name, (uint32_t)strlen(name)},
                  .cause = {(const uint8_t *)"why", 3}},
    };
    apply(rig, &event);
    return true;
}

int64_t rig_due_ms(const struct rig *rig, struct effect timer)
{
    bool same = rig->core->branches[timer.branch].generation == timer.generation;
    return same ? core_due_ms(rig->core, timer.branch) : -1;
}

bool rig_timer(struct rig *rig, struct effect timer)
{
    int64_t due_ms = rig_due_ms(rig, timer);
    if (due_ms < 0)
        return false;
    rig->now_ms = due_ms > rig->now_ms ? due_ms : rig->now_ms;
    struct event event = {.kind = EVENT_TIMER, .timer = {.branch = timer.branch}};
    apply(rig, &event);
    return true;
}

void rig_assert_ignored(struct rig *rig, struct event event)
{
    struct core_digest before = core_digest(rig->core);
    uint64_t tail = rig->effects.tail;
    assert_int_equal(rig_apply(rig, &event), STATUS_OK);
    assert_true(rig_same(before, core_digest(rig->core)));
    assert_true(rig->effects.tail == tail);
}

void rig_assert_not_due(struct rig *rig, uint32_t branch)
{
    rig_assert_ignored(rig, (struct event){.kind = EVENT_TIMER, .timer = {.branch = branch}});
}

bool rig_deadline(struct rig *rig, uint64_t saga_id)
{
    uint32_t slot = core_find_saga(rig->core, saga_id);
    assert_int_not_equal(slot, CORE_NO_SAGA);
    struct event event = {.kind = EVENT_TIMER,
                          .timer = {.branch = slot, .of_saga = true, .undo_begun = true}};
    int64_t due_ms = core_deadline_ms(rig->core, slot);
    if (due_ms < 0) {
        rig_assert_ignored(rig, event);
        return false;
    }
    if (due_ms > rig->now_ms) {
        rig->now_ms = due_ms - 1;
        rig_assert_ignored(rig, event);
        rig->now_ms = due_ms;
    }
    apply(rig, &event);
    return true;
}

/* ---- from outside -----------------------------------------------------------------------------
 */

static struct flyover_bytes text_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* A refusal has a sentence; and the event does something exactly when it was not refused. */
static enum status apply_checked(struct rig *rig, const struct event *event, enum status status,
                                 const struct problem *problem)
{
    struct core_digest before = core_digest(rig->core);
    uint64_t tail = rig->effects.tail;
    apply(rig, event);
    assert_int_equal(rig_same(before, core_digest(rig->core)), status != STATUS_OK);
    if (status != STATUS_OK) {
        assert_int_not_equal(problem->text[0], '\0');
        assert_true(rig->effects.tail == tail);
    }
    return status;
}

enum status rig_signal(struct rig *rig, uint64_t saga_id, const char *name, const char *payload)
{
    struct problem problem = {.text = ""};
    struct event event = {
        .kind = EVENT_SIGNAL,
        .signal = {.saga_id = saga_id, .name = text_of(name), .payload = rig_value(payload)}};
    enum status status = core_check_signal(rig->core, saga_id, text_of(name), &problem);
    return apply_checked(rig, &event, status, &problem);
}

static enum status cancel(struct rig *rig, uint64_t saga_id, bool abort_it)
{
    struct problem problem = {.text = ""};
    struct event event = {.kind = EVENT_CANCEL,
                          .cancel = {.saga_id = saga_id,
                                     .abort = abort_it,
                                     .undo_begun = !abort_it,
                                     .reason = text_of("asked to")}};
    enum status status = core_check_cancel(rig->core, saga_id, abort_it, &problem);
    return apply_checked(rig, &event, status, &problem);
}

enum status rig_cancel(struct rig *rig, uint64_t saga_id)
{
    return cancel(rig, saga_id, false);
}

enum status rig_abort(struct rig *rig, uint64_t saga_id)
{
    return cancel(rig, saga_id, true);
}

enum status rig_mend(struct rig *rig, uint64_t saga_id, enum mend_action action, const char *output)
{
    struct problem problem = {.text = ""};
    struct event event = {
        .kind = EVENT_MEND,
        .mend = {.saga_id = saga_id, .action = action, .reason = text_of("looked at")}};
    if (output != NULL)
        event.mend.output = rig_value(output);
    enum status status = core_check_mend(rig->core, saga_id, action, output != NULL, &problem);
    return apply_checked(rig, &event, status, &problem);
}

enum status rig_check_token(const struct rig *rig, struct core_invocation call,
                            uint32_t *ret_branch)
{
    struct problem problem = {.text = ""};
    char token[CORE_TOKEN_BYTES];
    core_make_token(RIG_SEED, call.saga_id, call.step_no, call.attempt_no, token);
    enum status status = core_check_token(rig->core, token, ret_branch, &problem);
    assert_int_equal(problem.text[0] == '\0', status == STATUS_OK);
    return status;
}

bool rig_answer(struct rig *rig, struct core_invocation call, const char *output)
{
    struct event event = {.kind = EVENT_RESULT, .result = {.by_token = true}};
    if (rig_check_token(rig, call, &event.result.branch) != STATUS_OK)
        return false;
    if (output != NULL)
        event.result.output = rig_value(output);
    apply(rig, &event);
    return true;
}

bool rig_answer_error(struct rig *rig, struct core_invocation call, const char *name,
                      bool retryable)
{
    struct event event = {.kind = EVENT_ERROR,
                          .error = {.by_token = true,
                                    .retryable = retryable,
                                    .name = text_of(name),
                                    .cause = text_of("why")}};
    if (rig_check_token(rig, call, &event.error.branch) != STATUS_OK)
        return false;
    apply(rig, &event);
    return true;
}

bool rig_heartbeat(struct rig *rig, struct core_invocation call)
{
    struct event event = {.kind = EVENT_HEARTBEAT};
    if (rig_check_token(rig, call, &event.heartbeat.branch) != STATUS_OK)
        return false;
    apply(rig, &event);
    return true;
}

/* ---- effects out ------------------------------------------------------------------------------
 */

static struct effect pop(struct rig *rig, enum effect_kind kind)
{
    struct effect_queue *effects = &rig->effects;
    assert_int_not_equal(effect_queue_count(effects), 0);
    struct effect effect = effects->items[effects->head++ & (effects->capacity - 1)];
    if (effect.kind != (uint8_t)kind)
        fail_msg("the effect is %s, not %s", effect_text((enum effect_kind)effect.kind),
                 effect_text(kind));
    return effect;
}

struct core_invocation rig_call(const struct rig *rig, struct effect invoke)
{
    struct core_invocation call;
    assert_true(core_expects(rig->core, invoke.branch, invoke.generation));
    core_invocation(rig->core, invoke.branch, &call);
    return call;
}

const char *rig_handler(const struct rig *rig, struct effect invoke)
{
    struct core_invocation call = rig_call(rig, invoke);
    return core_plan(rig->core, call.plan)->resources[call.resource].handler;
}

struct effect rig_invoke(struct rig *rig, const char *handler)
{
    struct effect effect = pop(rig, EFFECT_INVOKE);
    assert_string_equal(rig_handler(rig, effect), handler);
    assert_true(effect.id == rig_call(rig, effect).saga_id);
    return effect;
}

struct effect rig_sleep(struct rig *rig, int64_t delay_ms)
{
    struct effect effect = pop(rig, EFFECT_TIMER);
    int64_t due_ms = rig_due_ms(rig, effect);
    assert_int_equal(due_ms, rig->now_ms + delay_ms);
    return effect;
}

struct effect rig_reply(struct rig *rig, enum outcome outcome)
{
    struct effect effect = pop(rig, EFFECT_REPLY);
    assert_string_equal(outcome_text((enum outcome)effect.outcome), outcome_text(outcome));
    assert_int_equal(effect.token, RIG_TOKEN);
    return effect;
}

struct effect rig_sleep_for_ever(struct rig *rig)
{
    struct effect effect = pop(rig, EFFECT_TIMER);
    assert_int_equal(rig_due_ms(rig, effect), -1);
    return effect;
}

void rig_reply_to_nobody(struct rig *rig, enum outcome outcome)
{
    struct effect effect = pop(rig, EFFECT_REPLY);
    assert_string_equal(outcome_text((enum outcome)effect.outcome), outcome_text(outcome));
    assert_int_equal(effect.token, 0);
}

void rig_asks_for_deadline(struct rig *rig, int64_t delay_ms)
{
    struct effect effect = pop(rig, EFFECT_DEADLINE);
    assert_true(core_find_saga(rig->core, effect.id) == effect.saga);
    assert_int_equal(core_deadline_ms(rig->core, effect.saga), rig->now_ms + delay_ms);
}

void rig_nothing(struct rig *rig)
{
    assert_int_equal(effect_queue_count(&rig->effects), 0);
}

/* ---- what stands ------------------------------------------------------------------------------
 */

enum phase rig_phase(const struct rig *rig, uint32_t branch)
{
    struct core_branch_view view;
    return core_view_branch(rig->core, branch, &view) ? view.phase : PHASE_FREE;
}

bool rig_same(struct core_digest left, struct core_digest right)
{
    return left.high == right.high && left.low == right.low;
}

void rig_assert_empty(const struct rig *rig)
{
    assert_int_equal(core_sagas_live(rig->core), 0);
    assert_int_equal(rig->core->branches_pool.used, 0);
    assert_int_equal(rig->core->completed_pool.used, 0);
    assert_int_equal(rig->core->branches_reserved, 0);
    assert_int_equal(slab_used_bytes(rig->core->payloads), 0);
}

void rig_assert_error(const struct rig *rig, struct effect invoke, const char *json)
{
    rig_assert_value(core_saga_error(rig->core, invoke.branch), json);
}

uint64_t rig_errors_count(const struct rig *rig, const char *name)
{
    const struct core_error *errors;
    uint32_t count = core_errors(rig->core, &errors);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].count;
    return 0;
}
