/*
 * edge_rig: edges of the test's own on an engine that is stepped by hand.
 *
 *   echo   a service "echo" with the handlers say, undo, ask, which answers with its input at once,
 *          or when the test says so
 *   other  the same, as another service
 *   post   brings the messages that the test brings
 */
#ifndef TESTS_EDGE_EDGE_RIG_H
#define TESTS_EDGE_EDGE_RIG_H

#include "engine/edge/edge.h"
#include "engine/edge/edge_module.h"
#include "tests/partition/rig.h"

#define ECHO_CALLS_MAX 4096u

/* Of echo and of other. */
struct echo {
    bool is_open;
    bool holds; /* calls wait for echo_answer */
    struct edge_call *calls[ECHO_CALLS_MAX];
    uint32_t calls_count;                                                /* that wait */
    uint32_t heard;                                                      /* all there were */
    char key[EDGE_KEY_BYTES], token[FLYOVER_TOKEN_BYTES + 1], trace[64]; /* of the last */
    char input[512], output[512];                                        /* as JSON */
    uint32_t attempt_no;
    int64_t deadline_ms;
    const char *fails; /* the error of all calls; NULL: none */
    bool may_retry;
    json_t *(*makes)(void); /* the output; NULL: the input */
};
extern struct echo echo, other, raw;

struct post {
    bool is_open;
    uint32_t settled, refused, given_up;
    char order[4096]; /* what handles were settled, a letter each */
    char sentence[1024];
    uint32_t drains;       /* how often drain says no before it says yes */
    const char *wants;     /* the definition whose ends it wants to hear of; NULL: none */
    bool keeps_ends;       /* until the test tells them */
    struct edge_end *ends; /* the newest first */
    uint32_t ends_count;
    char end[1024]; /* of the last, in words */
};
extern struct post post;

/* Where modules talk to the frame; of the last edges_open. */
extern struct edge_thread *edge_rig_thread;
/* Lines "level event text\n", since the set up. */
extern char edge_rig_log[16384];

struct edge_rig {
    struct rig *rig;
    struct edges *edges;
    struct reply reply; /* the last one */
    char output[512], error[128], cause[512];
    uint32_t replies;
};

/* cmocka fixtures; *state is the edge_rig. Nothing is open yet. */
int edge_rig_set_up(void **state);
int edge_rig_tear_down(void **state);
#define EDGE_TEST(name) cmocka_unit_test_setup_teardown(name, edge_rig_set_up, edge_rig_tear_down)

struct partition_options edge_rig_options(const struct edge_rig *rig);
/* Opens the engine with a definition "test" (NULL: none), and edges: "echo", "other" and "post", or
 * by this JSON. */
void edge_rig_open(struct edge_rig *rig, const char *definition);
void edge_rig_open_with(struct edge_rig *rig, const char *definition, const char *config);
void edge_rig_open_edges(struct edge_rig *rig, const struct edges_options *options,
                         const char *config);
struct edges_options edge_rig_edges_options(const struct edge_rig *rig);
NODISCARD enum status edge_rig_try(struct edge_rig *rig, const char *config,
                                   struct problem *problem);
/* As kill -9 would. */
void edge_rig_crash(struct edge_rig *rig);
void edge_rig_turn(struct edge_rig *rig);
void edge_rig_turns(struct edge_rig *rig, uint32_t count);
/* JSON as a value; valid until the next. */
struct flyover_bytes edge_rig_value(const char *json);
/* Starts with this JSON as its input; the reply will have all. */
uint64_t edge_rig_start(struct edge_rig *rig, const char *json);

/* The index-th of those that wait: done with this JSON (NULL: its input), or failed. */
void echo_answer(struct echo *module, uint32_t index, const char *json);
void echo_fail(struct echo *module, uint32_t index, bool retryable, const char *error);
/* Brings a message; the letter is its handle. */
NODISCARD enum status post_bring(const struct edge_message *message, char letter,
                                 struct problem *problem);
void post_start(const char *name, const char *json, char letter);

#endif
