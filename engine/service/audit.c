#include "engine/service/audit.h"

#include <stdio.h>
#include <string.h>

struct flyover_audit {
    const struct plugin *plugin;
    const struct tables *tables;
    struct audit_report *report;
};

void audit_service(const struct plugin *plugin, const struct tables *tables,
                   struct audit_report *report)
{
    struct flyover_audit audit = {plugin, tables, report};
    if (plugin->service->audit != NULL)
        plugin->service->audit(&audit);
}

int64_t audit_find(const struct audit_report *report, const char *service, const char *name)
{
    for (uint32_t i = 0; i < report->figures_count; i++)
        if (strcmp(report->figures[i].service, service) == 0 &&
            strcmp(report->figures[i].name, name) == 0)
            return report->figures[i].value;
    return 0;
}

void flyover_audit_each(struct flyover_audit *audit, uint32_t table, flyover_visit visit,
                        void *context)
{
    if (audit->tables != NULL && table < tables_count(audit->tables))
        tables_each(audit->tables, table, visit, context);
}

void flyover_audit_figure(struct flyover_audit *audit, const char *name, int64_t value)
{
    struct audit_report *report = audit->report;
    if (report->figures_count == AUDIT_FIGURES_MAX)
        return;
    struct audit_figure *figure = &report->figures[report->figures_count++];
    snprintf(figure->service, sizeof figure->service, "%s", audit->plugin->service->name);
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->value = value;
}
