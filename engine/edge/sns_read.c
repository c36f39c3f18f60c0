#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sns.h"

static bool is_named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static xmlNode *child(const xmlNode *parent, const char *name)
{
    xmlNode *node = parent ? parent->children : NULL;
    while (node && !is_named(node, name))
        node = node->next;
    return node;
}

/* Cut at `bytes`; false: there is no such child. */
static bool child_text(const xmlNode *parent, const char *name, char *ret_text, size_t bytes)
{
    xmlNode *node = child(parent, name);
    xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    if (!text)
        return false;
    (void)snprintf(ret_text, bytes, "%s", (const char *)text);
    xmlFree(text);
    return true;
}

/* Under the same name; how many were written. */
static uint32_t write_text(struct sink *output, const xmlNode *parent, const char *name)
{
    char text[128];
    if (!child_text(parent, name, text, sizeof(text)))
        return 0;
    sink_literal(output, name);
    sink_literal(output, text);
    return 1;
}

/* Takes less than the elements do. */
static void read_done(const xmlNode *result, struct sink *outputs, struct outbox_outcome *outcome)
{
    uint8_t *head = outputs->at;
    sink_map(outputs, 0);
    uint32_t fields = write_text(outputs, result, "MessageId");
    fields += write_text(outputs, result, "SequenceNumber");
    outcome->named = true;
    outcome->done = !outputs->overflowed;
    if (!outcome->done)
        return;
    *head |= (uint8_t)fields;
    outcome->output = (struct flyover_bytes){head, (uint32_t)(outputs->at - head)};
}

static void read_failed(const xmlNode *member, struct sink *outputs, struct outbox_outcome *outcome)
{
    (void)outputs;
    char fault[8] = "";
    outcome->named = true;
    (void)child_text(member, "SenderFault", fault, sizeof(fault));
    outcome->sender_fault = strcmp(fault, "true") == 0;
    if (!child_text(member, "Code", outcome->code, sizeof(outcome->code)))
        (void)snprintf(outcome->code, sizeof(outcome->code), "Unknown");
    if (!child_text(member, "Message", outcome->message, sizeof(outcome->message)))
        (void)snprintf(outcome->message, sizeof(outcome->message), "SNS does not say why");
}

static void read_members(const struct batcher_batch *batch, const xmlNode *list,
                         void (*read)(const xmlNode *member, struct sink *outputs,
                                      struct outbox_outcome *outcome),
                         struct sink *outputs, struct outbox_outcome *outcomes)
{
    for (const xmlNode *member = list ? list->children : NULL; member; member = member->next) {
        char id[16], *end;
        if (!is_named(member, "member") || !child_text(member, "Id", id, sizeof(id)))
            continue;
        unsigned long index = strtoul(id, &end, 10);
        if (end != id && !*end && index < batch->count && !outcomes[index].named)
            read(member, outputs, &outcomes[index]);
    }
}

static void read_document(const struct batcher_batch *batch, const xmlNode *root, bool single,
                          struct sink *outputs, struct outbox_outcome *outcomes)
{
    const xmlNode *result = child(root, single ? "PublishResult" : "PublishBatchResult");
    if (single) {
        if (result)
            read_done(result, outputs, &outcomes[0]);
        return;
    }
    read_members(batch, child(result, "Successful"), read_done, outputs, outcomes);
    read_members(batch, child(result, "Failed"), read_failed, outputs, outcomes);
}

void sns_read(const struct batcher_batch *batch, const struct aws_answer *answer, bool single,
              struct sink *outputs, struct outbox_outcome *outcomes)
{
    size_t bytes = answer->http.body_bytes;
    if (bytes > INT_MAX)
        return;
    xmlDoc *document = xmlReadMemory(answer->http.body, (int)bytes, NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!document)
        return;
    read_document(batch, xmlDocGetRootElement(document), single, outputs, outcomes);
    xmlFreeDoc(document);
}
