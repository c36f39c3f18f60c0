#include "engine/main/reach_remote.h"

#include <stdlib.h>
#include <string.h>

#include "engine/admin/timeline.h"
#include "engine/saga/value_json.h"

#define CONNECT_MS         10000u
#define QUESTION_BYTES_MAX (FLYOVER_PAYLOAD_BYTES_MAX + 4096u)
#define QUESTION_DEPTH_MAX (FLYOVER_DEPTH_MAX + 4u)

/* ---- options --------------------------------------------------------------------------------- */

enum { KEY_CONNECT = 6000, KEY_TOKEN, KEY_CA };

static const struct argp_option options_list[] = {
    {"connect", KEY_CONNECT, "ADDRESS", 0,
     "Reach an engine that serves there: HOST:PORT, [HOST]:PORT or unix:PATH", 1},
    {"token", KEY_TOKEN, "TOKEN", 0,
     "With --connect: who asks; better by the variable FLYOVER_TOKEN, which others do not see", 1},
    {"ca", KEY_CA, "FILE", 0, "With --connect: by TLS, and whose certificates to believe, PEM", 1},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct reach *reach = state->input;
    switch (key) {
    case KEY_CONNECT: reach->address = text; return 0;
    case KEY_TOKEN: reach->token = text; return 0;
    case KEY_CA: reach->ca_file = text; return 0;
    case ARGP_KEY_END:
        if (reach->address == NULL && (reach->token != NULL || reach->ca_file != NULL))
            argp_error(state, "--token and --ca go with --connect");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp reach_argp = {options_list, parse_option, NULL, NULL, NULL, NULL, NULL};
const struct argp_child reach_argp_child[] = {{&reach_argp, 0, "Elsewhere:", 3}, {0}};

/* ---- connecting ------------------------------------------------------------------------------ */

enum status reach_status(enum flyover_status status)
{
    switch (status) {
    case FLYOVER_OK: return STATUS_OK;
    case FLYOVER_BUSY: return STATUS_BUSY;
    case FLYOVER_NOT_FOUND: return STATUS_NOT_FOUND;
    case FLYOVER_EXISTS: return STATUS_EXISTS;
    case FLYOVER_INVALID: return STATUS_INVALID;
    case FLYOVER_TOO_LARGE: return STATUS_TOO_LARGE;
    case FLYOVER_UNSUPPORTED: return STATUS_UNSUPPORTED;
    case FLYOVER_NO_PERMISSION: return STATUS_NO_PERMISSION;
    case FLYOVER_NO_MEMORY: return STATUS_NO_MEMORY;
    case FLYOVER_STOPPING:
    case FLYOVER_FAILED:
    case FLYOVER_UNKNOWN:
    case FLYOVER_NOT_CONNECTED:
    case FLYOVER_TIMEOUT: return STATUS_IO;
    }
    return STATUS_IO;
}

enum status reach_connect(struct reach *reach, struct problem *problem)
{
    if (reach->client != NULL)
        return STATUS_OK;
    const struct flyover_client_options options = {
        .address = reach->address,
        .token = reach->token != NULL ? reach->token : getenv("FLYOVER_TOKEN"),
        .name = "flyover",
        .ca_file = reach->ca_file,
        .connect_ms = CONNECT_MS,
    };
    enum flyover_status status = flyover_connect(&options, &reach->client);
    return status == FLYOVER_OK
               ? STATUS_OK
               : problem_set(problem, reach_status(status), "%s", flyover_connect_problem());
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* What was asked was looked at, and refused: no word about the way to the engine. */
static bool is_refusal(enum flyover_status status)
{
    return status == FLYOVER_BUSY || status == FLYOVER_NOT_FOUND || status == FLYOVER_EXISTS ||
           status == FLYOVER_INVALID || status == FLYOVER_TOO_LARGE ||
           status == FLYOVER_UNSUPPORTED;
}

static enum status send_question(struct reach *reach, const uint8_t *question, size_t bytes,
                                 json_t **ret_reply, bool *ret_refused, struct problem *problem)
{
    struct flyover_answer_message answer;
    enum flyover_status asked = flyover_ask(reach->client, question, bytes, &answer);
    if (asked != FLYOVER_OK) {
        *ret_refused = is_refusal(asked);
        return problem_set(problem, reach_status(asked), "%s", flyover_problem(reach->client));
    }
    json_t *reply = timeline_payload_to_json(
        (struct flyover_bytes){answer.output, (uint32_t)answer.output_bytes});
    if (!json_is_object(reply)) {
        json_decref(reply);
        return problem_set(problem, STATUS_IO, "what the engine answered cannot be read");
    }
    *ret_reply = reply;
    return STATUS_OK;
}

enum status reach_ask_remote(struct reach *reach, json_t *request, json_t **ret_reply,
                             bool *ret_refused, struct problem *problem)
{
    *ret_refused = false;
    enum status status = reach_connect(reach, problem);
    if (status != STATUS_OK)
        return status;
    uint8_t *question = malloc(QUESTION_BYTES_MAX);
    if (question == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    size_t bytes;
    status =
        value_from_deep_json(request, QUESTION_DEPTH_MAX, question, QUESTION_BYTES_MAX, &bytes);
    if (status != STATUS_OK) {
        *ret_refused = true;
        problem_set(problem, status, "the question is larger than %u bytes or more than %u deep",
                    QUESTION_BYTES_MAX, QUESTION_DEPTH_MAX);
    } else {
        status = send_question(reach, question, bytes, ret_reply, ret_refused, problem);
    }
    free(question);
    return status;
}
