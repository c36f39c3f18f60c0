/*
 * What sleeper.pml and sleeper_worker.pml share: threads whose stores are held back while their later loads
 * go ahead, membarrier, the futex, and the functions of queues/sleeper.c, step by step as they
 * stand there. Before it is included:
 *
 *     THREADS, HELD_MAX         how many threads; how many stores one of them may hold back
 *     see(thread, store)        inline: a store of this thread reaches the memory
 *
 * Thread 0 owns the sleeper. The stores of one thread arrive in their order: those that matter are
 * releases, or stand before one. A store without a barrier after it may be held back for as long
 * as it likes, a seq_cst store too: what a relaxed load after it sees is then not settled in C.
 * A read-modify-write, a system call of membarrier and a futex let all earlier stores go.
 *
 * No wait here ends by itself (by a timeout, a signal): that would hide a wake-up that is lost.
 */
#define OWNER 0

chan held_back[THREADS] = [HELD_MAX] of { byte };
hidden byte store;
hidden byte thread;

bool asleep;
bool waiting; /* the owner is inside futex wait, or in the call that waits for its eventfd */
bool event;   /* the eventfd can be read */

/* The processor of a thread lets its stores go whenever it likes, the oldest first. */
proctype processor(byte self)
{
end:
    do
    :: d_step { held_back[self]?store -> see(self, store) }
    od
}

/* Only inside of d_step. */
inline let_go(self)
{
    do
    :: nempty(held_back[self]) -> held_back[self]?store; see(self, store)
    :: empty(held_back[self]) -> break
    od
}

/* A full barrier in every thread: what any of them wrote before can be seen after. */
inline membarrier()
{
    d_step {
        thread = 0;
        do
        :: thread < THREADS -> let_go(thread); thread++
        :: else -> break
        od
    }
}

inline sleeper_cancel()
{
    d_step { let_go(OWNER); asleep = false }
}

inline sleeper_prepare()
{
#ifdef FALLBACK
    d_step { let_go(OWNER); asleep = true }
#else
    held_back[OWNER]!ASLEEP;
#ifndef NO_BARRIER
    if
    :: membarrier()
    :: sleeper_cancel() /* the kernel has no memory for it */
    fi
#endif
#endif
}

/* The kernel compares and goes to sleep in one step. sleeper.c looks before it calls the kernel;
 * that look is left out: `asleep` false stays false, so the kernel would see it too. */
inline sleeper_wait()
{
#ifdef EVENTFD
    d_step {
        let_go(OWNER);
        waiting = asleep
    };
    if
    :: waiting ->
#ifdef EARLY_READ
        event = false;
#endif
        atomic { event -> event = false };
        waiting = false
    :: else
    fi;
#else
    d_step {
        let_go(OWNER);
        waiting = asleep
    };
    !waiting;
#endif
    sleeper_cancel()
}

/* `seen` is a variable of the waker. */
inline read_asleep(self)
{
#ifdef FALLBACK
    d_step { let_go(self); seen = asleep }
#else
    seen = asleep
#endif
}

inline wake_if_seen(self)
{
    if
    :: seen ->
        d_step { let_go(self); seen = asleep; asleep = false };
        if
#ifdef EVENTFD
        :: seen -> event = true; seen = false /* stays until it is read */
#else
        :: seen -> waiting = false; seen = false /* futex wake: nothing if nobody waits */
#endif
        :: else
        fi
    :: else
    fi
}

inline sleeper_wake(self)
{
    read_asleep(self);
    wake_if_seen(self)
}
