/* SPDX-License-Identifier: MIT
 * The strict parsers for the two TXT records: RFC 8461 section 3.1 and RFC 8460 section 3. Every
 * byte is hostile: whoever holds the zone chose it.
 */
#include <string.h>

#include "policy.h"
#include "rua.h"

#define EXT_NAME_MAX 32

/* A cursor over the record; the first fault ends the parsing. */
struct cursor {
    const char *text;
    size_t len, at;
    const char *file;
    struct finding_list *findings;
    bool contradictory;
};

static struct place place_at(const struct cursor *c, size_t offset)
{
    return (struct place){c->file, 1, (unsigned)offset + 1};
}

static bool fail(struct cursor *c, const char *code, const char *why)
{
    finding_add(c->findings, FINDING_ERROR, code, place_at(c, c->at), "%s", why);
    return false;
}

static void differ(struct cursor *c, size_t offset, const char *why)
{
    finding_add(c->findings, FINDING_WARNING, "SENDERS_DIFFER", place_at(c, offset), "%s", why);
}

static void contradict(struct cursor *c, size_t offset, const char *why)
{
    finding_add(c->findings, FINDING_ERROR, "RFC_CONTRADICTS", place_at(c, offset), "%s", why);
    c->contradictory = true;
}

static bool is_alnum(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t';
}

static bool looking_at(const struct cursor *c, const char *token)
{
    size_t n = strlen(token);

    return c->len - c->at >= n && memcmp(c->text + c->at, token, n) == 0;
}

static size_t skip_blanks(struct cursor *c)
{
    size_t start = c->at;

    while (c->at < c->len && is_blank(c->text[c->at]))
        c->at++;
    return c->at - start;
}

/* delim = *WSP ";" *WSP. True if one was read; without one the cursor does not move. */
static bool read_delimiter(struct cursor *c)
{
    size_t start = c->at;

    skip_blanks(c);
    if (c->at < c->len && c->text[c->at] == ';') {
        c->at++;
        skip_blanks(c);
        return true;
    }
    c->at = start;
    return false;
}

/* ext-name "=" ext-value, the same in both records. */
static bool read_extension(struct cursor *c)
{
    size_t start = c->at;

    while (c->at < c->len &&
           (is_alnum(c->text[c->at]) ||
            (c->at > start && c->text[c->at] != '\0' && strchr("_-.", c->text[c->at]) != NULL)))
        c->at++;
    if (c->at == start || c->at - start > EXT_NAME_MAX || c->at == c->len ||
        c->text[c->at] != '=') {
        c->at = start;
        return fail(c, "TXT_FIELD",
                    "not a field: name=value, the name at most 32 of A-Z a-z 0-9 _ - .");
    }
    size_t value = ++c->at;
    while (c->at < c->len && c->text[c->at] >= 0x21 && c->text[c->at] <= 0x7e &&
           c->text[c->at] != ';' && c->text[c->at] != '=')
        c->at++;
    if (c->at == value)
        return fail(c, "TXT_FIELD", "the value is empty");
    return true;
}

/* Reads `version` and one field after each delimiter. read_field is called at the field's first
 * byte. */
static bool read_record(struct cursor *c, const char *version,
                        bool (*read_field)(struct cursor *c, void *state), void *state)
{
    if (!looking_at(c, version))
        return fail(c, "TXT_VERSION",
                    "the record does not begin with its version, in its very case");
    c->at += strlen(version);
    size_t end = c->at, blanks = skip_blanks(c);
    if (blanks > 0 && c->at < c->len && c->text[c->at] == ';')
        contradict(c, end,
                   "a blank before the first \";\": the grammar allows it, the text discards the "
                   "record; remove it");
    c->at = end;
    while (c->at < c->len) {
        if (!read_delimiter(c))
            return fail(c, "TXT_DELIMITER", "a \";\" belongs here");
        if (c->at < c->len && !read_field(c, state))
            return false;
    }
    return true;
}

struct sts_state {
    char *id; /* may be NULL */
    bool seen;
};

static bool read_sts_field(struct cursor *c, void *opaque)
{
    struct sts_state *state = opaque;
    size_t start = c->at;

    bool id = looking_at(c, "id="), version = looking_at(c, "v=");

    if (state->seen || !id) {
        if (!read_extension(c))
            return false;
        differ(
            c, start,
            id ? "id again: the first one counts by the RFC; mox, Courier, checkdmarc, MailCheck "
                 "and EFF refuse the record"
            : version ? "v again: checkdmarc and MailCheck refuse the record"
                      : "an extension field: checkdmarc refuses the record");
        return true;
    }
    c->at += 3;
    size_t value = c->at;
    while (c->at < c->len && is_alnum(c->text[c->at]))
        c->at++;
    size_t len = c->at - value;
    if (len < 1 || len > POLICY_ID_MAX ||
        (c->at < c->len && !is_blank(c->text[c->at]) && c->text[c->at] != ';'))
        return fail(c, "TXT_ID", "an id is 1 to 32 letters and digits and nothing else");
    if (state->id != NULL) {
        memcpy(state->id, c->text + value, len);
        state->id[len] = '\0';
    }
    state->seen = true;
    return true;
}

static enum policy_verdict verdict(const struct cursor *c, bool parsed)
{
    if (!parsed)
        return POLICY_INVALID;
    return c->contradictory ? POLICY_CONTRADICTORY : POLICY_VALID;
}

enum policy_verdict policy_parse_sts_txt(const char *text, size_t len, const char *file,
                                         struct finding_list *findings, char id[POLICY_ID_MAX + 1])
{
    struct cursor c = {.text = text, .len = len, .file = file, .findings = findings};
    struct sts_state state = {.id = id};

    if (id != NULL)
        id[0] = '\0';
    bool ok = read_record(&c, "v=STSv1", read_sts_field, &state);
    if (ok && !state.seen)
        ok = fail(&c, "TXT_ID", "there is no id");
    if (ok && is_blank(text[len - 1]))
        differ(&c, len - 1, "a blank behind the last \";\": KumoMTA refuses the record");
    return verdict(&c, ok);
}

/* URI *( *WSP "," *WSP URI ); a URI ends at a blank, a comma or a semicolon. */
static bool read_uris(struct cursor *c)
{
    for (;;) {
        size_t start = c->at;
        while (c->at < c->len && !is_blank(c->text[c->at]) && c->text[c->at] != ',' &&
               c->text[c->at] != ';')
            c->at++;
        const char *uri = c->text + start;
        const char *fault = rua_fault(uri, c->at - start);
        if (fault != NULL) {
            finding_add(c->findings, FINDING_ERROR, "TXT_RUA", place_at(c, start),
                        "the report address %s", fault);
            return false;
        }
        rua_lint_quirks(uri, c->at - start, place_at(c, start), c->findings);
        size_t end = c->at, blanks = skip_blanks(c);
        if (c->at == c->len || c->text[c->at] != ',') {
            c->at = end;
            return true;
        }
        c->at++;
        if (blanks + skip_blanks(c) > 0)
            differ(c, end,
                   "a blank beside the comma: tlsrpt-reporter (Postfix) and checkdmarc refuse the "
                   "record");
    }
}

static bool read_tlsrpt_field(struct cursor *c, void *opaque)
{
    unsigned *rua_fields = opaque;
    size_t start = c->at;

    if (!looking_at(c, "rua=")) {
        if (!read_extension(c))
            return false;
        differ(c, start,
               *rua_fields == 0 ? "an extension before rua: tlsrpt-reporter (Postfix), checkdmarc "
                                  "and MailCheck refuse the record"
                                : "an extension: checkdmarc and MailCheck refuse the record");
        return true;
    }
    if (++*rua_fields == 2)
        contradict(c, c->at,
                   "rua again: the grammar allows it, its meaning is nowhere defined; join the "
                   "addresses with a comma");
    c->at += 4;
    return read_uris(c);
}

enum policy_verdict policy_parse_tlsrpt_txt(const char *text, size_t len, const char *file,
                                            struct finding_list *findings)
{
    struct cursor c = {.text = text, .len = len, .file = file, .findings = findings};
    unsigned rua_fields = 0;
    bool ok = read_record(&c, "v=TLSRPTv1", read_tlsrpt_field, &rua_fields);

    if (ok && rua_fields == 0)
        ok = fail(&c, "TXT_RUA", "there is no rua");
    return verdict(&c, ok);
}
