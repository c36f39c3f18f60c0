/*
 * input: what came from the engine, read in place, message by message.
 *
 *              at           frame_end        end
 *     ... | n | . | message | message | n | mess.
 *
 * Threads: the client's. Memory: 64 KiB, and up to one frame (1 MiB) where one is as long.
 */
#ifndef ENGINE_CLIENT_INPUT_H
#define ENGINE_CLIENT_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/net/wire.h"

struct input {
    uint8_t *bytes;
    size_t capacity;
    size_t at;        /* the next message, or the next frame where it is frame_end */
    size_t frame_end; /* of the frame that is read */
    size_t end;
};

/* WIRE_FOUND, WIRE_PART (more has to come first), WIRE_TOO_LONG, WIRE_GARBAGE. *ret_raw is the
 * whole message, lent until input_room. */
enum wire_find input_take(struct input *input, struct wire_message *ret_message,
                          struct flyover_bytes *ret_raw);
/* input_take would find something. */
bool input_has_more(const struct input *input);
/* Room for what comes next, after all whole messages were taken; NULL: no memory. Moves what is
 * there. */
uint8_t *input_room(struct input *input, size_t *ret_bytes);
void input_add(struct input *input, size_t bytes);
/* Forgets everything, for the next connection. */
void input_reset(struct input *input);
void input_fini(struct input *input);

#endif
