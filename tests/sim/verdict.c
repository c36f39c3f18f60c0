#include "tests/sim/verdict.h"

#include <inttypes.h>
#include <signal.h>
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

/* assert has printed its sentence. The state is what it is: printing is worth the risk. */
static void on_abort(int signal)
{
    (void)signal;
    printf("sim: an assertion of the engine failed\n");
    leave();
}

void verdict_init(void)
{
    signal(SIGABRT, on_abort);
}
