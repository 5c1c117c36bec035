/* SPDX-License-Identifier: MIT
 * Fetches by several threads, and what they took. With a rate each has its time to start, and what
 * it took counts from then: a server that stalls cannot hide it by stalling its clients.
 */
#include "load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX 1000000
#define FAILED (-1.0F)
#define COMPLAINTS_MAX 3

struct run {
    struct load *load;
    bool fetch;
    double start;
    float *samples; /* seconds by number of the fetch; 0: it never began */
    atomic_ulong next, complaints;
    char session[LOAD_SESSION_SIZE];
};

static bool once(struct run *run, unsigned long n)
{
    const char *why = NULL;
    bool good;

    if (run->fetch) {
        good = load_tls_fetch(run->load, n, n == 0 ? run->session : NULL, &why);
    } else {
        SSL *ssl = load_tls_open(run->load, n, &why);
        good = ssl != NULL;
        if (good)
            load_tls_close(ssl);
    }
    if (!good && atomic_fetch_add(&run->complaints, 1) < COMPLAINTS_MAX)
        fprintf(stderr, "load: number %lu after %.3f s: %s\n", n, load_now() - run->start, why);
    return good;
}

static void *work(void *opaque)
{
    struct run *run = opaque;
    const struct load *load = run->load;
    unsigned long n;

    while ((n = atomic_fetch_add(&run->next, 1)) < load->count) {
        double begin = load->rate > 0 ? run->start + (double)n / load->rate : load_now();
        if (begin >= run->start + load->seconds)
            break;
        if (load->rate > 0)
            load_pace(run->start, load->rate, n);
        bool good = once(run, n);
        run->samples[n] = good ? (float)(load_now() - begin) : FAILED;
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The least sample that so many of a hundred do not exceed, in milliseconds. */
static double percentile(const float *sorted, size_t count, double percent)
{
    size_t rank = (size_t)((double)count * percent / 100 + 0.999999);

    if (count == 0)
        return 0;
    return 1000 * (double)sorted[rank == 0 ? 0 : rank > count ? count - 1 : rank - 1];
}

static int print(struct run *run, double seconds)
{
    size_t count = 0, failed = 0;

    for (size_t i = 0; i < run->load->count; i++) {
        if (run->samples[i] > 0)
            run->samples[count++] = run->samples[i];
        else if (run->samples[i] < 0)
            failed++;
    }
    qsort(run->samples, count, sizeof *run->samples, compare);
    printf("done=%zu failed=%zu seconds=%.3f per_second=%.2f p50_ms=%.3f p99_ms=%.3f max_ms=%.3f "
           "%s\n",
           count, failed, seconds, (double)count / seconds, percentile(run->samples, count, 50),
           percentile(run->samples, count, 99), percentile(run->samples, count, 100), run->session);
    return failed == 0 && count > 0 ? 0 : 1;
}

int load_run(struct load *load, bool fetch)
{
    struct run run = {.load = load, .fetch = fetch};
    pthread_t *threads = calloc(load->threads, sizeof *threads);
    size_t started = 0;
    int code = 1;

    if (load->count == 0 || load->count > SAMPLES_MAX)
        load->count = SAMPLES_MAX;
    run.samples = calloc(load->count, sizeof *run.samples);
    run.start = load_now();
    if (run.samples != NULL && threads != NULL) {
        while (started < load->threads && pthread_create(&threads[started], NULL, work, &run) == 0)
            started++;
        for (size_t i = 0; i < started; i++)
            pthread_join(threads[i], NULL);
        code = print(&run, load_now() - run.start);
    }
    free(run.samples);
    free(threads);
    return code;
}
