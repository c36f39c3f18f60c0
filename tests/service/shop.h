/*
 * shop: the four services of the order application, loaded as plug-ins, each with a worker that
 * the test steps by hand. Every write that a call leaves is replayed at once into a second set of
 * tables, as recovery would.
 */
#ifndef TESTS_SERVICE_SHOP_H
#define TESTS_SERVICE_SHOP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/service/audit.h"
#include "engine/service/worker.h"

#define SHOP_SERVICES  4u
#define SHOP_LINES_MAX 5u

struct shop_line {
    char code[8];
    int64_t quantity;
    int64_t amount;
};

struct shop_order {
    char number[16];
    char customer[16];
    uint32_t lines_count;
    struct shop_line lines[SHOP_LINES_MAX];
};

struct shop_service {
    struct plugin plugin;
    struct tables *tables;
    struct tables *replayed;
    struct worker *worker;
};

struct shop {
    struct shop_service services[SHOP_SERVICES];
    uint64_t writes_bytes;
};

/* Name and cause are empty where it was done. */
struct shop_answer {
    char name[FLYOVER_ERROR_NAME_BYTES_MAX + 1];
    char cause[FLYOVER_ERROR_CAUSE_BYTES_MAX + 1];
};

/* `settings`: "service.key=value", ended by NULL; NULL for none. */
void shop_open(struct shop *shop, const char *const *settings);
void shop_close(struct shop *shop);
/* Loads the services and closes them again. The first failure. */
enum status shop_try_open(const char *const *settings);
bool shop_has(const struct shop *shop, const char *service, const char *handler);

struct shop_answer shop_call(struct shop *shop, const char *service, const char *handler,
                             enum flyover_phase phase, struct flyover_bytes input);
struct shop_answer shop_do(struct shop *shop, const char *service, const char *handler,
                           const struct shop_order *order);
struct shop_answer shop_undo(struct shop *shop, const char *service, const char *handler,
                             const struct shop_order *order);
/* The four steps of a sale; how many of them were done. */
uint32_t shop_sell(struct shop *shop, const struct shop_order *order);

void shop_audit(const struct shop *shop, struct audit_report *report);
/* Over all tables. */
uint64_t shop_digest(const struct shop *shop);
uint64_t shop_replayed_digest(const struct shop *shop);

#endif
