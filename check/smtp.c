/* SPDX-License-Identifier: MIT
 * Speaks to an MX as a sender does until TLS is up (RFC 5321, RFC 3207), and no further: no mail is
 * begun. Every byte of the answers is hostile.
 */
#include "smtp.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "fetch.h"
#include "monotonic.h"
#include "text.h"

#define LINE_MAX_LEN 2048 /* RFC 5321 section 4.5.3.1.5 has 512 */
#define LINES_MAX 100     /* of one reply */

struct smtp {
    const struct smtp_order *order;
    struct smtp_facts *facts;
    struct client client;
    char buffer[LINE_MAX_LEN];
    size_t len; /* bytes in it that have not been read as a line */
    char line[LINE_MAX_LEN];
};

static bool bad(struct smtp *s, const char *fault)
{
    s->facts->bad_dialogue = true;
    s->client.fault = fault;
    return false;
}

/* The next line, without its end, in s->line. */
static bool read_line(struct smtp *s)
{
    const char *end;
    size_t more;

    while ((end = memchr(s->buffer, '\n', s->len)) == NULL) {
        if (s->len == sizeof s->buffer)
            return bad(s, "a line of its answer does not end");
        if (!client_read(&s->client, s->buffer + s->len, sizeof s->buffer - s->len, &more))
            return false;
        if (more == 0)
            return bad(s, "it closed the connection");
        s->len += more;
    }
    size_t line_len = (size_t)(end - s->buffer), taken = line_len + 1;
    while (line_len > 0 && s->buffer[line_len - 1] == '\r')
        line_len--;
    memcpy(s->line, s->buffer, line_len);
    s->line[line_len] = '\0';
    s->len -= taken;
    memmove(s->buffer, s->buffer + taken, s->len);
    return true;
}

/* A whole reply; its code, of three digits and none below 100, or 0 after a failure. `keyword` (may
 * be NULL) is looked for in each line but the first. */
static int read_reply(struct smtp *s, const char *keyword, bool *found)
{
    for (unsigned lines = 0; lines < LINES_MAX; lines++) {
        if (!read_line(s))
            return 0;
        if (strlen(s->line) < 3 || strspn(s->line, "0123456789") != 3 || s->line[0] == '0' ||
            (s->line[3] != ' ' && s->line[3] != '-' && s->line[3] != '\0')) {
            bad(s, "its answer is not SMTP");
            return 0;
        }
        if (keyword != NULL && lines > 0 && s->line[3] != '\0' &&
            strncasecmp(s->line + 4, keyword, strlen(keyword)) == 0 &&
            strchr(" ", s->line[4 + strlen(keyword)]) != NULL)
            *found = true;
        if (s->line[3] != '-')
            return (s->line[0] - '0') * 100 + (s->line[1] - '0') * 10 + (s->line[2] - '0');
    }
    bad(s, "its answer has no end");
    return 0;
}

static bool say(struct smtp *s, const char *command, const char *argument)
{
    char line[512];
    int len = snprintf(line, sizeof line, "%s%s\r\n", command, argument);

    return client_write(&s->client, line, (size_t)len);
}

static bool want(struct smtp *s, int code, int wanted, const char *fault)
{
    if (code == 0)
        return false;
    return code == wanted || bad(s, fault);
}

/* Up to the point where the handshake may begin. */
static bool start_tls(struct smtp *s)
{
    struct connection_facts *connection = &s->facts->connection;

    if (!want(s, read_reply(s, NULL, NULL), 220, "its greeting refuses the connection"))
        return false;
    if (!say(s, "EHLO ", s->order->localname) ||
        !want(s, read_reply(s, "STARTTLS", &s->facts->offers_starttls), 250, "it refuses EHLO"))
        return false;
    connection->stage = STAGE_GREETED;
    if (!s->facts->offers_starttls) {
        say(s, "QUIT", "");
        return false;
    }
    if (!say(s, "STARTTLS", "") ||
        !want(s, read_reply(s, NULL, NULL), 220, "it offers STARTTLS and then refuses it"))
        return false;
    connection->stage = STAGE_STARTTLS;
    /* Somebody on the way could have put it there: it must not be taken for a part of the TLS
     * session (CVE-2011-0411). */
    s->facts->glued = s->len > 0;
    s->len = 0;
    return true;
}

static bool dialogue(struct smtp *s)
{
    struct connection_facts *connection = &s->facts->connection;
    const char *host = s->order->host;

    if (!client_connect(&s->client, &s->order->address))
        return false;
    connection->stage = STAGE_CONNECTED;
    if (!start_tls(s))
        return false;
    if (!client_handshake(&s->client, tls_conn_new_sender(s->order->roots, host, s->client.fd)))
        return false;
    connection_peer(connection, &s->client, host);
    return true;
}

void smtp_run(const void *order, void *facts)
{
    int64_t start = monotonic_ms();
    struct smtp s = {.order = order, .facts = facts, .client = {.fd = -1}};
    struct connection_facts *connection = &s.facts->connection;

    s.client.deadline = start + (int64_t)s.order->timeout * 1000;
    if (!dialogue(&s) && s.client.fault != NULL)
        connection_fault(connection, &s.client);
    connection->ms = monotonic_ms() - start;
    /* No mail was begun: a polite end, if the peer still listens. */
    if (connection->stage == STAGE_TLS && say(&s, "QUIT", ""))
        tls_conn_close_notify(s.client.tls);
    client_close(&s.client);
    connection->done = true;
}
