#include "engine/edge/http_sockets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define NS_A_MS UINT64_C(1000000)

/* ---- what libcurl tells -------------------------------------------------------------------------
 */

static struct pollfd *find(struct http_sockets *sockets, int fd)
{
    for (uint32_t i = 1; i < sockets->count; i++)
        if (sockets->polled[i].fd == fd)
            return &sockets->polled[i];
    return NULL;
}

static struct pollfd *find_or_add(struct http_sockets *sockets, int fd)
{
    struct pollfd *polled = find(sockets, fd);
    if (polled == NULL && sockets->count <= HTTP_SOCKETS_MAX) {
        polled = &sockets->polled[sockets->count++];
        *polled = (struct pollfd){.fd = fd};
    }
    return polled;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *own)
{
    struct http_sockets *sockets = context;
    (void)easy, (void)own;
    struct pollfd *polled = what == CURL_POLL_REMOVE ? find(sockets, fd) : find_or_add(sockets, fd);
    if (polled == NULL)
        return 0;
    if (what == CURL_POLL_REMOVE)
        *polled = sockets->polled[--sockets->count];
    else
        polled->events = (short)(((what & CURL_POLL_IN) != 0 ? POLLIN : 0) |
                                 ((what & CURL_POLL_OUT) != 0 ? POLLOUT : 0));
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http_sockets *sockets = context;
    (void)multi;
    sockets->due_ns = timeout_ms < 0 ? UINT64_MAX : clock_now_ns() + (uint64_t)timeout_ms * NS_A_MS;
    return 0;
}

/* ---- open and close -----------------------------------------------------------------------------
 */

enum status http_sockets_open(struct http_sockets *sockets, CURLM *multi, struct problem *problem)
{
    size_t room = 1 + HTTP_SOCKETS_MAX + HTTP_WAIT_FDS_MAX;
    *sockets = (struct http_sockets){.multi = multi, .count = 1, .due_ns = UINT64_MAX};
    sockets->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sockets->bell < 0)
        return problem_set(problem, STATUS_IO,
                           "no file descriptor is left for edges: raise ulimit -n");
    sockets->polled = calloc(room, sizeof *sockets->polled);
    if (sockets->polled == NULL) {
        close(sockets->bell);
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    }
    sockets->polled[0] = (struct pollfd){.fd = sockets->bell, .events = POLLIN};
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, sockets);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, sockets);
    return STATUS_OK;
}

void http_sockets_close(struct http_sockets *sockets)
{
    close(sockets->bell);
    free(sockets->polled);
}

/* ---- waiting ------------------------------------------------------------------------------------
 */

static int until_due_ms(const struct http_sockets *sockets, int timeout_ms)
{
    if (sockets->due_ns == UINT64_MAX)
        return timeout_ms;
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ms = now_ns >= sockets->due_ns ? 0 : (sockets->due_ns - now_ns) / NS_A_MS + 1;
    return left_ms < (uint64_t)timeout_ms ? (int)left_ms : timeout_ms;
}

static void hear_bell(struct http_sockets *sockets)
{
    uint64_t rings;
    if (sockets->polled[0].revents == 0)
        return;
    ssize_t bytes = read(sockets->bell, &rings, sizeof rings);
    assert(bytes == sizeof rings && "nobody else reads it");
    (void)bytes;
}

void http_sockets_wait(struct http_sockets *sockets, struct pollfd *fds, uint32_t fds_count,
                       int timeout_ms)
{
    struct pollfd *others = &sockets->polled[sockets->count];
    assert(fds_count <= HTTP_WAIT_FDS_MAX && timeout_ms >= 0);
    if (fds_count > 0)
        memcpy(others, fds, fds_count * sizeof *fds);
    int ready =
        poll(sockets->polled, sockets->count + fds_count, until_due_ms(sockets, timeout_ms));
    sockets->is_fresh = ready >= 0;
    for (uint32_t i = 0; i < fds_count; i++) {
        short seen = ready > 0 ? others[i].revents : 0;
        fds[i].revents = (seen & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? seen | POLLIN : seen;
    }
    if (ready > 0)
        hear_bell(sockets);
}

void http_sockets_wake(const struct http_sockets *sockets)
{
    const uint64_t one = 1;
    ssize_t bytes = write(sockets->bell, &one, sizeof one);
    (void)bytes; /* one that is full is as good */
}

/* ---- a turn -------------------------------------------------------------------------------------
 */

static void act(struct http_sockets *sockets, curl_socket_t fd, short seen)
{
    int running;
    int bits = ((seen & POLLIN) != 0 ? CURL_CSELECT_IN : 0) |
               ((seen & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
               ((seen & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? CURL_CSELECT_ERR : 0);
    CURLMcode code = curl_multi_socket_action(sockets->multi, fd, bits, &running);
    assert(code == CURLM_OK);
    (void)code;
}

void http_sockets_flush(struct http_sockets *sockets)
{
    if (clock_now_ns() < sockets->due_ns)
        return;
    sockets->due_ns = UINT64_MAX;
    act(sockets, CURL_SOCKET_TIMEOUT, 0);
}

void http_sockets_turn(struct http_sockets *sockets)
{
    if (!sockets->is_fresh)
        http_sockets_wait(sockets, NULL, 0, 0);
    /* Another may come to a place whose socket goes; one that comes to an earlier place is found by
     * the next poll. */
    for (uint32_t i = 1; sockets->is_fresh && i < sockets->count;) {
        struct pollfd *polled = &sockets->polled[i];
        short seen = polled->revents;
        polled->revents = 0;
        if (seen != 0)
            act(sockets, polled->fd, seen);
        else
            i++;
    }
    sockets->is_fresh = false;
    http_sockets_flush(sockets);
}
