/* SPDX-License-Identifier: MIT
 * One TLS connection, and the configuration it runs by: ECDHE with AEAD ciphers only, nothing that
 * is kept from one connection to the next. Every byte that is received here is hostile.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <mbedtls/net_sockets.h>
#include <mbedtls/psa_util.h>

#include "name.h"
#include "text.h"
#include "tls_internal.h"

/* More than any fetch needs; what a client may make the library work through. */
#define RECEIVED_MAX 65536

/* The group that costs the least comes first: P-256 in 3.6, X25519 in 2.28 and with Everest. */
#if MBEDTLS_VERSION_MAJOR >= 3
#define CONN_FIELD(field) MBEDTLS_PRIVATE(field)
static const uint16_t groups[] = {
#if defined(MBEDTLS_ECDH_VARIANT_EVEREST_ENABLED)
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
#else
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
#endif
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
static const uint16_t signatures[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,       MBEDTLS_TLS1_3_SIG_NONE};
#else
#define CONN_FIELD(field) field
static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1,
                                              MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE};
static const int signatures[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
                                 MBEDTLS_MD_NONE};
#endif

static const int ciphersuites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0};

static const char *alpn[] = {"http/1.1", NULL};

/* The library's errors that say something to an administrator; the others keep their number. */
static const struct {
    int error;
    const char *reason;
} reasons[] = {
    {MBEDTLS_ERR_SSL_CONN_EOF, "closed"},
    {MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, "closed"},
    {MBEDTLS_ERR_NET_CONN_RESET, "reset"},
    {MBEDTLS_ERR_NET_RECV_FAILED, "receive_failed"},
    {MBEDTLS_ERR_NET_SEND_FAILED, "send_failed"},
    {MBEDTLS_ERR_SSL_INVALID_RECORD, "bad_record"},
    {MBEDTLS_ERR_SSL_INVALID_MAC, "bad_record_mac"},
    {MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "unexpected_message"},
    {MBEDTLS_ERR_SSL_ALLOC_FAILED, "no_memory"},
    {MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL, "message_too_large"},
#if MBEDTLS_VERSION_MAJOR >= 3
    {MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "protocol_version"},
    {MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "no_shared_cipher"},
    {MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL, "no_application_protocol"},
    {MBEDTLS_ERR_SSL_DECODE_ERROR, "decode_error"},
    {MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, "illegal_parameter"},
#else
    {MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION, "protocol_version"},
    {MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN, "no_shared_cipher"},
    {MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE, "no_shared_cipher"},
    {MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO, "client_hello"},
    {MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "client_hello"},
#endif
};

/* Alerts that clients send when they do not like what they got (RFC 8446 section 6). */
static const struct {
    unsigned char number;
    const char *reason;
} alerts[] = {
    {40, "alert_handshake_failure"},
    {42, "alert_bad_certificate"},
    {43, "alert_unsupported_certificate"},
    {44, "alert_certificate_revoked"},
    {45, "alert_certificate_expired"},
    {46, "alert_certificate_unknown"},
    {48, "alert_unknown_ca"},
    {70, "alert_protocol_version"},
    {80, "alert_internal_error"},
    {90, "alert_user_canceled"},
};

void tls_conn_set_reason(struct tls_conn *conn, const char *word, unsigned number)
{
    struct text text;

    if (conn->reason[0] != '\0')
        return;
    text_init(&text, conn->reason, sizeof conn->reason);
    if (number == 0)
        text_add(&text, word);
    else
        text_addf(&text, "%s_%u", word, number);
}

static void set_reason_from_alert_number(struct tls_conn *conn, unsigned char number)
{
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
        if (alerts[i].number == number)
            tls_conn_set_reason(conn, alerts[i].reason, 0);
    tls_conn_set_reason(conn, "alert", number);
}

static void set_reason_from_alert(struct tls_conn *conn)
{
    const unsigned char *message = conn->ssl.CONN_FIELD(in_msg);

    set_reason_from_alert_number(conn, message == NULL ? 0 : message[1]);
}

/* The library's answer in the five words of tls.h. */
static enum tls_result translate(struct tls_conn *conn, int error)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    /* The step has failed and its alert has to wait: called again, the library would send an alert
     * once more, each time. */
    if (error == MBEDTLS_ERR_SSL_WANT_WRITE && conn->ssl.CONN_FIELD(send_alert))
        error = conn->ssl.CONN_FIELD(alert_reason);
#endif
    if (error >= 0)
        return TLS_OK;
    if (error == MBEDTLS_ERR_SSL_WANT_READ)
        return TLS_WANT_READ;
    if (error == MBEDTLS_ERR_SSL_WANT_WRITE)
        return TLS_WANT_WRITE;
    if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        set_reason_from_alert(conn);
#if MBEDTLS_VERSION_MAJOR >= 3
    /* OpenSSL sends the alert about a TLS 1.3 certificate in the clear: no record of ours. */
    const unsigned char *header = conn->ssl.CONN_FIELD(in_hdr);
    if (error == MBEDTLS_ERR_SSL_INVALID_MAC && header != NULL && header[0] == 21 &&
        header[3] == 0 && header[4] == 2)
        set_reason_from_alert_number(conn, header[6]);
#endif
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].error == error)
            tls_conn_set_reason(conn, reasons[i].reason, 0);
    tls_conn_set_reason(conn, "mbedtls", (unsigned)-error);
    return error == MBEDTLS_ERR_SSL_CONN_EOF || error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY
               ? TLS_CLOSED
               : TLS_FAILED;
}

static int receive(void *opaque, unsigned char *bytes, size_t size)
{
    struct tls_conn *conn = opaque;

    if (conn->received >= conn->received_max) {
        tls_conn_set_reason(conn, "too_much_received", 0);
        return MBEDTLS_ERR_NET_RECV_FAILED;
    }
    ssize_t n = recv(conn->fd, bytes, size, MSG_DONTWAIT);
    conn->at_end = n == 0;
    if (n >= 0) {
        conn->received += (size_t)n;
        return (int)n;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_READ;
    return errno == ECONNRESET ? MBEDTLS_ERR_NET_CONN_RESET : MBEDTLS_ERR_NET_RECV_FAILED;
}

static int transmit(void *opaque, const unsigned char *bytes, size_t len)
{
    struct tls_conn *conn = opaque;
    ssize_t n = send(conn->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n >= 0)
        return (int)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    return errno == ECONNRESET || errno == EPIPE ? MBEDTLS_ERR_NET_CONN_RESET
                                                 : MBEDTLS_ERR_NET_SEND_FAILED;
}

/* Called in the middle of the ClientHello; an error makes the library send unrecognized_name. */
static int choose_certificate(void *opaque, mbedtls_ssl_context *ssl, const unsigned char *name,
                              size_t len)
{
    const struct tls_store *store = opaque;
    /* The context is the first member of its connection. */
    struct tls_conn *conn = (struct tls_conn *)(void *)ssl;
    const struct tls_entry *entry = NULL;
    char host[NAME_MAX_LEN + 1];

    if (len > 0 && len <= NAME_MAX_LEN && memchr(name, '\0', len) == NULL) {
        memcpy(host, name, len);
        host[len] = '\0';
        name_lower(host);
        entry = tls_store_find(store, host);
    }
    /* After a HelloRetryRequest the client says hello again, and must ask for the same host. */
    bool again = conn->entry != NULL;
    if (entry == NULL || (again && entry != conn->entry)) {
        tls_conn_set_reason(conn, "unrecognized_name", 0);
        return -1;
    }
    conn->entry = entry;
    if (again)
        return 0;
    return mbedtls_ssl_set_hs_own_cert(ssl, &conn->entry->pair->chain, &conn->entry->pair->key);
}

bool tls_configure(mbedtls_ssl_config *conf, int endpoint)
{
    if (mbedtls_ssl_config_defaults(conf, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_alpn_protocols(conf, alpn) != 0)
        return false;
    mbedtls_ssl_conf_rng(conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_ciphersuites(conf, ciphersuites);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    /* Without pre-shared keys, whose extension is then not even parsed. */
    mbedtls_ssl_conf_tls13_key_exchange_modes(conf, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    mbedtls_ssl_conf_groups(conf, groups);
    mbedtls_ssl_conf_sig_algs(conf, signatures);
#else
    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(conf, groups);
    mbedtls_ssl_conf_sig_hashes(conf, signatures);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    return true;
}

bool tls_configure_server(struct tls_store *store)
{
    struct tls_pair *pair = store->first->pair;

    if (!tls_configure(&store->server, MBEDTLS_SSL_IS_SERVER) ||
        mbedtls_ssl_conf_own_cert(&store->server, &pair->chain, &pair->key) != 0)
        return false;
    mbedtls_ssl_conf_sni(&store->server, choose_certificate, store);
    return true;
}

struct tls_conn *tls_conn_alloc(int fd)
{
    struct tls_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL)
        return NULL;
    mbedtls_ssl_init(&conn->ssl);
    mbedtls_ssl_config_init(&conn->client);
    conn->fd = fd;
    conn->received_max = RECEIVED_MAX;
    return conn;
}

struct tls_conn *tls_conn_set_up(struct tls_conn *conn, const mbedtls_ssl_config *conf)
{
    if (mbedtls_ssl_setup(&conn->ssl, conf) != 0) {
        tls_conn_free(conn);
        return NULL;
    }
    mbedtls_ssl_set_bio(&conn->ssl, conn, transmit, receive, NULL);
    return conn;
}

struct tls_conn *tls_conn_new(const struct tls_store *store, int fd)
{
    struct tls_conn *conn = tls_conn_alloc(fd);

    return conn == NULL ? NULL : tls_conn_set_up(conn, &store->server);
}

enum tls_result tls_conn_handshake(struct tls_conn *conn)
{
    int error = mbedtls_ssl_handshake(&conn->ssl);

    conn->handshake_done = error == 0;
    if (error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && conn->is_client)
        tls_client_set_reason(conn);
    return translate(conn, error);
}

enum tls_result tls_conn_read(struct tls_conn *conn, char *bytes, size_t size, size_t *len)
{
    int n = mbedtls_ssl_read(&conn->ssl, (unsigned char *)bytes, size);

    *len = n > 0 ? (size_t)n : 0;
    conn->closed_well = n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
#if MBEDTLS_VERSION_MAJOR >= 3
    /* A client may be sent tickets; it comes back here for what follows them. */
    if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        n = MBEDTLS_ERR_SSL_WANT_READ;
#endif
    /* The end, or a record without content, which is allowed (RFC 8446 section 5.1). */
    if (n == 0)
        n = conn->at_end ? MBEDTLS_ERR_SSL_CONN_EOF : MBEDTLS_ERR_SSL_WANT_READ;
    return translate(conn, n);
}

bool tls_conn_closed_well(const struct tls_conn *conn)
{
    return conn->closed_well;
}

enum tls_result tls_conn_write(struct tls_conn *conn, const char *bytes, size_t len, size_t *sent)
{
    while (*sent < len) {
        int n = mbedtls_ssl_write(&conn->ssl, (const unsigned char *)bytes + *sent, len - *sent);
        if (n < 0)
            return translate(conn, n);
        *sent += (size_t)n;
    }
    return TLS_OK;
}

enum tls_result tls_conn_close_notify(struct tls_conn *conn)
{
    return translate(conn, mbedtls_ssl_close_notify(&conn->ssl));
}

void tls_conn_free(struct tls_conn *conn)
{
    if (conn == NULL)
        return;
    mbedtls_ssl_free(&conn->ssl);
    mbedtls_ssl_config_free(&conn->client);
    free(conn);
}

const char *tls_conn_host(const struct tls_conn *conn)
{
    return conn->entry == NULL ? NULL : conn->entry->host;
}

const char *tls_conn_version(const struct tls_conn *conn)
{
    const char *version = conn->handshake_done ? mbedtls_ssl_get_version(&conn->ssl) : "-";

    return strncmp(version, "TLSv", 4) == 0 ? version + 4 : version;
}

const char *tls_conn_reason(const struct tls_conn *conn)
{
    return conn->reason[0] == '\0' ? "unknown" : conn->reason;
}
