/*
 * What comes to requests to AWS from outside, by its first byte: an error answer in JSON or XML
 * ('a'), a shared config file ('f'), a URL to sign ('u').
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/edge/fault.h"
#include "engine/edge/profile.h"
#include "engine/edge/sigv4.h"
#include "engine/edge/url.h"
#include "tests/edge/canned.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Up to a zero byte headers, behind it the body. */
static void read_answer(const char *text, size_t bytes)
{
    size_t headers_bytes = strnlen(text, bytes);
    const char *body = headers_bytes < bytes ? text + headers_bytes + 1 : "";
    struct http_answer answer = {
        .end = HTTP_ANSWERED,
        .status = 400,
        .body = body,
        .body_bytes = headers_bytes < bytes ? bytes - headers_bytes - 1 : 0,
        .headers = text,
        .sentence = "",
    };
    const struct fault_place place = {"sqs", "r", "f", "u", "e", "k", "c"};
    struct fault fault;
    json_t *json = json_loadb(answer.body, answer.body_bytes, JSON_DECODE_ANY, NULL);
    fault_read(&answer, json, &fault);
    fault_advise(&fault, &place);
    assert(fault.name[0] != '\0' && strlen(fault.name) < FAULT_NAME_BYTES);
    assert(strlen(fault.message) < FAULT_MESSAGE_BYTES);
    fault_date_s(http_answer_header(&answer, "Date"));
    json_decref(json);
}

static void read_profile(const char *text, size_t bytes)
{
    char path[64];
    int file = memfd_create("config", 0);
    assert(file >= 0 && write(file, text, bytes) == (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct canned_world *canned = calloc(1, sizeof *canned);
    canned_world_init(canned);
    canned_set(canned, "AWS_CONFIG_FILE", path);
    struct profile *profile;
    struct problem problem;
    if (profile_open(&canned->world, NULL, &profile, &problem) == STATUS_OK) {
        profile_value(profile, "region");
        profile_service_url(profile, "sqs");
        profile_close(profile);
    }
    free(canned);
    close(file);
}

static void sign_url(const char *text)
{
    struct url url;
    if (!url_split(text, &url))
        return;
    char host[4096];
    snprintf(host, sizeof host, "%.*s", (int)url.host_bytes, url.host);
    assert(url_origin_bytes(text) >= url.host_bytes);
    const struct sigv4_key key = {"AKID", "secret", NULL};
    const struct sigv4_request request = {
        .method = "GET",
        .host = host,
        .path = url.path,
        .path_bytes = url.path_bytes,
        .query = url.query,
        .query_bytes = url.query_bytes,
        .service = "sqs",
        .region = "eu-west-1",
        .now_s = 1440938160,
    };
    struct sigv4_cache cache = {0};
    struct sigv4_signed made;
    enum status status = sigv4_sign(&key, &request, &cache, &made, NULL);
    assert(status == STATUS_OK || status == STATUS_TOO_LARGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    char *text = malloc(count);
    assert(text != NULL);
    memcpy(text, bytes + 1, count - 1);
    text[count - 1] = '\0';
    if (bytes[0] == 'a')
        read_answer(text, count - 1);
    else if (bytes[0] == 'f')
        read_profile(text, count - 1);
    else if (bytes[0] == 'u')
        sign_url(text);
    free(text);
    return 0;
}
