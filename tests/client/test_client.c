/* What a client asks, and what comes of it, with a connection that holds. */
#include <sched.h>
#include <stdlib.h>

#include "tests/client/rig.h"

static const struct fake_options plain = {0};

/* ---- connecting ---------------------------------------------------------------------------------
 */

static void hello_says_name_and_token_and_welcome_is_kept(void **state)
{
    (void)state;
    struct fake *fake = fake_open(&(struct fake_options){.is_tcp = true, .window = 17});
    struct flyover_client_options to = {
        .address = fake_address(fake), .name = "shop", .token = "secret"};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_OK);
    assert_int_equal(flyover_window(client), 17);
    assert_string_equal(flyover_durability(client), "sync");
    assert_false(flyover_is_lost(client));
    flyover_close(client);
    struct fake_counts counts = fake_counts(fake);
    assert_string_equal(counts.name, "shop");
    assert_string_equal(counts.token, "secret");
    assert_int_equal(counts.goodbyes, 1);
    fake_close(fake);
}

static void a_wrong_token_is_told_at_once(void **state)
{
    (void)state;
    struct fake *fake = fake_open(&(struct fake_options){.refuse = "NO_PERMISSION"});
    struct flyover_client_options to = {.address = fake_address(fake), .token = "wrong"};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_NO_PERMISSION);
    assert_null(client);
    assert_string_equal(flyover_connect_problem(), "said so");
    assert_int_equal(fake_counts(fake).connections, 1);
    fake_close(fake);
}

static void an_engine_that_stops_is_tried_again(void **state)
{
    (void)state;
    struct fake_options options = {.refuse = "IN_USE", .refuse_count = 3};
    struct rig rig = rig_open(&options);
    assert_int_equal(fake_counts(rig.fake).connections, 4);
    rig_close(&rig);
}

static void where_nobody_listens_it_is_tried_as_long_as_was_said(void **state)
{
    (void)state;
    struct flyover_client_options to = {.address = "unix:/nonexistent/flyover", .connect_ms = 60};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_NOT_CONNECTED);
    assert_non_null(strstr(flyover_connect_problem(), "unix:/nonexistent/flyover"));
    assert_non_null(strstr(flyover_connect_problem(), "flyover serve"));
}

static void what_is_no_engine_is_told_as_such(void **state)
{
    (void)state;
    struct fake *fake = fake_open(&(struct fake_options){.says_garbage = true});
    struct flyover_client_options to = {.address = fake_address(fake), .connect_ms = 1000};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_NOT_CONNECTED);
    assert_non_null(strstr(flyover_connect_problem(), "is not Flyover's protocol"));
    fake_close(fake);
}

static void what_is_no_address_is_invalid(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "", "host", ":7233", "host:", "unix:", "::1:7233", "[]:1", NULL};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct flyover_client_options to = {.address = addresses[i]};
        struct flyover_client *client;
        assert_int_equal(flyover_connect(&to, &client), FLYOVER_INVALID);
        assert_true(strlen(flyover_connect_problem()) > 0);
    }
    char path[200] = "unix:/";
    memset(path + 6, 'a', sizeof path - 7);
    path[sizeof path - 1] = '\0';
    struct flyover_client_options to = {.address = path};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_INVALID);
}

/* ---- sagas, one by one --------------------------------------------------------------------------
 */

static struct flyover_start start_of(const char *definition, const uint8_t *number)
{
    return (struct flyover_start){.definition = definition, .input = number, .input_bytes = 1};
}

static void check_end(const struct flyover_answer_message *end, uint64_t saga_id)
{
    assert_int_equal(end->kind, FLYOVER_ENDED);
    assert_int_equal(end->saga_id, saga_id);
    assert_string_equal(end->outcome, "COMPENSATED");
    assert_string_equal(end->error, "Shop.Closed");
    assert_string_equal(end->cause, "it is Sunday");
    assert_int_equal(end->output_bytes, 11);
    assert_memory_equal(end->output, "\xaathe output", 11);
}

static void the_blocking_forms_give_what_the_engine_says(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    uint8_t number = 1;
    struct flyover_start start = start_of("order", &number);
    uint64_t saga_id;
    assert_int_equal(flyover_start(rig.client, &start, &saga_id), FLYOVER_OK);
    assert_int_equal(saga_id, 1);
    struct flyover_answer_message answer;
    assert_int_equal(flyover_run(rig.client, &start, &answer, -1), FLYOVER_OK);
    check_end(&answer, 2);
    assert_int_equal(flyover_await(rig.client, 55, &answer, -1), FLYOVER_OK);
    check_end(&answer, 55);
    assert_int_equal(flyover_define(rig.client, "order", "{}"), FLYOVER_OK);
    static const char question[] = "\x81\xa2"
                                   "do\xa6"
                                   "counts";
    assert_int_equal(flyover_ask(rig.client, question, sizeof question - 1, &answer), FLYOVER_OK);
    assert_memory_equal(answer.output,
                        "\x81\xa3"
                        "did\xa6"
                        "counts",
                        12);
    rig_close(&rig);
}

static void each_status_comes_as_what_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *definition;
        enum flyover_status status;
    } cases[] = {
        {"refuse:BUSY", FLYOVER_BUSY},
        {"refuse:NOT_FOUND", FLYOVER_NOT_FOUND},
        {"refuse:EXISTS", FLYOVER_EXISTS},
        {"refuse:INVALID", FLYOVER_INVALID},
        {"refuse:TOO_LARGE", FLYOVER_TOO_LARGE},
        {"refuse:UNSUPPORTED", FLYOVER_UNSUPPORTED},
        {"refuse:NO_PERMISSION", FLYOVER_NO_PERMISSION},
        {"refuse:IN_USE", FLYOVER_STOPPING},
        {"refuse:NO_SPACE", FLYOVER_FAILED},
        {"refuse:IO", FLYOVER_FAILED},
        {"refuse:LOST", FLYOVER_FAILED},
        {"refuse:CORRUPT", FLYOVER_FAILED},
        {"refuse:NO_MEMORY", FLYOVER_FAILED},
        {"refuse:SOMETHING_NEW", FLYOVER_FAILED},
    };
    struct rig rig = rig_open(&plain);
    for (uint8_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t saga_id;
        struct flyover_start start = start_of(cases[i].definition, &i);
        assert_int_equal(flyover_start(rig.client, &start, &saga_id), cases[i].status);
        assert_string_equal(flyover_problem(rig.client), "said so");
        assert_int_equal(flyover_retry_after_ms(rig.client), 7);
        assert_int_equal(rig_send(&rig, cases[i].definition, i, NULL, FLYOVER_AT_END), FLYOVER_OK);
        struct flyover_answer_message answer = rig_next(&rig);
        assert_int_equal(answer.kind, FLYOVER_REFUSED_REQUEST);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(answer.word, i);
        assert_string_equal(answer.problem, "said so");
        assert_int_equal(answer.retry_after_ms, 7);
    }
    rig_close(&rig);
}

static void every_status_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i <= FLYOVER_NO_MEMORY; i++) {
        assert_true(strlen(flyover_status_text((enum flyover_status)i)) > 0);
        for (int other = 0; other < i; other++)
            assert_string_not_equal(flyover_status_text((enum flyover_status)i),
                                    flyover_status_text((enum flyover_status)other));
    }
}

static void what_cannot_be_right_is_refused_before_it_is_sent(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    static uint8_t large[300000] = {0xc6, 0x00, 0x04, 0x93, 0xdb}; /* a bin of 299,995 */
    uint8_t deep[40], number = 1;
    char name[300];
    memset(deep, 0x91, sizeof deep - 1);
    deep[sizeof deep - 1] = 1;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct {
        struct flyover_start start;
        enum flyover_status status;
    } cases[] = {
        {{.input = &number, .input_bytes = 1}, FLYOVER_INVALID},
        {{.definition = ""}, FLYOVER_INVALID},
        {{.definition = "order", .input = "\x92\x01", .input_bytes = 2}, FLYOVER_INVALID},
        {{.definition = "order", .input = "\x01\x01", .input_bytes = 2}, FLYOVER_INVALID},
        {{.definition = "order", .input = "\xc1", .input_bytes = 1}, FLYOVER_INVALID},
        {{.definition = "order", .input = deep, .input_bytes = sizeof deep}, FLYOVER_INVALID},
        {{.definition = "order", .input = large, .input_bytes = sizeof large}, FLYOVER_TOO_LARGE},
        {{.definition = "order", .name = name}, FLYOVER_TOO_LARGE},
        {{.definition = "order", .name = ""}, FLYOVER_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(flyover_send_start(rig.client, &cases[i].start, FLYOVER_AT_ACCEPTANCE, 1),
                         cases[i].status);
    assert_int_equal(flyover_send_await(rig.client, 0, NULL, 1), FLYOVER_INVALID);
    assert_int_equal(flyover_send_await(rig.client, 1, "both", 1), FLYOVER_INVALID);
    assert_int_equal(flyover_send_ask(rig.client, "\x01", 1, 1), FLYOVER_INVALID);
    assert_int_equal(flyover_send_ask(rig.client, NULL, 0, 1), FLYOVER_INVALID);
    char *text = malloc((1u << 20) + 1);
    memset(text, 'x', 1u << 20);
    text[1u << 20] = '\0';
    assert_int_equal(flyover_define(rig.client, "order", text), FLYOVER_TOO_LARGE);
    free(text);
    /* And the connection is as good as before. */
    assert_int_equal(rig_send(&rig, "order", 5, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 5);
    assert_int_equal(fake_counts(rig.fake).connections, 1);
    rig_close(&rig);
}

/* ---- many under way -----------------------------------------------------------------------------
 */

static void the_window_bounds_what_is_under_way(void **state)
{
    (void)state;
    struct rig rig = rig_open(&(struct fake_options){.window = 3});
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(rig_send(&rig, "mute", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    assert_int_equal(rig_send(&rig, "mute", 3, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_BUSY);
    assert_int_equal(flyover_flush(rig.client), FLYOVER_OK);
    while (fake_counts(rig.fake).asked[2] == 0)
        sched_yield();
    fake_let_go(rig.fake);
    rig_expect(&rig, FLYOVER_STARTED, 0);
    assert_int_equal(rig_send(&rig, "order", 3, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 1);
    rig_expect(&rig, FLYOVER_STARTED, 2);
    rig_expect(&rig, FLYOVER_STARTED, 3);
    rig_close(&rig);
}

static void what_comes_while_a_call_waits_is_kept_for_next(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    for (uint8_t i = 10; i < 20; i++)
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_BOTH), FLYOVER_OK);
    uint8_t number = 1;
    uint64_t saga_id;
    struct flyover_start start = start_of("order", &number);
    assert_int_equal(flyover_start(rig.client, &start, &saga_id), FLYOVER_OK);
    assert_int_equal(saga_id, 11);
    assert_int_equal(flyover_timeout_ms(rig.client), 0); /* there is something to take */
    for (uint8_t i = 10; i < 20; i++) {
        rig_expect(&rig, FLYOVER_STARTED, i);
        struct flyover_answer_message end = rig_next(&rig);
        assert_int_equal(end.word, i);
        check_end(&end, i - 9u);
    }
    assert_true(flyover_timeout_ms(rig.client) > 0);
    rig_close(&rig);
}

static void an_answer_that_comes_twice_is_given_once(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    for (uint8_t i = 1; i < 10; i++) { /* each in the slot of the one before */
        assert_int_equal(rig_send(&rig, "twice", i, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
        struct flyover_answer_message answer = rig_next(&rig);
        assert_int_equal(answer.kind, FLYOVER_STARTED);
        assert_int_equal(answer.word, i);
        assert_int_equal(answer.saga_id, i); /* and not that of the twin */
    }
    rig_close(&rig);
}

static void a_call_that_is_out_of_time_goes_on_and_await_takes_it_up(void **state)
{
    (void)state;
    struct rig rig = rig_open(&(struct fake_options){.window = 2});
    uint8_t number = 1;
    struct flyover_start start = start_of("slow", &number);
    struct flyover_answer_message end;
    assert_int_equal(flyover_run(rig.client, &start, &end, 0), FLYOVER_TIMEOUT);
    /* What is answered behind it shows that its STARTED has come. */
    struct flyover_start other = start_of("order", &number);
    uint64_t saga_id;
    assert_int_equal(flyover_start(rig.client, &other, &saga_id), FLYOVER_OK);
    /* None of these asks anew: the window of 2 is enough for any number of them. */
    for (int i = 0; i < 20; i++) {
        assert_int_equal(flyover_await(rig.client, 1, &end, 0), FLYOVER_TIMEOUT);
        assert_int_equal(end.saga_id, 1);
    }
    fake_let_go(rig.fake);
    assert_int_equal(flyover_await(rig.client, 1, &end, -1), FLYOVER_OK);
    check_end(&end, 1);
    assert_false(flyover_next(rig.client, &end, 0)); /* the answer is not given twice */
    rig_close(&rig);
}

static void each_byte_by_itself_is_as_good(void **state)
{
    (void)state;
    struct rig rig = rig_open(&(struct fake_options){.is_byte_by_byte = true, .is_tcp = true});
    for (uint8_t i = 0; i < 20; i++)
        assert_int_equal(rig_send(&rig, "order", i, NULL, FLYOVER_AT_BOTH), FLYOVER_OK);
    for (uint8_t i = 0; i < 20; i++) {
        rig_expect(&rig, FLYOVER_STARTED, i);
        rig_expect(&rig, FLYOVER_ENDED, i);
    }
    rig_close(&rig);
}

static void a_question_of_a_quarter_megabyte_gets_through(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    static uint8_t question[262144] = "\x82\xa2"
                                      "do\xa4"
                                      "list\xa3"
                                      "pad\xc6\x00\x03\xff\xee";
    struct flyover_answer_message answer;
    for (int i = 0; i < 20; i++)
        assert_int_equal(flyover_ask(rig.client, question, sizeof question, &answer), FLYOVER_OK);
    assert_memory_equal(answer.output,
                        "\x81\xa3"
                        "did\xa4list",
                        10);
    rig_close(&rig);
}

/* ---- events -------------------------------------------------------------------------------------
 */

static void events_come_once_in_order_and_within_the_credit(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(flyover_send_subscribe(rig.client, "order", "SUCCEEDED,STUCK", "100", 9),
                     FLYOVER_OK);
    for (uint64_t i = 101; i <= FAKE_EVENTS; i++) {
        struct flyover_answer_message event = rig_next(&rig);
        assert_int_equal(event.kind, FLYOVER_EVENT);
        assert_int_equal(event.word, 9);
        assert_int_equal(event.saga_id, i);
        assert_int_equal(strtoull(event.position, NULL, 10), i);
        assert_string_equal(event.outcome, "SUCCEEDED");
        assert_string_equal(event.definition, "order");
        assert_int_equal(event.version, 1);
        assert_int_equal(event.at_ms, 1700000000000);
        assert_null(event.name);
        assert_null(event.error);
    }
    assert_true(fake_counts(rig.fake).credit_max <= 1024);
    rig_close(&rig);
}

static void events_go_on_behind_the_last_one_after_a_cut(void **state)
{
    (void)state;
    struct rig rig =
        rig_open(&(struct fake_options){.is_tcp = true, .cut_after_sent = {10000, 20000, 50001}});
    assert_int_equal(flyover_send_subscribe(rig.client, NULL, NULL, NULL, 9), FLYOVER_OK);
    for (uint64_t i = 1; i <= FAKE_EVENTS; i++) {
        struct flyover_answer_message event = rig_next(&rig);
        assert_int_equal(event.saga_id, i);
    }
    assert_int_equal(fake_counts(rig.fake).connections, 4);
    rig_close(&rig);
}

static void a_subscription_that_is_over_says_nothing_more(void **state)
{
    (void)state;
    struct rig rig = rig_open(&plain);
    assert_int_equal(flyover_send_subscribe(rig.client, NULL, NULL, NULL, 9), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_EVENT, 9);
    assert_int_equal(flyover_unsubscribe(rig.client, 9), FLYOVER_OK);
    assert_int_equal(flyover_unsubscribe(rig.client, 9), FLYOVER_NOT_FOUND);
    assert_int_equal(rig_send(&rig, "order", 1, NULL, FLYOVER_AT_ACCEPTANCE), FLYOVER_OK);
    rig_expect(&rig, FLYOVER_STARTED, 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_says_name_and_token_and_welcome_is_kept),
        cmocka_unit_test(a_wrong_token_is_told_at_once),
        cmocka_unit_test(an_engine_that_stops_is_tried_again),
        cmocka_unit_test(where_nobody_listens_it_is_tried_as_long_as_was_said),
        cmocka_unit_test(what_is_no_engine_is_told_as_such),
        cmocka_unit_test(what_is_no_address_is_invalid),
        cmocka_unit_test(the_blocking_forms_give_what_the_engine_says),
        cmocka_unit_test(each_status_comes_as_what_it_is),
        cmocka_unit_test(every_status_has_a_text_of_its_own),
        cmocka_unit_test(what_cannot_be_right_is_refused_before_it_is_sent),
        cmocka_unit_test(the_window_bounds_what_is_under_way),
        cmocka_unit_test(what_comes_while_a_call_waits_is_kept_for_next),
        cmocka_unit_test(an_answer_that_comes_twice_is_given_once),
        cmocka_unit_test(a_call_that_is_out_of_time_goes_on_and_await_takes_it_up),
        cmocka_unit_test(each_byte_by_itself_is_as_good),
        cmocka_unit_test(a_question_of_a_quarter_megabyte_gets_through),
        cmocka_unit_test(events_come_once_in_order_and_within_the_credit),
        cmocka_unit_test(events_go_on_behind_the_last_one_after_a_cut),
        cmocka_unit_test(a_subscription_that_is_over_says_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
