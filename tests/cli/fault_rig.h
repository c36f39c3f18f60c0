/*
 * fault_rig: runs of `flyover` and of fault_run on a disk that fails as told (tests/cli/faults.c),
 * and the witness outside of that disk: what had been acknowledged must be there, once, as it was
 * said, or the start must be refused with the reason.
 *
 * Witness: of fault_run the ledger, a line an order; of flyover every watermark that it wrote,
 * which is the last block it has acknowledged.
 */
#ifndef TESTS_CLI_FAULT_RIG_H
#define TESTS_CLI_FAULT_RIG_H

#include "tests/cli/cli.h"

#define FAULT_ORDERS_COUNT 1000u
#define FAULT_EXIT         137

enum fault_subject { FAULT_ENGINE, FAULT_PROGRAM };

/* As the environment of faults.c says it; zeros: nothing happens. */
struct fault {
    const char *act;   /* NULL: none */
    const char *calls; /* NULL: all */
    const char *name;  /* NULL: all */
    uint64_t at;
    uint64_t seed;
    bool after, repeat, at_exit, lie, hold;
    const char *slow; /* NULL: nothing is */
};

/* What is run. */
struct fault_work {
    enum fault_subject subject;
    const char *durability; /* FAULT_PROGRAM; NULL: sync */
    const char *checkpoint; /* bytes for FAULT_ENGINE, MiB for FAULT_PROGRAM; NULL: none */
    bool many;              /* orders: enough for a checkpoint of FAULT_PROGRAM */
    bool trims;             /* FAULT_ENGINE: nothing of the journal is kept for history */
    const char *plant;      /* FAULT_ENGINE: the bug to have (engine/base/plant.h); NULL: none */
};

enum fault_verdict {
    FAULT_KEPT,
    FAULT_REFUSED, /* with the reason */
    FAULT_LOST,    /* something acknowledged is not there, or not as it was said: a bug */
};

/* cmocka fixtures: of the group; and of a test, which prints where it stood if it has failed. */
int fault_set_up_all(void **state);
int fault_tear_down_all(void **state);
int fault_tear_down(void **state);

/* Empties disk and witness. What follows is told as `name` and `seed` if it fails, until
 * fault_done. */
void fault_begin(const char *name, uint64_t seed);
void fault_done(void);

/* One run under the fault. *ret_count: how many calls matched, where it came to its end. */
struct cli_result fault_run(const struct fault_work *work, const struct fault *fault,
                            uint64_t *ret_count);
/* Runs undisturbed and counts the calls that match; on a disk that is then emptied. */
uint64_t fault_count(const struct fault_work *work, const char *calls, const char *name);
/* True if the fault ended it; otherwise it has ended well, which is checked. */
bool fault_has_struck(struct cli_result *result);

/* Holds what is on the disk against the witness; says what is wrong. */
enum fault_verdict fault_judge(const struct fault_work *work);
/* Runs undisturbed to the end: each order is done once, all that was acknowledged is as it was
 * said, and totals and figures are those of a run that nobody disturbed. */
void fault_finish(const struct fault_work *work);

/* The data directory on the disk, and a scratch directory beside it. */
const char *fault_data(void);
const char *fault_scratch(void);
const char *fault_orders(void);

#endif
