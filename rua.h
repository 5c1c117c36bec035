/* SPDX-License-Identifier: MIT
 * TLS-RPT report addresses: mailto and https URIs (RFC 8460 section 3, RFC 3986). Pure.
 */
#ifndef RUA_H
#define RUA_H

#include <stddef.h>

#include "finding.h"

/* NULL if it is a URI that a `rua` may hold: else what is wrong with it, as a sentence. */
const char *rua_fault(const char *uri, size_t len);

/* NULL, or what makes a valid URI useless or keeps some reporter from using it, as a sentence: no
 * host name where one belongs, or a part of a URI that has no meaning here (T05, T07). */
const char *rua_doubt(const char *uri, size_t len);

/* What some reporter makes of a valid URI, as SENDERS_DIFFER warnings (T04, T05, T07). */
void rua_lint_quirks(const char *uri, size_t len, struct place place,
                     struct finding_list *findings);

/* Judges a `rua` value of the INI: T01-T05, T07, T09; a doubt is an error here. `enforced_domain`
 * is the domain that a mailto address ends in, if its policy is enforced, else NULL. */
void rua_lint(const char *uri, const char *enforced_domain, struct place place,
              struct finding_list *findings);

#endif
