#include "engine/main/ingest_remote.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/clock.h"
#include "engine/ingest/order_reader.h"
#include "engine/main/command.h"
#include "engine/main/progress.h"
#include "engine/main/reach_remote.h"
#include "engine/main/rejects.h"
#include "engine/main/report.h"

#define COMMAND         "ingest"
#define NAME_BYTES      64u
#define INPUT_BYTES_MAX (64u << 20) /* of orders that were sent and not accepted yet */
#define WAIT_MS         200
#define BUSY_NS_MAX     (UINT64_C(60) * 1000000000) /* with nothing accepted or ended meanwhile */
#define NONE            UINT32_MAX

/* An order on its way. */
struct flight {
    uint8_t *input; /* owned, to send it again; NULL: it was accepted */
    uint32_t input_bytes;
    enum order_kind kind;
    char name[NAME_BYTES];
    uint32_t next; /* free, or to be sent again */
};

struct ingest {
    const struct ingest_remote_options *options;
    struct flyover_client *client;
    struct rejects rejects;
    struct progress progress;
    struct flight *flights;
    uint32_t flights_count, under_way;
    uint32_t free_first;
    uint32_t again_first; /* told BUSY */
    uint64_t again_ns;    /* not before */
    uint64_t moved_ns;    /* when something was accepted, or ended, last */
    uint64_t input_bytes;
    uint64_t chain_hash, chain_count; /* of the file that is read */
    int file;
    uint64_t read_count, rejected_count, known_count;
    uint64_t succeeded, compensated, failed, stuck;
    struct problem problem; /* status OK: none */
};

/* ---- sending --------------------------------------------------------------------------------- */

static const char *definition_of(enum order_kind kind)
{
    return kind == ORDER_SALE ? "order" : "return";
}

static void fail(struct ingest *ingest, enum status status, const char *sentence)
{
    if (ingest->problem.status == STATUS_OK)
        problem_set(&ingest->problem, status, "%s", sentence);
}

static void send_order(struct ingest *ingest, uint32_t index)
{
    const struct flight *flight = &ingest->flights[index];
    const struct flyover_start start = {.definition = definition_of(flight->kind),
                                        .input = flight->input,
                                        .input_bytes = flight->input_bytes,
                                        .name = flight->name};
    enum flyover_status status = flyover_send_start(ingest->client, &start, FLYOVER_AT_BOTH, index);
    if (status != FLYOVER_OK)
        fail(ingest, reach_status(status), flyover_problem(ingest->client));
}

/* The order is copied: the reader lends it until the next one. */
static void begin(struct ingest *ingest, const struct order *order)
{
    uint32_t index = ingest->free_first;
    struct flight *flight = &ingest->flights[index];
    uint8_t *input = malloc(order->input_bytes);
    if (input == NULL) {
        fail(ingest, STATUS_NO_MEMORY, "out of memory");
        return;
    }
    ingest->free_first = flight->next;
    ingest->under_way++;
    memcpy(input, order->input, order->input_bytes);
    ingest->chain_hash = XXH3_64bits_withSeed(order->input, order->input_bytes, ingest->chain_hash);
    ingest->chain_count++;
    ingest->input_bytes += order->input_bytes;
    *flight = (struct flight){
        .input = input, .input_bytes = (uint32_t)order->input_bytes, .kind = order->kind};
    snprintf(flight->name, sizeof flight->name, "ingest-%016" PRIx64 "-%" PRIu64,
             ingest->chain_hash, ingest->chain_count);
    send_order(ingest, index);
}

static void send_again(struct ingest *ingest)
{
    uint32_t index = ingest->again_first;
    ingest->again_first = NONE;
    while (index != NONE) {
        uint32_t next = ingest->flights[index].next;
        send_order(ingest, index);
        index = next;
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

static void let_input_go(struct ingest *ingest, struct flight *flight)
{
    if (flight->input == NULL)
        return;
    free(flight->input);
    flight->input = NULL;
    ingest->input_bytes -= flight->input_bytes;
}

static void on_started(struct ingest *ingest, const struct flyover_answer_message *answer)
{
    let_input_go(ingest, &ingest->flights[answer->word]);
    ingest->known_count += answer->existed;
    ingest->moved_ns = clock_now_ns();
}

static void on_ended(struct ingest *ingest, const struct flyover_answer_message *answer)
{
    struct flight *flight = &ingest->flights[answer->word];
    let_input_go(ingest, flight);
    if (strcmp(answer->outcome, "SUCCEEDED") == 0)
        ingest->succeeded++;
    else if (strcmp(answer->outcome, "COMPENSATED") == 0)
        ingest->compensated++;
    else if (strcmp(answer->outcome, "STUCK") == 0)
        ingest->stuck++;
    else
        ingest->failed++;
    flight->next = ingest->free_first;
    ingest->free_first = (uint32_t)answer->word;
    ingest->under_way--;
    ingest->moved_ns = clock_now_ns();
}

static void on_refused(struct ingest *ingest, const struct flyover_answer_message *answer)
{
    struct flight *flight = &ingest->flights[answer->word];
    uint64_t now_ns = clock_now_ns();
    bool may_wait = answer->status == FLYOVER_BUSY && now_ns - ingest->moved_ns < BUSY_NS_MAX;
    if (!may_wait || flight->input == NULL) {
        fail(ingest, reach_status(answer->status), answer->problem);
        return;
    }
    flight->next = ingest->again_first;
    ingest->again_first = (uint32_t)answer->word;
    ingest->again_ns = now_ns + answer->retry_after_ms * UINT64_C(1000000);
}

static void on_answer(struct ingest *ingest, const struct flyover_answer_message *answer)
{
    switch (answer->kind) {
    case FLYOVER_STARTED: on_started(ingest, answer); break;
    case FLYOVER_ENDED: on_ended(ingest, answer); break;
    case FLYOVER_REFUSED_REQUEST: on_refused(ingest, answer); break;
    case FLYOVER_DEFINED:
    case FLYOVER_ANSWERED:
    case FLYOVER_EVENT:
    case FLYOVER_RECONNECTED: break;
    }
}

static void show_progress(struct ingest *ingest)
{
    if (progress_is_due(&ingest->progress))
        progress_print(&ingest->progress, ingest->read_count, ingest->under_way, ingest->succeeded,
                       ingest->compensated + ingest->failed + ingest->stuck);
}

/* Takes what has come, waiting for the first up to timeout_ms. */
static void take_answers(struct ingest *ingest, int32_t timeout_ms)
{
    struct flyover_answer_message answer;
    if (ingest->again_first != NONE && clock_now_ns() >= ingest->again_ns)
        send_again(ingest);
    while (ingest->problem.status == STATUS_OK &&
           flyover_next(ingest->client, &answer, timeout_ms)) {
        on_answer(ingest, &answer);
        timeout_ms = 0;
    }
    if (flyover_is_lost(ingest->client))
        fail(ingest, STATUS_IO, flyover_problem(ingest->client));
    show_progress(ingest);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Called before the reader may have to wait for a pipe: answers are taken meanwhile. */
static bool wait_for_input(void *context)
{
    struct ingest *ingest = context;
    while (ingest->problem.status == STATUS_OK) {
        struct pollfd file = {.fd = ingest->file, .events = POLLIN};
        if (poll(&file, 1, 0) > 0)
            return true;
        take_answers(ingest, WAIT_MS);
    }
    return false;
}

static bool has_room(const struct ingest *ingest)
{
    return ingest->free_first != NONE && ingest->again_first == NONE &&
           ingest->input_bytes < INPUT_BYTES_MAX;
}

/* False at the end of the file. */
static bool read_order(struct ingest *ingest, struct order_reader *reader, const char *name)
{
    struct order order;
    struct order_reject rejected;
    struct problem problem = {0};
    enum order_result result = order_reader_next(reader, &order, &rejected, &problem);
    switch (result) {
    case ORDER_READ:
        ingest->read_count++;
        begin(ingest, &order);
        return true;
    case ORDER_REJECTED:
        ingest->read_count++;
        ingest->rejected_count++;
        rejects_add(&ingest->rejects, name, &rejected);
        return true;
    case ORDER_END: return false;
    case ORDER_FAILED: fail(ingest, problem.status, problem.text); return false;
    }
    return false;
}

static void read_orders(struct ingest *ingest, struct order_reader *reader, const char *name)
{
    bool more = true;
    while (more && ingest->problem.status == STATUS_OK) {
        while (more && has_room(ingest) && ingest->problem.status == STATUS_OK)
            more = read_order(ingest, reader, name);
        take_answers(ingest, more && !has_room(ingest) ? WAIT_MS : 0);
    }
}

static void take_in(struct ingest *ingest, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct stat known;
    struct order_reader *reader;
    ingest->chain_hash = ingest->chain_count = 0;
    ingest->file = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (ingest->file < 0 || fstat(ingest->file, &known) != 0) {
        problem_set(&ingest->problem, STATUS_INVALID, "%s cannot be read: %s", path,
                    strerror(errno));
        return;
    }
    const char *name = is_stdin ? "standard input" : path;
    bool may_wait = !S_ISREG(known.st_mode);
    if (order_reader_open_live(ingest->file, name, may_wait ? wait_for_input : NULL, ingest,
                               &reader, &ingest->problem) == STATUS_OK) {
        read_orders(ingest, reader, path);
        order_reader_close(reader);
    }
    if (!is_stdin)
        close(ingest->file);
}

/* ---- the report ------------------------------------------------------------------------------ */

static void print_report(const struct ingest *ingest, double seconds)
{
    char a[32], b[32], c[32], d[32];
    uint32_t files_count = ingest->options->files_count;
    printf("%s orders read from %u file%s, %s rejected", progress_number(a, ingest->read_count),
           files_count, files_count == 1 ? "" : "s", progress_number(b, ingest->rejected_count));
    if (ingest->known_count > 0)
        printf(", %s known before", progress_number(c, ingest->known_count));
    printf("\n  sagas     %s succeeded", progress_number(a, ingest->succeeded));
    printf(", %s compensated, %s failed, %s stuck\n", progress_number(b, ingest->compensated),
           progress_number(c, ingest->failed), progress_number(d, ingest->stuck));
    uint64_t orders = ingest->read_count - ingest->rejected_count;
    printf("  speed     %.3f s, %s orders/s, durability %s\n", seconds,
           progress_number(a, (uint64_t)((double)orders / seconds)),
           flyover_durability(ingest->client));
}

static void print_json(const struct ingest *ingest, double seconds)
{
    report_print_json(
        json_pack("{s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I}, s:f, s:s}", "orders_read",
                  (json_int_t)ingest->read_count, "orders_rejected",
                  (json_int_t)ingest->rejected_count, "orders_known",
                  (json_int_t)ingest->known_count, "sagas", "succeeded",
                  (json_int_t)ingest->succeeded, "compensated", (json_int_t)ingest->compensated,
                  "failed", (json_int_t)ingest->failed, "stuck", (json_int_t)ingest->stuck,
                  "seconds", seconds, "durability", flyover_durability(ingest->client)),
        stdout);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum status open_all(struct ingest *ingest, struct ingest_remote_options *options,
                            struct problem *problem)
{
    enum status status = reach_connect(&options->reach, problem);
    if (status != STATUS_OK)
        return status;
    ingest->client = options->reach.client;
    uint32_t window = flyover_window(ingest->client);
    ingest->flights_count = options->in_flight < window ? options->in_flight : window;
    ingest->flights = calloc(ingest->flights_count, sizeof *ingest->flights);
    if (ingest->flights == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    ingest->free_first = ingest->again_first = NONE;
    for (uint32_t i = ingest->flights_count; i-- > 0;) {
        ingest->flights[i].next = ingest->free_first;
        ingest->free_first = i;
    }
    ingest->moved_ns = clock_now_ns();
    return options->rejects == NULL ? STATUS_OK
                                    : rejects_open(&ingest->rejects, options->rejects, problem);
}

static void close_all(struct ingest *ingest, struct ingest_remote_options *options)
{
    for (uint32_t i = 0; i < ingest->flights_count; i++)
        free(ingest->flights[i].input);
    free(ingest->flights);
    flyover_close(options->reach.client);
}

static void run(struct ingest *ingest)
{
    for (uint32_t i = 0; i < ingest->options->files_count; i++)
        if (ingest->problem.status == STATUS_OK)
            take_in(ingest, ingest->options->files[i]);
    while (ingest->under_way > 0 && ingest->problem.status == STATUS_OK)
        take_answers(ingest, WAIT_MS);
}

int ingest_remote(struct ingest_remote_options *options)
{
    struct ingest ingest = {.options = options};
    struct problem *problem = &ingest.problem;
    uint64_t started_ns = clock_now_ns();
    progress_init(&ingest.progress, "orders");
    problem->status = open_all(&ingest, options, problem);
    if (problem->status == STATUS_OK)
        run(&ingest);
    progress_end(&ingest.progress);
    struct problem closing = {0};
    if (rejects_close(&ingest.rejects, &closing) != STATUS_OK)
        fail(&ingest, closing.status, closing.text);
    double seconds = (double)(clock_now_ns() - started_ns) / 1e9;
    if (problem->status == STATUS_OK && options->json)
        print_json(&ingest, seconds);
    else if (problem->status == STATUS_OK)
        print_report(&ingest, seconds);
    int exit_code = EXIT_DONE;
    if (problem->status == STATUS_NOT_FOUND)
        exit_code = command_refuse(COMMAND, EXIT_INPUT,
                                   "%s (flyover define --connect makes it known)", problem->text);
    else if (problem->status != STATUS_OK)
        exit_code = command_fail(COMMAND, problem);
    close_all(&ingest, options);
    return exit_code;
}
