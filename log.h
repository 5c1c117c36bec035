/* SPDX-License-Identifier: MIT
 * Log lines on standard error: logfmt, one line an event.
 */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

#include "finding.h"
#include "text.h"

enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
};

#define LOG_LINE_MAX 1024

/* A line being put together; lives on the caller's stack. */
struct log_line {
    enum log_level level;
    struct text text;
    char data[LOG_LINE_MAX];
};

/* Lines above this level are dropped. */
void log_set_level(enum log_level level);
/* Makes lines go out without ever waiting for whoever reads standard error. Call once at start. */
void log_open(void);
/* The descriptor that lines are written to. */
int log_fd(void);

void log_begin(struct log_line *line, enum log_level level, const char *event);
/* A value of ours: a word without blanks. */
void log_word(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, long long value);
/* A value from anywhere: quoted and escaped, cut at 200 characters. */
void log_quoted(struct log_line *line, const char *key, const char *bytes, size_t len);
/* Writes the line. One that cannot be written at once is lost and counted; the next line that gets
 * through is followed by one that says how many. */
void log_end(struct log_line *line);

/* A line with a text: level=LEVEL event=EVENT text="...". */
void log_text(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One line for each finding. */
void log_findings(const struct finding_list *findings);

#endif
