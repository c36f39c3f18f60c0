/* DynamoDB as dynalite has it, without transactions, behind a proxy that makes faults. */
#include "tests/edge/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 40u

enum { GET, PUT, UPDATE, DELETE };

static json_t *ask_server(const char *command, const char *input)
{
    return rig_ask("client.mjs", "call", live_server.url, "dynamodb", command, input, NULL);
}

static int start(void **state)
{
    (void)state;
    if (rig_is_missing(RIG_DYNALITE))
        return 0;
    live_start(RIG_DYNALITE);
    json_decref(ask_server("CreateTable",
                           "{\"TableName\":\"stock\",\"BillingMode\":\"PAY_PER_REQUEST\","
                           "\"KeySchema\":[{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"}],"
                           "\"AttributeDefinitions\":[{\"AttributeName\":\"id\","
                           "\"AttributeType\":\"S\"}]}"));
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    live_open(&edge_dynamodb, "{\"timeout_seconds\": 60}");
    return 0;
}

static json_t *item_of(const char *id)
{
    char input[256];
    snprintf(input, sizeof input,
             "{\"TableName\":\"stock\",\"ConsistentRead\":true,\"Key\":{\"id\":{\"S\":\"%s\"}}}",
             id);
    json_t *answer = ask_server("GetItem", input);
    json_t *item = json_incref(json_object_get(answer, "Item"));
    json_decref(answer);
    return item;
}

static int units_of(const char *id)
{
    json_t *item = item_of(id);
    const char *units = json_string_value(json_object_get(json_object_get(item, "units"), "N"));
    int number = units != NULL ? atoi(units) : -1;
    json_decref(item);
    return number;
}

static size_t keys_in(const char *id, const char *attribute)
{
    json_t *item = item_of(id);
    size_t count = json_array_size(json_object_get(json_object_get(item, attribute), "SS"));
    json_decref(item);
    return count;
}

static const char *print(const char *format, const char *id)
{
    static char text[1024];
    snprintf(text, sizeof text, format, id);
    return text;
}

#define ADD_ONE                                                                                    \
    "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"%s\"}},\"UpdateExpression\":\"ADD units "   \
    ":one\",\"ExpressionAttributeValues\":{\":one\":{\"N\":\"1\"}}}"
#define TAKE_ONE                                                                                   \
    "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"%s\"}},\"UpdateExpression\":\"SET units = " \
    "units - :one\",\"ConditionExpression\":\"units >= :one\",\"ExpressionAttributeValues\":"      \
    "{\":one\":{\"N\":\"1\"}},\"ReturnValues\":\"UPDATED_NEW\"}"
#define PUT_TEN                                                                                    \
    "{\"TableName\":\"stock\",\"Item\":{\"id\":{\"S\":\"%s\"},\"units\":{\"N\":\"10\"}}}"

static void an_update_that_is_sent_twice_counts_once(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *first = live_run(UPDATE, print(ADD_ONE, "a"));
    assert_done(first, "{}");
    assert_done(live_run_again(first), "{}");
    assert_int_equal(units_of("a"), 1);
    assert_done(live_run(UPDATE, print(ADD_ONE, "a")), "{}");
    assert_int_equal(units_of("a"), 2);
}

static void many_at_once_each_sent_twice_count_once_each(void **state)
{
    (void)state;
    live_skip_where_missing();
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct fake_call *first = live_begin(UPDATE, print(ADD_ONE, "b"));
        live_begin_again(first);
    }
    live_turn_until(0);
    assert_int_equal(units_of("b"), WRITERS);
}

/* Of each that fails as it may be tried again, as Retry does. */
static void retry_until_done(struct fake_call **fakes, uint32_t count)
{
    for (bool again = true; again;) {
        live_turn_until(0);
        again = false;
        for (uint32_t i = 0; i < count; i++)
            if (fakes[i]->is_failed && fakes[i]->retryable) {
                fakes[i] = live_begin_again(fakes[i]);
                again = true;
            }
    }
}

static void answers_that_are_lost_after_the_effect_do_not_count_twice(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_tell(
        "{\"rates\": {\"reset_after\": 0.2, \"reset_before\": 0.1, \"half\": 0.1, \"twice\": 0.1, "
        "\"throttle\": 0.05, \"error\": 0.05}, \"seed\": 11}");
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = live_begin(UPDATE, print(ADD_ONE, "c"));
    retry_until_done(fakes, WRITERS);
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_done(fakes[i], "{}");
    assert_int_equal(units_of("c"), WRITERS);
}

/* What was not there to be taken is a refusal, also of what is sent again. */
static void conditions_hold_exactly_through_faults(void **state)
{
    (void)state;
    live_skip_where_missing();
    assert_done(live_run(PUT, print(PUT_TEN, "d")), "{}");
    live_tell("{\"rates\": {\"reset_after\": 0.2, \"twice\": 0.2}, \"seed\": 5}");
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = live_begin(UPDATE, print(TAKE_ONE, "d"));
    retry_until_done(fakes, WRITERS);
    uint32_t done = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        done += fakes[i]->is_done;
        if (fakes[i]->is_failed)
            assert_failed(fakes[i], false, "DynamoDB.ConditionalCheckFailedException");
    }
    assert_int_equal(done, 10);
    assert_int_equal(units_of("d"), 0);
    live_tell("{\"rates\": {}}");
    for (uint32_t i = 0; i < WRITERS; i++) { /* the engine was killed before it knew */
        struct fake_call *again = live_run_again(fakes[i]);
        assert_int_equal(again->is_done, fakes[i]->is_done);
        if (again->is_done)
            assert_json(again->output, "{\"Attributes\":{\"units\":{\"N\":\"0\"}}}");
    }
    assert_int_equal(units_of("d"), 0);
}

static void an_item_remembers_no_more_than_twice_its_window(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_open(&edge_dynamodb, "{\"idempotency\": {\"keys_max\": 4}}");
    struct fake_call *last[4] = {NULL};
    for (uint32_t i = 0; i < 23; i++) {
        last[i % 4] = live_run(UPDATE, print(ADD_ONE, "e"));
        assert_done(last[i % 4], "{}");
    }
    assert_int_equal(keys_in("e", "flyover_keys"), 3); /* 5 x 4 + 3 */
    assert_int_equal(keys_in("e", "flyover_keys_before"), 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_done(live_run_again(last[i]), "{}");
    assert_int_equal(units_of("e"), 23);
}

static void writers_at_once_get_past_a_small_window(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_open(&edge_dynamodb, "{\"idempotency\": {\"keys_max\": 3}, \"timeout_seconds\": 60}");
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = live_begin(UPDATE, print(ADD_ONE, "f"));
    retry_until_done(fakes, WRITERS);
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_done(fakes[i], "{}");
    assert_int_equal(units_of("f"), WRITERS);
}

static void a_put_that_is_sent_again_does_not_undo_what_came_after(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *put = live_run(PUT, print(PUT_TEN, "g"));
    struct fake_call *add = live_run(UPDATE, print(ADD_ONE, "g"));
    assert_int_equal(units_of("g"), 11);
    assert_done(live_run_again(put), "{}");
    assert_int_equal(units_of("g"), 11);
    /* Another put replaces it, and what was before is still known. */
    assert_done(live_run(PUT, print(PUT_TEN, "g")), "{}");
    assert_int_equal(units_of("g"), 10);
    assert_done(live_run_again(add), "{}");
    assert_done(live_run_again(put), "{}");
    assert_int_equal(units_of("g"), 10);
}

static void puts_at_once_each_sent_twice_carry_all_keys(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *fakes[8];
    for (uint32_t i = 0; i < 8; i++)
        fakes[i] = live_begin(PUT, print(PUT_TEN, "h"));
    retry_until_done(fakes, 8);
    assert_int_equal(keys_in("h", "flyover_keys"), 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_done(live_run_again(fakes[i]), "{}");
    assert_int_equal(keys_in("h", "flyover_keys"), 8);
}

static void a_put_that_must_be_new_is_refused_where_there_is_one(void **state)
{
    (void)state;
    live_skip_where_missing();
    static const char *const input =
        "{\"TableName\":\"stock\",\"Item\":{\"id\":{\"S\":\"i\"}},\"ConditionExpression\":"
        "\"attribute_not_exists(id)\"}";
    struct fake_call *first = live_run(PUT, input);
    assert_done(first, "{}");
    assert_failed(live_run(PUT, input), false, "DynamoDB.ConditionalCheckFailedException");
    assert_done(live_run_again(first), "{}");
}

/* The engine dies while requests are out, and asks again for all of them. */
static void what_is_out_when_the_engine_dies_counts_once(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_tell("{\"next\": [{\"fault\": \"never\", \"times\": 25}]}"); /* but done */
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = live_begin(UPDATE, print(ADD_ONE, "j"));
    live_turn_until(25);
    live_tell("{\"await\": {\"requests\": 40}}");
    live_open(&edge_dynamodb, "{}");
    for (uint32_t i = 0; i < WRITERS; i++)
        live_begin_again(fakes[i]);
    live_turn_until(25); /* those that died are never answered */
    assert_int_equal(units_of("j"), WRITERS);
}

static void a_compensation_counts_once_and_a_late_sending_changes_nothing(void **state)
{
    (void)state;
    live_skip_where_missing();
    assert_done(live_run(PUT, print(PUT_TEN, "k")), "{}");
    struct fake_call *taken = live_run(UPDATE, print(TAKE_ONE, "k"));
    char key[EDGE_KEY_BYTES];
    snprintf(key, sizeof key, "%.60s-c", taken->call.key);
    for (uint32_t i = 0; i < 2; i++) {
        struct fake_call *undone = live_call(UPDATE, key, print(ADD_ONE, "k"));
        live_turn_until(0);
        assert_done(undone, "{}");
    }
    assert_int_equal(units_of("k"), 10);
    assert_true(live_run_again(taken)->is_done);
    assert_int_equal(units_of("k"), 10);
}

static void keys_are_not_seen_by_who_reads(void **state)
{
    (void)state;
    live_skip_where_missing();
    live_run(PUT, print(PUT_TEN, "l"));
    static const char *const whole = "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"l\"}}}";
    assert_done(live_run(GET, whole), "{\"Item\":{\"id\":{\"S\":\"l\"},\"units\":{\"N\":\"10\"}}}");
    assert_done(live_run(DELETE,
                         "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"l\"}},\"ReturnValues\":"
                         "\"ALL_OLD\",\"ConditionExpression\":\"attribute_exists(id)\"}"),
                "{\"Attributes\":{\"id\":{\"S\":\"l\"},\"units\":{\"N\":\"10\"}}}");
    assert_done(live_run(GET, whole), "{}");
    assert_failed(live_run(DELETE, "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"l\"}},"
                                   "\"ConditionExpression\":\"attribute_exists(id)\"}"),
                  false, "DynamoDB.ConditionalCheckFailedException");
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    live_skip_where_missing();
    struct fake_call *fake =
        live_run(GET, "{\"TableName\":\"missing\",\"Key\":{\"id\":{\"S\":\"l\"}}}");
    assert_failed(fake, false, "DynamoDB.ResourceNotFoundException");
    assert_non_null(strstr(fake->cause, "table missing: "));
    assert_non_null(strstr(fake->cause, "create the table in region \"eu-central-1\""));
    fake = live_run(GET, "{\"TableName\":\"stock\",\"Key\":{\"no\":{\"S\":\"l\"}}}");
    assert_failed(fake, false, "DynamoDB.AmazonDynamoDBException");
    assert_non_null(strstr(fake->cause, "ValidationException"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, live_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_update_that_is_sent_twice_counts_once),
        TEST(many_at_once_each_sent_twice_count_once_each),
        TEST(answers_that_are_lost_after_the_effect_do_not_count_twice),
        TEST(conditions_hold_exactly_through_faults),
        TEST(an_item_remembers_no_more_than_twice_its_window),
        TEST(writers_at_once_get_past_a_small_window),
        TEST(a_put_that_is_sent_again_does_not_undo_what_came_after),
        TEST(puts_at_once_each_sent_twice_carry_all_keys),
        TEST(a_put_that_must_be_new_is_refused_where_there_is_one),
        TEST(what_is_out_when_the_engine_dies_counts_once),
        TEST(a_compensation_counts_once_and_a_late_sending_changes_nothing),
        TEST(keys_are_not_seen_by_who_reads),
        TEST(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, start, live_stop);
}
