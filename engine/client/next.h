/*
 * next: one more thing for the caller, from what was kept, from what came, or from the line.
 *
 * Threads: the client's.
 */
#ifndef ENGINE_CLIENT_NEXT_H
#define ENGINE_CLIENT_NEXT_H

#include "engine/client/incoming.h"

/* INT64_MAX where timeout_ms is -1, INT64_MIN where it is 0: then nothing waits. */
int64_t next_until_ms(int32_t timeout_ms);
/* A turn of the line, and if nothing came of it a wait. False: time is over, or the line lost. */
bool next_turn(struct flyover_client *client, int64_t until_ms);
/* Keeps what came and is not for whoever waits now. */
void next_keep(struct flyover_client *client, enum incoming_kind kind,
               const struct incoming *incoming);

#endif
