#include "engine/edge/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/edge/sql_rig.h"

static struct postgres postgres;
static bool has_server;
static struct sql_rig rig_memory;

#define TEST(name)                                                                                 \
    static void name##_body(struct sql_rig *rig);                                                  \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        if (!has_server)                                                                           \
            skip();                                                                                \
        reset();                                                                                   \
        name##_body(&rig_memory);                                                                  \
        sql_rig_close(&rig_memory);                                                                \
    }                                                                                              \
    static void name##_body(struct sql_rig *rig)

#define PAY                                                                                        \
    "\"pay\": {\"sql\": \"UPDATE account SET balance = balance - $2 WHERE id = $1 AND balance >= " \
    "$2 RETURNING id, balance\", \"params\": [\"$.customer\", \"$.amount\"], \"returns\": "        \
    "\"row\", \"expect_rows\": 1, \"error\": \"Payment.Declined\"}"
#define REFUND                                                                                     \
    "\"refund\": {\"sql\": \"UPDATE account SET balance = balance + $2 WHERE id = $1\", "          \
    "\"params\": [\"$.input.customer\", \"$.input.amount\"], \"compensates\": \"pay\"}"
#define SECTION(options, statements)                                                               \
    "{\"url\": \"%s\", " options "\"statements\": {" statements "}}"

static void reset(void)
{
    PGconn *admin = postgres_connect(&postgres);
    PQclear(postgres_run(admin, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; "
                                "GRANT USAGE ON SCHEMA public TO PUBLIC; "
                                "CREATE TABLE account (id text PRIMARY KEY, balance numeric NOT "
                                "NULL CHECK (balance < 1000000)); "
                                "INSERT INTO account VALUES ('ada', 100), ('bob', 50)"));
    PQfinish(admin);
}

static void open_pay(struct sql_rig *rig)
{
    sql_rig_open(rig, &postgres, SECTION("", PAY ", " REFUND));
}

static const char ada_10[] = "{\"customer\": \"ada\", \"amount\": 10}";
static const char ada_10_undone[] = "{\"input\": {\"customer\": \"ada\", \"amount\": 10}}";
#define BALANCE_OF_ADA "SELECT balance FROM account WHERE id = 'ada'"
#define KEYS           "SELECT count(*) FROM flyover_keys"

/* ---- a call ------------------------------------------------------------------------------------
 */

TEST(a_call_runs_its_statement_and_returns_its_row)
{
    open_pay(rig);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 90);
    assert_int_equal(sql_rig_number(rig, KEYS), 1);
}

TEST(a_call_that_is_sent_again_has_the_same_answer_and_no_other_effect)
{
    open_pay(rig);
    for (int i = 0; i < 3; i++) {
        const struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
        sql_rig_done(rig, call, "{\"id\": \"ada\", \"balance\": \"90\"}");
    }
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 90);
}

TEST(duplicates_at_the_same_time_have_one_effect)
{
    open_pay(rig);
    for (int i = 0; i < 64; i++)
        sql_rig_call(rig, "pay", "e-1-1", ada_10);
    for (uint32_t i = 0; i < rig->calls_count; i++)
        sql_rig_done(rig, &rig->calls[i], "{\"id\": \"ada\", \"balance\": \"90\"}");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 90);
}

TEST(another_number_of_rows_is_the_named_error_and_nothing_is_done)
{
    open_pay(rig);
    struct sql_rig_call *call =
        sql_rig_call(rig, "pay", "e-1-1", "{\"customer\": \"ada\", \"amount\": 101}");
    sql_rig_failed(rig, call, "Payment.Declined", "0 rows, where 1 are expected");
    assert_false(call->retryable);
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 100);
    assert_int_equal(sql_rig_number(rig, KEYS), 0);
}

TEST(many_calls_on_a_small_pool_are_all_done)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 2, \"pipeline\": 3, ", PAY));
    sql_rig_run(rig, "UPDATE account SET balance = 10000");
    for (int i = 0; i < 1000; i++) {
        char key[32];
        snprintf(key, sizeof key, "e-%d-1", i);
        sql_rig_call(rig, "pay", key, i % 2 ? ada_10 : "{\"customer\": \"bob\", \"amount\": 1}");
    }
    sql_rig_wait_all(rig);
    for (uint32_t i = 0; i < rig->calls_count; i++)
        assert_true(rig->calls[i].is_done);
    assert_int_equal(sql_rig_number(rig, "SELECT sum(balance) FROM account"), 20000 - 5500);
    assert_int_equal(sql_rig_number(rig, "SELECT count(*) FROM pg_stat_activity "
                                         "WHERE application_name = 'flyover'"),
                     2);
}

static int open_group(void **state)
{
    (void)state;
    has_server = postgres_open(&postgres);
    if (has_server)
        postgres_start(&postgres);
    return 0;
}

static int close_group(void **state)
{
    (void)state;
    if (has_server)
        postgres_close(&postgres);
    return 0;
}

int main(void)
{
    (void)ada_10_undone;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_runs_its_statement_and_returns_its_row),
        cmocka_unit_test(a_call_that_is_sent_again_has_the_same_answer_and_no_other_effect),
        cmocka_unit_test(duplicates_at_the_same_time_have_one_effect),
        cmocka_unit_test(another_number_of_rows_is_the_named_error_and_nothing_is_done),
        cmocka_unit_test(many_calls_on_a_small_pool_are_all_done),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
