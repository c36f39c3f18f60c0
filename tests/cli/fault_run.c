/*
 * fault_run: what tests/cli/test_faults.c breaks beside `flyover` itself: the same engine with the
 * order services, but it says of each order when it was acknowledged.
 *
 *   fault_run work DIR ORDERS LEDGER CHECKPOINT_BYTES [trim]
 *       Carries the orders of the file to their end, the n-th as saga n; those that DIR has already
 *       are left out. Each reply is appended to LEDGER as "SAGA OUTCOME". At the end it prints the
 *       totals, the figures of the services and the digest as JSON. With `trim` nothing of the
 *       journal is kept for history, and its files are so small that they are soon dropped.
 *   fault_run tell DIR
 *       Prints "SAGA NUMBER OUTCOME" of each saga: the number of its order, and how it ended or
 * that it has not. Where the journal has given up how a saga began the number is 0, and where it
 *       has given up how it ended the index of history is asked.
 *
 * Exit codes as those of `flyover`: 4 where DIR is refused, 1 where the machine said no.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/history/history.h"
#include "engine/ingest/order_reader.h"
#include "engine/partition/checkpoint.h"
#include "engine/partition/partition.h"

#ifdef FLYOVER_PLANTS
#include "engine/base/plant.h"
enum plant planted;
#endif

#define IN_FLIGHT_MAX  48u
#define SAGAS_MAX      65536u
#define SMALL_BYTES    (64u << 10) /* RocksDB takes no smaller write buffers */
#define WAIT_NS        5000000u
#define PATIENCE_NS    500000000u
#define CREDIT_SETTING "payment.credit_limit=40000"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DATA = 4 };

static int exit_code_of(enum status status)
{
    if (status == STATUS_OK)
        return EXIT_DONE;
    bool data = status == STATUS_CORRUPT || status == STATUS_GAP || status == STATUS_LOST ||
                status == STATUS_NOT_FOUND;
    return data ? EXIT_DATA : EXIT_FAILED;
}

static int end_with(enum status status, const struct problem *problem)
{
    if (status != STATUS_OK)
        fprintf(stderr, "fault_run: %s\n",
                problem->text[0] == '\0' ? status_text(status) : problem->text);
    return exit_code_of(status);
}

/* ---- work -------------------------------------------------------------------------------------
 */

struct work {
    struct partition *partition;
    struct order_reader *orders;
    struct order order;
    uint32_t plan;
    uint64_t started_count;
    bool pending, ended; /* `order` waits for room; there are no more */
    int ledger;
    uint64_t checkpoint_bytes;
    bool trims;
    struct journal *journal;               /* NULL: the partition's own */
    uint64_t checkpoints_seen, bytes_seen; /* journalled when the last one was seen */
    uint64_t patience_ends_ns;             /* 0: no checkpoint is waited for */
};

static enum status open_small_journal(struct work *work, const char *directory,
                                      struct problem *problem)
{
    struct journal_options options = {.directory = directory,
                                      .durability = DURABILITY_SYNC,
                                      .create = true,
                                      .write_buffer_bytes = SMALL_BYTES};
    return journal_open(&options, &work->journal, problem);
}

static enum status open_partition(struct work *work, const char *directory, struct problem *problem)
{
    struct partition_options options = {
        .directory = directory,
        .durability = DURABILITY_SYNC,
        .plugins = {.directories = {PLUGINS_DIRECTORY}, .directories_count = 1},
        .checkpoint_bytes = work->checkpoint_bytes,
        .history_bytes = work->trims ? 0 : UINT64_MAX,
    };
    enum status status =
        plugin_setting_parse(CREDIT_SETTING, &options.plugins.settings[0], problem);
    options.plugins.settings_count = 1;
    journal_setup();
    if (status == STATUS_OK && work->trims)
        status = open_small_journal(work, directory, problem);
    options.journal = work->journal;
    if (status == STATUS_OK)
        status = partition_open(&options, &work->partition, problem);
    return status;
}

static enum status define(struct work *work, struct problem *problem)
{
    static char text[1 << 16];
    FILE *file = fopen(PLUGINS_DIRECTORY "/order.asl.json", "re");
    size_t bytes = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (file != NULL)
        fclose(file);
    return partition_define(work->partition, "order", "order.asl.json", text, bytes, &work->plan,
                            problem);
}

static enum status read_order(struct work *work, struct problem *problem)
{
    struct order_reject rejected;
    switch (order_reader_next(work->orders, &work->order, &rejected, problem)) {
    case ORDER_READ: work->pending = true; return STATUS_OK;
    case ORDER_END: work->ended = true; return STATUS_OK;
    case ORDER_REJECTED:
        return problem_set(problem, STATUS_INVALID, "order %s: %s", rejected.number,
                           rejected.reason);
    case ORDER_FAILED: break;
    }
    return problem->status;
}

static enum status skip_known(struct work *work, struct problem *problem)
{
    enum status status = STATUS_OK;
    work->started_count = core_totals(partition_state(work->partition)->core).started;
    for (uint64_t i = 0; status == STATUS_OK && i < work->started_count; i++)
        status = read_order(work, problem);
    work->pending = false;
    return status;
}

/* The orders are few and would be done before the first checkpoint is: each is given time. Where
 * one does not come (its calls may fail), none is waited for again. */
static bool waits_for_checkpoint(struct work *work)
{
    struct partition_counts counts = partition_counts(work->partition);
    if (counts.checkpoints != work->checkpoints_seen) {
        work->checkpoints_seen = counts.checkpoints;
        work->bytes_seen = counts.journal_bytes;
    }
    if (work->checkpoint_bytes == 0 ||
        counts.journal_bytes - work->bytes_seen < work->checkpoint_bytes) {
        work->patience_ends_ns = 0;
        return false;
    }
    if (work->patience_ends_ns == 0)
        work->patience_ends_ns = clock_now_ns() + PATIENCE_NS;
    return clock_now_ns() < work->patience_ends_ns;
}

static enum status start_orders(struct work *work, struct problem *problem)
{
    while (!work->ended && !waits_for_checkpoint(work) &&
           core_sagas_live(partition_state(work->partition)->core) < IN_FLIGHT_MAX) {
        enum status status = work->pending ? STATUS_OK : read_order(work, problem);
        if (status != STATUS_OK || work->ended)
            return status;
        struct flyover_bytes input = {work->order.input, (uint32_t)work->order.input_bytes};
        status = partition_start(work->partition, work->plan, EVENT_NO_SOURCE, input,
                                 work->started_count + 1);
        if (status == STATUS_BUSY)
            return STATUS_OK;
        if (status != STATUS_OK)
            return status;
        work->started_count++;
        work->pending = false;
    }
    return STATUS_OK;
}

/* One line in one write: it is in the ledger whole, or not yet. */
static void acknowledge(const struct work *work)
{
    struct reply reply;
    while (partition_next_reply(work->partition, &reply)) {
        char line[64];
        int bytes = snprintf(line, sizeof line, "%" PRIu64 " %s\n", reply.saga_id,
                             outcome_text(reply.outcome));
        if (write(work->ledger, line, (size_t)bytes) != bytes)
            abort();
    }
}

static enum status carry(struct work *work, struct problem *problem)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !(work->ended && partition_is_at_rest(work->partition))) {
        bool worked = false;
        status = start_orders(work, problem);
        if (status == STATUS_OK)
            status = partition_poll(work->partition, &worked, problem);
        acknowledge(work);
        if (status == STATUS_OK && !worked)
            partition_wait(work->partition, WAIT_NS);
    }
    return status;
}

/* How far the journal has lost its beginning: as declared, and as it is. */
static enum status print_beginning(const struct work *work, json_t *report, struct problem *problem)
{
    uint64_t stored_no = 0;
    if (work->journal == NULL)
        return STATUS_OK;
    enum status status = journal_first_stored_no(work->journal, &stored_no, problem);
    json_object_set_new(report, "first_kept",
                        json_integer((json_int_t)journal_first_no(work->journal)));
    json_object_set_new(report, "first_stored", json_integer((json_int_t)stored_no));
    return status;
}

static enum status print_report(const struct work *work, const char *digest,
                                struct problem *problem)
{
    struct core_totals totals = core_totals(partition_state(work->partition)->core);
    static struct audit_report audit;
    partition_audit(work->partition, &audit);
    json_t *figures = json_object();
    for (uint32_t i = 0; i < audit.figures_count; i++) {
        char name[2 * FLYOVER_NAME_BYTES_MAX + 2];
        snprintf(name, sizeof name, "%s.%s", audit.figures[i].service, audit.figures[i].name);
        json_object_set_new(figures, name, json_integer(audit.figures[i].value));
    }
    json_t *report = json_pack(
        "{s:{s:I, s:I, s:I, s:I, s:I}, s:o, s:s, s:I, s:I}", "sagas", "started",
        (json_int_t)totals.started, "succeeded", (json_int_t)totals.succeeded, "compensated",
        (json_int_t)totals.compensated, "failed", (json_int_t)totals.failed, "stuck",
        (json_int_t)totals.stuck, "figures", figures, "state_digest", digest, "checkpoints",
        (json_int_t)partition_counts(work->partition).checkpoints, "recovered_from",
        (json_int_t)partition_recovered_from(work->partition));
    enum status status = print_beginning(work, report, problem);
    json_dumpf(report, stdout, 0);
    json_decref(report);
    return status;
}

static int work(char **words)
{
    struct problem problem = {0};
    struct work work = {
        .ledger = open(words[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644),
        .checkpoint_bytes = strtoull(words[3], NULL, 10),
        .trims = words[4] != NULL,
    };
    int orders = open(words[1], O_RDONLY | O_CLOEXEC);
    if (orders < 0 || work.ledger < 0)
        return EXIT_USAGE;
    enum status status = open_partition(&work, words[0], &problem);
    if (status == STATUS_OK)
        status = order_reader_open(orders, words[1], &work.orders, &problem);
    if (status == STATUS_OK)
        status = define(&work, &problem);
    if (status == STATUS_OK)
        status = skip_known(&work, &problem);
    if (status == STATUS_OK)
        status = carry(&work, &problem);
    char digest[PARTITION_DIGEST_BYTES];
    if (status == STATUS_OK)
        status = partition_stop(work.partition, digest, &problem);
    if (status == STATUS_OK)
        status = print_report(&work, digest, &problem);
    partition_free(work.partition);
    journal_close(work.journal);
    order_reader_close(work.orders);
    return end_with(status, &problem);
}

/* ---- tell -------------------------------------------------------------------------------------
 */

struct tale {
    uint64_t started_count;
    uint64_t numbers[SAGAS_MAX + 1]; /* by saga */
    uint8_t outcomes[SAGAS_MAX + 1];
};

/* The input of an order begins with its number, a short text: {"number": "17", ... */
static uint64_t number_of(struct flyover_bytes input)
{
    static const uint8_t key[] = "\xa6number";
    const uint8_t *text = input.at + 1 + sizeof key;
    uint64_t number = 0;
    if (input.count < 32 || memcmp(input.at + 1, key, sizeof key - 1) != 0)
        return 0;
    for (uint32_t i = 0; i < (text[-1] & 31u); i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    return number;
}

static void on_event(void *context, enum partition_moment moment, const struct block_header *header,
                     const struct partition_state *state, const struct event *event)
{
    (void)header;
    struct tale *tale = context;
    if (moment == PARTITION_BEFORE_EVENT) {
        if (event->kind == EVENT_START && tale->started_count < SAGAS_MAX)
            tale->numbers[++tale->started_count] = number_of(event->start.input);
        return;
    }
    const struct effect_queue *effects = &state->effects;
    for (uint64_t i = effects->head; i < effects->tail; i++) {
        const struct effect *effect = effect_at(effects, i);
        if (effect->kind == EFFECT_REPLY && effect->id <= SAGAS_MAX)
            tale->outcomes[effect->id] = effect->outcome;
    }
}

struct telling {
    struct partition_state *state;
    struct journal *journal;
    struct tale *tale;
};

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct telling *telling = context;
    return partition_state_replay(telling->state, header, body, on_event, telling->tale, problem);
}

/* Where the journal has lost its beginning, as much of it as is left is read. */
static enum status begin_telling(struct telling *telling, const char *directory,
                                 struct recovery_options *recovery, struct problem *problem)
{
    uint64_t first_kept_no = journal_first_no(telling->journal);
    if (first_kept_no == 1)
        return STATUS_OK;
    static struct checkpoint_place place;
    enum status status =
        checkpoint_load_oldest(directory, first_kept_no, &telling->state, &place, problem);
    recovery->after_no = place.block_no;
    recovery->after_crc = place.block_crc;
    if (status == STATUS_OK && telling->state->core != NULL)
        telling->tale->started_count = core_totals(telling->state->core).started;
    return status;
}

/* How those ended of which the journal that is left says nothing. */
static enum status ask_history(struct tale *tale, const char *directory, struct problem *problem)
{
    struct history *history = NULL;
    enum status status = history_open(directory, &history, problem);
    for (uint64_t i = 1; status == STATUS_OK && i <= tale->started_count; i++) {
        static struct history_saga saga;
        if (tale->numbers[i] != 0 || tale->outcomes[i] != OUTCOME_RUNNING)
            continue;
        status = history_find(history, i, &saga, problem);
        if (status == STATUS_OK && saga.has_end)
            tale->outcomes[i] = saga.outcome;
        if (status == STATUS_NOT_FOUND)
            status = STATUS_OK;
    }
    history_close(history);
    return status;
}

static int tell(const char *directory)
{
    static struct tale tale;
    struct problem problem = {0};
    struct telling telling = {.tale = &tale};
    struct journal_options options = {.directory = directory, .read_only = true};
    struct recovery_options recovery = {
        .directory = directory, .on_block = on_block, .context = &telling};
    struct recovery_report report;
    enum status status = partition_state_open(&telling.state);
    if (status == STATUS_OK)
        status = journal_open(&options, &telling.journal, &problem);
    if (status == STATUS_OK)
        status = begin_telling(&telling, directory, &recovery, &problem);
    if (status == STATUS_OK)
        status = recovery_run(telling.journal, &recovery, &report, &problem);
    if (status == STATUS_OK && recovery.after_no > 0)
        status = ask_history(&tale, directory, &problem);
    for (uint64_t i = 1; status == STATUS_OK && i <= tale.started_count; i++)
        printf("%" PRIu64 " %" PRIu64 " %s\n", i, tale.numbers[i],
               outcome_text((enum outcome)tale.outcomes[i]));
    partition_state_close(telling.state);
    journal_close(telling.journal);
    return end_with(status, &problem);
}

static void plant_bug(void)
{
#ifdef FLYOVER_PLANTS
    static const char *const names[] = {
#define X(name, text) [PLANT_##name] = (text),
        PLANT_LIST(X)
#undef X
    };
    const char *wanted = getenv("FAULT_RUN_PLANT");
    for (size_t i = 1; wanted != NULL && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], wanted) == 0)
            planted = (enum plant)i;
#endif
}

int main(int argc, char **argv)
{
    plant_bug();
    bool trims = argc == 7 && strcmp(argv[6], "trim") == 0;
    if ((argc == 6 || trims) && strcmp(argv[1], "work") == 0)
        return work(argv + 2);
    if (argc == 3 && strcmp(argv[1], "tell") == 0)
        return tell(argv[2]);
    fputs("usage: fault_run work DIR ORDERS LEDGER CHECKPOINT_BYTES [trim] | tell DIR\n", stderr);
    return EXIT_USAGE;
}
