/* What Parameters, InputPath and ResultSelector make of a payload, and how they fail. JSON is
 * written with ' for "; a quote of a function is Q. */
#include <jansson.h>
#include <stdio.h>

#include "engine/saga/template.h"
#include "engine/saga/value_json.h"
#include "tests/saga/plan_text.h"

#define Q              "\\u0027"
#define FIELD(text)    TASK("'Parameters':{'x.$':'" text "'}")
#define ARGUMENTS(all) TASK("'Parameters':" all)

static uint8_t room[TEMPLATE_ROOM_BYTES];
static uint8_t payload_room[2 * FLYOVER_PAYLOAD_BYTES_MAX];

static const struct template_context a_context = {
    .saga_id = 4711, .attempt_no = 3, .state = "A", .machine = "order", .key = "k-4711-2"};

static struct flyover_bytes payload_of(const char *text)
{
    size_t bytes = 0, count = 0;
    char *json_text = plan_text_quote(text, &bytes);
    json_error_t error;
    json_t *json = json_loadb(json_text, bytes, JSON_DECODE_ANY, &error);
    if (json == NULL)
        fail_msg("%s: %s", text, error.text);
    assert_int_equal(value_from_json(json, payload_room, sizeof payload_room, &count), STATUS_OK);
    json_decref(json);
    free(json_text);
    return (struct flyover_bytes){payload_room, (uint32_t)count};
}

static struct template *first_template(const struct plan *plan)
{
    assert_int_equal(plan->templates_count, 1);
    return &plan->templates[0];
}

/* As JSON with ' for ". */
static const char *printed(struct flyover_bytes value)
{
    static char text[4096];
    assert_true(value_check(value, NULL));
    value_print(value, text, sizeof text);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '"' ? '\'' : *at;
    return text;
}

static void assert_makes(const char *definition, const char *input, const char *wanted)
{
    struct plan *plan = plan_text_compile(definition);
    struct flyover_bytes made;
    struct template_failure failure;
    if (!template_evaluate(first_template(plan), payload_of(input), &a_context, room, &made,
                           &failure))
        fail_msg("%s of %s fails: %s, %s", definition, input, failure.name, failure.cause);
    assert_string_equal(printed(made), wanted);
    plan_free(plan);
}

static void assert_fails(const char *definition, const char *input, const char *name,
                         const char *phrase)
{
    struct plan *plan = plan_text_compile(definition);
    struct flyover_bytes made;
    struct template_failure failure;
    if (template_evaluate(first_template(plan), payload_of(input), &a_context, room, &made,
                          &failure))
        fail_msg("%s of %s makes %s", definition, input, printed(made));
    assert_string_equal(failure.name, name);
    if (strstr(failure.cause, phrase) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", phrase, failure.cause);
    plan_free(plan);
}

/* ---- paths and constants ------------------------------------------------------------------- */

static void fields_with_a_path_get_what_is_there_and_others_stay(void **state)
{
    (void)state;
    assert_makes(ARGUMENTS("{'a.$':'$.order.id','b':'$.order.id','c':{'d':[1,{'e.$':'$.n[1]'}]}}"),
                 "{'order':{'id':'o-1'},'n':[1,2.5]}",
                 "{'a':'o-1','b':'$.order.id','c':{'d':[1,{'e':2.5}]}}");
    assert_makes(ARGUMENTS("{'all.$':'$'}"), "{'a':null}", "{'all':{'a':null}}");
    assert_makes(ARGUMENTS("{'a':1,'b':[true,{}]}"), "7", "{'a':1,'b':[true,{}]}");
    assert_makes(ARGUMENTS("{}"), "7", "{}");
    assert_makes(ARGUMENTS("{'a b.$':'$[" Q "c.d" Q "]','$':1}"), "{'c.d':false}",
                 "{'a b':false,'$':1}");
}

static void input_path_says_what_the_dollar_is(void **state)
{
    (void)state;
    assert_makes(TASK("'InputPath':'$.a'"), "{'a':{'b':1}}", "{'b':1}");
    assert_makes(TASK("'InputPath':null"), "{'a':1}", "{}");
    assert_makes(TASK("'InputPath':'$$.Execution'"), "{'a':1}", "{'Id':'4711','Name':'4711'}");
    assert_makes(TASK("'InputPath':'$.a','Parameters':{'c.$':'$.b','d.$':'$'}"), "{'a':{'b':1}}",
                 "{'c':1,'d':{'b':1}}");
    assert_makes(TASK("'InputPath':null,'Parameters':{'c.$':'$'}"), "7", "{'c':{}}");
    assert_fails(TASK("'InputPath':'$.b'"), "{'a':1}", "States.ParameterPathFailure",
                 "$.b: this path leads nowhere");
}

static void the_context_object_says_who_asks(void **state)
{
    (void)state;
    assert_makes(ARGUMENTS("{'a.$':'$$.Execution.Id','b.$':'$$.Execution.Name','c.$':'$$.State."
                           "Name','d.$':'$$.State.RetryCount','e.$':'$$.StateMachine.Name','f.$':"
                           "'$$.Task.IdempotencyKey'}"),
                 "{}", "{'a':'4711','b':'4711','c':'A','d':2,'e':'order','f':'k-4711-2'}");
    assert_makes(FIELD("$$"), "{}",
                 "{'x':{'Execution':{'Id':'4711','Name':'4711'},'State':{'Name':'A','RetryCount':"
                 "2},'StateMachine':{'Name':'order'},'Task':{'IdempotencyKey':'k-4711-2'}}}");
    assert_makes(FIELD("States.Format(" Q "{}/{}" Q ", $$.State.Name, $$.State.RetryCount)"), "{}",
                 "{'x':'A/2'}");
}

static void a_token_is_there_for_who_waits_for_it(void **state)
{
    (void)state;
    struct plan *plan =
        plan_text_compile(STATES("'A':{'Type':'Task','Resource':'service:s.h.waitForTaskToken',"
                                 "'Parameters':{'t.$':'$$.Task.Token'},'End':true}"));
    struct template_context context = a_context;
    struct template_failure failure;
    struct flyover_bytes made;
    context.token = "4711-2-3-abc";
    assert_true(
        template_evaluate(first_template(plan), payload_of("{}"), &context, room, &made, &failure));
    assert_string_equal(printed(made), "{'t':'4711-2-3-abc'}");
    plan_free(plan);
}

static void a_path_that_leads_nowhere_fails(void **state)
{
    (void)state;
    static const char *const inputs[] = {"{}", "7", "{'a':[1]}", "{'a':{'c':1}}"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        assert_fails(FIELD("$.a.b"), inputs[i], "States.ParameterPathFailure",
                     "$.a.b: this path leads nowhere");
    assert_fails(FIELD("States.Array(1, $.a.b)"), "{}", "States.ParameterPathFailure",
                 "$.a.b: this path leads nowhere");
}

/* ---- functions ----------------------------------------------------------------------------- */

static void format_puts_arguments_into_a_text(void **state)
{
    (void)state;
    static const char input[] = "{'name':'Ada','n':-3,'r':0.5,'o':{'a':[null]},'t':'<{}>'}";
    assert_makes(FIELD("States.Format(" Q "Hello {}, {} {} {} {}!" Q ",$.name,$.n,$.r,true,null)"),
                 input, "{'x':'Hello Ada, -3 0.5 true null!'}");
    assert_makes(FIELD("States.Format(" Q "{}" Q ", $.o.a)"), input, "{'x':'[null]'}");
    assert_makes(FIELD("States.Format($.t, " Q "{}" Q ")"), input, "{'x':'<{}>'}");
    assert_makes(FIELD("States.Format(" Q "\\\\{\\\\}{}\\\\" Q "{a}" Q ", 1)"), input,
                 "{'x':'{}1'{a}'}");
    assert_makes(FIELD("States.Format(" Q Q ")"), input, "{'x':''}");
    assert_makes(FIELD("States.Format(" Q "{}" Q ", States.Format(" Q "<{}>" Q ", $.name))"), input,
                 "{'x':'<Ada>'}");
    assert_fails(FIELD("States.Format($.t)"), input, "States.IntrinsicFailure",
                 "one argument for each {}");
    assert_fails(FIELD("States.Format($.n)"), input, "States.IntrinsicFailure",
                 "the first argument of Format is no string");
}

static void texts_of_all_lengths_get_their_heads(void **state)
{
    (void)state;
    static const uint32_t counts[] = {31, 32, 255, 256, 65535, 65536};
    struct plan *plan = plan_text_compile(FIELD("States.Format(" Q "{}" Q ", $)"));
    static char text[70000];
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        text[0] = text[counts[i] + 1] = '\'';
        memset(text + 1, 'a', counts[i]);
        text[counts[i] + 2] = '\0';
        struct flyover_bytes made, input = payload_of(text), found;
        struct template_failure failure;
        assert_true(
            template_evaluate(first_template(plan), input, &a_context, room, &made, &failure));
        struct flyover_cursor cursor = {made.at, made.at + made.count};
        struct flyover_cursor at;
        assert_true(value_check(made, NULL));
        assert_true(flyover_find(&cursor, "x", &at));
        assert_int_equal((size_t)(at.end - at.at), input.count);
        assert_memory_equal(at.at, input.at, input.count);
        assert_true(flyover_read_str(&at, &found));
        assert_int_equal(found.count, counts[i]);
    }
    plan_free(plan);
}

static void json_goes_into_a_text_and_comes_back(void **state)
{
    (void)state;
    assert_makes(FIELD("States.StringToJson(States.JsonToString($))"),
                 "{'a':[1,-7,2.5,true,null,'ä\\u0001'],'b':{}}",
                 "{'x':{'a':[1,-7,2.5,true,null,'ä\\u0001'],'b':{}}}");
    assert_makes(FIELD("States.JsonToString($.a)"), "{'a':[1,2]}", "{'x':'[1,2]'}");
    assert_makes(FIELD("States.StringToJson(" Q " 12 " Q ")"), "{}", "{'x':12}");
    assert_fails(FIELD("States.StringToJson(" Q "{" Q ")"), "{}", "States.IntrinsicFailure",
                 "the string is no JSON");
    assert_fails(FIELD("States.StringToJson($)"), "{}", "States.IntrinsicFailure",
                 "StringToJson takes a string");
    assert_fails(FIELD("States.StringToJson(" Q
                       "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" Q ")"),
                 "{}", "States.IntrinsicFailure", "more than 32 deep");
}

static void numbers_are_added_and_rounded(void **state)
{
    (void)state;
    assert_makes(FIELD("States.MathAdd($.a, -1)"), "{'a':111}", "{'x':110}");
    assert_makes(FIELD("States.MathAdd(2.5, -2.5)"), "{}", "{'x':1}");
    assert_makes(FIELD("States.MathAdd(-2.6, 0)"), "{}", "{'x':-3}");
    assert_makes(FIELD("States.MathAdd(-2.4, 0)"), "{}", "{'x':-2}");
    assert_makes(FIELD("States.MathAdd(9223372036854775806, 1)"), "{}",
                 "{'x':9223372036854775807}");
    static const char *const sums[] = {"-128", "-129", "-32769", "-2147483649",
                                       "128",  "256",  "65536",  "4294967296",
                                       "-33",  "-32",  "127",    "255"};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        char definition[256], wanted[64];
        snprintf(definition, sizeof definition, FIELD("States.MathAdd(%s, 0)"), sums[i]);
        snprintf(wanted, sizeof wanted, "{'x':%s}", sums[i]);
        assert_makes(definition, "{}", wanted);
    }
    assert_fails(FIELD("States.MathAdd(9223372036854775807, 1)"), "{}", "States.IntrinsicFailure",
                 "more than 63 bits");
    assert_fails(FIELD("States.MathAdd(1e300, 1)"), "{}", "States.IntrinsicFailure",
                 "MathAdd takes two numbers");
    assert_fails(FIELD("States.MathAdd(" Q "1" Q ", 1)"), "{}", "States.IntrinsicFailure",
                 "MathAdd takes two numbers");
}

static void arrays_are_made_counted_and_looked_into(void **state)
{
    (void)state;
    assert_makes(FIELD("States.Array()"), "{}", "{'x':[]}");
    assert_makes(FIELD("States.Array($.a, 1, " Q "b" Q ", States.Array(null))"), "{'a':{}}",
                 "{'x':[{},1,'b',[null]]}");
    assert_makes(FIELD("States.ArrayLength($.a)"), "{'a':[1,[2,3]]}", "{'x':2}");
    assert_makes(FIELD("States.ArrayGetItem($.a, 1)"), "{'a':[1,[2,3]]}", "{'x':[2,3]}");
    static const char *const out[] = {"-1", "2", "4294967296"};
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        char definition[256];
        snprintf(definition, sizeof definition, FIELD("States.ArrayGetItem($.a, %s)"), out[i]);
        assert_fails(definition, "{'a':[1,[2,3]]}", "States.IntrinsicFailure",
                     "no element of that index");
    }
    assert_fails(FIELD("States.ArrayLength($)"), "{}", "States.IntrinsicFailure",
                 "ArrayLength takes an array");
    assert_fails(FIELD("States.ArrayGetItem($, 0)"), "{}", "States.IntrinsicFailure",
                 "ArrayGetItem takes an array");
}

static void base64_is_as_everywhere(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"ü~?>", "w7x+Pz4="},
        {"?>?", "Pz4/"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char input[64], wanted[64];
        snprintf(input, sizeof input, "'%s'", pairs[i][0]);
        snprintf(wanted, sizeof wanted, "{'x':'%s'}", pairs[i][1]);
        assert_makes(FIELD("States.Base64Encode($)"), input, wanted);
        snprintf(input, sizeof input, "'%s'", pairs[i][1]);
        snprintf(wanted, sizeof wanted, "{'x':'%s'}", pairs[i][0]);
        assert_makes(FIELD("States.Base64Decode($)"), input, wanted);
    }
    static const char *const bad[] = {"'Zg='", "'Z==='", "'Zg==Zg=='", "'Z-8='", "7", "'/w=='"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(FIELD("States.Base64Decode($)"), bad[i], "States.IntrinsicFailure",
                     "States.Base64Decode($): ");
}

/* ---- limits -------------------------------------------------------------------------------- */

static char *long_text(uint32_t count)
{
    char *text = malloc(count + 3);
    assert_non_null(text);
    memset(text, 'a', count + 2);
    text[0] = text[count + 1] = '\'';
    text[count + 2] = '\0';
    return text;
}

static void what_is_larger_than_a_payload_fails(void **state)
{
    (void)state;
    /* {"x": …} takes three bytes, the head of the text five. */
    uint32_t fits = FLYOVER_PAYLOAD_BYTES_MAX - 3 - 5;
    struct plan *plan = plan_text_compile(FIELD("$"));
    struct flyover_bytes made;
    struct template_failure failure;
    for (uint32_t over = 0; over < 2; over++) {
        char *text = long_text(fits + over);
        bool fine = template_evaluate(first_template(plan), payload_of(text), &a_context, room,
                                      &made, &failure);
        assert_int_equal(fine, over == 0);
        free(text);
    }
    assert_string_equal(failure.name, "States.DataLimitExceeded");
    plan_free(plan);
}

static void what_has_no_room_at_all_fails(void **state)
{
    (void)state;
    char *text = long_text(200000);
    static const char *const many[] = {
        FIELD("States.Array($,$,$,$,$,$,$,$,$,$,$,$)"),
        FIELD("States.Format(" Q "{}{}" Q ",$,$)"),
        FIELD("States.Array(States.JsonToString($),States.JsonToString($),States.JsonToString($),"
              "States.JsonToString($),States.JsonToString($),States.JsonToString($),"
              "States.JsonToString($),States.JsonToString($),States.JsonToString($))"),
        FIELD("States.Array(States.Base64Encode($),States.Base64Encode($),States.Base64Encode($),"
              "States.Base64Encode($),States.Base64Encode($),States.Base64Encode($),"
              "States.Base64Encode($),States.Base64Encode($))"),
    };
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
        assert_fails(many[i], text, "States.DataLimitExceeded", "larger than");
    free(text);
}

/* A template of `count` fields that all say this. */
static char *many_fields(uint32_t count, const char *what)
{
    static char text[64000];
    size_t used = (size_t)snprintf(text, sizeof text, "%s",
                                   "{'StartAt':'A','States':{'A':{'Type':'Task','Resource':"
                                   "'service:s.h','End':true,'Parameters':{'c':0");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ",'%u.$':'%s'", i, what);
    snprintf(text + used, sizeof text - used, "}}}}");
    return text;
}

static bool can_make(const char *definition, struct flyover_bytes payload,
                     struct template_failure *ret_failure)
{
    struct plan *plan = plan_text_compile(definition);
    struct flyover_bytes made;
    bool fine =
        template_evaluate(first_template(plan), payload, &a_context, room, &made, ret_failure);
    plan_free(plan);
    return fine;
}

/* There is room for all of it, and the thread that makes it is not to be kept so long. */
static void what_takes_too_long_fails(void **state)
{
    (void)state;
    static const char of_json[] = "States.ArrayLength(States.Array(States.JsonToString($[0])))";
    char *large = malloc(210000);
    assert_non_null(large);
    char *text = long_text(200000);
    snprintf(large, 210000, "[%s,7]", text);
    struct flyover_bytes payload = payload_of(large);
    struct template_failure failure = {.name = NULL};
    assert_true(can_make(many_fields(330, "$[1]"), payload, &failure));
    assert_false(can_make(many_fields(340, "$[1]"), payload, &failure));
    assert_string_equal(failure.name, "States.DataLimitExceeded");
    assert_non_null(strstr(failure.cause, "too many paths and functions for so large a payload"));
    assert_true(can_make(many_fields(9, of_json), payload, &failure));
    assert_false(can_make(many_fields(11, of_json), payload, &failure));
    assert_string_equal(failure.name, "States.DataLimitExceeded");
    assert_true(can_make(many_fields(1000, "$"), payload_of("7"), &failure));
    free(text);
    free(large);
}

static void what_is_nested_too_deep_fails(void **state)
{
    (void)state;
    char deepest[2 * FLYOVER_DEPTH_MAX + 1] = "";
    for (uint32_t i = 0; i < FLYOVER_DEPTH_MAX; i++) {
        deepest[i] = '[';
        deepest[2 * FLYOVER_DEPTH_MAX - 1 - i] = ']';
    }
    assert_fails(FIELD("$"), deepest, "States.DataLimitExceeded", "nested more than 32 deep");
    assert_makes(TASK("'InputPath':'$[0]','Parameters':{'x.$':'$'}"), "[[7]]", "{'x':[7]}");
    /* What a function of Lambda gets around it is not counted. */
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Task','Resource':'arn:aws:lambda:r:1:function:f','End':true}"));
    struct flyover_bytes made;
    struct template_failure failure;
    assert_true(template_evaluate(first_template(plan), payload_of(deepest), &a_context, room,
                                  &made, &failure));
    plan_free(plan);
}

static void a_payload_may_stand_in_the_room(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(ARGUMENTS("{'a.$':'$.b','c.$':'States.Array($)'}"));
    struct flyover_bytes made, payload = payload_of("{'b':'text'}");
    struct template_failure failure;
    memcpy(room, payload.at, payload.count);
    payload.at = room;
    assert_true(
        template_evaluate(first_template(plan), payload, &a_context, room, &made, &failure));
    assert_string_equal(printed(made), "{'a':'text','c':[{'b':'text'}]}");
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_with_a_path_get_what_is_there_and_others_stay),
        cmocka_unit_test(input_path_says_what_the_dollar_is),
        cmocka_unit_test(the_context_object_says_who_asks),
        cmocka_unit_test(a_token_is_there_for_who_waits_for_it),
        cmocka_unit_test(a_path_that_leads_nowhere_fails),
        cmocka_unit_test(format_puts_arguments_into_a_text),
        cmocka_unit_test(texts_of_all_lengths_get_their_heads),
        cmocka_unit_test(json_goes_into_a_text_and_comes_back),
        cmocka_unit_test(numbers_are_added_and_rounded),
        cmocka_unit_test(arrays_are_made_counted_and_looked_into),
        cmocka_unit_test(base64_is_as_everywhere),
        cmocka_unit_test(what_is_larger_than_a_payload_fails),
        cmocka_unit_test(what_has_no_room_at_all_fails),
        cmocka_unit_test(what_takes_too_long_fails),
        cmocka_unit_test(what_is_nested_too_deep_fails),
        cmocka_unit_test(a_payload_may_stand_in_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
