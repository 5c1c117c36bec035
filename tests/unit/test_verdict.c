/* SPDX-License-Identifier: MIT
 * report/verdict.c: from the days of a domain to an answer, each branch at its edge; and advice.
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
#include "report/verdict.h"

#define COUNT(items) (sizeof(items) / sizeof *(items))
#define DAY_SECONDS 86400
#define DAY0 20513 /* 2026-03-01 */
#define EVENTS_MAX 6

#define BODY(mode) "version: STSv1\r\nmode: " mode "\r\nmx: mx.example.com\r\nmax_age: 86400\r\n"
#define NONE_TEXT "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
#define TESTING BODY("testing")
#define ENFORCE BODY("enforce")
#define OTHER_MX                                                                                   \
    "version: STSv1\r\nmode: testing\r\nmx: mx.example.net\r\nmx: mx.example.com\r\n"              \
    "max_age: 86400\r\n"

/* A report for each day of first..last, counted from DAY0. */
struct event {
    const char *reporter; /* NULL: the end */
    int first, last;
    enum tlsrpt_type type;
    const char *text;
    int64_t good, failed;
    const char *result; /* of one failure with all that failed; NULL: no details */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order in which it is told */
struct row {
    const char *name;
    struct event events[EVENTS_MAX];
    int today;
    const char *ini; /* the policy of the INI; NULL: there is no INI */
    enum verdict_kind kind;
    const char *mode;                             /* NULL: not known */
    const char *reasons[VERDICT_REASONS_MAX + 1]; /* parts of them, in this order; all of them */
};

#define STS(reporter, first, last, text, good, failed, result)                                     \
    {                                                                                              \
        reporter, first, last, TLSRPT_STS, text, good, failed, result                              \
    }
#define GOOD(reporter, first, last, text) STS(reporter, first, last, text, 5, 0, NULL)
#define TWO(first, last, text) GOOD("One", first, last, text), GOOD("Two", first, last, text)

static const struct row rows[] = {
    {"fourteen days, two reporters",
     {TWO(0, 13, TESTING)},
     14,
     NULL,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"thirteen days",
     {TWO(0, 12, TESTING)},
     13,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"13 days without a failure: 14 are needed"}},
    {"one day",
     {TWO(0, 0, TESTING)},
     1,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 day without a failure: 14 are needed"}},
    {"one reporter",
     {GOOD("One", 0, 20, TESTING)},
     21,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 reporter with"}},
    {"the second has tlsa only",
     {GOOD("One", 0, 20, TESTING), {"Two", 0, 20, TLSRPT_TLSA, "", 5, 0, NULL}},
     21,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 reporter with"}},
    {"the second has found no policy",
     {GOOD("One", 0, 20, TESTING), {"Two", 0, 20, TLSRPT_NO_POLICY, "", 5, 0, NULL}},
     21,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 reporter with"}},
    {"the second has no good session",
     {GOOD("One", 0, 20, TESTING), STS("Two", 0, 20, TESTING, 0, 0, NULL)},
     21,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 reporter with"}},
    {"no sts at all",
     {{"One", 0, 20, TLSRPT_NO_POLICY, "", 5, 0, NULL},
      {"Two", 0, 20, TLSRPT_NO_POLICY, "", 5, 0, NULL}},
     21,
     NULL,
     VERDICT_NOT_YET,
     NULL,
     {"no sender has used an MTA-STS policy"}},
    {"the newest is a week old",
     {TWO(0, 13, TESTING)},
     20,
     NULL,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"the newest is older",
     {TWO(0, 13, TESTING)},
     21,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"8 days old"}},
    {"a failure fourteen clean days ago",
     {TWO(0, 15, TESTING), STS("One", 1, 1, TESTING, 5, 2, "certificate-expired")},
     16,
     NULL,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"a failure thirteen clean days ago",
     {TWO(0, 15, TESTING), STS("One", 2, 2, TESTING, 5, 2, "certificate-expired")},
     16,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"2 sessions failed", "13 days without a failure"}},
    {"one session has failed",
     {TWO(0, 15, TESTING), STS("One", 15, 15, TESTING, 5, 1, "certificate-expired")},
     16,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 session failed on 2026-03-16", "0 days", "0 reporters"}},
    {"a failure without details",
     {TWO(0, 15, TESTING), STS("One", 15, 15, TESTING, 5, 1, NULL)},
     16,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 session failed", "0 days", "0 reporters"}},
    {"a fetch error under testing",
     {TWO(0, 15, TESTING), STS("One", 15, 15, "", 5, 1, "sts-policy-fetch-error")},
     16,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 session failed", "0 days", "0 reporters"}},
    {"enforce holds",
     {TWO(0, 13, ENFORCE)},
     14,
     NULL,
     VERDICT_SAFE,
     "enforce",
     {"days without a failure; of the last 14, "}},
    {"refused under enforce today",
     {TWO(0, 15, ENFORCE), STS("One", 15, 15, ENFORCE, 5, 3, "certificate-expired")},
     16,
     NULL,
     VERDICT_FAILING,
     "enforce",
     {"3 sessions failed", "until that is mended"}},
    {"refused on the first day of the window",
     {TWO(0, 15, ENFORCE), STS("One", 2, 2, ENFORCE, 5, 3, "certificate-expired")},
     16,
     NULL,
     VERDICT_FAILING,
     "enforce",
     {"3 sessions failed on 2026-03-03", "until that is mended"}},
    {"refused on the day before it",
     {TWO(0, 15, ENFORCE), STS("One", 1, 1, ENFORCE, 5, 3, "certificate-expired")},
     16,
     NULL,
     VERDICT_SAFE,
     "enforce",
     {"days without a failure; of the last 14, "}},
    {"refused under enforce, though the INI is testing again",
     {TWO(0, 15, TESTING), STS("One", 10, 10, ENFORCE, 5, 3, "certificate-expired")},
     16,
     TESTING,
     VERDICT_FAILING,
     "testing",
     {"3 sessions failed", "until that is mended"}},
    {"a fetch error under enforce is not refused",
     {TWO(0, 15, ENFORCE), STS("One", 15, 15, ENFORCE, 5, 1, "sts-policy-fetch-error")},
     16,
     NULL,
     VERDICT_NOT_YET,
     "enforce",
     {"1 session failed", "0 days", "0 reporters"}},
    {"DANE refuses whatever the mode",
     {TWO(0, 15, TESTING), {"One", 15, 15, TLSRPT_TLSA, "", 5, 1, "tlsa-invalid"}},
     16,
     NULL,
     VERDICT_FAILING,
     "testing",
     {"1 session failed", "until that is mended"}},
    {"a policy that is not shown, under enforce",
     {TWO(0, 15, ENFORCE), STS("One", 14, 14, "", 5, 1, "certificate-expired")},
     16,
     NULL,
     VERDICT_FAILING,
     "enforce",
     {"1 session failed", "until that is mended"}},
    {"a policy that is not shown, under testing",
     {TWO(0, 15, TESTING), STS("One", 14, 14, "", 5, 1, "certificate-expired")},
     16,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 session failed", "1 day without"}},
    {"a policy that is not shown, enforce in the INI",
     {TWO(0, 15, TESTING), STS("One", 14, 14, "", 5, 1, "certificate-expired")},
     16,
     ENFORCE,
     VERDICT_FAILING,
     "enforce",
     {"1 session failed", "until that is mended"}},
    {"no policy is shown",
     {TWO(0, 15, "")},
     16,
     NULL,
     VERDICT_NOT_YET,
     NULL,
     {"no report shows a valid policy"}},
    {"two reports, long apart",
     {GOOD("One", 0, 0, TESTING), GOOD("Two", 200, 200, TESTING)},
     200,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 reporter with"}},
    {"two reporters are one in capitals",
     {GOOD("One", 0, 20, TESTING), GOOD("ONE", 0, 20, TESTING)},
     20,
     NULL,
     VERDICT_NOT_YET,
     "testing",
     {"1 reporter with"}},
    {"few days have reports",
     {GOOD("One", 0, 0, TESTING), GOOD("One", 12, 12, TESTING), GOOD("Two", 13, 13, TESTING)},
     13,
     NULL,
     VERDICT_SAFE,
     "testing",
     {"14 days without a failure; of the last 14, 3 with reports, from 2 reporters"}},
    {"mode none",
     {TWO(0, 15, NONE_TEXT)},
     16,
     NULL,
     VERDICT_NOT_YET,
     "none",
     {"mode of the policy is none"}},
    {"the newest policy has the mode",
     {TWO(0, 10, ENFORCE), TWO(11, 15, TESTING)},
     16,
     NULL,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"of two as new the one with more sessions",
     {TWO(0, 15, TESTING), STS("Three", 15, 15, ENFORCE, 1, 0, NULL)},
     16,
     NULL,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"the INI has been seen",
     {TWO(0, 15, TESTING)},
     16,
     TESTING,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"the INI has another mode since, and the same mx",
     {TWO(0, 15, TESTING)},
     16,
     ENFORCE,
     VERDICT_SAFE,
     "enforce",
     {"days without a failure; of the last 14, "}},
    {"the mx of the INI has not been seen",
     {TWO(0, 15, OTHER_MX)},
     16,
     TESTING,
     VERDICT_NOT_YET,
     "testing",
     {"no good session under the mx of the INI file"}},
    {"the mx of the INI has been seen without a session",
     {TWO(0, 15, OTHER_MX), STS("One", 0, 15, TESTING, 0, 0, NULL)},
     16,
     TESTING,
     VERDICT_NOT_YET,
     "testing",
     {"no good session under the mx of the INI file"}},
    {"the mx of the INI has been seen for thirteen days",
     {TWO(0, 15, OTHER_MX), TWO(3, 15, TESTING)},
     16,
     TESTING,
     VERDICT_NOT_YET,
     "testing",
     {"since 2026-03-04: 14 days are needed"}},
    {"the mx of the INI has been seen for fourteen days",
     {TWO(0, 15, OTHER_MX), TWO(2, 15, TESTING)},
     16,
     TESTING,
     VERDICT_SAFE,
     "testing",
     {"days without a failure; of the last 14, "}},
    {"everything at once",
     {GOOD("One", 0, 3, TESTING), STS("One", 3, 3, TESTING, 1, 1, "validation-failure")},
     30,
     NONE_TEXT,
     VERDICT_NOT_YET,
     "none",
     {"1 session failed", "0 days", "0 reporters", "mode of the policy is none",
      "no good session under the mx", "27 days old"}},
};

static void add_event(struct summary *s, const struct event *event, int number)
{
    struct tlsrpt_failure failure = {.result = event->result,
                                     .sending_ip = "",
                                     .mx = "mx.example.com",
                                     .receiving_ip = "",
                                     .reason = "",
                                     .count = event->failed};
    struct tlsrpt_policy policy = {.type = event->type,
                                   .domain = "example.com",
                                   .text = event->text,
                                   .good = event->good,
                                   .failed = event->failed,
                                   .failures = &failure,
                                   .failure_count = event->result != NULL};

    for (int day = event->first; day <= event->last; day++) {
        char id[32];
        struct tlsrpt_report report = {
            .organization = event->reporter, .id = id, .policies = &policy, .policy_count = 1};
        snprintf(id, sizeof id, "%d.%d", number, day);
        report.start = (time_t)(DAY0 + day) * DAY_SECONDS;
        report.end = report.start + DAY_SECONDS;
        assert_int_equal(summary_add(s, &report), SUMMARY_COUNTED);
    }
}

static enum policy_mode mode_of(const char *text)
{
    return strcmp(text, ENFORCE) == 0   ? POLICY_MODE_ENFORCE
           : strcmp(text, TESTING) == 0 ? POLICY_MODE_TESTING
                                        : POLICY_MODE_NONE;
}

static void expect_reasons(const struct row *row, const struct verdict *verdict)
{
    size_t i = 0;

    for (; i < COUNT(row->reasons) && row->reasons[i] != NULL; i++)
        if (i >= verdict->reason_count || strstr(verdict->reasons[i], row->reasons[i]) == NULL)
            fail_msg("%s: reason %zu is \"%s\"", row->name, i,
                     i < verdict->reason_count ? verdict->reasons[i] : "missing");
    if (i < COUNT(row->reasons) && verdict->reason_count != i)
        fail_msg("%s: also \"%s\"", row->name, verdict->reasons[i]);
    for (i = 0; i < verdict->reason_count; i++)
        for (const char *p = verdict->reasons[i]; *p != '\0'; p++)
            assert_in_range(*p, 0x20, 0x7e);
}

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct config_policy policy = {.body = row->ini};
        struct config_domain configured = {.name = "example.com", .policy = &policy};
        struct summary s;
        struct verdict verdict;
        summary_init(&s);
        for (int e = 0; e < EVENTS_MAX && row->events[e].reporter != NULL; e++)
            add_event(&s, &row->events[e], e);
        summary_finish(&s);
        if (row->ini != NULL) {
            policy.body_len = strlen(row->ini);
            policy.policy.mode = mode_of(row->ini);
        }
        verdict_of(summary_domain_at(&s, 0), DAY0 + row->today,
                   row->ini == NULL ? NULL : &configured, &verdict);
        if (verdict.kind != row->kind)
            fail_msg("%s: %s (%s)", row->name, verdict_name(verdict.kind),
                     verdict.reason_count > 0 ? verdict.reasons[0] : "no reason");
        if (verdict.mode_known != (row->mode != NULL) ||
            (verdict.mode_known && strcmp(policy_mode_name(verdict.mode), row->mode) != 0))
            fail_msg("%s: mode %s", row->name,
                     verdict.mode_known ? policy_mode_name(verdict.mode) : "unknown");
        expect_reasons(row, &verdict);
        summary_free(&s);
    }
}

/* A report of a week counts on its first day; its failures may be as late as its last. */
static void test_week_that_reaches_into_the_window(void **state)
{
    const struct event daily[] = {TWO(0, 15, ENFORCE)};
    struct tlsrpt_policy policy = {
        .type = TLSRPT_STS, .domain = "example.com", .text = ENFORCE, .good = 5, .failed = 3};
    struct tlsrpt_report week = {.organization = "Three",
                                 .id = "week",
                                 .start = (time_t)DAY0 * DAY_SECONDS,
                                 .end = (time_t)(DAY0 + 7) * DAY_SECONDS,
                                 .policies = &policy,
                                 .policy_count = 1};
    struct summary s;
    struct verdict verdict;

    (void)state;
    summary_init(&s);
    for (int e = 0; e < (int)COUNT(daily); e++)
        add_event(&s, &daily[e], e);
    assert_int_equal(summary_add(&s, &week), SUMMARY_COUNTED);
    summary_finish(&s);
    verdict_of(summary_domain_at(&s, 0), DAY0 + 16, NULL, &verdict);
    assert_int_equal(verdict.kind, VERDICT_FAILING);
    assert_int_equal(verdict.reason_count, 2);
    assert_non_null(strstr(verdict.reasons[0], "3 sessions failed"));
    summary_free(&s);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(verdict_name(VERDICT_SAFE), "safe");
    assert_string_equal(verdict_name(VERDICT_NOT_YET), "not-yet");
    assert_string_equal(verdict_name(VERDICT_FAILING), "failing");
}

static void test_words_depend_on_the_mode(void **state)
{
    (void)state;
    for (int kind = VERDICT_SAFE; kind <= VERDICT_FAILING; kind++) {
        struct verdict verdict = {
            .kind = (enum verdict_kind)kind, .mode_known = true, .mode = POLICY_MODE_TESTING};
        const char *testing = verdict_words(&verdict);
        verdict.mode = POLICY_MODE_ENFORCE;
        const char *enforce = verdict_words(&verdict);
        assert_int_not_equal(testing[0], '\0');
        if (kind == VERDICT_FAILING)
            assert_string_equal(testing, enforce);
        else
            assert_string_not_equal(testing, enforce);
        verdict.mode_known = false;
        assert_string_equal(verdict_words(&verdict), testing);
    }
}

/* RFC 8460 section 4.3. */
static const char *const results[] = {
    "starttls-not-supported", "certificate-host-mismatch",
    "certificate-expired",    "certificate-not-trusted",
    "validation-failure",     "tlsa-invalid",
    "dnssec-invalid",         "dane-required",
    "sts-policy-fetch-error", "sts-policy-invalid",
    "sts-webpki-invalid",
};

static void test_each_result_has_advice_of_its_own(void **state)
{
    const char *unknown = verdict_advice("moon-in-the-way");

    (void)state;
    assert_non_null(unknown);
    for (size_t i = 0; i < COUNT(results); i++) {
        const char *advice = verdict_advice(results[i]);
        assert_string_not_equal(advice, unknown);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(advice, verdict_advice(results[j]));
        for (const char *p = advice; *p != '\0'; p++)
            assert_in_range(*p, 0x20, 0x7e);
    }
}

static void test_unknown_results_have_advice(void **state)
{
    static const char *const unknown[] = {"", "Certificate-Expired", "certificate-expired ",
                                          "\x1b[2J"};

    (void)state;
    for (size_t i = 0; i < COUNT(unknown); i++)
        assert_string_equal(verdict_advice(unknown[i]), verdict_advice("moon-in-the-way"));
    assert_string_not_equal(verdict_advice("unspecified"), verdict_advice("moon-in-the-way"));
}

static void test_current(void **state)
{
    struct config_policy policy = {.body = TESTING, .body_len = strlen(TESTING)};
    struct config_domain configured = {.name = "example.com", .policy = &policy};
    struct summary_policy seen = {.text = TESTING};

    (void)state;
    assert_string_equal(verdict_current(&seen, &configured), "current");
    assert_string_equal(verdict_current(&seen, NULL), "");
    seen.text = ENFORCE;
    assert_string_equal(verdict_current(&seen, &configured), "not current");
    seen.text = TESTING "x";
    assert_string_equal(verdict_current(&seen, &configured), "not current");
    seen.text = "";
    assert_string_equal(verdict_current(&seen, &configured), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_week_that_reaches_into_the_window),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_words_depend_on_the_mode),
        cmocka_unit_test(test_each_result_has_advice_of_its_own),
        cmocka_unit_test(test_unknown_results_have_advice),
        cmocka_unit_test(test_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
