#include "bench/measure.h"

#include <assert.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queues/sleeper.h"

#define REPETITIONS       11u
#define REPETITIONS_QUICK 5u

enum { OPTION_JSON = 1000, OPTION_QUICK, OPTION_REPETITIONS, OPTION_HELP };

static const struct option options_list[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"repetitions", required_argument, NULL, OPTION_REPETITIONS},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static void print_usage(const struct measure *measure, const char *about, FILE *out)
{
    fprintf(out, "usage: %s [--json] [--quick] [--repetitions N] [ARGUMENT]\n%s\n",
            measure->program, about);
}

static uint32_t parse_repetitions(const struct measure *measure, const char *text)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && count >= 1 &&
        count <= MEASURE_REPETITIONS_MAX)
        return (uint32_t)count;
    fprintf(stderr, "%s: --repetitions takes a number from 1 to %u\n", measure->program,
            MEASURE_REPETITIONS_MAX);
    exit(2);
}

static void find_cpus(struct measure *measure)
{
    cpu_set_t allowed;
    measure->cpus_count = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        for (uint32_t cpu = 0; cpu < CPU_SETSIZE && measure->cpus_count < 2; cpu++)
            if (CPU_ISSET(cpu, &allowed))
                measure->cpus[measure->cpus_count++] = cpu;
    if (measure->cpus_count == 0 || sleeper_cpus_allowed() < 2)
        measure->cpus_count = 1;
}

void measure_init(struct measure *measure, int argc, char **argv, const char *about)
{
    const char *slash = strrchr(argv[0], '/');
    *measure = (struct measure){.program = slash == NULL ? argv[0] : slash + 1};
    int option;
    while ((option = getopt_long(argc, argv, "", options_list, NULL)) != -1) {
        switch (option) {
        case OPTION_JSON: measure->json = true; break;
        case OPTION_QUICK: measure->quick = true; break;
        case OPTION_REPETITIONS: measure->repetitions = parse_repetitions(measure, optarg); break;
        case OPTION_HELP: print_usage(measure, about, stdout); exit(0);
        default: print_usage(measure, about, stderr); exit(2);
        }
    }
    if (argc - optind > 1) {
        print_usage(measure, about, stderr);
        exit(2);
    }
    measure->argument = argv[optind];
    if (measure->repetitions == 0)
        measure->repetitions = measure->quick ? REPETITIONS_QUICK : REPETITIONS;
    find_cpus(measure);
}

void measure_pin(const struct measure *measure, uint32_t index)
{
    assert(index < 2);
    if (measure->cpus_count < 2)
        return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(measure->cpus[index], &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

static struct measure_figure *find_figure(struct measure *measure, const char *name,
                                          const char *unit)
{
    for (uint32_t i = 0; i < measure->figures_count; i++)
        if (strcmp(measure->figures[i].name, name) == 0)
            return &measure->figures[i];
    assert(measure->figures_count < MEASURE_FIGURES_MAX);
    struct measure_figure *figure = &measure->figures[measure->figures_count++];
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->unit = unit;
    return figure;
}

void measure_add(struct measure *measure, double value, const char *unit, const char *name_format,
                 ...)
{
    char name[MEASURE_NAME_BYTES];
    va_list arguments;
    va_start(arguments, name_format);
    int bytes = vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    assert(bytes > 0 && (size_t)bytes < sizeof name);
    struct measure_figure *figure = find_figure(measure, name, unit);
    assert(figure->values_count < MEASURE_REPETITIONS_MAX);
    figure->values[figure->values_count++] = value;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const struct measure_figure *figure)
{
    uint32_t middle = figure->values_count / 2;
    if (figure->values_count % 2 == 1)
        return figure->values[middle];
    return (figure->values[middle - 1] + figure->values[middle]) / 2;
}

static void print_json(const struct measure *measure)
{
    json_t *figures = json_array();
    for (uint32_t i = 0; i < measure->figures_count; i++) {
        const struct measure_figure *figure = &measure->figures[i];
        json_array_append_new(figures, json_pack("{s:s, s:s, s:f, s:f, s:f}", "name", figure->name,
                                                 "unit", figure->unit, "min", figure->values[0],
                                                 "median", median(figure), "max",
                                                 figure->values[figure->values_count - 1]));
    }
    json_t *object = json_pack("{s:s, s:i, s:i, s:o}", "program", measure->program, "cpus",
                               (int)measure->cpus_count, "repetitions", (int)measure->repetitions,
                               "figures", figures);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
}

static void print_table(const struct measure *measure)
{
    printf("%s: %u repetitions, %s\n", measure->program, measure->repetitions,
           measure->cpus_count < 2 ? "one CPU, not pinned" : "pinned to two CPUs");
    printf("%-62s%12s%12s%12s\n", "", "min", "median", "max");
    for (uint32_t i = 0; i < measure->figures_count; i++) {
        const struct measure_figure *figure = &measure->figures[i];
        printf("%-62s%12.4g%12.4g%12.4g  %s\n", figure->name, figure->values[0], median(figure),
               figure->values[figure->values_count - 1], figure->unit);
    }
}

void measure_print(struct measure *measure)
{
    for (uint32_t i = 0; i < measure->figures_count; i++)
        qsort(measure->figures[i].values, measure->figures[i].values_count, sizeof(double),
              compare);
    if (measure->json)
        print_json(measure);
    else
        print_table(measure);
}

_Noreturn void measure_fail(const struct measure *measure, const struct problem *problem)
{
    fprintf(stderr, "%s: %s\n", measure->program,
            problem->text[0] != '\0' ? problem->text : status_text(problem->status));
    exit(1);
}
