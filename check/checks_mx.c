/* SPDX-License-Identifier: MIT
 * Judges the MX hosts: listed in the policy, reachable, STARTTLS, certificate (RFC 8461 section 4),
 * and DANE where there is any (RFC 7672).
 */
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "name.h"

static const struct certificate_codes codes = {"MX_CERT_CHAIN", "MX_CERT_NAME", "MX_CERT_DATE",
                                               "MX_CERT_SOON"};

static bool is_null_mx(const struct dns_facts *dns)
{
    return dns->mx_count == 1 && dns->mx[0].name[0] == '\0';
}

static unsigned kept_count(const struct dns_facts *dns)
{
    return dns->mx_count < FACTS_MX_MAX ? dns->mx_count : FACTS_MX_MAX;
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);

    return len > end_len && name_equal(name + len - end_len, end_len, end, end_len);
}

static bool is_within(const char *name, const char *domain)
{
    size_t len = strlen(name), domain_len = strlen(domain);

    return name_equal(name, len, domain, domain_len) ||
           (ends_with(name, domain) && name[len - domain_len - 1] == '.');
}

/* Sets *wildcard to a pattern that is nearly right: its wildcard would have to stand for more than
 * one label, or for none. */
static bool is_covered(const struct policy *policy, const char *name, const char **wildcard)
{
    char lower[FACTS_NAME_SIZE];

    snprintf(lower, sizeof lower, "%s", name);
    name_lower(lower);
    *wildcard = NULL;
    for (size_t i = 0; i < policy->mx_count; i++) {
        const char *pattern = policy->mx[i].pattern;
        if (policy_mx_matches(pattern, lower))
            return true;
        if (pattern[0] == '*' &&
            (ends_with(lower, pattern + 1) ||
             name_equal(lower, strlen(lower), pattern + 2, strlen(pattern + 2))))
            *wildcard = pattern;
    }
    return false;
}

static void judge_coverage(struct checks *checks, const struct dns_mx *mx)
{
    char patterns[512] = "";
    struct text text;
    const char *wildcard;

    if (!checks->policy_known || checks->policy.mode == POLICY_MODE_NONE ||
        is_covered(&checks->policy, mx->name, &wildcard))
        return;
    text_init(&text, patterns, sizeof patterns);
    for (size_t i = 0; i < checks->policy.mx_count; i++)
        text_addf(&text, "%s%s", i > 0 ? ", " : "", checks->policy.mx[i].pattern);
    checks_add(checks, checks_by_mode(checks), "MX_UNCOVERED", mx->name,
               "this MX is not in the policy (%s)%s%s%s: senders do not deliver to it under "
               "enforce",
               patterns, wildcard == NULL ? "" : "; ", wildcard == NULL ? "" : wildcard,
               wildcard == NULL ? "" : " covers exactly one label");
    checks_fix(checks, "mx = ", mx->name);
}

static void judge_patterns(struct checks *checks)
{
    const struct domain_facts *facts = checks->facts;
    const struct policy *policy = &checks->policy;
    const char *ignored;

    for (size_t i = 0; checks->policy_known && i < policy->mx_count; i++) {
        struct policy one = {.mx = &policy->mx[i], .mx_count = 1};
        const char *pattern = policy->mx[i].pattern;
        bool used = false;
        for (unsigned n = 0; n < kept_count(facts->dns); n++)
            used = used || is_covered(&one, facts->dns->mx[n].name, &ignored);
        if (!used && facts->dns->mx_count <= FACTS_MX_MAX && policy->mode != POLICY_MODE_NONE)
            checks_add(checks, FINDING_WARNING, "PATTERN_UNUSED", pattern,
                       "this mx of the policy is no MX of the domain: a slip, or a move to come?");
        if (pattern[0] == '*' && !is_within(pattern + 2, facts->domain))
            checks_add(checks, FINDING_INFO, "PATTERN_WIDE", pattern,
                       "this wildcard is not in the domain itself: every customer there who can "
                       "get such a name passes for an MX");
    }
}

/* Records of use here: the certificate itself, or one that vouches for it (RFC 7672 section 3.1).
 */
static bool tlsa_matches(const struct dns_tlsa_record *record, const struct tls_peer *peer)
{
    for (size_t i = 0; i < peer->count; i++) {
        const uint8_t *digest =
            record->selector == 1 ? peer->certificates[i].key : peer->certificates[i].certificate;
        bool right_place = record->usage == 3 ? i == 0 : record->usage == 2;
        if (right_place && record->matching == 1 && record->len == 32 &&
            memcmp(record->data, digest, 32) == 0)
            return true;
    }
    return false;
}

static void judge_tlsa(struct checks *checks, const struct dns_mx *mx, const struct tls_peer *peer,
                       const char *subject)
{
    unsigned usable = 0, comparable = 0, matching = 0;

    if (mx->tlsa.count > FACTS_TLSA_MAX)
        return; /* the one that fits may be among those that were not kept */
    for (unsigned i = 0; i < mx->tlsa.count; i++) {
        bool use = mx->tlsa.items[i].usage == 2 || mx->tlsa.items[i].usage == 3;
        usable += use;
        comparable += use && mx->tlsa.items[i].matching == 1;
        matching += tlsa_matches(&mx->tlsa.items[i], peer);
    }
    if (usable > 0 && comparable == usable && matching == 0)
        checks_add(checks, FINDING_WARNING, "TLSA_MISMATCH", subject,
                   "no TLSA record at _25._tcp.%s fits the certificate: senders that go by them do "
                   "not deliver",
                   mx->name);
}

static void judge_dane(struct checks *checks, const struct dns_mx *mx)
{
    char name[FACTS_NAME_SIZE + sizeof "_25._tcp."];

    snprintf(name, sizeof name, "_25._tcp.%s", mx->name);
    if (checks_unanswered(checks, mx->tlsa.status, name, "TLSA") || mx->tlsa.count == 0)
        return;
    checks_add(checks, FINDING_INFO, "TLSA", mx->name,
               "%u TLSA records: senders with DANE go by them, before MTA-STS", mx->tlsa.count);
    if (!mx->tlsa.authenticated)
        checks_add(checks, FINDING_WARNING, "TLSA_NO_AD", mx->name,
                   "the TLSA records are not authenticated by DNSSEC (or the resolver does not "
                   "say so): senders ignore them");
}

static void judge_handshake(struct checks *checks, const struct smtp_facts *smtp,
                            const char *subject)
{
    const struct connection_facts *connection = &smtp->connection;

    checks_add(checks, checks_by_mode(checks),
               connection->refused_version ? "MX_TLS_OLD" : "MX_TLS", subject,
               "the TLS handshake fails: %s%s", connection->fault,
               connection->refused_version ? "; MTA-STS wants TLS 1.2 or 1.3" : "");
}

/* What an address did before TLS; true if TLS was begun. */
static bool judge_dialogue(struct checks *checks, const struct smtp_facts *smtp,
                           const char *subject)
{
    const struct connection_facts *connection = &smtp->connection;
    bool refused = smtp->offers_starttls && smtp->bad_dialogue;

    if (smtp->glued)
        checks_add(checks, checks_by_mode(checks), "MX_STARTTLS_DATA", subject,
                   "bytes in the clear follow the answer to STARTTLS: a fault, or somebody on the "
                   "way (CVE-2011-0411)");
    if (connection->stage >= STAGE_STARTTLS)
        return true;
    if (connection->stage == STAGE_GREETED && (!smtp->offers_starttls || refused)) {
        checks_add(checks, checks_by_mode(checks), "MX_NO_STARTTLS", subject, "%s",
                   refused ? connection->fault
                           : "it does not offer STARTTLS: under enforce it gets no mail");
        finding_add_fix(&checks->findings, "postconf -e smtpd_tls_security_level=may");
    } else {
        checks_add(checks, FINDING_WARNING, "MX_SMTP", subject, "%s%s", connection->fault,
                   connection->timed_out ? ": senders wait no longer" : "");
    }
    return false;
}

static void judge_address(struct checks *checks, const struct dns_mx *mx,
                          const struct smtp_facts *smtp, const char *subject)
{
    const struct connection_facts *connection = &smtp->connection;

    if (!judge_dialogue(checks, smtp, subject))
        return;
    if (connection->stage < STAGE_TLS) {
        judge_handshake(checks, smtp, subject);
        return;
    }
    bool trusted = checks_certificate(checks, &connection->peer, mx->name, subject,
                                      checks_by_mode(checks), &codes);
    judge_tlsa(checks, mx, &connection->peer, subject);
    if (trusted)
        checks_saw(checks, "mx", "%s: STARTTLS, TLS %s, certificate good for %lld days", subject,
                   connection->tls,
                   (long long)(connection->peer.not_after - checks->facts->now) / 86400);
}

/* True if not one address of any MX could be reached, and all by silence: a firewall here. */
static bool is_blocked(const struct domain_facts *facts)
{
    unsigned silent = 0, all = 0;

    for (unsigned m = 0; m < kept_count(facts->dns); m++)
        for (unsigned a = 0; a < facts->dns->mx[m].addresses.count; a++) {
            const struct smtp_facts *smtp = facts->mx[m][a];
            all++;
            silent += smtp != NULL && smtp->connection.done &&
                      smtp->connection.stage == STAGE_NOTHING &&
                      (smtp->connection.timed_out || smtp->connection.no_route);
        }
    return all > 0 && silent == all;
}

static void judge_connections(struct checks *checks, unsigned m)
{
    const struct dns_mx *mx = &checks->facts->dns->mx[m];
    char subject[CHECKS_SUBJECT_SIZE];

    for (unsigned a = 0; a < mx->addresses.count; a++) {
        const struct smtp_facts *smtp = checks->facts->mx[m][a];
        checks_subject(subject, mx->name, &mx->addresses.items[a]);
        if (smtp == NULL || !smtp->connection.done)
            checks_add(checks, FINDING_UNTESTED, "CHECK_FAILED", subject,
                       "the check of this address ended before its time");
        else if (smtp->connection.no_route)
            checks_no_route(checks, subject, smtp->connection.fault);
        else if (smtp->connection.stage == STAGE_NOTHING)
            checks_add(checks, FINDING_WARNING, "MX_UNREACHABLE", subject, "%s",
                       smtp->connection.fault);
        else
            judge_address(checks, mx, smtp, subject);
    }
}

/* The host as DNS has it; true if its addresses are worth a connection. */
static bool judge_host(struct checks *checks, const struct dns_mx *mx)
{
    if (mx->is_address) {
        checks_add(checks, FINDING_ERROR, "MX_IP", mx->name,
                   "the MX record holds an IP address: it must be a name");
        return false;
    }
    if (mx->name[0] == '\0')
        return false; /* a null MX among others means nothing (RFC 7505 section 3) */
    judge_coverage(checks, mx);
    bool unanswered = checks_unanswered(checks, mx->addresses.v4, mx->name, "A");
    unanswered = checks_unanswered(checks, mx->addresses.v6, mx->name, "AAAA") || unanswered;
    if (mx->addresses.alias)
        checks_add(checks, FINDING_WARNING, "MX_CNAME", mx->name,
                   "an MX record must not lead to an alias (RFC 2181 section 10.3): some senders "
                   "then compare the other name");
    checks_more(checks, &mx->addresses, mx->name);
    if (mx->addresses.count == 0 && !unanswered)
        checks_add(checks, FINDING_ERROR, "MX_NOADDR", mx->name, "it has no A and no AAAA record");
    judge_dane(checks, mx);
    return mx->addresses.count > 0;
}

/* What the MX records as such say; true if there are hosts to look at. */
static bool judge_records(struct checks *checks)
{
    const struct domain_facts *facts = checks->facts;

    if (checks_unanswered(checks, facts->dns->mx_status, facts->domain, "MX"))
        return false;
    if (facts->dns->mx_status == DNS_NXDOMAIN) {
        checks_add(checks, FINDING_WARNING, "MX_NONE", facts->domain,
                   "there is no such domain (NXDOMAIN)");
        return false;
    }
    if (is_null_mx(facts->dns)) {
        checks_add(checks, FINDING_INFO, "NULL_MX", facts->domain,
                   "a null MX: the domain takes no mail and needs no MTA-STS");
        return false;
    }
    if (facts->dns->mx_status == DNS_NODATA)
        checks_add(checks, FINDING_WARNING, "MX_NONE", facts->domain,
                   "no MX record: senders deliver to the host %s itself, which the policy must "
                   "then list",
                   facts->domain);
    if (facts->dns->mx_count > FACTS_MX_MAX)
        checks_add(checks, FINDING_WARNING, "MX_MANY", facts->domain,
                   "%u MX records: only the first %d were looked at", facts->dns->mx_count,
                   FACTS_MX_MAX);
    return true;
}

void checks_mx(struct checks *checks)
{
    const struct domain_facts *facts = checks->facts;
    bool blocked = is_blocked(facts);

    if (!judge_records(checks))
        return;
    judge_patterns(checks);
    for (unsigned m = 0; m < kept_count(facts->dns); m++)
        if (judge_host(checks, &facts->dns->mx[m]) && facts->smtp_wanted && !blocked)
            judge_connections(checks, m);
    if (blocked && facts->smtp_wanted)
        checks_add(checks, FINDING_UNTESTED, "PORT25_BLOCKED", facts->domain,
                   "no MX host answers at all: connections to port 25 seem to be blocked here; run "
                   "this elsewhere, or with --no-smtp");
}
