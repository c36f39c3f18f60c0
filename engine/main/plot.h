/*
 * plot: a series drawn as an SVG, 1000 pixels wide: rate, latency, memory and disk, checkpoints,
 * one above the other on one time axis.
 *
 * No script, no link, the fonts that are there, nothing but SVG 1.1: it can stand in a page. More
 * samples than there are pixels to tell them apart are thinned as series_thin does.
 */
#ifndef ENGINE_MAIN_PLOT_H
#define ENGINE_MAIN_PLOT_H

#include <stdio.h>

#include "engine/main/series.h"

/* The lines on top; what XML does not allow is replaced. */
struct plot_labels {
    const char *title;
    const char *machine; /* and commit */
    const char *options;
};

/* There must be a sample. Errors are those of the stream. */
void plot_write(const struct series *series, const struct plot_labels *labels, FILE *out);

#endif
