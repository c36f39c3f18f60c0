#include "engine/main/axis.h"

#include <math.h>
#include <stddef.h>

#define LOG_RATIO_MAX 1e6 /* what is smaller stands on the axis */

const struct axis_scale axis_counts[] = {{1e6, "million"}, {1e3, "thousand"}, {1, ""}};
const struct axis_scale axis_bytes[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "bytes"}};
const struct axis_scale axis_times_ns[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}};

/* The next number of few digits that is not below. */
static double round_up(double value)
{
    static const double steps[] = {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10};
    double decade = pow(10, floor(log10(value)));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (value <= steps[i] * decade * (1 + 1e-9))
            return steps[i] * decade;
    return 10 * decade;
}

static const struct axis_scale *find_scale(const struct axis_scale *scale, double most)
{
    while (scale->factor > 1 && most < scale->factor)
        scale++;
    return scale;
}

struct axis axis_linear(double most, const struct axis_scale *scales)
{
    double smallest = scales == axis_times_ns ? 1e4 : 1; /* 10 µs: less is not told apart */
    double step = round_up((most > smallest ? most : smallest) / AXIS_INTERVALS);
    double high = step * AXIS_INTERVALS;
    return (struct axis){.high = high, .step = step, .scale = find_scale(scales, high)};
}

double axis_one_two_five(double value, bool up)
{
    static const double steps[] = {1, 2, 5, 10};
    double decade = pow(10, floor(log10(value)));
    for (int i = 0; i < 3; i++)
        if (value < steps[i + 1] * decade * (1 - 1e-9))
            return up && value > steps[i] * decade * (1 + 1e-9) ? steps[i + 1] * decade
                                                                : steps[i] * decade;
    return 10 * decade;
}

struct axis axis_log(double least, double most, const struct axis_scale *scales)
{
    if (least < most / LOG_RATIO_MAX)
        least = most / LOG_RATIO_MAX;
    return (struct axis){.low = axis_one_two_five(least, false),
                         .high = axis_one_two_five(most, true),
                         .is_log = true,
                         .scale = find_scale(scales, most)};
}

double axis_y(const struct axis *axis, double top, double height, double value)
{
    if (value < axis->low)
        value = axis->low;
    double part = axis->is_log ? log(value / axis->low) / log(axis->high / axis->low)
                               : (value - axis->low) / (axis->high - axis->low);
    return top + height * (1 - part);
}

int axis_decimals(double step)
{
    int decimals = 0;
    while (decimals < 6 && fabs(step - round(step)) > 1e-6 * step) {
        step *= 10;
        decimals++;
    }
    return decimals;
}
