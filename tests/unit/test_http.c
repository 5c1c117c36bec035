/* SPDX-License-Identifier: MIT
 * http.c: which bytes are a request for the policy, which are refused with what, and that neither
 * depends on how the bytes were cut. Every input lies right before an unreadable page, so that
 * reading one byte too many crashes. Responses are compared byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "http.h"

#define ROOM 16384
#define PATH "/.well-known/mta-sts.txt"
#define NAME "mta-sts.example.com"
#define GET "GET " PATH " HTTP/1.1\r\n"
#define GET_1_0 "GET " PATH " HTTP/1.0\r\n"
#define HOST "Host: " NAME "\r\n"
#define END "\r\n"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The bytes end with the one that decides: up to it the verdict is HTTP_INCOMPLETE, and whatever
 * follows changes nothing. Status 200 stands for the verdict HTTP_REQUEST. */
struct row {
    const char *name;
    const char *bytes;
    size_t len;
    size_t status;
    const char *host; /* NULL: none seen yet */
};

#define ROW(name, bytes, status, host)                                                             \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1, status, host                                               \
    }

/* Members of one size: no padding, so that memcmp compares. */
struct outcome {
    size_t verdict, status, head, host_at, host_len, agent_at, agent_len;
};

static char *unreadable;

static int map_pages(void **state)
{
    (void)state;
    char *pages =
        mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return -1;
    unreadable = pages + ROOM;
    return mprotect(unreadable, 4096, PROT_NONE);
}

static char *place(const char *bytes, size_t len)
{
    assert_true(len <= ROOM);
    return memcpy(unreadable - len, bytes, len);
}

static struct outcome parse(const char *bytes, size_t len)
{
    const char *placed = place(bytes, len);
    struct http_request request;
    struct outcome outcome = {.verdict = http_parse(placed, len, &request)};

    outcome.status = request.status;
    outcome.head = request.head;
    outcome.host_at = request.host != NULL ? (size_t)(request.host - placed) : SIZE_MAX;
    outcome.host_len = request.host_len;
    outcome.agent_at = request.agent != NULL ? (size_t)(request.agent - placed) : SIZE_MAX;
    outcome.agent_len = request.agent_len;
    return outcome;
}

static void check_same(const char *name, size_t cut, struct outcome first, struct outcome later)
{
    if (memcmp(&first, &later, sizeof first) != 0)
        fail_msg("%s: verdict %zu with %zu became %zu with %zu after %zu bytes", name,
                 first.verdict, first.status, later.verdict, later.status, cut);
}

static void check_tail(const struct row *row, struct outcome outcome, const char *tail, size_t len)
{
    char *all = malloc(row->len + len);

    assert_non_null(all);
    memcpy(all, row->bytes, row->len);
    memcpy(all + row->len, tail, len);
    for (size_t cut = 1; cut <= len; cut++)
        check_same(row->name, row->len + cut, outcome, parse(all, row->len + cut));
    free(all);
}

static void check_row(const struct row *row)
{
    static const char tail[] = "\r\n\r\nGET / HTTP/1.1\r\nHost: other.example\r\n\r\n\n \0\x80x";
    struct outcome outcome = {0};

    for (size_t cut = 0; cut <= row->len; cut++) {
        outcome = parse(row->bytes, cut);
        if ((outcome.verdict == HTTP_INCOMPLETE) != (cut < row->len))
            fail_msg("%s: verdict %zu with %zu after %zu of %zu bytes", row->name, outcome.verdict,
                     outcome.status, cut, row->len);
    }
    if (outcome.verdict != (row->status == 200 ? HTTP_REQUEST : HTTP_REFUSED) ||
        outcome.status != row->status)
        fail_msg("%s: verdict %zu with %zu", row->name, outcome.verdict, outcome.status);
    if ((outcome.host_at != SIZE_MAX) != (row->host != NULL) ||
        (row->host != NULL && (outcome.host_len != strlen(row->host) ||
                               memcmp(row->bytes + outcome.host_at, row->host, outcome.host_len))))
        fail_msg("%s: host of %zu bytes at %zu", row->name, outcome.host_len, outcome.host_at);
    check_tail(row, outcome, tail, sizeof tail - 1);
    check_tail(row, outcome, "0", 1);
    check_tail(row, outcome, ": a\r\n\r\n", 7);
    check_tail(row, outcome, "\n", 1);
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_row(&rows[i]);
}

/* The requests of mox, postfix-tlspol, Snawoot, mailauth, KumoMTA, Courier and Mimecast. */
static void heads_of_real_senders_are_requests(void **state)
{
    static const struct row rows[] = {
        ROW("Go", GET HOST "User-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n" END, 200,
            NAME),
        ROW("Go, closing", GET HOST "User-Agent: postfix-tlspol/1.8\r\nConnection: close\r\n" END,
            200, NAME),
        ROW("aiohttp",
            GET HOST "User-Agent: postfix-mta-sts-resolver\r\nAccept: */*\r\n"
                     "Accept-Encoding: gzip, deflate\r\n" END,
            200, NAME),
        ROW("Node", GET "host: " NAME "\r\nConnection: close\r\n" END, 200, NAME),
        ROW("reqwest", GET "accept: */*\r\nhost: " NAME "\r\n" END, 200, NAME),
        ROW("wget",
            GET HOST "User-Agent: Wget/1.21.3\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
                     "Connection: Keep-Alive\r\n" END,
            200, NAME),
        ROW("OkHttp",
            GET "Content-Type: text/plain\r\nCache-Control: no-cache\r\n" HOST
                "User-Agent: Mimecast MTA-STS\r\n" END,
            200, NAME),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

static void request_line_is_strict(void **state)
{
    static const struct row rows[] = {
        ROW("GET", GET HOST END, 200, NAME),
        ROW("HEAD", "HEAD " PATH " HTTP/1.1\r\n" HOST END, 200, NAME),
        /* RFC 9112 section 2.2: an empty line, bare CR and LF, garbage */
        ROW("one empty line first", "\r\n" GET HOST END, 200, NAME),
        ROW("two empty lines first", "\r\n\r", 400, NULL),
        ROW("bare LF first", "\n", 400, NULL),
        ROW("bare CR first", "\rG", 400, NULL),
        ROW("bare LF", "GET / HTTP/1.1\n", 400, NULL),
        ROW("bare CR", "GET / HTTP/1.1\rH", 400, NULL),
        ROW("two CR", "GET / HTTP/1.1\r\r", 400, NULL),
        ROW("NUL first", "\0", 400, NULL),
        ROW("TLS inside TLS", "\x16", 400, NULL),
        /* RFC 9112 section 3: method SP request-target SP HTTP-version */
        ROW("no method", " ", 400, NULL),
        ROW("method alone", "GET\r", 400, NULL),
        ROW("method not a token", "GET:", 400, NULL),
        ROW("two spaces before the target", "GET  ", 400, NULL),
        ROW("tab before the target", "GET\t", 400, NULL),
        ROW("no target", "GET \r", 400, NULL),
        ROW("two spaces before the version", "GET /  ", 400, NULL),
        ROW("tab before the version", "GET /\t", 400, NULL),
        ROW("no version", "GET / \r", 400, NULL),
        ROW("space after the version", "GET / HTTP/1.1 ", 400, NULL),
        ROW("space in the target", "GET /a b ", 400, NULL),
        ROW("NUL in the target", "GET /\0", 400, NULL),
        ROW("DEL in the target", "GET /\x7f", 400, NULL),
        ROW("UTF-8 in the target", "GET /\xc3", 400, NULL),
        ROW("HTTP/0.9 simple request", "GET " PATH "\r", 400, NULL),
        ROW("HTTP/0.9 simple request, LF", "GET " PATH "\n", 400, NULL),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

static void version_is_judged_at_the_end_of_its_line(void **state)
{
    static const struct row rows[] = {
        /* RFC 9112 section 2.3: HTTP-name is case-sensitive, one DIGIT each */
        ROW("HTTP/1.9", "GET " PATH " HTTP/1.9\r\n" HOST END, 200, NAME),
        ROW("HTTP/1.9 without Host", "GET " PATH " HTTP/1.9\r\n" END, 400, NULL),
        ROW("lower case", "GET / http/1.1\r\n", 400, NULL),
        ROW("no minor", "GET / HTTP/1\r\n", 400, NULL),
        ROW("no digits", "GET / HTTP/.\r\n", 400, NULL),
        ROW("two digits", "GET / HTTP/1.10\r\n", 400, NULL),
        ROW("two digits in front", "GET / HTTP/11.1\r\n", 400, NULL),
        ROW("sign", "GET / HTTP/+1.1\r\n", 400, NULL),
        ROW("comma", "GET / HTTP/1,1\r\n", 400, NULL),
        ROW("more after the digits", "GET / HTTP/1.1x\r\n", 400, NULL),
        ROW("letter", "GET / HTTP/1.x\r\n", 400, NULL),
        ROW("other protocol", "GET / ICY/1.1\r\n", 400, NULL),
        ROW("prefix", "GET / HTTPS/1.1\r\n", 400, NULL),
        /* RFC 9110 section 15.6.6 */
        ROW("HTTP/2.0 preface", "PRI * HTTP/2.0\r\n", 505, NULL),
        ROW("HTTP/0.9 by name", "GET / HTTP/0.9\r\n", 505, NULL),
        ROW("HTTP/3.0", "GET / HTTP/3.0\r\n", 505, NULL),
        ROW("before the target", "GET * HTTP/2.0\r\n", 505, NULL),
        /* RFC 9112 section 3.2: only HTTP/1.1 needs Host */
        ROW("HTTP/1.0", GET_1_0 END, 200, NULL),
        ROW("HTTP/1.0 with Host", GET_1_0 HOST END, 200, NAME),
        ROW("HTTP/1.0 with two", GET_1_0 HOST HOST, 400, NAME),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

static void methods_are_refused_at_the_end_of_the_head(void **state)
{
    /* RFC 9110 section 15.5.6 */
    static const char *const known[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"};
    /* RFC 9110 sections 9.1 and 15.6.2: case-sensitive, compared whole */
    static const char *const unknown[] = {"get", "Head", "GE", "GETS", "HEADER", "PROPFIND", "!"};
    static const struct row rows[] = {
        /* RFC 9110 section 9.3.6, RFC 9112 section 3.2.3 */
        ROW("CONNECT", "CONNECT " NAME ":443 HTTP/1.1\r\n" HOST END, 405, NAME),
        ROW("CONNECT, path", "CONNECT / HTTP/1.1\r\n", 400, NULL),
        ROW("CONNECT, asterisk", "CONNECT * HTTP/1.1\r\n", 400, NULL),
        ROW("CONNECT, URI", "CONNECT https://a/ HTTP/1.1\r\n", 400, NULL),
        /* RFC 9112 section 3.2.4 */
        ROW("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST END, 405, NAME),
        ROW("OPTIONS **", "OPTIONS ** HTTP/1.1\r\n", 400, NULL),
        ROW("unknown method, asterisk", "PURGE * HTTP/1.1\r\n", 400, NULL),
    };
    char bytes[128];

    (void)state;
    for (size_t i = 0; i < COUNT(known) + COUNT(unknown); i++) {
        bool is_known = i < COUNT(known);
        struct row row = {.name = is_known ? known[i] : unknown[i - COUNT(known)], .host = NAME};
        struct text text;
        text_init(&text, bytes, sizeof bytes);
        text_addf(&text, "%s " PATH " HTTP/1.1\r\n" HOST END, row.name);
        assert_false(text.overflow);
        row.bytes = bytes;
        row.len = text.len;
        row.status = is_known ? 405 : 501;
        check_row(&row);
    }
    check_rows(rows, COUNT(rows));
}

#define TARGET(target) "GET " target " HTTP/1.1\r\n"

static void only_the_policy_path_is_found(void **state)
{
    static const struct row rows[] = {
        /* RFC 9110 section 4.2.3: nothing is normalised */
        ROW("root", TARGET("/") HOST END, 404, NAME),
        ROW("query", TARGET(PATH "?a=b") HOST END, 404, NAME),
        ROW("empty query", TARGET(PATH "?") HOST END, 404, NAME),
        ROW("fragment", TARGET(PATH "#a") HOST END, 404, NAME),
        ROW("final slash", TARGET(PATH "/") HOST END, 404, NAME),
        ROW("cut short", TARGET("/.well-known/mta-sts.tx") HOST END, 404, NAME),
        ROW("two slashes", TARGET("/" PATH) HOST END, 404, NAME),
        ROW("dot segment", TARGET("/x/.." PATH) HOST END, 404, NAME),
        ROW("encoded dot", TARGET("/%2Ewell-known/mta-sts.txt") HOST END, 404, NAME),
        ROW("encoded NUL", TARGET(PATH "%00") HOST END, 404, NAME),
        ROW("other case", TARGET("/.well-known/MTA-STS.txt") HOST END, 404, NAME),
        /* RFC 9112 sections 3.2.3 and 3.2.4: forms of other methods; section 3.2: no form */
        ROW("asterisk", TARGET("*"), 400, NULL),
        ROW("authority", TARGET(NAME ":443"), 400, NULL),
        ROW("relative", TARGET(".well-known/mta-sts.txt"), 400, NULL),
        ROW("network path", TARGET("//" NAME PATH) HOST END, 404, NAME),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

static void absolute_target_goes_before_host(void **state)
{
    static const struct row rows[] = {
        /* RFC 9112 section 3.2.2 */
        ROW("same host", TARGET("https://" NAME PATH) HOST END, 200, NAME),
        ROW("other host", TARGET("https://a.example" PATH) HOST END, 200, "a.example"),
        ROW("port", TARGET("https://" NAME ":443" PATH) HOST END, 200, NAME),
        ROW("final dot, empty port", TARGET("https://" NAME ".:" PATH) HOST END, 200, NAME),
        ROW("case of the scheme", TARGET("hTTPs://" NAME PATH) HOST END, 200, NAME),
        ROW("IPv6", TARGET("https://[::1]" PATH) HOST END, 200, "[::1]"),
        ROW("HTTP/1.0", "GET https://" NAME PATH " HTTP/1.0\r\n" END, 200, NAME),
        ROW("HEAD", "HEAD https://" NAME PATH " HTTP/1.1\r\n" HOST END, 200, NAME),
        ROW("POST", "POST https://a/ HTTP/1.1\r\n" HOST END, 405, "a"),
        /* RFC 9112 section 3.2: Host stays required and valid */
        ROW("no Host", TARGET("https://" NAME PATH) END, 400, NAME),
        ROW("two Hosts", TARGET("https://a" PATH) HOST HOST, 400, "a"),
        ROW("bad Host", TARGET("https://a" PATH) "Host: ?\r\n", 400, "a"),
        /* RFC 9110 section 4.2.3: an empty path is "/" */
        ROW("no path", TARGET("https://" NAME) HOST END, 404, NAME),
        ROW("no path, query", TARGET("https://" NAME "?" PATH) HOST END, 404, NAME),
        ROW("no path, fragment", TARGET("https://" NAME "#" PATH) HOST END, 404, NAME),
        ROW("query", TARGET("https://" NAME PATH "?a") HOST END, 404, NAME),
        /* RFC 9110 sections 4.2.2, 4.2.4, 7.4; RFC 3986 section 3 */
        ROW("http", TARGET("http://" NAME PATH) HOST END, 421, NAME),
        ROW("http, other path", TARGET("http://a/") HOST END, 421, "a"),
        ROW("scheme by prefix", TARGET("httpsx://a/") HOST END, 421, "a"),
        ROW("ftp", TARGET("f+t-p.1://a/") HOST END, 421, "a"),
        ROW("scheme starts with a digit", TARGET("1https://a/"), 400, NULL),
        ROW("no scheme", TARGET("://a/"), 400, NULL),
        ROW("scheme starts with a sign", TARGET("+a://a/"), 400, NULL),
        ROW("no authority", TARGET("https:" PATH), 400, NULL),
        ROW("one slash", TARGET("https:/a/"), 400, NULL),
        ROW("opaque", TARGET("mailto:a@b"), 400, NULL),
        ROW("empty host", TARGET("https://" PATH), 400, NULL),
        ROW("nothing after the slashes", TARGET("https://"), 400, NULL),
        ROW("port without host", TARGET("https://:443" PATH), 400, NULL),
        ROW("userinfo", TARGET("https://user@" NAME PATH), 400, NULL),
        ROW("userinfo, password", TARGET("https://u:1@" NAME PATH), 400, NULL),
        ROW("empty userinfo", TARGET("https://@" NAME PATH), 400, NULL),
        ROW("bad port", TARGET("https://" NAME ":65536" PATH), 400, NULL),
        ROW("backslash", TARGET("https://" NAME "\\" PATH), 400, NULL),
        ROW("final at sign", TARGET("https://" NAME "@"), 400, NULL),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

#define HOST_IS(value, host) ROW("Host: " value, GET "Host:" value "\r\n" END, 200, host)
#define HOST_BAD(value) ROW("Host: " value, GET "Host:" value "\r\n", 400, NULL)

static void host_is_one_name_or_literal(void **state)
{
    static const struct row rows[] = {
        /* RFC 9110 section 7.2, RFC 3986 sections 3.2.2 and 3.2.3 */
        HOST_IS(" " NAME, NAME),
        HOST_IS(NAME, NAME),
        HOST_IS(" \t" NAME "\t ", NAME),
        HOST_IS(" MTA-STS.Example.COM", "MTA-STS.Example.COM"),
        HOST_IS(" " NAME ".", NAME),
        HOST_IS(" " NAME ":", NAME),
        HOST_IS(" " NAME ":0", NAME),
        HOST_IS(" " NAME ".:00443", NAME),
        HOST_IS(" " NAME ":65535", NAME),
        HOST_IS(" a_b", "a_b"),
        HOST_IS(" 192.0.2.1:443", "192.0.2.1"),
        HOST_IS(" [2001:DB8::1]", "[2001:DB8::1]"),
        HOST_IS(" [::ffff:192.0.2.1]:443", "[::ffff:192.0.2.1]"),
        /* RFC 9112 section 3.2: missing, doubled or invalid is 400 */
        ROW("no Host", GET END, 400, NULL),
        ROW("two Hosts", GET HOST HOST, 400, NAME),
        ROW("two different Hosts", GET HOST "hOST: a\r\n", 400, NAME),
        ROW("longer name", GET "Hosts: " NAME "\r\n" END, 400, NULL),
        ROW("shorter name", GET "Hos: " NAME "\r\n" END, 400, NULL),
        HOST_BAD(""),
        HOST_BAD(" \t "),
        HOST_BAD(" :443"),
        HOST_BAD(" ."),
        HOST_BAD(" .a"),
        HOST_BAD(" a.."),
        HOST_BAD(" a..b"),
        HOST_BAD(" a b"),
        HOST_BAD(" a, b"),
        HOST_BAD(" a/"),
        HOST_BAD(" u@a"),
        HOST_BAD(" a%2eb"),
        HOST_BAD(" m\xc3\xbc.example"),
        HOST_BAD(" https://" NAME),
        HOST_BAD(" a:65536"),
        HOST_BAD(" a:000443"),
        HOST_BAD(" a:-1"),
        HOST_BAD(" a:+1"),
        HOST_BAD(" a:4 43"),
        HOST_BAD(" a:443:443"),
        HOST_BAD(" a:http"),
        HOST_BAD(" ::1"),
        HOST_BAD(" ["),
        HOST_BAD(" []"),
        HOST_BAD(" [::1"),
        HOST_BAD(" [::1]."),
        HOST_BAD(" [::1]443"),
        HOST_BAD(" [fe80::1%25eth0]"),
        HOST_BAD(" [v1.a]"),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

static void fields_are_strict(void **state)
{
    static const struct row rows[] = {
        /* RFC 9112 section 5, RFC 9110 section 5.5 */
        ROW("empty value", GET HOST "A:\r\n" END, 200, NAME),
        ROW("tab and obs-text in a value", GET HOST "A: b\tc \x80\xff\r\n" END, 200, NAME),
        ROW("bare LF ends a field", GET "Host: a\n", 400, NULL),
        ROW("bare CR in a value", GET "A: b\rc", 400, NULL),
        ROW("two CR", GET "A: b\r\r", 400, NULL),
        ROW("NUL in a value", GET "A: b\0", 400, NULL),
        ROW("DEL in a value", GET "A: b\x7f", 400, NULL),
        ROW("control byte in Host", GET "Host: a\x01", 400, NULL),
        ROW("bare LF ends the head", GET HOST "\n", 400, NAME),
        ROW("bare CR ends the head", GET HOST "\rG", 400, NAME),
        /* RFC 9112 section 5.1 */
        ROW("space before the colon", GET "Host ", 400, NULL),
        ROW("tab before the colon", GET "Host\t", 400, NULL),
        ROW("no name", GET ":", 400, NULL),
        ROW("no colon", GET "Host\r", 400, NULL),
        ROW("name not a token", GET "Ho(", 400, NULL),
        ROW("obs-text in a name", GET "\xc3", 400, NULL),
        /* RFC 9112 sections 2.2 and 5.2 */
        ROW("space before the first field", GET " ", 400, NULL),
        ROW("folded by a space", GET HOST " ", 400, NAME),
        ROW("folded by a tab", GET HOST "A: b\r\n\t", 400, NAME),
        /* RFC 9110 sections 7.8, 10.1.1, 12.5, 13.1 and 14.2: ignored */
        ROW("conditions and preferences",
            GET HOST "Expect: 100-continue\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n"
                     "If-Match: \"x\"\r\nAccept: image/png\r\nAccept-Encoding: br\r\n"
                     "Upgrade: h2c\r\nConnection: Host\r\n" END,
            200, NAME),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

#define LENGTH(value) "Content-Length:" value "\r\n"
#define CODING(value) "Transfer-Encoding:" value "\r\n"

static void bodies_are_refused_and_framing_is_certain(void **state)
{
    static const struct row rows[] = {
        /* RFC 9110 section 8.6, RFC 9112 section 6.3 */
        ROW("length 0", GET HOST LENGTH(" 0") END, 200, NAME),
        ROW("length 000", GET HOST LENGTH("000") END, 200, NAME),
        ROW("length 5", GET HOST LENGTH(" 5") END, 413, NAME),
        ROW("length 010", GET HOST LENGTH(" 010") END, 413, NAME),
        ROW("length 2^64", GET HOST LENGTH(" 18446744073709551616") END, 413, NAME),
        ROW("length longer name", GET HOST "Content-Lengths: 5\r\n" END, 200, NAME),
        ROW("no length", GET LENGTH(" "), 400, NULL),
        ROW("length +5", GET LENGTH(" +5"), 400, NULL),
        ROW("length -0", GET LENGTH(" -0"), 400, NULL),
        ROW("length 0x5", GET LENGTH(" 0x5"), 400, NULL),
        ROW("length 5x", GET LENGTH(" 5x"), 400, NULL),
        ROW("length 0 0", GET LENGTH(" 0 0"), 400, NULL),
        ROW("length list", GET LENGTH(" 5, 5"), 400, NULL),
        ROW("two lengths", GET LENGTH(" 0") LENGTH(" 0"), 400, NULL),
        ROW("two different lengths", GET LENGTH(" 0") LENGTH(" 5"), 400, NULL),
        /* RFC 9112 sections 6.1, 6.3 and 7 */
        ROW("chunked", GET HOST CODING(" chunked") END, 413, NAME),
        ROW("CHUNKED", GET HOST CODING("\tCHUNKED ") END, 413, NAME),
        ROW("gzip, chunked", GET HOST CODING(" gzip, chunked") END, 501, NAME),
        ROW("a,b ,chunked", GET HOST CODING("a,b\t,chunked") END, 501, NAME),
        ROW("no coding", GET CODING(""), 400, NULL),
        ROW("gzip", GET CODING(" gzip"), 400, NULL),
        ROW("identity", GET CODING(" identity"), 400, NULL),
        ROW("chunked, gzip", GET CODING(" chunked, gzip"), 400, NULL),
        ROW("chunked, chunked", GET CODING(" chunked, chunked"), 400, NULL),
        ROW("chunked and comma", GET CODING(" chunked,"), 400, NULL),
        ROW("comma and chunked", GET CODING(" ,chunked"), 400, NULL),
        ROW("chunked with a parameter", GET CODING(" chunked;a=b"), 400, NULL),
        ROW("chunked by prefix", GET CODING(" chunkedx"), 400, NULL),
        ROW("chunked by suffix", GET CODING(" xchunked"), 400, NULL),
        ROW("chunked twice, a space", GET CODING(" chunked chunked"), 400, NULL),
        ROW("quoted", GET CODING(" \"chunked\""), 400, NULL),
        ROW("two fields", GET CODING("a, chunked") CODING("chunked"), 400, NULL),
        ROW("length and coding", GET LENGTH("0") CODING("chunked"), 400, NULL),
        ROW("coding and length", GET CODING("chunked") LENGTH("0"), 400, NULL),
        ROW("coding in HTTP/1.0", GET_1_0 CODING("chunked"), 400, NULL),
        ROW("length in HTTP/1.0", GET_1_0 LENGTH("5") END, 413, NULL),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

#define POST(target) "POST " target " HTTP/1.1\r\n"

/* 400, then 501, 405, 413, 421, 404. */
static void worst_fault_decides(void **state)
{
    static const struct row rows[] = {
        ROW("no Host before 501", "PURGE / HTTP/1.1\r\n" END, 400, NULL),
        ROW("no Host before 405", POST("/") LENGTH("5") END, 400, NULL),
        ROW("no Host before 421", TARGET("http://a/") END, 400, "a"),
        ROW("no Host before 404", TARGET("/") END, 400, NULL),
        ROW("length before 413", TARGET("/") HOST LENGTH("5") LENGTH("5"), 400, NAME),
        ROW("coding before 405", POST("/") HOST CODING("gzip"), 400, NAME),
        ROW("coding 501 before 405", POST("/") HOST CODING("gzip, chunked") END, 501, NAME),
        ROW("405 before 413", POST(PATH) HOST LENGTH("5") END, 405, NAME),
        ROW("405 before 421", POST("http://a/") HOST END, 405, "a"),
        ROW("413 before 421", TARGET("http://a/") HOST LENGTH("5") END, 413, "a"),
        ROW("413 before 404", TARGET("/") HOST CODING("chunked") END, 413, NAME),
    };

    (void)state;
    check_rows(rows, COUNT(rows));
}

/* RFC 9110 sections 5.5, 5.6.2 and 7.2, RFC 3986 section 2: each of the 256 bytes in each place. */
static void every_byte_has_its_places(void **state)
{
    static const char *const heads[] = {"G%T / HTTP/1.1\r\n" HOST END, TARGET("/%") HOST END,
                                        GET HOST "A%B: c\r\n" END, GET HOST "A: b%c\r\n" END,
                                        GET "Host: a%b\r\n" END};

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool alnum = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z');
        bool visible = byte > 32 && byte < 127;
        bool token = alnum || (visible && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL);
        bool value = byte == 9 || byte == 32 || visible || byte > 127;
        bool host = alnum || byte == '-' || byte == '.' || byte == '_';
        const bool allowed[] = {token, visible, token || byte == ':', value, host};
        for (size_t i = 0; i < COUNT(heads); i++) {
            char bytes[128];
            size_t len = strlen(heads[i]);
            memcpy(bytes, heads[i], len);
            bytes[strcspn(heads[i], "%")] = (char)byte;
            struct outcome outcome = parse(bytes, len);
            if ((outcome.status != 400) != allowed[i] || outcome.verdict == HTTP_INCOMPLETE)
                fail_msg("byte 0x%02x: %zu in %s", (unsigned)byte, outcome.status, heads[i]);
        }
    }
}

/* Fills the middle up with the letter a until the whole has the length. */
static struct row padded_row(const char *start, const char *end, size_t len, size_t status,
                             const char *host)
{
    static char bytes[ROOM];
    size_t start_len = strlen(start), end_len = strlen(end);

    assert_true(start_len + end_len <= len && len <= sizeof bytes);
    memset(bytes, 'a', len);
    memcpy(bytes, start, start_len);
    memcpy(bytes + len - end_len, end, end_len);
    return (struct row){start, bytes, len, status, host};
}

static void check_padded(const char *start, const char *end, size_t len, size_t status,
                         const char *host)
{
    struct row row = padded_row(start, end, len, status, host);

    check_row(&row);
}

/* RFC 9112 section 3 */
static void long_request_lines_are_refused(void **state)
{
    static const char rest[] = " HTTP/1.1\r\n" HOST END;
    const size_t rest_len = strlen(HOST END);

    (void)state;
    check_padded("GET /", rest, HTTP_LINE_MAX + rest_len, 404, NAME);
    check_padded("\r\nGET /", rest, 2 + HTTP_LINE_MAX + rest_len, 404, NAME);
    check_padded("GET /", " HTTP/1.1\r", HTTP_LINE_MAX, 414, NULL);
    check_padded("\r\nGET /", "", 2 + HTTP_LINE_MAX, 414, NULL);
    check_padded("A", "", HTTP_LINE_MAX, 501, NULL);
    check_padded("GET / ", "", HTTP_LINE_MAX, 414, NULL);
    check_padded("GET /", "\n", HTTP_LINE_MAX, 400, NULL);
}

/* RFC 9110 section 5.4, RFC 6585 section 5 */
static void long_heads_are_refused(void **state)
{
    (void)state;
    check_padded(GET HOST "A: ", "\r\n" END, HTTP_HEAD_MAX, 200, NAME);
    check_padded(GET HOST "A: ", "\r\n\r", HTTP_HEAD_MAX, 431, NAME);
    check_padded(GET HOST "A: ", "\r\n", HTTP_HEAD_MAX, 431, NAME);
    check_padded(GET HOST, "", HTTP_HEAD_MAX, 431, NAME);
    check_padded("\r\n" GET "A: ", "", HTTP_HEAD_MAX, 431, NULL);
    check_padded(GET "A: ", "\n", HTTP_HEAD_MAX, 400, NULL);
}

static void nothing_after_the_longest_head_is_read(void **state)
{
    struct row row = padded_row(GET "A: ", "", HTTP_HEAD_MAX, HTTP_FIELDS_TOO_LARGE, NULL);
    struct http_request request;

    (void)state;
    assert_int_equal(http_parse(place(row.bytes, row.len), SIZE_MAX, &request), HTTP_REFUSED);
    assert_int_equal(request.status, HTTP_FIELDS_TOO_LARGE);
    assert_int_equal(http_parse(NULL, 0, &request), HTTP_INCOMPLETE);
}

static void refusals_keep_what_was_seen(void **state)
{
    static const char bytes[] =
        "HEAD /x HTTP/1.1\r\nUser-Agents: no\r\nuser-agent: \tProbe/1 (a)\t\r\n"
        "User-Agent: second\r\nHost: A.example.\r\nHost: b\r\n";
    struct http_request request;

    (void)state;
    assert_int_equal(http_parse(place(bytes, sizeof bytes - 1), sizeof bytes - 1, &request),
                     HTTP_REFUSED);
    assert_int_equal(request.status, HTTP_BAD_REQUEST);
    assert_true(request.head);
    assert_int_equal(request.host_len, strlen("A.example"));
    assert_memory_equal(request.host, "A.example", strlen("A.example"));
    assert_int_equal(request.agent_len, strlen("Probe/1 (a)"));
    assert_memory_equal(request.agent, "Probe/1 (a)", strlen("Probe/1 (a)"));
    assert_true(parse("HEAD / HTTP/2.0\r\n", 17).head);
    assert_true(parse("HEAD  ", 6).head);
    assert_false(parse("HEADS  ", 7).head);
    assert_false(parse("head  ", 6).head);
}

static void empty_agent_is_not_a_missing_one(void **state)
{
    static const char bytes[] = GET HOST "User-Agent:\r\n" END;

    (void)state;
    assert_int_equal(parse(bytes, sizeof bytes - 1).agent_len, 0);
    assert_true(parse(bytes, sizeof bytes - 1).agent_at != SIZE_MAX);
    assert_true(parse(GET HOST END, strlen(GET HOST END)).agent_at == SIZE_MAX);
}

/* The same numbers at each run. */
static size_t next_random(size_t below)
{
    static uint64_t seed = 8461;

    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(seed >> 33) % below;
}

static void no_cut_changes_the_verdict_on_damaged_heads(void **state)
{
    static const char whole[] = "\r\nHEAD https://a.example:443" PATH " HTTP/1.1\r\n" HOST
                                "Content-Length: 0\r\nTransfer-Encoding: a, chunked\r\n"
                                "User-Agent: b\r\n" END;
    static const char spice[] = "\r\n\r\n \t:,/@.[]0a\0\x7f\x80";

    (void)state;
    for (int round = 0; round < 1000; round++) {
        char bytes[sizeof whole];
        struct outcome first = {.verdict = HTTP_INCOMPLETE};
        memcpy(bytes, whole, sizeof whole);
        for (size_t i = next_random(4); i > 0; i--) {
            size_t at = next_random(sizeof whole - 2);
            size_t gap = next_random(3);
            memmove(bytes + at, bytes + at + gap, sizeof whole - at - gap);
            bytes[at] = spice[next_random(sizeof spice)];
        }
        for (size_t cut = 0; cut < sizeof whole; cut++) {
            struct outcome outcome = parse(bytes, cut);
            if (first.verdict == HTTP_INCOMPLETE)
                first = outcome;
            else
                check_same("damaged", cut, first, outcome);
        }
    }
}

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void check_response(enum http_status status, bool head, const char *expected)
{
    static const char policy[] = "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n";
    char bytes[1024];
    struct text out;

    text_init(&out, bytes, sizeof bytes);
    text_add(&out, "before|");
    http_response(&out, status, head, DATE, policy, sizeof policy - 1);
    assert_false(out.overflow);
    assert_memory_equal(bytes, "before|", 7);
    assert_string_equal(bytes + 7, expected);
    assert_true((size_t)(strstr(expected, "\r\n\r\n") - expected) + 4 <= HTTP_RESPONSE_HEAD_MAX);
}

#define START(line, length)                                                                        \
    "HTTP/1.1 " line "\r\nDate: " DATE "\r\nContent-Type: text/plain\r\nContent-Length: " length   \
    "\r\n"
#define FINISH                                                                                     \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"

/* RFC 8461 section 3.2, RFC 9110 sections 6.6.1, 8.3, 8.6 and 9.3.2, RFC 9112 section 9.6 */
static void policy_is_sent_as_these_bytes(void **state)
{
    (void)state;
    check_response(HTTP_OK, false,
                   START("200 OK", "44") FINISH
                   "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n");
    check_response(HTTP_OK, true, START("200 OK", "44") FINISH);
}

/* RFC 9110 sections 9.3.2 (HEAD), 10.2.1 (Allow) and 15 */
static void refusals_are_these_bytes(void **state)
{
    static const struct {
        enum http_status status;
        const char *head;
        const char *body;
    } rows[] = {
        {HTTP_BAD_REQUEST, START("400 Bad Request", "66") FINISH,
         "400 Bad Request: not a well-formed HTTP/1.1 request with one Host\n"},
        {HTTP_NOT_FOUND, START("404 Not Found", "60") FINISH,
         "404 Not Found: only /.well-known/mta-sts.txt is served here\n"},
        {HTTP_METHOD_NOT_ALLOWED,
         START("405 Method Not Allowed", "60") "Allow: GET, HEAD\r\n" FINISH,
         "405 Method Not Allowed: only GET and HEAD are answered here\n"},
        {HTTP_CONTENT_TOO_LARGE, START("413 Content Too Large", "58") FINISH,
         "413 Content Too Large: a request may not have a body here\n"},
        {HTTP_URI_TOO_LONG, START("414 URI Too Long", "65") FINISH,
         "414 URI Too Long: the only path here is /.well-known/mta-sts.txt\n"},
        {HTTP_MISDIRECTED_REQUEST, START("421 Misdirected Request", "68") FINISH,
         "421 Misdirected Request: no policy for this host on this connection\n"},
        {HTTP_FIELDS_TOO_LARGE, START("431 Request Header Fields Too Large", "65") FINISH,
         "431 Request Header Fields Too Large: a Host field is enough here\n"},
        {HTTP_NOT_IMPLEMENTED, START("501 Not Implemented", "55") FINISH,
         "501 Not Implemented: unknown method or transfer coding\n"},
        {HTTP_VERSION_NOT_SUPPORTED, START("505 HTTP Version Not Supported", "59") FINISH,
         "505 HTTP Version Not Supported: this is an HTTP/1.1 server\n"},
    };
    char expected[1024];
    struct text text;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        text_init(&text, expected, sizeof expected);
        text_add(&text, rows[i].head);
        check_response(rows[i].status, true, expected);
        text_add(&text, rows[i].body);
        check_response(rows[i].status, false, expected);
    }
}

static void short_buffer_is_told(void **state)
{
    char bytes[300];
    struct text out;

    (void)state;
    text_init(&out, bytes, sizeof bytes);
    http_response(&out, HTTP_OK, false, DATE, bytes, 200);
    assert_true(out.overflow);
}

static void check_date(time_t when, const char *expected)
{
    char date[HTTP_DATE_SIZE];

    http_date(when, date);
    assert_string_equal(date, expected);
}

/* RFC 9110 section 5.6.7 */
static void dates_are_imf_fixdates(void **state)
{
    (void)state;
    check_date(784111777, DATE);
    check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check_date(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    check_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    check_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
    /* A clock that is not set must not break the field. */
    check_date(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
    check_date(253402300800, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void dates_agree_with_the_c_library(void **state)
{
    char expected[64];

    (void)state;
    for (time_t when = 0; when < INT64_C(32503680000); when += 86400 * 9 + 12345) {
        struct tm tm;
        assert_non_null(gmtime_r(&when, &tm));
        assert_int_equal(strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm), 29);
        check_date(when, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_of_real_senders_are_requests),
        cmocka_unit_test(request_line_is_strict),
        cmocka_unit_test(version_is_judged_at_the_end_of_its_line),
        cmocka_unit_test(methods_are_refused_at_the_end_of_the_head),
        cmocka_unit_test(only_the_policy_path_is_found),
        cmocka_unit_test(absolute_target_goes_before_host),
        cmocka_unit_test(host_is_one_name_or_literal),
        cmocka_unit_test(fields_are_strict),
        cmocka_unit_test(bodies_are_refused_and_framing_is_certain),
        cmocka_unit_test(worst_fault_decides),
        cmocka_unit_test(every_byte_has_its_places),
        cmocka_unit_test(long_request_lines_are_refused),
        cmocka_unit_test(long_heads_are_refused),
        cmocka_unit_test(nothing_after_the_longest_head_is_read),
        cmocka_unit_test(refusals_keep_what_was_seen),
        cmocka_unit_test(empty_agent_is_not_a_missing_one),
        cmocka_unit_test(no_cut_changes_the_verdict_on_damaged_heads),
        cmocka_unit_test(policy_is_sent_as_these_bytes),
        cmocka_unit_test(refusals_are_these_bytes),
        cmocka_unit_test(short_buffer_is_told),
        cmocka_unit_test(dates_are_imf_fixdates),
        cmocka_unit_test(dates_agree_with_the_c_library),
    };

    return cmocka_run_group_tests(tests, map_pages, NULL);
}
