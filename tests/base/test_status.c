#include "engine/base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const enum status statuses[] = {
#define X(name, class, text) STATUS_##name,
    STATUS_LIST (X)
#undef X
};
#define STATUSES_COUNT (sizeof statuses / sizeof statuses[0])

static void ok_is_zero_and_only_ok_is_done(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OK, 0);
    assert_string_equal(status_text(STATUS_OK), "done");
}

static void every_status_has_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < STATUSES_COUNT; i++) {
        assert_true(strlen(status_name(statuses[i])) > 0 && strlen(status_text(statuses[i])) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(status_name(statuses[i]), status_name(statuses[j]));
            assert_string_not_equal(status_text(statuses[i]), status_text(statuses[j]));
        }
    }
    assert_string_equal(status_name(STATUS_NO_SPACE), "NO_SPACE");
}

static void a_status_is_found_by_its_name_and_what_is_none_is_invalid(void **state)
{
    (void)state;
    for (enum status status = STATUS_OK; status <= STATUS_IO; status++)
        assert_int_equal(status_find(status_name(status)), status);
    assert_int_equal(status_find("NO_SUCH"), STATUS_INVALID);
    assert_int_equal(status_find(""), STATUS_INVALID);
    assert_int_equal(status_find(NULL), STATUS_INVALID);
}

static void damage_and_a_failing_disk_stop_the_engine_and_bad_input_does_not(void **state)
{
    (void)state;
    static const enum status fatal[] = {STATUS_CORRUPT,  STATUS_GAP,       STATUS_LOST,
                                        STATUS_NO_SPACE, STATUS_NO_MEMORY, STATUS_IO};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        assert_int_equal(status_class(fatal[i]), STATUS_CLASS_FATAL);
    assert_int_equal(status_class(STATUS_BUSY), STATUS_CLASS_RETRY);
    assert_int_equal(status_class(STATUS_INVALID), STATUS_CLASS_REJECT);
    assert_int_equal(status_class(STATUS_NEWER_FORMAT), STATUS_CLASS_REJECT);
}

static void a_problem_keeps_its_status_and_its_sentence(void **state)
{
    (void)state;
    struct problem problem = {0};
    assert_int_equal(problem_set(&problem, STATUS_GAP, "block %d of %s", 7, "lane"), STATUS_GAP);
    assert_int_equal(problem.status, STATUS_GAP);
    assert_string_equal(problem.text, "block 7 of lane");
}

static void who_does_not_want_the_sentence_still_gets_the_status(void **state)
{
    (void)state;
    assert_int_equal(problem_set(NULL, STATUS_IO, "%s", "unread"), STATUS_IO);
}

static void a_sentence_that_is_too_long_is_cut_and_ends(void **state)
{
    (void)state;
    struct {
        struct problem problem;
        char behind[16];
    } room;
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memset(&room, 0x5a, sizeof room);
    assert_int_equal(problem_set(&room.problem, STATUS_INVALID, "%s", text), STATUS_INVALID);
    assert_int_equal(strlen(room.problem.text), sizeof room.problem.text - 1);
    for (size_t i = 0; i < sizeof room.behind; i++)
        assert_int_equal(room.behind[i], 0x5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_is_zero_and_only_ok_is_done),
        cmocka_unit_test(every_status_has_a_name_and_a_text_of_its_own),
        cmocka_unit_test(a_status_is_found_by_its_name_and_what_is_none_is_invalid),
        cmocka_unit_test(damage_and_a_failing_disk_stop_the_engine_and_bad_input_does_not),
        cmocka_unit_test(a_problem_keeps_its_status_and_its_sentence),
        cmocka_unit_test(who_does_not_want_the_sentence_still_gets_the_status),
        cmocka_unit_test(a_sentence_that_is_too_long_is_cut_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
