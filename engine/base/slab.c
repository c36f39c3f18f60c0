#include "engine/base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/region.h"

#define UNIT_BYTES 16u
#define NO_PAGE    UINT32_MAX

/* Stands before every object. */
struct object {
    uint32_t bytes_count;
    uint32_t holders_count;
};

/* Sizes with the object's header, each a multiple of UNIT_BYTES. */
static const uint32_t class_bytes[] = {
    32,   48,   64,   96,    128,   192,   256,   384,   512,   768,   1024,   1536,   2048,   3072,
    4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152, 65536, 98304, 131072, 196608, 262160,
};
#define CLASSES_COUNT (sizeof class_bytes / sizeof class_bytes[0])

struct page {
    uint32_t class;
    uint32_t used_count;
    uint32_t bump_bytes; /* first byte never handed out */
    uint32_t free_unit;  /* head of the list of freed objects, 0 for none */
    uint32_t next;       /* in the class's list of pages with room, or of empty pages */
    uint32_t previous;
    bool listed;
};

struct slab {
    uint8_t *region;
    uint64_t region_bytes;
    uint32_t pages_count;
    uint32_t pages_used;
    uint32_t pages_touched; /* pages at and above were never used */
    uint32_t empty_page;
    uint32_t open_page[CLASSES_COUNT];
    uint8_t small_class[1024 / UNIT_BYTES + 1]; /* by units, for the sizes that are common */
    struct page *pages;
};

static uint32_t class_of(const struct slab *slab, uint32_t bytes)
{
    if (bytes <= 1024)
        return slab->small_class[(bytes + UNIT_BYTES - 1) / UNIT_BYTES];
    uint32_t class = slab->small_class[1024 / UNIT_BYTES];
    while (class_bytes[class] < bytes)
        class ++;
    assert(class < CLASSES_COUNT);
    return class;
}

enum status slab_open(uint64_t bytes_max, struct slab **ret_slab)
{
    uint64_t region_bytes = (bytes_max + SLAB_PAGE_BYTES - 1) / SLAB_PAGE_BYTES * SLAB_PAGE_BYTES;
    if (region_bytes == 0 || region_bytes > SLAB_REGION_BYTES_MAX)
        return STATUS_INVALID;
    struct slab *slab = calloc(1, sizeof *slab);
    if (slab == NULL)
        return STATUS_NO_MEMORY;
    slab->region_bytes = region_bytes;
    slab->pages_count = (uint32_t)(region_bytes / SLAB_PAGE_BYTES);
    slab->pages = calloc(slab->pages_count, sizeof *slab->pages);
    slab->region = region_map(region_bytes, REGION_STATE);
    if (slab->pages == NULL || slab->region == NULL) {
        region_unmap(slab->region, region_bytes);
        free(slab->pages);
        free(slab);
        return STATUS_NO_MEMORY;
    }
    slab->empty_page = NO_PAGE;
    for (size_t class = 0; class < CLASSES_COUNT; class ++)
        slab->open_page[class] = NO_PAGE;
    uint8_t class = 0;
    for (uint32_t units = 0; units <= 1024 / UNIT_BYTES; units++) {
        while (class_bytes[class] < units * UNIT_BYTES)
            class ++;
        slab->small_class[units] = class;
    }
    *ret_slab = slab;
    return STATUS_OK;
}

void slab_close(struct slab *slab)
{
    if (slab == NULL)
        return;
    region_unmap(slab->region, slab->region_bytes);
    free(slab->pages);
    free(slab);
}

static void list_page(struct slab *slab, uint32_t index)
{
    struct page *page = &slab->pages[index];
    assert(!page->listed);
    uint32_t head = slab->open_page[page->class];
    page->listed = true;
    page->next = head;
    page->previous = NO_PAGE;
    if (head != NO_PAGE)
        slab->pages[head].previous = index;
    slab->open_page[page->class] = index;
}

static void unlist_page(struct slab *slab, uint32_t index)
{
    struct page *page = &slab->pages[index];
    assert(page->listed);
    page->listed = false;
    if (page->next != NO_PAGE)
        slab->pages[page->next].previous = page->previous;
    if (page->previous != NO_PAGE)
        slab->pages[page->previous].next = page->next;
    else
        slab->open_page[page->class] = page->next;
}

/* Gives the class a page with room, or NO_PAGE when the region is full. */
static uint32_t open_page(struct slab *slab, uint32_t class)
{
    uint32_t index = slab->empty_page;
    if (index != NO_PAGE)
        slab->empty_page = slab->pages[index].next;
    else if (slab->pages_touched < slab->pages_count)
        index = slab->pages_touched++;
    else
        return NO_PAGE;
    struct page *page = &slab->pages[index];
    memset(page, 0, sizeof *page);
    page->class = class;
    page->bump_bytes = index == 0 ? UNIT_BYTES : 0; /* reference 0 is no object */
    slab->pages_used++;
    list_page(slab, index);
    return index;
}

static struct object *object_at(const struct slab *slab, slab_ref ref)
{
    assert(ref.at != 0);
    return (struct object *)(slab->region + (uint64_t)ref.at * UNIT_BYTES);
}

static bool page_has_room(const struct page *page)
{
    return page->free_unit != 0 || page->bump_bytes + class_bytes[page->class] <= SLAB_PAGE_BYTES;
}

slab_ref slab_acquire(struct slab *slab, uint32_t bytes)
{
    assert(bytes > 0 && bytes <= SLAB_OBJECT_BYTES_MAX);
    uint32_t class = class_of(slab, bytes + (uint32_t)sizeof(struct object));
    uint32_t index = slab->open_page[class];
    if (index == NO_PAGE) {
        index = open_page(slab, class);
        if (index == NO_PAGE)
            return SLAB_NONE;
    }
    struct page *page = &slab->pages[index];
    slab_ref ref;
    if (page->free_unit != 0) {
        ref.at = page->free_unit;
        memcpy(&page->free_unit, object_at(slab, ref), sizeof page->free_unit);
    } else {
        uint64_t offset = (uint64_t)index * SLAB_PAGE_BYTES + page->bump_bytes;
        ref.at = (uint32_t)(offset / UNIT_BYTES);
        page->bump_bytes += class_bytes[class];
    }
    page->used_count++;
    if (!page_has_room(page))
        unlist_page(slab, index);
    *object_at(slab, ref) = (struct object){bytes, 1};
    return ref;
}

void slab_retain(struct slab *slab, slab_ref ref)
{
    struct object *object = object_at(slab, ref);
    assert(object->holders_count > 0);
    object->holders_count++;
}

static void free_object(struct slab *slab, slab_ref ref)
{
    uint32_t index = (uint32_t)((uint64_t)ref.at * UNIT_BYTES / SLAB_PAGE_BYTES);
    struct page *page = &slab->pages[index];
    memcpy(object_at(slab, ref), &page->free_unit, sizeof page->free_unit);
    page->free_unit = ref.at;
    assert(page->used_count > 0);
    page->used_count--;
    if (!page->listed)
        list_page(slab, index);
    /* Also the last of its class: a class that is out of use would keep it from all others. */
    if (page->used_count == 0) {
        unlist_page(slab, index);
        page->next = slab->empty_page;
        slab->empty_page = index;
        slab->pages_used--;
    }
}

void slab_release(struct slab *slab, slab_ref ref)
{
    if (ref.at == 0)
        return;
    struct object *object = object_at(slab, ref);
    assert(object->holders_count > 0);
    if (--object->holders_count == 0)
        free_object(slab, ref);
}

uint8_t *slab_bytes(const struct slab *slab, slab_ref ref)
{
    return (uint8_t *)(object_at(slab, ref) + 1);
}

const uint8_t *slab_region(const struct slab *slab)
{
    return slab->region;
}

const uint8_t *slab_bytes_in(const uint8_t *region, slab_ref ref)
{
    assert(ref.at != 0);
    return region + (uint64_t)ref.at * UNIT_BYTES + sizeof(struct object);
}

uint32_t slab_bytes_count(const struct slab *slab, slab_ref ref)
{
    return object_at(slab, ref)->bytes_count;
}

uint64_t slab_used_bytes(const struct slab *slab)
{
    return (uint64_t)slab->pages_used * SLAB_PAGE_BYTES;
}

uint64_t slab_region_bytes(const struct slab *slab)
{
    return slab->region_bytes;
}

void slab_write_image(const struct slab *slab, struct image *image)
{
    image_write_u64(image, slab->region_bytes);
    image_write_u64(image, sizeof(struct page));
    image_write_u64(image, slab->pages_used);
    image_write_u64(image, slab->pages_touched);
    image_write_u64(image, slab->empty_page);
    image_write(image, slab->open_page, sizeof slab->open_page);
    image_write(image, slab->pages, slab->pages_touched * sizeof *slab->pages);
    for (uint32_t i = 0; i < slab->pages_touched; i++)
        if (slab->pages[i].used_count > 0)
            image_write(image, slab->region + (uint64_t)i * SLAB_PAGE_BYTES,
                        slab->pages[i].bump_bytes);
}

static void read_pages(struct image *image, struct slab *slab)
{
    for (uint32_t i = 0; i < slab->pages_touched; i++) {
        struct page *page = &slab->pages[i];
        if (page->used_count == 0) {
            /* Nothing in it is kept, so its free list is begun anew. */
            page->free_unit = 0;
            page->bump_bytes = i == 0 ? UNIT_BYTES : 0;
        } else if (page->class < CLASSES_COUNT && page->bump_bytes <= SLAB_PAGE_BYTES) {
            image_read(image, slab->region + (uint64_t)i * SLAB_PAGE_BYTES, page->bump_bytes);
        } else {
            image_refuse(image);
        }
    }
}

enum status slab_read_image(struct image *image, struct slab **ret_slab)
{
    struct slab *slab;
    enum status status = slab_open(image_read_u64(image), &slab);
    if (status != STATUS_OK) {
        image_refuse(image);
        return status;
    }
    image_expect_u64(image, sizeof(struct page));
    slab->pages_used = (uint32_t)image_read_u64(image);
    slab->pages_touched = (uint32_t)image_read_u64(image);
    slab->empty_page = (uint32_t)image_read_u64(image);
    image_read(image, slab->open_page, sizeof slab->open_page);
    if (slab->pages_touched > slab->pages_count) {
        slab->pages_touched = 0;
        image_refuse(image);
    }
    image_read(image, slab->pages, slab->pages_touched * sizeof *slab->pages);
    read_pages(image, slab);
    *ret_slab = slab;
    return STATUS_OK;
}
