/*
 * saga_print: what `flyover saga` prints for people: tables of at most 120 columns, from the
 * replies of admin.h.
 *
 * Threads: none. A member that is not there prints as nothing.
 */
#ifndef ENGINE_MAIN_SAGA_PRINT_H
#define ENGINE_MAIN_SAGA_PRINT_H

#include <jansson.h>
#include <stdio.h>

void saga_print_list(const json_t *reply, FILE *out);
void saga_print_show(const json_t *reply, FILE *out);
void saga_print_counts(const json_t *reply, FILE *out);
void saga_print_definitions(const json_t *reply, FILE *out);

#endif
