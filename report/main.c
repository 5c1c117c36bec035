/* SPDX-License-Identifier: MIT
 * The command line of mta-sts-report: options, the inputs to read, the exit code.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "name.h"
#include "report/input.h"
#include "report/output.h"
#include "text.h"
#include "tls.h"

#define EXIT_CLEAN 0
#define EXIT_FAILURES 1
#define EXIT_UNREADABLE 2
#define EXIT_CANNOT_RUN 3
#define SECONDS_OF_DAY 86400
#define DAYS_MAX 36525      /* ago */
#define JSON_MEMORY_RATIO 5 /* what a parsed text may take, by its largest size */
#define EMPTY_SHOWN 10      /* messages without a report that are named */
#define MAX_SIZE_MIN 1024
#define MAX_SIZE_MAX ((uint64_t)1 << 30)

enum {
    OPT_JSON = 256,
    OPT_CSV,
    OPT_HTML,
    OPT_SINCE,
    OPT_UNTIL,
    OPT_DOMAIN,
    OPT_MAX_SIZE,
    OPT_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"since", required_argument, NULL, OPT_SINCE},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"domain", required_argument, NULL, OPT_DOMAIN},
    {"json", no_argument, NULL, OPT_JSON},
    {"csv", optional_argument, NULL, OPT_CSV},
    {"html", required_argument, NULL, OPT_HTML},
    {"max-size", required_argument, NULL, OPT_MAX_SIZE},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: mta-sts-report [-c FILE] [OPTION]... FILE|DIRECTORY|-...\n"
    "\n"
    "Reads TLS-RPT reports (RFC 8460) and says for each domain whether it is safe to\n"
    "enforce its MTA-STS policy. Takes JSON, gzip, zip, mail, mbox, Maildirs,\n"
    "directories of any of these, and standard input (-).\n"
    "\n"
    "  -c, --config FILE     compare with this INI file of mta-stsd\n"
    "      --since DAY       leave out reports from before this day (YYYY-MM-DD, UTC, or\n"
    "                        30d: thirty days ago)\n"
    "      --until DAY       leave out reports from after this day, and judge as on it\n"
    "      --domain NAME     this domain only\n"
    "      --json            for machines\n"
    "      --csv[=days]      a row for each domain and day\n"
    "      --csv=failures    a row for each kind of failure\n"
    "      --html FILE       write a page with everything in it (-: standard output)\n"
    "      --max-size N      octets of a report, unpacked; K and M may follow\n"
    "                        (default 8M; packed, an eighth of it)\n"
    "      --version         print the version\n"
    "  -h, --help            print this\n"
    "\n"
    "Exit code: 0 no failures, 1 failures, 2 unreadable input or no report\n"
    "to count, 3 could not run.\n";

struct program {
    struct summary summary;
    struct output output;
    struct unpack_sink sink;
    struct config config;
    struct arena arena; /* of the report that is being read */
    const char *config_path, *html_path;
    void (*print)(const struct output *output, FILE *out);
    summary_day_number clock; /* the day that it is */
    char domain[NAME_MAX_LEN + 1];
    size_t empty; /* messages without a report */
    bool show;    /* --help or --version has been printed */
};

/* What the value or the name of an input holds is made printable. */
static void print_complaint(const char *before, const char *value, const char *after)
{
    char buffer[2048];
    struct text text;

    text_init(&text, buffer, sizeof buffer);
    text_add_escaped(&text, value, strlen(value), "");
    fprintf(stderr, "mta-sts-report: %s%s%s%s\n", before, buffer, text.overflow ? "..." : "",
            after);
}

static bool complain(const char *text, const char *value)
{
    print_complaint(text, value == NULL ? "" : value, "");
    return false;
}

/* A line about an input. */
static void say(const char *name, const char *what)
{
    char after[256];

    snprintf(after, sizeof after, ": %s", what);
    print_complaint("", name, after);
}

static void take_fault(void *context, const char *name, const char *why)
{
    struct program *p = context;

    p->output.unreadable++;
    say(name, why);
}

static void take_empty(void *context, const char *name)
{
    struct program *p = context;

    if (p->empty++ < EMPTY_SHOWN)
        say(name, "no report in this message");
}

static void take_report(void *context, const char *name, const char *json, size_t len)
{
    struct program *p = context;
    char fault[TLSRPT_FAULT_SIZE];
    struct tlsrpt_report report;

    if (!tlsrpt_parse(json, len, JSON_MEMORY_RATIO * p->sink.max, &p->arena, &report, fault))
        take_fault(p, name, fault);
    else if (report.end / SECONDS_OF_DAY > p->clock + 1)
        take_fault(p, name, "its period ends in the future");
    else
        switch (summary_add(&p->summary, &report)) {
        case SUMMARY_DIFFERS:
            say(name, "left out: another report of the same organization has its report-id");
            break;
        case SUMMARY_FULL:
            take_fault(p, name, "left out in part: the numbers take too much memory; use --since");
            break;
        case SUMMARY_COUNTED:
        case SUMMARY_DUPLICATE:
        case SUMMARY_OUTSIDE:
            break;
        }
    arena_free(&p->arena);
}

/* A date, or a number of days ago. */
static bool read_day(const struct program *p, const char *text, summary_day_number *day)
{
    size_t len = strlen(text);
    uint64_t ago = 0;
    time_t when;
    bool zone;

    if (len > 1 && text[len - 1] == 'd' && policy_number(text, len - 1, &ago) && ago <= DAYS_MAX) {
        *day = p->clock - (summary_day_number)ago;
        return true;
    }
    if (len != strlen("YYYY-MM-DD") || !tlsrpt_time(text, &when, &zone))
        return complain("not a day, as 2026-01-31 or 30d: ", text);
    *day = (summary_day_number)(when / SECONDS_OF_DAY);
    return true;
}

static bool read_domain(struct program *p, const char *name)
{
    size_t len = strlen(name);

    if (len > 1 && name[len - 1] == '.')
        len--;
    if (!name_is_valid(name, len, NULL))
        return complain("not a domain name: ", name);
    snprintf(p->domain, sizeof p->domain, "%.*s", (int)len, name);
    name_lower(p->domain);
    p->summary.only = p->domain;
    return true;
}

static bool read_size(const char *text, size_t *size)
{
    size_t len = strlen(text);
    uint64_t number = 0;
    unsigned shift = len == 0 ? 0 : text[len - 1] == 'K' ? 10 : text[len - 1] == 'M' ? 20 : 0;

    if (!policy_number(text, shift > 0 ? len - 1 : len, &number) ||
        number > MAX_SIZE_MAX >> shift || number << shift < MAX_SIZE_MIN)
        return complain("not a size from 1K to 1024M: ", text);
    *size = (size_t)(number << shift);
    return true;
}

/* There is one standard output. */
static bool choose_print(struct program *p, void (*print)(const struct output *output, FILE *out))
{
    if (p->print != output_text)
        return complain("--json, --csv and --html - exclude each other", NULL);
    p->print = print;
    return true;
}

static bool read_csv(struct program *p, const char *what)
{
    if (what == NULL || strcmp(what, "days") == 0)
        return choose_print(p, output_csv_days);
    if (strcmp(what, "failures") == 0)
        return choose_print(p, output_csv_failures);
    return complain("neither days nor failures: ", what);
}

static bool read_option(struct program *p, int option, const char *argument)
{
    switch (option) {
    case 'c':
        p->config_path = argument;
        return true;
    case OPT_SINCE:
        return read_day(p, argument, &p->summary.since);
    case OPT_UNTIL:
        return read_day(p, argument, &p->summary.until);
    case OPT_DOMAIN:
        return read_domain(p, argument);
    case OPT_JSON:
        return choose_print(p, output_json);
    case OPT_CSV:
        return read_csv(p, argument);
    case OPT_HTML:
        if (strcmp(argument, "-") == 0)
            return choose_print(p, output_html);
        p->html_path = argument;
        return true;
    case OPT_MAX_SIZE:
        return read_size(argument, &p->sink.max);
    case OPT_VERSION:
        puts("mta-sts-report " MTA_STSD_VERSION);
        return p->show = true;
    case 'h':
        fputs(help, stdout);
        return p->show = true;
    default:
        return complain("see mta-sts-report --help", NULL);
    }
}

static bool read_options(struct program *p, int argc, char *argv[])
{
    int option;

    while (!p->show && (option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1)
        if (!read_option(p, option, optarg))
            return false;
    if (p->summary.since > p->summary.until)
        return complain("--since is after --until", NULL);
    if (!p->show && optind == argc)
        return complain("nothing to read: name a file, a directory or -", NULL);
    return true;
}

/* The digests in it need the TLS library. */
static bool load_config(struct program *p)
{
    struct finding_list findings = {0};

    if (p->config_path == NULL)
        return true;
    if (!tls_init())
        return complain("the TLS library does not start", NULL);
    bool good = config_load(&p->config, p->config_path, &findings);
    if (!good)
        finding_print(&findings, stderr);
    finding_list_free(&findings);
    tls_exit();
    if (good && p->summary.only != NULL && config_find_domain(&p->config, p->domain) == NULL)
        return complain("not a domain of the INI file: ", p->domain);
    p->output.config = p->summary.config = &p->config;
    return good;
}

static bool write_html(struct program *p)
{
    if (p->html_path == NULL)
        return true;
    FILE *page = fopen(p->html_path, "we");
    bool good = page != NULL;
    if (good) {
        output_html(&p->output, page);
        good = ferror(page) == 0;
        good = fclose(page) == 0 && good;
    }
    if (!good)
        say(p->html_path, strerror(errno));
    return good;
}

static bool has_failures(const struct summary *summary)
{
    if (summary->failures_left_out)
        return true;
    for (size_t i = 0; i < summary->domains.count; i++)
        if (summary_domain_at(summary, i)->last_failed != SUMMARY_DAY_NONE)
            return true;
    return false;
}

/* A full disk or a closed pipe must not pass for success. */
static bool flush_output(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return true;
    perror("mta-sts-report: standard output");
    return false;
}

static void say_nothing_counted(const struct summary *summary)
{
    complain(summary->outside > 0     ? "no report is of that time"
             : summary->elsewhere > 0 ? "no report is about a domain that was asked for, with "
                                        "--domain or by the INI file"
             : summary->reports > 0   ? "no report has a policy in it"
                                      : "no report in all of the input",
             NULL);
}

static int run(struct program *p, int count, char *paths[])
{
    if (!load_config(p))
        return EXIT_CANNOT_RUN;
    mail_init();
    for (int i = 0; i < count; i++)
        input_read(&p->sink, paths[i]);
    if (p->empty > EMPTY_SHOWN)
        fprintf(stderr, "mta-sts-report: in all %zu messages without a report\n", p->empty);
    summary_finish(&p->summary);
    p->output.summary = &p->summary;
    p->output.today = p->summary.until == INT32_MAX ? p->clock : p->summary.until;
    bool good = write_html(p);
    p->print(&p->output, stdout);
    if (!flush_output() || !good)
        return EXIT_CANNOT_RUN;
    if (p->output.unreadable > 0)
        return EXIT_UNREADABLE;
    if (p->summary.domains.count == 0)
        say_nothing_counted(&p->summary);
    if (p->summary.domains.count == 0)
        return EXIT_UNREADABLE;
    return has_failures(&p->summary) ? EXIT_FAILURES : EXIT_CLEAN;
}

int main(int argc, char *argv[])
{
    struct program p = {.print = output_text,
                        .sink = {.max = UNPACK_MAX_DEFAULT,
                                 .report = take_report,
                                 .fault = take_fault,
                                 .empty = take_empty}};
    const char *no_colour = getenv("NO_COLOR");
    int code = EXIT_CANNOT_RUN;

    p.sink.context = &p;
    p.clock = (summary_day_number)(time(NULL) / SECONDS_OF_DAY);
    p.output.colour = isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0');
    summary_init(&p.summary);
    signal(SIGPIPE, SIG_IGN);
    if (read_options(&p, argc, argv))
        code = !p.show          ? run(&p, argc - optind, argv + optind)
               : flush_output() ? EXIT_CLEAN
                                : EXIT_CANNOT_RUN;
    summary_free(&p.summary);
    config_free(&p.config);
    return code;
}
