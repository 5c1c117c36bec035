/* SPDX-License-Identifier: MIT
 * The sessions of each day as stacked bars. The SVG has the bars alone and is stretched to the
 * width of the page; the labels are HTML around it, so that they can be read at any width. The
 * numbers come from reports and may be of any size.
 */
#include "output_internal.h"

#include <string.h>

#define SLOTS_MIN 14  /* so that the bars of a few days are no walls */
#define SLOTS_MAX 120 /* days */
/* The unit of height is a tenth of a pixel. */
#define HEIGHT 1400
#define PLOT 1360     /* of the largest day; what is left is for the least heights */
#define GOOD_MIN 10   /* one of a million must be seen, */
#define FAILED_MIN 25 /* a failed one all the more */
#define SLOT 10
#define BAR 8

struct chart {
    summary_day_number first, last; /* of the slots */
    int slots;
    int64_t max;        /* sessions of a day */
    int days, bad_days; /* with a report; with a failed session */
};

static const struct summary_day *day_at(const struct summary_domain *domain, size_t i)
{
    return domain->days.items[i];
}

static struct chart chart_of(const struct summary_domain *domain)
{
    summary_day_number first = day_at(domain, 0)->day;
    struct chart chart = {.last = day_at(domain, domain->days.count - 1)->day};

    chart.slots = chart.last - first + 1;
    if (chart.slots < SLOTS_MIN)
        chart.slots = SLOTS_MIN;
    if (chart.slots > SLOTS_MAX)
        chart.slots = SLOTS_MAX;
    chart.first = chart.last - chart.slots + 1;
    for (size_t i = 0; i < domain->days.count; i++) {
        const struct summary_day *day = day_at(domain, i);
        if (day->day < chart.first)
            continue;
        int64_t total = output_total(&day->sessions);
        chart.max = total > chart.max ? total : chart.max;
        chart.days++;
        chart.bad_days += day->sessions.failed > 0;
    }
    return chart;
}

static int scale(int64_t sessions, int64_t max, int least)
{
    int height = max == 0 ? 0 : (int)((double)sessions / (double)max * PLOT);

    return sessions > 0 && height < least ? least : height;
}

static void print_bar(FILE *out, const char *class, int slot, int bottom, int height)
{
    if (height > 0)
        fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", class,
                slot * SLOT + (SLOT - BAR) / 2, HEIGHT - bottom - height, BAR, height);
}

static void print_day(FILE *out, const struct chart *chart, const struct summary_day *day)
{
    const struct summary_sessions *sessions = &day->sessions;
    int good = scale(sessions->good, chart->max, GOOD_MIN);
    int failed = scale(sessions->failed, chart->max, FAILED_MIN);
    int slot = day->day - chart->first;
    char date[SUMMARY_DATE_SIZE];

    if (good + failed > HEIGHT)
        good = HEIGHT - failed;
    summary_date(day->day, date);
    fprintf(out, "<g><title>%s: ", date);
    html_number(out, sessions->good);
    fputs(" good, ", out);
    html_number(out, sessions->failed);
    fputs(" failed</title>", out);
    print_bar(out, "g", slot, 0, good);
    print_bar(out, "f", slot, good, failed);
    /* A report without sessions is something else than no report. */
    print_bar(out, "z", slot, 0, good + failed == 0 ? GOOD_MIN : 0);
    fputs("</g>\n", out);
}

static void print_svg(FILE *out, const struct chart *chart, const struct summary_domain *domain)
{
    char first[SUMMARY_DATE_SIZE], last[SUMMARY_DATE_SIZE];

    summary_date(chart->first, first);
    summary_date(chart->last, last);
    fprintf(out,
            "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
            "aria-label=\"Sessions by day from %s to %s: at most ",
            chart->slots * SLOT, HEIGHT, first, last);
    html_number(out, chart->max);
    fputs(" a day; ", out);
    html_count(out, chart->bad_days, "day", "days");
    fputs(" with failures\">\n", out);
    for (int i = 0; i < 2; i++)
        fprintf(out, "<line x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", chart->slots * SLOT,
                HEIGHT - PLOT + i * PLOT / 2, HEIGHT - PLOT + i * PLOT / 2);
    for (size_t i = 0; i < domain->days.count; i++)
        if (day_at(domain, i)->day >= chart->first)
            print_day(out, chart, day_at(domain, i));
    fputs("</svg>\n", out);
}

void svg_days(FILE *out, const struct summary_domain *domain)
{
    if (domain->days.count == 0)
        return;
    struct chart chart = chart_of(domain);
    size_t hidden = domain->days.count - (size_t)chart.days;

    fputs("<figure>\n<div class=\"ax\"><span>", out);
    html_number(out, chart.max);
    fputs(
        " sessions a day</span><span><i class=\"sg\">&#9632;</i> good <i class=\"sf\">&#9632;</i> "
        "failed</span></div>\n",
        out);
    print_svg(out, &chart, domain);
    fputs("<div class=\"ax\">", out);
    html_date(out, chart.first);
    html_date(out, chart.last);
    fputs("</div>\n<figcaption>Sessions by day.", out);
    if (chart.days < chart.slots)
        fputs(" A gap is a day without a report.", out);
    if (hidden > 0) {
        fprintf(out, " The last %d days are shown; ", SLOTS_MAX);
        html_count(out, (int64_t)hidden, "earlier day with reports is not.",
                   "earlier days with reports are not.");
    }
    fputs("</figcaption>\n</figure>\n", out);
}
