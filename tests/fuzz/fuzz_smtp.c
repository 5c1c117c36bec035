/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as the words of a mail server up to STARTTLS. What is seen of it is what a
 * second, simpler reading sees, however the bytes are cut; nothing but the few commands is sent;
 * and what came in the clear behind the answer to STARTTLS never counts for a part of the TLS
 * session (CVE-2011-0411).
 */
#include "fuzz.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check/fetch.h"
#include "check/smtp.h"

#define FD 1000
#define LINE_SIZE 2048
#define LINES_MAX 100
#define SENT_MAX 256
#define TIMEOUT 5

/* How the bytes of the server end. */
enum end {
    END_CLOSE,
    END_SILENCE,
    END_RESET,
    END_REFUSED, /* there is no connection to begin with */
    ENDS
};

/* A server that says its bytes whatever it is told, and the clock. */
static struct {
    bool inside; /* smtp.c runs, and not libFuzzer */
    const uint8_t *bytes;
    size_t len, at;
    enum end end;
    uint32_t cut; /* 0: all at once; else the state of what chooses the pieces */
    bool wait;    /* the last call made no progress, so that this one does */
    bool tls, opened;
    size_t taken; /* octets that had been read in the clear when TLS began */
    int64_t now_ms;
    char sent[SENT_MAX];
    size_t sent_len;
} server;

struct tls_conn {
    unsigned calls;
};
struct tls_roots {
    unsigned calls;
};
static struct tls_conn fake_conn;
static struct tls_roots fake_roots;

int fake_socket(int family, int type, int protocol) FUZZ_WRAPS("socket");
int fake_connect(int fd, const struct sockaddr *address, socklen_t len) FUZZ_WRAPS("connect");
int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
    FUZZ_WRAPS("setsockopt");
int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
    FUZZ_WRAPS("getsockopt");
int fake_poll(struct pollfd *fds, nfds_t count, int ms) FUZZ_WRAPS("poll");
ssize_t fake_recv(int fd, void *bytes, size_t size, int flags) FUZZ_WRAPS("recv");
ssize_t fake_send(int fd, const void *bytes, size_t len, int flags) FUZZ_WRAPS("send");
int fake_close(int fd) FUZZ_WRAPS("close");
int real_close(int fd) FUZZ_REAL("close");
int fake_clock(clockid_t clock, struct timespec *now) FUZZ_WRAPS("clock_gettime");
int real_clock(clockid_t clock, struct timespec *now) FUZZ_REAL("clock_gettime");
struct tls_conn *fake_sender(struct tls_roots *roots, const char *host, int fd)
    FUZZ_WRAPS("tls_conn_new_sender");
enum tls_result fake_handshake(struct tls_conn *conn) FUZZ_WRAPS("tls_conn_handshake");
enum tls_result fake_write(struct tls_conn *conn, const char *bytes, size_t len, size_t *sent)
    FUZZ_WRAPS("tls_conn_write");
enum tls_result fake_notify(struct tls_conn *conn) FUZZ_WRAPS("tls_conn_close_notify");
const char *fake_reason(const struct tls_conn *conn) FUZZ_WRAPS("tls_conn_reason");
void fake_free(struct tls_conn *conn) FUZZ_WRAPS("tls_conn_free");
void fake_peer(struct connection_facts *facts, const struct client *client, const char *host)
    FUZZ_WRAPS("connection_peer");

/* A number from 1 to at most `most`, chosen by the input (xorshift). */
static size_t piece(size_t most)
{
    if (server.cut == 0 || most <= 1)
        return most;
    server.cut ^= server.cut << 13;
    server.cut ^= server.cut >> 17;
    server.cut ^= server.cut << 5;
    return 1 + server.cut % (most < 7 ? most : 7);
}

/* Every other call, if the bytes are cut: the socket is not ready. */
static bool must_wait(void)
{
    server.wait = server.cut != 0 && !server.wait;
    errno = EAGAIN;
    return server.wait;
}

int fake_socket(int family, int type, int protocol)
{
    require(!server.opened && family == AF_INET && protocol == 0);
    require((type & SOCK_NONBLOCK) != 0 && (type & SOCK_CLOEXEC) != 0);
    server.opened = true;
    return FD;
}

int fake_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    require(fd == FD && address->sa_family == AF_INET && len == sizeof(struct sockaddr_in));
    errno = server.end == END_REFUSED ? ECONNREFUSED : EINPROGRESS;
    return -1;
}

int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    (void)level;
    (void)name;
    (void)value;
    (void)len;
    require(fd == FD);
    return 0;
}

int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int error = 0;

    require(fd == FD && level == SOL_SOCKET && name == SO_ERROR && *len == sizeof error);
    memcpy(value, &error, sizeof error);
    *len = sizeof error;
    return 0;
}

int fake_poll(struct pollfd *fds, nfds_t count, int ms)
{
    require(count == 1 && fds->fd == FD && ms > 0 && ms <= TIMEOUT * 1000);
    if ((fds->events & POLLIN) != 0 && server.at == server.len && server.end == END_SILENCE) {
        server.now_ms += ms;
        return 0;
    }
    return 1;
}

ssize_t fake_recv(int fd, void *bytes, size_t size, int flags)
{
    size_t rest = server.len - server.at;

    require(fd == FD && flags == 0 && size > 0 && !server.tls);
    if (must_wait())
        return -1;
    if (rest == 0 && server.end == END_CLOSE)
        return 0;
    if (rest == 0) {
        errno = server.end == END_RESET ? ECONNRESET : EAGAIN;
        return -1;
    }
    size_t len = piece(rest < size ? rest : size);
    memcpy(bytes, server.bytes + server.at, len);
    server.at += len;
    return (ssize_t)len;
}

static size_t note(const char *bytes, size_t len)
{
    require(server.sent_len + len < SENT_MAX);
    memcpy(server.sent + server.sent_len, bytes, len);
    server.sent_len += len;
    return len;
}

ssize_t fake_send(int fd, const void *bytes, size_t len, int flags)
{
    require(fd == FD && flags == MSG_NOSIGNAL && !server.tls);
    return must_wait() ? -1 : (ssize_t)note(bytes, piece(len));
}

int fake_close(int fd)
{
    if (!server.inside)
        return real_close(fd);
    require(fd == FD && server.opened);
    server.opened = false;
    return 0;
}

int fake_clock(clockid_t clock, struct timespec *now)
{
    if (!server.inside)
        return real_clock(clock, now);
    *now = (struct timespec){server.now_ms / 1000, server.now_ms % 1000 * 1000000};
    return 0;
}

struct tls_conn *fake_sender(struct tls_roots *roots, const char *host, int fd)
{
    require(roots == &fake_roots && strcmp(host, "mx.example.org") == 0 && fd == FD);
    roots->calls++;
    server.tls = true;
    server.taken = server.at;
    note("|", 1);
    return &fake_conn;
}

/* The session is whatever follows in the socket; half of them fail. */
enum tls_result fake_handshake(struct tls_conn *conn)
{
    require(conn == &fake_conn && server.tls);
    conn->calls++;
    return server.end == END_CLOSE ? TLS_OK : TLS_FAILED;
}

enum tls_result fake_write(struct tls_conn *conn, const char *bytes, size_t len, size_t *sent)
{
    require(conn == &fake_conn && server.tls);
    conn->calls++;
    *sent = note(bytes, len);
    return TLS_OK;
}

enum tls_result fake_notify(struct tls_conn *conn)
{
    require(conn == &fake_conn);
    conn->calls++;
    return TLS_OK;
}

const char *fake_reason(const struct tls_conn *conn)
{
    require(conn == &fake_conn);
    return "failed";
}

void fake_free(struct tls_conn *conn)
{
    require((conn != NULL) == server.tls);
    if (conn != NULL)
        conn->calls++;
}

void fake_peer(struct connection_facts *facts, const struct client *client, const char *host)
{
    require(client->tls == &fake_conn && strcmp(host, "mx.example.org") == 0);
    facts->stage = STAGE_TLS;
}

/* What must be seen of the server, by a reading of all its bytes at once. */
struct expected {
    enum stage stage;
    bool bad, offers, timed_out;
    size_t end; /* of the answer to STARTTLS */
    const char *sent;
};

/* A reply of the server; its code, 0 if there is none that is whole, -1 if it is no reply. */
static int read_reply(size_t *at, bool *offers)
{
    const char *bytes = (const char *)server.bytes;

    for (unsigned lines = 0; lines < LINES_MAX; lines++) {
        const char *line = bytes + *at;
        const char *lf = *at < server.len ? memchr(line, '\n', server.len - *at) : NULL;
        size_t len = (lf == NULL ? server.len : (size_t)(lf - bytes)) - *at;
        if (len >= LINE_SIZE)
            return -1;
        if (lf == NULL)
            return 0;
        *at += len + 1;
        while (len > 0 && line[len - 1] == '\r')
            len--;
        len = strnlen(line, len);
        if (len < 3 || !fuzz_is_of(line, 3, FUZZ_DIGITS) || line[0] == '0' ||
            (len > 3 && line[3] != ' ' && line[3] != '-'))
            return -1;
        if (lines > 0 && len >= 12 && strncasecmp(line + 4, "STARTTLS", 8) == 0 &&
            (len == 12 || line[12] == ' '))
            *offers = true;
        if (len == 3 || line[3] == ' ')
            return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
    }
    return -1;
}

static struct expected expect(void)
{
    static const int wanted[] = {220, 250, 220};
    static const char *const sent[] = {"", "EHLO a\r\n", "EHLO a\r\nSTARTTLS\r\n"};
    struct expected e = {.stage = STAGE_CONNECTED, .sent = ""};
    bool ignored = false;

    if (server.end == END_REFUSED) {
        e.stage = STAGE_NOTHING;
        return e;
    }
    for (int step = 0; step < 3; step++) {
        int code = read_reply(&e.end, step == 1 ? &e.offers : &ignored);
        e.sent = sent[step];
        e.stage = step == 2 ? STAGE_GREETED : STAGE_CONNECTED;
        e.timed_out = code == 0 && server.end == END_SILENCE;
        e.bad = code != wanted[step] && (code != 0 || server.end == END_CLOSE);
        if (code != wanted[step])
            return e;
        if (step == 1 && !e.offers) {
            e.stage = STAGE_GREETED;
            e.sent = "EHLO a\r\nQUIT\r\n";
            return e;
        }
    }
    e.stage = server.end == END_CLOSE ? STAGE_TLS : STAGE_STARTTLS;
    e.sent =
        server.end == END_CLOSE ? "EHLO a\r\nSTARTTLS\r\n|QUIT\r\n" : "EHLO a\r\nSTARTTLS\r\n|";
    return e;
}

static void check_talk(const uint8_t *bytes, size_t len, uint32_t cut, enum end end)
{
    struct smtp_order order = {
        .roots = &fake_roots, .host = "mx.example.org", .localname = "a", .timeout = TIMEOUT};
    struct smtp_facts facts = {.glued = false};

    memset(&server, 0, sizeof server);
    server.bytes = bytes;
    server.len = len;
    server.cut = cut;
    server.end = end;
    require(address_parse("192.0.2.1:25", &order.address));
    struct expected e = expect();
    server.inside = true;
    smtp_run(&order, &facts);
    server.inside = false;
    require(facts.connection.done && !server.opened);
    require(facts.connection.stage == e.stage && facts.bad_dialogue == e.bad);
    require(facts.offers_starttls == e.offers && facts.connection.timed_out == e.timed_out);
    require(strlen(e.sent) == server.sent_len && memcmp(server.sent, e.sent, server.sent_len) == 0);
    size_t fault = strnlen(facts.connection.fault, FACTS_FAULT_SIZE);
    require(fault < FACTS_FAULT_SIZE && fuzz_is_printable(facts.connection.fault, fault));
    require(facts.connection.ms >= 0 && facts.connection.ms <= TIMEOUT * 1000);
    if (server.tls)
        require(server.taken >= e.end && facts.glued == (server.taken > e.end));
    else
        require(!facts.glued);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum end end = (enum end)(data[1] % ENDS);
    char *bytes = fuzz_copy(data + 2, size - 2);
    check_talk((const uint8_t *)bytes, size - 2, 0, end);
    check_talk((const uint8_t *)bytes, size - 2, 1u + data[0], end);
    free(bytes);
    return 0;
}
