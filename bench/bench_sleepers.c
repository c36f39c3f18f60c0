/*
 * Ten million sagas that sleep, a timer each: what they take of memory, and how long a start takes
 * that finds them, from a checkpoint after an orderly stop and from the journal after a kill.
 *
 *     bench_sleepers [SAGAS [DIR]]
 */
#include <assert.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/partition/partition.h"

#define SAGAS_DEFAULT 10000000u

static const char definition[] =
    "{\"StartAt\":\"Sleep\",\"States\":{\"Sleep\":{\"Type\":\"Wait\",\"Seconds\":2592000,"
    "\"End\":true}}}";
/* {"order": 12345678} */
static const uint8_t input[] = "\x81\xa5order\xce\x00\xbc\x61\x4e";

static const char *directory = "/tmp/flyover-bench-sleepers";
static uint32_t sagas_count = SAGAS_DEFAULT;

static double memory_mib(const char *field)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    double mib = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            mib = strtod(line + strlen(field) + 1, NULL) / 1024;
    if (status != NULL)
        fclose(status);
    return mib;
}

static struct partition *start(void)
{
    struct partition_options options = {
        .directory = directory,
        .durability = DURABILITY_SYNC,
        .limits = {.sagas_max = sagas_count, .payload_bytes_max = 2ull << 30},
        .history_bytes = PARTITION_HISTORY_BYTES_DEFAULT,
        .checkpoint_bytes = PARTITION_CHECKPOINT_BYTES_DEFAULT,
        .pin = true,
    };
    struct partition *partition;
    struct problem problem = {0};
    if (partition_open(&options, &partition, &problem) != STATUS_OK) {
        fprintf(stderr, "bench_sleepers: %s\n", problem.text);
        exit(1);
    }
    return partition;
}

static void turn(struct partition *partition, bool may_wait)
{
    bool worked;
    struct problem problem = {0};
    if (partition_poll(partition, &worked, &problem) != STATUS_OK) {
        fprintf(stderr, "bench_sleepers: %s\n", problem.text);
        exit(1);
    }
    if (!worked && may_wait)
        partition_wait(partition, 1000000);
}

static void fill(struct partition *partition)
{
    struct problem problem = {0};
    uint32_t plan;
    enum status status = partition_define(partition, "sleeper", "sleeper", definition,
                                          strlen(definition), &plan, &problem);
    assert(status == STATUS_OK);
    struct flyover_bytes bytes = {input, sizeof input - 1};
    for (uint32_t i = 0; i < sagas_count;) {
        for (uint32_t batch = 0; batch < 1024 && i < sagas_count; batch++, i++)
            if (partition_start(partition, plan, EVENT_NO_SOURCE, bytes, 0) != STATUS_OK)
                break;
        turn(partition, false);
    }
    while (!partition_is_quiet(partition))
        turn(partition, true);
}

static void report(const char *what, uint64_t since_ns)
{
    printf("%-44s %7.2f s   resident %7.0f MiB, at most %7.0f MiB\n", what,
           (double)(clock_now_ns() - since_ns) / 1e9, memory_mib("VmRSS"), memory_mib("VmHWM"));
    fflush(stdout);
}

/* In a process of its own, so that the memory is that of one life. */
static void run_apart(void (*life)(void))
{
    pid_t child = fork();
    if (child == 0) {
        life();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
}

static void begin_and_be_killed(void)
{
    uint64_t since_ns = clock_now_ns();
    struct partition *partition = start();
    fill(partition);
    report("all started, asleep and durable", since_ns);
    kill(getpid(), SIGKILL);
}

static void restart(const char *what, bool stop)
{
    uint64_t since_ns = clock_now_ns();
    struct partition *partition = start();
    turn(partition, false);
    report(what, since_ns);
    assert(core_sagas_live(partition_state(partition)->core) == sagas_count);
    since_ns = clock_now_ns();
    struct problem problem = {0};
    enum status status = stop ? partition_stop(partition, NULL, &problem) : STATUS_OK;
    assert(status == STATUS_OK);
    if (stop)
        report("stopped, with a checkpoint", since_ns);
}

static void restart_from_journal(void)
{
    restart("started again after a kill", true);
}

static void restart_from_checkpoint(void)
{
    restart("started again after a stop", false);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        sagas_count = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        directory = argv[2];
    if (sagas_count == 0 || sagas_count > CORE_SAGAS_MAX) {
        fprintf(stderr, "bench_sleepers: 1 to %u sagas\n", CORE_SAGAS_MAX);
        return 2;
    }
    printf("%u sleeping sagas, durability sync, %s\n", sagas_count, directory);
    fflush(stdout);
    journal_setup();
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    run_apart(begin_and_be_killed);
    run_apart(restart_from_journal);
    run_apart(restart_from_checkpoint);
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
