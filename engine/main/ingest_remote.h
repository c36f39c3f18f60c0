/*
 * ingest_remote: `flyover ingest --connect`: orders out of files become sagas of an engine that
 * serves somewhere else.
 *
 * Each order is started under a name that is made of it and of all orders before it in its file, so
 * that a file sent again, after a cut, a crash or by mistake, starts nothing twice: not as long as
 * the engine keeps names (--name-retention-hours). A file that begins like another goes on behind
 * what both have in common.
 *
 * Threads: the caller's. Memory: of the reader and of a client with in_flight requests.
 */
#ifndef ENGINE_MAIN_INGEST_REMOTE_H
#define ENGINE_MAIN_INGEST_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/main/reach.h"

struct ingest_remote_options {
    struct reach reach;
    const char *rejects; /* NULL: refused orders are counted only */
    uint32_t in_flight;  /* cut to the engine's window */
    bool json;
    const char *const *files;
    uint32_t files_count;
};

/* Prints the report; returns the exit code. */
int ingest_remote(struct ingest_remote_options *options);

#endif
