/*
 * The real program on a machine that fails: the power goes between any two calls and takes what was
 * not synced, whole or in part; writes, syncs and opens fail; the last block is cut and flipped at
 * every byte. What was acknowledged is there afterwards, once and as it was said, or the start is
 * refused with the reason, and the run ends as one that nobody disturbed.
 *
 * FLYOVER_FAULT_SEEDS=N runs N times as many seeds, FLYOVER_FAULT_SEED=S begins at S: a failure
 * prints seed and places. (Which call is the n-th hangs on threads, so that it may need a few
 * tries.) FLYOVER_FAULT_PLANT=NAME gives the engine a bug of engine/base/plant.h: the tests of the
 * engine must then fail. An argument is a pattern: only the tests that match are run.
 */
#include "tests/cli/cli.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/cli/fault_rig.h"
#include "tests/damage.h"

#define CRASHES_COUNT    3u
#define RUNS_MAX         40u
#define CHECKPOINT_BYTES "40000" /* three in a run */
#define CHECKPOINT_MIB   "1"
#define TRIM_BYTES       "15000" /* eight; two files of the journal are dropped */

static uint64_t seeds_factor = 1;
static uint64_t seed_first = 1;

/* Which calls a crash counts: any, then the rarer ones by themselves. */
static const char *const call_groups[] = {
    NULL, "sync", "write", "rename,syncdir", "open,mkdir,resize", "write,sync", "remove,rename"};
#define GROUPS_COUNT (sizeof call_groups / sizeof call_groups[0])

static uint64_t counts[3][GROUPS_COUNT]; /* by subject: calls of a run from an empty disk */

static struct fault_work engine = {.subject = FAULT_ENGINE, .checkpoint = CHECKPOINT_BYTES};
static struct fault_work trimming = {
    .subject = FAULT_ENGINE, .checkpoint = TRIM_BYTES, .trims = true};
static const struct fault_work program = {.subject = FAULT_PROGRAM};

static uint64_t count_of(const struct fault_work *work, uint64_t group)
{
    uint64_t *count = &counts[work->trims ? 2 : work->subject][group];
    if (*count == 0)
        *count = fault_count(work, call_groups[group], NULL);
    return *count;
}

static uint64_t seed_of(uint64_t salt, uint64_t seed)
{
    uint64_t random = salt * 0x9e3779b97f4a7c15 + seed * 0xd1342543de82ef95 + 1;
    for (int i = 0; i < 8; i++)
        cli_draw(&random);
    return random;
}

/* ---- the power goes ---------------------------------------------------------------------------
 */

static struct fault draw_crash(const struct fault_work *work, const char *act, uint64_t *random)
{
    uint64_t group = cli_draw(random) % GROUPS_COUNT;
    uint64_t count = count_of(work, group);
    /* A third in the first calls of a start, which later runs make too. */
    uint64_t at = cli_draw(random) % 3 == 0 ? cli_draw(random) % (count < 60 ? count : 60)
                                            : cli_draw(random) % count;
    return (struct fault){
        .act = act,
        .calls = call_groups[group],
        .at = at + 1,
        .after = cli_draw(random) % 2 == 0,
        .seed = cli_draw(random),
    };
}

/* Counts first: a count needs a disk of its own. */
static void count_all(const struct fault_work *work)
{
    for (uint64_t group = 0; group < GROUPS_COUNT; group++)
        count_of(work, group);
}

/* Some crashes, one upon the other, each judged; then to the end. Returns how many struck. */
static uint32_t crash_and_finish(const char *name, const struct fault_work *work, const char *act,
                                 uint64_t seed)
{
    uint32_t struck = 0;
    uint64_t random = seed_of(work->subject + 1, seed);
    fault_begin(name, seed);
    for (uint32_t i = 0; i < CRASHES_COUNT; i++) {
        struct fault fault = draw_crash(work, act, &random);
        struct cli_result result = fault_run(work, &fault, NULL);
        bool ended = !fault_has_struck(&result);
        assert_int_equal(fault_judge(work), FAULT_KEPT);
        if (ended)
            break;
        struck++;
    }
    fault_finish(work);
    fault_done();
    return struck;
}

static void crash_many(const char *name, const struct fault_work *work, const char *act,
                       uint64_t seeds_count)
{
    uint32_t struck = 0;
    count_all(work);
    seeds_count *= seeds_factor;
    for (uint64_t seed = seed_first; seed < seed_first + seeds_count; seed++)
        struck += crash_and_finish(name, work, act, seed);
    assert_true(struck >= seeds_count);
}

static void acknowledged_orders_outlive_the_power(void **state)
{
    (void)state;
    crash_many("engine loses power", &engine, "lose", 40);
}

static void acknowledged_orders_outlive_the_power_though_the_journal_is_trimmed(void **state)
{
    (void)state;
    crash_many("engine that trims loses power", &trimming, "lose", 30);
}

static void acknowledged_blocks_of_the_program_outlive_the_power(void **state)
{
    (void)state;
    crash_many("program loses power", &program, "lose", 30);
}

static void acknowledged_orders_outlive_the_process(void **state)
{
    (void)state;
    crash_many("engine dies", &engine, "die", 12);
}

/* In mode async a power loss may take what was acknowledged: then the start says so, and with the
 * loss accepted the orders are done again. */
static void without_syncs_a_loss_of_power_is_refused_or_harmless(void **state)
{
    (void)state;
    const struct fault_work work = {.subject = FAULT_PROGRAM, .durability = "async"};
    uint32_t refused = 0;
    count_all(&program);
    for (uint64_t seed = seed_first; seed < seed_first + 20 * seeds_factor; seed++) {
        uint64_t random = seed_of(9, seed);
        fault_begin("program loses power in mode async", seed);
        struct fault fault = draw_crash(&program, "lose", &random);
        struct cli_result result = fault_run(&work, &fault, NULL);
        fault_has_struck(&result);
        result = cli_run("ingest", "--data", fault_data(), "--durability", "async", "--json",
                         fault_orders(), (char *)NULL);
        if (result.exit_code != CLI_DONE) {
            refused++;
            cli_expect_says(&result, CLI_DATA, "--accept-loss", (char *)NULL);
            cli_expect_done(cli_run("ingest", "--data", fault_data(), "--json", "--accept-loss",
                                    fault_orders(), (char *)NULL));
        }
        cli_free(&result);
        fault_done();
    }
    print_message("%u refused\n", refused);
}

/* ---- calls fail -------------------------------------------------------------------------------
 */

static void expect_reason(const struct cli_result *result)
{
    bool said = (result->exit_code == CLI_FAILED || result->exit_code == CLI_DATA) &&
                (strstr(result->err, "flyover ingest: ") != NULL ||
                 strstr(result->err, "fault_run: ") != NULL);
    if (!said)
        print_error("exit code %d, signal %d, and it said: %s\n", result->exit_code, result->signal,
                    result->err);
    assert_true(said);
}

static void fail_calls(const char *name, const struct fault_work *work, uint64_t seeds_count)
{
    static const char *const groups[] = {"write", "sync", "open", "syncdir", "rename", "resize"};
    uint32_t ended_early = 0;
    uint64_t group_counts[6];
    seeds_count *= seeds_factor;
    for (uint64_t group = 0; group < 6; group++)
        group_counts[group] = fault_count(work, groups[group], NULL);
    for (uint64_t seed = seed_first; seed < seed_first + seeds_count; seed++) {
        uint64_t random = seed_of(work->subject + 5, seed);
        uint64_t group = seed % 6;
        struct fault fault = {
            .act = cli_draw(&random) % 2 == 0 ? "eio" : "enospc",
            .calls = groups[group],
            .at = 1 + cli_draw(&random) % group_counts[group],
            .repeat = cli_draw(&random) % 2 == 0,
            .at_exit = cli_draw(&random) % 2 == 0,
            .seed = cli_draw(&random),
        };
        fault_begin(name, seed);
        struct cli_result result = fault_run(work, &fault, NULL);
        if (result.exit_code != CLI_DONE) {
            expect_reason(&result);
            ended_early++;
        }
        cli_free(&result);
        assert_int_equal(fault_judge(work), FAULT_KEPT);
        fault_finish(work);
        fault_done();
    }
    assert_true(ended_early > seeds_count / 4);
}

static void acknowledged_orders_outlive_failing_calls(void **state)
{
    (void)state;
    fail_calls("calls of the engine fail", &engine, 60);
}

static void acknowledged_orders_outlive_failing_calls_though_the_journal_is_trimmed(void **state)
{
    (void)state;
    fail_calls("calls of the engine that trims fail", &trimming, 30);
}

static void the_program_says_which_call_failed_and_goes_on_when_it_no_longer_does(void **state)
{
    (void)state;
    fail_calls("calls of the program fail", &program, 42);
}

/* ---- the steps of a checkpoint ----------------------------------------------------------------
 */

struct place {
    const char *calls, *name;
};

static bool has_struck_at(const char *name, const struct fault_work *work,
                          const struct place *place, uint64_t at, bool after)
{
    fault_begin(name, at);
    struct fault fault = {.act = "lose",
                          .calls = place->calls,
                          .name = place->name,
                          .at = at,
                          .after = after,
                          .seed = seed_of(6 + seed_first, at * 2 + after)};
    struct cli_result result = fault_run(work, &fault, NULL);
    bool struck = fault_has_struck(&result);
    assert_int_equal(fault_judge(work), FAULT_KEPT);
    fault_finish(work);
    fault_done();
    return struck;
}

/* Before the call, and after it. How many such calls a run makes hangs on RocksDB's threads: where
 * this run ended without the at-th, an earlier one is it; the first may need a few runs to come. */
static void crash_at(const char *name, const struct fault_work *work, const struct place *place,
                     uint64_t at)
{
    for (int after = 0; after < 2; after++) {
        uint64_t call = at;
        uint32_t runs_count = 0;
        while (!has_struck_at(name, work, place, call, after == 1)) {
            assert_true(++runs_count < RUNS_MAX);
            call = (call + 1) / 2;
        }
    }
}

static void crash_at_each_step(const char *name, const struct fault_work *work, uint64_t at_max)
{
    static const char *const steps[] = {"open", "write", "sync", "rename", "syncdir", "remove"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (at_max == 1 && i == 5)
            continue;
        struct place place = {steps[i], "/checkpoint"};
        uint64_t count = fault_count(work, place.calls, place.name);
        assert_true(count > 0);
        for (uint64_t at = 1; at <= count && at <= at_max; at++)
            crash_at(name, work, &place, at);
    }
}

static void each_step_of_a_checkpoint_may_be_the_last(void **state)
{
    (void)state;
    crash_at_each_step("engine loses power in a checkpoint", &engine, 4);
}

static void each_step_of_a_checkpoint_of_the_program_may_be_the_last(void **state)
{
    (void)state;
    const struct fault_work work = {
        .subject = FAULT_PROGRAM, .checkpoint = CHECKPOINT_MIB, .many = true};
    crash_at_each_step("program loses power in a checkpoint", &work, 1);
}

static void expect_trimmed(void)
{
    fault_begin("a run that trims", 0);
    json_t *report = cli_expect_json(fault_run(&trimming, &(struct fault){0}, NULL));
    int64_t first_stored = cli_integer(report, "first_stored");
    assert_true(first_stored > 1);
    assert_true(first_stored <= cli_integer(report, "first_kept"));
    json_decref(report);
    fault_done();
}

/* What is given up is declared in DIR/first; then RocksDB takes the files out of its manifest, and
 * removes them. The last of those calls are the ones of the trimming. */
static void each_step_of_trimming_may_be_the_last(void **state)
{
    (void)state;
    static const struct place places[] = {
        {"write", "/data/first"},      {"sync", "/data/first"}, {"write", "/journal/MANIFEST"},
        {"sync", "/journal/MANIFEST"}, {"remove", ".sst"},      {"syncdir", "/checkpoint"}};
    expect_trimmed();
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint64_t count = fault_count(&trimming, places[i].calls, places[i].name);
        count = count > 0 ? count : 1;
        uint64_t tries = count < 4 ? count : 4;
        for (uint64_t try = 0; try < tries; try++)
            crash_at("engine loses power as it trims", &trimming, &places[i],
                     count - try * count / (2 * tries));
    }
}

static uint64_t newest_checkpoint(void)
{
    uint64_t newest_no = 0;
    DIR *entries = opendir(fault_data());
    const struct dirent *entry;
    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        uint64_t block_no = 0;
        if (sscanf(entry->d_name, "checkpoint-%" SCNu64, &block_no) == 1 && block_no > newest_no)
            newest_no = block_no;
    }
    closedir(entries);
    return newest_no;
}

/* Of a journal that is slow to sync, the block of a checkpoint is durable later than the checkpoint
 * is written; with `hold`, never. By the seed, what is not durable may stay all the same. */
static bool is_ahead_of_journal(const struct fault_work *work, uint64_t at, uint64_t seed,
                                bool hold)
{
    fault_begin("engine loses power when a checkpoint has its name", seed);
    struct fault fault = {.act = "lose",
                          .calls = "syncdir",
                          .name = "/checkpoint",
                          .at = at,
                          .after = true,
                          .slow = ".log:40",
                          .hold = hold,
                          .seed = seed_of(17, seed)};
    struct cli_result result = fault_run(work, &fault, NULL);
    assert_true(fault_has_struck(&result));
    uint64_t checkpoint_no = newest_checkpoint();
    assert_true(checkpoint_no > 0);
    json_t *report = cli_expect_json(
        cli_run("journal", "verify", "--data", fault_data(), "--json", (char *)NULL));
    uint64_t last_no = (uint64_t)cli_integer(report, "last_block");
    json_decref(report);
    return checkpoint_no > last_no;
}

static void a_checkpoint_is_never_ahead_of_the_journal(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= 2; at++) {
        assert_false(is_ahead_of_journal(&engine, at, at, false));
        fault_finish(&engine);
        fault_done();
    }
}

/* ---- the last block is cut and flipped --------------------------------------------------------
 */

/* The write-ahead log of RocksDB: blocks of 32 KiB; in them records of a crc, a length of two bytes
 * and a kind (1: whole, 2: first part, 3: more, 4: last part), then the payload. */
enum { LOG_BLOCK_BYTES = 32768, LOG_HEADER_BYTES = 7, KIND_WHOLE = 1, KIND_FIRST = 2 };

/* Payload of a record: 12 bytes of the batch, 3 and the key of 12 and 3 of the entry, then the
 * block, with a header of 64. */
#define TAIL_HEADER_BYTES (LOG_HEADER_BYTES + 12 + 18 + 64)
#define TAIL_PLACES_COUNT 200u

struct tail {
    char sound[PATH_MAX];
    char log[PATH_MAX]; /* in the data directory */
    size_t begin, end;  /* of the last record */
    uint64_t last_no;
};

static void find_tail(struct tail *tail)
{
    size_t bytes = damage_file_bytes(tail->log);
    const uint8_t *text = (const uint8_t *)cli_read(tail->log);
    size_t at = 0;
    while (at + LOG_HEADER_BYTES <= bytes) {
        size_t room = LOG_BLOCK_BYTES - at % LOG_BLOCK_BYTES;
        if (room < LOG_HEADER_BYTES) {
            at += room;
            continue;
        }
        uint8_t kind = text[at + 6];
        size_t payload_bytes = text[at + 4] + 256u * text[at + 5];
        if (kind == KIND_WHOLE || kind == KIND_FIRST)
            tail->begin = at;
        at += LOG_HEADER_BYTES + payload_bytes;
    }
    tail->end = at;
    assert_int_equal(at, bytes);
    assert_true(tail->end - tail->begin > TAIL_HEADER_BYTES);
    free((void *)(uintptr_t)text);
}

static void set_up_tail(struct tail *tail)
{
    char journal[PATH_MAX];
    fault_begin("making a journal", 0);
    cli_expect_done(fault_run(&program, &(struct fault){0}, NULL));
    cli_path(tail->sound, fault_scratch(), "sound");
    cli_path(journal, fault_data(), "journal");
    damage_copy_directory(fault_data(), tail->sound);
    tail->last_no = cli_watermark(fault_data());
    assert_true(cli_find_largest(journal, ".log", tail->log));
    find_tail(tail);
    fault_done();
}

/* Each place of the headers, then places drawn from the rest. */
static size_t place_of(const struct tail *tail, uint64_t index, uint64_t *random)
{
    if (index < TAIL_HEADER_BYTES)
        return tail->begin + index;
    size_t rest = tail->end - tail->begin - TAIL_HEADER_BYTES;
    return tail->begin + TAIL_HEADER_BYTES + cli_draw(random) % rest;
}

/* An acknowledged block cannot be done without. */
static void expect_refused(void)
{
    struct cli_result results[] = {
        cli_run("journal", "verify", "--data", fault_data(), (char *)NULL),
        fault_run(&program, &(struct fault){0}, NULL),
    };
    for (int i = 0; i < 2; i++) {
        cli_expect_says(&results[i], CLI_DATA, "--accept-loss", (char *)NULL);
        cli_free(&results[i]);
    }
}

static void expect_recovered(uint64_t acknowledged_no)
{
    json_t *report = cli_expect_json(
        cli_run("journal", "verify", "--data", fault_data(), "--json", (char *)NULL));
    assert_true((uint64_t)cli_integer(report, "last_block") >= acknowledged_no);
    json_decref(report);
    report = cli_expect_json(fault_run(&program, &(struct fault){0}, NULL));
    assert_int_equal(cli_integer(report, "sagas/started"), FAULT_ORDERS_COUNT);
    assert_int_equal(cli_integer(report, "sagas/failed"), 0);
    assert_true(cli_truth(report, "audit/balanced"));
    json_decref(report);
}

static void damage_tail(const char *name, void (*damage)(const struct tail *tail, size_t place))
{
    struct tail tail;
    set_up_tail(&tail);
    uint64_t random = seed_of(11, seed_first);
    for (uint64_t i = 0; i < TAIL_PLACES_COUNT * seeds_factor; i++) {
        size_t place = place_of(&tail, i, &random);
        uint64_t acknowledged_no = tail.last_no - i % 2;
        fault_begin(name, place - tail.begin);
        damage_copy_directory(tail.sound, fault_data());
        cli_set_watermark(fault_data(), acknowledged_no);
        damage(&tail, place);
        if (acknowledged_no == tail.last_no)
            expect_refused();
        else
            expect_recovered(acknowledged_no);
        fault_done();
    }
    cli_remove(tail.sound);
}

static void cut(const struct tail *tail, size_t place)
{
    assert_int_equal(truncate(tail->log, (off_t)place), 0);
}

static void flip(const struct tail *tail, size_t place)
{
    damage_flip(tail->log, place, (uint8_t)(1u << place % 8));
}

static void a_last_block_cut_anywhere_is_refused_if_it_was_acknowledged(void **state)
{
    (void)state;
    damage_tail("the last block is cut", cut);
}

static void a_last_block_flipped_anywhere_is_refused_if_it_was_acknowledged(void **state)
{
    (void)state;
    damage_tail("the last block is flipped", flip);
}

/* ---- what must be found -----------------------------------------------------------------------
 */

/* A disk that says it has synced and has not: nobody can do anything about that, and it shows that
 * what is lost here is found. */
static void a_disk_that_lies_is_found_out(void **state)
{
    (void)state;
    uint32_t found = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        fault_begin("the disk lies", seed);
        struct fault fault = {.lie = true, .at_exit = true, .seed = seed_of(13, seed)};
        cli_expect_done(fault_run(&engine, &fault, NULL));
        found += fault_judge(&engine) != FAULT_KEPT;
        fault_done();
    }
    assert_true(found >= 4);
}

static void expect_found(const char *plant, const struct fault *like)
{
    const struct fault_work work = {.subject = FAULT_ENGINE, .plant = plant};
    bool found = false;
    for (uint64_t seed = 1; !found && seed <= 40; seed++) {
        struct fault fault = *like;
        fault_begin(plant, seed);
        fault.seed = seed_of(15, seed);
        fault.at = 20 + seed;
        struct cli_result result = fault_run(&work, &fault, NULL);
        cli_free(&result);
        found = fault_judge(&work) != FAULT_KEPT;
        fault_done();
    }
    if (!found)
        print_error("the planted bug %s was not found\n", plant);
    assert_true(found);
}

static void what_is_acknowledged_too_early_is_found(void **state)
{
    (void)state;
    expect_found("early-effects", &(struct fault){.act = "lose", .calls = "sync"});
}

static void a_failed_sync_that_is_ignored_is_found(void **state)
{
    (void)state;
    expect_found("ignored-failure",
                 &(struct fault){.act = "eio", .calls = "sync", .repeat = true, .at_exit = true});
}

/* Of two checkpoints the newest cannot be read: what the older one needs must be there. */
static bool is_trimmed_too_far(const struct fault_work *work)
{
    fault_begin("the newest checkpoint is damaged", 0);
    cli_expect_done(fault_run(work, &(struct fault){0}, NULL));
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "checkpoint-%" PRIu64, newest_checkpoint());
    cli_path(path, fault_data(), name);
    damage_flip(path, 100, 1);
    struct cli_result result = fault_run(work, &(struct fault){0}, NULL);
    bool refused = result.exit_code == CLI_DATA;
    if (!refused)
        cli_expect(&result, CLI_DONE);
    cli_free(&result);
    fault_done();
    return refused;
}

static void a_journal_that_is_trimmed_too_far_is_found(void **state)
{
    (void)state;
    struct fault_work planted = trimming;
    assert_false(is_trimmed_too_far(&trimming));
    planted.plant = "greedy-trim";
    /* How much is gone by then depends on when the checkpoints came: not every run loses what the
     * older one needs. */
    bool found = false;
    for (uint32_t i = 0; !found && i < 20; i++)
        found = is_trimmed_too_far(&planted);
    assert_true(found);
}

static void a_checkpoint_that_counts_too_early_is_found(void **state)
{
    (void)state;
    const struct fault_work work = {
        .subject = FAULT_ENGINE, .checkpoint = CHECKPOINT_BYTES, .plant = "early-checkpoint"};
    bool found = false;
    for (uint64_t seed = 1; !found && seed <= 20; seed++)
        found = is_ahead_of_journal(&work, 1, seed, true);
    fault_done();
    assert_true(found);
}

#define TEST(name) cmocka_unit_test_teardown(name, fault_tear_down)

int main(int argc, char **argv)
{
    const char *seeds = getenv("FLYOVER_FAULT_SEEDS");
    const char *first = getenv("FLYOVER_FAULT_SEED");
    if (seeds != NULL)
        seeds_factor = strtoull(seeds, NULL, 10);
    if (first != NULL)
        seed_first = strtoull(first, NULL, 10);
    engine.plant = getenv("FLYOVER_FAULT_PLANT");
    trimming.plant = engine.plant;
    const struct CMUnitTest tests[] = {
        TEST(acknowledged_orders_outlive_the_power),
        TEST(acknowledged_orders_outlive_the_power_though_the_journal_is_trimmed),
        TEST(acknowledged_blocks_of_the_program_outlive_the_power),
        TEST(acknowledged_orders_outlive_the_process),
        TEST(without_syncs_a_loss_of_power_is_refused_or_harmless),
        TEST(acknowledged_orders_outlive_failing_calls),
        TEST(acknowledged_orders_outlive_failing_calls_though_the_journal_is_trimmed),
        TEST(the_program_says_which_call_failed_and_goes_on_when_it_no_longer_does),
        TEST(each_step_of_a_checkpoint_may_be_the_last),
        TEST(each_step_of_a_checkpoint_of_the_program_may_be_the_last),
        TEST(each_step_of_trimming_may_be_the_last),
        TEST(a_checkpoint_is_never_ahead_of_the_journal),
        TEST(a_last_block_cut_anywhere_is_refused_if_it_was_acknowledged),
        TEST(a_last_block_flipped_anywhere_is_refused_if_it_was_acknowledged),
        TEST(a_disk_that_lies_is_found_out),
        TEST(what_is_acknowledged_too_early_is_found),
        TEST(a_failed_sync_that_is_ignored_is_found),
        TEST(a_checkpoint_that_counts_too_early_is_found),
        TEST(a_journal_that_is_trimmed_too_far_is_found),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, fault_set_up_all, fault_tear_down_all);
}
