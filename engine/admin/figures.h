/*
 * figures: what an engine tells of itself, in one plain struct: the source of /metrics (main/
 * metrics.h) and of {"do": "figures"} (admin.h), by which `flyover top` asks.
 *
 * Totals are over the whole life of the data directory, all else since the start of the engine.
 *
 * How many live sagas are in which state is counted by going over all slots, ADMIN_SLOTS_A_TURN a
 * turn. That count is kept until it is a hundred times as old as it was dear, so that whoever asks
 * however often costs the engine a hundredth of its time. (60,000 sagas are counted in 0.6 ms, so
 * anew after 60 ms.) `states_age_ns` says how old it is; everything else is as it stood in the turn
 * that filled the struct.
 *
 * Threads: figures_take and figures_set_net by the engine's; the struct may be copied anywhere.
 * Memory: the caller's; it holds no pointer.
 */
#ifndef ENGINE_ADMIN_FIGURES_H
#define ENGINE_ADMIN_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/admin/admin.h"
#include "engine/partition/partition_view.h"

/* Those of the definitions, and those that workers only have registered for. */
#define FIGURES_SERVICES_MAX 128u
#define FIGURES_STATUSES     (STATUS_IO + 1u)

struct figures_service {
    struct partition_service_view view;
    uint32_t workers; /* in other processes */
    uint32_t credit;  /* what those would take now */
};

/* What the sockets of a `serve` add. */
struct figures_net {
    bool is_there;
    uint64_t accepted, refused, closed, bytes_in, bytes_out, starved, out_bytes;
    uint64_t frames_in, messages_in, messages_out;
    uint64_t errors[FIGURES_STATUSES]; /* answered */
    uint64_t handed_out, handed_out_again, late_results;
    uint32_t connections, clients, workers, subscriptions, requests_open;
};

/* And its edges. */
#define FIGURES_EDGES_MAX 64u
struct figures_edge {
    char service[FLYOVER_NAME_BYTES_MAX + 1], handler[FLYOVER_NAME_BYTES_MAX + 1];
    uint64_t calls, failed, retried, late;
    uint32_t in_flight;
};
struct figures_edges {
    bool is_there;
    uint64_t messages, started, repeated, refused, given_up, settled;
    uint64_t ends, ends_lost;
    uint32_t messages_open;
    uint32_t count;
    struct figures_edge handlers[FIGURES_EDGES_MAX];
};

struct figures {
    int64_t taken_ms;  /* of the wall clock */
    uint64_t taken_ns; /* of clock_now_ns */
    struct core_totals totals;
    struct core_room room;
    uint32_t live, sagas_max;
    uint32_t states[ADMIN_STATES_COUNT];
    uint64_t states_age_ns;
    struct partition_counts counts;
    struct partition_view view;
    struct recovery_report recovery;
    uint64_t recovered_from;
    struct figures_net net;
    struct figures_edges edges;
    uint32_t services_count;
    struct figures_service services[FIGURES_SERVICES_MAX];
};

/* Fills `net` and `edges`, and in `services` what workers and edges offer, of the engine of this
 * thread; called by figures_take. NULL: it has no sockets. The context is borrowed. */
typedef void (*figures_fill_net)(void *context, struct figures *figures);
void figures_set_net(figures_fill_net fill, void *context);
/* The service of that name, or a new one; NULL: there is no room for it. */
struct figures_service *figures_service(struct figures *figures, const char *name);

/* A turn's worth of it; true when the struct is filled. */
bool figures_take(const struct partition *partition, struct figures *ret_figures);

/* Returns owned; NULL: no memory. */
json_t *figures_json(const struct figures *figures);

/* "running", "sleeping": admin_state_text in small letters. */
const char *figures_state_name(enum admin_state state);

#endif
