/* SPDX-License-Identifier: MIT
 * Counters in shared memory. Workers only add to them; the supervisor only reads and writes them
 * out, so a worker that goes wrong can spoil a number and nothing else.
 */
#include "metrics.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define DOMAINS_MAX 131072 /* counters for so many; the first is shared by all beyond */
#define PATH_SIZE 1100

typedef _Atomic uint64_t counter;

static const enum http_status statuses[] = {
    HTTP_OK,
    HTTP_BAD_REQUEST,
    HTTP_NOT_FOUND,
    HTTP_METHOD_NOT_ALLOWED,
    HTTP_CONTENT_TOO_LARGE,
    HTTP_URI_TOO_LONG,
    HTTP_MISDIRECTED_REQUEST,
    HTTP_FIELDS_TOO_LARGE,
    HTTP_NOT_IMPLEMENTED,
    HTTP_VERSION_NOT_SUPPORTED,
};
#define STATUS_COUNT (sizeof statuses / sizeof *statuses)

/* The words of tls_conn_reason that are worth a counter of their own; the last takes the rest. */
static const char *const reasons[] = {
    "closed",
    "reset",
    "timeout",
    "bad_record",
    "protocol_version",
    "no_shared_cipher",
    "no_application_protocol",
    "unrecognized_name",
    "client_hello",
    "decode_error",
    "unexpected_message",
    "alert_bad_certificate",
    "alert_certificate_expired",
    "alert_certificate_unknown",
    "alert_unknown_ca",
    "message_too_large",
    "no_memory",
    "other",
};
#define REASON_COUNT (sizeof reasons / sizeof *reasons)

static const char *const event_names[] = {
    [METRICS_ACCEPTED] = "accepted",   [METRICS_REFUSED] = "refused",
    [METRICS_DISPLACED] = "displaced", [METRICS_TIMED_OUT] = "timed_out",
    [METRICS_FAILED] = "failed",
};

struct metrics {
    counter reasons[REASON_COUNT];
    counter events[METRICS_EVENT_COUNT];
    counter open[METRICS_WORKERS_MAX];
    counter reloads[2]; /* bad, good */
    counter fetches;
    size_t next;  /* entry to assign; of the supervisor alone */
    bool wrapped; /* entries have been used before */
    /* Reserved for many domains; a page of it costs memory when a domain on it is fetched. The
     * first entry also counts the requests for no domain of ours. */
    counter domains[DOMAINS_MAX][STATUS_COUNT];
};

struct metrics *metrics_new(void)
{
    void *memory = mmap(NULL, sizeof(struct metrics), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics != NULL)
        munmap(metrics, sizeof *metrics);
}

/* A bit for each entry that `config` uses. */
static void mark_used(uint8_t *used, const struct config *config)
{
    for (size_t i = 0; config != NULL && i < config->domain_count; i++)
        used[config->domains[i].counters / 8] |= (uint8_t)(1u << config->domains[i].counters % 8);
}

/* An entry that no domain uses, 0 if there is none. In turn, so that workers of long ago that are
 * still finishing hardly ever count into an entry that is somebody else's by now. */
static unsigned take_entry(struct metrics *metrics, uint8_t *used)
{
    for (size_t tries = 1; tries < DOMAINS_MAX; tries++) {
        size_t entry = 1 + metrics->next;
        metrics->next = entry % (DOMAINS_MAX - 1);
        if ((used[entry / 8] & 1u << entry % 8) == 0) {
            used[entry / 8] |= (uint8_t)(1u << entry % 8);
            for (size_t s = 0; metrics->wrapped && s < STATUS_COUNT; s++)
                atomic_store(&metrics->domains[entry][s], 0);
            metrics->wrapped = metrics->wrapped || metrics->next == 0;
            return (unsigned)entry;
        }
        metrics->wrapped = metrics->wrapped || metrics->next == 0;
    }
    return 0;
}

void metrics_assign(struct metrics *metrics, struct config *config, const struct config *previous)
{
    static uint8_t used[DOMAINS_MAX / 8];

    memset(used, 0, sizeof used);
    mark_used(used, previous);
    for (size_t i = 0; i < config->domain_count; i++) {
        struct config_domain *domain = &config->domains[i];
        const struct config_domain *old =
            previous == NULL ? NULL
                             : config_find_host(previous, domain->host, strlen(domain->host));
        domain->counters = old != NULL ? old->counters : take_entry(metrics, used);
    }
}

void metrics_count_fetch(struct metrics *metrics, const struct config_domain *domain,
                         enum http_status status)
{
    if (metrics == NULL)
        return;
    for (size_t s = 0; s < STATUS_COUNT; s++)
        if (statuses[s] == status)
            atomic_fetch_add(&metrics->domains[domain == NULL ? 0 : domain->counters][s], 1);
    atomic_fetch_add(&metrics->fetches, 1);
}

void metrics_count_handshake_failure(struct metrics *metrics, const char *reason)
{
    size_t i = 0;

    if (metrics == NULL)
        return;
    while (i < REASON_COUNT - 1 && strcmp(reasons[i], reason) != 0)
        i++;
    atomic_fetch_add(&metrics->reasons[i], 1);
}

void metrics_count(struct metrics *metrics, enum metrics_event event)
{
    if (metrics != NULL)
        atomic_fetch_add(&metrics->events[event], 1);
}

void metrics_set_open(struct metrics *metrics, unsigned worker, size_t open)
{
    if (metrics != NULL && worker < METRICS_WORKERS_MAX)
        atomic_store(&metrics->open[worker], open);
}

void metrics_count_reload(struct metrics *metrics, bool good)
{
    atomic_fetch_add(&metrics->reloads[good], 1);
}

uint64_t metrics_fetches(const struct metrics *metrics)
{
    return atomic_load(&metrics->fetches);
}

static uint64_t sum(const counter *counters, size_t count)
{
    uint64_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += atomic_load(&counters[i]);
    return total;
}

void metrics_log(const struct metrics *metrics)
{
    struct log_line line;

    log_begin(&line, LOG_INFO, "summary");
    line.level = LOG_ERROR; /* it has been asked for: no level hides it */
    log_number(&line, "fetches", (long long)metrics_fetches(metrics));
    log_number(&line, "handshake_failures", (long long)sum(metrics->reasons, REASON_COUNT));
    log_number(&line, "open", (long long)sum(metrics->open, METRICS_WORKERS_MAX));
    for (size_t i = 0; i < METRICS_EVENT_COUNT; i++)
        log_number(&line, event_names[i], (long long)atomic_load(&metrics->events[i]));
    log_number(&line, "reloads_good", (long long)atomic_load(&metrics->reloads[1]));
    log_number(&line, "reloads_bad", (long long)atomic_load(&metrics->reloads[0]));
    log_end(&line);
}

static void describe(FILE *out, const char *name, const char *type, const char *what)
{
    fprintf(out, "# HELP mta_stsd_%s %s\n# TYPE mta_stsd_%s %s\n", name, what, name, type);
}

static void write_fetches(FILE *out, const struct metrics *metrics, const char *domain,
                          unsigned counters)
{
    for (size_t s = 0; s < STATUS_COUNT; s++) {
        uint64_t count = atomic_load(&metrics->domains[counters][s]);
        if (count > 0 || (statuses[s] == HTTP_OK && counters > 0))
            fprintf(out, "mta_stsd_fetches_total{domain=\"%s\",status=\"%d\"} %llu\n", domain,
                    (int)statuses[s], (unsigned long long)count);
    }
}

static void write_domains(FILE *out, const struct metrics *metrics, const struct config *config,
                          const struct tls_store *store)
{
    time_t not_after;

    describe(out, "fetches_total", "counter", "Answered requests by domain and status.");
    write_fetches(out, metrics, "", 0);
    for (size_t i = 0; i < config->domain_count; i++)
        if (config->domains[i].counters > 0)
            write_fetches(out, metrics, config->domains[i].name, config->domains[i].counters);
    describe(
        out, "certificate_not_after_seconds", "gauge",
        "When the certificate expires, in Unix time; 0 without one: the domain is not served.");
    for (size_t i = 0; i < config->domain_count; i++) {
        bool has = tls_store_not_after(store, config->domains[i].host, &not_after);
        fprintf(out, "mta_stsd_certificate_not_after_seconds{domain=\"%s\"} %lld\n",
                config->domains[i].name, has ? (long long)not_after : 0);
    }
    describe(out, "policy_info", "gauge", "The policy id and mode of each domain.");
    for (size_t i = 0; i < config->domain_count; i++)
        fprintf(out, "mta_stsd_policy_info{domain=\"%s\",id=\"%s\",mode=\"%s\"} 1\n",
                config->domains[i].name, config->domains[i].policy->id,
                policy_mode_name(config->domains[i].policy->policy.mode));
}

static void write_totals(FILE *out, const struct metrics *metrics)
{
    describe(out, "handshake_failures_total", "counter", "Failed TLS handshakes by reason.");
    for (size_t i = 0; i < REASON_COUNT; i++)
        fprintf(out, "mta_stsd_handshake_failures_total{reason=\"%s\"} %llu\n", reasons[i],
                (unsigned long long)atomic_load(&metrics->reasons[i]));
    describe(out, "connections_total", "counter", "Connections by what became of them.");
    for (size_t i = 0; i < METRICS_EVENT_COUNT; i++)
        fprintf(out, "mta_stsd_connections_total{event=\"%s\"} %llu\n", event_names[i],
                (unsigned long long)atomic_load(&metrics->events[i]));
    describe(out, "connections_open", "gauge", "Open connections.");
    fprintf(out, "mta_stsd_connections_open %llu\n",
            (unsigned long long)sum(metrics->open, METRICS_WORKERS_MAX));
    describe(out, "reloads_total", "counter", "Reloads that were taken over, or not.");
    for (int good = 0; good < 2; good++)
        fprintf(out, "mta_stsd_reloads_total{result=\"%s\"} %llu\n", good ? "good" : "bad",
                (unsigned long long)atomic_load(&metrics->reloads[good]));
    describe(out, "build_info", "gauge", "Versions.");
    fprintf(out, "mta_stsd_build_info{version=\"%s\",tls=\"%s\"} 1\n", MTA_STSD_VERSION,
            tls_library_version());
}

bool metrics_write(const struct metrics *metrics, const struct config *config,
                   const struct tls_store *store)
{
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof path, "%s.tmp", config->metrics_file);
    /* "w" would follow a link that somebody else put there: the file must be new. */
    FILE *out = NULL;

    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (unlink(path) == 0 || errno == ENOENT)
        out = fopen(path, "wxe");
    if (out == NULL)
        return false;
    write_totals(out, metrics);
    write_domains(out, metrics, config, store);
    bool good = ferror(out) == 0;
    int error = errno;
    if (fclose(out) != 0) {
        error = errno;
        good = false;
    }
    if (good && rename(path, config->metrics_file) == 0)
        return true;
    if (!good)
        errno = error;
    error = errno;
    unlink(path);
    errno = error;
    return false;
}
