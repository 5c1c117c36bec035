/* SPDX-License-Identifier: MIT
 * A worker as its parent sees it: forked, locked up, told to stop.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "metrics.h"
#include "sandbox.h"
#include "snapshot.h"

/* What every worker of a supervisor starts from; borrowed. */
struct worker_setup {
    const struct snapshot *snapshot;
    struct metrics *metrics;
    const struct sandbox *sandbox;
    const int *listeners;
    size_t listener_count;
    bool inherited; /* the listeners, from a service manager that keeps them */
};

struct worker {
    pid_t pid; /* 0: no worker */
    int fd;    /* our end of a socket pair; -1 once the worker, told to stop, accepts nobody more */
    unsigned index;
    unsigned generation;
    bool ready, going, stopping;
    int64_t started_at; /* monotonic milliseconds */
    int64_t end_by;     /* once it has been told to stop */
};

/* Forks a worker: with fresh random numbers, without any descriptor that it does not need, locked
 * up by the sandbox. It sends one byte over worker->fd when it is ready, and accepts nobody before
 * worker_go. False with errno. */
bool worker_start(struct worker *worker, const struct worker_setup *setup);
/* Lets a worker that is ready accept connections. Idempotent. */
void worker_go(struct worker *worker);
/* Tells it to finish what it has and end; so does the end of its parent. Its end of the line closes
 * when it accepts nobody any more. Idempotent: the first time to end by counts. */
void worker_stop(struct worker *worker, int64_t end_by);
/* Lets go of the line. Idempotent. */
void worker_hang_up(struct worker *worker);

/* Whether workers of this configuration can run here; why not, and what goes without saying
 * otherwise, is among the findings. */
bool worker_check(const struct config *config, size_t listener_count,
                  struct finding_list *findings);
/* How many workers a configuration wants: `auto` is one a usable CPU, at most 8. */
unsigned worker_count(const struct config *config);
/* The number of descriptors that a worker of this configuration may have open at once. */
size_t worker_descriptors(const struct config *config, size_t listener_count);

#endif
