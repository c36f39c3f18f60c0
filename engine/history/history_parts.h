/*
 * history_parts: what history.c (segments), history_find.c and history_list.c share.
 */
#ifndef ENGINE_HISTORY_HISTORY_PARTS_H
#define ENGINE_HISTORY_HISTORY_PARTS_H

#include <sys/stat.h>

#include "engine/history/history.h"
#include "engine/history/segment.h"

/* A file of the folder. What is known of a sealed one holds as long as the file is the same. */
struct history_place {
    uint64_t first_no;
    uint64_t inode;
    uint64_t bytes;
    struct timespec changed;
    bool is_sealed;
    bool is_surveyed;               /* not sealed, and walked through in this call */
    struct segment_summary summary; /* in both cases */
};

/* To look at one segment at a time with. */
struct history_lens {
    struct window window;
    struct dictionary dictionary;
    const struct history_place *dictionary_of; /* NULL: of none */
};

/* A segment that is looked at. */
struct history_view {
    const struct history_place *place;
    int file;
    bool is_sealed;
    uint64_t bytes;
    struct segment_summary summary; /* of one that is not sealed: places, numbers, times, ids */
};

struct history {
    char folder[PATH_MAX];
    struct history_place *places; /* ascending */
    uint32_t places_count;
    uint64_t damaged_count;
    struct history_lens finder;
    struct history_lens lister;
    uint64_t *blocks;                /* HISTORY_BLOCKS_MAX */
    struct history_branch *branches; /* HISTORY_BRANCHES_MAX */
    struct history_match *matches;   /* HISTORY_LIMIT_MAX, of history_list */
    uint64_t *offsets;               /* of the chunks of a region, of history_list */
    uint32_t offsets_capacity;
};

/* A note of a chunk, by its place in it. */
struct history_match {
    uint32_t index;
    struct note note;
};

/* Lists the folder again, keeping what is known of files that are the same. */
NODISCARD enum status history_refresh(struct history *history, struct problem *problem);
/* Opens a segment to look at through the lens. STATUS_END where it is gone or no segment. */
NODISCARD enum status history_view_open(struct history *history, struct history_lens *lens,
                                        struct history_place *place, struct history_view *ret_view,
                                        struct problem *problem);
void history_view_close(struct history_view *view);
/* Makes the lens's dictionary that of the segment. */
NODISCARD enum status history_view_dictionary(struct history *history, struct history_lens *lens,
                                              const struct history_view *view,
                                              struct problem *problem);
/* Bit by bit the regions that may hold the key, of those that have chunks. */
NODISCARD enum status history_view_regions(const struct history_view *view, uint64_t key,
                                           uint32_t *ret_regions);
/* Counts damage, unless it is the end of a segment being written. */
void history_view_damaged(struct history *history, const struct history_view *view);

enum status history_problem(const struct history *history, const struct history_view *view,
                            enum status status, struct problem *problem);

/* history_find without listing the folder again. */
NODISCARD enum status history_find_listed(struct history *history, uint64_t saga_id,
                                          struct history_saga *ret_saga, struct problem *problem);

void history_describe_plan(const struct dictionary *dictionary, uint16_t plan,
                           char ret_definition[NOTE_NAME_BYTES_MAX + 1], uint32_t *ret_version);
void history_describe_error(const struct dictionary *dictionary, uint8_t error,
                            char ret_name[NOTE_NAME_BYTES_MAX + 1]);

#endif
