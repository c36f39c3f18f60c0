/* Requests and what becomes of them, over http.h without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/edge/aws.h"
#include "tests/edge/canned.h"

#define ENDS_MAX 64u

struct end {
    int no; /* of the request */
    bool ok, retryable;
    enum http_end end;
    int status;
    char error[128], message[2048], json[512];
};

struct fixture {
    struct canned_world canned;
    struct http *http;
    struct aws *aws;
    struct end ends[ENDS_MAX];
    uint32_t ends_count, retries;
};

struct tag {
    struct fixture *fixture;
    int no;
};

static struct tag tags[ENDS_MAX];

static void on_end(void *context, const struct aws_answer *answer)
{
    struct tag *tag = context;
    struct fixture *fixture = tag->fixture;
    assert_true(fixture->ends_count < ENDS_MAX);
    struct end *end = &fixture->ends[fixture->ends_count++];
    end->no = tag->no;
    end->ok = answer->ok;
    end->retryable = answer->retryable;
    end->end = answer->http.end;
    end->status = answer->http.status;
    snprintf(end->error, sizeof end->error, "%s", answer->error);
    snprintf(end->message, sizeof end->message, "%s", answer->message);
    char *text =
        answer->json != NULL ? json_dumps(answer->json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    snprintf(end->json, sizeof end->json, "%s", text != NULL ? text : "");
    free(text);
}

static void on_retry(void *context)
{
    ((struct tag *)context)->fixture->retries++;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    canned_world_init(&fixture->canned);
    canned_set(&fixture->canned, "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    canned_set(&fixture->canned, "AWS_SECRET_ACCESS_KEY",
               "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    canned_set(&fixture->canned, "AWS_REGION", "us-east-1");
    canned_set(&fixture->canned, "AWS_EC2_METADATA_DISABLED", "true");
    fixture->http = canned_http();
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    aws_close(fixture->aws);
    canned_http_free(fixture->http);
    free(fixture);
    return 0;
}

static void open_aws(struct fixture *fixture, const char *config)
{
    struct problem problem;
    json_t *json = config != NULL ? json_loads(config, 0, NULL) : NULL;
    enum status status =
        aws_open_in(&fixture->canned.world, fixture->http, json, &fixture->aws, &problem);
    json_decref(json);
    if (status != STATUS_OK)
        fail_msg("%s", problem.text);
}

static struct aws_request request_of(struct fixture *fixture, int no)
{
    tags[no] = (struct tag){fixture, no};
    return (struct aws_request){
        .service = "sqs",
        .target = "AmazonSQS.SendMessage",
        .body = "{}",
        .body_bytes = 2,
        .timeout_ms = 30000,
        .answer_bytes_max = 65536,
        .on_end = on_end,
        .on_retry = on_retry,
        .context = &tags[no],
    };
}

static void send_one(struct fixture *fixture, int no)
{
    struct problem problem;
    struct aws_request request = request_of(fixture, no);
    if (aws_send(fixture->aws, &request, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

/* As the edge thread does it, until nothing is due for now. */
static void turn_after_ms(struct fixture *fixture, int64_t ms)
{
    canned_pass_ms(&fixture->canned, ms);
    for (int i = 0; i < 100 && aws_turn(fixture->aws) == 0; i++)
        ;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* ---- requests --------------------------------------------------------------------------------
 */

static void a_request_goes_signed_to_the_endpoint_of_its_region(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    assert_int_equal(fixture->http->count, 1);
    assert_string_equal(fixture->http->requests[0].method, "POST");
    assert_string_equal(fixture->http->requests[0].url, "https://sqs.us-east-1.amazonaws.com/");
    assert_string_equal(fixture->http->requests[0].body, "{}");
    assert_int_equal(fixture->http->requests[0].timeout_ms, 30000);
    assert_string_equal(canned_sent(fixture->http, 0, "Host"), "sqs.us-east-1.amazonaws.com");
    assert_string_equal(canned_sent(fixture->http, 0, "X-Amz-Target"), "AmazonSQS.SendMessage");
    assert_string_equal(canned_sent(fixture->http, 0, "Content-Type"),
                        "application/x-amz-json-1.0");
    assert_string_equal(canned_sent(fixture->http, 0, "X-Amz-Date"), "20150830T123600Z");
    /* As botocore signs the same. */
    assert_string_equal(
        canned_sent(fixture->http, 0, "Authorization"),
        "AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20150830/us-east-1/sqs/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
        "Signature=f46f9b1bfd6ce3faecf65a432c8432e1a06fc7b84f83b53c85c4000a66354ac7");
}

static void an_answer_of_success_ends_it_with_its_json(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_answer(fixture->http, 0, 200, "Content-Type: application/x-amz-json-1.0",
                  "{\"MessageId\": \"m\"}");
    assert_int_equal(fixture->ends_count, 1);
    assert_true(fixture->ends[0].ok);
    assert_string_equal(fixture->ends[0].json, "{\"MessageId\":\"m\"}");
    assert_string_equal(fixture->ends[0].error, "");
    assert_int_equal(aws_turn(fixture->aws), -1);
}

static void the_body_and_all_else_is_copied(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    char body[] = "{\"a\":1}", target[] = "A.B", header[] = "x-amz-a: b", region[] = "eu-west-1";
    const char *headers[] = {header};
    struct aws_request request = request_of(fixture, 1);
    request.body = body;
    request.body_bytes = strlen(body);
    request.target = target;
    request.region = region;
    request.headers = headers;
    request.headers_count = 1;
    assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    memset(body, 'x', strlen(body));
    memset(target, 'x', strlen(target));
    memset(header, 'x', strlen(header));
    memset(region, 'x', strlen(region));
    canned_answer(fixture->http, 0, 503, NULL, "");
    turn_after_ms(fixture, 60);
    assert_int_equal(fixture->http->count, 2);
    assert_string_equal(fixture->http->requests[1].body, "{\"a\":1}");
    assert_string_equal(fixture->http->requests[1].url, "https://sqs.eu-west-1.amazonaws.com/");
    assert_string_equal(canned_sent(fixture->http, 1, "X-Amz-Target"), "A.B");
    assert_string_equal(canned_sent(fixture->http, 1, "x-amz-a"), "b");
}

static void a_path_is_added_to_the_endpoint(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, "{\"endpoint_url\": \"http://127.0.0.1:4566/base/\"}");
    assert_true(aws_has_endpoint(fixture->aws, "sqs"));
    struct aws_request request = request_of(fixture, 1);
    request.path = "/2015-03-31/functions/f/invocations?Qualifier=a";
    assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    assert_string_equal(
        fixture->http->requests[0].url,
        "http://127.0.0.1:4566/base/2015-03-31/functions/f/invocations?Qualifier=a");
    assert_string_equal(canned_sent(fixture->http, 0, "Host"), "127.0.0.1:4566");
}

static void a_url_says_its_region_itself(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    struct aws_request request = request_of(fixture, 1);
    request.url = "https://sqs.ap-southeast-2.amazonaws.com/123/orders";
    assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    assert_string_equal(fixture->http->requests[0].url, request.url);
    assert_contains(canned_sent(fixture->http, 0, "Authorization"), "/ap-southeast-2/sqs/");
    request.url = "http://127.0.0.1:9/123/orders";
    assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    assert_contains(canned_sent(fixture->http, 1, "Authorization"), "/us-east-1/sqs/");
}

static void a_session_token_goes_with_it(void **state)
{
    struct fixture *fixture = *state;
    canned_set(&fixture->canned, "AWS_SESSION_TOKEN", "session");
    open_aws(fixture, NULL);
    assert_false(aws_has_endpoint(fixture->aws, "sqs"));
    send_one(fixture, 1);
    assert_string_equal(canned_sent(fixture->http, 0, "X-Amz-Security-Token"), "session");
    assert_contains(canned_sent(fixture->http, 0, "Authorization"), ";x-amz-security-token;");
}

static void without_a_region_it_is_refused_and_says_where_to_set_one(void **state)
{
    struct fixture *fixture = *state;
    struct problem problem;
    canned_set(&fixture->canned, "AWS_REGION", NULL);
    open_aws(fixture, NULL);
    assert_string_equal(aws_region(fixture->aws), "");
    struct aws_request request = request_of(fixture, 1);
    assert_int_equal(aws_send(fixture->aws, &request, &problem), STATUS_INVALID);
    assert_contains(problem.text, "AWS_REGION");
    request.region = "eu-west-1";
    assert_int_equal(aws_send(fixture->aws, &request, &problem), STATUS_OK);
}

static void no_credentials_come_back_by_on_end_after_aws_send(void **state)
{
    struct fixture *fixture = *state;
    canned_set(&fixture->canned, "AWS_ACCESS_KEY_ID", NULL);
    canned_set(&fixture->canned, "HOME", "/nonexistent");
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    assert_int_equal(fixture->ends_count, 0);
    assert_int_equal(fixture->http->woken, 1);
    turn_after_ms(fixture, 0);
    assert_int_equal(fixture->ends_count, 1);
    assert_int_equal(fixture->ends[0].end, HTTP_NOT_SENT);
    assert_true(fixture->ends[0].retryable);
    assert_contains(fixture->ends[0].message, "AWS_ACCESS_KEY_ID");
    assert_contains(fixture->ends[0].message, "/nonexistent/.aws/credentials");
}

static void more_than_there_is_room_for_is_busy(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    fixture->http->busy = true;
    struct problem problem;
    struct aws_request request = request_of(fixture, 1);
    assert_int_equal(aws_send(fixture->aws, &request, &problem), STATUS_BUSY);
    fixture->http->busy = false;
    for (uint32_t i = 0; i < AWS_REQUESTS_MAX; i++)
        assert_int_equal(aws_send(fixture->aws, &request, &problem), STATUS_OK);
    assert_int_equal(aws_send(fixture->aws, &request, &problem), STATUS_BUSY);
    canned_answer(fixture->http, 7, 200, NULL, "");
    assert_int_equal(aws_send(fixture->aws, &request, &problem), STATUS_OK);
    for (uint32_t i = 0; i < fixture->http->count; i++)
        if (i != 7)
            fixture->ends_count = 0, canned_answer(fixture->http, i, 200, NULL, "");
}

/* ---- retries ---------------------------------------------------------------------------------
 */

static void what_is_down_is_asked_three_times_with_backoff(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_answer(fixture->http, 0, 500, NULL, "{\"__type\":\"InternalError\"}");
    assert_int_equal(fixture->http->count, 1);
    assert_int_equal(aws_turn(fixture->aws), 25); /* 0.5 × (50 + 1) */
    turn_after_ms(fixture, 24);
    assert_int_equal(fixture->http->count, 1);
    turn_after_ms(fixture, 1);
    assert_int_equal(fixture->http->count, 2);
    assert_int_equal(fixture->http->requests[1].timeout_ms, 30000 - 25);
    canned_answer(fixture->http, 1, 503, NULL, "");
    assert_int_equal(aws_turn(fixture->aws), 50);
    turn_after_ms(fixture, 50);
    assert_int_equal(fixture->http->count, 3);
    assert_int_equal(fixture->ends_count, 0);
    canned_answer(fixture->http, 2, 500, NULL, "{\"__type\":\"InternalError\",\"message\":\"oh\"}");
    assert_int_equal(fixture->ends_count, 1);
    assert_int_equal(fixture->retries, 2);
    assert_false(fixture->ends[0].ok);
    assert_true(fixture->ends[0].retryable);
    assert_string_equal(fixture->ends[0].error, "InternalError");
    assert_string_equal(fixture->ends[0].message, "oh");
    assert_int_equal(fixture->ends[0].status, 500);
}

static void a_retry_that_succeeds_ends_it_well(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_end(fixture->http, 0, HTTP_NOT_SENT, "refused");
    turn_after_ms(fixture, 100);
    canned_answer(fixture->http, 1, 200, NULL, "{}");
    assert_int_equal(fixture->ends_count, 1);
    assert_true(fixture->ends[0].ok);
}

static void what_may_be_asked_once_only_is_not_asked_again_when_it_was_lost(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    struct aws_request request = request_of(fixture, 1);
    request.once = true;
    for (int i = 0; i < 4; i++)
        assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    canned_end(fixture->http, 0, HTTP_LOST, "the connection broke");
    canned_answer(fixture->http, 1, 500, NULL, "");
    assert_int_equal(fixture->ends_count, 2);
    assert_int_equal(fixture->ends[0].end, HTTP_LOST);
    assert_contains(fixture->ends[0].message, "the connection broke");
    /* What was surely not done is another matter. */
    canned_end(fixture->http, 2, HTTP_NOT_SENT, "refused");
    canned_answer(fixture->http, 3, 400, NULL, "{\"__type\":\"ThrottlingException\"}");
    turn_after_ms(fixture, 3000);
    assert_int_equal(fixture->http->count, 6);
    assert_int_equal(fixture->ends_count, 2);
}

static void errors_of_the_request_are_not_asked_again(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_answer(fixture->http, 0, 400, NULL,
                  "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no\"}");
    assert_int_equal(fixture->ends_count, 1);
    assert_false(fixture->ends[0].retryable);
    assert_string_equal(fixture->ends[0].error, "QueueDoesNotExist");
    assert_string_equal(fixture->ends[0].message, "no");
    assert_contains(fixture->ends[0].json, "__type");
}

static void an_endpoint_that_is_dead_is_asked_less_and_less(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    uint32_t asked = 0;
    for (int i = 0; i < 100; i++) {
        fixture->ends_count = 0;
        send_one(fixture, 1);
        while (asked < fixture->http->count) {
            canned_end(fixture->http, asked++, HTTP_NOT_SENT, "refused");
            turn_after_ms(fixture, 500);
        }
        assert_int_equal(fixture->ends_count, 1);
    }
    /* 500 tokens are 50 retries; without the bucket there would be 200. */
    assert_int_equal(asked, 100 + 50);
    assert_contains(fixture->ends[0].message, "refused");
}

static void one_dead_endpoint_takes_nothing_from_another(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    uint32_t asked = 0;
    for (int i = 0; i < 60; i++) {
        fixture->ends_count = 0;
        send_one(fixture, 1);
        while (asked < fixture->http->count) {
            canned_end(fixture->http, asked++, HTTP_NOT_SENT, "refused");
            turn_after_ms(fixture, 500);
        }
    }
    struct aws_request request = request_of(fixture, 2);
    request.service = "sns";
    assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    canned_end(fixture->http, asked, HTTP_NOT_SENT, "refused");
    turn_after_ms(fixture, 500);
    assert_int_equal(fixture->http->count, asked + 2);
}

static void a_retry_that_its_time_does_not_allow_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    struct aws_request request = request_of(fixture, 1);
    request.timeout_ms = 20;
    assert_int_equal(aws_send(fixture->aws, &request, NULL), STATUS_OK);
    canned_answer(fixture->http, 0, 503, NULL, "");
    assert_int_equal(fixture->ends_count, 1);
    assert_string_equal(fixture->ends[0].error, "Http503");
}

static void a_retry_after_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_answer(fixture->http, 0, 503, "Retry-After: 3", "");
    assert_int_equal(aws_turn(fixture->aws), 3000);
}

static void after_throttling_attempts_get_their_slots(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    for (int i = 0; i < 10; i++)
        send_one(fixture, i);
    canned_answer(fixture->http, 0, 400, NULL, "{\"__type\":\"ThrottlingException\"}");
    for (uint32_t i = 1; i < 10; i++)
        canned_answer(fixture->http, i, 200, NULL, "{}");
    for (int i = 0; i < 20; i++)
        send_one(fixture, i);
    uint32_t at_once = fixture->http->count - 10;
    assert_true(at_once < 20);
    turn_after_ms(fixture, 20000);
    assert_int_equal(fixture->http->count, 10 + 20 + 1);
}

static void when_there_is_no_room_a_retry_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_answer(fixture->http, 0, 503, NULL, "");
    fixture->http->busy = true;
    turn_after_ms(fixture, 100);
    assert_int_equal(fixture->ends_count, 0);
    fixture->http->busy = false;
    turn_after_ms(fixture, 20);
    assert_int_equal(fixture->http->count, 2);
    canned_answer(fixture->http, 1, 503, NULL, "");
    fixture->http->busy = true;
    turn_after_ms(fixture, 30000);
    assert_int_equal(fixture->ends_count, 1);
    assert_int_equal(fixture->ends[0].end, HTTP_TIMED_OUT);
}

/* ---- clocks and keys -------------------------------------------------------------------------
 */

static void a_clock_that_is_wrong_is_corrected_once_and_said(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    const char *late = "Date: Sun, 30 Aug 2015 12:56:00 GMT";
    const char *fault =
        "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: "
        "20150830T123600Z is now earlier than 20150830T125100Z\"}";
    canned_answer(fixture->http, 0, 403, late, fault);
    assert_int_equal(fixture->http->count, 2);
    assert_string_equal(canned_sent(fixture->http, 1, "X-Amz-Date"), "20150830T125600Z");
    assert_contains(fixture->canned.log, "1200 s behind");
    canned_answer(fixture->http, 1, 200, late, "{}");
    assert_true(fixture->ends[0].ok);
    /* The next one is right at once. */
    send_one(fixture, 2);
    assert_string_equal(canned_sent(fixture->http, 2, "X-Amz-Date"), "20150830T125600Z");
    canned_answer(fixture->http, 2, 403, late, fault);
    assert_int_equal(fixture->ends_count, 2);
    assert_int_equal(fixture->canned.log_count, 1);
    assert_int_equal(fixture->http->count, 3);
}

static void a_wrong_secret_is_said_and_not_asked_again(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    canned_answer(fixture->http, 0, 403, "Date: Sun, 30 Aug 2015 12:36:10 GMT",
                  "{\"__type\":\"SignatureDoesNotMatch\",\"message\":\"The request signature we "
                  "calculated does not match.\"}");
    assert_int_equal(fixture->http->count, 1);
    assert_string_equal(fixture->ends[0].error, "SignatureDoesNotMatch");
    assert_contains(fixture->ends[0].message, "AKIDEXAMPLE");
    assert_contains(fixture->ends[0].message, "AWS_ACCESS_KEY_ID of the environment");
    assert_false(fixture->ends[0].retryable);
}

/* ---- the end ---------------------------------------------------------------------------------
 */

static void closing_ends_what_is_out_and_what_waits(void **state)
{
    struct fixture *fixture = *state;
    open_aws(fixture, NULL);
    send_one(fixture, 1);
    send_one(fixture, 2);
    canned_answer(fixture->http, 1, 503, NULL, "");
    aws_close(fixture->aws);
    fixture->aws = NULL;
    assert_int_equal(fixture->ends_count, 2);
    assert_int_equal(fixture->ends[0].end, HTTP_CANCELLED);
    assert_int_equal(fixture->ends[1].end, HTTP_CANCELLED);
    /* What the network says of it later is for nobody. */
    canned_answer(fixture->http, 0, 200, NULL, "{}");
    assert_int_equal(fixture->ends_count, 2);
}

static void a_field_that_is_none_is_refused_with_a_hint(void **state)
{
    struct fixture *fixture = *state;
    struct problem problem;
    const struct {
        const char *config, *sentence;
    } bad[] = {
        {"{\"regoin\": \"eu-west-1\"}", "aws.regoin: no such field; did you mean \"region\"?"},
        {"{\"region\": 7}", "aws.region: expected a text"},
        {"{\"region\": \"\"}", "aws.region: expected a text"},
        {"[]", "aws: expected fields"},
        {"{\"endpoint_url\": \"localhost:4566\"}", "aws.endpoint_url"},
        {"{\"profile\": \"nobody\"}", "there is no profile \"nobody\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *config = json_loads(bad[i].config, 0, NULL);
        enum status status =
            aws_open_in(&fixture->canned.world, fixture->http, config, &fixture->aws, &problem);
        assert_int_not_equal(status, STATUS_OK);
        assert_contains(problem.text, bad[i].sentence);
        json_decref(config);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_signed_to_the_endpoint_of_its_region),
        TEST(an_answer_of_success_ends_it_with_its_json),
        TEST(the_body_and_all_else_is_copied),
        TEST(a_path_is_added_to_the_endpoint),
        TEST(a_url_says_its_region_itself),
        TEST(a_session_token_goes_with_it),
        TEST(without_a_region_it_is_refused_and_says_where_to_set_one),
        TEST(no_credentials_come_back_by_on_end_after_aws_send),
        TEST(more_than_there_is_room_for_is_busy),
        TEST(what_is_down_is_asked_three_times_with_backoff),
        TEST(a_retry_that_succeeds_ends_it_well),
        TEST(what_may_be_asked_once_only_is_not_asked_again_when_it_was_lost),
        TEST(errors_of_the_request_are_not_asked_again),
        TEST(an_endpoint_that_is_dead_is_asked_less_and_less),
        TEST(one_dead_endpoint_takes_nothing_from_another),
        TEST(a_retry_that_its_time_does_not_allow_is_not_waited_for),
        TEST(a_retry_after_is_waited_for),
        TEST(after_throttling_attempts_get_their_slots),
        TEST(when_there_is_no_room_a_retry_waits_for_it),
        TEST(a_clock_that_is_wrong_is_corrected_once_and_said),
        TEST(a_wrong_secret_is_said_and_not_asked_again),
        TEST(closing_ends_what_is_out_and_what_waits),
        TEST(a_field_that_is_none_is_refused_with_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
