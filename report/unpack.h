/* SPDX-License-Identifier: MIT
 * From bytes as they arrive to the JSON texts in them: JSON, gzip, zip with one member, a mail
 * message. What they are is decided by their first bytes and never by a name. Every byte here is
 * hostile.
 */
#ifndef REPORT_UNPACK_H
#define REPORT_UNPACK_H

#include <stdbool.h>
#include <stddef.h>

#define UNPACK_MAX_DEFAULT ((size_t)8 << 20) /* octets of a report, unpacked */
#define UNPACK_RATIO 8                       /* so much smaller must it be as it arrives */

/* What becomes of the bytes. `name` says where they were: a file, and the place in it. It may hold
 * any octet. */
struct unpack_sink {
    void *context;
    size_t max; /* octets of a report, unpacked; packed: a UNPACK_RATIO-th */
    /* One JSON text; borrowed. */
    void (*report)(void *context, const char *name, const char *json, size_t len);
    /* It could not be read, and why (printable, a part of a sentence). */
    void (*fault)(void *context, const char *name, const char *why);
    /* A message without a report in it: nothing was lost. */
    void (*empty)(void *context, const char *name);
};

/* Finds the reports in len octets. */
void unpack_bytes(const struct unpack_sink *sink, const char *name, const char *bytes, size_t len);

/* What the first bytes say. */
enum unpack_kind {
    UNPACK_JSON,
    UNPACK_GZIP,
    UNPACK_ZIP,
    UNPACK_MBOX,
    UNPACK_MAIL,
    UNPACK_UNKNOWN,
};
enum unpack_kind unpack_kind(const char *bytes, size_t len);
/* Octets that one of this kind may have as it arrives. */
size_t unpack_limit(const struct unpack_sink *sink, enum unpack_kind kind);
/* The fault that it has more. */
void unpack_fault_size(const struct unpack_sink *sink, const char *name, enum unpack_kind kind);

/* "NAME, part 2"; a name that is too long is cut. */
#define UNPACK_NAME_SIZE 8192
void unpack_name(char place[UNPACK_NAME_SIZE], const char *name, const char *what, size_t number);

/* unpack_gzip.c: JSON out of gzip or zip. */
void unpack_packed(const struct unpack_sink *sink, const char *name, enum unpack_kind kind,
                   const char *bytes, size_t len);
/* mail.c: one message, with or without a line "From " before it; each part that begins as a report
 * does is one. mail_init once, before. */
void mail_init(void);
void mail_read(const struct unpack_sink *sink, const char *name, const char *bytes, size_t len);

#endif
