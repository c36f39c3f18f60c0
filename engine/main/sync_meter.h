/*
 * sync_meter: what one write made durable costs on the disk of a directory: to be set beside how
 * long a saga takes that must wait for some.
 *
 * Each appends 512 bytes to a file and calls fdatasync(2): what the journal does for a small block.
 * Threads: the caller's, which it blocks.
 */
#ifndef ENGINE_MAIN_SYNC_METER_H
#define ENGINE_MAIN_SYNC_METER_H

#include <stdint.h>

#include "engine/base/histogram.h"
#include "engine/base/status.h"

/* Adds the nanoseconds of `count` of them. STATUS_IO, STATUS_NO_SPACE. */
NODISCARD enum status sync_meter_add(const char *directory, uint32_t count,
                                     struct histogram *histogram, struct problem *problem);

#endif
