#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/main/serve_parts.h"

static enum status read_config(const struct serve *serve, struct serve_options *options,
                               struct config **ret_config, struct problem *problem)
{
    struct config *config;
    enum status status = serve_options_open(options, &config);
    if (status != STATUS_OK)
        return problem_set(problem, status, "out of memory");
    status = config_copy_flags(config, serve->config, problem);
    if (status == STATUS_OK && serve->config_file != NULL)
        status = config_read_file(config, serve->config_file, problem);
    if (status == STATUS_OK)
        status = config_read_environment(config, environ, problem);
    if (status == STATUS_OK)
        status = config_store(config, problem);
    if (status == STATUS_OK)
        status = serve_options_check(options, problem);
    if (status == STATUS_OK)
        *ret_config = config;
    else
        config_close(config);
    return status;
}

static void on_change(void *context, const struct config_key *key)
{
    struct serve *serve = context;
    if (key->reloads)
        log_say(&serve->log, LOG_INFO, "setting_changed", LOG_TEXT("key", key->path));
    else
        log_say(&serve->log, LOG_WARN, "setting_waits",
                LOG_TEXT("key", key->path != NULL ? key->path : key->flag),
                LOG_TEXT("text", "has another value now, which holds from the next start on"));
}

/* The engine looks at those that it was given at the start, also for services to come. */
static void take_limits(struct serve *serve, const struct session_options *from)
{
    struct session_options *to = &serve->options.session;
    memcpy(to->service_limits, from->service_limits, sizeof to->service_limits);
    to->service_limits_count = from->service_limits_count;
    partition_set_limits(serve->session.partition, to->service_limits, to->service_limits_count);
}

static void take_config(struct serve *serve, struct config *config,
                        const struct serve_options *options)
{
    config_compare(serve->current, config, on_change, serve);
    take_limits(serve, &options->session);
    serve->log.level = options->log_level;
    serve->log.format = options->log_format;
    serve->options.drain_ms = options->drain_ms;
    if (serve->current != serve->config)
        config_close(serve->current);
    serve->current = config;
}

static bool say(struct serve *serve, enum status status, const char *what,
                const struct problem *problem)
{
    if (status != STATUS_OK)
        log_say(&serve->log, LOG_ERROR, "reload_failed", LOG_TEXT("of", what),
                LOG_TEXT("text", problem->text));
    return status == STATUS_OK;
}

void serve_reload(struct serve *serve)
{
    struct problem problem = {0};
    struct config *config = NULL;
    struct serve_options *options = calloc(1, sizeof *options);
    notify_reloading();
    enum status status = options == NULL ? problem_set(&problem, STATUS_NO_MEMORY, "out of memory")
                                         : read_config(serve, options, &config, &problem);
    bool well = say(serve, status, "configuration", &problem);
    if (well)
        take_config(serve, config, options);
    if (serve->access != NULL)
        well &= say(serve, access_reload(serve->access, &problem), "tokens", &problem);
    if (serve->tls != NULL)
        well &= say(serve, tls_reload(serve->tls, &problem), "certificates", &problem);
    free(options);
    log_say(&serve->log, well ? LOG_INFO : LOG_WARN, "reloaded",
            LOG_TEXT("text", well ? "all that can change" : "but for what failed"));
    notify_ready(well ? "serving" : "serving; the last reload failed, see the log");
}
