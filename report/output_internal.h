/* SPDX-License-Identifier: MIT
 * What the outputs have in common, and the parts of the HTML page.
 */
#ifndef REPORT_OUTPUT_INTERNAL_H
#define REPORT_OUTPUT_INTERNAL_H

#include "report/output.h"
#include "report/verdict.h"

/* output_common.c */

/* Its name, or what stands for it where a report names none. */
const char *output_name(const struct summary_domain *domain);

/* The domain of the INI behind `previous` (NULL: the first of all) that no report is about, if the
 * others have not been left out on purpose; NULL if there is none. */
const struct config_domain *output_next_silent(const struct output *output,
                                               const struct config_domain *previous);

/* Good and failed ones together. */
int64_t output_total(const struct summary_sessions *sessions);

/* "99.9 %". Rounded, but a part that is there is never "0.0 %" and one that is not all never
 * "100.0 %"; "-" of nothing. */
#define OUTPUT_PERCENT_SIZE 16
void output_percent(int64_t part, int64_t whole, char text[OUTPUT_PERCENT_SIZE]);

/* "1,234,567"; not negative. */
#define OUTPUT_NUMBER_SIZE 32
void output_number(int64_t number, char text[OUTPUT_NUMBER_SIZE]);

/* verdict_of, with what the INI says of the domain. */
void output_verdict(const struct output *output, const struct summary_domain *domain,
                    struct verdict *verdict);

/* output_html_text.c: in ASCII, whatever the input. */

/* Text between tags or in a quoted attribute. A UTF-8 sequence becomes a character reference; what
 * could not be seen, or would turn the text around it, is shown as \xNN or \u{NNNN}. */
void html_text(FILE *out, const char *string);
void html_bytes(FILE *out, const char *bytes, size_t len);
/* output_number, and with its noun: "1 report", "2,000 reports". */
void html_number(FILE *out, int64_t number);
void html_count(FILE *out, int64_t count, const char *singular, const char *plural);
void html_percent(FILE *out, int64_t part, int64_t whole);
/* A day, and "first to last" (or the one, if they are the same). */
void html_date(FILE *out, summary_day_number day);
void html_days(FILE *out, summary_day_number first, summary_day_number last);

/* output_html_style.c: all in front of the content of <body>. */
void html_head(FILE *out);

/* output_html_domain.c: a section with all that is known of a domain; `number` is its anchor. */
void html_domain(const struct output *output, const struct summary_domain *domain,
                 const struct verdict *verdict, size_t number, FILE *out);

/* output_html.c: the class of its colour. */
const char *html_verdict_class(enum verdict_kind kind);

/* output_svg.c: the sessions of each day as bars; nothing for a domain without days. */
void svg_days(FILE *out, const struct summary_domain *domain);

#endif
