/* SPDX-License-Identifier: MIT
 * A summary as CSV (RFC 4180) for spreadsheets. Domain names, hosts and reasons were chosen by
 * somebody else: each is made printable, and none can become a formula.
 */
#include "output_internal.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

/* A spreadsheet takes a cell that begins with one of these for a formula; control characters, which
 * do the same, are escaped. */
#define FORMULA "=+-@"

/* A cell, an octet at a time, since a name may be of any length. */
static void print_cell(FILE *out, const char *string)
{
    bool quoted = strpbrk(string, ",\"") != NULL;

    fputs(quoted ? "\"" : "", out);
    if (string[0] != '\0' && strchr(FORMULA, string[0]) != NULL)
        putc('\'', out);
    for (; *string != '\0'; string++) {
        char buffer[8];
        struct text text;
        text_init(&text, buffer, sizeof buffer);
        text_add_escaped(&text, string, 1, "");
        fputs(*string == '"' ? "\"\"" : buffer, out);
    }
    fputs(quoted ? "\"" : "", out);
}

static void print_date(FILE *out, summary_day_number day)
{
    char date[SUMMARY_DATE_SIZE];

    summary_date(day, date);
    fputs(date, out);
}

void output_csv_days(const struct output *output, FILE *out)
{
    const struct summary *summary = output->summary;

    fputs("domain,day,good,failed\r\n", out);
    for (size_t i = 0; i < summary->domains.count; i++) {
        const struct summary_domain *domain = summary_domain_at(summary, i);
        for (size_t d = 0; d < domain->days.count; d++) {
            const struct summary_day *day = domain->days.items[d];
            print_cell(out, domain->name);
            putc(',', out);
            print_date(out, day->day);
            fprintf(out, ",%" PRId64 ",%" PRId64 "\r\n", day->sessions.good, day->sessions.failed);
        }
    }
}

static void print_failure(FILE *out, const struct summary_domain *domain,
                          const struct summary_failure *failure)
{
    const char *const cells[] = {domain->name,        tlsrpt_type_name(failure->type),
                                 failure->result,     failure->mx,
                                 failure->sending_ip, failure->receiving_ip};

    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        print_cell(out, cells[i]);
        putc(',', out);
    }
    fprintf(out, "%" PRId64 ",", failure->count);
    print_date(out, failure->first);
    putc(',', out);
    print_date(out, failure->last);
    putc(',', out);
    print_cell(out, failure->reason);
    fputs("\r\n", out);
}

void output_csv_failures(const struct output *output, FILE *out)
{
    const struct summary *summary = output->summary;

    fputs("domain,policy_type,result,mx,sending_ip,receiving_ip,sessions,first,last,reason\r\n",
          out);
    for (size_t i = 0; i < summary->domains.count; i++) {
        const struct summary_domain *domain = summary_domain_at(summary, i);
        for (size_t f = 0; f < domain->failures.count; f++)
            print_failure(out, domain, domain->failures.items[f]);
    }
}
