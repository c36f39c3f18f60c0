/*
 * What a Choice chooses. Every comparison meets every kind of value on both sides; what should come
 * out is worked out here from the names of ASL, apart from the engine's own tables.
 */
#include <stdio.h>

#include "tests/saga/plan_text.h"

enum kind { ABSENT, NIL, BOOLEAN, NUMBER, TEXT, OTHER };

struct sample {
    enum kind kind;
    const char *json; /* NULL: JSON cannot say it */
    const char *msgpack;
    uint32_t bytes;
    long double number; /* exact for 64-bit integers, on machines where it has 64 bits */
    const char *text;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct sample samples[] = {
    {ABSENT, NULL, BYTES(""), 0, NULL},
    {NIL, "null", BYTES("\xc0"), 0, NULL},
    {BOOLEAN, "true", BYTES("\xc3"), 1, NULL},
    {BOOLEAN, "false", BYTES("\xc2"), 0, NULL},
    {NUMBER, "0", BYTES("\x00"), 0, NULL},
    {NUMBER, "1", BYTES("\x01"), 1, NULL},
    {NUMBER, NULL, BYTES("\xd3\x00\x00\x00\x00\x00\x00\x00\x01"), 1, NULL},
    {NUMBER, "-5", BYTES("\xfb"), -5, NULL},
    {NUMBER, "1.0", BYTES("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), 1, NULL},
    {NUMBER, "2.5", BYTES("\xcb\x40\x04\x00\x00\x00\x00\x00\x00"), 2.5L, NULL},
    {NUMBER, NULL, BYTES("\xca\x40\x20\x00\x00"), 2.5L, NULL},
    {NUMBER, "9007199254740993", BYTES("\xcf\x00\x20\x00\x00\x00\x00\x00\x01"), 9007199254740993.0L,
     NULL},
    {NUMBER, "9007199254740992.0", BYTES("\xcb\x43\x40\x00\x00\x00\x00\x00\x00"),
     9007199254740992.0L, NULL},
    {TEXT, "''", BYTES("\xa0"), 0, ""},
    {TEXT, "'1'", BYTES("\xa1\x31"), 0, "1"},
    {TEXT, "'a'", BYTES("\xa1\x61"), 0, "a"},
    {TEXT, "'ab'", BYTES("\xd9\x02\x61\x62"), 0, "ab"},
    {TEXT, "'\xc3\xa4'", BYTES("\xa2\xc3\xa4"), 0, "\xc3\xa4"},
    {OTHER, NULL, BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), 0, NULL}, /* NaN */
    {OTHER, NULL, BYTES("\xc4\x01\x61"), 0, NULL},
    {OTHER, NULL, BYTES("\x91\x01"), 0, NULL},
    {OTHER, NULL, BYTES("\x80"), 0, NULL},
};
#define SAMPLES_COUNT (sizeof samples / sizeof samples[0])

/* {"v": left, "w": right}, each only where it is present. */
static struct flyover_bytes make_input(const struct sample *left, const struct sample *right,
                                       uint8_t out[64])
{
    const struct sample *const parts[] = {left, right};
    uint32_t count = 1;
    out[0] = 0x80;
    for (uint32_t i = 0; i < 2; i++) {
        if (parts[i]->kind == ABSENT)
            continue;
        out[0]++;
        out[count++] = 0xa1;
        out[count++] = (uint8_t)("vw"[i]);
        memcpy(out + count, parts[i]->msgpack, parts[i]->bytes);
        count += parts[i]->bytes;
    }
    struct flyover_bytes input = {.at = out, .count = count};
    assert_true(value_check(input, NULL));
    return input;
}

/* Compiles one rule on the state A, which leads to B; 1 is B's index, no default. */
static struct plan *compile_rule(const char *name, const char *value)
{
    char text[512];
    int count = snprintf(text, sizeof text, RULE("'Variable':'$.v','%s':%s"), name, value);
    assert_in_range(count, 1, sizeof text - 1);
    return plan_text_compile(text);
}

static bool holds(const struct plan *plan, struct flyover_bytes input)
{
    uint16_t next = plan_choose(plan, &plan->states[0], input);
    assert_true(next == 1 || next == PLAN_NO_STATE);
    return next == 1;
}

static bool order_wanted(const char *relation, int order)
{
    if (strcmp(relation, "Equals") == 0)
        return order == 0;
    if (strcmp(relation, "LessThan") == 0)
        return order < 0;
    if (strcmp(relation, "GreaterThan") == 0)
        return order > 0;
    if (strcmp(relation, "LessThanEquals") == 0)
        return order <= 0;
    assert_string_equal(relation, "GreaterThanEquals");
    return order >= 0;
}

static bool comparison_wanted(enum kind kind, const char *relation, const struct sample *left,
                              const struct sample *right)
{
    if (left->kind != kind || right->kind != kind)
        return false;
    int order = kind == TEXT ? strcmp(left->text, right->text)
                             : (left->number > right->number) - (left->number < right->number);
    return order_wanted(relation, order);
}

static const struct {
    const char *name;
    enum kind kind;
} comparable[] = {{"String", TEXT}, {"Numeric", NUMBER}, {"Boolean", BOOLEAN}};
static const char *const relations[] = {"Equals", "LessThan", "GreaterThan", "LessThanEquals",
                                        "GreaterThanEquals"};

static size_t count_relations(enum kind kind)
{
    return kind == BOOLEAN ? 1 : sizeof relations / sizeof relations[0];
}

static void check_pair(const struct plan *plan, const char *name, enum kind kind,
                       const char *relation, const struct sample *left, const struct sample *right)
{
    uint8_t out[64];
    bool wanted = comparison_wanted(kind, relation, left, right);
    if (holds(plan, make_input(left, right, out)) != wanted)
        fail_msg("%s of samples %td and %td is not %d", name, left - samples, right - samples,
                 wanted);
}

static void comparisons_of_two_paths_hold_for_the_right_pairs_of_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof comparable / sizeof comparable[0]; i++) {
        for (size_t j = 0; j < count_relations(comparable[i].kind); j++) {
            char name[64];
            snprintf(name, sizeof name, "%s%sPath", comparable[i].name, relations[j]);
            struct plan *plan = compile_rule(name, "'$.w'");
            for (size_t k = 0; k < SAMPLES_COUNT * SAMPLES_COUNT; k++)
                check_pair(plan, name, comparable[i].kind, relations[j],
                           &samples[k / SAMPLES_COUNT], &samples[k % SAMPLES_COUNT]);
            plan_free(plan);
        }
    }
}

static void comparisons_with_constants_hold_for_the_right_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof comparable / sizeof comparable[0]; i++) {
        for (size_t j = 0; j < count_relations(comparable[i].kind); j++) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", comparable[i].name, relations[j]);
            for (size_t k = 0; k < SAMPLES_COUNT; k++) {
                if (samples[k].json == NULL || samples[k].kind != comparable[i].kind)
                    continue;
                struct plan *plan = compile_rule(name, samples[k].json);
                for (size_t l = 0; l < SAMPLES_COUNT; l++)
                    check_pair(plan, name, comparable[i].kind, relations[j], &samples[l],
                               &samples[k]);
                plan_free(plan);
            }
        }
    }
}

static bool type_wanted(const char *name, const struct sample *sample)
{
    uint8_t first = (uint8_t)sample->msgpack[0];
    if (strcmp(name, "IsPresent") == 0)
        return sample->kind != ABSENT;
    if (strcmp(name, "IsNull") == 0)
        return sample->kind == NIL;
    if (strcmp(name, "IsString") == 0)
        return sample->kind == TEXT;
    if (strcmp(name, "IsBoolean") == 0)
        return sample->kind == BOOLEAN;
    assert_string_equal(name, "IsNumeric");
    return sample->kind == NUMBER || (sample->kind == OTHER && first == 0xcb); /* NaN too */
}

static void types_are_told_apart_and_what_is_absent_has_none(void **state)
{
    (void)state;
    static const char *const names[] = {"IsPresent", "IsNull", "IsString", "IsBoolean",
                                        "IsNumeric"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct plan *is = compile_rule(names[i], "true"), *is_not = compile_rule(names[i], "false");
        for (size_t j = 0; j < SAMPLES_COUNT; j++) {
            uint8_t out[64];
            struct flyover_bytes input = make_input(&samples[j], &samples[0], out);
            bool wanted = type_wanted(names[i], &samples[j]);
            bool comparable_at_all = samples[j].kind != ABSENT || i == 0;
            if (holds(is, input) != wanted)
                fail_msg("%s of sample %zu is not %d", names[i], j, wanted);
            if (holds(is_not, input) != (comparable_at_all && !wanted))
                fail_msg("%s: false of sample %zu", names[i], j);
        }
        plan_free(is);
        plan_free(is_not);
    }
}

/* {"a": 1 or nothing, "b": ..., "c": ...} by the bits of `set`. */
static struct flyover_bytes make_set(uint32_t set, uint8_t out[16])
{
    uint32_t count = 1;
    out[0] = 0x80;
    for (uint32_t i = 0; i < 3; i++) {
        if (!(set & 1u << i))
            continue;
        out[0]++;
        out[count++] = 0xa1;
        out[count++] = (uint8_t)("abc"[i]);
        out[count++] = 1;
    }
    return (struct flyover_bytes){.at = out, .count = count};
}

#define HAS(name) "{'Variable':'$." name "','IsPresent':true}"

static void and_or_not_follow_their_truth_tables(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        uint8_t sets; /* bit n: holds for the set n of {a = 1, b = 2, c = 4} */
    } rows[] = {
        {"'And':[" HAS("a") "]", 0xaa},
        {"'Or':[" HAS("a") "]", 0xaa},
        {"'Not':" HAS("a"), 0x55},
        {"'And':[" HAS("a") "," HAS("b") "," HAS("c") "]", 0x80},
        {"'Or':[" HAS("a") "," HAS("b") "," HAS("c") "]", 0xfe},
        {"'Not':{'And':[" HAS("a") "," HAS("b") "]}", 0x77},
        {"'Not':{'Or':[" HAS("a") "," HAS("b") "]}", 0x11},
        {"'Not':{'Not':" HAS("c") "}", 0xf0},
        {"'And':[{'Or':[" HAS("a") "," HAS("b") "]}," HAS("c") "]", 0xe0},
        {"'And':[{'Not':" HAS("a") "},{'Or':[" HAS("b") ",{'Not':" HAS("c") "}]}]", 0x45},
        {"'Or':[{'And':[" HAS("a") "," HAS("b") "]},{'And':[" HAS("c") ",{'Not':" HAS("a") "}]}]",
         0xd8},
        /* A comparison of what is not there is false, and so its Not is true. */
        {"'Not':{'Variable':'$.a','IsNumeric':false}", 0xff},
        {"'Variable':'$.a','IsNumeric':false", 0x00},
        {"'Not':{'Variable':'$.a','NumericEqualsPath':'$.b'}", 0x77},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, RULE("%s"), rows[i].rule);
        struct plan *plan = plan_text_compile(text);
        for (uint32_t set = 0; set < 8; set++) {
            uint8_t out[16];
            if (holds(plan, make_set(set, out)) != ((rows[i].sets >> set & 1) != 0))
                fail_msg("%s is wrong for set %u", rows[i].rule, set);
        }
        plan_free(plan);
    }
}

static void the_first_choice_that_holds_wins_and_the_default_comes_last(void **state)
{
    (void)state;
    static const char text[] =
        "{'StartAt':'A','States':{'A':{'Type':'Choice','Default':'D','Choices':["
        "{'And':[" HAS("a") "," HAS(
            "b") "],'Next':'AB'},{'Next':'B','Variable':'$.b','IsPresent':"
                 "true},{'Next':'C','Variable':'$.c','IsPresent':true}]},'AB':{'Type':'Succeed'},"
                 "'B':{'Type':'Succeed'},'C':{'Type':'Succeed'},'D':{'Type':'Succeed'}}}";
    static const char *const wanted[] = {"D", "D", "B", "AB", "C", "C", "B", "AB"};
    struct plan *plan = plan_text_compile(text);
    for (uint32_t set = 0; set < 8; set++) {
        uint8_t out[16];
        uint16_t next = plan_choose(plan, &plan->states[0], make_set(set, out));
        assert_string_equal(plan->states[next].name, wanted[set]);
    }
    plan_free(plan);
}

static void a_choice_without_a_default_may_choose_nothing(void **state)
{
    (void)state;
    struct plan *plan = compile_rule("IsPresent", "true");
    uint8_t out[16];
    assert_int_equal(plan_choose(plan, &plan->states[0], make_set(7, out)), PLAN_NO_STATE);
    plan_free(plan);
}

static void the_second_choice_state_of_a_plan_has_its_own_rules(void **state)
{
    (void)state;
    struct plan *plan =
        plan_text_compile(STATES("'A':{'Type':'Choice','Default':'X','Choices':[{'Not':" HAS(
            "a") ",'Next':'Y'}]},"
                 "'X':{'Type':'Choice','Default':'Y','Choices':[{'Or':[" HAS("b") "," HAS(
                     "c") "],'Next':'Z'}]},'Y':{'Type':'Succeed'},'Z':{'Type':'Succeed'}"));
    uint8_t out[16];
    assert_int_equal(plan_choose(plan, &plan->states[0], make_set(1, out)), 1);
    assert_int_equal(plan_choose(plan, &plan->states[1], make_set(1, out)), 2);
    assert_int_equal(plan_choose(plan, &plan->states[1], make_set(5, out)), 3);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_of_two_paths_hold_for_the_right_pairs_of_values),
        cmocka_unit_test(comparisons_with_constants_hold_for_the_right_values),
        cmocka_unit_test(types_are_told_apart_and_what_is_absent_has_none),
        cmocka_unit_test(and_or_not_follow_their_truth_tables),
        cmocka_unit_test(the_first_choice_that_holds_wins_and_the_default_comes_last),
        cmocka_unit_test(a_choice_without_a_default_may_choose_nothing),
        cmocka_unit_test(the_second_choice_state_of_a_plan_has_its_own_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
