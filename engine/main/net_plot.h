/*
 * net_plot: the latency of a saga over the load, as an SVG, 1000 pixels wide: p50, p99 and p99.9 at
 * the parts of the greatest rate that --curve measured. No script, no link, nothing but SVG 1.1.
 *
 * Threads: pure. Memory: none.
 */
#ifndef ENGINE_MAIN_NET_PLOT_H
#define ENGINE_MAIN_NET_PLOT_H

#include <stdio.h>

#include "engine/main/net_report.h"

/* The report has a curve. Errors are those of the stream. */
void net_plot_write(const struct net_report *report, FILE *out);

#endif
