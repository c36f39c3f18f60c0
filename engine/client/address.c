#include "engine/client/address.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct address_list {
    struct addrinfo *found; /* NULL: a unix socket */
    struct addrinfo *next;
    struct sockaddr_un local;
};

static enum status refuse(struct problem *problem, const char *text)
{
    return problem_set(problem, STATUS_INVALID,
                       "\"%s\" is no address: it is HOST:PORT, [IPV6]:PORT or unix:PATH", text);
}

static bool copy(char *to, size_t capacity, const char *from, size_t count)
{
    if (count == 0 || count >= capacity)
        return false;
    memcpy(to, from, count);
    to[count] = '\0';
    return true;
}

static enum status parse_path(const char *text, struct address *address, struct problem *problem)
{
    const char *path = text + strlen("unix:");
    if (!copy(address->path, sizeof address->path, path, strlen(path)))
        return problem_set(problem, STATUS_INVALID,
                           "\"%s\": the path of a unix socket has 1 to %u bytes", text,
                           ADDRESS_PATH_BYTES - 1);
    address->is_unix = true;
    return STATUS_OK;
}

enum status address_parse(const char *text, struct address *ret_address, struct problem *problem)
{
    struct address address = {0};
    if (text == NULL)
        return problem_set(problem, STATUS_INVALID, "an address is wanted, such as 127.0.0.1:7233");
    if (strncmp(text, "unix:", strlen("unix:")) == 0) {
        enum status status = parse_path(text, &address, problem);
        if (status == STATUS_OK)
            *ret_address = address;
        return status;
    }
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return refuse(problem, text);
    const char *host = text;
    size_t host_bytes = (size_t)(colon - text);
    if (host_bytes >= 2 && host[0] == '[' && host[host_bytes - 1] == ']') {
        host++;
        host_bytes -= 2;
    } else if (memchr(host, ':', host_bytes) != NULL) {
        return refuse(problem, text);
    }
    if (!copy(address.host, sizeof address.host, host, host_bytes) ||
        !copy(address.port, sizeof address.port, colon + 1, strlen(colon + 1)))
        return refuse(problem, text);
    *ret_address = address;
    return STATUS_OK;
}

static enum status resolve_host(const struct address *address, struct address_list *list,
                                struct problem *problem)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int error = getaddrinfo(address->host, address->port, &hints, &list->found);
    if (error != 0)
        return problem_set(problem, STATUS_NOT_FOUND, "%s:%s cannot be looked up: %s",
                           address->host, address->port,
                           error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    list->next = list->found;
    return STATUS_OK;
}

enum status address_resolve(const struct address *address, struct address_list **ret_list,
                            struct problem *problem)
{
    struct address_list *list = calloc(1, sizeof *list);
    if (list == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    if (address->is_unix) {
        list->local.sun_family = AF_UNIX;
        memcpy(list->local.sun_path, address->path, sizeof address->path);
    } else {
        enum status status = resolve_host(address, list, problem);
        if (status != STATUS_OK) {
            free(list);
            return status;
        }
    }
    *ret_list = list;
    return STATUS_OK;
}

void address_list_close(struct address_list *list)
{
    if (list == NULL)
        return;
    if (list->found != NULL)
        freeaddrinfo(list->found);
    free(list);
}

static int connect_to(int family, const struct sockaddr *place, socklen_t bytes)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    if (family != AF_UNIX) /* small batches must not wait for an acknowledgement */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* An interrupted connect goes on in the background, like one that does not block. */
    if (connect(fd, place, bytes) == 0 || errno == EINPROGRESS || errno == EINTR)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int address_connect(struct address_list *list, bool *ret_is_last)
{
    if (list->found == NULL) {
        *ret_is_last = true;
        return connect_to(AF_UNIX, (const struct sockaddr *)&list->local, sizeof list->local);
    }
    struct addrinfo *place = list->next;
    assert(place != NULL);
    list->next = place->ai_next;
    *ret_is_last = list->next == NULL;
    return connect_to(place->ai_family, place->ai_addr, place->ai_addrlen);
}
