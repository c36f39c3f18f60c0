/*
 * sql_fixture: what the tests of the module "sql" share: one server for a binary, two accounts in
 * it, and two statements, one of which undoes the other.
 */
#ifndef TESTS_EDGE_SQL_FIXTURE_H
#define TESTS_EDGE_SQL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

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

static inline void reset(void)
{
    PGconn *admin = postgres_connect(&postgres);
    /* Sessions of the test before may hold locks, or be about to make a table. */
    PQclear(postgres_run(admin, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                                "WHERE pid <> pg_backend_pid() AND "
                                "backend_type = 'client backend'"));
    PQclear(postgres_run(admin, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; "
                                "GRANT USAGE ON SCHEMA public TO PUBLIC; "
                                "CREATE TABLE account (id text PRIMARY KEY, balance numeric NOT "
                                "NULL CHECK (balance < 1000000)); "
                                "INSERT INTO account VALUES ('ada', 100), ('bob', 50)"));
    PQfinish(admin);
}

static inline void open_pay(struct sql_rig *rig)
{
    sql_rig_open(rig, &postgres, SECTION("", PAY ", " REFUND));
}

__attribute__((unused)) static const char ada_10[] = "{\"customer\": \"ada\", \"amount\": 10}";
__attribute__((unused)) static const char ada_10_undone[] =
    "{\"input\": {\"customer\": \"ada\", \"amount\": 10}}";
#define BALANCE_OF_ADA "SELECT balance FROM account WHERE id = 'ada'"
#define KEYS           "SELECT count(*) FROM flyover_keys"

static inline int open_group(void **state)
{
    (void)state;
    /* For hosts that nobody knows: their name servers are not waited for. */
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
    has_server = postgres_open(&postgres);
    if (has_server)
        postgres_start(&postgres);
    return 0;
}

static inline int close_group(void **state)
{
    (void)state;
    if (has_server)
        postgres_close(&postgres);
    return 0;
}

#endif
