/* SPDX-License-Identifier: MIT
 * The administrator's question: can this domain go to enforce? Better a "not yet" too many than
 * mail lost: whatever is not known speaks against it.
 */
#include "report/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static const struct {
    const char *result, *advice;
} advices[] = {
    {"starttls-not-supported",
     "let this MX offer STARTTLS on port 25, and look for a firewall that takes it out"},
    {"certificate-host-mismatch",
     "give this MX a certificate whose DNS names include the MX host name"},
    {"certificate-expired", "renew the certificate of this MX, and reload the mail server after "
                            "each renewal"},
    {"certificate-not-trusted",
     "give this MX a certificate of a public CA, and send its intermediates too"},
    {"validation-failure",
     "run mta-sts-check on the domain; if the MX is not in the policy, add it there"},
    {"tlsa-invalid", "mend the TLSA records of this MX: none is one that a sender can use"},
    {"dnssec-invalid", "mend the DNSSEC signatures of the domain and of its MX hosts"},
    {"dane-required", "publish TLSA records for this MX: this sender sends only where DANE is"},
    {"sts-policy-fetch-error", "see that https://mta-sts.<domain>/.well-known/mta-sts.txt answers "
                               "200 without a redirect: run mta-sts-check"},
    {"sts-policy-invalid", "mend what is served as the policy: run mta-sts-check"},
    {"sts-webpki-invalid",
     "mend the certificate of mta-sts.<domain>: in date, of a public CA, with its intermediates"},
    {"unspecified", "the report tells no more: ask the organization that sent it"},
    {"others", "there are more kinds of failure than rows here: look at a shorter time"},
};

const char *verdict_advice(const char *result)
{
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strcmp(advices[i].result, result) == 0)
            return advices[i].advice;
    return "no result-type of RFC 8460; the reason that its sender gives may tell more";
}

static const struct summary_day *day_at(const struct summary_domain *domain, size_t i)
{
    return domain->days.items[i];
}

const char *verdict_current(const struct summary_policy *policy,
                            const struct config_domain *configured)
{
    const struct config_policy *current = configured == NULL ? NULL : configured->policy;

    if (current == NULL || policy->text[0] == '\0')
        return "";
    return strlen(policy->text) == current->body_len &&
                   memcmp(policy->text, current->body, current->body_len) == 0
               ? "current"
               : "not current";
}

/* The mx lines of a policy as it is rendered; NULL if it has none. */
static const char *mx_lines(const char *text, size_t len, size_t *mx_len)
{
    const char *end = text + len, *first = memmem(text, len, "\r\nmx: ", 6), *last = first;

    for (const char *next = first; next != NULL;
         next = memmem(next + 2, (size_t)(end - next) - 2, "\r\nmx: ", 6))
        last = next;
    if (first == NULL)
        return NULL;
    const char *line_end = memmem(last + 2, (size_t)(end - last) - 2, "\r\n", 2);
    *mx_len = (size_t)((line_end == NULL ? end : line_end) - first);
    return first;
}

/* Senders judged mail by the mx of a policy; mode and max_age do not matter for that. */
static bool has_same_mx(const struct summary_policy *policy, const struct config_policy *current)
{
    size_t len, current_len;
    const char *mx = mx_lines(policy->text, strlen(policy->text), &len);
    const char *current_mx = mx_lines(current->body, current->body_len, &current_len);

    return policy->valid && mx != NULL && current_mx != NULL && len == current_len &&
           memcmp(mx, current_mx, len) == 0;
}

/* The first day that senders had good sessions with the mx of the INI; NONE if they had not. */
static summary_day_number first_current(const struct summary_domain *domain,
                                        const struct config_domain *configured)
{
    summary_day_number first = SUMMARY_DAY_NONE;

    for (size_t i = 0; i < domain->policies.count; i++) {
        const struct summary_policy *policy = domain->policies.items[i];
        if (policy->sessions.good > 0 && has_same_mx(policy, configured->policy) &&
            (first == SUMMARY_DAY_NONE || policy->first < first))
            first = policy->first;
    }
    return first;
}

/* Of the INI, else of the newest policy that was seen; of two as new, the one with more sessions.
 */
static void find_mode(const struct summary_domain *domain, const struct config_domain *configured,
                      struct verdict *verdict)
{
    const struct summary_policy *newest = NULL;

    verdict->mode_known = configured != NULL;
    if (configured != NULL)
        verdict->mode = configured->policy->policy.mode;
    for (size_t i = 0; configured == NULL && i < domain->policies.count; i++) {
        const struct summary_policy *policy = domain->policies.items[i];
        if (!policy->valid ||
            (newest != NULL &&
             (policy->last < newest->last ||
              (policy->last == newest->last && policy->sessions.good <= newest->sessions.good))))
            continue;
        newest = policy;
        verdict->mode_known = true;
        verdict->mode = policy->mode;
    }
}

static void add_reason(struct verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_reason(struct verdict *verdict, const char *format, ...)
{
    va_list args;

    if (verdict->reason_count == VERDICT_REASONS_MAX)
        return;
    va_start(args, format);
    vsnprintf(verdict->reasons[verdict->reason_count++], VERDICT_REASON_SIZE, format, args);
    va_end(args);
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

static void tell_failures(const struct summary_domain *domain, struct verdict *verdict)
{
    char first[SUMMARY_DATE_SIZE] = "", last[SUMMARY_DATE_SIZE];
    int64_t failed = 0;

    for (size_t i = 0; i < domain->days.count; i++) {
        const struct summary_day *day = day_at(domain, i);
        if (day->sessions.failed == 0)
            continue;
        if (failed == 0)
            summary_date(day->day, first);
        failed = summary_sum(failed, day->sessions.failed);
    }
    summary_date(domain->last_failed, last);
    if (failed == 0)
        add_reason(verdict,
                   "something failed, but the report does not say how often; the last on "
                   "%s",
                   last);
    else if (strcmp(first, last) == 0)
        add_reason(verdict, "%" PRId64 " session%s failed on %s", failed, plural(failed), last);
    else
        add_reason(verdict, "%" PRId64 " session%s failed, from %s to %s", failed, plural(failed),
                   first, last);
}

/* Days without a failure, from the first with a report on; 0 if there is none. */
static int clean_days(const struct summary_domain *domain)
{
    for (size_t i = 0; i < domain->days.count; i++)
        if (day_at(domain, i)->day > domain->last_failed)
            return domain->last - day_at(domain, i)->day + 1;
    return 0;
}

/* The first of the last days that count for safety. */
static summary_day_number window_start(const struct summary_domain *domain)
{
    summary_day_number start = domain->last - VERDICT_DAYS + 1;

    return start > domain->last_failed ? start : domain->last_failed + 1;
}

static int days_with_reports(const struct summary_domain *domain)
{
    int days = 0;

    for (size_t i = 0; i < domain->days.count; i++)
        days += day_at(domain, i)->day >= window_start(domain);
    return days;
}

static int clean_reporters(const struct summary_domain *domain)
{
    int reporters = 0;

    for (size_t i = 0; i < domain->reporters.count; i++) {
        const struct summary_reporter *reporter = domain->reporters.items[i];
        reporters += reporter->last_sts >= window_start(domain);
    }
    return reporters;
}

static void judge_time(const struct summary_domain *domain, struct verdict *verdict)
{
    int days = clean_days(domain), reporters = clean_reporters(domain);

    if (days < VERDICT_DAYS) {
        if (domain->last_failed != SUMMARY_DAY_NONE)
            tell_failures(domain, verdict);
        add_reason(verdict, "%d day%s without a failure: %d are needed", days, plural(days),
                   VERDICT_DAYS);
    }
    if (domain->types[TLSRPT_STS].good == 0 && domain->types[TLSRPT_STS].failed == 0)
        add_reason(verdict, "no sender has used an MTA-STS policy of this domain: run "
                            "mta-sts-check");
    else if (reporters < VERDICT_REPORTERS)
        add_reason(verdict, "%d reporter%s with good sessions under the policy %s: %d are needed",
                   reporters, plural(reporters),
                   days < VERDICT_DAYS ? "in these days" : "in the last 14 days",
                   VERDICT_REPORTERS);
}

/* What senders know of the policy. */
static void judge_policy(const struct summary_domain *domain,
                         const struct config_domain *configured, struct verdict *verdict)
{
    summary_day_number first;
    char date[SUMMARY_DATE_SIZE];

    if (verdict->mode_known && verdict->mode == POLICY_MODE_NONE)
        add_reason(verdict, "the mode of the policy is none: testing comes first");
    if (configured == NULL) {
        if (!verdict->mode_known && domain->types[TLSRPT_STS].good > 0)
            add_reason(verdict, "no report shows a valid policy: name the INI file with -c");
        return;
    }
    first = first_current(domain, configured);
    summary_date(first, date);
    if (first == SUMMARY_DAY_NONE)
        add_reason(verdict, "no good session under the mx of the INI file is reported yet");
    else if (domain->last - first + 1 < VERDICT_DAYS)
        add_reason(verdict, "senders know the mx of the INI file since %s: %d days are needed",
                   date, VERDICT_DAYS);
}

void verdict_of(const struct summary_domain *domain, summary_day_number today,
                const struct config_domain *configured, struct verdict *verdict)
{
    summary_day_number window = domain->last - VERDICT_DAYS + 1;

    *verdict = (struct verdict){.kind = VERDICT_NOT_YET};
    find_mode(domain, configured, verdict);
    bool enforced = verdict->mode_known && verdict->mode == POLICY_MODE_ENFORCE;
    if (domain->last_refused >= window || (enforced && domain->last_unknown >= window)) {
        verdict->kind = VERDICT_FAILING;
        tell_failures(domain, verdict);
        add_reason(verdict, "until that is mended: mode = testing, and its new id in DNS");
        return;
    }
    judge_time(domain, verdict);
    judge_policy(domain, configured, verdict);
    if (today - domain->last > VERDICT_STALE_DAYS)
        add_reason(verdict, "the newest report is %d days old: see that reports still arrive",
                   today - domain->last);
    if (domain->incomplete)
        add_reason(verdict,
                   "a report of failures was left out, or a part of one: see what was said "
                   "of the input");
    if (verdict->reason_count > 0)
        return;
    verdict->kind = VERDICT_SAFE;
    add_reason(verdict,
               "%d days without a failure; of the last %d, %d with reports, from %d "
               "reporters",
               clean_days(domain), VERDICT_DAYS, days_with_reports(domain),
               clean_reporters(domain));
}

const char *verdict_name(enum verdict_kind kind)
{
    static const char *const names[] = {
        [VERDICT_SAFE] = "safe", [VERDICT_NOT_YET] = "not-yet", [VERDICT_FAILING] = "failing"};

    return names[kind];
}

const char *verdict_words(const struct verdict *verdict)
{
    bool enforced = verdict->mode_known && verdict->mode == POLICY_MODE_ENFORCE;

    if (verdict->kind == VERDICT_FAILING)
        return "failing: senders refuse to deliver, mail is being lost";
    if (verdict->kind == VERDICT_SAFE)
        return enforced ? "enforce holds" : "safe to enforce";
    return enforced ? "enforce, but not shown to be safe" : "not yet safe to enforce";
}
