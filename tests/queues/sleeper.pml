/*
 * The protocol of queues/sleeper.c, to be searched in full by spin: several producers, one owner,
 * every order of their steps, and processors that keep a store back while later loads go ahead.
 *
 *     spin -run sleeper.pml                   no error: no wake-up is lost, the owner ends
 *     spin -DFALLBACK -run sleeper.pml        the same without membarrier
 *     spin -DNO_REPOLL -run sleeper.pml       a lost wake-up: the owner sleeps with work left
 *     spin -DNO_BARRIER -run sleeper.pml      a lost wake-up
 *
 * A lost wake-up is an invalid end state: the owner is in its wait, and nobody will come.
 *
 * Each producer has one input, a count, as a ring has its published index. It publishes
 * ENTRIES times; its last entry says that it is done. The owner ends when all are done: that is
 * how a shutdown reaches it, as an input like the others.
 */
#define PRODUCERS 2
#define ENTRIES 2

byte published[PRODUCERS]; /* as the owner sees it */
byte buffered[PRODUCERS];  /* as its producer wrote it; ahead of `published` while it is held back */
bool asleep;
bool falling_asleep;       /* the owner wrote asleep = true, and the store is held back */
bool waiting;              /* the owner is inside futex wait */

/* The processors let a store go whenever they like. */
proctype store_buffer(byte self)
{
end:
    do
    :: atomic { published[self] != buffered[self] -> published[self] = buffered[self] }
    :: atomic { falling_asleep -> falling_asleep = false; asleep = true }
    od
}

/* A full barrier in every thread: what any of them wrote before can be seen after. */
inline membarrier()
{
    atomic {
        byte other;
        other = 0;
        do
        :: other < PRODUCERS -> published[other] = buffered[other]; other++
        :: else -> break
        od;
        asleep = asleep || falling_asleep;
        falling_asleep = false
    }
}

/* An exchange by the owner. */
inline exchange_asleep(value)
{
    atomic { falling_asleep = false; asleep = value }
}

/* Reads `asleep`: with the fallback a read-modify-write, which lets the own stores go first. */
inline read_asleep(self, result)
{
    atomic {
#ifdef FALLBACK
        published[self] = buffered[self];
#endif
        result = asleep
    }
}

inline sleeper_wake(self)
{
    read_asleep(self, seen);
    if
    :: seen ->
        /* The exchange lets the own stores go, too. */
        atomic { published[self] = buffered[self]; seen = asleep; asleep = false };
        if
        :: seen -> waiting = false /* futex wake: nothing if nobody waits */
        :: else
        fi
    :: else
    fi
}

proctype producer(byte self)
{
    bool seen;
    byte count;
    do
    :: count < ENTRIES -> count++; buffered[self] = count; sleeper_wake(self)
    :: else -> break
    od
}

/* Reads one input after the other, not all at once. */
inline poll()
{
    found = false;
    index = 0;
    do
    :: index < PRODUCERS ->
        if
        :: consumed[index] != published[index] -> consumed[index]++; left--; found = true
        :: else
        fi;
        index++
    :: else -> break
    od
}

/* The kernel compares and goes to sleep in one step, and sees the owner's own stores. */
inline futex_wait()
{
    atomic {
        asleep = asleep || falling_asleep;
        falling_asleep = false;
        if
        :: asleep -> waiting = true
        :: else
        fi
    };
    !waiting
}

inline sleeper_prepare()
{
#ifdef FALLBACK
    exchange_asleep(true)
#else
    falling_asleep = true;
#ifndef NO_BARRIER
    membarrier()
#endif
#endif
}

active proctype owner()
{
    byte consumed[PRODUCERS];
    byte left = PRODUCERS * ENTRIES;
    byte index;
    bool found;

    atomic {
        index = 0;
        do
        :: index < PRODUCERS -> run producer(index); run store_buffer(index); index++
        :: else -> break
        od
    };
    do
    :: left == 0 -> break
    :: else ->
        poll();
        if
        :: found || left == 0
        :: else ->
            sleeper_prepare();
#ifndef NO_REPOLL
            poll();
#endif
            if
            :: found
            :: else -> futex_wait()
            fi;
            exchange_asleep(false)
        fi
    od;
    assert(consumed[0] == ENTRIES && consumed[PRODUCERS - 1] == ENTRIES)
}
