/*
 * xml: the few elements that answers of AWS's Query protocol are read for.
 *
 * Threads: any. Memory: the document's while it is read. No entity is expanded, nothing is loaded.
 */
#ifndef ENGINE_EDGE_XML_H
#define ENGINE_EDGE_XML_H

#include <stdbool.h>
#include <stddef.h>

struct xml_wanted {
    const char *name; /* of the element, whatever its namespace: the first one in the document */
    char *ret_text;
    size_t room; /* longer text is cut */
};

/* Texts of elements that are not there are "". False: it is no XML. */
bool xml_read(const char *text, size_t bytes, struct xml_wanted *wanted, size_t count);

#endif
