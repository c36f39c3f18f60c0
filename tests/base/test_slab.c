#include "engine/base/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGES_COUNT 16u

static int set_up(void **state)
{
    struct slab *slab = NULL;
    assert_int_equal(slab_open((uint64_t)PAGES_COUNT * SLAB_PAGE_BYTES, &slab), STATUS_OK);
    *state = slab;
    return 0;
}

static int tear_down(void **state)
{
    slab_close(*state);
    return 0;
}

/* xorshift: the same sizes in every run. */
static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Of every size class, and every edge of one. */
static uint32_t draw_bytes(uint64_t *seed)
{
    uint32_t bytes = 1u << (draw(seed) % 19);
    bytes += (uint32_t)(draw(seed) % 3) * bytes / 4 + (uint32_t)(draw(seed) % 20);
    return bytes > SLAB_OBJECT_BYTES_MAX ? SLAB_OBJECT_BYTES_MAX : bytes;
}

/* A pattern that belongs to one object alone, so that two that overlap are found out. */
static void paint(struct slab *slab, slab_ref ref, uint32_t colour)
{
    uint8_t *bytes = slab_bytes(slab, ref);
    for (uint32_t i = 0; i < slab_bytes_count(slab, ref); i++)
        bytes[i] = (uint8_t)(colour * 31 + i);
}

static void assert_painted(struct slab *slab, slab_ref ref, uint32_t colour)
{
    const uint8_t *bytes = slab_bytes(slab, ref);
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < slab_bytes_count(slab, ref); i++)
        wrong += bytes[i] != (uint8_t)(colour * 31 + i);
    assert_int_equal(wrong, 0);
}

static void a_region_of_nothing_or_too_much_is_refused(void **state)
{
    (void)state;
    struct slab *slab = NULL;
    assert_int_equal(slab_open(0, &slab), STATUS_INVALID);
    assert_int_equal(slab_open(SLAB_REGION_BYTES_MAX + 1, &slab), STATUS_INVALID);
    assert_int_equal(slab_open(UINT64_MAX, &slab), STATUS_INVALID);
    assert_null(slab);
    slab_close(NULL);
}

static void the_region_is_whole_pages(void **state)
{
    (void)state;
    struct slab *slab = NULL;
    assert_int_equal(slab_open(SLAB_PAGE_BYTES + 1, &slab), STATUS_OK);
    assert_int_equal(slab_region_bytes(slab), 2 * SLAB_PAGE_BYTES);
    assert_int_equal(slab_used_bytes(slab), 0);
    slab_close(slab);
}

static void an_object_has_the_size_asked_for_and_is_aligned(void **state)
{
    struct slab *slab = *state;
    for (uint32_t bytes = 1; bytes <= SLAB_OBJECT_BYTES_MAX; bytes += 1 + bytes / 7) {
        slab_ref ref = slab_acquire(slab, bytes);
        assert_int_not_equal(ref.at, SLAB_NONE.at);
        assert_int_equal(slab_bytes_count(slab, ref), bytes);
        assert_int_equal((uintptr_t)slab_bytes(slab, ref) % 8, 0);
        paint(slab, ref, bytes);
        assert_painted(slab, ref, bytes);
        slab_release(slab, ref);
    }
    slab_ref largest = slab_acquire(slab, SLAB_OBJECT_BYTES_MAX);
    assert_int_equal(slab_bytes_count(slab, largest), SLAB_OBJECT_BYTES_MAX);
    paint(slab, largest, 1);
    slab_release(slab, largest);
    assert_int_equal(slab_used_bytes(slab), 0);
}

static void no_two_objects_share_a_byte_whatever_comes_and_goes(void **state)
{
    enum { LIVE_MAX = 300, TURNS_COUNT = 20000 };
    struct slab *slab = *state;
    struct {
        slab_ref ref;
        uint32_t colour;
        uint32_t bytes;
    } live[LIVE_MAX] = {0};
    uint64_t seed = 88172645463325252;
    uint32_t refused_count = 0;
    for (uint32_t turn = 0; turn < TURNS_COUNT; turn++) {
        size_t at = draw(&seed) % LIVE_MAX;
        if (live[at].ref.at != 0) {
            assert_int_equal(slab_bytes_count(slab, live[at].ref), live[at].bytes);
            assert_painted(slab, live[at].ref, live[at].colour);
            slab_release(slab, live[at].ref);
            live[at].ref = SLAB_NONE;
            continue;
        }
        live[at].bytes = draw_bytes(&seed);
        live[at].colour = turn;
        live[at].ref = slab_acquire(slab, live[at].bytes);
        refused_count += live[at].ref.at == 0;
        if (live[at].ref.at != 0)
            paint(slab, live[at].ref, turn);
        assert_true(slab_used_bytes(slab) <= slab_region_bytes(slab));
    }
    assert_true(refused_count > 0 && refused_count < TURNS_COUNT / 4);
    for (size_t at = 0; at < LIVE_MAX; at++)
        slab_release(slab, live[at].ref);
    assert_int_equal(slab_used_bytes(slab), 0);
}

static void a_full_region_says_so_and_has_room_again_after_a_release(void **state)
{
    struct slab *slab = *state;
    slab_ref refs[PAGES_COUNT * 16];
    uint32_t count = 0;
    for (slab_ref ref = slab_acquire(slab, 100000); ref.at != 0; ref = slab_acquire(slab, 100000))
        refs[count++] = ref;
    assert_int_equal(count, PAGES_COUNT * 8 - 1); /* reference 0 is taken */
    assert_int_equal(slab_used_bytes(slab), slab_region_bytes(slab));
    assert_int_equal(slab_acquire(slab, 100000).at, 0);
    assert_int_equal(slab_acquire(slab, 1).at, 0);
    slab_release(slab, refs[--count]);
    refs[count] = slab_acquire(slab, 100000);
    assert_int_not_equal(refs[count++].at, 0);
    while (count > 0)
        slab_release(slab, refs[--count]);
    assert_int_equal(slab_used_bytes(slab), 0);
}

/* More classes than pages: a class that kept its last page would starve the others for good. */
static void an_empty_page_may_serve_another_class(void **state)
{
    struct slab *slab = *state;
    for (uint32_t bytes = 8; bytes <= SLAB_OBJECT_BYTES_MAX; bytes += bytes / 5 + 1) {
        slab_ref ref = slab_acquire(slab, bytes);
        assert_int_not_equal(ref.at, 0);
        slab_release(slab, ref);
        assert_int_equal(slab_used_bytes(slab), 0);
    }
    for (uint32_t page = 0; page < PAGES_COUNT * 3; page++)
        assert_int_not_equal(slab_acquire(slab, SLAB_OBJECT_BYTES_MAX).at, 0);
}

static void the_last_holder_frees_and_none_before(void **state)
{
    struct slab *slab = *state;
    slab_ref ref = slab_acquire(slab, 500);
    paint(slab, ref, 7);
    slab_retain(slab, ref);
    slab_retain(slab, ref);
    slab_release(slab, ref);
    slab_release(slab, ref);
    slab_ref other = slab_acquire(slab, 500);
    assert_int_not_equal(other.at, ref.at);
    paint(slab, other, 8);
    assert_painted(slab, ref, 7);
    slab_release(slab, ref);
    assert_int_equal(slab_acquire(slab, 500).at, ref.at);
}

static void releasing_no_object_does_nothing(void **state)
{
    struct slab *slab = *state;
    slab_release(slab, SLAB_NONE);
    assert_int_equal(slab_used_bytes(slab), 0);
}

static void what_was_freed_last_is_handed_out_first(void **state)
{
    struct slab *slab = *state;
    slab_ref first = slab_acquire(slab, 64), second = slab_acquire(slab, 64);
    slab_ref kept = slab_acquire(slab, 64);
    slab_release(slab, first);
    slab_release(slab, second);
    assert_int_equal(slab_acquire(slab, 64).at, second.at);
    assert_int_equal(slab_acquire(slab, 64).at, first.at);
    slab_release(slab, kept);
}

static void the_same_calls_give_the_same_references(void **state)
{
    struct slab *slab = *state, *twin = NULL;
    assert_int_equal(slab_open((uint64_t)PAGES_COUNT * SLAB_PAGE_BYTES, &twin), STATUS_OK);
    slab_ref live[64] = {0};
    uint64_t seed = 42;
    for (uint32_t turn = 0; turn < 5000; turn++) {
        size_t at = draw(&seed) % 64;
        if (live[at].at != 0) {
            slab_release(slab, live[at]);
            slab_release(twin, live[at]);
            live[at] = SLAB_NONE;
        } else {
            uint32_t bytes = draw_bytes(&seed);
            live[at] = slab_acquire(slab, bytes);
            assert_int_equal(slab_acquire(twin, bytes).at, live[at].at);
        }
        assert_int_equal(slab_used_bytes(slab), slab_used_bytes(twin));
    }
    slab_close(twin);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_of_nothing_or_too_much_is_refused),
        cmocka_unit_test(the_region_is_whole_pages),
        TEST(an_object_has_the_size_asked_for_and_is_aligned),
        TEST(no_two_objects_share_a_byte_whatever_comes_and_goes),
        TEST(a_full_region_says_so_and_has_room_again_after_a_release),
        TEST(an_empty_page_may_serve_another_class),
        TEST(the_last_holder_frees_and_none_before),
        TEST(releasing_no_object_does_nothing),
        TEST(what_was_freed_last_is_handed_out_first),
        TEST(the_same_calls_give_the_same_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
