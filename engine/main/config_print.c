#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/main/config_parts.h"

/* ---- as YAML --------------------------------------------------------------------------------- */

/* Of letters that mean nothing in YAML, wherever they stand, and none of its words. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    if (!isalnum((unsigned char)text[0]) && text[0] != '/')
        return false;
    size_t bytes = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+:");
    return text[bytes] == '\0' && text[bytes - 1] != ':';
}

static void print_text(const char *text, FILE *out)
{
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ')
            fprintf(out, "\\x%02x", (unsigned int)(unsigned char)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void print_where(const struct config_key *key, const struct config_entry *entry, FILE *out)
{
    bool kept = key->is_kept && entry->level == CONFIG_DEFAULT;
    fprintf(out, "  # %s%s\n", entry->where, kept ? ", for a new data directory" : "");
}

static void print_pair(const struct config_entry *entry, FILE *out)
{
    size_t bytes = config_entry_name_bytes(entry->text);
    char name[512];
    snprintf(name, sizeof name, "%.*s", (int)bytes, entry->text);
    print_text(name, out);
    fputs(": ", out);
    print_text(entry->text + bytes + (entry->text[bytes] == '='), out);
}

static void print_value(const struct config_value *value, const char *name, FILE *out)
{
    const struct config_key *key = value->key;
    if (value->count == 0) {
        fprintf(out, "  # %s: not set. %s.\n", name, key->help);
        return;
    }
    fprintf(out, "  %s:", name);
    bool is_scalar = key->type != CONFIG_LIST && key->type != CONFIG_MAP;
    if (!is_scalar)
        fputc('\n', out);
    for (uint32_t i = 0; i < value->count; i++) {
        fputs(is_scalar ? " " : key->type == CONFIG_LIST ? "    - " : "    ", out);
        if (key->type == CONFIG_MAP)
            print_pair(&value->entries[i], out);
        else if (key->type == CONFIG_TRUTH)
            fputs(value->entries[i].text, out);
        else
            print_text(value->entries[i].text, out);
        print_where(key, &value->entries[i], out);
    }
}

static size_t section_bytes(const char *path)
{
    return strcspn(path, ".");
}

static bool is_same_section(const char *left, const char *right)
{
    size_t bytes = section_bytes(left);
    return bytes == section_bytes(right) && memcmp(left, right, bytes) == 0;
}

/* The keys of one section stand together in one table, but for those of another part. */
static void print_section(const struct config *config, const char *section, FILE *out)
{
    fprintf(out, "%.*s:\n", (int)section_bytes(section), section);
    for (uint32_t i = 0; i < config->count; i++) {
        const char *path = config->values[i].key->path;
        if (path != NULL && is_same_section(path, section))
            print_value(&config->values[i], path + section_bytes(path) + 1, out);
    }
}

void config_print(const struct config *config, FILE *out)
{
    for (uint32_t i = 0; i < config->count; i++) {
        const char *path = config->values[i].key->path;
        bool printed = path == NULL;
        for (uint32_t j = 0; j < i && !printed; j++) {
            const char *before = config->values[j].key->path;
            printed = before != NULL && is_same_section(before, path);
        }
        if (!printed)
            print_section(config, path, out);
    }
}

/* ---- as options of argp ---------------------------------------------------------------------- */

static const char *section_text(const char *path)
{
    static char texts[CONFIG_KEYS_MAX][CONFIG_PATH_BYTES];
    static uint32_t count;
    size_t bytes = section_bytes(path);
    for (uint32_t i = 0; i < count; i++)
        if (strlen(texts[i]) == bytes + 1 && memcmp(texts[i], path, bytes) == 0)
            return texts[i];
    char *text = texts[count++ % CONFIG_KEYS_MAX];
    snprintf(text, CONFIG_PATH_BYTES, "%.*s:", (int)bytes, path);
    return text;
}

uint32_t config_argp_options(const struct config_key *keys, uint32_t count, int first, int group,
                             bool sections, struct argp_option *ret_options)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct config_key *key = &keys[i];
        if (sections && key->path != NULL &&
            (i == 0 || keys[i - 1].path == NULL || !is_same_section(keys[i - 1].path, key->path)))
            ret_options[used++] =
                (struct argp_option){.doc = section_text(key->path), .group = ++group};
        if (key->flag != NULL)
            ret_options[used++] = (struct argp_option){
                .name = key->flag,
                .key = key->letter != 0 ? key->letter : first + (int)i,
                .arg = key->type == CONFIG_TRUTH ? NULL : key->argument,
                .doc = key->help,
                .group = group,
            };
    }
    ret_options[used] = (struct argp_option){0};
    return used;
}

const struct config_key *config_find_flag(const struct config_key *keys, uint32_t count, int first,
                                          int flag)
{
    for (uint32_t i = 0; i < count; i++)
        if (keys[i].flag != NULL && flag == (keys[i].letter != 0 ? keys[i].letter : first + (int)i))
            return &keys[i];
    return NULL;
}

char *config_help(const struct config_key *key, const char *text)
{
    char *longer;
    bool says = key != NULL && key->normal != NULL && key->type != CONFIG_TRUTH && text != NULL;
    if (says && asprintf(&longer, "%s (default %s)", text, key->normal) > 0)
        return longer;
    return (char *)(uintptr_t)text;
}
