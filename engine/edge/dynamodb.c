/*
 * dynamodb: steps that read and write items of DynamoDB.
 *
 *     dynamodb:
 *       timeout_seconds: 30          # of a step without TimeoutSeconds
 *       idempotency:
 *         by: item                   # or none: then a step may count more than once
 *         attribute: flyover_keys    # of each item that is written, and with _before at its end
 *         keys_max: 512              # how many writers an item remembers at the least
 *
 * Handlers getItem, putItem, updateItem, deleteItem (arn:aws:states:::dynamodb:...) and
 * transactWriteItems (arn:aws:states:::aws-sdk:dynamodb:...): Parameters and output are those of
 * AWS. One more parameter, "FlyoverIdempotency": "NONE", is for a call what `by: none` is for all.
 *
 * A step that is sent twice counts once: dynamodb_keyed.h says how, and in which window. What a
 * second sending gives: with ReturnValues ALL_NEW the item as it is by now, with UPDATED_NEW those
 * attributes that UpdateExpression names, as they are by now; with ALL_OLD and UPDATED_OLD there
 * are no Attributes, since what was before is gone.
 *
 * Not so deleteItem, which leaves nothing to remember it by. Without a ConditionExpression a second
 * sending deletes what may have been put there between. With one it fails, since the item is gone;
 * so it is sent once by this module, and where its answer is lost the step fails as
 * DynamoDB.SdkClientException. And a sending of another step that arrives after the delete, late,
 * finds no item and may make it anew, unless its ConditionExpression wants one. A delete that must
 * be safe from all this is an updateItem that marks the item as deleted.
 *
 * transactWriteItems gets a ClientRequestToken, unless the definition gives one: the first 32
 * hexadecimal digits of the SHA-256 of the key. DynamoDB knows it for ten minutes; after that the
 * key in the first Update of the transaction holds, if there is one.
 *
 * Errors have the names of Step Functions: "DynamoDB.ERROR", for the SDK's integration
 * "DynamoDb.ERROR"; what has none of its own, as a ValidationException, is
 * "DynamoDB.AmazonDynamoDBException" and "DynamoDb.DynamoDbException" (aws_failure.h). A condition
 * that does not hold (ConditionalCheckFailedException, and a transaction cancelled by one) is the
 * answer of the business: Retry is not tried, Catch is. A transaction cancelled by a conflict or by
 * throttling may be tried again.
 *
 * Threads: the edge thread. Memory: a struct work a call; answers of up to ANSWER_BYTES_MAX while
 * they are read.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/aws.h"
#include "engine/edge/aws_failure.h"
#include "engine/edge/dynamodb_parts.h"
#include "engine/edge/edge_module.h"
#include "engine/edge/json_text.h"
#include "engine/edge/section.h"
#include "engine/edge/update_expression.h"

#define TIMEOUT_S_DEFAULT 30u
#define ANSWER_BYTES_MAX  (8u * FLYOVER_PAYLOAD_BYTES_MAX) /* an item of 400 KB, as JSON */
#define PATIENCE_MS       10000u /* while DynamoDB answers nobody, no call waits behind others */
#define REQUESTS_MAX      1024u  /* a quarter of AWS_REQUESTS_MAX: others need theirs */
#define ROUNDS_MAX        20u
#define ASK_AGAIN_MS      10

static const char *const handler_names[] = {
    "getItem", "putItem", "updateItem", "deleteItem", "transactWriteItems", NULL};

static const char *const model[] = {"ConditionalCheckFailedException",
                                    "IdempotentParameterMismatchException",
                                    "InternalServerError",
                                    "ItemCollectionSizeLimitExceededException",
                                    "LimitExceededException",
                                    "ProvisionedThroughputExceededException",
                                    "ReplicatedWriteConflictException",
                                    "RequestLimitExceeded",
                                    "ResourceNotFoundException",
                                    "ThrottlingException",
                                    "TransactionCanceledException",
                                    "TransactionConflictException",
                                    "TransactionInProgressException",
                                    NULL};
static const struct aws_failure_names integration_names = {"DynamoDB", "AmazonDynamoDBException",
                                                           model};
static const struct aws_failure_names sdk_names = {"DynamoDb", "DynamoDbException", model};

static struct edge_thread *thread_of(const struct work *work)
{
    return work->dynamodb->context.thread;
}

/* ---- the end of a call -------------------------------------------------------------------------
 */

static void free_work(struct work *work)
{
    json_decref(work->item_key);
    json_decref(work->seen);
    free(work);
}

static const char *prefix_of(const struct work *work)
{
    return work->call->handler == TRANSACT ? sdk_names.prefix : integration_names.prefix;
}

/* "table orders" */
static void print_about(const struct work *work, char *ret_text, size_t bytes_max)
{
    if (work->call->handler == TRANSACT)
        snprintf(ret_text, bytes_max, "transaction");
    else
        snprintf(ret_text, bytes_max, "table %s", text_field(work, "TableName"));
}

/* Steals `output`. */
static void end_done(struct work *work, json_t *output)
{
    keyed_hide(&work->dynamodb->keyed, output);
    edge_done(thread_of(work), work->call, output);
    free_work(work);
}

static void end_failed(struct work *work, bool retryable, const char *error, const char *sentence)
{
    char name[EDGE_ERROR_BYTES], about[320];
    snprintf(name, sizeof name, "%s.%s", prefix_of(work), error);
    print_about(work, about, sizeof about);
    edge_failed(thread_of(work), work->call, retryable, name, "%s: %s", about, sentence);
    free_work(work);
}

static void end_refused(struct work *work, const struct aws_answer *answer)
{
    char about[320], hint[160] = "";
    print_about(work, about, sizeof about);
    if (strcmp(answer->error, "ResourceNotFoundException") == 0)
        snprintf(hint, sizeof hint,
                 "create the table in region \"%s\", or mend TableName or the region",
                 aws_region(work->dynamodb->context.aws));
    aws_failure_tell(thread_of(work), work->call,
                     work->call->handler == TRANSACT ? &sdk_names : &integration_names, answer,
                     about, hint);
    free_work(work);
}

static void end_out_of_time(struct work *work)
{
    char about[320];
    print_about(work, about, sizeof about);
    aws_failure_tell_timeout(thread_of(work), work->call, about);
    free_work(work);
}

/* The definition's own condition does not hold. */
static void end_unmet(struct work *work)
{
    if (work->call->handler == TRANSACT)
        end_failed(work, work->is_retryable, "TransactionCanceledException", work->reasons);
    else
        end_failed(work, false, "ConditionalCheckFailedException",
                   "the ConditionExpression does not hold");
}

/* It was done by a sending before; `item` is as it is now. */
static void end_repeated(struct work *work, const json_t *item)
{
    const json_t *wanted = field(work, "ReturnValues");
    json_t *attributes = NULL;
    if (work->call->handler == UPDATE && is_text(wanted, "ALL_NEW"))
        attributes = json_copy((json_t *)item);
    else if (work->call->handler == UPDATE && is_text(wanted, "UPDATED_NEW"))
        attributes = update_expression_named(text_field(work, "UpdateExpression"),
                                             field(work, "ExpressionAttributeNames"), item);
    end_done(work, json_pack("{s:o*}", "Attributes", attributes));
}

/* ---- requests ----------------------------------------------------------------------------------
 */

/* A second sending by aws itself would do harm. */
static bool is_once(const struct work *work)
{
    if (work->stage != ASK || work->is_keyed || work->call->handler == GET)
        return false;
    return work->call->handler != DELETE || field(work, "ConditionExpression") != NULL;
}

static void on_end(void *context, const struct aws_answer *answer);

static void on_retry(void *context)
{
    struct work *work = context;
    edge_count_retry(thread_of(work), work->call);
}

static void wait_for_room(struct work *work)
{
    struct dynamodb *dynamodb = work->dynamodb;
    work->next = NULL;
    if (dynamodb->first == NULL)
        dynamodb->first = work;
    else
        dynamodb->last->next = work;
    dynamodb->last = work;
}

/* False: there is no room for it. Else it is out, or has ended. */
static bool send(struct work *work)
{
    struct dynamodb *dynamodb = work->dynamodb;
    uint32_t timeout_ms = aws_failure_time_left_ms(work->call, dynamodb->timeout_ms);
    if (timeout_ms == 0) {
        end_out_of_time(work);
        return true;
    }
    if (dynamodb->out == REQUESTS_MAX)
        return false;
    json_t *request = dynamodb_make_request(work);
    char *body = request != NULL ? json_text(request) : NULL;
    json_decref(request);
    if (body == NULL) {
        end_failed(work, true, "SdkClientException", "out of memory");
        return true;
    }
    char about[320];
    print_about(work, about, sizeof about);
    const struct aws_request wire = {
        .service = "dynamodb",
        .resource = about, /* tables have limits of their own, at one endpoint */
        .target = dynamodb_target(work),
        .body = body,
        .body_bytes = strlen(body),
        .timeout_ms = timeout_ms,
        .patience_ms = PATIENCE_MS,
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .once = is_once(work),
        .on_end = on_end,
        .on_retry = on_retry,
        .context = work,
    };
    struct problem problem = {0};
    enum status status = aws_send(dynamodb->context.aws, &wire, &problem);
    free(body);
    dynamodb->out += status == STATUS_OK;
    if (status == STATUS_INVALID)
        end_failed(work, false, "SdkClientException", problem.text);
    return status == STATUS_OK || status == STATUS_INVALID;
}

static void go_on(struct work *work, enum stage stage)
{
    work->stage = stage;
    if (++work->rounds > ROUNDS_MAX) {
        end_failed(work, true, "TransactionConflictException",
                   "others write the item faster than this step gets at it");
        return;
    }
    if (work->rounds > 1)
        edge_count_retry(thread_of(work), work->call);
    if (!send(work))
        wait_for_room(work);
}

/* ---- a condition does not hold: whose? ---------------------------------------------------------
 */

static bool has_condition(const struct work *work)
{
    return work->call->handler == TRANSACT || field(work, "ConditionExpression") != NULL;
}

static void see(struct work *work, const json_t *item)
{
    json_decref(work->seen);
    work->seen = json_incref((json_t *)item);
    go_on(work, ASK);
}

/* `is_exact`: the item is what the condition was tested with; else it was read after. */
static void judge(struct work *work, const json_t *item, bool is_exact)
{
    const struct keyed *keyed = &work->dynamodb->keyed;
    enum keyed_sight sight = keyed_look(keyed, item, work->call->key);
    if (sight == KEYED_THERE) {
        end_repeated(work, item);
    } else if (work->call->handler == PUT && !keyed_same(keyed, item, work->seen)) {
        see(work, item);
    } else if (work->call->handler != PUT && sight == KEYED_FULL && !work->is_sure) {
        go_on(work, ROTATE);
    } else if ((is_exact || work->is_sure) && has_condition(work)) {
        end_unmet(work);
    } else {
        /* Others may have written it meanwhile. An update goes without a limit now: if it fails
         * again, the key is not there, it is the definition's condition. */
        work->is_sure = true;
        go_on(work, ASK);
    }
}

/* Reads the item that is written. */
static void look(struct work *work)
{
    if (work->item_key == NULL && work->update != NULL)
        work->item_key = json_incref(json_object_get(work->update, "Key"));
    go_on(work, work->item_key != NULL ? LOOK : DESCRIBE);
}

static void on_looked(struct work *work, const struct aws_answer *answer)
{
    if (answer->ok)
        judge(work, json_object_get(answer->json, "Item"), work->call->handler == TRANSACT);
    else
        end_refused(work, answer);
}

static void on_described(struct work *work, const struct aws_answer *answer)
{
    if (!answer->ok) {
        end_refused(work, answer);
        return;
    }
    const json_t *table = json_object_get(answer->json, "Table");
    work->item_key = json_object();
    size_t i;
    json_t *part;
    json_array_foreach(json_object_get(table, "KeySchema"), i, part)
    {
        const char *name = json_string_value(json_object_get(part, "AttributeName"));
        json_t *value = name != NULL ? json_object_get(field(work, "Item"), name) : NULL;
        if (value != NULL)
            json_object_set(work->item_key, name, value);
    }
    go_on(work, LOOK);
}

/* ---- answers -----------------------------------------------------------------------------------
 */

/* "item 0: ConditionalCheckFailed: The conditional request failed", of each that failed. */
static void keep_reasons(struct work *work, const json_t *reasons)
{
    size_t i, bytes = 0;
    json_t *reason;
    bool passes = false, stays = false;
    work->reasons[0] = '\0';
    json_array_foreach((json_t *)reasons, i, reason)
    {
        const char *code = json_string_value(json_object_get(reason, "Code"));
        const char *message = json_string_value(json_object_get(reason, "Message"));
        if (code == NULL || strcmp(code, "None") == 0)
            continue;
        bool of_load = strcmp(code, "TransactionConflict") == 0 ||
                       strcmp(code, "ThrottlingError") == 0 ||
                       strcmp(code, "ProvisionedThroughputExceeded") == 0;
        passes = passes || of_load;
        stays = stays || !of_load;
        if (bytes < sizeof work->reasons)
            bytes += (size_t)snprintf(work->reasons + bytes, sizeof work->reasons - bytes,
                                      "%sitem %zu: %s: %s", bytes > 0 ? "; " : "", i, code,
                                      message != NULL ? message : "");
    }
    work->is_retryable = passes && !stays;
}

/* The Update that has the key failed, or another item: then the key is looked for, since which
 * items are named when several fail is not told. */
static void on_cancelled(struct work *work, const struct aws_answer *answer)
{
    const json_t *reasons = json_object_get(answer->json, "CancellationReasons");
    keep_reasons(work, reasons);
    if (!work->is_keyed || work->update == NULL || work->is_retryable) {
        end_unmet(work);
        return;
    }
    size_t i;
    json_t *item, *seen = NULL;
    json_array_foreach((json_t *)field(work, "TransactItems"), i, item)
    {
        if (json_object_get(item, "Update") == work->update)
            seen = json_object_get(json_array_get(reasons, i), "Item");
    }
    if (seen != NULL)
        judge(work, seen, true);
    else
        look(work);
}

static void on_asked(struct work *work, const struct aws_answer *answer)
{
    if (answer->ok) {
        end_done(work, answer->json != NULL ? json_incref(answer->json) : json_object());
    } else if (work->is_keyed && strcmp(answer->error, "ConditionalCheckFailedException") == 0) {
        const json_t *item = json_object_get(answer->json, "Item");
        if (item != NULL)
            judge(work, item, true);
        else
            look(work);
    } else if (strcmp(answer->error, "TransactionCanceledException") == 0) {
        on_cancelled(work, answer);
    } else {
        end_refused(work, answer);
    }
}

/* A rotation that another was faster with is one as well. */
static void on_rotated(struct work *work, const struct aws_answer *answer)
{
    if (answer->ok || strcmp(answer->error, "ConditionalCheckFailedException") == 0)
        go_on(work, ASK);
    else
        end_refused(work, answer);
}

static void on_end(void *context, const struct aws_answer *answer)
{
    struct work *work = context;
    if (answer->http.end == HTTP_CANCELLED) { /* the engine ends: the next start asks again */
        free_work(work);
        return;
    }
    work->dynamodb->out--;
    switch (work->stage) {
    case ASK: on_asked(work, answer); break;
    case LOOK: on_looked(work, answer); break;
    case DESCRIBE: on_described(work, answer); break;
    case ROTATE: on_rotated(work, answer); break;
    }
}

/* ---- the module --------------------------------------------------------------------------------
 */

static const json_t *first_update(const struct work *work)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)field(work, "TransactItems"), i, item)
    {
        const json_t *update = json_object_get(item, "Update");
        if (json_is_object(update))
            return update;
    }
    return NULL;
}

/* NULL, or what is wrong. */
static const char *check_shape(const struct work *work)
{
    static const char *const objects[] = {"Key", "Item", "Key", "Key"};
    static const char *const sentences[] = {
        "Parameters.Key: has to be the key of the item: {\"id\": {\"S\": \"...\"}}",
        "Parameters.Item: has to be the item: {\"id\": {\"S\": \"...\"}, ...}"};
    if (!json_is_object(work->call->input))
        return "Parameters: have to be an object";
    if (work->call->handler == TRANSACT)
        return json_is_array(field(work, "TransactItems"))
                   ? NULL
                   : "Parameters.TransactItems: has to be a list of items";
    if (!json_is_string(field(work, "TableName")))
        return "Parameters.TableName: has to be the name of a table";
    if (!json_is_object(field(work, objects[work->call->handler])))
        return sentences[work->call->handler == PUT];
    return NULL;
}

/* Also finds out whether and where its key goes. */
static const char *check(struct work *work)
{
    const char *wrong = check_shape(work);
    if (wrong != NULL)
        return wrong;
    const json_t *opt_out = field(work, DYNAMODB_OPT_OUT);
    if (opt_out != NULL && !is_text(opt_out, "NONE"))
        return "Parameters." DYNAMODB_OPT_OUT ": can only be \"NONE\"";
    uint32_t handler = work->call->handler;
    work->is_keyed =
        work->dynamodb->is_keyed && opt_out == NULL && handler != GET && handler != DELETE;
    if (!work->is_keyed)
        return NULL;
    if (handler != PUT)
        work->update = handler == UPDATE ? work->call->input : first_update(work);
    return keyed_objection(work->update != NULL ? work->update : work->call->input);
}

static void dynamodb_call(void *module, struct edge_call *call)
{
    struct dynamodb *dynamodb = module;
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        edge_failed(dynamodb->context.thread, call, true, "DynamoDB.SdkClientException",
                    "out of memory");
        return;
    }
    assert(call->handler <= TRANSACT);
    work->dynamodb = dynamodb;
    work->call = call;
    const char *wrong = check(work);
    if (wrong == NULL) {
        go_on(work, ASK);
        return;
    }
    edge_failed(dynamodb->context.thread, call, false,
                call->handler == TRANSACT ? "DynamoDb.DynamoDbException"
                                          : "DynamoDB.AmazonDynamoDBException",
                "%s", wrong);
    free_work(work);
}

static int64_t dynamodb_turn(void *module, const struct pollfd *fds, uint32_t fds_count)
{
    (void)fds, (void)fds_count;
    struct dynamodb *dynamodb = module;
    while (dynamodb->first != NULL) {
        struct work *work = dynamodb->first, *next = work->next;
        if (!send(work))
            return ASK_AGAIN_MS;
        dynamodb->first = next; /* `work` may be freed by now */
    }
    return -1;
}

static enum status read_idempotency(const json_t *config, struct dynamodb *dynamodb,
                                    struct problem *problem)
{
    static const char *const names[] = {"by", "attribute", "keys_max", NULL};
    static const char *const path = "dynamodb.idempotency";
    const char *by = "item", *attribute = "flyover_keys";
    uint32_t keys_max = KEYED_DEFAULT;
    enum status status = section_check(config, path, names, problem);
    if (status == STATUS_OK)
        status = section_text(config, path, "by", 8, &by, problem);
    if (status == STATUS_OK)
        status = section_text(config, path, "attribute", KEYED_NAME_BYTES, &attribute, problem);
    if (status == STATUS_OK)
        status = section_count(config, path, "keys_max", 1, KEYED_MAX, &keys_max, problem);
    if (status != STATUS_OK)
        return status;
    dynamodb->is_keyed = strcmp(by, "item") == 0;
    if (!dynamodb->is_keyed && strcmp(by, "none") != 0)
        return problem_set(problem, STATUS_INVALID, "%s.by: has to be item or none", path);
    keyed_init(&dynamodb->keyed, attribute, keys_max);
    return STATUS_OK;
}

static enum status read_config(const json_t *config, struct dynamodb *dynamodb,
                               struct problem *problem)
{
    static const char *const names[] = {"timeout_seconds", "idempotency", NULL};
    uint32_t timeout_s = TIMEOUT_S_DEFAULT;
    enum status status = section_check(config, "dynamodb", names, problem);
    if (status == STATUS_OK)
        status = section_count(config, "dynamodb", "timeout_seconds", 1, 3600, &timeout_s, problem);
    if (status == STATUS_OK)
        status = read_idempotency(json_object_get(config, "idempotency"), dynamodb, problem);
    dynamodb->timeout_ms = timeout_s * 1000u;
    return status;
}

static enum status dynamodb_open(const struct edge_context *context, const json_t *config,
                                 void **ret_module, struct problem *problem)
{
    struct dynamodb read = {.context = *context};
    enum status status = read_config(config, &read, problem);
    if (status != STATUS_OK)
        return status;
    if (context->aws == NULL)
        return problem_set(
            problem, STATUS_INVALID,
            "dynamodb: needs the section `aws`; aws: {} takes all of the environment");
    struct dynamodb *dynamodb = malloc(sizeof *dynamodb);
    if (dynamodb == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "dynamodb: out of memory");
    *dynamodb = read;
    *ret_module = dynamodb;
    return STATUS_OK;
}

static void dynamodb_close(void *module)
{
    struct dynamodb *dynamodb = module;
    while (dynamodb->first != NULL) {
        struct work *work = dynamodb->first;
        dynamodb->first = work->next;
        free_work(work);
    }
    free(dynamodb);
}

const struct edge_kind edge_dynamodb = {
    .section = "dynamodb",
    .service = "aws-dynamodb",
    .names = handler_names,
    .open = dynamodb_open,
    .call = dynamodb_call,
    .turn = dynamodb_turn,
    .close = dynamodb_close,
};
