/*
 * generator: orders for a load test, from a seed. Orders are made before the test (msgpack-c) and
 * drawn from a pool while it runs, only the order number being new each time, so that the generator
 * costs next to nothing beside the engine.
 *
 * Shapes: SMALL   one to three lines, 1,000 stock codes, 10,000 customers: what peers publish.
 *         RETAIL  after the shape of a real shop's year (UCI Online Retail): lines an order from 1
 *                 to several hundred (median 15), quantities in the same skew, one in seven a
 *                 return, a few thousand stock codes by popularity, one order in seven a guest's.
 *
 * An order that is to fail asks for more than there is of one code (half of them) or is dearer than
 * the credit of its customer, so that there is something to compensate.
 *
 * Threads: one owner. Memory: GENERATOR_POOL orders, at open.
 */
#ifndef ENGINE_MAIN_GENERATOR_H
#define ENGINE_MAIN_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/flyover_service.h"

enum generator_shape { GENERATOR_SMALL, GENERATOR_RETAIL };

#define GENERATOR_POOL 16384u
/* What the services must be told, so that only orders made to fail do fail. */
#define GENERATOR_UNITS_INITIAL "1000000000000"
#define GENERATOR_CREDIT_LIMIT  "1000000000000"

struct generator;

struct generator_order {
    struct flyover_bytes input; /* lent until the next call */
    bool is_return;
};

/* Order numbers begin after number_last: a data directory keeps those it has seen. */
NODISCARD enum status generator_open(enum generator_shape shape, uint64_t seed, double fail_rate,
                                     uint64_t number_last, struct generator **ret_generator);
void generator_close(struct generator *generator);
/* Order numbers begin after number_last from now on. */
void generator_skip(struct generator *generator, uint64_t number_last);
struct generator_order generator_next(struct generator *generator);

#endif
