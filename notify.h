/* SPDX-License-Identifier: MIT
 * The two protocols of a service manager: sockets handed over (sd_listen_fds(3)) and state told
 * (sd_notify(3)), without libsystemd.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "finding.h"

#define NOTIFY_LISTEN_MAX 64

/* Takes the sockets that were handed over to this process: non-blocking, close-on-exec. *count is 0
 * if there are none. False, with an error among the findings, if something else was handed over.
 * The variables are removed from the environment. */
bool notify_take_listeners(int fds[NOTIFY_LISTEN_MAX], size_t *count,
                           struct finding_list *findings);

/* Reads $NOTIFY_SOCKET once and connects; without it the calls below do nothing. */
void notify_open(void);
/* Sends a state, such as "READY=1". Never waits; what cannot be sent is dropped. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
