/*
 * wire: the messages of the protocol, written and found. protocol.md beside it says what they mean.
 *
 * Writing goes into memory that the caller has: WIRE_HEAD_BYTES_MAX for each head, and the
 * payloads' own bytes. Reading finds frames and messages in bytes that came from the wire, and
 * checks that each message is whole before anybody looks into it; fields are then read with the
 * functions below. How deep a payload is, and whether it is text where it says so, is not looked at
 * here: value_check does, so that only its own request is refused.
 *
 * Threads: pure functions, any thread. Memory: none. Used by the engine and by libflyover.
 */
#ifndef ENGINE_NET_WIRE_H
#define ENGINE_NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/flyover_service.h"

#define WIRE_VERSION         1u
#define WIRE_LENGTH_BYTES    4u
#define WIRE_FRAME_BYTES_MAX (1u << 20)
#define WIRE_ITEM_BYTES_MAX  9u /* a number, nil, or the head of a text, a map, an array */
/* What a message takes on the wire beside its texts and payloads. */
#define WIRE_HEAD_BYTES_MAX 160u

#define WIRE_LIST(X)                                                                               \
    X(HELLO, 1)                                                                                    \
    X(WELCOME, 2)                                                                                  \
    X(PING, 3)                                                                                     \
    X(PONG, 4)                                                                                     \
    X(ERROR, 5)                                                                                    \
    X(GOODBYE, 6)                                                                                  \
    X(DEFINE, 10)                                                                                  \
    X(DEFINED, 11)                                                                                 \
    X(START, 12)                                                                                   \
    X(STARTED, 13)                                                                                 \
    X(ENDED, 14)                                                                                   \
    X(AWAIT, 15)                                                                                   \
    X(ASK, 16)                                                                                     \
    X(ANSWER, 17)                                                                                  \
    X(SUBSCRIBE, 18)                                                                               \
    X(EVENT, 19)                                                                                   \
    X(CREDIT, 20)                                                                                  \
    X(UNSUBSCRIBE, 21)                                                                             \
    X(REGISTER, 30)                                                                                \
    X(REGISTERED, 31)                                                                              \
    X(INVOKE, 32)                                                                                  \
    X(DONE, 33)                                                                                    \
    X(FAILED, 34)                                                                                  \
    X(BEAT, 35)                                                                                    \
    X(LATE, 36)                                                                                    \
    X(DRAIN, 37)                                                                                   \
    X(DRAINED, 38)

enum wire_kind {
#define X(name, number) WIRE_##name = (number),
    WIRE_LIST(X)
#undef X
};

/* "START"; NULL where there is no such kind. */
const char *wire_kind_text(int64_t kind);

/* ---- writing: each returns the first byte behind ----------------------------------------------
 */

uint8_t *wire_put_array(uint8_t *at, uint32_t count);
uint8_t *wire_put_map(uint8_t *at, uint32_t pairs);
uint8_t *wire_put_uint(uint8_t *at, uint64_t value);
uint8_t *wire_put_int(uint8_t *at, int64_t value);
uint8_t *wire_put_bool(uint8_t *at, bool value);
uint8_t *wire_put_nil(uint8_t *at);
uint8_t *wire_put_text(uint8_t *at, struct flyover_bytes text);
uint8_t *wire_put_string(uint8_t *at, const char *text);
/* A whole msgpack value; count 0: nil. */
uint8_t *wire_put_value(uint8_t *at, struct flyover_bytes value);
/* The length in front of a frame of `bytes`, WIRE_LENGTH_BYTES. */
void wire_put_length(uint8_t *at, uint32_t bytes);

/* ---- reading -----------------------------------------------------------------------------------
 */

enum wire_find {
    WIRE_FOUND,
    WIRE_PART,     /* not all of it is there yet */
    WIRE_TOO_LONG, /* longer than WIRE_FRAME_BYTES_MAX, or empty */
    WIRE_GARBAGE,  /* no message: not msgpack, cut off, no array, no kind */
    WIRE_NO_MORE
};

/* The first frame in the bytes; its body without the length. */
enum wire_find wire_find_frame(const uint8_t *bytes, size_t count, struct flyover_bytes *ret_body);

#define WIRE_FIELDS_KNOWN 11u /* the payloads of an INVOKE among them */

struct wire_message {
    int64_t kind;
    uint32_t fields_count; /* behind the kind */
    struct flyover_cursor fields;
    /* wire.c's own: where the first fields start, from `start` on. */
    const uint8_t *start;
    uint32_t starts[WIRE_FIELDS_KNOWN];
};

/* The next message of a frame's body, from *at on, which moves behind it. WIRE_FOUND, WIRE_NO_MORE,
 * WIRE_GARBAGE. */
enum wire_find wire_find_message(const uint8_t **at, const uint8_t *end,
                                 struct wire_message *ret_message);

/* The fields one by one; false where it is not there or of another type. */
bool wire_take_uint(struct wire_message *message, uint64_t *ret_value);
bool wire_take_int(struct wire_message *message, int64_t *ret_value);
bool wire_take_bool(struct wire_message *message, bool *ret_value);
bool wire_take_text(struct wire_message *message, struct flyover_bytes *ret_text);
/* nil is a text of none: count 0, at NULL. */
bool wire_take_text_or_nil(struct wire_message *message, struct flyover_bytes *ret_text);
/* Over one whole value, however deep it is; false where it is none, and then it has not moved. */
bool wire_skip(struct flyover_cursor *cursor);
/* A whole value as it stands. */
bool wire_take_value(struct wire_message *message, struct flyover_bytes *ret_value);

#endif
