#include "tests/cli/faults_plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const act_names[ACTS_COUNT] = {"none", "lose", "die", "eio", "enospc"};

static const char *const call_names[CALLS_COUNT] = {"open",    "write",  "resize", "sync",
                                                    "syncdir", "rename", "remove", "mkdir"};

static bool is_set(const char *variable)
{
    const char *text = getenv(variable);
    return text != NULL && strcmp(text, "1") == 0;
}

static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static void read_calls(struct faults_plan *plan, const char *text)
{
    for (int i = 0; i < CALLS_COUNT; i++)
        plan->calls[i] = text == NULL;
    while (text != NULL && *text != '\0') {
        size_t bytes = strcspn(text, ",");
        for (int i = 0; i < CALLS_COUNT; i++)
            if (strlen(call_names[i]) == bytes && strncmp(call_names[i], text, bytes) == 0)
                plan->calls[i] = true;
        text += bytes + (text[bytes] == ',');
    }
}

static void read_mirror(struct faults_plan *plan, const char *text)
{
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    if (colon == NULL)
        return;
    int bytes = snprintf(plan->mirror_name, sizeof plan->mirror_name, "%s/%.*s", plan->directory,
                         (int)(colon - text), text);
    assert(bytes > 0 && bytes < (int)sizeof plan->mirror_name);
    plan->mirror_path = colon + 1;
}

static void read_slow(struct faults_plan *plan, const char *text)
{
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    if (colon == NULL)
        return;
    snprintf(plan->slow_name, sizeof plan->slow_name, "%.*s", (int)(colon - text), text);
    plan->slow_ms = strtoull(colon + 1, NULL, 10);
}

static void read_act(struct faults_plan *plan, const char *text)
{
    for (int i = 0; text != NULL && i < ACTS_COUNT; i++)
        if (strcmp(text, act_names[i]) == 0)
            plan->act = (enum act)i;
}

bool faults_plan_read(struct faults_plan *ret_plan)
{
    struct faults_plan plan = {0};
    const char *directory = getenv("FAULTS_DIRECTORY");
    if (directory == NULL)
        return false;
    snprintf(plan.directory, sizeof plan.directory, "%s", directory);
    read_act(&plan, getenv("FAULTS_DO"));
    read_calls(&plan, getenv("FAULTS_CALLS"));
    plan.name = getenv("FAULTS_NAME");
    plan.except = getenv("FAULTS_EXCEPT");
    plan.count_path = getenv("FAULTS_COUNT");
    plan.at = number_of("FAULTS_AT");
    plan.seed = number_of("FAULTS_SEED");
    plan.after = is_set("FAULTS_AFTER");
    plan.repeat = is_set("FAULTS_REPEAT");
    plan.at_exit = is_set("FAULTS_AT_EXIT");
    plan.lie = is_set("FAULTS_LIE");
    plan.hold = is_set("FAULTS_HOLD");
    read_mirror(&plan, getenv("FAULTS_MIRROR"));
    read_slow(&plan, getenv("FAULTS_SLOW"));
    *ret_plan = plan;
    return true;
}
