#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/edge/sqs_in_parts.h"

#define HEADS_MAX (2 * SQS_IN_KNOWN_MAX) /* a power of two */

/* A ring of ids, as 128 bits each, which are not anybody's choice; and chains of those that begin
 * with the same bits. Places count from 1; 0: none. */
struct sqs_known {
    XXH128_hash_t ids[SQS_IN_KNOWN_MAX];
    uint16_t next[SQS_IN_KNOWN_MAX];
    uint16_t heads[HEADS_MAX];
    uint64_t added;
};

static_assert(SQS_IN_KNOWN_MAX < UINT16_MAX, "a place has 16 bits");

static uint16_t *head_of(struct sqs_known *known, XXH128_hash_t id)
{
    return &known->heads[id.low64 % HEADS_MAX];
}

static bool has(const struct sqs_known *known, XXH128_hash_t id)
{
    uint16_t at = known->heads[id.low64 % HEADS_MAX];
    while (at != 0 && !XXH128_isEqual(known->ids[at - 1], id))
        at = known->next[at - 1];
    return at != 0;
}

bool sqs_known_has(const struct sqs_known *known, const char *id)
{
    return known && has(known, XXH3_128bits(id, strlen(id)));
}

static void remove_oldest(struct sqs_known *known, uint16_t place)
{
    uint16_t *at = head_of(known, known->ids[place - 1]);
    while (*at != place)
        at = &known->next[*at - 1];
    *at = known->next[place - 1];
}

void sqs_known_add(struct sqs_known **known_at, const char *id)
{
    struct sqs_known *known = *known_at;
    if (!known)
        known = *known_at = calloc(1, sizeof(*known));
    XXH128_hash_t hash = XXH3_128bits(id, strlen(id));
    if (!known || has(known, hash))
        return;
    uint16_t place = (uint16_t)(known->added % SQS_IN_KNOWN_MAX + 1);
    if (known->added++ >= SQS_IN_KNOWN_MAX)
        remove_oldest(known, place);
    known->ids[place - 1] = hash;
    known->next[place - 1] = *head_of(known, hash);
    *head_of(known, hash) = place;
}
