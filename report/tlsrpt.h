/* SPDX-License-Identifier: MIT
 * One TLS-RPT report (RFC 8460 section 4.4) from its JSON text, with what real reporters make of
 * it. Pure.
 */
#ifndef REPORT_TLSRPT_H
#define REPORT_TLSRPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "memory.h"

/* Counts above this are taken for it: sums of a great many of them still fit into 64 bits. */
#define TLSRPT_COUNT_MAX INT64_C(1000000000000)
#define TLSRPT_POLICIES_MAX 1000  /* of a report; the rest is left out, with a note */
#define TLSRPT_FAILURES_MAX 10000 /* of a policy; likewise */
#define TLSRPT_STRING_MAX 255     /* octets that are kept of a string */
#define TLSRPT_FAULT_SIZE 160

enum tlsrpt_type {
    TLSRPT_STS,
    TLSRPT_TLSA,
    TLSRPT_NO_POLICY, /* no-policy-found */
    TLSRPT_OTHER,
    TLSRPT_TYPES,
};

/* Strings are as the reporter sent them (UTF-8, any control character but NUL), cut to
 * TLSRPT_STRING_MAX octets; "" where they are absent. They live in the arena. */
struct tlsrpt_failure {
    const char *result; /* lower case */
    const char *sending_ip, *mx, *receiving_ip, *reason;
    int64_t count;  /* sessions */
    bool uncounted; /* it failed, but there is no count */
};

struct tlsrpt_policy {
    enum tlsrpt_type type;
    bool doubtful;      /* there is a total of failures that cannot be read */
    const char *domain; /* lower case, without a final dot; "" if the report names none */
    const char *text;   /* of an sts policy: its lines with CRLF; "" if it was not sent */
    int64_t good, failed;
    struct tlsrpt_failure *failures;
    size_t failure_count;
};

struct tlsrpt_report {
    const char *organization, *id;
    time_t start, end;
    struct tlsrpt_policy *policies;
    size_t policy_count;
    unsigned notes; /* bits of enum tlsrpt_note: departures from the RFC */
};

enum tlsrpt_note {
    TLSRPT_NO_TIMEZONE = 1 << 0, /* taken as UTC */
    TLSRPT_ENDS_EARLY = 1 << 1,  /* the end is before the start */
    TLSRPT_BAD_COUNT = 1 << 2,   /* no count, or not a count: taken as 0 */
    TLSRPT_HUGE_COUNT = 1 << 3,  /* taken as TLSRPT_COUNT_MAX */
    TLSRPT_SUM_DIFFERS = 1 << 4, /* the failures do not add up to their total */
    TLSRPT_NO_ORGANIZATION = 1 << 5,
    TLSRPT_NO_DOMAIN = 1 << 6, /* of a policy */
    TLSRPT_TWICE = 1 << 7,     /* the same policy again, counted once */
    TLSRPT_TOO_MANY = 1 << 8,  /* policies or failures; the rest is left out */
    TLSRPT_NOTES = 9,          /* number of bits */
};
/* What bit number 0..TLSRPT_NOTES-1 means, as a sentence for people. */
const char *tlsrpt_note_text(unsigned bit);
/* "sts", "tlsa", "no-policy-found", "other" */
const char *tlsrpt_type_name(enum tlsrpt_type type);

/* False with the fault (printable), if it is not a report that could be counted. memory_max bounds
 * what the parsed JSON may take, in octets; it is noticed up to a kilobyte of text later, and a
 * table that doubles meanwhile takes up to three times as much. Without any memory at all the
 * program ends with code 3. Results live in the arena. Not reentrant. */
bool tlsrpt_parse(const char *text, size_t len, size_t memory_max, struct arena *arena,
                  struct tlsrpt_report *report, char fault[TLSRPT_FAULT_SIZE]);

/* tlsrpt_time.c: seconds since 1970 of an RFC 3339 date-time, of one without a time zone (*zone =
 * false: UTC), or of a date alone. False if it is none, or not of the years 2016 to 2099. */
bool tlsrpt_time(const char *text, time_t *when, bool *zone);

#endif
