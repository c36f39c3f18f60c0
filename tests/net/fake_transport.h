/*
 * fake_transport: transport.h in memory, driven by the test: what a peer sends comes when the test
 * says so, and what is sent to it is there for the test to read. In the place of transport.c.
 *
 * Memory that is reserved is a block of its own, freed when it is committed or forgotten, so that
 * AddressSanitizer sees every byte that is written beside it.
 */
#ifndef TESTS_NET_FAKE_TRANSPORT_H
#define TESTS_NET_FAKE_TRANSPORT_H

#include <stddef.h>

#include "engine/net/transport.h"

#define FAKE_CONNECTIONS 32u

struct transport *fake_transport_open(void);

/* ---- the peer's side --------------------------------------------------------------------------
 */

/* A connection comes: its number. */
uint32_t fake_connect(struct transport *transport);
/* It sends; of a connection that is paused it comes once that goes on. */
void fake_send(struct transport *transport, uint32_t connection, const void *bytes, size_t count);
/* It closes. */
void fake_hang_up(struct transport *transport, uint32_t connection);
/* What has come to it and was not taken yet: *ret_count bytes, lent until the next call. */
const uint8_t *fake_received(const struct transport *transport, uint32_t connection,
                             size_t *ret_count);
/* It takes the first of them, which makes room. */
void fake_take(struct transport *transport, uint32_t connection, size_t count);
/* Room for what it has not taken; at first there is no limit. */
void fake_set_room(struct transport *transport, uint32_t connection, size_t bytes);
/* What is sent comes though the connection is paused, as what the kernel had given already. */
void fake_ignore_pause(struct transport *transport, bool ignore);

/* ---- what the server did ----------------------------------------------------------------------
 */

bool fake_is_open(const struct transport *transport, uint32_t connection);
bool fake_is_paused(const struct transport *transport, uint32_t connection);
/* Of the last cut: it was to be sent first what was committed. */
bool fake_was_polite(const struct transport *transport, uint32_t connection);

#endif
