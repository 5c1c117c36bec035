# SPDX-License-Identifier: MIT
"""What every answer must be (DESIGN section 6), and the table of requests, tests/data/http.tsv."""
from collections import namedtuple
from datetime import datetime, timezone
from email.utils import format_datetime, parsedate_to_datetime

import vectors
from client import PATH
from policies import TESTING_BODY
from process import SCALE

FIELDS = {
    "Content-Type": "text/plain",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}
REASONS = {
    400: ("Bad Request", "not a well-formed HTTP/1.1 request with one Host"),
    404: ("Not Found", f"only {PATH} is served here"),
    405: ("Method Not Allowed", "only GET and HEAD are answered here"),
    413: ("Content Too Large", "a request may not have a body here"),
    414: ("URI Too Long", f"the only path here is {PATH}"),
    421: ("Misdirected Request", "no policy for this host on this connection"),
    431: ("Request Header Fields Too Large", "a Host field is enough here"),
    501: ("Not Implemented", "unknown method or transfer coding"),
    505: ("HTTP Version Not Supported", "this is an HTTP/1.1 server"),
}

# `status` is None where the connection must end without an answer.
Row = namedtuple("Row", "status section octets what")


def rows():
    for line in (vectors.DATA / "http.tsv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        status, section, request, what = line.split("\t")
        octets = vectors.unescape(request).encode("latin-1")
        yield Row(None if status == "none" else int(status), section, octets, what)


def check_fields(response, length):
    """All fields of DESIGN section 6 and no other: no Location, no ETag, no Server."""
    date = response.fields.pop("Date")
    parsed = parsedate_to_datetime(date)
    assert date == format_datetime(parsed.astimezone(timezone.utc), usegmt=True)
    assert abs((datetime.now(timezone.utc) - parsed).total_seconds()) < 10 * SCALE
    more = {"Allow": "GET, HEAD"} if response.status == 405 else {}
    assert response.fields == FIELDS | more | {"Content-Length": str(length)}


def check(response, status, head=False):
    """Every octet of the answer; to HEAD without its body."""
    if status == 200:
        reason, body = "OK", TESTING_BODY
    else:
        reason, text = REASONS[status]
        body = f"{status} {reason}: {text}\n".encode()
    assert (response.status, response.reason) == (status, reason)
    assert response.body == (b"" if head else body)
    check_fields(response, len(body))
