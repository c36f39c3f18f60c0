#include "engine/main/net_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_DEFAULT 2u
#define OUTSTANDING_DEFAULT 24576u
#define OUTSTANDING_MAX     1000000u
#define BATCH_DEFAULT       256u

enum {
    KEY_NET = 7000,
    KEY_SPAWN,
    KEY_CONNECTIONS,
    KEY_OUTSTANDING,
    KEY_RATE,
    KEY_BATCH,
    KEY_WORKERS,
    KEY_IDLE,
    KEY_CURVE
};

static const struct argp_option options_list[] = {
    {"net", KEY_NET, "ADDRESS", 0,
     "Start the sagas on an engine that serves there: HOST:PORT, [HOST]:PORT or unix:PATH", 0},
    {"spawn", KEY_SPAWN, "tcp|unix", OPTION_ARG_OPTIONAL,
     "Start them on an engine that is started for it, as a program of its own, and reached over "
     "loopback (default) or a unix socket",
     0},
    {"connections", KEY_CONNECTIONS, "N", 0, "Connections to start sagas on (default 2)", 0},
    {"outstanding", KEY_OUTSTANDING, "N", 0,
     "Sagas under way at once, over all connections (default 24576); 1: one at a time, with the "
     "syncs of the disk beside it",
     0},
    {"rate", KEY_RATE, "N", 0,
     "Start N a second, whatever comes back; latency counts from when each was to be started", 0},
    {"batch", KEY_BATCH, "N", 0, "Starts that are sent off together at most (default 256)", 0},
    {"workers-remote", KEY_WORKERS, "N", 0,
     "Serve the steps here, as a worker with N connections, not by the engine's plug-ins", 0},
    {"idle", KEY_IDLE, "N", 0, "Hold N more connections open that do nothing", 0},
    {"curve", KEY_CURVE, NULL, 0,
     "Find the greatest rate, then measure latency at 25, 50, 75 and 90 % of it; --plot draws it",
     0},
    {0},
};

static uint32_t parse_count(struct argp_state *state, const char *name, const char *text,
                            uint32_t max)
{
    char *end;
    errno = 0;
    unsigned long count = strtoul(text, &end, 10);
    if (*text == '-' || end == text || *end != '\0' || errno != 0 || count == 0 || count > max)
        argp_error(state, "--%s takes a number from 1 to %u", name, max);
    return (uint32_t)count;
}

static enum net_spawn parse_spawn(struct argp_state *state, const char *text)
{
    if (text == NULL || strcmp(text, "tcp") == 0)
        return NET_SPAWN_TCP;
    if (strcmp(text, "unix") != 0)
        argp_error(state, "--spawn takes tcp or unix");
    return NET_SPAWN_UNIX;
}

static double parse_rate(struct argp_state *state, const char *text)
{
    char *end;
    double rate = strtod(text, &end);
    if (end == text || *end != '\0' || !(rate >= 1e-3 && rate <= 1e9))
        argp_error(state, "--rate takes starts a second, from 0.001 to 1e9");
    return rate;
}

static void check(struct argp_state *state, struct net_options *options)
{
    struct net_options normal;
    net_options_init(&normal);
    if (options->address != NULL && options->spawn != NET_SPAWN_NONE)
        argp_error(state, "--net or --spawn, not both");
    if (!net_options_is_wanted(options) && memcmp(options, &normal, sizeof normal) != 0)
        argp_error(state, "--connections, --outstanding, --rate, --batch, --workers-remote, --idle "
                          "and --curve go with --net or --spawn");
    if (options->is_curve && options->rate_per_s > 0)
        argp_error(state, "--curve finds the rates itself: leave --rate out");
    if (options->connections == 0)
        options->connections =
            options->outstanding < CONNECTIONS_DEFAULT ? options->outstanding : CONNECTIONS_DEFAULT;
    if (options->outstanding < options->connections)
        argp_error(state, "--outstanding %u is too few for --connections %u", options->outstanding,
                   options->connections);
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct net_options *options = state->input;
    switch (key) {
    case KEY_NET: options->address = text; return 0;
    case KEY_SPAWN: options->spawn = parse_spawn(state, text); return 0;
    case KEY_CONNECTIONS:
        options->connections = parse_count(state, "connections", text, NET_CONNECTIONS_MAX);
        return 0;
    case KEY_OUTSTANDING:
        options->outstanding = parse_count(state, "outstanding", text, OUTSTANDING_MAX);
        return 0;
    case KEY_RATE: options->rate_per_s = parse_rate(state, text); return 0;
    case KEY_BATCH: options->batch = parse_count(state, "batch", text, OUTSTANDING_MAX); return 0;
    case KEY_WORKERS:
        options->workers = parse_count(state, "workers-remote", text, NET_CONNECTIONS_MAX);
        return 0;
    case KEY_IDLE: options->idle = parse_count(state, "idle", text, NET_IDLE_MAX); return 0;
    case KEY_CURVE: options->is_curve = true; return 0;
    case ARGP_KEY_SUCCESS: check(state, options); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp net_options_argp = {options_list, parse_option, NULL, NULL, NULL, NULL, NULL};

void net_options_init(struct net_options *options)
{
    memset(options, 0, sizeof *options); /* what lies between its members is compared too */
    options->outstanding = OUTSTANDING_DEFAULT;
    options->batch = BATCH_DEFAULT;
}

bool net_options_is_wanted(const struct net_options *options)
{
    return options->address != NULL || options->spawn != NET_SPAWN_NONE;
}
