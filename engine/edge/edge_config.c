#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "engine/edge/edge.h"

/* A file of edges into json: YAML without what makes a file say more than it shows (anchors,
 * aliases, tags, a key twice). A plain scalar is what JSON takes it for, or else text. */

#define DEPTH_MAX 16u

struct reader {
    const char *file;
    yaml_parser_t parser;
    struct problem *problem;
};

/* The event that was read last: its memory is freed by the next. */
struct piece {
    yaml_event_t event;
    size_t line;
};

static enum status refuse(const struct reader *reader, size_t line, const char *format,
                          const char *what)
{
    char sentence[512];
    snprintf(sentence, sizeof sentence, format, what);
    return problem_set(reader->problem, STATUS_INVALID, "%s:%zu: %s", reader->file, line, sentence);
}

static enum status refuse_memory(const struct reader *reader)
{
    return problem_set(reader->problem, STATUS_NO_MEMORY, "out of memory");
}

/* ---- events of libyaml ------------------------------------------------------------------------
 */

static const char *unwanted_of(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return "aliases";
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    return anchor != NULL ? "anchors" : tag != NULL ? "tags" : NULL;
}

/* On failure there is nothing to be freed. */
static enum status next_piece(struct reader *reader, struct piece *ret_piece)
{
    if (yaml_parser_parse(&reader->parser, &ret_piece->event) == 0) {
        if (reader->parser.error == YAML_MEMORY_ERROR)
            return refuse_memory(reader);
        return refuse(reader, reader->parser.problem_mark.line + 1, "this is no YAML: %s",
                      reader->parser.problem);
    }
    ret_piece->line = ret_piece->event.start_mark.line + 1;
    const char *unwanted = unwanted_of(&ret_piece->event);
    if (unwanted == NULL)
        return STATUS_OK;
    yaml_event_delete(&ret_piece->event);
    return refuse(reader, ret_piece->line, "a file of edges has no %s: write it out", unwanted);
}

/* ---- scalars ----------------------------------------------------------------------------------
 */

static const char *skip_digits(const char *at)
{
    return at + strspn(at, "0123456789");
}

/* As JSON writes one: no sign before it but '-', no zero before other digits. *ret_is_integer. */
static bool is_number(const char *text, bool *ret_is_integer)
{
    const char *at = text + (*text == '-');
    const char *digits = at;
    at = skip_digits(at);
    if (at == digits || (*digits == '0' && at > digits + 1))
        return false;
    *ret_is_integer = *at == '\0';
    if (*at == '.') {
        digits = ++at;
        at = skip_digits(at);
        if (at == digits)
            return false;
    }
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '+' || at[1] == '-');
        digits = at;
        at = skip_digits(at);
        if (at == digits)
            return false;
    }
    return *at == '\0';
}

static enum status read_number(const struct reader *reader, size_t line, const char *text,
                               bool is_integer, json_t **ret_json)
{
    errno = 0;
    json_t *number =
        is_integer ? json_integer(strtoll(text, NULL, 10)) : json_real(strtod(text, NULL));
    bool is_too_large = errno == ERANGE || number == NULL;
    if (is_too_large) {
        json_decref(number);
        return refuse(reader, line, "the number %.80s is too large: if it is text, quote it", text);
    }
    *ret_json = number;
    return STATUS_OK;
}

static enum status read_plain(const struct reader *reader, size_t line, const char *text,
                              json_t **ret_json)
{
    bool is_integer;
    if (is_number(text, &is_integer))
        return read_number(reader, line, text, is_integer, ret_json);
    if (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        *ret_json = json_null();
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        *ret_json = json_boolean(text[0] == 't');
    else
        *ret_json = json_string(text);
    return *ret_json != NULL ? STATUS_OK : refuse_memory(reader);
}

static enum status read_scalar(const struct reader *reader, const struct piece *piece,
                               json_t **ret_json)
{
    const char *text = (const char *)piece->event.data.scalar.value;
    if (strlen(text) != piece->event.data.scalar.length)
        return refuse(reader, piece->line, "a text has no zero byte%s", "");
    if (piece->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return read_plain(reader, piece->line, text, ret_json);
    *ret_json = json_string(text);
    return *ret_json != NULL ? STATUS_OK : refuse_memory(reader);
}

/* ---- lists and maps ---------------------------------------------------------------------------
 */

/* The value that begins with this piece, which is freed. */
static enum status read_value(struct reader *reader, struct piece *piece, uint32_t depth,
                              json_t **ret_json);

static enum status read_list(struct reader *reader, uint32_t depth, json_t *list)
{
    for (;;) {
        struct piece piece;
        json_t *item;
        enum status status = next_piece(reader, &piece);
        if (status == STATUS_OK && piece.event.type == YAML_SEQUENCE_END_EVENT)
            return STATUS_OK;
        if (status == STATUS_OK)
            status = read_value(reader, &piece, depth + 1, &item);
        if (status == STATUS_OK && json_array_append_new(list, item) != 0)
            status = refuse_memory(reader);
        if (status != STATUS_OK)
            return status;
    }
}

/* `lines`: where each key of this map stood. */
static enum status see_key(const struct reader *reader, const struct piece *piece, json_t *lines,
                           const char *key)
{
    const json_t *first = json_object_get(lines, key);
    if (first != NULL)
        return problem_set(reader->problem, STATUS_INVALID,
                           "%s:%zu: %.200s is there twice, first in line %" JSON_INTEGER_FORMAT,
                           reader->file, piece->line, key, json_integer_value(first));
    json_object_set_new(lines, key, json_integer((json_int_t)piece->line));
    return STATUS_OK;
}

static enum status read_member(struct reader *reader, struct piece *name, uint32_t depth,
                               json_t *map, json_t *lines)
{
    struct piece piece;
    json_t *value;
    if (name->event.type != YAML_SCALAR_EVENT)
        return refuse(reader, name->line, "a key is a text%s", "");
    const char *key = (const char *)name->event.data.scalar.value;
    if (strlen(key) != name->event.data.scalar.length)
        return refuse(reader, name->line, "a key has no zero byte%s", "");
    enum status status = see_key(reader, name, lines, key);
    if (status == STATUS_OK)
        status = next_piece(reader, &piece);
    if (status == STATUS_OK)
        status = read_value(reader, &piece, depth + 1, &value);
    if (status == STATUS_OK && json_object_set_new(map, key, value) != 0)
        status = refuse_memory(reader);
    return status;
}

static enum status read_map(struct reader *reader, uint32_t depth, json_t *map)
{
    json_t *lines = json_object();
    enum status status = STATUS_OK;
    bool is_over = false;
    while (status == STATUS_OK && !is_over) {
        struct piece name;
        status = next_piece(reader, &name);
        if (status != STATUS_OK)
            break;
        is_over = name.event.type == YAML_MAPPING_END_EVENT;
        if (!is_over)
            status = read_member(reader, &name, depth, map, lines);
        yaml_event_delete(&name.event);
    }
    json_decref(lines);
    return status;
}

static enum status read_value(struct reader *reader, struct piece *piece, uint32_t depth,
                              json_t **ret_json)
{
    enum status status;
    json_t *json = NULL;
    if (depth > DEPTH_MAX) {
        status = refuse(reader, piece->line, "it is nested deeper than %s levels", "16");
    } else if (piece->event.type == YAML_SEQUENCE_START_EVENT) {
        json = json_array();
        status = read_list(reader, depth, json);
    } else if (piece->event.type == YAML_MAPPING_START_EVENT) {
        json = json_object();
        status = read_map(reader, depth, json);
    } else {
        status = read_scalar(reader, piece, &json);
    }
    yaml_event_delete(&piece->event);
    if (status == STATUS_OK)
        *ret_json = json;
    else
        json_decref(json);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static bool is_nothing(const struct piece *piece)
{
    return piece->event.type == YAML_SCALAR_EVENT && piece->event.data.scalar.length == 0;
}

static enum status read_sections(struct reader *reader, struct piece *piece, json_t **ret_config)
{
    if (piece->event.type == YAML_MAPPING_START_EVENT || is_nothing(piece)) {
        enum status status = read_value(reader, piece, 0, ret_config);
        if (status == STATUS_OK && json_is_null(*ret_config))
            *ret_config = json_object();
        return status;
    }
    yaml_event_delete(&piece->event);
    return refuse(reader, piece->line, "a file of edges is made of sections, as sqs: {}%s", "");
}

/* A piece of this type, or else the sentence. */
static enum status pass(struct reader *reader, yaml_event_type_t type, const char *sentence)
{
    struct piece piece;
    enum status status = next_piece(reader, &piece);
    if (status != STATUS_OK)
        return status;
    bool is_it = piece.event.type == type;
    yaml_event_delete(&piece.event);
    return is_it ? STATUS_OK : refuse(reader, piece.line, "%s", sentence);
}

static enum status read_document(struct reader *reader, json_t **ret_config)
{
    struct piece piece;
    enum status status = pass(reader, YAML_STREAM_START_EVENT, "this is no YAML");
    if (status == STATUS_OK)
        status = next_piece(reader, &piece);
    if (status != STATUS_OK)
        return status;
    bool is_empty = piece.event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&piece.event);
    if (is_empty) {
        *ret_config = json_object();
        return *ret_config != NULL ? STATUS_OK : refuse_memory(reader);
    }
    json_t *config;
    status = next_piece(reader, &piece);
    if (status == STATUS_OK)
        status = read_sections(reader, &piece, &config);
    if (status != STATUS_OK)
        return status;
    status = pass(reader, YAML_DOCUMENT_END_EVENT, "this is no YAML");
    if (status == STATUS_OK)
        status = pass(reader, YAML_STREAM_END_EVENT, "a file of edges is one document");
    if (status == STATUS_OK)
        *ret_config = config;
    else
        json_decref(config);
    return status;
}

static enum status check_file(FILE *file, const char *path, struct problem *problem)
{
    struct stat known;
    if (file == NULL && errno == ENOENT)
        return problem_set(problem, STATUS_NOT_FOUND, "%s: there is no such file", path);
    if (file == NULL || fstat(fileno(file), &known) != 0)
        return problem_set(problem, STATUS_INVALID, "%s cannot be read: %s", path, strerror(errno));
    if (S_ISDIR(known.st_mode))
        return problem_set(problem, STATUS_INVALID, "%s is a folder", path);
    if (known.st_size > (off_t)EDGE_CONFIG_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "%s has more than %u bytes", path,
                           EDGE_CONFIG_BYTES_MAX);
    return STATUS_OK;
}

enum status edge_config_read(const char *path, json_t **ret_config, struct problem *problem)
{
    struct reader reader = {.file = path, .problem = problem};
    FILE *file = fopen(path, "rbe");
    enum status status = check_file(file, path, problem);
    if (status == STATUS_OK && yaml_parser_initialize(&reader.parser) == 0)
        status = refuse_memory(&reader);
    if (status == STATUS_OK) {
        yaml_parser_set_input_file(&reader.parser, file);
        status = read_document(&reader, ret_config);
        yaml_parser_delete(&reader.parser);
    }
    if (file != NULL)
        fclose(file);
    return status;
}
