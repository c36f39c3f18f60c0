/*
 * Data directories that are damaged, taken, of a newer version, not writable or full, as the person
 * at the command line meets them: never silently shorter, always a sentence that says what to do,
 * and a way on.
 */
#include "tests/cli/cli.h"
#include "tests/damage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <rocksdb/c.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ORDERS       "1200"
#define ORDERS_COUNT 1200
#define MANY_ORDERS  "12000"
#define IN_FLIGHT    "64"
#define POLL_NS      200000
#define POLLS_MAX    600000 /* two minutes */
#define CANNOT_MOUNT 77

static char scratch[PATH_MAX];
static char orders[PATH_MAX];
static char many_orders[PATH_MAX];
static char sound_log[PATH_MAX];   /* every block in the write-ahead log */
static char sound_table[PATH_MAX]; /* every block in a table */
static char data[PATH_MAX];
static char journal[PATH_MAX];
static json_t *sound; /* the report of both */

/* ---- runs ------------------------------------------------------------------------------------
 */

static struct cli_result ingest(void)
{
    return cli_run("ingest", "--data", data, "--in-flight", IN_FLIGHT, "--json", orders,
                   (char *)NULL);
}

static struct cli_result ingest_accepting(void)
{
    return cli_run("ingest", "--data", data, "--in-flight", IN_FLIGHT, "--json", "--accept-loss",
                   orders, (char *)NULL);
}

static struct cli_result verify(void)
{
    return cli_run("journal", "verify", "--data", data, "--json", (char *)NULL);
}

static struct cli_result replay(void)
{
    return cli_run("replay", "--data", data, "--json", (char *)NULL);
}

static void expect_totals(json_t *report)
{
    assert_true(json_equal(cli_member(report, "sagas"), cli_member(sound, "sagas")));
    assert_true(json_equal(cli_member(report, "audit"), cli_member(sound, "audit")));
    assert_true(cli_truth(report, "audit/balanced"));
}

/* Everything is there: the state is the one that was acknowledged, to the last bit. */
static void expect_whole(void)
{
    json_t *replayed = cli_expect_json(replay());
    assert_string_equal(cli_text(replayed, "state_digest"), cli_text(sound, "state_digest"));
    json_decref(replayed);
    json_t *report = cli_expect_json(ingest());
    expect_totals(report);
    assert_int_equal(cli_integer(report, "orders_skipped"), ORDERS_COUNT);
    json_decref(report);
}

static void expect_refused_saying(const char *what)
{
    struct cli_result results[] = {verify(), replay(), ingest()};
    for (size_t i = 0; i < 3; i++) {
        cli_expect_says(&results[i], CLI_DATA, "--accept-loss", what, (char *)NULL);
        assert_int_equal(results[i].out_bytes, 0);
        cli_free(&results[i]);
    }
}

static void expect_refused(void)
{
    expect_refused_saying("");
}

/* The start says what went, does the orders that went with it again, and the next one is like any
 * other. */
static void expect_accepted(void)
{
    struct cli_result result = ingest_accepting();
    cli_expect_says(&result, CLI_DONE, "accepted the loss", (char *)NULL);
    json_t *report = cli_expect_json(result);
    expect_totals(report);
    json_t *replayed = cli_expect_json(replay());
    assert_string_equal(cli_text(report, "state_digest"), cli_text(replayed, "state_digest"));
    json_decref(replayed);
    json_decref(report);

    result = ingest();
    cli_expect(&result, CLI_DONE);
    assert_null(strstr(result.err, "accept"));
    report = cli_expect_json(result);
    expect_totals(report);
    assert_int_equal(cli_integer(report, "orders_skipped"), ORDERS_COUNT);
    json_decref(report);
}

/* ---- fixtures --------------------------------------------------------------------------------
 */

static int set_up_all(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(orders, scratch, "orders.csv");
    cli_path(sound_log, scratch, "sound-log");
    cli_path(sound_table, scratch, "sound-table");
    cli_path(many_orders, scratch, "many-orders.csv");
    cli_generate(orders, ORDERS, "small");
    cli_generate(many_orders, MANY_ORDERS, "small");
    cli_path(data, scratch, "sound-log");
    sound = cli_expect_json(ingest());
    assert_true(cli_watermark(data) > 30);
    /* Opening moves what is in the log into a table. */
    damage_copy_directory(sound_log, sound_table);
    cli_path(data, scratch, "sound-table");
    json_decref(cli_expect_json(ingest()));
    cli_path(data, scratch, "data");
    cli_path(journal, data, "journal");
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    json_decref(sound);
    cli_remove(scratch);
    return 0;
}

static void begin(const char *from)
{
    cli_remove(data);
    damage_copy_directory(from, data);
}

/* The state is the sound one. */
static int set_up(void **state)
{
    begin(*state);
    return 0;
}

static int remove_data(void **state)
{
    (void)state;
    cli_remove(data);
    return 0;
}

static void find_file(const char *suffix, char ret_path[PATH_MAX])
{
    assert_true(cli_find_largest(journal, suffix, ret_path));
}

static void delete_file(const char *suffix)
{
    char path[PATH_MAX];
    find_file(suffix, path);
    assert_int_equal(unlink(path), 0);
}

/* ---- damage ----------------------------------------------------------------------------------
 */

static void a_sound_directory_starts_whole(void **state)
{
    (void)state;
    expect_whole();
    begin(sound_table);
    expect_whole();
}

static const struct damage_places places = {.count = 12, .tail_count = 4, .tail_step_bytes = 13};

/* Flips a bit at many places of the largest file of that kind, each in a fresh copy. What refuses
 * the one must refuse the other. Returns how many were refused. */
static uint32_t flip_everywhere(const char *from, const char *suffix)
{
    char path[PATH_MAX];
    uint32_t refused_count = 0;
    for (uint32_t place = 0; place < places.count; place++) {
        begin(from);
        find_file(suffix, path);
        damage_flip_at(path, &places, place);
        struct cli_result verified = verify();
        bool is_refused = verified.exit_code != CLI_DONE;
        cli_free(&verified);
        if (!is_refused) {
            expect_whole();
            continue;
        }
        refused_count++;
        expect_refused();
        if (place % 4 == 0)
            expect_accepted();
    }
    return refused_count;
}

static void a_bit_flipped_anywhere_in_the_log_is_refused_until_accepted(void **state)
{
    (void)state;
    assert_int_equal(flip_everywhere(sound_log, ".log"), places.count);
}

static void a_bit_flipped_anywhere_in_a_table_never_shortens_silently(void **state)
{
    (void)state;
    assert_true(flip_everywhere(sound_table, ".sst") > places.count / 2);
}

static void a_log_cut_short_is_refused_until_accepted(void **state)
{
    (void)state;
    char path[PATH_MAX];
    find_file(".log", path);
    size_t bytes = damage_file_bytes(path);
    const size_t kept_bytes[] = {0, 1, bytes / 2, bytes - 1000, bytes - 1};
    for (size_t i = 0; i < sizeof kept_bytes / sizeof kept_bytes[0]; i++) {
        begin(sound_log);
        find_file(".log", path);
        assert_int_equal(truncate(path, (off_t)kept_bytes[i]), 0);
        expect_refused();
        expect_accepted();
    }
}

static void a_deleted_log_is_refused_until_accepted(void **state)
{
    (void)state;
    delete_file(".log");
    expect_refused();
    expect_accepted();
}

static void a_deleted_table_is_refused_until_it_is_put_back(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char aside[PATH_MAX];
    find_file(".sst", path);
    cli_path(aside, scratch, "aside.sst");
    assert_int_equal(rename(path, aside), 0);
    expect_refused();
    assert_int_equal(rename(aside, path), 0);
    expect_whole();
}

static void a_deleted_table_can_be_accepted(void **state)
{
    (void)state;
    delete_file(".sst");
    expect_refused();
    expect_accepted();
}

static void a_deleted_journal_is_refused_until_accepted(void **state)
{
    (void)state;
    cli_remove(journal);
    struct cli_result result = ingest();
    cli_expect_says(&result, CLI_DATA, "--accept-loss", "were acknowledged", (char *)NULL);
    cli_free(&result);
    expect_accepted();
}

static void a_watermark_ahead_of_the_journal_is_refused_until_accepted(void **state)
{
    (void)state;
    char lost[64];
    uint64_t last_no = cli_watermark(data);
    cli_set_watermark(data, last_no + 3);
    snprintf(lost, sizeof lost, "blocks %" PRIu64 " to %" PRIu64, last_no + 1, last_no + 3);
    expect_refused_saying(lost);
    expect_accepted();
}

static void a_watermark_behind_the_journal_is_no_damage(void **state)
{
    (void)state;
    cli_set_watermark(data, 1);
    expect_whole();
}

static void one_damaged_copy_of_the_watermark_is_no_loss_and_both_are_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    cli_path(path, data, "watermark");
    damage_flip(path, 9, 1);
    expect_whole();
    begin(sound_log);
    damage_flip(path, 9, 1);
    damage_flip(path, 512 + 9, 1);
    struct cli_result results[] = {verify(), replay(), ingest()};
    for (size_t i = 0; i < 3; i++) {
        cli_expect_says(&results[i], CLI_DATA, path, "backup", (char *)NULL);
        cli_free(&results[i]);
    }
}

/* A checkpoint only spares a start the reading of the journal, where all of it stands. */
static void damaged_checkpoints_are_no_loss(void **state)
{
    (void)state;
    char name[64];
    char path[PATH_MAX];
    cli_remove(data);
    json_t *report = cli_expect_json(cli_run("ingest", "--data", data, "--checkpoint-mib", "1",
                                             "--json", many_orders, (char *)NULL));
    uint32_t damaged_count = 0;
    for (uint64_t block_no = 1; block_no <= cli_watermark(data); block_no++) {
        snprintf(name, sizeof name, "checkpoint-%" PRIu64, block_no);
        cli_path(path, data, name);
        if (access(path, F_OK) != 0)
            continue;
        damage_flip(path, damage_file_bytes(path) / 2, 1);
        damaged_count++;
        json_t *again =
            cli_expect_json(cli_run("ingest", "--data", data, "--json", many_orders, (char *)NULL));
        assert_true(json_equal(cli_member(again, "sagas"), cli_member(report, "sagas")));
        assert_true(json_equal(cli_member(again, "audit"), cli_member(report, "audit")));
        json_t *replayed = cli_expect_json(replay());
        assert_string_equal(cli_text(again, "state_digest"), cli_text(replayed, "state_digest"));
        json_decref(replayed);
        json_decref(again);
    }
    assert_true(damaged_count > 0);
    json_decref(report);
}

/* What is accepted is kept aside, and said where. */
static void an_accepted_loss_keeps_what_could_be_read(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct stat known;
    find_file(".log", path);
    damage_flip(path, damage_file_bytes(path) / 2, 1);
    struct cli_result result = ingest_accepting();
    cli_expect_says(&result, CLI_DONE, "accepted the loss of", "blocks", (char *)NULL);
    cli_free(&result);
    cli_path(path, data, "lost-journal");
    assert_int_equal(stat(path, &known), 0);
}

static void accepting_where_nothing_is_lost_changes_nothing(void **state)
{
    (void)state;
    struct cli_result result = ingest_accepting();
    cli_expect(&result, CLI_DONE);
    assert_null(strstr(result.err, "accepted"));
    cli_free(&result);
    expect_whole();
}

/* ---- directories that cannot be used ----------------------------------------------------------
 */

static void wait_for_lock(void)
{
    char path[PATH_MAX];
    struct stat known = {0};
    cli_path(path, data, "lock");
    for (uint32_t polls = 0; stat(path, &known) != 0 || known.st_size == 0; polls++) {
        assert_true(polls < POLLS_MAX);
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

static void a_directory_in_use_is_refused_with_the_pid_of_its_owner(void **state)
{
    (void)state;
    int ends[2];
    char owner[32];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct cli_process process = cli_start(ends[0], "ingest", "--data", data, "-", (char *)NULL);
    wait_for_lock();
    snprintf(owner, sizeof owner, "process %d", (int)process.pid);
    struct cli_result result = ingest();
    cli_expect_says(&result, CLI_DATA, data, "in use", owner, (char *)NULL);
    cli_free(&result);
    result = cli_run("bench", "--data", data, "--sagas", "1", (char *)NULL);
    cli_expect_says(&result, CLI_DATA, data, "in use", owner, (char *)NULL);
    cli_free(&result);

    /* Whoever only reads is not in the way. */
    json_decref(cli_expect_json(verify()));
    json_decref(cli_expect_json(replay()));

    const char text[] = "InvoiceNo,Quantity,UnitPrice\n70000001,1,1\n";
    assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
    close(ends[1]);
    result = cli_wait(&process);
    cli_expect(&result, CLI_DONE);
    cli_free(&result);
    close(ends[0]);
    cli_expect_done(ingest());
}

static void a_directory_of_a_newer_version_is_refused(void **state)
{
    (void)state;
    const char *names[2] = {"default", "journal"};
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *each[2] = {options, options};
    rocksdb_column_family_handle_t *families[2];
    char *error = NULL;
    rocksdb_t *db =
        rocksdb_open_column_families(options, journal, 2, names, each, families, &error);
    assert_null(error);
    rocksdb_writeoptions_t *write_options = rocksdb_writeoptions_create();
    rocksdb_put_cf(db, write_options, families[0], "format", 6, "\4\0\0\0", 4, &error);
    assert_null(error);
    rocksdb_writeoptions_destroy(write_options);
    rocksdb_column_family_handle_destroy(families[0]);
    rocksdb_column_family_handle_destroy(families[1]);
    rocksdb_close(db);
    rocksdb_options_destroy(options);

    struct cli_result results[] = {verify(), replay(), ingest(), ingest_accepting()};
    for (size_t i = 0; i < 4; i++) {
        cli_expect_says(&results[i], CLI_DATA, "newer flyover", "use that version", (char *)NULL);
        cli_free(&results[i]);
    }
}

static void a_directory_without_a_journal_is_refused_by_those_who_read(void **state)
{
    (void)state;
    struct cli_result results[] = {verify(), replay()};
    for (size_t i = 0; i < 2; i++) {
        cli_expect_says(&results[i], CLI_DATA, "there is no journal in", data, (char *)NULL);
        cli_free(&results[i]);
    }
    assert_int_not_equal(access(data, F_OK), 0);
}

static void a_place_where_no_directory_can_be_is_refused(void **state)
{
    (void)state;
    struct cli_result result = cli_run("ingest", "--data", "/nowhere/at/all", orders, (char *)NULL);
    cli_expect_says(&result, CLI_DATA, "/nowhere/at/all", "must exist", (char *)NULL);
    cli_free(&result);
    result = cli_run("ingest", "--data", orders, orders, (char *)NULL);
    cli_expect_says(&result, CLI_DATA, orders, "Not a directory", (char *)NULL);
    cli_free(&result);
}

/* ---- file systems of their own -----------------------------------------------------------------
 *
 * Mounts are made in a namespace of a child, so that nothing of them outlives the test.
 */

static bool enter_namespace(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Runs this program once more with the name of a part, which skips it where mounts are refused. */
static void expect_passed(const char *part)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_damage_cli", part, (char *)NULL);
        _exit(127);
    }
    int ending;
    assert_int_equal(waitpid(pid, &ending, 0), pid);
    assert_true(WIFEXITED(ending));
    if (WEXITSTATUS(ending) == CANNOT_MOUNT) {
        print_message("skipped: this user may not mount a file system\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(ending), 0);
}

static bool mount_small(const char *size)
{
    return mkdir(data, 0755) == 0 && mount("none", data, "tmpfs", 0, size) == 0;
}

static void use_read_only(void **state)
{
    (void)state;
    begin(sound_log);
    assert_int_equal(mount(data, data, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, data, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    struct cli_result result = ingest();
    cli_expect_says(&result, CLI_FAILED, data, "Read-only file system", "make it writable",
                    (char *)NULL);
    cli_free(&result);
    json_t *replayed = cli_expect_json(replay());
    assert_string_equal(cli_text(replayed, "state_digest"), cli_text(sound, "state_digest"));
    json_decref(replayed);
    json_decref(cli_expect_json(verify()));
    assert_int_equal(umount(data), 0);
    expect_whole();
}

/* A run on a disk that is full after `size`, another one on the full disk, then one with room. */
static void fill_and_make_room(const char *size, const char *durability)
{
    cli_remove(data);
    if (!mount_small(size))
        exit(CANNOT_MOUNT);
    for (int time = 0; time < 2; time++) {
        struct cli_result result = cli_run("ingest", "--data", data, "--durability", durability,
                                           "--in-flight", IN_FLIGHT, orders, (char *)NULL);
        cli_expect_says(&result, CLI_FAILED, data, "No space left", (char *)NULL);
        cli_free(&result);
    }
    uint64_t acknowledged_no = cli_watermark(data);
    assert_int_equal(mount("none", data, "tmpfs", MS_REMOUNT, "size=256m"), 0);
    if (acknowledged_no > 0) {
        json_t *verified = cli_expect_json(verify());
        assert_true((uint64_t)cli_integer(verified, "last_block") >= acknowledged_no);
        json_decref(verified);
    }
    json_t *report = cli_expect_json(ingest());
    expect_totals(report);
    json_decref(report);
    assert_int_equal(umount(data), 0);
}

static void use_full_disk(void **state)
{
    (void)state;
    static const char *const sizes[] = {"size=16k", "size=48k",  "size=64k",
                                        "size=96k", "size=160k", "size=280k"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        fill_and_make_room(sizes[i], i % 2 == 0 ? "sync" : "async");
}

/* Orders that need more than a start asks for, so that the disk is full in the middle of the run.
 */
static void use_disk_that_fills(void **state)
{
    (void)state;
    memcpy(orders, many_orders, sizeof orders);
    cli_remove(data);
    json_decref(sound);
    sound = cli_expect_json(ingest());
    fill_and_make_room("size=640k", "sync");
    fill_and_make_room("size=1200k", "async");
    fill_and_make_room("size=1900k", "sync");
}

static void a_read_only_directory_can_be_read_and_not_written(void **state)
{
    (void)state;
    expect_passed("read_only");
}

static void a_full_disk_loses_nothing_and_with_room_the_run_goes_on(void **state)
{
    (void)state;
    expect_passed("full_disk");
}

static void a_disk_that_fills_in_the_middle_of_a_run_loses_nothing_either(void **state)
{
    (void)state;
    expect_passed("disk_that_fills");
}

static int play_part(const char *part)
{
    const struct CMUnitTest read_only[] = {cmocka_unit_test(use_read_only)};
    const struct CMUnitTest full_disk[] = {cmocka_unit_test(use_full_disk)};
    const struct CMUnitTest disk_that_fills[] = {cmocka_unit_test(use_disk_that_fills)};
    if (!enter_namespace())
        return CANNOT_MOUNT;
    if (strcmp(part, "read_only") == 0)
        return cmocka_run_group_tests(read_only, set_up_all, tear_down_all);
    if (strcmp(part, "full_disk") == 0)
        return cmocka_run_group_tests(full_disk, set_up_all, tear_down_all);
    return cmocka_run_group_tests(disk_that_fills, set_up_all, tear_down_all);
}

#define OF(sound, name) cmocka_unit_test_prestate_setup_teardown(name, set_up, remove_data, sound)
#define OF_LOG(name)    OF(sound_log, name)
#define OF_TABLE(name)  OF(sound_table, name)
#define TEST(name)      cmocka_unit_test_teardown(name, remove_data)

int main(int argc, char **argv)
{
    if (argc > 1)
        return play_part(argv[1]);
    const struct CMUnitTest tests[] = {
        OF_LOG(a_sound_directory_starts_whole),
        OF_LOG(a_bit_flipped_anywhere_in_the_log_is_refused_until_accepted),
        OF_TABLE(a_bit_flipped_anywhere_in_a_table_never_shortens_silently),
        OF_LOG(a_log_cut_short_is_refused_until_accepted),
        OF_LOG(a_deleted_log_is_refused_until_accepted),
        OF_TABLE(a_deleted_table_is_refused_until_it_is_put_back),
        OF_TABLE(a_deleted_table_can_be_accepted),
        OF_LOG(a_deleted_journal_is_refused_until_accepted),
        OF_LOG(a_watermark_ahead_of_the_journal_is_refused_until_accepted),
        OF_LOG(a_watermark_behind_the_journal_is_no_damage),
        OF_LOG(one_damaged_copy_of_the_watermark_is_no_loss_and_both_are_refused),
        TEST(damaged_checkpoints_are_no_loss),
        OF_LOG(an_accepted_loss_keeps_what_could_be_read),
        OF_LOG(accepting_where_nothing_is_lost_changes_nothing),
        OF_LOG(a_directory_in_use_is_refused_with_the_pid_of_its_owner),
        OF_LOG(a_directory_of_a_newer_version_is_refused),
        TEST(a_directory_without_a_journal_is_refused_by_those_who_read),
        TEST(a_place_where_no_directory_can_be_is_refused),
        TEST(a_read_only_directory_can_be_read_and_not_written),
        TEST(a_full_disk_loses_nothing_and_with_room_the_run_goes_on),
        TEST(a_disk_that_fills_in_the_middle_of_a_run_loses_nothing_either),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
