#include "engine/main/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/nearest.h"
#include "engine/main/config_parts.h"

#define PREFIX             "FLYOVER_"
#define VARIABLE_EDITS_MAX 2u
#define CHOICES_BYTES      128u
#define OUT_OF_MEMORY      "out of memory"
#define ENTRY_BYTES_MAX    4096u

/* ---- one value ------------------------------------------------------------------------------- */

static enum status check_amount(const struct config_key *key, const char *name, const char *text,
                                uint64_t *ret_amount, struct problem *problem)
{
    char *end;
    unsigned long long amount = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && strlen(text) < 20 &&
        amount >= key->least && amount <= key->most) {
        *ret_amount = amount * key->unit;
        return STATUS_OK;
    }
    return problem_set(problem, STATUS_INVALID, "%s takes %" PRIu64 " to %" PRIu64 ", not '%.80s'",
                       name, key->least, key->most, text);
}

/* "sync async memory" as "sync, async, memory". */
static void list_choices(const char *choices, char ret_text[CHOICES_BYTES])
{
    size_t used = 0;
    for (const char *next = choices; *next != '\0' && used < CHOICES_BYTES - 3; next++) {
        if (*next == ' ')
            ret_text[used++] = ',';
        ret_text[used++] = *next;
    }
    ret_text[used] = '\0';
}

static enum status check_choice(const struct config_key *key, const char *name, const char *text,
                                uint32_t *ret_choice, struct problem *problem)
{
    uint32_t index = 0;
    size_t bytes = strlen(text);
    for (const char *next = key->choices; *next != '\0'; index++) {
        size_t word_bytes = strcspn(next, " ");
        if (bytes == word_bytes && memcmp(next, text, bytes) == 0) {
            *ret_choice = index;
            return STATUS_OK;
        }
        next += word_bytes + (next[word_bytes] == ' ');
    }
    char choices[CHOICES_BYTES];
    list_choices(key->choices, choices);
    return problem_set(problem, STATUS_INVALID, "%s '%.80s' is none of %s", name, text, choices);
}

static enum status check_truth(const char *name, const char *text, bool *ret_truth,
                               struct problem *problem)
{
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return problem_set(problem, STATUS_INVALID, "%s takes true or false, not '%.80s'", name,
                           text);
    *ret_truth = is_true;
    return STATUS_OK;
}

static enum status check_text(const char *name, const char *text, struct problem *problem)
{
    if (text[0] == '\0')
        return problem_set(problem, STATUS_INVALID, "%s has no value: leave it out, or give it one",
                           name);
    if (strlen(text) > ENTRY_BYTES_MAX)
        return problem_set(problem, STATUS_INVALID, "%s has more than %u bytes", name,
                           ENTRY_BYTES_MAX);
    return STATUS_OK;
}

static void store_amount(const struct config_key *key, void *options, uint64_t amount)
{
    char *at = (char *)options + key->offset;
    uint32_t small = (uint32_t)amount;
    if (key->bytes == sizeof small) {
        assert(amount == small);
        memcpy(at, &small, sizeof small);
        return;
    }
    assert(key->bytes == sizeof amount);
    memcpy(at, &amount, sizeof amount);
}

static enum status take(const struct config_key *key, void *options, const char *name,
                        const char *text, struct problem *problem)
{
    struct problem inner = {0};
    enum status status = key->take(options, text, &inner);
    return status == STATUS_OK ? STATUS_OK
                               : problem_set(problem, STATUS_INVALID, "%s %s", name, inner.text);
}

/* With options NULL it is only looked whether it could be stored. */
static enum status store(const struct config_key *key, void *options, const char *name,
                         const char *text, struct problem *problem)
{
    uint64_t amount = 0;
    uint32_t choice = 0;
    bool truth = false;
    char *at = options == NULL ? NULL : (char *)options + key->offset;
    enum status status = check_text(name, text, problem);
    if (status != STATUS_OK)
        return status;
    switch (key->type) {
    case CONFIG_TEXT:
        if (at != NULL)
            memcpy(at, &text, sizeof text);
        return STATUS_OK;
    case CONFIG_TRUTH:
        status = check_truth(name, text, &truth, problem);
        if (status == STATUS_OK && at != NULL)
            memcpy(at, &truth, sizeof truth);
        return status;
    case CONFIG_AMOUNT:
        status = check_amount(key, name, text, &amount, problem);
        if (status == STATUS_OK && at != NULL)
            store_amount(key, options, amount);
        return status;
    case CONFIG_CHOICE:
        status = check_choice(key, name, text, &choice, problem);
        if (status == STATUS_OK && at != NULL)
            memcpy(at, &choice, sizeof choice);
        return status;
    case CONFIG_LIST:
    case CONFIG_MAP: return at == NULL ? STATUS_OK : take(key, options, name, text, problem);
    }
    return STATUS_OK;
}

enum status config_store_one(const struct config_key *key, void *options, const char *name,
                             const char *text, struct problem *problem)
{
    return store(key, options, name, text, problem);
}

void config_store_defaults(const struct config_key *keys, uint32_t count, void *options)
{
    for (uint32_t i = 0; i < count; i++) {
        struct problem problem;
        if (keys[i].normal == NULL || keys[i].is_kept)
            continue;
        enum status status = store(&keys[i], options, keys[i].flag, keys[i].normal, &problem);
        assert(status == STATUS_OK);
    }
}

/* ---- values and where they came from --------------------------------------------------------- */

size_t config_entry_name_bytes(const char *text)
{
    return strcspn(text, "=");
}

void config_variable(const struct config_key *key, char ret_name[CONFIG_PATH_BYTES])
{
    snprintf(ret_name, CONFIG_PATH_BYTES, PREFIX "%s", key->path);
    for (char *next = ret_name; *next != '\0'; next++) {
        if (*next == '.' || *next == '-')
            *next = '_';
        else if (*next >= 'a' && *next <= 'z')
            *next = (char)(*next - 'a' + 'A');
    }
}

void config_name(const struct config_key *key, enum config_level level, const char *where,
                 char ret_name[CONFIG_NAME_BYTES])
{
    if (level == CONFIG_FILE)
        snprintf(ret_name, CONFIG_NAME_BYTES, "%s: %s", where, key->path);
    else
        snprintf(ret_name, CONFIG_NAME_BYTES, "%s", where);
}

static void free_entry(struct config_entry *entry)
{
    free(entry->text);
    free(entry->where);
    *entry = (struct config_entry){0};
}

/* The place for a new text, emptied; NULL: what is there is of a later place and stays. */
static struct config_entry *find_place(struct config_value *value, enum config_level level,
                                       const char *text)
{
    bool is_map = value->key->type == CONFIG_MAP;
    if (!is_map && value->count > 0 && value->entries[0].level > level)
        return NULL;
    if (!is_map && value->count > 0 &&
        (value->key->type != CONFIG_LIST || value->entries[0].level < level)) {
        for (uint32_t i = 0; i < value->count; i++)
            free_entry(&value->entries[i]);
        value->count = 0;
    }
    size_t name_bytes = config_entry_name_bytes(text);
    for (uint32_t i = 0; is_map && i < value->count; i++) {
        struct config_entry *entry = &value->entries[i];
        if (config_entry_name_bytes(entry->text) != name_bytes ||
            memcmp(entry->text, text, name_bytes) != 0)
            continue;
        if (entry->level > level)
            return NULL;
        free_entry(entry);
        return entry;
    }
    return &value->entries[value->count++];
}

enum status config_add(struct config_value *value, enum config_level level, const char *where,
                       const char *text, struct problem *problem)
{
    char name[CONFIG_NAME_BYTES];
    config_name(value->key, level, where, name);
    enum status status = store(value->key, NULL, name, text, problem);
    if (status != STATUS_OK)
        return status;
    if (value->count == CONFIG_ENTRIES_MAX)
        return problem_set(problem, STATUS_INVALID, "%s has more than %u values", name,
                           CONFIG_ENTRIES_MAX);
    if (value->entries == NULL)
        value->entries = calloc(CONFIG_ENTRIES_MAX, sizeof *value->entries);
    char *kept = strdup(text);
    char *from = strdup(where);
    if (value->entries == NULL || kept == NULL || from == NULL) {
        free(kept);
        free(from);
        return problem_set(problem, STATUS_NO_MEMORY, OUT_OF_MEMORY);
    }
    struct config_entry entry = {kept, from, level};
    struct config_entry *place = find_place(value, level, text);
    if (place != NULL)
        *place = entry;
    else
        free_entry(&entry);
    return STATUS_OK;
}

struct config_value *config_find(struct config *config, const char *path)
{
    for (uint32_t i = 0; i < config->count; i++)
        if (config->values[i].key->path != NULL && strcmp(config->values[i].key->path, path) == 0)
            return &config->values[i];
    return NULL;
}

static enum status add_default(struct config_value *value)
{
    const struct config_key *key = value->key;
    return key->normal == NULL ? STATUS_OK
                               : config_add(value, CONFIG_DEFAULT, "default", key->normal, NULL);
}

enum status config_open(const struct config_part *parts, uint32_t parts_count,
                        struct config **ret_config)
{
    struct config *config = calloc(1, sizeof *config);
    enum status status = config == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (uint32_t i = 0; i < parts_count && status == STATUS_OK; i++) {
        for (uint32_t j = 0; j < parts[i].count && status == STATUS_OK; j++) {
            assert(config->count < CONFIG_KEYS_MAX);
            struct config_value *value = &config->values[config->count++];
            *value = (struct config_value){.key = &parts[i].keys[j], .options = parts[i].options};
            status = add_default(value);
        }
    }
    if (status == STATUS_OK)
        *ret_config = config;
    else
        config_close(config);
    return status;
}

void config_close(struct config *config)
{
    if (config == NULL)
        return;
    for (uint32_t i = 0; i < config->count; i++) {
        for (uint32_t j = 0; j < config->values[i].count; j++)
            free_entry(&config->values[i].entries[j]);
        free(config->values[i].entries);
    }
    free(config);
}

/* ---- environment and flags ------------------------------------------------------------------- */

/* Lists and maps are parted by commas. */
static enum status add_variable(struct config_value *value, const char *variable, char *text,
                                struct problem *problem)
{
    enum config_type type = value->key->type;
    if (type != CONFIG_LIST && type != CONFIG_MAP)
        return config_add(value, CONFIG_ENVIRONMENT, variable, text, problem);
    enum status status = STATUS_OK;
    for (char *next = text; next != NULL && status == STATUS_OK;) {
        char *item = strsep(&next, ",");
        status = config_add(value, CONFIG_ENVIRONMENT, variable, item, problem);
    }
    return status;
}

static enum status read_variable(struct config *config, const char *variable, const char *text,
                                 struct problem *problem)
{
    struct nearest nearest = nearest_to(variable);
    char names[CONFIG_KEYS_MAX][CONFIG_PATH_BYTES];
    nearest.distance = VARIABLE_EDITS_MAX + 1;
    for (uint32_t i = 0; i < config->count; i++) {
        if (config->values[i].key->path == NULL)
            continue;
        config_variable(config->values[i].key, names[i]);
        nearest_offer(&nearest, names[i]);
        if (strcmp(names[i], variable) != 0)
            continue;
        char *copy = strdup(text);
        enum status status = copy == NULL
                                 ? problem_set(problem, STATUS_NO_MEMORY, OUT_OF_MEMORY)
                                 : add_variable(&config->values[i], variable, copy, problem);
        free(copy);
        return status;
    }
    if (nearest.best == NULL)
        return STATUS_OK;
    return problem_set(problem, STATUS_INVALID, "%.120s is no variable of flyover's: %s is",
                       variable, nearest.best);
}

enum status config_read_environment(struct config *config, char *const *environment,
                                    struct problem *problem)
{
    enum status status = STATUS_OK;
    for (; *environment != NULL && status == STATUS_OK; environment++) {
        const char *equals = strchr(*environment, '=');
        if (equals == NULL || strncmp(*environment, PREFIX, strlen(PREFIX)) != 0)
            continue;
        char *variable = strndup(*environment, (size_t)(equals - *environment));
        status = variable == NULL ? problem_set(problem, STATUS_NO_MEMORY, OUT_OF_MEMORY)
                                  : read_variable(config, variable, equals + 1, problem);
        free(variable);
    }
    return status;
}

const char *config_flag_text(const struct config_key *key, const char *text)
{
    if (key->type != CONFIG_TRUTH)
        return text;
    return strncmp(key->flag, "no-", 3) == 0 ? "false" : "true";
}

enum status config_read_flag(struct config *config, const struct config_key *key, const char *text,
                             struct problem *problem)
{
    char where[CONFIG_PATH_BYTES];
    snprintf(where, sizeof where, "--%s", key->flag);
    for (uint32_t i = 0; i < config->count; i++)
        if (config->values[i].key == key)
            return config_add(&config->values[i], CONFIG_FLAG, where, config_flag_text(key, text),
                              problem);
    assert(false && "a flag of another table");
    return STATUS_INVALID;
}

enum status config_copy_flags(struct config *config, const struct config *from,
                              struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < from->count; i++) {
        const struct config_value *value = &from->values[i];
        assert(config->values[i].key == value->key);
        for (uint32_t j = 0; j < value->count && status == STATUS_OK; j++)
            if (value->entries[j].level == CONFIG_FLAG)
                status = config_add(&config->values[i], CONFIG_FLAG, value->entries[j].where,
                                    value->entries[j].text, problem);
    }
    return status;
}

/* ---- what is in effect ----------------------------------------------------------------------- */

static bool is_stored(const struct config_value *value, const struct config_entry *entry)
{
    return entry->level != CONFIG_DEFAULT || !value->key->is_kept;
}

enum status config_store(const struct config *config, struct problem *problem)
{
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < config->count; i++) {
        const struct config_value *value = &config->values[i];
        for (uint32_t j = 0; j < value->count && status == STATUS_OK; j++) {
            const struct config_entry *entry = &value->entries[j];
            char name[CONFIG_NAME_BYTES];
            config_name(value->key, entry->level, entry->where, name);
            if (is_stored(value, entry))
                status = store(value->key, value->options, name, entry->text, problem);
        }
    }
    return status;
}

static bool is_same(const struct config_value *left, const struct config_value *right)
{
    bool same = left->count == right->count;
    for (uint32_t i = 0; i < left->count && same; i++)
        same = strcmp(left->entries[i].text, right->entries[i].text) == 0;
    return same;
}

void config_compare(const struct config *before, const struct config *after,
                    void (*on_change)(void *context, const struct config_key *key), void *context)
{
    assert(before->count == after->count);
    for (uint32_t i = 0; i < before->count; i++)
        if (!is_same(&before->values[i], &after->values[i]))
            on_change(context, before->values[i].key);
}
