/* SPDX-License-Identifier: MIT
 * What must hold of a connection when it is over, whatever its client did.
 */
#include "fuzz_conn.h"

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
            require(*at >= ' ' && *at <= '~');
            if (*at != '\\')
                continue;
            at++;
            require(*at != '\0' && strchr("\"\\x", *at) != NULL);
        }
        return at + 1;
    }
    require(isgraph((unsigned char)*at));
    while (isgraph((unsigned char)*at) && *at != '"')
        at++;
    return at;
}

/* key=value, and a blank before the next. */
static void check_grammar(const char *at)
{
    for (;;) {
        require(islower((unsigned char)*at));
        at += strspn(at, "abcdefghijklmnopqrstuvwxyz");
        require(*at == '=');
        at = skip_value(at + 1);
        if (*at == '\0')
            return;
        require(*at == ' ');
        at++;
    }
}

void check_log(char *log)
{
    char *end = strchr(log, '\n');

    require(end != NULL && end[1] == '\0');
    *end = '\0';
    check_grammar(log);
    char *event = strstr(log, " event=");
    require(event != NULL);
    event += strlen(" event=");
    bool known = false;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        known = known || (strncmp(event, events[i], strlen(events[i])) == 0 &&
                          event[strlen(events[i])] == ' ');
    require(known);
    char *ms = strstr(log, " ms=");
    require(ms != NULL);
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

    require(wire.fetches == (fetch ? 1 : 0));
    require(wire.handshake_failures == (in_handshake ? 1 : 0));
    /* One that had its answer ready and could not send it has a status, and no state. */
    if (!fetch && !timeout && has(line, " status="))
        behind = true;
    require(wire.events == (timeout || behind ? 1 : 0));
}

void check_records(void)
{
    const uint8_t *at = wire.to_client.bytes, *end = at + wire.to_client.len;

    while (end - at >= 5) {
        size_t len = (size_t)at[3] << 8 | at[4];
        require(at[0] >= 20 && at[0] <= 23);
        /* A hello of a version that there is not is refused in that version by Mbed TLS 2.28. */
        bool refusal = at == wire.to_client.bytes && at[0] == 21 && len == 2;
        require((at[1] == 3 && at[2] == 3) || refusal);
        require(len > 0 && len <= 16384 + 256);
        if ((size_t)(end - at) < 5 + len)
            break;
        at += 5 + len;
    }
    require(at == end || wire.was_cut);
}

/* The number of octets that Content-Length promises. */
static size_t promised(const char *head, const char *end)
{
    static const char field[] = "\r\nContent-Length: ";
    const char *found = memmem(head, (size_t)(end - head), field, strlen(field));

    require(found != NULL);
    found += strlen(field);
    require(memmem(found, (size_t)(end - found), field, strlen(field)) == NULL);
    char *rest;
    size_t len = strtoul(found, &rest, 10);
    require(rest > found && rest[0] == '\r');
    return len;
}

/* Each line of the head is printable and ends with CRLF. */
static void check_head(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '\r') {
            require(at[1] == '\n');
            at++;
        } else {
            require(*at >= ' ' && *at <= '~');
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
    require(body != NULL);
    size_t body_len = len - (size_t)(body - bytes) - 4;
    require(strncmp(bytes, start, strlen(start)) == 0);
    check_head(bytes, body + 4);
    size_t wanted = promised(bytes, body + 2);
    require(body_len == wanted || (may_be_head && body_len == 0));
    if (strncmp(bytes + strlen(start), "200 ", 4) == 0) {
        require(wanted == policy_len);
        require(body_len == 0 || memcmp(body + 4, policy, policy_len) == 0);
    }
}
