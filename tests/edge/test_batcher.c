#include "engine/edge/batcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct batcher_batch *sent[64];
static uint32_t sent_count, dropped;

static void on_send(void *context, struct batcher_batch *batch)
{
    (void)context;
    sent[sent_count++] = batch;
}

static void on_drop(void *context, struct batcher_item *item)
{
    (void)context;
    (void)item;
    dropped++;
}

static struct batcher *open_with(uint32_t connections)
{
    const struct batcher_options options = {.items_max = 10,
                                            .bytes_max = 1000,
                                            .connections_max = connections,
                                            .send = on_send,
                                            .drop = on_drop};
    struct batcher *batcher;
    sent_count = dropped = 0;
    assert_int_equal(batcher_open(&options, &batcher), STATUS_OK);
    return batcher;
}

static void add(struct batcher *batcher, const char *key, struct batcher_item *item)
{
    assert_int_equal(batcher_add(batcher, key, item), STATUS_OK);
}

static void what_comes_alone_goes_at_once(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(2);
    struct batcher_item item = {.bytes = 1};
    add(batcher, "a", &item);
    assert_int_equal(sent_count, 0);
    assert_int_equal(batcher_turn(batcher, 0), -1);
    assert_int_equal(sent_count, 1);
    assert_string_equal(sent[0]->key, "a");
    assert_ptr_equal(sent[0]->items[0], &item);
    batcher_end(sent[0]);
    assert_true(batcher_idle(batcher));
    batcher_close(batcher);
}

static void what_comes_while_a_batch_is_under_way_is_gathered(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(2);
    struct batcher_item items[12] = {0};
    add(batcher, "a", &items[0]);
    batcher_turn(batcher, 0);
    for (int i = 1; i < 10; i++)
        add(batcher, "a", &items[i]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 1); /* nine are no full batch */
    add(batcher, "a", &items[10]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 2); /* ten are, and a connection is free */
    assert_int_equal(sent[1]->count, 10);
    add(batcher, "a", &items[11]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 2);
    batcher_end(sent[0]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 2); /* the other one is still under way */
    batcher_end(sent[1]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 3);
    batcher_close(batcher);
    assert_int_equal(dropped, 1);
}

static void no_more_batches_are_under_way_than_connections(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(2);
    struct batcher_item items[40] = {0};
    for (int i = 0; i < 40; i++)
        add(batcher, "a", &items[i]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 2);
    batcher_close(batcher);
    assert_int_equal(dropped, 40);
}

static void a_batch_is_no_larger_than_its_bytes(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(4);
    struct batcher_item items[4] = {{.bytes = 400}, {.bytes = 600}, {.bytes = 1}, {.bytes = 5000}};
    for (int i = 0; i < 4; i++)
        add(batcher, "a", &items[i]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 3);
    assert_int_equal(sent[0]->count, 2);
    assert_int_equal(sent[1]->count, 1);
    assert_int_equal(sent[2]->count, 1); /* larger than a batch may be: its own */
    batcher_close(batcher);
}

static void destinations_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(1);
    struct batcher_item items[3] = {0};
    add(batcher, "slow", &items[0]);
    add(batcher, "slow", &items[1]);
    batcher_turn(batcher, 0);
    add(batcher, "quick", &items[2]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 2);
    assert_string_equal(sent[1]->key, "quick");
    batcher_close(batcher);
}

static void what_goes_back_is_sent_after_its_delay_and_first(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(1);
    struct batcher_item items[3] = {0};
    add(batcher, "a", &items[0]);
    batcher_turn(batcher, 0);
    batcher_again(sent[0], &items[0], 0, 50);
    batcher_end(sent[0]);
    assert_int_equal(batcher_turn(batcher, 20), 30);
    assert_int_equal(sent_count, 1);
    add(batcher, "a", &items[1]);
    batcher_turn(batcher, 20);
    assert_int_equal(sent_count, 2);
    add(batcher, "a", &items[2]);
    batcher_turn(batcher, 50);
    batcher_end(sent[1]);
    batcher_turn(batcher, 50);
    assert_int_equal(sent_count, 3);
    assert_ptr_equal(sent[2]->items[0], &items[0]);
    assert_ptr_equal(sent[2]->items[1], &items[2]);
    assert_int_equal(items[0].tries, 1);
    batcher_close(batcher);
}

static void items_of_one_order_are_never_in_two_batches(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(4);
    struct batcher_item a1 = {.order = 7}, a2 = {.order = 7}, b[10] = {0};
    add(batcher, "q", &a1);
    batcher_turn(batcher, 0);
    add(batcher, "q", &a2);
    for (int i = 0; i < 10; i++) {
        b[i].order = 100 + (uint64_t)i;
        add(batcher, "q", &b[i]);
    }
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 2);
    assert_int_equal(sent[1]->count, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_ptr_equal(sent[1]->items[i], &b[i]);
    batcher_end(sent[0]);
    batcher_end(sent[1]);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 3);
    assert_ptr_equal(sent[2]->items[0], &a2);
    batcher_close(batcher);
}

static void one_that_goes_back_holds_up_those_of_its_order(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(4);
    struct batcher_item a1 = {.order = 7}, a2 = {.order = 7};
    add(batcher, "q", &a1);
    batcher_turn(batcher, 0);
    batcher_again(sent[0], &a1, 0, 10);
    batcher_end(sent[0]);
    add(batcher, "q", &a2);
    batcher_turn(batcher, 0);
    assert_int_equal(sent_count, 1);
    batcher_turn(batcher, 10);
    assert_int_equal(sent_count, 2);
    assert_int_equal(sent[1]->count, 2);
    assert_ptr_equal(sent[1]->items[0], &a1);
    batcher_close(batcher);
}

static void one_that_is_alone_shares_its_batch_with_nobody(void **state)
{
    (void)state;
    struct batcher *batcher = open_with(4);
    struct batcher_item items[3] = {{.bytes = 1}, {.bytes = 1, .alone = true}, {.bytes = 1}};
    for (int i = 0; i < 3; i++)
        add(batcher, "q", &items[i]);
    for (uint32_t i = 0; i < 3; i++) {
        batcher_turn(batcher, 0);
        assert_int_equal(sent_count, i + 1);
        assert_int_equal(sent[i]->count, 1);
        assert_ptr_equal(sent[i]->items[0], &items[i]);
        batcher_end(sent[i]);
    }
    batcher_close(batcher);
}

static void a_backoff_is_within_its_bounds(void **state)
{
    (void)state;
    for (uint32_t tries = 0; tries < 64; tries++) {
        int64_t ms = batcher_backoff_ms(tries, 100, 5000);
        assert_in_range(ms, 0, tries == 0 ? 100 : 5000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_alone_goes_at_once),
        cmocka_unit_test(what_comes_while_a_batch_is_under_way_is_gathered),
        cmocka_unit_test(no_more_batches_are_under_way_than_connections),
        cmocka_unit_test(a_batch_is_no_larger_than_its_bytes),
        cmocka_unit_test(destinations_do_not_wait_for_each_other),
        cmocka_unit_test(what_goes_back_is_sent_after_its_delay_and_first),
        cmocka_unit_test(items_of_one_order_are_never_in_two_batches),
        cmocka_unit_test(one_that_goes_back_holds_up_those_of_its_order),
        cmocka_unit_test(one_that_is_alone_shares_its_batch_with_nobody),
        cmocka_unit_test(a_backoff_is_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
