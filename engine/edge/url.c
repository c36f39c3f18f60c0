#include "engine/edge/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool strip_scheme(const char **at, bool *ret_tls)
{
    if (strncasecmp(*at, "https://", 8) == 0) {
        *at += 8;
        *ret_tls = true;
        return true;
    }
    if (strncasecmp(*at, "http://", 7) == 0) {
        *at += 7;
        *ret_tls = false;
        return true;
    }
    return false;
}

static bool is_all_printable(const char *at)
{
    for (; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '#')
            return false;
    return true;
}

/* HTTP's clients leave the port out of the Host header if it is the scheme's own. */
static size_t without_own_port(const char *host, size_t bytes, bool tls)
{
    const char *port = tls ? ":443" : ":80";
    size_t port_bytes = strlen(port);
    if (bytes > port_bytes && memcmp(host + bytes - port_bytes, port, port_bytes) == 0)
        return bytes - port_bytes;
    return bytes;
}

bool url_split(const char *text, struct url *ret_url)
{
    const char *at = text;
    struct url url = {0};
    if (!strip_scheme(&at, &url.tls) || !is_all_printable(at))
        return false;
    url.host = at;
    at += strcspn(at, "/?");
    size_t host_bytes = (size_t)(at - url.host);
    if (memchr(url.host, '@', host_bytes) != NULL)
        return false;
    url.host_bytes = without_own_port(url.host, host_bytes, url.tls);
    url.path = at;
    url.path_bytes = strcspn(at, "?");
    at += url.path_bytes;
    url.query = *at == '?' ? at + 1 : at;
    url.query_bytes = strlen(url.query);
    if (url.host_bytes == 0 || url.host[0] == ':')
        return false;
    *ret_url = url;
    return true;
}

size_t url_origin_bytes(const char *url)
{
    const char *host = strstr(url, "://");
    if (host == NULL)
        return 0;
    host += 3;
    return (size_t)(host - url) + strcspn(host, "/?");
}

void url_show(const char *url, char ret_text[URL_SHOWN_BYTES])
{
    size_t end = strcspn(url, "?#");
    const char *host = strstr(url, "://");
    /* What has no host by its form may have a user anywhere. */
    bool has_host = host != NULL && (size_t)(host - url) < end;
    size_t scheme = has_host ? (size_t)(host - url) + 3 : 0;
    size_t host_end = has_host ? scheme + strcspn(url + scheme, "/?#") : end;
    size_t from = host_end;
    while (from > scheme && url[from - 1] != '@')
        from--;
    (void)snprintf(ret_text, URL_SHOWN_BYTES, "%.*s%.*s", (int)scheme, url, (int)(end - from),
                   url + from);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

size_t url_encode(const char *text, size_t bytes, bool slashes, char *ret_text, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = is_unreserved(text[i]) || (slashes && c == '/');
        char piece[3] = {plain ? text[i] : '%', digits[c >> 4], digits[c & 15]};
        for (size_t k = 0; k < (plain ? 1u : 3u); k++, count++)
            if (count + 1 < room)
                ret_text[count] = piece[k];
    }
    if (room > 0)
        ret_text[count < room ? count : room - 1] = '\0';
    return count;
}
