/* SPDX-License-Identifier: MIT
 * One certificate chain and its private key: read, matched and judged (S01-S04 and DESIGN section
 * 5) before a client ever sees them. The files are the administrator's; their bytes may be
 * anything.
 */
#include <stdlib.h>
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>

#include "file.h"
#include "name.h"
#include "tls_internal.h"

#define PEM_SIZE_MAX (4u << 20)
#define RSA_BITS_MIN 2048
#define EC_BITS_MIN 256
#define DAY 86400
/* A handshake message of Mbed TLS must fit into one record; the rest of it is a few octets. */
#define CHAIN_OCTETS_MAX (16384 - 16)

struct judge {
    struct tls_pair *pair;
    const struct tls_site *site;
    struct finding_list *findings;
};

static void complain(const struct judge *judge, const char *code, const char *path,
                     const char *text)
{
    finding_add(judge->findings, FINDING_ERROR, code, judge->site->place, "%s: %s", path, text);
}

static void complain_mbedtls(const struct judge *judge, const char *code, const char *path,
                             const char *what, int error)
{
    char reason[128];

    mbedtls_strerror(error, reason, sizeof reason);
    finding_add(judge->findings, FINDING_ERROR, code, judge->site->place, "%s: %s: %s", path, what,
                reason);
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

static bool load_chain(const struct judge *judge)
{
    const char *path = judge->pair->certificate;
    struct file file;
    const char *why = file_read(path, PEM_SIZE_MAX, &file);

    if (why != NULL) {
        complain(judge, "CERT_FILE", path, why);
        return false;
    }
    /* The length counts the NUL: that is how the library tells PEM from DER. */
    int error = mbedtls_x509_crt_parse(&judge->pair->chain, (const unsigned char *)file.bytes,
                                       file.len + 1);
    file_free(&file);
    if (error < 0)
        complain_mbedtls(judge, "CERT_FILE", path, "not a PEM certificate chain", error);
    else if (error > 0)
        complain(judge, "CERT_FILE", path, "a certificate in it cannot be read");
    return error == 0;
}

static bool load_key(const struct judge *judge)
{
    const char *path = judge->pair->private_key;
    struct file file;
    const char *why = file_read(path, PEM_SIZE_MAX, &file);

    if (why != NULL) {
        complain(judge, "KEY_FILE", path, why);
        return false;
    }
    if (file.others_may_read)
        finding_add(judge->findings, FINDING_WARNING, "KEY_RIGHTS", judge->site->place,
                    "%s: everybody on this machine may read this private key: chmod o-r", path);
    int error = parse_key(&judge->pair->key, &file);
    file_free(&file);
    if (error == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        complain(judge, "KEY_FILE", path,
                 "the private key is encrypted; nobody could type its "
                 "passphrase here");
    else if (error != 0)
        complain_mbedtls(judge, "KEY_FILE", path, "not a PEM private key", error);
    else if (check_pair(&judge->pair->chain, &judge->pair->key) != 0) {
        finding_add(judge->findings, FINDING_ERROR, "CERT_KEY", judge->site->place,
                    "%s does not belong to the first certificate in %s", path,
                    judge->pair->certificate);
        return false;
    }
    return error == 0;
}

static bool is_self_signed(const mbedtls_x509_crt *crt)
{
    return crt->issuer_raw.len == crt->subject_raw.len &&
           memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->issuer_raw.len) == 0;
}

static bool is_issuer_of(const mbedtls_x509_crt *issuer, const mbedtls_x509_crt *crt)
{
    return crt->issuer_raw.len == issuer->subject_raw.len &&
           memcmp(crt->issuer_raw.p, issuer->subject_raw.p, crt->issuer_raw.len) == 0;
}

/* S02: the leaf first, then each one's issuer; and small enough to be sent. */
static bool judge_chain(const struct judge *judge)
{
    const mbedtls_x509_crt *leaf = &judge->pair->chain;
    const char *path = judge->pair->certificate;
    size_t octets = 0;

    for (const mbedtls_x509_crt *crt = leaf; crt != NULL; crt = crt->next) {
        octets += crt->raw.len + 5;
        if (crt->next != NULL && !is_issuer_of(crt->next, crt)) {
            complain(judge, "CERT_CHAIN", path,
                     "not a chain: each certificate must be followed by the one that issued it");
            return false;
        }
    }
    judge->pair->sendable = octets <= CHAIN_OCTETS_MAX;
    if (!judge->pair->sendable)
        finding_add(judge->findings, FINDING_ERROR, "CERT_LARGE", judge->site->place,
                    "%s: the chain has %zu octets; more than %d cannot be sent and every handshake "
                    "will fail: use several certificates",
                    path, octets, CHAIN_OCTETS_MAX);
    if (leaf->next == NULL)
        finding_add(judge->findings, FINDING_WARNING, "CERT_CHAIN", judge->site->place,
                    is_self_signed(leaf)
                        ? "%s: self-signed: senders will not trust it"
                        : "%s: only the leaf: senders need the intermediate certificates too "
                          "(certbot's fullchain.pem)",
                    path);
    return true;
}

static bool has_bytes(const mbedtls_x509_buf *buf, const char *bytes, size_t len)
{
    return buf->p != NULL && memmem(buf->p, buf->len, bytes, len) != NULL;
}

/* S04 and must-staple. OIDs are compared as DER: RSA with MD5 and SHA-1, ECDSA with SHA-1. */
static bool judge_strength(const struct judge *judge)
{
    const mbedtls_x509_crt *leaf = &judge->pair->chain;
    const char *path = judge->pair->certificate;
    size_t bits = mbedtls_pk_get_bitlen(&leaf->pk);
    bool rsa = mbedtls_pk_can_do(&leaf->pk, MBEDTLS_PK_RSA) != 0;

    for (const mbedtls_x509_crt *crt = leaf; crt != NULL; crt = crt->next) {
        if (!is_self_signed(crt) &&
            (has_bytes(&crt->sig_oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", 9) ||
             has_bytes(&crt->sig_oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", 9) ||
             has_bytes(&crt->sig_oid, "\x2a\x86\x48\xce\x3d\x04\x01", 7))) {
            complain(judge, "CERT_WEAK", path, "signed with MD5 or SHA-1: senders refuse it");
            return false;
        }
    }
    if (bits < (rsa ? RSA_BITS_MIN : EC_BITS_MIN)) {
        finding_add(judge->findings, FINDING_ERROR, "CERT_WEAK", judge->site->place,
                    "%s: a key of %zu bits; RSA needs %d, ECDSA %d", path, bits, RSA_BITS_MIN,
                    EC_BITS_MIN);
        return false;
    }
    /* id-pe-tlsfeature, RFC 7633 */
    if (has_bytes(&leaf->v3_ext, "\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x18", 10)) {
        complain(judge, "CERT_MUST_STAPLE", path,
                 "demands OCSP stapling (must-staple), which Mbed TLS cannot do: get one without");
        return false;
    }
    return true;
}

time_t tls_to_time(const mbedtls_x509_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->mon - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->min,
                    .tm_sec = t->sec};
    return timegm(&tm);
}

/* S03. None of it takes the pair out of use: senders refuse it, but its renewal is waited for. */
static void judge_dates(const struct judge *judge, time_t now)
{
    const char *path = judge->pair->certificate;
    time_t left = judge->pair->not_after - now;

    if (left < 0)
        finding_add(judge->findings, FINDING_ERROR, "CERT_EXPIRED", judge->site->place,
                    "%s: expired %lld days ago: renew it", path, (long long)(-left / DAY));
    else if (now < tls_to_time(&judge->pair->chain.valid_from))
        complain(judge, "CERT_NOT_YET", path, "not valid yet: is the clock right?");
    else if (left < 21 * DAY)
        finding_add(judge->findings, FINDING_WARNING, "CERT_EXPIRES", judge->site->place,
                    "%s: expires in %lld days", path, (long long)(left / DAY));
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

/* Loads both files into a new pair; false without memory. */
static bool fill(struct tls_pair *pair, const struct tls_site *site, time_t now,
                 struct finding_list *findings)
{
    struct judge judge = {pair, site, findings};

    pair->certificate = arena_copy(&pair->arena, site->certificate, strlen(site->certificate));
    pair->private_key = arena_copy(&pair->arena, site->private_key, strlen(site->private_key));
    if (pair->certificate == NULL || pair->private_key == NULL)
        return false;
    /* Before reading: a change while we read is seen the next time. */
    pair->certificate_stamp = file_stamp(pair->certificate);
    pair->private_key_stamp = file_stamp(pair->private_key);
    if (!load_chain(&judge) || !load_key(&judge))
        return true;
    pair->not_after = tls_to_time(&pair->chain.valid_to);
    bool good = judge_chain(&judge);
    good = judge_strength(&judge) && good;
    judge_dates(&judge, now);
    pair->usable = good;
    return collect_names(pair, &pair->arena);
}

struct tls_pair *tls_pair_load(const struct tls_site *site, time_t now,
                               struct finding_list *findings)
{
    struct tls_pair *pair = calloc(1, sizeof *pair);

    if (pair == NULL)
        return NULL;
    pair->references = 1;
    mbedtls_x509_crt_init(&pair->chain);
    mbedtls_pk_init(&pair->key);
    if (!fill(pair, site, now, findings)) {
        tls_pair_release(pair);
        return NULL;
    }
    return pair;
}

bool tls_pair_is_current(const struct tls_pair *pair)
{
    struct file_stamp certificate = file_stamp(pair->certificate);
    struct file_stamp private_key = file_stamp(pair->private_key);

    return file_stamp_equal(&certificate, &pair->certificate_stamp) &&
           file_stamp_equal(&private_key, &pair->private_key_stamp);
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
