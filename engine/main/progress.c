#include "engine/main/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"

#define PRINT_INTERVAL_NS   200000000u
#define CALLS_BETWEEN_LOOKS 64u /* at the clock */

void progress_init(struct progress *progress, const char *noun)
{
    uint64_t now_ns = clock_now_ns();
    *progress = (struct progress){
        .shown = isatty(STDERR_FILENO) != 0,
        .noun = noun,
        .started_ns = now_ns,
        .printed_ns = now_ns,
        .part_done = -1,
    };
}

bool progress_is_due(struct progress *progress)
{
    if (!progress->shown || progress->calls_count++ % CALLS_BETWEEN_LOOKS != 0)
        return false;
    uint64_t now_ns = clock_now_ns();
    if (now_ns - progress->printed_ns < PRINT_INTERVAL_NS)
        return false;
    progress->printed_ns = now_ns;
    return true;
}

void progress_print(struct progress *progress, uint64_t done, uint64_t in_flight,
                    uint64_t succeeded, uint64_t failed)
{
    double seconds = (double)(clock_now_ns() - progress->started_ns) / 1e9;
    char a[32], b[32], c[32], d[32], e[32];
    fprintf(stderr, "\r\033[K%s %s, %s/s, %s in flight, %s succeeded, %s not",
            progress_number(a, done), progress->noun,
            progress_number(b, (uint64_t)((double)done / seconds)), progress_number(c, in_flight),
            progress_number(d, succeeded), progress_number(e, failed));
    if (progress->part_done > 0.001)
        fprintf(stderr, ", %.0f s left", seconds * (1 - progress->part_done) / progress->part_done);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
}

char *progress_number(char text[32], uint64_t value)
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *at = text;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return text;
}
