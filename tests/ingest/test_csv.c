#include "engine/ingest/csv.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A file in memory, read through a csv: 2 MiB of buffer, so on the heap. */
struct fixture {
    struct byte_source source;
    struct csv csv;
    struct problem problem;
};

static struct fixture *fixture_open(const char *data, size_t bytes, char separator)
{
    struct fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    int file = memfd_create("rows", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, data, bytes), bytes);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    byte_source_init(&fixture->source, file, "rows.csv");
    csv_init(&fixture->csv, &fixture->source, separator, 1);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    close(fixture->source.file);
    free(fixture);
}

/* `expected` has the fields of the row with bars around them: |a|b|. */
static void expect_row(struct fixture *fixture, uint64_t line_no, const char *expected)
{
    char row[1024] = "|";
    assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_ROW);
    for (size_t i = 0; i < fixture->csv.fields_count; i++) {
        struct text field = csv_field(&fixture->csv, i);
        strncat(row, field.data, field.bytes);
        strcat(row, "|");
    }
    assert_string_equal(row, expected);
    assert_int_equal(fixture->csv.row_line_no, line_no);
    assert_false(fixture->csv.is_too_long);
}

static void expect_rows(const char *text, const char *const *rows)
{
    struct fixture *fixture = fixture_open(text, strlen(text), ',');
    for (size_t i = 0; rows[i] != NULL; i++)
        expect_row(fixture, i + 1, rows[i]);
    assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_END);
    fixture_close(fixture);
}

static void rows_end_in_lf_or_crlf_and_the_last_in_neither(void **state)
{
    (void)state;
    expect_rows("a,b\nc,d\r\n\"e\"\r\ne,f",
                (const char *[]){"|a|b|", "|c|d|", "|e|", "|e|f|", NULL});
    expect_rows("a,b\r", (const char *[]){"|a|b|", NULL});
    expect_rows("a\rb,c\n", (const char *[]){"|a\rb|c|", NULL});
    expect_rows("\"a\r\"\r\n", (const char *[]){"|a\r|", NULL});
    expect_rows("", (const char *[]){NULL});
}

static void empty_fields_are_fields(void **state)
{
    (void)state;
    expect_rows(",\n\n,,a\n\r\n\"\",\"\"\na,",
                (const char *[]){"|||", "||", "|||a|", "||", "|||", "|a||", NULL});
}

static void quotes_hold_separators_newlines_and_doubled_quotes(void **state)
{
    (void)state;
    expect_rows("\"a,b\",\"say \"\"hi\"\"\",c\n", (const char *[]){"|a,b|say \"hi\"|c|", NULL});
    expect_rows("\"\"\"\",\"\"\"\"\"\"\n", (const char *[]){"|\"|\"\"|", NULL});
    static const char text[] = "\"a\nb\r\n\n\",c\nd\n";
    struct fixture *fixture = fixture_open(text, strlen(text), ',');
    expect_row(fixture, 1, "|a\nb\r\n\n|c|");
    expect_row(fixture, 5, "|d|");
    fixture_close(fixture);
}

static void stray_quotes_are_characters(void **state)
{
    (void)state;
    expect_rows("12\" RULER,a\n", (const char *[]){"|12\" RULER|a|", NULL});
    expect_rows("\"a\"b\"c\",d\n", (const char *[]){"|ab\"c\"|d|", NULL});
    expect_rows(" \"a\",b\n", (const char *[]){"| \"a\"|b|", NULL});
}

static void the_separator_is_a_comma_if_there_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char separator;
    } cases[] = {{"a,b;c;d\n", ','},
                 {"a;b\n,", ';'},
                 {"a\tb\tc;d\n", '\t'},
                 {"\"a,b\";c\n", ';'},
                 {"\"a;b\"\tc", '\t'},
                 {"a\n", ','},
                 {"", ','},
                 {"\"a\n;\"\tb", '\t'}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *fixture = fixture_open(cases[i].text, strlen(cases[i].text), ',');
        assert_int_equal(csv_guess_separator(&fixture->source), cases[i].separator);
        fixture_close(fixture);
    }
}

static void fields_past_the_limit_are_counted(void **state)
{
    (void)state;
    char text[2 * CSV_FIELDS_MAX];
    memset(text, ',', sizeof text);
    struct fixture *fixture = fixture_open(text, sizeof text, ',');
    assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_ROW);
    assert_int_equal(fixture->csv.fields_count, sizeof text + 1);
    assert_int_equal(csv_field(&fixture->csv, CSV_FIELDS_MAX - 1).bytes, 0);
    fixture_close(fixture);
}

/* "first," and then a field that makes the row `row_bytes` long, then a short row. */
static struct fixture *fixture_with_long_row(size_t row_bytes)
{
    static const char head[] = "first,";
    static const char tail[] = "\nnext,row\n";
    size_t bytes = row_bytes + strlen(tail);
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', row_bytes);
    memcpy(text, head, strlen(head));
    memcpy(text + row_bytes, tail, strlen(tail));
    struct fixture *fixture = fixture_open(text, bytes, ',');
    free(text);
    return fixture;
}

static void a_row_at_the_limit_is_read(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_with_long_row(CSV_ROW_BYTES_MAX);
    assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_ROW);
    assert_false(fixture->csv.is_too_long);
    assert_int_equal(csv_field(&fixture->csv, 1).bytes, CSV_ROW_BYTES_MAX - strlen("first,"));
    expect_row(fixture, 2, "|next|row|");
    fixture_close(fixture);
}

static void a_row_past_the_limit_is_passed_over_and_keeps_its_first_fields(void **state)
{
    (void)state;
    static const size_t row_bytes[] = {CSV_ROW_BYTES_MAX + 1, CSV_ROW_BYTES_MAX + 2, 10u << 20};
    for (size_t i = 0; i < sizeof row_bytes / sizeof row_bytes[0]; i++) {
        struct fixture *fixture = fixture_with_long_row(row_bytes[i]);
        assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_ROW);
        assert_true(fixture->csv.is_too_long);
        assert_int_equal(fixture->csv.fields_count, 1);
        assert_true(text_equal(csv_field(&fixture->csv, 0), text_from("first")));
        assert_int_equal(csv_offset_bytes(&fixture->csv), row_bytes[i] + 1);
        expect_row(fixture, 2, "|next|row|");
        assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_END);
        fixture_close(fixture);
    }
}

static void newlines_in_quotes_do_not_end_a_row_that_is_passed_over(void **state)
{
    (void)state;
    size_t bytes = 3u << 20;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    // Behind the limit, and over the border of two pieces that are read.
    static const char quoted[] = ",\"\n\"\"\n\",\n";
    for (size_t at = 2u << 20; at < (2u << 20) + 10; at++) {
        memcpy(text + at - strlen(quoted), quoted, strlen(quoted));
        struct fixture *fixture = fixture_open(text, at + 1, ',');
        assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_ROW);
        assert_true(fixture->csv.is_too_long);
        expect_row(fixture, 4, "|x|");
        fixture_close(fixture);
        memset(text + at - strlen(quoted), 'x', strlen(quoted));
    }
    free(text);
}

static void a_quote_never_closed_names_its_line(void **state)
{
    (void)state;
    static const char text[] = "a,b\nc,\"d\n\",e\nf,\"g\nh,\"\"i\n";
    struct fixture *fixture = fixture_open(text, strlen(text), ',');
    expect_row(fixture, 1, "|a|b|");
    expect_row(fixture, 2, "|c|d\n|e|");
    assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_FAILED);
    assert_int_equal(fixture->problem.status, STATUS_INVALID);
    assert_string_equal(fixture->problem.text,
                        "rows.csv: the quote opened on line 4 is not closed within a row of "
                        "1048576 bytes: close it, or double the quotes that belong to the text");
    fixture_close(fixture);
}

static void a_row_past_the_limit_in_a_quote_is_a_quote_never_closed(void **state)
{
    (void)state;
    size_t bytes = 2u << 20;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, 'x', bytes);
    memcpy(text, "a\n\"", 3);
    // It is closed, but past the limit.
    memcpy(text + bytes - 3, "\"\nb", 3);
    struct fixture *fixture = fixture_open(text, bytes, ',');
    expect_row(fixture, 1, "|a|");
    assert_int_equal(csv_next(&fixture->csv, &fixture->problem), CSV_FAILED);
    assert_non_null(strstr(fixture->problem.text, "line 2 "));
    fixture_close(fixture);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_end_in_lf_or_crlf_and_the_last_in_neither),
        cmocka_unit_test(empty_fields_are_fields),
        cmocka_unit_test(quotes_hold_separators_newlines_and_doubled_quotes),
        cmocka_unit_test(stray_quotes_are_characters),
        cmocka_unit_test(the_separator_is_a_comma_if_there_is_one),
        cmocka_unit_test(fields_past_the_limit_are_counted),
        cmocka_unit_test(a_row_at_the_limit_is_read),
        cmocka_unit_test(a_row_past_the_limit_is_passed_over_and_keeps_its_first_fields),
        cmocka_unit_test(newlines_in_quotes_do_not_end_a_row_that_is_passed_over),
        cmocka_unit_test(a_quote_never_closed_names_its_line),
        cmocka_unit_test(a_row_past_the_limit_in_a_quote_is_a_quote_never_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
