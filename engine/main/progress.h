/*
 * progress: one line on a terminal, rewritten a few times a second; silent where stderr is none.
 */
#ifndef ENGINE_MAIN_PROGRESS_H
#define ENGINE_MAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;
    const char *noun; /* "orders" */
    uint64_t started_ns;
    uint64_t printed_ns;
    uint64_t calls_count;
    double part_done; /* 0 to 1, below 0 where it cannot be told: for the time left */
};

void progress_init(struct progress *progress, const char *noun);
/* Cheap to call often. */
bool progress_is_due(struct progress *progress);
void progress_print(struct progress *progress, uint64_t done, uint64_t in_flight,
                    uint64_t succeeded, uint64_t failed);
/* Clears the line. */
void progress_end(struct progress *progress);

/* 1234567 as "1,234,567" in a buffer of the caller's of at least 32 bytes, which it returns. */
char *progress_number(char text[32], uint64_t value);

#endif
