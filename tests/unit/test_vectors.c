/* SPDX-License-Identifier: MIT
 * The parsers of policies and TXT records against tables of cases: the project's own in tests/data,
 * and those of the directory that MTA_STS_VECTORS names. Run from the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define COLUMNS_MAX 5
#define WHY_MAX 1024

/* One case. The text lies in a block of its very length, so that a byte too far is seen. */
struct row {
    char path[512];
    unsigned line;
    const char *record, *rfc, *publish, *why; /* record: policy, sts, tlsrpt or empty */
    char *text;
    size_t len;
};

struct outcome {
    enum policy_verdict verdict;
    struct arena arena;
    struct finding_list findings;
    struct policy policy;
};

struct tally {
    size_t rows, sets, wrong;
};

/* True if the row is as it should be; what is wrong has been said. */
typedef bool row_check(const struct row *row, const struct outcome *outcome);

static const char *own_directory(void)
{
    return "tests/data";
}

static const char *other_directory(void)
{
    const char *name = getenv("MTA_STS_VECTORS");

    return name != NULL && *name != '\0' ? name : NULL;
}

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef", *at = c == '\0' ? NULL : strchr(digits, c);

    assert_non_null(at);
    return (int)(at - digits);
}

static void expand(FILE *out, const char *s, size_t len, long turn);

/* \R{N}{t}, with s behind the R; returns what stands behind it. */
static const char *expand_repeat(FILE *out, const char *s)
{
    char *end = NULL;
    long turns = s[0] == '{' ? strtol(s + 1, &end, 10) : -1;

    assert_true(turns >= 0 && end[0] == '}' && end[1] == '{');
    const char *body = end + 2, *close = strchr(body, '}');
    assert_non_null(close);
    for (long turn = 0; turn < turns; turn++)
        expand(out, body, (size_t)(close - body), turn);
    return close + 1;
}

/* Undoes the escapes; turn is the number for %04d, below 0 outside a repetition. */
static void expand(FILE *out, const char *s, size_t len, long turn)
{
    const char *end = s + len;

    while (s < end) {
        if (turn >= 0 && strncmp(s, "%04d", 4) == 0) {
            fprintf(out, "%04ld", turn);
            s += 4;
        } else if (*s != '\\') {
            putc(*s++, out);
        } else if (s[1] == 'R') {
            s = expand_repeat(out, s + 2);
        } else if (s[1] == 'x') {
            putc(16 * hex_value(s[2]) + hex_value(s[3]), out);
            s += 4;
        } else {
            const char *names = "rnt\\", *at = s[1] == '\0' ? NULL : strchr(names, s[1]);
            assert_non_null(at);
            putc("\r\n\t\\"[at - names], out);
            s += 2;
        }
    }
}

/* The text that an escaped column means, in a block of exactly *len bytes. */
static char *unescape(const char *column, size_t *len)
{
    char *buffer = NULL;
    FILE *out = open_memstream(&buffer, len);

    assert_non_null(out);
    expand(out, column, strlen(column), -1);
    assert_int_equal(fclose(out), 0);
    char *exact = malloc(*len > 0 ? *len : 1);
    assert_non_null(exact);
    memcpy(exact, buffer, *len);
    free(buffer);
    return *len > 0 ? exact : realloc(exact, 1);
}

static void judge(const struct row *row, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    if (strcmp(row->record, "policy") == 0)
        outcome->verdict = policy_parse(row->text, row->len, "f", &outcome->arena,
                                        &outcome->findings, &outcome->policy);
    else if (strcmp(row->record, "sts") == 0)
        outcome->verdict = policy_parse_sts_txt(row->text, row->len, "f", &outcome->findings, NULL);
    else if (strcmp(row->record, "tlsrpt") == 0)
        outcome->verdict = policy_parse_tlsrpt_txt(row->text, row->len, "f", &outcome->findings);
    else
        fail_msg("%s:%u: unknown record \"%s\"", row->path, row->line, row->record);
}

static void check_line(char *line, struct row *row, row_check *check, struct tally *tally)
{
    bool is_txt = strstr(row->path, "txt.tsv") != NULL;
    char *column[COLUMNS_MAX];
    size_t count = 0, want = is_txt ? 5 : 4;

    line[strcspn(line, "\n")] = '\0';
    for (char *rest = line; rest != NULL && count < COLUMNS_MAX; count++)
        column[count] = strsep(&rest, "\t");
    if (count != want)
        fail_msg("%s:%u: %zu columns", row->path, row->line, count);
    row->record = is_txt ? column[0] : "policy";
    row->rfc = column[want - 4];
    row->publish = column[want - 3];
    row->why = column[want - 1];
    /* A set of records is no record: choosing one from it is not the parser's part. */
    if (*row->record == '\0') {
        tally->sets++;
        return;
    }
    struct outcome outcome;
    row->text = unescape(column[want - 2], &row->len);
    judge(row, &outcome);
    tally->rows++;
    if (!check(row, &outcome)) {
        print_error("%s:%u: %s\n", row->path, row->line, row->why);
        finding_print(&outcome.findings, stderr);
        tally->wrong++;
    }
    finding_list_free(&outcome.findings);
    arena_free(&outcome.arena);
    free(row->text);
}

static void check_file(const char *directory, const char *name, row_check *check,
                       struct tally *tally)
{
    struct row row = {0};
    char *line = NULL;
    size_t size = 0;

    assert_true(snprintf(row.path, sizeof row.path, "%s/%s", directory, name) <
                (int)sizeof row.path);
    FILE *file = fopen(row.path, "r");
    if (file == NULL)
        fail_msg("%s: cannot be read (run from the top of the tree)", row.path);
    while (getline(&line, &size, file) > 0) {
        row.line++;
        if (line[0] != '#')
            check_line(line, &row, check, tally);
    }
    assert_int_equal(ferror(file), 0);
    fclose(file);
    free(line);
}

/* Every row of the file, in both directories. */
static void check_rows(const char *name, row_check *check)
{
    struct tally tally = {0};

    check_file(own_directory(), name, check, &tally);
    if (other_directory() != NULL)
        check_file(other_directory(), name, check, &tally);
    print_message("%s: %zu rows checked, %zu record sets left out\n", name, tally.rows, tally.sets);
    assert_true(tally.rows > 0);
    assert_int_equal(tally.wrong, 0);
}

static bool has_finding(const struct outcome *outcome, enum finding_severity severity,
                        const char *code)
{
    for (size_t i = 0; i < outcome->findings.count; i++)
        if (outcome->findings.items[i].severity == severity &&
            (code == NULL || strcmp(outcome->findings.items[i].code, code) == 0))
            return true;
    return false;
}

static bool verdict_is_rfc_column(const struct row *row, const struct outcome *outcome)
{
    return strcmp(policy_verdict_name(outcome->verdict), row->rfc) == 0;
}

static bool invalid_has_error_with_line(const struct row *row, const struct outcome *outcome)
{
    if (strcmp(row->rfc, "invalid") != 0)
        return true;
    for (size_t i = 0; i < outcome->findings.count; i++)
        if (outcome->findings.items[i].severity == FINDING_ERROR &&
            outcome->findings.items[i].place.line >= 1)
            return true;
    return false;
}

static bool valid_has_no_error(const struct row *row, const struct outcome *outcome)
{
    return strcmp(row->rfc, "valid") != 0 || outcome->findings.errors == 0;
}

static bool publishable_has_no_difference(const struct row *row, const struct outcome *outcome)
{
    return strcmp(row->rfc, "valid") != 0 || strcmp(row->publish, "valid") != 0 ||
           !has_finding(outcome, FINDING_WARNING, "SENDERS_DIFFER");
}

/* How the tables write a parser's name, where a finding writes it in another way. */
static const char *finding_name(const char *parser)
{
    static const char *const names[][2] = {
        {"tlspol", "postfix-tlspol"}, {"mailauth7", "mailauth"},   {"mailauth7-strict", "mailauth"},
        {"mailauth4", "mailauth"},    {"sys4", "tlsrpt-reporter"}, {"zonemta", "mailauth"},
        {"maddy", "go-mtasts"},       {"postfix", "snawoot"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(names[i][0], parser) == 0)
            return names[i][1];
    return parser;
}

static bool difference_names(const struct outcome *outcome, const char *parser)
{
    for (size_t i = 0; i < outcome->findings.count; i++)
        if (outcome->findings.items[i].severity == FINDING_WARNING &&
            strcmp(outcome->findings.items[i].code, "SENDERS_DIFFER") == 0 &&
            strcasestr(outcome->findings.items[i].text, finding_name(parser)) != NULL)
            return true;
    return false;
}

/* `reject 2/16: checkdmarc mailcheck; ...` in the last column. */
static bool ambiguous_names_a_refuser(const struct row *row, const struct outcome *outcome)
{
    char list[WHY_MAX];
    const char *reject = strstr(row->why, "reject ");

    if (strcmp(row->rfc, "valid") != 0 || strcmp(row->publish, "ambiguous") != 0)
        return true;
    if (reject == NULL)
        reject = strstr(row->why, "reject:");
    const char *colon = reject == NULL ? NULL : strchr(reject, ':');
    if (colon == NULL || strlen(colon) >= sizeof list)
        return false;
    memcpy(list, colon + 1, strlen(colon));
    list[strcspn(list, ";")] = '\0';
    char *save = NULL;
    for (char *name = strtok_r(list, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save))
        if (difference_names(outcome, name))
            return true;
    return false;
}

/* A prefix may be anything, but it is judged without a step beyond it, and what is invalid is
 * explained. */
static bool prefixes_are_judged_in_bounds(const struct row *row, const struct outcome *outcome)
{
    bool ok = true;

    (void)outcome;
    for (size_t len = 0; len < row->len && len < 300; len++) {
        struct row prefix = *row;
        struct outcome result;
        prefix.len = len;
        prefix.text = malloc(len > 0 ? len : 1);
        assert_non_null(prefix.text);
        memcpy(prefix.text, row->text, len);
        judge(&prefix, &result);
        ok = ok && (result.verdict == POLICY_VALID) == (result.findings.errors == 0);
        finding_list_free(&result.findings);
        arena_free(&result.arena);
        free(prefix.text);
    }
    return ok;
}

static bool rendering_parses_to_the_same(const struct row *row, const struct outcome *outcome)
{
    struct outcome again = {0};
    struct row rendered = *row;
    struct text text;

    if (outcome->verdict == POLICY_INVALID)
        return true;
    size_t size = row->len + 256;
    rendered.text = malloc(size);
    assert_non_null(rendered.text);
    text_init(&text, rendered.text, size);
    policy_render(&outcome->policy, &text);
    rendered.len = text.len;
    judge(&rendered, &again);
    bool same = !text.overflow && again.verdict != POLICY_INVALID &&
                policy_equal(&outcome->policy, &again.policy);
    finding_list_free(&again.findings);
    arena_free(&again.arena);
    free(rendered.text);
    return same;
}

static bool any(const struct row *row, const struct outcome *outcome)
{
    (void)row;
    (void)outcome;
    return true;
}

static void test_escapes_mean_what_the_header_says(void **state)
{
    size_t len;
    char *text = unescape("a\\\\\\r\\n\\t\\x00\\xff%04d\\R{3}{<%04d>\\n}\\R{0}{no}z", &len);

    (void)state;
    assert_int_equal(len, 33);
    assert_memory_equal(text, "a\\\r\n\t\0\xff%04d<0000>\n<0001>\n<0002>\nz", len);
    free(text);
}

static void test_policy_verdict_is_the_rfc_column(void **state)
{
    (void)state;
    check_rows("policy.tsv", verdict_is_rfc_column);
}

static void test_invalid_policy_has_an_error_with_a_line(void **state)
{
    (void)state;
    check_rows("policy.tsv", invalid_has_error_with_line);
}

static void test_valid_policy_has_no_error(void **state)
{
    (void)state;
    check_rows("policy.tsv", valid_has_no_error);
}

static void test_ambiguous_policy_names_a_sender_that_refuses_it(void **state)
{
    (void)state;
    check_rows("policy.tsv", ambiguous_names_a_refuser);
}

static void test_policy_that_all_accept_has_no_senders_differ(void **state)
{
    (void)state;
    check_rows("policy.tsv", publishable_has_no_difference);
}

static void test_parsed_policy_renders_and_parses_to_itself(void **state)
{
    (void)state;
    check_rows("policy.tsv", rendering_parses_to_the_same);
}

static void test_every_prefix_of_a_policy_is_judged_in_bounds(void **state)
{
    (void)state;
    check_rows("policy.tsv", prefixes_are_judged_in_bounds);
}

static void test_txt_verdict_is_the_rfc_column(void **state)
{
    (void)state;
    check_rows("txt.tsv", verdict_is_rfc_column);
}

static void test_invalid_txt_has_an_error_with_a_line(void **state)
{
    (void)state;
    check_rows("txt.tsv", invalid_has_error_with_line);
}

static void test_valid_txt_has_no_error(void **state)
{
    (void)state;
    check_rows("txt.tsv", valid_has_no_error);
}

static void test_ambiguous_txt_names_a_sender_that_refuses_it(void **state)
{
    (void)state;
    check_rows("txt.tsv", ambiguous_names_a_refuser);
}

static void test_txt_that_all_accept_has_no_senders_differ(void **state)
{
    (void)state;
    check_rows("txt.tsv", publishable_has_no_difference);
}

static void test_every_prefix_of_a_txt_is_judged_in_bounds(void **state)
{
    (void)state;
    check_rows("txt.tsv", prefixes_are_judged_in_bounds);
}

static void test_record_sets_are_left_out_and_counted(void **state)
{
    struct tally own = {0}, other = {0};

    (void)state;
    check_file(own_directory(), "txt.tsv", any, &own);
    assert_int_equal(own.sets, 4);
    assert_int_equal(own.rows, 112);
    if (other_directory() == NULL)
        return;
    check_file(other_directory(), "txt.tsv", any, &other);
    assert_int_equal(other.sets, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes_mean_what_the_header_says),
        cmocka_unit_test(test_policy_verdict_is_the_rfc_column),
        cmocka_unit_test(test_invalid_policy_has_an_error_with_a_line),
        cmocka_unit_test(test_valid_policy_has_no_error),
        cmocka_unit_test(test_ambiguous_policy_names_a_sender_that_refuses_it),
        cmocka_unit_test(test_policy_that_all_accept_has_no_senders_differ),
        cmocka_unit_test(test_parsed_policy_renders_and_parses_to_itself),
        cmocka_unit_test(test_every_prefix_of_a_policy_is_judged_in_bounds),
        cmocka_unit_test(test_txt_verdict_is_the_rfc_column),
        cmocka_unit_test(test_invalid_txt_has_an_error_with_a_line),
        cmocka_unit_test(test_valid_txt_has_no_error),
        cmocka_unit_test(test_ambiguous_txt_names_a_sender_that_refuses_it),
        cmocka_unit_test(test_txt_that_all_accept_has_no_senders_differ),
        cmocka_unit_test(test_every_prefix_of_a_txt_is_judged_in_bounds),
        cmocka_unit_test(test_record_sets_are_left_out_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
