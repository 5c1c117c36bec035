/* SPDX-License-Identifier: MIT
 * mta-stsd as a service: load everything, listen, hand it to the supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "command.h"
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "supervisor.h"
#include "worker.h"

struct serving {
    struct supervisor_setup setup;
    int listeners[NOTIFY_LISTEN_MAX];
    size_t listener_count;
    bool inherited; /* the sockets were handed over by the service manager */
};

bool command_find_user(const struct config *config, struct sandbox *sandbox,
                       struct finding_list *findings)
{
    const struct policy_value *user = &config->server.user;
    const char *why = user->text == NULL ? NULL : sandbox_find_user(user->text, sandbox);

    if (why != NULL)
        finding_add(findings, FINDING_ERROR, "USER", (struct place){config->path, user->line, 0},
                    "user %s %s", user->text, why);
    return why == NULL;
}

/* Whom the workers run as. */
static bool choose_user(struct serving *serving, struct finding_list *findings)
{
    const struct config *config = &serving->setup.snapshot->config;

    if (geteuid() != 0)
        return true; /* there is nobody else to become */
    if (config->server.user.text != NULL)
        return command_find_user(config, &serving->setup.sandbox, findings);
    finding_add(findings, FINDING_ERROR, "USER", (struct place){config->path, 0, 0},
                "started as root: set user in [server] to whom the workers shall run as");
    return false;
}

/* What the kernel lacks is said once; with sandbox = strict it is a reason not to start. */
static bool check_sandbox(const struct serving *serving, struct finding_list *findings)
{
    const struct config *config = &serving->setup.snapshot->config;
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
static bool check_descriptors(const struct serving *serving, struct finding_list *findings)
{
    const struct config *config = &serving->setup.snapshot->config;
    size_t needed = worker_descriptors(config, serving->listener_count);
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

static bool open_listeners(struct serving *serving, struct finding_list *findings)
{
    const struct config *config = &serving->setup.snapshot->config;

    if (!notify_take_listeners(serving->listeners, &serving->listener_count, findings))
        return false;
    serving->inherited = serving->listener_count > 0;
    if (serving->inherited)
        return true;
    if (config->listen_count > NOTIFY_LISTEN_MAX) {
        finding_add(findings, FINDING_ERROR, "LISTEN", (struct place){config->path, 0, 0},
                    "more than %d listen lines", NOTIFY_LISTEN_MAX);
        return false;
    }
    if (!listener_open_all(config, serving->listeners, findings))
        return false;
    serving->listener_count = config->listen_count;
    return true;
}

/* False, after saying why on standard error, if there is nothing that could be served. */
static bool prepare(const struct options *options, struct serving *serving)
{
    struct finding_list findings = {0};

    serving->setup.path = options->config;
    serving->setup.snapshot = snapshot_load(options->config, NULL, &findings);
    bool good = serving->setup.snapshot != NULL && choose_user(serving, &findings) &&
                check_sandbox(serving, &findings) && open_listeners(serving, &findings) &&
                check_descriptors(serving, &findings);
    if (good) {
        log_set_level(serving->setup.snapshot->config.log);
        log_open();
        log_findings(&findings);
    } else {
        finding_print(&findings, stderr);
        fputs("mta-stsd: not started\n", stderr);
        snapshot_free(serving->setup.snapshot);
    }
    finding_list_free(&findings);
    return good;
}

/* A socket would take the number of a descriptor that is not open, and the log would go there. */
static bool open_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

int command_serve(const struct options *options)
{
    struct serving serving = {.listener_count = 0};

    if (!open_standard_descriptors() || !prepare(options, &serving))
        return EXIT_ERROR;
    if (!tls_has_1_3())
        log_text(LOG_INFO, "tls", "%s speaks TLS 1.2 only; TLS 1.3 needs version 3.6",
                 tls_library_version());
    if (serving.inherited)
        log_text(LOG_INFO, "inherited",
                 "the service manager handed the sockets over; listen in the "
                 "INI file is not used");
    notify_open();
    listener_log(serving.listeners, serving.listener_count);
    serving.setup.listeners = serving.listeners;
    serving.setup.listener_count = serving.listener_count;
    bool good = supervisor_run(&serving.setup);
    listener_close_all(serving.listeners, serving.listener_count);
    return good ? EXIT_FINE : EXIT_ERROR;
}
