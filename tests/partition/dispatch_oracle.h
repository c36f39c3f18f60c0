/*
 * dispatch_oracle: what engine/partition/dispatch.h has to do, done plainly: one list of all that
 * waits, looked through from end to end for every question. It knows no rates.
 *
 * Threads: one owner. Memory: inside the struct; all zeroes is an empty one.
 */
#ifndef TESTS_PARTITION_DISPATCH_ORACLE_H
#define TESTS_PARTITION_DISPATCH_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define DISPATCH_ORACLE_BRANCHES 300u
#define DISPATCH_ORACLE_SERVICES 3u
#define DISPATCH_ORACLE_PLANS    6u
#define DISPATCH_ORACLE_NONE     UINT32_MAX

/* All that waits at a service, in the order of its coming; whose turn it is follows from when each
 * plan last came to the end of its round. */
struct dispatch_oracle_entry {
    bool waits;
    uint32_t service, plan, phase, generation;
    uint64_t pushed;
};

struct dispatch_oracle {
    struct dispatch_oracle_entry entries[DISPATCH_ORACLE_BRANCHES];
    uint64_t round_at[DISPATCH_ORACLE_SERVICES][2][DISPATCH_ORACLE_PLANS];
    uint32_t in_flight[DISPATCH_ORACLE_SERVICES];
    uint32_t in_flight_max[DISPATCH_ORACLE_SERVICES];
    uint32_t streak[DISPATCH_ORACLE_SERVICES];
    uint64_t clock;
};

/* The caller takes out what it has popped: entries[branch].waits = false. */
void dispatch_oracle_push(struct dispatch_oracle *oracle, uint32_t branch,
                          struct dispatch_oracle_entry entry);
/* The branch that goes next, or DISPATCH_ORACLE_NONE. */
uint32_t dispatch_oracle_next(const struct dispatch_oracle *oracle, uint32_t service);
void dispatch_oracle_went(struct dispatch_oracle *oracle, uint32_t branch);
uint32_t dispatch_oracle_waiting(const struct dispatch_oracle *oracle, uint32_t service);

#endif
