#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/edge/edge_rig.h"
#include "tests/edge/no_network.h"

/* How edges are opened, what they refuse, and what they log. */

static const char of_echo[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\","
                              "\"Resource\":\"service:echo.say\",\"End\":true}}}";

static void open_engine(struct edge_rig *rig)
{
    struct partition_options options = edge_rig_options(rig);
    rig_open(rig->rig, &options, of_echo);
}

/* And nothing stays open. */
static void assert_refused(struct edge_rig *rig, const char *config, enum status status,
                           const char *sentence)
{
    struct problem problem = {0};
    assert_int_equal(edge_rig_try(rig, config, &problem), status);
    assert_string_equal(problem.text, sentence);
    assert_null(rig->edges);
    assert_false(echo.is_open || other.is_open || post.is_open);
    assert_int_equal(no_http_open, 0);
    assert_int_equal(no_aws_open, 0);
}

/* ---- sections -----------------------------------------------------------------------------------
 */

static void a_module_is_open_if_its_section_is_there(void **state)
{
    struct edge_rig *rig = *state;
    struct problem problem = {0};
    open_engine(rig);
    assert_int_equal(edge_rig_try(rig, "{\"other\": {}}", &problem), STATUS_OK);
    assert_false(echo.is_open);
    assert_true(other.is_open);
    assert_int_equal(edges_counts(rig->edges).lanes_count, 3);
    assert_int_equal(no_aws_open, 0);
    edges_close(rig->edges);
    assert_int_equal(edge_rig_try(rig, "{\"aws\": {}, \"echo\": {}}", &problem), STATUS_OK);
    assert_true(echo.is_open);
    assert_int_equal(no_aws_open, 1);
    edges_turn(rig->edges);
    assert_string_equal(edge_rig_log, "6 aws its region is eu-central-1\n");
}

static void nothing_is_fine_too(void **state)
{
    struct edge_rig *rig = *state;
    struct problem problem = {0};
    open_engine(rig);
    assert_int_equal(edge_rig_try(rig, "{}", &problem), STATUS_OK);
    edge_rig_turns(rig, 3);
    assert_false(edges_drain(rig->edges));
    edge_rig_turn(rig);
    assert_true(edges_drain(rig->edges));
}

static void a_section_that_is_none_is_refused_with_a_hint(void **state)
{
    struct edge_rig *rig = *state;
    open_engine(rig);
    assert_refused(rig, "{\"ecko\": {}}", STATUS_INVALID,
                   "ecko: there is no such section; did you mean \"echo\"?");
    assert_refused(rig, "{\"echo\": {}, \"kinesis\": {}}", STATUS_INVALID,
                   "kinesis: there is no such section; there are: aws echo other raw post");
    assert_refused(rig, "{\"echo\": [1]}", STATUS_INVALID,
                   "echo: it is a section: keys stand under it, or it is {}");
    assert_refused(rig, "[]", STATUS_INVALID, "edges are told in sections, a module each: sqs: {}");
}

static void what_a_module_refuses_closes_those_before_it(void **state)
{
    struct edge_rig *rig = *state;
    open_engine(rig);
    assert_refused(rig, "{\"aws\": {}, \"echo\": {}, \"other\": {\"wrong\": 1}}", STATUS_INVALID,
                   "echo.wrong: there is no such field");
    no_aws_refuses = true;
    assert_refused(rig, "{\"aws\": {}, \"echo\": {}}", STATUS_INVALID,
                   "aws.profile: there is no profile 'shop'");
    no_aws_refuses = false;
    no_http_refuses = true;
    assert_refused(rig, "{\"echo\": {}}", STATUS_NO_MEMORY, "no HTTP today");
    no_http_refuses = false;
}

static enum flyover_answer handle(struct flyover_call *call)
{
    return flyover_done(call);
}

static void a_plug_in_of_that_name_is_named(void **state)
{
    static const struct flyover_handler handlers[] = {{"say", handle}};
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI, .name = "echo", .handlers = handlers, .handlers_count = 1};
    struct edge_rig *rig = *state;
    struct partition_options options = edge_rig_options(rig);
    options.built_in[options.built_in_count++] = &service;
    rig_open(rig->rig, &options, of_echo);
    assert_refused(rig, "{\"echo\": {}}", STATUS_EXISTS,
                   "service 'echo' is a plug-in of this engine: give yours another name, or start "
                   "the engine without it");
}

static void an_engine_without_remote_services_has_no_edges(void **state)
{
    struct edge_rig *rig = *state;
    struct partition_options options = edge_rig_options(rig);
    options.remote = false;
    rig_open(rig->rig, &options, NULL);
    struct problem problem = {0};
    assert_int_equal(edge_rig_try(rig, "{\"echo\": {}}", &problem), STATUS_UNSUPPORTED);
}

/* ---- edge-id ------------------------------------------------------------------------------------
 */

static void path_of_id(const struct edge_rig *rig, char ret_path[128])
{
    snprintf(ret_path, 128, "%s/edge-id", rig->rig->directory);
}

static void read_id(const struct edge_rig *rig, char ret_text[64])
{
    char path[128];
    path_of_id(rig, path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t bytes = read(file, ret_text, 63);
    assert_true(bytes >= 0);
    ret_text[bytes] = '\0';
    close(file);
}

static void write_id(const struct edge_rig *rig, const char *text)
{
    char path[128];
    path_of_id(rig, path);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
}

static void the_id_is_made_once_and_kept(void **state)
{
    struct edge_rig *rig = *state;
    char first[64], second[64], beside[160];
    edge_rig_open(rig, of_echo);
    read_id(rig, first);
    assert_int_equal(strspn(first, "0123456789abcdef"), 16);
    assert_string_equal(first + 16, "\n");
    edge_rig_crash(rig);
    edge_rig_open(rig, of_echo);
    read_id(rig, second);
    assert_string_equal(first, second);
    snprintf(beside, sizeof beside, "%s/edge-id.new", rig->rig->directory);
    assert_int_not_equal(access(beside, F_OK), 0);
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    first[16] = '-';
    assert_memory_equal(echo.key, first, 17);
}

static void what_a_crash_left_beside_the_id_does_no_harm(void **state)
{
    struct edge_rig *rig = *state;
    char beside[160], text[64];
    snprintf(beside, sizeof beside, "%s/edge-id.new", rig->rig->directory);
    int file = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, "0123456789abcdef0123456789", 26), 26);
    close(file);
    edge_rig_open(rig, of_echo);
    read_id(rig, text);
    assert_int_equal(strlen(text), 17);
}

static void an_id_that_is_damaged_is_not_made_anew(void **state)
{
    static const char *const damaged[] = {"", "0123", "0123456789abcdeg\n", "0123456789abcdef0\n",
                                          "0123456789abcdef\n\n"};
    struct edge_rig *rig = *state;
    char sentence[512];
    open_engine(rig);
    snprintf(sentence, sizeof sentence,
             "%s/edge-id is damaged: it has 16 hexadecimal digits, by which others know this "
             "engine's steps again. Bring it back from a copy; or delete it, and steps that were "
             "with others when the engine stopped may be done twice",
             rig->rig->directory);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        write_id(rig, damaged[i]);
        assert_refused(rig, "{\"echo\": {}}", STATUS_CORRUPT, sentence);
        char text[64];
        read_id(rig, text);
        assert_string_equal(text, damaged[i]);
    }
}

static void an_engine_in_memory_has_an_id_of_its_own_each_time(void **state)
{
    struct edge_rig *rig = *state;
    char keys[2][EDGE_KEY_BYTES];
    struct partition_options options = edge_rig_options(rig);
    options.directory = NULL;
    options.durability = DURABILITY_MEMORY;
    for (int i = 0; i < 2; i++) {
        rig_open(rig->rig, &options, of_echo);
        struct edges_options edges = edge_rig_edges_options(rig);
        edges.directory = NULL;
        edge_rig_open_edges(rig, &edges, "{\"echo\": {}}");
        edge_rig_start(rig, "{}");
        edge_rig_turns(rig, 6);
        strcpy(keys[i], echo.key);
        edge_rig_crash(rig);
    }
    assert_int_equal(echo.heard, 2);
    assert_string_not_equal(keys[0], keys[1]);
}

/* ---- the log ------------------------------------------------------------------------------------
 */

static uint32_t lines_of(const char *event)
{
    uint32_t count = 0;
    for (const char *at = edge_rig_log; (at = strstr(at, event)) != NULL; at++)
        count++;
    return count;
}

static void the_same_failure_is_not_said_over_and_over(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    for (int i = 0; i < 1000; i++)
        edge_log(edge_rig_thread, 4, "refused", "queue %d", i);
    edge_log(edge_rig_thread, 3, "broken", "all of it");
    edge_rig_turn(rig);
    assert_int_equal(lines_of("refused queue"), EDGE_LINES_BURST);
    assert_non_null(strstr(edge_rig_log, "4 refused queue 0\n4 refused queue 1\n"));
    assert_non_null(strstr(edge_rig_log, "3 broken all of it\n"));
}

static void more_lines_than_there_is_room_for_are_counted(void **state)
{
    static const char *const formats[] = {"a %d", "b %d", "c %d", "d %d", "e %d", "f %d",
                                          "g %d", "h %d", "i %d", "j %d", "k %d", "l %d",
                                          "m %d", "n %d", "o %d", "p %d", "q %d", "r %d"};
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    for (int i = 0; i < 8; i++)
        for (size_t j = 0; j < sizeof formats / sizeof formats[0]; j++)
            edge_log(edge_rig_thread, 4, "many", formats[j], i);
    edge_rig_turn(rig);
    assert_int_equal(lines_of("4 many "), 127);
    edge_log(edge_rig_thread, 4, "next", "one");
    edge_rig_turn(rig);
    assert_non_null(strstr(edge_rig_log, "4 next one (and 17 more were left out)\n"));
    edge_log(edge_rig_thread, 4, "next", "one");
    edge_rig_turn(rig);
    assert_non_null(strstr(edge_rig_log, "4 next one\n"));
}

static void a_line_is_cut(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    char text[2 * EDGE_LINE_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    edge_log(edge_rig_thread, 4, "long", "%s", text);
    edge_rig_turn(rig);
    assert_int_equal(strlen(edge_rig_log), strlen("4 long \n") + EDGE_LINE_BYTES - 1);
}

static void retries_are_counted_by_handler(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, of_echo);
    echo.holds = true;
    edge_rig_start(rig, "{}");
    edge_rig_turns(rig, 4);
    edge_count_retry(edge_rig_thread, echo.calls[0]);
    edge_count_retry(edge_rig_thread, echo.calls[0]);
    assert_int_equal(edges_counts(rig->edges).lanes[0].retried, 2);
    assert_int_equal(edges_counts(rig->edges).lanes[1].retried, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(a_module_is_open_if_its_section_is_there),
        EDGE_TEST(nothing_is_fine_too),
        EDGE_TEST(a_section_that_is_none_is_refused_with_a_hint),
        EDGE_TEST(what_a_module_refuses_closes_those_before_it),
        EDGE_TEST(a_plug_in_of_that_name_is_named),
        EDGE_TEST(an_engine_without_remote_services_has_no_edges),
        EDGE_TEST(the_id_is_made_once_and_kept),
        EDGE_TEST(what_a_crash_left_beside_the_id_does_no_harm),
        EDGE_TEST(an_id_that_is_damaged_is_not_made_anew),
        EDGE_TEST(an_engine_in_memory_has_an_id_of_its_own_each_time),
        EDGE_TEST(the_same_failure_is_not_said_over_and_over),
        EDGE_TEST(more_lines_than_there_is_room_for_are_counted),
        EDGE_TEST(a_line_is_cut),
        EDGE_TEST(retries_are_counted_by_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
