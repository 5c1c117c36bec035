/* SPDX-License-Identifier: MIT
 * TLS from the other side: the health check, which accepts just our own certificate, and a client
 * that goes on whatever the certificate is, and says afterwards what a sender would say of it. The
 * peer may be anybody.
 */
#include <stdlib.h>
#include <string.h>

#include <mbedtls/psa_util.h>

#include "name.h"
#include "text.h"
#include "tls_internal.h"

#define ROOTS_SIZE_MAX (16u << 20)
/* A chain of certificates, and the longest policy that a sender may read. */
#define SENDER_RECEIVED_MAX (1u << 18)

struct tls_roots {
    mbedtls_x509_crt chain;
};

/* The very certificate of the store needs no other voucher; name and dates still count. */
static int trust_own_leaf(void *opaque, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const mbedtls_x509_crt *leaf = opaque;

    bool ours =
        crt->raw.len == leaf->raw.len && memcmp(crt->raw.p, leaf->raw.p, leaf->raw.len) == 0;

    /* Who vouches for it, and for them, has no say: the server may send more of the chain. */
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    if (depth == 0 && !ours)
        *flags |= MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    return 0;
}

struct tls_conn *tls_conn_new_client(const struct tls_store *store, const char *host, int fd)
{
    const struct tls_entry *entry = tls_store_find(store, host);
    struct tls_conn *conn = entry == NULL ? NULL : tls_conn_alloc(fd);

    if (conn == NULL)
        return NULL;
    conn->is_client = true;
    if (!tls_configure(&conn->client, MBEDTLS_SSL_IS_CLIENT) ||
        mbedtls_ssl_set_hostname(&conn->ssl, host) != 0) {
        tls_conn_free(conn);
        return NULL;
    }
    mbedtls_ssl_conf_authmode(&conn->client, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&conn->client, &entry->pair->chain, NULL);
    mbedtls_ssl_conf_verify(&conn->client, trust_own_leaf, &entry->pair->chain);
    return tls_conn_set_up(conn, &conn->client);
}

void tls_client_set_reason(struct tls_conn *conn)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&conn->ssl);

    if (flags == 0 || flags == UINT32_MAX)
        return;
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        tls_conn_set_reason(conn, "certificate_not_ours", 0);
    else if (flags & (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE))
        tls_conn_set_reason(conn, "certificate_not_in_date", 0);
    else
        tls_conn_set_reason(conn, "certificate_refused", 0);
}

/* Skips what this library cannot read of a bundle: others may still vouch. */
struct tls_roots *tls_roots_load(const char *path, const char **why)
{
    struct tls_roots *roots = calloc(1, sizeof *roots);
    struct file file;

    *why = roots == NULL ? "out of memory" : file_read(path, ROOTS_SIZE_MAX, &file);
    if (*why != NULL) {
        free(roots);
        return NULL;
    }
    mbedtls_x509_crt_init(&roots->chain);
    int error =
        mbedtls_x509_crt_parse(&roots->chain, (const unsigned char *)file.bytes, file.len + 1);
    file_free(&file);
    if (error < 0 || roots->chain.raw.len == 0) {
        *why = "holds no PEM certificate";
        tls_roots_free(roots);
        return NULL;
    }
    return roots;
}

void tls_roots_free(struct tls_roots *roots)
{
    if (roots == NULL)
        return;
    mbedtls_x509_crt_free(&roots->chain);
    free(roots);
}

/* Ciphers, groups and signatures are the library's own: senders take more than we serve. */
struct tls_conn *tls_conn_new_sender(struct tls_roots *roots, const char *host, int fd)
{
    struct tls_conn *conn = tls_conn_alloc(fd);

    if (conn == NULL)
        return NULL;
    conn->is_client = true;
    conn->received_max = SENDER_RECEIVED_MAX;
    if (mbedtls_ssl_config_defaults(&conn->client, MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_set_hostname(&conn->ssl, host) != 0) {
        tls_conn_free(conn);
        return NULL;
    }
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_min_tls_version(&conn->client, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(&conn->client, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    mbedtls_ssl_conf_rng(&conn->client, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_authmode(&conn->client, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_ca_chain(&conn->client, &roots->chain, NULL);
    return tls_conn_set_up(conn, &conn->client);
}

/* By DNS names alone: the common name does not count (RFC 8461 section 4.2, RFC 9525). */
static bool covers(const mbedtls_x509_crt *leaf, const char *host, struct text *names)
{
    const char *dot = strchr(host, '.');
    bool found = false;

    for (const mbedtls_x509_sequence *san = &leaf->subject_alt_names; san != NULL;
         san = san->next) {
        const char *name = (const char *)san->buf.p;
        size_t len = san->buf.len;
        if (!tls_is_dns_san(san))
            continue;
        if (names->len > 0)
            text_add(names, ", ");
        text_add_escaped(names, name, len, "");
        found = found || name_equal(name, len, host, strlen(host)) ||
                (dot != NULL && len > 2 && name[0] == '*' && name[1] == '.' &&
                 name_equal(name + 1, len - 1, dot, strlen(dot)));
    }
    return found;
}

bool tls_conn_peer(const struct tls_conn *conn, const char *host, struct tls_peer *peer)
{
    const mbedtls_x509_crt *leaf = mbedtls_ssl_get_peer_cert(&conn->ssl);
    const uint32_t dates = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    uint32_t flags = mbedtls_ssl_get_verify_result(&conn->ssl);
    struct text names;

    *peer = (struct tls_peer){.chain_ok = false};
    if (leaf == NULL)
        return false;
    text_init(&names, peer->names, sizeof peer->names);
    peer->name_ok = covers(leaf, host, &names);
    peer->date_ok = (flags & dates) == 0;
    peer->chain_ok = (flags & ~(dates | MBEDTLS_X509_BADCERT_CN_MISMATCH)) == 0;
    peer->self_signed = leaf->next == NULL && leaf->issuer_raw.len == leaf->subject_raw.len &&
                        memcmp(leaf->issuer_raw.p, leaf->subject_raw.p, leaf->issuer_raw.len) == 0;
    peer->not_before = tls_to_time(&leaf->valid_from);
    peer->not_after = tls_to_time(&leaf->valid_to);
    for (const mbedtls_x509_crt *crt = leaf; crt != NULL && peer->count < TLS_PEER_MAX;
         crt = crt->next) {
        struct tls_peer_digests *digests = &peer->certificates[peer->count++];
        if (!tls_sha256(crt->raw.p, crt->raw.len, digests->certificate) ||
            !tls_sha256(crt->pk_raw.p, crt->pk_raw.len, digests->key))
            return false;
    }
    return true;
}
