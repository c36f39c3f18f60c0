#include "engine/ingest/order_csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ingest/transcript.h"

#define SIX_FIELDS                                                                                 \
    "the row has 6 fields where the header has 7: put quotes around text that has separators or "  \
    "newlines in it\n"
#define AMID_STRAY "a row that is not known to be of another order stands among its rows\n"

static void a_row_an_invoice_is_an_order_of_one_line(void **state)
{
    (void)state;
    expect_transcript_of_file(
        DATA_FOLDER "/invoices.tsv",
        "sale 200001 line 2 end 64 {\"number\"=>\"200001\", \"customer\"=>\"17850\", "
        "\"lines\"=>[[\"INVOICE\", 40, 15640]]}\n"
        "return C200002 line 3 end 90 {\"number\"=>\"C200002\", \"customer\"=>\"13047\", "
        "\"lines\"=>[[\"INVOICE\", 3, 1456]]}\n"
        "sale 200003 line 4 end 108 {\"number\"=>\"200003\", \"customer\"=>\"guest\", "
        "\"lines\"=>[[\"INVOICE\", 2, 1]]}\n"
        "end\n");
}

static void columns_are_found_by_name_whatever_stands_around_it(void **state)
{
    (void)state;
    static const char *const headers[] = {"InvoiceNo,Quantity,UnitPrice\n",
                                          "\xef\xbb\xbfInvoiceNo,Quantity,UnitPrice\n",
                                          "INVOICENO,quantity,unitPRICE\r\n",
                                          "\"InvoiceNo\",\"Quantity\", UnitPrice \n",
                                          "\n\r\n \t\nInvoiceNo,Quantity,UnitPrice\n",
                                          "\xef\xbb\xbf\"InvoiceNo\",Quantity,UnitPrice\n"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "%s 9 , 2 , 1.5 ", headers[i]);
        struct transcript transcript = transcript_of_text(text);
        assert_non_null(strstr(transcript.text, "[[\"INVOICE\", 2, 300]]}\nend\n"));
        transcript_free(&transcript);
    }
}

static void separators_are_semicolons_or_tabs_where_there_is_no_comma(void **state)
{
    (void)state;
    static const char expected[] = "sale 9 line 2 end 38 {\"number\"=>\"9\", \"customer\"=>"
                                   "\"guest\", \"lines\"=>[[\"INVOICE\", 2, 300]]}\nend\n";
    expect_transcript("InvoiceNo;Quantity;UnitPrice\n9;2;1.50\n", expected);
    expect_transcript("InvoiceNo\tQuantity\tUnitPrice\n9\t2\t1.50\n", expected);
}

static void numbers_that_cannot_be_read_refuse_their_row_alone(void **state)
{
    (void)state;
    expect_transcript(
        HEADER ",A,1,1,,,\n" SIXTY_FOUR "x,A,1,1,,,\n1\xff,A,1,1,,,\n",
        "refused  line 2: the InvoiceNo is empty: an order cannot do without it\n"
        "refused  line 3: the InvoiceNo \"" FORTY "...\" has 65 bytes: it may have 64 at most\n"
        "refused  line 4: the InvoiceNo \"1?\" is not UTF-8 without control characters: save "
        "the file as UTF-8\nend\n");
}

static void a_row_with_another_number_of_fields_refuses_its_order(void **state)
{
    (void)state;
    expect_transcript(HEADER GOOD("1") "1,A,1,1,,\n" GOOD("1") "2,A,1,1,,\n" GOOD("2"),
                      "refused 2 line 5: " SIX_FIELDS "refused 1 line 3: " SIX_FIELDS "end\n");
    expect_transcript(HEADER "1,A,1,1,,,,\n",
                      "refused 1 line 2: the row has 8 fields where the header has 7: put quotes "
                      "around text that has separators or newlines in it\nend\n");
}

static void one_bad_row_refuses_its_whole_order_once(void **state)
{
    (void)state;
    // An order before and one behind it are not touched by it.
    struct transcript transcript = transcript_of_text(
        HEADER GOOD("1") GOOD("2") "2,A,x,1,,,\n2,A,1,y,,,\n" GOOD("2") GOOD("3"));
    assert_int_equal(transcript.orders_count, 2);
    assert_int_equal(transcript.refusals_count, 1);
    assert_non_null(strstr(transcript.text, "sale 1 line 2 "));
    assert_non_null(strstr(transcript.text, "refused 2 line 4: the quantity \"x\" "));
    assert_non_null(strstr(transcript.text, "sale 3 line 7 "));
    transcript_free(&transcript);
}

static void rows_that_do_not_fit_are_reported_once_an_order(void **state)
{
    (void)state;
    expect_transcript(
        HEADER "1,A,1,1,,\n1,A,1,1,,\n" GOOD("1") "1,A,1,1,,\n",
        "refused 1 line 2: the row has 6 fields where the header has 7: put quotes around text "
        "that has separators or newlines in it\nend\n");
}

static void an_order_around_a_row_of_nobody_is_refused(void **state)
{
    (void)state;
    expect_transcript(HEADER GOOD("1") ",A,1,1,,,\n" GOOD("1"),
                      "refused  line 3: the InvoiceNo is empty: an order cannot do without it\n"
                      "refused 1 line 3: " AMID_STRAY "end\n");
    // What follows an unquoted newline looks like a row of an order that does not exist.
    expect_transcript(
        HEADER GOOD("1") "junk\n" GOOD("1") GOOD("1"),
        "refused junk line 3: the row has 1 fields where the header has 7: put quotes around "
        "text that has separators or newlines in it\n"
        "refused 1 line 3: " AMID_STRAY "end\n");
}

static void an_order_before_a_row_of_nobody_is_whole(void **state)
{
    (void)state;
    struct transcript transcript =
        transcript_of_text(HEADER GOOD("1") ",A,1,1,,,\n" GOOD("2") "\n" GOOD("2"));
    assert_int_equal(transcript.orders_count, 2);
    assert_int_equal(transcript.refusals_count, 1);
    assert_non_null(strstr(transcript.text, "[[\"A-1\", 1, 100], [\"A-1\", 1, 100]]"));
    transcript_free(&transcript);
}

static void rows_of_a_refused_order_that_stand_apart_do_not_come_in(void **state)
{
    (void)state;
    // The unquoted newline breaks the first row of 2 in three, and 2 goes on behind them.
    struct transcript transcript = transcript_of_text(
        HEADER "2,A,\nb\nc,1,1,,,\n" GOOD("2") "2,A,1,1,,\n" GOOD("3") GOOD("2"));
    assert_int_equal(transcript.orders_count, 1);
    assert_non_null(strstr(transcript.text, "sale 3 "));
    assert_int_equal(transcript.refusals_count, 3);
    transcript_free(&transcript);
}

static void an_invoice_in_two_places_is_two_orders(void **state)
{
    (void)state;
    struct transcript transcript = transcript_of_text(HEADER GOOD("1") GOOD("2") GOOD("1"));
    assert_int_equal(transcript.orders_count, 3);
    transcript_free(&transcript);
}

static void a_row_of_ten_megabytes_refuses_its_order(void **state)
{
    (void)state;
    char *text = text_around(HEADER GOOD("1") GOOD("2") "2,", 10u << 20, ",1,1,,,\n" GOOD("2"));
    struct transcript transcript = transcript_of_text(text);
    assert_int_equal(transcript.orders_count, 1);
    assert_non_null(
        strstr(transcript.text, "refused 2 line 4: the row is longer than 1048576 bytes\nend\n"));
    transcript_free(&transcript);
    free(text);
    // As many fields as the header has stand before the limit.
    text = text_around(HEADER "2,A,1,1,,,,", 10u << 20, "\n");
    expect_transcript(text, "refused 2 line 2: the row is longer than 1048576 bytes\nend\n");
    free(text);
    // Where the number stands behind the limit, the row is nobody's.
    text = text_around("Quantity,UnitPrice,Text,InvoiceNo\n1,1,", 10u << 20, ",9\n1,1,,8");
    transcript = transcript_of_text(text);
    assert_non_null(
        strstr(transcript.text, "refused  line 2: the row is longer than 1048576 bytes\nsale 8 "));
    transcript_free(&transcript);
    free(text);
}

static void missing_columns_are_named(void **state)
{
    (void)state;
    expect_transcript(
        "\nInvoiceNo,Qty,Cost\n1,1,1\n",
        "failed INVALID: orders.csv: line 2: the header lacks Quantity, UnitPrice: the first "
        "row must name the columns, among them InvoiceNo, Quantity and UnitPrice\n");
    expect_transcript(
        "hello\n",
        "failed INVALID: orders.csv: line 1: the header lacks InvoiceNo, Quantity, UnitPrice: "
        "the first row must name the columns, among them InvoiceNo, Quantity and UnitPrice\n");
    expect_transcript(
        "InvoiceNo,Quantity,UnitPrice,quantity\n",
        "failed INVALID: orders.csv: line 1: the header has the column Quantity twice: rename "
        "the one that is not meant\n");
}

static void a_header_that_no_file_of_orders_has_ends_it(void **state)
{
    (void)state;
    static const char sentence[] =
        "failed INVALID: orders.csv: line 1: the header row has more than 1048576 bytes or 256 "
        "columns: this is not a file of orders\n";
    char *text = text_around("InvoiceNo,Quantity,UnitPrice,", 10u << 20, "");
    expect_transcript(text, sentence);
    memset(text, ' ', strlen(text));
    expect_transcript(text, sentence);
    memset(text, ',', strlen(text));
    text[257] = '\0';
    expect_transcript(text, sentence);
    free(text);
    expect_transcript(
        "InvoiceNo,\"Quantity,UnitPrice\n",
        "failed INVALID: orders.csv: the quote opened on line 1 is not closed within a row of "
        "1048576 bytes: close it, or double the quotes that belong to the text\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_an_invoice_is_an_order_of_one_line),
        cmocka_unit_test(columns_are_found_by_name_whatever_stands_around_it),
        cmocka_unit_test(separators_are_semicolons_or_tabs_where_there_is_no_comma),
        cmocka_unit_test(numbers_that_cannot_be_read_refuse_their_row_alone),
        cmocka_unit_test(a_row_with_another_number_of_fields_refuses_its_order),
        cmocka_unit_test(one_bad_row_refuses_its_whole_order_once),
        cmocka_unit_test(rows_that_do_not_fit_are_reported_once_an_order),
        cmocka_unit_test(an_order_around_a_row_of_nobody_is_refused),
        cmocka_unit_test(an_order_before_a_row_of_nobody_is_whole),
        cmocka_unit_test(rows_of_a_refused_order_that_stand_apart_do_not_come_in),
        cmocka_unit_test(an_invoice_in_two_places_is_two_orders),
        cmocka_unit_test(a_row_of_ten_megabytes_refuses_its_order),
        cmocka_unit_test(missing_columns_are_named),
        cmocka_unit_test(a_header_that_no_file_of_orders_has_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
