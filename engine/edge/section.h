/*
 * section: reading a module's part of the configuration: fields by name, with sentences that begin
 * with the path of the field ("lambda.timeout_seconds: ...") and say what may stand there.
 *
 * Threads: any. Memory: none; text is lent by `config`.
 * Errors: STATUS_INVALID with a sentence. A field that is not there leaves `value` as it is, which
 * is how defaults are given.
 */
#ifndef ENGINE_EDGE_SECTION_H
#define ENGINE_EDGE_SECTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

/* That it is an object with no other fields than `names` (ended by NULL); null counts as empty. */
NODISCARD enum status section_check(const json_t *config, const char *path,
                                    const char *const *names, struct problem *problem);
NODISCARD enum status section_count(const json_t *config, const char *path, const char *name,
                                    uint32_t least, uint32_t most, uint32_t *value,
                                    struct problem *problem);
/* Not empty, and at most `bytes_max` long. */
NODISCARD enum status section_text(const json_t *config, const char *path, const char *name,
                                   size_t bytes_max, const char **value, struct problem *problem);
NODISCARD enum status section_flag(const json_t *config, const char *path, const char *name,
                                   bool *value, struct problem *problem);

#endif
