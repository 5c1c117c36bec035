/* SPDX-License-Identifier: MIT
 * TLS 1.2 and 1.3 as a policy host needs them: certificates chosen by SNI, one connection's life,
 * and the digest. The only interface to Mbed TLS.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "finding.h"

#define TLS_REASON_SIZE 64

/* Each says what the caller does next. */
enum tls_result {
    TLS_OK,         /* done: go on */
    TLS_WANT_READ,  /* call again when the socket can be read */
    TLS_WANT_WRITE, /* call again, with the same arguments, when the socket can be written */
    TLS_CLOSED,     /* the peer has closed: close */
    TLS_FAILED,     /* ask tls_conn_reason why, then close */
};

/* Starts the library and seeds the random generator. A process calls it once, and a forked child
 * again before anything else of this header, or it would repeat its parent's random numbers. */
bool tls_init(void);
void tls_exit(void);
/* "Mbed TLS 3.6.5" of the library in use; and whether it speaks TLS 1.3 to clients. */
const char *tls_library_version(void);
bool tls_has_1_3(void);
/* SHA-256 (FIPS 180-4). */
bool tls_sha256(const void *bytes, size_t len, uint8_t digest[32]);

/* A host to serve and the files with its certificate. All strings are borrowed for the call. */
struct tls_site {
    const char *host;        /* lower case */
    const char *certificate; /* full chain, PEM; NULL if none is configured */
    const char *private_key;
    struct place place;
};

struct tls_store;
/* Loads the certificates, each pair of files once, and judges them (S01-S04; DESIGN section 5).
 * Pairs of `previous` (may be NULL) whose files have not changed are shared with it. A site whose
 * pair cannot be used keeps the one it has in `previous` or is left out, with an error either way.
 * NULL only without memory. `now` decides what is in date. */
struct tls_store *tls_store_load(const struct tls_site *sites, size_t count,
                                 const struct tls_store *previous, time_t now,
                                 struct finding_list *findings);
void tls_store_free(struct tls_store *store);
/* Number of sites that have a certificate; whether this host is one of them. */
size_t tls_store_usable(const struct tls_store *store);
/* Pairs of files that were read for this store; and that had not changed. */
void tls_store_count_pairs(const struct tls_store *store, size_t *read, size_t *unchanged);
bool tls_store_has(const struct tls_store *store, const char *host);
/* False if a file that the store was loaded from is not what it was then. */
bool tls_store_is_current(const struct tls_store *store);
/* Mixes the present state of those files into a number (file_stamp_mix). */
uint64_t tls_store_fingerprint(const struct tls_store *store, uint64_t mix);
/* When the first certificate of the host's chain expires; false if it has none. */
bool tls_store_not_after(const struct tls_store *store, const char *host, time_t *not_after);

struct tls_conn;
/* A server connection on a connected, non-blocking socket, which stays the caller's. NULL without
 * memory. */
struct tls_conn *tls_conn_new(const struct tls_store *store, int fd);
/* A client connection that accepts just the certificate which the store holds for `host`, and that
 * must be in date. */
struct tls_conn *tls_conn_new_client(const struct tls_store *store, const char *host, int fd);

/* Certificates that vouch for others, from a bundle of PEM; NULL with *why as the end of a
 * sentence. */
struct tls_roots;
struct tls_roots *tls_roots_load(const char *path, const char **why);
void tls_roots_free(struct tls_roots *roots);
/* A client connection as a sender makes it, with SNI; any certificate lets the handshake succeed.
 */
struct tls_conn *tls_conn_new_sender(struct tls_roots *roots, const char *host, int fd);

#define TLS_PEER_MAX 4
/* What a sender finds in the certificate of its peer (RFC 8461 section 4.2). */
struct tls_peer {
    bool chain_ok;                /* a root vouches for it */
    bool name_ok;                 /* a DNS SAN covers the host */
    bool date_ok;                 /* of every certificate of the chain */
    bool self_signed;             /* the leaf is all there is */
    time_t not_before, not_after; /* of the leaf */
    char names[256];              /* its DNS SANs, printable; cut where they are too many */
    size_t count;                 /* certificates received, the leaf first */
    struct tls_peer_digests {     /* SHA-256, for TLSA records (RFC 6698 section 2.1) */
        uint8_t certificate[32], key[32];
    } certificates[TLS_PEER_MAX];
};
/* After the handshake of a sender's connection; false if there is no certificate. */
bool tls_conn_peer(const struct tls_conn *conn, const char *host, struct tls_peer *peer);

enum tls_result tls_conn_handshake(struct tls_conn *conn);
/* Reads at most `size` bytes, at least one with TLS_OK. */
enum tls_result tls_conn_read(struct tls_conn *conn, char *bytes, size_t size, size_t *len);
/* True if the peer has said that it has sent everything (close_notify). */
bool tls_conn_closed_well(const struct tls_conn *conn);
/* Writes all of the bytes; *sent counts them over repeated calls and starts at 0. */
enum tls_result tls_conn_write(struct tls_conn *conn, const char *bytes, size_t len, size_t *sent);
enum tls_result tls_conn_close_notify(struct tls_conn *conn);
void tls_conn_free(struct tls_conn *conn);

/* The host that the client named by SNI, in lower case; NULL if none. */
const char *tls_conn_host(const struct tls_conn *conn);
/* "1.2" or "1.3"; "-" before the handshake is done. */
const char *tls_conn_version(const struct tls_conn *conn);
/* A word for the log: why the last call failed. */
const char *tls_conn_reason(const struct tls_conn *conn);

#endif
