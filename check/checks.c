/* SPDX-License-Identifier: MIT
 * What all checks share, and their order.
 */
#include "checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "name.h"

#define DAY 86400
#define SOON_DAYS 14

void checks_add(struct checks *checks, enum finding_severity severity, const char *code,
                const char *subject, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    finding_add(&checks->findings, severity, code, (struct place){subject, 0, 0}, "%s", text);
}

void checks_saw(struct checks *checks, const char *topic, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    finding_add(&checks->seen, FINDING_INFO, topic, (struct place){NULL, 0, 0}, "%s", text);
}

void checks_fix(struct checks *checks, const char *line, const char *host)
{
    if (name_is_valid(host, strlen(host), NULL))
        finding_add_fix(&checks->findings, "%s%s", line, host);
}

bool checks_unanswered(struct checks *checks, enum dns_status status, const char *subject,
                       const char *type)
{
    static const char *const why[] = {
        [DNS_NOT_ASKED] = "it was not asked",
        [DNS_SERVFAIL] = "the name server answers with an error (SERVFAIL or the like)",
        [DNS_TIMEOUT] = "no answer that fits the question came in time",
        [DNS_MALFORMED] = "the answer is malformed",
        [DNS_LOOP] = "its aliases (CNAME) have no end",
    };

    if (status == DNS_FOUND || status == DNS_NODATA || status == DNS_NXDOMAIN)
        return false;
    if (status == DNS_NOT_ASKED && !checks->facts->dns->done)
        return true; /* has been said of all of them */
    checks_add(checks, FINDING_UNTESTED, "DNS_FAILED", subject, "%s record: %s", type, why[status]);
    return true;
}

void checks_no_route(struct checks *checks, const char *subject, const char *fault)
{
    checks_add(checks, FINDING_UNTESTED, "NO_ROUTE", subject,
               "this machine has no way to that address: %s", fault);
}

void checks_more(struct checks *checks, const struct dns_addresses *addresses, const char *name)
{
    if (addresses->more)
        checks_add(checks, FINDING_UNTESTED, "ADDRESSES_MANY", name,
                   "only %d of its addresses were looked at", FACTS_ADDRESSES_MAX);
}

enum finding_severity checks_by_mode(const struct checks *checks)
{
    return checks->policy_known && checks->policy.mode == POLICY_MODE_ENFORCE ? FINDING_ERROR
                                                                              : FINDING_WARNING;
}

void checks_subject(char subject[CHECKS_SUBJECT_SIZE], const char *name,
                    const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];

    address_format(address, false, text);
    snprintf(subject, CHECKS_SUBJECT_SIZE, "%s [%s]", name, text);
}

/* "2026-11-25", in UTC. */
static void format_day(time_t when, char day[16])
{
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || strftime(day, 16, "%Y-%m-%d", &tm) == 0)
        memcpy(day, "?", 2);
}

static void judge_dates(struct checks *checks, const struct tls_peer *peer, const char *host,
                        const char *subject, enum finding_severity severity,
                        const struct certificate_codes *codes)
{
    time_t now = checks->facts->now;
    long long days = (long long)(peer->not_after - now) / DAY;
    char day[16];

    format_day(peer->not_after < now ? peer->not_after : peer->not_before, day);
    if (!peer->date_ok) {
        if (peer->not_after < now)
            checks_add(checks, severity, codes->date, subject,
                       "the certificate expired on %s: renew it", day);
        else if (peer->not_before > now)
            checks_add(checks, severity, codes->date, subject,
                       "the certificate is not valid before %s", day);
        else
            checks_add(checks, severity, codes->date, subject,
                       "a certificate of the chain is not in date: install the present chain");
        checks_fix(checks, "certbot renew --cert-name ", host);
    } else if (days < SOON_DAYS) {
        checks_add(checks, FINDING_WARNING, codes->soon, subject,
                   "the certificate expires in %lld days: does its renewal work?", days);
        checks_fix(checks, "certbot renew --cert-name ", host);
    }
}

bool checks_certificate(struct checks *checks, const struct tls_peer *peer, const char *host,
                        const char *subject, enum finding_severity severity,
                        const struct certificate_codes *codes)
{
    if (!peer->chain_ok)
        checks_add(checks, severity, codes->chain, subject, "%s",
                   peer->self_signed ? "the certificate is self-signed: senders trust only public "
                                       "certification authorities"
                   : peer->count <= 1
                       ? "no root vouches for the certificate, and it came alone: is the "
                         "intermediate certificate missing (fullchain.pem, not cert.pem)?"
                       : "no root vouches for the certificate chain: senders do not know its "
                         "issuer");
    if (!peer->name_ok) {
        checks_add(checks, severity, codes->name, subject,
                   "the certificate is not for %s: its DNS names (subjectAltName) are %s%s", host,
                   peer->names[0] == '\0' ? "none" : peer->names,
                   peer->names[0] == '\0' ? "; the common name (CN) does not count" : "");
        checks_fix(checks, "certbot certonly --standalone -d ", host);
    }
    judge_dates(checks, peer, host, subject, severity, codes);
    return peer->chain_ok && peer->name_ok && peer->date_ok;
}

void checks_run(struct checks *checks, const struct domain_facts *facts)
{
    *checks = (struct checks){.facts = facts};
    snprintf(checks->host, sizeof checks->host, "mta-sts.%s", facts->domain);
    if (!facts->dns->done) /* what it had found by then counts */
        checks_add(checks, FINDING_UNTESTED, "CHECK_FAILED", facts->domain,
                   "the DNS look-ups took too long or ended before their time");
    checks_policy_host(checks);
    if (!checks->policy_known && facts->expected != NULL) {
        checks->policy = facts->expected->policy->policy;
        checks->policy_known = true;
    }
    checks_txt(checks);
    checks_mx(checks);
    checks_report_txt(checks);
}

void checks_free(struct checks *checks)
{
    finding_list_free(&checks->findings);
    finding_list_free(&checks->seen);
    arena_free(&checks->arena);
}
