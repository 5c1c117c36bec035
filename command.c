/* SPDX-License-Identifier: MIT
 * The commands that print or judge something and end: what an administrator runs at a desk, and the
 * health check.
 */
#include "command.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "file.h"
#include "probe.h"
#include "snapshot.h"
#include "zone.h"

#define LINT_SIZE_MAX (1u << 20)

static void print_findings(const struct finding_list *findings, bool json, FILE *out)
{
    if (json)
        finding_print_json(findings, out);
    else
        finding_print(findings, out);
}

/* A full disk or a closed pipe must not pass for success. */
static int finish(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("mta-stsd: standard output");
        return EXIT_ERROR;
    }
    return code;
}

/* True where there is no INI file to judge. */
static bool is_unread(const struct finding_list *findings)
{
    return findings->count > 0 && strcmp(findings->items[0].code, "INI_FILE") == 0;
}

/* What a start would say of the user; only started as root does one need it. */
static void check_user(const struct config *config, struct finding_list *findings)
{
    struct sandbox sandbox = {0};

    if (command_find_user(config, &sandbox, findings) && config->server.user.text == NULL)
        finding_add(findings, FINDING_INFO, "USER", (struct place){config->path, 0, 0},
                    "there is no user: started as root, as it is without systemd or a container, "
                    "it refuses to serve");
}

int command_check(const struct options *options)
{
    struct finding_list findings = {0};
    struct config config;

    config_load(&config, options->config, &findings);
    /* Certificates are looked at even where the INI has errors: all that is wrong, in one run. */
    struct tls_store *store = snapshot_load_store(&config, NULL, &findings);
    if (!is_unread(&findings))
        check_user(&config, &findings);
    if (finding_list_ok(&findings))
        finding_add(
            &findings, FINDING_INFO, "PUBLISH_ORDER", (struct place){config.path, 0, 0},
            "after a change: serve the policy first, then publish its new id (--print-dns), "
            "and keep the old MX hosts until the TTL is over");
    bool good = finding_list_ok(&findings);
    print_findings(&findings, options->json, stdout);
    if (!options->json)
        printf("%s: domains: %zu, usable: %zu, policies: %zu, errors: %zu, warnings: %zu\n",
               options->config, config.domain_count, store == NULL ? 0 : tls_store_usable(store),
               config.policy_count, findings.errors, findings.warnings);
    tls_store_free(store);
    finding_list_free(&findings);
    config_free(&config);
    return finish(good ? EXIT_FINE : EXIT_ERROR);
}

/* Loads the INI for a command that prints; with errors they go to standard error. */
static bool load_to_print(const struct options *options, struct config *config,
                          const struct config_domain **domain)
{
    struct finding_list findings = {0};
    bool good = config_load(config, options->config, &findings);

    if (!good)
        finding_print(&findings, stderr);
    finding_list_free(&findings);
    *domain = NULL;
    if (good && options->operand != NULL) {
        *domain = config_find_domain(config, options->operand);
        if (*domain == NULL) {
            fprintf(stderr, "mta-stsd: %s is not a domain of %s\n", options->operand,
                    options->config);
            good = false;
        }
    }
    return good;
}

int command_print_policy(const struct options *options)
{
    struct config config;
    const struct config_domain *domain;
    int code = EXIT_ERROR;

    if (load_to_print(options, &config, &domain)) {
        if (domain == NULL && config.policy_count == 1)
            domain = &config.domains[0];
        if (domain != NULL) {
            fwrite(domain->policy->body, 1, domain->policy->body_len, stdout);
            code = EXIT_FINE;
        } else {
            fprintf(stderr, "mta-stsd: %s has %zu policies: name the domain\n", options->config,
                    config.policy_count);
        }
    }
    config_free(&config);
    return finish(code);
}

int command_print_dns(const struct options *options)
{
    struct config config;
    const struct config_domain *domain;
    int code = EXIT_ERROR;

    if (load_to_print(options, &config, &domain)) {
        if (options->json)
            zone_print_json(stdout, &config, domain, options->ttl, time(NULL));
        else
            zone_print(stdout, &config, domain, options->ttl, time(NULL));
        code = EXIT_FINE;
    }
    config_free(&config);
    return finish(code);
}

/* What follows the value in a file that a shell or an editor made is not part of it. */
static size_t without_line_end(const struct file *file)
{
    size_t len = file->len;

    if (len > 0 && file->bytes[len - 1] == '\n')
        len--;
    if (len > 0 && len < file->len && file->bytes[len - 1] == '\r')
        len--;
    return len;
}

static enum policy_verdict lint(const struct options *options, const struct file *file,
                                const char *name, struct finding_list *findings)
{
    struct arena arena = {0};
    struct policy policy;
    enum policy_verdict verdict = POLICY_INVALID;

    switch (options->as) {
    case COMMAND_TEXT_POLICY:
        verdict = policy_parse(file->bytes, file->len, name, &arena, findings, &policy);
        break;
    case COMMAND_TEXT_STS:
        verdict = policy_parse_sts_txt(file->bytes, without_line_end(file), name, findings, NULL);
        break;
    case COMMAND_TEXT_TLSRPT:
        verdict = policy_parse_tlsrpt_txt(file->bytes, without_line_end(file), name, findings);
        break;
    }
    arena_free(&arena);
    return verdict;
}

/* A file that cannot be read has no verdict. */
static int lint_unread(const struct options *options, const char *name, const char *why)
{
    struct finding_list findings = {0};

    if (!options->json) {
        fprintf(stderr, "mta-stsd: %s: %s\n", name, why);
        return EXIT_ERROR;
    }
    finding_add(&findings, FINDING_ERROR, "LINT_FILE", (struct place){name, 0, 0},
                "cannot read the file: %s", why);
    fputs("{\"verdict\":null,\"result\":\n", stdout);
    finding_print_json(&findings, stdout);
    puts("}");
    finding_list_free(&findings);
    return finish(EXIT_ERROR);
}

int command_lint(const struct options *options)
{
    const char *name = strcmp(options->operand, "-") == 0 ? "stdin" : options->operand;
    struct finding_list findings = {0};
    struct file file;
    const char *why = file_read_pipe(options->operand, LINT_SIZE_MAX, &file);

    if (why != NULL)
        return lint_unread(options, name, why);
    enum policy_verdict verdict = lint(options, &file, name, &findings);
    if (options->json) {
        printf("{\"verdict\":\"%s\",\"result\":\n", policy_verdict_name(verdict));
        finding_print_json(&findings, stdout);
        puts("}");
    } else {
        finding_print(&findings, stdout);
        printf("%s: %s\n", name, policy_verdict_name(verdict));
    }
    file_free(&file);
    finding_list_free(&findings);
    return finish(verdict == POLICY_VALID ? EXIT_FINE : EXIT_ERROR);
}

int command_probe(const struct options *options)
{
    struct finding_list findings = {0};
    struct config config;
    struct address address;
    bool good = false;

    if (options->operand != NULL && !address_parse(options->operand, &address)) {
        fprintf(stderr, "mta-stsd: %s is not a numeric address and port, like 127.0.0.1:443\n",
                options->operand);
        return EXIT_USAGE;
    }
    if (!config_load(&config, options->config, &findings)) {
        finding_print(&findings, stderr);
    } else {
        struct tls_store *store = snapshot_load_store(&config, NULL, &findings);
        good = store != NULL && probe(&config, store, options->operand == NULL ? NULL : &address);
        tls_store_free(store);
    }
    finding_list_free(&findings);
    config_free(&config);
    return finish(good ? EXIT_FINE : EXIT_ERROR);
}
