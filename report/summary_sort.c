/* SPDX-License-Identifier: MIT
 * A summary put in order for printing, and its end.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/summary.h"

#define SECONDS_OF_DAY 86400

static int descending(int64_t a, int64_t b)
{
    return (a < b) - (a > b);
}

/* For qsort: the items are pointers. */
static int order_domains(const void *a, const void *b)
{
    const struct summary_domain *x = *(void *const *)a, *y = *(void *const *)b;

    return strcmp(x->name, y->name);
}

static int order_days(const void *a, const void *b)
{
    const struct summary_day *x = *(void *const *)a, *y = *(void *const *)b;

    return descending(y->day, x->day);
}

static int order_reporters(const void *a, const void *b)
{
    const struct summary_reporter *x = *(void *const *)a, *y = *(void *const *)b;
    int order = descending(x->sessions.good, y->sessions.good);

    if (order == 0)
        order = descending(x->sessions.failed, y->sessions.failed);
    return order != 0 ? order : strcmp(x->name, y->name);
}

/* The newest first. */
static int order_policies(const void *a, const void *b)
{
    const struct summary_policy *x = *(void *const *)a, *y = *(void *const *)b;
    int order = descending(x->last, y->last);

    if (order == 0)
        order = descending(x->first, y->first);
    return order != 0 ? order : strcmp(x->text, y->text);
}

static int order_by_result(const void *a, const void *b)
{
    const struct summary_failure *x = *(void *const *)a, *y = *(void *const *)b;

    return strcmp(x->result, y->result);
}

/* Behind order_by_result: rows of one result lie together, of the largest sum first. */
static int order_failures(const void *a, const void *b)
{
    const struct summary_failure *x = *(void *const *)a, *y = *(void *const *)b;
    int order = descending(x->result_count, y->result_count);

    if (order == 0)
        order = strcmp(x->result, y->result);
    if (order == 0)
        order = descending(x->count, y->count);
    if (order == 0)
        order = strcmp(x->mx, y->mx);
    if (order == 0)
        order = strcmp(x->sending_ip, y->sending_ip);
    if (order == 0)
        order = strcmp(x->receiving_ip, y->receiving_ip);
    return order != 0 ? order : (x->type > y->type) - (x->type < y->type);
}

static void sort(const struct summary_set *set, int (*order)(const void *, const void *))
{
    if (set->count > 1)
        qsort(set->items, set->count, sizeof *set->items, order);
}

static void sort_failures(const struct summary_set *set)
{
    struct summary_failure **rows = (struct summary_failure **)set->items;

    sort(set, order_by_result);
    for (size_t i = 0, end; i < set->count; i = end) {
        int64_t sum = 0;
        for (end = i; end < set->count && strcmp(rows[end]->result, rows[i]->result) == 0; end++)
            sum = summary_sum(sum, rows[end]->count);
        for (size_t k = i; k < end; k++)
            rows[k]->result_count = sum;
    }
    sort(set, order_failures);
}

void summary_finish(struct summary *summary)
{
    sort(&summary->domains, order_domains);
    for (size_t i = 0; i < summary->domains.count; i++) {
        struct summary_domain *domain = summary->domains.items[i];
        domain->incomplete = domain->incomplete || summary->full;
        sort(&domain->days, order_days);
        sort(&domain->reporters, order_reporters);
        sort(&domain->policies, order_policies);
        sort_failures(&domain->failures);
    }
}

/* The items are the arena's. */
static void keep_item(void *item)
{
    (void)item;
}

void summary_free(struct summary *summary)
{
    for (size_t i = 0; i < summary->domains.count; i++) {
        const struct summary_domain *domain = summary->domains.items[i];
        tdestroy(domain->days.root, keep_item);
        tdestroy(domain->reporters.root, keep_item);
        tdestroy(domain->failures.root, keep_item);
        tdestroy(domain->policies.root, keep_item);
    }
    tdestroy(summary->domains.root, keep_item);
    tdestroy(summary->known.root, keep_item);
    arena_free(&summary->arena);
}

void summary_date(summary_day_number day, char date[SUMMARY_DATE_SIZE])
{
    time_t when = (time_t)day * SECONDS_OF_DAY;
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || strftime(date, SUMMARY_DATE_SIZE, "%Y-%m-%d", &tm) == 0)
        snprintf(date, SUMMARY_DATE_SIZE, "?");
}
