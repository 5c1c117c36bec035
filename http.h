/* SPDX-License-Identifier: MIT
 * HTTP/1.1 as far as a policy host needs it: bytes to a verdict, a verdict to bytes. Pure.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "text.h"

/* The longest request line and the longest whole head that are read, terminators included. */
#define HTTP_LINE_MAX 4096
#define HTTP_HEAD_MAX 8192
/* Status line and header fields of the longest response, without its body. */
#define HTTP_RESPONSE_HEAD_MAX 512
/* Length of "Sun, 06 Nov 1994 08:49:37 GMT" with its NUL. */
#define HTTP_DATE_SIZE 30

enum http_status {
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_NOT_FOUND = 404,
    HTTP_METHOD_NOT_ALLOWED = 405,
    HTTP_CONTENT_TOO_LARGE = 413,
    HTTP_URI_TOO_LONG = 414,
    HTTP_MISDIRECTED_REQUEST = 421,
    HTTP_FIELDS_TOO_LARGE = 431,
    HTTP_NOT_IMPLEMENTED = 501,
    HTTP_VERSION_NOT_SUPPORTED = 505,
};

enum http_verdict {
    HTTP_INCOMPLETE, /* read more bytes and ask again */
    HTTP_REQUEST,    /* a GET or HEAD of the policy path: find the host and answer */
    HTTP_REFUSED,    /* answer with `status` */
};

/* What a request asks for. The strings point into the bytes given to http_parse. */
struct http_request {
    enum http_status status; /* with HTTP_REFUSED: why */
    bool head;               /* the method is HEAD: no body in the answer */
    const char *host;        /* name from Host or the absolute-form target, without port and final
                                dot, case as sent; NULL: HTTP/1.0 without one, use SNI */
    size_t host_len;
    const char *agent; /* User-Agent as sent; NULL if absent */
    size_t agent_len;
};

/* Judges the bytes received so far (RFC 9112; DESIGN section 6). The verdict, once it is not
 * HTTP_INCOMPLETE, does not change when more bytes follow, nor with how they were cut. Reads at
 * most HTTP_HEAD_MAX bytes of `bytes`; with that many it never answers HTTP_INCOMPLETE. */
enum http_verdict http_parse(const char *bytes, size_t len, struct http_request *request);

/* Writes `when` as an IMF-fixdate (RFC 9110 section 5.6.7), independent of the locale. */
void http_date(time_t when, char date[HTTP_DATE_SIZE]);

/* Appends a whole response: for HTTP_OK with `body` (the policy), else with a line that names the
 * status. With `head` the body is left out, the Content-Length stays (RFC 9110 section 9.3.2). */
void http_response(struct text *out, enum http_status status, bool head, const char *date,
                   const char *body, size_t body_len);

#endif
