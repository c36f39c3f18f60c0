#include "tests/net/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/wire.h"
#include "engine/saga/value.h"
#include "engine/saga/value_json.h"
#include "tests/partition/scripted.h"

#define TURNS_MAX 2000

int64_t rig_now_ms;
uint64_t rig_now_ns;
static struct rig the_rig;

const char rig_task[] = "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Task\", "
                        "\"Resource\": \"service:test.a\", \"End\": true}}}";
const char rig_far_task[] = "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Task\", "
                            "\"Resource\": \"service:far.do\", \"End\": true}}}";
const char rig_two_far_tasks[] =
    "{\"StartAt\": \"A\", \"States\": {"
    "\"A\": {\"Type\": \"Task\", \"Resource\": \"service:far.do\","
    " \"Compensate\": {\"Resource\": \"service:far.undo\"}, \"Next\": \"B\"},"
    "\"B\": {\"Type\": \"Task\", \"Resource\": \"service:far.other\", \"End\": true}}}";

const char rig_pass[] =
    "{\"StartAt\": \"A\", \"States\": {\"A\": {\"Type\": \"Pass\", \"End\": true}}}";

static int64_t wall_ms(void)
{
    return rig_now_ms;
}

static uint64_t now_ns(void)
{
    return rig_now_ns;
}

static bool may_step(enum partition_part part)
{
    return part != PARTITION_JOURNAL || !the_rig.journal_held;
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static void on_log(void *context, const char *event, const char *peer, const char *text)
{
    struct rig *rig = context;
    char *log;
    if (asprintf(&log, "%s%s %s %s\n", rig->log == NULL ? "" : rig->log, event, peer,
                 text == NULL ? "" : text) < 0)
        fail_msg("out of memory");
    free(rig->log);
    rig->log = log;
}

static void open_partition(struct rig *rig)
{
    struct problem problem = {0};
    struct partition_options options = {
        .directory = rig->directory[0] == '\0' ? NULL : rig->directory,
        .durability = rig->directory[0] == '\0' ? DURABILITY_MEMORY : DURABILITY_ASYNC,
        .history_bytes = UINT64_MAX,
        .limits = {.sagas_max = 128,
                   .payload_bytes_max = 128u << 20,
                   .names_max = 64,
                   .name_retention_ms = 1000000},
        .built_in = {&scripted_service, &scripted_plain},
        .built_in_count = 2,
        .remote = true,
        .threadless = true,
        .wall_ms = wall_ms,
        .now_ns = now_ns,
        .may_step = may_step,
    };
    if (partition_open(&options, &rig->partition, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

void rig_open_server(struct rig *rig)
{
    struct problem problem = {0};
    server_close(rig->server);
    rig->server = NULL;
    if (server_open(&rig->options, &rig->server, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static int set_up(struct rig *rig)
{
    rig_now_ms = 1000000;
    rig_now_ns = 1000000000;
    scripted_reset();
    open_partition(rig);
    rig->transport = fake_transport_open();
    rig->options = (struct server_options){.partition = rig->partition,
                                           .transport = rig->transport,
                                           .version = "0.1",
                                           .commit = "abc",
                                           .durability = "memory",
                                           .connections_max = FAKE_CONNECTIONS,
                                           .window = 8,
                                           .now_ns = now_ns,
                                           .on_log = on_log,
                                           .log_context = rig};
    rig->options.directory = rig->directory[0] == '\0' ? NULL : rig->directory;
    rig_open_server(rig);
    return 0;
}

int rig_set_up(void **state)
{
    the_rig = (struct rig){0};
    *state = &the_rig;
    return set_up(&the_rig);
}

int rig_set_up_on_disk(void **state)
{
    the_rig = (struct rig){.directory = "/tmp/test_server_XXXXXX"};
    assert_non_null(mkdtemp(the_rig.directory));
    *state = &the_rig;
    return set_up(&the_rig);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    server_close(rig->server);
    transport_close(rig->transport);
    partition_free(rig->partition);
    free(rig->log);
    if (rig->directory[0] != '\0')
        nftw(rig->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* ---- saying -------------------------------------------------------------------------------------
 */

static uint8_t *put_message(const json_t *value, uint8_t *at, const uint8_t *end)
{
    size_t bytes;
    assert_int_equal(value_from_json(value, at, (size_t)(end - at), &bytes), STATUS_OK);
    return at + bytes;
}

size_t rig_frame(const char *json, uint8_t *bytes, size_t capacity)
{
    uint8_t *at = bytes + WIRE_LENGTH_BYTES;
    json_error_t error;
    size_t left = strlen(json);
    while (left > 0) {
        json_t *value = json_loadb(json, left, JSON_DISABLE_EOF_CHECK, &error);
        if (value == NULL)
            fail_msg("%s: %s", error.text, json);
        at = put_message(value, at, bytes + capacity);
        json_decref(value);
        json += error.position;
        left -= (size_t)error.position;
    }
    wire_put_length(bytes, (uint32_t)(at - bytes - WIRE_LENGTH_BYTES));
    return (size_t)(at - bytes);
}

void rig_say(struct rig *rig, uint32_t connection, const char *json)
{
    static uint8_t frame[1u << 20];
    fake_send(rig->transport, connection, frame, rig_frame(json, frame, sizeof frame));
}

/* ---- hearing ------------------------------------------------------------------------------------
 */

/* Takes the first message out of what has come; its frame becomes that much shorter. */
static const char *take_message(struct rig *rig, uint32_t connection, const uint8_t *bytes,
                                struct flyover_bytes body)
{
    static char text[1u << 20];
    struct wire_message message;
    const uint8_t *at = body.at;
    assert_int_equal(wire_find_message(&at, body.at + body.count, &message), WIRE_FOUND);
    uint32_t count = (uint32_t)(at - body.at);
    value_print((struct flyover_bytes){body.at, count}, text, sizeof text);
    if (count == body.count) {
        fake_take(rig->transport, connection, WIRE_LENGTH_BYTES + count);
        return text;
    }
    /* The new head goes over the end of what was taken. */
    wire_put_length((uint8_t *)(uintptr_t)bytes + count, body.count - count);
    fake_take(rig->transport, connection, count);
    return text;
}

const char *rig_hear(struct rig *rig, uint32_t connection)
{
    size_t count;
    struct flyover_bytes body;
    const uint8_t *bytes = fake_received(rig->transport, connection, &count);
    if (count == 0)
        return "";
    assert_int_equal(wire_find_frame(bytes, count, &body), WIRE_FOUND);
    return take_message(rig, connection, bytes, body);
}

const char *rig_hear_error(struct rig *rig, uint32_t connection, uint64_t id, const char *status)
{
    static char sentence[1024];
    const char *heard = rig_hear(rig, connection);
    char expected[64];
    snprintf(expected, sizeof expected, "[5,%" PRIu64 ",\"%s\",", id, status);
    if (strncmp(heard, expected, strlen(expected)) != 0)
        fail_msg("expected %s ...], heard %s", expected, heard);
    snprintf(sentence, sizeof sentence, "%s", heard + strlen(expected));
    return sentence;
}

/* ---- turns --------------------------------------------------------------------------------------
 */

/* In no time. */
static bool turn(struct rig *rig)
{
    bool polled;
    struct problem problem = {0};
    bool worked = server_turn(rig->server);
    if (partition_poll(rig->partition, &polled, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    return worked || polled;
}

static bool turn_on(struct rig *rig)
{
    rig_now_ns += PARTITION_SEAL_INTERVAL_NS;
    return turn(rig);
}

void rig_turn(struct rig *rig)
{
    turn_on(rig);
}

const char *rig_await(struct rig *rig, uint32_t connection)
{
    size_t count;
    for (;;) {
        fake_received(rig->transport, connection, &count);
        if (count > 0)
            return rig_hear(rig, connection);
        /* However long the other thread takes, nobody has been silent for it. */
        turn(rig);
        sched_yield();
    }
}

void rig_settle(struct rig *rig)
{
    /* Once more than nothing was done: the seal waits for the time of a turn. */
    int rest = 0;
    for (int i = 0; i < TURNS_MAX && rest < 4; i++)
        rest = turn_on(rig) ? 0 : rest + 1;
    assert_int_equal(rest, 4);
}

void rig_pass_ms(struct rig *rig, uint64_t ms)
{
    rig_now_ns += ms * 1000000;
    rig_now_ms += (int64_t)ms;
    rig_settle(rig);
}

uint32_t rig_connect(struct rig *rig)
{
    uint32_t connection = fake_connect(rig->transport);
    rig_turn(rig);
    return connection;
}

uint32_t rig_greet(struct rig *rig)
{
    uint32_t connection = rig_connect(rig);
    rig_say(rig, connection, "[1, 1, {\"name\": \"test\"}]");
    rig_turn(rig);
    assert_true(strncmp(rig_hear(rig, connection), "[2,1,", 5) == 0);
    return connection;
}

void rig_define(struct rig *rig, uint32_t connection, const char *name, const char *text)
{
    json_t *message = json_pack("[i, i, s, s]", WIRE_DEFINE, 999, name, text);
    char *json = json_dumps(message, 0);
    rig_say(rig, connection, json);
    rig_settle(rig);
    assert_true(strncmp(rig_hear(rig, connection), "[11,999,", 8) == 0);
    free(json);
    json_decref(message);
}
