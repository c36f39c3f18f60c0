#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/partition/rig.h"
#include "tests/partition/scripted.h"

/* What comes from outside while something is full: it hears BUSY, unless it needs no room. */

static const char three[] =
    "{\"StartAt\":\"A\",\"States\":{"
    "\"A\":{\"Type\":\"Task\",\"Resource\":\"service:test.a.waitForTaskToken\","
    "\"HeartbeatSeconds\":10,\"TimeoutSeconds\":60,\"Compensate\":{\"Resource\":"
    "\"service:test.undo_a\"},\"Retry\":[{\"ErrorEquals\":[\"Test.Busy\"],\"MaxAttempts\":1,"
    "\"IntervalSeconds\":1}],\"ResultPath\":\"$.ra\",\"Next\":\"S\"},"
    "\"S\":{\"Type\":\"Task\",\"Resource\":\"signal:paid\",\"ResultPath\":\"$.paid\",\"Next\":"
    "\"B\"},\"B\":{\"Type\":\"Task\",\"Resource\":\"service:test.b\",\"ResultPath\":\"$.rb\","
    "\"End\":true}}}";
static const char looping[] =
    "{\"StartAt\":\"S\",\"States\":{\"S\":{\"Type\":\"Task\",\"Resource\":\"signal:paid\","
    "\"TimeoutSeconds\":9000,\"ResultPath\":null,\"Next\":\"C\"},"
    "\"C\":{\"Type\":\"Choice\",\"Choices\":[{\"Variable\":\"$.stop\",\"IsPresent\":true,"
    "\"Next\":\"E\"}],\"Default\":\"S\"},\"E\":{\"Type\":\"Succeed\"}}}";

static const struct flyover_bytes nothing;
static struct problem problem;

static void open_engine(struct rig *rig, const char *definition)
{
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.now_ns = rig_read_ns;
    options.checkpoint_bytes = 0;
    rig_open(rig, &options, definition);
}

#define ACCEPTED(call)                                                                             \
    do {                                                                                           \
        problem = (struct problem){0};                                                             \
        if ((call) != STATUS_OK)                                                                   \
            fail_msg("%s", problem.text);                                                          \
    } while (0)

static enum status start_named(struct rig *rig, const char *name, const char *value,
                               uint64_t *ret_saga_id)
{
    struct partition_start_options options = {
        .plan = rig->plan, .input = rig_input("x", value), .name = rig_text(name), .token = 7};
    return partition_start_with(rig->partition, &options, ret_saga_id, &problem);
}

/* A saga that waits for the answer by scripted_token. */
static void start_awaiting(struct rig *rig)
{
    rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    assert_string_not_equal(scripted_token, "");
}

/* Heartbeats until the journal has no buffer left. */
static void fill_journal(struct rig *rig)
{
    static uint8_t large[200000] = {0x81, 0xa1, 'x', 0xdb, 0x00, 0x03, 0x0d, 0x38};
    memset(large + 8, 'y', sizeof large - 8);
    struct flyover_bytes input = {large, sizeof large};
    rig_held[PARTITION_JOURNAL] = true;
    for (int i = 0; i < 400; i++)
        if (partition_start(rig->partition, rig->plan, EVENT_NO_SOURCE, input, 1) == STATUS_BUSY)
            break;
    enum status status = STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < 20000000; i++)
        status = partition_heartbeat(rig->partition, scripted_token, &problem);
    assert_int_equal(status, STATUS_BUSY);
}

static void with_no_room_in_the_journal_everything_is_busy_and_then_goes(void **state)
{
    struct rig *rig = *state;
    struct partition_options options = rig_options(rig, DURABILITY_ASYNC);
    options.limits = (struct core_limits){.sagas_max = 512, .payload_bytes_max = 256u << 20};
    rig_open(rig, &options, three);
    start_awaiting(rig);
    uint64_t named = 0;
    ACCEPTED(start_named(rig, "order 0", "y", &named));
    rig_settle(rig);
    fill_journal(rig);
    struct partition *partition = rig->partition;
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    static const char busy[] = "the journal has no room now, try again";
    uint64_t pending_no = partition_pending_no(partition), saga_id = 0;
    struct event event = {.kind = EVENT_REDRIVE};
    event.redrive.plan = rig->plan;
    event.redrive.payload = nil;
#define BUSY(call)                                                                                 \
    do {                                                                                           \
        problem = (struct problem){0};                                                             \
        assert_int_equal(call, STATUS_BUSY);                                                       \
        assert_string_equal(problem.text, busy);                                                   \
        assert_int_equal(partition_pending_no(partition), pending_no);                             \
    } while (0)
    BUSY(partition_cancel(partition, 1, false, nothing, &problem));
    BUSY(partition_signal(partition, 1, rig_text("paid"), nil, &problem));
    BUSY(partition_answer(partition, scripted_token, nil, &problem));
    BUSY(partition_answer_error(partition, scripted_token, rig_text("E"), nothing, &problem));
    BUSY(partition_heartbeat(partition, scripted_token, &problem));
    BUSY(start_named(rig, "order 1", "y", &saga_id));
    assert_int_equal(start_named(rig, "order 0", "y", &saga_id), STATUS_EXISTS);
    assert_int_equal(saga_id, named);
    BUSY(partition_redrive(partition, &event, 1, &saga_id, &problem));
    rig_held[PARTITION_JOURNAL] = false;
    rig_held[PARTITION_WORKER] = true;
    for (int i = 0; i < 10; i++)
        rig_turn(rig);
    ACCEPTED(partition_answer(partition, scripted_token, nil, &problem));
    ACCEPTED(partition_signal(partition, 1, rig_text("paid"), nil, &problem));
}

static void a_start_sent_twice_hears_so_also_when_all_slots_are_taken(void **state)
{
    struct rig *rig = *state;
    uint64_t saga_id = 0, unknown = 0;
    open_engine(rig, looping);
    ACCEPTED(start_named(rig, "order 1", "y", &saga_id));
    while (rig_try_start(rig, rig->plan, "x", "y") == STATUS_OK)
        rig_turn(rig);
    rig_settle(rig);
    const struct core *core = partition_state(rig->partition)->core;
    assert_int_equal(core_sagas_live(core), core_limits(core).sagas_max);
    uint64_t known = 0;
    assert_int_equal(start_named(rig, "order 1", "y", &known), STATUS_EXISTS);
    assert_int_equal(known, saga_id);
    assert_int_equal(start_named(rig, "order 1", "z", &known), STATUS_INVALID);
    assert_int_equal(start_named(rig, "order 2", "y", &unknown), STATUS_BUSY);
    assert_int_equal(unknown, 0);
    /* It is not kept in the place of another: its time is over in the block that would be next. */
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    ACCEPTED(partition_cancel(rig->partition, saga_id, false, nil, &problem));
    rig_settle(rig);
    rig_now_ms += (int64_t)core_limits(core).name_retention_ms;
    ACCEPTED(start_named(rig, "order 1", "y", &unknown));
    assert_int_not_equal(unknown, saga_id);
}

/* Each signal taken asks for a timer, which waits until its block is durable. */
static void with_no_room_for_effects_it_is_busy_and_then_goes(void **state)
{
    struct rig *rig = *state;
    open_engine(rig, looping);
    uint64_t saga_id = rig_start(rig, rig->plan, "x", "y");
    rig_settle(rig);
    rig_held[PARTITION_JOURNAL] = true;
    struct flyover_bytes nil = {(const uint8_t *)"\xc0", 1};
    enum status status = STATUS_OK;
    uint32_t taken = 0;
    while (taken < CORE_STEPS_MAX && status == STATUS_OK) {
        status = partition_signal(rig->partition, saga_id, rig_text("paid"), nil, &problem);
        taken += status == STATUS_OK;
    }
    assert_int_equal(status, STATUS_BUSY);
    assert_string_equal(problem.text, "the journal has no room now, try again");
    const struct effect_queue *effects = &partition_state(rig->partition)->effects;
    assert_false(core_can_take(effects));
    uint64_t saga_2 = 0;
    assert_int_equal(start_named(rig, "order 1", "y", &saga_2), STATUS_BUSY);
    rig_held[PARTITION_JOURNAL] = false;
    rig_settle(rig);
    ACCEPTED(partition_signal(rig->partition, saga_id, rig_text("paid"), nil, &problem));
    ACCEPTED(start_named(rig, "order 1", "y", &saga_2));
    assert_int_equal(rig_totals(rig).signals, taken + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(with_no_room_in_the_journal_everything_is_busy_and_then_goes),
        RIG_TEST(a_start_sent_twice_hears_so_also_when_all_slots_are_taken),
        RIG_TEST(with_no_room_for_effects_it_is_busy_and_then_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
