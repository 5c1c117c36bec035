/* SPDX-License-Identifier: MIT
 * Connections in order of their deadlines.
 */
#include "queue.h"

static struct conn_link *link_of(const struct queue *queue, struct conn *conn)
{
    return (struct conn_link *)(void *)((char *)conn + queue->link);
}

void queue_add(struct queue *queue, struct conn *conn)
{
    *link_of(queue, conn) = (struct conn_link){.previous = queue->tail};
    if (queue->tail == NULL)
        queue->head = conn;
    else
        link_of(queue, queue->tail)->next = conn;
    queue->tail = conn;
}

void queue_remove(struct queue *queue, struct conn *conn)
{
    struct conn_link *link = link_of(queue, conn);

    if (link->previous == NULL && queue->head != conn)
        return;
    if (link->previous == NULL)
        queue->head = link->next;
    else
        link_of(queue, link->previous)->next = link->next;
    if (link->next == NULL)
        queue->tail = link->previous;
    else
        link_of(queue, link->next)->previous = link->previous;
    *link = (struct conn_link){NULL, NULL};
}
