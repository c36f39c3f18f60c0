/* Who does a Task, how long it may take, what a compensation may say, and pivots: what is kept in
 * the plan, what is refused and in which words. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/saga/plan_refusal.h"

#define WITH(resource, fields)                                                                     \
    STATES("'A':{'Type':'Task','Resource':'" resource "','End':true," fields "}")
#define TOKEN(fields)         WITH("service:s.h.waitForTaskToken", fields)
#define SIGNAL(fields)        WITH("signal:paid", fields)
#define UNDO(fields)          TASK("'Compensate':{'Resource':'service:s.u'," fields "}")
#define ROOT(fields)          "{" fields ",'StartAt':'A','States':{'A':{'Type':'Succeed'}}}"
#define CAUGHT(state, fields) "'" state "':{'Type':'Task','Resource':'service:s.h'," fields "}"
#define UNDO_TO(next)                                                                              \
    "'Compensate':{'Resource':'service:s.u','Catch':["                                             \
    "{'ErrorEquals':['States.ALL'],'Next':'" next "'}]}"

static void assert_text(struct flyover_bytes bytes, const char *wanted)
{
    assert_int_equal(bytes.count, strlen(wanted));
    assert_memory_equal(bytes.at, wanted, bytes.count);
}

/* ---- Resource ------------------------------------------------------------------------------ */

static void a_resource_says_who_does_a_task(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Task','Resource':'service:s.h','Next':'B'},"
               "'B':{'Type':'Task','Resource':'service:s.h.waitForTaskToken','Next':'C'},"
               "'C':{'Type':'Task','Resource':'signal:paid.by-card_1','ResultPath':'$.p',"
               "'Next':'D'},'D':{'Type':'Task','Resource':'signal:sent','Next':'E'},"
               "'E':{'Type':'Task','Resource':'signal:paid.by-card_1','End':true}"));
    const struct plan_state *states = plan->states;
    assert_int_equal(states[0].task_kind, TASK_HANDLER);
    assert_int_equal(states[1].task_kind, TASK_TOKEN);
    assert_int_equal(states[2].task_kind, TASK_SIGNAL);
    assert_int_equal(states[0].signal, PLAN_NO_SIGNAL);
    assert_int_equal(states[1].signal, PLAN_NO_SIGNAL);

    assert_int_equal(plan->resources_count, 1);
    assert_string_equal(plan->resources[0].handler, "h");
    assert_int_equal(states[0].resource, 0);
    assert_int_equal(states[1].resource, 0);

    assert_int_equal(plan->signals_count, 2);
    assert_text(plan->signals[0], "paid.by-card_1");
    assert_text(plan->signals[1], "sent");
    assert_int_equal(states[2].signal, 0);
    assert_int_equal(states[3].signal, 1);
    assert_int_equal(states[4].signal, 0);
    assert_int_equal(states[2].resource, 0);
    assert_int_equal(states[2].result_kind, RESULT_INTO);
    assert_false(states[2].compensated);

    assert_int_equal(plan_find_signal(plan, plan_text_bytes("sent")), 1);
    assert_int_equal(plan_find_signal(plan, plan_text_bytes("paid.by-card_1")), 0);
    static const char *const unknown[] = {"", "sen", "sent!", "Sent", "paid"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(plan_find_signal(plan, plan_text_bytes(unknown[i])), PLAN_NO_SIGNAL);
    plan_free(plan);
}

static void a_plan_of_signals_alone_names_no_service(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(SIGNAL("'Comment':''"));
    assert_int_equal(plan->resources_count, 0);
    assert_int_equal(plan->signals_count, 1);
    plan_free(plan);
    plan = plan_text_compile(TASK("'Comment':''"));
    assert_int_equal(plan_find_signal(plan, plan_text_bytes("paid")), PLAN_NO_SIGNAL);
    plan_free(plan);
}

static void resources_of_no_form_are_refused(void **state)
{
    (void)state;
    static const char services[] =
        " is not of the form \"service:NAME.HANDLER\", \"service:NAME.HANDLER.waitForTaskToken\", "
        "\"signal:NAME\" or an ARN, each name 1 to 64 letters, digits, '-' or '_'";
    static const char signals[] = " is not of the form \"signal:NAME\", the name 1 to 64 letters, "
                                  "digits, '-', '_' or '.'";
    static const struct refusal refusals[] = {
        {WITH("service:s.h.waitForTasktoken", "'Comment':''"), INVALID, A "/Resource", services},
        {WITH("service:s.h.", "'Comment':''"), INVALID, A "/Resource", services},
        {WITH("service:s..waitForTaskToken", "'Comment':''"), INVALID, A "/Resource", services},
        {WITH("service:s.waitForTaskToken.", "'Comment':''"), INVALID, A "/Resource", services},
        {WITH("service:s.h.waitForTaskToken.waitForTaskToken", "'Comment':''"), INVALID,
         A "/Resource", services},
        {WITH("Signal:paid", "'Comment':''"), INVALID, A "/Resource", services},
        {WITH("signal:", "'Comment':''"), INVALID, A "/Resource", signals},
        {WITH("signal:a b", "'Comment':''"), INVALID, A "/Resource", signals},
        {WITH("signal:a/b", "'Comment':''"), INVALID, A "/Resource", signals},
        {WITH("signal:\xc3\xa4", "'Comment':''"), INVALID, A "/Resource", signals},
        {WITH("signal:01234567890123456789012345678901234567890123456789012345678901234",
              "'Comment':''"),
         INVALID, A "/Resource", signals},
    };
    CHECK_ALL(refusals);
    plan_free(plan_text_compile(WITH("service:s.waitForTaskToken", "'Comment':'a handler'")));
    plan_free(plan_text_compile(
        WITH("signal:0123456789012345678901234567890123456789012345678901234567890123",
             "'Comment':''")));
}

static void a_plan_waits_for_a_limit_of_signals(void **state)
{
    (void)state;
    for (uint32_t count = PLAN_SIGNALS_MAX; count <= PLAN_SIGNALS_MAX + 1; count++) {
        char text[8192];
        size_t bytes = (size_t)snprintf(text, sizeof text, "{'StartAt':'S0','States':{");
        for (uint32_t i = 0; i < count; i++)
            bytes += (size_t)snprintf(text + bytes, sizeof text - bytes,
                                      "'S%" PRIu32 "':{'Type':'Task','Resource':'signal:n%" PRIu32
                                      "','Next':'S%" PRIu32 "'},",
                                      i, i, i + 1);
        snprintf(text + bytes, sizeof text - bytes,
                 "'S%" PRIu32 "':{'Type':'Task','Resource':'signal:n0','End':true}}}", count);
        if (count > PLAN_SIGNALS_MAX) {
            check_refusal(&(struct refusal){text, TOO_LARGE, ": /States/S64/Resource",
                                            "is signal number 65 of this plan; at most 64 may be "
                                            "named"});
            continue;
        }
        struct plan *plan = plan_text_compile(text);
        assert_int_equal(plan->signals_count, PLAN_SIGNALS_MAX);
        assert_int_equal(plan->states[PLAN_SIGNALS_MAX].signal, 0);
        assert_int_equal(plan_find_signal(plan, plan_text_bytes("n63")), 63);
        plan_free(plan);
    }
}

static void what_a_signal_or_a_token_cannot_have_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {SIGNAL("'Compensate':{'Resource':'service:s.u'}"), INVALID, A "/Compensate",
         "a step that waits for a signal has no Compensate: nothing was done that could be "
         "compensated; leave it out"},
        {SIGNAL("'FireAndForget':true"), INVALID, A "/FireAndForget",
         "a signal is not fire-and-forget: the step does nothing but wait for it; leave "
         "FireAndForget out"},
        {SIGNAL("'HeartbeatSeconds':5"), INVALID, A "/HeartbeatSeconds",
         "nobody works on a signal, so nobody sends heartbeats; leave it out, or say in "
         "TimeoutSeconds how long to wait"},
        {TOKEN("'FireAndForget':true"), INVALID, A "/FireAndForget",
         "a step that waits for its task token is not fire-and-forget; leave it out, or "
         "\".waitForTaskToken\" in the Resource"},
    };
    CHECK_ALL(refusals);
    struct plan *plan =
        plan_text_compile(SIGNAL("'FireAndForget':false,'TimeoutSeconds':9,'Pivot':true,"
                                 "'Retry':[{'ErrorEquals':['States.Timeout']}],"
                                 "'Catch':[{'ErrorEquals':['States.ALL'],'Next':'A'}]"));
    assert_int_equal(plan->states[0].timeout_ms, 9000);
    assert_int_equal(plan->states[0].retriers_count, 1);
    assert_int_equal(plan->states[0].catchers_count, 1);
    assert_true(plan->states[0].pivot);
    assert_int_equal(plan->detached_count, 0);
    plan_free(plan);
}

/* ---- times --------------------------------------------------------------------------------- */

static void times_are_kept_in_milliseconds(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(
        "{'TimeoutSeconds':3155760000,'StartAt':'A','States':{'A':{'Type':'Task','Resource':"
        "'service:s.h.waitForTaskToken','TimeoutSeconds':3155760000,'HeartbeatSeconds':3155759999,"
        "'Compensate':{'Resource':'service:s.u','TimeoutSeconds':1},'Next':'B'},"
        "'B':{'Type':'Task','Resource':'service:s.h','FireAndForget':true,'TimeoutSeconds':2,"
        "'Next':'C'},'C':{'Type':'Task','Resource':'service:s.h.waitForTaskToken',"
        "'HeartbeatSeconds':3155760000,'End':true}}}");
    assert_int_equal(plan->timeout_ms, PLAN_WAIT_MS_MAX);
    assert_int_equal(plan->states[0].timeout_ms, PLAN_WAIT_MS_MAX);
    assert_int_equal(plan->states[0].heartbeat_ms, PLAN_WAIT_MS_MAX - 1000);
    assert_int_equal(plan->states[0].undo_timeout_ms, 1000);
    assert_int_equal(plan->states[1].timeout_ms, 2000);
    assert_int_equal(plan->states[1].undo_timeout_ms, 0);
    assert_int_equal(plan->states[2].timeout_ms, 0);
    assert_int_equal(plan->states[2].heartbeat_ms, PLAN_WAIT_MS_MAX);
    assert_int_equal(plan->detached_count, 1);
    plan_free(plan);
}

static void times_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"0",      "-1", "1.5",   "2.0",  "3155760001",
                                         "'nine'", "{}", "false", "null", "9223372036854775807"};
    static const struct {
        const char *before, *after, *at;
    } fields[] = {
        {"{'TimeoutSeconds':", ",'StartAt':'A','States':{'A':{'Type':'Succeed'}}}",
         ": /TimeoutSeconds"},
        {"{'StartAt':'A','States':{'A':{'Type':'Task','Resource':'service:s.h','End':true,"
         "'TimeoutSeconds':",
         "}}}", A "/TimeoutSeconds"},
        {"{'StartAt':'A','States':{'A':{'Type':'Task','Resource':'service:s.h.waitForTaskToken',"
         "'End':true,'HeartbeatSeconds':",
         "}}}", A "/HeartbeatSeconds"},
        {"{'StartAt':'A','States':{'A':{'Type':'Task','Resource':'service:s.h','End':true,"
         "'Compensate':{'Resource':'service:s.u','TimeoutSeconds':",
         "}}}}", A "/Compensate/TimeoutSeconds"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
            char text[512];
            snprintf(text, sizeof text, "%s%s%s", fields[i].before, values[j], fields[i].after);
            check_refusal(&(struct refusal){text, INVALID, fields[i].at,
                                            "must be a whole number from 1 to 3155760000"});
        }
    }
}

static void heartbeats_come_before_the_timeout(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {TASK("'HeartbeatSeconds':9,'TimeoutSeconds':9"), INVALID, A "/HeartbeatSeconds",
         "must be less than TimeoutSeconds, which is 9"},
        {TOKEN("'HeartbeatSeconds':9,'TimeoutSeconds':9"), INVALID, A "/HeartbeatSeconds",
         "must be less than TimeoutSeconds, which is 9"},
        {TOKEN("'TimeoutSeconds':9,'HeartbeatSeconds':10"), INVALID, A "/HeartbeatSeconds",
         "must be less than TimeoutSeconds, which is 9"},
        {TOKEN("'HeartbeatSecondsPath':'$.h'"), UNSUPPORTED, A "/HeartbeatSecondsPath",
         "not supported yet"},
        {TOKEN("'TimeoutSecondsPath':'$.t'"), UNSUPPORTED, A "/TimeoutSecondsPath",
         "not supported yet"},
        {UNDO("'TimeoutSecondsPath':'$.t'"), UNSUPPORTED, A "/Compensate/TimeoutSecondsPath",
         "not supported yet"},
        {UNDO("'HeartbeatSeconds':1"), INVALID, A "/Compensate/HeartbeatSeconds",
         "HeartbeatSeconds does not belong in a Compensate, which may have: Comment, Resource, "
         "Parameters, Retry, Catch, TimeoutSeconds"},
        {PASS("'TimeoutSeconds':1"), INVALID, A "/TimeoutSeconds",
         "TimeoutSeconds does not belong in a Pass state"},
        {TASK("'TimeoutSecond':1"), INVALID, A "/TimeoutSecond",
         "did you mean \"TimeoutSeconds\"?"},
    };
    CHECK_ALL(refusals);
    plan_free(plan_text_compile(TOKEN("'TimeoutSeconds':9,'HeartbeatSeconds':8")));
    plan_free(plan_text_compile(TASK("'HeartbeatSeconds':8")));
}

/* ---- Pivot, Compensate --------------------------------------------------------------------- */

static void a_pivot_is_kept_and_is_not_fire_and_forget(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(TASK("'Pivot':true"));
    assert_true(plan->states[0].pivot);
    plan_free(plan);
    plan = plan_text_compile(TASK("'Pivot':false,'FireAndForget':true"));
    assert_false(plan->states[0].pivot);
    plan_free(plan);
    plan = plan_text_compile(TOKEN("'Pivot':true"));
    assert_true(plan->states[0].pivot);
    plan_free(plan);
    static const struct refusal refusals[] = {
        {TASK("'Pivot':1"), INVALID, A "/Pivot", "must be true or false, not a number"},
        {TASK("'Pivot':'true'"), INVALID, A "/Pivot", "must be true or false, not a string"},
        {TASK("'FireAndForget':true,'Pivot':true"), INVALID, A "/Pivot",
         "a fire-and-forget step is no pivot: the saga never learns whether it was done; leave "
         "out one of the two"},
        {PASS("'Pivot':true"), INVALID, A "/Pivot", "Pivot does not belong in a Pass state"},
        {UNDO("'Pivot':true"), INVALID, A "/Compensate/Pivot",
         "Pivot does not belong in a Compensate"},
    };
    CHECK_ALL(refusals);
}

static void a_compensation_has_catchers_of_its_own(void **state)
{
    (void)state;
    struct plan *plan = plan_text_compile(STATES(
        "'A':{'Type':'Task','Resource':'service:s.h','Catch':[{'ErrorEquals':['X'],'Next':'B'}],"
        "'Compensate':{'Resource':'service:s.u','Catch':["
        "{'ErrorEquals':['Y','Z'],'ResultPath':'$.error','Next':'B'},"
        "{'ErrorEquals':['States.ALL'],'ResultPath':null,'Next':'C','Comment':''}]},'End':true},"
        "'B':{'Type':'Pass','End':true},'C':{'Type':'Fail'}"));
    const struct plan_state *task = &plan->states[0];
    assert_int_equal(plan->catchers_count, 3);
    assert_int_equal(task->catchers_count, 1);
    assert_int_equal(task->undo_catchers_count, 2);
    const struct plan_catcher *catchers = &plan->catchers[task->undo_catchers_first];
    assert_int_equal(catchers[0].result_kind, RESULT_INTO);
    assert_text(catchers[0].result_path.parts[0].field, "error");
    assert_int_equal(catchers[0].next, 1);
    assert_int_equal(catchers[1].result_kind, RESULT_DROPPED);
    assert_int_equal(catchers[1].next, 2);

    static const struct {
        const char *error;
        bool undo;
        int wanted; /* -1: none */
    } rows[] = {{"X", false, 0}, {"Y", false, -1}, {"Z", true, 0},
                {"X", true, 1},  {"Y", true, 0},   {"States.Runtime", true, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t first = rows[i].undo ? task->undo_catchers_first : task->catchers_first;
        uint16_t count = rows[i].undo ? task->undo_catchers_count : task->catchers_count;
        uint16_t found = plan_find_catcher(plan, first, count, plan_text_bytes(rows[i].error));
        assert_int_equal(found, rows[i].wanted < 0 ? UINT16_MAX : first + rows[i].wanted);
    }
    plan_free(plan);
}

static void what_a_compensation_cannot_say_is_refused(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {TASK("'Compensate':{'Resource':'signal:paid'}"), INVALID, A "/Compensate/Resource",
         "a compensation cannot be a signal: waiting for one undoes nothing; name a handler as "
         "\"service:NAME.HANDLER\""},
        {TASK("'Compensate':{'Resource':'service:s.u.waitForTaskToken'}"), INVALID,
         A "/Compensate/Resource",
         "a compensation cannot wait for a task token: it is done when its handler answers; leave "
         "\".waitForTaskToken\" out"},
        {UNDO("'Catch':{}"), INVALID, A "/Compensate/Catch", "must be an array, not an object"},
        {UNDO("'Catch':[{'ErrorEquals':['E']}]"), INVALID, A "/Compensate/Catch/0",
         "there is no Next, which must be here"},
        {UNDO("'Catch':[{'ErrorEquals':['E'],'Next':'X'}]"), INVALID, A "/Compensate/Catch/0/Next",
         "there is no state \"X\""},
        {UNDO("'Catch':[{'ErrorEquals':['States.ALL'],'Next':'A'},"
              "{'ErrorEquals':['E'],'Next':'A'}]"),
         INVALID, A "/Compensate/Catch/0/ErrorEquals/0", "only in the last entry"},
        {UNDO("'Catch':[{'ErrorEquals':['E'],'Next':'A','ResultPath':'$.e[0]'}]"), UNSUPPORTED,
         A "/Compensate/Catch/0/ResultPath", "cannot be put into an array"},
        {UNDO("'Catch':[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]"), TOO_LARGE,
         A "/Compensate/Catch", "has 17 entries; at most 16 are allowed"},
    };
    CHECK_ALL(refusals);
}

static void as_many_catchers_fit_as_are_allowed(void **state)
{
    (void)state;
#define ENTRY   "{'ErrorEquals':['E','F'],'Next':'B'}"
#define FOUR    ENTRY "," ENTRY "," ENTRY "," ENTRY
#define SIXTEEN FOUR "," FOUR "," FOUR "," FOUR
    struct plan *plan = plan_text_compile(
        STATES("'A':{'Type':'Task','Resource':'service:s.h','End':true,'Catch':[" SIXTEEN "],"
               "'Compensate':{'Resource':'service:s.u','Catch':[" SIXTEEN "]}},"
               "'B':{'Type':'Succeed'}"));
    assert_int_equal(plan->states[0].undo_catchers_count, PLAN_CATCHERS_MAX);
    assert_int_equal(plan->catchers_count, 2 * PLAN_CATCHERS_MAX);
    plan_free(plan);
}

static void the_order_of_compensation_says_how_many_run_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *compensation;
        uint32_t compensated, wanted;
    } rows[] = {
        {"", 5, 1},
        {"'Compensation':{'Order':'Reverse'},", 5, 1},
        {"'Compensation':{'Comment':'one by one','Order':'Reverse'},", 0, 1},
        {"'Compensation':{'Order':'Parallel'},", 0, 1},
        {"'Compensation':{'Order':'Parallel'},", 1, 1},
        {"'Compensation':{'Order':'Parallel','Comment':'all'},", 5, 5},
        {"'Compensation':{'Order':'Parallel'},", 16, 16},
        {"'Compensation':{'Order':'Parallel'},", 17, 16},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[4096];
        size_t bytes = (size_t)snprintf(text, sizeof text, "{%s'StartAt':'S0','States':{",
                                        rows[i].compensation);
        for (uint32_t j = 0; j < rows[i].compensated; j++)
            bytes +=
                (size_t)snprintf(text + bytes, sizeof text - bytes,
                                 "'S%" PRIu32 "':{'Type':'Task','Resource':'service:s.h',"
                                 "'Compensate':{'Resource':'service:s.u'},'Next':'S%" PRIu32 "'},",
                                 j, j + 1);
        snprintf(text + bytes, sizeof text - bytes,
                 "'S%" PRIu32 "':{'Type':'Task','Resource':'service:s.h','End':true}}}",
                 rows[i].compensated);
        struct plan *plan = plan_text_compile(text);
        assert_int_equal(plan->undo_branches, rows[i].wanted);
        plan_free(plan);
    }
    static const struct refusal refusals[] = {
        {ROOT("'Compensation':'Parallel'"), INVALID, ": /Compensation",
         "a Compensation must be an object, not a string"},
        {ROOT("'Compensation':{}"), INVALID, ": /Compensation",
         "there is no Order, which must be here"},
        {ROOT("'Compensation':{'Order':true}"), INVALID, ": /Compensation/Order",
         "must be a string, not true"},
        {ROOT("'Compensation':{'Order':'parallel'}"), INVALID, ": /Compensation/Order",
         "must be \"Reverse\" or \"Parallel\", not \"parallel\""},
        {ROOT("'Compensation':{'Order':'Reverse','Retry':[]}"), INVALID, ": /Compensation/Retry",
         "Retry does not belong in a Compensation, which may have: Comment, Order"},
        {ROOT("'Compensation':{'Ordre':'Reverse'}"), INVALID, ": /Compensation/Ordre",
         "a Compensation has no field \"Ordre\"; did you mean \"Order\"?"},
        {ROOT("'Compensation':{'Comment':1}"), INVALID, ": /Compensation/Comment",
         "must be a string, not a number"},
        {ROOT("'Compensations':{}"), INVALID, ": /Compensations",
         "a definition has no field \"Compensations\"; did you mean \"Compensation\"?"},
        {TASK("'Compensation':{}"), INVALID, A "/Compensation",
         "Compensation does not belong in a Task state"},
    };
    CHECK_ALL(refusals);
}

/* ---- ways ---------------------------------------------------------------------------------- */

static void ways_out_of_a_compensation_may_meet_the_way_forward(void **state)
{
    (void)state;
    static const char *const texts[] = {
        /* Reached by that Catch alone; its own end. */
        STATES(CAUGHT("A", "'End':true," UNDO_TO("B")) ",'B':{'Type':'Succeed'}"),
        /* A state of both ways, which is not compensated. */
        STATES(CAUGHT("A", "'Next':'B'," UNDO_TO("B")) "," CAUGHT("B", "'End':true")),
        /* A pivot and a compensated state before the one that both ways come to. */
        STATES(CAUGHT("A", "'Next':'B'," UNDO_TO("C")) "," CAUGHT(
            "B", "'Pivot':true,'Next':'C'") "," CAUGHT("C", "'FireAndForget':true,'End':true")),
        /* Round, with a way out. */
        STATES(CAUGHT("A", "'End':true," UNDO_TO("B")) "," CAUGHT(
            "B", "'Next':'B','Catch':[{'ErrorEquals':['States.ALL'],'Next':'C'}]") ",'C':{'Type':"
                                                                                   "'Fail'}"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        plan_free(plan_text_compile(texts[i]));
}

static void what_may_not_stand_on_a_way_out_of_a_compensation_is_refused(void **state)
{
    (void)state;
#define COMPENSATED "'Compensate':{'Resource':'service:s.u'}"
    static const struct refusal refusals[] = {
        {STATES(CAUGHT("A", "'End':true," UNDO_TO("B")) "," CAUGHT("B", "'End':true," COMPENSATED)),
         INVALID, ": /States/B/Compensate",
         "the Catch in the Compensate of \"A\" leads here, and a step that is part of a "
         "compensation is not compensated itself; take it out, or let that Catch lead to other "
         "states"},
        {STATES(CAUGHT("A", "'End':true," UNDO_TO("B")) "," CAUGHT("B", "'End':true,'Pivot':true")),
         INVALID, ": /States/B/Pivot",
         "the Catch in the Compensate of \"A\" leads here, and a step that is part of a "
         "compensation cannot be a pivot; take it out, or let that Catch lead to other states"},
        /* Further down the way, and named after the Compensate that it began at. */
        {STATES(CAUGHT("A", "'Next':'B'") "," CAUGHT(
             "B", "'End':true," UNDO_TO(
                      "C")) ",'C':{'Type'"
                            ":'Wait','Seconds':1,'Next':'D'},'D':{'Type':'Choice','Default':'E','"
                            "Choices':[{"
                            "'Variable':'$','IsNull':true,'Next':'F'}]},'E':{'Type':'Succeed'}"
                            "," CAUGHT("F",
                                       "'Catch':[{'ErrorEquals':['States.ALL'],'Next':'G'}],'"
                                       "Next':'E'") "," CAUGHT("G", "'Next':'E'," COMPENSATED)),
         INVALID, ": /States/G/Compensate", "the Catch in the Compensate of \"B\" leads here"},
        /* To itself. */
        {STATES(CAUGHT("A", "'End':true," UNDO_TO("A"))), INVALID, A "/Compensate",
         "the Catch in the Compensate of \"A\" leads here"},
        /* On the way forward as well. */
        {STATES(CAUGHT("A", "'Next':'B'," UNDO_TO("B")) "," CAUGHT("B", "'End':true," COMPENSATED)),
         INVALID, ": /States/B/Compensate", "the Catch in the Compensate of \"A\" leads here"},
        /* Back to the start. */
        {STATES("'A':{'Type':'Pass','Next':'B'}," CAUGHT("B", "'End':true," UNDO_TO("A"))), INVALID,
         ": /States/B/Compensate", "the Catch in the Compensate of \"B\" leads here"},
        /* No end. */
        {STATES(CAUGHT("A", "'End':true," UNDO_TO("B")) ",'B':{'Type':'Pass','Next':'C'},"
                                                        "'C':{'Type':'Pass','Next':'B'}"),
         INVALID, ": /States/B", "B -> C -> B goes round for ever"},
        /* Such a Catch is not an end of the way forward. */
        {STATES(CAUGHT("A", "'Next':'A'," UNDO_TO("B")) ",'B':{'Type':'Succeed'}"), INVALID, A,
         "A -> A goes round for ever"},
        /* What only an unreachable Compensate leads to is not reached. */
        {STATES("'A':{'Type':'Succeed'}," CAUGHT("B", "'End':true," UNDO_TO("C")) ",'C':{'Type':"
                                                                                  "'Succeed'}"),
         INVALID, ": /States/B", "no way leads here from StartAt"},
    };
    CHECK_ALL(refusals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resource_says_who_does_a_task),
        cmocka_unit_test(a_plan_of_signals_alone_names_no_service),
        cmocka_unit_test(resources_of_no_form_are_refused),
        cmocka_unit_test(a_plan_waits_for_a_limit_of_signals),
        cmocka_unit_test(what_a_signal_or_a_token_cannot_have_is_refused),
        cmocka_unit_test(times_are_kept_in_milliseconds),
        cmocka_unit_test(times_that_are_none_are_refused),
        cmocka_unit_test(heartbeats_come_before_the_timeout),
        cmocka_unit_test(a_pivot_is_kept_and_is_not_fire_and_forget),
        cmocka_unit_test(a_compensation_has_catchers_of_its_own),
        cmocka_unit_test(what_a_compensation_cannot_say_is_refused),
        cmocka_unit_test(as_many_catchers_fit_as_are_allowed),
        cmocka_unit_test(the_order_of_compensation_says_how_many_run_at_once),
        cmocka_unit_test(ways_out_of_a_compensation_may_meet_the_way_forward),
        cmocka_unit_test(what_may_not_stand_on_a_way_out_of_a_compensation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
