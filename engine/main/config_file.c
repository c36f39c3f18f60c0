#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "engine/base/nearest.h"
#include "engine/main/config_parts.h"

#define SEEN_MAX      256u
#define MAP_DEPTH_MAX 4u

/* Sections and keys that were there, to find what is there twice. */
struct seen {
    char path[CONFIG_PATH_BYTES];
    size_t line;
};

struct reader {
    struct config *config;
    const char *file;
    yaml_parser_t parser;
    struct problem *problem;
    struct seen seen[SEEN_MAX];
    uint32_t seen_count;
};

/* One event of the parser, without its memory. */
struct piece {
    yaml_event_type_t type;
    size_t line;
    bool is_plain; /* a scalar without quotes */
    char text[4096];
};

static enum status refuse(const struct reader *reader, size_t line, const char *format,
                          const char *what)
{
    char sentence[512];
    snprintf(sentence, sizeof sentence, format, what);
    return problem_set(reader->problem, STATUS_INVALID, "%s:%zu: %s", reader->file, line, sentence);
}

/* ---- events of libyaml ----------------------------------------------------------------------- */

static enum status refuse_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return problem_set(reader->problem, STATUS_NO_MEMORY, "out of memory");
    return refuse(reader, parser->problem_mark.line + 1, "this is no YAML: %s", parser->problem);
}

static const char *unwanted_of(const yaml_event_t *event)
{
    if (event->type == YAML_ALIAS_EVENT)
        return "aliases";
    if (event->type == YAML_SCALAR_EVENT)
        return event->data.scalar.anchor != NULL ? "anchors"
               : event->data.scalar.tag != NULL  ? "tags"
                                                 : NULL;
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return event->data.sequence_start.anchor != NULL ? "anchors"
               : event->data.sequence_start.tag != NULL  ? "tags"
                                                         : NULL;
    if (event->type == YAML_MAPPING_START_EVENT)
        return event->data.mapping_start.anchor != NULL ? "anchors"
               : event->data.mapping_start.tag != NULL  ? "tags"
                                                        : NULL;
    return NULL;
}

static enum status copy_scalar(const struct reader *reader, const yaml_event_t *event,
                               struct piece *ret_piece)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t bytes = event->data.scalar.length;
    if (bytes >= sizeof ret_piece->text || strlen(text) != bytes)
        return refuse(reader, ret_piece->line, "a text has no zero byte and at most %s bytes",
                      "4095");
    memcpy(ret_piece->text, text, bytes + 1);
    ret_piece->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return STATUS_OK;
}

static enum status next_piece(struct reader *reader, struct piece *ret_piece)
{
    yaml_event_t event;
    if (yaml_parser_parse(&reader->parser, &event) == 0)
        return refuse_syntax(reader);
    ret_piece->type = event.type;
    ret_piece->line = event.start_mark.line + 1;
    ret_piece->is_plain = false;
    ret_piece->text[0] = '\0';
    enum status status = STATUS_OK;
    const char *unwanted = unwanted_of(&event);
    if (unwanted != NULL)
        status =
            refuse(reader, ret_piece->line, "a configuration has no %s: write it out", unwanted);
    else if (event.type == YAML_SCALAR_EVENT)
        status = copy_scalar(reader, &event, ret_piece);
    yaml_event_delete(&event);
    return status;
}

static bool is_null(const struct piece *piece)
{
    return piece->type == YAML_SCALAR_EVENT && piece->is_plain &&
           (piece->text[0] == '\0' || strcmp(piece->text, "~") == 0 ||
            strcmp(piece->text, "null") == 0);
}

/* ---- values ---------------------------------------------------------------------------------- */

static enum status add(struct reader *reader, struct config_value *value, size_t line,
                       const char *text)
{
    char where[CONFIG_NAME_BYTES];
    snprintf(where, sizeof where, "%.300s:%zu", reader->file, line);
    return config_add(value, CONFIG_FILE, where, text, reader->problem);
}

static enum status read_scalar(struct reader *reader, struct config_value *value,
                               const struct piece *piece)
{
    const struct config_key *key = value->key;
    if (piece->type != YAML_SCALAR_EVENT)
        return refuse(reader, piece->line, "%s takes one value, not several", key->path);
    if (is_null(piece))
        return refuse(reader, piece->line, "%s has no value: leave it out, or give it one",
                      key->path);
    if (key->type == CONFIG_AMOUNT && !piece->is_plain)
        return refuse(reader, piece->line, "%s takes a number, and this is text: no quotes",
                      key->path);
    if (key->type == CONFIG_TRUTH && !piece->is_plain)
        return refuse(reader, piece->line, "%s takes true or false, and this is text: no quotes",
                      key->path);
    return add(reader, value, piece->line, piece->text);
}

static enum status read_list(struct reader *reader, struct config_value *value,
                             const struct piece *start)
{
    const char *path = value->key->path;
    if (start->type != YAML_SEQUENCE_START_EVENT)
        return refuse(reader, start->line, "%s takes a list: [one, two]", path);
    for (;;) {
        struct piece piece;
        enum status status = next_piece(reader, &piece);
        if (status == STATUS_OK && piece.type == YAML_SEQUENCE_END_EVENT)
            return STATUS_OK;
        if (status == STATUS_OK && (piece.type != YAML_SCALAR_EVENT || is_null(&piece)))
            status = refuse(reader, piece.line, "each of %s is one value", path);
        if (status == STATUS_OK)
            status = add(reader, value, piece.line, piece.text);
        if (status != STATUS_OK)
            return status;
    }
}

/* What is known of the name came from the environment or a flag, or it is there twice. */
static enum status check_twice(struct reader *reader, const struct config_value *value, size_t line,
                               const char *text)
{
    size_t name_bytes = config_entry_name_bytes(text);
    for (uint32_t i = 0; i < value->count; i++) {
        const struct config_entry *entry = &value->entries[i];
        if (entry->level == CONFIG_FILE && config_entry_name_bytes(entry->text) == name_bytes &&
            memcmp(entry->text, text, name_bytes) == 0)
            return problem_set(reader->problem, STATUS_INVALID, "%s:%zu: %.*s is there twice: %s",
                               reader->file, line, (int)name_bytes, text, entry->where);
    }
    return STATUS_OK;
}

static enum status add_pair(struct reader *reader, struct config_value *value, const char *name,
                            const struct piece *piece)
{
    char text[sizeof piece->text + 512];
    if (piece->type != YAML_SCALAR_EVENT || is_null(piece))
        return refuse(reader, piece->line, "%s takes one value", name);
    if (strchr(name, '=') != NULL)
        return refuse(reader, piece->line, "'%s' is no name: it has a = in it", name);
    snprintf(text, sizeof text, "%s=%s", name, piece->text);
    enum status status = check_twice(reader, value, piece->line, text);
    return status == STATUS_OK ? add(reader, value, piece->line, text) : status;
}

/* Maps in maps are names with a full stop between. */
static enum status read_map(struct reader *reader, struct config_value *value, const char *prefix,
                            const struct piece *start, uint32_t depth)
{
    if (start->type != YAML_MAPPING_START_EVENT || depth == MAP_DEPTH_MAX)
        return refuse(reader, start->line, "%s takes names with a value each", value->key->path);
    for (;;) {
        struct piece name, piece;
        enum status status = next_piece(reader, &name);
        if (status != STATUS_OK || name.type == YAML_MAPPING_END_EVENT)
            return status;
        if (name.type != YAML_SCALAR_EVENT)
            return refuse(reader, name.line, "%s takes names with a value each", value->key->path);
        char path[256];
        int bytes =
            snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", name.text);
        if (bytes >= (int)sizeof path)
            return refuse(reader, name.line, "the name '%.80s...' is too long", name.text);
        status = next_piece(reader, &piece);
        if (status == STATUS_OK && piece.type == YAML_MAPPING_START_EVENT)
            status = read_map(reader, value, path, &piece, depth + 1);
        else if (status == STATUS_OK)
            status = add_pair(reader, value, path, &piece);
        if (status != STATUS_OK)
            return status;
    }
}

static enum status read_value(struct reader *reader, struct config_value *value,
                              const struct piece *piece)
{
    switch (value->key->type) {
    case CONFIG_LIST: return read_list(reader, value, piece);
    case CONFIG_MAP: return read_map(reader, value, "", piece, 0);
    case CONFIG_TEXT:
    case CONFIG_TRUTH:
    case CONFIG_AMOUNT:
    case CONFIG_CHOICE: return read_scalar(reader, value, piece);
    }
    return STATUS_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum status see(struct reader *reader, const char *path, size_t line)
{
    for (uint32_t i = 0; i < reader->seen_count; i++)
        if (strcmp(reader->seen[i].path, path) == 0)
            return problem_set(reader->problem, STATUS_INVALID,
                               "%s:%zu: %s is there twice, first in line %zu", reader->file, line,
                               path, reader->seen[i].line);
    if (reader->seen_count == SEEN_MAX)
        return refuse(reader, line, "there are more keys than there can be at %s", path);
    struct seen *seen = &reader->seen[reader->seen_count++];
    snprintf(seen->path, sizeof seen->path, "%s", path);
    seen->line = line;
    return STATUS_OK;
}

static bool is_section(const struct config *config, const char *path)
{
    size_t bytes = strlen(path);
    for (uint32_t i = 0; i < config->count; i++) {
        const char *known = config->values[i].key->path;
        if (known != NULL && strncmp(known, path, bytes) == 0 && known[bytes] == '.')
            return true;
    }
    return false;
}

/* Of a section, the sections are near; in one, its keys; and else all keys, by their last name, for
 * one that stands in the wrong section. */
static enum status refuse_key(const struct reader *reader, const char *path, size_t line)
{
    char names[CONFIG_KEYS_MAX][CONFIG_PATH_BYTES];
    struct nearest nearest = nearest_to(path);
    const char *dot = strrchr(path, '.');
    const char *last = dot == NULL ? path : dot + 1;
    for (uint32_t i = 0; i < reader->config->count; i++) {
        const char *known = reader->config->values[i].key->path;
        if (known == NULL)
            continue;
        snprintf(names[i], sizeof names[i], "%s", known);
        const char *known_dot = strrchr(known, '.');
        if (dot == NULL && known_dot != NULL)
            names[i][known_dot - known] = '\0';
        nearest_offer(&nearest, names[i]);
        if (known_dot != NULL && strcmp(known_dot + 1, last) == 0)
            nearest = (struct nearest){.wanted = path, .best = known, .distance = 0};
    }
    char hint[NEAREST_HINT_BYTES];
    nearest_hint(&nearest, "; --print-config lists all there are", hint);
    return problem_set(reader->problem, STATUS_INVALID, "%s:%zu: there is no %.200s%s",
                       reader->file, line, path, hint);
}

static enum status read_section(struct reader *reader, const char *prefix);

static enum status read_key(struct reader *reader, const char *path, size_t line)
{
    struct config_value *value = config_find(reader->config, path);
    if (value == NULL && !is_section(reader->config, path))
        return refuse_key(reader, path, line);
    struct piece piece;
    enum status status = see(reader, path, line);
    if (status == STATUS_OK)
        status = next_piece(reader, &piece);
    if (status != STATUS_OK)
        return status;
    if (value != NULL)
        return read_value(reader, value, &piece);
    if (is_null(&piece))
        return STATUS_OK; /* a section with nothing in it, or all of it commented out */
    if (piece.type != YAML_MAPPING_START_EVENT)
        return refuse(reader, piece.line, "%s is a section: keys stand under it", path);
    return read_section(reader, path);
}

/* Up to the end of the mapping that has begun. */
static enum status read_section(struct reader *reader, const char *prefix)
{
    for (;;) {
        struct piece name;
        char path[CONFIG_PATH_BYTES];
        enum status status = next_piece(reader, &name);
        if (status != STATUS_OK || name.type == YAML_MAPPING_END_EVENT)
            return status;
        if (name.type != YAML_SCALAR_EVENT)
            return refuse(reader, name.line, "a key is a text%s", "");
        /* Cut where it is far longer than any there is. */
        snprintf(path, sizeof path, "%.60s%s%.60s", prefix, prefix[0] == '\0' ? "" : ".",
                 name.text);
        status = read_key(reader, path, name.line);
        if (status != STATUS_OK)
            return status;
    }
}

static enum status read_document(struct reader *reader)
{
    struct piece piece;
    enum status status = next_piece(reader, &piece); /* the beginning of the stream */
    if (status == STATUS_OK)
        status = next_piece(reader, &piece);
    if (status != STATUS_OK || piece.type == YAML_STREAM_END_EVENT)
        return status;
    status = next_piece(reader, &piece);
    if (status == STATUS_OK && piece.type == YAML_MAPPING_START_EVENT)
        status = read_section(reader, "");
    else if (status == STATUS_OK && !is_null(&piece))
        status = refuse(reader, piece.line, "a configuration is made of sections%s", "");
    if (status == STATUS_OK)
        status = next_piece(reader, &piece); /* the end of the document */
    if (status == STATUS_OK)
        status = next_piece(reader, &piece);
    if (status == STATUS_OK && piece.type != YAML_STREAM_END_EVENT)
        status = refuse(reader, piece.line, "a configuration is one document%s", "");
    return status;
}

static enum status check_file(FILE *file, const char *path, struct problem *problem)
{
    struct stat known;
    if (file == NULL || fstat(fileno(file), &known) != 0)
        return problem_set(problem, STATUS_INVALID, "%s cannot be read: %s", path, strerror(errno));
    if (S_ISDIR(known.st_mode))
        return problem_set(problem, STATUS_INVALID, "%s is a folder", path);
    if (known.st_size > (off_t)CONFIG_FILE_BYTES_MAX)
        return problem_set(problem, STATUS_INVALID, "%s has more than %u bytes", path,
                           CONFIG_FILE_BYTES_MAX);
    return STATUS_OK;
}

enum status config_read_file(struct config *config, const char *path, struct problem *problem)
{
    FILE *file = fopen(path, "rb");
    struct reader *reader = calloc(1, sizeof *reader);
    enum status status = check_file(file, path, problem);
    if (status == STATUS_OK && (reader == NULL || yaml_parser_initialize(&reader->parser) == 0))
        status = problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK) {
        reader->config = config;
        reader->file = path;
        reader->problem = problem;
        yaml_parser_set_input_file(&reader->parser, file);
        status = read_document(reader);
        yaml_parser_delete(&reader->parser);
    }
    free(reader);
    if (file != NULL)
        fclose(file);
    return status;
}
