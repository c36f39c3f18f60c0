#include "engine/edge/update_expression.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Points into an expression. */
struct word {
    const char *at;
    size_t bytes;
    bool is_nested; /* behind a dot */
};

static bool is_of_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '#' || c == ':' || c == '-';
}

/* Moves `at` behind the next word. False: there is none. */
static bool read_word(const char **at, struct word *ret_word)
{
    const char *from = *at;
    bool is_nested = false;
    for (; *from != '\0' && !is_of_word(*from); from++)
        if (!isspace((unsigned char)*from))
            is_nested = *from == '.';
    const char *to = from;
    while (is_of_word(*to))
        to++;
    *at = to;
    *ret_word = (struct word){from, (size_t)(to - from), is_nested};
    return to > from;
}

static bool is_word(const struct word *word, const char *text)
{
    return !word->is_nested && word->bytes == strlen(text) &&
           strncasecmp(word->at, text, word->bytes) == 0;
}

char *update_expression_with_add(const char *expression, const char *term)
{
    char *text = NULL;
    const char *at = expression;
    struct word word;
    while (at != NULL && read_word(&at, &word)) {
        if (!is_word(&word, "ADD"))
            continue;
        int behind = (int)(at - expression);
        return asprintf(&text, "%.*s %s,%s", behind, expression, term, at) < 0 ? NULL : text;
    }
    const char *before = expression != NULL ? expression : "";
    return asprintf(&text, "%s%sADD %s", before, before[0] != '\0' ? " " : "", term) < 0 ? NULL
                                                                                         : text;
}

/* The attribute that a word names, or NULL. */
static const char *name_of(const struct word *word, const json_t *names, char *buffer,
                           size_t bytes_max)
{
    static const char *const others[] = {"SET",    "REMOVE",        "ADD",
                                         "DELETE", "if_not_exists", "list_append"};
    if (word->is_nested || word->at[0] == ':' || word->at[0] == '-' ||
        isdigit((unsigned char)word->at[0]) || word->bytes >= bytes_max)
        return NULL;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (is_word(word, others[i]))
            return NULL;
    memcpy(buffer, word->at, word->bytes);
    buffer[word->bytes] = '\0';
    return buffer[0] == '#' ? json_string_value(json_object_get(names, buffer)) : buffer;
}

json_t *update_expression_named(const char *expression, const json_t *names, const json_t *item)
{
    json_t *found = json_object();
    const char *at = expression;
    struct word word;
    char buffer[256];
    while (found != NULL && at != NULL && read_word(&at, &word)) {
        const char *name = name_of(&word, names, buffer, sizeof buffer);
        json_t *value = name != NULL ? json_object_get(item, name) : NULL;
        if (value != NULL)
            json_object_set(found, name, value);
    }
    return found;
}
