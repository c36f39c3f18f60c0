#include "storage/writer.h"

#include <sched.h>

#include "storage/journal_ops.h"
#include "tests/storage/scratch.h"

/* A journal that notes what it is given, and fails from a block on. */
struct noting_journal {
    struct journal journal;
    uint64_t fail_from_no; /* 0: never */
    uint64_t last_no;
    uint32_t appends_count;
    uint32_t largest_count;
    uint64_t bytes_sum; /* over all bytes of all blocks */
    uint32_t removals_count;
    uint64_t removed_after_no; /* the last block at the last removal */
    bool fail_removals;
};

static struct noting_journal noting;
static struct writer *writer;
static struct problem problem;
static char directory[PATH_MAX];

static enum status note_append(struct journal *journal, const struct journal_slice *blocks,
                               uint32_t count, struct problem *ret_problem)
{
    struct noting_journal *self = (struct noting_journal *)journal;
    self->appends_count++;
    if (count > self->largest_count)
        self->largest_count = count;
    uint64_t last_no = blocks[count - 1].block_no;
    if (self->fail_from_no != 0 && last_no >= self->fail_from_no)
        return problem_set(ret_problem, STATUS_NO_SPACE, "the disk is full");
    for (uint32_t index = 0; index < count; index++)
        for (size_t at = 0; at < blocks[index].bytes_count; at++)
            self->bytes_sum += blocks[index].bytes[at];
    assert_int_equal(blocks[0].block_no, self->last_no + 1);
    self->last_no = last_no;
    return STATUS_OK;
}

static enum status note_remove_before(struct journal *journal, uint64_t first_kept_no,
                                      struct problem *ret_problem)
{
    struct noting_journal *self = (struct noting_journal *)journal;
    (void)first_kept_no;
    self->removals_count++;
    self->removed_after_no = self->last_no;
    if (self->fail_removals)
        return problem_set(ret_problem, STATUS_IO, "the disk is gone");
    return STATUS_OK;
}

static const struct journal_ops noting_ops = {.append = note_append,
                                              .remove_before = note_remove_before};

static int set_up(void **state)
{
    (void)state;
    memset(&problem, 0, sizeof problem);
    noting = (struct noting_journal){.journal.ops = &noting_ops};
    writer = NULL;
    scratch_make(directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    writer_close(writer);
    scratch_remove(directory);
    return 0;
}

static enum status open_writer(bool threadless, struct watermark *watermark, struct sleeper *engine)
{
    struct writer_options options = {
        .journal = &noting.journal,
        .watermark = watermark,
        .engine = engine,
        .cpu = WRITER_NO_CPU,
        .threadless = threadless,
    };
    return writer_open(&options, &writer, &problem);
}

/* Fills and sends the block `block_no`; returns the sum of its bytes. */
static uint64_t fill_and_send(struct writer_buffer *buffer, uint64_t block_no)
{
    uint64_t sum = 0;
    buffer->block_no = block_no;
    buffer->bytes_count = BLOCK_HEADER_BYTES + block_no % 1000;
    for (size_t at = 0; at < buffer->bytes_count; at++) {
        buffer->bytes[at] = (uint8_t)(block_no + at);
        sum += buffer->bytes[at];
    }
    writer_send_block(writer, buffer);
    return sum;
}

static void send_block(uint64_t block_no)
{
    struct writer_buffer *buffer = writer_acquire(writer);
    assert_non_null(buffer);
    fill_and_send(buffer, block_no);
}

/* Stepped by hand. */

static void a_block_is_durable_only_once_it_was_appended(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    assert_int_equal(writer_durable_no(writer), 0);
    send_block(1);
    assert_int_equal(writer_durable_no(writer), 0);
    assert_int_equal(writer_blocks_in_flight(writer), 1);
    assert_true(writer_step(writer));
    assert_int_equal(writer_durable_no(writer), 1);
    assert_int_equal(writer_blocks_in_flight(writer), 0);
    assert_false(writer_step(writer));
    assert_int_equal(noting.appends_count, 1);
}

static void numbers_go_on_from_the_last_recovered_block(void **state)
{
    (void)state;
    struct writer_options options = {
        .journal = &noting.journal, .durable_no = 41, .cpu = WRITER_NO_CPU, .threadless = true};
    noting.last_no = 41;
    assert_int_equal(writer_open(&options, &writer, &problem), STATUS_OK);
    assert_int_equal(writer_durable_no(writer), 41);
    send_block(42);
    assert_true(writer_step(writer));
    assert_int_equal(writer_durable_no(writer), 42);
}

static void all_blocks_that_wait_go_in_one_append(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    for (uint64_t block_no = 1; block_no <= 3; block_no++)
        send_block(block_no);
    assert_true(writer_step(writer));
    assert_int_equal(noting.appends_count, 1);
    assert_int_equal(noting.largest_count, 3);
    assert_int_equal(writer_durable_no(writer), 3);
    struct writer_counts counts = writer_counts(writer);
    assert_int_equal(counts.syncs_count, 1);
    assert_int_equal(counts.bytes_count, 3 * BLOCK_HEADER_BYTES + 1 + 2 + 3);
}

static void no_buffer_is_free_until_a_block_is_durable(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    for (uint64_t block_no = 1; block_no <= WRITER_BUFFERS_COUNT; block_no++)
        send_block(block_no);
    assert_null(writer_acquire(writer));
    assert_true(writer_step(writer));
    for (uint64_t index = 0; index < WRITER_BUFFERS_COUNT; index++)
        assert_non_null(writer_acquire(writer));
    assert_null(writer_acquire(writer));
}

static void every_buffer_holds_the_largest_block(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    for (uint64_t block_no = 1; block_no <= WRITER_BUFFERS_COUNT; block_no++) {
        struct writer_buffer *buffer = writer_acquire(writer);
        memset(buffer->bytes, 1, BLOCK_BYTES_MAX);
        buffer->bytes_count = BLOCK_BYTES_MAX;
        buffer->block_no = block_no;
        writer_send_block(writer, buffer);
    }
    assert_true(writer_step(writer));
    assert_int_equal(noting.bytes_sum, (uint64_t)WRITER_BUFFERS_COUNT * BLOCK_BYTES_MAX);
}

static void the_watermark_moves_with_what_is_durable(void **state)
{
    (void)state;
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    assert_int_equal(open_writer(true, &watermark, NULL), STATUS_OK);
    send_block(1);
    send_block(2);
    assert_int_equal(watermark_read(directory, &block_no, &problem), STATUS_OK);
    assert_int_equal(block_no, 0);
    assert_true(writer_step(writer));
    assert_int_equal(watermark_read(directory, &block_no, &problem), STATUS_OK);
    assert_int_equal(block_no, 2);
    watermark_close(&watermark);
}

static void after_a_failed_append_nothing_is_durable_or_written(void **state)
{
    (void)state;
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    noting.fail_from_no = 3;
    assert_int_equal(open_writer(true, &watermark, NULL), STATUS_OK);
    send_block(1);
    send_block(2);
    assert_true(writer_step(writer));
    assert_int_equal(writer_failure(writer, &problem), STATUS_OK);
    send_block(3);
    assert_false(writer_step(writer));
    assert_int_equal(writer_failure(writer, &problem), STATUS_NO_SPACE);
    assert_string_equal(problem.text, "the disk is full");
    /* Not even when the disk would take it again. */
    noting.fail_from_no = 0;
    send_block(4);
    assert_false(writer_step(writer));
    assert_int_equal(writer_durable_no(writer), 2);
    assert_int_equal(writer_blocks_in_flight(writer), 2);
    assert_int_equal(noting.appends_count, 2);
    assert_int_equal(watermark_read(directory, &block_no, &problem), STATUS_OK);
    assert_int_equal(block_no, 2);
    watermark_close(&watermark);
}

static void a_journal_that_failed_once_is_never_asked_again(void **state)
{
    (void)state;
    uint8_t bytes[BLOCK_HEADER_BYTES] = {0};
    struct journal_slice block = {.bytes = bytes, .bytes_count = sizeof bytes, .block_no = 1};
    noting.fail_from_no = 1;
    assert_int_equal(journal_append(&noting.journal, &block, 1, &problem), STATUS_NO_SPACE);
    noting.fail_from_no = 0;
    memset(&problem, 0, sizeof problem);
    assert_int_equal(journal_append(&noting.journal, &block, 1, &problem), STATUS_NO_SPACE);
    assert_string_equal(problem.text, "the disk is full");
    assert_int_equal(noting.appends_count, 1);
    assert_int_equal(journal_counts(&noting.journal).appends_count, 0);
}

static void a_watermark_that_cannot_be_written_stops_it_too(void **state)
{
    (void)state;
    char path[PATH_MAX];
    scratch_path(path, directory, "not-writable");
    struct watermark watermark;
    uint64_t block_no;
    assert_int_equal(watermark_open(&watermark, directory, &block_no, &problem), STATUS_OK);
    close(watermark.mark.file);
    watermark.mark.file = open(path, O_CREAT | O_RDONLY, 0644);
    assert_true(watermark.mark.file >= 0);
    assert_int_equal(open_writer(true, &watermark, NULL), STATUS_OK);
    send_block(1);
    assert_false(writer_step(writer));
    assert_int_equal(writer_durable_no(writer), 0);
    assert_int_equal(writer_failure(writer, &problem), STATUS_IO);
    watermark_close(&watermark);
}

static void the_engine_is_woken_by_success_and_by_failure(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    noting.fail_from_no = 2;
    assert_int_equal(open_writer(true, NULL, &engine), STATUS_OK);
    for (uint64_t block_no = 1; block_no <= 2; block_no++) {
        send_block(block_no);
        sleeper_prepare(&engine);
        writer_step(writer);
        /* Would sleep for ever if nobody had woken it. */
        sleeper_wait(&engine, SLEEPER_FOREVER);
    }
}

static void closing_writes_what_was_sent(void **state)
{
    (void)state;
    for (int threadless = 0; threadless < 2; threadless++) {
        noting.last_no = 0;
        assert_int_equal(open_writer(threadless == 1, NULL, NULL), STATUS_OK);
        send_block(1);
        send_block(2);
        writer_close(writer);
        writer = NULL;
        assert_int_equal(noting.last_no, 2);
    }
}

static void write_blocks(uint64_t first_no, uint64_t last_no)
{
    for (uint64_t block_no = first_no; block_no <= last_no; block_no++) {
        send_block(block_no);
        assert_true(writer_step(writer));
    }
    assert_int_equal(writer_durable_no(writer), last_no);
}

static void a_removal_is_done_after_the_append_that_waits(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    write_blocks(1, 4);
    send_block(5);
    writer_remove_before(writer, 3);
    assert_int_equal(noting.removals_count, 0);
    assert_true(writer_step(writer));
    assert_int_equal(noting.removed_after_no, 5);
    assert_int_equal(journal_first_no(&noting.journal), 3);
    assert_false(writer_step(writer));
    assert_int_equal(noting.removals_count, 1);
}

static void a_removal_is_done_when_there_is_nothing_to_append(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    write_blocks(1, 4);
    writer_remove_before(writer, 5);
    assert_false(writer_step(writer));
    assert_int_equal(journal_first_no(&noting.journal), 5);
}

static void of_removals_that_wait_the_largest_is_done(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    write_blocks(1, 9);
    writer_remove_before(writer, 3);
    writer_remove_before(writer, 8);
    writer_remove_before(writer, 5);
    writer_step(writer);
    assert_int_equal(noting.removals_count, 1);
    assert_int_equal(journal_first_no(&noting.journal), 8);
    writer_remove_before(writer, 8);
    writer_remove_before(writer, 2);
    writer_step(writer);
    assert_int_equal(noting.removals_count, 1);
}

static void a_failed_removal_stops_it_like_a_failed_append(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    assert_int_equal(open_writer(true, NULL, &engine), STATUS_OK);
    write_blocks(1, 4);
    noting.fail_removals = true;
    writer_remove_before(writer, 3);
    sleeper_prepare(&engine);
    writer_step(writer);
    sleeper_wait(&engine, SLEEPER_FOREVER);
    assert_int_equal(writer_failure(writer, &problem), STATUS_IO);
    assert_string_equal(problem.text, "the disk is gone");
    assert_int_equal(journal_first_no(&noting.journal), 1);
    send_block(5);
    writer_remove_before(writer, 4);
    assert_false(writer_step(writer));
    assert_int_equal(writer_durable_no(writer), 4);
    assert_int_equal(noting.appends_count, 4);
    assert_int_equal(noting.removals_count, 1);
    /* Nor does the journal take anything from anybody else. */
    assert_int_equal(journal_remove_before(&noting.journal, 4, &problem), STATUS_IO);
    assert_int_equal(noting.removals_count, 1);
}

static void after_a_failed_append_nothing_is_removed(void **state)
{
    (void)state;
    assert_int_equal(open_writer(true, NULL, NULL), STATUS_OK);
    write_blocks(1, 4);
    noting.fail_from_no = 5;
    send_block(5);
    writer_remove_before(writer, 3);
    assert_false(writer_step(writer));
    assert_int_equal(noting.removals_count, 0);
}

static void closing_does_the_removal_that_waits(void **state)
{
    (void)state;
    for (int threadless = 0; threadless < 2; threadless++) {
        noting = (struct noting_journal){.journal.ops = &noting_ops, .last_no = 6};
        struct writer_options options = {.journal = &noting.journal,
                                         .durable_no = 6,
                                         .cpu = WRITER_NO_CPU,
                                         .threadless = threadless == 1};
        assert_int_equal(writer_open(&options, &writer, &problem), STATUS_OK);
        writer_remove_before(writer, 6);
        writer_close(writer);
        writer = NULL;
        assert_int_equal(journal_first_no(&noting.journal), 6);
    }
}

/* With the thread. */

/* Sends blocks first_no to last_no as an engine would, asleep while it has to wait; ends early
 * when the journal thread failed. Returns the sum of all bytes sent. */
static uint64_t send_all(struct sleeper *engine, uint64_t last_no)
{
    uint64_t sum = 0;
    uint64_t sent_no = 0;
    uint64_t durable_no;
    /* Read before a buffer is asked for: what becomes durable behind that is news to wake up for.
     */
    while ((durable_no = writer_durable_no(writer)) < last_no &&
           writer_failure(writer, NULL) == STATUS_OK) {
        struct writer_buffer *buffer = sent_no < last_no ? writer_acquire(writer) : NULL;
        if (buffer != NULL) {
            sum += fill_and_send(buffer, ++sent_no);
            continue;
        }
        sleeper_prepare(engine);
        if (writer_durable_no(writer) > durable_no || writer_failure(writer, NULL) != STATUS_OK)
            sleeper_cancel(engine);
        else
            sleeper_wait(engine, SLEEPER_FOREVER);
    }
    return sum;
}

static void the_thread_writes_every_block_in_order(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    assert_int_equal(open_writer(false, NULL, &engine), STATUS_OK);
    uint64_t sum = send_all(&engine, 5000);
    assert_int_equal(writer_durable_no(writer), 5000);
    assert_int_equal(writer_blocks_in_flight(writer), 0);
    assert_int_equal(writer_counts(writer).syncs_count, noting.appends_count);
    assert_true(writer_counts(writer).cpu_ns > 0);
    assert_int_equal(noting.last_no, 5000);
    assert_int_equal(noting.bytes_sum, sum);
}

/* The thread of this process with that name; 0 for none. */
static pid_t find_thread(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    pid_t found = 0;
    const struct dirent *task;
    while ((task = readdir(tasks)) != NULL) {
        char path[PATH_MAX];
        char text[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(text, sizeof text, file) != NULL && strcmp(text, name) == 0)
            found = (pid_t)strtol(task->d_name, NULL, 10);
        fclose(file);
    }
    closedir(tasks);
    return found;
}

static void wait_until_asleep(pid_t thread)
{
    char path[PATH_MAX];
    char text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", (long)thread);
    while (strstr(text, ") S ") == NULL) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
        sched_yield();
    }
}

static void an_idle_thread_is_woken_for_a_removal(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    assert_int_equal(open_writer(false, NULL, &engine), STATUS_OK);
    send_all(&engine, 100);
    noting.fail_removals = true;
    wait_until_asleep(find_thread("fly-journal\n"));
    writer_remove_before(writer, 50);
    /* Its failure is what can be heard of it. */
    while (writer_failure(writer, &problem) == STATUS_OK) {
        sleeper_prepare(&engine);
        if (writer_failure(writer, NULL) != STATUS_OK)
            sleeper_cancel(&engine);
        else
            sleeper_wait(&engine, SLEEPER_FOREVER);
    }
    assert_string_equal(problem.text, "the disk is gone");
    assert_int_equal(noting.removals_count, 1);
}

static void a_failure_of_the_thread_is_heard_and_closing_ends(void **state)
{
    (void)state;
    struct sleeper engine;
    sleeper_init(&engine);
    noting.fail_from_no = 100;
    assert_int_equal(open_writer(false, NULL, &engine), STATUS_OK);
    send_all(&engine, 5000);
    assert_int_equal(writer_failure(writer, &problem), STATUS_NO_SPACE);
    assert_string_equal(problem.text, "the disk is full");
    assert_int_equal(writer_durable_no(writer), noting.last_no);
    assert_true(noting.last_no < 100);
    while (writer_acquire(writer) != NULL)
        assert_true(writer_blocks_in_flight(writer) > 0);
    writer_close(writer);
    writer = NULL;
}

static void the_thread_has_its_name_and_its_cpu(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    uint32_t cpu = 0;
    while (!CPU_ISSET(cpu, &allowed))
        cpu++;
    struct writer_options options = {.journal = &noting.journal, .cpu = cpu};
    assert_int_equal(writer_open(&options, &writer, &problem), STATUS_OK);
    pid_t thread = find_thread("fly-journal\n");
    assert_true(thread > 0);
    cpu_set_t used;
    assert_int_equal(sched_getaffinity(thread, sizeof used, &used), 0);
    assert_int_equal(CPU_COUNT(&used), 1);
    assert_true(CPU_ISSET(cpu, &used));
}

static void a_cpu_that_is_not_there_is_refused(void **state)
{
    (void)state;
    const uint32_t cpus[] = {CPU_SETSIZE - 1, CPU_SETSIZE, UINT32_MAX - 1};
    for (size_t index = 0; index < sizeof cpus / sizeof cpus[0]; index++) {
        struct writer_options options = {.journal = &noting.journal, .cpu = cpus[index]};
        assert_int_equal(writer_open(&options, &writer, &problem), STATUS_INVALID);
        assert_non_null(strstr(problem.text, "CPU"));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    sleeper_setup();
    const struct CMUnitTest tests[] = {
        TEST(a_block_is_durable_only_once_it_was_appended),
        TEST(numbers_go_on_from_the_last_recovered_block),
        TEST(all_blocks_that_wait_go_in_one_append),
        TEST(no_buffer_is_free_until_a_block_is_durable),
        TEST(every_buffer_holds_the_largest_block),
        TEST(the_watermark_moves_with_what_is_durable),
        TEST(after_a_failed_append_nothing_is_durable_or_written),
        TEST(a_journal_that_failed_once_is_never_asked_again),
        TEST(a_watermark_that_cannot_be_written_stops_it_too),
        TEST(the_engine_is_woken_by_success_and_by_failure),
        TEST(closing_writes_what_was_sent),
        TEST(a_removal_is_done_after_the_append_that_waits),
        TEST(a_removal_is_done_when_there_is_nothing_to_append),
        TEST(of_removals_that_wait_the_largest_is_done),
        TEST(a_failed_removal_stops_it_like_a_failed_append),
        TEST(after_a_failed_append_nothing_is_removed),
        TEST(closing_does_the_removal_that_waits),
        TEST(the_thread_writes_every_block_in_order),
        TEST(an_idle_thread_is_woken_for_a_removal),
        TEST(a_failure_of_the_thread_is_heard_and_closing_ends),
        TEST(the_thread_has_its_name_and_its_cpu),
        TEST(a_cpu_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
