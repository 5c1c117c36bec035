/* SPDX-License-Identifier: MIT
 * Everything that is served, loaded at one moment. A worker sees one snapshot for its whole life,
 * so no client is ever served a mix of old and new.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

struct tls_store *snapshot_load_store(const struct config *config, const struct tls_store *previous,
                                      struct finding_list *findings)
{
    struct tls_site *sites = calloc(config->domain_count + 1, sizeof *sites);

    if (sites == NULL) {
        findings->out_of_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < config->domain_count; i++) {
        const struct config_domain *domain = &config->domains[i];
        sites[i] = (struct tls_site){.host = domain->host,
                                     .certificate = domain->certificate,
                                     .private_key = domain->private_key,
                                     .place = {config->path, domain->line, 0}};
    }
    struct tls_store *store =
        tls_store_load(sites, config->domain_count, previous, time(NULL), findings);
    free(sites);
    return store;
}

struct snapshot *snapshot_load(const char *path, const struct snapshot *previous,
                               struct finding_list *findings)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (snapshot == NULL) {
        findings->out_of_memory = true;
        return NULL;
    }
    if (config_load(&snapshot->config, path, findings))
        snapshot->store = snapshot_load_store(&snapshot->config,
                                              previous == NULL ? NULL : previous->store, findings);
    if (snapshot->store == NULL) {
        snapshot_free(snapshot);
        return NULL;
    }
    return snapshot;
}

size_t snapshot_usable(const struct snapshot *snapshot)
{
    return tls_store_usable(snapshot->store);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    tls_store_free(snapshot->store);
    config_free(&snapshot->config);
    free(snapshot);
}

bool snapshot_is_current(const struct snapshot *snapshot)
{
    struct file_stamp stamp = file_stamp(snapshot->config.path);

    return file_stamp_equal(&stamp, &snapshot->config.stamp) &&
           tls_store_is_current(snapshot->store);
}

uint64_t snapshot_fingerprint(const struct snapshot *snapshot)
{
    struct file_stamp stamp = file_stamp(snapshot->config.path);

    return tls_store_fingerprint(snapshot->store, file_stamp_mix(FILE_MIX_START, &stamp));
}

long long snapshot_days_left(const struct snapshot *snapshot)
{
    time_t now = time(NULL), first = 0, not_after;

    for (size_t i = 0; i < snapshot->config.domain_count; i++)
        if (tls_store_not_after(snapshot->store, snapshot->config.domains[i].host, &not_after) &&
            (first == 0 || not_after < first))
            first = not_after;
    return (long long)(first - now) / 86400;
}

void snapshot_announce(const struct snapshot *snapshot, bool first, unsigned workers)
{
    struct log_line line;
    char text[80];
    size_t read, unchanged;
    int len = snprintf(text, sizeof text, "%zu of %zu domains, %u workers",
                       snapshot_usable(snapshot), snapshot->config.domain_count, workers);

    log_begin(&line, LOG_INFO, first ? "ready" : "reloaded");
    log_quoted(&line, "text", text, (size_t)len);
    if (!first) {
        tls_store_count_pairs(snapshot->store, &read, &unchanged);
        log_number(&line, "certificates_read", (long long)read);
        log_number(&line, "certificates_unchanged", (long long)unchanged);
    }
    log_end(&line);
}

/* Whether one of the days to remind of has come meanwhile; a machine that slept is woken later. */
static bool is_due(long long days, long long days_before)
{
    static const int thresholds[] = {21, 7, 1};

    for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++)
        if (days <= thresholds[i] && days_before > thresholds[i])
            return true;
    return false;
}

void snapshot_remind(const struct snapshot *snapshot, time_t *reminded)
{
    const struct config *config = &snapshot->config;
    time_t now = time(NULL), before = *reminded, not_after, last = 0;

    *reminded = now;
    for (size_t i = 0; i < config->domain_count; i++) {
        if (!tls_store_not_after(snapshot->store, config->domains[i].host, &not_after) ||
            not_after == last)
            continue;
        last = not_after;
        long long days = (long long)(not_after - now) / 86400;
        bool expired = not_after < now;
        if (expired || is_due(days, (long long)(not_after - before) / 86400))
            log_text(expired ? LOG_ERROR : LOG_WARNING, "certificate",
                     "%s: the certificate %s; days left: %lld", config->domains[i].host,
                     expired ? "has expired, senders refuse it" : "expires soon", days);
    }
}
