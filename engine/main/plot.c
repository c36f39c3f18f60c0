#include "engine/main/plot.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/main/axis.h"
#include "engine/main/svg.h"

/* All in pixels of a picture that is not scaled. */
#define WIDTH          1000
#define HEIGHT         852
#define LEFT           66.0
#define RIGHT          934.0
#define PANELS_TOP     118.0
#define PANEL_HEIGHT   128.0
#define PANEL_DISTANCE 172.0
#define PANELS_COUNT   4
#define BOTTOM         (PANELS_TOP + (PANELS_COUNT - 1) * PANEL_DISTANCE + PANEL_HEIGHT)
#define POINTS_MAX     450u /* that can be told apart */
#define LINES_MAX      3u
#define LOG_RATIO_MIN  20.0 /* from which on a linear axis would hide the small values */

/* ---- lines -----------------------------------------------------------------------------------
 */

struct line {
    const char *name;
    const char *colour;
    double width;
    bool on_right;
    bool is_step; /* it holds until it changes */
    bool is_rate; /* of the interval, and stands in its middle; else at its end */
    double (*value_of)(const struct series_sample *sample); /* NAN: there is none */
};

static double steps_per_s_of(const struct series_sample *sample)
{
    return sample->length_ns == 0 ? NAN : (double)sample->steps * 1e9 / (double)sample->length_ns;
}

static double p50_of(const struct series_sample *sample)
{
    return sample->replies == 0 ? NAN : (double)sample->p50_ns;
}

static double p99_of(const struct series_sample *sample)
{
    return sample->replies == 0 ? NAN : (double)sample->p99_ns;
}

static double p999_of(const struct series_sample *sample)
{
    return sample->replies == 0 ? NAN : (double)sample->p999_ns;
}

static double rss_of(const struct series_sample *sample)
{
    return sample->rss_bytes == 0 ? NAN : (double)sample->rss_bytes;
}

static double disk_of(const struct series_sample *sample)
{
    return (double)sample->disk_bytes;
}

static double stop_of(const struct series_sample *sample)
{
    return (double)sample->stop_ns_max;
}

struct panel {
    const char *id;
    const char *title;
    const char *title_right; /* of the axis on the right; NULL: there is none */
    const struct axis_scale *scales;
    uint32_t lines_count;
    struct line lines[LINES_MAX];
    double top;
    struct axis left, right;
};

static void find_range(const struct series *series, const struct panel *panel, bool on_right,
                       double *ret_least, double *ret_most)
{
    double least = INFINITY, most = 0;
    for (uint32_t i = 0; i < panel->lines_count; i++)
        for (uint32_t j = 0; j < series->samples_count; j++) {
            const struct line *line = &panel->lines[i];
            double value = line->value_of(&series->samples[j]);
            if (line->on_right != on_right || isnan(value))
                continue;
            most = value > most ? value : most;
            least = value < least ? value : least;
        }
    *ret_least = least;
    *ret_most = most;
}

static double end_ns(const struct series *series)
{
    uint64_t ended_ns = series->samples[series->samples_count - 1].ended_ns;
    return ended_ns == 0 ? 1 : (double)ended_ns;
}

static double x_of(const struct series *series, double at_ns)
{
    return LEFT + (RIGHT - LEFT) * at_ns / end_ns(series);
}

static void write_line(const struct series *series, const struct panel *panel,
                       const struct line *line, FILE *out)
{
    const struct axis *axis = line->on_right ? &panel->right : &panel->left;
    fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%.1f\" d=\"", line->colour,
            line->width);
    bool drawing = false;
    for (uint32_t i = 0; i < series->samples_count; i++) {
        const struct series_sample *sample = &series->samples[i];
        double value = line->value_of(sample);
        if (isnan(value)) {
            drawing = false;
            continue;
        }
        double at_ns =
            (double)sample->ended_ns - (line->is_rate ? (double)sample->length_ns / 2 : 0);
        double x = x_of(series, at_ns), y = axis_y(axis, panel->top, PANEL_HEIGHT, value);
        if (!drawing)
            fprintf(out, "M%.1f %.1fh.1", x, y); /* a point, if nothing follows */
        else if (line->is_step)
            fprintf(out, "H%.1fV%.1f", x, y);
        else
            fprintf(out, "L%.1f %.1f", x, y);
        drawing = true;
    }
    fputs("\"/>\n", out);
}

/* ---- text ------------------------------------------------------------------------------------
 */

/* Of two axes each has the colour of its line. */
static const char *colour_of_axis(const struct panel *panel, bool on_right)
{
    return panel->lines[on_right ? 1 : 0].colour;
}

static void write_tick(const struct panel *panel, bool on_right, double value, int decimals,
                       FILE *out)
{
    const struct axis *axis = on_right ? &panel->right : &panel->left;
    double y = axis_y(axis, panel->top, PANEL_HEIGHT, value);
    if (!on_right)
        fprintf(out, "<path stroke=\"#e4e4e4\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, y, RIGHT);
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%.*f</text>\n",
            on_right ? RIGHT + 8 : LEFT - 8, y + 4, on_right ? "start" : "end",
            panel->title_right == NULL ? "#444" : colour_of_axis(panel, on_right), decimals,
            value / axis->scale->factor);
}

static void write_log_ticks(const struct panel *panel, FILE *out)
{
    const struct axis *axis = &panel->left;
    bool many = axis->high / axis->low > 1e3;
    for (double decade = pow(10, floor(log10(axis->low) + 1e-9)); decade <= axis->high * 1.001;
         decade *= 10)
        for (int digit = 1; digit <= 5; digit += digit == 1 ? 1 : 3) {
            double value = digit * decade;
            if (value >= axis->low * 0.999 && value <= axis->high * 1.001 && (digit == 1 || !many))
                write_tick(panel, false, value, axis_decimals(value / axis->scale->factor), out);
        }
}

static void write_ticks(const struct panel *panel, FILE *out)
{
    const struct axis *left = &panel->left, *right = &panel->right;
    if (left->is_log)
        write_log_ticks(panel, out);
    for (int i = 0; i <= AXIS_INTERVALS && !left->is_log; i++)
        write_tick(panel, false, i * left->step, axis_decimals(left->step / left->scale->factor),
                   out);
    for (int i = 0; i <= AXIS_INTERVALS && panel->title_right != NULL; i++)
        write_tick(panel, true, i * right->step, axis_decimals(right->step / right->scale->factor),
                   out);
}

/* ---- panels ----------------------------------------------------------------------------------
 */

static void write_title(const struct panel *panel, FILE *out)
{
    const char *unit = panel->left.scale->unit;
    bool two = panel->title_right != NULL;
    fprintf(out,
            "<text x=\"12\" y=\"%.1f\" font-size=\"13\" font-weight=\"bold\" "
            "fill=\"%s\">%s%s%s%s</text>\n",
            panel->top - 12, two ? colour_of_axis(panel, false) : "#222", panel->title,
            unit[0] == '\0' ? "" : ", ", unit, panel->left.is_log ? ", logarithmic" : "");
    if (two)
        fprintf(out,
                "<text x=\"%d\" y=\"%.1f\" font-size=\"13\" font-weight=\"bold\" "
                "text-anchor=\"end\" fill=\"%s\">%s, %s</text>\n",
                WIDTH - 12, panel->top - 12, colour_of_axis(panel, true), panel->title_right,
                panel->right.scale->unit);
}

/* Beside one another, ending where the plot does. */
static void write_legend(const struct panel *panel, FILE *out)
{
    double x = RIGHT;
    for (uint32_t i = panel->lines_count; i-- > 0;) {
        const struct line *line = &panel->lines[i];
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"%s\">%s</text>\n", x,
                panel->top - 12, line->colour, line->name);
        x -= 7.0 * (double)strlen(line->name) + 6;
        fprintf(out, "<path stroke=\"%s\" stroke-width=\"3\" d=\"M%.1f %.1fh18\"/>\n", line->colour,
                x - 18, panel->top - 16);
        x -= 36;
    }
}

static void write_panel(const struct series *series, struct panel *panel, FILE *out)
{
    double least, most;
    find_range(series, panel, false, &least, &most);
    bool is_log =
        panel->scales == axis_times_ns && panel->lines_count > 1 && most > LOG_RATIO_MIN * least;
    panel->left = is_log ? axis_log(least, most, panel->scales) : axis_linear(most, panel->scales);
    find_range(series, panel, true, &least, &most);
    panel->right = axis_linear(most, panel->scales);
    fprintf(out, "<g id=\"%s\">\n", panel->id);
    write_title(panel, out);
    if (panel->lines_count > 1 && panel->title_right == NULL)
        write_legend(panel, out);
    write_ticks(panel, out);
    for (uint32_t i = panel->lines_count; i-- > 0;) /* the first one on top */
        write_line(series, panel, &panel->lines[i], out);
    fputs("</g>\n", out);
}

/* When checkpoints were finished: how long each one's stop was is not known, only the longest. */
static void write_checkpoints(const struct series *series, double top, FILE *out)
{
    uint64_t before = 0;
    fputs("<g id=\"checkpoints-finished\">\n", out);
    for (uint32_t i = 0; i < series->samples_count; i++) {
        const struct series_sample *sample = &series->samples[i];
        if (sample->checkpoints > before)
            fprintf(out, "<path stroke=\"" SVG_GREEN "\" d=\"M%.1f %.1fv-9\"/>\n",
                    x_of(series, (double)sample->ended_ns - (double)sample->length_ns / 2),
                    top + PANEL_HEIGHT);
        before = sample->checkpoints;
    }
    char text[96] = "no checkpoint was finished";
    if (before > 0)
        snprintf(text, sizeof text, "%llu checkpoints finished (marks)",
                 (unsigned long long)before);
    fprintf(out,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"" SVG_GREEN "\">%s</text>\n",
            RIGHT, top - 12, text);
    fputs("</g>\n", out);
}

static void write_panels(const struct series *series, FILE *out)
{
    bool has_disk = false;
    for (uint32_t i = 0; i < series->samples_count; i++)
        has_disk |= series->samples[i].disk_bytes > 0;
    struct panel panels[PANELS_COUNT] = {
        {.id = "throughput",
         .title = "Steps per second",
         .scales = axis_counts,
         .lines_count = 1,
         .lines = {{"steps/s", SVG_BLUE, 1.5, .is_rate = true, .value_of = steps_per_s_of}}},
        {.id = "latency",
         .title = "Latency of a whole saga",
         .scales = axis_times_ns,
         .lines_count = 3,
         .lines = {{"p50", SVG_BLUE, 1.5, .is_rate = true, .value_of = p50_of},
                   {"p99", SVG_ORANGE, 1.5, .is_rate = true, .value_of = p99_of},
                   {"p99.9", SVG_GREY, 1, .is_rate = true, .value_of = p999_of}}},
        {.id = "memory-and-disk",
         .title = "Resident memory",
         .title_right = has_disk ? "On disk" : NULL,
         .scales = axis_bytes,
         .lines_count = has_disk ? 2 : 1,
         .lines = {{"memory", SVG_BLUE, 1.5, .value_of = rss_of},
                   {"disk", SVG_ORANGE, 1.5, .on_right = true, .value_of = disk_of}}},
        {.id = "checkpoint-stops",
         .title = "Longest stop for a checkpoint so far",
         .scales = axis_times_ns,
         .lines_count = 1,
         .lines = {{"longest stop", SVG_BLUE, 1.5, .is_step = true, .value_of = stop_of}}},
    };
    for (int i = 0; i < PANELS_COUNT; i++) {
        panels[i].top = PANELS_TOP + i * PANEL_DISTANCE;
        write_panel(series, &panels[i], out);
    }
    write_checkpoints(series, panels[PANELS_COUNT - 1].top, out);
}

/* ---- the whole -------------------------------------------------------------------------------
 */

/* Ticks of all panels at once, named below the last one. */
static void write_time_axis(const struct series *series, FILE *out)
{
    double seconds = end_ns(series) / 1e9;
    double unit_s = seconds <= 180 ? 1 : (seconds <= 10800 ? 60 : 3600);
    double step = axis_one_two_five(seconds / unit_s / 10, true);
    int decimals = axis_decimals(step);
    fputs("<g id=\"time\">\n", out);
    for (uint32_t i = 0; i * step <= seconds / unit_s * (1 + 1e-9); i++) {
        double x = x_of(series, i * step * unit_s * 1e9);
        for (int j = 0; j < PANELS_COUNT; j++)
            fprintf(out,
                    "<path stroke=\"#f0f0f0\" d=\"M%.1f %.1fv%.1f\"/>"
                    "<path stroke=\"#888\" d=\"M%.1f %.1fv5\"/>\n",
                    x, PANELS_TOP + j * PANEL_DISTANCE, PANEL_HEIGHT, x,
                    PANELS_TOP + j * PANEL_DISTANCE + PANEL_HEIGHT);
        fprintf(out,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#444\">%.*f</text>\n", x,
                BOTTOM + 18, decimals, i * step);
    }
    for (int j = 0; j < PANELS_COUNT; j++)
        fprintf(out, "<path stroke=\"#888\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT,
                PANELS_TOP + j * PANEL_DISTANCE + PANEL_HEIGHT, RIGHT);
    fprintf(out,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">time since the start, %s</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 36,
            unit_s < 60 ? "seconds" : (unit_s < 3600 ? "minutes" : "hours"));
    fputs("</g>\n", out);
}

static void write_head(const struct series *series, const struct plot_labels *labels, FILE *out)
{
    char summary[512];
    struct series_summary parts = series_summarize(series);
    series_describe(&parts, summary, sizeof summary);
    svg_begin(WIDTH, HEIGHT, labels->title, out);
    svg_write_text(12, 46, "fill=\"#444\"", labels->machine, out);
    svg_write_text(12, 63, "fill=\"#444\" font-family=\"monospace\" font-size=\"11\"",
                   labels->options, out);
    /* Its signs are no ASCII, and none of XML's own. */
    fprintf(out,
            "<text x=\"12\" y=\"%d\" fill=\"#444\">First quarter → last quarter, medians: "
            "%s</text>\n",
            HEIGHT - 14, summary);
}

void plot_write(const struct series *series, const struct plot_labels *labels, FILE *out)
{
    assert(series->samples_count > 0);
    write_head(series, labels, out);
    /* Where there is no room for a copy, all are drawn, which takes only longer to look at. */
    struct series *few = series->samples_count > POINTS_MAX ? malloc(sizeof *few) : NULL;
    if (few != NULL)
        *few = *series;
    while (few != NULL && few->samples_count > POINTS_MAX)
        series_thin(few);
    write_time_axis(few != NULL ? few : series, out);
    write_panels(few != NULL ? few : series, out);
    fputs("</svg>\n", out);
    free(few);
}
