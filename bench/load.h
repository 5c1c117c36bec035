/* SPDX-License-Identifier: MIT
 * The load client of `make bench`: what its parts share. It connects to 127.0.0.1 alone, from any
 * address of 127.0.0.0/8, so that no mistake can turn it against anybody else.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#define LOAD_SESSION_SIZE 96

struct load {
    uint16_t port;
    const char *host; /* of SNI and of the Host field */
    char *body;       /* that every fetch must get; NULL: any */
    size_t body_len;
    uint32_t source; /* the first address to come from, in host byte order */
    unsigned long source_count;
    unsigned long threads, count; /* count 0: no limit but the time */
    double seconds, rate;         /* rate 0: one after another without a pause */
    SSL_CTX *tls;
};

/* load_net.c: a socket to the server, from the n-th source address; -1 with errno. One that does
 * not wait may not be connected yet. */
int load_connect(const struct load *load, unsigned long n, bool wait);
double load_now(void);
/* Waits until the n-th event since `start` is due; returns when that was. */
double load_pace(double start, double rate, unsigned long n);

/* load_tls.c: version "1.2", "1.3" or NULL for the best; groups in OpenSSL's syntax or NULL. NULL
 * if OpenSSL does not take them. */
SSL_CTX *load_tls_new(const char *version, const char *groups);
/* A connection with its handshake done, or NULL with the reason. */
SSL *load_tls_open(const struct load *load, unsigned long n, const char **why);
void load_tls_close(SSL *ssl);
/* One fetch, its answer looked at; writes what was negotiated if `session` is not NULL. */
bool load_tls_fetch(const struct load *load, unsigned long n, char *session, const char **why);

/* load_run.c: fetches, or handshakes alone, by threads; prints one line of numbers. */
int load_run(struct load *load, bool fetch);

/* load_crowd.c: idle connections, slow clients, garbage; until standard input ends. */
int load_hold(const struct load *load);
int load_slow(const struct load *load);
int load_garbage(const struct load *load);

#endif
