/*
 * server_parts: what a server is made of. Internal to engine/net/server*.c.
 *
 *   server.c          opening, turns, times, figures
 *   server_session.c  a connection: frames in, HELLO, PING, who may do what, the message table
 *   server_out.c      a connection: frames out, what waits while there is no room
 *   server_request.c  open requests, and the line of those whose block is not durable yet
 *   server_client.c   DEFINE, START
 *   server_await.c    AWAIT, and the ends of sagas
 *   server_worker.c   REGISTER, INVOKE, DONE, FAILED, BEAT, DRAIN
 *   server_ask.c      ASK
 *   server_watch.c    SUBSCRIBE, EVENT, CREDIT
 *
 * A peer is what the server knows of a connection, by the transport's number. Its output has
 * room, or the peer is blocked: then nothing more of its input is taken, what it is owed waits
 * with it, and each turn tries again. Nobody else waits for it.
 */
#ifndef ENGINE_NET_SERVER_PARTS_H
#define ENGINE_NET_SERVER_PARTS_H

#include "engine/admin/admin.h"
#include "engine/net/historian.h"
#include "engine/net/server.h"
#include "engine/net/wire.h"
#include "engine/partition/remote.h"

#define SERVER_NONE UINT32_MAX
/* Room asked for at once for the first frame of a turn, as much as a small chunk of the transport
 * has, and for further ones; a larger message asks for its own. */
#define SERVER_OUT_BYTES_FIRST 4096u
#define SERVER_OUT_BYTES       16384u
/* A direct answer: an ERROR is the longest. */
#define SERVER_ANSWER_BYTES_MAX (WIRE_HEAD_BYTES_MAX + sizeof((struct problem *)0)->text)
/* A first frame, which HELLO has to fit. */
#define SERVER_HELLO_BYTES_MAX 4096u
/* Of one connection that is not read from, and frames in part of all. */
#define SERVER_HELD_BYTES_MAX     (4u << 20)
#define SERVER_HELD_BYTES_MAX_ALL (256ull << 20)
/* Outputs of ended sagas that wait for connections without room; beyond it they are nil. */
#define SERVER_KEPT_BYTES_MAX (64ull << 20)

/* ---- requests -----------------------------------------------------------------------------------
 */

#define REQUESTS_A_CHUNK   4096u
#define REQUEST_CHUNKS_MAX 1024u

/* Where an open request is. */
enum request_place {
    REQUEST_FREE,
    REQUEST_PENDING, /* in the server's line, until its block is durable */
    REQUEST_READY,   /* its answer is known, and its peer has no room for it */
    REQUEST_WAITING, /* for the end of its saga, in its peer's list */
};

enum request_kind { REQUEST_START, REQUEST_DEFINE, REQUEST_AWAIT };

/* A message that had no room yet, whole. */
struct kept {
    uint32_t bytes;
    uint8_t message[];
};

/* Its number and generation are the token of its saga's reply. */
struct request {
    uint64_t id;       /* the client's */
    uint64_t saga_id;  /* DEFINE: the plan */
    uint64_t block_no; /* PENDING */
    struct kept *kept; /* with has_end; owned */
    uint32_t index;    /* its own */
    uint32_t connection;
    uint32_t peer;          /* generation of the peer */
    uint32_t generation;    /* grows each time the place is given back */
    uint32_t next, prev;    /* in its list; prev only where it is WAITING */
    uint32_t next_awaiting; /* is_awaiting: of its bucket */
    uint8_t place;
    uint8_t kind;
    bool existed : 1;
    bool wants_start : 1; /* a STARTED, or DEFINED, is to be sent */
    bool wants_end : 1;
    bool has_end : 1;     /* `kept` is it, or why there is none */
    bool is_over : 1;     /* history is to be asked how it ended */
    bool is_awaiting : 1; /* in server.awaits, by saga_id */
};

struct request_list {
    uint32_t first, last;
};

/* Requests that wait for the end of a saga that another began. */
struct awaits {
    uint32_t *buckets; /* owned; buckets_count, a power of two */
    uint32_t buckets_count, count;
};

#define SERVER_FINDS_MAX 4096u /* on their way to history and back */

/* What history is asked for one of them. */
struct find {
    struct find *next;
    uint64_t token; /* of the request */
    struct errand errand;
};

/* ---- peers --------------------------------------------------------------------------------------
 */

enum peer_stage {
    PEER_FREE,
    PEER_GREETING, /* HELLO is not there yet */
    PEER_OPEN,
    PEER_LEAVING /* cut, CLOSED is to come */
};

struct peer {
    enum peer_stage stage;
    uint32_t connection;
    uint32_t generation; /* grows with each CLOSED */
    bool blocked;        /* in server.blocked */
    bool paused;         /* the transport was told so */
    bool pinged;
    bool is_writing; /* in server.writing */
    uint64_t opened_ns;
    uint64_t heard_ns;
    struct access_grant *grant; /* owned copy, from WELCOME on */
    char *name;                 /* owned; for logs */

    /* Input that could not be taken yet: a part of a frame, or what came while blocked. The first
     * frame_left bytes of it are of a frame that was found whole. */
    uint8_t *held;
    uint32_t held_count, held_capacity;
    uint32_t frame_left;
    uint64_t frame_since_ns; /* of a part of a frame; 0: there is none */

    /* The frame of this turn, in the transport's memory; its length is not written yet. */
    uint8_t *frame;
    uint32_t frame_used, frame_capacity;
    uint32_t next_writing;
    uint32_t next_blocked;
    uint32_t wanted_bytes; /* blocked: what had no room; 0: it is the engine that has none */
    struct kept *owed;     /* one direct answer that had no room */

    uint32_t open_count; /* requests */
    uint32_t waiting_first;
    struct request_list ready;

    /* The definition that was started last. */
    char definition[FLYOVER_NAME_BYTES_MAX + 1];
    uint32_t definition_bytes;
    uint32_t plan;
    uint32_t plans_count; /* when it was looked up */

    struct registration *registrations; /* owned list */
    uint32_t invocations_first;         /* handed to it */
    bool draining;
    uint64_t drain_id;
};

/* ---- workers ------------------------------------------------------------------------------------
 */

struct registration {
    struct registration *next; /* of its peer */
    uint32_t connection;
    uint64_t id; /* of its REGISTER */
    uint32_t credit, in_flight;
    uint32_t handlers_count;
    uint32_t lanes[FLYOVER_HANDLERS_MAX];
    char service[FLYOVER_NAME_BYTES_MAX + 1];
};

/* Who serves a lane, in turn. */
struct offer {
    struct registration *registration;
    uint32_t handler;
};

struct offers {
    struct offer *items; /* owned */
    uint32_t count, capacity;
    uint32_t turn; /* who is asked first */
};

struct invocation {
    struct registration *registration; /* NULL: the place is free */
    uint32_t connection;
    uint32_t lane;
    uint32_t branch, branch_generation;
    uint32_t generation; /* of the place */
    uint32_t next, prev; /* of its peer; next of the free ones */
};

/* ---- questions ----------------------------------------------------------------------------------
 */

#define SERVER_ASKS_MAX 256u /* under way at once */

struct ask {
    struct ask *next;
    uint64_t id;
    uint32_t connection;
    uint32_t peer;     /* generation of the peer */
    bool is_elsewhere; /* the errand is used, else the job */
    struct admin_job job;
    struct errand errand;
    struct kept *answer; /* owned; the whole message, once it is there */
};

/* ---- subscribers --------------------------------------------------------------------------------
 */

#define SERVER_SUBSCRIPTIONS_MAX 1024u
#define SERVER_EVENTS_MAX        65536u /* of the last ones, in memory; a power of two */

struct watch_event {
    uint64_t block_no, index;
    uint64_t saga_id;
    int64_t at_ms;
    uint32_t plan;
    uint8_t outcome;
    uint8_t error_bytes;
    uint8_t error[FLYOVER_ERROR_NAME_BYTES_MAX];
};

struct subscription {
    struct subscription *next_of_all;
    uint64_t id;
    uint32_t connection;
    bool is_over;   /* freed as soon as no page is on its way */
    bool is_live;   /* `number` is its place in the ring */
    bool is_asking; /* a page is on its way, or is being told */
    uint64_t credit;
    uint32_t outcomes;                           /* bit by bit */
    char definition[FLYOVER_NAME_BYTES_MAX + 1]; /* "": any */
    uint64_t number;
    struct history_place_of_note next; /* not live: what is to be told next */
    uint32_t told;                     /* of the page */
    struct page page;
    struct errand errand;
};

struct watch {
    struct watch_event *ring; /* owned; events by number, from `first` to before `end` */
    uint64_t first, end;
    uint64_t whole_from_no;             /* of blocks from this on everything is in the ring */
    uint32_t count;                     /* of subscriptions that are not over */
    struct subscription *subscriptions; /* owned list */
};

struct server {
    struct server_options options;
    struct partition *partition;
    struct transport *transport;
    uint64_t now_ns; /* of this turn */
    uint64_t looked_ns;
    struct server_counts counts;
    bool draining;

    struct peer *peers;     /* connections_max */
    uint32_t writing_first; /* those with a frame of this turn */
    uint32_t blocked_first;
    uint64_t held_bytes, kept_bytes;

    struct request *request_chunks[REQUEST_CHUNKS_MAX];
    uint32_t requests_count; /* places there are */
    uint32_t requests_free;
    struct request_list pending; /* by block */

    struct watch watch;
    struct awaits awaits;
    struct find *finds; /* owned list */
    uint32_t finds_count;
    struct historian *historian;
    struct ask *asks; /* owned list */
    uint32_t asks_count;

    struct offers offers[REMOTE_LANES_MAX];
    struct invocation *invocations;
    uint32_t invocations_count, invocations_capacity, invocations_free;
};

/* What became of a message. */
enum heard {
    HEARD,           /* it is done */
    HEARD_MALFORMED, /* a field is missing or of another type */
    HEARD_LATER      /* the engine has no room for it now: ask again in the next turn */
};

/* ---- server_session.c ---- */

void peer_open(struct server *server, uint32_t connection);
/* Takes what can be taken and keeps the rest. */
void peer_on_data(struct server *server, struct peer *peer, const uint8_t *bytes, uint32_t count);
/* What was kept, after the output has room again. */
void peer_go_on(struct server *server, struct peer *peer);
/* CLOSED; `why` may be NULL. */
void peer_close(struct server *server, struct peer *peer, const char *why);
/* What it owns, at the end of the server. */
void peer_drop(struct server *server, struct peer *peer);
/* Says why with an ERROR of id 0, and cuts. */
void peer_fail(struct server *server, struct peer *peer, enum status status, const char *format,
               ...) __attribute__((format(printf, 4, 5)));
/* Cuts without a word. */
void peer_cut(struct server *server, struct peer *peer, const char *why);
/* Deadlines, PING, silence. */
void peer_look(struct server *server, struct peer *peer);
void peer_goodbye(struct server *server, struct peer *peer, const char *sentence);
void server_log(const struct server *server, const struct peer *peer, const char *event,
                const char *text);

/* ---- server_out.c ---- */

/* Room for a message of up to `bytes`, or NULL: then the peer is blocked. */
uint8_t *out_begin(struct server *server, struct peer *peer, uint32_t bytes);
/* The message ends before `end`. */
void out_end(struct server *server, struct peer *peer, const uint8_t *end);
/* A direct answer always has room, at most SERVER_ANSWER_BYTES_MAX: where the output has none it
 * waits with the peer, whose input is then not gone on with. NULL: no memory; it is cut. */
uint8_t *out_begin_answer(struct server *server, struct peer *peer);
void out_end_answer(struct server *server, struct peer *peer, uint8_t *end);
void out_error(struct server *server, struct peer *peer, uint64_t id, enum status status,
               const char *sentence, uint32_t retry_after_ms);
/* A message that waits until there is room: an ERROR, NULL: no memory; and sending one, false: no
 * room. It stays the caller's. */
struct kept *out_keep_error(struct server *server, uint64_t id, enum status status,
                            const char *sentence);
bool out_kept(struct server *server, struct peer *peer, const struct kept *kept);
/* Also where the engine's room is what is short. */
void out_block(struct server *server, struct peer *peer);
/* Ends the frame of this turn and hands it over. */
void out_finish(struct server *server, struct peer *peer);
void out_finish_all(struct server *server);
/* Each blocked peer tries again; true if one went on. */
bool out_go_on(struct server *server);
/* What waits for the output is dropped. */
void out_drop(struct server *server, struct peer *peer);

/* ---- server_request.c ---- */

/* NULL: as many as there is room for, or as the window of the peer allows, are open; an ERROR was
 * sent. */
struct request *request_open(struct server *server, struct peer *peer, uint64_t id,
                             enum request_kind kind);
struct request *request_at(const struct server *server, uint32_t index);
uint64_t request_token(const struct request *request);
/* NULL: its connection is gone. */
struct request *request_of_token(const struct server *server, uint64_t token);
/* It was answered, or given up. In no list any more. */
void request_close(struct server *server, struct request *request);
/* Its answer is true when the block that is filled now is durable. */
void request_pend(struct server *server, struct request *request);
void request_wait(struct server *server, struct peer *peer, struct request *request);
void request_wait_no_more(struct server *server, struct peer *peer, struct request *request);
void request_make_ready(struct server *server, struct peer *peer, struct request *request);
/* Durable answers leave. True if any did. */
bool request_release(struct server *server);
/* Of a peer that is closed. */
void request_drop_all(struct server *server, struct peer *peer);
/* The peer a request belongs to, or NULL where that is gone. */
struct peer *request_peer(const struct server *server, const struct request *request);

/* ---- server_client.c ---- */

enum heard server_on_define(struct server *server, struct peer *peer, struct wire_message *message);
enum heard server_on_start(struct server *server, struct peer *peer, struct wire_message *message);
/* Sends what the request is owed and closes it, or waits for the end of its saga. It is in no list.
 * False: no room; what was sent is not owed any more. */
bool server_answer(struct server *server, struct peer *peer, struct request *request);

/* ---- server_await.c ---- */

enum heard server_on_await(struct server *server, struct peer *peer, struct wire_message *message);
/* The request, which is WAITING, gets the end of its saga, which another request began. */
void server_await_end(struct server *server, struct peer *peer, struct request *request);
/* A request that is_awaiting is not to be any more. */
void await_drop(struct server *server, struct request *request);
/* Replies of the partition become ENDED. */
bool server_take_ends(struct server *server);
/* What the historian has found is told. */
void server_turn_finds(struct server *server);
void server_close_awaits(struct server *server);

/* ---- server_worker.c ---- */

enum heard server_on_register(struct server *server, struct peer *peer,
                              struct wire_message *message);
enum heard server_on_done(struct server *server, struct peer *peer, struct wire_message *message);
enum heard server_on_failed(struct server *server, struct peer *peer, struct wire_message *message);
enum heard server_on_beat(struct server *server, struct peer *peer, struct wire_message *message);
enum heard server_on_drain(struct server *server, struct peer *peer, struct wire_message *message);
/* Hands out what waits to workers with credit. */
bool server_hand_out(struct server *server);
/* What it was handed waits again. */
void server_take_back(struct server *server, struct peer *peer);
/* Whether any connection serves the service. */
bool server_is_served(const struct server *server, const char *service);
void server_close_workers(struct server *server);

/* ---- server_ask.c ---- */

enum heard server_on_ask(struct server *server, struct peer *peer, struct wire_message *message);
/* A slice of each; sends the answers that are there. */
bool server_turn_asks(struct server *server);
void server_close_asks(struct server *server);

/* ---- server_watch.c ---- */

enum heard server_on_subscribe(struct server *server, struct peer *peer,
                               struct wire_message *message);
enum heard server_on_credit(struct server *server, struct peer *peer, struct wire_message *message);
enum heard server_on_unsubscribe(struct server *server, struct peer *peer,
                                 struct wire_message *message);
void watch_add(struct server *server, const struct reply *reply);
bool server_turn_watch(struct server *server);
void watch_drop_all(struct server *server, const struct peer *peer);
void server_close_watch(struct server *server);

static inline struct peer *server_peer(const struct server *server, uint32_t connection)
{
    return &server->peers[connection];
}

static inline bool text_is(struct flyover_bytes text, const char *other)
{
    size_t bytes = __builtin_strlen(other);
    return text.count == bytes && __builtin_memcmp(text.at, other, bytes) == 0;
}

#endif
