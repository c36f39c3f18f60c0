/*
 * names_rig: names with the sagas that they ask for, and images of them in memory. Everything is
 * done with one retention.
 *
 * Threads: one. Files:  every int that is returned is a file that the caller closes.
 */
#ifndef TESTS_SAGA_NAMES_RIG_H
#define TESTS_SAGA_NAMES_RIG_H

#include "engine/saga/names.h"

enum { RETENTION_MS = 1000, SAGAS_MAX = 1 << 16 };

/* The sagas that run, by id: the context of rig_runs. */
extern bool rig_running[SAGAS_MAX];
extern uint32_t rig_asked_count; /* calls of rig_runs */

/* No saga runs. */
int rig_set_up(void **state);
bool rig_runs(void *context, uint64_t saga_id);

struct flyover_bytes rig_text(const char *string);
/* "order-N", lent until the next call. */
struct flyover_bytes rig_numbered(uint64_t number);
/* xorshift: the same draws in every run. */
uint32_t rig_draw(uint64_t *seed, uint32_t below);

struct names *rig_open(uint32_t names_max);
/* The id of the saga, 0 where the name is not known. */
uint64_t rig_find(const struct names *names, struct flyover_bytes name, int64_t now_ms);
bool rig_has_room(const struct names *names, int64_t now_ms);
void rig_add(struct names *names, struct flyover_bytes name, uint64_t saga_id, int64_t now_ms);
XXH128_hash_t rig_digest(const struct names *names);
void rig_assert_same(const struct names *left, const struct names *right);

int rig_write(const struct names *names);
/* An image that is whole as far as its CRC goes. */
int rig_write_raw(uint64_t entry_bytes, uint64_t names_max, uint64_t count,
                  const struct names_entry *entries, uint32_t entries_count);
/* NULL where the image is refused. */
struct names *rig_read(int file);
struct names *rig_read_back(const struct names *names);
/* Closes the file. */
void rig_assert_refused(int file);

#endif
