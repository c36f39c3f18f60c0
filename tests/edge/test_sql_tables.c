#include "engine/edge/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/edge/sql_fixture.h"

TEST(a_table_that_is_missing_is_named_and_found_when_it_is_there)
{
    sql_rig_open(rig, &postgres, SECTION("", PAY));
    sql_rig_run(rig, "ALTER TABLE account RENAME TO elsewhere");
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    sql_rig_failed(rig, call, "SQL.UndefinedTable", "make the table");
    assert_false(call->retryable);
    sql_rig_run(rig, "ALTER TABLE elsewhere RENAME TO account");
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
    sql_rig_run(rig, "ALTER TABLE account RENAME TO elsewhere");
    sql_rig_failed(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10), "SQL.UndefinedTable", "account");
    sql_rig_run(rig, "ALTER TABLE elsewhere RENAME TO account");
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"80\"}");
}

TEST(a_table_that_is_altered_under_it_does_not_fail_calls)
{
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, ", "\"all\": {\"sql\": \"SELECT * FROM account\"}, "
                                          "\"some\": {\"sql\": \"UPDATE account SET balance = 1 "
                                          "WHERE id = 'ada' RETURNING *\", \"returns\": \"row\"}"));
    sql_rig_done(rig, sql_rig_call(rig, "all", "e-1-1", "{}"), "null");
    sql_rig_done(rig, sql_rig_call(rig, "some", "e-2-1", "{}"),
                 "{\"id\": \"ada\", \"balance\": \"1\"}");
    sql_rig_run(rig, "ALTER TABLE account ADD COLUMN note text");
    sql_rig_done(rig, sql_rig_call(rig, "all", "e-3-1", "{}"), "null");
    sql_rig_wait(rig, sql_rig_call(rig, "some", "e-4-1", "{}"));
    assert_true(rig->calls[rig->calls_count - 1].is_done);
    sql_rig_run(rig, "ALTER TABLE account DROP COLUMN note, DROP COLUMN balance");
    sql_rig_failed(rig, sql_rig_call(rig, "some", "e-5-1", "{}"), "SQL.UndefinedColumn", "balance");
}

/* The statement was described while the table was there; the calls wait for the one connection when
 * the first of them finds out that it is not there any more. */
TEST(calls_that_wait_while_their_table_is_dropped_all_fail_by_its_name)
{
    struct sql_rig_call *calls[4];
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 1, ", PAY));
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10));
    sql_rig_run(rig, "DROP TABLE account");
    for (uint32_t i = 0; i < 4; i++) {
        char key[EDGE_KEY_BYTES];
        snprintf(key, sizeof key, "e-2-%u", i);
        calls[i] = sql_rig_call(rig, "pay", key, ada_10);
    }
    sql_rig_wait_all(rig);
    for (uint32_t i = 0; i < 4; i++)
        sql_rig_failed(rig, calls[i], "SQL.UndefinedTable", "account");
}

/* ---- tables that change under what two connections have prepared --------------------------------
 */

#define ADD                                                                                        \
    "\"add\": {\"sql\": \"UPDATE item SET n = n + $2 WHERE id = $1 RETURNING *\", "                \
    "\"params\": [\"$[0]\", \"$[1]\"], \"returns\": \"row\"}"
#define LIST                                                                                       \
    "\"list\": {\"sql\": [{\"sql\": \"SELECT * FROM item\"}, "                                     \
    "{\"sql\": \"UPDATE item SET n = n WHERE id = $1\", \"params\": [\"$\"]}]}"

static void open_items(struct sql_rig *rig)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 2, \"pipeline\": 1, ", ADD ", " LIST));
    sql_rig_run(rig, "CREATE TABLE item (id integer, n integer)");
    sql_rig_run(rig, "INSERT INTO item VALUES (1, 0), (2, 0)");
}

/* The first waits for a row, so that the second has the other connection. */
static void call_on_both(struct sql_rig *rig, const char *name, const char *first,
                         const char *second, struct sql_rig_call **ret_calls)
{
    static uint32_t number;
    char key[32];
    sql_rig_run(rig, "BEGIN");
    sql_rig_run(rig, "SELECT 1 FROM item WHERE id::text = '1' FOR UPDATE");
    snprintf(key, sizeof key, "e-%u-1", number++);
    ret_calls[0] = sql_rig_call(rig, name, key, first);
    while (!ret_calls[0]->answers &&
           sql_rig_number(rig, "SELECT count(*) FROM pg_locks WHERE NOT "
                               "granted AND locktype = 'transactionid'") == 0)
        sql_rig_turn(rig);
    snprintf(key, sizeof key, "e-%u-1", number++);
    ret_calls[1] = sql_rig_call(rig, name, key, second);
    sql_rig_wait(rig, ret_calls[1]);
    sql_rig_run(rig, "COMMIT");
    sql_rig_wait(rig, ret_calls[0]);
}

static void all_are_done(struct sql_rig *rig)
{
    for (uint32_t i = 0; i < rig->calls_count; i++) {
        if (!rig->calls[i].is_done)
            fail_msg("call %u: %s: %s", i, rig->calls[i].error, rig->calls[i].cause);
    }
}

TEST(a_column_of_another_type_fails_no_call_on_any_connection)
{
    struct sql_rig_call *calls[2];
    open_items(rig);
    call_on_both(rig, "add", "[1, 1]", "[2, 1]", calls);
    sql_rig_run(rig, "ALTER TABLE item ALTER id TYPE text, ALTER n TYPE numeric");
    call_on_both(rig, "add", "[\"1\", 0.5]", "[\"2\", 0.5]", calls);
    all_are_done(rig);
    sql_rig_done(rig, calls[0], "{\"id\": \"1\", \"n\": \"1.5\"}");
    sql_rig_done(rig, calls[1], "{\"id\": \"2\", \"n\": \"1.5\"}");
    assert_int_equal(calls[0]->retries, 1);
    assert_int_equal(calls[1]->retries, 0);
}

/* What was prepared goes on, and refuses the values that only the new type can hold. */
TEST(a_column_that_has_become_wider_takes_wider_values_on_any_connection)
{
    struct sql_rig_call *calls[2];
    open_items(rig);
    call_on_both(rig, "add", "[1, 1]", "[2, 1]", calls);
    sql_rig_run(rig, "ALTER TABLE item ALTER n TYPE bigint");
    call_on_both(rig, "add", "[1, 3000000000]", "[2, 3000000000]", calls);
    all_are_done(rig);
    assert_int_equal(calls[1]->retries, 0);
    assert_int_equal(sql_rig_number(rig, "SELECT min(n) FROM item"), 3000000001);
}

TEST(a_table_that_is_made_anew_with_other_columns_fails_no_call_on_any_connection)
{
    struct sql_rig_call *calls[2];
    open_items(rig);
    call_on_both(rig, "add", "[1, 1]", "[2, 1]", calls);
    sql_rig_run(rig, "DROP TABLE item; CREATE TABLE item (n jsonb, id bigint); "
                     "INSERT INTO item VALUES ('[]', 1), ('[]', 2); "
                     "CREATE FUNCTION append(jsonb, jsonb) RETURNS jsonb LANGUAGE sql AS "
                     "'SELECT $1 || $2'; CREATE OPERATOR + (FUNCTION = append, "
                     "LEFTARG = jsonb, RIGHTARG = jsonb)");
    call_on_both(rig, "add", "[1, [5]]", "[2, [6]]", calls);
    all_are_done(rig);
    sql_rig_done(rig, calls[0], "{\"n\": [5], \"id\": 1}");
    sql_rig_done(rig, calls[1], "{\"n\": [6], \"id\": 2}");
    assert_int_equal(calls[1]->retries, 0);
}

TEST(a_type_that_is_made_anew_fails_no_call)
{
#define MOOD "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TABLE feeling (of text, is_now mood)"
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, ",
                         "\"feel\": {\"sql\": \"INSERT INTO feeling VALUES ('ada', "
                         "$1)\", \"params\": [\"$\"]}"));
    sql_rig_run(rig, MOOD);
    sql_rig_done(rig, sql_rig_call(rig, "feel", "e-1-1", "\"glad\""), "null");
    sql_rig_run(rig, "DROP TABLE feeling; DROP TYPE mood; " MOOD);
    sql_rig_done(rig, sql_rig_call(rig, "feel", "e-2-1", "\"sad\""), "null");
}

/* A plan with other columns than it had is refused by each session that has it. */
TEST(a_result_of_another_shape_fails_no_call_on_any_connection)
{
    struct sql_rig_call *calls[2];
    open_items(rig);
    call_on_both(rig, "list", "1", "2", calls);
    sql_rig_run(rig, "ALTER TABLE item ADD COLUMN note text");
    call_on_both(rig, "list", "1", "2", calls);
    all_are_done(rig);
    assert_int_equal(calls[0]->retries, 1);
    assert_int_equal(calls[1]->retries, 0);
}

/* It was described then. The sessions are looked at from outside of the transaction, in which they
 * would always be the same. */
static void until_it_waits_to_write_its_key(struct sql_rig *rig, const struct sql_rig_call *call)
{
    PGconn *other = postgres_connect(&postgres);
    while (!call->answers &&
           !postgres_number(other,
                            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
                            "WHERE NOT granted AND query LIKE 'INSERT INTO flyover_keys%'"))
        sql_rig_turn(rig);
    PQfinish(other);
}

TEST(a_table_that_changes_between_description_and_run_does_not_fail_the_call)
{
    open_items(rig);
    sql_rig_run(rig, "ALTER TABLE item ADD COLUMN note text");
    sql_rig_wait(rig, sql_rig_call(rig, "list", "e-1-1", "1"));
    sql_rig_run(rig, "BEGIN; LOCK TABLE flyover_keys IN EXCLUSIVE MODE");
    const struct sql_rig_call *call = sql_rig_call(rig, "add", "e-2-1", "[1, 1]");
    until_it_waits_to_write_its_key(rig, call);
    sql_rig_run(rig, "ALTER TABLE item DROP COLUMN note");
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, call, "{\"id\": 1, \"n\": 1}");
    assert_int_equal(call->retries, 1);
}

/* An empty array was written as one, which as JSON is an empty object. */
TEST(a_value_is_not_read_as_another_type_than_it_was_written_for)
{
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 2, ", PAY ", \"fill\": {\"sql\": \"INSERT INTO basket VALUES "
                                              "($1)\", \"params\": [\"$\"]}"));
    sql_rig_run(rig, "CREATE TABLE basket (items text[])");
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10));
    sql_rig_run(rig, "BEGIN; LOCK TABLE flyover_keys IN EXCLUSIVE MODE");
    const struct sql_rig_call *call = sql_rig_call(rig, "fill", "e-2-1", "[]");
    until_it_waits_to_write_its_key(rig, call);
    sql_rig_run(rig, "ALTER TABLE basket ALTER items TYPE jsonb USING to_jsonb(items)");
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, call, "null");
    assert_int_equal(sql_rig_number(rig, "SELECT count(*) FROM basket WHERE items = '[]'"), 1);
}

/* Once it is there for certain, and until then as "". */
TEST(what_is_outdated_is_prepared_anew_under_its_name)
{
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, ",
                         ADD ", \"look\": {\"sql\": \"SELECT parameter_types::text AS types FROM "
                             "pg_prepared_statements WHERE name = 'flyover_7'\", "
                             "\"returns\": \"row\"}"));
    sql_rig_run(rig, "CREATE TABLE item (id integer, n integer)");
    sql_rig_run(rig, "INSERT INTO item VALUES (1, 0)");
    for (int i = 0; i < 2; i++) {
        char key[32];
        for (int j = 0; j < 2; j++) {
            snprintf(key, sizeof key, "e-%d-%d", i, j);
            sql_rig_wait(rig, sql_rig_call(rig, "add", key, i ? "[1, 0.5]" : "[1, 1]"));
        }
        snprintf(key, sizeof key, "e-%d-9", i);
        sql_rig_done(rig, sql_rig_call(rig, "look", key, "{}"),
                     i ? "{\"types\": \"{integer,numeric,text}\"}"
                       : "{\"types\": \"{integer,integer,text}\"}");
        sql_rig_run(rig, "ALTER TABLE item ALTER n TYPE numeric");
    }
    all_are_done(rig);
}

/* The server goes on with what "*" was, and with what is numeric now as a number. */
TEST(a_change_that_fails_nothing_is_seen_within_a_minute)
{
    open_items(rig);
    sql_rig_done(rig, sql_rig_call(rig, "add", "e-1-1", "[1, 1]"), "{\"id\": 1, \"n\": 1}");
    sql_rig_run(rig, "ALTER TABLE item ADD COLUMN note text DEFAULT 'x', ALTER n TYPE numeric");
    sql_rig_set_forward(60000);
    sql_rig_done(rig, sql_rig_call(rig, "add", "e-3-1", "[1, 1]"),
                 "{\"id\": 1, \"n\": \"2\", \"note\": \"x\"}");
    assert_int_equal(rig->calls[1].retries, 0);
}

/* The lock is waited for before the statement can even be described. */
TEST(a_table_that_is_being_altered_is_waited_for_until_the_deadline_of_the_step)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 4, ", PAY ", " REFUND));
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10));
    sql_rig_run(rig, "BEGIN; LOCK TABLE account");
    sql_rig_failed(rig, sql_rig_call_with(rig, "refund", "e-1-1-c", ada_10_undone, NULL, 500),
                   "States.Timeout", "holds the lock");
    assert_string_equal(rig->log, "");
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, sql_rig_call(rig, "refund", "e-1-1-c", ada_10_undone), "null");
}

TEST(an_error_that_stays_when_it_is_described_anew_is_the_answer)
{
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, ", "\"cut\": {\"sql\": \"SELECT 1 / $1::integer AS n\", "
                                          "\"params\": [\"$\"], \"returns\": \"row\"}, "
                                          "\"read\": {\"sql\": \"SELECT look()\"}, "
                                          "\"plan\": {\"sql\": \"SELECT refuse()\"}"));
    sql_rig_run(rig, "CREATE FUNCTION look() RETURNS int LANGUAGE plpgsql AS "
                     "'BEGIN RETURN (SELECT 1 FROM nothing); END'");
    sql_rig_run(rig, "CREATE FUNCTION refuse() RETURNS void LANGUAGE plpgsql AS "
                     "$$BEGIN RAISE EXCEPTION 'not here' USING ERRCODE = '0A000'; END$$");
    for (int i = 0; i < 2; i++) {
        sql_rig_failed(rig, sql_rig_call(rig, "cut", "e-1-1", "0"), "SQL.DivisionByZero", "zero");
        sql_rig_failed(rig, sql_rig_call(rig, "read", "e-2-1", "{}"), "SQL.UndefinedTable",
                       "nothing");
        sql_rig_failed(rig, sql_rig_call(rig, "plan", "e-3-1", "{}"), "SQL.FeatureNotSupported",
                       "not here");
    }
    sql_rig_done(rig, sql_rig_call(rig, "cut", "e-1-1", "1"), "{\"n\": 1}");
    for (uint32_t i = 0; i < rig->calls_count; i++)
        assert_int_equal(rig->calls[i].retries, i == 5);
}

/* By an engine that did not live to hear of it; the next one cannot even describe the statement. */
TEST(a_call_that_was_done_is_answered_though_its_statement_cannot_be_run_any_more)
{
    static struct sql_rig before;
    static const char answer[] = "{\"id\": \"ada\", \"balance\": \"90\"}";
    sql_rig_open(&before, &postgres, SECTION("\"pool\": 1, ", PAY));
    sql_rig_done(&before, sql_rig_call(&before, "pay", "e-1-1", ada_10), answer);
    sql_rig_close(&before);
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, ", PAY));
    sql_rig_run(rig, "ALTER TABLE account RENAME TO elsewhere");
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10), answer);
    sql_rig_failed(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10), "SQL.UndefinedTable", "account");
}

TEST(a_call_that_was_done_is_answered_though_its_statement_is_refused)
{
    static struct sql_rig before;
    sql_rig_open(&before, &postgres, SECTION("\"pool\": 1, ", PAY));
    sql_rig_done(&before, sql_rig_call(&before, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
    sql_rig_close(&before);
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, ", "\"pay\": {\"sql\": \"SELECT $1::int\"}"));
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
    sql_rig_failed(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10), "SQL.BadStatement", "takes 1");
}

/* The first of the pipeline is a duplicate, so that what it prepares behind its key is not. */
TEST(what_a_duplicate_did_not_prepare_fails_nothing_behind_it)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 4, ", PAY));
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10));
    sql_rig_run(rig, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE application_name = 'flyover'");
    sql_rig_until_said(rig, "sql_away");
    for (int i = 0; i < 4; i++) {
        char key[32];
        snprintf(key, sizeof key, "e-%d-1", i + 1);
        sql_rig_call(rig, "pay", key, ada_10);
    }
    sql_rig_wait_all(rig);
    all_are_done(rig);
    for (uint32_t i = 0; i < rig->calls_count; i++)
        assert_int_equal(rig->calls[i].retries, 0);
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 60);
}

/* As in a pool of sessions that others use too, whose statements have the same names. */
TEST(what_others_did_to_a_session_is_mended_and_the_call_is_done)
{
    static const char *const mischief[] = {
        "DEALLOCATE flyover_7",
        "DEALLOCATE ALL",
        "DEALLOCATE flyover_7; PREPARE flyover_7(int) AS SELECT $1",
        "DEALLOCATE ALL; PREPARE flyover_7 AS SELECT 1",
    };
    sql_rig_open(rig, &postgres,
                 SECTION("\"pool\": 1, ", PAY ", \"spoil\": {\"sql\": \"SELECT spoil($1)\", "
                                              "\"params\": [\"$\"]}"));
    sql_rig_run(rig, "CREATE FUNCTION spoil(command text) RETURNS void LANGUAGE plpgsql AS "
                     "'BEGIN EXECUTE command; END'");
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-0-1", ada_10));
    for (uint32_t i = 0; i < sizeof mischief / sizeof *mischief; i++) {
        char key[32], input[128];
        snprintf(key, sizeof key, "e-1-%u", i);
        snprintf(input, sizeof input, "\"%s\"", mischief[i]);
        sql_rig_done(rig, sql_rig_call(rig, "spoil", key, input), "null");
        snprintf(key, sizeof key, "e-2-%u", i);
        const struct sql_rig_call *call = sql_rig_call(rig, "pay", key, ada_10);
        sql_rig_wait(rig, call);
        assert_int_equal(call->retries, 1);
    }
    all_are_done(rig);
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_is_missing_is_named_and_found_when_it_is_there),
        cmocka_unit_test(a_table_that_is_altered_under_it_does_not_fail_calls),
        cmocka_unit_test(calls_that_wait_while_their_table_is_dropped_all_fail_by_its_name),
        cmocka_unit_test(a_column_of_another_type_fails_no_call_on_any_connection),
        cmocka_unit_test(a_column_that_has_become_wider_takes_wider_values_on_any_connection),
        cmocka_unit_test(
            a_table_that_is_made_anew_with_other_columns_fails_no_call_on_any_connection),
        cmocka_unit_test(a_type_that_is_made_anew_fails_no_call),
        cmocka_unit_test(a_result_of_another_shape_fails_no_call_on_any_connection),
        cmocka_unit_test(a_table_that_changes_between_description_and_run_does_not_fail_the_call),
        cmocka_unit_test(a_value_is_not_read_as_another_type_than_it_was_written_for),
        cmocka_unit_test(what_is_outdated_is_prepared_anew_under_its_name),
        cmocka_unit_test(a_change_that_fails_nothing_is_seen_within_a_minute),
        cmocka_unit_test(
            a_table_that_is_being_altered_is_waited_for_until_the_deadline_of_the_step),
        cmocka_unit_test(an_error_that_stays_when_it_is_described_anew_is_the_answer),
        cmocka_unit_test(
            a_call_that_was_done_is_answered_though_its_statement_cannot_be_run_any_more),
        cmocka_unit_test(a_call_that_was_done_is_answered_though_its_statement_is_refused),
        cmocka_unit_test(what_a_duplicate_did_not_prepare_fails_nothing_behind_it),
        cmocka_unit_test(what_others_did_to_a_session_is_mended_and_the_call_is_done),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
