/* A program of somebody else's, which has nothing but what was installed. */
#include <flyover.h>
#include <string.h>

int main(void)
{
    struct flyover_client_options options = {.address = "unix:/nonexistent/flyover",
                                             .connect_ms = 1};
    struct flyover_client *client;
    enum flyover_status status = flyover_connect(&options, &client);
    flyover_close(client);
    return status == FLYOVER_NOT_CONNECTED && strstr(flyover_connect_problem(), "flyover") != NULL
               ? 0
               : 1;
}
