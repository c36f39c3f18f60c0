/* What a plan looks like to whoever defines it. */
#include <stdio.h>

#include "tests/saga/plan_text.h"

/* Owned. */
static char *print(const char *text)
{
    char *printed = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&printed, &bytes);
    assert_non_null(out);
    struct plan *plan = plan_text_compile(text);
    plan_print(plan, out);
    plan_free(plan);
    fclose(out);
    return printed;
}

static void the_order_saga_is_printed_as_a_table(void **state)
{
    (void)state;
    char *printed = print(ORDER_SAGA);
    assert_string_equal(
        printed,
        "order: 4 states, starts at Record\n"
        "\n"
        "state    type  does                         next     retry                         undo\n"
        "Record   Task  order.record > null          Reserve                                "
        "order.void\n"
        "Reserve  Task  inventory.reserve > null     Charge                                 "
        "inventory.release\n"
        "Charge   Task  payment.charge > null        Confirm  Payment.Busy: 3x 1 s *2       "
        "payment.refund\n"
        "                                                     jitter\n"
        "Confirm  Task  confirmation.confirm, no     (end)\n"
        "               wait\n");
    free(printed);
}

static void everything_that_a_plan_can_hold_is_printed(void **state)
{
    (void)state;
    char *printed = print(
        STATES("'A':{'Type':'Choice','Default':'D','Choices':[{'Next':'B','And':["
               "{'Variable':'$.n','NumericLessThan':7},{'Not':{'Variable':'$','IsNull':false}},"
               "{'Or':[{'Variable':'$.s[2]','StringEqualsPath':'$[\\'x y\\']'},"
               "{'Variable':'$.b','BooleanEquals':true}]}]}]},"
               "'B':{'Type':'Pass','Result':[1],'ResultPath':'$.r','Next':'C'},"
               "'C':{'Type':'Task','Resource':'service:s.h','Retry':["
               "{'ErrorEquals':['E','F'],'MaxAttempts':0},{'ErrorEquals':['G'],'BackoffRate':1,"
               "'MaxDelaySeconds':9}],'Catch':[{'ErrorEquals':['States.ALL'],'ResultPath':null,"
               "'Next':'D'}],'Compensate':{'Resource':'service:s.u',"
               "'Retry':[{'ErrorEquals':['H']}]},'End':true},"
               "'D':{'Type':'Fail','Error':'No','Cause':'because'}"));
    assert_string_equal(
        printed,
        "order: 4 states, starts at A\n"
        "\n"
        "state  type    does                next   retry             catch                undo\n"
        "A      Choice  $.n < 7 and not $   B\n"
        "               is not null and\n"
        "               ($.s[2] = $['x y']\n"
        "               (strings) or $.b =\n"
        "               true)\n"
        "               otherwise           D\n"
        "B      Pass    [1] > $.r           C\n"
        "C      Task    s.h                 (end)  E, F: never       States.ALL > null    s.u if "
        "H: 3x 1 s *2\n"
        "                                                            -> D\n"
        "                                          G: 3x 1 s to 9 s\n"
        "D      Fail    No: because\n");
    free(printed);
}

static void times_signals_tokens_and_pivots_are_printed(void **state)
{
    (void)state;
    char *printed = print(
        "{'StartAt':'A','TimeoutSeconds':3600,'Compensation':{'Order':'Parallel'},'States':{"
        "'A':{'Type':'Task','Resource':'service:s.h.waitForTaskToken','TimeoutSeconds':60,"
        "'HeartbeatSeconds':5,'ResultPath':'$.r','Compensate':{'Resource':'service:s.u',"
        "'TimeoutSeconds':7,'Retry':[{'ErrorEquals':['E'],'BackoffRate':1},"
        "{'ErrorEquals':['F'],'MaxAttempts':0}],'Catch':[{'ErrorEquals':['G'],"
        "'ResultPath':'$.e','Next':'Z'},{'ErrorEquals':['States.ALL'],'Next':'Z'}]},'Next':'B'},"
        "'B':{'Type':'Task','Resource':'signal:paid.now','TimeoutSeconds':9,'ResultPath':'$.p',"
        "'Pivot':true,'Next':'C'},"
        "'C':{'Type':'Task','Resource':'service:s.h','Compensate':{'Resource':'service:s.u',"
        "'Catch':[{'ErrorEquals':['States.ALL'],'ResultPath':null,'Next':'Z'}]},'Next':'D'},"
        "'D':{'Type':'Wait','Seconds':90,'Next':'E'},"
        "'E':{'Type':'Wait','Timestamp':'2026-11-26T13:00:00+01:00','Next':'F'},"
        "'F':{'Type':'Wait','Timestamp':'2026-11-26T12:00:00.0401Z','Next':'G'},"
        "'G':{'Type':'Wait','SecondsPath':'$.n','Next':'H'},"
        "'H':{'Type':'Wait','TimestampPath':'$.t','Next':'I'},"
        "'I':{'Type':'Task','Resource':'service:s.h','FireAndForget':true,'TimeoutSeconds':3,"
        "'End':true},'Z':{'Type':'Wait','Seconds':0,'End':true}}}");
    assert_string_equal(
        printed,
        "order: 10 states, starts at A, within 3600 s, compensates up to 2 steps at once\n"
        "\n"
        "state  type  does                                           next   undo\n"
        "A      Task  s.h by token within 60 s, heartbeat 5 s > $.r  B      s.u within 7 s if E: "
        "3x 1 s\n"
        "                                                                   if F: never\n"
        "                                                                   catch G > $.e -> Z\n"
        "                                                                   catch States.ALL -> Z\n"
        "B      Task  signal paid.now within 9 s > $.p, pivot        C\n"
        "C      Task  s.h                                            D      s.u\n"
        "                                                                   catch States.ALL > "
        "null -> Z\n"
        "D      Wait  90 s                                           E\n"
        "E      Wait  until 2026-11-26T12:00:00Z                     F\n"
        "F      Wait  until 2026-11-26T12:00:00.040Z                 G\n"
        "G      Wait  $.n s                                          H\n"
        "H      Wait  until $.t                                      I\n"
        "I      Task  s.h within 3 s, no wait                        (end)\n"
        "Z      Wait  0 s                                            (end)\n");
    free(printed);
}

static void templates_are_printed_as_they_are_written(void **state)
{
    (void)state;
    char *printed = print(
        "{'StartAt':'A','States':{'A':{'Type':'Task','Resource':"
        "'arn:aws:lambda:r:1:function:f','InputPath':'$.o','ResultSelector':{'c.$':'$.t'},"
        "'ResultPath':'$.r','Compensate':{'Resource':'service:s.u','Parameters':{'b':[{'n.$':"
        "'States.MathAdd($.input.n, 1)'},2]}},'Next':'B'},"
        "'B':{'Type':'Task','Resource':'service:s.h','InputPath':null,'TimeoutSeconds':9,"
        "'Next':'C'},'C':{'Type':'Task','Resource':'service:s.h.waitForTaskToken','Parameters':{"
        "'\\u001b\\u009b.$':'$$.Task.Token','x':{'a':'b'}},'End':true}}}");
    assert_string_equal(
        printed,
        "order: 3 states, starts at A\n"
        "\n"
        "state  type  does                                     next   undo\n"
        "A      Task  aws-lambda.function of $.o with          B      s.u with {\"b\": [{\"n\":\n"
        "             {\"FunctionName\":                                States.MathAdd($.input.n, "
        "1)}, 2]}\n"
        "             \"arn:aws:lambda:r:1:function:f\",\n"
        "             \"Payload\": $} gives {\"c\": $.t} > $.r\n"
        "B      Task  s.h of {} within 9 s                     C\n"
        "C      Task  s.h by token with {\"???\":                (end)\n"
        "             $$.Task.Token, \"x\": {\"a\":\"b\"}}\n");
    free(printed);
}

static void the_largest_times_are_printed(void **state)
{
    (void)state;
    char *printed = print("{'StartAt':'A','TimeoutSeconds':3155760000,'States':{"
                          "'A':{'Type':'Wait','Seconds':3155760000,'Next':'B'},"
                          "'B':{'Type':'Wait','Timestamp':'9999-12-31T23:59:59.999-23:59',"
                          "'End':true}}}");
    assert_string_equal(printed, "order: 2 states, starts at A, within 3155760000 s\n"
                                 "\n"
                                 "state  type  does                             next\n"
                                 "A      Wait  3155760000 s                     B\n"
                                 "B      Wait  until 10000-01-01T23:58:59.999Z  (end)\n");
    free(printed);
}

static size_t characters_of(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += ((uint8_t)text[i] & 0xc0) != 0x80;
    return count;
}

static void a_printed_line_has_100_columns_at_most_and_no_blank_at_its_end(void **state)
{
    (void)state;
#define LONG_NAME                                                                                  \
    "\xc3\x84_state_with_a_name_of_eighty_bytes_in_all_which_is_the_most_that_one_may_have_"
    char *printed = print(
        "{'StartAt':'" LONG_NAME "','States':{'" LONG_NAME "':{'Type':'Task',"
        "'Resource':'service:a_service_with_quite_a_long_name_indeed."
        "and_a_handler_with_a_name_as_long_as_that_of_its_service','Retry':[{'ErrorEquals':["
        "'ErrorWithoutAnyBlankOrDotInItsNameThatIsSixtyFourBytesLongInAllX','Short']}],"
        "'Catch':[{'ErrorEquals':['States.ALL'],'Next':'" LONG_NAME "'}],'Compensate':{"
        "'Resource':'service:a_service_with_quite_a_long_name_indeed.undo','Retry':["
        "{'ErrorEquals':['States.ALL']}]},'Next':'Refused'},'Refused':{'Type':'Fail','Cause':'"
        "A cause of many words, all of which have to be found again in what is printed.'}}}");
    const char *line = printed;
    size_t lines = 0;
    for (; *line != '\0'; lines++) {
        size_t bytes = strcspn(line, "\n");
        assert_in_range(characters_of(line, bytes), 0, lines == 0 ? 200 : 100);
        assert_true(bytes == 0 || line[bytes - 1] != ' ');
        line += bytes + 1;
    }
    assert_in_range(lines, 5, 40);
    assert_non_null(strstr(printed, "printed."));
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_saga_is_printed_as_a_table),
        cmocka_unit_test(everything_that_a_plan_can_hold_is_printed),
        cmocka_unit_test(times_signals_tokens_and_pivots_are_printed),
        cmocka_unit_test(templates_are_printed_as_they_are_written),
        cmocka_unit_test(the_largest_times_are_printed),
        cmocka_unit_test(a_printed_line_has_100_columns_at_most_and_no_blank_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
