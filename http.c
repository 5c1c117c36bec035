/* SPDX-License-Identifier: MIT
 * HTTP/1.1 for a server of one file (RFC 9110, RFC 9112): judges a request head, writes a response.
 * Every byte that is parsed here is hostile. Each call reads the head in one pass from its first
 * byte and stops at the first byte that decides, so the verdict cannot depend on how the bytes were
 * cut. Nothing is allocated, copied or kept between two calls.
 */
#include "http.h"

#include <string.h>

#define POLICY_PATH "/.well-known/mta-sts.txt"

/* Sets of bytes. The C library's ctype and strcasecmp follow the locale; these are ASCII. */
#define DIGITS "0123456789"
#define ALNUM DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN ALNUM "!#$%&'*+-.^_`|~"
#define VISIBLE TOKEN "\"(),/:;<=>?@[\\]{}"

#define NO_BYTE (-1)

struct span {
    const char *at; /* borrowed from the request */
    size_t len;
};

/* A request head while it is read. Functions that take one return false when reading ends: refused
 * with a status, or out of bytes. A fault that a worse one may still overrule waits in a flag for
 * the end of the head. */
struct head {
    const char *bytes;
    size_t len;
    size_t at;             /* next byte to read */
    size_t limit;          /* a byte here would be too many... */
    enum http_status over; /* ...and is refused with this */
    bool refused;
    struct http_request *request;
    struct span method;
    struct span path;    /* empty if the target has none */
    bool needs_host;     /* HTTP/1.1 or a later minor version */
    bool foreign_scheme; /* an absolute-form target, but not https */
    bool has_host;
    bool has_framing; /* Content-Length or Transfer-Encoding: there may be only one */
    bool has_body;
    bool unknown_coding; /* a transfer coding that is not chunked */
};

static bool refuse(struct head *head, enum http_status status)
{
    head->request->status = status;
    head->refused = true;
    return false;
}

static bool is_in(int byte, const char *set)
{
    return byte > 0 && strchr(set, byte) != NULL;
}

static bool span_is(struct span span, const char *string)
{
    return span.len == strlen(string) && memcmp(span.at, string, span.len) == 0;
}

/* As span_is, for what HTTP compares without case; `word` is in lower case. */
static bool span_is_word(struct span span, const char *word)
{
    bool same = span.len == strlen(word);

    for (size_t i = 0; same && i < span.len; i++) {
        char byte = span.at[i];
        same = (byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte) == word[i];
    }
    return same;
}

/* Cuts off and returns the first bytes that are in a set. */
static struct span span_cut(struct span *rest, const char *set)
{
    struct span part = {rest->at, 0};

    while (part.len < rest->len && is_in(rest->at[part.len], set))
        part.len++;
    *rest = (struct span){rest->at + part.len, rest->len - part.len};
    return part;
}

/* Cuts off `string` if it stands first. */
static bool span_take(struct span *rest, const char *string)
{
    size_t len = strlen(string);

    if (rest->len < len || memcmp(rest->at, string, len) != 0)
        return false;
    *rest = (struct span){rest->at + len, rest->len - len};
    return true;
}

/* Takes optional whitespace off both ends (RFC 9110 section 5.6.3). */
static struct span span_trim(struct span span)
{
    span_cut(&span, " \t");
    while (span.len > 0 && is_in(span.at[span.len - 1], " \t"))
        span.len--;
    return span;
}

static int peek_byte(struct head *head)
{
    if (head->at == head->limit)
        refuse(head, head->over);
    else if (head->at < head->len)
        return (unsigned char)head->bytes[head->at];
    return NO_BYTE;
}

/* Takes the only byte that the grammar allows here. */
static bool take_byte(struct head *head, char wanted)
{
    int byte = peek_byte(head);

    if (byte == NO_BYTE)
        return false;
    if (byte != wanted)
        return refuse(head, HTTP_BAD_REQUEST);
    head->at++;
    return true;
}

/* A bare CR or LF, which lenient readers take for a line end, is how requests are smuggled. */
static bool take_line_end(struct head *head)
{
    return take_byte(head, '\r') && take_byte(head, '\n');
}

/* Takes all bytes of a set, at least one, as soon as the byte that ends them is there. */
static bool take_word(struct head *head, const char *set, struct span *word)
{
    size_t start = head->at;
    int byte;

    while (is_in(byte = peek_byte(head), set))
        head->at++;
    if (byte == NO_BYTE)
        return false;
    *word = (struct span){head->bytes + start, head->at - start};
    return word->len > 0 || refuse(head, HTTP_BAD_REQUEST);
}

/* Cuts off host [ ":" port ] (RFC 3986 section 3.2). The host is a name, returned without its final
 * dot, or an IPv6 literal, which is no policy's host and only has to be harmless. */
static bool span_cut_authority(struct span *rest, struct span *host)
{
    const char *start = rest->at;
    struct span port;

    if (span_take(rest, "[")) {
        if (span_cut(rest, DIGITS "ABCDEFabcdef:.").len == 0 || !span_take(rest, "]"))
            return false;
        *host = (struct span){start, (size_t)(rest->at - start)};
    } else {
        *host = span_cut(rest, ALNUM "-_.");
        if (host->len == 0 || host->at[0] == '.' || memmem(start, host->len, "..", 2) != NULL)
            return false;
        if (host->at[host->len - 1] == '.')
            host->len--;
    }
    if (!span_take(rest, ":"))
        return true;
    port = span_cut(rest, DIGITS);
    return port.len < 5 || (port.len == 5 && memcmp(port.at, "65535", 5) <= 0);
}

static bool judge_version(struct head *head, struct span version)
{
    struct span rest = version;
    bool named = span_take(&rest, "HTTP/");
    struct span major = span_cut(&rest, DIGITS);
    bool dotted = span_take(&rest, ".");
    struct span minor = span_cut(&rest, DIGITS);

    if (!named || major.len != 1 || !dotted || minor.len != 1 || rest.len > 0)
        return refuse(head, HTTP_BAD_REQUEST);
    if (!span_is(major, "1"))
        return refuse(head, HTTP_VERSION_NOT_SUPPORTED);
    head->needs_host = !span_is(minor, "0");
    return true;
}

/* scheme "://" authority path. Its host goes before the Host field's (RFC 9112 section 3.2.2). */
static bool judge_absolute_form(struct head *head, struct span target)
{
    struct span host;
    struct span scheme = span_cut(&target, ALNUM "+-.");

    if (scheme.len == 0 || is_in(scheme.at[0], DIGITS "+-.") || !span_take(&target, "://") ||
        !span_cut_authority(&target, &host) || (target.len > 0 && !is_in(target.at[0], "/?#")))
        return refuse(head, HTTP_BAD_REQUEST);
    head->request->host = host.at;
    head->request->host_len = host.len;
    head->foreign_scheme = !span_is_word(scheme, "https");
    head->path = target;
    return true;
}

/* Each form of target belongs to certain methods (RFC 9112 section 3.2). */
static bool judge_target(struct head *head, struct span target)
{
    struct span host;

    if (span_is(head->method, "CONNECT"))
        return (span_cut_authority(&target, &host) && target.len == 0) ||
               refuse(head, HTTP_BAD_REQUEST);
    if (span_is(head->method, "OPTIONS") && span_is(target, "*"))
        return true;
    if (target.at[0] != '/')
        return judge_absolute_form(head, target);
    head->path = target;
    return true;
}

/* Some clients send an empty line before it (RFC 9112 section 2.2). The version is judged first: in
 * another major version the target may mean something else. */
static bool read_request_line(struct head *head)
{
    struct span target, version;

    if (peek_byte(head) == '\r' && !take_line_end(head))
        return false;
    head->limit = head->at + HTTP_LINE_MAX;
    head->over = HTTP_NOT_IMPLEMENTED; /* a method that long (RFC 9112 section 3) */
    if (!take_word(head, TOKEN, &head->method))
        return false;
    head->over = HTTP_URI_TOO_LONG;
    head->request->head = span_is(head->method, "HEAD");
    return take_byte(head, ' ') && take_word(head, VISIBLE, &target) && take_byte(head, ' ') &&
           take_word(head, VISIBLE, &version) && take_line_end(head) &&
           judge_version(head, version) && judge_target(head, target);
}

static bool apply_host(struct head *head, struct span value)
{
    struct span host;

    if (head->has_host || !span_cut_authority(&value, &host) || value.len > 0)
        return refuse(head, HTTP_BAD_REQUEST);
    head->has_host = true;
    if (head->request->host == NULL) {
        head->request->host = host.at;
        head->request->host_len = host.len;
    }
    return true;
}

/* Only whether there is a body matters: the number is never computed, so it cannot overflow. */
static bool apply_content_length(struct head *head, struct span value)
{
    struct span digits = span_cut(&value, DIGITS);

    if (head->has_framing || digits.len == 0 || value.len > 0)
        return refuse(head, HTTP_BAD_REQUEST);
    head->has_framing = true;
    span_cut(&digits, "0");
    head->has_body = digits.len > 0;
    return true;
}

/* Where chunked is not the last coding, and only the last, the body has no certain end (RFC 9112
 * sections 6.1 and 6.3). */
static bool apply_transfer_encoding(struct head *head, struct span value)
{
    bool more;

    if (head->has_framing || !head->needs_host)
        return refuse(head, HTTP_BAD_REQUEST);
    head->has_framing = true;
    head->has_body = true;
    do {
        struct span coding = span_cut(&value, TOKEN);

        value = span_trim(value);
        more = span_take(&value, ",");
        value = span_trim(value);
        if (coding.len == 0 || span_is_word(coding, "chunked") == more)
            return refuse(head, HTTP_BAD_REQUEST);
        head->unknown_coding = head->unknown_coding || more;
    } while (more);
    return value.len == 0 || refuse(head, HTTP_BAD_REQUEST);
}

static bool apply_field(struct head *head, struct span name, struct span value)
{
    if (span_is_word(name, "host"))
        return apply_host(head, value);
    if (span_is_word(name, "content-length"))
        return apply_content_length(head, value);
    if (span_is_word(name, "transfer-encoding"))
        return apply_transfer_encoding(head, value);
    if (span_is_word(name, "user-agent") && head->request->agent == NULL) {
        head->request->agent = value.at;
        head->request->agent_len = value.len;
    }
    return true;
}

/* Whitespace before the name (a folded line) or before the colon is no part of a token, and so is
 * refused as RFC 9112 sections 5.1 and 5.2 want it. */
static bool read_field(struct head *head)
{
    struct span name, value;
    int byte;

    if (!take_word(head, TOKEN, &name) || !take_byte(head, ':'))
        return false;
    value = (struct span){head->bytes + head->at, 0};
    while ((byte = peek_byte(head)) == '\t' || (byte >= ' ' && byte != 0x7f)) {
        value.len++;
        head->at++;
    }
    return take_line_end(head) && apply_field(head, name, span_trim(value));
}

static bool read_fields(struct head *head)
{
    head->limit = HTTP_HEAD_MAX;
    head->over = HTTP_FIELDS_TOO_LARGE;
    while (peek_byte(head) != '\r')
        if (!read_field(head))
            return false;
    return take_line_end(head);
}

static bool is_known_method(struct span method)
{
    static const char *const names[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_is(method, names[i]))
            return true;
    return false;
}

/* The head is whole and well-formed: is it for what we serve? */
static bool judge_head(struct head *head)
{
    if (head->needs_host && !head->has_host)
        return refuse(head, HTTP_BAD_REQUEST);
    if (!is_known_method(head->method) || head->unknown_coding)
        return refuse(head, HTTP_NOT_IMPLEMENTED);
    if (!span_is(head->method, "GET") && !span_is(head->method, "HEAD"))
        return refuse(head, HTTP_METHOD_NOT_ALLOWED);
    if (head->has_body)
        return refuse(head, HTTP_CONTENT_TOO_LARGE);
    if (head->foreign_scheme)
        return refuse(head, HTTP_MISDIRECTED_REQUEST);
    return span_is(head->path, POLICY_PATH) || refuse(head, HTTP_NOT_FOUND);
}

enum http_verdict http_parse(const char *bytes, size_t len, struct http_request *request)
{
    struct head head = {.bytes = bytes, .len = len, .limit = HTTP_HEAD_MAX, .request = request};

    *request = (struct http_request){.status = HTTP_OK};
    if (read_request_line(&head) && read_fields(&head) && judge_head(&head))
        return HTTP_REQUEST;
    return head.refused ? HTTP_REFUSED : HTTP_INCOMPLETE;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month] + (leap && month == 1 ? 1 : 0);
}

/* By hand, since the first gmtime_r in a process opens /etc/localtime, and a worker's sandbox lets
 * it open nothing. A clock before 1970 or after 9999 must still not spoil the field. */
void http_date(time_t when, char date[HTTP_DATE_SIZE])
{
    static const char weekdays[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t seconds = when;
    int year = 1970, month = 0;

    if (seconds < 0 || seconds > INT64_C(253402300799))
        seconds = 0;
    int second = (int)(seconds % 86400);
    int day = (int)(seconds / 86400);
    const char *weekday = weekdays[day % 7];
    while (day >= days_in_month(year, month)) {
        day -= days_in_month(year, month);
        month = (month + 1) % 12;
        year += month == 0 ? 1 : 0;
    }

    struct text text;
    text_init(&text, date, HTTP_DATE_SIZE);
    text_addf(&text, "%s, %02d %s %d %02d:%02d:%02d GMT", weekday, day + 1, months[month], year,
              second / 3600, second / 60 % 60, second % 60);
}

/* The body of each refusal; up to its colon, the status line. */
static const char *const answers[] = {
    [HTTP_OK] = "200 OK",
    [HTTP_BAD_REQUEST] = "400 Bad Request: not a well-formed HTTP/1.1 request with one Host\n",
    [HTTP_NOT_FOUND] = "404 Not Found: only " POLICY_PATH " is served here\n",
    [HTTP_METHOD_NOT_ALLOWED] = "405 Method Not Allowed: only GET and HEAD are answered here\n",
    [HTTP_CONTENT_TOO_LARGE] = "413 Content Too Large: a request may not have a body here\n",
    [HTTP_URI_TOO_LONG] = "414 URI Too Long: the only path here is " POLICY_PATH "\n",
    [HTTP_MISDIRECTED_REQUEST] =
        "421 Misdirected Request: no policy for this host on this connection\n",
    [HTTP_FIELDS_TOO_LARGE] = "431 Request Header Fields Too Large: a Host field is enough here\n",
    [HTTP_NOT_IMPLEMENTED] = "501 Not Implemented: unknown method or transfer coding\n",
    [HTTP_VERSION_NOT_SUPPORTED] = "505 HTTP Version Not Supported: this is an HTTP/1.1 server\n",
};

void http_response(struct text *out, enum http_status status, bool head, const char *date,
                   const char *body, size_t body_len)
{
    const char *answer = answers[status];

    if (status != HTTP_OK) {
        body = answer;
        body_len = strlen(answer);
    }
    text_addf(out, "HTTP/1.1 %.*s\r\nDate: %s\r\nContent-Type: text/plain\r\n",
              (int)strcspn(answer, ":"), answer, date);
    text_addf(out, "Content-Length: %zu\r\n", body_len);
    if (status == HTTP_METHOD_NOT_ALLOWED)
        text_add(out, "Allow: GET, HEAD\r\n");
    text_add(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                  "Connection: close\r\n\r\n");
    if (!head)
        text_add_bytes(out, body, body_len);
}
