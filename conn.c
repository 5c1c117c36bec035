/* SPDX-License-Identifier: MIT
 * One connection's life. Each step can be called again at any time: it goes on where it stands, and
 * whatever fails ends this connection alone, with one line in the log.
 */
#include "conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "monotonic.h"
#include "name.h"

/* Bytes of a closing client that are thrown away in one step. */
#define DISCARD_MAX 65536

static const char *const state_names[] = {
    [CONN_FREE] = "free",       [CONN_ACCEPTED] = "accepted", [CONN_HANDSHAKE] = "handshake",
    [CONN_REQUEST] = "request", [CONN_RESPONSE] = "response", [CONN_CLOSING] = "closing",
};

static void set_state(struct conn *conn, enum conn_state state, enum conn_interest interest)
{
    conn->state = state;
    conn->interest = interest;
}

static void count_outcome(const struct conn *conn, const char *event, const char *reason)
{
    struct metrics *metrics = conn->site->metrics;
    bool timeout = strcmp(event, "timeout") == 0;

    if (strcmp(event, "fetch") == 0)
        metrics_count_fetch(metrics, conn->domain, (enum http_status)conn->status);
    else if (timeout)
        metrics_count(metrics, METRICS_TIMED_OUT);
    else if (strcmp(event, "displaced") == 0)
        metrics_count(metrics, METRICS_DISPLACED);
    else if (conn->state == CONN_REQUEST || conn->state == CONN_RESPONSE)
        metrics_count(metrics, METRICS_FAILED);
    if (conn->state == CONN_HANDSHAKE)
        metrics_count_handshake_failure(metrics, timeout          ? "timeout"
                                                 : reason == NULL ? "other"
                                                                  : reason);
}

/* The one line that says how a connection came out; `reason` may be NULL. */
static void report(struct conn *conn, const char *event, const char *reason, int64_t now)
{
    struct log_line line;
    char client[ADDRESS_TEXT_SIZE];
    bool silent = conn->state == CONN_ACCEPTED && strcmp(event, "closed") == 0;

    if (conn->reported)
        return;
    conn->reported = true;
    count_outcome(conn, event, reason);
    address_format(&conn->client, false, client);
    /* A client that never spoke is what a load balancer's health check looks like. */
    log_begin(&line, silent ? LOG_DEBUG : LOG_INFO, event);
    if (conn->status != 0) {
        log_word(&line, "domain", conn->domain == NULL ? "-" : conn->domain->name);
        log_number(&line, "status", conn->status);
    } else {
        log_word(&line, "state", state_names[conn->state]);
    }
    if (reason != NULL)
        log_word(&line, "reason", reason);
    log_word(&line, "client", client);
    if (conn->tls != NULL)
        log_word(&line, "tls", tls_conn_version(conn->tls));
    log_number(&line, "ms", now - conn->accepted_at);
    if (conn->tls != NULL && conn->domain == NULL && tls_conn_host(conn->tls) != NULL)
        log_word(&line, "host", tls_conn_host(conn->tls));
    if (conn->status != 0)
        log_quoted(&line, "agent", conn->agent, conn->agent_len);
    log_end(&line);
}

void conn_start(struct conn *conn, const struct conn_site *site, int fd,
                const struct address *client, int64_t now, int64_t deadline)
{
    char *buffer = conn->buffer;

    *conn = (struct conn){.site = site,
                          .fd = fd,
                          .client = *client,
                          .source = address_source(client),
                          .accepted_at = now,
                          .deadline = deadline,
                          .buffer = buffer};
    set_state(conn, CONN_ACCEPTED, CONN_READABLE);
}

void conn_stop(struct conn *conn, const char *event, int64_t now)
{
    if (conn->state == CONN_FREE)
        return;
    report(conn, event, NULL, now);
    if (conn->tls != NULL)
        tls_conn_close_notify(conn->tls); /* if it can go out at once */
    tls_conn_free(conn->tls);
    conn->tls = NULL;
    close(conn->fd);
    conn->fd = -1;
    set_state(conn, CONN_FREE, CONN_READABLE);
}

/* Sends FIN and waits a little for the client's: closing with unread bytes would send RST, which
 * can take the answer away from the client (RFC 9112 section 9.6). */
static void begin_closing(struct conn *conn, int64_t now)
{
    tls_conn_free(conn->tls);
    conn->tls = NULL;
    shutdown(conn->fd, SHUT_WR);
    conn->linger_until =
        now + CONN_LINGER_MS < conn->deadline ? now + CONN_LINGER_MS : conn->deadline;
    set_state(conn, CONN_CLOSING, CONN_READABLE);
}

/* Acts on a TLS answer: true if the step is done and may go on. */
static bool proceed(struct conn *conn, enum tls_result result, const char *failure, int64_t now)
{
    switch (result) {
    case TLS_OK:
        return true;
    case TLS_WANT_READ:
        conn->interest = CONN_READABLE;
        return false;
    case TLS_WANT_WRITE:
        conn->interest = CONN_WRITABLE;
        return false;
    case TLS_CLOSED:
        report(conn, "closed", tls_conn_reason(conn->tls), now);
        tls_conn_close_notify(conn->tls); /* in return; likewise */
        break;
    case TLS_FAILED:
        report(conn, failure, tls_conn_reason(conn->tls), now);
        break;
    }
    begin_closing(conn, now);
    return true;
}

/* Only now, with a byte to read, does the client cost a TLS context. */
static bool step_accepted(struct conn *conn, int64_t now)
{
    char byte;
    ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    if (n <= 0) {
        conn_stop(conn, "closed", now);
        return false;
    }
    conn->tls = tls_conn_new(conn->site->store, conn->fd);
    if (conn->tls == NULL) {
        set_state(conn, CONN_HANDSHAKE, CONN_READABLE);
        report(conn, "handshake_failed", "no_memory", now);
        conn_stop(conn, "handshake_failed", now);
        return false;
    }
    set_state(conn, CONN_HANDSHAKE, CONN_READABLE);
    return true;
}

static bool step_handshake(struct conn *conn, int64_t now)
{
    enum tls_result result = tls_conn_handshake(conn->tls);

    if (result == TLS_OK)
        set_state(conn, CONN_REQUEST, CONN_READABLE);
    return proceed(conn, result, "handshake_failed", now);
}

/* Finds whose policy is asked for; the status to refuse the request with where it is nobody's. */
static enum http_status find_domain(struct conn *conn, const struct http_request *request)
{
    const char *sni = tls_conn_host(conn->tls);
    const char *host = request->host != NULL ? request->host : sni;
    size_t len = request->host != NULL ? request->host_len : sni != NULL ? strlen(sni) : 0;

    if (host == NULL || (sni != NULL && !name_equal(host, len, sni, strlen(sni))))
        return HTTP_MISDIRECTED_REQUEST;
    conn->domain = config_find_host(conn->site->config, host, len);
    return conn->domain == NULL ? HTTP_MISDIRECTED_REQUEST : HTTP_OK;
}

/* Whom a request that is refused was meant for, as far as that can be known. */
static const struct config_domain *domain_of_sni(const struct conn *conn)
{
    const char *sni = tls_conn_host(conn->tls);

    return sni == NULL ? NULL : config_find_host(conn->site->config, sni, strlen(sni));
}

/* The request's bytes make room for the response, so what is still needed of them is copied first.
 */
static void build_response(struct conn *conn, enum http_verdict verdict,
                           const struct http_request *request)
{
    char date[HTTP_DATE_SIZE];
    struct text out;
    enum http_status status =
        verdict == HTTP_REFUSED ? request->status : find_domain(conn, request);
    const struct config_policy *policy = status == HTTP_OK ? conn->domain->policy : NULL;

    conn->agent_len = request->agent_len < CONN_AGENT_MAX ? request->agent_len : CONN_AGENT_MAX;
    if (conn->agent_len > 0)
        memcpy(conn->agent, request->agent, conn->agent_len);
    http_date(time(NULL), date);
    text_init(&out, conn->buffer, CONN_BUFFER_SIZE);
    http_response(&out, status, request->head, date, policy == NULL ? NULL : policy->body,
                  policy == NULL ? 0 : policy->body_len);
    if (status != HTTP_OK)
        conn->domain = domain_of_sni(conn);
    conn->status = (int)status;
    conn->used = out.len;
    conn->sent = 0;
    set_state(conn, CONN_RESPONSE, CONN_WRITABLE);
}

static bool step_request(struct conn *conn, int64_t now)
{
    struct http_request request;
    size_t len = 0;
    enum tls_result result =
        tls_conn_read(conn->tls, conn->buffer + conn->used, HTTP_HEAD_MAX - conn->used, &len);

    conn->used += len;
    if (result != TLS_OK)
        return proceed(conn, result, "request_failed", now);
    enum http_verdict verdict = http_parse(conn->buffer, conn->used, &request);
    if (verdict != HTTP_INCOMPLETE)
        build_response(conn, verdict, &request);
    return true;
}

static bool step_response(struct conn *conn, int64_t now)
{
    enum tls_result result = tls_conn_write(conn->tls, conn->buffer, conn->used, &conn->sent);

    if (result == TLS_OK) {
        report(conn, "fetch", NULL, now);
        result = tls_conn_close_notify(conn->tls);
    }
    if (result == TLS_OK)
        begin_closing(conn, now);
    return proceed(conn, result, "response_failed", now);
}

static bool step_closing(struct conn *conn, int64_t now)
{
    char discarded[4096];
    size_t total = 0;

    while (total < DISCARD_MAX) {
        ssize_t n = recv(conn->fd, discarded, sizeof discarded, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return false;
        if (n <= 0) {
            conn_stop(conn, "closed", now);
            return false;
        }
        total += (size_t)n;
    }
    return false;
}

void conn_step(struct conn *conn, int64_t now)
{
    bool go_on = true;

    while (go_on) {
        switch (conn->state) {
        case CONN_FREE:
            go_on = false;
            break;
        case CONN_ACCEPTED:
            go_on = step_accepted(conn, now);
            break;
        case CONN_HANDSHAKE:
            go_on = step_handshake(conn, now);
            break;
        case CONN_REQUEST:
            go_on = step_request(conn, now);
            break;
        case CONN_RESPONSE:
            go_on = step_response(conn, now);
            break;
        case CONN_CLOSING:
            go_on = step_closing(conn, now);
            break;
        }
        now = monotonic_ms(); /* a step of the handshake takes its time */
    }
}
