/* SPDX-License-Identifier: MIT
 * Judges a policy as an administrator wrote it, before anything of it is served. The worst mistakes
 * are those that make a policy which every sender accepts and no MX ever matches: under enforce
 * they stop all mail, so nothing is guessed and nothing is mended but letter case and repetition.
 */
#include <string.h>

#include "name.h"
#include "policy.h"
#include "rua.h"

#define DAY 86400u
#define PREFIX "mta-sts."
#define SERIAL_DIGITS_MAX (POLICY_ID_MAX - POLICY_ID_DIGITS - 1)
#define PLEASANT_SIZE_MAX 4096
#define QUOTED_MAX 300 /* octets of a value that a finding quotes */

struct lint {
    const struct policy_source *source;
    struct arena *arena;
    struct finding_list *findings;
    struct policy *policy;
    bool mode_known;
};

static struct place place_at(const struct lint *lint, unsigned line)
{
    return (struct place){lint->source->file, line, 0};
}

static void say(const struct lint *lint, enum finding_severity severity, unsigned line,
                const char *code, const char *text)
{
    finding_add(lint->findings, severity, code, place_at(lint, line), "%s", text);
}

/* Not for 0: that is missing, or has been judged. */
static void advise_max_age(const struct policy *policy, bool mode_known, struct place place,
                           struct finding_list *findings)
{
    const char *advice = NULL, *code = "MAX_AGE_SHORT";
    enum finding_severity severity = FINDING_WARNING;
    bool none = mode_known && policy->mode == POLICY_MODE_NONE;
    bool enforce = mode_known && policy->mode == POLICY_MODE_ENFORCE;

    if (none && policy->max_age > DAY) {
        code = "MAX_AGE_NONE";
        advice = "is long for mode none: 86400 (a day) lets senders forget the policy soon";
    } else if (policy->max_age == POLICY_MAX_AGE_MAX) {
        severity = FINDING_INFO;
        code = "MAX_AGE_YEAR";
        advice =
            "is the very maximum: Stalwart keeps such a policy for a day only; 31557599 is fine";
    } else if (policy->max_age < DAY) {
        advice = none ? "is less than a day: large senders ignore such a policy; 86400 is usual"
                      : "is less than a day: large senders ignore such a policy; 1209600 (two "
                        "weeks) or more is usual";
    } else if (enforce && policy->max_age < 7 * DAY) {
        advice = "is less than a week under enforce: mimecast raises it to 604800; 1209600 (two "
                 "weeks) or more is usual";
    } else if (enforce && policy->max_age < 14 * DAY) {
        advice = "is less than two weeks under enforce: checkers ask for 1209600 or more";
    }
    if (advice != NULL && policy->max_age > 0)
        finding_add(findings, severity, code, place, "max_age %u %s", policy->max_age, advice);
}

void policy_advise(const struct policy *policy, bool mode_known, const char *file,
                   struct finding_list *findings)
{
    advise_max_age(policy, mode_known,
                   (struct place){file, policy->max_age_line, policy->max_age_column}, findings);
    for (size_t i = 0; i < policy->mx_count; i++) {
        unsigned column = policy->mx_columns == NULL ? 0 : policy->mx_columns[i];
        policy_advise_mx(policy, policy->mx[i].pattern,
                         (struct place){file, policy->mx[i].line, column}, findings);
    }
}

/* What is not there is missing only where every line could be read. */
static void say_missing(const struct lint *lint, enum finding_severity severity, const char *code,
                        const char *text)
{
    if (!lint->source->incomplete)
        say(lint, severity, lint->source->line, code, text);
}

static void lint_mode(struct lint *lint)
{
    const struct policy_value *mode = &lint->source->mode;

    lint->mode_known = mode->text != NULL &&
                       policy_mode_from_name(mode->text, strlen(mode->text), &lint->policy->mode);
    if (mode->text == NULL)
        say_missing(lint, FINDING_ERROR, "MODE", "mode is missing: testing, enforce or none");
    else if (!lint->mode_known)
        say(lint, FINDING_ERROR, mode->line, "MODE",
            "mode must be testing, enforce or none, in lower case");
    const struct policy_value *version = &lint->source->version;
    if (version->text != NULL && strcmp(version->text, "STSv1") != 0)
        say(lint, FINDING_ERROR, version->line, "VERSION",
            "version can only be STSv1; leave the line out");
}

/* Reads a number of seconds up to the RFC's maximum; false if it is none, after saying so. */
static bool lint_seconds(struct lint *lint, const struct policy_value *value, const char *key,
                         uint32_t *seconds)
{
    uint64_t number = 0;

    if (!policy_number(value->text, strlen(value->text), &number))
        finding_add(lint->findings, FINDING_ERROR, "MAX_AGE_SYNTAX", place_at(lint, value->line),
                    "%s must be seconds: 1 to 10 digits and nothing else", key);
    else if (number > POLICY_MAX_AGE_MAX)
        finding_add(lint->findings, FINDING_ERROR, "MAX_AGE_LARGE", place_at(lint, value->line),
                    "%s is more than 31557600 seconds (one year): senders refuse it", key);
    else {
        *seconds = (uint32_t)number;
        return true;
    }
    return false;
}

static void lint_ages(struct lint *lint)
{
    const struct policy_value *max_age = &lint->source->max_age;
    const struct policy_value *previous = &lint->source->previous_max_age;
    uint32_t previous_seconds = 0;
    bool none = lint->mode_known && lint->policy->mode == POLICY_MODE_NONE;

    if (max_age->text == NULL) {
        say_missing(
            lint, FINDING_ERROR, "MAX_AGE_MISSING",
            "max_age is missing: seconds that senders keep the policy, 1209600 for two weeks");
    } else if (lint_seconds(lint, max_age, "max_age", &lint->policy->max_age) &&
               lint->policy->max_age == 0) {
        say(lint, none ? FINDING_WARNING : FINDING_ERROR, max_age->line, "MAX_AGE_ZERO",
            "max_age 0 makes the policy useless, and chasquid, EFF and MailCheck refuse it");
    }
    lint->policy->max_age_line = max_age->line;
    if (previous->text != NULL)
        lint_seconds(lint, previous, "previous_max_age", &previous_seconds);
    if (previous->text != NULL && lint->mode_known && !none)
        say(lint, FINDING_WARNING, previous->line, "PREVIOUS_MAX_AGE",
            "previous_max_age has a meaning only with mode none");
    if (none)
        say(lint, FINDING_INFO, lint->source->mode.line, "REMOVAL",
            previous->text != NULL
                ? "mode none: keep serving it until every sender has forgotten the policy before; "
                  "--print-dns prints the date"
                : "mode none: keep serving it until every sender has forgotten the policy before; "
                  "set previous_max_age to the largest max_age ever served, and --print-dns prints "
                  "the date");
}

static void lint_one_mx(struct lint *lint, const struct policy_value *value)
{
    struct policy *policy = lint->policy;
    struct place place = place_at(lint, value->line);
    size_t len = strlen(value->text), errors = lint->findings->errors;

    policy_lint_mx(value->text, len, place, FINDING_ERROR, lint->findings);
    if (lint->findings->errors != errors)
        return;
    char *pattern = arena_copy(lint->arena, value->text, len);
    if (pattern == NULL) {
        lint->findings->out_of_memory = true;
        return;
    }
    name_lower(pattern);
    if (strcmp(pattern, value->text) != 0)
        finding_add(lint->findings, FINDING_INFO, "MX_CASE", place,
                    "mx \"%s\" is served in lower case: %s", value->text, pattern);
    if (!name_punycode_ok(pattern, len))
        finding_add(
            lint->findings, FINDING_WARNING, "MX_PUNYCODE", place,
            "mx \"%s\" has an xn-- label that decodes to no name: a typing error? mox refuses "
            "such a policy",
            pattern);
    if (policy_mx_is_listed(policy, pattern)) {
        finding_add(lint->findings, FINDING_WARNING, "MX_DUPLICATE", place,
                    "mx %s is listed already; served once", pattern);
        return;
    }
    struct policy_mx *mx = arena_grow(lint->arena, policy->mx, policy->mx_count, sizeof *mx);
    if (mx == NULL) {
        lint->findings->out_of_memory = true;
        return;
    }
    policy->mx = mx;
    policy->mx[policy->mx_count++] = (struct policy_mx){pattern, value->line};
}

static void lint_mx(struct lint *lint)
{
    const struct policy_source *source = lint->source;

    for (size_t i = 0; i < source->mx.count && i < POLICY_MX_MAX; i++)
        lint_one_mx(lint, &source->mx.items[i]);
    /* Left away without a word, a host would never match. */
    if (source->mx.count > POLICY_MX_MAX)
        say(lint, FINDING_ERROR, source->mx.items[POLICY_MX_MAX].line, "MX_MANY",
            "more mx lines than a policy can hold: use wildcards");
    if (source->mx.count > 0)
        return;
    if (lint->mode_known && lint->policy->mode == POLICY_MODE_NONE)
        say_missing(
            lint, FINDING_WARNING, "MX_MISSING",
            "there is no mx: chasquid, Stalwart and MailCheck refuse mode none without one; "
            "keep the mx lines of the policy before");
    else
        say_missing(lint, FINDING_ERROR, "MX_MISSING",
                    "there is no mx: list every host of the domain's MX records, one a line");
}

bool policy_domain_is_valid(const char *domain, const char **code, const char **reason)
{
    size_t len = strlen(domain);

    *code = "DOMAIN_SYNTAX";
    *reason = NULL;
    if (!name_is_ascii(domain, len)) {
        *reason = "is not ASCII: write the A-label (xn--...)";
    } else if (len > 1 && domain[len - 1] == '.') {
        *reason = "ends in a dot: leave the dot away";
    } else if (name_is_valid(domain, len, reason)) {
        if (name_is_ipv4(domain, len)) {
            *reason = "is an address, not a mail domain";
        } else if (name_ends_in_number(domain, len)) {
            *reason = "ends in a number: no top-level domain is one";
        } else if (strncasecmp(domain, PREFIX, strlen(PREFIX)) == 0) {
            *code = "DOMAIN_PREFIX";
            *reason = "is a policy host: mta-sts. is put before the mail domain";
        } else if (len + strlen("_smtp._tls.") > NAME_MAX_LEN) {
            *code = "DOMAIN_LENGTH";
            *reason = "is too long: _smtp._tls. does not fit before it";
        }
    }
    return *reason == NULL;
}

static void lint_domain(struct lint *lint, const struct policy_value *value)
{
    struct place place = place_at(lint, value->line);
    const char *code, *reason;

    if (policy_domain_is_valid(value->text, &code, &reason)) {
        if (strchr(value->text, '.') == NULL)
            finding_add(lint->findings, FINDING_WARNING, "DOMAIN_SINGLE_LABEL", place,
                        "domain %s is a single label: write the whole mail domain", value->text);
    } else if (strcmp(code, "DOMAIN_PREFIX") == 0) {
        finding_add(lint->findings, FINDING_ERROR, code, place,
                    "domain is the mail domain; mta-sts. is put before it: write %s",
                    value->text + strlen(PREFIX));
    } else {
        finding_add(lint->findings, FINDING_ERROR, code, place, "domain \"%.*s\" %s", QUOTED_MAX,
                    value->text, reason);
    }
}

/* The domain of this policy that a report address ends in, if the policy is enforced. */
static const char *enforced_domain(const struct lint *lint, const char *uri)
{
    const struct policy_values *domains = &lint->source->domains;
    const char *end = uri + strcspn(uri, "?#"), *at = memrchr(uri, '@', (size_t)(end - uri));

    if (at == NULL || lint->policy->mode != POLICY_MODE_ENFORCE)
        return NULL;
    for (size_t i = 0; i < domains->count; i++)
        if (name_equal(at + 1, (size_t)(end - at) - 1, domains->items[i].text,
                       strlen(domains->items[i].text)))
            return domains->items[i].text;
    return NULL;
}

static void lint_rua(struct lint *lint)
{
    const struct policy_source *source = lint->source;
    char value[POLICY_TXT_MAX];
    struct text txt;

    for (size_t i = 0; i < source->rua.count; i++)
        rua_lint(source->rua.items[i].text, enforced_domain(lint, source->rua.items[i].text),
                 place_at(lint, source->rua.items[i].line), lint->findings);
    if (source->rua.count > 1)
        say(lint, FINDING_INFO, source->rua.items[1].line, "RUA_MANY",
            "more than one rua: some senders report to one only");
    if (source->rua.count == 0 && lint->policy->mode == POLICY_MODE_TESTING)
        say_missing(lint, FINDING_WARNING, "RUA_MISSING",
                    "mode testing without rua: nobody will report what fails");
    text_init(&txt, value, sizeof value);
    policy_tlsrpt_txt(&source->rua, &txt);
    if (txt.overflow)
        say(lint, FINDING_ERROR, source->rua.items[0].line, "RUA_LONG",
            "the addresses make a TXT record of more than 2047 octets");
}

static void lint_serial(struct lint *lint)
{
    const struct policy_value *serial = &lint->source->serial;

    if (serial->text == NULL)
        return;
    size_t len = strlen(serial->text);
    if (len < 1 || len > SERIAL_DIGITS_MAX || strspn(serial->text, "0123456789") != len)
        finding_add(lint->findings, FINDING_ERROR, "SERIAL", place_at(lint, serial->line),
                    "serial must be 1 to %d digits: an id has room for %d letters and digits",
                    SERIAL_DIGITS_MAX, POLICY_ID_MAX);
}

static void lint_size(struct lint *lint)
{
    char body[POLICY_BODY_MAX + 1];
    struct text out;
    struct place place = place_at(lint, lint->source->line);

    text_init(&out, body, sizeof body);
    policy_render(lint->policy, &out);
    if (out.overflow)
        finding_add(lint->findings, FINDING_ERROR, "BODY_SIZE", place,
                    "the policy is larger than %d octets: chasquid reads no more; use wildcards or "
                    "fewer mx",
                    POLICY_BODY_MAX);
    else if (out.len > PLEASANT_SIZE_MAX)
        finding_add(lint->findings, FINDING_WARNING, "BODY_SIZE", place,
                    "the policy is %zu octets: checkers warn above %d", out.len, PLEASANT_SIZE_MAX);
}

/* A wildcard over the policy domain itself: a certificate for any host of it makes an MX. */
static void lint_own_wildcards(const struct lint *lint)
{
    for (size_t i = 0; i < lint->policy->mx_count; i++) {
        const struct policy_mx *mx = &lint->policy->mx[i];
        for (size_t d = 0; mx->pattern[0] == '*' && d < lint->source->domains.count; d++)
            if (strcasecmp(mx->pattern + 2, lint->source->domains.items[d].text) == 0)
                finding_add(lint->findings, FINDING_WARNING, "MX_WILDCARD_OWN",
                            place_at(lint, mx->line),
                            "mx %s makes every host of the domain an MX; name the hosts (RFC 8461 "
                            "section 10.4)",
                            mx->pattern);
    }
}

bool policy_lint(const struct policy_source *source, struct arena *arena,
                 struct finding_list *findings, struct policy *policy)
{
    struct lint lint = {source, arena, findings, policy, false};
    size_t errors = findings->errors;

    *policy = (struct policy){.mode = POLICY_MODE_NONE};
    if (source->domains.count == 0)
        say_missing(&lint, FINDING_ERROR, "DOMAIN_MISSING", "there is no domain in this section");
    for (size_t i = 0; i < source->domains.count; i++)
        lint_domain(&lint, &source->domains.items[i]);
    lint_mode(&lint);
    lint_mx(&lint);
    lint_ages(&lint);
    lint_rua(&lint);
    lint_serial(&lint);
    lint_size(&lint);
    policy_advise(policy, lint.mode_known, source->file, findings);
    lint_own_wildcards(&lint);
    return findings->errors == errors && !source->incomplete && !findings->out_of_memory;
}
