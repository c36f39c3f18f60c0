#include "engine/base/thread.h"

#include <assert.h>
#include <string.h>

static int set_attributes(pthread_attr_t *attributes, const cpu_set_t *cpus)
{
    sigset_t all;
    sigfillset(&all);
    int error = pthread_attr_setsigmask_np(attributes, &all);
    if (error == 0 && cpus != NULL)
        error = pthread_attr_setaffinity_np(attributes, sizeof *cpus, cpus);
    return error;
}

int thread_start(pthread_t *ret_thread, const char *name, const cpu_set_t *cpus,
                 void *(*run)(void *), void *argument)
{
    assert(strlen(name) <= 15);
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    error = set_attributes(&attributes, cpus);
    if (error == 0)
        error = pthread_create(ret_thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    if (error == 0)
        pthread_setname_np(*ret_thread, name);
    return error;
}

void thread_hold_signals(sigset_t *ret_before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

void thread_release_signals(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}
