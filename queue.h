/* SPDX-License-Identifier: MIT
 * Connections in order of their deadlines: a list that each connection is a part of by a link of
 * its own.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "conn.h"

struct queue {
    struct conn *head, *tail; /* the head is the next to run out of time */
    size_t link;              /* offset of the struct conn_link in struct conn */
};

void queue_add(struct queue *queue, struct conn *conn); /* as the last */
/* Does nothing for a connection that is not in it. */
void queue_remove(struct queue *queue, struct conn *conn);

#endif
