#include <stdio.h>
#include <string.h>

#include "engine/main/command.h"
#include "flyover_commit.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
    {"serve", command_serve, "run the engine for clients and workers, over sockets"},
    {"token", command_token, "make a secret for a client, a worker or an operator"},
    {"ingest", command_ingest, "take in orders from CSV or NDJSON files as durable sagas"},
    {"generate", command_generate, "write made-up orders as CSV"},
    {"run", command_run, "run one saga of a definition and tell its life"},
    {"start", command_start, "start a saga: short for saga start"},
    {"saga", command_saga,
     "start, list, show, cancel, signal, mend sagas: with or without an engine"},
    {"top", command_top, "show what an engine does, live: throughput, sagas, services, journal"},
    {"bench", command_bench, "load-test the engine and print what it reached"},
    {"replay", command_replay, "replay a journal offline: totals, digest, the life of a saga"},
    {"journal", command_journal, "dump or verify the blocks of a journal"},
    {"define", command_define, "check a saga definition and print its plan"},
};
#define COMMANDS_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
    fputs("Usage: flyover COMMAND [OPTION...]\n"
          "A durable saga engine: orders in, steps run, failures compensated, nothing lost.\n\n",
          out);
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].text);
    fputs("\n`flyover COMMAND --help` says more. Exit codes: 0 done, 1 the machine said no, "
          "2 wrong usage,\n3 bad input, 4 the data directory cannot be used, 5 the audit does not "
          "balance.\n",
          out);
}

int main(int argc, char **argv)
{
    const char *name = argc < 2 ? "" : argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-?") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        puts("flyover " FLYOVER_VERSION " (" FLYOVER_COMMIT ")");
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        char title[32];
        snprintf(title, sizeof title, "flyover %s", name);
        argv[1] = title;
        int exit_code = commands[i].run(argc - 1, argv + 1);
        if ((fflush(stdout) != 0 || ferror(stdout) != 0) && exit_code == EXIT_DONE)
            return command_refuse(name, EXIT_FAILED,
                                  "the report could not be written: is the disk full, or the "
                                  "reader gone?");
        return exit_code;
    }
    if (name[0] != '\0')
        fprintf(stderr, "flyover: there is no command '%s'\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}
