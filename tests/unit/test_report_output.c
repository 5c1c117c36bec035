/* SPDX-License-Identifier: MIT
 * report/output_*.c: JSON that a parser takes, CSV with the same cells in each row, an HTML page in
 * which no string of a report can do anything, and charts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/output_internal.h"

#define TODAY 20782 /* 2026-11-25 */
#define DAY 86400

#define POLICY "version: STSv1\r\nmode: testing\r\nmx: mx1.example.com\r\nmax_age: 604800\r\n"
/* What an attacker would try. */
#define MARKUP "</td></pre><script>alert(1)</script>\"'&amp;"
#define BYTES "\x01\x1b[31m\xff\xc3(\x7f\\"
#define TURNED "\xe2\x80\xaegnp.exe\xe2\x80\xac\xe2\x80\x8b\xc2\x85\xef\xbf\xbf"
#define EURO "\xe2\x82\xac \xf0\x9f\x98\x80"

struct fixture {
    struct summary summary;
    unsigned reports;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    summary_init(&f->summary);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    summary_free(&f->summary);
    free(f);
    return 0;
}

/* A report of one policy, `days_ago`. */
static void add_report(struct fixture *f, const char *organization, int days_ago,
                       struct tlsrpt_policy policy)
{
    char id[16];
    time_t start = (time_t)(TODAY - days_ago) * DAY;

    snprintf(id, sizeof id, "%u", f->reports++);
    struct tlsrpt_report report = {.organization = organization,
                                   .id = id,
                                   .start = start,
                                   .end = start + DAY - 1,
                                   .policies = &policy,
                                   .policy_count = 1};
    assert_int_equal(summary_add(&f->summary, &report), SUMMARY_COUNTED);
}

static void add_sessions(struct fixture *f, const char *domain, int days_ago, int64_t good,
                         int64_t failed)
{
    add_report(
        f, "Example Org", days_ago,
        (struct tlsrpt_policy){
            .type = TLSRPT_STS, .domain = domain, .text = POLICY, .good = good, .failed = failed});
}

/* Every string of it is `string`. */
static void add_hostile(struct fixture *f, const char *string)
{
    struct tlsrpt_failure failure = {.result = string,
                                     .sending_ip = string,
                                     .mx = string,
                                     .receiving_ip = string,
                                     .reason = string,
                                     .count = 3};

    add_report(f, string, 1,
               (struct tlsrpt_policy){.type = TLSRPT_STS,
                                      .domain = string,
                                      .text = string,
                                      .good = 7,
                                      .failed = 3,
                                      .failures = &failure,
                                      .failure_count = 1});
}

static void add_failures(struct fixture *f, size_t count)
{
    struct tlsrpt_failure *failures = calloc(count, sizeof *failures);
    char(*hosts)[40] = calloc(count, sizeof *hosts);

    assert_non_null(failures);
    assert_non_null(hosts);
    for (size_t i = 0; i < count; i++) {
        snprintf(hosts[i], sizeof hosts[i], "mx%zu.example.com", i);
        failures[i] = (struct tlsrpt_failure){.result = "certificate-expired",
                                              .sending_ip = "192.0.2.1",
                                              .mx = hosts[i],
                                              .receiving_ip = "2001:db8::25",
                                              .reason = "",
                                              .count = 1};
    }
    add_report(f, "Example Org", 1,
               (struct tlsrpt_policy){.type = TLSRPT_STS,
                                      .domain = "example.com",
                                      .text = POLICY,
                                      .good = 10,
                                      .failed = (int64_t)count,
                                      .failures = failures,
                                      .failure_count = count});
    free(failures);
    free(hosts);
}

static char *print(struct fixture *f, const struct config *config,
                   void (*output_any)(const struct output *output, FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct output output = {
        .summary = &f->summary, .config = config, .today = TODAY, .unreadable = 2};

    assert_non_null(out);
    output_any(&output, out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(strlen(text), len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] > 0x7e || ((unsigned char)text[i] < 0x20 && text[i] != '\n' &&
                                              !(text[i] == '\r' && text[i + 1] == '\n')))
            fail_msg("octet %02x at %zu", (unsigned char)text[i], i);
    return text;
}

static json_t *print_json(struct fixture *f, const struct config *config)
{
    json_error_t error;
    char *text = print(f, config, output_json);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL)
        fail_msg("line %d: %s", error.line, error.text);
    free(text);
    return root;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        count++;
    return count;
}

static void assert_has(const char *text, const char *what)
{
    if (strstr(text, what) == NULL)
        fail_msg("there is no %s in\n%s", what, text);
}

static void test_percent_never_hides_a_failure(void **state)
{
    static const struct {
        int64_t part, whole;
        const char *text;
    } cases[] = {
        {0, 0, "-"},
        {0, 5, "0.0 %"},
        {5, 5, "100.0 %"},
        {1, 2, "50.0 %"},
        {1, 3, "33.3 %"},
        {2, 3, "66.7 %"},
        {1, 1000000, "<0.1 %"},
        {999999, 1000000, "99.9 %"},
        {1, 1000, "0.1 %"},
        {INT64_MAX - 1, INT64_MAX, "99.9 %"},
        {INT64_MAX, INT64_MAX, "100.0 %"},
        {1, INT64_MAX, "<0.1 %"},
    };
    char text[OUTPUT_PERCENT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        output_percent(cases[i].part, cases[i].whole, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_number_has_groups(void **state)
{
    static const struct {
        int64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {1234567, "1,234,567"},
        {100000, "100,000"},
        {INT64_MAX, "9,223,372,036,854,775,807"},
    };
    char text[OUTPUT_NUMBER_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        output_number(cases[i].number, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_total_does_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(output_total(&(struct summary_sessions){2, 3}), 5);
    assert_true(output_total(&(struct summary_sessions){INT64_MAX, 1}) == INT64_MAX);
    assert_true(output_total(&(struct summary_sessions){INT64_MAX, INT64_MAX}) == INT64_MAX);
}

static void test_json_has_the_numbers(void **state)
{
    struct fixture *f = *state;
    int good, failed, reports, unreadable;
    const char *name, *today, *day, *type, *mx, *mode;
    size_t days;

    add_failures(f, 2);
    add_sessions(f, "example.com", 5, 100, 0);
    summary_finish(&f->summary);
    json_t *root = print_json(f, NULL);
    assert_int_equal(json_unpack(root, "{s:s,s:i,s:i,s:[{s:s,s:{s:i,s:i},s:s}]}", "today", &today,
                                 "reports", &reports, "unreadable", &unreadable, "domains",
                                 "domain", &name, "sessions", "good", &good, "failed", &failed,
                                 "mode", &mode),
                     0);
    assert_string_equal(today, "2026-11-25");
    assert_string_equal(name, "example.com");
    assert_string_equal(mode, "testing");
    assert_int_equal(reports, 2);
    assert_int_equal(unreadable, 2);
    assert_int_equal(good, 110);
    assert_int_equal(failed, 2);
    json_t *domain = json_array_get(json_object_get(root, "domains"), 0);
    days = json_array_size(json_object_get(domain, "days"));
    assert_int_equal(days, 2);
    assert_int_equal(json_unpack(domain, "{s:[{s:s,s:i}]}", "days", "day", &day, "good", &good), 0);
    assert_string_equal(day, "2026-11-20");
    assert_int_equal(good, 100);
    assert_int_equal(json_unpack(domain, "{s:[{s:s,s:s,s:i}]}", "failures", "policy_type", &type,
                                 "mx", &mx, "sessions", &failed),
                     0);
    assert_string_equal(type, "sts");
    assert_int_equal(failed, 1);
    assert_int_equal(json_object_size(json_object_get(domain, "policy_types")), 1);
    assert_true(json_is_null(
        json_object_get(json_array_get(json_object_get(domain, "policies"), 0), "current")));
    json_decref(root);
}

static void test_json_takes_any_octet(void **state)
{
    struct fixture *f = *state;
    const char *reason;

    add_hostile(f, MARKUP BYTES TURNED EURO);
    summary_finish(&f->summary);
    json_t *root = print_json(f, NULL);
    assert_int_equal(
        json_unpack(root, "{s:[{s:[{s:s}]}]}", "domains", "failures", "reason", &reason), 0);
    assert_memory_equal(reason, MARKUP, strlen(MARKUP));
    assert_has(reason, EURO);
    json_decref(root);
}

static void test_json_and_html_of_nothing(void **state)
{
    struct fixture *f = *state;

    summary_finish(&f->summary);
    json_t *root = print_json(f, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "domains")), 0);
    json_decref(root);
    char *page = print(f, NULL, output_html);
    assert_has(page, "nothing to judge");
    assert_has(page, "</html>");
    free(page);
}

static void test_policies_are_compared_with_the_ini(void **state)
{
    struct fixture *f = *state;
    const struct config_policy policy = {
        .policy = {.mode = POLICY_MODE_TESTING}, .body = POLICY, .body_len = strlen(POLICY)};
    struct config_domain domain = {
        .name = "example.com", .host = "mta-sts.example.com", .policy = &policy};
    const struct config_domain *by_host[] = {&domain};
    const struct config config = {.domain_count = 1, .domains = &domain, .by_host = by_host};

    add_sessions(f, "example.com", 1, 10, 0);
    add_report(f, "Other Org", 9,
               (struct tlsrpt_policy){.type = TLSRPT_STS,
                                      .domain = "example.com",
                                      .text = "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n",
                                      .good = 10});
    add_sessions(f, "not.in.ini", 1, 10, 0);
    summary_finish(&f->summary);
    char *page = print(f, &config, output_html);
    assert_int_equal(count_of(page, ">current<"), 1);
    assert_int_equal(count_of(page, ">not current<"), 1);
    free(page);
    char *json = print(f, &config, output_json);
    assert_int_equal(count_of(json, "\"current\":true"), 1);
    assert_int_equal(count_of(json, "\"current\":false"), 1);
    assert_int_equal(count_of(json, "\"current\":null"), 1);
    free(json);
}

static void test_csv_of_days(void **state)
{
    struct fixture *f = *state;

    add_sessions(f, "example.com", 1, 10, 2);
    add_sessions(f, "example.com", 3, 5, 0);
    add_sessions(f, "example.org", 2, 1, 0);
    summary_finish(&f->summary);
    char *csv = print(f, NULL, output_csv_days);
    assert_string_equal(csv, "domain,day,good,failed\r\n"
                             "example.com,2026-11-22,5,0\r\n"
                             "example.com,2026-11-24,10,2\r\n"
                             "example.org,2026-11-23,1,0\r\n");
    free(csv);
}

static void test_csv_cells_are_quoted_and_no_formulas(void **state)
{
    static const struct {
        const char *string, *cell;
    } cases[] = {
        {"a,b\"c", "\"a,b\"\"c\""},
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@a", "'@a"},
        {"\t=1", "\\x09=1"},
        {"=\"x\",1", "\"'=\"\"x\"\",1\""},
        {"a\r\nb", "a\\x0d\\x0ab"},
        {"\xff\\", "\\xff\\x5c"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char row[256];
        setup(state);
        struct fixture *f = *state;
        add_hostile(f, cases[i].string);
        summary_finish(&f->summary);
        char *csv = print(f, NULL, output_csv_failures);
        const char *cell = cases[i].cell;
        snprintf(row, sizeof row, "\r\n%s,sts,%s,%s,%s,%s,3,2026-11-24,2026-11-24,%s\r\n", cell,
                 cell, cell, cell, cell, cell);
        assert_string_equal(csv + strcspn(csv, "\r"), row);
        free(csv);
        teardown(state);
    }
}

/* Each tag that is opened is closed in its order; nothing is loaded and nothing can run. */
static void assert_page_is_sound(const char *page)
{
    const char *open[64];
    size_t depth = 0;

    assert_memory_equal(page, "<!DOCTYPE html>\n<html", 21);
    for (const char *p = strchr(page + 1, '<'); p != NULL; p = strchr(p + 1, '<')) {
        const char *name = p[1] == '/' ? p + 2 : p + 1, *end = strchr(p, '>');
        size_t len = strcspn(name, " >/");
        assert_non_null(end);
        if (end[-1] == '/' || (len == 4 && memcmp(name, "meta", 4) == 0) ||
            (len == 4 && memcmp(name, "line", 4) == 0))
            continue;
        if (p[1] != '/') {
            assert_true(depth < 64);
            open[depth++] = name;
            continue;
        }
        if (depth == 0 || strncmp(open[--depth], name, len) != 0)
            fail_msg("%.*s closes %.20s", (int)len, name, depth == 0 ? "" : open[depth]);
    }
    assert_int_equal(depth, 0);
    assert_int_equal(count_of(page, "href="), count_of(page, "<a href=\"#d"));
    static const char *const never[] = {"<script", "<img",    "<iframe", "<link",   "<object",
                                        "src=",    "@import", "url(",    " style=", "<base"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (strstr(page, never[i]) != NULL)
            fail_msg("the page has %s", never[i]);
}

static void test_html_has_its_parts(void **state)
{
    struct fixture *f = *state;

    add_failures(f, 3);
    add_sessions(f, "example.com", 5, 1234567, 0);
    add_sessions(f, "example.org", 5, 1, 0);
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    assert_page_is_sound(page);
    assert_has(page, "default-src 'none'; style-src 'unsafe-inline'");
    assert_has(page, "1,234,577");
    assert_has(page, "99.9 %");
    assert_has(page, "&#60;0.1 %");
    assert_has(page, "mx2.example.com");
    assert_has(page, "2001:db8::25");
    assert_has(page, "mode: testing\nmx: mx1");
    assert_has(page, "2 inputs could not be read");
    assert_int_equal(count_of(page, verdict_advice("certificate-expired")), 1);
    assert_int_equal(count_of(page, "<section id=\"d"), 2);
    assert_int_equal(count_of(page, "<a href=\"#d"), 2);
    free(page);
}

static void test_html_cannot_be_broken_out_of(void **state)
{
    struct fixture *f = *state;

    add_hostile(f, MARKUP);
    add_hostile(f, BYTES);
    add_hostile(f, TURNED);
    add_hostile(f, EURO);
    add_hostile(f, "<");
    add_hostile(f, "\"><svg onload=alert(1)>");
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    assert_int_equal(count_of(page, "alert(1)"), count_of(page, "alert(1)&#6"));
    assert_has(page, "&#60;/td&#62;&#60;/pre&#62;&#60;script&#62;");
    assert_has(page, "&#34;&#39;&#38;amp;");
    assert_has(page, "\\x01\\x1b[31m\\xff\\xc3(\\x7f\\x5c");
    assert_has(page, "\\u{202E}gnp.exe\\u{202C}\\u{200B}\\u{0085}\\u{FFFF}");
    assert_has(page, "&#8364; &#128512;");
    assert_page_is_sound(page);
    free(page);
}

static void test_html_says_what_it_leaves_out(void **state)
{
    struct fixture *f = *state;
    char name[32];

    add_failures(f, 130);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "org%d", i);
        add_report(f, name, 2,
                   (struct tlsrpt_policy){
                       .type = TLSRPT_OTHER, .domain = "example.com", .text = "", .good = 1});
    }
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "policy %d\r\n", i);
        add_report(f, "Example Org", 2,
                   (struct tlsrpt_policy){
                       .type = TLSRPT_STS, .domain = "example.com", .text = name, .good = 1});
    }
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    assert_page_is_sound(page);
    assert_int_equal(count_of(page, ".example.com<small>2001:db8::25"), 100);
    assert_has(page, "130 sessions");
    assert_has(page, "And 30 rows more");
    assert_has(page, "And 11 reporters more");
    assert_has(page, "And 3 policies more");
    free(page);
}

static void test_html_of_many_domains_has_all_in_its_index(void **state)
{
    struct fixture *f = *state;
    char name[32];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d%d.example", i);
        add_sessions(f, name, 1, 10, 0);
    }
    add_report(f, "Example Org", 1,
               (struct tlsrpt_policy){
                   .type = TLSRPT_TLSA, .domain = "z.example", .text = "", .good = 1, .failed = 1});
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    assert_page_is_sound(page);
    assert_int_equal(count_of(page, "<section id="), 200);
    assert_int_equal(count_of(page, "<a href="), 200);
    assert_int_equal(count_of(page, "<span class=\"p "), 1001);
    assert_has(page, "<section id=\"d1\">\n<h2>z.example</h2>");
    assert_has(page, "801 domains are without");
    assert_true(strlen(page) < 1000000);
    free(page);
}

static long number_after(const char *text, const char *what)
{
    const char *found = strstr(text, what);

    assert_non_null(found);
    return strtol(found + strlen(what), NULL, 10);
}

static void test_chart_shows_one_of_a_million(void **state)
{
    struct fixture *f = *state;

    add_sessions(f, "example.com", 1, 999999, 1);
    add_sessions(f, "example.com", 2, 1000, 0);
    add_sessions(f, "example.com", 4, 0, 0);
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    const char *bar = strstr(page, "<rect class=\"f\"");
    assert_non_null(bar);
    assert_true(number_after(bar, " y=\"") >= 0);
    assert_true(number_after(bar, " height=\"") >= 20);
    assert_int_equal(count_of(page, "<rect class=\"g\""), 2);
    assert_int_equal(count_of(page, "<rect class=\"z\""), 1);
    assert_has(page, "2026-11-24: 999,999 good, 1 failed");
    assert_has(page, "role=\"img\"");
    assert_has(page, "at most 1,000,000 a day; 1 day with failures");
    assert_has(page, "A gap is a day without a report.");
    free(page);
}

static void test_chart_ends_with_the_last_days(void **state)
{
    struct fixture *f = *state;

    for (int day = 1; day <= 150; day++)
        add_sessions(f, "example.com", day, day > 120 ? 1000000 : 10, 0);
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    assert_int_equal(count_of(page, "<rect class=\"g\""), 120);
    assert_has(page, "The last 120 days are shown; 30 earlier days with reports are not.");
    assert_has(page, "at most 10 a day");
    assert_null(strstr(page, "A gap is"));
    free(page);
}

static void test_chart_of_the_largest_and_of_no_sessions(void **state)
{
    struct fixture *f = *state;

    add_sessions(f, "large.example", 1, TLSRPT_COUNT_MAX, TLSRPT_COUNT_MAX);
    add_sessions(f, "none.example", 1, 0, 0);
    summary_finish(&f->summary);
    char *page = print(f, NULL, output_html);
    assert_page_is_sound(page);
    assert_has(page, "1,000,000,000,000 failed");
    assert_has(page, "at most 0 a day");
    assert_null(strstr(page, "height=\"-"));
    assert_null(strstr(page, "y=\"-"));
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent_never_hides_a_failure),
        cmocka_unit_test(test_number_has_groups),
        cmocka_unit_test(test_total_does_not_overflow),
        cmocka_unit_test_setup_teardown(test_json_has_the_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_takes_any_octet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_and_html_of_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policies_are_compared_with_the_ini, setup, teardown),
        cmocka_unit_test_setup_teardown(test_csv_of_days, setup, teardown),
        cmocka_unit_test(test_csv_cells_are_quoted_and_no_formulas),
        cmocka_unit_test_setup_teardown(test_html_has_its_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_html_cannot_be_broken_out_of, setup, teardown),
        cmocka_unit_test_setup_teardown(test_html_says_what_it_leaves_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_html_of_many_domains_has_all_in_its_index, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_chart_shows_one_of_a_million, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chart_ends_with_the_last_days, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chart_of_the_largest_and_of_no_sessions, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("report output", tests, NULL, NULL);
}
