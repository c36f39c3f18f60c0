#include "engine/edge/dynamodb_keyed.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/edge/digest.h"
#include "engine/edge/update_expression.h"

/* Placeholders of ours in a request; a definition's may not begin so. */
#define PREFIX       "flyover_"
#define NAME_KEYS    "#flyover_keys"
#define NAME_BEFORE  "#flyover_before"
#define VALUE_KEY    ":flyover_key"
#define VALUE_KEYS   ":flyover_keys"
#define VALUE_MAX    ":flyover_max"
#define VALUE_SEEN   ":flyover_seen"
#define VALUE_BEFORE ":flyover_before"
#define IS_NOT_THERE                                                                               \
    "NOT contains(" NAME_KEYS ", " VALUE_KEY ") AND NOT contains(" NAME_BEFORE ", " VALUE_KEY ")"
#define IS_NOT_FULL                                                                                \
    " AND (attribute_not_exists(" NAME_KEYS ") OR size(" NAME_KEYS ") < " VALUE_MAX ")"

void keyed_init(struct keyed *ret_keyed, const char *attribute, uint32_t keys_max)
{
    snprintf(ret_keyed->keys, sizeof ret_keyed->keys, "%s", attribute);
    snprintf(ret_keyed->before, sizeof ret_keyed->before, "%s_before", ret_keyed->keys);
    ret_keyed->keys_max = keys_max;
}

void keyed_mark(const char *key, char ret_mark[KEYED_MARK_CHARS + 1])
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    static_assert(KEYED_MARK_CHARS / 4 * 3 < DIGEST_SHA256_BYTES, "a part of it");
    digest_sha256(key, strlen(key), digest);
    EVP_EncodeBlock((uint8_t *)ret_mark, digest, KEYED_MARK_CHARS / 4 * 3);
    for (char *at = ret_mark; *at != '\0'; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
}

static bool has_our_prefix(const json_t *placeholders)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)placeholders, name, value)
    {
        if (name[0] != '\0' && strncmp(name + 1, PREFIX, strlen(PREFIX)) == 0)
            return true;
    }
    return false;
}

const char *keyed_objection(const json_t *request)
{
    static const char *const old[] = {"Expected", "AttributeUpdates", "ConditionalOperator"};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        if (json_object_get(request, old[i]) != NULL)
            return "Expected, AttributeUpdates and ConditionalOperator do not go with the key that "
                   "makes a step count once: write ConditionExpression and UpdateExpression, or "
                   "\"FlyoverIdempotency\": \"NONE\"";
    if (has_our_prefix(json_object_get(request, "ExpressionAttributeNames")) ||
        has_our_prefix(json_object_get(request, "ExpressionAttributeValues")))
        return "names and values that begin with #flyover_ and :flyover_ are the engine's; take "
               "others";
    return NULL;
}

/* ---- building ----------------------------------------------------------------------------------
 */

/* Adds members to an object of the request, which may share it with others. Steals `members`. */
static bool add_members(json_t *request, const char *name, json_t *members)
{
    json_t *old = json_object_get(request, name);
    json_t *copy = old != NULL ? json_copy(old) : json_object();
    bool done = members != NULL && copy != NULL && json_object_update(copy, members) == 0 &&
                json_object_set(request, name, copy) == 0;
    json_decref(copy);
    json_decref(members);
    return done;
}

/* One pair of brackets is around all of it; another around that DynamoDB would refuse. */
static bool is_bracketed(const char *text)
{
    text += strspn(text, " \t\r\n");
    if (*text != '(')
        return false;
    uint32_t open = 0;
    for (; *text != '\0'; text++) {
        open += *text == '(';
        if (*text == ')' && --open == 0)
            return text[1 + strspn(text + 1, " \t\r\n")] == '\0';
    }
    return false;
}

/* "(the definition's) AND ours" */
static bool add_condition(json_t *request, const char *condition)
{
    const char *own = json_string_value(json_object_get(request, "ConditionExpression"));
    json_t *text = own == NULL || own[0] == '\0' ? json_string(condition)
                   : is_bracketed(own)           ? json_sprintf("%s AND %s", own, condition)
                                                 : json_sprintf("(%s) AND %s", own, condition);
    return json_object_set_new(request, "ConditionExpression", text) == 0;
}

static json_t *set_of(const char *mark)
{
    return json_pack("{s:[s]}", "SS", mark);
}

static json_t *number(uint32_t value)
{
    return json_pack("{s:o}", "N", json_sprintf("%u", value));
}

static bool add_names(const struct keyed *keyed, json_t *request)
{
    return add_members(request, "ExpressionAttributeNames",
                       json_pack("{s:s, s:s}", NAME_KEYS, keyed->keys, NAME_BEFORE, keyed->before));
}

bool keyed_update(const struct keyed *keyed, json_t *request, const char *key, bool limited)
{
    char mark[KEYED_MARK_CHARS + 1];
    keyed_mark(key, mark);
    const char *expression = json_string_value(json_object_get(request, "UpdateExpression"));
    char *text = update_expression_with_add(expression, NAME_KEYS " " VALUE_KEYS);
    json_t *values = json_pack("{s:{s:s}, s:o}", VALUE_KEY, "S", mark, VALUE_KEYS, set_of(mark));
    bool done = text != NULL && values != NULL &&
                (!limited || json_object_set_new(values, VALUE_MAX, number(keyed->keys_max)) == 0);
    done = done && json_object_set_new(request, "UpdateExpression", json_string(text)) == 0 &&
           add_condition(request, limited ? IS_NOT_THERE IS_NOT_FULL : IS_NOT_THERE) &&
           add_names(keyed, request) &&
           add_members(request, "ExpressionAttributeValues", json_incref(values));
    json_decref(values);
    free(text);
    return done;
}

static const json_t *keys_of(const json_t *item, const char *attribute)
{
    return json_object_get(json_object_get(item, attribute), "SS");
}

static bool has_mark(const json_t *marks, const char *mark)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)marks, i, value)
    {
        const char *text = json_string_value(value);
        if (text != NULL && strcmp(text, mark) == 0)
            return true;
    }
    return false;
}

/* The sets that the new item has: those that are there, and the key. */
static bool carry_over(const struct keyed *keyed, json_t *item, const char *mark,
                       const json_t *seen)
{
    json_t *now = json_object_get(seen, keyed->keys);
    json_t *before = json_object_get(seen, keyed->before);
    bool full = json_array_size(keys_of(seen, keyed->keys)) >= keyed->keys_max;
    json_t *keys = full || now == NULL ? set_of(mark) : json_deep_copy(now);
    if (!full && now != NULL)
        json_array_append_new(json_object_get(keys, "SS"), json_string(mark));
    if (full)
        before = now;
    return json_object_set_new(item, keyed->keys, keys) == 0 &&
           (before == NULL || json_object_set(item, keyed->before, before) == 0);
}

/* The set is as it was: `name = value`, or not there. */
static bool add_seen(json_t *values, const json_t *set, const char *name, const char *value,
                     char *ret_condition, size_t bytes_max)
{
    if (set == NULL)
        snprintf(ret_condition, bytes_max, "attribute_not_exists(%s)", name);
    else
        snprintf(ret_condition, bytes_max, "%s = %s", name, value);
    return set == NULL || json_object_set(values, value, (json_t *)set) == 0;
}

/* No other has written a key meanwhile. */
static bool add_same(const struct keyed *keyed, json_t *request, const json_t *seen)
{
    char keys[64], before[64], both[160];
    json_t *values = json_object();
    bool done = values != NULL &&
                add_seen(values, json_object_get(seen, keyed->keys), NAME_KEYS, VALUE_SEEN, keys,
                         sizeof keys) &&
                add_seen(values, json_object_get(seen, keyed->before), NAME_BEFORE, VALUE_BEFORE,
                         before, sizeof before);
    if (done) {
        snprintf(both, sizeof both, "%s AND %s", keys, before);
        done = add_condition(request, both) &&
               (json_object_size(values) == 0 ||
                add_members(request, "ExpressionAttributeValues", json_incref(values)));
    }
    json_decref(values);
    return done;
}

bool keyed_put(const struct keyed *keyed, json_t *request, const char *key, const json_t *seen)
{
    char mark[KEYED_MARK_CHARS + 1];
    keyed_mark(key, mark);
    json_t *item = json_copy(json_object_get(request, "Item"));
    bool done = item != NULL && carry_over(keyed, item, mark, seen) &&
                json_object_set(request, "Item", item) == 0 && add_same(keyed, request, seen) &&
                add_names(keyed, request);
    json_decref(item);
    return done;
}

json_t *keyed_rotation(const struct keyed *keyed, const json_t *table, const json_t *item_key)
{
    return json_pack("{s:O, s:O, s:s, s:s, s:{s:s, s:s}, s:{s:o}}", "TableName", table, "Key",
                     item_key, "UpdateExpression",
                     "SET " NAME_BEFORE " = " NAME_KEYS " REMOVE " NAME_KEYS, "ConditionExpression",
                     "size(" NAME_KEYS ") >= " VALUE_MAX, "ExpressionAttributeNames", NAME_KEYS,
                     keyed->keys, NAME_BEFORE, keyed->before, "ExpressionAttributeValues",
                     VALUE_MAX, number(keyed->keys_max));
}

json_t *keyed_reading(const struct keyed *keyed, const json_t *table, const json_t *item_key,
                      bool whole)
{
    json_t *request =
        json_pack("{s:O, s:O, s:b}", "TableName", table, "Key", item_key, "ConsistentRead", 1);
    if (request == NULL || whole)
        return request;
    json_object_set_new(request, "ProjectionExpression", json_string(NAME_KEYS ", " NAME_BEFORE));
    add_names(keyed, request);
    return request;
}

/* ---- looking -----------------------------------------------------------------------------------
 */

enum keyed_sight keyed_look(const struct keyed *keyed, const json_t *item, const char *key)
{
    char mark[KEYED_MARK_CHARS + 1];
    keyed_mark(key, mark);
    const json_t *keys = keys_of(item, keyed->keys);
    if (has_mark(keys, mark) || has_mark(keys_of(item, keyed->before), mark))
        return KEYED_THERE;
    return json_array_size(keys) >= keyed->keys_max ? KEYED_FULL : KEYED_NOT_THERE;
}

/* Sets have no order. */
static bool same_set(const json_t *keys, const json_t *other)
{
    if (json_array_size(keys) != json_array_size(other))
        return false;
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)keys, i, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || !has_mark(other, text))
            return false;
    }
    return true;
}

bool keyed_same(const struct keyed *keyed, const json_t *item, const json_t *other)
{
    return same_set(keys_of(item, keyed->keys), keys_of(other, keyed->keys)) &&
           same_set(keys_of(item, keyed->before), keys_of(other, keyed->before));
}

void keyed_hide(const struct keyed *keyed, json_t *output)
{
    static const char *const places[] = {"Item", "Attributes"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        json_t *item = json_object_get(output, places[i]);
        json_object_del(item, keyed->keys);
        json_object_del(item, keyed->before);
        if (i == 1 && item != NULL && json_object_size(item) == 0)
            json_object_del(output, places[i]);
    }
}
