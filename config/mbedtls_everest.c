/* SPDX-License-Identifier: MIT
 * Mbed TLS 3.6 computes an X25519 secret with the Everest code, if that is configured, but the
 * public key of an ephemeral key pair with its general arithmetic, which takes eight times as long
 * (make MBEDTLS_SRC=DIR). This stands in for the one function of the library that does that; the
 * library's own is compiled by another name and does the rest. Everest is verified and takes the
 * same time for every key.
 */
#include <psa/crypto.h>

#include <Hacl_Curve25519.h>

#define X25519_OCTETS 32

psa_status_t mbedtls_everest_general(const psa_key_attributes_t *attributes, const uint8_t *key,
                                     size_t key_len, uint8_t *out, size_t size, size_t *len);
psa_status_t mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes,
                                               const uint8_t *key, size_t key_len, uint8_t *out,
                                               size_t size, size_t *len);

psa_status_t mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes,
                                               const uint8_t *key, size_t key_len, uint8_t *out,
                                               size_t size, size_t *len)
{
    const psa_key_type_t x25519 = PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY);
    uint8_t base[X25519_OCTETS] = {9};

    if (psa_get_key_type(attributes) != x25519 || psa_get_key_bits(attributes) != 255 ||
        key_len != X25519_OCTETS)
        return mbedtls_everest_general(attributes, key, key_len, out, size, len);
    if (size < X25519_OCTETS)
        return PSA_ERROR_BUFFER_TOO_SMALL;
    /* It takes no const, but writes to the first only. */
    Hacl_Curve25519_crypto_scalarmult(out, (uint8_t *)(uintptr_t)key, base);
    *len = X25519_OCTETS;
    return PSA_SUCCESS;
}
