/* SPDX-License-Identifier: MIT
 * JSON out of gzip (RFC 1952) and out of a zip archive with one member. Every byte is hostile: what
 * comes out is bounded, and must be what the checksums say.
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "report/unpack.h"
#include "text.h"

#define OUTPUT_FIRST 16384
#define TOO_MUCH "unpacks to more than %zu octets (see --max-size)"
#define FAULT_SIZE 128

/* What was inflated. Grows up to one octet more than may come out, which shows that there is
 * more. */
struct output {
    char *data;
    size_t len, size, max;
};

static bool output_grow(struct output *output)
{
    size_t size = output->size == 0 ? OUTPUT_FIRST : 2 * output->size;

    if (size > output->max + 1)
        size = output->max + 1;
    char *data = realloc(output->data, size);
    if (data == NULL)
        return false;
    output->data = data;
    output->size = size;
    return true;
}

/* Inflates up to the end of the stream, or to the end of what there is room for. */
static int inflate_more(z_stream *stream, struct output *output)
{
    int result = Z_OK;

    while (result == Z_OK && output->len <= output->max) {
        if (output->len == output->size && !output_grow(output))
            return Z_MEM_ERROR;
        size_t room = output->size - output->len;
        stream->next_out = (Bytef *)output->data + output->len;
        stream->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
        uInt before = stream->avail_out;
        result = inflate(stream, Z_NO_FLUSH);
        output->len += before - stream->avail_out;
    }
    return result;
}

/* Why this is not the end of a stream: a fault with `what` it was. */
static void inflate_fault(struct text *why, const char *what, const z_stream *stream, int result,
                          const struct output *output)
{
    if (output->len > output->max)
        text_addf(why, TOO_MUCH, output->max);
    else if (result == Z_MEM_ERROR)
        text_add(why, "no memory to unpack it");
    else if (result == Z_BUF_ERROR)
        text_addf(why, "%s: truncated", what);
    else
        text_addf(why, "%s: corrupted (%s)", what,
                  stream->msg != NULL ? stream->msg : "needs a dictionary");
}

/* A file may have several members, one behind the other: their contents are one text. */
static void gzip_inflate(struct output *output, const char *bytes, size_t len, struct text *why)
{
    z_stream stream = {.next_in = (Bytef *)bytes, .avail_in = (uInt)len};
    int result = inflateInit2(&stream, 15 + 16);

    if (result != Z_OK) {
        text_add(why, "no memory to unpack it");
        return;
    }
    for (;;) {
        result = inflate_more(&stream, output);
        if (result != Z_STREAM_END || output->len > output->max) {
            inflate_fault(why, "gzip", &stream, result, output);
            break;
        }
        /* As gzip(1): some mail programs add a line end. */
        while (stream.avail_in > 0 && memchr("\0\r\n\t ", stream.next_in[0], 5) != NULL) {
            stream.next_in++;
            stream.avail_in--;
        }
        if (stream.avail_in == 0)
            break;
        if (stream.next_in[0] != 0x1f) {
            text_add(why, "gzip: something else behind its end");
            break;
        }
        inflateReset(&stream);
    }
    inflateEnd(&stream);
}

/* The local header of a zip member; APPNOTE.TXT section 4.3.7. */
#define ZIP_HEADER 30
#define ZIP_ENCRYPTED 0x0001
#define ZIP_SIZES_BEHIND 0x0008
#define ZIP_STORED 0
#define ZIP_DEFLATED 8
#define ZIP64_EXTRA 0x0001

struct zip {
    const unsigned char *bytes; /* the whole of it */
    size_t len, data;           /* where the member's data begin */
    unsigned flags, method;
    uint32_t crc, packed, size;
};

static uint32_t little(const unsigned char *bytes, size_t octets)
{
    uint32_t value = 0;

    while (octets-- > 0)
        value = value << 8 | bytes[octets];
    return value;
}

/* Whether the extra field says that the sizes are elsewhere, in 64 bits. */
static bool zip_has_zip64(const unsigned char *extra, size_t len)
{
    while (len >= 4) {
        size_t size = 4 + (size_t)little(extra + 2, 2);
        if (little(extra, 2) == ZIP64_EXTRA)
            return true;
        if (size > len)
            break;
        extra += size;
        len -= size;
    }
    return false;
}

static void zip_header(struct zip *zip, struct text *why)
{
    const unsigned char *p = zip->bytes;

    if (zip->len >= 4 && memcmp(p, "PK\5\6", 4) == 0) {
        text_add(why, "zip: nothing in it");
        return;
    }
    if (zip->len < ZIP_HEADER) {
        text_add(why, "zip: truncated");
        return;
    }
    size_t name_len = little(p + 26, 2), extra_len = little(p + 28, 2);
    zip->flags = little(p + 6, 2);
    zip->method = little(p + 8, 2);
    zip->crc = little(p + 14, 4);
    zip->packed = little(p + 18, 4);
    zip->size = little(p + 22, 4);
    zip->data = ZIP_HEADER + name_len + extra_len;
    if (zip->len < zip->data)
        text_add(why, "zip: truncated");
    else if ((zip->flags & ZIP_ENCRYPTED) != 0)
        text_add(why, "zip: encrypted");
    else if (zip->packed == UINT32_MAX || zip->size == UINT32_MAX ||
             zip_has_zip64(p + ZIP_HEADER + name_len, extra_len))
        text_add(why, "zip: zip64, which no report needs");
    else if (zip->method != ZIP_STORED && zip->method != ZIP_DEFLATED)
        text_addf(why, "zip: compression method %u is not supported", zip->method);
    else if (zip->method == ZIP_STORED && (zip->flags & ZIP_SIZES_BEHIND) != 0)
        text_add(why, "zip: stored, and its size is not known");
}

/* Reads the data; zip->data is then behind them. */
static void zip_inflate(struct zip *zip, struct output *output, struct text *why)
{
    bool behind = (zip->flags & ZIP_SIZES_BEHIND) != 0;
    size_t rest = zip->len - zip->data, len = behind ? rest : zip->packed;
    z_stream stream = {.next_in = (Bytef *)zip->bytes + zip->data};

    if (len > rest) {
        text_add(why, "zip: truncated");
        return;
    }
    stream.avail_in = (uInt)len;
    if (inflateInit2(&stream, -15) != Z_OK) {
        text_add(why, "no memory to unpack it");
        return;
    }
    int result = inflate_more(&stream, output);
    if (result != Z_STREAM_END || output->len > output->max)
        inflate_fault(why, "zip", &stream, result, output);
    else if (!behind && stream.avail_in > 0)
        text_add(why, "zip: corrupted (more data than its contents need)");
    zip->data += len - stream.avail_in;
    inflateEnd(&stream);
}

static void zip_copy(struct zip *zip, struct output *output, struct text *why)
{
    if (zip->packed > zip->len - zip->data) {
        text_add(why, "zip: truncated");
        return;
    }
    if (zip->packed > output->max) {
        text_addf(why, TOO_MUCH, output->max);
        return;
    }
    output->data = malloc((size_t)zip->packed + 1);
    if (output->data == NULL) {
        text_add(why, "no memory to unpack it");
        return;
    }
    memcpy(output->data, zip->bytes + zip->data, zip->packed);
    output->len = zip->packed;
    zip->data += zip->packed;
}

/* Checksum and sizes that are behind the data, with a signature or without (section 4.3.9). */
static void zip_descriptor(struct zip *zip, struct text *why)
{
    if (zip->len - zip->data >= 4 && memcmp(zip->bytes + zip->data, "PK\7\10", 4) == 0)
        zip->data += 4;
    if (zip->len - zip->data < 12) {
        text_add(why, "zip: truncated");
        return;
    }
    zip->crc = little(zip->bytes + zip->data, 4);
    zip->size = little(zip->bytes + zip->data + 8, 4);
    zip->data += 12;
}

/* Behind the only member is the directory. */
static void zip_check(const struct zip *zip, const struct output *output, struct text *why)
{
    const unsigned char *behind = zip->bytes + zip->data;
    uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *)output->data, output->len);

    if (output->len != zip->size)
        text_add(why, "zip: corrupted (incorrect length)");
    else if (crc != zip->crc)
        text_add(why, "zip: corrupted (incorrect checksum)");
    else if (zip->len - zip->data < 4)
        text_add(why, "zip: truncated");
    else if (memcmp(behind, "PK\3\4", 4) == 0)
        text_add(why, "zip: more than one file in it: unpack it first");
    else if (memcmp(behind, "PK\1\2", 4) != 0)
        text_add(why, "zip: something else behind its data");
}

static void zip_read(struct output *output, const char *bytes, size_t len, struct text *why)
{
    struct zip zip = {.bytes = (const unsigned char *)bytes, .len = len};

    zip_header(&zip, why);
    if (why->len > 0)
        return;
    if (zip.method == ZIP_STORED)
        zip_copy(&zip, output, why);
    else
        zip_inflate(&zip, output, why);
    if (why->len == 0 && (zip.flags & ZIP_SIZES_BEHIND) != 0)
        zip_descriptor(&zip, why);
    if (why->len == 0)
        zip_check(&zip, output, why);
}

void unpack_packed(const struct unpack_sink *sink, const char *name, enum unpack_kind kind,
                   const char *bytes, size_t len)
{
    struct output output = {.max = sink->max};
    char buffer[FAULT_SIZE];
    struct text why;

    if (len > unpack_limit(sink, kind)) {
        unpack_fault_size(sink, name, kind);
        return;
    }
    text_init(&why, buffer, sizeof buffer);
    if (kind == UNPACK_GZIP)
        gzip_inflate(&output, bytes, len, &why);
    else
        zip_read(&output, bytes, len, &why);
    if (why.len == 0 && unpack_kind(output.data, output.len) != UNPACK_JSON)
        text_add(&why, "packed, and no JSON in it: unpack it first");
    if (why.len > 0)
        sink->fault(sink->context, name, buffer);
    else
        sink->report(sink->context, name, output.data, output.len);
    free(output.data);
}
