#include "bench/sqs_stub.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define IN_BYTES  (64u << 10)
#define OUT_BYTES (16u << 10)
#define BATCH     10u
#define NONE      UINT64_MAX

struct connection {
    int fd;
    uint32_t count, out_count;
    uint64_t due_ns; /* when `out` is to be sent; NONE: there is none */
    bool waits;      /* a receive that found nothing, until due_ns */
    uint32_t most;   /* it asked for */
    char in[IN_BYTES + 1], out[OUT_BYTES];
};

static struct connection connections[STUB_CONNECTIONS_MAX];
static char body_text[256], body_md5[2 * EVP_MAX_MD_SIZE + 1];

/* ---- answers ------------------------------------------------------------------------------------
 */

static void escape_body(void)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int bytes;
    char *at = body_text;
    for (const char *from = STUB_BODY; *from != '\0'; from++) {
        if (*from == '"')
            *at++ = '\\';
        *at++ = *from;
    }
    EVP_Digest(STUB_BODY, strlen(STUB_BODY), sum, &bytes, EVP_md5(), NULL);
    for (unsigned int i = 0; i < bytes; i++)
        snprintf(body_md5 + 2 * i, 3, "%02x", sum[i]);
}

static uint32_t take_stock(struct sqs_stub *stub, uint32_t most)
{
    uint64_t stock = atomic_load(&stub->stock);
    uint64_t taken;
    do
        taken = stock < most ? stock : most;
    while (!atomic_compare_exchange_weak(&stub->stock, &stock, stock - taken));
    return (uint32_t)taken;
}

/* At most OUT_BYTES by far: ten messages of about 400 bytes. */
static uint32_t put_messages(struct sqs_stub *stub, uint32_t count, char *text)
{
    static uint64_t number;
    char *at = text + sprintf(text, "{\"Messages\":[");
    for (uint32_t i = 0; i < count; i++) {
        number++;
        at += sprintf(at,
                      "%s{\"MessageId\":\"219f8380-5770-4cc2-8c3e-%012llx\",\"ReceiptHandle\":"
                      "\"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a%016llx\",\"MD5OfBody\":\"%s\","
                      "\"Body\":\"%s\",\"Attributes\":{\"SentTimestamp\":\"1545082649183\"}}",
                      i == 0 ? "" : ",", (unsigned long long)number, (unsigned long long)number,
                      body_md5, body_text);
    }
    atomic_fetch_add(&stub->received, count);
    return (uint32_t)(at + sprintf(at, "]}") - text);
}

static uint32_t put_entries(const char *request, _Atomic uint64_t *counter, bool with_id,
                            char *text)
{
    static uint64_t number;
    uint32_t count = 0;
    char *at = text + sprintf(text, "{\"Successful\":[");
    for (const char *id = request; (id = strstr(id, "\"Id\":\"")) != NULL && count < BATCH;
         count++) {
        id += strlen("\"Id\":\"");
        at += sprintf(at, "%s{\"Id\":\"%.*s\"", count == 0 ? "" : ",", (int)strcspn(id, "\""), id);
        if (with_id)
            at += sprintf(at, ",\"MessageId\":\"219f8380-5770-4cc2-8c3e-%012llx\"",
                          (unsigned long long)++number);
        *at++ = '}';
    }
    atomic_fetch_add(counter, count);
    return (uint32_t)(at + sprintf(at, "],\"Failed\":[]}") - text);
}

static uint32_t most_of(const char *request)
{
    const char *most = strstr(request, "\"MaxNumberOfMessages\":");
    return most == NULL ? 1 : (uint32_t)atoi(most + strlen("\"MaxNumberOfMessages\":"));
}

/* 0: a receive that has to wait. */
static uint32_t put_answer(struct sqs_stub *stub, struct connection *connection, const char *action,
                           const char *request, char *text)
{
    _Atomic uint64_t nowhere = 0;
    if (strncmp(action, "ReceiveMessage", 14) == 0) {
        connection->most = most_of(request);
        uint32_t count = take_stock(stub, connection->most);
        connection->waits = count == 0;
        return count == 0 ? 0 : put_messages(stub, count, text);
    }
    if (strncmp(action, "DeleteMessageBatch", 18) == 0)
        return put_entries(request, &stub->deleted, false, text);
    if (strncmp(action, "SendMessageBatch", 16) == 0)
        return put_entries(request, &stub->sent, true, text);
    if (strncmp(action, "GetQueueAttributes", 18) == 0)
        return (uint32_t)sprintf(text, "{\"Attributes\":{\"VisibilityTimeout\":\"30\","
                                       "\"MessageRetentionPeriod\":\"3600\"}}");
    return put_entries(request, &nowhere, false, text);
}

static void frame(struct connection *connection, const char *text, uint32_t bytes)
{
    int head = sprintf(connection->out,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
                       "Content-Length: %u\r\n\r\n",
                       bytes);
    memcpy(connection->out + head, text, bytes);
    connection->out_count = (uint32_t)head + bytes;
}

static void flush(struct connection *connection)
{
    if (send(connection->fd, connection->out, connection->out_count, MSG_NOSIGNAL) < 0)
        connection->out_count = 0; /* its other side is gone, and will be noticed */
    connection->due_ns = NONE;
    connection->waits = false;
}

static void answer(struct sqs_stub *stub, struct connection *connection, const char *action,
                   const char *request)
{
    char text[OUT_BYTES - 512];
    uint64_t delay_ns = UINT64_C(1000) * atomic_load(&stub->delay_us);
    uint32_t bytes = put_answer(stub, connection, action, request, text);
    atomic_fetch_add(&stub->requests, 1);
    if (bytes == 0) {
        frame(connection, "{}", 2);
        connection->due_ns = clock_now_ns() + STUB_WAIT_MS * UINT64_C(1000000);
        return;
    }
    frame(connection, text, bytes);
    connection->due_ns = clock_now_ns() + delay_ns;
    if (delay_ns == 0)
        flush(connection);
}

/* ---- requests -----------------------------------------------------------------------------------
 */

static const char *header_of(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at == NULL ? "" : at + strlen(name);
}

/* There is one request at a time on a connection. */
static void take_request(struct sqs_stub *stub, struct connection *connection)
{
    connection->in[connection->count] = '\0';
    char *end = strstr(connection->in, "\r\n\r\n");
    if (end == NULL)
        return;
    char *body = end + 4;
    *end = '\0';
    uint32_t body_bytes = (uint32_t)atoi(header_of(connection->in, "\r\nContent-Length: "));
    bool is_whole = (uint32_t)(body - connection->in) + body_bytes <= connection->count;
    if (is_whole) {
        connection->count = 0;
        answer(stub, connection, header_of(connection->in, "\r\nX-Amz-Target: AmazonSQS."), body);
    }
    *end = '\r';
}

static void on_readable(struct sqs_stub *stub, struct connection *connection)
{
    ssize_t got =
        recv(connection->fd, connection->in + connection->count, IN_BYTES - connection->count, 0);
    if (got <= 0) {
        close(connection->fd);
        *connection = (struct connection){.fd = -1, .due_ns = NONE};
        return;
    }
    connection->count += (uint32_t)got;
    take_request(stub, connection);
}

static void on_connection(int epoll, int listener)
{
    int one = 1, fd = accept(listener, NULL, NULL);
    struct connection *connection = connections;
    while (connection < connections + STUB_CONNECTIONS_MAX && connection->fd >= 0)
        connection++;
    if (fd < 0 || connection == connections + STUB_CONNECTIONS_MAX)
        abort();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Receives that wait for a message, and answers that wait for their time. */
static void look_at_waiting(struct sqs_stub *stub)
{
    uint64_t now_ns = clock_now_ns();
    char text[OUT_BYTES - 512];
    for (uint32_t i = 0; i < STUB_CONNECTIONS_MAX; i++) {
        struct connection *connection = &connections[i];
        uint32_t count = connection->waits ? take_stock(stub, connection->most) : 0;
        if (count > 0)
            frame(connection, text, put_messages(stub, count, text));
        if (count > 0 || connection->due_ns <= now_ns)
            flush(connection);
    }
}

static void run(struct sqs_stub *stub, int listener)
{
    struct epoll_event events[64];
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (uint32_t i = 0; i < STUB_CONNECTIONS_MAX; i++)
        connections[i] = (struct connection){.fd = -1, .due_ns = NONE};
    escape_body();
    for (uint64_t looked_ns = 0;;) {
        int count = epoll_wait(epoll, events, 64, 1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr == NULL)
                on_connection(epoll, listener);
            else
                on_readable(stub, events[i].data.ptr);
        if (clock_now_ns() - looked_ns < UINT64_C(500000))
            continue;
        look_at_waiting(stub);
        looked_ns = clock_now_ns();
    }
}

static int open_listener(uint16_t *ret_port)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof place;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) != 0 ||
        listen(listener, (int)STUB_CONNECTIONS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&place, &bytes) != 0)
        abort();
    *ret_port = ntohs(place.sin_port);
    return listener;
}

struct sqs_stub *sqs_stub_open(void)
{
    struct sqs_stub *stub =
        mmap(NULL, sizeof *stub, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stub == MAP_FAILED)
        abort();
    int listener = open_listener(&stub->port);
    pid_t pid = fork(); /* what is shared would be written by both */
    if (pid < 0)
        abort();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(stub, listener);
    }
    close(listener);
    stub->pid = pid;
    return stub;
}

void sqs_stub_close(struct sqs_stub *stub)
{
    kill(stub->pid, SIGKILL);
    waitpid(stub->pid, NULL, 0);
    munmap(stub, sizeof *stub);
}
