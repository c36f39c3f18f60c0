#include "engine/edge/sigv4.h"

#include <assert.h>
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/base/hex.h"
#include "engine/edge/digest.h"
#include "engine/edge/text.h"
#include "engine/edge/url.h"

#define ALGORITHM       "AWS4-HMAC-SHA256"
#define HEX_BYTES       (2 * DIGEST_SHA256_BYTES + 1)
#define QUERY_PAIRS_MAX 256u
#define PATH_PIECES_MAX 256u

struct span {
    const char *at;
    size_t bytes;
};

struct header {
    struct span name, value;
    uint32_t order; /* headers of one name keep theirs */
};

struct headers {
    struct header list[SIGV4_HEADERS_MAX];
    uint32_t count;
};

/* ---- digests ---------------------------------------------------------------------------------
 */

static void put_digest(const void *bytes, size_t count, char ret_hex[HEX_BYTES])
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_sha256(bytes, count, digest);
    ret_hex[hex_write(digest, sizeof digest, ret_hex)] = '\0';
}

static void hmac(const void *key, size_t key_bytes, const char *text,
                 uint8_t ret[DIGEST_SHA256_BYTES])
{
    digest_hmac_sha256(key, key_bytes, text, strlen(text), ret);
}

static void derive(const struct sigv4_key *key, const struct sigv4_request *request,
                   const char day[9], uint8_t ret[DIGEST_SHA256_BYTES])
{
    char first[SIGV4_SECRET_BYTES + 4];
    int first_bytes = snprintf(first, sizeof first, "AWS4%s", key->secret);
    hmac(first, (size_t)first_bytes, day, ret);
    hmac(ret, DIGEST_SHA256_BYTES, request->region, ret);
    hmac(ret, DIGEST_SHA256_BYTES, request->service, ret);
    hmac(ret, DIGEST_SHA256_BYTES, "aws4_request", ret);
    OPENSSL_cleanse(first, sizeof first);
}

static void renew_cache(struct sigv4_cache *cache, const struct sigv4_key *key,
                        const struct sigv4_request *request, const char *scope)
{
    if (strcmp(cache->scope, scope) == 0 && strcmp(cache->secret, key->secret) == 0)
        return;
    char day[9];
    snprintf(day, sizeof day, "%.8s", scope);
    derive(key, request, day, cache->key);
    snprintf(cache->scope, sizeof cache->scope, "%s", scope);
    snprintf(cache->secret, sizeof cache->secret, "%s", key->secret);
}

/* ---- path and query --------------------------------------------------------------------------
 */

static void put_encoded(struct text *out, struct span text)
{
    char piece[3 * 64 + 1];
    for (size_t i = 0; i < text.bytes; i += 64) {
        size_t bytes = text.bytes - i < 64 ? text.bytes - i : 64;
        url_encode(text.at + i, bytes, false, piece, sizeof piece);
        text_put(out, piece);
    }
}

static bool span_is(struct span span, const char *text)
{
    return span.bytes == strlen(text) && memcmp(span.at, text, span.bytes) == 0;
}

/* The segments of a path without empty ones, "." and "..". */
static bool split_path(const struct sigv4_request *request, struct span *pieces, uint32_t *count)
{
    const char *at = request->path;
    const char *end = at + request->path_bytes;
    while (at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        struct span piece = {at, (size_t)((slash != NULL ? slash : end) - at)};
        at += piece.bytes + 1;
        if (span_is(piece, "..") && *count > 0)
            (*count)--;
        if (piece.bytes == 0 || span_is(piece, ".") || span_is(piece, ".."))
            continue;
        if (*count == PATH_PIECES_MAX)
            return false;
        pieces[(*count)++] = piece;
    }
    return true;
}

static bool put_path(struct text *out, const struct sigv4_request *request)
{
    struct span pieces[PATH_PIECES_MAX];
    uint32_t count = 0;
    if (!split_path(request, pieces, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        text_put(out, "/");
        put_encoded(out, pieces[i]);
    }
    bool slash_ends = request->path_bytes > 0 && request->path[request->path_bytes - 1] == '/';
    text_put(out, count == 0 || slash_ends ? "/\n" : "\n");
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes, and encodes as the signature wants it. */
static void put_recoded(struct text *out, struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        if (c == '%' && i + 2 < text.bytes && hex_value(text.at[i + 1]) >= 0 &&
            hex_value(text.at[i + 2]) >= 0) {
            c = (char)(hex_value(text.at[i + 1]) * 16 + hex_value(text.at[i + 2]));
            i += 2;
        }
        put_encoded(out, (struct span){&c, 1});
    }
}

/* Owned; NULL: there was no memory. */
static char *finish(struct text *out)
{
    text_put_bytes(out, "", 1);
    if (!out->failed)
        return out->at;
    text_free(out);
    return NULL;
}

static char *recoded_pair(struct span pair)
{
    struct text out = {0};
    const char *equals = memchr(pair.at, '=', pair.bytes);
    size_t name_bytes = equals != NULL ? (size_t)(equals - pair.at) : pair.bytes;
    put_recoded(&out, (struct span){pair.at, name_bytes});
    text_put(&out, "=");
    if (equals != NULL)
        put_recoded(&out, (struct span){equals + 1, pair.bytes - name_bytes - 1});
    return finish(&out);
}

/* By name, then by value. '=' itself comes after '-' and '.', so the pair as a whole is no
 * order. */
static int compare_pairs(const void *left, const void *right)
{
    const char *a = *(char *const *)left;
    const char *b = *(char *const *)right;
    size_t a_bytes = strcspn(a, "=");
    size_t b_bytes = strcspn(b, "=");
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    if (order == 0 && a_bytes != b_bytes)
        return a_bytes < b_bytes ? -1 : 1;
    return order != 0 ? order : strcmp(a + a_bytes, b + b_bytes);
}

static bool split_query(const struct sigv4_request *request, char **pairs, uint32_t *count)
{
    const char *at = request->query;
    const char *end = at + request->query_bytes;
    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        struct span pair = {at, (size_t)((next != NULL ? next : end) - at)};
        at += pair.bytes + 1;
        if (pair.bytes == 0)
            continue;
        if (*count == QUERY_PAIRS_MAX || (pairs[*count] = recoded_pair(pair)) == NULL)
            return false;
        (*count)++;
    }
    return true;
}

static bool put_query(struct text *out, const struct sigv4_request *request)
{
    char *pairs[QUERY_PAIRS_MAX];
    uint32_t count = 0;
    bool fits = split_query(request, pairs, &count);
    qsort(pairs, count, sizeof pairs[0], compare_pairs);
    for (uint32_t i = 0; i < count; i++) {
        text_put(out, i > 0 ? "&" : "");
        text_put(out, pairs[i]);
        free(pairs[i]);
    }
    text_put(out, "\n");
    return fits;
}

/* ---- headers ---------------------------------------------------------------------------------
 */

static int compare_names(const struct span *a, const struct span *b)
{
    size_t bytes = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = strncasecmp(a->at, b->at, bytes);
    if (order != 0 || a->bytes == b->bytes)
        return order;
    return a->bytes < b->bytes ? -1 : 1;
}

static int compare_headers(const void *left, const void *right)
{
    const struct header *a = left;
    const struct header *b = right;
    int order = compare_names(&a->name, &b->name);
    return order != 0 ? order : a->order < b->order ? -1 : 1;
}

static bool is_unsigned(struct span name)
{
    static const char *const changed_on_the_way[] = {
        "accept-encoding",
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "expect",
        "from",
        "host",
        "keep-alive",
        "max-forwards",
        "pragma",
        "proxy-authorization",
        "referer",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amz-date",
        "x-amz-security-token",
        "x-amzn-trace-id",
    };
    size_t count = sizeof changed_on_the_way / sizeof changed_on_the_way[0];
    for (size_t i = 0; i < count; i++)
        if (name.bytes == strlen(changed_on_the_way[i]) &&
            strncasecmp(name.at, changed_on_the_way[i], name.bytes) == 0)
            return true;
    return false;
}

static void add_header(struct headers *headers, const char *name, const char *value)
{
    assert(headers->count < SIGV4_HEADERS_MAX);
    headers->list[headers->count] = (struct header){
        .name = {name, strlen(name)},
        .value = {value, strlen(value)},
        .order = headers->count,
    };
    headers->count++;
}

static enum status take_headers(struct headers *headers, const struct sigv4_request *request,
                                struct problem *problem)
{
    if (request->headers_count + 3 > SIGV4_HEADERS_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "%u headers to sign; send no more than %u with one request",
                           request->headers_count, SIGV4_HEADERS_MAX - 3);
    for (uint32_t i = 0; i < request->headers_count; i++) {
        const char *line = request->headers[i];
        const char *colon = strchr(line, ':');
        if (colon == NULL)
            return problem_set(problem, STATUS_INVALID,
                               "header \"%.100s\" has no colon; write it as \"Name: value\"", line);
        struct span name = {line, (size_t)(colon - line)};
        if (is_unsigned(name))
            continue;
        add_header(headers, line, colon + 1);
        headers->list[headers->count - 1].name = name;
    }
    return STATUS_OK;
}

/* Without spaces around it, and one for many within. */
static void put_value(struct text *out, struct span value)
{
    const char *at = value.at, *end = value.at + value.bytes;
    for (bool started = false; at < end; started = true) {
        size_t spaces = 0, word = 0;
        while (at + spaces < end && (at[spaces] == ' ' || at[spaces] == '\t'))
            spaces++;
        at += spaces;
        while (at + word < end && at[word] != ' ' && at[word] != '\t')
            word++;
        if (started && spaces > 0 && word > 0)
            text_put(out, " ");
        text_put_bytes(out, at, word);
        at += word;
    }
}

static void put_lower(struct text *out, struct span name)
{
    char lower;
    for (size_t i = 0; i < name.bytes; i++) {
        lower = (char)tolower((unsigned char)name.at[i]);
        text_put_bytes(out, &lower, 1);
    }
}

static bool is_repeated(const struct headers *headers, uint32_t i)
{
    return i > 0 && compare_names(&headers->list[i - 1].name, &headers->list[i].name) == 0;
}

static void put_headers(struct text *out, const struct headers *headers)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        if (is_repeated(headers, i)) {
            text_put(out, ",");
        } else {
            text_put(out, i > 0 ? "\n" : "");
            put_lower(out, headers->list[i].name);
            text_put(out, ":");
        }
        put_value(out, headers->list[i].value);
    }
    text_put(out, "\n\n");
}

static void put_names(struct text *out, const struct headers *headers)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        if (is_repeated(headers, i))
            continue;
        text_put(out, i > 0 ? ";" : "");
        put_lower(out, headers->list[i].name);
    }
}

/* ---- the signature ---------------------------------------------------------------------------
 */

/* False: a path or query of too many pieces, or no memory. */
static bool put_canonical(struct text *out, const struct sigv4_request *request,
                          const struct headers *headers)
{
    text_put(out, request->method);
    text_put(out, "\n");
    bool fits = put_path(out, request);
    fits = put_query(out, request) && fits;
    put_headers(out, headers);
    put_names(out, headers);
    char body[HEX_BYTES];
    put_digest(request->body_bytes > 0 ? request->body : "", request->body_bytes, body);
    text_put(out, "\n");
    text_put(out, body);
    return fits && !out->failed;
}

static void sign_text(const struct sigv4_cache *cache, const char *date, const char *scope,
                      const struct text *canonical, char ret_hex[HEX_BYTES])
{
    char hash[HEX_BYTES];
    put_digest(canonical->at, canonical->bytes, hash);
    char text[sizeof ALGORITHM + SIGV4_DATE_BYTES + SIGV4_SCOPE_BYTES + HEX_BYTES + 4];
    snprintf(text, sizeof text, ALGORITHM "\n%s\n%s\n%s", date, scope, hash);
    uint8_t signature[DIGEST_SHA256_BYTES];
    hmac(cache->key, sizeof cache->key, text, signature);
    ret_hex[hex_write(signature, sizeof signature, ret_hex)] = '\0';
}

/* False: no room, or no memory. `out` is only where it is made. */
static bool put_authorization(struct text *out, const struct sigv4_key *key, const char *scope,
                              const struct headers *headers, const char *signature,
                              char ret_text[SIGV4_AUTHORIZATION_BYTES])
{
    out->bytes = 0;
    text_put(out, ALGORITHM " Credential=");
    text_put(out, key->access_key_id);
    text_put(out, "/");
    text_put(out, scope);
    text_put(out, ", SignedHeaders=");
    put_names(out, headers);
    text_put(out, ", Signature=");
    text_put(out, signature);
    text_put_bytes(out, "", 1);
    bool fits = !out->failed && out->bytes <= SIGV4_AUTHORIZATION_BYTES;
    if (fits)
        memcpy(ret_text, out->at, out->bytes);
    return fits;
}

static enum status prepare(const struct sigv4_key *key, const struct sigv4_request *request,
                           char date[SIGV4_DATE_BYTES], char scope[SIGV4_SCOPE_BYTES],
                           struct problem *problem)
{
    struct tm tm;
    time_t now = (time_t)request->now_s;
    gmtime_r(&now, &tm);
    size_t date_bytes = strftime(date, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm);
    int bytes = snprintf(scope, SIGV4_SCOPE_BYTES, "%.8s/%s/%s/aws4_request", date, request->region,
                         request->service);
    if (date_bytes + 1 != SIGV4_DATE_BYTES || bytes >= (int)SIGV4_SCOPE_BYTES)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "region \"%.64s\" or service \"%.64s\" is too long to be one",
                           request->region, request->service);
    if (strlen(key->secret) >= SIGV4_SECRET_BYTES)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the secret access key has %zu bytes; AWS's have 40",
                           strlen(key->secret));
    return STATUS_OK;
}

enum status sigv4_sign(const struct sigv4_key *key, const struct sigv4_request *request,
                       struct sigv4_cache *cache, struct sigv4_signed *ret_signed,
                       struct problem *problem)
{
    struct sigv4_signed made;
    char scope[SIGV4_SCOPE_BYTES];
    struct headers headers = {.count = 0};
    enum status status = prepare(key, request, made.date, scope, problem);
    if (status == STATUS_OK)
        status = take_headers(&headers, request, problem);
    if (status != STATUS_OK)
        return status;
    add_header(&headers, "host", request->host);
    add_header(&headers, "x-amz-date", made.date);
    if (key->session_token != NULL && key->session_token[0] != '\0')
        add_header(&headers, "x-amz-security-token", key->session_token);
    qsort(headers.list, headers.count, sizeof headers.list[0], compare_headers);
    struct text text = {0};
    char signature[HEX_BYTES];
    if (!put_canonical(&text, request, &headers)) {
        text_free(&text);
        return problem_set(problem, STATUS_TOO_LARGE,
                           "a URL of more than %u path segments or %u query parameters cannot be "
                           "signed",
                           PATH_PIECES_MAX, QUERY_PAIRS_MAX);
    }
    renew_cache(cache, key, request, scope);
    sign_text(cache, made.date, scope, &text, signature);
    bool fits = put_authorization(&text, key, scope, &headers, signature, made.authorization);
    text_free(&text);
    if (!fits)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the names of the headers to sign do not fit in %u bytes",
                           SIGV4_AUTHORIZATION_BYTES);
    *ret_signed = made;
    return STATUS_OK;
}
