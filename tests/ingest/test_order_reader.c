#include "engine/ingest/order_reader.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/ingest/transcript.h"

/* Rows behind the header (so line 2 is the first), of which all are one order, refused. */
static void expect_refused(const char *rows, const char *refusal)
{
    char *text = NULL;
    char *expected = NULL;
    assert_true(asprintf(&text, HEADER "%s", rows) > 0);
    assert_true(asprintf(&expected, "refused %s\nend\n", refusal) > 0);
    expect_transcript(text, expected);
    free(text);
    free(expected);
}

static void rows_of_one_invoice_become_one_order(void **state)
{
    (void)state;
    expect_transcript_of_file(
        DATA_FOLDER "/lines.csv",
        "sale 100001 line 2 end 280 {\"number\"=>\"100001\", \"customer\"=>\"17850\", "
        "\"date\"=>\"1/12/2024\", \"country\"=>\"United Kingdom\", "
        "\"lines\"=>[[\"A-1\", 6, 1530], [\"A-2\", 6, 2035], [\"POST\", 1, 1800]]}\n"
        "sale 100002 line 5 end 357 {\"number\"=>\"100002\", \"customer\"=>\"17850\", "
        "\"date\"=>\"1/12/2024\", \"country\"=>\"Côte d'Ivoire\", "
        "\"lines\"=>[[\"A-3\", 48, 504]]}\n"
        "return C100003 line 7 end 410 {\"number\"=>\"C100003\", \"customer\"=>\"guest\", "
        "\"date\"=>\"2/12/2024\", \"country\"=>\"EIRE\", \"lines\"=>[[\"A-1\", 2, 510]]}\n"
        "sale 100004 line 8 end 453 {\"number\"=>\"100004\", \"customer\"=>\"guest\", "
        "\"date\"=>\"2/12/2024\", \"country\"=>\"EIRE\", \"lines\"=>[[\"A-4\", 1, 0]]}\n"
        "refused 100005 line 9: the quantity \"-1\" is negative: that is for returns, whose number "
        "is C and digits\n"
        "refused A100006 line 12: a number that is A and digits adjusts bad debt: it is not an "
        "order\n"
        "sale 100007 line 13 end 642 {\"number\"=>\"100007\", \"customer\"=>\"18000\", "
        "\"date\"=>\"3/12/2024\", \"lines\"=>[[\"A-7\", 1000, 1250000]]}\n"
        "sale 100008 line 14 end 704 {\"number\"=>\"100008\", \"customer\"=>\"18001\", "
        "\"date\"=>\"3/12/2024\", \"country\"=>\"EIRE\", \"lines\"=>[[\"A-8\", 2, 250]]}\n"
        "end\n");
}

static void the_bytes_of_an_order_are_fixed(void **state)
{
    (void)state;
    static const char text[] = HEADER "1,A,300,999.99,,d,c\n";
    static const char expected[] = "\x85\xa6number\xa1"
                                   "1\xa8"
                                   "customer\xa5guest\xa4"
                                   "date\xa1"
                                   "d\xa7"
                                   "country\xa1"
                                   "c\xa5lines\x91\x93\xa1"
                                   "A\xcd\x01\x2c\xce\x01\xc9\xc2\x54";
    int file = file_from(text, strlen(text));
    struct order_reader *reader;
    struct order order;
    struct order_reject reject;
    assert_int_equal(order_reader_open(file, "x", &reader, NULL), STATUS_OK);
    assert_int_equal(order_reader_next(reader, &order, &reject, NULL), ORDER_READ);
    assert_int_equal(order.input_bytes, sizeof expected - 1);
    assert_memory_equal(order.input, expected, sizeof expected - 1);
    order_reader_close(reader);
    close(file);
}

static void a_file_of_only_a_header_has_no_orders(void **state)
{
    (void)state;
    expect_transcript(HEADER, "end\n");
    expect_transcript("InvoiceNo,Quantity,UnitPrice", "end\n");
}

static void quantities_that_no_line_can_have_are_refused(void **state)
{
    (void)state;
    expect_refused("1,A,0,1,,,\n",
                   "1 line 2: the quantity \"0\" is zero: a line needs at least one piece");
    expect_refused("C1,A,-0.0,1,,,\n",
                   "C1 line 2: the quantity \"-0.0\" is zero: a line needs at least one piece");
    expect_refused("1,A,-3,1,,,\n", "1 line 2: the quantity \"-3\" is negative: that is for "
                                    "returns, whose number is C and digits");
    expect_refused("c1,A,3,1,,,\n",
                   "c1 line 2: the quantity \"3\" is positive: in a return, whose number is "
                   "C and digits, it must be negative");
    expect_refused("1,A,1.5,1,,,\n",
                   "1 line 2: the quantity \"1.5\" is not a whole number such as 6");
    expect_refused("1,A,six,1,,,\n",
                   "1 line 2: the quantity \"six\" is not a whole number such as 6");
    expect_refused("1,A,,1,,,\n", "1 line 2: the quantity \"\" is not a whole number such as 6");
    expect_refused("1,A,1000000001,0,,,\n", "1 line 2: the quantity \"1000000001\" is more than "
                                            "the 1000000000 that a line may have");
    expect_refused("C1,A,-1000000001,0,,,\n", "C1 line 2: the quantity \"-1000000001\" is more "
                                              "than the 1000000000 that a line may have");
    expect_refused("1,A,99999999999999999999,0,,,\n",
                   "1 line 2: the quantity \"99999999999999999999\" is more than the 1000000000 "
                   "that a line may have");
}

static void prices_that_no_line_can_have_are_refused(void **state)
{
    (void)state;
    expect_refused("1,A,1,\"2,55\",,,\n",
                   "1 line 2: the price \"2,55\" is not a decimal number such as 2.55");
    expect_refused("1,A,1,\xa3"
                   "2.55,,,\n",
                   "1 line 2: the price \"?2.55\" is not a decimal number such as 2.55");
    expect_refused("1,A,1,-0.01,,,\n",
                   "1 line 2: the price \"-0.01\" is negative: it must be zero or more");
    expect_refused("1,A,1,1.234567890123456789,,,\n",
                   "1 line 2: the price \"1.234567890123456789\" has more than 18 significant "
                   "digits");
    expect_refused("1,A,2,5000000000.01,,,\n",
                   "1 line 2: the price \"5000000000.01\" times the quantity is more than the "
                   "10000000000.00 that a line may have");
    expect_refused("1,A,1000000000,1e9999,,,\n",
                   "1 line 2: the price \"1e9999\" times the quantity is more than the "
                   "10000000000.00 that a line may have");
}

static void the_largest_line_is_read(void **state)
{
    (void)state;
    expect_transcript(HEADER "1,A,1000000000,10.00000000000,,,\nC2,A,-1000000000,0.000000001,,,\n",
                      "sale 1 line 2 end 103 {\"number\"=>\"1\", \"customer\"=>\"guest\", "
                      "\"lines\"=>[[\"A\", 1000000000, 1000000000000]]}\n"
                      "return C2 line 3 end 135 {\"number\"=>\"C2\", \"customer\"=>\"guest\", "
                      "\"lines\"=>[[\"A\", 1000000000, 100]]}\nend\n");
}

static void prices_of_four_decimals_round_exactly(void **state)
{
    (void)state;
    // As doubles, 1.005 x 100 is below 100.5 and 2.675 x 100 below 267.5.
    expect_transcript(
        HEADER "1,A,1,1.005,,,\n1,A,1,2.675,,,\n1,A,1,0.0049,,,\n1,A,3,4.8533,,,\n"
               "1,A,50,0.0001,,,\n1,A,49,0.0001,,,\n",
        "sale 1 line 2 end 166 {\"number\"=>\"1\", \"customer\"=>\"guest\", \"lines\"=>"
        "[[\"A\", 1, 101], [\"A\", 1, 268], [\"A\", 1, 0], [\"A\", 3, 1456], [\"A\", 50, 1], "
        "[\"A\", 49, 0]]}\nend\n");
}

static void texts_that_an_order_cannot_keep_are_refused(void **state)
{
    (void)state;
    expect_refused("1,,1,1,,,\n", "1 line 2: the code is empty: an order cannot do without it");
    expect_refused("1," SIXTY_FOUR "x,1,1,,,\n",
                   "1 line 2: the code \"" FORTY "...\" has 65 bytes: it may have 64 at most");
    expect_refused("1,\xa3,1,1,,,\n",
                   "1 line 2: the code \"?\" is not UTF-8 without control characters: save the "
                   "file as UTF-8");
    expect_refused("1,A,1,1," SIXTY_FOUR "x,,\n",
                   "1 line 2: the customer \"" FORTY "...\" has 65 bytes: it may have 64 at most");
    expect_refused("1,A,1,1,J\xf6rg,,\n",
                   "1 line 2: the customer \"J?rg\" is not UTF-8 without control characters: save "
                   "the file as UTF-8");
    expect_refused("1,A,1,1,,\"1\n2\",\n",
                   "1 line 2: the date \"1?2\" is not UTF-8 without control characters: save the "
                   "file as UTF-8");
    expect_refused("1,A,1,1,,,\xd6sterreich\n",
                   "1 line 2: the country \"?sterreich\" is not UTF-8 without control characters: "
                   "save the file as UTF-8");
    expect_refused("1,A,1,1,,," SIXTY_FOUR "x\n",
                   "1 line 2: the country \"" FORTY "...\" has 65 bytes: it may have 64 at most");
}

static void texts_at_the_limit_are_read(void **state)
{
    (void)state;
    struct transcript transcript = transcript_of_text(
        HEADER SIXTY_FOUR "," SIXTY_FOUR ",1,1," SIXTY_FOUR "," SIXTY_FOUR "," SIXTY_FOUR "\n");
    assert_int_equal(transcript.orders_count, 1);
    assert_non_null(strstr(transcript.text, "\"country\"=>\"" SIXTY_FOUR "\""));
    transcript_free(&transcript);
}

static void customers_of_spreadsheets_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *cell;
        const char *customer;
    } cases[] = {{"17850.0", "17850"}, {"17850", "17850"}, {" 17850 ", "17850"},
                 {"", "guest"},        {"  ", "guest"},    {"(Blank)", "guest"},
                 {".0", ".0"},         {"1.5", "1.5"},     {"x.0", "x.0"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        char expected[200];
        snprintf(text, sizeof text, HEADER "1,A,1,1,%s,,\n", cases[i].cell);
        snprintf(expected, sizeof expected, "\"customer\"=>\"%s\"", cases[i].customer);
        struct transcript transcript = transcript_of_text(text);
        assert_non_null(strstr(transcript.text, expected));
        transcript_free(&transcript);
    }
}

static void a_letter_without_digits_behind_it_is_no_mark(void **state)
{
    (void)state;
    struct transcript transcript = transcript_of_text("Invoice,Price,Quantity,Customer ID\n"
                                                      "CA-2016,1,1,7\nAB-1,1,1,7\nC7,1,-1,7\n");
    assert_non_null(strstr(transcript.text, "sale CA-2016 line 2 "));
    assert_non_null(strstr(transcript.text, "sale AB-1 line 3 "));
    assert_non_null(strstr(transcript.text, "return C7 line 4 "));
    assert_null(strstr(transcript.text, "guest"));
    transcript_free(&transcript);
}

static void adjustments_of_bad_debt_are_refused(void **state)
{
    (void)state;
    expect_refused("A1,B,1,1,,,\n",
                   "A1 line 2: a number that is A and digits adjusts bad debt: it is not an order");
    expect_refused("a1,B,1,-5,,,\n",
                   "a1 line 2: a number that is A and digits adjusts bad debt: it is not an order");
}

static void the_first_reason_of_several_is_given(void **state)
{
    (void)state;
    expect_refused("A1,B,1,1,\xff,,\n",
                   "A1 line 2: a number that is A and digits adjusts bad debt: it is not an order");
    expect_refused("1,A,1,1,\xff,\xff,\xff\n1,,x,x,,,\n",
                   "1 line 2: the customer \"?\" is not UTF-8 without control characters: save the "
                   "file as UTF-8");
    static const char breaks_off[] = HEADER "1,A,x,1,,,\n\0";
    struct transcript transcript = transcript_of(breaks_off, sizeof breaks_off - 1);
    assert_non_null(strstr(transcript.text, "refused 1 line 2: the quantity \"x\" is not a "));
    transcript_free(&transcript);
}

/* `rows` rows of one order with codes of `code_bytes`. */
static struct transcript transcript_of_long_order(size_t rows, size_t code_bytes)
{
    char *text = malloc(sizeof HEADER + rows * (code_bytes + 32));
    assert_non_null(text);
    size_t at = (size_t)sprintf(text, "%s", HEADER);
    for (size_t i = 0; i < rows; i++) {
        at += (size_t)sprintf(text + at, "1,%0*zu,1000000000,10,,,\n", (int)code_bytes, i);
    }
    int file = file_from(text, at);
    struct transcript transcript = transcript_of_file(file, false);
    close(file);
    free(text);
    return transcript;
}

static void an_order_has_so_many_lines_at_most(void **state)
{
    (void)state;
    struct transcript transcript = transcript_of_long_order(ORDER_LINES_MAX, 4);
    assert_int_equal(transcript.orders_count, 1);
    transcript_free(&transcript);
    transcript = transcript_of_long_order(ORDER_LINES_MAX + 1, 4);
    assert_string_equal(transcript.text,
                        "refused 1 line 4098: the order has more than 4096 lines: split it\nend\n");
    transcript_free(&transcript);
}

static void an_order_takes_so_many_bytes_at_most(void **state)
{
    (void)state;
    // A line takes 1 + 2 + 64 + 5 + 9 bytes: the 3232nd would not leave room for the head.
    struct transcript transcript = transcript_of_long_order(3231, 64);
    assert_int_equal(transcript.orders_count, 1);
    transcript_free(&transcript);
    transcript = transcript_of_long_order(ORDER_LINES_MAX, 64);
    assert_string_equal(transcript.text, "refused 1 line 3233: the order takes more than 262144 "
                                         "bytes with its 3231 lines so far: split it\nend\n");
    transcript_free(&transcript);
}

static void an_empty_file_is_said_to_be_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\xef\xbb\xbf", "\n \r\n\t", "\xef\xbb\xbf\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect_transcript(texts[i],
                          "failed INVALID: orders.csv: is empty: it should have a header row and "
                          "orders, or an order in JSON a line\n");
}

#define ZERO_BYTE(line)                                                                            \
    "failed INVALID: orders.csv: line " line                                                       \
    " has a zero byte, so this is not text: unpack it if "                                         \
    "it is compressed, save it as UTF-8 if it is UTF-16\n"

static void a_zero_byte_ends_the_file(void **state)
{
    (void)state;
    static const char in_header[] = "Invoice\0No,Quantity,UnitPrice\n";
    expect_transcript_of(in_header, sizeof in_header - 1, ZERO_BYTE("1"));
    static const char gzip[] = "\x1f\x8b\x08\0\n\n";
    expect_transcript_of(gzip, sizeof gzip - 1, ZERO_BYTE("1"));
    static const char utf16[] = "\xff\xfe{\0";
    expect_transcript_of(utf16, sizeof utf16 - 1, ZERO_BYTE("1"));
    static const char json[] = "{\"number\":1,\"lines\":[[1,1,1]]}\n{\0}\n{}\n";
    struct transcript transcript = transcript_of(json, sizeof json - 1);
    assert_int_equal(transcript.orders_count, 1);
    assert_int_equal(transcript.refusals_count, 0);
    assert_non_null(strstr(transcript.text, ZERO_BYTE("2")));
    transcript_free(&transcript);
}

#define BREAKS_OFF "refused 2 line 3: the file cannot be read to the end of this order\n"

static void an_order_that_the_file_breaks_off_in_is_not_given(void **state)
{
    (void)state;
    static const char zero[] = HEADER GOOD("1") GOOD("2") "2,\0,\n" GOOD("3");
    struct transcript transcript = transcript_of(zero, sizeof zero - 1);
    assert_int_equal(transcript.orders_count, 1);
    assert_non_null(strstr(transcript.text, BREAKS_OFF ZERO_BYTE("4")));
    transcript_free(&transcript);
    transcript = transcript_of_text(HEADER GOOD("1") GOOD("2") "2,\"A,1,1,,,\n" GOOD("3"));
    assert_int_equal(transcript.orders_count, 1);
    assert_non_null(strstr(transcript.text,
                           BREAKS_OFF "failed INVALID: orders.csv: the quote opened on line 4 is "
                                      "not closed within a row of 1048576 bytes: close it, or "
                                      "double the quotes that belong to the text\n"));
    transcript_free(&transcript);
}

/* A pipe that nobody fills further and that does not wait: reading past `text` fails. */
static void expect_with_failing_read(const char *text, const char *expected)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    struct transcript transcript = transcript_of_file(ends[0], true);
    assert_string_equal(transcript.text, expected);
    transcript_free(&transcript);
    close(ends[0]);
    close(ends[1]);
}

static void an_error_of_reading_ends_the_file(void **state)
{
    (void)state;
    expect_with_failing_read("", "failed IO: orders.csv: cannot be read after line 0: Resource "
                                 "temporarily unavailable\n");
    expect_with_failing_read("{\"number\":\"1\",\"lines\":[[\"A\",1,1]]}\n{",
                             "sale 1 line 1 end 35 {\"number\"=>\"1\", \"customer\"=>\"guest\", "
                             "\"lines\"=>[[\"A\", 1, 100]]}\nfailed IO: orders.csv: cannot be read "
                             "after line 1: Resource temporarily unavailable\n");
    expect_with_failing_read(HEADER GOOD("2") GOOD("2"),
                             "refused 2 line 2: the file cannot be read to the end of this "
                             "order\nfailed IO: orders.csv: cannot be read after line 3: Resource "
                             "temporarily unavailable\n");
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    struct order_reader *reader = NULL;
    assert_int_equal(order_reader_open(folder, "/", &reader, NULL), STATUS_IO);
    assert_null(reader);
    close(folder);
}

#define TICKS_BEFORE_DATA 5

static int late_pipe[2];
static volatile sig_atomic_t ticks_left;

/* Interrupts the reader a few times, and then gives it what it waits for. */
static void on_tick(int number)
{
    (void)number;
    static const char text[] = HEADER GOOD("1");
    if (--ticks_left != 0)
        return;
    if (write(late_pipe[1], text, sizeof text - 1) == sizeof text - 1)
        close(late_pipe[1]);
}

static void a_signal_while_reading_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(pipe2(late_pipe, O_CLOEXEC), 0);
    ticks_left = TICKS_BEFORE_DATA;
    // Without SA_RESTART, so that each tick ends the read with EINTR.
    struct sigaction action = {.sa_handler = on_tick};
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    struct itimerval every_ms = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
    assert_int_equal(setitimer(ITIMER_REAL, &every_ms, NULL), 0);
    struct transcript transcript = transcript_of_file(late_pipe[0], false);
    struct itimerval never = {0};
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_string_equal(transcript.text, "sale 1 line 2 end 84\nend\n");
    transcript_free(&transcript);
    close(late_pipe[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_one_invoice_become_one_order),
        cmocka_unit_test(the_bytes_of_an_order_are_fixed),
        cmocka_unit_test(a_file_of_only_a_header_has_no_orders),
        cmocka_unit_test(quantities_that_no_line_can_have_are_refused),
        cmocka_unit_test(prices_that_no_line_can_have_are_refused),
        cmocka_unit_test(the_largest_line_is_read),
        cmocka_unit_test(prices_of_four_decimals_round_exactly),
        cmocka_unit_test(texts_that_an_order_cannot_keep_are_refused),
        cmocka_unit_test(texts_at_the_limit_are_read),
        cmocka_unit_test(customers_of_spreadsheets_are_understood),
        cmocka_unit_test(a_letter_without_digits_behind_it_is_no_mark),
        cmocka_unit_test(adjustments_of_bad_debt_are_refused),
        cmocka_unit_test(the_first_reason_of_several_is_given),
        cmocka_unit_test(an_order_has_so_many_lines_at_most),
        cmocka_unit_test(an_order_takes_so_many_bytes_at_most),
        cmocka_unit_test(an_empty_file_is_said_to_be_empty),
        cmocka_unit_test(a_zero_byte_ends_the_file),
        cmocka_unit_test(an_order_that_the_file_breaks_off_in_is_not_given),
        cmocka_unit_test(an_error_of_reading_ends_the_file),
        cmocka_unit_test(a_signal_while_reading_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
