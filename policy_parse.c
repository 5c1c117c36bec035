/* SPDX-License-Identifier: MIT
 * The strict parser for policy files, by the ABNF of RFC 8461 section 3.2, and what is known of the
 * senders that read less than the RFC allows. Every byte here is hostile: the file may be
 * anybody's.
 */
#include <string.h>

#include "name.h"
#include "policy.h"

#define EXT_NAME_MAX 32
#define SUGGESTED_SIZE_MAX 65536 /* octets, RFC 8461 section 3.3 */
#define MIMECAST_SIZE_MAX 64000
#define PLEASANT_SIZE_MAX 4096
/* Enough to mend a file by; hostile ones have a fault in every byte. */
#define FAULTS_MAX 100

enum field {
    FIELD_VERSION,
    FIELD_MODE,
    FIELD_MAX_AGE,
    FIELD_MX,
    FIELD_EXTENSION,
};

static const char *const field_names[] = {
    [FIELD_VERSION] = "version",
    [FIELD_MODE] = "mode",
    [FIELD_MAX_AGE] = "max_age",
    [FIELD_MX] = "mx",
};

struct parser {
    const char *file;
    struct arena *arena;
    struct finding_list *findings;
    struct policy *policy;
    const char *line; /* the line at hand, without terminator and trailing blanks */
    size_t len;
    unsigned number, skipped;       /* bytes before `line` */
    unsigned seen[FIELD_EXTENSION]; /* number of the line where a field came first */
    unsigned crlf, lf;              /* lines by their terminator */
    bool mode_known;
};

static struct place at(const struct parser *p, size_t offset)
{
    return (struct place){p->file, p->number, p->skipped + (unsigned)offset + 1};
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ext-name = ALPHANUM *31( ALPHANUM / "_" / "-" / "." ) */
static bool is_ext_name(const char *name, size_t len)
{
    if (len < 1 || len > EXT_NAME_MAX || !is_alnum(name[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!is_alnum(name[i]) && name[i] != '_' && name[i] != '-' && name[i] != '.')
            return false;
    return true;
}

/* ext-value: printable ASCII and UTF-8 with spaces only inside. Returns the offset of the first
 * byte that does not fit, or len. */
static size_t ext_value_span(const char *value, size_t len, bool *ascii)
{
    *ascii = true;
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)value[i];
        size_t step = c >= 0x20 && c <= 0x7e ? 1 : 0;
        if (c >= 0x80) {
            *ascii = false;
            step = text_utf8_len((const unsigned char *)value + i, len - i);
        }
        if (step == 0)
            return i;
        i += step;
    }
    return len;
}

/* What is valid in an mx, and of little use with some senders. */
static void judge_mx(struct parser *p, const char *value, size_t len, const char *pattern,
                     struct place place)
{
    size_t prefix = policy_mx_prefix(value, len);

    if (name_is_ipv4(value + prefix, len - prefix))
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "mox and postfix-tlspol refuse a policy with an IP address as mx");
    else if (name_ends_in_number(value, len))
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "the mx ends in a number: no top-level domain is one, and some programs take "
                    "such a name for an IP address");
    if (!name_punycode_ok(value, len))
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "mox refuses a policy with an xn-- label that decodes to no name");
    if (memcmp(pattern, value, len) != 0)
        finding_add(p->findings, FINDING_WARNING, "MX_CASE", place,
                    "mx in upper case: mimecast compares letter by letter; write %s", pattern);
    if (policy_mx_is_listed(p->policy, pattern))
        finding_add(p->findings, FINDING_WARNING, "MX_DUPLICATE", place, "mx %s is listed already",
                    pattern);
}

static void add_mx(struct parser *p, const char *value, size_t len, size_t offset)
{
    struct policy *policy = p->policy;
    size_t errors = p->findings->errors, count = policy->mx_count;
    struct place place = at(p, offset);

    policy_lint_mx(value, len, place, FINDING_WARNING, p->findings);
    if (p->findings->errors != errors)
        return;
    struct policy_mx *mx = arena_grow(p->arena, policy->mx, count, sizeof *mx);
    unsigned *columns = arena_grow(p->arena, policy->mx_columns, count, sizeof *columns);
    char *copy = arena_copy(p->arena, value, len);
    if (mx == NULL || columns == NULL || copy == NULL) {
        p->findings->out_of_memory = true;
        return;
    }
    name_lower(copy);
    judge_mx(p, value, len, copy, place);
    policy->mx = mx;
    policy->mx_columns = columns;
    mx[count] = (struct policy_mx){copy, p->number};
    columns[count] = place.column;
    policy->mx_count++;
}

static void set_max_age(struct parser *p, const char *value, size_t len, size_t offset)
{
    uint64_t number;

    if (!policy_number(value, len, &number)) {
        finding_add(p->findings, FINDING_ERROR, "MAX_AGE_SYNTAX", at(p, offset),
                    "max_age must be 1 to 10 digits and nothing else");
    } else if (number > POLICY_MAX_AGE_MAX) {
        finding_add(p->findings, FINDING_ERROR, "MAX_AGE_LARGE", at(p, offset),
                    "max_age is more than 31557600 (one year)");
    } else {
        p->policy->max_age = (uint32_t)number;
        p->policy->max_age_line = p->number;
        p->policy->max_age_column = at(p, offset).column;
        if (number == 0)
            finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", at(p, offset),
                        "chasquid, MailCheck and EFF refuse a policy with max_age 0");
    }
}

static void set_field(struct parser *p, enum field field, const char *value, size_t len,
                      size_t offset)
{
    switch (field) {
    case FIELD_VERSION:
        if (len != 5 || memcmp(value, "STSv1", 5) != 0)
            finding_add(p->findings, FINDING_ERROR, "VERSION", at(p, offset),
                        "version must be STSv1, in this very case");
        break;
    case FIELD_MODE:
        p->mode_known = policy_mode_from_name(value, len, &p->policy->mode);
        if (!p->mode_known)
            finding_add(p->findings, FINDING_ERROR, "MODE", at(p, offset),
                        "mode must be testing, enforce or none, in lower case");
        break;
    case FIELD_MAX_AGE:
        set_max_age(p, value, len, offset);
        break;
    case FIELD_MX:
        add_mx(p, value, len, offset);
        break;
    case FIELD_EXTENSION:
        break;
    }
}

/* Readers that take the last of several fields, or that parse all of them, stumble over it. */
static bool repeats_badly(enum field field, const char *value, size_t len)
{
    enum policy_mode mode;
    uint64_t number;

    switch (field) {
    case FIELD_VERSION:
        return len != 5 || memcmp(value, "STSv1", 5) != 0;
    case FIELD_MODE:
        return !policy_mode_from_name(value, len, &mode);
    case FIELD_MAX_AGE:
        return !policy_number(value, len, &number) || number > POLICY_MAX_AGE_MAX;
    default:
        return false;
    }
}

/* A field that is repeated or unknown is ignored, but its value must still fit the grammar of an
 * extension, and senders differ in what they make of it. */
static void ignore_field(struct parser *p, enum field field, const char *value, size_t len,
                         size_t offset)
{
    bool ascii;
    size_t span = ext_value_span(value, len, &ascii);

    if (len == 0 || span < len) {
        finding_add(p->findings, FINDING_ERROR, "FIELD_VALUE", at(p, offset + span),
                    len == 0 ? "the value is empty"
                             : "a byte that is neither printable ASCII nor UTF-8");
        return;
    }
    if (field != FIELD_EXTENSION) {
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", at(p, 0),
                    "%s again: the first one (line %u) counts by the RFC; KumoMTA, checkdmarc, "
                    "MailCheck and EFF refuse the policy, go-mtasts, chasquid and others take the "
                    "last%s",
                    field_names[field], p->seen[field],
                    repeats_badly(field, value, len)
                        ? "; over this value mox, Snawoot, mailauth 4 and Stalwart stumble too"
                        : "");
        return;
    }
    finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", at(p, 0),
                "unknown field: senders ignore it, checkdmarc and MailCheck refuse the policy%s%s",
                memchr(value, ':', len) != NULL
                    ? "; with a colon in its value go-mtasts (maddy) refuses it too"
                    : "",
                !ascii ? "; with text that is not ASCII Snawoot refuses it too" : "");
}

static void parse_field(struct parser *p)
{
    const char *colon = memchr(p->line, ':', p->len);
    size_t name_len = colon == NULL ? 0 : (size_t)(colon - p->line);
    enum field field = FIELD_EXTENSION;

    if (colon == NULL) {
        finding_add(p->findings, FINDING_ERROR, "LINE", at(p, 0), "not a field: it has no colon");
        return;
    }
    if (!is_ext_name(p->line, name_len)) {
        finding_add(p->findings, FINDING_ERROR, "FIELD_NAME", at(p, 0),
                    "not a field name: letters, digits and _-. up to the colon, at most 32, with "
                    "no blank before or after it");
        return;
    }
    for (enum field f = 0; f < FIELD_EXTENSION; f++)
        if (strlen(field_names[f]) == name_len && memcmp(field_names[f], p->line, name_len) == 0)
            field = f;
    size_t offset = name_len + 1;
    while (offset < p->len && (p->line[offset] == ' ' || p->line[offset] == '\t'))
        offset++;
    const char *value = p->line + offset;
    size_t value_len = p->len - offset;
    if (field == FIELD_EXTENSION || (field != FIELD_MX && p->seen[field] != 0)) {
        ignore_field(p, field, value, value_len, offset);
        return;
    }
    if (p->seen[field] == 0)
        p->seen[field] = p->number;
    set_field(p, field, value, value_len, offset);
}

static void parse_line(struct parser *p)
{
    p->skipped = 0;
    if (p->number == 1 && p->len >= 3 && memcmp(p->line, "\xef\xbb\xbf", 3) == 0) {
        finding_add(p->findings, FINDING_ERROR, "FIELD_NAME", at(p, 0),
                    "the file begins with a byte order mark: save it without");
        p->line += 3;
        p->len -= 3;
        p->skipped = 3;
    }
    while (p->len > 0 && (p->line[p->len - 1] == ' ' || p->line[p->len - 1] == '\t'))
        p->len--;
    if (p->len == 0)
        finding_add(p->findings, FINDING_ERROR, "EMPTY_LINE", at(p, 0),
                    "an empty line: some senders stop reading here; remove it");
    else
        parse_field(p);
}

static void require_fields(struct parser *p)
{
    bool needs_mx = p->policy->mode != POLICY_MODE_NONE || !p->mode_known;
    struct place end = {p->file, p->number > 0 ? p->number : 1, 1};

    for (enum field f = 0; f < FIELD_EXTENSION; f++) {
        if (p->seen[f] != 0)
            continue;
        if (f != FIELD_MX || needs_mx)
            finding_add(p->findings, FINDING_ERROR, "FIELD_MISSING", end, "there is no %s",
                        field_names[f]);
        else
            finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", end,
                        "chasquid, Stalwart and MailCheck refuse mode none without mx; keep the mx "
                        "lines of the policy before");
    }
}

static enum policy_verdict judge_size(struct parser *p, size_t len)
{
    struct place whole = {p->file, 0, 0};

    if (p->crlf > 0 && p->lf > 0)
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", whole,
                    "lines end in CRLF here and in LF there: checkdmarc refuses the policy");
    if (len > SUGGESTED_SIZE_MAX) {
        finding_add(
            p->findings, FINDING_ERROR, "SIZE", whole,
            "%zu octets: the RFC lets senders stop at 64 KB, and go-mtasts, postfix-tlspol, "
            "Courier, mimecast and others do",
            len);
        return POLICY_CONTRADICTORY;
    }
    if (len > MIMECAST_SIZE_MAX)
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", whole,
                    "%zu octets: mimecast reads 64000, chasquid 10240", len);
    else if (len > POLICY_BODY_MAX)
        finding_add(p->findings, FINDING_WARNING, "SENDERS_DIFFER", whole,
                    "%zu octets: chasquid reads 10240 and loses the rest", len);
    else if (len > PLEASANT_SIZE_MAX)
        finding_add(p->findings, FINDING_INFO, "SIZE_LARGE", whole,
                    "%zu octets: checkers warn above 4096", len);
    return POLICY_VALID;
}

enum policy_verdict policy_parse(const char *text, size_t len, const char *file,
                                 struct arena *arena, struct finding_list *findings,
                                 struct policy *policy)
{
    struct parser p = {.file = file, .arena = arena, .findings = findings, .policy = policy};
    size_t errors = findings->errors;

    *policy = (struct policy){.mode = POLICY_MODE_NONE};
    for (size_t start = 0; start < len;) {
        const char *lf = memchr(text + start, '\n', len - start);
        size_t end = lf == NULL ? len : (size_t)(lf - text);
        p.line = text + start;
        p.len = end - start;
        p.number++;
        if (lf != NULL && p.len > 0 && p.line[p.len - 1] == '\r') {
            p.len--;
            p.crlf++;
        } else {
            p.lf += lf != NULL;
        }
        parse_line(&p);
        start = end + 1;
        if (findings->errors - errors >= FAULTS_MAX) {
            finding_add(findings, FINDING_ERROR, "FAULTS_MANY", at(&p, 0),
                        "%d faults up to here: the rest is not looked at", FAULTS_MAX);
            return POLICY_INVALID;
        }
    }
    require_fields(&p);
    bool valid = findings->errors == errors;
    policy_advise(policy, p.mode_known, file, findings);
    enum policy_verdict verdict = judge_size(&p, len);
    return valid && !findings->out_of_memory ? verdict : POLICY_INVALID;
}
