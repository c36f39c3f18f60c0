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
 */
#ifndef ENGINE_EDGE_OUTBOX_MESSAGE_H
#define ENGINE_EDGE_OUTBOX_MESSAGE_H

#include "engine/edge/outbox.h"

#define OUTBOX_KEY_ATTRIBUTE  "FlyoverKey"
#define OUTBOX_ATTRIBUTES_MAX 10u

struct outbox_message {
    json_t *entry;  /* owned by who asked; fields are added to it */
    size_t bytes;   /* of text and attributes */
    uint64_t order; /* of its group; 0: none */
};

/* All fields of `input` are in `known`, ended by NULL. STATUS_INVALID. */
NODISCARD enum status outbox_check_fields(const json_t *input, const char *const *known,
                                          struct problem *problem);
/* A field that is text, or is not there (then *ret_text is NULL). STATUS_INVALID. */
NODISCARD enum status outbox_text(const json_t *input, const char *field, const char **ret_text,
                                  struct problem *problem);
/* Text or any JSON, printed: to `entry` under the same name. STATUS_INVALID, STATUS_TOO_LARGE. */
NODISCARD enum status outbox_add_text(struct outbox_message *message, const json_t *input,
                                      const char *field, struct problem *problem);
/* MessageAttributes, checked, and the key. STATUS_INVALID, STATUS_TOO_LARGE. */
NODISCARD enum status outbox_add_attributes(struct outbox_message *message, const json_t *input,
                                            const char *key, struct problem *problem);
/* MessageGroupId and MessageDeduplicationId. STATUS_INVALID. */
NODISCARD enum status outbox_add_fifo(struct outbox_message *message, const json_t *input,
                                      const char *key, bool fifo, struct problem *problem);
#endif
