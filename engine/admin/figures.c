#include "engine/admin/figures.h"

#include <ctype.h>
#include <string.h>

#include "engine/base/clock.h"

#define COUNT_SHARE 100u /* a count may cost one part in so many of the engine's time */

/* ---- live sagas by state --------------------------------------------------------------------- */

/* Of the engine that this thread runs: there is one. */
static _Thread_local struct {
    const struct partition *of;
    uint32_t next_slot;                    /* of the count under way; 0: none is */
    uint32_t counting[ADMIN_STATES_COUNT]; /* of the count under way */
    uint64_t counting_ns;                  /* what it has cost so far */
    uint32_t states[ADMIN_STATES_COUNT];   /* of the last whole one */
    uint64_t cost_ns, done_ns;             /* of that; done_ns 0: there was none yet */
} census;

static bool is_fresh(const struct partition *partition, uint64_t now_ns)
{
    return census.of == partition && census.next_slot == 0 && census.done_ns > 0 &&
           now_ns - census.done_ns < COUNT_SHARE * census.cost_ns;
}

static void count_slots(const struct core *core, uint32_t end)
{
    for (; census.next_slot < end; census.next_slot++) {
        struct core_saga_view saga;
        if (core_view_saga(core, census.next_slot, &saga))
            census.counting[admin_state_of(core, &saga)]++;
    }
}

static void end_count(uint64_t now_ns)
{
    memcpy(census.states, census.counting, sizeof census.states);
    memset(census.counting, 0, sizeof census.counting);
    census.cost_ns = census.counting_ns;
    census.counting_ns = 0;
    census.next_slot = 0;
    census.done_ns = now_ns;
}

/* A turn's worth; true when there is a count that may be used. */
static bool count_states(const struct partition *partition)
{
    const struct core *core = partition_state(partition)->core;
    uint64_t began_ns = clock_now_ns();
    if (is_fresh(partition, began_ns))
        return true;
    if (census.of != partition) {
        memset(&census, 0, sizeof census);
        census.of = partition;
    }
    uint32_t count = core_sagas_count(core);
    uint32_t end = census.next_slot + ADMIN_SLOTS_A_TURN;
    count_slots(core, end < count ? end : count);
    uint64_t now_ns = clock_now_ns();
    census.counting_ns += now_ns - began_ns;
    if (end < count)
        return false;
    end_count(now_ns);
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static _Thread_local figures_fill_net fill_net;
static _Thread_local void *fill_context;

void figures_set_net(figures_fill_net fill, void *context)
{
    fill_net = fill;
    fill_context = context;
}

struct figures_service *figures_service(struct figures *figures, const char *name)
{
    for (uint32_t i = 0; i < figures->services_count; i++)
        if (strcmp(figures->services[i].view.name, name) == 0)
            return &figures->services[i];
    if (figures->services_count == FIGURES_SERVICES_MAX)
        return NULL;
    struct figures_service *added = &figures->services[figures->services_count++];
    *added = (struct figures_service){.view = {.is_remote = true}};
    strcpy(added->view.name, name);
    return added;
}

static void take_services(const struct partition *partition, struct figures *figures)
{
    struct partition_service_view views[PARTITION_SERVICES_MAX];
    figures->services_count = partition_services(partition, views, PARTITION_SERVICES_MAX);
    for (uint32_t i = 0; i < figures->services_count; i++)
        figures->services[i] = (struct figures_service){.view = views[i]};
}

bool figures_take(const struct partition *partition, struct figures *ret_figures)
{
    if (!count_states(partition))
        return false;
    const struct core *core = partition_state(partition)->core;
    ret_figures->taken_ms = clock_wall_ms();
    ret_figures->taken_ns = clock_now_ns();
    ret_figures->totals = core_totals(core);
    ret_figures->room = core_room(core);
    ret_figures->live = core_sagas_live(core);
    ret_figures->sagas_max = core_limits(core).sagas_max;
    memcpy(ret_figures->states, census.states, sizeof census.states);
    ret_figures->states_age_ns = ret_figures->taken_ns - census.done_ns;
    ret_figures->counts = partition_counts(partition);
    partition_view(partition, &ret_figures->view);
    ret_figures->recovery = *partition_recovery(partition);
    ret_figures->recovered_from = partition_recovered_from(partition);
    take_services(partition, ret_figures);
    ret_figures->net = (struct figures_net){0};
    ret_figures->edges = (struct figures_edges){0};
    if (fill_net != NULL)
        fill_net(fill_context, ret_figures);
    return true;
}

const char *figures_state_name(enum admin_state state)
{
    static _Thread_local char name[16];
    const char *text = admin_state_text(state);
    size_t i = 0;
    for (; text[i] != '\0' && i < sizeof name - 1; i++)
        name[i] = (char)tolower((unsigned char)text[i]);
    name[i] = '\0';
    return name;
}
