/*
 * resume: what a cut makes of each request.
 *
 *     in a frame of which no byte was written    goes with the next connection, as it is
 *     START with a name, AWAIT, DEFINE, a
 *       question that only looks, SUBSCRIBE      asked again
 *     START whose STARTED came                   its end is awaited by the saga's id
 *     REGISTER                                   asked again, unless the worker drains
 *     anything else                              FLYOVER_UNKNOWN: it may be done or not
 *
 * What was for the old connection alone (DONE, FAILED, BEAT, CREDIT, PING) is dropped, and what a
 * worker was handed is over.
 *
 * Threads: the client's.
 */
#ifndef ENGINE_CLIENT_RESUME_H
#define ENGINE_CLIENT_RESUME_H

#include "engine/client/client.h"

/* Puts what is to be asked again into the output. False: no memory. */
bool resume_prepare(struct flyover_client *client);
/* The connection is lost for good: everything that is under way is failed. */
void resume_nothing(struct flyover_client *client);

#endif
