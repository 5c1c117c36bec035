/* SPDX-License-Identifier: MIT
 * The certificates of all hosts. Each pair of files is loaded once, however many hosts share it,
 * and not again while it does not change; one host's bad certificate leaves out that host alone.
 */
#include <stdlib.h>
#include <string.h>

#include "tls_internal.h"

/* A site while its pair is looked for; sites with the same files become neighbours. */
struct loading {
    const struct tls_site *site;
    struct tls_pair *pair;
};

static int compare_paths(const char *certificate, const char *private_key,
                         const char *other_certificate, const char *other_private_key)
{
    int order = strcmp(certificate, other_certificate);

    return order != 0 ? order : strcmp(private_key, other_private_key);
}

/* Of a site and the pairs of a store. */
static int compare_site_to_pair(const void *key, const void *item)
{
    const struct tls_site *site = key;
    const struct tls_pair *pair = *(struct tls_pair *const *)item;

    return compare_paths(site->certificate, site->private_key, pair->certificate,
                         pair->private_key);
}

static int compare_files(const void *a, const void *b)
{
    const struct tls_site *x = ((const struct loading *)a)->site;
    const struct tls_site *y = ((const struct loading *)b)->site;
    int order = compare_paths(x->certificate, x->private_key, y->certificate, y->private_key);

    /* The order of the INI decides where findings of a shared pair are said. */
    return order != 0 ? order : (x > y) - (x < y);
}

static int compare_site_order(const void *a, const void *b)
{
    const struct tls_site *x = ((const struct loading *)a)->site;
    const struct tls_site *y = ((const struct loading *)b)->site;

    return (x > y) - (x < y);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct tls_entry *)a)->host, ((const struct tls_entry *)b)->host);
}

static bool same_files(const struct tls_site *a, const struct tls_site *b)
{
    return compare_paths(a->certificate, a->private_key, b->certificate, b->private_key) == 0;
}

/* Takes the sites that name both of their files; the others are complained of. */
static size_t select_sites(const struct tls_site *sites, size_t count, struct loading *loading,
                           struct finding_list *findings)
{
    size_t selected = 0;

    for (size_t i = 0; i < count; i++) {
        if (sites[i].certificate != NULL && sites[i].private_key != NULL)
            loading[selected++].site = &sites[i];
        else
            finding_add(findings, FINDING_ERROR, "CERT_MISSING", sites[i].place,
                        "%s has no %s: set it in [server] or in its [policy]", sites[i].host,
                        sites[i].certificate == NULL ? "certificate" : "private_key");
    }
    return selected;
}

/* Takes over one reference; false without memory, the reference is gone all the same. */
static bool keep_pair(struct tls_store *store, struct tls_pair *pair)
{
    struct tls_pair **pairs =
        arena_grow(&store->arena, store->pairs, store->pair_count, sizeof *pairs);

    if (pairs == NULL) {
        tls_pair_release(pair);
        return false;
    }
    store->pairs = pairs;
    store->pairs[store->pair_count++] = pair;
    return true;
}

/* The pair of a site's files as an earlier store has it, if it would be the same now, or NULL. */
static struct tls_pair *find_unchanged(const struct tls_store *previous,
                                       const struct tls_site *site)
{
    struct tls_pair **found = NULL;

    if (previous != NULL && previous->named_count > 0)
        found = bsearch(site, previous->pairs, previous->named_count, sizeof(struct tls_pair *),
                        compare_site_to_pair);
    return found != NULL && tls_pair_is_reusable(*found) ? *found : NULL;
}

/* The first of the sites with these files, in the order by files. */
static bool is_first(const struct loading *loading, size_t i)
{
    return i == 0 || !same_files(loading[i - 1].site, loading[i].site);
}

/* Gives each site the pair that has not changed, or an empty one. All of these are allocated before
 * the first is filled, so that they lie together: a later reload counts references in them, and of
 * the memory that is shared with the workers just those pages are copied. */
static bool assign_pairs(struct tls_store *store, struct loading *loading, size_t count,
                         const struct tls_store *previous)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_first(loading, i)) {
            loading[i].pair = loading[i - 1].pair;
            continue;
        }
        loading[i].pair = find_unchanged(previous, loading[i].site);
        if (loading[i].pair != NULL)
            loading[i].pair->references++;
        else
            loading[i].pair = tls_pair_new();
        if (loading[i].pair == NULL || !keep_pair(store, loading[i].pair))
            return false;
    }
    store->named_count = store->pair_count;
    return true;
}

static bool load_pairs(struct tls_store *store, struct loading *loading, size_t count,
                       const struct tls_store *previous, time_t now, struct finding_list *findings)
{
    qsort(loading, count, sizeof *loading, compare_files);
    if (!assign_pairs(store, loading, count, previous))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct tls_site *site = loading[i].site;
        if (!is_first(loading, i))
            continue;
        if (loading[i].pair->usable) {
            tls_pair_judge_dates(loading[i].pair, site->place, now, findings);
            continue;
        }
        if (!tls_pair_load(loading[i].pair, site, now, findings))
            return false;
        store->read_count++;
    }
    qsort(loading, count, sizeof *loading, compare_site_order);
    return true;
}

/* The pair that a site is served with: the one just loaded or, where that cannot be used, the one
 * that it had. NULL, and the site is left out, if it had none. */
static struct tls_pair *choose_pair(const struct loading *loading, const struct tls_store *previous,
                                    struct finding_list *findings)
{
    const struct tls_site *site = loading->site;
    const struct tls_entry *old = previous == NULL ? NULL : tls_store_find(previous, site->host);
    bool covers = loading->pair->usable && tls_pair_covers(loading->pair, site->host);

    if (covers && (loading->pair->sendable || old == NULL))
        return loading->pair;
    if (loading->pair->usable && !covers)
        finding_add(findings, FINDING_ERROR, "CERT_NAME", site->place,
                    "%s: the certificate has no DNS name (subjectAltName) for %s",
                    site->certificate, site->host);
    return old == NULL ? NULL : old->pair;
}

static bool enter_sites(struct tls_store *store, const struct loading *loading, size_t count,
                        const struct tls_store *previous, struct finding_list *findings)
{
    const char *first = NULL;

    store->entries = arena_alloc(&store->arena, (count + 1) * sizeof *store->entries);
    if (store->entries == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct tls_site *site = loading[i].site;
        struct tls_pair *pair = choose_pair(&loading[i], previous, findings);
        if (pair == NULL)
            continue;
        if (pair != loading[i].pair) {
            pair->references++;
            if (!keep_pair(store, pair))
                return false;
        }
        struct tls_entry *entry = &store->entries[store->count++];
        entry->host = arena_copy(&store->arena, site->host, strlen(site->host));
        entry->pair = pair;
        if (entry->host == NULL)
            return false;
        first = first == NULL ? entry->host : first;
    }
    qsort(store->entries, store->count, sizeof *store->entries, compare_entries);
    store->first = first == NULL ? NULL : tls_store_find(store, first);
    return true;
}

struct tls_store *tls_store_load(const struct tls_site *sites, size_t count,
                                 const struct tls_store *previous, time_t now,
                                 struct finding_list *findings)
{
    struct tls_store *store = calloc(1, sizeof *store);
    struct loading *loading = calloc(count + 1, sizeof *loading);
    bool good = store != NULL && loading != NULL;

    if (good) {
        mbedtls_ssl_config_init(&store->server);
        size_t selected = select_sites(sites, count, loading, findings);
        good = load_pairs(store, loading, selected, previous, now, findings) &&
               enter_sites(store, loading, selected, previous, findings) &&
               (store->count == 0 || tls_configure_server(store));
    }
    free(loading);
    if (!good) {
        findings->out_of_memory = true;
        tls_store_free(store);
        return NULL;
    }
    return store;
}

void tls_store_free(struct tls_store *store)
{
    if (store == NULL)
        return;
    mbedtls_ssl_config_free(&store->server);
    for (size_t i = 0; i < store->pair_count; i++)
        tls_pair_release(store->pairs[i]);
    arena_free(&store->arena);
    free(store);
}

size_t tls_store_usable(const struct tls_store *store)
{
    return store->count;
}

const struct tls_entry *tls_store_find(const struct tls_store *store, const char *host)
{
    struct tls_entry key = {.host = host};

    if (store->count == 0)
        return NULL;
    return bsearch(&key, store->entries, store->count, sizeof *store->entries, compare_entries);
}

void tls_store_count_pairs(const struct tls_store *store, size_t *read, size_t *unchanged)
{
    *read = store->read_count;
    *unchanged = store->named_count - store->read_count;
}

bool tls_store_has(const struct tls_store *store, const char *host)
{
    return tls_store_find(store, host) != NULL;
}

bool tls_store_is_current(const struct tls_store *store)
{
    for (size_t i = 0; i < store->named_count; i++)
        if (!tls_pair_is_current(store->pairs[i]))
            return false;
    return true;
}

uint64_t tls_store_fingerprint(const struct tls_store *store, uint64_t mix)
{
    for (size_t i = 0; i < store->named_count; i++) {
        struct file_stamp certificate = file_stamp(store->pairs[i]->certificate);
        struct file_stamp private_key = file_stamp(store->pairs[i]->private_key);
        mix = file_stamp_mix(file_stamp_mix(mix, &certificate), &private_key);
    }
    return mix;
}

bool tls_store_not_after(const struct tls_store *store, const char *host, time_t *not_after)
{
    const struct tls_entry *entry = tls_store_find(store, host);

    if (entry == NULL)
        return false;
    *not_after = entry->pair->not_after;
    return true;
}
