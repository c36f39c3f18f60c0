/*
 * oracle: a history of random sagas, written by the log and kept as a plain list beside it: short
 * ones and ones that live across many segments, with names, branches and errors.
 *
 * One a process: its parts are globals.
 */
#ifndef TESTS_HISTORY_ORACLE_H
#define TESTS_HISTORY_ORACLE_H

#include "tests/history/rig.h"

#include "engine/history/history.h"

#define SAGAS_MAX    40000u
#define BLOCKS_COUNT 900u
#define KEPT_MAX     6u /* branches and noted blocks that the oracle checks one by one */
#define PLANS_COUNT  7u
#define ERRORS_COUNT 5u

struct known {
    uint64_t saga_id;
    char name[24];
    uint64_t redrive_of;
    uint16_t plan;
    uint8_t outcome;
    uint8_t error;
    uint32_t steps_count;
    int64_t started_ms, ended_ms;
    uint64_t start_no, end_no; /* blocks; end 0: running */
    uint32_t end_index;        /* of all ends, in order */
    uint32_t blocks_count, branches_count;
    uint64_t blocks[KEPT_MAX];
    struct history_branch branches[KEPT_MAX];
    bool lives_long;
};

extern const char *const oracle_plans[PLANS_COUNT]; /* version: 1 + index % 2 */
extern const char *const oracle_errors[ERRORS_COUNT];

extern char directory[PATH_MAX];
extern struct problem problem;
extern struct history_log *writer;
extern struct history *reader;
extern struct rig_chunk chunk;
extern uint64_t block_no;             /* the last one written */
extern struct known sagas[SAGAS_MAX]; /* in the order they started */
extern uint32_t sagas_count;
extern uint32_t ended[SAGAS_MAX]; /* indexes of sagas, in the order they ended */
extern uint32_t ended_count;
extern uint32_t running[SAGAS_MAX]; /* indexes of sagas */
extern uint32_t running_count;

/* A fresh directory, a reader, no writer. */
int oracle_set_up(void **state);
int oracle_tear_down(void **state);

/* The PLAN and ERROR of that index into the chunk, where there are. */
void oracle_tell_meaning(uint32_t index);
/* Opens the writer and writes blocks_count blocks, the same ones for a seed. */
void oracle_write(uint64_t new_seed, uint32_t blocks_count);
/* One more. */
void oracle_write_block(void);

#endif
