/* SPDX-License-Identifier: MIT
 * mta-stsd as a service: load everything, listen, hand it to the supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    bool good = serving->setup.snapshot != NULL && snapshot_usable(serving->setup.snapshot) > 0 &&
                choose_user(serving, &findings) && open_listeners(serving, &findings) &&
                worker_check(&serving->setup.snapshot->config, serving->listener_count, &findings);
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

    /* From here on nobody but the supervisor takes them; as process 1 they would else be lost. */
    supervisor_block_signals();
    if (!open_standard_descriptors()) {
        fprintf(stderr, "mta-stsd: not started: cannot open /dev/null: %s\n", strerror(errno));
        return EXIT_ERROR;
    }
    if (!prepare(options, &serving))
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
    serving.setup.inherited = serving.inherited;
    bool good = supervisor_run(&serving.setup);
    listener_close_all(serving.listeners, serving.listener_count);
    return good ? EXIT_FINE : EXIT_ERROR;
}
