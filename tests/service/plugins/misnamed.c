/* A plug-in whose file is not named after it. */
#include "engine/flyover_service.h"

static enum flyover_answer handle(struct flyover_call *call)
{
    return flyover_done(call);
}

const struct flyover_service *flyover_service_describe(void)
{
    static const struct flyover_handler handler = {"handle", handle};
    static const struct flyover_service service = {
        .abi = FLYOVER_ABI, .name = "somebody", .handlers = &handler, .handlers_count = 1};
    return &service;
}
