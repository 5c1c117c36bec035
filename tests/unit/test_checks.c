/* SPDX-License-Identifier: MIT
 * check/checks.c, checks_txt.c, checks_host.c and checks_policy.c: from facts to findings. Each row
 * spoils one thing of a clean domain and is tried under enforce and under testing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/checks.h"
#include "tls.h"

#define DAY 86400
#define NOW 1700000000 /* 2023-11-14 22:13:20 UTC */

#define HOST "mta-sts.example.com"
#define A1 HOST " [192.0.2.1]"
#define A2 HOST " [2001:db8::1]"
#define STS "_mta-sts.example.com"
#define HOSTILE "\x1b[2J\r\n\x7f\xff\xc3"
#define ESCAPED "\\x1b[2J\\x0d\\x0a\\x7f\\xff\\xc3"

/* A function that spoils a clean world. */
#define SPOIL(name, ...)                                                                           \
    static void name(struct world *w)                                                              \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

struct world {
    struct domain_facts facts;
    struct dns_facts dns;
    struct fetch_facts host[2];
    struct smtp_facts smtp[2];
    struct config_policy policy;
    struct config_domain expected;
    enum policy_mode mode;
    char ini_body[512];
};

/* In texts, bodies and expectations `$` stands for the mode or for its severity (error under
 * enforce, warning under testing) and `^` for the id of the clean policy. */
struct row {
    const char *name;
    void (*spoil)(struct world *world);
    const char *texts[3]; /* the TXT records at _mta-sts */
    const char *body;     /* what both addresses serve */
    bool ini;             /* the domain is in the INI */
    const char *findings; /* `severity CODE subject[, line N]` a line, in this order; all of them
                             but DNSSEC_AD and MODE_TESTING, which stand for themselves */
    const char *fixes;    /* all of them, one a line; NULL: none */
    const char *says;     /* a part of a finding's text */
};

static void expand(char *to, size_t size, const char *from, const char *dollar, const char *caret)
{
    struct text text;

    text_init(&text, to, size);
    for (; *from != '\0'; from++) {
        if (*from == '$')
            text_add(&text, dollar);
        else if (*from == '^')
            text_add(&text, caret);
        else
            text_add_bytes(&text, from, 1);
    }
    assert_false(text.overflow);
}

static void add_text(struct dns_texts *texts, const char *bytes, size_t len)
{
    texts->status = DNS_FOUND;
    texts->ttl = 3600;
    if (texts->count < FACTS_TEXTS_MAX) {
        struct dns_text *text = &texts->items[texts->count];
        assert_true(len < sizeof text->bytes);
        memset(text->bytes, 0, sizeof text->bytes);
        memcpy(text->bytes, bytes, len);
        text->len = len;
    }
    texts->count++;
}

static void add_address(struct dns_addresses *addresses, const char *address)
{
    addresses->v4 = addresses->v6 = DNS_FOUND;
    assert_true(address_parse(address, &addresses->items[addresses->count++]));
}

static struct tls_peer good_peer(void)
{
    return (struct tls_peer){.chain_ok = true,
                             .name_ok = true,
                             .date_ok = true,
                             .not_before = NOW - DAY,
                             .not_after = NOW + 60 * DAY,
                             .names = "www.example.com",
                             .count = 2};
}

static void serve_bytes(struct fetch_facts *fetch, const char *body, size_t len)
{
    assert_true(len <= FACTS_BODY_MAX);
    memcpy(fetch->body, body, len);
    fetch->body[len] = '\0';
    fetch->body_len = len;
}

static void serve(struct fetch_facts *fetch, const char *body)
{
    serve_bytes(fetch, body, strlen(body));
}

#define VERSION "version: STSv1\r\n"                        /* line 1 */
#define MODE "mode: $\r\n"                                  /* line 2 */
#define MX "mx: mx1.example.com\r\nmx: mx2.example.com\r\n" /* lines 3 and 4 */
#define AGE "max_age: 1209600\r\n"                          /* line 5 */

static void set_clean_dns(struct world *w)
{
    static const char rpt[] = "v=TLSRPTv1; rua=mailto:tls@reports.example.net";
    char record[64];

    snprintf(record, sizeof record, "v=STSv1; id=%s;", w->policy.id);
    add_text(&w->dns.sts, record, strlen(record));
    add_text(&w->dns.rpt, rpt, strlen(rpt));
    w->dns.sts.authenticated = w->dns.done = true;
    w->dns.mx_status = DNS_FOUND;
    w->dns.mx_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        struct dns_mx *mx = &w->dns.mx[i];
        snprintf(mx->name, sizeof mx->name, "mx%u.example.com", i + 1);
        add_address(&mx->addresses, i == 0 ? "192.0.2.11:0" : "192.0.2.12:0");
        mx->tlsa.status = DNS_NXDOMAIN;
        w->smtp[i].connection =
            (struct connection_facts){.done = true, .stage = STAGE_TLS, .peer = good_peer()};
        w->smtp[i].offers_starttls = true;
        w->facts.mx[i][0] = &w->smtp[i];
    }
    add_address(&w->dns.host, "192.0.2.1:0");
    add_address(&w->dns.host, "[2001:db8::1]:0");
}

static struct world *world_new(enum policy_mode mode, bool ini)
{
    struct world *w = calloc(1, sizeof *w);
    static char mx1[] = "mx1.example.com", mx2[] = "mx2.example.com";
    static struct policy_mx listed[] = {{mx1, 3}, {mx2, 4}};
    uint8_t digest[POLICY_DIGEST_SIZE];

    assert_non_null(w);
    w->mode = mode;
    expand(w->ini_body, sizeof w->ini_body, VERSION MODE MX AGE, policy_mode_name(mode), "");
    w->policy.body = w->ini_body;
    w->policy.body_len = strlen(w->ini_body);
    w->policy.policy = (struct policy){.mode = mode, .mx = listed, .mx_count = 2};
    assert_true(tls_sha256(w->policy.body, w->policy.body_len, digest));
    policy_id(digest, NULL, w->policy.id);
    w->expected = (struct config_domain){.name = "example.com", .host = HOST, .policy = &w->policy};
    w->facts.domain = "example.com";
    w->facts.now = NOW;
    w->facts.dns = &w->dns;
    w->facts.smtp_wanted = true;
    if (ini) {
        w->facts.expected = &w->expected;
        w->facts.ini = "t.ini";
    }
    set_clean_dns(w);
    for (unsigned i = 0; i < 2; i++) {
        struct fetch_facts *fetch = &w->host[i];
        fetch->connection = (struct connection_facts){
            .done = true, .stage = STAGE_ANSWERED, .tls = "1.3", .peer = good_peer(), .ms = 20};
        fetch->status = 200;
        memcpy(fetch->type, "text/plain", sizeof "text/plain");
        serve(fetch, w->ini_body);
        w->facts.host[i] = fetch;
    }
    return w;
}

/* Serves a template of a body from both addresses. */
static void serve_both(struct world *w, const char *template)
{
    char body[2048];

    expand(body, sizeof body, template, policy_mode_name(w->mode), w->policy.id);
    serve(&w->host[0], body);
    serve(&w->host[1], body);
}

static void set_fault(struct connection_facts *connection, enum stage stage, const char *fault)
{
    connection->stage = stage;
    snprintf(connection->fault, sizeof connection->fault, "%s", fault);
}

static void expect_printable(const char *text)
{
    for (; *text != '\0'; text++)
        assert_in_range((unsigned char)*text, 0x20, 0x7e);
}

/* The findings as a row has them, the fixes one a line; true if one of the texts has `says` in it.
 */
static bool describe(const struct finding_list *findings, const struct row *row, char **found,
                     char **fixes)
{
    size_t found_size, fixes_size;
    FILE *out = open_memstream(found, &found_size), *fix_out = open_memstream(fixes, &fixes_size);
    bool said = row->says == NULL;
    char column[32];

    assert_non_null(out);
    assert_non_null(fix_out);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];
        bool usual = strcmp(f->code, "DNSSEC_AD") == 0 || strcmp(f->code, "MODE_TESTING") == 0;
        expect_printable(f->text);
        expect_printable(f->fix == NULL ? "" : f->fix);
        if (usual && (row->findings == NULL || strstr(row->findings, f->code) == NULL))
            continue;
        snprintf(column, sizeof column, "character %u", f->place.column);
        said = said || strstr(f->text, row->says) != NULL || strcmp(column, row->says) == 0;
        fprintf(out, "%s %s %s", finding_severity_name(f->severity), f->code, f->place.file);
        if (f->place.line != 0)
            fprintf(out, ", line %u", f->place.line);
        fputs("\n", out);
        if (f->fix != NULL)
            fprintf(fix_out, "%s\n", f->fix);
    }
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(fix_out), 0);
    return said;
}

static void expect_row(const struct row *row, enum policy_mode mode)
{
    struct world *w = world_new(mode, row->ini);
    struct checks checks;
    char expected[1024], expected_fixes[1024], record[FACTS_TEXT_SIZE], *found, *fixes;
    const char *severity = mode == POLICY_MODE_ENFORCE ? "error" : "warning";

    if (row->texts[0] != NULL)
        w->dns.sts.count = 0;
    for (unsigned i = 0; i < 3 && row->texts[i] != NULL; i++) {
        expand(record, sizeof record, row->texts[i], policy_mode_name(mode), w->policy.id);
        add_text(&w->dns.sts, record, strlen(record));
    }
    if (row->body != NULL)
        serve_both(w, row->body);
    if (row->spoil != NULL)
        row->spoil(w);
    checks_run(&checks, &w->facts);
    expand(expected, sizeof expected, row->findings == NULL ? "" : row->findings, severity, "");
    expand(expected_fixes, sizeof expected_fixes, row->fixes == NULL ? "" : row->fixes, severity,
           w->policy.id);
    bool said = describe(&checks.findings, row, &found, &fixes);
    assert_string_equal(found, expected);
    assert_string_equal(fixes, expected_fixes);
    assert_true(said);
    free(found);
    free(fixes);
    checks_free(&checks);
    free(w);
}

static void test_row(void **state)
{
    expect_row(*state, POLICY_MODE_ENFORCE);
    expect_row(*state, POLICY_MODE_TESTING);
}

/* What the records at _mta-sts can be. */

#define FIX_STS "_mta-sts.example.com. 3600 IN TXT \"v=STSv1; id=^;\"\n"
#define GOOD "v=STSv1; id=^;"
#define FOREIGN "warning TXT_FOREIGN " STS "\n"
#define SYNTAX "error TXT_SYNTAX " STS "\n"
#define SYNTAX_W "warning TXT_SYNTAX " STS "\n"
#define MISSING "error TXT_MISSING " STS "\n"
#define MULTIPLE "error TXT_MULTIPLE " STS "\n"
#define STALE "error ID_STALE " STS "\n"
#define EXT "info TXT_EXT " STS "\n"
#define FAILED(subject) "untested DNS_FAILED " subject "\n"
#define WRONG(subject) "warning TXT_WRONG_NAME " subject "\n"
#define AD "info DNSSEC_AD " STS "\n"

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

SPOIL(no_sts_name, w->dns.sts = (struct dns_texts){.status = DNS_NXDOMAIN})
SPOIL(no_sts_record, w->dns.sts = (struct dns_texts){.status = DNS_NODATA})
SPOIL(no_sts_and_nothing_served, no_sts_name(w); serve_both(w, ""))
SPOIL(ini_has_a_serial, memcpy(w->policy.id, "abcdefs1", sizeof "abcdefs1"); no_sts_name(w))
SPOIL(sts_at_domain, no_sts_name(w); add_text(&w->dns.at_domain, "v=spf1 -all", 11);
      add_text(&w->dns.at_domain, "v=STSv1; id=1;", 14))
SPOIL(sts_at_host, no_sts_record(w); add_text(&w->dns.at_host, "v=STSv1; id=1;", 14))
SPOIL(sts_at_both_and_domain, add_text(&w->dns.at_domain, "v=STSv1; id=1;", 14))
SPOIL(sts_ttl_of_a_day, w->dns.sts.ttl = DAY)
SPOIL(sts_ttl_of_more, w->dns.sts.ttl = DAY + 1)
SPOIL(sts_not_authenticated, w->dns.sts.authenticated = false)
SPOIL(sts_not_asked, w->dns.sts.status = DNS_NOT_ASKED)
SPOIL(sts_servfail, w->dns.sts.status = DNS_SERVFAIL)
SPOIL(sts_timeout, w->dns.sts.status = DNS_TIMEOUT)
SPOIL(sts_malformed, w->dns.sts.status = DNS_MALFORMED)
SPOIL(sts_loop, w->dns.sts.status = DNS_LOOP)

static void sts_among_more_than_are_kept(struct world *w)
{
    for (unsigned i = 0; i < FACTS_TEXTS_MAX + 3; i++)
        add_text(&w->dns.sts, "x", 1);
}

static void sts_many_times(struct world *w)
{
    for (unsigned i = 0; i < FACTS_TEXTS_MAX + 3; i++)
        add_text(&w->dns.sts, "v=STSv1; id=1;", 14);
}

static void sts_of_full_length(struct world *w)
{
    char record[FACTS_TEXT_SIZE];

    memset(record, 'x', sizeof record);
    memcpy(record, "v=STSv1; id=1; a=", 17);
    w->dns.sts.count = 0;
    add_text(&w->dns.sts, record, sizeof record - 1);
}

SPOIL(sts_with_nul, w->dns.sts.count = 0; add_text(&w->dns.sts, "v=STSv1; id=1;\0; id=2;", 22))
SPOIL(sts_of_nothing, w->dns.sts.count = 0; add_text(&w->dns.sts, "", 0))

static const struct row txt_rows[] = {
    {.name = "clean"},
    {"clean_and_in_the_INI", .ini = true},
    {"DNSSEC_AD_authenticated", .findings = AD, .texts = {GOOD}, .says = "has authenticated"},
    {"DNSSEC_AD_not_authenticated", sts_not_authenticated, .findings = AD,
     .says = "is not authenticated"},
    {"TXT_MISSING_no_name", no_sts_name, .findings = MISSING, .fixes = FIX_STS, .says = "NXDOMAIN"},
    {"TXT_MISSING_no_record", no_sts_record, .findings = MISSING, .fixes = FIX_STS},
    {"TXT_MISSING_fix_has_the_id_of_the_INI", ini_has_a_serial, .ini = true, .findings = MISSING,
     .fixes = "_mta-sts.example.com. 3600 IN TXT \"v=STSv1; id=abcdefs1;\"\n"},
    {"TXT_MISSING_without_a_policy_the_fix_has_the_time", no_sts_and_nothing_served,
     .findings = "error POL_VERSION " HOST ", line 1\nerror POL_MODE " HOST
                 ", line 1\nerror POL_MAXAGE " HOST ", line 1\nerror POL_MX_SYNTAX " HOST
                 ", line 1\n" MISSING,
     .fixes = "_mta-sts.example.com. 3600 IN TXT \"v=STSv1; id=20231114221320Z;\"\n"},
    {"TXT_MISSING_only_others", .texts = {"v=spf1 -all", "x"}, .findings = MISSING FOREIGN,
     .fixes = FIX_STS, .says = "2 other TXT records"},
    {"TXT_MISSING_version_in_another_case", .texts = {"v=stsv1; id=^;"},
     .findings = MISSING FOREIGN, .fixes = FIX_STS},
    {"TXT_MISSING_blank_in_front", .texts = {" " GOOD}, .findings = MISSING FOREIGN,
     .fixes = FIX_STS},
    {"TXT_MISSING_empty_record", sts_of_nothing, .findings = MISSING FOREIGN, .fixes = FIX_STS},
    {"TXT_MULTIPLE", .texts = {GOOD, GOOD}, .findings = MULTIPLE, .fixes = FIX_STS,
     .says = "2 records"},
    {"TXT_MULTIPLE_beside_another", .texts = {GOOD, "x", GOOD}, .findings = MULTIPLE FOREIGN,
     .fixes = FIX_STS},
    {"TXT_MULTIPLE_more_than_are_kept", sts_many_times, .findings = MULTIPLE FOREIGN,
     .fixes = FIX_STS, .says = "32 records"},
    {"TXT_FOREIGN", .texts = {"x", GOOD}, .findings = FOREIGN, .says = "1 other TXT record"},
    {"TXT_FOREIGN_more_than_are_kept", sts_among_more_than_are_kept, .findings = FOREIGN,
     .says = "35 other TXT records"},
    {"TXT_SYNTAX_no_id", .texts = {"v=STSv1;"}, .findings = SYNTAX, .fixes = FIX_STS,
     .says = "there is no id"},
    {"TXT_SYNTAX_id_with_a_hyphen", .texts = {"v=STSv1; id=2023-11-14;"}, .findings = SYNTAX,
     .fixes = FIX_STS, .says = "character 17"},
    {"TXT_SYNTAX_id_of_33", .texts = {"v=STSv1; id=123456789012345678901234567890123;"},
     .findings = SYNTAX, .fixes = FIX_STS},
    {"TXT_SYNTAX_id_of_32_is_fine", .texts = {"v=STSv1; id=12345678901234567890123456789012;"}},
    {"TXT_SYNTAX_no_semicolon", .texts = {"v=STSv1 id=^"}, .findings = SYNTAX, .fixes = FIX_STS},
    {"TXT_SYNTAX_blank_before_the_first_semicolon", .texts = {"v=STSv1 ; id=^;"},
     .findings = SYNTAX, .fixes = FIX_STS},
    {"TXT_SYNTAX_id_again", .texts = {GOOD " id=2;"}, .findings = SYNTAX_W},
    {"TXT_SYNTAX_blank_at_the_end", .texts = {GOOD " "}, .findings = SYNTAX_W, .says = "KumoMTA"},
    {"TXT_SYNTAX_nothing_behind_the_id_is_fine", .texts = {"v=STSv1;id=^"}},
    {"TXT_EXT", .texts = {GOOD " a=b;"}, .findings = EXT},
    {"TXT_EXT_longer_than_one_string", .texts = {GOOD " a=" X64 X64 X64 X64 X64 ";"},
     .findings = EXT},
    {"TXT_EXT_as_long_as_is_kept", sts_of_full_length, .findings = EXT},
    {"TXT_TTL", sts_ttl_of_more, .findings = "info TXT_TTL " STS "\n", .says = "86401"},
    {"TXT_TTL_of_a_day_is_fine", .spoil = sts_ttl_of_a_day},
    {"ID_STALE", .texts = {"v=STSv1; id=20200101;"}, .ini = true, .findings = STALE,
     .fixes = FIX_STS, .says = "the id is 20200101"},
    {"ID_STALE_in_another_case", .texts = {"v=STSv1; id=^S1;"}, .ini = true, .findings = STALE,
     .fixes = FIX_STS},
    {"ID_STALE_needs_an_INI", .texts = {"v=STSv1; id=20200101;"}},
    {"TXT_WRONG_NAME_domain", sts_at_domain, .findings = MISSING WRONG("example.com"),
     .fixes = FIX_STS, .says = "its place is _mta-sts.example.com"},
    {"TXT_WRONG_NAME_host", sts_at_host, .findings = MISSING WRONG(HOST), .fixes = FIX_STS},
    {"TXT_WRONG_NAME_is_of_no_concern_beside_the_right_one", .spoil = sts_at_both_and_domain},
    {"DNS_FAILED_TXT_not_asked", sts_not_asked, .findings = FAILED(STS)},
    {"DNS_FAILED_TXT_servfail", sts_servfail, .findings = FAILED(STS), .says = "TXT record: "},
    {"DNS_FAILED_TXT_timeout", sts_timeout, .findings = FAILED(STS), .says = "in time"},
    {"DNS_FAILED_TXT_malformed", sts_malformed, .findings = FAILED(STS), .says = "malformed"},
    {"DNS_FAILED_TXT_loop", sts_loop, .findings = FAILED(STS), .says = "CNAME"},
    {"hostile_TXT_bytes", .texts = {"v=STSv1; id=" HOSTILE}, .findings = SYNTAX, .fixes = FIX_STS},
    {"hostile_TXT_NUL", sts_with_nul, .findings = SYNTAX, .fixes = FIX_STS},
};

/* What the policy host can do, most of it at its first address. */

#define CERTBOT_RENEW "certbot renew --cert-name " HOST "\n"
#define AT_1(code) "error " code " " A1 "\n"
#define AT_1_W(code) "warning " code " " A1 "\n"
#define AT_2(code) "error " code " " A2 "\n"
#define AT_2_W(code) "warning " code " " A2 "\n"

SPOIL(no_dns, w->dns.done = false)
SPOIL(host_no_address, w->dns.host = (struct dns_addresses){.v4 = DNS_NODATA, .v6 = DNS_NXDOMAIN})
SPOIL(host_dangling_alias, host_no_address(w); w->dns.host.alias = true)
SPOIL(host_one_family, w->dns.host.count = 1; w->dns.host.v6 = DNS_NODATA)
SPOIL(host_v4_servfail, w->dns.host = (struct dns_addresses){.v4 = DNS_SERVFAIL, .v6 = DNS_NODATA})
SPOIL(host_v6_timeout, w->dns.host.count = 1; w->dns.host.v6 = DNS_TIMEOUT)
SPOIL(host_one_refuses, set_fault(&w->host[1].connection, STAGE_NOTHING, "connection refused"))
SPOIL(host_both_refuse, host_one_refuses(w);
      set_fault(&w->host[0].connection, STAGE_NOTHING, "connection refused"))
SPOIL(host_one_refuses_and_one_is_lost, host_one_refuses(w); w->host[0].connection.done = false)
SPOIL(host_no_facts, w->facts.host[0] = NULL)
SPOIL(host_no_handshake, set_fault(&w->host[0].connection, STAGE_CONNECTED, "handshake_failure"))
SPOIL(host_old_tls, set_fault(&w->host[0].connection, STAGE_CONNECTED, "protocol_version");
      w->host[0].connection.refused_version = true)
SPOIL(host_silent_handshake, set_fault(&w->host[0].connection, STAGE_CONNECTED, "timed out");
      w->host[0].connection.timed_out = true)
SPOIL(host_self_signed, w->host[0].connection.peer.chain_ok = false;
      w->host[0].connection.peer.self_signed = true)
SPOIL(host_no_intermediate, w->host[0].connection.peer.chain_ok = false;
      w->host[0].connection.peer.count = 1)
SPOIL(host_unknown_issuer, w->host[0].connection.peer.chain_ok = false)
SPOIL(host_other_name, w->host[0].connection.peer.name_ok = false)
SPOIL(host_no_name, host_other_name(w); w->host[0].connection.peer.names[0] = '\0')
SPOIL(host_hostile_name, host_other_name(w);
      memcpy(w->host[0].connection.peer.names, HOSTILE, sizeof HOSTILE))
SPOIL(host_expired, w->host[0].connection.peer.date_ok = false;
      w->host[0].connection.peer.not_after = NOW - DAY)
SPOIL(host_not_yet, w->host[0].connection.peer.date_ok = false;
      w->host[0].connection.peer.not_before = NOW + DAY)
SPOIL(host_expired_chain, w->host[0].connection.peer.date_ok = false)
SPOIL(host_wrong_in_every_way, host_unknown_issuer(w); host_other_name(w); host_expired(w))
SPOIL(host_13_days, w->host[0].connection.peer.not_after = NOW + 14 * DAY - 1)
SPOIL(host_14_days, w->host[0].connection.peer.not_after = NOW + 14 * DAY)
SPOIL(http_404, w->host[0].status = 404)
SPOIL(http_204, w->host[0].status = 204; w->host[0].body_len = 0)
SPOIL(http_hostile_redirect, w->host[0].status = 301;
      memcpy(w->host[0].location, "https://www/" HOSTILE, sizeof "https://www/" HOSTILE))
SPOIL(http_location_without_redirect, http_hostile_redirect(w); w->host[0].status = 500)

static void set_type(struct world *w, const char *type)
{
    snprintf(w->host[0].type, sizeof w->host[0].type, "%s", type);
}

SPOIL(http_html, set_type(w, "text/html; charset=text/plain"))
SPOIL(http_no_type, set_type(w, ""))
SPOIL(http_longer_type, set_type(w, "text/plain2" HOSTILE))
SPOIL(http_parameters, set_type(w, "Text/Plain ; charset=utf-8"))
SPOIL(http_too_large, w->host[0].too_large = true; w->host[0].body_len = FACTS_BODY_MAX)

/* Blanks at the end of a line are allowed. */
static void http_size(struct world *w, size_t size)
{
    char body[FACTS_BODY_MAX + 1];
    size_t len = w->policy.body_len - 2;

    memset(body, ' ', sizeof body);
    memcpy(body, w->ini_body, len);
    memcpy(body + size - 2, "\r\n", 2);
    serve_bytes(&w->host[0], body, size);
    serve_bytes(&w->host[1], body, size);
}

SPOIL(http_4096, http_size(w, 4096))
SPOIL(http_4097, http_size(w, 4097))
SPOIL(http_10241, http_size(w, 10241))
SPOIL(http_64k, http_size(w, FACTS_BODY_MAX))
SPOIL(http_2000_ms, w->host[0].connection.ms = 2000)
SPOIL(http_2001_ms, w->host[0].connection.ms = 2001)
SPOIL(http_timed_out, set_fault(&w->host[0].connection, STAGE_TLS, "timed out");
      w->host[0].connection.timed_out = true; w->host[0].connection.ms = 60000)
SPOIL(http_malformed, set_fault(&w->host[0].connection, STAGE_TLS, "not HTTP: " HOSTILE);
      w->host[0].malformed = true)
SPOIL(http_reset, set_fault(&w->host[0].connection, STAGE_TLS, "connection reset"))

static void body_lines(struct world *w, const char *second)
{
    char body[1024];

    expand(body, sizeof body, second, policy_mode_name(w->mode), "");
    serve(&w->host[1], body);
}

SPOIL(body_other_age, body_lines(w, VERSION MODE MX "max_age: 1209601\r\n"))
SPOIL(body_lf, body_lines(w, "version: STSv1\nmode: $\r\n" MX AGE))
SPOIL(body_cut, body_lines(w, VERSION MODE MX))
SPOIL(body_empty, body_lines(w, ""))
SPOIL(body_hostile, body_lines(w, VERSION "\x1b[2J\x7f\xff\xc3\r\n" MX AGE))

/* They differ behind what a finding quotes of a line. */
SPOIL(body_long_lines, serve_both(w, VERSION MODE MX AGE "a: " X64 "1\r\n");
      body_lines(w, VERSION MODE MX AGE "a: " X64 "2\r\n"))
SPOIL(body_nul, memcpy(w->host[1].body, "version: STSv1\0\r", 16))

static const struct row host_rows[] = {
    {"CHECK_FAILED_dns", no_dns, .findings = "untested CHECK_FAILED example.com\n"},
    {"HOST_NOADDR", host_no_address, .findings = "error HOST_NOADDR " HOST "\n"},
    {"HOST_NOADDR_alias", host_dangling_alias, .findings = "error HOST_NOADDR " HOST "\n",
     .says = "CNAME"},
    {"HOST_NOADDR_one_family_is_fine", .spoil = host_one_family},
    {"DNS_FAILED_A", host_v4_servfail, .findings = FAILED(HOST), .says = "A record: "},
    {"DNS_FAILED_AAAA", host_v6_timeout, .findings = FAILED(HOST), .says = "AAAA record: "},
    {"HOST_CONNECT_one", host_one_refuses, .findings = AT_2_W("HOST_CONNECT"),
     .says = "connection refused: some senders"},
    {"HOST_CONNECT_all", host_both_refuse, .findings = AT_1("HOST_CONNECT") AT_2("HOST_CONNECT"),
     .says = "nobody can fetch"},
    {"HOST_CONNECT_all_and_in_the_INI", host_both_refuse, .ini = true,
     .findings = AT_1("HOST_CONNECT") AT_2("HOST_CONNECT")},
    {"HOST_CONNECT_one_and_one_is_not_known", host_one_refuses_and_one_is_lost,
     .findings = "untested CHECK_FAILED " A1 "\n" AT_2_W("HOST_CONNECT")},
    {"CHECK_FAILED_address", host_no_facts, .findings = "untested CHECK_FAILED " A1 "\n"},
    {"HOST_TLS", host_no_handshake, .findings = AT_1("HOST_TLS"), .says = "handshake_failure"},
    {"HOST_TLS_version", host_old_tls, .findings = AT_1("HOST_TLS"), .says = "TLS 1.2 or 1.3"},
    {"HOST_TLS_time", host_silent_handshake, .findings = AT_1("HOST_TLS"), .says = "timed out"},
    {"HOST_CERT_CHAIN_self_signed", host_self_signed, .findings = AT_1("HOST_CERT_CHAIN"),
     .says = "self-signed"},
    {"HOST_CERT_CHAIN_alone", host_no_intermediate, .findings = AT_1("HOST_CERT_CHAIN"),
     .says = "fullchain.pem"},
    {"HOST_CERT_CHAIN_unknown", host_unknown_issuer, .findings = AT_1("HOST_CERT_CHAIN"),
     .says = "issuer"},
    {"HOST_CERT_NAME", host_other_name, .findings = AT_1("HOST_CERT_NAME"),
     .fixes = "certbot certonly --standalone -d " HOST "\n", .says = "are www.example.com"},
    {"HOST_CERT_NAME_none", host_no_name, .findings = AT_1("HOST_CERT_NAME"),
     .fixes = "certbot certonly --standalone -d " HOST "\n", .says = "are none"},
    {"HOST_CERT_NAME_hostile", host_hostile_name, .findings = AT_1("HOST_CERT_NAME"),
     .fixes = "certbot certonly --standalone -d " HOST "\n", .says = "are " ESCAPED},
    {"HOST_CERT_DATE_expired", host_expired, .findings = AT_1("HOST_CERT_DATE"),
     .fixes = CERTBOT_RENEW, .says = "expired on 2023-11-13"},
    {"HOST_CERT_DATE_not_yet", host_not_yet, .findings = AT_1("HOST_CERT_DATE"),
     .fixes = CERTBOT_RENEW, .says = "before 2023-11-15"},
    {"HOST_CERT_DATE_chain", host_expired_chain, .findings = AT_1("HOST_CERT_DATE"),
     .fixes = CERTBOT_RENEW, .says = "of the chain"},
    {"HOST_CERT_all", host_wrong_in_every_way,
     .findings = AT_1("HOST_CERT_CHAIN") AT_1("HOST_CERT_NAME") AT_1("HOST_CERT_DATE"),
     .fixes = "certbot certonly --standalone -d " HOST "\n" CERTBOT_RENEW},
    {"HOST_CERT_SOON", host_13_days, .findings = AT_1_W("HOST_CERT_SOON"), .fixes = CERTBOT_RENEW,
     .says = "in 13 days"},
    {"HOST_CERT_SOON_14_days_are_fine", .spoil = host_14_days},
    {"HTTP_STATUS", http_404, .findings = AT_1("HTTP_STATUS"), .says = "status 404: "},
    {"HTTP_STATUS_of_success", http_204, .findings = AT_1("HTTP_STATUS"), .says = "status 204: "},
    {"HTTP_STATUS_hostile_redirect", http_hostile_redirect, .findings = AT_1("HTTP_STATUS"),
     .says = "status 301 to https://www/" ESCAPED ": "},
    {"HTTP_STATUS_location", http_location_without_redirect, .findings = AT_1("HTTP_STATUS"),
     .says = "status 500: "},
    {"HTTP_TYPE", http_html, .findings = AT_1_W("HTTP_TYPE"), .says = "\"text/html; "},
    {"HTTP_TYPE_none", http_no_type, .findings = AT_1_W("HTTP_TYPE"), .says = "\"\""},
    {"HTTP_TYPE_hostile", http_longer_type, .findings = AT_1_W("HTTP_TYPE"),
     .says = "\"text/plain2" ESCAPED "\""},
    {"HTTP_TYPE_parameters_are_fine", .spoil = http_parameters},
    {"HTTP_SIZE_too_large", http_too_large, .findings = AT_1("HTTP_SIZE")},
    {"HTTP_SIZE_large", http_4097, .findings = AT_1_W("HTTP_SIZE") AT_2_W("HTTP_SIZE"),
     .says = "4097 octets"},
    {"HTTP_SIZE_4096_is_fine", .spoil = http_4096},
    {"HTTP_SIZE_of_64_KiB_is_a_policy", http_64k,
     .findings = AT_1_W("HTTP_SIZE") AT_2_W("HTTP_SIZE") "warning POL_SENDERS_DIFFER " HOST "\n"},
    {"POL_SENDERS_DIFFER_size", http_10241,
     .findings = AT_1_W("HTTP_SIZE") AT_2_W("HTTP_SIZE") "warning POL_SENDERS_DIFFER " HOST "\n",
     .says = "chasquid reads 10240"},
    {"HTTP_SLOW", http_2001_ms, .findings = AT_1_W("HTTP_SLOW"), .says = "2001 ms"},
    {"HTTP_SLOW_2000_ms_are_fine", .spoil = http_2000_ms},
    {"HTTP_SLOW_no_answer", http_timed_out, .findings = AT_1("HTTP_SLOW"), .says = "60 seconds"},
    {"HTTP_SYNTAX", http_malformed, .findings = AT_1("HTTP_SYNTAX"), .says = "HTTP: " ESCAPED},
    {"HTTP_SYNTAX_reset", http_reset, .findings = AT_1("HTTP_SYNTAX"), .says = "reset"},
    {"BODY_DIFFERS_addresses", body_other_age, .findings = AT_2("BODY_DIFFERS"),
     .says = "than the first address: line 5 is \"max_age: 1209601\", not \"max_age: 1209600\"; "},
    {"BODY_DIFFERS_INI", body_other_age, .ini = true, .findings = AT_2("BODY_DIFFERS"),
     .says = "than the INI yields: line 5 is \"max_age: 1209601\", not \"max_age: 1209600\"; "},
    {"BODY_DIFFERS_INI_from_all", .body = VERSION MODE MX "max_age: 1209601\r\n", .ini = true,
     .findings = AT_1("BODY_DIFFERS") AT_2("BODY_DIFFERS")},
    {"BODY_DIFFERS_line_ends", body_lf, .ini = true, .findings = AT_2("BODY_DIFFERS"),
     .says = "line 1 is \"version: STSv1\", not \"version: STSv1\" (the line ends differ)"},
    {"BODY_DIFFERS_behind_what_is_quoted", body_long_lines,
     .findings = AT_2("BODY_DIFFERS") "info POL_UNKNOWN " HOST ", line 6\n",
     .says = "; is this an old"},
    {"BODY_DIFFERS_cut", body_cut, .ini = true, .findings = AT_2("BODY_DIFFERS"),
     .says = "line 5 is \"\", not \"max_age: 1209600\"; "},
    {"BODY_DIFFERS_empty", body_empty, .findings = AT_2("BODY_DIFFERS"),
     .says = "line 1 is \"\", not \"version: STSv1\"; "},
    {"BODY_DIFFERS_hostile", body_hostile, .findings = AT_2("BODY_DIFFERS"),
     .says = "line 2 is \"\\x1b[2J\\x7f\\xff\\xc3\", not \"mode: "},
    {"BODY_DIFFERS_NUL", body_nul, .findings = AT_2("BODY_DIFFERS"), .says = "line 1 is \"version"},
};

/* What the policy can say. */

#define POL(severity, code, line) severity " POL_" code " " HOST ", line " line "\n"
#define POL_MX POL("error", "MX_SYNTAX", "5")
#define WITH_MX(mx) VERSION MODE MX "mx: " mx "\r\n" AGE
#define UNUSED(mx) "warning PATTERN_UNUSED " mx "\n"
#define ENFORCE VERSION "mode: enforce\r\n" MX
#define TESTING VERSION "mode: testing\r\n" MX
#define NONE VERSION "mode: none\r\n" MX
#define MODE_NONE_W "warning MODE_NONE " HOST "\n"

static const struct row policy_rows[] = {
    {"POL_VERSION_missing", .body = MODE MX AGE, .findings = POL("error", "VERSION", "4")},
    {"POL_VERSION_other", .body = "version: STSv2\r\n" MODE MX AGE,
     .findings = POL("error", "VERSION", "1")},
    {"POL_MODE_missing", .body = VERSION MX AGE, .findings = POL("error", "MODE", "4")},
    {"POL_MODE_other", .body = VERSION "mode: Enforce\r\n" MX AGE,
     .findings = POL("error", "MODE", "2")},
    {"POL_MAXAGE_missing", .body = VERSION MODE MX, .findings = POL("error", "MAXAGE", "4")},
    {"POL_MAXAGE_syntax", .body = VERSION MODE MX "max_age: 14d\r\n",
     .findings = POL("error", "MAXAGE", "5")},
    {"POL_MAXAGE_large", .body = VERSION MODE MX "max_age: 31557601\r\n",
     .findings = POL("error", "MAXAGE", "5")},
    {"POL_MX_SYNTAX_missing", .body = VERSION MODE AGE, .findings = POL("error", "MX_SYNTAX", "3")},
    {"POL_MX_SYNTAX_empty_label", .body = WITH_MX("a..example.com"), .findings = POL_MX},
    {"POL_MX_SYNTAX_wildcard", .body = WITH_MX("mx*.example.com"), .findings = POL_MX},
    {"POL_MX_SYNTAX_U_label", .body = WITH_MX("m\xc3\xbcnchen.example"),
     .findings = POL_MX "warning POL_LINES " HOST "\n", .says = "\"m\\xc3\\xbcnchen.example\""},
    {"POL_MX_SYNTAX_dot", .body = WITH_MX("mx3.example.com."), .findings = POL_MX},
    {"POL_MX_SYNTAX_underscore", .body = WITH_MX("mx_3.example.com"), .findings = POL_MX},
    {"POL_MX_SYNTAX_address", .body = WITH_MX("[192.0.2.1]"), .findings = POL_MX},
    {"POL_MX_SYNTAX_port", .body = WITH_MX("mx3.example.com:25"), .findings = POL_MX},
    {"POL_MX_SYNTAX_list", .body = WITH_MX("mx3.example.com, mx4.example.com"), .findings = POL_MX},
    {"POL_MX_SYNTAX_preference", .body = WITH_MX("10 mx3.example.com"), .findings = POL_MX},
    {"POL_MX_SYNTAX_comment", .body = WITH_MX("mx3.example.com # x"), .findings = POL_MX},
    {"POL_MX_SYNTAX_hostile", .body = WITH_MX("\x1b[2J"), .findings = POL_MX,
     .says = "\"\\x1b[2J\""},
    {"POL_SYNTAX_no_colon", .body = VERSION MODE MX AGE "<html>\r\n",
     .findings = POL("error", "SYNTAX", "6")},
    {"POL_SYNTAX_field_name", .body = VERSION MODE MX AGE "a b: c\r\n",
     .findings = POL("error", "SYNTAX", "6")},
    {"POL_SYNTAX_empty_value", .body = VERSION MODE MX AGE "a:\r\n",
     .findings = POL("error", "SYNTAX", "6")},
    {"POL_SYNTAX_bytes_that_are_not_UTF_8", .body = VERSION MODE MX AGE "a: \xff\r\n",
     .findings = POL("error", "SYNTAX", "6") "warning POL_LINES " HOST "\n"},
    {"POL_every_fault", .body = "version: 1\r\nmode: x\r\nmx: *\r\nmax_age: x\r\nx\r\n",
     .findings = POL("error", "VERSION", "1") POL("error", "MODE", "2")
         POL("error", "MX_SYNTAX", "3") POL("error", "MAXAGE", "4") POL("error", "SYNTAX", "5")},
    {"POL_MAXAGE_SHORT_enforce", .body = ENFORCE "max_age: 1209599\r\n",
     .findings = POL("warning", "MAXAGE_SHORT", "5"), .fixes = "max_age = 1209600\n"},
    {"POL_MAXAGE_SHORT_testing", .body = TESTING "max_age: 86399\r\n",
     .findings = POL("warning", "MAXAGE_SHORT", "5"), .fixes = "max_age = 1209600\n"},
    {"POL_MAXAGE_SHORT_none", .body = NONE "max_age: 86399\r\n",
     .findings = POL("warning", "MAXAGE_SHORT", "5") MODE_NONE_W, .fixes = "max_age = 86400\n"},
    {"POL_MAXAGE_SHORT_0", .body = VERSION MODE MX "max_age: 0\r\n",
     .findings = POL("warning", "SENDERS_DIFFER", "5") POL("warning", "MAXAGE_SHORT", "5"),
     .fixes = "max_age = 1209600\n", .says = "chasquid"},
    {"POL_MAXAGE_SHORT_testing_for_a_day_is_fine", .body = TESTING "max_age: 86400\r\n"},
    {"POL_MAXAGE_of_a_year_is_fine", .body = VERSION MODE MX "max_age: 31557600\r\n"},
    {"POL_DUP_version", .body = VERSION MODE MX AGE VERSION, .findings = POL("warning", "DUP", "6"),
     .says = "line 1"},
    {"POL_DUP_mode", .body = VERSION MODE MX AGE MODE, .findings = POL("warning", "DUP", "6")},
    {"POL_DUP_max_age", .body = VERSION MODE MX AGE AGE, .findings = POL("warning", "DUP", "6")},
    {"POL_UNKNOWN", .body = VERSION MODE MX AGE "a: b\r\n",
     .findings = POL("info", "UNKNOWN", "6")},
    {"POL_LINES_LF", .body = "version: STSv1\nmode: $\nmx: *.example.com\nmax_age: 1209600\n",
     .findings = "info POL_LINES " HOST "\n"},
    {"POL_LINES_mixed", .body = VERSION MODE MX "max_age: 1209600\n",
     .findings = "warning POL_LINES " HOST "\n", .says = "CRLF here"},
    {"POL_LINES_blank", .body = VERSION MODE "\r\n" MX AGE, .findings = POL("error", "LINES", "3"),
     .says = "empty line"},
    {"POL_LINES_not_ASCII", .body = VERSION MODE MX AGE "a: \xc3\xbc\r\n",
     .findings = POL("info", "UNKNOWN", "6") "warning POL_LINES " HOST "\n"},
    {"POL_LINES_no_end_of_the_last_line_is_fine", .body = VERSION MODE MX "max_age: 1209600"},
    {"POL_SENDERS_DIFFER_address", .body = WITH_MX("192.0.2.9"),
     .findings = POL("warning", "SENDERS_DIFFER", "5") UNUSED("192.0.2.9")},
    {"POL_SENDERS_DIFFER_punycode", .body = WITH_MX("xn--mnchen-3y.example"),
     .findings = POL("warning", "SENDERS_DIFFER", "5") UNUSED("xn--mnchen-3y.example")},
    {"POL_SENDERS_DIFFER_none_without_mx", .body = VERSION "mode: none\r\n" AGE,
     .findings = POL("warning", "SENDERS_DIFFER", "3") MODE_NONE_W},
    {"MODE_TESTING", .body = TESTING AGE, .findings = "info MODE_TESTING " HOST "\n"},
    {"MODE_ENFORCE_is_fine", .body = ENFORCE AGE},
    {"MODE_NONE", .body = NONE AGE, .findings = MODE_NONE_W},
};

static void test_a_policy_of_faults_has_not_more_findings_than_can_be_read(void **state)
{
    struct world *w = world_new(POLICY_MODE_ENFORCE, false);
    struct checks checks;
    char body[2 * 500 + 1];

    (void)state;
    for (unsigned i = 0; i < 500; i++)
        memcpy(body + 2 * i, "x\n", 3);
    serve(&w->host[0], body);
    serve(&w->host[1], body);
    checks_run(&checks, &w->facts);
    assert_int_equal(checks.findings.errors, 101);
    for (unsigned i = 0; i < 101; i++) {
        assert_string_equal(checks.findings.items[i].code, "POL_SYNTAX");
        assert_int_equal(checks.findings.items[i].place.line, i < 100 ? i + 1 : 100);
    }
    assert_false(checks.policy_known);
    checks_free(&checks);
    free(w);
}

static void test_what_is_served_counts_before_the_ini(void **state)
{
    struct world *w = world_new(POLICY_MODE_ENFORCE, true);
    struct checks checks;

    (void)state;
    serve_both(w, TESTING AGE);
    checks_run(&checks, &w->facts);
    assert_int_equal(checks.policy.mode, POLICY_MODE_TESTING);
    assert_int_equal(checks_by_mode(&checks), FINDING_WARNING);
    checks_free(&checks);
    serve_both(w, "nothing");
    checks_run(&checks, &w->facts);
    assert_int_equal(checks.policy.mode, POLICY_MODE_ENFORCE);
    assert_int_equal(checks_by_mode(&checks), FINDING_ERROR);
    checks_free(&checks);
    w->facts.expected = NULL;
    checks_run(&checks, &w->facts);
    assert_false(checks.policy_known);
    assert_int_equal(checks_by_mode(&checks), FINDING_WARNING);
    checks_free(&checks);
    free(w);
}

static void test_a_clean_domain_has_a_line_for_each_thing_seen(void **state)
{
    static const char *const topics[] = {"policy", "policy", "policy", "dns",
                                         "mx",     "mx",     "reports"};
    struct world *w = world_new(POLICY_MODE_ENFORCE, true);
    struct checks checks;

    (void)state;
    checks_run(&checks, &w->facts);
    assert_int_equal(checks.seen.count, sizeof topics / sizeof *topics);
    for (size_t i = 0; i < checks.seen.count; i++) {
        assert_string_equal(checks.seen.items[i].code, topics[i]);
        expect_printable(checks.seen.items[i].text);
    }
    checks_free(&checks);
    free(w);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_a_policy_of_faults_has_not_more_findings_than_can_be_read),
    cmocka_unit_test(test_what_is_served_counts_before_the_ini),
    cmocka_unit_test(test_a_clean_domain_has_a_line_for_each_thing_seen),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct CMUnitTest
    checks_tests[COUNT(txt_rows) + COUNT(host_rows) + COUNT(policy_rows) + COUNT(others)];

static size_t add_rows(size_t at, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        checks_tests[at + i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = test_row, .initial_state = (void *)&rows[i]};
    return at + count;
}

int main(void)
{
    size_t count = add_rows(0, txt_rows, COUNT(txt_rows));

    if (!tls_init())
        return EXIT_FAILURE;
    count = add_rows(count, host_rows, COUNT(host_rows));
    count = add_rows(count, policy_rows, COUNT(policy_rows));
    memcpy(checks_tests + count, others, sizeof others);
    int failed = cmocka_run_group_tests(checks_tests, NULL, NULL);
    tls_exit();
    return failed;
}
