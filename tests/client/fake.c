#include "tests/client/fake.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/client/fake_parts.h"

/* ---- the socket ---------------------------------------------------------------------------------
 */

static void listen_tcp(struct fake *fake)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof place;
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fake->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fake->listener, (struct sockaddr *)&place, sizeof place) != 0 ||
        getsockname(fake->listener, (struct sockaddr *)&place, &bytes) != 0)
        abort();
    snprintf(fake->address, sizeof fake->address, "127.0.0.1:%u", ntohs(place.sin_port));
}

static void listen_unix(struct fake *fake)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    strcpy(fake->directory, "/tmp/flyover-fake-XXXXXX");
    if (mkdtemp(fake->directory) == NULL)
        abort();
    snprintf(place.sun_path, sizeof place.sun_path, "%s/socket", fake->directory);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fake->listener, (struct sockaddr *)&place, sizeof place) != 0)
        abort();
    snprintf(fake->address, sizeof fake->address, "unix:%s", place.sun_path);
}

/* ---- one connection -----------------------------------------------------------------------------
 */

static bool wait_for(struct fake *fake, int fd, short events)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = fake->wake, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    if (fds[1].revents != 0) {
        uint64_t count;
        (void)!read(fake->wake, &count, sizeof count);
    }
    return fds[0].revents != 0;
}

/* ---- TLS ----------------------------------------------------------------------------------------
 */

static bool send_sealed(struct fake_connection *connection)
{
    uint8_t sealed[4096];
    size_t count;
    while ((count = tls_session_output(connection->session, sealed, sizeof sealed)) > 0)
        if (send(connection->fd, sealed, count, MSG_NOSIGNAL) != (ssize_t)count)
            return false;
    return true;
}

static ssize_t read_sealed(struct fake_connection *connection, uint8_t *bytes, size_t capacity)
{
    uint8_t sealed[4096];
    ssize_t count = recv(connection->fd, sealed, sizeof sealed, 0);
    if (count <= 0)
        return -1;
    struct problem problem;
    bool is_good =
        tls_session_input(connection->session, sealed, (size_t)count, &problem) == STATUS_OK;
    if (!send_sealed(connection) || !is_good)
        return -1;
    return (ssize_t)tls_session_read(connection->session, bytes, capacity);
}

static ssize_t write_some(struct fake_connection *connection, const uint8_t *bytes, size_t count)
{
    if (connection->session == NULL)
        return send(connection->fd, bytes, count, MSG_NOSIGNAL);
    if (tls_session_write(connection->session, bytes, count) != STATUS_OK ||
        !send_sealed(connection))
        return -1;
    return (ssize_t)count;
}

/* ---- bytes --------------------------------------------------------------------------------------
 */

/* How many bytes of `count` may still go before the cut. */
static size_t until_cut(uint64_t cut_after, uint64_t so_far, size_t count)
{
    if (cut_after == 0 || so_far + count <= cut_after)
        return count;
    return (size_t)(cut_after - so_far);
}

/* False: cut. */
static bool send_all(struct fake_connection *connection)
{
    struct fake *fake = connection->fake;
    uint64_t cut_after = fake->options.cut_after_sent[connection->no];
    size_t at = 0;
    uint64_t wrong = fake->options.wrong_at - connection->sent;
    if (connection->no == 0 && wrong < connection->out_count)
        connection->out[wrong] ^= fake->options.wrong_bits;
    while (at < connection->out_count) {
        size_t count = until_cut(cut_after, connection->sent, connection->out_count - at);
        if (count == 0)
            return false;
        if (fake->options.is_byte_by_byte)
            count = 1;
        ssize_t sent = write_some(connection, connection->out + at, count);
        if (sent <= 0)
            return false;
        connection->sent += (uint64_t)sent;
        at += (size_t)sent;
    }
    connection->out_count = 0;
    return cut_after == 0 || connection->sent < cut_after;
}

/* What is in the open frame becomes one. */
static bool flush(struct fake_connection *connection)
{
    if (connection->body_count == 0)
        return true;
    wire_put_length(connection->out, (uint32_t)connection->body_count);
    connection->out_count = WIRE_LENGTH_BYTES + connection->body_count;
    connection->body_count = 0;
    return send_all(connection);
}

static bool read_some(struct fake_connection *connection)
{
    uint64_t cut_after = connection->fake->options.cut_after_read[connection->no];
    size_t room = sizeof connection->in - connection->in_count;
    size_t count = until_cut(cut_after, connection->read, room);
    if (count == 0)
        return false;
    uint8_t *to = connection->in + connection->in_count;
    bool is_plain = connection->session == NULL;
    ssize_t got =
        is_plain ? recv(connection->fd, to, count, 0) : read_sealed(connection, to, count);
    if (got < 0 || (got == 0 && is_plain))
        return false;
    connection->read += (uint64_t)got;
    connection->in_count += (size_t)got;
    return true;
}

static bool on_frames(struct fake_connection *connection)
{
    struct flyover_bytes body;
    size_t at = 0;
    enum wire_find framed;
    while ((framed = wire_find_frame(connection->in + at, connection->in_count - at, &body)) ==
           WIRE_FOUND) {
        const uint8_t *next = body.at;
        struct wire_message message;
        enum wire_find found;
        while ((found = wire_find_message(&next, body.at + body.count, &message)) == WIRE_FOUND)
            if (!fake_on_message(connection, &message))
                return flush(connection) && false;
        if (found != WIRE_NO_MORE)
            abort(); /* the library says no nonsense */
        at += WIRE_LENGTH_BYTES + body.count;
    }
    if (framed == WIRE_TOO_LONG && connection->fake->options.is_any)
        return false;
    assert(framed == WIRE_PART);
    memmove(connection->in, connection->in + at, connection->in_count - at);
    connection->in_count -= at;
    return flush(connection);
}

static bool turn(struct fake_connection *connection)
{
    struct fake *fake = connection->fake;
    bool is_readable = wait_for(fake, connection->fd, connection->is_deaf ? POLLRDHUP : POLLIN);
    pthread_mutex_lock(&fake->lock);
    bool goes_on = !fake->is_stopping && !fake->is_cut;
    if (goes_on && fake->is_let_go)
        goes_on = fake_answer_muted(connection) && flush(connection);
    if (connection->is_deaf)
        goes_on = goes_on && !is_readable; /* that is: the other side has gone */
    else if (goes_on && is_readable)
        goes_on = read_some(connection) && on_frames(connection);
    fake->counts.read = connection->read;
    fake->counts.sent = connection->sent;
    pthread_mutex_unlock(&fake->lock);
    return goes_on;
}

static void serve(struct fake *fake, int fd)
{
    struct fake_connection *connection = calloc(1, sizeof *connection);
    connection->fake = fake;
    connection->fd = fd;
    pthread_mutex_lock(&fake->lock);
    connection->no = fake->counts.connections++ % FAKE_CONNECTIONS_MAX;
    fake->is_cut = false;
    pthread_mutex_unlock(&fake->lock);
    if (fake->options.tls != NULL &&
        tls_session_open(fake->options.tls, NULL, &connection->session) != STATUS_OK)
        abort();
    while (turn(connection))
        ;
    pthread_mutex_lock(&fake->lock);
    tls_session_close(connection->session);
    close(fd);
    fake->counts.closed++;
    fake->muted_count = 0;
    fake->is_cut = false;
    pthread_mutex_unlock(&fake->lock);
    free(connection);
}

/* ---- the thread ---------------------------------------------------------------------------------
 */

static bool may_accept(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    while (fake->is_gap && !fake->is_stopping)
        pthread_cond_wait(&fake->changed, &fake->lock);
    if (fake->is_away && fake->listener >= 0) {
        close(fake->listener);
        fake->listener = -1;
    }
    bool may = !fake->is_stopping && !fake->is_away;
    pthread_mutex_unlock(&fake->lock);
    return may;
}

static void *run(void *context)
{
    struct fake *fake = context;
    sigset_t all; /* signals are for the test's thread */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (may_accept(fake)) {
        if (!wait_for(fake, fake->listener, POLLIN))
            continue;
        int fd = accept(fake->listener, NULL, NULL);
        int on = 1;
        if (fake->options.is_tcp)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (fd >= 0)
            serve(fake, fd);
    }
    return NULL;
}

struct fake *fake_open(const struct fake_options *options)
{
    struct fake *fake = calloc(1, sizeof *fake);
    fake->options = *options;
    fake->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    if (options->is_tcp)
        listen_tcp(fake);
    else
        listen_unix(fake);
    if (listen(fake->listener, 16) != 0 || pthread_create(&fake->thread, NULL, run, fake) != 0)
        abort();
    return fake;
}

static void tell(struct fake *fake, bool *flag)
{
    pthread_mutex_lock(&fake->lock);
    *flag = true;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
    uint64_t one = 1;
    (void)!write(fake->wake, &one, sizeof one);
}

void fake_close(struct fake *fake)
{
    tell(fake, &fake->is_stopping);
    pthread_join(fake->thread, NULL);
    if (fake->listener >= 0)
        close(fake->listener);
    close(fake->wake);
    if (!fake->options.is_tcp) {
        unlink(fake->address + strlen("unix:"));
        rmdir(fake->directory);
    }
    free(fake->names);
    free(fake);
}

const char *fake_address(const struct fake *fake)
{
    return fake->address;
}

struct fake_counts fake_counts(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    struct fake_counts counts = fake->counts;
    pthread_mutex_unlock(&fake->lock);
    return counts;
}

void fake_let_go(struct fake *fake)
{
    tell(fake, &fake->is_let_go);
}

void fake_cut(struct fake *fake)
{
    tell(fake, &fake->is_cut);
}

void fake_go_away(struct fake *fake)
{
    tell(fake, &fake->is_away);
    fake_cut(fake);
}

void fake_accept(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    fake->is_gap = false;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}
