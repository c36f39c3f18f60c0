#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/service/tables.h"

#define OUT_BYTES FLYOVER_WRITES_BYTES_MAX

static uint8_t out[OUT_BYTES];

static struct flyover_bytes bytes_of(const char *text)
{
    return (struct flyover_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static struct event_table declare(const char *name, enum flyover_table_kind kind,
                                  enum flyover_when_full when_full, uint32_t entries_max)
{
    return (struct event_table){kind, when_full, entries_max, bytes_of(name)};
}

static struct tables *open_tables(const struct event_table *declared, uint32_t count)
{
    struct tables *tables = NULL;
    assert_int_equal(tables_open(declared, count, &tables), STATUS_OK);
    return tables;
}

static struct tables *open_one(enum flyover_table_kind kind, enum flyover_when_full when_full,
                               uint32_t entries_max)
{
    struct event_table declared = declare("one", kind, when_full, entries_max);
    return open_tables(&declared, 1);
}

static uint32_t entries_count;

static void count_entry(void *context, struct flyover_bytes key, struct flyover_bytes value,
                        int64_t count)
{
    (void)context, (void)key, (void)value, (void)count;
    entries_count++;
}

static uint32_t count_entries(const struct tables *tables)
{
    entries_count = 0;
    tables_each(tables, 0, count_entry, NULL);
    return entries_count;
}

static void begin(struct tables *tables)
{
    tables_begin(tables, out, OUT_BYTES);
}

static void put(struct tables *tables, const char *key, const char *value)
{
    begin(tables);
    assert_true(tables_put(tables, 0, bytes_of(key), bytes_of(value)));
    assert_true(tables_commit(tables) > 0);
}

/* ---- the model: lists of entries, slow and plain -------------------------------------------- */

#define MODEL_TABLES      4u
#define MODEL_ENTRIES_MAX 24u
#define MODEL_KEYS        40u
#define CALLS_COUNT       6000u

struct model_entry {
    uint32_t key;
    uint32_t value_bytes;
    uint8_t value_byte;
    int64_t count;
};

struct model {
    uint32_t entries_count[MODEL_TABLES];
    struct model_entry entries[MODEL_TABLES][MODEL_ENTRIES_MAX];
    bool full;
};

static const struct event_table *model_tables(void)
{
    static struct event_table declared[MODEL_TABLES];
    declared[0] = declare("kept", FLYOVER_VALUES, FLYOVER_REFUSE, MODEL_ENTRIES_MAX);
    declared[1] = declare("dropped", FLYOVER_VALUES, FLYOVER_DROP_OLDEST, 7);
    declared[2] = declare("counted", FLYOVER_COUNTERS, FLYOVER_REFUSE, 20);
    declared[3] = declare("last", FLYOVER_COUNTERS, FLYOVER_DROP_OLDEST, 1);
    return declared;
}

static uint64_t random_state;

static uint32_t random_below(uint32_t end)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % end;
}

/* Keys of 0 to 128 bytes, all different. */
static struct flyover_bytes model_key(uint32_t key)
{
    static uint8_t keys[MODEL_KEYS][FLYOVER_KEY_BYTES_MAX];
    uint32_t count = key < 4 ? key : key == 4 ? FLYOVER_KEY_BYTES_MAX : 2 + key % 7;
    memset(keys[key], (int)('A' + key), sizeof keys[key]);
    return (struct flyover_bytes){count == 0 ? NULL : keys[key], count};
}

static struct flyover_bytes model_value(const struct model_entry *entry)
{
    static uint8_t value[FLYOVER_VALUE_BYTES_MAX];
    memset(value, entry->value_byte, entry->value_bytes);
    return (struct flyover_bytes){entry->value_bytes == 0 ? NULL : value, entry->value_bytes};
}

static struct model_entry *model_find(struct model *model, uint32_t table, uint32_t key)
{
    for (uint32_t i = 0; i < model->entries_count[table]; i++)
        if (model->entries[table][i].key == key)
            return &model->entries[table][i];
    return NULL;
}

static void model_remove(struct model *model, uint32_t table, struct model_entry *entry)
{
    struct model_entry *end = model->entries[table] + model->entries_count[table]--;
    memmove(entry, entry + 1, (size_t)((char *)end - (char *)(entry + 1)));
}

/* The entry of the key, made if it is not there; NULL where there is no room. */
static struct model_entry *model_make(struct model *model, uint32_t table, uint32_t key)
{
    const struct event_table *declared = &model_tables()[table];
    struct model_entry *found = model_find(model, table, key);
    if (found != NULL)
        return found;
    if (model->entries_count[table] == declared->entries_max) {
        if (declared->when_full == FLYOVER_REFUSE)
            return NULL;
        model_remove(model, table, &model->entries[table][0]);
    }
    struct model_entry *made = &model->entries[table][model->entries_count[table]++];
    *made = (struct model_entry){.key = key};
    return made;
}

static void write_value(struct tables *tables, struct model *model, uint32_t table, uint32_t key)
{
    struct model_entry wanted = {
        .value_byte = (uint8_t)random_below(256),
        .value_bytes =
            random_below(20) == 0 ? random_below(FLYOVER_VALUE_BYTES_MAX + 1) : random_below(30),
    };
    bool done = tables_put(tables, table, model_key(key), model_value(&wanted));
    struct model_entry *entry = model->full ? NULL : model_make(model, table, key);
    assert_int_equal(done, entry != NULL);
    if (entry == NULL) {
        model->full = true;
        return;
    }
    entry->value_byte = wanted.value_byte;
    entry->value_bytes = wanted.value_bytes;
}

static void write_count(struct tables *tables, struct model *model, uint32_t table, uint32_t key)
{
    int64_t delta = (int64_t)random_below(2000) - 1000;
    if (random_below(10) == 0)
        delta *= 1000000000000;
    bool done = tables_add(tables, table, model_key(key), delta);
    struct model_entry *entry = model->full ? NULL : model_make(model, table, key);
    assert_int_equal(done, entry != NULL);
    if (entry == NULL)
        model->full = true;
    else
        entry->count += delta;
}

static void write_delete(struct tables *tables, struct model *model, uint32_t table, uint32_t key)
{
    struct model_entry *entry = model_find(model, table, key);
    bool done = tables_delete(tables, table, model_key(key));
    assert_int_equal(done, entry != NULL && !model->full);
    if (done)
        model_remove(model, table, entry);
}

static void check_read(const struct tables *tables, struct model *model, uint32_t table,
                       uint32_t key)
{
    struct model_entry *entry = model_find(model, table, key);
    struct flyover_bytes value = {0};
    bool found = tables_get(tables, table, model_key(key), &value);
    bool has_values = model_tables()[table].kind == FLYOVER_VALUES;
    assert_int_equal(found, has_values && entry != NULL);
    if (found) {
        assert_int_equal(value.count, entry->value_bytes);
        assert_true(value.count == 0 || memcmp(value.at, model_value(entry).at, value.count) == 0);
    }
    assert_int_equal(tables_count_of(tables, table, model_key(key)),
                     has_values || entry == NULL ? 0 : entry->count);
}

struct walk {
    const struct model_entry *next;
    uint32_t seen_count;
};

static void check_entry(void *context, struct flyover_bytes key, struct flyover_bytes value,
                        int64_t count)
{
    struct walk *walk = context;
    const struct model_entry *entry = walk->next++;
    walk->seen_count++;
    assert_int_equal(key.count, model_key(entry->key).count);
    assert_true(key.count == 0 || memcmp(key.at, model_key(entry->key).at, key.count) == 0);
    assert_int_equal(value.count, entry->value_bytes);
    assert_true(value.count == 0 || memcmp(value.at, model_value(entry).at, value.count) == 0);
    assert_int_equal(count, entry->count);
}

static void check_same(const struct tables *tables, struct model *model)
{
    for (uint32_t i = 0; i < MODEL_TABLES; i++) {
        struct walk walk = {model->entries[i], 0};
        tables_each(tables, i, check_entry, &walk);
        assert_int_equal(walk.seen_count, model->entries_count[i]);
    }
}

static void make_random_writes(struct tables *tables, struct model *model)
{
    for (uint32_t writes = random_below(20); writes > 0; writes--) {
        uint32_t table = random_below(MODEL_TABLES);
        uint32_t key = random_below(MODEL_KEYS);
        if (random_below(3) == 0)
            write_delete(tables, model, table, key);
        else if (model_tables()[table].kind == FLYOVER_VALUES)
            write_value(tables, model, table, key);
        else
            write_count(tables, model, table, key);
        check_read(tables, model, table, random_below(2) == 0 ? key : random_below(MODEL_KEYS));
    }
}

static void tables_do_as_the_model_does_and_a_replay_as_the_tables(void **state)
{
    (void)state;
    random_state = 0x9e3779b97f4a7c15;
    struct tables *live = open_tables(model_tables(), MODEL_TABLES);
    struct tables *replayed = open_tables(model_tables(), MODEL_TABLES);
    struct model model = {0};
    uint32_t committed_count = 0, full_count = 0;
    for (uint32_t i = 0; i < CALLS_COUNT; i++) {
        struct model before = model;
        uint64_t digest = tables_digest(live);
        begin(live);
        make_random_writes(live, &model);
        assert_int_equal(tables_full(live), model.full);
        full_count += model.full;
        if (model.full || random_below(3) == 0) {
            tables_abort(live);
            model = before;
            assert_int_equal(tables_digest(live), digest);
        } else {
            uint32_t bytes = tables_commit(live);
            assert_int_equal(tables_apply(replayed, (struct flyover_bytes){out, bytes}), STATUS_OK);
            committed_count++;
        }
        check_same(live, &model);
        assert_int_equal(tables_digest(live), tables_digest(replayed));
    }
    assert_true(committed_count > CALLS_COUNT / 3 && full_count > CALLS_COUNT / 50);
    check_same(replayed, &model);
    tables_close(live);
    tables_close(replayed);
}

/* ---- one thing at a time -------------------------------------------------------------------- */

static void the_oldest_entry_goes_and_a_new_value_makes_no_entry_younger(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_DROP_OLDEST, 2);
    struct flyover_bytes value;
    put(tables, "a", "1");
    put(tables, "b", "2");
    put(tables, "a", "3");
    put(tables, "c", "4");
    assert_false(tables_get(tables, 0, bytes_of("a"), &value));
    assert_true(tables_get(tables, 0, bytes_of("b"), &value));
    assert_true(tables_get(tables, 0, bytes_of("c"), &value));
    tables_close(tables);
}

static void a_full_table_takes_new_values_but_no_new_keys(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_REFUSE, 1);
    put(tables, "a", "1");
    put(tables, "a", "2");
    begin(tables);
    assert_false(tables_put(tables, 0, bytes_of("b"), bytes_of("3")));
    assert_true(tables_full(tables));
    tables_abort(tables);
    begin(tables);
    assert_false(tables_full(tables));
    assert_true(tables_delete(tables, 0, bytes_of("a")));
    assert_true(tables_put(tables, 0, bytes_of("b"), bytes_of("3")));
    tables_commit(tables);
    tables_close(tables);
}

static void after_a_write_without_room_no_other_write_is_taken(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, 1);
    begin(tables);
    assert_true(tables_add(tables, 0, bytes_of("a"), 1));
    assert_false(tables_add(tables, 0, bytes_of("b"), 1));
    assert_false(tables_add(tables, 0, bytes_of("a"), 1));
    assert_false(tables_delete(tables, 0, bytes_of("a")));
    assert_int_equal(tables_count_of(tables, 0, bytes_of("a")), 1);
    tables_abort(tables);
    assert_int_equal(tables_count_of(tables, 0, bytes_of("a")), 0);
    tables_close(tables);
}

static bool try_write(uint32_t table, uint32_t key_bytes, uint32_t value_bytes)
{
    static const uint8_t zeros[FLYOVER_VALUE_BYTES_MAX + 1];
    struct event_table declared[] = {
        declare("values", FLYOVER_VALUES, FLYOVER_REFUSE, 8),
        declare("counters", FLYOVER_COUNTERS, FLYOVER_REFUSE, 8),
    };
    struct tables *tables = open_tables(declared, 2);
    begin(tables);
    bool done = tables_put(tables, table, (struct flyover_bytes){zeros, key_bytes},
                           (struct flyover_bytes){zeros, value_bytes});
    assert_int_equal(tables_full(tables), !done);
    tables_abort(tables);
    tables_close(tables);
    return done;
}

static void writes_over_a_limit_or_to_a_table_of_the_other_kind_have_no_room(void **state)
{
    (void)state;
    assert_true(try_write(0, FLYOVER_KEY_BYTES_MAX, FLYOVER_VALUE_BYTES_MAX));
    assert_true(try_write(0, 0, 0));
    assert_false(try_write(0, FLYOVER_KEY_BYTES_MAX + 1, 0));
    assert_false(try_write(0, 1, FLYOVER_VALUE_BYTES_MAX + 1));
    assert_false(try_write(1, 1, 1));
    assert_false(try_write(2, 1, 1));
}

static void writes_stop_at_the_end_of_the_room_they_were_given(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_REFUSE, 100);
    uint8_t room[64];
    memset(room, 0xee, sizeof room);
    tables_begin(tables, room, 40);
    char key[2] = "a";
    while (tables_put(tables, 0, bytes_of(key), bytes_of("four")))
        key[0]++;
    assert_true(tables_full(tables));
    for (uint32_t i = 40; i < sizeof room; i++)
        assert_int_equal(room[i], 0xee);
    tables_abort(tables);
    assert_int_equal(count_entries(tables), 0);
    tables_close(tables);
}

static void a_counter_does_not_pass_its_end(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, 4);
    begin(tables);
    assert_true(tables_add(tables, 0, bytes_of("a"), INT64_MAX));
    assert_true(tables_add(tables, 0, bytes_of("b"), INT64_MIN));
    uint32_t bytes = tables_commit(tables);
    struct tables *replayed = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, 4);
    assert_int_equal(tables_apply(replayed, (struct flyover_bytes){out, bytes}), STATUS_OK);
    assert_int_equal(tables_count_of(replayed, 0, bytes_of("b")), INT64_MIN);
    begin(tables);
    assert_false(tables_add(tables, 0, bytes_of("a"), 1));
    tables_abort(tables);
    begin(tables);
    assert_false(tables_add(tables, 0, bytes_of("b"), -1));
    tables_abort(tables);
    assert_int_equal(tables_count_of(tables, 0, bytes_of("a")), INT64_MAX);
    tables_close(tables);
    tables_close(replayed);
}

static void a_value_is_lent_until_the_next_write(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_REFUSE, 4);
    struct flyover_bytes value;
    put(tables, "a", "before");
    begin(tables);
    assert_true(tables_get(tables, 0, bytes_of("a"), &value));
    assert_true(tables_put(tables, 0, bytes_of("b"), value));
    assert_true(tables_get(tables, 0, bytes_of("b"), &value));
    assert_memory_equal(value.at, "before", 6);
    tables_abort(tables);
    assert_false(tables_get(tables, 0, bytes_of("b"), &value));
    tables_close(tables);
}

/* More keys than make a few pairs with the same 32 bits of hash likely. */
#define MANY_KEYS 300000u

static void many_keys_are_found_again_and_go_again(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, MANY_KEYS);
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        struct flyover_bytes key = {(const uint8_t *)&i, sizeof i};
        begin(tables);
        assert_true(tables_add(tables, 0, key, (int64_t)i + 1));
        tables_commit(tables);
    }
    for (uint32_t i = 0; i < MANY_KEYS; i += 2) {
        struct flyover_bytes key = {(const uint8_t *)&i, sizeof i};
        begin(tables);
        assert_true(tables_delete(tables, 0, key));
        tables_commit(tables);
    }
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        struct flyover_bytes key = {(const uint8_t *)&i, sizeof i};
        assert_int_equal(tables_count_of(tables, 0, key), i % 2 == 0 ? 0 : (int64_t)i + 1);
    }
    assert_int_equal(count_entries(tables), MANY_KEYS / 2);
    tables_close(tables);
}

/* ---- replay --------------------------------------------------------------------------------- */

static void writes_that_are_cut_off_are_corrupt(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_REFUSE, 8);
    begin(tables);
    assert_true(tables_put(tables, 0, bytes_of("key"), bytes_of("value")));
    uint32_t bytes = tables_commit(tables);
    for (uint32_t i = 1; i < bytes; i++) {
        /* In memory of their own size, so that a read beyond it is seen. */
        uint8_t *cut = malloc(i);
        memcpy(cut, out, i);
        assert_int_equal(tables_apply(tables, (struct flyover_bytes){cut, i}), STATUS_CORRUPT);
        free(cut);
    }
    assert_int_equal(tables_apply(tables, (struct flyover_bytes){NULL, 0}), STATUS_OK);
    tables_close(tables);
}

static void writes_to_other_tables_are_corrupt(void **state)
{
    (void)state;
    static const uint8_t wrong[][4] = {
        {0x00, 1, 'a', 0}, /* a value for a counter */
        {0x41, 1, 'a', 2}, /* no such table */
        {0x80, 1, 'a', 0}, /* deletes what is not there */
        {0xc0, 1, 'a', 0}, /* no such write */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tables *tables = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, 8);
        assert_int_equal(tables_apply(tables, (struct flyover_bytes){wrong[i], 4}), STATUS_CORRUPT);
        assert_int_equal(count_entries(tables), 0);
        tables_close(tables);
    }
    uint8_t long_key[2 + 129 + 1] = {0x40, 129};
    struct tables *tables = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, 8);
    assert_int_equal(tables_apply(tables, (struct flyover_bytes){long_key, sizeof long_key}),
                     STATUS_CORRUPT);
    tables_close(tables);
}

/* ---- declarations --------------------------------------------------------------------------- */

static void declarations_without_sense_are_refused(void **state)
{
    (void)state;
    struct event_table fine = declare("fine", FLYOVER_VALUES, FLYOVER_REFUSE, 1);
    struct event_table wrong[] = {fine, fine, fine, fine, fine};
    wrong[0].entries_max = 0;
    wrong[1].entries_max = TABLES_ENTRIES_MAX + 1;
    wrong[2].name.count = 0;
    wrong[3].kind = (enum flyover_table_kind)7;
    wrong[4].when_full = (enum flyover_when_full)7;
    struct tables *tables = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(tables_open(&wrong[i], 1, &tables), STATUS_INVALID);
    struct event_table many[FLYOVER_TABLES_MAX + 1];
    for (uint32_t i = 0; i <= FLYOVER_TABLES_MAX; i++)
        many[i] = fine;
    assert_int_equal(tables_open(many, FLYOVER_TABLES_MAX + 1, &tables), STATUS_INVALID);
    assert_null(tables);
    assert_int_equal(tables_open(many, FLYOVER_TABLES_MAX, &tables), STATUS_OK);
    tables_close(tables);
}

static void a_lower_limit_is_reached_by_and_by(void **state)
{
    (void)state;
    struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_DROP_OLDEST, 10);
    for (char key[2] = "a"; key[0] <= 'j'; key[0]++)
        put(tables, key, "");
    struct event_table lower = declare("one", FLYOVER_VALUES, FLYOVER_DROP_OLDEST, 4);
    assert_false(tables_declared_as(tables, &lower, 1));
    assert_int_equal(tables_redeclare(tables, &lower, 1), STATUS_OK);
    assert_true(tables_declared_as(tables, &lower, 1));
    uint64_t digest = tables_digest(tables);
    begin(tables);
    assert_true(tables_put(tables, 0, bytes_of("k"), bytes_of("")));
    assert_int_equal(count_entries(tables), 9);
    tables_abort(tables);
    assert_int_equal(tables_digest(tables), digest);
    for (char key[2] = "k"; key[0] <= 't'; key[0]++)
        put(tables, key, "");
    assert_int_equal(count_entries(tables), 4);
    tables_close(tables);
}

static void tables_may_be_added_but_not_changed_or_taken_away(void **state)
{
    (void)state;
    struct event_table declared[] = {
        declare("first", FLYOVER_VALUES, FLYOVER_REFUSE, 4),
        declare("second", FLYOVER_COUNTERS, FLYOVER_REFUSE, 4),
        declare("third", FLYOVER_COUNTERS, FLYOVER_REFUSE, 4),
    };
    struct tables *tables = open_tables(declared, 2);
    put(tables, "a", "1");
    assert_int_equal(tables_redeclare(tables, declared, 1), STATUS_INVALID);
    declared[0].entries_max = 9;
    declared[1].kind = FLYOVER_VALUES;
    assert_int_equal(tables_redeclare(tables, declared, 3), STATUS_INVALID);
    declared[1].kind = FLYOVER_COUNTERS;
    declared[2].entries_max = 0;
    assert_int_equal(tables_redeclare(tables, declared, 3), STATUS_INVALID);
    declared[0].entries_max = 4;
    assert_true(tables_declared_as(tables, declared, 2));
    declared[2].entries_max = 4;
    assert_int_equal(tables_redeclare(tables, declared, 3), STATUS_OK);
    assert_int_equal(tables_count(tables), 3);
    assert_int_equal(count_entries(tables), 1);
    tables_close(tables);
}

/* Each pair differs in one thing alone. */
static void the_digest_tells_order_keys_values_and_counts_apart(void **state)
{
    (void)state;
    static const char *const writes[][4] = {
        {"a", "1", "b", "2"}, {"b", "2", "a", "1"}, {"a", "2", "b", "1"},
        {"a", "", "b", "12"}, {"a1", "", "b", "2"}, {"", "a1", "b", "2"},
    };
    uint64_t digests[6];
    for (size_t i = 0; i < 6; i++) {
        struct tables *tables = open_one(FLYOVER_VALUES, FLYOVER_REFUSE, 4);
        put(tables, writes[i][0], writes[i][1]);
        put(tables, writes[i][2], writes[i][3]);
        digests[i] = tables_digest(tables);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(digests[i], digests[j]);
        tables_close(tables);
    }
    struct tables *counters = open_one(FLYOVER_COUNTERS, FLYOVER_REFUSE, 4);
    uint64_t empty = tables_digest(counters);
    begin(counters);
    assert_true(tables_add(counters, 0, bytes_of("a"), 0));
    tables_commit(counters);
    uint64_t zero = tables_digest(counters);
    begin(counters);
    assert_true(tables_add(counters, 0, bytes_of("a"), 1));
    tables_commit(counters);
    assert_int_not_equal(empty, zero);
    assert_int_not_equal(zero, tables_digest(counters));
    tables_close(counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_do_as_the_model_does_and_a_replay_as_the_tables),
        cmocka_unit_test(the_oldest_entry_goes_and_a_new_value_makes_no_entry_younger),
        cmocka_unit_test(a_full_table_takes_new_values_but_no_new_keys),
        cmocka_unit_test(after_a_write_without_room_no_other_write_is_taken),
        cmocka_unit_test(writes_over_a_limit_or_to_a_table_of_the_other_kind_have_no_room),
        cmocka_unit_test(writes_stop_at_the_end_of_the_room_they_were_given),
        cmocka_unit_test(a_counter_does_not_pass_its_end),
        cmocka_unit_test(a_value_is_lent_until_the_next_write),
        cmocka_unit_test(many_keys_are_found_again_and_go_again),
        cmocka_unit_test(writes_that_are_cut_off_are_corrupt),
        cmocka_unit_test(writes_to_other_tables_are_corrupt),
        cmocka_unit_test(declarations_without_sense_are_refused),
        cmocka_unit_test(a_lower_limit_is_reached_by_and_by),
        cmocka_unit_test(tables_may_be_added_but_not_changed_or_taken_away),
        cmocka_unit_test(the_digest_tells_order_keys_values_and_counts_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
