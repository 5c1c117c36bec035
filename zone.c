/* SPDX-License-Identifier: MIT
 * The DNS records that go with a policy. Names are absolute, so that the fragment means the same in
 * any zone file; all that is not a record is a comment.
 */
#include "zone.h"

#include <string.h>

#define STRING_MAX 255 /* octets of one character-string, RFC 1035 section 3.3 */
#define WEEK (7 * 86400)

time_t zone_removal_time(const struct config_policy *policy, unsigned ttl, time_t now)
{
    const struct policy_value *previous = &policy->source.previous_max_age;
    uint64_t age;

    if (previous->text == NULL || !policy_number(previous->text, strlen(previous->text), &age))
        return 0;
    return now + (time_t)(age > WEEK ? age : WEEK) + (time_t)ttl;
}

static void format_time(time_t when, char text[24])
{
    struct tm tm = {0};

    gmtime_r(&when, &tm);
    strftime(text, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Quoted, in as many character-strings as it needs. Values hold no quote and no backslash. */
static void print_txt(FILE *out, const char *prefix, const char *domain, unsigned ttl,
                      const char *value)
{
    fprintf(out, "%s%s. %u IN TXT", prefix, domain, ttl);
    do {
        int len = (int)strnlen(value, STRING_MAX);
        fprintf(out, " \"%.*s\"", len, value);
        value += len;
    } while (*value != '\0');
    putc('\n', out);
}

static void build_sts(const struct config_domain *domain, char value[POLICY_TXT_MAX])
{
    struct text out;

    text_init(&out, value, POLICY_TXT_MAX);
    policy_sts_txt(domain->policy->id, &out);
}

static void build_tlsrpt(const struct config_domain *domain, char value[POLICY_TXT_MAX])
{
    struct text out;

    text_init(&out, value, POLICY_TXT_MAX);
    policy_tlsrpt_txt(&domain->policy->source.rua, &out);
}

static void print_advice(FILE *out, unsigned ttl)
{
    fprintf(
        out,
        "; In this order (RFC 8461 section 8.1):\n"
        ";  1. Let mta-stsd serve the new policy. The mta-sts name of each domain must lead to\n"
        ";     it: add the A and AAAA record, or the CNAME, that is shown as a comment.\n"
        ";  2. Check what is served: the command above each record must print its id.\n"
        ";  3. Publish the TXT records below in place of the old ones; there may be only one\n"
        ";     at each name. Senders see them when the TTL of the old ones (%u s) is over.\n"
        ";  4. Until then, and for as long as senders may hold the old policy, keep the MX\n"
        ";     hosts that it lists.\n"
        "; Where a domain's DNS lies elsewhere, its owner can hand both names over for good:\n"
        ";  _mta-sts.DOMAIN. IN CNAME <your name with this TXT record>\n"
        ";  mta-sts.DOMAIN.  IN CNAME <your policy host>\n"
        "; The certificate must be for mta-sts.DOMAIN all the same.\n",
        ttl);
}

static void print_removal(FILE *out, const struct config_domain *domain, unsigned ttl, time_t now)
{
    time_t when = zone_removal_time(domain->policy, ttl, now);
    char date[24];

    if (when == 0) {
        fputs(
            "; mode none: serve this policy and keep this record. How long cannot be said without\n"
            "; previous_max_age: set it to the largest max_age that was ever served, since "
            "senders\n"
            "; may remember the policy that long; then the date, if published now, stands here.\n",
            out);
        return;
    }
    format_time(when, date);
    fprintf(out,
            "; mode none: if published now, serve this policy and keep this record at least until\n"
            "; %s; then remove both TXT records and the host.\n",
            date);
}

static void print_domain(FILE *out, const struct config_domain *domain, unsigned ttl, time_t now)
{
    const struct config_policy *policy = domain->policy;
    char value[POLICY_TXT_MAX];

    fprintf(out, "\n; %s: mode %s, max_age %u, %zu mx\n", domain->name,
            policy_mode_name(policy->policy.mode), policy->policy.max_age, policy->policy.mx_count);
    if (policy->policy.mode == POLICY_MODE_NONE)
        print_removal(out, domain, ttl, now);
    fprintf(out,
            "; %s. %u IN A <IPv4 of this host>\n"
            "; %s. %u IN AAAA <IPv6 of this host>\n"
            "; or: %s. %u IN CNAME <name of this host>\n"
            "; curl -s https://%s/.well-known/mta-sts.txt | sha256sum | cut -c1-%d   # %.*s\n",
            domain->host, ttl, domain->host, ttl, domain->host, ttl, domain->host, POLICY_ID_DIGITS,
            POLICY_ID_DIGITS, policy->id);
    build_sts(domain, value);
    print_txt(out, "_mta-sts.", domain->name, ttl, value);
    if (policy->source.rua.count == 0) {
        fputs("; no rua in the INI: no _smtp._tls record, nobody reports failures\n", out);
        return;
    }
    build_tlsrpt(domain, value);
    print_txt(out, "_smtp._tls.", domain->name, ttl, value);
}

void zone_print(FILE *out, const struct config *config, const struct config_domain *only,
                unsigned ttl, time_t now)
{
    print_advice(out, ttl);
    for (size_t i = 0; i < config->domain_count; i++)
        if (only == NULL || only == &config->domains[i])
            print_domain(out, &config->domains[i], ttl, now);
}

static void print_json_record(FILE *out, const char *prefix, const char *domain, unsigned ttl,
                              const char *value)
{
    fprintf(out, "{\"name\":\"%s%s.\",\"type\":\"TXT\",\"ttl\":%u,\"value\":", prefix, domain, ttl);
    text_json_string(out, value);
    putc('}', out);
}

static void print_json_domain(FILE *out, const struct config_domain *domain, unsigned ttl,
                              time_t now)
{
    const struct config_policy *policy = domain->policy;
    char value[POLICY_TXT_MAX], date[24];

    fprintf(out, "{\"domain\":\"%s\",\"host\":\"%s\",\"mode\":\"%s\",\"max_age\":%u,\"id\":\"%s\",",
            domain->name, domain->host, policy_mode_name(policy->policy.mode),
            policy->policy.max_age, policy->id);
    if (policy->policy.mode == POLICY_MODE_NONE) {
        time_t when = zone_removal_time(policy, ttl, now);
        if (when == 0)
            fputs("\"previous_max_age\":null,", out);
        else {
            format_time(when, date);
            fprintf(out, "\"remove_after\":\"%s\",\"remove_after_if\":\"published now\",", date);
        }
    }
    fputs("\"records\":[\n  ", out);
    build_sts(domain, value);
    print_json_record(out, "_mta-sts.", domain->name, ttl, value);
    if (policy->source.rua.count > 0) {
        fputs(",\n  ", out);
        build_tlsrpt(domain, value);
        print_json_record(out, "_smtp._tls.", domain->name, ttl, value);
    }
    fputs("]}", out);
}

void zone_print_json(FILE *out, const struct config *config, const struct config_domain *only,
                     unsigned ttl, time_t now)
{
    const char *separator = "\n ";

    fputs("{\"domains\":[", out);
    for (size_t i = 0; i < config->domain_count; i++) {
        if (only != NULL && only != &config->domains[i])
            continue;
        fputs(separator, out);
        print_json_domain(out, &config->domains[i], ttl, now);
        separator = ",\n ";
    }
    fputs("]}\n", out);
}
