#include "engine/main/notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "engine/base/clock.h"

void notify_init(struct notify *notify)
{
    uint64_t timeout_us;
    *notify = (struct notify){0};
    /* Half of the time that is allowed, as sd_watchdog_enabled(3) recommends. */
    if (sd_watchdog_enabled(0, &timeout_us) > 0)
        notify->watchdog_ns = timeout_us * 1000 / 2;
}

void notify_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_now_ns() / 1000);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=answering what is open");
}

uint64_t notify_turn(struct notify *notify, uint64_t now_ns)
{
    if (notify->watchdog_ns == 0)
        return UINT64_MAX;
    uint64_t since_ns = now_ns - notify->last_ns;
    if (since_ns < notify->watchdog_ns)
        return notify->watchdog_ns - since_ns;
    sd_notify(0, "WATCHDOG=1");
    notify->last_ns = now_ns;
    return notify->watchdog_ns;
}
