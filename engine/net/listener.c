#include "engine/net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     4096
#define UNIX_PREFIX "unix:"

/* ---- addresses ----------------------------------------------------------------------------------
 */

void listener_print(const struct sockaddr_storage *address, char ret_text[TRANSPORT_ADDRESS_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(ret_text, TRANSPORT_ADDRESS_BYTES, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        snprintf(ret_text, TRANSPORT_ADDRESS_BYTES, "[%s]:%u", host, ntohs(in->sin6_port));
    } else {
        snprintf(ret_text, TRANSPORT_ADDRESS_BYTES, "unix");
    }
}

static bool parse_port(const char *text, in_port_t *ret_port)
{
    uint32_t port = 0;
    if (*text == '\0' || strlen(text) > 5)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (uint32_t)(*text - '0');
    }
    *ret_port = htons((uint16_t)port);
    return port <= UINT16_MAX;
}

static bool copy_host(char host[INET6_ADDRSTRLEN], const char *text, size_t bytes)
{
    if (bytes >= INET6_ADDRSTRLEN)
        return false;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    return true;
}

static bool parse_ipv6(const char *text, struct sockaddr_in6 *ret_address)
{
    char host[INET6_ADDRSTRLEN];
    const char *end = strstr(text, "]:");
    ret_address->sin6_family = AF_INET6;
    return end != NULL && copy_host(host, text + 1, (size_t)(end - text - 1)) &&
           inet_pton(AF_INET6, host, &ret_address->sin6_addr) == 1 &&
           parse_port(end + 2, &ret_address->sin6_port);
}

static bool parse_ipv4(const char *text, struct sockaddr_in *ret_address)
{
    char host[INET6_ADDRSTRLEN];
    const char *end = strrchr(text, ':');
    ret_address->sin_family = AF_INET;
    return end != NULL && copy_host(host, text, (size_t)(end - text)) &&
           inet_pton(AF_INET, host, &ret_address->sin_addr) == 1 &&
           parse_port(end + 1, &ret_address->sin_port);
}

/* ---- TCP ----------------------------------------------------------------------------------------
 */

static enum status bind_problem(const char *address, int error, struct problem *problem)
{
    switch (error) {
    case EADDRINUSE:
        return problem_set(problem, STATUS_IN_USE,
                           "%s is in use by another process: stop that one, or listen elsewhere",
                           address);
    case EACCES:
    case EPERM:
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "no permission to listen at %s: ports below 1024 need "
                           "CAP_NET_BIND_SERVICE, a unix socket a folder that can be written",
                           address);
    case EADDRNOTAVAIL:
        return problem_set(problem, STATUS_INVALID, "%s is no address of this machine", address);
    case EAFNOSUPPORT:
        return problem_set(problem, STATUS_UNSUPPORTED,
                           "%s: this machine has no such kind of address", address);
    case ENOENT:
    case ENOTDIR:
        return problem_set(problem, STATUS_INVALID, "%s: its folder does not exist", address);
    default:
        return problem_set(problem, STATUS_IO, "cannot listen at %s: %s", address, strerror(error));
    }
}

/* What is accepted inherits TCP_NODELAY: batches are made by the protocol, not by the kernel. */
static void set_options(int fd, int family)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
}

static enum status fail(struct listener *listener, const char *address, int error,
                        struct problem *problem)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
    return bind_problem(address, error, problem);
}

static enum status open_tcp(struct listener *listener, const char *text,
                            struct sockaddr_storage *address, socklen_t bytes,
                            struct problem *problem)
{
    listener->fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return fail(listener, text, errno, problem);
    set_options(listener->fd, address->ss_family);
    if (bind(listener->fd, (struct sockaddr *)address, bytes) != 0 ||
        listen(listener->fd, BACKLOG) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)address, &bytes) != 0)
        return fail(listener, text, errno, problem);
    listener_print(address, listener->address);
    return STATUS_OK;
}

/* ---- unix sockets -------------------------------------------------------------------------------
 */

static bool is_somebody_there(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return !refused;
}

/* A socket's file outlives the process that made it. */
static bool remove_stale(const struct sockaddr_un *address)
{
    struct stat file;
    return lstat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode) &&
           !is_somebody_there(address) && unlink(address->sun_path) == 0;
}

static int bind_unix(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    int error = errno;
    if (error != EADDRINUSE || !remove_stale(address))
        return error;
    return bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
}

static enum status open_unix(struct listener *listener, const char *text, struct problem *problem)
{
    const char *path = text + strlen(UNIX_PREFIX);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (*path == '\0' || strlen(path) >= sizeof address.sun_path)
        return problem_set(problem, STATUS_INVALID,
                           "%s: the path of a unix socket has 1 to %zu bytes", text,
                           sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    listener->is_unix = true;
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = listener->fd < 0 ? errno : bind_unix(listener->fd, &address);
    if (error != 0)
        return fail(listener, text, error, problem);
    struct stat file;
    if (listen(listener->fd, BACKLOG) != 0 || lstat(path, &file) != 0)
        return fail(listener, text, errno, problem);
    listener->device = file.st_dev;
    listener->inode = file.st_ino;
    snprintf(listener->address, sizeof listener->address, "%s", text);
    return STATUS_OK;
}

void listener_remove(struct listener *listener)
{
    struct stat file;
    const char *path = listener->address + strlen(UNIX_PREFIX);
    if (listener->is_unix && listener->inode != 0 && lstat(path, &file) == 0 &&
        file.st_dev == listener->device && file.st_ino == listener->inode)
        unlink(path);
    listener->inode = 0;
}

enum status listener_open(struct listener *listener, const char *address, struct problem *problem)
{
    *listener = (struct listener){.fd = -1};
    if (strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return open_unix(listener, address, problem);
    struct sockaddr_storage storage = {0};
    if (address[0] == '[' && parse_ipv6(address, (struct sockaddr_in6 *)&storage))
        return open_tcp(listener, address, &storage, sizeof(struct sockaddr_in6), problem);
    if (address[0] != '[' && parse_ipv4(address, (struct sockaddr_in *)&storage))
        return open_tcp(listener, address, &storage, sizeof(struct sockaddr_in), problem);
    return problem_set(problem, STATUS_INVALID,
                       "\"%s\" is no address to listen at: write 127.0.0.1:7233, [::1]:7233 or "
                       "unix:/run/flyover.sock",
                       address);
}
