#include "engine/ingest/order_ndjson.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ingest/transcript.h"

static void a_line_of_json_is_an_order(void **state)
{
    (void)state;
    expect_transcript_of_file(
        DATA_FOLDER "/orders.ndjson",
        "sale 300001 line 1 end 158 {\"number\"=>\"300001\", \"customer\"=>\"17850\", "
        "\"date\"=>\"2024-12-01\", \"country\"=>\"United Kingdom\", "
        "\"lines\"=>[[\"A-1\", 6, 1530], [\"A-2\", 2, 678]]}\n"
        "sale 300002 line 3 end 251 {\"number\"=>\"300002\", \"customer\"=>\"17851\", "
        "\"lines\"=>[[\"A-1\", 1, 101]]}\n"
        "return C300003 line 4 end 318 {\"number\"=>\"C300003\", \"customer\"=>\"guest\", "
        "\"lines\"=>[[\"A-1\", 6, 1530]]}\n"
        "refused 300004 line 5: lines[0]: the quantity \"0\" is zero: a line needs at "
        "least one piece\n"
        "end\n");
}

static void a_line_of_json_of_ten_megabytes_is_refused(void **state)
{
    (void)state;
    static const char order[] = "{\"number\":\"1\",\"lines\":[[\"A\",1,1]]}";
    static const size_t counts[] = {ORDER_ROW_BYTES_MAX, 10u << 20};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char *before = NULL;
        assert_true(asprintf(&before, "%s\n{\"", order) > 0);
        char *text = text_around(before, counts[i], "\":1}\n");
        struct transcript transcript = transcript_of_text(text);
        assert_int_equal(transcript.orders_count, 1);
        assert_non_null(strstr(transcript.text,
                               "refused  line 2: the line is longer than 1048576 bytes\nend\n"));
        transcript_free(&transcript);
        free(text);
        free(before);
    }
}

static void a_last_line_of_json_needs_no_newline(void **state)
{
    (void)state;
    expect_transcript("{\"number\":\"1\",\"lines\":[[\"A\",1,1]]}\r\n\n{}",
                      "sale 1 line 1 end 36 {\"number\"=>\"1\", \"customer\"=>\"guest\", "
                      "\"lines\"=>[[\"A\", 1, 100]]}\n"
                      "refused  line 3: the number is empty: an order cannot do without it\nend\n");
    char *text = text_around("{}\n{", 10u << 20, "");
    expect_transcript(text, "refused  line 1: the number is empty: an order cannot do without it\n"
                            "refused  line 2: the line is longer than 1048576 bytes\nend\n");
    free(text);
}

static void json_that_is_not_an_order_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *refusal;
    } cases[] = {
        {"{\"number\":", "refused  line 2: the line is not JSON that can be read: unexpected "},
        {"{\"number\":\"\xff\"}",
         "refused  line 2: the line is not JSON that can be read: unable "},
        {"{\"number\":\"1\",\"number\":\"2\"}", "refused  line 2: the line is not JSON that can "},
        {"[1]", "refused  line 2: the line is JSON but not an object"},
        {"{}", "refused  line 2: the number is empty: an order cannot do without it"},
        {"{\"number\":1.5}", "refused  line 2: \"number\" is neither a string nor a whole number"},
        {"{\"number\":\" 1 \"}", "refused 1 line 2: \"lines\" is not a list of at least one line"},
        {"{\"number\":\"1\\u001b\"}", "refused  line 2: the number \"1?\" is not UTF-8 without "},
        {"{\"number\":\"1\",\"lines\":[]}",
         "refused 1 line 2: \"lines\" is not a list of at least one line"},
        {"{\"number\":\"1\",\"customer\":[],\"lines\":[[\"A\",1,1]]}",
         "refused 1 line 2: \"customer\" is neither a string nor a whole number"},
        {"{\"number\":\"1\",\"lines\":[[\"A\",1]]}",
         "refused 1 line 2: lines[0]: is neither [code, quantity, price] nor an object with these "
         "keys"},
        {"{\"number\":\"1\",\"lines\":[[\"A\",1,1],{}]}",
         "refused 1 line 2: lines[1]: \"code\" is neither a string nor a whole number"},
        {"{\"number\":\"1\",\"lines\":[[1.5,1,1]]}",
         "refused 1 line 2: lines[0]: \"code\" is neither a string nor a whole number"},
        {"{\"number\":\"1\",\"lines\":[[\"A\",null,1]]}",
         "refused 1 line 2: lines[0]: \"quantity\" is neither a number nor a string"},
        {"{\"number\":\"1\",\"lines\":[{\"code\":\"A\",\"quantity\":1}]}",
         "refused 1 line 2: lines[0]: \"price\" is neither a number nor a string"},
        {"{\"number\":\"1\",\"lines\":[[\"\",1,1]]}",
         "refused 1 line 2: lines[0]: the code is empty: an order cannot do without it"},
        {"{\"number\":\"C1\",\"lines\":[[\"A\",1,1]]}",
         "refused C1 line 2: lines[0]: the quantity \"1\" is positive: in a return, whose number "
         "is C and digits, it must be negative"},
        {"{\"number\":\"1\",\"lines\":[[\"A\",1.5,1]]}",
         "refused 1 line 2: lines[0]: the quantity \"1.5\" is not a whole number such as 6"},
        {"{\"number\":\"1\",\"lines\":[[\"A\",1,-1e-7]]}",
         "refused 1 line 2: lines[0]: the price \"-1e-07\" is negative: it must be zero or more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "{\"number\":\"8\",\"lines\":[[8,8,8]]}\n%s\n", cases[i].line);
        struct transcript transcript = transcript_of_text(text);
        if (strstr(transcript.text, cases[i].refusal) == NULL)
            fail_msg("%s gave %s", cases[i].line, transcript.text);
        assert_int_equal(transcript.orders_count, 1);
        assert_int_equal(transcript.refusals_count, 1);
        transcript_free(&transcript);
    }
}

static void prices_in_json_are_exact_up_to_15_digits(void **state)
{
    (void)state;
    // 15 digits as a number, 18 as a string; each is half a penny.
    expect_transcript(
        "{\"number\":\"1\",\"lines\":[[\"A\",1,1234567890.00500],[\"A\",1,1.005],"
        "[\"A\",1,\"1000000000.00500000\"],[\"A\",1,1e1],[\"A\",10000,0.0001],"
        "[\"A\",1,0.00499999999999999]]}",
        "sale 1 line 1 end 152 {\"number\"=>\"1\", \"customer\"=>\"guest\", \"lines\"=>"
        "[[\"A\", 1, 123456789001], [\"A\", 1, 101], [\"A\", 1, 100000000001], "
        "[\"A\", 1, 1000], [\"A\", 10000, 100], [\"A\", 1, 0]]}\nend\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_json_is_an_order),
        cmocka_unit_test(a_line_of_json_of_ten_megabytes_is_refused),
        cmocka_unit_test(a_last_line_of_json_needs_no_newline),
        cmocka_unit_test(json_that_is_not_an_order_is_refused),
        cmocka_unit_test(prices_in_json_are_exact_up_to_15_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
