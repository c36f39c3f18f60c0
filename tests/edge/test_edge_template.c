#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/edge/edge_rig.h"

/* What Parameters make reaches a module as its input, also where a step is undone. */

#define FAILING "\"B\":{\"Type\":\"Task\",\"Resource\":\"service:other.say\",\"End\":true}"

static const char with_parameters[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:echo.say\","
    "\"Parameters\":{\"n.$\":\"$.order\",\"key.$\":\"$$.Task.IdempotencyKey\"},\"Compensate\":{"
    "\"Resource\":\"service:echo.undo\",\"Parameters\":{\"was.$\":\"$.output.n\",\"of.$\":"
    "\"$.input\",\"key.$\":\"$$.Task.IdempotencyKey\"}},\"Next\":\"B\"}," FAILING "}}";
static const char without[] =
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"service:echo.say\","
    "\"Compensate\":{\"Resource\":\"service:echo.undo\"},\"Next\":\"B\"}," FAILING "}}";

static void assert_input(const char *before, const char *after)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "{%s\"key\":\"%s\"%s}", before, echo.key, after);
    assert_string_equal(echo.input, wanted);
}

static void a_module_gets_what_parameters_make_and_the_key_that_they_name(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, with_parameters);
    other.holds = true;
    edge_rig_start(rig, "{\"order\":7}");
    edge_rig_turns(rig, 6);
    assert_int_equal(echo.heard, 1);
    assert_non_null(strstr(echo.key, "-1-1"));
    assert_input("\"n\":7,", "");
}

static void a_compensation_gets_them_in_place_of_input_and_output(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, with_parameters);
    other.fails = "Other.No";
    edge_rig_start(rig, "{\"order\":7}");
    edge_rig_turns(rig, 20);
    assert_int_equal(echo.heard, 2);
    assert_non_null(strstr(echo.key, "-1-1-c"));
    assert_input("\"was\":7,\"of\":{\"order\":7},", "");
    assert_int_equal(rig->reply.outcome, OUTCOME_COMPENSATED);
}

static void without_them_it_gets_both(void **state)
{
    struct edge_rig *rig = *state;
    edge_rig_open(rig, without);
    other.fails = "Other.No";
    edge_rig_start(rig, "{\"order\":7}");
    edge_rig_turns(rig, 20);
    assert_int_equal(echo.heard, 2);
    assert_string_equal(echo.input, "{\"input\":{\"order\":7},\"output\":{\"order\":7}}");
    assert_int_equal(rig->reply.outcome, OUTCOME_COMPENSATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE_TEST(a_module_gets_what_parameters_make_and_the_key_that_they_name),
        EDGE_TEST(a_compensation_gets_them_in_place_of_input_and_output),
        EDGE_TEST(without_them_it_gets_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
