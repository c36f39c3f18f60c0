#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/edge/edge.h"

/* The file of edges: what it becomes, and what is refused. */

static char path[] = "/tmp/test_edge_config_XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int file = mkstemp(path);
    return file < 0 ? 1 : close(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static enum status read_bytes(const char *text, size_t bytes, json_t **ret_config,
                              struct problem *problem)
{
    int file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, bytes), bytes);
    close(file);
    return edge_config_read(path, ret_config, problem);
}

static void assert_becomes(const char *text, const char *json)
{
    json_t *config;
    struct problem problem = {0};
    if (read_bytes(text, strlen(text), &config, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    char *printed = json_dumps(config, JSON_COMPACT);
    assert_string_equal(printed, json);
    free(printed);
    json_decref(config);
}

/* `sentence` comes behind the file's name. */
static void assert_bytes_refused(const char *text, size_t bytes, const char *sentence)
{
    json_t *config;
    struct problem problem = {0};
    assert_int_equal(read_bytes(text, bytes, &config, &problem), STATUS_INVALID);
    assert_memory_equal(problem.text, path, strlen(path));
    assert_string_equal(problem.text + strlen(path), sentence);
}

static void assert_refused(const char *text, const char *sentence)
{
    assert_bytes_refused(text, strlen(text), sentence);
}

static void sections_become_objects(void **state)
{
    (void)state;
    assert_becomes("aws: {region: eu-central-1, endpoint_url: 'http://127.0.0.1:4566'}\n"
                   "sqs: {}\n"
                   "sns:\n"
                   "sqs_in:\n"
                   "  queues:\n"
                   "    - url: http://127.0.0.1:9324/queue/orders\n"
                   "      definition: order\n"
                   "    - {url: b, definition: other}\n",
                   "{\"aws\":{\"region\":\"eu-central-1\",\"endpoint_url\":"
                   "\"http://127.0.0.1:4566\"},\"sqs\":{},\"sns\":null,\"sqs_in\":{\"queues\":["
                   "{\"url\":\"http://127.0.0.1:9324/queue/orders\",\"definition\":\"order\"},"
                   "{\"url\":\"b\",\"definition\":\"other\"}]}}");
}

static void json_is_read_too(void **state)
{
    (void)state;
    assert_becomes("{\"sql\": {\"pool\": 4, \"statements\": {\"pay\": \"select\\n1\"}}, "
                   "\"list\": [1, -2.5e3, true, false, null, \"\\u00e4\", []]}",
                   "{\"sql\":{\"pool\":4,\"statements\":{\"pay\":\"select\\n1\"}},"
                   "\"list\":[1,-2500.0,true,false,null,\"\303\244\",[]]}");
}

static void an_empty_file_has_no_sections(void **state)
{
    (void)state;
    assert_becomes("", "{}");
    assert_becomes("# sqs: {}\n", "{}");
    assert_becomes("---\n", "{}");
}

static void what_json_takes_for_no_number_is_text(void **state)
{
    (void)state;
    assert_becomes("a: [0, -0, 012345678901, +1, 1., .5, 1e5, 1_000, 0x10, 1.2.3, -, 9, \"9\", e5,"
                   " 1e, yes, True, ~, \"~\", 2026-11-26]",
                   "{\"a\":[0,0,\"012345678901\",\"+1\",\"1.\",\".5\",100000.0,\"1_000\",\"0x10\","
                   "\"1.2.3\",\"-\",9,\"9\",\"e5\",\"1e\",\"yes\",\"True\",null,\"~\","
                   "\"2026-11-26\"]}");
    assert_becomes("a: [9223372036854775807, -9223372036854775808]",
                   "{\"a\":[9223372036854775807,-9223372036854775808]}");
}

static void statements_of_several_lines_are_kept(void **state)
{
    (void)state;
    assert_becomes(
        "sql:\n  pay: |\n    insert into t\n    values ($1)\n  get: >\n    select\n    1\n",
        "{\"sql\":{\"pay\":\"insert into t\\nvalues ($1)\\n\",\"get\":\"select 1\\n\"}}");
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("sqs: {}\nsns: {}\nsqs: {}\n", ":3: sqs is there twice, first in line 1");
    assert_refused("sql:\n  pay: a\n  pay: b\n", ":3: pay is there twice, first in line 2");
    assert_becomes("sql: {pay: a}\nhttp: {pay: b}\n",
                   "{\"sql\":{\"pay\":\"a\"},\"http\":{\"pay\":\"b\"}}");
}

static void what_says_more_than_it_shows_is_refused(void **state)
{
    (void)state;
    assert_refused("sqs: &a {}\n", ":1: a file of edges has no anchors: write it out");
    assert_refused("sqs: {a: &a 1}\n", ":1: a file of edges has no anchors: write it out");
    assert_refused("\nsqs: *a\n", ":2: a file of edges has no aliases: write it out");
    assert_refused("sqs: !x {}\n", ":1: a file of edges has no tags: write it out");
    assert_refused("sqs: !!str 1\n", ":1: a file of edges has no tags: write it out");
    assert_refused("sqs: [&a 1]\n", ":1: a file of edges has no anchors: write it out");
}

static void what_is_no_file_of_edges_is_refused(void **state)
{
    (void)state;
    assert_refused("- sqs\n", ":1: a file of edges is made of sections, as sqs: {}");
    assert_refused("\nsqs\n", ":2: a file of edges is made of sections, as sqs: {}");
    assert_refused("sqs: {}\n---\nsns: {}\n", ":2: a file of edges is one document");
    assert_refused("[a]: 1\n", ":1: a key is a text");
    assert_refused("sqs:\n  ? [a]\n  : 1\n", ":2: a key is a text");
    assert_refused("a: 9223372036854775808\n",
                   ":1: the number 9223372036854775808 is too large: if it is text, quote it");
    assert_refused("a: 1e999\n", ":1: the number 1e999 is too large: if it is text, quote it");
    assert_refused("sqs: {\n", ":2: this is no YAML: did not find expected node content");
    assert_refused("sqs: \"a\\0b\"\n", ":1: a text has no zero byte");
    assert_refused("\"a\\0b\": 1\n", ":1: a key has no zero byte");
    assert_bytes_refused("a: \377\n", 5, ":1: this is no YAML: invalid leading UTF-8 octet");
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    char text[256] = "a: ";
    memset(text + 3, '[', 16);
    memset(text + 19, ']', 16);
    json_t *config;
    struct problem problem = {0};
    assert_int_equal(read_bytes(text, 35, &config, &problem), STATUS_OK);
    json_decref(config);
    memset(text + 3, '[', 100);
    assert_bytes_refused(text, 103, ":1: it is nested deeper than 16 levels");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    json_t *config;
    struct problem problem = {0};
    assert_int_equal(edge_config_read("/tmp/no/such/edges.yaml", &config, &problem),
                     STATUS_NOT_FOUND);
    assert_string_equal(problem.text, "/tmp/no/such/edges.yaml: there is no such file");
    assert_int_equal(edge_config_read("/tmp", &config, &problem), STATUS_INVALID);
    assert_string_equal(problem.text, "/tmp is a folder");
    char *large = malloc(EDGE_CONFIG_BYTES_MAX + 1);
    memset(large, '#', EDGE_CONFIG_BYTES_MAX + 1);
    assert_int_equal(read_bytes(large, EDGE_CONFIG_BYTES_MAX + 1, &config, &problem),
                     STATUS_TOO_LARGE);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_become_objects),
        cmocka_unit_test(json_is_read_too),
        cmocka_unit_test(an_empty_file_has_no_sections),
        cmocka_unit_test(what_json_takes_for_no_number_is_text),
        cmocka_unit_test(statements_of_several_lines_are_kept),
        cmocka_unit_test(a_key_that_is_there_twice_is_refused),
        cmocka_unit_test(what_says_more_than_it_shows_is_refused),
        cmocka_unit_test(what_is_no_file_of_edges_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
