#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/edge/fake_aws.h"

#define KEY "engine-7-3"
/* The first 9 bytes of its SHA-256, in base64url. */
#define MARK "lydUfoIC8Sj7"
/* An item with these keys, as it is in an answer. */
#define ITEM(keys)                                                                                 \
    "\"Item\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"4\"},\"flyover_keys\":{\"SS\":[" keys "]}}"
#define UNMET "\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\""
#define UPDATE_N                                                                                   \
    "\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},"                                      \
    "\"UpdateExpression\":\"SET n = n - "                                                          \
    ":one\",\"ExpressionAttributeValues\":{\":one\":{\"N\":\"1\"}}"
#define PUT_A       "\"TableName\":\"stock\",\"Item\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"9\"}}"
#define IS_THERE    "\"ConditionExpression\":\"attribute_exists(id)\""
#define TRANSACTION "{\"TransactItems\":[{\"Put\":{" PUT_A "}},{\"Update\":{" UPDATE_N "}}]}"

enum { GET, PUT, UPDATE, DELETE, TRANSACT };

static int set_up(void **state)
{
    (void)state;
    fake_open(&edge_dynamodb, "{}");
    return 0;
}

static struct fake_call *call(uint32_t handler, const char *input)
{
    return fake_give(fake_call_make(handler, KEY, input));
}

/* The newest request is this one, and no more than `count` were made. */
static const json_t *asked(uint32_t count, const char *operation)
{
    assert_int_equal(fake_requests_count(), count);
    const struct fake_request *request = fake_request(count - 1);
    char target[64];
    snprintf(target, sizeof target, "DynamoDB_20120810.%s", operation);
    assert_string_equal(request->target, target);
    assert_string_equal(request->service, "dynamodb");
    return request->body;
}

static const char *text_of(const json_t *request, const char *name)
{
    const char *text = json_string_value(json_object_get(request, name));
    return text != NULL ? text : "";
}

/* ---- updates -----------------------------------------------------------------------------------
 */

static void an_update_writes_its_mark_where_it_is_not_yet(void **state)
{
    (void)state;
    struct fake_call *fake =
        call(UPDATE, "{" UPDATE_N "," IS_THERE ",\"ReturnValues\":\"UPDATED_NEW\"}");
    assert_json(
        asked(1, "UpdateItem"),
        "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},\"ReturnValues\":\"UPDATED_NEW\","
        "\"UpdateExpression\":\"SET n = n - :one ADD #flyover_keys :flyover_keys\","
        "\"ConditionExpression\":\"(attribute_exists(id)) AND NOT contains(#flyover_keys, "
        ":flyover_key) AND NOT contains(#flyover_before, :flyover_key) AND "
        "(attribute_not_exists(#flyover_keys) OR size(#flyover_keys) < :flyover_max)\","
        "\"ExpressionAttributeNames\":{\"#flyover_keys\":\"flyover_keys\","
        "\"#flyover_before\":\"flyover_keys_before\"},"
        "\"ExpressionAttributeValues\":{\":one\":{\"N\":\"1\"},\":flyover_key\":{\"S\":\"" MARK
        "\"},"
        "\":flyover_keys\":{\"SS\":[\"" MARK "\"]},\":flyover_max\":{\"N\":\"512\"}},"
        "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}");
    assert_false(fake_request(0)->once); /* aws may ask again */
    fake_answer(0, 200, NULL,
                "{\"Attributes\":{\"n\":{\"N\":\"3\"},\"flyover_keys\":{\"SS\":[\"" MARK "\"]}}}");
    assert_done(fake, "{\"Attributes\":{\"n\":{\"N\":\"3\"}}}");
}

static void a_table_has_its_own_rate_and_waits_for_no_mute_host(void **state)
{
    (void)state;
    call(UPDATE, "{" UPDATE_N "}");
    assert_string_equal(fake_request(0)->resource, "table stock");
    assert_true(fake_request(0)->patience_ms > 0);
    fake_answer(0, 200, NULL, "{}");
}

static void brackets_of_the_definition_are_not_doubled(void **state)
{
    (void)state;
    static const struct {
        const char *own, *all;
    } cases[] = {
        {"a = b OR c = d", "(a = b OR c = d) AND NOT"},
        {" (a = b) ", " (a = b)  AND NOT"},
        {"(a = b) OR (c = d)", "((a = b) OR (c = d)) AND NOT"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char input[512];
        snprintf(input, sizeof input, "{" UPDATE_N ",\"ConditionExpression\":\"%s\"}",
                 cases[i].own);
        call(UPDATE, input);
        const char *text = text_of(asked(i + 1, "UpdateItem"), "ConditionExpression");
        assert_memory_equal(text, cases[i].all, strlen(cases[i].all));
        fake_answer(i, 200, NULL, "{}");
    }
}

static void an_update_that_is_sent_again_counts_as_done(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(0, 400, NULL, "{" UNMET "," ITEM("\"x\",\"" MARK "\"") "}");
    assert_done(fake, "{}");

    fake = call(UPDATE, "{" UPDATE_N ",\"ReturnValues\":\"ALL_NEW\"}");
    fake_answer(1, 400, NULL, "{" UNMET "," ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{\"Attributes\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"4\"}}}");

    fake = call(UPDATE, "{" UPDATE_N ",\"ReturnValues\":\"UPDATED_NEW\"}");
    fake_answer(2, 400, NULL, "{" UNMET "," ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{\"Attributes\":{\"n\":{\"N\":\"4\"}}}");
}

static void a_key_among_the_older_ones_is_found_too(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(0, 400, NULL,
                "{" UNMET ",\"Item\":{\"flyover_keys_before\":{\"SS\":[\"" MARK "\"]}}}");
    assert_done(fake, "{}");
}

static void a_condition_of_the_definition_is_a_business_error(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "," IS_THERE "}");
    fake_answer(0, 400, NULL, "{" UNMET "," ITEM("\"0-EBJcmZkP5Q\"") "}");
    assert_failed(fake, false, "DynamoDB.ConditionalCheckFailedException");
    assert_string_equal(fake->cause, "table stock: the ConditionExpression does not hold");
    assert_int_equal(fake_requests_count(), 1);
}

static void where_the_error_has_no_item_it_is_read(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(0, 400, NULL, "{" UNMET "}");
    assert_json(asked(2, "GetItem"),
                "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},\"ConsistentRead\":true,"
                "\"ProjectionExpression\":\"#flyover_keys, #flyover_before\","
                "\"ExpressionAttributeNames\":{\"#flyover_keys\":\"flyover_keys\","
                "\"#flyover_before\":\"flyover_keys_before\"}}");
    fake_answer(1, 200, NULL, "{" ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{}");

    fake = call(UPDATE, "{" UPDATE_N ",\"ReturnValues\":\"ALL_NEW\"}");
    fake_answer(2, 400, NULL, "{" UNMET "}");
    assert_json(asked(4, "GetItem"),
                "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},\"ConsistentRead\":true}");
    fake_answer(3, 200, NULL, "{" ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{\"Attributes\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"4\"}}}");
}

/* Another may have rotated the keys between the failure and the reading. */
static void what_is_read_after_is_no_proof_so_it_is_asked_once_more(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "," IS_THERE "}");
    fake_answer(0, 400, NULL, "{" UNMET "}");
    fake_answer(1, 200, NULL, "{}");
    const json_t *request = asked(3, "UpdateItem");
    assert_string_equal(text_of(request, "ConditionExpression"),
                        "(attribute_exists(id)) AND NOT contains(#flyover_keys, :flyover_key) AND "
                        "NOT contains(#flyover_before, :flyover_key)");
    assert_null(
        json_object_get(json_object_get(request, "ExpressionAttributeValues"), ":flyover_max"));
    fake_answer(2, 400, NULL, "{" UNMET "}");
    asked(4, "GetItem");
    fake_answer(3, 200, NULL, "{}");
    assert_failed(fake, false, "DynamoDB.ConditionalCheckFailedException");

    fake = call(UPDATE, "{" UPDATE_N "," IS_THERE "}");
    fake_answer(4, 400, NULL, "{" UNMET "}");
    fake_answer(5, 200, NULL, "{}");
    fake_answer(6, 200, NULL, "{}");
    assert_done(fake, "{}");
}

static void keys_are_rotated_when_there_are_enough(void **state)
{
    (void)state;
    fake_open(&edge_dynamodb, "{\"idempotency\":{\"keys_max\":2,\"attribute\":\"k\"}}");
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    static const char *const full =
        "{" UNMET ",\"Item\":{\"id\":{\"S\":\"a\"},\"k\":{\"SS\":[\"x\",\"y\"]}}}";
    fake_answer(0, 400, NULL, full);
    assert_json(
        asked(2, "UpdateItem"),
        "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},"
        "\"UpdateExpression\":\"SET #flyover_before = #flyover_keys REMOVE #flyover_keys\","
        "\"ConditionExpression\":\"size(#flyover_keys) >= :flyover_max\","
        "\"ExpressionAttributeNames\":{\"#flyover_keys\":\"k\",\"#flyover_before\":\"k_before\"},"
        "\"ExpressionAttributeValues\":{\":flyover_max\":{\"N\":\"2\"}}}");
    fake_answer(1, 200, NULL, "{}");
    fake_answer(2, 200, NULL, "{}");
    assert_done(fake, "{}");

    fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(3, 400, NULL, full);
    fake_answer(4, 400, NULL, "{" UNMET "}"); /* another was faster */
    fake_answer(5, 200, NULL, "{}");
    assert_done(fake, "{}");
}

static void who_never_gets_at_the_item_gives_up(void **state)
{
    (void)state;
    fake_open(&edge_dynamodb, "{\"idempotency\":{\"keys_max\":1}}");
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    uint32_t i = 0;
    for (; i < 20; i++) {
        assert_false(fake->is_failed);
        fake_answer(i, 400, NULL, "{" UNMET "," ITEM("\"x\"") "}");
    }
    assert_failed(fake, true, "DynamoDB.TransactionConflictException");
}

/* ---- puts and deletes --------------------------------------------------------------------------
 */

static void a_put_goes_where_there_are_no_keys(void **state)
{
    (void)state;
    struct fake_call *fake = call(PUT, "{" PUT_A "}");
    assert_json(asked(1, "PutItem"),
                "{\"TableName\":\"stock\",\"Item\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"9\"},"
                "\"flyover_keys\":{\"SS\":[\"" MARK "\"]}},"
                "\"ConditionExpression\":\"attribute_not_exists(#flyover_keys) AND "
                "attribute_not_exists(#flyover_before)\","
                "\"ExpressionAttributeNames\":{\"#flyover_keys\":\"flyover_keys\","
                "\"#flyover_before\":\"flyover_keys_before\"},"
                "\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}");
    fake_answer(0, 200, NULL, "{}");
    assert_done(fake, "{}");
}

static void a_put_that_is_sent_again_counts_as_done(void **state)
{
    (void)state;
    struct fake_call *fake = call(PUT, "{" PUT_A ",\"ReturnValues\":\"ALL_OLD\"}");
    fake_answer(0, 400, NULL, "{" UNMET "," ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{}");
}

static void a_put_carries_the_keys_over(void **state)
{
    (void)state;
    fake_open(&edge_dynamodb, "{\"idempotency\":{\"keys_max\":2}}");
    struct fake_call *fake = call(PUT, "{" PUT_A "}");
    fake_answer(0, 400, NULL, "{" UNMET "," ITEM("\"x\"") "}");
    const json_t *request = asked(2, "PutItem");
    assert_json(json_object_get(request, "Item"),
                "{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"9\"},\"flyover_keys\":{\"SS\":[\"x\",\"" MARK
                "\"]}}");
    assert_string_equal(text_of(request, "ConditionExpression"),
                        "#flyover_keys = :flyover_seen AND attribute_not_exists(#flyover_before)");
    assert_json(json_object_get(request, "ExpressionAttributeValues"),
                "{\":flyover_seen\":{\"SS\":[\"x\"]}}");
    /* Another was there meanwhile. */
    fake_answer(1, 400, NULL,
                "{" UNMET ",\"Item\":{\"flyover_keys\":{\"SS\":[\"x\",\"y\"]},"
                "\"flyover_keys_before\":{\"SS\":[\"v\",\"w\"]}}}");
    request = asked(3, "PutItem");
    assert_json(json_object_get(request, "Item"),
                "{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"9\"},\"flyover_keys\":{\"SS\":[\"" MARK
                "\"]},"
                "\"flyover_keys_before\":{\"SS\":[\"x\",\"y\"]}}");
    fake_answer(2, 200, NULL, "{}");
    assert_done(fake, "{}");
}

static void a_condition_of_a_put_is_a_business_error(void **state)
{
    (void)state;
    static const char *const input =
        "{" PUT_A ",\"ConditionExpression\":\"attribute_not_exists(id)\"}";
    struct fake_call *fake = call(PUT, input);
    fake_answer(0, 400, NULL, "{" UNMET ",\"Item\":{\"id\":{\"S\":\"a\"}}}");
    assert_failed(fake, false, "DynamoDB.ConditionalCheckFailedException");

    /* The keys could have been why; with them told it is the definition's. */
    fake = call(PUT, input);
    fake_answer(1, 400, NULL, "{" UNMET "," ITEM("\"x\"") "}");
    fake_answer(2, 400, NULL, "{" UNMET "," ITEM("\"x\"") "}");
    assert_failed(fake, false, "DynamoDB.ConditionalCheckFailedException");
}

static void the_key_of_a_put_is_looked_up_where_it_has_to_be_read(void **state)
{
    (void)state;
    struct fake_call *fake = call(PUT, "{" PUT_A "}");
    fake_answer(0, 400, NULL, "{" UNMET "}");
    assert_json(asked(2, "DescribeTable"), "{\"TableName\":\"stock\"}");
    fake_answer(1, 200, NULL,
                "{\"Table\":{\"KeySchema\":[{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"}]}}");
    assert_json(json_object_get(asked(3, "GetItem"), "Key"), "{\"id\":{\"S\":\"a\"}}");
    fake_answer(2, 200, NULL, "{" ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{}");
}

static void a_delete_under_a_condition_is_sent_once(void **state)
{
    (void)state;
    struct fake_call *fake = call(DELETE, "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},"
                                          "\"ReturnValues\":\"ALL_OLD\"," IS_THERE "}");
    assert_true(fake_request(0)->once);
    assert_json(asked(1, "DeleteItem"), "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}},"
                                        "\"ReturnValues\":\"ALL_OLD\"," IS_THERE "}");
    fake_end(0, HTTP_LOST, "it broke");
    assert_failed(fake, true, "DynamoDB.SdkClientException");

    fake = call(DELETE, "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}}}");
    assert_false(fake_request(1)->once);
    fake_answer(1, 200, NULL, "{}");
    assert_done(fake, "{}");

    fake = call(DELETE, "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}}," IS_THERE "}");
    fake_answer(2, 400, NULL, "{" UNMET ",\"message\":\"The conditional request failed\"}");
    assert_failed(fake, false, "DynamoDB.ConditionalCheckFailedException");
}

static void what_is_read_is_without_keys(void **state)
{
    (void)state;
    struct fake_call *fake = call(GET, "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}}}");
    assert_json(asked(1, "GetItem"), "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"a\"}}}");
    fake_answer(0, 200, NULL, "{" ITEM("\"x\"") "}");
    assert_done(fake, "{\"Item\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"4\"}}}");
}

/* ---- transactions ------------------------------------------------------------------------------
 */

#define CANCELLED(reasons)                                                                         \
    "{\"__type\":\"com.amazonaws.dynamodb.v20120810#TransactionCanceledException\","               \
    "\"CancellationReasons\":[" reasons "]}"

static void a_transaction_has_its_key_in_the_token_and_in_an_update(void **state)
{
    (void)state;
    struct fake_call *fake = call(TRANSACT, TRANSACTION);
    const json_t *request = asked(1, "TransactWriteItems");
    /* echo -n engine-7-3 | sha256sum */
    assert_string_equal(text_of(request, "ClientRequestToken"), "9727547e8202f128fb59bf5f500bb6dc");
    const json_t *items = json_object_get(request, "TransactItems");
    assert_json(json_array_get(items, 0), "{\"Put\":{" PUT_A "}}");
    const json_t *update = json_object_get(json_array_get(items, 1), "Update");
    assert_string_equal(text_of(update, "UpdateExpression"),
                        "SET n = n - :one ADD #flyover_keys :flyover_keys");
    assert_string_equal(text_of(update, "ReturnValuesOnConditionCheckFailure"), "ALL_OLD");
    fake_answer(0, 200, NULL, "{}");
    assert_done(fake, "{}");
}

static void a_token_of_the_definition_is_kept(void **state)
{
    (void)state;
    call(TRANSACT, "{\"ClientRequestToken\":\"mine\",\"TransactItems\":[{\"Delete\":{}}]}");
    assert_json(asked(1, "TransactWriteItems"),
                "{\"ClientRequestToken\":\"mine\",\"TransactItems\":[{\"Delete\":{}}]}");
    fake_answer(0, 200, NULL, "{}");
}

static void a_transaction_that_is_sent_again_counts_as_done(void **state)
{
    (void)state;
    struct fake_call *fake = call(TRANSACT, TRANSACTION);
    fake_answer(0, 400, NULL,
                CANCELLED("{\"Code\":\"None\"},{\"Code\":\"ConditionalCheckFailed\"," ITEM(
                    "\"" MARK "\"") "}"));
    assert_done(fake, "{}");

    /* Only the other item is named. */
    fake = call(TRANSACT, TRANSACTION);
    fake_answer(1, 400, NULL,
                CANCELLED("{\"Code\":\"ConditionalCheckFailed\"},{\"Code\":\"None\"}"));
    assert_json(json_object_get(asked(3, "GetItem"), "Key"), "{\"id\":{\"S\":\"a\"}}");
    fake_answer(2, 200, NULL, "{" ITEM("\"" MARK "\"") "}");
    assert_done(fake, "{}");
}

static void a_cancelled_transaction_says_why(void **state)
{
    (void)state;
    struct fake_call *fake = call(TRANSACT, TRANSACTION);
    fake_answer(0, 400, NULL,
                CANCELLED("{\"Code\":\"None\"},{\"Code\":\"ConditionalCheckFailed\",\"Message\":"
                          "\"The conditional request failed\"," ITEM("\"x\"") "}"));
    assert_failed(fake, false, "DynamoDb.TransactionCanceledException");
    assert_string_equal(
        fake->cause, "transaction: item 1: ConditionalCheckFailed: The conditional request failed");

    fake = call(TRANSACT, TRANSACTION);
    fake_answer(1, 400, NULL, CANCELLED("{\"Code\":\"TransactionConflict\"},{\"Code\":\"None\"}"));
    assert_failed(fake, true, "DynamoDb.TransactionCanceledException");

    fake = call(TRANSACT, TRANSACTION);
    fake_answer(2, 400, NULL,
                "{\"__type\":\"x#IdempotentParameterMismatchException\",\"message\":\"m\"}");
    assert_failed(fake, false, "DynamoDb.IdempotentParameterMismatchException");
}

/* ---- all of them -------------------------------------------------------------------------------
 */

static void a_definition_and_a_section_may_opt_out(void **state)
{
    (void)state;
    call(UPDATE, "{" UPDATE_N ",\"FlyoverIdempotency\":\"NONE\"}");
    assert_json(asked(1, "UpdateItem"), "{" UPDATE_N "}");
    assert_true(fake_request(0)->once);
    fake_answer(0, 200, NULL, "{}");

    fake_open(&edge_dynamodb, "{\"idempotency\":{\"by\":\"none\"}}");
    call(TRANSACT, TRANSACTION);
    assert_json(asked(2, "TransactWriteItems"), TRANSACTION);
    assert_true(fake_request(1)->once);
    fake_answer(1, 200, NULL, "{}");
}

static void errors_have_the_names_of_step_functions(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(0, 400, NULL,
                "{\"__type\":\"x#ResourceNotFoundException\",\"message\":\"no such\"}");
    assert_failed(fake, false, "DynamoDB.ResourceNotFoundException");
    assert_string_equal(fake->cause,
                        "table stock: no such; create the table in region "
                        "\"eu-central-1\", or mend TableName or the region (HTTP 400)");

    fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(1, 400, NULL,
                "{\"__type\":\"x#ProvisionedThroughputExceededException\",\"message\":\"slow\"}");
    assert_failed(fake, true, "DynamoDB.ProvisionedThroughputExceededException");

    fake = call(UPDATE, "{" UPDATE_N "}");
    fake_answer(2, 400, NULL, "{\"__type\":\"x#ValidationException\",\"message\":\"bad\"}");
    assert_failed(fake, false, "DynamoDB.AmazonDynamoDBException");
    assert_string_equal(fake->cause, "table stock: bad (HTTP 400, ValidationException)");
}

static void a_wrong_parameter_is_named(void **state)
{
    (void)state;
    static const struct {
        uint32_t handler;
        const char *input, *sentence;
    } cases[] = {
        {GET, "7", "Parameters: have to be an object"},
        {GET, "{}", "Parameters.TableName: has to be"},
        {GET, "{\"TableName\":\"t\"}", "Parameters.Key: has to be"},
        {PUT, "{\"TableName\":\"t\",\"Key\":{}}", "Parameters.Item: has to be"},
        {UPDATE, "{\"TableName\":\"t\",\"Key\":{},\"FlyoverIdempotency\":true}",
         "Parameters.FlyoverIdempotency: can only be"},
        {UPDATE, "{\"TableName\":\"t\",\"Key\":{},\"AttributeUpdates\":{}}",
         "Expected, AttributeUpdates and ConditionalOperator do not go"},
        {PUT,
         "{\"TableName\":\"t\",\"Item\":{},\"ExpressionAttributeNames\":{\"#flyover_a\":\"a\"}}",
         "names and values that begin with"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake_call *fake = call(cases[i].handler, cases[i].input);
        assert_failed(fake, false, "DynamoDB.AmazonDynamoDBException");
        assert_memory_equal(fake->cause, cases[i].sentence, strlen(cases[i].sentence));
    }
    struct fake_call *fake = call(TRANSACT, "{\"TransactItems\":{}}");
    assert_failed(fake, false, "DynamoDb.DynamoDbException");
    assert_int_equal(fake_requests_count(), 0);
}

static void a_dead_endpoint_leaves_requests_for_others(void **state)
{
    (void)state;
    struct fake_call *last = NULL;
    for (uint32_t i = 0; i < 1026; i++)
        last = call(UPDATE, "{" UPDATE_N "}");
    assert_int_equal(fake_requests_count(), 1024);
    fake_turn();
    assert_int_equal(fake_requests_count(), 1024);
    for (uint32_t i = 0; i < 1024; i++)
        fake_end(i, HTTP_TIMED_OUT, "it says nothing");
    assert_int_equal(fake_turn(), -1);
    assert_int_equal(fake_requests_count(), 1026);
    fake_answer(1024, 200, NULL, "{}");
    fake_answer(1025, 200, NULL, "{}");
    assert_true(last->is_done);
}

static void time_and_room_are_kept(void **state)
{
    (void)state;
    struct fake_call *late = fake_call_make(UPDATE, KEY, "{" UPDATE_N "}");
    late->call.deadline_ms = 1;
    fake_give(late);
    assert_failed(late, true, "States.Timeout");

    fake_send_says(STATUS_BUSY);
    struct fake_call *fakes[2];
    for (uint32_t i = 0; i < 2; i++)
        fakes[i] = call(UPDATE, "{" UPDATE_N "}");
    assert_true(fake_turn() > 0);
    fake_send_says(STATUS_OK);
    assert_int_equal(fake_turn(), -1);
    assert_int_equal(fake_request(0)->timeout_ms, 30000);
    fake_answer(0, 200, NULL, "{}");
    assert_true(fakes[0]->is_done);
    fake_answer(1, 200, NULL, "{}");
    assert_true(fakes[1]->is_done);
}

static void what_is_out_at_the_end_is_not_answered(void **state)
{
    (void)state;
    struct fake_call *fake = call(UPDATE, "{" UPDATE_N "}");
    fake_end(0, HTTP_CANCELLED, "");
    assert_false(fake->is_done || fake->is_failed);
    fake_send_says(STATUS_BUSY);
    fake = call(UPDATE, "{" UPDATE_N "}");
    assert_false(fake->is_done || fake->is_failed); /* close frees it */
}

static void a_wrong_setting_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *config, *sentence;
    } cases[] = {
        {"{\"table\": 1}", "dynamodb.table: there is no such field"},
        {"{\"timeout_seconds\": 0}", "dynamodb.timeout_seconds: has to be"},
        {"{\"idempotency\": false}", "dynamodb.idempotency: a section is a mapping"},
        {"{\"idempotency\": {\"by\": \"luck\"}}",
         "dynamodb.idempotency.by: has to be item or none"},
        {"{\"idempotency\": {\"keys_max\": 9999}}", "dynamodb.idempotency.keys_max: has to be"},
        {"{\"idempotency\": {\"attribute\": \"\"}}", "dynamodb.idempotency.attribute: has to be"},
    };
    struct edge_context context = fake_context();
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fake_assert_refuses(&edge_dynamodb, &context, cases[i].config, cases[i].sentence);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_update_writes_its_mark_where_it_is_not_yet),
        TEST(a_table_has_its_own_rate_and_waits_for_no_mute_host),
        TEST(brackets_of_the_definition_are_not_doubled),
        TEST(an_update_that_is_sent_again_counts_as_done),
        TEST(a_key_among_the_older_ones_is_found_too),
        TEST(a_condition_of_the_definition_is_a_business_error),
        TEST(where_the_error_has_no_item_it_is_read),
        TEST(what_is_read_after_is_no_proof_so_it_is_asked_once_more),
        TEST(keys_are_rotated_when_there_are_enough),
        TEST(who_never_gets_at_the_item_gives_up),
        TEST(a_put_goes_where_there_are_no_keys),
        TEST(a_put_that_is_sent_again_counts_as_done),
        TEST(a_put_carries_the_keys_over),
        TEST(a_condition_of_a_put_is_a_business_error),
        TEST(the_key_of_a_put_is_looked_up_where_it_has_to_be_read),
        TEST(a_delete_under_a_condition_is_sent_once),
        TEST(what_is_read_is_without_keys),
        TEST(a_transaction_has_its_key_in_the_token_and_in_an_update),
        TEST(a_token_of_the_definition_is_kept),
        TEST(a_transaction_that_is_sent_again_counts_as_done),
        TEST(a_cancelled_transaction_says_why),
        TEST(a_definition_and_a_section_may_opt_out),
        TEST(errors_have_the_names_of_step_functions),
        TEST(a_wrong_parameter_is_named),
        TEST(a_dead_endpoint_leaves_requests_for_others),
        TEST(time_and_room_are_kept),
        TEST(what_is_out_at_the_end_is_not_answered),
        TEST(a_wrong_setting_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
