#include "tests/saga/names_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

bool rig_running[SAGAS_MAX];
uint32_t rig_asked_count;

bool rig_runs(void *context, uint64_t saga_id)
{
    const bool *sagas = context;
    rig_asked_count++;
    return saga_id < SAGAS_MAX && sagas[saga_id];
}

int rig_set_up(void **state)
{
    (void)state;
    memset(rig_running, 0, sizeof rig_running);
    rig_asked_count = 0;
    return 0;
}

struct flyover_bytes rig_text(const char *string)
{
    return (struct flyover_bytes){(const uint8_t *)string, (uint32_t)strlen(string)};
}

struct flyover_bytes rig_numbered(uint64_t number)
{
    static char name[32];
    snprintf(name, sizeof name, "order-%llu", (unsigned long long)number);
    return rig_text(name);
}

struct names *rig_open(uint32_t names_max)
{
    struct names *names = NULL;
    assert_int_equal(names_open(names_max, &names), STATUS_OK);
    return names;
}

uint64_t rig_find(const struct names *names, struct flyover_bytes name, int64_t now_ms)
{
    const struct names_entry *entry =
        names_find(names, name, now_ms, RETENTION_MS, rig_runs, rig_running);
    return entry == NULL ? 0 : entry->saga_id;
}

void rig_add(struct names *names, struct flyover_bytes name, uint64_t saga_id, int64_t now_ms)
{
    names_add(names, name, saga_id * 7, saga_id, now_ms, RETENTION_MS, rig_runs, rig_running);
}

bool rig_has_room(const struct names *names, int64_t now_ms)
{
    return names_has_room(names, now_ms, RETENTION_MS, rig_runs, rig_running);
}

XXH128_hash_t rig_digest(const struct names *names)
{
    XXH3_state_t *hash = XXH3_createState();
    assert_non_null(hash);
    XXH3_128bits_reset(hash);
    names_hash(names, hash);
    XXH128_hash_t digest = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    return digest;
}

void rig_assert_same(const struct names *left, const struct names *right)
{
    assert_int_equal(names_count(left), names_count(right));
    assert_true(XXH128_isEqual(rig_digest(left), rig_digest(right)));
}

uint32_t rig_draw(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)((*seed >> 16) % below);
}

/* ---- images --------------------------------------------------------------------------------- */

static struct image image;

static int begin_write(void)
{
    int file = memfd_create("names", MFD_CLOEXEC);
    assert_true(file >= 0);
    image_init(&image, file);
    return file;
}

int rig_write(const struct names *names)
{
    int file = begin_write();
    names_write_image(names, &image);
    assert_int_equal(image_finish_write(&image), STATUS_OK);
    return file;
}

int rig_write_raw(uint64_t entry_bytes, uint64_t names_max, uint64_t count,
                  const struct names_entry *entries, uint32_t entries_count)
{
    int file = begin_write();
    image_write_u64(&image, entry_bytes);
    image_write_u64(&image, names_max);
    image_write_u64(&image, count);
    image_write(&image, entries, entries_count * sizeof *entries);
    assert_int_equal(image_finish_write(&image), STATUS_OK);
    return file;
}

struct names *rig_read(int file)
{
    struct names *names = NULL;
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    image_init(&image, file);
    enum status status = names_read_image(&image, &names);
    enum status finished = image_finish_read(&image);
    if (status != STATUS_OK)
        assert_null(names);
    if (status == STATUS_OK && finished == STATUS_OK)
        return names;
    assert_int_equal(finished, STATUS_CORRUPT);
    names_close(names);
    return NULL;
}

struct names *rig_read_back(const struct names *names)
{
    int file = rig_write(names);
    struct names *read = rig_read(file);
    assert_non_null(read);
    close(file);
    return read;
}

void rig_assert_refused(int file)
{
    assert_null(rig_read(file));
    close(file);
}
