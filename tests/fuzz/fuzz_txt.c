/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as a TXT record. The verdict on one for _mta-sts is that of a second reader,
 * written from the grammar of RFC 8461 section 3.1; what is accepted for _smtp._tls has nothing but
 * addresses that RFC 8460 section 3 lets through; and what is accepted survives being written
 * again.
 */
#include "fuzz.h"

#include <strings.h>

#include "policy.h"
#include "rua.h"

#define URI_BYTES FUZZ_ALNUM "-._~:/?#[]@$&'()*+=%"
#define URIS_MAX 64

struct span {
    const char *at;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cuts off what stands before the next `delimiter`, or all; the rest begins behind it. */
static struct span cut(struct span *rest, char delimiter, bool *more)
{
    const char *found = rest->len > 0 ? memchr(rest->at, delimiter, rest->len) : NULL;
    struct span part = {rest->at, found == NULL ? rest->len : (size_t)(found - rest->at)};
    size_t taken = part.len + (found != NULL);

    *rest = (struct span){rest->at + taken, rest->len - taken};
    *more = found != NULL;
    return part;
}

static struct span trim_front(struct span span)
{
    while (span.len > 0 && is_blank(*span.at))
        span = (struct span){span.at + 1, span.len - 1};
    return span;
}

static struct span trim_back(struct span span)
{
    while (span.len > 0 && is_blank(span.at[span.len - 1]))
        span.len--;
    return span;
}

static bool begins(struct span span, const char *with)
{
    return span.len >= strlen(with) && memcmp(span.at, with, strlen(with)) == 0;
}

/* ext-name "=" ext-value */
static bool is_extension(struct span field)
{
    bool more;
    struct span value = field, name = cut(&value, '=', &more);

    if (!more || name.len < 1 || name.len > 32 ||
        !fuzz_is_of(name.at, name.len, FUZZ_ALNUM "_-.") || strchr("_-.", *name.at) != NULL ||
        value.len == 0)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x21 || value.at[i] > 0x7e || value.at[i] == '=' || value.at[i] == ';')
            return false;
    return true;
}

/* The pieces between the semicolons; `seen` is for the caller's field. */
typedef bool field_reader(struct span field, void *seen);

/* version 1*( *WSP ";" *WSP field ) [ *WSP ";" *WSP ] */
static enum policy_verdict read_record(struct span rest, const char *version, field_reader *read,
                                       void *seen)
{
    bool more;
    struct span first = cut(&rest, ';', &more), bare = trim_back(first);

    if (!begins(first, version) || (more ? bare.len : first.len) != strlen(version))
        return POLICY_INVALID;
    while (more) {
        struct span field = trim_front(cut(&rest, ';', &more));
        if (field.len == 0 && !more)
            break;
        if (more)
            field = trim_back(field);
        if (!read(field, seen))
            return POLICY_INVALID;
    }
    return bare.len < first.len ? POLICY_CONTRADICTORY : POLICY_VALID;
}

static bool read_sts_field(struct span field, void *seen)
{
    char *id = seen;
    struct span value = {field.at + 3, field.len - 3};

    if (!begins(field, "id=") || *id != '\0')
        return is_extension(field);
    if (value.len < 1 || value.len > 32 || !fuzz_is_of(value.at, value.len, FUZZ_ALNUM))
        return false;
    memcpy(id, value.at, value.len);
    return true;
}

static void check_findings(struct finding_list *findings, size_t len, enum policy_verdict verdict)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];
        require(f->text[0] != '\0' && fuzz_is_printable(f->text, strlen(f->text)));
        require(f->place.line == 1 && f->place.column >= 1 && f->place.column <= len + 1);
    }
    require((verdict == POLICY_VALID) == (findings->errors == 0));
    finding_list_free(findings);
}

static void check_sts(const char *text, size_t len)
{
    struct finding_list findings = {0};
    char id[POLICY_ID_MAX + 1], wanted[POLICY_ID_MAX + 1] = "", value[64];
    enum policy_verdict verdict = policy_parse_sts_txt(text, len, "", &findings, id);
    enum policy_verdict by_grammar =
        read_record((struct span){text, len}, "v=STSv1", read_sts_field, wanted);
    struct text out;

    require(verdict == (wanted[0] == '\0' ? POLICY_INVALID : by_grammar));
    check_findings(&findings, len, verdict);
    if (verdict == POLICY_INVALID)
        return;
    require(strcmp(id, wanted) == 0);
    text_init(&out, value, sizeof value);
    policy_sts_txt(id, &out);
    require(!out.overflow);
    require(policy_parse_sts_txt(value, out.len, "", &findings, id) == POLICY_VALID);
    require(findings.count == 0 && strcmp(id, wanted) == 0);
    finding_list_free(&findings);
}

/* Report addresses, in order. */
struct uris {
    struct span items[URIS_MAX];
    size_t count, fields;
};

/* https:// [ user @ ] host [ : port ], the host not empty (RFC 9110 section 4.2.2). */
static bool has_host(struct span uri)
{
    size_t start = strlen("https://"), end = start;

    while (end < uri.len && strchr("/?#", uri.at[end]) == NULL)
        end++;
    for (size_t i = start; i < end; i++)
        if (uri.at[i] == '@')
            start = i + 1;
    return start < end && uri.at[start] != ':';
}

/* What must be true of each that is accepted. */
static bool is_uri(struct span uri)
{
    bool mailto = uri.len > 7 && strncasecmp(uri.at, "mailto:", 7) == 0;
    bool https = uri.len > 8 && strncasecmp(uri.at, "https://", 8) == 0;

    if ((!mailto && !https) || !fuzz_is_of(uri.at, uri.len, URI_BYTES))
        return false;
    if (mailto ? fuzz_is_of(uri.at + 7, 1, "?") : !has_host(uri))
        return false;
    for (size_t i = 0; i < uri.len; i++)
        if (uri.at[i] == '%' &&
            (i + 2 >= uri.len || !fuzz_is_of(uri.at + i + 1, 2, FUZZ_DIGITS "ABCDEFabcdef")))
            return false;
    const char *hash = memchr(uri.at, '#', uri.len);
    return hash == NULL || hash == memrchr(uri.at, '#', uri.len);
}

static bool read_tlsrpt_field(struct span field, void *seen)
{
    struct uris *uris = seen;
    struct span rest = {field.at + 4, field.len - 4};
    bool more = true;

    if (!begins(field, "rua="))
        return is_extension(field);
    uris->fields++;
    while (more) {
        struct span uri = cut(&rest, ',', &more);
        if (uri.at > field.at + 4)
            uri = trim_front(uri);
        if (more)
            uri = trim_back(uri);
        if (!is_uri(uri))
            return false;
        if (uris->count < URIS_MAX)
            uris->items[uris->count++] = uri;
    }
    return true;
}

/* The same addresses as we would write them. */
static void check_written(const struct uris *uris)
{
    struct policy_value items[URIS_MAX];
    struct policy_values rua = {items, uris->count};
    struct finding_list findings = {0};
    char value[POLICY_TXT_MAX];
    struct text out;

    for (size_t i = 0; i < uris->count; i++)
        items[i] = (struct policy_value){fuzz_string(uris->items[i].at, uris->items[i].len), 1};
    text_init(&out, value, sizeof value);
    policy_tlsrpt_txt(&rua, &out);
    if (!out.overflow)
        require(policy_parse_tlsrpt_txt(value, out.len, "", &findings) == POLICY_VALID);
    finding_list_free(&findings);
    for (size_t i = 0; i < uris->count; i++)
        free((char *)items[i].text);
}

static void check_tlsrpt(const char *text, size_t len)
{
    struct finding_list findings = {0};
    struct uris uris = {.count = 0};
    enum policy_verdict verdict = policy_parse_tlsrpt_txt(text, len, "", &findings);
    enum policy_verdict by_grammar =
        read_record((struct span){text, len}, "v=TLSRPTv1", read_tlsrpt_field, &uris);

    check_findings(&findings, len, verdict);
    if (verdict == POLICY_INVALID)
        return;
    require(by_grammar != POLICY_INVALID && uris.fields > 0);
    require((verdict == POLICY_CONTRADICTORY) ==
            (by_grammar == POLICY_CONTRADICTORY || uris.fields > 1));
    check_written(&uris);
}

/* An address as an administrator may write it: without an error it makes a good record. */
static void check_rua(const char *text, size_t len)
{
    char *uri = fuzz_string(text, len), value[POLICY_TXT_MAX];
    struct policy_value item = {uri, 1};
    struct policy_values rua = {&item, 1};
    struct finding_list findings = {0};
    struct text out;

    rua_lint(uri, len % 2 == 0 ? "example.org" : NULL, (struct place){"", 1, 1}, &findings);
    bool good = findings.errors == 0;
    check_findings(&findings, len, good ? POLICY_VALID : POLICY_INVALID);
    require(!good || is_uri((struct span){uri, strlen(uri)}));
    text_init(&out, value, sizeof value);
    policy_tlsrpt_txt(&rua, &out);
    if (good && !out.overflow)
        require(policy_parse_tlsrpt_txt(value, out.len, "", &findings) == POLICY_VALID);
    finding_list_free(&findings);
    free(uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    const char *rua = memmem(text, size, "rua=", 4);

    check_sts(text, size);
    check_tlsrpt(text, size);
    check_rua(text, size);
    if (rua != NULL)
        check_rua(rua + 4, size - (size_t)(rua + 4 - text));
    free(text);
    return 0;
}
