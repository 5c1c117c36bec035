/* SPDX-License-Identifier: MIT
 * Which reports have been counted: senders, and what forwards their mail, send some again.
 */
#include <stdio.h>
#include <string.h>

#include "report/summary_internal.h"

/* What is kept of a report to know it again. */
struct known_report {
    const char *organization, *id;
    uint64_t contents;
};

static int compare_known(const void *a, const void *b)
{
    const struct known_report *x = a, *y = b;
    int order = strcmp(x->organization, y->organization);

    return order != 0 ? order : strcmp(x->id, y->id);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t mix_string(uint64_t hash, const char *string)
{
    for (; *string != '\0'; string++)
        hash = mix(hash, (unsigned char)*string);
    return mix(hash, 0x100);
}

/* Of all that counts. Two reports without an id are one if they have the same. */
static uint64_t hash_contents(const struct tlsrpt_report *report)
{
    uint64_t hash = mix(mix(1, (uint64_t)report->start), (uint64_t)report->end);

    for (size_t i = 0; i < report->policy_count; i++) {
        const struct tlsrpt_policy *policy = &report->policies[i];
        hash = mix_string(mix_string(hash, policy->domain), policy->text);
        hash = mix(mix(mix(hash, policy->type), (uint64_t)policy->good), (uint64_t)policy->failed);
        for (size_t k = 0; k < policy->failure_count; k++) {
            const struct tlsrpt_failure *failure = &policy->failures[k];
            hash = mix_string(mix_string(hash, failure->result), failure->mx);
            hash = mix_string(mix_string(hash, failure->sending_ip), failure->receiving_ip);
            hash = mix(hash, (uint64_t)failure->count);
        }
    }
    return hash;
}

/* Nothing is "safe" that may have failed in a report that does not count. */
static void leave_out(struct summary *s, const struct tlsrpt_report *report)
{
    for (size_t i = 0; i < report->policy_count; i++) {
        const struct tlsrpt_policy *policy = &report->policies[i];
        struct summary_domain *domain = summary_find_domain(s, policy->domain);
        if (policy->failed == 0 && !policy->doubtful && policy->failure_count == 0)
            continue;
        s->failures_left_out = true;
        if (domain != NULL)
            domain->incomplete = true;
    }
}

enum summary_result summary_know(struct summary *s, const struct tlsrpt_report *report)
{
    struct known_report key = {
        .organization = report->organization, .id = report->id, .contents = hash_contents(report)};
    char number[32];

    if (key.id[0] == '\0') {
        snprintf(number, sizeof number, "without id %016llx", (unsigned long long)key.contents);
        key.id = number;
    }
    const struct known_report *known = summary_set_find(&s->known, &key, compare_known);
    if (known != NULL) {
        s->duplicates++;
        if (known->contents == key.contents)
            return SUMMARY_DUPLICATE;
        leave_out(s, report);
        return SUMMARY_DIFFERS;
    }
    key.organization = summary_keep(s, key.organization);
    key.id = summary_keep(s, key.id);
    return summary_set_add(s, &s->known, &key, sizeof key, compare_known) == NULL ? SUMMARY_FULL
                                                                                  : SUMMARY_COUNTED;
}
