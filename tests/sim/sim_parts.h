/*
 * sim_parts: what a life under a seed is made of. Internal to the simulator: sim.c draws and steps,
 * sim_engine.c starts, kills and inspects the engine, sim_client.c starts sagas and hears of them,
 * sim_remote.c is the worker of a remote service, sim_outside.c is who signals, answers by token,
 * cancels and mends, sim_checkpoints.c knows which checkpoints there are, damages them, and says
 * what of the journal may be given up.
 */
#ifndef TESTS_SIM_SIM_PARTS_H
#define TESTS_SIM_SIM_PARTS_H

#include "engine/partition/partition_parts.h"
#include "tests/sim/disk.h"
#include "tests/sim/ledger_ask.h"
#include "tests/sim/sim.h"
#include "tests/sim/verdict.h"

#define SCRIPTS_MAX           8u
#define STARTS_MAX            8000u
#define CHECKPOINTS_KNOWN_MAX 8u

/* What a client was told: it must stay true over every crash. */
struct told {
    uint64_t saga_id;
    enum outcome outcome;
};

/* A checkpoint that has got its name, and is not known to have gone. */
struct known_checkpoint {
    uint64_t block_no;
    bool sound; /* not damaged, and of the journal that is there */
};

/* What the remote worker was given. */
#define REMOTE_CALLS_MAX 64u
struct remote_call {
    uint64_t saga_id; /* 0: none */
    uint32_t lane, branch, generation, step_no, attempt_no;
    enum flyover_phase phase;
    bool out; /* neither answered nor given back */
    bool answered;
    struct ledger_answer answer;
};

/* How this seed behaves; all in percent of a step or of a turn. */
struct habits {
    uint32_t steps;
    uint32_t start_percent, clock_percent, crash_permille, failure_permille, stop_permille;
    uint32_t journal_percent, worker_percent, checkpoint_percent;
    uint32_t beside_percent;                 /* it works while the engine does */
    uint32_t burst_max;                      /* sagas started at once */
    uint32_t slow_percent;                   /* a service takes its time */
    uint32_t outside_percent;                /* somebody signals, answers, cancels, mends */
    uint32_t named_percent, delayed_percent; /* of the starts */
    uint32_t cancel_percent;                 /* of what comes from outside */
    uint32_t remote_percent;                 /* a remote worker works; 0: there is none */
    struct script_habits scripts;
    uint64_t checkpoint_bytes, history_bytes, history_ms;
    uint32_t checkpoint_damage_percent; /* of the starts */
    uint32_t pad_max, large_percent;    /* of the starts: with up to SIM_INPUT_MAX */
    uint32_t block_bytes;
    uint32_t damage_percent; /* of the starts: a block is damaged */
    uint32_t tick_ms;        /* how far the clock mostly goes at once */
    struct core_limits limits;
};

struct sim {
    struct chance chance;
    struct habits habits;
    struct disk disk;
    char directory[64]; /* of the watermark and the checkpoints; the journal is `disk` */
    struct ledger ledger;
    struct partition_state *shadow; /* replays every durable block */
    struct partition *partition;    /* NULL: not there, or about to start */
    struct known_checkpoint checkpoints[CHECKPOINTS_KNOWN_MAX];
    uint32_t checkpoints_count;
    uint64_t named_count; /* by this start of the engine, as far as was looked */
    const struct script *scripts[SCRIPTS_MAX];
    uint32_t scripts_count;
    uint32_t plans[SCRIPTS_MAX]; /* of this start of the engine; PARTITION_NO_PLAN: not defined */
    bool calm;                   /* nothing fails any more, nobody lags */
    bool polling;                /* the engine is at work */
    int64_t wall_ms, wall_ms_max;
    uint64_t now_ns;
    bool is_remote; /* gamma, in this start of the engine */
    struct remote_call remote_calls[REMOTE_CALLS_MAX];
    uint32_t remote_out;
    uint64_t token_last;
    uint32_t waiting_count; /* starts whose reply is still to come */
    struct told told[STARTS_MAX * 2];
    uint32_t told_count;
    uint64_t named_token[LEDGER_NAMES]; /* of the input that was given last; 0: none yet */
    uint64_t sealed_no;                 /* the last block that the engine was seen to have sealed */
    uint64_t checked_no;                /* the block after which the states were compared last */
    uint32_t checks_spared;
    uint64_t trace;
};

extern struct sim *sim; /* in work */

/* Adds to the hash of all that happens. */
void sim_trace(uint64_t what);

/* A disk_on_durable. */
void sim_engine_on_durable(const struct disk_block *block);
/* A start finds no checkpoint where the journal has lost its beginning: it has to say so, and to
 * change nothing. */
void sim_engine_expect_lost(void);
void sim_engine_open_shadow(void);
void sim_engine_start(void);
/* The machine dies: nothing more happens, except that a write under way may have reached the disk;
 * then it starts again. */
void sim_engine_crash(void);
/* The disk fails under the running engine: it goes on a while with what it knows to be durable, and
 * then dies, and starts again. */
void sim_engine_fail_disk(void);
void sim_engine_stop(void);
/* The state is what a replay gives, as far as that can be compared now: the tables are their
 * workers' while any is at work. */
void sim_engine_check(void);
/* At rest: no room is taken by what is not there any more. */
void sim_engine_check_room(void);

/* Looks whether the engine has named one since. */
void sim_checkpoints_note(void);
/* None that can be read has gone. */
void sim_checkpoints_check_kept(void);
/* Those of this block and later are of blocks that are not there any more. */
void sim_checkpoints_lose(uint64_t first_lost_no);
/* Whether there is one to start from, or the whole journal. The block of that number is damaged; 0:
 * none is. */
bool sim_checkpoints_can_start(uint64_t damaged_no);
/* The newest, or none, can be read any more: recovery has to do without. */
void sim_checkpoints_damage(void);
/* A disk_on_removal: says whether it may be. */
void sim_engine_on_removal(uint64_t first_kept_no);

#define SIM_INPUT_MAX (200u << 10)
/* All that a start of the engine writes is in one block, before anybody looks. */
#define SIM_BLOCK_BYTES_LEAST 1500u
/* False when it is refused. */
bool sim_client_start(void);
void sim_client_take_replies(void);
/* What clients were told is still so. */
void sim_client_check_told(void);
/* After a loss that was accepted: what is not so any more was told in vain. */
void sim_client_forget_lost(void);
void sim_client_draw_script(void);
void sim_client_define(uint32_t index);

/* The remote worker takes some steps, and does something with those that it has. */
void sim_remote_act(void);
/* It takes all there are, and answers. */
void sim_remote_attend(void);
/* The engine has started anew, and knows nothing of what it has. */
void sim_remote_forget(void);

/* Somebody does something to some saga. */
void sim_outside_act(void);
/* Gives every saga what it waits for from outside; false where none waits. */
bool sim_outside_attend(void);
/* The place in the journal of what the engine has just been asked; `status` is its answer. */
void sim_outside_ask(struct ledger_question *question, enum status status);

#endif
