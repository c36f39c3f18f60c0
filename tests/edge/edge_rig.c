#include "tests/edge/edge_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/value_json.h"
#include "engine/saga/value_text.h"
#include "tests/edge/no_network.h"

struct echo echo, other, raw;
struct post post;
struct edge_thread *edge_rig_thread;
char edge_rig_log[16384];

/* ---- echo ---------------------------------------------------------------------------------------
 */

static enum status open_echo_as(struct echo *module, const struct edge_context *context,
                                const json_t *config, void **ret_module, struct problem *problem)
{
    edge_rig_thread = context->thread;
    if (json_object_get(config, "wrong") != NULL)
        return problem_set(problem, STATUS_INVALID, "echo.wrong: there is no such field");
    module->is_open = true;
    *ret_module = module;
    return STATUS_OK;
}

static enum status open_echo(const struct edge_context *context, const json_t *config,
                             void **ret_module, struct problem *problem)
{
    return open_echo_as(&echo, context, config, ret_module, problem);
}

static enum status open_other(const struct edge_context *context, const json_t *config,
                              void **ret_module, struct problem *problem)
{
    return open_echo_as(&other, context, config, ret_module, problem);
}

static enum status open_raw(const struct edge_context *context, const json_t *config,
                            void **ret_module, struct problem *problem)
{
    return open_echo_as(&raw, context, config, ret_module, problem);
}

static void print_json(const json_t *json, char *ret_text, size_t capacity)
{
    ret_text[0] = '\0';
    if (json == NULL)
        return;
    size_t bytes = json_dumpb(json, ret_text, capacity - 1, JSON_COMPACT | JSON_ENCODE_ANY);
    ret_text[bytes < capacity ? bytes : 0] = '\0';
}

static void answer(struct echo *module, struct edge_call *call)
{
    if (module->fails != NULL)
        edge_failed(edge_rig_thread, call, module->may_retry, module->fails, "told so");
    else if (module->makes != NULL)
        edge_done(edge_rig_thread, call, module->makes());
    else
        edge_done(edge_rig_thread, call, json_incref(call->input));
}

static void on_call(void *context, struct edge_call *call)
{
    struct echo *module = context;
    module->heard++;
    strcpy(module->key, call->key);
    strcpy(module->token, call->token);
    strcpy(module->trace, call->trace);
    print_json(call->input, module->input, sizeof module->input);
    print_json(call->output, module->output, sizeof module->output);
    module->attempt_no = call->attempt_no;
    module->deadline_ms = call->deadline_ms;
    if (!module->holds) {
        answer(module, call);
        return;
    }
    assert_true(module->calls_count < ECHO_CALLS_MAX);
    module->calls[module->calls_count++] = call;
}

/* Its answer is what it got, as the value that it is. */
static void on_raw_call(void *context, struct edge_call *call)
{
    struct echo *module = context;
    module->heard++;
    assert_null(call->input);
    assert_null(call->output);
    size_t bytes = value_to_text(call->value, module->input, sizeof module->input - 1);
    module->input[bytes] = '\0';
    edge_done_value(edge_rig_thread, call, call->value);
}

static struct edge_call *take_call(struct echo *module, uint32_t index)
{
    assert_true(index < module->calls_count);
    struct edge_call *call = module->calls[index];
    module->calls_count--;
    memmove(&module->calls[index], &module->calls[index + 1],
            (module->calls_count - index) * sizeof module->calls[0]);
    return call;
}

void echo_answer(struct echo *module, uint32_t index, const char *json)
{
    struct edge_call *call = take_call(module, index);
    edge_done(edge_rig_thread, call,
              json == NULL ? json_incref(call->input) : json_loads(json, JSON_DECODE_ANY, NULL));
}

void echo_fail(struct echo *module, uint32_t index, bool retryable, const char *error)
{
    edge_failed(edge_rig_thread, take_call(module, index), retryable, error, "told so");
}

static void close_echo(void *context)
{
    struct echo *module = context;
    assert_true(module->is_open);
    module->is_open = false;
    module->calls_count = 0;
}

static const char *const echo_names[] = {"say", "undo", "ask", NULL};

static const char *const *names_of(const void *module)
{
    (void)module;
    return echo_names;
}

/* ---- post ---------------------------------------------------------------------------------------
 */

static enum status open_post(const struct edge_context *context, const json_t *config,
                             void **ret_module, struct problem *problem)
{
    (void)config;
    (void)problem;
    edge_rig_thread = context->thread;
    post.is_open = true;
    *ret_module = &post;
    return STATUS_OK;
}

static void on_settled(void *module, void *handle, enum edge_settlement settlement,
                       const char *sentence)
{
    assert_ptr_equal(module, &post);
    assert_true(post.is_open);
    size_t used = strlen(post.order);
    assert_true(used + 1 < sizeof post.order);
    post.order[used] = *(const char *)handle;
    post.settled += settlement == EDGE_SETTLED;
    post.refused += settlement == EDGE_REFUSED;
    post.given_up += settlement == EDGE_GIVEN_UP;
    snprintf(post.sentence, sizeof post.sentence, "%s", sentence);
}

static bool drain_post(void *module)
{
    assert_ptr_equal(module, &post);
    return post.drains == 0 || post.drains-- == 0;
}

static void close_post(void *module)
{
    assert_ptr_equal(module, &post);
    post.is_open = false;
    post.ends = NULL;
}

enum status post_bring(const struct edge_message *message, char letter, struct problem *problem)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    struct edge_message sent = *message;
    sent.handle = (void *)(uintptr_t)strchr(letters, letter);
    return edge_bring(edge_rig_thread, &post, &sent, problem);
}

void post_start(const char *name, const char *json, char letter)
{
    struct problem problem = {0};
    const struct edge_message message = {
        .kind = EDGE_START, .definition = "test", .name = name, .input = edge_rig_value(json)};
    if (post_bring(&message, letter, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static bool wants_end(const void *module, const char *definition, const char *outcome)
{
    assert_ptr_equal(module, &post);
    if (post.wants == NULL || definition == NULL)
        return post.wants != NULL;
    return strcmp(definition, post.wants) == 0 && strcmp(outcome, "ABORTED") != 0;
}

static void on_saga_ended(void *module, struct edge_end *end)
{
    char output[256];
    assert_ptr_equal(module, &post);
    print_json(end->output, output, sizeof output);
    snprintf(post.end, sizeof post.end, "%s v%u %u %s error=%s cause=%s output=%s%s",
             end->definition, end->version, (unsigned)end->saga_id, end->outcome,
             end->error == NULL ? "" : end->error, end->cause == NULL ? "" : end->cause, output,
             end->output_omitted ? " omitted" : "");
    post.ends_count++;
    if (!post.keeps_ends) {
        edge_end_told(edge_rig_thread, end);
        return;
    }
    end->next = post.ends;
    post.ends = end;
}

static const struct edge_kind echo_kind = {.section = "echo",
                                           .service = "echo",
                                           .names = echo_names,
                                           .open = open_echo,
                                           .call = on_call,
                                           .close = close_echo};
static const struct edge_kind other_kind = {.section = "other",
                                            .service = "other",
                                            .handlers = names_of,
                                            .open = open_other,
                                            .call = on_call,
                                            .close = close_echo};
static const struct edge_kind raw_kind = {.section = "raw",
                                          .service = "raw",
                                          .names = echo_names,
                                          .reads_values = true,
                                          .open = open_raw,
                                          .call = on_raw_call,
                                          .close = close_echo};
static const struct edge_kind post_kind = {.section = "post",
                                           .open = open_post,
                                           .on_message_settled = on_settled,
                                           .wants_end = wants_end,
                                           .on_saga_ended = on_saga_ended,
                                           .drain = drain_post,
                                           .close = close_post};
const struct edge_kind *const edge_kinds[] = {&echo_kind, &other_kind, &raw_kind, &post_kind, NULL};

/* ---- the rig ------------------------------------------------------------------------------------
 */

int edge_rig_set_up(void **state)
{
    static struct edge_rig edge_rig;
    memset(&edge_rig, 0, sizeof edge_rig);
    echo = other = raw = (struct echo){0};
    post = (struct post){0};
    edge_rig_log[0] = '\0';
    void *rig = NULL;
    if (rig_set_up(&rig) != 0)
        return 1;
    edge_rig.rig = rig;
    *state = &edge_rig;
    return 0;
}

int edge_rig_tear_down(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_crash(rig);
    void *inner = rig->rig;
    assert_false(echo.is_open || other.is_open || raw.is_open || post.is_open);
    assert_int_equal(no_http_open, 0);
    assert_int_equal(no_aws_open, 0);
    return rig_tear_down(&inner);
}

static void on_log(void *context, int level, const char *event, const char *text)
{
    (void)context;
    size_t used = strlen(edge_rig_log);
    snprintf(edge_rig_log + used, sizeof edge_rig_log - used, "%d %s %s\n", level, event, text);
}

struct partition_options edge_rig_options(const struct edge_rig *rig)
{
    struct partition_options options = rig_options(rig->rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.remote = true;
    return options;
}

struct edges_options edge_rig_edges_options(const struct edge_rig *rig)
{
    return (struct edges_options){.partition = rig->rig->partition,
                                  .directory = rig->rig->directory,
                                  .on_log = on_log,
                                  .threadless = true};
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    if (json == NULL)
        fail_msg("%s: %s", text, error.text);
    return json;
}

enum status edge_rig_try(struct edge_rig *rig, const char *config, struct problem *problem)
{
    struct edges_options options = edge_rig_edges_options(rig);
    json_t *json = parse(config);
    options.config = json;
    enum status status = edges_open(&options, &rig->edges, problem);
    json_decref(json);
    return status;
}

void edge_rig_open_edges(struct edge_rig *rig, const struct edges_options *options,
                         const char *config)
{
    struct problem problem = {0};
    struct edges_options all = *options;
    json_t *json = parse(config);
    all.config = json;
    if (edges_open(&all, &rig->edges, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    json_decref(json);
}

void edge_rig_open_with(struct edge_rig *rig, const char *definition, const char *config)
{
    struct partition_options options = edge_rig_options(rig);
    rig_open(rig->rig, &options, definition);
    struct edges_options edges = edge_rig_edges_options(rig);
    edge_rig_open_edges(rig, &edges, config);
}

void edge_rig_open(struct edge_rig *rig, const char *definition)
{
    edge_rig_open_with(rig, definition, "{\"echo\": {}, \"other\": null, \"post\": {}}");
}

void edge_rig_crash(struct edge_rig *rig)
{
    edges_close(rig->edges);
    rig->edges = NULL;
    rig_crash(rig->rig);
}

static void print_bytes(struct flyover_bytes bytes, char *ret_text, size_t capacity)
{
    snprintf(ret_text, capacity, "%.*s", (int)bytes.count, (const char *)bytes.at);
}

static void take_replies(struct edge_rig *rig)
{
    struct reply reply;
    while (partition_next_reply(rig->rig->partition, &reply)) {
        edges_hear_end(rig->edges, &reply);
        rig->reply = reply;
        rig->replies++;
        rig->output[0] = '\0';
        if (reply.output.count > 0)
            value_print(reply.output, rig->output, sizeof rig->output);
        print_bytes(reply.error, rig->error, sizeof rig->error);
        print_bytes(reply.cause, rig->cause, sizeof rig->cause);
    }
}

void edge_rig_turn(struct edge_rig *rig)
{
    bool worked;
    struct problem problem = {0};
    rig_now_ns += PARTITION_SEAL_INTERVAL_NS;
    edges_turn(rig->edges);
    if (partition_poll(rig->rig->partition, &worked, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    edges_turn(rig->edges);
    take_replies(rig);
}

void edge_rig_turns(struct edge_rig *rig, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        edge_rig_turn(rig);
}

struct flyover_bytes edge_rig_value(const char *json)
{
    static uint8_t bytes[FLYOVER_PAYLOAD_BYTES_MAX];
    size_t count;
    json_t *input = parse(json);
    assert_int_equal(value_from_json(input, bytes, sizeof bytes, &count), STATUS_OK);
    json_decref(input);
    return (struct flyover_bytes){bytes, (uint32_t)count};
}

uint64_t edge_rig_start(struct edge_rig *rig, const char *json)
{
    uint64_t saga_id;
    struct problem problem = {0};
    const struct partition_start_options options = {
        .plan = rig->rig->plan,
        .input = edge_rig_value(json),
        .token = 1,
        .wants_output = true,
    };
    if (partition_start_with(rig->rig->partition, &options, &saga_id, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return saga_id;
}
