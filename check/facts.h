/* SPDX-License-Identifier: MIT
 * What was seen of a domain: filled in by dns.c, fetch.c and smtp.c, judged by checks*.c. Plain
 * data of a fixed size, so that a child process can leave it in shared memory. Every text in here
 * was chosen by somebody else.
 */
#ifndef CHECK_FACTS_H
#define CHECK_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "address.h"
#include "config.h"
#include "tls.h"

#define FACTS_NAME_SIZE 256   /* a DNS name with its NUL */
#define FACTS_TEXT_SIZE 1024  /* a TXT value; longer ones are cut */
#define FACTS_TEXTS_MAX 32    /* records at a name */
#define FACTS_ADDRESSES_MAX 8 /* of a host */
#define FACTS_MX_MAX 10       /* hosts of a domain */
#define FACTS_ENDPOINTS_MAX 4 /* https report addresses */
#define FACTS_TLSA_MAX 4      /* records of an MX host */
#define FACTS_BODY_MAX 65536  /* octets of a policy, RFC 8461 section 3.3 */
#define FACTS_FAULT_SIZE 96

enum dns_status {
    DNS_NOT_ASKED,
    DNS_FOUND,
    DNS_NODATA,    /* the name is there, the type is not */
    DNS_NXDOMAIN,  /* no such name */
    DNS_SERVFAIL,  /* the server cannot or will not say */
    DNS_TIMEOUT,   /* no answer that fits the question */
    DNS_MALFORMED, /* an answer that is none */
    DNS_LOOP,      /* aliases without end */
};

struct dns_texts {
    enum dns_status status;
    bool authenticated; /* the resolver has validated it (AD) */
    uint32_t ttl;       /* seconds; the least of them */
    unsigned count;     /* may exceed FACTS_TEXTS_MAX: then only the first are kept */
    struct dns_text {
        size_t len;
        char bytes[FACTS_TEXT_SIZE]; /* character-strings joined; NUL behind */
    } items[FACTS_TEXTS_MAX];
};

struct dns_addresses {
    enum dns_status v4, v6;
    bool alias;     /* the name is a CNAME */
    bool more;      /* than could be kept */
    unsigned count; /* kept, ports zero */
    struct address items[FACTS_ADDRESSES_MAX];
};

struct dns_tlsa {
    enum dns_status status;
    bool authenticated;
    unsigned count; /* may exceed FACTS_TLSA_MAX */
    struct dns_tlsa_record {
        uint8_t usage, selector, matching;
        size_t len;
        uint8_t data[64];
    } items[FACTS_TLSA_MAX];
};

struct dns_mx {
    char name[FACTS_NAME_SIZE]; /* no final dot; empty: the null MX (RFC 7505) */
    unsigned preference;
    bool is_address; /* an IP address instead of a name */
    struct dns_addresses addresses;
    struct dns_tlsa tlsa;
};

/* The host of an https report address. */
struct dns_endpoint {
    char host[FACTS_NAME_SIZE];
    uint16_t port;
    struct dns_addresses addresses;
};

struct dns_facts {
    bool done;
    struct dns_texts sts, rpt;           /* where they belong */
    struct dns_texts at_domain, at_host; /* where the first is put by mistake */
    struct dns_texts rpt_misnamed;       /* _smtp-tlsrpt, likewise for the other */
    struct dns_addresses host;           /* mta-sts.DOMAIN */
    enum dns_status mx_status;
    unsigned mx_count;              /* may exceed FACTS_MX_MAX */
    struct dns_mx mx[FACTS_MX_MAX]; /* by preference */
    unsigned endpoint_count;
    struct dns_endpoint endpoints[FACTS_ENDPOINTS_MAX];
};

/* How far a connection came. */
enum stage {
    STAGE_NOTHING,
    STAGE_CONNECTED,
    STAGE_GREETED,  /* SMTP: 220, EHLO accepted */
    STAGE_STARTTLS, /* SMTP: 220 to STARTTLS */
    STAGE_TLS,      /* the handshake is done */
    STAGE_ANSWERED, /* HTTP: a whole answer */
};

struct connection_facts {
    bool done;
    enum stage stage;
    bool timed_out;
    bool no_route;                /* from here to that address, such as IPv6 where there is none */
    bool refused_version;         /* no TLS version in common */
    char fault[FACTS_FAULT_SIZE]; /* why it did not come further */
    char tls[8];                  /* "1.3" */
    struct tls_peer peer;
    int64_t ms; /* from connect to the end */
};

struct fetch_facts {
    struct connection_facts connection;
    int status;
    char type[128], location[256];
    bool malformed; /* not HTTP, or cut short */
    bool too_large;
    size_t body_len;
    char body[FACTS_BODY_MAX + 1];
};

struct smtp_facts {
    struct connection_facts connection;
    bool bad_dialogue;    /* the fault is the peer's answer */
    bool offers_starttls; /* among the EHLO keywords */
    bool glued;           /* bytes in the clear behind the answer to STARTTLS */
};

/* All that is known of one domain. */
struct domain_facts {
    const char *domain;
    const struct config_domain *expected; /* of the INI; NULL: not in it, or no INI */
    const char *ini;                      /* its path; NULL: none */
    const struct dns_facts *dns;
    const struct fetch_facts *host[FACTS_ADDRESSES_MAX];
    const struct smtp_facts *mx[FACTS_MX_MAX][FACTS_ADDRESSES_MAX];
    const struct fetch_facts *endpoints[FACTS_ENDPOINTS_MAX]; /* of the first address */
    bool smtp_wanted;
    time_t now;
};

#endif
