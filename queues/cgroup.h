/*
 * cgroup: how many CPUs the control group of this process may use.
 *
 * Reads files only; any thread, no state. Knows version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us, cpu.cfs_period_us). A quota set on any group above ours binds too, so the
 * smallest on the way up to the mount counts. In a container whose own group is mounted as the
 * root, the path that the kernel names does not exist under the mount; the way up then ends at the
 * container's group all the same.
 *
 * Source: Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst of the kernel.
 */
#ifndef QUEUES_CGROUP_H
#define QUEUES_CGROUP_H

#include <stdint.h>

#define CGROUP_NO_LIMIT        UINT32_MAX
#define CGROUP_MEMBERSHIP_PATH "/proc/self/cgroup"
#define CGROUP_MOUNT_PATH      "/sys/fs/cgroup"

/* The quota in CPUs, rounded up, at least 1; CGROUP_NO_LIMIT where there is none or it cannot be
 * read. The two paths are the constants above, but for tests. */
uint32_t cgroup_cpus_allowed(const char *membership_path, const char *mount_path);

#endif
