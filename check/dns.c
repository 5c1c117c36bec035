/* SPDX-License-Identifier: MIT
 * DNS look-ups: libresolv asks and checks that the answer fits the question; what is in the answer
 * is read here, every length of it hostile.
 */
#include "dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"

#define ANSWER_MAX 65535
#define ALIASES_MAX 8     /* in a row */
#define TIMEOUT_SECONDS 2 /* for each of two attempts */
#define SILENCE_MAX 2     /* questions without an answer before the resolver is given up */
#ifndef RES_TRUSTAD
#define RES_TRUSTAD 0
#endif
#define TYPE_TLSA 52 /* RFC 6698; not every header knows it */

struct dns {
    struct __res_state state;
    unsigned silent;
    unsigned char answer[ANSWER_MAX];
};

/* Takes one record of the type that was asked for; false if its data is not what it must be. */
typedef bool take_record(void *into, const ns_msg *message, const ns_rr *record);

struct question {
    int type;
    take_record *take;
    void *into;
    bool authenticated, alias;
};

/* glibc keeps the address of an IPv6 server apart from the array that is made for IPv4. */
static bool set_resolver(struct __res_state *state, const struct address *resolver)
{
    state->nscount = 1;
    if (resolver->storage.ss_family == AF_INET) {
        memcpy(&state->nsaddr_list[0], &resolver->storage, sizeof state->nsaddr_list[0]);
        return true;
    }
    free(state->_u._ext.nsaddrs[0]);
    state->_u._ext.nsaddrs[0] = NULL;
    struct sockaddr_in6 *server = calloc(1, sizeof *server);
    if (server == NULL)
        return false;
    memcpy(server, &resolver->storage, sizeof *server);
    state->nsaddr_list[0].sin_family = 0;
    state->_u._ext.nsaddrs[0] = server;
    state->_u._ext.nscount = 1;
    return true;
}

static bool dns_open(struct dns *dns, const struct address *resolver)
{
    memset(&dns->state, 0, sizeof dns->state);
    dns->silent = 0;
    if (res_ninit(&dns->state) != 0)
        return false;
    dns->state.retrans = TIMEOUT_SECONDS;
    dns->state.retry = 2;
    dns->state.options |= RES_USE_EDNS0 | RES_TRUSTAD;
    return resolver == NULL || set_resolver(&dns->state, resolver);
}

/* Whether the last answer, which libresolv does not hand on, was an error of the server: SERVFAIL
 * is not the same as silence. */
static bool was_refused(const struct dns *dns)
{
    bool response = (dns->answer[2] & 0x80) != 0;
    unsigned code = dns->answer[3] & 0x0fu;

    return response && (code == ns_r_servfail || code == ns_r_notimpl || code == ns_r_refused);
}

static enum dns_status status_of_failure(struct dns *dns, int error)
{
    switch (dns->state.res_h_errno) {
    case HOST_NOT_FOUND:
        return DNS_NXDOMAIN;
    case NO_DATA:
        return DNS_NODATA;
    default:
        if (was_refused(dns) || (error != ETIMEDOUT && error != ECONNREFUSED)) {
            dns->silent = 0;
            return DNS_SERVFAIL;
        }
        dns->silent++;
        return DNS_TIMEOUT;
    }
}

/* Takes a record if it is about `name`, which follows an alias; false if it is malformed. */
static bool read_record(ns_msg *message, ns_rr *record, struct question *question,
                        char name[NS_MAXDNAME], bool *found, bool *aliased)
{
    bool alias = ns_rr_type(*record) == ns_t_cname;

    const char *owner = ns_rr_name(*record);

    if (!name_equal(owner, strlen(owner), name, strlen(name)) ||
        (!alias && (int)ns_rr_type(*record) != question->type))
        return true;
    if (!alias) {
        *found = true;
        return question->take(question->into, message, record);
    }
    *aliased = question->alias = true;
    return ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), ns_rr_rdata(*record),
                              name, NS_MAXDNAME) >= 0;
}

/* Gives the records of the type to `take`, and leaves the target of the last alias in `name`.
 * Records about another name, which no alias leads to, are none of ours (RFC 5452 section 6). */
static enum dns_status read_answer(const unsigned char *answer, int len, struct question *question,
                                   char name[NS_MAXDNAME])
{
    ns_msg message;
    ns_rr record;
    bool found = false, aliased = false;

    if (ns_initparse(answer, len, &message) != 0)
        return DNS_MALFORMED;
    question->authenticated = ns_msg_getflag(message, ns_f_ad) != 0;
    int count = ns_msg_count(message, ns_s_an);
    for (int i = 0; i < count; i++)
        if (ns_parserr(&message, ns_s_an, i, &record) != 0 ||
            !read_record(&message, &record, question, name, &found, &aliased))
            return DNS_MALFORMED;
    return found ? DNS_FOUND : aliased ? DNS_LOOP : count > 0 ? DNS_MALFORMED : DNS_NODATA;
}

/* The length of an answer that libresolv has received and does not tell of: it has no record. */
static int answer_length(const unsigned char *answer, size_t size)
{
    size_t len = NS_HFIXEDSZ;

    for (int section = ns_s_qd; section < ns_s_max; section++) {
        int skipped = ns_skiprr(answer + len, answer + size, (ns_sect)section,
                                (int)ns_get16(answer + 4 + 2 * section));
        if (skipped < 0)
            return 0;
        len += (size_t)skipped;
    }
    return (int)len;
}

static bool take_nothing(void *into, const ns_msg *message, const ns_rr *record)
{
    (void)into;
    (void)message;
    (void)record;
    return true;
}

/* In an answer that says that there is nothing, whatever records it holds. */
static void look_for_alias(const struct dns *dns, struct question *question, char name[NS_MAXDNAME])
{
    struct question copy = *question;

    copy.take = take_nothing;
    read_answer(dns->answer, answer_length(dns->answer, sizeof dns->answer), &copy, name);
    question->alias = copy.alias;
    question->authenticated = copy.authenticated;
}

static enum dns_status dns_ask(struct dns *dns, const char *first, struct question *question)
{
    char name[NS_MAXDNAME];
    enum dns_status status = DNS_LOOP;

    if (strlen(first) >= sizeof name)
        return DNS_NXDOMAIN;
    memcpy(name, first, strlen(first) + 1);
    /* A resolver follows aliases itself; an authoritative server only inside its own zone. */
    for (unsigned i = 0; i < ALIASES_MAX && status == DNS_LOOP; i++) {
        if (dns->silent >= SILENCE_MAX)
            return DNS_TIMEOUT;
        memset(dns->answer, 0, sizeof dns->answer);
        errno = 0;
        int len =
            res_nquery(&dns->state, name, ns_c_in, question->type, dns->answer, sizeof dns->answer);
        if (len < 0) {
            status = status_of_failure(dns, errno);
            /* The name that is not there may be at the end of an alias. */
            if (status == DNS_NXDOMAIN || status == DNS_NODATA)
                look_for_alias(dns, question, name);
            return status;
        }
        dns->silent = 0;
        status = len > (int)sizeof dns->answer ? DNS_MALFORMED
                                               : read_answer(dns->answer, len, question, name);
    }
    return status;
}

static bool take_text(void *into, const ns_msg *message, const ns_rr *record)
{
    struct dns_texts *texts = into;
    const unsigned char *at = ns_rr_rdata(*record), *end = at + ns_rr_rdlen(*record);
    uint32_t ttl = ns_rr_ttl(*record);
    struct dns_text text = {.len = 0};

    (void)message;
    while (at < end) {
        size_t len = *at++;
        if (len > (size_t)(end - at))
            return false;
        size_t room = sizeof text.bytes - 1 - text.len;
        memcpy(text.bytes + text.len, at, len < room ? len : room);
        text.len += len < room ? len : room;
        at += len;
    }
    if (texts->count == 0 || ttl < texts->ttl)
        texts->ttl = ttl;
    /* With too many, those that look like a record of ours are worth more. */
    if (texts->count < FACTS_TEXTS_MAX)
        texts->items[texts->count] = text;
    else if (strncmp(text.bytes, "v=", 2) == 0 &&
             strncmp(texts->items[FACTS_TEXTS_MAX - 1].bytes, "v=", 2) != 0)
        texts->items[FACTS_TEXTS_MAX - 1] = text;
    texts->count++;
    return true;
}

static bool take_address(void *into, const ns_msg *message, const ns_rr *record)
{
    struct dns_addresses *addresses = into;
    struct address address = {.len = 0};
    bool v6 = ns_rr_type(*record) == ns_t_aaaa;

    (void)message;
    if (ns_rr_rdlen(*record) != (v6 ? 16 : 4))
        return false;
    if (addresses->count == FACTS_ADDRESSES_MAX) {
        addresses->more = true;
        return true;
    }
    if (v6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        memcpy(&in6.sin6_addr, ns_rr_rdata(*record), 16);
        address.len = sizeof in6;
        memcpy(&address.storage, &in6, sizeof in6);
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET};
        memcpy(&in.sin_addr, ns_rr_rdata(*record), 4);
        address.len = sizeof in;
        memcpy(&address.storage, &in, sizeof in);
    }
    addresses->items[addresses->count++] = address;
    return true;
}

/* Keeps the most preferred ones, in order. */
static bool take_mx(void *into, const ns_msg *message, const ns_rr *record)
{
    struct dns_facts *facts = into;
    char name[NS_MAXDNAME];
    unsigned at = 0, kept = facts->mx_count < FACTS_MX_MAX ? facts->mx_count : FACTS_MX_MAX;

    if (ns_rr_rdlen(*record) < 3 ||
        ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), ns_rr_rdata(*record) + 2,
                           name, sizeof name) < 0 ||
        strlen(name) >= FACTS_NAME_SIZE)
        return false;
    unsigned preference = ns_get16(ns_rr_rdata(*record));
    while (at < kept && facts->mx[at].preference <= preference)
        at++;
    facts->mx_count++;
    if (at == FACTS_MX_MAX)
        return true;
    kept -= kept == FACTS_MX_MAX;
    memmove(&facts->mx[at + 1], &facts->mx[at], (kept - at) * sizeof facts->mx[at]);
    facts->mx[at] = (struct dns_mx){.preference = preference};
    memcpy(facts->mx[at].name, name, strlen(name) + 1);
    if (strcmp(name, ".") == 0)
        facts->mx[at].name[0] = '\0';
    return true;
}

static bool take_tlsa(void *into, const ns_msg *message, const ns_rr *record)
{
    struct dns_tlsa *tlsa = into;
    const unsigned char *data = ns_rr_rdata(*record);
    size_t len = ns_rr_rdlen(*record);

    (void)message;
    if (len < 3)
        return false;
    if (tlsa->count++ < FACTS_TLSA_MAX) {
        struct dns_tlsa_record *item = &tlsa->items[tlsa->count - 1];
        *item = (struct dns_tlsa_record){data[0], data[1], data[2], len - 3, {0}};
        memcpy(item->data, data + 3, len - 3 < sizeof item->data ? len - 3 : sizeof item->data);
    }
    return true;
}

static void ask_texts(struct dns *dns, const char *prefix, const char *domain,
                      struct dns_texts *texts)
{
    char name[NS_MAXDNAME];
    struct question question = {.type = ns_t_txt, .take = take_text, .into = texts};

    snprintf(name, sizeof name, "%s%s", prefix, domain);
    texts->status = dns_ask(dns, name, &question);
    texts->authenticated = question.authenticated;
}

static void ask_addresses(struct dns *dns, const char *name, struct dns_addresses *addresses)
{
    struct question v4 = {.type = ns_t_a, .take = take_address, .into = addresses};
    struct question v6 = {.type = ns_t_aaaa, .take = take_address, .into = addresses};

    addresses->v4 = dns_ask(dns, name, &v4);
    addresses->v6 = dns_ask(dns, name, &v6);
    addresses->alias = v4.alias || v6.alias;
}

static void ask_mx_host(struct dns *dns, struct dns_mx *mx)
{
    char name[NS_MAXDNAME];
    struct question question = {.type = TYPE_TLSA, .take = take_tlsa, .into = &mx->tlsa};
    struct in6_addr ignored;

    mx->is_address =
        inet_pton(AF_INET, mx->name, &ignored) == 1 || inet_pton(AF_INET6, mx->name, &ignored) == 1;
    if (mx->name[0] == '\0' || mx->is_address)
        return;
    ask_addresses(dns, mx->name, &mx->addresses);
    snprintf(name, sizeof name, "_25._tcp.%s", mx->name);
    mx->tlsa.status = dns_ask(dns, name, &question);
    mx->tlsa.authenticated = question.authenticated;
}

static void ask_mx(struct dns *dns, const char *domain, struct dns_facts *facts)
{
    struct question question = {.type = ns_t_mx, .take = take_mx, .into = facts};

    facts->mx_status = dns_ask(dns, domain, &question);
    if (facts->mx_status == DNS_NODATA && strlen(domain) < FACTS_NAME_SIZE) {
        /* The domain is its own implicit MX (RFC 5321 section 5.1). */
        facts->mx_count = 1;
        memcpy(facts->mx[0].name, domain, strlen(domain) + 1);
    }
    for (unsigned i = 0; i < facts->mx_count && i < FACTS_MX_MAX; i++)
        ask_mx_host(dns, &facts->mx[i]);
}

/* The host and port of each https URI in the value; whether it is valid is judged elsewhere. */
static void find_endpoints(const char *value, struct dns_facts *facts)
{
    while ((value = strcasestr(value, "https://")) != NULL &&
           facts->endpoint_count < FACTS_ENDPOINTS_MAX) {
        struct dns_endpoint *endpoint = &facts->endpoints[facts->endpoint_count];
        value += strlen("https://");
        size_t whole = strcspn(value, "/?#,;! \t");
        const char *user = memchr(value, '@', whole);
        value = user == NULL ? value : user + 1;
        size_t len = strcspn(value, ":/?#,;! \t");
        unsigned long port = value[len] == ':' ? strtoul(value + len + 1, NULL, 10) : 443;
        if (len == 0 || len >= sizeof endpoint->host || port == 0 || port > UINT16_MAX)
            continue;
        memcpy(endpoint->host, value, len);
        endpoint->host[len] = '\0';
        endpoint->port = (uint16_t)port;
        facts->endpoint_count++;
    }
}

static bool has_version(const struct dns_texts *texts, const char *version)
{
    for (unsigned i = 0; i < texts->count && i < FACTS_TEXTS_MAX; i++)
        if (strncmp(texts->items[i].bytes, version, strlen(version)) == 0)
            return true;
    return false;
}

void dns_collect(const struct address *resolver, const char *domain, struct dns_facts *facts)
{
    static struct dns dns;
    char host[FACTS_NAME_SIZE + sizeof "mta-sts."];

    if (!dns_open(&dns, resolver))
        return;
    snprintf(host, sizeof host, "mta-sts.%s", domain);
    ask_texts(&dns, "_mta-sts.", domain, &facts->sts);
    if (facts->sts.status != DNS_TIMEOUT && !has_version(&facts->sts, "v=STSv1")) {
        ask_texts(&dns, "", domain, &facts->at_domain);
        ask_texts(&dns, "mta-sts.", domain, &facts->at_host);
    }
    ask_texts(&dns, "_smtp._tls.", domain, &facts->rpt);
    if (facts->rpt.status != DNS_TIMEOUT && !has_version(&facts->rpt, "v=TLSRPTv1"))
        ask_texts(&dns, "_smtp-tlsrpt.", domain, &facts->rpt_misnamed);
    ask_addresses(&dns, host, &facts->host);
    ask_mx(&dns, domain, facts);
    for (unsigned i = 0; i < facts->rpt.count && i < FACTS_TEXTS_MAX; i++)
        if (strncmp(facts->rpt.items[i].bytes, "v=TLSRPTv1", strlen("v=TLSRPTv1")) == 0)
            find_endpoints(facts->rpt.items[i].bytes, facts);
    for (unsigned i = 0; i < facts->endpoint_count; i++)
        ask_addresses(&dns, facts->endpoints[i].host, &facts->endpoints[i].addresses);
    res_nclose(&dns.state);
    facts->done = true;
}

void dns_collect_sts(const struct address *resolver, const char *domain, struct dns_texts *texts)
{
    static struct dns dns;

    *texts = (struct dns_texts){.status = DNS_SERVFAIL};
    if (!dns_open(&dns, resolver))
        return;
    ask_texts(&dns, "_mta-sts.", domain, texts);
    res_nclose(&dns.state);
}
