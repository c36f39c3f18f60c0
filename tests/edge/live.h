/*
 * live: a module of AWS on its own, with the real http and aws, against a server of the rig behind
 * a proxy that makes faults. The frame is the test's own (fake_frame.h).
 *
 * Threads: that of the test, which is the edge thread too.
 */
#ifndef TESTS_EDGE_LIVE_H
#define TESTS_EDGE_LIVE_H

#include "tests/edge/fake_frame.h"
#include "tests/edge/rig.h"

struct live {
    const struct edge_kind *kind;
    struct http *http;
    struct aws *aws;
    void *module;
    struct rig_server server, proxy;
};

/* Server and proxy; then the module, with this section. */
void live_start(struct live *live, enum rig_kind server);
void live_start_lambda(struct live *live, const char *functions_path);
void live_open(struct live *live, const struct edge_kind *kind, const char *config);
void live_call(struct live *live, struct fake_call *fake);
/* Turns until no more than `open_count` calls are open. */
void live_run(struct live *live, uint32_t open_count);
/* What is out is given up, as when the engine dies. */
void live_close(struct live *live);
void live_stop(struct live *live);

#endif
