/* SPDX-License-Identifier: MIT
 * The command line of mta-stsd: parse the options, pick one command, pass on its exit code.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "policy.h"
#include "tls.h"

#define TTL_DEFAULT 3600
#define TTL_MAX 604800

typedef int command(const struct options *options);

/* Values of long options without a letter. */
enum {
    OPT_CHECK = 256,
    OPT_PRINT_POLICY,
    OPT_PRINT_DNS,
    OPT_LINT,
    OPT_AS,
    OPT_PROBE,
    OPT_TTL,
    OPT_JSON,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check", no_argument, NULL, OPT_CHECK},
    {"print-policy", no_argument, NULL, OPT_PRINT_POLICY},
    {"print-dns", no_argument, NULL, OPT_PRINT_DNS},
    {"lint", no_argument, NULL, OPT_LINT},
    {"as", required_argument, NULL, OPT_AS},
    {"probe", no_argument, NULL, OPT_PROBE},
    {"ttl", required_argument, NULL, OPT_TTL},
    {"json", no_argument, NULL, OPT_JSON},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: mta-stsd [-c FILE] [COMMAND]\n"
    "A policy host for MTA-STS (RFC 8461). Without a command it serves the policies.\n"
    "\n"
    "  --check                 judge the INI file, the policies and the certificates\n"
    "  --print-policy [DOMAIN] print the exact bytes served\n"
    "  --print-dns [DOMAIN]    print the DNS records as a zone-file fragment\n"
    "  --lint FILE             judge an existing mta-sts.txt (- is standard input)\n"
    "  --probe [ADDRESS:PORT]  fetch the own policy and compare it: a health check\n"
    "  --version, --help       print the version, or this\n"
    "\n"
    "  -c, --config FILE       the INI file (" CONFIG_DEFAULT_PATH ")\n"
    "  --as sts|tlsrpt         with --lint: the file holds the value of a TXT record\n"
    "  --ttl SECONDS           with --print-dns: TTL of the records (3600)\n"
    "  --json                  with --check, --print-dns, --lint: print JSON\n"
    "\n"
    "Exit code: 0 fine, 1 errors found or not started, 2 wrong usage.\n"
    "Manual pages: mta-stsd(8), mta-stsd.ini(5).\n";

struct arguments {
    struct options options;
    command *command; /* NULL: print the text below and end */
    const char *text;
    bool bad;
};

static void complain(struct arguments *arguments, const char *what)
{
    fprintf(stderr, "mta-stsd: %s; see mta-stsd --help\n", what);
    arguments->bad = true;
}

static void choose(struct arguments *arguments, command *chosen)
{
    if (arguments->command != command_serve && arguments->command != chosen)
        complain(arguments, "more than one command");
    arguments->command = chosen;
}

static void read_as(struct arguments *arguments, const char *word)
{
    if (strcmp(word, "sts") == 0)
        arguments->options.as = COMMAND_TEXT_STS;
    else if (strcmp(word, "tlsrpt") == 0)
        arguments->options.as = COMMAND_TEXT_TLSRPT;
    else
        complain(arguments, "--as must be sts or tlsrpt");
}

static void read_ttl(struct arguments *arguments, const char *word)
{
    uint64_t ttl;

    if (!policy_number(word, strlen(word), &ttl) || ttl < 1 || ttl > TTL_MAX)
        complain(arguments, "--ttl must be a number of seconds from 1 to 604800");
    else
        arguments->options.ttl = (unsigned)ttl;
}

static const char *version_text(void)
{
    static char text[96];

    snprintf(text, sizeof text, "mta-stsd %s (%s)\n", MTA_STSD_VERSION, tls_library_version());
    return text;
}

static void read_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'c':
        arguments->options.config = optarg;
        break;
    case OPT_CHECK:
        choose(arguments, command_check);
        break;
    case OPT_PRINT_POLICY:
        choose(arguments, command_print_policy);
        break;
    case OPT_PRINT_DNS:
        choose(arguments, command_print_dns);
        break;
    case OPT_LINT:
        choose(arguments, command_lint);
        break;
    case OPT_PROBE:
        choose(arguments, command_probe);
        break;
    case OPT_AS:
        read_as(arguments, optarg);
        break;
    case OPT_TTL:
        read_ttl(arguments, optarg);
        break;
    case OPT_JSON:
        arguments->options.json = true;
        break;
    case OPT_VERSION:
        arguments->text = version_text();
        break;
    case 'h':
        arguments->text = help;
        break;
    default: /* getopt has said what is wrong */
        arguments->bad = true;
    }
}

/* What belongs together. */
static void check_arguments(struct arguments *arguments, int operands)
{
    const struct options *options = &arguments->options;
    command *chosen = arguments->command;
    bool takes_json =
        chosen == command_check || chosen == command_print_dns || chosen == command_lint;

    if (operands > 1 || (operands == 1 && (chosen == command_serve || chosen == command_check)))
        complain(arguments, "too many arguments");
    if (strcmp(options->config, "-") == 0)
        complain(arguments, "-c needs a file that stays there, not standard input");
    if (operands == 0 && chosen == command_lint)
        complain(arguments, "--lint needs a file, or - for standard input");
    if (options->as != COMMAND_TEXT_POLICY && chosen != command_lint)
        complain(arguments, "--as goes with --lint");
    if (options->ttl != TTL_DEFAULT && chosen != command_print_dns)
        complain(arguments, "--ttl goes with --print-dns");
    if (options->json && !takes_json)
        complain(arguments, "--json goes with --check, --print-dns or --lint");
}

int main(int argc, char *argv[])
{
    struct arguments arguments = {
        .options = {.config = CONFIG_DEFAULT_PATH, .ttl = TTL_DEFAULT},
        .command = command_serve,
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1)
        read_option(&arguments, option);
    if (arguments.text == NULL || arguments.bad)
        check_arguments(&arguments, argc - optind);
    if (arguments.bad)
        return EXIT_USAGE;
    if (arguments.text != NULL)
        return fputs(arguments.text, stdout) < 0 || fflush(stdout) != 0 ? EXIT_ERROR : EXIT_FINE;
    arguments.options.operand = argv[optind];
    signal(SIGPIPE, SIG_IGN);
    /* A parent may have left it ignored: then the deaths of workers would go unseen. */
    signal(SIGCHLD, SIG_DFL);
    if (!tls_init()) {
        fputs("mta-stsd: the TLS library does not start\n", stderr);
        return EXIT_ERROR;
    }
    int code = arguments.command(&arguments.options);
    tls_exit();
    return code;
}
