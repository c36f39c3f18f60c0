/*
 * outbox_message: what a message to a queue and one to a topic have in common: attributes, the
 * group and the deduplication id of FIFO, and the key of its call.
 *
 * The key travels too: as an attribute named OUTBOX_KEY_ATTRIBUTE, so that who gets a message twice
 * can tell. It is left out where the message has one of that name, or has OUTBOX_ATTRIBUTES_MAX
 * already, or would become too large; and where the section says `key_attribute: false`. The saga's
 * id is a part of the key, and has no attribute of its own.
 *
 * FIFO: the group is the definition's, else the saga ("ID-SAGA" of the key); the deduplication id
 * is the definition's, else the key. Other destinations get what the definition says, and no more.
 *
 * Threads: the edge thread. Memory: the outbox's scratch, one message at a time; inputs are msgpack
 * that was checked.
 */
#ifndef ENGINE_EDGE_OUTBOX_MESSAGE_H
#define ENGINE_EDGE_OUTBOX_MESSAGE_H

#include "engine/edge/field.h"
#include "engine/edge/outbox.h"

#define OUTBOX_KEY_ATTRIBUTE  "FlyoverKey"
#define OUTBOX_ATTRIBUTES_MAX 10u
#define OUTBOX_FIELDS_MAX     15u /* of an entry */

struct outbox_message {
    struct sink entry;
    uint32_t fields;
    char *body;     /* OUTBOX_BATCH_BYTES, for a body that is no text */
    size_t bytes;   /* of text and attributes */
    uint64_t order; /* of its group; 0: none */
};

struct outbox_message outbox_message_begin(const struct outbox *outbox);
/* The whole entry; lent until the next message begins. */
struct flyover_bytes outbox_message_end(struct outbox_message *message);
/* A field of the entry. */
void outbox_put(struct outbox_message *message, const char *field, struct flyover_bytes text);
void outbox_put_int(struct outbox_message *message, const char *field, int64_t value);

/* All fields of `input` are in `known`, ended by NULL. STATUS_INVALID. */
NODISCARD enum status outbox_check_fields(struct flyover_bytes input, const char *const *known,
                                          struct problem *problem);
/* A field that is text, or is not there (then ret_text->at is NULL). STATUS_INVALID. */
NODISCARD enum status outbox_text(struct flyover_bytes input, const char *field,
                                  struct flyover_bytes *ret_text, struct problem *problem);
/* The same, terminated, of less than ret_bytes; STATUS_INVALID too where it cannot be: then, and
 * where it is not there, *ret_text is "". */
NODISCARD enum status outbox_name(struct flyover_bytes input, const char *field, char *ret_text,
                                  size_t ret_bytes, struct problem *problem);
/* What counts as the message's text. STATUS_TOO_LARGE. */
NODISCARD enum status outbox_add_body(struct outbox_message *message, const char *field,
                                      struct flyover_bytes text, struct problem *problem);
/* Text or any JSON, printed: to `entry` under the same name. STATUS_INVALID, STATUS_TOO_LARGE. */
NODISCARD enum status outbox_add_text(struct outbox_message *message, struct flyover_bytes input,
                                      const char *field, struct problem *problem);
/* MessageAttributes, checked, and the key. STATUS_INVALID, STATUS_TOO_LARGE. */
NODISCARD enum status outbox_add_attributes(struct outbox_message *message,
                                            struct flyover_bytes input, const char *key,
                                            struct problem *problem);
/* MessageGroupId and MessageDeduplicationId. STATUS_INVALID. */
NODISCARD enum status outbox_add_fifo(struct outbox_message *message, struct flyover_bytes input,
                                      const char *key, bool fifo, struct problem *problem);
#endif
