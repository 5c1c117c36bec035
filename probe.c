/* SPDX-License-Identifier: MIT
 * Fetches our own policy as a sender would. What answers may be any other program that holds the
 * port, so the answer is taken for hostile: bounded in size and time, and compared as a whole.
 */
#include "probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "monotonic.h"

#define PROBE_MS 5000

struct probe {
    const struct config_domain *domain;
    struct tls_conn *tls;
    int fd;
    int64_t deadline;
    char answer[HTTP_RESPONSE_HEAD_MAX + POLICY_BODY_MAX + 1];
    size_t answer_len;
    const char *fault;
};

static bool fail(struct probe *p, const char *fault)
{
    p->fault = fault;
    return false;
}

static bool wait_for(struct probe *p, short events)
{
    struct pollfd ready = {.fd = p->fd, .events = events};
    int64_t left = p->deadline - monotonic_ms();

    if (left <= 0 || poll(&ready, 1, (int)left) == 0)
        return fail(p, "no answer within 5 seconds");
    return true;
}

/* Waits as a TLS answer says; false if there is nothing to wait for, with the fault set. */
static bool wait_tls(struct probe *p, enum tls_result result)
{
    if (result == TLS_WANT_READ)
        return wait_for(p, POLLIN);
    if (result == TLS_WANT_WRITE)
        return wait_for(p, POLLOUT);
    return fail(p, tls_conn_reason(p->tls));
}

static bool connect_to(struct probe *p, const struct address *address)
{
    int error = 0, on = 1;
    socklen_t len = sizeof error;

    p->fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        return fail(p, strerror(errno));
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(p->fd, (const struct sockaddr *)&address->storage, address->len) == 0)
        return true;
    if (errno != EINPROGRESS)
        return fail(p, strerror(errno));
    if (!wait_for(p, POLLOUT))
        return false;
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
        return fail(p, strerror(error));
    return true;
}

static bool exchange(struct probe *p)
{
    char request[512];
    enum tls_result result;
    size_t sent = 0, len;
    int request_len = snprintf(request, sizeof request,
                               "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
                               "User-Agent: mta-stsd-probe\r\nConnection: close\r\n\r\n",
                               p->domain->host);

    while ((result = tls_conn_handshake(p->tls)) != TLS_OK)
        if (!wait_tls(p, result))
            return false;
    while ((result = tls_conn_write(p->tls, request, (size_t)request_len, &sent)) != TLS_OK)
        if (!wait_tls(p, result))
            return false;
    for (;;) {
        if (p->answer_len == sizeof p->answer - 1)
            return fail(p, "the answer is longer than any of ours");
        result = tls_conn_read(p->tls, p->answer + p->answer_len,
                               sizeof p->answer - 1 - p->answer_len, &len);
        p->answer_len += len;
        if (result == TLS_CLOSED)
            return true;
        if (result != TLS_OK && !wait_tls(p, result))
            return false;
    }
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
    struct probe p = {
        .domain = first_domain(config, store), .fd = -1, .deadline = start + PROBE_MS};
    char where[ADDRESS_TEXT_SIZE];

    address = address == NULL ? &own : address;
    address_format(address, true, where);
    if (p.domain == NULL) {
        fputs("mta-stsd: no domain has a certificate that can be used; see --check\n", stderr);
        return false;
    }
    bool good = connect_to(&p, address);
    if (good) {
        p.tls = tls_conn_new_client(store, p.domain->host, p.fd);
        good = p.tls != NULL ? exchange(&p) && compare(&p) : fail(&p, "out of memory");
    }
    if (good)
        printf("%s at %s: policy id %s over TLS %s in %lld ms\n", p.domain->host, where,
               p.domain->policy->id, tls_conn_version(p.tls), (long long)(monotonic_ms() - start));
    else
        fprintf(stderr, "mta-stsd: probe of %s at %s: %s\n", p.domain->host, where, p.fault);
    tls_conn_free(p.tls);
    if (p.fd >= 0)
        close(p.fd);
    return good;
}
