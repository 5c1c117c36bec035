/* SPDX-License-Identifier: MIT
 * The DNS records that go with a policy, as a zone-file fragment or as data.
 */
#ifndef ZONE_H
#define ZONE_H

#include <stdio.h>
#include <time.h>

#include "config.h"

/* Both print for one domain, or for all of the configuration if it is NULL. ttl in seconds; `now`
 * is what the removal date of mode none is reckoned from. */
void zone_print(FILE *out, const struct config *config, const struct config_domain *only,
                unsigned ttl, time_t now);
void zone_print_json(FILE *out, const struct config *config, const struct config_domain *only,
                     unsigned ttl, time_t now);

/* When the policy of mode none, its TXT record and its host may be taken away if they are published
 * now (RFC 8461 section 8.3): now + the larger of previous_max_age and seven days, to which one
 * sender raises short policies, + ttl. 0 without a previous_max_age: nobody can tell. */
time_t zone_removal_time(const struct config_policy *policy, unsigned ttl, time_t now);

#endif
