#include "engine/saga/transition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    enum phase phase;
    enum trigger trigger;
    enum phase next;
    enum effect_kind effect;
};

static const struct row rows[] = {
#define X(phase, trigger, next, effect)                                                            \
    {PHASE_##phase, TRIGGER_##trigger, PHASE_##next, EFFECT_##effect},
    TRANSITION_LIST(X)
#undef X
};
#define ROWS_COUNT (sizeof rows / sizeof rows[0])

static const char *const phase_names[] = {
#define X(name, text) #name,
    PHASE_LIST(X)
#undef X
};

static bool passes(enum phase phase)
{
    return phase == PHASE_READY || phase == PHASE_UNDOING;
}

static bool is_row(enum phase phase, enum trigger trigger)
{
    return transitions[phase][trigger].next != PHASE_FREE;
}

/* What the core decides by itself, and only while it passes through a phase. */
static bool is_inner(enum trigger trigger)
{
    return trigger == TRIGGER_TASK || trigger == TRIGGER_DETACH || trigger == TRIGGER_SLEEP ||
           trigger == TRIGGER_END || trigger == TRIGGER_LEAVE || trigger == TRIGGER_HANDLED;
}

/* What comes of an event, and never while the branch passes through a phase. */
static bool is_outer(enum trigger trigger)
{
    return trigger == TRIGGER_RESULT || trigger == TRIGGER_SIGNAL || trigger == TRIGGER_RETRY ||
           trigger == TRIGGER_CAUGHT || trigger == TRIGGER_TIMER || trigger == TRIGGER_MEND;
}

static bool is_stuck(enum phase phase)
{
    return phase == PHASE_STUCK || phase == PHASE_STUCK_FORWARD;
}

static void the_table_is_the_list_and_empty_elsewhere(void **state)
{
    (void)state;
    for (int phase = 0; phase < PHASES_COUNT; phase++)
        for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++) {
            struct transition cell = transitions[phase][trigger];
            size_t listed_count = 0;
            for (size_t i = 0; i < ROWS_COUNT; i++) {
                if ((int)rows[i].phase != phase || (int)rows[i].trigger != trigger)
                    continue;
                listed_count++;
                assert_int_equal(cell.next, rows[i].next);
                assert_int_equal(cell.effect, rows[i].effect);
            }
            assert_in_range(listed_count, 0, 1);
            if (listed_count == 0) {
                assert_int_equal(cell.next, PHASE_FREE);
                assert_int_equal(cell.effect, EFFECT_NONE);
            }
        }
}

static void a_free_or_ended_branch_moves_no_more_and_a_stuck_one_only_by_hand(void **state)
{
    (void)state;
    static const enum phase still[] = {PHASE_FREE, PHASE_ENDED, PHASE_STUCK, PHASE_STUCK_FORWARD};
    for (size_t i = 0; i < sizeof still / sizeof still[0]; i++)
        for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++)
            assert_int_equal(is_row(still[i], (enum trigger)trigger),
                             trigger == TRIGGER_MEND && is_stuck(still[i]));
}

/* But for a pause between two compensations, which an abort ends. */
static void mending_takes_a_stuck_branch_back_to_where_it_was_parked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        if (rows[i].trigger == TRIGGER_MEND) {
            bool forward = rows[i].phase == PHASE_STUCK_FORWARD;
            assert_true(is_stuck(rows[i].phase) || rows[i].phase == PHASE_UNDO_BACKOFF);
            assert_int_equal(rows[i].next, forward ? PHASE_READY : PHASE_UNDOING);
        }
        /* No branch that compensates is parked as going forward, and none that goes forward as
         * compensating. */
        bool undoing = rows[i].phase == PHASE_UNDOING || rows[i].phase == PHASE_UNDO_WAITING;
        if (is_stuck(rows[i].next))
            assert_int_equal(rows[i].next == PHASE_STUCK, undoing);
    }
}

static void no_row_goes_back_to_free(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++)
        assert_int_not_equal(rows[i].next, PHASE_FREE);
}

static void a_phase_that_is_passed_through_waits_for_nothing_from_outside(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        if (passes(rows[i].phase))
            assert_false(is_outer(rows[i].trigger));
        else
            assert_false(is_inner(rows[i].trigger));
    }
}

static void who_asks_for_an_invocation_waits_for_every_answer(void **state)
{
    (void)state;
    for (int phase = 0; phase < PHASES_COUNT; phase++) {
        bool entered_by_invoke = false, entered_otherwise = false;
        for (size_t i = 0; i < ROWS_COUNT; i++)
            if ((int)rows[i].next == phase) {
                entered_by_invoke |= rows[i].effect == EFFECT_INVOKE;
                entered_otherwise |= rows[i].effect != EFFECT_INVOKE;
            }
        assert_false(entered_by_invoke && entered_otherwise);
        assert_int_equal(entered_by_invoke, is_row((enum phase)phase, TRIGGER_RESULT));
        assert_int_equal(entered_by_invoke || phase == PHASE_AWAITING,
                         is_row((enum phase)phase, TRIGGER_RETRY));
        if (entered_by_invoke)
            assert_true(is_row((enum phase)phase, TRIGGER_FAIL));
    }
}

/* An answer from outside is waited for with a timer and without an invocation. */
static void who_awaits_an_answer_from_outside_can_do_all_that_a_handler_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        if (rows[i].next == PHASE_AWAITING) {
            assert_int_equal(rows[i].trigger, TRIGGER_AWAIT);
            assert_int_equal(rows[i].effect, EFFECT_TIMER);
        }
        assert_int_equal(rows[i].trigger == TRIGGER_AWAIT, rows[i].next == PHASE_AWAITING);
        assert_int_equal(rows[i].trigger == TRIGGER_SIGNAL, rows[i].phase == PHASE_AWAITING &&
                                                                rows[i].next == PHASE_READY &&
                                                                rows[i].trigger != TRIGGER_CAUGHT);
    }
    for (int trigger = 0; trigger < TRIGGERS_COUNT; trigger++) {
        enum trigger as_handler = trigger == TRIGGER_RESULT  ? TRIGGER_SIGNAL
                                  : trigger == TRIGGER_AWAIT ? TRIGGER_TIMER
                                                             : (enum trigger)trigger;
        if (trigger != TRIGGER_SIGNAL && trigger != TRIGGER_TIMER)
            assert_int_equal(transitions[PHASE_WAITING][trigger].next == PHASE_AWAITING
                                 ? PHASE_FREE
                                 : transitions[PHASE_WAITING][trigger].next,
                             transitions[PHASE_AWAITING][as_handler].next);
    }
}

static void who_asks_for_a_timer_waits_for_it_and_else_only_for_what_ends_the_pause(void **state)
{
    (void)state;
    for (int phase = 0; phase < PHASES_COUNT; phase++) {
        bool entered_by_timer = false;
        for (size_t i = 0; i < ROWS_COUNT; i++)
            if ((int)rows[i].next == phase)
                entered_by_timer |= rows[i].effect == EFFECT_TIMER;
        /* The timer of an answer that is awaited is its deadline, an error like another. */
        if (phase == PHASE_AWAITING) {
            assert_true(entered_by_timer && !is_row(PHASE_AWAITING, TRIGGER_TIMER));
            continue;
        }
        assert_int_equal(entered_by_timer, is_row((enum phase)phase, TRIGGER_TIMER));
        for (int trigger = 0; entered_by_timer && trigger < TRIGGERS_COUNT; trigger++) {
            bool cancelled =
                (trigger == TRIGGER_FAIL && (phase == PHASE_BACKOFF || phase == PHASE_SLEEPING)) ||
                (trigger == TRIGGER_MEND && phase == PHASE_UNDO_BACKOFF);
            bool awaits = trigger == TRIGGER_AWAIT && phase == PHASE_BACKOFF;
            assert_int_equal(is_row((enum phase)phase, (enum trigger)trigger),
                             trigger == TRIGGER_TIMER || cancelled || awaits);
        }
    }
}

static void a_retry_comes_back_to_where_it_was(void **state)
{
    (void)state;
    for (int phase = 0; phase < PHASES_COUNT; phase++) {
        if (!is_row((enum phase)phase, TRIGGER_RETRY))
            continue;
        bool awaits = phase == PHASE_AWAITING;
        struct transition away = transitions[phase][TRIGGER_RETRY];
        assert_int_equal(away.effect, EFFECT_TIMER);
        struct transition back = transitions[away.next][awaits ? TRIGGER_AWAIT : TRIGGER_TIMER];
        assert_int_equal(back.next, phase);
        assert_int_equal(back.effect, awaits ? EFFECT_TIMER : EFFECT_INVOKE);
    }
}

/* Every row that has the effect that its phase and trigger call for, and no other has one. */
static void an_effect_belongs_to_where_a_branch_comes_to_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        assert_int_not_equal(rows[i].effect, EFFECT_DEADLINE);
        if (passes(rows[i].next))
            assert_int_equal(rows[i].effect, EFFECT_NONE);
        else if (rows[i].next != PHASE_ENDED)
            assert_int_not_equal(rows[i].effect, EFFECT_NONE);
    }
}

/* A detached branch ends beside the saga, which has told its outcome or will; so does one that
 * leaves while others compensate. */
static void whoever_decides_the_saga_replies_and_nobody_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        bool beside = rows[i].phase == PHASE_DETACHED || rows[i].trigger == TRIGGER_LEAVE;
        bool decides = (rows[i].next == PHASE_ENDED && !beside) || is_stuck(rows[i].next);
        assert_int_equal(rows[i].effect == EFFECT_REPLY, decides);
        if (rows[i].trigger == TRIGGER_LEAVE)
            assert_true(rows[i].phase == PHASE_UNDOING && rows[i].next == PHASE_ENDED);
    }
}

/* The phases that can be come to from `from`, itself included, without the row of this phase and
 * trigger (FREE has none: with all of them). */
static void reach(enum phase from, enum phase without, enum trigger trigger,
                  bool seen[PHASES_COUNT])
{
    memset(seen, 0, PHASES_COUNT * sizeof *seen);
    seen[from] = true;
    for (int turn = 0; turn < PHASES_COUNT; turn++)
        for (size_t i = 0; i < ROWS_COUNT; i++)
            if (seen[rows[i].phase] && !(rows[i].phase == without && rows[i].trigger == trigger))
                seen[rows[i].next] = true;
}

static void every_phase_is_reached_and_leads_to_an_end(void **state)
{
    (void)state;
    bool seen[PHASES_COUNT];
    reach(PHASE_READY, PHASE_FREE, TRIGGER_END, seen);
    for (int phase = 0; phase < PHASES_COUNT; phase++)
        assert_int_equal(seen[phase], phase != PHASE_FREE);
    for (int phase = 0; phase < PHASES_COUNT; phase++) {
        if (phase == PHASE_FREE)
            continue;
        reach((enum phase)phase, PHASE_FREE, TRIGGER_END, seen);
        assert_true(seen[PHASE_ENDED]);
    }
}

/* But for the way that the Catch of a compensation names, which comes back when it is at its end.
 */
static void there_is_no_way_from_compensating_back_to_going_on(void **state)
{
    (void)state;
    static const enum phase forward[] = {PHASE_READY,         PHASE_WAITING,         PHASE_BACKOFF,
                                         PHASE_SLEEPING,      PHASE_AWAITING,        PHASE_DETACHED,
                                         PHASE_STUCK_FORWARD, PHASE_DETACHED_BACKOFF};
    bool seen[PHASES_COUNT];
    reach(PHASE_UNDOING, PHASE_UNDO_WAITING, TRIGGER_CAUGHT, seen);
    for (size_t i = 0; i < sizeof forward / sizeof forward[0]; i++)
        assert_false(seen[forward[i]]);
    assert_int_equal(transitions[PHASE_UNDO_WAITING][TRIGGER_CAUGHT].next, PHASE_READY);
    assert_int_equal(transitions[PHASE_READY][TRIGGER_HANDLED].next, PHASE_UNDOING);
    for (size_t i = 0; i < ROWS_COUNT; i++)
        if (rows[i].trigger == TRIGGER_HANDLED)
            assert_int_equal(rows[i].phase, PHASE_READY);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part))
        count++;
    return count;
}

static void the_diagram_has_every_row_once_and_nothing_else(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    transition_print_diagram(out);
    fclose(out);
    assert_int_equal(strncmp(text, "stateDiagram-v2\n", 16), 0);
    assert_int_equal(count_of(text, "    [*] --> READY: saga started\n"), 1);
    assert_int_equal(count_of(text, "    ENDED --> [*]\n"), 1);
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        char line[200];
        bool silent = rows[i].effect == EFFECT_NONE;
        snprintf(line, sizeof line, "    %s --> %s: %s%s%s\n", phase_names[rows[i].phase],
                 phase_names[rows[i].next], trigger_text(rows[i].trigger), silent ? "" : " / ",
                 effect_text(rows[i].effect));
        assert_int_equal(count_of(text, line), 1);
    }
    assert_int_equal(count_of(text, "\n"), ROWS_COUNT + 3);
    assert_int_equal(count_of(text, "FREE"), 0);
    free(text);
}

static void every_word_of_the_table_is_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < PHASES_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(phase_text((enum phase)a), phase_text((enum phase)b));
    for (int a = 0; a < TRIGGERS_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(trigger_text((enum trigger)a), trigger_text((enum trigger)b));
    assert_string_equal(effect_text(EFFECT_NONE), "");
    assert_string_equal(effect_text(EFFECT_REPLY), "reply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_list_and_empty_elsewhere),
        cmocka_unit_test(a_free_or_ended_branch_moves_no_more_and_a_stuck_one_only_by_hand),
        cmocka_unit_test(mending_takes_a_stuck_branch_back_to_where_it_was_parked),
        cmocka_unit_test(no_row_goes_back_to_free),
        cmocka_unit_test(a_phase_that_is_passed_through_waits_for_nothing_from_outside),
        cmocka_unit_test(who_asks_for_an_invocation_waits_for_every_answer),
        cmocka_unit_test(who_awaits_an_answer_from_outside_can_do_all_that_a_handler_answers),
        cmocka_unit_test(who_asks_for_a_timer_waits_for_it_and_else_only_for_what_ends_the_pause),
        cmocka_unit_test(an_effect_belongs_to_where_a_branch_comes_to_rest),
        cmocka_unit_test(a_retry_comes_back_to_where_it_was),
        cmocka_unit_test(whoever_decides_the_saga_replies_and_nobody_else),
        cmocka_unit_test(every_phase_is_reached_and_leads_to_an_end),
        cmocka_unit_test(there_is_no_way_from_compensating_back_to_going_on),
        cmocka_unit_test(the_diagram_has_every_row_once_and_nothing_else),
        cmocka_unit_test(every_word_of_the_table_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
