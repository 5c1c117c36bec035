/* SPDX-License-Identifier: MIT
 * The parent process. It forks generations of workers, each of which serves one snapshot; replaces
 * those that die; and looks at the files on disk, so that a renewed certificate is served without
 * anybody's doing. All its input comes from the kernel, the disk and a one-byte message of its
 * workers.
 */
#include "supervisor.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "monotonic.h"
#include "notify.h"
#include "pool.h"
#include "reload.h"

#define LOOK_MS 2000    /* between looks at the files */
#define REPORT_MS 10000 /* between metrics */
#define DAY_MS 86400000
#define MISMATCH_MS 1000   /* a certificate and its key change one after the other */
#define HAND_OVER_MS 2000  /* for the old generation to stop accepting */
#define READY_MS 30000     /* what a generation may take to be ready */
#define PAUSE_MAX_MS 60000 /* between attempts at what keeps failing */
#define NEVER INT64_MAX

struct supervisor {
    const struct supervisor_setup *setup;
    struct metrics *metrics;
    struct snapshot *current; /* served by `generation` */
    struct snapshot *next;    /* served by generation + 1, while that is getting ready */
    struct reload reload;
    unsigned generation, workers_wanted;
    struct pool pool;
    int signal_fd;
    bool stopping, failed, metrics_failing;
    bool refused;                 /* the last reload: an older state is served */
    bool reload_again;            /* asked for while a new generation was getting ready */
    unsigned deaths;              /* of workers, in a row */
    unsigned failures;            /* of new generations, in a row */
    size_t errors, served_errors; /* found by the last reload; by the one that is served */
    char status[160];             /* last told to the service manager */
    int64_t reload_at, look_at, report_at, remind_at, replace_at, give_up_at, kill_at, promote_at;
    time_t reminded; /* of certificates that expire */
};

static void tell_status(struct supervisor *s, const char *state)
{
    char status[sizeof s->status];
    const char *note = s->refused      ? "last reload failed; "
                       : s->errors > 0 ? "last reload found errors; "
                                       : "";

    snprintf(status, sizeof status,
             "%s%zu of %zu domains served, certificate days left %lld, %llu fetches", note,
             tls_store_usable(s->current->store), s->current->config.domain_count,
             snapshot_days_left(s->current), (unsigned long long)metrics_fetches(s->metrics));
    if (state[0] != '\0' || strcmp(status, s->status) != 0)
        notify_send("%sSTATUS=%s\n", state, status);
    memcpy(s->status, status, sizeof status);
}

/* 0, then twice as long each time. */
static int64_t growing_pause(unsigned failures)
{
    return failures == 0 ? 0 : failures > 6 ? PAUSE_MAX_MS : INT64_C(500) << failures;
}

/* When workers that are told to stop now must have ended: no connection lives longer. */
static int64_t end_by(const struct supervisor *s)
{
    unsigned current = s->current != NULL ? s->current->config.timeout : 0;
    unsigned next = s->next != NULL ? s->next->config.timeout : 0;

    return monotonic_ms() + (int64_t)(current > next ? current : next) * 1000 + LOOK_MS;
}

/* The new generation is ready, or given up. */
static void end_transition(struct supervisor *s)
{
    s->next = NULL;
    s->give_up_at = NEVER;
    if (s->reload_again)
        s->reload_at = 0;
    s->reload_again = false;
}

/* The new generation is ready: first the old one stops accepting, so that nobody who comes after a
 * reload was announced is served by it; it finishes what it has. */
static void hand_over(struct supervisor *s)
{
    if (s->promote_at != NEVER)
        return;
    pool_stop(&s->pool, s->generation, end_by(s));
    s->promote_at = monotonic_ms() + HAND_OVER_MS;
    s->give_up_at = NEVER;
}

/* The new generation serves. */
static void promote(struct supervisor *s)
{
    bool first = s->current == NULL;

    assert(s->next != NULL);
    s->promote_at = NEVER;
    s->served_errors = s->errors;
    snapshot_free(s->current);
    s->current = s->next;
    s->generation++;
    end_transition(s);
    log_set_level(s->current->config.log);
    snapshot_announce(s->current, first, s->workers_wanted);
    if (!first)
        metrics_count_reload(s->metrics, true);
    s->refused = false;
    s->failures = 0;
    tell_status(s, "READY=1\n");
    s->report_at = 0;
    pool_go(&s->pool, s->generation);
}

static void refuse_reload(struct supervisor *s, const char *why)
{
    metrics_count_reload(s->metrics, false);
    log_text(LOG_ERROR, "reload_failed", "%s; the old configuration serves on", why);
    s->refused = true;
    tell_status(s, "READY=1\n");
}

/* Workers that are started from now on are those of this configuration. */
static void prepare_pool(struct supervisor *s, const struct config *config)
{
    s->workers_wanted = worker_count(config);
    s->pool.sandbox.descriptors = worker_descriptors(config, s->setup->listener_count);
    s->pool.sandbox.mode = config->sandbox;
}

/* The new generation does not come up: the old one stays, and a while later it is tried again. */
static void give_up_generation(struct supervisor *s, const char *why)
{
    pool_disown(&s->pool, s->generation + 1, end_by(s));
    snapshot_free(s->next);
    end_transition(s);
    if (s->current != NULL) {
        prepare_pool(s, &s->current->config);
        refuse_reload(s, why);
        s->failures++;
        if (s->reload_at == NEVER)
            s->reload_at = monotonic_ms() + growing_pause(s->failures);
    } else {
        log_text(LOG_ERROR, "not_started", "%s", why);
        s->failed = s->stopping = true;
    }
}

/* Starts a generation of its own for `snapshot`, beside the one that serves. */
static void start_generation(struct supervisor *s, struct snapshot *snapshot)
{
    s->next = snapshot;
    s->give_up_at = monotonic_ms() + READY_MS;
    prepare_pool(s, &snapshot->config);
    metrics_assign(s->metrics, &snapshot->config, s->current == NULL ? NULL : &s->current->config);
    for (unsigned i = 0; i < s->workers_wanted; i++) {
        if (!pool_start(&s->pool, snapshot, s->generation + 1)) {
            give_up_generation(s, "cannot start a worker");
            break;
        }
    }
}

static void reload(struct supervisor *s)
{
    struct finding_list findings = {0};
    bool again;

    s->reload_at = NEVER;
    if (s->next != NULL) { /* one after the other */
        s->reload_again = true;
        return;
    }
    notify_send("RELOADING=1\nMONOTONIC_USEC=%lld\n", (long long)monotonic_us());
    struct snapshot *snapshot = reload_load(&s->reload, s->current, &findings, &again);
    if (again) {
        s->reload_at = monotonic_ms() + MISMATCH_MS;
    } else {
        s->errors = findings.errors;
        log_findings(&findings);
        if (snapshot != NULL)
            start_generation(s, snapshot);
        else
            refuse_reload(s, "errors in the configuration");
    }
    finding_list_free(&findings);
}

static void look_at_files(struct supervisor *s)
{
    if (s->next != NULL || s->reload_at != NEVER)
        return;
    enum reload_state state = reload_look(&s->reload, s->current);
    if (state == RELOAD_CHANGED) {
        s->reload_at = 0;
    } else if (state == RELOAD_CURRENT && s->refused) {
        /* The files are again what they were before the reload that failed. */
        reload_forget(&s->reload);
        s->refused = false;
        s->errors = s->served_errors;
        tell_status(s, "");
    }
}

static void report(struct supervisor *s)
{
    const struct config *config = &s->current->config;

    tell_status(s, "");
    if (config->metrics_file == NULL)
        return;
    bool good = metrics_write(s->metrics, config, s->current->store);
    if (!good && !s->metrics_failing)
        log_text(LOG_ERROR, "metrics", "cannot write %s: %s", config->metrics_file,
                 strerror(errno));
    s->metrics_failing = !good;
}

static void replace_workers(struct supervisor *s)
{
    s->replace_at = s->next == NULL ? NEVER : monotonic_ms() + LOOK_MS;
    while (s->next == NULL && pool_count(&s->pool, s->generation) < s->workers_wanted)
        if (!pool_start(&s->pool, s->current, s->generation)) {
            s->replace_at = monotonic_ms() + growing_pause(++s->deaths);
            break;
        }
}

/* A worker that serves died by itself: replace it, ever more slowly if that goes on. */
static void mourn(struct supervisor *s, const struct worker *worker, int status, int64_t now)
{
    log_text(LOG_ERROR, "worker_died", "worker %d %s %d; it will be replaced", (int)worker->pid,
             WIFSIGNALED(status) ? "was killed by signal" : "ended with code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (s->replace_at != NEVER) /* together with those that died before it */
        return;
    if (now - worker->started_at > PAUSE_MAX_MS)
        s->deaths = 0;
    s->replace_at = now + growing_pause(s->deaths++);
}

static void reap(struct supervisor *s)
{
    struct worker dead;
    int status;

    while (pool_reap(&s->pool, &dead, &status)) {
        if (s->stopping)
            continue;
        bool is_next = s->next != NULL && dead.generation == s->generation + 1;
        if (is_next && s->promote_at == NEVER)
            give_up_generation(s, "a new worker does not come up");
        else if (!dead.stopping) /* of a generation that serves, or is about to */
            mourn(s, &dead, status, monotonic_ms());
    }
}

static void begin_stop(struct supervisor *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    /* The old workers accept nobody more: the new ones take who waits, and then end as well. */
    if (s->promote_at != NEVER)
        pool_go(&s->pool, s->generation + 1);
    s->give_up_at = s->promote_at = NEVER;
    notify_send("STOPPING=1\n");
    /* New clients are refused at once instead of waiting for nothing. */
    if (!s->setup->inherited)
        listener_close_all(s->setup->listeners, s->setup->listener_count);
    pool_stop_all(&s->pool, end_by(s));
}

static void handle_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(s);
            break;
        case SIGHUP:
            s->reload.mismatches = 0;
            if (s->current != NULL && !s->stopping)
                s->reload_at = 0;
            break;
        case SIGUSR1:
            metrics_log(s->metrics);
            break;
        default:
            begin_stop(s);
        }
    }
}

/* Whatever is due. */
static void tick(struct supervisor *s, int64_t now)
{
    if (now >= s->promote_at)
        promote(s); /* an old worker that hangs is killed in its time */
    if (now >= s->give_up_at)
        give_up_generation(s, "the new workers are not ready in time");
    s->kill_at = pool_kill_late(&s->pool, now);
    if (s->stopping || s->current == NULL)
        return;
    if (now >= s->look_at) {
        s->look_at = now + LOOK_MS;
        look_at_files(s);
    }
    if (now >= s->reload_at)
        reload(s);
    if (now >= s->replace_at)
        replace_workers(s);
    if (now >= s->report_at) {
        s->report_at = now + REPORT_MS;
        report(s);
    }
    if (now >= s->remind_at) {
        s->remind_at = now + DAY_MS;
        snapshot_remind(s->current, &s->reminded); /* once a day */
    }
}

static int timeout_ms(const struct supervisor *s, int64_t now)
{
    const int64_t due[] = {s->reload_at, s->look_at, s->report_at, s->remind_at, s->replace_at};
    int64_t next = s->give_up_at < s->kill_at ? s->give_up_at : s->kill_at;

    next = s->promote_at < next ? s->promote_at : next;

    for (size_t i = 0; !s->stopping && s->current != NULL && i < sizeof due / sizeof *due; i++)
        next = due[i] < next ? due[i] : next;
    return next == NEVER ? -1 : next <= now ? 0 : (int)(next - now);
}

/* What the workers say may be what the next step has waited for. */
static void move_on(struct supervisor *s)
{
    if (s->next != NULL && pool_count_ready(&s->pool, s->generation + 1) == s->workers_wanted)
        hand_over(s);
    if (s->promote_at != NEVER && !pool_accepts(&s->pool, s->generation))
        promote(s);
    if (s->current != NULL)
        pool_go(&s->pool, s->generation);
}

static void wait_for_events(struct supervisor *s)
{
    struct pollfd fds[POOL_SIZE + 1] = {{.fd = s->signal_fd, .events = POLLIN}};
    nfds_t count = 1 + pool_poll_fds(&s->pool, fds + 1);

    if (poll(fds, count, timeout_ms(s, monotonic_ms())) > 0) {
        pool_hear(&s->pool, fds + 1, count - 1);
        if (fds[0].revents != 0)
            handle_signals(s);
    }
    if (!s->stopping)
        move_on(s);
}

static sigset_t signals_wanted(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t signals;

    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&signals, numbers[i]);
    return signals;
}

/* Blocked for the workers too: a signal to the whole group must not tear their connections. */
bool supervisor_block_signals(void)
{
    sigset_t signals = signals_wanted();

    return sigprocmask(SIG_BLOCK, &signals, NULL) == 0;
}

static int open_signals(void)
{
    sigset_t signals = signals_wanted();

    return supervisor_block_signals() ? signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
}

bool supervisor_run(const struct supervisor_setup *setup)
{
    struct supervisor s = {
        .setup = setup,
        .metrics = metrics_new(),
        .signal_fd = open_signals(),
        .reload = {.path = setup->path, .listener_count = setup->listener_count},
        .reload_at = NEVER,
        .replace_at = NEVER,
        .give_up_at = NEVER,
        .kill_at = NEVER,
        .promote_at = NEVER,
        .remind_at = monotonic_ms() + DAY_MS,
        .reminded = time(NULL),
    };

    if (s.metrics == NULL || s.signal_fd < 0) {
        log_text(LOG_ERROR, "not_started", "%s", strerror(errno));
        snapshot_free(setup->snapshot);
        return false;
    }
    pool_init(&s.pool, setup, s.metrics);
    start_generation(&s, setup->snapshot);
    while (!s.stopping || !pool_is_empty(&s.pool)) {
        wait_for_events(&s);
        tick(&s, monotonic_ms());
    }
    if (s.current != NULL)
        report(&s);
    if (!s.failed)
        log_text(LOG_INFO, "stopped", "all connections are finished");
    snapshot_free(s.next);
    reload_forget(&s.reload);
    snapshot_free(s.current);
    metrics_free(s.metrics);
    close(s.signal_fd);
    return !s.failed;
}
