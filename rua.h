/* SPDX-License-Identifier: MIT
 * TLS-RPT report addresses: mailto and https URIs (RFC 8460 section 3, RFC 3986). Pure.
 */
#ifndef RUA_H
#define RUA_H

#include <stddef.h>

#include "finding.h"

/* NULL if it is a URI that a `rua` may hold: else what is wrong with it, as a sentence. */
const char *rua_fault(const char *uri, size_t len);

/* What some reporter makes of a valid URI, as SENDERS_DIFFER warnings (T04, T05, T07). */
void rua_lint_quirks(const char *uri, size_t len, struct place place,
                     struct finding_list *findings);

/* Judges a `rua` value of the INI: T01-T05, T07, T09. `enforced_domain` is the policy domain when
 * its mode is enforce, else NULL. */
void rua_lint(const char *uri, const char *enforced_domain, struct place place,
              struct finding_list *findings);

#endif
