#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/edge/http_invoke.h"
#include "engine/edge/section.h"

#define SECONDS_MAX 3600

static enum status out_of_memory(struct problem *problem)
{
    return problem_set(problem, STATUS_NO_MEMORY, "out of memory");
}

/* ---- fields -------------------------------------------------------------------------------------
 */

/* Untouched where the field is not there. */
static enum status read_seconds(const json_t *section, const char *name, uint32_t *ret_ms,
                                struct problem *problem)
{
    const json_t *value = json_object_get(section, name);
    double seconds = json_number_value(value);
    if (value == NULL)
        return STATUS_OK;
    if (!json_is_number(value) || !(seconds >= 0.001 && seconds <= SECONDS_MAX))
        return problem_set(problem, STATUS_INVALID, "http.%s: say a number of seconds up to %d",
                           name, SECONDS_MAX);
    *ret_ms = (uint32_t)(seconds * 1000);
    return STATUS_OK;
}

static enum status copy_string(const json_t *object, const char *path, const char *name,
                               char **ret_copy, struct problem *problem)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL)
        return STATUS_OK;
    if (!json_is_string(value) || json_string_length(value) == 0)
        return problem_set(problem, STATUS_INVALID, "%s.%s: say a text", path, name);
    *ret_copy = strdup(json_string_value(value));
    return *ret_copy == NULL ? out_of_memory(problem) : STATUS_OK;
}

static bool is_endpoint(const char *text)
{
    return (strncmp(text, "http://", 7) == 0 && text[7] != '\0') ||
           (strncmp(text, "https://", 8) == 0 && text[8] != '\0');
}

static enum status read_endpoints(struct http_invoke_config *config, const json_t *section,
                                  struct problem *problem)
{
    size_t i;
    json_t *value, *list = json_object_get(section, "endpoints");
    if (list == NULL)
        return STATUS_OK;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return problem_set(problem, STATUS_INVALID,
                           "http.endpoints: say a list of what URLs begin with, or leave it out");
    config->endpoints = calloc(json_array_size(list), sizeof *config->endpoints);
    if (config->endpoints == NULL)
        return out_of_memory(problem);
    json_array_foreach(list, i, value)
    {
        if (!json_is_string(value) || !is_endpoint(json_string_value(value)))
            return problem_set(problem, STATUS_INVALID,
                               "http.endpoints[%zu]: say what URLs begin with, with http:// or "
                               "https://",
                               i);
        config->endpoints[i] = strdup(json_string_value(value));
        if (config->endpoints[i] == NULL)
            return out_of_memory(problem);
        config->endpoints_count++;
    }
    return STATUS_OK;
}

static enum status read_ca_file(struct http_invoke_config *config, const json_t *section,
                                struct problem *problem)
{
    enum status status = copy_string(section, "http", "ca_file", &config->ca_file, problem);
    if (status == STATUS_OK && config->ca_file != NULL && access(config->ca_file, R_OK) != 0)
        status = problem_set(problem, STATUS_INVALID, "http.ca_file: %s cannot be read: %s",
                             config->ca_file, strerror(errno));
    return status;
}

/* ---- secrets ------------------------------------------------------------------------------------
 */

static enum status take_file(const char *path, const char *field, const char *file,
                             char ret_secret[HTTP_INVOKE_SECRET_MAX + 2], struct problem *problem)
{
    FILE *in = fopen(file, "re");
    size_t bytes = in == NULL ? 0 : fread(ret_secret, 1, HTTP_INVOKE_SECRET_MAX + 1, in);
    if (in == NULL || ferror(in)) {
        int error = errno;
        if (in != NULL)
            fclose(in);
        return problem_set(problem, STATUS_INVALID, "%s.%s: %s cannot be read: %s", path, field,
                           file, strerror(error));
    }
    fclose(in);
    while (bytes > 0 && (ret_secret[bytes - 1] == '\n' || ret_secret[bytes - 1] == '\r'))
        bytes--;
    ret_secret[bytes] = '\0';
    return STATUS_OK;
}

static enum status take_variable(const char *path, const char *field, const char *variable,
                                 char ret_secret[HTTP_INVOKE_SECRET_MAX + 2],
                                 struct problem *problem)
{
    const char *value = getenv(variable);
    if (value == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "%s.%s: the environment has no %s: set it for the engine", path, field,
                           variable);
    snprintf(ret_secret, HTTP_INVOKE_SECRET_MAX + 2, "%s", value);
    return STATUS_OK;
}

static bool is_header_text(const char *text)
{
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    return bytes > 0 && bytes <= HTTP_INVOKE_SECRET_MAX;
}

/* From NAME_env or NAME_file, exactly one of which is there. */
static enum status read_secret(const json_t *connection, const char *path, const char *name,
                               char ret_secret[HTTP_INVOKE_SECRET_MAX + 2], struct problem *problem)
{
    char env[32], file[32];
    snprintf(env, sizeof env, "%s_env", name);
    snprintf(file, sizeof file, "%s_file", name);
    const char *variable = json_string_value(json_object_get(connection, env));
    const char *from = json_string_value(json_object_get(connection, file));
    if ((variable == NULL) == (from == NULL))
        return problem_set(problem, STATUS_INVALID,
                           "%s: say %s, the name of a variable, or %s, the path of a file", path,
                           env, file);
    enum status status = variable != NULL ? take_variable(path, env, variable, ret_secret, problem)
                                          : take_file(path, file, from, ret_secret, problem);
    if (status == STATUS_OK && !is_header_text(ret_secret))
        status = problem_set(problem, STATUS_INVALID,
                             "%s.%s: the secret has to have 1 to %u bytes on one line", path,
                             variable != NULL ? env : file, HTTP_INVOKE_SECRET_MAX);
    return status;
}

static void encode_base64(const char *text, size_t bytes, char *ret_encoded)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t left = bytes - i >= 3 ? 3 : (uint32_t)(bytes - i), word = 0;
        for (uint32_t j = 0; j < 3; j++)
            word = word << 8 | (j < left ? (unsigned char)text[i + j] : 0u);
        for (uint32_t j = 0; j < 4; j++)
            *ret_encoded++ = j <= left ? digits[word >> (18 - 6 * j) & 63] : '=';
    }
    *ret_encoded = '\0';
}

static char *join(const char *first, const char *between, const char *second)
{
    char *joined;
    return asprintf(&joined, "%s%s%s", first, between, second) < 0 ? NULL : joined;
}

/* ---- connections --------------------------------------------------------------------------------
 */

static enum status make_header_line(struct http_connection *connection, const json_t *object,
                                    const char *path, const char *header, struct problem *problem)
{
    char secret[HTTP_INVOKE_SECRET_MAX + 2];
    for (const char *at = header; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("-_.", *at) == NULL)
            return problem_set(problem, STATUS_INVALID, "%s.header: '%s' is no name of a header",
                               path, header);
    enum status status = read_secret(object, path, "value", secret, problem);
    if (status != STATUS_OK)
        return status;
    connection->line = join(header, ": ", secret);
    return connection->line == NULL ? out_of_memory(problem) : STATUS_OK;
}

static enum status make_basic_line(struct http_connection *connection, const json_t *object,
                                   const char *path, const char *user, struct problem *problem)
{
    char secret[HTTP_INVOKE_SECRET_MAX + 2];
    if (strchr(user, ':') != NULL || !is_header_text(user))
        return problem_set(problem, STATUS_INVALID, "%s.user: a name without ':'", path);
    enum status status = read_secret(object, path, "password", secret, problem);
    if (status != STATUS_OK)
        return status;
    char *both = join(user, ":", secret);
    char *encoded = both == NULL ? NULL : malloc(strlen(both) * 4 / 3 + 8);
    if (encoded != NULL) {
        encode_base64(both, strlen(both), encoded);
        connection->line = join("Authorization: Basic", " ", encoded);
    }
    free(both);
    free(encoded);
    return connection->line == NULL ? out_of_memory(problem) : STATUS_OK;
}

static enum status read_connection(struct http_connection *connection, const char *name,
                                   const json_t *object, struct problem *problem)
{
    static const char *const names[] = {"endpoint", "header",       "value_env",     "value_file",
                                        "user",     "password_env", "password_file", NULL};
    char path[128];
    snprintf(path, sizeof path, "http.connections.%.80s", name);
    if (!json_is_object(object))
        return problem_set(problem, STATUS_INVALID, "%s: say what it is, in fields", path);
    enum status status = section_check(object, path, names, problem);
    if (status == STATUS_OK)
        status = copy_string(object, path, "endpoint", &connection->endpoint, problem);
    if (status != STATUS_OK)
        return status;
    if (connection->endpoint == NULL || !is_endpoint(connection->endpoint))
        return problem_set(problem, STATUS_INVALID,
                           "%s.endpoint: say what the URLs begin with that may have the secret",
                           path);
    const char *header = json_string_value(json_object_get(object, "header"));
    const char *user = json_string_value(json_object_get(object, "user"));
    if ((header == NULL) == (user == NULL))
        return problem_set(problem, STATUS_INVALID,
                           "%s: say header, the name of one with a value, or user, with a password",
                           path);
    return header != NULL ? make_header_line(connection, object, path, header, problem)
                          : make_basic_line(connection, object, path, user, problem);
}

static enum status read_connections(struct http_invoke_config *config, const json_t *section,
                                    struct problem *problem)
{
    const char *name;
    json_t *value, *all = json_object_get(section, "connections");
    if (all == NULL)
        return STATUS_OK;
    if (!json_is_object(all))
        return problem_set(problem, STATUS_INVALID, "http.connections: say a name for each");
    config->connections = calloc(json_object_size(all) + 1, sizeof *config->connections);
    if (config->connections == NULL)
        return out_of_memory(problem);
    json_object_foreach(all, name, value)
    {
        struct http_connection *connection = &config->connections[config->connections_count++];
        connection->name = strdup(name);
        enum status status = connection->name == NULL
                                 ? out_of_memory(problem)
                                 : read_connection(connection, name, value, problem);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* ---- the section --------------------------------------------------------------------------------
 */

enum status http_invoke_config_read(struct http_invoke_config *config, const json_t *section,
                                    struct problem *problem)
{
    static const char *const names[] = {"timeout_seconds", "patience_seconds", "ca_file",
                                        "endpoints",       "connections",      NULL};
    *config = (struct http_invoke_config){.timeout_ms = HTTP_INVOKE_TIMEOUT_MS,
                                          .patience_ms = HTTP_INVOKE_PATIENCE_MS};
    enum status status = section_check(section, "http", names, problem);
    if (status == STATUS_OK)
        status = read_seconds(section, "timeout_seconds", &config->timeout_ms, problem);
    if (status == STATUS_OK)
        status = read_seconds(section, "patience_seconds", &config->patience_ms, problem);
    if (status == STATUS_OK)
        status = read_ca_file(config, section, problem);
    if (status == STATUS_OK)
        status = read_endpoints(config, section, problem);
    if (status == STATUS_OK)
        status = read_connections(config, section, problem);
    return status;
}

static void free_connection(struct http_connection *connection)
{
    free(connection->name);
    free(connection->endpoint);
    if (connection->line != NULL)
        explicit_bzero(connection->line, strlen(connection->line));
    free(connection->line);
}

void http_invoke_config_free(struct http_invoke_config *config)
{
    for (uint32_t i = 0; i < config->endpoints_count; i++)
        free(config->endpoints[i]);
    for (uint32_t i = 0; i < config->connections_count; i++)
        free_connection(&config->connections[i]);
    free(config->endpoints);
    free(config->connections);
    free(config->ca_file);
}

bool http_invoke_is_below(const char *url, const char *prefix)
{
    size_t bytes = strlen(prefix);
    if (strncmp(url, prefix, bytes) != 0)
        return false;
    return prefix[bytes - 1] == '/' || url[bytes] == '\0' || url[bytes] == '/' || url[bytes] == '?';
}
