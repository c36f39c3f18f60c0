/* Signatures of requests by chance, against AWS's own SDK for JavaScript. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/edge/sigv4.h"
#include "engine/edge/url.h"
#include "tests/edge/rig.h"

#define REQUESTS   400u
#define SEED       20150830u
#define TEXT_BYTES 1024u

static uint32_t chance_state;

static uint32_t chance(uint32_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 17;
    chance_state ^= chance_state << 5;
    return chance_state % below;
}

/* Of letters and of what has to be encoded, quoted or left as it is. */
static void text_by_chance(char *ret_text, uint32_t letters_max, const char *letters)
{
    uint32_t count = chance(letters_max + 1);
    uint32_t kinds = (uint32_t)strlen(letters);
    for (uint32_t i = 0; i < count; i++)
        ret_text[i] = letters[chance(kinds)];
    ret_text[count] = '\0';
}

/* A request as it goes over the wire, and the same as the SDK is told it. */
struct pair {
    char path[TEXT_BYTES], query[TEXT_BYTES], body[64];
    char headers[4][TEXT_BYTES];
    const char *header_list[4];
    json_t *told;
};

static void add_path(struct pair *pair)
{
    char piece[32], encoded[128];
    size_t bytes = 0;
    for (uint32_t i = 0, count = chance(5); i < count; i++) {
        text_by_chance(piece, 8, "abcXYZ019-._~:/ @!$&'()*+,;=%");
        url_encode(piece, strlen(piece), false, encoded, sizeof encoded);
        bytes += (size_t)snprintf(pair->path + bytes, sizeof pair->path - bytes, "/%s", encoded);
    }
    if (bytes == 0 || chance(3) == 0)
        snprintf(pair->path + bytes, sizeof pair->path - bytes, "/");
    json_object_set_new(pair->told, "path", json_string(pair->path));
}

static void add_query(struct pair *pair)
{
    char name[16], value[16], encoded[2][64];
    size_t bytes = 0;
    json_t *list = json_array();
    for (uint32_t i = 0, count = chance(6); i < count; i++) {
        text_by_chance(name, 4, "abAB-._~= &+/");
        text_by_chance(value, 6, "abAB-._~= &+/%");
        snprintf(name + strlen(name), 2, "n");
        url_encode(name, strlen(name), false, encoded[0], sizeof encoded[0]);
        url_encode(value, strlen(value), false, encoded[1], sizeof encoded[1]);
        bytes += (size_t)snprintf(pair->query + bytes, sizeof pair->query - bytes, "%s%s=%s",
                                  i > 0 ? "&" : "", encoded[0], encoded[1]);
        json_array_append_new(list, json_pack("[ss]", name, value));
    }
    json_object_set_new(pair->told, "query", list);
}

static void add_headers(struct pair *pair, uint32_t *ret_count)
{
    static const char *const names[4] = {"X-Amz-Target", "Content-Type", "User-Agent", "x-custom"};
    json_t *list = json_array();
    uint32_t count = chance(5);
    for (uint32_t i = 0; i < count; i++) {
        char value[32];
        text_by_chance(value, 20, "ab  Z;=/\"\t");
        snprintf(value + strlen(value), 2, "v");
        snprintf(pair->headers[i], sizeof pair->headers[i], "%s:%s", names[i], value);
        pair->header_list[i] = pair->headers[i];
        json_array_append_new(list, json_pack("[ss]", names[i], value));
    }
    json_object_set_new(pair->told, "headers", list);
    *ret_count = count;
}

static void sign_here(const struct pair *pair, struct sigv4_request *request, bool has_token,
                      char ret_text[SIGV4_AUTHORIZATION_BYTES])
{
    static struct sigv4_cache cache; /* of all of them, as of an endpoint's requests */
    struct sigv4_signed made;
    struct problem problem;
    struct sigv4_key key = {"AKIDEXAMPLE", "secret+/Key", has_token ? "token/+==" : NULL};
    request->path = pair->path;
    request->path_bytes = strlen(pair->path);
    request->query = pair->query;
    request->query_bytes = strlen(pair->query);
    request->headers = pair->header_list;
    request->body = pair->body;
    request->body_bytes = strlen(pair->body);
    if (sigv4_sign(&key, request, &cache, &made, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    memcpy(ret_text, made.authorization, SIGV4_AUTHORIZATION_BYTES);
}

/* Adds what the SDK is told to `told`, and gives what it should answer. */
static void make_one(json_t *told, char ret_text[SIGV4_AUTHORIZATION_BYTES])
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    static const char *const services[] = {"sqs", "lambda", "dynamodb"};
    struct pair pair = {.told = json_object()};
    struct sigv4_request request = {
        .method = methods[chance(4)],
        .host = "service.eu-west-1.amazonaws.com",
        .service = services[chance(3)],
        .region = chance(2) == 0 ? "eu-west-1" : "us-east-1",
        .now_s = 1440938160 + chance(200000),
    };
    bool has_token = chance(3) == 0;
    add_path(&pair);
    add_query(&pair);
    add_headers(&pair, &request.headers_count);
    text_by_chance(pair.body, 40, "{}\"ab\n");
    sign_here(&pair, &request, has_token, ret_text);
    json_t *keys =
        json_pack("{ss ss}", "accessKeyId", "AKIDEXAMPLE", "secretAccessKey", "secret+/Key");
    if (has_token)
        json_object_set_new(keys, "sessionToken", json_string("token/+=="));
    json_t *rest = json_pack("{ss ss ss ss ss sI so}", "method", request.method, "host",
                             request.host, "body", pair.body, "service", request.service, "region",
                             request.region, "time", (json_int_t)request.now_s, "keys", keys);
    json_object_update_new(pair.told, rest);
    json_array_append_new(told, pair.told);
}

static void requests_by_chance_are_signed_as_the_sdk_signs_them(void **state)
{
    (void)state;
    if (rig_is_missing(RIG_FAUXQS))
        skip();
    static char made[REQUESTS][SIGV4_AUTHORIZATION_BYTES];
    char path[] = "/tmp/flyover-signatures-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    chance_state = SEED;
    json_t *told = json_array();
    for (uint32_t i = 0; i < REQUESTS; i++)
        make_one(told, made[i]);
    assert_int_equal(json_dump_file(told, path, 0), 0);
    json_t *signed_there = rig_ask("sign.mjs", path, NULL);
    unlink(path);
    assert_int_equal(json_array_size(signed_there), REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const char *there = json_string_value(json_array_get(signed_there, i));
        if (strcmp(made[i], there) != 0) {
            char *request = json_dumps(json_array_get(told, i), 0);
            fail_msg("request %u: %s\nhere  %s\nthere %s", i, request, made[i], there);
        }
    }
    json_decref(signed_there);
    json_decref(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_by_chance_are_signed_as_the_sdk_signs_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
