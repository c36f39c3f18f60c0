/* Bad messages in a group of a FIFO queue, which behaves as SQS says that its own do: of a group as
 * many come at once as are asked for, none while any is in flight, each receive is counted, and
 * what would be received too often is moved away. */
#include "engine/edge/sqs_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/edge/sqs_rig.h"

#define URL           "http://127.0.0.1:4566/000000000000/orders.fifo"
#define MESSAGES      5u
#define VISIBILITY_MS 30000
#define POLL_MS       20000
#define END_MS        3600000 /* long before the queue's retention ends */

enum badness { UNREADABLE, REFUSED };

/* What is tried. */
struct trial {
    uint32_t bad; /* a bit each */
    enum badness badness;
    uint32_t receives_max;
    bool policy_known;
};

struct model_message {
    enum { QUEUED, IN_FLIGHT, DELETED, DEAD } place;
    uint32_t receives;
    int64_t visible_ms;
};

static struct trial trial;
static struct model_message model[MESSAGES];
static void *module;
static uint32_t settled, started[MESSAGES], started_count;

static bool is_bad(uint32_t index)
{
    return (trial.bad >> index & 1) != 0;
}

/* ---- the queue ---------------------------------------------------------------------------------
 */

static bool is_locked(void)
{
    bool locked = false;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        if (model[i].place == IN_FLIGHT && model[i].visible_ms <= rig.later_ms)
            model[i].place = QUEUED;
        locked |= model[i].place == IN_FLIGHT;
    }
    return locked;
}

static json_t *received(uint32_t index)
{
    const char *body = !is_bad(index)                ? "{\"bad\":false}"
                       : trial.badness == UNREADABLE ? "no json"
                                                     : "{\"bad\":true}";
    return json_pack(
        "{s:o, s:o, s:s, s:{s:s, s:o, s:o}}", "MessageId", json_sprintf("id-%u", index),
        "ReceiptHandle", json_sprintf("%u %u", index, model[index].receives), "Body", body,
        "Attributes", "MessageGroupId", "g", "MessageDeduplicationId", json_sprintf("%u", index),
        "ApproximateReceiveCount", json_sprintf("%u", model[index].receives));
}

static json_t *receive(uint32_t most)
{
    json_t *list = json_array();
    bool locked = is_locked();
    for (uint32_t i = 0; i < MESSAGES && !locked && json_array_size(list) < most; i++) {
        if (model[i].place != QUEUED)
            continue;
        bool is_moved = ++model[i].receives > trial.receives_max;
        model[i].place = is_moved ? DEAD : IN_FLIGHT;
        model[i].visible_ms = rig.later_ms + VISIBILITY_MS;
        if (!is_moved)
            json_array_append_new(list, received(i));
    }
    return list;
}

/* The message of this receipt, or NULL where it was received again since. */
static struct model_message *find(const json_t *entry)
{
    uint32_t index, receives;
    const char *receipt = json_string_value(json_object_get(entry, "ReceiptHandle"));
    assert_int_equal(sscanf(receipt, "%u %u", &index, &receives), 2);
    assert_true(index < MESSAGES);
    bool is_last = model[index].receives == receives && model[index].place == IN_FLIGHT;
    return is_last ? &model[index] : NULL;
}

/* A deletion where no visibility is said. */
static void change(const json_t *entry)
{
    struct model_message *message = find(entry);
    const json_t *visibility = json_object_get(entry, "VisibilityTimeout");
    if (!message)
        return;
    message->visible_ms = rig.later_ms + json_integer_value(visibility) * 1000;
    message->place = !visibility                          ? DELETED
                     : message->visible_ms > rig.later_ms ? IN_FLIGHT
                                                          : QUEUED;
}

/* ---- who answers -------------------------------------------------------------------------------
 */

static bool answer_batch(const char *action)
{
    int at = rig_find(action);
    size_t i;
    json_t *entry, *done = json_array();
    if (at >= 0) {
        json_array_foreach(json_object_get(rig.requests[at].json, "Entries"), i, entry)
        {
            change(entry);
            json_array_append_new(done, json_pack("{s:o}", "Id", json_sprintf("%zu", i)));
        }
        rig_answer_json((uint32_t)at, json_pack("{s:O}", "Successful", done));
    }
    json_decref(done);
    return at >= 0;
}

static bool answer_attributes(void)
{
    int at = rig_find("GetQueueAttributes");
    if (at < 0)
        return false;
    if (trial.policy_known)
        rig_answer_json((uint32_t)at,
                        json_pack("{s:{s:s, s:o}}", "Attributes", "VisibilityTimeout", "30",
                                  "RedrivePolicy",
                                  json_sprintf("{\"maxReceiveCount\":%u}", trial.receives_max)));
    else
        rig_fail((uint32_t)at, 403, "AccessDenied", false);
    return true;
}

/* The first long poll gets something; or ends without. */
static bool answer_poll(bool may_be_empty)
{
    int at = rig_find("ReceiveMessage");
    if (at < 0)
        return false;
    const json_t *most = json_object_get(rig.requests[at].json, "MaxNumberOfMessages");
    json_t *list = receive((uint32_t)json_integer_value(most));
    bool has_some = json_array_size(list) > 0;
    if (has_some || may_be_empty)
        rig_answer_json((uint32_t)at, json_pack("{s:O}", "Messages", list));
    json_decref(list);
    return has_some;
}

/* It is clear of all bad ones before it that they go. */
static void check_start(uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (is_bad(i) && model[i].place != DEAD && model[i].receives < trial.receives_max)
            fail_msg("bad %x, %u receives: message %u is started after %u of the bad one's",
                     trial.bad, trial.receives_max, index, model[i].receives);
}

static bool settle_one(void)
{
    if (settled == rig.messages_count)
        return false;
    const struct rig_message *message = &rig.messages[settled++];
    bool refused = json_is_true(json_object_get(message->input, "bad"));
    rig.room++;
    if (!refused) {
        assert_true(started_count < MESSAGES);
        started[started_count] = (uint32_t)strtoul(strchr(message->name, '/') + 1, NULL, 10);
        check_start(started[started_count++]);
    }
    edge_sqs_in.on_message_settled(module, message->handle, refused ? EDGE_REFUSED : EDGE_SETTLED,
                                   "it is bad");
    return true;
}

static bool is_over(void)
{
    for (uint32_t i = 0; i < MESSAGES; i++)
        if (model[i].place == QUEUED || model[i].place == IN_FLIGHT)
            return false;
    return true;
}

static void run(void)
{
    while (!is_over() && rig.later_ms < END_MS) {
        rig_turn(&edge_sqs_in, module);
        if (settle_one() || answer_attributes() || answer_batch("DeleteMessageBatch") ||
            answer_batch("ChangeMessageVisibilityBatch") || answer_poll(false))
            continue;
        rig.later_ms += 1000;
        while (rig.later_ms % POLL_MS == 0 && rig_find("ReceiveMessage") >= 0)
            answer_poll(true);
    }
}

/* ---- trials ------------------------------------------------------------------------------------
 */

/* Each good one is started once, in their order, and the bad ones are moved away. */
static void check(void)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        bool is_well = model[i].place == (is_bad(i) ? DEAD : DELETED) &&
                       (is_bad(i) || (next < started_count && started[next] == i));
        if (!is_well)
            fail_msg("bad %x, %s, %u receives, policy %s: message %u is at %d; %u were started",
                     trial.bad, trial.badness == UNREADABLE ? "unreadable" : "refused",
                     trial.receives_max, trial.policy_known ? "known" : "unknown", i,
                     (int)model[i].place, started_count);
        next += !is_bad(i);
    }
    assert_int_equal(next, started_count);
}

static void try_one(void)
{
    rig_set_up(NULL);
    memset(model, 0, sizeof(model));
    settled = started_count = 0;
    module =
        rig_open(&edge_sqs_in, "{\"queues\":[{\"url\":\"" URL "\",\"definition\":\"order\"}]}");
    run();
    check();
    rig_cancel();
    edge_sqs_in.close(module);
    rig_tear_down(NULL);
}

static void try_all(bool policy_known, uint32_t receives_min)
{
    trial.policy_known = policy_known;
    for (trial.bad = 0; trial.bad < 1u << MESSAGES; trial.bad++)
        for (trial.receives_max = receives_min; trial.receives_max <= 4; trial.receives_max++)
            for (trial.badness = UNREADABLE; trial.badness <= REFUSED; trial.badness++)
                try_one();
}

static void by_a_known_policy_bad_ones_go_and_good_ones_stay_in_order(void **state)
{
    (void)state;
    try_all(true, 1);
}

/* Of a policy that allows one receive the good ones have had theirs with the first bad one. */
static void by_an_unknown_policy_bad_ones_go_and_good_ones_stay_in_order(void **state)
{
    (void)state;
    try_all(false, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_a_known_policy_bad_ones_go_and_good_ones_stay_in_order),
        cmocka_unit_test(by_an_unknown_policy_bad_ones_go_and_good_ones_stay_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
