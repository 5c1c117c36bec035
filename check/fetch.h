/* SPDX-License-Identifier: MIT
 * Fetching a policy from one address, as a sender does (RFC 8461 section 3.3).
 */
#ifndef CHECK_FETCH_H
#define CHECK_FETCH_H

#include "client.h"
#include "facts.h"

/* What is asked for; all of it borrowed. */
struct fetch_order {
    struct tls_roots *roots;
    char host[FACTS_NAME_SIZE]; /* for SNI, the certificate and Host */
    struct address address;     /* with its port */
    bool connect_only;          /* no request: is there a server with a good certificate? */
    unsigned timeout;           /* seconds for all of it */
};

/* A job (jobs.h): a struct fetch_order, a struct fetch_facts. */
void fetch_run(const void *order, void *facts);

/* Steps that SMTP shares: what a failure of the client was, and what its certificate says. */
void connection_fault(struct connection_facts *facts, const struct client *client);
void connection_peer(struct connection_facts *facts, const struct client *client, const char *host);

#endif
