/* SPDX-License-Identifier: MIT
 * What the whole-connection fuzzer begins with: clients that do one thing each, live and as a
 * recording of what they sent, which the server, whose random numbers are the same each time, takes
 * for the same client. So a recording goes through the handshake to the answer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz_conn.h"
#include "tls.h"

#define SEED_SIZE 16384
#define PATH "/.well-known/mta-sts.txt"
#define HOST "Host: mta-sts.example.com\r\n"
#define GET "GET " PATH " HTTP/1.1\r\n" HOST "\r\n"
#define NAME(index) ((index) << INPUT_NAME_SHIFT)
#define ALPN(index) ((index) << INPUT_ALPN_SHIFT)

struct seed {
    const char *name;
    uint8_t mode;
    const char *request;
    const char *outcome; /* in the line that is logged */
};

static const struct seed seeds[] = {
    {"get", 0, GET, " event=fetch domain=example.com status=200 "},
    {"agent", 0, "GET " PATH " HTTP/1.1\r\n" HOST "User-Agent: \"a\\\xff\r\n\r\n", " status=200 "},
    {"head", 0, "HEAD " PATH " HTTP/1.1\r\n" HOST "\r\n", " status=200 "},
    {"absolute", 0, "GET https://MTA-STS.example.com:443" PATH " HTTP/1.1\r\n" HOST "\r\n",
     " status=200 "},
    {"other-name", NAME(1), "GET " PATH " HTTP/1.1\r\nHost: mta-sts.example.net\r\n\r\n",
     " event=fetch domain=example.net status=200 "},
    {"no-name", NAME(3), GET, " event=fetch domain=example.com status=200 "},
    {"old-http", 0, "GET " PATH " HTTP/1.0\r\n\r\n", " status=200 "},
    {"no-host", NAME(3), "GET " PATH " HTTP/1.0\r\n\r\n", " status=421 "},
    {"alpn", ALPN(1), GET, " status=200 "},
    {"alpn-both", ALPN(3), GET, " status=200 "},
    {"two-requests", 0, GET GET, " status=200 "},
    {"not-found", 0, "GET / HTTP/1.1\r\n" HOST "\r\n", " status=404 "},
    {"post", 0, "POST " PATH " HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", " status=405 "},
    {"two-hosts", 0, "GET " PATH " HTTP/1.1\r\n" HOST HOST "\r\n", " status=400 "},
    {"other-host", 0, "GET " PATH " HTTP/1.1\r\nHost: mta-sts.example.net\r\n\r\n",
     " event=fetch domain=example.com status=421 "},
    {"version", 0, "GET " PATH " HTTP/2.0\r\n" HOST "\r\n", " status=505 "},
    {"unfinished", 0, "GET " PATH " HTTP/1.1\r\n", " event=closed state=request reason=closed "},
    {"unknown-name", NAME(2), GET,
     " event=handshake_failed state=handshake reason=unrecognized_name "},
    {"alpn-h2", ALPN(2), GET, " event=handshake_failed state=handshake "},
};

/* What is not even TLS, and the beginning of what is. */
static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} raw_seeds[] = {
    {"plain-http", GET, sizeof GET - 1},
    {"empty", "", 0},
    {"alert", "\x15\x03\x01\x00\x02\x01\x00", 7},
    {"alert-fatal", "\x15\x03\x03\x00\x02\x02\x2a", 7},
    {"ssl2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11},
    {"record-too-long", "\x16\x03\x01\xff\xff\x01", 6},
    {"record-empty", "\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00", 10},
    {"hello-too-long", "\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9},
};

/* How a recording is served: headers without their mode. */
static const struct {
    const char *name;
    uint8_t header[INPUT_HEADER - 1];
} scripts[] = {
    {"whole", {0}},
    {"octets", {1, 2, 1, 2, 0, 0, WIRE_CLOSED}},
    {"pieces", {100, 3, 200, 3, 0, 0, WIRE_RESET}},
    {"silent", {7, 0, 0, 0, 0, 0, WIRE_SILENT}},
    {"no-sending", {0, 0, 0, 0, 40, 0, WIRE_CLOSED}},
    {"late", {0, 0, 0, 0, 0, 255, WIRE_SILENT}},
    {"slow", {50, 0, 50, 0, 0, 40, WIRE_CLOSED}},
};

struct input_bytes {
    uint8_t bytes[SEED_SIZE];
    size_t len;
};

static void add(struct input_bytes *input, const void *bytes, size_t len)
{
    require(len <= sizeof input->bytes - input->len);
    if (len > 0)
        memcpy(input->bytes + input->len, bytes, len);
    input->len += len;
}

static void save(const struct input_bytes *input, const char *directory, const char *kind,
                 const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s-%s", directory, name, kind);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(input->bytes, 1, input->len, file) != input->len ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* Runs it and looks at what is logged in the end. */
static void expect(const struct input_bytes *input, const char *outcome, const char *version)
{
    bool answered = strstr(outcome, " status=") != NULL;
    char tls[16];

    snprintf(tls, sizeof tls, " tls=%s ", answered ? version : "");
    LLVMFuzzerTestOneInput(input->bytes, input->len);
    if (strstr(wire.log, outcome) != NULL && (!answered || strstr(wire.log, tls) != NULL))
        return;
    fprintf(stderr, "wanted \"%s\" over TLS %s in %s\n", outcome, version, wire.log);
    abort();
}

static void add_request(struct input_bytes *input, const char *request, size_t piece)
{
    size_t left = strlen(request);

    for (size_t len; left > 0; request += len, left -= len) {
        len = left < piece ? left : piece;
        uint8_t command[] = {COMMAND_DATA, (uint8_t)len};
        add(input, command, sizeof command);
        add(input, request, len);
    }
}

/* The client has sent it in records of so many octets. */
static void write_seed(const struct seed *seed, uint8_t mode, size_t piece, const char *directory,
                       const char *version)
{
    struct input_bytes input = {.bytes = {[INPUT_MODE] = mode | INPUT_LIVE}, .len = INPUT_HEADER};
    char name[64];

    snprintf(name, sizeof name, "%s-%s-%zu", seed->name, version, piece);
    add_request(&input, seed->request, piece);
    expect(&input, seed->outcome, version);
    save(&input, directory, "live", name);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct input_bytes replay = {.len = 1};
        add(&replay, scripts[i].header, sizeof scripts[i].header);
        add(&replay, wire.to_server.bytes, wire.to_server.len);
        if (i == 0)
            expect(&replay, seed->outcome, version);
        save(&replay, directory, scripts[i].name, name);
    }
}

void seeds_write(const char *directory)
{
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        write_seed(&seeds[i], seeds[i].mode | INPUT_OLD, UINT8_MAX, directory, "1.2");
        write_seed(&seeds[i], seeds[i].mode | INPUT_OLD, 7, directory, "1.2");
        if (tls_has_1_3())
            write_seed(&seeds[i], seeds[i].mode, UINT8_MAX, directory, "1.3");
    }
    for (size_t i = 0; i < sizeof raw_seeds / sizeof *raw_seeds; i++) {
        struct input_bytes input = {.len = INPUT_HEADER};
        add(&input, raw_seeds[i].bytes, raw_seeds[i].len);
        LLVMFuzzerTestOneInput(input.bytes, input.len);
        save(&input, directory, "raw", raw_seeds[i].name);
    }
}
