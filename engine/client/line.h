/*
 * line: the connection to the engine: made, greeted, kept alive, and made again.
 *
 *     PAUSING ──retry_at──► CONNECTING ──► GREETING ──WELCOME──► OPEN ──cut──► PAUSING
 *        └──────────────────── give_up_at, or refused for good ────────────► LOST
 *
 * A place that does not answer is followed by the next one of the host's; behind the last there is
 * a pause, from 10 ms doubled to 2 s, of which half is chance, so that the clients of an engine
 * that comes back do not come all at once.
 *
 * Threads: the client's.
 */
#ifndef ENGINE_CLIENT_LINE_H
#define ENGINE_CLIENT_LINE_H

#include "engine/client/client.h"

#define LINE_PAUSE_MS_MIN 10u
#define LINE_PAUSE_MS_MAX 2000u
#define LINE_ATTEMPT_MS_MAX                                                                        \
    5000u /* for connecting, TLS and WELCOME: the engine waits no longer                           \
           */

/* One turn: writes, reads, looks at the clock. True: something came or changed; all whole messages
 * have to be taken before. */
bool line_turn(struct flyover_client *client);
/* Until there is something to do for line_turn, or until_ms. */
void line_wait(struct flyover_client *client, int64_t until_ms);
/* Writes what waits, as much as goes. */
void line_write(struct flyover_client *client);
bool line_wants_write(const struct flyover_client *client);
/* When line_turn has to look at the clock; INT64_MAX: never. */
int64_t line_due_ms(const struct flyover_client *client);

/* WELCOME came: *message stands behind its kind. */
void line_on_welcome(struct flyover_client *client, struct wire_message *message);
/* ERROR with id 0. */
void line_on_error(struct flyover_client *client, enum flyover_status status,
                   struct flyover_bytes sentence);
/* What came cannot be from an engine. */
void line_on_garbage(struct flyover_client *client);
/* The connection is of no use any more: begins again, if there is time. `problem` is the sentence
 * if it stays so. */
void line_cut(struct flyover_client *client);
void line_lose(struct flyover_client *client, enum flyover_status status);
/* Says GOODBYE, and waits a moment until the engine has heard it. */
void line_finish(struct flyover_client *client);

#endif
