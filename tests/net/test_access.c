#include "engine/net/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/net/rig.h"

/* SHA-256 of "test" and of "other". */
#define HASH_TEST  "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HASH_OTHER "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"

static char path[64];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0640);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/test_access_XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct flyover_bytes text_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static struct access *open_file(const char *text)
{
    struct access *access;
    struct problem problem = {0};
    write_file(text);
    if (access_open(path, &access, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return access;
}

static void a_token_is_found_by_its_hash_and_no_other_is(void **state)
{
    (void)state;
    struct access *access = open_file("# comment\n\n ada operator " HASH_TEST "  # she\n"
                                      "mailer\tworker:email,shipping\t" HASH_OTHER "\n");
    const struct access_grant *grant = access_find(access, text_of("test"));
    assert_non_null(grant);
    assert_string_equal(grant->name, "ada");
    assert_int_equal(grant->role, ACCESS_OPERATOR);
    assert_true(access_may_serve(grant, "anything"));
    grant = access_find(access, text_of("other"));
    assert_non_null(grant);
    assert_int_equal(grant->role, ACCESS_WORKER);
    assert_true(access_may_serve(grant, "email"));
    assert_true(access_may_serve(grant, "shipping"));
    assert_false(access_may_serve(grant, "ship"));
    assert_null(access_find(access, text_of("tes")));
    assert_null(access_find(access, text_of("")));
    assert_null(access_find(access, text_of(HASH_TEST)));
    access_close(access);
}

static void a_line_that_is_wrong_is_named(void **state)
{
    static const char *const lines[] = {
        "ada operator",         "ada king " HASH_TEST,      "ada operator " HASH_TEST " more",
        "ada operator 12",      "ada operator g" HASH_TEST, "a/b operator " HASH_TEST,
        "m worker: " HASH_TEST, "m worker:a,,b " HASH_TEST, "m worker:a, " HASH_TEST,
        "m worker " HASH_TEST,
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct access *access;
        struct problem problem = {0};
        char text[256];
        snprintf(text, sizeof text, "x client " HASH_OTHER "\n%s\n", lines[i]);
        write_file(text);
        assert_int_equal(access_open(path, &access, &problem), STATUS_INVALID);
        assert_non_null(strstr(problem.text, ":2:"));
    }
}

static void a_file_that_everybody_may_read_is_refused(void **state)
{
    (void)state;
    struct access *access;
    struct problem problem = {0};
    write_file("x client " HASH_OTHER "\n");
    chmod(path, 0644);
    assert_int_equal(access_open(path, &access, &problem), STATUS_NO_PERMISSION);
    assert_non_null(strstr(problem.text, path));
    unlink(path);
    assert_int_equal(access_open(path, &access, &problem), STATUS_NOT_FOUND);
}

static void a_reload_that_fails_leaves_what_was_there(void **state)
{
    (void)state;
    struct problem problem = {0};
    struct access *access = open_file("ada operator " HASH_TEST "\n");
    write_file("nonsense\n");
    assert_int_equal(access_reload(access, &problem), STATUS_INVALID);
    assert_non_null(access_find(access, text_of("test")));
    write_file("eve client " HASH_OTHER "\n");
    assert_int_equal(access_reload(access, &problem), STATUS_OK);
    assert_null(access_find(access, text_of("test")));
    assert_non_null(access_find(access, text_of("other")));
    access_close(access);
}

static void a_token_that_is_made_is_one_that_is_found(void **state)
{
    (void)state;
    char first[ACCESS_TOKEN_BYTES + 1], token[ACCESS_TOKEN_BYTES + 1], line[256];
    struct problem problem = {0};
    assert_int_equal(access_make("m", "worker:*", first, line, sizeof line, &problem), STATUS_OK);
    assert_int_equal(access_make("m", "worker:*", token, line, sizeof line, &problem), STATUS_OK);
    assert_int_equal(strlen(token), ACCESS_TOKEN_BYTES);
    assert_memory_equal(token, "fly_", 4);
    assert_string_not_equal(first, token);
    assert_null(strstr(line, token));
    struct access *access = open_file(line);
    const struct access_grant *grant = access_find(access, text_of(token));
    assert_non_null(grant);
    assert_true(access_may_serve(grant, "any"));
    assert_null(access_find(access, text_of(first)));
    access_close(access);
    assert_int_equal(access_make("m", "king", token, line, sizeof line, &problem), STATUS_INVALID);
    assert_int_equal(access_make("m", "client", token, line, 10, &problem), STATUS_TOO_LARGE);
}

/* ---- at the server ------------------------------------------------------------------------------
 */

static struct access *granted;

static int set_up_server(void **state)
{
    set_up(state);
    granted = open_file("ada operator " HASH_TEST "\nshop client " HASH_OTHER "\n");
    rig_set_up(state);
    struct rig *rig = *state;
    rig->options.access = granted;
    rig_open_server(rig);
    return 0;
}

static int tear_down_server(void **state)
{
    rig_tear_down(state);
    access_close(granted);
    return tear_down(state);
}

static uint32_t greet_with(struct rig *rig, const char *token)
{
    char text[256];
    uint32_t connection = rig_connect(rig);
    snprintf(text, sizeof text, "[1, 1, {\"token\": \"%s\"}]", token);
    rig_say(rig, connection, text);
    rig_turn(rig);
    return connection;
}

static void who_has_no_token_or_a_wrong_one_is_not_let_in(void **state)
{
    struct rig *rig = *state;
    uint32_t a = greet_with(rig, "tesT");
    assert_non_null(strstr(rig_hear_error(rig, a, 0, "NO_PERMISSION"), "not known"));
    assert_false(fake_is_open(rig->transport, a));
    uint32_t b = rig_connect(rig);
    rig_say(rig, b, "[1, 1, {}] [12, 1, \"order\", {}, null]");
    rig_settle(rig);
    assert_non_null(strstr(rig_hear_error(rig, b, 0, "NO_PERMISSION"), "token"));
    assert_string_equal(rig_hear(rig, b), "");
    assert_null(strstr(rig->log, "tesT"));
}

static void a_client_may_start_and_look_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    uint32_t ada = greet_with(rig, "test"), shop = greet_with(rig, "other");
    assert_non_null(strstr(rig_hear(rig, ada), "\"role\":\"operator\""));
    assert_non_null(strstr(rig_hear(rig, shop), "\"role\":\"client\""));
    rig_define(rig, ada, "order", rig_task);
    rig_say(rig, shop, "[12, 1, \"order\", {}, null] [16, 2, {\"do\": \"show\", \"saga\": 1}]");
    rig_settle(rig);
    assert_memory_equal(rig_hear(rig, shop), "[17,2,{\"saga\":1,", 16);
    assert_string_equal(rig_hear(rig, shop), "[13,1,1,false]");
    rig_say(rig, shop,
            "[10, 3, \"x\", \"{}\"] [30, 4, \"far\", [\"do\"], 1] [16, 5, {\"do\": \"cancel\", "
            "\"saga\": 1}] [16, 6, {\"do\": \"definition\", \"plan\": 0}] [16, 7, {}]"
            "[33, 0, null]");
    rig_settle(rig);
    for (uint64_t id = 3; id <= 7; id++)
        rig_hear_error(rig, shop, id, "NO_PERMISSION");
    assert_string_equal(rig_hear(rig, shop), "[36,0]");
}

static void a_worker_may_serve_what_it_was_granted_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct problem problem = {0};
    write_file("ada operator " HASH_TEST "\nmailer worker:far,email " HASH_OTHER "\n");
    assert_int_equal(access_reload(granted, &problem), STATUS_OK);
    uint32_t ada = greet_with(rig, "test"), w = greet_with(rig, "other");
    rig_hear(rig, ada);
    assert_non_null(strstr(rig_hear(rig, w), "\"role\":\"worker\""));
    rig_define(rig, ada, "order", rig_task);
    rig_say(rig, w,
            "[30, 1, \"far\", [\"do\"], 1] [30, 2, \"else\", [\"do\"], 1] [12, 3, \"order\", {}, "
            "null] [16, 4, {\"do\": \"list\"}] [18, 5, {}] [15, 6, 1]");
    rig_settle(rig);
    assert_string_equal(rig_hear(rig, w), "[31,1]");
    for (uint64_t id = 2; id <= 6; id++)
        rig_hear_error(rig, w, id, "NO_PERMISSION");
}

#define FILE_TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_server, tear_down_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(a_token_is_found_by_its_hash_and_no_other_is),
        FILE_TEST(a_line_that_is_wrong_is_named),
        FILE_TEST(a_file_that_everybody_may_read_is_refused),
        FILE_TEST(a_reload_that_fails_leaves_what_was_there),
        FILE_TEST(a_token_that_is_made_is_one_that_is_found),
        SERVER_TEST(who_has_no_token_or_a_wrong_one_is_not_let_in),
        SERVER_TEST(a_client_may_start_and_look_and_nothing_else),
        SERVER_TEST(a_worker_may_serve_what_it_was_granted_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
