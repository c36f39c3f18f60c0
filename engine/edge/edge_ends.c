#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/edge_parts.h"

/* Ends of sagas, for modules that want to hear of them. */

/* ---- the engine's side --------------------------------------------------------------------------
 */

static bool wants(const struct edge_module *module, const char *definition, const char *outcome)
{
    const struct edge_kind *kind = module->kind;
    return kind->wants_end != NULL && kind->wants_end(module->state, definition, outcome);
}

void edges_watch_ends(struct edges *edges)
{
    for (uint32_t i = 0; i < edges->thread.modules_count; i++)
        edges->is_watching |= wants(&edges->thread.modules[i], NULL, NULL);
    if (edges->is_watching)
        partition_watch_outputs(edges->options.partition, true);
}

void edges_unwatch_ends(struct edges *edges)
{
    if (edges->is_watching)
        partition_watch_outputs(edges->options.partition, false);
    edges->is_watching = false;
}

static const char *put_text(uint8_t **at, struct flyover_bytes text)
{
    char *copy = (char *)*at;
    if (text.count == 0)
        return NULL;
    memcpy(copy, text.at, text.count);
    copy[text.count] = '\0';
    *at += text.count + 1;
    return copy;
}

static struct edge_ending *new_ending(const struct edges *edges, uint32_t module,
                                      const struct reply *reply)
{
    const struct partition_state *state = partition_state(edges->options.partition);
    uint32_t texts_bytes = reply->error.count + 1 + reply->cause.count + 1;
    struct edge_ending *ending = malloc(sizeof *ending + reply->output.count + texts_bytes);
    if (ending == NULL)
        return NULL;
    *ending = (struct edge_ending){
        .end = {.saga_id = reply->saga_id,
                .definition = core_plan(state->core, reply->plan)->name,
                .version = state->definitions[reply->plan].version,
                .outcome = outcome_text(reply->outcome),
                .ended_ms = reply->ended_ms,
                .output_omitted = reply->output_omitted},
        .module = module,
        .output_bytes = reply->output.count,
    };
    uint8_t *at = ending->bytes + reply->output.count;
    if (reply->output.count > 0)
        memcpy(ending->bytes, reply->output.at, reply->output.count);
    ending->end.error = put_text(&at, reply->error);
    ending->end.cause = put_text(&at, reply->cause);
    snprintf(ending->end.key, sizeof ending->end.key, "%s-e-%" PRIu64 "-%u", edges->id,
             reply->block_no, reply->index);
    return ending;
}

/* Said of the first, the second, the fourth and so on. */
static void lose(struct edges *edges)
{
    char text[128];
    uint64_t lost = ++edges->counts.ends_lost;
    if (edges->options.on_log == NULL || (lost & (lost - 1)) != 0)
        return;
    snprintf(text, sizeof text,
             "sagas end faster than that is passed on: %" PRIu64 " ends are left out so far", lost);
    edges->options.on_log(edges->options.log_context, 4, "ends_lost", text);
}

/* Next: edge_thread_on_end. */
static void send_end(struct edges *edges, uint32_t module, const struct reply *reply)
{
    _Atomic uint32_t *open = &edges->thread.ends_open;
    struct edge_ending *ending =
        atomic_load(open) < EDGE_ENDS_MAX ? new_ending(edges, module, reply) : NULL;
    if (ending == NULL) {
        lose(edges);
        return;
    }
    atomic_fetch_add(open, 1);
    edges->counts.ends++;
    edges_send_order(edges, EDGE_ORDER_END, ending);
}

void edges_hear_end(struct edges *edges, const struct reply *reply)
{
    if (!edges->is_watching || reply->block_no == 0)
        return;
    const struct core *core = partition_state(edges->options.partition)->core;
    const char *definition = core_plan(core, reply->plan)->name;
    for (uint32_t i = 0; i < edges->thread.modules_count; i++)
        if (wants(&edges->thread.modules[i], definition, outcome_text(reply->outcome)))
            send_end(edges, i, reply);
}

void edges_drop_ends(struct edges *edges)
{
    struct ring *orders = edges->thread.orders;
    uint32_t count = orders == NULL ? 0 : ring_peek(orders, UINT32_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct edge_order *order = ring_front(orders, i);
        if (order->kind == EDGE_ORDER_END)
            free(order->what);
    }
}

/* ---- the thread's -------------------------------------------------------------------------------
 */

/* Next: edge_end_told, by the module. */
void edge_thread_on_end(struct edge_thread *thread, struct edge_ending *ending)
{
    const struct edge_module *module = &thread->modules[ending->module];
    if (ending->output_bytes > 0)
        ending->end.output =
            edge_value_to_json((struct flyover_bytes){ending->bytes, ending->output_bytes});
    ending->end.output_omitted |= ending->output_bytes > 0 && ending->end.output == NULL;
    ending->next = thread->endings;
    if (ending->next != NULL)
        ending->next->prev = ending;
    thread->endings = ending;
    module->kind->on_saga_ended(module->state, &ending->end);
}

void edge_end_told(struct edge_thread *thread, struct edge_end *end)
{
    struct edge_ending *ending = (struct edge_ending *)end;
    if (ending->prev == NULL)
        thread->endings = ending->next;
    else
        ending->prev->next = ending->next;
    if (ending->next != NULL)
        ending->next->prev = ending->prev;
    json_decref(end->output);
    free(ending);
    thread->stirs++;
    atomic_fetch_sub(&thread->ends_open, 1);
}

void edge_thread_free_ends(struct edge_thread *thread)
{
    while (thread->endings != NULL)
        edge_end_told(thread, &thread->endings->end);
}
