/* SPDX-License-Identifier: MIT
 * The floor: the shortest server on Mbed TLS that answers what mta-stsd answers to clients that
 * behave. No log, no limits, no deadlines, no parsing, no sandbox: what is measured above it is
 * ours. Never let it meet anybody but the load client.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#define FILE_MAX 16384

struct client {
    mbedtls_ssl_context ssl;
    int fd;
    bool greeted;
    size_t used;
    char request[1024];
};

static unsigned char answer[FILE_MAX]; /* head and body */
static size_t answer_len;
static mbedtls_ssl_config conf;

/* The order that takes least time. 2.28 itself would take P-521 from who offers it; 3.6 is faster
 * with P-256 than with X25519, unless that is Everest's. */
static void set_groups(void)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    static const uint16_t groups[] = {
#if defined(MBEDTLS_ECDH_VARIANT_EVEREST_ENABLED)
        MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
        MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
#else
        MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
        MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
#endif
        MBEDTLS_SSL_IANA_TLS_GROUP_NONE
    };
    mbedtls_ssl_conf_groups(&conf, groups);
#else
    static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_CURVE25519,
                                                  MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};
    mbedtls_ssl_conf_curves(&conf, groups);
#endif
}

/* The library may have been built without files and sockets of its own. What is read is
 * NUL-terminated, as the parsers of PEM want it; the length does not count that. */
static size_t read_file(const char *path, unsigned char *bytes)
{
    FILE *file = fopen(path, "rb");
    size_t len = file == NULL ? 0 : fread(bytes, 1, FILE_MAX - 1, file);

    if (file != NULL)
        fclose(file);
    bytes[len] = '\0';
    return len;
}

static int receive(void *opaque, unsigned char *bytes, size_t size)
{
    const struct client *client = opaque;
    ssize_t n = recv(client->fd, bytes, size, 0);

    return n >= 0 ? (int)n : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : -1;
}

static int transmit(void *opaque, const unsigned char *bytes, size_t len)
{
    const struct client *client = opaque;
    ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL);

    return n >= 0 ? (int)n : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : -1;
}

static int parse_key(mbedtls_pk_context *key, const unsigned char *pem, size_t size)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(key, pem, size, NULL, 0, mbedtls_psa_get_random,
                                MBEDTLS_PSA_RANDOM_STATE);
#else
    return mbedtls_pk_parse_key(key, pem, size, NULL, 0);
#endif
}

static bool set_up(const char *certificate, const char *private_key, const char *answer_file)
{
    static mbedtls_x509_crt chain;
    static mbedtls_pk_context key;
    unsigned char pem[FILE_MAX];

    answer_len = read_file(answer_file, answer);
    mbedtls_x509_crt_init(&chain);
    mbedtls_pk_init(&key);
    mbedtls_ssl_config_init(&conf);
    if (answer_len == 0 || psa_crypto_init() != PSA_SUCCESS ||
        mbedtls_x509_crt_parse(&chain, pem, read_file(certificate, pem) + 1) != 0 ||
        parse_key(&key, pem, read_file(private_key, pem) + 1) != 0 ||
        mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_ssl_conf_own_cert(&conf, &chain, &key) != 0)
        return false;
    mbedtls_ssl_conf_rng(&conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    set_groups();
    return true;
}

/* The library's result of the step that cannot go on, 0 at the end. */
static int step(struct client *client)
{
    int n = 0;

    if (!client->greeted && (n = mbedtls_ssl_handshake(&client->ssl)) != 0)
        return n;
    client->greeted = true;
    while (memmem(client->request, client->used, "\r\n\r\n", 4) == NULL) {
        n = mbedtls_ssl_read(&client->ssl, (unsigned char *)client->request + client->used,
                             sizeof client->request - client->used);
        if (n <= 0)
            return n;
        client->used += (size_t)n;
    }
    n = mbedtls_ssl_write(&client->ssl, answer, answer_len);
    return n < 0 ? n : mbedtls_ssl_close_notify(&client->ssl);
}

static void serve(struct client *client)
{
    int result = step(client);

    if (result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE)
        return;
    mbedtls_ssl_free(&client->ssl);
    close(client->fd);
    free(client);
}

static void take(int epoll_fd, int listener)
{
    struct client *client = calloc(1, sizeof *client);
    /* Edge-triggered, so that nothing has to be said of what a client waits for. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (client == NULL || fd < 0) {
        free(client);
        return;
    }
    client->fd = fd;
    mbedtls_ssl_init(&client->ssl);
    mbedtls_ssl_set_bio(&client->ssl, client, transmit, receive, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (mbedtls_ssl_setup(&client->ssl, &conf) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        abort();
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[64] = {{.events = EPOLLIN}};
    int epoll_fd = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (argc != 5 || !set_up(argv[2], argv[3], argv[4])) {
        fputs("usage: floor PORT CERTIFICATE KEY ANSWER\n", stderr);
        return 2;
    }
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1024) != 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, events) != 0) {
        perror("floor");
        return 1;
    }
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                take(epoll_fd, listener);
            else
                serve(events[i].data.ptr);
        }
    }
}
