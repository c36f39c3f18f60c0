/*
 * chance: every choice of the simulator, drawn from one seed.
 *
 * Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014 (SplitMix64).
 */
#ifndef TESTS_SIM_CHANCE_H
#define TESTS_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_mix(uint64_t a, uint64_t b)
{
    uint64_t bits = a + 0x9e3779b97f4a7c15u * (b + 1);
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

/* 0 .. below - 1 */
static inline uint32_t chance_draw(struct chance *chance, uint32_t below)
{
    chance->state = chance_mix(chance->state, 0);
    return (uint32_t)((chance->state >> 32) % below);
}

static inline bool chance_percent(struct chance *chance, uint32_t percent)
{
    return chance_draw(chance, 100) < percent;
}

#endif
