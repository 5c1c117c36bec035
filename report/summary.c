/* SPDX-License-Identifier: MIT
 * Adding reports up. Anybody can send reports, with as many different names in them as he likes:
 * sets are balanced trees, rows are capped, and all memory is counted.
 */
#include "report/summary_internal.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "finding.h"

#define SECONDS_OF_DAY 86400

/* One policy of a report, and what it is added to. */
struct adding {
    struct summary *summary;
    struct summary_domain *domain;
    summary_day_number first, last;
};

static int compare_days(const void *a, const void *b)
{
    const struct summary_day *x = a, *y = b;

    return (x->day > y->day) - (x->day < y->day);
}

static int compare_reporters(const void *a, const void *b)
{
    const struct summary_reporter *x = a, *y = b;

    return strcasecmp(x->name, y->name);
}

static int compare_policies(const void *a, const void *b)
{
    const struct summary_policy *x = a, *y = b;

    return strcmp(x->text, y->text);
}

static int compare_failures(const void *a, const void *b)
{
    const struct summary_failure *x = a, *y = b;
    int order = (x->type > y->type) - (x->type < y->type);

    if (order == 0)
        order = strcmp(x->result, y->result);
    if (order == 0)
        order = strcmp(x->mx, y->mx);
    if (order == 0)
        order = strcmp(x->sending_ip, y->sending_ip);
    return order != 0 ? order : strcmp(x->receiving_ip, y->receiving_ip);
}

static void add_sessions(struct summary_sessions *sum, int64_t good, int64_t failed)
{
    sum->good = summary_sum(sum->good, good);
    sum->failed = summary_sum(sum->failed, failed);
}

static void later(summary_day_number *day, summary_day_number other)
{
    if (other > *day)
        *day = other;
}

static int compare_domains(const void *a, const void *b)
{
    const struct summary_domain *x = a, *y = b;

    return strcmp(x->name, y->name);
}

struct summary_domain *summary_find_domain(const struct summary *s, const char *name)
{
    struct summary_domain key = {.name = name};

    return summary_set_find(&s->domains, &key, compare_domains);
}

static struct summary_domain *take_domain(struct summary *s, const char *name)
{
    struct summary_domain key = {.name = name,
                                 .first = INT32_MAX,
                                 .last = SUMMARY_DAY_NONE,
                                 .last_failed = SUMMARY_DAY_NONE,
                                 .last_refused = SUMMARY_DAY_NONE,
                                 .last_unknown = SUMMARY_DAY_NONE};
    struct summary_domain *domain = summary_set_find(&s->domains, &key, compare_domains);

    if (domain != NULL)
        return domain;
    key.name = summary_keep(s, name);
    return summary_set_add(s, &s->domains, &key, sizeof key, compare_domains);
}

static void add_failure(const struct adding *a, enum tlsrpt_type type,
                        const struct tlsrpt_failure *failure)
{
    struct summary_set *set = &a->domain->failures;
    struct summary_failure key = {.type = type,
                                  .result = failure->result,
                                  .mx = failure->mx,
                                  .sending_ip = failure->sending_ip,
                                  .receiving_ip = failure->receiving_ip,
                                  .reason = "",
                                  .first = INT32_MAX,
                                  .last = SUMMARY_DAY_NONE};
    struct summary_failure *row = summary_set_find(set, &key, compare_failures);

    if (row == NULL && set->count >= SUMMARY_FAILURES_MAX) {
        key.result = "others";
        key.mx = key.sending_ip = key.receiving_ip = "";
        row = summary_set_find(set, &key, compare_failures);
    }
    if (row == NULL) {
        key.result = summary_keep(a->summary, key.result);
        key.mx = summary_keep(a->summary, key.mx);
        key.sending_ip = summary_keep(a->summary, key.sending_ip);
        key.receiving_ip = summary_keep(a->summary, key.receiving_ip);
        row = summary_set_add(a->summary, set, &key, sizeof key, compare_failures);
    }
    if (row == NULL)
        return;
    if (row->reason[0] == '\0')
        row->reason = summary_keep(a->summary, failure->reason);
    row->count = summary_sum(row->count, failure->count);
    if (a->first < row->first)
        row->first = a->first;
    later(&row->last, a->last);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* The policy as mta-stsd would render it, so that senders that order its lines in their own ways
 * are seen to have the same; else as it was sent. */
static void read_policy_text(struct summary *s, struct summary_policy *seen, const char *text,
                             struct text *rendered)
{
    struct finding_list findings = {0};
    struct arena arena = {0};
    struct policy policy = {.mode = POLICY_MODE_NONE};

    *seen = (struct summary_policy){.text = text, .first = INT32_MAX, .last = SUMMARY_DAY_NONE};
    if (text[0] != '\0' && count_lines(text) <= SUMMARY_LINES_MAX &&
        policy_parse(text, strlen(text), "", &arena, &findings, &policy) != POLICY_INVALID) {
        policy_render(&policy, rendered);
        seen->valid = true;
        seen->mode = policy.mode;
        if (!rendered->overflow)
            seen->text = rendered->data;
    }
    s->full = s->full || findings.out_of_memory;
    finding_list_free(&findings);
    arena_free(&arena);
}

/* Adds it to the policies seen, where there is memory for it. */
static void add_policy_text(const struct adding *a, const struct tlsrpt_policy *policy,
                            struct summary_policy *seen)
{
    struct summary_set *set = &a->domain->policies;
    struct summary_policy *row = summary_set_find(set, seen, compare_policies);

    if (row == NULL) {
        struct summary_policy key = *seen;
        if (set->count >= SUMMARY_POLICIES_MAX)
            key = (struct summary_policy){
                .text = "(and others)\r\n", .first = INT32_MAX, .last = SUMMARY_DAY_NONE};
        else
            key.text = summary_keep(a->summary, seen->text);
        row = summary_set_find(set, &key, compare_policies);
        if (row == NULL)
            row = summary_set_add(a->summary, set, &key, sizeof key, compare_policies);
    }
    if (row == NULL)
        return;
    add_sessions(&row->sessions, policy->good, policy->failed);
    if (a->first < row->first)
        row->first = a->first;
    later(&row->last, a->last);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Failures to fetch or read the policy: the sender then goes on without it. */
static bool is_about_policy(const char *result)
{
    return strcmp(result, "sts-policy-fetch-error") == 0 ||
           strcmp(result, "sts-policy-invalid") == 0 || strcmp(result, "sts-webpki-invalid") == 0;
}

/* Adds the failures of an element. True if sessions may have failed on their way, and not just in
 * getting the policy; *failing, if any may have. Some reports leave totals or counts out. */
static bool add_failures(const struct adding *a, const struct tlsrpt_policy *policy, bool *failing)
{
    struct tlsrpt_failure rest = {
        .result = "unspecified", .sending_ip = "", .mx = "", .receiving_ip = "", .reason = ""};
    int64_t explained = 0, harmless = 0;
    bool grave = policy->doubtful, any = policy->doubtful || policy->failed > 0;

    for (size_t i = 0; i < policy->failure_count; i++) {
        const struct tlsrpt_failure *failure = &policy->failures[i];
        bool about_policy = is_about_policy(failure->result);
        add_failure(a, policy->type, failure);
        explained += failure->count; /* of 10,000 capped counts at most */
        harmless += about_policy ? failure->count : 0;
        grave = grave || (failure->uncounted && !about_policy);
        any = any || failure->uncounted || failure->count > 0;
    }
    rest.count = policy->failed - explained;
    if (rest.count > 0)
        add_failure(a, policy->type, &rest);
    *failing = any;
    return grave || larger(policy->failed, explained) > harmless;
}

/* One element of `policies`, into what is pending for its domain. */
static void add_policy(const struct adding *a, const struct tlsrpt_policy *policy)
{
    struct summary_domain *domain = a->domain;
    char buffer[POLICY_BODY_MAX];
    struct text rendered;
    struct summary_policy seen = {.valid = false};
    bool failing, grave = add_failures(a, policy, &failing);

    if (policy->type == TLSRPT_STS) {
        text_init(&rendered, buffer, sizeof buffer);
        read_policy_text(a->summary, &seen, policy->text, &rendered);
        add_policy_text(a, policy, &seen);
    }
    domain->failing = domain->failing || failing;
    if (grave && policy->type == TLSRPT_STS && !seen.valid)
        domain->unknown = true;
    else if (grave &&
             (policy->type == TLSRPT_TLSA || (seen.valid && seen.mode == POLICY_MODE_ENFORCE)))
        domain->refused = true;
    add_sessions(&domain->pending[policy->type], policy->good, policy->failed);
    domain->touched = true;
}

static void add_day(const struct adding *a, int64_t good, int64_t failed)
{
    struct summary_day key = {.day = a->first};
    struct summary_day *day = summary_set_find(&a->domain->days, &key, compare_days);

    if (day == NULL)
        day = summary_set_add(a->summary, &a->domain->days, &key, sizeof key, compare_days);
    if (day != NULL)
        add_sessions(&day->sessions, good, failed);
}

static void add_reporter(const struct adding *a, const char *name, int64_t good, int64_t failed)
{
    struct summary_reporter key = {.name = name, .last_sts = SUMMARY_DAY_NONE};
    struct summary_reporter *reporter =
        summary_set_find(&a->domain->reporters, &key, compare_reporters);

    if (reporter == NULL) {
        key.name = summary_keep(a->summary, name);
        reporter =
            summary_set_add(a->summary, &a->domain->reporters, &key, sizeof key, compare_reporters);
    }
    if (reporter == NULL)
        return;
    reporter->reports++;
    add_sessions(&reporter->sessions, good, failed);
    if (a->domain->pending[TLSRPT_STS].good > 0)
        later(&reporter->last_sts, a->last);
}

/* Ends a report for one of its domains. A session that has an sts policy and TLSA records is
 * counted under both by Microsoft: of the two the larger count is taken, never the sum. */
static void settle(const struct adding *a, const char *organization)
{
    struct summary_domain *d = a->domain;
    const struct summary_sessions *p = d->pending;
    int64_t good = larger(p[TLSRPT_STS].good, p[TLSRPT_TLSA].good);
    int64_t failed = larger(p[TLSRPT_STS].failed, p[TLSRPT_TLSA].failed);

    for (enum tlsrpt_type type = TLSRPT_NO_POLICY; type < TLSRPT_TYPES; type++) {
        good = summary_sum(good, p[type].good);
        failed = summary_sum(failed, p[type].failed);
    }
    for (enum tlsrpt_type type = TLSRPT_STS; type < TLSRPT_TYPES; type++)
        add_sessions(&d->types[type], p[type].good, p[type].failed);
    d->reports++;
    add_sessions(&d->sessions, good, failed);
    add_day(a, good, failed);
    add_reporter(a, organization, good, failed);
    if (a->first < d->first)
        d->first = a->first;
    later(&d->last, a->last);
    later(&d->last_failed, d->failing ? a->last : SUMMARY_DAY_NONE);
    later(&d->last_refused, d->refused ? a->last : SUMMARY_DAY_NONE);
    later(&d->last_unknown, d->unknown ? a->last : SUMMARY_DAY_NONE);
    memset(d->pending, 0, sizeof d->pending);
    d->touched = d->failing = d->refused = d->unknown = false;
}

void summary_init(struct summary *summary)
{
    *summary = (struct summary){.since = SUMMARY_DAY_NONE, .until = INT32_MAX};
}

static void count_notes(struct summary *s, unsigned notes)
{
    for (unsigned bit = 0; bit < TLSRPT_NOTES; bit++)
        s->notes[bit] += notes >> bit & 1;
}

static bool is_wanted(const struct summary *s, const char *domain)
{
    if (s->only != NULL && strcmp(domain, s->only) != 0)
        return false;
    return s->config == NULL || config_find_domain(s->config, domain) != NULL;
}

/* Adds the policies of a report to their domains; false if it is about none that is wanted. */
static bool add_policies(struct adding *a, const struct tlsrpt_report *report)
{
    bool wanted = report->policy_count == 0;

    for (size_t i = 0; i < report->policy_count; i++) {
        const char *name = report->policies[i].domain;
        if (!is_wanted(a->summary, name))
            continue;
        wanted = true;
        a->domain = take_domain(a->summary, name);
        if (a->domain != NULL)
            add_policy(a, &report->policies[i]);
    }
    for (size_t i = 0; i < report->policy_count; i++) {
        a->domain = summary_find_domain(a->summary, report->policies[i].domain);
        if (a->domain == NULL || !a->domain->touched)
            continue;
        settle(a, report->organization);
        if ((report->notes & TLSRPT_TOO_MANY) != 0)
            a->domain->incomplete = true;
    }
    return wanted;
}

enum summary_result summary_add(struct summary *summary, const struct tlsrpt_report *report)
{
    struct adding a = {.summary = summary};

    a.first = (summary_day_number)(report->start / SECONDS_OF_DAY);
    a.last = a.first;
    /* A period ends at 23:59:59 or at midnight. */
    if (report->end > report->start)
        later(&a.last, (summary_day_number)((report->end - 1) / SECONDS_OF_DAY));
    if (a.last < summary->since || a.first > summary->until) {
        summary->outside++;
        return SUMMARY_OUTSIDE;
    }
    enum summary_result result = summary_know(summary, report);
    if (result != SUMMARY_COUNTED)
        return result;
    if (!add_policies(&a, report)) {
        summary->elsewhere++;
        return SUMMARY_OUTSIDE;
    }
    summary->reports++;
    count_notes(summary, report->notes);
    return summary->full ? SUMMARY_FULL : SUMMARY_COUNTED;
}
