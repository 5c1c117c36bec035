/* SPDX-License-Identifier: MIT
 * The INI file as one immutable configuration: reads it, has each part judged, renders every policy
 * and finds a domain by the host name it is served on. All errors are found in one run.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "tls.h"

#define INI_SIZE_MAX (16u << 20)
#define PATH_SIZE 1024
#define LISTEN_USUAL_MAX 1000 /* bounds what compares each with each */
#define HOST_PREFIX "mta-sts."
#define HOST_PLACEHOLDER "{host}"

static void no_memory(struct finding_list *findings)
{
    findings->out_of_memory = true;
}

/* Renders the policy, reads it back as a strict sender does and takes the id from the bytes. */
static void render_policy(struct config *config, struct config_policy *policy,
                          struct finding_list *findings)
{
    char body[POLICY_BODY_MAX + 1];
    uint8_t digest[POLICY_DIGEST_SIZE];
    struct arena arena = {0};
    struct finding_list doubts = {0};
    struct policy parsed;
    struct text out;

    text_init(&out, body, sizeof body);
    policy_render(&policy->policy, &out);
    enum policy_verdict verdict =
        policy_parse(body, out.len, config->path, &arena, &doubts, &parsed);
    if (doubts.out_of_memory)
        no_memory(findings);
    else if (verdict != POLICY_VALID || !policy_equal(&parsed, &policy->policy) ||
             !tls_sha256(body, out.len, digest))
        finding_add(findings, FINDING_ERROR, "RENDER",
                    (struct place){config->path, policy->source.line, 0},
                    "the policy does not survive being rendered and parsed; this is a bug here, "
                    "please report it");
    else
        policy_id(digest, policy->source.serial.text, policy->id);
    finding_list_free(&doubts);
    arena_free(&arena);
    policy->body = arena_copy(&config->arena, body, out.len);
    policy->body_len = out.len;
    if (policy->body == NULL)
        no_memory(findings);
}

/* A path as it is opened: {host} filled in; a relative one below $CREDENTIALS_DIRECTORY, else
 * beside the INI file. */
static const char *resolve_path(struct config *config, const struct policy_value *value,
                                const char *host, struct finding_list *findings)
{
    char path[PATH_SIZE];
    struct text out;
    const char *rest = value->text, *directory = getenv("CREDENTIALS_DIRECTORY"), *placeholder;
    const char *slash = strrchr(config->path, '/');

    if (rest == NULL)
        return NULL;
    text_init(&out, path, sizeof path);
    if (rest[0] != '/' && directory != NULL && host != NULL)
        text_addf(&out, "%s/", directory);
    else if (rest[0] != '/' && slash != NULL)
        text_add_bytes(&out, config->path, (size_t)(slash - config->path) + 1);
    while ((placeholder = strstr(rest, HOST_PLACEHOLDER)) != NULL && host != NULL) {
        text_add_bytes(&out, rest, (size_t)(placeholder - rest));
        text_add(&out, host);
        rest = placeholder + strlen(HOST_PLACEHOLDER);
    }
    text_add(&out, rest);
    if (out.overflow)
        finding_add(findings, FINDING_ERROR, "PATH_LONG",
                    (struct place){config->path, value->line, 0},
                    "the path is longer than %d octets with its directory", PATH_SIZE - 1);
    const char *copy = arena_copy(&config->arena, path, out.len);
    if (copy == NULL)
        no_memory(findings);
    return copy;
}

static const struct policy_value *either(const struct policy_value *own,
                                         const struct policy_value *shared)
{
    return own->text != NULL ? own : shared;
}

static void add_domain(struct config *config, const struct config_policy *policy,
                       const struct policy_value *value, struct finding_list *findings)
{
    const struct config_server *server = &config->server;
    struct config_domain *domain = &config->domains[config->domain_count];
    size_t prefix = strlen(HOST_PREFIX), len = strlen(value->text);
    char *host = arena_alloc(&config->arena, prefix + len + 1);

    if (host == NULL) {
        no_memory(findings);
        return;
    }
    memcpy(host, HOST_PREFIX, prefix);
    memcpy(host + prefix, value->text, len);
    name_lower(host);
    *domain = (struct config_domain){
        .name = host + prefix,
        .host = host,
        .policy = policy,
        .certificate = resolve_path(config, either(&policy->certificate, &server->certificate),
                                    host, findings),
        .private_key = resolve_path(config, either(&policy->private_key, &server->private_key),
                                    host, findings),
        .line = value->line,
    };
    config->by_host[config->domain_count++] = domain;
}

static int compare_hosts(const void *a, const void *b)
{
    const struct config_domain *const *x = a, *const *y = b;

    return strcmp((*x)->host, (*y)->host);
}

static int compare_host_key(const void *key, const void *item)
{
    const struct config_domain *const *domain = item;

    return strcmp(key, (*domain)->host);
}

static void check_repeated_domains(const struct config *config, struct finding_list *findings)
{
    for (size_t i = 1; i < config->domain_count; i++) {
        const struct config_domain *a = config->by_host[i - 1], *b = config->by_host[i];
        if (strcmp(a->host, b->host) == 0)
            finding_add(findings, FINDING_ERROR, "DOMAIN_TWICE",
                        (struct place){config->path, a->line > b->line ? a->line : b->line, 0},
                        "domain %s again: it is in line %u already", a->name,
                        a->line > b->line ? b->line : a->line);
    }
}

static void index_domains(struct config *config, struct finding_list *findings)
{
    const char *code, *reason;
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count; i++)
        count += config->policies[i].source.domains.count;
    config->domains = arena_alloc(&config->arena, count * sizeof *config->domains);
    config->by_host = arena_alloc(&config->arena, count * sizeof *config->by_host);
    if (config->domains == NULL || config->by_host == NULL) {
        no_memory(findings);
        return;
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct config_policy *policy = &config->policies[i];
        for (size_t d = 0; d < policy->source.domains.count; d++) {
            const struct policy_value *value = &policy->source.domains.items[d];
            /* For what is no domain nothing else is looked for, such as a certificate. */
            if (policy_domain_is_valid(value->text, &code, &reason))
                add_domain(config, policy, value, findings);
        }
    }
    qsort(config->by_host, config->domain_count, sizeof *config->by_host, compare_hosts);
    check_repeated_domains(config, findings);
}

/* Two sockets cannot have one address; with port 0 each has a port of its own. */
static void check_repeated_listen(const struct config *config, struct finding_list *findings)
{
    for (size_t i = 1; i < config->listen_count && i < LISTEN_USUAL_MAX; i++) {
        const struct config_listen *listen = &config->listen[i];
        size_t first = 0;
        while (first < i && !address_equal(&config->listen[first].address, &listen->address))
            first++;
        if (first < i && address_port(&listen->address) != 0)
            finding_add(findings, FINDING_ERROR, "SERVER_VALUE",
                        (struct place){config->path, listen->line, 0},
                        "listen: the same address as in line %u", config->listen[first].line);
    }
}

bool config_load(struct config *config, const char *path, struct finding_list *findings)
{
    struct file file;

    *config = (struct config){0};
    config->path = arena_copy(&config->arena, path, strlen(path));
    if (config->path == NULL) {
        no_memory(findings);
        return false;
    }
    config->stamp = file_stamp(path);
    const char *why = file_read(path, INI_SIZE_MAX, &file);
    if (why != NULL) {
        finding_add(findings, FINDING_ERROR, "INI_FILE", (struct place){path, 0, 0},
                    "cannot read the configuration: %s", why);
        return false;
    }
    config_read_ini(config, file.bytes, file.len, findings);
    file_free(&file);
    config_read_server(config, findings);
    check_repeated_listen(config, findings);
    config->metrics_file = resolve_path(config, &config->server.metrics_file, NULL, findings);
    if (config->policy_count == 0)
        finding_add(findings, FINDING_ERROR, "POLICY_MISSING", (struct place){path, 0, 0},
                    "there is no [policy] section: nothing to serve");
    for (size_t i = 0; i < config->policy_count; i++)
        if (policy_lint(&config->policies[i].source, &config->arena, findings,
                        &config->policies[i].policy))
            render_policy(config, &config->policies[i], findings);
    index_domains(config, findings);
    return finding_list_ok(findings);
}

void config_free(struct config *config)
{
    arena_free(&config->arena);
    *config = (struct config){0};
}

const struct config_domain *config_find_host(const struct config *config, const char *host,
                                             size_t len)
{
    char key[NAME_MAX_LEN + 1];

    if (len == 0 || len > NAME_MAX_LEN || config->domain_count == 0)
        return NULL;
    memcpy(key, host, len);
    key[len] = '\0';
    name_lower(key);
    const struct config_domain **found = bsearch(key, config->by_host, config->domain_count,
                                                 sizeof *config->by_host, compare_host_key);
    return found == NULL ? NULL : *found;
}

const struct config_domain *config_find_domain(const struct config *config, const char *name)
{
    char host[sizeof HOST_PREFIX + NAME_MAX_LEN];
    int len = snprintf(host, sizeof host, HOST_PREFIX "%s", name);

    return len < 0 || (size_t)len >= sizeof host ? NULL
                                                 : config_find_host(config, host, (size_t)len);
}
