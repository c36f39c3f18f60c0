/*
 * core_rig: a core driven by hand, one event at a time, the way the partition does it: an answer
 * goes in only when the core still expects it. Definitions and payloads are written as JSON with '
 * for ", so that they can be read.
 *
 * Threads: one.
 * Memory:  rig_value lends one of a few buffers, taken in turn.
 */
#ifndef TESTS_SAGA_CORE_RIG_H
#define TESTS_SAGA_CORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/saga/core.h"
#include "engine/saga/core_state.h"

#define RIG_TOKEN             77u
#define RIG_SEED              0x5eedull
#define RIG_NAMES_MAX         8u
#define RIG_NAME_RETENTION_MS 60000u

/* A definition of up to six states; it starts at A. `rest` is what else a state has. */
#define STATES(...) SAGA("", __VA_ARGS__)
/* The same with `top`, fields of the whole saga, each with a comma behind it. */
#define SAGA(top, ...)                                                                             \
    "{" top                                                                                        \
    "'StartAt':'A','States':{" STATES_PICK(__VA_ARGS__, STATES_6, STATES_5, STATES_4, STATES_3,    \
                                           STATES_2, STATES_1, 0)(__VA_ARGS__) "}}"
#define PARALLEL                                   "'Compensation':{'Order':'Parallel'},"
#define STATES_PICK(a, b, c, d, e, f, picked, ...) picked
#define STATES_1(a)                                a
#define STATES_2(a, b)                             a "," b
#define STATES_3(a, b, c)                          a "," STATES_2(b, c)
#define STATES_4(a, b, c, d)                       a "," STATES_3(b, c, d)
#define STATES_5(a, b, c, d, e)                    a "," STATES_4(b, c, d, e)
#define STATES_6(a, b, c, d, e, f)                 a "," STATES_5(b, c, d, e, f)

#define STATE(type, name, rest)   "'" name "':{'Type':'" type "'," rest "}"
#define TASK(name, handler, rest) STATE("Task", name, "'Resource':'service:s." handler "'," rest)
/* With a compensation, undo_HANDLER, which is tried three times. */
#define UNDONE(name, handler, rest)                                                                \
    TASK(name, handler,                                                                            \
         "'Compensate':{'Resource':'service:s.undo_" handler                                       \
         "','Retry':[{'ErrorEquals':['Busy'],'MaxAttempts':2,'IntervalSeconds':5}]}," rest)
#define RETRY(errors, attempts_max, rest)                                                          \
    "{'ErrorEquals':[" errors "],'MaxAttempts':" #attempts_max rest "}"
/* With a compensation, undo_HANDLER, of which `undo` says more. */
#define UNDONE_BY(name, handler, undo, rest)                                                       \
    TASK(name, handler, "'Compensate':{'Resource':'service:s.undo_" handler "'" undo "}," rest)
#define TOKEN(name, handler, rest) TASK(name, handler ".waitForTaskToken", rest)
#define SIGNAL(name, signal, rest) STATE("Task", name, "'Resource':'signal:" signal "'," rest)
#define SUCCEED(name)              "'" name "':{'Type':'Succeed'}"
#define FAIL(name, error)          STATE("Fail", name, "'Error':'" error "','Cause':'why'")

#define RIG_PLANS_MAX 64u

struct rig {
    struct core *core;
    struct effect_queue effects;
    int64_t now_ms;
    uint64_t block_no;
    uint64_t saga_id; /* of the saga started last */
    char *definitions[RIG_PLANS_MAX];
    uint32_t definitions_count;
};

void rig_open(struct rig *rig, uint32_t sagas_max, uint64_t payload_bytes_max);
void rig_close(struct rig *rig);
/* A rig of 64 sagas and 16 MiB, for cmocka's fixtures. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Compiles the definition and adds it; returns its index. */
uint32_t rig_add(struct rig *rig, const char *definition);
/* msgpack of the JSON. */
struct flyover_bytes rig_value(const char *json);
/* A msgpack string of so many bytes in all. */
struct flyover_bytes rig_large_value(uint32_t bytes);
void rig_assert_value(struct flyover_bytes value, const char *json);

/* ---- events in: false where the core does not wait for it, and nothing has changed ------------
 */

void rig_start(struct rig *rig, uint32_t plan, struct flyover_bytes input);
bool rig_result(struct rig *rig, struct effect invoke, const char *output);
bool rig_result_bytes(struct rig *rig, struct effect invoke, struct flyover_bytes output);
bool rig_error(struct rig *rig, struct effect invoke, const char *name, bool retryable);
/* When the timer is due; -1: it is void. */
int64_t rig_due_ms(const struct rig *rig, struct effect timer);
/* Moves the clock to when it is due. */
bool rig_timer(struct rig *rig, struct effect timer);
/* Applied as it is, without asking whether the core waits for it. */
enum status rig_apply(struct rig *rig, const struct event *event);
/* The same; not a bit may change by it, and nothing may be asked for. */
void rig_assert_ignored(struct rig *rig, struct event event);
/* A TIMER of the branch now; it may change nothing: nothing is due yet. */
void rig_assert_not_due(struct rig *rig, uint32_t branch);
/* Moves the clock to when the saga is out of time; false where it never is. */
bool rig_deadline(struct rig *rig, uint64_t saga_id);

/* From outside. The core is asked first, and the event goes in whatever it says: it must change
 * the state exactly when the answer was STATUS_OK, which is returned. */
enum status rig_signal(struct rig *rig, uint64_t saga_id, const char *name, const char *payload);
enum status rig_cancel(struct rig *rig, uint64_t saga_id);
enum status rig_abort(struct rig *rig, uint64_t saga_id);
enum status rig_mend(struct rig *rig, uint64_t saga_id, enum mend_action action,
                     const char *output);
/* By the token of the attempt: false where nothing waits for it. `call` is of the handler's
 * invocation. */
bool rig_answer(struct rig *rig, struct core_invocation call, const char *output);
bool rig_answer_error(struct rig *rig, struct core_invocation call, const char *name,
                      bool retryable);
bool rig_heartbeat(struct rig *rig, struct core_invocation call);
enum status rig_check_token(const struct rig *rig, struct core_invocation call,
                            uint32_t *ret_branch);

/* ---- effects out, first in, first out ---------------------------------------------------------
 */

/* The next effect invokes this handler; returns it. */
struct effect rig_invoke(struct rig *rig, const char *handler);
/* The next effect is a timer, due in so many milliseconds. */
struct effect rig_sleep(struct rig *rig, int64_t delay_ms);
/* The next effect is a timer that is void: nothing is waited for so long. */
struct effect rig_sleep_for_ever(struct rig *rig);
struct effect rig_reply(struct rig *rig, enum outcome outcome);
/* A reply nobody waits for any more. */
void rig_reply_to_nobody(struct rig *rig, enum outcome outcome);
/* The next effect is the timer of a whole saga, due in so many milliseconds. */
void rig_asks_for_deadline(struct rig *rig, int64_t delay_ms);
void rig_nothing(struct rig *rig);
/* Of an effect that invokes. */
struct core_invocation rig_call(const struct rig *rig, struct effect invoke);
const char *rig_handler(const struct rig *rig, struct effect invoke);

/* ---- what stands ------------------------------------------------------------------------------
 */

enum phase rig_phase(const struct rig *rig, uint32_t branch);
/* Writes the core into an image and goes on with what is read back. */
void rig_restart(struct rig *rig);
/* A second rig with what is read back, and plans of its own. */
void rig_open_twin(struct rig *rig, struct rig *ret_twin);
bool rig_same(struct core_digest left, struct core_digest right);
/* No saga, no branch, no remembered step, and not one payload byte is held. */
void rig_assert_empty(const struct rig *rig);
void rig_assert_error(const struct rig *rig, struct effect invoke, const char *json);
/* The errors that sagas ended with, counted under this name. */
uint64_t rig_errors_count(const struct rig *rig, const char *name);

#endif
