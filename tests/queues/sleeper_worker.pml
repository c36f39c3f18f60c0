/*
 * How engine/service/worker.c uses the sleeper, to be searched in full by spin: the worker thread
 * (worker_main, worker_sleep, worker_step) waits for an invoke or, where the arena is full, for
 * room, and the engine sends, takes results and stops it, in every order.
 *
 *     spin -run sleeper_worker.pml                       no error
 *     spin -DFALLBACK -run sleeper_worker.pml            the same without membarrier
 *     spin -DPAUSES=2 -DINVOKES=2 -run sleeper_worker.pml    the worker is paused, twice
 *     spin -run -l -f -DNFAIR=3 sleeper_worker.pml       no run goes on for ever
 *
 * No error: no wake-up is lost, the worker ends, and after the join every invoke has been run,
 * unless the engine left so many results unread that there was no room for one more. With a piece
 * taken out, the search finds the loss:
 *
 *     -DNO_BARRIER              prepare without membarrier              sleeps for ever
 *     -DNO_REPOLL               no step after it                        sleeps for ever
 *     -DNO_STOP_LOOK            no look at the request after it         sleeps for ever
 *     -DNO_SECOND_PEEK          an invoke without room is slept on      sleeps for ever
 *     -DNO_WISH                 `wants_room` is never written           sleeps for ever
 *     -DFALLBACK -DPLAIN_LOOK   the engine only loads `wants_room`      sleeps for ever
 *     -DNO_PAUSE_WAKE (PAUSES)  the end of a pause wakes nobody         sleeps for ever
 *     -DNO_PAUSE_LOOK (PAUSES)  no look at a wanted pause once it has   works in a pause
 *                               said that it works
 *     -DPLAIN_WORKING (PAUSES)  it says so by a plain store             works in a pause
 *     -DNO_DRAIN                nothing is run after the request        ends with an invoke left
 *
 * The engine is patient (it stops the worker when all results are in) or not: a request to stop
 * wakes too, and would hide that a wake-up before it was lost. It waits for results without a
 * sleeper of its own: that side is sleeper.pml.
 *
 * With membarrier a plain load of `wants_room` would lose nothing (-DPLAIN_LOOK alone: no error):
 * the read-modify-write is what the other kind needs.
 */
#ifndef INVOKES
#define INVOKES 3
#endif
#ifndef ROOM
#define ROOM 1 /* results that the arena holds */
#endif

#ifndef PAUSES
#define PAUSES 0 /* how often the engine makes the worker pause */
#endif

#define THREADS  2
#define HELD_MAX (2 * INVOKES + 1)

#define ENGINE 1

/* The stores. */
#define ASLEEP    1
#define INVOKE    2 /* of the engine: one entry published */
#define GIVE_BACK 3 /* of the engine: one result consumed */
#define STOP      4 /* of the engine */
#define RESULT    5 /* of the worker: one result published */
#define NO_WANT   6 /* of the worker: wants_room = 0 */
#define WORK      7 /* of the worker: working = true, where that is a plain store */

byte invokes;  /* the published index of the ring of invokes */
byte results;  /* of the ring of results */
byte consumed; /* the other index of the ring of results */
bool wants_room;
bool pause; /* wanted */
bool working;
bool stop;
bool ended;
byte run_count; /* invokes that were run */

inline see(self, what)
{
    if
    :: what == ASLEEP -> asleep = true
    :: what == INVOKE -> invokes++
    :: what == GIVE_BACK -> consumed++
    :: what == STOP -> stop = true
    :: what == RESULT -> results++
    :: what == NO_WANT -> wants_room = false
    :: what == WORK -> working = true
    fi
}

#include "sleeper_memory.pml"

/* ring_peek(invokes, 1): looks at the shared index only where it knows of none. */
inline peek_one()
{
    if
    :: known == run_count -> known = invokes
    :: else
    fi
}

/* run_batch: what waits is run until there is no room. Their results become visible after it. That
 * a wanted pause ends it early is left out: it then runs as if less had waited. */
inline run_batch()
{
    known = invokes;
    done = 0;
    do
    :: known > run_count + done ->
        if
        :: run_count + done - freed == ROOM -> freed = consumed
        :: else
        fi;
        if
        :: run_count + done - freed == ROOM -> break
        :: else -> done++
        fi
    :: else -> break
    od;
    progress = done > 0;
    run_count = run_count + done;
    do
    :: done > 0 -> held_back[OWNER]!RESULT; done--
    :: else -> break
    od
}

inline end_work()
{
    d_step { let_go(OWNER); working = false }
}

/* begin_work, run_batch, end_work. */
inline worker_step()
{
    progress = false;
    if
    :: pause
    :: else ->
#ifdef PLAIN_WORKING
        held_back[OWNER]!WORK;
#else
        d_step { let_go(OWNER); working = true };
#endif
        if
#ifndef NO_PAUSE_LOOK
        :: pause -> end_work()
#endif
        :: else -> run_batch(); end_work()
        fi
    fi
}

inline worker_sleep()
{
    peek_one();
    needs_room = known > run_count;
#ifndef NO_WISH
    d_step { let_go(OWNER); wants_room = needs_room };
#endif
    sleeper_prepare();
    progress = false;
#ifndef NO_REPOLL
    worker_step();
#endif
#ifndef NO_STOP_LOOK
    if
    :: !progress -> progress = stop
    :: else
    fi;
#endif
#ifndef NO_SECOND_PEEK
    if
    :: !progress && !needs_room -> peek_one(); progress = known > run_count
    :: else
    fi;
#endif
    if
    :: progress -> sleeper_cancel()
    :: else -> sleeper_wait()
    fi;
    held_back[OWNER]!NO_WANT;
    progress = false;
    needs_room = false
}

active proctype worker()
{
    byte known; /* of `invokes`, as the ring remembers it */
    byte freed; /* of `consumed`, as the arena remembers it */
    byte done;
    bool needs_room;
    bool progress;

    atomic { run processor(OWNER); run processor(ENGINE); run engine() };
    do
    :: stop -> break
    :: else ->
        worker_step();
        if
        :: progress
        :: else -> worker_sleep()
        fi
    od;
#ifndef NO_DRAIN
    do
    :: run_batch();
        if
        :: progress
        :: else -> break
        fi
    od;
#endif
    ended = true
}

/* worker_consume_results, of one. */
inline consume_result()
{
    taken++;
    held_back[ENGINE]!GIVE_BACK;
#ifdef PLAIN_LOOK
    seen = wants_room;
#else
    d_step { let_go(ENGINE); seen = wants_room };
#endif
    if
    :: seen -> sleeper_wake(ENGINE)
    :: else
    fi;
    seen = false
}

/* worker_pause, both ways. Nothing runs, and nothing becomes visible, while the worker is paused. */
inline pause_and_go_on()
{
    paused_count++;
    d_step { let_go(ENGINE); pause = true };
    !working;
    ran_before = run_count;
    assert(results == ran_before);
    assert(run_count == ran_before);
    d_step { let_go(ENGINE); pause = false };
#ifndef NO_PAUSE_WAKE
    sleeper_wake(ENGINE);
#endif
    ran_before = 0
}

proctype engine()
{
    byte paused_count;
    byte ran_before;
    byte sent;
    byte taken;
    bool seen;
    bool patient;

    if
    :: patient = true
    :: patient = false
    fi;
    do
    :: sent < INVOKES -> sent++; held_back[ENGINE]!INVOKE; sleeper_wake(ENGINE)
    :: taken < results -> consume_result()
    :: paused_count < PAUSES -> pause_and_go_on()
    :: !patient || taken == INVOKES -> break
    od;
    held_back[ENGINE]!STOP;
    sleeper_wake(ENGINE);
    ended;
    assert(run_count == sent || run_count - taken == ROOM)
}
