#include "engine/history/dictionary.h"

#include <assert.h>
#include <string.h>

static void keep(struct dictionary_entry *entry, uint32_t version, struct flyover_bytes name)
{
    assert(name.count <= NOTE_NAME_BYTES_MAX);
    entry->is_known = true;
    entry->version = version;
    entry->name_bytes = (uint16_t)name.count;
    if (name.count > 0)
        memcpy(entry->name, name.at, name.count);
    entry->name[name.count] = '\0';
}

void dictionary_take(struct dictionary *dictionary, const struct note *note)
{
    assert(note->kind == NOTE_PLAN || note->kind == NOTE_ERROR);
    if (note->kind == NOTE_PLAN)
        keep(&dictionary->plans[note->plan.plan], note->plan.version, note->plan.name);
    else
        keep(&dictionary->errors[note->error.error], 0, note->error.name);
}

static struct flyover_bytes name_of(const struct dictionary_entry *entry)
{
    return (struct flyover_bytes){(const uint8_t *)entry->name, entry->name_bytes};
}

uint8_t *dictionary_encode(const struct dictionary *dictionary, uint8_t *at,
                           uint32_t *ret_notes_count)
{
    struct note_coder coder;
    note_coder_init(&coder, 0);
    uint32_t notes_count = 0;
    for (uint16_t i = 0; i < NOTE_PLANS_MAX; i++) {
        const struct dictionary_entry *entry = &dictionary->plans[i];
        if (!entry->is_known)
            continue;
        struct note note = {
            .kind = NOTE_PLAN,
            .plan = {.plan = i, .version = entry->version, .name = name_of(entry)},
        };
        at = note_encode(&coder, &note, at);
        notes_count++;
    }
    for (uint8_t i = 0; i < NOTE_ERRORS_MAX; i++) {
        const struct dictionary_entry *entry = &dictionary->errors[i];
        if (!entry->is_known)
            continue;
        struct note note = {.kind = NOTE_ERROR, .error = {.error = i, .name = name_of(entry)}};
        at = note_encode(&coder, &note, at);
        notes_count++;
    }
    *ret_notes_count = notes_count;
    return at;
}

bool dictionary_decode(struct dictionary *dictionary, const uint8_t *at, const uint8_t *end)
{
    struct note_coder coder;
    note_coder_init(&coder, 0);
    struct note note;
    while (at != end) {
        at = note_decode(&coder, at, end, &note);
        if (at == NULL || (note.kind != NOTE_PLAN && note.kind != NOTE_ERROR))
            return false;
        dictionary_take(dictionary, &note);
    }
    return true;
}
