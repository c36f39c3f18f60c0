/*
 * notify: tells systemd how the service is, by libsystemd's sd_notify(3): the kept one, and there
 * on every Debian that runs systemd. Where nobody asks ($NOTIFY_SOCKET is not set) nothing happens.
 *
 * Threads: the engine's, which is what the watchdog is to watch.
 */
#ifndef ENGINE_MAIN_NOTIFY_H
#define ENGINE_MAIN_NOTIFY_H

#include <stdint.h>

struct notify {
    uint64_t watchdog_ns; /* between two signs of life; 0: none is asked for */
    uint64_t last_ns;
};

void notify_init(struct notify *notify);
/* It serves. `status` is what `systemctl status` says. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
/* A sign of life when it is time; returns in how many ns the next one is. */
uint64_t notify_turn(struct notify *notify, uint64_t now_ns);

#endif
