#include "engine/edge/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/edge/sql_fixture.h"

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
    sql_rig_until(rig, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flyover'",
                  2);
}

TEST(a_list_of_statements_is_one_transaction_and_its_last_one_has_the_result)
{
    sql_rig_open(
        rig, &postgres,
        SECTION("", "\"move\": {\"sql\": ["
                    "{\"sql\": \"UPDATE account SET balance = balance - $1 WHERE id = $2 AND "
                    "balance >= $1;\", \"params\": [\"$.amount\", \"$.from\"], \"expect_rows\": 1, "
                    "\"error\": \"Bank.NotEnough\"},"
                    "{\"sql\": \"UPDATE account SET balance = balance + $1 WHERE id = $2\", "
                    "\"params\": [\"$.amount\", \"$.to\"], \"expect_rows\": 1, "
                    "\"error\": \"Bank.Nobody\"},"
                    "{\"sql\": \"SELECT id, balance::float8 AS has FROM account ORDER BY id\"}], "
                    "\"returns\": \"rows\"}"));
    sql_rig_done(
        rig,
        sql_rig_call(rig, "move", "e-1-1", "{\"from\": \"ada\", \"to\": \"bob\", \"amount\": 0.5}"),
        "[{\"id\": \"ada\", \"has\": 99.5}, {\"id\": \"bob\", \"has\": 50.5}]");
    sql_rig_failed(
        rig,
        sql_rig_call(rig, "move", "e-2-1", "{\"from\": \"ada\", \"to\": \"eve\", \"amount\": 1}"),
        "Bank.Nobody", "0 rows");
    sql_rig_failed(rig,
                   sql_rig_call(rig, "move", "e-3-1",
                                "{\"from\": \"ada\", \"to\": \"bob\", \"amount\": 1000}"),
                   "Bank.NotEnough", "0 rows");
    assert_int_equal(sql_rig_number(rig, "SELECT sum(balance) FROM account"), 150);
    assert_int_equal(sql_rig_number(rig, KEYS), 1);
}

TEST(what_is_returned_is_none_a_count_a_row_or_rows)
{
#define ALL "\"sql\": \"UPDATE account SET balance = balance\""
    sql_rig_open(rig, &postgres,
                 SECTION("", "\"none\": {" ALL "}, \"count\": {" ALL ", \"returns\": \"count\"}, "
                             "\"row\": {\"sql\": \"SELECT id FROM account WHERE id = $1\", "
                             "\"params\": [\"$\"], \"returns\": \"row\"}, "
                             "\"rows\": {\"sql\": \"SELECT id FROM account WHERE id = $1\", "
                             "\"params\": [\"$\"], \"returns\": \"rows\"}, "
                             "\"wrong\": {" ALL ", \"returns\": \"row\"}"));
    for (int again = 0; again < 2; again++) {
        sql_rig_done(rig, sql_rig_call(rig, "none", "e-1-1", "{}"), "null");
        sql_rig_done(rig, sql_rig_call(rig, "count", "e-2-1", "{}"), "2");
        sql_rig_done(rig, sql_rig_call(rig, "row", "e-3-1", "\"bob\""), "{\"id\": \"bob\"}");
        sql_rig_done(rig, sql_rig_call(rig, "row", "e-4-1", "\"eve\""), "null");
        sql_rig_done(rig, sql_rig_call(rig, "rows", "e-5-1", "\"eve\""), "[]");
        sql_rig_failed(rig, sql_rig_call(rig, "wrong", "e-6-1", "{}"), "SQL.BadStatement",
                       "add RETURNING");
    }
}

TEST(values_go_there_and_come_back_as_what_they_are)
{
    sql_rig_open(
        rig, &postgres,
        SECTION("",
                "\"echo\": {\"sql\": \"SELECT $1::bigint AS i, $2::numeric AS n, $3::float8 AS f, "
                "$4::boolean AS b, $5::text AS t, $6::jsonb AS o, $7::text[] AS l, $8::text AS z, "
                "$9::timestamptz AT TIME ZONE 'UTC' AS w, $10::jsonb AS s, $11::text AS key, "
                "$12::bigint AS saga, $13::int AS step, $14::text AS c, $15::text AS j\", "
                "\"params\": [\"$.i\", \"$.n\", \"$.f\", \"$.b\", \"$.t\", \"$.o\", \"$.l\", "
                "\"$.z\", \"$.w\", \"$.t\", \"$$.key\", \"$$.saga\", \"$$.step\", \"fixed\", "
                "\"$.o\"], \"returns\": \"row\"}"));
    sql_rig_done(
        rig,
        sql_rig_call(rig, "echo", "e-1-1",
                     "{\"i\": 9223372036854775807, \"n\": 0.1, \"f\": 0.1, \"b\": true, "
                     "\"t\": \"a'b\\\"\\\\ü\", \"o\": {\"a\": [1, 0.1, null]}, "
                     "\"l\": [\"x\", \"y\\\"z\", null], \"z\": null, "
                     "\"w\": \"2026-02-03T04:05:06Z\"}"),
        "{\"i\": 9223372036854775807, \"n\": \"0.1\", \"f\": 0.1, \"b\": true, "
        "\"t\": \"a'b\\\"\\\\ü\", \"o\": {\"a\": [1, 0.1, null]}, "
        "\"l\": [\"x\", \"y\\\"z\", null], \"z\": null, \"w\": \"2026-02-03T04:05:06\", "
        "\"s\": \"a'b\\\"\\\\ü\", \"key\": \"e-1-1\", \"saga\": 7, \"step\": 3, \"c\": \"fixed\", "
        "\"j\": \"{\\\"a\\\":[1,0.1,null]}\"}");
}

TEST(a_parameter_is_never_a_part_of_the_text)
{
    open_pay(rig);
    sql_rig_failed(rig,
                   sql_rig_call(rig, "pay", "e-1-1",
                                "{\"customer\": \"'; DROP TABLE account; --\", "
                                "\"amount\": 1}"),
                   "Payment.Declined", "0 rows");
    assert_int_equal(sql_rig_number(rig, "SELECT count(*) FROM account"), 2);
}

TEST(a_path_that_is_not_in_the_input_is_refused_before_anything_is_sent)
{
    open_pay(rig);
    sql_rig_failed(rig, sql_rig_call(rig, "pay", "e-1-1", "{\"customer\": \"ada\"}"),
                   "States.ParameterPathFailure", "there is no $.amount");
}

TEST(an_output_that_is_too_large_is_refused_and_nothing_is_done)
{
    sql_rig_open(rig, &postgres,
                 SECTION("", "\"grow\": {\"sql\": \"UPDATE account SET balance = balance + 1 "
                             "RETURNING repeat('x', $1) AS x\", \"params\": [\"$\"], "
                             "\"returns\": \"row\"}"));
    sql_rig_failed(rig, sql_rig_call(rig, "grow", "e-1-1", "200000"), "States.DataLimitExceeded",
                   "nothing was done");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 100);
    sql_rig_wait(rig, sql_rig_call(rig, "grow", "e-1-1", "100000"));
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 101);
}

TEST(json_that_the_engine_cannot_hold_comes_as_its_text)
{
    sql_rig_open(rig, &postgres,
                 SECTION("", "\"big\": {\"sql\": \"SELECT '1e999'::jsonb AS n\", "
                             "\"returns\": \"row\"}"));
    const struct sql_rig_call *call = sql_rig_call(rig, "big", "e-1-1", "{}");
    sql_rig_wait(rig, call);
    assert_true(call->is_done && json_is_string(call->output));
}

/* ---- errors ------------------------------------------------------------------------------------
 */

TEST(errors_of_the_server_have_names_and_leave_nothing_behind)
{
    sql_rig_open(rig, &postgres,
                 SECTION("", "\"add\": {\"sql\": \"INSERT INTO account VALUES ($1, $2)\", "
                             "\"params\": [\"$.id\", \"$.balance\"]}, "
                             "\"raise\": {\"sql\": \"SELECT refuse($1)\", \"params\": [\"$\"]}, "
                             "\"broken\": {\"sql\": \"SELECT FROM WHERE\"}, "
                             "\"few\": {\"sql\": \"SELECT $1::int, $2::int\", \"params\": [1]}, "
                             "\"inner\": {\"sql\": \"WITH a AS (DELETE FROM account RETURNING id) "
                             "SELECT id FROM a\", \"returns\": \"rows\"}"));
    sql_rig_run(rig, "CREATE FUNCTION refuse(hint text) RETURNS void AS $$ BEGIN "
                     "RAISE EXCEPTION 'no' USING HINT = hint; END $$ LANGUAGE plpgsql");
    sql_rig_failed(rig, sql_rig_call(rig, "add", "e-1-1", "{\"id\": \"ada\", \"balance\": 1}"),
                   "SQL.UniqueViolation", "(id)=(ada)");
    sql_rig_failed(rig, sql_rig_call(rig, "add", "e-2-1", "{\"id\": \"c\", \"balance\": 1000001}"),
                   "SQL.CheckViolation", "account_balance_check");
    sql_rig_failed(rig, sql_rig_call(rig, "add", "e-3-1", "{\"id\": \"c\", \"balance\": null}"),
                   "SQL.NotNullViolation", "balance");
    sql_rig_failed(rig, sql_rig_call(rig, "add", "e-4-1", "{\"id\": \"c\", \"balance\": \"x\"}"),
                   "SQL.InvalidTextRepresentation", "\"x\"");
    sql_rig_failed(rig, sql_rig_call(rig, "raise", "e-5-1", "\"Card.Expired\""), "Card.Expired",
                   "no");
    sql_rig_failed(rig, sql_rig_call(rig, "raise", "e-6-1", "\"look there\""), "SQL.RaiseException",
                   "no");
    sql_rig_failed(rig, sql_rig_call(rig, "broken", "e-7-1", "{}"), "SQL.SyntaxError",
                   "mend the statement");
    sql_rig_failed(rig, sql_rig_call(rig, "few", "e-8-1", "{}"), "SQL.BadStatement",
                   "takes 2 parameters, but \"params\" has 1");
    sql_rig_failed(rig, sql_rig_call(rig, "inner", "e-9-1", "{}"), "SQL.FeatureNotSupported",
                   "make it a list");
    assert_int_equal(sql_rig_number(rig, KEYS), 0);
    assert_int_equal(sql_rig_number(rig, "SELECT count(*) FROM account"), 2);
}

TEST(what_fails_only_when_it_is_committed_fails_the_call)
{
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, \"pipeline\": 4, ",
                         "\"order\": {\"sql\": \"INSERT INTO orders VALUES ($1)\", "
                         "\"params\": [\"$\"]}"));
    sql_rig_run(rig, "CREATE TABLE orders (id text REFERENCES account DEFERRABLE INITIALLY "
                     "DEFERRED)");
    struct sql_rig_call *first = sql_rig_call(rig, "order", "e-1-1", "\"eve\"");
    struct sql_rig_call *second = sql_rig_call(rig, "order", "e-2-1", "\"ada\"");
    sql_rig_failed(rig, first, "SQL.ForeignKeyViolation", "(id)=(eve)");
    sql_rig_done(rig, second, "null");
    assert_int_equal(sql_rig_number(rig, "SELECT count(*) FROM orders"), 1);
    assert_int_equal(sql_rig_number(rig, KEYS), 1);
}

TEST(a_deadlock_is_retried_and_both_calls_are_done)
{
#define LOCK(a, b)                                                                                 \
    "{\"sql\": [{\"sql\": \"UPDATE account SET balance = balance + 1 WHERE id = '" a "'\"}, "      \
    "{\"sql\": \"SELECT pg_advisory_xact_lock_shared(1)\"}, "                                      \
    "{\"sql\": \"UPDATE account SET balance = balance + 1 WHERE id = '" b "'\"}]}"
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 2, \"pipeline\": 1, ",
                         "\"one\": " LOCK("ada", "bob") ", \"two\": " LOCK("bob", "ada")));
    sql_rig_run(rig, "ALTER ROLE postgres SET deadlock_timeout = 10");
    sql_rig_run(rig, "SELECT pg_advisory_lock(1)");
    sql_rig_call(rig, "one", "e-1-1", "{}");
    sql_rig_call(rig, "two", "e-2-1", "{}");
    sql_rig_until(rig,
                  "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND "
                  "NOT granted",
                  2);
    sql_rig_run(rig, "SELECT pg_advisory_unlock(1)");
    sql_rig_done(rig, &rig->calls[0], "null");
    sql_rig_done(rig, &rig->calls[1], "null");
    assert_true(rig->calls[0].retries + rig->calls[1].retries > 0);
    assert_int_equal(sql_rig_number(rig, "SELECT sum(balance) FROM account"), 154);
}

TEST(who_waits_for_a_lock_is_out_of_time_at_the_deadline_of_the_step)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 4, ", PAY));
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-0-1", ada_10)); /* there is a session */
    sql_rig_run(rig, "BEGIN");
    sql_rig_run(rig, "UPDATE account SET balance = 40 WHERE id = 'ada'");
    struct sql_rig_call *call = sql_rig_call_with(rig, "pay", "e-1-1", ada_10, NULL, 500);
    sql_rig_failed(rig, call, "States.Timeout", "holds the lock");
    assert_true(call->retryable);
    sql_rig_run(rig, "COMMIT");
    assert_int_equal(sql_rig_number(rig, KEYS), 1);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"30\"}");
}

TEST(who_gets_no_connection_is_out_of_time_at_the_deadline_of_the_step)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 1, ", PAY));
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
    sql_rig_run(rig, "BEGIN");
    sql_rig_run(rig, "UPDATE account SET balance = 40 WHERE id = 'ada'");
    struct sql_rig_call *first = sql_rig_call(rig, "pay", "e-2-1", ada_10);
    struct sql_rig_call *second = sql_rig_call_with(rig, "pay", "e-3-1", ada_10, NULL, 200);
    sql_rig_failed(rig, second, "States.Timeout", "a larger pool");
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, first, "{\"id\": \"ada\", \"balance\": \"30\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_runs_its_statement_and_returns_its_row),
        cmocka_unit_test(a_call_that_is_sent_again_has_the_same_answer_and_no_other_effect),
        cmocka_unit_test(duplicates_at_the_same_time_have_one_effect),
        cmocka_unit_test(another_number_of_rows_is_the_named_error_and_nothing_is_done),
        cmocka_unit_test(many_calls_on_a_small_pool_are_all_done),
        cmocka_unit_test(a_list_of_statements_is_one_transaction_and_its_last_one_has_the_result),
        cmocka_unit_test(what_is_returned_is_none_a_count_a_row_or_rows),
        cmocka_unit_test(values_go_there_and_come_back_as_what_they_are),
        cmocka_unit_test(a_parameter_is_never_a_part_of_the_text),
        cmocka_unit_test(a_path_that_is_not_in_the_input_is_refused_before_anything_is_sent),
        cmocka_unit_test(an_output_that_is_too_large_is_refused_and_nothing_is_done),
        cmocka_unit_test(json_that_the_engine_cannot_hold_comes_as_its_text),
        cmocka_unit_test(errors_of_the_server_have_names_and_leave_nothing_behind),
        cmocka_unit_test(what_fails_only_when_it_is_committed_fails_the_call),
        cmocka_unit_test(a_deadlock_is_retried_and_both_calls_are_done),
        cmocka_unit_test(who_waits_for_a_lock_is_out_of_time_at_the_deadline_of_the_step),
        cmocka_unit_test(who_gets_no_connection_is_out_of_time_at_the_deadline_of_the_step),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
