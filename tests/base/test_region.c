#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/region.h"

#define HUGE_BYTES   (2u << 20)
#define REGION_BYTES (8ull * HUGE_BYTES)
#define PAGE_BYTES   4096u

/* How much of the mapping that the region begins or lies in is in huge pages; 0: none is. */
static uint64_t huge_bytes(const void *region)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    char line[512];
    bool is_inside = false;
    uint64_t kib = 0;
    while (fgets(line, sizeof line, smaps) != NULL) {
        uint64_t start, end, found;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
            is_inside = start <= (uintptr_t)region + REGION_BYTES / 2 &&
                        (uintptr_t)region + REGION_BYTES / 2 < end;
        else if (is_inside && sscanf(line, "AnonHugePages: %" SCNu64, &found) == 1)
            kib = found;
    }
    fclose(smaps);
    return kib * 1024;
}

static void touch(uint8_t *region, uint8_t value)
{
    for (uint64_t at = 0; at < REGION_BYTES; at += PAGE_BYTES)
        region[at] = value;
}

/* Writes while a child is there, so that the pages that are written are copied. */
static void touch_beside_child(uint8_t *region, uint8_t value)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    touch(region, value);
    close(ends[1]);
    int exit_status = 0;
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    assert_int_equal(exit_status, 0);
}

static void what_a_fork_has_cut_is_huge_again_when_mended(void **state)
{
    (void)state;
    uint8_t *region = region_map(REGION_BYTES, REGION_STATE);
    assert_non_null(region);
    touch(region, 1);
    uint64_t first_bytes = huge_bytes(region);
    touch_beside_child(region, 2);
    if (first_bytes < REGION_BYTES - 2 * HUGE_BYTES || huge_bytes(region) >= first_bytes) {
        region_unmap(region, REGION_BYTES);
        skip(); /* no huge pages here, or a kernel that does not cut them */
    }
    region_mend();
    uint64_t mended_bytes = huge_bytes(region);
    for (uint64_t at = 0; at < REGION_BYTES; at += PAGE_BYTES)
        assert_int_equal(region[at], 2);
    region_unmap(region, REGION_BYTES);
    assert_true(mended_bytes >= first_bytes);
}

static _Atomic bool mended;

static void *mend(void *argument)
{
    for (int i = 0; i < 8; i++)
        region_mend();
    atomic_store(&mended, true);
    return argument;
}

static void nothing_written_meanwhile_is_lost(void **state)
{
    (void)state;
    uint8_t *region = region_map(REGION_BYTES, REGION_STATE);
    assert_non_null(region);
    touch(region, 1);
    touch_beside_child(region, 0);
    pthread_t thread;
    atomic_store(&mended, false);
    assert_int_equal(pthread_create(&thread, NULL, mend, NULL), 0);
    uint32_t rounds = 0;
    for (; rounds < 3 || !atomic_load(&mended); rounds++)
        for (uint64_t at = 0; at < REGION_BYTES; at += PAGE_BYTES)
            assert_int_equal(region[at]++, (uint8_t)rounds);
    pthread_join(thread, NULL);
    region_unmap(region, REGION_BYTES);
}

static void regions_may_come_and_go_while_others_are_mended(void **state)
{
    (void)state;
    uint8_t *lasting = region_map(REGION_BYTES, REGION_STATE);
    assert_non_null(lasting);
    touch(lasting, 7);
    pthread_t thread;
    atomic_store(&mended, false);
    assert_int_equal(pthread_create(&thread, NULL, mend, NULL), 0);
    for (uint32_t i = 0; i < 3 || !atomic_load(&mended); i++) {
        uint8_t *passing = region_map(REGION_BYTES, REGION_STATE);
        assert_non_null(passing);
        touch(passing, 3);
        region_unmap(passing, REGION_BYTES);
    }
    pthread_join(thread, NULL);
    for (uint64_t at = 0; at < REGION_BYTES; at += PAGE_BYTES)
        assert_int_equal(lasting[at], 7);
    region_unmap(lasting, REGION_BYTES);
}

/* mincore tells of what is not mapped by an error. */
static void a_child_has_state_and_no_scratch(void **state)
{
    (void)state;
    uint8_t *of_state = region_map(PAGE_BYTES, REGION_STATE);
    uint8_t *scratch = region_map(PAGE_BYTES, REGION_SCRATCH);
    assert_non_null(of_state);
    assert_non_null(scratch);
    of_state[0] = 9;
    scratch[0] = 9;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsigned char is_there;
        bool right = of_state[0] == 9 && mincore(scratch, PAGE_BYTES, &is_there) != 0;
        _exit(right ? 0 : 1);
    }
    int exit_status = 1;
    assert_int_equal(waitpid(child, &exit_status, 0), child);
    region_unmap(of_state, PAGE_BYTES);
    region_unmap(scratch, PAGE_BYTES);
    assert_int_equal(exit_status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_fork_has_cut_is_huge_again_when_mended),
        cmocka_unit_test(nothing_written_meanwhile_is_lost),
        cmocka_unit_test(regions_may_come_and_go_while_others_are_mended),
        cmocka_unit_test(a_child_has_state_and_no_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
