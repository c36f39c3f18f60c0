/*
 * verdict: says that the engine did what it must not, with the seed that shows it again, and ends
 * the process. An assertion of the engine that fails is a verdict too.
 */
#ifndef TESTS_SIM_VERDICT_H
#define TESTS_SIM_VERDICT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

struct verdict_place {
    uint64_t seed;
    uint32_t step;
    uint64_t seeds_run;
    const char *plant;      /* the planted bug, "" for none: then the verdict is what is wanted */
    void (*clean_up)(void); /* called before the process ends; may be NULL */
};
extern struct verdict_place verdict_place;

noreturn void verdict_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define verdict_check(holds, ...)                                                                  \
    do {                                                                                           \
        if (!(holds))                                                                              \
            verdict_fail(__VA_ARGS__);                                                             \
    } while (0)

#endif
