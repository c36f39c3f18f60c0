/*
 * measure: what the micro-benchmarks share: options, pinning, and the figures at the end.
 *
 * A figure has one value a repetition; what is printed is the least, the median and the greatest.
 * The least is what the machine can do, the distance to the greatest is what else it was doing.
 *
 *     PROGRAM [--json] [--quick] [--repetitions N] [ARGUMENT]
 *
 * Threads: one owner; measure_pin by the thread that it pins. Memory: inside the struct.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

#define MEASURE_FIGURES_MAX     48u
#define MEASURE_REPETITIONS_MAX 64u
#define MEASURE_NAME_BYTES      80u

struct measure_figure {
    char name[MEASURE_NAME_BYTES];
    const char *unit;
    uint32_t values_count;
    double values[MEASURE_REPETITIONS_MAX];
};

struct measure {
    const char *program;
    const char *argument; /* borrowed from argv; NULL: none was given */
    bool json;
    bool quick;
    uint32_t repetitions;
    uint32_t cpus_count; /* 1 or 2: as many as there are threads to pin */
    uint32_t cpus[2];
    uint32_t figures_count;
    struct measure_figure figures[MEASURE_FIGURES_MAX];
};

/* Reads the options; ends the program where they are wrong. `about` is what --help says. */
void measure_init(struct measure *measure, int argc, char **argv, const char *about);
/* Pins the calling thread to the first (0) or second (1) CPU, where there are two. */
void measure_pin(const struct measure *measure, uint32_t index);
/* One more value of the figure of that name. `unit` is a literal. */
void measure_add(struct measure *measure, double value, const char *unit, const char *name_format,
                 ...) __attribute__((format(printf, 4, 5)));
/* A table, or with --json one object. */
void measure_print(struct measure *measure);
/* Says what went wrong and ends the program. */
_Noreturn void measure_fail(const struct measure *measure, const struct problem *problem);

/* Keeps the compiler from leaving out the work that made `value`. */
static inline void measure_keep(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#endif
