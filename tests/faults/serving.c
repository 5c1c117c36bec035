/* SPDX-License-Identifier: MIT
 * Serves and reloads in one process, again and again: the first time with the first call for memory
 * failing, then the second, and so on until none fails any more. A connection ends with one line in
 * the log, or its client gets the whole answer; the next client is served. A reload leaves what is
 * served as it is, or gives all that is new. The client's own memory does not run out.
 * usage: serving INI
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alloc.h"
#include "conn.h"
#include "log.h"
#include "monotonic.h"
#include "reload.h"
#include "tls_internal.h"

#define HOST "mta-sts.example.com"
#define REQUEST "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define TURNS_MAX 1000
/* Without memory for the keys of a TLS 1.3 connection Mbed TLS 3.6 forgets the ciphers that it had
 * made for them (mbedtls_ssl_tls13_compute_handshake_transform and ..._application_transform free
 * the structure and not what it holds). So many pieces, in six of the calls that fail; as
 * connections do not all make the same calls, one or another of them can come twice. */
#define FORGOTTEN_PIECES 4
#define FORGOTTEN_TIMES 10

struct client {
    struct tls_conn *tls;
    int fd;
    bool through;
    size_t sent, len;
    char answer[4096];
};

static struct snapshot *current;
static struct conn_site site;
static char buffer[CONN_BUFFER_SIZE];
static unsigned lines; /* in the log, of one connection */
static size_t passed, failed, forgotten;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): a name of the linker's */
void __wrap_log_end(struct log_line *line);

void __wrap_log_end(struct log_line *line)
{
    lines += line->level <= LOG_INFO;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static void judge(const char *what, size_t n, const char *complaint)
{
    passed += complaint == NULL;
    failed += complaint != NULL;
    if (complaint != NULL)
        printf("%s: call %zu: %s\n", what, n, complaint);
}

static void begin_client(struct client *client, int fd, bool old)
{
    *client = (struct client){.fd = fd, .tls = tls_conn_alloc(fd)};
    mbedtls_ssl_config *conf = &client->tls->client;

    assert(tls_configure(conf, MBEDTLS_SSL_IS_CLIENT));
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_NONE);
#if MBEDTLS_VERSION_MAJOR >= 3
    if (old)
        mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    (void)old;
#endif
    assert(mbedtls_ssl_set_hostname(&client->tls->ssl, HOST) == 0);
    client->tls = tls_conn_set_up(client->tls, conf);
    assert(client->tls != NULL);
}

static void end_client(struct client *client)
{
    if (client->fd < 0)
        return;
    tls_conn_free(client->tls);
    close(client->fd);
    client->fd = -1;
}

/* Goes as far as it can, and closes when there is nothing more to come. */
static void client_turn(struct client *client)
{
    enum tls_result result = TLS_OK;
    size_t len;

    if (client->fd < 0)
        return;
    if (!client->through) {
        result = tls_conn_handshake(client->tls);
        client->through = result == TLS_OK;
    }
    if (client->through)
        result = tls_conn_write(client->tls, REQUEST, strlen(REQUEST), &client->sent);
    while (client->through && result == TLS_OK) {
        result = tls_conn_read(client->tls, client->answer + client->len,
                               sizeof client->answer - 1 - client->len, &len);
        client->len += len;
    }
    if (result != TLS_WANT_READ && result != TLS_WANT_WRITE)
        end_client(client);
}

static bool is_whole_answer(const struct client *client)
{
    const struct config_policy *policy =
        config_find_host(&current->config, HOST, strlen(HOST))->policy;
    const char *body = strstr(client->answer, "\r\n\r\n");

    return strncmp(client->answer, "HTTP/1.1 200 ", 13) == 0 && body != NULL &&
           strcmp(body + 4, policy->body) == 0;
}

/* Whether memory is left that the library has not forgotten. */
static bool leaks(long pieces, bool old)
{
    bool library = !old && tls_has_1_3() && alloc_has_failed() && pieces > 0 &&
                   pieces <= FORGOTTEN_PIECES && forgotten < FORGOTTEN_TIMES;

    forgotten += library;
    return pieces != 0 && !library;
}

/* One whole connection, the n-th call of the server's failing; what is wrong with it. */
static const char *fetch(size_t n, enum alloc_mode mode, bool old)
{
    struct conn conn = {.state = CONN_FREE, .buffer = buffer};
    struct client client;
    struct address address;
    int fds[2], turns = 0;

    alloc_pause(true);
    long live = alloc_live();
    lines = 0;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    assert(address_parse("192.0.2.1:50000", &address));
    begin_client(&client, fds[1], old);
    conn_start(&conn, &site, fds[0], &address, monotonic_ms(), monotonic_ms() + 60000);
    alloc_fail_at(n, mode);
    for (; conn.state != CONN_FREE && turns < TURNS_MAX; turns++) {
        alloc_pause(true);
        client_turn(&client);
        alloc_pause(false);
        conn_step(&conn, monotonic_ms());
    }
    alloc_pause(true);
    end_client(&client);
    if (turns == TURNS_MAX)
        return "the connection does not end";
    if (fcntl(fds[0], F_GETFD) >= 0)
        return "its socket is left open";
    if (lines != 1)
        return "not one line in the log";
    if (leaks(alloc_live() - live, old))
        return "memory is left";
    if (client.len > 0 && !is_whole_answer(&client))
        return "another answer";
    return client.len > 0 || alloc_has_failed() ? NULL : "no answer";
}

static void fetch_all(const char *name, enum alloc_mode mode, bool old)
{
    size_t n = 0, served = 0;

    /* What the library makes for all its keys at the first connection stays (PSA's key store). */
    fetch(0, mode, old);
    forgotten = 0;
    for (;;) {
        const char *complaint = fetch(++n, mode, old);
        if (!alloc_has_failed())
            break;
        const char *next = fetch(0, mode, old);
        judge(name, n, complaint != NULL ? complaint : next);
        served += next == NULL;
    }
    printf("%s: of %zu calls for memory %zu failed; the next client was served %zu times\n", name,
           alloc_calls(), n - 1, served);
    if (forgotten > 0)
        printf("%s: %zu times Mbed TLS has forgotten memory\n", name, forgotten);
}

/* Certificates that have changed are read again. */
static void make_changed(bool changed)
{
    for (size_t i = 0; i < current->store->pair_count; i++)
        current->store->pairs[i]->reusable = !changed;
}

static const char *load(struct snapshot *loaded, const struct finding_list *findings, bool again)
{
    size_t domains = current->config.domain_count;

    if (loaded == NULL)
        return again || findings->out_of_memory || findings->errors > 0 ? NULL : "no word of why";
    if (loaded->config.domain_count != domains || snapshot_usable(loaded) != domains)
        return "a part of the domains is missing";
    return findings->out_of_memory ? "it counts as loaded" : NULL;
}

/* One reload with the n-th call failing. */
static const char *reload(const char *path, size_t n, enum alloc_mode mode)
{
    struct reload state = {.path = path, .listener_count = 1};
    struct finding_list findings = {0};
    bool again;

    alloc_pause(true);
    long live = alloc_live();
    alloc_fail_at(n, mode);
    struct snapshot *loaded = reload_load(&state, current, &findings, &again);
    alloc_pause(true);
    const char *complaint = load(loaded, &findings, again);
    snapshot_free(loaded);
    reload_forget(&state);
    finding_list_free(&findings);
    if (alloc_live() != live)
        return "memory is left";
    if (n == 0 && loaded == NULL)
        return "it does not load";
    return complaint;
}

static void reload_all(const char *name, const char *path, enum alloc_mode mode, bool changed)
{
    size_t n = 0, served = 0;

    make_changed(changed);
    judge(name, 0, reload(path, 0, mode));
    for (;;) {
        const char *complaint = reload(path, ++n, mode);
        if (!alloc_has_failed())
            break;
        const char *next = fetch(0, mode, true);
        judge(name, n, complaint != NULL ? complaint : next);
        served += next == NULL;
    }
    printf("%s: of %zu calls for memory %zu failed; a client was served %zu times\n", name,
           alloc_calls(), n - 1, served);
}

int main(int argc, char *argv[])
{
    struct finding_list findings = {0};

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc != 2 || !tls_init() || (current = snapshot_load(argv[1], NULL, &findings)) == NULL) {
        finding_print(&findings, stderr);
        return 2;
    }
    finding_list_free(&findings);
    site = (struct conn_site){&current->config, current->store, NULL};
    fetch(0, ALLOC_ONCE, true); /* makes a table for the key, which stays with it */
    fetch_all("fetch over TLS 1.2", ALLOC_ONCE, true);
    fetch_all("fetch over TLS 1.2, no memory from there on", ALLOC_ALWAYS, true);
    if (tls_has_1_3())
        fetch_all("fetch over TLS 1.3", ALLOC_ONCE, false);
    reload_all("reload", argv[1], ALLOC_ONCE, true);
    reload_all("reload, no memory from there on", argv[1], ALLOC_ALWAYS, true);
    reload_all("reload with no certificate changed", argv[1], ALLOC_ONCE, false);
    snapshot_free(current);
    tls_exit();
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
