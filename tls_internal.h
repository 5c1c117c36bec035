/* SPDX-License-Identifier: MIT
 * What the tls_*.c files share. Nobody else includes this.
 */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "file.h"
#include "tls.h"

/* A certificate chain with its key, as loaded from two files. Two stores can share one: the old and
 * the new one while the configuration is reloaded. */
struct tls_pair {
    unsigned references;
    struct arena arena;
    const char *certificate, *private_key; /* paths, owned */
    struct file_stamp certificate_stamp, private_key_stamp;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    time_t not_after;   /* when the first certificate of the chain expires */
    const char **names; /* its DNS SANs in lower case, sorted; owned */
    size_t name_count;
    bool usable;
    bool sendable; /* the chain fits into a handshake message */
    bool reusable; /* nothing was said of it, dates excepted, and its stamps can be trusted */
};

struct tls_entry {
    const char *host; /* owned */
    struct tls_pair *pair;
};

struct tls_store {
    struct arena arena;
    struct tls_pair **pairs; /* one reference each */
    size_t pair_count;
    size_t named_count; /* the first so many are those that sites name, sorted by their files; the
                           others are what some site had before */
    size_t read_count;  /* so many of them were read for this store, the others had not changed */
    struct tls_entry *entries; /* the usable sites, sorted by host */
    size_t count;
    const struct tls_entry *first; /* the first usable site as given: for clients without SNI */
    mbedtls_ssl_config server;
};

struct tls_conn {
    mbedtls_ssl_context ssl;
    int fd; /* the caller's */
    size_t received, received_max;
    bool handshake_done;
    bool at_end;                   /* the peer sends no more */
    const struct tls_entry *entry; /* what SNI chose; NULL without SNI */
    char reason[TLS_REASON_SIZE];
    mbedtls_ssl_config client; /* of a client connection only */
    bool is_client, closed_well;
};

/* tls_pair.c: an empty pair, of which the caller holds the one reference; NULL without memory. */
struct tls_pair *tls_pair_new(void);
/* Fills it from its files and has it judged; what is wrong with it is said at the site's place.
 * False only without memory. */
bool tls_pair_load(struct tls_pair *pair, const struct tls_site *site, time_t now,
                   struct finding_list *findings);
/* True if neither file has changed since it was loaded. */
bool tls_pair_is_current(const struct tls_pair *pair);
/* True if loading it again would come to the same, dates excepted: it need not be done. */
bool tls_pair_is_reusable(const struct tls_pair *pair);
void tls_pair_release(struct tls_pair *pair);
/* True if a DNS SAN covers the host; a wildcard is one whole left-most label (RFC 9525). */
bool tls_pair_covers(const struct tls_pair *pair, const char *host);

/* tls_judge.c: judges a chain that has been read and belongs to its key, each certificate of it
 * (S02, S04), and sets not_after, usable and sendable. What is wrong is said at the place. */
void tls_pair_judge(struct tls_pair *pair, struct place place, struct finding_list *findings);
/* S03, which is another thing every day. */
void tls_pair_judge_dates(struct tls_pair *pair, struct place place, time_t now,
                          struct finding_list *findings);
/* A certificate's time in seconds since 1970. */
time_t tls_to_time(const mbedtls_x509_time *t);

/* tls_store.c: by exact host name in lower case; NULL if there is none. */
const struct tls_entry *tls_store_find(const struct tls_store *store, const char *host);

/* tls_conn.c: fills a server configuration that serves the store's certificates. */
bool tls_configure_server(struct tls_store *store);
/* Protocol versions, ciphers and groups of ours, for either endpoint. */
bool tls_configure(mbedtls_ssl_config *conf, int endpoint);
/* A connection with nothing set but its socket; set_up makes it ready, or frees it and returns
 * NULL. */
struct tls_conn *tls_conn_alloc(int fd);
struct tls_conn *tls_conn_set_up(struct tls_conn *conn, const mbedtls_ssl_config *conf);
/* The first reason stays; a number other than 0 is appended to the word. */
void tls_conn_set_reason(struct tls_conn *conn, const char *word, unsigned number);

/* tls_client.c: why the peer's certificate was refused, if that is why. */
void tls_client_set_reason(struct tls_conn *conn);

/* tls_pair.c: whether an entry of the subjectAltName is a DNS name that can be a C string. */
bool tls_is_dns_san(const mbedtls_x509_sequence *san);

#endif
