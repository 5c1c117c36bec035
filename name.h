/* SPDX-License-Identifier: MIT
 * DNS names as RFC 5321 section 4.1.2 ("Domain") and RFC 1035 allow them. Pure.
 */
#ifndef NAME_H
#define NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_LEN 253
#define NAME_LABEL_MAX_LEN 63

/* True for labels of letters, digits and inner hyphens joined by dots, within the DNS limits; no
 * final dot, no underscore. Else *reason (if not NULL) says what is wrong, as a part of a sentence.
 */
bool name_is_valid(const char *name, size_t len, const char **reason);
bool name_is_ascii(const char *name, size_t len);
/* True for four decimal numbers joined by dots: an address that passes for a name. */
bool name_is_ipv4(const char *name, size_t len);
/* True if the last label is all digits, as in no top-level domain (RFC 3696 section 2). */
bool name_ends_in_number(const char *name, size_t len);
/* True if every label that begins with xn-- can be decoded (RFC 3492) to code points from U+00A0
 * on, beside ASCII. Whether IDNA allows them is not looked at. */
bool name_punycode_ok(const char *name, size_t len);
/* ASCII lower case, in place. */
void name_lower(char *name);
bool name_equal(const char *a, size_t a_len, const char *b, size_t b_len); /* ignoring ASCII case */

#endif
