#include "engine/edge/sqs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/hex.h"
#include "engine/edge/digest.h"
#include "engine/saga/value_text.h"

#define REGION_BYTES 64u

static const char *host_of(const char *url)
{
    if (strncmp(url, "https://", 8) == 0)
        return url + 8;
    return strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
}

bool sqs_is_url(const char *text)
{
    const char *host = host_of(text);
    if (!host || strlen(text) > SQS_URL_BYTES_MAX)
        return false;
    const char *slash = strrchr(host, '/');
    return slash && slash > host && slash[1] != 0 && strcspn(host, " \t\r\n") == strlen(host);
}

bool sqs_is_fifo(const char *queue_url)
{
    size_t bytes = strlen(queue_url);
    return bytes > 5 && strcmp(queue_url + bytes - 5, ".fifo") == 0;
}

const char *sqs_queue_name(const char *queue_url)
{
    const char *slash = strrchr(queue_url, '/');
    return slash ? slash + 1 : queue_url;
}

/* sqs.REGION.amazonaws.com, also .cn. */
static bool region_of(const char *queue_url, char ret_region[REGION_BYTES])
{
    const char *host = host_of(queue_url);
    if (!host || strncmp(host, "sqs.", 4) != 0)
        return false;
    const char *region = host + 4;
    size_t bytes = strcspn(region, "./:");
    if (bytes == 0 || bytes >= REGION_BYTES || strncmp(region + bytes, ".amazonaws.com", 14) != 0)
        return false;
    memcpy(ret_region, region, bytes);
    ret_region[bytes] = 0;
    return true;
}

static void origin_of(const char *queue_url, char ret_origin[SQS_URL_BYTES_MAX + 1])
{
    const char *host = host_of(queue_url);
    size_t bytes = (size_t)(host - queue_url) + strcspn(host, "/");
    (void)snprintf(ret_origin, SQS_URL_BYTES_MAX + 1, "%.*s", (int)bytes, queue_url);
}

enum status sqs_send(struct aws *aws, const struct sqs_request *request, struct problem *problem)
{
    char target[64], region[REGION_BYTES], origin[SQS_URL_BYTES_MAX + 1];
    if (request->body->failed)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory for a request to SQS");
    (void)snprintf(target, sizeof(target), "AmazonSQS.%s", request->action);
    bool of_aws = region_of(request->queue_url, region);
    bool is_found = of_aws || aws_has_endpoint(aws, "sqs");
    origin_of(request->queue_url, origin);
    const struct aws_request asked = {.service = "sqs",
                                      .region = of_aws ? region : NULL,
                                      .url = is_found ? NULL : origin,
                                      .target = target,
                                      .body = request->body->at,
                                      .body_bytes = request->body->bytes,
                                      .timeout_ms = request->timeout_ms,
                                      .patience_ms = request->patience_ms,
                                      .answer_bytes_max = request->answer_bytes_max,
                                      .reads_body = request->reads_answer,
                                      .on_end = request->on_end,
                                      .on_retry = request->on_retry,
                                      .context = request->context};
    return aws_send(aws, &asked, problem);
}

void sqs_error_name(const char *code, char *ret_name, size_t name_bytes)
{
    static const struct {
        const char *code, *name;
    } names[] = {{"QueueDoesNotExist", "QueueDoesNotExistException"},
                 {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExistException"},
                 {"NonExistentQueue", "QueueDoesNotExistException"},
                 {"InvalidMessageContents", "InvalidMessageContentsException"},
                 {"UnsupportedOperation", "UnsupportedOperationException"},
                 {"AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperationException"},
                 {"", "SdkClientException"}};
    const char *name = "AmazonSQSException";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(code, names[i].code) == 0)
            name = names[i].name;
    (void)snprintf(ret_name, name_bytes, "SQS.%s", name);
}

bool sqs_md5_matches(struct flyover_bytes text, struct flyover_bytes hex)
{
    uint8_t digest[DIGEST_MD5_BYTES];
    char ours[2 * DIGEST_MD5_BYTES];
    if (!hex.at || !digest_md5(text.at, text.count, digest))
        return true;
    return hex.count == hex_write(digest, sizeof(digest), ours) &&
           strncasecmp(ours, (const char *)hex.at, hex.count) == 0;
}

/* ---- answers -----------------------------------------------------------------------------------
 */

bool sqs_answer_open(const struct aws_answer *answer, struct sqs_answer *ret_answer)
{
    size_t bytes = 0;
    struct problem problem;
    size_t capacity = VALUE_FROM_TEXT_BYTES_MAX(answer->http.body_bytes);
    uint8_t *memory = malloc(capacity);
    if (!memory || value_from_text(answer->http.body, answer->http.body_bytes, memory, capacity,
                                   &bytes, &problem) != STATUS_OK) {
        free(memory);
        return false;
    }
    *ret_answer = (struct sqs_answer){memory, {memory, (uint32_t)bytes}};
    return true;
}

void sqs_answer_close(struct sqs_answer *answer)
{
    free(answer->memory);
    *answer = (struct sqs_answer){0};
}

struct sqs_list sqs_list(const struct sqs_answer *answer, const char *name)
{
    struct sqs_list list = {0};
    struct flyover_cursor map = field_cursor(answer->value);
    if (!flyover_find(&map, name, &list.cursor) || !flyover_read_array(&list.cursor, &list.left))
        list.left = 0;
    return list;
}

bool sqs_next(struct sqs_list *list, struct flyover_bytes *ret_entry)
{
    if (list->left == 0)
        return false;
    list->left--;
    *ret_entry = field_take(&list->cursor);
    return true;
}

bool sqs_read_id(struct flyover_bytes entry, uint32_t count, uint32_t *ret_index)
{
    struct flyover_bytes id = field_text(entry, "Id");
    if (id.count != 1 || *id.at < '0' || *id.at > '9')
        return false;
    *ret_index = (uint32_t)(*id.at - '0');
    return *ret_index < count;
}
