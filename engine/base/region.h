/*
 * region: large pieces of memory, by what a checkpoint's child has to do with them. Address space
 * is taken at once, memory only where it is touched.
 *
 * STATE goes into a checkpoint: huge pages where the machine gives them, since a fork copies an
 * entry for each page that is there, and 512 times as many for small ones. SCRATCH does not: the
 * child of a fork has not got it, and to touch it there ends the child.
 *
 * Threads: any. Source: madvise(2): MADV_HUGEPAGE, MADV_DONTFORK, MADV_COLLAPSE (Linux 6.1).
 */
#ifndef ENGINE_BASE_REGION_H
#define ENGINE_BASE_REGION_H

#include <stddef.h>
#include <stdint.h>

enum region_use { REGION_STATE, REGION_SCRATCH };

/* All zeroes; NULL where there is no address space. */
void *region_map(uint64_t bytes, enum region_use use);
/* Accepts NULL. */
void region_unmap(void *region, uint64_t bytes);

/* What is shared with the child of a fork is copied as it is written, by small pages, into which
 * the kernel cuts the huge ones for that, and it leaves them cut. This makes huge pages of them
 * again, all STATE there is, while others use it: whoever touches the 2 MiB that are being moved
 * waits for them, a fraction of a millisecond. Takes some tens of milliseconds: for a thread that
 * nobody waits for, when the child is gone. Where the kernel cannot, a fork takes longer. */
void region_mend(void);

/* Makes SCRATCH of what malloc keeps for threads other than the first: the child of a checkpoint
 * uses none of it, as long as the state was opened on the first thread. To be called now and then,
 * since malloc takes more as it goes. */
void region_leave_out_of_forks(void);
/* Takes that back, for a program whose child turned out to need it. */
void region_take_into_forks(void);

#endif
