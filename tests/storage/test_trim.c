/*
 * A journal on disk that loses its beginning: its files go, its disk stays under the bound of
 * journal.h, and what was declared is known whenever it is opened. And the format that says it may
 * have lost it.
 */
#include "storage/journal.h"

#include <rocksdb/c.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "storage/journal_ops.h"
#include "tests/damage.h"
#include "tests/storage/scratch.h"

#define WRITE_BUFFER_BYTES (256u << 10)
#define BODY_BYTES         (16u << 10)

static char directory[PATH_MAX];
static struct journal *journal;
static struct scratch_chain chain;
static struct problem problem;

static enum status open_as(bool read_only, struct journal **ret_journal)
{
    struct journal_options options = {
        .directory = directory,
        .durability = DURABILITY_ASYNC,
        .read_only = read_only,
        .create = !read_only,
        .write_buffer_bytes = read_only ? 0 : WRITE_BUFFER_BYTES,
    };
    return journal_open(&options, ret_journal, &problem);
}

static int set_up(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof chain);
    memset(&problem, 0, sizeof problem);
    scratch_make(directory);
    assert_int_equal(open_as(false, &journal), STATUS_OK);
    return 0;
}

static void close_journal(void)
{
    journal_close(journal);
    journal = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    close_journal();
    scratch_remove(directory);
    return 0;
}

static void open_again(void)
{
    close_journal();
    assert_int_equal(open_as(false, &journal), STATUS_OK);
}

static void remove_before(uint64_t first_kept_no)
{
    assert_int_equal(journal_remove_before(journal, first_kept_no, &problem), STATUS_OK);
}

static uint64_t first_stored_no(void)
{
    uint64_t block_no = 0;
    assert_int_equal(journal_first_stored_no(journal, &block_no, &problem), STATUS_OK);
    return block_no;
}

static void wait_for_the_thread(void)
{
    while (journal_dropping(journal))
        sched_yield();
}

/* Asks until the files are gone: RocksDB moves one out of level 0 in its own time. */
static void remove_until_first_stored(uint64_t first_kept_no, uint64_t lowest_no)
{
    while (first_stored_no() < lowest_no) {
        remove_before(first_kept_no);
        wait_for_the_thread();
    }
}

/* Each in a table file of its own: opening moves what is in the log into one. */
static void append_files(uint32_t files_count, uint32_t blocks_count)
{
    for (uint32_t file = 0; file < files_count; file++) {
        scratch_append(journal, &chain, blocks_count, 1000);
        open_again();
    }
}

/* Exactly these are read from first_no on. */
static void expect_stored(uint64_t first_no, uint64_t last_no)
{
    struct journal_slice block;
    assert_int_equal(journal_seek(journal, first_no, &problem), STATUS_OK);
    for (uint64_t block_no = first_no; block_no <= last_no; block_no++) {
        assert_int_equal(journal_next(journal, &block, &problem), STATUS_OK);
        assert_int_equal(block.block_no, block_no);
    }
    assert_int_equal(journal_next(journal, &block, &problem), STATUS_END);
}

static uint64_t journal_bytes;

static int add_bytes(const char *path, const struct stat *known, int kind, struct FTW *place)
{
    (void)path;
    (void)place;
    if (kind == FTW_F)
        journal_bytes += (uint64_t)known->st_blocks * 512;
    return 0;
}

static uint64_t measure_journal(void)
{
    char path[PATH_MAX];
    scratch_path(path, directory, "journal");
    journal_bytes = 0;
    nftw(path, add_bytes, 16, FTW_PHYS);
    return journal_bytes;
}

static void whole_files_before_the_first_kept_block_go(void **state)
{
    (void)state;
    append_files(5, 10);
    remove_until_first_stored(36, 31);
    assert_int_equal(first_stored_no(), 31);
    assert_int_equal(journal_first_no(journal), 36);
    remove_until_first_stored(41, 41);
    assert_int_equal(first_stored_no(), 41);
    scratch_append(journal, &chain, 5, 1000);
    open_again();
    assert_int_equal(first_stored_no(), 41);
    assert_int_equal(journal_first_no(journal), 41);
}

static void a_file_that_holds_the_first_kept_block_stays(void **state)
{
    (void)state;
    append_files(3, 10);
    remove_until_first_stored(20, 11);
    for (int time = 0; time < 10; time++) {
        remove_before(20);
        wait_for_the_thread();
    }
    assert_int_equal(first_stored_no(), 11);
}

static void a_reader_hears_of_the_beginning_too(void **state)
{
    (void)state;
    struct journal *reader = NULL;
    append_files(3, 10);
    remove_before(15);
    wait_for_the_thread();
    assert_int_equal(open_as(true, &reader), STATUS_OK);
    assert_int_equal(journal_first_no(reader), 15);
    assert_false(journal_dropping(reader));
    journal_close(reader);
}

/* RocksDB opens only so many files when it is opened; the others are gone when the reader comes to
 * them. */
static void a_reader_that_was_overtaken_is_told_to_open_again(void **state)
{
    (void)state;
    struct journal *reader = NULL;
    struct journal_slice block;
    scratch_append(journal, &chain, 1500, BODY_BYTES);
    open_again();
    assert_int_equal(open_as(true, &reader), STATUS_OK);
    remove_until_first_stored(1490, 1400);
    assert_int_equal(journal_seek(reader, 1, &problem), STATUS_OK);
    enum status status = STATUS_OK;
    while (status == STATUS_OK)
        status = journal_next(reader, &block, &problem);
    assert_int_equal(status, STATUS_BUSY);
    assert_non_null(strstr(problem.text, "gave up the blocks before 1490"));
    assert_int_equal(journal_first_no(reader), 1490);
    journal_close(reader);
}

static void the_disk_of_a_trimmed_journal_is_bounded(void **state)
{
    (void)state;
    const uint32_t step_blocks = 64;
    const uint64_t kept_bytes = 2ull * step_blocks * (BODY_BYTES + BLOCK_HEADER_BYTES);
    const uint64_t bytes_max =
        kept_bytes + JOURNAL_EXTRA_BYTES_MAX(WRITE_BUFFER_BYTES, BODY_BYTES + BLOCK_HEADER_BYTES);
    for (uint32_t step = 1; step <= 100; step++) {
        scratch_append(journal, &chain, step_blocks, BODY_BYTES);
        remove_before(chain.last_no - step_blocks + 1);
        if (step % 10 != 0)
            continue;
        while (measure_journal() > bytes_max) {
            remove_before(chain.last_no - step_blocks + 1);
            sched_yield();
        }
    }
    /* Three times what is allowed has gone through, and nothing that is kept has gone with it. */
    assert_true(chain.last_no * BODY_BYTES > 3 * bytes_max);
    expect_stored(chain.last_no - step_blocks + 1, chain.last_no);
    open_again();
    assert_true(measure_journal() <= bytes_max);
}

/* An end of the process between the declaration and the drop. */
static void what_was_declared_and_not_dropped_is_given_up_and_goes_later(void **state)
{
    (void)state;
    append_files(3, 10);
    struct mark mark;
    uint64_t number;
    assert_int_equal(mark_open(&mark, &journal_first_kind, directory, &number, &problem),
                     STATUS_OK);
    assert_int_equal(number, 0);
    assert_int_equal(mark_write(&mark, 25), STATUS_OK);
    mark_close(&mark);
    open_again();
    assert_int_equal(journal_first_no(journal), 25);
    assert_int_equal(first_stored_no(), 1);
    remove_until_first_stored(25, 21);
    assert_int_equal(first_stored_no(), 21);
}

/* The open file of DIR/first. */
static int find_declaration(void)
{
    char path[PATH_MAX], link[64], target[PATH_MAX];
    scratch_path(path, directory, "first");
    for (int file = 0; file < 1024; file++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t bytes = readlink(link, target, sizeof target - 1);
        if (bytes < 0)
            continue;
        target[bytes] = '\0';
        if (strcmp(target, path) == 0)
            return file;
    }
    fail_msg("no file is open that says where the journal begins");
    return -1;
}

/* On a disk that is full; the caller hears of it when it comes again. */
static void what_cannot_be_declared_is_not_dropped(void **state)
{
    (void)state;
    append_files(3, 10);
    remove_until_first_stored(15, 11);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0 && dup2(full, find_declaration()) >= 0);
    close(full);
    remove_before(25);
    wait_for_the_thread();
    assert_int_equal(first_stored_no(), 11);
    assert_int_equal(journal_remove_before(journal, 26, &problem), STATUS_NO_SPACE);
    assert_non_null(strstr(problem.text, "/first: no space"));
    assert_int_equal(journal_remove_before(journal, 27, &problem), STATUS_NO_SPACE);
    assert_int_equal(first_stored_no(), 11);
    close_journal();
    assert_int_equal(open_as(false, &journal), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 15);
    expect_stored(15, 30);
}

static void a_journal_that_is_closed_has_declared_what_was_asked_for(void **state)
{
    (void)state;
    append_files(3, 10);
    for (uint64_t first_no = 2; first_no <= 30; first_no += 7) {
        remove_before(first_no);
        open_again();
        assert_int_equal(journal_first_no(journal), first_no);
    }
}

static void a_damaged_declaration_is_refused(void **state)
{
    (void)state;
    append_files(1, 10);
    remove_before(5);
    close_journal();
    char path[PATH_MAX];
    scratch_path(path, directory, "first");
    damage_flip(path, 8, 1);
    damage_flip(path, 512 + 8, 1);
    assert_int_equal(open_as(false, &journal), STATUS_CORRUPT);
    assert_non_null(strstr(problem.text, "which blocks of the journal were given up"));
    assert_int_equal(open_as(true, &journal), STATUS_CORRUPT);
}

/* This program again, to be killed: see test_journal.c. */
static int declare_and_die(void)
{
    if (open_as(false, &journal) != STATUS_OK)
        return 1;
    remove_before(17);
    wait_for_the_thread();
    kill(getpid(), SIGKILL);
    return 2;
}

static void what_was_declared_survives_kill_9_of_its_owner(void **state)
{
    (void)state;
    append_files(3, 10);
    close_journal();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_trim", directory, (char *)NULL);
        _exit(126);
    }
    int ending;
    assert_int_equal(waitpid(pid, &ending, 0), pid);
    assert_true(WIFSIGNALED(ending) && WTERMSIG(ending) == SIGKILL);
    assert_int_equal(open_as(false, &journal), STATUS_OK);
    assert_int_equal(journal_first_no(journal), 17);
    uint64_t stored_no = first_stored_no();
    assert_true(stored_no == 1 || stored_no == 11);
    expect_stored(17, 30);
}

/* What RocksDB holds of a closed journal: its format, set first to another if `format` is not 0. */
static uint32_t format_on_disk(uint32_t format)
{
    char path[PATH_MAX];
    scratch_path(path, directory, "journal");
    const char *names[2] = {"default", "journal"};
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *each[2] = {options, options};
    rocksdb_column_family_handle_t *families[2];
    char *error = NULL;
    rocksdb_t *db = rocksdb_open_column_families(options, path, 2, names, each, families, &error);
    assert_null(error);
    rocksdb_writeoptions_t *write_options = rocksdb_writeoptions_create();
    rocksdb_readoptions_t *read_options = rocksdb_readoptions_create();
    uint8_t bytes[4] = {(uint8_t)format};
    if (format != 0)
        rocksdb_put_cf(db, write_options, families[0], "format", 6, (const char *)bytes, 4, &error);
    assert_null(error);
    size_t found_bytes;
    char *found = rocksdb_get_cf(db, read_options, families[0], "format", 6, &found_bytes, &error);
    assert_non_null(found);
    assert_int_equal(found_bytes, 4);
    uint32_t found_format = (uint8_t)found[0];
    rocksdb_free(found);
    rocksdb_readoptions_destroy(read_options);
    rocksdb_writeoptions_destroy(write_options);
    rocksdb_column_family_handle_destroy(families[0]);
    rocksdb_column_family_handle_destroy(families[1]);
    rocksdb_close(db);
    rocksdb_options_destroy(options);
    return found_format;
}

static void a_newer_format_is_refused_with_the_version_to_use(void **state)
{
    (void)state;
    append_files(1, 3);
    close_journal();
    assert_int_equal(format_on_disk(4), 4);
    assert_int_equal(open_as(false, &journal), STATUS_NEWER_FORMAT);
    assert_non_null(strstr(problem.text, "journal format 4, this one reads 3"));
    assert_int_equal(open_as(true, &journal), STATUS_NEWER_FORMAT);
}

static void a_journal_of_an_older_format_is_read_and_marked_when_written_to(void **state)
{
    (void)state;
    append_files(1, 3);
    close_journal();
    assert_int_equal(format_on_disk(0), 3);
    for (uint32_t format = 1; format < 3; format++) {
        assert_int_equal(format_on_disk(format), format);
        assert_int_equal(open_as(true, &journal), STATUS_OK);
        expect_stored(1, 3);
        close_journal();
        assert_int_equal(format_on_disk(0), format);
        assert_int_equal(open_as(false, &journal), STATUS_OK);
        expect_stored(1, 3);
        close_journal();
        assert_int_equal(format_on_disk(0), 3);
    }
    assert_int_equal(open_as(false, &journal), STATUS_OK);
    append_files(1, 3);
    remove_before(2);
    close_journal();
    assert_int_equal(format_on_disk(0), 3);
    assert_int_equal(open_as(false, &journal), STATUS_OK);
    expect_stored(2, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int count, char **arguments)
{
    if (count == 2) {
        snprintf(directory, sizeof directory, "%s", arguments[1]);
        return declare_and_die();
    }
    journal_setup();
    const struct CMUnitTest tests[] = {
        TEST(whole_files_before_the_first_kept_block_go),
        TEST(a_file_that_holds_the_first_kept_block_stays),
        TEST(a_reader_hears_of_the_beginning_too),
        TEST(a_reader_that_was_overtaken_is_told_to_open_again),
        TEST(the_disk_of_a_trimmed_journal_is_bounded),
        TEST(what_was_declared_and_not_dropped_is_given_up_and_goes_later),
        TEST(what_cannot_be_declared_is_not_dropped),
        TEST(a_journal_that_is_closed_has_declared_what_was_asked_for),
        TEST(a_damaged_declaration_is_refused),
        TEST(what_was_declared_survives_kill_9_of_its_owner),
        TEST(a_newer_format_is_refused_with_the_version_to_use),
        TEST(a_journal_of_an_older_format_is_read_and_marked_when_written_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
