/* SPDX-License-Identifier: MIT
 * DNS names: the grammar of RFC 5321 section 4.1.2, the lengths of RFC 1035, and the decoding step
 * of Punycode (RFC 3492), which tells a typing error in an A-label from a name. Locale plays no
 * part.
 */
#include "name.h"

#include <stdint.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_let_dig(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

static const char *label_fault(const char *label, size_t len)
{
    if (len == 0)
        return "has an empty label";
    if (len > NAME_LABEL_MAX_LEN)
        return "has a label longer than 63 octets";
    for (size_t i = 0; i < len; i++)
        if (!is_let_dig(label[i]) && label[i] != '-')
            return "has a character that is not a letter, a digit, a hyphen or a dot";
    if (label[0] == '-' || label[len - 1] == '-')
        return "has a label that begins or ends with a hyphen";
    return NULL;
}

bool name_is_valid(const char *name, size_t len, const char **reason)
{
    const char *fault = NULL;

    if (len == 0)
        fault = "is empty";
    else if (len > NAME_MAX_LEN)
        fault = "is longer than 253 octets";
    for (size_t start = 0; fault == NULL && start <= len;) {
        const char *dot = memchr(name + start, '.', len - start);
        size_t end = dot == NULL ? len : (size_t)(dot - name);
        fault = label_fault(name + start, end - start);
        start = end + 1;
    }
    if (fault != NULL && reason != NULL)
        *reason = fault;
    return fault == NULL;
}

bool name_is_ascii(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] > 0x7f)
            return false;
    return true;
}

bool name_is_ipv4(const char *name, size_t len)
{
    size_t dots = 0, digits = 0;

    for (size_t i = 0; i < len; i++) {
        if (is_digit(name[i])) {
            digits++;
        } else if (name[i] == '.' && digits > 0) {
            dots++;
            digits = 0;
        } else {
            return false;
        }
    }
    return dots == 3 && digits > 0;
}

bool name_ends_in_number(const char *name, size_t len)
{
    size_t start = len;

    while (start > 0 && is_digit(name[start - 1]))
        start--;
    return start < len && (start == 0 || name[start - 1] == '.');
}

/* RFC 3492 section 6.1, with the parameters of section 5. */
static uint32_t punycode_adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / 700 : delta / 2;
    for (delta += delta / points; delta > ((36 - 1) * 26) / 2; k += 36)
        delta /= 36 - 1;
    return k + (36 - 1 + 1) * delta / (delta + 38);
}

static int punycode_digit(char c)
{
    if (is_digit(c))
        return c - '0' + 26;
    c = lower(c);
    return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

/* Reads one generalized variable-length integer and adds it to *i; false on overflow or a cut. */
static bool punycode_integer(const char *s, size_t len, size_t *at, uint32_t bias, uint32_t *i)
{
    uint32_t weight = 1;

    for (uint32_t k = 36;; k += 36) {
        if (*at >= len)
            return false;
        int value = punycode_digit(s[(*at)++]);
        if (value < 0 || (uint32_t)value > (UINT32_MAX - *i) / weight)
            return false;
        uint32_t digit = (uint32_t)value;
        uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        *i += digit * weight;
        if (digit < t)
            return true;
        if (weight > UINT32_MAX / (36 - t))
            return false;
        weight *= 36 - t;
    }
}

/* RFC 3492 section 6.2, without keeping the text: only whether each code point is one. */
static bool punycode_decodes(const char *s, size_t len)
{
    uint32_t n = 128, i = 0, bias = 72, points = 0;
    size_t at = 0;

    /* A hyphen in front of everything delimits nothing (section 6.2): it is read as a digit, and is
     * none. */
    for (size_t k = len; k > 1; k--) {
        if (s[k - 1] == '-') {
            points = (uint32_t)(k - 1);
            at = k;
            break;
        }
    }
    if (at >= len)
        return false;
    while (at < len) {
        uint32_t old = i;
        if (!punycode_integer(s, len, &at, bias, &i))
            return false;
        points++;
        bias = punycode_adapt(i - old, points, old == 0);
        if (i / points > 0x10ffff - n)
            return false;
        n += i / points;
        i = i % points + 1;
        /* Surrogates are no code points, and up to U+009F are control characters. */
        if (n < 0xa0 || (n >= 0xd800 && n <= 0xdfff))
            return false;
    }
    return true;
}

bool name_punycode_ok(const char *name, size_t len)
{
    for (size_t start = 0; start < len;) {
        const char *dot = memchr(name + start, '.', len - start);
        size_t end = dot == NULL ? len : (size_t)(dot - name);
        if (end - start >= 4 && name_equal(name + start, 4, "xn--", 4) &&
            !punycode_decodes(name + start + 4, end - start - 4))
            return false;
        start = end + 1;
    }
    return true;
}

void name_lower(char *name)
{
    for (; *name != '\0'; name++)
        *name = lower(*name);
}

bool name_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}
