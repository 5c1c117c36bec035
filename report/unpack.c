/* SPDX-License-Identifier: MIT
 * From bytes as they arrive to the JSON texts in them: what the first bytes say, how large each
 * kind may be, and who reads it. Every byte here was chosen by somebody else, and file names are
 * not looked at.
 */
#include "report/unpack.h"

#include <limits.h>
#include <string.h>

#include "text.h"

/* What JSON begins with: an object or an array, behind a byte order mark and white space that do
 * not belong there, but are sent. */
static bool json_begins(const char *bytes, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t i = len >= 3 && memcmp(bytes, mark, 3) == 0 ? 3 : 0;

    while (i < len && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n'))
        i++;
    return i < len && (bytes[i] == '{' || bytes[i] == '[');
}

/* RFC 5322 section 3.6.8: a field name is printable ASCII without a colon. */
static bool field_begins(const char *bytes, size_t len)
{
    size_t i = 0;

    while (i < len && bytes[i] > ' ' && bytes[i] <= '~' && bytes[i] != ':')
        i++;
    return i > 0 && i < len && bytes[i] == ':';
}

static bool begins(const char *bytes, size_t len, const char *magic, size_t magic_len)
{
    return len >= magic_len && memcmp(bytes, magic, magic_len) == 0;
}

enum unpack_kind unpack_kind(const char *bytes, size_t len)
{
    if (json_begins(bytes, len))
        return UNPACK_JSON;
    if (begins(bytes, len, "\x1f\x8b", 2))
        return UNPACK_GZIP;
    /* The second one is an archive without members. */
    if (begins(bytes, len, "PK\3\4", 4) || begins(bytes, len, "PK\5\6", 4))
        return UNPACK_ZIP;
    if (begins(bytes, len, "From ", 5))
        return UNPACK_MBOX;
    if (field_begins(bytes, len))
        return UNPACK_MAIL;
    return UNPACK_UNKNOWN;
}

size_t unpack_limit(const struct unpack_sink *sink, enum unpack_kind kind)
{
    size_t packed = sink->max / UNPACK_RATIO;

    if (kind == UNPACK_JSON)
        return sink->max;
    /* zlib and GLib count in unsigned int. */
    if (packed > UINT_MAX / 4)
        packed = UINT_MAX / 4;
    /* Base64 makes a third more of it, and there are headers. */
    return kind == UNPACK_MAIL || kind == UNPACK_MBOX ? 2 * packed : packed;
}

void unpack_fault_size(const struct unpack_sink *sink, const char *name, enum unpack_kind kind)
{
    char why[128];
    struct text text;

    text_init(&text, why, sizeof why);
    text_addf(&text, "larger than %zu octets (see --max-size)", unpack_limit(sink, kind));
    sink->fault(sink->context, name, why);
}

void unpack_name(char place[UNPACK_NAME_SIZE], const char *name, const char *what, size_t number)
{
    const size_t room = UNPACK_NAME_SIZE - 64;
    size_t len = strlen(name);
    struct text text;

    text_init(&text, place, UNPACK_NAME_SIZE);
    text_add_bytes(&text, name, len < room ? len : room);
    text_addf(&text, ", %s %zu", what, number);
}

void unpack_bytes(const struct unpack_sink *sink, const char *name, const char *bytes, size_t len)
{
    enum unpack_kind kind = unpack_kind(bytes, len);

    if (len == 0) {
        sink->fault(sink->context, name, "empty");
        return;
    }
    if (kind == UNPACK_UNKNOWN) {
        sink->fault(sink->context, name, "neither JSON, gzip, zip nor mail");
        return;
    }
    if (len > unpack_limit(sink, kind)) {
        unpack_fault_size(sink, name, kind);
        return;
    }
    switch (kind) {
    case UNPACK_JSON:
        sink->report(sink->context, name, bytes, len);
        break;
    case UNPACK_GZIP:
    case UNPACK_ZIP:
        unpack_packed(sink, name, kind, bytes, len);
        break;
    case UNPACK_MBOX:
    case UNPACK_MAIL:
    case UNPACK_UNKNOWN:
        mail_read(sink, name, bytes, len);
        break;
    }
}
