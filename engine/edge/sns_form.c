#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sns.h"

#define VERSION "2010-03-31"

/* ---- writing -----------------------------------------------------------------------------------
 */

static void put_encoded(FILE *form, const char *text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    while (*text) {
        size_t plain = strspn(text, safe);
        (void)fwrite(text, 1, plain, form);
        text += plain;
        if (*text)
            (void)fprintf(form, "%%%02X", (unsigned char)*text++);
    }
}

__attribute__((format(printf, 3, 4))) static void put(FILE *form, const char *value,
                                                      const char *name_format, ...)
{
    va_list arguments;
    if (!value)
        return;
    (void)fputc('&', form);
    va_start(arguments, name_format);
    (void)vfprintf(form, name_format, arguments);
    va_end(arguments);
    (void)fputc('=', form);
    put_encoded(form, value);
}

static const char *text_of(const json_t *object, const char *field)
{
    return json_string_value(json_object_get(object, field));
}

static void put_attributes(FILE *form, const char *prefix, const json_t *attributes)
{
    const char *name;
    json_t *attribute;
    unsigned number = 0;
    json_object_foreach((json_t *)attributes, name, attribute)
    {
        number++;
        put(form, name, "%sMessageAttributes.entry.%u.Name", prefix, number);
        put(form, text_of(attribute, "DataType"), "%sMessageAttributes.entry.%u.Value.DataType",
            prefix, number);
        put(form, text_of(attribute, "StringValue"),
            "%sMessageAttributes.entry.%u.Value.StringValue", prefix, number);
        put(form, text_of(attribute, "BinaryValue"),
            "%sMessageAttributes.entry.%u.Value.BinaryValue", prefix, number);
    }
}

static void put_entry(FILE *form, const char *prefix, const json_t *entry)
{
    static const char *const fields[] = {
        "TargetArn",      "PhoneNumber",           "Message", "Subject", "MessageStructure",
        "MessageGroupId", "MessageDeduplicationId"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put(form, text_of(entry, fields[i]), "%s%s", prefix, fields[i]);
    put_attributes(form, prefix, json_object_get(entry, "MessageAttributes"));
}

static const json_t *entry_of(const struct batcher_batch *batch, uint32_t index)
{
    return ((const struct outbox_item *)batch->items[index])->entry;
}

static void put_batch(FILE *form, const struct batcher_batch *batch)
{
    (void)fputs("Action=PublishBatch&Version=" VERSION, form);
    put(form, batch->key, "TopicArn");
    for (uint32_t i = 0; i < batch->count; i++) {
        char prefix[64], id[16];
        (void)snprintf(prefix, sizeof(prefix), "PublishBatchRequestEntries.member.%u.", i + 1);
        (void)snprintf(id, sizeof(id), "%u", i);
        put(form, id, "%sId", prefix);
        put_entry(form, prefix, entry_of(batch, i));
    }
}

char *sns_form(const struct batcher_batch *batch, bool single)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *form = open_memstream(&text, &bytes);
    if (!form)
        return NULL;
    if (single) {
        (void)fputs("Action=Publish&Version=" VERSION, form);
        put_entry(form, "", entry_of(batch, 0));
    } else {
        put_batch(form, batch);
    }
    if (fclose(form) == 0)
        return text;
    free(text);
    return NULL;
}
