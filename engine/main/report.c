#include "engine/main/report.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/main/progress.h"
#include "flyover_commit.h"

static bool has_service(const struct audit_report *audit, const char *service)
{
    for (uint32_t i = 0; i < audit->figures_count; i++)
        if (strcmp(audit->figures[i].service, service) == 0)
            return true;
    return false;
}

struct law_terms {
    const char *text;
    const char *left_service, *left;
    const char *right_service, *right;
    const char *more_service, *more; /* NULL: none */
};

static const struct law_terms law_terms[REPORT_LAWS_COUNT] = {
    {"units at the start = on hand + sold", "inventory", "units_start", "inventory",
     "units_on_hand", "order", "units_standing"},
    {"money captured = value of the orders that stand", "payment", "money_captured", "order",
     "value_standing", NULL, NULL},
    {"orders confirmed = orders that stand", "confirmation", "confirmed", "order",
     "orders_standing", NULL, NULL},
    {"returns confirmed = returns that stand", "confirmation", "returns_confirmed", "order",
     "returns_standing", NULL, NULL},
};

static void judge(struct report *report)
{
    const struct audit_report *audit = &report->audit;
    report->balanced = true;
    for (uint32_t i = 0; i < REPORT_LAWS_COUNT; i++) {
        const struct law_terms *terms = &law_terms[i];
        struct report_law *law = &report->laws[i];
        law->text = terms->text;
        law->applies =
            has_service(audit, terms->left_service) && has_service(audit, terms->right_service);
        law->left = audit_find(audit, terms->left_service, terms->left);
        law->right = audit_find(audit, terms->right_service, terms->right);
        if (terms->more != NULL) {
            law->right += audit_find(audit, terms->more_service, terms->more);
            law->applies = law->applies && has_service(audit, terms->more_service);
        }
        law->holds = law->left == law->right;
        if (law->applies && !law->holds)
            report->balanced = false;
    }
}

void report_fill(struct report *report, const struct partition *partition,
                 const char digest[PARTITION_DIGEST_BYTES])
{
    const struct core *core = partition_state(partition)->core;
    memset(report, 0, sizeof *report);
    report->totals = core_totals(core);
    const struct core_error *errors;
    report->errors_count = core_errors(core, &errors);
    memcpy(report->errors, errors, report->errors_count * sizeof *errors);
    partition_audit(partition, &report->audit);
    memcpy(report->digest, digest, PARTITION_DIGEST_BYTES);
    judge(report);
}

static char *signed_number(char text[33], int64_t value)
{
    text[0] = '-';
    progress_number(value < 0 ? text + 1 : text, value < 0 ? (uint64_t)-value : (uint64_t)value);
    return text;
}

void report_print(const struct report *report, FILE *out)
{
    char a[32], b[32], c[32], d[32], e[32], left[33], right[33];
    const struct core_totals *totals = &report->totals;
    fprintf(out, "  sagas     %s started: %s succeeded, %s compensated, %s failed, %s stuck\n",
            progress_number(a, totals->started), progress_number(b, totals->succeeded),
            progress_number(c, totals->compensated), progress_number(d, totals->failed),
            progress_number(e, totals->stuck));
    for (uint32_t i = 0; i < report->errors_count; i++)
        fprintf(out, "            %s because of %s\n", progress_number(a, report->errors[i].count),
                report->errors[i].name);
    if (totals->stuck > 0)
        fprintf(out, "            look at those that are stuck with `flyover replay --data DIR`\n");
    if (totals->detached_failed > 0)
        fprintf(out, "            %s fire-and-forget steps given up\n",
                progress_number(a, totals->detached_failed));
    bool any = false;
    for (uint32_t i = 0; i < REPORT_LAWS_COUNT; i++)
        any |= report->laws[i].applies;
    fprintf(out, "  audit     %s\n",
            !any ? "none: the order services took no part"
                 : (report->balanced ? "balanced" : "DOES NOT BALANCE"));
    for (uint32_t i = 0; i < REPORT_LAWS_COUNT; i++) {
        const struct report_law *law = &report->laws[i];
        if (law->applies)
            fprintf(out, "            %s %s: %s %s %s\n", law->holds ? "ok " : "BAD", law->text,
                    signed_number(left, law->left), law->holds ? "=" : "is not",
                    signed_number(right, law->right));
    }
    fprintf(out, "  state     digest %s\n", report->digest);
}

json_t *report_sagas_json(const struct report *report)
{
    const struct core_totals *totals = &report->totals;
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "started", (json_int_t)totals->started,
                     "succeeded", (json_int_t)totals->succeeded, "compensated",
                     (json_int_t)totals->compensated, "failed", (json_int_t)totals->failed, "stuck",
                     (json_int_t)totals->stuck);
}

json_t *report_audit_json(const struct report *report)
{
    json_t *laws = json_array();
    for (uint32_t i = 0; i < REPORT_LAWS_COUNT; i++)
        if (report->laws[i].applies)
            json_array_append_new(laws,
                                  json_pack("{s:s, s:I, s:I, s:b}", "law", report->laws[i].text,
                                            "left", (json_int_t)report->laws[i].left, "right",
                                            (json_int_t)report->laws[i].right, "holds",
                                            (int)report->laws[i].holds));
    json_t *figures = json_object();
    for (uint32_t i = 0; i < report->audit.figures_count; i++) {
        const struct audit_figure *figure = &report->audit.figures[i];
        char name[2 * FLYOVER_NAME_BYTES_MAX + 2];
        snprintf(name, sizeof name, "%s.%s", figure->service, figure->name);
        json_object_set_new(figures, name, json_integer(figure->value));
    }
    return json_pack("{s:b, s:o, s:o}", "balanced", (int)report->balanced, "laws", laws, "figures",
                     figures);
}

json_t *report_latency_json(const struct histogram *latency)
{
    return json_pack(
        "{s:f, s:f, s:f, s:f, s:f}", "p50", (double)histogram_quantile(latency, 0.5) / 1e3, "p90",
        (double)histogram_quantile(latency, 0.9) / 1e3, "p99",
        (double)histogram_quantile(latency, 0.99) / 1e3, "p999",
        (double)histogram_quantile(latency, 0.999) / 1e3, "max", (double)latency->value_max / 1e3);
}

const char *report_machine(void)
{
    static char text[512];
    if (text[0] != '\0')
        return text;
    char model[128] = "unknown CPU";
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "model name : %127[^\n]", model) == 1)
            break;
    if (file != NULL)
        fclose(file);
    struct utsname name;
    uname(&name);
    snprintf(text, sizeof text, "%s, %ld cores, %s %s", model, sysconf(_SC_NPROCESSORS_ONLN),
             name.sysname, name.release);
    return text;
}

const char *report_commit(void)
{
    return FLYOVER_COMMIT;
}

void report_print_json(json_t *object, FILE *out)
{
    json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(object);
}
