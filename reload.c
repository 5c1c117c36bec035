/* SPDX-License-Identifier: MIT
 * When to load everything anew: the files are the administrator's, and are written by programs that
 * know nothing of us, one after the other.
 */
#include "reload.h"

#include <string.h>

#include "log.h"
#include "worker.h"

#define MISMATCH_LOOKS 3

/* The state of the files that are served, and of those that could not be. */
static uint64_t with_unusable(const struct reload *reload, uint64_t state)
{
    return reload->unusable == NULL ? state : state ^ snapshot_fingerprint(reload->unusable);
}

enum reload_state reload_look(struct reload *reload, const struct snapshot *current)
{
    if (snapshot_is_current(current))
        return RELOAD_CURRENT;
    uint64_t state = with_unusable(reload, snapshot_fingerprint(current));
    bool changed = state != reload->tried && state == reload->seen;
    reload->seen = state;
    return changed ? RELOAD_CHANGED : RELOAD_WAIT;
}

static bool has_mismatch(const struct finding_list *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strcmp(findings->items[i].code, "CERT_KEY") == 0)
            return true;
    return false;
}

/* The sockets and the user stay what they were at the start: say so where the INI differs now. */
static void warn_of_fixed(const struct config *old, const struct config *loaded)
{
    const struct config_server *a = &old->server, *b = &loaded->server;
    const char *user_a = a->user.text == NULL ? "" : a->user.text;
    const char *user_b = b->user.text == NULL ? "" : b->user.text;
    bool differ = strcmp(user_a, user_b) != 0 || a->listen.count != b->listen.count;

    for (size_t i = 0; !differ && i < a->listen.count; i++)
        differ = strcmp(a->listen.items[i].text, b->listen.items[i].text) != 0;
    if (differ)
        log_text(LOG_WARNING, "reload",
                 "listen and user are as at the start: restart to change them");
}

/* Whether workers can run with it. What the sandbox lacks has been said at the start. */
static bool can_run(const struct reload *reload, const struct config *old,
                    const struct config *loaded, struct finding_list *findings)
{
    if (loaded->sandbox == old->sandbox && loaded->max_connections == old->max_connections)
        return true;
    return worker_check(loaded, reload->listener_count, findings);
}

struct snapshot *reload_load(struct reload *reload, const struct snapshot *current,
                             struct finding_list *findings, bool *again)
{
    /* From before: what changes while we load is seen at the next look. */
    uint64_t state = snapshot_fingerprint(current);
    struct snapshot *snapshot = snapshot_load(reload->path, current, findings);

    *again = has_mismatch(findings) && reload->mismatches < MISMATCH_LOOKS;
    if (*again) {
        reload->mismatches++;
        snapshot_free(snapshot);
        return NULL;
    }
    reload_forget(reload);
    bool good = snapshot != NULL && snapshot_usable(snapshot) > 0 &&
                can_run(reload, &current->config, &snapshot->config, findings);
    if (good)
        warn_of_fixed(&current->config, &snapshot->config);
    else
        reload->unusable = snapshot; /* when one of its files changes, it is tried again */
    reload->tried = with_unusable(reload, state);
    return good ? snapshot : NULL;
}

void reload_forget(struct reload *reload)
{
    snapshot_free(reload->unusable);
    reload->unusable = NULL;
    reload->mismatches = 0;
    reload->seen = reload->tried = 0;
}
