/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as a policy file. Its verdict is that of a second reader, written from the
 * grammar of RFC 8461 section 3.2 alone; what is valid survives being rendered; and a host matches
 * an mx only by the rule of section 4.1.
 */
#include "fuzz.h"

#include <strings.h>

#include "policy.h"

#define LDH FUZZ_ALNUM "-"
#define MATCHED_MAX 6 /* patterns and hosts that are matched with each other */
#define FAULTS_MAX 100
#define RENDERED_MAX (1 << 20)

/* What the second reader has seen so far. */
struct seen {
    unsigned version, mode, max_age, mx;
    bool none;
};

static bool is_domain(const char *name, size_t len)
{
    if (len < 1 || len > 253)
        return false;
    for (size_t start = 0, end; start <= len; start = end + 1) {
        for (end = start; end < len && name[end] != '.';)
            end++;
        if (end == start || end - start > 63 || name[start] == '-' || name[end - 1] == '-' ||
            !fuzz_is_of(name + start, end - start, LDH))
            return false;
    }
    return true;
}

/* The length of a UTF-8 character (RFC 3629 section 4) of `len` octets or fewer; 0 if it is none.
 */
static size_t character(const unsigned char *c, size_t len)
{
    size_t size = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    uint32_t point = size == 1 ? c[0] : c[0] & (0x7fu >> size);
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if ((c[0] >= 0x80 && c[0] < 0xc0) || c[0] > 0xf7 || size > len)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if (c[i] < 0x80 || c[i] > 0xbf)
            return 0;
        point = point << 6 | (c[i] & 0x3fu);
    }
    return point < least[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0
                                                                                          : size;
}

/* No control bytes of ASCII, and nothing that is not UTF-8. */
static bool is_text(const char *value, size_t len)
{
    for (size_t i = 0, step; i < len; i += step) {
        step = character((const unsigned char *)value + i, len - i);
        if (step == 0 || (unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return false;
    }
    return true;
}

static bool is(const char *at, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(at, word, len) == 0;
}

static bool is_age(const char *value, size_t len)
{
    char digits[11] = "";

    if (len < 1 || len > 10 || !fuzz_is_of(value, len, FUZZ_DIGITS))
        return false;
    memcpy(digits, value, len);
    return strtoull(digits, NULL, 10) <= 31557600;
}

static bool is_field(const char *line, size_t len, struct seen *seen)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon == NULL ? 0 : (size_t)(colon - line), at = name + 1;

    if (name < 1 || name > 32 || !fuzz_is_of(line, name, FUZZ_ALNUM "_-.") ||
        strchr("_-.", line[0]) != NULL)
        return false;
    while (at < len && (line[at] == ' ' || line[at] == '\t'))
        at++;
    const char *value = line + at;
    size_t size = len - at;
    if (is(line, name, "version") && seen->version++ == 0)
        return is(value, size, "STSv1");
    if (is(line, name, "mode") && seen->mode++ == 0) {
        seen->none = is(value, size, "none");
        return seen->none || is(value, size, "testing") || is(value, size, "enforce");
    }
    if (is(line, name, "max_age") && seen->max_age++ == 0)
        return is_age(value, size);
    if (is(line, name, "mx")) {
        size_t skip = size > 2 && value[0] == '*' && value[1] == '.' ? 2 : 0;
        seen->mx++;
        return is_domain(value + skip, size - skip);
    }
    return size > 0 && is_text(value, size);
}

static bool is_policy(const char *text, size_t len)
{
    struct seen seen = {0};

    for (size_t at = 0; at < len;) {
        size_t end = at;
        while (end < len && text[end] != '\n')
            end++;
        size_t stop = end - (end < len && end > at && text[end - 1] == '\r');
        while (stop > at && (text[stop - 1] == ' ' || text[stop - 1] == '\t'))
            stop--;
        if (!is_field(text + at, stop - at, &seen))
            return false;
        at = end + 1;
    }
    return seen.version > 0 && seen.mode > 0 && seen.max_age > 0 && (seen.mx > 0 || seen.none);
}

/* Each is about a place that the file has; the place behind its end counts. */
static void check_places(const struct finding_list *findings, const char *text, size_t len)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];
        size_t at = 0, line = 1;
        require(f->text[0] != '\0' && fuzz_is_printable(f->text, strlen(f->text)));
        if (f->place.line == 0)
            continue;
        for (; line < f->place.line; line++) {
            const char *lf = at < len ? memchr(text + at, '\n', len - at) : NULL;
            require(lf != NULL);
            at = (size_t)(lf - text) + 1;
        }
        const char *lf = at < len ? memchr(text + at, '\n', len - at) : NULL;
        size_t line_len = (lf == NULL ? len : (size_t)(lf - text)) - at;
        require(f->place.column <= line_len + 1);
    }
}

/* A name as lower-case labels, and how they must compare. */
static bool should_match(const char *pattern, const char *host)
{
    if (pattern[0] != '*')
        return strcasecmp(pattern, host) == 0;
    size_t label = strcspn(host, ".");
    return label > 0 && strcasecmp(host + label, pattern + 1) == 0;
}

static void check_match(const char *pattern, const char *zone)
{
    static const char *const prefixes[] = {"", "a.", "A-1.", "a.b.", ".", "a", "*."};
    char host[300];

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(host, sizeof host, "%s%s", prefixes[i], zone);
        require(policy_mx_matches(pattern, host) == should_match(pattern, host));
    }
    snprintf(host, sizeof host, "%s.", zone);
    require(!policy_mx_matches(pattern, host) || pattern[strlen(pattern) - 1] == '.');
}

/* Each pattern with the names that it and others are about, and with the last line of the file. */
static void check_matches(const struct policy *policy, const char *text, size_t len)
{
    const char *lf = len > 0 ? memrchr(text, '\n', len - 1) : NULL;
    size_t start = lf == NULL ? 0 : (size_t)(lf - text) + 1;
    char *last = fuzz_string(text + start, len - start);
    size_t count = policy->mx_count < MATCHED_MAX ? policy->mx_count : MATCHED_MAX;

    for (size_t i = 0; i < count; i++) {
        const char *pattern = policy->mx[i].pattern;
        require(policy_mx_matches(pattern, last) == should_match(pattern, last));
        for (size_t k = 0; k < count; k++) {
            const char *zone = policy->mx[k].pattern;
            const char *dot = strchr(zone, '.');
            check_match(pattern, zone);
            if (dot != NULL)
                check_match(pattern, dot + 1);
        }
    }
    free(last);
}

static void check_rendered(const struct policy *policy)
{
    static char body[RENDERED_MAX];
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy again;
    struct text out;

    text_init(&out, body, sizeof body);
    policy_render(policy, &out);
    require(!out.overflow && is_policy(body, out.len));
    enum policy_verdict verdict = policy_parse(body, out.len, "", &arena, &findings, &again);
    require(verdict == (out.len > 65536 ? POLICY_CONTRADICTORY : POLICY_VALID));
    require(policy_equal(policy, &again));
    arena_free(&arena);
    finding_list_free(&findings);
}

/* What an administrator may write, a strict reader takes as it was written, but for repetition. */
static void check_lint(const struct policy *policy)
{
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy linted;
    char age[16];
    struct policy_value domain = {"example.org", 1}, *mx = calloc(policy->mx_count + 1, sizeof *mx);
    struct policy_source source = {.file = "", .line = 1, .domains = {&domain, 1}};

    require(mx != NULL);
    for (size_t i = 0; i < policy->mx_count; i++)
        mx[i] = (struct policy_value){policy->mx[i].pattern, 2};
    snprintf(age, sizeof age, "%u", policy->max_age);
    source.mx = (struct policy_values){mx, policy->mx_count};
    source.mode = (struct policy_value){policy_mode_name(policy->mode), 3};
    source.max_age = (struct policy_value){age, 4};
    if (policy_lint(&source, &arena, &findings, &linted)) {
        require(findings.errors == 0);
        require(linted.mode == policy->mode && linted.max_age == policy->max_age);
        require(linted.mx_count <= policy->mx_count && linted.mx_count <= POLICY_MX_MAX);
        for (size_t i = 0; i < policy->mx_count; i++)
            require(policy_mx_is_listed(&linted, policy->mx[i].pattern));
        for (size_t i = 0; i < linted.mx_count; i++)
            require(policy_mx_is_listed(policy, linted.mx[i].pattern));
        check_rendered(&linted);
    } else
        require(findings.errors > 0);
    free(mx);
    arena_free(&arena);
    finding_list_free(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy policy;
    enum policy_verdict verdict = policy_parse(text, size, "f", &arena, &findings, &policy);

    require(verdict == (!is_policy(text, size) ? POLICY_INVALID
                        : size > 65536         ? POLICY_CONTRADICTORY
                                               : POLICY_VALID));
    require((verdict == POLICY_VALID) == (findings.errors == 0));
    require(findings.errors <= FAULTS_MAX + 8);
    check_places(&findings, text, size);
    check_matches(&policy, text, size);
    if (verdict != POLICY_INVALID) {
        check_rendered(&policy);
        check_lint(&policy);
    }
    finding_list_free(&findings);
    arena_free(&arena);
    free(text);
    return 0;
}
