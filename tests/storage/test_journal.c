/*
 * The first table of tests runs against every implementation of a journal; the second is about
 * what only a directory can do.
 */
#include "storage/journal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/storage/scratch.h"

static char directory[PATH_MAX];
static struct journal *journal;
static struct scratch_chain chain;
static struct problem problem;

static struct journal_options options_for(const char *at)
{
    return (struct journal_options){.directory = at, .durability = DURABILITY_SYNC, .create = true};
}

static enum status open_at(const char *at)
{
    struct journal_options options = options_for(at);
    return journal_open(&options, &journal, &problem);
}

static enum status open_read_only(void)
{
    struct journal_options options = options_for(directory);
    options.create = false;
    options.read_only = true;
    return journal_open(&options, &journal, &problem);
}

static int set_up_directory(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof chain);
    memset(&problem, 0, sizeof problem);
    journal = NULL;
    scratch_make(directory);
    return 0;
}

static int set_up_rocks(void **state)
{
    set_up_directory(state);
    assert_int_equal(open_at(directory), STATUS_OK);
    return 0;
}

static int set_up_memory(void **state)
{
    set_up_directory(state);
    assert_int_equal(journal_open_memory(true, &journal), STATUS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    journal_close(journal);
    journal = NULL;
    scratch_remove(directory);
    return 0;
}

static void close_journal(void)
{
    journal_close(journal);
    journal = NULL;
}

/* Reads from first_no and checks that exactly the blocks first_no to last_no come, unchanged. */
static void expect_blocks(uint64_t first_no, uint64_t last_no, uint32_t body_bytes)
{
    static struct scratch_chain expected;
    expected.last_no = 0;
    expected.last_crc = 0;
    struct journal_slice block;
    assert_int_equal(journal_seek(journal, first_no, &problem), STATUS_OK);
    for (uint64_t block_no = 1; block_no <= last_no; block_no++) {
        struct journal_slice wanted = scratch_next_block(&expected, body_bytes);
        if (block_no < first_no)
            continue;
        assert_int_equal(journal_next(journal, &block, &problem), STATUS_OK);
        assert_int_equal(block.block_no, block_no);
        assert_int_equal(block.bytes_count, wanted.bytes_count);
        assert_memory_equal(block.bytes, wanted.bytes, wanted.bytes_count);
    }
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_END);
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_END);
}

/* For every implementation. */

static void an_empty_journal_ends_at_once(void **state)
{
    (void)state;
    struct journal_slice block = {.block_no = 77};
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_END);
    assert_int_equal(journal_seek(journal, 1, &problem), STATUS_OK);
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_END);
    assert_int_equal(block.block_no, 77);
}

static void blocks_come_back_in_order_and_unchanged(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 300, 500);
    expect_blocks(1, 300, 500);
}

static void reading_begins_at_the_number_asked_for(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 20, 500);
    expect_blocks(13, 20, 500);
    expect_blocks(20, 20, 500);
    expect_blocks(21, 20, 500);
}

static void reading_begins_behind_a_number_that_is_missing(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 2, 10);
    chain.last_no = 6;
    scratch_append(journal, &chain, 1, 10);
    struct journal_slice block;
    assert_int_equal(journal_seek(journal, 3, &problem), STATUS_OK);
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_OK);
    assert_int_equal(block.block_no, 7);
}

static void blocks_appended_together_come_back_one_by_one(void **state)
{
    (void)state;
    static struct scratch_chain copies[4];
    struct journal_slice blocks[4];
    memset(copies, 0, sizeof copies);
    for (int index = 0; index < 4; index++) {
        if (index > 0) {
            copies[index].last_no = copies[index - 1].last_no;
            copies[index].last_crc = copies[index - 1].last_crc;
        }
        blocks[index] = scratch_next_block(&copies[index], 1000);
    }
    assert_int_equal(journal_append(journal, blocks, 4, &problem), STATUS_OK);
    expect_blocks(1, 4, 1000);
    struct journal_counts counts = journal_counts(journal);
    assert_int_equal(counts.appends_count, 1);
    assert_int_equal(counts.blocks_count, 4);
    assert_int_equal(counts.bytes_count, 4 * (1000 + BLOCK_HEADER_BYTES));
}

static void the_largest_block_comes_back_unchanged(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(BLOCK_BYTES_MAX);
    for (size_t index = 0; index < BLOCK_BYTES_MAX; index++)
        bytes[index] = (uint8_t)(index * 7 + index / 251);
    struct journal_slice stored = {.bytes = bytes, .bytes_count = BLOCK_BYTES_MAX, .block_no = 1};
    assert_int_equal(journal_append(journal, &stored, 1, &problem), STATUS_OK);
    struct journal_slice read;
    assert_int_equal(journal_seek(journal, 1, &problem), STATUS_OK);
    assert_int_equal(journal_next(journal, &read, &problem), STATUS_OK);
    assert_int_equal(read.bytes_count, BLOCK_BYTES_MAX);
    assert_memory_equal(read.bytes, bytes, BLOCK_BYTES_MAX);
    free(bytes);
}

static void what_is_appended_after_a_reading_is_read_by_the_next(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 3, 100);
    expect_blocks(1, 3, 100);
    scratch_append(journal, &chain, 3, 100);
    expect_blocks(1, 6, 100);
}

static void removed_blocks_are_gone_and_their_numbers_free(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, 100);
    uint64_t kept_no = chain.last_no;
    uint32_t kept_crc = chain.last_crc;
    scratch_append(journal, &chain, 5, 200);
    assert_int_equal(journal_remove_from(journal, kept_no + 1, &problem), STATUS_OK);
    expect_blocks(1, 5, 100);
    chain.last_no = kept_no;
    chain.last_crc = kept_crc;
    scratch_append(journal, &chain, 2, 100);
    expect_blocks(1, 7, 100);
}

static void removing_from_behind_the_end_changes_nothing(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 5, 100);
    assert_int_equal(journal_remove_from(journal, 6, &problem), STATUS_OK);
    expect_blocks(1, 5, 100);
}

static uint64_t first_stored_no(void)
{
    uint64_t block_no = 77;
    assert_int_equal(journal_first_stored_no(journal, &block_no, &problem), STATUS_OK);
    return block_no;
}

static void a_journal_that_was_never_trimmed_begins_at_block_1(void **state)
{
    (void)state;
    assert_int_equal(journal_first_no(journal), 1);
    assert_int_equal(first_stored_no(), 0);
    scratch_append(journal, &chain, 5, 100);
    assert_int_equal(journal_first_no(journal), 1);
    assert_int_equal(first_stored_no(), 1);
    assert_false(journal_dropping(journal));
}

static void from_the_first_kept_block_on_nothing_goes(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 300, 500);
    assert_int_equal(journal_remove_before(journal, 101, &problem), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 101);
    uint64_t stored_no = first_stored_no();
    assert_true(stored_no >= 1 && stored_no <= 101);
    expect_blocks(101, 300, 500);
    scratch_append(journal, &chain, 20, 500);
    expect_blocks(101, 320, 500);
}

static void the_beginning_never_moves_back(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 30, 500);
    assert_int_equal(journal_remove_before(journal, 20, &problem), STATUS_OK);
    assert_int_equal(journal_remove_before(journal, 10, &problem), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 20);
    assert_int_equal(journal_remove_before(journal, 20, &problem), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 20);
    expect_blocks(20, 30, 500);
}

static void all_blocks_may_be_given_up_and_the_next_follows(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 30, 500);
    assert_int_equal(journal_remove_before(journal, 31, &problem), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 31);
    expect_blocks(31, 30, 500);
    scratch_append(journal, &chain, 3, 500);
    expect_blocks(31, 33, 500);
}

static void giving_up_the_beginning_ends_a_reading(void **state)
{
    (void)state;
    struct journal_slice block;
    scratch_append(journal, &chain, 30, 500);
    assert_int_equal(journal_seek(journal, 25, &problem), STATUS_OK);
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_OK);
    assert_int_equal(journal_remove_before(journal, 20, &problem), STATUS_OK);
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_END);
}

static void a_trimmed_journal_can_lose_its_end(void **state)
{
    (void)state;
    scratch_append(journal, &chain, 20, 100);
    assert_int_equal(journal_remove_before(journal, 11, &problem), STATUS_OK);
    assert_int_equal(journal_remove_from(journal, 16, &problem), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 11);
    expect_blocks(11, 15, 100);
}

/* Of names, and of memory alone. */

static void the_names_of_durability_go_both_ways(void **state)
{
    (void)state;
    for (int index = DURABILITY_SYNC; index <= DURABILITY_MEMORY; index++) {
        enum durability parsed = DURABILITY_SYNC;
        const char *name = durability_name((enum durability)index);
        assert_int_equal(durability_parse(name, &parsed), STATUS_OK);
        assert_int_equal(parsed, index);
    }
    enum durability untouched = DURABILITY_ASYNC;
    assert_int_equal(durability_parse("fsync", &untouched), STATUS_INVALID);
    assert_int_equal(untouched, DURABILITY_ASYNC);
}

static void a_journal_that_keeps_nothing_counts_and_does_not_grow(void **state)
{
    (void)state;
    struct journal_options options = {.directory = directory, .durability = DURABILITY_MEMORY};
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    scratch_append(journal, &chain, 5, 100);
    assert_int_equal(journal_counts(journal).blocks_count, 5);
    expect_blocks(1, 0, 100);
}

/* Of a directory. */

static void what_was_appended_is_there_when_opened_again(void **state)
{
    (void)state;
    for (uint64_t start = 1; start <= 4; start++) {
        assert_int_equal(open_at(directory), STATUS_OK);
        scratch_append(journal, &chain, 50, 500);
        close_journal();
    }
    assert_int_equal(open_at(directory), STATUS_OK);
    expect_blocks(1, 200, 500);
}

/*
 * Parts that a process of its own plays: this program again, with the name of the part and the
 * directory as arguments. A fork alone would not do: RocksDB keeps threads for the whole process,
 * and a forked child would wait for those of its parent.
 */
static pid_t start_part(const char *part, int input, int output)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0)
            execl("/proc/self/exe", "test_journal", part, directory, (char *)NULL);
        _exit(126);
    }
    return pid;
}

/* How waitpid saw it end. */
static int play_part(const char *part)
{
    int ending;
    pid_t pid = start_part(part, STDIN_FILENO, STDERR_FILENO);
    assert_int_equal(waitpid(pid, &ending, 0), pid);
    return ending;
}

static int append_and_die(enum durability durability)
{
    struct journal_options options = options_for(directory);
    options.durability = durability;
    if (journal_open(&options, &journal, &problem) != STATUS_OK)
        return 1;
    scratch_append(journal, &chain, 100, 5000);
    kill(getpid(), SIGKILL);
    return 2;
}

static int append_in_sync_and_die(void)
{
    return append_and_die(DURABILITY_SYNC);
}

static int append_in_async_and_die(void)
{
    return append_and_die(DURABILITY_ASYNC);
}

static void expect_survival(const char *part)
{
    int ending = play_part(part);
    assert_true(WIFSIGNALED(ending) && WTERMSIG(ending) == SIGKILL);
    assert_int_equal(open_at(directory), STATUS_OK);
    expect_blocks(1, 100, 5000);
}

static void what_was_appended_in_sync_survives_kill_9_of_its_owner(void **state)
{
    (void)state;
    expect_survival("append_in_sync_and_die");
}

static void what_was_appended_in_async_survives_kill_9_of_its_owner(void **state)
{
    (void)state;
    expect_survival("append_in_async_and_die");
}

static void a_journal_is_made_only_when_asked_for(void **state)
{
    (void)state;
    struct journal_options options = options_for(directory);
    options.create = false;
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, directory));
    options.read_only = true;
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_NOT_FOUND);
    /* Nothing was left behind: the directory can still be removed as an empty one. */
    assert_int_equal(rmdir(directory), 0);
}

static void a_directory_below_a_missing_one_is_not_found(void **state)
{
    (void)state;
    char below[PATH_MAX];
    scratch_path(below, directory, "missing/data");
    assert_int_equal(open_at(below), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, below));
}

static void a_file_in_the_place_of_the_directory_is_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    scratch_path(path, directory, "file");
    close(open(path, O_CREAT | O_WRONLY, 0644));
    assert_int_equal(open_at(path), STATUS_NOT_FOUND);
    assert_non_null(strstr(problem.text, "Not a directory"));
}

static void partitions_do_not_see_each_other(void **state)
{
    (void)state;
    static struct scratch_chain chains[2];
    struct journal_options options = options_for(directory);
    for (uint32_t partition = 0; partition < 2; partition++) {
        options.partition = partition;
        assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
        scratch_append(journal, &chains[partition], 10 + partition, 100);
        close_journal();
    }
    options.partition = 0;
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    expect_blocks(1, 10, 100);
    assert_int_equal(journal_remove_from(journal, 1, &problem), STATUS_OK);
    expect_blocks(1, 0, 100);
    close_journal();
    options.partition = 1;
    assert_int_equal(journal_open(&options, &journal, &problem), STATUS_OK);
    expect_blocks(1, 11, 100);
}

/* Holds the journal from when it has written a byte until it reads one. */
static int hold(void)
{
    char byte;
    if (open_at(directory) != STATUS_OK)
        return 1;
    scratch_append(journal, &chain, 10, 100);
    if (write(STDOUT_FILENO, "h", 1) != 1 || read(STDIN_FILENO, &byte, 1) != 1)
        return 1;
    journal_close(journal);
    return 0;
}

/* Returns when it holds the journal; a byte to `*ret_release` lets it go. */
static pid_t start_holder(int *ret_release)
{
    int ready[2];
    int release[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(release, O_CLOEXEC), 0);
    pid_t pid = start_part("hold", release[0], ready[1]);
    char byte;
    close(ready[1]);
    close(release[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *ret_release = release[1];
    return pid;
}

static void a_journal_in_use_is_refused_with_the_pid_of_its_owner(void **state)
{
    (void)state;
    int release;
    pid_t owner = start_holder(&release);
    char sentence[64];
    snprintf(sentence, sizeof sentence, "is in use by process %ld", (long)owner);
    assert_int_equal(open_at(directory), STATUS_IN_USE);
    assert_non_null(strstr(problem.text, sentence));
    assert_non_null(strstr(problem.text, directory));

    assert_int_equal(kill(owner, SIGKILL), 0);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    assert_int_equal(open_at(directory), STATUS_OK);
    expect_blocks(1, 10, 100);
    close(release);
}

static void a_reader_works_beside_a_running_owner(void **state)
{
    (void)state;
    int release;
    pid_t owner = start_holder(&release);
    assert_int_equal(open_read_only(), STATUS_OK);
    expect_blocks(1, 10, 100);
    assert_int_equal(write(release, "r", 1), 1);
    int ending;
    assert_int_equal(waitpid(owner, &ending, 0), owner);
    assert_int_equal(ending, 0);
    expect_blocks(1, 10, 100);
    close(release);
}

/* Mounts in a namespace of a child, so that nothing of it outlives the test. */
#define CANNOT_MOUNT 77

static bool enter_namespace(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void expect_passed(const char *part)
{
    int ending = play_part(part);
    assert_true(WIFEXITED(ending));
    if (WEXITSTATUS(ending) == CANNOT_MOUNT) {
        print_message("skipped: this user may not mount a file system\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(ending), 0);
}

static int use_read_only_mount(void)
{
    if (!enter_namespace() || mount(directory, directory, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, directory, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
        return CANNOT_MOUNT;
    assert_int_equal(open_at(directory), STATUS_NO_PERMISSION);
    assert_non_null(strstr(problem.text, directory));
    assert_int_equal(open_read_only(), STATUS_OK);
    expect_blocks(1, 10, 100);
    close_journal();
    return 0;
}

static void a_read_only_directory_can_be_read_and_not_written(void **state)
{
    (void)state;
    assert_int_equal(open_at(directory), STATUS_OK);
    scratch_append(journal, &chain, 10, 100);
    close_journal();
    expect_passed("use_read_only_mount");
}

/* Appends until the disk is full; returns the last block that was acknowledged. */
static uint64_t fill_disk(enum status *ret_status)
{
    uint64_t acknowledged_no = 0;
    *ret_status = STATUS_OK;
    for (int index = 0; index < 2000; index++) {
        struct journal_slice block = scratch_next_block(&chain, 60000);
        *ret_status = journal_append(journal, &block, 1, &problem);
        if (*ret_status != STATUS_OK)
            break;
        acknowledged_no = block.block_no;
    }
    return acknowledged_no;
}

static int use_small_disk(void)
{
    if (!enter_namespace() || mount("none", directory, "tmpfs", 0, "size=8m") != 0)
        return CANNOT_MOUNT;
    enum status status;
    assert_int_equal(open_at(directory), STATUS_OK);
    uint64_t acknowledged_no = fill_disk(&status);
    assert_int_equal(status, STATUS_NO_SPACE);
    assert_true(acknowledged_no > 10);
    assert_non_null(strstr(problem.text, "No space left"));

    /* With room again, a failed append stays the last one. */
    assert_int_equal(mount("none", directory, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    struct journal_slice block = scratch_next_block(&chain, 100);
    assert_int_equal(journal_append(journal, &block, 1, &problem), STATUS_NO_SPACE);
    close_journal();
    assert_int_equal(open_at(directory), STATUS_OK);
    struct journal_slice last = {0};
    assert_int_equal(journal_seek(journal, acknowledged_no, &problem), STATUS_OK);
    assert_int_equal(journal_next(journal, &last, &problem), STATUS_OK);
    assert_int_equal(last.block_no, acknowledged_no);
    close_journal();
    return 0;
}

static void a_full_disk_stops_appends_for_good_and_loses_nothing(void **state)
{
    (void)state;
    expect_passed("use_small_disk");
}

static int begin_on_full_disk(void)
{
    if (!enter_namespace() || mount("none", directory, "tmpfs", 0, "size=16k") != 0)
        return CANNOT_MOUNT;
    assert_int_equal(open_at(directory), STATUS_NO_SPACE);
    assert_non_null(strstr(problem.text, directory));
    return 0;
}

static void a_disk_too_full_to_begin_on_is_refused(void **state)
{
    (void)state;
    expect_passed("begin_on_full_disk");
}

#define EACH(name, kind)                                                                           \
    {                                                                                              \
        "" #kind ": " #name, name, set_up_##kind, tear_down, NULL                                  \
    }
#define CONFORMANCE(kind)                                                                          \
    EACH(an_empty_journal_ends_at_once, kind),                                                     \
        EACH(blocks_come_back_in_order_and_unchanged, kind),                                       \
        EACH(reading_begins_at_the_number_asked_for, kind),                                        \
        EACH(reading_begins_behind_a_number_that_is_missing, kind),                                \
        EACH(blocks_appended_together_come_back_one_by_one, kind),                                 \
        EACH(the_largest_block_comes_back_unchanged, kind),                                        \
        EACH(what_is_appended_after_a_reading_is_read_by_the_next, kind),                          \
        EACH(removed_blocks_are_gone_and_their_numbers_free, kind),                                \
        EACH(removing_from_behind_the_end_changes_nothing, kind),                                  \
        EACH(a_journal_that_was_never_trimmed_begins_at_block_1, kind),                            \
        EACH(from_the_first_kept_block_on_nothing_goes, kind),                                     \
        EACH(the_beginning_never_moves_back, kind),                                                \
        EACH(all_blocks_may_be_given_up_and_the_next_follows, kind),                               \
        EACH(giving_up_the_beginning_ends_a_reading, kind),                                        \
        EACH(a_trimmed_journal_can_lose_its_end, kind)
#define OF_DIRECTORY(name) cmocka_unit_test_setup_teardown(name, set_up_directory, tear_down)

static int run_part(const char *name)
{
    static const struct {
        const char *name;
        int (*play)(void);
    } parts[] = {
        {"append_in_sync_and_die", append_in_sync_and_die},
        {"append_in_async_and_die", append_in_async_and_die},
        {"hold", hold},
        {"use_read_only_mount", use_read_only_mount},
        {"use_small_disk", use_small_disk},
        {"begin_on_full_disk", begin_on_full_disk},
    };
    for (size_t index = 0; index < sizeof parts / sizeof parts[0]; index++)
        if (strcmp(parts[index].name, name) == 0)
            return parts[index].play();
    return 126;
}

int main(int count, char **arguments)
{
    if (count == 3) {
        snprintf(directory, sizeof directory, "%s", arguments[2]);
        return run_part(arguments[1]);
    }
    const struct CMUnitTest tests[] = {
        CONFORMANCE(memory),
        CONFORMANCE(rocks),
        cmocka_unit_test(the_names_of_durability_go_both_ways),
        OF_DIRECTORY(a_journal_that_keeps_nothing_counts_and_does_not_grow),
        OF_DIRECTORY(what_was_appended_is_there_when_opened_again),
        OF_DIRECTORY(what_was_appended_in_sync_survives_kill_9_of_its_owner),
        OF_DIRECTORY(what_was_appended_in_async_survives_kill_9_of_its_owner),
        OF_DIRECTORY(a_journal_is_made_only_when_asked_for),
        OF_DIRECTORY(a_directory_below_a_missing_one_is_not_found),
        OF_DIRECTORY(a_file_in_the_place_of_the_directory_is_refused),
        OF_DIRECTORY(partitions_do_not_see_each_other),
        OF_DIRECTORY(a_journal_in_use_is_refused_with_the_pid_of_its_owner),
        OF_DIRECTORY(a_reader_works_beside_a_running_owner),
        OF_DIRECTORY(a_read_only_directory_can_be_read_and_not_written),
        OF_DIRECTORY(a_full_disk_stops_appends_for_good_and_loses_nothing),
        OF_DIRECTORY(a_disk_too_full_to_begin_on_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
