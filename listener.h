/* SPDX-License-Identifier: MIT
 * The listening sockets.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* Opens every `listen` of the configuration, non-blocking, into fds[config->listen_count]. What
 * cannot be opened is an error among the findings, and none stays open. */
bool listener_open_all(const struct config *config, int *fds, struct finding_list *findings);
void listener_close_all(int *fds, size_t count);
/* One log line for each, with the port that the kernel chose where the INI says 0. */
void listener_log(const int *fds, size_t count);

#endif
