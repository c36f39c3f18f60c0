#include <stdlib.h>
#include <string.h>

#include "engine/main/command.h"
#include "engine/main/config.h"
#include "engine/main/session.h"
#include "engine/saga/names.h"

#define RETENTION_HOURS_MAX (24u * 36525)
#define PAYLOAD_MIB_MIN     16u
#define PAYLOAD_MIB_MAX     (1u << 16)
#define DISK_MIB_MAX        (1u << 30)
#define HOUR_MS             3600000u
#define MIB                 (1u << 20)

static enum status take_setting(void *input, const char *text, struct problem *problem)
{
    struct plugin_path *plugins = &((struct session_options *)input)->plugins;
    if (plugins->settings_count == PLUGIN_SETTINGS_MAX)
        return problem_set(problem, STATUS_INVALID, "is there more than %u times",
                           PLUGIN_SETTINGS_MAX);
    struct plugin_setting setting;
    enum status status = plugin_setting_parse(text, &setting, problem);
    if (status == STATUS_OK)
        plugins->settings[plugins->settings_count++] = setting;
    return status;
}

static enum status take_plugin_directory(void *input, const char *text, struct problem *problem)
{
    return command_add_plugin_directory(&((struct session_options *)input)->plugins, text, problem);
}

/* The limits of the service, new or given before; NULL: there are too many. */
static struct dispatch_limits *limits_of(struct session_options *options, const char *name,
                                         size_t name_bytes)
{
    struct partition_service_limits *found = options->service_limits;
    struct partition_service_limits *end = found + options->service_limits_count;
    while (found < end &&
           (strlen(found->service) != name_bytes || memcmp(found->service, name, name_bytes) != 0))
        found++;
    if (found == end) {
        if (options->service_limits_count == PARTITION_SERVICES_MAX)
            return NULL;
        options->service_limits_count++;
        memcpy(found->service, name, name_bytes);
    }
    return &found->limits;
}

/* SERVICE.in-flight=N, cut apart. */
struct limit_text {
    size_t service_bytes;
    const char *key;
    size_t key_bytes;
    unsigned long count;
};

static bool parse_limit(const char *text, struct limit_text *ret_limit)
{
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    if (equals == NULL || dot == NULL || dot > equals || dot == text ||
        dot - text > (ptrdiff_t)FLYOVER_NAME_BYTES_MAX || equals[1] < '0' || equals[1] > '9')
        return false;
    char *end;
    *ret_limit = (struct limit_text){.service_bytes = (size_t)(dot - text),
                                     .key = dot + 1,
                                     .key_bytes = (size_t)(equals - dot - 1),
                                     .count = strtoul(equals + 1, &end, 10)};
    return *end == '\0' && ret_limit->count > 0 && ret_limit->count <= UINT32_MAX;
}

static bool has_key(const struct limit_text *limit, const char *key)
{
    return limit->key_bytes == strlen(key) && memcmp(limit->key, key, limit->key_bytes) == 0;
}

static enum status take_limit(void *input, const char *text, struct problem *problem)
{
    struct limit_text limit;
    if (!parse_limit(text, &limit))
        return problem_set(problem, STATUS_INVALID,
                           "'%.200s' is not of the form SERVICE.in-flight=N or SERVICE.rate=N",
                           text);
    bool is_rate = has_key(&limit, "rate");
    if (!is_rate && !has_key(&limit, "in-flight"))
        return problem_set(problem, STATUS_INVALID, "'%.200s': there are in-flight and rate", text);
    struct dispatch_limits *limits = limits_of(input, text, limit.service_bytes);
    if (limits == NULL)
        return problem_set(problem, STATUS_INVALID, "is there for more than %u services",
                           PARTITION_SERVICES_MAX);
    *(is_rate ? &limits->rate_per_s : &limits->in_flight_max) = (uint32_t)limit.count;
    return STATUS_OK;
}

_Static_assert(DURABILITY_SYNC == 0 && DURABILITY_ASYNC == 1 && DURABILITY_MEMORY == 2,
               "the words of data.durability stand in this order");

#define AT(member) CONFIG_AT(struct session_options, member)

const struct config_key session_keys[] = {
    {"data.dir", "data", 'd', "DIR", CONFIG_TEXT, AT(directory),
     .help = "The data directory; made if it is not there"},
    {"data.durability", "durability", 'D', "MODE", CONFIG_CHOICE, .normal = "sync", AT(durability),
     .choices = "sync async memory",
     .help = "sync: acknowledged means on disk; async: with the OS; memory: nothing survives"},
    {NULL, "accept-loss", 0, NULL, CONFIG_TRUTH, AT(accept_loss),
     .help = "Go on without blocks that are damaged or missing; they are saved aside"},
    {"plugins.dirs", "plugin-dir", 0, "DIR", CONFIG_LIST, .take = take_plugin_directory,
     .help = "Look for plug-ins here first, may be given again"},
    {"services.settings", "set", 's', "SERVICE.KEY=VALUE", CONFIG_MAP, .take = take_setting,
     .help = "A setting of a service, may be given again"},
    {"services.limits", "limit", 0, "SERVICE.in-flight=N|SERVICE.rate=N", CONFIG_MAP,
     .reloads = true, .take = take_limit,
     .help = "At most N steps with the service at once, or begun there a second; may be given "
             "again"},
    {"limits.sagas-max", "sagas-max", 0, "N", CONFIG_AMOUNT, .normal = "65536", .is_kept = true,
     .least = 1, .most = CORE_SAGAS_MAX, .unit = 1, AT(limits.sagas_max),
     .help = "Sagas that may run at once, for a new data directory"},
    {"limits.names-max", "names-max", 0, "N", CONFIG_AMOUNT, .normal = "1048576", .is_kept = true,
     .least = 1, .most = NAMES_MAX, .unit = 1, AT(limits.names_max),
     .help = "Names of sagas kept at once, for a new data directory"},
    {"limits.name-retention-hours", "name-retention-hours", 0, "N", CONFIG_AMOUNT, .normal = "24",
     .is_kept = true, .least = 1, .most = RETENTION_HOURS_MAX, .unit = HOUR_MS,
     AT(limits.name_retention_ms),
     .help = "How long a name starts no second saga, and while its saga runs"},
    {"limits.payload-mib", "payload-mib", 0, "N", CONFIG_AMOUNT, .normal = "256", .is_kept = true,
     .least = PAYLOAD_MIB_MIN, .most = PAYLOAD_MIB_MAX, .unit = MIB, AT(limits.payload_bytes_max),
     .help = "Room for inputs and outputs in MiB, for a new data directory"},
    {"journal.checkpoint-mib", "checkpoint-mib", 0, "N", CONFIG_AMOUNT, .normal = "1024",
     .most = DISK_MIB_MAX, .unit = MIB, AT(checkpoint_bytes),
     .help = "Journal between two checkpoints, in MiB; 0: none is taken"},
    {"journal.history-mib", "history-mib", 0, "N", CONFIG_AMOUNT, .normal = "4096",
     .most = DISK_MIB_MAX, .unit = MIB, AT(history_bytes),
     .help = "Journal kept to tell of finished sagas, in MiB; older blocks go with a checkpoint; "
             "0: none is kept"},
    {"journal.history-hours", "history-hours", 0, "N", CONFIG_AMOUNT, .normal = "0",
     .most = RETENTION_HOURS_MAX, .unit = HOUR_MS, AT(history_ms),
     .help = "Nothing older than this is kept for history either; 0: however old"},
    {"threads.pin", "no-pin", 0, NULL, CONFIG_TRUTH, .normal = "true", AT(pin),
     .help = "Do not pin threads to cores"},
};
const uint32_t session_keys_count = sizeof session_keys / sizeof session_keys[0];

/* ---- for commands that have flags only ------------------------------------------------------- */

#define KEYS_COUNT (sizeof session_keys / sizeof session_keys[0])

static const struct config_key *find_key(int flag)
{
    return config_find_flag(session_keys, KEYS_COUNT, CONFIG_FLAG_FIRST, flag);
}

static error_t parse_option(int flag, char *text, struct argp_state *state)
{
    const struct config_key *key = find_key(flag);
    if (key == NULL)
        return ARGP_ERR_UNKNOWN;
    char name[64];
    struct problem problem;
    snprintf(name, sizeof name, "--%s", key->flag);
    if (config_store_one(key, state->input, name, config_flag_text(key, text), &problem) !=
        STATUS_OK)
        argp_error(state, "%s", problem.text);
    return 0;
}

static char *filter_help(int flag, const char *text, void *input)
{
    (void)input;
    return config_help(find_key(flag), text);
}

static struct argp_option options_list[2 * KEYS_COUNT + 1];
static const struct argp session_argp = {options_list, parse_option, NULL, NULL,
                                         NULL,         filter_help,  NULL};
const struct argp_child session_argp_child[] = {{&session_argp, 0, "Engine:", 1}, {0}};

void session_options_init(struct session_options *options)
{
    *options = (struct session_options){0};
    config_store_defaults(session_keys, KEYS_COUNT, options);
    config_argp_options(session_keys, KEYS_COUNT, CONFIG_FLAG_FIRST, 1, false, options_list);
}
