/* A plug-in that describes nothing. */
#include "engine/flyover_service.h"

const struct flyover_service *flyover_service_describe(void)
{
    return NULL;
}
