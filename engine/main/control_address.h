/*
 * control_address: where the socket of a data directory is, also where its path is longer than a
 * socket's may be: then by way of /proc/self/fd.
 *
 * Threads: none.
 */
#ifndef ENGINE_MAIN_CONTROL_ADDRESS_H
#define ENGINE_MAIN_CONTROL_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONTROL_PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* *ret_directory: an open directory that the address leads through, to be closed when it is not
 * used any more; -1: none. False with errno. */
bool control_address(const char *directory, int *ret_directory, struct sockaddr_un *ret_address);

#endif
