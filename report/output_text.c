/* SPDX-License-Identifier: MIT
 * A summary for a terminal or the journal: the verdict first, then what it rests on. Strings of
 * reports are printed as ASCII, everything else in them as \xNN.
 */
#include <inttypes.h>
#include <string.h>

#include "report/output_internal.h"
#include "text.h"

#define BAR_WIDTH 40
#define DAYS_SHOWN 92 /* the newest */
#define GAP_SHOWN 3   /* so many days without a report get a line each */
#define ROWS_SHOWN 20 /* of failures of one kind */
#define REPORTERS_SHOWN 50
#define SILENT_SHOWN 20 /* domains */
#define ESCAPED_SIZE (4 * TLSRPT_STRING_MAX + 1)

static const char *const colours[] = {
    [VERDICT_SAFE] = "\033[32m",
    [VERDICT_NOT_YET] = "\033[33m",
    [VERDICT_FAILING] = "\033[31m",
};
#define PLAIN "\033[0m"

static const char *printable(const char *string, char buffer[ESCAPED_SIZE])
{
    struct text text;

    text_init(&text, buffer, ESCAPED_SIZE);
    text_add_escaped(&text, string, strlen(string), "");
    return buffer;
}

static void print_period(FILE *out, summary_day_number first, summary_day_number last)
{
    char date[SUMMARY_DATE_SIZE];

    summary_date(first, date);
    fputs(date, out);
    if (last != first) {
        summary_date(last, date);
        fprintf(out, " to %s", date);
    }
}

/* "5,326 good (94.6 %), 303 failed (5.4 %)" */
static void print_sessions(FILE *out, const struct summary_sessions *sessions)
{
    char number[OUTPUT_NUMBER_SIZE], percent[OUTPUT_PERCENT_SIZE];
    int64_t total = output_total(sessions);

    output_number(sessions->good, number);
    output_percent(sessions->good, total, percent);
    fprintf(out, "%s good (%s), ", number, percent);
    output_number(sessions->failed, number);
    output_percent(sessions->failed, total, percent);
    fprintf(out, "%s failed (%s)", number, percent);
}

static void print_verdict(const struct output *output, const struct summary_domain *domain,
                          FILE *out)
{
    char name[ESCAPED_SIZE];
    struct verdict verdict;

    output_verdict(output, domain, &verdict);
    fprintf(out, "%s: %s%s%s\n", printable(output_name(domain), name),
            output->colour ? colours[verdict.kind] : "", verdict_words(&verdict),
            output->colour ? PLAIN : "");
    for (size_t i = 0; i < verdict.reason_count; i++)
        fprintf(out, "  %-10s %s\n", i == 0 ? "why" : "", verdict.reasons[i]);
    if (verdict.kind == VERDICT_SAFE && output->unreadable > 0)
        fprintf(out, "  %-10s not counting what could not be read: %zu of the inputs\n", "but",
                output->unreadable);
    fprintf(out, "  %-10s %s\n", "mode",
            verdict.mode_known ? policy_mode_name(verdict.mode) : "not known");
}

static void print_numbers(const struct summary_domain *domain, FILE *out)
{
    char name[ESCAPED_SIZE];

    fprintf(out, "  %-10s ", "period");
    print_period(out, domain->first, domain->last);
    fprintf(out, ", %zu report%s\n  %-10s ", domain->reports, domain->reports == 1 ? "" : "s",
            "sessions");
    print_sessions(out, &domain->sessions);
    putc('\n', out);
    for (enum tlsrpt_type type = TLSRPT_STS; type < TLSRPT_TYPES; type++) {
        if (output_total(&domain->types[type]) == 0)
            continue;
        fprintf(out, "    %s: ", tlsrpt_type_name(type));
        print_sessions(out, &domain->types[type]);
        putc('\n', out);
    }
    for (size_t i = 0; i < domain->reporters.count && i < REPORTERS_SHOWN; i++) {
        const struct summary_reporter *reporter = domain->reporters.items[i];
        fprintf(out, "  %-10s %s: %zu report%s, ", i == 0 ? "reporters" : "",
                reporter->name[0] == '\0' ? "(no name)" : printable(reporter->name, name),
                reporter->reports, reporter->reports == 1 ? "" : "s");
        print_sessions(out, &reporter->sessions);
        putc('\n', out);
    }
    if (domain->reporters.count > REPORTERS_SHOWN)
        fprintf(out, "  %-10s and %zu more; --json has them all\n", "",
                domain->reporters.count - REPORTERS_SHOWN);
}

/* At least one mark for what is there at all. */
static int bar_length(int64_t count, int64_t most)
{
    int length = (int)((double)count * BAR_WIDTH / (double)most + 0.5);

    return count > 0 && length == 0 ? 1 : length;
}

static void print_day(const struct summary_day *day, int64_t most, FILE *out)
{
    int64_t total = output_total(&day->sessions);
    int failed = most == 0 ? 0 : bar_length(day->sessions.failed, most);
    int good = most == 0 ? 0 : bar_length(total, most) - failed;
    char date[SUMMARY_DATE_SIZE];

    summary_date(day->day, date);
    if (good < (day->sessions.good > 0))
        good = 1;
    fprintf(out, "    %s ", date);
    for (int i = 0; i < good; i++)
        putc('=', out);
    for (int i = 0; i < failed; i++)
        putc('!', out);
    fprintf(out, "%*s %" PRId64 " good",
            BAR_WIDTH + 1 > good + failed ? BAR_WIDTH + 1 - good - failed : 0, "",
            day->sessions.good);
    if (day->sessions.failed > 0)
        fprintf(out, ", %" PRId64 " failed", day->sessions.failed);
    putc('\n', out);
}

static void print_gap(summary_day_number from, summary_day_number to, FILE *out)
{
    char date[SUMMARY_DATE_SIZE];

    if (to - from > GAP_SHOWN) {
        fprintf(out, "    %d days without a report\n", to - from);
        return;
    }
    for (; from < to; from++) {
        summary_date(from, date);
        fprintf(out, "    %s  no report\n", date);
    }
}

static void print_days(const struct summary_domain *domain, FILE *out)
{
    const struct summary_day *const *days = (const struct summary_day *const *)domain->days.items;
    size_t count = domain->days.count;
    size_t first = count > DAYS_SHOWN ? count - DAYS_SHOWN : 0;
    int64_t most = 0;

    fprintf(out, "  %-10s = good, ! failed\n", "by day");
    if (first > 0)
        fprintf(out, "    the newest %d of %zu days; --csv prints them all\n", DAYS_SHOWN, count);
    for (size_t i = first; i < count; i++)
        if (output_total(&days[i]->sessions) > most)
            most = output_total(&days[i]->sessions);
    for (size_t i = first; i < count; i++) {
        if (i > first)
            print_gap(days[i - 1]->day + 1, days[i]->day, out);
        print_day(days[i], most, out);
    }
}

/* A name that is absent in the report. */
static const char *or_none(const char *string, char buffer[ESCAPED_SIZE])
{
    return string[0] == '\0' ? "-" : printable(string, buffer);
}

static void print_row(const struct summary_failure *row, FILE *out)
{
    char number[OUTPUT_NUMBER_SIZE], text[ESCAPED_SIZE];

    output_number(row->count, number);
    fprintf(out, "    %9s  ", number);
    print_period(out, row->first, row->last);
    fprintf(out, "  MX %s", or_none(row->mx, text));
    fprintf(out, "  from %s", or_none(row->sending_ip, text));
    fprintf(out, "  to %s", or_none(row->receiving_ip, text));
    fprintf(out, "  (%s)\n", tlsrpt_type_name(row->type));
    if (row->reason[0] != '\0')
        fprintf(out, "%15sreason: %s\n", "", printable(row->reason, text));
}

/* Rows of one result type; returns where the next one begins. */
static size_t print_result(const struct summary_set *failures, size_t first, FILE *out)
{
    const struct summary_failure *const *rows =
        (const struct summary_failure *const *)failures->items;
    char number[OUTPUT_NUMBER_SIZE], text[ESCAPED_SIZE];
    size_t end = first;

    output_number(rows[first]->result_count, number);
    fprintf(out, "  failed     %s: %s session%s\n", printable(rows[first]->result, text), number,
            rows[first]->result_count == 1 ? "" : "s");
    fprintf(out, "    do:      %s\n", verdict_advice(rows[first]->result));
    for (; end < failures->count && strcmp(rows[end]->result, rows[first]->result) == 0; end++)
        if (end - first < ROWS_SHOWN)
            print_row(rows[end], out);
    if (end - first > ROWS_SHOWN)
        fprintf(out, "    and %zu rows more; --csv=failures prints them all\n",
                end - first - ROWS_SHOWN);
    return end;
}

/* A policy on one line. */
static void print_policy(const struct output *output, const struct summary_domain *domain,
                         const struct summary_policy *policy, FILE *out)
{
    const char *current = verdict_current(policy, output_configured(output, domain));
    char line[ESCAPED_SIZE];
    const char *text = policy->text;

    fprintf(out, "  %-10s ", "policy");
    print_period(out, policy->first, policy->last);
    fputs(": ", out);
    print_sessions(out, &policy->sessions);
    fprintf(out, "%s%s%s\n", current[0] == '\0' ? "" : "; ", current,
            policy->valid || text[0] == '\0' ? "" : "; not valid");
    if (text[0] == '\0')
        fputs("    not in the report\n", out);
    while (*text != '\0') {
        size_t len = strcspn(text, "\r\n");
        struct text escaped;
        text_init(&escaped, line, sizeof line);
        text_add_escaped(&escaped, text, len, "");
        if (len > 0)
            fprintf(out, "    %s%s\n", line, escaped.overflow ? "..." : "");
        text += len;
        text += strspn(text, "\r\n");
    }
}

static void print_domain(const struct output *output, const struct summary_domain *domain,
                         FILE *out)
{
    print_verdict(output, domain, out);
    print_numbers(domain, out);
    for (size_t i = 0; i < domain->failures.count;)
        i = print_result(&domain->failures, i, out);
    print_days(domain, out);
    for (size_t i = 0; i < domain->policies.count; i++)
        print_policy(output, domain, domain->policies.items[i], out);
    putc('\n', out);
}

/* Domains of the INI that nobody reports about: a wrong record looks like this. */
static void print_silent(const struct output *output, FILE *out)
{
    size_t count = 0;

    for (const struct config_domain *d = NULL; (d = output_next_silent(output, d)) != NULL; count++)
        if (count < SILENT_SHOWN)
            fprintf(out,
                    "%s: no report of that time: see its _smtp._tls record (mta-sts-check %s)\n",
                    d->name, d->name);
    if (count > SILENT_SHOWN)
        fprintf(out, "and %zu domains more without a report; --json has them all\n",
                count - SILENT_SHOWN);
    if (count > 0)
        putc('\n', out);
}

static void print_totals(const struct output *output, const size_t kinds[VERDICT_KINDS], FILE *out)
{
    const struct summary *s = output->summary;

    fprintf(out, "%zu domain%s: %zu failing, %zu not yet safe, %zu safe; %zu report%s",
            s->domains.count, s->domains.count == 1 ? "" : "s", kinds[VERDICT_FAILING],
            kinds[VERDICT_NOT_YET], kinds[VERDICT_SAFE], s->reports, s->reports == 1 ? "" : "s");
    if (s->duplicates > 0)
        fprintf(out, ", %zu that came again", s->duplicates);
    if (s->outside > 0)
        fprintf(out, ", %zu of another time", s->outside);
    if (s->elsewhere > 0)
        fprintf(out, ", %zu about other domains", s->elsewhere);
    if (output->unreadable > 0)
        fprintf(out, ", %zu unreadable", output->unreadable);
    putc('\n', out);
    for (unsigned bit = 0; bit < TLSRPT_NOTES; bit++)
        if (s->notes[bit] > 0)
            fprintf(out, "note: %zu report%s: %s\n", s->notes[bit], s->notes[bit] == 1 ? "" : "s",
                    tlsrpt_note_text(bit));
}

/* The worst first. */
void output_text(const struct output *output, FILE *out)
{
    size_t kinds[VERDICT_KINDS] = {0};
    struct verdict verdict;

    for (int kind = VERDICT_KINDS - 1; kind >= 0; kind--)
        for (size_t i = 0; i < output->summary->domains.count; i++) {
            const struct summary_domain *domain = summary_domain_at(output->summary, i);
            output_verdict(output, domain, &verdict);
            if ((int)verdict.kind != kind)
                continue;
            kinds[kind]++;
            print_domain(output, domain, out);
        }
    print_silent(output, out);
    print_totals(output, kinds, out);
}
