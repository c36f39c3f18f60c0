#include "tests/sim/ledger_value.h"

#include <assert.h>
#include <string.h>

struct flyover_cursor ledger_cursor_of(struct flyover_bytes bytes)
{
    return (struct flyover_cursor){bytes.at, bytes.at + bytes.count};
}

int64_t ledger_number_at(struct flyover_cursor map, const char *key, int64_t otherwise)
{
    struct flyover_cursor found;
    int64_t number = otherwise;
    if (flyover_find(&map, key, &found))
        (void)flyover_read_int(&found, &number);
    return number;
}

int ledger_error_of(struct flyover_bytes name)
{
    for (int i = 0; i < SCRIPT_ERRORS_ALL; i++)
        if (strlen(script_errors[i]) == name.count &&
            memcmp(script_errors[i], name.at, name.count) == 0)
            return i;
    return -1;
}

static bool is_text(struct flyover_bytes text, const char *wanted, uint32_t bytes_count)
{
    return text.count == bytes_count && memcmp(text.at, wanted, bytes_count) == 0;
}

/* What one pair of a map says of the value that the map is. */
static void take_pair(struct ledger_value *value, struct flyover_bytes key,
                      struct flyover_cursor at)
{
    struct flyover_bytes name;
    int64_t number = -1;
    if (is_text(key, "Error", 5) && value->kind != LEDGER_ERROR && flyover_read_str(&at, &name))
        *value = (struct ledger_value){LEDGER_ERROR, ledger_error_of(name)};
    if (!is_text(key, "n", 1) || value->kind != LEDGER_ABSENT)
        return;
    (void)flyover_read_int(&at, &number);
    *value = (struct ledger_value){LEDGER_NUMBER, (int32_t)number};
}

struct ledger_value ledger_value_of(struct flyover_cursor cursor)
{
    struct ledger_value value = {.kind = LEDGER_ABSENT};
    if (flyover_peek(&cursor) == FLYOVER_NIL)
        return (struct ledger_value){.kind = LEDGER_NIL};
    uint32_t pairs;
    struct flyover_bytes key;
    if (!flyover_read_map(&cursor, &pairs))
        return value;
    while (pairs-- > 0 && flyover_read_str(&cursor, &key)) {
        take_pair(&value, key, cursor);
        if (!flyover_skip(&cursor))
            break;
    }
    return value;
}

/* One way through the map, as it is read at each step. */
struct ledger_payload ledger_payload_of(struct flyover_cursor cursor)
{
    struct ledger_payload payload = {.root = {.kind = LEDGER_ABSENT}};
    if (flyover_peek(&cursor) == FLYOVER_NIL)
        payload.root.kind = LEDGER_NIL;
    uint32_t pairs;
    struct flyover_bytes key;
    if (!flyover_read_map(&cursor, &pairs))
        return payload;
    while (pairs-- > 0 && flyover_read_str(&cursor, &key)) {
        uint32_t field =
            key.count == 2 && key.at[0] == 'r' ? key.at[1] - (uint32_t)'0' : UINT32_MAX;
        if (field < SCRIPT_FIELDS)
            payload.fields[field] = ledger_value_of(cursor);
        else
            take_pair(&payload.root, key, cursor);
        if (!flyover_skip(&cursor))
            break;
    }
    return payload;
}

bool ledger_same_value(struct ledger_value a, struct ledger_value b)
{
    return a.kind == b.kind && (a.n == b.n || a.kind == LEDGER_ABSENT || a.kind == LEDGER_NIL);
}

bool ledger_same_payload(const struct ledger_payload *payload, struct flyover_cursor read)
{
    struct ledger_payload other = ledger_payload_of(read);
    bool same = ledger_same_value(payload->root, other.root);
    for (int i = 0; i < SCRIPT_FIELDS; i++)
        same = same && ledger_same_value(payload->fields[i], other.fields[i]);
    return same;
}

void ledger_put(struct ledger_payload *payload, int into, struct ledger_value value)
{
    if (into == SCRIPT_DROP)
        return;
    if (into == SCRIPT_REPLACE)
        *payload = (struct ledger_payload){.root = value};
    else
        payload->fields[into] = value;
}

/* ---- written --------------------------------------------------------------------------------- */

static uint8_t *encode_text(const char *text, uint8_t *at)
{
    size_t bytes = strlen(text);
    assert(bytes < 32);
    *at++ = (uint8_t)(0xa0 + bytes);
    memcpy(at, text, bytes);
    return at + bytes;
}

/* The one pair that a value is, without the map around it. */
static uint8_t *encode_pair(struct ledger_value value, uint8_t *at)
{
    if (value.kind == LEDGER_ERROR)
        return encode_text(script_errors[value.n], encode_text("Error", at));
    at = encode_text("n", at);
    assert(value.n >= 0 && value.n < 128);
    *at++ = (uint8_t)value.n;
    return at;
}

static bool has_pair(struct ledger_value value)
{
    return value.kind == LEDGER_NUMBER || value.kind == LEDGER_ERROR;
}

uint8_t *ledger_encode_value(struct ledger_value value, uint8_t *at)
{
    if (value.kind == LEDGER_NIL) {
        *at++ = 0xc0;
        return at;
    }
    *at++ = has_pair(value) ? 0x81 : 0x80;
    return has_pair(value) ? encode_pair(value, at) : at;
}

uint8_t *ledger_encode_payload(const struct ledger_payload *payload, uint64_t token, uint8_t *at)
{
    uint8_t *map = at++;
    uint8_t pairs = has_pair(payload->root);
    if (pairs > 0)
        at = encode_pair(payload->root, at);
    for (int i = 0; i < SCRIPT_FIELDS; i++) {
        const char key[] = {'r', (char)('0' + i), '\0'};
        if (payload->fields[i].kind == LEDGER_ABSENT)
            continue;
        at = ledger_encode_value(payload->fields[i], encode_text(key, at));
        pairs++;
    }
    if (token != 0) {
        at = encode_text("t", at);
        *at++ = 0xcd, *at++ = (uint8_t)(token >> 8), *at++ = (uint8_t)token;
        pairs++;
    }
    *map = (uint8_t)(0x80 + pairs);
    return at;
}
