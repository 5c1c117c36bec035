/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as an INI file. What is accepted yields policies and DNS records that a
 * second reading finds well-formed; every complaint is printable and about a line that the file
 * has; and the same bytes always yield the same.
 */
#include "fuzz.h"

#include <ctype.h>
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "tls.h"
#include "zone.h"

#define NOW 1795000000 /* 2026-11-18 */
#define TTL 3600
#define NAME_BYTES "0123456789abcdefghijklmnopqrstuvwxyz-."

struct loaded {
    struct config config;
    struct finding_list findings;
    bool good;
};

static void load(const char *path, struct loaded *loaded)
{
    loaded->findings = (struct finding_list){0};
    loaded->good = config_load(&loaded->config, path, &loaded->findings);
    require(loaded->good == finding_list_ok(&loaded->findings));
    require(!loaded->findings.out_of_memory);
}

static void unload(struct loaded *loaded)
{
    config_free(&loaded->config);
    finding_list_free(&loaded->findings);
}

static unsigned count_lines(const char *bytes, size_t len)
{
    unsigned lines = len > 0 && bytes[len - 1] != '\n';

    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static void check_json(const char *text, size_t len)
{
    json_error_t error;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

    require(json != NULL);
    json_decref(json);
    for (size_t i = 0; i < len; i++)
        require(text[i] == '\n' || fuzz_is_printable(text + i, 1));
}

static void check_findings(const struct loaded *loaded, const char *path, unsigned lines)
{
    const struct finding_list *list = &loaded->findings;
    char *text = NULL;
    size_t len = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct finding *f = &list->items[i];
        require(strcmp(f->place.file, path) == 0);
        require(f->place.line <= lines && f->place.column == 0);
        require(f->text[0] != '\0' && fuzz_is_printable(f->text, strlen(f->text)));
        require(f->fix == NULL);
    }
    FILE *out = open_memstream(&text, &len);
    require(out != NULL);
    finding_print_json(list, out);
    fclose(out);
    check_json(text, len);
    free(text);
}

static void check_same(const struct loaded *a, const struct loaded *b)
{
    require(a->good == b->good && a->findings.count == b->findings.count);
    for (size_t i = 0; i < a->findings.count; i++) {
        const struct finding *x = &a->findings.items[i], *y = &b->findings.items[i];
        require(x->severity == y->severity && x->place.line == y->place.line);
        require(strcmp(x->code, y->code) == 0 && strcmp(x->text, y->text) == 0);
    }
    require(a->config.policy_count == b->config.policy_count);
    for (size_t i = 0; i < a->config.policy_count; i++) {
        const struct config_policy *x = &a->config.policies[i], *y = &b->config.policies[i];
        require(strcmp(x->id, y->id) == 0 && x->body_len == y->body_len);
        require(x->body_len == 0 || memcmp(x->body, y->body, x->body_len) == 0);
    }
}

/* Whatever the file says, these stay within their bounds. */
static void check_server(const struct config *config)
{
    require(config->workers <= 64);
    require(config->max_connections >= 1 && config->max_connections <= 65536);
    require(config->max_per_source <= 65536);
    require(config->timeout >= 1 && config->timeout <= 300);
}

/* The next line of a body, without its CRLF. */
static const char *next_line(const char **at, const char *end, size_t *len)
{
    const char *line = *at, *cr = memchr(line, '\r', (size_t)(end - line));

    require(cr != NULL && cr + 1 < end && cr[1] == '\n');
    *len = (size_t)(cr - line);
    *at = cr + 2;
    return line;
}

static bool begins(const char *line, size_t len, const char *with)
{
    return len > strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* Every octet, by what every sender reads: `version`, `mode`, each `mx` and `max_age`, in order. */
static void check_body(const struct config_policy *policy)
{
    const char *at = policy->body, *end = at + policy->body_len, *line;
    size_t len, count = 0;

    require(policy->body_len > 0 && policy->body_len <= POLICY_BODY_MAX);
    line = next_line(&at, end, &len);
    require(len == 14 && memcmp(line, "version: STSv1", 14) == 0);
    line = next_line(&at, end, &len);
    require((len == 13 && memcmp(line, "mode: enforce", 13) == 0) ||
            (len == 13 && memcmp(line, "mode: testing", 13) == 0) ||
            (len == 10 && memcmp(line, "mode: none", 10) == 0));
    bool none = len == 10;
    while (begins(line = next_line(&at, end, &len), len, "mx: ")) {
        size_t skip = len > 6 && line[4] == '*' && line[5] == '.' ? 6 : 4;
        require(fuzz_is_of(line + skip, len - skip, NAME_BYTES) && len - skip <= 253);
        require(line[len - 1] != '.' && line[len - 1] != '-' && line[skip] != '.');
        count++;
    }
    require(count > 0 || none);
    require(begins(line, len, "max_age: ") && fuzz_is_of(line + 9, len - 9, FUZZ_DIGITS));
    require(strtoul(line + 9, NULL, 10) <= 31557600 && (len == 10 || line[9] != '0'));
    require(at == end);
}

static void check_id(const struct config_policy *policy)
{
    uint8_t digest[32];
    char wanted[POLICY_ID_MAX + 1] = "";
    const char *serial = policy->source.serial.text;

    require(tls_sha256(policy->body, policy->body_len, digest));
    for (int i = 0; i < 12; i++)
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%02x", digest[i]);
    require(strncmp(policy->id, wanted, 24) == 0);
    require(strlen(policy->id) <= 32 && fuzz_is_of(policy->id, strlen(policy->id), FUZZ_ALNUM));
    require(serial == NULL ? policy->id[24] == '\0'
                           : policy->id[24] == 's' && strcmp(policy->id + 25, serial) == 0);
}

static void check_policy(const struct config_policy *policy)
{
    struct arena arena = {0};
    struct finding_list findings = {0};
    struct policy parsed;

    check_body(policy);
    check_id(policy);
    require(policy_parse(policy->body, policy->body_len, "", &arena, &findings, &parsed) ==
            POLICY_VALID);
    require(policy_equal(&parsed, &policy->policy));
    arena_free(&arena);
    finding_list_free(&findings);
}

static void check_domain(const struct config *config, const struct config_domain *domain)
{
    char host[300];
    size_t len = strlen(domain->name);

    require(fuzz_is_of(domain->name, len, NAME_BYTES) && len > 0 && len <= 253);
    snprintf(host, sizeof host, "mta-sts.%s", domain->name);
    require(strcmp(host, domain->host) == 0);
    require(config_find_domain(config, domain->name) == domain);
    for (char *p = host; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
    require(config_find_host(config, host, strlen(host)) == domain);
    require(config_find_host(config, host, strlen(host) - 1) != domain);
}

/* A record: NAME. TTL IN TXT "..." "...", its strings joined into `value`. */
static void read_record(char *line, char **name, char value[POLICY_TXT_MAX])
{
    static const char middle[] = ". 3600 IN TXT";
    char *at = strstr(line, middle);
    size_t len = 0;

    require(at != NULL);
    *at = '\0';
    *name = line;
    require(fuzz_is_of(line, strlen(line), NAME_BYTES "_"));
    for (at += strlen(middle); *at != '\0'; at++) {
        require(at[0] == ' ' && at[1] == '"');
        char *text = at + 2, *end = strchr(text, '"');
        require(end != NULL && end - text <= 255 && len + (size_t)(end - text) < POLICY_TXT_MAX);
        require(memchr(text, '\\', (size_t)(end - text)) == NULL);
        memcpy(value + len, text, (size_t)(end - text));
        len += (size_t)(end - text);
        at = end;
    }
    value[len] = '\0';
}

static void check_record(const struct config *config, char *line)
{
    char value[POLICY_TXT_MAX], id[POLICY_ID_MAX + 1], *name;
    struct finding_list findings = {0};

    read_record(line, &name, value);
    bool sts = strncmp(name, "_mta-sts.", 9) == 0;
    require(sts || strncmp(name, "_smtp._tls.", 11) == 0);
    const struct config_domain *domain = config_find_domain(config, name + (sts ? 9 : 11));
    require(domain != NULL);
    if (sts) {
        require(policy_parse_sts_txt(value, strlen(value), "", &findings, id) == POLICY_VALID);
        require(findings.count == 0 && strcmp(id, domain->policy->id) == 0);
    } else {
        require(domain->policy->source.rua.count > 0);
        require(policy_parse_tlsrpt_txt(value, strlen(value), "", &findings) == POLICY_VALID);
    }
    finding_list_free(&findings);
}

/* Comments and records; one _mta-sts record a domain. */
static void check_zone(const struct config *config)
{
    char *text = NULL, *rest, *line;
    size_t len = 0, records = 0, wanted = config->domain_count;
    FILE *out = open_memstream(&text, &len);

    require(out != NULL);
    zone_print(out, config, NULL, TTL, NOW);
    fclose(out);
    for (rest = text; (line = strsep(&rest, "\n")) != NULL;) {
        require(fuzz_is_printable(line, strlen(line)));
        if (*line == ';' || *line == '\0')
            continue;
        check_record(config, line);
        records++;
    }
    free(text);
    for (size_t i = 0; i < config->domain_count; i++)
        wanted += config->domains[i].policy->source.rua.count > 0;
    require(records == wanted);
    out = open_memstream(&text, &len);
    require(out != NULL);
    zone_print_json(out, config, NULL, TTL, NOW);
    fclose(out);
    check_json(text, len);
    free(text);
}

static void check_accepted(const struct config *config)
{
    require(config->policy_count > 0 && config->domain_count >= config->policy_count);
    require(config->listen_count > 0);
    for (size_t i = 0; i < config->policy_count; i++)
        check_policy(&config->policies[i]);
    for (size_t i = 0; i < config->domain_count; i++)
        check_domain(config, &config->domains[i]);
    check_zone(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct loaded first, second;
    char path[64];
    int fd = memfd_create("ini", MFD_CLOEXEC);

    if (!ready)
        ready = tls_init();
    require(ready);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    load(path, &first);
    load(path, &second);
    check_findings(&first, path, count_lines((const char *)data, size));
    check_same(&first, &second);
    check_server(&first.config);
    if (first.good)
        check_accepted(&first.config);
    unload(&first);
    unload(&second);
    close(fd);
    return 0;
}
