/*
 * fault: what an answer of AWS's that is no success says: the error's name, what it means for the
 * one who asked, and a sentence that says what to change.
 *
 *     JSON:  x-amzn-ErrorType, or "__type" or "code" of the body; x-amzn-query-error
 *     Query: <ErrorResponse><Error><Code>…</Code><Message>…
 *
 * Names come without prefix: "com.amazonaws.sqs#QueueDoesNotExist" is "QueueDoesNotExist". An
 * answer that has none, of a proxy maybe, is "Http503".
 *
 * Threads: pure functions. Memory: the caller's; a document's while it is read.
 * Source:  "Retry behavior", AWS SDKs and Tools Reference Guide; the lists of names in botocore's
 *          and smithy's own retry handlers.
 */
#ifndef ENGINE_EDGE_FAULT_H
#define ENGINE_EDGE_FAULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/edge/http.h"

#define FAULT_NAME_BYTES    128u
#define FAULT_MESSAGE_BYTES 2048u
#define FAULT_SKEW_MS_MIN   240000 /* of a clock that is wrong; signatures are good for 300,000 */

enum fault_kind {
    FAULT_FINAL,     /* asked again it says the same */
    FAULT_TRANSIENT, /* it may go better the next time */
    FAULT_THROTTLED, /* it may go better more slowly */
    FAULT_EXPIRED,   /* the session token is over */
    FAULT_KEY,       /* the access key is unknown, or the signature not made with its secret */
    FAULT_DENIED,    /* the identity is known and may not */
    FAULT_SKEWED,    /* the time of the signature is not the server's */
};

struct fault {
    enum fault_kind kind;
    char name[FAULT_NAME_BYTES];
    char message[FAULT_MESSAGE_BYTES];
};

/* Who was asked, and with what, for the sentence. */
struct fault_place {
    const char *service, *region, *region_from;
    const char *url, *endpoint_from;
    const char *access_key_id, *credentials_place;
};

/* `json`: the body, if it is JSON; else NULL. */
void fault_read(const struct http_answer *answer, const json_t *json, struct fault *ret_fault);
/* Adds to the message what to change, where that is known. */
void fault_advise(struct fault *fault, const struct fault_place *place);
/* The time of a Date header in seconds since 1970; -1: it is none. */
int64_t fault_date_s(const char *date);

#endif
