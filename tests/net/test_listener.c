/*
 * Where a transport listens, and what it says when it cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/net/transport_rig.h"

static char folder[] = "/tmp/flyover-listen-XXXXXX";
static char unix_path[64], unix_address[80];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(unix_path, sizeof unix_path, "%s/sock", folder);
    snprintf(unix_address, sizeof unix_address, "unix:%s", unix_path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(unix_path);
    return rmdir(folder);
}

static void expect_problem(const char *address, enum status status, const char *why)
{
    struct transport *transport = NULL;
    struct problem problem = {0};
    struct transport_options options = rig_options(0);
    options.listen[0] = address;
    enum status is = transport_open(&options, &transport, &problem);
    if (is != status || strstr(problem.text, why) == NULL)
        fail_msg("%s: %s: %s", address, status_name(is), problem.text);
    assert_null(transport);
    assert_non_null(strstr(problem.text, address));
}

static void serve_one_at(struct rig *rig, uint32_t index, const char *expected_peer)
{
    rig->echoes = true;
    char back[5], peer[TRANSPORT_ADDRESS_BYTES];
    int fd = rig_connect(rig, index, 0);
    transport_peer(rig->transport, rig->last_opened, peer);
    assert_memory_equal(peer, expected_peer, strlen(expected_peer));
    rig_peer_write(rig, fd, "hello", 5);
    rig_peer_read(rig, fd, back, 5);
    assert_memory_equal(back, "hello", 5);
    close(fd);
    rig_until_closed(rig, rig->opened);
}

static void three_kinds_of_addresses_are_listened_at_together(void **state)
{
    (void)state;
    for (uint32_t threads = 0; threads <= 2; threads += 2) {
        struct rig rig;
        struct transport_options options = rig_options(threads);
        options.listen[1] = "[::1]:0";
        options.listen[2] = unix_address;
        options.listen_count = 3;
        rig_open(&rig, &options);
        char address[TRANSPORT_ADDRESS_BYTES];
        transport_address(rig.transport, 0, address);
        assert_memory_equal(address, "127.0.0.1:", 10);
        assert_true(atoi(address + 10) > 0);
        transport_address(rig.transport, 1, address);
        assert_memory_equal(address, "[::1]:", 6);
        transport_address(rig.transport, 2, address);
        assert_string_equal(address, unix_address);
        serve_one_at(&rig, 0, "127.0.0.1:");
        serve_one_at(&rig, 1, "[::1]:");
        serve_one_at(&rig, 2, "unix");
        rig_close(&rig);
        assert_int_equal(access(unix_path, F_OK), -1);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "7233",
                                        "localhost:7233",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:x",
                                        "127.0.0.1:70000",
                                        "127.0.0.1:999999",
                                        "[::1]",
                                        "[::1]7233",
                                        "[::g]:7233",
                                        "::1:7233",
                                        "1.2.3.4.5:80",
                                        "127.0.0.1:-1",
                                        "[::1]:7233 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_problem(wrong[i], STATUS_INVALID, "is no address to listen at");
    expect_problem("192.0.2.1:0", STATUS_INVALID, "is no address of this machine");
    expect_problem("unix:", STATUS_INVALID, "1 to 107 bytes");
    expect_problem("unix:/tmp/"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                   STATUS_INVALID, "1 to 107 bytes");
    expect_problem("unix:/no/such/folder/sock", STATUS_INVALID, "folder does not exist");
}

static void an_address_that_is_taken_is_in_use(void **state)
{
    (void)state;
    struct rig rig;
    struct transport_options options = rig_options(0);
    options.listen[1] = unix_address;
    options.listen_count = 2;
    rig_open(&rig, &options);
    char address[TRANSPORT_ADDRESS_BYTES];
    transport_address(rig.transport, 0, address);
    expect_problem(address, STATUS_IN_USE, "in use by another process");
    expect_problem(unix_address, STATUS_IN_USE, "in use by another process");
    serve_one_at(&rig, 1, "unix");
    rig_close(&rig);
}

/* As an engine leaves it that was killed. */
static void leave_a_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(access(unix_path, F_OK), 0);
}

static void a_unix_socket_left_behind_is_replaced(void **state)
{
    (void)state;
    leave_a_socket();
    struct rig rig;
    struct transport_options options = rig_options(0);
    options.listen[0] = unix_address;
    rig_open(&rig, &options);
    serve_one_at(&rig, 0, "unix");
    rig_close(&rig);
    assert_int_equal(access(unix_path, F_OK), -1);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    FILE *file = fopen(unix_path, "we");
    assert_non_null(file);
    fputs("precious", file);
    fclose(file);
    expect_problem(unix_address, STATUS_IN_USE, "in use");
    struct stat is;
    assert_int_equal(stat(unix_path, &is), 0);
    assert_int_equal(is.st_size, 8);
    unlink(unix_path);
}

static void the_socket_of_a_successor_is_not_removed(void **state)
{
    (void)state;
    struct rig rig;
    struct transport_options options = rig_options(0);
    options.listen[0] = unix_address;
    rig_open(&rig, &options);
    unlink(unix_path);
    leave_a_socket();
    rig_close(&rig);
    assert_int_equal(access(unix_path, F_OK), 0);
    unlink(unix_path);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct transport *transport;
    struct problem problem;
    struct transport_options options = rig_options(0);
    options.recv_buffers = 3;
    assert_int_equal(transport_open(&options, &transport, &problem), STATUS_INVALID);
    options.recv_buffers = 65536;
    assert_int_equal(transport_open(&options, &transport, &problem), STATUS_INVALID);
    options = rig_options(TRANSPORT_THREADS_MAX + 1);
    assert_int_equal(transport_open(&options, &transport, &problem), STATUS_INVALID);
    options = rig_options(0);
    options.connections_max = 0;
    assert_int_equal(transport_open(&options, &transport, &problem), STATUS_INVALID);
    options = rig_options(0);
    options.listen_count = TRANSPORT_LISTENERS_MAX + 1;
    assert_int_equal(transport_open(&options, &transport, &problem), STATUS_INVALID);
}

/* ---- in a child that may less ------------------------------------------------------------------
 * 77: the child could not be made so.
 */

static void expect_child(int (*run)(void))
{
    pid_t child = fork();
    if (child == 0)
        _exit(run());
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    if (WEXITSTATUS(result) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(result), 0);
}

static int listen_as_nobody(void)
{
    if (getuid() == 0 && (chmod(folder, 0700) != 0 || setuid(65534) != 0))
        return 77;
    if (access(folder, W_OK) == 0)
        return 77;
    struct transport *transport;
    struct problem problem;
    struct transport_options options = rig_options(0);
    options.listen[0] = unix_address;
    return transport_open(&options, &transport, &problem) == STATUS_NO_PERMISSION &&
                   strstr(problem.text, unix_address) != NULL
               ? 0
               : 1;
}

static void a_folder_that_may_not_be_written_is_named(void **state)
{
    (void)state;
    expect_child(listen_as_nobody);
}

static bool forbid_io_uring(uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int probe_says(uint32_t error, const char *why)
{
    struct problem problem = {0};
    struct transport *transport;
    struct transport_options options = rig_options(2);
    if (!forbid_io_uring(error))
        return 77;
    if (transport_probe(&problem) != STATUS_UNSUPPORTED || strstr(problem.text, why) == NULL)
        return 1;
    return transport_open(&options, &transport, &problem) == STATUS_UNSUPPORTED ? 0 : 2;
}

static int forbidden(void)
{
    return probe_says(EPERM, "seccomp filter");
}

static int missing(void)
{
    return probe_says(ENOSYS, "no io_uring in this kernel");
}

static int too_old(void)
{
    return probe_says(EINVAL, "Linux 6.1");
}

static void where_io_uring_is_forbidden_it_is_said_by_what(void **state)
{
    (void)state;
    struct problem problem;
    assert_int_equal(transport_probe(&problem), STATUS_OK);
    expect_child(forbidden);
    expect_child(missing);
    expect_child(too_old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_kinds_of_addresses_are_listened_at_together),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(an_address_that_is_taken_is_in_use),
        cmocka_unit_test(a_unix_socket_left_behind_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(the_socket_of_a_successor_is_not_removed),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_folder_that_may_not_be_written_is_named),
        cmocka_unit_test(where_io_uring_is_forbidden_it_is_said_by_what),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
