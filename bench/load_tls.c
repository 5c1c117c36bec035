/* SPDX-License-Identifier: MIT
 * One fetch as a sender makes it: a full handshake, one GET, the whole answer, the end. The bytes
 * of the body are compared; the certificate is not judged, which would only slow the client down.
 */
#include "load.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ANSWER_MAX 16384

SSL_CTX *load_tls_new(const char *version, const char *groups)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    int number = version == NULL               ? 0
                 : strcmp(version, "1.2") == 0 ? TLS1_2_VERSION
                 : strcmp(version, "1.3") == 0 ? TLS1_3_VERSION
                                               : -1;

    if (tls == NULL || number < 0 || SSL_CTX_set_min_proto_version(tls, number) != 1 ||
        SSL_CTX_set_max_proto_version(tls, number) != 1 ||
        (groups != NULL && SSL_CTX_set1_groups_list(tls, groups) != 1) ||
        SSL_CTX_set_alpn_protos(tls, alpn, sizeof alpn - 1) != 0) {
        SSL_CTX_free(tls);
        return NULL;
    }
    /* Every handshake is a full one. The end is judged by Content-Length, as clients do. */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    return tls;
}

void load_tls_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);

    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

SSL *load_tls_open(const struct load *load, unsigned long n, const char **why)
{
    int fd = load_connect(load, n, true);
    SSL *ssl = NULL;

    *why = "connect";
    if (fd < 0)
        return NULL;
    *why = "handshake";
    ssl = SSL_new(load->tls);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, load->host) == 1 &&
        SSL_connect(ssl) == 1)
        return ssl;
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void describe(SSL *ssl, char *session)
{
    EVP_PKEY *key = NULL;
    char group[32] = "?";
    size_t len = 0;

    if (SSL_get_peer_tmp_key(ssl, &key) == 1) {
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &len) != 1)
            snprintf(group, sizeof group, "%s", EVP_PKEY_get0_type_name(key));
        EVP_PKEY_free(key);
    }
    snprintf(session, LOAD_SESSION_SIZE, "tls=%s group=%s cipher=%s", SSL_get_version(ssl), group,
             SSL_get_cipher_name(ssl));
}

/* Until the server has closed; the length. */
static size_t read_answer(SSL *ssl, char *answer, size_t size)
{
    size_t used = 0;
    int n;

    while (used < size && (n = SSL_read(ssl, answer + used, (int)(size - used))) > 0)
        used += (size_t)n;
    return used;
}

static const char *judge(const struct load *load, const char *answer, size_t len)
{
    static const char status[] = "HTTP/1.1 200 ";
    const char *end = memmem(answer, len, "\r\n\r\n", 4);

    if (len < sizeof status - 1 || end == NULL)
        return "no answer";
    if (memcmp(answer, status, sizeof status - 1) != 0)
        return "status";
    size_t body_len = len - (size_t)(end + 4 - answer);
    if (load->body != NULL &&
        (body_len != load->body_len || memcmp(end + 4, load->body, body_len) != 0))
        return "body";
    return NULL;
}

bool load_tls_fetch(const struct load *load, unsigned long n, char *session, const char **why)
{
    char request[512], answer[ANSWER_MAX];
    SSL *ssl = load_tls_open(load, n, why);

    if (ssl == NULL)
        return false;
    int len = snprintf(request, sizeof request,
                       "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
                       "User-Agent: mta-stsd-bench\r\nConnection: close\r\n\r\n",
                       load->host);
    *why = "request";
    if (SSL_write(ssl, request, len) == len)
        *why = judge(load, answer, read_answer(ssl, answer, sizeof answer));
    if (session != NULL)
        describe(ssl, session);
    load_tls_close(ssl);
    return *why == NULL;
}
