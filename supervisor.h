/* SPDX-License-Identifier: MIT
 * The parent process: owns the sockets, the files and the workers, and never touches a client's
 * byte.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox.h"
#include "snapshot.h"

struct supervisor_setup {
    const char *path;          /* of the INI file, read again at every reload */
    struct snapshot *snapshot; /* what to serve first; the supervisor takes it over */
    struct sandbox sandbox;
    int *listeners; /* borrowed; closed when the time has come to stop, unless they are inherited */
    size_t listener_count;
    bool inherited;
};

/* Keeps the signals that the supervisor acts upon until it does. */
bool supervisor_block_signals(void);

/* Serves with a number of workers until SIGTERM or SIGINT. False, after logging why, if it could
 * not start or go on. */
bool supervisor_run(const struct supervisor_setup *setup);

#endif
