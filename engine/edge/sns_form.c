#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/sns.h"

#define VERSION "2010-03-31"

/* ---- writing -----------------------------------------------------------------------------------
 */

static void put_encoded(FILE *form, struct flyover_bytes text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (uint32_t i = 0; i < text.count; i++)
        if (text.at[i] != 0 && strchr(safe, text.at[i]))
            (void)putc_unlocked(text.at[i], form);
        else
            (void)fprintf(form, "%%%02X", text.at[i]);
}

__attribute__((format(printf, 3, 4))) static void put(FILE *form, struct flyover_bytes value,
                                                      const char *name_format, ...)
{
    va_list arguments;
    if (!value.at)
        return;
    (void)fputc('&', form);
    va_start(arguments, name_format);
    (void)vfprintf(form, name_format, arguments);
    va_end(arguments);
    (void)fputc('=', form);
    put_encoded(form, value);
}

static void put_attribute(FILE *form, const char *prefix, unsigned number,
                          struct flyover_bytes name, struct flyover_bytes attribute)
{
    static const char *const fields[] = {"DataType", "StringValue", "BinaryValue"};
    put(form, name, "%sMessageAttributes.entry.%u.Name", prefix, number);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put(form, field_text(attribute, fields[i]), "%sMessageAttributes.entry.%u.Value.%s", prefix,
            number, fields[i]);
}

static void put_attributes(FILE *form, const char *prefix, struct flyover_bytes attributes)
{
    uint32_t pairs = 0;
    struct flyover_cursor cursor = field_cursor(attributes);
    (void)flyover_read_map(&cursor, &pairs);
    for (uint32_t i = 1; i <= pairs; i++) {
        struct flyover_bytes name = {0};
        (void)flyover_read_str(&cursor, &name);
        put_attribute(form, prefix, i, name, field_take(&cursor));
    }
}

static void put_entry(FILE *form, const char *prefix, struct flyover_bytes entry)
{
    static const char *const fields[] = {
        "TargetArn",      "PhoneNumber",           "Message", "Subject", "MessageStructure",
        "MessageGroupId", "MessageDeduplicationId"};
    struct flyover_bytes attributes;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put(form, field_text(entry, fields[i]), "%s%s", prefix, fields[i]);
    if (field_get(entry, "MessageAttributes", &attributes))
        put_attributes(form, prefix, attributes);
}

static struct flyover_bytes entry_of(const struct batcher_batch *batch, uint32_t index)
{
    return ((const struct outbox_item *)batch->items[index])->entry;
}

static void put_batch(FILE *form, const struct batcher_batch *batch)
{
    (void)fputs("Action=PublishBatch&Version=" VERSION, form);
    put(form, field_bytes(batch->key), "TopicArn");
    for (uint32_t i = 0; i < batch->count; i++) {
        char prefix[64], id[16];
        (void)snprintf(prefix, sizeof(prefix), "PublishBatchRequestEntries.member.%u.", i + 1);
        (void)snprintf(id, sizeof(id), "%u", i);
        put(form, field_bytes(id), "%sId", prefix);
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
