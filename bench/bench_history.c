/*
 * bench_history: what the index of finished sagas costs to write, and how soon one is found in it.
 *
 * Blocks as at a million sagas a second: each starts 2,500 and ends those of two blocks before, a
 * little out of order. One saga in 16 has a name, one in 8 a second branch, one in 64 failed, one
 * in 1,000 lives on for 400 blocks; one in a million is stuck, one definition is used once, and one
 * saga lives all the time. Encoding is timed alone; appending with all that seals a segment;
 * readers find the files in the page cache as far as it has room.
 */
#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"
#include "engine/base/clock.h"
#include "engine/history/history.h"
#include "engine/history/history_log.h"

#define SAGAS_DEFAULT  5000000u
#define SAGAS_QUICK    500000u
#define SAGAS_MAX      1000000000u
#define SAGAS_A_BLOCK  2500u
#define BLOCKS_BEHIND  2u
#define BLOCKS_LONG    400u /* that a long saga lives */
#define LONG_EVERY     1000u
#define NAME_EVERY     16u
#define STUCK_EVERY    1000000u
#define HOLE_EVERY     1000000u /* ids; then HOLE_IDS of them were never given */
#define HOLE_IDS       128u
#define NOTES_MAX      (SAGAS_A_BLOCK * 4)
#define FINDS_COUNT    200u
#define PAGE_ENTRIES   20u
#define FIRST_MS       1700000000000
#define BLOCK_MS       3
#define RARE_PLAN      3u
#define ANCIENT_ID     0u /* of the saga that lives all the time */
#define OUTCOME_OK     1u
#define OUTCOME_FAILED 3u
#define OUTCOME_STUCK  4u

struct world {
    struct measure *measure;
    uint64_t sagas_count;
    uint64_t blocks_count;
    char directory[256];
    struct history_log *log;
    struct note notes[NOTES_MAX];
    char names[NOTES_MAX][32];
    uint8_t *chunk; /* NOTES_MAX * NOTE_BYTES_MAX */
    uint64_t encode_ns, append_cpu_ns, append_ns, append_ns_max, notes_count, notes_bytes;
};

static struct world world;

static uint64_t id_of(uint64_t saga)
{
    return 1 + saga + saga / HOLE_EVERY * HOLE_IDS;
}

static uint64_t scatter(uint64_t number)
{
    number *= 0x9e3779b97f4a7c15u;
    return number ^ number >> 29;
}

static int64_t time_of_block(uint64_t block_no)
{
    return FIRST_MS + (int64_t)block_no * BLOCK_MS;
}

/* ---- the notes of a block ------------------------------------------------------------------- */

static struct note *add_note(enum note_kind kind, uint32_t *count, uint64_t saga)
{
    assert(*count < NOTES_MAX);
    struct note *note = &world.notes[(*count)++];
    *note = (struct note){.kind = kind, .saga_id = id_of(saga)};
    return note;
}

static uint16_t plan_of(uint64_t saga)
{
    return saga == world.sagas_count / 2 ? RARE_PLAN : (uint16_t)(scatter(saga) % 3);
}

static void start_saga(uint64_t saga, uint32_t *count)
{
    struct note *note = add_note(NOTE_STARTED, count, saga);
    note->started.plan = plan_of(saga);
    note->started.branch = (uint32_t)(saga % 65536);
    if (saga % NAME_EVERY == 0) {
        char *name = world.names[*count - 1];
        int bytes = snprintf(name, sizeof world.names[0], "order-%llu", (unsigned long long)saga);
        note->started.name = (struct flyover_bytes){(const uint8_t *)name, (uint32_t)bytes};
    }
    if (saga % 8 == 0)
        add_note(NOTE_BRANCH, count, saga)->branch.branch = (uint32_t)(65536 + saga % 4096);
}

static void end_saga(uint64_t saga, uint64_t started_no, uint32_t *count)
{
    struct note *note = add_note(NOTE_ENDED, count, saga);
    note->ended.plan = plan_of(saga);
    note->ended.outcome = OUTCOME_OK;
    note->ended.error = NOTE_NO_ERROR;
    note->ended.steps_count = 4;
    note->ended.started_ms = time_of_block(started_no);
    if (saga % 64 == 5) {
        note->ended.outcome = OUTCOME_FAILED;
        note->ended.error = (uint8_t)(saga / 64 % 4);
    } else if (saga % STUCK_EVERY == 77) {
        note->ended.outcome = OUTCOME_STUCK;
        note->ended.error = 4;
    }
}

static void tell_meanings(uint32_t *count)
{
    static const char *const plans[] = {"order", "refund", "ship", "rare"};
    static const char *const errors[] = {"Payment.Declined", "Inventory.Short", "States.Timeout",
                                         "Mail.Bounced", "Stuck.Error"};
    for (uint16_t i = 0; i < 4; i++) {
        struct note *note = add_note(NOTE_PLAN, count, 0);
        note->plan.plan = i;
        note->plan.version = 1;
        note->plan.name =
            (struct flyover_bytes){(const uint8_t *)plans[i], (uint32_t)strlen(plans[i])};
    }
    for (uint8_t i = 0; i < 5; i++) {
        struct note *note = add_note(NOTE_ERROR, count, 0);
        note->error.error = i;
        note->error.name =
            (struct flyover_bytes){(const uint8_t *)errors[i], (uint32_t)strlen(errors[i])};
    }
}

static bool is_long(uint64_t saga)
{
    return saga % LONG_EVERY == 9;
}

/* The ends of the sagas that block `started_no` started, in blocks of 16 backwards. */
static void end_block(uint64_t started_no, bool long_ones, uint32_t *count)
{
    uint64_t first = (started_no - 1) * SAGAS_A_BLOCK;
    for (uint64_t i = 0; i < SAGAS_A_BLOCK; i++) {
        uint64_t saga = first + (i / 16 * 16 + 15 < SAGAS_A_BLOCK ? (i ^ 15) : i);
        if (is_long(saga) == long_ones && saga < world.sagas_count)
            end_saga(saga, started_no, count);
    }
}

static uint32_t make_notes(uint64_t block_no)
{
    uint32_t count = 0;
    if (block_no == 1)
        tell_meanings(&count);
    if (block_no % HISTORY_GAP_BLOCKS == 1) {
        struct note *note = add_note(block_no == 1 ? NOTE_STARTED : NOTE_TOUCHED, &count, 0);
        note->saga_id = ANCIENT_ID;
    }
    for (uint64_t i = 0; i < SAGAS_A_BLOCK; i++) {
        uint64_t saga = (block_no - 1) * SAGAS_A_BLOCK + i;
        if (saga < world.sagas_count)
            start_saga(saga, &count);
    }
    if (block_no > BLOCKS_BEHIND)
        end_block(block_no - BLOCKS_BEHIND, false, &count);
    if (block_no > BLOCKS_LONG)
        end_block(block_no - BLOCKS_LONG, true, &count);
    return count;
}

static void write_block(uint64_t block_no)
{
    uint32_t count = make_notes(block_no);
    struct note_coder coder;
    struct problem problem = {0};
    uint64_t start_cpu_ns = clock_thread_cpu_ns();
    note_coder_init(&coder, time_of_block(block_no));
    uint8_t *at = world.chunk;
    for (uint32_t i = 0; i < count; i++)
        at = note_encode(&coder, &world.notes[i], at);
    uint64_t encoded_cpu_ns = clock_thread_cpu_ns(), start_ns = clock_now_ns();
    size_t bytes = (size_t)(at - world.chunk);
    if (history_log_append(world.log, block_no, time_of_block(block_no), world.chunk, bytes, count,
                           &problem) != STATUS_OK)
        measure_fail(world.measure, &problem);
    uint64_t took_ns = clock_now_ns() - start_ns;
    world.encode_ns += encoded_cpu_ns - start_cpu_ns;
    world.append_cpu_ns += clock_thread_cpu_ns() - encoded_cpu_ns;
    world.append_ns += took_ns;
    if (took_ns > world.append_ns_max)
        world.append_ns_max = took_ns;
    world.notes_count += count;
    world.notes_bytes += bytes;
}

static void measure_writing(void)
{
    struct history_log_options options = {.directory = world.directory};
    struct history_log_found found;
    struct problem problem = {0};
    if (history_log_open(&options, &world.log, &found, &problem) != STATUS_OK)
        measure_fail(world.measure, &problem);
    world.encode_ns = world.append_cpu_ns = world.append_ns = world.append_ns_max = 0;
    world.notes_count = world.notes_bytes = 0;
    for (uint64_t block_no = 1; block_no <= world.blocks_count; block_no++)
        write_block(block_no);
    uint64_t start_ns = clock_now_ns();
    if (history_log_sync(world.log, &problem) != STATUS_OK)
        measure_fail(world.measure, &problem);
    uint64_t sync_ns = clock_now_ns() - start_ns;
    double bytes = (double)history_log_bytes(world.log), sagas = (double)world.sagas_count;
    history_log_close(world.log);
    struct measure *measure = world.measure;
    measure_add(measure, (double)world.encode_ns / (double)world.notes_count, "CPU ns a note",
                "note_encode, all kinds as they come");
    measure_add(measure, (double)world.notes_bytes / (double)world.notes_count, "bytes a note",
                "notes");
    measure_add(measure, bytes / sagas, "bytes a saga", "on disk");
    measure_add(measure, bytes / 1e6, "MB", "on disk, all");
    measure_add(measure, bytes / (double)world.append_ns * 1e3, "MB/s",
                "history_log_append and seals, written");
    measure_add(measure, (double)world.append_cpu_ns / sagas, "CPU ns a saga",
                "history_log_append and seals");
    measure_add(measure, (double)world.append_ns_max / 1e6, "ms",
                "history_log_append, the longest");
    measure_add(measure, (double)sync_ns / 1e6, "ms", "history_log_sync at the end");
}

/* ---- one kind of note ----------------------------------------------------------------------- */

static void measure_kind(enum note_kind kind)
{
    uint32_t count = 0;
    for (uint64_t i = 0; i < SAGAS_A_BLOCK; i++) {
        struct note *note = add_note(kind, &count, 100000000 + i);
        if (kind == NOTE_STARTED)
            note->started.branch = (uint32_t)(scatter(i) % 65536);
        else if (kind == NOTE_BRANCH)
            note->branch.branch = (uint32_t)(scatter(i) % 65536);
        else
            note->ended = (__typeof__(note->ended)){
                .outcome = OUTCOME_OK,
                .error = NOTE_NO_ERROR,
                .steps_count = 4,
                .started_ms = FIRST_MS - (int64_t)(scatter(i) % 50),
            };
    }
    uint64_t start_ns = clock_thread_cpu_ns(), rounds = 400;
    uint8_t *at = world.chunk;
    for (uint64_t round = 0; round < rounds; round++) {
        struct note_coder coder;
        note_coder_init(&coder, FIRST_MS);
        at = world.chunk;
        for (uint32_t i = 0; i < count; i++)
            at = note_encode(&coder, &world.notes[i], at);
        measure_keep((uint64_t)at[-1]);
    }
    uint64_t encoded_ns = clock_thread_cpu_ns();
    struct note note;
    for (uint64_t round = 0; round < rounds; round++) {
        struct note_coder coder;
        note_coder_init(&coder, FIRST_MS);
        for (const uint8_t *from = world.chunk; from != at;)
            from = note_decode(&coder, from, at, &note);
        measure_keep(note.saga_id);
    }
    uint64_t end_ns = clock_thread_cpu_ns();
    double notes = (double)(rounds * count);
    const char *text = note_kind_text(kind);
    measure_add(world.measure, (double)(encoded_ns - start_ns) / notes, "CPU ns a note",
                "note_encode, \"%s\"", text);
    measure_add(world.measure, (double)(end_ns - encoded_ns) / notes, "CPU ns a note",
                "note_decode, \"%s\"", text);
    measure_add(world.measure, (double)(at - world.chunk) / count, "bytes a note",
                "\"%s\", consecutive sagas", text);
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct history *open_reader(void)
{
    struct history *history = NULL;
    struct problem problem = {0};
    if (history_open(world.directory, &history, &problem) != STATUS_OK)
        measure_fail(world.measure, &problem);
    return history;
}

static uint64_t find_ns(struct history *history, uint64_t saga_id, bool is_there)
{
    struct history_saga saga;
    struct problem problem = {0};
    uint64_t start_ns = clock_now_ns();
    enum status status = history_find(history, saga_id, &saga, &problem);
    uint64_t took_ns = clock_now_ns() - start_ns;
    if (status != (is_there ? STATUS_OK : STATUS_NOT_FOUND))
        measure_fail(world.measure, &problem);
    return took_ns;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The index-th id that is asked for: of sagas first + 0 .. first + range - 1, or with a range of 0
 * of a hole in the ids. */
static uint64_t pick_id(uint64_t index, uint64_t first, uint64_t range)
{
    if (range != 0)
        return id_of(first + scatter(index) % range);
    uint64_t holes_count = (world.sagas_count - 1) / HOLE_EVERY;
    if (holes_count == 0)
        return id_of(world.sagas_count) + index;
    uint64_t hole = 1 + scatter(index) % holes_count;
    return id_of(hole * HOLE_EVERY) - 1 - index % HOLE_IDS;
}

/* The middle and the longest. */
static void measure_finds(struct history *history, const char *which, uint64_t first,
                          uint64_t range)
{
    uint64_t took_ns[FINDS_COUNT];
    for (uint64_t i = 0; i < FINDS_COUNT; i++)
        took_ns[i] = find_ns(history, pick_id(i, first, range), range != 0);
    qsort(took_ns, FINDS_COUNT, sizeof took_ns[0], compare);
    measure_add(world.measure, (double)took_ns[FINDS_COUNT / 2] / 1e3, "us", "history_find, %s",
                which);
    measure_add(world.measure, (double)took_ns[FINDS_COUNT - 1] / 1e3, "us",
                "history_find, %s, the longest", which);
}

static void count_entry(const struct history_entry *entry, void *context)
{
    measure_keep(entry->saga_id);
    ++*(uint32_t *)context;
}

/* The first page, and how many calls it took until there was an entry (or nothing more). */
static void measure_page(struct history *history, const char *which,
                         const struct history_filter *filter)
{
    struct history_cursor cursor = HISTORY_CURSOR_NEWEST;
    struct problem problem = {0};
    uint32_t entries = 0, calls = 0;
    uint64_t start_ns = clock_now_ns(), longest_ns = 0;
    do {
        uint64_t call_ns = clock_now_ns();
        if (history_list(history, filter, &cursor, PAGE_ENTRIES, count_entry, &entries, &problem) !=
            STATUS_OK)
            measure_fail(world.measure, &problem);
        call_ns = clock_now_ns() - call_ns;
        longest_ns = call_ns > longest_ns ? call_ns : longest_ns;
        calls++;
    } while (entries == 0 && !cursor.is_at_end);
    uint64_t took_ns = clock_now_ns() - start_ns;
    measure_add(world.measure, (double)took_ns / 1e6, "ms", "history_list, %s", which);
    if (calls > 1) {
        measure_add(world.measure, calls, "calls", "history_list, %s: calls", which);
        measure_add(world.measure, (double)longest_ns / 1e6, "ms", "history_list, %s: a call",
                    which);
    }
}

static void measure_pages(struct history *history)
{
    char name[32];
    uint64_t named = world.sagas_count / 20 / NAME_EVERY * NAME_EVERY;
    snprintf(name, sizeof name, "order-%llu", (unsigned long long)named);
    int64_t middle_ms = time_of_block(world.blocks_count / 2);
    measure_page(history, "newest", &(struct history_filter){0});
    measure_page(history, "newest, with names", &(struct history_filter){.with_names = true});
    measure_page(history, "outcome of 1 in 64",
                 &(struct history_filter){.outcomes = 1u << OUTCOME_FAILED});
    measure_page(history, "outcome of 1 in a million",
                 &(struct history_filter){.outcomes = 1u << OUTCOME_STUCK});
    measure_page(history, "outcome of none", &(struct history_filter){.outcomes = 1u << 7});
    measure_page(history, "definition of 1 in 3", &(struct history_filter){.definition = "ship"});
    measure_page(history, "definition used once, half way",
                 &(struct history_filter){.definition = "rare"});
    measure_page(history, "error", &(struct history_filter){.error = "Mail.Bounced"});
    measure_page(history, "definition and error that never meet",
                 &(struct history_filter){.definition = "rare", .error = "Mail.Bounced"});
    measure_page(
        history, "a second, half way",
        &(struct history_filter){.ended_from_ms = middle_ms, .ended_before_ms = middle_ms + 1000});
    measure_page(history, "name, old", &(struct history_filter){.name = name});
    measure_page(history, "name of none", &(struct history_filter){.name = "nobody"});
}

static void measure_reading(void)
{
    struct history *history = open_reader();
    uint64_t sagas = world.sagas_count;
    measure_add(world.measure, (double)find_ns(history, id_of(sagas / 100), true) / 1e3, "us",
                "history_find, the first of a reader");
    struct history_counts counts;
    struct problem problem = {0};
    uint64_t start_ns = clock_now_ns();
    if (history_count(history, &counts, &problem) != STATUS_OK)
        measure_fail(world.measure, &problem);
    measure_add(world.measure, (double)(clock_now_ns() - start_ns) / 1e6, "ms", "history_count");
    measure_add(world.measure, (double)counts.segments_count, "files", "segments");
    measure_finds(history, "old", sagas / 100, sagas / 100);
    measure_finds(history, "any", 0, sagas);
    measure_finds(history, "new", sagas - sagas / 1000, sagas / 1000 - 1);
    measure_finds(history, "unknown", 0, 0);
    measure_add(world.measure, (double)find_ns(history, ANCIENT_ID, true) / 1e3, "us",
                "history_find, in all segments and running");
    measure_pages(history);
    history_close(history);
}

/* ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void make_directory(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(world.directory, sizeof world.directory, "%s/flyover-bench-history-XXXXXX",
             base == NULL || base[0] == '\0' ? "/var/tmp" : base);
    if (mkdtemp(world.directory) != NULL)
        return;
    struct problem problem;
    problem_set(&problem, STATUS_NO_PERMISSION, "%s cannot be made: %s; set TMPDIR",
                world.directory, strerror(errno));
    measure_fail(world.measure, &problem);
}

static uint64_t parse_sagas(const struct measure *measure)
{
    if (measure->argument == NULL)
        return measure->quick ? SAGAS_QUICK : SAGAS_DEFAULT;
    char *end;
    unsigned long long count = strtoull(measure->argument, &end, 10);
    if (*end == '\0' && count >= SAGAS_QUICK / 5 && count <= SAGAS_MAX)
        return count;
    struct problem problem;
    problem_set(&problem, STATUS_INVALID, "'%s' is no number of sagas from %u to %u",
                measure->argument, SAGAS_QUICK / 5, SAGAS_MAX);
    measure_fail(measure, &problem);
}

int main(int argc, char **argv)
{
    static struct measure measure;
    measure_init(
        &measure, argc, argv,
        "Measures engine/history with ARGUMENT sagas (default 5000000), about 20 bytes of\n"
        "disk each, in a folder under $TMPDIR (or /var/tmp), removed at the end.");
    measure_pin(&measure, 0);
    world.measure = &measure;
    world.sagas_count = parse_sagas(&measure);
    world.blocks_count = (world.sagas_count + SAGAS_A_BLOCK - 1) / SAGAS_A_BLOCK + BLOCKS_LONG;
    world.chunk = malloc((size_t)NOTES_MAX * NOTE_BYTES_MAX);
    assert(world.chunk != NULL);
    for (uint32_t i = 0; i < measure.repetitions; i++) {
        make_directory();
        measure_kind(NOTE_STARTED);
        measure_kind(NOTE_BRANCH);
        measure_kind(NOTE_ENDED);
        measure_writing();
        measure_reading();
        nftw(world.directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    measure_print(&measure);
    free(world.chunk);
    return 0;
}
