#include "tests/partition/dispatch_oracle.h"

#include <stddef.h>

#include "engine/flyover_service.h"
#include "engine/partition/dispatch.h"

#define FORWARD      FLYOVER_FORWARD
#define COMPENSATION FLYOVER_COMPENSATION
#define NONE         DISPATCH_ORACLE_NONE
#define ANY          UINT32_MAX /* phase or plan */

static uint32_t count_waiting(const struct dispatch_oracle *oracle, uint32_t service,
                              uint32_t phase, uint32_t plan)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < DISPATCH_ORACLE_BRANCHES; i++) {
        const struct dispatch_oracle_entry *entry = &oracle->entries[i];
        count += entry->waits && entry->service == service &&
                 (phase == ANY || entry->phase == phase) && (plan == ANY || entry->plan == plan);
    }
    return count;
}

void dispatch_oracle_push(struct dispatch_oracle *oracle, uint32_t branch,
                          struct dispatch_oracle_entry entry)
{
    oracle->entries[branch].waits = false;
    if (count_waiting(oracle, entry.service, entry.phase, entry.plan) == 0)
        oracle->round_at[entry.service][entry.phase][entry.plan] = ++oracle->clock;
    entry.waits = true;
    entry.pushed = ++oracle->clock;
    oracle->entries[branch] = entry;
}

uint32_t dispatch_oracle_next(const struct dispatch_oracle *oracle, uint32_t service)
{
    if (oracle->in_flight_max[service] != 0 &&
        oracle->in_flight[service] >= oracle->in_flight_max[service])
        return NONE;
    bool forward = count_waiting(oracle, service, FORWARD, ANY) > 0;
    bool compensation = count_waiting(oracle, service, COMPENSATION, ANY) > 0;
    uint32_t phase =
        compensation && !(forward && oracle->streak[service] == 15) ? COMPENSATION : FORWARD;
    uint32_t best = NONE;
    for (uint32_t i = 0; i < DISPATCH_ORACLE_BRANCHES; i++) {
        const struct dispatch_oracle_entry *entry = &oracle->entries[i];
        if (!entry->waits || entry->service != service || entry->phase != phase)
            continue;
        const uint64_t *round_at = oracle->round_at[service][phase];
        const struct dispatch_oracle_entry *than = best == NONE ? NULL : &oracle->entries[best];
        if (than == NULL || round_at[entry->plan] < round_at[than->plan] ||
            (entry->plan == than->plan && entry->pushed < than->pushed))
            best = i;
    }
    return best;
}

void dispatch_oracle_went(struct dispatch_oracle *oracle, uint32_t branch)
{
    const struct dispatch_oracle_entry *entry = &oracle->entries[branch];
    oracle->in_flight[entry->service]++;
    oracle->round_at[entry->service][entry->phase][entry->plan] = ++oracle->clock;
    bool passed =
        entry->phase == COMPENSATION && count_waiting(oracle, entry->service, FORWARD, ANY) > 0;
    oracle->streak[entry->service] = passed ? oracle->streak[entry->service] + 1 : 0;
}

uint32_t dispatch_oracle_waiting(const struct dispatch_oracle *oracle, uint32_t service)
{
    return count_waiting(oracle, service, ANY, ANY);
}
