/* A plug-in that needs a function which the engine does not have. */
#include "engine/flyover_service.h"

enum flyover_answer flyover_sing(struct flyover_call *call);

static enum flyover_answer handle(struct flyover_call *call)
{
    return flyover_sing(call);
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handler = {"handle", handle};
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI, .name = "unresolved", .handlers = &handler, .handlers_count = 1};
    return &service;
}
