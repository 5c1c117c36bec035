/* SPDX-License-Identifier: MIT
 * The section of a domain in the HTML page: verdict, numbers, chart, failures, reporters and
 * policies. Each list has an end, and says what comes after it. Strings of reports are hostile.
 */
#include "output_internal.h"

#include <string.h>

#define FAILURES_MAX 100 /* rows */
#define REPORTERS_MAX 50
#define POLICIES_MAX 10

static void print_verdict(FILE *out, const struct verdict *verdict)
{
    fprintf(out, "<div class=\"v %s\"><b>", html_verdict_class(verdict->kind));
    html_text(out, verdict_words(verdict));
    fputs("</b>", out);
    if (verdict->reason_count > 0)
        fputs("<ul>", out);
    for (size_t i = 0; i < verdict->reason_count; i++) {
        fputs("<li>", out);
        html_text(out, verdict->reasons[i]);
        fputs("</li>", out);
    }
    fputs(verdict->reason_count > 0 ? "</ul></div>\n" : "</div>\n", out);
}

static void print_share(FILE *out, const char *name, int64_t part, int64_t whole)
{
    fprintf(out, "<p><span>%s</span><b>", name);
    html_number(out, part);
    fputs("</b> <small>", out);
    html_percent(out, part, whole);
    fputs("</small></p>\n", out);
}

static void print_numbers(FILE *out, const struct summary_domain *domain,
                          const struct verdict *verdict)
{
    int64_t total = output_total(&domain->sessions);

    fputs("<div class=\"k\">\n", out);
    print_share(out, "Sessions good", domain->sessions.good, total);
    print_share(out, "Sessions failed", domain->sessions.failed, total);
    fputs("<p><span>Reports</span><b>", out);
    html_number(out, (int64_t)domain->reports);
    fputs("</b> <small>from ", out);
    html_count(out, (int64_t)domain->reporters.count, "reporter", "reporters");
    fputs("</small></p>\n<p><span>Period</span><b>", out);
    html_date(out, domain->first);
    if (domain->first == domain->last)
        fputs("</b> <small>one day", out);
    else {
        fputs("</b> <small>to ", out);
        html_date(out, domain->last);
    }
    fputs("</small></p>\n", out);
    if (verdict->mode_known)
        fprintf(out, "<p><span>Policy mode</span><b>%s</b></p>\n", policy_mode_name(verdict->mode));
    fputs("</div>\n", out);
}

static void print_types(FILE *out, const struct summary_domain *domain)
{
    static const char *const names[] = {
        [TLSRPT_STS] = "MTA-STS policy",
        [TLSRPT_TLSA] = "DANE (TLSA)",
        [TLSRPT_NO_POLICY] = "no policy found",
        [TLSRPT_OTHER] = "another kind of policy",
    };
    const char *separator = "<p class=\"m\">As reported: ";

    for (enum tlsrpt_type type = TLSRPT_STS; type < TLSRPT_TYPES; type++) {
        const struct summary_sessions *sessions = &domain->types[type];
        if (output_total(sessions) == 0)
            continue;
        fprintf(out, "%s%s ", separator, names[type]);
        html_number(out, sessions->good);
        fputs(" good, ", out);
        html_number(out, sessions->failed);
        fputs(" failed", out);
        separator = "; ";
    }
    if (*separator == ';')
        fputs(".</p>\n", out);
}

/* "And 12 rows more: ...": what a list does not show, and where it is. */
static void print_more(FILE *out, size_t count, const char *singular, const char *plural,
                       const char *where)
{
    if (count == 0)
        return;
    fputs("<p class=\"m\">And ", out);
    html_count(out, (int64_t)count, singular, plural);
    fprintf(out, " more: %s.</p>\n", where);
}

static const struct summary_failure *failure_at(const struct summary_domain *domain, size_t i)
{
    return domain->failures.items[i];
}

static bool same_result(const struct summary_domain *domain, size_t i, size_t k)
{
    return strcmp(failure_at(domain, i)->result, failure_at(domain, k)->result) == 0;
}

/* The result type that begins at index i, with the sessions of all its rows. */
static void print_result(FILE *out, const struct summary_domain *domain, size_t i)
{
    const char *result = failure_at(domain, i)->result;
    struct summary_sessions sum = {0};

    for (size_t k = i; k < domain->failures.count && same_result(domain, i, k); k++) {
        sum.failed = failure_at(domain, k)->count;
        sum.good = output_total(&sum);
    }
    fputs("<tbody><tr><th colspan=\"4\"><b>", out);
    html_text(out, result);
    fputs("</b> <span class=\"t\">", out);
    html_count(out, sum.good, "session", "sessions");
    fputs("</span><p class=\"a\">", out);
    html_text(out, verdict_advice(result));
    fputs(".</p></th></tr>\n", out);
}

/* A small line below a cell's text, if there is something to say. */
static void print_below(FILE *out, const char *before, const char *text)
{
    if (text[0] == '\0')
        return;
    fprintf(out, "<small>%s", before);
    html_text(out, text);
    fputs("</small>", out);
}

static void print_or_dash(FILE *out, const char *text)
{
    html_text(out, text[0] == '\0' ? "\xe2\x80\x93" : text);
}

static void print_failure(FILE *out, const struct summary_failure *failure)
{
    fputs("<tr><td>", out);
    print_or_dash(out, failure->mx);
    if (failure->type != TLSRPT_STS)
        fprintf(out, " <span class=\"t\">%s</span>", tlsrpt_type_name(failure->type));
    print_below(out, "", failure->receiving_ip);
    print_below(out, "reason: ", failure->reason);
    fputs("</td><td>", out);
    print_or_dash(out, failure->sending_ip);
    fputs("</td><td class=\"n\">", out);
    html_number(out, failure->count);
    fputs("</td><td>", out);
    html_days(out, failure->first, failure->last);
    fputs("</td></tr>\n", out);
}

static void print_failures(FILE *out, const struct summary_domain *domain)
{
    size_t count = domain->failures.count, shown = count < FAILURES_MAX ? count : FAILURES_MAX;

    if (count == 0)
        return;
    fputs("<h3>Failures, and what to do</h3>\n<table class=\"f4\"><thead><tr>"
          "<th>Receiving host</th><th>Sending address</th><th class=\"n\">Sessions</th>"
          "<th>Days</th></tr></thead>\n",
          out);
    for (size_t i = 0; i < shown; i++) {
        if (i == 0 || !same_result(domain, i - 1, i))
            print_result(out, domain, i);
        print_failure(out, failure_at(domain, i));
        if (i + 1 == shown || !same_result(domain, i, i + 1))
            fputs("</tbody>\n", out);
    }
    fputs("</table>\n", out);
    print_more(out, count - shown, "row", "rows", "--csv=failures has all of them");
}

static void print_reporters(FILE *out, const struct summary_domain *domain)
{
    size_t count = domain->reporters.count, shown = count < REPORTERS_MAX ? count : REPORTERS_MAX;

    fputs("<h3>Reporters</h3>\n<table><thead><tr><th>Organization</th><th class=\"n\">Reports</th>"
          "<th class=\"n\">Good</th><th class=\"n\">Failed</th></tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < shown; i++) {
        const struct summary_reporter *reporter = domain->reporters.items[i];
        fputs("<tr><td>", out);
        html_text(out, reporter->name[0] == '\0' ? "(without a name)" : reporter->name);
        fputs("</td><td class=\"n\">", out);
        html_number(out, (int64_t)reporter->reports);
        fputs("</td><td class=\"n\">", out);
        html_number(out, reporter->sessions.good);
        fputs("</td><td class=\"n\">", out);
        html_number(out, reporter->sessions.failed);
        fputs("</td></tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
    print_more(out, count - shown, "reporter", "reporters", "--json has all of them");
}

/* Line by line: the line ends are the policy's own, and not shown. */
static void print_policy_text(FILE *out, const char *text)
{
    fputs("<pre>", out);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n"), end = text[len] == '\n' ? len + 1 : len;
        html_bytes(out, text, len > 0 && text[len - 1] == '\r' ? len - 1 : len);
        text += end;
        if (*text != '\0')
            putc('\n', out);
    }
    fputs("</pre>\n", out);
}

static void print_policy(FILE *out, const struct summary_policy *policy,
                         const struct config_domain *configured)
{
    const char *current = verdict_current(policy, configured);

    fprintf(out, "<p class=\"c\"><b>%s</b>",
            policy->valid             ? policy_mode_name(policy->mode)
            : policy->text[0] == '\0' ? "Not sent with the report"
                                      : "Not a valid policy");
    if (current[0] != '\0')
        fprintf(out, "<span class=\"t %s\">%s</span>",
                strcmp(current, "current") == 0 ? "ok" : "wait", current);
    fputs(" <small>", out);
    html_days(out, policy->first, policy->last);
    fputs("; ", out);
    html_number(out, policy->sessions.good);
    fputs(" good, ", out);
    html_number(out, policy->sessions.failed);
    fputs(" failed</small></p>\n", out);
    if (policy->text[0] != '\0')
        print_policy_text(out, policy->text);
}

static void print_policies(FILE *out, const struct summary_domain *domain,
                           const struct config_domain *configured)
{
    size_t count = domain->policies.count, shown = count < POLICIES_MAX ? count : POLICIES_MAX;

    if (count == 0)
        return;
    fputs("<h3>Policies that senders saw</h3>\n", out);
    for (size_t i = 0; i < shown; i++)
        print_policy(out, domain->policies.items[i], configured);
    print_more(out, count - shown, "policy", "policies", "--json has all of them");
}

void html_domain(const struct output *output, const struct summary_domain *domain,
                 const struct verdict *verdict, size_t number, FILE *out)
{
    fprintf(out, "<section id=\"d%zu\">\n<h2>", number);
    html_text(out, output_name(domain));
    fputs("</h2>\n", out);
    print_verdict(out, verdict);
    print_numbers(out, domain, verdict);
    print_types(out, domain);
    svg_days(out, domain);
    print_failures(out, domain);
    print_reporters(out, domain);
    print_policies(out, domain, output_configured(output, domain));
    fputs("</section>\n", out);
}
