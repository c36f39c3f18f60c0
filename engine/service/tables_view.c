#include "engine/base/region.h"
#include "engine/service/tables_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void tables_each(const struct tables *tables, uint32_t table, flyover_visit visit, void *context)
{
    assert(table < tables->tables_count);
    slab_ref ref = tables->tables[table].oldest;
    while (ref.at != 0) {
        const struct entry *entry = entry_at(tables, ref);
        struct flyover_bytes key = {entry->key, entry->key_bytes};
        struct flyover_bytes value = {entry->key + entry->key_bytes, entry->value_bytes};
        visit(context, key, value, entry->count);
        ref = entry->newer;
    }
}

static void hash_entry(void *context, struct flyover_bytes key, struct flyover_bytes value,
                       int64_t count)
{
    uint64_t *digest = context;
    *digest = XXH3_64bits_withSeed(key.at, key.count, *digest);
    *digest = XXH3_64bits_withSeed(value.at, value.count, *digest);
    *digest = XXH3_64bits_withSeed(&count, sizeof count, *digest);
}

uint64_t tables_digest(const struct tables *tables)
{
    uint64_t digest = 0;
    for (uint32_t i = 0; i < tables->tables_count; i++) {
        digest =
            XXH3_64bits_withSeed(tables->tables[i].name, strlen(tables->tables[i].name), digest);
        tables_each(tables, i, hash_entry, &digest);
    }
    return digest;
}

/* ---- image ---------------------------------------------------------------------------------- */

void tables_write_image(const struct tables *tables, struct image *image)
{
    assert(!tables->in_call);
    image_write_u64(image, sizeof(struct table));
    image_write_u64(image, sizeof(struct entry));
    image_write_u64(image, tables->tables_count);
    image_write(image, tables->tables, tables->tables_count * sizeof *tables->tables);
    image_write_u64(image, tables->index_capacity);
    image_write_u64(image, tables->index_used);
    image_write(image, tables->index, tables->index_capacity * sizeof *tables->index);
    slab_write_image(tables->slab, image);
}

static void read_index(struct image *image, struct tables *tables)
{
    uint64_t capacity = image_read_u64(image);
    tables->index_used = (uint32_t)image_read_u64(image);
    if (capacity == 0 || capacity > 2 * (uint64_t)TABLES_ENTRIES_MAX * FLYOVER_TABLES_MAX ||
        (capacity & (capacity - 1)) != 0) {
        image_refuse(image);
        return;
    }
    tables->index = region_map((uint64_t)capacity * sizeof *tables->index, REGION_STATE);
    tables->index_capacity = (uint32_t)capacity;
    if (tables->index == NULL)
        image_refuse(image);
    else
        image_read(image, tables->index, capacity * sizeof *tables->index);
}

enum status tables_read_image(struct image *image, struct tables **ret_tables)
{
    struct tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL)
        return STATUS_NO_MEMORY;
    image_expect_u64(image, sizeof(struct table));
    image_expect_u64(image, sizeof(struct entry));
    uint64_t count = image_read_u64(image);
    if (count > FLYOVER_TABLES_MAX) {
        count = 0;
        image_refuse(image);
    }
    tables->tables_count = (uint32_t)count;
    image_read(image, tables->tables, tables->tables_count * sizeof *tables->tables);
    read_index(image, tables);
    enum status status = slab_read_image(image, &tables->slab);
    if (status != STATUS_OK) {
        tables_close(tables);
        return status;
    }
    *ret_tables = tables;
    return STATUS_OK;
}
