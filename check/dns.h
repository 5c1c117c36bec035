/* SPDX-License-Identifier: MIT
 * DNS look-ups through a recursive resolver, by libresolv.
 */
#ifndef CHECK_DNS_H
#define CHECK_DNS_H

#include "facts.h"

/* Everything that DNS says of the domain. `resolver` is asked (NULL: those of resolv.conf), one
 * question after the other; after some that stayed without an answer it is given up. */
void dns_collect(const struct address *resolver, const char *domain, struct dns_facts *facts);

/* The record at _mta-sts.DOMAIN alone. */
void dns_collect_sts(const struct address *resolver, const char *domain, struct dns_texts *texts);

#endif
