/* SPDX-License-Identifier: MIT
 * The two protocols of a service manager. The environment is its caller's: numbers are checked, and
 * so is what the descriptors are.
 */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "policy.h"

#define FIRST_FD 3
#define STATE_MAX 512
#define BUSY_MS 1000 /* at most, for a manager whose queue is full */

static int notify_fd = -1;

static bool read_variable(const char *name, uint64_t *number)
{
    const char *text = getenv(name);

    return text != NULL && policy_number(text, strlen(text), number);
}

/* NULL if fd is a stream socket that listens, and is now ready for us; else what it is not. */
static const char *adopt(int fd)
{
    int type = 0, listening = 0;
    socklen_t len = sizeof type;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
        return "is not a socket";
    len = sizeof listening;
    if (type != SOCK_STREAM || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 ||
        !listening)
        return "is not a stream socket that listens";
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return strerror(errno);
    return NULL;
}

bool notify_take_listeners(int fds[NOTIFY_LISTEN_MAX], size_t *count, struct finding_list *findings)
{
    const struct place nowhere = {NULL, 0, 0};
    uint64_t pid = 0, number = 0;
    bool ours = read_variable("LISTEN_PID", &pid) && pid == (uint64_t)getpid();
    bool given = getenv("LISTEN_FDS") != NULL, good = true;

    *count = 0;
    if (ours && given && (!read_variable("LISTEN_FDS", &number) || number > NOTIFY_LISTEN_MAX)) {
        finding_add(findings, FINDING_ERROR, "LISTEN_FDS", nowhere,
                    "LISTEN_FDS=%s is not a number up to %d", getenv("LISTEN_FDS"),
                    NOTIFY_LISTEN_MAX);
        good = false;
        number = 0;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (int fd = FIRST_FD; ours && fd < FIRST_FD + (int)number; fd++) {
        const char *fault = adopt(fd);
        if (fault != NULL)
            finding_add(findings, FINDING_ERROR, "LISTEN_FDS", nowhere,
                        "descriptor %d, handed over by LISTEN_FDS, %s", fd, fault);
        good = good && fault == NULL;
        fds[(*count)++] = fd;
    }
    return good;
}

void notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);

    /* A path, or an abstract name behind "@" (unix(7)). */
    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (notify_fd >= 0 && connect(notify_fd, (const struct sockaddr *)&address, size) != 0) {
        close(notify_fd);
        notify_fd = -1;
    }
}

void notify_send(const char *format, ...)
{
    char state[STATE_MAX];
    va_list args;

    if (notify_fd < 0)
        return;
    va_start(args, format);
    vsnprintf(state, sizeof state, format, args);
    va_end(args);
    if (send(notify_fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
        (errno == EAGAIN || errno == EWOULDBLOCK) && strncmp(state, "READY=1\n", 8) == 0) {
        /* A manager that is busy, at boot for instance. All else will be said again. */
        struct pollfd ready = {.fd = notify_fd, .events = POLLOUT};
        (void)!poll(&ready, 1, BUSY_MS);
        (void)!send(notify_fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}
