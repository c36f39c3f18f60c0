#include "tests/saga/core_rig.h"

#include <stdio.h>
#include <string.h>

/* Names of sagas: what is started twice under one name starts once. */

static const char one_step[] = STATES(TASK("A", "a", "'End':true"));

static struct flyover_bytes text_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* Asks, and starts whatever the answer was: STATUS_OK is the one that starts a saga. */
static enum status start_named(struct rig *rig, uint32_t plan, const char *name, const char *input,
                               uint64_t *ret_known)
{
    struct problem problem = {.text = ""};
    struct flyover_bytes payload = rig_value(input);
    enum status status =
        core_check_name(rig->core, text_of(name), payload, rig->now_ms, ret_known, &problem);
    struct event event = {
        .kind = EVENT_START,
        .start = {
            .plan = plan, .source = EVENT_NO_SOURCE, .name = text_of(name), .input = payload}};
    struct core_digest before = core_digest(rig->core);
    assert_int_equal(rig_apply(rig, &event), status == STATUS_OK ? STATUS_OK : STATUS_INVALID);
    assert_int_equal(rig_same(before, core_digest(rig->core)), status != STATUS_OK);
    assert_int_equal(problem.text[0] == '\0', status == STATUS_OK || status == STATUS_EXISTS);
    return status;
}

static enum status start(struct rig *rig, uint32_t plan, const char *name, const char *input)
{
    uint64_t known;
    return start_named(rig, plan, name, input, &known);
}

/* ---- names -----------------------------------------------------------------------------------
 */

static void a_start_that_is_sent_twice_starts_once(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, one_step);
    uint64_t known = 0;
    assert_int_equal(core_find_name(rig->core, text_of("order-1"), rig->now_ms), 0);
    assert_int_equal(start(rig, plan, "order-1", "{'n':1}"), STATUS_OK);
    struct effect a = rig_invoke(rig, "a");
    assert_int_equal(start(rig, plan, "order-2", "{'n':1}"), STATUS_OK);
    (void)rig_invoke(rig, "a");
    assert_int_equal(start_named(rig, plan, "order-1", "{'n':1}", &known), STATUS_EXISTS);
    assert_true(known == 1);
    assert_int_equal(start(rig, plan, "order-1", "{'n':2}"), STATUS_INVALID);
    rig_restart(rig);
    assert_int_equal(start_named(rig, plan, "order-1", "{'n':1}", &known), STATUS_EXISTS);
    rig_result(rig, a, NULL);
    assert_int_equal(start_named(rig, plan, "order-1", "{'n':1}", &known), STATUS_EXISTS);
    assert_true(known == 1);
    assert_int_equal(core_find_name(rig->core, text_of("order-2"), rig->now_ms), 2);
    /* The same input without a name is another saga. */
    rig_start(rig, plan, rig_value("{'n':1}"));
    assert_int_equal(rig->saga_id, 3);
}

static void a_name_is_kept_while_its_saga_runs_and_for_its_time(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, one_step);
    assert_int_equal(start(rig, plan, "short", "1"), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    assert_int_equal(start(rig, plan, "long", "1"), STATUS_OK);
    struct effect a = rig_invoke(rig, "a");
    rig->now_ms += RIG_NAME_RETENTION_MS - 1;
    assert_int_equal(start(rig, plan, "short", "1"), STATUS_EXISTS);
    rig->now_ms += 2;
    assert_int_equal(core_find_name(rig->core, text_of("short"), rig->now_ms), 0);
    assert_int_equal(start(rig, plan, "short", "2"), STATUS_OK);
    (void)rig_invoke(rig, "a");
    assert_int_equal(start(rig, plan, "long", "1"), STATUS_EXISTS);
    rig->now_ms += 10 * RIG_NAME_RETENTION_MS;
    assert_int_equal(start(rig, plan, "long", "1"), STATUS_EXISTS);
    rig_result(rig, a, NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    assert_int_equal(start(rig, plan, "long", "2"), STATUS_OK);
}

static void a_step_that_runs_on_beside_holds_the_name(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, STATES(TASK("A", "f", "'FireAndForget':true,'End':true")));
    assert_int_equal(start(rig, plan, "n", "1"), STATUS_OK);
    struct effect f = rig_invoke(rig, "f");
    rig_reply(rig, OUTCOME_SUCCEEDED);
    rig->now_ms += 2 * RIG_NAME_RETENTION_MS;
    assert_int_equal(start(rig, plan, "n", "1"), STATUS_EXISTS);
    rig_result(rig, f, NULL);
    assert_int_equal(start(rig, plan, "n", "1"), STATUS_OK);
}

static void a_start_finds_no_room_for_its_name_until_one_has_expired(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, one_step);
    char name[16];
    for (uint32_t i = 0; i < RIG_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(start(rig, plan, name, "1"), STATUS_OK);
        struct effect a = rig_invoke(rig, "a");
        if (i != 3)
            continue;
        rig_result(rig, a, NULL);
        rig_reply(rig, OUTCOME_SUCCEEDED);
    }
    assert_int_equal(start(rig, plan, "more", "1"), STATUS_BUSY);
    rig->now_ms += RIG_NAME_RETENTION_MS + 1;
    assert_int_equal(start(rig, plan, "n4", "1"), STATUS_EXISTS);
    assert_int_equal(start(rig, plan, "more", "1"), STATUS_OK);
    (void)rig_invoke(rig, "a");
    assert_int_equal(start(rig, plan, "yet more", "1"), STATUS_BUSY);
    assert_int_equal(start(rig, plan, "n3", "1"), STATUS_BUSY);
}

static void another_retention_holds_from_when_it_is_set(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, one_step);
    assert_int_equal(start(rig, plan, "n", "1"), STATUS_OK);
    rig_result(rig, rig_invoke(rig, "a"), NULL);
    rig_reply(rig, OUTCOME_SUCCEEDED);
    struct core_digest before = core_digest(rig->core);
    core_set_name_retention(rig->core, 1000);
    assert_false(rig_same(before, core_digest(rig->core)));
    rig->now_ms += 1001;
    rig_restart(rig);
    assert_int_equal(core_limits(rig->core).name_retention_ms, 1000);
    assert_int_equal(start(rig, plan, "n", "2"), STATUS_OK);
}

static void what_is_no_name_is_refused(void **state)
{
    struct rig *rig = *state;
    uint32_t plan = rig_add(rig, one_step);
    char large[NAMES_BYTES_MAX + 2];
    memset(large, 'n', sizeof large);
    large[NAMES_BYTES_MAX + 1] = '\0';
    assert_int_equal(start(rig, plan, large, "1"), STATUS_INVALID);
    assert_int_equal(start(rig, plan, "a\nb", "1"), STATUS_INVALID);
    assert_int_equal(start(rig, plan, "a\xff", "1"), STATUS_INVALID);
    large[NAMES_BYTES_MAX] = '\0';
    assert_int_equal(start(rig, plan, large, "1"), STATUS_OK);
}

static void a_core_without_names_takes_none(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 64, 16u << 20);
    core_close(rig.core);
    struct core_limits limits = {.sagas_max = 64, .payload_bytes_max = 16u << 20};
    assert_int_equal(core_open(&limits, &rig.core), STATUS_OK);
    uint32_t plan = rig_add(&rig, one_step);
    assert_int_equal(start(&rig, plan, "n", "1"), STATUS_INVALID);
    assert_int_equal(core_find_name(rig.core, text_of("n"), rig.now_ms), 0);
    rig_start(&rig, plan, rig_value("1"));
    rig_restart(&rig);
    assert_int_equal(start(&rig, plan, "n", "1"), STATUS_INVALID);
    rig_close(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_that_is_sent_twice_starts_once),
        TEST(a_name_is_kept_while_its_saga_runs_and_for_its_time),
        TEST(a_step_that_runs_on_beside_holds_the_name),
        TEST(a_start_finds_no_room_for_its_name_until_one_has_expired),
        TEST(another_retention_holds_from_when_it_is_set),
        TEST(what_is_no_name_is_refused),
        cmocka_unit_test(a_core_without_names_takes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
