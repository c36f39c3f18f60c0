/*
 * config_parts: how settings are kept, for config.c, config_file.c and config_print.c.
 */
#ifndef ENGINE_MAIN_CONFIG_PARTS_H
#define ENGINE_MAIN_CONFIG_PARTS_H

#include "engine/main/config.h"

#define CONFIG_PATH_BYTES 128u
#define CONFIG_NAME_BYTES 512u /* of "file:line: section.key" */

/* The later one wins. */
enum config_level { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

struct config_entry {
    char *text;  /* owned; of a map "name=value" */
    char *where; /* owned: "file:line", the variable, the flag */
    enum config_level level;
};

struct config_value {
    const struct config_key *key;
    void *options; /* of its part */
    struct config_entry *entries;
    uint32_t count;
};

struct config {
    struct config_value values[CONFIG_KEYS_MAX];
    uint32_t count;
};

/* Checks the text and puts it where it belongs; what a later place has said stays. */
NODISCARD enum status config_add(struct config_value *value, enum config_level level,
                                 const char *where, const char *text, struct problem *problem);
/* By the path in a file, or NULL. */
struct config_value *config_find(struct config *config, const char *path);
/* "FLYOVER_JOURNAL_HISTORY_MIB" */
void config_variable(const struct config_key *key, char ret_name[CONFIG_PATH_BYTES]);
/* What sentences call a value. */
void config_name(const struct config_key *key, enum config_level level, const char *where,
                 char ret_name[CONFIG_NAME_BYTES]);
/* How many bytes of "name=value" are the name. */
size_t config_entry_name_bytes(const char *text);

#endif
