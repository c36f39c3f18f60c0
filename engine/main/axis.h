/*
 * axis: from values to places in a picture, and ticks that people can read.
 *
 * Threads: pure functions. Memory: none.
 */
#ifndef ENGINE_MAIN_AXIS_H
#define ENGINE_MAIN_AXIS_H

#include <stdbool.h>

#define AXIS_INTERVALS 4 /* between the ticks of a linear axis */

/* A row of them ends with the factor 1. */
struct axis_scale {
    double factor;
    const char *unit;
};

extern const struct axis_scale axis_counts[], axis_bytes[], axis_times_ns[];

struct axis {
    double low, high; /* low > 0 where it is logarithmic, else 0 */
    bool is_log;
    double step; /* linear: between two ticks */
    const struct axis_scale *scale;
};

/* From 0 to at least `most`. */
struct axis axis_linear(double most, const struct axis_scale *scales);
/* From at most `least`, which is above 0, to at least `most`. */
struct axis axis_log(double least, double most, const struct axis_scale *scales);
/* Where a value stands between `top` and top + height, the smallest at the bottom. */
double axis_y(const struct axis *axis, double top, double height, double value);
/* The next of 1, 2 and 5 times a power of ten. */
double axis_one_two_five(double value, bool up);
/* So many that two ticks with this step between them differ. */
int axis_decimals(double step);

#endif
