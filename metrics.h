/* SPDX-License-Identifier: MIT
 * Counters that all processes share, and the file that node_exporter's textfile collector reads.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "http.h"
#include "tls.h"

#define METRICS_WORKERS_MAX 128 /* of all generations at once */

struct metrics;

/* What becomes of connections that have no request in them. */
enum metrics_event {
    METRICS_ACCEPTED,
    METRICS_REFUSED,   /* by the cap for one source, or without resources */
    METRICS_DISPLACED, /* made room for a new one */
    METRICS_TIMED_OUT,
    METRICS_FAILED, /* behind the handshake, before the answer was sent */
    METRICS_EVENT_COUNT,
};

/* Shared memory for the counters, which forked workers write to. NULL with errno. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Gives every domain its counters: those that it has in `previous` (may be NULL), else new ones. */
void metrics_assign(struct metrics *metrics, struct config *config, const struct config *previous);

/* All of these may be called in any process, with metrics == NULL for no effect. */
void metrics_count_fetch(struct metrics *metrics, const struct config_domain *domain,
                         enum http_status status);
void metrics_count_handshake_failure(struct metrics *metrics, const char *reason);
void metrics_count(struct metrics *metrics, enum metrics_event event);
/* Open connections of one worker; `worker` is below METRICS_WORKERS_MAX. */
void metrics_set_open(struct metrics *metrics, unsigned worker, size_t open);
/* By the supervisor. */
void metrics_count_reload(struct metrics *metrics, bool good);
uint64_t metrics_fetches(const struct metrics *metrics);

/* One log line with the totals. */
void metrics_log(const struct metrics *metrics);

/* Writes everything to config->metrics_file in the Prometheus text format, by way of a temporary
 * file beside it. False with errno if that fails; the file is then as it was. */
bool metrics_write(const struct metrics *metrics, const struct config *config,
                   const struct tls_store *store);

#endif
