#include <assert.h>
#include <string.h>

#include "engine/saga/utf8.h"
#include "engine/saga/value.h"

/* The text of a path while it is compiled. */
struct scan {
    const char *text;
    size_t bytes;
    size_t at;
    uint8_t *arena;
    size_t arena_used;
    struct problem *problem;
};

/* How much of a path a sentence quotes. */
enum { QUOTE_BYTES_MAX = 128 };

/* `why` ends the sentence: what is wrong here, and what would be right. */
static enum status refuse(const struct scan *scan, enum status status, const char *why)
{
    int quoted = scan->bytes < QUOTE_BYTES_MAX ? (int)scan->bytes : QUOTE_BYTES_MAX;
    return problem_set(scan->problem, status, "path \"%.*s\", byte %zu: %s", quoted, scan->text,
                       scan->at + 1, why);
}

/* The byte `ahead` of the scan, 0 behind the end. */
static char look(const struct scan *scan, size_t ahead)
{
    return scan->at + ahead < scan->bytes ? scan->text[scan->at + ahead] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           c == '-' || ((unsigned char)c & 0x80) != 0;
}

static void arena_add(struct scan *scan, const void *bytes, size_t count)
{
    assert(scan->arena_used + count <= scan->bytes);
    memcpy(scan->arena + scan->arena_used, bytes, count);
    scan->arena_used += count;
}

/* The part whose name has been added to the arena since `start`. */
static struct path_part field_since(const struct scan *scan, size_t start)
{
    return (struct path_part){
        .kind = PATH_FIELD,
        .field = {scan->arena + start, (uint32_t)(scan->arena_used - start)},
    };
}

/* .name */
static enum status scan_dotted(struct scan *scan, struct path_part *ret_part)
{
    scan->at++;
    size_t start = scan->arena_used;
    if (look(scan, 0) == '.')
        return refuse(scan, STATUS_UNSUPPORTED,
                      "recursive descent (..) is not supported; name every field on the way");
    if (look(scan, 0) == '*')
        return refuse(scan, STATUS_UNSUPPORTED, "wildcards (*) are not supported; name one field");
    size_t name_bytes = 0;
    while (is_name_byte(look(scan, name_bytes)))
        name_bytes++;
    if (name_bytes == 0)
        return refuse(scan, STATUS_INVALID,
                      "a field name is missing; one with unusual characters is written ['name']");
    arena_add(scan, scan->text + scan->at, name_bytes);
    scan->at += name_bytes;
    if (look(scan, 0) == '(')
        return refuse(scan, STATUS_UNSUPPORTED, "functions in a path are not supported");
    *ret_part = field_since(scan, start);
    return STATUS_OK;
}

/* The four hexadecimal digits of a \u escape, or -1. */
static int32_t scan_hex4(struct scan *scan)
{
    int32_t code = 0;
    for (int index = 0; index < 4; index++) {
        char c = look(scan, 0);
        char lower = (char)(c | 0x20);
        int digit = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
        scan->at++;
    }
    return code;
}

/* The code point of a \u escape, two escapes where it is a surrogate pair, or -1. */
static int32_t scan_code_point(struct scan *scan)
{
    int32_t code = scan_hex4(scan);
    if (code < 0xd800 || code > 0xdfff)
        return code;
    if (code > 0xdbff || look(scan, 0) != '\\' || look(scan, 1) != 'u')
        return -1;
    scan->at += 2;
    int32_t low = scan_hex4(scan);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

static void arena_add_code_point(struct scan *scan, uint32_t code)
{
    uint8_t last = (uint8_t)(0x80 | (code & 0x3f));
    uint8_t third = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    if (code < 0x80)
        arena_add(scan, (uint8_t[]){(uint8_t)code}, 1);
    else if (code < 0x800)
        arena_add(scan, (uint8_t[]){(uint8_t)(0xc0 | code >> 6), last}, 2);
    else if (code < 0x10000)
        arena_add(scan, (uint8_t[]){(uint8_t)(0xe0 | code >> 12), third, last}, 3);
    else
        arena_add(scan,
                  (uint8_t[]){(uint8_t)(0xf0 | code >> 18), (uint8_t)(0x80 | (code >> 12 & 0x3f)),
                              third, last},
                  4);
}

/* What follows a backslash. */
static enum status scan_escape(struct scan *scan)
{
    static const char escapes[] = "'\"\\/bfnrt";
    static const char meanings[] = "'\"\\/\b\f\n\r\t";
    char c = look(scan, 0);
    if (c == 'u') {
        scan->at++;
        int32_t code = scan_code_point(scan);
        if (code < 0)
            return refuse(scan, STATUS_INVALID, "\\u needs four hexadecimal digits of a character");
        arena_add_code_point(scan, (uint32_t)code);
        return STATUS_OK;
    }
    const char *escape = c == '\0' ? NULL : strchr(escapes, c);
    if (escape == NULL)
        return refuse(scan, STATUS_INVALID, "an unknown escape follows the backslash");
    arena_add(scan, &meanings[escape - escapes], 1);
    scan->at++;
    return STATUS_OK;
}

/* 'name' or "name", after the bracket. */
static enum status scan_quoted(struct scan *scan, struct path_part *ret_part)
{
    char quote = look(scan, 0);
    size_t start = scan->arena_used;
    scan->at++;
    while (scan->at < scan->bytes && look(scan, 0) != quote) {
        if (look(scan, 0) == '\\') {
            scan->at++;
            enum status status = scan_escape(scan);
            if (status != STATUS_OK)
                return status;
        } else {
            arena_add(scan, scan->text + scan->at, 1);
            scan->at++;
        }
    }
    if (scan->at == scan->bytes)
        return refuse(scan, STATUS_INVALID, "the closing quote is missing");
    scan->at++;
    *ret_part = field_since(scan, start);
    return STATUS_OK;
}

static enum status scan_index(struct scan *scan, struct path_part *ret_part)
{
    if (look(scan, 0) == '0' && is_digit(look(scan, 1)))
        return refuse(scan, STATUS_INVALID, "an index has no leading zero");
    uint64_t index = 0;
    for (; is_digit(look(scan, 0)); scan->at++) {
        index = index * 10 + (uint64_t)(look(scan, 0) - '0');
        if (index > UINT32_MAX)
            return refuse(scan, STATUS_INVALID, "the index is too large");
    }
    *ret_part = (struct path_part){.kind = PATH_INDEX, .index = (uint32_t)index};
    return STATUS_OK;
}

/* JSONPath has more in brackets than a reference path may have: each is refused by its name. */
static enum status refuse_in_brackets(const struct scan *scan)
{
    switch (look(scan, 0)) {
    case '*':
        return refuse(scan, STATUS_UNSUPPORTED,
                      "wildcards (*) are not supported; name one field or index");
    case '?': return refuse(scan, STATUS_UNSUPPORTED, "filters [?()] are not supported");
    case '(': return refuse(scan, STATUS_UNSUPPORTED, "expressions [()] are not supported");
    case ':':
        return refuse(scan, STATUS_UNSUPPORTED, "slices [a:b] are not supported; name one index");
    case ',':
        return refuse(scan, STATUS_UNSUPPORTED,
                      "unions [a,b] are not supported; name one field or index");
    case '-':
        return refuse(scan, STATUS_UNSUPPORTED,
                      "negative indices are not supported; count from the front, from 0");
    default:
        return refuse(scan, STATUS_INVALID, "brackets hold an index, [0], or a name, ['name']");
    }
}

/* [index] or ['name'] */
static enum status scan_bracketed(struct scan *scan, struct path_part *ret_part)
{
    scan->at++;
    char c = look(scan, 0);
    if (c != '\'' && c != '"' && !is_digit(c))
        return refuse_in_brackets(scan);
    enum status status = is_digit(c) ? scan_index(scan, ret_part) : scan_quoted(scan, ret_part);
    if (status != STATUS_OK)
        return status;
    if (look(scan, 0) == ':' || look(scan, 0) == ',')
        return refuse_in_brackets(scan);
    if (look(scan, 0) != ']')
        return refuse(scan, STATUS_INVALID, "the closing bracket is missing");
    scan->at++;
    return STATUS_OK;
}

static enum status scan_part(struct scan *scan, struct path_part *ret_part)
{
    switch (look(scan, 0)) {
    case '.': return scan_dotted(scan, ret_part);
    case '[': return scan_bracketed(scan, ret_part);
    default:
        return refuse(scan, STATUS_INVALID,
                      "'.' or '[' goes before the next part; a name with unusual characters is "
                      "written ['name']");
    }
}

static enum status scan_root(struct scan *scan)
{
    if (scan->bytes > UINT32_MAX || !utf8_check((const uint8_t *)scan->text, scan->bytes))
        return problem_set(scan->problem, STATUS_INVALID, "a path is not UTF-8 text");
    if (scan->bytes >= 7 && !memcmp(scan->text, "States.", 7))
        return refuse(scan, STATUS_UNSUPPORTED, "intrinsic functions are not supported");
    if (look(scan, 0) != '$')
        return refuse(scan, STATUS_INVALID, "a path begins with $, as in $.order.lines[0]");
    if (look(scan, 1) == '$')
        return refuse(scan, STATUS_UNSUPPORTED, "the context object ($$) is not supported");
    scan->at++;
    return STATUS_OK;
}

enum status path_compile(const char *text, size_t text_bytes, uint8_t *arena, struct path *ret_path,
                         struct problem *problem)
{
    assert(text != NULL && arena != NULL);
    struct scan scan = {.text = text, .bytes = text_bytes, .arena = arena, .problem = problem};
    struct path path = {.parts_count = 0};
    enum status status = scan_root(&scan);
    while (status == STATUS_OK && scan.at < scan.bytes) {
        if (path.parts_count == PATH_PARTS_MAX)
            return refuse(&scan, STATUS_UNSUPPORTED, "a path of more than 16 parts");
        status = scan_part(&scan, &path.parts[path.parts_count++]);
    }
    if (status == STATUS_OK)
        *ret_path = path;
    return status;
}
