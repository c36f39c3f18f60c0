/*
 * url: an http or https URL cut into what has to be signed.
 *
 *     https://sqs.eu-central-1.amazonaws.com:443/1234/orders?a=b
 *             host (no port that the scheme has anyway)  path     query
 *
 * Threads: pure functions. Memory: none; the parts point into the URL.
 */
#ifndef ENGINE_EDGE_URL_H
#define ENGINE_EDGE_URL_H

#include <stdbool.h>
#include <stddef.h>

struct url {
    bool tls;
    const char *host; /* with its port, unless that is the scheme's own: as the Host header says it
                       */
    size_t host_bytes;
    const char *path; /* "" or "/…", as written */
    size_t path_bytes;
    const char *query; /* without '?'; "" if there is none */
    size_t query_bytes;
};

/* False if it is no URL of http or https with a host, or has a user, a fragment, a space or a
 * control character in it. */
bool url_split(const char *text, struct url *ret_url);

/* How much of a URL is its scheme and host: what may be shown of it. */
size_t url_origin_bytes(const char *url);

/* What may be shown of it, whether it is a URL or not: scheme, host and path, cut to the room; no
 * user and no query, which may hold secrets. */
#define URL_SHOWN_BYTES 201u
void url_show(const char *url, char ret_text[URL_SHOWN_BYTES]);

/* Percent-encodes all but RFC 3986's unreserved characters, '/' too unless `slashes` are to stay.
 * Writes at most `room` bytes with the terminating zero; returns how many there would be without
 * it. */
size_t url_encode(const char *text, size_t bytes, bool slashes, char *ret_text, size_t room);

#endif
