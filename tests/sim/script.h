/*
 * script: a saga definition that the simulator has drawn: as a struct that the ledger walks
 * through by itself, and as the Amazon States Language text that the engine gets.
 *
 * A payload is {"n": number, "r0": .., "r1": .., "r2": .., "t": token, "pad": ..}; outputs of steps
 * are {"n": number} or nil. Next is always the following state; Choice and Catch skip ahead, so
 * that every saga ends.
 */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/chance.h"

#define SCRIPT_STATES_MAX   8
#define SCRIPT_FIELDS       3
#define SCRIPT_RULES_MAX    2
#define SCRIPT_SERVICES     3 /* the last one has no tables */
#define SCRIPT_HANDLERS     3 /* forward ones of a service; as many that undo */
#define SCRIPT_ERRORS       3 /* "X", "Y", "Z" */
#define SCRIPT_ERROR_OUTPUT 3 /* "Flyover.BadOutput" */
#define SCRIPT_TEXT_MAX     8192

enum script_kind {
    SCRIPT_TASK,
    SCRIPT_FORGET, /* fire and forget */
    SCRIPT_PASS,
    SCRIPT_CHOICE,
    SCRIPT_SUCCEED,
    SCRIPT_FAIL
};

/* Where a result goes: a field r0 .. r2, or */
enum { SCRIPT_REPLACE = -1, SCRIPT_DROP = -2 };
#define SCRIPT_NO_STATE (-1)

/* A set of errors, bit by bit; 0: States.ALL. */
struct script_retrier {
    uint8_t errors;
    uint32_t attempts_max;
    uint32_t interval_s;
    uint32_t rate_tenths;
    uint32_t delay_s_max; /* 0: none */
    bool jitter;
};

struct script_catcher {
    uint8_t errors;
    int into;
    int next;
};

struct script_retriers {
    uint32_t count;
    struct script_retrier items[SCRIPT_RULES_MAX];
};

struct script_state {
    enum script_kind kind;
    int next; /* SCRIPT_NO_STATE: the end */
    int into;
    uint32_t service, handler;
    bool compensated;
    uint32_t undo_service, undo_handler;
    struct script_retriers retriers, undo_retriers;
    uint32_t catchers_count;
    struct script_catcher catchers[SCRIPT_RULES_MAX];
    bool has_result; /* PASS */
    int32_t number;  /* PASS: its result's n; CHOICE: less than this */
    int field;       /* CHOICE: of the field r0 .. r2, or of the payload itself (-1) */
    int choice_next;
    int default_next; /* SCRIPT_NO_STATE: there is none */
};

struct script {
    char name[16];
    uint32_t count;
    struct script_state states[SCRIPT_STATES_MAX];
    char text[SCRIPT_TEXT_MAX];
    uint32_t text_bytes;
};

extern const char *const script_services[SCRIPT_SERVICES];
extern const char *const script_errors[SCRIPT_ERRORS + 1];

/* Definition number `number`; the same number drawn twice is a new version of the name. */
void script_draw(struct script *script, struct chance *chance, uint32_t number);
/* True when a set of errors holds this one. */
bool script_matches(uint8_t errors, int error);
/* The delay before retry number `retry_no` without jitter. */
int64_t script_delay_ms(const struct script_retrier *retrier, uint32_t retry_no);

#endif
