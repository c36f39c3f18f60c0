#include "tests/main/prometheus.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME_BYTES 128u
#define LINE_BYTES 1024u
#define SEEN_MAX   4096u
#define NAMES_MAX  512u

struct reader {
    char line[LINE_BYTES];
    char name[NAME_BYTES]; /* of the last HELP */
    char type[16];         /* of the last TYPE; "": none yet */
    char names[NAMES_MAX][NAME_BYTES];
    uint32_t names_count;
    char *seen[SEEN_MAX]; /* samples, with their labels */
    uint32_t seen_count;
    uint32_t samples_count; /* of the name */
    double le, bucket, count;
    bool has_infinity, has_sum, has_count;
};

static void refuse(const struct reader *reader, const char *why)
{
    fail_msg("%s: '%s'", why, reader->line);
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*, of labels without the colon; returns behind it. */
static const char *read_name(const struct reader *reader, const char *at, char name[NAME_BYTES])
{
    size_t bytes = 0;
    while (isalnum((unsigned char)at[bytes]) || at[bytes] == '_')
        bytes++;
    if (bytes == 0 || bytes >= NAME_BYTES || isdigit((unsigned char)at[0]))
        refuse(reader, "no name");
    snprintf(name, NAME_BYTES, "%.*s", (int)bytes, at);
    return at + bytes;
}

static bool ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text), end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* ---- HELP and TYPE --------------------------------------------------------------------------- */

static void end_name(const struct reader *reader)
{
    if (reader->name[0] == '\0')
        return;
    if (reader->samples_count == 0)
        fail_msg("%s has no sample", reader->name);
    if (strcmp(reader->type, "histogram") == 0 &&
        (!reader->has_infinity || !reader->has_sum || !reader->has_count))
        fail_msg("the histogram %s is not whole", reader->name);
}

static void read_help(struct reader *reader)
{
    end_name(reader);
    const char *end = read_name(reader, reader->line + strlen("# HELP "), reader->name);
    if (end[0] != ' ' || end[1] == '\0' || !ends_with(reader->line, "."))
        refuse(reader, "HELP says nothing");
    for (uint32_t i = 0; i < reader->names_count; i++)
        if (strcmp(reader->names[i], reader->name) == 0)
            refuse(reader, "a name stands there twice");
    assert_true(reader->names_count < NAMES_MAX);
    strcpy(reader->names[reader->names_count++], reader->name);
    reader->type[0] = '\0';
    reader->samples_count = 0;
    reader->le = -INFINITY;
    reader->bucket = 0;
    reader->has_infinity = reader->has_sum = reader->has_count = false;
}

static void read_type(struct reader *reader)
{
    char name[NAME_BYTES];
    const char *end = read_name(reader, reader->line + strlen("# TYPE "), name);
    if (strcmp(name, reader->name) != 0 || reader->type[0] != '\0')
        refuse(reader, "TYPE does not follow its HELP");
    if (strcmp(end, " counter") != 0 && strcmp(end, " gauge") != 0 &&
        strcmp(end, " histogram") != 0)
        refuse(reader, "no type");
    snprintf(reader->type, sizeof reader->type, "%s", end + 1);
    if ((strcmp(reader->type, "counter") == 0) != ends_with(name, "_total"))
        refuse(reader, "counters end in _total, and nothing else does");
    if (strncmp(name, "flyover_", 8) != 0)
        refuse(reader, "every name begins with flyover_");
}

/* ---- samples --------------------------------------------------------------------------------- */

/* {a="b",c="d"}; returns behind it. `le` gets the value of the label of that name. */
static const char *read_labels(const struct reader *reader, const char *at, char le[32])
{
    char name[NAME_BYTES];
    if (*at != '{')
        return at;
    do {
        at = read_name(reader, at + 1, name);
        if (at[0] != '=' || at[1] != '"')
            refuse(reader, "a label without a value");
        const char *value = at += 2;
        for (; *at != '"'; at++) {
            if (*at == '\0' || (*at == '\\' && strchr("\\\"n", *++at) == NULL))
                refuse(reader, "a value without an end");
        }
        if (strcmp(name, "le") == 0)
            snprintf(le, 32, "%.*s", (int)(at - value), value);
        at++;
    } while (*at == ',');
    if (*at != '}')
        refuse(reader, "labels without an end");
    return at + 1;
}

static void read_histogram(struct reader *reader, const char *name, const char *le, double value)
{
    const char *part = name + strlen(reader->name);
    if (strcmp(part, "_bucket") == 0) {
        double limit = strcmp(le, "+Inf") == 0 ? INFINITY : strtod(le, NULL);
        if (limit <= reader->le || value < reader->bucket)
            refuse(reader, "buckets do not grow");
        reader->le = limit;
        reader->bucket = value;
        reader->has_infinity = isinf(limit);
    } else if (strcmp(part, "_sum") == 0) {
        reader->has_sum = true;
    } else if (strcmp(part, "_count") == 0 && reader->has_infinity && value == reader->bucket) {
        reader->has_count = true;
    } else {
        refuse(reader, "no part of a histogram, or a count that is not that of all buckets");
    }
}

static void note_sample(struct reader *reader, const char *end)
{
    char *sample = strndup(reader->line, (size_t)(end - reader->line));
    for (uint32_t i = 0; i < reader->seen_count; i++)
        if (strcmp(reader->seen[i], sample) == 0)
            refuse(reader, "a sample stands there twice");
    assert_true(reader->seen_count < SEEN_MAX);
    reader->seen[reader->seen_count++] = sample;
    reader->samples_count++;
}

static void read_sample(struct reader *reader)
{
    char name[NAME_BYTES], le[32] = "";
    const char *end = read_labels(reader, read_name(reader, reader->line, name), le);
    char *rest;
    if (*end != ' ' || end[1] == ' ' || end[1] == '\0')
        refuse(reader, "no value");
    double value = strtod(end + 1, &rest);
    if (*rest != '\0' || isnan(value) || value < 0)
        refuse(reader, "no number");
    if (reader->type[0] == '\0' || strncmp(name, reader->name, strlen(reader->name)) != 0)
        refuse(reader, "a sample without HELP and TYPE");
    if (strcmp(reader->type, "histogram") == 0)
        read_histogram(reader, name, le, value);
    else if (strcmp(name, reader->name) != 0)
        refuse(reader, "a sample of another name");
    note_sample(reader, end);
}

void prometheus_check(const char *page)
{
    struct reader *reader = calloc(1, sizeof *reader);
    assert_non_null(reader);
    if (page[0] == '\0' || page[strlen(page) - 1] != '\n')
        fail_msg("the last line has no end");
    for (const char *at = page; *at != '\0'; at += strcspn(at, "\n") + 1) {
        assert_true(strcspn(at, "\n") < LINE_BYTES);
        snprintf(reader->line, LINE_BYTES, "%.*s", (int)strcspn(at, "\n"), at);
        if (strncmp(at, "# HELP ", 7) == 0)
            read_help(reader);
        else if (strncmp(at, "# TYPE ", 7) == 0)
            read_type(reader);
        else
            read_sample(reader);
    }
    end_name(reader);
    for (uint32_t i = 0; i < reader->seen_count; i++)
        free(reader->seen[i]);
    free(reader);
}

static const char *find(const char *page, const char *sample)
{
    size_t bytes = strlen(sample);
    for (const char *at = page; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
        if (strncmp(at, sample, bytes) == 0 && at[bytes] == ' ')
            return at + bytes + 1;
    return NULL;
}

double prometheus_value(const char *page, const char *sample)
{
    const char *value = find(page, sample);
    if (value == NULL)
        fail_msg("there is no %s", sample);
    return strtod(value, NULL);
}

bool prometheus_has(const char *page, const char *sample)
{
    return find(page, sample) != NULL;
}
