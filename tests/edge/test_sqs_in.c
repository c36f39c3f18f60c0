#include "engine/edge/sqs_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sqs_in_parts.h"
#include "tests/edge/sqs_rig.h"

#define URL   "http://127.0.0.1:4566/000000000000/orders"
#define FIFO  "http://127.0.0.1:4566/000000000000/orders.fifo"
#define OTHER "http://127.0.0.1:4566/000000000000/others"

static void *module;
static const char *redrive; /* the policy of each queue */

static int set_up(void **state)
{
    module = NULL;
    redrive = "{}";
    return rig_set_up(state);
}

static int tear_down(void **state)
{
    rig_cancel();
    if (module)
        edge_sqs_in.close(module);
    return rig_tear_down(state);
}

static void turn(void)
{
    rig_turn(&edge_sqs_in, module);
}

static json_t *attributes(int visibility)
{
    return json_pack("{s:{s:o, s:s, s:s*}}", "Attributes", "VisibilityTimeout",
                     json_sprintf("%d", visibility), "MessageRetentionPeriod", "3600",
                     "RedrivePolicy", redrive);
}

/* Open, with its attributes known, and one receive under way for each queue. */
static void open_with(const char *config)
{
    module = rig_open(&edge_sqs_in, config);
    turn();
    while (rig_find("GetQueueAttributes") >= 0)
        rig_answer_json((uint32_t)rig_find("GetQueueAttributes"), attributes(30));
    turn();
}

static void open_queue(const char *url, const char *fields)
{
    char config[512];
    (void)snprintf(config, sizeof(config), "{\"queues\":[{\"url\":\"%s\",%s}]}", url, fields);
    open_with(config);
}

static json_t *message(int number, const char *body)
{
    return json_pack("{s:o, s:o, s:s}", "MessageId", json_sprintf("id-%d", number), "ReceiptHandle",
                     json_sprintf("receipt-%d", number), "Body", body);
}

static json_t *of_group(int number, const char *group)
{
    json_t *one = message(number, "{}");
    json_object_set_new(one, "Attributes",
                        json_pack("{s:s, s:o}", "MessageGroupId", group, "MessageDeduplicationId",
                                  json_sprintf("d-%d", number)));
    return one;
}

/* The first receive that is under way brings these. */
static void come(json_t *messages)
{
    int at = rig_find("ReceiveMessage");
    assert_true(at >= 0);
    rig_answer_json((uint32_t)at, json_pack("{s:o}", "Messages", messages));
    turn();
}

static void come_one(json_t *one)
{
    json_t *list = json_array();
    json_array_append_new(list, one);
    come(list);
}

static void settle(uint32_t index, enum edge_settlement settlement)
{
    void *handle = rig.messages[index].handle;
    rig.room++;
    edge_sqs_in.on_message_settled(module, handle, settlement, "no such definition");
    turn();
}

static uint32_t count_of(const char *action)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig.requests_count; i++)
        count += strcmp(strchr(rig.requests[i].target, '.') + 1, action) == 0;
    return count;
}

static const json_t *request(const char *action)
{
    int at = rig_find(action);
    assert_true(at >= 0);
    return rig.requests[at].json;
}

static const char *text(const json_t *object, const char *field)
{
    const char *value = json_string_value(json_object_get(object, field));
    return value ? value : "(none)";
}

static int number(const json_t *object, const char *field)
{
    const json_t *value = json_object_get(object, field);
    return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

static const json_t *entry(const char *action, size_t index)
{
    return json_array_get(json_object_get(request(action), "Entries"), index);
}

static size_t entries(const char *action)
{
    return json_array_size(json_object_get(request(action), "Entries"));
}

static void succeed(const char *action)
{
    json_t *successful = json_array();
    for (size_t i = 0; i < entries(action); i++)
        json_array_append_new(successful, json_pack("{s:o}", "Id", json_sprintf("%zu", i)));
    rig_answer_json((uint32_t)rig_find(action), json_pack("{s:o}", "Successful", successful));
    turn();
}

/* ---- a message and its end ---------------------------------------------------------------------
 */

static void a_message_starts_its_definition_and_is_deleted_only_when_that_is_durable(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 10);
    assert_int_equal(number(request("ReceiveMessage"), "WaitTimeSeconds"), 20);
    assert_int_equal(number(request("ReceiveMessage"), "VisibilityTimeout"), -1);
    come_one(message(1, "{\"n\":1}"));
    assert_int_equal(rig.messages_count, 1);
    assert_int_equal(rig.messages[0].kind, EDGE_START);
    assert_string_equal(rig.messages[0].definition, "order");
    assert_string_equal(rig.messages[0].name, "id-1");
    assert_int_equal(number(rig.messages[0].input, "n"), 1);
    assert_int_equal(rig_find("DeleteMessageBatch"), -1);
    settle(0, EDGE_SETTLED);
    assert_string_equal(text(request("DeleteMessageBatch"), "QueueUrl"), URL);
    assert_string_equal(text(entry("DeleteMessageBatch", 0), "ReceiptHandle"), "receipt-1");
    succeed("DeleteMessageBatch");
    assert_int_equal(rig_find("DeleteMessageBatch"), -1);
}

static json_t *many(int first, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, message(first + i, "{}"));
    return list;
}

static void deletes_are_gathered_and_one_that_failed_is_deleted_again_alone(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come(many(1, 10));
    for (uint32_t i = 0; i < 10; i++)
        edge_sqs_in.on_message_settled(module, rig.messages[i].handle, EDGE_SETTLED, "");
    turn();
    assert_int_equal(entries("DeleteMessageBatch"), 10);
    json_t *answer =
        json_loads("{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"},{\"Id\":"
                   "\"3\"},{\"Id\":\"4\"},{\"Id\":\"5\"},{\"Id\":\"6\"},{\"Id\":\"8\"}],"
                   "\"Failed\":[{\"Id\":\"7\",\"SenderFault\":false,\"Code\":\"X\"},"
                   "{\"Id\":\"9\",\"SenderFault\":true,\"Code\":\"Y\"}]}",
                   0, NULL);
    assert_non_null(answer);
    rig_answer_json((uint32_t)rig_find("DeleteMessageBatch"), answer);
    assert_non_null(strstr(rig.log, "sqs_in_not_deleted: message id-10"));
    rig.later_ms = 20000;
    turn();
    assert_int_equal(entries("DeleteMessageBatch"), 1);
    assert_string_equal(text(entry("DeleteMessageBatch", 0), "ReceiptHandle"), "receipt-8");
}

static void a_delete_whose_answer_is_lost_is_asked_again(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come_one(message(1, "{}"));
    settle(0, EDGE_SETTLED);
    rig_lose((uint32_t)rig_find("DeleteMessageBatch"));
    rig.later_ms = 20000;
    turn();
    assert_int_equal(entries("DeleteMessageBatch"), 1);
    succeed("DeleteMessageBatch");
}

static void deletes_that_one_receipt_spoils_are_asked_for_one_by_one(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come(many(1, 2));
    for (uint32_t i = 0; i < 2; i++)
        edge_sqs_in.on_message_settled(module, rig.messages[i].handle, EDGE_SETTLED, "");
    turn();
    rig_fail((uint32_t)rig_find("DeleteMessageBatch"), 400, "ReceiptHandleIsInvalid", false);
    for (int i = 0; i < 2; i++) {
        rig.later_ms += 20000;
        turn();
        assert_int_equal(entries("DeleteMessageBatch"), 1);
        succeed("DeleteMessageBatch");
    }
    assert_null(strstr(rig.log, "sqs_in_not_deleted"));
}

static void what_the_engine_refuses_is_left_to_the_queue(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come_one(message(1, "{}"));
    settle(0, EDGE_REFUSED);
    assert_int_equal(rig_find("DeleteMessageBatch"), -1);
    assert_int_equal(rig_find("ChangeMessageVisibilityBatch"), -1);
    assert_non_null(strstr(rig.log, "message id-1"));
    assert_non_null(strstr(rig.log, "no such definition"));
    assert_int_equal(rig.refused, 0); /* the frame counts it */
}

static void what_the_engine_gives_up_is_kept_and_brought_again(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come_one(message(1, "{\"n\":1}"));
    settle(0, EDGE_GIVEN_UP);
    rig.later_ms = 1000;
    turn();
    assert_int_equal(rig.messages_count, 2);
    assert_int_equal(number(rig.messages[1].input, "n"), 1);
    settle(1, EDGE_SETTLED);
    assert_int_equal(entries("DeleteMessageBatch"), 1);
}

/* ---- room --------------------------------------------------------------------------------------
 */

static void without_room_there_is_no_poll(void **state)
{
    (void)state;
    rig.room = 0;
    open_queue(URL, "\"definition\":\"order\"");
    assert_int_equal(count_of("ReceiveMessage"), 0);
    rig.room = 3;
    turn();
    assert_int_equal(count_of("ReceiveMessage"), 1);
    assert_true(number(request("ReceiveMessage"), "MaxNumberOfMessages") <= 3);
}

static void no_more_is_asked_for_than_there_is_room_for(void **state)
{
    (void)state;
    rig.room = 25;
    open_queue(URL, "\"definition\":\"order\"");
    come(many(1, 10));
    rig.room = 15; /* ten are with the engine */
    int asked = 0;
    for (uint32_t i = 0; i < rig.requests_count; i++)
        asked += number(rig.requests[i].json, "MaxNumberOfMessages");
    assert_int_equal(count_of("ReceiveMessage"), 2);
    assert_int_equal(asked, 15);
}

static void where_room_has_gone_since_nothing_more_is_asked_for(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come(many(1, 10));
    rig.room = 15;
    come(many(11, 10)); /* five are left, and the other poll was asked for ten */
    assert_int_equal(rig.room, 5);
    assert_int_equal(count_of("ReceiveMessage"), 1);
}

static void a_queue_that_is_full_is_asked_more_often_at_once_and_an_idle_one_once(void **state)
{
    (void)state;
    rig.room = 4000;
    open_queue(URL, "\"definition\":\"order\",\"connections\":4");
    assert_int_equal(count_of("ReceiveMessage"), 1);
    come(many(1, 5));
    assert_int_equal(count_of("ReceiveMessage"), 2);
    come(many(11, 10));
    come(many(21, 10));
    come(many(31, 10));
    assert_int_equal(count_of("ReceiveMessage"), 4);
    for (int i = 0; i < 8; i++)
        come(json_array());
    assert_int_equal(count_of("ReceiveMessage"), 1);
}

static void messages_for_which_the_room_has_gone_wait_here(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    rig.room = 0;
    come(many(1, 2));
    assert_int_equal(rig.messages_count, 0);
    rig.room = 10;
    turn();
    assert_int_equal(rig.messages_count, 2);
}

/* ---- visibility --------------------------------------------------------------------------------
 */

static void a_message_that_waits_long_stays_invisible(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come_one(message(1, "{}"));
    turn();
    assert_int_equal(rig_find("ChangeMessageVisibilityBatch"), -1);
    rig.later_ms = 16000;
    turn();
    assert_int_equal(number(entry("ChangeMessageVisibilityBatch", 0), "VisibilityTimeout"), 30);
    assert_string_equal(text(entry("ChangeMessageVisibilityBatch", 0), "ReceiptHandle"),
                        "receipt-1");
    succeed("ChangeMessageVisibilityBatch");
    rig.later_ms = 30000;
    turn();
    assert_int_equal(rig_find("ChangeMessageVisibilityBatch"), -1);
    rig.later_ms = 32000;
    turn();
    assert_int_equal(entries("ChangeMessageVisibilityBatch"), 1);
    /* It may be settled while that is under way. */
    settle(0, EDGE_SETTLED);
    succeed("DeleteMessageBatch");
    succeed("ChangeMessageVisibilityBatch");
}

static void a_receipt_that_is_no_longer_good_is_not_extended_again(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come_one(message(1, "{}"));
    rig.later_ms = 16000;
    turn();
    rig_answer(
        (uint32_t)rig_find("ChangeMessageVisibilityBatch"),
        "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"MessageNotInflight\"}]}");
    rig.later_ms = 60000;
    turn();
    assert_int_equal(rig_find("ChangeMessageVisibilityBatch"), -1);
    settle(0, EDGE_SETTLED);
    assert_int_equal(entries("DeleteMessageBatch"), 1);
}

static void while_an_extension_is_under_way_there_is_nothing_to_do(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    come_one(message(1, "{}"));
    rig.later_ms = 16000;
    turn();
    rig.later_ms = 46000; /* nobody has answered yet */
    turn();
    assert_int_equal(edge_sqs_in.turn(module, NULL, 0), -1);
    succeed("ChangeMessageVisibilityBatch");
    assert_int_equal(entries("ChangeMessageVisibilityBatch"), 1);
    succeed("ChangeMessageVisibilityBatch");
}

static void where_there_is_no_room_there_is_nothing_to_do(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    rig.room = 0;
    come(many(1, 2));
    assert_int_equal(edge_sqs_in.turn(module, NULL, 0), 15000); /* until they are extended */
}

static void a_visibility_that_is_too_short_is_not_taken(void **state)
{
    (void)state;
    module =
        rig_open(&edge_sqs_in, "{\"queues\":[{\"url\":\"" URL "\",\"definition\":\"order\"}]}");
    turn();
    rig_answer_json(0, attributes(0));
    turn();
    assert_int_equal(number(request("ReceiveMessage"), "VisibilityTimeout"), 30);
}

/* ---- FIFO --------------------------------------------------------------------------------------
 */

static json_t *groups(const char *of_each)
{
    json_t *list = json_array();
    for (int i = 0; of_each[i]; i++) {
        const char group[2] = {of_each[i], 0};
        json_array_append_new(list, of_group(i + 1, group));
    }
    return list;
}

/* These have been received so often. */
static json_t *received(json_t *list, const char *times)
{
    size_t at;
    json_t *one;
    json_array_foreach(list, at, one) json_object_set_new(
        json_object_get(one, "Attributes"), "ApproximateReceiveCount", json_string(times));
    return list;
}

/* Its receipts, of all batches until there is none. */
static uint32_t take_back(void)
{
    uint32_t count = 0;
    while (rig_find("ChangeMessageVisibilityBatch") >= 0) {
        for (size_t i = 0; i < entries("ChangeMessageVisibilityBatch"); i++, count++)
            assert_int_equal(number(entry("ChangeMessageVisibilityBatch", i), "VisibilityTimeout"),
                             0);
        succeed("ChangeMessageVisibilityBatch");
    }
    return count;
}

static void of_a_group_one_message_at_a_time_is_with_the_engine(void **state)
{
    (void)state;
    open_queue(FIFO, "\"definition\":\"order\"");
    assert_string_not_equal(text(request("ReceiveMessage"), "ReceiveRequestAttemptId"), "(none)");
    come(groups("abab"));
    assert_int_equal(rig.messages_count, 2);
    assert_string_equal(rig.messages[0].name, "orders.fifo/d-1");
    assert_string_equal(rig.messages[1].name, "orders.fifo/d-2");
    settle(1, EDGE_SETTLED);
    assert_int_equal(rig.messages_count, 3);
    assert_string_equal(rig.messages[2].name, "orders.fifo/d-4");
    settle(0, EDGE_SETTLED);
    assert_string_equal(rig.messages[3].name, "orders.fifo/d-3");
}

static void behind_one_that_the_engine_refuses_its_group_is_given_back(void **state)
{
    (void)state;
    open_queue(FIFO, "\"definition\":\"order\"");
    come(groups("aaba"));
    settle(0, EDGE_REFUSED);
    assert_int_equal(rig.messages_count, 2); /* d-1 and d-3 */
    json_t *seen = json_array();
    while (rig_find("ChangeMessageVisibilityBatch") >= 0) {
        for (size_t i = 0; i < entries("ChangeMessageVisibilityBatch"); i++) {
            assert_int_equal(number(entry("ChangeMessageVisibilityBatch", i), "VisibilityTimeout"),
                             0);
            json_array_append_new(
                seen, json_string(text(entry("ChangeMessageVisibilityBatch", i), "ReceiptHandle")));
        }
        succeed("ChangeMessageVisibilityBatch");
    }
    assert_int_equal(json_array_size(seen), 2);
    assert_string_equal(json_string_value(json_array_get(seen, 0)), "receipt-2");
    assert_string_equal(json_string_value(json_array_get(seen, 1)), "receipt-4");
    json_decref(seen);
    assert_int_equal(rig_find("DeleteMessageBatch"), -1);
}

static void behind_one_that_cannot_be_a_start_its_group_is_given_back(void **state)
{
    (void)state;
    open_queue(FIFO, "\"definition\":\"order\"");
    json_t *list = groups("aab");
    json_object_set_new(json_array_get(list, 0), "Body", json_string("no json"));
    come(list);
    assert_int_equal(rig.messages_count, 1);
    assert_string_equal(rig.messages[0].name, "orders.fifo/d-3");
    assert_int_equal(entries("ChangeMessageVisibilityBatch"), 1);
    assert_string_equal(text(entry("ChangeMessageVisibilityBatch", 0), "ReceiptHandle"),
                        "receipt-2");
    succeed("ChangeMessageVisibilityBatch");
}

static void behind_one_that_is_given_up_its_group_waits(void **state)
{
    (void)state;
    open_queue(FIFO, "\"definition\":\"order\"");
    come(groups("aa"));
    settle(0, EDGE_GIVEN_UP);
    rig.later_ms = 1000;
    turn();
    assert_int_equal(rig.messages_count, 2);
    assert_string_equal(rig.messages[1].name, "orders.fifo/d-1");
    settle(1, EDGE_SETTLED);
    assert_string_equal(rig.messages[2].name, "orders.fifo/d-2");
}

static void behind_one_that_is_refused_for_the_last_time_its_group_goes_on(void **state)
{
    (void)state;
    redrive = "{\"maxReceiveCount\":\"3\"}";
    open_queue(FIFO, "\"definition\":\"order\"");
    for (uint32_t i = 0; i < 2; i++) {
        come(received(groups("aa"), i == 0 ? "1" : "2"));
        settle(i, EDGE_REFUSED);
        assert_int_equal(take_back(), 1);
        assert_int_equal(rig.messages_count, i + 1);
    }
    come(received(groups("aaa"), "3"));
    settle(2, EDGE_REFUSED);
    assert_int_equal(rig.messages_count, 4);
    assert_string_equal(rig.messages[3].name, "orders.fifo/d-2");
    settle(3, EDGE_SETTLED);
    assert_string_equal(rig.messages[4].name, "orders.fifo/d-3");
    settle(4, EDGE_SETTLED);
    assert_int_equal(take_back(), 0);
    assert_int_equal(rig.refused, 0);
}

static void behind_one_that_cannot_be_a_start_its_group_goes_on_at_the_last_time(void **state)
{
    (void)state;
    redrive = "{\"maxReceiveCount\":2}";
    open_queue(FIFO, "\"definition\":\"order\"");
    for (int i = 1; i <= 2; i++) {
        json_t *list = received(groups("aa"), i == 1 ? "1" : "2");
        json_object_set_new(json_array_get(list, 0), "Body", json_string("no json"));
        come(list);
        assert_int_equal(take_back(), i == 1);
    }
    assert_int_equal(rig.messages_count, 1);
    assert_string_equal(rig.messages[0].name, "orders.fifo/d-2");
}

static void where_nothing_is_moved_away_a_group_waits_behind_a_bad_one(void **state)
{
    (void)state;
    redrive = NULL;
    open_queue(FIFO, "\"definition\":\"order\"");
    assert_non_null(strstr(rig.log, "those behind it in its group wait"));
    come(received(groups("aa"), "1000"));
    settle(0, EDGE_REFUSED);
    assert_int_equal(take_back(), 1);
    assert_int_equal(rig.messages_count, 1);
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 10);
}

static void while_a_bad_one_of_an_unknown_policy_is_about_messages_come_singly(void **state)
{
    (void)state;
    open_queue(FIFO, "\"definition\":\"order\",\"connections\":1");
    come(received(groups("aa"), "1"));
    settle(0, EDGE_REFUSED);
    assert_int_equal(take_back(), 1);
    come(json_array()); /* was asked for before that was known */
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 1);
    rig.later_ms = 59000;
    come(received(groups("a"), "2"));
    settle(1, EDGE_REFUSED);
    come(json_array());
    rig.later_ms = 118000;
    come(json_array());
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 1);
    rig.later_ms = 120000;
    come(json_array());
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 10);
}

static void of_a_known_policy_only_for_the_last_time_messages_come_singly(void **state)
{
    (void)state;
    redrive = "{\"maxReceiveCount\":3}";
    open_queue(FIFO, "\"definition\":\"order\",\"connections\":1");
    come(received(groups("a"), "1"));
    settle(0, EDGE_REFUSED);
    come(json_array());
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 10);
    come(received(groups("a"), "2"));
    settle(1, EDGE_REFUSED);
    come(json_array());
    assert_int_equal(number(request("ReceiveMessage"), "MaxNumberOfMessages"), 1);
}

static void where_a_group_waits_the_policy_is_asked_for_again(void **state)
{
    (void)state;
    redrive = NULL;
    open_queue(FIFO, "\"definition\":\"order\"");
    come(received(groups("a"), "1"));
    settle(0, EDGE_REFUSED);
    assert_int_equal(count_of("GetQueueAttributes"), 0);
    rig.later_ms = 61000;
    come(received(groups("aa"), "2"));
    settle(1, EDGE_REFUSED);
    assert_int_equal(take_back(), 1);
    rig.log[0] = 0;
    rig_answer_json((uint32_t)rig_find("GetQueueAttributes"), attributes(30));
    assert_string_equal(rig.log, ""); /* it was said at the start */
    rig.later_ms = 122000;
    come(received(groups("aa"), "3"));
    settle(2, EDGE_REFUSED);
    assert_int_equal(take_back(), 1);
    redrive = "{\"maxReceiveCount\":4}";
    rig_answer_json((uint32_t)rig_find("GetQueueAttributes"), attributes(30));
    come(received(groups("aa"), "4"));
    settle(3, EDGE_REFUSED);
    assert_int_equal(rig.messages_count, 5);
    settle(4, EDGE_SETTLED);
}

static void one_whose_input_can_be_no_payload_gives_back_its_group(void **state)
{
    (void)state;
    open_queue(FIFO, "\"definition\":\"order\"");
    rig.bring_status = STATUS_TOO_LARGE;
    come(groups("aab"));
    assert_int_equal(rig.messages_count, 0);
    assert_non_null(strstr(rig.log, "it can be no payload"));
    assert_int_equal(entries("ChangeMessageVisibilityBatch"), 1);
    succeed("ChangeMessageVisibilityBatch");
}

/* ---- what a message says -----------------------------------------------------------------------
 */

static void what_cannot_be_a_start_is_left_to_the_queue_by_name(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"hello", "not JSON"},
        {"", "not JSON"},
        {"{\"a\":1,\"a\":2}", "not JSON"},
        {"[\"software.amazon.payloadoffloading.PayloadS3Pointer\",{\"s3BucketName\":\"b\","
         "\"s3Key\":"
         "\"k\"}]",
         "software.amazon.payloadoffloading.PayloadS3Pointer"},
        {"[\"com.amazon.sqs.javamessaging.MessageS3Pointer\",{}]", "MessageS3Pointer"},
    };
    open_queue(URL, "\"definition\":\"order\"");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rig.log[0] = 0;
        come_one(message((int)i, wrong[i][0]));
        if (!strstr(rig.log, wrong[i][1]) || !strstr(rig.log, "message id-"))
            fail_msg("%s: %s", wrong[i][0], rig.log);
    }
    assert_int_equal(rig.messages_count, 0);
    assert_int_equal(rig_find("DeleteMessageBatch"), -1);
    assert_int_equal(rig_find("ChangeMessageVisibilityBatch"), -1);
    assert_non_null(strstr(rig.log, "(5 so far)"));
    assert_int_equal(rig.refused, 5);
}

static void a_body_that_was_damaged_on_its_way_is_not_taken(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    json_t *damaged = message(1, "{\"n\":2}");
    json_object_set_new(damaged, "MD5OfBody", json_string("0123456789abcdef0123456789abcdef"));
    come_one(damaged);
    assert_int_equal(rig.messages_count, 0);
    assert_non_null(strstr(rig.log, "MD5"));
    json_t *whole = message(2, "hello");
    json_object_set_new(whole, "Body", json_string("{}"));
    json_object_set_new(whole, "MD5OfBody", json_string("99914b932bd37a50b983c5e7c90ae93b"));
    come_one(whole);
    assert_int_equal(rig.messages_count, 1);
}

static json_t *attribute(const char *type, const char *value)
{
    return json_pack("{s:s, s:s}", "DataType", type, "StringValue", value);
}

static json_t *with_attributes(int count)
{
    json_t *one = message(1, "{\"n\":1}"), *all = json_object();
    for (int i = count; i > 0; i--) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        json_object_set_new(all, name, attribute(i == 1 ? "Number" : "String", "12"));
    }
    json_object_set_new(one, "MessageAttributes", all);
    json_object_set_new(
        one, "Attributes",
        json_pack("{s:s, s:s}", "SentTimestamp", "1700000000000", "ApproximateReceiveCount", "3"));
    return one;
}

static void attributes_are_available_and_are_the_same_each_time(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"attributes\":true");
    assert_non_null(json_object_get(request("ReceiveMessage"), "MessageAttributeNames"));
    come_one(with_attributes(2));
    char *input = json_dumps(rig.messages[0].input, JSON_COMPACT);
    assert_string_equal(input, "{\"body\":{\"n\":1},\"attributes\":{\"n1\":12,\"n2\":\"12\"},"
                               "\"messageId\":\"id-1\",\"sentTimestamp\":1700000000000}");
    free(input);
}

static json_t *ten_messages(int first)
{
    json_t *list = json_array();
    for (int i = 0; i < 10; i++)
        json_array_append_new(list, message(first + i, "{}"));
    return list;
}

static void nothing_is_received_while_many_wait_to_be_deleted(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"connections\":1");
    int came = 0;
    for (; rig_find("ReceiveMessage") >= 0 && came < 2000; came += 10) {
        come(ten_messages(came));
        for (uint32_t i = 0; i < 10; i++)
            settle(rig.messages_count - 10 + i, EDGE_SETTLED);
    }
    assert_in_range(came, SQS_IN_DELETING_MAX, SQS_IN_DELETING_MAX + 20);
    while (rig_find("ReceiveMessage") < 0) {
        assert_true(rig_find("DeleteMessageBatch") >= 0);
        rig_answer((uint32_t)rig_find("DeleteMessageBatch"),
                   "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"},{\"Id\":\"3\"},"
                   "{\"Id\":\"4\"},{\"Id\":\"5\"},{\"Id\":\"6\"},{\"Id\":\"7\"},{\"Id\":\"8\"},"
                   "{\"Id\":\"9\"}]}");
        turn();
    }
}

static void assert_asks_for(const char *url, const char *more, const char *names)
{
    open_queue(url, more);
    json_t *asked = json_object_get(request("ReceiveMessage"), "AttributeNames");
    char *text = asked ? json_dumps(asked, JSON_COMPACT) : NULL;
    assert_string_equal(text ? text : "", names);
    free(text);
    rig_cancel();
    edge_sqs_in.close(module);
    module = NULL;
}

static void a_receive_asks_for_no_more_attributes_than_are_read(void **state)
{
    (void)state;
    assert_asks_for(URL, "\"definition\":\"order\"", "");
    assert_asks_for(URL, "\"definition\":\"order\",\"attributes\":true",
                    "[\"MessageGroupId\",\"MessageDeduplicationId\",\"SentTimestamp\"]");
    assert_asks_for(FIFO, "\"definition\":\"order\"",
                    "[\"MessageGroupId\",\"MessageDeduplicationId\",\"ApproximateReceiveCount\"]");
    assert_asks_for(FIFO, "\"definition\":\"order\",\"name\":\"message-id\"",
                    "[\"MessageGroupId\",\"ApproximateReceiveCount\"]");
}

static void what_is_sent_again_is_the_same_by_its_name(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"attributes\":true,\"name\":\"$.n\"");
    for (int i = 0; i < 2; i++) {
        json_t *one = with_attributes(1), *system = json_object_get(one, "Attributes");
        json_object_set_new(one, "MessageId", json_sprintf("id-%d", i));
        json_object_set_new(system, "SentTimestamp", json_sprintf("170000000000%d", i));
        json_object_set_new(system, "MessageDeduplicationId", json_sprintf("d-%d", i));
        come_one(one);
    }
    assert_int_equal(rig.messages_count, 2);
    assert_string_equal(rig.messages[0].name, rig.messages[1].name);
    assert_true(json_equal(rig.messages[0].input, rig.messages[1].input));
}

static void a_bomb_of_attributes_is_refused(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"attributes\":true");
    come_one(with_attributes(11));
    assert_int_equal(rig.messages_count, 0);
    assert_non_null(strstr(rig.log, "11 attributes"));
}

static void a_message_is_known_by_what_the_section_says(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"name\":\"$.order.ids[1]\"");
    come_one(message(1, "{\"order\":{\"ids\":[\"x\",4711]}}"));
    assert_string_equal(rig.messages[0].name, "4711");
    come_one(message(2, "{\"order\":{\"ids\":[\"x\"]}}"));
    assert_int_equal(rig.messages_count, 1);
    assert_non_null(strstr(rig.log, "$.order.ids[1]"));
}

static void a_message_is_known_by_an_attribute(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"name\":\"attribute:n2\"");
    come_one(with_attributes(2));
    assert_string_equal(rig.messages[0].name, "12");
    assert_int_equal(number(rig.messages[0].input, "n"), 1);
}

static void a_notification_of_sns_is_opened(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"sns_envelope\":true");
    come_one(message(1,
                     "{\"Type\":\"Notification\",\"MessageId\":\"sns-1\",\"Message\":\"{\\\"n\\\":"
                     "5}\"}"));
    assert_int_equal(number(rig.messages[0].input, "n"), 5);
    assert_string_equal(rig.messages[0].name, "sns-1");
    come_one(message(2, "{\"n\":1}"));
    assert_non_null(strstr(rig.log, "sns_envelope"));
}

static void attributes_of_a_notification_are_available(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"sns_envelope\":true,\"attributes\":true");
    come_one(message(1,
                     "{\"Type\":\"Notification\",\"Message\":\"1\",\"MessageAttributes\":{\"b\":"
                     "{\"Type\":\"Number\",\"Value\":\"2\"},\"a\":{\"Type\":\"String\",\"Value\":"
                     "\"x\"}}}"));
    char *input = json_dumps(rig.messages[0].input, JSON_COMPACT);
    assert_string_equal(input,
                        "{\"body\":1,\"attributes\":{\"a\":\"x\",\"b\":2},\"messageId\":\"id-1\"}");
    free(input);
}

static void a_notification_that_sns_delivers_twice_is_the_same_input(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\",\"sns_envelope\":true,\"attributes\":true");
    for (int i = 1; i <= 2; i++) {
        json_t *one =
            message(i, "{\"Type\":\"Notification\",\"MessageId\":\"sns-1\",\"Message\":\"5\"}");
        json_object_set_new(one, "Attributes",
                            json_pack("{s:o}", "SentTimestamp", json_sprintf("170000000000%d", i)));
        come_one(one);
    }
    assert_int_equal(rig.messages_count, 2);
    assert_true(json_equal(rig.messages[0].input, rig.messages[1].input));
}

static void polls_that_fail_together_are_one_failure(void **state)
{
    (void)state;
    rig.room = 4000;
    open_queue(URL, "\"definition\":\"order\",\"connections\":4");
    for (int i = 0; i < 4; i++)
        come(many(10 * i, 10));
    assert_int_equal(count_of("ReceiveMessage"), 4);
    while (rig_find("ReceiveMessage") >= 0)
        rig_fail((uint32_t)rig_find("ReceiveMessage"), 500, "InternalError", true);
    assert_non_null(strstr(rig.log, "failed 1 times"));
    assert_null(strstr(rig.log, "failed 2 times"));
}

static void a_message_signals_a_saga(void **state)
{
    (void)state;
    open_queue(URL, "\"signal\":{\"name\":\"$.what\",\"saga\":\"$.id\"}");
    come_one(message(1, "{\"what\":\"approved\",\"id\":\"42\"}"));
    assert_int_equal(rig.messages[0].kind, EDGE_SIGNAL);
    assert_string_equal(rig.messages[0].name, "approved");
    assert_int_equal(rig.messages[0].saga_id, 42);
    come_one(message(2, "{\"what\":\"approved\",\"id\":\"x\"}"));
    come_one(message(3, "{\"id\":3}"));
    assert_int_equal(rig.messages_count, 1);
}

#define SIGNAL  "\"signal\":{\"name\":\"approved\",\"saga\":\"$.id\"}"
#define TO_SAGA "{\"id\":42}"

static void a_signal_that_comes_again_is_deleted_and_not_sent_again(void **state)
{
    (void)state;
    open_queue(URL, SIGNAL);
    come_one(message(1, TO_SAGA));
    settle(0, EDGE_SETTLED);
    succeed("DeleteMessageBatch");
    json_t *again = message(1, TO_SAGA);
    json_object_set_new(again, "ReceiptHandle", json_string("another"));
    come_one(again);
    assert_int_equal(rig.messages_count, 1);
    assert_string_equal(text(entry("DeleteMessageBatch", 0), "ReceiptHandle"), "another");
    succeed("DeleteMessageBatch");
    come_one(message(2, TO_SAGA));
    assert_int_equal(rig.messages_count, 2);
}

static void a_signal_that_comes_again_while_it_is_sent_waits_for_that(void **state)
{
    (void)state;
    open_queue(URL, SIGNAL);
    come_one(message(1, TO_SAGA));
    come_one(message(1, TO_SAGA));
    assert_int_equal(rig.messages_count, 1);
    settle(0, EDGE_SETTLED);
    assert_int_equal(rig.messages_count, 1);
    succeed("DeleteMessageBatch");
    if (rig_find("DeleteMessageBatch") >= 0)
        succeed("DeleteMessageBatch");
    assert_non_null(strstr(rig.log, "sqs_in_again: message id-1"));
}

static void a_signal_that_was_refused_and_comes_again_is_tried_again(void **state)
{
    (void)state;
    open_queue(URL, SIGNAL);
    come_one(message(1, TO_SAGA));
    come_one(message(1, TO_SAGA));
    settle(0, EDGE_REFUSED);
    assert_int_equal(rig.messages_count, 2);
    assert_int_equal(rig_find("ChangeMessageVisibilityBatch"), -1);
    settle(1, EDGE_SETTLED);
    assert_int_equal(entries("DeleteMessageBatch"), 1);
}

static void a_notification_that_comes_as_two_messages_is_one_signal(void **state)
{
    (void)state;
    open_queue(URL, SIGNAL ",\"sns_envelope\":true");
    for (int i = 1; i <= 2; i++) {
        come_one(message(i, "{\"Type\":\"Notification\",\"MessageId\":\"sns-1\",\"Message\":"
                            "\"{\\\"id\\\":42}\"}"));
        if (i == 1)
            settle(0, EDGE_SETTLED);
    }
    assert_int_equal(rig.messages_count, 1);
}

/* One message after another, each settled and deleted. */
static void signal_many(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        come_one(message(i, TO_SAGA));
        settle(0, EDGE_SETTLED);
        json_decref(rig.messages[0].input);
        rig.messages_count = 0;
        succeed("DeleteMessageBatch");
    }
}

static void of_signals_the_last_ones_are_known_and_those_that_could_not_be_deleted(void **state)
{
    (void)state;
    open_queue(URL, SIGNAL);
    come_one(message(0, TO_SAGA));
    settle(0, EDGE_SETTLED);
    json_decref(rig.messages[0].input);
    rig.messages_count = 0;
    rig_answer((uint32_t)rig_find("DeleteMessageBatch"),
               "{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":true,\"Code\":\"X\"}]}");
    signal_many(1, SQS_IN_KNOWN_MAX + 1);
    come_one(message(0, TO_SAGA)); /* its deletion failed */
    come_one(message(2, TO_SAGA)); /* the oldest that is known */
    assert_int_equal(rig.messages_count, 0);
    come_one(message(1, TO_SAGA)); /* the youngest that is not */
    assert_int_equal(rig.messages_count, 1);
    while (rig_find("DeleteMessageBatch") >= 0)
        succeed("DeleteMessageBatch");
}

static void of_ids_the_last_ones_are_known_however_many_there_were(void **state)
{
    (void)state;
    struct sqs_known *known = NULL;
    char id[16];
    assert_false(sqs_known_has(known, "0"));
    for (uint32_t i = 0; i < 3 * SQS_IN_KNOWN_MAX + 7; i++) {
        (void)snprintf(id, sizeof(id), "%u", i);
        sqs_known_add(&known, id);
        sqs_known_add(&known, id); /* counts once */
    }
    for (uint32_t i = 0; i < 3 * SQS_IN_KNOWN_MAX + 7; i++) {
        (void)snprintf(id, sizeof(id), "%u", i);
        assert_int_equal(sqs_known_has(known, id), i >= 2 * SQS_IN_KNOWN_MAX + 7);
    }
    free(known);
}

static void a_message_ends_a_step_by_its_token(void **state)
{
    (void)state;
    open_queue(URL, "\"reply\":true");
    come_one(message(1, "{\"TaskToken\":\"t-1\",\"Output\":{\"n\":1}}"));
    assert_int_equal(rig.messages[0].kind, EDGE_ANSWER);
    assert_string_equal(rig.messages[0].token, "t-1");
    assert_int_equal(number(rig.messages[0].input, "n"), 1);
    come_one(message(2, "{\"TaskToken\":\"t-2\",\"Error\":\"E\",\"Cause\":\"c\"}"));
    assert_string_equal(rig.messages[1].error, "E");
    assert_string_equal(rig.messages[1].cause, "c");
    come_one(message(3, "{\"Output\":1}"));
    come_one(message(4, "{\"TaskToken\":\"t\"}"));
    assert_int_equal(rig.messages_count, 2);
}

/* ---- queues that fail --------------------------------------------------------------------------
 */

static void a_queue_that_fails_rests_and_the_others_go_on(void **state)
{
    (void)state;
    open_with("{\"queues\":[{\"url\":\"" URL "\",\"definition\":\"order\"},{\"url\":\"" OTHER
              "\",\"definition\":\"other\"}]}");
    assert_int_equal(count_of("ReceiveMessage"), 2);
    assert_string_equal(text(rig.requests[0].json, "QueueUrl"), URL);
    rig_fail(0, 403, "AccessDenied", false);
    assert_non_null(strstr(rig.log, "sqs:ReceiveMessage"));
    turn();
    assert_int_equal(count_of("ReceiveMessage"), 1);
    come_one(message(1, "{}"));
    assert_string_equal(rig.messages[0].definition, "other");
    assert_string_equal(text(request("ReceiveMessage"), "QueueUrl"), OTHER);
    rig.later_ms = 60000;
    turn();
    assert_int_equal(count_of("ReceiveMessage"), 2);
    assert_string_equal(text(rig.requests[1].json, "QueueUrl"), URL);
    rig_answer(1, "{}");
    assert_non_null(strstr(rig.log, "sqs_in_queue_back"));
}

static void a_queue_that_does_not_exist_is_asked_for_again_with_its_attributes(void **state)
{
    (void)state;
    module =
        rig_open(&edge_sqs_in, "{\"queues\":[{\"url\":\"" URL "\",\"definition\":\"order\"}]}");
    turn();
    rig_fail(0, 400, "QueueDoesNotExist", false);
    assert_non_null(strstr(rig.log, "no such queue"));
    turn();
    assert_int_equal(rig.requests_count, 0);
    rig.later_ms = 60000;
    turn();
    assert_int_equal(rig.requests_count, 1);
    rig_answer_json((uint32_t)rig_find("GetQueueAttributes"), attributes(30));
    turn();
    assert_int_equal(count_of("ReceiveMessage"), 1);
}

static void a_queue_that_is_made_anew_is_asked_what_it_is(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    rig_fail((uint32_t)rig_find("ReceiveMessage"), 400, "QueueDoesNotExist", false);
    rig.later_ms = 60000;
    turn();
    assert_int_equal(count_of("GetQueueAttributes"), 1);
    assert_int_equal(count_of("ReceiveMessage"), 0);
}

static void a_failure_is_said_ever_more_rarely(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    for (int i = 0; i < 64; i++) {
        rig_fail((uint32_t)rig_find("ReceiveMessage"), 500, "InternalError", true);
        rig.later_ms += 61000;
        turn();
    }
    int lines = 0;
    for (const char *at = rig.log; (at = strstr(at, "sqs_in_queue_fails")); at++)
        lines++;
    assert_int_equal(lines, 7); /* 1, 2, 4, ..., 64 */
}

static void attributes_that_may_not_be_asked_for_are_done_without(void **state)
{
    (void)state;
    module =
        rig_open(&edge_sqs_in, "{\"queues\":[{\"url\":\"" URL "\",\"definition\":\"order\"}]}");
    turn();
    rig_fail(0, 403, "AccessDeniedException", false);
    turn();
    assert_int_equal(number(request("ReceiveMessage"), "VisibilityTimeout"), 30);
    assert_non_null(strstr(rig.log, "sqs:GetQueueAttributes"));
}

static void what_could_surprise_is_said_at_the_start(void **state)
{
    (void)state;
    module =
        rig_open(&edge_sqs_in, "{\"queues\":[{\"url\":\"" FIFO "\",\"definition\":\"order\"}]}");
    turn();
    rig_answer(0, "{\"Attributes\":{\"VisibilityTimeout\":\"30\",\"MessageRetentionPeriod\":"
                  "\"345600\",\"ContentBasedDeduplication\":\"true\"}}");
    assert_non_null(strstr(rig.log, "96.0 hours, and the engine names for 24.0"));
    assert_non_null(strstr(rig.log, "RedrivePolicy"));
    assert_non_null(strstr(rig.log, "name: message-id"));
}

/* ---- the end -----------------------------------------------------------------------------------
 */

static void a_drain_gives_back_what_waits_and_ends_what_is_out(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    rig.room = 1;
    come(many(1, 2));
    assert_int_equal(rig.messages_count, 1);
    assert_false(edge_sqs_in.drain(module));
    turn();
    assert_int_equal(number(entry("ChangeMessageVisibilityBatch", 0), "VisibilityTimeout"), 0);
    assert_string_equal(text(entry("ChangeMessageVisibilityBatch", 0), "ReceiptHandle"),
                        "receipt-2");
    succeed("ChangeMessageVisibilityBatch");
    settle(0, EDGE_SETTLED);
    succeed("DeleteMessageBatch");
    assert_int_equal(count_of("ReceiveMessage"), 0);
    assert_true(edge_sqs_in.drain(module));
}

static void a_drain_gives_back_what_still_comes_but_does_not_wait_for_an_idle_poll(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    assert_false(edge_sqs_in.drain(module));
    come(many(1, 1));
    assert_int_equal(rig.messages_count, 0);
    assert_false(edge_sqs_in.drain(module));
    succeed("ChangeMessageVisibilityBatch");
    assert_true(edge_sqs_in.drain(module));
}

static void a_drain_ends_although_a_poll_is_under_way(void **state)
{
    (void)state;
    open_queue(URL, "\"definition\":\"order\"");
    assert_false(edge_sqs_in.drain(module));
    rig.later_ms = 2000;
    assert_true(edge_sqs_in.drain(module));
    rig_answer(0, "{}");
}

static void a_wrong_section_is_refused_by_path(void **state)
{
    (void)state;
#define Q "{\"queues\":[{\"url\":\"" URL "\","
    static const char *const wrong[][2] = {
        {"{}", "sqs_in.queues"},
        {"{\"queues\":[]}", "sqs_in.queues"},
        {"{\"queues\":[{\"definition\":\"order\"}]}", "sqs_in.queues[0].url"},
        {"{\"queues\":[{\"url\":\"orders\",\"definition\":\"order\"}]}", "sqs_in.queues[0].url"},
        {Q "\"colour\":1}]}", "sqs_in.queues[0].colour"},
        {Q "\"wait_seconds\":1}]}", "sqs_in.queues[0]: say what"},
        {Q "\"definition\":\"order\",\"reply\":true}]}", "sqs_in.queues[0]: say what"},
        {Q "\"definition\":\"order\",\"wait_seconds\":21}]}", "sqs_in.queues[0].wait_seconds"},
        {Q "\"definition\":\"order\",\"visibility_seconds\":4}]}", "visibility_seconds"},
        {Q "\"definition\":\"order\",\"connections\":\"x\"}]}", "sqs_in.queues[0].connections"},
        {Q "\"definition\":\"order\",\"name\":\"order.id\"}]}", "sqs_in.queues[0].name"},
        {Q "\"definition\":\"order\",\"name\":\"deduplication-id\"}]}", "sqs_in.queues[0].name"},
        {Q "\"signal\":{\"name\":\"x\"}}]}", "sqs_in.queues[0].signal.saga"},
        {Q "\"signal\":{\"saga\":\"$.x\"}}]}", "sqs_in.queues[0].signal.name"},
        {Q "\"definition\":\"a\"},{\"url\":\"" URL "\",\"definition\":\"b\"}]}", "the same queue"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *sentence = rig_refused(&edge_sqs_in, wrong[i][0]);
        if (!strstr(sentence, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], sentence);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_message_starts_its_definition_and_is_deleted_only_when_that_is_durable),
        TEST(deletes_are_gathered_and_one_that_failed_is_deleted_again_alone),
        TEST(a_delete_whose_answer_is_lost_is_asked_again),
        TEST(what_the_engine_refuses_is_left_to_the_queue),
        TEST(what_the_engine_gives_up_is_kept_and_brought_again),
        TEST(without_room_there_is_no_poll),
        TEST(no_more_is_asked_for_than_there_is_room_for),
        TEST(where_room_has_gone_since_nothing_more_is_asked_for),
        TEST(deletes_that_one_receipt_spoils_are_asked_for_one_by_one),
        TEST(a_queue_that_is_made_anew_is_asked_what_it_is),
        TEST(a_queue_that_is_full_is_asked_more_often_at_once_and_an_idle_one_once),
        TEST(messages_for_which_the_room_has_gone_wait_here),
        TEST(a_message_that_waits_long_stays_invisible),
        TEST(a_receipt_that_is_no_longer_good_is_not_extended_again),
        TEST(while_an_extension_is_under_way_there_is_nothing_to_do),
        TEST(where_there_is_no_room_there_is_nothing_to_do),
        TEST(a_visibility_that_is_too_short_is_not_taken),
        TEST(of_a_group_one_message_at_a_time_is_with_the_engine),
        TEST(behind_one_that_the_engine_refuses_its_group_is_given_back),
        TEST(behind_one_that_cannot_be_a_start_its_group_is_given_back),
        TEST(behind_one_that_is_given_up_its_group_waits),
        TEST(behind_one_that_is_refused_for_the_last_time_its_group_goes_on),
        TEST(behind_one_that_cannot_be_a_start_its_group_goes_on_at_the_last_time),
        TEST(where_nothing_is_moved_away_a_group_waits_behind_a_bad_one),
        TEST(while_a_bad_one_of_an_unknown_policy_is_about_messages_come_singly),
        TEST(of_a_known_policy_only_for_the_last_time_messages_come_singly),
        TEST(where_a_group_waits_the_policy_is_asked_for_again),
        TEST(one_whose_input_can_be_no_payload_gives_back_its_group),
        TEST(what_cannot_be_a_start_is_left_to_the_queue_by_name),
        TEST(a_body_that_was_damaged_on_its_way_is_not_taken),
        TEST(attributes_are_available_and_are_the_same_each_time),
        TEST(nothing_is_received_while_many_wait_to_be_deleted),
        TEST(a_receive_asks_for_no_more_attributes_than_are_read),
        TEST(what_is_sent_again_is_the_same_by_its_name),
        TEST(a_bomb_of_attributes_is_refused),
        TEST(a_message_is_known_by_what_the_section_says),
        TEST(a_message_is_known_by_an_attribute),
        TEST(a_notification_of_sns_is_opened),
        TEST(attributes_of_a_notification_are_available),
        TEST(a_notification_that_sns_delivers_twice_is_the_same_input),
        TEST(polls_that_fail_together_are_one_failure),
        TEST(a_message_signals_a_saga),
        TEST(a_signal_that_comes_again_is_deleted_and_not_sent_again),
        TEST(a_signal_that_comes_again_while_it_is_sent_waits_for_that),
        TEST(a_signal_that_was_refused_and_comes_again_is_tried_again),
        TEST(a_notification_that_comes_as_two_messages_is_one_signal),
        TEST(of_signals_the_last_ones_are_known_and_those_that_could_not_be_deleted),
        TEST(of_ids_the_last_ones_are_known_however_many_there_were),
        TEST(a_message_ends_a_step_by_its_token),
        TEST(a_queue_that_fails_rests_and_the_others_go_on),
        TEST(a_queue_that_does_not_exist_is_asked_for_again_with_its_attributes),
        TEST(a_failure_is_said_ever_more_rarely),
        TEST(attributes_that_may_not_be_asked_for_are_done_without),
        TEST(what_could_surprise_is_said_at_the_start),
        TEST(a_drain_gives_back_what_waits_and_ends_what_is_out),
        TEST(a_drain_gives_back_what_still_comes_but_does_not_wait_for_an_idle_poll),
        TEST(a_drain_ends_although_a_poll_is_under_way),
        TEST(a_wrong_section_is_refused_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
