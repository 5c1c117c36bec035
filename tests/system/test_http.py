# SPDX-License-Identifier: MIT
"""HTTP over real TLS: the answer's octets, whose policy it is, how it ends, what is logged of it.
Which requests are answered with what: test_torture_http.py."""
import re
import time

import pytest
from client import HOST, REQUEST, Connection, ask, context, request, without_sni
from policies import ENFORCED_BODY, TESTING_BODY
from process import SCALE

UNKNOWN = "mta-sts.example.invalid"
OTHER = "mta-sts.example.net"  # has a policy, but is not the name in the handshake


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
