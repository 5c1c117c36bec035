/* SPDX-License-Identifier: MIT
 * Log lines on standard error. Values that a client chose are quoted and escaped, so that no client
 * can forge a line or move the cursor of a terminal; and no reader of the log can stop the server.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUOTED_MAX 200
#define TEXT_MAX 600 /* of a line of our own */

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static struct {
    enum log_level level;
    int fd;
    bool is_socket;
    unsigned long lost;
} out = {.level = LOG_INFO, .fd = STDERR_FILENO};

void log_set_level(enum log_level level)
{
    out.level = level;
}

/* Standard error may be shared with a shell, so its own flags are left alone: a pipe is opened
 * again for a description of our own that does not block; a socket is told with every send. */
void log_open(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) != 0)
        return;
    out.is_socket = S_ISSOCK(st.st_mode);
    if (S_ISFIFO(st.st_mode)) {
        int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0)
            out.fd = fd;
        else if ((fd = fcntl(STDERR_FILENO, F_GETFL)) >= 0)
            fcntl(STDERR_FILENO, F_SETFL, fd | O_NONBLOCK); /* it is another user's */
    }
}

int log_fd(void)
{
    return out.fd;
}

static bool write_line(const char *line, size_t len)
{
    ssize_t n;

    if (out.is_socket) {
        n = send(out.fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        struct pollfd ready = {.fd = out.fd, .events = POLLOUT};
        if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)
            return false;
        n = write(out.fd, line, len);
    }
    return n == (ssize_t)len;
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    line->level = level;
    /* One byte stays free for the line end. */
    text_init(&line->text, line->data, sizeof line->data - 1);
    text_addf(&line->text, "level=%s event=%s", level_names[level], event);
}

void log_word(struct log_line *line, const char *key, const char *value)
{
    text_addf(&line->text, " %s=%s", key, value);
}

void log_number(struct log_line *line, const char *key, long long value)
{
    text_addf(&line->text, " %s=%lld", key, value);
}

/* Cuts the value where it gets longer than max, escapes included. */
static void add_quoted(struct log_line *line, const char *key, const char *bytes, size_t len,
                       size_t max)
{
    char value[TEXT_MAX + 1];
    struct text text;

    text_init(&text, value, max + 1);
    text_add_escaped(&text, bytes, len, "\"");
    text_addf(&line->text, " %s=\"%s\"", key, value);
}

void log_quoted(struct log_line *line, const char *key, const char *bytes, size_t len)
{
    add_quoted(line, key, bytes, len, QUOTED_MAX);
}

void log_end(struct log_line *line)
{
    if (line->level > out.level)
        return;
    line->data[line->text.len] = '\n';
    if (!write_line(line->data, line->text.len + 1)) {
        out.lost++;
        return;
    }
    if (out.lost > 0) {
        char note[96];
        int len = snprintf(note, sizeof note, "level=warning event=log_lost lines=%lu\n", out.lost);
        if (len > 0 && write_line(note, (size_t)len))
            out.lost = 0;
    }
}

void log_text(enum log_level level, const char *event, const char *format, ...)
{
    char value[TEXT_MAX + 1];
    struct log_line line;
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    log_begin(&line, level, event);
    add_quoted(&line, "text", value, strlen(value), TEXT_MAX);
    log_end(&line);
}

static const enum log_level severity_levels[] = {
    [FINDING_INFO] = LOG_DEBUG,
    [FINDING_WARNING] = LOG_WARNING,
    [FINDING_ERROR] = LOG_ERROR,
};

void log_findings(const struct finding_list *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];
        struct log_line line;

        log_begin(&line, severity_levels[f->severity], "finding");
        log_word(&line, "code", f->code);
        if (f->place.file != NULL)
            log_quoted(&line, "file", f->place.file, strlen(f->place.file));
        if (f->place.line != 0)
            log_number(&line, "line", f->place.line);
        add_quoted(&line, "text", f->text, strlen(f->text), TEXT_MAX);
        log_end(&line);
    }
    if (findings->out_of_memory)
        log_text(LOG_ERROR, "finding", "out of memory; findings are missing");
}
