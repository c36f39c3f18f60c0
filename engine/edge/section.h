/*
 * section: reads the fields of a module's section of the configuration. A sentence of a wrong one
 * begins with its path: "sqs.connections: ...". All return STATUS_INVALID for what is wrong, and
 * `otherwise` for what is not there.
 */
#ifndef ENGINE_EDGE_SECTION_H
#define ENGINE_EDGE_SECTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

struct section {
    const char *path; /* "sqs_in.queues[2]" */
    const json_t *object;
    struct problem *problem;
};

/* An object, or nothing at all (`sqs:` with nothing behind it), whose fields are all in `known`,
 * ended by NULL. */
NODISCARD enum status section_check(const struct section *section, const char *const *known);
/* `what` ends the sentence: "how many ...". */
NODISCARD enum status section_integer(const struct section *section, const char *field,
                                      int64_t least, int64_t most, int64_t otherwise,
                                      const char *what, int64_t *ret_value);
NODISCARD enum status section_boolean(const struct section *section, const char *field,
                                      bool otherwise, const char *what, bool *ret_value);
/* Lent by the section. Not empty. */
NODISCARD enum status section_text(const struct section *section, const char *field,
                                   const char *otherwise, const char *what, const char **ret_value);

#endif
