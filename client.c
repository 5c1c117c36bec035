/* SPDX-License-Identifier: MIT
 * A connection that we make ourselves. What answers may be anything, so every call is bounded by
 * the one deadline, however slowly bytes drip in.
 */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monotonic.h"

static bool fail(struct client *client, const char *fault)
{
    client->fault = fault;
    return false;
}

static bool time_out(struct client *client)
{
    client->timed_out = true;
    return fail(client, "no answer in time");
}

static bool wait_for(struct client *client, short events)
{
    struct pollfd ready = {.fd = client->fd, .events = events};
    int64_t left = client->deadline - monotonic_ms();

    if (left > 0 && poll(&ready, 1, (int)left) != 0)
        return true;
    return time_out(client);
}

/* Waits as a TLS answer says; false if there is nothing to wait for. */
static bool wait_tls(struct client *client, enum tls_result result)
{
    if (result == TLS_WANT_READ)
        return wait_for(client, POLLIN);
    if (result == TLS_WANT_WRITE)
        return wait_for(client, POLLOUT);
    return fail(client, tls_conn_reason(client->tls));
}

static bool wait_socket(struct client *client, short events)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return wait_for(client, events);
    return fail(client, strerror(errno));
}

/* A connection that could not be made. */
static bool fail_connect(struct client *client, int error)
{
    client->no_route = error == ENETUNREACH || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
    return fail(client, strerror(error));
}

bool client_connect(struct client *client, const struct address *address)
{
    int error = 0, on = 1;
    socklen_t len = sizeof error;

    client->fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return fail_connect(client, errno);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->fd, (const struct sockaddr *)&address->storage, address->len) == 0)
        return true;
    if (errno != EINPROGRESS)
        return fail_connect(client, errno);
    if (!wait_for(client, POLLOUT))
        return false;
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return fail(client, strerror(errno));
    /* Who resets it had accepted it first. */
    if (error != 0 && error != ECONNRESET)
        return fail_connect(client, error);
    return true;
}

bool client_handshake(struct client *client, struct tls_conn *tls)
{
    enum tls_result result;

    client->tls = tls;
    if (tls == NULL)
        return fail(client, "out of memory");
    while ((result = tls_conn_handshake(tls)) != TLS_OK)
        if (!wait_tls(client, result))
            return false;
    return true;
}

bool client_write(struct client *client, const char *bytes, size_t len)
{
    size_t sent = 0;
    enum tls_result result;

    if (client->tls != NULL) {
        while ((result = tls_conn_write(client->tls, bytes, len, &sent)) != TLS_OK)
            if (!wait_tls(client, result))
                return false;
        return true;
    }
    while (sent < len) {
        ssize_t n = send(client->fd, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && !wait_socket(client, POLLOUT))
            return false;
        sent += n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool client_read(struct client *client, char *bytes, size_t size, size_t *len)
{
    *len = 0;
    for (;;) {
        if (client->tls != NULL) {
            enum tls_result result = tls_conn_read(client->tls, bytes, size, len);
            if (result == TLS_OK || result == TLS_CLOSED)
                return true;
            if (!wait_tls(client, result))
                return false;
        } else {
            ssize_t n = recv(client->fd, bytes, size, 0);
            *len = n > 0 ? (size_t)n : 0;
            if (n >= 0)
                return true;
            if (!wait_socket(client, POLLIN))
                return false;
        }
        /* A peer that sends without a pause must not outlast the deadline either. */
        if (monotonic_ms() >= client->deadline)
            return time_out(client);
    }
}

void client_close(struct client *client)
{
    tls_conn_free(client->tls);
    client->tls = NULL;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}
