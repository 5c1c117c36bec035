/* SPDX-License-Identifier: MIT
 * Waiting until a new id has reached DNS: for scripts that publish one. Each look-up is a job, for
 * libresolv can wait without end.
 */
#include "wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns.h"
#include "jobs.h"
#include "monotonic.h"

#define AT_ONCE 16
#define LOOK_MS 15000
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 30000

struct look {
    const struct address *resolver;
    const struct domain_facts *domain;
    struct dns_texts *texts; /* shared with the job */
    bool done;
};

static void run_look(const void *what, void *facts)
{
    const struct look *look = what;

    dns_collect_sts(look->resolver, look->domain->domain, facts);
}

/* Whether just one record is there, and has the id of the INI. */
static bool is_published(const struct look *look)
{
    const struct dns_texts *texts = look->texts;
    struct finding_list ignored = {0};
    char id[POLICY_ID_MAX + 1];
    unsigned records = 0;
    bool right = false;

    for (unsigned i = 0; i < texts->count && i < FACTS_TEXTS_MAX; i++) {
        const struct dns_text *text = &texts->items[i];
        if (strncmp(text->bytes, "v=STSv1", strlen("v=STSv1")) != 0)
            continue;
        records++;
        right = policy_parse_sts_txt(text->bytes, text->len, "", &ignored, id) != POLICY_INVALID &&
                strcmp(id, look->domain->expected->policy->id) == 0;
    }
    finding_list_free(&ignored);
    return right && records == 1 && texts->count <= FACTS_TEXTS_MAX;
}

/* Looks at all that are not done, side by side; false without memory. */
static bool look_at_all(struct look *looks, size_t count)
{
    struct job *jobs = calloc(count + 1, sizeof *jobs);
    size_t pending = 0;

    if (jobs == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (looks[i].done)
            continue;
        *looks[i].texts = (struct dns_texts){.status = DNS_NOT_ASKED};
        jobs[pending++] = (struct job){
            .run = run_look, .what = &looks[i], .facts = looks[i].texts, .limit_ms = LOOK_MS};
    }
    jobs_run(jobs, pending, AT_ONCE, NULL);
    free(jobs);
    return true;
}

/* How many are still to come. */
static size_t tell(struct look *looks, size_t count, bool first)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        if (looks[i].done)
            continue;
        looks[i].done = is_published(&looks[i]);
        left += !looks[i].done;
        if (looks[i].done || first)
            printf("%s: %s id %s\n", looks[i].domain->domain,
                   looks[i].done ? "published:" : "not yet: waiting for",
                   looks[i].domain->expected->policy->id);
    }
    fflush(stdout);
    return left;
}

static void pause_for(int64_t ms)
{
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

static bool wait_for_all(struct look *looks, size_t count, unsigned seconds)
{
    int64_t deadline = monotonic_ms() + (int64_t)seconds * 1000, pause = PAUSE_MIN_MS;

    for (bool first = true;; first = false) {
        if (!look_at_all(looks, count))
            return false;
        size_t left = tell(looks, count, first);
        int64_t rest = deadline - monotonic_ms();
        if (left == 0)
            return true;
        if (rest <= 0)
            break;
        pause_for(pause < rest ? pause : rest);
        pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
    }
    for (size_t i = 0; i < count; i++)
        if (!looks[i].done)
            printf("%s: not published within %u seconds\n", looks[i].domain->domain, seconds);
    return false;
}

bool wait_for_dns(const struct address *resolver, const struct domain_facts *domains, size_t count,
                  unsigned seconds)
{
    struct look *looks = calloc(count + 1, sizeof *looks);
    struct dns_texts *texts = jobs_memory((count + 1) * sizeof *texts);
    bool good = looks != NULL && texts != NULL;

    for (size_t i = 0; good && i < count; i++)
        looks[i] = (struct look){resolver, &domains[i], &texts[i], false};
    good = good && wait_for_all(looks, count, seconds);
    jobs_memory_free(texts, (count + 1) * sizeof *texts);
    free(looks);
    return good;
}
