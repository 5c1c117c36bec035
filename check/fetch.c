/* SPDX-License-Identifier: MIT
 * Fetches a policy from one address. Redirects are not followed, sizes and time are bounded, and
 * every byte of the answer is hostile.
 */
#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "monotonic.h"
#include "text.h"

#define HEAD_MAX 16384
#define INTERIM_MAX 4
#define MOMENT_MS 300
/* A chunked body has more bytes than it says. */
#define ANSWER_SIZE (HEAD_MAX + 2 * FACTS_BODY_MAX)

struct fetch {
    const struct fetch_order *order;
    struct fetch_facts *facts;
    struct client client;
    char *answer; /* all bytes so far, with a NUL behind */
    size_t len;
    bool ended; /* the peer has closed */
};

static void copy_text(char *to, size_t size, const char *from, size_t len)
{
    struct text text;

    text_init(&text, to, size);
    text_add_bytes(&text, from, len < size ? len : size - 1);
}

void connection_fault(struct connection_facts *facts, const struct client *client)
{
    const char *fault = client->fault == NULL ? "failed" : client->fault;

    facts->timed_out = client->timed_out;
    facts->no_route = client->no_route;
    copy_text(facts->fault, sizeof facts->fault, fault, strlen(fault));
    facts->refused_version =
        client->tls != NULL && !client->timed_out && strstr(fault, "protocol_version") != NULL;
}

void connection_peer(struct connection_facts *facts, const struct client *client, const char *host)
{
    const char *version = tls_conn_version(client->tls);

    facts->stage = STAGE_TLS;
    copy_text(facts->tls, sizeof facts->tls, version, strlen(version));
    tls_conn_peer(client->tls, host, &facts->peer);
}

static bool malformed(struct fetch *f, const char *why)
{
    f->facts->malformed = true;
    copy_text(f->facts->connection.fault, FACTS_FAULT_SIZE, why, strlen(why));
    return false;
}

/* More bytes of the answer; false when there are none, `ended` if that is the end. */
static bool read_more(struct fetch *f)
{
    size_t len;

    if (f->ended)
        return false;
    if (f->len == ANSWER_SIZE) {
        f->facts->too_large = true;
        return false;
    }
    if (!client_read(&f->client, f->answer + f->len, ANSWER_SIZE - f->len, &len)) {
        connection_fault(&f->facts->connection, &f->client);
        return false;
    }
    f->len += len;
    f->answer[f->len] = '\0';
    f->ended = len == 0;
    return len > 0;
}

/* The value of a header field, which ends at CR; NULL if it is not there. */
static const char *find_field(const char *head, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " \t");
    }
    return NULL;
}

static void keep_field(const char *head, const char *name, char *to, size_t size)
{
    const char *value = find_field(head, name);
    size_t len = value == NULL ? 0 : strcspn(value, "\r");

    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (value != NULL)
        copy_text(to, size, value, len);
}

/* Reads up to the empty line and returns where the body begins; 0 if there is no head. */
static size_t read_head(struct fetch *f)
{
    const char *end;

    while ((end = memmem(f->answer, f->len, "\r\n\r\n", 4)) == NULL)
        if (f->len > HEAD_MAX || !read_more(f))
            break;
    if (end == NULL) {
        if (f->ended || f->len > HEAD_MAX)
            malformed(f, f->len == 0 ? "closed without an answer"
                                     : "the answer has no end of its header");
        return 0;
    }
    size_t head_len = (size_t)(end - f->answer) + 4;
    if (strlen(f->answer) < head_len ||
        (strncmp(f->answer, "HTTP/1.0 ", 9) != 0 && strncmp(f->answer, "HTTP/1.1 ", 9) != 0) ||
        strspn(f->answer + 9, "0123456789") != 3 || f->answer[9] == '0') {
        malformed(f, "the answer is not HTTP/1.1");
        return 0;
    }
    f->facts->status = (int)strtol(f->answer + 9, NULL, 10);
    f->answer[head_len - 2] = '\0'; /* fields are looked for up to here */
    return head_len;
}

/* Appends to the body what fits; false once it is too large. */
static bool keep_body(struct fetch_facts *facts, const char *bytes, size_t len)
{
    size_t room = FACTS_BODY_MAX - facts->body_len;

    memcpy(facts->body + facts->body_len, bytes, len < room ? len : room);
    facts->body_len += len < room ? len : room;
    facts->too_large = facts->too_large || len > room;
    return !facts->too_large;
}

/* Whether bytes follow the answer, now or within a moment: it was told to close behind it. */
static bool has_more(struct fetch *f, size_t end)
{
    int64_t moment = monotonic_ms() + MOMENT_MS;
    struct connection_facts before = f->facts->connection;

    if (moment < f->client.deadline)
        f->client.deadline = moment;
    if (f->len == end && !read_more(f)) {
        f->facts->connection = before; /* that nothing came is no fault */
        return false;
    }
    return !malformed(f, "bytes follow the body: its Content-Length is too small");
}

/* Until the peer closes, or `wanted` bytes are there. */
static bool read_plain(struct fetch *f, size_t at, size_t wanted)
{
    while (f->len - at < wanted && f->len - at <= FACTS_BODY_MAX && read_more(f)) {
    }
    size_t len = f->len - at < wanted ? f->len - at : wanted;
    if (!keep_body(f->facts, f->answer + at, len))
        return true;
    if (wanted != SIZE_MAX && len < wanted && f->ended)
        return malformed(f, "the body is shorter than its Content-Length");
    if (wanted == SIZE_MAX && f->ended && !tls_conn_closed_well(f->client.tls))
        return malformed(f, "neither a Content-Length nor a proper end: the body may be cut short");
    return wanted == SIZE_MAX ? f->ended : len == wanted && !has_more(f, at + wanted);
}

/* RFC 9112 section 7.1; trailers are not looked at. */
static bool read_chunked(struct fetch *f, size_t at)
{
    for (;;) {
        const char *line_end;
        while ((line_end = memmem(f->answer + at, f->len - at, "\r\n", 2)) == NULL)
            if (!read_more(f))
                return f->ended && malformed(f, "the chunked body is cut short");
        char *end;
        unsigned long size = strtoul(f->answer + at, &end, 16);
        if (end == f->answer + at || strspn(f->answer + at, " \t+-") > 0)
            return malformed(f, "the chunked body is broken");
        at = (size_t)(line_end - f->answer) + 2;
        if (size == 0)
            return true;
        if (size > FACTS_BODY_MAX) {
            f->facts->too_large = true;
            return true;
        }
        while (f->len - at < size + 2)
            if (!read_more(f))
                return f->ended && malformed(f, "the chunked body is cut short");
        if (!keep_body(f->facts, f->answer + at, size))
            return true;
        if (memcmp(f->answer + at + size, "\r\n", 2) != 0)
            return malformed(f, "the chunked body is broken");
        at += size + 2;
    }
}

/* Leaves *wanted as it is where there is no length; false if there is none to go by. */
static bool read_length(struct fetch *f, size_t *wanted)
{
    const char *length = find_field(f->answer, "Content-Length");
    size_t digits = length == NULL ? 0 : strspn(length, "0123456789");

    if (length == NULL)
        return true;
    if (digits == 0 || length[digits + strspn(length + digits, " \t")] != '\r')
        return malformed(f, "the Content-Length is not a number");
    if (find_field(length, "Content-Length") != NULL)
        return malformed(f, "more than one Content-Length");
    f->facts->too_large = digits > 9;
    *wanted = digits > 9 ? 0 : strtoul(length, NULL, 10);
    return !f->facts->too_large;
}

/* Heads of interim answers (RFC 9110 section 15.2) are passed over; 0 if there is no other. */
static size_t read_final_head(struct fetch *f)
{
    for (int interim = 0; interim < INTERIM_MAX; interim++) {
        size_t at = read_head(f);
        if (at == 0 || f->facts->status / 100 != 1)
            return at;
        f->len -= at;
        memmove(f->answer, f->answer + at, f->len + 1);
    }
    return malformed(f, "interim answers without end");
}

static bool read_answer(struct fetch *f)
{
    size_t at = read_final_head(f);
    size_t wanted = SIZE_MAX;

    if (at == 0)
        return false;
    keep_field(f->answer, "Content-Type", f->facts->type, sizeof f->facts->type);
    keep_field(f->answer, "Location", f->facts->location, sizeof f->facts->location);
    const char *coding = find_field(f->answer, "Transfer-Encoding");
    if (coding != NULL)
        return read_chunked(f, at);
    return read_length(f, &wanted) && read_plain(f, at, wanted);
}

static bool exchange(struct fetch *f)
{
    struct connection_facts *connection = &f->facts->connection;
    const char *host = f->order->host;
    char request[512];
    int len;

    if (!client_connect(&f->client, &f->order->address))
        return false;
    connection->stage = STAGE_CONNECTED;
    if (!client_handshake(&f->client, tls_conn_new_sender(f->order->roots, host, f->client.fd)))
        return false;
    connection_peer(connection, &f->client, host);
    if (f->order->connect_only)
        return true;
    len = snprintf(request, sizeof request,
                   "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
                   "User-Agent: mta-sts-check\r\nConnection: close\r\n\r\n",
                   host);
    if (!client_write(&f->client, request, (size_t)len))
        return false;
    if (read_answer(f))
        connection->stage = STAGE_ANSWERED;
    return true;
}

void fetch_run(const void *order, void *facts)
{
    int64_t start = monotonic_ms();
    struct fetch f = {.order = order, .facts = facts, .client = {.fd = -1}};
    struct connection_facts *connection = &f.facts->connection;

    f.client.deadline = start + (int64_t)f.order->timeout * 1000;
    f.answer = calloc(1, ANSWER_SIZE + 1);
    if (f.answer == NULL)
        return;
    if (!exchange(&f))
        connection_fault(connection, &f.client);
    connection->ms = monotonic_ms() - start;
    client_close(&f.client);
    free(f.answer);
    connection->done = true;
}
