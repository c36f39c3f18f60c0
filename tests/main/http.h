/*
 * http: one request at a time to a server that a test runs, by plain sockets.
 *
 * Threads: the caller's. Nothing waits for longer than HTTP_WAIT_MS.
 */
#ifndef TESTS_MAIN_HTTP_H
#define TESTS_MAIN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_WAIT_MS 30000

struct http_answer {
    int code;   /* 0: it was cut without an answer */
    char *text; /* all of it, terminated; owned */
    char *body; /* in the text; "" where there is none */
};

/* "127.0.0.1:4711". Fails the test where nobody listens there. */
int http_connect(const char *address);
/* -1 where nobody does. */
int http_try_connect(const char *address);
void http_send(int socket, const char *text);
/* Reads to the end, and closes. `turn` (NULL: none) is called over and over meanwhile: the engine's
 * thread of a test that has but one. */
struct http_answer http_read(int socket, void (*turn)(void *context), void *context);
/* GET of a path. */
struct http_answer http_get(const char *address, const char *path, void (*turn)(void *context),
                            void *context);
void http_free(struct http_answer *answer);

#endif
