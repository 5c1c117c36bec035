/* SPDX-License-Identifier: MIT
 * unpack.c, unpack_gzip.c, mail.c and input.c: what arrives, whole and hostile, and what comes of
 * it. Each event of a sink is a line: "report NAME TEXT", "fault NAME: WHY", "empty NAME".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "report/input.h"
#include "report/unpack.h"

#define JSON "{\"report-id\":\"one\"}"
#define SHORT_TEXT 64

/* Bytes that grow. */
struct bytes {
    char *data;
    size_t len, size;
};

static void add_bytes(struct bytes *bytes, const void *data, size_t len)
{
    if (bytes->size - bytes->len <= len) {
        bytes->size = 2 * (bytes->len + len) + 1;
        bytes->data = realloc(bytes->data, bytes->size);
        assert_non_null(bytes->data);
    }
    if (len > 0)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    bytes->data[bytes->len] = '\0';
}

static void add(struct bytes *bytes, const char *string)
{
    add_bytes(bytes, string, strlen(string));
}

static void add_times(struct bytes *bytes, const char *string, size_t times)
{
    while (times-- > 0)
        add(bytes, string);
}

/* What a sink was told. */
static struct bytes told;
static size_t told_reports, told_faults, told_empties;

static void told_clear(void)
{
    free(told.data);
    told = (struct bytes){0};
    add(&told, "");
    told_reports = told_faults = told_empties = 0;
}

static void take_report(void *context, const char *name, const char *json, size_t len)
{
    (void)context;
    told_reports++;
    add(&told, "report ");
    add(&told, name);
    add(&told, " ");
    add_bytes(&told, json, len < SHORT_TEXT ? len : SHORT_TEXT);
    add(&told, "\n");
}

static void take_fault(void *context, const char *name, const char *why)
{
    (void)context;
    told_faults++;
    for (const char *p = why; *p != '\0'; p++)
        assert_in_range(*p, ' ', '~');
    add(&told, "fault ");
    add(&told, name);
    add(&told, ": ");
    add(&told, why);
    add(&told, "\n");
}

static void take_empty(void *context, const char *name)
{
    (void)context;
    told_empties++;
    add(&told, "empty ");
    add(&told, name);
    add(&told, "\n");
}

static struct unpack_sink sink = {
    .max = UNPACK_MAX_DEFAULT,
    .report = take_report,
    .fault = take_fault,
    .empty = take_empty,
};

/* The bytes are read where they end with their memory. */
static const char *unpacked(const void *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    told_clear();
    unpack_bytes(&sink, "F", copy, len);
    free(copy);
    return told.data;
}

static const char *unpacked_string(const char *string)
{
    return unpacked(string, strlen(string));
}

/* Of bytes that are not needed any more. */
static const char *unpacked_once(struct bytes bytes)
{
    unpacked(bytes.data, bytes.len);
    free(bytes.data);
    return told.data;
}

static const char *input(const char *path)
{
    told_clear();
    input_read(&sink, path);
    return told.data;
}

/* window_bits: 15 + 16 is gzip, -15 has no header. */
static void add_deflated(struct bytes *bytes, const void *data, size_t len, int window_bits)
{
    z_stream stream = {0};
    size_t bound;
    char *out;

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    bound = deflateBound(&stream, len);
    out = malloc(bound);
    assert_non_null(out);
    stream.next_in = (Bytef *)data;
    stream.avail_in = (uInt)len;
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)bound;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    add_bytes(bytes, out, bound - stream.avail_out);
    deflateEnd(&stream);
    free(out);
}

static struct bytes gzip(const char *string)
{
    struct bytes bytes = {0};

    add_deflated(&bytes, string, strlen(string), 15 + 16);
    return bytes;
}

static void test_kinds(void **state)
{
    static const struct {
        const char *bytes;
        enum unpack_kind kind;
    } cases[] = {
        {"{", UNPACK_JSON},
        {"[", UNPACK_JSON},
        {" \t\r\n{", UNPACK_JSON},
        {"\xef\xbb\xbf{", UNPACK_JSON},
        {"\xef\xbb\xbf \n[", UNPACK_JSON},
        {" \xef\xbb\xbf{", UNPACK_UNKNOWN},
        {"\xef\xbb{", UNPACK_UNKNOWN},
        {"\v{", UNPACK_UNKNOWN},
        {"\x1f\x8b", UNPACK_GZIP},
        {"\x1f", UNPACK_UNKNOWN},
        {"PK\3\4", UNPACK_ZIP},
        {"PK\5\6", UNPACK_ZIP},
        {"PK\3", UNPACK_UNKNOWN},
        {"From ", UNPACK_MBOX},
        {"From:", UNPACK_MAIL},
        {"From", UNPACK_UNKNOWN},
        {"X-A: b", UNPACK_MAIL},
        {":", UNPACK_UNKNOWN},
        {"X A: b", UNPACK_UNKNOWN},
        {"X\xc3\xa4:", UNPACK_UNKNOWN},
        {"\nX: a", UNPACK_UNKNOWN},
        {" ", UNPACK_UNKNOWN},
        {"", UNPACK_UNKNOWN},
        {"%PDF-1.7", UNPACK_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(unpack_kind(cases[i].bytes, strlen(cases[i].bytes)), cases[i].kind);
}

static void test_json_is_handed_on_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(unpacked_string(JSON), "report F " JSON "\n");
    assert_string_equal(unpacked_string("\xef\xbb\xbf\r\n[]"), "report F \xef\xbb\xbf\r\n[]\n");
}

static void test_what_is_nothing_is_a_fault(void **state)
{
    (void)state;
    assert_string_equal(unpacked_string(""), "fault F: empty\n");
    assert_string_equal(unpacked_string("\r\n"), "fault F: neither JSON, gzip, zip nor mail\n");
    assert_string_equal(unpacked_string("hello"), "fault F: neither JSON, gzip, zip nor mail\n");
}

static void test_sizes_as_they_arrive(void **state)
{
    struct unpack_sink before = sink;
    char bytes[101];

    (void)state;
    memset(bytes, ' ', sizeof bytes);
    sink.max = 100;
    bytes[0] = '{';
    unpacked(bytes, 100);
    assert_int_equal(told_reports, 1);
    assert_string_equal(unpacked(bytes, 101), "fault F: larger than 100 octets (see --max-size)\n");
    memcpy(bytes, "\x1f\x8b", 2);
    assert_string_equal(unpacked(bytes, 12), "fault F: gzip: corrupted (unknown compression "
                                             "method)\n");
    assert_string_equal(unpacked(bytes, 13), "fault F: larger than 12 octets (see --max-size)\n");
    memcpy(bytes, "A:", 2);
    assert_string_equal(unpacked(bytes, 25), "fault F: larger than 24 octets (see --max-size)\n");
    sink = before;
}

static void test_gzip(void **state)
{
    (void)state;
    assert_string_equal(unpacked_once(gzip(JSON)), "report F " JSON "\n");
    assert_string_equal(unpacked_once(gzip("\xef\xbb\xbf" JSON)),
                        "report F \xef\xbb\xbf" JSON "\n");
    assert_string_equal(unpacked_once(gzip("")),
                        "fault F: packed, and no JSON in it: unpack it first\n");
    assert_string_equal(unpacked_once(gzip("A: b\n\n" JSON)),
                        "fault F: packed, and no JSON in it: unpack it first\n");
}

static void test_gzip_in_gzip_is_not_opened(void **state)
{
    struct bytes inner = gzip(JSON), outer = {0};

    (void)state;
    add_deflated(&outer, inner.data, inner.len, 15 + 16);
    free(inner.data);
    assert_string_equal(unpacked_once(outer),
                        "fault F: packed, and no JSON in it: unpack it first\n");
}

static void test_gzip_truncated_anywhere(void **state)
{
    struct bytes whole = gzip(JSON);

    (void)state;
    for (size_t len = 2; len < whole.len; len++)
        assert_string_equal(unpacked(whole.data, len), "fault F: gzip: truncated\n");
    free(whole.data);
}

static void test_gzip_with_any_octet_changed(void **state)
{
    struct bytes whole = gzip(JSON);

    (void)state;
    for (size_t i = 2; i < whole.len; i++) {
        whole.data[i] ^= 0x55;
        unpacked(whole.data, whole.len);
        /* Time, system and level are nobody's. */
        assert_int_equal(told_reports, i >= 4 && i <= 9 ? 1 : 0);
        assert_int_equal(told_reports + told_faults, 1);
        whole.data[i] ^= 0x55;
    }
    free(whole.data);
}

static void test_gzip_checks_sum_and_length(void **state)
{
    struct bytes sum = gzip(JSON), length = gzip(JSON), more = gzip(JSON);

    (void)state;
    sum.data[sum.len - 8] ^= 1;
    assert_string_equal(unpacked_once(sum), "fault F: gzip: corrupted (incorrect data check)\n");
    length.data[length.len - 4] ^= 1;
    assert_string_equal(unpacked_once(length),
                        "fault F: gzip: corrupted (incorrect length check)\n");
    add(&more, "more");
    assert_string_equal(unpacked_once(more), "fault F: gzip: something else behind its end\n");
}

static void test_gzip_members_are_one_text(void **state)
{
    struct bytes bytes = gzip("{\"a\":"), half = {0};

    (void)state;
    add_deflated(&bytes, "1}", 2, 15 + 16);
    add_bytes(&half, bytes.data, bytes.len - 1);
    assert_string_equal(unpacked_once(bytes), "report F {\"a\":1}\n");
    assert_string_equal(unpacked_once(half), "fault F: gzip: truncated\n");
}

static void test_gzip_up_to_the_cap_and_not_beyond(void **state)
{
    struct bytes text = {0}, exact = {0}, more = {0};
    char *spaces = malloc(UNPACK_MAX_DEFAULT + 1);

    (void)state;
    assert_non_null(spaces);
    memset(spaces, ' ', UNPACK_MAX_DEFAULT + 1);
    spaces[0] = '{';
    add_deflated(&exact, spaces, UNPACK_MAX_DEFAULT, 15 + 16);
    add_deflated(&more, spaces, UNPACK_MAX_DEFAULT + 1, 15 + 16);
    unpacked_once(exact);
    assert_int_equal(told_reports, 1);
    assert_string_equal(unpacked_once(more),
                        "fault F: unpacks to more than 8388608 octets (see --max-size)\n");
    /* In members, each of which would do. */
    add_deflated(&text, spaces, UNPACK_MAX_DEFAULT / 2, 15 + 16);
    add_deflated(&text, spaces, UNPACK_MAX_DEFAULT / 2 + 1, 15 + 16);
    assert_string_equal(unpacked_once(text),
                        "fault F: unpacks to more than 8388608 octets (see --max-size)\n");
    free(spaces);
}

/* One GiB in one MiB. */
static void test_gzip_bomb(void **state)
{
    size_t size = (size_t)1 << 20, blocks = 1000;
    char *zeros = calloc(1, size), *out = malloc(2 * size);
    z_stream stream = {0};

    (void)state;
    assert_non_null(zeros);
    assert_non_null(out);
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)(2 * size);
    for (size_t i = 0; i <= blocks; i++) {
        stream.next_in = (Bytef *)zeros;
        stream.avail_in = i < blocks ? (uInt)size : 0;
        deflate(&stream, i < blocks ? Z_NO_FLUSH : Z_FINISH);
    }
    assert_string_equal(unpacked(out, stream.total_out),
                        "fault F: unpacks to more than 8388608 octets (see --max-size)\n");
    deflateEnd(&stream);
    free(zeros);
    free(out);
}

/* How a zip archive is made. */
struct archive {
    const char *text;
    unsigned flags, method;
    bool signature; /* before the sizes that are behind the data */
    bool wrong_sum, wrong_size, zip64;
    size_t members; /* 0 is 1 */
};

static void add_little(struct bytes *bytes, uint32_t value, size_t octets)
{
    for (; octets > 0; octets--, value >>= 8)
        add_bytes(bytes, &(unsigned char){value & 0xff}, 1);
}

static void add_member(struct bytes *zip, const struct archive *a)
{
    size_t size = strlen(a->text);
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)a->text, (uInt)size) + a->wrong_sum;
    bool behind = (a->flags & 8) != 0;
    struct bytes data = {0};

    if (a->method == 8)
        add_deflated(&data, a->text, size, -15);
    else
        add(&data, a->text);
    size += a->wrong_size;
    add_bytes(zip, "PK\3\4\24\0", 6);
    add_little(zip, a->flags, 2);
    add_little(zip, a->method, 2);
    add_little(zip, 0, 4);
    add_little(zip, behind ? 0 : crc, 4);
    add_little(zip, behind ? 0 : (uint32_t)data.len, 4);
    add_little(zip, behind ? 0 : (uint32_t)size, 4);
    add_little(zip, 6, 2);
    add_little(zip, a->zip64 ? 20 : 5, 2);
    add_bytes(zip, "a.json", 6);
    if (a->zip64)
        add_bytes(zip,
                  "\1\0\20\0"
                  "0123456789abcdef",
                  20);
    else
        add_bytes(zip, "\x55\x54\1\0\0", 5);
    add_bytes(zip, data.data, data.len);
    if (behind) {
        add_bytes(zip, "PK\7\10", a->signature ? 4 : 0);
        add_little(zip, crc, 4);
        add_little(zip, (uint32_t)data.len, 4);
        add_little(zip, (uint32_t)size, 4);
    }
    free(data.data);
}

/* Of the directory only what tells that it is one: nothing else is looked at. */
static struct bytes zip(struct archive a)
{
    struct bytes bytes = {0};

    do
        add_member(&bytes, &a);
    while (a.members-- > 1);
    add_bytes(&bytes, "PK\1\2", 4);
    return bytes;
}

static void test_zip(void **state)
{
    (void)state;
    assert_string_equal(unpacked_once(zip((struct archive){.text = JSON})), "report F " JSON "\n");
    assert_string_equal(unpacked_once(zip((struct archive){JSON, .method = 8})),
                        "report F " JSON "\n");
    assert_string_equal(unpacked_once(zip((struct archive){JSON, .method = 8, .flags = 8})),
                        "report F " JSON "\n");
    assert_string_equal(
        unpacked_once(zip((struct archive){JSON, .method = 8, .flags = 8, .signature = true})),
        "report F " JSON "\n");
    assert_string_equal(unpacked_once(zip((struct archive){.text = "text"})),
                        "fault F: packed, and no JSON in it: unpack it first\n");
}

static void test_zip_that_is_not_read(void **state)
{
    static const struct {
        struct archive archive;
        const char *fault;
    } cases[] = {
        {{JSON, .method = 8, .flags = 1}, "fault F: zip: encrypted\n"},
        {{JSON, .method = 8, .flags = 9}, "fault F: zip: encrypted\n"},
        {{JSON, .method = 8, .zip64 = true}, "fault F: zip: zip64, which no report needs\n"},
        {{JSON, .method = 9}, "fault F: zip: compression method 9 is not supported\n"},
        {{JSON, .flags = 8}, "fault F: zip: stored, and its size is not known\n"},
        {{JSON, .members = 2}, "fault F: zip: more than one file in it: unpack it first\n"},
        {{JSON, .method = 8, .members = 3},
         "fault F: zip: more than one file in it: unpack it first\n"},
        {{JSON, .method = 8, .flags = 8, .members = 2},
         "fault F: zip: more than one file in it: unpack it first\n"},
        {{JSON, .wrong_sum = true}, "fault F: zip: corrupted (incorrect checksum)\n"},
        {{JSON, .method = 8, .wrong_sum = true}, "fault F: zip: corrupted (incorrect checksum)\n"},
        {{JSON, .method = 8, .flags = 8, .wrong_sum = true},
         "fault F: zip: corrupted (incorrect checksum)\n"},
        {{JSON, .method = 8, .wrong_size = true}, "fault F: zip: corrupted (incorrect length)\n"},
        {{JSON, .wrong_size = true}, "fault F: zip: corrupted (incorrect length)\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(unpacked_once(zip(cases[i].archive)), cases[i].fault);
    assert_string_equal(unpacked_string("PK\5\6"), "fault F: zip: nothing in it\n");
}

static void test_zip_truncated_anywhere(void **state)
{
    static const struct archive archives[] = {
        {.text = JSON},
        {JSON, .method = 8},
        {JSON, .method = 8, .flags = 8},
        {JSON, .method = 8, .flags = 8, .signature = true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++) {
        struct bytes whole = zip(archives[i]);
        for (size_t len = 4; len < whole.len; len++)
            assert_string_equal(unpacked(whole.data, len), "fault F: zip: truncated\n");
        free(whole.data);
    }
}

static void test_zip_with_any_octet_changed(void **state)
{
    struct bytes whole = zip((struct archive){JSON, .method = 8});

    (void)state;
    for (size_t i = 4; i < whole.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            whole.data[i] ^= (char)(1u << bit);
            unpacked(whole.data, whole.len);
            assert_int_equal(told_reports + told_faults, 1);
            if (told_reports == 1)
                assert_string_equal(told.data, "report F " JSON "\n");
            whole.data[i] ^= (char)(1u << bit);
        }
    free(whole.data);
}

static void test_zip_bomb(void **state)
{
    char *spaces = malloc(UNPACK_MAX_DEFAULT + 2);

    (void)state;
    assert_non_null(spaces);
    memset(spaces, ' ', UNPACK_MAX_DEFAULT + 1);
    spaces[UNPACK_MAX_DEFAULT + 1] = '\0';
    assert_string_equal(unpacked_once(zip((struct archive){spaces, .method = 8})),
                        "fault F: unpacks to more than 8388608 octets (see --max-size)\n");
    assert_string_equal(unpacked_once(zip((struct archive){spaces, .method = 8, .flags = 8})),
                        "fault F: unpacks to more than 8388608 octets (see --max-size)\n");
    free(spaces);
}

/* base64 in lines of this many characters, with this end; padded or not. */
static void add_base64(struct bytes *mail, const struct bytes *data, size_t line, const char *end,
                       bool padded)
{
    char *text = g_base64_encode((const guchar *)data->data, data->len);
    size_t len = padded ? strlen(text) : strcspn(text, "=");

    for (size_t i = 0; i < len; i += line) {
        add_bytes(mail, text + i, len - i < line ? len - i : line);
        add(mail, end);
    }
    g_free(text);
}

static void test_mail_with_plain_json(void **state)
{
    (void)state;
    assert_string_equal(unpacked_string("Subject: x\n\n" JSON), "report F " JSON "\n");
    assert_string_equal(unpacked_string("Subject: x\r\n\r\n" JSON "\r\n"),
                        "report F " JSON "\r\n\n");
    assert_string_equal(unpacked_string("From x\nSubject: x\n\n" JSON), "report F " JSON "\n");
    assert_string_equal(unpacked_string("Content-Transfer-Encoding: quoted-printable\n\n"
                                        "{\"report-=\nid\"=3A1=\r\n=7D"),
                        "report F {\"report-id\":1}\n");
}

/* GMime skips comments, so that a type is not where it seems to be; and it overflows its stack on
 * the addresses of the message in such a part. */
static void test_mail_with_a_comment_in_its_type(void **state)
{
    static const char *const types[] = {"(;) message/rfc822", "(;) multipart/digest",
                                        "(a(;)b) message/rfc822", "message (;) / rfc822;",
                                        "(;)message (;) / (;) rfc822"};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct bytes mail = {0};
        add(&mail, "From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: ");
        add(&mail, types[i]);
        add(&mail, "\n\nTo: ");
        for (int group = 0; group < 200000; group++)
            add(&mail, "a:");
        add(&mail, "\n\nx\n--b--\n");
        assert_string_equal(unpacked_once(mail),
                            "fault F: a mail with a comment in a Content-Type\n");
    }
    /* As in examples of RFC 2045: it hides nothing. */
    assert_string_equal(
        unpacked_string("Content-Type: text/plain; charset=us-ascii (Plain)\n\n" JSON),
        "report F " JSON "\n");
}

/* Each length that gzip can have modulo 3, with and without padding, in lines of any length. */
static void test_mail_with_base64(void **state)
{
    static const char *const texts[] = {JSON, JSON " ", JSON "  ", JSON "\n\n\n"};
    static const size_t lines[] = {1, 3, 4, 60, 75, 76, 77, 10000};

    (void)state;
    for (size_t i = 0; i < 4 * 8 * 4; i++) {
        struct bytes mail = {0}, data = gzip(texts[i % 4]);
        const char *end = i & 32 ? "\r\n" : "\n";
        add_bytes(&data, "", 0);
        add(&mail, "Content-Type: application/tlsrpt+gzip");
        add(&mail, end);
        add(&mail, "Content-Transfer-Encoding: Base64");
        add(&mail, end);
        add(&mail, end);
        add_base64(&mail, &data, lines[i / 4 % 8], end, (i & 64) != 0);
        free(data.data);
        unpacked_once(mail);
        assert_int_equal(told_reports, 1);
        assert_int_equal(told_faults + told_empties, 0);
    }
}

#define MULTIPART "Content-Type: multipart/mixed; boundary=\"b\"\n\n"

static void test_mail_parts_are_known_by_their_first_bytes(void **state)
{
    (void)state;
    assert_string_equal(
        unpacked_string(MULTIPART "--b\nContent-Type: text/html\n\n<p>Hi</p>\n--b\n"
                                  "Content-Type: application/gzip; name=\"a.json.gz\"\n\n" JSON
                                  "\n--b\nContent-Type: text/plain\n\n[list] bye\n--b--\n"),
        "report F, part 2 " JSON "\n");
    assert_string_equal(
        unpacked_string(MULTIPART "--b\nContent-Type: text/plain\n\n" JSON "\n--b--\nepilogue\n"),
        "report F " JSON "\n");
    assert_string_equal(unpacked_string(MULTIPART "--b\n\n" JSON "\n--b\n\n" JSON "\n--b--\n"),
                        "report F, part 1 " JSON "\nreport F, part 2 " JSON "\n");
}

static void test_mail_without_a_report(void **state)
{
    (void)state;
    assert_string_equal(unpacked_string("Subject: x\n\nHello\n"), "empty F\n");
    assert_string_equal(unpacked_string("Subject: x\n\n[1]\n"), "empty F\n");
    assert_string_equal(unpacked_string("Subject: x\n\n"), "empty F\n");
    assert_string_equal(unpacked_string("Subject: x\n"), "empty F\n");
    assert_string_equal(unpacked_string(MULTIPART), "empty F\n");
    assert_string_equal(unpacked_string("Content-Type: multipart/mixed\n\n" JSON), "empty F\n");
    assert_string_equal(unpacked_string("From x\n"), "empty F\n");
    assert_string_equal(unpacked_string("From x"), "empty F\n");
}

static void test_mail_whose_report_is_truncated(void **state)
{
    struct bytes mail = {0}, data = gzip(JSON);

    (void)state;
    add(&mail, "Content-Transfer-Encoding: base64\n\n");
    data.len -= 3;
    add_base64(&mail, &data, 76, "\n", true);
    free(data.data);
    assert_string_equal(unpacked_once(mail), "fault F: gzip: truncated\n");
}

static void test_mail_in_mail(void **state)
{
    struct bytes mail = {0}, inner = {0};

    (void)state;
    assert_string_equal(unpacked_string("Content-Type: message/rfc822\n\nSubject: x\n\n" JSON),
                        "report F " JSON "\n");
    assert_string_equal(unpacked_string(MULTIPART
                                        "--b\n\nSee below\n--b\nContent-Type: message/rfc822\n\n"
                                        "From: a\n\n" JSON "\n--b\n\n" JSON "\n--b--\n"),
                        "report F, part 3 " JSON "\nreport F, part 4 " JSON "\n");
    /* Against RFC 2046 section 5.2.1, but done. */
    add(&inner, "Subject: x\n\n" JSON);
    add(&mail, "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n");
    add_base64(&mail, &inner, 76, "\n", true);
    free(inner.data);
    assert_string_equal(unpacked_once(mail), "report F " JSON "\n");
    assert_string_equal(unpacked_string("Content-Type: multipart/digest; boundary=b\n\n"
                                        "--b\n\nSubject: x\n\n" JSON "\n--b--\n"),
                        "report F " JSON "\n");
}

static void test_mail_of_too_many_parts(void **state)
{
    struct bytes most = {0}, more = {0}, thousand = {0};

    (void)state;
    add(&most, MULTIPART);
    add_times(&most, "--b\n\n{}\n", 100);
    add(&most, "--b--\n");
    unpacked_once(most);
    assert_int_equal(told_reports, 100);
    assert_int_equal(told_faults, 0);
    add(&more, MULTIPART);
    add_times(&more, "--b\n\n{}\n", 101);
    assert_string_equal(unpacked_once(more), "fault F: a mail of too many parts\n");
    add(&thousand, MULTIPART);
    add_times(&thousand, "--b\n\n{}\n", 1000);
    assert_string_equal(unpacked_once(thousand), "fault F: a mail of too many parts\n");
}

/* Each multipart with a boundary of its own, and in it the next one. */
static struct bytes nested_multiparts(size_t depth)
{
    struct bytes mail = {0};
    char line[128];

    for (size_t i = 0; i < depth; i++) {
        snprintf(line, sizeof line, "Content-Type: multipart/mixed; boundary=b%zu\n\n--b%zu\n", i,
                 i);
        add(&mail, line);
    }
    add(&mail, "\n" JSON "\n");
    return mail;
}

static struct bytes nested_messages(size_t depth)
{
    struct bytes mail = {0};

    add_times(&mail, "Content-Type: message/rfc822\n\n", depth);
    add(&mail, "Subject: x\n\n" JSON "\n");
    return mail;
}

static void test_mail_nested_too_deep(void **state)
{
    static const char deep[] = "fault F: a mail whose parts are nested too deep\n";

    (void)state;
    unpacked_once(nested_multiparts(8));
    assert_int_equal(told_reports, 1);
    assert_string_equal(unpacked_once(nested_multiparts(100)), deep);
    assert_string_equal(unpacked_once(nested_multiparts(1000)),
                        "fault F: a mail of too many parts\n");
    unpacked_once(nested_messages(8));
    assert_int_equal(told_reports, 1);
    assert_string_equal(unpacked_once(nested_messages(100)), deep);
    unpacked_once(nested_messages(60000));
    assert_int_equal(told_faults, 1);
    assert_int_equal(told_reports, 0);
}

/* A group in a group: GMime's parser of addresses calls itself for each. */
static void test_mail_with_groups_in_groups(void **state)
{
    struct bytes outer = {0}, inner = {0};

    (void)state;
    add(&outer, "To: ");
    add_times(&outer, "a:", 900000);
    add(&outer, "\n\n" JSON);
    assert_string_equal(unpacked_once(outer), "report F " JSON "\n");
    add(&inner, "Content-Type: message/rfc822\n\nTo: ");
    add_times(&inner, "a:", 900000);
    add(&inner, "\n\n" JSON);
    assert_string_equal(unpacked_once(inner), "report F " JSON "\n");
}

static void test_mail_with_a_header_that_is_too_large(void **state)
{
    struct bytes fields = {0}, folded = {0}, content = {0};

    (void)state;
    add_times(&fields, "a:\n", 10001);
    add(&fields, "\n" JSON);
    assert_string_equal(unpacked_once(fields), "fault F: a mail of too many header fields\n");
    add(&folded, "Content-Type: text/plain");
    add_times(&folded, ";\n a=b", 400);
    add(&folded, "\n\n" JSON);
    assert_string_equal(unpacked_once(folded),
                        "fault F: a mail whose Content- header fields are too long\n");
    add_times(&content, "Content-Type: text/plain; a=b; c=d; e=f\n", 4000);
    assert_string_equal(unpacked_once(content),
                        "fault F: a mail whose Content- header fields are too long\n");
}

static void test_mail_with_one_long_line(void **state)
{
    struct bytes mail = {0};

    (void)state;
    add(&mail, "X: ");
    add_times(&mail, "0123456789abcdef", 60000);
    add(&mail, "\n\n{\"a\":\"");
    add_times(&mail, "0123456789abcdef", 60000);
    add(&mail, "\"}\n");
    unpacked_once(mail);
    assert_int_equal(told_reports, 1);
}

/* Each part unpacks to a third of what all of them may. */
static void test_mail_of_too_many_large_reports(void **state)
{
    struct bytes mail = {0}, data = {0};
    char *text = malloc(UNPACK_MAX_DEFAULT / 3);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', UNPACK_MAX_DEFAULT / 3);
    text[0] = '{';
    add_deflated(&data, text, UNPACK_MAX_DEFAULT / 3, 15 + 16);
    free(text);
    add(&mail, MULTIPART);
    for (size_t i = 0; i < 9; i++) {
        add(&mail, "--b\nContent-Transfer-Encoding: base64\n\n");
        add_base64(&mail, &data, 76, "\n", true);
    }
    free(data.data);
    unpacked_once(mail);
    assert_int_equal(told_reports, 4);
    assert_int_equal(told_faults, 1);
    assert_non_null(strstr(told.data, "fault F: a mail of too many large reports\n"));
}

/* One line for all of it. */
static void test_mail_of_mails(void **state)
{
    struct bytes mail = {0};

    (void)state;
    add(&mail, MULTIPART);
    add_times(&mail, "--b\nContent-Type: message/rfc822\n\nSubject: x\n\n{}\n", 60);
    unpacked_once(mail);
    assert_int_equal(told_faults, 1);
    assert_int_equal(told_reports, 40);
}

static char directory[] = "/tmp/test_unpack.XXXXXX";

static const char *in_directory(const char *name)
{
    static char path[2][PATH_MAX];
    static size_t next;
    char *result = path[next++ % 2];

    snprintf(result, PATH_MAX, "%s/%s", directory, name);
    return result;
}

static void make_file(const char *name, const char *contents, size_t len)
{
    FILE *file = fopen(in_directory(name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(contents, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void make_text(const char *name, const char *text)
{
    make_file(name, text, strlen(text));
}

static void make_directory(const char *name)
{
    assert_int_equal(mkdir(in_directory(name), 0700), 0);
}

/* What was told, with the directory's name left out. */
static const char *told_here(void)
{
    char *found;

    while ((found = strstr(told.data, directory)) != NULL)
        memmove(found, found + strlen(directory), strlen(found + strlen(directory)) + 1);
    return told.data;
}

static int setup(void **state)
{
    (void)state;
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_input_of_each_kind(void **state)
{
    struct bytes packed = gzip(JSON), archive = zip((struct archive){.text = JSON});

    (void)state;
    make_text("json", JSON);
    make_text("mail", "Subject: x\n\n" JSON);
    make_text("empty", "");
    make_text("other", "?");
    make_file("gzip", packed.data, packed.len);
    make_file("zip", archive.data, archive.len);
    free(packed.data);
    free(archive.data);
    input(directory);
    assert_string_equal(told_here(), "fault /empty: empty\n"
                                     "report /gzip " JSON "\n"
                                     "report /json " JSON "\n"
                                     "report /mail " JSON "\n"
                                     "fault /other: neither JSON, gzip, zip nor mail\n"
                                     "report /zip " JSON "\n");
}

static void test_input_that_is_not_there(void **state)
{
    (void)state;
    told_clear();
    assert_false(input_read(&sink, in_directory("none")));
    assert_string_equal(told_here(), "fault /none: No such file or directory\n");
}

static void test_input_stops_at_its_cap(void **state)
{
    struct bytes large = {0}, zeros = {0};

    (void)state;
    add(&large, "{");
    add_times(&large, "                ", UNPACK_MAX_DEFAULT / 16);
    make_file("json", large.data, large.len - 1);
    input(in_directory("json"));
    assert_int_equal(told_reports, 1);
    make_file("json", large.data, large.len);
    input(in_directory("json"));
    assert_string_equal(told_here(), "fault /json: larger than 8388608 octets (see --max-size)\n");
    memcpy(large.data, "\x1f\x8b", 2);
    make_file("gzip", large.data, large.len);
    free(large.data);
    input(in_directory("gzip"));
    assert_string_equal(told_here(), "fault /gzip: larger than 1048576 octets (see --max-size)\n");
    add_times(&zeros, "0", 100000);
    make_file("zeros", zeros.data, zeros.len);
    free(zeros.data);
    input(in_directory("zeros"));
    assert_string_equal(told_here(), "fault /zeros: neither JSON, gzip, zip nor mail\n");
}

static void test_input_of_an_mbox(void **state)
{
    (void)state;
    make_text("mbox", "From a\nSubject: 1\n\n{1}\nFrom here\n\nFrom b\nSubject: 2\n\ntext\n\n"
                      "From c\nSubject: 3\n\n{3}\n");
    input(in_directory("mbox"));
    assert_string_equal(told_here(), "report /mbox, message 1 {1}\nFrom here\n\n\n"
                                     "empty /mbox, message 2\n"
                                     "report /mbox, message 3 {3}\n\n");
    make_text("mbox", "From a\r\nSubject: 1\r\n\r\n{1}\r\n\r\nFrom b\r\nS: 2\r\n\r\n{2}");
    input(in_directory("mbox"));
    assert_string_equal(told_here(), "report /mbox, message 1 {1}\r\n\r\n\n"
                                     "report /mbox, message 2 {2}\n");
}

/* Whatever is at the edges of what is read at once. */
static void test_input_of_an_mbox_of_any_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < 24; i++) {
        struct bytes mbox = {0};
        add(&mbox, "From a\nS: 1\n\n{1}");
        add_times(&mbox, " ", (size_t)68 * 1024 - 32 + i);
        add(&mbox, "\r\n\r\nFrom b\nS: 2\n\n{2}\n\nFrom c\nS: 3\n\n{3}");
        make_file("mbox", mbox.data, mbox.len);
        free(mbox.data);
        input(in_directory("mbox"));
        assert_int_equal(told_reports, 3);
        assert_int_equal(told_faults + told_empties, 0);
    }
}

static void test_input_of_an_mbox_with_one_too_large(void **state)
{
    struct bytes mbox = {0};

    (void)state;
    add(&mbox, "From a\nS: 1\n\n{1}\n\nFrom b\nS: 2\n\n{2");
    add_times(&mbox, "                ", (size_t)3 << 16);
    add(&mbox, "\n\nFrom c\nS: 3\n\n{3}\n\nFrom d\nS: 4\n\n{4");
    add_times(&mbox, "                ", (size_t)3 << 16);
    make_file("mbox", mbox.data, mbox.len);
    free(mbox.data);
    input(in_directory("mbox"));
    assert_string_equal(told_here(),
                        "report /mbox, message 1 {1}\n\n\n"
                        "fault /mbox, message 2: larger than 2097152 octets (see --max-size)\n"
                        "report /mbox, message 3 {3}\n\n\n"
                        "fault /mbox, message 4: larger than 2097152 octets (see --max-size)\n");
}

static void test_input_of_a_maildir(void **state)
{
    (void)state;
    make_directory("m");
    make_directory("m/cur");
    make_directory("m/new");
    make_directory("m/tmp");
    make_directory("m/.Other");
    make_text("m/cur/2:2,S", "Subject: x\n\n{2}");
    make_text("m/cur/1:2,", "Subject: x\n\n{1}");
    make_text("m/new/3", "Subject: x\n\nhello");
    make_text("m/new/.hidden", "?");
    make_text("m/tmp/4", "Subject: x\n\n{4}");
    make_text("m/dovecot.index", "?");
    input(in_directory("m"));
    assert_string_equal(told_here(), "empty /m/new/3\n"
                                     "report /m/cur/1:2, {1}\n"
                                     "report /m/cur/2:2,S {2}\n");
    /* Wherever it is. */
    input(directory);
    assert_int_equal(told_reports, 2);
}

static void test_input_of_what_is_no_file(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    make_text("a", JSON);
    assert_int_equal(symlink("a", in_directory("link")), 0);
    assert_int_equal(symlink(".", in_directory("loop")), 0);
    assert_int_equal(mkfifo(in_directory("pipe"), 0600), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_directory("socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    input(directory);
    assert_string_equal(told_here(), "report /a " JSON "\n"
                                     "fault /link: a symbolic link in a directory is not followed\n"
                                     "fault /loop: a symbolic link in a directory is not followed\n"
                                     "fault /pipe: a fifo in a directory is not read\n"
                                     "fault /socket: a socket is not read\n");
    input(in_directory("link"));
    assert_string_equal(told_here(), "report /link " JSON "\n");
}

static void test_input_of_a_fifo_that_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_directory("pipe"), 0600), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(in_directory("pipe"), O_WRONLY | O_CLOEXEC);
        for (const char *p = JSON; *p != '\0'; p++)
            if (write(fd, p, 1) != 1)
                _exit(1);
        _exit(0);
    }
    input(in_directory("pipe"));
    assert_string_equal(told_here(), "report /pipe " JSON "\n");
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_input_nested_too_deep(void **state)
{
    char name[64] = "d";

    (void)state;
    make_directory(name);
    for (size_t i = 1; i < 9; i++) {
        memcpy(name + strlen(name), "/d", 3);
        make_directory(name);
    }
    make_text("d/d/d/d/d/d/d/8", "{8}");
    make_text("d/d/d/d/d/d/d/d/9", "{9}");
    input(in_directory("d/"));
    assert_string_equal(told_here(), "report /d/d/d/d/d/d/d/8 {8}\n"
                                     "report /d/d/d/d/d/d/d/d/9 {9}\n"
                                     "fault /d/d/d/d/d/d/d/d/d: directories are nested too deep\n");
}

static void test_input_of_standard_input(void **state)
{
    int before = dup(STDIN_FILENO), fd;

    (void)state;
    make_text("json", JSON);
    fd = open(in_directory("json"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    assert_string_equal(input("-"), "report standard input " JSON "\n");
    close(fd);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    assert_string_equal(input("-"), "fault standard input: Is a directory\n");
    close(fd);
    assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
    close(before);
}

static void test_names_are_cut(void **state)
{
    char *name = malloc(3 * UNPACK_NAME_SIZE), place[UNPACK_NAME_SIZE];

    (void)state;
    assert_non_null(name);
    memset(name, 'n', 3 * UNPACK_NAME_SIZE);
    name[3 * UNPACK_NAME_SIZE - 1] = '\0';
    unpack_name(place, name, "part", SIZE_MAX);
    assert_non_null(strstr(place, "n, part 18446744073709551615"));
    free(name);
}

static int forget(void **state)
{
    (void)state;
    free(told.data);
    return 0;
}

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_json_is_handed_on_as_it_is),
        cmocka_unit_test(test_what_is_nothing_is_a_fault),
        cmocka_unit_test(test_sizes_as_they_arrive),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_gzip_in_gzip_is_not_opened),
        cmocka_unit_test(test_gzip_truncated_anywhere),
        cmocka_unit_test(test_gzip_with_any_octet_changed),
        cmocka_unit_test(test_gzip_checks_sum_and_length),
        cmocka_unit_test(test_gzip_members_are_one_text),
        cmocka_unit_test(test_gzip_up_to_the_cap_and_not_beyond),
        cmocka_unit_test(test_gzip_bomb),
        cmocka_unit_test(test_zip),
        cmocka_unit_test(test_zip_that_is_not_read),
        cmocka_unit_test(test_zip_truncated_anywhere),
        cmocka_unit_test(test_zip_with_any_octet_changed),
        cmocka_unit_test(test_zip_bomb),
        cmocka_unit_test(test_mail_with_plain_json),
        cmocka_unit_test(test_mail_with_a_comment_in_its_type),
        cmocka_unit_test(test_mail_with_base64),
        cmocka_unit_test(test_mail_parts_are_known_by_their_first_bytes),
        cmocka_unit_test(test_mail_without_a_report),
        cmocka_unit_test(test_mail_whose_report_is_truncated),
        cmocka_unit_test(test_mail_in_mail),
        cmocka_unit_test(test_mail_of_too_many_parts),
        cmocka_unit_test(test_mail_nested_too_deep),
        cmocka_unit_test(test_mail_with_groups_in_groups),
        cmocka_unit_test(test_mail_with_a_header_that_is_too_large),
        cmocka_unit_test(test_mail_with_one_long_line),
        cmocka_unit_test(test_mail_of_too_many_large_reports),
        cmocka_unit_test(test_mail_of_mails),
        here(test_input_of_each_kind),
        here(test_input_that_is_not_there),
        here(test_input_stops_at_its_cap),
        here(test_input_of_an_mbox),
        here(test_input_of_an_mbox_of_any_length),
        here(test_input_of_an_mbox_with_one_too_large),
        here(test_input_of_a_maildir),
        here(test_input_of_what_is_no_file),
        here(test_input_of_a_fifo_that_is_asked_for),
        here(test_input_nested_too_deep),
        here(test_input_of_standard_input),
        cmocka_unit_test(test_names_are_cut),
    };

    mail_init();
    return cmocka_run_group_tests(tests, NULL, forget);
}
