/* SPDX-License-Identifier: MIT
 * Socket addresses as text, and the part of one that counts as one source. The addresses are those
 * of clients, or what an administrator wrote.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct sockaddr_in *as_v4(const struct address *address)
{
    return (struct sockaddr_in *)(uintptr_t)&address->storage;
}

static struct sockaddr_in6 *as_v6(const struct address *address)
{
    return (struct sockaddr_in6 *)(uintptr_t)&address->storage;
}

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned long value = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits < 1 || digits > 5 || text[digits] != '\0')
        return false;
    for (; *text != '\0'; text++)
        value = 10 * value + (unsigned long)(*text - '0');
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

bool address_parse(const char *text, struct address *address)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    uint16_t port;

    memset(address, 0, sizeof *address);
    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    size_t len = (size_t)(colon - text);
    if (v6) {
        if (len < 2 || text[len - 1] != ']')
            return false;
        text++;
        len -= 2;
    }
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    address->storage.ss_family = v6 ? AF_INET6 : AF_INET;
    address->len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    address_set_port(address, port);
    void *bytes = v6 ? (void *)&as_v6(address)->sin6_addr : (void *)&as_v4(address)->sin_addr;
    return inet_pton(address->storage.ss_family, host, bytes) == 1;
}

/* The IPv4 address in it, plain or mapped into IPv6; NULL if there is none. */
static const uint8_t *v4_bytes(const struct address *address)
{
    if (address->storage.ss_family == AF_INET)
        return (const uint8_t *)&as_v4(address)->sin_addr;
    if (address->storage.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&as_v6(address)->sin6_addr))
        return as_v6(address)->sin6_addr.s6_addr + 12;
    return NULL;
}

void address_format(const struct address *address, bool port, char text[ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "unknown";
    const uint8_t *v4 = v4_bytes(address);
    bool brackets = port && v4 == NULL;

    if (v4 != NULL)
        inet_ntop(AF_INET, v4, host, sizeof host);
    else if (address->storage.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &as_v6(address)->sin6_addr, host, sizeof host);
    if (port)
        snprintf(text, ADDRESS_TEXT_SIZE, "%s%s%s:%u", brackets ? "[" : "", host,
                 brackets ? "]" : "", address_port(address));
    else
        snprintf(text, ADDRESS_TEXT_SIZE, "%s", host);
}

uint16_t address_port(const struct address *address)
{
    return ntohs(address->storage.ss_family == AF_INET6 ? as_v6(address)->sin6_port
                                                        : as_v4(address)->sin_port);
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->storage.ss_family == AF_INET6)
        as_v6(address)->sin6_port = htons(port);
    else
        as_v4(address)->sin_port = htons(port);
}

void address_to_loopback(struct address *address)
{
    if (address->storage.ss_family == AF_INET6) {
        if (IN6_IS_ADDR_UNSPECIFIED(&as_v6(address)->sin6_addr))
            as_v6(address)->sin6_addr = in6addr_loopback;
    } else if (as_v4(address)->sin_addr.s_addr == htonl(INADDR_ANY)) {
        as_v4(address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
}

struct address_source address_source(const struct address *address)
{
    struct address_source source = {{0}};
    const uint8_t *v4 = v4_bytes(address);

    if (v4 != NULL) {
        memset(source.bytes + 10, 0xff, 2);
        memcpy(source.bytes + 12, v4, 4);
    } else if (address->storage.ss_family == AF_INET6) {
        memcpy(source.bytes, &as_v6(address)->sin6_addr, 8);
    }
    return source;
}

bool address_to_ipv4_loopback(struct address *address)
{
    uint16_t port = address_port(address);

    if (address->storage.ss_family != AF_INET6 || !IN6_IS_ADDR_LOOPBACK(&as_v6(address)->sin6_addr))
        return false;
    *address =
        (struct address){.storage = {.ss_family = AF_INET}, .len = sizeof(struct sockaddr_in)};
    as_v4(address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address_set_port(address, port);
    return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
    const void *x = &a->storage, *y = &b->storage;

    return a->len == b->len && memcmp(x, y, a->len) == 0;
}
