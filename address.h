/* SPDX-License-Identifier: MIT
 * Socket addresses as text, and the part of one that counts as one source.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Room for "[IPv6]:port" and its NUL. */
#define ADDRESS_TEXT_SIZE 56

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* What one client is taken to own: an IPv4 address, or the /64 of an IPv6 address. */
struct address_source {
    uint8_t bytes[16];
};

/* Reads "192.0.2.1:443" or "[2001:db8::1]:443"; numeric, nothing is resolved. */
bool address_parse(const char *text, struct address *address);
/* Writes it back; an IPv4 address that came in over an IPv6 socket is written as IPv4. Without the
 * port there are no brackets. */
void address_format(const struct address *address, bool port, char text[ADDRESS_TEXT_SIZE]);
uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);
/* An unspecified address (0.0.0.0, ::) becomes the loopback of its family. */
void address_to_loopback(struct address *address);
/* The IPv6 loopback becomes that of IPv4, with its port; false, and nothing else, for any other. */
bool address_to_ipv4_loopback(struct address *address);
/* The same address and port. */
bool address_equal(const struct address *a, const struct address *b);
struct address_source address_source(const struct address *address);

#endif
