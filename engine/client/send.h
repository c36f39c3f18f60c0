/*
 * send: requests into the output. What every request goes through: is there still a line, room in
 * the window, room in the output.
 *
 * Threads: the client's.
 */
#ifndef ENGINE_CLIENT_SEND_H
#define ENGINE_CLIENT_SEND_H

#include "engine/client/client.h"

/* A new request and room for its message of up to `bytes`: *ret_at behind kind and id of an array
 * of `fields` elements. BUSY, TOO_LARGE, NOT_CONNECTED, NO_MEMORY: nothing was done. */
enum flyover_status send_begin(struct flyover_client *client, enum wire_kind kind, uint32_t fields,
                               size_t bytes, uint64_t word, uint32_t *ret_slot, uint8_t **ret_at);
/* The message is whole. `is_again`: it may be sent again after a cut. */
enum flyover_status send_end(struct flyover_client *client, uint32_t slot, uint8_t *end,
                             bool is_again);
/* A whole msgpack value of the caller's; count 0 is nil. */
enum flyover_status send_check_value(struct flyover_client *client, const void *value, size_t bytes,
                                     const char *what);

/* As the flyover_send_* of the same name, and tell the slot. */
enum flyover_status send_start(struct flyover_client *client, const struct flyover_start *start,
                               enum flyover_when when, uint64_t word, uint32_t *ret_slot);
enum flyover_status send_await(struct flyover_client *client, uint64_t saga_id, const char *name,
                               uint64_t word, uint32_t *ret_slot);
enum flyover_status send_define(struct flyover_client *client, const char *name, const char *text,
                                uint64_t word, uint32_t *ret_slot);
enum flyover_status send_ask(struct flyover_client *client, const void *question, size_t bytes,
                             uint64_t word, uint32_t *ret_slot);

#endif
