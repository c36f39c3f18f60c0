#include "storage/journal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admin/begin.h"
#include "engine/admin/timeline.h"
#include "engine/main/command.h"
#include "engine/main/progress.h"
#include "engine/main/report.h"
#include "engine/saga/event.h"
#include "engine/saga/value.h"
#include "storage/block.h"
#include "storage/recovery.h"

#define COMMAND       "journal"
#define VALUE_COLUMNS 56u

enum action { ACTION_NONE, ACTION_DUMP, ACTION_VERIFY };

struct journal_command_options {
    enum action action;
    const char *directory;
    uint64_t from_no; /* 1 unless asked for */
    uint64_t to_no;   /* UINT64_MAX: to the last */
    bool records;
    bool json;
};

enum { KEY_FROM = 1000, KEY_TO, KEY_RECORDS, KEY_JSON };

static const struct argp_option options_list[] = {
    {"data", 'd', "DIR", 0, "The data directory; nothing is written there", 0},
    {"from", KEY_FROM, "BLOCK", 0, "The first block to print or to count (default: the first)", 0},
    {"to", KEY_TO, "BLOCK", 0, "The last one (default: the last)", 0},
    {"records", KEY_RECORDS, NULL, 0, "dump: a line for each record, too", 0},
    {"json", KEY_JSON, NULL, 0, "dump: a JSON object a line; verify: one JSON object", 0},
    {0},
};

static uint64_t parse_block_no(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number == 0)
        argp_error(state, "--%s takes the number of a block, from 1 on, not '%s'", option, text);
    return number;
}

static void parse_action(struct argp_state *state, struct journal_command_options *options,
                         const char *text)
{
    if (options->action != ACTION_NONE)
        argp_error(state, "'%s' is not understood", text);
    else if (strcmp(text, "dump") == 0)
        options->action = ACTION_DUMP;
    else if (strcmp(text, "verify") == 0)
        options->action = ACTION_VERIFY;
    else
        argp_error(state, "'%s' is neither dump nor verify", text);
}

static void check_options(struct argp_state *state, const struct journal_command_options *options)
{
    if (options->action == ACTION_NONE)
        argp_error(state, "say what to do: dump or verify");
    if (options->directory == NULL)
        argp_error(state, "say where the data is with --data DIR");
    if (options->from_no > options->to_no)
        argp_error(state, "--from %" PRIu64 " is behind --to %" PRIu64, options->from_no,
                   options->to_no);
    if (options->records && options->action == ACTION_VERIFY)
        argp_error(state, "--records goes with dump");
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct journal_command_options *options = state->input;
    switch (key) {
    case 'd': options->directory = text; return 0;
    case KEY_FROM: options->from_no = parse_block_no(state, "from", text); return 0;
    case KEY_TO: options->to_no = parse_block_no(state, "to", text); return 0;
    case KEY_RECORDS: options->records = true; return 0;
    case KEY_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG: parse_action(state, options, text); return 0;
    case ARGP_KEY_END: check_options(state, options); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    "dump|verify",
    "dump prints the blocks of a journal, one a line; one that is damaged or missing is named, and "
    "the next one printed. verify checks every block, the chain between them, that nothing "
    "acknowledged is "
    "missing, and that each record can be read; it changes no state."
    "\vNothing is written. verify always checks the chain from the first block on that is there: "
    "--from says where it begins to read records, --to where it ends. Blocks that were given up to "
    "a checkpoint are not missing: where a journal begins behind block 1, a line on stderr says "
    "so.\n\n"
    "Example: flyover journal dump --data ./data --from 3 --to 3 --records",
    NULL,
    NULL,
    NULL,
};

static enum status open_journal(const struct journal_command_options *options,
                                struct journal **ret_journal, struct problem *problem)
{
    struct journal_options journal = {
        .directory = options->directory,
        .durability = DURABILITY_SYNC,
        .read_only = true,
    };
    return journal_open(&journal, ret_journal, problem);
}

/* What a reader has to know before the first block: why it is not block 1. */
static void print_beginning(struct journal *journal)
{
    uint64_t first_no = journal_first_no(journal);
    uint64_t stored_no = 0;
    if (first_no == 1)
        return;
    /* Damage there is told by who reads on. */
    enum status status = journal_first_stored_no(journal, &stored_no, NULL);
    if (status != STATUS_OK || stored_no == 0 || stored_no > first_no)
        stored_no = first_no;
    if (stored_no > 1)
        fprintf(stderr,
                "flyover " COMMAND ": begins at block %" PRIu64
                "; earlier ones were given up to a checkpoint\n",
                stored_no);
}

static int refuse_block(uint64_t block_no, uint64_t last_no)
{
    return command_refuse(COMMAND, EXIT_USAGE,
                          "there is no block %" PRIu64 ": the last one is %" PRIu64, block_no,
                          last_no);
}

/* ---- records -------------------------------------------------------------------------------- */

typedef void (*on_record)(const struct block_header *header, uint32_t record_no,
                          const struct event *event);

/* Reads the records of a good block; `on` may be NULL. */
static enum status read_records(const struct block_header *header, const uint8_t *body,
                                on_record on, struct problem *problem)
{
    const uint8_t *at = body;
    const uint8_t *end = body + header->body_bytes;
    struct event event;
    for (uint32_t record_no = 1; record_no <= header->record_count; record_no++) {
        at = event_decode(at, end, &event);
        if (at == NULL)
            return problem_set(problem, STATUS_CORRUPT,
                               "block %" PRIu64 ": record %" PRIu32 " of %" PRIu32
                               " cannot be read",
                               header->block_no, record_no, header->record_count);
        if (on != NULL)
            on(header, record_no, &event);
    }
    if (at != end)
        return problem_set(problem, STATUS_CORRUPT,
                           "block %" PRIu64 ": %zu bytes are left after its last record",
                           header->block_no, (size_t)(end - at));
    return STATUS_OK;
}

static const char *kind_word(enum event_kind kind)
{
    switch (kind) {
    case EVENT_LIMITS: return "limits";
    case EVENT_SERVICE: return "service";
    case EVENT_DEFINITION: return "definition";
    case EVENT_SOURCE: return "source";
    case EVENT_START: return "start";
    case EVENT_RESULT: return "result";
    case EVENT_ERROR: return "error";
    case EVENT_TIMER: return "timer";
    case EVENT_SIGNAL: return "signal";
    case EVENT_HEARTBEAT: return "heartbeat";
    case EVENT_CANCEL: return "cancel";
    case EVENT_MEND: return "mend";
    case EVENT_REDRIVE: return "redrive";
    }
    assert(false && "every kind has a word");
    return "";
}

static const char *table_kind_word(const struct event_table *table)
{
    return table->kind == FLYOVER_VALUES ? "values" : "counters";
}

static const char *when_full_word(const struct event_table *table)
{
    return table->when_full == FLYOVER_REFUSE ? "refuse" : "drop oldest";
}

/* ---- dump, for people ----------------------------------------------------------------------- */

static void print_block(const struct block_header *header)
{
    char time[TIMELINE_TIME_BYTES], records[32], bytes[32];
    timeline_format_time(header->now_ms, time);
    printf("%8" PRIu64 "  %s  start %-3" PRIu32 " %10s records %12s bytes  crc %08" PRIx32
           "  durable %" PRIu64 "\n",
           header->block_no, time, header->epoch, progress_number(records, header->record_count),
           progress_number(bytes, BLOCK_HEADER_BYTES + header->body_bytes), header->header_crc,
           header->durable_no);
}

static void print_value(struct flyover_bytes value)
{
    char text[VALUE_COLUMNS + 1];
    if (value.count == 0)
        return;
    value_print(value, text, sizeof text);
    printf("  %s", text);
}

static void print_service(const struct event *event)
{
    printf("%.*s", (int)event->service.name.count, (const char *)event->service.name.at);
    for (uint32_t i = 0; i < event->service.tables_count; i++) {
        const struct event_table *table = &event->service.tables[i];
        printf("%s %.*s (%" PRIu32 " %s, when full: %s)", i == 0 ? ":" : ",",
               (int)table->name.count, (const char *)table->name.at, table->entries_max,
               table_kind_word(table), when_full_word(table));
    }
}

static void print_error(const struct event *event)
{
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + 64];
    size_t bytes = value_make_error(event->error.name, event->error.cause, error, sizeof error);
    printf("branch %" PRIu32 "%s, %s", event->error.branch,
           event->error.by_token ? ", by token" : "",
           event->error.retryable ? "may be tried again" : "final");
    print_value((struct flyover_bytes){error, (uint32_t)bytes});
}

static void print_text(const char *lead, struct flyover_bytes text)
{
    if (text.count > 0)
        printf("%s%.*s", lead, (int)text.count, (const char *)text.at);
}

static void print_outside(const struct event *event)
{
    switch (event->kind) {
    case EVENT_SIGNAL:
        printf("saga %" PRIu64, event->signal.saga_id);
        print_text(", ", event->signal.name);
        print_value(event->signal.payload);
        break;
    case EVENT_HEARTBEAT: printf("branch %" PRIu32, event->heartbeat.branch); break;
    case EVENT_CANCEL:
        printf("saga %" PRIu64 "%s", event->cancel.saga_id,
               event->cancel.abort ? ", without compensation" : "");
        print_text(": ", event->cancel.reason);
        break;
    case EVENT_MEND:
        printf("saga %" PRIu64 ", %s", event->mend.saga_id, mend_action_text(event->mend.action));
        print_text(": ", event->mend.reason);
        print_value(event->mend.output);
        break;
    case EVENT_REDRIVE:
        printf("of saga %" PRIu64 ", plan %" PRIu32 ", %" PRIu32 " steps done",
               event->redrive.of_saga_id, event->redrive.plan, event->redrive.steps_count);
        begin_print(event, stdout);
        print_value(event->redrive.payload);
        break;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE:
    case EVENT_START:
    case EVENT_RESULT:
    case EVENT_ERROR:
    case EVENT_TIMER: assert(false && "from inside");
    }
}

static void print_record(const struct block_header *header, uint32_t record_no,
                         const struct event *event)
{
    (void)header;
    printf("%8s  %6" PRIu32 "  %-10s  ", "", record_no, kind_word(event->kind));
    switch (event->kind) {
    case EVENT_LIMITS:
        printf("%" PRIu32 " sagas, %" PRIu64 " payload bytes", event->limits.sagas_max,
               event->limits.payload_bytes_max);
        if (event->limits.has_names)
            printf(", %" PRIu32 " names kept for %" PRIu64 " s", event->limits.names_max,
                   event->limits.name_retention_ms / 1000);
        break;
    case EVENT_SERVICE: print_service(event); break;
    case EVENT_DEFINITION:
        printf("%.*s, %" PRIu32 " bytes", (int)event->definition.name.count,
               (const char *)event->definition.name.at, event->definition.text.count);
        break;
    case EVENT_SOURCE: printf("first order %016" PRIx64, event->source.first_hash); break;
    case EVENT_START:
        printf("plan %" PRIu32, event->start.plan);
        if (event->start.source != EVENT_NO_SOURCE)
            printf(", source %" PRIu32, event->start.source);
        print_text(", named ", event->start.name);
        begin_print(event, stdout);
        print_value(event->start.input);
        break;
    case EVENT_RESULT:
        printf("branch %" PRIu32 "%s", event->result.branch,
               event->result.by_token ? ", by token" : "");
        if (event->result.writes.count > 0)
            printf(", %" PRIu32 " bytes of writes", event->result.writes.count);
        print_value(event->result.output);
        break;
    case EVENT_ERROR: print_error(event); break;
    case EVENT_TIMER:
        printf("%s %" PRIu32, event->timer.of_saga ? "saga slot" : "branch", event->timer.branch);
        break;
    case EVENT_SIGNAL:
    case EVENT_HEARTBEAT:
    case EVENT_CANCEL:
    case EVENT_MEND:
    case EVENT_REDRIVE: print_outside(event); break;
    }
    putchar('\n');
}

/* ---- dump, for programs --------------------------------------------------------------------- */

static void print_json_line(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

static json_t *text_to_json(struct flyover_bytes text)
{
    json_t *json = json_stringn((const char *)text.at, text.count);
    return json != NULL ? json : json_null();
}

static void print_block_json(const struct block_header *header)
{
    json_t *block = json_object();
    json_object_set_new(block, "block", json_integer((json_int_t)header->block_no));
    json_object_set_new(block, "time_ms", json_integer(header->now_ms));
    json_object_set_new(block, "epoch", json_integer(header->epoch));
    json_object_set_new(block, "partition", json_integer(header->partition));
    json_object_set_new(block, "records", json_integer(header->record_count));
    json_object_set_new(block, "bytes",
                        json_integer((json_int_t)BLOCK_HEADER_BYTES + header->body_bytes));
    json_object_set_new(block, "durable_block", json_integer((json_int_t)header->durable_no));
    json_object_set_new(block, "crc", json_integer(header->header_crc));
    json_object_set_new(block, "body_crc", json_integer(header->body_crc));
    json_object_set_new(block, "previous_crc", json_integer(header->prev_crc));
    print_json_line(block);
}

static json_t *tables_to_json(const struct event *event)
{
    json_t *tables = json_array();
    for (uint32_t i = 0; i < event->service.tables_count; i++) {
        const struct event_table *table = &event->service.tables[i];
        json_t *item = json_object();
        json_object_set_new(item, "name", text_to_json(table->name));
        json_object_set_new(item, "kind", json_string(table_kind_word(table)));
        json_object_set_new(item, "when_full", json_string(when_full_word(table)));
        json_object_set_new(item, "entries_max", json_integer(table->entries_max));
        json_array_append_new(tables, item);
    }
    return tables;
}

static void set_start(json_t *record, const struct event *event)
{
    json_object_set_new(record, "plan", json_integer(event->start.plan));
    if (event->start.source != EVENT_NO_SOURCE)
        json_object_set_new(record, "source", json_integer(event->start.source));
    if (event->start.name.count > 0)
        json_object_set_new(record, "name", text_to_json(event->start.name));
    begin_set(event, record);
    json_object_set_new(record, "input", timeline_payload_to_json(event->start.input));
}

static void set_error(json_t *record, const struct event *event)
{
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX + FLYOVER_ERROR_CAUSE_BYTES_MAX + 64];
    size_t bytes = value_make_error(event->error.name, event->error.cause, error, sizeof error);
    struct flyover_bytes value = {error, (uint32_t)bytes};
    json_object_set_new(record, "branch", json_integer(event->error.branch));
    json_object_set_new(record, "retryable", json_boolean(event->error.retryable));
    json_object_set_new(record, "error", timeline_payload_to_json(value));
}

static void set_u64(json_t *record, const char *key, uint64_t value)
{
    json_object_set_new(record, key, json_integer((json_int_t)value));
}

static void set_outside(json_t *record, const struct event *event)
{
    switch (event->kind) {
    case EVENT_SIGNAL:
        set_u64(record, "saga", event->signal.saga_id);
        json_object_set_new(record, "name", text_to_json(event->signal.name));
        json_object_set_new(record, "payload", timeline_payload_to_json(event->signal.payload));
        break;
    case EVENT_HEARTBEAT: set_u64(record, "branch", event->heartbeat.branch); break;
    case EVENT_CANCEL:
        set_u64(record, "saga", event->cancel.saga_id);
        json_object_set_new(record, "abort", json_boolean(event->cancel.abort));
        json_object_set_new(record, "reason", text_to_json(event->cancel.reason));
        break;
    case EVENT_MEND:
        set_u64(record, "saga", event->mend.saga_id);
        json_object_set_new(record, "action", json_string(mend_action_text(event->mend.action)));
        json_object_set_new(record, "reason", text_to_json(event->mend.reason));
        json_object_set_new(record, "output", timeline_payload_to_json(event->mend.output));
        break;
    case EVENT_REDRIVE:
        set_u64(record, "of_saga", event->redrive.of_saga_id);
        set_u64(record, "plan", event->redrive.plan);
        set_u64(record, "state", event->redrive.state);
        set_u64(record, "steps_done", event->redrive.steps_count);
        begin_set(event, record);
        json_object_set_new(record, "input", timeline_payload_to_json(event->redrive.payload));
        break;
    case EVENT_LIMITS:
    case EVENT_SERVICE:
    case EVENT_DEFINITION:
    case EVENT_SOURCE:
    case EVENT_START:
    case EVENT_RESULT:
    case EVENT_ERROR:
    case EVENT_TIMER: assert(false && "from inside");
    }
}

static void print_record_json(const struct block_header *header, uint32_t record_no,
                              const struct event *event)
{
    json_t *record = json_object();
    json_object_set_new(record, "block", json_integer((json_int_t)header->block_no));
    json_object_set_new(record, "record", json_integer(record_no));
    json_object_set_new(record, "event", json_string(kind_word(event->kind)));
    char hash[17];
    switch (event->kind) {
    case EVENT_LIMITS:
        json_object_set_new(record, "sagas_max", json_integer(event->limits.sagas_max));
        json_object_set_new(record, "payload_bytes_max",
                            json_integer((json_int_t)event->limits.payload_bytes_max));
        break;
    case EVENT_SERVICE:
        json_object_set_new(record, "name", text_to_json(event->service.name));
        json_object_set_new(record, "tables", tables_to_json(event));
        break;
    case EVENT_DEFINITION:
        json_object_set_new(record, "name", text_to_json(event->definition.name));
        json_object_set_new(record, "text", text_to_json(event->definition.text));
        break;
    case EVENT_SOURCE:
        snprintf(hash, sizeof hash, "%016" PRIx64, event->source.first_hash);
        json_object_set_new(record, "first_hash", json_string(hash));
        break;
    case EVENT_START: set_start(record, event); break;
    case EVENT_RESULT:
        json_object_set_new(record, "branch", json_integer(event->result.branch));
        json_object_set_new(record, "writes_bytes", json_integer(event->result.writes.count));
        json_object_set_new(record, "output", timeline_payload_to_json(event->result.output));
        break;
    case EVENT_ERROR: set_error(record, event); break;
    case EVENT_SIGNAL:
    case EVENT_HEARTBEAT:
    case EVENT_CANCEL:
    case EVENT_MEND:
    case EVENT_REDRIVE: set_outside(record, event); break;
    case EVENT_TIMER:
        json_object_set_new(record, event->timer.of_saga ? "saga_slot" : "branch",
                            json_integer(event->timer.branch));
        break;
    }
    print_json_line(record);
}

/* ---- dump ----------------------------------------------------------------------------------- */

/* Prints one block. `previous` is the header of the block printed last, zeroes where there is none,
 * and becomes that of this one. */
static enum status dump_block(const struct journal_command_options *options,
                              const struct journal_slice *block, struct block_header *previous,
                              struct problem *problem)
{
    struct block_header header;
    struct block_header before = *previous;
    *previous = (struct block_header){0};
    enum status status =
        block_decode(block->bytes, block->bytes_count, block->block_no, &header, problem);
    if (status != STATUS_OK)
        return status;
    *previous = header;
    if (options->json)
        print_block_json(&header);
    else
        print_block(&header);
    if (options->records)
        status = read_records(&header, block->bytes + BLOCK_HEADER_BYTES,
                              options->json ? print_record_json : print_record, problem);
    if (status == STATUS_OK && before.block_no > 0)
        status = block_follows(&header, before.block_no, before.header_crc, problem);
    return status;
}

static int dump(const struct journal_command_options *options, struct journal *journal)
{
    int exit_code = EXIT_DONE;
    uint64_t last_no = 0;
    struct block_header previous = {0};
    struct problem problem = {0};
    enum status status = journal_seek(journal, options->from_no, &problem);
    while (status == STATUS_OK) {
        struct journal_slice block;
        status = journal_next(journal, &block, &problem);
        if (status != STATUS_OK || block.block_no > options->to_no)
            break;
        last_no = block.block_no;
        /* A damaged block is named and passed over: dump is what one looks at damage with. */
        struct problem damage = {0};
        if (dump_block(options, &block, &previous, &damage) != STATUS_OK)
            exit_code = command_fail(COMMAND, &damage);
    }
    if (status != STATUS_OK && status != STATUS_END)
        return command_fail(COMMAND, &problem);
    if (last_no == 0 && options->from_no > 1)
        return command_refuse(COMMAND, EXIT_USAGE, "there is no block from %" PRIu64 " on",
                              options->from_no);
    return exit_code;
}

/* ---- verify --------------------------------------------------------------------------------- */

struct verification {
    const struct journal_command_options *options;
    uint64_t first_no;                                 /* 0: none yet */
    uint64_t blocks_count, records_count, bytes_count; /* from --from on */
};

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct verification *verification = context;
    const struct journal_command_options *options = verification->options;
    if (header->block_no >= options->from_no) {
        enum status status = read_records(header, body, NULL, problem);
        if (status != STATUS_OK)
            return status;
        if (verification->first_no == 0)
            verification->first_no = header->block_no;
        verification->blocks_count++;
        verification->records_count += header->record_count;
        verification->bytes_count += BLOCK_HEADER_BYTES + header->body_bytes;
    }
    return header->block_no == options->to_no ? STATUS_END : STATUS_OK;
}

static void print_verified(const struct verification *verification, uint64_t acknowledged_no)
{
    char blocks[32], records[32], bytes[32], acknowledged[32];
    printf("%s blocks, %s records, %s bytes, acknowledged up to block %s: ok\n",
           progress_number(blocks, verification->blocks_count),
           progress_number(records, verification->records_count),
           progress_number(bytes, verification->bytes_count),
           progress_number(acknowledged, acknowledged_no));
}

static void print_verified_json(const struct verification *verification,
                                const struct recovery_report *report, const struct journal *journal)
{
    report_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "blocks",
                                (json_int_t)verification->blocks_count, "records",
                                (json_int_t)verification->records_count, "bytes",
                                (json_int_t)verification->bytes_count, "first_block",
                                (json_int_t)verification->first_no, "first_kept_block",
                                (json_int_t)journal_first_no(journal), "last_block",
                                (json_int_t)report->last_no, "acknowledged_block",
                                (json_int_t)journal_acknowledged_no(journal), "ok", 1),
                      stdout);
}

static int verify(const struct journal_command_options *options, struct journal *journal)
{
    struct verification verification = {.options = options};
    struct recovery_options recovery = {
        .directory = options->directory,
        .all_stored = true,
        .on_block = on_block,
        .context = &verification,
    };
    struct recovery_report report;
    struct problem problem = {0};
    enum status status = recovery_run(journal, &recovery, &report, &problem);
    if (status != STATUS_OK)
        return command_fail(COMMAND, &problem);
    if (options->from_no > 1 && options->from_no > report.last_no)
        return refuse_block(options->from_no, report.last_no);
    if (options->to_no != UINT64_MAX && options->to_no > report.last_no)
        return refuse_block(options->to_no, report.last_no);
    if (options->json)
        print_verified_json(&verification, &report, journal);
    else
        print_verified(&verification, journal_acknowledged_no(journal));
    return EXIT_DONE;
}

int command_journal(int argc, char **argv)
{
    struct journal_command_options options = {.from_no = 1, .to_no = UINT64_MAX};
    command_parse(&argp, argc, argv, &options);
    struct journal *journal = NULL;
    struct problem problem = {0};
    if (open_journal(&options, &journal, &problem) != STATUS_OK)
        return command_fail(COMMAND, &problem);
    print_beginning(journal);
    int exit_code =
        options.action == ACTION_DUMP ? dump(&options, journal) : verify(&options, journal);
    journal_close(journal);
    return exit_code;
}
