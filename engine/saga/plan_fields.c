#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/nearest.h"
#include "engine/saga/plan_build.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Fields that a definition may have somewhere: elsewhere they are misplaced, not unknown. */
static const char *const known_fields[] = {"Comment",
                                           "StartAt",
                                           "States",
                                           "Version",
                                           "Type",
                                           "Resource",
                                           "Retry",
                                           "Catch",
                                           "Next",
                                           "FireAndForget",
                                           "Compensate",
                                           "ResultPath",
                                           "InputPath",
                                           "Parameters",
                                           "ResultSelector",
                                           "End",
                                           "Result",
                                           "Choices",
                                           "Default",
                                           "Error",
                                           "Cause",
                                           "TimeoutSeconds",
                                           "HeartbeatSeconds",
                                           "Pivot",
                                           "Compensation",
                                           "Order",
                                           "Seconds",
                                           "SecondsPath",
                                           "Timestamp",
                                           "TimestampPath",
                                           "ErrorEquals",
                                           "IntervalSeconds",
                                           "MaxAttempts",
                                           "BackoffRate",
                                           "MaxDelaySeconds",
                                           "JitterStrategy",
                                           "Variable",
                                           "And",
                                           "Or",
                                           "Not"};

/* Fields that ASL has and this engine does not. */
static const char *const unsupported_fields[] = {"Arguments",
                                                 "Assign",
                                                 "Branches",
                                                 "CausePath",
                                                 "Condition",
                                                 "Credentials",
                                                 "ErrorPath",
                                                 "HeartbeatSecondsPath",
                                                 "IsTimestamp",
                                                 "ItemBatcher",
                                                 "ItemProcessor",
                                                 "ItemReader",
                                                 "ItemSelector",
                                                 "Items",
                                                 "ItemsPath",
                                                 "Iterator",
                                                 "Label",
                                                 "MaxConcurrency",
                                                 "MaxConcurrencyPath",
                                                 "Output",
                                                 "OutputPath",
                                                 "ProcessorConfig",
                                                 "QueryLanguage",
                                                 "ResultWriter",
                                                 "StringMatches",
                                                 "TimeoutSecondsPath",
                                                 "TimestampEquals",
                                                 "TimestampEqualsPath",
                                                 "TimestampGreaterThan",
                                                 "TimestampGreaterThanEquals",
                                                 "TimestampGreaterThanEqualsPath",
                                                 "TimestampGreaterThanPath",
                                                 "TimestampLessThan",
                                                 "TimestampLessThanEquals",
                                                 "TimestampLessThanEqualsPath",
                                                 "TimestampLessThanPath",
                                                 "ToleratedFailureCount",
                                                 "ToleratedFailureCountPath",
                                                 "ToleratedFailurePercentage",
                                                 "ToleratedFailurePercentagePath"};

static bool is_in(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static size_t count_names(const struct plan_fields *fields)
{
    size_t count = 0;
    while (fields->names[count] != NULL)
        count++;
    return count;
}

static bool refuse_misplaced(struct plan_build *build, const char *name,
                             const struct plan_fields *fields, const struct place *here)
{
    char list[512];
    size_t count = 0;
    list[0] = '\0';
    for (size_t i = 0; fields->names[i] != NULL && count < sizeof list; i++)
        count += (size_t)snprintf(list + count, sizeof list - count, "%s%s", i == 0 ? "" : ", ",
                                  fields->names[i]);
    return plan_build_refuse(build, STATUS_INVALID, here,
                             "%s does not belong in %s, which may have: %s", name, fields->owner,
                             list);
}

static bool refuse_unknown(struct plan_build *build, const char *name,
                           const struct plan_fields *fields, const struct place *here)
{
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; fields->names[i] != NULL; i++)
        nearest_offer(&nearest, fields->names[i]);
    for (size_t i = 0; i < COUNT_OF(unsupported_fields); i++)
        nearest_offer(&nearest, unsupported_fields[i]);
    char hint[NEAREST_HINT_BYTES];
    nearest_hint(&nearest, "; leave it out, or say it in a Comment", hint);
    return plan_build_refuse(build, STATUS_INVALID, here, "%s has no field \"%.80s\"%s",
                             fields->owner, name, hint);
}

static bool check_field(struct plan_build *build, const char *name, const json_t *value,
                        const struct plan_fields *fields, const struct place *at)
{
    const struct place *here = PLACE_FIELD(at, name);
    if (strcmp(name, "Comment") == 0 && !json_is_string(value))
        return plan_build_refuse(build, STATUS_INVALID, here, "must be a string, not %s",
                                 plan_build_kind(value));
    if (is_in(name, fields->names, count_names(fields)))
        return true;
    if (is_in(name, unsupported_fields, COUNT_OF(unsupported_fields)))
        return plan_build_refuse(build, STATUS_UNSUPPORTED, here,
                                 "%s is not supported yet; leave it out", name);
    if (is_in(name, known_fields, COUNT_OF(known_fields)))
        return refuse_misplaced(build, name, fields, here);
    return refuse_unknown(build, name, fields, here);
}

bool plan_fields_check(struct plan_build *build, json_t *object, const struct plan_fields *fields,
                       const struct place *at)
{
    assert(fields->owner != NULL && fields->names != NULL);
    if (!json_is_object(object))
        return plan_build_refuse(build, STATUS_INVALID, at, "%s must be an object, not %s",
                                 fields->owner, plan_build_kind(object));
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!check_field(build, name, value, fields, at))
            return false;
    }
    return true;
}
