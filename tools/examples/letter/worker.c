/* A worker in C: serves the steps of service:mailer, until SIGTERM; then it ends what it has.
 *
 *     cc worker.c -o worker $(pkg-config --cflags --libs flyover msgpack)
 *     ./worker 127.0.0.1:7233 [TOKEN]
 */
#include <flyover.h>
#include <msgpack.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t is_stopping;

static void on_signal(int number)
{
    (void)number;
    is_stopping = 1;
}

static bool has_key(const struct flyover_invocation *invocation, const char *key)
{
    msgpack_unpacked input;
    msgpack_unpacked_init(&input);
    bool found = false;
    size_t at = 0;
    if (msgpack_unpack_next(&input, invocation->input, invocation->input_bytes, &at) ==
            MSGPACK_UNPACK_SUCCESS &&
        input.data.type == MSGPACK_OBJECT_MAP)
        for (uint32_t i = 0; i < input.data.via.map.size; i++) {
            msgpack_object name = input.data.via.map.ptr[i].key;
            found |= name.type == MSGPACK_OBJECT_STR && name.via.str.size == strlen(key) &&
                     memcmp(name.via.str.ptr, key, strlen(key)) == 0;
        }
    msgpack_unpacked_destroy(&input);
    return found;
}

/* After a crash of engine or worker a step may come again, with the same key (saga_id, step_no,
 * compensation): what it does to the world has to be safe against that. */
static void answer(struct flyover_client *client, const struct flyover_invocation *invocation)
{
    static const char *const outputs[] = {"\xa8"
                                          "Dear you",
                                          "\xa4"
                                          "sent",
                                          "\xa7"
                                          "torn up"};
    bool is_send = invocation->handler == 1;
    /* Not retryable: asking again would not help, so Retry is not tried, and the saga compensates.
     */
    if (is_send && !has_key(invocation, "address"))
        flyover_answer_failed(client, invocation->id, false, "Mailer.NoAddress", "where to?");
    else
        flyover_answer_done(client, invocation->id, outputs[invocation->handler],
                            strlen(outputs[invocation->handler])); /* one msgpack value */
}

int main(int count, char **arguments)
{
    if (count < 2)
        return fprintf(stderr, "usage: worker ADDRESS [TOKEN]\n"), 2;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    struct flyover_client_options options = {.address = arguments[1], .token = arguments[2]};
    struct flyover_client *client;
    if (flyover_connect(&options, &client) != FLYOVER_OK)
        return fprintf(stderr, "%s\n", flyover_connect_problem()), 1;
    /* 16 at a time at most. After a cut the library registers again by itself. */
    static const char *const handlers[] = {"write", "send", "tear_up"};
    if (flyover_register(client, "mailer", handlers, 3, 16) != FLYOVER_OK)
        return fprintf(stderr, "%s\n", flyover_problem(client)), 1;
    puts("serving");
    fflush(stdout);

    struct flyover_invocation invocation;
    bool is_drained = false;
    while (!is_drained && !flyover_is_lost(client)) {
        if (flyover_next_invocation(client, &invocation, 200))
            answer(client, &invocation);
        else if (is_stopping) /* takes no more; true once what it has was answered */
            is_drained = flyover_drain(client, 0) == FLYOVER_OK;
    }
    if (!is_drained)
        fprintf(stderr, "%s\n", flyover_problem(client));
    flyover_close(client);
    return is_drained ? 0 : 1;
}
