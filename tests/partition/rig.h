/*
 * rig: an engine on a folder of its own, stepped by hand: journal and workers run inside
 * partition_poll, and the clock is the test's. What the tests of the partition share.
 */
#ifndef TESTS_PARTITION_RIG_H
#define TESTS_PARTITION_RIG_H

#include "engine/partition/partition.h"

struct rig {
    char directory[64];
    struct partition *partition; /* NULL: not open */
    uint32_t plan;               /* of the definition that rig_open was given */
};

extern int64_t rig_now_ms;

/* cmocka fixtures; *state is the rig. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Threadless, with the scripted service and few slots. */
struct partition_options rig_options(const struct rig *rig, enum durability durability);
/* Fails the test where it cannot be opened or defined; `definition` may be NULL. */
void rig_open(struct rig *rig, const struct partition_options *options, const char *definition);
/* One turn of the engine; returns how many replies it gave. */
uint32_t rig_turn(struct rig *rig);
void rig_stop(struct rig *rig, char ret_digest[PARTITION_DIGEST_BYTES]);
/* As a crash: the open block is lost, sent ones are not. */
void rig_crash(struct rig *rig);
void rig_remove_directory(const struct rig *rig);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

#endif
