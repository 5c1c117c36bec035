/* SPDX-License-Identifier: MIT
 * What a lint or a check found: severity, stable code, place, text; and printing them.
 */
#ifndef FINDING_H
#define FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "memory.h"

enum finding_severity {
    FINDING_INFO,
    FINDING_UNTESTED, /* could not be looked at: neither good nor bad */
    FINDING_WARNING,
    FINDING_ERROR, /* must not be served, or breaks mail or its protection */
};

/* Where: a file, a line and a column, both from 1; 0 or NULL: none. */
struct place {
    const char *file;
    unsigned line, column;
};

struct finding {
    enum finding_severity severity;
    const char *code; /* stable, upper case; listed in the manual page */
    struct place place;
    const char *text; /* what is wrong and what to do; printable ASCII */
    const char *fix;  /* a line to paste: a record, an INI line, a command; NULL if there is none */
};

/* Findings in the order they were added; {0} is an empty list. Owns the texts and the file names.
 */
struct finding_list {
    struct arena arena;
    struct finding *items;
    size_t count, errors, warnings, untested;
    bool out_of_memory; /* something is missing from the list; counts as an error */
};

/* Adds a finding. The text is made safe to print, so that it may hold bytes from anywhere. `code`
 * must be a string literal. */
void finding_add(struct finding_list *list, enum finding_severity severity, const char *code,
                 struct place place, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds a finding of another list under another code and place; its text is printable already. */
void finding_add_copy(struct finding_list *list, const struct finding *from,
                      enum finding_severity severity, const char *code, struct place place);

/* Gives the finding that was added last a line that mends it. */
void finding_add_fix(struct finding_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True when nothing forbids to go on: no error and no lack of memory. */
bool finding_list_ok(const struct finding_list *list);
const char *finding_severity_name(enum finding_severity severity);

/* One line each: `FILE:LINE:COLUMN: error[CODE]: text`, without the parts that are not known. */
void finding_print(const struct finding_list *list, FILE *out);
/* {"findings":[{"severity":..,"code":..,"file":..,"line":..,"column":..,"text":..}],"errors":N,"warnings":N}
 */
void finding_print_json(const struct finding_list *list, FILE *out);
void finding_list_free(struct finding_list *list);

#endif
