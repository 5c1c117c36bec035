/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as the answers of a resolver, from res_nquery on, through every look-up of a
 * domain to what mta-sts-check prints. An answer is read inside its bytes only, look-ups end, what
 * is kept of them is within its bounds, and no byte of theirs reaches a terminal or breaks the
 * JSON.
 */
#include "fuzz.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include "check/checks.h"
#include "check/dns.h"
#include "check/output.h"
#include "name.h"

#define DOMAIN "example.org"
#define NOW 1795000000 /* 2026-11-18 */
#define DAY 86400
#define BODY                                                                                       \
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: *.example.net\r\n"             \
    "max_age: 1209600\r\n"
/* Five names have a TXT record to ask for; then come A and AAAA of the host, MX, A, AAAA and TLSA
 * of each MX, A and AAAA of each endpoint. Each may be at the end of aliases. */
#define ALIASES_MAX 8
#define TXT_MAX (5 * ALIASES_MAX)
#define QUERIES_MAX (TXT_MAX + ALIASES_MAX * (3 + 3 * FACTS_MX_MAX + 2 * FACTS_ENDPOINTS_MAX))
#define SILENCE_MAX 2

/* An answer in the input: how it comes, two octets of length, its bytes. */
#define KIND_QUESTION                                                                              \
    0x01 /* a header and the question are put before it, as libresolv wants them */
#define KIND_AUTHENTICATED 0x02
#define KIND_SILENCE 0x04
#define KIND_TOO_LONG 0x08 /* more than the buffer holds */

static struct {
    const uint8_t *at, *end; /* of the input */
    unsigned queries, silences;
    int type;     /* of the last question... */
    unsigned row; /* ...and how many of it came in a row */
    unsigned char *copies[2 * QUERIES_MAX];
    size_t copy_count;
} resolver;

int fake_query(res_state state, const char *name, int class, int type, unsigned char *answer,
               int size) FUZZ_WRAPS("res_nquery");
int fake_init(res_state state) FUZZ_WRAPS("__res_ninit");
void fake_close(res_state state) FUZZ_WRAPS("__res_nclose");
int fake_initparse(const unsigned char *bytes, int len, ns_msg *message) FUZZ_WRAPS("ns_initparse");
int real_initparse(const unsigned char *bytes, int len, ns_msg *message) FUZZ_REAL("ns_initparse");

int fake_init(res_state state)
{
    (void)state;
    return 0;
}

void fake_close(res_state state)
{
    free(state->_u._ext.nsaddrs[0]);
}

/* Answers are read from a copy of the size that they have. */
int fake_initparse(const unsigned char *bytes, int len, ns_msg *message)
{
    require(len >= 0 && resolver.copy_count < 2 * QUERIES_MAX);
    unsigned char *copy = (unsigned char *)fuzz_copy(bytes, (size_t)len);
    resolver.copies[resolver.copy_count++] = copy;
    return real_initparse(copy, len, message);
}

/* Header and question of an answer; returns their length. */
static size_t put_question(unsigned char *answer, const char *name, int type, unsigned kind,
                           unsigned count)
{
    unsigned char *at = answer + NS_HFIXEDSZ;
    int len = ns_name_compress(name, at, NS_MAXCDNAME, NULL, NULL);

    if (len < 0)
        return 0;
    memset(answer, 0, NS_HFIXEDSZ);
    answer[2] = 0x81;
    answer[3] = (unsigned char)(0x80 | ((kind & KIND_AUTHENTICATED) != 0 ? 0x20 : 0) | kind >> 4);
    answer[5] = 1;
    answer[7] = (unsigned char)count;
    at += len;
    ns_put16((unsigned)type, at);
    ns_put16(ns_c_in, at + 2);
    return (size_t)(at + 4 - answer);
}

/* The next answer of the input into the buffer; its length, or 0 for silence. */
static size_t next_answer(unsigned char *answer, size_t size, const char *name, int type,
                          unsigned *kind)
{
    size_t rest = (size_t)(resolver.end - resolver.at), len, head = 0;

    if (rest < 4)
        return 0;
    *kind = resolver.at[0];
    len = (size_t)resolver.at[1] << 8 | resolver.at[2];
    resolver.at += 3;
    rest -= 3;
    len = len < rest ? len : rest;
    const uint8_t *bytes = resolver.at;
    resolver.at += len;
    if (len == 0 || (*kind & KIND_SILENCE) != 0 ||
        ((*kind & KIND_QUESTION) == 0 && len < NS_HFIXEDSZ))
        return 0;
    if ((*kind & KIND_QUESTION) != 0) {
        head = put_question(answer, name, type, *kind, *bytes);
        bytes++;
        len--;
    }
    require(head + len <= size);
    memcpy(answer + head, bytes, len);
    return head + len;
}

/* What libresolv makes of an answer by its header (resolv/res_query.c of glibc). */
static int judge_header(res_state state, const unsigned char *answer, size_t len)
{
    unsigned code = answer[3] & 0x0fu;

    state->res_h_errno = NETDB_INTERNAL;
    if (code == ns_r_servfail || code == ns_r_notimpl || code == ns_r_refused) {
        errno = ETIMEDOUT;
        state->res_h_errno = TRY_AGAIN;
        return -1;
    }
    if (code == ns_r_noerror && (answer[6] != 0 || answer[7] != 0))
        return (int)len;
    state->res_h_errno = code == ns_r_nxdomain  ? HOST_NOT_FOUND
                         : code == ns_r_noerror ? NO_DATA
                                                : NO_RECOVERY;
    return -1;
}

int fake_query(res_state state, const char *name, int class, int type, unsigned char *answer,
               int size)
{
    unsigned kind = 0;

    require(class == ns_c_in && size > 0 && strlen(name) < NS_MAXDNAME);
    require(type == ns_t_txt || type == ns_t_a || type == ns_t_aaaa || type == ns_t_mx ||
            type == 52);
    resolver.row = type == resolver.type ? resolver.row + 1 : 1;
    resolver.type = type;
    require(resolver.row <= (type == ns_t_txt ? TXT_MAX : ALIASES_MAX));
    require(++resolver.queries <= QUERIES_MAX);
    require(resolver.silences < SILENCE_MAX);
    size_t len = next_answer(answer, (size_t)size, name, type, &kind);
    if (len == 0) {
        resolver.silences++;
        errno = ETIMEDOUT;
        state->res_h_errno = TRY_AGAIN;
        return -1;
    }
    resolver.silences = 0;
    int result = judge_header(state, answer, len);
    return result > 0 && (kind & KIND_TOO_LONG) != 0 ? size + 1 : result;
}

static void rewind_answers(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < resolver.copy_count; i++)
        free(resolver.copies[i]);
    memset(&resolver, 0, sizeof resolver);
    resolver.at = data;
    resolver.end = data + size;
}

static void check_status(enum dns_status status, bool found)
{
    require(status >= DNS_NOT_ASKED && status <= DNS_LOOP);
    require(!found || status == DNS_FOUND || status == DNS_MALFORMED);
}

static void check_texts(const struct dns_texts *texts)
{
    check_status(texts->status, texts->count > 0);
    require(texts->status != DNS_FOUND || texts->count > 0);
    for (unsigned i = 0; i < texts->count && i < FACTS_TEXTS_MAX; i++) {
        require(texts->items[i].len < FACTS_TEXT_SIZE);
        require(texts->items[i].bytes[texts->items[i].len] == '\0');
    }
}

static void check_addresses(const struct dns_addresses *addresses)
{
    bool any = addresses->count > 0;

    require(addresses->count <= FACTS_ADDRESSES_MAX);
    require(!any || addresses->v4 == DNS_FOUND || addresses->v4 == DNS_MALFORMED ||
            addresses->v6 == DNS_FOUND || addresses->v6 == DNS_MALFORMED);
    for (unsigned i = 0; i < addresses->count; i++) {
        const struct address *address = &addresses->items[i];
        bool v6 = address->storage.ss_family == AF_INET6;
        require(v6 || address->storage.ss_family == AF_INET);
        require(address->len == (v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)));
        require(address_port(address) == 0);
    }
}

static void check_mx(const struct dns_facts *facts)
{
    check_status(facts->mx_status, false);
    for (unsigned i = 0; i < facts->mx_count && i < FACTS_MX_MAX; i++) {
        const struct dns_mx *mx = &facts->mx[i];
        size_t len = strnlen(mx->name, FACTS_NAME_SIZE);
        require(len < FACTS_NAME_SIZE && fuzz_is_printable(mx->name, len));
        require(mx->preference <= UINT16_MAX);
        require(i == 0 || mx->preference >= facts->mx[i - 1].preference);
        check_addresses(&mx->addresses);
        check_status(mx->tlsa.status, mx->tlsa.count > 0);
        require(!mx->is_address || mx->addresses.count == 0);
    }
}

static void check_facts(const struct dns_facts *facts)
{
    require(facts->done);
    check_texts(&facts->sts);
    check_texts(&facts->rpt);
    check_texts(&facts->at_domain);
    check_texts(&facts->at_host);
    check_texts(&facts->rpt_misnamed);
    check_addresses(&facts->host);
    check_mx(facts);
    require(facts->endpoint_count <= FACTS_ENDPOINTS_MAX);
    for (unsigned i = 0; i < facts->endpoint_count; i++) {
        const struct dns_endpoint *endpoint = &facts->endpoints[i];
        size_t len = strnlen(endpoint->host, FACTS_NAME_SIZE);
        require(len > 0 && len < FACTS_NAME_SIZE && endpoint->port != 0);
        check_addresses(&endpoint->addresses);
    }
}

/* Prints to memory, and looks at every byte. */
static void check_output(const struct checks *checks, bool json)
{
    FILE *terminal = stdout;
    char *text = NULL;
    size_t len = 0;
    struct output output = {.json = json};

    stdout = open_memstream(&text, &len);
    require(stdout != NULL);
    output_begin(&output);
    output_domain(&output, checks);
    output_end(&output);
    fclose(stdout);
    stdout = terminal;
    for (size_t i = 0; i < len; i++)
        require(text[i] == '\n' || fuzz_is_printable(text + i, 1));
    if (json) {
        json_t *parsed = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        require(parsed != NULL);
        json_decref(parsed);
    }
    free(text);
}

/* Connections that went well, so that only DNS has a say. */
static void fill_connection(struct connection_facts *connection, enum stage stage)
{
    connection->done = true;
    connection->stage = stage;
    memcpy(connection->tls, "1.3", 4);
    connection->peer = (struct tls_peer){.chain_ok = true,
                                         .name_ok = true,
                                         .date_ok = true,
                                         .not_before = NOW - DAY,
                                         .not_after = NOW + 60 * DAY,
                                         .count = 1};
}

static void check_judgement(const struct dns_facts *dns, const struct config_domain *expected)
{
    static struct fetch_facts fetch = {.status = 200, .type = "text/plain", .body = BODY};
    static struct smtp_facts smtp = {.offers_starttls = true};
    struct domain_facts facts = {.domain = DOMAIN, .dns = dns, .smtp_wanted = true, .now = NOW};
    struct checks checks;

    fetch.body_len = strlen(BODY);
    fill_connection(&fetch.connection, STAGE_ANSWERED);
    fill_connection(&smtp.connection, STAGE_TLS);
    for (size_t i = 0; i < FACTS_ADDRESSES_MAX; i++) {
        facts.host[i] = &fetch;
        for (size_t m = 0; m < FACTS_MX_MAX; m++)
            facts.mx[m][i] = &smtp;
    }
    facts.expected = expected;
    checks_run(&checks, &facts);
    require(!checks.findings.out_of_memory);
    check_output(&checks, false);
    check_output(&checks, true);
    checks_free(&checks);
}

/* The domain as an INI file has it. */
static const struct config_domain *expected_domain(void)
{
    static struct policy_value rua = {"mailto:tls@example.net", 1};
    static struct config_policy policy = {.source = {.rua = {&rua, 1}},
                                          .body = BODY,
                                          .body_len = sizeof BODY - 1,
                                          .id = "0123456789abcdef01234567"};
    static const struct config_domain domain = {
        .name = DOMAIN, .host = "mta-sts." DOMAIN, .policy = &policy};

    return &domain;
}

static void check_answers(const uint8_t *data, size_t size)
{
    struct dns_facts *facts = calloc(1, sizeof *facts);
    struct dns_texts *sts = calloc(1, sizeof *sts);
    struct address server;
    unsigned flags = data[0];

    require(facts != NULL && sts != NULL);
    require(address_parse((flags & 1) != 0 ? "[::1]:53" : "127.0.0.1:53", &server));
    rewind_answers(data + 1, size - 1);
    dns_collect((flags & 2) != 0 ? NULL : &server, DOMAIN, facts);
    check_facts(facts);
    rewind_answers(data + 1, size - 1);
    dns_collect_sts(&server, DOMAIN, sts);
    require(sts->status == facts->sts.status && sts->ttl == facts->sts.ttl);
    require(sts->count == facts->sts.count && sts->authenticated == facts->sts.authenticated);
    require(memcmp(sts->items, facts->sts.items, sizeof sts->items) == 0);
    rewind_answers(data, 0);
    check_judgement(facts, (flags & 4) != 0 ? expected_domain() : NULL);
    free(sts);
    free(facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        check_answers(data, size);
    return 0;
}
