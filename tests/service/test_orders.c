#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saga/plan.h"
#include "tests/service/shop.h"

static void check_answer(const struct shop_answer *answer, const char *name, const char *cause)
{
    assert_string_equal(answer->name, name);
    assert_string_equal(answer->cause, cause);
}

static void check_done(struct shop_answer answer)
{
    check_answer(&answer, "", "");
}

static void check_figure(struct shop *shop, const char *service, const char *name, int64_t value)
{
    struct audit_report report = {0};
    shop_audit(shop, &report);
    assert_int_equal(audit_find(&report, service, name), value);
}

static const struct shop_order small = {
    "536365", "17850", 2, {{"85123A", 6, 1530}, {"71053", 8, 2712}}};
static const struct shop_order other = {"536366", "17850", 1, {{"85123A", 1, 255}}};
static const struct shop_order returned = {"C536379", "17850", 1, {{"85123A", 2, 510}}};

/* ---- order ---------------------------------------------------------------------------------- */

static void a_number_is_recorded_once_until_it_is_void(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, NULL);
    check_done(shop_do(&shop, "order", "record", &small));
    struct shop_answer again = shop_do(&shop, "order", "record", &small);
    check_answer(&again, "Order.Duplicate", "536365 was recorded before");
    check_figure(&shop, "order", "orders_standing", 1);
    check_figure(&shop, "order", "units_standing", 14);
    check_figure(&shop, "order", "value_standing", 4242);
    check_done(shop_undo(&shop, "order", "void", &small));
    check_done(shop_do(&shop, "order", "record", &small));
    check_done(shop_do(&shop, "order", "record_return", &returned));
    again = shop_do(&shop, "order", "record_return", &returned);
    check_answer(&again, "Order.Duplicate", "C536379 was recorded before");
    check_figure(&shop, "order", "orders_standing", 1);
    check_figure(&shop, "order", "returns_standing", 1);
    check_figure(&shop, "order", "units_standing", 12);
    check_figure(&shop, "order", "value_standing", 3732);
    shop_close(&shop);
}

static void the_oldest_numbers_are_forgotten_and_their_orders_still_count(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"order.orders_kept=1", NULL});
    check_done(shop_do(&shop, "order", "record", &small));
    check_done(shop_do(&shop, "order", "record", &other));
    check_figure(&shop, "order", "orders_standing", 2);
    check_done(shop_undo(&shop, "order", "void", &small));
    check_figure(&shop, "order", "orders_standing", 1);
    check_figure(&shop, "order", "units_standing", 1);
    check_figure(&shop, "order", "value_standing", 255);
    struct shop_answer again = shop_do(&shop, "order", "record", &other);
    check_answer(&again, "Order.Duplicate", "536366 was recorded before");
    shop_close(&shop);
}

#define INVALID                                                                                    \
    "not an order: it needs a number and a customer, texts of 1 to 128 bytes, and lines of "       \
    "[code, quantity over 0, amount of 0 or more], up to 100000000000000 each"

/* {"number": "n", "customer": "c", "lines": <lines>}, the lines in msgpack. */
#define WITH_LINES(lines)                                                                          \
    "\x83\xa6number\xa1n\xa8"                                                                      \
    "customer\xa1"                                                                                 \
    "c\xa5lines" lines

static void what_is_no_order_is_refused_by_every_service(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
    } wrong[] = {
#define WRONG(text) {text, sizeof text - 1}
        WRONG("\xc0"),
        WRONG("\x80"),
        WRONG("\x82\xa8"
              "customer\xa1"
              "c\xa5lines\x91\x93\xa1x\x01\x00"),
        WRONG("\x82\xa6number\xa1n\xa5lines\x91\x93\xa1x\x01\x00"),
        WRONG("\x82\xa6number\xa1n\xa8"
              "customer\xa1"
              "c"),
        WRONG("\x83\xa6number\x07\xa8"
              "customer\xa1"
              "c\xa5lines\x91\x93\xa1x\x01\x00"),
        WRONG("\x83\xa6number\xa0\xa8"
              "customer\xa1"
              "c\xa5lines\x91\x93\xa1x\x01\x00"),
        WRONG(WITH_LINES("\xc0")),
        WRONG(WITH_LINES("\x90")),
        WRONG(WITH_LINES("\x91\x92\xa1x\x01")),
        WRONG(WITH_LINES("\x91\x94\xa1x\x01\x00\x00")),
        WRONG(WITH_LINES("\x91\x93\x01\x01\x00")),
        WRONG(WITH_LINES("\x91\x93\xa0\x01\x00")),
        WRONG(WITH_LINES("\x91\x93\xa1x\x00\x00")),
        WRONG(WITH_LINES("\x91\x93\xa1x\xff\x00")),
        WRONG(WITH_LINES("\x91\x93\xa1x\x01\xff")),
        WRONG(WITH_LINES("\x91\x93\xa1x\xa1"
                         "1\x00")),
        WRONG(WITH_LINES("\x91\x93\xa1x\x01\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00")),
        WRONG(WITH_LINES("\x92\x93\xa1x\x01\x00\x93\xa1y\x00\x00")),
        WRONG(WITH_LINES("\x91\x93\xa1x\xcf\x00\x00\x5a\xf3\x10\x7a\x40\x01\x00")),
        WRONG(WITH_LINES("\x91\x93\xa1x\x01\xcf\x00\x00\x5a\xf3\x10\x7a\x40\x01")),
#undef WRONG
    };
    static const char *const handlers[][2] = {
        {"order", "record"},      {"order", "record_return"}, {"inventory", "reserve"},
        {"inventory", "restock"}, {"payment", "charge"},      {"payment", "refund_return"},
    };
    struct shop shop;
    shop_open(&shop, NULL);
    uint64_t digest = shop_digest(&shop);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        for (size_t j = 0; j < sizeof handlers / sizeof handlers[0]; j++) {
            struct flyover_bytes input = {(const uint8_t *)wrong[i].bytes,
                                          (uint32_t)wrong[i].count};
            struct shop_answer answer =
                shop_call(&shop, handlers[j][0], handlers[j][1], FLYOVER_FORWARD, input);
            check_answer(&answer, "Order.Invalid", INVALID);
        }
    assert_int_equal(shop_digest(&shop), digest);
    shop_close(&shop);
}

static void fields_may_come_in_any_order_and_with_others_between(void **state)
{
    (void)state;
    static const char input[] = "\x85\xa5lines\x91\x93\xa1x\x02\x05\xa4"
                                "date\x92\x01\x81\xa1k\xc0"
                                "\xa8"
                                "customer\xa1"
                                "c\xa7"
                                "country\xc0\xa6number\xa1n";
    struct shop shop;
    shop_open(&shop, NULL);
    struct flyover_bytes bytes = {(const uint8_t *)input, sizeof input - 1};
    check_done(shop_call(&shop, "order", "record", FLYOVER_FORWARD, bytes));
    check_done(shop_call(&shop, "inventory", "reserve", FLYOVER_FORWARD, bytes));
    check_done(shop_call(&shop, "payment", "charge", FLYOVER_FORWARD, bytes));
    check_figure(&shop, "order", "units_standing", 2);
    check_figure(&shop, "inventory", "units_on_hand", 100000000 - 2);
    check_figure(&shop, "payment", "money_captured", 5);
    shop_close(&shop);
}

static void the_largest_lines_are_taken_until_a_sum_is_at_its_end(void **state)
{
    (void)state;
    struct shop_order order = {"1", "guest", SHOP_LINES_MAX, {{"x", 1, 0}}};
    for (uint32_t i = 0; i < SHOP_LINES_MAX; i++)
        order.lines[i] = (struct shop_line){"x", 100000000000000, 100000000000000};
    struct shop shop;
    shop_open(&shop, NULL);
    struct shop_answer answer;
    int64_t taken_count = -1;
    do {
        snprintf(order.number, sizeof order.number, "%d", (int)++taken_count);
        answer = shop_do(&shop, "order", "record", &order);
    } while (answer.name[0] == '\0');
    assert_string_equal(answer.name, "Flyover.StateFull");
    assert_int_equal(taken_count, INT64_MAX / (SHOP_LINES_MAX * 100000000000000));
    check_figure(&shop, "order", "orders_standing", taken_count);
    shop_close(&shop);
}

/* ---- inventory ------------------------------------------------------------------------------ */

static void all_lines_are_reserved_or_none(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"inventory.units_initial=10", NULL});
    struct shop_order order = {"1", "c", 2, {{"a", 4, 0}, {"b", 11, 0}}};
    struct shop_answer answer = shop_do(&shop, "inventory", "reserve", &order);
    check_answer(&answer, "Inventory.OutOfStock", "b: wanted 11, on hand 10");
    check_figure(&shop, "inventory", "units_start", 0);
    order.lines[1].quantity = 10;
    check_done(shop_do(&shop, "inventory", "reserve", &order));
    check_figure(&shop, "inventory", "units_start", 20);
    check_figure(&shop, "inventory", "units_on_hand", 6);
    shop_close(&shop);
}

static void a_code_that_comes_twice_is_reserved_twice(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"inventory.units_initial=10", NULL});
    struct shop_order order = {"1", "c", 3, {{"a", 6, 0}, {"b", 1, 0}, {"a", 5, 0}}};
    struct shop_answer answer = shop_do(&shop, "inventory", "reserve", &order);
    check_answer(&answer, "Inventory.OutOfStock", "a: wanted 5, on hand 4");
    order.lines[2].quantity = 4;
    check_done(shop_do(&shop, "inventory", "reserve", &order));
    check_figure(&shop, "inventory", "units_start", 20);
    check_figure(&shop, "inventory", "units_on_hand", 9);
    check_done(shop_undo(&shop, "inventory", "release", &order));
    check_figure(&shop, "inventory", "units_on_hand", 20);
    shop_close(&shop);
}

static void goods_that_are_sold_out_do_not_count_as_new(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"inventory.units_initial=10", NULL});
    struct shop_order order = {"1", "c", 1, {{"a", 10, 0}}};
    check_done(shop_do(&shop, "inventory", "reserve", &order));
    struct shop_answer answer = shop_do(&shop, "inventory", "reserve", &order);
    check_answer(&answer, "Inventory.OutOfStock", "a: wanted 10, on hand 0");
    check_figure(&shop, "inventory", "units_start", 10);
    shop_close(&shop);
}

static void a_restock_that_was_sold_and_then_undone_leaves_less_than_nothing(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"inventory.units_initial=10", NULL});
    struct shop_order back = {"C1", "c", 1, {{"a", 1, 0}}};
    struct shop_order sale = {"1", "c", 1, {{"a", 11, 0}}};
    check_done(shop_do(&shop, "inventory", "restock", &back));
    check_done(shop_do(&shop, "inventory", "reserve", &sale));
    check_done(shop_undo(&shop, "inventory", "unstock", &back));
    check_figure(&shop, "inventory", "units_on_hand", -1);
    sale.lines[0].quantity = 1;
    struct shop_answer answer = shop_do(&shop, "inventory", "reserve", &sale);
    check_answer(&answer, "Inventory.OutOfStock", "a: wanted 1, on hand -1");
    check_figure(&shop, "inventory", "units_start", 10);
    shop_close(&shop);
}

/* ---- payment -------------------------------------------------------------------------------- */

static void a_customer_may_owe_up_to_the_limit(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"payment.credit_limit=4243", NULL});
    struct shop_order order = {"1", "c", 1, {{"a", 1, 2}}};
    check_done(shop_do(&shop, "payment", "charge", &small));
    check_done(shop_do(&shop, "payment", "charge", &order));
    memcpy(order.customer, small.customer, sizeof order.customer);
    struct shop_answer answer = shop_do(&shop, "payment", "charge", &order);
    check_answer(&answer, "Payment.CreditLimitReached",
                 "17850: has 4242, wanted 2 more, the limit is 4243");
    order.lines[0].amount = 1;
    check_done(shop_do(&shop, "payment", "charge", &order));
    check_done(shop_undo(&shop, "payment", "refund", &small));
    check_done(shop_do(&shop, "payment", "charge", &small));
    check_figure(&shop, "payment", "money_captured", 4245);
    shop_close(&shop);
}

static void a_guest_has_no_limit(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, (const char *const[]){"payment.credit_limit=0", NULL});
    struct shop_order order = {"1", "guest", 1, {{"a", 1, 99999999999}}};
    check_done(shop_do(&shop, "payment", "charge", &order));
    check_done(shop_do(&shop, "payment", "charge", &order));
    check_figure(&shop, "payment", "money_captured", 2 * 99999999999);
    shop_close(&shop);
}

static void a_refund_of_a_return_goes_below_nothing(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, NULL);
    check_done(shop_do(&shop, "payment", "refund_return", &returned));
    check_figure(&shop, "payment", "money_captured", -510);
    check_done(shop_undo(&shop, "payment", "recharge", &returned));
    check_figure(&shop, "payment", "money_captured", 0);
    shop_close(&shop);
}

/* ---- all four ------------------------------------------------------------------------------- */

static void each_compensation_restores_the_tables_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *service, *forward, *compensation;
        const struct shop_order *order;
    } pairs[] = {
        {"order", "record", "void", &other},
        {"inventory", "reserve", "release", &other},
        {"payment", "charge", "refund", &other},
        {"order", "record_return", "void_return", &returned},
        {"inventory", "restock", "unstock", &returned},
        {"payment", "refund_return", "recharge", &returned},
    };
    struct shop shop;
    shop_open(&shop, NULL);
    /* Codes and customers are known from then on, and both kinds of order counted. */
    check_done(shop_do(&shop, "order", "record", &small));
    check_done(shop_do(&shop, "inventory", "reserve", &small));
    check_done(shop_do(&shop, "payment", "charge", &small));
    struct shop_order first_return = returned;
    memcpy(first_return.number, "C1", 3);
    check_done(shop_do(&shop, "order", "record_return", &first_return));
    uint64_t before[6], after = 0;
    for (size_t i = 0; i < 6; i++) {
        before[i] = shop_digest(&shop);
        check_done(shop_do(&shop, pairs[i].service, pairs[i].forward, pairs[i].order));
        after = shop_digest(&shop);
        assert_int_not_equal(after, before[i]);
    }
    for (size_t i = 6; i-- > 0;) {
        check_done(shop_undo(&shop, pairs[i].service, pairs[i].compensation, pairs[i].order));
        assert_int_equal(shop_digest(&shop), before[i]);
    }
    shop_close(&shop);
}

static void settings_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "order.orders_kept=0",
        "order.orders_kept=67108865",
        "order.orders_kept=",
        "order.orders_kept=12x",
        "order.kept=1",
        "inventory.units_initial=-1",
        "inventory.units_initial=1e3",
        "inventory.units_initial=1000000000001",
        "payment.credit_limit=-1",
        "payment.credit_limit=99999999999999999999",
        "confirmation.anything=1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(shop_try_open((const char *const[]){wrong[i], NULL}), STATUS_INVALID);
    static const char *const right[] = {"order.orders_kept=67108864",
                                        "inventory.units_initial=1000000000000",
                                        "payment.credit_limit=0"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_int_equal(shop_try_open((const char *const[]){right[i], NULL}), STATUS_OK);
}

/* What an order costs in the journal: of a code, a customer and an order not the first. */
static void an_order_writes_few_bytes(void **state)
{
    (void)state;
    static const uint32_t bytes_max[] = {0, 47, 55, 64};
    struct shop shop;
    shop_open(&shop, NULL);
    struct shop_order order = {
        "536365", "17850", 3, {{"85123A", 6, 1530}, {"71053", 6, 2034}, {"84406B", 8, 2200}}};
    shop_sell(&shop, &order);
    for (uint32_t lines = 1; lines <= 3; lines++) {
        snprintf(order.number, sizeof order.number, "53640%u", lines);
        order.lines_count = lines;
        uint64_t before = shop.writes_bytes;
        assert_int_equal(shop_sell(&shop, &order), 4);
        assert_true(shop.writes_bytes - before <= bytes_max[lines]);
    }
    shop_close(&shop);
}

static void the_definitions_name_handlers_that_there_are(void **state)
{
    (void)state;
    static const char *const names[] = {"order", "return"};
    struct shop shop;
    shop_open(&shop, NULL);
    for (size_t i = 0; i < 2; i++) {
        char file[4096], text[16384];
        snprintf(file, sizeof file, PLUGINS_DIRECTORY "/%s.asl.json", names[i]);
        FILE *in = fopen(file, "r");
        assert_non_null(in);
        size_t bytes = fread(text, 1, sizeof text, in);
        fclose(in);
        struct problem problem = {.text = ""};
        struct plan *plan = NULL;
        enum status status = plan_compile(names[i], file, text, bytes, &plan, &problem);
        assert_string_equal(problem.text, "");
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(plan->resources_count, 7);
        for (uint32_t j = 0; j < plan->resources_count; j++)
            assert_true(shop_has(&shop, plan->resources[j].service, plan->resources[j].handler));
        plan_free(plan);
    }
    shop_close(&shop);
}

/* ---- many sagas at once --------------------------------------------------------------------- */

#define SAGAS_OPEN  12u
#define SAGAS_COUNT 4000u
#define STEPS_COUNT 3u

static uint64_t random_state;

static uint32_t random_below(uint32_t end)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % end;
}

struct step {
    const char *service, *forward, *compensation;
};

static const struct step steps[2][STEPS_COUNT + 1] = {
    {{"order", "record", "void"},
     {"inventory", "reserve", "release"},
     {"payment", "charge", "refund"},
     {"confirmation", "confirm", NULL}},
    {{"order", "record_return", "void_return"},
     {"inventory", "restock", "unstock"},
     {"payment", "refund_return", "recharge"},
     {"confirmation", "confirm_return", NULL}},
};

struct saga {
    struct shop_order order;
    const struct step *steps;
    uint32_t steps_done;
    bool compensates;
};

struct sums {
    int64_t stood_count[2]; /* sales, returns */
    int64_t units, value;
    uint32_t refused_count, cancelled_count;
};

static void start_saga(struct saga *saga, uint32_t number)
{
    bool is_return = random_below(6) == 0;
    *saga = (struct saga){.steps = steps[is_return]};
    struct shop_order *order = &saga->order;
    /* A number comes again now and then. */
    snprintf(order->number, sizeof order->number, "%s%u", is_return ? "C" : "",
             random_below(20) == 0 ? number / 2 : number);
    uint32_t customer = random_below(8);
    snprintf(order->customer, sizeof order->customer, customer == 0 ? "guest" : "%u", customer);
    order->lines_count = 1 + random_below(SHOP_LINES_MAX);
    for (uint32_t i = 0; i < order->lines_count; i++) {
        snprintf(order->lines[i].code, sizeof order->lines[i].code, "c%u", random_below(12));
        order->lines[i].quantity = 1 + random_below(40);
        order->lines[i].amount = random_below(3) == 0 ? 0 : random_below(5000);
    }
}

static void count_saga(const struct saga *saga, struct sums *sums)
{
    bool is_return = saga->steps == steps[1];
    int64_t sign = is_return ? -1 : 1;
    sums->stood_count[is_return]++;
    for (uint32_t i = 0; i < saga->order.lines_count; i++) {
        sums->units += sign * saga->order.lines[i].quantity;
        sums->value += sign * saga->order.lines[i].amount;
    }
}

/* One step, forward or back; false when the saga has ended. */
static bool advance_saga(struct shop *shop, struct saga *saga, struct sums *sums)
{
    const struct step *step = &saga->steps[saga->steps_done];
    if (saga->compensates) {
        if (saga->steps_done == 0)
            return false;
        step = &saga->steps[--saga->steps_done];
        check_done(shop_undo(shop, step->service, step->compensation, &saga->order));
        return true;
    }
    if (random_below(25) == 0) {
        sums->cancelled_count++;
        saga->compensates = true;
        return true;
    }
    struct shop_answer answer = shop_do(shop, step->service, step->forward, &saga->order);
    if (saga->steps_done == STEPS_COUNT) {
        check_done(answer);
        count_saga(saga, sums);
        return false;
    }
    saga->compensates = answer.name[0] != '\0';
    sums->refused_count += saga->compensates;
    saga->steps_done += !saga->compensates;
    return true;
}

static void check_laws(struct shop *shop, const struct sums *sums)
{
    struct audit_report report = {0};
    shop_audit(shop, &report);
    assert_int_equal(audit_find(&report, "order", "orders_standing"), sums->stood_count[0]);
    assert_int_equal(audit_find(&report, "order", "returns_standing"), sums->stood_count[1]);
    assert_int_equal(audit_find(&report, "order", "units_standing"), sums->units);
    assert_int_equal(audit_find(&report, "order", "value_standing"), sums->value);
    assert_int_equal(audit_find(&report, "inventory", "units_start"),
                     audit_find(&report, "inventory", "units_on_hand") + sums->units);
    assert_int_equal(audit_find(&report, "payment", "money_captured"), sums->value);
    assert_int_equal(audit_find(&report, "confirmation", "confirmed"), sums->stood_count[0]);
    assert_int_equal(audit_find(&report, "confirmation", "returns_confirmed"),
                     sums->stood_count[1]);
}

/* The shop replays every write into tables of its own as it goes. */
static void the_books_balance_after_sagas_that_ran_among_one_another(void **state)
{
    (void)state;
    random_state = 0x2545f4914f6cdd1d;
    struct shop shop;
    shop_open(&shop,
              (const char *const[]){"inventory.units_initial=9000", "payment.credit_limit=900000",
                                    "order.orders_kept=500", NULL});
    struct saga sagas[SAGAS_OPEN];
    struct sums sums = {0};
    uint32_t started_count = 0, open_count = 0;
    while (started_count < SAGAS_COUNT || open_count > 0) {
        if (open_count < SAGAS_OPEN && started_count < SAGAS_COUNT)
            start_saga(&sagas[open_count++], started_count++);
        uint32_t i = random_below(open_count);
        if (!advance_saga(&shop, &sagas[i], &sums))
            sagas[i] = sagas[--open_count];
        if (open_count == 0)
            check_laws(&shop, &sums);
    }
    check_laws(&shop, &sums);
    assert_int_equal(shop_digest(&shop), shop_replayed_digest(&shop));
    assert_true(sums.refused_count > SAGAS_COUNT / 10);
    assert_true(sums.cancelled_count > SAGAS_COUNT / 20);
    assert_true(sums.stood_count[0] > SAGAS_COUNT / 10);
    assert_true(sums.stood_count[1] > SAGAS_COUNT / 20);
    shop_close(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_recorded_once_until_it_is_void),
        cmocka_unit_test(the_oldest_numbers_are_forgotten_and_their_orders_still_count),
        cmocka_unit_test(what_is_no_order_is_refused_by_every_service),
        cmocka_unit_test(fields_may_come_in_any_order_and_with_others_between),
        cmocka_unit_test(the_largest_lines_are_taken_until_a_sum_is_at_its_end),
        cmocka_unit_test(all_lines_are_reserved_or_none),
        cmocka_unit_test(a_code_that_comes_twice_is_reserved_twice),
        cmocka_unit_test(goods_that_are_sold_out_do_not_count_as_new),
        cmocka_unit_test(a_restock_that_was_sold_and_then_undone_leaves_less_than_nothing),
        cmocka_unit_test(a_customer_may_owe_up_to_the_limit),
        cmocka_unit_test(a_guest_has_no_limit),
        cmocka_unit_test(a_refund_of_a_return_goes_below_nothing),
        cmocka_unit_test(each_compensation_restores_the_tables_exactly),
        cmocka_unit_test(settings_out_of_range_are_refused),
        cmocka_unit_test(an_order_writes_few_bytes),
        cmocka_unit_test(the_definitions_name_handlers_that_there_are),
        cmocka_unit_test(the_books_balance_after_sagas_that_ran_among_one_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
