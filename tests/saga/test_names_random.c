#include "tests/saga/names_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ORACLE_MAX = 64, NUMBERS = 150 };

/* The same rules on a plain list, oldest first. */
struct oracle {
    uint32_t names_max;
    uint32_t count;
    struct kept {
        uint32_t number;
        uint64_t saga_id;
        int64_t from_ms;
    } kept[ORACLE_MAX];
};

static bool oracle_past(const struct kept *kept, int64_t now_ms)
{
    return kept->from_ms + RETENTION_MS <= now_ms;
}

/* The place of the name, or count. */
static uint32_t oracle_place(const struct oracle *oracle, uint32_t number)
{
    uint32_t place = 0;
    while (place < oracle->count && oracle->kept[place].number != number)
        place++;
    return place;
}

static uint64_t oracle_find(const struct oracle *oracle, uint32_t number, int64_t now_ms)
{
    uint32_t place = oracle_place(oracle, number);
    if (place == oracle->count)
        return 0;
    const struct kept *kept = &oracle->kept[place];
    return oracle_past(kept, now_ms) && !rig_running[kept->saga_id] ? 0 : kept->saga_id;
}

static bool oracle_has_room(const struct oracle *oracle, int64_t now_ms)
{
    uint32_t place = 0;
    while (place < oracle->count && oracle_past(&oracle->kept[place], now_ms) &&
           rig_running[oracle->kept[place].saga_id])
        place++;
    return oracle->count < oracle->names_max ||
           (place < oracle->count && oracle_past(&oracle->kept[place], now_ms));
}

static struct kept oracle_take_oldest(struct oracle *oracle)
{
    struct kept oldest = oracle->kept[0];
    oracle->count--;
    memmove(oracle->kept, oracle->kept + 1, oracle->count * sizeof oldest);
    return oldest;
}

static void oracle_add(struct oracle *oracle, uint32_t number, uint64_t saga_id, int64_t now_ms)
{
    uint32_t count = oracle->count;
    for (uint32_t i = 0; i < count && oracle_past(&oracle->kept[0], now_ms); i++) {
        if (i >= NAMES_LOOK_MAX && oracle->count < oracle->names_max)
            break;
        struct kept oldest = oracle_take_oldest(oracle);
        oldest.from_ms = now_ms;
        if (rig_running[oldest.saga_id])
            oracle->kept[oracle->count++] = oldest;
    }
    uint32_t place = oracle_place(oracle, number);
    if (place < oracle->count) {
        struct kept oldest = oracle_take_oldest(oracle);
        if (place > 0)
            oracle->kept[place - 1] = oldest;
    }
    oracle->kept[oracle->count++] = (struct kept){number, saga_id, now_ms};
}

static void assert_as_oracle(const struct names *names, const struct oracle *oracle, int64_t now_ms)
{
    uint32_t wrong = 0;
    for (uint32_t number = 0; number < NUMBERS; number++)
        wrong +=
            rig_find(names, rig_numbered(number), now_ms) != oracle_find(oracle, number, now_ms);
    assert_int_equal(wrong, 0);
    assert_int_equal(names_count(names), oracle->count);
    assert_int_equal(rig_has_room(names, now_ms), oracle_has_room(oracle, now_ms));
}

/* Time goes on, stands, and once in a while goes back, or so far on that all have expired. */
static int64_t draw_step_ms(uint64_t *seed, uint32_t pace_ms)
{
    uint32_t kind = rig_draw(seed, 100);
    if (kind == 0)
        return -(int64_t)rig_draw(seed, RETENTION_MS);
    if (kind == 1)
        return RETENTION_MS;
    return kind < 30 ? 0 : (int64_t)rig_draw(seed, pace_ms);
}

struct figures {
    uint32_t added, known, refused, read;
};

/* `twin` gets the same calls, and is now and then replaced by what its image reads back as. */
static void run_random(uint64_t seed, uint32_t names_max, struct figures *figures)
{
    enum { TURNS = 3000 };
    struct oracle oracle = {.names_max = names_max};
    struct names *names = rig_open(names_max), *twin = rig_open(names_max);
    uint32_t pace_ms = 2 + rig_draw(&seed, 4 * RETENTION_MS / names_max);
    uint64_t saga_id = 0;
    int64_t now_ms = 0;
    memset(rig_running, 0, sizeof rig_running);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        now_ms += draw_step_ms(&seed, pace_ms);
        rig_running[1 + rig_draw(&seed, (uint32_t)saga_id + 1)] = false;
        uint32_t number = rig_draw(&seed, NUMBERS);
        if (oracle_find(&oracle, number, now_ms) != 0) {
            figures->known++;
        } else if (!oracle_has_room(&oracle, now_ms)) {
            figures->refused++;
        } else {
            rig_running[++saga_id] = rig_draw(&seed, 4) == 0;
            oracle_add(&oracle, number, saga_id, now_ms);
            rig_add(names, rig_numbered(number), saga_id, now_ms);
            rig_add(twin, rig_numbered(number), saga_id, now_ms);
            figures->added++;
        }
        assert_as_oracle(names, &oracle, now_ms);
        if (rig_draw(&seed, 100) == 0) {
            struct names *read = rig_read_back(twin);
            names_close(twin);
            twin = read;
            figures->read++;
        }
        rig_assert_same(names, twin);
    }
    names_close(names);
    names_close(twin);
}

static void random_calls_do_what_a_plain_list_does(void **state)
{
    (void)state;
    static const uint32_t maxima[] = {1, 2, 3, 7, 8, 16, 31, ORACLE_MAX};
    struct figures figures = {0};
    for (uint32_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++)
        run_random(88172645463325252 + i, maxima[i], &figures);
    assert_true(figures.added > 2000 && figures.known > 500);
    assert_true(figures.refused > 500 && figures.read > 100);
}

#define TEST(name) cmocka_unit_test_setup(name, rig_set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_calls_do_what_a_plain_list_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
