#include "engine/saga/transition.h"

#include <assert.h>

const struct transition transitions[PHASES_COUNT][TRIGGERS_COUNT] = {
#define X(phase, trigger, next, effect)                                                            \
    [PHASE_##phase][TRIGGER_##trigger] = {PHASE_##next, EFFECT_##effect},
    TRANSITION_LIST(X)
#undef X
};

const char *phase_text(enum phase phase)
{
    static const char *const texts[] = {
#define X(name, text) text,
        PHASE_LIST(X)
#undef X
    };
    assert(phase < PHASES_COUNT);
    return texts[phase];
}

const char *trigger_text(enum trigger trigger)
{
    static const char *const texts[] = {
#define X(name, text) text,
        TRIGGER_LIST(X)
#undef X
    };
    assert(trigger < TRIGGERS_COUNT);
    return texts[trigger];
}

const char *effect_text(enum effect_kind effect)
{
    static const char *const texts[] = {
#define X(name, text) text,
        EFFECT_LIST(X)
#undef X
    };
    assert(effect <= EFFECT_REPLY);
    return texts[effect];
}

static void print_row(FILE *out, const char *from, const char *trigger, const char *to,
                      enum effect_kind effect)
{
    fprintf(out, "    %s --> %s: %s", from, to, trigger);
    if (effect != EFFECT_NONE)
        fprintf(out, " / %s", effect_text(effect));
    fputc('\n', out);
}

void transition_print_diagram(FILE *out)
{
    fputs("stateDiagram-v2\n    [*] --> READY: saga started\n", out);
#define X(phase, trigger, next, effect)                                                            \
    print_row(out, #phase, trigger_text(TRIGGER_##trigger), #next, EFFECT_##effect);
    TRANSITION_LIST(X)
#undef X
    fputs("    ENDED --> [*]\n", out);
}
