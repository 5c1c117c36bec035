/* SPDX-License-Identifier: MIT
 * What must hold of a connection when it is over, whatever its client did.
 */
#include "fuzz_conn.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const events[] = {"fetch",          "closed",          "timeout",
                                     "request_failed", "response_failed", "handshake_failed"};

/* A value is a word, or quoted: printable, and a quote in it is behind a backslash. */
static const char *skip_value(const char *at)
{
    bool quoted = *at == '"';

    if (quoted) {
        for (at++; *at != '"'; at++) {
            assert(*at >= ' ' && *at <= '~');
            if (*at != '\\')
                continue;
            at++;
            assert(*at != '\0' && strchr("\"\\x", *at) != NULL);
        }
        return at + 1;
    }
    assert(isgraph((unsigned char)*at));
    while (isgraph((unsigned char)*at) && *at != '"')
        at++;
    return at;
}

/* key=value, and a blank before the next. */
static void check_grammar(const char *at)
{
    for (;;) {
        assert(islower((unsigned char)*at));
        at += strspn(at, "abcdefghijklmnopqrstuvwxyz");
        assert(*at == '=');
        at = skip_value(at + 1);
        if (*at == '\0')
            return;
        assert(*at == ' ');
        at++;
    }
}

void check_log(char *log)
{
    char *end = strchr(log, '\n');

    assert(end != NULL && end[1] == '\0');
    *end = '\0';
    check_grammar(log);
    char *event = strstr(log, " event=");
    assert(event != NULL);
    event += strlen(" event=");
    bool known = false;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        known = known || (strncmp(event, events[i], strlen(events[i])) == 0 &&
                          event[strlen(events[i])] == ' ');
    assert(known);
    char *ms = strstr(log, " ms=");
    assert(ms != NULL);
    size_t len = strlen(" ms=") + strspn(ms + strlen(" ms="), "0123456789");
    memmove(ms, ms + len, strlen(ms + len) + 1);
}

/* In front of what the client says of itself, which may be a line of its own making. */
static bool has(const char *line, const char *word)
{
    const char *found = strstr(line, word), *agent = strstr(line, " agent=");

    return found != NULL && (agent == NULL || found < agent);
}

void check_counts(const char *line)
{
    bool fetch = has(line, " event=fetch "), timeout = has(line, " event=timeout ");
    bool in_handshake = has(line, " state=handshake ");
    bool behind = has(line, " state=request ") || has(line, " state=response ");

    assert(wire.fetches == (fetch ? 1 : 0));
    assert(wire.handshake_failures == (in_handshake ? 1 : 0));
    /* One that had its answer ready and could not send it has a status, and no state. */
    if (!fetch && !timeout && has(line, " status="))
        behind = true;
    assert(wire.events == (timeout || behind ? 1 : 0));
}

void check_records(void)
{
    const uint8_t *at = wire.to_client.bytes, *end = at + wire.to_client.len;

    while (end - at >= 5) {
        size_t len = (size_t)at[3] << 8 | at[4];
        assert(at[0] >= 20 && at[0] <= 23);
        /* A hello of a version that there is not is refused in that version by Mbed TLS 2.28. */
        bool refusal = at == wire.to_client.bytes && at[0] == 21 && len == 2;
        assert((at[1] == 3 && at[2] == 3) || refusal);
        assert(len > 0 && len <= 16384 + 256);
        if ((size_t)(end - at) < 5 + len)
            break;
        at += 5 + len;
    }
    assert(at == end || wire.was_cut);
}

/* The number of octets that Content-Length promises. */
static size_t promised(const char *head, const char *end)
{
    static const char field[] = "\r\nContent-Length: ";
    const char *found = memmem(head, (size_t)(end - head), field, strlen(field));

    assert(found != NULL);
    found += strlen(field);
    assert(memmem(found, (size_t)(end - found), field, strlen(field)) == NULL);
    char *rest;
    size_t len = strtoul(found, &rest, 10);
    assert(rest > found && rest[0] == '\r');
    return len;
}

/* Each line of the head is printable and ends with CRLF. */
static void check_head(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '\r') {
            assert(at[1] == '\n');
            at++;
        } else {
            assert(*at >= ' ' && *at <= '~');
        }
    }
}

void check_response(const char *bytes, size_t len, bool may_be_head, const char *policy,
                    size_t policy_len)
{
    static const char start[] = "HTTP/1.1 ";

    if (len == 0)
        return;
    const char *body = memmem(bytes, len, "\r\n\r\n", 4);
    assert(body != NULL);
    size_t body_len = len - (size_t)(body - bytes) - 4;
    assert(strncmp(bytes, start, strlen(start)) == 0);
    check_head(bytes, body + 4);
    size_t wanted = promised(bytes, body + 2);
    assert(body_len == wanted || (may_be_head && body_len == 0));
    if (strncmp(bytes + strlen(start), "200 ", 4) == 0) {
        assert(wanted == policy_len);
        assert(body_len == 0 || memcmp(body + 4, policy, policy_len) == 0);
    }
}
