/* SPDX-License-Identifier: MIT
 * Work done side by side in child processes: what a hostile answer does to one of them, it does to
 * that one alone.
 */
#ifndef CHECK_JOBS_H
#define CHECK_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct job {
    void (*run)(const void *what, void *facts);
    const void *what;
    void *facts;      /* in shared memory (jobs_memory); the child fills it in */
    int64_t limit_ms; /* after which the child is killed */
    pid_t pid;        /* kept by jobs_run, as is what follows */
    int64_t started_at;
};

/* Zeroed memory that children share with their parent; NULL when there is none. */
void *jobs_memory(size_t size);
void jobs_memory_free(void *memory, size_t size);

/* Runs all jobs, at most `at_once` at a time, and returns when none is left. Tells `progress` (may
 * be NULL) how many have ended. A child that fails leaves its facts as far as it came. */
void jobs_run(struct job *jobs, size_t count, size_t at_once,
              void (*progress)(size_t ended, size_t count));

#endif
