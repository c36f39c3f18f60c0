#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/partition/endings.h"

#define LARGE 262144u

static struct endings endings;
static uint8_t *bytes;

static int set_up(void **state)
{
    (void)state;
    bytes = calloc(1, LARGE);
    return bytes != NULL && endings_init(&endings, 1000) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    endings_fini(&endings);
    free(bytes);
    return 0;
}

static struct flyover_bytes filled(uint8_t with, uint32_t count)
{
    memset(bytes, with, count);
    return (struct flyover_bytes){bytes, count};
}

static void add(uint64_t effect, uint32_t output_bytes)
{
    const struct ending ending = {.effect = effect, .index = (uint32_t)effect};
    uint8_t error[] = {(uint8_t)effect, 0xee};
    endings_add(&endings, &ending, filled((uint8_t)effect, output_bytes),
                (struct flyover_bytes){error, sizeof error});
}

/* Takes the next one and says whether its output is there. */
static bool take(uint64_t effect, uint32_t output_bytes)
{
    struct flyover_bytes output, error;
    assert_true(endings_is_next(&endings, effect));
    const struct ending *ending = endings_take(&endings, &output, &error);
    assert_int_equal(ending->index, effect);
    assert_int_equal(error.count, 2);
    assert_int_equal(error.at[0], (uint8_t)effect);
    assert_int_equal(output.count, ending->output_omitted ? 0 : output_bytes);
    for (uint32_t i = 0; i < output.count; i++)
        assert_int_equal(output.at[i], (uint8_t)effect);
    bool there = !ending->output_omitted;
    endings_release(&endings);
    return there;
}

static void an_ending_comes_with_the_reply_it_belongs_to(void **state)
{
    (void)state;
    assert_false(endings_is_next(&endings, 0));
    add(3, 10);
    add(7, 0);
    assert_false(endings_is_next(&endings, 0));
    assert_true(take(3, 10));
    assert_false(endings_is_next(&endings, 3));
    assert_false(endings_is_next(&endings, 6));
    assert_true(take(7, 0));
    assert_false(endings_is_next(&endings, 7));
}

static void what_has_no_room_is_left_out_and_said_to_be(void **state)
{
    (void)state;
    uint32_t there = 0, count = ENDINGS_BYTES / LARGE + 10;
    for (uint32_t i = 0; i < count; i++)
        add(i, LARGE);
    for (uint32_t i = 0; i < count; i++)
        there += take(i, LARGE);
    assert_in_range(there, ENDINGS_BYTES / LARGE / 2, ENDINGS_BYTES / LARGE);
    /* And then there is room again. */
    add(count, LARGE);
    assert_true(take(count, LARGE));
}

static void memory_goes_round_whatever_the_sizes(void **state)
{
    (void)state;
    uint64_t added = 0, taken = 0, there = 0;
    uint32_t seed = 1;
    uint32_t sizes[16];
    while (taken < 5000) {
        seed = seed * 1664525u + 1013904223u;
        if (added - taken < 16 && seed >> 31 == 0) {
            sizes[added % 16] = (seed >> 8) % LARGE;
            add(added, sizes[added % 16]);
            added++;
        } else if (taken < added) {
            there += take(taken, sizes[taken % 16]);
            taken++;
        }
    }
    assert_int_equal(there, taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ending_comes_with_the_reply_it_belongs_to),
        TEST(what_has_no_room_is_left_out_and_said_to_be),
        TEST(memory_goes_round_whatever_the_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
