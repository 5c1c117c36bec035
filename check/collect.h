/* SPDX-License-Identifier: MIT
 * Looks at several domains side by side: DNS first, then every address of every host.
 */
#ifndef CHECK_COLLECT_H
#define CHECK_COLLECT_H

#include "facts.h"

#define COLLECT_DOMAINS_MAX 16 /* looked at together */

struct collect_options {
    const struct address *resolver; /* NULL: those of the system */
    struct tls_roots *roots;
    const char *localname; /* for EHLO */
    uint16_t port, smtp_port;
    unsigned timeout; /* seconds for each address */
    bool smtp;
    void (*progress)(size_t ended, size_t count); /* may be NULL */
};

struct collection;
/* Fills the facts of at most COLLECT_DOMAINS_MAX domains, of which `domain` is set. They live in
 * the collection that is returned; NULL without memory. */
struct collection *collect(const struct collect_options *options, struct domain_facts *domains,
                           size_t count);
void collection_free(struct collection *collection);

#endif
