/* SPDX-License-Identifier: MIT
 * Fetches our own policy as a sender would. What answers may be any other program that holds the
 * port, so the answer is taken for hostile: bounded in size and time, and compared as a whole.
 */
#include "probe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "http.h"
#include "monotonic.h"

#define PROBE_MS 5000

struct probe {
    const struct config_domain *domain;
    struct client client;
    char answer[HTTP_RESPONSE_HEAD_MAX + POLICY_BODY_MAX + 1];
    size_t answer_len;
    const char *fault;
};

static bool fail(struct probe *p, const char *fault)
{
    p->fault = fault;
    return false;
}

/* What went wrong on the way. */
static bool fail_client(struct probe *p)
{
    return fail(p, p->client.timed_out ? "no answer within 5 seconds" : p->client.fault);
}

static bool exchange(struct probe *p)
{
    char request[512];
    size_t len;
    int request_len = snprintf(request, sizeof request,
                               "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
                               "User-Agent: mta-stsd-probe\r\nConnection: close\r\n\r\n",
                               p->domain->host);

    if (!client_write(&p->client, request, (size_t)request_len))
        return fail_client(p);
    do {
        if (p->answer_len == sizeof p->answer - 1)
            return fail(p, "the answer is longer than any of ours");
        if (!client_read(&p->client, p->answer + p->answer_len,
                         sizeof p->answer - 1 - p->answer_len, &len))
            return fail_client(p);
        p->answer_len += len;
    } while (len > 0);
    return true;
}

static bool connect_to(struct probe *p, const struct address *address,
                       const struct tls_store *store)
{
    if (client_connect(&p->client, address) &&
        client_handshake(&p->client, tls_conn_new_client(store, p->domain->host, p->client.fd)))
        return true;
    return fail_client(p);
}

static bool compare(struct probe *p)
{
    const struct config_policy *policy = p->domain->policy;
    char *head_end = strstr(p->answer, "\r\n\r\n");

    if (strncmp(p->answer, "HTTP/1.1 200 ", 13) != 0)
        return fail(p, "the status is not 200");
    if (head_end == NULL)
        return fail(p, "the answer is cut short");
    const char *body = head_end + 4;
    size_t body_len = p->answer_len - (size_t)(body - p->answer);
    head_end[2] = '\0';
    if (strcasestr(p->answer, "\r\nContent-Type: text/plain\r\n") == NULL)
        return fail(p, "the Content-Type is not text/plain");
    if (body_len != policy->body_len || memcmp(body, policy->body, body_len) != 0)
        return fail(p, "the policy served is not the policy of the INI file; reload?");
    return true;
}

static const struct config_domain *first_domain(const struct config *config,
                                                const struct tls_store *store)
{
    for (size_t i = 0; i < config->domain_count; i++)
        if (tls_store_has(store, config->domains[i].host))
            return &config->domains[i];
    return NULL;
}

static struct address own_address(const struct config *config)
{
    struct address address = config->listen[0].address;

    address_to_loopback(&address);
    return address;
}

bool probe(const struct config *config, const struct tls_store *store,
           const struct address *address)
{
    struct address own = own_address(config);
    int64_t start = monotonic_ms();
    struct probe p = {.domain = first_domain(config, store),
                      .client = {.fd = -1, .deadline = start + PROBE_MS}};
    char where[ADDRESS_TEXT_SIZE];

    address = address == NULL ? &own : address;
    address_format(address, true, where);
    if (p.domain == NULL) {
        fputs("mta-stsd: no domain has a certificate that can be used; see --check\n", stderr);
        return false;
    }
    bool good = connect_to(&p, address, store);
    if (!good && address == &own && address_to_ipv4_loopback(&own)) {
        /* No IPv6 here: the socket for both takes IPv4 all the same. */
        client_close(&p.client);
        address_format(address, true, where);
        good = connect_to(&p, address, store);
    }
    good = good && exchange(&p) && compare(&p);
    if (good)
        printf("%s at %s: policy id %s over TLS %s in %lld ms\n", p.domain->host, where,
               p.domain->policy->id, tls_conn_version(p.client.tls),
               (long long)(monotonic_ms() - start));
    else
        fprintf(stderr, "mta-stsd: probe of %s at %s: %s\n", p.domain->host, where, p.fault);
    client_close(&p.client);
    return good;
}
