/* SPDX-License-Identifier: MIT
 * libFuzzer: any text as the environment of a service manager (sd_listen_fds(3), sd_notify(3)), and
 * any kinds of descriptors behind it. Only the descriptors that a strict reading hands over are
 * touched, none is closed, the variables are gone, and nothing is sent anywhere but to
 * NOTIFY_SOCKET.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

#define OUR_PID 4242
#define FIRST_FD 3
#define NOTIFY_FD 1000
#define STATE_SIZE 512

/* The lines of an input, in the order of seeds_text.py. */
enum line {
    LINE_PID,
    LINE_FDS,
    LINE_FDNAMES,
    LINE_NOTIFY,
    VARIABLES,
    /* A letter for each descriptor from 3 on: `l` is a stream that listens. */
    LINE_KINDS = VARIABLES,
    LINE_ANSWERS, /* of connect and send: `n` is a refusal, `b` is busy */
    LINE_STATE,
    LINES
};

static struct {
    bool inside; /* notify.c runs, and not libFuzzer */
    const char *kinds;
    bool looked[NOTIFY_LISTEN_MAX], nonblocking[NOTIFY_LISTEN_MAX], cloexec[NOTIFY_LISTEN_MAX];
    bool refuse, busy, open, connected;
    unsigned sent, polls;
    struct sockaddr_un address;
    socklen_t address_len;
} kernel;

pid_t fake_getpid(void) FUZZ_WRAPS("getpid");
int fake_fcntl(int fd, int command, ...) FUZZ_WRAPS("fcntl");
int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
    FUZZ_WRAPS("getsockopt");
int fake_socket(int family, int type, int protocol) FUZZ_WRAPS("socket");
int fake_connect(int fd, const struct sockaddr *address, socklen_t len) FUZZ_WRAPS("connect");
int fake_close(int fd) FUZZ_WRAPS("close");
int real_close(int fd) FUZZ_REAL("close");
ssize_t fake_send(int fd, const void *bytes, size_t len, int flags) FUZZ_WRAPS("send");
int fake_poll(struct pollfd *fds, nfds_t count, int ms) FUZZ_WRAPS("poll");

pid_t fake_getpid(void)
{
    return OUR_PID;
}

/* The kind of a descriptor that was handed over; 0 if it is not open. */
static char kind_of(int fd)
{
    require(fd >= FIRST_FD && fd < FIRST_FD + NOTIFY_LISTEN_MAX);
    kernel.looked[fd - FIRST_FD] = true;
    return (size_t)(fd - FIRST_FD) < strlen(kernel.kinds) ? kernel.kinds[fd - FIRST_FD] : '\0';
}

int fake_fcntl(int fd, int command, ...)
{
    va_list args;
    int value = 0;

    if (kind_of(fd) == '\0') {
        errno = EBADF;
        return -1;
    }
    if (command == F_GETFL)
        return O_RDWR;
    va_start(args, command);
    value = va_arg(args, int);
    va_end(args);
    require((command == F_SETFL && value == (O_RDWR | O_NONBLOCK)) ||
            (command == F_SETFD && value == FD_CLOEXEC));
    if (command == F_SETFL)
        kernel.nonblocking[fd - FIRST_FD] = true;
    else
        kernel.cloexec[fd - FIRST_FD] = true;
    return 0;
}

int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    char kind = kind_of(fd);
    int number = 0;

    require(level == SOL_SOCKET && *len == sizeof number && kind != '\0');
    if (strchr("lsd", kind) == NULL) {
        errno = ENOTSOCK;
        return -1;
    }
    if (name == SO_TYPE)
        number = kind == 'd' ? SOCK_DGRAM : SOCK_STREAM;
    else
        number = kind == 'l';
    memcpy(value, &number, sizeof number);
    *len = sizeof number;
    return 0;
}

int fake_socket(int family, int type, int protocol)
{
    require(family == AF_UNIX && protocol == 0 && !kernel.open);
    require(type == (SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK));
    kernel.open = true;
    return NOTIFY_FD;
}

int fake_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    require(fd == NOTIFY_FD && kernel.open && len <= sizeof kernel.address);
    memset(&kernel.address, 0, sizeof kernel.address);
    memcpy(&kernel.address, address, len);
    kernel.address_len = len;
    kernel.connected = !kernel.refuse;
    errno = ECONNREFUSED;
    return kernel.refuse ? -1 : 0;
}

int fake_close(int fd)
{
    if (!kernel.inside)
        return real_close(fd);
    require(fd == NOTIFY_FD && kernel.open && !kernel.connected);
    kernel.open = false;
    return 0;
}

ssize_t fake_send(int fd, const void *bytes, size_t len, int flags)
{
    require(fd == NOTIFY_FD && kernel.connected);
    require(len < STATE_SIZE && memchr(bytes, '\0', len) == NULL);
    require((flags & MSG_DONTWAIT) != 0 && (flags & MSG_NOSIGNAL) != 0);
    kernel.sent++;
    errno = EAGAIN;
    return kernel.busy ? -1 : (ssize_t)len;
}

int fake_poll(struct pollfd *fds, nfds_t count, int ms)
{
    require(count == 1 && fds->fd == NOTIFY_FD && ms >= 0 && ms <= 1000);
    kernel.polls++;
    return 0;
}

/* Digits, at most ten, and nothing else. */
static bool read_number(const char *text, unsigned long long *number)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len < 1 || len > 10 || !fuzz_is_of(text, len, FUZZ_DIGITS))
        return false;
    *number = strtoull(text, NULL, 10);
    return true;
}

static void check_findings(struct finding_list *findings, size_t errors)
{
    require(findings->errors == errors && findings->count == errors);
    for (size_t i = 0; i < findings->count; i++)
        require(fuzz_is_printable(findings->items[i].text, strlen(findings->items[i].text)));
    finding_list_free(findings);
}

static void check_listeners(const char *const lines[LINES])
{
    unsigned long long pid = 0, number = 0;
    bool ours = read_number(lines[LINE_PID], &pid) && pid == OUR_PID && lines[LINE_FDS] != NULL;
    bool known = read_number(lines[LINE_FDS], &number) && number <= NOTIFY_LISTEN_MAX;
    size_t handed = ours && known ? number : 0, bad = 0, count = 0;
    struct finding_list findings = {0};
    int fds[NOTIFY_LISTEN_MAX];

    bool good = notify_take_listeners(fds, &count, &findings);
    require(count == handed);
    for (size_t i = 0; i < NOTIFY_LISTEN_MAX; i++) {
        bool listens = i < strlen(kernel.kinds) && kernel.kinds[i] == 'l';
        require(kernel.looked[i] == (i < handed));
        require(i >= handed || fds[i] == FIRST_FD + (int)i);
        require(kernel.nonblocking[i] == (i < handed && listens));
        require(kernel.cloexec[i] == (i < handed && listens));
        bad += i < handed && !listens;
    }
    bad += ours && !known;
    require(good == (bad == 0));
    check_findings(&findings, bad);
    require(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL);
    require(getenv("LISTEN_FDNAMES") == NULL);
}

static void check_notify(const char *path, const char *state)
{
    size_t len = path == NULL ? 0 : strlen(path), room = sizeof kernel.address.sun_path;
    bool usable = len > 1 && len < room && strchr("/@", path[0]) != NULL;

    notify_open();
    require(kernel.open == (usable && !kernel.refuse));
    if (usable) {
        require(kernel.address.sun_family == AF_UNIX);
        require(kernel.address_len == offsetof(struct sockaddr_un, sun_path) + len);
        require(kernel.address.sun_path[0] == (path[0] == '@' ? '\0' : '/'));
        require(memcmp(kernel.address.sun_path + 1, path + 1, len - 1) == 0);
    }
    notify_send("STATUS=%s", state);
    require(kernel.sent == kernel.connected && kernel.polls == 0);
    notify_send("READY=1\nSTATUS=%s", state);
    /* What must arrive is sent once more to a manager that is busy. */
    bool again = kernel.connected && kernel.busy;
    require(kernel.polls == again && kernel.sent == 2u * kernel.connected + again);
}

/* notify.c opens its socket once; a connect that fails undoes that. */
static void forget_socket(void)
{
    static char variable[] = "NOTIFY_SOCKET=/forget";

    kernel.open = kernel.connected = false;
    kernel.inside = kernel.refuse = true;
    putenv(variable);
    notify_open();
}

/* Not by setenv, which keeps every value for good. The caller frees it, once it is unset. */
static char *set_variable(const char *name, const char *value)
{
    char *variable = malloc(strlen(name) + (value == NULL ? 0 : strlen(value)) + 2);

    require(variable != NULL);
    sprintf(variable, "%s=%s", name, value == NULL ? "" : value);
    unsetenv(name);
    if (value != NULL)
        putenv(variable);
    return variable;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET"};
    char *text = fuzz_string(data, size), *rest = text, *variables[VARIABLES];
    const char *lines[LINES] = {NULL};

    /* Text that ends early leaves the rest unset. */
    for (size_t i = 0; i < LINES && rest != NULL; i++)
        lines[i] = strsep(&rest, "\n");
    forget_socket();
    memset(&kernel, 0, sizeof kernel);
    kernel.inside = true;
    kernel.kinds = lines[LINE_KINDS] == NULL ? "" : lines[LINE_KINDS];
    kernel.refuse = lines[LINE_ANSWERS] != NULL && lines[LINE_ANSWERS][0] == 'n';
    kernel.busy = lines[LINE_ANSWERS] != NULL && lines[LINE_ANSWERS][0] == 'b';
    for (size_t i = 0; i < VARIABLES; i++)
        variables[i] = set_variable(names[i], lines[i]);
    check_listeners(lines);
    check_notify(lines[LINE_NOTIFY], lines[LINE_STATE] == NULL ? "" : lines[LINE_STATE]);
    for (size_t i = 0; i < VARIABLES; i++) {
        unsetenv(names[i]);
        free(variables[i]);
    }
    kernel.inside = false;
    free(text);
    return 0;
}
