/*
 * plugin: a service found by name. Opens DIR/NAME.so, checks what it describes, configures it.
 *
 * Threads: one thread opens and closes; the description is read-only afterwards.
 * Errors:  STATUS_NOT_FOUND (no such file: the sentence lists the folders tried and the services
 *          that are there), STATUS_BAD_PLUGIN (cannot be loaded, another ABI, lacks the entry
 *          point, an impossible description), STATUS_INVALID (a setting it does not take).
 */
#ifndef ENGINE_SERVICE_PLUGIN_H
#define ENGINE_SERVICE_PLUGIN_H

#include "engine/base/status.h"
#include "engine/flyover_service.h"
#include "engine/saga/event.h"

#define PLUGIN_DIRECTORIES_MAX 8u
#define PLUGIN_SETTINGS_MAX    64u
#define PLUGIN_NO_HANDLER      UINT16_MAX

/* "service.key=value", cut apart. Borrowed text. */
struct plugin_setting {
    const char *service;
    size_t service_bytes;
    const char *key; /* terminated by the '=' that plugin_setting_parse found */
    size_t key_bytes;
    const char *value;
};

struct plugin_path {
    const char *directories[PLUGIN_DIRECTORIES_MAX]; /* searched in order */
    uint32_t directories_count;
    struct plugin_setting settings[PLUGIN_SETTINGS_MAX];
    uint32_t settings_count;
};

struct plugin {
    void *library; /* NULL: built in */
    const struct flyover_service *service;
};

/* STATUS_INVALID where the text is not SERVICE.KEY=VALUE. */
NODISCARD enum status plugin_setting_parse(const char *text, struct plugin_setting *ret_setting,
                                           struct problem *problem);

NODISCARD enum status plugin_open(const struct plugin_path *path, const char *name,
                                  struct plugin *ret_plugin, struct problem *problem);
/* Checks and configures a service that is part of the program. */
NODISCARD enum status plugin_open_built_in(const struct plugin_path *path,
                                           const struct flyover_service *service,
                                           struct plugin *ret_plugin, struct problem *problem);
void plugin_close(struct plugin *plugin);

/* PLUGIN_NO_HANDLER where the service has none of that name. */
uint16_t plugin_find_handler(const struct plugin *plugin, const char *name);
/* The tables as the journal declares them; names borrowed from the plug-in. */
uint32_t plugin_tables(const struct plugin *plugin, struct event_table *ret_tables);

#endif
