/* SPDX-License-Identifier: MIT
 * Fetches our own policy as a sender would: a health check that needs no other program.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>

#include "config.h"
#include "tls.h"

/* Fetches the policy of the first domain that has a certificate, from `address` or, if it is NULL,
 * from the first `listen` of the INI, and compares it with the INI byte for byte. Says on standard
 * output that it is right, or on standard error what is wrong; takes at most 5 seconds. */
bool probe(const struct config *config, const struct tls_store *store,
           const struct address *address);

#endif
