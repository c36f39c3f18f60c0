/*
 * address: "HOST:PORT", "[::1]:PORT" or "unix:PATH", and the sockets that lead there.
 *
 * Threads: any. Memory: the list that a name was resolved to.
 */
#ifndef ENGINE_CLIENT_ADDRESS_H
#define ENGINE_CLIENT_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define ADDRESS_HOST_BYTES 256u
#define ADDRESS_PORT_BYTES 16u
#define ADDRESS_PATH_BYTES 108u /* sun_path, unix(7) */

struct address {
    bool is_unix;
    char host[ADDRESS_HOST_BYTES]; /* without brackets */
    char port[ADDRESS_PORT_BYTES];
    char path[ADDRESS_PATH_BYTES];
};

/* What a name leads to, tried one after the other. */
struct address_list;

/* STATUS_INVALID with a sentence. */
NODISCARD enum status address_parse(const char *text, struct address *ret_address,
                                    struct problem *problem);
/* Looks the host up, which may block. STATUS_NOT_FOUND, STATUS_NO_MEMORY. Returns owned. */
NODISCARD enum status address_resolve(const struct address *address, struct address_list **ret_list,
                                      struct problem *problem);
void address_list_close(struct address_list *list);
/* A socket that is being connected to the list's next place, non-blocking and closed on exec; -1
 * with errno. *ret_is_last: there is no other place in the list after this one. */
int address_connect(struct address_list *list, bool *ret_is_last);

#endif
