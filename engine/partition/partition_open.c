#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/base/clock.h"
#include "engine/base/plant.h"
#include "engine/base/region.h"
#include "engine/partition/partition_parts.h"

#define REPLIES_CAPACITY 65536u
/* Of a worker that only steps when it is told to: enough, and quickly had. */
#define THREADLESS_WINDOW 256u
#define DEFINE_POLLS_MAX  100000u

/* ---- threads and cores ------------------------------------------------------------------------
 */

static void find_cpus(struct partition *partition)
{
    cpu_set_t allowed;
    partition->counts.cpus_count = sleeper_cpus_allowed();
    if (!partition->options.pin || partition->counts.cpus_count < 2 ||
        sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && partition->cpus_count < 64; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            partition->cpus[partition->cpus_count++] = cpu;
}

/* The engine has the first core to itself; all other threads share the rest in turn. */
static uint32_t next_cpu(struct partition *partition)
{
    if (partition->cpus_count < 2)
        return WORKER_NO_CPU;
    return partition->cpus[1 + partition->cpus_used++ % (partition->cpus_count - 1)];
}

static void pin_self(const struct partition *partition, uint32_t first, uint32_t count)
{
    if (partition->cpus_count < 2)
        return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (uint32_t i = first; i < first + count; i++)
        CPU_SET(partition->cpus[i], &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

/* ---- services ---------------------------------------------------------------------------------
 */

static enum status open_plugin(struct partition *partition, const char *name,
                               struct plugin *ret_plugin, struct problem *problem)
{
    const struct partition_options *options = &partition->options;
    for (uint32_t i = 0; i < options->built_in_count; i++)
        if (strcmp(options->built_in[i]->name, name) == 0)
            return plugin_open_built_in(&options->plugins, options->built_in[i], ret_plugin,
                                        problem);
    return plugin_open(&options->plugins, name, ret_plugin, problem);
}

static enum status start_workers(struct partition *partition, struct service *service,
                                 struct tables *tables)
{
    uint32_t wanted = service->plugin.service->workers == 0 ? 1 : service->plugin.service->workers;
    struct worker_options options = {
        .plugin = &service->plugin,
        .tables = service->plugin.service->tables_count == 0 ? NULL : tables,
        .engine = &partition->sleeper,
        .now_ms = &partition->now_ms,
        .payloads = core_payloads(partition->state->core),
        .token_seed = core_limits(partition->state->core).seed,
        .window = partition->options.threadless ? THREADLESS_WINDOW : 0,
        .threadless = partition->options.threadless,
    };
    while (service->workers_count < wanted && service->workers_count < SERVICE_WORKERS_MAX) {
        options.cpu = next_cpu(partition);
        enum status status = worker_open(&options, &service->workers[service->workers_count]);
        if (status != STATUS_OK)
            return status;
        /* A checkpoint on its way waits for all of them. */
        if (partition->checkpointing.stage == CHECKPOINT_PAUSING)
            worker_pause(service->workers[service->workers_count], true);
        service->workers_count++;
    }
    return STATUS_OK;
}

/* Declares the service in the journal, unless it stands there just so. A remote one has no
 * tables: `plugin` is NULL. */
static enum status declare_service(struct partition *partition, const char *name,
                                   const struct plugin *plugin, struct problem *problem)
{
    struct event event = {.kind = EVENT_SERVICE};
    event.service.name = (struct flyover_bytes){(const uint8_t *)name, (uint32_t)strlen(name)};
    if (plugin != NULL)
        event.service.tables_count = plugin_tables(plugin, event.service.tables);
    uint32_t index = partition_state_find_service(partition->state, name);
    if (index < PARTITION_SERVICES_MAX &&
        tables_declared_as(partition->state->services[index].tables, event.service.tables,
                           event.service.tables_count))
        return STATUS_OK;
    if (!partition_reserve(partition, event_encoded_bytes_max(&event)))
        return problem_set(problem, STATUS_BUSY, "the journal has no room now, try again");
    return partition_apply(partition, &event, 0, NULL, problem);
}

/* What the options say of the service. */
static void limit_service(struct partition *partition, const char *name, uint32_t index)
{
    const struct partition_options *options = &partition->options;
    struct dispatch_limits limits = {0};
    for (uint32_t i = 0; i < options->service_limits_count; i++)
        if (strcmp(options->service_limits[i].service, name) == 0)
            limits = options->service_limits[i].limits;
    dispatch_set_limits(&partition->dispatch, index, &limits, partition_now_ns(partition));
}

void partition_set_limits(struct partition *partition,
                          const struct partition_service_limits *limits, uint32_t count)
{
    partition->options.service_limits = limits;
    partition->options.service_limits_count = count;
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        limit_service(partition, partition->state->services[i].name, i);
}

/* A service without a plug-in may be remote, unless its tables are kept here: those only its
 * plug-in can write. */
static bool may_be_remote(const struct partition *partition, uint32_t index)
{
    return partition->options.remote &&
           (index == PARTITION_SERVICES_MAX ||
            tables_count(partition->state->services[index].tables) == 0);
}

static enum status use_remote(struct partition *partition, const char *name,
                              struct problem *problem)
{
    enum status status = declare_service(partition, name, NULL, problem);
    if (status != STATUS_OK)
        return status;
    uint32_t index = partition_state_find_service(partition->state, name);
    limit_service(partition, name, index);
    partition_make_remote(partition, index);
    return STATUS_OK;
}

/* Loads the service that a definition names, and starts it. */
static enum status use_service(struct partition *partition, const char *name,
                               struct problem *problem)
{
    uint32_t index = partition_state_find_service(partition->state, name);
    if (index < PARTITION_SERVICES_MAX &&
        (partition->services[index].plugin.service != NULL || partition->services[index].is_remote))
        return STATUS_OK;
    struct plugin plugin;
    enum status status = open_plugin(partition, name, &plugin, problem);
    if (status == STATUS_NOT_FOUND && may_be_remote(partition, index))
        return use_remote(partition, name, problem);
    if (status == STATUS_NOT_FOUND && plan_is_edge(name))
        return problem_set(problem, STATUS_NOT_FOUND,
                           "service '%s' is an edge, which an engine has that is started by "
                           "`flyover serve --edges FILE`; this one runs plug-ins alone",
                           name);
    if (status != STATUS_OK)
        return status;
    status = declare_service(partition, name, &plugin, problem);
    if (status != STATUS_OK) {
        plugin_close(&plugin);
        return status;
    }
    index = partition_state_find_service(partition->state, name);
    struct service *service = &partition->services[index];
    service->plugin = plugin;
    limit_service(partition, name, index);
    return start_workers(partition, service, partition->state->services[index].tables);
}

/* ---- definitions ------------------------------------------------------------------------------
 */

static enum status find_handler(struct partition *partition, const char *source,
                                const struct plan_resource *resource, uint16_t *ret_handler,
                                struct problem *problem)
{
    uint32_t index = partition_state_find_service(partition->state, resource->service);
    if (partition->services[index].is_remote) {
        uint32_t lane = REMOTE_NO_LANE;
        enum status status =
            remote_open_lane(partition, resource->service, resource->handler, &lane, problem);
        *ret_handler = (uint16_t)lane;
        return status;
    }
    const struct plugin *plugin = &partition->services[index].plugin;
    *ret_handler = plugin_find_handler(plugin, resource->handler);
    if (*ret_handler != PLUGIN_NO_HANDLER)
        return STATUS_OK;
    char known[256];
    size_t used = 0;
    for (uint32_t i = 0; i < plugin->service->handlers_count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                 plugin->service->handlers[i].name);
    return problem_set(problem, STATUS_INVALID, "%s: service '%s' has no handler '%s'; it has: %s",
                       source, resource->service, resource->handler, known);
}

/* A plug-in's worker reads the input where it lies in the core: nobody makes another of it. */
static enum status check_templates(const struct partition *partition, const struct plan *plan,
                                   uint32_t resource, const char *source, struct problem *problem)
{
    const char *service = plan->resources[resource].service;
    bool undo;
    uint16_t found = plan_find_templated(plan, (uint16_t)resource, &undo);
    if (found == PLAN_NO_STATE ||
        partition->services[partition_state_find_service(partition->state, service)].is_remote)
        return STATUS_OK;
    return problem_set(
        problem, STATUS_UNSUPPORTED,
        "%s: /States/%s%s: InputPath, Parameters and ResultSelector are for services "
        "outside of the engine, and service '%s' is a plug-in, whose handlers read "
        "the state's input as it is: leave them out, or start the engine without "
        "that plug-in",
        source, plan->states[found].name, undo ? "/Compensate" : "", service);
}

static enum status use_plan(struct partition *partition, const struct plan *plan,
                            const char *source, uint16_t *handlers, struct problem *problem)
{
    for (uint32_t i = 0; i < plan->resources_count; i++) {
        struct problem inner = {0};
        enum status status = use_service(partition, plan->resources[i].service, &inner);
        if (status != STATUS_OK)
            return problem_set(problem, status, "%s: %s", source, inner.text);
        status = find_handler(partition, source, &plan->resources[i], &handlers[i], problem);
        if (status == STATUS_OK)
            status = check_templates(partition, plan, i, source, problem);
        if (status != STATUS_OK)
            return status;
    }
    return partition_prepare_templates(partition, plan);
}

static enum status resolve_plan(struct partition *partition, uint32_t index, const char *source,
                                struct problem *problem)
{
    const struct plan *plan = core_plan(partition->state->core, index);
    uint16_t *handlers = calloc(plan->resources_count + 1, sizeof *handlers);
    if (handlers == NULL)
        return STATUS_NO_MEMORY;
    partition->handlers[index] = handlers;
    return use_plan(partition, plan, source, handlers, problem);
}

/* A saga that needs more branches than there are would never be admitted. */
static enum status check_branches(const struct partition *partition, const struct plan *plan,
                                  const char *source, struct problem *problem)
{
    uint32_t branches_max = core_branches_max(partition->state->core);
    uint32_t wanted = plan->detached_count + plan->undo_branches;
    if (wanted <= branches_max)
        return STATUS_OK;
    return problem_set(problem, STATUS_TOO_LARGE,
                       "%s: a saga of it may need %u branches at once, and this data directory has "
                       "room for %u: begin one with a larger --sagas-max",
                       source, wanted, branches_max);
}

enum status partition_define(struct partition *partition, const char *name, const char *source,
                             const char *text, size_t text_bytes, uint32_t *ret_plan,
                             struct problem *problem)
{
    uint32_t known = partition_state_find_definition(partition->state, name, text, text_bytes);
    if (known != PARTITION_NO_PLAN) {
        *ret_plan = known;
        return STATUS_OK;
    }
    struct plan *plan;
    enum status status = plan_compile(name, source, text, text_bytes, &plan, problem);
    if (status != STATUS_OK)
        return status;
    status = check_branches(partition, plan, source, problem);
    if (status != STATUS_OK) {
        plan_free(plan);
        return status;
    }
    uint16_t *handlers = calloc(plan->resources_count + 1, sizeof *handlers);
    status =
        handlers == NULL ? STATUS_NO_MEMORY : use_plan(partition, plan, source, handlers, problem);
    struct event event = {.kind = EVENT_DEFINITION};
    event.definition.name =
        (struct flyover_bytes){(const uint8_t *)plan->name, (uint32_t)strlen(plan->name)};
    event.definition.text = (struct flyover_bytes){(const uint8_t *)text, (uint32_t)text_bytes};
    if (status == STATUS_OK && !partition_reserve(partition, event_encoded_bytes_max(&event)))
        status = problem_set(problem, STATUS_BUSY, "the journal has no room now, try again");
    if (status == STATUS_OK)
        status = partition_apply(partition, &event, 0, NULL, problem);
    plan_free(plan);
    if (status != STATUS_OK) {
        free(handlers);
        return status;
    }
    *ret_plan = core_plans_count(partition->state->core) - 1;
    partition->handlers[*ret_plan] = handlers;
    return STATUS_OK;
}

enum status partition_open_source(struct partition *partition, uint64_t first_hash,
                                  uint32_t *ret_source)
{
    struct event event = {.kind = EVENT_SOURCE, .source = {first_hash}};
    if (!partition_reserve(partition, event_encoded_bytes_max(&event)))
        return STATUS_BUSY;
    uint32_t index = core_next_source(partition->state->core);
    enum status status = partition_apply(partition, &event, 0, NULL, NULL);
    if (status == STATUS_OK)
        *ret_source = index;
    return status;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

/* Tells history what it missed: the notes of blocks that were durable when the engine died. */
static void listen_to_new_core(void *context, enum partition_moment moment,
                               const struct block_header *header,
                               const struct partition_state *state, const struct event *event)
{
    (void)header;
    (void)event;
    struct partition *partition = context;
    /* The core is there once the limits have been applied. */
    if (moment == PARTITION_AFTER_EVENT && partition->keeper.state == NULL && state->core != NULL)
        keeper_listen(&partition->keeper, partition->state);
}

static enum status on_block(void *context, const struct block_header *header, const uint8_t *body,
                            struct problem *problem)
{
    struct partition *partition = context;
    struct keeper *keeper = &partition->keeper;
    if (partition->options.recovered_blocks != NULL)
        atomic_fetch_add_explicit(partition->options.recovered_blocks, 1, memory_order_relaxed);
    if (keeper->log == NULL)
        return partition_state_replay(partition->state, header, body, NULL, NULL, problem);
    keeper_begin(keeper, 0, header->now_ms);
    enum status status = partition_state_replay(partition->state, header, body,
                                                keeper->state == NULL ? listen_to_new_core : NULL,
                                                partition, problem);
    return status == STATUS_OK ? keeper_end_replayed(keeper, header->block_no, problem) : status;
}

static enum status open_journal(struct partition *partition, struct problem *problem)
{
    const struct partition_options *options = &partition->options;
    if (options->journal != NULL) {
        partition->journal = options->journal;
        return STATUS_OK;
    }
    if (options->durability == DURABILITY_MEMORY)
        return journal_open_memory(false, &partition->journal);
    struct journal_options journal = {
        .directory = options->directory,
        .durability = options->durability,
        .create = true,
        .accept_loss = options->accept_loss,
    };
    return journal_open(&journal, &partition->journal, problem);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The journal is the truth: a checkpoint counts only if the journal has the block it is of, and so
 * everything that led to it. In mode async a power loss may leave it without. */
static bool journal_has(struct journal *journal, const struct checkpoint_place *place)
{
    struct journal_slice block;
    struct block_header header;
    if (PLANTED(EARLY_CHECKPOINT))
        return true;
    return journal_seek(journal, place->block_no, NULL) == STATUS_OK &&
           journal_next(journal, &block, NULL) == STATUS_OK && block.block_no == place->block_no &&
           block_decode(block.bytes, block.bytes_count, block.block_no, &header, NULL) ==
               STATUS_OK &&
           header.header_crc == place->block_crc;
}

static enum status load_checkpoint(struct partition *partition, struct checkpoint_place *ret_place,
                                   struct problem *problem)
{
    const char *directory = partition->options.directory;
    uint64_t block_no_max = UINT64_MAX;
    for (;;) {
        enum status status =
            checkpoint_load(directory, block_no_max, &partition->state, ret_place, problem);
        if (status != STATUS_OK || ret_place->block_no == 0 ||
            journal_has(partition->journal, ret_place))
            return status;
        block_no_max = ret_place->block_no - 1;
        partition_state_close(partition->state);
        partition->state = NULL;
        status = partition_state_open(&partition->state);
        if (status != STATUS_OK)
            return status;
    }
}

static enum status open_history(struct partition *partition, uint64_t after_no,
                                struct problem *problem)
{
    struct history_log_options options = {.directory = partition->options.directory,
                                          .after_no = after_no};
    /* What is kept of a trimmed journal before its older checkpoint has no state to begin from. */
    uint64_t first_no = journal_first_no(partition->journal);
    if (first_no > 1) {
        uint64_t older_no = checkpoint_oldest_no(options.directory, first_no);
        options.replayable_no = (older_no > 0 ? older_no : after_no) + 1;
    }
    return keeper_open(&partition->keeper, &options, &partition->history_found, problem);
}

/* The state as the newest checkpoint and the blocks behind it say. */
static enum status recover(struct partition *partition, struct problem *problem)
{
    const struct partition_options *options = &partition->options;
    bool on_disk = options->durability != DURABILITY_MEMORY;
    struct checkpoint_place place = {0};
    enum status status = STATUS_OK;
    if (on_disk)
        status = load_checkpoint(partition, &place, problem);
    if (status != STATUS_OK)
        return status;
    struct recovery_options recovery = {
        .directory = on_disk ? options->directory : NULL,
        .accept_loss = options->accept_loss,
        .after_no = place.block_no,
        .after_crc = place.block_crc,
        .on_block = on_block,
        .context = partition,
    };
    /* Nothing is changed by a start that cannot be: history would begin anew. */
    status = recovery_check_beginning(partition->journal, &recovery, problem);
    if (status == STATUS_OK && on_disk)
        status = open_history(partition, place.block_no, problem);
    if (status != STATUS_OK)
        return status;
    if (partition->keeper.log != NULL && partition->state->core != NULL)
        keeper_listen(&partition->keeper, partition->state);
    status = recovery_run(partition->journal, &recovery, &partition->recovery, problem);
    if (status != STATUS_OK)
        return status;
    partition->recovered_from = place.block_no;
    partition->last_block_no = partition->recovery.last_no;
    partition->last_block_crc = partition->recovery.last_crc;
    partition->epoch = (uint32_t)later(place.epoch, partition->recovery.last_epoch) + 1;
    partition->last_now_ms = later(place.now_ms, partition->recovery.last_now_ms);
    partition_resume_checkpoints(partition, &place);
    partition->durable_no = partition->recovery.last_no;
    return STATUS_OK;
}

static enum status keep_watermark(struct partition *partition, struct problem *problem)
{
    uint64_t block_no;
    if (partition->options.durability == DURABILITY_MEMORY)
        return STATUS_OK;
    enum status status =
        watermark_open(&partition->watermark, partition->options.directory, &block_no, problem);
    partition->has_watermark = status == STATUS_OK;
    return status;
}

static enum status open_writer(struct partition *partition, struct problem *problem)
{
    struct writer_options options = {
        .beside = partition->keeper.log == NULL ? NULL : &partition->keeper.beside,
        .journal = partition->journal,
        .watermark = partition->has_watermark ? &partition->watermark : NULL,
        .engine = &partition->sleeper,
        .durable_no = partition->recovery.last_no,
        .cpu = next_cpu(partition),
        .threadless = partition->options.threadless,
    };
    return writer_open(&options, &partition->writer, problem);
}

/* What is not given is taken from `known`, and what is not known there by default. */
static struct core_limits complete_limits(struct core_limits given)
{
    if (given.sagas_max == 0)
        given.sagas_max = PARTITION_SAGAS_MAX_DEFAULT;
    if (given.payload_bytes_max == 0)
        given.payload_bytes_max = PARTITION_PAYLOAD_BYTES_DEFAULT;
    if (given.names_max == 0)
        given.names_max = PARTITION_NAMES_MAX_DEFAULT;
    if (given.name_retention_ms == 0)
        given.name_retention_ms = PARTITION_NAME_RETENTION_DEFAULT;
    if (given.seed == 0 && getrandom(&given.seed, sizeof given.seed, GRND_NONBLOCK) < 0)
        given.seed = (uint64_t)clock_wall_ms();
    return given;
}

/* A new data directory begins with its limits; an old one keeps them, but for how long it keeps
 * names, which may be said anew. */
static enum status state_limits(struct partition *partition, struct problem *problem)
{
    struct core_limits limits = partition->options.limits;
    if (partition->state->core == NULL) {
        limits = complete_limits(limits);
    } else {
        struct core_limits known = core_limits(partition->state->core);
        uint64_t retention_ms = limits.name_retention_ms;
        if (retention_ms == 0 || retention_ms == known.name_retention_ms || known.names_max == 0)
            return STATUS_OK;
        limits = known;
        limits.name_retention_ms = retention_ms;
    }
    struct event event = {.kind = EVENT_LIMITS,
                          .limits = {.sagas_max = limits.sagas_max,
                                     .payload_bytes_max = limits.payload_bytes_max,
                                     .has_names = true,
                                     .seed = limits.seed,
                                     .names_max = limits.names_max,
                                     .name_retention_ms = limits.name_retention_ms}};
    bool room = partition_reserve(partition, event_encoded_bytes_max(&event));
    assert(room);
    enum status status = partition_apply(partition, &event, 0, NULL, problem);
    if (status == STATUS_OK && partition->keeper.log != NULL && partition->keeper.state == NULL)
        keeper_listen(&partition->keeper, partition->state);
    return status;
}

static enum status take_memory(struct partition *partition)
{
    uint32_t branches_max = core_branches_max(partition->state->core);
    partition->replies_capacity = REPLIES_CAPACITY;
    partition->replies = region_map(REPLIES_CAPACITY * sizeof *partition->replies, REGION_SCRATCH);
    partition->handlers = calloc(CORE_PLANS_MAX, sizeof *partition->handlers);
    /* From here on: what was replayed happened before. */
    core_set_durations(partition->state->core, &partition->saga_ms);
    partition->in_hand = region_map(branches_max * sizeof *partition->in_hand, REGION_SCRATCH);
    if (partition->replies == NULL || partition->handlers == NULL || partition->in_hand == NULL)
        return STATUS_NO_MEMORY;
    enum status status = dispatch_init(&partition->dispatch, branches_max);
    /* One a REPLY that waits, a reply that waits, and the one that is lent. */
    uint64_t endings_max = (uint64_t)partition->state->effects.capacity_max + REPLIES_CAPACITY + 1;
    if (status == STATUS_OK)
        status = endings_init(&partition->endings, endings_max);
    if (status != STATUS_OK)
        return status;
    return timers_init(&partition->timers,
                       branches_max + core_limits(partition->state->core).sagas_max);
}

/* Every due time stands in the core. */
static void resume_timers(struct partition *partition)
{
    const struct core *core = partition->state->core;
    uint32_t key;
    bool any = timers_pop(&partition->timers, partition->last_now_ms, &key);
    assert(!any);
    for (uint32_t branch = 0; branch < core_branches_count(core); branch++)
        if (core_due_ms(core, branch) >= 0)
            timers_set(&partition->timers, branch, core_due_ms(core, branch));
    for (uint32_t slot = 0; slot < core_sagas_count(core); slot++)
        if (core_deadline_ms(core, slot) >= 0 && !PLANTED(FORGOTTEN_DEADLINE))
            timers_set(&partition->timers, PARTITION_SAGA_KEY(partition, slot),
                       core_deadline_ms(core, slot));
}

/* Every step that was pending is dispatched again, with the same key; all of it is durable. */
static enum status resume(struct partition *partition, struct problem *problem)
{
    if (partition->options.offline)
        return STATUS_OK;
    for (uint32_t i = 0; i < core_plans_count(partition->state->core); i++) {
        const char *name = core_plan(partition->state->core, i)->name;
        enum status status = resolve_plan(partition, i, name, problem);
        if (status != STATUS_OK)
            return status;
    }
    /* What is out of time since is not begun again. */
    atomic_store_explicit(&partition->now_ms, partition_now_ms(partition), memory_order_relaxed);
    core_resume(partition->state->core, &partition->state->effects);
    partition->durable_tail = partition->state->effects.tail;
    resume_timers(partition);
    return STATUS_OK;
}

static enum status open_parts(struct partition *partition, struct problem *problem)
{
    uint64_t began_ns = clock_now_ns();
    enum status status = partition_state_open(&partition->state);
    if (status == STATUS_OK)
        status = open_journal(partition, problem);
    if (status == STATUS_OK)
        status = recover(partition, problem);
    partition->recovered_ns = clock_now_ns() - began_ns;
    if (status == STATUS_OK)
        status = keep_watermark(partition, problem);
    if (status == STATUS_OK)
        status = open_writer(partition, problem);
    if (status == STATUS_OK)
        status = state_limits(partition, problem);
    if (status == STATUS_OK)
        status = take_memory(partition);
    if (status == STATUS_OK)
        status = resume(partition, problem);
    return status;
}

enum status partition_open(const struct partition_options *options,
                           struct partition **ret_partition, struct problem *problem)
{
    assert(options->directory != NULL || options->durability == DURABILITY_MEMORY);
    struct partition *partition = aligned_alloc(128, (sizeof *partition + 127) / 128 * 128);
    if (partition == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    memset(partition, 0, sizeof *partition);
    partition->options = *options;
    /* Offline it is on its way out from the start: what leaves a block leaves nothing else. */
    partition->stopping = options->offline;
    sleeper_setup();
    if (options->sleep.block != NULL)
        sleeper_init_event(&partition->sleeper, options->sleep.event_fd);
    else
        sleeper_init(&partition->sleeper);
    find_cpus(partition);
    /* RocksDB's background threads inherit this: off the engine's core. */
    pin_self(partition, 1, partition->cpus_count - 1);
    struct problem inner = {0};
    enum status status = open_parts(partition, &inner);
    if (status != STATUS_OK) {
        partition_free(partition);
        return problem_set(problem, status, "%s",
                           inner.text[0] != '\0' ? inner.text : status_text(status));
    }
    pin_self(partition, 0, 1);
    partition->thread_cpu_ns_first = clock_thread_cpu_ns();
    *ret_partition = partition;
    return STATUS_OK;
}

/* ---- stopping ---------------------------------------------------------------------------------
 */

static void count_thread(struct partition_counts *counts, const char *name, uint64_t cpu_ns)
{
    if (counts->threads_count == PARTITION_THREADS_MAX)
        return;
    struct partition_thread *thread = &counts->threads[counts->threads_count++];
    snprintf(thread->name, sizeof thread->name, "%.23s", name);
    thread->cpu_ns = cpu_ns;
}

struct partition_counts partition_counts(const struct partition *partition)
{
    struct partition_counts counts = partition->counts;
    if (partition->stopped)
        return counts;
    counts.checkpoint_stop_ns_p99 = histogram_quantile(&partition->checkpoint_stops_ns, 0.99);
    counts.checkpoint_stop_ns_max = partition->checkpoint_stops_ns.value_max;
    struct writer_counts writer = writer_counts(partition->writer);
    counts.syncs = writer.syncs_count;
    counts.journal_bytes = writer.bytes_count;
    counts.journal_busy_ns = writer.busy_ns;
    counts.blocks = partition->durable_no - partition->recovery.last_no;
    count_thread(&counts, "engine", clock_thread_cpu_ns() - partition->thread_cpu_ns_first);
    count_thread(&counts, "journal", writer.cpu_ns);
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            count_thread(&counts, partition->state->services[i].name,
                         worker_cpu_ns(partition->services[i].workers[j]));
    return counts;
}

static bool has_unfinished(const struct partition *partition)
{
    return partition->in_flight > 0 || partition->sent_count > 0 ||
           partition->open.record_count > 0;
}

static void stop_workers(struct partition *partition)
{
    for (uint32_t i = 0; i < PARTITION_SERVICES_MAX; i++)
        for (uint32_t j = 0; j < partition->services[i].workers_count; j++)
            worker_stop(partition->services[i].workers[j]);
}

enum status partition_stop(struct partition *partition, char ret_digest[PARTITION_DIGEST_BYTES],
                           struct problem *problem)
{
    assert(!partition->stopped);
    enum status status = STATUS_OK;
    partition->stopping = true;
    while (status == STATUS_OK && has_unfinished(partition)) {
        bool worked;
        status = partition_poll(partition, &worked, problem);
        if (status == STATUS_OK && !worked)
            partition_wait(partition, 100000000);
    }
    stop_workers(partition);
    if (status == STATUS_OK)
        partition_end_checkpoint(partition);
    partition->counts = partition_counts(partition);
    partition->stopped = true;
    writer_close(partition->writer);
    partition->writer = NULL;
    if (status == STATUS_OK && ret_digest != NULL)
        partition_state_digest(partition->state, ret_digest);
    return status;
}

static void close_service(struct service *service)
{
    for (uint32_t i = 0; i < service->workers_count; i++)
        worker_close(service->workers[i]);
    plugin_close(&service->plugin);
}

void partition_free(struct partition *partition)
{
    if (partition == NULL)
        return;
    partition_drop_checkpoint(partition);
    stop_workers(partition);
    writer_close(partition->writer);
    for (uint32_t i = 0; i < PARTITION_SERVICES_MAX; i++)
        close_service(&partition->services[i]);
    if (partition->handlers != NULL)
        for (uint32_t i = 0; i < CORE_PLANS_MAX; i++)
            free(partition->handlers[i]);
    free(partition->handlers);
    if (partition->in_hand != NULL)
        region_unmap(partition->in_hand,
                     core_branches_max(partition->state->core) * sizeof *partition->in_hand);
    free(partition->remote.room);
    region_unmap(partition->replies, REPLIES_CAPACITY * sizeof *partition->replies);
    endings_fini(&partition->endings);
    keeper_close(&partition->keeper);
    timers_fini(&partition->timers);
    dispatch_fini(&partition->dispatch);
    partition_state_close(partition->state);
    if (partition->has_watermark)
        watermark_close(&partition->watermark);
    if (partition->options.journal == NULL)
        journal_close(partition->journal);
    free(partition);
}

const struct recovery_report *partition_recovery(const struct partition *partition)
{
    return &partition->recovery;
}

const char *partition_history_problem(const struct partition *partition)
{
    return partition->history_found.text;
}

uint64_t partition_recovered_from(const struct partition *partition)
{
    return partition->recovered_from;
}

const struct partition_state *partition_state(const struct partition *partition)
{
    return partition->state;
}

void partition_audit(const struct partition *partition, struct audit_report *ret_report)
{
    assert(partition->stopped);
    *ret_report = (struct audit_report){0};
    for (uint32_t i = 0; i < partition->state->services_count; i++)
        if (partition->services[i].plugin.service != NULL)
            audit_service(&partition->services[i].plugin, partition->state->services[i].tables,
                          ret_report);
}
