#include "engine/edge/profile.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct profile {
    json_t *profiles; /* name → {key: value, or {key: value} of indented lines} */
    json_t *services;
    char name[256];
    char place[2 * PATH_MAX + 300];
    char config_path[PATH_MAX], credentials_path[PATH_MAX];
};

/* Where a line of a file goes. */
struct reading {
    struct profile *profile;
    const char *path;
    bool is_config;
    json_t *section; /* NULL: of no use to us */
    json_t *nested;  /* of the key above, if lines under it are indented */
    char key[128];
    uint32_t line_no;
};

/* ---- files -----------------------------------------------------------------------------------
 */

static void find_path(const struct world *world, const char *variable, const char *name,
                      char ret_path[PATH_MAX])
{
    const char *home = world_variable(world, "HOME");
    const char *path = world_variable(world, variable);
    if (path == NULL && home == NULL)
        ret_path[0] = '\0';
    else if (path == NULL)
        snprintf(ret_path, PATH_MAX, "%s/.aws/%s", home, name);
    else if (path[0] == '~' && path[1] == '/' && home != NULL)
        snprintf(ret_path, PATH_MAX, "%s%s", home, path + 1);
    else
        snprintf(ret_path, PATH_MAX, "%s", path);
}

static enum status read_failed(const char *path, struct problem *problem)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return STATUS_NOT_FOUND;
    if (errno == EACCES)
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "%s: may not be read by this user; change its permissions, or name "
                           "another file",
                           path);
    return problem_set(problem, STATUS_IO, "%s: %s", path, strerror(errno));
}

static enum status read_stream(FILE *file, const char *path, char **ret_text,
                               struct problem *problem)
{
    char *text = malloc(PROFILE_FILE_BYTES_MAX + 1);
    if (text == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for %s", path);
    size_t bytes = fread(text, 1, PROFILE_FILE_BYTES_MAX + 1, file);
    enum status status = STATUS_OK;
    if (ferror(file))
        status = read_failed(path, problem);
    else if (bytes > PROFILE_FILE_BYTES_MAX)
        status = problem_set(problem, STATUS_TOO_LARGE, "%s: larger than %u bytes", path,
                             PROFILE_FILE_BYTES_MAX);
    if (status != STATUS_OK) {
        free(text);
        return status;
    }
    text[bytes] = '\0';
    *ret_text = text;
    return STATUS_OK;
}

/* STATUS_NOT_FOUND without a sentence. */
static enum status read_file(const char *path, char **ret_text, struct problem *problem)
{
    if (path[0] == '\0')
        return STATUS_NOT_FOUND;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return read_failed(path, problem);
    enum status status = read_stream(file, path, ret_text, problem);
    fclose(file);
    return status;
}

/* ---- lines -----------------------------------------------------------------------------------
 */

static char *strip(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

/* A comment begins with the line, or after a space. */
static void cut_comment(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if ((*at == '#' || *at == ';') && (at == text || isspace((unsigned char)at[-1]))) {
            *at = '\0';
            return;
        }
}

/* The word after `kind` in "kind name" or "kind \"name\""; NULL: it is not of this kind. */
static char *name_after(char *section, const char *kind)
{
    size_t bytes = strlen(kind);
    if (strncmp(section, kind, bytes) != 0 || !isspace((unsigned char)section[bytes]))
        return NULL;
    char *name = strip(section + bytes);
    size_t name_bytes = strlen(name);
    if (name_bytes >= 2 && name[0] == '"' && name[name_bytes - 1] == '"') {
        name[name_bytes - 1] = '\0';
        name++;
    }
    return name;
}

static json_t *open_section(json_t *sections, const char *name)
{
    json_t *section = json_object_get(sections, name);
    if (section == NULL && json_object_set_new(sections, name, json_object()) == 0)
        section = json_object_get(sections, name);
    return section;
}

static void take_section(struct reading *reading, char *name)
{
    struct profile *profile = reading->profile;
    reading->nested = NULL;
    reading->key[0] = '\0';
    char *services = reading->is_config ? name_after(name, "services") : NULL;
    char *own = reading->is_config ? name_after(name, "profile") : name;
    if (services != NULL)
        reading->section = open_section(profile->services, services);
    else if (own != NULL)
        reading->section = open_section(profile->profiles, own);
    else if (strcmp(name, "default") == 0)
        reading->section = open_section(profile->profiles, name);
    else
        reading->section = NULL; /* of SSO sessions, plug-ins, and older tools' profiles */
}

static enum status bad_line(const struct reading *reading, const char *what,
                            struct problem *problem)
{
    return problem_set(problem, STATUS_INVALID, "%s:%u: %s", reading->path, reading->line_no, what);
}

/* Lines that are indented belong to the key above, as "s3 =" and then "  max_queue_size = 10". */
static json_t *nested_of(struct reading *reading)
{
    if (reading->nested == NULL && reading->key[0] != '\0') {
        json_object_set_new(reading->section, reading->key, json_object());
        reading->nested = json_object_get(reading->section, reading->key);
    }
    return reading->nested;
}

static enum status take_value(struct reading *reading, char *text, bool indented,
                              struct problem *problem)
{
    char *equals = strchr(text, '=');
    if (equals == NULL)
        return indented ? STATUS_OK
                        : bad_line(reading, "expected \"key = value\" or \"[section]\"", problem);
    *equals = '\0';
    cut_comment(equals + 1);
    const char *key = strip(text);
    const char *value = strip(equals + 1);
    json_t *into = indented ? nested_of(reading) : reading->section;
    if (into == NULL)
        return STATUS_OK;
    if (!indented) {
        snprintf(reading->key, sizeof reading->key, "%s", key);
        reading->nested = NULL;
    }
    if (json_object_set_new(into, key, json_string(value)) != 0)
        return bad_line(reading, "is no UTF-8", problem);
    return STATUS_OK;
}

static enum status take_line(struct reading *reading, char *line, struct problem *problem)
{
    bool indented = *line == ' ' || *line == '\t';
    char *text = strip(line);
    if (*text == '\0' || *text == '#' || *text == ';')
        return STATUS_OK;
    if (*text != '[')
        return take_value(reading, text, indented, problem);
    char *end = strchr(text, ']');
    if (end == NULL)
        return bad_line(reading, "the section's name has no \"]\"", problem);
    *end = '\0';
    take_section(reading, strip(text + 1));
    return STATUS_OK;
}

static enum status take_file(struct profile *profile, const char *path, bool is_config,
                             struct problem *problem)
{
    char *text = NULL;
    enum status status = read_file(path, &text, problem);
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    struct reading reading = {.profile = profile, .path = path, .is_config = is_config};
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && status == STATUS_OK;
         line = strsep(&rest, "\n")) {
        reading.line_no++;
        status = take_line(&reading, line, problem);
    }
    free(text);
    return status;
}

/* ---- the profile -----------------------------------------------------------------------------
 */

static const char *wanted_name(const struct world *world, const char *name)
{
    if (name == NULL)
        name = world_variable(world, "AWS_PROFILE");
    if (name == NULL)
        name = world_variable(world, "AWS_DEFAULT_PROFILE");
    return name;
}

static enum status read_both(struct profile *profile, const struct world *world, const char *name,
                             struct problem *problem)
{
    find_path(world, "AWS_CONFIG_FILE", "config", profile->config_path);
    find_path(world, "AWS_SHARED_CREDENTIALS_FILE", "credentials", profile->credentials_path);
    name = wanted_name(world, name);
    snprintf(profile->name, sizeof profile->name, "%s", name != NULL ? name : "default");
    snprintf(profile->place, sizeof profile->place, "profile %s of %s and %s", profile->name,
             profile->config_path, profile->credentials_path);
    enum status status = take_file(profile, profile->config_path, true, problem);
    if (status == STATUS_OK)
        status = take_file(profile, profile->credentials_path, false, problem);
    if (status != STATUS_OK || name == NULL)
        return status;
    if (json_object_get(profile->profiles, profile->name) == NULL)
        return problem_set(problem, STATUS_NOT_FOUND,
                           "there is no profile \"%s\" in %s (as [profile %s]) nor in %s; add it, "
                           "or name another one",
                           profile->name, profile->config_path, profile->name,
                           profile->credentials_path);
    return STATUS_OK;
}

enum status profile_open(const struct world *world, const char *name, struct profile **ret_profile,
                         struct problem *problem)
{
    struct profile *profile = calloc(1, sizeof *profile);
    if (profile == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for a profile");
    profile->profiles = json_object();
    profile->services = json_object();
    enum status status = read_both(profile, world, name, problem);
    if (status != STATUS_OK) {
        profile_close(profile);
        return status;
    }
    *ret_profile = profile;
    return STATUS_OK;
}

void profile_close(struct profile *profile)
{
    if (profile == NULL)
        return;
    json_decref(profile->profiles);
    json_decref(profile->services);
    free(profile);
}

const char *profile_name(const struct profile *profile)
{
    return profile->name;
}

const char *profile_place(const struct profile *profile)
{
    return profile->place;
}

const char *profile_value(const struct profile *profile, const char *key)
{
    const json_t *own = json_object_get(profile->profiles, profile->name);
    const char *value = json_string_value(json_object_get(own, key));
    return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *profile_service_url(const struct profile *profile, const char *service)
{
    const char *section = profile_value(profile, "services");
    if (section == NULL)
        return NULL;
    const json_t *of = json_object_get(json_object_get(profile->services, section), service);
    const char *url = json_string_value(json_object_get(of, "endpoint_url"));
    return url != NULL && url[0] != '\0' ? url : NULL;
}
