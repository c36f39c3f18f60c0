#include <stdio.h>
#include <string.h>

#include "engine/main/serve_parts.h"

/* Services of others, as the file of --edges tells. */

#define SERVICES_BYTES 512u

static enum log_level level_of(int level)
{
    return level <= 3 ? LOG_ERROR : level <= 4 ? LOG_WARN : level <= 6 ? LOG_INFO : LOG_DEBUG;
}

static void on_log(void *context, int level, const char *event, const char *text)
{
    struct serve *serve = context;
    log_say(&serve->log, level_of(level), event, LOG_TEXT("text", text));
}

enum status serve_read_edges(struct serve *serve, struct problem *problem)
{
    if (serve->options.edges_file == NULL)
        return STATUS_OK;
    return edge_config_read(serve->options.edges_file, &serve->edges_config, problem);
}

enum status serve_open_edges(struct serve *serve, struct problem *problem)
{
    struct problem inner = {0};
    const struct serve_options *options = &serve->options;
    bool in_memory = options->session.durability == DURABILITY_MEMORY;
    const struct edges_options edges = {
        .partition = serve->session.partition,
        .config = serve->edges_config,
        .directory = in_memory ? NULL : options->session.directory,
        .in_flight_max = options->edges_in_flight,
        .messages_max = options->edges_messages,
        .on_log = on_log,
        .log_context = serve,
    };
    if (serve->edges_config == NULL)
        return STATUS_OK;
    enum status status = edges_open(&edges, &serve->edges, &inner);
    json_decref(serve->edges_config);
    serve->edges_config = NULL;
    if (status == STATUS_INVALID)
        return problem_set(problem, status, "%s: %s", options->edges_file, inner.text);
    return status == STATUS_OK ? status : problem_set(problem, status, "%s", inner.text);
}

/* "aws-sqs,sql": each once, they stand together. */
static void list_services(const struct edge_counts *counts, char ret_text[SERVICES_BYTES])
{
    const char *last = "";
    size_t used = 0;
    ret_text[0] = '\0';
    for (uint32_t i = 0; i < counts->lanes_count; i++) {
        const char *service = counts->lanes[i].service;
        if (strcmp(service, last) == 0 || used + strlen(service) + 2 > SERVICES_BYTES)
            continue;
        used += (size_t)snprintf(ret_text + used, SERVICES_BYTES - used, "%s%s",
                                 used == 0 ? "" : ",", service);
        last = service;
    }
}

void serve_say_edges(struct serve *serve)
{
    char services[SERVICES_BYTES];
    if (serve->edges == NULL)
        return;
    struct edge_counts counts = edges_counts(serve->edges);
    list_services(&counts, services);
    log_say(&serve->log, LOG_INFO, "edges", LOG_TEXT("file", serve->options.edges_file),
            LOG_TEXT("services", services), LOG_NUMBER("handlers", counts.lanes_count));
}
