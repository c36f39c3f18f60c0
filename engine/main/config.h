/*
 * config: settings by name, from four places, of which the later wins:
 *
 *     default  <  file  <  environment (FLYOVER_SECTION_KEY)  <  flags
 *
 * One table of keys is all there is: it reads the file and the environment, makes the options of
 * argp(3) and their --help, checks every value, prints what is in effect, and stores it where the
 * program looks. A key that is not in a table is in none of them.
 *
 * The file is YAML, read by libyaml: people know it, it has comments (JSON has none), and the
 * library is small, without dependencies and kept by every distribution. Sections of keys:
 *
 *     data:
 *       dir: /var/lib/flyover
 *     listen:
 *       addresses: [127.0.0.1:7233]
 *     services:
 *       limits:
 *         inventory: {rate: 500}          # a map; the same as `inventory.rate: 500`
 *
 * A scalar or a list of a later place replaces the earlier one; of a map each entry by itself. In
 * the environment a list is parted by commas, and so are the entries NAME=VALUE of a map.
 *
 * Threads: none; one thread at a time. Memory: copies of all texts, until config_close; what was
 *          stored in the options points into them.
 * Limits:  a file of CONFIG_FILE_BYTES_MAX, CONFIG_ENTRIES_MAX values of a list or map.
 * Errors:  STATUS_INVALID; the sentence begins with file:line, the variable, or the flag. Refused
 *          are unknown keys (with the nearest known one), duplicates, wrong types, and of YAML what
 *          a configuration needs not: anchors, aliases, tags, several documents.
 */
#ifndef ENGINE_MAIN_CONFIG_H
#define ENGINE_MAIN_CONFIG_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/status.h"

#define CONFIG_FILE_BYTES_MAX (1u << 20)
#define CONFIG_ENTRIES_MAX    256u
#define CONFIG_KEYS_MAX       64u
#define CONFIG_FLAG_FIRST     5000 /* argp's key of a flag without a letter: this and its index */

enum config_type {
    CONFIG_TEXT,   /* const char * */
    CONFIG_TRUTH,  /* bool; its flag takes no value, and says false where it begins with "no-" */
    CONFIG_AMOUNT, /* uint32_t or uint64_t: a whole number from `least` to `most`, times `unit` */
    CONFIG_CHOICE, /* an enum: the place of the word in `choices`, from 0 on */
    CONFIG_LIST,   /* each text to `take` */
    CONFIG_MAP,    /* each "name=value" to `take` */
};

struct config_key {
    /* In the file, "journal.history-mib"; FLYOVER_JOURNAL_HISTORY_MIB is made of it. NULL: what is
     * to be said each time anew, by the flag alone. */
    const char *path;
    const char *flag; /* without "--"; NULL: none */
    char letter;      /* of a short flag, 0: none */
    const char *argument;
    enum config_type type;
    const char *normal; /* by default; NULL: none */
    bool is_kept;       /* the default is not stored: a data directory that is there has its own */
    bool reloads;       /* a new value is taken while the engine runs */
    uint64_t least, most, unit;
    const char *choices; /* parted by spaces */
    size_t offset, bytes;
    /* Its sentence goes behind the name of the key. The text is kept by the caller. */
    enum status (*take)(void *options, const char *text, struct problem *problem);
    const char *help; /* a sentence without its full stop, for --help and comments */
};

#define CONFIG_AT(type, member)                                                                    \
    .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

/* Keys and the struct that they fill. */
struct config_part {
    const struct config_key *keys;
    uint32_t count;
    void *options;
};

/* One value for one key, for programs that have flags only. `name` is what the sentence calls it;
 * `text` stays the caller's. STATUS_INVALID. */
NODISCARD enum status config_store_one(const struct config_key *key, void *options,
                                       const char *name, const char *text, struct problem *problem);
/* Stores the defaults of a table. */
void config_store_defaults(const struct config_key *keys, uint32_t count, void *options);
/* The flags of a table for argp, ended by an empty one: room for 2 x count + 1. Key i is its
 * letter, or first + i. They stand in groups from `group` on; `sections`: each under its section's
 * name. Returns how many. */
uint32_t config_argp_options(const struct config_key *keys, uint32_t count, int first, int group,
                             bool sections, struct argp_option *ret_options);
/* The key that argp's key is of, or NULL. */
const struct config_key *config_find_flag(const struct config_key *keys, uint32_t count, int first,
                                          int flag);
/* argp's help_filter for a key of the table: adds the default. */
char *config_help(const struct config_key *key, const char *text);
/* What a flag says: of a truth, which is given without a value, "true" or "false". */
const char *config_flag_text(const struct config_key *key, const char *text);

struct config;

/* Returns owned; STATUS_NO_MEMORY. The parts are copied, what they point to is borrowed. */
NODISCARD enum status config_open(const struct config_part *parts, uint32_t parts_count,
                                  struct config **ret_config);
void config_close(struct config *config);

NODISCARD enum status config_read_file(struct config *config, const char *path,
                                       struct problem *problem);
/* Variables that begin with FLYOVER_ and are no key's are left alone, as they may be for another
 * program, but for those that were surely meant to be one. */
NODISCARD enum status config_read_environment(struct config *config, char *const *environment,
                                              struct problem *problem);
NODISCARD enum status config_read_flag(struct config *config, const struct config_key *key,
                                       const char *text, struct problem *problem);
/* The flags that `from` was given: to read everything else again. */
NODISCARD enum status config_copy_flags(struct config *config, const struct config *from,
                                        struct problem *problem);
/* Puts what is in effect into the options of each part. */
NODISCARD enum status config_store(const struct config *config, struct problem *problem);
/* The effective settings, as YAML that config_read_file takes, with where each came from. */
void config_print(const struct config *config, FILE *out);
/* Calls `on_change` for each key that has another value in `after`. */
void config_compare(const struct config *before, const struct config *after,
                    void (*on_change)(void *context, const struct config_key *key), void *context);

#endif
