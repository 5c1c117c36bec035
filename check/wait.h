/* SPDX-License-Identifier: MIT
 * Waiting until a new id has reached DNS.
 */
#ifndef CHECK_WAIT_H
#define CHECK_WAIT_H

#include "facts.h"

/* Asks again and again, at most `seconds` long, until the id that each domain publishes is that of
 * the INI, and prints when it is; false if one is not in time. */
bool wait_for_dns(const struct address *resolver, const struct domain_facts *domains, size_t count,
                  unsigned seconds);

#endif
