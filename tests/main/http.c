#include "tests/main/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define READ_BYTES 65536u
#define POLL_MS    2

int http_try_connect(const char *address)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    assert_non_null(colon);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(colon + 1))};
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    assert_int_equal(inet_pton(AF_INET, host, &to.sin_addr), 1);
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(made >= 0);
    if (connect(made, (struct sockaddr *)&to, sizeof to) == 0)
        return made;
    close(made);
    return -1;
}

int http_connect(const char *address)
{
    int made = http_try_connect(address);
    if (made < 0)
        fail_msg("nobody listens at %s", address);
    return made;
}

void http_send(int socket, const char *text)
{
    size_t bytes = strlen(text);
    assert_int_equal(send(socket, text, bytes, MSG_NOSIGNAL), bytes);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False at the end. */
static bool read_some(int socket, char **text, size_t *used)
{
    *text = realloc(*text, *used + READ_BYTES + 1);
    assert_non_null(*text);
    ssize_t count = recv(socket, *text + *used, READ_BYTES, 0);
    if (count > 0)
        *used += (size_t)count;
    (*text)[*used] = '\0';
    return count > 0;
}

struct http_answer http_read(int socket, void (*turn)(void *context), void *context)
{
    struct http_answer answer = {0};
    size_t used = 0;
    int64_t until_ms = now_ms() + HTTP_WAIT_MS;
    for (bool more = true; more;) {
        struct pollfd polled = {.fd = socket, .events = POLLIN};
        if (turn != NULL)
            turn(context);
        if (poll(&polled, 1, turn != NULL ? POLL_MS : HTTP_WAIT_MS) == 1)
            more = read_some(socket, &answer.text, &used);
        else if (now_ms() > until_ms)
            fail_msg("no answer came");
    }
    close(socket);
    sscanf(answer.text, "HTTP/1.1 %d", &answer.code);
    answer.body = strstr(answer.text, "\r\n\r\n");
    answer.body = answer.body == NULL ? answer.text + used : answer.body + 4;
    return answer;
}

struct http_answer http_get(const char *address, const char *path, void (*turn)(void *context),
                            void *context)
{
    char request[256];
    int made = http_connect(address);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    http_send(made, request);
    return http_read(made, turn, context);
}

void http_free(struct http_answer *answer)
{
    free(answer->text);
    *answer = (struct http_answer){0};
}
