#include <string.h>

#include "engine/saga/plan_build.h"

#define TOKEN_SUFFIX ".waitForTaskToken"

/* What follows "arn:aws:states:::", and which handler it is. */
static const struct integration {
    const char *name;
    const char *service, *handler;
    bool may_wait; /* with TOKEN_SUFFIX */
} integrations[] = {
    {"lambda:invoke", "aws-lambda", "invoke", true},
    {"sqs:sendMessage", "aws-sqs", "sendMessage", true},
    {"sns:publish", "aws-sns", "publish", true},
    {"dynamodb:getItem", "aws-dynamodb", "getItem", false},
    {"dynamodb:putItem", "aws-dynamodb", "putItem", false},
    {"dynamodb:updateItem", "aws-dynamodb", "updateItem", false},
    {"dynamodb:deleteItem", "aws-dynamodb", "deleteItem", false},
    {"aws-sdk:dynamodb:transactWriteItems", "aws-dynamodb", "transactWriteItems", false},
    {"http:invoke", "aws-http", "invoke", false},
};
#define INTEGRATIONS_COUNT (sizeof integrations / sizeof integrations[0])

#define UNDERSTOOD                                                                                 \
    "understood are arn:aws:lambda:REGION:ACCOUNT:function:NAME and, behind arn:aws:states:::, "   \
    "lambda:invoke, sqs:sendMessage and sns:publish (each also with " TOKEN_SUFFIX                 \
    "), dynamodb:getItem, putItem, updateItem and deleteItem, "                                    \
    "aws-sdk:dynamodb:transactWriteItems and http:invoke"

/* arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE */
enum { ARN_PARTITION, ARN_SERVICE, ARN_REGION, ARN_ACCOUNT, ARN_PARTS };

struct arn {
    struct flyover_bytes parts[ARN_PARTS];
    const char *resource;
};

static bool is_text(struct flyover_bytes bytes, const char *text)
{
    return bytes.count == strlen(text) && memcmp(bytes.at, text, bytes.count) == 0;
}

static bool split(const char *text, struct arn *ret_arn)
{
    const char *at = text + strlen("arn:");
    for (size_t i = 0; i < ARN_PARTS; i++) {
        const char *colon = strchr(at, ':');
        if (colon == NULL)
            return false;
        ret_arn->parts[i] = (struct flyover_bytes){(const uint8_t *)at, (uint32_t)(colon - at)};
        at = colon + 1;
    }
    ret_arn->resource = at;
    struct flyover_bytes partition = ret_arn->parts[ARN_PARTITION];
    return is_text(partition, "aws") || is_text(partition, "aws-cn") ||
           is_text(partition, "aws-us-gov");
}

/* function:NAME or function:NAME:QUALIFIER */
static bool is_function(const struct arn *arn)
{
    static const char prefix[] = "function:";
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (strncmp(arn->resource, prefix, strlen(prefix)) != 0 || arn->parts[ARN_REGION].count == 0 ||
        arn->parts[ARN_ACCOUNT].count == 0)
        return false;
    const char *name = arn->resource + strlen(prefix);
    size_t name_bytes = strspn(name, letters);
    if (name_bytes == 0 || name[name_bytes] == '\0')
        return name_bytes > 0;
    const char *qualifier = name + name_bytes + 1;
    if (name[name_bytes] != ':')
        return false;
    return strcmp(qualifier, "$LATEST") == 0 ||
           (*qualifier != '\0' && qualifier[strspn(qualifier, letters)] == '\0');
}

static bool refuse_states(struct plan_build *build, const char *text, const struct place *at,
                          const char *resource)
{
    const char *sync = strstr(resource, ".sync");
    if (sync != NULL)
        return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                                 "\"%.100s\" waits for a job to end (%.10s), which is not "
                                 "supported; begin it with " TOKEN_SUFFIX
                                 ", or ask for its end in a loop",
                                 text, sync);
    if (strstr(resource, TOKEN_SUFFIX) != NULL)
        return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                                 "\"%.100s\" cannot wait for a task token; " UNDERSTOOD, text);
    return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                             "\"%.100s\" is not supported; " UNDERSTOOD, text);
}

static bool parse_states(struct plan_build *build, const char *text, const struct place *at,
                         const char *resource, enum task_kind *ret_kind,
                         struct plan_resource *ret_handler)
{
    for (size_t i = 0; i < INTEGRATIONS_COUNT; i++) {
        const struct integration *integration = &integrations[i];
        size_t name_bytes = strlen(integration->name);
        if (strncmp(resource, integration->name, name_bytes) != 0)
            continue;
        bool waits = integration->may_wait && strcmp(resource + name_bytes, TOKEN_SUFFIX) == 0;
        if (!waits && resource[name_bytes] != '\0')
            continue;
        *ret_kind = waits ? TASK_TOKEN : TASK_HANDLER;
        strcpy(ret_handler->service, integration->service);
        strcpy(ret_handler->handler, integration->handler);
        return true;
    }
    return refuse_states(build, text, at, resource);
}

bool plan_arn_parse(struct plan_build *build, const char *text, const struct place *at,
                    enum task_kind *ret_kind, struct plan_resource *ret_handler,
                    bool *ret_is_function)
{
    struct arn arn;
    *ret_is_function = false;
    if (!split(text, &arn))
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "\"%.100s\" is no ARN of AWS; " UNDERSTOOD, text);
    bool is_states = is_text(arn.parts[ARN_SERVICE], "states");
    if (is_states && strncmp(arn.resource, "activity:", strlen("activity:")) == 0)
        return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                                 "activities (\"%.100s\") are not supported; a worker that asks "
                                 "for steps takes those of \"service:NAME.HANDLER\"",
                                 text);
    if (is_states && arn.parts[ARN_REGION].count == 0 && arn.parts[ARN_ACCOUNT].count == 0)
        return parse_states(build, text, at, arn.resource, ret_kind, ret_handler);
    if (!is_text(arn.parts[ARN_SERVICE], "lambda"))
        return plan_build_refuse(build, STATUS_UNSUPPORTED, at,
                                 "\"%.100s\" is not supported; " UNDERSTOOD, text);
    if (!is_function(&arn))
        return plan_build_refuse(build, STATUS_INVALID, at,
                                 "\"%.100s\" is no function's ARN, which is "
                                 "arn:aws:lambda:REGION:ACCOUNT:function:NAME, with :QUALIFIER "
                                 "behind it if need be",
                                 text);
    *ret_kind = TASK_HANDLER;
    *ret_is_function = true;
    strcpy(ret_handler->service, "aws-lambda");
    strcpy(ret_handler->handler, "function");
    return true;
}
