/* SPDX-License-Identifier: MIT
 * A worker's start: from the fork to the moment when it is locked up and serves. Its line to the
 * parent is a socket pair: a byte from the worker means "ready", one from the parent "go", the end
 * of what the parent says "stop", whether the parent wanted that or died; and the worker's end
 * closed means that it accepts nobody any more.
 */
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "monotonic.h"
#include "server.h"

/* Standard input, output and error, the log, epoll, the line to the parent, one to refuse with. */
#define DESCRIPTORS_BESIDE 7
#define KEPT_MAX 80
#define AUTO_MAX 8 /* workers, where their number is left to us */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

size_t worker_descriptors(const struct config *config, size_t listener_count)
{
    return DESCRIPTORS_BESIDE + listener_count + config->max_connections;
}

unsigned worker_count(const struct config *config)
{
    cpu_set_t cpus;

    if (config->workers > 0)
        return config->workers;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    int count = CPU_COUNT(&cpus);
    return count < 1 ? 1 : count > AUTO_MAX ? AUTO_MAX : (unsigned)count;
}

/* What the kernel lacks is said once; with sandbox = strict it is a reason not to serve. */
static bool check_sandbox(const struct config *config, struct finding_list *findings)
{
    char missing[64] = "";
    bool refuse = config->sandbox == CONFIG_SANDBOX_STRICT && sandbox_lacks_layer();

    if (config->sandbox != CONFIG_SANDBOX_OFF)
        sandbox_missing(missing, sizeof missing);
    if (config->sandbox == CONFIG_SANDBOX_OFF)
        finding_add(findings, FINDING_WARNING, "SANDBOX", (struct place){config->path, 0, 0},
                    "sandbox = off: workers are not locked up; for debugging only");
    else if (missing[0] != '\0')
        finding_add(findings, refuse ? FINDING_ERROR : FINDING_WARNING, "SANDBOX",
                    (struct place){config->path, 0, 0},
                    "this kernel lacks parts of the sandbox: %s", missing);
    return !refuse;
}

/* Workers take just the descriptors they need, which must be allowed. */
static bool check_descriptors(const struct config *config, size_t listener_count,
                              struct finding_list *findings)
{
    size_t needed = worker_descriptors(config, listener_count);
    struct rlimit limits;

    if (geteuid() == 0 || getrlimit(RLIMIT_NOFILE, &limits) != 0 || limits.rlim_max >= needed)
        return true;
    finding_add(findings, FINDING_ERROR, "DESCRIPTORS",
                (struct place){config->path, config->server.max_connections.line, 0},
                "max_connections = %u needs %zu descriptors, this process may have %llu: raise the "
                "limit (ulimit -n, LimitNOFILE=) or lower the value",
                config->max_connections, needed, (unsigned long long)limits.rlim_max);
    return false;
}

bool worker_check(const struct config *config, size_t listener_count, struct finding_list *findings)
{
    bool good = check_sandbox(config, findings);

    return check_descriptors(config, listener_count, findings) && good;
}

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void close_between(int first, int last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    /* Linux before 5.9: the parent has few descriptors, all of them low. */
    for (int fd = first; fd <= last && fd < 1024; fd++)
        close(fd);
}

/* A worker must not hold its siblings' lines: their end would go unnoticed. */
static void close_others(const struct worker_setup *setup, int line)
{
    int kept[KEPT_MAX] = {STDERR_FILENO, line, log_fd()}, count = 3;

    for (size_t i = 0; i < setup->listener_count && count < KEPT_MAX; i++)
        kept[count++] = setup->listeners[i];
    qsort(kept, (size_t)count, sizeof *kept, compare_fds);
    for (int i = 0; i + 1 < count; i++)
        close_between(kept[i] + 1, kept[i + 1] - 1);
    close_between(kept[count - 1] + 1, INT32_MAX);
}

static void fail(const char *what)
{
    log_text(LOG_ERROR, "worker_failed", "%s: %s", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

static void run(const struct worker_setup *setup, unsigned index, int line)
{
    const struct conn_site site = {&setup->snapshot->config, setup->snapshot->store,
                                   setup->metrics};

    log_set_level(setup->snapshot->config.log);
    close_others(setup, line);
    /* The parent's generator, copied by fork, would repeat itself. */
    if (!tls_init())
        fail("random numbers");
    struct server *server =
        server_new(&site, index, setup->listeners, setup->listener_count, setup->inherited);
    if (server == NULL)
        fail("no memory for the connections");
    const char *failed = sandbox_enter(setup->sandbox);
    if (failed != NULL)
        fail(failed);
    /* A parent that has gone meanwhile means "stop" too: the loop will see it. */
    if (send(line, "r", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
        fail("the line to the parent");
    if (!server_run(server, line))
        fail("the event loop");
    /* Neither exit handlers nor buffers of the parent's. */
    _exit(EXIT_SUCCESS);
}

bool worker_start(struct worker *worker, const struct worker_setup *setup)
{
    int lines[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, lines) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        run(setup, worker->index, lines[1]);
    int error = errno;
    close(lines[1]);
    if (pid < 0) {
        close(lines[0]);
        errno = error;
        return false;
    }
    worker->pid = pid;
    worker->fd = lines[0];
    worker->ready = worker->going = worker->stopping = false;
    worker->started_at = monotonic_ms();
    return true;
}

void worker_go(struct worker *worker)
{
    if (!worker->ready || worker->going || worker->stopping)
        return;
    worker->going = send(worker->fd, "g", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

void worker_stop(struct worker *worker, int64_t end_by)
{
    if (worker->pid == 0 || worker->stopping)
        return;
    shutdown(worker->fd, SHUT_WR);
    worker->stopping = true;
    worker->end_by = end_by;
}

void worker_hang_up(struct worker *worker)
{
    if (worker->fd >= 0)
        close(worker->fd);
    worker->fd = -1;
}
