/* SPDX-License-Identifier: MIT
 * Sockets of the load client and its clock. A server may limit what one address may have open, so
 * the connections come from as many addresses of the loopback network as are asked for.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 20 /* of one read, write or connect: it has failed long before */

static struct sockaddr_in loopback(uint32_t address, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
}

int load_connect(const struct load *load, unsigned long n, bool wait)
{
    struct sockaddr_in from = loopback(load->source + (uint32_t)(n % load->source_count), 0);
    struct sockaddr_in to = loopback(INADDR_LOOPBACK, load->port);
    struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);

    if (fd < 0)
        return -1;
    /* The port is chosen at connect, or 28,000 fetches would use up an address for a minute. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && (wait || errno != EINPROGRESS))) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

double load_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double load_pace(double start, double rate, unsigned long n)
{
    double due = start + (double)n / rate;
    struct timespec until = {.tv_sec = (time_t)due};

    until.tv_nsec = (long)((due - (double)until.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    return due;
}
