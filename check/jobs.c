/* SPDX-License-Identifier: MIT
 * Child processes that each look at one thing. The parent waits for them, kills those that outlast
 * their limit, and never waits for one of them alone.
 */
#include "jobs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monotonic.h"
#include "tls.h"

#define LOOK_MS 200 /* between looks at who is late */

void *jobs_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void jobs_memory_free(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}

static void start(struct job *job, const sigset_t *before)
{
    pid_t parent = getpid();

    job->started_at = monotonic_ms();
    job->pid = fork();
    if (job->pid != 0)
        return; /* without a process its facts stay empty: not done */
    sigprocmask(SIG_SETMASK, before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Random numbers of its own. */
    if (getppid() == parent && tls_init())
        job->run(job->what, job->facts);
    _exit(EXIT_SUCCESS);
}

static size_t reap(struct job *jobs, size_t count)
{
    size_t ended = 0;
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (size_t i = 0; i < count; i++)
            if (jobs[i].pid == pid) {
                jobs[i].pid = 0;
                ended++;
            }
    return ended;
}

static void kill_late(const struct job *jobs, size_t count)
{
    int64_t now = monotonic_ms();

    for (size_t i = 0; i < count; i++)
        if (jobs[i].pid > 0 && now - jobs[i].started_at > jobs[i].limit_ms)
            kill(jobs[i].pid, SIGKILL);
}

void jobs_run(struct job *jobs, size_t count, size_t at_once,
              void (*progress)(size_t ended, size_t count))
{
    const struct timespec pause = {0, LOOK_MS * 1000000L};
    size_t started = 0, ended = 0;
    sigset_t children, before;

    fflush(stdout); /* or the children would hold a copy of what is not yet written */
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, &before);
    while (ended < count) {
        while (started < count && started - ended < at_once) {
            start(&jobs[started], &before);
            ended += jobs[started].pid < 0;
            started++;
        }
        if (ended == started)
            continue;
        sigtimedwait(&children, NULL, &pause);
        ended += reap(jobs, started);
        kill_late(jobs, started);
        if (progress != NULL)
            progress(ended, count);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}
