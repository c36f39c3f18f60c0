/*
 * nearest: the known name that a wrong one was most likely meant to be, for a hint in a sentence.
 *
 *     struct nearest nearest = nearest_to(wanted);
 *     for each known name: nearest_offer(&nearest, name);
 *     nearest_hint(&nearest, "; there is none like it", hint);
 *
 * Threads: none. Memory: the caller's; the names are borrowed.
 */
#ifndef ENGINE_BASE_NEAREST_H
#define ENGINE_BASE_NEAREST_H

#include <stdint.h>

#define NEAREST_HINT_BYTES 128u

struct nearest {
    const char *wanted;
    const char *best; /* NULL: nothing near */
    uint32_t distance;
};

struct nearest nearest_to(const char *wanted);
void nearest_offer(struct nearest *nearest, const char *name);
/* `; did you mean "Confirm"?`, or `otherwise` where nothing is near. */
void nearest_hint(const struct nearest *nearest, const char *otherwise,
                  char ret_hint[NEAREST_HINT_BYTES]);

#endif
