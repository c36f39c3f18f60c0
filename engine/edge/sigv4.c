#include "engine/edge/sigv4.h"

#include <assert.h>
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/edge/url.h"

#define ALGORITHM        "AWS4-HMAC-SHA256"
#define DIGEST_BYTES     32u
#define DIGEST_HEX_BYTES (2 * DIGEST_BYTES + 1)
#define QUERY_PAIRS_MAX  256u
#define PATH_PIECES_MAX  256u

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

static void put_hex(const uint8_t digest[DIGEST_BYTES], char ret_hex[DIGEST_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[2 * DIGEST_BYTES] = '\0';
}

static void digest_hex(const void *bytes, size_t count, char ret_hex[DIGEST_HEX_BYTES])
{
    uint8_t digest[DIGEST_BYTES];
    unsigned digest_bytes = 0;
    int done = EVP_Digest(bytes, count, digest, &digest_bytes, EVP_sha256(), NULL);
    assert(done == 1 && digest_bytes == DIGEST_BYTES);
    put_hex(digest, ret_hex);
}

static void hmac(const void *key, size_t key_bytes, const char *text, uint8_t ret[DIGEST_BYTES])
{
    unsigned bytes = 0;
    uint8_t digest[DIGEST_BYTES];
    const void *done = HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text,
                            strlen(text), digest, &bytes);
    assert(done != NULL && bytes == DIGEST_BYTES);
    memcpy(ret, digest, DIGEST_BYTES);
}

static void derive(const struct sigv4_key *key, const struct sigv4_request *request,
                   const char day[9], uint8_t ret[DIGEST_BYTES])
{
    char first[SIGV4_SECRET_BYTES + 4];
    int first_bytes = snprintf(first, sizeof first, "AWS4%s", key->secret);
    hmac(first, (size_t)first_bytes, day, ret);
    hmac(ret, DIGEST_BYTES, request->region, ret);
    hmac(ret, DIGEST_BYTES, request->service, ret);
    hmac(ret, DIGEST_BYTES, "aws4_request", ret);
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

static void put_encoded(FILE *out, struct span text)
{
    char piece[3 * 64 + 1];
    for (size_t i = 0; i < text.bytes; i += 64) {
        size_t bytes = text.bytes - i < 64 ? text.bytes - i : 64;
        url_encode(text.at + i, bytes, false, piece, sizeof piece);
        fputs(piece, out);
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

static bool put_path(FILE *out, const struct sigv4_request *request)
{
    struct span pieces[PATH_PIECES_MAX];
    uint32_t count = 0;
    if (!split_path(request, pieces, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        putc_unlocked('/', out);
        put_encoded(out, pieces[i]);
    }
    bool slash_ends = request->path_bytes > 0 && request->path[request->path_bytes - 1] == '/';
    if (count == 0 || slash_ends)
        putc_unlocked('/', out);
    putc_unlocked('\n', out);
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
static void put_recoded(FILE *out, struct span text)
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

static char *recoded_pair(struct span pair)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return NULL;
    const char *equals = memchr(pair.at, '=', pair.bytes);
    size_t name_bytes = equals != NULL ? (size_t)(equals - pair.at) : pair.bytes;
    put_recoded(out, (struct span){pair.at, name_bytes});
    putc_unlocked('=', out);
    if (equals != NULL)
        put_recoded(out, (struct span){equals + 1, pair.bytes - name_bytes - 1});
    return fclose(out) == 0 ? text : (free(text), NULL);
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

static bool put_query(FILE *out, const struct sigv4_request *request)
{
    char *pairs[QUERY_PAIRS_MAX];
    uint32_t count = 0;
    bool fits = split_query(request, pairs, &count);
    qsort(pairs, count, sizeof pairs[0], compare_pairs);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, "%s%s", i > 0 ? "&" : "", pairs[i]);
        free(pairs[i]);
    }
    putc_unlocked('\n', out);
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
static void put_value(FILE *out, struct span value)
{
    bool started = false;
    bool space = false;
    for (size_t i = 0; i < value.bytes; i++) {
        char c = value.at[i];
        if (c == ' ' || c == '\t') {
            space = started;
            continue;
        }
        if (space)
            putc_unlocked(' ', out);
        putc_unlocked(c, out);
        started = true;
        space = false;
    }
}

static void put_lower(FILE *out, struct span name)
{
    for (size_t i = 0; i < name.bytes; i++)
        putc_unlocked(tolower((unsigned char)name.at[i]), out);
}

static bool is_repeated(const struct headers *headers, uint32_t i)
{
    return i > 0 && compare_names(&headers->list[i - 1].name, &headers->list[i].name) == 0;
}

static void put_headers(FILE *out, const struct headers *headers)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        if (is_repeated(headers, i)) {
            putc_unlocked(',', out);
        } else {
            fputs(i > 0 ? "\n" : "", out);
            put_lower(out, headers->list[i].name);
            putc_unlocked(':', out);
        }
        put_value(out, headers->list[i].value);
    }
    fputs("\n\n", out);
}

static void put_names(FILE *out, const struct headers *headers)
{
    for (uint32_t i = 0; i < headers->count; i++) {
        if (is_repeated(headers, i))
            continue;
        fputs(i > 0 ? ";" : "", out);
        put_lower(out, headers->list[i].name);
    }
}

/* ---- the signature ---------------------------------------------------------------------------
 */

/* Returns owned; NULL: no memory, or a path or query of too many pieces. */
static char *canonical_request(const struct sigv4_request *request, const struct headers *headers)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return NULL;
    fprintf(out, "%s\n", request->method);
    bool fits = put_path(out, request);
    fits = put_query(out, request) && fits;
    put_headers(out, headers);
    put_names(out, headers);
    char body[DIGEST_HEX_BYTES];
    digest_hex(request->body_bytes > 0 ? request->body : "", request->body_bytes, body);
    fprintf(out, "\n%s", body);
    if (fclose(out) == 0 && fits)
        return text;
    free(text);
    return NULL;
}

static void sign_text(const struct sigv4_cache *cache, const char *date, const char *scope,
                      const char *canonical, char ret_hex[DIGEST_HEX_BYTES])
{
    char hash[DIGEST_HEX_BYTES];
    digest_hex(canonical, strlen(canonical), hash);
    char text[sizeof ALGORITHM + SIGV4_DATE_BYTES + SIGV4_SCOPE_BYTES + DIGEST_HEX_BYTES + 4];
    snprintf(text, sizeof text, ALGORITHM "\n%s\n%s\n%s", date, scope, hash);
    uint8_t signature[DIGEST_BYTES];
    hmac(cache->key, DIGEST_BYTES, text, signature);
    put_hex(signature, ret_hex);
}

/* False: no room, or no memory. */
static bool put_authorization(const struct sigv4_key *key, const char *scope,
                              const struct headers *headers, const char *signature,
                              char ret_text[SIGV4_AUTHORIZATION_BYTES])
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return false;
    fprintf(out, ALGORITHM " Credential=%s/%s, SignedHeaders=", key->access_key_id, scope);
    put_names(out, headers);
    fprintf(out, ", Signature=%s", signature);
    bool fits = fclose(out) == 0 && bytes < SIGV4_AUTHORIZATION_BYTES;
    if (fits)
        memcpy(ret_text, text, bytes + 1);
    free(text);
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
    char *canonical = canonical_request(request, &headers);
    if (canonical == NULL)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "a URL of more than %u path segments or %u query parameters cannot be "
                           "signed",
                           PATH_PIECES_MAX, QUERY_PAIRS_MAX);
    char signature[DIGEST_HEX_BYTES];
    renew_cache(cache, key, request, scope);
    sign_text(cache, made.date, scope, canonical, signature);
    free(canonical);
    if (!put_authorization(key, scope, &headers, signature, made.authorization))
        return problem_set(problem, STATUS_TOO_LARGE,
                           "the names of the headers to sign do not fit in %u bytes",
                           SIGV4_AUTHORIZATION_BYTES);
    *ret_signed = made;
    return STATUS_OK;
}
