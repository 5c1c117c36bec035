/* SPDX-License-Identifier: MIT
 * libFuzzer: any JSON text into tlsrpt_parse, and what is a report through summary, verdict and
 * every output. Built and run by tests/fuzz/run.sh.
 */
#include "fuzz.h"

#include "report/output.h"
#include "report/summary.h"
#include "report/tlsrpt.h"
#include "report/verdict.h"

#define PARSED_MAX ((size_t)64 << 10) /* which some of the inputs reach */
#define TODAY 20782                   /* 2026-11-25 */

/* There is no INI file here, and so none of what reads one. */
const struct config_domain *config_find_domain(const struct config *config, const char *name)
{
    (void)config;
    (void)name;
    return NULL;
}

static void check_printable(const char *text)
{
    require(text[0] != '\0');
    for (; *text != '\0'; text++)
        require(*text >= ' ' && *text <= '~');
}

static void check_string(const char *text)
{
    require(strlen(text) <= TLSRPT_STRING_MAX);
}

static void check_count(int64_t count)
{
    require(count >= 0 && count <= TLSRPT_COUNT_MAX);
}

static void check_policy(const struct tlsrpt_policy *policy)
{
    require(policy->type < TLSRPT_TYPES);
    check_string(policy->domain);
    require(strlen(policy->text) <= POLICY_BODY_MAX);
    check_count(policy->good);
    check_count(policy->failed);
    require(policy->failure_count <= TLSRPT_FAILURES_MAX);
    for (size_t i = 0; i < policy->failure_count; i++) {
        const struct tlsrpt_failure *failure = &policy->failures[i];
        check_string(failure->result);
        check_string(failure->sending_ip);
        check_string(failure->mx);
        check_string(failure->receiving_ip);
        check_string(failure->reason);
        check_count(failure->count);
    }
}

static void check_report(const struct tlsrpt_report *report)
{
    check_string(report->organization);
    check_string(report->id);
    require(report->end >= report->start);
    require(report->notes < 1u << TLSRPT_NOTES);
    require(report->policy_count <= TLSRPT_POLICIES_MAX);
    for (size_t i = 0; i < report->policy_count; i++) {
        check_policy(&report->policies[i]);
        require(report->policies[i].domain[0] != '\0' || (report->notes & TLSRPT_NO_DOMAIN) != 0);
    }
}

static void check_sessions(const struct summary_sessions *sessions)
{
    require(sessions->good >= 0 && sessions->failed >= 0);
}

static void check_domain(const struct summary_domain *domain)
{
    struct verdict verdict;

    require(domain->first <= domain->last);
    require(domain->reports > 0);
    check_sessions(&domain->sessions);
    for (size_t i = 0; i < TLSRPT_TYPES; i++)
        check_sessions(&domain->types[i]);
    verdict_of(domain, TODAY, NULL, &verdict);
    /* One reporter is never enough. */
    require(verdict.kind != VERDICT_SAFE);
    check_printable(verdict_name(verdict.kind));
    check_printable(verdict_words(&verdict));
    require(verdict.reason_count <= VERDICT_REASONS_MAX);
    for (size_t i = 0; i < verdict.reason_count; i++)
        check_printable(verdict.reasons[i]);
}

static void print_all(const struct summary *summary)
{
    struct output output = {.summary = summary, .today = TODAY};
    static FILE *nowhere;

    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "we");
    require(nowhere != NULL);
    output_text(&output, nowhere);
    output_json(&output, nowhere);
    output_csv_days(&output, nowhere);
    output_csv_failures(&output, nowhere);
    output_html(&output, nowhere);
}

static void check_summary(const struct tlsrpt_report *report)
{
    struct summary summary;

    summary_init(&summary);
    enum summary_result first = summary_add(&summary, report);
    enum summary_result second = summary_add(&summary, report);
    require(first == SUMMARY_COUNTED);
    require(second == SUMMARY_DUPLICATE);
    summary_finish(&summary);
    require(summary.reports == 1 && summary.duplicates == 1);
    for (size_t i = 0; i < summary.domains.count; i++)
        check_domain(summary_domain_at(&summary, i));
    print_all(&summary);
    summary_free(&summary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct tlsrpt_report report;
    char fault[TLSRPT_FAULT_SIZE] = "";

    if (tlsrpt_parse((const char *)data, size, PARSED_MAX, &arena, &report, fault)) {
        check_report(&report);
        check_summary(&report);
    } else {
        check_printable(fault);
        require(strlen(fault) < TLSRPT_FAULT_SIZE);
    }
    arena_free(&arena);
    return 0;
}
