/* SPDX-License-Identifier: MIT
 * Judges the text of the policy that is served, by the strict parser of mta-stsd.
 */
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "tls.h"

#define DAY 86400
#define TWO_WEEKS (14 * DAY)

/* The parser's codes in ours; `part` tells findings of one code apart by a part of their text. */
static const struct {
    const char *code, *part, *ours;
} translations[] = {
    {"VERSION", "", "POL_VERSION"},
    {"MODE", "", "POL_MODE"},
    {"MAX_AGE_SYNTAX", "", "POL_MAXAGE"},
    {"MAX_AGE_LARGE", "", "POL_MAXAGE"},
    {"FIELD_MISSING", "no version", "POL_VERSION"},
    {"FIELD_MISSING", "no mode", "POL_MODE"},
    {"FIELD_MISSING", "no max_age", "POL_MAXAGE"},
    {"FIELD_MISSING", "no mx", "POL_MX_SYNTAX"},
    {"EMPTY_LINE", "", "POL_LINES"},
    {"SENDERS_DIFFER", " again: ", "POL_DUP"},
    {"SENDERS_DIFFER", "unknown field", "POL_UNKNOWN"},
    {"SENDERS_DIFFER", "CRLF here", "POL_LINES"},
    {"SENDERS_DIFFER", "", "POL_SENDERS_DIFFER"},
};

/* NULL: it is said elsewhere, or of no concern here. */
static const char *translate(const struct finding *f)
{
    for (size_t i = 0; i < sizeof translations / sizeof *translations; i++)
        if (strcmp(f->code, translations[i].code) == 0 &&
            strstr(f->text, translations[i].part) != NULL)
            return translations[i].ours;
    if (f->severity != FINDING_ERROR)
        return NULL;
    bool mx = strncmp(f->code, "MX_", 3) == 0;
    return mx ? "POL_MX_SYNTAX" : "POL_SYNTAX";
}

static void take_over(struct checks *checks, const struct finding_list *parsed)
{
    for (size_t i = 0; i < parsed->count; i++) {
        const struct finding *f = &parsed->items[i];
        const char *code = translate(f);
        struct place place = {checks->host, f->place.line, 0};
        if (code == NULL)
            continue;
        finding_add_copy(&checks->findings, f,
                         strcmp(code, "POL_UNKNOWN") == 0 ? FINDING_INFO : f->severity, code,
                         place);
    }
}

static void judge_lines(struct checks *checks, const char *body, size_t len)
{
    bool ascii = true;

    for (size_t i = 0; i < len; i++)
        ascii = ascii && (unsigned char)body[i] < 0x80;
    if (!ascii)
        checks_add(checks, FINDING_WARNING, "POL_LINES", checks->host,
                   "the policy has bytes that are not ASCII: some senders refuse it");
    if (len > 0 && memchr(body, '\r', len) == NULL)
        checks_add(checks, FINDING_INFO, "POL_LINES", checks->host,
                   "its lines end in LF alone; CRLF is what the RFC shows");
}

static void judge_values(struct checks *checks, const struct policy *policy)
{
    bool enforce = policy->mode == POLICY_MODE_ENFORCE;
    struct place place = {checks->host, policy->max_age_line, 0};

    if (policy->max_age < DAY || (enforce && policy->max_age < TWO_WEEKS)) {
        finding_add(&checks->findings, FINDING_WARNING, "POL_MAXAGE_SHORT", place,
                    policy->max_age < DAY
                        ? "max_age is %u seconds: below a day large senders ignore the policy"
                        : "max_age is %u seconds: under enforce two weeks or more protect better",
                    policy->max_age);
        finding_add_fix(&checks->findings, "max_age = %d",
                        policy->mode == POLICY_MODE_NONE ? DAY : TWO_WEEKS);
    }
    if (policy->mode == POLICY_MODE_TESTING)
        checks_add(checks, FINDING_INFO, "MODE_TESTING", checks->host,
                   "mode testing: nothing is enforced yet; go to enforce when the reports have "
                   "been clean for two weeks, and change the id");
    if (policy->mode == POLICY_MODE_NONE)
        checks_add(checks, FINDING_WARNING, "MODE_NONE", checks->host,
                   "mode none: MTA-STS is off; serve this until the old max_age is over, then "
                   "remove the record and the host");
}

void checks_policy(struct checks *checks, const char *body, size_t len)
{
    struct finding_list parsed = {0};
    struct policy policy;
    uint8_t digest[POLICY_DIGEST_SIZE];
    enum policy_verdict verdict =
        policy_parse(body, len, checks->host, &checks->arena, &parsed, &policy);

    take_over(checks, &parsed);
    judge_lines(checks, body, len);
    if (verdict != POLICY_INVALID) {
        judge_values(checks, &policy);
        checks->policy = policy;
        checks->policy_known = true;
        checks_saw(checks, "policy", "mode %s, max_age %u, %zu mx", policy_mode_name(policy.mode),
                   policy.max_age, policy.mx_count);
        if (tls_sha256(body, len, digest))
            policy_id(digest, NULL, checks->served_id);
    }
    finding_list_free(&parsed);
}
