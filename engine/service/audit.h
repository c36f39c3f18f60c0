/*
 * audit: asks a service for its figures, from its tables at rest.
 *
 * Threads: whoever owns the tables, while no handler runs.
 */
#ifndef ENGINE_SERVICE_AUDIT_H
#define ENGINE_SERVICE_AUDIT_H

#include "engine/service/plugin.h"
#include "engine/service/tables.h"

#define AUDIT_FIGURES_MAX 64u

struct audit_figure {
    char service[FLYOVER_NAME_BYTES_MAX + 1];
    char name[FLYOVER_NAME_BYTES_MAX + 1];
    int64_t value;
};

struct audit_report {
    uint32_t figures_count;
    struct audit_figure figures[AUDIT_FIGURES_MAX];
};

/* Appends the figures of the service to the report; those beyond AUDIT_FIGURES_MAX are dropped. */
void audit_service(const struct plugin *plugin, const struct tables *tables,
                   struct audit_report *report);
/* 0 where there is no such figure. */
int64_t audit_find(const struct audit_report *report, const char *service, const char *name);

#endif
