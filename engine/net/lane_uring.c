/*
 * The ring as a transport needs it, and what to say where there is none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "engine/net/lane.h"

/* Completions of many connections may come between two turns; the kernel keeps what is over. */
#define COMPLETIONS_PER_ENTRY 8u

static int disabled_by_sysctl(void)
{
    int value = 0;
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    if (file != NULL) {
        if (fscanf(file, "%d", &value) != 1)
            value = 0;
        fclose(file);
    }
    return value;
}

static enum status forbidden(struct problem *problem)
{
    int value = disabled_by_sysctl();
    if (value == 2)
        return problem_set(problem, STATUS_UNSUPPORTED,
                           "io_uring is forbidden on this machine: sysctl kernel.io_uring_disabled "
                           "is 2; allow it with `sysctl kernel.io_uring_disabled=0`");
    if (value == 1)
        return problem_set(problem, STATUS_UNSUPPORTED,
                           "io_uring is forbidden to this user: sysctl kernel.io_uring_disabled is "
                           "1; set it to 0, or put the user into the group that "
                           "kernel.io_uring_group names");
    return problem_set(problem, STATUS_UNSUPPORTED,
                       "io_uring is forbidden here by a seccomp filter, as containers have one: "
                       "allow io_uring_setup, io_uring_enter and io_uring_register in its profile "
                       "(docker and podman: --security-opt seccomp=PROFILE)");
}

static enum status too_old(struct problem *problem, const char *what)
{
    struct utsname name;
    uname(&name);
    return problem_set(problem, STATUS_UNSUPPORTED,
                       "%s (this is Linux %s): io_uring is needed as Linux 6.1 has it", what,
                       name.release);
}

static enum status uring_problem(int error, struct problem *problem)
{
    switch (error) {
    case EPERM:
    case EACCES: return forbidden(problem);
    case ENOSYS:
        return too_old(problem,
                       "there is no io_uring in this kernel, or a seccomp filter hides it");
    case EINVAL: return too_old(problem, "the io_uring of this kernel is too old");
    case ENOMEM:
        return problem_set(problem, STATUS_NO_MEMORY,
                           "no memory for io_uring: raise the limit of locked memory (ulimit -l, "
                           "LimitMEMLOCK= of systemd)");
    default:
        return problem_set(problem, STATUS_IO, "io_uring cannot be set up: %s", strerror(error));
    }
}

/* Disabled until the first turn, so that the thread which turns is the one that the kernel takes
 * for the ring's own (SINGLE_ISSUER). */
enum status lane_uring_open(struct io_uring *uring, uint32_t entries, struct problem *problem)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
        .cq_entries = entries * COMPLETIONS_PER_ENTRY,
    };
    int error = io_uring_queue_init_params(entries, uring, &params);
    return error == 0 ? STATUS_OK : uring_problem(-error, problem);
}

enum status transport_probe(struct problem *problem)
{
    struct io_uring uring;
    enum status status = lane_uring_open(&uring, 8, problem);
    if (status == STATUS_OK)
        io_uring_queue_exit(&uring);
    return status;
}
