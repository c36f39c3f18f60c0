/* Every way in which a definition can be refused, and what the sentence says. */
#include <stdio.h>

#include "tests/saga/plan_refusal.h"

static void what_is_no_json_is_refused_with_line_and_column(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", INVALID, ":1:0", "not JSON"},
        {"{\n  'StartAt': A}", INVALID, ":2:14", "not JSON"},
        {STATES("'A':{'Type':'Succeed'}") " x", INVALID, ":1:51",
         "not JSON: end of file expected near"},
        {"{'StartAt':'A',\n'States':{'A':{'Type':'Succeed'},\n'A':{'Type':'Fail'}}}", INVALID,
         ":3:3", "stands twice in one object"},
        {"{'StartAt':'\xff'}", INVALID, ":1:12", "not UTF-8"},
        {"{'StartAt':'\xed\xa0\x80'}", INVALID, ":1:12", "not UTF-8"},
        {"{'StartAt':'\\u0000'}", INVALID, ":1:19", "a text may not hold \\u0000: leave it"},
        {PASS("'Result':18446744073709551616"), INVALID, ":1:84", "a number is too large"},
        {PASS("'Result':1e999"), INVALID, ":1:69", "a number is too large"},
        {"[]", INVALID, "", "a definition must be an object, not an array"},
        {"'A'", INVALID, ":1:3", "not JSON"},
    };
    CHECK_ALL(refusals);
}

static void the_top_level_is_checked(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"{'States':{'A':{'Type':'Succeed'}}}", INVALID, "", "there is no StartAt"},
        {"{'StartAt':1,'States':{'A':{'Type':'Succeed'}}}", INVALID, ": /StartAt",
         "must be a string, not a number"},
        {"{'StartAt':'Confrim','States':{'Confirm':{'Type':'Succeed'}}}", INVALID, ": /StartAt",
         "there is no state \"Confrim\"; did you mean \"Confirm\"?"},
        {"{'StartAt':'A'}", INVALID, "", "there is no States"},
        {"{'StartAt':'A','States':[]}", INVALID, ": /States", "must be an object, not an array"},
        {STATES(""), INVALID, ": /States", "one state or more"},
        {"{'Version':'2.0','StartAt':'A','States':{'A':{'Type':'Succeed'}}}", UNSUPPORTED,
         ": /Version", "version \"2.0\" is not supported; there is \"1.0\""},
        {"{'Version':1.0,'StartAt':'A','States':{'A':{'Type':'Succeed'}}}", INVALID, ": /Version",
         "must be a string, not a number"},
        {"{'TimeoutSecondsPath':'$.t','StartAt':'A'}", UNSUPPORTED, ": /TimeoutSecondsPath",
         "TimeoutSecondsPath is not supported yet"},
        {"{'QueryLanguage':'JSONata'}", UNSUPPORTED, ": /QueryLanguage", "not supported yet"},
        {"{'StartsAt':'A'}", INVALID, ": /StartsAt", "did you mean \"StartAt\"?"},
        {"{'Owner':'me'}", INVALID, ": /Owner",
         "a definition has no field \"Owner\"; leave it out"},
        {"{'Next':'A'}", INVALID, ": /Next",
         "Next does not belong in a definition, which may have"},
        {"{'Comment':['no']}", INVALID, ": /Comment", "must be a string, not an array"},
    };
    CHECK_ALL(refusals);
}

static void states_are_checked(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {STATES("'A':null"), INVALID, A, "a state must be an object, not null"},
        {STATES("'A':{}"), INVALID, A, "there is no Type"},
        {STATES("'A':{'Type':true}"), INVALID, A "/Type", "must be a string, not true"},
        {STATES("'A':{'Type':'Tsak'}"), INVALID, A "/Type",
         "there is no type \"Tsak\"; there are Task, Wait, Pass, Choice, Succeed and Fail; did you "
         "mean "
         "\"Task\"?"},
        {STATES("'A':{'Type':'Parallel'}"), UNSUPPORTED, A "/Type",
         "Parallel states are not supported yet"},
        {STATES("'A':{'Type':'Map'}"), UNSUPPORTED, A "/Type", "Map states are not supported yet"},
        {"{'StartAt':'','States':{'':{'Type':'Succeed'}}}", INVALID, ": /States/",
         "1 to 80 bytes, this one has 0"},
        {STATES("'0123456789012345678901234567890123456789"
                "01234567890123456789012345678901234567890':{}"),
         INVALID,
         ": "
         "/States/01234567890123456789012345678901234567890123456789012345678901234567890123456789"
         "0",
         "1 to 80 bytes, this one has 81"},
        {STATES("'A\\nB':{}"), INVALID, ": /States/A?B", "no control characters"},
        {STATES("'A':{'Type':'Succeed'},'a/b~c':{'Type':'Nope'}"), INVALID,
         ": /States/a~1b~0c/Type", "there is no type \"Nope\""},
        {STATES("'A':{'Type':'Pass'}"), INVALID, A, "has neither Next nor End"},
        {STATES("'A':{'Type':'Task','Resource':'service:s.h'}"), INVALID, A,
         "neither Next nor End"},
        {PASS("'Next':'A'"), INVALID, A, "has both Next and End"},
        {STATES("'A':{'Type':'Pass','End':false}"), INVALID, A "/End", "must be true"},
        {STATES("'A':{'Type':'Pass','Next':7}"), INVALID, A "/Next", "must be a string"},
        {STATES("'A':{'Type':'Pass','Next':'Conifrm'},'Confirm':{'Type':'Succeed'}"), INVALID,
         A "/Next", "there is no state \"Conifrm\"; did you mean \"Confirm\"?"},
        {STATES("'A':{'Type':'Pass','Next':'Elsewhere'}"), INVALID, A "/Next",
         "there is no state \"Elsewhere\"; name one that stands under States"},
        {STATES("'A':{'Type':'Succeed','Next':'A'}"), INVALID, A "/Next",
         "a Succeed state has no Next; the saga ends there by itself"},
        {STATES("'A':{'Type':'Fail','End':true}"), INVALID, A "/End", "a Fail state has no End"},
        {STATES("'A':{'Type':'Choice','Next':'A'}"), INVALID, A "/Next",
         "a Choice state has no Next; its Choices and its Default say what follows"},
        {STATES("'A':{'Type':'Succeed','Resource':'service:s.h'}"), INVALID, A "/Resource",
         "Resource does not belong in a Succeed state, which may have: Type, Comment"},
        {PASS("'Retry':[]"), INVALID, A "/Retry", "Retry does not belong in a Pass state"},
        {PASS("'Rezult':1"), INVALID, A "/Rezult", "did you mean \"Result\"?"},
        {PASS("'result':1"), INVALID, A "/result", "did you mean \"Result\"?"},
        {PASS("'\\u001b[31m':1"), INVALID, A "/?[31m", "has no field \"?[31m\""},
        {PASS("'Comment':1"), INVALID, A "/Comment", "must be a string, not a number"},
    };
    CHECK_ALL(refusals);
}

static void what_asl_has_and_we_have_not_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "OutputPath",    "HeartbeatSecondsPath",
        "Credentials",   "TimeoutSecondsPath",
        "QueryLanguage", "Assign",
        "Arguments",     "Output",
        "Condition",     "ErrorPath",
        "CausePath",     "ItemsPath",
        "ItemProcessor", "MaxConcurrency",
        "Branches",
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char text[256], at[64], phrase[64];
        snprintf(text, sizeof text, TASK("'%s':1"), fields[i]);
        snprintf(at, sizeof at, A "/%s", fields[i]);
        snprintf(phrase, sizeof phrase, "%s is not supported yet", fields[i]);
        check_refusal(&(struct refusal){text, UNSUPPORTED, at, phrase});
    }
    static const char *const comparisons[] = {
        "TimestampEquals",
        "TimestampEqualsPath",
        "TimestampLessThan",
        "TimestampGreaterThan",
        "StringMatches",
        "IsTimestamp",
        "TimestampLessThanEquals",
        "TimestampLessThanPath",
        "Condition",
        "Output",
        "TimestampGreaterThanPath",
        "Assign",
        "TimestampGreaterThanEquals",
        "TimestampLessThanEqualsPath",
        "TimestampGreaterThanEqualsPath",
    };
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        char text[256], at[128], phrase[64];
        snprintf(text, sizeof text, RULE("'Variable':'$.v','%s':'x'"), comparisons[i]);
        snprintf(at, sizeof at, A "/Choices/0/%s", comparisons[i]);
        snprintf(phrase, sizeof phrase, "%s is not supported yet", comparisons[i]);
        check_refusal(&(struct refusal){text, UNSUPPORTED, at, phrase});
    }
}

static void ways_through_the_states_are_checked(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {STATES("'A':{'Type':'Succeed'},'B':{'Type':'Succeed'}"), INVALID, ": /States/B",
         "no way leads here from StartAt (\"A\")"},
        {STATES("'A':{'Type':'Succeed'},'B':{'Type':'Pass','Next':'C'},"
                "'C':{'Type':'Pass','Next':'B'}"),
         INVALID, ": /States/B", "no way leads here"},
        {STATES("'A':{'Type':'Pass','Next':'A'}"), INVALID, A,
         "A -> A goes round for ever; give one of them a way to End"},
        {STATES("'A':{'Type':'Pass','Next':'B'},'B':{'Type':'Pass','Next':'C'},"
                "'C':{'Type':'Pass','Next':'B'}"),
         INVALID, ": /States/B", "B -> C -> B goes round for ever"},
        {STATES("'A':{'Type':'Choice','Default':'D','Choices':"
                "[{'Variable':'$','IsNull':true,'Next':'B'}]},"
                "'B':{'Type':'Task','Resource':'service:s.h','Next':'C',"
                "'Catch':[{'ErrorEquals':['States.ALL'],'Next':'B'}]},"
                "'C':{'Type':'Pass','Next':'B'},'D':{'Type':'Succeed'}"),
         INVALID, ": /States/B", "B -> C -> B goes round for ever"},
    };
    CHECK_ALL(refusals);
}

static void resources_and_compensations_are_checked(void **state)
{
    (void)state;
#define RESOURCE(text) STATES("'A':{'Type':'Task','End':true,'Resource':" text "}")
    static const char form[] = "is not of the form \"service:NAME.HANDLER\"";
    static const struct refusal refusals[] = {
        {STATES("'A':{'Type':'Task','End':true}"), INVALID, A, "there is no Resource"},
        {RESOURCE("7"), INVALID, A "/Resource", "must be a string"},
        {RESOURCE("''"), INVALID, A "/Resource", form},
        {RESOURCE("'service:'"), INVALID, A "/Resource", form},
        {RESOURCE("'inventory.deduct'"), INVALID, A "/Resource", form},
        {RESOURCE("'service:inventory'"), INVALID, A "/Resource", form},
        {RESOURCE("'service:.deduct'"), INVALID, A "/Resource", form},
        {RESOURCE("'service:inventory.'"), INVALID, A "/Resource", form},
        {RESOURCE("'service:a.b.c'"), INVALID, A "/Resource", form},
        {RESOURCE("'service:a b.c'"), INVALID, A "/Resource", form},
        {RESOURCE("'service:a.0123456789012345678901234567890123456789012345678901234567890123'"),
         STATUS_OK, "", ""},
        {RESOURCE("'service:a.01234567890123456789012345678901234567890123456789012345678901234'"),
         INVALID, A "/Resource", form},
        {TASK("'Compensate':'service:s.undo'"), INVALID, A "/Compensate",
         "a Compensate must be an object, not a string"},
        {TASK("'Compensate':{}"), INVALID, A "/Compensate", "there is no Resource"},
        {TASK("'Compensate':{'Resource':'service:s.undo','Retyr':[]}"), INVALID,
         A "/Compensate/Retyr", "did you mean \"Retry\"?"},
        {TASK("'Compensate':{'Resource':'service:s.undo','Next':'A'}"), INVALID,
         A "/Compensate/Next",
         "Next does not belong in a Compensate, which may have: Comment, Resource, Parameters, "
         "Retry, Catch, "
         "TimeoutSeconds"},
        {TASK("'Compensate':{'Resource':'s.undo'}"), INVALID, A "/Compensate/Resource", form},
        {TASK("'Compensate':{'Resource':'service:s.u','Retry':[{'ErrorEquals':[]}]}"), INVALID,
         A "/Compensate/Retry/0/ErrorEquals", "must not be empty"},
        {TASK("'FireAndForget':'yes'"), INVALID, A "/FireAndForget", "must be true or false"},
        {TASK("'FireAndForget':true,'Compensate':{'Resource':'service:s.u'}"), INVALID,
         A "/Compensate", "a fire-and-forget step has no Compensate: the saga never learns"},
        {TASK("'FireAndForget':true,'Catch':[]"), INVALID, A "/Catch",
         "a fire-and-forget step has no Catch: its failure never fails the saga"},
        {TASK("'FireAndForget':true,'ResultPath':null"), INVALID, A "/ResultPath",
         "a fire-and-forget step has no ResultPath: its result is dropped"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].status == STATUS_OK)
            plan_free(plan_text_compile(refusals[i].text));
        else
            check_refusal(&refusals[i]);
}

static void retriers_and_catchers_are_checked(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {TASK("'Retry':{}"), INVALID, A "/Retry", "must be an array, not an object"},
        {TASK("'Retry':[7]"), INVALID, A "/Retry/0", "an entry of Retry must be an object"},
        {TASK("'Retry':[{}]"), INVALID, A "/Retry/0", "there is no ErrorEquals"},
        {TASK("'Retry':[{'ErrorEquals':'E'}]"), INVALID, A "/Retry/0/ErrorEquals",
         "must be an array, not a string"},
        {TASK("'Retry':[{'ErrorEquals':[]}]"), INVALID, A "/Retry/0/ErrorEquals",
         "must not be empty"},
        {TASK("'Retry':[{'ErrorEquals':['E',1]}]"), INVALID, A "/Retry/0/ErrorEquals/1",
         "must be the name of an error, a string, not a number"},
        {TASK("'Retry':[{'ErrorEquals':['']}]"), INVALID, A "/Retry/0/ErrorEquals/0",
         "1 to 64 bytes, this one has 0"},
        {TASK("'Retry':[{'ErrorEquals':['States.TimeOut']}]"), INVALID, A "/Retry/0/ErrorEquals/0",
         "\"States.TimeOut\" is not one of them; did you mean \"States.Timeout\"?"},
        {TASK("'Retry':[{'ErrorEquals':['States.MyOwnProblem']}]"), INVALID,
         A "/Retry/0/ErrorEquals/0", "give errors of your own another prefix"},
        {TASK("'Retry':[{'ErrorEquals':['E','States.ALL']}]"), INVALID, A "/Retry/0/ErrorEquals/1",
         "States.ALL must stand alone"},
        {TASK("'Retry':[{'ErrorEquals':['States.ALL']},{'ErrorEquals':['E']}]"), INVALID,
         A "/Retry/0/ErrorEquals/0", "only in the last entry"},
        {RETRY("'IntervalSeconds':0"), INVALID, A "/Retry/0/IntervalSeconds",
         "must be a whole number from 1 to 31622400"},
        {RETRY("'IntervalSeconds':1.5"), INVALID, A "/Retry/0/IntervalSeconds", "whole number"},
        {RETRY("'IntervalSeconds':31622401"), INVALID, A "/Retry/0/IntervalSeconds",
         "whole number"},
        {RETRY("'MaxAttempts':-1"), INVALID, A "/Retry/0/MaxAttempts",
         "must be a whole number from 0 to 99999999"},
        {RETRY("'MaxAttempts':100000000"), INVALID, A "/Retry/0/MaxAttempts", "whole number"},
        {RETRY("'MaxAttempts':'3'"), INVALID, A "/Retry/0/MaxAttempts", "whole number"},
        {RETRY("'BackoffRate':0.99"), INVALID, A "/Retry/0/BackoffRate",
         "must be a number of 1.0 or more"},
        {RETRY("'BackoffRate':'2'"), INVALID, A "/Retry/0/BackoffRate", "must be a number"},
        {RETRY("'MaxDelaySeconds':0"), INVALID, A "/Retry/0/MaxDelaySeconds", "whole number"},
        {RETRY("'MaxDelaySeconds':31622401"), INVALID, A "/Retry/0/MaxDelaySeconds",
         "must be a whole number from 1 to 31622400"},
        {RETRY("'MaxDelaySeconds':5,'IntervalSeconds':5"), INVALID, A "/Retry/0/MaxDelaySeconds",
         "must be greater than IntervalSeconds, which is 5"},
        {RETRY("'MaxDelaySeconds':1"), INVALID, A "/Retry/0/MaxDelaySeconds",
         "must be greater than IntervalSeconds, which is 1"},
        {RETRY("'JitterStrategy':'HALF'"), INVALID, A "/Retry/0/JitterStrategy",
         "must be \"FULL\" or \"NONE\""},
        {RETRY("'JitterStrategy':null"), INVALID, A "/Retry/0/JitterStrategy", "\"FULL\""},
        {RETRY("'Backoffrate':2"), INVALID, A "/Retry/0/Backoffrate",
         "did you mean \"BackoffRate\"?"},
        {TASK("'Catch':'B'"), INVALID, A "/Catch", "must be an array"},
        {TASK("'Catch':[{'ErrorEquals':['E']}]"), INVALID, A "/Catch/0", "there is no Next"},
        {TASK("'Catch':[{'ErrorEquals':['E'],'Next':'X'}]"), INVALID, A "/Catch/0/Next",
         "there is no state \"X\""},
        {TASK("'Catch':[{'ErrorEquals':['States.ALL'],'Next':'A'},"
              "{'ErrorEquals':['E'],'Next':'A'}]"),
         INVALID, A "/Catch/0/ErrorEquals/0", "only in the last entry"},
        {TASK("'Catch':[{'ErrorEquals':['E'],'Next':'A','MaxAttempts':1}]"), INVALID,
         A "/Catch/0/MaxAttempts", "MaxAttempts does not belong in an entry of Catch"},
        {TASK("'Catch':[{'ErrorEquals':['E'],'Next':'A','Output':{}}]"), UNSUPPORTED,
         A "/Catch/0/Output", "not supported yet"},
        {TASK("'Catch':[{'ErrorEquals':['E'],'Next':'A','ResultPath':'$.e[0]'}]"), UNSUPPORTED,
         A "/Catch/0/ResultPath", "cannot be put into an array"},
    };
    CHECK_ALL(refusals);
}

static void paths_results_and_failures_are_checked(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {TASK("'ResultPath':7"), INVALID, A "/ResultPath", "must be a path such as"},
        {TASK("'ResultPath':'a.b'"), INVALID, A "/ResultPath", ""},
        {TASK("'ResultPath':'$.a[0]'"), UNSUPPORTED, A "/ResultPath",
         "cannot be put into an array; use field names only"},
        {TASK("'ResultPath':'$$.a'"), UNSUPPORTED, A "/ResultPath", ""},
        {PASS("'ResultPath':'$.a[*]'"), UNSUPPORTED, A "/ResultPath", ""},
        {STATES("'A':{'Type':'Fail','Error':7}"), INVALID, A "/Error", "must be a string"},
        {STATES("'A':{'Type':'Fail','Error':'States.Mine'}"), INVALID, A "/Error", "reserved"},
        {STATES("'A':{'Type':'Fail','Error':'States.Http.StatusCode.5xx'}"), INVALID, A "/Error",
         "reserved"},
        {STATES("'A':{'Type':'Fail','Error':'States.Http.StatusCode.5030'}"), INVALID, A "/Error",
         "reserved"},
        {STATES("'A':{'Type':'Fail','Cause':[]}"), INVALID, A "/Cause", "must be a string"},
        {STATES("'A':{'Type':'Fail','ErrorPath':'$.e'}"), UNSUPPORTED, A "/ErrorPath",
         "not supported yet"},
    };
    CHECK_ALL(refusals);
}

static void choices_are_checked(void **state)
{
    (void)state;
#define V    "'Variable':'$.v',"
#define LEAF "{'Variable':'$.v','IsNull':true}"
#define C    A "/Choices/0"
    static const struct refusal refusals[] = {
        {STATES("'A':{'Type':'Choice'}"), INVALID, A, "there is no Choices"},
        {CHOICE("[]"), INVALID, A "/Choices", "one rule or more"},
        {CHOICE("{}"), INVALID, A "/Choices", "must be an array"},
        {CHOICE("[7]"), INVALID, C, "a Choice rule must be an object, not a number"},
        {CHOICE("[" LEAF "]"), INVALID, C, "there is no Next"},
        {RULE(V "'IsNull':true,'IsString':true"), INVALID, C,
         "has two comparisons, IsNull and IsString"},
        {RULE("'Variable':'$.v'"), INVALID, C, "there is no comparison"},
        {RULE("'Comment':'nothing'"), INVALID, C, "there is no comparison"},
        {RULE("'IsNull':true"), INVALID, C, "there is no Variable"},
        {RULE("'Variable':7,'IsNull':true"), INVALID, C "/Variable", "must be a string"},
        {RULE("'Variable':'v','IsNull':true"), INVALID, C "/Variable", ""},
        {RULE("'Variable':'$$.Execution','IsNull':true"), UNSUPPORTED, C "/Variable", ""},
        {RULE(V "'StringEqual':'x'"), INVALID, C "/StringEqual", "did you mean \"StringEquals\"?"},
        {RULE(V "'StringEquals':7"), INVALID, C "/StringEquals", "must be a string, not a number"},
        {RULE(V "'NumericLessThan':'7'"), INVALID, C "/NumericLessThan",
         "must be a number, not a string"},
        {RULE(V "'BooleanEquals':null"), INVALID, C "/BooleanEquals",
         "must be true or false, not null"},
        {RULE(V "'IsPresent':1"), INVALID, C "/IsPresent", "must be true or false, not a number"},
        {RULE(V "'StringEqualsPath':true"), INVALID, C "/StringEqualsPath", "must be a string"},
        {RULE(V "'StringEqualsPath':'w'"), INVALID, C "/StringEqualsPath", ""},
        {RULE("'And':[]"), INVALID, C "/And", "one rule or more"},
        {RULE("'Or':" LEAF), INVALID, C "/Or", "must be an array"},
        {RULE("'Not':[]"), INVALID, C "/Not", "a Choice rule must be an object, not an array"},
        {RULE("'And':[" LEAF "],'Or':[" LEAF "]"), INVALID, C, "has both And and Or"},
        {RULE("'Not':" LEAF ",'Variable':'$'"), INVALID, C, "has both Not and Variable"},
        {RULE("'Not':" LEAF ",'IsNull':true"), INVALID, C, "has both Not and IsNull"},
        {RULE("'And':[" LEAF ",{" V "'IsNull':true,'Next':'B'}]"), INVALID, C "/And/1/Next",
         "only the outermost rule has a Next"},
        {RULE("'Not':{" V "'IsNull':true,'Next':'B'}"), INVALID, C "/Not/Next",
         "only the outermost rule has a Next"},
        {RULE("'Or':[{'Not':{'And':[" LEAF ",{}]}}]"), INVALID, C "/Or/0/Not/And/1",
         "there is no comparison"},
        {CHOICE("[{'Next':'X','Variable':'$','IsNull':true}]"), INVALID, C "/Next",
         "there is no state \"X\""},
        {STATES("'A':{'Type':'Choice','Default':'X','Choices':[{'Next':'A'," V "'IsNull':true}]}"),
         INVALID, A "/Default", "there is no state \"X\""},
    };
    CHECK_ALL(refusals);
}

static void the_name_of_a_definition_is_checked(void **state)
{
    (void)state;
    static const char text[] = "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}";
    static const char *const refused[] = {
        "", "a b", "a/b", "\xc3\xa4",
        "01234567890123456789012345678901234567890123456789012345678901234"};
    struct plan *plan = NULL;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct problem problem = {.text = ""};
        assert_int_equal(plan_compile(refused[i], "p.json", text, sizeof text - 1, &plan, &problem),
                         STATUS_INVALID);
        assert_non_null(strstr(problem.text, "cannot name a definition"));
        assert_null(plan);
    }
    assert_int_equal(plan_compile("Order-2_b.v1", "p.json", text, sizeof text - 1, &plan, NULL),
                     STATUS_OK);
    assert_string_equal(plan->name, "Order-2_b.v1");
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_json_is_refused_with_line_and_column),
        cmocka_unit_test(the_top_level_is_checked),
        cmocka_unit_test(states_are_checked),
        cmocka_unit_test(what_asl_has_and_we_have_not_is_refused_by_name),
        cmocka_unit_test(ways_through_the_states_are_checked),
        cmocka_unit_test(resources_and_compensations_are_checked),
        cmocka_unit_test(retriers_and_catchers_are_checked),
        cmocka_unit_test(paths_results_and_failures_are_checked),
        cmocka_unit_test(choices_are_checked),
        cmocka_unit_test(the_name_of_a_definition_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
