/*
 * rejects: the file of the orders that were refused, a row each: File, Line, InvoiceNo, Reason.
 *
 * Threads: the caller's. Memory: the caller's.
 */
#ifndef ENGINE_MAIN_REJECTS_H
#define ENGINE_MAIN_REJECTS_H

#include <stdio.h>

#include "engine/ingest/order_reader.h"

struct rejects {
    FILE *file; /* NULL: nobody wants them */
    char path[4096];
};

/* Begins it anew. STATUS_NO_PERMISSION, with a sentence that names it. */
NODISCARD enum status rejects_open(struct rejects *rejects, const char *path,
                                   struct problem *problem);
/* `name` is that of the file of orders. */
void rejects_add(struct rejects *rejects, const char *name, const struct order_reject *rejected);
/* STATUS_IO: not all of them could be written. */
NODISCARD enum status rejects_close(struct rejects *rejects, struct problem *problem);

#endif
