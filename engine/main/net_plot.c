#include "engine/main/net_plot.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "engine/main/axis.h"
#include "engine/main/progress.h"
#include "engine/main/report.h"
#include "engine/main/svg.h"

#define WIDTH       1000
#define HEIGHT      480
#define LEFT        66.0
#define RIGHT       934.0
#define TOP         122.0
#define PLOT_HEIGHT 280.0
#define BOTTOM      (TOP + PLOT_HEIGHT)
#define LEAST_NS    1e4 /* less is not told apart */

static const struct {
    double quantile;
    const char *name, *colour;
} lines[] = {{0.5, "p50", SVG_BLUE}, {0.99, "p99", SVG_ORANGE}, {0.999, "p99.9", SVG_GREY}};
#define LINES_COUNT (sizeof lines / sizeof lines[0])

static double latency_ns(const struct net_point *point, size_t line)
{
    double ns = (double)histogram_quantile(&point->counts.latency_ns, lines[line].quantile);
    return ns < LEAST_NS ? LEAST_NS : ns;
}

static double x_of(const struct net_report *report, const struct net_point *point)
{
    return LEFT + (RIGHT - LEFT) * point->rate_per_s / net_report_sagas_per_s(&report->points[0]);
}

static struct axis find_axis(const struct net_report *report)
{
    double least = INFINITY, most = LEAST_NS;
    for (uint32_t i = 1; i < report->points_count; i++)
        for (size_t line = 0; line < LINES_COUNT; line++) {
            double ns = latency_ns(&report->points[i], line);
            least = ns < least ? ns : least;
            most = ns > most ? ns : most;
        }
    return axis_log(least, most, axis_times_ns);
}

static void write_head(const struct net_report *report, FILE *out)
{
    char title[160], machine[640], load[160], most[32];
    snprintf(title, sizeof title, "Latency of a saga, %s, durability %s", report->reached,
             report->durability);
    snprintf(machine, sizeof machine, "%s, commit %s", report_machine(), report_commit());
    snprintf(load, sizeof load,
             "100 %% = %s sagas a second, the most that %u under way at once reached; steps served "
             "by %s",
             progress_number(most, (uint64_t)net_report_sagas_per_s(&report->points[0])),
             report->outstanding,
             report->workers == 0 ? "the engine's plug-ins" : "a remote worker");
    svg_begin(WIDTH, HEIGHT, title, out);
    svg_write_text(12, 46, "fill=\"#444\"", machine, out);
    svg_write_text(12, 63, "fill=\"#444\"", load, out);
}

static void write_tick(const struct axis *axis, double value, FILE *out)
{
    double y = axis_y(axis, TOP, PLOT_HEIGHT, value);
    fprintf(out,
            "<path stroke=\"#e4e4e4\" d=\"M%.1f %.1fH%.1f\"/>\n<text x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"end\" fill=\"#444\">%.*f</text>\n",
            LEFT, y, RIGHT, LEFT - 8, y + 4, axis_decimals(value / axis->scale->factor),
            value / axis->scale->factor);
}

static void write_axes(const struct net_report *report, const struct axis *axis, FILE *out)
{
    fprintf(out,
            "<text x=\"12\" y=\"%.1f\" font-size=\"13\" font-weight=\"bold\">Latency from when "
            "each saga was due, %s, logarithmic</text>\n",
            TOP - 12, axis->scale->unit);
    for (double value = axis->low; value <= axis->high * 1.001;
         value = axis_one_two_five(value * 1.01, true))
        write_tick(axis, value, out);
    for (uint32_t i = 1; i < report->points_count; i++) {
        const struct net_point *point = &report->points[i];
        char label[64], rate[32];
        double x = x_of(report, point);
        snprintf(label, sizeof label, "%s: %s/s", point->name,
                 progress_number(rate, (uint64_t)net_report_sagas_per_s(point)));
        fprintf(out, "<path stroke=\"#888\" d=\"M%.1f %.1fv5\"/>\n", x, BOTTOM);
        svg_write_text(x, BOTTOM + 18, "text-anchor=\"middle\" fill=\"#444\"", label, out);
    }
    fprintf(out, "<path stroke=\"#888\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, BOTTOM, RIGHT);
    svg_write_text((LEFT + RIGHT) / 2, BOTTOM + 40, "text-anchor=\"middle\"",
                   "load: part of the greatest rate, and sagas ended a second", out);
}

static void write_line(const struct net_report *report, const struct axis *axis, size_t line,
                       FILE *out)
{
    fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"", lines[line].colour);
    for (uint32_t i = 1; i < report->points_count; i++)
        fprintf(out, "%c%.1f %.1f", i == 1 ? 'M' : 'L', x_of(report, &report->points[i]),
                axis_y(axis, TOP, PLOT_HEIGHT, latency_ns(&report->points[i], line)));
    fputs("\"/>\n", out);
    for (uint32_t i = 1; i < report->points_count; i++)
        fprintf(out, "<circle r=\"3.5\" fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\"/>\n",
                lines[line].colour, x_of(report, &report->points[i]),
                axis_y(axis, TOP, PLOT_HEIGHT, latency_ns(&report->points[i], line)));
}

static void write_legend(FILE *out)
{
    double x = RIGHT;
    for (size_t line = LINES_COUNT; line-- > 0;) {
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"%s\">%s</text>\n", x,
                TOP - 12, lines[line].colour, lines[line].name);
        x -= 7.0 * (double)strlen(lines[line].name) + 24;
    }
}

void net_plot_write(const struct net_report *report, FILE *out)
{
    assert(report->points_count > 1);
    struct axis axis = find_axis(report);
    write_head(report, out);
    write_axes(report, &axis, out);
    write_legend(out);
    for (size_t line = LINES_COUNT; line-- > 0;) /* the first one on top */
        write_line(report, &axis, line, out);
    fputs("</svg>\n", out);
}
