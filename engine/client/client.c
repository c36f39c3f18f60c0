#include "engine/client/client.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "engine/client/line.h"
#include "engine/client/next.h"

#define CONNECT_MS_DEFAULT 10000u
#define TEXT_BYTES_MAX     1024u /* a token, a name: HELLO has 4096 at most */

static _Thread_local char connect_problem[sizeof(((struct problem *)NULL)->text)];

int64_t client_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- statuses -----------------------------------------------------------------------------------
 */

const char *flyover_status_text(enum flyover_status status)
{
    switch (status) {
    case FLYOVER_OK: return "done";
    case FLYOVER_BUSY: return "no room now: ask again later";
    case FLYOVER_NOT_FOUND: return "not found";
    case FLYOVER_EXISTS: return "the name was used with another input";
    case FLYOVER_INVALID: return "the request cannot be right";
    case FLYOVER_TOO_LARGE: return "larger than the limit";
    case FLYOVER_UNSUPPORTED: return "not supported";
    case FLYOVER_NO_PERMISSION: return "no permission";
    case FLYOVER_STOPPING: return "the engine is stopping";
    case FLYOVER_FAILED: return "the engine failed at it: look before asking again";
    case FLYOVER_UNKNOWN: return "cut before the answer: it may be done or not";
    case FLYOVER_NOT_CONNECTED: return "nobody answers there";
    case FLYOVER_TIMEOUT: return "no answer in time";
    case FLYOVER_NO_MEMORY: return "out of memory";
    default: return "unknown status";
    }
}

enum flyover_status client_status_of(struct flyover_bytes name)
{
    static const struct {
        const char *name;
        enum flyover_status status;
    } known[] = {
        {"BUSY", FLYOVER_BUSY},           {"NOT_FOUND", FLYOVER_NOT_FOUND},
        {"EXISTS", FLYOVER_EXISTS},       {"INVALID", FLYOVER_INVALID},
        {"TOO_LARGE", FLYOVER_TOO_LARGE}, {"UNSUPPORTED", FLYOVER_UNSUPPORTED},
        {"IN_USE", FLYOVER_STOPPING},     {"NO_PERMISSION", FLYOVER_NO_PERMISSION},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name.count == strlen(known[i].name) && !memcmp(name.at, known[i].name, name.count))
            return known[i].status;
    return FLYOVER_FAILED;
}

enum flyover_status client_fail(struct flyover_client *client, enum flyover_status status,
                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->problem.text, sizeof client->problem.text, format, arguments);
    va_end(arguments);
    client->status = status;
    return status;
}

void client_begin(struct flyover_client *client)
{
    assert(client != NULL);
    if (client->lent != NULL) {
        free(client->lent);
        client->lent = NULL;
    }
}

/* ---- connecting ---------------------------------------------------------------------------------
 */

static bool put_hello(struct flyover_client *client)
{
    size_t token_bytes = client->token == NULL ? 0 : strlen(client->token);
    client->hello = malloc(WIRE_HEAD_BYTES_MAX + token_bytes + strlen(client->name));
    if (client->hello == NULL)
        return false;
    uint8_t *at = client->hello + WIRE_LENGTH_BYTES;
    at = wire_put_uint(wire_put_uint(wire_put_array(at, 3), WIRE_HELLO), WIRE_VERSION);
    at = wire_put_map(at, client->token == NULL ? 1 : 2);
    if (client->token != NULL)
        at = wire_put_string(wire_put_string(at, "token"), client->token);
    at = wire_put_string(wire_put_string(at, "name"), client->name);
    client->hello_bytes = (size_t)(at - client->hello);
    wire_put_length(client->hello, (uint32_t)(client->hello_bytes - WIRE_LENGTH_BYTES));
    return true;
}

static bool copy_options(struct flyover_client *client,
                         const struct flyover_client_options *options)
{
    const char *name = options->name == NULL ? program_invocation_short_name : options->name;
    client->address_text = strdup(options->address);
    client->name = strdup(name);
    client->token = options->token == NULL ? NULL : strdup(options->token);
    client->connect_ms = options->connect_ms == 0 ? CONNECT_MS_DEFAULT : options->connect_ms;
    return client->address_text != NULL && client->name != NULL &&
           (options->token == NULL || client->token != NULL) && put_hello(client);
}

static enum flyover_status check_options(struct flyover_client *client,
                                         const struct flyover_client_options *options)
{
    if (address_parse(options->address, &client->address, &client->problem) != STATUS_OK)
        return client->status = FLYOVER_INVALID;
    if ((options->token != NULL && strlen(options->token) > TEXT_BYTES_MAX) ||
        (options->name != NULL && strlen(options->name) > TEXT_BYTES_MAX))
        return client_fail(client, FLYOVER_TOO_LARGE, "a token and a name have at most %u bytes",
                           TEXT_BYTES_MAX);
    return FLYOVER_OK;
}

static void seed(struct flyover_client *client)
{
    if (getrandom(&client->random, sizeof client->random, GRND_NONBLOCK) != sizeof client->random)
        client->random = (uint64_t)client_now_ms() ^ (uint64_t)getpid() << 32;
    client->random |= 1; /* never 0, which a xorshift stays at */
}

static enum flyover_status prepare(struct flyover_client *client,
                                   const struct flyover_client_options *options)
{
    enum flyover_status status = check_options(client, options);
    if (status != FLYOVER_OK)
        return status;
    if (!copy_options(client, options))
        return client_fail(client, FLYOVER_NO_MEMORY, "no memory for a client");
    client->process = getpid();
    client->pause_ms = LINE_PAUSE_MS_MIN;
    seed(client);
    return FLYOVER_OK;
}

static enum flyover_status open_tls(struct flyover_client *client,
                                    const struct flyover_client_options *options)
{
    if (options->ca_file == NULL &&
        (options->certificate_file != NULL || options->key_file != NULL))
        return client_fail(client, FLYOVER_INVALID,
                           "a certificate is for TLS, which needs a ca_file: whom to believe");
    if (options->ca_file == NULL || client->address.is_unix)
        return FLYOVER_OK;
    struct tls_options tls = {.ca_file = options->ca_file,
                              .certificate_file = options->certificate_file,
                              .key_file = options->key_file,
                              .is_client = true};
    enum status status = tls_open(&tls, &client->pipe.tls, &client->problem);
    return status == STATUS_OK
               ? FLYOVER_OK
               : client_status_of((struct flyover_bytes){(const uint8_t *)status_name(status),
                                                         (uint32_t)strlen(status_name(status))});
}

static enum flyover_status connect_client(struct flyover_client *client)
{
    client->state = LINE_PAUSING;
    client->retry_at_ms = client_now_ms();
    client->give_up_at_ms = client->retry_at_ms + client->connect_ms;
    while (client->state != LINE_OPEN && client->state != LINE_LOST) {
        struct incoming incoming;
        struct incoming_texts texts;
        struct flyover_answer_message answer;
        enum incoming_kind kind = incoming_take(client, &incoming, &answer, &texts);
        if (kind != INCOMING_NOTHING)
            next_keep(client, kind, &incoming);
        else if (client->state != LINE_OPEN && client->state != LINE_LOST)
            (void)next_turn(client, INT64_MAX);
    }
    return client->state == LINE_OPEN ? FLYOVER_OK : client->lost_status;
}

static void release(struct flyover_client *client)
{
    pipe_fini(&client->pipe);
    address_list_close(client->places);
    output_fini(&client->output);
    input_fini(&client->input);
    table_fini(&client->table);
    invocations_fini(&client->invocations);
    kept_clear(&client->kept_answers);
    kept_clear(&client->kept_invocations);
    free(client->lent);
    free(client->hello);
    free(client->address_text);
    free(client->token);
    free(client->name);
    free(client);
}

static enum flyover_status fail_connect(enum flyover_status status, const char *sentence)
{
    snprintf(connect_problem, sizeof connect_problem, "%s", sentence);
    return status;
}

enum flyover_status flyover_connect(const struct flyover_client_options *options,
                                    struct flyover_client **ret_client)
{
    assert(options != NULL && ret_client != NULL);
    *ret_client = NULL;
    struct flyover_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return fail_connect(FLYOVER_NO_MEMORY, "no memory for a client");
    client->pipe.fd = -1;
    table_init(&client->table);
    enum flyover_status status = prepare(client, options);
    if (status == FLYOVER_OK)
        status = open_tls(client, options);
    if (status == FLYOVER_OK)
        status = connect_client(client);
    if (status != FLYOVER_OK) {
        fail_connect(status, client->problem.text);
        release(client);
        return status;
    }
    *ret_client = client;
    return FLYOVER_OK;
}

const char *flyover_connect_problem(void)
{
    return connect_problem;
}

void flyover_close(struct flyover_client *client)
{
    if (client == NULL)
        return;
    line_finish(client);
    release(client);
}

/* ---- looking at it ------------------------------------------------------------------------------
 */

const char *flyover_problem(const struct flyover_client *client)
{
    return client->problem.text;
}

uint32_t flyover_retry_after_ms(const struct flyover_client *client)
{
    return client->retry_after_ms;
}

uint32_t flyover_window(const struct flyover_client *client)
{
    return client->window;
}

const char *flyover_durability(const struct flyover_client *client)
{
    return client->durability;
}

bool flyover_is_lost(const struct flyover_client *client)
{
    return client->state == LINE_LOST;
}

int flyover_fd(const struct flyover_client *client)
{
    return client->pipe.fd;
}

bool flyover_wants_write(const struct flyover_client *client)
{
    return line_wants_write(client);
}

/* Something for the caller is here already. */
static bool has_more(const struct flyover_client *client)
{
    return client->kept_answers.first != NULL || client->kept_invocations.first != NULL ||
           client->is_reconnected || client->table.failed_first != TABLE_NONE ||
           input_has_more(&client->input) || client->pipe.may_have_more;
}

int32_t flyover_timeout_ms(const struct flyover_client *client)
{
    if (has_more(client))
        return 0;
    int64_t due_ms = line_due_ms(client);
    if (due_ms == INT64_MAX)
        return -1;
    int64_t left_ms = due_ms - client_now_ms();
    if (left_ms < 0)
        return 0;
    return left_ms > INT32_MAX ? INT32_MAX : (int32_t)left_ms;
}

enum flyover_status flyover_flush(struct flyover_client *client)
{
    line_write(client);
    return client->state == LINE_LOST ? client->lost_status : FLYOVER_OK;
}
