/* DynamoDB as dynalite has it, without transactions, behind a proxy that makes faults. */
#include "tests/edge/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS 40u

enum { GET, PUT, UPDATE, DELETE };

static struct live live;
static uint32_t keys_made;

static json_t *ask_server(const char *command, const char *input)
{
    return rig_ask("client.mjs", "call", live.server.url, "dynamodb", command, input, NULL);
}

static void tell(const char *line)
{
    json_decref(rig_tell(&live.proxy, line));
}

static int start(void **state)
{
    (void)state;
    if (rig_is_missing(RIG_DYNALITE))
        return 0;
    live_start(&live, RIG_DYNALITE);
    json_decref(ask_server("CreateTable",
                           "{\"TableName\":\"stock\",\"BillingMode\":\"PAY_PER_REQUEST\","
                           "\"KeySchema\":[{\"AttributeName\":\"id\",\"KeyType\":\"HASH\"}],"
                           "\"AttributeDefinitions\":[{\"AttributeName\":\"id\","
                           "\"AttributeType\":\"S\"}]}"));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    live_stop(&live);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    if (live.server.pid != 0)
        live_open(&live, &edge_dynamodb, "{\"timeout_seconds\": 60}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (live.server.pid != 0) {
        tell("{\"rates\": {}, \"next\": []}");
        live_close(&live);
    }
    fake_frame_reset();
    return 0;
}

static void skip_where_missing(void)
{
    if (live.server.pid == 0)
        skip();
}

static void open_again(const char *config)
{
    live_close(&live);
    live_open(&live, &edge_dynamodb, config);
}

/* Another step, or a second sending of `again`. */
static struct fake_call *begin(uint32_t handler, const struct fake_call *again, const char *input)
{
    char key[EDGE_KEY_BYTES];
    if (again == NULL)
        snprintf(key, sizeof key, "4f3a9c0d21b7e865-%u-3", ++keys_made);
    struct fake_call *fake = fake_call_make(handler, again != NULL ? again->call.key : key, input);
    live_call(&live, fake);
    return fake;
}

static struct fake_call *run(uint32_t handler, const struct fake_call *again, const char *input)
{
    struct fake_call *fake = begin(handler, again, input);
    live_run(&live, 0);
    return fake;
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
    skip_where_missing();
    struct fake_call *first = run(UPDATE, NULL, print(ADD_ONE, "a"));
    assert_done(first, "{}");
    assert_done(run(UPDATE, first, print(ADD_ONE, "a")), "{}");
    assert_int_equal(units_of("a"), 1);
    assert_done(run(UPDATE, NULL, print(ADD_ONE, "a")), "{}");
    assert_int_equal(units_of("a"), 2);
}

static void many_at_once_each_sent_twice_count_once_each(void **state)
{
    (void)state;
    skip_where_missing();
    for (uint32_t i = 0; i < WRITERS; i++) {
        struct fake_call *first = begin(UPDATE, NULL, print(ADD_ONE, "b"));
        begin(UPDATE, first, print(ADD_ONE, "b"));
    }
    live_run(&live, 0);
    assert_int_equal(units_of("b"), WRITERS);
}

/* Of each that fails as it may be tried again, as Retry does. */
static void retry_until_done(struct fake_call **fakes, uint32_t count, uint32_t handler,
                             const char *input)
{
    for (bool again = true; again;) {
        live_run(&live, 0);
        again = false;
        for (uint32_t i = 0; i < count; i++)
            if (fakes[i]->is_failed && fakes[i]->retryable) {
                fakes[i] = begin(handler, fakes[i], input);
                again = true;
            }
    }
}

static void answers_that_are_lost_after_the_effect_do_not_count_twice(void **state)
{
    (void)state;
    skip_where_missing();
    tell("{\"rates\": {\"reset_after\": 0.2, \"reset_before\": 0.1, \"half\": 0.1, \"twice\": 0.1, "
         "\"throttle\": 0.05, \"error\": 0.05}, \"seed\": 11}");
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = begin(UPDATE, NULL, print(ADD_ONE, "c"));
    retry_until_done(fakes, WRITERS, UPDATE, print(ADD_ONE, "c"));
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_done(fakes[i], "{}");
    assert_int_equal(units_of("c"), WRITERS);
}

/* What was not there to be taken is a refusal, also of what is sent again. */
static void conditions_hold_exactly_through_faults(void **state)
{
    (void)state;
    skip_where_missing();
    assert_done(run(PUT, NULL, print(PUT_TEN, "d")), "{}");
    tell("{\"rates\": {\"reset_after\": 0.2, \"twice\": 0.2}, \"seed\": 5}");
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = begin(UPDATE, NULL, print(TAKE_ONE, "d"));
    retry_until_done(fakes, WRITERS, UPDATE, print(TAKE_ONE, "d"));
    uint32_t done = 0;
    for (uint32_t i = 0; i < WRITERS; i++) {
        done += fakes[i]->is_done;
        if (fakes[i]->is_failed)
            assert_failed(fakes[i], false, "DynamoDB.ConditionalCheckFailedException");
    }
    assert_int_equal(done, 10);
    assert_int_equal(units_of("d"), 0);
    tell("{\"rates\": {}}");
    for (uint32_t i = 0; i < WRITERS; i++) { /* the engine was killed before it knew */
        struct fake_call *again = run(UPDATE, fakes[i], print(TAKE_ONE, "d"));
        assert_int_equal(again->is_done, fakes[i]->is_done);
        if (again->is_done)
            assert_json(again->output, "{\"Attributes\":{\"units\":{\"N\":\"0\"}}}");
    }
    assert_int_equal(units_of("d"), 0);
}

static void an_item_remembers_no_more_than_twice_its_window(void **state)
{
    (void)state;
    skip_where_missing();
    open_again("{\"idempotency\": {\"keys_max\": 4}}");
    struct fake_call *last[4] = {NULL};
    for (uint32_t i = 0; i < 23; i++) {
        last[i % 4] = run(UPDATE, NULL, print(ADD_ONE, "e"));
        assert_done(last[i % 4], "{}");
    }
    assert_int_equal(keys_in("e", "flyover_keys"), 3); /* 5 x 4 + 3 */
    assert_int_equal(keys_in("e", "flyover_keys_before"), 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_done(run(UPDATE, last[i], print(ADD_ONE, "e")), "{}");
    assert_int_equal(units_of("e"), 23);
}

static void writers_at_once_get_past_a_small_window(void **state)
{
    (void)state;
    skip_where_missing();
    open_again("{\"idempotency\": {\"keys_max\": 3}, \"timeout_seconds\": 60}");
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = begin(UPDATE, NULL, print(ADD_ONE, "f"));
    retry_until_done(fakes, WRITERS, UPDATE, print(ADD_ONE, "f"));
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_done(fakes[i], "{}");
    assert_int_equal(units_of("f"), WRITERS);
}

static void a_put_that_is_sent_again_does_not_undo_what_came_after(void **state)
{
    (void)state;
    skip_where_missing();
    struct fake_call *put = run(PUT, NULL, print(PUT_TEN, "g"));
    struct fake_call *add = run(UPDATE, NULL, print(ADD_ONE, "g"));
    assert_int_equal(units_of("g"), 11);
    assert_done(run(PUT, put, print(PUT_TEN, "g")), "{}");
    assert_int_equal(units_of("g"), 11);
    /* Another put replaces it, and what was before is still known. */
    assert_done(run(PUT, NULL, print(PUT_TEN, "g")), "{}");
    assert_int_equal(units_of("g"), 10);
    assert_done(run(UPDATE, add, print(ADD_ONE, "g")), "{}");
    assert_done(run(PUT, put, print(PUT_TEN, "g")), "{}");
    assert_int_equal(units_of("g"), 10);
}

static void puts_at_once_each_sent_twice_carry_all_keys(void **state)
{
    (void)state;
    skip_where_missing();
    struct fake_call *fakes[8];
    for (uint32_t i = 0; i < 8; i++)
        fakes[i] = begin(PUT, NULL, print(PUT_TEN, "h"));
    retry_until_done(fakes, 8, PUT, print(PUT_TEN, "h"));
    assert_int_equal(keys_in("h", "flyover_keys"), 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_done(run(PUT, fakes[i], print(PUT_TEN, "h")), "{}");
    assert_int_equal(keys_in("h", "flyover_keys"), 8);
}

static void a_put_that_must_be_new_is_refused_where_there_is_one(void **state)
{
    (void)state;
    skip_where_missing();
    static const char *const input =
        "{\"TableName\":\"stock\",\"Item\":{\"id\":{\"S\":\"i\"}},\"ConditionExpression\":"
        "\"attribute_not_exists(id)\"}";
    struct fake_call *first = run(PUT, NULL, input);
    assert_done(first, "{}");
    assert_failed(run(PUT, NULL, input), false, "DynamoDB.ConditionalCheckFailedException");
    assert_done(run(PUT, first, input), "{}");
}

/* The engine dies while requests are out, and asks again for all of them. */
static void what_is_out_when_the_engine_dies_counts_once(void **state)
{
    (void)state;
    skip_where_missing();
    tell("{\"next\": [{\"fault\": \"never\", \"times\": 25}]}"); /* but done */
    struct fake_call *fakes[WRITERS];
    for (uint32_t i = 0; i < WRITERS; i++)
        fakes[i] = begin(UPDATE, NULL, print(ADD_ONE, "j"));
    live_run(&live, 25);
    tell("{\"await\": {\"requests\": 40}}");
    open_again("{}");
    for (uint32_t i = 0; i < WRITERS; i++)
        begin(UPDATE, fakes[i], print(ADD_ONE, "j"));
    live_run(&live, 25); /* those that died are never answered */
    assert_int_equal(units_of("j"), WRITERS);
}

static void a_compensation_counts_once_and_a_late_sending_changes_nothing(void **state)
{
    (void)state;
    skip_where_missing();
    assert_done(run(PUT, NULL, print(PUT_TEN, "k")), "{}");
    struct fake_call *taken = run(UPDATE, NULL, print(TAKE_ONE, "k"));
    char key[EDGE_KEY_BYTES];
    snprintf(key, sizeof key, "%.60s-c", taken->call.key);
    for (uint32_t i = 0; i < 2; i++) {
        struct fake_call *undone = fake_call_make(UPDATE, key, print(ADD_ONE, "k"));
        live_call(&live, undone);
        live_run(&live, 0);
        assert_done(undone, "{}");
    }
    assert_int_equal(units_of("k"), 10);
    assert_true(run(UPDATE, taken, print(TAKE_ONE, "k"))->is_done);
    assert_int_equal(units_of("k"), 10);
}

static void keys_are_not_seen_by_who_reads(void **state)
{
    (void)state;
    skip_where_missing();
    run(PUT, NULL, print(PUT_TEN, "l"));
    static const char *const whole = "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"l\"}}}";
    assert_done(run(GET, NULL, whole),
                "{\"Item\":{\"id\":{\"S\":\"l\"},\"units\":{\"N\":\"10\"}}}");
    assert_done(run(DELETE, NULL,
                    "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"l\"}},\"ReturnValues\":"
                    "\"ALL_OLD\",\"ConditionExpression\":\"attribute_exists(id)\"}"),
                "{\"Attributes\":{\"id\":{\"S\":\"l\"},\"units\":{\"N\":\"10\"}}}");
    assert_done(run(GET, NULL, whole), "{}");
    assert_failed(run(DELETE, NULL,
                      "{\"TableName\":\"stock\",\"Key\":{\"id\":{\"S\":\"l\"}},"
                      "\"ConditionExpression\":\"attribute_exists(id)\"}"),
                  false, "DynamoDB.ConditionalCheckFailedException");
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    skip_where_missing();
    struct fake_call *fake =
        run(GET, NULL, "{\"TableName\":\"missing\",\"Key\":{\"id\":{\"S\":\"l\"}}}");
    assert_failed(fake, false, "DynamoDB.ResourceNotFoundException");
    assert_non_null(strstr(fake->cause, "table missing: "));
    assert_non_null(strstr(fake->cause, "create the table in region \"eu-central-1\""));
    fake = run(GET, NULL, "{\"TableName\":\"stock\",\"Key\":{\"no\":{\"S\":\"l\"}}}");
    assert_failed(fake, false, "DynamoDB.AmazonDynamoDBException");
    assert_non_null(strstr(fake->cause, "ValidationException"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
    return cmocka_run_group_tests(tests, start, stop);
}
