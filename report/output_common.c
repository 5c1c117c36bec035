/* SPDX-License-Identifier: MIT
 * What the outputs have in common: numbers as people read them, and the domain in the INI. The
 * numbers come from reports, so a sum of them may be as large as it gets.
 */
#include "output_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *output_name(const struct summary_domain *domain)
{
    return domain->name[0] == '\0' ? "(no policy-domain)" : domain->name;
}

int64_t output_total(const struct summary_sessions *sessions)
{
    return summary_sum(sessions->good, sessions->failed);
}

void output_percent(int64_t part, int64_t whole, char text[OUTPUT_PERCENT_SIZE])
{
    /* Tenths; as real numbers, because a thousand times a sum may not fit. */
    int tenths = whole <= 0 ? 0 : (int)((double)part * 1000 / (double)whole + 0.5);

    if (whole <= 0)
        snprintf(text, OUTPUT_PERCENT_SIZE, "-");
    else if (part > 0 && tenths == 0)
        snprintf(text, OUTPUT_PERCENT_SIZE, "<0.1 %%");
    else {
        if (part < whole && tenths > 999)
            tenths = 999;
        snprintf(text, OUTPUT_PERCENT_SIZE, "%d.%d %%", tenths / 10, tenths % 10);
    }
}

void output_number(int64_t number, char text[OUTPUT_NUMBER_SIZE])
{
    char digits[OUTPUT_NUMBER_SIZE];
    int len = snprintf(digits, sizeof digits, "%" PRId64, number);
    size_t used = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
}

const struct config_domain *output_configured(const struct output *output,
                                              const struct summary_domain *domain)
{
    return output->config == NULL ? NULL : config_find_domain(output->config, domain->name);
}

void output_verdict(const struct output *output, const struct summary_domain *domain,
                    struct verdict *verdict)
{
    verdict_of(domain, output->today, output_configured(output, domain), verdict);
}

static int compare_name(const void *key, const void *item)
{
    const struct summary_domain *domain = *(void *const *)item;

    return strcmp(key, domain->name);
}

const struct config_domain *output_next_silent(const struct output *output,
                                               const struct config_domain *previous)
{
    const struct summary_set *domains = &output->summary->domains;
    const struct config *config = output->config;

    if (config == NULL || output->summary->only != NULL)
        return NULL;
    size_t i = previous == NULL ? 0 : (size_t)(previous - config->domains) + 1;
    for (; i < config->domain_count; i++)
        if (domains->count == 0 || bsearch(config->domains[i].name, domains->items, domains->count,
                                           sizeof *domains->items, compare_name) == NULL)
            return &config->domains[i];
    return NULL;
}
