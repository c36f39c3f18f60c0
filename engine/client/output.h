/*
 * output: what waits to be written to the engine: frames, one behind the other, the last one open
 * for more messages.
 *
 *        head        written          frame            end
 *     ... | n | messages | n | messages | n | messages .. |
 *           frame head_no                 frame frame_no, open: its n is put in when it is sealed
 *
 * The numbers of frames tell after a cut which messages the engine cannot have seen: those in
 * frames of which no byte was written.
 *
 * Threads: the client's. Memory: grows to what waits; messages are refused by the callers beyond
 * OUTPUT_BYTES_MAX.
 */
#ifndef ENGINE_CLIENT_OUTPUT_H
#define ENGINE_CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_FRAME_BYTES 32768u     /* a frame with as much is closed, so that work can begin */
#define OUTPUT_BYTES_MAX   (4u << 20) /* what may wait before requests are refused */

struct output {
    uint8_t *bytes;
    size_t capacity;
    size_t head;    /* the first frame that is not written whole */
    size_t written; /* up to here */
    size_t frame;   /* the open frame; without one: end */
    size_t end;
    uint64_t head_no;
    uint64_t frame_no; /* of the open frame, or of the next */
    bool is_open;
};

/* Room for one message of up to `bytes`, at most WIRE_FRAME_BYTES_MAX; NULL: no memory. */
uint8_t *output_reserve(struct output *output, size_t bytes);
/* The message ends here. */
void output_commit(struct output *output, const uint8_t *end);
/* Closes the open frame, so that everything may be written. */
void output_seal(struct output *output);
/* `bytes` more were written. */
void output_advance(struct output *output, size_t bytes);
/* Of messages in frames from this number on no byte was written. */
uint64_t output_untouched_no(const struct output *output);
/* Where in the bytes that frame begins, sealed; `end` where there is none. */
size_t output_untouched_at(const struct output *output);
void output_fini(struct output *output);

static inline size_t output_waiting(const struct output *output)
{
    return output->end - output->written;
}

#endif
