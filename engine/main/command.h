/*
 * command: the subcommands of `flyover`, and what their exit codes mean.
 *
 * A command gets its own arguments (argv[0] is "flyover NAME"), prints its report to stdout and
 * what went wrong to stderr as one line: "flyover NAME: sentence". Options are read with argp(3):
 * --help on each, usage errors exit with EXIT_USAGE.
 */
#ifndef ENGINE_MAIN_COMMAND_H
#define ENGINE_MAIN_COMMAND_H

#include <argp.h>

#include "engine/base/status.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* the machine said no: I/O, no space, no memory, no permission */
    EXIT_USAGE = 2,  /* the command line is wrong */
    EXIT_INPUT = 3,  /* a definition, an order file or a plug-in cannot be used; or what is asked
                       of a saga cannot be done to it */
    EXIT_DATA = 4,   /* the data directory is damaged, in use, not there, or of a newer version */
    EXIT_AUDIT = 5,  /* the figures of the services do not balance */
};

int command_bench(int argc, char **argv);
int command_define(int argc, char **argv);
int command_generate(int argc, char **argv);
int command_ingest(int argc, char **argv);
int command_journal(int argc, char **argv);
int command_run(int argc, char **argv);
int command_saga(int argc, char **argv);
int command_start(int argc, char **argv); /* `saga start` */
int command_serve(int argc, char **argv);
int command_token(int argc, char **argv);
int command_top(int argc, char **argv);
int command_replay(int argc, char **argv);

int command_exit_code(enum status status);
/* Prints "flyover NAME: sentence" to stderr; returns the exit code for the problem's status. */
int command_fail(const char *command, const struct problem *problem);
/* As above, for a reason that is the command's own. */
int command_refuse(const char *command, int exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The folder of plug-ins and definitions beside the binary, "" if it cannot be told. Static. */
const char *command_plugin_directory(void);
/* Reads a file of at most bytes_max, and a zero behind it, into memory that the caller frees. */
NODISCARD enum status command_read_file(const char *path, size_t bytes_max, char **ret_text,
                                        size_t *ret_bytes, struct problem *problem);

struct plugin_path;
/* What every command does with --plugin-dir. STATUS_INVALID, with what goes behind the option's
 * name, for too many, or for what is no folder. One place is kept for the folder beside the
 * program. */
NODISCARD enum status command_add_plugin_directory(struct plugin_path *plugins,
                                                   const char *directory, struct problem *problem);

/* Runs argp over the options of one command, usage errors exiting with EXIT_USAGE. */
void command_parse(const struct argp *argp, int argc, char **argv, void *input);

#endif
