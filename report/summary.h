/* SPDX-License-Identifier: MIT
 * From reports to numbers: for each policy domain its sessions by day, reporter and policy type,
 * its failures and the policies that senders saw. Pure: no I/O, no clock.
 */
#ifndef REPORT_SUMMARY_H
#define REPORT_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "memory.h"
#include "report/tlsrpt.h"

#define SUMMARY_FAILURES_MAX 1000 /* rows of a domain; what comes after shares one row a type */
#define SUMMARY_POLICIES_MAX 100  /* of a domain; likewise */
#define SUMMARY_LINES_MAX 128     /* of a policy; one with more is not read as one */
#define SUMMARY_MEMORY_MAX ((size_t)256 << 20)
#define SUMMARY_DAY_NONE INT32_MIN

/* Days are counted from 1970-01-01, in UTC. A report counts on the day that its period starts. */
typedef int32_t summary_day_number;

struct summary_sessions {
    int64_t good, failed;
};

struct summary_day {
    summary_day_number day;
    struct summary_sessions sessions;
};

struct summary_reporter {
    const char *name; /* as sent first, for upper and lower case are the same; "" if it has none */
    size_t reports;
    struct summary_sessions sessions;
    summary_day_number last_sts; /* last day with a good session under an sts policy, or NONE */
};

/* One row of failures: all that these five have in common. Strings as sent; "" where absent. */
struct summary_failure {
    enum tlsrpt_type type;
    const char *result; /* result-type; "unspecified": counted in a total, without details */
    const char *mx, *sending_ip, *receiving_ip;
    const char *reason;          /* the first failure-reason-code that came; "" if none did */
    int64_t count, result_count; /* of this row; of all rows with its result (summary_finish) */
    summary_day_number first, last;
};

/* An sts policy that senders saw. */
struct summary_policy {
    const char *text; /* as mta-stsd renders it if it is valid, else as sent; "" if none was sent */
    bool valid;       /* mode is known */
    enum policy_mode mode;
    struct summary_sessions sessions;
    summary_day_number first, last;
};

struct summary_set {
    void *root;   /* tsearch */
    void **items; /* in the order of their coming; by summary_finish sorted for printing */
    size_t count;
};

struct summary_domain {
    const char *name; /* lower case, any octet; "" for policies without a domain */
    summary_day_number first, last;
    size_t reports;
    struct summary_sessions sessions;            /* sts and tlsa: the larger one of a report */
    struct summary_sessions types[TLSRPT_TYPES]; /* as sent */
    struct summary_set days, reporters, failures, policies;
    /* The last day with a failed session; with one that was refused for it (an enforce policy, or
     * DANE); with one under an sts policy that the report does not show. NONE if there is none. */
    summary_day_number last_failed, last_refused, last_unknown;
    bool incomplete; /* a report of it was left out, or a part of one */
    struct summary_sessions pending[TLSRPT_TYPES]; /* of the report that is being added */
    bool touched, failing, refused, unknown;       /* likewise */
};

struct summary {
    const char *only;                /* this domain (lower case); NULL: all */
    const struct config *config;     /* the domains of this INI; NULL: all */
    summary_day_number since, until; /* reports that touch the first, and start up to the last */
    struct arena arena;
    size_t used;              /* octets */
    struct summary_set known; /* reports by organization and id */
    struct summary_set domains;
    size_t reports, duplicates; /* counted; known already */
    size_t outside, elsewhere;  /* not since..until; about other domains only */
    size_t notes[TLSRPT_NOTES]; /* reports with that departure */
    bool failures_left_out;     /* in a SUMMARY_DIFFERS */
    bool full; /* the memory that it may use is used up: some of a report was left out */
};

enum summary_result {
    SUMMARY_COUNTED,
    SUMMARY_DUPLICATE,
    SUMMARY_DIFFERS, /* the organization and id of another report, but other contents: left out */
    SUMMARY_OUTSIDE, /* of another time, or about other domains */
    SUMMARY_FULL,
};

/* Starts an empty one that takes every day and every domain. */
void summary_init(struct summary *summary);
/* Adds a report, of which nothing is kept by reference. */
enum summary_result summary_add(struct summary *summary, const struct tlsrpt_report *report);
/* Sorts: domains by name, days by time, reporters by sessions, failures by result type (most
 * sessions first) and sessions, policies by time, newest first. Nothing can be added afterwards. */
void summary_finish(struct summary *summary);
void summary_free(struct summary *summary);

/* The items of a set, of the type that its name says. */
static inline const struct summary_domain *summary_domain_at(const struct summary *s, size_t i)
{
    return s->domains.items[i];
}

/* Of counts that are not negative: many reports can claim huge ones, and then it stays at the
 * largest number. */
static inline int64_t summary_sum(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* "2026-11-25" */
#define SUMMARY_DATE_SIZE 16
void summary_date(summary_day_number day, char date[SUMMARY_DATE_SIZE]);

#endif
