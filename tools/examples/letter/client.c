/* A client in C: makes a definition known, runs a saga that succeeds and one that compensates.
 *
 *     cc client.c -o client $(pkg-config --cflags --libs flyover msgpack)
 *     ./client 127.0.0.1:7233 letter.asl.json [TOKEN]
 */
#include <flyover.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

static void check(enum flyover_status status, const char *problem)
{
    if (status == FLYOVER_OK)
        return;
    fprintf(stderr, "%s: %s\n", flyover_status_text(status), problem);
    exit(1);
}

static void put_text(msgpack_packer *packer, const char *text)
{
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

/* {"name": ..., "address": ...}; without an address the letter cannot be sent. */
static void put_input(msgpack_sbuffer *input, const char *name, const char *address)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, input, msgpack_sbuffer_write);
    msgpack_pack_map(&packer, address == NULL ? 1 : 2);
    put_text(&packer, "name");
    put_text(&packer, name);
    if (address != NULL) {
        put_text(&packer, "address");
        put_text(&packer, address);
    }
}

static void run(struct flyover_client *client, const char *name, const char *address)
{
    msgpack_sbuffer input;
    msgpack_sbuffer_init(&input);
    put_input(&input, name, address);
    /* With a .name of its own a start may be sent again and again: it begins one saga. Without one
     * it is not sent again after a cut, and flyover_run says FLYOVER_UNKNOWN. */
    struct flyover_start start = {
        .definition = "letter", .input = input.data, .input_bytes = input.size};
    struct flyover_answer_message end; /* its texts are lent until the next call */
    check(flyover_run(client, &start, &end, -1), flyover_problem(client));
    printf("%s: %s%s%s\n", name, end.outcome, end.error == NULL ? "" : ", ",
           end.error == NULL ? "" : end.error);
    msgpack_sbuffer_destroy(&input);
}

static void define(struct flyover_client *client, const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    check(flyover_define(client, "letter", text), flyover_problem(client));
}

int main(int count, char **arguments)
{
    if (count < 3)
        return fprintf(stderr, "usage: client ADDRESS DEFINITION [TOKEN]\n"), 2;
    /* Connecting again after a cut is the library's affair. */
    struct flyover_client_options options = {.address = arguments[1], .token = arguments[3]};
    struct flyover_client *client;
    check(flyover_connect(&options, &client), flyover_connect_problem());
    define(client, arguments[2]);
    run(client, "Ada", "ada@example.org");
    run(client, "Nobody", NULL);
    flyover_close(client);
    return 0;
}
