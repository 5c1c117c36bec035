/* SPDX-License-Identifier: MIT
 * Judges the two TXT records: _mta-sts (RFC 8461 section 3.1) and _smtp._tls (RFC 8460 section 3).
 */
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "text.h"

#define STS "v=STSv1"
#define TLSRPT "v=TLSRPTv1"
#define DAY 86400
#define TTL 3600 /* of the records that are proposed */

/* The records that begin with a version, among others. */
struct selection {
    const struct dns_text *first;
    unsigned count, others;
};

static bool begins(const struct dns_text *text, const char *with)
{
    char next = text->bytes[strlen(with)];

    return strncmp(text->bytes, with, strlen(with)) == 0 &&
           (next == '\0' || strchr("; \t", next) != NULL);
}

static struct selection select_texts(const struct dns_texts *texts, const char *version)
{
    struct selection selection = {NULL, 0, 0};
    unsigned kept = texts->count < FACTS_TEXTS_MAX ? texts->count : FACTS_TEXTS_MAX;

    for (unsigned i = 0; i < kept; i++) {
        if (!begins(&texts->items[i], version)) {
            selection.others++;
            continue;
        }
        if (selection.count++ == 0)
            selection.first = &texts->items[i];
    }
    selection.others += texts->count - kept;
    return selection;
}

/* The record that must be there: with the id of the INI, else that of what is served, else a new
 * one. */
static void fix_sts(struct checks *checks)
{
    const struct domain_facts *facts = checks->facts;
    char id[POLICY_ID_MAX + 1];
    struct tm tm;

    if (facts->expected != NULL)
        memcpy(id, facts->expected->policy->id, sizeof id);
    else if (checks->served_id[0] != '\0')
        memcpy(id, checks->served_id, sizeof id);
    else if (gmtime_r(&facts->now, &tm) == NULL ||
             strftime(id, sizeof id, "%Y%m%d%H%M%SZ", &tm) == 0)
        return;
    finding_add_fix(&checks->findings, "_mta-sts.%s. %d IN TXT \"v=STSv1; id=%s;\"", facts->domain,
                    TTL, id);
}

static void fix_tlsrpt(struct checks *checks)
{
    const struct domain_facts *facts = checks->facts;
    char value[POLICY_TXT_MAX];
    struct text text;

    text_init(&text, value, sizeof value);
    if (facts->expected != NULL && facts->expected->policy->source.rua.count > 0)
        policy_tlsrpt_txt(&facts->expected->policy->source.rua, &text);
    else
        text_addf(&text, TLSRPT "; rua=mailto:tls-reports@%s", facts->domain);
    if (!text.overflow && text.len <= 255)
        finding_add_fix(&checks->findings, "_smtp._tls.%s. %d IN TXT \"%s\"", facts->domain, TTL,
                        value);
}

/* Says in our words what the strict parser found. Its errors have the given code, RUA faults one of
 * their own; what only some senders refuse is a warning, extension fields an info. */
static void take_over(struct checks *checks, const struct finding_list *parsed, const char *subject,
                      const char *code, void (*fix)(struct checks *checks))
{
    for (size_t i = 0; i < parsed->count; i++) {
        const struct finding *f = &parsed->items[i];
        bool extension = strstr(f->text, "an extension") != NULL;
        bool rua = strcmp(f->code, "TXT_RUA") == 0;
        enum finding_severity severity =
            extension && strcmp(code, "TXT_SYNTAX") == 0 ? FINDING_INFO : f->severity;
        finding_add_copy(&checks->findings, f, severity,
                         rua                        ? "RPT_RUA"
                         : severity == FINDING_INFO ? "TXT_EXT"
                                                    : code,
                         (struct place){subject, 0, f->place.column});
        if (f->severity == FINDING_ERROR)
            fix(checks);
    }
}

static void look_elsewhere(struct checks *checks)
{
    const struct dns_facts *dns = checks->facts->dns;

    if (select_texts(&dns->at_domain, STS).count > 0)
        checks_add(checks, FINDING_WARNING, "TXT_WRONG_NAME", checks->facts->domain,
                   "the MTA-STS record stands here; its place is _mta-sts.%s",
                   checks->facts->domain);
    if (select_texts(&dns->at_host, STS).count > 0)
        checks_add(checks, FINDING_WARNING, "TXT_WRONG_NAME", checks->host,
                   "the MTA-STS record stands here; its place is _mta-sts.%s",
                   checks->facts->domain);
}

static void judge_id(struct checks *checks, const char *subject, const char *id)
{
    const struct config_domain *expected = checks->facts->expected;

    if (expected == NULL || strcmp(id, expected->policy->id) == 0)
        return;
    checks_add(checks, FINDING_ERROR, "ID_STALE", subject,
               "the id is %s, that of the INI's policy is %s: senders keep the policy that they "
               "have until its max_age is over",
               id, expected->policy->id);
    fix_sts(checks);
}

static void judge_sts(struct checks *checks, const struct dns_text *text, const char *subject)
{
    const struct dns_texts *texts = &checks->facts->dns->sts;
    struct finding_list parsed = {0};
    char id[POLICY_ID_MAX + 1];
    enum policy_verdict verdict =
        policy_parse_sts_txt(text->bytes, text->len, subject, &parsed, id);

    take_over(checks, &parsed, subject, "TXT_SYNTAX", fix_sts);
    if (verdict != POLICY_INVALID) {
        judge_id(checks, subject, id);
        checks_saw(checks, "dns", "%s TXT: id %s, TTL %u", subject, id, texts->ttl);
    }
    if (texts->ttl > DAY)
        checks_add(checks, FINDING_INFO, "TXT_TTL", subject,
                   "the TTL is %u seconds: a change takes longer than a day to be seen",
                   texts->ttl);
    finding_list_free(&parsed);
}

void checks_txt(struct checks *checks)
{
    const struct dns_texts *texts = &checks->facts->dns->sts;
    struct selection found = select_texts(texts, STS);
    char subject[FACTS_NAME_SIZE + 16];

    snprintf(subject, sizeof subject, "_mta-sts.%s", checks->facts->domain);
    if (checks_unanswered(checks, texts->status, subject, "TXT"))
        return;
    if (found.count > 1) {
        checks_add(checks, FINDING_ERROR, "TXT_MULTIPLE", subject,
                   "%u records begin with " STS ": senders act as if there were none; leave one",
                   found.count);
        fix_sts(checks);
    } else if (found.count == 0) {
        checks_add(checks, FINDING_ERROR, "TXT_MISSING", subject, "%s: senders see no MTA-STS",
                   texts->status == DNS_NXDOMAIN ? "there is no such name (NXDOMAIN)"
                   : texts->count > 0            ? "no TXT record begins with " STS
                                                 : "the name has no TXT record");
        fix_sts(checks);
        look_elsewhere(checks);
    } else {
        judge_sts(checks, found.first, subject);
    }
    if (texts->status == DNS_FOUND)
        checks_add(checks, FINDING_INFO, "DNSSEC_AD", subject,
                   texts->authenticated
                       ? "the resolver has authenticated the answer (DNSSEC)"
                       : "the answer is not authenticated (DNSSEC): who can change it on its way "
                         "can hide the policy from new senders");
    if (found.others > 0)
        checks_add(checks, FINDING_WARNING, "TXT_FOREIGN", subject,
                   "%u other TXT records at this name (a wildcard?): go-mtasts and checkdmarc then "
                   "see no policy",
                   found.others);
}

/* The addresses of a rua field, without the blanks that may stand at its commas. */
static void find_rua(const char *record, struct text *out)
{
    const char *at = strstr(record, "rua=");

    while (at != NULL && at > record && strchr("; \t", at[-1]) == NULL)
        at = strstr(at + 1, "rua=");
    for (at = at == NULL ? "" : at + 4; *at != '\0' && *at != ';'; at++)
        if (*at != ' ' && *at != '\t')
            text_add_bytes(out, at, 1);
}

static void judge_expected_rua(struct checks *checks, const char *subject, const char *rua)
{
    const struct config_domain *expected = checks->facts->expected;
    char record[POLICY_TXT_MAX], wanted[POLICY_TXT_MAX];
    struct text text, list;

    if (expected == NULL || expected->policy->source.rua.count == 0)
        return;
    text_init(&text, record, sizeof record);
    policy_tlsrpt_txt(&expected->policy->source.rua, &text);
    text_init(&list, wanted, sizeof wanted);
    find_rua(record, &list);
    if (strcmp(rua, wanted) == 0)
        return;
    checks_add(checks, FINDING_WARNING, "RPT_RUA_EXPECTED", subject,
               "reports go to %s, the INI says %s", rua, wanted);
    fix_tlsrpt(checks);
}

/* A mailbox in the domain that is reported on. */
static bool is_own_mailbox(const char *uri, size_t len, const char *domain)
{
    const char *sign =
        len > 7 && strncasecmp(uri, "mailto:", 7) == 0 ? memchr(uri, '@', len) : NULL;
    size_t domain_len = strlen(domain);

    if (sign == NULL)
        return false;
    size_t host_len = (size_t)(uri + len - sign) - 1;
    return host_len >= domain_len && strncasecmp(sign + 1, domain, domain_len) == 0 &&
           (host_len == domain_len || sign[1 + domain_len] == '?');
}

static void judge_rua(struct checks *checks, const char *subject, const char *record)
{
    char rua[FACTS_TEXT_SIZE];
    struct text text;
    unsigned count = 0;
    bool own = false;

    text_init(&text, rua, sizeof rua);
    find_rua(record, &text);
    for (const char *at = rua; *at != '\0'; count++) {
        size_t len = strcspn(at, ",");
        own = own || is_own_mailbox(at, len, checks->facts->domain);
        at += len + (at[len] == ',');
    }
    judge_expected_rua(checks, subject, rua);
    if (own)
        checks_add(checks, FINDING_INFO, "RPT_RUA_SAME_DOMAIN", subject,
                   "the mailbox is in the domain itself: not every reporter delivers while its "
                   "TLS fails, and a dead MX gets nothing; another domain is safer");
    if (count > 1)
        checks_add(checks, FINDING_INFO, "RPT_RUA_MANY", subject,
                   "%u report addresses: some reporters use only one of them", count);
    checks_saw(checks, "reports", "%s TXT: to %s", subject, rua);
}

static void judge_endpoint(struct checks *checks, const struct dns_endpoint *endpoint,
                           const struct fetch_facts *fetch)
{
    char subject[FACTS_NAME_SIZE + 16];
    const char *why = NULL;

    snprintf(subject, sizeof subject, "%s:%u", endpoint->host, endpoint->port);
    if (checks_unanswered(checks, endpoint->addresses.v4, subject, "A") ||
        checks_unanswered(checks, endpoint->addresses.v6, subject, "AAAA"))
        return;
    if (endpoint->addresses.count == 0)
        why = "it has no address";
    else if (fetch == NULL || !fetch->connection.done)
        why = "it could not be looked at";
    else if (fetch->connection.stage < STAGE_TLS)
        why = fetch->connection.fault;
    else if (!fetch->connection.peer.chain_ok || !fetch->connection.peer.date_ok ||
             !fetch->connection.peer.name_ok)
        why = "its certificate is not valid";
    if (why != NULL)
        checks_add(checks, FINDING_WARNING, "RPT_HTTPS", subject,
                   "reports cannot be sent there: %s", why);
}

static void judge_tlsrpt(struct checks *checks, const struct dns_text *text, const char *subject)
{
    struct finding_list parsed = {0};
    enum policy_verdict verdict = policy_parse_tlsrpt_txt(text->bytes, text->len, subject, &parsed);

    take_over(checks, &parsed, subject, "RPT_SYNTAX", fix_tlsrpt);
    if (verdict != POLICY_INVALID)
        judge_rua(checks, subject, text->bytes);
    finding_list_free(&parsed);
}

static void judge_missing_tlsrpt(struct checks *checks, const char *subject)
{
    const struct dns_facts *dns = checks->facts->dns;
    char misnamed[FACTS_NAME_SIZE + 16];

    checks_add(checks, FINDING_WARNING, "RPT_MISSING", subject,
               "no record begins with " TLSRPT ": nobody reports what fails; publish it before "
               "MTA-STS");
    fix_tlsrpt(checks);
    snprintf(misnamed, sizeof misnamed, "_smtp-tlsrpt.%s", checks->facts->domain);
    if (select_texts(&dns->rpt_misnamed, TLSRPT).count > 0)
        checks_add(checks, FINDING_WARNING, "TXT_WRONG_NAME", misnamed,
                   "the TLS-RPT record stands here; its place is %s", subject);
    if (select_texts(&dns->rpt, "v=TSLRPTv1").count > 0)
        checks_add(checks, FINDING_WARNING, "TXT_WRONG_NAME", subject,
                   "it says v=TSLRPT...: the version is spelt " TLSRPT);
}

void checks_report_txt(struct checks *checks)
{
    const struct dns_facts *dns = checks->facts->dns;
    struct selection found = select_texts(&dns->rpt, TLSRPT);
    char subject[FACTS_NAME_SIZE + 16];

    snprintf(subject, sizeof subject, "_smtp._tls.%s", checks->facts->domain);
    if (checks_unanswered(checks, dns->rpt.status, subject, "TXT"))
        return;
    if (found.count > 1) {
        checks_add(checks, FINDING_ERROR, "RPT_MULTIPLE", subject,
                   "%u records begin with " TLSRPT ": reporters act as if there were none; leave "
                   "one",
                   found.count);
        fix_tlsrpt(checks);
    } else if (found.count == 0) {
        judge_missing_tlsrpt(checks, subject);
    } else {
        judge_tlsrpt(checks, found.first, subject);
    }
    for (unsigned i = 0; i < dns->endpoint_count; i++)
        judge_endpoint(checks, &dns->endpoints[i], checks->facts->endpoints[i]);
}
