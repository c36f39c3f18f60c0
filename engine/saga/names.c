#include "engine/saga/names.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/base/region.h"
#include "engine/saga/utf8.h"

/*
 * An item of the index is 0 or, in its low bits (index_mask), 1 + the position of an entry in the
 * ring; its high bits are those of a second part of the hash, so that few probes go to the ring.
 */
struct names {
    struct names_entry *ring;
    uint32_t *index;
    uint32_t names_max;
    uint32_t index_mask; /* capacity - 1; the capacity is a power of two */
    uint32_t oldest;     /* position in the ring */
    uint32_t count;
};

_Static_assert(sizeof(struct names_entry) == 40, "hashed and written as it lies: no padding");
_Static_assert(sizeof(struct names_entry) + 4 * sizeof(uint32_t) <= NAMES_COST_BYTES_MAX,
               "the capacity of the index is below four times names_max");

/* ---- index ---------------------------------------------------------------------------------- */

static uint32_t slot_home(const struct names *names, const struct names_entry *entry)
{
    return (uint32_t)entry->hash_low & names->index_mask;
}

static uint32_t make_item(const struct names *names, const struct names_entry *entry, uint32_t at)
{
    return ((uint32_t)(entry->hash_low >> 32) & ~names->index_mask) | (at + 1);
}

/* Of a slot that is not empty. */
static uint32_t position_at_slot(const struct names *names, uint32_t slot)
{
    assert(names->index[slot] != 0);
    return (names->index[slot] & names->index_mask) - 1;
}

static const struct names_entry *entry_at_slot(const struct names *names, uint32_t slot)
{
    return &names->ring[position_at_slot(names, slot)];
}

/* The slot of the entry with the hash of `wanted`, or of the empty place where it would go. */
static uint32_t find_slot(const struct names *names, const struct names_entry *wanted)
{
    uint32_t slot = slot_home(names, wanted);
    uint32_t high_bits = make_item(names, wanted, 0) & ~names->index_mask;
    for (; names->index[slot] != 0; slot = (slot + 1) & names->index_mask) {
        if ((names->index[slot] & ~names->index_mask) != high_bits)
            continue;
        const struct names_entry *entry = entry_at_slot(names, slot);
        if (entry->hash_low == wanted->hash_low && entry->hash_high == wanted->hash_high)
            break;
    }
    return slot;
}

static uint32_t slot_of_position(const struct names *names, uint32_t at)
{
    uint32_t slot = slot_home(names, &names->ring[at]);
    while (position_at_slot(names, slot) != at)
        slot = (slot + 1) & names->index_mask;
    return slot;
}

/* Closes the gap, so that no probe ends early (Knuth, The Art of Computer Programming 3, 6.4 R). */
static void index_remove(struct names *names, uint32_t slot)
{
    uint32_t mask = names->index_mask;
    for (uint32_t next = (slot + 1) & mask; names->index[next] != 0; next = (next + 1) & mask) {
        uint32_t home = slot_home(names, entry_at_slot(names, next));
        if (((next - home) & mask) >= ((next - slot) & mask)) {
            names->index[slot] = names->index[next];
            slot = next;
        }
    }
    names->index[slot] = 0;
}

/* ---- ring ----------------------------------------------------------------------------------- */

static uint32_t position(const struct names *names, uint32_t nth_oldest)
{
    uint32_t at = names->oldest + nth_oldest;
    return at < names->names_max ? at : at - names->names_max;
}

/* Puts the entry at the end, unless there is one with its hash: false. There is room. */
static bool append(struct names *names, const struct names_entry *entry)
{
    assert(names->count < names->names_max);
    uint32_t slot = find_slot(names, entry);
    if (names->index[slot] != 0)
        return false;
    uint32_t at = position(names, names->count++);
    names->ring[at] = *entry;
    names->index[slot] = make_item(names, entry, at);
    return true;
}

/* Forgets the entry that the slot points at; the oldest takes its place in the ring. */
static void forget(struct names *names, uint32_t slot)
{
    uint32_t at = position_at_slot(names, slot);
    index_remove(names, slot);
    if (at != names->oldest) {
        uint32_t oldest_slot = slot_of_position(names, names->oldest);
        names->ring[at] = names->ring[names->oldest];
        names->index[oldest_slot] = make_item(names, &names->ring[at], at);
    }
    names->oldest = position(names, 1);
    names->count--;
    /* The one to go next; of an empty ring, an entry that means nothing. */
    __builtin_prefetch(&names->index[slot_home(names, &names->ring[names->oldest])], 1);
}

static void move_oldest_to_end(struct names *names, int64_t now_ms)
{
    uint32_t slot = slot_of_position(names, names->oldest);
    struct names_entry entry = names->ring[names->oldest];
    entry.kept_from_ms = now_ms;
    names->oldest = position(names, 1);
    uint32_t at = position(names, names->count - 1);
    names->ring[at] = entry;
    names->index[slot] = make_item(names, &entry, at);
}

/* ---- expiry --------------------------------------------------------------------------------- */

/* Whatever the numbers: where now_ms - retention_ms is below all times, nothing is that old. */
static bool is_past(const struct names_entry *entry, int64_t now_ms, int64_t retention_ms)
{
    assert(retention_ms >= 0);
    int64_t edge_ms;
    return !__builtin_sub_overflow(now_ms, retention_ms, &edge_ms) &&
           entry->kept_from_ms <= edge_ms;
}

static bool is_known(const struct names_entry *entry, int64_t now_ms, int64_t retention_ms,
                     names_is_held is_held, void *context)
{
    return !is_past(entry, now_ms, retention_ms) || is_held(context, entry->saga_id);
}

static void let_go(struct names *names, int64_t now_ms, int64_t retention_ms, names_is_held is_held,
                   void *context)
{
    uint32_t count = names->count; /* what is moved to the end is not looked at again */
    for (uint32_t i = 0; i < count && i < NAMES_LOOK_FULL_MAX; i++) {
        const struct names_entry *oldest = &names->ring[names->oldest];
        if (i >= NAMES_LOOK_MAX && names->count < names->names_max)
            return;
        if (!is_past(oldest, now_ms, retention_ms))
            return;
        if (is_held(context, oldest->saga_id))
            move_oldest_to_end(names, now_ms);
        else
            forget(names, slot_of_position(names, names->oldest));
    }
}

/* ---- the interface -------------------------------------------------------------------------- */

static uint64_t ring_bytes(const struct names *names)
{
    return (uint64_t)names->names_max * sizeof *names->ring;
}

static uint64_t index_bytes(const struct names *names)
{
    return ((uint64_t)names->index_mask + 1) * sizeof *names->index;
}

enum status names_open(uint32_t names_max, struct names **ret_names)
{
    if (names_max == 0 || names_max > NAMES_MAX)
        return STATUS_INVALID;
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return STATUS_NO_MEMORY;
    uint32_t index_capacity = 2;
    while (index_capacity < 2 * names_max)
        index_capacity *= 2;
    names->names_max = names_max;
    names->index_mask = index_capacity - 1;
    names->ring = region_map(ring_bytes(names), REGION_STATE);
    names->index = region_map(index_bytes(names), REGION_STATE);
    if (names->ring == NULL || names->index == NULL) {
        names_close(names);
        return STATUS_NO_MEMORY;
    }
    *ret_names = names;
    return STATUS_OK;
}

void names_close(struct names *names)
{
    if (names == NULL)
        return;
    region_unmap(names->ring, ring_bytes(names));
    region_unmap(names->index, index_bytes(names));
    free(names);
}

bool names_check(struct flyover_bytes name)
{
    if (name.count == 0 || name.count > NAMES_BYTES_MAX || !utf8_check(name.at, name.count))
        return false;
    for (uint32_t i = 0; i < name.count; i++) {
        uint8_t byte = name.at[i];
        /* C1 is U+0080 to U+009F: 0xc2 begins a character, and never is the last byte of one. */
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && name.at[i + 1] < 0xa0))
            return false;
    }
    return true;
}

uint64_t names_hash_input(struct flyover_bytes input)
{
    return XXH3_64bits(input.count > 0 ? input.at : (const uint8_t *)"", input.count);
}

static struct names_entry make_entry(struct flyover_bytes name)
{
    XXH128_hash_t hash = XXH3_128bits(name.count > 0 ? name.at : (const uint8_t *)"", name.count);
    return (struct names_entry){.hash_high = hash.high64, .hash_low = hash.low64};
}

const struct names_entry *names_find(const struct names *names, struct flyover_bytes name,
                                     int64_t now_ms, int64_t retention_ms, names_is_held is_held,
                                     void *context)
{
    struct names_entry wanted = make_entry(name);
    uint32_t slot = find_slot(names, &wanted);
    if (names->index[slot] == 0)
        return NULL;
    const struct names_entry *entry = entry_at_slot(names, slot);
    return is_known(entry, now_ms, retention_ms, is_held, context) ? entry : NULL;
}

bool names_has_room(const struct names *names, int64_t now_ms, int64_t retention_ms,
                    names_is_held is_held, void *context)
{
    if (names->count < names->names_max)
        return true;
    for (uint32_t i = 0; i < names->count && i < NAMES_LOOK_FULL_MAX; i++) {
        const struct names_entry *entry = &names->ring[position(names, i)];
        if (!is_past(entry, now_ms, retention_ms))
            return false;
        if (!is_held(context, entry->saga_id))
            return true;
    }
    return false;
}

void names_add(struct names *names, struct flyover_bytes name, uint64_t input_hash,
               uint64_t saga_id, int64_t now_ms, int64_t retention_ms, names_is_held is_held,
               void *context)
{
    let_go(names, now_ms, retention_ms, is_held, context);
    struct names_entry entry = make_entry(name);
    entry.input_hash = input_hash;
    entry.saga_id = saga_id;
    entry.kept_from_ms = now_ms;
    uint32_t slot = find_slot(names, &entry);
    if (names->index[slot] != 0) {
        /* It has expired further back in the ring. What is older has expired as well, so that the
         * order stays good enough when the oldest takes its place. */
        assert(!is_known(entry_at_slot(names, slot), now_ms, retention_ms, is_held, context));
        forget(names, slot);
    }
    bool appended = append(names, &entry);
    assert(appended);
}

uint32_t names_count(const struct names *names)
{
    return names->count;
}

uint32_t names_max(const struct names *names)
{
    return names->names_max;
}

/* ---- image and hash ------------------------------------------------------------------------- */

/* Entries from the oldest to the end of the array; the rest of them begins at its start. */
static uint32_t first_run_count(const struct names *names)
{
    uint32_t up_to_end = names->names_max - names->oldest;
    return names->count < up_to_end ? names->count : up_to_end;
}

void names_write_image(const struct names *names, struct image *image)
{
    uint32_t first = first_run_count(names);
    image_write_u64(image, sizeof *names->ring);
    image_write_u64(image, names->names_max);
    image_write_u64(image, names->count);
    image_write(image, names->ring + names->oldest, first * sizeof *names->ring);
    image_write(image, names->ring, (names->count - first) * sizeof *names->ring);
}

enum status names_read_image(struct image *image, struct names **ret_names)
{
    image_expect_u64(image, sizeof(struct names_entry));
    uint64_t names_max = image_read_u64(image);
    uint64_t count = image_read_u64(image);
    struct names *names;
    enum status status =
        names_max > NAMES_MAX ? STATUS_INVALID : names_open((uint32_t)names_max, &names);
    if (status != STATUS_OK) {
        image_refuse(image);
        return status;
    }
    if (count > names_max)
        image_refuse(image);
    for (uint64_t i = 0; i < count && image->status == STATUS_OK; i++) {
        struct names_entry entry;
        image_read(image, &entry, sizeof entry);
        if (!append(names, &entry))
            image_refuse(image);
    }
    *ret_names = names;
    return STATUS_OK;
}

void names_hash(const struct names *names, XXH3_state_t *hash)
{
    uint32_t first = first_run_count(names);
    const uint64_t figures[] = {names->names_max, names->count};
    XXH3_128bits_update(hash, figures, sizeof figures);
    XXH3_128bits_update(hash, names->ring + names->oldest, first * sizeof *names->ring);
    XXH3_128bits_update(hash, names->ring, (names->count - first) * sizeof *names->ring);
}
