/*
 * edge_parts: what the frame of the edges is made of. Internal to engine/edge/edge*.c and its
 * tests.
 *
 *   edge.c         the engine's side: handing out, answers, messages, figures
 *   edge_open.c    opening and closing, lanes, modules
 *   edge_id.c      DIR/edge-id
 *   edge_thread.c  the edge thread, and what modules may call
 *   edge_answer.c  answers and messages as they cross: json to msgpack
 *   edge_kinds.c   which modules there are
 *   edge_ends.c    ends of sagas, on both sides
 *   edge_value.c   msgpack to json
 *   edge_config.c  the file
 *
 *     orders: engine ──► thread   a call; a message is settled; a saga has ended
 *     news:   thread ──► engine   an answer; a message
 *     lines:  thread ──► engine   for the log
 *
 * The rings hold pointers. `orders` and `news` have room for all calls and messages there can be,
 * so that neither side ever waits for the other; of lines those that find no room are counted.
 *
 * Who owns what: a flight (a call that is out) is the engine's, which lends it to the thread
 * between order and news; a letter (a message) is the thread's, lent to the engine between news and
 * order.
 */
#ifndef ENGINE_EDGE_EDGE_PARTS_H
#define ENGINE_EDGE_EDGE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/edge/edge.h"
#include "engine/edge/edge_module.h"
#include "queues/ring.h"

#define EDGE_MODULES_MAX  16u
#define EDGE_ID_BYTES     17u /* 16 digits and the end */
#define EDGE_LINES_MAX    127u
#define EDGE_TOPICS_MAX   32u
#define EDGE_TOGETHER_MS  1 /* where more than ... are out, news waits so long for more */
#define EDGE_TOGETHER_MIN 32
#define EDGE_BEAT_MS      250 /* a quarter of the least HeartbeatSeconds */

/* How a call fails that there is no memory for. */
#define EDGE_NO_MEMORY       "Flyover.NoMemory"
#define EDGE_NO_MEMORY_CAUSE "the engine had no memory for the step"

/* ---- what crosses ------------------------------------------------------------------------------
 */

/* One piece of memory; in `bytes` the output, or the error's name and the cause behind it. */
struct edge_answer {
    bool is_done, retryable;
    uint32_t first_bytes, second_bytes;
    uint8_t bytes[];
};

struct edge_flight {
    struct edge_call call;           /* first, so that either is the other */
    struct edge_flight *next, *prev; /* the engine's: all that are out, the newest first */
    struct edge_answer *answer;      /* owned; NULL: not yet */
    uint8_t *undo;                   /* owned; `value` of a compensation; NULL: it has none */
    uint32_t lane;                   /* of `edges` */
    uint32_t module;
    uint32_t branch, generation;
    bool is_made; /* the input: remote.h */
    uint32_t input_bytes, output_bytes;
    uint8_t bytes[]; /* input, output */
};

struct edge_letter {
    struct edge_letter *next, *prev;   /* the thread's: all that are open */
    struct edge_letter *next_in_queue; /* the engine's, as those that wait with it */
    /* Signals of its name to its saga that came later, and wait for it; and the last of these. */
    struct edge_letter *behind, *last;
    enum edge_message_kind kind;
    uint32_t module;
    void *handle;
    uint64_t saga_id;
    uint64_t block_no;      /* that makes it true */
    int64_t since_ms;       /* that it waits for room; 0: it does not */
    int64_t again_ms;       /* when it is tried again */
    uint32_t tries;         /* in vain */
    const char *definition; /* "" or NULL where it has none, as those below; in `bytes` */
    const char *name;
    const char *token;
    const char *error, *cause; /* NULL: it is done */
    enum edge_settlement settlement;
    char *sentence; /* owned; NULL: none */
    struct flyover_bytes input;
    uint8_t bytes[];
};

/* The end of a saga, for one module; the thread's once it is sent. */
struct edge_ending {
    struct edge_end end;             /* first, so that either is the other */
    struct edge_ending *next, *prev; /* all that modules have */
    uint32_t module;
    uint32_t output_bytes;
    uint8_t bytes[]; /* output; then error and cause, terminated */
};

enum edge_order_kind { EDGE_ORDER_CALL, EDGE_ORDER_SETTLED, EDGE_ORDER_END };
struct edge_order {
    enum edge_order_kind kind;
    void *what; /* flight, letter, ending */
};

enum edge_news_kind { EDGE_NEWS_ANSWER, EDGE_NEWS_LETTER };
struct edge_news {
    enum edge_news_kind kind;
    void *what;
};

struct edge_line {
    int level;
    const char *event;
    char text[EDGE_LINE_BYTES];
};

/* ---- the thread --------------------------------------------------------------------------------
 */

struct edge_module {
    const struct edge_kind *kind;
    void *state;
    struct pollfd fds[EDGE_MODULE_FDS_MAX]; /* as the wait left them */
    uint32_t fds_count;
};

/* Lines of one kind: (event, format). */
struct edge_topic {
    const char *event, *format;
    uint64_t since_ns;
    uint32_t count;
};

struct edge_thread {
    struct http *http;
    struct aws *aws;
    struct partition *partition; /* to wake the engine */
    struct edge_module modules[EDGE_MODULES_MAX];
    uint32_t modules_count;
    struct ring *orders, *news, *lines;
    _Atomic uint64_t retried[EDGE_LANES_MAX];
    _Atomic uint64_t refused; /* messages that were not brought */

    /* Told by the engine, and to it. */
    _Atomic uint32_t is_asleep;
    _Atomic bool wants_drain, wants_end;
    _Atomic bool is_drained;
    _Atomic uint32_t ends_open;

    /* The thread's alone. */
    uint32_t messages_max, starts_open, answers_open, calls_open;
    bool is_draining, is_ending;
    bool has_news; /* that the engine was not woken for */
    uint64_t woke_ns;
    uint64_t stirs; /* what modules have done */
    uint64_t lines_lost;
    struct edge_letter *letters;
    struct edge_ending *endings;
    struct edge_topic topics[EDGE_TOPICS_MAX];
    uint32_t topics_count;
    uint8_t *scratch; /* FLYOVER_PAYLOAD_BYTES_MAX */
};

/* One turn; how long it may wait then. */
int64_t edge_thread_turn(struct edge_thread *thread);
/* pthread's: turns until wants_end, then edge_thread_end. */
void *edge_thread_run(void *thread);
/* Gives back what modules hold and closes them, with http and aws. */
void edge_thread_end(struct edge_thread *thread);
/* The engine, after it has put something into a ring or set a flag. */
void edge_thread_wake(struct edge_thread *thread);

/* The module gets it; there is room. */
void edge_thread_on_end(struct edge_thread *thread, struct edge_ending *ending);
/* All that modules have not told; after their `close`. */
void edge_thread_free_ends(struct edge_thread *thread);

/* ---- json and msgpack --------------------------------------------------------------------------
 */

/* `value` was checked (value_check); count 0: null. Bytes become base64, numbers that are none
 * null. NULL: no memory. */
json_t *edge_value_to_json(struct flyover_bytes value);
/* NULL: no memory. `output` is borrowed; what can be no payload fails. */
struct edge_answer *edge_answer_done(const json_t *output, uint8_t *scratch);
struct edge_answer *edge_answer_value(struct flyover_bytes output);
struct edge_answer *edge_answer_failed(bool retryable, const char *error, const char *cause);
/* Copies the message. STATUS_TOO_LARGE, STATUS_INVALID, STATUS_NO_MEMORY. */
NODISCARD enum status edge_letter_write(const struct edge_message *message,
                                        struct edge_letter **ret_letter, struct problem *problem);

/* ---- the engine's side -------------------------------------------------------------------------
 */

struct edge_lane {
    uint32_t lane; /* the partition's */
    uint32_t module, handler;
    uint32_t in_flight;
    uint64_t calls, failed, late;
};

/* First in, first out. */
struct edge_queue {
    struct edge_letter *first, **last;
};

struct edges {
    struct edges_options options;
    struct edge_thread thread;
    pthread_t pthread;
    bool has_thread;
    bool is_draining;
    char id[EDGE_ID_BYTES];
    struct edge_lane lanes[EDGE_LANES_MAX];
    uint32_t lanes_count;
    uint32_t in_flight;
    struct edge_flight *flights;
    struct edge_queue starts; /* that wait for room */
    struct edge_queue fresh;  /* answers and signals that were not tried yet */
    struct edge_queue kept;   /* and those that find no room, of one name to one saga the first */
    struct edge_queue unsettled; /* that wait for their block */
    int64_t again_ms;            /* when the first of `kept` is tried again */
    int64_t beat_ms;             /* when what is out beats again */
    bool has_orders;             /* that the thread was not woken for */
    bool is_watching;            /* the ends of sagas */
    struct edge_counts counts;   /* but for lanes */
};

/* There is room: `orders` was made for all that can be out. Next: take_orders, on the edge thread.
 */
void edges_send_order(struct edges *edges, enum edge_order_kind kind, void *what);
/* Asks the partition for ends, if a module wants any; and no more. */
void edges_watch_ends(struct edges *edges);
void edges_unwatch_ends(struct edges *edges);
/* Those that the thread, which is over, has not taken. */
void edges_drop_ends(struct edges *edges);
void edge_queue_init(struct edge_queue *queue);
void edge_flight_free(struct edge_flight *flight);
/* Into the log. */
void edges_take_lines(struct edges *edges);

/* Reads it, or makes it. NULL: a random one. */
NODISCARD enum status edge_id_open(const char *directory, char ret_id[EDGE_ID_BYTES],
                                   struct problem *problem);

#endif
