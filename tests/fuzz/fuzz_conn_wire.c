/* SPDX-License-Identifier: MIT
 * The world around one connection: a socket in memory, a clock and random numbers that are the same
 * each time, a log that is kept. The linker's --wrap leads the program's calls here; what is not
 * the server's goes on to where it went before, the fuzzer's own calls above all.
 */
#include "fuzz_conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics.h"

struct wire wire;

/* More calls than this for one connection are a loop without an end. */
#define CALLS_MAX 1000000

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): names of the linker's */
ssize_t __real_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
void __real_metrics_count(struct metrics *metrics, enum metrics_event event);
void __wrap_metrics_count(struct metrics *metrics, enum metrics_event event);
void __real_metrics_count_fetch(struct metrics *metrics, const struct config_domain *domain,
                                enum http_status status);
void __wrap_metrics_count_fetch(struct metrics *metrics, const struct config_domain *domain,
                                enum http_status status);
void __real_metrics_count_handshake_failure(struct metrics *metrics, const char *reason);
void __wrap_metrics_count_handshake_failure(struct metrics *metrics, const char *reason);
int __wrap_mbedtls_ctr_drbg_random(void *state, unsigned char *bytes, size_t len);
int mbedtls_ctr_drbg_random(void *state, unsigned char *bytes, size_t len);

void wire_start(const struct wire_script *script)
{
    wire.script = *script;
    wire.side = WIRE_OUTSIDE;
    wire.to_server.len = wire.to_server.taken = 0;
    wire.to_client.len = wire.to_client.taken = 0;
    wire.ended = wire.was_cut = wire.shut = false;
    wire.closes = wire.receives = wire.sends = 0;
    wire.now = 1000;
    wire.last = WIRE_MOVED;
    for (size_t i = 0; i < sizeof wire.random / sizeof *wire.random; i++)
        wire.random[i] = i;
    wire.log_len = 0;
    wire.fetches = wire.handshake_failures = wire.events = 0;
}

static void append(struct wire_stream *stream, const void *bytes, size_t len)
{
    require(len <= sizeof stream->bytes - stream->len);
    if (len > 0)
        memcpy(stream->bytes + stream->len, bytes, len);
    stream->len += len;
}

void wire_feed(const uint8_t *bytes, size_t len)
{
    append(&wire.to_server, bytes, len);
}

static size_t take(struct wire_stream *stream, void *bytes, size_t size, bool peek)
{
    size_t left = stream->len - stream->taken;
    size_t len = size < left ? size : left;

    if (len > 0)
        memcpy(bytes, stream->bytes + stream->taken, len);
    stream->taken += peek ? 0 : len;
    return len;
}

static ssize_t fail(int error)
{
    errno = error;
    return -1;
}

static bool pauses(unsigned calls, unsigned pause)
{
    require(calls < CALLS_MAX);
    return pause > 1 && (calls - 1) % pause == 0;
}

static ssize_t receive(void *bytes, size_t size, int flags)
{
    const struct wire_script *script = &wire.script;
    bool empty = wire.to_server.taken == wire.to_server.len;

    require(wire.closes == 0 && (flags & MSG_DONTWAIT));
    if (pauses(++wire.receives, script->receive_pause) ||
        (empty && (!wire.ended || script->end == WIRE_SILENT))) {
        wire.last = WIRE_TOLD_TO_READ;
        return fail(EAGAIN);
    }
    wire.last = WIRE_MOVED;
    if (empty && script->end == WIRE_RESET)
        return fail(ECONNRESET);
    if (script->receive_max > 0 && size > script->receive_max)
        size = script->receive_max;
    return (ssize_t)take(&wire.to_server, bytes, size, flags & MSG_PEEK);
}

static ssize_t transmit(const void *bytes, size_t len, int flags)
{
    const struct wire_script *script = &wire.script;
    size_t room = len;

    require(wire.closes == 0 && !wire.shut && len > 0);
    require((flags & MSG_DONTWAIT) && (flags & MSG_NOSIGNAL));
    if (pauses(++wire.sends, script->send_pause)) {
        wire.was_cut = true;
        wire.last = WIRE_TOLD_TO_WRITE;
        return fail(EAGAIN);
    }
    wire.last = WIRE_MOVED;
    if (script->send_max > 0 && room > script->send_max)
        room = script->send_max;
    if (script->send_limit > 0 && room > script->send_limit - wire.to_client.len)
        room = script->send_limit - wire.to_client.len;
    wire.was_cut = wire.was_cut || room < len;
    if (room == 0)
        return fail(EPIPE);
    append(&wire.to_client, bytes, room);
    return (ssize_t)room;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
    if (fd == WIRE_SERVER_FD)
        return receive(bytes, size, flags);
    if (fd != WIRE_CLIENT_FD)
        return __real_recv(fd, bytes, size, flags);
    if (wire.to_client.taken == wire.to_client.len && wire.closes == 0 && !wire.shut)
        return fail(EAGAIN);
    return (ssize_t)take(&wire.to_client, bytes, size, false);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    if (fd == WIRE_SERVER_FD)
        return transmit(bytes, len, flags);
    if (fd != WIRE_CLIENT_FD)
        return __real_send(fd, bytes, len, flags);
    append(&wire.to_server, bytes, len);
    return (ssize_t)len;
}

int __wrap_shutdown(int fd, int how)
{
    if (fd != WIRE_SERVER_FD)
        return __real_shutdown(fd, how);
    require(how == SHUT_WR && !wire.shut && wire.closes == 0);
    wire.shut = true;
    return 0;
}

int __wrap_close(int fd)
{
    if (fd != WIRE_SERVER_FD)
        return __real_close(fd);
    wire.closes++;
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (wire.side != WIRE_SERVER || clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, now);
    wire.now += wire.script.clock_step;
    *now = (struct timespec){wire.now / 1000, wire.now % 1000 * 1000000};
    return 0;
}

static time_t fixed_time(time_t *now)
{
    if (now != NULL)
        *now = WIRE_NOW;
    return WIRE_NOW;
}

/* Also for Mbed TLS, whose calls no option of the linker reaches where it is a shared library. */
extern __typeof__(fixed_time) time __attribute__((alias("fixed_time")));

/* SplitMix64: each side its own sequence, so that what one sends does not depend on the other. */
int __wrap_mbedtls_ctr_drbg_random(void *state, unsigned char *bytes, size_t len)
{
    (void)state;
    for (size_t i = 0; i < len; i++) {
        uint64_t mix = wire.random[wire.side] += UINT64_C(0x9e3779b97f4a7c15);
        mix = (mix ^ mix >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        mix = (mix ^ mix >> 27) * UINT64_C(0x94d049bb133111eb);
        bytes[i] = (unsigned char)(mix ^ mix >> 31);
    }
    return 0;
}

/* The shared library finds this one; a static one has a stronger one, and calls the one above. */
__attribute__((weak)) int mbedtls_ctr_drbg_random(void *state, unsigned char *bytes, size_t len)
{
    return __wrap_mbedtls_ctr_drbg_random(state, bytes, len);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (wire.side != WIRE_SERVER)
        return __real_write(fd, bytes, len);
    require(fd == STDERR_FILENO && len < sizeof wire.log - wire.log_len);
    memcpy(wire.log + wire.log_len, bytes, len);
    wire.log_len += len;
    return (ssize_t)len;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (wire.side != WIRE_SERVER)
        return __real_poll(fds, count, timeout);
    require(count == 1 && timeout == 0);
    fds->revents = fds->events;
    return 1;
}

void __wrap_metrics_count(struct metrics *metrics, enum metrics_event event)
{
    wire.events++;
    __real_metrics_count(metrics, event);
}

void __wrap_metrics_count_fetch(struct metrics *metrics, const struct config_domain *domain,
                                enum http_status status)
{
    wire.fetches++;
    __real_metrics_count_fetch(metrics, domain, status);
}

void __wrap_metrics_count_handshake_failure(struct metrics *metrics, const char *reason)
{
    wire.handshake_failures++;
    __real_metrics_count_handshake_failure(metrics, reason);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
