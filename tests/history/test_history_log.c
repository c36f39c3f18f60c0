#include "tests/damage.h"
#include "tests/history/rig.h"

#include <signal.h>
#include <sys/resource.h>

#include "engine/history/history.h"
#include "engine/history/segment.h"
#include "storage/directory.h"

#define SAGAS_A_BLOCK 40u

static char directory[PATH_MAX], folder[PATH_MAX];
static struct rig_chunk chunk;
static struct history_log_found found;
static struct problem problem;

static int set_up(void **state)
{
    (void)state;
    scratch_make(directory);
    scratch_path(folder, directory, "history");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(directory);
    return 0;
}

/* Block n starts sagas n * 1000 + ... and ends those of block n - 1. Block 1 tells the dictionary.
 */
static void make_block(uint64_t block_no)
{
    rig_begin(&chunk, (int64_t)block_no * 10);
    if (block_no == 1) {
        rig_note(&chunk,
                 &(struct note){.kind = NOTE_PLAN,
                                .plan = {.plan = 5, .version = 2, .name = rig_text("order")}});
        rig_note(&chunk, &(struct note){.kind = NOTE_ERROR,
                                        .error = {.error = 9, .name = rig_text("Shop.Closed")}});
    }
    for (uint32_t i = 0; i < SAGAS_A_BLOCK; i++)
        rig_note(&chunk, &(struct note){.kind = NOTE_STARTED,
                                        .saga_id = block_no * 1000 + i,
                                        .started = {.plan = 5, .branch = i}});
    for (uint32_t i = 0; i < SAGAS_A_BLOCK && block_no > 1; i++)
        rig_note(&chunk, &(struct note){.kind = NOTE_ENDED,
                                        .saga_id = (block_no - 1) * 1000 + i,
                                        .ended = {.plan = 5,
                                                  .outcome = 2,
                                                  .error = 9,
                                                  .steps_count = 3,
                                                  .started_ms = (int64_t)block_no * 10 - 10}});
}

static void append_blocks(struct history_log *log, uint64_t first_no, uint64_t last_no)
{
    for (uint64_t block_no = first_no; block_no <= last_no; block_no++) {
        make_block(block_no);
        rig_append(log, block_no, &chunk);
    }
}

/* A log of blocks 1 to last_no, closed. */
static void write_blocks(uint64_t last_no)
{
    struct history_log *log = rig_open(directory, 0, &found);
    append_blocks(log, 1, last_no);
    assert_int_equal(history_log_sync(log, &problem), STATUS_OK);
    history_log_close(log);
}

/* All sagas of blocks first_no to last_no - 1 are there, whole; and none after that. */
static void check_sagas(uint64_t first_no, uint64_t last_no)
{
    struct history *history;
    struct history_saga saga;
    assert_int_equal(history_open(directory, &history, &problem), STATUS_OK);
    for (uint64_t block_no = first_no; block_no <= last_no; block_no++) {
        uint64_t saga_id = block_no * 1000 + block_no % SAGAS_A_BLOCK;
        assert_int_equal(history_find(history, saga_id, &saga, &problem), STATUS_OK);
        assert_true(saga.has_start);
        assert_int_equal(saga.has_end, block_no < last_no);
        assert_string_equal(saga.definition, "order");
        assert_int_equal(saga.version, 2);
        assert_string_equal(saga.error_name, saga.has_end ? "Shop.Closed" : "");
        assert_int_equal(saga.blocks[0], block_no);
        assert_int_equal(saga.blocks_count, saga.has_end ? 2 : 1);
    }
    assert_int_equal(history_find(history, (last_no + 1) * 1000, &saga, &problem),
                     STATUS_NOT_FOUND);
    struct history_counts counts;
    assert_int_equal(history_count(history, &counts, &problem), STATUS_OK);
    assert_int_equal(counts.last_no, last_no);
    if (first_no == 1)
        assert_int_equal(counts.ended_counts[2], (last_no - 1) * SAGAS_A_BLOCK);
    assert_int_equal(history_damaged_count(history), 0);
    history_close(history);
}

static uint32_t list(uint64_t *ret_first_nos, uint32_t capacity)
{
    uint64_t *first_nos;
    uint32_t count;
    assert_int_equal(segment_list(folder, &first_nos, &count, &problem), STATUS_OK);
    assert_true(count <= capacity);
    memcpy(ret_first_nos, first_nos, count * sizeof *first_nos);
    free(first_nos);
    return count;
}

static void path_of(char path[PATH_MAX], uint64_t first_no)
{
    assert_int_equal(segment_path(path, folder, first_no, &problem), STATUS_OK);
}

static void a_new_one_covers_nothing(void **state)
{
    (void)state;
    struct history_log *log = rig_open(directory, 0, &found);
    assert_int_equal(found.covered_no, 0);
    assert_int_equal(found.gap_first_no, 0);
    assert_string_equal(found.text, "");
    history_log_close(log);
    log = rig_open(directory, 70, &found);
    assert_int_equal(found.gap_first_no, 1);
    assert_int_equal(found.gap_last_no, 70);
    assert_non_null(strstr(found.text, "1 to 70"));
    history_log_close(log);
}

static void what_was_appended_is_found_in_many_segments(void **state)
{
    (void)state;
    write_blocks(400);
    uint64_t first_nos[64];
    assert_true(list(first_nos, 64) > 5);
    check_sagas(1, 400);
    struct history_log *log = rig_open(directory, 400, &found);
    assert_int_equal(found.covered_no, 400);
    assert_int_equal(found.first_no, 1);
    assert_string_equal(found.text, "");
    append_blocks(log, 401, 450);
    history_log_close(log);
    check_sagas(1, 450);
}

static void reopening_drops_what_the_replay_appends_again(void **state)
{
    (void)state;
    static const uint64_t after_nos[] = {399, 390, 301, 300, 150, 37, 1, 0};
    write_blocks(400);
    for (uint32_t i = 0; i < sizeof after_nos / sizeof after_nos[0]; i++) {
        uint64_t after_no = after_nos[i];
        struct history_log *log = rig_open(directory, after_no, &found);
        assert_int_equal(found.covered_no, after_no);
        assert_int_equal(found.gap_first_no, 0);
        if (after_no > 0)
            check_sagas(1, after_no);
        append_blocks(log, after_no + 1, 400);
        history_log_close(log);
        check_sagas(1, 400);
    }
}

static void reopening_at_every_segment_edge_loses_nothing(void **state)
{
    (void)state;
    write_blocks(200);
    uint64_t first_nos[64];
    uint32_t count = list(first_nos, 64);
    for (uint32_t i = count; i-- > 1;) {
        for (uint64_t before = 0; before < 2; before++) {
            uint64_t after_no = first_nos[i] - before;
            struct history_log *log = rig_open(directory, after_no, &found);
            assert_int_equal(found.covered_no, after_no);
            assert_string_equal(found.text, "");
            append_blocks(log, after_no + 1, 200);
            history_log_close(log);
            check_sagas(1, 200);
        }
    }
}

static void a_last_chunk_cut_at_any_byte_is_a_gap_and_no_more(void **state)
{
    (void)state;
    write_blocks(11);
    char path[PATH_MAX];
    path_of(path, 1);
    size_t whole = damage_file_bytes(path);
    make_block(11);
    size_t last_bytes = CHUNK_HEADER_BYTES + chunk.bytes_count;
    for (size_t cut = 1; cut <= last_bytes; cut++) {
        assert_int_equal(truncate(path, (off_t)(whole - cut)), 0);
        if (cut % 64 == 1)
            check_sagas(1, 10); /* a reader takes the torn chunk for the end */
        struct history_log *log = rig_open(directory, 11, &found);
        assert_int_equal(found.covered_no, 10);
        assert_int_equal(found.gap_first_no, 11);
        assert_int_equal(found.gap_last_no, 11);
        assert_int_equal(found.bad_count, 0);
        append_blocks(log, 11, 11);
        history_log_close(log);
        assert_int_equal(damage_file_bytes(path), whole);
    }
    check_sagas(1, 11);
}

static void a_flipped_bit_in_the_open_segment_ends_it_there(void **state)
{
    (void)state;
    write_blocks(11);
    char path[PATH_MAX];
    path_of(path, 1);
    size_t whole = damage_file_bytes(path);
    make_block(11);
    size_t last_bytes = CHUNK_HEADER_BYTES + chunk.bytes_count;
    for (size_t back = 1; back <= last_bytes; back++) {
        if (back > 8 && back <= chunk.bytes_count && back % 7 != 0)
            continue;
        damage_flip(path, whole - back, (uint8_t)(1u << back % 8));
        struct history_log *log = rig_open(directory, 11, &found);
        assert_int_equal(found.gap_first_no, 11);
        append_blocks(log, 11, 11);
        history_log_close(log);
    }
    check_sagas(1, 11);
}

static void a_gap_is_closed_by_appending_its_blocks(void **state)
{
    (void)state;
    write_blocks(100);
    struct history_log *log = rig_open(directory, 120, &found);
    assert_int_equal(found.covered_no, 100);
    assert_int_equal(found.gap_first_no, 101);
    assert_int_equal(found.gap_last_no, 120);
    append_blocks(log, 101, 130);
    history_log_close(log);
    check_sagas(1, 130);
}

static void a_gap_may_be_left(void **state)
{
    (void)state;
    write_blocks(100);
    struct history_log *log = rig_open(directory, 120, &found);
    append_blocks(log, 121, 130);
    history_log_close(log);
    check_sagas(121, 130);
    log = rig_open(directory, 130, &found);
    assert_string_equal(found.text, "");
    history_log_close(log);
}

/* Sets aside, says so, and goes on with the rest. */
static void check_set_aside(uint64_t first_no, uint64_t next_no)
{
    struct history_log *log = rig_open(directory, 200, &found);
    assert_int_equal(found.bad_count, 1);
    assert_int_equal(found.bad_first_no, first_no);
    assert_int_equal(found.bad_last_no, next_no - 1);
    assert_int_equal(found.covered_no, 200);
    assert_non_null(strstr(found.text, "set aside"));
    char path[PATH_MAX], bad_path[PATH_MAX];
    path_of(path, first_no);
    assert_true(snprintf(bad_path, sizeof bad_path, "%s.bad", path) < PATH_MAX);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(bad_path, F_OK), 0);
    append_blocks(log, 201, 201);
    history_log_close(log);
    check_sagas(next_no, 201);
    log = rig_open(directory, 200, &found);
    assert_int_equal(found.bad_count, 0);
    history_log_close(log);
    assert_int_equal(rename(bad_path, path), 0);
}

static void a_sealed_segment_with_a_broken_footer_is_set_aside(void **state)
{
    (void)state;
    write_blocks(200);
    uint64_t first_nos[64];
    assert_true(list(first_nos, 64) > 3);
    char path[PATH_MAX];
    path_of(path, first_nos[1]);
    size_t bytes = damage_file_bytes(path);
    struct segment_summary summary;
    int file = open(path, O_RDONLY);
    assert_int_equal(segment_read_summary(file, bytes, &summary), STATUS_OK);
    close(file);
    assert_true(summary.chunks_end > SEGMENT_BYTES && summary.lines_count <= 64);
    for (size_t at = summary.chunks_end; at<bytes; at += at + 32> bytes ? 1 : 29) {
        damage_flip(path, at, (uint8_t)(1u << at % 8));
        check_set_aside(first_nos[1], first_nos[2]);
        damage_flip(path, at, (uint8_t)(1u << at % 8));
    }
    damage_flip(path, 3, 1); /* the header */
    check_set_aside(first_nos[1], first_nos[2]);
    damage_flip(path, 3, 1);
    for (size_t cut = 1; bytes - cut > SEGMENT_BYTES; cut += 97) {
        uint8_t *tail = malloc(cut);
        assert_non_null(tail);
        file = open(path, O_RDWR);
        assert_int_equal(pread(file, tail, cut, (off_t)(bytes - cut)), cut);
        assert_int_equal(ftruncate(file, (off_t)(bytes - cut)), 0);
        check_set_aside(first_nos[1], first_nos[2]);
        assert_int_equal(pwrite(file, tail, cut, (off_t)(bytes - cut)), cut);
        close(file);
        free(tail);
    }
    check_sagas(1, 200);
}

static void a_newest_segment_with_a_broken_footer_is_read_anew(void **state)
{
    (void)state;
    write_blocks(200);
    uint64_t first_nos[64], last_no = 0;
    uint32_t count = list(first_nos, 64);
    char path[PATH_MAX];
    path_of(path, first_nos[count - 1]);
    assert_int_equal(unlink(path), 0);
    last_no = first_nos[count - 1] - 1;
    path_of(path, first_nos[count - 2]);
    damage_flip(path, damage_file_bytes(path) - 20, 1);
    struct history_log *log = rig_open(directory, last_no, &found);
    assert_int_equal(found.covered_no, last_no);
    assert_string_equal(found.text, "");
    append_blocks(log, last_no + 1, 200);
    history_log_close(log);
    check_sagas(1, 200);
}

static void a_newest_file_that_is_no_segment_is_set_aside_or_removed(void **state)
{
    (void)state;
    write_blocks(200);
    char path[PATH_MAX];
    path_of(path, 201);
    int file = open(path, O_WRONLY | O_CREAT, 0666);
    assert_int_equal(write(file, "FLYNOTES and then?", 18), 18);
    close(file);
    /* The one before it was never sealed: it is set aside as well. */
    struct history_log *log = rig_open(directory, 201, &found);
    assert_int_equal(found.bad_count, 2);
    assert_int_equal(found.bad_last_no, 201);
    assert_true(found.gap_first_no > 0);
    assert_int_equal(found.gap_last_no, 201);
    history_log_close(log);
}

static void a_segment_made_but_not_filled_is_removed(void **state)
{
    (void)state;
    write_blocks(200);
    uint64_t first_nos[64];
    uint32_t count = list(first_nos, 64);
    char path[PATH_MAX];
    path_of(path, first_nos[count - 1]);
    assert_int_equal(truncate(path, SEGMENT_HEADER_BYTES + 70), 0); /* header and dictionary */
    struct history_log *log = rig_open(directory, 200, &found);
    assert_int_equal(found.covered_no, first_nos[count - 1] - 1);
    assert_int_equal(found.bad_count, 0);
    assert_int_equal(access(path, F_OK), -1);
    append_blocks(log, found.covered_no + 1, 200);
    history_log_close(log);
    check_sagas(1, 200);
}

static void blocks_without_notes_are_covered_once_synced(void **state)
{
    (void)state;
    struct history_log *log = rig_open(directory, 0, &found);
    append_blocks(log, 1, 3);
    for (uint64_t block_no = 4; block_no <= 90; block_no++)
        assert_int_equal(history_log_append(log, block_no, 900, NULL, 0, 0, &problem), STATUS_OK);
    assert_int_equal(history_log_covered_no(log), 90);
    assert_int_equal(history_log_sync(log, &problem), STATUS_OK);
    history_log_close(log);
    log = rig_open(directory, 90, &found);
    assert_int_equal(found.covered_no, 90);
    history_log_close(log);
    /* A later block that was there tells that all before it were covered. */
    log = rig_open(directory, 50, &found);
    assert_int_equal(found.covered_no, 50);
    assert_int_equal(found.gap_first_no, 0);
    history_log_close(log);
}

/* The sealed segment tells that it covers them; cut back among them it still does. */
static void blocks_without_notes_at_the_end_of_a_sealed_segment_are_covered(void **state)
{
    (void)state;
    struct history_log *log = rig_open(directory, 0, &found);
    uint64_t last_no = 0;
    while (history_log_bytes(log) < SEGMENT_BYTES) {
        last_no++;
        append_blocks(log, last_no, last_no);
    }
    for (uint64_t block_no = last_no + 1; block_no <= last_no + 50; block_no++)
        assert_int_equal(history_log_append(log, block_no, 900, NULL, 0, 0, &problem), STATUS_OK);
    append_blocks(log, last_no + 51, last_no + 60);
    history_log_close(log);
    for (uint64_t after_no = last_no + 50; after_no >= last_no + 40; after_no -= 5) {
        log = rig_open(directory, after_no, &found);
        assert_int_equal(found.covered_no, after_no);
        assert_int_equal(found.gap_first_no, 0);
        assert_int_equal(history_log_sync(log, &problem), STATUS_OK);
        history_log_close(log);
    }
}

static void old_segments_are_removed_by_block_size_and_time(void **state)
{
    (void)state;
    struct history_log *log = rig_open(directory, 0, &found);
    append_blocks(log, 1, 400);
    uint64_t first_nos[64], first_no = 0;
    uint32_t count = list(first_nos, 64);
    assert_int_equal(history_log_drop_before(log, first_nos[2] - 1, &first_no, &problem),
                     STATUS_OK);
    assert_int_equal(first_no, first_nos[1]);
    assert_int_equal(history_log_drop_before(log, first_nos[2], &first_no, &problem), STATUS_OK);
    assert_int_equal(first_no, first_nos[2]);
    check_sagas(first_nos[2], 400);
    assert_int_equal(history_log_retain(log, 0, (int64_t)first_nos[4] * 10, &first_no, &problem),
                     STATUS_OK);
    assert_int_equal(first_no, first_nos[4]);
    uint64_t bytes = history_log_bytes(log);
    assert_int_equal(history_log_retain(log, bytes, INT64_MIN, &first_no, &problem), STATUS_OK);
    assert_int_equal(first_no, first_nos[4]);
    assert_int_equal(history_log_retain(log, bytes - 1, INT64_MIN, &first_no, &problem), STATUS_OK);
    assert_int_equal(first_no, first_nos[5]);
    assert_true(history_log_bytes(log) < bytes);
    check_sagas(first_nos[5], 400);
    /* The one being written stays. */
    assert_int_equal(history_log_retain(log, 1, INT64_MAX, &first_no, &problem), STATUS_OK);
    assert_int_equal(first_no, first_nos[count - 1]);
    append_blocks(log, 401, 410);
    history_log_close(log);
    check_sagas(first_nos[count - 1], 410);
    log = rig_open(directory, 410, &found);
    assert_int_equal(found.first_no, first_nos[count - 1]);
    history_log_close(log);
}

static bool has_bad(uint64_t first_no, const char *between)
{
    char path[PATH_MAX], bad[PATH_MAX + 16];
    path_of(path, first_no);
    snprintf(bad, sizeof bad, "%s%s.bad", path, between);
    return access(bad, F_OK) == 0;
}

static void what_was_set_aside_goes_with_what_stands_around_it(void **state)
{
    (void)state;
    write_blocks(400);
    uint64_t first_nos[64], first_no = 0;
    uint32_t count = list(first_nos, 64);
    static const uint32_t damaged[] = {1, 3, 5};
    for (uint32_t i = 0; i < 3; i++) {
        char path[PATH_MAX];
        path_of(path, first_nos[damaged[i]]);
        damage_flip(path, damage_file_bytes(path) - 20, 1);
        /* As if the first was set aside twice. */
        if (i > 0)
            continue;
        char again[PATH_MAX + 16];
        snprintf(again, sizeof again, "%s-2.bad", path);
        assert_int_equal(link(path, again), 0);
    }
    struct history_log *log = rig_open(directory, 400, &found);
    assert_int_equal(found.bad_count, 3);
    /* Its last block may be the one before the next. */
    assert_int_equal(history_log_drop_before(log, first_nos[2] - 1, &first_no, &problem),
                     STATUS_OK);
    assert_true(has_bad(first_nos[1], "") && has_bad(first_nos[1], "-2"));
    assert_int_equal(history_log_drop_before(log, first_nos[2], &first_no, &problem), STATUS_OK);
    assert_false(has_bad(first_nos[1], "") || has_bad(first_nos[1], "-2"));
    assert_true(has_bad(first_nos[3], "") && has_bad(first_nos[5], ""));
    assert_int_equal(history_log_retain(log, 0, (int64_t)first_nos[4] * 10, &first_no, &problem),
                     STATUS_OK);
    assert_int_equal(first_no, first_nos[4]);
    assert_false(has_bad(first_nos[3], ""));
    assert_true(has_bad(first_nos[5], ""));
    assert_int_equal(history_log_retain(log, 1, INT64_MAX, &first_no, &problem), STATUS_OK);
    assert_int_equal(first_no, first_nos[count - 1]);
    assert_false(has_bad(first_nos[5], ""));
    history_log_close(log);
    check_sagas(first_nos[count - 1], 400);
}

/* A file size limit fails writes as a full disk does. */
static void a_full_disk_is_said_and_leaves_whole_chunks(void **state)
{
    (void)state;
    struct history_log *log = rig_open(directory, 0, &found);
    append_blocks(log, 1, 12);
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    make_block(13);
    char path[PATH_MAX];
    path_of(path, 1);
    size_t bytes = damage_file_bytes(path);
    static const size_t rooms[] = {0, 10, CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + 50};
    for (uint32_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        low = (struct rlimit){bytes + rooms[i], old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        assert_int_equal(history_log_append(log, 13, 130, chunk.bytes, chunk.bytes_count,
                                            chunk.notes_count, &problem),
                         STATUS_NO_SPACE);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_non_null(strstr(problem.text, path));
        assert_int_equal(damage_file_bytes(path), bytes);
        assert_int_equal(history_log_covered_no(log), 12);
    }
    append_blocks(log, 13, 60);
    /* Nor does one that is full while a segment is sealed harm it. */
    uint64_t first_nos[64];
    uint32_t count = list(first_nos, 64);
    path_of(path, first_nos[count - 1]);
    uint64_t block_no = 61;
    for (; damage_file_bytes(path) < SEGMENT_BYTES; block_no++)
        append_blocks(log, block_no, block_no);
    bytes = damage_file_bytes(path);
    make_block(block_no);
    low = (struct rlimit){bytes + 100, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(history_log_append(log, block_no, 130, chunk.bytes, chunk.bytes_count,
                                            chunk.notes_count, &problem),
                         STATUS_NO_SPACE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(damage_file_bytes(path), bytes);
    append_blocks(log, block_no, 200);
    history_log_close(log);
    check_sagas(1, 200);
    log = rig_open(directory, 200, &found);
    assert_string_equal(found.text, "");
    history_log_close(log);
}

static void a_reader_that_stays_sees_what_was_written_anew(void **state)
{
    (void)state;
    write_blocks(200);
    struct history *history;
    struct history_saga saga;
    assert_int_equal(history_open(directory, &history, &problem), STATUS_OK);
    assert_int_equal(history_find(history, 20000, &saga, &problem), STATUS_OK);
    /* Another life after block 10: a hundred times the ids. */
    struct history_log *log = rig_open(directory, 10, &found);
    for (uint64_t block_no = 11; block_no <= 200; block_no++) {
        make_block(block_no * 100);
        rig_append(log, block_no, &chunk);
    }
    history_log_close(log);
    /* First what the reader would pass over by what it knows of the file. */
    assert_int_equal(history_find(history, 2000000, &saga, &problem), STATUS_OK);
    assert_int_equal(saga.blocks[0], 20);
    assert_int_equal(history_find(history, 20000, &saga, &problem), STATUS_NOT_FOUND);
    assert_int_equal(history_find(history, 9005, &saga, &problem), STATUS_OK);
    history_close(history);
}

static void a_directory_that_is_missing_is_said(void **state)
{
    (void)state;
    char path[PATH_MAX];
    scratch_path(path, directory, "none");
    struct history_log *log = NULL;
    struct history_log_options options = {.directory = path};
    assert_int_equal(history_log_open(&options, &log, &found, &problem), STATUS_NOT_FOUND);
    assert_null(log);
    assert_non_null(strstr(problem.text, path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_one_covers_nothing),
        TEST(what_was_appended_is_found_in_many_segments),
        TEST(reopening_drops_what_the_replay_appends_again),
        TEST(reopening_at_every_segment_edge_loses_nothing),
        TEST(a_last_chunk_cut_at_any_byte_is_a_gap_and_no_more),
        TEST(a_flipped_bit_in_the_open_segment_ends_it_there),
        TEST(a_gap_is_closed_by_appending_its_blocks),
        TEST(a_gap_may_be_left),
        TEST(a_sealed_segment_with_a_broken_footer_is_set_aside),
        TEST(a_newest_segment_with_a_broken_footer_is_read_anew),
        TEST(a_newest_file_that_is_no_segment_is_set_aside_or_removed),
        TEST(a_segment_made_but_not_filled_is_removed),
        TEST(blocks_without_notes_are_covered_once_synced),
        TEST(blocks_without_notes_at_the_end_of_a_sealed_segment_are_covered),
        TEST(old_segments_are_removed_by_block_size_and_time),
        TEST(what_was_set_aside_goes_with_what_stands_around_it),
        TEST(a_full_disk_is_said_and_leaves_whole_chunks),
        TEST(a_reader_that_stays_sees_what_was_written_anew),
        TEST(a_directory_that_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
