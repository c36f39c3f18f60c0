#include "tests/cli/fault_rig.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANY_ORDERS_COUNT 9000u
#define REFUSED_EACH      5u
#define IN_FLIGHT         "48"
#define CREDIT_LIMIT      "payment.credit_limit=40000"
#define MIRROR_BYTES      32
#define MIRROR_AT_BLOCK   8
#define HISTORY_BYTES     4096

static char scratch[PATH_MAX];
static char disk[PATH_MAX];
static char beside[PATH_MAX];
static char data[PATH_MAX];
static char ledger[PATH_MAX];
static char mirror[PATH_MAX];
static char count_path[PATH_MAX];
static char orders[2][PATH_MAX]; /* by fault_work.many */
static json_t *undisturbed[2];   /* reports of flyover */

static char history[HISTORY_BYTES]; /* "": no test is on its way */

const char *fault_data(void)
{
    return data;
}

const char *fault_scratch(void)
{
    return scratch;
}

const char *fault_orders(void)
{
    return orders[0];
}

/* ---- orders and fixtures ----------------------------------------------------------------------
 */

static const char *outcome_of(uint64_t order)
{
    return order % REFUSED_EACH == 0 ? "COMPENSATED" : "SUCCEEDED";
}

/* A customer each, so that how an order ends hangs on nothing but the order. */
static void write_orders(const char *path, uint64_t count)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (uint64_t order = 1; order <= count; order++)
        fprintf(file,
                "{\"number\":\"%" PRIu64 "\",\"customer\":\"c%" PRIu64
                "\",\"lines\":[[\"a\",1,%s],[\"b%" PRIu64 "\",2,1.25]]}\n",
                order, order, order % REFUSED_EACH == 0 ? "900.50" : "2.50", order % 50);
    assert_int_equal(fclose(file), 0);
}

static json_t *report_undisturbed(bool many)
{
    const struct fault_work work = {.subject = FAULT_PROGRAM, .many = many};
    fault_begin("undisturbed", 0);
    json_t *report = cli_expect_json(fault_run(&work, &(struct fault){0}, NULL));
    int64_t count = many ? MANY_ORDERS_COUNT : FAULT_ORDERS_COUNT;
    assert_int_equal(cli_integer(report, "sagas/started"), count);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), count - count / REFUSED_EACH);
    assert_int_equal(cli_integer(report, "sagas/compensated"), count / REFUSED_EACH);
    assert_true(cli_truth(report, "audit/balanced"));
    fault_done();
    return report;
}

int fault_set_up_all(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(disk, scratch, "disk");
    cli_path(beside, scratch, "disk.beside");
    cli_path(data, disk, "data");
    cli_path(ledger, scratch, "ledger");
    cli_path(mirror, scratch, "mirror");
    cli_path(count_path, scratch, "count");
    cli_path(orders[false], scratch, "orders.ndjson");
    cli_path(orders[true], scratch, "many-orders.ndjson");
    write_orders(orders[false], FAULT_ORDERS_COUNT);
    write_orders(orders[true], MANY_ORDERS_COUNT);
    undisturbed[false] = report_undisturbed(false);
    undisturbed[true] = report_undisturbed(true);
    return 0;
}

int fault_tear_down_all(void **state)
{
    (void)state;
    json_decref(undisturbed[false]);
    json_decref(undisturbed[true]);
    cli_remove(scratch);
    return 0;
}

int fault_tear_down(void **state)
{
    (void)state;
    if (history[0] != '\0')
        print_error("it failed at: %s\n", history);
    history[0] = '\0';
    return 0;
}

static void remember(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void remember(const char *format, ...)
{
    size_t used = strlen(history);
    va_list more;
    va_start(more, format);
    vsnprintf(history + used, sizeof history - used, format, more);
    va_end(more);
}

void fault_begin(const char *name, uint64_t seed)
{
    cli_remove(disk);
    unlink(ledger);
    unlink(mirror);
    assert_int_equal(mkdir(disk, 0755), 0);
    history[0] = '\0';
    remember("%s, seed %" PRIu64, name, seed);
}

void fault_done(void)
{
    history[0] = '\0';
}

/* ---- runs -------------------------------------------------------------------------------------
 */

static void set(const char *variable, const char *value)
{
    if (value == NULL)
        unsetenv(variable);
    else
        assert_int_equal(setenv(variable, value, 1), 0);
}

static void set_number(const char *variable, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    set(variable, text);
}

static void set_faults(const struct fault *fault)
{
    char mirrored[PATH_MAX + 32];
    snprintf(mirrored, sizeof mirrored, "data/watermark:%s", mirror);
    set("FAULTS_DIRECTORY", disk);
    set("FAULTS_MIRROR", mirrored);
    /* RocksDB's info log: where it cannot be written, Debian's RocksDB ends the process
     * (storage/journal.h). */
    set("FAULTS_EXCEPT", "/journal/LOG");
    set("FAULTS_COUNT", count_path);
    set("FAULTS_DO", fault->act);
    set("FAULTS_CALLS", fault->calls);
    set("FAULTS_NAME", fault->name);
    set("FAULTS_SLOW", fault->slow);
    set_number("FAULTS_AT", fault->at);
    set_number("FAULTS_SEED", fault->seed);
    set_number("FAULTS_AFTER", fault->after);
    set_number("FAULTS_REPEAT", fault->repeat);
    set_number("FAULTS_AT_EXIT", fault->at_exit);
    set_number("FAULTS_LIE", fault->lie);
    set_number("FAULTS_HOLD", fault->hold);
    set("LD_PRELOAD", FAULTS_LIBRARY);
}

static struct cli_result run(const struct fault_work *work)
{
    const char *file = orders[work->many];
    const char *checkpoint = work->checkpoint == NULL ? "0" : work->checkpoint;
    set("FAULT_RUN_PLANT", work->plant);
    if (work->subject == FAULT_ENGINE)
        return cli_run_program(work->plant == NULL ? FAULT_RUN_PROGRAM : FAULT_RUN_PLANTED, "work",
                               data, file, ledger, checkpoint, work->trims ? "trim" : NULL,
                               (char *)NULL);
    const char *durability = work->durability == NULL ? "sync" : work->durability;
    return cli_run("ingest", "--data", data, "--durability", durability, "--in-flight", IN_FLIGHT,
                   "--set", CREDIT_LIMIT, "--checkpoint-mib", checkpoint, "--json", file,
                   (char *)NULL);
}

struct cli_result fault_run(const struct fault_work *work, const struct fault *fault,
                            uint64_t *ret_count)
{
    remember("; %s: %s at %" PRIu64 " of %s on %s, after %d, repeat %d, at exit %d, seed %" PRIu64,
             work->subject == FAULT_ENGINE ? "fault_run" : "flyover",
             fault->act == NULL ? "none" : fault->act, fault->at,
             fault->calls == NULL ? "all calls" : fault->calls,
             fault->name == NULL ? "all names" : fault->name, fault->after, fault->repeat,
             fault->at_exit, fault->seed);
    unlink(count_path);
    set_faults(fault);
    struct cli_result result = run(work);
    set("LD_PRELOAD", NULL);
    if (ret_count != NULL) {
        char *text = cli_read(count_path);
        *ret_count = strtoull(text, NULL, 10);
        free(text);
    }
    return result;
}

uint64_t fault_count(const struct fault_work *work, const char *calls, const char *name)
{
    uint64_t count = 0;
    fault_begin("counting", 0);
    cli_expect_done(fault_run(work, &(struct fault){.calls = calls, .name = name}, &count));
    fault_done();
    assert_true(count > 0);
    return count;
}

bool fault_has_struck(struct cli_result *result)
{
    bool struck = result->exit_code == FAULT_EXIT || result->signal == SIGKILL;
    if (!struck)
        cli_expect(result, CLI_DONE);
    cli_free(result);
    return struck;
}

/* ---- the engine's witness ---------------------------------------------------------------------
 */

/* What was said of each order: in the ledger, and in the journal. */
static const char *said[MANY_ORDERS_COUNT + 1];
static const char *told[MANY_ORDERS_COUNT + 1];

static enum fault_verdict complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static enum fault_verdict complain(const char *format, ...)
{
    char text[1024];
    va_list more;
    va_start(more, format);
    vsnprintf(text, sizeof text, format, more);
    va_end(more);
    remember("; %s", text);
    return FAULT_LOST;
}

/* "SAGA OUTCOME\n" ... `text` is cut into its words. */
static enum fault_verdict read_ledger(char *text)
{
    memset(said, 0, sizeof said);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *outcome;
        uint64_t saga = strtoull(line, &outcome, 10);
        if (saga == 0 || saga > MANY_ORDERS_COUNT || *outcome != ' ')
            return complain("the ledger has the line %s", line);
        if (said[saga] != NULL)
            return complain("saga %" PRIu64 " was acknowledged twice", saga);
        said[saga] = outcome + 1;
    }
    return FAULT_KEPT;
}

/* "SAGA NUMBER OUTCOME\n" ... Number 0: how it began was given up, with all before it. */
static enum fault_verdict read_tale(char *text)
{
    uint64_t given_up_no = 0;
    memset(told, 0, sizeof told);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *rest;
        uint64_t saga = strtoull(line, &rest, 10);
        uint64_t number = strtoull(rest, &rest, 10);
        bool given_up = number == 0 && given_up_no + 1 == saga;
        given_up_no += given_up;
        if (saga == 0 || saga > MANY_ORDERS_COUNT || (number != saga && !given_up))
            return complain("saga %" PRIu64 " is of order %" PRIu64, saga, number);
        told[saga] = rest + 1;
    }
    return FAULT_KEPT;
}

static enum fault_verdict compare(void)
{
    for (uint64_t saga = 1; saga <= MANY_ORDERS_COUNT; saga++) {
        if (said[saga] == NULL)
            continue;
        if (told[saga] == NULL)
            return complain("saga %" PRIu64 " was acknowledged and is gone", saga);
        if (strcmp(said[saga], told[saga]) != 0)
            return complain("saga %" PRIu64 " was acknowledged as %s and is %s", saga, said[saga],
                            told[saga]);
        if (strcmp(said[saga], outcome_of(saga)) != 0)
            return complain("saga %" PRIu64 " ended as %s", saga, said[saga]);
    }
    return FAULT_KEPT;
}

static enum fault_verdict judge_by_ledger(char *ledger_text)
{
    enum fault_verdict verdict = read_ledger(ledger_text);
    if (verdict != FAULT_KEPT)
        return verdict;
    struct cli_result tale = cli_run_program(FAULT_RUN_PROGRAM, "tell", data, (char *)NULL);
    bool is_new = strstr(tale.err, "there is no journal in") != NULL;
    if (tale.exit_code == CLI_DATA && !is_new) {
        remember("; refused: %s", tale.err);
        verdict = FAULT_REFUSED;
    } else {
        if (!is_new)
            cli_expect(&tale, CLI_DONE);
        verdict = read_tale(tale.out);
        if (verdict == FAULT_KEPT)
            verdict = compare();
    }
    cli_free(&tale);
    return verdict;
}

/* ---- the program's witness --------------------------------------------------------------------
 */

static uint64_t acknowledged_block(void)
{
    uint8_t copy[MIRROR_BYTES];
    uint64_t last_no = 0;
    int file = open(mirror, O_RDONLY | O_CLOEXEC);
    while (file >= 0 && read(file, copy, sizeof copy) == sizeof copy) {
        uint64_t block_no;
        memcpy(&block_no, copy + MIRROR_AT_BLOCK, sizeof block_no);
        last_no = block_no > last_no ? block_no : last_no;
    }
    if (file >= 0)
        close(file);
    return last_no;
}

static enum fault_verdict judge_by_mirror(void)
{
    enum fault_verdict verdict = FAULT_KEPT;
    uint64_t acknowledged_no = acknowledged_block();
    struct cli_result verified =
        cli_run("journal", "verify", "--data", data, "--json", (char *)NULL);
    bool is_new = strstr(verified.err, "there is no journal in") != NULL;
    if (is_new) {
        verdict = acknowledged_no == 0 ? FAULT_KEPT : complain("the journal is gone");
    } else if (verified.exit_code == CLI_DATA) {
        remember("; refused: %s", verified.err);
        verdict = FAULT_REFUSED;
    } else {
        cli_expect(&verified, CLI_DONE);
        json_t *report = json_loadb(verified.out, verified.out_bytes, 0, NULL);
        uint64_t last_no = (uint64_t)cli_integer(report, "last_block");
        if (last_no < acknowledged_no)
            verdict = complain("block %" PRIu64 " was acknowledged, and %" PRIu64 " is the last",
                               acknowledged_no, last_no);
        json_decref(report);
    }
    cli_free(&verified);
    return verdict;
}

/* ---- judgement --------------------------------------------------------------------------------
 */

enum fault_verdict fault_judge(const struct fault_work *work)
{
    if (work->subject == FAULT_PROGRAM)
        return judge_by_mirror();
    if (access(ledger, F_OK) != 0)
        return FAULT_KEPT;
    char *text = cli_read(ledger);
    enum fault_verdict verdict = judge_by_ledger(text);
    free(text);
    return verdict;
}

static void expect_equal(json_t *left, json_t *right, const char *what)
{
    if (json_equal(left, right))
        return;
    char *left_text = json_dumps(left, JSON_ENCODE_ANY);
    char *right_text = json_dumps(right, JSON_ENCODE_ANY);
    print_error("%s: %s and not %s\n", what, left_text, right_text);
    free(left_text);
    free(right_text);
    fail();
}

void fault_finish(const struct fault_work *work)
{
    json_t *expected = undisturbed[work->many];
    json_t *report = cli_expect_json(fault_run(work, &(struct fault){0}, NULL));
    const char *figures = work->subject == FAULT_ENGINE ? "figures" : "audit/figures";
    expect_equal(cli_member(report, "sagas"), cli_member(expected, "sagas"), "sagas");
    expect_equal(cli_member(report, figures), cli_member(expected, "audit/figures"), "figures");
    assert_int_equal(fault_judge(work), FAULT_KEPT);
    json_t *replayed = cli_expect_json(cli_run("replay", "--data", data, "--json", (char *)NULL));
    assert_string_equal(cli_text(report, "state_digest"), cli_text(replayed, "state_digest"));
    assert_int_equal(cli_integer(replayed, "running"), 0);
    json_decref(replayed);
    json_decref(report);
}
