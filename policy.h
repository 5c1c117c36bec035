/* SPDX-License-Identifier: MIT
 * One MTA-STS policy (RFC 8461): lint, render, parse, id; and the values of the two TXT records
 * that go with it. Pure: no I/O, no clock.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finding.h"
#include "memory.h"
#include "text.h"

#define POLICY_MAX_AGE_MAX 31557600u /* seconds, RFC 8461 section 3.2 */
#define POLICY_BODY_MAX 10240        /* octets that the strictest sender reads (chasquid) */
#define POLICY_ID_MAX 32             /* RFC 8461 section 3.1 */
#define POLICY_ID_DIGITS 24          /* hex digits of the digest in our id, DESIGN section 8 */
#define POLICY_DIGEST_SIZE 32        /* SHA-256 */
#define POLICY_TXT_MAX 2048          /* longest TXT value that is built here */
/* More mx than a body can hold; also bounds what compares each with each. */
#define POLICY_MX_MAX 1500

enum policy_mode {
    POLICY_MODE_NONE,
    POLICY_MODE_TESTING,
    POLICY_MODE_ENFORCE,
};

struct policy_mx {
    char *pattern; /* lower case */
    unsigned line;
};

struct policy {
    enum policy_mode mode;
    uint32_t max_age; /* seconds */
    unsigned max_age_line, max_age_column;
    struct policy_mx *mx; /* in the order of the INI or the file */
    size_t mx_count;
    unsigned *mx_columns; /* one for each mx; NULL if they are not known */
};

/* A value as an administrator wrote it; text is NULL where it is absent. */
struct policy_value {
    const char *text;
    unsigned line;
};

struct policy_values {
    struct policy_value *items;
    size_t count;
};

/* One [policy] section as written. */
struct policy_source {
    const char *file;
    unsigned line;   /* of the section header */
    bool incomplete; /* a line of it could not be read: what is missing may stand there */
    struct policy_values domains, mx, rua;
    struct policy_value version, mode, max_age, serial, previous_max_age;
};

/* Judges a section by P01-P23, P26, P28, D01-D03, D06 and T01-T09 of the rules and fills *policy,
 * with memory of the arena. False if an error was found, or the section is incomplete. */
bool policy_lint(const struct policy_source *source, struct arena *arena,
                 struct finding_list *findings, struct policy *policy);

/* Warns of what is valid and yet unwise: P05-P09, P21 and P23. What depends on the mode is said
 * only where the mode is known. */
void policy_advise(const struct policy *policy, bool mode_known, const char *file,
                   struct finding_list *findings);

/* True for a mail domain that can have a policy (D01, D02); else *code and *reason, the end of a
 * sentence, say what is wrong with it. */
bool policy_domain_is_valid(const char *domain, const char **code, const char **reason);

/* Judges one mx pattern (RFC 8461 section 3.2; P12-P18). What is against the grammar is an error;
 * an IPv4 address, which the grammar lets through, has the severity that is given; so has any other
 * name that ends in a number, but only as an error. */
void policy_lint_mx(const char *mx, size_t len, struct place place,
                    enum finding_severity number_severity, struct finding_list *findings);
/* The part of policy_advise that is about one of the mx. */
void policy_advise_mx(const struct policy *policy, const char *pattern, struct place place,
                      struct finding_list *findings);
/* The length of the `*.` that a pattern begins with, 0 without one: a name follows. */
size_t policy_mx_prefix(const char *mx, size_t len);
/* True if the policy has this very pattern. Not looked for among more than POLICY_MX_MAX. */
bool policy_mx_is_listed(const struct policy *policy, const char *pattern);

const char *policy_mode_name(enum policy_mode mode);
/* False if the text is not exactly one of the three names (they are case-sensitive). */
bool policy_mode_from_name(const char *name, size_t len, enum policy_mode *mode);
/* 1 to 10 decimal digits and nothing else (RFC 8461 section 3.2). */
bool policy_number(const char *digits, size_t len, uint64_t *number);
/* True if `host` matches the pattern; a wildcard stands for exactly one label (RFC 8461
 * section 4.1). */
bool policy_mx_matches(const char *pattern, const char *host);

/* Appends the exact bytes to serve (DESIGN section 8). */
void policy_render(const struct policy *policy, struct text *out);
bool policy_equal(const struct policy *a, const struct policy *b);

/* Writes the id: hex digits of the SHA-256 digest of the body, and `s` with the serial if there is
 * one (serial may be NULL; at most 7 digits). */
void policy_id(const uint8_t digest[POLICY_DIGEST_SIZE], const char *serial,
               char id[POLICY_ID_MAX + 1]);

enum policy_verdict {
    POLICY_VALID,
    POLICY_INVALID,
    POLICY_CONTRADICTORY, /* the RFC allows it in one place and forbids it in another */
};
const char *policy_verdict_name(enum policy_verdict verdict);

/* Parses a policy file by the letter of RFC 8461 section 3.2. Every fault is an error with line and
 * column; what is valid but refused by some sender is a warning SENDERS_DIFFER that names it. The
 * values are in *policy (memory of the arena) where the verdict is not POLICY_INVALID. */
enum policy_verdict policy_parse(const char *text, size_t len, const char *file,
                                 struct arena *arena, struct finding_list *findings,
                                 struct policy *policy);

/* Parse a TXT value, its character-strings joined: RFC 8461 section 3.1 with its first id in *id
 * (may be NULL), RFC 8460 section 3. Findings as for policy_parse, on line 1. */
enum policy_verdict policy_parse_sts_txt(const char *text, size_t len, const char *file,
                                         struct finding_list *findings, char id[POLICY_ID_MAX + 1]);
enum policy_verdict policy_parse_tlsrpt_txt(const char *text, size_t len, const char *file,
                                            struct finding_list *findings);

/* Append the values of `_mta-sts.<domain>` and `_smtp._tls.<domain>`. */
void policy_sts_txt(const char *id, struct text *out);
void policy_tlsrpt_txt(const struct policy_values *rua, struct text *out);

#endif
