/*
 * config: settings from a file, the environment and flags, by one table; what is refused, and that
 * what is printed is what is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/main/config.h"

#define ITEMS_MAX 8u

struct items {
    const char *texts[ITEMS_MAX];
    uint32_t count;
};

struct options {
    const char *dir;
    uint64_t bytes;
    uint32_t threads;
    bool pin, loss;
    enum { RED, GREEN, BLUE } colour;
    struct items addresses, limits;
};

static enum status take_address(void *input, const char *text, struct problem *problem)
{
    struct items *items = &((struct options *)input)->addresses;
    if (strcmp(text, "nowhere") == 0)
        return problem_set(problem, STATUS_INVALID, "'%s' is no address", text);
    items->texts[items->count++] = text;
    return STATUS_OK;
}

static enum status take_limit(void *input, const char *text, struct problem *problem)
{
    struct items *items = &((struct options *)input)->limits;
    (void)problem;
    items->texts[items->count++] = text;
    return STATUS_OK;
}

#define AT(member) CONFIG_AT(struct options, member)

static const struct config_key keys[] = {
    {"data.dir", "data", 'd', "DIR", CONFIG_TEXT, AT(dir), .help = "Where"},
    {"data.size-mib", "size-mib", 0, "N", CONFIG_AMOUNT, .normal = "16", .least = 1, .most = 1024,
     .unit = 1u << 20, AT(bytes), .help = "How much"},
    {"threads.count", "threads", 0, "N", CONFIG_AMOUNT, .normal = "2", .is_kept = true, .most = 64,
     .unit = 1, AT(threads), .help = "How many"},
    {"threads.pin", "no-pin", 0, NULL, CONFIG_TRUTH, .normal = "true", AT(pin), .help = "No pins"},
    {"threads.colour", "colour", 0, "NAME", CONFIG_CHOICE, .normal = "green",
     .choices = "red green blue", AT(colour), .help = "Of all"},
    {NULL, "accept-loss", 0, NULL, CONFIG_TRUTH, AT(loss), .help = "Each time anew"},
    {"listen.addresses", "listen", 0, "ADDRESS", CONFIG_LIST, .normal = "127.0.0.1:7233",
     .take = take_address, .help = "Where it listens"},
    {"listen.limits", "limit", 0, "NAME=N", CONFIG_MAP, .take = take_limit, .help = "How much"},
};
#define KEYS_COUNT (sizeof keys / sizeof keys[0])

static struct options options;
static struct config *config;
static struct problem problem;
static char path[64];

static struct config *open_into(struct options *into)
{
    struct config *opened;
    const struct config_part part = {keys, KEYS_COUNT, into};
    assert_int_equal(config_open(&part, 1, &opened), STATUS_OK);
    return opened;
}

static int set_up(void **state)
{
    (void)state;
    options = (struct options){0};
    problem = (struct problem){0};
    config = open_into(&options);
    snprintf(path, sizeof path, "/tmp/config-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_close(config);
    unlink(path);
    return 0;
}

static enum status read_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return config_read_file(config, path, &problem);
}

static void expect_read(const char *text)
{
    if (read_text(text) != STATUS_OK || config_store(config, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static const struct config_key *key_of(const char *flag)
{
    for (size_t i = 0; i < KEYS_COUNT; i++)
        if (strcmp(keys[i].flag, flag) == 0)
            return &keys[i];
    return NULL;
}

static void give_flag(const char *flag, const char *text)
{
    if (config_read_flag(config, key_of(flag), text, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void give_variable(const char *variable)
{
    char *environment[] = {(char *)(uintptr_t)variable, NULL};
    if (config_read_environment(config, environment, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void defaults_are_stored_but_for_those_that_a_directory_keeps(void **state)
{
    (void)state;
    assert_int_equal(config_store(config, &problem), STATUS_OK);
    assert_null(options.dir);
    assert_int_equal(options.bytes, 16u << 20);
    assert_int_equal(options.threads, 0);
    assert_true(options.pin);
    assert_int_equal(options.colour, GREEN);
    assert_int_equal(options.addresses.count, 1);
    struct options alone = {0};
    config_store_defaults(keys, KEYS_COUNT, &alone);
    assert_int_equal(alone.bytes, options.bytes);
    assert_int_equal(alone.threads, 0);
    assert_int_equal(alone.colour, GREEN);
}

static void a_file_sets_values_lists_and_maps(void **state)
{
    (void)state;
    expect_read("# a comment\n"
                "data:\n  dir: /var/lib/x   # where\n  size-mib: 3\n"
                "threads: {count: 7, pin: false, colour: blue}\n"
                "listen:\n  addresses: [\"[::1]:1\", 'unix:/s']\n"
                "  limits:\n    a.rate: 5\n    b: {rate: 6, in-flight: 7}\n");
    assert_string_equal(options.dir, "/var/lib/x");
    assert_int_equal(options.bytes, 3u << 20);
    assert_int_equal(options.threads, 7);
    assert_false(options.pin);
    assert_int_equal(options.colour, BLUE);
    assert_int_equal(options.addresses.count, 2);
    assert_string_equal(options.addresses.texts[0], "[::1]:1");
    assert_string_equal(options.addresses.texts[1], "unix:/s");
    assert_int_equal(options.limits.count, 3);
    assert_string_equal(options.limits.texts[0], "a.rate=5");
    assert_string_equal(options.limits.texts[1], "b.rate=6");
    assert_string_equal(options.limits.texts[2], "b.in-flight=7");
}

static void sections_may_be_empty_and_so_may_be_the_file(void **state)
{
    (void)state;
    expect_read("");
    config_close(config);
    config = open_into(&options);
    expect_read("# nothing\n---\n");
    config_close(config);
    config = open_into(&options);
    expect_read("data:\n#  dir: /x\nthreads:\n");
}

/* Whatever the order in which they are read. */
static void flags_win_over_the_environment_and_that_over_the_file(void **state)
{
    (void)state;
    give_flag("data", "/flag");
    give_variable("FLYOVER_DATA_DIR=/environment");
    give_variable("FLYOVER_DATA_SIZE_MIB=2");
    give_variable("FLYOVER_LISTEN_ADDRESSES=a:1,b:2");
    give_flag("limit", "b=flag");
    expect_read("data: {dir: /file, size-mib: 1}\nthreads: {count: 9}\n"
                "listen: {addresses: [c:3], limits: {a: file, b: file}}\n");
    assert_string_equal(options.dir, "/flag");
    assert_int_equal(options.bytes, 2u << 20);
    assert_int_equal(options.threads, 9);
    assert_int_equal(options.addresses.count, 2);
    assert_string_equal(options.addresses.texts[1], "b:2");
    assert_int_equal(options.limits.count, 2);
    assert_string_equal(options.limits.texts[0], "b=flag");
    assert_string_equal(options.limits.texts[1], "a=file");
}

static void flags_given_again_add_to_a_list_and_replace_a_value(void **state)
{
    (void)state;
    give_flag("listen", "a:1");
    give_flag("listen", "b:2");
    give_flag("size-mib", "4");
    give_flag("size-mib", "5");
    give_flag("no-pin", NULL);
    give_flag("accept-loss", NULL);
    assert_int_equal(config_store(config, &problem), STATUS_OK);
    assert_int_equal(options.addresses.count, 2);
    assert_int_equal(options.bytes, 5u << 20);
    assert_false(options.pin);
    assert_true(options.loss);
}

static void what_is_wrong_in_a_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *line, *word;
    } files[] = {
        {"data:\n  dirr: /x\n", ":2:", "there is no data.dirr; did you mean \"data.dir\"?"},
        {"dataa:\n  dir: /x\n", ":1:", "did you mean \"data\"?"},
        {"data:\n  pin: true\n", ":2:", "did you mean \"threads.pin\"?"},
        {"quite-other: 1\n", ":1:", "--print-config lists"},
        {"data:\n  dir: /x\n  dir: /y\n", ":3:", "data.dir is there twice, first in line 2"},
        {"data:\n  dir: /x\nthreads:\ndata:\n", ":4:", "data is there twice"},
        {"data:\n  dir: [a]\n", ":2:", "data.dir takes one value"},
        {"data:\n  dir:\n", ":2:", "data.dir has no value"},
        {"data:\n  dir: ''\n", ":2:", "data.dir has no value"},
        {"data: 5\n", ":1:", "data is a section"},
        {"- data\n", ":1:", "made of sections"},
        {"data:\n  size-mib: many\n", ":2:", "data.size-mib takes 1 to 1024, not 'many'"},
        {"data:\n  size-mib: '5'\n", ":2:", "takes a number, and this is text"},
        {"data:\n  size-mib: 0x10\n", ":2:", "takes 1 to 1024"},
        {"data:\n  size-mib: -1\n", ":2:", "takes 1 to 1024"},
        {"data:\n  size-mib: 1025\n", ":2:", "takes 1 to 1024"},
        {"data:\n  size-mib: 99999999999999999999999\n", ":2:", "takes 1 to 1024"},
        {"threads:\n  pin: yes\n", ":2:", "threads.pin takes true or false"},
        {"threads:\n  pin: 'true'\n", ":2:", "takes true or false, and this is text"},
        {"threads:\n  colour: pink\n", ":2:", "'pink' is none of red, green, blue"},
        {"listen:\n  addresses: a:1\n", ":2:", "listen.addresses takes a list"},
        {"listen:\n  addresses: [[a]]\n", ":2:", "each of listen.addresses is one value"},
        {"listen:\n  addresses:\n    - a:1\n    - nowhere\n", ":4:", "'nowhere' is no address"},
        {"listen:\n  limits: [a]\n", ":2:", "takes names with a value each"},
        {"listen:\n  limits:\n    a.b: 1\n    a: {b: 2}\n", ":4:", "a.b is there twice"},
        {"listen:\n  limits: {a=b: 1}\n", ":2:", "it has a = in it"},
        {"listen: {limits: {a: {b: {c: {d: {e: 1}}}}}}\n", ":1:", "names with a value each"},
        {"data:\n\tdir: x\n", ":2:", "this is no YAML"},
        {"data: {dir: \"x}\n", ":", "this is no YAML"},
        {"data: &a\n  dir: /x\n", ":1:", "no anchors"},
        {"data:\n  dir: *a\n", ":2:", "no aliases"},
        {"data:\n  dir: !!str x\n", ":2:", "no tags"},
        {"data:\n  dir: \"a\\0b\"\n", ":2:", "no zero byte"},
        {"data:\n  dir: a\n---\ndata:\n", ":3:", "one document"},
        {"[a]: b\n", ":1:", "a key is a text"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        config_close(config);
        config = open_into(&options);
        options = (struct options){0};
        problem = (struct problem){0};
        enum status status = read_text(files[i].text);
        if (status == STATUS_OK)
            status = config_store(config, &problem);
        assert_int_equal(status, STATUS_INVALID);
        bool said =
            strncmp(problem.text, path, strlen(path)) == 0 &&
            strncmp(problem.text + strlen(path), files[i].line, strlen(files[i].line)) == 0 &&
            strstr(problem.text, files[i].word) != NULL;
        if (!said)
            fail_msg("%s\ngave: %s", files[i].text, problem.text);
    }
}

static void a_file_that_is_none_or_is_huge_is_refused(void **state)
{
    (void)state;
    assert_int_equal(config_read_file(config, "/nowhere/at/all", &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "/nowhere/at/all cannot be read"));
    assert_int_equal(config_read_file(config, "/tmp", &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "is a folder"));
    assert_int_equal(truncate(path, CONFIG_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(config_read_file(config, path, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "has more than"));
}

static void variables_that_were_meant_for_it_are_refused_and_others_left_alone(void **state)
{
    (void)state;
    give_variable("FLYOVER_TOKEN=x");
    give_variable("FLYOVER_SERVICE_PORT=tcp://10.0.0.1");
    give_variable("PATH=/bin");
    give_variable("FLYOVER_THREADS_PIN=false");
    char *misspelt[] = {"FLYOVER_DATA_DRI=/x", NULL};
    assert_int_equal(config_read_environment(config, misspelt, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "FLYOVER_DATA_DRI"));
    assert_non_null(strstr(problem.text, "FLYOVER_DATA_DIR is"));
    char *wrong[] = {"FLYOVER_THREADS_COUNT=many", NULL};
    assert_int_equal(config_read_environment(config, wrong, &problem), STATUS_INVALID);
    assert_non_null(strstr(problem.text, "FLYOVER_THREADS_COUNT takes 0 to 64"));
    assert_int_equal(config_store(config, &problem), STATUS_OK);
    assert_false(options.pin);
}

/* Returns owned. */
static char *print(const struct config *printed)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    config_print(printed, out);
    fclose(out);
    return text;
}

static void what_is_printed_says_where_it_came_from(void **state)
{
    (void)state;
    give_variable("FLYOVER_DATA_SIZE_MIB=2");
    give_flag("no-pin", NULL);
    expect_read("threads:\n  colour: red\n");
    char *text = print(config);
    assert_non_null(strstr(text, "data:\n  # dir: not set. Where.\n"));
    assert_non_null(strstr(text, "  size-mib: 2  # FLYOVER_DATA_SIZE_MIB\n"));
    assert_non_null(strstr(text, "  pin: false  # --no-pin\n"));
    assert_non_null(strstr(text, "  count: 2  # default, for a new data directory\n"));
    char wanted[128];
    snprintf(wanted, sizeof wanted, "  colour: red  # %s:2\n", path);
    assert_non_null(strstr(text, wanted));
    assert_null(strstr(text, "accept-loss"));
    free(text);
}

static void what_is_printed_can_be_read_again(void **state)
{
    (void)state;
    give_flag("data", "a \"strange\" \\ path: # [x] \n \x01 \xc3\xa4 true");
    give_flag("listen", "[::1]:7");
    give_flag("listen", "null");
    give_flag("limit", "a.b=c: d");
    give_flag("limit", "x y=~");
    give_flag("colour", "blue");
    char *text = print(config);
    struct options again = {0};
    struct config *second = open_into(&again);
    struct config *first = config;
    config = second;
    if (read_text(text) != STATUS_OK)
        fail_msg("%s\n%s", problem.text, text);
    assert_int_equal(config_store(first, &problem), STATUS_OK);
    assert_int_equal(config_store(second, &problem), STATUS_OK);
    assert_string_equal(again.dir, options.dir);
    assert_int_equal(again.addresses.count, 2);
    assert_string_equal(again.addresses.texts[1], "null");
    assert_int_equal(again.limits.count, 2);
    assert_string_equal(again.limits.texts[0], "a.b=c: d");
    assert_string_equal(again.limits.texts[1], "x y=~");
    assert_int_equal(again.colour, BLUE);
    assert_int_equal(again.bytes, options.bytes);
    config_close(first);
    free(text);
}

static uint32_t changes;
static const struct config_key *changed[KEYS_COUNT];

static void on_change(void *context, const struct config_key *key)
{
    (void)context;
    changed[changes++] = key;
}

static void only_what_has_another_value_is_told_as_changed(void **state)
{
    (void)state;
    expect_read("data: {dir: /x, size-mib: 16}\nlisten: {limits: {a: 1}}\n");
    struct options again = {0};
    struct config *before = config;
    config = open_into(&again);
    give_flag("colour", "green");
    expect_read("data: {dir: /y}\nlisten: {limits: {a: 2}}\n");
    changes = 0;
    config_compare(before, config, on_change, NULL);
    assert_int_equal(changes, 2);
    assert_string_equal(changed[0]->path, "data.dir");
    assert_string_equal(changed[1]->path, "listen.limits");
    config_close(before);
}

static void flags_are_kept_when_everything_else_is_read_again(void **state)
{
    (void)state;
    give_flag("data", "/flag");
    give_flag("listen", "a:1");
    expect_read("threads: {count: 3}\n");
    struct config *before = config;
    options = (struct options){0};
    config = open_into(&options);
    assert_int_equal(config_copy_flags(config, before, &problem), STATUS_OK);
    config_close(before);
    expect_read("threads: {count: 4}\ndata: {dir: /file}\n");
    assert_string_equal(options.dir, "/flag");
    assert_int_equal(options.threads, 4);
    assert_int_equal(options.addresses.count, 1);
    assert_string_equal(options.addresses.texts[0], "a:1");
}

static void each_key_is_a_flag_of_argp_and_found_by_it(void **state)
{
    (void)state;
    struct argp_option list[2 * KEYS_COUNT + 1];
    uint32_t count = config_argp_options(keys, KEYS_COUNT, CONFIG_FLAG_FIRST, 1, true, list);
    uint32_t flags = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].name == NULL)
            continue;
        const struct config_key *key =
            config_find_flag(keys, KEYS_COUNT, CONFIG_FLAG_FIRST, list[i].key);
        assert_non_null(key);
        assert_string_equal(key->flag, list[i].name);
        assert_true((list[i].arg == NULL) == (key->type == CONFIG_TRUTH));
        flags++;
    }
    assert_int_equal(flags, KEYS_COUNT);
    assert_null(config_find_flag(keys, KEYS_COUNT, CONFIG_FLAG_FIRST, 'x'));
    char *help = config_help(key_of("size-mib"), "How much");
    assert_string_equal(help, "How much (default 16)");
    free(help);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_stored_but_for_those_that_a_directory_keeps),
        TEST(a_file_sets_values_lists_and_maps),
        TEST(sections_may_be_empty_and_so_may_be_the_file),
        TEST(flags_win_over_the_environment_and_that_over_the_file),
        TEST(flags_given_again_add_to_a_list_and_replace_a_value),
        TEST(what_is_wrong_in_a_file_is_refused_with_its_line),
        TEST(a_file_that_is_none_or_is_huge_is_refused),
        TEST(variables_that_were_meant_for_it_are_refused_and_others_left_alone),
        TEST(what_is_printed_says_where_it_came_from),
        TEST(what_is_printed_can_be_read_again),
        TEST(only_what_has_another_value_is_told_as_changed),
        TEST(flags_are_kept_when_everything_else_is_read_again),
        TEST(each_key_is_a_flag_of_argp_and_found_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
