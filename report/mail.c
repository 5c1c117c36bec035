/* SPDX-License-Identifier: MIT
 * Reports out of a mail message. GMime says where the parts are; each is judged by its first bytes,
 * whatever its type and name say. Every byte is hostile, and GMime has no limits of its own: what
 * could make it use much memory or stack is refused before it sees the message.
 */
#include <gmime/gmime.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "report/unpack.h"

/* Of one message: parts begin with such lines, and each one may nest. */
#define DASH_LINES_MAX 200
/* Lines that could be header fields; GMime takes some hundred octets for each. */
#define FIELDS_MAX 10000
/* Octets of the fields that GMime parses, and of one of them: parameters are lists in lists, and a
 * boundary must fit into GMime's buffer. */
#define CONTENT_FIELDS_MAX ((size_t)128 << 10)
#define CONTENT_FIELD_MAX 2048
/* With all the messages in it. */
#define PARTS_MAX 100
#define DEPTH_MAX 10

/* A message that is still to be read: the one that came, or one in a part of another. */
struct message {
    char *owned; /* NULL: the bytes are borrowed */
    const char *bytes;
    size_t len;
    size_t depth;
    bool alone; /* whatever it is in has no other part */
};

struct mail {
    const struct unpack_sink *sink;
    const char *name;
    struct message queue[PARTS_MAX + 1];
    size_t queued;
    size_t parts;  /* so far */
    size_t octets; /* of reports, unpacked */
    bool found;    /* what was, or should have been, a report */
    bool stopped;  /* by a fault of the whole message */
};

static void mail_ignore(const char *domain, GLogLevelFlags level, const char *message, void *data)
{
    (void)domain;
    (void)level;
    (void)message;
    (void)data;
}

void mail_init(void)
{
    g_mime_init();
    /* A GMime that was built with warnings prints what is in a mail as it is. */
    g_log_set_handler("gmime", G_LOG_LEVEL_MASK, mail_ignore, NULL);
}

static void mail_stop(struct mail *mail, const char *why)
{
    mail->stopped = true;
    mail->sink->fault(mail->sink->context, mail->name, why);
}

/* Between unpack_packed and the sink, to count. */
static void mail_take_report(void *context, const char *name, const char *json, size_t len)
{
    struct mail *mail = context;

    mail->octets += len;
    mail->sink->report(mail->sink->context, name, json, len);
}

static void mail_take_fault(void *context, const char *name, const char *why)
{
    const struct mail *mail = context;

    mail->sink->fault(mail->sink->context, name, why);
}

/* Whether GMime could take the line for a header field. */
static bool line_is_field(const char *line, size_t len)
{
    size_t i = 0;

    while (i < len && line[i] != ':' && (unsigned char)line[i] > ' ')
        i++;
    while (i < len && (line[i] == ' ' || line[i] == '\t'))
        i++;
    return i < len && line[i] == ':';
}

/* Of a header field with the lines that continue it. */
static size_t field_len(const char *bytes, size_t len)
{
    size_t at = 0;

    do {
        const char *end = memchr(bytes + at, '\n', len - at);
        at = end != NULL ? (size_t)(end - bytes) + 1 : len;
    } while (at < len && (bytes[at] == ' ' || bytes[at] == '\t'));
    return at;
}

/* GMime parses the addresses of every message that it finds in a message, and a group in a group in
 * a group overflows its stack. So a message in a message is to be a part of an unknown type for it,
 * and what is in it is read on its own, and as a part, whose addresses are not asked for. False if
 * a comment could hide where the type ends. */
static bool type_disguise(char *field, size_t len)
{
    const char *parameters = memchr(field, ';', len);
    size_t end = parameters != NULL ? (size_t)(parameters - field) : len;

    if (parameters != NULL && memchr(field, '(', end) != NULL)
        return false;
    for (size_t i = 0; i < end; i++)
        if ((end - i >= 7 && strncasecmp(field + i, "message", 7) == 0) ||
            (end - i >= 6 && strncasecmp(field + i, "digest", 6) == 0))
            field[i] = 'x';
    return true;
}

static bool field_begins(const char *field, size_t len, const char *name)
{
    return len >= strlen(name) && strncasecmp(field, name, strlen(name)) == 0;
}

/* Makes a message harmless for GMime, looking at what could be header fields, wherever they are.
 * Why it must not see it all the same, or NULL. */
static const char *message_disarm(char *bytes, size_t len)
{
    size_t dashes = 0, fields = 0, content = 0, field;

    for (size_t at = 0; at < len; at += field) {
        field = field_len(bytes + at, len - at);
        if (field_begins(bytes + at, field, "--") && ++dashes > DASH_LINES_MAX)
            return "a mail of too many parts";
        if (line_is_field(bytes + at, field) && ++fields > FIELDS_MAX)
            return "a mail of too many header fields";
        if (!field_begins(bytes + at, field, "content-") || !line_is_field(bytes + at, field))
            continue;
        content += field;
        if (field > CONTENT_FIELD_MAX || content > CONTENT_FIELDS_MAX)
            return "a mail whose Content- header fields are too long";
        if (field_begins(bytes + at, field, "content-type") && !type_disguise(bytes + at, field))
            return "a mail with a comment in a Content-Type";
    }
    return NULL;
}

/* Borrows the bytes until the object is gone, and then *array, too. */
static GMimeObject *message_parse(const struct message *message, GByteArray **array)
{
    *array = g_byte_array_new_take((guint8 *)message->bytes, message->len);
    GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(*array);
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeObject *object = g_mime_parser_construct_part(parser, NULL);

    g_object_unref(parser);
    g_object_unref(stream);
    return object;
}

static size_t iter_depth(GMimePartIter *iter)
{
    char *path = g_mime_part_iter_get_path(iter); /* "1.2.1" */
    size_t depth = 0;

    for (const char *p = path; p != NULL && *p != '\0'; p++)
        depth += *p == '.';
    g_free(path);
    return depth;
}

/* Counts the parts that have no parts. Why the message is refused, or NULL. */
static const char *message_count(const struct message *message, GMimeObject *object, size_t *leaves)
{
    GMimePartIter *iter = g_mime_part_iter_new(object);
    const char *why = NULL;

    *leaves = 0;
    while (why == NULL && g_mime_part_iter_is_valid(iter)) {
        if (GMIME_IS_PART(g_mime_part_iter_get_current(iter)))
            (*leaves)++;
        if (message->depth + iter_depth(iter) > DEPTH_MAX)
            why = "a mail whose parts are nested too deep";
        g_mime_part_iter_next(iter);
    }
    g_mime_part_iter_free(iter);
    return why;
}

/* A message in a message is read after it, so that only one is in GMime at a time. Takes over what
 * is owned. */
static void mail_queue(struct mail *mail, const struct message *message)
{
    struct message *queued = &mail->queue[mail->queued];

    *queued = *message;
    if (message->depth > DEPTH_MAX) {
        mail_stop(mail, "a mail whose parts are nested too deep");
        free(message->owned);
        return;
    }
    if (message->owned == NULL) {
        queued->owned = malloc(message->len);
        if (queued->owned == NULL) {
            mail_stop(mail, "no memory to read it");
            return;
        }
        memcpy(queued->owned, message->bytes, message->len);
        queued->bytes = queued->owned;
    }
    mail->queued++;
}

/* Of what is JSON by its first bytes. */
static bool json_is_object(const char *bytes)
{
    while (*bytes != '{' && *bytes != '[')
        bytes++;
    return *bytes == '{';
}

static void part_unpack(struct mail *mail, enum unpack_kind kind, const struct message *part)
{
    struct unpack_sink counting = {.context = mail,
                                   .max = mail->sink->max,
                                   .report = mail_take_report,
                                   .fault = mail_take_fault};
    char place[UNPACK_NAME_SIZE];
    const char *name = mail->name;

    /* Else a mail of two megabytes could be the work of a hundred times eight. */
    if (mail->octets > mail->sink->max) {
        mail_stop(mail, "a mail of too many large reports");
        return;
    }
    if (!part->alone) {
        unpack_name(place, mail->name, "part", mail->parts);
        name = place;
    }
    mail->found = true;
    if (kind == UNPACK_JSON)
        mail_take_report(mail, name, part->bytes, part->len);
    else
        unpack_packed(&counting, name, kind, part->bytes, part->len);
}

/* A part as it was before it was encoded. Takes over what is owned. */
static void part_read(struct mail *mail, const struct message *part)
{
    enum unpack_kind kind = unpack_kind(part->bytes, part->len);

    if (kind == UNPACK_MAIL || kind == UNPACK_MBOX) {
        mail_queue(mail, part);
        return;
    }
    /* "[" begins many a text. */
    if (kind == UNPACK_GZIP || kind == UNPACK_ZIP ||
        (kind == UNPACK_JSON && json_is_object(part->bytes)))
        part_unpack(mail, kind, part);
    free(part->owned);
}

/* Decodes *part. Base64 may lack its padding, without which GMime holds the last octets back. */
static bool part_decode(struct message *part, GMimeContentEncoding encoding)
{
    GMimeEncoding state;

    if (encoding != GMIME_CONTENT_ENCODING_BASE64 &&
        encoding != GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE &&
        encoding != GMIME_CONTENT_ENCODING_UUENCODE)
        return true;
    g_mime_encoding_init_decode(&state, encoding);
    part->owned = malloc(g_mime_encoding_outlen(&state, part->len) + 3);
    if (part->owned == NULL)
        return false;
    size_t len = g_mime_encoding_step(&state, part->bytes, part->len, part->owned);
    if (encoding == GMIME_CONTENT_ENCODING_BASE64)
        len += g_mime_encoding_step(&state, "==", 2, part->owned + len);
    part->bytes = part->owned;
    part->len = len;
    return true;
}

static void part_find(struct mail *mail, const struct message *message, GMimePart *object,
                      struct message *part)
{
    GMimeDataWrapper *content = g_mime_part_get_content(object);

    mail->parts++;
    if (content == NULL)
        return;
    /* A stretch of the message's own stream. */
    const GMimeStream *stream = g_mime_data_wrapper_get_stream(content);
    gint64 from = stream->bound_start, to = stream->bound_end;
    if (from < 0 || to <= from || (guint64)to > message->len)
        return;
    part->bytes = message->bytes + from;
    part->len = (size_t)(to - from);
    if (part_decode(part, g_mime_data_wrapper_get_encoding(content)))
        part_read(mail, part);
    else
        mail_stop(mail, "no memory to read it");
}

static void message_parts(struct mail *mail, const struct message *message, GMimeObject *object)
{
    size_t leaves;
    const char *why = message_count(message, object, &leaves);

    if (why == NULL && leaves > PARTS_MAX - mail->parts)
        why = "a mail of too many parts";
    if (why != NULL) {
        mail_stop(mail, why);
        return;
    }
    GMimePartIter *iter = g_mime_part_iter_new(object);
    while (!mail->stopped && g_mime_part_iter_is_valid(iter)) {
        GMimeObject *current = g_mime_part_iter_get_current(iter);
        struct message part = {
            .depth = message->depth + iter_depth(iter) + 1,
            .alone = message->alone && leaves == 1,
        };
        if (GMIME_IS_PART(current))
            part_find(mail, message, GMIME_PART(current), &part);
        g_mime_part_iter_next(iter);
    }
    g_mime_part_iter_free(iter);
}

/* Without the line of an mbox that may be before it. */
static void message_skip_from(struct message *message)
{
    const char *end = memchr(message->bytes, '\n', message->len);
    size_t len = end != NULL ? (size_t)(end - message->bytes) + 1 : message->len;

    if (unpack_kind(message->bytes, message->len) == UNPACK_MBOX) {
        message->bytes += len;
        message->len -= len;
    }
}

static void message_read(struct mail *mail, struct message message)
{
    const char *why = message_disarm(message.owned, message.len);
    GByteArray *array;

    if (why != NULL) {
        mail_stop(mail, why);
        return;
    }
    message_skip_from(&message);
    if (message.len == 0)
        return;
    GMimeObject *object = message_parse(&message, &array);
    if (object != NULL) {
        message_parts(mail, &message, object);
        g_object_unref(object);
    } else if (message.depth == 0) {
        mail_stop(mail, "a mail without an end of its header");
    }
    g_byte_array_free(array, FALSE);
}

void mail_read(const struct unpack_sink *sink, const char *name, const char *bytes, size_t len)
{
    struct mail mail = {.sink = sink, .name = name};

    if (len > unpack_limit(sink, UNPACK_MAIL)) {
        unpack_fault_size(sink, name, UNPACK_MAIL);
        return;
    }
    if (len > 0)
        mail_queue(&mail, &(struct message){.bytes = bytes, .len = len, .alone = true});
    for (size_t i = 0; i < mail.queued; i++) {
        if (!mail.stopped)
            message_read(&mail, mail.queue[i]);
        free(mail.queue[i].owned);
    }
    if (!mail.found && !mail.stopped)
        sink->empty(sink->context, name);
}
