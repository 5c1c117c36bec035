/* SPDX-License-Identifier: MIT
 * One worker: serves what it is given on sockets that already listen, until it is told to stop.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "conn.h"

struct server;

/* Everything is allocated here, nothing later but TLS contexts. What the site points to and the
 * listening sockets (non-blocking) are borrowed; `worker` is its number for the metrics; with
 * queue_stays, who waits in their queues at the end is left to others. NULL with errno on failure.
 */
struct server *server_new(const struct conn_site *site, unsigned worker, const int *listeners,
                          size_t listener_count, bool queue_stays);
/* Serves from the first byte that comes over `line`, a socket, until its peer has closed it; then
 * closes the listeners and the line, finishes the connections that are open and returns true. False
 * with errno if the event loop itself fails. */
bool server_run(struct server *server, int line);
void server_free(struct server *server);

#endif
