/*
 * The simulator: sim [--seed N] [--seeds COUNT] [--minutes M] [--plant NAME]
 *
 * Runs seeds N, N + 1, ... With --minutes as many as there is time for; with --plant until the
 * planted bug is found, which is then what is wanted. Exit status 0: all was as it must be.
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/plant.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_memory.h"
#include "tests/sim/verdict.h"

/* Every so many seeds one is run twice: the same must happen. */
#define TWICE_EVERY 25u

struct arguments {
    uint64_t seed;
    uint64_t seeds_count;
    uint64_t minutes;
};

#ifdef FLYOVER_PLANTS
enum plant planted;

static int plant(const char *name)
{
    static const struct {
        const char *name;
        enum plant plant;
    } plants[] = {
#define X(plant, text) {text, PLANT_##plant},
        PLANT_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
        if (strcmp(plants[i].name, name) != 0)
            continue;
        planted = plants[i].plant;
        verdict_place.plant = plants[i].name;
        return 0;
    }
    fprintf(stderr, "sim: there is no bug '%s' to plant; there are:", name);
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++)
        fprintf(stderr, " %s", plants[i].name);
    fprintf(stderr, "\n");
    return 2;
}
#else
static int plant(const char *name)
{
    fprintf(stderr, "sim: no bug '%s' can be planted in this build; sim_planted has them\n", name);
    return 2;
}
#endif

static int parse(int count, char **words, struct arguments *ret_arguments)
{
    struct arguments arguments = {.seed = 1, .seeds_count = 1};
    for (int i = 1; i < count; i += 2) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        char *end = NULL;
        uint64_t number = strtoull(value, &end, 0);
        bool is_number = *value != '\0' && *end == '\0';
        if (strcmp(words[i], "--plant") == 0) {
            if (plant(value) != 0)
                return 2;
        } else if (is_number && strcmp(words[i], "--seed") == 0) {
            arguments.seed = number;
        } else if (is_number && strcmp(words[i], "--seeds") == 0) {
            arguments.seeds_count = number;
        } else if (is_number && strcmp(words[i], "--minutes") == 0) {
            arguments.minutes = number;
            arguments.seeds_count = UINT64_MAX;
        } else {
            fprintf(stderr, "usage: sim [--seed N] [--seeds COUNT] [--minutes M] [--plant NAME]\n");
            return 2;
        }
    }
    *ret_arguments = arguments;
    return 0;
}

static void print_figures(uint64_t begun_ns)
{
    const struct sim_figures *done = &sim_figures;
    double s = (double)(clock_now_ns() - begun_ns) / 1e9;
    double cpu_s = (double)clock() / CLOCKS_PER_SEC;
    uint64_t seeds = verdict_place.seeds_run;
    printf("%" PRIu64 " seeds in %.1f s (%.0f a second), %" PRIu64
           " steps (%.0f a second, %.0f a second of CPU time)\n",
           seeds, s, (double)seeds / s, done->steps, (double)done->steps / s,
           (double)done->steps / cpu_s);
    const struct {
        const char *name;
        uint64_t count;
    } figures[] = {
        {"sagas", done->sagas},
        {"succeeded", done->succeeded},
        {"compensated", done->compensated},
        {"failed", done->failed},
        {"stuck", done->stuck},
        {"aborted", done->aborted},
        {"retries", done->retries},
        {"timeouts of steps and sagas", done->timeouts},
        {"signals", done->signals},
        {"mended", done->mended},
        {"redriven", done->redrives},
        {"cancels taken", done->cancels},
        {"names started before", done->doubles},
        {"calls from outside", done->asked},
        {"of them refused", done->refused},
        {"steps handed to a remote worker", done->remote_taken},
        {"of them handed out again", done->remote_again},
        {"of them made by templates", done->remote_made},
        {"of its answers late", done->remote_late},
        {"replies", done->replies},
        {"blocks", done->blocks},
        {"waits for room in the journal", done->stalls},
        {"seeds with such waits", done->stalled_lives},
        {"crashes", done->crashes},
        {"failures of the disk", done->failures},
        {"damaged blocks and checkpoints", done->damages},
        {"losses accepted", done->losses},
        {"stops", done->stops},
        {"starts from a checkpoint", done->checkpoints},
        {"starts without any that can be read", done->bare},
        {"such starts of a trimmed journal, refused", done->refusals},
        {"times the journal was trimmed", done->removals},
        {"blocks that went with it", done->removed},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        printf("%12" PRIu64 "  %s\n", figures[i].count, figures[i].name);
}

int main(int count, char **words)
{
    struct arguments arguments;
    if (parse(count, words, &arguments) != 0)
        return 2;
    /* The engine takes and frees tens of megabytes at every start: no new pages each time. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    /* Of most that it maps it uses little. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    sim_memory_setup();
    uint64_t begun_ns = clock_now_ns();
    for (uint64_t i = 0; i < arguments.seeds_count; i++) {
        uint64_t seed = arguments.seed + i;
        uint64_t hash = sim_run(seed);
        if (seed % TWICE_EVERY == 0)
            verdict_check(sim_run(seed) == hash, "the same seed went another way");
        if (arguments.minutes > 0 && clock_now_ns() - begun_ns >= arguments.minutes * 60000000000u)
            break;
    }
    print_figures(begun_ns);
    if (verdict_place.plant[0] == '\0')
        return 0;
    printf("sim: the planted bug '%s' was not found\n", verdict_place.plant);
    return 1;
}
