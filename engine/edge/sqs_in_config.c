#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/section.h"
#include "engine/edge/sqs.h"
#include "engine/edge/sqs_in_parts.h"

/* One queue's fields. */
struct section {
    const char *path; /* "sqs_in.queues[2]" */
    const json_t *config;
    struct problem *problem;
};

static enum status text(const struct section *section, const char *name, const char **ret_text)
{
    *ret_text = NULL;
    return section_text(section->config, section->path, name, SQS_URL_BYTES_MAX, ret_text,
                        section->problem);
}

static enum status flag(const struct section *section, const char *name, bool *ret_flag)
{
    *ret_flag = false;
    return section_flag(section->config, section->path, name, ret_flag, section->problem);
}

static enum status wrong(const struct section *section, const char *field, const char *what)
{
    return problem_set(section->problem, STATUS_INVALID, "%s.%s: %s", section->path, field, what);
}

/* Of a path that `field` says; where it is none, `what` is the sentence. */
static enum status read_path(const struct section *section, const char *field, const char *text,
                             const char *what, struct sqs_path *ret_path)
{
    struct problem why = {0};
    size_t bytes = strlen(text);
    ret_path->text = strdup(text);
    ret_path->names = malloc(bytes + 1);
    if (!ret_path->text || !ret_path->names)
        return problem_set(section->problem, STATUS_NO_MEMORY, "sqs_in: out of memory");
    if (path_compile(text, bytes, ret_path->names, &ret_path->path, &why) == STATUS_OK)
        return STATUS_OK;
    return wrong(section, field, what);
}

static void free_path(struct sqs_path *path)
{
    free(path->text);
    free(path->names);
}

static enum status read_signal(const struct section *queue_section, struct sqs_queue *queue)
{
    static const char *const known[] = {"name", "saga", NULL};
    char path[96];
    const char *name, *saga;
    (void)snprintf(path, sizeof(path), "%s.signal", queue_section->path);
    const struct section section = {path, json_object_get(queue_section->config, "signal"),
                                    queue_section->problem};
    enum status status = section_check(section.config, section.path, known, section.problem);
    if (status == STATUS_OK)
        status = text(&section, "name", &name);
    if (status == STATUS_OK)
        status = text(&section, "saga", &saga);
    if (status != STATUS_OK)
        return status;
    queue->kind = EDGE_SIGNAL;
    if (name && *name != '$')
        queue->signal_name = strdup(name);
    else
        status = read_path(&section, "name", name ? name : "",
                           "wanted is the name of the signal, or where in the body it "
                           "is, such as $.signal",
                           &queue->signal_name_at);
    if (status == STATUS_OK)
        status = read_path(&section, "saga", saga ? saga : "",
                           "wanted is where in the body the saga's id is, such as $.saga",
                           &queue->signal_saga_at);
    return status;
}

/* Exactly one of definition, signal and reply. */
static enum status read_use(const struct section *section, struct sqs_queue *queue)
{
    const char *definition;
    bool reply;
    bool signal = json_object_get(section->config, "signal") != NULL;
    enum status status = text(section, "definition", &definition);
    if (status == STATUS_OK)
        status = flag(section, "reply", &reply);
    if (status != STATUS_OK)
        return status;
    if ((definition != NULL) + signal + reply != 1)
        return problem_set(section->problem, STATUS_INVALID,
                           "%s: say what its messages do, by one of `definition: NAME` (they start "
                           "it), `signal: {name, saga}` and `reply: true` (they end steps)",
                           section->path);
    if (signal)
        return read_signal(section, queue);
    queue->kind = reply ? EDGE_ANSWER : EDGE_START;
    queue->definition = definition ? strdup(definition) : NULL;
    return STATUS_OK;
}

static enum status read_name(const struct section *section, struct sqs_queue *queue)
{
    const char *name;
    enum status status = text(section, "name", &name);
    if (status != STATUS_OK)
        return status;
    if (!name)
        name = queue->fifo ? "deduplication-id" : "message-id";
    if (strcmp(name, "message-id") == 0) {
        queue->known_by = SQS_BY_MESSAGE_ID;
    } else if (strcmp(name, "deduplication-id") == 0 && queue->fifo) {
        queue->known_by = SQS_BY_DEDUPLICATION_ID;
    } else if (strncmp(name, "attribute:", 10) == 0 && name[10]) {
        queue->known_by = SQS_BY_ATTRIBUTE;
        queue->known_as = strdup(name + 10);
    } else {
        queue->known_by = SQS_BY_PATH;
        return read_path(
            section, "name", name,
            "wanted is what a message is known by: message-id, deduplication-id (of a FIFO "
            "queue), attribute:NAME, or where in the body it is, such as $.order.id or "
            "$['order id']",
            &queue->known_at);
    }
    return STATUS_OK;
}

static enum status count(const struct section *section, const char *name, uint32_t least,
                         uint32_t most, uint32_t *value)
{
    return section_count(section->config, section->path, name, least, most, value,
                         section->problem);
}

static enum status read_numbers(const struct section *section, struct sqs_queue *queue)
{
    queue->connections = SQS_IN_CONNECTIONS_DEFAULT;
    queue->wait_seconds = SQS_IN_WAIT_SECONDS;
    enum status status =
        count(section, "connections", 1, SQS_IN_CONNECTIONS_MAX, &queue->connections);
    if (status == STATUS_OK)
        status = count(section, "wait_seconds", 0, SQS_IN_WAIT_SECONDS, &queue->wait_seconds);
    if (status == STATUS_OK)
        status = count(section, "visibility_seconds", SQS_IN_VISIBILITY_SECONDS_MIN,
                       SQS_IN_VISIBILITY_SECONDS_MAX, &queue->visibility_told);
    if (status == STATUS_OK)
        status = flag(section, "attributes", &queue->attributes);
    if (status == STATUS_OK)
        status = flag(section, "sns_envelope", &queue->sns_envelope);
    return status;
}

static enum status read_queue(const struct section *section, struct sqs_queue *queue)
{
    static const char *const known[] = {"url",          "definition",  "signal",
                                        "reply",        "name",        "attributes",
                                        "sns_envelope", "connections", "visibility_seconds",
                                        "wait_seconds", NULL};
    const char *url;
    enum status status = section_check(section->config, section->path, known, section->problem);
    if (status == STATUS_OK)
        status = text(section, "url", &url);
    if (status != STATUS_OK)
        return status;
    if (!url || !sqs_is_url(url))
        return wrong(section, "url",
                     "wanted is the queue's URL as SQS says it, such as "
                     "https://sqs.eu-central-1.amazonaws.com/123456789012/orders");
    queue->url = strdup(url);
    queue->fifo = sqs_is_fifo(url);
    queue->polls_wanted = 1;
    status = read_use(section, queue);
    if (status == STATUS_OK)
        status = read_name(section, queue);
    return status == STATUS_OK ? read_numbers(section, queue) : status;
}

static enum status check_once(const struct sqs_in *in, uint32_t index, struct problem *problem)
{
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(in->queues[i].url, in->queues[index].url) == 0)
            return problem_set(problem, STATUS_INVALID,
                               "sqs_in.queues[%u].url: queues[%u] is the same queue: name it once",
                               index, i);
    return STATUS_OK;
}

enum status sqs_in_read_config(const json_t *config, struct sqs_in *in, struct problem *problem)
{
    static const char *const known[] = {"queues", NULL};
    enum status status = section_check(config, "sqs_in", known, problem);
    if (status != STATUS_OK)
        return status;
    const json_t *queues = json_object_get(config, "queues");
    size_t queues_count = json_array_size(queues);
    if (queues_count == 0 || queues_count > SQS_IN_QUEUES_MAX)
        return problem_set(problem, STATUS_INVALID,
                           "sqs_in.queues: wanted is a list of 1 to %u queues, each with its url "
                           "and the definition that its messages start",
                           SQS_IN_QUEUES_MAX);
    in->queues = calloc(queues_count, sizeof(*in->queues));
    if (!in->queues)
        return problem_set(problem, STATUS_NO_MEMORY, "sqs_in: out of memory");
    in->queues_count = (uint32_t)queues_count;
    for (uint32_t i = 0; i < queues_count; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "sqs_in.queues[%u]", i);
        const struct section of_queue = {path, json_array_get(queues, i), problem};
        in->queues[i].in = in;
        in->queues[i].index = i;
        status = read_queue(&of_queue, &in->queues[i]);
        if (status == STATUS_OK)
            status = check_once(in, i, problem);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

void sqs_in_free_config(struct sqs_in *in)
{
    for (uint32_t i = 0; i < in->queues_count; i++) {
        free(in->queues[i].url);
        free(in->queues[i].definition);
        free(in->queues[i].signal_name);
        free(in->queues[i].known_as);
        free(in->queues[i].settled);
        free(in->queues[i].undeleted);
        free_path(&in->queues[i].signal_name_at);
        free_path(&in->queues[i].signal_saga_at);
        free_path(&in->queues[i].known_at);
    }
    free(in->queues);
}
