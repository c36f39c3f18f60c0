/*
 * A test that expects the program to fail (CLI_FAILED) must not be content with what a sanitizer
 * has found in it. Only in builds with ASan and UBSan; this program, run again, breaks the rules.
 */
#include "tests/cli/cli.h"

#include <stdlib.h>
#include <string.h>

static int break_rules(const char *how)
{
    volatile int number = INT_MAX;
    char *volatile bytes = malloc(4);
    if (bytes == NULL)
        return 2;
    if (strcmp(how, "overflow") == 0)
        number = number + 1;
    if (strcmp(how, "behind") == 0)
        bytes[number - INT_MAX + 4] = 1;
    if (strcmp(how, "leak") == 0)
        bytes = NULL;
    free(bytes);
    return CLI_FAILED;
}

static void expect_exit(const char *how, int exit_code, const char *said)
{
    struct cli_result result = cli_run_program("/proc/self/exe", how, (char *)NULL);
    assert_int_equal(result.exit_code, exit_code);
    assert_non_null(strstr(result.err, said));
    cli_free(&result);
}

static void what_a_sanitizer_finds_is_no_failure_of_the_program(void **state)
{
    (void)state;
    expect_exit("nothing", CLI_FAILED, "");
    expect_exit("behind", CLI_SANITIZER, "heap-buffer-overflow");
    expect_exit("overflow", CLI_SANITIZER, "signed integer overflow");
    expect_exit("leak", CLI_SANITIZER, "detected memory leaks");
}

int main(int count, char **arguments)
{
    if (count == 2)
        return break_rules(arguments[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_sanitizer_finds_is_no_failure_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
