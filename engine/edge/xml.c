#include "engine/edge/xml.h"

#include <libxml/parser.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void take_element(xmlNode *node, struct xml_wanted *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (wanted[i].ret_text[0] != '\0' || strcmp((const char *)node->name, wanted[i].name) != 0)
            continue;
        xmlChar *text = xmlNodeGetContent(node);
        if (text != NULL)
            snprintf(wanted[i].ret_text, wanted[i].room, "%s", (const char *)text);
        xmlFree(text);
    }
}

/* The next node of the document's order; NULL: it was the last. */
static xmlNode *next_node(xmlNode *node)
{
    if (node->type == XML_ELEMENT_NODE && node->children != NULL)
        return node->children;
    while (node != NULL && node->next == NULL)
        node = node->parent != NULL && node->parent->type == XML_ELEMENT_NODE ? node->parent : NULL;
    return node != NULL ? node->next : NULL;
}

bool xml_read(const char *text, size_t bytes, struct xml_wanted *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wanted[i].ret_text[0] = '\0';
    if (bytes == 0 || bytes > INT_MAX)
        return false;
    xmlDoc *document = xmlReadMemory(text, (int)bytes, NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (document == NULL)
        return false;
    for (xmlNode *node = xmlDocGetRootElement(document); node != NULL; node = next_node(node))
        if (node->type == XML_ELEMENT_NODE)
            take_element(node, wanted, count);
    xmlFreeDoc(document);
    return true;
}
