#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/nearest.h"
#include "engine/base/thread.h"
#include "engine/edge/aws.h"
#include "engine/edge/edge_parts.h"
#include "engine/edge/http.h"
#include "engine/partition/remote.h"

#define AWS_SECTION "aws"

/* ---- the configuration --------------------------------------------------------------------------
 */

static enum status refuse_section(const char *name, struct problem *problem)
{
    char hint[NEAREST_HINT_BYTES], all[NEAREST_HINT_BYTES];
    struct nearest nearest = nearest_to(name);
    size_t used = (size_t)snprintf(all, sizeof all, "; there are: " AWS_SECTION);
    nearest_offer(&nearest, AWS_SECTION);
    for (uint32_t i = 0; edge_kinds[i] != NULL && used < sizeof all; i++) {
        nearest_offer(&nearest, edge_kinds[i]->section);
        used += (size_t)snprintf(all + used, sizeof all - used, " %s", edge_kinds[i]->section);
    }
    nearest_hint(&nearest, all, hint);
    return problem_set(problem, STATUS_INVALID, "%.80s: there is no such section%s", name, hint);
}

static bool is_section(const char *name)
{
    bool is_one = strcmp(name, AWS_SECTION) == 0;
    for (uint32_t i = 0; edge_kinds[i] != NULL; i++)
        is_one |= strcmp(name, edge_kinds[i]->section) == 0;
    return is_one;
}

static enum status check_config(const json_t *config, struct problem *problem)
{
    const char *name;
    json_t *section;
    if (!json_is_object(config))
        return problem_set(problem, STATUS_INVALID,
                           "edges are told in sections, a module each: sqs: {}");
    json_object_foreach((json_t *)(uintptr_t)config, name, section)
    {
        if (!is_section(name))
            return refuse_section(name, problem);
        if (!json_is_object(section) && !json_is_null(section))
            return problem_set(problem, STATUS_INVALID,
                               "%s: it is a section: keys stand under it, or it is {}", name);
    }
    return STATUS_OK;
}

/* One with nothing in it is as good as an empty object. Returns owned; NULL: it is not there. */
static json_t *section_of(const json_t *config, const char *name)
{
    json_t *section = json_object_get(config, name);
    return json_is_null(section) ? json_object() : json_incref(section);
}

/* ---- modules ------------------------------------------------------------------------------------
 */

static void on_aws_log(void *context, int level, const char *event, const char *text)
{
    edge_log(context, level, event, "%s", text);
}

static enum status open_aws(struct edges *edges, struct problem *problem)
{
    json_t *section = section_of(edges->options.config, AWS_SECTION);
    if (section == NULL)
        return STATUS_OK;
    struct world world = world_of_machine();
    world.on_log = on_aws_log;
    world.log_context = &edges->thread;
    enum status status =
        aws_open_in(&world, edges->thread.http, section, &edges->thread.aws, problem);
    json_decref(section);
    return status;
}

static enum status open_module(struct edges *edges, const struct edge_kind *kind,
                               const json_t *section, struct problem *problem)
{
    struct edge_thread *thread = &edges->thread;
    const struct edge_context context = {
        .thread = thread,
        .http = thread->http,
        .aws = thread->aws,
        .name_retention_ms =
            core_limits(partition_state(edges->options.partition)->core).name_retention_ms};
    void *state = NULL;
    enum status status = kind->open(&context, section, &state, problem);
    if (status != STATUS_OK)
        return status;
    assert(thread->modules_count < EDGE_MODULES_MAX);
    thread->modules[thread->modules_count].kind = kind;
    thread->modules[thread->modules_count++].state = state;
    return STATUS_OK;
}

static enum status open_lane(struct edges *edges, uint32_t module, const char *service,
                             const char *name, uint32_t handler, struct problem *problem)
{
    uint32_t lane;
    if (edges->lanes_count == EDGE_LANES_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "%s: there are more than %u handlers of all edges together: leave some "
                           "out, as the statements that no definition names",
                           edges->thread.modules[module].kind->section, EDGE_LANES_MAX);
    enum status status = remote_open_lane(edges->options.partition, service, name, &lane, problem);
    if (status == STATUS_OK)
        edges->lanes[edges->lanes_count++] =
            (struct edge_lane){.lane = lane, .module = module, .handler = handler};
    return status;
}

static enum status open_lanes(struct edges *edges, uint32_t index, struct problem *problem)
{
    const struct edge_module *module = &edges->thread.modules[index];
    const struct edge_kind *kind = module->kind;
    enum status status = STATUS_OK;
    if (kind->service == NULL)
        return STATUS_OK;
    const char *const *names = kind->names != NULL ? kind->names : kind->handlers(module->state);
    for (uint32_t i = 0; names[i] != NULL && status == STATUS_OK; i++) {
        assert(i < EDGE_HANDLERS_MAX);
        status = open_lane(edges, index, kind->service, names[i], i, problem);
    }
    return status;
}

static enum status open_modules(struct edges *edges, struct problem *problem)
{
    enum status status = check_config(edges->options.config, problem);
    if (status == STATUS_OK)
        status = http_open(&edges->thread.http, problem);
    if (status == STATUS_OK)
        status = open_aws(edges, problem);
    for (uint32_t i = 0; edge_kinds[i] != NULL && status == STATUS_OK; i++) {
        json_t *section = section_of(edges->options.config, edge_kinds[i]->section);
        if (section == NULL)
            continue;
        status = open_module(edges, edge_kinds[i], section, problem);
        json_decref(section);
        if (status == STATUS_OK)
            status = open_lanes(edges, edges->thread.modules_count - 1, problem);
    }
    return status;
}

/* ---- the thread ---------------------------------------------------------------------------------
 */

/* Room for all that can be under way, so that neither side waits for the other. */
static enum status open_rings(struct edges *edges, struct problem *problem)
{
    struct edge_thread *thread = &edges->thread;
    uint32_t messages = 2 * edges->options.messages_max;
    uint32_t all = edges->lanes_count * edges->options.in_flight_max + messages;
    enum status status = ring_open(&thread->orders, all + EDGE_ENDS_MAX, sizeof(struct edge_order));
    if (status == STATUS_OK)
        status = ring_open(&thread->news, all, sizeof(struct edge_news));
    if (status != STATUS_OK)
        return problem_set(problem, status, "no memory for %u calls and messages of edges", all);
    return STATUS_OK;
}

static enum status start_thread(struct edges *edges, struct problem *problem)
{
    if (edges->options.threadless)
        return STATUS_OK;
    int error = thread_start(&edges->pthread, "fly-edge", NULL, edge_thread_run, &edges->thread);
    if (error != 0)
        return problem_set(problem, STATUS_NO_MEMORY, "no thread can be started for edges: %s",
                           strerror(error));
    edges->has_thread = true;
    return STATUS_OK;
}

static void set_defaults(struct edges_options *options)
{
    if (options->in_flight_max == 0)
        options->in_flight_max = EDGE_IN_FLIGHT_DEFAULT;
    if (options->messages_max == 0)
        options->messages_max = EDGE_MESSAGES_DEFAULT;
    assert(options->in_flight_max <= EDGE_IN_FLIGHT_MAX);
    assert(options->messages_max <= EDGE_MESSAGES_MAX);
}

static struct edges *new_edges(const struct edges_options *options)
{
    struct edges *edges = calloc(1, sizeof *edges);
    if (edges == NULL)
        return NULL;
    edges->options = *options;
    set_defaults(&edges->options);
    edge_queue_init(&edges->starts);
    edge_queue_init(&edges->fresh);
    edge_queue_init(&edges->kept);
    edge_queue_init(&edges->unsettled);
    struct edge_thread *thread = &edges->thread;
    thread->partition = options->partition;
    thread->messages_max = edges->options.messages_max;
    thread->scratch = malloc(FLYOVER_PAYLOAD_BYTES_MAX);
    if (thread->scratch != NULL &&
        ring_open(&thread->lines, EDGE_LINES_MAX, sizeof(struct edge_line *)) == STATUS_OK)
        return edges;
    free(thread->scratch);
    free(edges);
    return NULL;
}

enum status edges_open(const struct edges_options *options, struct edges **ret_edges,
                       struct problem *problem)
{
    struct edges *edges = new_edges(options);
    if (edges == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    enum status status = edge_id_open(options->directory, edges->id, problem);
    if (status == STATUS_OK) {
        remote_set_key_id(edges->options.partition, edges->id);
        status = open_modules(edges, problem);
    }
    if (status == STATUS_OK)
        status = open_rings(edges, problem);
    if (status == STATUS_OK)
        status = start_thread(edges, problem);
    if (status == STATUS_OK)
        edges_watch_ends(edges);
    edges->options.config = NULL;
    if (status != STATUS_OK) {
        edges_close(edges);
        return status;
    }
    *ret_edges = edges;
    return STATUS_OK;
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static void end_thread(struct edges *edges)
{
    struct edge_thread *thread = &edges->thread;
    if (!edges->has_thread) {
        edge_thread_end(thread);
        return;
    }
    atomic_store(&thread->wants_end, true);
    edge_thread_wake(thread);
    pthread_join(edges->pthread, NULL);
}

/* The newest first, so that the oldest of them waits in front of the others. */
static void give_back(struct edges *edges)
{
    while (edges->flights != NULL) {
        struct edge_flight *flight = edges->flights;
        edges->flights = flight->next;
        remote_give_back(edges->options.partition, edges->lanes[flight->lane].lane, flight->branch,
                         flight->generation);
        edge_flight_free(flight);
    }
}

void edges_close(struct edges *edges)
{
    if (edges == NULL)
        return;
    struct edge_thread *thread = &edges->thread;
    edges_unwatch_ends(edges);
    end_thread(edges);
    edges_drop_ends(edges);
    edges_take_lines(edges);
    give_back(edges);
    ring_close(thread->orders);
    ring_close(thread->news);
    ring_close(thread->lines);
    free(thread->scratch);
    free(edges);
}
