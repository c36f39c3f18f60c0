/*
 * history: the reader of the index beside the journal: one saga by its id, the finished ones newest
 * first, and how many there are. Beside a running engine too, from any process: what is being
 * written at this moment is simply not there yet, and a file that is removed between two looks is
 * passed over.
 *
 * What a call costs is bounded by what it looks at: the filter of a segment (64 bytes) tells which
 * sixteenths of it may hold a saga, and its footer whether a filter can match at all. The newest
 * segment has no footer yet and is walked through.
 *
 * Threads: one owner; several readers may look at one directory.
 * Memory:  2.5 MiB at opening, about 500 bytes a segment, and the largest region met.
 * Errors:  STATUS_NO_MEMORY, STATUS_IO and STATUS_NO_PERMISSION with a sentence. Damaged parts are
 *          passed over and counted (history_damaged_count).
 */
#ifndef ENGINE_HISTORY_HISTORY_H
#define ENGINE_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/history/note.h"

#define HISTORY_BLOCKS_MAX   65536u
#define HISTORY_BRANCHES_MAX 65536u
/* history_list: entries, bytes read, and sagas looked up, of one call. */
#define HISTORY_LIMIT_MAX      1000u
#define HISTORY_SCAN_BYTES_MAX (64u << 20)
#define HISTORY_FINDS_MAX      1000u

struct history;

/* Of DIR; without a DIR/history there is simply nothing. Returns owned. STATUS_NO_MEMORY,
 * STATUS_TOO_LARGE. */
NODISCARD enum status history_open(const char *directory, struct history **ret_history,
                                   struct problem *problem);
/* Accepts NULL. */
void history_close(struct history *history);

struct history_branch {
    uint64_t block_no; /* in which it was acquired */
    uint32_t branch;   /* slot */
};

struct history_saga {
    uint64_t saga_id;
    bool has_start; /* else its beginning is not kept any more: no name, root or redrive_of */
    bool has_end;   /* else it has not ended: no outcome, error, times or steps */
    char name[NOTE_NAME_BYTES_MAX + 1];
    uint32_t name_bytes;
    uint64_t redrive_of; /* 0: of none */
    uint16_t plan;
    uint32_t version;                         /* of the plan; 0: not known */
    char definition[NOTE_NAME_BYTES_MAX + 1]; /* name of the plan; "": not known */
    uint8_t outcome;
    uint8_t error; /* NOTE_NO_ERROR: none */
    char error_name[NOTE_NAME_BYTES_MAX + 1];
    uint32_t steps_count;
    int64_t started_ms;
    int64_t ended_ms;
    /* Its events lie in these blocks and up to HISTORY_GAP_BLOCKS behind each. Ascending, each
     * once. Lent, as are the branches, until the next call on this history. */
    const uint64_t *blocks;
    uint32_t blocks_count;
    bool has_more_blocks; /* than HISTORY_BLOCKS_MAX */
    const struct history_branch *branches;
    uint32_t branches_count;
    bool has_more_branches;
};

/* STATUS_NOT_FOUND where no kept segment knows the saga. */
NODISCARD enum status history_find(struct history *history, uint64_t saga_id,
                                   struct history_saga *ret_saga, struct problem *problem);

/* All that is asked for must hold. Strings are borrowed for the call; NULL: any. */
struct history_filter {
    uint32_t outcomes; /* bit by bit; 0: any */
    const char *definition;
    uint32_t version;        /* of the definition; 0: any */
    int64_t ended_from_ms;   /* at or after it; 0: any */
    int64_t ended_before_ms; /* before it; 0: any */
    const char *name;        /* all of it */
    const char *error;
    bool with_names; /* look up name and redrive_of of each entry: dearer by a find each */
};

/* Where to go on; opaque. Begin with HISTORY_CURSOR_NEWEST. */
struct history_cursor {
    uint64_t block_no;
    uint64_t index;
    bool is_at_end; /* there is nothing more */
};
#define HISTORY_CURSOR_NEWEST ((struct history_cursor){.block_no = UINT64_MAX})

struct history_entry {
    uint64_t saga_id;
    char name[NOTE_NAME_BYTES_MAX + 1]; /* "" unless asked for by with_names or filter.name */
    uint32_t name_bytes;
    uint64_t redrive_of; /* likewise */
    uint16_t plan;
    uint32_t version;
    char definition[NOTE_NAME_BYTES_MAX + 1];
    uint8_t outcome;
    uint8_t error;
    char error_name[NOTE_NAME_BYTES_MAX + 1];
    uint32_t steps_count;
    int64_t started_ms;
    int64_t ended_ms;
};

/* Visits up to `limit` (HISTORY_LIMIT_MAX at most) finished sagas that match, those that ended last
 * first; with filter.name, those that started last first. Stops sooner when it has read
 * HISTORY_SCAN_BYTES_MAX or looked up HISTORY_FINDS_MAX sagas: go on with the cursor, which it
 * moves, until that is at its end. All pages together visit each saga once, also while more sagas
 * end; those are only seen from the beginning. The entry is lent for the visit, which must not call
 * this history. On an error the cursor is where the last visit was. */
typedef void history_visit(const struct history_entry *entry, void *context);
NODISCARD enum status history_list(struct history *history, const struct history_filter *filter,
                                   struct history_cursor *cursor, uint32_t limit,
                                   history_visit *visit, void *context, struct problem *problem);

struct history_counts {
    uint64_t ended_counts[NOTE_OUTCOMES_MAX]; /* of the kept sagas that ended, by outcome */
    uint64_t notes_count;
    uint64_t segments_count;
    uint64_t bytes;
    uint64_t first_no; /* blocks covered; 0: none */
    uint64_t last_no;
    int64_t first_ms;
    int64_t last_ms;
};

NODISCARD enum status history_count(struct history *history, struct history_counts *ret_counts,
                                    struct problem *problem);

/* Parts of sealed segments that were passed over as damaged, since the opening. */
uint64_t history_damaged_count(const struct history *history);

#endif
