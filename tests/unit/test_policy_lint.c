/* SPDX-License-Identifier: MIT
 * policy_lint.c and rua.c: sections as administrators write them, and exactly what is found in
 * them. Each row is a test of its own, named by the rule (P policy, D domain, T TLS-RPT) that it is
 * about.
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

#define VALUES_MAX 2000

/* Sections begin with their header in line 1; `$` stands for the mode that is tried. */
#define DOMAIN "domain = example.com\n"              /* line 2 */
#define MODE "mode = $\n"                            /* line 3 */
#define RUA "rua = mailto:tls@reports.example.net\n" /* line 4 */
#define AGE "max_age = 1209600\n"                    /* line 5 */
#define BASE DOMAIN MODE RUA AGE
#define MX "mx = mail.example.com\n" /* line 6, behind BASE */
#define NONE "domain = example.com\nmode = none\nprevious_max_age = 1209600\nmax_age = 86400\n"
#define REMOVAL "info REMOVAL 3\n"

struct row {
    const char *name;
    const char *modes; /* tried with each; NULL: the section says it */
    const char *section;
    const char *findings; /* `severity CODE line` a line, in this order */
};

#define BOTH "enforce testing"

static const struct row rows[] = {
    {"a_plain_policy_has_no_finding", BOTH, BASE MX, ""},
    {"a_plain_policy_of_mode_none_says_how_to_remove_it", NULL, NONE MX, REMOVAL},

    {"P01_mode_missing", NULL, DOMAIN AGE MX, "error MODE 1\n"},
    {"P01_mode_capitalised", NULL, DOMAIN "mode = Enforce\n" AGE MX, "error MODE 3\n"},
    {"P01_mode_misspelt", NULL, DOMAIN "mode = enforced\n" AGE MX, "error MODE 3\n"},
    {"P01_mode_of_a_draft", NULL, DOMAIN "mode = report\n" AGE MX, "error MODE 3\n"},
    {"P01_mode_unknown_is_not_taken_for_none", NULL,
     DOMAIN "mode = off\n"
            "max_age = 0\n",
     "error MODE 3\nerror MX_MISSING 1\nerror MAX_AGE_ZERO 4\n"},

    {"P02_max_age_missing", BOTH, DOMAIN MODE RUA MX, "error MAX_AGE_MISSING 1\n"},
    {"P02_max_age_with_a_sign", BOTH, DOMAIN MODE RUA "max_age = -1\n" MX,
     "error MAX_AGE_SYNTAX 5\n"},
    {"P02_max_age_with_a_unit", BOTH, DOMAIN MODE RUA "max_age = 14d\n" MX,
     "error MAX_AGE_SYNTAX 5\n"},
    {"P02_max_age_in_groups", BOTH, DOMAIN MODE RUA "max_age = 1_209_600\n" MX,
     "error MAX_AGE_SYNTAX 5\n"},
    {"P02_max_age_with_an_exponent", BOTH, DOMAIN MODE RUA "max_age = 1e6\n" MX,
     "error MAX_AGE_SYNTAX 5\n"},
    {"P02_max_age_with_eleven_digits", BOTH, DOMAIN MODE RUA "max_age = 00001209600\n" MX,
     "error MAX_AGE_SYNTAX 5\n"},
    {"P02_max_age_with_leading_zeros_is_fine", BOTH, DOMAIN MODE RUA "max_age = 0001209600\n" MX,
     ""},
    {"P02_previous_max_age_is_judged_alike", NULL,
     DOMAIN "mode = none\nprevious_max_age = a year\nmax_age = 86400\n" MX,
     "error MAX_AGE_SYNTAX 4\n" REMOVAL},

    {"P03_max_age_above_a_year", BOTH, DOMAIN MODE RUA "max_age = 31557601\n" MX,
     "error MAX_AGE_LARGE 5\n"},
    {"P03_previous_max_age_above_a_year", NULL,
     DOMAIN "mode = none\nprevious_max_age = 31557601\nmax_age = 86400\n" MX,
     "error MAX_AGE_LARGE 4\n" REMOVAL},

    {"P04_max_age_0", BOTH, DOMAIN MODE RUA "max_age = 0\n" MX, "error MAX_AGE_ZERO 5\n"},
    {"P04_max_age_0_in_mode_none", NULL,
     DOMAIN "mode = none\nprevious_max_age = 1\nmax_age = 0\n" MX,
     "warning MAX_AGE_ZERO 5\n" REMOVAL},

    {"P05_max_age_of_exactly_a_year", BOTH, DOMAIN MODE RUA "max_age = 31557600\n" MX,
     "info MAX_AGE_YEAR 5\n"},
    {"P05_max_age_of_a_second_less_is_fine", BOTH, DOMAIN MODE RUA "max_age = 31557599\n" MX, ""},

    {"P06_enforce_for_less_than_a_week", "enforce", DOMAIN MODE RUA "max_age = 604799\n" MX,
     "warning MAX_AGE_SHORT 5\n"},
    {"P06_testing_for_less_than_a_week_is_fine", "testing", DOMAIN MODE RUA "max_age = 604799\n" MX,
     ""},

    {"P07_enforce_for_less_than_two_weeks", "enforce", DOMAIN MODE RUA "max_age = 1209599\n" MX,
     "warning MAX_AGE_SHORT 5\n"},
    {"P07_testing_for_less_than_two_weeks_is_fine", "testing",
     DOMAIN MODE RUA "max_age = 1209599\n" MX, ""},

    {"P08_less_than_a_day", BOTH, DOMAIN MODE RUA "max_age = 86399\n" MX,
     "warning MAX_AGE_SHORT 5\n"},
    {"P08_less_than_a_day_in_mode_none", NULL,
     DOMAIN "mode = none\nprevious_max_age = 1209600\nmax_age = 86399\n" MX,
     REMOVAL "warning MAX_AGE_SHORT 5\n"},
    {"P08_testing_for_a_day_is_fine", "testing", DOMAIN MODE RUA "max_age = 86400\n" MX, ""},

    {"P09_mode_none_for_more_than_a_day", NULL,
     DOMAIN "mode = none\nprevious_max_age = 1209600\nmax_age = 86401\n" MX,
     REMOVAL "warning MAX_AGE_NONE 5\n"},

    {"P10_no_mx", BOTH, BASE, "error MX_MISSING 1\n"},
    {"P11_no_mx_in_mode_none", NULL, NONE, "warning MX_MISSING 1\n" REMOVAL},

    {"P12_empty_label", BOTH, BASE "mx = mail..example.com\n", "error MX_SYNTAX 6\n"},
    {"P12_dot_in_front", BOTH, BASE "mx = .example.com\n", "error MX_SYNTAX 6\n"},
    {"P12_dot_alone", BOTH, BASE "mx = .\n", "error MX_SYNTAX 6\n"},
    {"P12_dots_alone", BOTH, BASE "mx = ...\n", "error MX_TRAILING_DOT 6\n"},
    {"P12_hyphen_in_front", BOTH, BASE "mx = -mail.example.com\n", "error MX_SYNTAX 6\n"},
    {"P12_hyphen_at_the_end", BOTH, BASE "mx = mail-.example.com\n", "error MX_SYNTAX 6\n"},
    {"P12_a_character_that_no_name_has", BOTH, BASE "mx = postmaster@example.com\n",
     "error MX_SYNTAX 6\n"},
    {"P12_label_of_64", BOTH,
     BASE "mx = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com\n",
     "error MX_SYNTAX 6\n"},
    {"P12_label_of_63_is_fine", BOTH,
     BASE "mx = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com\n", ""},
    {"P12_every_mistake_is_reported", BOTH,
     BASE "mx = a..b\nmx = mail.example.com\nmx = c_d.example.com\n",
     "error MX_SYNTAX 6\nerror MX_UNDERSCORE 8\n"},

    {"P13_star_inside_a_label", BOTH, BASE "mx = mail-*.example.com\n", "error MX_WILDCARD 6\n"},
    {"P13_star_without_a_dot", BOTH, BASE "mx = *mail.example.com\n", "error MX_WILDCARD 6\n"},
    {"P13_star_in_the_second_label", BOTH, BASE "mx = mail.*.com\n", "error MX_WILDCARD 6\n"},
    {"P13_two_stars", BOTH, BASE "mx = *.*.example.com\n", "error MX_WILDCARD 6\n"},
    {"P13_star_alone", BOTH, BASE "mx = *\n", "error MX_WILDCARD 6\n"},
    {"P13_star_and_dot", BOTH, BASE "mx = *.\n", "error MX_WILDCARD 6\n"},
    {"P13_a_wildcard_is_fine", BOTH, BASE "mx = *.example.net\n", ""},

    {"P14_U_label", BOTH, BASE "mx = m\xc3\xbcnchen.example\n", "error MX_IDN 6\n"},
    {"P14_A_label_is_fine", BOTH, BASE "mx = xn--mnchen-3ya.example\n", ""},

    {"P15_xn_label_that_cannot_be_decoded", BOTH, BASE "mx = mail.xn--mnchen-3y.example\n",
     "warning MX_PUNYCODE 6\n"},

    {"P15_xn_label_of_a_control_character", BOTH, BASE "mx = xn--a.net\n",
     "warning MX_PUNYCODE 6\n"},

    {"P16_trailing_dot", BOTH, BASE "mx = mail.example.com.\n", "error MX_TRAILING_DOT 6\n"},
    {"P16_trailing_dot_behind_a_wildcard", BOTH, BASE "mx = *.example.com.\n",
     "error MX_TRAILING_DOT 6\n"},

    {"P17_underscore", BOTH, BASE "mx = mail_1.example.com\n", "error MX_UNDERSCORE 6\n"},

    {"P18_IPv4_address", BOTH, BASE "mx = 192.0.2.1\n", "error MX_ADDRESS 6\n"},
    {"P18_IPv4_address_in_brackets", BOTH, BASE "mx = [192.0.2.1]\n", "error MX_ADDRESS 6\n"},
    {"P18_IPv6_address", BOTH, BASE "mx = 2001:db8::1\n", "error MX_ADDRESS 6\n"},
    {"P18_IPv6_address_in_brackets", BOTH, BASE "mx = [2001:db8::1]\n", "error MX_ADDRESS 6\n"},
    {"P18_port", BOTH, BASE "mx = mail.example.com:25\n", "error MX_PORT 6\n"},
    {"P18_comma_list", BOTH, BASE "mx = mail.example.com,mx2.example.com\n", "error MX_LIST 6\n"},
    {"P18_comma_list_of_hosts_that_begin_with_digits", BOTH,
     BASE "mx = 1mx.example.com, 2mx.example.com\n", "error MX_LIST 6\n"},
    {"P18_space_list", BOTH, BASE "mx = mail.example.com mx2.example.com\n", "error MX_LIST 6\n"},
    {"P18_space_list_of_hosts_that_begin_with_digits", BOTH,
     BASE "mx = 1mx.example.com 2mx.example.com\n", "error MX_LIST 6\n"},
    {"P18_TAB_list", BOTH, BASE "mx = mail.example.com\tmx2.example.com\n", "error MX_LIST 6\n"},
    {"P18_preference_number", BOTH, BASE "mx = 10 mail.example.com\n", "error MX_PREFERENCE 6\n"},
    {"P18_preference_number_and_a_trailing_dot", BOTH, BASE "mx = 10 mail.example.com.\n",
     "error MX_PREFERENCE 6\n"},
    {"P18_inline_comment_with_a_hash", BOTH, BASE "mx = mail.example.com # the first\n",
     "error MX_COMMENT 6\n"},
    {"P18_inline_comment_with_a_semicolon", BOTH, BASE "mx = mail.example.com;the first\n",
     "error MX_COMMENT 6\n"},

    {"P18_IPv4_address_behind_a_wildcard", BOTH, BASE "mx = *.192.0.2.1\n", "error MX_ADDRESS 6\n"},
    {"P18_last_label_of_digits", BOTH, BASE "mx = 1.2.3\nmx = mail.123\nmx = *.123\nmx = 25\n",
     "error MX_SYNTAX 6\nerror MX_SYNTAX 7\nerror MX_SYNTAX 8\nerror MX_SYNTAX 9\n"},
    {"P18_URL", BOTH, BASE "mx = https://mail.example.net\n", "error MX_SYNTAX 6\n"},

    {"P19_upper_case", BOTH, BASE "mx = Mail.Example.COM\n", "info MX_CASE 6\n"},

    {"P20_doubled_mx", BOTH, BASE MX MX, "warning MX_DUPLICATE 7\n"},
    {"P20_doubled_mx_in_another_case", BOTH, BASE MX "mx = MAIL.example.com\n",
     "info MX_CASE 7\nwarning MX_DUPLICATE 7\n"},

    {"P21_single_label", BOTH, BASE "mx = mail\n", "warning MX_SINGLE_LABEL 6\n"},
    {"P21_wildcard_over_a_top_level_domain", BOTH, BASE "mx = *.net\n",
     "warning MX_WILDCARD_TLD 6\n"},

    {"P22_wildcard_over_the_policy_domain", BOTH, BASE "mx = *.Example.com\n",
     "info MX_CASE 6\nwarning MX_WILDCARD_OWN 6\n"},
    {"P22_wildcard_over_the_second_policy_domain", BOTH,
     BASE "domain = example.org\nmx = *.example.org\n", "warning MX_WILDCARD_OWN 7\n"},
    {"P22_errors_hide_neither_it_nor_other_advice", "enforce",
     DOMAIN MODE RUA "max_age = 3600\nmx = *.example.com\nmx = mail\nserial = x\n",
     "error SERIAL 8\nwarning MAX_AGE_SHORT 5\nwarning MX_SINGLE_LABEL 7\n"
     "warning MX_WILDCARD_OWN 6\n"},
    {"P22_wildcard_over_a_part_of_the_policy_domain_is_fine", BOTH,
     BASE "mx = *.mail.example.com\n", ""},

    {"P23_name_beside_its_wildcard", BOTH, BASE "mx = *.example.net\nmx = mx.example.net\n",
     "info MX_COVERED 7\n"},
    {"P23_name_before_its_wildcard", BOTH, BASE "mx = mx.example.net\nmx = *.example.net\n",
     "info MX_COVERED 6\n"},
    {"P23_name_that_the_wildcard_does_not_cover", BOTH,
     BASE "mx = *.example.net\nmx = mx.a.example.net\nmx = example.net\n", ""},

    {"P28_version_of_another_kind", BOTH, BASE MX "version = STSv2\n", "error VERSION 7\n"},
    {"P28_version_in_another_case", BOTH, BASE MX "version = stsv1\n", "error VERSION 7\n"},
    {"P28_version_STSv1_is_fine", BOTH, BASE MX "version = STSv1\n", ""},

    {"D01_domain_missing", BOTH, MODE RUA AGE MX, "error DOMAIN_MISSING 1\n"},
    {"D01_trailing_dot", BOTH, "domain = example.com.\n" MODE RUA AGE MX,
     "error DOMAIN_SYNTAX 2\n"},
    {"D01_policy_host_for_the_domain", BOTH, "domain = mta-sts.example.com\n" MODE RUA AGE MX,
     "error DOMAIN_PREFIX 2\n"},
    {"D01_policy_host_in_upper_case", BOTH, "domain = MTA-STS.example.com\n" MODE RUA AGE MX,
     "error DOMAIN_PREFIX 2\n"},
    {"D01_name_of_the_record_for_the_domain", BOTH,
     "domain = _mta-sts.example.com\n" MODE RUA AGE MX, "error DOMAIN_SYNTAX 2\n"},
    {"D01_U_label", BOTH, "domain = m\xc3\xbcnchen.example\n" MODE RUA AGE MX,
     "error DOMAIN_SYNTAX 2\n"},
    {"D01_last_label_of_digits", BOTH, "domain = mail.123\n" MODE RUA AGE MX,
     "error DOMAIN_SYNTAX 2\n"},
    {"D01_address", BOTH, "domain = 192.0.2.1\n" MODE RUA AGE MX, "error DOMAIN_SYNTAX 2\n"},
    {"D01_wildcard", BOTH, "domain = *.example.com\n" MODE RUA AGE MX, "error DOMAIN_SYNTAX 2\n"},
    {"D01_list", BOTH, "domain = example.com, example.org\n" MODE RUA AGE MX,
     "error DOMAIN_SYNTAX 2\n"},
    {"D01_single_label", BOTH, "domain = example\n" MODE RUA AGE MX,
     "warning DOMAIN_SINGLE_LABEL 2\n"},
    {"D01_every_domain_is_judged", BOTH, BASE MX "domain = a_b.example\ndomain = example.net.\n",
     "error DOMAIN_SYNTAX 7\nerror DOMAIN_SYNTAX 8\n"},

    {"D03_serial_with_letters", BOTH, BASE MX "serial = 2b\n", "error SERIAL 7\n"},
    {"D03_serial_with_a_sign", BOTH, BASE MX "serial = -1\n", "error SERIAL 7\n"},
    {"D03_serial_of_eight_digits", BOTH, BASE MX "serial = 12345678\n", "error SERIAL 7\n"},
    {"D03_serial_of_seven_digits_is_fine", BOTH, BASE MX "serial = 1234567\n", ""},

    {"D06_mode_none_asks_for_previous_max_age", NULL, DOMAIN "mode = none\nmax_age = 86400\n" MX,
     REMOVAL},
    {"D06_previous_max_age_without_mode_none", BOTH, BASE MX "previous_max_age = 1209600\n",
     "warning PREVIOUS_MAX_AGE 7\n"},

    {"T01_rua_without_a_scheme", BOTH, DOMAIN MODE "rua = tls@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T01_rua_with_http", BOTH, DOMAIN MODE "rua = http://tls.example.net/\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T01_mailto_without_an_address", BOTH, DOMAIN MODE "rua = mailto:\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T01_https_without_a_host", BOTH, DOMAIN MODE "rua = https://:443/in\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T01_https_with_two_at_before_the_path", BOTH,
     DOMAIN MODE "rua = https://a@b@tls.example.net/in\n" AGE MX, "error RUA_SYNTAX 4\n"},
    {"T01_https_with_a_port_that_is_no_number", BOTH,
     DOMAIN MODE "rua = https://tls.example.net:tls/in\n" AGE MX, "error RUA_SYNTAX 4\n"},
    {"T01_https_is_fine", BOTH, DOMAIN MODE "rua = https://tls.example.net/in\n" AGE MX, ""},

    {"T02_comma", BOTH, DOMAIN MODE "rua = mailto:a@example.net,mailto:b@example.net\n" AGE MX,
     "error RUA_ENCODE 4\n"},
    {"T02_exclamation_mark", BOTH, DOMAIN MODE "rua = mailto:tls!10m@example.net\n" AGE MX,
     "error RUA_ENCODE 4\n"},
    {"T02_semicolon", BOTH, DOMAIN MODE "rua = mailto:tls@example.net;\n" AGE MX,
     "error RUA_ENCODE 4\n"},
    {"T02_encoded_is_fine", BOTH, DOMAIN MODE "rua = mailto:tls%2110m@example.net\n" AGE MX, ""},

    {"T03_space", BOTH, DOMAIN MODE "rua = mailto:tls box@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T03_not_ASCII", BOTH, DOMAIN MODE "rua = mailto:r\xc3\xa9seau@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T03_quotes", BOTH, DOMAIN MODE "rua = mailto:\"tls\"@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T03_angle_brackets", BOTH, DOMAIN MODE "rua = <mailto:tls@example.net>\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T03_brackets_in_a_path", BOTH, DOMAIN MODE "rua = https://tls.example.net/[in]\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T03_percent_sign_without_digits", BOTH, DOMAIN MODE "rua = mailto:100%@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},

    {"T04_equals_sign_in_an_https_URI", BOTH,
     DOMAIN MODE "rua = https://tls.example.net/in?box=7\n" AGE MX, "warning SENDERS_DIFFER 4\n"},

    {"T05_port_in_an_https_URI", BOTH, DOMAIN MODE "rua = https://tls.example.net:8443/\n" AGE MX,
     "warning SENDERS_DIFFER 4\n"},

    {"T05_port_above_65535", BOTH, DOMAIN MODE "rua = https://tls.example.net:65536/\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T05_port_of_65535", BOTH, DOMAIN MODE "rua = https://tls.example.net:65535/\n" AGE MX,
     "warning SENDERS_DIFFER 4\n"},
    {"T05_user_before_the_host", BOTH,
     DOMAIN MODE "rua = https://us:er@tls.example.net/in\n" AGE MX, "error RUA_SYNTAX 4\n"},
    {"T05_fragment", BOTH, DOMAIN MODE "rua = https://tls.example.net/in#1\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T05_a_colon_in_the_path_is_no_port", BOTH,
     DOMAIN MODE "rua = https://tls.example.net/in:8443\n" AGE MX, ""},

    {"T06_two_addresses", BOTH, BASE MX "rua = https://tls.example.net/in\n", "info RUA_MANY 7\n"},

    {"T07_mailto_without_at", BOTH, DOMAIN MODE "rua = mailto:tls.example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_mailto_with_at_in_its_header_fields_only", BOTH,
     DOMAIN MODE "rua = mailto:tls?cc@example.net\n" AGE MX, "error RUA_SYNTAX 4\n"},
    {"T07_mailto_without_a_name", BOTH, DOMAIN MODE "rua = mailto:@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_mailto_without_a_domain", BOTH, DOMAIN MODE "rua = mailto:tls@\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_mailto_with_header_fields", BOTH, DOMAIN MODE "rua = mailto:tls@example.net?s\n" AGE MX,
     "warning SENDERS_DIFFER 4\n"},
    {"T07_https_host_without_a_dot", BOTH, DOMAIN MODE "rua = https://tlshost/in\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_https_host_that_is_no_host_name", BOTH,
     DOMAIN MODE "rua = https://tls_in.example.net/\n" AGE MX, "error RUA_SYNTAX 4\n"},
    {"T07_https_host_that_is_an_address", BOTH, DOMAIN MODE "rua = https://[2001:db8::1]/\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_mailto_host_without_a_dot", BOTH, DOMAIN MODE "rua = mailto:tls@example\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_mailto_host_that_is_no_host_name", BOTH,
     DOMAIN MODE "rua = mailto:tls@example..net\n" AGE MX, "error RUA_SYNTAX 4\n"},
    {"T07_mailto_with_two_at", BOTH, DOMAIN MODE "rua = mailto:a@b@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T07_mailto_with_slashes", BOTH, DOMAIN MODE "rua = mailto://tls@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T01_scheme_of_mail_in_upper_case", BOTH, DOMAIN MODE "rua = MAILTO:tls@example.net\n" AGE MX,
     "error RUA_SYNTAX 4\n"},
    {"T01_scheme_of_https_in_upper_case", BOTH,
     DOMAIN MODE "rua = Https://tls.example.net/\n" AGE MX, "error RUA_SYNTAX 4\n"},

    {"T08_testing_without_rua", NULL, DOMAIN "mode = testing\n" AGE MX, "warning RUA_MISSING 1\n"},
    {"T08_enforce_without_rua_is_fine", NULL, DOMAIN "mode = enforce\n" AGE MX, ""},

    {"T09_mailbox_in_the_policy_domain_while_enforce", "enforce",
     DOMAIN MODE "rua = mailto:tls@Example.com\n" AGE MX, "info RUA_SAME_DOMAIN 4\n"},
    {"T09_mailbox_in_the_second_policy_domain_while_enforce", "enforce",
     DOMAIN MODE "rua = mailto:tls@example.org\n" AGE MX "domain = example.org\n",
     "info RUA_SAME_DOMAIN 4\n"},
    {"T09_mailbox_in_the_policy_domain_while_testing_is_fine", "testing",
     DOMAIN MODE "rua = mailto:tls@example.com\n" AGE MX, ""},
    {"T09_mailbox_below_the_policy_domain_is_fine", BOTH,
     DOMAIN MODE "rua = mailto:tls@mail.example.com\n" AGE MX, ""},
};

/* A section, with the memory of its values. */
struct section {
    struct policy_source source;
    struct policy_value domains[VALUES_MAX], mx[VALUES_MAX], rua[VALUES_MAX];
    char *text;
};

static void add_value(struct policy_values *list, struct policy_value value)
{
    assert_true(list->count < VALUES_MAX);
    list->items[list->count++] = value;
}

static void set_value(struct policy_source *source, const char *key, struct policy_value value)
{
    if (strcmp(key, "domain") == 0)
        add_value(&source->domains, value);
    else if (strcmp(key, "mx") == 0)
        add_value(&source->mx, value);
    else if (strcmp(key, "rua") == 0)
        add_value(&source->rua, value);
    else if (strcmp(key, "version") == 0)
        source->version = value;
    else if (strcmp(key, "mode") == 0)
        source->mode = value;
    else if (strcmp(key, "max_age") == 0)
        source->max_age = value;
    else if (strcmp(key, "serial") == 0)
        source->serial = value;
    else if (strcmp(key, "previous_max_age") == 0)
        source->previous_max_age = value;
    else
        fail_msg("unknown key %s", key);
}

/* Reads `key = value` lines; the section header would be line 1. */
static struct section *section_read(const char *text, const char *mode)
{
    struct section *section = calloc(1, sizeof *section);
    unsigned line = 1;

    assert_non_null(section);
    section->text = strdup(text);
    assert_non_null(section->text);
    section->source = (struct policy_source){.file = "t.ini",
                                             .line = 1,
                                             .domains = {section->domains, 0},
                                             .mx = {section->mx, 0},
                                             .rua = {section->rua, 0}};
    for (char *rest = section->text, *key; (key = strsep(&rest, "\n")) != NULL && *key != '\0';) {
        char *value = strstr(key, " = ");
        assert_non_null(value);
        *value = '\0';
        value += 3;
        set_value(&section->source, key,
                  (struct policy_value){strcmp(value, "$") == 0 ? mode : value, ++line});
    }
    return section;
}

static void section_free(struct section *section)
{
    free(section->text);
    free(section);
}

/* The findings as `severity CODE line` lines; each text must be printable. */
static char *describe(const struct finding_list *findings)
{
    char *description = NULL;
    size_t size;
    FILE *out = open_memstream(&description, &size);

    assert_non_null(out);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        assert_string_equal(finding->place.file, "t.ini");
        for (const char *p = finding->text; *p != '\0'; p++)
            assert_in_range(*p, 0x20, 0x7e);
        fprintf(out, "%s %s %u\n", finding_severity_name(finding->severity), finding->code,
                finding->place.line);
    }
    assert_int_equal(fclose(out), 0);
    return description;
}

/* Lints the section and compares what is found. */
static void expect_findings(const char *text, const char *mode, const char *expected)
{
    struct section *section = section_read(text, mode);
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy = {0};
    bool ok = policy_lint(&section->source, &arena, &findings, &policy);
    char *found = describe(&findings);

    assert_string_equal(found, expected);
    assert_true(ok == (strstr(expected, "error ") == NULL));
    assert_true(ok == finding_list_ok(&findings));
    free(found);
    finding_list_free(&findings);
    arena_free(&arena);
    section_free(section);
}

static void test_row(void **state)
{
    const struct row *row = *state;

    if (row->modes == NULL || strstr(row->modes, "enforce") != NULL)
        expect_findings(row->section, "enforce", row->findings);
    if (row->modes != NULL && strstr(row->modes, "testing") != NULL)
        expect_findings(row->section, "testing", row->findings);
}

/* A section for enforce with `count` lines that format makes of their number. */
static char *repeated_section(const char *format_before, const char *format_after, unsigned count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs(BASE, out);
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "%s%04u%s\n", format_before, i, format_after);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* A policy of count mx lines of 24 octets, one for `name`, and 49 octets beside them. */
static void expect_body(unsigned count, const char *name, const char *expected)
{
    char *text = repeated_section("mx = mx", ".example.com", count), *whole = NULL;

    assert_true(asprintf(&whole, "%smx = %s\n", text, name) > 0);
    expect_findings(whole, "enforce", expected);
    free(whole);
    free(text);
}

static void test_p26_body_of_4096_is_fine(void **state)
{
    (void)state;
    expect_body(168, "m.example", "");
}

static void test_p26_body_of_4097_is_a_warning(void **state)
{
    (void)state;
    expect_body(168, "mm.example", "warning BODY_SIZE 1\n");
}

static void test_p26_body_of_10240_is_a_warning(void **state)
{
    (void)state;
    expect_body(424, "m.example", "warning BODY_SIZE 1\n");
}

static void test_p26_body_of_10241_is_an_error(void **state)
{
    (void)state;
    expect_body(424, "mm.example", "error BODY_SIZE 1\n");
}

/* Nothing behind the last line that is looked at is dropped without a word. */
static void test_p26_more_mx_lines_than_any_body_holds_is_an_error(void **state)
{
    char *text = repeated_section("mx = mx", ".example.com", 1501);
    struct section *section = section_read(text, "enforce");
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy = {0};

    (void)state;
    for (size_t i = 0; i < section->source.mx.count; i++)
        section->source.mx.items[i].text = "mail.example.com";
    assert_false(policy_lint(&section->source, &arena, &findings, &policy));
    assert_int_equal(findings.errors, 1);
    bool found = false;
    for (size_t i = 0; i < findings.count; i++)
        found = found || (strcmp(findings.items[i].code, "MX_MANY") == 0 &&
                          findings.items[i].place.line == 5 + 1501);
    assert_true(found);
    finding_list_free(&findings);
    arena_free(&arena);
    section_free(section);
    free(text);
}

static void test_t01_addresses_for_more_than_a_txt_value_are_an_error(void **state)
{
    char *text = repeated_section("rua = mailto:tls", "@reports.example.net", 60);
    char *whole = NULL;

    (void)state;
    assert_true(asprintf(&whole, "%s" MX, text) > 0);
    expect_findings(whole, "enforce", "info RUA_MANY 6\nerror RUA_LONG 4\n");
    free(whole);
    free(text);
}

/* A name of len octets in labels of 49 and a point each. */
static void make_name(char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        name[i] = i % 50 == 49 && i + 1 < len ? '.' : 'a';
    name[len] = '\0';
}

static void expect_name(const char *format, size_t len, const char *expected)
{
    char name[300], text[600];
    struct text out;

    assert_true(len < sizeof name);
    make_name(name, len);
    text_init(&out, text, sizeof text);
    const char *at = strchr(format, '^');
    text_add_bytes(&out, format, (size_t)(at - format));
    text_add(&out, name);
    text_add(&out, at + 1);
    assert_false(out.overflow);
    expect_findings(text, "enforce", expected);
    expect_findings(text, "testing", expected);
}

static void test_p12_name_of_253_is_fine(void **state)
{
    (void)state;
    expect_name(BASE "mx = ^\n", 253, "");
}

static void test_p12_name_of_254_is_an_error(void **state)
{
    (void)state;
    expect_name(BASE "mx = ^\n", 254, "error MX_SYNTAX 6\n");
}

static void test_d02_domain_of_242_is_fine(void **state)
{
    (void)state;
    expect_name("domain = ^\n" MODE RUA AGE MX, 242, "");
}

static void test_d02_domain_of_243_is_an_error(void **state)
{
    (void)state;
    expect_name("domain = ^\n" MODE RUA AGE MX, 243, "error DOMAIN_LENGTH 2\n");
}

static void test_d02_domain_of_254_is_an_error(void **state)
{
    (void)state;
    expect_name("domain = ^\n" MODE RUA AGE MX, 254, "error DOMAIN_SYNTAX 2\n");
}

static void lint_text(const char *text, struct arena *arena, struct finding_list *findings,
                      struct policy *policy)
{
    struct section *section = section_read(text, "enforce");

    policy_lint(&section->source, arena, findings, policy);
    section_free(section);
}

static void test_lint_fills_the_policy_in_ini_order_and_lower_case(void **state)
{
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy = {0};

    (void)state;
    lint_text(BASE "mx = Z.example.net\nmx = *.a.example\nmx = z.EXAMPLE.net\nmx = b.example\n",
              &arena, &findings, &policy);
    assert_int_equal(policy.mode, POLICY_MODE_ENFORCE);
    assert_int_equal(policy.max_age, 1209600);
    assert_int_equal(policy.max_age_line, 5);
    assert_int_equal(policy.mx_count, 3);
    assert_string_equal(policy.mx[0].pattern, "z.example.net");
    assert_int_equal(policy.mx[0].line, 6);
    assert_string_equal(policy.mx[1].pattern, "*.a.example");
    assert_string_equal(policy.mx[2].pattern, "b.example");
    assert_int_equal(policy.mx[2].line, 9);
    finding_list_free(&findings);
    arena_free(&arena);
}

/* The text of the only finding of a section for enforce. */
static void expect_text(const char *section, const char *part)
{
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy = {0};

    lint_text(section, &arena, &findings, &policy);
    assert_int_equal(findings.count, 1);
    if (strstr(findings.items[0].text, part) == NULL)
        fail_msg("\"%s\" does not hold \"%s\"", findings.items[0].text, part);
    finding_list_free(&findings);
    arena_free(&arena);
}

static void test_p14_text_shows_a_u_label_escaped_and_asks_for_the_a_label(void **state)
{
    (void)state;
    expect_text(BASE "mx = m\xc3\xbcnchen.example\n",
                "mx \"m\\xc3\\xbcnchen.example\" is not ASCII: write the A-label");
}

static void test_text_of_a_terminal_sequence_is_escaped(void **state)
{
    (void)state;
    expect_text(BASE "mx = \x1b]0;pwned\x07.example\n", "mx \"\\x1b]0;pwned\\x07.example\" ");
}

static void test_d01_text_of_a_long_domain_still_says_why(void **state)
{
    char text[3000];
    struct text out;

    (void)state;
    text_init(&out, text, sizeof text);
    text_add(&out, "domain = ");
    for (unsigned i = 0; i < 2000; i++)
        text_add(&out, "a");
    text_add(&out, "\nmode = enforce\n" AGE MX);
    assert_false(out.overflow);
    expect_text(text, "\" is longer than 253 octets");
}

static void test_d01_text_of_a_policy_host_names_the_domain(void **state)
{
    (void)state;
    expect_text("domain = mta-sts.example.com\n" MODE RUA AGE MX, "write example.com");
}

static void test_t02_text_shows_the_address_encoded(void **state)
{
    (void)state;
    expect_text(DOMAIN MODE "rua = mailto:tls!10m;x,y@example.net\n" AGE MX,
                "would be: mailto:tls%2110m%3Bx%2Cy@example.net");
}

static void test_t02_text_shows_a_stray_percent_sign_encoded(void **state)
{
    (void)state;
    expect_text(DOMAIN MODE "rua = mailto:100%@example.net\n" AGE MX,
                "would be: mailto:100%25@example.net");
}

static void test_t02_text_of_several_addresses_shows_no_encoding(void **state)
{
    (void)state;
    expect_text(DOMAIN MODE "rua = mailto:a@example.net,mailto:b@example.net\n" AGE MX,
                "of several addresses write one a line: \"mailto:a@example.net,mailto:b@");
}

static void test_t03_text_says_to_remove_what_does_not_belong(void **state)
{
    static const char *const addresses[] = {"mailto:tls @example.net", "\"mailto:tls@example.net\"",
                                            "<mailto:tls@example.net>", "mailto:<tls@example.net>"};

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        char text[256];
        snprintf(text, sizeof text, DOMAIN MODE "rua = %s\n" AGE MX, addresses[i]);
        expect_text(text, "remove it: \"");
    }
}

static void test_p08_advice_for_mode_none_is_a_day(void **state)
{
    struct policy policy = {.mode = POLICY_MODE_NONE, .max_age = 3600};
    struct finding_list findings = {0};

    (void)state;
    policy_advise(&policy, true, NULL, &findings);
    assert_int_equal(findings.count, 1);
    assert_non_null(strstr(findings.items[0].text, "86400 is usual"));
    finding_list_free(&findings);
}

static void test_p09_an_unknown_mode_is_not_taken_for_none(void **state)
{
    struct policy policy = {.mode = POLICY_MODE_NONE, .max_age = 1209600};
    struct finding_list findings = {0};

    (void)state;
    policy_advise(&policy, false, NULL, &findings);
    assert_int_equal(findings.count, 0);
}

static void test_p18_text_of_a_url_says_so(void **state)
{
    (void)state;
    expect_text(BASE "mx = https://mail.example.net\n", "is a URL");
    expect_text(BASE "mx = smtp://mail.example.net:25/\n", "is a URL");
}

/* A line that could not be read may have held what is missing. */
static void test_an_incomplete_section_lacks_nothing(void **state)
{
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy = {0};
    struct policy_source source = {.file = "t.ini", .line = 1, .incomplete = true};

    (void)state;
    assert_false(policy_lint(&source, &arena, &findings, &policy));
    assert_int_equal(findings.count, 0);
    arena_free(&arena);
}

static void test_t02_text_of_a_long_address_shows_no_cut_encoding(void **state)
{
    char text[1200];
    struct text out;

    (void)state;
    text_init(&out, text, sizeof text);
    text_add(&out, DOMAIN MODE "rua = mailto:");
    for (unsigned i = 0; i < 200; i++)
        text_add(&out, "a!b");
    text_add(&out, "@example.net\n" AGE MX);
    assert_false(out.overflow);
    expect_text(text, "of several addresses write one a line: \"mailto:a!ba!b");
}

static void test_p18_ipv4_address_has_the_severity_asked_for(void **state)
{
    struct finding_list findings = {0};

    (void)state;
    policy_lint_mx("192.0.2.1", 9, (struct place){0}, FINDING_WARNING, &findings);
    policy_lint_mx("192.0.2.1", 9, (struct place){0}, FINDING_ERROR, &findings);
    policy_lint_mx("[192.0.2.1]", 11, (struct place){0}, FINDING_WARNING, &findings);
    assert_int_equal(findings.count, 3);
    assert_int_equal(findings.items[0].severity, FINDING_WARNING);
    assert_int_equal(findings.items[1].severity, FINDING_ERROR);
    assert_int_equal(findings.items[2].severity, FINDING_ERROR);
    finding_list_free(&findings);
}

static void test_p12_mx_is_judged_by_its_length_and_not_by_a_nul(void **state)
{
    struct finding_list findings = {0};
    char *mx = malloc(16);

    (void)state;
    assert_non_null(mx);
    memcpy(mx, "mail.example.com", 16);
    policy_lint_mx(mx, 16, (struct place){0}, FINDING_ERROR, &findings);
    assert_int_equal(findings.count, 0);
    mx[4] = '\0';
    policy_lint_mx(mx, 16, (struct place){0}, FINDING_ERROR, &findings);
    policy_lint_mx(mx, 0, (struct place){0}, FINDING_ERROR, &findings);
    assert_int_equal(findings.errors, 2);
    finding_list_free(&findings);
    free(mx);
}

static void test_errors_of_another_section_do_not_fail_this_one(void **state)
{
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy = {0};
    struct section *section = section_read(BASE MX, "enforce");

    (void)state;
    finding_add(&findings, FINDING_ERROR, "OTHER", (struct place){0}, "elsewhere");
    assert_true(policy_lint(&section->source, &arena, &findings, &policy));
    assert_int_equal(findings.count, 1);
    finding_list_free(&findings);
    arena_free(&arena);
    section_free(section);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_p26_body_of_4096_is_fine),
    cmocka_unit_test(test_p26_body_of_4097_is_a_warning),
    cmocka_unit_test(test_p26_body_of_10240_is_a_warning),
    cmocka_unit_test(test_p26_body_of_10241_is_an_error),
    cmocka_unit_test(test_p26_more_mx_lines_than_any_body_holds_is_an_error),
    cmocka_unit_test(test_t01_addresses_for_more_than_a_txt_value_are_an_error),
    cmocka_unit_test(test_p12_name_of_253_is_fine),
    cmocka_unit_test(test_p12_name_of_254_is_an_error),
    cmocka_unit_test(test_d02_domain_of_242_is_fine),
    cmocka_unit_test(test_d02_domain_of_243_is_an_error),
    cmocka_unit_test(test_d02_domain_of_254_is_an_error),
    cmocka_unit_test(test_lint_fills_the_policy_in_ini_order_and_lower_case),
    cmocka_unit_test(test_p14_text_shows_a_u_label_escaped_and_asks_for_the_a_label),
    cmocka_unit_test(test_text_of_a_terminal_sequence_is_escaped),
    cmocka_unit_test(test_d01_text_of_a_long_domain_still_says_why),
    cmocka_unit_test(test_d01_text_of_a_policy_host_names_the_domain),
    cmocka_unit_test(test_t02_text_shows_the_address_encoded),
    cmocka_unit_test(test_t02_text_shows_a_stray_percent_sign_encoded),
    cmocka_unit_test(test_t02_text_of_several_addresses_shows_no_encoding),
    cmocka_unit_test(test_t03_text_says_to_remove_what_does_not_belong),
    cmocka_unit_test(test_p08_advice_for_mode_none_is_a_day),
    cmocka_unit_test(test_p09_an_unknown_mode_is_not_taken_for_none),
    cmocka_unit_test(test_p18_text_of_a_url_says_so),
    cmocka_unit_test(test_an_incomplete_section_lacks_nothing),
    cmocka_unit_test(test_t02_text_of_a_long_address_shows_no_cut_encoding),
    cmocka_unit_test(test_p18_ipv4_address_has_the_severity_asked_for),
    cmocka_unit_test(test_p12_mx_is_judged_by_its_length_and_not_by_a_nul),
    cmocka_unit_test(test_errors_of_another_section_do_not_fail_this_one),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

int main(void)
{
    static struct CMUnitTest policy_lint_tests[COUNT(rows) + COUNT(others)];

    for (size_t i = 0; i < COUNT(rows); i++)
        policy_lint_tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = test_row, .initial_state = (void *)&rows[i]};
    memcpy(policy_lint_tests + COUNT(rows), others, sizeof others);
    print_message("%zu rows\n", COUNT(rows));
    return cmocka_run_group_tests(policy_lint_tests, NULL, NULL);
}
