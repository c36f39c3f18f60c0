/*
 * incoming: what the engine says. The next message for the caller is found and told apart; what is
 * between client and engine alone (WELCOME, PING, LATE, ...) is dealt with on the way.
 *
 *     incoming_take ──► ANSWER      ──► the caller at once, or kept
 *                  └──► INVOCATION  ──► the caller at once, or kept
 *
 * Texts of the protocol have no end of their own; the caller's have. So when, and only when, a
 * message is handed over, its texts are moved one byte to the front, over their heads, and ended
 * there: nothing is copied.
 *
 * Threads: the client's. Memory: what is found is lent until the next line_turn.
 */
#ifndef ENGINE_CLIENT_INCOMING_H
#define ENGINE_CLIENT_INCOMING_H

#include "engine/client/client.h"

#define INCOMING_TEXTS_MAX 6u

/* The texts of a message, and where they belong. */
struct incoming_texts {
    uint32_t count;
    struct {
        struct flyover_bytes text;
        const char **at;
    } texts[INCOMING_TEXTS_MAX];
};

enum incoming_kind { INCOMING_NOTHING, INCOMING_ANSWER, INCOMING_INVOCATION };

struct incoming {
    struct flyover_bytes raw;
    struct flyover_invocation invocation; /* of an INVOCATION, but for its texts and its id */
    uint64_t word;                        /* of an INVOCATION: its id for the caller */
    uint64_t id;                          /* of the request */
    uint32_t slot;                        /* of a private request, else TABLE_NONE */
    enum flyover_status status;           /* the answer's */
};

/* Fills *ret_answer for an answer, ret_incoming->invocation for an invocation, with the texts of
 * either in *texts. NOTHING: more has to come first. */
enum incoming_kind incoming_take(struct flyover_client *client, struct incoming *ret_incoming,
                                 struct flyover_answer_message *ret_answer,
                                 struct incoming_texts *texts);
/* False: it cannot be from an engine. */
bool incoming_read_answer(struct wire_message message, struct flyover_answer_message *ret_answer,
                          uint64_t *ret_id, struct incoming_texts *texts);
bool incoming_read_invocation(struct wire_message message,
                              struct flyover_invocation *ret_invocation,
                              struct incoming_texts *texts);
/* Ends the texts and puts them where they belong. */
void incoming_give(struct incoming_texts *texts);
/* An EVENT of this subscription goes to the caller. */
void incoming_give_event(struct flyover_client *client, uint64_t id);

#endif
