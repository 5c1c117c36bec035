/* SPDX-License-Identifier: MIT
 * One connection's life: ACCEPTED -> HANDSHAKE -> REQUEST -> RESPONSE -> CLOSING.
 */
#ifndef CONN_H
#define CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "config.h"
#include "http.h"
#include "metrics.h"
#include "tls.h"

#define CONN_AGENT_MAX 128
/* Holds the request head, then the whole response. */
#define CONN_BUFFER_SIZE (HTTP_RESPONSE_HEAD_MAX + POLICY_BODY_MAX + 1)
/* How long an answered client may take to close its side. */
#define CONN_LINGER_MS 1000

enum conn_state {
    CONN_FREE,      /* no connection: the slot can be taken */
    CONN_ACCEPTED,  /* no byte yet, no TLS context */
    CONN_HANDSHAKE, /* unfinished */
    CONN_REQUEST,   /* reading the head */
    CONN_RESPONSE,  /* writing the answer and close_notify */
    CONN_CLOSING,   /* answered or failed; waits for the client to close */
};

/* What a connection waits for. */
enum conn_interest {
    CONN_READABLE,
    CONN_WRITABLE,
};

/* What all connections of a worker share. */
struct conn_site {
    const struct config *config;
    const struct tls_store *store;
    struct metrics *metrics; /* may be NULL */
};

struct conn_link {
    struct conn *previous, *next;
};

struct conn {
    const struct conn_site *site;
    enum conn_state state;
    enum conn_interest interest;
    int fd; /* owned; -1 when free */
    struct tls_conn *tls;
    struct address client;
    struct address_source source;
    int64_t accepted_at, deadline, linger_until; /* monotonic milliseconds */
    struct conn_link by_age, by_linger;          /* kept by server.c */
    struct conn *next_of_bucket;                 /* likewise */
    bool reported;                               /* its outcome has been logged */
    int status;                                  /* of the answer; 0 before there is one */
    const struct config_domain *domain;          /* NULL until a request names one of ours */
    char agent[CONN_AGENT_MAX];
    size_t agent_len;
    size_t used;  /* bytes in buffer */
    size_t sent;  /* of them, while answering */
    char *buffer; /* CONN_BUFFER_SIZE, borrowed */
};

/* Starts a connection in a free slot; takes the socket, borrows the site. */
void conn_start(struct conn *conn, const struct conn_site *site, int fd,
                const struct address *client, int64_t now, int64_t deadline);
/* Goes on as far as it can without waiting; afterwards `interest` says what to wait for, or the
 * state is CONN_FREE and the connection is over. */
void conn_step(struct conn *conn, int64_t now);
/* Ends the connection at once, in any state; logs `event` if no outcome has been logged.
 * Idempotent. */
void conn_stop(struct conn *conn, const char *event, int64_t now);

#endif
