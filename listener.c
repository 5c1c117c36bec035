/* SPDX-License-Identifier: MIT
 * The listening sockets: opened once, before privileges are dropped.
 */
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

/* What the administrator can do about an error of socket or bind. */
static const char *advice(int error)
{
    switch (error) {
    case EADDRINUSE:
        return ": another process listens there";
    case EADDRNOTAVAIL:
        return ": this machine does not have that address";
    case EACCES:
        return ": ports below 1024 need root or CAP_NET_BIND_SERVICE";
    case EAFNOSUPPORT:
        return ": no IPv6 here? try listen = 0.0.0.0:443";
    default:
        return "";
    }
}

/* True if an IPv6 socket must leave IPv4 alone because another `listen` has its port there. */
static bool is_v6_only(const struct config *config, const struct address *address)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct address *other = &config->listen[i].address;
        if (other->storage.ss_family == AF_INET && address_port(other) != 0 &&
            address_port(other) == address_port(address))
            return true;
    }
    return false;
}

static int open_one(const struct config *config, const struct address *address)
{
    int on = 1, v6_only = is_v6_only(config, address);
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (address->storage.ss_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) == 0) &&
        bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool listener_open_all(const struct config *config, int *fds, struct finding_list *findings)
{
    char text[ADDRESS_TEXT_SIZE];
    bool good = true;

    for (size_t i = 0; i < config->listen_count; i++) {
        fds[i] = open_one(config, &config->listen[i].address);
        if (fds[i] >= 0)
            continue;
        int error = errno;
        address_format(&config->listen[i].address, true, text);
        finding_add(findings, FINDING_ERROR, "LISTEN",
                    (struct place){config->path, config->listen[i].line, 0},
                    "cannot listen on %s: %s%s", text, strerror(error), advice(error));
        good = false;
    }
    if (!good)
        listener_close_all(fds, config->listen_count);
    return good;
}

void listener_close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

void listener_log(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct address address = {.len = sizeof address.storage};
        char text[ADDRESS_TEXT_SIZE];
        struct log_line line;

        if (getsockname(fds[i], (struct sockaddr *)&address.storage, &address.len) != 0)
            continue;
        address_format(&address, true, text);
        log_begin(&line, LOG_INFO, "listening");
        log_word(&line, "address", text);
        log_end(&line);
    }
}
