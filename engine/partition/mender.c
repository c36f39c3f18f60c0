#include "engine/partition/mender.h"

#include <assert.h>
#include <sched.h>

#include "engine/base/region.h"
#include "engine/base/thread.h"

static void *mender_main(void *argument)
{
    region_mend();
    return argument;
}

void mender_start(struct mender *mender, const uint32_t *cpus, uint32_t cpus_count)
{
    assert(!mender->has_thread);
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < cpus_count; i++)
        CPU_SET(cpus[i], &set);
    mender->has_thread = thread_start(&mender->thread, "fly-mender", cpus_count > 0 ? &set : NULL,
                                      mender_main, NULL) == 0;
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
