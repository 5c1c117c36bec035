/* SPDX-License-Identifier: MIT
 * The INI file (DESIGN section 7) as one immutable configuration, with every policy rendered.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "file.h"
#include "finding.h"
#include "log.h"
#include "memory.h"
#include "policy.h"

#define CONFIG_DEFAULT_PATH "/etc/mta-stsd/mta-stsd.ini"

enum config_sandbox {
    CONFIG_SANDBOX_AUTO,
    CONFIG_SANDBOX_STRICT,
    CONFIG_SANDBOX_OFF,
};

struct config_listen {
    struct address address;
    unsigned line; /* 0: the default */
};

/* One [policy] section. */
struct config_policy {
    struct policy_source source;
    struct policy_value certificate, private_key;
    struct policy policy;
    const char *body; /* the exact bytes served */
    size_t body_len;
    char id[POLICY_ID_MAX + 1];
};

struct config_domain {
    const char *name; /* the mail domain, lower case */
    const char *host; /* mta-sts.<name> */
    const struct config_policy *policy;
    const char *certificate, *private_key; /* paths; NULL if none is set */
    unsigned line;
    unsigned counters; /* kept by metrics.c */
};

/* [server] as written. */
struct config_server {
    unsigned line;
    struct policy_values listen;
    struct policy_value certificate, private_key, user, workers, max_connections, max_per_source,
        timeout, sandbox, log, metrics_file;
};

/* Everything in it lives in its arena until config_free. */
struct config {
    struct arena arena;
    const char *path;
    struct file_stamp stamp; /* of the file as it was read */
    struct config_server server;
    struct config_listen *listen;
    size_t listen_count;
    unsigned workers; /* 0: one a usable CPU */
    unsigned max_connections, max_per_source;
    unsigned timeout; /* seconds */
    enum config_sandbox sandbox;
    enum log_level log;
    const char *metrics_file; /* NULL: none */
    struct config_policy *policies;
    size_t policy_count;
    struct config_domain *domains; /* in the order of the INI */
    size_t domain_count;
    const struct config_domain **by_host; /* sorted */
};

/* Reads and judges the file. False if there is an error among the findings; *config must be freed
 * in any case. Needs tls_init for the digests. */
bool config_load(struct config *config, const char *path, struct finding_list *findings);
void config_free(struct config *config);

/* The domain served on this host name, ignoring ASCII case; NULL if there is none. */
const struct config_domain *config_find_host(const struct config *config, const char *host,
                                             size_t len);
/* The domain of this name, likewise. */
const struct config_domain *config_find_domain(const struct config *config, const char *name);

/* Parts of config_load. config_ini.c: the file's sections, keys and values as they are written. */
void config_read_ini(struct config *config, const char *text, size_t len,
                     struct finding_list *findings);
/* config_server.c: the values of [server]. */
void config_read_server(struct config *config, struct finding_list *findings);

#endif
