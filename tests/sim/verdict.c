#include "tests/sim/verdict.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct verdict_place verdict_place = {.plant = ""};

/* Without the clean-up of exit: what is in use where it went wrong is no leak. */
static noreturn void leave(void)
{
    bool wanted = verdict_place.plant[0] != '\0';
    printf("  seed %" PRIu64 ", step %" PRIu32 ", after %" PRIu64 " seeds; again with: tools/sim"
           " --seed %" PRIu64 "%s%s\n",
           verdict_place.seed, verdict_place.step, verdict_place.seeds_run, verdict_place.seed,
           wanted ? " --plant " : "", verdict_place.plant);
    fflush(stdout);
    if (verdict_place.clean_up != NULL)
        verdict_place.clean_up();
    _exit(wanted ? 0 : 1);
}

void verdict_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("sim: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    leave();
}

/* In place of libc's: a failed assertion of the engine is a verdict as any other. It is not told as
 * a signal, in which nothing could be printed and nothing removed. */
noreturn void __assert_fail(const char *assertion, const char *file, unsigned int line,
                            const char *function)
{
    printf("sim: an assertion of the engine failed: %s, %s:%u: %s\n", function, file, line,
           assertion);
    leave();
}
