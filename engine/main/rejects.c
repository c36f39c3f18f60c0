#include "engine/main/rejects.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum status rejects_open(struct rejects *rejects, const char *path, struct problem *problem)
{
    snprintf(rejects->path, sizeof rejects->path, "%s", path);
    rejects->file = fopen(rejects->path, "w");
    if (rejects->file == NULL)
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "the file for rejected orders, %s, cannot be written: %s. Name another "
                           "with --rejects",
                           rejects->path, strerror(errno));
    fputs("File,Line,InvoiceNo,Reason\n", rejects->file);
    return STATUS_OK;
}

static void write_csv_field(FILE *out, const char *text, char end)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
    fputc(end, out);
}

void rejects_add(struct rejects *rejects, const char *name, const struct order_reject *rejected)
{
    if (rejects->file == NULL)
        return;
    write_csv_field(rejects->file, name, ',');
    fprintf(rejects->file, "%" PRIu64 ",", rejected->line_no);
    write_csv_field(rejects->file, rejected->number, ',');
    write_csv_field(rejects->file, rejected->reason, '\n');
}

enum status rejects_close(struct rejects *rejects, struct problem *problem)
{
    FILE *file = rejects->file;
    rejects->file = NULL;
    if (file != NULL && fclose(file) != 0)
        return problem_set(problem, STATUS_IO, "%s cannot be written: %s", rejects->path,
                           strerror(errno));
    return STATUS_OK;
}
