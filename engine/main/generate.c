#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/main/command.h"
#include "engine/main/generator.h"

#define COMMAND        "generate"
#define ORDERS_DEFAULT 100000u
#define ORDERS_MAX     99000000u
#define MINUTES_A_YEAR (365u * 24 * 60)

struct generate_options {
    uint64_t orders_count;
    uint64_t seed;
    enum generator_shape shape;
};

static const struct argp_option options_list[] = {
    {"orders", 'n', "N", 0, "How many orders (default 100000)", 0},
    {"seed", 's', "N", 0, "The same seed gives the same orders (default 1)", 0},
    {"shape", 'h', "small|retail", 0,
     "Orders of one to three lines (default), or as a real shop's, returns among them", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct generate_options *options = state->input;
    char *end;
    switch (key) {
    case 'n':
        options->orders_count = strtoull(text, &end, 10);
        if (*end != '\0' || options->orders_count == 0 || options->orders_count > ORDERS_MAX)
            argp_error(state, "--orders takes 1 to %u", ORDERS_MAX);
        return 0;
    case 's':
        errno = 0;
        options->seed = strtoull(text, &end, 10);
        if (*text == '-' || *end != '\0' || errno != 0 || options->seed == 0)
            argp_error(state, "--seed takes a number from 1");
        return 0;
    case 'h':
        if (strcmp(text, "small") != 0 && strcmp(text, "retail") != 0)
            argp_error(state, "--shape takes small or retail");
        options->shape = strcmp(text, "retail") == 0 ? GENERATOR_RETAIL : GENERATOR_SMALL;
        return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s' is no option", text); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    NULL,
    "Writes a year of made-up orders to standard output, as CSV in the columns of UCI Online "
    "Retail, a line a row.\v"
    "Example: flyover generate --orders 1000 > orders.csv",
    NULL,
    NULL,
    NULL,
};

static struct flyover_bytes text_at(struct flyover_cursor order, const char *key)
{
    struct flyover_cursor value;
    struct flyover_bytes text = {0};
    if (flyover_find(&order, key, &value))
        (void)flyover_read_str(&value, &text);
    return text;
}

static void print_order(const struct generator_order *order, uint64_t minute)
{
    struct flyover_cursor cursor = {order->input.at, order->input.at + order->input.count};
    struct flyover_bytes number = text_at(cursor, "number");
    struct flyover_bytes customer = text_at(cursor, "customer");
    struct flyover_cursor lines;
    uint32_t count = 0, fields;
    if (!flyover_find(&cursor, "lines", &lines) || !flyover_read_array(&lines, &count))
        return;
    uint64_t day = minute / (24 * 60);
    for (uint32_t i = 0; i < count; i++) {
        struct flyover_bytes code;
        int64_t quantity, amount;
        if (!flyover_read_array(&lines, &fields) || !flyover_read_str(&lines, &code) ||
            !flyover_read_int(&lines, &quantity) || !flyover_read_int(&lines, &amount))
            return;
        int64_t price = amount / quantity; /* whole, as the generator makes it */
        printf("%.*s,%.*s,%s%" PRId64 ",%" PRIu64 "/%" PRIu64 "/2011 %" PRIu64 ":%02" PRIu64
               ",%" PRId64 ".%02" PRId64 ",%.*s,United Kingdom\n",
               (int)number.count, (const char *)number.at, (int)code.count, (const char *)code.at,
               order->is_return ? "-" : "", quantity, day % 28 + 1, day / 28 % 12 + 1,
               minute / 60 % 24, minute % 60, price / 100, price % 100, (int)customer.count,
               (const char *)customer.at);
    }
}

int command_generate(int argc, char **argv)
{
    struct generate_options options = {.orders_count = ORDERS_DEFAULT, .seed = 1};
    command_parse(&argp, argc, argv, &options);
    struct generator *generator;
    if (generator_open(options.shape, options.seed, 0, 0, &generator) != STATUS_OK)
        return command_refuse(COMMAND, EXIT_FAILED, "out of memory");
    puts("InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country");
    for (uint64_t i = 0; i < options.orders_count; i++) {
        struct generator_order order = generator_next(generator);
        print_order(&order, i * MINUTES_A_YEAR / options.orders_count);
    }
    generator_close(generator);
    if (fflush(stdout) != 0 || ferror(stdout))
        return command_refuse(COMMAND, EXIT_FAILED,
                              "the orders could not be written: is the "
                              "disk full, or the reader gone?");
    return EXIT_DONE;
}
