/* Queues and topics as fauxqs has them, behind a proxy that makes faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/edge/http.h"
#include "tests/edge/rig.h"
#include "tests/edge/sqs_rig.h"

static struct rig_server server, proxy;
static struct http *http;
static struct aws *aws;
static const struct edge_kind *kind;
static void *module;
static uint32_t queues_made;
static char queue[RIG_URL_BYTES];

static const char many_faults[] =
    "{\"rates\":{\"reset_before\":0.03,\"reset_after\":0.03,\"half\":0.03,\"error\":0.03,"
    "\"error_after\":0.03,\"throttle\":0.03,\"partial\":0.1,\"twice\":0.03,\"delay\":0.05}}";

/* ---- fixtures ----------------------------------------------------------------------------------
 */

static int start(void **state)
{
    (void)state;
    if (rig_is_missing(RIG_FAUXQS))
        return 0;
    rig_start(RIG_FAUXQS, &server);
    rig_start_proxy(&server, &proxy);
    setenv("AWS_ACCESS_KEY_ID", "test", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(&proxy);
    rig_stop(&server);
    return 0;
}

static void skip_where_missing(void)
{
    if (server.pid == 0)
        skip();
}

static void open_module(const struct edge_kind *of, const char *config)
{
    struct problem problem = {0};
    json_t *section = json_loads(config, 0, NULL);
    json_t *of_aws = json_pack("{s:s, s:s}", "region", RIG_REGION, "endpoint_url", proxy.url);
    assert_non_null(section);
    bool opened = http_open(&http, &problem) == STATUS_OK &&
                  aws_open(http, of_aws, &aws, &problem) == STATUS_OK;
    const struct edge_context context = {.thread = rig_context().thread, .http = http, .aws = aws};
    if (!opened || of->open(&context, section, &module, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    kind = of;
    json_decref(section);
    json_decref(of_aws);
}

/* As the frame does it at its end. */
static void close_module(void)
{
    if (!module)
        return;
    http_close(http);
    aws_close(aws);
    kind->close(module);
    module = NULL;
}

static int tear_down(void **state)
{
    if (server.pid != 0)
        json_decref(rig_tell(&proxy, "{\"rates\":{},\"next\":[],\"down\":false}"));
    close_module();
    return rig_tear_down(state);
}

static int64_t sooner(int64_t one_ms, int64_t other_ms)
{
    if (one_ms < 0 || other_ms < 0)
        return one_ms < 0 ? other_ms : one_ms;
    return one_ms < other_ms ? one_ms : other_ms;
}

static void turn(void)
{
    http_turn(http);
    int64_t wait_ms = sooner(kind->turn(module, NULL, 0), aws_turn(aws));
    http_wait(http, NULL, 0, sooner(wait_ms, 100));
}

static void run_until(bool (*is_so)(void))
{
    uint64_t end_ns = clock_now_ns() + RIG_SECONDS_MAX * UINT64_C(1000000000);
    while (!is_so()) {
        if (clock_now_ns() > end_ns)
            fail_msg("it does not come to that; the log:\n%s", rig.log);
        turn();
    }
}

/* ---- queues, by AWS's own SDK ------------------------------------------------------------------
 */

static json_t *ask(const char *service, const char *command, const char *input)
{
    json_t *answer = rig_ask("client.mjs", "call", proxy.url, service, command, input, NULL);
    if (json_object_get(answer, "error"))
        fail_msg("%s: %s", command, json_string_value(json_object_get(answer, "message")));
    return answer;
}

static void copy_text(const json_t *object, const char *field, char *ret_text, size_t bytes)
{
    const char *text = json_string_value(json_object_get(object, field));
    assert_non_null(text);
    (void)snprintf(ret_text, bytes, "%s", text);
}

static void make_queue(const char *suffix, const char *attributes, char ret_url[RIG_URL_BYTES])
{
    char input[512];
    (void)snprintf(input, sizeof(input), "{\"QueueName\":\"q%u%s\",\"Attributes\":{%s}}",
                   ++queues_made, suffix, attributes);
    json_t *answer = ask("sqs", "CreateQueue", input);
    copy_text(answer, "QueueUrl", ret_url, RIG_URL_BYTES);
    json_decref(answer);
}

static void make_standard(void)
{
    make_queue("", "\"VisibilityTimeout\":\"30\"", queue);
}

static void make_fifo(void)
{
    make_queue(".fifo", "\"FifoQueue\":\"true\",\"VisibilityTimeout\":\"30\"", queue);
}

static void send(uint32_t count, const char *body)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", count);
    json_t *answer = rig_ask("client.mjs", "send", server.url, queue, number, body, NULL);
    assert_int_equal(json_integer_value(json_object_get(answer, "sent")), count);
    json_decref(answer);
}

/* What is in the queue, for at most two seconds of silence. */
static json_t *drain(const char *url, uint32_t count)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", count);
    return rig_ask("client.mjs", "drain", server.url, url, number, "2", NULL);
}

static json_int_t in_queue(const char *url)
{
    char input[512];
    json_int_t count = 0;
    const char *name;
    json_t *value;
    (void)snprintf(input, sizeof(input), "{\"QueueUrl\":\"%s\",\"AttributeNames\":[\"All\"]}", url);
    json_t *answer = ask("sqs", "GetQueueAttributes", input);
    json_object_foreach(json_object_get(answer, "Attributes"), name,
                        value) if (strncmp(name, "ApproximateNumberOfMessages", 27) == 0) count +=
        strtol(json_string_value(value), NULL, 10);
    json_decref(answer);
    return count;
}

/* ---- out ---------------------------------------------------------------------------------------
 */

static uint32_t calls_made;

static void key_of(uint32_t number, char ret_key[EDGE_KEY_BYTES])
{
    (void)snprintf(ret_key, EDGE_KEY_BYTES, "4f3a9c0d21b7e865-%u-1", number);
}

static void call(uint32_t number)
{
    char key[EDGE_KEY_BYTES], input[512];
    key_of(number, key);
    (void)snprintf(
        input, sizeof(input),
        "{\"QueueUrl\":\"%s\",\"MessageBody\":{\"order\":%u,\"price\":0.1},"
        "\"MessageAttributes\":{\"kind\":{\"DataType\":\"String\",\"StringValue\":\"a\"}}}",
        queue, number);
    kind->call(module, rig_call(key, input));
}

static bool all_answered(void)
{
    return rig.ends_count == calls_made;
}

/* As the engine does it: what failed and may be retried is asked for again, with the same key. */
static bool all_done(void)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < rig.ends_count; i++) {
        struct rig_end *end = &rig.ends[i];
        done += end->output != NULL;
        if (end->output || !end->retryable)
            continue;
        end->retryable = false;
        call((uint32_t)strtoul(strchr(end->key, '-') + 1, NULL, 10));
    }
    return done == calls_made;
}

static void call_many(uint32_t count)
{
    calls_made = count;
    for (uint32_t i = 0; i < count; i++)
        call(i);
}

static const char *key_in(const json_t *message)
{
    const json_t *all = json_object_get(message, "attributes");
    return json_string_value(json_object_get(json_object_get(all, "FlyoverKey"), "StringValue"));
}

/* How many different keys came; each body is its key's. */
static uint32_t different_keys(const json_t *drained)
{
    size_t at;
    json_t *message;
    json_t *seen = json_object();
    json_array_foreach(json_object_get(drained, "messages"), at, message)
    {
        json_t *body = json_loads(json_string_value(json_object_get(message, "body")), 0, NULL);
        char key[EDGE_KEY_BYTES];
        key_of((uint32_t)json_integer_value(json_object_get(body, "order")), key);
        assert_string_equal(key_in(message), key);
        json_object_set_new(seen, key, json_true());
        json_decref(body);
    }
    uint32_t count = (uint32_t)json_object_size(seen);
    json_decref(seen);
    return count;
}

static size_t came(const json_t *drained)
{
    return json_array_size(json_object_get(drained, "messages"));
}

static void messages_are_sent_in_batches_and_each_is_there_once(void **state)
{
    (void)state;
    skip_where_missing();
    make_standard();
    open_module(&edge_sqs, "{}");
    json_t *before = rig_tell(&proxy, "{}");
    call_many(200);
    run_until(all_answered);
    json_t *after = rig_tell(&proxy, "{}");
    json_int_t requests = json_integer_value(json_object_get(after, "requests")) -
                          json_integer_value(json_object_get(before, "requests"));
    assert_int_equal(requests, 20);
    assert_true(all_done());
    const json_t *output = rig_end_of("4f3a9c0d21b7e865-7-1")->output;
    assert_non_null(json_object_get(output, "MessageId"));
    assert_non_null(json_object_get(output, "MD5OfMessageBody"));
    json_t *drained = drain(queue, 200);
    assert_int_equal(came(drained), 200);
    assert_int_equal(different_keys(drained), 200);
    json_decref(before);
    json_decref(after);
    json_decref(drained);
}

static void to_a_fifo_queue_each_comes_once_through_faults(void **state)
{
    (void)state;
    skip_where_missing();
    make_fifo();
    open_module(&edge_sqs, "{}");
    json_decref(rig_tell(&proxy, many_faults));
    call_many(300);
    run_until(all_done);
    json_t *drained = drain(queue, 300);
    assert_int_equal(came(drained), 300);
    assert_int_equal(different_keys(drained), 300);
    assert_int_equal(in_queue(queue), 0);
    json_decref(drained);
}

static void to_a_standard_queue_none_is_lost_through_faults(void **state)
{
    (void)state;
    skip_where_missing();
    make_standard();
    open_module(&edge_sqs, "{}");
    json_decref(rig_tell(&proxy, many_faults));
    call_many(300);
    run_until(all_done);
    json_t *drained = drain(queue, 3000);
    assert_int_equal(different_keys(drained), 300); /* some of them twice, with the same key */
    json_decref(drained);
}

static void a_queue_that_is_not_there_is_named(void **state)
{
    (void)state;
    skip_where_missing();
    (void)snprintf(queue, sizeof(queue), "http://127.0.0.1:%u/" RIG_ACCOUNT "/nowhere", proxy.port);
    open_module(&edge_sqs, "{}");
    call_many(2);
    run_until(all_answered);
    assert_string_equal(rig.ends[0].error, "SQS.QueueDoesNotExistException");
    assert_false(rig.ends[1].retryable);
}

/* ---- topics ------------------------------------------------------------------------------------
 */

static void make_topic(char ret_arn[128])
{
    char input[512], of_queue[160];
    (void)snprintf(input, sizeof(input), "{\"Name\":\"t%u\"}", ++queues_made);
    json_t *topic = ask("sns", "CreateTopic", input);
    copy_text(topic, "TopicArn", ret_arn, 128);
    (void)snprintf(of_queue, sizeof(of_queue), "arn:aws:sqs:%s:%s:%s", RIG_REGION, RIG_ACCOUNT,
                   strrchr(queue, '/') + 1);
    (void)snprintf(input, sizeof(input),
                   "{\"TopicArn\":\"%s\",\"Protocol\":\"sqs\",\"Endpoint\":\"%s\"}", ret_arn,
                   of_queue);
    json_decref(ask("sns", "Subscribe", input));
    json_decref(topic);
}

static void publish(const char *arn, uint32_t number)
{
    char key[EDGE_KEY_BYTES], input[512];
    key_of(number, key);
    (void)snprintf(input, sizeof(input),
                   "{\"TopicArn\":\"%s\",\"Message\":{\"order\":%u},\"Subject\":"
                   "\"it is there\"}",
                   arn, number);
    kind->call(module, rig_call(key, input));
}

static bool all_brought(void);
static uint32_t wanted;

static void what_is_published_comes_in_by_a_queue_of_the_topic(void **state)
{
    (void)state;
    skip_where_missing();
    char arn[128], config[512];
    make_standard();
    make_topic(arn);
    open_module(&edge_sns, "{}");
    calls_made = 25;
    for (uint32_t i = 0; i < 25; i++)
        publish(arn, i);
    run_until(all_answered);
    assert_true(all_done());
    assert_non_null(json_object_get(rig.ends[0].output, "MessageId"));
    close_module();
    (void)snprintf(config, sizeof(config),
                   "{\"queues\":[{\"url\":\"%s\",\"definition\":\"order\",\"sns_envelope\":true,"
                   "\"wait_seconds\":1}]}",
                   queue);
    open_module(&edge_sqs_in, config);
    wanted = 25;
    run_until(all_brought);
    assert_non_null(json_object_get(rig.messages[0].input, "order"));
}

static void a_topic_that_is_not_there_is_named(void **state)
{
    (void)state;
    skip_where_missing();
    open_module(&edge_sns, "{}");
    calls_made = 1;
    publish("arn:aws:sns:" RIG_REGION ":" RIG_ACCOUNT ":nowhere", 1);
    run_until(all_answered);
    assert_string_equal(rig.ends[0].error, "SNS.NotFoundException");
}

/* ---- in ----------------------------------------------------------------------------------------
 */

static void open_in(const char *fields)
{
    char config[512];
    (void)snprintf(config, sizeof(config),
                   "{\"queues\":[{\"url\":\"%s\",\"definition\":\"order\",\"wait_seconds\":1%s}]}",
                   queue, fields);
    rig.room = 500;
    open_module(&edge_sqs_in, config);
}

/* Names that have come, as the engine remembers them. */
static json_t *names;
static uint32_t settled;

/* As the engine does it: durable, or known before. */
static void settle_all(void)
{
    for (; settled < rig.messages_count; settled++) {
        const struct rig_message *message = &rig.messages[settled];
        json_object_set(names, message->name, message->input);
        rig.room++;
        kind->on_message_settled(module, message->handle, EDGE_SETTLED, "");
    }
}

static bool all_brought(void)
{
    return rig.messages_count >= wanted;
}

static bool all_known(void)
{
    settle_all();
    return json_object_size(names) >= wanted;
}

static bool drained(void)
{
    settle_all();
    return kind->drain(module);
}

static int set_up(void **state)
{
    json_decref(names);
    names = json_object();
    settled = 0;
    return rig_set_up(state);
}

static void each_message_starts_one_saga_and_the_queue_is_empty(void **state)
{
    (void)state;
    skip_where_missing();
    make_standard();
    send(500, "{\"order\":%d}");
    open_in("");
    wanted = 500;
    run_until(all_known);
    run_until(drained);
    assert_int_equal(rig.messages_count, 500);
    assert_int_equal(in_queue(queue), 0);
}

static bool is_empty(void)
{
    settle_all();
    return in_queue(queue) == 0;
}

static void through_faults_each_message_is_one_name_and_the_queue_is_empty(void **state)
{
    (void)state;
    skip_where_missing();
    make_queue("", "\"VisibilityTimeout\":\"5\"", queue);
    send(300, "{\"order\":%d}");
    json_decref(rig_tell(&proxy, many_faults));
    open_in("");
    wanted = 300;
    run_until(all_known);
    /* What was given away with an answer that was lost, or whose deletion was, comes again. */
    run_until(is_empty);
    assert_int_equal(json_object_size(names), 300);
}

static json_int_t order_in(const struct rig_message *message)
{
    return json_integer_value(json_object_get(message->input, "order"));
}

static void the_order_of_a_fifo_group_is_kept_through_faults(void **state)
{
    (void)state;
    skip_where_missing();
    make_queue(".fifo", "\"FifoQueue\":\"true\",\"VisibilityTimeout\":\"5\"", queue);
    send(40, "{\"order\":%d}"); /* in four groups */
    json_decref(rig_tell(&proxy, many_faults));
    open_in("");
    wanted = 40;
    run_until(all_known);
    json_int_t last[4] = {-1, -1, -1, -1};
    for (uint32_t i = 0; i < rig.messages_count; i++) {
        json_int_t order = order_in(&rig.messages[i]);
        assert_true(order <= last[order % 4] + 4); /* the next, or one that came before */
        if (order > last[order % 4])
            last[order % 4] = order;
    }
}

static bool is_refused_away(void)
{
    return in_queue(queue) == 0;
}

static void what_cannot_be_a_start_goes_where_the_redrive_policy_says(void **state)
{
    (void)state;
    skip_where_missing();
    char dead[RIG_URL_BYTES], attributes[512];
    make_queue("-dead", "", dead);
    (void)snprintf(attributes, sizeof(attributes),
                   "\"RedrivePolicy\":\"{\\\"maxReceiveCount\\\":1,\\\"deadLetterTargetArn\\\":"
                   "\\\"arn:aws:sqs:%s:%s:%s\\\"}\"",
                   RIG_REGION, RIG_ACCOUNT, strrchr(dead, '/') + 1);
    make_queue("", attributes, queue);
    send(1, "this is no order");
    open_in(",\"visibility_seconds\":5");
    run_until(is_refused_away);
    assert_int_equal(rig.messages_count, 0);
    assert_non_null(strstr(rig.log, "not JSON"));
    json_t *left = drain(dead, 1);
    assert_int_equal(came(left), 1);
    json_decref(left);
}

static bool is_said_to_be_missing(void)
{
    return strstr(rig.log, "there is no such queue") != NULL;
}

static void a_queue_that_comes_later_is_found(void **state)
{
    (void)state;
    skip_where_missing();
    char made[RIG_URL_BYTES];
    (void)snprintf(queue, sizeof(queue), "http://127.0.0.1:%u/" RIG_ACCOUNT "/q%u", proxy.port,
                   queues_made + 1);
    open_in("");
    run_until(is_said_to_be_missing);
    make_queue("", "", made);
    (void)snprintf(queue, sizeof(queue), "%s", made);
    send(1, "{}");
    wanted = 1;
    run_until(all_known);
}

static void a_queue_that_is_purged_goes_on(void **state)
{
    (void)state;
    skip_where_missing();
    char input[512];
    make_standard();
    send(10, "{\"order\":%d}");
    open_in("");
    wanted = 10;
    run_until(all_brought);
    (void)snprintf(input, sizeof(input), "{\"QueueUrl\":\"%s\"}", queue);
    json_decref(ask("sqs", "PurgeQueue", input));
    settle_all();
    send(1, "{\"order\":\"after\"}");
    wanted = 11;
    run_until(all_known);
    run_until(drained);
    assert_int_equal(in_queue(queue), 0);
}

static bool is_said_to_fail(void)
{
    return strstr(rig.log, "sqs_in_queue_fails") != NULL;
}

static void an_endpoint_that_is_down_is_waited_for(void **state)
{
    (void)state;
    skip_where_missing();
    make_standard();
    send(5, "{\"order\":%d}");
    json_decref(rig_tell(&proxy, "{\"down\":true}"));
    open_in("");
    run_until(is_said_to_fail);
    json_decref(rig_tell(&proxy, "{\"down\":false}"));
    wanted = 5;
    run_until(all_known);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_are_sent_in_batches_and_each_is_there_once),
        TEST(to_a_fifo_queue_each_comes_once_through_faults),
        TEST(to_a_standard_queue_none_is_lost_through_faults),
        TEST(a_queue_that_is_not_there_is_named),
        TEST(what_is_published_comes_in_by_a_queue_of_the_topic),
        TEST(a_topic_that_is_not_there_is_named),
        TEST(each_message_starts_one_saga_and_the_queue_is_empty),
        TEST(through_faults_each_message_is_one_name_and_the_queue_is_empty),
        TEST(the_order_of_a_fifo_group_is_kept_through_faults),
        TEST(what_cannot_be_a_start_goes_where_the_redrive_policy_says),
        TEST(a_queue_that_comes_later_is_found),
        TEST(a_queue_that_is_purged_goes_on),
        TEST(an_endpoint_that_is_down_is_waited_for),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
