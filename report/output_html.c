/* SPDX-License-Identifier: MIT
 * A summary as one HTML page that can be mailed to a manager: style and charts are in it, nothing
 * is loaded, nothing runs. Strings of reports are hostile.
 */
#include "output_internal.h"

#define DETAILS_MAX 200 /* domains with a section of their own */

static const struct {
    const char *class, *word, *words; /* words: of a number of domains */
} kinds[] = {
    [VERDICT_SAFE] = {"ok", "Safe", "safe"},
    [VERDICT_NOT_YET] = {"wait", "Not yet", "not yet"},
    [VERDICT_FAILING] = {"bad", "Failing", "failing"},
};

const char *html_verdict_class(enum verdict_kind kind)
{
    return kinds[kind].class;
}

/* Calls back for each domain, the worst verdict first; numbers from 1. */
static void visit_domains(const struct output *output, FILE *out,
                          void (*visit)(const struct output *output,
                                        const struct summary_domain *domain,
                                        const struct verdict *verdict, size_t number, FILE *out))
{
    size_t number = 0;

    for (int kind = VERDICT_FAILING; kind >= VERDICT_SAFE; kind--)
        for (size_t i = 0; i < output->summary->domains.count; i++) {
            const struct summary_domain *domain = summary_domain_at(output->summary, i);
            struct verdict verdict;
            output_verdict(output, domain, &verdict);
            if ((int)verdict.kind == kind)
                visit(output, domain, &verdict, ++number, out);
        }
}

/* "3 domains: 1 failing, 2 safe." */
static void print_verdicts(const struct output *output, FILE *out)
{
    size_t counts[VERDICT_FAILING + 1] = {0}, domains = output->summary->domains.count;
    const char *separator = ": ";

    for (size_t i = 0; i < domains; i++) {
        struct verdict verdict;
        output_verdict(output, summary_domain_at(output->summary, i), &verdict);
        counts[verdict.kind]++;
    }
    if (domains == 0)
        fputs("No report was counted: there is nothing to judge", out);
    else
        html_count(out, (int64_t)domains, "domain", "domains");
    for (int kind = VERDICT_FAILING; kind >= VERDICT_SAFE; kind--)
        if (counts[kind] > 0) {
            fputs(separator, out);
            html_count(out, (int64_t)counts[kind], kinds[kind].words, kinds[kind].words);
            separator = ", ";
        }
    fputs(".", out);
}

static void print_header(const struct output *output, FILE *out)
{
    const struct summary *summary = output->summary;

    fputs("<header>\n<h1>Encrypted mail delivery</h1>\n<p class=\"m\">", out);
    html_count(out, (int64_t)summary->reports, "report", "reports");
    fputs(" from senders of mail (TLS-RPT), judged on ", out);
    html_date(out, output->today);
    fputs("</p>\n<p class=\"lead\">", out);
    print_verdicts(output, out);
    fputs("</p>\n<p class=\"m\">Senders report each day how often they could deliver mail to a "
          "domain over a verified, encrypted connection, and how often that failed. A domain is "
          "safe when it can demand such connections (MTA-STS mode enforce) without losing "
          "mail.</p>\n</header>\n",
          out);
}

static void print_index_row(const struct output *output, const struct summary_domain *domain,
                            const struct verdict *verdict, size_t number, FILE *out)
{
    bool detailed = number <= DETAILS_MAX;

    (void)output;
    fputs("<tr><td>", out);
    if (detailed)
        fprintf(out, "<a href=\"#d%zu\">", number);
    html_text(out, output_name(domain));
    fprintf(out, "%s</td><td><span class=\"p %s\">%s</span></td><td class=\"n\">",
            detailed ? "</a>" : "", kinds[verdict->kind].class, kinds[verdict->kind].word);
    html_number(out, domain->sessions.good);
    fputs("</td><td class=\"n\">", out);
    html_number(out, domain->sessions.failed);
    fputs("</td></tr>\n", out);
}

static void print_index(const struct output *output, FILE *out)
{
    size_t domains = output->summary->domains.count;

    if (domains < 2)
        return;
    fputs("<table><thead><tr><th>Domain</th><th>Verdict</th><th class=\"n\">Good</th>"
          "<th class=\"n\">Failed</th></tr></thead><tbody>\n",
          out);
    visit_domains(output, out, print_index_row);
    fputs("</tbody></table>\n", out);
    if (domains > DETAILS_MAX) {
        fprintf(out, "<p class=\"m\">Details follow for the first %d. ", DETAILS_MAX);
        html_count(out, (int64_t)(domains - DETAILS_MAX), "domain is", "domains are");
        fputs(" without: <code>--domain NAME</code> has them for one.</p>\n", out);
    }
}

static void print_details(const struct output *output, const struct summary_domain *domain,
                          const struct verdict *verdict, size_t number, FILE *out)
{
    if (number <= DETAILS_MAX)
        html_domain(output, domain, verdict, number, out);
}

static void print_left_out(FILE *out, size_t count, const char *singular, const char *plural)
{
    if (count == 0)
        return;
    fputs("<li>", out);
    html_count(out, (int64_t)count, singular, plural);
    fputs("</li>\n", out);
}

static size_t count_silent(const struct output *output)
{
    const struct config_domain *domain = NULL;
    size_t count = 0;

    while ((domain = output_next_silent(output, domain)) != NULL)
        count++;
    return count;
}

static void print_notes(const struct output *output, FILE *out)
{
    const struct summary *summary = output->summary;

    fputs("<ul>\n", out);
    print_left_out(out, count_silent(output), "domain that is served has no report.",
                   "domains that are served have no report.");
    print_left_out(out, summary->reports, "report was counted.", "reports were counted.");
    print_left_out(out, summary->duplicates, "report came again and was left out.",
                   "reports came again and were left out.");
    print_left_out(out, summary->outside, "report is of another time and was left out.",
                   "reports are of another time and were left out.");
    print_left_out(out, summary->elsewhere, "report is about other domains and was left out.",
                   "reports are about other domains and were left out.");
    print_left_out(out, output->unreadable, "input could not be read and is missing here.",
                   "inputs could not be read and are missing here.");
    if (summary->full)
        fputs("<li>The reports were too many for the memory: the numbers are incomplete.</li>\n",
              out);
    for (unsigned bit = 0; bit < TLSRPT_NOTES; bit++) {
        if (summary->notes[bit] == 0)
            continue;
        fputs("<li>", out);
        html_count(out, (int64_t)summary->notes[bit], "report", "reports");
        fputs(" with: ", out);
        html_text(out, tlsrpt_note_text(bit));
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
}

static void print_footer(const struct output *output, FILE *out)
{
    fputs("<footer>\n<h3>About these numbers</h3>\n", out);
    print_notes(output, out);
    fprintf(out,
            "<p class=\"m\">A session is one attempt of a sender to deliver mail. A report counts "
            "on the day that its period starts (UTC). A session that was reported under both "
            "MTA-STS and DANE counts once. A domain is safe after %d days without a failure, with "
            "good sessions from at least %d reporters and a newest report of at most %d days ago; "
            "it is failing when mail was refused in the last %d days of its reports.</p>\n"
            "<p class=\"m\">mta-sts-report " MTA_STSD_VERSION "</p>\n</footer>\n</body>\n</html>\n",
            VERDICT_DAYS, VERDICT_REPORTERS, VERDICT_STALE_DAYS, VERDICT_DAYS);
}

void output_html(const struct output *output, FILE *out)
{
    html_head(out);
    print_header(output, out);
    fputs("<main>\n", out);
    print_index(output, out);
    visit_domains(output, out, print_details);
    fputs("</main>\n", out);
    print_footer(output, out);
}
