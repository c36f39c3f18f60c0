#include "engine/service/tables_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/region.h"
#include "engine/base/varint.h"

#define INDEX_CAPACITY_FIRST 1024u
#define OP_PUT               0u
#define OP_ADD               1u
#define OP_DELETE            2u
#define OP_SHIFT             6u
#define TABLE_MASK           0x3fu
#define DROPS_MAX            2u               /* entries that one new entry may drop */
#define CHANGES_MAX          (DROPS_MAX + 2u) /* of one write: drops, creation, addition */

/* Bytes with a count of 0 may be at NULL, which memcpy does not take. */
static uint8_t *copy(uint8_t *to, struct flyover_bytes bytes)
{
    if (bytes.count > 0)
        memcpy(to, bytes.at, bytes.count);
    return to + bytes.count;
}

static uint32_t hash_key(uint32_t table, struct flyover_bytes key)
{
    return (uint32_t)XXH3_64bits_withSeed(key.at, key.count, table);
}

/* ---- index ---------------------------------------------------------------------------------- */

static uint32_t slot_home(const struct tables *tables, uint32_t hash)
{
    return hash & (tables->index_capacity - 1);
}

/* The slot of the key, or of the empty place where it would go. */
static uint32_t find_slot(const struct tables *tables, uint32_t table, struct flyover_bytes key,
                          uint32_t hash)
{
    uint32_t slot = slot_home(tables, hash);
    for (; tables->index[slot] != 0; slot = (slot + 1) & (tables->index_capacity - 1)) {
        if ((uint32_t)(tables->index[slot] >> 32) != hash)
            continue;
        const struct entry *entry = entry_at(tables, (slab_ref){(uint32_t)tables->index[slot]});
        if (entry->table == table && entry->key_bytes == key.count &&
            (key.count == 0 || memcmp(entry->key, key.at, key.count) == 0))
            break;
    }
    return slot;
}

static uint32_t slot_of_entry(const struct tables *tables, slab_ref ref)
{
    uint32_t slot = slot_home(tables, entry_at(tables, ref)->hash);
    while ((uint32_t)tables->index[slot] != ref.at) {
        assert(tables->index[slot] != 0);
        slot = (slot + 1) & (tables->index_capacity - 1);
    }
    return slot;
}

static slab_ref find(const struct tables *tables, uint32_t table, struct flyover_bytes key)
{
    uint32_t slot = find_slot(tables, table, key, hash_key(table, key));
    return (slab_ref){(uint32_t)tables->index[slot]};
}

static bool grow_index(struct tables *tables)
{
    uint32_t capacity =
        tables->index_capacity == 0 ? INDEX_CAPACITY_FIRST : tables->index_capacity * 2;
    uint64_t *index = region_map((uint64_t)capacity * sizeof *index, REGION_STATE);
    if (index == NULL)
        return false;
    for (uint32_t i = 0; i < tables->index_capacity; i++) {
        uint64_t item = tables->index[i];
        if (item == 0)
            continue;
        uint32_t slot = (uint32_t)(item >> 32) & (capacity - 1);
        while (index[slot] != 0)
            slot = (slot + 1) & (capacity - 1);
        index[slot] = item;
    }
    region_unmap(tables->index, (uint64_t)tables->index_capacity * sizeof *tables->index);
    tables->index = index;
    tables->index_capacity = capacity;
    return true;
}

static void index_insert(struct tables *tables, slab_ref ref)
{
    uint32_t hash = entry_at(tables, ref)->hash;
    uint32_t slot = slot_home(tables, hash);
    while (tables->index[slot] != 0)
        slot = (slot + 1) & (tables->index_capacity - 1);
    tables->index[slot] = (uint64_t)hash << 32 | ref.at;
    tables->index_used++;
}

/* Closes the gap, so that no probe ends early (Knuth, The Art of Computer Programming 3, 6.4 R). */
static void index_remove(struct tables *tables, uint32_t slot)
{
    uint32_t mask = tables->index_capacity - 1;
    tables->index_used--;
    for (uint32_t next = (slot + 1) & mask; tables->index[next] != 0; next = (next + 1) & mask) {
        uint32_t home = slot_home(tables, (uint32_t)(tables->index[next] >> 32));
        if (((next - home) & mask) >= ((next - slot) & mask)) {
            tables->index[slot] = tables->index[next];
            slot = next;
        }
    }
    tables->index[slot] = 0;
}

/* ---- order ---------------------------------------------------------------------------------- */

static slab_ref *newer_link(struct tables *tables, struct table *table, slab_ref older)
{
    return older.at == 0 ? &table->oldest : &entry_at(tables, older)->newer;
}

static slab_ref *older_link(struct tables *tables, struct table *table, slab_ref newer)
{
    return newer.at == 0 ? &table->newest : &entry_at(tables, newer)->older;
}

/* Puts the entry between its `older` and `newer`, which it knows. */
static void link_entry(struct tables *tables, slab_ref ref)
{
    const struct entry *entry = entry_at(tables, ref);
    struct table *table = &tables->tables[entry->table];
    *newer_link(tables, table, entry->older) = ref;
    *older_link(tables, table, entry->newer) = ref;
    table->entries_count++;
}

static void unlink_entry(struct tables *tables, slab_ref ref)
{
    const struct entry *entry = entry_at(tables, ref);
    struct table *table = &tables->tables[entry->table];
    *newer_link(tables, table, entry->older) = entry->newer;
    *older_link(tables, table, entry->newer) = entry->older;
    table->entries_count--;
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool reserve_changes(struct tables *tables)
{
    if (tables->changes_count + CHANGES_MAX <= tables->changes_capacity)
        return true;
    uint32_t capacity = tables->changes_capacity == 0 ? 256 : tables->changes_capacity * 2;
    struct change *changes = realloc(tables->changes, capacity * sizeof *changes);
    if (changes == NULL)
        return false;
    tables->changes = changes;
    tables->changes_capacity = capacity;
    return true;
}

static void remember(struct tables *tables, struct change change)
{
    tables->changes[tables->changes_count++] = change;
}

static slab_ref make_entry(struct tables *tables, uint32_t table, struct flyover_bytes key,
                           struct flyover_bytes value)
{
    slab_ref ref =
        slab_acquire(tables->slab, (uint32_t)sizeof(struct entry) + key.count + value.count);
    if (ref.at == 0)
        return ref;
    struct entry *entry = entry_at(tables, ref);
    *entry = (struct entry){
        .hash = hash_key(table, key),
        .value_bytes = (uint16_t)value.count,
        .key_bytes = (uint8_t)key.count,
        .table = (uint8_t)table,
    };
    copy(copy(entry->key, key), value);
    return ref;
}

static void remove_entry(struct tables *tables, slab_ref ref)
{
    index_remove(tables, slot_of_entry(tables, ref));
    unlink_entry(tables, ref);
    remember(tables, (struct change){.kind = CHANGE_REMOVED, .entry = ref});
}

/* What the next creation in a full table will drop, and its place in the index. */
static void prefetch_oldest(const struct tables *tables, const struct table *table)
{
    const struct entry *oldest = entry_at(tables, table->oldest);
    __builtin_prefetch(&tables->index[slot_home(tables, oldest->hash)], 1);
    if (oldest->newer.at != 0)
        __builtin_prefetch(entry_at(tables, oldest->newer), 1);
}

/* Creates an entry at the new end, dropping the oldest one where the table says so. A table whose
 * limit was lowered shrinks to it by one entry a creation, and so never holds up a call. */
static bool create_entry(struct tables *tables, uint32_t table_index, struct flyover_bytes key,
                         struct flyover_bytes value, slab_ref *ret_ref)
{
    struct table *table = &tables->tables[table_index];
    bool full = table->entries_count >= table->entries_max;
    if (full && table->when_full == FLYOVER_REFUSE)
        return false;
    if ((tables->index_used + 1) * 2 > tables->index_capacity && !grow_index(tables))
        return false;
    slab_ref ref = make_entry(tables, table_index, key, value);
    if (ref.at == 0)
        return false;
    for (uint32_t i = 0; i < DROPS_MAX && table->entries_count >= table->entries_max; i++)
        remove_entry(tables, table->oldest);
    entry_at(tables, ref)->older = table->newest;
    link_entry(tables, ref);
    index_insert(tables, ref);
    if (full)
        prefetch_oldest(tables, table);
    remember(tables, (struct change){.kind = CHANGE_CREATED, .entry = ref});
    *ret_ref = ref;
    return true;
}

static bool put(struct tables *tables, uint32_t table, struct flyover_bytes key,
                struct flyover_bytes value)
{
    if (!reserve_changes(tables))
        return false;
    slab_ref old = find(tables, table, key);
    slab_ref ref;
    if (old.at == 0)
        return create_entry(tables, table, key, value, &ref);
    ref = make_entry(tables, table, key, value);
    if (ref.at == 0)
        return false;
    tables->index[slot_of_entry(tables, old)] =
        (uint64_t)entry_at(tables, old)->hash << 32 | ref.at;
    unlink_entry(tables, old);
    entry_at(tables, ref)->older = entry_at(tables, old)->older;
    entry_at(tables, ref)->newer = entry_at(tables, old)->newer;
    link_entry(tables, ref);
    remember(tables, (struct change){.kind = CHANGE_REPLACED, .entry = ref, .replaced = old});
    return true;
}

static bool add(struct tables *tables, uint32_t table, struct flyover_bytes key, int64_t delta)
{
    if (!reserve_changes(tables))
        return false;
    slab_ref ref = find(tables, table, key);
    if (ref.at == 0 && !create_entry(tables, table, key, (struct flyover_bytes){0}, &ref))
        return false;
    struct entry *entry = entry_at(tables, ref);
    int64_t count;
    if (__builtin_add_overflow(entry->count, delta, &count))
        return false;
    entry->count = count;
    remember(tables, (struct change){.kind = CHANGE_ADDED, .entry = ref, .delta = delta});
    return true;
}

static bool delete_key(struct tables *tables, uint32_t table, struct flyover_bytes key)
{
    slab_ref ref = find(tables, table, key);
    if (ref.at == 0 || !reserve_changes(tables))
        return false;
    remove_entry(tables, ref);
    return true;
}

static void forget_changes(struct tables *tables)
{
    for (uint32_t i = 0; i < tables->changes_count; i++) {
        const struct change *change = &tables->changes[i];
        if (change->kind == CHANGE_REMOVED)
            slab_release(tables->slab, change->entry);
        else if (change->kind == CHANGE_REPLACED)
            slab_release(tables->slab, change->replaced);
    }
    tables->changes_count = 0;
}

static void put_back(struct tables *tables, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_CREATED:
        index_remove(tables, slot_of_entry(tables, change->entry));
        unlink_entry(tables, change->entry);
        slab_release(tables->slab, change->entry);
        break;
    case CHANGE_REPLACED:
        tables->index[slot_of_entry(tables, change->entry)] =
            (uint64_t)entry_at(tables, change->replaced)->hash << 32 | change->replaced.at;
        unlink_entry(tables, change->entry);
        link_entry(tables, change->replaced);
        slab_release(tables->slab, change->entry);
        break;
    case CHANGE_REMOVED:
        link_entry(tables, change->entry);
        index_insert(tables, change->entry);
        break;
    case CHANGE_ADDED: entry_at(tables, change->entry)->count -= change->delta; break;
    }
}

/* ---- the interface -------------------------------------------------------------------------- */

static bool makes_sense(const struct event_table *declared)
{
    return declared->name.count > 0 && declared->name.count <= FLYOVER_NAME_BYTES_MAX &&
           declared->entries_max > 0 && declared->entries_max <= TABLES_ENTRIES_MAX &&
           (declared->kind == FLYOVER_VALUES || declared->kind == FLYOVER_COUNTERS) &&
           (declared->when_full == FLYOVER_REFUSE || declared->when_full == FLYOVER_DROP_OLDEST);
}

static void declare(struct table *table, const struct event_table *declared)
{
    assert(makes_sense(declared));
    memset(table->name, 0, sizeof table->name);
    memcpy(table->name, declared->name.at, declared->name.count);
    table->kind = declared->kind;
    table->when_full = declared->when_full;
    table->entries_max = declared->entries_max;
}

static bool all_make_sense(const struct event_table *declared, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < FLYOVER_TABLES_MAX; i++)
        if (!makes_sense(&declared[i]))
            return false;
    return count <= FLYOVER_TABLES_MAX;
}

enum status tables_open(const struct event_table *declared, uint32_t count,
                        struct tables **ret_tables)
{
    if (!all_make_sense(declared, count))
        return STATUS_INVALID;
    struct tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL)
        return STATUS_NO_MEMORY;
    enum status status = slab_open(TABLES_BYTES_MAX, &tables->slab);
    if (status == STATUS_OK && !grow_index(tables))
        status = STATUS_NO_MEMORY;
    tables->tables_count = count;
    for (uint32_t i = 0; i < count; i++)
        declare(&tables->tables[i], &declared[i]);
    if (status != STATUS_OK) {
        tables_close(tables);
        return status;
    }
    *ret_tables = tables;
    return STATUS_OK;
}

void tables_close(struct tables *tables)
{
    if (tables == NULL)
        return;
    slab_close(tables->slab);
    region_unmap(tables->index, (uint64_t)tables->index_capacity * sizeof *tables->index);
    free(tables->changes);
    free(tables);
}

uint32_t tables_count(const struct tables *tables)
{
    return tables->tables_count;
}

static bool same_table(const struct table *table, const struct event_table *declared)
{
    return table->kind == declared->kind && strlen(table->name) == declared->name.count &&
           memcmp(table->name, declared->name.at, declared->name.count) == 0;
}

enum status tables_redeclare(struct tables *tables, const struct event_table *declared,
                             uint32_t count)
{
    assert(!tables->in_call);
    if (count < tables->tables_count || !all_make_sense(declared, count))
        return STATUS_INVALID;
    for (uint32_t i = 0; i < tables->tables_count; i++)
        if (!same_table(&tables->tables[i], &declared[i]))
            return STATUS_INVALID;
    for (uint32_t i = 0; i < count; i++)
        declare(&tables->tables[i], &declared[i]);
    tables->tables_count = count;
    return STATUS_OK;
}

bool tables_declared_as(const struct tables *tables, const struct event_table *declared,
                        uint32_t count)
{
    if (count != tables->tables_count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!same_table(&tables->tables[i], &declared[i]) ||
            tables->tables[i].entries_max != declared[i].entries_max ||
            tables->tables[i].when_full != declared[i].when_full)
            return false;
    return true;
}

void tables_begin(struct tables *tables, uint8_t *out, uint32_t out_capacity)
{
    assert(!tables->in_call);
    tables->in_call = true;
    tables->full = false;
    tables->out = out;
    tables->out_capacity = out_capacity;
    tables->out_bytes = 0;
}

uint32_t tables_commit(struct tables *tables)
{
    assert(tables->in_call && !tables->full);
    forget_changes(tables);
    tables->in_call = false;
    return tables->out_bytes;
}

void tables_abort(struct tables *tables)
{
    assert(tables->in_call);
    while (tables->changes_count > 0)
        put_back(tables, &tables->changes[--tables->changes_count]);
    tables->in_call = false;
}

bool tables_full(const struct tables *tables)
{
    return tables->full;
}

static bool key_fits(const struct tables *tables, uint32_t table, enum flyover_table_kind kind,
                     struct flyover_bytes key)
{
    return table < tables->tables_count && tables->tables[table].kind == kind &&
           key.count <= FLYOVER_KEY_BYTES_MAX;
}

bool tables_get(const struct tables *tables, uint32_t table, struct flyover_bytes key,
                struct flyover_bytes *ret_value)
{
    if (!key_fits(tables, table, FLYOVER_VALUES, key))
        return false;
    slab_ref ref = find(tables, table, key);
    if (ref.at == 0)
        return false;
    const struct entry *entry = entry_at(tables, ref);
    *ret_value = (struct flyover_bytes){entry->key + entry->key_bytes, entry->value_bytes};
    return true;
}

int64_t tables_count_of(const struct tables *tables, uint32_t table, struct flyover_bytes key)
{
    if (!key_fits(tables, table, FLYOVER_COUNTERS, key))
        return 0;
    slab_ref ref = find(tables, table, key);
    return ref.at == 0 ? 0 : entry_at(tables, ref)->count;
}

/* Room for one write in the result of the call, or the call is full. */
static uint8_t *reserve_out(struct tables *tables, bool fits, uint32_t bytes)
{
    assert(tables->in_call);
    if (!fits || tables->full || bytes > tables->out_capacity - tables->out_bytes) {
        tables->full = true;
        return NULL;
    }
    return tables->out + tables->out_bytes;
}

static uint8_t *encode_key(uint8_t *at, uint32_t op, uint32_t table, struct flyover_bytes key)
{
    *at++ = (uint8_t)(op << OP_SHIFT | table);
    *at++ = (uint8_t)key.count;
    return copy(at, key);
}

static bool end_write(struct tables *tables, uint8_t *at, bool done)
{
    if (done)
        tables->out_bytes = (uint32_t)(at - tables->out);
    else
        tables->full = true;
    return done;
}

bool tables_put(struct tables *tables, uint32_t table, struct flyover_bytes key,
                struct flyover_bytes value)
{
    bool fits =
        key_fits(tables, table, FLYOVER_VALUES, key) && value.count <= FLYOVER_VALUE_BYTES_MAX;
    uint8_t *at = reserve_out(tables, fits, 2 + key.count + VARINT_BYTES_MAX + value.count);
    if (at == NULL)
        return false;
    at = encode_key(at, OP_PUT, table, key);
    at = copy(varint_encode(at, value.count), value);
    return end_write(tables, at, put(tables, table, key, value));
}

bool tables_add(struct tables *tables, uint32_t table, struct flyover_bytes key, int64_t delta)
{
    bool fits = key_fits(tables, table, FLYOVER_COUNTERS, key);
    uint8_t *at = reserve_out(tables, fits, 2 + key.count + VARINT_BYTES_MAX);
    if (at == NULL)
        return false;
    at = encode_key(at, OP_ADD, table, key);
    at = varint_encode(at, varint_zigzag(delta));
    return end_write(tables, at, add(tables, table, key, delta));
}

bool tables_delete(struct tables *tables, uint32_t table, struct flyover_bytes key)
{
    bool known = table < tables->tables_count && key.count <= FLYOVER_KEY_BYTES_MAX;
    if (known && find(tables, table, key).at == 0)
        return false;
    uint8_t *at = reserve_out(tables, known, 2 + key.count);
    if (at == NULL)
        return false;
    at = encode_key(at, OP_DELETE, table, key);
    return end_write(tables, at, delete_key(tables, table, key));
}

static const uint8_t *apply_one(struct tables *tables, const uint8_t *at, const uint8_t *end,
                                enum status *ret_status)
{
    *ret_status = STATUS_CORRUPT;
    if (end - at < 2)
        return NULL;
    uint32_t op = (uint32_t)*at >> OP_SHIFT;
    uint32_t table = *at++ & TABLE_MASK;
    struct flyover_bytes key = {at + 1, *at};
    at++;
    if (key.count > (size_t)(end - at) || key.count > FLYOVER_KEY_BYTES_MAX ||
        table >= tables->tables_count)
        return NULL;
    at += key.count;
    enum flyover_table_kind kind = tables->tables[table].kind;
    uint64_t number = 0;
    bool done = true;
    if (op == OP_PUT && kind == FLYOVER_VALUES) {
        at = varint_decode(at, end, &number);
        if (at == NULL || number > (uint64_t)(end - at) || number > FLYOVER_VALUE_BYTES_MAX)
            return NULL;
        done = put(tables, table, key, (struct flyover_bytes){at, (uint32_t)number});
        at += number;
    } else if (op == OP_ADD && kind == FLYOVER_COUNTERS) {
        at = varint_decode(at, end, &number);
        if (at == NULL)
            return NULL;
        done = add(tables, table, key, varint_unzigzag(number));
    } else if (op == OP_DELETE && find(tables, table, key).at != 0) {
        done = delete_key(tables, table, key);
    } else {
        return NULL;
    }
    *ret_status = done ? STATUS_OK : STATUS_NO_MEMORY;
    return at;
}

enum status tables_apply(struct tables *tables, struct flyover_bytes writes)
{
    assert(!tables->in_call);
    if (writes.count == 0)
        return STATUS_OK;
    const uint8_t *at = writes.at;
    const uint8_t *end = at + writes.count;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && at != end)
        at = apply_one(tables, at, end, &status);
    forget_changes(tables);
    return status;
}
