/* ARNs as Resources, and templates: what is kept in the plan, and what is refused in which words.
 * What templates make stands in test_template.c. */
#include <stdio.h>

#include "tests/saga/plan_refusal.h"

#define Q                "\\u0027"
#define WITH(arn)        STATES("'A':{'Type':'Task','Resource':'" arn "','End':true}")
#define MORE(arn, more)  STATES("'A':{'Type':'Task','Resource':'" arn "','End':true," more "}")
#define UNDO(arn, more)  TASK("'Compensate':{'Resource':'" arn "'" more "}")
#define FIELD(text)      TASK("'Parameters':{'x.$':'" text "'}")
#define X                A "/Parameters/x.$"
#define FUNCTION         "arn:aws:lambda:eu-central-1:123456789012:function:price"
#define WAITS            "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
#define RESOURCE_REFUSED A "/Resource"

/* ---- ARNs ---------------------------------------------------------------------------------- */

static void an_arn_is_a_handler_of_a_service_of_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *arn, *service, *handler;
        enum task_kind kind;
    } known[] = {
        {FUNCTION, "aws-lambda", "function", TASK_HANDLER},
        {FUNCTION ":live-2", "aws-lambda", "function", TASK_HANDLER},
        {FUNCTION ":$LATEST", "aws-lambda", "function", TASK_HANDLER},
        {"arn:aws-cn:lambda:cn-north-1:1:function:f", "aws-lambda", "function", TASK_HANDLER},
        {"arn:aws:states:::lambda:invoke", "aws-lambda", "invoke", TASK_HANDLER},
        {"arn:aws:states:::lambda:invoke.waitForTaskToken", "aws-lambda", "invoke", TASK_TOKEN},
        {"arn:aws:states:::sqs:sendMessage", "aws-sqs", "sendMessage", TASK_HANDLER},
        {WAITS, "aws-sqs", "sendMessage", TASK_TOKEN},
        {"arn:aws:states:::sns:publish", "aws-sns", "publish", TASK_HANDLER},
        {"arn:aws:states:::sns:publish.waitForTaskToken", "aws-sns", "publish", TASK_TOKEN},
        {"arn:aws-us-gov:states:::sns:publish", "aws-sns", "publish", TASK_HANDLER},
        {"arn:aws:states:::dynamodb:getItem", "aws-dynamodb", "getItem", TASK_HANDLER},
        {"arn:aws:states:::dynamodb:putItem", "aws-dynamodb", "putItem", TASK_HANDLER},
        {"arn:aws:states:::dynamodb:updateItem", "aws-dynamodb", "updateItem", TASK_HANDLER},
        {"arn:aws:states:::dynamodb:deleteItem", "aws-dynamodb", "deleteItem", TASK_HANDLER},
        {"arn:aws:states:::aws-sdk:dynamodb:transactWriteItems", "aws-dynamodb",
         "transactWriteItems", TASK_HANDLER},
        {"arn:aws:states:::http:invoke", "aws-http", "invoke", TASK_HANDLER},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, WITH("%s"), known[i].arn);
        struct plan *plan = plan_text_compile(text);
        assert_int_equal(plan->resources_count, 1);
        assert_string_equal(plan->resources[0].service, known[i].service);
        assert_string_equal(plan->resources[0].handler, known[i].handler);
        assert_int_equal(plan->states[0].task_kind, known[i].kind);
        bool is_function = strcmp(known[i].handler, "function") == 0;
        assert_int_equal(plan->templates_count, is_function);
        assert_int_equal(plan->states[0].arguments == PLAN_NO_TEMPLATE, !is_function);
        plan_free(plan);
    }
}

static void other_arns_are_refused_with_what_is_understood(void **state)
{
    (void)state;
    static const char understood[] =
        " is not supported; understood are arn:aws:lambda:REGION:ACCOUNT:function:NAME and, behind "
        "arn:aws:states:::, lambda:invoke, sqs:sendMessage and sns:publish (each also with "
        ".waitForTaskToken), dynamodb:getItem, putItem, updateItem and deleteItem, "
        "aws-sdk:dynamodb:transactWriteItems and http:invoke";
    static const char no_function[] =
        "is no function's ARN, which is arn:aws:lambda:REGION:ACCOUNT:function:NAME";
    static const struct refusal refusals[] = {
        {WITH("arn:aws:states:::ecs:runTask"), UNSUPPORTED, RESOURCE_REFUSED, understood},
        {WITH("arn:aws:states:::sqs:sendMessages"), UNSUPPORTED, RESOURCE_REFUSED, understood},
        {WITH("arn:aws:states:::sqs:sendMessage.waitForTaskTokens"), UNSUPPORTED, RESOURCE_REFUSED,
         "cannot wait for a task token"},
        {WITH("arn:aws:states:::dynamodb:getItem.waitForTaskToken"), UNSUPPORTED, RESOURCE_REFUSED,
         "cannot wait for a task token; understood are"},
        {WITH("arn:aws:states:::aws-sdk:dynamodb:query"), UNSUPPORTED, RESOURCE_REFUSED,
         understood},
        {WITH("arn:aws:states:::batch:submitJob.sync"), UNSUPPORTED, RESOURCE_REFUSED,
         "waits for a job to end (.sync), which is not supported"},
        {WITH("arn:aws:states:::states:startExecution.sync:2"), UNSUPPORTED, RESOURCE_REFUSED,
         "waits for a job to end (.sync:2), which is not supported"},
        {WITH("arn:aws:states:eu-central-1:123456789012:activity:ship"), UNSUPPORTED,
         RESOURCE_REFUSED, "activities ("},
        {WITH("arn:aws:states:eu-central-1:1:stateMachine:x"), UNSUPPORTED, RESOURCE_REFUSED,
         understood},
        {WITH("arn:aws:ecs:r:1:task/x"), UNSUPPORTED, RESOURCE_REFUSED, understood},
        {WITH("arn:aws:states"), INVALID, RESOURCE_REFUSED, "is no ARN of AWS"},
        {WITH("arn:mine:states:::sns:publish"), INVALID, RESOURCE_REFUSED, "is no ARN of AWS"},
        {WITH("arn:aws:lambda:::function:f"), INVALID, RESOURCE_REFUSED, no_function},
        {WITH("arn:aws:lambda:r:1:function:"), INVALID, RESOURCE_REFUSED, no_function},
        {WITH("arn:aws:lambda:r:1:function:f:"), INVALID, RESOURCE_REFUSED, no_function},
        {WITH("arn:aws:lambda:r:1:function:f:a:b"), INVALID, RESOURCE_REFUSED, no_function},
        {WITH("arn:aws:lambda:r:1:layer:f"), INVALID, RESOURCE_REFUSED, no_function},
        {UNDO(WAITS, ""), INVALID, A "/Compensate/Resource",
         "a compensation cannot wait for a task token"},
        {MORE(WAITS, "'FireAndForget':true"), INVALID, A "/FireAndForget",
         "is not fire-and-forget"},
    };
    CHECK_ALL(refusals);
}

static const struct template *template_of(const struct plan *plan, uint16_t index)
{
    assert_true(index < plan->templates_count);
    return &plan->templates[index];
}

static void a_function_stands_in_its_arguments(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        MORE(FUNCTION, "'Parameters':{'n.$':'$.n'},'Compensate':{'Resource':'" FUNCTION "'}"));
    const struct template *template = template_of(plan, plan->states[0].arguments);
    assert_int_equal(template->nodes[0].op, TEMPLATE_MAP);
    assert_int_equal(template->nodes[0].span, 4);
    char name[128];
    value_print(template->nodes[1].value, name, sizeof name);
    assert_string_equal(name, "\"" FUNCTION "\"");
    assert_int_equal(template->nodes[2].op, TEMPLATE_MAP);
    template = template_of(plan, plan->states[0].undo_arguments);
    assert_int_equal(template->nodes[2].op, TEMPLATE_PATH);
    assert_int_equal(template->nodes[2].count, 0);
    plan_free(plan);
}

/* ---- templates ----------------------------------------------------------------------------- */

static void a_plan_says_where_it_has_templates(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(STATES(
        "'A':{'Type':'Task','Resource':'service:s.h','Next':'B'},'B':{'Type':'Task','Resource':"
        "'service:s.i','ResultSelector':{'a':1},'Next':'C'},'C':{'Type':'Task','Resource':"
        "'service:s.h','Compensate':{'Resource':'service:s.u','Parameters':{}},'End':true}"));
    bool undo = true;
    assert_int_equal(plan->templates_count, 2);
    assert_int_equal(plan_find_templated(plan, 0, &undo), PLAN_NO_STATE);
    assert_int_equal(plan_find_templated(plan, 1, &undo), 1);
    assert_false(undo);
    assert_int_equal(plan_find_templated(plan, 2, &undo), 2);
    assert_true(undo);
    plan_free(plan);
    assert_true(plan_is_edge("aws-sqs"));
    assert_true(plan_is_edge("sql"));
    assert_false(plan_is_edge("sqlite"));
    assert_false(plan_is_edge("awsome"));
}

static void what_holds_no_path_is_one_constant(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        TASK("'Parameters':{'a':[1,2,{'b':'$.c'}],'d.$':'$.e[0].f','g':[{'h.$':'$'}]}"));
    const struct template *template = template_of(plan, plan->states[0].arguments);
    assert_int_equal(template->nodes_count, 6);
    assert_int_equal(template->nodes[1].op, TEMPLATE_CONSTANT);
    assert_int_equal(template->nodes[2].op, TEMPLATE_PATH);
    assert_int_equal(template->nodes[2].count, 3);
    assert_int_equal(template->nodes[3].op, TEMPLATE_LIST);
    assert_int_equal(template->nodes[3].span, 3);
    plan_free(plan);
}

static void templates_are_objects_of_fields_that_fit(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {TASK("'Parameters':1"), INVALID, A "/Parameters", "must be an object, not a number"},
        {TASK("'Parameters':null"), INVALID, A "/Parameters", "must be an object, not null"},
        {TASK("'ResultSelector':[]"), INVALID, A "/ResultSelector", "must be an object"},
        {TASK("'InputPath':1"), INVALID, A "/InputPath", "must be a string"},
        {TASK("'InputPath':'a'"), INVALID, A "/InputPath", "a path begins with $"},
        {TASK("'OutputPath':'$'"), UNSUPPORTED, A "/OutputPath", "not supported yet"},
        {TASK("'Parameters':{'a.$':1}"), INVALID, A "/Parameters/a.$",
         "must be a string with a path or a function, not a number; for a value as it is leave "
         "\".$\" out"},
        {TASK("'Parameters':{'a.$':'$','a':1}"), INVALID, A "/Parameters/a.$",
         "with \".$\" and without it"},
        {TASK("'Parameters':{'b':[{'a.$':'x'}]}"), INVALID, A "/Parameters/b/0/a.$",
         "has a path ($.a)"},
        {FIELD("$.a[*]"), UNSUPPORTED, X, "wildcards (*)"},
        {PASS("'Parameters':{}"), INVALID, A "/Parameters",
         "Parameters does not belong in a Pass state"},
        {UNDO("service:s.u", ",'InputPath':'$'"), INVALID, A "/Compensate/InputPath",
         "does not belong in a Compensate"},
        {UNDO("service:s.u", ",'ResultSelector':{}"), INVALID, A "/Compensate/ResultSelector",
         "does not belong in a Compensate"},
        {MORE("signal:paid", "'Parameters':{}"), INVALID, A "/Parameters",
         "a step that waits for a signal asks nobody"},
        {MORE("signal:paid", "'ResultSelector':{}"), INVALID, A "/ResultSelector",
         "leave ResultSelector out"},
        {TASK("'FireAndForget':true,'ResultSelector':{}"), INVALID, A "/ResultSelector",
         "there is nothing to select from"},
    };
    CHECK_ALL(refusals);
}

static void the_context_object_has_what_it_has(void **state)
{
    (void)state;
    static const char has[] =
        "it has $$.Execution.Id, $$.Execution.Name, $$.State.Name, $$.State.RetryCount, "
        "$$.StateMachine.Name, $$.Task.IdempotencyKey and, with .waitForTaskToken, $$.Task.Token";
    static const struct refusal refusals[] = {
        {FIELD("$$.Execution.StartTime"), UNSUPPORTED, X, has},
        {FIELD("$$.Map.Item.Value"), UNSUPPORTED, X, has},
        {FIELD("$$.State.Name.x"), UNSUPPORTED, X, has},
        {FIELD("$$[0]"), UNSUPPORTED, X, has},
        {FIELD("States.Array($$.Execution.Input)"), UNSUPPORTED, X, has},
        {FIELD("$$.Task.Token"), INVALID, X, "there is no $$.Task.Token, since this step"},
        {UNDO("service:s.u", ",'Parameters':{'t.$':'$$.Task.Token'}"), INVALID,
         A "/Compensate/Parameters/t.$", "there is no $$.Task.Token"},
        {MORE(FUNCTION, "'Parameters':{'t.$':'$$.Task.Token'}"), INVALID, A "/Parameters/t.$",
         "there is no $$.Task.Token"},
    };
    CHECK_ALL(refusals);
    plan_free(plan_text_compile(MORE(WAITS, "'Parameters':{'t.$':'$$.Task.Token'}")));
    plan_free(plan_text_compile(MORE(WAITS, "'ResultSelector':{'t.$':'$$.Task.Token'}")));
}

static void functions_are_called_as_they_are_made(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {FIELD("States.UUID()"), UNSUPPORTED, X, "$$.Task.IdempotencyKey is one of a kind"},
        {FIELD("States.MathRandom(1, 2)"), UNSUPPORTED, X, "has to be asked for the same"},
        {FIELD("States.Hash($, " Q "MD5" Q ")"), UNSUPPORTED, X, "there are States.Array,"},
        {FIELD("States.Formatt(" Q Q ")"), UNSUPPORTED, X, "this function is not supported"},
        {FIELD("States.Format"), INVALID, X, "byte 1: ( is missing"},
        {FIELD("States.Format()"), INVALID, X, "the function takes more arguments"},
        {FIELD("States.Format(1)"), INVALID, X, "the first argument of States.Format is a text"},
        {FIELD("States.Format(" Q "{}" Q ")"), INVALID, X, "one argument for each {}"},
        {FIELD("States.Format(" Q "\\\\{}" Q ",1)"), INVALID, X, "one argument for each {}"},
        {FIELD("States.MathAdd(1)"), INVALID, X, "the function takes more arguments"},
        {FIELD("States.MathAdd(1,2,3)"), INVALID, X, "does not take so many arguments"},
        {FIELD("States.MathAdd(1,)"), INVALID, X, "an argument is missing behind the comma"},
        {FIELD("States.MathAdd(,1)"), INVALID, X, "byte 16: an argument is a path"},
        {FIELD("States.MathAdd(1 2)"), INVALID, X, "a comma or ) is missing"},
        {FIELD("States.MathAdd(1,2"), INVALID, X, "a comma or ) is missing"},
        {FIELD("States.MathAdd(1,2) "), STATUS_OK, "", ""},
        {FIELD("States.MathAdd(1,2)x"), INVALID, X, "something follows the function"},
        {FIELD("States.Array(" Q "a)"), INVALID, X, "the closing ' is missing"},
        {FIELD("States.Array(" Q "\\\\n" Q ")"), INVALID, X, "a backslash goes before"},
        {FIELD("States.Array(" Q "\\\\"), INVALID, X, "a backslash goes before"},
        {FIELD("States.Array([1])"), INVALID, X, "an argument is a path"},
        {FIELD("States.Array($.a[" Q ")" Q "]"), INVALID, X, "a comma or ) is missing"},
        {FIELD("States.Array($.a..b)"), UNSUPPORTED, X, "recursive descent"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].status == STATUS_OK)
            plan_free(plan_text_compile(refusals[i].text));
        else
            check_refusal(&refusals[i]);
    }
}

/* States.Array(States.Array(…1…)), `count` of them. */
static char *nested(uint32_t count)
{
    static char text[1024];
    size_t used = (size_t)snprintf(text, sizeof text, "%s",
                                   "{'StartAt':'A','States':{'A':{'Type':'Task','Resource':"
                                   "'service:s.h','End':true,'Parameters':{'x.$':'");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "States.Array(");
    used += (size_t)snprintf(text + used, sizeof text - used, "1");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ")");
    snprintf(text + used, sizeof text - used, "'}}}}");
    return text;
}

static void functions_stand_ten_deep_in_one_another(void **state)
{
    (void)state;
    plan_free(plan_text_compile(nested(TEMPLATE_CALLS_MAX)));
    check_refusal(&(struct refusal){nested(TEMPLATE_CALLS_MAX + 1), TOO_LARGE, X,
                                    "at most ten functions stand in one another"});
}

/* A template of an array of `count` fields with paths. */
static char *wide(uint32_t count)
{
    static char text[64000];
    size_t used = (size_t)snprintf(text, sizeof text, "%s",
                                   "{'StartAt':'A','States':{'A':{'Type':'Task','Resource':"
                                   "'service:s.h','End':true,'Parameters':{'x':[");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s{'a.$':'$.b.c'}",
                                 i == 0 ? "" : ",");
    snprintf(text + used, sizeof text - used, "]}}}}");
    return text;
}

static void a_template_has_so_many_values(void **state)
{
    (void)state;
    plan_free(plan_text_compile(wide((TEMPLATE_NODES_MAX - 2) / 2)));
    check_refusal(&(struct refusal){wide(TEMPLATE_NODES_MAX / 2), TOO_LARGE, A "/Parameters/x/511",
                                    "more than 1024 values, paths and functions"});
    static char many[2000] = "";
    size_t used = (size_t)snprintf(many, sizeof many, "%s", "States.Array(");
    for (uint32_t i = 0; i <= TEMPLATE_ARGUMENTS_MAX; i++)
        used += (size_t)snprintf(many + used, sizeof many - used, "%s1", i == 0 ? "" : ",");
    snprintf(many + used, sizeof many - used, ")");
    char text[4000];
    snprintf(text, sizeof text, FIELD("%s"), many);
    check_refusal(&(struct refusal){text, INVALID, X, "does not take so many arguments"});
}

static void a_template_is_no_deeper_than_a_payload(void **state)
{
    (void)state;
    for (uint32_t depth = FLYOVER_DEPTH_MAX; depth <= FLYOVER_DEPTH_MAX + 1; depth++) {
        char text[1024], lists[128] = "", ends[128] = "";
        memset(lists, '[', depth - 2);
        memset(ends, ']', depth - 2);
        snprintf(text, sizeof text, TASK("'Parameters':{'x':%s{'a.$':'$'}%s}"), lists, ends);
        if (depth == FLYOVER_DEPTH_MAX)
            plan_free(plan_text_compile(text));
        else
            check_refusal(
                &(struct refusal){text, TOO_LARGE, A "/Parameters", "is nested more than 32 deep"});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arn_is_a_handler_of_a_service_of_its_own),
        cmocka_unit_test(other_arns_are_refused_with_what_is_understood),
        cmocka_unit_test(a_function_stands_in_its_arguments),
        cmocka_unit_test(a_plan_says_where_it_has_templates),
        cmocka_unit_test(what_holds_no_path_is_one_constant),
        cmocka_unit_test(templates_are_objects_of_fields_that_fit),
        cmocka_unit_test(the_context_object_has_what_it_has),
        cmocka_unit_test(functions_are_called_as_they_are_made),
        cmocka_unit_test(functions_stand_ten_deep_in_one_another),
        cmocka_unit_test(a_template_has_so_many_values),
        cmocka_unit_test(a_template_is_no_deeper_than_a_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
