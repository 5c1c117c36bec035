/* SPDX-License-Identifier: MIT
 * report/summary.c and summary_sort.c: reports added up by hand and by the program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/summary.h"

#define COUNT(items) (sizeof(items) / sizeof *(items))
#define DAY_SECONDS 86400
#define DAY0 20513 /* 2026-03-01 */

#define MX "mx: mx.example.com\r\n"
#define TESTING "version: STSv1\r\nmode: testing\r\n" MX "max_age: 86400\r\n"
#define ENFORCE "version: STSv1\r\nmode: enforce\r\n" MX "max_age: 86400\r\n"

static struct summary begin(void)
{
    struct summary summary;

    summary_init(&summary);
    return summary;
}

static struct tlsrpt_policy policy_of(enum tlsrpt_type type, const char *domain, int64_t good,
                                      int64_t failed)
{
    return (struct tlsrpt_policy){.type = type,
                                  .domain = domain,
                                  .text = type == TLSRPT_STS ? TESTING : "",
                                  .good = good,
                                  .failed = failed};
}

static struct tlsrpt_failure failure_of(const char *result, const char *mx, int64_t count)
{
    return (struct tlsrpt_failure){.result = result,
                                   .sending_ip = "192.0.2.1",
                                   .mx = mx,
                                   .receiving_ip = "198.51.100.1",
                                   .reason = "",
                                   .count = count};
}

/* A report of the day number DAY0 + day. */
static struct tlsrpt_report report_of(const char *organization, const char *id, int day,
                                      struct tlsrpt_policy *policies, size_t count)
{
    time_t start = (time_t)(DAY0 + day) * DAY_SECONDS;

    return (struct tlsrpt_report){.organization = organization,
                                  .id = id,
                                  .start = start,
                                  .end = start + DAY_SECONDS - 1,
                                  .policies = policies,
                                  .policy_count = count};
}

static enum summary_result add(struct summary *s, const char *organization, const char *id, int day,
                               struct tlsrpt_policy *policies, size_t count)
{
    struct tlsrpt_report report = report_of(organization, id, day, policies, count);

    return summary_add(s, &report);
}

/* One with a single sts policy for example.com. */
static enum summary_result add_sts(struct summary *s, const char *organization, const char *id,
                                   int day, int64_t good, int64_t failed)
{
    struct tlsrpt_policy policy = policy_of(TLSRPT_STS, "example.com", good, failed);

    return add(s, organization, id, day, &policy, 1);
}

static const struct summary_domain *only_domain(struct summary *s)
{
    summary_finish(s);
    assert_int_equal(s->domains.count, 1);
    return summary_domain_at(s, 0);
}

static void expect_sessions(const struct summary_sessions *sessions, int64_t good, int64_t failed)
{
    assert_int_equal(sessions->good, good);
    assert_int_equal(sessions->failed, failed);
}

static const struct summary_failure *failure_at(const struct summary_domain *domain, size_t i)
{
    assert_true(i < domain->failures.count);
    return domain->failures.items[i];
}

static const struct summary_policy *policy_at(const struct summary_domain *domain, size_t i)
{
    assert_true(i < domain->policies.count);
    return domain->policies.items[i];
}

static void test_nothing(void **state)
{
    struct summary s = begin();

    (void)state;
    summary_finish(&s);
    assert_int_equal(s.domains.count, 0);
    assert_int_equal(s.reports, 0);
    summary_free(&s);
}

static void test_one_report(void **state)
{
    struct summary s = begin();

    (void)state;
    assert_int_equal(add_sts(&s, "Sender One", "r1", 3, 7, 2), SUMMARY_COUNTED);
    const struct summary_domain *d = only_domain(&s);
    assert_string_equal(d->name, "example.com");
    assert_int_equal(d->first, DAY0 + 3);
    assert_int_equal(d->last, DAY0 + 3);
    assert_int_equal(d->reports, 1);
    expect_sessions(&d->sessions, 7, 2);
    expect_sessions(&d->types[TLSRPT_STS], 7, 2);
    expect_sessions(&d->types[TLSRPT_TLSA], 0, 0);
    assert_int_equal(d->days.count, 1);
    const struct summary_day *day = d->days.items[0];
    assert_int_equal(day->day, DAY0 + 3);
    expect_sessions(&day->sessions, 7, 2);
    assert_int_equal(d->reporters.count, 1);
    const struct summary_reporter *reporter = d->reporters.items[0];
    assert_string_equal(reporter->name, "Sender One");
    assert_int_equal(reporter->reports, 1);
    assert_int_equal(reporter->last_sts, DAY0 + 3);
    expect_sessions(&reporter->sessions, 7, 2);
    assert_int_equal(d->policies.count, 1);
    assert_string_equal(policy_at(d, 0)->text, TESTING);
    expect_sessions(&policy_at(d, 0)->sessions, 7, 2);
    summary_free(&s);
}

static void test_nothing_is_kept_by_reference(void **state)
{
    char organization[] = "Sender One", id[] = "r1", domain[] = "example.com", text[] = TESTING,
         result[] = "tlsa-invalid", mx[] = "mx.example.com", reason[] = "why";
    struct tlsrpt_failure failure = failure_of(result, mx, 1);
    struct tlsrpt_policy policy = policy_of(TLSRPT_STS, domain, 1, 1);
    struct summary s = begin();
    char *const kept[] = {organization, id, domain, text, result, mx, reason};

    (void)state;
    failure.reason = reason;
    policy.text = text;
    policy.failures = &failure;
    policy.failure_count = 1;
    add(&s, organization, id, 0, &policy, 1);
    for (size_t i = 0; i < COUNT(kept); i++)
        memset(kept[i], '!', strlen(kept[i]));
    const struct summary_domain *d = only_domain(&s);
    assert_string_equal(d->name, "example.com");
    assert_string_equal(((const struct summary_reporter *)d->reporters.items[0])->name,
                        "Sender One");
    assert_string_equal(policy_at(d, 0)->text, TESTING);
    assert_string_equal(failure_at(d, 0)->result, "tlsa-invalid");
    assert_string_equal(failure_at(d, 0)->mx, "mx.example.com");
    assert_string_equal(failure_at(d, 0)->reason, "why");
    summary_free(&s);
}

static void test_duplicates_count_once(void **state)
{
    struct summary s = begin();

    (void)state;
    assert_int_equal(add_sts(&s, "Sender One", "r1", 0, 5, 0), SUMMARY_COUNTED);
    assert_int_equal(add_sts(&s, "Sender One", "r1", 0, 5, 0), SUMMARY_DUPLICATE);
    assert_int_equal(add_sts(&s, "Sender One", "r1", 0, 6, 0), SUMMARY_DIFFERS);
    assert_int_equal(add_sts(&s, "Sender One", "r1", 0, 5, 1), SUMMARY_DIFFERS);
    assert_int_equal(add_sts(&s, "Sender One", "r1", 1, 5, 0), SUMMARY_DIFFERS);
    /* Another's report of the same id, and another report. */
    assert_int_equal(add_sts(&s, "Sender Two", "r1", 0, 5, 0), SUMMARY_COUNTED);
    assert_int_equal(add_sts(&s, "Sender One", "r2", 0, 5, 0), SUMMARY_COUNTED);
    assert_int_equal(s.reports, 3);
    assert_int_equal(s.duplicates, 4);
    expect_sessions(&only_domain(&s)->sessions, 15, 0);
    summary_free(&s);
}

static void test_other_domain_or_type_differs(void **state)
{
    struct tlsrpt_policy policy = policy_of(TLSRPT_STS, "example.com", 5, 0);
    struct summary s = begin();

    (void)state;
    assert_int_equal(add(&s, "Sender One", "r1", 0, &policy, 1), SUMMARY_COUNTED);
    policy.domain = "example.net";
    assert_int_equal(add(&s, "Sender One", "r1", 0, &policy, 1), SUMMARY_DIFFERS);
    policy = policy_of(TLSRPT_TLSA, "example.com", 5, 0);
    assert_int_equal(add(&s, "Sender One", "r1", 0, &policy, 1), SUMMARY_DIFFERS);
    assert_int_equal(add(&s, "Sender One", "r1", 0, NULL, 0), SUMMARY_DIFFERS);
    summary_free(&s);
}

static void test_reports_without_id_are_known_by_contents(void **state)
{
    struct summary s = begin();

    (void)state;
    assert_int_equal(add_sts(&s, "Sender One", "", 0, 5, 0), SUMMARY_COUNTED);
    assert_int_equal(add_sts(&s, "Sender One", "", 0, 5, 0), SUMMARY_DUPLICATE);
    assert_int_equal(add_sts(&s, "Sender One", "", 1, 5, 0), SUMMARY_COUNTED);
    assert_int_equal(add_sts(&s, "", "", 1, 5, 0), SUMMARY_COUNTED);
    expect_sessions(&only_domain(&s)->sessions, 15, 0);
    summary_free(&s);
}

static void test_reports_without_id_of_every_day_count(void **state)
{
    struct summary s = begin();

    (void)state;
    for (int day = 0; day < 400; day++)
        assert_int_equal(add_sts(&s, "Sender One", "", day, 5, 0), SUMMARY_COUNTED);
    expect_sessions(&only_domain(&s)->sessions, 2000, 0);
    summary_free(&s);
}

struct pair {
    struct summary_sessions sts, tlsa, none, other, all;
};

static void test_larger_of_sts_and_tlsa(void **state)
{
    static const struct pair pairs[] = {
        {{5, 0}, {5, 0}, {0, 0}, {0, 0}, {5, 0}},  {{5, 2}, {3, 4}, {0, 0}, {0, 0}, {5, 4}},
        {{0, 0}, {3, 4}, {0, 0}, {0, 0}, {3, 4}},  {{5, 1}, {0, 0}, {2, 3}, {0, 0}, {7, 4}},
        {{5, 1}, {6, 0}, {2, 3}, {4, 1}, {12, 5}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        const struct pair *p = &pairs[i];
        struct tlsrpt_policy policies[] = {
            policy_of(TLSRPT_STS, "example.com", p->sts.good, p->sts.failed),
            policy_of(TLSRPT_TLSA, "example.com", p->tlsa.good, p->tlsa.failed),
            policy_of(TLSRPT_NO_POLICY, "example.com", p->none.good, p->none.failed),
            policy_of(TLSRPT_OTHER, "example.com", p->other.good, p->other.failed)};
        struct summary s = begin();
        add(&s, "Sender One", "r1", 0, policies, COUNT(policies));
        const struct summary_domain *d = only_domain(&s);
        expect_sessions(&d->sessions, p->all.good, p->all.failed);
        expect_sessions(&d->types[TLSRPT_STS], p->sts.good, p->sts.failed);
        expect_sessions(&d->types[TLSRPT_TLSA], p->tlsa.good, p->tlsa.failed);
        expect_sessions(&d->types[TLSRPT_NO_POLICY], p->none.good, p->none.failed);
        expect_sessions(&d->types[TLSRPT_OTHER], p->other.good, p->other.failed);
        assert_int_equal(d->reports, 1);
        summary_free(&s);
    }
}

/* The larger one is taken of each report, not of all of them together. */
static void test_larger_is_taken_in_each_report(void **state)
{
    struct tlsrpt_policy sts[] = {policy_of(TLSRPT_STS, "example.com", 5, 0),
                                  policy_of(TLSRPT_STS, "example.com", 2, 0)};
    struct tlsrpt_policy tlsa = policy_of(TLSRPT_TLSA, "example.com", 6, 0);
    struct summary s = begin();

    (void)state;
    add(&s, "Sender One", "r1", 0, sts, 2);
    add(&s, "Sender One", "r2", 0, &tlsa, 1);
    expect_sessions(&only_domain(&s)->sessions, 13, 0);
    summary_free(&s);
}

static void test_domains_of_one_report(void **state)
{
    struct tlsrpt_policy policies[] = {policy_of(TLSRPT_STS, "example.org", 1, 0),
                                       policy_of(TLSRPT_STS, "example.com", 2, 0),
                                       policy_of(TLSRPT_TLSA, "example.org", 4, 0)};
    struct summary s = begin();

    (void)state;
    add(&s, "Sender One", "r1", 0, policies, COUNT(policies));
    summary_finish(&s);
    assert_int_equal(s.reports, 1);
    assert_int_equal(s.domains.count, 2);
    assert_string_equal(summary_domain_at(&s, 0)->name, "example.com");
    assert_string_equal(summary_domain_at(&s, 1)->name, "example.org");
    expect_sessions(&summary_domain_at(&s, 0)->sessions, 2, 0);
    expect_sessions(&summary_domain_at(&s, 1)->sessions, 4, 0);
    assert_int_equal(summary_domain_at(&s, 1)->reports, 1);
    summary_free(&s);
}

static void test_period_ends_on_its_last_day(void **state)
{
    static const struct {
        int start, end, first, last; /* hours and days after DAY0 */
    } periods[] = {
        {0, 24, 0, 0},  {0, 0, 0, 0},      {12, 12, 0, 0}, {0, 25, 0, 1},
        {23, 25, 0, 1}, {0, 7 * 24, 0, 6}, {24, 48, 1, 1}, {12, 36, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(periods); i++) {
        struct tlsrpt_policy policy = policy_of(TLSRPT_STS, "example.com", 1, 0);
        struct tlsrpt_report report = report_of("Sender One", "r1", 0, &policy, 1);
        struct summary s = begin();
        report.end = report.start + periods[i].end * 3600L;
        report.start += periods[i].start * 3600L;
        summary_add(&s, &report);
        const struct summary_domain *d = only_domain(&s);
        assert_int_equal(d->first, DAY0 + periods[i].first);
        assert_int_equal(d->last, DAY0 + periods[i].last);
        assert_int_equal(d->days.count, 1);
        assert_int_equal(((const struct summary_day *)d->days.items[0])->day,
                         DAY0 + periods[i].first);
        summary_free(&s);
    }
}

static void test_days_add_up_and_are_sorted(void **state)
{
    static const int days[] = {5, 0, 9, 5, 2};
    static const struct summary_day expected[] = {
        {DAY0, {1, 1}}, {DAY0 + 2, {1, 1}}, {DAY0 + 5, {2, 2}}, {DAY0 + 9, {1, 1}}};
    struct summary s = begin();

    (void)state;
    for (size_t i = 0; i < COUNT(days); i++) {
        char id[] = {(char)('a' + i), '\0'};
        add_sts(&s, "Sender One", id, days[i], 1, 1);
    }
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->days.count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct summary_day *day = d->days.items[i];
        assert_int_equal(day->day, expected[i].day);
        expect_sessions(&day->sessions, expected[i].sessions.good, expected[i].sessions.failed);
    }
    assert_int_equal(d->first, DAY0);
    assert_int_equal(d->last, DAY0 + 9);
    summary_free(&s);
}

static void add_failures(struct summary *s, const char *id, int day, enum tlsrpt_type type,
                         int64_t failed, struct tlsrpt_failure *failures, size_t count)
{
    struct tlsrpt_policy policy = policy_of(type, "example.com", 0, failed);

    policy.failures = failures;
    policy.failure_count = count;
    add(s, "Sender One", id, day, &policy, 1);
}

static void test_equal_failures_share_a_row(void **state)
{
    struct tlsrpt_failure first = failure_of("tlsa-invalid", "mx.example.com", 2);
    struct tlsrpt_failure second = failure_of("tlsa-invalid", "mx.example.com", 3);
    struct summary s = begin();

    (void)state;
    second.reason = "the first that came";
    add_failures(&s, "r1", 4, TLSRPT_STS, 2, &first, 1);
    add_failures(&s, "r2", 7, TLSRPT_STS, 3, &second, 1);
    second.reason = "another";
    add_failures(&s, "r3", 1, TLSRPT_STS, 3, &second, 1);
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->failures.count, 1);
    assert_int_equal(failure_at(d, 0)->count, 8);
    assert_int_equal(failure_at(d, 0)->first, DAY0 + 1);
    assert_int_equal(failure_at(d, 0)->last, DAY0 + 7);
    assert_string_equal(failure_at(d, 0)->reason, "the first that came");
    summary_free(&s);
}

static void test_failures_that_differ_have_rows_of_their_own(void **state)
{
    struct tlsrpt_failure failures[5];
    struct summary s = begin();

    (void)state;
    for (size_t i = 0; i < COUNT(failures); i++)
        failures[i] = failure_of("tlsa-invalid", "mx.example.com", 1);
    failures[1].result = "tlsa";
    failures[2].mx = "";
    failures[3].sending_ip = "";
    failures[4].receiving_ip = "192.0.2.1";
    add_failures(&s, "r1", 0, TLSRPT_STS, 5, failures, COUNT(failures));
    add_failures(&s, "r2", 0, TLSRPT_TLSA, 1, failures, 1);
    assert_int_equal(only_domain(&s)->failures.count, 6);
    summary_free(&s);
}

static void test_total_without_details_is_unspecified(void **state)
{
    struct tlsrpt_failure failure = failure_of("tlsa-invalid", "mx.example.com", 2);
    struct summary s = begin();

    (void)state;
    add_failures(&s, "r1", 0, TLSRPT_STS, 5, &failure, 1);
    add_failures(&s, "r2", 1, TLSRPT_STS, 4, NULL, 0);
    const struct summary_domain *d = only_domain(&s);
    expect_sessions(&d->sessions, 0, 9);
    assert_int_equal(d->failures.count, 2);
    assert_string_equal(failure_at(d, 0)->result, "unspecified");
    assert_int_equal(failure_at(d, 0)->count, 7);
    assert_string_equal(failure_at(d, 0)->mx, "");
    assert_string_equal(failure_at(d, 0)->sending_ip, "");
    assert_string_equal(failure_at(d, 0)->receiving_ip, "");
    assert_int_equal(failure_at(d, 0)->first, DAY0);
    assert_int_equal(failure_at(d, 0)->last, DAY0 + 1);
    summary_free(&s);
}

/* The total is not recomputed; yet a day with failures is none without. */
static void test_details_beyond_the_total(void **state)
{
    struct tlsrpt_failure failure = failure_of("certificate-expired", "mx.example.com", 2);
    struct summary s = begin();

    (void)state;
    add_failures(&s, "r1", 0, TLSRPT_STS, 1, &failure, 1);
    add_failures(&s, "r2", 5, TLSRPT_STS, 0, &failure, 1);
    const struct summary_domain *d = only_domain(&s);
    expect_sessions(&d->sessions, 0, 1);
    assert_int_equal(d->failures.count, 1);
    assert_int_equal(failure_at(d, 0)->count, 4);
    assert_int_equal(d->last_failed, DAY0 + 5);
    summary_free(&s);
}

static void test_failures_are_capped(void **state)
{
    struct summary s = begin();
    int64_t sum = 0, others = 0;

    (void)state;
    for (int i = 0; i < SUMMARY_FAILURES_MAX + 500; i++) {
        char mx[32], id[16];
        struct tlsrpt_failure failure = failure_of("tlsa-invalid", mx, 1);
        snprintf(mx, sizeof mx, "mx%d.example.com", i);
        snprintf(id, sizeof id, "%d", i);
        add_failures(&s, id, 0, i % 2 == 0 ? TLSRPT_STS : TLSRPT_TLSA, 1, &failure, 1);
    }
    const struct summary_domain *d = only_domain(&s);
    assert_in_range(d->failures.count, SUMMARY_FAILURES_MAX, SUMMARY_FAILURES_MAX + TLSRPT_TYPES);
    for (size_t i = 0; i < d->failures.count; i++) {
        const struct summary_failure *row = failure_at(d, i);
        sum += row->count;
        if (strcmp(row->result, "others") == 0) {
            others += row->count;
            assert_string_equal(row->mx, "");
        }
    }
    assert_int_equal(sum, SUMMARY_FAILURES_MAX + 500);
    assert_int_equal(others, 500);
    expect_sessions(&d->sessions, 0, SUMMARY_FAILURES_MAX + 500);
    summary_free(&s);
}

static void add_text(struct summary *s, const char *id, int day, const char *text)
{
    struct tlsrpt_policy policy = policy_of(TLSRPT_STS, "example.com", 1, 0);

    policy.text = text;
    add(s, "Sender One", id, day, &policy, 1);
}

static void test_policies_in_other_orders_are_one(void **state)
{
    struct summary s = begin();

    (void)state;
    add_text(&s, "r1", 2, TESTING);
    add_text(&s, "r2", 9, "version: STSv1\r\nmax_age: 86400\r\n" MX "mode: testing\r\n");
    add_text(&s, "r3", 0,
             "version:STSv1\r\nmode:testing\r\nmx:mx.example.com\r\nmax_age:86400\r\n");
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->policies.count, 1);
    assert_string_equal(policy_at(d, 0)->text, TESTING);
    assert_true(policy_at(d, 0)->valid);
    assert_int_equal(policy_at(d, 0)->mode, POLICY_MODE_TESTING);
    assert_int_equal(policy_at(d, 0)->first, DAY0);
    assert_int_equal(policy_at(d, 0)->last, DAY0 + 9);
    expect_sessions(&policy_at(d, 0)->sessions, 3, 0);
    summary_free(&s);
}

static void test_invalid_policy_is_kept_as_sent(void **state)
{
    struct summary s = begin();

    (void)state;
    add_text(&s, "r1", 3, "mode: enforce\r\n\x1b[2J");
    add_text(&s, "r2", 2, "");
    add_text(&s, "r3", 1, ENFORCE);
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->policies.count, 3);
    assert_string_equal(policy_at(d, 0)->text, "mode: enforce\r\n\x1b[2J");
    assert_false(policy_at(d, 0)->valid);
    assert_string_equal(policy_at(d, 1)->text, "");
    assert_false(policy_at(d, 1)->valid);
    assert_true(policy_at(d, 2)->valid);
    assert_int_equal(policy_at(d, 2)->mode, POLICY_MODE_ENFORCE);
    summary_free(&s);
}

static void test_policies_are_capped(void **state)
{
    struct summary s = begin();
    int64_t sum = 0;

    (void)state;
    for (int i = 0; i < SUMMARY_POLICIES_MAX + 50; i++) {
        char id[16], text[64];
        snprintf(id, sizeof id, "%d", i);
        snprintf(text, sizeof text, "version: STSv1\r\nmode: none\r\nmax_age: %d\r\n", i + 1);
        add_text(&s, id, 0, text);
    }
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->policies.count, SUMMARY_POLICIES_MAX + 1);
    for (size_t i = 0; i < d->policies.count; i++)
        sum += policy_at(d, i)->sessions.good;
    assert_int_equal(sum, SUMMARY_POLICIES_MAX + 50);
    summary_free(&s);
}

static void test_only_sts_policies_are_kept(void **state)
{
    struct tlsrpt_policy policies[] = {policy_of(TLSRPT_TLSA, "example.com", 1, 0),
                                       policy_of(TLSRPT_NO_POLICY, "example.com", 1, 0)};
    struct summary s = begin();

    (void)state;
    add(&s, "Sender One", "r1", 0, policies, 2);
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->policies.count, 0);
    assert_int_equal(((const struct summary_reporter *)d->reporters.items[0])->last_sts,
                     SUMMARY_DAY_NONE);
    summary_free(&s);
}

static void test_since_and_until(void **state)
{
    struct summary s = begin();

    (void)state;
    s.since = DAY0 + 1;
    s.until = DAY0 + 3;
    for (int day = 0; day < 5; day++) {
        char id[] = {(char)('a' + day), '\0'};
        assert_int_equal(add_sts(&s, "Sender One", id, day, 1 << day, 0),
                         day == 0 || day == 4 ? SUMMARY_OUTSIDE : SUMMARY_COUNTED);
    }
    /* Seen, but not counted: what is outside is no duplicate of what is not. */
    assert_int_equal(add_sts(&s, "Sender One", "a", 0, 1, 0), SUMMARY_OUTSIDE);
    assert_int_equal(s.outside, 3);
    assert_int_equal(s.reports, 3);
    assert_int_equal(s.duplicates, 0);
    expect_sessions(&only_domain(&s)->sessions, 2 + 4 + 8, 0);
    summary_free(&s);
}

static void test_only_one_domain(void **state)
{
    struct tlsrpt_policy policies[] = {policy_of(TLSRPT_STS, "example.org", 1, 0),
                                       policy_of(TLSRPT_STS, "example.com", 2, 0)};
    struct summary s = begin();

    (void)state;
    s.only = "example.com";
    add(&s, "Sender One", "r1", 0, policies, 2);
    add(&s, "Sender Two", "r1", 0, policies, 1);
    expect_sessions(&only_domain(&s)->sessions, 2, 0);
    summary_free(&s);
}

static void test_notes_are_counted_by_report(void **state)
{
    struct tlsrpt_report report = report_of("Sender One", "r1", 0, NULL, 0);
    struct summary s = begin();

    (void)state;
    report.notes = TLSRPT_NO_TIMEZONE | TLSRPT_TOO_MANY;
    summary_add(&s, &report);
    summary_add(&s, &report); /* a duplicate tells nothing new */
    report.id = "r2";
    report.notes = TLSRPT_NO_TIMEZONE;
    summary_add(&s, &report);
    for (unsigned bit = 0; bit < TLSRPT_NOTES; bit++)
        assert_int_equal(s.notes[bit], bit == 0 ? 2 : 1u << bit == TLSRPT_TOO_MANY ? 1 : 0);
    summary_free(&s);
}

static void test_huge_counts_do_not_overflow(void **state)
{
    struct tlsrpt_failure failure = failure_of("x", "", TLSRPT_COUNT_MAX);
    struct tlsrpt_policy policies[] = {
        policy_of(TLSRPT_STS, "example.com", TLSRPT_COUNT_MAX, TLSRPT_COUNT_MAX),
        policy_of(TLSRPT_OTHER, "example.com", TLSRPT_COUNT_MAX, TLSRPT_COUNT_MAX)};
    struct summary s = begin();

    (void)state;
    for (size_t i = 0; i < COUNT(policies); i++) {
        policies[i].failures = &failure;
        policies[i].failure_count = 1;
    }
    add(&s, "Sender One", "r1", 0, policies, COUNT(policies));
    /* As if millions of such reports had come before. */
    struct summary_domain *domain = s.domains.items[0];
    struct summary_day *day = domain->days.items[0];
    struct summary_reporter *reporter = domain->reporters.items[0];
    struct summary_policy *policy = domain->policies.items[0];
    struct summary_sessions *const sums[] = {&domain->sessions, &domain->types[TLSRPT_OTHER],
                                             &day->sessions, &reporter->sessions,
                                             &policy->sessions};
    for (size_t i = 0; i < COUNT(sums); i++)
        sums[i]->good = sums[i]->failed = INT64_MAX - TLSRPT_COUNT_MAX + 1;
    ((struct summary_failure *)domain->failures.items[0])->count = INT64_MAX - 5;
    ((struct summary_failure *)domain->failures.items[1])->count = INT64_MAX - 5;
    add(&s, "Sender One", "r2", 0, policies, COUNT(policies));
    summary_finish(&s);
    for (size_t i = 0; i < COUNT(sums); i++)
        expect_sessions(sums[i], INT64_MAX, INT64_MAX);
    assert_int_equal(failure_at(domain, 0)->count, INT64_MAX);
    assert_int_equal(failure_at(domain, 0)->result_count, INT64_MAX);
    summary_free(&s);
}

/* Names without end use up the memory that there is for them; then the numbers still hold. */
static void test_memory_is_bounded(void **state)
{
    static char names[TLSRPT_POLICIES_MAX][TLSRPT_STRING_MAX + 1];
    static struct tlsrpt_policy policies[TLSRPT_POLICIES_MAX];
    struct summary s = begin();
    bool full = false;

    (void)state;
    for (int report = 0; report < 2000 && !full; report++) {
        char id[16];
        snprintf(id, sizeof id, "%d", report);
        for (int i = 0; i < TLSRPT_POLICIES_MAX; i++) {
            memset(names[i], 'x', TLSRPT_STRING_MAX);
            names[i][snprintf(names[i], 32, "%d.%d.", report, i)] = 'x';
            policies[i] = policy_of(TLSRPT_STS, names[i], 1, 0);
        }
        full = add(&s, "Sender One", id, 0, policies, TLSRPT_POLICIES_MAX) == SUMMARY_FULL;
    }
    assert_true(full);
    assert_true(s.full);
    assert_true(s.used <= SUMMARY_MEMORY_MAX);
    assert_int_equal(add_sts(&s, "Sender One", "more", 0, 1, 0), SUMMARY_FULL);
    summary_finish(&s);
    assert_true(s.domains.count > 1000);
    summary_free(&s);
}

static void test_reporters_are_sorted_by_sessions(void **state)
{
    static const char *const expected[] = {"Many", "Failed", "Few", "Few too"};
    struct summary s = begin();

    (void)state;
    add_sts(&s, "Few too", "1", 0, 3, 0);
    add_sts(&s, "Few", "2", 0, 3, 0);
    add_sts(&s, "Failed", "3", 0, 3, 1);
    add_sts(&s, "Many", "4", 0, 2, 0);
    add_sts(&s, "Many", "5", 1, 2, 0);
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->reporters.count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_string_equal(((const struct summary_reporter *)d->reporters.items[i])->name,
                            expected[i]);
    assert_int_equal(((const struct summary_reporter *)d->reporters.items[0])->reports, 2);
    summary_free(&s);
}

/* The result with the most sessions first, and its rows together. */
static void test_failures_are_sorted(void **state)
{
    static const char *const expected[] = {"b 4", "b 3", "a 6", "c 2", "d 2"};
    struct tlsrpt_failure failures[] = {
        failure_of("d", "mx", 2),  failure_of("a", "mx", 6), failure_of("b", "mx1", 3),
        failure_of("b", "mx2", 4), failure_of("c", "mx", 2),
    };
    struct summary s = begin();

    (void)state;
    add_failures(&s, "r1", 0, TLSRPT_STS, 17, failures, COUNT(failures));
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->failures.count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        char row[64];
        snprintf(row, sizeof row, "%s %d", failure_at(d, i)->result, (int)failure_at(d, i)->count);
        assert_string_equal(row, expected[i]);
    }
    summary_free(&s);
}

struct last_row {
    const char *text, *result; /* NULL: a total without details */
    enum tlsrpt_type type;
    bool refused, unknown;
};

/* What was refused for it, and what was not. Under testing, and without a policy that could be
 * had, mail is sent all the same. */
static void test_last_days(void **state)
{
    static const struct last_row rows[] = {
        {ENFORCE, "certificate-expired", TLSRPT_STS, true, false},
        {ENFORCE, NULL, TLSRPT_STS, true, false},
        {ENFORCE, "sts-policy-fetch-error", TLSRPT_STS, false, false},
        {ENFORCE, "sts-policy-invalid", TLSRPT_STS, false, false},
        {ENFORCE, "sts-webpki-invalid", TLSRPT_STS, false, false},
        {TESTING, "certificate-expired", TLSRPT_STS, false, false},
        {TESTING, NULL, TLSRPT_STS, false, false},
        {"", "certificate-expired", TLSRPT_STS, false, true},
        {"", NULL, TLSRPT_STS, false, true},
        {"", "sts-policy-fetch-error", TLSRPT_STS, false, false},
        {"mode: enforce\r\n", "certificate-expired", TLSRPT_STS, false, true},
        {"", "tlsa-invalid", TLSRPT_TLSA, true, false},
        {"", NULL, TLSRPT_TLSA, true, false},
        {"", "starttls-not-supported", TLSRPT_NO_POLICY, false, false},
        {"", "starttls-not-supported", TLSRPT_OTHER, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct last_row *row = &rows[i];
        struct tlsrpt_failure failure = failure_of(row->result, "mx.example.com", 1);
        struct tlsrpt_policy policy = policy_of(row->type, "example.com", 5, 1);
        struct summary s = begin();
        policy.text = row->text;
        policy.failures = &failure;
        policy.failure_count = row->result != NULL;
        add(&s, "Sender One", "r1", 6, &policy, 1);
        add_sts(&s, "Sender One", "r2", 8, 1, 0);
        const struct summary_domain *d = only_domain(&s);
        if (d->last_failed != DAY0 + 6 ||
            d->last_refused != (row->refused ? DAY0 + 6 : SUMMARY_DAY_NONE) ||
            d->last_unknown != (row->unknown ? DAY0 + 6 : SUMMARY_DAY_NONE))
            fail_msg("row %zu: %d %d %d", i, (int)d->last_failed, (int)d->last_refused,
                     (int)d->last_unknown);
        summary_free(&s);
    }
}

/* What failed, but has no count that can be read, is not forgotten. */
static void test_failures_without_a_count(void **state)
{
    struct tlsrpt_failure failure = failure_of("certificate-expired", "mx.example.com", 0);
    struct tlsrpt_policy doubtful = policy_of(TLSRPT_STS, "example.com", 5, 0);
    struct tlsrpt_policy uncounted = policy_of(TLSRPT_STS, "example.com", 5, 0);

    (void)state;
    doubtful.text = uncounted.text = ENFORCE;
    doubtful.doubtful = true;
    failure.uncounted = true;
    uncounted.failures = &failure;
    uncounted.failure_count = 1;
    for (int i = 0; i < 2; i++) {
        struct summary s = begin();
        add(&s, "Sender One", "r1", 6, i == 0 ? &doubtful : &uncounted, 1);
        const struct summary_domain *d = only_domain(&s);
        assert_int_equal(d->last_failed, DAY0 + 6);
        assert_int_equal(d->last_refused, DAY0 + 6);
        assert_int_equal(d->sessions.failed, 0);
        summary_free(&s);
    }
}

/* Whoever guesses the id of a report must not make a domain safe by it. */
static void test_failures_of_a_report_that_is_left_out(void **state)
{
    struct summary s = begin();

    (void)state;
    add_sts(&s, "Sender One", "r1", 6, 5, 0);
    add_sts(&s, "Sender One", "r1", 6, 5, 0);
    assert_false(s.failures_left_out);
    struct tlsrpt_policy policy = policy_of(TLSRPT_STS, "example.com", 5, 1);
    struct tlsrpt_report other = report_of("Sender One", "r1", 6, &policy, 1);
    assert_int_equal(summary_add(&s, &other), SUMMARY_DIFFERS);
    const struct summary_domain *d = only_domain(&s);
    assert_true(s.failures_left_out && d->incomplete);
    assert_int_equal(d->sessions.failed, 0);
    summary_free(&s);
}

static void test_no_failure_leaves_no_day(void **state)
{
    struct summary s = begin();

    (void)state;
    add_sts(&s, "Sender One", "r1", 6, 1, 0);
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(d->last_failed, SUMMARY_DAY_NONE);
    assert_int_equal(d->last_refused, SUMMARY_DAY_NONE);
    assert_int_equal(d->last_unknown, SUMMARY_DAY_NONE);
    assert_int_equal(d->failures.count, 0);
    summary_free(&s);
}

static void test_last_good_day_under_sts(void **state)
{
    struct tlsrpt_policy tlsa = policy_of(TLSRPT_TLSA, "example.com", 9, 0);
    struct summary s = begin();

    (void)state;
    add_sts(&s, "Sender One", "1", 2, 1, 0);
    add_sts(&s, "Sender One", "2", 4, 0, 1);
    add(&s, "Sender One", "3", 6, &tlsa, 1);
    const struct summary_domain *d = only_domain(&s);
    assert_int_equal(((const struct summary_reporter *)d->reporters.items[0])->last_sts, DAY0 + 2);
    summary_free(&s);
}

static void test_date(void **state)
{
    char date[SUMMARY_DATE_SIZE];

    (void)state;
    summary_date(DAY0, date);
    assert_string_equal(date, "2026-03-01");
    summary_date(0, date);
    assert_string_equal(date, "1970-01-01");
    summary_date(INT32_MAX, date);
    summary_date(SUMMARY_DAY_NONE, date);
    assert_true(strlen(date) < sizeof date);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_one_report),
        cmocka_unit_test(test_nothing_is_kept_by_reference),
        cmocka_unit_test(test_duplicates_count_once),
        cmocka_unit_test(test_other_domain_or_type_differs),
        cmocka_unit_test(test_reports_without_id_are_known_by_contents),
        cmocka_unit_test(test_reports_without_id_of_every_day_count),
        cmocka_unit_test(test_larger_of_sts_and_tlsa),
        cmocka_unit_test(test_larger_is_taken_in_each_report),
        cmocka_unit_test(test_domains_of_one_report),
        cmocka_unit_test(test_period_ends_on_its_last_day),
        cmocka_unit_test(test_days_add_up_and_are_sorted),
        cmocka_unit_test(test_equal_failures_share_a_row),
        cmocka_unit_test(test_failures_that_differ_have_rows_of_their_own),
        cmocka_unit_test(test_total_without_details_is_unspecified),
        cmocka_unit_test(test_details_beyond_the_total),
        cmocka_unit_test(test_failures_are_capped),
        cmocka_unit_test(test_policies_in_other_orders_are_one),
        cmocka_unit_test(test_invalid_policy_is_kept_as_sent),
        cmocka_unit_test(test_policies_are_capped),
        cmocka_unit_test(test_only_sts_policies_are_kept),
        cmocka_unit_test(test_since_and_until),
        cmocka_unit_test(test_only_one_domain),
        cmocka_unit_test(test_notes_are_counted_by_report),
        cmocka_unit_test(test_huge_counts_do_not_overflow),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_reporters_are_sorted_by_sessions),
        cmocka_unit_test(test_failures_are_sorted),
        cmocka_unit_test(test_last_days),
        cmocka_unit_test(test_failures_without_a_count),
        cmocka_unit_test(test_failures_of_a_report_that_is_left_out),
        cmocka_unit_test(test_no_failure_leaves_no_day),
        cmocka_unit_test(test_last_good_day_under_sts),
        cmocka_unit_test(test_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
