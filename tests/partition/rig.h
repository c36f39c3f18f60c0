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
/* For partition_options.now_ns, so that it does not depend on the machine which records share a
 * block: a turn takes as long as a block waits for more. */
extern uint64_t rig_now_ns;
uint64_t rig_read_ns(void);
/* By enum partition_part: it takes no step in the turns of a threadless engine. */
extern bool rig_held[3];

/* cmocka fixtures; *state is the rig. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Threadless, with the scripted service and few slots. */
struct partition_options rig_options(const struct rig *rig, enum durability durability);
/* Fails the test where it cannot be opened or defined; `definition` may be NULL. */
void rig_open(struct rig *rig, const struct partition_options *options, const char *definition);
/* One turn of the engine; returns how many replies it gave. */
uint32_t rig_turn(struct rig *rig);
void rig_turns(struct rig *rig, uint32_t count);
void rig_stop(struct rig *rig, char ret_digest[PARTITION_DIGEST_BYTES]);
/* Turns until nothing is left to do by itself but wait. */
void rig_settle(struct rig *rig);
/* Settles, and says how many records there are since the engine was opened. */
uint64_t rig_records(struct rig *rig);
/* The newest version of the definition of that name becomes this text; returns its plan. */
uint32_t rig_define(struct rig *rig, const char *name, const char *definition);
/* A saga of rig->plan with {key: value}. STATUS_BUSY: no room now. */
NODISCARD enum status rig_try_start(struct rig *rig, uint32_t plan, const char *key,
                                    const char *value);
/* The same where there is room; returns its id. */
uint64_t rig_start(struct rig *rig, uint32_t plan, const char *key, const char *value);
/* The bytes of a text, and {key: value} of two short ones: lent until the next call. */
struct flyover_bytes rig_text(const char *text);
struct flyover_bytes rig_input(const char *key, const char *value);
struct core_totals rig_totals(const struct rig *rig);
/* How often the step of this letter was done and not undone, by the table of the service. */
int64_t rig_done(const struct rig *rig, const char *letter);
/* The digest that the journal alone gives, read from its first block. */
void rig_replay(const struct rig *rig, char ret_digest[PARTITION_DIGEST_BYTES]);
/* Stops the engine; the journal alone gives the digest that it stops with. */
void rig_assert_replay_agrees(struct rig *rig);
/* All that went wrong went wrong for this reason. */
void rig_assert_error(const struct rig *rig, const char *name);
/* Blocks of the checkpoints that are there, newest first; returns how many, `capacity` at most. */
uint32_t rig_checkpoints(const struct rig *rig, uint64_t *ret_block_nos, uint32_t capacity);
/* Makes it unreadable. */
void rig_damage_checkpoint(const struct rig *rig, uint64_t block_no);
/* As a crash: the open block is lost, sent ones are not. */
void rig_crash(struct rig *rig);
void rig_remove_directory(const struct rig *rig);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

#endif
