/*
 * What a person can get wrong: files of orders, options, settings, plug-ins, definitions. Each is
 * answered with the exit code of its kind and a sentence that names what is wrong, and what was
 * good beside it is done all the same.
 */
#include "tests/cli/cli.h"
#include "tests/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER      "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
#define ROW(number) number ",85123A,1,1/1/2011 0:00,2.55,17850,UK\n"
#define LONG_BYTES  10000000u

static char scratch[PATH_MAX];
static char data[PATH_MAX];
static char input[PATH_MAX];

static int set_up_all(void **state)
{
    (void)state;
    cli_make_directory(scratch);
    cli_path(data, scratch, "data");
    cli_path(input, scratch, "input");
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    cli_remove(scratch);
    return 0;
}

static int remove_data(void **state)
{
    (void)state;
    cli_remove(data);
    cli_remove(input);
    return 0;
}

static struct cli_result ingest(const char *path)
{
    return cli_run("ingest", "--data", data, "--json", path, (char *)NULL);
}

static json_t *report_of(const struct cli_result *result)
{
    json_t *report = json_loadb(result->out, result->out_bytes, 0, NULL);
    assert_non_null(report);
    return report;
}

/* ---- files that cannot be read to their end ---------------------------------------------------
 */

static void expect_file_refused(const char *text, size_t bytes, const char *word,
                                const char *other_word)
{
    FILE *file = fopen(input, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    struct cli_result result = ingest(input);
    cli_expect_says(&result, CLI_INPUT, input, word, other_word, (char *)NULL);
    cli_free(&result);
}

static void a_file_that_is_not_one_of_orders_is_refused_with_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word, *other_word;
    } files[] = {
        {"", "is empty", "header row"},
        {"InvoiceNo,StockCode\n1,a\n", "lacks", "Quantity, UnitPrice"},
        {"number of the invoice\n1\n", "lacks", "InvoiceNo, Quantity, UnitPrice"},
        {"InvoiceNo,Quantity,UnitPrice,quantity\n", "twice", "Quantity"},
        {HEADER ROW("1") "2,a,1,d,1.0,\"c,UK\n" ROW("3"), "quote opened on line 3", "close it"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        expect_file_refused(files[i].text, strlen(files[i].text), files[i].word,
                            files[i].other_word);
}

static void a_binary_file_is_refused(void **state)
{
    (void)state;
    static const char text[] = HEADER ROW("1") "2,\0,1,d,1.0,c,UK\n";
    expect_file_refused(text, sizeof text - 1, "line 3", "zero byte");
    struct cli_result result = ingest("/proc/self/exe");
    cli_expect_says(&result, CLI_INPUT, "zero byte", (char *)NULL);
    cli_free(&result);
}

static void a_quote_left_open_over_ten_megabytes_is_refused_in_bounded_memory(void **state)
{
    (void)state;
    char *text = malloc(LONG_BYTES);
    assert_non_null(text);
    memset(text, 'x', LONG_BYTES);
    static const char head[] = HEADER ROW("1") "2,a,1,\"";
    memcpy(text, head, sizeof head - 1);
    expect_file_refused(text, LONG_BYTES, "quote opened on line 3", "not closed");
    free(text);
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct cli_result result = ingest("/nowhere/orders.csv");
    cli_expect_says(&result, CLI_INPUT, "/nowhere/orders.csv", "No such file", (char *)NULL);
    cli_free(&result);
}

static void a_directory_in_the_place_of_a_file_is_refused(void **state)
{
    (void)state;
    struct cli_result result = ingest(scratch);
    cli_expect_says(&result, CLI_INPUT, scratch, "is a directory", (char *)NULL);
    cli_free(&result);
}

static void a_file_without_orders_is_done_at_once(void **state)
{
    (void)state;
    cli_write(input, HEADER);
    json_t *report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "orders_read"), 0);
    assert_int_equal(cli_integer(report, "sagas/started"), 0);
    json_decref(report);
}

/* The order that the break is in may go on behind it, so it is refused; those before are done. */
static void the_orders_before_a_break_are_done_and_the_mended_file_is_gone_on_with(void **state)
{
    (void)state;
    cli_write(input, HEADER ROW("1") ROW("2") ROW("3") "4,a,1,\"d\n");
    struct cli_result result = ingest(input);
    cli_expect(&result, CLI_INPUT);
    json_t *report = report_of(&result);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 2);
    assert_int_equal(cli_integer(report, "orders_rejected"), 1);
    assert_true(cli_truth(report, "audit/balanced"));
    json_decref(report);
    cli_free(&result);

    cli_write(input, HEADER ROW("1") ROW("2") ROW("3") ROW("4"));
    report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "sagas/started"), 4);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 4);
    assert_int_equal(cli_integer(report, "orders_skipped"), 2);
    json_decref(report);
}

static void the_files_before_a_bad_one_are_done(void **state)
{
    (void)state;
    cli_write(input, HEADER ROW("1") ROW("2"));
    struct cli_result result =
        cli_run("ingest", "--data", data, "--json", input, "/nowhere/orders.csv", (char *)NULL);
    cli_expect_says(&result, CLI_INPUT, "/nowhere/orders.csv", (char *)NULL);
    json_t *report = report_of(&result);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 2);
    json_decref(report);
    cli_free(&result);
}

/* ---- orders that are refused -------------------------------------------------------------------
 */

static void expect_rejects(const char *const *lines, size_t lines_count)
{
    char path[PATH_MAX];
    cli_path(path, data, "rejects.csv");
    char *text = cli_read(path);
    assert_int_equal(strlen(text), damage_file_bytes(path));
    char *rest = text;
    const char *line = strsep(&rest, "\n");
    assert_string_equal(line, "File,Line,InvoiceNo,Reason");
    for (size_t i = 0; i < lines_count; i++) {
        /* "file",line,"order","reason: the first three are given whole, the last by its beginning.
         */
        char expected[PATH_MAX + 256];
        snprintf(expected, sizeof expected, "\"%s\",%s", input, lines[i]);
        line = strsep(&rest, "\n");
        assert_non_null(line);
        if (strncmp(line, expected, strlen(expected)) != 0)
            print_error("expected %s\nfound    %s\n", expected, line);
        assert_int_equal(strncmp(line, expected, strlen(expected)), 0);
        assert_int_equal(line[strlen(line) - 1], '"');
    }
    assert_string_equal(rest, "");
    free(text);
}

static void bad_orders_of_a_csv_are_refused_one_by_one_with_line_order_and_reason(void **state)
{
    (void)state;
    cli_write(input, HEADER ROW("1")                                        /* 2 */
              "2,a,0,d,1.0,c,UK\n"                                          /* 3 */
              "3,a,-2,d,1.0,c,UK\n"                                         /* 4 */
              "C4,a,2,d,1.0,c,UK\n"                                         /* 5 */
              "5,a,1.5,d,1.0,c,UK\n"                                        /* 6 */
              "6,a,many,d,1.0,c,UK\n"                                       /* 7 */
              "7,a,99999999999999999999,d,1.0,c,UK\n"                       /* 8 */
              "8,a,1,d,dear,c,UK\n"                                         /* 9 */
              "9,a,1,d,-1,c,UK\n"                                           /* 10 */
              "A10,a,1,d,1.0,c,UK\n"                                        /* 11 */
              "11,,1,d,1.0,c,UK\n"                                          /* 12 */
              "12,a\xff,1,d,1.0,c,UK\n"                                     /* 13 */
              "\"13 \"\"q\"\"\",a,0,d,1,c,UK\n"                             /* 14 */
              "14,a,1000000000,d,100000,c,UK\n"                             /* 15 */
              "15,a,1,d,,c,UK\n" /* 16 */ ROW("16") "17,a,1,d,1.0,c,UK\n"   /* 18: one order */
                                                    "17,a,0,d,1.0,c,UK\n"); /* 19 */
    static const char *const lines[] = {
        "3,\"2\",\"the quantity \"\"0\"\" is zero",
        "4,\"3\",\"the quantity \"\"-2\"\" is negative",
        "5,\"C4\",\"the quantity \"\"2\"\" is positive: in a return",
        "6,\"5\",\"the quantity \"\"1.5\"\" is not a whole number",
        "7,\"6\",\"the quantity \"\"many\"\" is not a whole number",
        "8,\"7\",\"the quantity \"\"99999999999999999999\"\" is more than",
        "9,\"8\",\"the price \"\"dear\"\" is not a decimal number",
        "10,\"9\",\"the price \"\"-1\"\" is negative",
        "11,\"A10\",\"a number that is A and digits",
        "12,\"11\",\"the code is empty",
        "13,\"12\",\"the code \"\"a?\"\" is not UTF-8",
        "14,\"13 \"\"q\"\"\",\"the quantity \"\"0\"\" is zero",
        "15,\"14\",\"the price \"\"100000\"\" times the quantity is more than",
        "16,\"15\",\"the price \"\"\"\" is not a decimal number",
        "19,\"17\",\"the quantity \"\"0\"\" is zero",
    };
    json_t *report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "orders_read"), 17);
    assert_int_equal(cli_integer(report, "orders_rejected"), 15);
    assert_int_equal(cli_integer(report, "sagas/started"), 2);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 2);
    json_decref(report);
    expect_rejects(lines, sizeof lines / sizeof lines[0]);

    /* Once more: nothing to do, and the same list. */
    report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "orders_rejected"), 15);
    assert_int_equal(cli_integer(report, "orders_skipped"), 2);
    json_decref(report);
    expect_rejects(lines, sizeof lines / sizeof lines[0]);
}

static void rows_that_do_not_fit_the_header_are_refused_and_the_others_done(void **state)
{
    (void)state;
    cli_write(input, HEADER ROW("1") "2,a,1,d\n" ROW("3") ",a,1,d,1.0,c,UK\n" ROW("4"));
    static const char *const lines[] = {
        "3,\"2\",\"the row has 4 fields where the header has 7",
        "5,\"\",\"the InvoiceNo is empty",
    };
    json_t *report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 3);
    json_decref(report);
    expect_rejects(lines, 2);
}

static void a_row_of_ten_megabytes_is_refused_and_the_orders_around_it_done(void **state)
{
    (void)state;
    FILE *file = fopen(input, "we");
    assert_non_null(file);
    fputs(HEADER ROW("1"), file);
    for (uint32_t i = 0; i < LONG_BYTES; i++)
        putc('x', file);
    fputs("\n" ROW("2") ROW("3"), file);
    assert_int_equal(fclose(file), 0);
    static const char *const lines[] = {"3,\"\",\"the row is longer than 1048576 bytes"};
    json_t *report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 3);
    json_decref(report);
    expect_rejects(lines, 1);
}

static void bad_orders_of_ndjson_are_refused_one_by_one_with_line_order_and_reason(void **state)
{
    (void)state;
    cli_write(input,
              "{\"number\":\"1\",\"lines\":[[\"a\",1,2.5]]}\n"
              "{\"number\":\"2\"}\n"
              "nonsense\n"
              "{\"number\":\"3\",\"lines\":[]}\n"
              "{\"number\":\"4\",\"lines\":[[\"a\",\"x\",2.5]]}\n"
              "{\"number\":5,\"lines\":[{\"code\":\"a\",\"quantity\":1,\"price\":\"2.5\"}]}\n"
              "[1]\n"
              "{\"number\":\"7\",\"lines\":[[\"a\",-1,2.5]]}\n"
              "{\"number\":\"8\",\"lines\":[[\"a\",1,2.5]]");
    static const char *const lines[] = {
        "2,\"2\",\"\"\"lines\"\" is not a list of at least one line",
        "3,\"\",\"the line is not JSON",
        "4,\"3\",\"\"\"lines\"\" is not a list of at least one line",
        "5,\"4\",\"lines[0]: the quantity \"\"x\"\" is not a whole number",
        "7,\"\",\"the line is JSON but not an object",
        "8,\"7\",\"lines[0]: the quantity \"\"-1\"\" is negative",
        "9,\"\",\"the line is not JSON",
    };
    json_t *report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "orders_read"), 9);
    assert_int_equal(cli_integer(report, "orders_rejected"), 7);
    assert_int_equal(cli_integer(report, "sagas/succeeded"), 2);
    json_decref(report);
    expect_rejects(lines, sizeof lines / sizeof lines[0]);
}

/* Such a file has to be read from its beginning once more. */
static void a_file_that_only_begins_like_an_earlier_one_has_its_rejects_listed_once(void **state)
{
    (void)state;
    cli_write(input, HEADER "0,a,0,d,1.0,c,UK\n" ROW("1") ROW("2") ROW("3"));
    json_decref(cli_expect_json(ingest(input)));
    cli_write(input, HEADER "0,a,0,d,1.0,c,UK\n" ROW("1") "9,a,0,d,1.0,c,UK\n" ROW("4") ROW("5"));
    static const char *const lines[] = {
        "2,\"0\",\"the quantity \"\"0\"\" is zero",
        "4,\"9\",\"the quantity \"\"0\"\" is zero",
    };
    json_t *report = cli_expect_json(ingest(input));
    assert_int_equal(cli_integer(report, "orders_read"), 5);
    assert_int_equal(cli_integer(report, "orders_rejected"), 2);
    assert_int_equal(cli_integer(report, "orders_skipped"), 0);
    json_decref(report);
    expect_rejects(lines, 2);
}

static void rejects_go_where_they_are_asked_to(void **state)
{
    (void)state;
    char path[PATH_MAX];
    cli_path(path, scratch, "elsewhere.csv");
    cli_write(input, HEADER "1,a,0,d,1.0,c,UK\n");
    cli_expect_done(cli_run("ingest", "--data", data, "--rejects", path, input, (char *)NULL));
    char *text = cli_read(path);
    assert_non_null(strstr(text, ",2,\"1\",\"the quantity"));
    free(text);

    struct cli_result result =
        cli_run("ingest", "--data", data, "--rejects", "/nowhere/rejects.csv", input, (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "/nowhere/rejects.csv", "--rejects", (char *)NULL);
    cli_free(&result);
}

/* ---- options ---------------------------------------------------------------------------------
 */

#define ARGUMENTS_MAX 8

static struct cli_result run_list(const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX + 2] = {"flyover"};
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++)
        all[i + 1] = arguments[i];
    struct cli_process process = cli_start_list(-1, all);
    return cli_wait(&process);
}

static void a_wrong_command_line_is_answered_with_what_is_wrong_with_it(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[ARGUMENTS_MAX];
        const char *word;
    } lines[] = {
        {{NULL}, "Usage: flyover COMMAND"},
        {{"fly"}, "there is no command 'fly'"},
        {{"ingest", "orders.csv"}, "--data DIR"},
        {{"ingest", "--data", "d"}, "name a file of orders"},
        {{"ingest", "--nonsense"}, "--nonsense"},
        {{"ingest", "--data", "d", "-D", "fast", "f"}, "none of sync, async, memory"},
        {{"ingest", "--data", "d", "--set", "nonsense", "f"}, "SERVICE.KEY=VALUE"},
        {{"ingest", "--data", "d", "--set", "a.b", "f"}, "SERVICE.KEY=VALUE"},
        {{"ingest", "--data", "d", "--in-flight", "0", "f"}, "--in-flight takes 1 to"},
        {{"ingest", "--data", "d", "--in-flight", "-1", "f"}, "--in-flight takes 1 to"},
        {{"ingest", "--data", "d", "--in-flight", "many", "f"}, "--in-flight takes 1 to"},
        {{"ingest", "--data", "d", "--sagas-max", "0", "f"}, "--sagas-max takes 1 to"},
        {{"ingest", "--data", "d", "--sagas-max", "9999999999", "f"}, "--sagas-max takes 1 to"},
        {{"ingest", "--data", "d", "--plugin-dir", "/nowhere", "f"}, "/nowhere is no folder"},
        {{"define", "--plugin-dir", "/nowhere", "f"}, "/nowhere is no folder"},
        {{"bench", "--sagas", "0"}, "--sagas takes a number"},
        {{"bench", "--sagas", "-5"}, "--sagas takes a number"},
        {{"bench", "--fail-rate", "2"}, "--fail-rate takes a number from 0 to 1"},
        {{"bench", "--fail-rate", "nan"}, "--fail-rate takes a number from 0 to 1"},
        {{"bench", "--duration", "-1"}, "--duration takes a number"},
        {{"bench", "--shape", "round"}, "--shape takes small or retail"},
        {{"bench", "--durability", "disk"}, "none of sync, async, memory"},
        {{"bench", "more"}, "'more' is no option"},
        {{"generate", "--orders", "0"}, "--orders takes 1 to"},
        {{"generate", "--orders", "100000000"}, "--orders takes 1 to"},
        {{"generate", "--seed", "-1"}, "--seed takes a number from 1"},
        {{"generate", "--seed", "99999999999999999999"}, "--seed takes a number from 1"},
        {{"generate", "--shape", "round"}, "--shape takes small or retail"},
        {{"generate", "more"}, "'more' is no option"},
        {{"replay"}, "--data DIR"},
        {{"replay", "--data", "d", "--until", "0"}, "--until takes a number from 1"},
        {{"replay", "--data", "d", "--saga", "x"}, "--saga takes a number from 1"},
        {{"journal", "verify"}, "--data DIR"},
        {{"journal", "--data", "d"}, "dump or verify"},
        {{"journal", "burn", "--data", "d"}, "neither dump nor verify"},
        {{"journal", "dump", "--data", "d", "--from", "3", "--to", "2"}, "--from 3 is behind"},
        {{"journal", "verify", "--data", "d", "--records"}, "--records goes with dump"},
        {{"define"}, "name the file of a definition"},
        {{"define", "a", "b"}, "one definition at a time"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct cli_result result = run_list(lines[i].arguments);
        cli_expect_says(&result, CLI_USAGE, lines[i].word, (char *)NULL);
        assert_int_equal(result.out_bytes, 0);
        cli_free(&result);
    }
}

static void help_of_each_command_names_its_options(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        const char *options[8];
    } commands[] = {
        {"ingest", {"--data", "--durability", "--set", "--accept-loss", "--rejects", "--json"}},
        {"generate", {"--orders", "--seed", "--shape"}},
        {"bench", {"--sagas", "--duration", "--fail-rate", "--shape", "--definition", "--json"}},
        {"replay", {"--data", "--until", "--saga", "--json"}},
        {"journal", {"--data", "--from", "--to", "--records", "dump|verify"}},
        {"define", {"--name", "--plugin-dir", "--json"}},
    };
    struct cli_result all = cli_run("--help", (char *)NULL);
    cli_expect(&all, CLI_DONE);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        assert_non_null(strstr(all.out, commands[i].command));
        struct cli_result result = cli_run(commands[i].command, "--help", (char *)NULL);
        cli_expect(&result, CLI_DONE);
        assert_non_null(strstr(result.out, "Usage: flyover"));
        for (const char *const *option = commands[i].options; *option != NULL; option++)
            assert_non_null(strstr(result.out, *option));
        cli_free(&result);
    }
    cli_free(&all);
}

static void every_durability_is_known_by_its_name_and_named_in_the_report(void **state)
{
    (void)state;
    static const char *const names[] = {"sync", "async", "memory"};
    cli_write(input, HEADER ROW("1"));
    for (size_t i = 0; i < 3; i++) {
        json_t *report = cli_expect_json(cli_run("ingest", "--data", data, "--durability", names[i],
                                                 "--json", input, (char *)NULL));
        assert_string_equal(cli_text(report, "durability"), names[i]);
        json_decref(report);
        cli_remove(data);
    }
}

/* ---- settings and plug-ins -------------------------------------------------------------------
 */

static void expect_setting_refused(const char *command, const char *setting, const char *word)
{
    cli_write(input, HEADER ROW("1"));
    struct cli_result result =
        strcmp(command, "ingest") == 0
            ? cli_run("ingest", "--data", data, "--set", setting, input, (char *)NULL)
            : cli_run("bench", "-D", "memory", "--sagas", "1", "--set", setting, (char *)NULL);
    cli_expect_says(&result, CLI_INPUT, word, (char *)NULL);
    cli_free(&result);
}

static void settings_that_nobody_takes_are_refused(void **state)
{
    (void)state;
    static const char *const commands[] = {"ingest", "bench"};
    for (size_t i = 0; i < 2; i++) {
        expect_setting_refused(commands[i], "payment.nonsense=1", "does not take the setting");
        expect_setting_refused(commands[i], "payment.credit_limit=much", "out of its range");
        expect_setting_refused(commands[i], "payment.credit_limit=-1", "out of its range");
        expect_setting_refused(commands[i], "payment.credit_limit=", "out of its range");
        expect_setting_refused(commands[i], "order.orders_kept=0", "out of its range");
        expect_setting_refused(commands[i], "paymnet.credit_limit=1", "no definition asks for");
    }
}

/* In the folder `input`, under another name. */
static void put_plugin(const char *name, const char *as)
{
    char from[PATH_MAX];
    char path[PATH_MAX];
    snprintf(from, sizeof from, "%s/%s.so", BAD_PLUGINS_DIRECTORY, name);
    cli_path(path, input, as);
    unlink(path);
    assert_int_equal(symlink(from, path), 0);
}

/* The folder named by --plugin-dir comes before the one beside the program. */
static void plug_ins_that_cannot_be_used_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *plugin, *word;
    } plugins[] = {
        {"other_abi", "plug-in ABI"},       {"no_entry", "flyover_service_describe"},
        {"misnamed", "calls itself"},       {"nothing", "describes no service"},
        {"unresolved", "cannot be loaded"},
    };
    char orders[PATH_MAX];
    cli_path(orders, scratch, "orders.csv");
    cli_write(orders, HEADER ROW("1"));
    assert_int_equal(mkdir(input, 0755), 0);
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        put_plugin(plugins[i].plugin, "payment.so");
        struct cli_result result =
            cli_run("ingest", "--data", data, "--plugin-dir", input, orders, (char *)NULL);
        cli_expect_says(&result, CLI_INPUT, "payment.so", plugins[i].word, (char *)NULL);
        cli_free(&result);
        cli_remove(data);
    }
}

static void a_plug_in_that_is_no_library_is_refused(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(mkdir(input, 0755), 0);
    cli_path(path, input, "order.so");
    cli_write(path, "no library\n");
    struct cli_result result =
        cli_run("bench", "-D", "memory", "--sagas", "1", "--plugin-dir", input, (char *)NULL);
    cli_expect_says(&result, CLI_INPUT, path, "cannot be loaded", (char *)NULL);
    cli_free(&result);
}

/* ---- definitions -----------------------------------------------------------------------------
 */

#define STATES(text) "{\"StartAt\":\"A\",\"States\":{" text "}}"

static void expect_definition_refused(const char *word, const char *other_word)
{
    struct cli_result results[] = {
        cli_run("define", input, (char *)NULL),
        cli_run("bench", "-D", "memory", "--sagas", "1", "--definition", input, (char *)NULL),
    };
    for (size_t i = 0; i < 2; i++) {
        cli_expect_says(&results[i], CLI_INPUT, input, word, other_word, (char *)NULL);
        assert_int_equal(results[i].out_bytes, 0);
        cli_free(&results[i]);
    }
}

static void a_bad_definition_is_refused_with_the_place_and_what_is_wrong_there(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word, *other_word;
    } definitions[] = {
        {"", "not JSON", ""},
        {"{", "not JSON", ""},
        {"[]", "must be an object", ""},
        {"{}", "StartAt", ""},
        {STATES("\"A\":{\"Type\":\"Teleport\",\"End\":true}"), "/States/A/Type", "Teleport"},
        {STATES("\"A\":{\"Type\":\"Pass\"}"), "/States/A", "neither Next nor End"},
        {STATES("\"A\":{\"Type\":\"Pass\",\"Next\":\"B\"}"), "/States/A/Next", "no state \"B\""},
        {STATES("\"A\":{\"Type\":\"Pass\",\"End\":true},\"B\":{\"Type\":\"Pass\",\"End\":true}"),
         "/States/B", "no way leads here"},
        {STATES(
             "\"A\":{\"Type\":\"Pass\",\"Next\":\"B\"},\"B\":{\"Type\":\"Pass\",\"Next\":\"A\"}"),
         "A -> B -> A", "goes round for ever"},
        {STATES("\"A\":{\"Type\":\"Task\",\"Resource\":\"nonsense\",\"End\":true}"),
         "/States/A/Resource", "service:NAME.HANDLER"},
        {STATES("\"A\":{\"Type\":\"Task\",\"Resource\":\"service:nosuch.x\",\"End\":true}"),
         "no service 'nosuch'", "payment"},
        {STATES("\"A\":{\"Type\":\"Task\",\"Resource\":\"service:order.nosuch\",\"End\":true}"),
         "nosuch", "record"},
        {STATES("\"A\":{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::ecs:runTask\",\"End\":"
                "true}"),
         "ecs:runTask\" is not supported", "sqs:sendMessage"},
        {STATES("\"A\":{\"Type\":\"Task\",\"Resource\":\"service:order.record\",\"End\":true,"
                "\"Parameters\":{\"a.$\":\"$.b\"}}"),
         "InputPath, Parameters and ResultSelector", "service 'order' is a plug-in"},
        {STATES("\"A\xff\":{}"), "not UTF-8", ""},
    };
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
        cli_write(input, definitions[i].text);
        expect_definition_refused(definitions[i].word, definitions[i].other_word);
    }
}

static void steps_of_edges_are_checked_anywhere_and_run_by_an_engine_that_has_edges(void **state)
{
    (void)state;
    cli_write(input, STATES("\"A\":{\"Type\":\"Task\",\"Resource\":"
                            "\"arn:aws:states:::sqs:sendMessage\",\"Parameters\":{"
                            "\"MessageBody.$\":\"$\"},\"End\":true}"));
    struct cli_result result = cli_run("define", input, (char *)NULL);
    cli_expect(&result, CLI_DONE);
    assert_non_null(strstr(result.out, "services: aws-sqs (an edge)"));
    assert_non_null(strstr(result.out, "{\"MessageBody\": $}"));
    cli_free(&result);
    result = cli_run("bench", "-D", "memory", "--sagas", "1", "--definition", input, (char *)NULL);
    cli_expect_says(&result, CLI_INPUT, input, "service 'aws-sqs' is an edge",
                    "flyover serve --edges FILE", (char *)NULL);
    cli_free(&result);
}

static void a_definition_of_a_hundred_megabytes_is_refused_by_its_size(void **state)
{
    (void)state;
    cli_write(input, "{");
    assert_int_equal(truncate(input, 100 << 20), 0);
    expect_definition_refused("larger than the limit", "bytes");
}

static void a_definition_that_is_not_there_is_refused(void **state)
{
    (void)state;
    expect_definition_refused("cannot be read", "No such file");
    assert_int_equal(mkdir(input, 0755), 0);
    expect_definition_refused("cannot be read", "Is a directory");
}

/* A compensation that always fails parks its saga, and parked sagas keep their room: a load test
 * must not wait for it for ever. */
/* Its compensation does not know what it is asked. */
static const char never_undone[] =
    STATES("\"A\":{\"Type\":\"Task\",\"Resource\":\"service:order.record\","
           "\"ResultPath\":null,"
           "\"Compensate\":{\"Resource\":\"service:order.record\"},\"Next\":\"B\"},"
           "\"B\":{\"Type\":\"Fail\",\"Error\":\"No\",\"Cause\":\"no\"}");

static void stuck_sagas_are_shown_to_the_operator(void **state)
{
    (void)state;
    cli_write(input, never_undone);
    struct cli_result result = cli_run("bench", "--data", data, "--sagas", "25", "--no-limit",
                                       "--definition", input, (char *)NULL);
    cli_expect_says(&result, CLI_DONE, NULL);
    cli_free(&result);
    json_t *replayed = cli_expect_json(cli_run("replay", "--data", data, "--json", (char *)NULL));
    json_t *stuck = json_object_get(replayed, "stuck_sagas");
    assert_int_equal(json_array_size(stuck), 25);
    assert_int_equal(cli_integer(json_array_get(stuck, 0), "saga"), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(stuck, 0), "state")), "A");
    json_decref(replayed);
}

static void a_bench_whose_sagas_are_all_stuck_ends_and_says_so(void **state)
{
    (void)state;
    cli_write(input, never_undone);
    struct cli_result result = cli_run("bench", "-D", "memory", "--sagas", "500", "--sagas-max",
                                       "100", "--definition", input, (char *)NULL);
    cli_expect_says(&result, CLI_FAILED, "100 sagas are stuck", "--sagas-max", (char *)NULL);
    cli_free(&result);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_data)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_not_one_of_orders_is_refused_with_what_is_wrong),
        TEST(a_binary_file_is_refused),
        TEST(a_quote_left_open_over_ten_megabytes_is_refused_in_bounded_memory),
        TEST(a_file_that_is_not_there_is_refused),
        TEST(a_directory_in_the_place_of_a_file_is_refused),
        TEST(a_file_without_orders_is_done_at_once),
        TEST(the_orders_before_a_break_are_done_and_the_mended_file_is_gone_on_with),
        TEST(the_files_before_a_bad_one_are_done),
        TEST(bad_orders_of_a_csv_are_refused_one_by_one_with_line_order_and_reason),
        TEST(rows_that_do_not_fit_the_header_are_refused_and_the_others_done),
        TEST(a_row_of_ten_megabytes_is_refused_and_the_orders_around_it_done),
        TEST(bad_orders_of_ndjson_are_refused_one_by_one_with_line_order_and_reason),
        TEST(a_file_that_only_begins_like_an_earlier_one_has_its_rejects_listed_once),
        TEST(rejects_go_where_they_are_asked_to),
        TEST(a_wrong_command_line_is_answered_with_what_is_wrong_with_it),
        TEST(help_of_each_command_names_its_options),
        TEST(every_durability_is_known_by_its_name_and_named_in_the_report),
        TEST(settings_that_nobody_takes_are_refused),
        TEST(plug_ins_that_cannot_be_used_are_refused_with_the_reason),
        TEST(a_plug_in_that_is_no_library_is_refused),
        TEST(a_bad_definition_is_refused_with_the_place_and_what_is_wrong_there),
        TEST(steps_of_edges_are_checked_anywhere_and_run_by_an_engine_that_has_edges),
        TEST(a_definition_of_a_hundred_megabytes_is_refused_by_its_size),
        TEST(a_definition_that_is_not_there_is_refused),
        TEST(stuck_sagas_are_shown_to_the_operator),
        TEST(a_bench_whose_sagas_are_all_stuck_ends_and_says_so),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
