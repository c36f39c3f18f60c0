/*
 * metrics_text: figures as Prometheus's text format 0.0.4: HELP, TYPE and samples, in base units
 * (seconds, bytes), names by Prometheus's rules, totals ending in _total.
 *
 * Threads: the caller's. Source: prometheus.io/docs/instrumenting/exposition_formats.
 */
#ifndef ENGINE_MAIN_METRICS_TEXT_H
#define ENGINE_MAIN_METRICS_TEXT_H

#include <stddef.h>

#include "engine/admin/figures.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What is told beside the figures of the engine. */
struct metrics_page {
    const struct figures *figures; /* NULL: none were taken yet */
    uint64_t figures_age_ns;
    uint64_t heartbeat_age_ns; /* of the engine's thread; 0 before it turns */
    bool is_ready;
    uint64_t recovered_blocks;
    const char *version, *commit, *durability;
    const char *directory; /* NULL: none */
};

/* Returns owned (free), *ret_bytes without the zero behind; NULL: no memory. */
char *metrics_text(const struct metrics_page *page, size_t *ret_bytes);

#endif
