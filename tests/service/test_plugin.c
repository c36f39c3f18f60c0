#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/service/audit.h"
#include "engine/service/plugin.h"
#include "engine/service/worker.h"

static const struct plugin_path path = {.directories = {PLUGINS_DIRECTORY}, .directories_count = 1};

/* The sentence must be the whole of it: what is wrong, where, and what to do. */
static void check_refused(const struct plugin_path *where, const char *name, enum status status,
                          const char *sentence)
{
    struct plugin plugin = {.library = &plugin};
    struct problem problem = {0};
    assert_int_equal(plugin_open(where, name, &plugin, &problem), status);
    assert_int_equal(problem.status, status);
    assert_string_equal(problem.text, sentence);
    assert_ptr_equal(plugin.library, &plugin);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void a_missing_file_is_named_with_the_folders_and_the_services_there_are(void **state)
{
    (void)state;
    char folder[] = "/tmp/flyover-plugins-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char file[64], sentence[256];
    snprintf(file, sizeof file, "%s/inventory.so", folder);
    FILE *made = fopen(file, "w");
    assert_non_null(made);
    fclose(made);
    struct plugin_path two = {.directories = {"/nowhere", folder}, .directories_count = 2};
    snprintf(sentence, sizeof sentence,
             "there is no service 'invntory': no invntory.so in /nowhere, %s; there are: "
             "inventory. Name a folder with --plugin-dir, or correct the Resource",
             folder);
    check_refused(&two, "invntory", STATUS_NOT_FOUND, sentence);
    two.directories_count = 1;
    check_refused(&two, "order", STATUS_NOT_FOUND,
                  "there is no service 'order': no order.so in /nowhere. Name a folder with "
                  "--plugin-dir, or correct the Resource");
    unlink(file);
    rmdir(folder);
}

static void a_name_that_is_a_path_is_not_followed(void **state)
{
    (void)state;
    check_refused(&(struct plugin_path){.directories = {"/nowhere"}, .directories_count = 1},
                  "../plugins/everything", STATUS_NOT_FOUND,
                  "there is no service '../plugins/everything': no ../plugins/everything.so in "
                  "/nowhere. Name a folder with --plugin-dir, or correct the Resource");
    struct plugin plugin;
    assert_int_equal(plugin_open(&path, "../plugins/everything", &plugin, NULL), STATUS_NOT_FOUND);
}

static void a_file_that_is_no_shared_object_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/flyover-plugins-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char file[64], sentence[256];
    snprintf(file, sizeof file, "%s/text.so", folder);
    FILE *made = fopen(file, "w");
    assert_non_null(made);
    fputs("This is text, and longer than the head of a shared object would be, so that nobody "
          "can say that it was cut off.\n",
          made);
    fclose(made);
    snprintf(sentence, sizeof sentence, "%s cannot be loaded: %s: invalid ELF header", file, file);
    check_refused(&(struct plugin_path){.directories = {folder}, .directories_count = 1}, "text",
                  STATUS_BAD_PLUGIN, sentence);
    unlink(file);
    rmdir(folder);
}

static void a_function_that_the_engine_lacks_is_named(void **state)
{
    (void)state;
    check_refused(&path, "unresolved", STATUS_BAD_PLUGIN,
                  PLUGINS_DIRECTORY "/unresolved.so cannot be loaded: " PLUGINS_DIRECTORY
                                    "/unresolved.so: undefined symbol: flyover_sing");
}

static void a_shared_object_without_the_entry_point_is_no_plug_in(void **state)
{
    (void)state;
    check_refused(&path, "no_entry", STATUS_BAD_PLUGIN,
                  PLUGINS_DIRECTORY
                  "/no_entry.so is no plug-in: it does not define flyover_service_describe()");
    check_refused(&path, "nothing", STATUS_BAD_PLUGIN,
                  PLUGINS_DIRECTORY "/nothing.so describes no service");
}

static void another_abi_is_refused_and_nothing_else_of_it_read(void **state)
{
    (void)state;
    check_refused(&path, "other_abi", STATUS_BAD_PLUGIN,
                  PLUGINS_DIRECTORY
                  "/other_abi.so was built for plug-in ABI 7 and this engine has 1: build it "
                  "again with this engine's flyover_service.h");
}

static void a_file_is_named_after_its_service(void **state)
{
    (void)state;
    check_refused(&path, "misnamed", STATUS_BAD_PLUGIN,
                  PLUGINS_DIRECTORY
                  "/misnamed.so calls itself 'somebody': name the file after the service");
}

/* ---- a plug-in that is fine ----------------------------------------------------------------- */

static void run_handler(struct worker *worker, uint32_t calls_count)
{
    for (uint32_t i = 0; i < calls_count; i++) {
        struct invoke invoke = {.input = (const uint8_t *)"\xc0", .input_bytes = 1};
        worker_send_invoke(worker, &invoke);
    }
    worker_flush(worker);
    assert_int_equal(worker_step(worker), calls_count);
    assert_int_equal(worker_peek_results(worker, calls_count), calls_count);
    for (uint32_t i = 0; i < calls_count; i++)
        assert_int_equal(worker_front_result(worker, i)->answer, FLYOVER_DONE);
    worker_consume_results(worker, calls_count);
}

static void a_plug_in_finds_every_function_of_the_header_runs_and_reports(void **state)
{
    (void)state;
    struct plugin plugin;
    struct problem problem = {.text = ""};
    enum status status = plugin_open(&path, "everything", &plugin, &problem);
    assert_string_equal(problem.text, "");
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(plugin_find_handler(&plugin, "handle"), 0);
    assert_int_equal(plugin_find_handler(&plugin, "handl"), PLUGIN_NO_HANDLER);

    struct event_table declared[FLYOVER_TABLES_MAX];
    assert_int_equal(plugin_tables(&plugin, declared), 2);
    assert_int_equal(declared[1].kind, FLYOVER_COUNTERS);
    assert_int_equal(declared[0].when_full, FLYOVER_DROP_OLDEST);
    assert_int_equal(declared[0].entries_max, 16);
    assert_int_equal(declared[0].name.count, strlen("values"));
    struct tables *tables = NULL;
    struct worker *worker = NULL;
    assert_int_equal(tables_open(declared, 2, &tables), STATUS_OK);
    struct worker_options options = {.plugin = &plugin, .tables = tables, .threadless = true};
    assert_int_equal(worker_open(&options, &worker), STATUS_OK);
    run_handler(worker, 3);

    struct audit_report report = {0};
    audit_service(&plugin, tables, &report);
    assert_int_equal(report.figures_count, 1);
    assert_string_equal(report.figures[0].service, "everything");
    assert_int_equal(audit_find(&report, "everything", "sum"), 3);
    assert_int_equal(audit_find(&report, "everything", "total"), 0);
    for (uint32_t i = 0; i < 2 * AUDIT_FIGURES_MAX; i++)
        audit_service(&plugin, tables, &report);
    assert_int_equal(report.figures_count, AUDIT_FIGURES_MAX);
    worker_close(worker);
    tables_close(tables);
    plugin_close(&plugin);
    assert_null(plugin.service);
}

/* ---- settings ------------------------------------------------------------------------------- */

static struct plugin_path path_with(const char *first, const char *second)
{
    struct plugin_path with = path;
    assert_int_equal(plugin_setting_parse(first, &with.settings[0], NULL), STATUS_OK);
    with.settings_count = 1;
    if (second != NULL)
        assert_int_equal(plugin_setting_parse(second, &with.settings[with.settings_count++], NULL),
                         STATUS_OK);
    return with;
}

static void a_setting_that_a_service_does_not_take_is_refused(void **state)
{
    (void)state;
    struct plugin_path with = path_with("everything.tables=1", "everything.colour=blue");
    check_refused(&with, "everything", STATUS_INVALID,
                  "service 'everything' does not take the setting colour=blue: the key is unknown "
                  "to it or the value is out of its range");
    with = path_with("everything.tables=65", NULL);
    check_refused(&with, "everything", STATUS_INVALID,
                  "service 'everything' does not take the setting tables=65: the key is unknown "
                  "to it or the value is out of its range");
}

static void a_setting_reaches_its_service_and_no_other(void **state)
{
    (void)state;
    struct plugin_path with = path_with("everything.tables=1", "every.tables=65");
    struct plugin plugin;
    struct event_table declared[FLYOVER_TABLES_MAX];
    assert_int_equal(plugin_open(&with, "everything", &plugin, NULL), STATUS_OK);
    assert_int_equal(plugin_tables(&plugin, declared), 1);
    plugin_close(&plugin);
}

static void what_settings_make_of_a_service_is_checked_again(void **state)
{
    (void)state;
    struct plugin_path with = path_with("everything.tables=33", NULL);
    check_refused(&with, "everything", STATUS_BAD_PLUGIN,
                  PLUGINS_DIRECTORY "/everything.so cannot be used: it has more than 32 tables, or "
                                    "a count of tables and no list");
}

static void a_text_that_is_no_setting_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "order", "order=1", "order.kept",
                                        ".kept=1", "=",     "a=b.c",   "order.=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct plugin_setting setting = {.service = "before"};
        struct problem problem;
        char sentence[256];
        snprintf(sentence, sizeof sentence,
                 "'%s' is no setting: give it as SERVICE.KEY=VALUE, for instance "
                 "inventory.units_initial=1000",
                 wrong[i]);
        assert_int_equal(plugin_setting_parse(wrong[i], &setting, &problem), STATUS_INVALID);
        assert_string_equal(problem.text, sentence);
        assert_string_equal(setting.service, "before");
    }
    struct plugin_setting setting;
    assert_int_equal(plugin_setting_parse("order.kept=a.b=c", &setting, NULL), STATUS_OK);
    assert_int_equal(setting.service_bytes, 5);
    assert_int_equal(setting.key_bytes, 4);
    assert_memory_equal(setting.key, "kept=", 5);
    assert_string_equal(setting.value, "a.b=c");
}

/* ---- descriptions --------------------------------------------------------------------------- */

static enum flyover_answer handle(struct flyover_call *call)
{
    return flyover_done(call);
}

static const struct flyover_handler two_handlers[] = {{"one", handle}, {"two", handle}};
static const struct flyover_table two_tables[] = {
    {"first", FLYOVER_VALUES, 8, FLYOVER_REFUSE},
    {"second", FLYOVER_COUNTERS, 8, FLYOVER_DROP_OLDEST},
};
static const struct flyover_service fine = {
    .abi = FLYOVER_ABI,
    .name = "fine",
    .handlers = two_handlers,
    .handlers_count = 2,
    .tables = two_tables,
    .tables_count = 2,
    .workers = 1,
};

static void check_flaw(const struct flyover_service *service, const char *flaw)
{
    static const struct plugin_path no_path;
    struct plugin plugin;
    struct problem problem = {0};
    char sentence[256];
    snprintf(sentence, sizeof sentence, "%s cannot be used: %s", service->name, flaw);
    assert_int_equal(plugin_open_built_in(&no_path, service, &plugin, &problem), STATUS_BAD_PLUGIN);
    assert_string_equal(problem.text, sentence);
}

static void check_handlers_flaw(struct flyover_handler first, struct flyover_handler second,
                                const char *flaw)
{
    struct flyover_handler handlers[] = {first, second};
    struct flyover_service service = fine;
    service.handlers = handlers;
    check_flaw(&service, flaw);
}

static void check_tables_flaw(struct flyover_table first, struct flyover_table second,
                              const char *flaw)
{
    struct flyover_table tables[] = {first, second};
    struct flyover_service service = fine;
    service.tables = tables;
    check_flaw(&service, flaw);
}

static void a_description_without_flaw_is_taken(void **state)
{
    (void)state;
    static const struct plugin_path no_path;
    struct plugin plugin;
    assert_int_equal(plugin_open_built_in(&no_path, &fine, &plugin, NULL), STATUS_OK);
    assert_ptr_equal(plugin.service, &fine);
    plugin_close(&plugin);
    struct flyover_service stateless = fine;
    stateless.tables = NULL;
    stateless.tables_count = 0;
    stateless.workers = 4;
    assert_int_equal(plugin_open_built_in(&no_path, &stateless, &plugin, NULL), STATUS_OK);
    plugin_close(&plugin);
}

static void a_service_needs_a_name_that_a_resource_can_say(void **state)
{
    (void)state;
    static const char long_name[] =
        "sixty-five-letters-are-one-more-than-the-name-of-anything-may-hav";
    static const char *const wrong[] = {"", "a.b", "a/b", "a:b", "a b", long_name};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct flyover_service service = fine;
        service.name = wrong[i];
        check_flaw(&service, "its name is empty, too long, or has one of './: ' in it");
    }
}

static void handlers_need_names_of_their_own_and_functions(void **state)
{
    (void)state;
    static const char unusable[] = "a handler has no valid name or no function";
    struct flyover_handler one = two_handlers[0];
    check_handlers_flaw(one, one, "two handlers have the same name");
    check_handlers_flaw(one, (struct flyover_handler){"a.b", handle}, unusable);
    check_handlers_flaw(one, (struct flyover_handler){NULL, handle}, unusable);
    check_handlers_flaw(one, (struct flyover_handler){"two", NULL}, unusable);
    struct flyover_service service = fine;
    service.handlers_count = 0;
    check_flaw(&service, "it has no handler, or more than 64");
    service.handlers_count = FLYOVER_HANDLERS_MAX + 1;
    check_flaw(&service, "it has no handler, or more than 64");
}

static void tables_need_names_of_their_own_limits_and_kinds(void **state)
{
    (void)state;
    static const char no_limit[] =
        "a table has no valid name, or entries_max is 0 or over 67108864";
    static const char no_kind[] =
        "a table is neither VALUES nor COUNTERS, or neither REFUSE nor DROP_OLDEST";
    struct flyover_table first = two_tables[0], wrong = two_tables[1];
    check_tables_flaw(first, first, "two tables have the same name");
    wrong.name = "";
    check_tables_flaw(first, wrong, no_limit);
    wrong = two_tables[1];
    wrong.entries_max = 0;
    check_tables_flaw(first, wrong, no_limit);
    wrong.entries_max = TABLES_ENTRIES_MAX + 1;
    check_tables_flaw(first, wrong, no_limit);
    wrong = two_tables[1];
    wrong.kind = (enum flyover_table_kind)2;
    check_tables_flaw(first, wrong, no_kind);
    wrong = two_tables[1];
    wrong.when_full = (enum flyover_when_full)2;
    check_tables_flaw(first, wrong, no_kind);
}

static void state_has_one_owner(void **state)
{
    (void)state;
    struct flyover_service service = fine;
    service.workers = 2;
    check_flaw(&service,
               "it has tables and asks for more than one worker: its state has one owner");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named_with_the_folders_and_the_services_there_are),
        cmocka_unit_test(a_name_that_is_a_path_is_not_followed),
        cmocka_unit_test(a_file_that_is_no_shared_object_is_refused),
        cmocka_unit_test(a_function_that_the_engine_lacks_is_named),
        cmocka_unit_test(a_shared_object_without_the_entry_point_is_no_plug_in),
        cmocka_unit_test(another_abi_is_refused_and_nothing_else_of_it_read),
        cmocka_unit_test(a_file_is_named_after_its_service),
        cmocka_unit_test(a_plug_in_finds_every_function_of_the_header_runs_and_reports),
        cmocka_unit_test(a_setting_that_a_service_does_not_take_is_refused),
        cmocka_unit_test(a_setting_reaches_its_service_and_no_other),
        cmocka_unit_test(what_settings_make_of_a_service_is_checked_again),
        cmocka_unit_test(a_text_that_is_no_setting_is_refused),
        cmocka_unit_test(a_description_without_flaw_is_taken),
        cmocka_unit_test(a_service_needs_a_name_that_a_resource_can_say),
        cmocka_unit_test(handlers_need_names_of_their_own_and_functions),
        cmocka_unit_test(tables_need_names_of_their_own_limits_and_kinds),
        cmocka_unit_test(state_has_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
