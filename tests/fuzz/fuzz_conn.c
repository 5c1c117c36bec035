/* SPDX-License-Identifier: MIT
 * libFuzzer: one whole connection, from its first TLS record to its end, by the program's own
 * conn_step with the real Mbed TLS. Either the input is what a client sends, or a live client
 * finishes its handshake and then sends what the input says. Each input is served twice, cut as it
 * says and not cut at all, and must come to the same. Built and run by tests/fuzz/run.sh.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/psa_util.h>
#include <sanitizer/allocator_interface.h>

#include "conn.h"
#include "fuzz_conn.h"
#include "log.h"
#include "snapshot.h"
#include "tls_internal.h"

#define INI "tests/fuzz/fuzz_conn.ini"
#define HOST "mta-sts.example.com"
#define DEADLINE 10000
#define TURNS_MAX 400000
/* Of the response that a client deciphers. */
#define PLAIN_SIZE 8192

static const char *const names[] = {HOST, "mta-sts.example.net", "unknown.example", NULL};
static const char *alpn[][3] = {{NULL}, {"http/1.1", NULL}, {"h2", NULL}, {"h2", "http/1.1", NULL}};

static struct snapshot *snapshot;
static struct metrics *metrics;
static struct conn_site site;
static struct conn conn;
static char buffer[CONN_BUFFER_SIZE];
static bool measure_memory;

/* What came of an input. */
struct outcome {
    char request[16]; /* how it begins */
    size_t request_len;
    char log[sizeof wire.log];
    char plain[PLAIN_SIZE];
    size_t plain_len;
    bool closed_well;
    uint8_t sent[8192];
    size_t sent_len;
};

/* One turn of the server's loop, as server.c takes it. */
static void take_turn(void)
{
    if (conn.state == CONN_FREE)
        return;
    wire.side = WIRE_SERVER;
    if (wire.now >= conn.deadline) {
        conn_stop(&conn, "timeout", wire.now);
    } else if (conn.state == CONN_CLOSING && wire.now >= conn.linger_until) {
        conn_stop(&conn, "closed", wire.now);
    } else {
        conn_step(&conn, wire.now);
        /* It waits for nothing but what it was told to wait for, or it might wait in vain. */
        if (conn.state != CONN_FREE)
            require(wire.last ==
                    (conn.interest == CONN_READABLE ? WIRE_TOLD_TO_READ : WIRE_TOLD_TO_WRITE));
    }
    wire.side = WIRE_OUTSIDE;
}

/* Nothing will move any more but the clock. */
static bool is_idle(void)
{
    return conn.interest == CONN_READABLE && wire.to_server.taken == wire.to_server.len &&
           (!wire.ended || wire.script.end == WIRE_SILENT);
}

static void run_to_end(void)
{
    wire.ended = true;
    for (size_t turns = 0; conn.state != CONN_FREE; turns++) {
        require(turns < TURNS_MAX);
        require(conn.state != CONN_CLOSING || conn.linger_until <= conn.deadline);
        if (is_idle())
            wire.now = conn.state == CONN_CLOSING ? conn.linger_until : conn.deadline;
        take_turn();
    }
    require(wire.closes == 1 && conn.fd == -1 && conn.tls == NULL);
    conn_stop(&conn, "closed", wire.now);
    require(wire.closes == 1);
}

/* It takes what the library has, and any certificate. */
static struct tls_conn *new_client(uint8_t mode)
{
    struct tls_conn *client = tls_conn_alloc(WIRE_CLIENT_FD);
    const char **protocols = alpn[mode >> INPUT_ALPN_SHIFT & 3];
    mbedtls_ssl_config *conf = &client->client;

    require(mbedtls_ssl_config_defaults(conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                        MBEDTLS_SSL_PRESET_DEFAULT) == 0);
    mbedtls_ssl_conf_rng(conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_NONE);
    if (protocols[0] != NULL)
        mbedtls_ssl_conf_alpn_protocols(conf, protocols);
#if MBEDTLS_VERSION_MAJOR >= 3
    if (mode & INPUT_OLD)
        mbedtls_ssl_conf_max_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
    mbedtls_ssl_set_hostname(&client->ssl, names[mode >> INPUT_NAME_SHIFT & 3]);
    client = tls_conn_set_up(client, conf);
    require(client != NULL);
    return client;
}

/* False if the client will never be through. */
static bool shake_hands(struct tls_conn *client)
{
    for (size_t turns = 0; turns < TURNS_MAX; turns++) {
        wire.side = WIRE_CLIENT;
        enum tls_result result = tls_conn_handshake(client);
        wire.side = WIRE_OUTSIDE;
        if (result != TLS_WANT_READ)
            return result == TLS_OK;
        if (conn.state == CONN_FREE || is_idle())
            return false;
        take_turn();
    }
    abort();
}

static void send_data(struct tls_conn *client, const uint8_t *bytes, size_t len,
                      struct outcome *outcome)
{
    size_t sent = 0, room = sizeof outcome->request - 1 - outcome->request_len;

    wire.side = WIRE_CLIENT;
    enum tls_result result = tls_conn_write(client, (const char *)bytes, len, &sent);
    wire.side = WIRE_OUTSIDE;
    require(result == TLS_OK && sent == len);
    for (size_t i = 0; i < len && i < room; i++)
        outcome->request[outcome->request_len++] = (char)bytes[i];
}

/* What a client can do that costs nothing of the input but the command. */
static bool obey(struct tls_conn *client, uint8_t command, bool open)
{
    if (command == COMMAND_SERVER_TURN)
        take_turn();
    if (command != COMMAND_CLOSE_NOTIFY || !open)
        return open;
    wire.side = WIRE_CLIENT;
    tls_conn_close_notify(client);
    wire.side = WIRE_OUTSIDE;
    return false;
}

static void follow(struct tls_conn *client, const uint8_t *data, size_t size,
                   struct outcome *outcome)
{
    bool open = true;

    while (size >= 2) {
        uint8_t command = data[0] % COMMAND_COUNT;
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        data += 2;
        size -= 2;
        if (command > COMMAND_RAW) {
            open = obey(client, command, open);
            continue;
        }
        if (command == COMMAND_RAW)
            wire_feed(data, len);
        else if (open)
            send_data(client, data, len, outcome);
        data += len;
        size -= len;
    }
}

/* What the client makes of the answer. */
static void decipher(struct tls_conn *client, struct outcome *outcome)
{
    enum tls_result result;

    wire.side = WIRE_CLIENT;
    do {
        size_t len;
        result = tls_conn_read(client, outcome->plain + outcome->plain_len,
                               PLAIN_SIZE - outcome->plain_len, &len);
        outcome->plain_len += len;
        require(outcome->plain_len < PLAIN_SIZE);
    } while (result == TLS_OK ||
             (result == TLS_WANT_READ && wire.to_client.taken < wire.to_client.len));
    outcome->closed_well = tls_conn_closed_well(client);
    wire.side = WIRE_OUTSIDE;
}

static void converse(uint8_t mode, const uint8_t *data, size_t size, struct outcome *outcome)
{
    struct tls_conn *client = new_client(mode);
    bool through = shake_hands(client);

    if (through)
        follow(client, data, size, outcome);
    run_to_end();
    if (through)
        decipher(client, outcome);
    tls_conn_free(client);
}

static void serve(const struct wire_script *script, const uint8_t *data, size_t size,
                  struct outcome *outcome)
{
    struct address client;
    size_t before = __sanitizer_get_current_allocated_bytes();

    require(address_parse("[2001:db8::1]:50000", &client));
    *outcome = (struct outcome){.plain_len = 0};
    wire_start(script);
    conn_start(&conn, &site, WIRE_SERVER_FD, &client, wire.now, wire.now + DEADLINE);
    if (data[INPUT_MODE] & INPUT_LIVE) {
        converse(data[INPUT_MODE], data + INPUT_HEADER, size - INPUT_HEADER, outcome);
    } else {
        wire_feed(data + INPUT_HEADER, size - INPUT_HEADER);
        run_to_end();
    }
    require(!measure_memory || __sanitizer_get_current_allocated_bytes() == before);
    wire.log[wire.log_len] = '\0';
    memcpy(outcome->log, wire.log, wire.log_len + 1);
    check_log(outcome->log);
    check_counts(outcome->log);
    check_records();
    require(wire.to_client.len <= sizeof outcome->sent);
    memcpy(outcome->sent, wire.to_client.bytes, wire.to_client.len);
    outcome->sent_len = wire.to_client.len;
}

/* A client that got everything got all of one answer. */
static void check_plain(const struct outcome *outcome)
{
    const struct config_policy *policy = &snapshot->config.policies[0];

    if (wire.was_cut && !outcome->closed_well)
        return;
    require(outcome->plain_len == 0 || outcome->closed_well);
    check_response(outcome->plain, outcome->plain_len, strstr(outcome->request, "HEAD") != NULL,
                   policy->body, policy->body_len);
    bool fetch = strstr(outcome->log, " event=fetch ") != NULL;
    require(fetch == (outcome->plain_len > 0));
    require(wire.shut || !fetch);
}

static void check_same(const struct outcome *cut, const struct outcome *whole)
{
    if (strcmp(cut->log, whole->log) != 0) {
        fprintf(stderr, "cut:   %s\nwhole: %s\n", cut->log, whole->log);
        abort();
    }
    /* The alert or close_notify of a connection without an answer is sent as far as that goes at
     * once, and no further. */
    bool answered = strstr(cut->log, " event=fetch ") != NULL;
    require(cut->sent_len == whole->sent_len || (!answered && cut->sent_len < whole->sent_len));
    require(memcmp(cut->sent, whole->sent, cut->sent_len) == 0);
    require(cut->plain_len == whole->plain_len &&
            memcmp(cut->plain, whole->plain, cut->plain_len) == 0);
}

static struct wire_script read_script(const uint8_t *data)
{
    return (struct wire_script){
        .receive_max = data[INPUT_RECEIVE_MAX],
        .receive_pause = data[INPUT_RECEIVE_PAUSE],
        .send_max = data[INPUT_SEND_MAX],
        .send_pause = data[INPUT_SEND_PAUSE],
        .send_limit = data[INPUT_SEND_LIMIT] * 16u,
        .clock_step = data[INPUT_CLOCK_STEP] * 16u,
        .end = data[INPUT_END] % WIRE_END_COUNT,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome cut, whole;

    if (size < INPUT_HEADER)
        return 0;
    struct wire_script script = read_script(data);
    struct wire_script plain = {.send_limit = script.send_limit, .end = script.end};
    serve(&script, data, size, &cut);
    if ((data[INPUT_MODE] & INPUT_LIVE) && script.send_limit == 0 && script.clock_step == 0)
        check_plain(&cut);
    /* Where time passes, what is served depends on how many pieces there are. */
    if (script.clock_step == 0 && memcmp(&script, &plain, sizeof plain) != 0) {
        serve(&plain, data, size, &whole);
        check_same(&cut, &whole);
    }
    return 0;
}

static void load(void)
{
    struct finding_list findings = {0};

    snapshot = snapshot_load(INI, NULL, &findings);
    if (snapshot == NULL || snapshot_usable(snapshot) != snapshot->config.domain_count) {
        finding_print(&findings, stderr);
        abort();
    }
    finding_list_free(&findings);
    metrics = metrics_new();
    require(metrics != NULL);
    metrics_assign(metrics, &snapshot->config, NULL);
    log_set_level(LOG_DEBUG);
    site = (struct conn_site){&snapshot->config, snapshot->store, metrics};
    conn.buffer = buffer;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the signature is libFuzzer's */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *directory = getenv("FUZZ_CONN_SEEDS");
    static const uint8_t first[INPUT_HEADER] = {INPUT_LIVE};
    static struct outcome outcome;
    struct wire_script script = {.end = WIRE_CLOSED};

    (void)argc;
    (void)argv;
    require(tls_init());
    load();
    /* The first handshake makes a table for the key, which stays with it. */
    serve(&script, first, sizeof first, &outcome);
    measure_memory = true;
    if (directory == NULL)
        return 0;
    seeds_write(directory);
    exit(0);
}
