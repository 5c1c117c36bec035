/* SPDX-License-Identifier: MIT
 * Mbed TLS as a process uses it: start, random numbers, digest, version. What differs between its
 * versions 2.28 and 3.6 is told apart here and at the top of tls_conn.c and tls_pair.c.
 */
#include "tls.h"

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>

#if defined(MBEDTLS_PK_USE_PSA_EC_DATA)
#error "private keys would live in the PSA key store, which tls_init empties in a forked child"
#endif

bool tls_init(void)
{
    /* A forked child holds a copy of its parent's generator: let go of it and seed a new one. */
    mbedtls_psa_crypto_free();
    return psa_crypto_init() == PSA_SUCCESS;
}

void tls_exit(void)
{
    mbedtls_psa_crypto_free();
}

const char *tls_library_version(void)
{
    static char version[32];

    mbedtls_version_get_string_full(version);
    return version;
}

bool tls_has_1_3(void)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && MBEDTLS_VERSION_MAJOR >= 3
    return true;
#else
    return false;
#endif
}

bool tls_sha256(const void *bytes, size_t len, uint8_t digest[32])
{
    size_t written;

    return psa_hash_compute(PSA_ALG_SHA_256, bytes, len, digest, 32, &written) == PSA_SUCCESS &&
           written == 32;
}
