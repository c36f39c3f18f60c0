#include "engine/main/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/admin/admin.h"
#include "engine/base/clock.h"
#include "engine/base/thread.h"
#include "engine/main/control_address.h"

#define BACKLOG         64
#define LINE_BYTES_MIN  4096u
#define REFUSAL_BUSY    "16 clients are connected, as many as are served: try again"
#define REFUSAL_STOPPED "the engine is stopping: try again when it has"
#define REFUSAL_FAILED                                                                             \
    "the engine stopped before this was durable: look at the saga before you ask again"

enum client_stage {
    CLIENT_FREE,
    CLIENT_READING, /* of its line */
    CLIENT_ASKING,  /* its request is with the engine */
    CLIENT_WRITING,
};

/* Its job is the engine's from ASKING on, until it is done. */
struct client {
    enum client_stage stage;
    int socket;
    char *line; /* capacity bytes; count of them are there */
    size_t count, capacity;
    char *reply;
    size_t reply_count, reply_sent;
    bool cut;          /* once the reply is written */
    uint64_t since_ns; /* that it has been idle, or slow */
    struct admin_job job;
    bool is_done; /* under the lock */
};

struct control {
    struct control_options options;
    int directory; /* of the socket; for a path that is too long */
    int listener;
    int news;                      /* eventfd: replies, or the end */
    char path[CONTROL_PATH_BYTES]; /* "": it has none yet */
    pthread_t thread;
    _Atomic uint32_t waiting_count; /* requests that are with the engine */
    bool is_stopping;               /* under the lock */
    pthread_mutex_t lock;
    /* Under the lock: the mailbox, clients by index. */
    uint32_t mail[CONTROL_CLIENTS_MAX];
    uint32_t mail_count;
    /* The engine's: what it has in work. */
    uint32_t work[CONTROL_CLIENTS_MAX];
    uint32_t work_count;
    struct client clients[CONTROL_CLIENTS_MAX];
};

/* ---- the engine's thread --------------------------------------------------------------------- */

static void take_mail(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    for (uint32_t i = 0; i < control->mail_count; i++)
        control->work[control->work_count++] = control->mail[i];
    control->mail_count = 0;
    pthread_mutex_unlock(&control->lock);
}

static void ring(const struct control *control)
{
    uint64_t one = 1;
    ssize_t written = write(control->news, &one, sizeof one);
    assert(written == sizeof one || errno == EAGAIN);
}

/* Next: on_reply, on control's thread. */
static void send_done(struct control *control, uint32_t index)
{
    atomic_fetch_sub_explicit(&control->waiting_count, 1, memory_order_relaxed);
    pthread_mutex_lock(&control->lock);
    control->clients[index].is_done = true;
    pthread_mutex_unlock(&control->lock);
    ring(control);
}

bool control_turn(struct control *control)
{
    bool worked = false;
    if (atomic_load_explicit(&control->waiting_count, memory_order_relaxed) == 0)
        return false;
    take_mail(control);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < control->work_count; i++) {
        uint32_t index = control->work[i];
        if (admin_turn(&control->clients[index].job, control->options.partition, &worked))
            send_done(control, index);
        else
            control->work[kept++] = index;
    }
    control->work_count = kept;
    return worked;
}

/* ---- control's thread: one client ------------------------------------------------------------ */

static void drop_client(struct client *client)
{
    /* A child that writes a checkpoint may have the socket too, for a moment. */
    shutdown(client->socket, SHUT_RDWR);
    close(client->socket);
    free(client->line);
    free(client->reply);
    *client = (struct client){.socket = -1};
}

/* Takes the reply. Next: write_reply. */
static void begin_reply(struct client *client, json_t *reply)
{
    char *text = reply == NULL ? NULL : json_dumps(reply, JSON_COMPACT);
    json_decref(reply);
    if (text == NULL) {
        drop_client(client);
        return;
    }
    client->reply = text;
    client->reply_count = strlen(text);
    client->reply[client->reply_count++] = '\n'; /* in the place of its zero */
    client->reply_sent = 0;
    client->stage = CLIENT_WRITING;
    client->since_ns = clock_now_ns();
}

static void refuse(struct client *client, enum status status, const char *text)
{
    struct problem problem;
    problem_set(&problem, status, "%s", text);
    client->cut = true;
    begin_reply(client, admin_refusal(&problem));
}

/* Next: control_turn, on the engine's thread. */
static void send_request(struct control *control, uint32_t index, json_t *request)
{
    struct client *client = &control->clients[index];
    admin_begin(&client->job, request);
    client->is_done = false;
    client->stage = CLIENT_ASKING;
    pthread_mutex_lock(&control->lock);
    bool is_stopping = control->is_stopping;
    if (!is_stopping)
        control->mail[control->mail_count++] = index;
    pthread_mutex_unlock(&control->lock);
    if (is_stopping) {
        json_decref(admin_end(&client->job));
        refuse(client, STATUS_IN_USE, REFUSAL_STOPPED);
        return;
    }
    atomic_fetch_add_explicit(&control->waiting_count, 1, memory_order_relaxed);
    partition_wake(control->options.partition);
}

/* The first line, if all of it is there. What is behind it stays. */
static void take_line(struct control *control, uint32_t index)
{
    struct client *client = &control->clients[index];
    char *end = memchr(client->line, '\n', client->count);
    if (end == NULL) {
        if (client->count >= CONTROL_LINE_BYTES_MAX)
            refuse(client, STATUS_TOO_LARGE, "a request has at most 1 MiB");
        return;
    }
    size_t bytes = (size_t)(end - client->line);
    json_error_t error;
    json_t *request = json_loadb(client->line, bytes, JSON_REJECT_DUPLICATES, &error);
    client->count -= bytes + 1;
    memmove(client->line, end + 1, client->count);
    if (json_is_object(request)) {
        send_request(control, index, request);
        return;
    }
    char text[JSON_ERROR_TEXT_LENGTH + 80];
    snprintf(text, sizeof text, "a request is one JSON object on one line: %s",
             request == NULL ? error.text : "this is another value");
    json_decref(request);
    refuse(client, STATUS_INVALID, text);
}

static bool make_room(struct client *client)
{
    if (client->count < client->capacity)
        return true;
    size_t capacity = client->capacity == 0 ? LINE_BYTES_MIN : client->capacity * 2;
    char *line = realloc(client->line, capacity);
    if (line == NULL)
        return false;
    client->line = line;
    client->capacity = capacity;
    return true;
}

static void read_line(struct control *control, uint32_t index)
{
    struct client *client = &control->clients[index];
    while (client->stage == CLIENT_READING) {
        if (!make_room(client)) {
            drop_client(client);
            return;
        }
        ssize_t count = recv(client->socket, client->line + client->count,
                             client->capacity - client->count, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0) {
            drop_client(client);
            return;
        }
        client->count += (size_t)count;
        take_line(control, index);
    }
}

/* Next: read_line, for the next request. */
static void write_reply(struct control *control, uint32_t index)
{
    struct client *client = &control->clients[index];
    while (client->reply_sent < client->reply_count) {
        ssize_t count = send(client->socket, client->reply + client->reply_sent,
                             client->reply_count - client->reply_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count < 0) {
            drop_client(client);
            return;
        }
        client->reply_sent += (size_t)count;
    }
    if (client->cut) {
        drop_client(client);
        return;
    }
    free(client->reply);
    client->reply = NULL;
    client->stage = CLIENT_READING;
    client->since_ns = clock_now_ns();
    /* It may have sent the next one already. */
    if (client->count > 0)
        take_line(control, index);
}

/* ---- control's thread: all of them ----------------------------------------------------------- */

static void on_client(struct control *control)
{
    int accepted = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0)
        return;
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        if (client->stage != CLIENT_FREE)
            continue;
        *client = (struct client){
            .stage = CLIENT_READING, .socket = accepted, .since_ns = clock_now_ns()};
        return;
    }
    struct client guest = {.socket = accepted};
    refuse(&guest, STATUS_BUSY, REFUSAL_BUSY);
    if (guest.reply != NULL) {
        /* A new socket has room for one line. */
        ssize_t sent = send(accepted, guest.reply, guest.reply_count, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent;
        drop_client(&guest);
    }
}

static void on_news(struct control *control)
{
    uint64_t count;
    ssize_t bytes = read(control->news, &count, sizeof count);
    (void)bytes;
}

/* Takes the replies that are there. Next: write_reply. */
static void on_reply(struct control *control)
{
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        pthread_mutex_lock(&control->lock);
        bool is_done = client->stage == CLIENT_ASKING && client->is_done;
        pthread_mutex_unlock(&control->lock);
        if (is_done)
            begin_reply(client, admin_end(&client->job));
    }
}

/* Cuts who was idle or slow for too long; returns in how many milliseconds the next one may be. */
static int cut_idle(struct control *control)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t idle_ns = (uint64_t)control->options.idle_ms * 1000000u;
    uint64_t next_ns = idle_ns;
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        if (client->stage != CLIENT_READING && client->stage != CLIENT_WRITING)
            continue;
        uint64_t idle = now_ns - client->since_ns;
        if (idle >= idle_ns)
            drop_client(client);
        else if (idle_ns - idle < next_ns)
            next_ns = idle_ns - idle;
    }
    return (int)(next_ns / 1000000u) + 1;
}

static uint32_t list_sockets(const struct control *control, struct pollfd *polled, uint32_t *whose)
{
    uint32_t count = 0;
    polled[count++] = (struct pollfd){.fd = control->news, .events = POLLIN};
    polled[count++] = (struct pollfd){.fd = control->listener, .events = POLLIN};
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct client *client = &control->clients[i];
        /* Of one that asks nothing is wanted, not even whether it has gone. */
        if (client->stage != CLIENT_READING && client->stage != CLIENT_WRITING)
            continue;
        short events = client->stage == CLIENT_READING ? POLLIN : POLLOUT;
        whose[count] = i;
        polled[count++] = (struct pollfd){.fd = client->socket, .events = events};
    }
    return count;
}

static bool is_stopping(struct control *control)
{
    pthread_mutex_lock(&control->lock);
    bool stopping = control->is_stopping;
    pthread_mutex_unlock(&control->lock);
    return stopping;
}

static void *run(void *context)
{
    struct control *control = context;
    struct pollfd polled[CONTROL_CLIENTS_MAX + 2];
    uint32_t whose[CONTROL_CLIENTS_MAX + 2];
    while (!is_stopping(control)) {
        int timeout_ms = cut_idle(control);
        uint32_t count = list_sockets(control, polled, whose);
        if (poll(polled, count, timeout_ms) <= 0)
            continue;
        if (polled[0].revents != 0)
            on_news(control);
        on_reply(control);
        for (uint32_t i = 2; i < count; i++) {
            if (polled[i].revents == 0)
                continue;
            if (control->clients[whose[i]].stage == CLIENT_READING)
                read_line(control, whose[i]);
            else if (control->clients[whose[i]].stage == CLIENT_WRITING)
                write_reply(control, whose[i]);
        }
        if (polled[1].revents != 0)
            on_client(control);
    }
    return NULL;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static enum status listen_at(struct control *control, struct problem *problem)
{
    struct sockaddr_un address;
    struct stat known;
    if (!control_address(control->options.directory, &control->directory, &address))
        return problem_set(problem, STATUS_IO, "the directory cannot be opened: %s",
                           strerror(errno));
    /* The caller has the engine's lock: whose it was does not run any more. */
    if (lstat(address.sun_path, &known) == 0 && S_ISSOCK(known.st_mode))
        unlink(address.sun_path);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Before it has a name, so that nobody else can ever connect. */
    if (control->listener < 0 || fchmod(control->listener, 0600) != 0 ||
        bind(control->listener, (const struct sockaddr *)&address, sizeof address) != 0)
        return problem_set(problem, STATUS_IO, "%s cannot be made: %s", CONTROL_SOCKET,
                           strerror(errno));
    snprintf(control->path, sizeof control->path, "%s", address.sun_path);
    control->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (control->news < 0 || listen(control->listener, BACKLOG) != 0)
        return problem_set(problem, STATUS_IO, "%s cannot be served: %s", CONTROL_SOCKET,
                           strerror(errno));
    return STATUS_OK;
}

static enum status start_thread(struct control *control, struct problem *problem)
{
    int error = thread_start(&control->thread, "fly-control", control->options.cpus, run, control);
    return error == 0 ? STATUS_OK
                      : problem_set(problem, STATUS_IO, "its thread cannot be started: %s",
                                    strerror(error));
}

static void free_control(struct control *control)
{
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (control->clients[i].stage != CLIENT_FREE)
            drop_client(&control->clients[i]);
    if (control->path[0] != '\0')
        unlink(control->path);
    if (control->listener >= 0)
        close(control->listener);
    if (control->news >= 0)
        close(control->news);
    if (control->directory >= 0)
        close(control->directory);
    pthread_mutex_destroy(&control->lock);
    free(control);
}

enum status control_open(const struct control_options *options, struct control **ret_control,
                         struct problem *problem)
{
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    control->options = *options;
    if (control->options.idle_ms == 0)
        control->options.idle_ms = CONTROL_IDLE_MS;
    control->directory = control->listener = control->news = -1;
    pthread_mutex_init(&control->lock, NULL);
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        control->clients[i].socket = -1;
    /* Jansson's tables are seeded once, before there are threads that would both do it. */
    json_object_seed(0);
    enum status status = listen_at(control, problem);
    if (status == STATUS_OK)
        status = start_thread(control, problem);
    if (status != STATUS_OK) {
        free_control(control);
        return status;
    }
    control->options.directory = NULL;
    *ret_control = control;
    return STATUS_OK;
}

/* What is done is answered, the rest is refused; as far as the clients take it at once. */
static void answer_rest(struct control *control)
{
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct client *client = &control->clients[i];
        if (client->stage == CLIENT_ASKING) {
            json_t *reply = admin_end(&client->job);
            if (client->is_done) {
                begin_reply(client, reply);
            } else {
                refuse(client, reply == NULL ? STATUS_IN_USE : STATUS_IO,
                       reply == NULL ? REFUSAL_STOPPED : REFUSAL_FAILED);
                json_decref(reply);
            }
        }
        client->cut = true;
        if (client->stage == CLIENT_WRITING)
            write_reply(control, i);
    }
}

void control_close(struct control *control)
{
    if (control == NULL)
        return;
    pthread_mutex_lock(&control->lock);
    control->is_stopping = true;
    pthread_mutex_unlock(&control->lock);
    ring(control);
    pthread_join(control->thread, NULL);
    /* The engine may have made durable what it had in work. What it has not begun is not begun now:
     * the mailbox stays as it is. */
    for (uint32_t i = 0; i < control->work_count; i++) {
        bool worked;
        struct client *client = &control->clients[control->work[i]];
        client->is_done = client->job.reply != NULL &&
                          admin_turn(&client->job, control->options.partition, &worked);
    }
    answer_rest(control);
    free_control(control);
}
