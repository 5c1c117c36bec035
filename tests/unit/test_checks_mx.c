/* SPDX-License-Identifier: MIT
 * check/checks_mx.c and the TLS-RPT half of checks_txt.c: from facts to findings; and that nothing
 * in them reaches a terminal as it came. Each row spoils one thing of a clean domain and is tried
 * under enforce and under testing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/checks.h"
#include "check/output.h"
#include "tls.h"

#define DAY 86400
#define NOW 1700000000 /* 2023-11-14 22:13:20 UTC */

#define DOMAIN "example.com"
#define MX1 "mx1.example.com"
#define MX2 "mx2.example.com"
#define A1 MX1 " [192.0.2.10]"
#define A2 MX2 " [192.0.2.11]"
#define RPT "_smtp._tls.example.com"
#define HOSTILE "\x1b[2J\r\n\x7f\xff\xc3"
#define ESCAPED "\\x1b[2J\\x0d\\x0a\\x7f\\xff\\xc3"

/* A function that spoils a clean world. */
#define SPOIL(name, ...)                                                                           \
    static void name(struct world *w)                                                              \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }

#define LISTED_MAX 40

struct world {
    struct domain_facts facts;
    struct dns_facts dns;
    struct fetch_facts host, endpoint;
    struct smtp_facts smtp[FACTS_MX_MAX][2];
    struct config_policy policy; /* of the INI, and served; rendered when it is spoilt */
    struct policy_mx listed[LISTED_MAX];
    char patterns[LISTED_MAX][64];
    struct policy_value rua[2];
    struct config_domain expected;
    char body[POLICY_BODY_MAX];
};

/* In the expectations `$` stands for error under enforce and for warning under testing. */
struct row {
    const char *name;
    void (*spoil)(struct world *world);
    const char *texts[3]; /* the TXT records at _smtp._tls */
    bool ini;             /* the domain is in the INI */
    const char *findings; /* `severity CODE subject` a line, in this order; all of them but
                             DNSSEC_AD and MODE_TESTING */
    const char *fixes;    /* all of them, one a line; NULL: none */
    const char *says;     /* a part of a finding's text */
};

static void add_text(struct dns_texts *texts, const char *bytes, size_t len)
{
    struct dns_text *text = &texts->items[texts->count];

    assert_true(texts->count < FACTS_TEXTS_MAX && len < sizeof text->bytes);
    texts->status = DNS_FOUND;
    texts->ttl = 3600;
    memcpy(text->bytes, bytes, len);
    text->bytes[len] = '\0';
    text->len = len;
    texts->count++;
}

static void set_text(struct dns_texts *texts, const char *text)
{
    texts->count = 0;
    add_text(texts, text, strlen(text));
}

static void add_address(struct dns_addresses *addresses, const char *address)
{
    addresses->v4 = DNS_FOUND;
    addresses->v6 = DNS_NODATA;
    assert_true(address_parse(address, &addresses->items[addresses->count++]));
}

static void set_peer(struct tls_peer *peer)
{
    *peer = (struct tls_peer){.chain_ok = true,
                              .name_ok = true,
                              .date_ok = true,
                              .not_before = NOW - DAY,
                              .not_after = NOW + 60 * DAY,
                              .names = "www.example.com",
                              .count = 2};
    memset(peer->certificates[0].certificate, 0xc0, 32);
    memset(peer->certificates[0].key, 0xd0, 32);
    memset(peer->certificates[1].certificate, 0xc1, 32);
    memset(peer->certificates[1].key, 0xd1, 32);
}

static void list(struct world *w, const char *pattern)
{
    size_t n = w->policy.policy.mx_count++;

    assert_true(n < LISTED_MAX);
    snprintf(w->patterns[n], sizeof w->patterns[n], "%s", pattern);
    w->listed[n] = (struct policy_mx){w->patterns[n], 0};
}

static void list_only(struct world *w, const char *pattern)
{
    w->policy.policy.mx_count = 0;
    list(w, pattern);
}

static void set_name(struct dns_mx *mx, const char *name)
{
    snprintf(mx->name, sizeof mx->name, "%s", name);
}

/* One more MX of one address. */
static void add_mx(struct world *w, const char *name)
{
    unsigned m = w->dns.mx_count++;
    char address[32];

    if (m >= FACTS_MX_MAX)
        return;
    set_name(&w->dns.mx[m], name);
    snprintf(address, sizeof address, "192.0.2.%u:0", 10 + m);
    w->dns.mx[m].addresses.count = 0;
    add_address(&w->dns.mx[m].addresses, address);
    w->dns.mx[m].tlsa.status = DNS_NXDOMAIN;
    for (unsigned a = 0; a < 2; a++) {
        struct smtp_facts *smtp = &w->smtp[m][a];
        smtp->offers_starttls = true;
        smtp->connection = (struct connection_facts){.done = true, .stage = STAGE_TLS};
        set_peer(&smtp->connection.peer);
        w->facts.mx[m][a] = smtp;
    }
}

static struct world *world_new(enum policy_mode mode, bool ini)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->policy.policy = (struct policy){.mode = mode, .max_age = 1209600, .mx = w->listed};
    memcpy(w->policy.id, "1", 2);
    list(w, MX1);
    list(w, MX2);
    w->rua[0].text = "mailto:tls@reports.example.net";
    w->policy.source.rua.items = w->rua;
    w->policy.source.rua.count = 1;
    w->expected = (struct config_domain){.name = DOMAIN, .policy = &w->policy};
    w->facts = (struct domain_facts){
        .domain = DOMAIN, .dns = &w->dns, .now = NOW, .smtp_wanted = true, .ini = "t.ini"};
    w->facts.expected = ini ? &w->expected : NULL;
    w->dns.done = true;
    set_text(&w->dns.sts, "v=STSv1; id=1;");
    set_text(&w->dns.rpt, "v=TLSRPTv1; rua=mailto:tls@reports.example.net");
    add_address(&w->dns.host, "192.0.2.1:0");
    w->dns.mx_status = DNS_FOUND;
    add_mx(w, MX1);
    add_mx(w, MX2);
    w->host.connection = (struct connection_facts){.done = true, .stage = STAGE_ANSWERED};
    set_peer(&w->host.connection.peer);
    w->host.status = 200;
    memcpy(w->host.type, "text/plain", sizeof "text/plain");
    w->facts.host[0] = &w->host;
    return w;
}

/* Serves the policy, as the INI has it. */
static void serve(struct world *w)
{
    struct text body;

    text_init(&body, w->body, sizeof w->body);
    policy_render(&w->policy.policy, &body);
    assert_false(body.overflow);
    w->policy.body = w->body;
    w->policy.body_len = body.len;
    memcpy(w->host.body, w->body, body.len);
    w->host.body_len = body.len;
}

static void set_fault(struct smtp_facts *smtp, enum stage stage, const char *fault)
{
    smtp->connection.stage = stage;
    snprintf(smtp->connection.fault, sizeof smtp->connection.fault, "%s", fault);
}

static void expect_printable(const char *text)
{
    for (; *text != '\0'; text++)
        assert_in_range((unsigned char)*text, 0x20, 0x7e);
}

/* The findings as a row has them, the fixes one a line; true if one of the texts has `says` in it.
 */
static bool describe(const struct finding_list *findings, const char *says, char **found,
                     char **fixes)
{
    size_t found_size, fixes_size;
    FILE *out = open_memstream(found, &found_size), *fix_out = open_memstream(fixes, &fixes_size);
    bool said = says == NULL;
    char column[32];

    assert_non_null(out);
    assert_non_null(fix_out);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *f = &findings->items[i];
        expect_printable(f->text);
        expect_printable(f->fix == NULL ? "" : f->fix);
        if (strcmp(f->code, "DNSSEC_AD") == 0 || strcmp(f->code, "MODE_TESTING") == 0)
            continue;
        snprintf(column, sizeof column, "character %u", f->place.column);
        said = said || strstr(f->text, says) != NULL || strcmp(column, says) == 0;
        fprintf(out, "%s %s %s\n", finding_severity_name(f->severity), f->code, f->place.file);
        if (f->fix != NULL)
            fprintf(fix_out, "%s\n", f->fix);
    }
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(fix_out), 0);
    return said;
}

/* `$` becomes the severity. */
static char *expand(const char *from, enum policy_mode mode)
{
    char *to = NULL;
    size_t size;
    FILE *out = open_memstream(&to, &size);

    assert_non_null(out);
    for (; from != NULL && *from != '\0'; from++)
        if (*from == '$')
            fputs(mode == POLICY_MODE_ENFORCE ? "error" : "warning", out);
        else
            putc(*from, out);
    assert_int_equal(fclose(out), 0);
    return to;
}

static void expect_row(const struct row *row, enum policy_mode mode)
{
    struct world *w = world_new(mode, row->ini);
    struct checks checks;
    char *expected = expand(row->findings, mode), *found, *fixes;

    if (row->texts[0] != NULL)
        w->dns.rpt.count = 0;
    for (unsigned i = 0; i < 3 && row->texts[i] != NULL; i++)
        add_text(&w->dns.rpt, row->texts[i], strlen(row->texts[i]));
    if (row->spoil != NULL)
        row->spoil(w);
    serve(w);
    checks_run(&checks, &w->facts);
    bool said = describe(&checks.findings, row->says, &found, &fixes);
    assert_string_equal(found, expected);
    assert_string_equal(fixes, row->fixes == NULL ? "" : row->fixes);
    assert_true(said);
    free(expected);
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

/* The MX records and their hosts in DNS. */

#define UNUSED(pattern) "warning PATTERN_UNUSED " pattern "\n"
#define WIDE(pattern) "info PATTERN_WIDE " pattern "\n"
#define UNCOVERED(name) "$ MX_UNCOVERED " name "\n"
#define FAILED(name) "untested DNS_FAILED " name "\n"
#define NOADDR(name) "error MX_NOADDR " name "\n"
#define NONE "warning MX_NONE " DOMAIN "\n"

SPOIL(mx_status_timeout, w->dns.mx_status = DNS_TIMEOUT)
SPOIL(mx_status_servfail, w->dns.mx_status = DNS_SERVFAIL)
SPOIL(mx_status_malformed, w->dns.mx_status = DNS_MALFORMED)
SPOIL(no_domain, w->dns.mx_status = DNS_NXDOMAIN; w->dns.mx_count = 0)
SPOIL(implicit_mx, w->dns.mx_status = DNS_NODATA; w->dns.mx_count = 0; add_mx(w, DOMAIN))
SPOIL(implicit_mx_listed, implicit_mx(w); list_only(w, DOMAIN))
SPOIL(null_mx, w->dns.mx_count = 0; add_mx(w, ""); w->dns.mx[0].addresses.count = 0)
SPOIL(null_mx_among_others, add_mx(w, ""); w->dns.mx[2].addresses.count = 0)
SPOIL(uncovered, add_mx(w, "backup.example.net"))
SPOIL(other_case, set_name(&w->dns.mx[0], "MX1.Example.COM"))
SPOIL(wildcard, list_only(w, "*.example.com"))
SPOIL(wildcard_two_labels, list(w, "*.example.com"); add_mx(w, "a.b.Example.com"))
SPOIL(wildcard_no_label, list(w, "*.example.com"); add_mx(w, DOMAIN))
SPOIL(wildcard_of_a_part, list(w, "*.mple.com"))
SPOIL(wildcard_wide, list(w, "*.example.net"); add_mx(w, "backup.example.net"))
SPOIL(wildcard_of_a_longer_name, list(w, "*.anexample.com"); add_mx(w, "a.anexample.com"))
SPOIL(unused, list(w, "mx3.example.com"))
SPOIL(uncovered_by_many, uncovered(w); for (unsigned i = 0; i < 36; i++) list(w, MX1))
SPOIL(mode_none, w->policy.policy.mode = POLICY_MODE_NONE; add_mx(w, "backup.example.net");
      list(w, "mx3.example.com"))
SPOIL(no_policy_known, w->dns.host = (struct dns_addresses){.v4 = DNS_NODATA, .v6 = DNS_NODATA};
      add_mx(w, "backup.example.net"); w->smtp[0][0].connection.peer.chain_ok = false)
SPOIL(alias, w->dns.mx[0].addresses.alias = true)
SPOIL(ip_address, add_mx(w, "192.0.2.99"); w->dns.mx[2].is_address = true)
SPOIL(no_address,
      w->dns.mx[0].addresses = (struct dns_addresses){.v4 = DNS_NODATA, .v6 = DNS_NODATA})
SPOIL(a_timeout, no_address(w); w->dns.mx[0].addresses.v4 = DNS_TIMEOUT)
SPOIL(aaaa_servfail, w->dns.mx[0].addresses.v6 = DNS_SERVFAIL)
SPOIL(hostile_name, add_mx(w, HOSTILE))

static void wildcard_and_mx(struct world *w, unsigned count)
{
    char name[32];

    list_only(w, "*.example.com");
    for (unsigned i = 2; i < count; i++) {
        snprintf(name, sizeof name, "mx%u.example.com", i + 1);
        add_mx(w, name);
    }
}

SPOIL(ten_mx, wildcard_and_mx(w, 10))
SPOIL(eleven_mx, wildcard_and_mx(w, 11); list(w, "mx11.example.com"))

static const struct row dns_rows[] = {
    {.name = "clean"},
    {"clean_and_in_the_INI", .ini = true},
    {"DNS_FAILED_MX_timeout", mx_status_timeout, .findings = FAILED(DOMAIN), .says = "MX record: "},
    {"DNS_FAILED_MX_servfail", mx_status_servfail, .findings = FAILED(DOMAIN)},
    {"DNS_FAILED_MX_malformed", mx_status_malformed, .findings = FAILED(DOMAIN)},
    {"MX_NONE_no_domain", no_domain, .findings = NONE, .says = "NXDOMAIN"},
    {"MX_NONE_implicit", implicit_mx, .findings = NONE UNUSED(MX1) UNUSED(MX2) UNCOVERED(DOMAIN),
     .fixes = "mx = " DOMAIN "\n", .says = "deliver to the host " DOMAIN " itself"},
    {"MX_NONE_implicit_and_listed", implicit_mx_listed, .findings = NONE},
    {"NULL_MX", null_mx, .findings = "info NULL_MX " DOMAIN "\n"},
    {"NULL_MX_among_others_means_nothing", .spoil = null_mx_among_others},
    {"MX_UNCOVERED", uncovered, .findings = UNCOVERED("backup.example.net"),
     .fixes = "mx = backup.example.net\n", .says = "the policy (" MX1 ", " MX2 "):"},
    {"MX_UNCOVERED_case_does_not_count", .spoil = other_case},
    {"MX_UNCOVERED_wildcard_covers", .spoil = wildcard},
    {"MX_UNCOVERED_wildcard_and_two_labels", wildcard_two_labels,
     .findings = UNCOVERED("a.b.Example.com"), .fixes = "mx = a.b.Example.com\n",
     .says = "; *.example.com covers exactly one label"},
    {"MX_UNCOVERED_wildcard_and_no_label", wildcard_no_label, .findings = UNCOVERED(DOMAIN),
     .fixes = "mx = " DOMAIN "\n", .says = "; *.example.com covers exactly one label"},
    {"MX_UNCOVERED_long_list", uncovered_by_many, .findings = UNCOVERED("backup.example.net"),
     .fixes = "mx = backup.example.net\n", .says = "senders do not deliver"},
    {"PATTERN_UNUSED", unused, .findings = UNUSED("mx3.example.com")},
    {"PATTERN_UNUSED_whole_labels_only", wildcard_of_a_part,
     .findings = UNUSED("*.mple.com") WIDE("*.mple.com")},
    {"PATTERN_WIDE", wildcard_wide, .findings = WIDE("*.example.net")},
    {"PATTERN_WIDE_whole_labels_only", wildcard_of_a_longer_name,
     .findings = WIDE("*.anexample.com")},
    {"MODE_NONE_wants_no_mx", mode_none, .findings = "warning MODE_NONE mta-sts.example.com\n"},
    {"no_policy_no_coverage_and_warnings_only", no_policy_known,
     .findings = "error HOST_NOADDR mta-sts.example.com\nwarning MX_CERT_CHAIN " A1 "\n"},
    {"without_a_served_policy_that_of_the_INI_counts", no_policy_known, .ini = true,
     .findings = "error HOST_NOADDR mta-sts.example.com\n$ MX_CERT_CHAIN " A1
                 "\n" UNCOVERED("backup.example.net"),
     .fixes = "mx = backup.example.net\n"},
    {"MX_CNAME", alias, .findings = "warning MX_CNAME " MX1 "\n"},
    {"MX_IP", ip_address, .findings = "error MX_IP 192.0.2.99\n"},
    {"MX_NOADDR", no_address, .findings = NOADDR(MX1)},
    {"MX_NOADDR_not_when_A_is_not_known", a_timeout, .findings = FAILED(MX1), .says = "A record: "},
    {"DNS_FAILED_AAAA", aaaa_servfail, .findings = FAILED(MX1), .says = "AAAA record: "},
    {"MX_MANY", eleven_mx, .findings = "warning MX_MANY " DOMAIN "\n",
     .says = "11 MX records: only the first 10"},
    {"MX_MANY_ten_are_fine", .spoil = ten_mx},
    {"hostile_MX_name", hostile_name, .findings = UNCOVERED(HOSTILE)},
};

/* The MX hosts at their first addresses, most of them the first host. */

#define AT_1(severity, code) severity " " code " " A1 "\n"
#define AT_2(severity, code) severity " " code " " A2 "\n"
#define PEER w->smtp[0][0].connection.peer

SPOIL(not_wanted, w->facts.smtp_wanted = false; memset(w->facts.mx, 0, sizeof w->facts.mx))
SPOIL(no_facts, w->facts.mx[0][0] = NULL)
SPOIL(not_done, w->smtp[0][0].connection.done = false)
SPOIL(refused, set_fault(&w->smtp[0][0], STAGE_NOTHING, "connection " HOSTILE))
SPOIL(both_refused, refused(w); set_fault(&w->smtp[1][0], STAGE_NOTHING, "refused"))
SPOIL(silent, set_fault(&w->smtp[0][0], STAGE_NOTHING, "timed out");
      w->smtp[0][0].connection.timed_out = true)
SPOIL(all_silent, silent(w); set_fault(&w->smtp[1][0], STAGE_NOTHING, "timed out");
      w->smtp[1][0].connection.timed_out = true)
SPOIL(all_silent_not_wanted, all_silent(w); w->facts.smtp_wanted = false)
SPOIL(all_silent_but_the_second_address, all_silent(w);
      add_address(&w->dns.mx[1].addresses, "192.0.2.111:0"))
SPOIL(one_silent_one_refused, both_refused(w); silent(w))
SPOIL(one_silent_one_lost, silent(w); w->smtp[1][0].connection.done = false)
SPOIL(bad_greeting, set_fault(&w->smtp[0][0], STAGE_CONNECTED, "its greeting refuses");
      w->smtp[0][0].bad_dialogue = true; w->smtp[0][0].offers_starttls = false)
SPOIL(no_greeting, set_fault(&w->smtp[0][0], STAGE_CONNECTED, "timed out");
      w->smtp[0][0].connection.timed_out = true; w->smtp[0][0].offers_starttls = false)
SPOIL(silent_starttls, set_fault(&w->smtp[0][0], STAGE_GREETED, "timed out");
      w->smtp[0][0].connection.timed_out = true)
SPOIL(no_starttls, set_fault(&w->smtp[0][0], STAGE_GREETED, "");
      w->smtp[0][0].offers_starttls = false)
SPOIL(starttls_refused, set_fault(&w->smtp[0][0], STAGE_GREETED, "refuses: " HOSTILE);
      w->smtp[0][0].bad_dialogue = true)
SPOIL(glued, w->smtp[0][0].glued = true)
SPOIL(no_handshake, set_fault(&w->smtp[0][0], STAGE_STARTTLS, "handshake_failure"))
SPOIL(silent_handshake, set_fault(&w->smtp[0][0], STAGE_STARTTLS, "timed out");
      w->smtp[0][0].connection.timed_out = true)
SPOIL(old_tls, set_fault(&w->smtp[0][0], STAGE_STARTTLS, "protocol_version");
      w->smtp[0][0].connection.refused_version = true)
SPOIL(glued_and_no_handshake, glued(w); no_handshake(w))
SPOIL(self_signed, PEER.chain_ok = false; PEER.self_signed = true)
SPOIL(no_intermediate, PEER.chain_ok = false; PEER.count = 1)
SPOIL(other_name, PEER.name_ok = false; memcpy(PEER.names, HOSTILE, sizeof HOSTILE))
SPOIL(expired, PEER.date_ok = false; PEER.not_after = NOW - 1)
SPOIL(not_yet, PEER.date_ok = false; PEER.not_before = NOW + DAY)
SPOIL(soon, PEER.not_after = NOW + 14 * DAY - 1)
SPOIL(no_name_for_a_command, list_only(w, "*.example.com");
      set_name(&w->dns.mx[0], "a`reboot`.example.com"); PEER.name_ok = PEER.date_ok = false;
      PEER.not_after = NOW - 1)

static const struct row smtp_rows[] = {
    {"not_wanted", .spoil = not_wanted},
    {"CHECK_FAILED_no_facts", no_facts, .findings = AT_1("untested", "CHECK_FAILED")},
    {"CHECK_FAILED_not_done", not_done, .findings = AT_1("untested", "CHECK_FAILED")},
    {"MX_UNREACHABLE_refused", refused, .findings = AT_1("warning", "MX_UNREACHABLE"),
     .says = "connection " ESCAPED},
    {"MX_UNREACHABLE_one_is_silent", silent, .findings = AT_1("warning", "MX_UNREACHABLE")},
    {"MX_UNREACHABLE_all_refuse", both_refused,
     .findings = AT_1("warning", "MX_UNREACHABLE") AT_2("warning", "MX_UNREACHABLE")},
    {"MX_UNREACHABLE_one_is_silent_one_refuses", one_silent_one_refused,
     .findings = AT_1("warning", "MX_UNREACHABLE") AT_2("warning", "MX_UNREACHABLE")},
    {"MX_UNREACHABLE_one_is_silent_one_is_not_known", one_silent_one_lost,
     .findings = AT_1("warning", "MX_UNREACHABLE") AT_2("untested", "CHECK_FAILED")},
    {"MX_UNREACHABLE_one_address_answers", all_silent_but_the_second_address,
     .findings = AT_1("warning", "MX_UNREACHABLE") AT_2("warning", "MX_UNREACHABLE")},
    {"PORT25_BLOCKED", all_silent, .findings = "untested PORT25_BLOCKED " DOMAIN "\n"},
    {"PORT25_BLOCKED_not_without_SMTP", .spoil = all_silent_not_wanted},
    {"MX_SMTP_greeting", bad_greeting, .findings = AT_1("warning", "MX_SMTP"),
     .says = "its greeting refuses"},
    {"MX_SMTP_no_greeting", no_greeting, .findings = AT_1("warning", "MX_SMTP"),
     .says = "timed out: senders wait no longer"},
    {"MX_SMTP_no_answer_to_STARTTLS", silent_starttls, .findings = AT_1("warning", "MX_SMTP")},
    {"MX_NO_STARTTLS", no_starttls, .findings = AT_1("$", "MX_NO_STARTTLS"),
     .fixes = "postconf -e smtpd_tls_security_level=may\n"},
    {"MX_NO_STARTTLS_refused", starttls_refused, .findings = AT_1("$", "MX_NO_STARTTLS"),
     .fixes = "postconf -e smtpd_tls_security_level=may\n", .says = "refuses: " ESCAPED},
    {"MX_STARTTLS_DATA", glued, .findings = AT_1("$", "MX_STARTTLS_DATA")},
    {"MX_STARTTLS_DATA_and_no_handshake", glued_and_no_handshake,
     .findings = AT_1("$", "MX_STARTTLS_DATA") AT_1("$", "MX_TLS")},
    {"MX_TLS", no_handshake, .findings = AT_1("$", "MX_TLS"), .says = "handshake_failure"},
    {"MX_TLS_time", silent_handshake, .findings = AT_1("$", "MX_TLS"), .says = "timed out"},
    {"MX_TLS_OLD", old_tls, .findings = AT_1("$", "MX_TLS_OLD"), .says = "TLS 1.2 or 1.3"},
    {"MX_CERT_CHAIN_self_signed", self_signed, .findings = AT_1("$", "MX_CERT_CHAIN")},
    {"MX_CERT_CHAIN_alone", no_intermediate, .findings = AT_1("$", "MX_CERT_CHAIN"),
     .says = "fullchain.pem"},
    {"MX_CERT_NAME", other_name, .findings = AT_1("$", "MX_CERT_NAME"),
     .fixes = "certbot certonly --standalone -d " MX1 "\n", .says = "are " ESCAPED},
    {"MX_CERT_DATE_expired", expired, .findings = AT_1("$", "MX_CERT_DATE"),
     .fixes = "certbot renew --cert-name " MX1 "\n", .says = "expired on 2023-11-14"},
    {"MX_CERT_DATE_not_yet", not_yet, .findings = AT_1("$", "MX_CERT_DATE"),
     .fixes = "certbot renew --cert-name " MX1 "\n"},
    {"MX_CERT_SOON", soon, .findings = AT_1("warning", "MX_CERT_SOON"),
     .fixes = "certbot renew --cert-name " MX1 "\n", .says = "13 days"},
    {"no_command_has_a_name_that_a_shell_would_run", no_name_for_a_command,
     .findings = "$ MX_CERT_NAME a`reboot`.example.com [192.0.2.10]\n"
                 "$ MX_CERT_DATE a`reboot`.example.com [192.0.2.10]\n"},
};

/* DANE. */

#define TLSA "info TLSA " MX1 "\n"
#define MISMATCH "warning TLSA_MISMATCH " A1 "\n"

/* A record whose data are `len` times this byte. */
static void add_tlsa(struct world *w, uint8_t usage, uint8_t selector, uint8_t matching,
                     uint8_t byte)
{
    struct dns_tlsa *tlsa = &w->dns.mx[0].tlsa;
    struct dns_tlsa_record *record = &tlsa->items[tlsa->count++];

    *record = (struct dns_tlsa_record){usage, selector, matching, matching == 2 ? 64 : 32, {0}};
    memset(record->data, byte, record->len);
    tlsa->status = DNS_FOUND;
    tlsa->authenticated = true;
}

SPOIL(tlsa_311, add_tlsa(w, 3, 1, 1, 0xd0))
SPOIL(tlsa_301, add_tlsa(w, 3, 0, 1, 0xc0))
SPOIL(tlsa_211, add_tlsa(w, 2, 1, 1, 0xd1))
SPOIL(tlsa_201, add_tlsa(w, 2, 0, 1, 0xc1))
SPOIL(tlsa_no_ad, add_tlsa(w, 3, 1, 1, 0xd0); w->dns.mx[0].tlsa.authenticated = false)
SPOIL(tlsa_other_key, add_tlsa(w, 3, 1, 1, 0xee))
SPOIL(tlsa_other_selector, add_tlsa(w, 3, 0, 1, 0xd0))
SPOIL(tlsa_of_the_issuer, add_tlsa(w, 3, 1, 1, 0xd1))
SPOIL(tlsa_short, add_tlsa(w, 3, 1, 1, 0xd0); w->dns.mx[0].tlsa.items[0].len = 31)
SPOIL(tlsa_next_key_too, add_tlsa(w, 3, 1, 1, 0xee); add_tlsa(w, 3, 1, 1, 0xd0))
SPOIL(tlsa_full, for (unsigned i = 0; i < FACTS_TLSA_MAX; i++) add_tlsa(w, 3, 1, 1, 0xee))
SPOIL(tlsa_312, add_tlsa(w, 3, 1, 2, 0xee))
SPOIL(tlsa_310, add_tlsa(w, 3, 1, 0, 0xee))
SPOIL(tlsa_111, add_tlsa(w, 1, 1, 1, 0xee))
SPOIL(tlsa_312_and_other_key, tlsa_312(w); tlsa_other_key(w))
SPOIL(tlsa_servfail, w->dns.mx[0].tlsa.status = DNS_SERVFAIL)

static const struct row tlsa_rows[] = {
    {"TLSA_3_1_1", tlsa_311, .findings = TLSA},
    {"TLSA_3_0_1", tlsa_301, .findings = TLSA},
    {"TLSA_2_1_1", tlsa_211, .findings = TLSA},
    {"TLSA_2_0_1", tlsa_201, .findings = TLSA},
    {"TLSA_NO_AD", tlsa_no_ad, .findings = TLSA "warning TLSA_NO_AD " MX1 "\n"},
    {"TLSA_MISMATCH", tlsa_other_key, .findings = TLSA MISMATCH, .says = "_25._tcp." MX1},
    {"TLSA_MISMATCH_selector", tlsa_other_selector, .findings = TLSA MISMATCH},
    {"TLSA_MISMATCH_usage_3_is_the_leaf", tlsa_of_the_issuer, .findings = TLSA MISMATCH},
    {"TLSA_MISMATCH_length", tlsa_short, .findings = TLSA MISMATCH},
    {"TLSA_MISMATCH_as_many_as_are_kept", tlsa_full, .findings = TLSA MISMATCH,
     .says = "4 TLSA records"},
    {"TLSA_MISMATCH_not_when_one_fits", tlsa_next_key_too, .findings = TLSA},
    {"TLSA_MISMATCH_not_of_SHA_512", tlsa_312, .findings = TLSA},
    {"TLSA_MISMATCH_not_of_whole_keys", tlsa_310, .findings = TLSA},
    {"TLSA_MISMATCH_not_of_usages_without_meaning_for_SMTP", tlsa_111, .findings = TLSA},
    {"TLSA_MISMATCH_not_where_one_could_not_be_compared", tlsa_312_and_other_key, .findings = TLSA},
    {"DNS_FAILED_TLSA", tlsa_servfail, .findings = FAILED("_25._tcp." MX1)},
};

/* TLS-RPT. */

#define RUA "mailto:tls@reports.example.net"
#define V "v=TLSRPTv1; "
#define FIX RPT ". 3600 IN TXT \"v=TLSRPTv1; rua=mailto:tls-reports@example.com\"\n"
#define FIX_INI RPT ". 3600 IN TXT \"v=TLSRPTv1; rua=" RUA "\"\n"
#define SYNTAX "error RPT_SYNTAX " RPT "\n"
#define SYNTAX_W "warning RPT_SYNTAX " RPT "\n"
#define BAD_RUA "error RPT_RUA " RPT "\n"
#define MISSING "warning RPT_MISSING " RPT "\n"
#define EXPECTED "warning RPT_RUA_EXPECTED " RPT "\n"
#define MANY "info RPT_RUA_MANY " RPT "\n"
#define OWN "info RPT_RUA_SAME_DOMAIN " RPT "\n"
#define UNUSABLE(host) "warning RPT_HTTPS " host ":443\n"

SPOIL(no_rpt, w->dns.rpt = (struct dns_texts){.status = DNS_NXDOMAIN})
SPOIL(rpt_timeout, w->dns.rpt.status = DNS_TIMEOUT)
SPOIL(rpt_misnamed, no_rpt(w); set_text(&w->dns.rpt_misnamed, V "rua=" RUA))
SPOIL(rpt_nul, w->dns.rpt.count = 0; add_text(&w->dns.rpt, V "rua=mailto:a@b.c\0d", 30))
SPOIL(ini_without_rua, w->policy.source.rua.count = 0)
SPOIL(ini_of_two, w->rua[1].text = "https://r.example.net/"; w->policy.source.rua.count = 2)

static void rpt_more_than_is_kept(struct world *w)
{
    set_text(&w->dns.rpt, V "rua=" RUA);
    for (unsigned i = 1; i < FACTS_TEXTS_MAX; i++)
        add_text(&w->dns.rpt, "x", 1);
    w->dns.rpt.count += 4;
}

static void add_endpoint(struct world *w, const char *host)
{
    struct dns_endpoint *endpoint = &w->dns.endpoints[w->dns.endpoint_count];

    set_text(&w->dns.rpt, V "rua=https://reports.example.net/in");
    snprintf(endpoint->host, sizeof endpoint->host, "%s", host);
    endpoint->port = 443;
    add_address(&endpoint->addresses, "192.0.2.77:0");
    w->endpoint.connection = (struct connection_facts){.done = true, .stage = STAGE_TLS};
    set_peer(&w->endpoint.connection.peer);
    w->facts.endpoints[w->dns.endpoint_count++] = &w->endpoint;
}

#define ENDPOINT add_endpoint(w, "reports.example.net")
SPOIL(endpoint_fine, ENDPOINT)
SPOIL(endpoint_no_address, ENDPOINT; w->dns.endpoints[0].addresses.count = 0)
SPOIL(endpoint_timeout, ENDPOINT; w->dns.endpoints[0].addresses.v4 = DNS_TIMEOUT)
SPOIL(endpoint_aaaa, ENDPOINT; w->dns.endpoints[0].addresses.v6 = DNS_MALFORMED)
SPOIL(endpoint_lost, ENDPOINT; w->endpoint.connection.done = false)
SPOIL(endpoint_no_facts, ENDPOINT; w->facts.endpoints[0] = NULL)
SPOIL(endpoint_refuses, ENDPOINT; w->endpoint.connection.stage = STAGE_NOTHING;
      memcpy(w->endpoint.connection.fault, HOSTILE, sizeof HOSTILE))
SPOIL(endpoint_no_tls, ENDPOINT; w->endpoint.connection.stage = STAGE_CONNECTED)
SPOIL(endpoint_chain, ENDPOINT; w->endpoint.connection.peer.chain_ok = false)
SPOIL(endpoint_name, ENDPOINT; w->endpoint.connection.peer.name_ok = false)
SPOIL(endpoint_date, ENDPOINT; w->endpoint.connection.peer.date_ok = false)

static const struct row report_rows[] = {
    {"RPT_MISSING", no_rpt, .findings = MISSING, .fixes = FIX},
    {"RPT_MISSING_INI", no_rpt, .ini = true, .findings = MISSING, .fixes = FIX_INI},
    {"RPT_MISSING_only_others", .texts = {"x"}, .findings = MISSING, .fixes = FIX},
    {"TXT_WRONG_NAME_misnamed", rpt_misnamed,
     .findings = MISSING "warning TXT_WRONG_NAME _smtp-tlsrpt.example.com\n", .fixes = FIX},
    {"TXT_WRONG_NAME_misspelt", .texts = {"v=TSLRPTv1; rua=" RUA},
     .findings = MISSING "warning TXT_WRONG_NAME " RPT "\n", .fixes = FIX},
    {"DNS_FAILED_TXT", rpt_timeout, .findings = FAILED(RPT), .says = "TXT record: "},
    {"RPT_MULTIPLE", .texts = {V "rua=" RUA, "x", V "rua=" RUA},
     .findings = "error RPT_MULTIPLE " RPT "\n", .fixes = FIX, .says = "2 records"},
    {"RPT_beside_others_is_fine", .spoil = rpt_more_than_is_kept},
    {"RPT_SYNTAX", .texts = {"v=TLSRPTv1 rua=" RUA}, .findings = SYNTAX, .fixes = FIX},
    {"RPT_SYNTAX_rua_again", .texts = {V "rua=" RUA "; rua=" RUA}, .findings = SYNTAX,
     .fixes = FIX},
    {"RPT_SYNTAX_extension", .texts = {V "rua=" RUA "; a=b"}, .findings = SYNTAX_W},
    {"RPT_SYNTAX_blank_at_the_comma", .texts = {V "rua=" RUA ", mailto:a@b.example"}, .ini = false,
     .findings = SYNTAX_W MANY, .says = "2 report addresses"},
    {"RPT_SYNTAX_hostile", .texts = {V "rua=" RUA "; " HOSTILE}, .findings = SYNTAX, .fixes = FIX},
    {"RPT_RUA_missing", .texts = {"v=TLSRPTv1;"}, .findings = BAD_RUA, .fixes = FIX},
    {"RPT_RUA_scheme", .texts = {V "rua=tls@reports.example.net"}, .findings = BAD_RUA,
     .fixes = FIX, .says = "character 17"},
    {"RPT_RUA_hostile", .texts = {V "rua=mailto:" HOSTILE}, .findings = BAD_RUA, .fixes = FIX},
    {"RPT_RUA_NUL", rpt_nul, .findings = BAD_RUA, .fixes = FIX},
    {"RPT_RUA_INI", .texts = {V "rua=tls@reports.example.net"}, .ini = true, .findings = BAD_RUA,
     .fixes = FIX_INI},
    {"RPT_RUA_MANY", .texts = {V "rua=" RUA ",https://r.example.net/"}, .findings = MANY},
    {"RPT_RUA_SAME_DOMAIN", .texts = {V "rua=MAILTO:tls@Example.COM"}, .findings = SYNTAX_W OWN},
    {"RPT_RUA_SAME_DOMAIN_second_of_two", .texts = {V "rua=" RUA ",mailto:tls@example.com"},
     .findings = OWN MANY},
    {"RPT_RUA_SAME_DOMAIN_header_fields", .texts = {V "rua=mailto:tls@example.com?subject"},
     .findings = SYNTAX_W OWN},
    {"RPT_RUA_SAME_DOMAIN_another", .texts = {V "rua=mailto:tls@example.com.example.net"}},
    {"RPT_RUA_EXPECTED", .texts = {V "rua=mailto:a@reports.example.net"}, .ini = true,
     .findings = EXPECTED, .fixes = FIX_INI,
     .says = "go to mailto:a@reports.example.net, the INI says " RUA},
    {"RPT_RUA_EXPECTED_two", ini_of_two, .texts = {V "rua=" RUA ",https://r.example.net/"},
     .ini = true, .findings = MANY},
    {"RPT_RUA_EXPECTED_one_of_two", ini_of_two, .ini = true, .findings = EXPECTED,
     .fixes = RPT ". 3600 IN TXT \"v=TLSRPTv1; rua=" RUA ",https://r.example.net/\"\n"},
    {"RPT_RUA_EXPECTED_none", ini_without_rua, .texts = {V "rua=mailto:a@b.example"}, .ini = true},
    {"RPT_RUA_EXPECTED_behind_a_field_that_ends_in_rua", .texts = {V "xrua=1; rua=" RUA},
     .ini = true, .findings = SYNTAX_W},
    {"RPT_HTTPS_fine", .spoil = endpoint_fine},
    {"RPT_HTTPS_no_address", endpoint_no_address, .findings = UNUSABLE("reports.example.net"),
     .says = "no address"},
    {"DNS_FAILED_endpoint_A", endpoint_timeout, .findings = FAILED("reports.example.net:443")},
    {"DNS_FAILED_endpoint_AAAA", endpoint_aaaa, .findings = FAILED("reports.example.net:443")},
    {"RPT_HTTPS_lost", endpoint_lost, .findings = UNUSABLE("reports.example.net")},
    {"RPT_HTTPS_no_facts", endpoint_no_facts, .findings = UNUSABLE("reports.example.net")},
    {"RPT_HTTPS_refused", endpoint_refuses, .findings = UNUSABLE("reports.example.net"),
     .says = "there: " ESCAPED},
    {"RPT_HTTPS_no_TLS", endpoint_no_tls, .findings = UNUSABLE("reports.example.net")},
    {"RPT_HTTPS_chain", endpoint_chain, .findings = UNUSABLE("reports.example.net")},
    {"RPT_HTTPS_name", endpoint_name, .findings = UNUSABLE("reports.example.net")},
    {"RPT_HTTPS_date", endpoint_date, .findings = UNUSABLE("reports.example.net"),
     .says = "certificate is not valid"},
};

/* Everything that others choose, hostile at once. */
static void make_hostile(struct world *w)
{
    add_mx(w, HOSTILE "\nFORGED.example.net");
    other_name(w);
    set_fault(&w->smtp[1][0], STAGE_NOTHING, HOSTILE);
    add_endpoint(w, HOSTILE "\nFORGED.example.net");
    w->dns.endpoints[0].addresses.count = 0;
    set_text(&w->dns.sts, "v=STSv1; id=" HOSTILE);
    set_text(&w->dns.rpt, V "rua=https://" HOSTILE);
    memcpy(w->host.type, HOSTILE, sizeof HOSTILE);
    memcpy(w->host.connection.tls, "\x1b[2J", 5);
}

/* What output.c prints of the findings. */
static char *print(const struct checks *checks, bool json)
{
    struct output output = {.json = json};
    int file = memfd_create("stdout", 0), before = dup(STDOUT_FILENO);
    char *text = calloc(1, 65536);

    assert_true(file >= 0 && before >= 0);
    assert_non_null(text);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    output_begin(&output);
    output_domain(&output, checks);
    output_end(&output);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    assert_true(pread(file, text, 65535, 0) > 0);
    close(file);
    return text;
}

static void expect_safe_output(bool json)
{
    struct world *w = world_new(POLICY_MODE_ENFORCE, true);
    struct checks checks;

    make_hostile(w);
    serve(w);
    checks_run(&checks, &w->facts);
    char *text = print(&checks, json);
    for (const char *p = text; *p != '\0'; p++)
        if (*p != '\n')
            assert_in_range((unsigned char)*p, 0x20, 0x7e);
    assert_null(strstr(text, "\nFORGED"));
    free(text);
    checks_free(&checks);
    free(w);
}

static void test_no_hostile_byte_reaches_the_terminal(void **state)
{
    (void)state;
    expect_safe_output(false);
}

static void test_no_hostile_byte_reaches_the_json(void **state)
{
    (void)state;
    expect_safe_output(true);
}

/* The error stands before all others, in both forms, and counts. */
static void test_findings_that_are_missing_are_an_error(void **state)
{
    struct world *w = world_new(POLICY_MODE_ENFORCE, true);
    struct checks checks;

    (void)state;
    serve(w);
    checks_run(&checks, &w->facts);
    checks.findings.out_of_memory = true;
    char *text = print(&checks, false), *json = print(&checks, true);
    assert_non_null(strstr(text, "NO_MEMORY         mta-sts-check: out of memory; findings"));
    assert_non_null(strstr(text, "1 error, "));
    assert_non_null(
        strstr(json, "\"findings\":[\n  {\"severity\":\"error\",\"code\":\"NO_MEMORY\""));
    assert_non_null(strstr(json, "\"errors\":1,"));
    free(text);
    free(json);
    checks_free(&checks);
    free(w);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_findings_that_are_missing_are_an_error),
    cmocka_unit_test(test_no_hostile_byte_reaches_the_terminal),
    cmocka_unit_test(test_no_hostile_byte_reaches_the_json),
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct CMUnitTest mx_tests[COUNT(dns_rows) + COUNT(smtp_rows) + COUNT(tlsa_rows) +
                                  COUNT(report_rows) + COUNT(others)];

static size_t add_rows(size_t at, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mx_tests[at + i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = test_row, .initial_state = (void *)&rows[i]};
    return at + count;
}

int main(void)
{
    size_t count = add_rows(0, dns_rows, COUNT(dns_rows));

    if (!tls_init())
        return EXIT_FAILURE;
    count = add_rows(count, smtp_rows, COUNT(smtp_rows));
    count = add_rows(count, tlsa_rows, COUNT(tlsa_rows));
    count = add_rows(count, report_rows, COUNT(report_rows));
    memcpy(mx_tests + count, others, sizeof others);
    int failed = cmocka_run_group_tests(mx_tests, NULL, NULL);
    tls_exit();
    return failed;
}
