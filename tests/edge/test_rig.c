/* The rig itself: each server does what the tests of edges take for granted, and each fault is made
 * as it is told. */
#include "tests/edge/rig.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static struct rig_server server, proxy;

static int tear_down(void **state)
{
    (void)state;
    rig_stop(&proxy);
    rig_stop(&server);
    return 0;
}

/* False: it is missing. */
static bool start_both(enum rig_kind kind)
{
    if (rig_is_missing(kind))
        return false;
    rig_start(kind, &server);
    rig_start_proxy(&server, &proxy);
    return true;
}

static json_t *call(const char *service, const char *command, const char *input)
{
    return rig_ask("client.mjs", "call", proxy.url, service, command, input, NULL);
}

static void expect(json_t *taken_answer, const char *path, const char *text)
{
    json_t *member = json_object_get(taken_answer, path);
    if (!json_is_string(member) || strstr(json_string_value(member), text) == NULL)
        fail_msg("no \"%s\" with \"%s\" in %s", path, text, json_dumps(taken_answer, 0));
    json_decref(taken_answer);
}

static void tell(const char *line)
{
    json_decref(rig_tell(&proxy, line));
}

static void expect_count(const char *what, json_int_t count)
{
    json_t *counts = rig_tell(&proxy, "{}");
    assert_int_equal(json_integer_value(json_object_get(counts, what)), count);
    json_decref(counts);
}

/* Returns owned. */
static char *make_queue(const char *input)
{
    json_t *queue = call("sqs", "CreateQueue", input);
    const char *url = json_string_value(json_object_get(queue, "QueueUrl"));
    assert_non_null(url);
    assert_non_null(strstr(url, proxy.url)); /* so that whoever uses it goes through the proxy */
    char *copy = strdup(url);
    json_decref(queue);
    return copy;
}

static size_t drain(const char *queue, const char *count, const char *seconds)
{
    json_t *drained = rig_ask("client.mjs", "drain", proxy.url, queue, count, seconds, NULL);
    size_t messages = json_array_size(json_object_get(drained, "messages"));
    json_decref(drained);
    return messages;
}

static void what_is_sent_to_a_queue_comes_out_of_it(void **state)
{
    (void)state;
    if (!start_both(RIG_FAUXQS))
        skip();
    char *queue = make_queue("{\"QueueName\": \"orders.fifo\"}");
    json_decref(rig_ask("client.mjs", "send", proxy.url, queue, "25", "{\"n\": %d}", NULL));
    assert_int_equal(drain(queue, "25", "10"), 25);
    free(queue);
}

static void what_is_published_comes_to_the_queue_of_the_topic(void **state)
{
    (void)state;
    if (!start_both(RIG_FAUXQS))
        skip();
    char *queue = make_queue("{\"QueueName\": \"heard\"}");
    expect(call("sns", "CreateTopic", "{\"Name\": \"news\"}"), "TopicArn", ":news");
#define ARN(service) "arn:aws:" service ":" RIG_REGION ":" RIG_ACCOUNT ":"
    expect(call("sns", "Subscribe",
                "{\"TopicArn\": \"" ARN(
                    "sns") "news\", \"Protocol\": \"sqs\", \"Endpoint\": \"" ARN("sqs") "heard\"}"),
           "SubscriptionArn", "news");
    expect(call("sns", "Publish", "{\"TopicArn\": \"" ARN("sns") "news\", \"Message\": \"hello\"}"),
           "MessageId", "-");
    assert_int_equal(drain(queue, "1", "10"), 1);
    free(queue);
}

static void a_table_keeps_an_item_once(void **state)
{
    (void)state;
    if (!start_both(RIG_DYNALITE))
        skip();
    json_decref(
        call("dynamodb", "CreateTable",
             "{\"TableName\": \"table\", \"BillingMode\": \"PAY_PER_REQUEST\","
             "\"AttributeDefinitions\": [{\"AttributeName\": \"k\", \"AttributeType\": \"S\"}],"
             "\"KeySchema\": [{\"AttributeName\": \"k\", \"KeyType\": \"HASH\"}]}"));
    const char *put = "{\"TableName\": \"table\", \"Item\": {\"k\": {\"S\": \"a\"}},"
                      "\"ConditionExpression\": \"attribute_not_exists(k)\"}";
    tell("{\"next\": [{\"fault\": \"twice\"}]}");
    json_t *first = call("dynamodb", "PutItem", put);
    assert_null(json_object_get(first, "error"));
    json_decref(first);
    expect(call("dynamodb", "PutItem", put), "error", "ConditionalCheckFailedException");
}

static void a_function_answers_by_name_and_by_arn(void **state)
{
    (void)state;
    if (!start_both(RIG_LAMBDA))
        skip();
    expect(call("lambda", "Invoke", "{\"FunctionName\": \"echo\", \"Payload\": \"{\\\"a\\\":1}\"}"),
           "Payload", "{\"a\":1}");
    expect(call("lambda", "Invoke", "{\"FunctionName\": \"" ARN("lambda") "function:fail\"}"),
           "FunctionError", "Unhandled");
    expect(call("lambda", "Invoke", "{\"FunctionName\": \"nobody\"}"), "error",
           "ResourceNotFoundException");
}

static void a_fault_is_made_of_the_request_that_it_is_told_of(void **state)
{
    (void)state;
    if (!start_both(RIG_FAUXQS))
        skip();
    char *queue = make_queue("{\"QueueName\": \"q\"}");
    /* The SDK tries three times: what was done before the connection broke is there twice. */
    tell("{\"next\": [{\"fault\": \"reset_after\", \"match\": \"SendMessage\"}]}");
    json_decref(rig_ask("client.mjs", "send", proxy.url, queue, "1", "a", NULL));
    assert_int_equal(drain(queue, "2", "1"), 2);
    tell("{\"next\": [{\"fault\": \"half\", \"match\": \"SendMessage\"}]}");
    json_decref(rig_ask("client.mjs", "send", proxy.url, queue, "1", "a", NULL));
    assert_int_equal(drain(queue, "2", "1"), 2);
    tell("{\"next\": [{\"fault\": \"twice\", \"match\": \"SendMessage\"}]}");
    json_decref(rig_ask("client.mjs", "send", proxy.url, queue, "1", "a", NULL));
    assert_int_equal(drain(queue, "2", "1"), 2);
    tell("{\"next\": [{\"fault\": \"reset_before\", \"match\": \"SendMessage\"},"
         "{\"fault\": \"throttle\", \"match\": \"SendMessage\"}]}");
    json_decref(rig_ask("client.mjs", "send", proxy.url, queue, "1", "a", NULL));
    assert_int_equal(drain(queue, "1", "10"), 1);
    expect_count("half", 1);
    expect_count("throttle", 1);
    free(queue);
}

static void of_a_partial_batch_the_others_are_said_to_have_failed(void **state)
{
    (void)state;
    if (!start_both(RIG_FAUXQS))
        skip();
    char *queue = make_queue("{\"QueueName\": \"q\"}");
    tell("{\"next\": [{\"fault\": \"partial\", \"match\": \"SendMessageBatch\"}]}");
    expect(rig_ask("client.mjs", "send", proxy.url, queue, "4", "a", NULL), "message",
           "InternalError");
    assert_int_equal(drain(queue, "2", "10"), 2);
    free(queue);
}

static void refused_requests_say_what_aws_says(void **state)
{
    (void)state;
    if (!start_both(RIG_FAUXQS))
        skip();
    tell("{\"next\": [{\"fault\": \"throttle\", \"times\": 3}]}");
    expect(call("sqs", "ListQueues", "{}"), "error", "ThrottlingException");
    tell("{\"next\": [{\"fault\": \"error\", \"times\": 3, \"status\": 503}]}");
    expect(call("sns", "ListTopics", "{}"), "error", "ServiceUnavailable");
    tell("{\"down\": true}");
    expect(call("sqs", "ListQueues", "{}"), "message", "ECONNREFUSED");
    tell("{\"down\": false}");
    json_t *answer = call("sqs", "ListQueues", "{}");
    assert_null(json_object_get(answer, "error"));
    json_decref(answer);
}

static void rates_make_the_same_faults_of_the_same_seed(void **state)
{
    json_t *counts[2];
    (void)state;
    if (!start_both(RIG_FAUXQS))
        skip();
    for (size_t i = 0; i < 2; i++) {
        char *queue = make_queue(i == 0 ? "{\"QueueName\": \"a\"}" : "{\"QueueName\": \"b\"}");
        tell("{\"rates\": {\"twice\": 0.3, \"delay\": 0.2}, \"seed\": 4}");
        json_decref(rig_ask("client.mjs", "send", proxy.url, queue, "200", "a", NULL));
        counts[i] = rig_tell(&proxy, "{\"rates\": {}}");
        free(queue);
        rig_stop(&proxy);
        rig_start_proxy(&server, &proxy);
    }
    assert_true(json_integer_value(json_object_get(counts[0], "twice")) > 0);
    assert_true(json_integer_value(json_object_get(counts[0], "delay")) > 0);
    assert_true(json_equal(counts[0], counts[1]));
    json_decref(counts[0]);
    json_decref(counts[1]);
}

/* True if the statement came through. */
static bool execute(const char *statement)
{
    PGconn *connection = PQconnectdb(proxy.url);
    if (PQstatus(connection) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(connection));
    PGresult *result = PQexec(connection, statement);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    PQfinish(connection);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static void postgresql_is_cut_off_before_and_after_and_restarted(void **state)
{
    (void)state;
    if (!start_both(RIG_POSTGRES))
        skip();
    assert_true(execute("create table t (n int primary key)"));
    tell("{\"next\": [{\"fault\": \"reset_before\", \"match\": \"values (1)\"},"
         "{\"fault\": \"reset_after\", \"match\": \"values (2)\"},"
         "{\"fault\": \"half\", \"match\": \"values (3)\"}]}");
    assert_false(execute("insert into t values (1)"));
    assert_false(execute("insert into t values (2)"));
    assert_false(execute("insert into t values (3)"));
    rig_restart(&server);
    assert_true(execute("insert into t values (1)"));
    assert_false(execute("insert into t values (2)")); /* they are there */
    assert_false(execute("insert into t values (3)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_sent_to_a_queue_comes_out_of_it, tear_down),
        cmocka_unit_test_teardown(what_is_published_comes_to_the_queue_of_the_topic, tear_down),
        cmocka_unit_test_teardown(a_table_keeps_an_item_once, tear_down),
        cmocka_unit_test_teardown(a_function_answers_by_name_and_by_arn, tear_down),
        cmocka_unit_test_teardown(a_fault_is_made_of_the_request_that_it_is_told_of, tear_down),
        cmocka_unit_test_teardown(of_a_partial_batch_the_others_are_said_to_have_failed, tear_down),
        cmocka_unit_test_teardown(refused_requests_say_what_aws_says, tear_down),
        cmocka_unit_test_teardown(rates_make_the_same_faults_of_the_same_seed, tear_down),
        cmocka_unit_test_teardown(postgresql_is_cut_off_before_and_after_and_restarted, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
