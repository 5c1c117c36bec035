# SPDX-License-Identifier: MIT
"""HTTP over real TLS: which requests are answered, how the others are refused, how it ends."""
import re
import time
from datetime import datetime, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from client import HOST, PATH, REQUEST, Connection, ask, context, request, without_sni
from policies import ENFORCED_BODY, TESTING_BODY
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
UNKNOWN = "mta-sts.example.invalid"
OTHER = "mta-sts.example.net"  # has a policy, but is not the name in the handshake

ANSWERED = {
    "the least": request(),
    "a lower-case field name": f"GET {PATH} HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode(),
    "a host in upper case": request(host=HOST.upper()),
    "a host with a port": request(host=f"{HOST}:443"),
    "a host with an empty port": request(host=f"{HOST}:"),
    "a host with a final dot": request(host=f"{HOST}."),
    "a host with a final dot and a port": request(host=f"{HOST}.:8443"),
    "a host without a blank before it": f"GET {PATH} HTTP/1.1\r\nHost:{HOST}\r\n\r\n".encode(),
    "a host between blanks": f"GET {PATH} HTTP/1.1\r\nHost: \t{HOST} \r\n\r\n".encode(),
    "absolute form": request(f"https://{HOST}{PATH}"),
    "absolute form, upper case": request(f"HTTPS://{HOST.upper()}{PATH}"),
    "absolute form, with a port": request(f"https://{HOST}:443{PATH}"),
    "absolute form, another host in Host": request(f"https://{HOST}{PATH}", UNKNOWN),
    "HTTP/1.0 without Host": request(host=None, version="HTTP/1.0"),
    "HTTP/1.0 with Host": request(version="HTTP/1.0"),
    "HTTP/1.2": request(version="HTTP/1.2"),
    "an empty line first": b"\r\n" + REQUEST,
    "no field but Host has a value": request(more="User-Agent:\r\nAccept: \r\n"),
    "bytes above ASCII in a value": request(more="User-Agent: caf\xe9\r\n"),
    "Content-Type on a GET": request(more="Content-Type: text/plain\r\n"),
    "Content-Length 0": request(more="Content-Length: 0\r\n"),
    "Connection: keep-alive": request(more="Connection: Keep-Alive\r\n"),
    "Range": request(more="Range: bytes=0-9\r\n"),
    "If-None-Match": request(more="If-None-Match: *\r\n"),
    "If-Modified-Since": request(more="If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
    "an Accept that does not fit": request(more="Accept: text/html\r\n"),
    "Accept-Encoding": request(more="Accept-Encoding: gzip, identity;q=0\r\n"),
    "Expect": request(more="Expect: 100-continue\r\n"),
    "Upgrade": request(more="Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    "a head of 8000 octets": request(more=f"X: {'x' * 7900}\r\n"),
    # As captured from senders.
    "mox": request(
        more="User-Agent: Go-http-client/1.1\r\nConnection: close\r\nAccept-Encoding: gzip\r\n"
    ),
    "Courier": request(
        more="User-Agent: Wget/1.21.3\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        "Connection: Keep-Alive\r\n"
    ),
    "mimecast": request(
        more="User-Agent: Mimecast MTA-STS\r\nContent-Type: text/plain\r\n"
        "Cache-Control: no-cache\r\nConnection: Keep-Alive\r\n"
    ),
    "mailauth": f"GET {PATH} HTTP/1.1\r\nhost: {HOST}\r\nConnection: close\r\n\r\n".encode(),
}

HEADLESS = f"GET {PATH} HTTP/1.1\r\n".encode()

REFUSED = {
    # Malformed.
    "no Host": (400, request(host=None)),
    "two Hosts": (400, request(more=f"Host: {HOST}\r\n")),
    "an empty Host": (400, request(host="")),
    "two hosts in one Host": (400, request(host=f"{HOST}, {HOST}")),
    "a Host with a path": (400, request(host=f"{HOST}/")),
    "a Host with a user": (400, request(host=f"me@{HOST}")),
    "a Host with a port too large": (400, request(host=f"{HOST}:65536")),
    "a Host with two final dots": (400, request(host=f"{HOST}..")),
    "absolute form without Host": (400, request(f"https://{HOST}{PATH}", None)),
    "LF alone": (400, REQUEST.replace(b"\r\n", b"\n")),
    "LF alone behind a field": (400, HEADLESS + f"Host: {HOST}\n\r\n".encode()),
    "CR alone in a value": (400, request(more="X: a\rb\r\n")),
    "NUL in a value": (400, request(more="X: a\0b\r\n")),
    "ESC in a value": (400, request(more="User-Agent: \x1b[31m\r\n")),
    "a folded line": (400, request(more="X: a\r\n b\r\n")),
    "a blank before the first field": (400, HEADLESS + f" Host: {HOST}\r\n\r\n".encode()),
    "a blank before a colon": (400, HEADLESS + f"Host : {HOST}\r\n\r\n".encode()),
    "a line without a colon": (400, request(more="X\r\n")),
    "a field without a name": (400, request(more=": x\r\n")),
    "two blanks in the request line": (400, REQUEST.replace(b"GET ", b"GET  ")),
    "a TAB in the request line": (400, REQUEST.replace(b"GET ", b"GET\t")),
    "no version": (400, f"GET {PATH}\r\n\r\n".encode()),
    "a version in lower case": (400, request(version="http/1.1")),
    "a version with two digits": (400, request(version="HTTP/1.10")),
    "a version without minor": (400, request(version="HTTP/1")),
    "a NUL in the target": (400, request(f"{PATH}\0")),
    "a byte above ASCII in the target": (400, request(f"{PATH}\xe9")),
    "a relative target": (400, request(PATH[1:])),
    "* with GET": (400, request("*")),
    "authority form with GET": (400, request(f"{HOST}:443")),
    "two empty lines first": (400, b"\r\n\r\n" + REQUEST),
    "garbage": (400, b"\x00\x01\x02\x03\r\n\r\n"),
    "a TLS record inside TLS": (400, b"\x16\x03\x01\x00\x05hello"),
    "Content-Length and chunked": (
        400,
        request(more="Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    ),
    "Content-Length twice": (400, request(more="Content-Length: 0\r\nContent-Length: 0\r\n")),
    "Content-Length as a list": (400, request(more="Content-Length: 0, 0\r\n")),
    "Content-Length negative": (400, request(more="Content-Length: -1\r\n")),
    "Content-Length no number": (400, request(more="Content-Length: five\r\n")),
    "chunked not last": (400, request(more="Transfer-Encoding: chunked, gzip\r\n")),
    "not chunked at all": (400, request(more="Transfer-Encoding: gzip\r\n")),
    "Transfer-Encoding in HTTP/1.0": (
        400,
        request(version="HTTP/1.0", more="Transfer-Encoding: chunked\r\n"),
    ),
    # Another path.
    "the root": (404, request("/")),
    "a final slash": (404, request(f"{PATH}/")),
    "upper case": (404, request(PATH.upper())),
    "a query": (404, request(f"{PATH}?x=1")),
    "an empty query": (404, request(f"{PATH}?")),
    "a fragment": (404, request(f"{PATH}#x")),
    "percent-encoded": (404, request("/%2Ewell-known/mta-sts.txt")),
    "two slashes": (404, request(f"/{PATH}")),
    "dot segments": (404, request(f"/x/..{PATH}")),
    "a file of the system": (404, request("/.well-known/../../etc/passwd")),
    "absolute form without a path": (404, request(f"https://{HOST}")),
    "HEAD of another path": (404, request("/", method="HEAD")),
    # Other methods.
    "POST": (405, request(method="POST")),
    "POST with a body": (405, request(method="POST", more="Content-Length: 3\r\n") + b"a=1"),
    "PUT": (405, request(method="PUT")),
    "DELETE": (405, request(method="DELETE")),
    "PATCH": (405, request(method="PATCH")),
    "TRACE": (405, request(method="TRACE")),
    "OPTIONS": (405, request(method="OPTIONS")),
    "OPTIONS *": (405, request("*", method="OPTIONS")),
    "CONNECT": (405, request(f"{HOST}:443", method="CONNECT")),
    # Sizes.
    "a body": (413, request(more="Content-Length: 5\r\n") + b"hello"),
    "a body that is waited for": (
        413,
        request(more="Content-Length: 5\r\nExpect: 100-continue\r\n"),
    ),
    "a chunked body": (413, request(more="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"),
    "a Content-Length beyond 64 bits": (413, request(more=f"Content-Length: {'9' * 40}\r\n")),
    "a long target": (414, request("/" + "x" * 5000)),
    "a long method": (501, request(method="X" * 5000)),
    "a long field": (431, request(more=f"X: {'x' * 9000}\r\n")),
    "many fields": (431, request(more="X: y\r\n" * 1500)),
    "a head of 9 KB without an end": (431, request(more="X: y\r\n" * 1500)[:-2]),
    # Another host.
    "an unknown host": (421, request(host=UNKNOWN)),
    "a host other than in the handshake": (421, request(host=OTHER)),
    "absolute form, a host other than in the handshake": (421, request(f"https://{OTHER}{PATH}")),
    "absolute form, scheme http": (421, request(f"http://{HOST}{PATH}")),
    "the mail domain": (421, request(host="example.com")),
    "an address": (421, request(host="127.0.0.1")),
    "an IPv6 address": (421, request(host="[::1]:443")),
    "a host with underscores": (421, request(host="mta_sts.example.com")),
    # What this server does not know.
    "a method of no standard": (501, request(method="BREW")),
    "a method in lower case": (501, request(method="get")),
    "a transfer coding": (501, request(more="Transfer-Encoding: gzip, chunked\r\n")),
    "HTTP/2.0": (505, request(version="HTTP/2.0")),
    "HTTP/0.9": (505, request(version="HTTP/0.9")),
    "the HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
}


def table(rows):
    return pytest.mark.parametrize("row", rows.values(), ids=rows.keys())


def check_fields(response, length):
    """All fields of DESIGN section 6 and no other: no Location, no ETag, no Server."""
    date = response.fields.pop("Date")
    parsed = parsedate_to_datetime(date)
    assert date == format_datetime(parsed.astimezone(timezone.utc), usegmt=True)
    assert abs((datetime.now(timezone.utc) - parsed).total_seconds()) < 10 * SCALE
    more = {"Allow": "GET, HEAD"} if response.status == 405 else {}
    assert response.fields == FIELDS | more | {"Content-Length": str(length)}


@table(ANSWERED)
def test_answers(site, trust, row):
    response = ask(site.address, trust, row)
    assert (response.status, response.reason) == (200, "OK")
    assert response.body == TESTING_BODY
    check_fields(response, len(TESTING_BODY))


@table(REFUSED)
def test_refuses(site, trust, row):
    status, octets = row
    response = ask(site.address, trust, octets)
    reason, text = REASONS[status]
    body = f"{status} {reason}: {text}\n".encode()
    assert (response.status, response.reason) == (status, reason)
    assert response.body == (b"" if octets.startswith(b"HEAD ") else body)
    check_fields(response, len(body))


def test_head_has_the_fields_of_get_and_no_body(site, trust):
    response = ask(site.address, trust, request(method="HEAD"))
    assert response.status == 200
    assert response.body == b""
    check_fields(response, len(TESTING_BODY))


def test_response_is_exact_in_every_byte(site, trust):
    response = ask(site.address, trust)
    assert re.sub(r"Date: [^\r]*", "Date: -", response.head) == (
        "HTTP/1.1 200 OK\r\n"
        "Date: -\r\n"
        "Content-Type: text/plain\r\n"
        f"Content-Length: {len(TESTING_BODY)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close"
    )


def test_each_host_has_its_own_policy(site, trust):
    for host, body in ((HOST, TESTING_BODY), (OTHER, TESTING_BODY)):
        assert ask(site.address, trust, request(host=host), sni=host).body == body
    host = "mta-sts.example.org"
    assert ask(site.address, trust, request(host=host), sni=host).body == ENFORCED_BODY


def test_without_sni_the_host_field_decides(site, pki):
    settings = without_sni(context(pki.root))
    for host, body in ((OTHER, TESTING_BODY), ("mta-sts.example.org", ENFORCED_BODY)):
        response = ask(site.address, settings, request(host=host), sni=None)
        assert (response.status, response.body) == (200, body)


def test_without_sni_and_host_there_is_no_policy(site, pki):
    octets = request(host=None, version="HTTP/1.0")
    assert ask(site.address, without_sni(context(pki.root)), octets, sni=None).status == 421


@pytest.mark.parametrize("cut", range(1, len(REQUEST)))
def test_cut_in_two_records_the_request_is_the_same(site, trust, cut):
    with Connection(site.address, trust).handshake() as connection:
        connection.send(REQUEST[:cut])
        connection.send(REQUEST[cut:])
        assert connection.response().body == TESTING_BODY


def test_one_byte_a_record_the_request_is_the_same(site, trust):
    with Connection(site.address, trust).handshake() as connection:
        for byte in REQUEST:
            connection.send(bytes([byte]))
        assert connection.response().body == TESTING_BODY


@pytest.mark.parametrize("cut", [0, 1], ids=["one record", "two records"])
def test_pipelined_requests_get_one_answer(site, trust, cut):
    with Connection(site.address, trust).handshake() as connection:
        for octets in ([REQUEST, REQUEST] if cut else [REQUEST * 2]):
            connection.send(octets)
        assert connection.read_to_end().octets.count(b"HTTP/1.1 ") == 1


def test_a_client_that_goes_on_sending_gets_its_answer(site, trust):
    with Connection(site.address, trust).handshake() as connection:
        for _ in range(12):
            connection.send(b"x" * 16000)
        assert connection.response().status == 501


def test_the_end_is_told_with_the_answer(site, trust):
    """FIN comes at once and not when the server has stopped waiting for the client's: a second."""
    seconds = []
    for _ in range(3):
        with Connection(site.address, trust).handshake() as connection:
            connection.send(REQUEST)
            started = time.monotonic()
            connection.response()
            seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.8


@pytest.mark.parametrize("leave", [True, False], ids=["leaves", "waits for the deadline"])
def test_a_client_without_an_answer_is_told_the_end(serve, pki, version, leave):
    """RFC 8446 section 6.1, RFC 9112 section 9.8."""
    server = serve(timeout=SCALE)
    with Connection(server.address, context(pki.root, version)).handshake() as connection:
        connection.send(REQUEST[:20])
        if leave:
            connection.leave()
        else:
            assert connection.read_to_end() == (b"", True)
    server.wait_for(f"event={'closed' if leave else 'timeout'} state=request ")


def test_log_has_a_line_for_each_answer(site, trust):
    for octets, status, domain in (
        (request(more="User-Agent: a test\r\n"), 200, "example.com"),
        (request("/", more="User-Agent: a test\r\n"), 404, "example.com"),
    ):
        since = site.mark()
        response = ask(site.address, trust, octets)
        assert response.status == status
        version = "1[.][23]"
        site.wait_for(
            f"^level=info event=fetch domain={domain} status={status} client=127[.]0[.]0[.]1 "
            f'tls={version} ms=[0-9]+( host=[a-z.-]+)? agent="a test"$',
            since,
        )


def test_log_escapes_what_a_client_chose(site, trust):
    since = site.mark()
    ask(site.address, trust, request(more='User-Agent: "\\ level=error \xff\r\n'))
    line = site.wait_for("event=fetch ", since)
    assert line.endswith(r'agent="\"\x5c level=error \xff"')


def test_log_cuts_a_long_agent(site, trust):
    since = site.mark()
    ask(site.address, trust, request(more=f"User-Agent: {'a' * 4000}\r\n"))
    assert len(site.wait_for("event=fetch ", since)) < 400
