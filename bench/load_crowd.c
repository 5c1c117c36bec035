/* SPDX-License-Identifier: MIT
 * Connections that do not want the policy: idle ones to weigh, slow clients and garbage as an
 * attacker makes them. They go on until standard input ends, which it does at the latest when the
 * driver does.
 */
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool told_to_stop(int timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&input, 1, timeout_ms) > 0;
}

int load_hold(const struct load *load)
{
    SSL **held = calloc(load->count, sizeof *held);
    size_t count = 0;
    const char *why = NULL;

    if (held == NULL)
        return 1;
    while (count < load->count && (held[count] = load_tls_open(load, count, &why)) != NULL)
        count++;
    if (count < load->count)
        fprintf(stderr, "load: connection %zu: %s\n", count, why);
    printf("held=%zu\n", count);
    fflush(stdout);
    told_to_stop(-1);
    for (size_t i = 0; i < count; i++)
        load_tls_close(held[i]);
    free(held);
    return count == load->count ? 0 : 1;
}

/* The beginning of a ClientHello of 512 octets: enough to have the server wait for the rest. */
static const unsigned char hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03,
                                      0x03, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a};

struct slow {
    int fd;
    size_t sent;
};

/* True if the server has ended it, or is about to. */
static bool is_over(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

/* One octet more, or a new connection for one that the server has ended. */
static unsigned long feed(const struct load *load, struct slow *slow, unsigned long n)
{
    unsigned long connected = 0;

    if (slow->fd >= 0 && is_over(slow->fd)) {
        close(slow->fd);
        slow->fd = -1;
    }
    if (slow->fd < 0) {
        *slow = (struct slow){.fd = load_connect(load, n, false)};
        connected = slow->fd >= 0;
    }
    unsigned char byte = slow->sent < sizeof hello ? hello[slow->sent] : 0x5a;
    if (slow->fd >= 0 && send(slow->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
        slow->sent++;
    return connected;
}

int load_slow(const struct load *load)
{
    struct slow *slow = calloc(load->count, sizeof *slow);
    unsigned long connected = 0;
    double start = load_now();

    if (slow == NULL)
        return 1;
    for (size_t i = 0; i < load->count; i++)
        slow[i].fd = -1;
    /* Each has its turn once in a second. */
    for (unsigned long n = 0; !told_to_stop(0) && load_now() < start + load->seconds; n++) {
        load_pace(start, (double)load->count, n);
        connected += feed(load, &slow[n % load->count], n % load->count);
    }
    printf("connected=%lu\n", connected);
    free(slow);
    return 0;
}

/* What scanners send to a TLS port: HTTP, something of a TLS record, noise. */
static ssize_t send_garbage(int fd, unsigned long n)
{
    static const char http[] = "GET / HTTP/1.0\r\n\r\n";
    static const unsigned char record[] = {0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0xff, 0xff, 0xff, 0};
    unsigned char noise[64];

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)((n * 2654435761UL + i * i * 40503UL) >> 7);
    const void *bytes = n % 3 == 0 ? (const void *)http : n % 3 == 1 ? record : noise;
    size_t len = n % 3 == 0 ? sizeof http - 1 : n % 3 == 1 ? sizeof record : sizeof noise;
    return send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int load_garbage(const struct load *load)
{
    /* Each stays for a second, if the server does not end it before. */
    size_t size = (size_t)load->rate;
    int *open = calloc(size, sizeof *open);
    unsigned long connected = 0;
    double start = load_now();

    if (open == NULL)
        return 1;
    for (size_t i = 0; i < size; i++)
        open[i] = -1;
    for (unsigned long n = 0; !told_to_stop(0) && load_now() < start + load->seconds; n++) {
        load_pace(start, load->rate, n);
        int *fd = &open[n % size];
        if (*fd >= 0)
            close(*fd);
        *fd = load_connect(load, n, false);
        if (*fd >= 0 && send_garbage(*fd, n) > 0)
            connected++;
    }
    printf("connected=%lu\n", connected);
    free(open);
    return 0;
}
