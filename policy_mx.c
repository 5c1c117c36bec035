/* SPDX-License-Identifier: MIT
 * The mx patterns of a policy. Whoever wrote the INI file, the policy file or a record chose the
 * bytes; most mistakes here make a name that no MX host ever has.
 */
#include <string.h>

#include "name.h"
#include "policy.h"

#define QUOTED_MAX 300 /* octets of a value that a finding quotes */

struct mx_fault {
    const char *code, *text;
};

static bool has_any(const char *s, size_t len, const char *bytes)
{
    for (; *bytes != '\0'; bytes++)
        if (memchr(s, *bytes, len) != NULL)
            return true;
    return false;
}

/* Digits and then a blank: `10 mail.example.com` as in a zone file. */
static bool begins_with_number(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && s[n] >= '0' && s[n] <= '9')
        n++;
    return n > 0 && n < len && (s[n] == ' ' || s[n] == '\t');
}

size_t policy_mx_prefix(const char *mx, size_t len)
{
    return len > 2 && mx[0] == '*' && mx[1] == '.' ? 2 : 0;
}

/* The frequent mistakes, each with its own code and advice; text NULL if it is none of them. */
static struct mx_fault mx_mistake(const char *mx, size_t len)
{
    size_t prefix = policy_mx_prefix(mx, len);

    if (!name_is_ascii(mx, len))
        return (struct mx_fault){"MX_IDN", "is not ASCII: write the A-label (xn--...)"};
    if (has_any(mx, len, "#;"))
        return (struct mx_fault){"MX_COMMENT",
                                 "holds a comment: put the comment on a line of its own"};
    if (has_any(mx, len, ", \t"))
        return (struct mx_fault){begins_with_number(mx, len) ? "MX_PREFERENCE" : "MX_LIST",
                                 "is more than a name: one mx line for each host, the name alone"};
    if (memmem(mx, len, "://", 3) != NULL)
        return (struct mx_fault){"MX_SYNTAX", "is a URL: write the host name alone"};
    if (mx[prefix] == '[' || name_is_ipv4(mx + prefix, len - prefix) ||
        (memchr(mx, ':', len) != memrchr(mx, ':', len)))
        return (struct mx_fault){"MX_ADDRESS",
                                 "is an address: senders compare host names; write the name that "
                                 "the MX record holds"};
    if (memchr(mx, ':', len) != NULL)
        return (struct mx_fault){"MX_PORT", "has a port: write the host name alone"};
    if (memchr(mx, '*', len) != NULL &&
        (len < 3 || mx[0] != '*' || mx[1] != '.' || memchr(mx + 1, '*', len - 1) != NULL))
        return (struct mx_fault){"MX_WILDCARD",
                                 "has a * that is not the whole first label: only *.example.com is "
                                 "a wildcard"};
    if (memchr(mx, '_', len) != NULL)
        return (struct mx_fault){"MX_UNDERSCORE", "has an underscore: no host name may"};
    if (len > 1 && mx[len - 1] == '.')
        return (struct mx_fault){"MX_TRAILING_DOT", "ends in a dot: leave the dot away"};
    return (struct mx_fault){NULL, NULL};
}

void policy_lint_mx(const char *mx, size_t len, struct place place,
                    enum finding_severity number_severity, struct finding_list *findings)
{
    struct mx_fault fault = {NULL, NULL};
    enum finding_severity severity = FINDING_ERROR;
    size_t prefix = policy_mx_prefix(mx, len);
    const char *name = mx + prefix;
    size_t name_len = len - prefix;

    if (len > 0)
        fault = mx_mistake(mx, len);
    if (fault.text == NULL) {
        fault.code = "MX_SYNTAX";
        if (name_is_valid(name, name_len, &fault.text) &&
            (number_severity != FINDING_ERROR || !name_ends_in_number(name, name_len)))
            return;
        if (fault.text == NULL)
            fault.text = "ends in a number: no top-level domain is one; write the whole name";
    }
    if (name_is_ipv4(name, name_len) && name_is_valid(name, name_len, NULL))
        severity = number_severity;
    finding_add(findings, severity, fault.code, place, "mx \"%.*s\" %s",
                len > QUOTED_MAX ? QUOTED_MAX : (int)len, mx, fault.text);
}

/* The first wildcard that covers an explicit name; one finding a name, however many wildcards. */
static const char *covering_wildcard(const struct policy *policy, const char *name)
{
    for (size_t i = 0; policy->mx_count <= POLICY_MX_MAX && i < policy->mx_count; i++) {
        const char *pattern = policy->mx[i].pattern;
        if (pattern[0] == '*' && policy_mx_matches(pattern, name))
            return pattern;
    }
    return NULL;
}

void policy_advise_mx(const struct policy *policy, const char *pattern, struct place place,
                      struct finding_list *findings)
{
    bool wildcard = pattern[0] == '*';
    const char *cover = wildcard ? NULL : covering_wildcard(policy, pattern);

    if (wildcard && strchr(pattern + 2, '.') == NULL)
        finding_add(findings, FINDING_WARNING, "MX_WILDCARD_TLD", place,
                    "mx %s covers a whole top-level domain: anyone can have a host there", pattern);
    if (!wildcard && strchr(pattern, '.') == NULL)
        finding_add(
            findings, FINDING_WARNING, "MX_SINGLE_LABEL", place,
            "mx %s is a single label: senders compare whole names; write it with its domain",
            pattern);
    if (cover != NULL)
        finding_add(findings, FINDING_INFO, "MX_COVERED", place,
                    "mx %s is covered by %s, which is listed too", pattern, cover);
}

bool policy_mx_is_listed(const struct policy *policy, const char *pattern)
{
    for (size_t i = 0; policy->mx_count <= POLICY_MX_MAX && i < policy->mx_count; i++)
        if (strcmp(policy->mx[i].pattern, pattern) == 0)
            return true;
    return false;
}
