/*
 * trace: the trace that a saga belongs to, as whoever starts it says it: a traceparent, text
 * outside and bytes in the journal and in the core.
 *
 *     00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01      55 characters
 *        trace id, 16 bytes               parent id, 8     flags   TRACE_BYTES
 *
 * Threads: none; pure. Source: W3C Trace Context, level 1, section 3.2.
 */
#ifndef ENGINE_SAGA_TRACE_H
#define ENGINE_SAGA_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/flyover_service.h"

#define TRACE_BYTES      25u
#define TRACE_TEXT_BYTES 55u /* without its end */

/* False where the text is no traceparent: of another length, not all lowercase hexadecimal, an id
 * of zeros, or of version ff. Of a later version than 00 it is taken for one of version 00. */
bool trace_parse(struct flyover_bytes text, uint8_t ret_trace[TRACE_BYTES]);
/* Terminated. */
void trace_print(const uint8_t trace[TRACE_BYTES], char ret_text[TRACE_TEXT_BYTES + 1]);

#endif
