#include "engine/service/plugin.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/service/tables.h"

enum status plugin_setting_parse(const char *text, struct plugin_setting *ret_setting,
                                 struct problem *problem)
{
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    if (equals == NULL || dot == NULL || dot > equals || dot == text || dot + 1 == equals)
        return problem_set(problem, STATUS_INVALID,
                           "'%s' is no setting: give it as SERVICE.KEY=VALUE, for instance "
                           "inventory.units_initial=1000",
                           text);
    *ret_setting = (struct plugin_setting){
        .service = text,
        .service_bytes = (size_t)(dot - text),
        .key = dot + 1,
        .key_bytes = (size_t)(equals - dot - 1),
        .value = equals + 1,
    };
    return STATUS_OK;
}

static bool name_is_valid(const char *name)
{
    size_t bytes = name == NULL ? 0 : strlen(name);
    return bytes > 0 && bytes <= FLYOVER_NAME_BYTES_MAX && strpbrk(name, "./: ") == NULL;
}

static const char *find_flaw(const struct flyover_service *service)
{
    if (!name_is_valid(service->name))
        return "its name is empty, too long, or has one of './: ' in it";
    if (service->handlers_count == 0 || service->handlers_count > FLYOVER_HANDLERS_MAX ||
        service->handlers == NULL)
        return "it has no handler, or more than 64";
    for (uint32_t i = 0; i < service->handlers_count; i++) {
        if (!name_is_valid(service->handlers[i].name) || service->handlers[i].handle == NULL)
            return "a handler has no valid name or no function";
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(service->handlers[i].name, service->handlers[j].name) == 0)
                return "two handlers have the same name";
    }
    if (service->tables_count > FLYOVER_TABLES_MAX ||
        (service->tables_count > 0 && service->tables == NULL))
        return "it has more than 32 tables, or a count of tables and no list";
    for (uint32_t i = 0; i < service->tables_count; i++) {
        const struct flyover_table *table = &service->tables[i];
        if (!name_is_valid(table->name) || table->entries_max == 0 ||
            table->entries_max > TABLES_ENTRIES_MAX)
            return "a table has no valid name, or entries_max is 0 or over 67108864";
        if ((table->kind != FLYOVER_VALUES && table->kind != FLYOVER_COUNTERS) ||
            (table->when_full != FLYOVER_REFUSE && table->when_full != FLYOVER_DROP_OLDEST))
            return "a table is neither VALUES nor COUNTERS, or neither REFUSE nor DROP_OLDEST";
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(table->name, service->tables[j].name) == 0)
                return "two tables have the same name";
    }
    if (service->tables_count > 0 && service->workers > 1)
        return "it has tables and asks for more than one worker: its state has one owner";
    return NULL;
}

static enum status configure(const struct plugin_path *path, const struct flyover_service *service,
                             struct problem *problem)
{
    for (uint32_t i = 0; i < path->settings_count; i++) {
        const struct plugin_setting *setting = &path->settings[i];
        if (strlen(service->name) != setting->service_bytes ||
            memcmp(service->name, setting->service, setting->service_bytes) != 0)
            continue;
        char key[FLYOVER_NAME_BYTES_MAX + 1];
        snprintf(key, sizeof key, "%.*s", (int)setting->key_bytes, setting->key);
        if (service->configure == NULL || !service->configure(key, setting->value))
            return problem_set(problem, STATUS_INVALID,
                               "service '%s' does not take the setting %s=%s: the key is unknown "
                               "to it or the value is out of its range",
                               service->name, key, setting->value);
    }
    return STATUS_OK;
}

static enum status check(const struct plugin_path *path, const struct flyover_service *service,
                         const char *from, struct problem *problem)
{
    if (service == NULL)
        return problem_set(problem, STATUS_BAD_PLUGIN, "%s describes no service", from);
    if (service->abi != FLYOVER_ABI)
        return problem_set(problem, STATUS_BAD_PLUGIN,
                           "%s was built for plug-in ABI %u and this engine has %u: build it again "
                           "with this engine's flyover_service.h",
                           from, service->abi, FLYOVER_ABI);
    enum status status = STATUS_OK;
    const char *flaw = find_flaw(service);
    if (flaw == NULL)
        status = configure(path, service, problem);
    if (flaw == NULL && status == STATUS_OK)
        flaw = find_flaw(service); /* tables may have changed with the settings */
    if (flaw != NULL)
        return problem_set(problem, STATUS_BAD_PLUGIN, "%s cannot be used: %s", from, flaw);
    return status;
}

enum status plugin_open_built_in(const struct plugin_path *path,
                                 const struct flyover_service *service, struct plugin *ret_plugin,
                                 struct problem *problem)
{
    enum status status = check(path, service, service->name, problem);
    if (status == STATUS_OK)
        *ret_plugin = (struct plugin){.service = service};
    return status;
}

/* " there are: inventory, order" or nothing: what could have been meant. */
static void list_services(const struct plugin_path *path, char *text, size_t capacity)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < path->directories_count; i++) {
        DIR *directory = opendir(path->directories[i]);
        if (directory == NULL)
            continue;
        for (struct dirent *file = readdir(directory); file != NULL; file = readdir(directory)) {
            size_t bytes = strlen(file->d_name);
            if (bytes <= 3 || strcmp(file->d_name + bytes - 3, ".so") != 0 ||
                used + bytes + 16 > capacity)
                continue;
            used +=
                (size_t)snprintf(text + used, capacity - used, "%s%.*s",
                                 used == 0 ? "; there are: " : ", ", (int)bytes - 3, file->d_name);
        }
        closedir(directory);
    }
}

static bool find_file(const struct plugin_path *path, const char *name, char *file, size_t capacity)
{
    for (uint32_t i = 0; i < path->directories_count; i++) {
        int bytes = snprintf(file, capacity, "%s/%s.so", path->directories[i], name);
        if (bytes > 0 && (size_t)bytes < capacity && access(file, F_OK) == 0)
            return true;
    }
    return false;
}

static enum status report_missing(const struct plugin_path *path, const char *name,
                                  struct problem *problem)
{
    char services[256];
    list_services(path, services, sizeof services);
    char folders[512];
    size_t used = 0;
    folders[0] = '\0';
    for (uint32_t i = 0; i < path->directories_count && used < sizeof folders; i++)
        used += (size_t)snprintf(folders + used, sizeof folders - used, "%s%s", i > 0 ? ", " : "",
                                 path->directories[i]);
    return problem_set(problem, STATUS_NOT_FOUND,
                       "there is no service '%s': no %s.so in %s%s. Name a folder with "
                       "--plugin-dir, or correct the Resource",
                       name, name, folders, services);
}

enum status plugin_open(const struct plugin_path *path, const char *name, struct plugin *ret_plugin,
                        struct problem *problem)
{
    char file[4096];
    if (!name_is_valid(name) || !find_file(path, name, file, sizeof file))
        return report_missing(path, name, problem);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return problem_set(problem, STATUS_BAD_PLUGIN, "%s cannot be loaded: %s", file, dlerror());
    enum status status;
    const struct flyover_service *(*describe)(void) = NULL;
    *(void **)&describe = dlsym(library, "flyover_service_describe");
    const struct flyover_service *service = describe == NULL ? NULL : describe();
    if (describe == NULL)
        status =
            problem_set(problem, STATUS_BAD_PLUGIN,
                        "%s is no plug-in: it does not define flyover_service_describe()", file);
    else
        status = check(path, service, file, problem);
    if (status == STATUS_OK && strcmp(service->name, name) != 0)
        status = problem_set(problem, STATUS_BAD_PLUGIN,
                             "%s calls itself '%s': name the file after the service", file,
                             service->name);
    if (status != STATUS_OK) {
        dlclose(library);
        return status;
    }
    *ret_plugin = (struct plugin){library, service};
    return STATUS_OK;
}

void plugin_close(struct plugin *plugin)
{
    if (plugin->library != NULL)
        dlclose(plugin->library);
    *plugin = (struct plugin){0};
}

uint16_t plugin_find_handler(const struct plugin *plugin, const char *name)
{
    for (uint16_t i = 0; i < plugin->service->handlers_count; i++)
        if (strcmp(plugin->service->handlers[i].name, name) == 0)
            return i;
    return PLUGIN_NO_HANDLER;
}

uint32_t plugin_tables(const struct plugin *plugin, struct event_table *ret_tables)
{
    const struct flyover_service *service = plugin->service;
    for (uint32_t i = 0; i < service->tables_count; i++)
        ret_tables[i] = (struct event_table){
            .kind = service->tables[i].kind,
            .when_full = service->tables[i].when_full,
            .entries_max = service->tables[i].entries_max,
            .name = {(const uint8_t *)service->tables[i].name,
                     (uint32_t)strlen(service->tables[i].name)},
        };
    return service->tables_count;
}
