/* SPDX-License-Identifier: MIT
 * One certificate chain and its private key: read and matched (S01, S02 and DESIGN section 5). The
 * files are the administrator's; their bytes may be anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>

#include "file.h"
#include "name.h"
#include "tls_internal.h"

#define PEM_SIZE_MAX (4u << 20)

struct loader {
    struct tls_pair *pair;
    const struct tls_site *site;
    struct finding_list *findings;
};

static void complain(const struct loader *loader, const char *code, const char *path,
                     const char *text)
{
    finding_add(loader->findings, FINDING_ERROR, code, loader->site->place, "%s: %s", path, text);
}

static void complain_mbedtls(const struct loader *loader, const char *code, const char *path,
                             const char *what, int error)
{
    char reason[128];

    mbedtls_strerror(error, reason, sizeof reason);
    finding_add(loader->findings, FINDING_ERROR, code, loader->site->place, "%s: %s: %s", path,
                what, reason);
}

static int parse_key(mbedtls_pk_context *key, const struct file *file)
{
    const unsigned char *bytes = (const unsigned char *)file->bytes;

#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(key, bytes, file->len + 1, NULL, 0, mbedtls_psa_get_random,
                                MBEDTLS_PSA_RANDOM_STATE);
#else
    return mbedtls_pk_parse_key(key, bytes, file->len + 1, NULL, 0);
#endif
}

static int check_pair(mbedtls_x509_crt *leaf, mbedtls_pk_context *key)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_check_pair(&leaf->pk, key, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
#else
    return mbedtls_pk_check_pair(&leaf->pk, key);
#endif
}

static bool load_chain(const struct loader *loader)
{
    const char *path = loader->pair->certificate;
    struct file file;
    const char *why = file_read(path, PEM_SIZE_MAX, &file);

    if (why != NULL) {
        complain(loader, "CERT_FILE", path, why);
        return false;
    }
    /* The length counts the NUL: that is how the library tells PEM from DER. */
    int error = mbedtls_x509_crt_parse(&loader->pair->chain, (const unsigned char *)file.bytes,
                                       file.len + 1);
    loader->pair->certificate_stamp = file.stamp;
    file_free(&file);
    if (error < 0)
        complain_mbedtls(loader, "CERT_FILE", path, "not a PEM certificate chain", error);
    else if (error > 0)
        complain(loader, "CERT_FILE", path, "a certificate in it cannot be read");
    return error == 0;
}

static bool load_key(const struct loader *loader)
{
    const char *path = loader->pair->private_key;
    struct file file;
    const char *why = file_read(path, PEM_SIZE_MAX, &file);

    if (why != NULL) {
        complain(loader, "KEY_FILE", path, why);
        return false;
    }
    if (file.others_may_read)
        finding_add(loader->findings, FINDING_WARNING, "KEY_RIGHTS", loader->site->place,
                    "%s: everybody on this machine may read this private key: chmod o-r", path);
    int error = parse_key(&loader->pair->key, &file);
    loader->pair->private_key_stamp = file.stamp;
    file_free(&file);
    if (error == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        complain(loader, "KEY_FILE", path,
                 "the private key is encrypted; nobody could type its "
                 "passphrase here");
    else if (error != 0)
        complain_mbedtls(loader, "KEY_FILE", path, "not a PEM private key", error);
    else if (check_pair(&loader->pair->chain, &loader->pair->key) != 0) {
        finding_add(loader->findings, FINDING_ERROR, "CERT_KEY", loader->site->place,
                    "%s does not belong to the first certificate in %s", path,
                    loader->pair->certificate);
        return false;
    }
    return error == 0;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return strcmp(*x, *y);
}

bool tls_is_dns_san(const mbedtls_x509_sequence *san)
{
    return (san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_DNS_NAME &&
           san->buf.len > 0 && memchr(san->buf.p, '\0', san->buf.len) == NULL;
}

static bool collect_names(struct tls_pair *pair, struct arena *arena)
{
    const mbedtls_x509_sequence *first = &pair->chain.subject_alt_names;
    size_t count = 0;

    for (const mbedtls_x509_sequence *san = first; san != NULL; san = san->next)
        count += tls_is_dns_san(san);
    pair->names = arena_alloc(arena, (count + 1) * sizeof *pair->names);
    if (pair->names == NULL)
        return false;
    for (const mbedtls_x509_sequence *san = first; san != NULL; san = san->next) {
        if (!tls_is_dns_san(san))
            continue;
        char *name = arena_copy(arena, (const char *)san->buf.p, san->buf.len);
        if (name == NULL)
            return false;
        name_lower(name);
        pair->names[pair->name_count++] = name;
    }
    qsort(pair->names, pair->name_count, sizeof *pair->names, compare_names);
    return true;
}

static bool has_name(const struct tls_pair *pair, const char *name)
{
    return bsearch(&name, pair->names, pair->name_count, sizeof *pair->names, compare_names) !=
           NULL;
}

bool tls_pair_covers(const struct tls_pair *pair, const char *host)
{
    char wildcard[NAME_MAX_LEN + 2];
    const char *dot = strchr(host, '.');
    int len = snprintf(wildcard, sizeof wildcard, "*%s", dot == NULL ? "" : dot);

    return has_name(pair, host) ||
           (dot != NULL && (size_t)len < sizeof wildcard && has_name(pair, wildcard));
}

struct tls_pair *tls_pair_new(void)
{
    struct tls_pair *pair = calloc(1, sizeof *pair);

    if (pair == NULL)
        return NULL;
    pair->references = 1;
    mbedtls_x509_crt_init(&pair->chain);
    mbedtls_pk_init(&pair->key);
    return pair;
}

bool tls_pair_load(struct tls_pair *pair, const struct tls_site *site, time_t now,
                   struct finding_list *findings)
{
    struct loader loader = {pair, site, findings};
    size_t before = findings->count;

    pair->certificate = arena_copy(&pair->arena, site->certificate, strlen(site->certificate));
    pair->private_key = arena_copy(&pair->arena, site->private_key, strlen(site->private_key));
    if (pair->certificate == NULL || pair->private_key == NULL)
        return false;
    /* For files that cannot be opened. The others get the stamp of what was opened: the path may
     * lead elsewhere by now, and back again. */
    pair->certificate_stamp = file_stamp(pair->certificate);
    pair->private_key_stamp = file_stamp(pair->private_key);
    errno = 0;
    bool loaded = load_chain(&loader) && load_key(&loader);
    if (loaded)
        tls_pair_judge(pair, site->place, findings);
    /* Without memory Mbed TLS takes good files for bad ones; malloc has said which it was. */
    if (!pair->usable && errno == ENOMEM)
        return false;
    if (!loaded)
        return true;
    pair->reusable = pair->usable && findings->count == before && !findings->out_of_memory &&
                     file_stamp_settled(&pair->certificate_stamp, now) &&
                     file_stamp_settled(&pair->private_key_stamp, now);
    tls_pair_judge_dates(pair, site->place, now, findings);
    return collect_names(pair, &pair->arena);
}

bool tls_pair_is_current(const struct tls_pair *pair)
{
    struct file_stamp certificate = file_stamp(pair->certificate);
    struct file_stamp private_key = file_stamp(pair->private_key);

    return file_stamp_equal(&certificate, &pair->certificate_stamp) &&
           file_stamp_equal(&private_key, &pair->private_key_stamp);
}

bool tls_pair_is_reusable(const struct tls_pair *pair)
{
    return pair->reusable && tls_pair_is_current(pair);
}

void tls_pair_release(struct tls_pair *pair)
{
    if (--pair->references > 0)
        return;
    mbedtls_x509_crt_free(&pair->chain);
    mbedtls_pk_free(&pair->key);
    arena_free(&pair->arena);
    free(pair);
}
