/* SPDX-License-Identifier: MIT
 * Looking at one address of an MX host: greeting, EHLO, STARTTLS, certificate.
 */
#ifndef CHECK_SMTP_H
#define CHECK_SMTP_H

#include "facts.h"

struct smtp_order {
    struct tls_roots *roots;
    char host[FACTS_NAME_SIZE]; /* for SNI and the certificate */
    struct address address;     /* with its port */
    const char *localname;      /* for EHLO */
    unsigned timeout;           /* seconds for all of it */
};

/* A job (jobs.h): a struct smtp_order, a struct smtp_facts. */
void smtp_run(const void *order, void *facts);

#endif
