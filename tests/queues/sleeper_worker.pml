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
 *     -DNO_PAUSE_LOOK (PAUSES)  no look at a wanted pause after it      sleeps for ever
 *     -DTOLD_ONCE (PAUSES=2)    a rest does not see that it is the      sleeps for ever
 *                               next one already, and tells nobody
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
#define REST      7 /* of the worker: rests_at = the pause it saw */

byte invokes;  /* the published index of the ring of invokes */
byte results;  /* of the ring of results */
byte consumed; /* the other index of the ring of results */
bool wants_room;
byte pause; /* odd: wanted */
byte rests_at;
byte rests_at_next; /* what REST writes */
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
    :: what == REST -> rests_at = rests_at_next
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

/* worker_step: what waits is run until there is no room. Their results become visible after it. */
inline worker_step()
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
#ifndef NO_PAUSE_LOOK
    if
    :: !progress -> progress = pause % 2 == 1
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

/* worker_rest: the number it tells is the one it saw; the engine may have gone on to the next. It
 * sleeps only on the number it has told. */
inline tell_rest()
{
    empty(held_back[OWNER]); /* one variable for the value of a store that is held back */
    rests_at_next = seen_pause;
    held_back[OWNER]!REST
}

inline worker_rest()
{
    seen_pause = pause;
    tell_rest();
    do
    :: seen_pause = pause;
        if
        :: seen_pause % 2 == 0 || stop -> break
        :: else
        fi;
#ifndef TOLD_ONCE
        if
        :: rests_at_next != seen_pause -> tell_rest()
        :: else
        fi;
#endif
        sleeper_prepare();
        if
#ifdef TOLD_ONCE
        :: pause % 2 == 1 && !stop -> sleeper_wait()
#else
        :: pause == seen_pause && !stop -> sleeper_wait()
#endif
        :: else -> sleeper_cancel()
        fi
    od;
    seen_pause = 0
}

active proctype worker()
{
    byte known; /* of `invokes`, as the ring remembers it */
    byte freed; /* of `consumed`, as the arena remembers it */
    byte done;
    byte seen_pause;
    bool needs_room;
    bool progress;

    atomic { run processor(OWNER); run processor(ENGINE); run engine() };
    do
    :: stop -> break
    :: else ->
        if
        :: pause % 2 == 1 -> worker_rest()
        :: else ->
            worker_step();
            if
            :: progress
            :: else -> worker_sleep()
            fi
        fi
    od;
#ifndef NO_DRAIN
    do
    :: worker_step();
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

/* worker_pause, by one read-modify-write. */
inline worker_pause()
{
    d_step { let_go(ENGINE); pause++ };
    sleeper_wake(ENGINE)
}

/* Nothing runs while the worker is paused. */
inline pause_and_go_on()
{
    paused_count++;
    worker_pause();
    rests_at == pause;
    ran_before = run_count;
    assert(run_count == ran_before);
    worker_pause();
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
