#include "engine/main/serve_options.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "engine/main/config.h"

#define SERVE_FLAG_FIRST (CONFIG_FLAG_FIRST + (int)CONFIG_KEYS_MAX)
#define MIB              (1u << 20)
#define SECOND_MS        1000u

static enum status take_text(const char **texts, uint32_t *count, uint32_t count_max,
                             const char *text, struct problem *problem)
{
    if (*count == count_max)
        return problem_set(problem, STATUS_INVALID, "is there more than %u times", count_max);
    texts[(*count)++] = text;
    return STATUS_OK;
}

static enum status take_definition(void *input, const char *text, struct problem *problem)
{
    struct serve_options *options = input;
    return take_text(options->definitions, &options->definitions_count, SERVE_DEFINITIONS_MAX, text,
                     problem);
}

static enum status take_address(void *input, const char *text, struct problem *problem)
{
    struct serve_options *options = input;
    return take_text(options->addresses, &options->addresses_count, TRANSPORT_LISTENERS_MAX, text,
                     problem);
}

_Static_assert(LOG_DEBUG == 0 && LOG_INFO == 1 && LOG_WARN == 2 && LOG_ERROR == 3 &&
                   LOG_PLAIN == 0 && LOG_JSON == 1,
               "LOG_LEVELS and LOG_FORMATS stand in this order");

#define AT(member) CONFIG_AT(struct serve_options, member)

static const struct config_key keys[] = {
    {"definitions.files", "define", 0, "FILE", CONFIG_LIST, .take = take_definition,
     .help = "A definition to make known at the start, under the file's name up to the first dot; "
             "may be given again"},
    {"listen.addresses", "listen", 'l', "ADDRESS", CONFIG_LIST, .normal = "127.0.0.1:7233",
     .take = take_address,
     .help = "Where to listen: HOST:PORT, [HOST]:PORT or unix:PATH, port 0 for any; may be given "
             "again"},
    {"listen.insecure", "insecure", 0, NULL, CONFIG_TRUTH, .normal = "false", AT(insecure),
     .help = "Listen also where others can reach it, though everybody may do everything"},
    {"listen.threads", "listen-threads", 0, "N", CONFIG_AMOUNT, .normal = "0",
     .most = TRANSPORT_THREADS_MAX, .unit = 1, AT(threads),
     .help = "Threads for the sockets; 0: the engine's own, best for few cores"},
    {"listen.connections-max", "connections-max", 0, "N", CONFIG_AMOUNT, .normal = "10000",
     .least = 1, .most = 1000000, .unit = 1, AT(connections_max),
     .help = "Connections at once; one more is cut"},
    {"listen.window", "window", 0, "N", CONFIG_AMOUNT, .normal = "16384", .least = 1,
     .most = 1000000, .unit = 1, AT(window),
     .help = "Requests that a connection may have open at once"},
    {"listen.heartbeat-ms", "heartbeat-ms", 0, "N", CONFIG_AMOUNT, .normal = "10000", .least = 100,
     .most = 3600000, .unit = 1, AT(heartbeat_ms),
     .help = "A peer that was silent for so long is asked, and cut after as long again"},
    {"listen.hello-ms", "hello-ms", 0, "N", CONFIG_AMOUNT, .normal = "5000", .least = 100,
     .most = 3600000, .unit = 1, AT(hello_ms),
     .help = "Who has not said in this time who he is, is cut"},
    {"listen.frame-ms", "frame-ms", 0, "N", CONFIG_AMOUNT, .normal = "30000", .least = 100,
     .most = 3600000, .unit = 1, AT(frame_ms),
     .help = "Who has not sent the rest of a message in this time is cut"},
    {"listen.output-mib", "output-mib", 0, "N", CONFIG_AMOUNT, .normal = "256", .least = 8,
     .most = 1u << 16, .unit = MIB, AT(output_bytes),
     .help = "Room for answers on their way to those who read slowly, in MiB"},
    {"tls.certificate", "tls-certificate", 0, "FILE", CONFIG_TEXT, AT(certificate_file),
     .help = "TLS: the chain of certificates, PEM"},
    {"tls.key", "tls-key", 0, "FILE", CONFIG_TEXT, AT(key_file), .help = "TLS: its key, PEM"},
    {"tls.ca", "tls-ca", 0, "FILE", CONFIG_TEXT, AT(ca_file),
     .help = "TLS: whom to believe when clients show a certificate, PEM"},
    {"tls.client-required", "tls-client-required", 0, NULL, CONFIG_TRUTH, .normal = "false",
     AT(client_required), .help = "TLS: refuse clients without a certificate"},
    {"auth.token-file", "token-file", 0, "FILE", CONFIG_TEXT, AT(token_file),
     .help = "Who may do what, as `flyover token` writes it; without one everybody may do "
             "everything"},
    {"edges.file", "edges", 0, "FILE", CONFIG_TEXT, AT(edges_file),
     .help =
         "Services of others as services of definitions, and queues whose messages start sagas: "
         "a YAML file with a section a module (aws, sqs, sqs_in, sns, lambda, dynamodb, http, "
         "sql); none without it"},
    {"edges.in-flight", "edges-in-flight", 0, "N", CONFIG_AMOUNT, .normal = "1024", .least = 1,
     .most = EDGE_IN_FLIGHT_MAX, .unit = 1, AT(edges_in_flight),
     .help = "Calls of one handler of an edge that may be out at once"},
    {"edges.messages", "edges-messages", 0, "N", CONFIG_AMOUNT, .normal = "1024", .least = 1,
     .most = EDGE_MESSAGES_MAX, .unit = 1, AT(edges_messages),
     .help = "Messages of queues that may have been taken and not be settled yet: as many that "
             "start sagas, and as many that answer or signal"},
    {"metrics.listen", "metrics-listen", 0, "ADDRESS", CONFIG_TEXT, AT(metrics_address),
     .help = "Where /metrics, /healthz and /readyz are told by HTTP: HOST:PORT, [HOST]:PORT or "
             "unix:PATH, port 0 for any; not told without it"},
    {"stop.drain-seconds", "drain-seconds", 0, "N", CONFIG_AMOUNT, .normal = "10", .reloads = true,
     .most = 86400, .unit = SECOND_MS, AT(drain_ms),
     .help = "How long open requests are still answered after SIGTERM"},
    {"log.level", "log-level", 0, "LEVEL", CONFIG_CHOICE, .normal = "info", .reloads = true,
     .choices = LOG_LEVELS, AT(log_level), .help = "What is said: debug, info, warn or error"},
    {"log.format", "log-format", 0, "FORMAT", CONFIG_CHOICE, .normal = "plain", .reloads = true,
     .choices = LOG_FORMATS, AT(log_format), .help = "plain: key=value; json: an object a line"},
};
#define KEYS_COUNT (sizeof keys / sizeof keys[0])

enum status serve_options_open(struct serve_options *options, struct config **ret_config)
{
    *options = (struct serve_options){0};
    const struct config_part parts[] = {
        {session_keys, session_keys_count, &options->session},
        {keys, KEYS_COUNT, options},
    };
    return config_open(parts, 2, ret_config);
}

const struct argp_option *serve_options_flags(void)
{
    static struct argp_option flags[2 * (CONFIG_KEYS_MAX + KEYS_COUNT) + 1];
    uint32_t used =
        config_argp_options(session_keys, session_keys_count, CONFIG_FLAG_FIRST, 10, true, flags);
    config_argp_options(keys, KEYS_COUNT, SERVE_FLAG_FIRST, 30, true, flags + used);
    return flags;
}

const struct config_key *serve_options_key(int flag)
{
    const struct config_key *key =
        config_find_flag(session_keys, session_keys_count, CONFIG_FLAG_FIRST, flag);
    return key != NULL ? key : config_find_flag(keys, KEYS_COUNT, SERVE_FLAG_FIRST, flag);
}

/* ---- together -------------------------------------------------------------------------------- */

bool serve_options_is_local(const char *address)
{
    static const char *const beginnings[] = {"unix:", "[::1]:", "localhost:"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (strncmp(address, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    char host[INET_ADDRSTRLEN];
    struct in_addr number;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(address, ":"), address);
    return inet_pton(AF_INET, host, &number) == 1 && ntohl(number.s_addr) >> 24 == 127;
}

static enum status check_open(const struct serve_options *options, struct problem *problem)
{
    bool asks_who = options->token_file != NULL || options->client_required;
    for (uint32_t i = 0; i < options->addresses_count; i++)
        if (!asks_who && !options->insecure && !serve_options_is_local(options->addresses[i]))
            return problem_set(
                problem, STATUS_NO_PERMISSION,
                "others can reach %.200s, and nothing says who may do what: give out tokens "
                "(--token-file FILE; `flyover token` makes them), ask for certificates "
                "(--tls-client-required), listen on 127.0.0.1, or say --insecure",
                options->addresses[i]);
    if (options->metrics_address != NULL && !options->insecure &&
        !serve_options_is_local(options->metrics_address))
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "others can reach %.200s, and whoever reads the metrics is not asked "
                           "who he is: give --metrics-listen 127.0.0.1:9464, or say --insecure",
                           options->metrics_address);
    return STATUS_OK;
}

enum status serve_options_check(const struct serve_options *options, struct problem *problem)
{
    if (options->session.directory == NULL && options->session.durability != DURABILITY_MEMORY)
        return problem_set(problem, STATUS_INVALID,
                           "say where the data goes with --data DIR, or data: dir: in the "
                           "configuration");
    if ((options->certificate_file == NULL) != (options->key_file == NULL))
        return problem_set(problem, STATUS_INVALID, "--tls-certificate and --tls-key go together");
    if (options->certificate_file == NULL && (options->ca_file != NULL || options->client_required))
        return problem_set(problem, STATUS_INVALID,
                           "--tls-ca and --tls-client-required need --tls-certificate");
    if (options->client_required && options->ca_file == NULL)
        return problem_set(problem, STATUS_INVALID,
                           "--tls-client-required needs --tls-ca: whom to believe");
    return check_open(options, problem);
}
