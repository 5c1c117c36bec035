/* SPDX-License-Identifier: MIT
 * From what was seen of a domain to findings: which of it breaks mail or its protection, and what
 * to do. Pure.
 */
#ifndef CHECK_CHECKS_H
#define CHECK_CHECKS_H

#include "facts.h"
#include "finding.h"

/* What a domain's findings are made from, and the findings. A finding's place.file is what it is
 * about: a name, or a host with one of its addresses. */
struct checks {
    const struct domain_facts *facts;
    struct finding_list findings;
    struct finding_list seen; /* what is as it must be: not findings, lines for people */
    struct arena arena;
    bool policy_known; /* the policy that is served, or else that of the INI */
    struct policy policy;
    char host[FACTS_NAME_SIZE + sizeof "mta-sts."];
    char served_id[POLICY_ID_MAX + 1]; /* of the body that is served; empty: none */
};

/* Judges a domain; checks_free ends it in any case. */
void checks_run(struct checks *checks, const struct domain_facts *facts);
void checks_free(struct checks *checks);

/* Parts of checks_run. The policy comes first: how grave the others are depends on its mode. */
void checks_policy_host(struct checks *checks);
void checks_policy(struct checks *checks, const char *body, size_t len);
void checks_txt(struct checks *checks);
void checks_report_txt(struct checks *checks);
void checks_mx(struct checks *checks);

/* What they share. */
void checks_add(struct checks *checks, enum finding_severity severity, const char *code,
                const char *subject, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A line of what was seen: topic ("dns", "policy", "mx") and text. */
void checks_saw(struct checks *checks, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line to paste for the last finding, with a host name at its end: none if the name has bytes
 * that a shell or an INI file would take for something else. */
void checks_fix(struct checks *checks, const char *line, const char *host);
/* "not tested", for a question that the resolver did not answer; true if it is one of those. */
bool checks_unanswered(struct checks *checks, enum dns_status status, const char *subject,
                       const char *type);
/* "not tested": an address that there is no way to from here; more addresses than are looked at. */
void checks_no_route(struct checks *checks, const char *subject, const char *fault);
void checks_more(struct checks *checks, const struct dns_addresses *addresses, const char *name);
/* Error under enforce, warning otherwise. */
enum finding_severity checks_by_mode(const struct checks *checks);

/* The codes of the three ways in which a certificate can be wrong, and of its end being near. */
struct certificate_codes {
    const char *chain, *name, *date, *soon;
};
/* Judges a peer's certificate for `host`. True if senders accept it. */
bool checks_certificate(struct checks *checks, const struct tls_peer *peer, const char *host,
                        const char *subject, enum finding_severity severity,
                        const struct certificate_codes *codes);

#define CHECKS_SUBJECT_SIZE (FACTS_NAME_SIZE + ADDRESS_TEXT_SIZE + 8)
/* "NAME [ADDRESS]" */
void checks_subject(char subject[CHECKS_SUBJECT_SIZE], const char *name,
                    const struct address *address);

#endif
