/* SPDX-License-Identifier: MIT
 * report/tlsrpt.c: what is read from the JSON text of a report, with the departures from RFC 8460
 * that real reporters make and those that nobody makes for a good reason. Texts are written with '
 * for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "report/tlsrpt.h"
#include "text.h"

#define MEMORY_MAX ((size_t)32 << 20)
#define COUNT(items) (sizeof(items) / sizeof *(items))

#define DATES(start, end) "'date-range':{'start-datetime':'" start "','end-datetime':'" end "'},"
#define DAY DATES("2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z")
#define WHO "'organization-name':'Sender One','contact-info':'tlsrpt@example.net',"
#define ID "'report-id':'r1',"
#define REPORT(policies) "{" WHO DAY ID "'policies':[" policies "]}"
#define SUMMARY(good, failed)                                                                      \
    "'summary':{'total-successful-session-count':" good ",'total-failure-session-count':" failed "}"
#define LINES "'policy-string':['version: STSv1','mode: testing','mx: mx.example.com'],"
#define STS "'policy':{'policy-type':'sts'," LINES "'policy-domain':'example.com'},"
/* An sts policy with this policy object. */
#define POLICY(members) REPORT("{'policy':{" members "}," SUMMARY("5", "0") "}")
/* One with these failure-details. */
#define FAILURES(failed, details)                                                                  \
    REPORT("{" STS SUMMARY("5", failed) ",'failure-details':" details "}")

#define PERIOD "2026-03-01T00:00:00 2026-03-01T23:59:59"
#define HEAD "Sender One|r1|" PERIOD "\n"
#define TEXT "version: STSv1;mode: testing;mx: mx.example.com;"
#define FIVE "sts example.com 5 0 [" TEXT "]\n"

struct row {
    const char *name;
    const char *json;
    const char *fault; /* a part of it; NULL: it can be read */
    unsigned notes;
    const char *dump; /* of dump_report */
};

/* ' becomes ", without a NUL at the end: one octet too far is seen by the sanitizer. */
static char *quote_json(const char *json, size_t len)
{
    char *text = malloc(len > 0 ? len : 1);

    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    return text;
}

static bool parse(const char *json, size_t len, struct arena *arena, struct tlsrpt_report *report,
                  char fault[TLSRPT_FAULT_SIZE])
{
    char *text = quote_json(json, len);

    fault[0] = '\0';
    bool good = tlsrpt_parse(text, len, MEMORY_MAX, arena, report, fault);
    free(text);
    return good;
}

static void dump_time(struct text *out, time_t when)
{
    char date[32];
    struct tm tm;

    assert_non_null(gmtime_r(&when, &tm));
    assert_int_not_equal(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm), 0);
    text_add(out, date);
}

static void dump_report(const struct tlsrpt_report *report, struct text *out)
{
    text_addf(out, "%s|%s|", report->organization, report->id);
    dump_time(out, report->start);
    text_add(out, " ");
    dump_time(out, report->end);
    text_add(out, "\n");
    for (size_t i = 0; i < report->policy_count; i++) {
        const struct tlsrpt_policy *policy = &report->policies[i];
        text_addf(out, "%s %s %lld %lld [", tlsrpt_type_name(policy->type), policy->domain,
                  (long long)policy->good, (long long)policy->failed);
        for (const char *p = policy->text; *p != '\0'; p++)
            if (*p != '\r')
                text_addf(out, "%c", *p == '\n' ? ';' : *p);
        text_add(out, "]\n");
        for (size_t j = 0; j < policy->failure_count; j++) {
            const struct tlsrpt_failure *f = &policy->failures[j];
            text_addf(out, " %s|%s|%s|%s|%s|%lld\n", f->result, f->sending_ip, f->mx,
                      f->receiving_ip, f->reason, (long long)f->count);
        }
    }
    assert_false(out->overflow);
}

static void expect_row(const struct row *row, const char *json, size_t len)
{
    char fault[TLSRPT_FAULT_SIZE], dump[4096];
    struct tlsrpt_report report;
    struct arena arena = {0};
    struct text out;
    bool good = parse(json, len, &arena, &report, fault);

    if (good != (row->fault == NULL) || (!good && strstr(fault, row->fault) == NULL))
        fail_msg("%s: %s", row->name, good ? "was read" : fault);
    if (good) {
        text_init(&out, dump, sizeof dump);
        dump_report(&report, &out);
        if (strcmp(dump, row->dump) != 0)
            fail_msg("%s:\n%s", row->name, dump);
        if (report.notes != row->notes)
            fail_msg("%s: notes %#x", row->name, report.notes);
    }
    arena_free(&arena);
}

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_row(&rows[i], rows[i].json, strlen(rows[i].json));
}

static const struct row top_rows[] = {
    {"plain", REPORT("{" STS SUMMARY("5", "0") "}"), NULL, 0, HEAD FIVE},
    {"a draft's single policy", "{" WHO DAY ID STS SUMMARY("5", "0") "}", NULL, 0, HEAD FIVE},
    {"wrapped", "{'tls-report':" REPORT("{" STS SUMMARY("5", "0") "}") "}", NULL, 0, HEAD FIVE},
    {"any order",
     "{'policies':[{" SUMMARY("5", "0") "," STS "'x':0}]," ID DAY "'contact-info':'x',"
                                        "'organization-name':'Sender One'}",
     NULL, 0, HEAD FIVE},
    {"unknown keys",
     "{'a':[1,{}]," WHO DAY ID "'policies':[{'b':null," STS SUMMARY("5", "0") "}],'z':{'y':[]}}",
     NULL, 0, HEAD FIVE},
    {"contact-info null",
     "{'organization-name':'Sender One','contact-info':null," DAY ID
     "'policies':[{" STS SUMMARY("5", "0") "}]}",
     NULL, 0, HEAD FIVE},
    {"contact-info missing",
     "{'organization-name':'Sender One'," DAY ID "'policies':[{" STS SUMMARY("5", "0") "}]}", NULL,
     0, HEAD FIVE},
    {"no organization", "{" DAY ID "'policies':[{" STS SUMMARY("5", "0") "}]}", NULL,
     TLSRPT_NO_ORGANIZATION, "|r1|" PERIOD "\n" FIVE},
    {"no organization, but a contact",
     "{'contact-info':'tlsrpt@example.net'," DAY ID "'policies':[{" STS SUMMARY("5", "0") "}]}",
     NULL, TLSRPT_NO_ORGANIZATION, "tlsrpt@example.net|r1|" PERIOD "\n" FIVE},
    {"organization is a number",
     "{'organization-name':7," DAY ID "'policies':[{" STS SUMMARY("5", "0") "}]}", NULL,
     TLSRPT_NO_ORGANIZATION, "|r1|" PERIOD "\n" FIVE},
    {"report-id ends in +",
     "{" WHO DAY "'report-id':'133+','policies':[{" STS SUMMARY("5", "0") "}]}", NULL, 0,
     "Sender One|133+|" PERIOD "\n" FIVE},
    {"no report-id", "{" WHO DAY "'policies':[{" STS SUMMARY("5", "0") "}]}", NULL, 0,
     "Sender One||" PERIOD "\n" FIVE},
    {"byte order mark", "\xef\xbb\xbf" REPORT("{" STS SUMMARY("5", "0") "}"), NULL, 0, HEAD FIVE},
    {"no policy at all", REPORT(""), NULL, 0, HEAD},
};

static void test_top_level(void **state)
{
    (void)state;
    expect_rows(top_rows, COUNT(top_rows));
}

#define DATED(start, end) "{" WHO DATES(start, end) ID "'policies':[{" STS SUMMARY("5", "0") "}]}"

static const struct row date_rows[] = {
    {"no zone", DATED("2026-03-01T00:00:00", "2026-03-01T23:59:59"), NULL, TLSRPT_NO_TIMEZONE,
     HEAD FIVE},
    {"one without", DATED("2026-03-01T00:00:00Z", "2026-03-01T23:59:59"), NULL, TLSRPT_NO_TIMEZONE,
     HEAD FIVE},
    {"dates alone", DATED("2026-03-01", "2026-03-01"), NULL, TLSRPT_NO_TIMEZONE,
     "Sender One|r1|2026-03-01T00:00:00 2026-03-01T00:00:00\n" FIVE},
    {"ends on the next day", DATED("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"), NULL, 0,
     "Sender One|r1|2026-03-01T00:00:00 2026-03-02T00:00:00\n" FIVE},
    {"a week", DATED("2026-03-01T00:00:00Z", "2026-03-07T23:59:59Z"), NULL, 0,
     "Sender One|r1|2026-03-01T00:00:00 2026-03-07T23:59:59\n" FIVE},
    {"ends before its start", DATED("2026-03-01T00:00:00Z", "2026-02-28T23:59:59Z"), NULL,
     TLSRPT_ENDS_EARLY, "Sender One|r1|2026-03-01T00:00:00 2026-03-01T00:00:00\n" FIVE},
    {"an offset", DATED("2026-03-01T02:00:00+02:00", "2026-03-01T21:59:59-02:00"), NULL, 0,
     HEAD FIVE},
    {"no date", DATED("yesterday", "2026-03-01T23:59:59Z"), "start-datetime", 0, NULL},
    {"no end", DATED("2026-03-01T00:00:00Z", ""), "end-datetime", 0, NULL},
    {"no range", "{" WHO ID "'policies':[]}", "start-datetime", 0, NULL},
    {"numbers", "{" WHO ID "'date-range':{'start-datetime':1,'end-datetime':2},'policies':[]}",
     "start-datetime", 0, NULL},
};

static void test_dates(void **state)
{
    (void)state;
    expect_rows(date_rows, COUNT(date_rows));
}

#define COUNTED(good, failed) REPORT("{" STS SUMMARY(good, failed) "}")
#define IS(counts) HEAD "sts example.com " counts " [" TEXT "]\n"

static const struct row count_rows[] = {
    {"strings", COUNTED("'12'", "'0'"), NULL, 0, IS("12 0")},
    {"null", COUNTED("null", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"negative", COUNTED("-3", "-1"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"a negative string", COUNTED("'-3'", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"true", COUNTED("true", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"a list", COUNTED("[5]", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"an object", COUNTED("{}", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"an empty string", COUNTED("''", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"words", COUNTED("'many'", "0"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"missing", REPORT("{" STS "'summary':{'total-successful-session-count':5}}"), NULL,
     TLSRPT_BAD_COUNT, IS("5 0")},
    {"no summary", REPORT("{" STS "'x':0}"), NULL, TLSRPT_BAD_COUNT, IS("0 0")},
    {"the most", COUNTED("1000000000000", "0"), NULL, 0, IS("1000000000000 0")},
    {"one more", COUNTED("1000000000001", "0"), NULL, TLSRPT_HUGE_COUNT, IS("1000000000000 0")},
    {"beyond 64 bits", COUNTED("99999999999999999999999999", "1e300"), NULL, TLSRPT_HUGE_COUNT,
     IS("1000000000000 1000000000000")},
    {"a string beyond them", COUNTED("'99999999999999999999999999'", "0"), NULL, TLSRPT_HUGE_COUNT,
     IS("1000000000000 0")},
    {"a real number", COUNTED("5.0", "0.0"), NULL, 0, IS("5 0")},
};

static void test_counts(void **state)
{
    (void)state;
    expect_rows(count_rows, COUNT(count_rows));
}

#define DOMAIN "'policy-domain':'example.com'"

#define TLSA_OF(mx)                                                                                \
    "'policy':{'policy-type':'tlsa','policy-domain':'example.com'}," SUMMARY(                      \
        "5", "1") ",'failure-details':[{'result-type':'x','receiving-mx-hostname':'" mx            \
                  "','failed-session-count':1}]"

static const struct row policy_rows[] = {
    {"mx-host absent", POLICY("'policy-type':'sts'," LINES DOMAIN), NULL, 0, HEAD FIVE},
    {"mx-host a string", POLICY("'policy-type':'sts','mx-host':'mx.example.com'," LINES DOMAIN),
     NULL, 0, HEAD FIVE},
    {"mx-host an array", POLICY("'policy-type':'sts','mx-host':['mx.example.com']," LINES DOMAIN),
     NULL, 0, HEAD FIVE},
    {"mx-host empty", POLICY("'policy-type':'sts','mx-host':[]," LINES DOMAIN), NULL, 0, HEAD FIVE},
    {"mx-host-pattern", POLICY("'policy-type':'sts','mx-host-pattern':['*.x']," LINES DOMAIN), NULL,
     0, HEAD FIVE},
    {"no policy-string", POLICY("'policy-type':'sts'," DOMAIN), NULL, 0,
     HEAD "sts example.com 5 0 []\n"},
    {"policy-string null", POLICY("'policy-type':'sts','policy-string':null," DOMAIN), NULL, 0,
     HEAD "sts example.com 5 0 []\n"},
    {"a string for the lines",
     POLICY("'policy-type':'sts','policy-string':'version: STSv1'," DOMAIN), NULL, 0,
     HEAD "sts example.com 5 0 [version: STSv1;]\n"},
    {"no space",
     POLICY("'policy-type':'sts','policy-string':['version:STSv1',"
            "'mode:none']," DOMAIN),
     NULL, 0, HEAD "sts example.com 5 0 [version:STSv1;mode:none;]\n"},
    {"lines of other types",
     POLICY("'policy-type':'sts','policy-string':[1,null,{},[],'mode: none']," DOMAIN), NULL, 0,
     HEAD "sts example.com 5 0 [mode: none;]\n"},
    {"tlsa in one string",
     POLICY("'policy-type':'tlsa','policy-string':['[\\'3 1 1 00\\']']," DOMAIN), NULL, 0,
     HEAD "tlsa example.com 5 0 []\n"},
    {"no policy found", POLICY("'policy-type':'no-policy-found'," DOMAIN), NULL, 0,
     HEAD "no-policy-found example.com 5 0 []\n"},
    {"no policy found, nothing else",
     REPORT("{'policy':{'policy-type':'no-policy-found'," DOMAIN "}}"), NULL, TLSRPT_BAD_COUNT,
     HEAD "no-policy-found example.com 0 0 []\n"},
    {"unknown type", POLICY("'policy-type':'dane-and-more'," DOMAIN), NULL, 0,
     HEAD "other example.com 5 0 []\n"},
    {"no type", POLICY(DOMAIN), NULL, 0, HEAD "other example.com 5 0 []\n"},
    {"no domain", POLICY("'policy-type':'sts'"), NULL, TLSRPT_NO_DOMAIN, HEAD "sts  5 0 []\n"},
    {"domain null", POLICY("'policy-type':'sts','policy-domain':null"), NULL, TLSRPT_NO_DOMAIN,
     HEAD "sts  5 0 []\n"},
    {"domain empty", POLICY("'policy-type':'sts','policy-domain':''"), NULL, TLSRPT_NO_DOMAIN,
     HEAD "sts  5 0 []\n"},
    {"capitals and a final dot",
     POLICY("'policy-type':'sts'," LINES "'policy-domain':'Example.COM.'"), NULL, 0, HEAD FIVE},
    {"twice", REPORT("{" STS SUMMARY("5", "0") "},{" STS SUMMARY("5", "0") "}"), NULL, TLSRPT_TWICE,
     HEAD FIVE},
    {"not quite twice", REPORT("{" STS SUMMARY("5", "0") "},{" STS SUMMARY("6", "0") "}"), NULL, 0,
     HEAD FIVE "sts example.com 6 0 [" TEXT "]\n"},
    {"equal counts of two MX hosts",
     REPORT("{" TLSA_OF("mx1") "},{" TLSA_OF("mx2") "},{" TLSA_OF("mx1") "}"), NULL, TLSRPT_TWICE,
     HEAD "tlsa example.com 5 1 []\n x||mx1|||1\ntlsa example.com 5 1 []\n x||mx2|||1\n"},
    {"an element of another type", REPORT("7,null,[],{" STS SUMMARY("5", "0") "}"), NULL,
     TLSRPT_NO_DOMAIN, HEAD FIVE},
};

static void test_policies(void **state)
{
    (void)state;
    expect_rows(policy_rows, COUNT(policy_rows));
}

#define FAILED(n) HEAD "sts example.com 5 " n " [" TEXT "]\n"
#define DETAIL                                                                                     \
    "'result-type':'certificate-expired','sending-mta-ip':'192.0.2.1',"                            \
    "'receiving-mx-hostname':'mx.example.com','receiving-ip':'198.51.100.1',"

static const struct row failure_rows[] = {
    {"all of it",
     FAILURES("2", "[{" DETAIL "'failure-reason-code':'E','failed-session-count':2,"
                   "'additional-information':'https://example.net/ a b',"
                   "'receiving-mx-helo':'mx'}]"),
     NULL, 0, FAILED("2") " certificate-expired|192.0.2.1|mx.example.com|198.51.100.1|E|2\n"},
    {"absent", REPORT("{" STS SUMMARY("5", "1") "}"), NULL, 0, FAILED("1")},
    {"null", FAILURES("0", "null"), NULL, 0, FAILED("0")},
    {"empty", FAILURES("0", "[]"), NULL, 0, FAILED("0")},
    {"of another type", FAILURES("0", "'none'"), NULL, 0, FAILED("0")},
    {"unknown result",
     FAILURES("1", "[{'result-type':'moon-in-the-way','failed-session-count':1}]"), NULL, 0,
     FAILED("1") " moon-in-the-way|||||1\n"},
    {"empty address",
     FAILURES("1",
              "[{'result-type':'dane-required','sending-mta-ip':'','failed-session-count':1}]"),
     NULL, 0, FAILED("1") " dane-required|||||1\n"},
    {"SocketLabs' name of the MX",
     FAILURES("1", "[{'result-type':'dane-required','receiving-mx-host-name':'mx.example.com',"
                   "'failed-session-count':1}]"),
     NULL, 0, FAILED("1") " dane-required||mx.example.com|||1\n"},
    {"a draft's names",
     FAILURES("1", "[{'result-type':'dane-required','failure-error-code':'E','session-count':1}]"),
     NULL, 0, FAILED("1") " dane-required||||E|1\n"},
    {"the sum is larger",
     FAILURES("1", "[{" DETAIL "'failed-session-count':1},{'result-type':'tlsa-invalid',"
                   "'failed-session-count':1}]"),
     NULL, TLSRPT_SUM_DIFFERS,
     FAILED("1") " certificate-expired|192.0.2.1|mx.example.com|198.51.100.1||1\n"
                 " tlsa-invalid|||||1\n"},
    {"the sum is smaller", FAILURES("3", "[{'result-type':'x','failed-session-count':1}]"), NULL,
     TLSRPT_SUM_DIFFERS, FAILED("3") " x|||||1\n"},
    {"no count", FAILURES("0", "[{'result-type':'x'}]"), NULL, TLSRPT_BAD_COUNT,
     FAILED("0") " x|||||0\n"},
    {"control characters",
     FAILURES("1", "[{'result-type':'\\u001b[2J','failure-reason-code':'\\u202e\\u0007',"
                   "'failed-session-count':1}]"),
     NULL, 0, FAILED("1") " \x1b[2j||||\xe2\x80\xae\x07|1\n"},
};

static void test_failures(void **state)
{
    (void)state;
    expect_rows(failure_rows, COUNT(failure_rows));
}

/* Of the sanitizer, where there is one. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t octets_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes != NULL
               ? __sanitizer_get_current_allocated_bytes()
               : mallinfo2().uordblks;
}

/* What is left out takes no memory either. */
static void test_details_that_are_none_take_no_memory(void **state)
{
    char *json = malloc(65536), fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;
    struct arena arena = {0};
    struct text text;
    size_t before;

    (void)state;
    assert_non_null(json);
    text_init(&text, json, 65536);
    text_add(&text, "{" WHO DAY ID "'policies':[{" STS SUMMARY("5", "4") ",'failure-details':[");
    text_add(&text, "{},{},{},{}");
    for (int i = 0; i < 9000; i++)
        text_add(&text, ",null");
    text_add(&text, "]}]}");
    before = octets_in_use();
    assert_true(parse(json, text.len, &arena, &report, fault));
    assert_int_equal(report.policies[0].failure_count, 4);
    assert_true(octets_in_use() < before + 65536);
    arena_free(&arena);
    free(json);
}

static void test_failure_without_a_result_is_kept(void **state)
{
    static const char json[] = FAILURES("2", "[{'receiving-ip':'192.0.2.9',"
                                             "'failed-session-count':2}]");
    char fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;
    struct arena arena = {0};

    (void)state;
    assert_true(parse(json, strlen(json), &arena, &report, fault));
    assert_int_equal(report.policies[0].failure_count, 1);
    assert_string_equal(report.policies[0].failures[0].receiving_ip, "192.0.2.9");
    assert_int_equal(report.policies[0].failures[0].count, 2);
    arena_free(&arena);
}

static const struct row fault_rows[] = {
    {"nothing", "", "JSON", 0, NULL},
    {"blanks", "  \n", "JSON", 0, NULL},
    {"a byte order mark alone", "\xef\xbb\xbf", "JSON", 0, NULL},
    {"cut", "{'organization-name':'Sen", "JSON", 0, NULL},
    {"more after it", "{} {}", "JSON", 0, NULL},
    {"a key twice", "{'report-id':'a','report-id':'b'}", "JSON", 0, NULL},
    {"not UTF-8", "{'organization-name':'\xff'}", "JSON", 0, NULL},
    {"a list", "[]", "object", 0, NULL},
    {"an empty object", "{}", "", 0, NULL},
    {"no policies", "{" WHO DAY ID "'x':0}", "polic", 0, NULL},
    {"policies a number", "{" WHO DAY ID "'policies':7}", "polic", 0, NULL},
    {"policies null", "{" WHO DAY ID "'policies':null}", "polic", 0, NULL},
    {"wrapped list", "{'tls-report':[]}", "", 0, NULL},
};

static void test_faults(void **state)
{
    (void)state;
    expect_rows(fault_rows, COUNT(fault_rows));
}

/* A fault is printed by others. */
static void test_fault_is_printable(void **state)
{
    /* NOLINTBEGIN(misc-misleading-bidirectional): just that is what is tried */
    static const char *const texts[] = {"\x1b[2J", "{'\x1b':", "{'a':\x07}", "nul\xe2\x80\xae",
                                        "{'a\xe2\x80\xae':1,'a\xe2\x80\xae':1}"};
    /* NOLINTEND(misc-misleading-bidirectional) */
    char fault[TLSRPT_FAULT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arena arena = {0};
        struct tlsrpt_report report;
        assert_false(parse(texts[i], strlen(texts[i]), &arena, &report, fault));
        assert_int_not_equal(fault[0], '\0');
        for (const char *p = fault; *p != '\0'; p++)
            assert_in_range(*p, 0x20, 0x7e);
        arena_free(&arena);
    }
}

/* Every beginning of a report is read to its end and no further. */
static void test_cut_anywhere(void **state)
{
    static const char json[] = FAILURES("2", "[{" DETAIL "'failed-session-count':2}]");
    char fault[TLSRPT_FAULT_SIZE];

    (void)state;
    for (size_t len = 0; len < sizeof json - 1; len++) {
        struct arena arena = {0};
        struct tlsrpt_report report;
        assert_false(parse(json, len, &arena, &report, fault));
        arena_free(&arena);
    }
}

static char *repeat(const char *piece, size_t times)
{
    size_t len = strlen(piece);
    char *text = malloc(len * times + 1);

    assert_non_null(text);
    for (size_t i = 0; i < times; i++)
        memcpy(text + i * len, piece, len);
    text[len * times] = '\0';
    return text;
}

static void expect_fault(const char *json)
{
    char fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;
    struct arena arena = {0};

    assert_false(parse(json, strlen(json), &arena, &report, fault));
    assert_int_not_equal(fault[0], '\0');
    arena_free(&arena);
}

static void test_depth_is_bounded(void **state)
{
    static const char *const openings[] = {"[", "{'a':", "[{'a':["};

    (void)state;
    for (size_t i = 0; i < COUNT(openings); i++) {
        char *json = repeat(openings[i], 100000);
        expect_fault(json);
        free(json);
    }
}

/* Small values of JSON take a great deal more than their text when they are parsed. */
static void test_parsed_size_is_bounded(void **state)
{
    static const char *const pieces[] = {"[],", "{},", "0,", "'',"};

    (void)state;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        char *many = repeat(pieces[i], 2000000), fault[TLSRPT_FAULT_SIZE];
        size_t size = strlen(many) + 8;
        char *json = malloc(size);
        struct tlsrpt_report report;
        struct arena arena = {0};
        assert_non_null(json);
        int len = snprintf(json, size, "[%s0]", many);
        char *text = quote_json(json, (size_t)len);
        assert_false(tlsrpt_parse(text, (size_t)len, (size_t)4 << 20, &arena, &report, fault));
        assert_int_not_equal(fault[0], '\0');
        arena_free(&arena);
        free(text);
        free(json);
        free(many);
    }
}

/* After a report that was too large for it the next one is read as ever. */
static void test_memory_bound_is_for_each_report(void **state)
{
    char *bomb = repeat("[", 2000);

    (void)state;
    expect_fault(bomb);
    free(bomb);
    expect_rows(top_rows, 1);
}

/* jansson that is refused memory in the middle of a string writes past its end. */
static void test_memory_may_end_anywhere_in_a_string(void **state)
{
    enum { MEMORY = 100000, STRING = 40000 };
    char *text = malloc(MEMORY + STRING), fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;
    struct arena arena = {0};
    size_t faults = 0;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', MEMORY + STRING);
    memcpy(text, "[", 1);
    for (size_t len = 1; len < MEMORY / 60; len += 3) {
        memcpy(text + len, "{},\"", 4);
        memcpy(text + len + STRING, "\"]", 2);
        assert_false(tlsrpt_parse(text, len + STRING + 2, MEMORY, &arena, &report, fault));
        faults += strstr(fault, "more memory than it may have") != NULL;
        memset(text + len + STRING, 'x', 2);
    }
    assert_true(faults > 100);
    arena_free(&arena);
    free(text);
}

static char *fill(const char *format, const char *filling)
{
    size_t size = strlen(format) + strlen(filling) + 1;
    char *json = malloc(size);

    assert_non_null(json);
    size_t before = (size_t)(strchr(format, '~') - format);
    snprintf(json, size, "%.*s%s%s", (int)before, format, filling, format + before + 1);
    return json;
}

static void test_strings_are_cut(void **state)
{
    char *filling = repeat("x", 10000), fault[TLSRPT_FAULT_SIZE];
    char *json = fill("{'organization-name':'~'," DAY ID "'policies':[]}", filling);
    struct tlsrpt_report report;
    struct arena arena = {0};

    (void)state;
    assert_true(parse(json, strlen(json), &arena, &report, fault));
    assert_int_equal(strlen(report.organization), TLSRPT_STRING_MAX);
    arena_free(&arena);
    free(json);
    free(filling);
}

static void test_too_many_policies_are_left_out(void **state)
{
    char *filling = malloc((size_t)1 << 20), fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;
    struct arena arena = {0};
    size_t len = 0;

    (void)state;
    assert_non_null(filling);
    for (int i = 0; i <= TLSRPT_POLICIES_MAX; i++)
        len += (size_t)sprintf(filling + len,
                               "%s{'policy':{'policy-type':'sts','policy-domain':"
                               "'d%d.example.com'}," SUMMARY("1", "0") "}",
                               i > 0 ? "," : "", i);
    char *json = fill(REPORT("~"), filling);
    assert_true(parse(json, strlen(json), &arena, &report, fault));
    assert_int_equal(report.policy_count, TLSRPT_POLICIES_MAX);
    assert_int_equal(report.notes, TLSRPT_TOO_MANY);
    arena_free(&arena);
    free(json);
    free(filling);
}

static void test_too_many_failures_are_left_out(void **state)
{
    char *filling = repeat("{'result-type':'x','failed-session-count':1},", TLSRPT_FAILURES_MAX);
    char *json = fill(FAILURES("10001", "[~{'failed-session-count':1}]"), filling);
    char fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;
    struct arena arena = {0};

    (void)state;
    assert_true(parse(json, strlen(json), &arena, &report, fault));
    assert_int_equal(report.policies[0].failure_count, TLSRPT_FAILURES_MAX);
    assert_true(report.notes & TLSRPT_TOO_MANY);
    arena_free(&arena);
    free(json);
    free(filling);
}

static void test_every_note_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TLSRPT_NOTES; i++) {
        assert_non_null(tlsrpt_note_text(i));
        assert_int_not_equal(tlsrpt_note_text(i)[0], '\0');
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(tlsrpt_note_text(i), tlsrpt_note_text(j));
    }
}

static void test_type_names(void **state)
{
    (void)state;
    assert_string_equal(tlsrpt_type_name(TLSRPT_STS), "sts");
    assert_string_equal(tlsrpt_type_name(TLSRPT_TLSA), "tlsa");
    assert_string_equal(tlsrpt_type_name(TLSRPT_NO_POLICY), "no-policy-found");
    assert_string_equal(tlsrpt_type_name(TLSRPT_OTHER), "other");
}

struct time_row {
    const char *text;
    bool good, zone;
    long long seconds;
};

static const struct time_row time_rows[] = {
    {"2016-01-01T00:00:00Z", true, true, 1451606400},
    {"2026-03-01T12:34:56Z", true, true, 1772368496},
    {"2026-03-01t12:34:56z", true, true, 1772368496},
    {"2026-03-01 12:34:56Z", true, true, 1772368496},
    {"2026-03-01T12:34:56", true, false, 1772368496},
    {"2026-03-01T12:34:56.789Z", true, true, 1772368496},
    {"2026-03-01T12:34:56.7890123456", true, false, 1772368496},
    {"2026-03-01T12:34:56+00:00", true, true, 1772368496},
    {"2026-03-01T12:34:56-00:00", true, true, 1772368496},
    {"2026-03-01T14:04:56+01:30", true, true, 1772368496},
    {"2026-03-01T01:34:56-11:00", true, true, 1772368496},
    {"2026-03-01", true, false, 1772323200},
    {"2024-02-29T00:00:00Z", true, true, 1709164800},
    {"2028-02-29", true, false, 1835395200},
    {"2099-12-31T23:59:59Z", true, true, 4102444799},
    {"2016-12-31T23:59:60Z", true, true, 1483228800},
    {"2023-02-29T00:00:00Z", false, false, 0},
    {"2100-02-29T00:00:00Z", false, false, 0},
    {"2026-02-30", false, false, 0},
    {"2026-04-31", false, false, 0},
    {"2026-00-01", false, false, 0},
    {"2026-13-01", false, false, 0},
    {"2026-01-00", false, false, 0},
    {"2026-01-32", false, false, 0},
    {"2015-12-31T23:59:59Z", false, false, 0},
    {"2100-01-01T00:00:00Z", false, false, 0},
    {"0000-01-01T00:00:00Z", false, false, 0},
    {"2026-03-01T24:00:00Z", false, false, 0},
    {"2026-03-01T12:60:00Z", false, false, 0},
    {"2026-03-01T12:34:61Z", false, false, 0},
    {"2026-03-01T12:34:56+24:00", false, false, 0},
    {"2026-03-01T12:34:56+01:60", false, false, 0},
    {"2026-03-01T12:34:56ZZ", false, false, 0},
    {"2026-03-01T12:34:56 UTC", false, false, 0},
    {"2026-03-01X12:34:56Z", false, false, 0},
    {"2026-03-01T12:34Z", false, false, 0},
    {"2026/03/01T12:34:56Z", false, false, 0},
    {"2026-3-1T12:34:56Z", false, false, 0},
    {" 2026-03-01T12:34:56Z", false, false, 0},
    {"+026-03-01T12:34:56Z", false, false, 0},
    {"2026-03--1T12:34:56Z", false, false, 0},
    {"2026-03-01T-1:34:56Z", false, false, 0},
    {"99999999999999999999999999999", false, false, 0},
    {"1772368496", false, false, 0},
    {"----------", false, false, 0},
    {"Sun, 1 Mar 2026 12:34:56 +0000", false, false, 0},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false, false, 0},
    {"", false, false, 0},
};

static void test_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(time_rows); i++) {
        const struct time_row *row = &time_rows[i];
        time_t when = -1;
        bool zone = false, good = tlsrpt_time(row->text, &when, &zone);
        if (good != row->good || (good && (when != row->seconds || zone != row->zone)))
            fail_msg("\"%s\": %s %lld", row->text, good ? "read" : "refused", (long long)when);
    }
}

/* Only a date, and a date with a time, are whole; the text ends where its memory ends. */
static void test_time_cut_anywhere(void **state)
{
    static const char whole[] = "2026-03-01T12:34:56+01:00";

    (void)state;
    for (size_t len = 0; len < sizeof whole; len++) {
        char *text = malloc(len + 1);
        time_t when;
        bool zone;
        assert_non_null(text);
        memcpy(text, whole, len);
        text[len] = '\0';
        assert_int_equal(tlsrpt_time(text, &when, &zone),
                         len == 10 || len == 19 || len == sizeof whole - 1);
        free(text);
    }
}

/* One octet of a good time changed into any other: read or refused, never wrong by a century. */
static void test_time_with_any_octet_in_any_place(void **state)
{
    char text[] = "2026-03-01T12:34:56.5+01:00";

    (void)state;
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char kept = text[at];
        for (int c = 1; c < 256; c++) {
            time_t when = 0;
            bool zone;
            text[at] = (char)c;
            if (tlsrpt_time(text, &when, &zone))
                assert_in_range(when, 1451606400 - 86400, 4102444800 + 86400);
        }
        text[at] = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_level),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_details_that_are_none_take_no_memory),
        cmocka_unit_test(test_failure_without_a_result_is_kept),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_fault_is_printable),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_parsed_size_is_bounded),
        cmocka_unit_test(test_memory_bound_is_for_each_report),
        cmocka_unit_test(test_memory_may_end_anywhere_in_a_string),
        cmocka_unit_test(test_strings_are_cut),
        cmocka_unit_test(test_too_many_policies_are_left_out),
        cmocka_unit_test(test_too_many_failures_are_left_out),
        cmocka_unit_test(test_every_note_has_a_text_of_its_own),
        cmocka_unit_test(test_type_names),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_time_cut_anywhere),
        cmocka_unit_test(test_time_with_any_octet_in_any_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
