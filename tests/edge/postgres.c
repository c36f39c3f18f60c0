#include "tests/edge/postgres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 60000

static void be_nobody(void)
{
    const struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;
    if (nobody && (setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
}

/* `out`: where its stderr goes, or -1: nowhere. */
static pid_t spawn(const struct postgres *postgres, const char *name, char *const *arguments,
                   int out)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", postgres->binaries, name);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    be_nobody();
    int nowhere = open("/dev/null", O_RDWR);
    dup2(nowhere, 0);
    dup2(nowhere, 1);
    dup2(out < 0 ? nowhere : out, 2);
    if (chdir(postgres->directory) == 0)
        execv(path, arguments);
    _exit(127);
}

static void wait_for(pid_t pid, int *ret_status)
{
    while (waitpid(pid, ret_status, 0) < 0)
        assert_int_equal(errno, EINTR);
}

static bool find_binaries(struct postgres *postgres)
{
    glob_t found;
    bool is_there = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0;
    if (is_there) {
        const char *path = found.gl_pathv[found.gl_pathc - 1];
        snprintf(postgres->binaries, sizeof postgres->binaries, "%.*s",
                 (int)(strlen(path) - strlen("/initdb")), path);
    }
    globfree(&found);
    return is_there;
}

/* The server may take it too, since neither listens on a port that the other has (SO_REUSEADDR). */
static int hold_port(int *ret_port)
{
    int yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t count = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, count), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &count), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

bool postgres_open(struct postgres *postgres)
{
    if (!find_binaries(postgres)) {
        print_message("skipped: no PostgreSQL server in /usr/lib/postgresql; apt-get install "
                      "postgresql\n");
        return false;
    }
    strcpy(postgres->directory, "/tmp/flyover-postgres-XXXXXX");
    assert_non_null(mkdtemp(postgres->directory));
    const struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;
    if (nobody)
        assert_int_equal(chown(postgres->directory, nobody->pw_uid, nobody->pw_gid), 0);
    char *arguments[] = {"initdb",   "-D",        "data", "-A",   "trust",      "-U",
                         "postgres", "--no-sync", "-E",   "UTF8", "--locale=C", NULL};
    int status;
    wait_for(spawn(postgres, "initdb", arguments, -1), &status);
    assert_int_equal(status, 0);
    postgres->held = hold_port(&postgres->port);
    postgres->log = -1;
    return true;
}

static void remove_directory(const struct postgres *postgres)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", postgres->directory, NULL);
        _exit(127);
    }
    int status;
    wait_for(pid, &status);
}

void postgres_close(struct postgres *postgres)
{
    if (postgres->pid)
        postgres_stop(postgres, SIGINT);
    close(postgres->held);
    remove_directory(postgres);
}

/* The server says it in its log. */
static void wait_until_ready(int log)
{
    char text[65536];
    size_t count = 0;
    struct pollfd fd = {.fd = log, .events = POLLIN};
    while (poll(&fd, 1, START_MS) == 1) {
        ssize_t more = read(log, text + count, sizeof text - 1 - count);
        count += more > 0 ? (size_t)more : 0;
        text[count] = 0;
        if (strstr(text, "ready to accept connections"))
            return;
        if (more <= 0)
            break;
    }
    text[count] = 0;
    fail_msg("the server did not start: %s", text);
}

void postgres_start(struct postgres *postgres)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    char port[16];
    snprintf(port, sizeof port, "%d", postgres->port);
    char *arguments[] = {"postgres",
                         "-D",
                         "data",
                         "-h",
                         "127.0.0.1",
                         "-p",
                         port,
                         "-k",
                         postgres->directory,
                         "-c",
                         postgres->is_durable ? "fsync=on" : "fsync=off",
                         "-c",
                         "log_min_messages=log",
                         "-c",
                         "log_checkpoints=off",
                         "-c",
                         "log_autovacuum_min_duration=-1",
                         NULL};
    postgres->pid = spawn(postgres, "postgres", arguments, ends[1]);
    close(ends[1]);
    wait_until_ready(ends[0]);
    postgres->log = ends[0];
}

void postgres_stop(struct postgres *postgres, int signal)
{
    int status;
    kill(postgres->pid, signal);
    wait_for(postgres->pid, &status);
    close(postgres->log);
    postgres->pid = 0;
}

PGconn *postgres_connect(const struct postgres *postgres)
{
    char text[192];
    snprintf(text, sizeof text, "host=%s port=%d user=postgres dbname=postgres",
             postgres->directory, postgres->port);
    PGconn *pg = PQconnectdb(text);
    if (PQstatus(pg) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(pg));
    PQclear(PQexec(pg, "SET client_min_messages = error"));
    return pg;
}

PGresult *postgres_run(PGconn *pg, const char *sql)
{
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    return result;
}

long long postgres_number(PGconn *pg, const char *sql)
{
    PGresult *result = postgres_run(pg, sql);
    assert_true(PQntuples(result) > 0);
    long long number = atoll(PQgetvalue(result, 0, 0));
    PQclear(result);
    return number;
}
