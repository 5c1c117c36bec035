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
#define PORT_MAX 65535

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

static const char must_encode[] = "has a \",\", \"!\" or \";\", which must be percent-encoded";

/* The three that RFC 8460 section 3 wants encoded. */
static bool is_reserved(char c)
{
    return c == ',' || c == '!' || c == ';';
}

/* A percent sign that encodes nothing. */
static bool is_stray_percent(const char *at, size_t rest)
{
    return *at == '%' && (rest < 3 || !is_hex(at[1]) || !is_hex(at[2]));
}

static bool is_wrapping(char c)
{
    return c == ' ' || c == '\t' || c == '"' || c == '<' || c == '>';
}

static const char *char_fault(const char *uri, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (is_wrapping(uri[i]))
            return "has a blank, a quote or an angle bracket: remove it";
        if (!is_uri_char(uri[i]))
            return is_reserved(uri[i]) ? must_encode : "has a character that no address may have";
        if (is_stray_percent(uri + i, len - i))
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
    } else if (len > 0 && is_wrapping(uri[0])) {
        fault = char_fault(uri, len);
    } else {
        fault = "does not begin with mailto: or https://";
    }
    if (fault == NULL)
        fault = char_fault(uri, len);
    return fault != NULL ? fault : delimiter_fault(uri, len);
}

/* A whole host name, as a mailbox and a report server need one. */
static bool is_host_name(const char *host, size_t len)
{
    return name_is_valid(host, len, NULL) && memchr(host, '.', len) != NULL &&
           !name_ends_in_number(host, len);
}

static const char *mailto_doubt(const char *uri, size_t len)
{
    const char *address = uri + strlen(MAILTO), *query = memchr(uri, '?', len);
    size_t rest = (query == NULL ? len : (size_t)(query - uri)) - strlen(MAILTO);
    const char *at = memchr(address, '@', rest);

    if (at == NULL)
        return "has no \"@\": mimecast, checkdmarc and MailCheck refuse it";
    if (at == address)
        return "has nothing before its \"@\"";
    if (memrchr(address, '@', rest) != at)
        return "has more than one \"@\": mimecast refuses it; one address a rua";
    if (*address == '/')
        return "has a slash behind mailto: that would belong to the mailbox; remove it";
    if (!is_host_name(at + 1, rest - (size_t)(at + 1 - address)))
        return "has no whole host name behind its \"@\": mimecast refuses it";
    return NULL;
}

static const char *https_doubt(const char *uri, size_t len)
{
    const char *host;
    size_t port_len, host_len = https_host(uri, len, &host, &port_len);
    unsigned long port = 0;

    if (host != uri + strlen(HTTPS))
        return "has a user before its host: RFC 9110 section 4.2.4 forbids it; remove it";
    if (memchr(host, '.', host_len) == NULL && *host != '[')
        return "has a host without a dot: mimecast, checkdmarc and MailCheck refuse it";
    if (!is_host_name(host, host_len))
        return "has no host name for a host: mimecast refuses it";
    for (size_t i = 1; i < port_len && port <= PORT_MAX; i++)
        port = 10 * port + (unsigned long)(host[host_len + i] - '0');
    return port > PORT_MAX ? "has a port above 65535" : NULL;
}

const char *rua_doubt(const char *uri, size_t len)
{
    bool mailto = has_scheme(uri, len, MAILTO);

    for (size_t i = 0; uri[i] != ':'; i++)
        if (uri[i] >= 'A' && uri[i] <= 'Z')
            return "has its scheme in upper case, which tlsrpt-reporter (Postfix) does not know; "
                   "write it in lower case";
    if (memchr(uri, '#', len) != NULL)
        return "has a fragment, which is never sent: remove it, from the # on";
    return mailto ? mailto_doubt(uri, len) : https_doubt(uri, len);
}

void rua_lint_quirks(const char *uri, size_t len, struct place place, struct finding_list *findings)
{
    const char *host, *doubt = rua_doubt(uri, len);
    size_t port_len;

    if (doubt != NULL)
        finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place, "the report address %s",
                    doubt);
    if (memchr(uri, '=', len) != NULL)
        finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "a report address with \"=\": mail-auth (Stalwart) decodes what follows it, "
                    "MailCheck refuses it; write %%3D, or take an address without it");
    if (has_scheme(uri, len, MAILTO)) {
        if (memchr(uri, '?', len) != NULL)
            finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                        "a mailto address with header fields behind \"?\": mimecast, checkdmarc "
                        "and MailCheck want the address alone; remove them");
        return;
    }
    https_host(uri, len, &host, &port_len);
    if (port_len > 0)
        finding_add(findings, FINDING_WARNING, "SENDERS_DIFFER", place,
                    "an https address with a port: MailCheck refuses it; receive reports on port "
                    "443, and leave the port out");
}

/* The URI with the three reserved characters and stray percent signs encoded. */
static void encode(const char *uri, struct text *out)
{
    size_t len = strlen(uri);

    for (size_t i = 0; i < len; i++) {
        if (is_reserved(uri[i]) || is_stray_percent(uri + i, len - i))
            text_addf(out, "%%%02X", (unsigned char)uri[i]);
        else
            text_add_bytes(out, uri + i, 1);
    }
}

/* Says what is wrong with a URI and, if nothing else is, what it would be encoded. */
static void lint_fault(const char *uri, const char *fault, struct place place,
                       struct finding_list *findings)
{
    char encoded[URI_MAX];
    struct text fix;
    bool reserved = fault == must_encode;

    text_init(&fix, encoded, sizeof encoded);
    encode(uri, &fix);
    bool mended =
        !fix.overflow && rua_fault(encoded, fix.len) == NULL && rua_doubt(encoded, fix.len) == NULL;
    bool listed = reserved && !mended;
    finding_add(findings, FINDING_ERROR, reserved ? "RUA_ENCODE" : "RUA_SYNTAX", place,
                "rua %s%s: %s%s%s", fault,
                listed   ? "; of several addresses write one a line"
                : mended ? "; encoded it would be"
                         : "",
                mended ? "" : "\"", mended ? encoded : uri, mended ? "" : "\"");
}

void rua_lint(const char *uri, const char *enforced_domain, struct place place,
              struct finding_list *findings)
{
    size_t len = strlen(uri);
    const char *fault = rua_fault(uri, len);

    if (fault == NULL)
        fault = rua_doubt(uri, len);
    if (fault != NULL) {
        lint_fault(uri, fault, place, findings);
        return;
    }
    if (has_scheme(uri, len, MAILTO) && enforced_domain != NULL)
        finding_add(findings, FINDING_INFO, "RUA_SAME_DOMAIN", place,
                    "reports go to %s itself: where its mail fails, some of them fail with it; a "
                    "mailbox elsewhere is safer",
                    enforced_domain);
    rua_lint_quirks(uri, len, place, findings);
}
