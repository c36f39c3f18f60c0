/*
 * rig: an engine without threads, a server on it, and a transport in memory: what the tests of the
 * server share. Messages are written as JSON and read as JSON, so that a test reads like the page
 * of the protocol:
 *
 *     rig_say(rig, a, "[12, 7, \"order\", {\"k\": 1}, null]");
 *     rig_settle(rig);
 *     assert_string_equal(rig_hear(rig, a), "[13,7,1,false]");
 */
#ifndef TESTS_NET_RIG_H
#define TESTS_NET_RIG_H

#include "engine/net/server.h"
#include "tests/net/fake_transport.h"

struct rig {
    char directory[64]; /* "": mode memory */
    struct partition *partition;
    struct transport *transport;
    struct server *server;
    struct server_options options; /* for rig_open_server again */
    char *log;                     /* lines "event peer text", since rig_set_up */
    bool journal_held;             /* no block becomes durable */
};

extern int64_t rig_now_ms;  /* of the engine */
extern uint64_t rig_now_ns; /* of both */

int rig_set_up(void **state);
/* With a data directory of its own, so that there is history. */
int rig_set_up_on_disk(void **state);
int rig_tear_down(void **state);
/* Another server, with rig->options. */
void rig_open_server(struct rig *rig);

/* A connection without and with its HELLO said and heard. */
uint32_t rig_connect(struct rig *rig);
uint32_t rig_greet(struct rig *rig);
/* A message, or as many as the text has values, in one frame. */
void rig_say(struct rig *rig, uint32_t connection, const char *json);
/* The frame of it into bytes[capacity]; returns its bytes. */
size_t rig_frame(const char *json, uint8_t *bytes, size_t capacity);
/* The next message that has come, as JSON, "" if there is none; lent until the next call. */
const char *rig_hear(struct rig *rig, uint32_t connection);
/* The same, turning until there is one: what another thread answers. */
const char *rig_await(struct rig *rig, uint32_t connection);
/* Turns of engine and server: one, or until nothing is left to do by itself. */
void rig_turn(struct rig *rig);
void rig_settle(struct rig *rig);
/* Fails the test unless an ERROR comes with this id and status; returns its sentence. */
const char *rig_hear_error(struct rig *rig, uint32_t connection, uint64_t id, const char *status);
/* DEFINE, and DEFINED heard. */
void rig_define(struct rig *rig, uint32_t connection, const char *name, const char *text);
/* A definition of one Task, of the service "test" that is built in, or "far", which is not. */
extern const char rig_task[], rig_far_task[], rig_two_far_tasks[], rig_pass[];
void rig_pass_ms(struct rig *rig, uint64_t ms);

#define RIG_DISK_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up_on_disk, rig_tear_down)
#define RIG_TEST(name)      cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

#endif
