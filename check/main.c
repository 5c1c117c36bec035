/* SPDX-License-Identifier: MIT
 * The command line of mta-sts-check: options, the domains to look at, the exit code.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collect.h"
#include "name.h"
#include "output.h"
#include "wait.h"

#define EXIT_CLEAN 0
#define EXIT_WARNINGS 1
#define EXIT_ERRORS 2
#define EXIT_CANNOT_RUN 3
#define TIMEOUT_DEFAULT 60
#define TIMEOUT_MAX 600
#define WAIT_DEFAULT 3600
#define WAIT_MAX 604800

enum {
    OPT_JSON = 256,
    OPT_QUIET,
    OPT_NO_SMTP,
    OPT_RESOLVER,
    OPT_CA,
    OPT_PORT,
    OPT_SMTP_PORT,
    OPT_LOCALNAME,
    OPT_TIMEOUT,
    OPT_WAIT_DNS,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"no-smtp", no_argument, NULL, OPT_NO_SMTP},
    {"resolver", required_argument, NULL, OPT_RESOLVER},
    {"ca", required_argument, NULL, OPT_CA},
    {"port", required_argument, NULL, OPT_PORT},
    {"smtp-port", required_argument, NULL, OPT_SMTP_PORT},
    {"localname", required_argument, NULL, OPT_LOCALNAME},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"wait-dns", optional_argument, NULL, OPT_WAIT_DNS},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: mta-sts-check [-c FILE] [OPTION]... [DOMAIN]...\n"
    "\n"
    "Looks at MTA-STS domains as sending servers do, and says what to do. Without a\n"
    "DOMAIN: at all of the INI file.\n"
    "\n"
    "  -c, --config FILE     compare with this INI file of mta-stsd\n"
    "                        (default without DOMAIN: " CONFIG_DEFAULT_PATH ")\n"
    "      --json            for machines\n"
    "      --quiet           findings only, not what is as it must be\n"
    "      --no-smtp         leave the MX hosts alone\n"
    "      --resolver IP[:PORT]  ask this name server, not the system's\n"
    "      --ca FILE         trust these root certificates (default: $SSL_CERT_FILE,\n"
    "                        or those of the system)\n"
    "      --port N          port of the policy hosts (default 443)\n"
    "      --smtp-port N     port of the MX hosts (default 25)\n"
    "      --localname NAME  say this in EHLO (default: the name of this host)\n"
    "      --timeout N       seconds for each address (default 60)\n"
    "      --wait-dns[=SECONDS]  wait until the published id is that of the INI file\n"
    "                        (default 3600), and do nothing else\n"
    "      --version         print the version\n"
    "  -h, --help            print this\n"
    "\n"
    "Exit code: 0 clean, 1 warnings or something not tested, 2 errors, 3 could not run.\n";

struct program {
    struct collect_options options;
    struct output output;
    struct config config;
    struct address resolver;
    const char *config_path, *ca_path;
    unsigned wait_seconds;
    bool wait, show; /* --help or --version has been printed */
    char localname[FACTS_NAME_SIZE];
    struct domain_facts *domains;
    size_t domain_count;
};

static bool complain(const char *text, const char *value)
{
    fprintf(stderr, "mta-sts-check: %s%s%s\n", text, value == NULL ? "" : ": ",
            value == NULL ? "" : value);
    return false;
}

static bool read_number(const char *text, unsigned low, unsigned high, unsigned *number)
{
    uint64_t value = 0;

    if (!policy_number(text, strlen(text), &value) || value < low || value > high)
        return complain("not a number in its range", text);
    *number = (unsigned)value;
    return true;
}

static bool read_port(const char *text, uint16_t *port)
{
    unsigned number = 0;

    if (!read_number(text, 1, UINT16_MAX, &number))
        return false;
    *port = (uint16_t)number;
    return true;
}

/* With or without a port; an IPv6 address without one may lack its brackets. */
static bool read_resolver(struct program *p, const char *text)
{
    static const char *const around[][2] = {{"", ""}, {"", ":53"}, {"[", "]:53"}};
    char whole[128];

    p->options.resolver = &p->resolver;
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        int len = snprintf(whole, sizeof whole, "%s%s%s", around[i][0], text, around[i][1]);
        if ((size_t)len < sizeof whole && address_parse(whole, &p->resolver) &&
            address_port(&p->resolver) != 0)
            return true;
    }
    return complain("not a numeric address of a name server", text);
}

static bool read_localname(struct program *p, const char *text)
{
    if (!name_is_valid(text, strlen(text), NULL))
        return complain("not a host name", text);
    snprintf(p->localname, sizeof p->localname, "%s", text);
    return true;
}

static bool read_option(struct program *p, int option, const char *argument)
{
    switch (option) {
    case 'c':
        p->config_path = argument;
        return true;
    case OPT_JSON:
        return p->output.json = true;
    case OPT_QUIET:
        return p->output.quiet = true;
    case OPT_NO_SMTP:
        p->options.smtp = false;
        return true;
    case OPT_RESOLVER:
        return read_resolver(p, argument);
    case OPT_CA:
        p->ca_path = argument;
        return true;
    case OPT_PORT:
        return read_port(argument, &p->options.port);
    case OPT_SMTP_PORT:
        return read_port(argument, &p->options.smtp_port);
    case OPT_LOCALNAME:
        return read_localname(p, argument);
    case OPT_TIMEOUT:
        return read_number(argument, 1, TIMEOUT_MAX, &p->options.timeout);
    case OPT_WAIT_DNS:
        p->wait = true;
        return argument == NULL || read_number(argument, 1, WAIT_MAX, &p->wait_seconds);
    case OPT_VERSION:
        printf("mta-sts-check " MTA_STSD_VERSION " (%s)\n", tls_library_version());
        return p->show = true;
    case 'h':
        fputs(help, stdout);
        return p->show = true;
    default:
        return complain("see mta-sts-check --help", NULL);
    }
}

static bool read_options(struct program *p, int argc, char *argv[])
{
    int option;

    while (!p->show && (option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1)
        if (!read_option(p, option, optarg))
            return false;
    return true;
}

static bool load_config(struct program *p)
{
    struct finding_list findings = {0};
    bool good = config_load(&p->config, p->config_path, &findings);

    if (!good)
        finding_print(&findings, stderr);
    finding_list_free(&findings);
    return good;
}

static bool take_domain(struct program *p, char *name)
{
    const char *why;
    size_t len = strlen(name);

    if (!name_is_valid(name, len, &why) || len > NAME_MAX_LEN - strlen("_smtp._tls.")) {
        fprintf(stderr, "mta-sts-check: this domain name cannot be one: ");
        text_json_string(stderr, name);
        putc('\n', stderr);
        return false;
    }
    name_lower(name);
    struct domain_facts *facts = &p->domains[p->domain_count++];
    facts->domain = name;
    if (p->config_path == NULL)
        return true;
    facts->ini = p->config_path;
    facts->expected = config_find_domain(&p->config, name);
    if (facts->expected != NULL)
        return true;
    fprintf(stderr, "mta-sts-check: %s is not a domain of %s\n", name, p->config_path);
    return false;
}

/* Those that are named, or else all of the INI. */
static bool choose_domains(struct program *p, int count, char *names[])
{
    if (count == 0 && p->config_path == NULL)
        p->config_path = CONFIG_DEFAULT_PATH;
    if (p->wait && p->config_path == NULL)
        return complain("--wait-dns needs an INI file: -c FILE", NULL);
    if (p->config_path != NULL && !load_config(p))
        return false;
    size_t all = count > 0 ? (size_t)count : p->config.domain_count;
    p->domains = calloc(all + 1, sizeof *p->domains);
    if (p->domains == NULL)
        return complain("out of memory", NULL);
    for (int i = 0; i < count; i++)
        if (!take_domain(p, names[i]))
            return false;
    for (size_t i = 0; count == 0 && i < all; i++)
        p->domains[p->domain_count++] = (struct domain_facts){.domain = p->config.domains[i].name,
                                                              .expected = &p->config.domains[i],
                                                              .ini = p->config_path};
    return true;
}

static bool load_roots(struct program *p)
{
    static const char *const usual[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",                  /* Alpine */
    };
    const char *path = p->ca_path != NULL ? p->ca_path : getenv("SSL_CERT_FILE"), *why = NULL;

    for (size_t i = 0; path == NULL && i < sizeof usual / sizeof *usual; i++)
        if (access(usual[i], R_OK) == 0)
            path = usual[i];
    if (path == NULL)
        return complain("no root certificates on this system: install ca-certificates, or name "
                        "them with --ca",
                        NULL);
    p->options.roots = tls_roots_load(path, &why);
    if (p->options.roots == NULL)
        fprintf(stderr, "mta-sts-check: root certificates in %s: %s\n", path, why);
    return p->options.roots != NULL;
}

static void show_progress(size_t ended, size_t count)
{
    fprintf(stderr, "\r%zu of %zu looked at%s", ended, count, ended == count ? "\r\033[K" : "");
}

/* In batches; false without memory. */
static bool check_all(struct program *p)
{
    output_begin(&p->output);
    for (size_t at = 0; at < p->domain_count; at += COLLECT_DOMAINS_MAX) {
        size_t rest = p->domain_count - at;
        size_t count = rest < COLLECT_DOMAINS_MAX ? rest : COLLECT_DOMAINS_MAX;
        struct domain_facts *domains = p->domains + at;
        struct collection *collection = collect(&p->options, domains, count);
        if (collection == NULL)
            return complain("out of memory", NULL);
        for (size_t i = 0; i < count; i++) {
            struct checks checks;
            domains[i].now = time(NULL);
            checks_run(&checks, &domains[i]);
            output_domain(&p->output, &checks);
            checks_free(&checks);
        }
        collection_free(collection);
    }
    output_end(&p->output);
    return true;
}

/* A full disk or a closed pipe must not pass for success. */
static int finish(const struct program *p, bool good)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("mta-sts-check: standard output");
        return EXIT_CANNOT_RUN;
    }
    if (!good)
        return EXIT_CANNOT_RUN;
    if (p->output.errors > 0)
        return EXIT_ERRORS;
    return p->output.warnings + p->output.untested > 0 ? EXIT_WARNINGS : EXIT_CLEAN;
}

static int run(struct program *p)
{
    if (p->wait) {
        bool published =
            wait_for_dns(p->options.resolver, p->domains, p->domain_count, p->wait_seconds);
        int code = finish(p, true);
        return code == EXIT_CLEAN && !published ? EXIT_ERRORS : code;
    }
    return finish(p, load_roots(p) && check_all(p));
}

int main(int argc, char *argv[])
{
    struct program p = {
        .options = {.port = 443, .smtp_port = 25, .timeout = TIMEOUT_DEFAULT, .smtp = true},
        .wait_seconds = WAIT_DEFAULT};
    char name[FACTS_NAME_SIZE] = "";
    const char *no_colour = getenv("NO_COLOR");
    int code = EXIT_CANNOT_RUN;

    if (gethostname(name, sizeof name - 1) != 0 || !name_is_valid(name, strlen(name), NULL))
        memcpy(name, "localhost", sizeof "localhost");
    memcpy(p.localname, name, sizeof name);
    p.options.localname = p.localname;
    p.output.colour = isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0');
    if (isatty(STDERR_FILENO))
        p.options.progress = show_progress;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, children could not be waited for */
    if (!tls_init())
        complain("the TLS library does not start", NULL);
    else if (read_options(&p, argc, argv))
        code = p.show                                             ? finish(&p, true)
               : choose_domains(&p, argc - optind, argv + optind) ? run(&p)
                                                                  : EXIT_CANNOT_RUN;
    tls_roots_free(p.options.roots);
    config_free(&p.config);
    free(p.domains);
    tls_exit();
    return code;
}
