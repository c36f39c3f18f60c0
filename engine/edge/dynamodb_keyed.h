/*
 * dynamodb_keyed: how a write to DynamoDB that is sent twice counts once. The key of a step is kept
 * in the item that it writes, by the very same write, under the condition that it is not there:
 *
 *     UpdateItem  ... ADD #flyover_keys :flyover_key
 *         if (the definition's condition) AND NOT contains(flyover_keys, the key) AND ...
 *
 * A second sending fails by that condition, finds its key in the item, and counts as done.
 *
 * What is kept of a key is its mark: 12 characters, the first 72 bits of its SHA-256 in base64url.
 * That two of the keys an item knows have the same is less likely than one in 10^18.
 *
 * Where the marks are. Two attributes of the item, sets of strings: `flyover_keys` and
 * `flyover_keys_before`. When the first has keys_max marks it becomes the second, in one update of
 * its own (keyed_rotation), and begins anew. So an item knows the last keys_max of its writers
 * always, up to twice as many at times, and no more, however long it lives: at 512 marks at most
 * 12 KB, which count in what a write costs. Definitions do not see these attributes: they are taken
 * out of what getItem and ReturnValues give. They can be deleted with no other effect than that the
 * item forgets who wrote it.
 *
 * The window. A step counts once as long as between its first sending and its last not more than
 * keys_max other steps write the same item. Between the two lies the wait of a Retry, or the death
 * and start of the engine, which asks again in the order in which sagas were started, so that what
 * was out is about the first to go. An item that very many sagas write while another waits for its
 * Retry needs a larger keys_max. Time plays no part, nor do clocks.
 *
 * PutItem replaces an item, so it carries the keys over: under the condition that the item has
 * none, which one that is new has not, and else that they are those that were read before.
 * DeleteItem takes the keys away with the item: see dynamodb.c for what is promised of it.
 * TransactWriteItems has its key in the first Update among its items, and in the client request
 * token, which holds for ten minutes; with no Update in it, only in the token.
 *
 * Compensations have a key of their own ("-c"), and so count once as well. They are not made to
 * depend on the key of the step that they undo: the engine compensates only a step that was done,
 * and its key may have left the item by then. A step that is out of time without an answer
 * (States.Timeout) may have been done; Retry with the same key makes it done once, for sure.
 * A sending that arrives late, after its compensation, finds its key and changes nothing.
 *
 * Everything here is JSON in, JSON out. Threads: any. Memory: what is returned is owned; requests
 * are changed in place, while what they share with the call's input is not.
 */
#ifndef ENGINE_EDGE_DYNAMODB_KEYED_H
#define ENGINE_EDGE_DYNAMODB_KEYED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYED_NAME_BYTES 64u
#define KEYED_MAX        8192u /* twice as many take half of an item's 400 KB */
#define KEYED_DEFAULT    512u
#define KEYED_MARK_CHARS 12u

struct keyed {
    char keys[KEYED_NAME_BYTES + 1];
    char before[KEYED_NAME_BYTES + 8];
    uint32_t keys_max;
};

enum keyed_sight {
    KEYED_THERE,     /* the step was done */
    KEYED_FULL,      /* not there; rotate before the next */
    KEYED_NOT_THERE, /* so the condition that failed was another */
};

void keyed_init(struct keyed *ret_keyed, const char *attribute, uint32_t keys_max);
/* NULL: the request can be keyed. Else a sentence why not. */
const char *keyed_objection(const json_t *request);
/* An UpdateItem, or an Update of a transaction. `limited`: not if the keys have to be rotated
 * first; without it the key is added whatever their number. False: out of memory. */
bool keyed_update(const struct keyed *keyed, json_t *request, const char *key, bool limited);
/* A PutItem, where `seen` (NULL: none) was the item there. */
bool keyed_put(const struct keyed *keyed, json_t *request, const char *key, const json_t *seen);
/* The UpdateItem that rotates, under the condition that it is time to. */
json_t *keyed_rotation(const struct keyed *keyed, const json_t *table, const json_t *item_key);
/* The GetItem, consistent, that keyed_look looks at; `whole`: with all else of the item. */
json_t *keyed_reading(const struct keyed *keyed, const json_t *table, const json_t *item_key,
                      bool whole);
/* What is kept of a key. */
void keyed_mark(const char *key, char ret_mark[KEYED_MARK_CHARS + 1]);
/* What an item (NULL: there is none) says of the key. */
enum keyed_sight keyed_look(const struct keyed *keyed, const json_t *item, const char *key);
/* That both have the same keys; either may be NULL. */
bool keyed_same(const struct keyed *keyed, const json_t *item, const json_t *other);
/* Takes the keys out of `Item` and `Attributes` of an output. */
void keyed_hide(const struct keyed *keyed, json_t *output);

#endif
