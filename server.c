/* SPDX-License-Identifier: MIT
 * One worker: listeners, connection slots, deadlines, event loop. Its clients are anybody, so each
 * of them has one slot, one deadline and a share of the slots that is bounded by where it comes
 * from.
 */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "conn.h"
#include "log.h"
#include "monotonic.h"
#include "queue.h"

#define EVENTS_MAX 64
#define ACCEPTS_MAX 64 /* in a row, before connections get their turn */
#define PAUSE_MS 1000  /* without descriptors or memory to accept with */
#define GRACE_MS 500   /* for a handshake before somebody else may have the slot */
#define NEVER INT64_MAX

struct server {
    struct conn_site site;
    int epoll_fd;
    const int *listeners;
    size_t listener_count;
    struct conn *conns; /* slots */
    char *buffers;      /* one a slot, apart from them so that idle slots stay dense */
    size_t conn_count, open;
    unsigned worker;   /* whose connections these are, for the metrics */
    struct conn *free; /* linked by next_of_bucket; the last one freed first, while it is warm */
    struct queue by_age, by_linger;
    struct conn **buckets; /* open connections by source */
    size_t bucket_mask;
    uint64_t hash_key;
    bool queue_stays; /* the service manager holds the listeners, for who comes after us */
    bool going;       /* the parent has said so */
    bool accepting, draining;
    bool starved;      /* paused for want of descriptors or memory, not of slots */
    int64_t resume_at; /* when to accept again after a pause */
};

/* FNV-1a with a random start, so that nobody can choose addresses that share a bucket. */
static struct conn **bucket_of(const struct server *server, const struct address_source *source)
{
    uint64_t hash = server->hash_key;

    for (size_t i = 0; i < sizeof source->bytes; i++)
        hash = (hash ^ source->bytes[i]) * UINT64_C(0x100000001b3);
    return &server->buckets[(hash ^ hash >> 32) & server->bucket_mask];
}

static unsigned count_source(const struct server *server, const struct address_source *source)
{
    unsigned count = 0;

    for (struct conn *c = *bucket_of(server, source); c != NULL; c = c->next_of_bucket)
        count += memcmp(&c->source, source, sizeof *source) == 0;
    return count;
}

static void enter_bucket(struct server *server, struct conn *conn)
{
    struct conn **bucket = bucket_of(server, &conn->source);

    conn->next_of_bucket = *bucket;
    *bucket = conn;
}

static void leave_bucket(struct server *server, struct conn *conn)
{
    struct conn **at = bucket_of(server, &conn->source);

    while (*at != NULL && *at != conn)
        at = &(*at)->next_of_bucket;
    if (*at == conn)
        *at = conn->next_of_bucket;
}

static bool watch(struct server *server, int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};

    return epoll_ctl(server->epoll_fd, operation, fd, &event) == 0;
}

/* Every worker is woken by a new client, and the first one gets it: were just one woken, and could
 * it take nobody, the client would wait. */
static void accept_connections(struct server *server, bool on)
{
    size_t watched = 0;

    if (server->accepting == on)
        return;
    while (watched < server->listener_count &&
           watch(server, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, server->listeners[watched], EPOLLIN,
                 (void *)(uintptr_t)&server->listeners[watched]))
        watched++;
    server->accepting = on;
    if (watched == server->listener_count || !on)
        return;
    log_text(LOG_ERROR, "accept", "cannot watch a listener: %s", strerror(errno));
    while (watched > 0)
        watch(server, EPOLL_CTL_DEL, server->listeners[--watched], 0, NULL);
    server->accepting = false;
    server->starved = true;
    server->resume_at = monotonic_ms() + PAUSE_MS;
}

static void pause_accepting(struct server *server, int64_t until, bool starved)
{
    accept_connections(server, false);
    server->resume_at = until;
    server->starved = starved;
}

static void resume_accepting(struct server *server)
{
    server->resume_at = NEVER;
    server->starved = false;
    accept_connections(server, server->going && !server->draining);
}

static void set_open(struct server *server, size_t open)
{
    server->open = open;
    metrics_set_open(server->site.metrics, server->worker, open);
}

/* Gives the slot back. The connection itself has been stopped. */
static void release(struct server *server, struct conn *conn)
{
    queue_remove(&server->by_age, conn);
    queue_remove(&server->by_linger, conn);
    leave_bucket(server, conn);
    conn->next_of_bucket = server->free;
    server->free = conn;
    set_open(server, server->open - 1);
    if (!server->starved)
        resume_accepting(server);
}

static void stop(struct server *server, struct conn *conn, const char *event, int64_t now)
{
    conn_stop(conn, event, now);
    release(server, conn);
}

static void step(struct server *server, struct conn *conn, int64_t now)
{
    enum conn_state state = conn->state;
    enum conn_interest interest = conn->interest;

    conn_step(conn, now);
    if (conn->state == CONN_FREE) {
        release(server, conn);
        return;
    }
    if (conn->state == CONN_CLOSING && state != CONN_CLOSING)
        queue_add(&server->by_linger, conn);
    if (conn->interest != interest &&
        !watch(server, EPOLL_CTL_MOD, conn->fd,
               conn->interest == CONN_READABLE ? EPOLLIN : EPOLLOUT, conn))
        stop(server, conn, "failed", now);
}

/* With all slots taken: a client that has its answer, or else the oldest that has not finished its
 * handshake, is to make room. Not before it had a while for that, or a flood would displace each
 * client by the next and none would ever be served: until *free_at, if there is no victim now. */
static struct conn *find_victim(const struct server *server, int64_t now, int64_t *free_at)
{
    struct conn *victim = server->by_linger.head;

    *free_at = NEVER;
    for (struct conn *c = server->by_age.head; victim == NULL && c != NULL; c = c->by_age.next)
        if (c->state <= CONN_HANDSHAKE)
            victim = c;
    if (victim != NULL && victim->state != CONN_CLOSING && now < victim->accepted_at + GRACE_MS) {
        *free_at = victim->accepted_at + GRACE_MS;
        return NULL;
    }
    return victim;
}

static void refuse(struct server *server, int fd, const struct address *client, const char *reason)
{
    struct log_line line;
    char text[ADDRESS_TEXT_SIZE];

    address_format(client, false, text);
    log_begin(&line, LOG_INFO, "refused");
    log_word(&line, "reason", reason);
    log_word(&line, "client", text);
    log_end(&line);
    metrics_count(server->site.metrics, METRICS_REFUSED);
    close(fd);
}

/* `victim` has to make room for the client; NULL if a slot is free. */
static void take(struct server *server, int fd, const struct address *client, struct conn *victim,
                 int64_t now)
{
    const struct config *config = server->site.config;
    struct address_source source = address_source(client);
    int on = 1;

    if (config->max_per_source > 0 && count_source(server, &source) >= config->max_per_source) {
        refuse(server, fd, client, "max_per_source");
        return;
    }
    if (victim != NULL)
        stop(server, victim, "displaced", now);
    struct conn *conn = server->free;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, conn)) {
        refuse(server, fd, client, "epoll");
        return;
    }
    server->free = conn->next_of_bucket;
    set_open(server, server->open + 1);
    metrics_count(server->site.metrics, METRICS_ACCEPTED);
    conn_start(conn, &server->site, fd, client, now, now + (int64_t)config->timeout * 1000);
    enter_bucket(server, conn);
    queue_add(&server->by_age, conn);
}

/* Not the fault of one client: of the machine, or of the listener itself. */
static bool concerns_all(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EINVAL || error == EBADF || error == ENOTSOCK;
}

/* False if there is nobody else to take now. */
static bool accept_one(struct server *server, int listener, int64_t now)
{
    struct address client = {.len = sizeof client.storage};
    struct conn *victim = NULL;
    int64_t free_at;

    if (server->free == NULL && (victim = find_victim(server, now, &free_at)) == NULL) {
        /* The clients wait in the kernel's queue. */
        pause_accepting(server, free_at, false);
        return false;
    }
    int fd = accept4(listener, (struct sockaddr *)&client.storage, &client.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        take(server, fd, &client, victim, now);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return false;
    } else if (concerns_all(errno)) {
        log_text(LOG_ERROR, "accept", "%s: not accepting for %d ms", strerror(errno), PAUSE_MS);
        pause_accepting(server, now + PAUSE_MS, true);
        return false;
    }
    /* Anything else is an error of that one client (accept(2), ERRORS): take the next. */
    return true;
}

static void accept_from(struct server *server, int listener, int64_t now)
{
    int taken = 0;

    while (taken < ACCEPTS_MAX && accept_one(server, listener, now))
        taken++;
}

/* Takes nobody any more but those who are in the queue already, unless it outlives us; and lets go
 * of the listeners: when nobody holds them any more, new clients are refused. The closed line tells
 * the parent. */
static void drain(struct server *server, int line, int64_t now)
{
    size_t left = server->conn_count;

    server->draining = true;
    watch(server, EPOLL_CTL_DEL, line, 0, NULL);
    accept_connections(server, false);
    for (size_t i = 0; i < server->listener_count; i++) {
        while (server->going && !server->queue_stays && left > 0 &&
               accept_one(server, server->listeners[i], now))
            left--;
        close(server->listeners[i]);
    }
    server->resume_at = NEVER;
    close(line);
}

/* What the parent says: a byte is "go", the end "stop". */
static void listen_to_parent(struct server *server, int line, int64_t now)
{
    char byte;
    ssize_t n = recv(line, &byte, 1, MSG_DONTWAIT);

    if (n == 1) {
        server->going = true;
        resume_accepting(server);
    } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        drain(server, line, now);
    }
}

static bool is_listener(const struct server *server, const void *owner)
{
    return (uintptr_t)owner >= (uintptr_t)server->listeners &&
           (uintptr_t)owner < (uintptr_t)(server->listeners + server->listener_count);
}

static void expire(struct server *server, int64_t now)
{
    while (server->by_age.head != NULL && server->by_age.head->deadline <= now)
        stop(server, server->by_age.head, "timeout", now);
    while (server->by_linger.head != NULL && server->by_linger.head->linger_until <= now)
        stop(server, server->by_linger.head, "closed", now);
    if (server->resume_at <= now)
        resume_accepting(server);
}

static int next_timeout(const struct server *server, int64_t now)
{
    int64_t next = server->resume_at;

    if (server->by_age.head != NULL && server->by_age.head->deadline < next)
        next = server->by_age.head->deadline;
    if (server->by_linger.head != NULL && server->by_linger.head->linger_until < next)
        next = server->by_linger.head->linger_until;
    if (next == NEVER)
        return -1;
    return next <= now ? 0 : (int)(next - now);
}

bool server_run(struct server *server, int line)
{
    struct epoll_event events[EVENTS_MAX];

    if (!watch(server, EPOLL_CTL_ADD, line, EPOLLIN, server))
        return false;
    while (!server->draining || server->open > 0) {
        int count =
            epoll_wait(server->epoll_fd, events, EVENTS_MAX, next_timeout(server, monotonic_ms()));
        bool called = false;
        if (count < 0 && errno != EINTR)
            return false;
        /* Connections first: accepting may give a slot of this round to a new client. */
        for (int i = 0; i < count; i++) {
            void *owner = events[i].data.ptr;
            if (owner == server)
                called = true;
            else if (!is_listener(server, owner))
                step(server, owner, monotonic_ms());
        }
        int64_t now = monotonic_ms();
        if (called && !server->draining)
            listen_to_parent(server, line, now);
        for (int i = 0; i < count && server->accepting; i++)
            if (is_listener(server, events[i].data.ptr))
                accept_from(server, *(const int *)events[i].data.ptr, now);
        expire(server, now);
    }
    return true;
}

static bool set_up_slots(struct server *server, size_t count)
{
    size_t buckets = 1;

    while (buckets < count)
        buckets *= 2;
    server->conns = calloc(count, sizeof *server->conns);
    server->buffers = calloc(count, CONN_BUFFER_SIZE);
    server->buckets = calloc(buckets, sizeof(struct conn *));
    if (server->conns == NULL || server->buffers == NULL || server->buckets == NULL)
        return false;
    server->conn_count = count;
    server->bucket_mask = buckets - 1;
    for (size_t i = count; i > 0; i--) {
        struct conn *conn = &server->conns[i - 1];
        conn->fd = -1;
        conn->buffer = server->buffers + (i - 1) * CONN_BUFFER_SIZE;
        conn->next_of_bucket = server->free;
        server->free = conn;
    }
    return true;
}

struct server *server_new(const struct conn_site *site, unsigned worker, const int *listeners,
                          size_t listener_count, bool queue_stays)
{
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return NULL;
    *server = (struct server){.site = *site,
                              .worker = worker,
                              .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                              .listeners = listeners,
                              .listener_count = listener_count,
                              .queue_stays = queue_stays,
                              .by_age.link = offsetof(struct conn, by_age),
                              .by_linger.link = offsetof(struct conn, by_linger),
                              .resume_at = NEVER};
    if (server->epoll_fd < 0 || !set_up_slots(server, site->config->max_connections) ||
        getrandom(&server->hash_key, sizeof server->hash_key, 0) !=
            (ssize_t)sizeof server->hash_key) {
        int error = errno;
        server_free(server);
        errno = error;
        return NULL;
    }
    return server;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->conn_count; i++)
        conn_stop(&server->conns[i], "stopped", monotonic_ms());
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    free(server->conns);
    free(server->buffers);
    free(server->buckets);
    free(server);
}
