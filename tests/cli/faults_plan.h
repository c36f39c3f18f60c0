/*
 * faults_plan: what the environment asks of the shim (tests/cli/faults.c has the list). Read once,
 * before the program's first line.
 */
#ifndef TESTS_CLI_FAULTS_PLAN_H
#define TESTS_CLI_FAULTS_PLAN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum act { ACT_NONE, ACT_LOSE, ACT_DIE, ACT_EIO, ACT_ENOSPC, ACTS_COUNT };

enum call {
    CALL_OPEN,
    CALL_WRITE,
    CALL_RESIZE,
    CALL_SYNC,
    CALL_SYNCDIR,
    CALL_RENAME,
    CALL_REMOVE,
    CALL_MKDIR,
    CALLS_COUNT
};

struct faults_plan {
    char directory[PATH_MAX];
    enum act act;
    bool calls[CALLS_COUNT];
    const char *name, *except, *count_path; /* NULL: none */
    uint64_t at;
    bool after, repeat, at_exit, lie, hold;
    uint64_t seed;
    char mirror_name[PATH_MAX];
    const char *mirror_path; /* NULL: nothing is mirrored */
    char slow_name[64];
    uint64_t slow_ms;
};

/* False where the environment asks for nothing. */
bool faults_plan_read(struct faults_plan *ret_plan);

#endif
