#include "engine/edge/endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/edge/url.h"

const char *endpoint_region(const struct endpoint_book *book, const char **ret_from)
{
    const struct {
        const char *region, *from;
    } said[] = {
        {book->region, "the configuration's \"region\""},
        {world_variable(book->world, "AWS_REGION"), "AWS_REGION"},
        {world_variable(book->world, "AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION"},
        {profile_value(book->profile, "region"), profile_place(book->profile)},
    };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (said[i].region != NULL) {
            if (ret_from != NULL)
                *ret_from = said[i].from;
            return said[i].region;
        }
    if (ret_from != NULL)
        *ret_from = "";
    return "";
}

static bool is_true(const char *value)
{
    return value != NULL && strcasecmp(value, "true") == 0;
}

static bool is_ignored(const struct endpoint_book *book)
{
    return is_true(world_variable(book->world, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) ||
           is_true(profile_value(book->profile, "ignore_configured_endpoint_urls"));
}

static bool needs_fips(const struct endpoint_book *book)
{
    return is_true(world_variable(book->world, "AWS_USE_FIPS_ENDPOINT")) ||
           is_true(profile_value(book->profile, "use_fips_endpoint"));
}

static const char *service_variable(const struct world *world, const char *service)
{
    char name[64];
    int bytes = snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", service);
    if (bytes >= (int)sizeof name)
        return NULL;
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '-' || *at == ' ' ? '_' : (char)toupper((unsigned char)*at);
    return world_variable(world, name);
}

static const char *said_url(const struct endpoint_book *book, const char *service,
                            const char **ret_from)
{
    bool ignored = is_ignored(book);
    const struct {
        const char *url, *from;
        bool ignored;
    } said[] = {
        {service_variable(book->world, service), "AWS_ENDPOINT_URL_… of the service", ignored},
        {world_variable(book->world, "AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL", ignored},
        {book->endpoint_url, "the configuration's \"endpoint_url\"", false},
        {profile_service_url(book->profile, service), profile_place(book->profile), ignored},
        {profile_value(book->profile, "endpoint_url"), profile_place(book->profile), ignored},
    };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (said[i].url != NULL && !said[i].ignored) {
            *ret_from = said[i].from;
            return said[i].url;
        }
    return NULL;
}

static enum status take_url(const char *url, const char *service, struct endpoint *endpoint,
                            struct problem *problem)
{
    struct url parts;
    size_t bytes = strlen(url);
    char shown[URL_SHOWN_BYTES];
    url_show(url, shown);
    if (bytes >= sizeof endpoint->url || !url_split(url, &parts) || parts.query_bytes > 0)
        return problem_set(problem, STATUS_INVALID,
                           "the endpoint of %s, \"%s\" (from %s), is no URL; write it as "
                           "http://HOST:PORT or https://HOST",
                           service, shown, endpoint->from);
    while (bytes > 0 && url[bytes - 1] == '/')
        bytes--;
    memcpy(endpoint->url, url, bytes);
    endpoint->url[bytes] = '\0';
    return STATUS_OK;
}

static bool is_region(const char *region)
{
    size_t bytes = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return bytes > 0 && bytes < ENDPOINT_REGION_BYTES && region[bytes] == '\0';
}

enum status endpoint_find(const struct endpoint_book *book, const char *service, const char *region,
                          struct endpoint *ret_endpoint, struct problem *problem)
{
    struct endpoint endpoint = {.from = "the region"};
    const char *url = said_url(book, service, &endpoint.from);
    char own[ENDPOINT_URL_BYTES];
    if (url == NULL && region[0] == '\0')
        return problem_set(problem, STATUS_INVALID,
                           "no region is known for %s: set \"region\" in the section \"aws\" of "
                           "the edges' file, AWS_REGION, or region in %s",
                           service, profile_place(book->profile));
    if (url == NULL && !is_region(region))
        return problem_set(problem, STATUS_INVALID,
                           "\"%.64s\" is no region of AWS; one is named like eu-central-1", region);
    if (url == NULL && needs_fips(book))
        return problem_set(problem, STATUS_INVALID,
                           "AWS_USE_FIPS_ENDPOINT (or use_fips_endpoint) is set: name the FIPS "
                           "endpoint of %s by AWS_ENDPOINT_URL_… or endpoint_url",
                           service);
    if (url == NULL) {
        bool china = strncmp(region, "cn-", 3) == 0;
        snprintf(own, sizeof own, "https://%s.%s.amazonaws.com%s", service, region,
                 china ? ".cn" : "");
        url = own;
    }
    enum status status = take_url(url, service, &endpoint, problem);
    if (status == STATUS_OK)
        *ret_endpoint = endpoint;
    return status;
}

bool endpoint_is_said(const struct endpoint_book *book, const char *service)
{
    const char *from;
    return said_url(book, service, &from) != NULL;
}

bool endpoint_region_of_host(const char *host, size_t host_bytes,
                             char ret_region[ENDPOINT_REGION_BYTES])
{
    const char *dot = memchr(host, '.', host_bytes);
    if (dot == NULL)
        return false;
    const char *region = dot + 1;
    size_t left = host_bytes - (size_t)(region - host);
    const char *end = memchr(region, '.', left);
    if (end == NULL || end - region >= (ptrdiff_t)ENDPOINT_REGION_BYTES)
        return false;
    size_t rest = left - (size_t)(end - region);
    bool is_aws = (rest == 14 && memcmp(end, ".amazonaws.com", 14) == 0) ||
                  (rest == 17 && memcmp(end, ".amazonaws.com.cn", 17) == 0);
    if (!is_aws)
        return false;
    memcpy(ret_region, region, (size_t)(end - region));
    ret_region[end - region] = '\0';
    return true;
}
