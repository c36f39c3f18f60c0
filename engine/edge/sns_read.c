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

static void set_text(json_t *object, const xmlNode *parent, const char *name)
{
    char text[128];
    if (child_text(parent, name, text, sizeof(text)))
        json_object_set_new(object, name, json_string(text));
}

static void read_done(const xmlNode *result, struct outbox_outcome *outcome)
{
    outcome->named = outcome->done = true;
    outcome->output = json_object();
    set_text(outcome->output, result, "MessageId");
    set_text(outcome->output, result, "SequenceNumber");
}

static void read_failed(const xmlNode *member, struct outbox_outcome *outcome)
{
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
                         void (*read)(const xmlNode *member, struct outbox_outcome *outcome),
                         struct outbox_outcome *outcomes)
{
    for (const xmlNode *member = list ? list->children : NULL; member; member = member->next) {
        char id[16], *end;
        if (!is_named(member, "member") || !child_text(member, "Id", id, sizeof(id)))
            continue;
        unsigned long index = strtoul(id, &end, 10);
        if (end != id && !*end && index < batch->count && !outcomes[index].named)
            read(member, &outcomes[index]);
    }
}

static void read_document(const struct batcher_batch *batch, const xmlNode *root, bool single,
                          struct outbox_outcome *outcomes)
{
    const xmlNode *result = child(root, single ? "PublishResult" : "PublishBatchResult");
    if (single) {
        if (result)
            read_done(result, &outcomes[0]);
        return;
    }
    read_members(batch, child(result, "Successful"), read_done, outcomes);
    read_members(batch, child(result, "Failed"), read_failed, outcomes);
}

void sns_read(const struct batcher_batch *batch, const char *xml, size_t bytes, bool single,
              struct outbox_outcome *outcomes)
{
    if (bytes > INT_MAX)
        return;
    xmlDoc *document = xmlReadMemory(xml, (int)bytes, NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!document)
        return;
    read_document(batch, xmlDocGetRootElement(document), single, outcomes);
    xmlFreeDoc(document);
}
