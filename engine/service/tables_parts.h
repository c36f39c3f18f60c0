/*
 * tables_parts: what tables are made of. Internal to engine/service: tables.c changes them,
 * tables_view.c reads them.
 */
#ifndef ENGINE_SERVICE_TABLES_PARTS_H
#define ENGINE_SERVICE_TABLES_PARTS_H

#include "engine/base/slab.h"
#include "engine/service/tables.h"

/* Stands before key and value. An entry of a counter table is changed in place, one of a value
 * table is replaced by another in the same place of the order. */
struct entry {
    int64_t count;
    uint32_t hash;
    slab_ref older;
    slab_ref newer;
    uint16_t value_bytes;
    uint8_t key_bytes;
    uint8_t table;
    uint8_t key[]; /* key_bytes, then value_bytes */
};

struct table {
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    enum flyover_table_kind kind;
    enum flyover_when_full when_full;
    uint32_t entries_max;
    uint32_t entries_count;
    slab_ref oldest;
    slab_ref newest;
};

/* What to put back when a call is aborted. The entry stays in the slab until then. */
enum change_kind { CHANGE_CREATED, CHANGE_REPLACED, CHANGE_REMOVED, CHANGE_ADDED };

struct change {
    enum change_kind kind;
    slab_ref entry;    /* created, now in place, or removed */
    slab_ref replaced; /* REPLACED */
    int64_t delta;     /* ADDED */
};

struct tables {
    struct slab *slab;
    uint64_t *index; /* hash << 32 | entry, 0 for empty; linear probing */
    uint32_t index_capacity;
    uint32_t index_used;
    uint32_t tables_count;
    struct table tables[FLYOVER_TABLES_MAX];
    bool in_call;
    bool full;
    uint8_t *out;
    uint32_t out_capacity;
    uint32_t out_bytes;
    uint32_t changes_count;
    uint32_t changes_capacity;
    struct change *changes;
};

static inline struct entry *entry_at(const struct tables *tables, slab_ref ref)
{
    return (struct entry *)slab_bytes(tables->slab, ref);
}

#endif
