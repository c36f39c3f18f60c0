#include "engine/net/access.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/hex.h"

#define LINE_BYTES_MAX 2048u
#define BLANKS         " \t\r\n"
#define TOKEN_PREFIX   "fly_"

struct entry {
    struct access_grant grant;
    uint8_t hash[ACCESS_HASH_BYTES];
};

struct access {
    char file[PATH_MAX];
    uint32_t count;
    struct entry *entries;
};

/* ---- a line -------------------------------------------------------------------------------------
 */

static bool is_name(const char *text, size_t bytes, size_t bytes_max)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@";
    return bytes > 0 && bytes <= bytes_max && strspn(text, letters) >= bytes;
}

static bool read_digit(char text, uint8_t *digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = text == '\0' ? NULL : strchr(digits, text | 0x20);
    if (found == NULL)
        return false;
    *digit = (uint8_t)(found - digits);
    return true;
}

static bool read_hash(const char *text, uint8_t hash[ACCESS_HASH_BYTES])
{
    uint8_t high, low;
    if (strlen(text) != 2 * ACCESS_HASH_BYTES)
        return false;
    for (uint32_t i = 0; i < ACCESS_HASH_BYTES; i++) {
        if (!read_digit(text[2 * i], &high) || !read_digit(text[2 * i + 1], &low))
            return false;
        hash[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* "email,shipping", or "*" for any. */
static bool read_services(const char *text, struct access_grant *grant)
{
    if (strcmp(text, "*") == 0)
        return true;
    for (;;) {
        size_t bytes = strcspn(text, ",");
        if (grant->services_count == ACCESS_SERVICES_MAX ||
            !is_name(text, bytes, FLYOVER_NAME_BYTES_MAX))
            return false;
        memcpy(grant->services[grant->services_count++], text, bytes);
        if (text[bytes] == '\0')
            return true;
        text += bytes + 1;
    }
}

static bool read_role(const char *text, struct access_grant *grant)
{
    static const char worker[] = "worker:";
    if (strcmp(text, "client") == 0)
        grant->role = ACCESS_CLIENT;
    else if (strcmp(text, "operator") == 0)
        grant->role = ACCESS_OPERATOR;
    else if (strncmp(text, worker, strlen(worker)) == 0)
        grant->role = ACCESS_WORKER;
    return grant->role == ACCESS_WORKER ? read_services(text + strlen(worker), grant)
                                        : grant->role != ACCESS_NONE;
}

/* What is wrong with the line, or NULL. */
static const char *read_line(char *line, struct entry *entry)
{
    char *rest = NULL;
    const char *name = strtok_r(line, BLANKS, &rest);
    const char *role = strtok_r(NULL, BLANKS, &rest);
    const char *hash = strtok_r(NULL, BLANKS, &rest);
    if (hash == NULL || strtok_r(NULL, BLANKS, &rest) != NULL)
        return "a line is NAME ROLE SHA-256";
    *entry = (struct entry){0};
    if (!is_name(name, strlen(name), ACCESS_NAME_BYTES_MAX))
        return "a name has 1 to 64 letters, digits, '-', '_', '.', '@'";
    strcpy(entry->grant.name, name);
    if (!read_role(role, &entry->grant))
        return "a role is client, operator, worker:* or worker: and up to 16 services with commas "
               "between them";
    if (!read_hash(hash, entry->hash))
        return "the last word is the SHA-256 of the token, 64 hexadecimal digits: `flyover token` "
               "makes both";
    return NULL;
}

/* ---- the file -----------------------------------------------------------------------------------
 */

static enum status add_line(struct access *access, char *line, uint32_t line_no,
                            struct problem *problem)
{
    line[strcspn(line, "#")] = '\0';
    if (line[strspn(line, BLANKS)] == '\0')
        return STATUS_OK;
    if (access->count == ACCESS_TOKENS_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "%s:%u: there are more than %u tokens",
                           access->file, line_no, ACCESS_TOKENS_MAX);
    const char *wrong = read_line(line, &access->entries[access->count]);
    if (wrong != NULL)
        return problem_set(problem, STATUS_INVALID, "%s:%u: %s", access->file, line_no, wrong);
    access->count++;
    return STATUS_OK;
}

static enum status read_lines(struct access *access, FILE *file, struct problem *problem)
{
    char line[LINE_BYTES_MAX];
    enum status status = STATUS_OK;
    for (uint32_t line_no = 1; status == STATUS_OK && fgets(line, sizeof line, file) != NULL;
         line_no++) {
        if (strlen(line) == sizeof line - 1)
            return problem_set(problem, STATUS_INVALID, "%s:%u: the line is too long", access->file,
                               line_no);
        status = add_line(access, line, line_no, problem);
    }
    if (status == STATUS_OK && ferror(file))
        status = problem_set(problem, STATUS_IO, "%s cannot be read", access->file);
    return status;
}

static enum status check_mode(const struct access *access, FILE *file, struct problem *problem)
{
    struct stat found;
    if (fstat(fileno(file), &found) != 0)
        return problem_set(problem, STATUS_IO, "%s: %s", access->file, strerror(errno));
    if ((found.st_mode & S_IRWXO) != 0)
        return problem_set(problem, STATUS_NO_PERMISSION,
                           "%s may be read by everybody: chmod o= it", access->file);
    return STATUS_OK;
}

static enum status refuse_open(const struct access *access, struct problem *problem)
{
    enum status status = STATUS_IO;
    if (errno == ENOENT)
        status = STATUS_NOT_FOUND;
    else if (errno == EACCES)
        status = STATUS_NO_PERMISSION;
    return problem_set(problem, status, "the file of tokens %s cannot be opened: %s", access->file,
                       strerror(errno));
}

static enum status read_file(struct access *access, struct problem *problem)
{
    FILE *file = fopen(access->file, "re");
    if (file == NULL)
        return refuse_open(access, problem);
    enum status status = check_mode(access, file, problem);
    if (status == STATUS_OK)
        status = read_lines(access, file, problem);
    fclose(file);
    return status;
}

enum status access_open(const char *file, struct access **ret_access, struct problem *problem)
{
    struct access *access = calloc(1, sizeof *access);
    if (access != NULL)
        access->entries = calloc(ACCESS_TOKENS_MAX, sizeof *access->entries);
    enum status status;
    if (access == NULL || access->entries == NULL)
        status = problem_set(problem, STATUS_NO_MEMORY, "out of memory");
    else if ((size_t)snprintf(access->file, sizeof access->file, "%s", file) >= sizeof access->file)
        status = problem_set(problem, STATUS_INVALID, "the path of the file of tokens is too long");
    else
        status = read_file(access, problem);
    if (status != STATUS_OK) {
        access_close(access);
        return status;
    }
    *ret_access = access;
    return STATUS_OK;
}

enum status access_reload(struct access *access, struct problem *problem)
{
    struct access *again;
    enum status status = access_open(access->file, &again, problem);
    if (status != STATUS_OK)
        return status;
    struct access before = *access;
    *access = *again;
    *again = before;
    access_close(again);
    return STATUS_OK;
}

void access_close(struct access *access)
{
    if (access != NULL)
        free(access->entries);
    free(access);
}

/* ---- asking -------------------------------------------------------------------------------------
 */

const struct access_grant *access_find(const struct access *access, struct flyover_bytes token)
{
    uint8_t hash[ACCESS_HASH_BYTES];
    const struct access_grant *found = NULL;
    SHA256(token.at, token.count, hash);
    for (uint32_t i = 0; i < access->count; i++)
        if (CRYPTO_memcmp(hash, access->entries[i].hash, sizeof hash) == 0)
            found = &access->entries[i].grant;
    return found;
}

bool access_may_serve(const struct access_grant *grant, const char *service)
{
    if (grant->role != ACCESS_WORKER || grant->services_count == 0)
        return grant->role == ACCESS_WORKER || grant->role == ACCESS_OPERATOR;
    for (uint32_t i = 0; i < grant->services_count; i++)
        if (strcmp(grant->services[i], service) == 0)
            return true;
    return false;
}

/* ---- making -------------------------------------------------------------------------------------
 */

/* Bytes of 248 and more are drawn again, so that each digit is as likely as the others. */
static bool draw_digit(char *digit)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t drawn;
    do
        if (RAND_bytes(&drawn, 1) != 1)
            return false;
    while (drawn >= 248);
    *digit = digits[drawn % 62];
    return true;
}

static bool draw_token(char ret_token[ACCESS_TOKEN_BYTES + 1])
{
    strcpy(ret_token, TOKEN_PREFIX);
    for (uint32_t i = sizeof TOKEN_PREFIX - 1; i < ACCESS_TOKEN_BYTES; i++)
        if (!draw_digit(&ret_token[i]))
            return false;
    ret_token[ACCESS_TOKEN_BYTES] = '\0';
    return true;
}

static void print_hash(const char *token, char ret_text[2 * ACCESS_HASH_BYTES + 1])
{
    uint8_t hash[ACCESS_HASH_BYTES];
    SHA256((const uint8_t *)token, strlen(token), hash);
    ret_text[hex_write(hash, sizeof hash, ret_text)] = '\0';
}

enum status access_make(const char *name, const char *role, char ret_token[ACCESS_TOKEN_BYTES + 1],
                        char *ret_line, size_t line_capacity, struct problem *problem)
{
    char token[ACCESS_TOKEN_BYTES + 1], hash[2 * ACCESS_HASH_BYTES + 1], line[LINE_BYTES_MAX];
    struct entry entry;
    if (!draw_token(token))
        return problem_set(problem, STATUS_IO, "no random bytes can be had");
    print_hash(token, hash);
    size_t bytes = (size_t)snprintf(line, sizeof line, "%s %s %s", name, role, hash);
    if (bytes >= sizeof line || bytes >= line_capacity)
        return problem_set(problem, STATUS_TOO_LARGE, "name and role are too long");
    const char *wrong = read_line(line, &entry);
    if (wrong != NULL)
        return problem_set(problem, STATUS_INVALID, "%s", wrong);
    snprintf(ret_line, line_capacity, "%s %s %s", name, role, hash);
    memcpy(ret_token, token, sizeof token);
    return STATUS_OK;
}
