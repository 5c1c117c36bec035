/* SPDX-License-Identifier: MIT
 * Everything that is served, loaded at one moment and never changed afterwards: a configuration and
 * its certificates.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "config.h"
#include "tls.h"

struct snapshot {
    struct config config;
    struct tls_store *store;
};

/* Loads the INI file and the certificates that are not as they were in `previous` (may be NULL).
 * NULL, with the reason among the findings, if there is an error in the INI. Domains whose
 * certificate cannot be used keep the one they have in `previous`. */
struct snapshot *snapshot_load(const char *path, const struct snapshot *previous,
                               struct finding_list *findings);
/* The number of domains that can be served. */
size_t snapshot_usable(const struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);
/* False if the INI, a certificate or a key on disk is not what it was when it was loaded. */
bool snapshot_is_current(const struct snapshot *snapshot);
/* A number for the state on disk of the files that the snapshot was loaded from. */
uint64_t snapshot_fingerprint(const struct snapshot *snapshot);
/* The least number of days that a certificate in use has left. */
long long snapshot_days_left(const struct snapshot *snapshot);
/* Logs that so many workers serve it now: the first one of this process, or in place of another. */
void snapshot_announce(const struct snapshot *snapshot, bool first, unsigned workers);
/* Logs the certificates in use that have expired, or have come to 21, 7 or 1 days before it since
 * *reminded, which is set to now. */
void snapshot_remind(const struct snapshot *snapshot, time_t *reminded);

/* The certificates of every domain in the configuration. NULL without memory, as the findings say.
 */
struct tls_store *snapshot_load_store(const struct config *config, const struct tls_store *previous,
                                      struct finding_list *findings);

#endif
