#include "engine/edge/http_sentence.h"

#include <stdio.h>

enum http_end http_ending_class(const struct http_ending *ending)
{
    if (ending->is_too_large)
        return HTTP_TOO_LARGE;
    if (ending->code == CURLE_OK)
        return HTTP_ANSWERED;
    if (!ending->is_sent)
        return HTTP_NOT_SENT;
    return ending->code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMED_OUT : HTTP_LOST;
}

#define SAY(...) (void)snprintf(ret_sentence, HTTP_SENTENCE_BYTES, __VA_ARGS__)

static void print_not_sent(const struct http_ending *ending, char *ret_sentence)
{
    const char *host = ending->host, *detail = ending->detail;
    if (ending->code == CURLE_COULDNT_RESOLVE_HOST)
        SAY("the name of %s is not found: correct the endpoint, or the name servers of this "
            "machine (%s)",
            host, detail);
    else if (ending->code == CURLE_COULDNT_RESOLVE_PROXY)
        SAY("the name of the proxy to %s is not found: correct http_proxy and https_proxy (%s)",
            host, detail);
    else if (ending->code == CURLE_COULDNT_CONNECT)
        SAY("%s takes no connection: see that it runs, and that port and firewall are right (%s)",
            host, detail);
    else if (ending->code == CURLE_PEER_FAILED_VERIFICATION)
        SAY("the certificate of %s is not trusted: have it mended, or name the file of its "
            "authority by ca_file or AWS_CA_BUNDLE (%s)",
            host, detail);
    else if (ending->code == CURLE_SSL_CACERT_BADFILE)
        SAY("the file of authorities for %s cannot be used: correct ca_file or AWS_CA_BUNDLE (%s)",
            host, detail);
    else if (ending->code == CURLE_SSL_CONNECT_ERROR)
        SAY("no TLS with %s: see that TLS is spoken at this port, in version 1.2 or later (%s)",
            host, detail);
    else if (ending->code == CURLE_OPERATION_TIMEDOUT)
        SAY("%s took no connection in time: see that it runs, and that port and firewall are "
            "right (%s)",
            host, detail);
    else
        SAY("the request was not sent to %s: %s", host, detail);
}

static void print_lost(const struct http_ending *ending, char *ret_sentence)
{
    const char *host = ending->host, *detail = ending->detail;
    if (ending->code == CURLE_ABORTED_BY_CALLBACK)
        detail = "it was closed when it had been kept for another request";
    if (ending->code == CURLE_UNSUPPORTED_PROTOCOL || ending->code == CURLE_WEIRD_SERVER_REPLY)
        SAY("%s answered what is no HTTP: correct the port of the endpoint (%s)", host, detail);
    else
        SAY("the connection to %s was lost before the whole answer was there; what was asked may "
            "have been done (%s)",
            host, detail);
}

void http_ending_print(const struct http_ending *ending, char ret_sentence[HTTP_SENTENCE_BYTES])
{
    switch (http_ending_class(ending)) {
    case HTTP_ANSWERED: SAY("%s", ""); break;
    case HTTP_NOT_SENT: print_not_sent(ending, ret_sentence); break;
    case HTTP_LOST: print_lost(ending, ret_sentence); break;
    case HTTP_TIMED_OUT:
        SAY("%s had not answered in full after %u ms; what was asked may have been done: see why "
            "it is slow, or give it more time",
            ending->host, ending->timeout_ms);
        break;
    case HTTP_TOO_LARGE:
        SAY("the answer of %s is larger than is allowed; what was asked was done: ask for less",
            ending->host);
        break;
    case HTTP_CANCELLED: break;
    }
}
