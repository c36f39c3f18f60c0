/*
 * rig: a transport with an owner that remembers everything, and peers with plain sockets. All on
 * the test's thread: where a test waits for something, rig_until turns the transport until it is
 * so.
 */
#ifndef TESTS_NET_RIG_H
#define TESTS_NET_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "engine/net/transport.h"

#define RIG_CONNECTIONS_MAX 64u

/* What has come from a connection in its present life. */
struct rig_connection {
    bool is_open, is_closed;
    uint32_t lives;
    uint8_t *bytes;
    size_t count;
    uint32_t data_count;
    enum status reason;
    char text[512];
};

struct rig {
    struct transport_options options;
    struct transport *transport;
    struct rig_connection connections[RIG_CONNECTIONS_MAX];
    uint32_t opened, closed, last_opened;
    bool keeps_lent, has_lent; /* keeps_lent: stops at a DATA and does not ask for the next */
    bool keeps_closed;         /* does not forget */
    bool echoes;               /* sends back what comes */
};

/* Options for small tests, at an ephemeral port of 127.0.0.1. */
struct transport_options rig_options(uint32_t threads);
void rig_open(struct rig *rig, const struct transport_options *options);
void rig_close(struct rig *rig);

/* One turn: takes all events, echoes, flushes. */
void rig_turn(struct rig *rig);
/* Turns until `is_so`, and fails the test if it never is. */
void rig_until(struct rig *rig, bool (*is_so)(struct rig *rig, void *context), void *context,
               const char *what);
void rig_until_opened(struct rig *rig, uint32_t count);
void rig_until_closed(struct rig *rig, uint32_t count);
void rig_until_bytes(struct rig *rig, uint32_t connection, size_t count);
/* Sends: reserve, fill, commit, flush. False where there is no room. */
bool rig_send(struct rig *rig, uint32_t connection, const void *bytes, uint32_t count);
/* Commits chunks of 4096 pattern bytes as long as there is room; how many bytes. */
uint64_t rig_fill(struct rig *rig, uint32_t connection);

/* A socket that is connected to listener `index`, not blocking; and whose connection is told of.
 * rcvbuf 0: the kernel's. */
int rig_connect(struct rig *rig, uint32_t index, int rcvbuf);
int rig_dial(struct rig *rig, uint32_t index, int rcvbuf);
/* The peer writes it all / reads exactly so many bytes, with turns in between. */
void rig_peer_write(struct rig *rig, int fd, const void *bytes, size_t count);
void rig_peer_read(struct rig *rig, int fd, void *ret_bytes, size_t count);
/* The peer reads to the end, which must be an orderly one; how many bytes there were. */
size_t rig_peer_read_all(struct rig *rig, int fd);

/* Byte `at` of the pattern that tests send. */
uint8_t rig_pattern(uint64_t at);
void rig_fill_pattern(uint8_t *bytes, size_t count, uint64_t from);

#endif
