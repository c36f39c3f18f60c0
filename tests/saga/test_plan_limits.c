/* Every limit of a definition: what just fits is accepted, one more is refused by name. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/saga/plan_refusal.h"

struct text {
    char *at;
    size_t bytes;
    size_t capacity;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    if (text->capacity - text->bytes < 4096) {
        text->capacity = text->capacity * 2 + 8192;
        text->at = realloc(text->at, text->capacity);
        assert_non_null(text->at);
    }
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text->at + text->bytes, 4096, format, arguments);
    va_end(arguments);
    assert_in_range(added, 0, 4095);
    text->bytes += (size_t)added;
}

static void add_times(struct text *text, const char *piece, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        add(text, "%s%s", i == 0 ? "" : ",", piece);
}

/* `most` pieces in a list are accepted, one more is refused. */
static void check_list_limit(const char *before, const char *piece, const char *after,
                             uint32_t most, const char *at, const char *phrase)
{
    for (uint32_t count = most; count <= most + 1; count++) {
        struct text text = {NULL, 0, 0};
        add(&text, "%s", before);
        add_times(&text, piece, count);
        add(&text, "%s", after);
        if (count == most)
            plan_free(plan_text_compile(text.at));
        else
            check_refusal(&(struct refusal){text.at, TOO_LARGE, at, phrase});
        free(text.at);
    }
}

static void lists_have_limits(void **state)
{
    (void)state;
    static const char retrier[] = "{'ErrorEquals':['E']}";
    static const char end[] = "]}}}";
    static const char task[] =
        "{'StartAt':'A','States':{'A':{'Type':'Task','Resource':'service:s.h','End':true,";
    char before[256];
    snprintf(before, sizeof before, "%s'Retry':[", task);
    check_list_limit(before, retrier, end, PLAN_RETRIERS_MAX, A "/Retry",
                     "has 9 entries; at most 8 are allowed");
    snprintf(before, sizeof before, "%s'Compensate':{'Resource':'service:s.u','Retry':[", task);
    check_list_limit(before, retrier, "]}}}}", PLAN_RETRIERS_MAX, A "/Compensate/Retry",
                     "has 9 entries");
    snprintf(before, sizeof before, "%s'Catch':[", task);
    check_list_limit(before, "{'ErrorEquals':['E'],'Next':'A'}", end, PLAN_CATCHERS_MAX, A "/Catch",
                     "has 17 entries; at most 16");
    snprintf(before, sizeof before, "%s'Retry':[{'ErrorEquals':[", task);
    check_list_limit(before, "'E'", "]}]}}}", PLAN_ERRORS_MAX, A "/Retry/0/ErrorEquals",
                     "has 17 entries; at most 16");
    check_list_limit("{'StartAt':'A','States':{'B':{'Type':'Succeed'},'A':{'Type':'Choice',"
                     "'Choices':[",
                     "{'Variable':'$','IsNull':true,'Next':'B'}", end, PLAN_RULES_MAX,
                     A "/Choices/1024", "the Choice rules of a plan have at most 1024 parts");
}

static void a_plan_has_a_limit_of_states(void **state)
{
    (void)state;
    for (uint32_t count = PLAN_STATES_MAX; count <= PLAN_STATES_MAX + 1; count++) {
        struct text text = {NULL, 0, 0};
        add(&text, "{'StartAt':'S0','States':{");
        for (uint32_t i = 0; i + 1 < count; i++)
            add(&text, "'S%" PRIu32 "':{'Type':'Pass','Next':'S%" PRIu32 "'},", i, i + 1);
        add(&text, "'S%" PRIu32 "':{'Type':'Succeed'}}}", count - 1);
        if (count == PLAN_STATES_MAX)
            plan_free(plan_text_compile(text.at));
        else
            check_refusal(&(struct refusal){text.at, TOO_LARGE, ": /States",
                                            "has 1001 states; a plan has at most 1000"});
        free(text.at);
    }
}

static void a_long_circle_is_cut_in_its_sentence(void **state)
{
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{'StartAt':'S0','States':{");
    for (uint32_t i = 0; i < PLAN_STATES_MAX; i++)
        add(&text, "%s'S%" PRIu32 "':{'Type':'Pass','Next':'S%" PRIu32 "'}", i == 0 ? "" : ",", i,
            (i + 1) % PLAN_STATES_MAX);
    add(&text, "}}");
    check_refusal(&(struct refusal){text.at, INVALID, ": /States/S0",
                                    "... -> S0 goes round for ever; give one of them a way to"});
    free(text.at);
}

static void a_plan_names_a_limit_of_services(void **state)
{
    (void)state;
    for (uint32_t count = PLAN_SERVICES_MAX; count <= PLAN_SERVICES_MAX + 1; count++) {
        struct text text = {NULL, 0, 0};
        add(&text, "{'StartAt':'S0','States':{");
        for (uint32_t i = 0; i < count; i++)
            add(&text,
                "'S%" PRIu32 "':{'Type':'Task','Resource':'service:s%" PRIu32
                ".h','Next':'S%" PRIu32 "','Compensate':{'Resource':'service:s%" PRIu32 ".undo'}},",
                i, i, i + 1, i);
        add(&text, "'S%" PRIu32 "':{'Type':'Succeed'}}}", count);
        if (count == PLAN_SERVICES_MAX)
            plan_free(plan_text_compile(text.at));
        else
            check_refusal(&(struct refusal){text.at, TOO_LARGE, ": /States/S64/Resource",
                                            "is service number 65 of this plan; at most 64"});
        free(text.at);
    }
}

static void a_plan_has_a_limit_of_error_names(void **state)
{
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{'StartAt':'S0','States':{");
    for (uint32_t i = 0; i < 600; i++) {
        add(&text, "'S%" PRIu32 "':{'Type':'Task','Resource':'service:s.h','Next':'S%" PRIu32 "'",
            i, i + 1);
        add(&text, ",'Retry':[");
        add_times(&text,
                  "{'ErrorEquals':['a','b','c','d','e','f','g','h','a','b','c','d','e','f',"
                  "'g','h']}",
                  PLAN_RETRIERS_MAX);
        add(&text, "]},");
    }
    add(&text, "'S600':{'Type':'Succeed'}}}");
    check_refusal(&(struct refusal){text.at, TOO_LARGE, ": /States/S511/Retry/7/ErrorEquals",
                                    "may name 65535 errors at most"});
    free(text.at);
}

static void nesting_has_limits(void **state)
{
    (void)state;
    for (uint32_t depth = PLAN_RULE_DEPTH_MAX - 1; depth <= PLAN_RULE_DEPTH_MAX; depth++) {
        struct text text = {NULL, 0, 0}, at = {NULL, 0, 0};
        add(&text, "{'StartAt':'A','States':{'B':{'Type':'Succeed'},'A':{'Type':'Choice',"
                   "'Choices':[{'Next':'B','Comment':''");
        add(&at, A "/Choices/0");
        for (uint32_t i = 0; i < depth; i++) {
            add(&text, "%s'Not':{", i == 0 ? "," : "");
            add(&at, "/Not");
        }
        add(&text, "'Variable':'$','IsNull':true");
        for (uint32_t i = 0; i < depth; i++)
            add(&text, "}");
        add(&text, "}]}}}");
        if (depth < PLAN_RULE_DEPTH_MAX)
            plan_free(plan_text_compile(text.at));
        else
            check_refusal(
                &(struct refusal){text.at, TOO_LARGE, at.at, "at most 32 deep in one another"});
        free(text.at);
        free(at.at);
    }
    struct text text = {NULL, 0, 0};
    add(&text, "{'StartAt':");
    for (uint32_t i = 0; i < 5000; i++)
        add(&text, "[");
    check_refusal(&(struct refusal){text.at, INVALID, ":1:2059", "nested too deep"});
    free(text.at);
}

static void results_have_limits(void **state)
{
    (void)state;
    struct text text = {NULL, 0, 0};
    for (uint32_t depth = FLYOVER_DEPTH_MAX; depth <= FLYOVER_DEPTH_MAX + 1; depth++) {
        text.bytes = 0;
        add(&text, "{'StartAt':'A','States':{'A':{'Type':'Pass','End':true,'Result':");
        for (uint32_t i = 0; i < depth; i++)
            add(&text, "%s", i % 2 == 0 ? "[" : "{'k':");
        add(&text, "7");
        for (uint32_t i = depth; i-- > 0;)
            add(&text, "%s", i % 2 == 0 ? "]" : "}");
        add(&text, "}}}");
        if (depth == FLYOVER_DEPTH_MAX)
            plan_free(plan_text_compile(text.at));
        else
            check_refusal(
                &(struct refusal){text.at, TOO_LARGE, A "/Result", "is nested more than 32 deep"});
    }
    free(text.at);

    /* A text of that size has a head of five bytes. */
    for (uint32_t bytes = FLYOVER_PAYLOAD_BYTES_MAX; bytes <= FLYOVER_PAYLOAD_BYTES_MAX + 1;
         bytes++) {
        text = (struct text){NULL, 0, 0};
        add(&text, "{'StartAt':'A','States':{'A':{'Type':'Pass','End':true,'Result':'");
        for (uint32_t i = 0; i < bytes - 5; i++)
            add(&text, "x");
        add(&text, "'}}}");
        if (bytes == FLYOVER_PAYLOAD_BYTES_MAX)
            plan_free(plan_text_compile(text.at));
        else
            check_refusal(
                &(struct refusal){text.at, TOO_LARGE, A "/Result",
                                  "takes 262145 bytes as msgpack; a payload has at most 262144"});
        free(text.at);
    }

    text = (struct text){NULL, 0, 0};
    add(&text, "{'StartAt':'A','States':{'A':{'Type':'Fail','Cause':'");
    for (uint32_t i = 0; i < FLYOVER_ERROR_CAUSE_BYTES_MAX + 1; i++)
        add(&text, "x");
    add(&text, "'}}}");
    check_refusal(&(struct refusal){text.at, TOO_LARGE, A "/Cause",
                                    "has 257 bytes; a cause has at most 256"});
    free(text.at);
}

/* A real of three letters takes nine bytes: no other text grows as much. */
static void a_plan_has_room_for_the_constants_that_grow_most(void **state)
{
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{'StartAt':'A','States':{'A':{'Type':'Pass','End':true,'Result':[");
    add_times(&text, "1.5", 20000);
    add(&text, "]}}}");
    struct plan *plan = plan_text_compile(text.at);
    assert_int_equal(plan->states[0].result.count, 3 + 20000 * 9);
    assert_true(value_check(plan->states[0].result, NULL));
    plan_free(plan);
    free(text.at);
}

static void a_definition_over_its_limit_is_refused_unread(void **state)
{
    (void)state;
    char *text = malloc(PLAN_DEFINITION_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, ' ', PLAN_DEFINITION_BYTES_MAX + 1);
    static const char definition[] =
        "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}";
    memcpy(text, definition, sizeof definition - 1);
    struct plan *plan = NULL;
    struct problem problem;
    assert_int_equal(
        plan_compile("p", "big.json", text, PLAN_DEFINITION_BYTES_MAX + 1, &plan, &problem),
        STATUS_TOO_LARGE);
    assert_string_equal(problem.text,
                        "big.json: has 1048577 bytes; a definition has at most 1048576");
    assert_null(plan);
    assert_int_equal(plan_compile("p", "big.json", text, PLAN_DEFINITION_BYTES_MAX, &plan, NULL),
                     STATUS_OK);
    plan_free(plan);
    free(text);
}

static void a_long_pointer_leaves_room_for_the_sentence(void **state)
{
    (void)state;
    struct text text = {NULL, 0, 0};
    add(&text, "{'");
    for (uint32_t i = 0; i < 5000; i++)
        add(&text, "\xc3\xa4");
    add(&text, "':1}");
    struct plan *plan = NULL;
    struct problem problem = {.text = ""};
    assert_int_equal(plan_text_try(text.at, &plan, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "a definition has no field \"\xc3\xa4"));
    assert_true(strlen(problem.text) < sizeof problem.text);
    free(text.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_have_limits),
        cmocka_unit_test(a_plan_has_a_limit_of_states),
        cmocka_unit_test(a_long_circle_is_cut_in_its_sentence),
        cmocka_unit_test(a_plan_names_a_limit_of_services),
        cmocka_unit_test(a_plan_has_a_limit_of_error_names),
        cmocka_unit_test(nesting_has_limits),
        cmocka_unit_test(results_have_limits),
        cmocka_unit_test(a_plan_has_room_for_the_constants_that_grow_most),
        cmocka_unit_test(a_definition_over_its_limit_is_refused_unread),
        cmocka_unit_test(a_long_pointer_leaves_room_for_the_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
