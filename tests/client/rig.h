/* rig: a fake engine and a client that is connected to it, as most tests begin. */
#ifndef TESTS_CLIENT_RIG_H
#define TESTS_CLIENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/client/flyover.h"
#include "tests/client/fake.h"

struct rig {
    struct fake *fake;
    struct flyover_client *client;
};

static inline struct rig rig_open_within(const struct fake_options *options, uint32_t connect_ms)
{
    struct rig rig = {.fake = fake_open(options)};
    struct flyover_client_options to = {
        .address = fake_address(rig.fake), .name = "test", .connect_ms = connect_ms};
    assert_int_equal(flyover_connect(&to, &rig.client), FLYOVER_OK);
    return rig;
}

static inline struct rig rig_open(const struct fake_options *options)
{
    return rig_open_within(options, 60000);
}

static inline void rig_close(struct rig *rig)
{
    flyover_close(rig->client);
    fake_close(rig->fake);
}

/* A START with this number as its input, which is also its word; `name` NULL: none. */
static inline enum flyover_status rig_send(struct rig *rig, const char *definition, uint8_t number,
                                           const char *name, enum flyover_when when)
{
    assert_true(number < 128);
    struct flyover_start start = {
        .definition = definition, .input = &number, .input_bytes = 1, .name = name};
    return flyover_send_start(rig->client, &start, when, number);
}

/* The next answer, however long it takes, but for RECONNECTED. */
static inline struct flyover_answer_message rig_next(struct rig *rig)
{
    struct flyover_answer_message answer;
    do
        assert_true(flyover_next(rig->client, &answer, -1));
    while (answer.kind == FLYOVER_RECONNECTED);
    return answer;
}

static inline void rig_expect(struct rig *rig, enum flyover_answer_kind kind, uint64_t word)
{
    struct flyover_answer_message answer = rig_next(rig);
    assert_int_equal(answer.kind, kind);
    assert_int_equal(answer.word, word);
}

static inline void rig_expect_refused(struct rig *rig, enum flyover_status status, uint64_t word)
{
    struct flyover_answer_message answer = rig_next(rig);
    assert_int_equal(answer.kind, FLYOVER_REFUSED_REQUEST);
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.word, word);
}

#endif
