#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/edge/credentials_parts.h"
#include "engine/edge/fault.h"

#define TRY_AGAIN_MS       100
#define FETCH_AGAIN_MS     1000
#define FETCH_AGAIN_MS_MAX 60000
#define REFUSED_AGAIN_MS   30000
#define STALE_INSTANCE_MS  600000

static int64_t now_ms_of(const struct credentials *credentials)
{
    const struct world *world = credentials->options.world;
    return world->now_ms(world->context);
}

/* Memory that is given back does not tell of them. */
static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void forget(struct credentials *credentials)
{
    free(credentials->key_id);
    free_secret(credentials->secret);
    free_secret(credentials->token);
    credentials->key_id = credentials->secret = credentials->token = NULL;
}

/* ---- open and close --------------------------------------------------------------------------
 */

enum status credentials_open(const struct credentials_options *options,
                             struct credentials **ret_credentials, struct problem *problem)
{
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (credentials == NULL)
        return problem_set(problem, STATUS_NO_MEMORY, "no memory for credentials");
    credentials->options = *options;
    enum status status =
        profile_open(options->world, options->profile, &credentials->profile, problem);
    if (status == STATUS_OK)
        status = credentials_pick(credentials, problem);
    if (status != STATUS_OK) {
        credentials_close(credentials);
        return status;
    }
    *ret_credentials = credentials;
    return STATUS_OK;
}

void credentials_close(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    if (credentials->out != NULL)
        credentials->out->credentials = NULL;
    credentials_close(credentials->source);
    profile_close(credentials->profile);
    forget(credentials);
    free(credentials);
}

/* ---- what comes ------------------------------------------------------------------------------
 */

bool credentials_take(struct credentials *credentials, const char *key_id, const char *secret,
                      const char *token, int64_t expires_ms)
{
    char *texts[3] = {strdup(key_id), strdup(secret), token != NULL ? strdup(token) : NULL};
    if (texts[0] == NULL || texts[1] == NULL || (token != NULL && texts[2] == NULL)) {
        for (int i = 0; i < 3; i++)
            free(texts[i]);
        return false;
    }
    forget(credentials);
    credentials->key_id = texts[0];
    credentials->secret = texts[1];
    credentials->token = texts[2];
    credentials->expires_ms = expires_ms;
    credentials->taken_ms = now_ms_of(credentials);
    return true;
}

static void end_fetch(struct credentials *credentials)
{
    credentials->fetching = false;
    credentials->tries = 0;
    if (!credentials->beginning)
        credentials->options.on_change(credentials->options.context);
}

static bool is_valid(const struct credentials *credentials)
{
    return credentials->key_id != NULL &&
           (credentials->expires_ms == 0 || now_ms_of(credentials) < credentials->expires_ms);
}

/* Shorter at first, since somebody waits for it if there are none. */
static int64_t pause_ms(const struct credentials *credentials)
{
    int64_t pause =
        credentials->failures < 6 ? FETCH_AGAIN_MS << credentials->failures : FETCH_AGAIN_MS_MAX;
    return pause < FETCH_AGAIN_MS_MAX ? pause : FETCH_AGAIN_MS_MAX;
}

void credentials_failed(struct credentials *credentials, bool may_help, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(credentials->sentence, sizeof credentials->sentence, format, arguments);
    va_end(arguments);
    if (may_help && ++credentials->tries < CREDENTIALS_TRIES) {
        credentials->again_ms = now_ms_of(credentials) + (TRY_AGAIN_MS << credentials->tries);
        return;
    }
    bool valid = is_valid(credentials);
    credentials->again_ms = now_ms_of(credentials) + pause_ms(credentials);
    credentials->failures++;
    world_log(credentials->options.world, valid ? 4 : 3, "aws_credentials", "%s%s",
              credentials->sentence, valid ? "; the old ones are used until they expire" : "");
    end_fetch(credentials);
}

/* Milliseconds since 1970; -1: it is no time. */
static int64_t time_ms(const char *text)
{
    struct tm tm = {0};
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec) != 6)
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return timegm(&tm) * INT64_C(1000);
}

/* By the clock of who gave them, if it says its time: this machine's may be wrong. */
static int64_t lifetime_ms(const struct credentials *credentials, const struct http_answer *answer,
                           const char *expiration)
{
    const struct world *world = credentials->options.world;
    int64_t date_s = fault_date_s(http_answer_header(answer, "Date"));
    int64_t now_ms = date_s >= 0 ? date_s * 1000 : world->wall_ms(world->context);
    int64_t lifetime = time_ms(expiration) - now_ms;
    /* While IMDS cannot renew them it gives the old ones, and services take them. */
    bool stale = credentials->kind == CREDENTIALS_OF_INSTANCE && lifetime <= 0;
    return stale ? STALE_INSTANCE_MS : lifetime;
}

void credentials_got(struct credentials *credentials, const struct http_answer *answer,
                     const char *key_id, const char *secret, const char *token,
                     const char *expiration)
{
    int64_t lifetime = 0;
    if (expiration != NULL && expiration[0] != '\0') {
        lifetime = lifetime_ms(credentials, answer, expiration);
        if (lifetime <= 0) {
            credentials_failed(credentials, false,
                               "%s: gave credentials that expired at %.40s; check its clock and "
                               "this machine's",
                               credentials->place, expiration);
            return;
        }
    }
    int64_t now_ms = now_ms_of(credentials);
    if (!credentials_take(credentials, key_id, secret, token,
                          lifetime > 0 ? now_ms + lifetime : 0)) {
        credentials_failed(credentials, false, "no memory for credentials");
        return;
    }
    credentials->failures = 0;
    credentials->again_ms = 0;
    world_log(credentials->options.world, 6, "aws_credentials", "access key %s of %s, for %lld s",
              key_id, credentials->place, (long long)lifetime / 1000);
    end_fetch(credentials);
}

/* ---- what they are now -----------------------------------------------------------------------
 */

static bool is_fetched(const struct credentials *credentials)
{
    return credentials->kind >= CREDENTIALS_OF_WEB_IDENTITY;
}

static void begin_fetch(struct credentials *credentials)
{
    assert(!credentials->fetching);
    credentials->fetching = true;
    credentials->beginning = true;
    credentials->again_ms = 0;
    credentials_fetch(credentials);
    credentials->beginning = false;
}

/* When new ones are to be fetched, monotonic: five minutes before, of short ones a third before. */
static int64_t old_at_ms(const struct credentials *credentials)
{
    if (credentials->key_id == NULL)
        return 0;
    if (credentials->expires_ms == 0)
        return INT64_MAX;
    int64_t third = (credentials->expires_ms - credentials->taken_ms) / 3;
    return credentials->expires_ms - (third < CREDENTIALS_RENEW_MS ? third : CREDENTIALS_RENEW_MS);
}

enum credentials_state credentials_get(struct credentials *credentials, struct sigv4_key *ret_key)
{
    int64_t now_ms = now_ms_of(credentials);
    if (is_fetched(credentials) && !credentials->fetching && now_ms >= old_at_ms(credentials) &&
        now_ms >= credentials->again_ms)
        begin_fetch(credentials);
    if (!is_valid(credentials))
        return credentials->fetching ? CREDENTIALS_COMING : CREDENTIALS_NONE;
    *ret_key = (struct sigv4_key){
        .access_key_id = credentials->key_id,
        .secret = credentials->secret,
        .session_token = credentials->token,
    };
    return CREDENTIALS_READY;
}

static bool is_other(const struct credentials *credentials, const char *key_id)
{
    return credentials->key_id != NULL && strcmp(credentials->key_id, key_id) != 0;
}

/* Who changes the files does not restart the engine. */
static void read_files_again(struct credentials *credentials)
{
    struct profile *profile;
    const char *name = credentials->options.profile;
    if (profile_open(credentials->options.world, name, &profile, NULL) != STATUS_OK)
        return;
    if (profile_value(profile, "aws_access_key_id") != NULL) {
        enum status status = credentials_take_files(credentials, profile, NULL);
        (void)status; /* of a file that is half written: the old ones stay */
    }
    profile_close(profile);
}

/* What was fetched just now and is refused would be refused again. */
static bool fetch_others(struct credentials *credentials)
{
    int64_t now_ms = now_ms_of(credentials);
    if (credentials->fetching)
        return true;
    if (now_ms < credentials->again_ms ||
        (credentials->key_id != NULL && now_ms - credentials->taken_ms < REFUSED_AGAIN_MS))
        return false;
    forget(credentials);
    begin_fetch(credentials);
    return credentials->fetching;
}

bool credentials_refuse(struct credentials *credentials, const char *access_key_id)
{
    if (is_other(credentials, access_key_id))
        return true;
    if (credentials->kind == CREDENTIALS_OF_FILES)
        read_files_again(credentials);
    if (is_fetched(credentials))
        return fetch_others(credentials);
    return is_other(credentials, access_key_id);
}

const char *credentials_place(const struct credentials *credentials)
{
    return credentials->place;
}

const char *credentials_sentence(const struct credentials *credentials)
{
    return credentials->sentence;
}

/* ---- turns -----------------------------------------------------------------------------------
 */

static int64_t nearer_ms(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* A try of a fetch that failed is made again. */
static int64_t turn_fetch(struct credentials *credentials, int64_t now_ms)
{
    if (!credentials->fetching || credentials->again_ms == 0)
        return -1;
    if (now_ms < credentials->again_ms)
        return credentials->again_ms - now_ms;
    credentials->again_ms = 0;
    credentials_fetch(credentials);
    return credentials->again_ms > 0 ? credentials->again_ms - now_ms : -1;
}

/* What was ever needed is renewed before it expires, needed now or not. */
static int64_t turn_renewal(struct credentials *credentials, int64_t now_ms)
{
    if (!is_fetched(credentials) || credentials->fetching || credentials->key_id == NULL ||
        credentials->expires_ms == 0)
        return -1;
    int64_t at_ms = old_at_ms(credentials);
    if (at_ms < credentials->again_ms)
        at_ms = credentials->again_ms;
    if (now_ms < at_ms)
        return at_ms - now_ms;
    begin_fetch(credentials);
    return credentials->again_ms > now_ms ? credentials->again_ms - now_ms : -1;
}

int64_t credentials_turn(struct credentials *credentials)
{
    int64_t in_ms = credentials->source != NULL ? credentials_turn(credentials->source) : -1;
    int64_t now_ms = now_ms_of(credentials);
    in_ms = nearer_ms(in_ms, turn_fetch(credentials, now_ms));
    return nearer_ms(in_ms, turn_renewal(credentials, now_ms));
}
