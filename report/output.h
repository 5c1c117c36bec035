/* SPDX-License-Identifier: MIT
 * Printing a summary. Nearly every string in it was chosen by somebody else: each output escapes
 * what it cannot show.
 */
#ifndef REPORT_OUTPUT_H
#define REPORT_OUTPUT_H

#include <stdio.h>

#include "config.h"
#include "report/summary.h"

struct output {
    const struct summary *summary; /* finished */
    const struct config *config;   /* NULL without -c */
    summary_day_number today;
    size_t unreadable; /* inputs */
    bool colour;       /* text only */
};

void output_text(const struct output *output, FILE *out);
void output_json(const struct output *output, FILE *out);
/* One row for each domain and day, or for each row of failures. */
void output_csv_days(const struct output *output, FILE *out);
void output_csv_failures(const struct output *output, FILE *out);
/* One page with everything in it: inline SVG and style, no script, no link. */
void output_html(const struct output *output, FILE *out);

/* The domain in the INI, or NULL. */
const struct config_domain *output_configured(const struct output *output,
                                              const struct summary_domain *domain);

#endif
