/*
 * script: a saga definition that the simulator has drawn: as a struct that the ledger walks
 * through by itself, and as the Amazon States Language text that the engine gets.
 *
 * A payload is {"n": number, "r0": .., "r1": .., "r2": .., "t": token, "pad": ..}; outputs of steps
 * are {"n": number} or nil. Next is always the following state; Choice and Catch skip ahead, so
 * that every saga ends. Where a compensation has a Catch it leads to the tail of the states, in
 * which nothing is compensated and nothing is a pivot.
 */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "tests/sim/chance.h"

#define SCRIPT_STATES_MAX 8
#define SCRIPT_FIELDS     3
#define SCRIPT_RULES_MAX  2
#define SCRIPT_SERVICES   3 /* the last one has no tables */
#define SCRIPT_HANDLERS   3 /* forward ones of a service; as many that undo */
#define SCRIPT_SIGNALS    2 /* "s0", "s1" */
#define SCRIPT_TEXT_MAX   16384

/* Errors: those that a handler gives, */
#define SCRIPT_ERRORS 3 /* "X", "Y", "Z" */
/* and those that the engine finds. */
enum {
    SCRIPT_BAD_OUTPUT = SCRIPT_ERRORS, /* "Flyover.BadOutput" */
    SCRIPT_TIMEOUT,                    /* "States.Timeout" */
    SCRIPT_SILENCE,                    /* "States.HeartbeatTimeout" */
    SCRIPT_ERRORS_ALL,
    SCRIPT_TASK_FAILED, /* in a set: "States.TaskFailed" */
};

enum script_kind {
    SCRIPT_TASK,
    SCRIPT_FORGET, /* fire and forget */
    SCRIPT_TOKEN,  /* begun by a handler, ended by token */
    SCRIPT_SIGNAL,
    SCRIPT_WAIT,
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

struct script_catchers {
    uint32_t count;
    struct script_catcher items[SCRIPT_RULES_MAX];
};

struct script_state {
    enum script_kind kind;
    int next; /* SCRIPT_NO_STATE: the end */
    int into;
    uint32_t service, handler;
    uint32_t signal;
    uint32_t timeout_s, heartbeat_s; /* 0: none */
    bool pivot;
    bool compensated;
    uint32_t undo_service, undo_handler;
    uint32_t undo_timeout_s;
    struct script_retriers retriers, undo_retriers;
    struct script_catchers catchers, undo_catchers;
    bool has_result; /* PASS */
    bool by_path;    /* WAIT: as many seconds as the field says; else `number` */
    int32_t number;  /* PASS: its result's n; CHOICE: less than this; WAIT: seconds */
    int field;       /* CHOICE, WAIT: of the field r0 .. r2, or of the payload itself (-1) */
    int choice_next;
    int default_next; /* SCRIPT_NO_STATE: there is none */
};

struct script {
    char name[16];
    uint32_t count;
    uint32_t timeout_s; /* of a saga; 0: none */
    bool parallel;
    bool made;
    uint32_t forgets_count, compensated_count;
    bool has_signal[SCRIPT_SIGNALS];
    struct script_state states[SCRIPT_STATES_MAX];
    char text[SCRIPT_TEXT_MAX];
    uint32_t text_bytes;
};

/* What is drawn, and how often, in percent. */
struct script_habits {
    uint32_t timeout, wait, signal, token, pivot, parallel, undo_catch;
    bool made; /* the last service, which is never a plug-in then, is asked by templates that make
                  what it gets without them */
};

extern const char *const script_services[SCRIPT_SERVICES];
extern const char *const script_errors[SCRIPT_ERRORS_ALL];

/* Definition number `number`; the same number drawn twice is a new version of the name. */
void script_draw(struct script *script, const struct script_habits *habits, struct chance *chance,
                 uint32_t number);
/* True when a set of errors holds this one. */
bool script_matches(uint8_t errors, int error);
/* The delay before retry number `retry_no` without jitter. */
int64_t script_delay_ms(const struct script_retrier *retrier, uint32_t retry_no);

#endif
