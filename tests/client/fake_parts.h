/* fake_parts: what the files of the fake share: fake.c, its sockets and its thread; fake_engine.c,
 * what it says. Under the lock. */
#ifndef TESTS_CLIENT_FAKE_PARTS_H
#define TESTS_CLIENT_FAKE_PARTS_H

#include <pthread.h>
#include <stddef.h>

#include "engine/net/tls.h"
#include "engine/net/wire.h"
#include "tests/client/fake.h"

#define FAKE_MUTED_MAX 4096u

struct fake_name {
    char name[64];
    uint64_t saga_id;
};

struct fake {
    struct fake_options options;
    int listener, wake;
    char address[128], directory[64];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping, is_let_go, is_cut, is_away, is_gap;
    struct fake_counts counts;
    uint64_t last_saga_id;
    uint32_t last_invocation;
    struct fake_name *names;
    uint32_t names_count;
    struct {
        uint64_t id, saga_id;
        uint64_t reply;
    } muted[FAKE_MUTED_MAX];
    uint32_t muted_count;
    uint64_t twin_id, twin_saga_id; /* an answer that is to come again; 0: none */
};

struct fake_connection {
    struct fake *fake;
    int fd;
    uint32_t no;
    struct tls_session *session; /* NULL: plain */
    bool is_deaf, is_greeted, has_left;
    uint64_t read, sent;
    uint64_t pinged_id, pinged_saga, pinged_reply; /* to be answered when the PONG is there */
    uint64_t subscription, credit;
    uint64_t position; /* of the last EVENT */
    uint32_t open_invocations;
    uint64_t drain_id;
    size_t in_count, body_count, out_count;
    uint8_t in[2u << 20];
    uint8_t out[2u << 20]; /* the length, then the body */
};

/* False: the connection is cut, after what was said so far. */
bool fake_on_message(struct fake_connection *connection, struct wire_message *message);
bool fake_answer_muted(struct fake_connection *connection);

#endif
