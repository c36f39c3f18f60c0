#include "queues/cgroup.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static uint32_t smaller(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

static uint32_t cpus_of(long long quota_us, long long period_us)
{
    if (quota_us < 0 || period_us <= 0)
        return CGROUP_NO_LIMIT;
    long long cpus_count = quota_us / period_us + (quota_us % period_us != 0);
    if (cpus_count >= CGROUP_NO_LIMIT)
        return CGROUP_NO_LIMIT;
    return cpus_count < 1 ? 1 : (uint32_t)cpus_count;
}

/* Reads the numbers at the start of a file and returns how many of the two there were: none too
 * when the path is too long to be one, or the file is not there. */
__attribute__((format(printf, 3, 4))) static int
read_numbers(long long *ret_first, long long *ret_second, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int count = fscanf(file, "%lld %lld", ret_first, ret_second);
    fclose(file);
    return count < 0 ? 0 : count;
}

/* Version 2 writes `max 100000` for no limit, of which no number is read. */
static uint32_t group_v2(const char *mount_path, const char *group)
{
    long long quota_us, period_us;
    if (read_numbers(&quota_us, &period_us, "%s%s/cpu.max", mount_path, group) != 2)
        return CGROUP_NO_LIMIT;
    return cpus_of(quota_us, period_us);
}

/* Version 1 writes -1 for no limit. */
static uint32_t group_v1(const char *mount_path, const char *group)
{
    long long quota_us, period_us, ignored;
    const char *prefix = "cpu.cfs";
    if (read_numbers(&quota_us, &ignored, "%s/cpu%s/%s_quota_us", mount_path, group, prefix) < 1 ||
        read_numbers(&period_us, &ignored, "%s/cpu%s/%s_period_us", mount_path, group, prefix) < 1)
        return CGROUP_NO_LIMIT;
    return cpus_of(quota_us, period_us);
}

static bool lists_cpu(const char *controllers)
{
    size_t length;
    for (const char *name = controllers; *name != '\0'; name += length + (name[length] == ',')) {
        length = strcspn(name, ",");
        if (length == strlen("cpu") && strncmp(name, "cpu", length) == 0)
            return true;
    }
    return false;
}

/* `line` is hierarchy:controllers:group, and is written on. Version 2's names no controllers. */
static uint32_t line_cpus(char *line, const char *mount_path)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL)
        return CGROUP_NO_LIMIT;
    *controllers++ = '\0';
    *group++ = '\0';
    bool is_v2 = strcmp(line, "0") == 0 && *controllers == '\0';
    if (!is_v2 && !lists_cpu(controllers))
        return CGROUP_NO_LIMIT;

    uint32_t cpus_count = CGROUP_NO_LIMIT;
    for (;;) {
        uint32_t here = is_v2 ? group_v2(mount_path, group) : group_v1(mount_path, group);
        cpus_count = smaller(cpus_count, here);
        char *last = strrchr(group, '/');
        if (last == NULL)
            return cpus_count;
        *last = '\0';
    }
}

uint32_t cgroup_cpus_allowed(const char *membership_path, const char *mount_path)
{
    uint32_t cpus_count = CGROUP_NO_LIMIT;
    FILE *file = fopen(membership_path, "re");
    if (file == NULL)
        return cpus_count;
    char line[PATH_MAX + 256];
    while (fgets(line, sizeof line, file) != NULL)
        cpus_count = smaller(cpus_count, line_cpus(line, mount_path));
    fclose(file);
    assert(cpus_count > 0);
    return cpus_count;
}
