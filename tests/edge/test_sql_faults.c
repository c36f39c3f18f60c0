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

/* ---- connections that break --------------------------------------------------------------------
 */

TEST(an_answer_that_is_lost_after_the_commit_does_not_do_it_twice)
{
    sql_rig_open_proxied(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 4, ", PAY));
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
    rig->loses_answers = true;
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-2-1", ada_10);
    sql_rig_until(rig, KEYS, 2);
    assert_int_equal(call->answers, 0);
    rig->loses_answers = false;
    sql_rig_cut(rig);
    sql_rig_done(rig, call, "{\"id\": \"ada\", \"balance\": \"80\"}");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 80);
    assert_int_equal(call->retries, 1);
}

TEST(sessions_that_are_ended_under_the_load_lose_and_double_nothing)
{
    sql_rig_open(rig, &postgres, SECTION("\"pipeline\": 4, ", PAY));
    sql_rig_run(rig, "UPDATE account SET balance = 10000");
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-0-1", ada_10)); /* there is a session to end */
    for (int i = 1; i < 400; i++) {
        char key[32];
        snprintf(key, sizeof key, "e-%d-1", i);
        sql_rig_call(rig, "pay", key, ada_10);
        if (i % 100 == 50)
            sql_rig_run(rig, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             "WHERE application_name = 'flyover'");
        sql_rig_turn(rig);
    }
    sql_rig_wait_all(rig);
    for (uint32_t i = 0; i < rig->calls_count; i++)
        assert_true(rig->calls[i].is_done);
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 6000);
    assert_int_equal(sql_rig_number(rig, KEYS), 400);
    sql_rig_until_said(rig, "sql_away");
    sql_rig_until_said(rig, "sql_back");
}

TEST(a_server_that_crashes_in_a_transaction_and_comes_back_does_it_once)
{
    open_pay(rig);
    sql_rig_run(rig, "BEGIN");
    sql_rig_run(rig, "SELECT 1 FROM account WHERE id = 'ada' FOR UPDATE");
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    PGconn *other = postgres_connect(&postgres);
    while (!postgres_number(other, "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                   "'flyover' AND wait_event_type = 'Lock'"))
        sql_rig_turn(rig);
    PQfinish(other);
    postgres_stop(&postgres, SIGQUIT);
    sql_rig_until_said(rig, "sql_away");
    assert_int_equal(call->answers, 0);
    postgres_start(&postgres);
    PQfinish(rig->admin);
    rig->admin = postgres_connect(&postgres);
    sql_rig_done(rig, call, "{\"id\": \"ada\", \"balance\": \"90\"}");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 90);
}

TEST(a_server_that_is_away_is_named_without_the_password)
{
    sql_rig_open(rig, &postgres, SECTION("", PAY));
    postgres_stop(&postgres, SIGINT);
    struct sql_rig_call *call = sql_rig_call_with(rig, "pay", "e-1-1", ada_10, NULL, 2000);
    sql_rig_failed(rig, call, "SQL.ConnectionFailed", "refused");
    assert_true(call->retryable);
    assert_null(strstr(rig->log, "secret"));
    postgres_start(&postgres);
    PQfinish(rig->admin);
    rig->admin = postgres_connect(&postgres);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
}

/* However slow the machine is, and little the time of a call. */
static void until_done(struct sql_rig *rig, const char *key)
{
    const struct sql_rig_call *call;
    do {
        call = sql_rig_call(rig, "pay", key, ada_10);
        sql_rig_wait(rig, call);
    } while (!call->is_done);
}

TEST(a_server_that_says_nothing_is_given_up_after_its_time)
{
    sql_rig_open_proxied(rig, &postgres,
                         SECTION("\"pool\": 1, \"pipeline\": 4, \"timeout_seconds\": 1, ", PAY));
    until_done(rig, "e-1-1");
    rig->loses_answers = true;
    struct sql_rig_call *call = sql_rig_call_with(rig, "pay", "e-2-1", ada_10, NULL, 200);
    sql_rig_failed(rig, call, "States.Timeout", "does not answer");
    call = sql_rig_call(rig, "pay", "e-3-1", ada_10);
    sql_rig_failed(rig, call, "SQL.ConnectionLost", "does not answer");
    assert_true(call->retryable);
    rig->loses_answers = false;
    sql_rig_cut(rig);
    until_done(rig, "e-3-1");
    assert_int_equal(sql_rig_number(rig, "SELECT (100 - balance) / 10 - (" KEYS ") "
                                         "FROM account WHERE id = 'ada'"),
                     0);
}

/* The server begins with the second when its time is long over, and then waits too. */
TEST(a_call_behind_one_that_waits_does_not_end_the_session)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, \"pipeline\": 4, ", PAY));
    sql_rig_wait(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10));
    PGconn *other = postgres_connect(&postgres);
    PQclear(postgres_run(other, "BEGIN; SELECT 1 FROM account WHERE id = 'bob' FOR UPDATE"));
    sql_rig_run(rig, "BEGIN; SELECT 1 FROM account WHERE id = 'ada' FOR UPDATE");
    struct sql_rig_call *first = sql_rig_call(rig, "pay", "e-2-1", ada_10);
    struct sql_rig_call *second = sql_rig_call_with(
        rig, "pay", "e-3-1", "{\"customer\": \"bob\", \"amount\": 1}", NULL, 1000);
    sql_rig_set_forward(20000);
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, first, "{\"id\": \"ada\", \"balance\": \"80\"}");
    sql_rig_failed(rig, second, "States.Timeout", "holds the lock");
    assert_string_equal(rig->log, "");
    PQfinish(other);
}

TEST(a_pool_that_is_larger_than_the_server_allows_works_with_what_it_gets)
{
    sql_rig_open_as(rig, &postgres, "narrow", SECTION("\"pool\": 8, ", PAY));
    sql_rig_run(rig, "DROP ROLE IF EXISTS narrow");
    sql_rig_run(rig, "CREATE ROLE narrow LOGIN CONNECTION LIMIT 2");
    sql_rig_run(rig, "GRANT ALL ON SCHEMA public TO narrow; GRANT ALL ON account TO narrow");
    for (int i = 0; i < 10; i++) {
        char key[32];
        snprintf(key, sizeof key, "e-%d-1", i);
        sql_rig_call(rig, "pay", key, ada_10);
    }
    sql_rig_wait_all(rig);
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 0);
    sql_rig_run(rig, "DROP OWNED BY narrow");
}

TEST(a_server_is_found_by_its_name)
{
    char host[64];
    snprintf(host, sizeof host, "localhost:%d", postgres.port);
    sql_rig_open_at(rig, &postgres, host, SECTION("", PAY));
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
}

TEST(of_several_servers_one_that_is_there_is_taken)
{
    char host[160];
    snprintf(host, sizeof host, "nowhere.invalid:1,127.0.0.1:1,localhost:%d", postgres.port);
    sql_rig_open_at(rig, &postgres, host, SECTION("", PAY));
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"90\"}");
}

TEST(a_server_whose_name_nobody_knows_is_named)
{
    sql_rig_open_at(rig, &postgres, "nowhere.invalid", SECTION("", PAY));
    sql_rig_until_said(rig, "sql_away");
    struct sql_rig_call *call = sql_rig_call_with(rig, "pay", "e-1-1", ada_10, NULL, 50);
    sql_rig_failed(rig, call, "SQL.ConnectionFailed", "host \"nowhere.invalid\" has no address");
    assert_true(call->retryable);
}

/* What is still asked for is freed by whoever comes last, the thread that asks or the close. */
TEST(a_name_that_is_still_asked_for_at_the_end_is_given_up)
{
    sql_rig_open_at(rig, &postgres, "nowhere.invalid", SECTION("", PAY));
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    edge_sql.turn(rig->module, NULL, 0);
    assert_int_equal(call->answers, 0);
}

/* ---- compensations -----------------------------------------------------------------------------
 */

static const char refunded[] = "{\"id\": \"ada\", \"balance\": \"90\"}";

TEST(a_compensation_undoes_once_what_was_done)
{
    open_pay(rig);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10), refunded);
    for (int i = 0; i < 3; i++)
        sql_rig_call_with(rig, "refund", "e-1-1-c", ada_10_undone, refunded, 0);
    for (uint32_t i = 1; i < 4; i++)
        sql_rig_done(rig, &rig->calls[i], "null");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 100);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10), refunded);
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 100);
}

TEST(a_compensation_without_its_step_does_nothing_and_the_step_then_neither)
{
    open_pay(rig);
    for (int i = 0; i < 2; i++)
        sql_rig_done(rig, sql_rig_call(rig, "refund", "e-1-1-c", ada_10_undone), "null");
    struct sql_rig_call *late = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    sql_rig_failed(rig, late, "SQL.Compensated", "nothing is done");
    assert_false(late->retryable);
    sql_rig_done(rig, sql_rig_call(rig, "refund", "e-1-1-c", ada_10_undone), "null");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 100);
}

TEST(a_compensation_waits_for_a_step_that_is_under_way_and_undoes_it)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 2, ", PAY ", " REFUND));
    sql_rig_run(rig, "BEGIN");
    sql_rig_run(rig, "SELECT 1 FROM account WHERE id = 'ada' FOR UPDATE");
    struct sql_rig_call *step = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    const char *waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = "
                          "'transactionid'"; /* the other session may wait to make the keys */
    sql_rig_until(rig, waiting, 1);
    struct sql_rig_call *undo = sql_rig_call(rig, "refund", "e-1-1-c", ada_10_undone);
    sql_rig_until(rig, waiting, 2);
    assert_int_equal(step->answers + undo->answers, 0);
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, step, refunded);
    sql_rig_done(rig, undo, "null");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 100);
}

TEST(a_compensation_whose_key_is_gone_asks_for_a_human)
{
    open_pay(rig);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10), refunded);
    sql_rig_run(rig, "DELETE FROM flyover_keys");
    struct sql_rig_call *undo =
        sql_rig_call_with(rig, "refund", "e-1-1-c", ada_10_undone, refunded, 0);
    sql_rig_failed(rig, undo, "SQL.KeyMissing", "keys_retention_hours");
    assert_false(undo->retryable);
    assert_int_equal(sql_rig_number(rig, KEYS), 0);
}

TEST(a_compensation_of_another_services_step_just_runs)
{
    sql_rig_open(rig, &postgres,
                 SECTION("", "\"refund\": {\"sql\": \"UPDATE account SET balance = balance + $1 "
                             "WHERE id = 'ada'\", \"params\": [\"$$.output.taken\"]}"));
    for (int i = 0; i < 2; i++)
        sql_rig_done(rig, sql_rig_call_with(rig, "refund", "e-1-1-c", "{}", "{\"taken\": 5}", 0),
                     "null");
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 105);
}

/* ---- the table of keys -------------------------------------------------------------------------
 */

TEST(a_table_of_keys_that_may_not_be_made_is_a_sentence_with_the_statement)
{
    sql_rig_open_as(rig, &postgres, "poor", SECTION("", PAY));
    sql_rig_run(rig, "DROP ROLE IF EXISTS poor");
    sql_rig_run(rig, "CREATE ROLE poor LOGIN; GRANT SELECT, UPDATE ON account TO poor");
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    sql_rig_failed(rig, call, "SQL.KeysTableMissing", "CREATE TABLE flyover_keys");
    assert_true(call->retryable);
    char ddl[512];
    sql_keys_ddl("flyover_keys", ddl, sizeof ddl);
    sql_rig_run(rig, ddl);
    sql_rig_until_said(rig, "sql_back");
    sql_rig_failed(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10), "SQL.KeysTableMissing",
                   "grant SELECT");
    sql_rig_run(rig, "GRANT SELECT, INSERT, UPDATE, DELETE ON flyover_keys TO poor");
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-2-1", ada_10), refunded);
    sql_rig_run(rig, "DROP OWNED BY poor");
}

/* By one connection: another that connects just then would make the table before the call comes. */
TEST(a_table_of_keys_that_cannot_be_made_in_time_is_made_later)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, ", PAY));
    sql_rig_run(rig, "BEGIN; SELECT pg_advisory_xact_lock(7307135)");
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    sql_rig_until(rig, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
                  1);
    sql_rig_run(rig, "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                     "AND NOT granted");
    sql_rig_until_said(rig, "sql_away");
    assert_int_equal(call->answers, 0);
    sql_rig_run(rig, "COMMIT");
    sql_rig_done(rig, call, refunded);
}

TEST(a_table_of_keys_that_is_dropped_is_made_again)
{
    sql_rig_open(rig, &postgres, SECTION("\"pool\": 1, ", PAY));
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10), refunded);
    sql_rig_run(rig, "DROP TABLE flyover_keys");
    struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-2-1", ada_10);
    sql_rig_failed(rig, call, "SQL.KeysTableMissing", "flyover_keys");
    assert_true(call->retryable);
    sql_rig_until(rig, "SELECT count(*) FROM pg_class WHERE relname = 'flyover_keys'", 1);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-3-1", ada_10),
                 "{\"id\": \"ada\", \"balance\": \"80\"}");
}

TEST(keys_of_a_schema_are_there_and_old_ones_are_deleted)
{
    sql_rig_open(rig, &postgres,
                 SECTION("\"keys_table\": \"saga.keys\", \"keys_retention_hours\": 2, ", PAY));
    char ddl[512];
    sql_keys_ddl("saga.keys", ddl, sizeof ddl);
    sql_rig_run(rig, "DROP SCHEMA IF EXISTS saga CASCADE; CREATE SCHEMA saga");
    sql_rig_run(rig, ddl);
    sql_rig_run(rig, "INSERT INTO saga.keys SELECT 'old-' || n, NULL, false, now() - interval "
                     "'3 hours' FROM generate_series(1, 1200) AS n");
    sql_rig_run(rig, "INSERT INTO saga.keys VALUES ('young', NULL, false, now() - interval "
                     "'1 hour')");
    sql_rig_until(rig, "SELECT count(*) FROM saga.keys", 1);
    sql_rig_done(rig, sql_rig_call(rig, "pay", "e-1-1", ada_10), refunded);
    assert_int_equal(sql_rig_number(rig, "SELECT count(*) FROM saga.keys"), 2);
    sql_rig_run(rig, "DROP SCHEMA saga CASCADE");
}

TEST(engines_that_start_together_make_one_table)
{
    open_pay(rig);
    static struct sql_rig others[3];
    for (int i = 0; i < 3; i++)
        sql_rig_open(&others[i], &postgres, SECTION("", PAY));
    for (int i = 0; i < 3; i++) {
        char key[32];
        snprintf(key, sizeof key, "f%d-1-1", i);
        sql_rig_call(&others[i], "pay", key, ada_10);
    }
    const struct sql_rig_call *call = sql_rig_call(rig, "pay", "e-1-1", ada_10);
    while (!call->answers || !others[0].calls->answers || !others[1].calls->answers ||
           !others[2].calls->answers) {
        sql_rig_turn(rig);
        for (int i = 0; i < 3; i++)
            sql_rig_turn(&others[i]);
    }
    assert_int_equal(sql_rig_number(rig, BALANCE_OF_ADA), 60);
    assert_string_equal(others[2].log, ""); /* the last one that was opened has it of all */
    for (int i = 0; i < 3; i++)
        sql_rig_close(&others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_lost_after_the_commit_does_not_do_it_twice),
        cmocka_unit_test(sessions_that_are_ended_under_the_load_lose_and_double_nothing),
        cmocka_unit_test(a_server_that_crashes_in_a_transaction_and_comes_back_does_it_once),
        cmocka_unit_test(a_server_that_is_away_is_named_without_the_password),
        cmocka_unit_test(a_server_that_says_nothing_is_given_up_after_its_time),
        cmocka_unit_test(a_call_behind_one_that_waits_does_not_end_the_session),
        cmocka_unit_test(a_pool_that_is_larger_than_the_server_allows_works_with_what_it_gets),
        cmocka_unit_test(a_server_is_found_by_its_name),
        cmocka_unit_test(of_several_servers_one_that_is_there_is_taken),
        cmocka_unit_test(a_server_whose_name_nobody_knows_is_named),
        cmocka_unit_test(a_name_that_is_still_asked_for_at_the_end_is_given_up),
        cmocka_unit_test(a_compensation_undoes_once_what_was_done),
        cmocka_unit_test(a_compensation_without_its_step_does_nothing_and_the_step_then_neither),
        cmocka_unit_test(a_compensation_waits_for_a_step_that_is_under_way_and_undoes_it),
        cmocka_unit_test(a_compensation_whose_key_is_gone_asks_for_a_human),
        cmocka_unit_test(a_compensation_of_another_services_step_just_runs),
        cmocka_unit_test(a_table_of_keys_that_may_not_be_made_is_a_sentence_with_the_statement),
        cmocka_unit_test(a_table_of_keys_that_cannot_be_made_in_time_is_made_later),
        cmocka_unit_test(a_table_of_keys_that_is_dropped_is_made_again),
        cmocka_unit_test(keys_of_a_schema_are_there_and_old_ones_are_deleted),
        cmocka_unit_test(engines_that_start_together_make_one_table),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
