#include <stdio.h>
#include <string.h>

#include "engine/base/hex.h"
#include "engine/edge/digest.h"
#include "engine/edge/dynamodb_parts.h"

#define TOKEN_DIGITS 32u

/* 32 digits, of which AWS takes up to 36. */
static json_t *make_token(const char *key)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    char digits[TOKEN_DIGITS];
    digest_sha256(key, strlen(key), digest);
    return json_stringn(digits, hex_write(digest, TOKEN_DIGITS / 2, digits));
}

static bool want_item_on_failure(json_t *request)
{
    return json_object_set_new(request, "ReturnValuesOnConditionCheckFailure",
                               json_string("ALL_OLD")) == 0;
}

static bool key_update(const struct work *work, json_t *request)
{
    return keyed_update(&work->dynamodb->keyed, request, work->call->key, !work->is_sure) &&
           want_item_on_failure(request);
}

/* `request` shares its items with the input: what is changed of them is copied. */
static bool key_transaction(const struct work *work, json_t *request)
{
    if (json_object_get(request, "ClientRequestToken") == NULL &&
        json_object_set_new(request, "ClientRequestToken", make_token(work->call->key)) != 0)
        return false;
    json_t *items = json_array();
    bool done = items != NULL;
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(request, "TransactItems"), i, item)
    {
        if (work->update == NULL || json_object_get(item, "Update") != work->update) {
            done = done && json_array_append(items, item) == 0;
            continue;
        }
        json_t *update = json_copy((json_t *)work->update);
        done = done && update != NULL && key_update(work, update) &&
               json_array_append_new(items, json_pack("{s:O}", "Update", update)) == 0;
        json_decref(update);
    }
    done = done && json_object_set(request, "TransactItems", items) == 0;
    json_decref(items);
    return done;
}

static bool add_key(const struct work *work, json_t *request)
{
    switch (work->call->handler) {
    case PUT:
        return keyed_put(&work->dynamodb->keyed, request, work->call->key, work->seen) &&
               want_item_on_failure(request);
    case UPDATE: return key_update(work, request);
    case TRANSACT: return key_transaction(work, request);
    default: return true;
    }
}

static json_t *make_asking(const struct work *work)
{
    json_t *request = json_copy(work->call->input);
    json_object_del(request, DYNAMODB_OPT_OUT);
    if (request == NULL || !work->is_keyed || add_key(work, request))
        return request;
    json_decref(request);
    return NULL;
}

/* What end_repeated needs is more than the keys. */
static bool is_item_wanted(const struct work *work)
{
    const json_t *wanted = field(work, "ReturnValues");
    return work->call->handler == UPDATE &&
           (is_text(wanted, "ALL_NEW") || is_text(wanted, "UPDATED_NEW"));
}

json_t *dynamodb_make_request(const struct work *work)
{
    const struct keyed *keyed = &work->dynamodb->keyed;
    const json_t *place = work->update != NULL ? work->update : work->call->input;
    const json_t *table = json_object_get(place, "TableName");
    switch (work->stage) {
    case LOOK: return keyed_reading(keyed, table, work->item_key, is_item_wanted(work));
    case DESCRIBE: return json_pack("{s:O}", "TableName", table);
    case ROTATE: return keyed_rotation(keyed, table, json_object_get(place, "Key"));
    case ASK: break;
    }
    return make_asking(work);
}

const char *dynamodb_target(const struct work *work)
{
    static const char *const asked[] = {
        "DynamoDB_20120810.GetItem", "DynamoDB_20120810.PutItem", "DynamoDB_20120810.UpdateItem",
        "DynamoDB_20120810.DeleteItem", "DynamoDB_20120810.TransactWriteItems"};
    switch (work->stage) {
    case LOOK: return "DynamoDB_20120810.GetItem";
    case DESCRIBE: return "DynamoDB_20120810.DescribeTable";
    case ROTATE: return "DynamoDB_20120810.UpdateItem";
    case ASK: break;
    }
    return asked[work->call->handler];
}
