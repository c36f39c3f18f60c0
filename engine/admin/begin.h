/*
 * begin: what a START or a REDRIVE says beside plan and input, for people and for machines: its
 * name, when it is to begin and to end, its trace. What is not there is left out.
 *
 * Threads: any. Memory: none.
 */
#ifndef ENGINE_ADMIN_BEGIN_H
#define ENGINE_ADMIN_BEGIN_H

#include <jansson.h>
#include <stdio.h>

#include "engine/saga/event.h"

/* ", not before ... UTC, deadline ... UTC, trace 00-..." */
void begin_print(const struct event *event, FILE *out);
/* Sets "at_ms", "deadline_ms" and "trace". */
void begin_set(const struct event *event, json_t *object);

#endif
