#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/main/command.h"
#include "engine/main/report.h"
#include "engine/net/access.h"

#define COMMAND    "token"
#define LINE_BYTES 2048u

struct token_options {
    const char *name;
    const char *role;
    const char *file; /* NULL: the line is printed */
    bool json;
};

enum { KEY_JSON = 1000 };

static const struct argp_option options_list[] = {
    {"role", 'r', "ROLE", 0, "client; operator; or worker:SERVICE,... (worker:* for any service)",
     0},
    {"file", 'f', "FILE", 0,
     "Add the line to this file of tokens (made with mode 0600 if it is not there), and print the "
     "token only",
     0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct token_options *options = state->input;
    switch (key) {
    case 'r': options->role = text; return 0;
    case 'f': options->file = text; return 0;
    case KEY_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG:
        if (options->name != NULL)
            argp_error(state, "one name at a time: %s, or %s?", options->name, text);
        options->name = text;
        return 0;
    case ARGP_KEY_END:
        if (options->name == NULL)
            argp_error(state, "say who is to have the token");
        if (options->role == NULL)
            argp_error(state, "say what it may do with --role");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options_list,
    parse_option,
    "NAME",
    "Makes a secret for a client, a worker or an operator, and the line for the file that `flyover "
    "serve --token-file` reads. The engine keeps only its hash: nobody can print it again."
    "\vA running engine takes new tokens on SIGHUP.\n\n"
    "Example: flyover token shop --role client --file tokens",
    NULL,
    NULL,
    NULL,
};

/* The whole line in one write, so that two at once do not mix. */
static enum status add_line(const char *file, char *line, struct problem *problem)
{
    struct stat known;
    size_t bytes = strlen(line);
    line[bytes++] = '\n';
    int opened = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (opened < 0)
        return problem_set(problem, STATUS_IO, "%s cannot be written: %s", file, strerror(errno));
    bool written = write(opened, line, bytes) == (ssize_t)bytes && fsync(opened) == 0;
    int error = errno;
    bool is_open = fstat(opened, &known) == 0 && (known.st_mode & S_IRWXO) != 0;
    close(opened);
    if (!written)
        return problem_set(problem, STATUS_IO, "%s cannot be written: %s", file, strerror(error));
    if (is_open)
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "%s can be read by everybody, and no engine takes it so: chmod 600 %s",
                           file, file);
    return STATUS_OK;
}

static void print(const struct token_options *options, const char *token, const char *line)
{
    if (options->json)
        report_print_json(json_pack("{s:s, s:s}", "token", token, "line", line), stdout);
    else if (options->file != NULL)
        printf("%s\n", token);
    else
        printf("token  %s\nline   %s\n", token, line);
}

int command_token(int argc, char **argv)
{
    struct token_options options = {0};
    struct problem problem = {0};
    char token[ACCESS_TOKEN_BYTES + 1];
    char line[LINE_BYTES];
    command_parse(&argp, argc, argv, &options);
    enum status status =
        access_make(options.name, options.role, token, line, sizeof line - 1, &problem);
    if (status == STATUS_INVALID)
        return command_refuse(COMMAND, EXIT_USAGE, "%s", problem.text);
    if (status == STATUS_OK && options.file != NULL) {
        char added[LINE_BYTES];
        memcpy(added, line, sizeof added);
        status = add_line(options.file, added, &problem);
    }
    if (status != STATUS_OK)
        return command_fail(COMMAND, &problem);
    print(&options, token, line);
    return EXIT_DONE;
}
