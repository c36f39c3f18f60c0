#include "tests/saga/core_model.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/crc32c.h"

#define ANY                                                                                        \
    "'Retry':[" RETRY("'X','Y'", 2, "") "," RETRY("'Z'", 1, "") "," RETRY("'States.Timeout'", 1,   \
                                                                          "") "],"
#define WAY(to)                                                                                    \
    ",'TimeoutSeconds':10,'Retry':[" RETRY(                                                        \
        "'Busy'", 1, "") "],'Catch':[{'ErrorEquals':['X','States.Timeout'],'ResultPath':'$.e',"    \
                         "'Next':'" to "'}]"

const char *const model_definitions[MODEL_PLANS_COUNT] = {
    SAGA("'TimeoutSeconds':300,",
         UNDONE("A", "ca", "'TimeoutSeconds':20," ANY "'ResultPath':'$.a','Next':'B'"),
         STATE("Wait", "B", "'SecondsPath':'$.n','Next':'C'"),
         TOKEN("C", "ct",
               "'Compensate':{'Resource':'service:s.undo_ct','TimeoutSeconds':15,'Retry':[" RETRY(
                   "'Busy'", 2,
                   "") "]},'HeartbeatSeconds':5,'TimeoutSeconds':30," ANY
                       "'Catch':[{'ErrorEquals':['States.Timeout'],'ResultPath':'$.e','Next':'D'}],"
                       "'ResultPath':null,'Next':'D'"),
         SIGNAL("D", "go",
                "'TimeoutSeconds':60," ANY "'ResultPath':'$.d','Catch':[{'ErrorEquals':"
                "['States.Timeout'],'ResultPath':'$.e','Next':'F'}],'Next':'E'"),
         UNDONE("E", "cc", "'ResultPath':null,'End':true"), FAIL("F", "Own")),
    SAGA("'TimeoutSeconds':100,", UNDONE("A", "ca", "'ResultPath':null,'Next':'B'"),
         TASK("B", "pb", "'Pivot':true," ANY "'ResultPath':null,'Next':'C'"),
         TASK("C", "b", "'TimeoutSeconds':20," ANY "'ResultPath':'$.r','Next':'D'"),
         STATE("Choice", "D",
               "'Choices':[{'Variable':'$.r','NumericLessThan':3,'Next':'C'},"
               "{'Variable':'$.r','NumericLessThan':9,'Next':'E'}]"),
         SIGNAL("E", "x", "'TimeoutSeconds':90,'ResultPath':null,'Next':'G'"),
         TASK("G", "f", "'FireAndForget':true,'TimeoutSeconds':9," ANY "'End':true")),
    SAGA(PARALLEL "'TimeoutSeconds':200,",
         TASK("A", "fa", "'FireAndForget':true," ANY "'Next':'B'"),
         UNDONE("B", "cb", ANY "'ResultPath':'$.b','Next':'C'"),
         UNDONE_BY("C", "cc", WAY("W"), "'ResultPath':null,'Next':'D'"),
         STATE("Choice", "D",
               "'Choices':[{'Variable':'$.b','NumericLessThan':4,'Next':'B'}],'Default':'E'"),
         TASK("E", "b", "'ResultPath':null,'End':true"), TASK("W", "w", ANY "'End':true")),
    STATES(SIGNAL("A", "go", "'ResultPath':null,'Next':'B'"),
           UNDONE("B", "ca", "'ResultPath':null,'Next':'C'"),
           TOKEN("C", "pt", "'Pivot':true,'TimeoutSeconds':25," ANY "'Next':'D'"),
           STATE("Wait", "D", "'Seconds':3,'Next':'E'"),
           TASK("E", "b", "'Catch':[{'ErrorEquals':['X'],'Next':'G'}],'End':true"), SUCCEED("G")),
    STATES(UNDONE_BY("A", "ca", WAY("V"), "'ResultPath':null,'Next':'B'"),
           UNDONE_BY("B", "cb", WAY("W"), "'ResultPath':null,'Next':'C'"),
           TASK("C", "b", ANY "'Next':'F'"), FAIL("F", "Own"),
           TOKEN("V", "wt", "'TimeoutSeconds':40,'Next':'W'"),
           SIGNAL("W", "x", "'TimeoutSeconds':50," ANY "'End':true")),
    SAGA(PARALLEL, UNDONE_BY("A", "ca", WAY("W"), "'ResultPath':null,'Next':'B'"),
         UNDONE_BY("B", "cb", WAY("W"), "'ResultPath':null,'Next':'C'"),
         UNDONE_BY("C", "cc", WAY("W"), "'ResultPath':null,'Next':'D'"),
         SIGNAL("D", "go", "'TimeoutSeconds':30,'End':true"),
         STATE("Wait", "W", "'Seconds':5,'Next':'V'"), TASK("V", "w", ANY "'End':true")),
};
static uint32_t crc_of(struct flyover_bytes bytes)
{
    return bytes.count == 0 ? 0 : crc32c(0, bytes.at, bytes.count);
}

/* ---- invocations -----------------------------------------------------------------------------
 */

static void on_forward(struct model *model, const char *handler, struct core_invocation call)
{
    switch (handler[0]) {
    case 'f': break;
    case 'w': assert_true(model->undoing && !model->aborted); break;
    default: assert_false(model->undoing || model->told || model->aborted); break;
    }
    /* A key is one step's, whatever happens. */
    assert_in_range(call.step_no, 1, MODEL_STEPS_MAX - 1);
    char *known = model->handlers[call.step_no];
    if (known[0] == '\0')
        snprintf(known, sizeof model->handlers[0], "%s", handler);
    assert_string_equal(known, handler);
}

static struct model_step *find_step(struct model *model, uint32_t step_no)
{
    for (uint32_t i = 0; i < model->steps_count; i++)
        if (model->steps[i].step_no == step_no && model->steps[i].status != MODEL_GONE)
            return &model->steps[i];
    return NULL;
}

static void on_compensation(struct model *model, const char *handler, struct core_invocation call,
                            uint32_t branch)
{
    assert_false(model->pivoted || model->aborted || model->ended);
    model->undoing = true;
    struct model_step *step = find_step(model, call.step_no);
    assert_non_null(step);
    assert_string_equal(handler + strlen("undo_"), step->handler);
    assert_int_equal(crc_of(call.input), step->input_crc);
    assert_int_equal(crc_of(call.output), step->output_crc);
    if (step->status == MODEL_HAND) {
        assert_int_equal(step->branch, branch);
        return;
    }
    if (step->status == MODEL_DONE)
        for (const struct model_step *later = step + 1; later < model->steps + model->steps_count;
             later++)
            assert_int_not_equal(later->status, MODEL_DONE);
    else
        assert_int_equal(step->status, MODEL_FAILED);
    uint32_t in_hand = 1;
    for (uint32_t i = 0; i < model->steps_count; i++) {
        struct model_step *other = &model->steps[i];
        if (other == step)
            continue;
        /* Who takes up a compensation has come to the end of the way it was on. */
        if (other->status == MODEL_WAY && other->branch == branch)
            other->status = MODEL_GONE;
        in_hand += other->status == MODEL_HAND || other->status == MODEL_WAY ||
                   other->status == MODEL_FAILED;
    }
    assert_in_range(in_hand, 1, model->undo_branches);
    step->status = MODEL_HAND;
    step->branch = branch;
}

void model_on_invoke(struct model *model, const struct rig *rig, struct effect invoke)
{
    struct core_invocation call = rig_call(rig, invoke);
    const char *handler = rig_handler(rig, invoke);
    if (call.phase == FLYOVER_FORWARD)
        on_forward(model, handler, call);
    else
        on_compensation(model, handler, call, invoke.branch);
}

/* ---- answers ---------------------------------------------------------------------------------
 */

void model_on_result(struct model *model, const char *handler, struct core_invocation call,
                     struct flyover_bytes output, bool by_token)
{
    if (call.phase == FLYOVER_COMPENSATION) {
        struct model_step *step = find_step(model, call.step_no);
        assert_true(step != NULL && step->status == MODEL_HAND);
        step->status = MODEL_GONE;
        model->undone_count++;
        return;
    }
    bool told = model->told || model->aborted;
    bool begun_only = handler[1] == 't' && !by_token;
    if (handler[0] == 'p' && !begun_only) {
        model->pivoted = true;
        model->told = false;
        model->steps_count = 0;
    }
    if (handler[0] != 'c' || model->pivoted || (begun_only && !told))
        return;
    assert_in_range(model->steps_count, 0, MODEL_STEPS_MAX - 1);
    struct model_step *step = &model->steps[model->steps_count++];
    *step = (struct model_step){
        .step_no = call.step_no, .input_crc = crc_of(call.input), .output_crc = crc_of(output)};
    snprintf(step->handler, sizeof step->handler, "%s", handler);
}

void model_on_cancel(struct model *model, bool abort)
{
    assert_false(model->ended || model->stuck);
    if (abort)
        model->aborted = true;
    else
        model->told = true;
}

void model_on_mend(struct model *model, enum mend_action action)
{
    assert_true(model->stuck && !model->ended);
    model->stuck = false;
    for (uint32_t i = 0; i < model->steps_count; i++) {
        enum model_status *status = &model->steps[i].status;
        if ((*status == MODEL_FAILED && action != MEND_RETRY) ||
            (*status == MODEL_DONE && action == MEND_RESOLVE))
            *status = MODEL_GONE;
    }
}

/* A compensation that was not answered well is tried again, or failed, or goes another way. */
static enum model_status look_at(const struct rig *rig, const struct model_step *step,
                                 uint64_t saga_id, bool answered)
{
    struct core_branch_view view;
    bool there = core_view_branch(rig->core, step->branch, &view) && view.saga_id == saga_id;
    if (there && view.phase == PHASE_STUCK && (step->status == MODEL_WAY || answered))
        return MODEL_FAILED;
    if (step->status == MODEL_HAND && answered &&
        !(there && view.step_no == step->step_no &&
          (view.phase == PHASE_UNDO_BACKOFF || view.phase == PHASE_UNDO_WAITING)))
        return MODEL_WAY;
    return step->status;
}

void model_look(struct model *model, const struct rig *rig, uint64_t saga_id, uint32_t branch)
{
    for (uint32_t i = 0; i < model->steps_count; i++) {
        struct model_step *step = &model->steps[i];
        if (step->status == MODEL_HAND || step->status == MODEL_WAY)
            step->status = look_at(rig, step, saga_id, step->branch == branch);
    }
}

/* ---- the end ---------------------------------------------------------------------------------
 */

/* Nothing of what was done is left as it was, but what went another way or was left by hand. */
static void check_undone(const struct model *model)
{
    assert_true(model->undoing && model->steps_count > 0);
    for (uint32_t i = 0; i < model->steps_count; i++)
        assert_true(model->steps[i].status == MODEL_GONE || model->steps[i].status == MODEL_WAY);
}

void model_on_reply(struct model *model, struct effect reply)
{
    assert_false(model->ended);
    assert_int_equal(reply.token, model->replied ? 0 : RIG_TOKEN);
    model->replied = true;
    if (reply.outcome == OUTCOME_STUCK) {
        model->stuck = true;
        return;
    }
    model->ended = true;
    switch ((enum outcome)reply.outcome) {
    case OUTCOME_SUCCEEDED: assert_false(model->undoing || model->told || model->aborted); break;
    case OUTCOME_COMPENSATED:
        assert_false(model->aborted || model->pivoted);
        check_undone(model);
        break;
    case OUTCOME_FAILED:
        assert_false(model->aborted || model->pivoted || model->undoing);
        assert_int_equal(model->steps_count, 0);
        break;
    case OUTCOME_ABORTED: assert_true(model->aborted); break;
    case OUTCOME_RUNNING:
    case OUTCOME_STUCK: fail_msg("no outcome of a saga that has ended");
    }
}

/* ---- moves -----------------------------------------------------------------------------------
 */

static bool passes(enum phase phase)
{
    return phase == PHASE_READY || phase == PHASE_UNDOING;
}

/* Whether a branch may come to rest there when it comes through `phase` (a fork is another branch).
 */
static bool leads_to(enum phase phase, enum phase rest)
{
    if (!passes(phase))
        return phase == rest;
    for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++) {
        enum phase next = (enum phase)transitions[phase][trigger].next;
        if (next != PHASE_FREE && trigger != TRIGGER_DETACH && leads_to(next, rest))
            return true;
    }
    return false;
}

/* What an event may be to a branch that rests in this phase. */
static bool may_be(enum event_kind kind, enum phase phase, enum trigger trigger)
{
    bool error = trigger == TRIGGER_RETRY || trigger == TRIGGER_CAUGHT || trigger == TRIGGER_FAIL ||
                 trigger == TRIGGER_PARK;
    bool pause = transitions[phase][TRIGGER_TIMER].next != PHASE_FREE;
    if (passes(phase) || transitions[phase][trigger].next == PHASE_FREE)
        return false;
    if (kind == EVENT_RESULT)
        return trigger == TRIGGER_RESULT || trigger == TRIGGER_SIGNAL ||
               (trigger == TRIGGER_AWAIT && phase == PHASE_WAITING);
    if (kind == EVENT_TIMER && pause)
        return trigger == TRIGGER_TIMER || trigger == TRIGGER_AWAIT;
    return error && !pause;
}

void model_on_move(struct model_moves *moves, enum phase before, enum event_kind kind,
                   enum phase after)
{
    bool allowed = false;
    for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++) {
        if (!may_be(kind, before, (enum trigger)trigger) ||
            !leads_to((enum phase)transitions[before][trigger].next, after))
            continue;
        moves->seen[before][trigger] = true;
        allowed = true;
    }
    if (!allowed)
        fail_msg("%s, %s, then %s: not in the table", phase_text(before), event_kind_text(kind),
                 phase_text(after));
}

void model_check_moves(const struct model_moves *moves)
{
    for (int phase = 0; phase < PHASES_COUNT; phase++)
        for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++) {
            bool asked_for = false;
            for (int kind = EVENT_RESULT; kind <= EVENT_TIMER; kind++)
                asked_for |=
                    may_be((enum event_kind)kind, (enum phase)phase, (enum trigger)trigger);
            if (asked_for && !moves->seen[phase][trigger])
                fail_msg("%s, %s: never seen", phase_text((enum phase)phase),
                         trigger_text((enum trigger)trigger));
        }
}
