/*
 * call: waiting for the answer of one request, for the blocking forms.
 *
 * Threads: the client's.
 */
#ifndef ENGINE_CLIENT_CALL_H
#define ENGINE_CLIENT_CALL_H

#include "engine/client/client.h"

/* OK: *ret_answer is the last answer to the request of this slot (for a REGISTER: nothing is in
 * it). TIMEOUT: it goes on, and what comes is dropped. Else: what the engine or the cut said. */
enum flyover_status call_wait(struct flyover_client *client, uint32_t slot,
                              struct flyover_answer_message *ret_answer, int32_t timeout_ms);

#endif
