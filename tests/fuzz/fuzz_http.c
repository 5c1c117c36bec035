/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as a request. The verdict is the same however they are cut, what is accepted
 * is what RFC 9112 lets through by a second, simpler reading, and every answer is well-formed.
 */
#include "fuzz.h"

#include <strings.h>

#include "http.h"

#define PATH "/.well-known/mta-sts.txt"
#define BODY "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n"
#define CUTS 24 /* tried of a long input; those that other inputs get are others */

struct outcome {
    enum http_verdict verdict;
    enum http_status status;
    size_t host_at, host_len, agent_at, agent_len;
    bool head, host, agent;
};

/* Where a span lies in the bytes that were given. */
static size_t offset_in(const char *bytes, size_t len, const char *at, size_t span)
{
    require(at >= bytes && span <= len && (size_t)(at - bytes) <= len - span);
    return (size_t)(at - bytes);
}

static struct outcome parse(const uint8_t *data, size_t len)
{
    struct http_request request;
    char *bytes = fuzz_copy(data, len);
    struct outcome outcome = {.verdict = http_parse(bytes, len, &request)};

    outcome.status = request.status;
    outcome.head = request.head;
    outcome.host = request.host != NULL;
    outcome.agent = request.agent != NULL;
    if (outcome.host) {
        outcome.host_at = offset_in(bytes, len, request.host, request.host_len);
        outcome.host_len = request.host_len;
    }
    if (outcome.agent) {
        outcome.agent_at = offset_in(bytes, len, request.agent, request.agent_len);
        outcome.agent_len = request.agent_len;
    }
    free(bytes);
    require(outcome.verdict != HTTP_REFUSED || outcome.status != HTTP_OK);
    return outcome;
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
    return a->verdict == b->verdict && a->status == b->status && a->head == b->head &&
           a->host == b->host && a->host_at == b->host_at && a->host_len == b->host_len &&
           a->agent == b->agent && a->agent_at == b->agent_at && a->agent_len == b->agent_len;
}

static void check_cut(const uint8_t *data, size_t cut, size_t decided, const struct outcome *whole)
{
    struct outcome outcome = parse(data, cut);

    if (cut < decided)
        require(outcome.verdict == HTTP_INCOMPLETE);
    else
        require(is_same(&outcome, whole));
}

/* The number of bytes that decide, or all of them if none does. */
static size_t check_cuts(const uint8_t *data, size_t size, const struct outcome *whole)
{
    size_t low = 0, high = size, step = size / CUTS + 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (parse(data, middle).verdict == HTTP_INCOMPLETE)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0)
        check_cut(data, low - 1, low, whole);
    for (size_t cut = size > 0 ? data[size / 2] % step : 0; cut < size; cut += step)
        check_cut(data, cut, low, whole);
    return low;
}

/* One line of an accepted head, without its end. */
static void check_field(const char *line, size_t len, unsigned *hosts)
{
    require(len > 0 && line[0] != ' ' && line[0] != '\t');
    size_t name = fuzz_find(line, len, ':');
    require(name > 0 && fuzz_is_of(line, name, FUZZ_ALNUM "!#$%&'*+-.^_`|~"));
    *hosts += name == 4 && strncasecmp(line, "host", 4) == 0;
    require(name != 17 || strncasecmp(line, "transfer-encoding", 17) != 0);
    if (name == 14 && strncasecmp(line, "content-length", 14) == 0)
        require(fuzz_is_of(line + name + 1, len - name - 1, " \t0"));
}

static void check_request_line(const char *line, size_t len, bool head)
{
    const char *method = head ? "HEAD " : "GET ";
    const char *version = line + len - strlen(" HTTP/1.x");
    size_t skip = strlen(method);

    require(len >= skip + strlen(PATH) + strlen(" HTTP/1.x"));
    require(memcmp(line, method, skip) == 0);
    require(memcmp(version, " HTTP/1.", 8) == 0 && version[8] >= '0' && version[8] <= '9');
    require(memcmp(version - strlen(PATH), PATH, strlen(PATH)) == 0);
    const char *target = line + skip, *end = version - strlen(PATH);
    require(target == end || (end - target > 8 && strncasecmp(target, "https://", 8) == 0));
}

/* A request is lines that end in CRLF, with no other control byte; it ends with the empty one. */
static void check_accepted(const char *bytes, size_t len, const struct outcome *outcome)
{
    unsigned lines = 0, hosts = 0;
    size_t start = len > 1 && bytes[0] == '\r' ? 2 : 0;
    bool old = false;

    require(len <= HTTP_HEAD_MAX && memcmp(bytes + len - 4, "\r\n\r\n", 4) == 0);
    while (start < len - 2) {
        size_t line_len = fuzz_find(bytes + start, len - start - 1, '\r');
        const char *end = bytes + start + line_len;
        require(end[1] == '\n');
        for (const char *p = bytes + start; p < end; p++)
            require((unsigned char)*p >= ' ' ? *p != 0x7f : *p == '\t');
        if (lines++ == 0) {
            check_request_line(bytes + start, line_len, outcome->head);
            old = end[-1] == '0';
        } else
            check_field(bytes + start, line_len, &hosts);
        start += line_len + 2;
    }
    require(start == len - 2);
    require(hosts == 1 || (hosts == 0 && old));
    require(outcome->host || old);
    if (outcome->host && bytes[outcome->host_at] != '[')
        require(outcome->host_len > 0 && bytes[outcome->host_at] != '.' &&
                fuzz_is_of(bytes + outcome->host_at, outcome->host_len, FUZZ_ALNUM "-_."));
    else if (outcome->host)
        require(bytes[outcome->host_at + outcome->host_len - 1] == ']');
    for (size_t i = 0; outcome->agent && i < outcome->agent_len; i++)
        require(bytes[outcome->agent_at + i] != '\r' && bytes[outcome->agent_at + i] != '\n');
}

/* Takes a line and its end off the front. */
static char *take_line(char **rest)
{
    char *line = *rest, *end = strstr(line, "\r\n");

    require(end != NULL);
    *end = '\0';
    *rest = end + 2;
    require(fuzz_is_printable(line, strlen(line)));
    return line;
}

static void check_date(const char *date, time_t when)
{
    struct tm tm = {0};
    char again[HTTP_DATE_SIZE];

    require(strlen(date) == HTTP_DATE_SIZE - 1);
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    require(end != NULL && *end == '\0');
    bool known = when >= 0 && when <= INT64_C(253402300799);
    require(timegm(&tm) == (known ? when : 0));
    require(strftime(again, sizeof again, "%a, %d %b %Y %H:%M:%S GMT", &tm) == strlen(date));
    require(strcmp(again, date) == 0);
}

/* The answer to what was asked, read by its grammar; nothing in it is the client's. */
static void check_response(const struct outcome *outcome, time_t when)
{
    enum http_status status = outcome->verdict == HTTP_REQUEST ? HTTP_OK : outcome->status;
    char date[HTTP_DATE_SIZE], bytes[HTTP_RESPONSE_HEAD_MAX + sizeof BODY], wanted[64], *rest;
    struct text out;

    http_date(when, date);
    check_date(date, when);
    text_init(&out, bytes, sizeof bytes);
    http_response(&out, status, outcome->head, date, BODY, strlen(BODY));
    require(!out.overflow && strlen(bytes) == out.len);
    rest = bytes;
    const char *line = take_line(&rest);
    snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", (int)status);
    require(strncmp(line, wanted, strlen(wanted)) == 0 && strlen(line) > strlen(wanted));
    snprintf(wanted, sizeof wanted, "Date: %s", date);
    require(strcmp(take_line(&rest), wanted) == 0);
    require(strcmp(take_line(&rest), "Content-Type: text/plain") == 0);
    line = take_line(&rest);
    require(strncmp(line, "Content-Length: ", 16) == 0);
    size_t length = strtoul(line + 16, NULL, 10);
    if (status == HTTP_METHOD_NOT_ALLOWED)
        require(strcmp(take_line(&rest), "Allow: GET, HEAD") == 0);
    require(strcmp(take_line(&rest), "Cache-Control: no-store") == 0);
    require(strcmp(take_line(&rest), "X-Content-Type-Options: nosniff") == 0);
    require(strcmp(take_line(&rest), "Connection: close") == 0);
    require(*take_line(&rest) == '\0');
    require(strlen(rest) == (outcome->head ? 0 : length));
    require(status != HTTP_OK ||
            (length == strlen(BODY) && (outcome->head || !strcmp(rest, BODY))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = parse(data, size);
    int64_t when = 0;

    require(size < HTTP_HEAD_MAX || whole.verdict != HTTP_INCOMPLETE);
    size_t decided = check_cuts(data, size, &whole);
    require(decided <= HTTP_HEAD_MAX);
    if (whole.verdict == HTTP_REQUEST)
        check_accepted((const char *)data, decided, &whole);
    memcpy(&when, data, size < sizeof when ? size : sizeof when);
    /* Seldom any time at all: http_date counts the months, which takes long for the year 9999. */
    if (whole.verdict != HTTP_INCOMPLETE)
        check_response(&whole, (time_t)(size % 64 == 0 ? when : when & INT64_C(0xffffffff)));
    return 0;
}
