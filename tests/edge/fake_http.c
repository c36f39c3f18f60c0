#include "tests/edge/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX (16u << 20)
#define HEADERS_BYTES_MAX (256u << 10)
#define WAIT_S            60

struct connection {
    struct fake_http *server;
    uint32_t number;
    pthread_t thread;
    int fd; /* -1: closed */
    SSL *ssl;
    char *bytes; /* what was read and not yet taken */
    size_t count, capacity;
};

struct scripted {
    struct scripted *next;
    struct fake_answer answer;
};

struct fake_http {
    struct fake_http_options options;
    SSL_CTX *tls;
    int fd;
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closing;
    struct connection *connections[FAKE_HTTP_CONNECTIONS_MAX];
    uint32_t connections_count;
    struct fake_request *requests[FAKE_HTTP_REQUESTS_MAX];
    uint32_t seen, released;
    struct scripted *first, **last;
};

/* ---- bytes --------------------------------------------------------------------------------------
 */

static bool read_more(struct connection *connection)
{
    if (connection->count + 65536 > connection->capacity) {
        connection->capacity = 2 * connection->capacity + 65536;
        connection->bytes = realloc(connection->bytes, connection->capacity + 1);
        if (connection->bytes == NULL)
            abort();
    }
    char *to = connection->bytes + connection->count;
    ssize_t got = connection->ssl != NULL ? SSL_read(connection->ssl, to, 65536)
                                          : recv(connection->fd, to, 65536, 0);
    if (got <= 0)
        return false;
    connection->count += (size_t)got;
    connection->bytes[connection->count] = '\0';
    return connection->count <= REQUEST_BYTES_MAX;
}

static bool write_bytes(struct connection *connection, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t put = connection->ssl != NULL ? SSL_write(connection->ssl, bytes, (int)count)
                                              : send(connection->fd, bytes, count, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        bytes += put;
        count -= (size_t)put;
    }
    return true;
}

static bool write_slowly(struct connection *connection, const char *bytes, size_t count)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (size_t i = 0; i < count; i++) {
        if (!write_bytes(connection, bytes + i, 1))
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool write_paced(struct connection *connection, const struct fake_answer *answer,
                        const char *bytes, size_t count)
{
    return answer->slow ? write_slowly(connection, bytes, count)
                        : write_bytes(connection, bytes, count);
}

/* ---- a request ----------------------------------------------------------------------------------
 */

const char *fake_http_header(const struct fake_request *request, const char *name)
{
    static _Thread_local char value[8192];
    size_t bytes = strlen(name);
    for (const char *line = request->headers; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strncasecmp(line, name, bytes) != 0 || line[bytes] != ':')
            continue;
        const char *at = line + bytes + 1;
        at += strspn(at, " ");
        size_t count = strcspn(at, "\r\n");
        snprintf(value, sizeof value, "%.*s", (int)count, at);
        return value;
    }
    return NULL;
}

static char *copy_bytes(const char *bytes, size_t count)
{
    char *copy = malloc(count + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, count);
    copy[count] = '\0';
    return copy;
}

static void free_request(struct fake_request *request)
{
    if (request == NULL)
        return;
    free(request->headers);
    free(request->body);
    free(request);
}

/* As servers do where somebody speaks TLS to them. */
static bool refuse_no_letter(struct connection *connection)
{
    static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    if (connection->bytes[0] >= 'A' && connection->bytes[0] <= 'Z')
        return false;
    write_bytes(connection, refusal, sizeof refusal - 1);
    return true;
}

static struct fake_request *read_head(struct connection *connection, size_t *ret_bytes)
{
    char *end;
    while (connection->count == 0 ||
           (end = memmem(connection->bytes, connection->count, "\r\n\r\n", 4)) == NULL)
        if (!read_more(connection) || refuse_no_letter(connection))
            return NULL;
    struct fake_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        abort();
    request->connection = connection->number;
    if (sscanf(connection->bytes, "%15[A-Z] %4095s", request->method, request->path) != 2) {
        free(request);
        return NULL;
    }
    const char *lines = strchr(connection->bytes, '\n') + 1;
    request->headers = copy_bytes(lines, (size_t)(end + 2 - lines));
    *ret_bytes = (size_t)(end + 4 - connection->bytes);
    return request;
}

static struct fake_request *read_request(struct connection *connection)
{
    size_t head;
    struct fake_request *request = read_head(connection, &head);
    if (request == NULL)
        return NULL;
    const char *length = fake_http_header(request, "Content-Length");
    request->body_bytes = length == NULL ? 0 : strtoul(length, NULL, 10);
    while (connection->count < head + request->body_bytes)
        if (!read_more(connection)) {
            free_request(request);
            return NULL;
        }
    request->body = copy_bytes(connection->bytes + head, request->body_bytes);
    head += request->body_bytes;
    memmove(connection->bytes, connection->bytes + head, connection->count - head);
    connection->count -= head;
    return request;
}

/* ---- an answer ----------------------------------------------------------------------------------
 */

static struct fake_answer take_scripted(struct fake_http *server)
{
    struct scripted *scripted = server->first;
    struct fake_answer answer = scripted->answer;
    server->first = scripted->next;
    if (server->first == NULL)
        server->last = &server->first;
    free(scripted);
    return answer;
}

static struct fake_answer copy_answer(struct fake_answer answer)
{
    if (answer.body_bytes == 0 && answer.owned != NULL)
        answer.body_bytes = strlen(answer.owned);
    if (answer.body_bytes == 0 && answer.body != NULL)
        answer.body_bytes = strlen(answer.body);
    if (answer.owned == NULL && answer.body != NULL)
        answer.owned = copy_bytes(answer.body, answer.body_bytes);
    answer.headers = answer.headers == NULL ? NULL : strdup(answer.headers);
    return answer;
}

static void free_answer(struct fake_answer *answer)
{
    free(answer->owned);
    free((char *)answer->headers);
}

/* Keeps the request, and finds its answer; owned. `ret_request` is only to be freed by the caller
 * if there is no room. */
static struct fake_answer find_answer(struct connection *connection, struct fake_request *request)
{
    struct fake_http *server = connection->server;
    struct fake_answer answer;
    pthread_mutex_lock(&server->lock);
    if (server->first != NULL)
        answer = take_scripted(server);
    else if (server->options.answer != NULL)
        answer = copy_answer(server->options.answer(server->options.context, request));
    else
        answer = copy_answer((struct fake_answer){.body = "{}"});
    if (server->seen < FAKE_HTTP_REQUESTS_MAX)
        server->requests[server->seen] = request;
    else
        free_request(request);
    server->seen++;
    pthread_cond_broadcast(&server->changed);
    while ((answer.held && server->released == 0 && !server->is_closing) ||
           (answer.fault == FAKE_SILENT && !server->is_closing))
        pthread_cond_wait(&server->changed, &server->lock);
    if (answer.held && server->released > 0)
        server->released--;
    pthread_mutex_unlock(&server->lock);
    return answer;
}

static bool has_no_body(const struct fake_answer *answer, bool is_head)
{
    return is_head || answer->status == 204 || answer->status == 304;
}

static bool send_head(struct connection *connection, const struct fake_answer *answer)
{
    char head[HEADERS_BYTES_MAX / 4];
    char length[64] = "Transfer-Encoding: chunked\r\n";
    if (answer->status == 204 || answer->status == 304)
        length[0] = '\0';
    else if (!answer->chunked && answer->fault != FAKE_ENDLESS_BODY)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", answer->body_bytes);
    int bytes = snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\n%s%s%s\r\n",
                         answer->status == 0 ? 200 : answer->status, length,
                         answer->headers == NULL ? "" : answer->headers,
                         answer->closes ? "Connection: close\r\n" : "");
    if (bytes < 0 || (size_t)bytes >= sizeof head)
        abort();
    if (answer->fault == FAKE_CLOSED_IN_HEADERS) {
        write_bytes(connection, head, (size_t)bytes / 2);
        return false;
    }
    return write_paced(connection, answer, head, (size_t)bytes);
}

static bool send_chunks(struct connection *connection, const struct fake_answer *answer)
{
    for (size_t i = 0; i < answer->body_bytes; i++) {
        char chunk[] = {'1', '\r', '\n', answer->owned[i], '\r', '\n'};
        if (!write_paced(connection, answer, chunk, sizeof chunk))
            return false;
    }
    return write_bytes(connection, "0\r\n\r\n", 5);
}

static bool send_endlessly(struct connection *connection, const char *bytes)
{
    while (write_bytes(connection, bytes, strlen(bytes)))
        ;
    return false;
}

static bool send_body(struct connection *connection, const struct fake_answer *answer)
{
    if (answer->fault == FAKE_ENDLESS_BODY)
        return send_endlessly(connection, "10\r\nthis never ends.\r\n");
    if (answer->fault == FAKE_CLOSED_IN_BODY) {
        write_bytes(connection, answer->owned, answer->body_bytes / 2);
        return false;
    }
    return answer->chunked ? send_chunks(connection, answer)
                           : write_paced(connection, answer, answer->owned, answer->body_bytes);
}

/* False: the connection is to be closed. */
static bool send_answer(struct connection *connection, const struct fake_answer *answer,
                        bool is_head)
{
    static const struct linger reset = {.l_onoff = 1};
    switch (answer->fault) {
    case FAKE_RESET_BEFORE:
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        return false;
    case FAKE_CLOSED_BEFORE:
    case FAKE_SILENT: return false;
    case FAKE_NO_HTTP: write_bytes(connection, "220 mail.example ESMTP\r\n", 24); return false;
    case FAKE_ENDLESS_HEADERS:
        return write_bytes(connection, "HTTP/1.1 200 OK\r\n", 17) &&
               send_endlessly(connection, "X-More: this never ends\r\n");
    case FAKE_WHOLE:
    case FAKE_CLOSED_IN_HEADERS:
    case FAKE_CLOSED_IN_BODY:
    case FAKE_ENDLESS_BODY: break;
    }
    return send_head(connection, answer) &&
           (has_no_body(answer, is_head) || send_body(connection, answer)) && !answer->closes;
}

/* ---- connections --------------------------------------------------------------------------------
 */

static bool start_tls(struct connection *connection)
{
    if (connection->server->tls == NULL)
        return true;
    connection->ssl = SSL_new(connection->server->tls);
    return connection->ssl != NULL && SSL_set_fd(connection->ssl, connection->fd) == 1 &&
           SSL_accept(connection->ssl) == 1;
}

static void end_connection(struct connection *connection)
{
    pthread_mutex_lock(&connection->server->lock);
    SSL_free(connection->ssl);
    close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&connection->server->lock);
    free(connection->bytes);
}

static void *serve(void *context)
{
    struct connection *connection = context;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    struct fake_request *request;
    bool goes_on = start_tls(connection);
    while (goes_on && (request = read_request(connection)) != NULL) {
        bool is_head = strcmp(request->method, "HEAD") == 0;
        struct fake_answer answer = find_answer(connection, request);
        goes_on = send_answer(connection, &answer, is_head);
        free_answer(&answer);
    }
    end_connection(connection);
    return NULL;
}

static bool add_connection(struct fake_http *server, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_mutex_lock(&server->lock);
    bool has_room = !server->is_closing && server->connections_count < FAKE_HTTP_CONNECTIONS_MAX;
    if (has_room) {
        struct connection *connection = calloc(1, sizeof *connection);
        *connection =
            (struct connection){.server = server, .number = server->connections_count, .fd = fd};
        server->connections[server->connections_count++] = connection;
        if (pthread_create(&connection->thread, NULL, serve, connection) != 0)
            abort();
        pthread_cond_broadcast(&server->changed);
    }
    pthread_mutex_unlock(&server->lock);
    return has_room;
}

static void *accept_all(void *context)
{
    struct fake_http *server = context;
    int fd;
    while ((fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        if (!add_connection(server, fd))
            close(fd);
    return NULL;
}

/* With the lock. */
static void shut_all(struct fake_http *server)
{
    for (uint32_t i = 0; i < server->connections_count; i++)
        if (server->connections[i]->fd >= 0)
            shutdown(server->connections[i]->fd, SHUT_RDWR);
}

void fake_http_hang_up(struct fake_http *server)
{
    pthread_mutex_lock(&server->lock);
    shut_all(server);
    pthread_mutex_unlock(&server->lock);
}

/* ---- the server ---------------------------------------------------------------------------------
 */

static int bind_loopback(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int fake_http_refusing_socket(uint16_t *ret_port)
{
    return bind_loopback(ret_port);
}

static void load_certificate(struct fake_http *server)
{
    if (server->options.certificate_file == NULL)
        return;
    server->tls = SSL_CTX_new(TLS_server_method());
    assert_non_null(server->tls);
    assert_int_equal(
        SSL_CTX_use_certificate_chain_file(server->tls, server->options.certificate_file), 1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(server->tls, server->options.key_file, SSL_FILETYPE_PEM), 1);
}

struct fake_http *fake_http_open(const struct fake_http_options *options)
{
    uint16_t port;
    struct fake_http *server = calloc(1, sizeof *server);
    assert_non_null(server);
    if (options != NULL)
        server->options = *options;
    server->last = &server->first;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    load_certificate(server);
    server->fd = bind_loopback(&port);
    assert_int_equal(listen(server->fd, 4096), 0);
    snprintf(server->url, sizeof server->url, "http%s://127.0.0.1:%u",
             server->tls == NULL ? "" : "s", port);
    assert_int_equal(pthread_create(&server->thread, NULL, accept_all, server), 0);
    return server;
}

static void free_all(struct fake_http *server)
{
    for (uint32_t i = 0; i < server->connections_count; i++)
        free(server->connections[i]);
    for (uint32_t i = 0; i < server->seen && i < FAKE_HTTP_REQUESTS_MAX; i++)
        free_request(server->requests[i]);
    while (server->first != NULL) {
        struct fake_answer answer = take_scripted(server);
        free_answer(&answer);
    }
    SSL_CTX_free(server->tls);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}

void fake_http_close(struct fake_http *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_closing = true;
    shut_all(server);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (uint32_t i = 0; i < server->connections_count; i++)
        pthread_join(server->connections[i]->thread, NULL);
    close(server->fd);
    free_all(server);
}

const char *fake_http_url(const struct fake_http *server)
{
    return server->url;
}

void fake_http_script(struct fake_http *server, const struct fake_answer *answer)
{
    struct scripted *scripted = calloc(1, sizeof *scripted);
    assert_non_null(scripted);
    scripted->answer = copy_answer(*answer);
    pthread_mutex_lock(&server->lock);
    *server->last = scripted;
    server->last = &scripted->next;
    pthread_mutex_unlock(&server->lock);
}

void fake_http_release(struct fake_http *server, uint32_t count)
{
    pthread_mutex_lock(&server->lock);
    server->released += count;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* ---- what it saw --------------------------------------------------------------------------------
 */

void fake_http_wait(struct fake_http *server, uint32_t count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int error = 0;
    pthread_mutex_lock(&server->lock);
    while (server->seen < count && error == 0)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    uint32_t seen = server->seen;
    pthread_mutex_unlock(&server->lock);
    if (seen < count)
        fail_msg("the server saw %u requests instead of %u", seen, count);
}

uint32_t fake_http_seen(struct fake_http *server)
{
    pthread_mutex_lock(&server->lock);
    uint32_t seen = server->seen;
    pthread_mutex_unlock(&server->lock);
    return seen;
}

uint32_t fake_http_connections(struct fake_http *server)
{
    pthread_mutex_lock(&server->lock);
    uint32_t count = server->connections_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

const struct fake_request *fake_http_request(struct fake_http *server, uint32_t index)
{
    pthread_mutex_lock(&server->lock);
    const struct fake_request *request =
        index < server->seen && index < FAKE_HTTP_REQUESTS_MAX ? server->requests[index] : NULL;
    pthread_mutex_unlock(&server->lock);
    if (request == NULL)
        fail_msg("the server has not seen request %u", index);
    return request;
}
