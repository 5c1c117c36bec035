/* SPDX-License-Identifier: MIT
 * A connection that we make ourselves, in the clear or over TLS, with one deadline for all of it.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "tls.h"

/* {.fd = -1, .deadline = ...} is one that has not begun; client_close ends it in any state. */
struct client {
    int fd;               /* owned; -1: none */
    struct tls_conn *tls; /* owned; NULL while nothing is encrypted */
    int64_t deadline;     /* monotonic milliseconds */
    bool no_route;        /* the fault is that this machine has no way there */
    bool timed_out;       /* the fault is that the deadline has come */
    const char *fault; /* after a failure: why; lives as long as the client and strerror's text */
};

/* Each waits as long as it must; false with the fault, of which timed_out is one. */
bool client_connect(struct client *client, const struct address *address);
/* Takes over the TLS connection, made for client->fd; NULL is taken for want of memory. */
bool client_handshake(struct client *client, struct tls_conn *tls);
bool client_write(struct client *client, const char *bytes, size_t len);
/* At most `size` bytes, at least one; *len = 0 if the peer has closed. */
bool client_read(struct client *client, char *bytes, size_t size, size_t *len);
void client_close(struct client *client);

#endif
