/*
 * plan_refusal: a definition that must be refused, and how.
 */
#ifndef TESTS_SAGA_PLAN_REFUSAL_H
#define TESTS_SAGA_PLAN_REFUSAL_H

#include <stdio.h>

#include "tests/saga/plan_text.h"

struct refusal {
    const char *text;
    enum status status;
    const char *at; /* what stands between "order.asl.json" and the sentence */
    const char *phrase;
};

#define INVALID     STATUS_INVALID
#define UNSUPPORTED STATUS_UNSUPPORTED
#define TOO_LARGE   STATUS_TOO_LARGE
#define A           ": /States/A"

static inline void check_refusal(const struct refusal *refusal)
{
    struct plan *const untouched = (struct plan *)(uintptr_t)16;
    struct plan *plan = untouched;
    struct problem problem = {.text = ""};
    enum status status = plan_text_try(refusal->text, &plan, &problem);
    char start[256];
    int start_bytes = snprintf(start, sizeof start, "order.asl.json%s: ", refusal->at);
    bool fine = status == refusal->status && problem.status == status && plan == untouched &&
                strncmp(problem.text, start, (size_t)start_bytes) == 0 &&
                strstr(problem.text + start_bytes, refusal->phrase) != NULL;
    if (!fine)
        fail_msg("%.300s\nwanted %s %s%s\ngot    %s %s", refusal->text,
                 status_name(refusal->status), start, refusal->phrase, status_name(status),
                 status == STATUS_OK ? "" : problem.text);
}

#define CHECK_ALL(refusals)                                                                        \
    for (size_t i = 0; i < sizeof(refusals) / sizeof((refusals)[0]); i++)                          \
    check_refusal(&(refusals)[i])

#endif
