#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/edge_parts.h"
#include "engine/saga/utf8.h"
#include "engine/saga/value_json.h"

/* What modules say, as it crosses to the engine. */

/* ---- answers -----------------------------------------------------------------------------------
 */

static struct edge_answer *new_answer(uint32_t first_bytes, uint32_t second_bytes)
{
    struct edge_answer *answer = malloc(sizeof *answer + first_bytes + second_bytes);
    if (answer != NULL)
        *answer = (struct edge_answer){.first_bytes = first_bytes, .second_bytes = second_bytes};
    return answer;
}

/* What others say may be cut anywhere and hold anything; the journal keeps text. At most
 * `bytes_max`, whole characters. */
static uint32_t clean(const char *text, uint32_t bytes_max, char *ret_text)
{
    const uint8_t *at = (const uint8_t *)text;
    uint32_t used = 0;
    for (size_t left = strlen(text); left > 0;) {
        uint32_t bytes = utf8_character_bytes(at, left);
        uint32_t taken = bytes == 0 ? 1 : bytes;
        if (used + taken > bytes_max)
            break;
        if (bytes == 0)
            ret_text[used] = '?';
        else
            memcpy(ret_text + used, at, bytes);
        used += taken;
        at += taken;
        left -= taken;
    }
    return used;
}

struct edge_answer *edge_answer_failed(bool retryable, const char *error, const char *cause)
{
    char name[FLYOVER_ERROR_NAME_BYTES_MAX], sentence[FLYOVER_ERROR_CAUSE_BYTES_MAX];
    uint32_t name_bytes = clean(error, sizeof name, name);
    uint32_t sentence_bytes = clean(cause, sizeof sentence, sentence);
    struct edge_answer *answer = new_answer(name_bytes, sentence_bytes);
    if (answer == NULL)
        return NULL;
    answer->retryable = retryable;
    memcpy(answer->bytes, name, name_bytes);
    memcpy(answer->bytes + name_bytes, sentence, sentence_bytes);
    return answer;
}

static struct edge_answer *answer_too_large(void)
{
    return edge_answer_failed(false, "States.DataLimitExceeded",
                              "the output is larger than 262144 bytes");
}

struct edge_answer *edge_answer_value(struct flyover_bytes output)
{
    if (output.count > FLYOVER_PAYLOAD_BYTES_MAX)
        return answer_too_large();
    struct edge_answer *answer = new_answer(output.count, 0);
    if (answer == NULL)
        return NULL;
    answer->is_done = true;
    memcpy(answer->bytes, output.at, output.count);
    return answer;
}

struct edge_answer *edge_answer_done(const json_t *output, uint8_t *scratch)
{
    size_t bytes = 0;
    enum status status = STATUS_OK;
    if (output != NULL)
        status = value_from_json(output, scratch, FLYOVER_PAYLOAD_BYTES_MAX, &bytes);
    if (status == STATUS_TOO_LARGE)
        return answer_too_large();
    if (status != STATUS_OK)
        return edge_answer_failed(false, "Flyover.BadOutput",
                                  "the output is nested more than 32 deep");
    return edge_answer_value((struct flyover_bytes){scratch, (uint32_t)bytes});
}

/* ---- messages ----------------------------------------------------------------------------------
 */

static size_t bytes_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static const char *put(uint8_t **at, const char *text)
{
    if (text == NULL)
        return NULL;
    char *copy = (char *)*at;
    size_t bytes = strlen(text) + 1;
    memcpy(copy, text, bytes);
    *at += bytes;
    return copy;
}

static enum status check(const struct edge_message *message, struct problem *problem)
{
    assert(message->kind != EDGE_START || message->definition != NULL);
    assert(message->kind != EDGE_SIGNAL || message->name != NULL);
    assert(message->kind != EDGE_ANSWER || message->token != NULL);
    if (message->name != NULL && strlen(message->name) >= EDGE_NAME_BYTES)
        return problem_set(problem, STATUS_INVALID, "its name has %zu bytes; it may have %u",
                           strlen(message->name), EDGE_NAME_BYTES - 1);
    return STATUS_OK;
}

/* A failed answer has none. */
static enum status check_input(const struct edge_message *message, struct flyover_bytes *ret_input,
                               struct problem *problem)
{
    static const uint8_t nil = 0xc0;
    const char *reason;
    *ret_input = (struct flyover_bytes){&nil, 1};
    if (message->input.count == 0 || message->error != NULL)
        return STATUS_OK;
    if (message->input.count > FLYOVER_PAYLOAD_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE,
                           "its body is larger than a payload, %u bytes, may be",
                           FLYOVER_PAYLOAD_BYTES_MAX);
    if (!value_check(message->input, &reason))
        return problem_set(problem, STATUS_INVALID, "its body is no payload: %s", reason);
    *ret_input = message->input;
    return STATUS_OK;
}

enum status edge_letter_write(const struct edge_message *message, struct edge_letter **ret_letter,
                              struct problem *problem)
{
    struct flyover_bytes input = {0};
    char error[FLYOVER_ERROR_NAME_BYTES_MAX + 1] = "",
                                              cause[FLYOVER_ERROR_CAUSE_BYTES_MAX + 1] = "";
    enum status status = check(message, problem);
    if (status == STATUS_OK)
        status = check_input(message, &input, problem);
    if (status != STATUS_OK)
        return status;
    if (message->error != NULL)
        error[clean(message->error, sizeof error - 1, error)] = '\0';
    if (message->cause != NULL)
        cause[clean(message->cause, sizeof cause - 1, cause)] = '\0';
    struct edge_letter *letter =
        malloc(sizeof *letter + input.count + bytes_of(message->definition) +
               bytes_of(message->name) + bytes_of(message->token) + sizeof error + sizeof cause);
    if (letter == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    *letter = (struct edge_letter){.kind = message->kind,
                                   .handle = message->handle,
                                   .saga_id = message->saga_id,
                                   .input = {letter->bytes, input.count}};
    uint8_t *at = letter->bytes + input.count;
    memcpy(letter->bytes, input.at, input.count);
    letter->definition = put(&at, message->definition);
    letter->name = put(&at, message->name);
    letter->token = put(&at, message->token);
    letter->error = message->error == NULL ? NULL : put(&at, error);
    letter->cause = put(&at, cause);
    *ret_letter = letter;
    return STATUS_OK;
}
