#include "engine/edge/fault.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/edge/xml.h"

#define RAW_NAME_BYTES 512u

/* ---- the name --------------------------------------------------------------------------------
 */

/* "com.amazonaws.sqs#QueueDoesNotExist", "AccessDeniedException:http://…",
 * "AWS.SimpleQueueService.NonExistentQueue;Sender": the word. */
static void take_name(struct fault *fault, const char *raw)
{
    if (fault->name[0] != '\0' || raw == NULL)
        return;
    const char *hash = strchr(raw, '#');
    const char *name = hash != NULL ? hash + 1 : raw;
    size_t bytes = strcspn(name, ":;");
    for (size_t i = bytes; i > 0; i--)
        if (name[i - 1] == '.') {
            name += i;
            bytes -= i;
            break;
        }
    snprintf(fault->name, sizeof fault->name, "%.*s", (int)bytes, name);
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void take_message(struct fault *fault, const json_t *json)
{
    static const char *const keys[] = {"message", "Message", "errorMessage"};
    for (size_t i = 0; i < 3 && fault->message[0] == '\0'; i++) {
        const char *text = text_of(json, keys[i]);
        if (text != NULL)
            snprintf(fault->message, sizeof fault->message, "%s", text);
    }
}

static void read_json(struct fault *fault, const json_t *json)
{
    take_name(fault, text_of(json, "__type"));
    take_name(fault, text_of(json, "code"));
    take_name(fault, text_of(json, "Code"));
    take_message(fault, json);
    const json_t *error = json_object_get(json, "Error");
    take_name(fault, text_of(error, "Code"));
    take_message(fault, error);
}

static void read_xml(struct fault *fault, const struct http_answer *answer)
{
    char code[RAW_NAME_BYTES];
    struct xml_wanted wanted[] = {
        {"Code", code, sizeof code},
        {"Message", fault->message, sizeof fault->message},
    };
    if (xml_read(answer->body, answer->body_bytes, wanted, 2))
        take_name(fault, code);
}

static void name_by_status(struct fault *fault, const struct http_answer *answer)
{
    if (fault->name[0] == '\0')
        snprintf(fault->name, sizeof fault->name, "Http%d", answer->status);
    if (fault->message[0] == '\0')
        snprintf(fault->message, sizeof fault->message, "HTTP status %d%s%.200s", answer->status,
                 answer->body_bytes > 0 ? ": " : " and nothing else",
                 answer->body_bytes > 0 ? answer->body : "");
}

/* ---- the kind --------------------------------------------------------------------------------
 */

struct known {
    const char *name;
    enum fault_kind kind;
};

static const struct known known[] = {
    {"AccessDenied", FAULT_DENIED},
    {"AccessDeniedException", FAULT_DENIED},
    {"AuthFailure", FAULT_KEY},
    {"AuthorizationError", FAULT_DENIED},
    {"AuthorizationErrorException", FAULT_DENIED},
    {"BandwidthLimitExceeded", FAULT_THROTTLED},
    {"EC2ThrottledException", FAULT_THROTTLED},
    {"ExpiredToken", FAULT_EXPIRED},
    {"ExpiredTokenException", FAULT_EXPIRED},
    {"IDPCommunicationError", FAULT_TRANSIENT},
    {"IncompleteSignature", FAULT_KEY},
    {"IncompleteSignatureException", FAULT_KEY},
    {"InternalError", FAULT_TRANSIENT},
    {"InternalFailure", FAULT_TRANSIENT},
    {"InternalServerError", FAULT_TRANSIENT},
    {"InvalidAccessKeyId", FAULT_KEY},
    {"InvalidClientTokenId", FAULT_KEY},
    {"InvalidSecurity", FAULT_KEY},
    {"InvalidSignatureException", FAULT_KEY},
    {"KMSThrottlingException", FAULT_THROTTLED},
    {"KmsThrottled", FAULT_THROTTLED},
    {"LimitExceededException", FAULT_THROTTLED},
    {"MissingAuthenticationToken", FAULT_KEY},
    {"MissingAuthenticationTokenException", FAULT_KEY},
    {"NotAuthorized", FAULT_DENIED},
    {"PriorRequestNotComplete", FAULT_THROTTLED},
    {"ProvisionedThroughputExceededException", FAULT_THROTTLED},
    {"RequestExpired", FAULT_SKEWED},
    {"RequestInTheFuture", FAULT_SKEWED},
    {"RequestLimitExceeded", FAULT_THROTTLED},
    {"RequestThrottled", FAULT_THROTTLED},
    {"RequestThrottledException", FAULT_THROTTLED},
    {"RequestTimeTooSkewed", FAULT_SKEWED},
    {"RequestTimeout", FAULT_TRANSIENT},
    {"RequestTimeoutException", FAULT_TRANSIENT},
    {"ServiceUnavailable", FAULT_TRANSIENT},
    {"ServiceUnavailableException", FAULT_TRANSIENT},
    {"SignatureDoesNotMatch", FAULT_KEY},
    {"SlowDown", FAULT_THROTTLED},
    {"ThrottledException", FAULT_THROTTLED},
    {"Throttling", FAULT_THROTTLED},
    {"ThrottlingException", FAULT_THROTTLED},
    {"TokenRefreshRequired", FAULT_EXPIRED},
    {"TooManyRequestsException", FAULT_THROTTLED},
    {"TransactionInProgressException", FAULT_TRANSIENT},
    {"UnauthorizedOperation", FAULT_DENIED},
    {"UnrecognizedClientException", FAULT_KEY},
};

static enum fault_kind kind_of(const struct fault *fault, int status)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(fault->name, known[i].name) == 0)
            return known[i].kind;
    if (status == 429)
        return FAULT_THROTTLED;
    bool transient = status == 500 || status == 502 || status == 503 || status == 504;
    return transient ? FAULT_TRANSIENT : FAULT_FINAL;
}

void fault_read(const struct http_answer *answer, const json_t *json, struct fault *ret_fault)
{
    struct fault fault = {0};
    take_name(&fault, http_answer_header(answer, "x-amzn-ErrorType"));
    if (json != NULL)
        read_json(&fault, json);
    else
        read_xml(&fault, answer);
    take_name(&fault, http_answer_header(answer, "x-amzn-query-error"));
    name_by_status(&fault, answer);
    fault.kind = kind_of(&fault, answer->status);
    *ret_fault = fault;
}

/* ---- the sentence ----------------------------------------------------------------------------
 */

__attribute__((format(printf, 2, 3))) static void add(struct fault *fault, const char *format, ...)
{
    size_t bytes = strlen(fault->message);
    while (bytes > 0 && strchr(". \n", fault->message[bytes - 1]) != NULL)
        bytes--;
    int joined = snprintf(fault->message + bytes, sizeof fault->message - bytes, "%s",
                          bytes > 0 ? "; " : "");
    bytes += (size_t)joined;
    if (bytes >= sizeof fault->message)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->message + bytes, sizeof fault->message - bytes, format, arguments);
    va_end(arguments);
}

static bool is_of_region(const struct fault *fault)
{
    return strstr(fault->message, "valid region") != NULL ||
           strstr(fault->message, "region '") != NULL ||
           strcmp(fault->name, "AuthorizationHeaderMalformed") == 0 ||
           strcmp(fault->name, "PermanentRedirect") == 0;
}

static void advise_key(struct fault *fault, const struct fault_place *place)
{
    bool of_secret = strcmp(fault->name, "SignatureDoesNotMatch") == 0 ||
                     strcmp(fault->name, "InvalidSignatureException") == 0;
    if (of_secret)
        add(fault,
            "the secret key used with access key %s (from %s) is not the one that belongs to it, "
            "or a proxy before %s changes requests: set both again from the same place",
            place->access_key_id, place->credentials_place, place->url);
    else
        add(fault,
            "access key %s (from %s) is not known or not active at %s: check that it was not "
            "deleted, belongs to this partition of AWS, and that its session token, if it has "
            "one, is set with it",
            place->access_key_id, place->credentials_place, place->url);
}

void fault_advise(struct fault *fault, const struct fault_place *place)
{
    bool about_access = fault->kind == FAULT_KEY || fault->kind == FAULT_FINAL;
    if (about_access && is_of_region(fault))
        add(fault,
            "the request was signed for region %s (from %s) and sent to %s (from %s): make the "
            "region that of the endpoint",
            place->region, place->region_from, place->url, place->endpoint_from);
    else if (fault->kind == FAULT_KEY)
        advise_key(fault, place);
    else if (fault->kind == FAULT_EXPIRED)
        add(fault, "the session of access key %s (from %s) is over: set new credentials there",
            place->access_key_id, place->credentials_place);
    else if (fault->kind == FAULT_DENIED)
        add(fault,
            "the identity of access key %s (from %s) is not allowed this by %s in %s: allow it in "
            "its IAM policy or the resource's, or use other credentials",
            place->access_key_id, place->credentials_place, place->service, place->region);
}

int64_t fault_date_s(const char *date)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    char month[4];
    if (date == NULL || sscanf(date, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month,
                               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
        return -1;
    const char *found = strstr(months, month);
    if (found == NULL || (found - months) % 3 != 0)
        return -1;
    tm.tm_mon = (int)((found - months) / 3);
    tm.tm_year -= 1900;
    return timegm(&tm);
}
