#include "tests/sim/sim_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint8_t input_bytes[SIM_INPUT_MAX + 64];

static struct flyover_bytes draw_input(uint64_t token)
{
    uint32_t pad = sim->habits.pad_max == 0 ? 0 : chance_draw(&sim->chance, sim->habits.pad_max);
    uint8_t *at = input_bytes;
    *at++ = 0x83;
    *at++ = 0xa1, *at++ = 't', *at++ = 0xcd;
    *at++ = (uint8_t)(token >> 8), *at++ = (uint8_t)token;
    *at++ = 0xa1, *at++ = 'n', *at++ = (uint8_t)chance_draw(&sim->chance, 10);
    *at++ = 0xa1, *at++ = 'p', *at++ = 0xc6;
    *at++ = (uint8_t)(pad >> 24), *at++ = (uint8_t)(pad >> 16);
    *at++ = (uint8_t)(pad >> 8), *at++ = (uint8_t)pad;
    memset(at, (int)(token & 0xff), pad);
    return (struct flyover_bytes){input_bytes, (uint32_t)(at - input_bytes) + pad};
}

void sim_client_start(void)
{
    uint32_t plan = sim->plans[chance_draw(&sim->chance, sim->scripts_count)];
    if (plan == PARTITION_NO_PLAN || sim->token_last >= STARTS_MAX)
        return;
    uint64_t token = sim->token_last + 1;
    enum status status =
        partition_start(sim->partition, plan, EVENT_NO_SOURCE, draw_input(token), token);
    sim_trace(status);
    verdict_check(status == STATUS_OK || status == STATUS_BUSY, "a start says: %s",
                  status_text(status));
    if (status != STATUS_OK)
        return;
    sim->token_last = token;
    sim->waiting_count++;
}

void sim_client_take_replies(void)
{
    struct reply reply;
    while (partition_next_reply(sim->partition, &reply)) {
        ledger_reply(&sim->ledger, reply.saga_id, reply.token, reply.outcome);
        sim_trace(chance_mix(reply.saga_id, reply.outcome));
        sim->told[sim->told_count++] = (struct told){reply.saga_id, reply.outcome};
        verdict_check(sim->waiting_count > 0, "more replies than starts");
        sim->waiting_count--;
        sim_figures.replies++;
    }
}

void sim_client_check_told(void)
{
    for (uint32_t i = 0; i < sim->told_count; i++) {
        const struct told *told = &sim->told[i];
        verdict_check(told->saga_id <= sim->ledger.sagas_count &&
                          sim->ledger.sagas[told->saga_id].outcome == told->outcome,
                      "saga %" PRIu64 " was reported as %s, and that is lost", told->saga_id,
                      outcome_text(told->outcome));
    }
}

void sim_client_forget_lost(void)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->told_count; i++)
        if (sim->told[i].saga_id <= sim->ledger.sagas_count &&
            sim->ledger.sagas[sim->told[i].saga_id].outcome == sim->told[i].outcome)
            sim->told[kept++] = sim->told[i];
    sim->told_count = kept;
}

void sim_client_define(uint32_t index)
{
    const struct script *script = sim->scripts[index];
    struct problem problem = {0};
    enum status status = partition_define(sim->partition, script->name, script->name, script->text,
                                          script->text_bytes, &sim->plans[index], &problem);
    verdict_check(status == STATUS_OK || status == STATUS_BUSY, "%s in %s", problem.text,
                  script->text);
    sim_trace(status);
}

void sim_client_draw_script(void)
{
    if (sim->scripts_count == SCRIPTS_MAX)
        return;
    struct script *script = malloc(sizeof *script);
    assert(script != NULL);
    script_draw(script, &sim->chance, chance_draw(&sim->chance, SCRIPTS_MAX / 2));
    sim->plans[sim->scripts_count] = PARTITION_NO_PLAN;
    sim->scripts[sim->scripts_count++] = script;
}
