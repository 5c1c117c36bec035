/* SPDX-License-Identifier: MIT
 * Judges the policy host, address by address: reachable, TLS, certificate, HTTP (RFC 8461 section
 * 3.3), and whether it serves what the INI yields.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "checks.h"

#define SLOW_MS 2000 /* postfix-tlspol gives up */
#define PLEASANT_SIZE 4096
#define QUOTE_MAX 60 /* octets of a line that are quoted */

static const struct certificate_codes codes = {"HOST_CERT_CHAIN", "HOST_CERT_NAME",
                                               "HOST_CERT_DATE", "HOST_CERT_SOON"};

/* The length of the line that begins at `start`, without its end. */
static size_t line_length(const char *body, size_t len, size_t start)
{
    const char *end = memchr(body + start, '\n', len - start);
    size_t line_len = (end == NULL ? len : (size_t)(end - body)) - start;

    return line_len - (line_len > 0 && body[start + line_len - 1] == '\r');
}

static int quoted(size_t len)
{
    return (int)(len < QUOTE_MAX ? len : QUOTE_MAX);
}

/* Names the first line that differs. */
static void differ(struct checks *checks, const char *subject, const struct fetch_facts *fetch,
                   const char *wanted, size_t wanted_len, const char *whose)
{
    size_t start = 0;
    unsigned line = 1;

    for (size_t i = 0; i < fetch->body_len && i < wanted_len && fetch->body[i] == wanted[i]; i++)
        if (wanted[i] == '\n') {
            start = i + 1;
            line++;
        }
    const char *a = fetch->body + start, *b = wanted + start;
    size_t a_len = line_length(fetch->body, fetch->body_len, start);
    size_t b_len = line_length(wanted, wanted_len, start);
    bool ends = a_len == b_len && memcmp(a, b, a_len) == 0;
    checks_add(checks, FINDING_ERROR, "BODY_DIFFERS", subject,
               "serves another policy than %s: line %u is \"%.*s\", not \"%.*s\"%s", whose, line,
               quoted(a_len), a, quoted(b_len), b,
               ends ? " (the line ends differ)" : "; is this an old instance or a proxy?");
}

static void judge_type(struct checks *checks, const char *subject, const char *type)
{
    size_t len = strcspn(type, "; \t");

    if (len != 10 || strncasecmp(type, "text/plain", 10) != 0)
        checks_add(checks, FINDING_WARNING, "HTTP_TYPE", subject,
                   "the Content-Type is \"%s\": some senders refuse everything but text/plain",
                   type);
}

/* The answer as such; true if senders read a policy from it. */
static bool judge_http(struct checks *checks, const struct fetch_facts *fetch, const char *subject)
{
    const struct connection_facts *connection = &fetch->connection;

    if (fetch->status != 0 && fetch->status != 200) {
        checks_add(checks, FINDING_ERROR, "HTTP_STATUS", subject, "status %d%s%s%s", fetch->status,
                   fetch->status / 100 == 3 ? " to " : "",
                   fetch->status / 100 == 3 ? fetch->location : "",
                   fetch->status / 100 == 3
                       ? ": senders must not follow redirects; serve the policy itself"
                       : ": senders want 200 and nothing else");
    } else if (connection->timed_out) {
        checks_add(checks, FINDING_ERROR, "HTTP_SLOW", subject,
                   "no whole answer within %lld seconds", (long long)connection->ms / 1000);
    } else if (fetch->malformed || (connection->stage != STAGE_ANSWERED && !fetch->too_large)) {
        checks_add(checks, FINDING_ERROR, "HTTP_SYNTAX", subject, "%s", connection->fault);
    } else if (fetch->too_large) {
        checks_add(checks, FINDING_ERROR, "HTTP_SIZE", subject,
                   "more than %d octets: senders stop reading there", FACTS_BODY_MAX);
    } else {
        judge_type(checks, subject, fetch->type);
        if (fetch->body_len > PLEASANT_SIZE)
            checks_add(checks, FINDING_WARNING, "HTTP_SIZE", subject,
                       "%zu octets: some senders read no more than a few thousand",
                       fetch->body_len);
        if (connection->ms > SLOW_MS)
            checks_add(checks, FINDING_WARNING, "HTTP_SLOW", subject,
                       "it took %lld ms: postfix-tlspol gives up after 2000",
                       (long long)connection->ms);
        return true;
    }
    return false;
}

/* One address that could be reached; true if it serves a policy. */
static bool judge_address(struct checks *checks, const struct fetch_facts *fetch,
                          const char *subject)
{
    const struct connection_facts *connection = &fetch->connection;

    if (connection->stage < STAGE_TLS) {
        checks_add(checks, FINDING_ERROR, "HOST_TLS", subject, "the TLS handshake fails: %s%s",
                   connection->fault,
                   connection->refused_version ? "; senders want TLS 1.2 or 1.3" : "");
        return false;
    }
    bool trusted =
        checks_certificate(checks, &connection->peer, checks->host, subject, FINDING_ERROR, &codes);
    bool answered = judge_http(checks, fetch, subject);
    if (trusted && answered)
        checks_saw(checks, "policy", "%s: %zu octets over TLS %s in %lld ms", subject,
                   fetch->body_len, connection->tls, (long long)connection->ms);
    return answered;
}

/* Compares what an address serves with the INI, or else with what the first address serves. */
static void judge_body(struct checks *checks, const struct fetch_facts *fetch,
                       const struct fetch_facts *first, const char *subject)
{
    const struct config_domain *expected = checks->facts->expected;
    const char *wanted = expected != NULL ? expected->policy->body : first->body;
    size_t len = expected != NULL ? expected->policy->body_len : first->body_len;

    if (fetch->body_len != len || memcmp(fetch->body, wanted, len) != 0)
        differ(checks, subject, fetch, wanted, len,
               expected != NULL ? "the INI yields" : "the first address");
}

/* No connection, though there is a way to it. */
static bool is_unreachable(const struct fetch_facts *fetch)
{
    return fetch != NULL && fetch->connection.done && fetch->connection.stage == STAGE_NOTHING &&
           !fetch->connection.no_route;
}

/* Every address; returns what the first that serves a policy has answered. */
static const struct fetch_facts *judge_addresses(struct checks *checks)
{
    const struct dns_addresses *addresses = &checks->facts->dns->host;
    const struct fetch_facts *first = NULL;
    unsigned unreachable = 0;
    char subject[CHECKS_SUBJECT_SIZE];

    for (unsigned i = 0; i < addresses->count; i++)
        unreachable += is_unreachable(checks->facts->host[i]);
    for (unsigned i = 0; i < addresses->count; i++) {
        const struct fetch_facts *fetch = checks->facts->host[i];
        checks_subject(subject, checks->host, &addresses->items[i]);
        if (fetch == NULL || !fetch->connection.done) {
            checks_add(checks, FINDING_UNTESTED, "CHECK_FAILED", subject,
                       "the check of this address ended before its time");
        } else if (fetch->connection.no_route) {
            checks_no_route(checks, subject, fetch->connection.fault);
        } else if (is_unreachable(fetch)) {
            checks_add(checks, unreachable == addresses->count ? FINDING_ERROR : FINDING_WARNING,
                       "HOST_CONNECT", subject, "%s%s", fetch->connection.fault,
                       unreachable == addresses->count ? ": nobody can fetch the policy"
                                                       : ": some senders try only one address");
        } else if (judge_address(checks, fetch, subject)) {
            first = first == NULL ? fetch : first;
            judge_body(checks, fetch, first, subject);
        }
    }
    return first;
}

void checks_policy_host(struct checks *checks)
{
    const struct dns_addresses *addresses = &checks->facts->dns->host;
    bool unanswered = checks_unanswered(checks, addresses->v4, checks->host, "A");

    unanswered = checks_unanswered(checks, addresses->v6, checks->host, "AAAA") || unanswered;
    if (addresses->count == 0 && !unanswered)
        checks_add(checks, FINDING_ERROR, "HOST_NOADDR", checks->host,
                   "it has no A and no AAAA record%s: let it lead to the policy host",
                   addresses->alias ? " at the end of its CNAME" : "");
    checks_more(checks, addresses, checks->host);
    const struct fetch_facts *first = judge_addresses(checks);
    if (first != NULL)
        checks_policy(checks, first->body, first->body_len);
}
