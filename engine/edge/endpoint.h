/*
 * endpoint: where a service of AWS's is asked, and in which region, and who said so.
 *
 *     endpoint: AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, `endpoint_url` of the configuration, the
 *               profile's services, the profile's endpoint_url, https://sqs.REGION.amazonaws.com
 *     region:   `region` of the configuration, AWS_REGION, AWS_DEFAULT_REGION, the profile's
 *
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true (or ignore_configured_endpoint_urls of the profile)
 * leaves out the variables and the profile. Where AWS_USE_FIPS_ENDPOINT (use_fips_endpoint) is true
 * AWS's own endpoints are refused: the FIPS ones have to be named, since each service's is another.
 *
 * Threads: one owner. Memory: the caller's; it borrows all that it is told.
 */
#ifndef ENGINE_EDGE_ENDPOINT_H
#define ENGINE_EDGE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"
#include "engine/edge/profile.h"
#include "engine/edge/world.h"

#define ENDPOINT_URL_BYTES    512u
#define ENDPOINT_REGION_BYTES 64u

struct endpoint_book {
    const struct world *world;
    const struct profile *profile;
    const char *region, *endpoint_url; /* of the configuration; NULL: not said */
};

struct endpoint {
    char url[ENDPOINT_URL_BYTES]; /* without a '/' at its end */
    const char *from;             /* "AWS_ENDPOINT_URL_SQS"; of AWS's own "the region" */
};

/* "" if none is known; `ret_from` (may be NULL): who says so. */
const char *endpoint_region(const struct endpoint_book *book, const char **ret_from);
/* STATUS_INVALID: what is said is no URL; no region is given and AWS's own endpoint is needed, or
 * one of FIPS is. */
NODISCARD enum status endpoint_find(const struct endpoint_book *book, const char *service,
                                    const char *region, struct endpoint *ret_endpoint,
                                    struct problem *problem);
/* Whether anybody but the region says it. */
bool endpoint_is_said(const struct endpoint_book *book, const char *service);
/* The region in the name of an endpoint of AWS's, "sqs.eu-west-1.amazonaws.com"; false: it has
 * none. */
bool endpoint_region_of_host(const char *host, size_t host_bytes,
                             char ret_region[ENDPOINT_REGION_BYTES]);

#endif
