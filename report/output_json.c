/* SPDX-License-Identifier: MIT
 * A summary as one JSON object for programs. Any string in it was chosen by somebody else and may
 * hold any octet; text_json_string makes ASCII of each.
 */
#include "output_internal.h"

#include <inttypes.h>
#include <string.h>

#include "text.h"

/* Between the items of an array. */
static void print_separator(FILE *out, size_t index)
{
    fputs(index > 0 ? ",\n   " : "\n   ", out);
}

static void print_string(FILE *out, const char *key, const char *value)
{
    fprintf(out, "\"%s\":", key);
    text_json_string(out, value);
}

static void print_day(FILE *out, const char *key, summary_day_number day)
{
    char date[SUMMARY_DATE_SIZE];

    if (day == SUMMARY_DAY_NONE) {
        fprintf(out, "\"%s\":null", key);
        return;
    }
    summary_date(day, date);
    print_string(out, key, date);
}

static void print_days(FILE *out, summary_day_number first, summary_day_number last)
{
    print_day(out, "first", first);
    putc(',', out);
    print_day(out, "last", last);
}

static void print_sessions(FILE *out, const struct summary_sessions *sessions)
{
    fprintf(out, "\"good\":%" PRId64 ",\"failed\":%" PRId64, sessions->good, sessions->failed);
}

static void print_mode(FILE *out, bool known, enum policy_mode mode)
{
    if (known)
        print_string(out, "mode", policy_mode_name(mode));
    else
        fputs("\"mode\":null", out);
}

static void print_policy_types(FILE *out, const struct summary_domain *domain)
{
    const char *separator = "";

    fputs(",\n  \"policy_types\":{", out);
    for (enum tlsrpt_type type = TLSRPT_STS; type < TLSRPT_TYPES; type++) {
        if (output_total(&domain->types[type]) == 0)
            continue;
        fprintf(out, "%s\"%s\":{", separator, tlsrpt_type_name(type));
        print_sessions(out, &domain->types[type]);
        putc('}', out);
        separator = ",";
    }
    putc('}', out);
}

static void print_verdict(FILE *out, const struct verdict *verdict)
{
    fputs(",\n  ", out);
    print_string(out, "verdict", verdict_name(verdict->kind));
    putc(',', out);
    print_string(out, "words", verdict_words(verdict));
    putc(',', out);
    print_mode(out, verdict->mode_known, verdict->mode);
    fputs(",\"reasons\":[", out);
    for (size_t i = 0; i < verdict->reason_count; i++) {
        fputs(i > 0 ? "," : "", out);
        text_json_string(out, verdict->reasons[i]);
    }
    putc(']', out);
}

static void print_reporters_and_days(FILE *out, const struct summary_domain *domain)
{
    fputs(",\n  \"reporters\":[", out);
    for (size_t i = 0; i < domain->reporters.count; i++) {
        const struct summary_reporter *reporter = domain->reporters.items[i];
        print_separator(out, i);
        putc('{', out);
        print_string(out, "organization", reporter->name);
        fprintf(out, ",\"reports\":%zu,", reporter->reports);
        print_sessions(out, &reporter->sessions);
        putc('}', out);
    }
    fputs("],\n  \"days\":[", out);
    for (size_t i = 0; i < domain->days.count; i++) {
        const struct summary_day *day = domain->days.items[i];
        print_separator(out, i);
        putc('{', out);
        print_day(out, "day", day->day);
        putc(',', out);
        print_sessions(out, &day->sessions);
        putc('}', out);
    }
    putc(']', out);
}

static void print_failure(FILE *out, const struct summary_failure *failure)
{
    const struct {
        const char *key, *value;
    } strings[] = {
        {"policy_type", tlsrpt_type_name(failure->type)},
        {"result", failure->result},
        {"mx", failure->mx},
        {"sending_ip", failure->sending_ip},
        {"receiving_ip", failure->receiving_ip},
        {"reason", failure->reason},
    };

    putc('{', out);
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        print_string(out, strings[i].key, strings[i].value);
        putc(',', out);
    }
    fprintf(out, "\"sessions\":%" PRId64 ",", failure->count);
    print_days(out, failure->first, failure->last);
    putc(',', out);
    print_string(out, "advice", verdict_advice(failure->result));
    putc('}', out);
}

static void print_policy(FILE *out, const struct summary_policy *policy,
                         const struct config_domain *configured)
{
    const char *current = verdict_current(policy, configured);

    putc('{', out);
    print_string(out, "text", policy->text);
    putc(',', out);
    print_mode(out, policy->valid, policy->mode);
    fprintf(out, ",\"current\":%s,",
            current[0] == '\0'                ? "null"
            : strcmp(current, "current") == 0 ? "true"
                                              : "false");
    print_sessions(out, &policy->sessions);
    putc(',', out);
    print_days(out, policy->first, policy->last);
    putc('}', out);
}

static void print_domain(const struct output *output, const struct summary_domain *domain,
                         FILE *out)
{
    const struct config_domain *configured = output_configured(output, domain);
    struct verdict verdict;

    output_verdict(output, domain, &verdict);
    putc('{', out);
    print_string(out, "domain", domain->name);
    putc(',', out);
    print_days(out, domain->first, domain->last);
    fprintf(out, ",\"reports\":%zu,\"sessions\":{", domain->reports);
    print_sessions(out, &domain->sessions);
    putc('}', out);
    print_policy_types(out, domain);
    print_verdict(out, &verdict);
    print_reporters_and_days(out, domain);
    fputs(",\n  \"failures\":[", out);
    for (size_t i = 0; i < domain->failures.count; i++) {
        print_separator(out, i);
        print_failure(out, domain->failures.items[i]);
    }
    fputs("],\n  \"policies\":[", out);
    for (size_t i = 0; i < domain->policies.count; i++) {
        print_separator(out, i);
        print_policy(out, domain->policies.items[i], configured);
    }
    fputs("]}", out);
}

static void print_silent(const struct output *output, FILE *out)
{
    const struct config_domain *domain = NULL;

    fputs("],\n \"without_reports\":[", out);
    for (size_t i = 0; (domain = output_next_silent(output, domain)) != NULL; i++) {
        if (i > 0)
            putc(',', out);
        text_json_string(out, domain->name);
    }
}

void output_json(const struct output *output, FILE *out)
{
    const struct summary *summary = output->summary;
    const char *separator = "";

    putc('{', out);
    print_day(out, "today", output->today);
    fprintf(out,
            ",\"reports\":%zu,\"duplicates\":%zu,\"outside\":%zu,\"elsewhere\":%zu,"
            "\"unreadable\":%zu,"
            "\"incomplete\":%s,\n \"notes\":[",
            summary->reports, summary->duplicates, summary->outside, summary->elsewhere,
            output->unreadable, summary->full ? "true" : "false");
    for (unsigned bit = 0; bit < TLSRPT_NOTES; bit++) {
        if (summary->notes[bit] == 0)
            continue;
        fprintf(out, "%s\n  {", separator);
        print_string(out, "text", tlsrpt_note_text(bit));
        fprintf(out, ",\"reports\":%zu}", summary->notes[bit]);
        separator = ",";
    }
    print_silent(output, out);
    fputs("],\n \"domains\":[", out);
    for (size_t i = 0; i < summary->domains.count; i++) {
        fputs(i > 0 ? ",\n " : "\n ", out);
        print_domain(output, summary_domain_at(summary, i), out);
    }
    fputs("]}\n", out);
}
