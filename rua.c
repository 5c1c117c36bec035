/* SPDX-License-Identifier: MIT
 * TLS-RPT report addresses. The bytes come from an INI file or from a TXT record that anybody may
 * have published.
 */
#include "rua.h"

#include <stdbool.h>
#include <string.h>

#include "name.h"
#include "text.h"

#define MAILTO "mailto:"
#define HTTPS "https://"
#define URI_MAX 512

static bool has_scheme(const char *uri, size_t len, const char *scheme)
{
    size_t n = strlen(scheme);

    return len >= n && name_equal(uri, n, scheme, n);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986 section 2: unreserved and reserved, without the three that RFC 8460 wants encoded. */
static bool is_uri_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("-._~:/?#[]@$&'()*+=%", c) != NULL);
}

static const char *char_fault(const char *uri, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_uri_char(uri[i]))
            return "has a character that must be percent-encoded";
        if (uri[i] == '%' && (len - i < 3 || !is_hex(uri[i + 1]) || !is_hex(uri[i + 2])))
            return "has a % that is not followed by two hex digits";
    }
    return NULL;
}

/* The host of an https URI, without user and port, in *host, and what stands between it and the
 * path, query or end in *port: nothing, or a colon and the port. Returns the length of the host. */
static size_t https_host(const char *uri, size_t len, const char **host, size_t *port_len)
{
    size_t n = 0;

    *host = uri + strlen(HTTPS);
    len -= strlen(HTTPS);
    while (n < len && strchr("/?#", (*host)[n]) == NULL)
        n++;
    const char *user = memchr(*host, '@', n);
    if (user != NULL) {
        n -= (size_t)(user + 1 - *host);
        *host = user + 1;
    }
    bool literal = n > 0 && **host == '[';
    const char *end = memchr(*host, literal ? ']' : ':', n);
    size_t host_len = end == NULL ? n : (size_t)(end - *host) + (literal ? 1 : 0);
    *port_len = n - host_len;
    return host_len;
}

/* RFC 3986 section 3.2: a host, and a port of digits if there is one. */
static const char *authority_fault(const char *uri, size_t len)
{
    const char *host;
    size_t port_len, host_len = https_host(uri, len, &host, &port_len);

    if (host_len == 0)
        return "has no host";
    if (memchr(host, '@', host_len + port_len) != NULL)
        return "has more than one @ before its path";
    for (size_t i = 0; i < port_len; i++)
        if (i == 0 ? host[host_len] != ':' : host[host_len + i] < '0' || host[host_len + i] > '9')
            return "has a port that is not a number";
    return NULL;
}

/* RFC 3986 section 3: brackets stand around an IPv6 address only, and # begins the fragment. */
static const char *delimiter_fault(const char *uri, size_t len)
{
    const char *host = NULL, *hash = memchr(uri, '#', len);
    size_t host_len = 0, port_len;

    if (has_scheme(uri, len, HTTPS))
        host_len = https_host(uri, len, &host, &port_len);
    bool literal = host_len > 2 && host[0] == '[' && host[host_len - 1] == ']';
    for (size_t i = 0; i < len; i++) {
        bool outer = literal && (uri + i == host || uri + i == host + host_len - 1);
        if ((uri[i] == '[' || uri[i] == ']') && !outer)
            return "has a bracket that must be percent-encoded";
        if (uri[i] == '#' && uri + i != hash)
            return "has a second #";
    }
    return NULL;
}

const char *rua_fault(const char *uri, size_t len)
{
    const char *fault = NULL;

    if (has_scheme(uri, len, MAILTO)) {
        if (len == strlen(MAILTO) || uri[strlen(MAILTO)] == '?')
            fault = "has no address";
    } else if (has_scheme(uri, len, HTTPS)) {
        fault = authority_fault(uri, len);
    } else {
        fault = "does not begin with mailto: or https://";
    }
    if (fault == NULL)
        fault = char_fault(uri, len);
    return fault != NULL ? fault : delimiter_fault(uri, len);
}

void rua_lint_quirks(const char *uri, size_t len, struct place place, struct finding_list *findings)
{
    if (memchr(uri, '=', len) != NULL)
        finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "a report address with \"=\": mail-auth (Stalwart) decodes what follows it, "
                    "MailCheck refuses it");
    if (has_scheme(uri, len, MAILTO)) {
        const char *query = memchr(uri, '?', len);
        size_t address = query == NULL ? len : (size_t)(query - uri);
        if (memchr(uri, '@', address) == NULL)
            finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                        "a mailto address without \"@\": mimecast, checkdmarc and MailCheck refuse "
                        "it");
        if (query != NULL)
            finding_add(
                findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                "a mailto address with header fields behind \"?\": mimecast, checkdmarc and "
                "MailCheck want the address alone");
        return;
    }
    const char *host;
    size_t port_len, host_len = https_host(uri, len, &host, &port_len);
    if (port_len > 0)
        finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "an https address with a port: MailCheck refuses it");
    if (memchr(host, '.', host_len) == NULL)
        finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "an https host without a dot: mimecast, checkdmarc and MailCheck refuse it");
}

/* The URI with what must not stand in it percent-encoded. */
static void encode(const char *uri, struct text *out)
{
    for (; *uri != '\0'; uri++) {
        if (is_uri_char(*uri))
            text_add_bytes(out, uri, 1);
        else
            text_addf(out, "%%%02X", (unsigned char)*uri);
    }
}

/* Says what is wrong with a URI, and what it would be with the forbidden bytes encoded. */
static void lint_fault(const char *uri, const char *fault, struct place place,
                       struct finding_list *findings)
{
    char encoded[URI_MAX];
    struct text fix;

    text_init(&fix, encoded, sizeof encoded);
    encode(uri, &fix);
    if (char_fault(uri, strlen(uri)) == fault && !fix.overflow &&
        rua_fault(encoded, fix.len) == NULL)
        finding_add(findings, FINDING_ERROR,
                    strpbrk(uri, ",!;") != NULL ? "RUA_ENCODE" : "RUA_SYNTAX", place,
                    "rua %s; one address a line, and percent-encoded it would be: %s", fault,
                    encoded);
    else
        finding_add(findings, FINDING_ERROR, "RUA_SYNTAX", place, "rua %s: \"%s\"", fault, uri);
}

static void lint_mailto(const char *uri, const char *enforced_domain, struct place place,
                        struct finding_list *findings)
{
    const char *end = uri + strcspn(uri, "?#");
    const char *at = memrchr(uri, '@', (size_t)(end - uri));

    if (at == NULL || at == uri + strlen(MAILTO) || at + 1 == end)
        finding_add(findings, FINDING_ERROR, "RUA_SYNTAX", place,
                    "rua is a mailto address without a name, \"@\" and a domain: \"%s\"", uri);
    else if (enforced_domain != NULL &&
             name_equal(at + 1, (size_t)(end - at) - 1, enforced_domain, strlen(enforced_domain)))
        finding_add(findings, FINDING_INFO, "RUA_SAME_DOMAIN", place,
                    "reports go to %s itself: where its mail fails, some of them fail with it; a "
                    "mailbox elsewhere is safer",
                    enforced_domain);
}

void rua_lint(const char *uri, const char *enforced_domain, struct place place,
              struct finding_list *findings)
{
    size_t len = strlen(uri), errors = findings->errors;
    const char *fault = rua_fault(uri, len);

    if (fault != NULL)
        lint_fault(uri, fault, place, findings);
    else if (has_scheme(uri, len, MAILTO))
        lint_mailto(uri, enforced_domain, place, findings);
    if (findings->errors == errors)
        rua_lint_quirks(uri, len, place, findings);
}
