#include "tests/partition/scripted.h"

#include <stdio.h>
#include <string.h>

char scripted_trace[4096];
void (*scripted_hook)(char letter);
char scripted_token[FLYOVER_TOKEN_BYTES];
char scripted_traceparent[FLYOVER_TRACE_BYTES];
static _Atomic size_t trace_bytes; /* two services may be at work */
static int64_t busy_count;         /* a failed call leaves no write: only the test can count them */

void scripted_reset(void)
{
    memset(scripted_trace, 0, sizeof scripted_trace);
    trace_bytes = 0;
    busy_count = 0;
    scripted_hook = NULL;
    scripted_token[0] = '\0';
    scripted_traceparent[0] = '\0';
}

static bool names(struct flyover_cursor input, const char *key, char letter)
{
    struct flyover_cursor value;
    struct flyover_bytes text;
    return flyover_find(&input, key, &value) && flyover_read_str(&value, &text) &&
           text.count == 1 && text.at[0] == (uint8_t)letter;
}

static int64_t number(struct flyover_cursor input, const char *key)
{
    struct flyover_cursor value;
    int64_t found = 0;
    if (flyover_find(&input, key, &value))
        (void)flyover_read_int(&value, &found);
    return found;
}

/* This is what a handler must not do; a test may, since it wants to see every call. */
static void trace(char letter)
{
    size_t at = trace_bytes++;
    if (at < sizeof scripted_trace - 1)
        scripted_trace[at] = letter;
    if (scripted_hook != NULL)
        scripted_hook(letter);
}

/* What the input says of the step. */
static enum flyover_answer answer(struct flyover_call *call, char letter)
{
    struct flyover_cursor input = flyover_call_input(call);
    if (names(input, "refuse", letter))
        return flyover_refused(call, "Test.Refused", "step %c was told to refuse", letter);
    if (names(input, "always_busy", letter))
        return flyover_retry(call, "Test.Busy", "step %c is always busy", letter);
    if (names(input, "busy", letter) && busy_count++ < number(input, "times"))
        return flyover_retry(call, "Test.Busy", "step %c is busy", letter);
    if (names(input, "garbage", letter))
        return flyover_done_with(call, "\xc1", 1);
    char output[] = {(char)0x81, (char)0xa1, 'o', (char)0xa1, letter};
    return flyover_done_with(call, output, sizeof output);
}

static enum flyover_answer step(struct flyover_call *call, char letter)
{
    struct flyover_bytes key = {(const uint8_t *)&letter, 1};
    struct flyover_key id = flyover_call_key(call);
    struct flyover_bytes saga = {(const uint8_t *)&id.saga_id, sizeof id.saga_id};
    trace(letter);
    flyover_call_token(call, scripted_token);
    if (!flyover_call_trace(call, scripted_traceparent))
        scripted_traceparent[0] = '\0';
    if (!flyover_add(call, SCRIPTED_DONE, key, 1))
        return flyover_refused(call, "Test.Full", "no room");
    flyover_put(call, SCRIPTED_TRIES, saga, key);
    return answer(call, letter);
}

static enum flyover_answer step_plain(struct flyover_call *call, char letter)
{
    trace(letter);
    return answer(call, letter);
}

static enum flyover_answer plain_p(struct flyover_call *call)
{
    return step_plain(call, 'p');
}

static enum flyover_answer plain_q(struct flyover_call *call)
{
    return step_plain(call, 'q');
}

static enum flyover_answer undo(struct flyover_call *call, char letter)
{
    struct flyover_cursor both = flyover_call_input(call);
    struct flyover_cursor input;
    trace((char)(letter - 'a' + 'A'));
    if (!flyover_find(&both, "input", &input))
        return flyover_refused(call, "Test.NoInput", "a compensation has no input");
    if (names(input, "refuse_undo", letter))
        return flyover_refused(call, "Test.Refused", "the compensation was told to refuse");
    if (names(input, "busy_undo", letter))
        return flyover_retry(call, "Test.Busy", "the compensation is always busy");
    flyover_add(call, SCRIPTED_DONE, (struct flyover_bytes){(const uint8_t *)&letter, 1}, -1);
    return flyover_done(call);
}

#define STEP(letter)                                                                               \
    static enum flyover_answer step_##letter(struct flyover_call *call)                            \
    {                                                                                              \
        return step(call, #letter[0]);                                                             \
    }                                                                                              \
    static enum flyover_answer undo_##letter(struct flyover_call *call)                            \
    {                                                                                              \
        return undo(call, #letter[0]);                                                             \
    }
STEP(a)
STEP(b)
STEP(c)

static const struct flyover_handler handlers[] = {
    {"a", step_a},      {"b", step_b},      {"c", step_c},
    {"undo_a", undo_a}, {"undo_b", undo_b}, {"undo_c", undo_c},
};

static const struct flyover_table tables[] = {
    [SCRIPTED_DONE] = {"done", FLYOVER_COUNTERS, 16, FLYOVER_REFUSE},
    [SCRIPTED_TRIES] = {"tries", FLYOVER_VALUES, 64, FLYOVER_DROP_OLDEST},
};

const struct flyover_service scripted_service = {
    .abi = FLYOVER_ABI,
    .name = "test",
    .handlers = handlers,
    .handlers_count = sizeof handlers / sizeof handlers[0],
    .tables = tables,
    .tables_count = sizeof tables / sizeof tables[0],
};

static const struct flyover_handler plain_handlers[] = {{"p", plain_p}, {"q", plain_q}};

const struct flyover_service scripted_plain = {
    .abi = FLYOVER_ABI,
    .name = "plain",
    .handlers = plain_handlers,
    .handlers_count = sizeof plain_handlers / sizeof plain_handlers[0],
};
