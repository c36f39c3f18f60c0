#include "engine/client/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/client/subscription.h"
#include "engine/net/wire.h"

#define SLOT_BITS      20u
#define GENERATION_MAX 4095u
#define CAPACITY_FIRST 64u

void table_init(struct table *table)
{
    *table = (struct table){
        .free_first = TABLE_NONE, .failed_first = TABLE_NONE, .failed_last = TABLE_NONE};
}

static void forget(struct request *request)
{
    if (request->kind == WIRE_SUBSCRIBE)
        subscription_close(request->subscription);
    else
        free((void *)(uintptr_t)request->again.at);
    request->again = (struct flyover_bytes){NULL, 0};
    request->subscription = NULL;
}

void table_fini(struct table *table)
{
    for (uint32_t i = 0; i < table->used_count; i++)
        if (table->requests[i].state != REQUEST_FREE)
            forget(&table->requests[i]);
    free(table->requests);
    table_init(table);
}

static bool grow(struct table *table)
{
    uint32_t capacity = table->capacity == 0 ? CAPACITY_FIRST : table->capacity * 2;
    if (capacity > TABLE_SLOTS_MAX)
        return false;
    struct request *grown = realloc(table->requests, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + table->capacity, 0, (capacity - table->capacity) * sizeof *grown);
    table->requests = grown;
    table->capacity = capacity;
    return true;
}

static uint32_t acquire(struct table *table)
{
    uint32_t slot = table->free_first;
    if (slot != TABLE_NONE) {
        table->free_first = table->requests[slot].next;
        return slot;
    }
    if (table->used_count == table->capacity && !grow(table))
        return TABLE_NONE;
    return table->used_count++;
}

bool table_add(struct table *table, uint8_t kind, uint64_t word, uint32_t *ret_slot)
{
    uint32_t slot = acquire(table);
    if (slot == TABLE_NONE)
        return false;
    struct request *request = &table->requests[slot];
    assert(request->state == REQUEST_FREE);
    uint16_t generation = (uint16_t)(request->generation % GENERATION_MAX + 1);
    *request = (struct request){
        .word = word, .generation = generation, .kind = kind, .state = REQUEST_OPEN};
    table->open_count++;
    *ret_slot = slot;
    return true;
}

uint64_t table_id(const struct table *table, uint32_t slot)
{
    assert(slot < table->used_count);
    return (uint64_t)table->requests[slot].generation << SLOT_BITS | slot;
}

uint32_t table_find(const struct table *table, uint64_t id)
{
    uint32_t slot = (uint32_t)(id & (TABLE_SLOTS_MAX - 1));
    if (slot >= table->used_count)
        return TABLE_NONE;
    const struct request *request = &table->requests[slot];
    bool is_there = request->state == REQUEST_OPEN || request->state == REQUEST_SERVING;
    return is_there && request->generation == id >> SLOT_BITS ? slot : TABLE_NONE;
}

bool table_keep(struct table *table, uint32_t slot, const uint8_t *bytes, size_t count)
{
    struct request *request = &table->requests[slot];
    assert(request->again.at == NULL && count > 0);
    uint8_t *copy = malloc(count);
    if (copy == NULL)
        return false;
    memcpy(copy, bytes, count);
    request->again = (struct flyover_bytes){copy, (uint32_t)count};
    return true;
}

static void leave(struct table *table, struct request *request)
{
    if (request->state == REQUEST_OPEN)
        table->open_count--;
    if (request->is_abandoned)
        table->abandoned_count--;
    request->is_abandoned = false;
}

void table_remove(struct table *table, uint32_t slot)
{
    struct request *request = &table->requests[slot];
    assert(request->state != REQUEST_FREE);
    leave(table, request);
    if (request->again.at != NULL)
        forget(request);
    request->state = REQUEST_FREE;
    request->next = table->free_first;
    table->free_first = slot;
}

void table_fail(struct table *table, uint32_t slot, enum flyover_status status)
{
    struct request *request = &table->requests[slot];
    assert(request->state == REQUEST_OPEN || request->state == REQUEST_SERVING);
    if (request->is_abandoned) {
        table_remove(table, slot); /* nobody wants to know */
        return;
    }
    leave(table, request);
    request->state = REQUEST_FAILED;
    request->failed_status = (uint8_t)status;
    request->next = TABLE_NONE;
    if (request->is_private)
        return; /* the call that waits looks at it itself */
    if (table->failed_last == TABLE_NONE)
        table->failed_first = slot;
    else
        table->requests[table->failed_last].next = slot;
    table->failed_last = slot;
}

uint32_t table_next_failed(struct table *table)
{
    uint32_t slot = table->failed_first;
    if (slot == TABLE_NONE)
        return slot;
    table->failed_first = table->requests[slot].next;
    if (table->failed_first == TABLE_NONE)
        table->failed_last = TABLE_NONE;
    return slot;
}

void table_serve(struct table *table, uint32_t slot)
{
    struct request *request = &table->requests[slot];
    assert(request->kind == WIRE_REGISTER);
    if (request->state == REQUEST_OPEN)
        table->open_count--;
    request->state = REQUEST_SERVING;
    request->is_private = false;
}
