/*
 * report: what the engine did, for people and (jansson) for machines; and the laws of the order
 * application, which must hold at the end of every run.
 */
#ifndef ENGINE_MAIN_REPORT_H
#define ENGINE_MAIN_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "engine/base/histogram.h"
#include "engine/partition/partition.h"

#define REPORT_LAWS_COUNT 4u

/* left = right + more, each a figure of a service. */
struct report_law {
    const char *text;
    int64_t left, right;
    bool applies; /* the services it speaks of are there */
    bool holds;
};

struct report {
    struct core_totals totals;
    uint32_t errors_count;
    struct core_error errors[CORE_ERRORS_MAX];
    struct audit_report audit;
    struct report_law laws[REPORT_LAWS_COUNT];
    bool balanced;
    char digest[PARTITION_DIGEST_BYTES];
};

/* After partition_stop. */
void report_fill(struct report *report, const struct partition *partition,
                 const char digest[PARTITION_DIGEST_BYTES]);
/* Sagas by outcome, errors by name, the audit, the digest. */
void report_print(const struct report *report, FILE *out);
/* {"started", "succeeded", "compensated", "failed", "stuck"}; returns owned. */
json_t *report_sagas_json(const struct report *report);
/* {"balanced", "laws": [...], "figures": {...}}; returns owned. */
json_t *report_audit_json(const struct report *report);
/* {"p50", "p90", "p99", "p999", "max"} in microseconds; returns owned. */
json_t *report_latency_json(const struct histogram *latency_ns);
/* CPU model, cores, kernel, commit: with every figure. Static. */
const char *report_machine(void);
const char *report_commit(void);
void report_print_json(json_t *object, FILE *out);

#endif
