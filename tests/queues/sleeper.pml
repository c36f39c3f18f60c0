/*
 * The protocol of queues/sleeper.c, to be searched in full by spin: one owner in the shape of
 * storage/writer.c (run, wait_for_blocks, writer_close), with PRODUCERS inputs where the writer has
 * one, every order of their steps, and a request to stop that races with the last entries and with
 * the owner's falling asleep.
 *
 *     spin -run sleeper.pml                         no error
 *     spin -DPRODUCERS=3 -run sleeper.pml           the same with three (8 million states, 0.9 GB)
 *     spin -DPRODUCERS=1 -DFAILURE -run sleeper.pml the writer itself; an append may fail
 *     spin -DFALLBACK -run sleeper.pml              the same without membarrier
 *     spin -DEVENTFD -run sleeper.pml               the owner waits for an eventfd, in its own call
 *     spin -run -l -f -DNFAIR=3 sleeper.pml         no run goes on for ever
 *
 * No error: no wake-up is lost, the owner ends, and nothing is left in an input when it has. With
 * a piece taken out, the search finds the loss:
 *
 *     -DNO_BARRIER             prepare without membarrier          sleeps for ever
 *     -DNO_FENCE               wakers look before they publish     sleeps for ever
 *     -DNO_REPOLL              no look at the inputs after it      sleeps for ever
 *     -DNO_STOP_LOOK           no look at the request after it     sleeps for ever
 *     -DEVENTFD -DEARLY_READ   the event read before it is waited for  sleeps for ever
 *     -DLATE_STOP_READ         the request read after the inputs   ends with an entry left
 *     -DNO_STOP_READ -l -f     the request not obeyed              goes on for ever
 *
 * Sleeping for ever is an invalid end state: the owner is in its wait, and nobody will come. Going
 * on for ever is a non-progress cycle.
 *
 * Each producer has one input, a count, as a ring has its published index, and publishes ENTRIES
 * times. The first one asks the owner to stop, once it can see that the others have published all
 * they have: they may still be on their way to wake the owner. It may be patient and let the owner
 * finish first: a request to stop wakes too, and would hide that a wake-up before it was lost.
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif

#define THREADS  (1 + PRODUCERS)
#define HELD_MAX (ENTRIES + 1)

/* The stores. */
#define ASLEEP  1
#define PUBLISH 2
#define STOP    3

#define STOPPER 1

byte published[THREADS];
bool stopping;
bool failed;
bool ended;

inline see(self, what)
{
    if
    :: what == ASLEEP -> asleep = true
    :: what == PUBLISH -> published[self]++
    :: what == STOP -> stopping = true
    fi
}

#include "sleeper_memory.pml"

byte consumed[THREADS];

/* writer_close: release, wake, join. */
inline ask_to_stop(self)
{
    index = STOPPER + 1;
    do
    :: index < THREADS -> published[index] == ENTRIES; index++
    :: else -> break
    od;
    if
    :: index = STOPPER;
        do
        :: index < THREADS -> failed || consumed[index] == ENTRIES; index++
        :: else -> break
        od
    :: skip
    fi;
    held_back[self]!STOP;
    sleeper_wake(self);
    ended
}

proctype producer(byte self)
{
    bool seen;
    byte index;
    do
    :: index < ENTRIES ->
        index++;
#ifdef NO_FENCE
        read_asleep(self);
        held_back[self]!PUBLISH;
        wake_if_seen(self)
#else
        held_back[self]!PUBLISH;
        sleeper_wake(self)
#endif
    :: else -> break
    od;
    if
    :: self == STOPPER -> ask_to_stop(self)
    :: else
    fi
}

/* Looks at one input after the other, not at all at once. */
inline find_work()
{
    found = false;
    index = 1;
    do
    :: !failed && index < THREADS ->
        found = found || consumed[index] != published[index];
        index++
    :: else -> break
    od;
    index = 0
}

/* writer_on_block: all that waits, one input after the other. */
inline on_block()
{
    wrote = false;
    index = 1;
    do
    :: !failed && index < THREADS ->
        atomic { count = published[index] - consumed[index] };
        if
        :: count > 0 -> consumed[index] = consumed[index] + count; wrote = true
#ifdef FAILURE
        :: count > 0 -> failed = true; wrote = false
#endif
        :: else
        fi;
        index++
    :: else -> break
    od;
    count = 0;
    index = 0
}

inline wait_for_blocks()
{
    sleeper_prepare();
#ifndef NO_REPOLL
    find_work();
#endif
#ifndef NO_STOP_LOOK
    if
    :: !found -> found = stopping
    :: else
    fi;
#endif
    if
    :: found -> sleeper_cancel()
    :: else -> sleeper_wait()
    fi;
    found = false
}

active proctype owner()
{
    byte index;
    byte count;
    bool stop_seen;
    bool wrote;
    bool found;

    atomic {
        run processor(OWNER);
        index = 1;
        do
        :: index < THREADS -> run producer(index); run processor(index); index++
        :: else -> break
        od;
        index = 0
    };
    do
    ::
#if !defined(LATE_STOP_READ) && !defined(NO_STOP_READ)
        stop_seen = stopping;
#endif
        on_block();
#ifdef LATE_STOP_READ
        stop_seen = stopping;
#endif
        if
        :: wrote -> wrote = false
        :: else ->
            if
            :: stop_seen -> break
            :: else -> wait_for_blocks()
            fi
        fi
    od;
    index = 1;
    do
    :: index < THREADS -> assert(failed || consumed[index] == ENTRIES); index++
    :: else -> break
    od;
    ended = true
}
