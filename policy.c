/* SPDX-License-Identifier: MIT
 * One MTA-STS policy: the bytes that are served, the id taken from them, and the TXT values that go
 * with it. The values come from policy_lint or policy_parse and have been judged there.
 */
#include "policy.h"

#include <string.h>

#include "name.h"

static const char *const mode_names[] = {
    [POLICY_MODE_NONE] = "none",
    [POLICY_MODE_TESTING] = "testing",
    [POLICY_MODE_ENFORCE] = "enforce",
};

static const char *const verdict_names[] = {
    [POLICY_VALID] = "valid",
    [POLICY_INVALID] = "invalid",
    [POLICY_CONTRADICTORY] = "contradictory",
};

const char *policy_mode_name(enum policy_mode mode)
{
    return mode_names[mode];
}

const char *policy_verdict_name(enum policy_verdict verdict)
{
    return verdict_names[verdict];
}

bool policy_mode_from_name(const char *name, size_t len, enum policy_mode *mode)
{
    for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++) {
        if (len == strlen(mode_names[i]) && memcmp(name, mode_names[i], len) == 0) {
            *mode = (enum policy_mode)i;
            return true;
        }
    }
    return false;
}

bool policy_number(const char *digits, size_t len, uint64_t *number)
{
    uint64_t value = 0;

    if (len < 1 || len > 10)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        value = 10 * value + (uint64_t)(digits[i] - '0');
    }
    *number = value;
    return true;
}

bool policy_mx_matches(const char *pattern, const char *host)
{
    if (strncmp(pattern, "*.", 2) == 0) {
        const char *dot = strchr(host, '.');
        if (dot == NULL || dot == host)
            return false;
        pattern += 2;
        host = dot + 1;
    }
    return name_equal(pattern, strlen(pattern), host, strlen(host));
}

void policy_render(const struct policy *policy, struct text *out)
{
    text_add(out, "version: STSv1\r\n");
    text_addf(out, "mode: %s\r\n", mode_names[policy->mode]);
    for (size_t i = 0; i < policy->mx_count; i++)
        text_addf(out, "mx: %s\r\n", policy->mx[i].pattern);
    text_addf(out, "max_age: %u\r\n", policy->max_age);
}

bool policy_equal(const struct policy *a, const struct policy *b)
{
    if (a->mode != b->mode || a->max_age != b->max_age || a->mx_count != b->mx_count)
        return false;
    for (size_t i = 0; i < a->mx_count; i++)
        if (strcmp(a->mx[i].pattern, b->mx[i].pattern) != 0)
            return false;
    return true;
}

void policy_id(const uint8_t digest[POLICY_DIGEST_SIZE], const char *serial,
               char id[POLICY_ID_MAX + 1])
{
    struct text out;

    text_init(&out, id, POLICY_ID_MAX + 1);
    for (size_t i = 0; i < POLICY_ID_DIGITS / 2; i++)
        text_addf(&out, "%02x", digest[i]);
    if (serial != NULL)
        text_addf(&out, "s%s", serial);
}

void policy_sts_txt(const char *id, struct text *out)
{
    text_addf(out, "v=STSv1; id=%s;", id);
}

void policy_tlsrpt_txt(const struct policy_values *rua, struct text *out)
{
    text_add(out, "v=TLSRPTv1; rua=");
    for (size_t i = 0; i < rua->count; i++)
        text_addf(out, "%s%s", i > 0 ? "," : "", rua->items[i].text);
}
