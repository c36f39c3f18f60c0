#include "engine/edge/sql_names.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libpq-fe.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/thread.h"

#define FRESH_MS   1000
#define LIST_BYTES 16384u

/* Who comes last, the thread that asks or the close, frees. */
enum names_asking { NAMES_ASKED, NAMES_ANSWERED, NAMES_CLOSED };

struct names_list {
    char text[LIST_BYTES];
    size_t count;
};

struct sql_names {
    uint32_t hosts_count; /* 0: all is left to libpq */
    char *hosts_text, *ports_text;
    const char *hosts[SQL_NAMES_MAX], *ports[SQL_NAMES_MAX];
    struct addrinfo hints;
    /* The asking thread's from is_asking to NAMES_ANSWERED. */
    struct addrinfo *found[SQL_NAMES_MAX];
    int errors[SQL_NAMES_MAX];
    _Atomic enum names_asking asking;
    bool is_asking, is_known;
    int64_t known_at_ms;
    struct names_list host, hostaddr, port;
    char reason[512];
};

/* ---- what the url says -------------------------------------------------------------------------
 */

static bool is_name(const char *host)
{
    struct in6_addr address;
    return *host && *host != '/' && *host != '@' && inet_pton(AF_INET, host, &address) != 1 &&
           inet_pton(AF_INET6, host, &address) != 1;
}

/* Cuts `text` at its commas. More than SQL_NAMES_MAX: one more than that. */
static uint32_t cut(char *text, const char **ret_items)
{
    uint32_t count = 0;
    for (char *item; (item = strsep(&text, ","));) {
        if (count == SQL_NAMES_MAX)
            return count + 1;
        ret_items[count++] = item;
    }
    return count;
}

static const char *option_of(const PQconninfoOption *options, const char *name)
{
    while (options->keyword && strcmp(options->keyword, name) != 0)
        options++;
    return options->keyword && options->val ? options->val : "";
}

/* libpq refuses as many ports as hosts unless it is one for all; that is left to it. */
static enum status take_hosts(struct sql_names *names, const PQconninfoOption *options,
                              struct problem *problem)
{
    names->hosts_text = strdup(option_of(options, "host"));
    names->ports_text = strdup(option_of(options, "port"));
    assert(names->hosts_text && names->ports_text);
    uint32_t hosts = cut(names->hosts_text, names->hosts);
    uint32_t ports = cut(names->ports_text, names->ports);
    if (hosts > SQL_NAMES_MAX || ports > SQL_NAMES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "sql.url: has more than %u hosts",
                           SQL_NAMES_MAX);
    bool has_name = false;
    for (uint32_t i = 0; i < hosts; i++) {
        has_name |= is_name(names->hosts[i]);
        names->ports[i] = ports == 1 ? names->ports[0] : names->ports[i];
    }
    if (has_name && !*option_of(options, "hostaddr") && (ports == 1 || ports == hosts))
        names->hosts_count = hosts;
    return STATUS_OK;
}

enum status sql_names_open(const char *url, struct sql_names **ret_names, struct problem *problem)
{
    struct sql_names *names = calloc(1, sizeof *names);
    if (!names)
        return problem_set(problem, STATUS_NO_MEMORY, "sql: no memory for the names of hosts");
    names->hints = (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    assert(options);
    enum status status = take_hosts(names, options, problem);
    PQconninfoFree(options);
    if (status == STATUS_OK)
        *ret_names = names;
    else
        sql_names_close(names);
    return status;
}

static void names_free(struct sql_names *names)
{
    for (uint32_t i = 0; i < names->hosts_count; i++)
        if (names->found[i] != NULL)
            freeaddrinfo(names->found[i]);
    free(names->hosts_text);
    free(names->ports_text);
    free(names);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static void *look_up(void *context)
{
    struct sql_names *names = context;
    for (uint32_t i = 0; i < names->hosts_count; i++)
        if (is_name(names->hosts[i]))
            names->errors[i] = getaddrinfo(names->hosts[i], NULL, &names->hints, &names->found[i]);
    if (atomic_exchange(&names->asking, NAMES_ANSWERED) == NAMES_CLOSED)
        names_free(names);
    return NULL;
}

static void ask(struct sql_names *names)
{
    memset(names->found, 0, sizeof names->found);
    memset(names->errors, 0, sizeof names->errors);
    atomic_store(&names->asking, NAMES_ASKED);
    names->is_known = false;
    pthread_t thread;
    int error = thread_start(&thread, "fly-names", NULL, look_up, names);
    names->is_asking = error == 0;
    /* Nobody waits for it. */
    if (names->is_asking)
        pthread_detach(thread);
    if (!names->is_asking)
        snprintf(names->reason, sizeof names->reason, "no thread to ask for the host's name: %s",
                 strerror(error));
}

/* ---- what was answered -------------------------------------------------------------------------
 */

/* What does not fit any more is left out of all lists, by the caller. */
static bool has_room(const struct names_list *list, const char *item)
{
    return list->count + strlen(item) + 2 < sizeof list->text;
}

static void put(struct names_list *list, const char *item, bool is_first)
{
    list->count += (size_t)snprintf(list->text + list->count, sizeof list->text - list->count,
                                    "%s%s", is_first ? "" : ",", item);
}

static void put_one(struct sql_names *names, uint32_t host, const char *address)
{
    bool is_first = names->host.count == 0;
    if (!has_room(&names->host, names->hosts[host]) || !has_room(&names->hostaddr, address) ||
        !has_room(&names->port, names->ports[host]))
        return;
    put(&names->host, names->hosts[host], is_first);
    put(&names->hostaddr, address, is_first);
    put(&names->port, names->ports[host], is_first);
}

static void put_addresses(struct sql_names *names, uint32_t host)
{
    struct addrinfo *found = names->found[host];
    uint32_t count = 0;
    for (struct addrinfo *at = found; at && count < SQL_ADDRESSES_MAX; at = at->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) !=
            0)
            continue;
        put_one(names, host, text);
        count++;
    }
    if (found)
        freeaddrinfo(found);
    names->found[host] = NULL;
}

static void take_answers(struct sql_names *names, int64_t now_ms)
{
    names->is_asking = false;
    names->host.count = names->hostaddr.count = names->port.count = 0;
    for (uint32_t i = 0; i < names->hosts_count; i++) {
        int error = names->errors[i];
        if (error)
            snprintf(names->reason, sizeof names->reason,
                     "host \"%.200s\" has no address: %s; mend the url, or the name server of this "
                     "machine",
                     names->hosts[i], gai_strerror(error));
        else if (is_name(names->hosts[i]))
            put_addresses(names, i);
        else
            put_one(names, i,
                    *names->hosts[i] == '/' || *names->hosts[i] == '@' ? "" : names->hosts[i]);
    }
    names->is_known = names->host.count > 0;
    names->known_at_ms = now_ms;
}

enum sql_names_end sql_names_ask(struct sql_names *names, int64_t now_ms,
                                 struct sql_addresses *ret_addresses, const char **ret_reason)
{
    *ret_addresses = (struct sql_addresses){0};
    if (names->hosts_count == 0)
        return SQL_NAMES_FOUND;
    bool is_fresh = names->is_known && now_ms - names->known_at_ms < FRESH_MS;
    if (!names->is_asking && !is_fresh) {
        ask(names);
        *ret_reason = names->reason;
        return names->is_asking ? SQL_NAMES_WAIT : SQL_NAMES_FAILED;
    }
    if (names->is_asking && atomic_load(&names->asking) == NAMES_ASKED)
        return SQL_NAMES_WAIT;
    if (names->is_asking)
        take_answers(names, now_ms);
    *ret_reason = names->reason;
    *ret_addresses = (struct sql_addresses){
        .host = names->host.text, .hostaddr = names->hostaddr.text, .port = names->port.text};
    return names->is_known ? SQL_NAMES_FOUND : SQL_NAMES_FAILED;
}

void sql_names_close(struct sql_names *names)
{
    if (!names)
        return;
    if (names->is_asking && atomic_exchange(&names->asking, NAMES_CLOSED) == NAMES_ASKED)
        return; /* it is still being written to */
    names_free(names);
}
