/* SPDX-License-Identifier: MIT
 * The workers of a supervisor. All that is believed of a worker is its one byte and its death: a
 * worker that has been taken over can end itself, and nothing else here.
 */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

void pool_init(struct pool *pool, const struct supervisor_setup *setup, struct metrics *metrics)
{
    *pool = (struct pool){.sandbox = setup->sandbox,
                          .listeners = setup->listeners,
                          .listener_count = setup->listener_count,
                          .inherited = setup->inherited,
                          .metrics = metrics};
    for (unsigned i = 0; i < POOL_SIZE; i++)
        pool->workers[i] = (struct worker){.fd = -1, .index = i};
}

bool pool_start(struct pool *pool, const struct snapshot *snapshot, unsigned generation)
{
    const struct worker_setup setup = {snapshot,        pool->metrics,        &pool->sandbox,
                                       pool->listeners, pool->listener_count, pool->inherited};
    struct worker *free_worker = NULL;

    for (unsigned i = 0; i < POOL_SIZE && free_worker == NULL; i++)
        if (pool->workers[i].pid == 0)
            free_worker = &pool->workers[i];
    if (free_worker == NULL)
        errno = EAGAIN; /* generations that have not finished fill the pool */
    if (free_worker != NULL && worker_start(free_worker, &setup)) {
        free_worker->generation = generation;
        return true;
    }
    log_text(LOG_ERROR, "worker_failed", "cannot start a worker: %s", strerror(errno));
    return false;
}

static unsigned count(const struct pool *pool, unsigned generation, bool ready_only)
{
    unsigned total = 0;

    for (size_t i = 0; i < POOL_SIZE; i++) {
        const struct worker *worker = &pool->workers[i];
        total +=
            worker->pid != 0 && worker->generation == generation && (worker->ready || !ready_only);
    }
    return total;
}

unsigned pool_count(const struct pool *pool, unsigned generation)
{
    return count(pool, generation, false);
}

unsigned pool_count_ready(const struct pool *pool, unsigned generation)
{
    return count(pool, generation, true);
}

bool pool_is_empty(const struct pool *pool)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        if (pool->workers[i].pid != 0)
            return false;
    return true;
}

void pool_go(struct pool *pool, unsigned generation)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        if (pool->workers[i].pid != 0 && pool->workers[i].generation == generation)
            worker_go(&pool->workers[i]);
}

void pool_stop(struct pool *pool, unsigned generation, int64_t end_by)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        if (pool->workers[i].generation == generation)
            worker_stop(&pool->workers[i], end_by);
}

void pool_disown(struct pool *pool, unsigned generation, int64_t end_by)
{
    pool_stop(pool, generation, end_by);
    for (size_t i = 0; i < POOL_SIZE; i++)
        if (pool->workers[i].generation == generation)
            pool->workers[i].generation = 0;
}

void pool_stop_all(struct pool *pool, int64_t end_by)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        worker_stop(&pool->workers[i], end_by);
}

int64_t pool_kill_late(struct pool *pool, int64_t now)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < POOL_SIZE; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->pid == 0 || !worker->stopping)
            continue;
        if (worker->end_by <= now) {
            log_text(LOG_ERROR, "worker_killed", "worker %d did not end in time", (int)worker->pid);
            kill(worker->pid, SIGKILL);
            worker->end_by = INT64_MAX;
        }
        next = worker->end_by < next ? worker->end_by : next;
    }
    return next;
}

nfds_t pool_poll_fds(const struct pool *pool, struct pollfd *fds)
{
    nfds_t number = 0;

    for (size_t i = 0; i < POOL_SIZE; i++) {
        const struct worker *worker = &pool->workers[i];
        if (worker->pid != 0 && worker->fd >= 0 && (!worker->ready || worker->stopping))
            fds[number++] = (struct pollfd){.fd = worker->fd, .events = POLLIN};
    }
    return number;
}

/* "Ready", or the end of the line. */
static void hear(struct worker *worker)
{
    char byte;
    ssize_t n = read(worker->fd, &byte, 1);

    if (n == 1)
        worker->ready = true;
    else if (worker->stopping)
        worker_hang_up(worker);
    else
        kill(worker->pid, SIGKILL); /* not ready and never will be: dead, or had better be */
}

void pool_hear(struct pool *pool, const struct pollfd *fds, nfds_t count_of_fds)
{
    for (nfds_t n = 0; n < count_of_fds; n++) {
        for (size_t i = 0; fds[n].revents != 0 && i < POOL_SIZE; i++) {
            struct worker *worker = &pool->workers[i];
            if (worker->pid != 0 && worker->fd >= 0 && worker->fd == fds[n].fd)
                hear(worker);
        }
    }
}

bool pool_accepts(const struct pool *pool, unsigned generation)
{
    for (size_t i = 0; i < POOL_SIZE; i++)
        if (pool->workers[i].pid != 0 && pool->workers[i].generation == generation &&
            pool->workers[i].fd >= 0)
            return true;
    return false;
}

bool pool_reap(struct pool *pool, struct worker *dead, int *status)
{
    pid_t pid;

    /* Every child there is: as process 1 we also inherit those of others. */
    while ((pid = waitpid(-1, status, WNOHANG)) > 0) {
        for (size_t i = 0; i < POOL_SIZE; i++) {
            struct worker *worker = &pool->workers[i];
            if (worker->pid != pid)
                continue;
            *dead = *worker;
            worker_hang_up(worker);
            worker->pid = 0;
            worker->generation = 0;
            metrics_set_open(pool->metrics, worker->index, 0);
            return true;
        }
    }
    return false;
}
