/*
 * disk_meter: how many bytes the files below a directory take on disk, asked for by a thread that
 * may not wait for the file system.
 *
 * Threads: one owner, and one thread of the meter's own, which sleeps until it is asked. It may run
 *          on the cores that the thread which opened the meter had then: open it before pinning.
 */
#ifndef ENGINE_MAIN_DISK_METER_H
#define ENGINE_MAIN_DISK_METER_H

#include <stdint.h>

#include "engine/base/status.h"

struct disk_meter;

/* Returns owned. STATUS_NO_MEMORY: there is no room for it or its thread. */
NODISCARD enum status disk_meter_open(struct disk_meter **ret_meter, struct problem *problem);
/* Accepts NULL. Waits for a count under way. */
void disk_meter_close(struct disk_meter *meter);

/* The directory is borrowed until disk_meter_close. NULL: there is none, and 0 bytes in it. Counts
 * at once. */
void disk_meter_begin(struct disk_meter *meter, const char *directory);
/* Counts in the caller's thread. Only after disk_meter_begin, as all that follows. */
void disk_meter_look(struct disk_meter *meter);
/* Has it counted soon by the meter's thread. */
void disk_meter_ask(struct disk_meter *meter);
/* What the last count came to. */
uint64_t disk_meter_bytes(const struct disk_meter *meter);

#endif
