#include "engine/base/nearest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Longer names are compared by their first bytes only: enough for a hint. */
#define COMPARED_BYTES_MAX 80u

static uint8_t lower(char letter)
{
    uint8_t byte = (uint8_t)letter;
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static uint32_t smaller(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

/* Edits between two names: a letter more, less or other, or two neighbours swapped, cost one. Case
 * costs nothing, since a wrong case is the likeliest slip of all. */
static uint32_t distance_between(const char *left, const char *right)
{
    size_t left_bytes = strnlen(left, COMPARED_BYTES_MAX);
    size_t right_bytes = strnlen(right, COMPARED_BYTES_MAX);
    uint32_t rows[3][COMPARED_BYTES_MAX + 1];
    uint32_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= right_bytes; j++)
        above[j] = before[j] = (uint32_t)j;
    for (size_t i = 1; i <= left_bytes; i++) {
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= right_bytes; j++) {
            uint8_t l = lower(left[i - 1]), r = lower(right[j - 1]);
            uint32_t least = smaller(above[j], row[j - 1]) + 1;
            least = smaller(least, above[j - 1] + (l == r ? 0 : 1));
            if (i > 1 && j > 1 && l == lower(right[j - 2]) && lower(left[i - 2]) == r)
                least = smaller(least, before[j - 2] + 1);
            row[j] = least;
        }
        uint32_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[right_bytes];
}

struct nearest nearest_to(const char *wanted)
{
    assert(wanted != NULL);
    /* A third of the letters may be wrong; beyond that a hint is noise. */
    uint32_t letters = (uint32_t)strnlen(wanted, COMPARED_BYTES_MAX);
    return (struct nearest){.wanted = wanted, .distance = letters / 3 + 2};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    assert(nearest->wanted != NULL);
    uint32_t distance = distance_between(nearest->wanted, name);
    if (distance >= nearest->distance || distance >= strlen(name))
        return;
    nearest->distance = distance;
    nearest->best = name;
}

void nearest_hint(const struct nearest *nearest, const char *otherwise,
                  char ret_hint[NEAREST_HINT_BYTES])
{
    if (nearest->best != NULL)
        snprintf(ret_hint, NEAREST_HINT_BYTES, "; did you mean \"%s\"?", nearest->best);
    else
        snprintf(ret_hint, NEAREST_HINT_BYTES, "%s", otherwise);
}
