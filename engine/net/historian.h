/*
 * historian: reads history for a server on a thread of its own, so that the engine's thread, which
 * has no time for files, goes on meanwhile. One errand after the other.
 *
 *     engine thread                              historian's thread
 *     historian_send_errand() ── mailbox ──────► historian_on_errand(): index, journal
 *     historian_turn()  ◄── question of admin.h's (which definition? which saga?)
 *                       ─── its answer ────────► ... goes on
 *     historian_turn(): is_done  ◄── done, and partition_wake
 *
 * An errand on its way is the historian's; from is_done on it is the sender's again.
 *
 * Threads: every function by the engine's; the thread is its own.
 * Memory:  of the index's reader, and of a core of its own while a life is told (life.h).
 * Limits:  as many errands as are sent: the sender bounds them.
 */
#ifndef ENGINE_NET_HISTORIAN_H
#define ENGINE_NET_HISTORIAN_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/history/history_follow.h"
#include "engine/partition/partition.h"

enum errand_kind {
    ERRAND_ASK,  /* `request`: history, list, or redrive of a saga; gives `reply` */
    ERRAND_PAGE, /* `page`; gives it and `status` */
    ERRAND_FIND, /* `saga_id`, which has ended; gives `status`, `outcome`, `error_name` */
};

/* Sagas that ended, in order: history_follow.h. */
#define PAGE_ENTRIES_MAX 128u

struct page_entry {
    uint64_t saga_id, block_no, index;
    int64_t at_ms;
    uint32_t version;
    uint8_t outcome;
    char definition[FLYOVER_NAME_BYTES_MAX + 1];
    char error[FLYOVER_ERROR_NAME_BYTES_MAX + 1]; /* "": none */
};

struct page {
    struct history_place_of_note next; /* begins there, and ends before it then is */
    uint64_t end_no;                   /* before that block, at the latest */
    bool is_done;                      /* there are no more before end_no */
    uint32_t count;
    struct page_entry entries[PAGE_ENTRIES_MAX];
};

struct errand {
    struct errand *next;
    enum errand_kind kind;
    bool is_done;
    json_t *request;   /* owned by the historian */
    json_t *reply;     /* the sender's; a refusal too; NULL: no memory */
    struct page *page; /* borrowed */
    uint64_t saga_id;
    enum status status;
    struct problem problem;
    uint8_t outcome;
    char error_name[NOTE_NAME_BYTES_MAX + 1]; /* "": none */
};

struct historian;

/* `directory` borrowed; NULL: nothing is kept (mode memory), and no thread is started. Returns
 * owned. STATUS_NO_MEMORY, STATUS_IO. */
NODISCARD enum status historian_open(const char *directory, struct partition *partition,
                                     struct historian **ret_historian, struct problem *problem);
/* Waits for the errand under way, whose questions are refused. Accepts NULL. */
void historian_close(struct historian *historian);

/* Whether the question is one for history and not for the engine alone. */
bool historian_wants(const struct historian *historian, const json_t *request);
void historian_send_errand(struct historian *historian, struct errand *errand);
/* Answers its questions, and notes what is done. True if it did something. */
bool historian_turn(struct historian *historian, struct partition *partition);

#endif
