#include "engine/main/command.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/service/plugin.h"

int command_exit_code(enum status status)
{
    switch (status) {
    case STATUS_OK: return EXIT_DONE;
    case STATUS_END:
    case STATUS_EXISTS:
    case STATUS_INVALID:
    case STATUS_TOO_LARGE:
    case STATUS_UNSUPPORTED:
    case STATUS_BAD_PLUGIN: return EXIT_INPUT;
    case STATUS_NOT_FOUND:
    case STATUS_IN_USE:
    case STATUS_NEWER_FORMAT:
    case STATUS_CORRUPT:
    case STATUS_GAP:
    case STATUS_LOST: return EXIT_DATA;
    case STATUS_BUSY:
    case STATUS_NO_PERMISSION:
    case STATUS_NO_SPACE:
    case STATUS_NO_MEMORY:
    case STATUS_IO: return EXIT_FAILED;
    }
    return EXIT_FAILED;
}

int command_fail(const char *command, const struct problem *problem)
{
    fprintf(stderr, "flyover %s: %s\n", command,
            problem->text[0] != '\0' ? problem->text : status_text(problem->status));
    return command_exit_code(problem->status);
}

int command_refuse(const char *command, int exit_code, const char *format, ...)
{
    fprintf(stderr, "flyover %s: ", command);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return exit_code;
}

const char *command_plugin_directory(void)
{
    static char directory[PATH_MAX];
    static const char installed[] = "/../lib/flyover/plugins";
    if (directory[0] != '\0')
        return directory;
    ssize_t bytes = readlink("/proc/self/exe", directory, sizeof directory - sizeof installed);
    if (bytes <= 0)
        return "";
    directory[bytes] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return directory;
    /* Beside the program where it was built, and where `cmake --install` puts them else. */
    strcpy(slash, "/plugins");
    if (access(directory, F_OK) != 0)
        strcpy(slash, installed);
    return directory;
}

enum status command_read_file(const char *path, size_t bytes_max, char **ret_text,
                              size_t *ret_bytes, struct problem *problem)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return problem_set(problem, STATUS_INVALID, "%s cannot be read: %s", path, strerror(errno));
    /* One byte more than allowed, to see that there is more; never the whole of a huge file. */
    char *text = malloc(bytes_max + 1);
    size_t bytes = text == NULL ? 0 : fread(text, 1, bytes_max + 1, file);
    enum status status = STATUS_OK;
    if (text == NULL)
        status = problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    else if (ferror(file))
        status =
            problem_set(problem, STATUS_INVALID, "%s cannot be read: %s", path, strerror(errno));
    else if (bytes > bytes_max)
        status = problem_set(problem, STATUS_TOO_LARGE, "%s is larger than the limit of %zu bytes",
                             path, bytes_max);
    fclose(file);
    if (status != STATUS_OK) {
        free(text);
        return status;
    }
    text[bytes] = '\0';
    *ret_text = text;
    *ret_bytes = bytes;
    return STATUS_OK;
}

enum status command_add_plugin_directory(struct plugin_path *plugins, const char *directory,
                                         struct problem *problem)
{
    struct stat file;
    if (plugins->directories_count == PLUGIN_DIRECTORIES_MAX - 1)
        return problem_set(problem, STATUS_INVALID, "is there more than %u times",
                           PLUGIN_DIRECTORIES_MAX - 1);
    if (stat(directory, &file) != 0 || !S_ISDIR(file.st_mode))
        return problem_set(problem, STATUS_INVALID, "%s is no folder", directory);
    plugins->directories[plugins->directories_count++] = directory;
    return STATUS_OK;
}

void command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(argp, argc, argv, 0, NULL, input);
}
