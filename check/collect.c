/* SPDX-License-Identifier: MIT
 * Plans and runs the jobs: one for the DNS of each domain, then one for each address. An MX host
 * that several domains share is looked at once.
 */
#include "collect.h"

#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "fetch.h"
#include "jobs.h"
#include "smtp.h"

#define AT_ONCE 64         /* child processes */
#define DNS_LIMIT_MS 25000 /* libresolv waits without end for an answer over TCP */
#define GRACE_MS 10000     /* a job ends by itself at its time-out; later it is killed */
#define FETCHES_MAX (FACTS_ADDRESSES_MAX + FACTS_ENDPOINTS_MAX) /* of a domain */
#define SMTPS_MAX (FACTS_MX_MAX * FACTS_ADDRESSES_MAX)

struct dns_order {
    const struct address *resolver;
    const char *domain;
};

struct collection {
    const struct collect_options *options;
    size_t domain_count, fetch_count, smtp_count, job_count;
    struct dns_order dns_orders[COLLECT_DOMAINS_MAX];
    struct fetch_order *fetch_orders;
    struct smtp_order *smtp_orders;
    struct job *jobs;
    /* What the children fill in, in shared memory. */
    struct dns_facts *dns;
    struct fetch_facts *fetches;
    struct smtp_facts *smtps;
};

static void run_dns(const void *what, void *facts)
{
    const struct dns_order *order = what;

    dns_collect(order->resolver, order->domain, facts);
}

static void add_job(struct collection *c, void (*run)(const void *, void *), const void *what,
                    void *facts, int64_t limit_ms)
{
    c->jobs[c->job_count++] =
        (struct job){.run = run, .what = what, .facts = facts, .limit_ms = limit_ms};
}

static int64_t limit_ms(const struct collection *c)
{
    return (int64_t)c->options->timeout * 1000 + GRACE_MS;
}

static const struct fetch_facts *plan_fetch(struct collection *c, const char *host,
                                            const struct address *address, uint16_t port,
                                            bool connect_only)
{
    struct fetch_order *order = &c->fetch_orders[c->fetch_count];
    struct fetch_facts *facts = &c->fetches[c->fetch_count++];

    *order = (struct fetch_order){.roots = c->options->roots,
                                  .address = *address,
                                  .connect_only = connect_only,
                                  .timeout = c->options->timeout};
    memcpy(order->host, host, strlen(host) + 1);
    address_set_port(&order->address, port);
    add_job(c, fetch_run, order, facts, limit_ms(c));
    return facts;
}

static const struct smtp_facts *plan_smtp(struct collection *c, const char *host,
                                          const struct address *address)
{
    struct smtp_order *order = &c->smtp_orders[c->smtp_count];
    struct address with_port = *address;

    address_set_port(&with_port, c->options->smtp_port);
    for (size_t i = 0; i < c->smtp_count; i++)
        if (strcmp(c->smtp_orders[i].host, host) == 0 &&
            address_equal(&c->smtp_orders[i].address, &with_port))
            return &c->smtps[i];
    *order = (struct smtp_order){.roots = c->options->roots,
                                 .address = with_port,
                                 .localname = c->options->localname,
                                 .timeout = c->options->timeout};
    memcpy(order->host, host, strlen(host) + 1);
    struct smtp_facts *facts = &c->smtps[c->smtp_count++];
    add_job(c, smtp_run, order, facts, limit_ms(c));
    return facts;
}

static void plan_domain(struct collection *c, struct domain_facts *domain)
{
    const struct dns_facts *dns = domain->dns;
    char host[FACTS_NAME_SIZE + sizeof "mta-sts."];

    snprintf(host, sizeof host, "mta-sts.%s", domain->domain);
    for (unsigned i = 0; i < dns->host.count; i++)
        domain->host[i] = plan_fetch(c, host, &dns->host.items[i], c->options->port, false);
    for (unsigned i = 0; i < dns->endpoint_count; i++)
        if (dns->endpoints[i].addresses.count > 0)
            domain->endpoints[i] =
                plan_fetch(c, dns->endpoints[i].host, &dns->endpoints[i].addresses.items[0],
                           dns->endpoints[i].port, true);
    for (unsigned m = 0; c->options->smtp && m < dns->mx_count && m < FACTS_MX_MAX; m++)
        for (unsigned a = 0; a < dns->mx[m].addresses.count; a++)
            domain->mx[m][a] = plan_smtp(c, dns->mx[m].name, &dns->mx[m].addresses.items[a]);
}

static void run(struct collection *c)
{
    jobs_run(c->jobs, c->job_count, AT_ONCE, c->options->progress);
    c->job_count = 0;
}

static bool allocate(struct collection *c)
{
    size_t n = c->domain_count;

    c->fetch_orders = calloc(n * FETCHES_MAX, sizeof *c->fetch_orders);
    c->smtp_orders = calloc(n * SMTPS_MAX, sizeof *c->smtp_orders);
    c->jobs = calloc(n * (FETCHES_MAX + SMTPS_MAX), sizeof *c->jobs);
    c->dns = jobs_memory(n * sizeof *c->dns);
    c->fetches = jobs_memory(n * FETCHES_MAX * sizeof *c->fetches);
    c->smtps = jobs_memory(n * SMTPS_MAX * sizeof *c->smtps);
    return c->fetch_orders != NULL && c->smtp_orders != NULL && c->jobs != NULL && c->dns != NULL &&
           c->fetches != NULL && c->smtps != NULL;
}

struct collection *collect(const struct collect_options *options, struct domain_facts *domains,
                           size_t count)
{
    struct collection *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->options = options;
    c->domain_count = count;
    if (count > COLLECT_DOMAINS_MAX || !allocate(c)) {
        collection_free(c);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        c->dns_orders[i] = (struct dns_order){options->resolver, domains[i].domain};
        domains[i].dns = &c->dns[i];
        domains[i].smtp_wanted = options->smtp;
        add_job(c, run_dns, &c->dns_orders[i], &c->dns[i], DNS_LIMIT_MS);
    }
    run(c);
    for (size_t i = 0; i < count; i++)
        plan_domain(c, &domains[i]);
    run(c);
    return c;
}

void collection_free(struct collection *c)
{
    size_t n;

    if (c == NULL)
        return;
    n = c->domain_count;
    free(c->fetch_orders);
    free(c->smtp_orders);
    free(c->jobs);
    jobs_memory_free(c->dns, n * sizeof *c->dns);
    jobs_memory_free(c->fetches, n * FETCHES_MAX * sizeof *c->fetches);
    jobs_memory_free(c->smtps, n * SMTPS_MAX * sizeof *c->smtps);
    free(c);
}
