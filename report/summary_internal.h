/* SPDX-License-Identifier: MIT
 * What the parts of the summary share.
 */
#ifndef REPORT_SUMMARY_INTERNAL_H
#define REPORT_SUMMARY_INTERNAL_H

#include "report/summary.h"

/* summary_set.c. Without memory `full` is set, and stays so. */

/* A copy that lives as long as the summary; "" without memory. */
const char *summary_keep(struct summary *summary, const char *string);
/* The item that compares equal to *key, or NULL. */
void *summary_set_find(const struct summary_set *set, const void *key,
                       int (*compare)(const void *, const void *));
/* Adds a copy of *key, of `size` octets, whose strings are kept already; NULL without memory. */
void *summary_set_add(struct summary *summary, struct summary_set *set, const void *key,
                      size_t size, int (*compare)(const void *, const void *));

/* summary.c */
struct summary_domain *summary_find_domain(const struct summary *summary, const char *name);

/* summary_known.c: whether the report is to be counted. One without an id is known by its contents.
 */
enum summary_result summary_know(struct summary *summary, const struct tlsrpt_report *report);

#endif
