#include "engine/client/subscription.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/wire.h"

static bool copy(const char *text, char **ret_copy)
{
    *ret_copy = text == NULL ? NULL : strdup(text);
    return text == NULL || *ret_copy != NULL;
}

struct subscription *subscription_open(const char *definition, const char *states,
                                       const char *after)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (subscription == NULL)
        return NULL;
    if (!copy(definition, &subscription->definition) || !copy(states, &subscription->states)) {
        subscription_close(subscription);
        return NULL;
    }
    if (after != NULL) {
        assert(strlen(after) <= SUBSCRIPTION_POSITION_BYTES_MAX);
        strcpy(subscription->after, after);
    }
    return subscription;
}

void subscription_close(struct subscription *subscription)
{
    if (subscription == NULL)
        return;
    free(subscription->definition);
    free(subscription->states);
    free(subscription);
}

bool subscription_on_event(struct subscription *subscription, struct flyover_bytes position)
{
    if (position.count > SUBSCRIPTION_POSITION_BYTES_MAX)
        return false;
    memcpy(subscription->after, position.at, position.count);
    subscription->after[position.count] = '\0';
    subscription->kept_count++;
    return true;
}

uint32_t subscription_give(struct subscription *subscription)
{
    assert(subscription->kept_count > 0);
    subscription->kept_count--;
    subscription->given_count++;
    if (subscription->given_count < SUBSCRIPTION_CREDIT / 2)
        return 0;
    uint32_t credit = subscription->given_count;
    subscription->given_count = 0;
    return credit;
}

size_t subscription_bytes_max(const struct subscription *subscription)
{
    /* A state of one byte takes a head as well. */
    size_t states = subscription->states == NULL ? 0 : 2 * strlen(subscription->states);
    size_t definition = subscription->definition == NULL ? 0 : strlen(subscription->definition);
    return WIRE_HEAD_BYTES_MAX + states + definition + strlen(subscription->after);
}

static uint32_t count_states(const char *states)
{
    uint32_t count = 1;
    for (; *states != '\0'; states++)
        count += *states == ',';
    return count;
}

static uint8_t *put_states(const char *states, uint8_t *at)
{
    at = wire_put_string(at, "states");
    at = wire_put_array(at, count_states(states));
    for (;;) {
        size_t bytes = strcspn(states, ",");
        at = wire_put_text(at, (struct flyover_bytes){(const uint8_t *)states, (uint32_t)bytes});
        if (states[bytes] == '\0')
            return at;
        states += bytes + 1;
    }
}

uint8_t *subscription_put(struct subscription *subscription, uint64_t id, uint8_t *at)
{
    bool is_after = subscription->after[0] != '\0';
    at = wire_put_array(at, 3);
    at = wire_put_uint(at, WIRE_SUBSCRIBE);
    at = wire_put_uint(at, id);
    at = wire_put_map(at, 1u + (subscription->definition != NULL) + (subscription->states != NULL) +
                              is_after);
    if (subscription->definition != NULL)
        at = wire_put_string(wire_put_string(at, "definition"), subscription->definition);
    if (subscription->states != NULL)
        at = put_states(subscription->states, at);
    if (is_after)
        at = wire_put_string(wire_put_string(at, "after"), subscription->after);
    subscription->given_count = 0;
    at = wire_put_string(at, "credit");
    uint32_t kept_count = subscription->kept_count;
    return wire_put_uint(at,
                         kept_count < SUBSCRIPTION_CREDIT ? SUBSCRIPTION_CREDIT - kept_count : 1);
}
