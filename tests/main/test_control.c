/*
 * The socket of a running engine: an engine stepped by hand, and clients that behave well and
 * badly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/main/control.h"
#include "engine/main/control_address.h"

#define TURNS_MAX  20000
#define MANY_SAGAS (3 * 16384u)
#define QUIET_MS   100
#define REPLY_MAX  (1u << 16)
#define WAITS_FOR_GO                                                                               \
    "{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":\"signal:go\","          \
    "\"End\":true}}}"

static char root[64]; /* that the test removes */
static char directory[PATH_MAX];
static struct partition *partition;
static struct control *control;
static uint32_t plan;
static bool journal_holds;

static bool may_step(enum partition_part part)
{
    return part != PARTITION_JOURNAL || !journal_holds;
}

static void open_engine(uint32_t sagas_max)
{
    struct partition_options options = {
        .directory = directory,
        .durability = DURABILITY_ASYNC,
        .limits = {.sagas_max = sagas_max},
        .threadless = true,
        .may_step = may_step,
    };
    struct problem problem = {0};
    if (partition_open(&options, &partition, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
    if (partition_define(partition, "ask", "ask", WAITS_FOR_GO, strlen(WAITS_FOR_GO), &plan,
                         &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void open_control(uint32_t idle_ms)
{
    struct control_options options = {
        .directory = directory, .partition = partition, .idle_ms = idle_ms};
    struct problem problem = {0};
    if (control_open(&options, &control, &problem) != STATUS_OK)
        fail_msg("%s", problem.text);
}

static void turn(void)
{
    bool worked;
    assert_int_equal(partition_poll(partition, &worked, NULL), STATUS_OK);
    control_turn(control);
}

static void close_engine(void)
{
    control_close(control);
    control = NULL;
    partition_free(partition);
    partition = NULL;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/flyover-control-XXXXXX");
    journal_holds = false;
    if (mkdtemp(root) == NULL)
        return -1;
    snprintf(directory, sizeof directory, "%s", root);
    return 0;
}

static int remove_one(const char *path, const struct stat *known, int kind, struct FTW *place)
{
    (void)known;
    (void)kind;
    (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    close_engine();
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* ---- clients ---------------------------------------------------------------------------------
 */

static int client_open(void)
{
    int client = control_connect(directory);
    assert_true(client >= 0);
    return client;
}

static void client_send(int client, const char *text)
{
    assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the engine until a line came, which goes into `line`, or the end did: false. */
static bool client_line(int client, char line[REPLY_MAX])
{
    size_t used = 0;
    for (int idle = 0; idle < TURNS_MAX;) {
        struct pollfd polled = {.fd = client, .events = POLLIN};
        turn();
        if (poll(&polled, 1, 1) == 0) {
            idle++;
            continue;
        }
        ssize_t count = recv(client, line + used, 1, 0);
        if (count <= 0)
            return false;
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        assert_true(++used < REPLY_MAX);
    }
    fail_msg("no answer");
    return false;
}

static json_t *client_ask(int client, const char *request)
{
    static char line[REPLY_MAX];
    client_send(client, request);
    assert_true(client_line(client, line));
    json_t *reply = json_loads(line, 0, NULL);
    assert_true(json_is_object(reply));
    return reply;
}

static void expect_error(int client, const char *request, const char *error, const char *words)
{
    json_t *reply = client_ask(client, request);
    assert_string_equal(json_string_value(json_object_get(reply, "error")), error);
    if (strstr(json_string_value(json_object_get(reply, "message")), words) == NULL)
        fail_msg("it says: %s", json_string_value(json_object_get(reply, "message")));
    json_decref(reply);
}

static int64_t expect_integer(int client, const char *request, const char *key)
{
    json_t *reply = client_ask(client, request);
    if (!json_is_integer(json_object_get(reply, key)))
        fail_msg("it says: %s", json_dumps(reply, 0));
    int64_t value = json_integer_value(json_object_get(reply, key));
    json_decref(reply);
    return value;
}

static void expect_cut(int client)
{
    char line[REPLY_MAX];
    assert_false(client_line(client, line));
    close(client);
}

#define START  "{\"do\":\"start\",\"definition\":\"ask\"}\n"
#define COUNTS "{\"do\":\"counts\"}\n"

/* ---- tests -----------------------------------------------------------------------------------
 */

static void what_changes_something_is_answered_when_it_is_durable(void **state)
{
    (void)state;
    open_engine(16);
    open_control(0);
    while (!partition_is_quiet(partition))
        turn();
    journal_holds = true;
    int client = client_open();
    client_send(client, START);
    while (core_totals(partition_state(partition)->core).started == 0)
        turn();
    for (int i = 0; i < 100; i++)
        turn();
    struct pollfd polled = {.fd = client, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, QUIET_MS), 0);
    /* What only looks does not wait. */
    int other = client_open();
    assert_int_equal(expect_integer(other, COUNTS, "live"), 1);
    journal_holds = false;
    char line[REPLY_MAX];
    assert_true(client_line(client, line));
    assert_non_null(strstr(line, "\"saga\":1"));
    close(client);
    close(other);
}

static void two_requests_in_one_packet_are_answered_in_their_order(void **state)
{
    (void)state;
    open_engine(16);
    open_control(0);
    int client = client_open();
    char line[REPLY_MAX];
    client_send(client, START COUNTS);
    assert_true(client_line(client, line));
    assert_non_null(strstr(line, "\"existed\""));
    assert_true(client_line(client, line));
    assert_non_null(strstr(line, "\"live\":1"));
    close(client);
}

static void garbage_is_refused_with_a_sentence_and_cut(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "hello\n",   "[1]\n", "{\"do\":\n", "\n", "{\"do\":\"list\",\"do\":\"counts\"}\n",
        "\x01\xff\n"};
    open_engine(16);
    open_control(0);
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        int client = client_open();
        expect_error(client, garbage[i], "INVALID", "a request is one JSON object on one line");
        expect_cut(client);
    }
}

static void a_request_that_is_none_is_refused_and_the_next_one_served(void **state)
{
    (void)state;
    open_engine(16);
    open_control(0);
    int client = client_open();
    expect_error(client, "{}\n", "INVALID", "one of: start, list, show");
    expect_error(client, "{\"do\":7}\n", "INVALID", "one of: start");
    expect_error(client, "{\"do\":\"cancel\",\"saga\":1,\"abrot\":true}\n", "INVALID",
                 "no field \"abrot\"");
    expect_error(client, "{\"do\":\"show\",\"saga\":\"1\"}\n", "INVALID", "\"saga\" has to be");
    expect_error(client, "{\"do\":\"show\",\"saga\":-1}\n", "INVALID", "\"saga\" has to be");
    expect_error(client, "{\"do\":\"show\"}\n", "INVALID", "say which saga");
    expect_error(client, "{\"do\":\"show\",\"saga\":1,\"name\":\"a\"}\n", "INVALID",
                 "say which saga");
    expect_error(client, "{\"do\":\"cancel\",\"saga\":1,\"abort\":\"yes\"}\n", "INVALID",
                 "true or false");
    assert_int_equal(expect_integer(client, COUNTS, "live"), 0);
    close(client);
}

static void a_line_that_is_too_long_is_refused_and_cut(void **state)
{
    (void)state;
    open_engine(16);
    open_control(0);
    int client = client_open();
    char *text = malloc(CONTROL_LINE_BYTES_MAX);
    assert_non_null(text);
    memset(text, ' ', CONTROL_LINE_BYTES_MAX);
    /* The engine may close before it has taken all. */
    for (size_t sent = 0; sent < CONTROL_LINE_BYTES_MAX;) {
        ssize_t count = send(client, text + sent, CONTROL_LINE_BYTES_MAX - sent, MSG_NOSIGNAL);
        if (count <= 0)
            break;
        sent += (size_t)count;
    }
    free(text);
    char line[REPLY_MAX];
    assert_true(client_line(client, line));
    assert_non_null(strstr(line, "TOO_LARGE"));
    expect_cut(client);
}

static void half_a_line_for_ever_is_cut(void **state)
{
    (void)state;
    open_engine(16);
    open_control(20);
    int idle = client_open();
    int half = client_open();
    client_send(half, "{\"do\":");
    expect_cut(half);
    expect_cut(idle);
    int client = client_open();
    assert_int_equal(expect_integer(client, COUNTS, "live"), 0);
    close(client);
}

static void one_client_too_many_is_told_so_until_another_leaves(void **state)
{
    (void)state;
    int clients[CONTROL_CLIENTS_MAX];
    char line[REPLY_MAX];
    open_engine(16);
    open_control(0);
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        clients[i] = client_open();
        assert_int_equal(expect_integer(clients[i], COUNTS, "live"), 0);
    }
    int guest = client_open();
    assert_true(client_line(guest, line));
    assert_non_null(strstr(line, "\"BUSY\""));
    expect_cut(guest);
    close(clients[3]);
    /* The place is free once its end was seen. */
    bool served = false;
    for (int i = 0; i < 1000 && !served; i++) {
        guest = client_open();
        client_send(guest, COUNTS);
        served = client_line(guest, line) && strstr(line, "\"live\"") != NULL;
        close(guest);
    }
    assert_true(served);
    for (uint32_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (i != 3)
            close(clients[i]);
}

static void a_client_that_leaves_has_asked_all_the_same(void **state)
{
    (void)state;
    open_engine(64);
    open_control(0);
    /* More of them than there are places. */
    for (uint64_t i = 0; i < CONTROL_CLIENTS_MAX + 4; i++) {
        int client = client_open();
        client_send(client, START);
        close(client);
        for (int j = 0; core_totals(partition_state(partition)->core).started == i; j++) {
            turn();
            assert_true(j < TURNS_MAX * 500);
        }
    }
    int client = client_open();
    assert_int_equal(expect_integer(client, COUNTS, "live"), CONTROL_CLIENTS_MAX + 4);
    close(client);
}

static void a_socket_that_was_left_behind_is_replaced_and_another_file_is_not(void **state)
{
    (void)state;
    struct sockaddr_un address;
    struct stat known;
    int opened;
    open_engine(16);
    assert_true(control_address(directory, &opened, &address));
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (const struct sockaddr *)&address, sizeof address), 0);
    close(dead);
    errno = 0;
    assert_int_equal(control_connect(directory), -1);
    assert_int_equal(errno, ECONNREFUSED);
    open_control(0);
    assert_int_equal(stat(address.sun_path, &known), 0);
    assert_int_equal(known.st_mode & 0777, 0600);
    int client = client_open();
    assert_int_equal(expect_integer(client, COUNTS, "live"), 0);
    close(client);
    control_close(control);
    control = NULL;
    assert_int_equal(stat(address.sun_path, &known), -1);

    int file = open(address.sun_path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    struct control_options options = {.directory = directory, .partition = partition};
    struct problem problem = {0};
    assert_int_equal(control_open(&options, &control, &problem), STATUS_IO);
    assert_non_null(strstr(problem.text, "control.sock cannot be made"));
    assert_int_equal(stat(address.sun_path, &known), 0);
}

static void a_directory_with_a_long_path_has_a_socket_too(void **state)
{
    (void)state;
    char part[101];
    memset(part, 'd', 100);
    part[100] = '\0';
    for (int i = 0; i < 3; i++) {
        snprintf(directory + strlen(directory), sizeof directory - strlen(directory), "/%s", part);
        assert_int_equal(mkdir(directory, 0700), 0);
    }
    open_engine(16);
    open_control(0);
    int client = client_open();
    assert_int_equal(expect_integer(client, START, "saga"), 1);
    close(client);
    close_engine();
    char path[PATH_MAX + 16];
    struct stat known;
    snprintf(path, sizeof path, "%s/%s", directory, CONTROL_SOCKET);
    assert_int_equal(stat(path, &known), -1);
}

static void closing_answers_what_is_durable_and_refuses_the_rest(void **state)
{
    (void)state;
    open_engine(16);
    open_control(0);
    while (!partition_is_quiet(partition))
        turn();
    int begun = client_open();
    client_send(begun, START);
    journal_holds = true;
    while (core_totals(partition_state(partition)->core).started == 0)
        turn();
    int late = client_open();
    client_send(late, START);
    journal_holds = false;
    assert_int_equal(partition_stop(partition, NULL, NULL), STATUS_OK);
    control_close(control);
    control = NULL;
    char text[512] = "";
    assert_true(recv(begun, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "\"saga\":1"));
    /* Whether it was taken up before the end or not, it was not done. */
    memset(text, 0, sizeof text);
    if (recv(late, text, sizeof text - 1, 0) > 0)
        assert_non_null(strstr(text, "IN_USE"));
    close(begun);
    close(late);
    assert_int_equal(core_totals(partition_state(partition)->core).started, 1);
}

static void a_look_at_all_sagas_takes_several_turns_and_misses_none(void **state)
{
    (void)state;
    static const uint8_t nil[] = {0xc0};
    open_engine(MANY_SAGAS + 100);
    for (uint32_t started = 0; started < MANY_SAGAS;) {
        enum status status =
            partition_start(partition, plan, EVENT_NO_SOURCE, (struct flyover_bytes){nil, 1}, 0);
        bool worked;
        started += status == STATUS_OK;
        if (status != STATUS_OK)
            assert_int_equal(partition_poll(partition, &worked, NULL), STATUS_OK);
    }
    open_control(0);
    int client = client_open();
    client_send(client, COUNTS);
    uint32_t slices = 0;
    struct pollfd polled = {.fd = client, .events = POLLIN};
    while (poll(&polled, 1, 0) == 0)
        slices += control_turn(control);
    assert_int_equal(slices, 3);
    char line[REPLY_MAX];
    assert_true(client_line(client, line));
    assert_non_null(strstr(line, "\"AWAITING\":49152"));
    /* The newest first, page by page, each once. */
    uint64_t next = MANY_SAGAS;
    char request[128] = "{\"do\":\"list\",\"limit\":300}\n";
    for (int page = 0; page < 3; page++) {
        json_t *reply = client_ask(client, request);
        const json_t *rows = json_object_get(reply, "sagas");
        assert_int_equal(json_array_size(rows), 300);
        for (size_t i = 0; i < 300; i++, next--)
            assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, i), "saga")),
                             next);
        assert_int_equal(json_integer_value(json_object_get(reply, "before")), next + 1);
        snprintf(request, sizeof request, "{\"do\":\"list\",\"limit\":300,\"before\":%d}\n",
                 (int)next + 1);
        json_decref(reply);
    }
    close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_changes_something_is_answered_when_it_is_durable),
        TEST(two_requests_in_one_packet_are_answered_in_their_order),
        TEST(garbage_is_refused_with_a_sentence_and_cut),
        TEST(a_request_that_is_none_is_refused_and_the_next_one_served),
        TEST(a_line_that_is_too_long_is_refused_and_cut),
        TEST(half_a_line_for_ever_is_cut),
        TEST(one_client_too_many_is_told_so_until_another_leaves),
        TEST(a_client_that_leaves_has_asked_all_the_same),
        TEST(a_socket_that_was_left_behind_is_replaced_and_another_file_is_not),
        TEST(a_directory_with_a_long_path_has_a_socket_too),
        TEST(closing_answers_what_is_durable_and_refuses_the_rest),
        TEST(a_look_at_all_sagas_takes_several_turns_and_misses_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
