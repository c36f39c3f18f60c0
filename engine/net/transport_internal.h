/*
 * transport_internal: the owner's half of a transport, for transport.c and transport_out.c.
 */
#ifndef ENGINE_NET_TRANSPORT_INTERNAL_H
#define ENGINE_NET_TRANSPORT_INTERNAL_H

#include <sys/socket.h>

#include "engine/net/lane.h"
#include "engine/net/listener.h"
#include "engine/net/transport.h"

#define TRANSPORT_NONE UINT32_MAX

enum transport_use {
    TRANSPORT_UNUSED,
    TRANSPORT_USED,
    TRANSPORT_CUT_POLITELY, /* by the owner: what comes still is not told any more */
    TRANSPORT_CUT,
    TRANSPORT_OVER /* CLOSED is told */
};

struct transport_connection {
    enum transport_use use;
    uint32_t life; /* so that a chunk of a life before is known */
    bool is_paused, is_dirty;
    uint32_t next_free, next_dirty;
    uint32_t backlog;
    uint32_t out_bytes;              /* capacity of its chunks, wherever they are */
    uint32_t reserved;               /* in `open`, by the last transport_reserve */
    uint32_t chunks_with_lane;       /* sent, and not returned */
    struct lane_chunk *first, *last; /* full, for the next flush */
    struct lane_chunk *open;         /* being filled */
    char *subject;
    struct sockaddr_storage peer;
};

struct transport_lane {
    struct lane lane;
    uint32_t free_first, free_count; /* numbers */
    bool has_commands;               /* since its bell was rung */
};

struct transport {
    struct transport_options options;
    struct listener listeners[TRANSPORT_LISTENERS_MAX];
    bool is_listening;
    struct transport_lane *lanes;
    uint32_t lanes_count, lanes_opened, lane_next; /* next: whose events are taken */
    struct transport_connection *connections;
    uint32_t dirty_first;

    struct transport_lane *lent_by; /* NULL: no DATA is lent */
    uint32_t lent_buffer;
    char *lent_text;

    struct lane_chunk *free_small, *free_large;
    uint64_t out_bytes, free_bytes;

    struct bell bell; /* rung by lanes with threads */
    uint64_t accepted, refused, closed;
};

struct transport_lane *transport_lane_of(struct transport *transport, uint32_t connection);
/* Waits for the lane only if its ring of commands is full, and then not for long: it never waits
 * for anybody. */
void transport_command(struct transport *transport, struct transport_lane *to,
                       struct lane_command command);
/* With threads: wakes those lanes that have something to do; without: they do it. */
void transport_kick(struct transport *transport);

/* ---- transport_out.c ------------------------------------------------------------------------ */

/* How many chunks can there be at most. */
uint64_t transport_out_chunks_max(const struct transport_options *options);
/* Takes back what the lanes have returned. True if something was. */
bool transport_out_collect(struct transport *transport);
/* What the connection has committed goes to its lane now, whatever is on its way. */
void transport_out_push(struct transport *transport, uint32_t connection);
/* Its end: nothing of it will be sent any more. */
void transport_out_drop(struct transport *transport, uint32_t connection);
void transport_out_close(struct transport *transport);

#endif
