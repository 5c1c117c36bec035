/* SPDX-License-Identifier: MIT
 * Printing what mta-sts-check found. Every text in it may have been chosen by somebody else; the
 * findings have been made printable when they were added.
 */
#include "output.h"

#include <string.h>

#include "text.h"

static const char *const words[] = {
    [FINDING_INFO] = "info",
    [FINDING_UNTESTED] = "not tested",
    [FINDING_WARNING] = "warning",
    [FINDING_ERROR] = "error",
};

static const char *const colours[] = {
    [FINDING_INFO] = "\033[36m",
    [FINDING_UNTESTED] = "\033[35m",
    [FINDING_WARNING] = "\033[33m",
    [FINDING_ERROR] = "\033[31m",
};
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

/* A word in its colour, the column filled up with blanks. */
static void print_word(const struct output *output, const char *word, const char *colour)
{
    printf("  %s%-10s%s  ", output->colour ? colour : "", word, output->colour ? PLAIN : "");
}

static void print_finding(const struct output *output, const struct finding *f)
{
    char subject[4 * CHECKS_SUBJECT_SIZE];
    struct text text;

    /* Names in DNS may have any byte. */
    text_init(&text, subject, sizeof subject);
    text_add_escaped(&text, f->place.file, strlen(f->place.file), "");
    print_word(output, words[f->severity], colours[f->severity]);
    printf("%-16s  %s", f->code, subject);
    if (f->place.line != 0)
        printf(", line %u", f->place.line);
    if (f->place.column != 0)
        printf(", character %u", f->place.column);
    printf(": %s\n", f->text);
    if (f->fix != NULL)
        printf("%14s%-16s  %s\n", "", "fix:", f->fix);
}

static bool lacks_findings(const struct checks *checks)
{
    return checks->findings.out_of_memory || checks->seen.out_of_memory;
}

/* Said as the gravest: what is missing may have been an error. */
static const struct finding no_memory = {.severity = FINDING_ERROR,
                                         .code = "NO_MEMORY",
                                         .place = {"mta-sts-check", 0, 0},
                                         .text = "out of memory; findings are missing"};

static size_t count_errors(const struct checks *checks)
{
    return checks->findings.errors + (lacks_findings(checks) ? 1 : 0);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_counts(size_t errors, size_t warnings, size_t untested)
{
    printf("%zu error%s, %zu warning%s, %zu not tested\n", errors, plural(errors), warnings,
           plural(warnings), untested);
}

static void print_text(struct output *output, const struct checks *checks)
{
    const struct finding_list *findings = &checks->findings, *seen = &checks->seen;

    printf("%s%s\n", output->domains > 0 ? "\n" : "", checks->facts->domain);
    for (size_t i = 0; !output->quiet && i < seen->count; i++) {
        print_word(output, "ok", GREEN);
        printf("%-16s  %s\n", seen->items[i].code, seen->items[i].text);
    }
    if (lacks_findings(checks))
        print_finding(output, &no_memory);
    /* The gravest first; among equals, in the order of the checks. */
    for (int severity = FINDING_ERROR; severity >= FINDING_INFO; severity--)
        for (size_t i = 0; i < findings->count; i++)
            if ((int)findings->items[i].severity == severity)
                print_finding(output, &findings->items[i]);
    printf("%s: ", checks->facts->domain);
    print_counts(count_errors(checks), findings->warnings, findings->untested);
}

static void print_json_finding(const struct finding *f)
{
    printf("\n  {\"severity\":\"%s\",\"code\":\"%s\",\"subject\":",
           finding_severity_name(f->severity), f->code);
    text_json_string(stdout, f->place.file);
    if (f->place.line != 0)
        printf(",\"line\":%u", f->place.line);
    if (f->place.column != 0)
        printf(",\"column\":%u", f->place.column);
    fputs(",\"text\":", stdout);
    text_json_string(stdout, f->text);
    if (f->fix != NULL) {
        fputs(",\"fix\":", stdout);
        text_json_string(stdout, f->fix);
    }
    putchar('}');
}

static void print_json(const struct output *output, const struct checks *checks)
{
    const struct finding_list *findings = &checks->findings;

    printf("%s\n {\"domain\":", output->domains > 0 ? "," : "");
    text_json_string(stdout, checks->facts->domain);
    fputs(",\"findings\":[", stdout);
    if (lacks_findings(checks))
        print_json_finding(&no_memory);
    for (size_t i = 0; i < findings->count; i++) {
        if (i > 0 || lacks_findings(checks))
            putchar(',');
        print_json_finding(&findings->items[i]);
    }
    printf("],\n  \"errors\":%zu,\"warnings\":%zu,\"untested\":%zu}", count_errors(checks),
           findings->warnings, findings->untested);
}

void output_begin(struct output *output)
{
    if (output->json)
        fputs("{\"domains\":[", stdout);
}

void output_domain(struct output *output, const struct checks *checks)
{
    if (output->json)
        print_json(output, checks);
    else
        print_text(output, checks);
    output->domains++;
    output->errors += count_errors(checks);
    output->warnings += checks->findings.warnings;
    output->untested += checks->findings.untested;
    fflush(stdout);
}

/* RFC 8461 section 8; who has nothing to mend needs no advice. */
static void print_advice(void)
{
    fputs("\nOrder of work: the TLS-RPT record, the policy, the _mta-sts record; testing, then "
          "enforce.\n"
          "A change: the policy first, then the id. To withdraw: mode none and a new id; keep both "
          "until\n"
          "the old max_age is over, then remove the record and the host.\n",
          stdout);
}

void output_end(const struct output *output)
{
    if (output->json)
        printf("],\n \"errors\":%zu,\"warnings\":%zu,\"untested\":%zu}\n", output->errors,
               output->warnings, output->untested);
    else if (output->domains > 1) {
        printf("\n%zu domains: ", output->domains);
        print_counts(output->errors, output->warnings, output->untested);
    }
    if (!output->json && !output->quiet && output->errors > 0)
        print_advice();
}
