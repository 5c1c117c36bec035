/* SPDX-License-Identifier: MIT
 * Waiting until a new id has reached DNS: for scripts that publish one.
 */
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns.h"
#include "monotonic.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 30000

/* The id that is published; empty where there is none, or more than one record. */
static void published_id(const struct dns_texts *texts, char id[POLICY_ID_MAX + 1])
{
    struct finding_list ignored = {0};
    unsigned records = 0;

    id[0] = '\0';
    for (unsigned i = 0; i < texts->count && i < FACTS_TEXTS_MAX; i++) {
        const struct dns_text *text = &texts->items[i];
        if (strncmp(text->bytes, "v=STSv1", strlen("v=STSv1")) != 0)
            continue;
        if (policy_parse_sts_txt(text->bytes, text->len, "", &ignored, id) == POLICY_INVALID ||
            records++ > 0)
            id[0] = '\0';
    }
    finding_list_free(&ignored);
}

static bool is_published(const struct address *resolver, const struct domain_facts *domain,
                         char id[POLICY_ID_MAX + 1])
{
    struct dns_texts texts;

    dns_collect_sts(resolver, domain->domain, &texts);
    published_id(&texts, id);
    return strcmp(id, domain->expected->policy->id) == 0;
}

static void pause_for(int64_t ms)
{
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

bool wait_for_dns(const struct address *resolver, const struct domain_facts *domains, size_t count,
                  unsigned seconds)
{
    int64_t deadline = monotonic_ms() + (int64_t)seconds * 1000, pause = PAUSE_MIN_MS;
    bool *done = calloc(count + 1, sizeof *done), first = true;
    size_t left = count;
    char id[POLICY_ID_MAX + 1];

    while (done != NULL) {
        for (size_t i = 0; i < count; i++) {
            if (done[i])
                continue;
            done[i] = is_published(resolver, &domains[i], id);
            left -= done[i];
            if (done[i] || first)
                printf("%s: %s id %s\n", domains[i].domain,
                       done[i] ? "published:" : "not yet: waiting for",
                       domains[i].expected->policy->id);
        }
        fflush(stdout);
        first = false;
        int64_t rest = deadline - monotonic_ms();
        if (left == 0 || rest <= 0)
            break;
        pause_for(pause < rest ? pause : rest);
        pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    }
    for (size_t i = 0; done != NULL && i < count; i++)
        if (!done[i])
            printf("%s: not published within %u seconds\n", domains[i].domain, seconds);
    free(done);
    return left == 0;
}
