/* SPDX-License-Identifier: MIT
 * The workers of a supervisor, by generation.
 */
#ifndef POOL_H
#define POOL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "supervisor.h"
#include "worker.h"

#define POOL_SIZE METRICS_WORKERS_MAX

struct pool {
    struct worker workers[POOL_SIZE];
    struct sandbox sandbox; /* for the workers that are started from now on */
    const int *listeners;
    size_t listener_count;
    bool inherited;
    struct metrics *metrics;
};

void pool_init(struct pool *pool, const struct supervisor_setup *setup, struct metrics *metrics);
/* Starts one worker; false after logging why not. */
bool pool_start(struct pool *pool, const struct snapshot *snapshot, unsigned generation);
unsigned pool_count(const struct pool *pool, unsigned generation);
unsigned pool_count_ready(const struct pool *pool, unsigned generation);
bool pool_is_empty(const struct pool *pool);
/* Whether a worker of the generation may still accept a connection. */
bool pool_accepts(const struct pool *pool, unsigned generation);

/* Lets the workers of a generation that are ready begin to accept. */
void pool_go(struct pool *pool, unsigned generation);
/* Tell workers to finish and end. A disowned generation is none any more: its number can be used
 * again. */
void pool_stop(struct pool *pool, unsigned generation, int64_t end_by);
void pool_disown(struct pool *pool, unsigned generation, int64_t end_by);
void pool_stop_all(struct pool *pool, int64_t end_by);
/* Kills those that have not ended in time. When to look again; INT64_MAX if there is no need. */
int64_t pool_kill_late(struct pool *pool, int64_t now);

/* Fills fds with what to poll for, at most POOL_SIZE, and returns their number; pool_hear takes
 * what poll made of them. */
nfds_t pool_poll_fds(const struct pool *pool, struct pollfd *fds);
void pool_hear(struct pool *pool, const struct pollfd *fds, nfds_t count);

/* Takes one dead worker out of the pool: what it was, and its wait status. False when there is
 * none.
 */
bool pool_reap(struct pool *pool, struct worker *dead, int *status);

#endif
