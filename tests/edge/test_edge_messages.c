#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/edge_parts.h"
#include "tests/edge/edge_rig.h"

/* Messages that come in: starts, signals, answers by token. */

#define TASK(name, resource, rest)                                                                 \
    "\"" name "\":{\"Type\":\"Task\",\"Resource\":\"" resource "\"," rest "}"
#define SAGA(first, states) "{\"StartAt\":\"" first "\",\"States\":{" states "}}"

static const char of_echo[] = SAGA("A", TASK("A", "service:echo.say", "\"End\":true"));
static const char by_token[] =
    SAGA("A", TASK("A", "service:echo.ask.waitForTaskToken", "\"End\":true"));
static const char signalled[] =
    SAGA("A", TASK("A", "service:echo.say", "\"Next\":\"S\"") "," TASK(
                  "S", "signal:paid",
                  "\"ResultPath\":\"$.paid\",\"Next\":\"T\"") "," TASK("T", "signal:paid",
                                                                       "\"ResultPath\":\"$.again\","
                                                                       "\"End\":true"));

/* Waits for sent, paid, sent. */
static const char in_turn[] = SAGA(
    "S",
    TASK("S", "signal:sent", "\"ResultPath\":\"$.s\",\"Next\":\"P\"") "," TASK(
        "P", "signal:paid",
        "\"ResultPath\":\"$.p\",\"Next\":\"T\"") "," TASK("T", "signal:sent",
                                                          "\"ResultPath\":\"$.t\",\"End\":true"));

static struct edge_counts counts(const struct edge_rig *rig)
{
    return edges_counts(rig->edges);
}

static enum status bring(const struct edge_message *message, char letter)
{
    struct problem problem = {0};
    return post_bring(message, letter, &problem);
}

static void signal_to(uint64_t saga_id, const char *name, int value, char letter)
{
    char input[16];
    snprintf(input, sizeof input, "%d", value);
    const struct edge_message message = {
        .kind = EDGE_SIGNAL, .saga_id = saga_id, .name = name, .input = edge_rig_value(input)};
    assert_int_equal(bring(&message, letter), STATUS_OK);
}

static void answer_by(const char *token, const char *error, char letter)
{
    const struct edge_message message = {.kind = EDGE_ANSWER,
                                         .token = token,
                                         .input = edge_rig_value("{\"ok\":true}"),
                                         .error = error,
                                         .cause = "told so"};
    assert_int_equal(bring(&message, letter), STATUS_OK);
}

/* ---- starts -------------------------------------------------------------------------------------
 */

static void a_message_is_settled_when_what_it_started_is_durable(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    rig_held[PARTITION_JOURNAL] = true;
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 10);
    assert_int_equal(rig_totals(rig->rig).started, 1);
    assert_int_equal(post.settled, 0);
    assert_int_equal(counts(rig).messages_open, 1);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 10);
    assert_string_equal(post.order, "A");
    assert_int_equal(post.settled, 1);
    assert_string_equal(echo.input, "{\"n\":1}");
    struct edge_counts now = counts(rig);
    assert_int_equal(now.messages, 1);
    assert_int_equal(now.started, 1);
    assert_int_equal(now.settled, 1);
    assert_int_equal(now.repeated + now.refused + now.given_up + now.messages_open, 0);
}

static void a_message_that_comes_again_starts_nothing_and_is_settled_too(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 6);
    post_start("m-1", "{\"n\": 1}", 'B');
    edge_rig_turns(rig, 6);
    assert_int_equal(rig_totals(rig->rig).started, 1);
    assert_string_equal(post.order, "AB");
    assert_int_equal(post.settled, 2);
    assert_int_equal(counts(rig).repeated, 1);
    edge_rig_crash(rig);
    edge_rig_open(rig, of_echo);
    post_start("m-1", "{\"n\": 1}", 'C');
    edge_rig_turns(rig, 6);
    assert_int_equal(rig_totals(rig->rig).started, 1);
    assert_string_equal(post.order, "ABC");
    assert_int_equal(post.settled, 3);
}

static void a_message_is_no_repeat_before_the_first_is_durable(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    rig_held[PARTITION_JOURNAL] = true;
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 4);
    post_start("m-1", "{\"n\": 1}", 'B');
    edge_rig_turns(rig, 10);
    assert_int_equal(counts(rig).repeated, 1);
    assert_int_equal(post.settled, 0);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 4);
    assert_int_equal(post.settled, 2);
}

static void the_engine_that_dies_before_it_is_durable_settles_nothing(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    rig_held[PARTITION_JOURNAL] = true;
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 4);
    edge_rig_crash(rig);
    assert_int_equal(post.settled, 0);
    assert_int_equal(post.given_up, 1);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_open(rig, of_echo);
    post_start("m-1", "{\"n\": 1}", 'B');
    edge_rig_turns(rig, 6);
    assert_int_equal(post.settled, 1);
    assert_int_equal(rig_totals(rig->rig).started, 1);
}

static void a_name_with_another_input_is_refused(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 6);
    post_start("m-1", "{\"n\": 2}", 'B');
    edge_rig_turns(rig, 4);
    assert_int_equal(post.refused, 1);
    assert_string_equal(post.sentence, "the name 'm-1' was given to saga 1 with another input: "
                                       "take another name, or the same input");
    assert_string_equal(edge_rig_log, ""); /* the module says it */
    assert_int_equal(counts(rig).refused, 1);
    assert_int_equal(counts(rig).messages_open, 0);
}

static uint32_t count_lines(const char *begin)
{
    uint32_t count = 0;
    for (const char *at = edge_rig_log; (at = strstr(at, begin)) != NULL; at++)
        count++;
    return count;
}

static void of_many_that_are_kept_the_log_has_few(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, NULL);
    for (uint32_t i = 0; i < 4 * EDGE_LINES_BURST; i++) {
        char name[16];
        snprintf(name, sizeof name, "m-%u", i);
        post_start(name, "{}", 'A');
        edge_rig_turns(rig, 4);
    }
    assert_int_equal(post.given_up, 4 * EDGE_LINES_BURST);
    assert_int_equal(counts(rig).given_up, 4 * EDGE_LINES_BURST);
    assert_int_equal(count_lines("4 message_kept post: a start: "), EDGE_LINES_BURST);
}

/* And its messages are kept: a wrong name would send all of a queue to its dead letters. */
static void a_definition_that_is_not_there_is_named(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, NULL);
    post_start("m-1", "{\"n\": 1}", 'A');
    edge_rig_turns(rig, 4);
    assert_int_equal(post.given_up, 1);
    assert_string_equal(post.sentence, "there is no definition 'test': make it known (flyover "
                                       "define, or serve --define), or bind the queue to another");
}

static void what_a_module_leaves_outside_is_counted(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    edge_count_refused(edge_rig_thread);
    assert_int_equal(counts(rig).messages, 1);
    assert_int_equal(counts(rig).refused, 1);
    assert_int_equal(counts(rig).messages_open, 0);
}

static void what_can_be_no_payload_is_refused_at_once(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    struct problem problem = {0};
    const uint32_t bytes = FLYOVER_PAYLOAD_BYTES_MAX + 1;
    char *text = malloc(bytes);
    memset(text, 0x91, bytes); /* an array in an array in an array ... */
    struct edge_message message = {
        .kind = EDGE_START, .definition = "test", .input = {(uint8_t *)text, bytes}};
    assert_int_equal(post_bring(&message, 'A', &problem), STATUS_TOO_LARGE);
    assert_string_equal(problem.text, "its body is larger than a payload, 262144 bytes, may be");
    message.input.count = FLYOVER_DEPTH_MAX + 1;
    assert_int_equal(post_bring(&message, 'A', &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "its body is no payload: "));
    message.input.count = 0;
    memset(text, 'x', EDGE_NAME_BYTES);
    text[EDGE_NAME_BYTES] = '\0';
    message.name = text;
    assert_int_equal(post_bring(&message, 'A', &problem), STATUS_INVALID);
    assert_string_equal(problem.text, "its name has 256 bytes; it may have 255");
    free(text);
    edge_rig_turns(rig, 4);
    assert_int_equal(counts(rig).messages, 0);
    assert_string_equal(post.order, "");
}

/* ---- no room ------------------------------------------------------------------------------------
 */

/* Every slot has a saga that waits for its answer. */
static void fill(struct edge_rig *rig)
{
    static const struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    echo.holds = true;
    for (;;) {
        enum status status =
            partition_start(rig->rig->partition, rig->rig->plan, EVENT_NO_SOURCE, nil, 1);
        edge_rig_turns(rig, 3);
        if (status == STATUS_BUSY)
            return;
        assert_int_equal(status, STATUS_OK);
    }
}

static void starts_that_find_no_room_wait_in_their_order(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    fill(rig);
    uint64_t before = rig_totals(rig->rig).started;
    post_start("a", "\"a\"", 'A');
    post_start("b", "\"b\"", 'B');
    post_start("c", "\"c\"", 'C');
    edge_rig_turns(rig, 20);
    assert_int_equal(rig_totals(rig->rig).started, before);
    assert_string_equal(post.order, "");
    for (int i = 0; i < 20 && post.settled < 3; i++) {
        echo_answer(&echo, 0, NULL);
        edge_rig_turns(rig, 6);
    }
    assert_string_equal(post.order, "ABC");
    assert_int_equal(rig_totals(rig->rig).started, before + 3);
    assert_string_equal(echo.input, "\"c\"");
}

static void a_repeat_needs_no_room(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    post_start("a", "\"a\"", 'A');
    edge_rig_turns(rig, 6);
    fill(rig);
    post_start("a", "\"a\"", 'B');
    edge_rig_turns(rig, 4);
    assert_string_equal(post.order, "AB");
}

static void turns_at_once(struct edge_rig *rig, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rig_now_ns -= PARTITION_SEAL_INTERVAL_NS;
        edge_rig_turn(rig);
    }
}

static void post_starts(char prefix, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char name[] = {prefix, (char)('a' + i), '\0'};
        post_start(name, "1", prefix);
    }
}

static void messages_in_numbers_share_a_block(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, SAGA("A", "\"A\":{\"Type\":\"Pass\",\"End\":true}"));
    edge_rig_turns(rig, 4);
    post_starts('A', 20);
    turns_at_once(rig, 4);
    assert_int_equal(post.settled, 20);
    post_starts('B', 20);
    turns_at_once(rig, 4);
    assert_int_equal(post.settled, 20);
    edge_rig_turns(rig, 1);
    turns_at_once(rig, 3);
    assert_int_equal(post.settled, 40);
    /* Nothing is open: what others start waits for nothing. */
    uint64_t no = partition_durable_no(rig->rig->partition);
    rig_start(rig->rig, rig->rig->plan, "x", "y");
    turns_at_once(rig, 3);
    assert_int_equal(partition_durable_no(rig->rig->partition), no + 1);
}

static void no_more_is_taken_than_has_room(void **state)
{
    struct edge_rig *rig = *state;
    struct partition_options options = edge_rig_options(rig);
    rig_open(rig->rig, &options, of_echo);
    struct edges_options edges = edge_rig_edges_options(rig);
    edges.messages_max = 3;
    edge_rig_open_edges(rig, &edges, "{\"echo\": {}, \"post\": {}}");
    rig_held[PARTITION_JOURNAL] = true;
    assert_int_equal(edge_room(edge_rig_thread), 3);
    for (int i = 0; i < 3; i++)
        post_start(i == 0 ? "a" : i == 1 ? "b" : "c", "1", "ABC"[i]);
    assert_int_equal(edge_room(edge_rig_thread), 0);
    assert_int_equal(edge_room_for_answers(edge_rig_thread), 3);
    const struct edge_message more = {.kind = EDGE_START, .definition = "test"};
    assert_int_equal(bring(&more, 'D'), STATUS_BUSY);
    edge_rig_turns(rig, 6);
    assert_int_equal(edge_room(edge_rig_thread), 0);
    for (int i = 0; i < 3; i++)
        signal_to(99, "paid", 1, "EFG"[i]);
    assert_int_equal(edge_room_for_answers(edge_rig_thread), 0);
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 6);
    assert_int_equal(edge_room(edge_rig_thread), 3);
    assert_int_equal(edge_room_for_answers(edge_rig_thread), 3);
}

static void answers_come_in_where_starts_have_no_room(void **state)
{
    struct edge_rig *rig = *state;
    struct partition_options options = edge_rig_options(rig);
    rig_open(rig->rig, &options, by_token);
    struct edges_options edges = edge_rig_edges_options(rig);
    edges.messages_max = 2;
    edge_rig_open_edges(rig, &edges, "{\"echo\": {}, \"post\": {}}");
    fill(rig);
    char token[FLYOVER_TOKEN_BYTES + 1];
    strcpy(token, echo.token);
    while (echo.calls_count > 0)
        echo_answer(&echo, 0, NULL);
    edge_rig_turns(rig, 6);
    post_start("a", "\"a\"", 'A');
    post_start("b", "\"b\"", 'B');
    edge_rig_turns(rig, 6);
    assert_int_equal(edge_room(edge_rig_thread), 0);
    assert_string_equal(post.order, "");
    answer_by(token, NULL, 'C');
    edge_rig_turns(rig, 10);
    assert_int_equal(post.order[0], 'C');
    assert_int_equal(post.order[1], 'A');
}

/* ---- signals ------------------------------------------------------------------------------------
 */

static void a_signal_reaches_its_saga(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, signalled);
    uint64_t saga_id = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    signal_to(saga_id, "paid", 7, 'A');
    signal_to(saga_id, "paid", 8, 'B');
    edge_rig_turns(rig, 6);
    assert_string_equal(post.order, "AB");
    assert_int_equal(post.settled, 2);
    assert_string_equal(rig->output, "{\"paid\":7,\"again\":8}");
}

static void a_signal_that_nobody_waits_for_is_refused(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, signalled);
    signal_to(9, "paid", 7, 'A');
    edge_rig_turns(rig, 4);
    assert_int_equal(post.refused, 1);
    assert_string_equal(post.sentence, "saga 9 was never started: there are 0, numbered from 1");
    uint64_t saga_id = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    signal_to(saga_id, "sent", 7, 'B');
    edge_rig_turns(rig, 4);
    assert_int_equal(post.refused, 2);
}

static void signals_that_a_saga_cannot_keep_wait_in_their_order_and_no_other(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, signalled);
    echo.holds = true;
    uint64_t full = edge_rig_start(rig, "{}"), free_one = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    for (int i = 0; i < (int)CORE_SIGNALS_MAX; i++)
        signal_to(full, "paid", i, 'A');
    edge_rig_turns(rig, 6);
    assert_int_equal(post.settled, CORE_SIGNALS_MAX);
    signal_to(full, "paid", 100, 'B');
    signal_to(full, "paid", 101, 'C');
    signal_to(free_one, "paid", 7, 'D');
    edge_rig_turns(rig, 6);
    assert_string_equal(post.order + CORE_SIGNALS_MAX, "D");
    echo_answer(&echo, 0, "{}");
    rig_now_ms++;
    edge_rig_turns(rig, 6);
    /* Two were taken, and the saga is over: the others can never be. */
    assert_string_equal(post.order + CORE_SIGNALS_MAX, "DBC");
    assert_int_equal(post.given_up, 0);
}

static void one_that_is_waited_for_passes_those_that_wait_and_these_keep_their_order(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, in_turn);
    uint64_t saga_id = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    for (int i = 0; i < (int)CORE_SIGNALS_MAX; i++)
        signal_to(saga_id, "paid", i, 'X');
    edge_rig_turns(rig, 6);
    signal_to(saga_id, "paid", 100, 'B');
    signal_to(saga_id, "sent", 1, 'A');
    signal_to(saga_id, "paid", 101, 'C');
    for (int i = 0; i < 3; i++) {
        rig_now_ms++;
        edge_rig_turns(rig, 3);
    }
    assert_string_equal(post.order + CORE_SIGNALS_MAX, "AB");
    assert_int_equal(counts(rig).messages_open, 1);
}

/* A saga that keeps no more, and these many that wait for it. */
static uint64_t fill_with_signals(struct edge_rig *rig, uint32_t waiting)
{
    edge_rig_open(rig, signalled);
    echo.holds = true;
    uint64_t full = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    for (uint32_t i = 0; i < CORE_SIGNALS_MAX + waiting; i++)
        signal_to(full, "paid", (int)i, 'A');
    edge_rig_turns(rig, 6);
    assert_int_equal(post.settled, CORE_SIGNALS_MAX);
    return full;
}

static void signals_that_cannot_be_kept_are_tried_ever_more_rarely(void **state)
{
    struct edge_rig *rig = *state;
    fill_with_signals(rig, 3);
    assert_int_equal(edges_wait_ns(rig->edges), 1000000);
    for (int64_t ms = 1; ms < EDGE_SIGNAL_WAIT_MS; ms++) {
        rig_now_ms++;
        edges_turn(rig->edges);
        assert_in_range(edges_wait_ns(rig->edges), 1, 256000000);
    }
    /* Of its name to its saga only the first is: 1 + 2 + 4 + ... ms, and then every 256. */
    const struct edge_letter *first = rig->edges->kept.first;
    assert_in_range(first->tries, 30, 9 + EDGE_SIGNAL_WAIT_MS / 256);
    assert_null(first->next_in_queue);
    assert_int_equal(first->behind->tries, 0);
}

static void where_no_signal_waits_the_engine_may_sleep(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, signalled);
    assert_true(edges_wait_ns(rig->edges) == UINT64_MAX);
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_true(edges_wait_ns(rig->edges) == UINT64_MAX);
}

static void those_that_wait_behind_a_signal_are_taken_with_it(void **state)
{
    struct edge_rig *rig = *state;
    uint64_t full = fill_with_signals(rig, 3);
    signal_to(full, "paid", 1000, 'B');
    rig_now_ms += 300;
    edge_rig_turns(rig, 1);
    echo_answer(&echo, 0, "{}");
    rig_now_ms += 300;
    edge_rig_turns(rig, 6);
    /* Two more were taken; then the saga was over, and the others can never be. */
    assert_int_equal(post.settled + post.refused, CORE_SIGNALS_MAX + 4);
    assert_int_equal(counts(rig).messages_open, 0);
    assert_int_equal(post.order[CORE_SIGNALS_MAX + 3], 'B');
    assert_true(edges_wait_ns(rig->edges) == UINT64_MAX);
}

static void one_that_comes_behind_those_that_wait_stays_behind_them(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, in_turn);
    uint64_t saga_id = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    for (int i = 0; i < (int)CORE_SIGNALS_MAX; i++)
        signal_to(saga_id, "paid", i, 'X');
    edge_rig_turns(rig, 6);
    for (int i = 0; i < 3; i++)
        signal_to(saga_id, "paid", 100 + i, "BCD"[i]);
    edge_rig_turns(rig, 2);
    signal_to(saga_id, "sent", 1, 'A'); /* takes one of those that are kept */
    rig_now_ms += 1000;
    edge_rig_turns(rig, 3);
    rig_now_ms += 1000;
    edge_rig_turns(rig, 3);
    assert_string_equal(post.order + CORE_SIGNALS_MAX, "AB");
    signal_to(saga_id, "paid", 103, 'E');
    edge_rig_turns(rig, 2);
    signal_to(saga_id, "sent", 1, 'F'); /* ends it */
    edge_rig_turns(rig, 3);
    rig_now_ms += 1000;
    edge_rig_turns(rig, 3);
    assert_string_equal(post.order + CORE_SIGNALS_MAX, "ABFCDE");
    assert_int_equal(counts(rig).messages_open, 0);
}

static void a_signal_that_waits_for_too_long_is_given_up(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, signalled);
    echo.holds = true;
    uint64_t full = edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    for (int i = 0; i <= (int)CORE_SIGNALS_MAX; i++)
        signal_to(full, "paid", i, 'A');
    edge_rig_turns(rig, 6);
    assert_int_equal(post.settled, CORE_SIGNALS_MAX);
    rig_now_ms += EDGE_SIGNAL_WAIT_MS;
    edge_rig_turns(rig, 6);
    assert_int_equal(post.given_up, 0);
    rig_now_ms += 1;
    edge_rig_turns(rig, 6);
    assert_int_equal(post.given_up, 1);
    assert_int_equal(counts(rig).given_up, 1);
    assert_int_equal(counts(rig).messages_open, 0);
}

/* ---- answers by token ---------------------------------------------------------------------------
 */

/* A saga that waits for its token. */
static void ask(struct edge_rig *rig, char token[FLYOVER_TOKEN_BYTES + 1])
{
    edge_rig_open(rig, by_token);
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_int_equal(echo.heard, 1);
    assert_int_equal(rig->replies, 0);
    strcpy(token, echo.token);
    assert_true(strlen(token) > 10);
}

static void an_answer_by_token_ends_the_step(void **state)
{
    struct edge_rig *rig = *state;
    char token[FLYOVER_TOKEN_BYTES + 1];
    ask(rig, token);
    answer_by(token, NULL, 'A');
    edge_rig_turns(rig, 6);
    assert_string_equal(rig->output, "{\"ok\":true}");
    assert_int_equal(post.settled, 1);
}

static void a_failure_by_token_fails_the_step(void **state)
{
    struct edge_rig *rig = *state;
    char token[FLYOVER_TOKEN_BYTES + 1];
    ask(rig, token);
    answer_by(token, "Echo.Sorry", 'A');
    edge_rig_turns(rig, 6);
    assert_int_equal(rig->reply.outcome, OUTCOME_FAILED);
    assert_string_equal(rig->error, "Echo.Sorry");
    assert_string_equal(rig->cause, "told so");
    assert_int_equal(post.settled, 1);
}

static void an_answer_by_token_that_comes_twice_is_settled_twice(void **state)
{
    struct edge_rig *rig = *state;
    char token[FLYOVER_TOKEN_BYTES + 1];
    ask(rig, token);
    answer_by(token, NULL, 'A');
    answer_by(token, "Echo.Sorry", 'B');
    edge_rig_turns(rig, 6);
    answer_by(token, NULL, 'C');
    edge_rig_turns(rig, 6);
    assert_string_equal(post.order, "ABC");
    assert_int_equal(post.settled, 3);
    assert_int_equal(counts(rig).repeated, 2);
    assert_int_equal(rig->reply.outcome, OUTCOME_SUCCEEDED);
}

static void an_answer_that_is_quicker_than_the_question_waits_for_it(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, by_token);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 6);
    assert_int_equal(echo.calls_count, 1);
    char token[FLYOVER_TOKEN_BYTES + 1];
    strcpy(token, echo.token);
    answer_by(token, NULL, 'A');
    edge_rig_turns(rig, 6);
    assert_string_equal(post.order, "");
    assert_int_equal(rig->replies, 0);
    echo_answer(&echo, 0, NULL);
    rig_now_ms++;
    edge_rig_turns(rig, 6);
    assert_int_equal(post.settled, 1);
    assert_int_equal(rig->replies, 1);
    assert_string_equal(rig->output, "{\"ok\":true}");
}

static void a_token_of_another_engine_is_refused(void **state)
{
    struct edge_rig *rig = *state;
    char token[FLYOVER_TOKEN_BYTES + 1];
    ask(rig, token);
    char *last = &token[strlen(token) - 1];
    *last = *last == '0' ? '1' : '0';
    answer_by(token, NULL, 'A');
    answer_by("", NULL, 'B');
    edge_rig_turns(rig, 6);
    assert_int_equal(post.refused, 2);
    assert_int_equal(rig->replies, 0);
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static void while_it_drains_nothing_is_brought_and_what_came_is_settled(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    post.drains = 3;
    rig_held[PARTITION_JOURNAL] = true;
    post_start("a", "1", 'A');
    edge_rig_turns(rig, 3);
    assert_false(edges_drain(rig->edges));
    edge_rig_turns(rig, 3);
    assert_int_equal(edge_room(edge_rig_thread), 0);
    assert_int_equal(edge_room_for_answers(edge_rig_thread), 0);
    const struct edge_message more = {.kind = EDGE_START, .definition = "test"};
    assert_int_equal(bring(&more, 'D'), STATUS_BUSY);
    assert_false(edges_drain(rig->edges));
    rig_held[PARTITION_JOURNAL] = false;
    edge_rig_turns(rig, 6);
    assert_true(edges_drain(rig->edges));
    assert_int_equal(post.settled, 1);
    assert_int_equal(post.drains, 0);
}

static void what_waits_at_the_close_is_given_up(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    fill(rig);
    post_start("a", "1", 'A');
    edge_rig_turns(rig, 3);
    post_start("b", "1", 'B'); /* that the engine has not seen */
    edges_close(rig->edges);
    rig->edges = NULL;
    assert_int_equal(post.given_up, 2);
    assert_false(post.is_open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(a_message_is_settled_when_what_it_started_is_durable),
        EDGE_TEST(a_message_that_comes_again_starts_nothing_and_is_settled_too),
        EDGE_TEST(a_message_is_no_repeat_before_the_first_is_durable),
        EDGE_TEST(the_engine_that_dies_before_it_is_durable_settles_nothing),
        EDGE_TEST(a_name_with_another_input_is_refused),
        EDGE_TEST(of_many_that_are_kept_the_log_has_few),
        EDGE_TEST(a_definition_that_is_not_there_is_named),
        EDGE_TEST(what_a_module_leaves_outside_is_counted),
        EDGE_TEST(what_can_be_no_payload_is_refused_at_once),
        EDGE_TEST(starts_that_find_no_room_wait_in_their_order),
        EDGE_TEST(a_repeat_needs_no_room),
        EDGE_TEST(messages_in_numbers_share_a_block),
        EDGE_TEST(no_more_is_taken_than_has_room),
        EDGE_TEST(answers_come_in_where_starts_have_no_room),
        EDGE_TEST(a_signal_reaches_its_saga),
        EDGE_TEST(a_signal_that_nobody_waits_for_is_refused),
        EDGE_TEST(signals_that_a_saga_cannot_keep_wait_in_their_order_and_no_other),
        EDGE_TEST(one_that_is_waited_for_passes_those_that_wait_and_these_keep_their_order),
        EDGE_TEST(signals_that_cannot_be_kept_are_tried_ever_more_rarely),
        EDGE_TEST(where_no_signal_waits_the_engine_may_sleep),
        EDGE_TEST(those_that_wait_behind_a_signal_are_taken_with_it),
        EDGE_TEST(one_that_comes_behind_those_that_wait_stays_behind_them),
        EDGE_TEST(a_signal_that_waits_for_too_long_is_given_up),
        EDGE_TEST(an_answer_by_token_ends_the_step),
        EDGE_TEST(a_failure_by_token_fails_the_step),
        EDGE_TEST(an_answer_by_token_that_comes_twice_is_settled_twice),
        EDGE_TEST(an_answer_that_is_quicker_than_the_question_waits_for_it),
        EDGE_TEST(a_token_of_another_engine_is_refused),
        EDGE_TEST(while_it_drains_nothing_is_brought_and_what_came_is_settled),
        EDGE_TEST(what_waits_at_the_close_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
