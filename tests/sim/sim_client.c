#include "tests/sim/sim_parts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t input_bytes[SIM_INPUT_MAX + 64];

/* The same for the same token, so that a start can be sent twice. */
static struct flyover_bytes draw_input(uint64_t token)
{
    struct chance chance = {chance_mix(sim->ledger.seed, token)};
    bool large = chance_percent(&chance, sim->habits.large_percent);
    uint32_t pad = chance_draw(&chance, large ? SIM_INPUT_MAX : sim->habits.pad_max);
    uint8_t *at = input_bytes;
    *at++ = 0x83;
    *at++ = 0xa1, *at++ = 't', *at++ = 0xcd;
    *at++ = (uint8_t)(token >> 8), *at++ = (uint8_t)token;
    *at++ = 0xa1, *at++ = 'n', *at++ = (uint8_t)chance_draw(&chance, 10);
    *at++ = 0xa1, *at++ = 'p', *at++ = 0xc6;
    *at++ = (uint8_t)(pad >> 24), *at++ = (uint8_t)(pad >> 16);
    *at++ = (uint8_t)(pad >> 8), *at++ = (uint8_t)pad;
    memset(at, (int)(token & 0xff), pad);
    return (struct flyover_bytes){input_bytes, (uint32_t)(at - input_bytes) + pad};
}

static int64_t draw_at_ms(void)
{
    if (!chance_percent(&sim->chance, sim->habits.delayed_percent))
        return 0;
    return sim->wall_ms + (int64_t)chance_draw(&sim->chance, 20000) - 2000;
}

/* Now and then one by which the saga may well not be at its end. */
static int64_t draw_deadline_ms(int64_t at_ms)
{
    if (!chance_percent(&sim->chance, 15))
        return 0;
    int64_t now_ms = partition_now_ms(sim->partition);
    int64_t after_ms = at_ms > now_ms ? at_ms : now_ms;
    return after_ms + 1 + (int64_t)chance_draw(&sim->chance, 60000);
}

/* The same for the same token, of every other one. */
static struct flyover_bytes trace_of(uint64_t token)
{
    static char text[TRACE_TEXT_BYTES + 1];
    if (token % 2 == 0)
        return (struct flyover_bytes){0};
    snprintf(text, sizeof text, "00-%032" PRIx64 "-%016" PRIx64 "-01", token, token);
    return (struct flyover_bytes){(const uint8_t *)text, TRACE_TEXT_BYTES};
}

static enum status start_plain(uint32_t plan, uint64_t token)
{
    if (chance_percent(&sim->chance, 50))
        return partition_start(sim->partition, plan, EVENT_NO_SOURCE, draw_input(token), token);
    int64_t at_ms = draw_at_ms();
    struct partition_start_options options = {.plan = plan,
                                              .input = draw_input(token),
                                              .at_ms = at_ms,
                                              .deadline_ms = draw_deadline_ms(at_ms),
                                              .trace = trace_of(token),
                                              .token = token};
    uint64_t saga_id;
    struct problem problem = {0};
    return partition_start_with(sim->partition, &options, &saga_id, &problem);
}

/* The input that the name had before, or another one. */
static enum status start_named(uint32_t plan, uint64_t token)
{
    uint32_t index = chance_draw(&sim->chance, LEDGER_NAMES);
    char name[8];
    int name_bytes = snprintf(name, sizeof name, "n%u", index);
    bool again = sim->named_token[index] != 0 && chance_percent(&sim->chance, 60);
    if (again)
        token = sim->named_token[index];
    sim->named_token[index] = token;
    struct partition_start_options options = {
        .plan = plan,
        .input = draw_input(token),
        .name = {(const uint8_t *)name, (uint32_t)name_bytes},
        .at_ms = draw_at_ms(),
        .token = token,
    };
    uint64_t saga_id = 0;
    struct problem problem = {0};
    uint64_t stalls = sim->partition->counts.stalls;
    bool full = !partition_may_start(sim->partition, plan);
    enum status status = partition_start_with(sim->partition, &options, &saga_id, &problem);
    struct ledger_question question = {
        .asked = LEDGER_ASK_START,
        .may_be_busy = full || sim->partition->counts.stalls != stalls,
        .saga_id = saga_id,
        .name = index,
        .input_hash = ledger_hash_input(options.input),
    };
    sim_outside_ask(&question, status);
    sim_figures.doubles += status == STATUS_EXISTS;
    return status;
}

bool sim_client_start(void)
{
    uint32_t index = chance_draw(&sim->chance, sim->scripts_count);
    if (sim->plans[index] == PARTITION_NO_PLAN)
        sim_client_define(index);
    uint32_t plan = sim->plans[index];
    if (plan == PARTITION_NO_PLAN || sim->token_last >= STARTS_MAX)
        return false;
    uint64_t token = ++sim->token_last;
    bool named = chance_percent(&sim->chance, sim->habits.named_percent);
    enum status status = named ? start_named(plan, token) : start_plain(plan, token);
    sim_trace(status);
    bool right = status == STATUS_OK || status == STATUS_BUSY ||
                 (named && (status == STATUS_EXISTS || status == STATUS_INVALID));
    verdict_check(right, "a start says: %s", status_text(status));
    sim->waiting_count += status == STATUS_OK;
    return status != STATUS_BUSY;
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

static bool is_so(const struct told *told)
{
    const struct ledger_saga *saga = ledger_find(&sim->ledger, told->saga_id);
    /* What is stuck may be mended. */
    return saga != NULL &&
           (told->outcome == OUTCOME_STUCK ? saga->was_stuck : saga->outcome == told->outcome);
}

void sim_client_check_told(void)
{
    for (uint32_t i = 0; i < sim->told_count; i++) {
        const struct told *told = &sim->told[i];
        verdict_check(is_so(told), "saga %" PRIu64 " was reported as %s, and that is lost",
                      told->saga_id, outcome_text(told->outcome));
    }
}

void sim_client_forget_lost(void)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->told_count; i++)
        if (is_so(&sim->told[i]))
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
    script_draw(script, &sim->habits.scripts, &sim->chance,
                chance_draw(&sim->chance, SCRIPTS_MAX / 2));
    sim->plans[sim->scripts_count] = PARTITION_NO_PLAN;
    sim->scripts[sim->scripts_count++] = script;
}
