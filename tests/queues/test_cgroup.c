#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queues/cgroup.h"

/* A folder that holds `membership`, as /proc/self/cgroup, and `mount`, as /sys/fs/cgroup. */
static char root[] = "/tmp/flyover_cgroup_XXXXXX";

static int setup(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    return mkdtemp(root) == NULL;
}

static int teardown(void **state)
{
    (void)state;
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

/* Writes a file under the root and makes the folders above it. */
static void given(const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static uint32_t cpus_allowed(void)
{
    char membership_path[PATH_MAX], mount_path[PATH_MAX];
    snprintf(membership_path, sizeof membership_path, "%s/membership", root);
    snprintf(mount_path, sizeof mount_path, "%s/mount", root);
    return cgroup_cpus_allowed(membership_path, mount_path);
}

static void without_files_there_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(cpus_allowed(), CGROUP_NO_LIMIT);
    given("membership", "0::/a\n3:cpu,cpuacct:/a\n");
    assert_int_equal(cpus_allowed(), CGROUP_NO_LIMIT);
}

static void version_2_quota_is_rounded_up(void **state)
{
    (void)state;
    given("membership", "0::/a\n");
    given("mount/a/cpu.max", "200000 100000\n");
    assert_int_equal(cpus_allowed(), 2);
    given("mount/a/cpu.max", "200001 100000\n");
    assert_int_equal(cpus_allowed(), 3);
    given("mount/a/cpu.max", "1000 100000\n");
    assert_int_equal(cpus_allowed(), 1);
    given("mount/a/cpu.max", "0 100000\n");
    assert_int_equal(cpus_allowed(), 1);
    given("mount/a/cpu.max", "max 100000\n");
    assert_int_equal(cpus_allowed(), CGROUP_NO_LIMIT);
}

static void the_smallest_quota_on_the_way_up_counts(void **state)
{
    (void)state;
    given("membership", "0::/a/b/c\n");
    given("mount/a/b/c/cpu.max", "max 100000\n");
    given("mount/a/b/cpu.max", "300000 100000\n");
    given("mount/a/cpu.max", "800000 100000\n");
    assert_int_equal(cpus_allowed(), 3);
    given("mount/cpu.max", "200000 100000\n");
    assert_int_equal(cpus_allowed(), 2);
}

static void a_path_of_the_host_ends_at_the_container_root(void **state)
{
    (void)state;
    given("membership", "0::/system.slice/container-17.scope\n");
    given("mount/cpu.max", "400000 100000\n");
    assert_int_equal(cpus_allowed(), 4);
}

static void version_1_quota_is_found_among_other_controllers(void **state)
{
    (void)state;
    given("membership", "5:cpuset:/x\n4:cpuacct,cpu:/a\n3:c:/y\n0::/\n");
    given("mount/cpu/a/cpu.cfs_quota_us", "150000\n");
    given("mount/cpu/a/cpu.cfs_period_us", "100000\n");
    given("mount/cpu/x/cpu.cfs_quota_us", "1000\n");
    given("mount/cpu/x/cpu.cfs_period_us", "1000\n");
    given("mount/cpu/y/cpu.cfs_quota_us", "1000\n");
    given("mount/cpu/y/cpu.cfs_period_us", "1000\n");
    assert_int_equal(cpus_allowed(), 2);
    given("mount/cpu/a/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cpus_allowed(), CGROUP_NO_LIMIT);
}

static void files_that_make_no_sense_are_no_limit(void **state)
{
    (void)state;
    given("membership", "nonsense\n\n0:\n0::/a\n");
    const char *const texts[] = {"",           "five\n",      "5\n",
                                 "100000 0\n", "100000 -5\n", "9223372036854775807 1\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        given("mount/a/cpu.max", texts[i]);
        assert_int_equal(cpus_allowed(), CGROUP_NO_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_files_there_is_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(version_2_quota_is_rounded_up, setup, teardown),
        cmocka_unit_test_setup_teardown(the_smallest_quota_on_the_way_up_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_path_of_the_host_ends_at_the_container_root, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(version_1_quota_is_found_among_other_controllers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(files_that_make_no_sense_are_no_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
