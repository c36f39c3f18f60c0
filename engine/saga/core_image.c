#include <assert.h>
#include <string.h>

#include "engine/saga/core_state.h"

/* The arrays hold numbers and no pointers, so what lies in memory is what goes into the image. */

void core_write_image(const struct core *core, struct image *image)
{
    image_write_u64(image, core->limits.sagas_max);
    image_write_u64(image, core->limits.payload_bytes_max);
    image_write_u64(image, core->limits.seed);
    image_write_u64(image, core->limits.names_max);
    image_write_u64(image, core->limits.name_retention_ms);
    image_write_u64(image, sizeof(struct saga));
    image_write_u64(image, sizeof(struct branch));
    image_write_u64(image, sizeof(struct completed));
    image_write_u64(image, sizeof(struct core_totals));
    image_write(image, &core->sagas_pool, sizeof core->sagas_pool);
    image_write(image, &core->branches_pool, sizeof core->branches_pool);
    image_write(image, &core->completed_pool, sizeof core->completed_pool);
    image_write_u64(image, core->branches_reserved);
    image_write_u64(image, core->saga_id_last);
    image_write(image, &core->totals, sizeof core->totals);
    image_write_u64(image, core->errors_count);
    image_write(image, core->errors, sizeof core->errors);
    image_write_u64(image, core->sources_count);
    image_write(image, core->sources, sizeof core->sources);
    image_write(image, core->plan_live, sizeof core->plan_live);
    image_write(image, core->sagas, core->sagas_pool.touched * sizeof *core->sagas);
    image_write(image, core->branches, core->branches_pool.touched * sizeof *core->branches);
    image_write(image, core->completed, core->completed_pool.touched * sizeof *core->completed);
    slab_write_image(core->payloads, image);
    if (core->names != NULL)
        names_write_image(core->names, image);
}

static void read_pool(struct image *image, struct pool *pool)
{
    struct pool read;
    image_read(image, &read, sizeof read);
    if (read.capacity != pool->capacity || read.touched > read.capacity)
        image_refuse(image);
    else
        *pool = read;
}

enum status core_read_image(struct image *image, struct core **ret_core)
{
    struct core_limits limits;
    limits.sagas_max = (uint32_t)image_read_u64(image);
    limits.payload_bytes_max = image_read_u64(image);
    limits.seed = image_read_u64(image);
    limits.names_max = (uint32_t)image_read_u64(image);
    limits.name_retention_ms = image_read_u64(image);
    struct core *core;
    enum status status = core_open(&limits, &core);
    if (status != STATUS_OK) {
        image_refuse(image);
        return status;
    }
    image_expect_u64(image, sizeof(struct saga));
    image_expect_u64(image, sizeof(struct branch));
    image_expect_u64(image, sizeof(struct completed));
    image_expect_u64(image, sizeof(struct core_totals));
    read_pool(image, &core->sagas_pool);
    read_pool(image, &core->branches_pool);
    read_pool(image, &core->completed_pool);
    core->branches_reserved = (uint32_t)image_read_u64(image);
    core->saga_id_last = image_read_u64(image);
    image_read(image, &core->totals, sizeof core->totals);
    core->errors_count = (uint32_t)image_read_u64(image);
    image_read(image, core->errors, sizeof core->errors);
    core->sources_count = (uint32_t)image_read_u64(image);
    image_read(image, core->sources, sizeof core->sources);
    image_read(image, core->plan_live, sizeof core->plan_live);
    image_read(image, core->sagas, core->sagas_pool.touched * sizeof *core->sagas);
    /* Whoever waited for these did so in another process. */
    for (uint32_t i = 0; i < core->sagas_pool.touched; i++)
        core->sagas[i].token = 0;
    image_read(image, core->branches, core->branches_pool.touched * sizeof *core->branches);
    image_read(image, core->completed, core->completed_pool.touched * sizeof *core->completed);
    if (image->status == STATUS_OK)
        core_index_rebuild(core);
    slab_close(core->payloads);
    core->payloads = NULL;
    status = slab_read_image(image, &core->payloads);
    if (status == STATUS_OK && limits.names_max > 0) {
        names_close(core->names);
        core->names = NULL;
        status = names_read_image(image, &core->names);
    }
    if (status != STATUS_OK) {
        core_close(core);
        return status;
    }
    *ret_core = core;
    return STATUS_OK;
}
