/* A conversation is cut behind each of its bytes, those that the engine sends and those that it
 * reads, over a unix socket and over TCP. Whatever is lost: no START without a name is done twice,
 * each with a name is done once and answered, and nothing is answered twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/client/flyover.h"
#include "tests/client/fake.h"

/* Requests, by their word: those with a name are the odd ones. */
enum { STARTS = 8, WORD_AWAIT = 100, WORD_DEFINE, WORD_ASK, WORD_SIGNAL, WORDS };

static void send_starts(struct flyover_client *client)
{
    for (uint8_t number = 0; number < STARTS; number++) {
        char name[16];
        snprintf(name, sizeof name, "name-%u", number);
        struct flyover_start start = {.definition = "order",
                                      .input = &number,
                                      .input_bytes = 1,
                                      .name = number % 2 == 1 ? name : NULL};
        enum flyover_when when = number % 4 < 2 ? FLYOVER_AT_BOTH : FLYOVER_AT_ACCEPTANCE;
        assert_int_equal(flyover_send_start(client, &start, when, number), FLYOVER_OK);
        assert_int_equal(flyover_flush(client), FLYOVER_OK);
    }
}

static void send_others(struct flyover_client *client)
{
    static const char counts[] = "\x81\xa2"
                                 "do\xa4list";
    static const char signal[] = "\x81\xa2"
                                 "do\xa6"
                                 "cancel";
    assert_int_equal(flyover_send_await(client, 12, NULL, WORD_AWAIT), FLYOVER_OK);
    assert_int_equal(flyover_send_define(client, "order", "{}", WORD_DEFINE), FLYOVER_OK);
    assert_int_equal(flyover_send_ask(client, counts, sizeof counts - 1, WORD_ASK), FLYOVER_OK);
    assert_int_equal(flyover_send_ask(client, signal, sizeof signal - 1, WORD_SIGNAL), FLYOVER_OK);
}

struct told {
    uint32_t started, ended, refused, other;
    uint64_t saga_id;
    enum flyover_status status;
};

static bool is_both(uint64_t word)
{
    return word < STARTS && word % 4 < 2;
}

static bool is_over(const struct told *told, uint64_t word)
{
    return told->refused + told->ended + told->other > 0 || (told->started > 0 && !is_both(word));
}

static void take_all(struct flyover_client *client, struct told *told)
{
    uint32_t open = STARTS + 4;
    while (open > 0) {
        struct flyover_answer_message answer;
        assert_true(flyover_next(client, &answer, -1));
        if (answer.kind == FLYOVER_RECONNECTED)
            continue;
        struct told *to = &told[answer.word];
        assert_false(is_over(to, answer.word)); /* nothing comes behind the last answer */
        to->status = answer.status;
        to->started += answer.kind == FLYOVER_STARTED;
        to->ended += answer.kind == FLYOVER_ENDED;
        to->refused += answer.kind == FLYOVER_REFUSED_REQUEST;
        to->other += answer.kind == FLYOVER_DEFINED || answer.kind == FLYOVER_ANSWERED;
        if (to->saga_id != 0 && answer.saga_id != 0)
            assert_int_equal(to->saga_id, answer.saga_id);
        to->saga_id = answer.saga_id != 0 ? answer.saga_id : to->saga_id;
        open -= is_over(to, answer.word);
    }
    struct flyover_answer_message more;
    while (flyover_next(client, &more, 0))
        assert_int_equal(more.kind, FLYOVER_RECONNECTED);
}

static void check_start(const struct told *told, uint32_t number, uint32_t started)
{
    assert_true(started <= 1);
    assert_true(told->started <= 1 && told->ended <= 1 && told->refused <= 1);
    if (number % 2 == 1 || told->refused == 0) {
        assert_int_equal(told->refused, 0);
        assert_int_equal(started, 1);
        assert_int_equal(is_both(number) ? told->ended : told->started, 1);
    } else {
        assert_int_equal(told->status, FLYOVER_UNKNOWN);
        assert_int_equal(told->started, 0); /* with its saga known the end is awaited */
    }
}

static void check_others(const struct told *told)
{
    assert_int_equal(told[WORD_AWAIT].ended, 1);
    assert_int_equal(told[WORD_AWAIT].saga_id, 12);
    assert_int_equal(told[WORD_DEFINE].other, 1);
    assert_int_equal(told[WORD_ASK].other, 1);
    assert_int_equal(told[WORD_SIGNAL].other + told[WORD_SIGNAL].refused, 1);
    if (told[WORD_SIGNAL].refused == 1)
        assert_int_equal(told[WORD_SIGNAL].status, FLYOVER_UNKNOWN);
}

/* Returns the counts of the fake at the end. */
static struct fake_counts converse(const struct fake_options *options, struct told *told)
{
    struct fake *fake = fake_open(options);
    struct flyover_client_options to = {.address = fake_address(fake), .name = "test"};
    struct flyover_client *client;
    assert_int_equal(flyover_connect(&to, &client), FLYOVER_OK);
    send_starts(client);
    send_others(client);
    take_all(client, told);
    struct fake_counts counts = fake_counts(fake);
    flyover_close(client);
    fake_close(fake);
    for (uint32_t number = 0; number < STARTS; number++)
        check_start(&told[number], number, counts.started[number]);
    check_others(told);
    return counts;
}

static struct fake_counts converse_whole(bool is_tcp)
{
    struct told told[WORDS] = {0};
    struct fake_options options = {.is_tcp = is_tcp};
    struct fake_counts counts = converse(&options, told);
    assert_int_equal(counts.connections, 1);
    for (uint32_t i = 0; i < STARTS; i++)
        assert_int_equal(told[i].refused, 0);
    return counts;
}

static void cut_everywhere_as_sent(bool is_tcp)
{
    uint64_t bytes = converse_whole(is_tcp).sent;
    assert_true(bytes > 300);
    for (uint64_t cut = 1; cut < bytes; cut++) {
        struct told told[WORDS] = {0};
        struct fake_options options = {.is_tcp = is_tcp, .cut_after_sent = {cut}};
        struct fake_counts counts = converse(&options, told);
        /* How many frames there are is a matter of timing, and with it how many bytes. */
        assert_true(counts.connections >= 2 || counts.sent <= cut);
    }
}

static void cut_everywhere_as_read(bool is_tcp)
{
    uint64_t bytes = converse_whole(is_tcp).read;
    assert_true(bytes > 300);
    for (uint64_t cut = 1; cut < bytes; cut++) {
        struct told told[WORDS] = {0};
        struct fake_options options = {.is_tcp = is_tcp, .cut_after_read = {cut}};
        struct fake_counts counts = converse(&options, told);
        assert_true(counts.connections >= 2 || counts.read <= cut);
    }
}

static void an_answer_cut_at_any_byte_over_unix_loses_and_doubles_nothing(void **state)
{
    (void)state;
    cut_everywhere_as_sent(false);
}

static void an_answer_cut_at_any_byte_over_tcp_loses_and_doubles_nothing(void **state)
{
    (void)state;
    cut_everywhere_as_sent(true);
}

static void a_request_cut_at_any_byte_over_unix_loses_and_doubles_nothing(void **state)
{
    (void)state;
    cut_everywhere_as_read(false);
}

static void a_request_cut_at_any_byte_over_tcp_loses_and_doubles_nothing(void **state)
{
    (void)state;
    cut_everywhere_as_read(true);
}

static void a_connection_cut_again_and_again_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (uint64_t cut = 60; cut < 160; cut += 7) {
        struct told told[WORDS] = {0};
        struct fake_options options = {.cut_after_sent = {cut, cut + 1, cut + 20, cut + 40},
                                       .cut_after_read = {0, 0, cut, 2 * cut}};
        assert_true(converse(&options, told).connections >= 3);
    }
}

/* Whatever it says then: it is survived, and no request has two last answers. */
static void say_wrong(uint64_t at, uint8_t bits)
{
    struct told told[WORDS] = {0};
    struct fake *fake = fake_open(&(struct fake_options){.wrong_at = at, .wrong_bits = bits});
    struct flyover_client_options to = {.address = fake_address(fake), .connect_ms = 200};
    struct flyover_client *client;
    if (flyover_connect(&to, &client) == FLYOVER_OK) {
        send_starts(client);
        send_others(client);
        struct flyover_answer_message answer;
        while (flyover_next(client, &answer, 5)) {
            if (answer.kind == FLYOVER_RECONNECTED)
                continue;
            assert_true(answer.word < WORDS);
            struct told *to_word = &told[answer.word];
            assert_false(is_over(to_word, answer.word));
            to_word->started += answer.kind == FLYOVER_STARTED;
            to_word->ended += answer.kind == FLYOVER_ENDED;
            to_word->refused += answer.kind == FLYOVER_REFUSED_REQUEST;
            to_word->other += answer.kind == FLYOVER_DEFINED || answer.kind == FLYOVER_ANSWERED;
        }
        flyover_close(client);
    }
    fake_close(fake);
}

static void a_byte_that_is_wrong_anywhere_is_survived(void **state)
{
    (void)state;
    uint64_t bytes = converse_whole(false).sent;
    for (uint64_t at = 0; at < bytes; at++) {
        say_wrong(at, 0x01);
        say_wrong(at, 0xff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_cut_at_any_byte_over_unix_loses_and_doubles_nothing),
        cmocka_unit_test(an_answer_cut_at_any_byte_over_tcp_loses_and_doubles_nothing),
        cmocka_unit_test(a_request_cut_at_any_byte_over_unix_loses_and_doubles_nothing),
        cmocka_unit_test(a_request_cut_at_any_byte_over_tcp_loses_and_doubles_nothing),
        cmocka_unit_test(a_connection_cut_again_and_again_loses_and_doubles_nothing),
        cmocka_unit_test(a_byte_that_is_wrong_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
