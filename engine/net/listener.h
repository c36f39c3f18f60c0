/*
 * listener: a socket that listens, from an address as an operator writes it.
 *
 *     "127.0.0.1:7233"   "[::1]:7233" (IPv6 alone)   "unix:/run/flyover.sock"
 *
 * Numbers only, no names: where an engine listens must not depend on a name server.
 *
 * Threads: any. Memory: the caller's.
 */
#ifndef ENGINE_NET_LISTENER_H
#define ENGINE_NET_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "engine/base/status.h"
#include "engine/net/transport.h"

struct listener {
    int fd; /* -1: none */
    bool is_unix;
    char address[TRANSPORT_ADDRESS_BYTES]; /* with the port that it got */
    dev_t device;                          /* of a unix socket's file, so that it is known again */
    ino_t inode;
};

/* Binds and listens. The errors are those of transport_open. */
NODISCARD enum status listener_open(struct listener *listener, const char *address,
                                    struct problem *problem);
/* Removes the file of a unix socket, if it is still this one's. The fd is whoever's that took it.
 */
void listener_remove(struct listener *listener);

/* "127.0.0.1:51234", "[::1]:51234", "unix". */
void listener_print(const struct sockaddr_storage *address, char ret_text[TRANSPORT_ADDRESS_BYTES]);

#endif
