#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What a data directory keeps of its limits, and what may be said anew. */

static const char simple[] = "{\"StartAt\":\"B\",\"States\":{\"B\":{\"Type\":\"Task\",\"Resource\":"
                             "\"service:test.b\",\"ResultPath\":\"$.b\",\"End\":true}}}";

static void open_with_names(struct rig *rig, uint32_t names_max, uint64_t retention_ms,
                            const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.limits.names_max = names_max;
    options.limits.name_retention_ms = retention_ms;
    rig_open(rig, &options, definition);
}

static struct core_limits limits_of(const struct rig *rig)
{
    return core_limits(partition_state(rig->partition)->core);
}

static enum status start_named(struct rig *rig, const char *name, struct problem *problem)
{
    uint64_t saga_id;
    struct partition_start_options options = {
        .plan = rig->plan, .input = rig_input("x", "y"), .name = rig_text(name)};
    return partition_start_with(rig->partition, &options, &saga_id, problem);
}

static void the_retention_of_names_may_be_said_anew_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    open_with_names(rig, 2, 1000, simple);
    struct core_limits first = limits_of(rig);
    assert_int_equal(first.names_max, 2);
    assert_true(first.seed != 0);
    rig_stop(rig, NULL);

    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.limits = (struct core_limits){.sagas_max = 9,
                                          .payload_bytes_max = 99u << 20,
                                          .seed = 5,
                                          .names_max = 50,
                                          .name_retention_ms = 5000};
    rig_open(rig, &options, NULL);
    assert_int_equal(rig_records(rig), 1);
    struct core_limits second = limits_of(rig);
    assert_int_equal(second.name_retention_ms, 5000);
    assert_int_equal(second.sagas_max, first.sagas_max);
    assert_int_equal(second.payload_bytes_max, first.payload_bytes_max);
    assert_int_equal(second.seed, first.seed);
    assert_int_equal(second.names_max, first.names_max);
    rig_stop(rig, NULL);

    /* Said again, or not said, it writes nothing. */
    static const uint64_t unsaid[] = {5000, 0};
    for (int i = 0; i < 2; i++) {
        open_with_names(rig, 0, unsaid[i], NULL);
        assert_int_equal(rig_records(rig), 0);
        assert_int_equal(limits_of(rig).name_retention_ms, 5000);
        rig_assert_replay_agrees(rig);
    }
}

static void names_go_by_the_retention_that_was_said_last(void **state)
{
    struct rig *rig = *state;
    struct problem problem = {0};
    open_with_names(rig, 2, 1000, simple);
    assert_int_equal(start_named(rig, "one", &problem), STATUS_OK);
    assert_int_equal(start_named(rig, "two", &problem), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(start_named(rig, "three", &problem), STATUS_BUSY);
    assert_string_equal(problem.text,
                        "2 names are kept, as many as there is room for: wait until the oldest "
                        "expire, or begin a data directory with a larger --names-max");
    rig_crash(rig);
    open_with_names(rig, 0, 60000, NULL);
    rig_settle(rig);
    rig_now_ms += 59000;
    assert_int_equal(start_named(rig, "one", &problem), STATUS_EXISTS);
    assert_int_equal(start_named(rig, "three", &problem), STATUS_BUSY);
    rig_now_ms += 2000;
    assert_int_equal(start_named(rig, "three", &problem), STATUS_OK);
    assert_int_equal(start_named(rig, "one", &problem), STATUS_OK);
    rig_settle(rig);
    assert_int_equal(rig_totals(rig).succeeded, 4);
    rig_assert_replay_agrees(rig);
}

static void a_retention_said_anew_is_kept_in_a_checkpoint(void **state)
{
    struct rig *rig = *state;
    open_with_names(rig, 2, 1000, simple);
    rig_stop(rig, NULL);
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.checkpoint_bytes = 200;
    options.limits.name_retention_ms = 7000;
    rig_open(rig, &options, NULL);
    while (partition_counts(rig->partition).checkpoints < 2) {
        rig_start(rig, 0, "x", "y");
        rig_settle(rig);
    }
    rig_stop(rig, NULL);
    open_with_names(rig, 0, 0, NULL);
    assert_true(partition_recovered_from(rig->partition) > 0);
    assert_int_equal(limits_of(rig).name_retention_ms, 7000);
    assert_int_equal(limits_of(rig).names_max, 2);
    rig_assert_replay_agrees(rig);
}

/* ---- the first format ---------------------------------------------------------------------------
 */

/* A journal as programs wrote it that knew of no names: its one block, and nothing beside it. */
static void write_first_format(const struct rig *rig)
{
    static uint8_t block[8192];
    struct event limits = {.kind = EVENT_LIMITS,
                           .limits = {.sagas_max = 64, .payload_bytes_max = 16u << 20}};
    struct event service = {.kind = EVENT_SERVICE};
    service.service.name = rig_text("test");
    service.service.tables_count = scripted_service.tables_count;
    for (uint32_t i = 0; i < scripted_service.tables_count; i++) {
        const struct flyover_table *table = &scripted_service.tables[i];
        service.service.tables[i] = (struct event_table){table->kind, table->when_full,
                                                         table->entries_max, rig_text(table->name)};
    }
    struct event made = {.kind = EVENT_DEFINITION,
                         .definition = {.name = rig_text("test"), .text = rig_text(simple)}};
    struct event start = {
        .kind = EVENT_START,
        .start = {.plan = 0, .source = EVENT_NO_SOURCE, .input = rig_input("x", "y")}};
    const struct event *events[] = {&limits, &service, &made, &start};
    uint8_t *at = block + BLOCK_HEADER_BYTES;
    for (size_t i = 0; i < 4; i++)
        at = event_encode(events[i], at);
    struct block_header header = {.block_no = 1,
                                  .now_ms = rig_now_ms,
                                  .body_bytes = (uint32_t)(at - block) - BLOCK_HEADER_BYTES,
                                  .record_count = 4,
                                  .epoch = 1};
    block_seal(block, &header);
    struct problem problem = {0};
    struct journal *journal;
    struct journal_options options = {
        .directory = rig->directory, .durability = DURABILITY_ASYNC, .create = true};
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    struct journal_slice slice = {block, (size_t)(at - block), 1};
    assert_int_equal(journal_append(journal, &slice, 1, &problem), STATUS_OK);
    journal_close(journal);
}

static void a_journal_that_knows_of_no_names_goes_on_without_them(void **state)
{
    struct rig *rig = *state;
    struct problem problem = {0};
    write_first_format(rig);
    for (int i = 0; i < 3; i++) {
        /* A retention says nothing where no name is kept. */
        open_with_names(rig, 50, 1000 * (uint64_t)i, NULL);
        rig->plan = 0;
        assert_int_equal(limits_of(rig).names_max, 0);
        assert_int_equal(limits_of(rig).seed, 0);
        assert_int_equal(limits_of(rig).name_retention_ms, 0);
        rig_settle(rig);
        assert_int_equal(rig_totals(rig).succeeded, 1 + i);
        uint64_t records = rig_records(rig);
        assert_int_equal(records, i == 0 ? 1 : 0);
        assert_int_equal(start_named(rig, "one", &problem), STATUS_INVALID);
        assert_string_equal(problem.text, "this data directory keeps no names: begin one with "
                                          "--names-max");
        rig_start(rig, 0, "x", "y");
        rig_settle(rig);
        assert_int_equal(rig_totals(rig).succeeded, 2 + i);
        rig_assert_replay_agrees(rig);
    }
    assert_string_equal(scripted_trace, "bbbb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(the_retention_of_names_may_be_said_anew_and_nothing_else),
        RIG_TEST(names_go_by_the_retention_that_was_said_last),
        RIG_TEST(a_retention_said_anew_is_kept_in_a_checkpoint),
        RIG_TEST(a_journal_that_knows_of_no_names_goes_on_without_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
