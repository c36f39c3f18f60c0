#include "engine/partition/mender.h"

#include <assert.h>
#include <sched.h>

#include "engine/base/region.h"

static void *mender_main(void *argument)
{
    region_mend();
    return argument;
}

void mender_start(struct mender *mender, const uint32_t *cpus, uint32_t cpus_count)
{
    assert(!mender->has_thread);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < cpus_count; i++)
        CPU_SET(cpus[i], &set);
    if (cpus_count > 0)
        pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    mender->has_thread = pthread_create(&mender->thread, &attributes, mender_main, NULL) == 0;
    pthread_attr_destroy(&attributes);
    if (mender->has_thread)
        pthread_setname_np(mender->thread, "fly-mender");
}

bool mender_is_at_work(struct mender *mender)
{
    if (mender->has_thread && pthread_tryjoin_np(mender->thread, NULL) == 0)
        mender->has_thread = false;
    return mender->has_thread;
}

void mender_finish(struct mender *mender)
{
    if (mender->has_thread)
        pthread_join(mender->thread, NULL);
    mender->has_thread = false;
}
