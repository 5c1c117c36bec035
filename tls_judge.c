/* SPDX-License-Identifier: MIT
 * A certificate chain as senders will judge it (S02-S04 and DESIGN section 5), before a client ever
 * sees it. It has been read and belongs to its key; what it says may be anything.
 */
#include <string.h>

#include <mbedtls/oid.h>

#include "tls_internal.h"

#define RSA_BITS_MIN 2048
#define EC_BITS_MIN 256
#define DAY 86400
/* A handshake message of Mbed TLS must fit into one record; the rest of it is a few octets. */
#define CHAIN_OCTETS_MAX (MBEDTLS_SSL_OUT_CONTENT_LEN - 16)
#define NAME_SIZE 256
#define TEXT_SIZE 256

struct judge {
    struct tls_pair *pair;
    struct place place;
    struct finding_list *findings;
};

/* Says which certificate of the file it is, unless it is the first, the host's own. */
static void report(const struct judge *judge, enum finding_severity severity, const char *code,
                   const mbedtls_x509_crt *crt, const char *text)
{
    const char *path = judge->pair->certificate;
    char name[NAME_SIZE];
    unsigned number = 1;

    for (const mbedtls_x509_crt *c = &judge->pair->chain; c != crt; c = c->next)
        number++;
    if (number == 1)
        finding_add(judge->findings, severity, code, judge->place, "%s: %s", path, text);
    else if (mbedtls_x509_dn_gets(name, sizeof name, &crt->subject) > 0)
        finding_add(judge->findings, severity, code, judge->place,
                    "%s: certificate %u in it, %s: %s", path, number, name, text);
    else
        finding_add(judge->findings, severity, code, judge->place, "%s: certificate %u in it: %s",
                    path, number, text);
}

static void complain(const struct judge *judge, const char *code, const mbedtls_x509_crt *crt,
                     const char *text)
{
    report(judge, FINDING_ERROR, code, crt, text);
}

static bool is_issuer_of(const mbedtls_x509_crt *issuer, const mbedtls_x509_crt *crt)
{
    return crt->issuer_raw.len == issuer->subject_raw.len &&
           memcmp(crt->issuer_raw.p, issuer->subject_raw.p, crt->issuer_raw.len) == 0;
}

static bool is_self_signed(const mbedtls_x509_crt *crt)
{
    return is_issuer_of(crt, crt);
}

/* S02: the leaf first, then each one's issuer by name; and small enough to be sent. */
static bool judge_order(const struct judge *judge)
{
    const mbedtls_x509_crt *leaf = &judge->pair->chain;
    size_t octets = 0;

    judge->pair->sendable = false;
    for (const mbedtls_x509_crt *crt = leaf; crt != NULL; crt = crt->next) {
        octets += crt->raw.len + 5;
        if (crt->next != NULL && !is_issuer_of(crt->next, crt)) {
            complain(judge, "CERT_CHAIN", leaf,
                     "not a chain: each certificate must be followed by the one that issued it");
            return false;
        }
    }
    judge->pair->sendable = octets <= CHAIN_OCTETS_MAX;
    if (!judge->pair->sendable)
        finding_add(judge->findings, FINDING_ERROR, "CERT_LARGE", judge->place,
                    "%s: the chain has %zu octets; more than %d cannot be sent and every handshake "
                    "will fail: use several certificates",
                    judge->pair->certificate, octets, CHAIN_OCTETS_MAX);
    if (leaf->next == NULL)
        report(judge, FINDING_WARNING, "CERT_CHAIN", leaf,
               is_self_signed(leaf)
                   ? "self-signed: senders will not trust it"
                   : "only the leaf: senders need the intermediate certificates too (certbot's "
                     "fullchain.pem)");
    return true;
}

/* Called from the last certificate to the first: what stays is the first that is not vouched for.
 */
static int note_untrusted(void *opaque, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const mbedtls_x509_crt **untrusted = opaque;

    (void)depth;
    if (*flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        *untrusted = crt;
    *flags = 0; /* the rest is judged elsewhere */
    return 0;
}

/* S02: the names are right; now the keys, and whether the issuers may issue: as if the last
 * certificate were a root. That costs one signature a link. */
static bool judge_signatures(const struct judge *judge)
{
    const mbedtls_x509_crt_profile anything = {.allowed_mds = UINT32_MAX,
                                               .allowed_pks = UINT32_MAX,
                                               .allowed_curves = UINT32_MAX,
                                               .rsa_min_bitlen = 0};
    mbedtls_x509_crt *leaf = &judge->pair->chain, *last = leaf;
    const mbedtls_x509_crt *untrusted = NULL;
    uint32_t flags = 0;

    if (leaf->next == NULL)
        return true;
    while (last->next != NULL)
        last = last->next;
    int error = mbedtls_x509_crt_verify_with_profile(leaf, last, NULL, &anything, NULL, &flags,
                                                     note_untrusted, &untrusted);
    if (untrusted != NULL)
        complain(judge, "CERT_CHAIN", untrusted,
                 "not signed by the one behind it, which has the right name but another key, or "
                 "may not issue it");
    else if (error != 0)
        complain(judge, "CERT_CHAIN", leaf, "too long a chain, or one that cannot be verified");
    return untrusted == NULL && error == 0;
}

static bool has_bytes(const mbedtls_x509_buf *buf, const char *bytes, size_t len)
{
    return buf->p != NULL && memmem(buf->p, buf->len, bytes, len) != NULL;
}

/* OIDs are compared as DER: RSA with MD5 and SHA-1, ECDSA with SHA-1. */
static bool is_signed_weakly(const mbedtls_x509_crt *crt)
{
    return !is_self_signed(crt) &&
           (has_bytes(&crt->sig_oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", 9) ||
            has_bytes(&crt->sig_oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", 9) ||
            has_bytes(&crt->sig_oid, "\x2a\x86\x48\xce\x3d\x04\x01", 7));
}

/* id-ecPublicKey with P-256, P-384 or P-521 (RFC 5480 section 2.1.1). */
static bool has_usual_curve(const mbedtls_x509_crt *crt)
{
    return has_bytes(&crt->pk_raw,
                     "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
                     19) ||
           has_bytes(&crt->pk_raw,
                     "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22", 16) ||
           has_bytes(&crt->pk_raw,
                     "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23", 16);
}

/* S04, of every certificate of the chain: senders look at all of them. */
static bool judge_strength(const struct judge *judge)
{
    bool good = true;

    for (const mbedtls_x509_crt *crt = &judge->pair->chain; crt != NULL; crt = crt->next) {
        size_t bits = mbedtls_pk_get_bitlen(&crt->pk);
        bool rsa = mbedtls_pk_can_do(&crt->pk, MBEDTLS_PK_RSA) != 0;
        char text[TEXT_SIZE] = "";
        if (is_signed_weakly(crt))
            snprintf(text, sizeof text, "signed with MD5 or SHA-1: senders refuse it");
        else if (bits < (rsa ? RSA_BITS_MIN : EC_BITS_MIN))
            snprintf(text, sizeof text, "a key of %zu bits; RSA needs %d, ECDSA %d", bits,
                     RSA_BITS_MIN, EC_BITS_MIN);
        else if (!rsa && !has_usual_curve(crt))
            snprintf(text, sizeof text,
                     "a key on a curve that senders do not take; P-256, P-384 and P-521 are usual");
        if (text[0] == '\0')
            continue;
        complain(judge, "CERT_WEAK", crt, text);
        good = false;
    }
    return good;
}

/* What the certificates are meant for (RFC 5280 sections 4.2.1.3 and 4.2.1.12; intermediates limit
 * what is below them), and must-staple. */
static bool judge_usage(const struct judge *judge)
{
    const mbedtls_x509_crt *leaf = &judge->pair->chain;
    bool good = true;

    if (mbedtls_x509_crt_check_key_usage(leaf, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0) {
        complain(judge, "CERT_USAGE", leaf,
                 "its keyUsage lacks digitalSignature, which ECDHE needs: every handshake will "
                 "fail");
        good = false;
    }
    for (const mbedtls_x509_crt *crt = leaf; crt != NULL; crt = crt->next) {
        if (mbedtls_x509_crt_check_extended_key_usage(
                crt, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) == 0)
            continue;
        complain(judge, "CERT_USAGE", crt,
                 "its extendedKeyUsage lacks serverAuth: it is not for a TLS server");
        good = false;
    }
    /* id-pe-tlsfeature, RFC 7633 */
    if (has_bytes(&leaf->v3_ext, "\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x18", 10)) {
        complain(judge, "CERT_MUST_STAPLE", leaf,
                 "demands OCSP stapling (must-staple), which Mbed TLS cannot do: get one without");
        good = false;
    }
    return good;
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

static void judge_date(const struct judge *judge, const mbedtls_x509_crt *crt, time_t now)
{
    time_t left = tls_to_time(&crt->valid_to) - now;
    char text[TEXT_SIZE];

    if (left < 0) {
        snprintf(text, sizeof text, "expired %lld days ago: renew it", (long long)(-left / DAY));
        complain(judge, "CERT_EXPIRED", crt, text);
    } else if (now < tls_to_time(&crt->valid_from))
        complain(judge, "CERT_NOT_YET", crt, "not valid yet: is the clock right?");
    else if (left < 21 * DAY) {
        snprintf(text, sizeof text, "expires in %lld days", (long long)(left / DAY));
        report(judge, FINDING_WARNING, "CERT_EXPIRES", crt, text);
    }
}

/* None of it takes the pair out of use: senders refuse it, but its renewal is waited for. */
void tls_pair_judge_dates(struct tls_pair *pair, struct place place, time_t now,
                          struct finding_list *findings)
{
    const struct judge judge = {pair, place, findings};

    for (const mbedtls_x509_crt *crt = &pair->chain; crt != NULL; crt = crt->next)
        judge_date(&judge, crt, now);
}

static time_t first_end(const mbedtls_x509_crt *chain)
{
    time_t first = tls_to_time(&chain->valid_to);

    for (const mbedtls_x509_crt *crt = chain->next; crt != NULL; crt = crt->next) {
        time_t end = tls_to_time(&crt->valid_to);
        first = end < first ? end : first;
    }
    return first;
}

void tls_pair_judge(struct tls_pair *pair, struct place place, struct finding_list *findings)
{
    const struct judge judge = {pair, place, findings};
    bool ordered = judge_order(&judge);
    bool strong = judge_strength(&judge);

    /* Signatures take their time, and a weak hash need not be one that the library has. */
    pair->usable = ordered && strong && judge_signatures(&judge);
    pair->usable = judge_usage(&judge) && pair->usable;
    pair->not_after = first_end(&pair->chain);
}
