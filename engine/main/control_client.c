#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/main/control.h"
#include "engine/main/control_address.h"

/* An engine answers what changes something when it is durable, which a full disk can put off. */
#define ANSWER_MS_MAX   60000
#define REPLY_BYTES_MAX (64u << 20)

bool control_address(const char *directory, int *ret_directory, struct sockaddr_un *ret_address)
{
    *ret_directory = -1;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t room = sizeof ret_address->sun_path;
    if ((size_t)snprintf(ret_address->sun_path, room, "%s/%s", directory, CONTROL_SOCKET) < room)
        return true;
    int opened = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        return false;
    snprintf(ret_address->sun_path, room, "/proc/self/fd/%d/%s", opened, CONTROL_SOCKET);
    *ret_directory = opened;
    return true;
}

int control_connect(const char *directory)
{
    struct sockaddr_un address;
    int opened;
    if (!control_address(directory, &opened, &address))
        return -1;
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client >= 0 && connect(client, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(client);
        client = -1;
        errno = error;
    }
    if (opened >= 0)
        close(opened);
    return client;
}

/* An engine that refuses without reading closes its end: what it said is read all the same. */
static void send_line(int client, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t count = send(client, text, bytes, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return;
        text += count;
        bytes -= (size_t)count;
    }
}

static enum status read_line(int client, char **ret_text, struct problem *problem)
{
    char *text = NULL;
    size_t used = 0, capacity = 0;
    for (;;) {
        if (used == capacity) {
            capacity = capacity == 0 ? 65536 : capacity * 2;
            char *more = capacity > REPLY_BYTES_MAX ? NULL : realloc(text, capacity);
            if (more == NULL) {
                free(text);
                return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
            }
            text = more;
        }
        struct pollfd polled = {.fd = client, .events = POLLIN};
        int ready = poll(&polled, 1, ANSWER_MS_MAX);
        if (ready < 0 && errno == EINTR)
            continue;
        ssize_t count = ready <= 0 ? 0 : recv(client, text + used, capacity - used, 0);
        if (count > 0) {
            used += (size_t)count;
            if (text[used - 1] != '\n')
                continue;
            text[used - 1] = '\0';
            *ret_text = text;
            return STATUS_OK;
        }
        free(text);
        return problem_set(problem, STATUS_IO,
                           ready == 0 ? "the engine does not answer: look whether it still runs"
                                      : "the engine went away before it answered: look at the saga "
                                        "before you ask again");
    }
}

enum status control_ask(const char *directory, const json_t *request, json_t **ret_reply,
                        struct problem *problem)
{
    int client = control_connect(directory);
    if (client < 0 && (errno == EACCES || errno == EPERM))
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "%s/%s belongs to another user: become that user", directory,
                           CONTROL_SOCKET);
    if (client < 0)
        return problem_set(problem, STATUS_NOT_FOUND, "no engine runs on %s", directory);
    char *line = json_dumps(request, JSON_COMPACT);
    char *text = NULL;
    enum status status = STATUS_NO_MEMORY;
    if (line != NULL) {
        size_t bytes = strlen(line);
        line[bytes] = '\n';
        send_line(client, line, bytes + 1);
        status = read_line(client, &text, problem);
    }
    free(line);
    close(client);
    json_t *reply = status == STATUS_OK ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    free(text);
    if (status == STATUS_OK && !json_is_object(reply)) {
        json_decref(reply);
        return problem_set(problem, STATUS_IO, "what the engine answered cannot be read");
    }
    if (status == STATUS_OK)
        *ret_reply = reply;
    return status;
}
