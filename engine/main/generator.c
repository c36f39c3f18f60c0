#include "engine/main/generator.h"

#include <assert.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NUMBER_DIGITS     8u /* room for 100 million orders, and a letter before them */
#define CODES_SMALL       1000u
#define CODES_RETAIL      3900u
#define CUSTOMERS_COUNT   10000u
#define LINES_MAX         600u
#define QUANTITY_TOO_MANY 2000000000000
#define AMOUNT_TOO_DEAR   2000000000000
#define ORDERS_COUNT      (GENERATOR_POOL + GENERATOR_POOL / 16)
#define HUGE_PAGE_BYTES   (2u << 20)

struct pooled_order {
    uint8_t *bytes;
    uint32_t bytes_count;
    uint32_t number_at; /* where the digits of the order number stand */
    bool is_return;
};

struct generator {
    enum generator_shape shape;
    uint64_t random;
    uint64_t number;
    double fail_rate;
    uint32_t codes_count;
    double *popularity; /* cumulative, codes_count */
    struct pooled_order pool[GENERATOR_POOL];
    struct pooled_order failing[GENERATOR_POOL / 16];
    uint8_t *arena; /* the bytes of all of them, one behind the other */
};

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016. */
static uint64_t draw(struct generator *generator)
{
    uint64_t x = generator->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    generator->random = x;
    return x * 0x2545f4914f6cdd1du;
}

static double draw_part(struct generator *generator)
{
    return (double)(draw(generator) >> 11) * 0x1p-53;
}

static uint32_t draw_below(struct generator *generator, uint32_t bound)
{
    return (uint32_t)((draw(generator) >> 32) * bound >> 32);
}

/* Popularity falls about as 1 / (rank + 25)^0.9, as the stock codes of the real year do. */
static enum status fill_popularity(struct generator *generator)
{
    generator->popularity = malloc(generator->codes_count * sizeof *generator->popularity);
    if (generator->popularity == NULL)
        return STATUS_NO_MEMORY;
    double sum = 0;
    for (uint32_t i = 0; i < generator->codes_count; i++) {
        sum += pow(i + 25.0, -0.9);
        generator->popularity[i] = sum;
    }
    for (uint32_t i = 0; i < generator->codes_count; i++)
        generator->popularity[i] /= sum;
    return STATUS_OK;
}

static uint32_t draw_code(struct generator *generator)
{
    if (generator->shape == GENERATOR_SMALL)
        return draw_below(generator, generator->codes_count);
    double part = draw_part(generator);
    uint32_t low = 0, high = generator->codes_count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (generator->popularity[middle] < part)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Log-normal about the median, at least 1: what lines an order and units a line look like. */
static uint32_t draw_skewed(struct generator *generator, double median, double spread,
                            uint32_t bound)
{
    double normal =
        sqrt(-2 * log(1 - draw_part(generator))) * cos(6.28318530718 * draw_part(generator));
    double value = median * exp(spread * normal);
    return value < 1 ? 1 : (value > bound ? bound : (uint32_t)value);
}

static uint32_t draw_lines_count(struct generator *generator, bool is_return)
{
    if (generator->shape == GENERATOR_SMALL)
        return 1 + draw_below(generator, 3);
    return draw_skewed(generator, is_return ? 1.5 : 15, is_return ? 0.8 : 1.0, LINES_MAX);
}

static uint32_t draw_quantity(struct generator *generator)
{
    if (generator->shape == GENERATOR_SMALL)
        return 1 + draw_below(generator, 12);
    return draw_skewed(generator, 4, 1.2, 10000);
}

static void pack_text(msgpack_packer *packer, const char *text)
{
    size_t bytes = strlen(text);
    msgpack_pack_str(packer, bytes);
    msgpack_pack_str_body(packer, text, bytes);
}

enum make { MAKE_GOOD, MAKE_SHORT, MAKE_DEAR };

static void pack_lines(struct generator *generator, msgpack_packer *packer, bool is_return,
                       enum make make)
{
    uint32_t count = draw_lines_count(generator, is_return);
    msgpack_pack_array(packer, count);
    for (uint32_t i = 0; i < count; i++) {
        char code[16];
        uint32_t index = draw_code(generator);
        snprintf(code, sizeof code, index % 3 == 0 ? "%u%c" : "%u", 20000 + index,
                 (char)('A' + (int)(index % 7)));
        int64_t quantity = draw_quantity(generator);
        int64_t amount = quantity * (50 + draw_below(generator, 800));
        if (make == MAKE_SHORT && i == 0)
            quantity = QUANTITY_TOO_MANY;
        if (make == MAKE_DEAR && i == 0)
            amount = AMOUNT_TOO_DEAR;
        msgpack_pack_array(packer, 3);
        pack_text(packer, code);
        msgpack_pack_int64(packer, quantity);
        msgpack_pack_int64(packer, amount);
    }
}

static enum status make_order(struct generator *generator, enum make make,
                              struct pooled_order *order)
{
    bool retail = generator->shape == GENERATOR_RETAIL;
    bool is_return = retail && make == MAKE_GOOD && draw_below(generator, 7) == 0;
    bool is_guest = retail && make != MAKE_DEAR && draw_below(generator, 7) == 0;
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, 3);
    pack_text(&packer, "number");
    char number[NUMBER_DIGITS + 2];
    snprintf(number, sizeof number, "%s%0*u", is_return ? "C" : "", (int)NUMBER_DIGITS, 0u);
    pack_text(&packer, number);
    order->number_at = (uint32_t)buffer.size - NUMBER_DIGITS;
    pack_text(&packer, "customer");
    char customer[16] = "guest";
    if (!is_guest)
        snprintf(customer, sizeof customer, "%u", 12000 + draw_below(generator, CUSTOMERS_COUNT));
    pack_text(&packer, customer);
    pack_text(&packer, "lines");
    pack_lines(generator, &packer, is_return, make);
    order->is_return = is_return;
    order->bytes_count = (uint32_t)buffer.size;
    char *bytes = msgpack_sbuffer_release(&buffer);
    if (bytes == NULL)
        return STATUS_NO_MEMORY;
    /* The buffer begins with 8 KiB, of which an order takes a few hundred bytes. */
    uint8_t *kept = realloc(bytes, order->bytes_count);
    order->bytes = kept != NULL ? kept : (uint8_t *)bytes;
    return STATUS_OK;
}

/* Pool first. */
static struct pooled_order *order_at(struct generator *generator, uint32_t i)
{
    return i < GENERATOR_POOL ? &generator->pool[i] : &generator->failing[i - GENERATOR_POOL];
}

/* Orders are drawn at random: in small pages, spread over the heap, each would miss the TLB. */
static enum status move_to_arena(struct generator *generator)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < ORDERS_COUNT; i++)
        bytes += order_at(generator, i)->bytes_count;
    bytes = (bytes + HUGE_PAGE_BYTES - 1) & ~(size_t)(HUGE_PAGE_BYTES - 1);
    generator->arena = aligned_alloc(HUGE_PAGE_BYTES, bytes);
    if (generator->arena == NULL)
        return STATUS_NO_MEMORY;
    madvise(generator->arena, bytes, MADV_HUGEPAGE);
    uint8_t *at = generator->arena;
    for (uint32_t i = 0; i < ORDERS_COUNT; i++) {
        struct pooled_order *order = order_at(generator, i);
        memcpy(at, order->bytes, order->bytes_count);
        free(order->bytes);
        order->bytes = at;
        at += order->bytes_count;
    }
    return STATUS_OK;
}

enum status generator_open(enum generator_shape shape, uint64_t seed, double fail_rate,
                           uint64_t number_last, struct generator **ret_generator)
{
    struct generator *generator = calloc(1, sizeof *generator);
    if (generator == NULL)
        return STATUS_NO_MEMORY;
    generator->shape = shape;
    generator->random = seed * 0x9e3779b97f4a7c15u | 1;
    generator->fail_rate = fail_rate;
    generator->number = number_last;
    generator->codes_count = shape == GENERATOR_SMALL ? CODES_SMALL : CODES_RETAIL;
    enum status status = fill_popularity(generator);
    for (uint32_t i = 0; i < GENERATOR_POOL && status == STATUS_OK; i++)
        status = make_order(generator, MAKE_GOOD, &generator->pool[i]);
    for (uint32_t i = 0; i < GENERATOR_POOL / 16 && status == STATUS_OK; i++)
        status = make_order(generator, i % 2 == 0 ? MAKE_SHORT : MAKE_DEAR, &generator->failing[i]);
    if (status == STATUS_OK)
        status = move_to_arena(generator);
    if (status != STATUS_OK) {
        generator_close(generator);
        return status;
    }
    *ret_generator = generator;
    return STATUS_OK;
}

void generator_close(struct generator *generator)
{
    if (generator == NULL)
        return;
    for (uint32_t i = 0; i < ORDERS_COUNT && generator->arena == NULL; i++)
        free(order_at(generator, i)->bytes);
    free(generator->arena);
    free(generator->popularity);
    free(generator);
}

void generator_skip(struct generator *generator, uint64_t number_last)
{
    generator->number = number_last;
}

struct generator_order generator_next(struct generator *generator)
{
    struct pooled_order *order;
    if (generator->fail_rate > 0 && draw_part(generator) < generator->fail_rate)
        order = &generator->failing[draw_below(generator, GENERATOR_POOL / 16)];
    else
        order = &generator->pool[draw_below(generator, GENERATOR_POOL)];
    uint64_t number = ++generator->number;
    for (uint32_t i = NUMBER_DIGITS; i-- > 0; number /= 10)
        order->bytes[order->number_at + i] = (uint8_t)('0' + number % 10);
    return (struct generator_order){{order->bytes, order->bytes_count}, order->is_return};
}
