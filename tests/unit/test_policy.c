/* SPDX-License-Identifier: MIT
 * policy.c: the bytes that are served, the id taken from them, the names of modes, numbers, what a
 * pattern matches, and the TXT values. The golden values are public promises: an id that changes
 * makes every sender fetch every policy again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"

#define GOLDEN_BODY                                                                                \
    "version: STSv1\r\n"                                                                           \
    "mode: enforce\r\n"                                                                            \
    "mx: mail.example.com\r\n"                                                                     \
    "mx: *.example.net\r\n"                                                                        \
    "max_age: 1209600\r\n"
#define GOLDEN_ID "e7d3c066d549635c53bd9e97"

/* Of GOLDEN_BODY, by sha256sum of the coreutils, typed in one line: printf 'version: STSv1\r\nmode:
 * enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 1209600\r\n' | sha256sum */
static const uint8_t golden_digest[POLICY_DIGEST_SIZE] = {
    0xe7, 0xd3, 0xc0, 0x66, 0xd5, 0x49, 0x63, 0x5c, 0x53, 0xbd, 0x9e, 0x97, 0x5e, 0x80, 0xaa, 0xc7,
    0xec, 0x90, 0xf6, 0x59, 0xf1, 0x29, 0x2d, 0x28, 0xbb, 0x09, 0xc5, 0x01, 0x79, 0xb7, 0x37, 0x3b,
};

static char golden_mx_1[] = "mail.example.com", golden_mx_2[] = "*.example.net";
static struct policy_mx golden_mx[] = {{golden_mx_1, 5}, {golden_mx_2, 6}};
static const struct policy golden = {
    .mode = POLICY_MODE_ENFORCE, .max_age = 1209600, .mx = golden_mx, .mx_count = 2};

static struct text render(const struct policy *policy, char *buffer, size_t size)
{
    struct text out;

    text_init(&out, buffer, size);
    policy_render(policy, &out);
    return out;
}

static void test_render_golden(void **state)
{
    char body[POLICY_BODY_MAX + 1];
    struct text out = render(&golden, body, sizeof body);

    (void)state;
    assert_false(out.overflow);
    assert_int_equal(out.len, strlen(GOLDEN_BODY));
    assert_string_equal(body, GOLDEN_BODY);
}

static void test_render_keeps_mx_in_mode_none(void **state)
{
    char body[256];
    struct policy policy = golden;

    (void)state;
    policy.mode = POLICY_MODE_NONE;
    policy.mx_count = 1;
    policy.max_age = 86400;
    render(&policy, body, sizeof body);
    assert_string_equal(body, "version: STSv1\r\nmode: none\r\nmx: mail.example.com\r\n"
                              "max_age: 86400\r\n");
}

static void test_render_without_mx(void **state)
{
    char body[256];
    struct policy policy = {.mode = POLICY_MODE_NONE, .max_age = 0};

    (void)state;
    render(&policy, body, sizeof body);
    assert_string_equal(body, "version: STSv1\r\nmode: none\r\nmax_age: 0\r\n");
}

static void test_render_says_when_the_body_does_not_fit(void **state)
{
    char body[sizeof GOLDEN_BODY];

    (void)state;
    assert_false(render(&golden, body, sizeof GOLDEN_BODY).overflow);
    assert_true(render(&golden, body, sizeof GOLDEN_BODY - 1).overflow);
}

static void test_rendered_policy_parses_to_an_equal_one(void **state)
{
    static const enum policy_mode modes[] = {POLICY_MODE_NONE, POLICY_MODE_TESTING,
                                             POLICY_MODE_ENFORCE};
    static const uint32_t ages[] = {1, 86400, 1209600, 31557599, POLICY_MAX_AGE_MAX};
    char body[POLICY_BODY_MAX + 1];

    (void)state;
    for (size_t i = 0; i < 3 * 5; i++) {
        struct policy policy = golden, parsed;
        struct arena arena = {0};
        struct finding_list findings = {0};
        policy.mode = modes[i % 3];
        policy.max_age = ages[i / 3];
        struct text out = render(&policy, body, sizeof body);
        assert_int_equal(policy_parse(body, out.len, NULL, &arena, &findings, &parsed),
                         POLICY_VALID);
        assert_true(policy_equal(&policy, &parsed));
        finding_list_free(&findings);
        arena_free(&arena);
    }
}

static void test_policies_that_differ_in_anything_are_not_equal(void **state)
{
    static char other_name[] = "mail.example.org";
    struct policy_mx other_mx[] = {golden_mx[0], {other_name, 6}};
    struct policy_mx turned_mx[] = {golden_mx[1], golden_mx[0]};
    struct policy mode = golden, age = golden, fewer = golden, other = golden, turned = golden;

    (void)state;
    mode.mode = POLICY_MODE_TESTING;
    age.max_age++;
    fewer.mx_count = 1;
    other.mx = other_mx;
    turned.mx = turned_mx;
    assert_true(policy_equal(&golden, &golden));
    assert_false(policy_equal(&golden, &mode));
    assert_false(policy_equal(&golden, &age));
    assert_false(policy_equal(&golden, &fewer));
    assert_false(policy_equal(&golden, &other));
    assert_false(policy_equal(&golden, &turned));
}

static void test_equal_does_not_look_at_lines(void **state)
{
    struct policy_mx mx[] = {{golden_mx_1, 77}, {golden_mx_2, 78}};
    struct policy policy = golden;

    (void)state;
    policy.mx = mx;
    policy.max_age_line = 79;
    assert_true(policy_equal(&golden, &policy));
}

static void test_id_golden(void **state)
{
    char id[POLICY_ID_MAX + 1];

    (void)state;
    policy_id(golden_digest, NULL, id);
    assert_string_equal(id, GOLDEN_ID);
}

/* What the manual tells people to do: sha256sum | cut -c1-24. */
static void test_id_is_what_sha256sum_makes_of_the_body(void **state)
{
    char path[] = "/tmp/mta-sts-body-XXXXXX", command[128], digits[POLICY_ID_DIGITS + 1] = "";
    char body[POLICY_BODY_MAX + 1];
    struct text out = render(&golden, body, sizeof body);
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, body, out.len), out.len);
    close(fd);
    snprintf(command, sizeof command, "sha256sum < %s | cut -c1-%d", path, POLICY_ID_DIGITS);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(digits, 1, POLICY_ID_DIGITS, pipe);
    pclose(pipe);
    unlink(path);
    if (len == 0)
        skip(); /* no sha256sum here */
    assert_string_equal(digits, GOLDEN_ID);
}

static void test_id_ends_in_the_serial(void **state)
{
    char id[POLICY_ID_MAX + 1];

    (void)state;
    policy_id(golden_digest, "2", id);
    assert_string_equal(id, GOLDEN_ID "s2");
}

static void test_id_with_the_longest_serial_has_32_characters(void **state)
{
    char id[POLICY_ID_MAX + 1];

    (void)state;
    policy_id(golden_digest, "9876543", id);
    assert_string_equal(id, GOLDEN_ID "s9876543");
    assert_int_equal(strlen(id), POLICY_ID_MAX);
}

static void test_mode_names_go_both_ways(void **state)
{
    static const char *const names[] = {"none", "testing", "enforce"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        enum policy_mode mode;
        assert_true(policy_mode_from_name(names[i], strlen(names[i]), &mode));
        assert_string_equal(policy_mode_name(mode), names[i]);
    }
    assert_string_equal(policy_mode_name(POLICY_MODE_NONE), "none");
    assert_string_equal(policy_mode_name(POLICY_MODE_TESTING), "testing");
    assert_string_equal(policy_mode_name(POLICY_MODE_ENFORCE), "enforce");
}

static void test_mode_names_are_taken_to_the_letter(void **state)
{
    static const char *const names[] = {"",         "Enforce",  "ENFORCE",   "enforced", "enforc",
                                        " enforce", "enforce ", "enforce\r", "test",     "report"};
    enum policy_mode mode;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(policy_mode_from_name(names[i], strlen(names[i]), &mode));
    assert_false(policy_mode_from_name("none\0", 5, &mode));
    assert_true(policy_mode_from_name("nonesuch", 4, &mode));
}

static void test_number_reads_one_to_ten_digits(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
    } table[] = {
        {"0", 0},
        {"7", 7},
        {"0000000000", 0},
        {"0001209600", 1209600},
        {"31557600", POLICY_MAX_AGE_MAX},
        {"4294967296", 4294967296},
        {"9999999999", 9999999999},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t number = 1;
        assert_true(policy_number(table[i].text, strlen(table[i].text), &number));
        assert_true(number == table[i].number);
    }
}

static void test_number_refuses_anything_else(void **state)
{
    static const char *const table[] = {
        "",     "00000000000", "12345678901", "-1",  "+1", " 1", "1 ", "1_000",    "1e6",
        "0x10", "1.0",         "86400s",      "1\r", "a",  "/",  ":",  "\xd9\xa1", "\xb2"};
    uint64_t number = 5;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_false(policy_number(table[i], strlen(table[i]), &number));
    assert_false(policy_number("1\0", 2, &number));
    assert_true(number == 5);
}

/* RFC 8461 section 4.1 and appendix B. */
static void test_mx_matches(void **state)
{
    static const struct {
        const char *pattern, *host;
        bool matches;
    } table[] = {
        {"mail.example.com", "mail.example.com", true},
        {"mail.example.com", "MAIL.Example.COM", true},
        {"mail.example.com", "mail.example.org", false},
        {"mail.example.com", "xmail.example.com", false},
        {"mail.example.com", "mail.example.com.evil.example", false},
        {"mail.example.com", "example.com", false},
        {"mail.example.com", "", false},
        {"example.com", "mail.example.com", false},
        {"*.example.com", "mail.example.com", true},
        {"*.example.com", "MX.EXAMPLE.COM", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", "foo.bar.example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "mailexample.com", false},
        {"*.example.com", "mail.example.com.evil.example", false},
        {"*.example.com", "mail.notexample.com", false},
        {"*.example.com", "", false},
        {"*.example.com", "com", false},
        {"*.com", "example.com", true},
        {"*.com", "mail.example.com", false},
        {"*", "com", false},
        {"*", "mail.example.com", false},
        {"mail.*.com", "mail.example.com", false},
        {"m*.example.com", "mail.example.com", false},
        {"*.*.com", "mail.example.com", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (policy_mx_matches(table[i].pattern, table[i].host) != table[i].matches)
            fail_msg("%s against %s", table[i].pattern, table[i].host);
}

static void test_sts_txt_golden(void **state)
{
    char value[POLICY_TXT_MAX];
    struct text out;

    (void)state;
    text_init(&out, value, sizeof value);
    policy_sts_txt(GOLDEN_ID "s2", &out);
    assert_string_equal(value, "v=STSv1; id=e7d3c066d549635c53bd9e97s2;");
}

static void test_sts_txt_parses_to_its_id(void **state)
{
    char value[POLICY_TXT_MAX], id[POLICY_ID_MAX + 1];
    struct finding_list findings = {0};
    struct text out;

    (void)state;
    text_init(&out, value, sizeof value);
    policy_sts_txt(GOLDEN_ID "s9876543", &out);
    assert_int_equal(policy_parse_sts_txt(value, out.len, NULL, &findings, id), POLICY_VALID);
    assert_string_equal(id, GOLDEN_ID "s9876543");
    assert_int_equal(findings.count, 0);
    finding_list_free(&findings);
}

static void test_tlsrpt_txt_golden(void **state)
{
    struct policy_value items[] = {{"mailto:tls@example.com", 3},
                                   {"https://tls.example.com/in", 4}};
    struct policy_values rua = {items, 1};
    char value[POLICY_TXT_MAX];
    struct text out;

    (void)state;
    text_init(&out, value, sizeof value);
    policy_tlsrpt_txt(&rua, &out);
    assert_string_equal(value, "v=TLSRPTv1; rua=mailto:tls@example.com");
    rua.count = 2;
    text_init(&out, value, sizeof value);
    policy_tlsrpt_txt(&rua, &out);
    assert_string_equal(value, "v=TLSRPTv1; rua=mailto:tls@example.com,https://tls.example.com/in");
}

static void test_tlsrpt_txt_parses_without_a_finding(void **state)
{
    static const char value[] = "v=TLSRPTv1; rua=mailto:tls@example.com,https://tls.example.com/in";
    struct finding_list findings = {0};

    (void)state;
    assert_int_equal(policy_parse_tlsrpt_txt(value, strlen(value), NULL, &findings), POLICY_VALID);
    assert_int_equal(findings.count, 0);
    finding_list_free(&findings);
}

static void test_parse_of_a_txt_gives_the_first_id(void **state)
{
    static const char value[] = "v=STSv1; a=b; id=first; id=second";
    char id[POLICY_ID_MAX + 1];
    struct finding_list findings = {0};

    (void)state;
    assert_int_equal(policy_parse_sts_txt(value, strlen(value), NULL, &findings, id), POLICY_VALID);
    assert_string_equal(id, "first");
    finding_list_free(&findings);
}

static void test_parse_of_a_bad_txt_leaves_no_id_unset(void **state)
{
    char id[POLICY_ID_MAX + 1];
    struct finding_list findings = {0};

    (void)state;
    memset(id, 'x', sizeof id);
    assert_int_equal(policy_parse_sts_txt("v=STSv1; id=-", 13, NULL, &findings, id),
                     POLICY_INVALID);
    assert_string_equal(id, "");
    finding_list_free(&findings);
}

static void test_parse_gives_values_and_lines(void **state)
{
    static const char body[] = "max_age: 0086400 \r\nmx: *.Example.NET\r\nmode: testing\r\n"
                               "mx:mail.example.com\t\r\nversion: STSv1";
    struct policy policy;
    struct arena arena = {0};
    struct finding_list findings = {0};

    (void)state;
    assert_int_equal(policy_parse(body, strlen(body), NULL, &arena, &findings, &policy),
                     POLICY_VALID);
    assert_int_equal(policy.mode, POLICY_MODE_TESTING);
    assert_int_equal(policy.max_age, 86400);
    assert_int_equal(policy.max_age_line, 1);
    assert_int_equal(policy.mx_count, 2);
    assert_string_equal(policy.mx[0].pattern, "*.example.net");
    assert_int_equal(policy.mx[0].line, 2);
    assert_string_equal(policy.mx[1].pattern, "mail.example.com");
    assert_int_equal(policy.mx[1].line, 4);
    finding_list_free(&findings);
    arena_free(&arena);
}

static void test_parse_says_line_and_column(void **state)
{
    static const char body[] = "version: STSv1\r\nmode:   Enforce\r\nmx: a.example.com\r\n"
                               "max_age: 86400\r\n";
    struct policy policy;
    struct arena arena = {0};
    struct finding_list findings = {0};

    (void)state;
    assert_int_equal(policy_parse(body, strlen(body), "sts.txt", &arena, &findings, &policy),
                     POLICY_INVALID);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].code, "MODE");
    assert_string_equal(findings.items[0].place.file, "sts.txt");
    assert_int_equal(findings.items[0].place.line, 2);
    assert_int_equal(findings.items[0].place.column, 9);
    finding_list_free(&findings);
    arena_free(&arena);
}

static void test_parse_of_nothing_but_faults_ends_early(void **state)
{
    char body[60000];
    struct policy policy;
    struct arena arena = {0};
    struct finding_list findings = {0};

    (void)state;
    memset(body, '\n', sizeof body);
    assert_int_equal(policy_parse(body, sizeof body, NULL, &arena, &findings, &policy),
                     POLICY_INVALID);
    assert_int_equal(findings.count, 101);
    assert_string_equal(findings.items[100].code, "FAULTS_MANY");
    finding_list_free(&findings);
    arena_free(&arena);
}

static void test_parse_of_many_covered_names_gives_one_finding_a_name(void **state)
{
    char body[32768];
    struct policy policy;
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct text out;

    (void)state;
    text_init(&out, body, sizeof body);
    text_add(&out, "version: STSv1\nmode: enforce\nmax_age: 1209600\n");
    for (unsigned i = 0; i < 700; i++)
        text_add(&out, "mx: *.b.example\nmx: a.b.example\n");
    assert_false(out.overflow);
    assert_int_equal(policy_parse(body, out.len, NULL, &arena, &findings, &policy), POLICY_VALID);
    assert_int_equal(policy.mx_count, 1400);
    /* Each but the first two is listed again; and the size. */
    assert_int_equal(findings.count, 700 + (1400 - 2) + 1);
    finding_list_free(&findings);
    arena_free(&arena);
}

/* What is found in a policy of mode testing with these lines: `severity CODE line:column` each. */
static void expect_parsed(const char *lines, const char *expected)
{
    char body[1024], found[2048];
    struct policy policy;
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct text out, list;

    text_init(&out, body, sizeof body);
    text_addf(&out, "version: STSv1\nmode: testing\n%s", lines);
    text_init(&list, found, sizeof found);
    policy_parse(body, out.len, NULL, &arena, &findings, &policy);
    for (size_t i = 0; i < findings.count; i++)
        text_addf(&list, "%s %s %u:%u\n", finding_severity_name(findings.items[i].severity),
                  findings.items[i].code, findings.items[i].place.line,
                  findings.items[i].place.column);
    assert_false(out.overflow || list.overflow);
    assert_string_equal(found, expected);
    finding_list_free(&findings);
    arena_free(&arena);
}

#define AGE "max_age: 1209600\n"

static void test_parse_judges_the_name_behind_a_wildcard(void **state)
{
    (void)state;
    expect_parsed("mx: *.192.0.2.1\n" AGE, "warning MX_ADDRESS 3:5\nwarning SENDERS_DIFFER 3:5\n");
}

static void test_parse_warns_of_a_name_that_ends_in_a_number(void **state)
{
    (void)state;
    expect_parsed("mx: 1.2.3\nmx: mail.123\n" AGE,
                  "warning SENDERS_DIFFER 3:5\nwarning SENDERS_DIFFER 4:5\n");
}

static void test_parse_warns_of_upper_case_and_of_repetition(void **state)
{
    (void)state;
    expect_parsed("mx: a.example.net\nmx:  A.example.net\n" AGE,
                  "warning MX_CASE 4:6\nwarning MX_DUPLICATE 4:6\n");
}

static void test_parse_gives_columns_with_its_advice(void **state)
{
    (void)state;
    expect_parsed("mx:  mail\nmx: *.net\nmax_age:   60\n",
                  "warning MAX_AGE_SHORT 5:12\nwarning MX_SINGLE_LABEL 3:6\n"
                  "warning MX_WILDCARD_TLD 4:5\n");
}

static void test_parse_gives_advice_in_spite_of_an_error(void **state)
{
    (void)state;
    expect_parsed("mx: a.example.net.\nmx: mail\nmax_age: 60\n",
                  "error MX_TRAILING_DOT 3:5\nwarning MAX_AGE_SHORT 5:10\n"
                  "warning MX_SINGLE_LABEL 4:5\n");
}

static void test_parse_says_once_that_max_age_is_0(void **state)
{
    (void)state;
    expect_parsed("mx: a.example.net\nmax_age: 0\n", "warning SENDERS_DIFFER 4:10\n");
}

/* The text of the only finding. */
static void expect_text(const char *body, const char *part)
{
    struct policy policy;
    struct arena arena = {0};
    struct finding_list findings = {0};

    policy_parse(body, strlen(body), NULL, &arena, &findings, &policy);
    assert_int_equal(findings.count, 1);
    if (strstr(findings.items[0].text, part) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", findings.items[0].text, part);
    finding_list_free(&findings);
    arena_free(&arena);
}

static void test_parse_names_a_byte_order_mark_and_reads_on(void **state)
{
    (void)state;
    expect_text("\xef\xbb\xbfversion: STSv1\nmode: testing\nmx: a.example.net\n" AGE,
                "byte order mark");
}

static void test_parse_names_who_stumbles_over_a_bad_repetition(void **state)
{
    (void)state;
    expect_text("version: STSv1\nmode: testing\nmx: a.example.net\nmode: off\n" AGE,
                "mox, Snawoot, mailauth 4 and Stalwart");
    expect_text("version: STSv1\nmode: testing\nmx: a.example.net\n" AGE "max_age: 14d\n",
                "mox, Snawoot, mailauth 4 and Stalwart");
    expect_text("version: STSv1\nmode: testing\nmx: a.example.net\n" AGE "max_age: 86400\n",
                "take the last");
}

static void test_verdicts_have_names(void **state)
{
    (void)state;
    assert_string_equal(policy_verdict_name(POLICY_VALID), "valid");
    assert_string_equal(policy_verdict_name(POLICY_INVALID), "invalid");
    assert_string_equal(policy_verdict_name(POLICY_CONTRADICTORY), "contradictory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render_golden),
        cmocka_unit_test(test_render_keeps_mx_in_mode_none),
        cmocka_unit_test(test_render_without_mx),
        cmocka_unit_test(test_render_says_when_the_body_does_not_fit),
        cmocka_unit_test(test_rendered_policy_parses_to_an_equal_one),
        cmocka_unit_test(test_policies_that_differ_in_anything_are_not_equal),
        cmocka_unit_test(test_equal_does_not_look_at_lines),
        cmocka_unit_test(test_id_golden),
        cmocka_unit_test(test_id_is_what_sha256sum_makes_of_the_body),
        cmocka_unit_test(test_id_ends_in_the_serial),
        cmocka_unit_test(test_id_with_the_longest_serial_has_32_characters),
        cmocka_unit_test(test_mode_names_go_both_ways),
        cmocka_unit_test(test_mode_names_are_taken_to_the_letter),
        cmocka_unit_test(test_number_reads_one_to_ten_digits),
        cmocka_unit_test(test_number_refuses_anything_else),
        cmocka_unit_test(test_mx_matches),
        cmocka_unit_test(test_sts_txt_golden),
        cmocka_unit_test(test_sts_txt_parses_to_its_id),
        cmocka_unit_test(test_tlsrpt_txt_golden),
        cmocka_unit_test(test_tlsrpt_txt_parses_without_a_finding),
        cmocka_unit_test(test_parse_of_a_txt_gives_the_first_id),
        cmocka_unit_test(test_parse_of_a_bad_txt_leaves_no_id_unset),
        cmocka_unit_test(test_parse_gives_values_and_lines),
        cmocka_unit_test(test_parse_says_line_and_column),
        cmocka_unit_test(test_parse_of_nothing_but_faults_ends_early),
        cmocka_unit_test(test_parse_of_many_covered_names_gives_one_finding_a_name),
        cmocka_unit_test(test_parse_judges_the_name_behind_a_wildcard),
        cmocka_unit_test(test_parse_warns_of_a_name_that_ends_in_a_number),
        cmocka_unit_test(test_parse_warns_of_upper_case_and_of_repetition),
        cmocka_unit_test(test_parse_gives_columns_with_its_advice),
        cmocka_unit_test(test_parse_gives_advice_in_spite_of_an_error),
        cmocka_unit_test(test_parse_says_once_that_max_age_is_0),
        cmocka_unit_test(test_parse_names_a_byte_order_mark_and_reads_on),
        cmocka_unit_test(test_parse_names_who_stumbles_over_a_bad_repetition),
        cmocka_unit_test(test_verdicts_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
