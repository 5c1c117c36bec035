/* SPDX-License-Identifier: MIT
 * Whether a domain can go to enforce, and why not; and what each kind of failure asks for. Pure.
 */
#ifndef REPORT_VERDICT_H
#define REPORT_VERDICT_H

#include "config.h"
#include "report/summary.h"

#define VERDICT_DAYS 14      /* without a failure */
#define VERDICT_REPORTERS 2  /* with good sessions under an sts policy in the last of these days */
#define VERDICT_STALE_DAYS 7 /* the newest report must not be older */
#define VERDICT_REASONS_MAX 8
#define VERDICT_REASON_SIZE 192

enum verdict_kind {
    VERDICT_SAFE,    /* safe to enforce; under enforce: all is well */
    VERDICT_NOT_YET, /* something is missing */
    VERDICT_FAILING, /* sessions failed under enforce in the last two weeks of the reports */
    VERDICT_KINDS,   /* the worst is the last */
};

struct verdict {
    enum verdict_kind kind;
    bool mode_known;
    enum policy_mode mode; /* of the INI, else of the newest policy seen */
    size_t reason_count;   /* one at least: what the verdict rests on, or what is missing */
    char reasons[VERDICT_REASONS_MAX][VERDICT_REASON_SIZE]; /* printable ASCII */
};

/* `today` is the day that the reports are judged on. `configured` is the domain in the INI, or
 * NULL. */
void verdict_of(const struct summary_domain *domain, summary_day_number today,
                const struct config_domain *configured, struct verdict *verdict);

/* "safe", "not-yet", "failing" for machines; a sentence's worth for people, which depends on the
 * mode. */
const char *verdict_name(enum verdict_kind kind);
const char *verdict_words(const struct verdict *verdict);

/* What to do about a result-type (RFC 8460 section 4.3), known or not; one line, never NULL. */
const char *verdict_advice(const char *result);

/* Whether a policy that senders saw is the one of the INI: "current", "not current", or "" if there
 * is no INI that has the domain or the policy was not sent. */
const char *verdict_current(const struct summary_policy *policy,
                            const struct config_domain *configured);

#endif
