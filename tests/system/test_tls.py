# SPDX-License-Identifier: MIT
"""TLS: names, versions, suites, protocols; nothing is kept from one connection to the next; bytes
that are no TLS end their own connection and no other."""
import random
import re
import socket
import ssl
import statistics
import subprocess
import time

import pytest
from client import (
    ALERT_HANDSHAKE_FAILURE,
    ALERT_NO_APPLICATION_PROTOCOL,
    ALERT_PROTOCOL_VERSION,
    ALERT_UNRECOGNIZED_NAME,
    HOST,
    REQUEST,
    V1_2,
    V1_3,
    Connection,
    ask,
    connect,
    context,
    is_gone,
    request,
    without_sni,
)
from policies import TESTING_BODY
from process import DEADLINE

RSA_HOST = "mta-sts.example.org"
SUITES = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"]
REFUSED_SUITES = [
    "AES128-GCM-SHA256",
    "AES256-SHA",
    "DHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-CAMELLIA128-SHA256",
]
WEAK = "@SECLEVEL=0"


def refusal(site, settings, sni=HOST):
    """A handshake that must fail: the alert and the reason in the log."""
    since = site.mark()
    with Connection(site.address, settings, sni) as connection:
        with pytest.raises(ssl.SSLError):
            connection.handshake()
        line = site.wait_for("event=handshake_failed ", since)
        assert " client=127.0.0.1 " in line
        return connection.alert(), re.search(r" reason=(\S+)", line).group(1)


def test_newest_version_is_negotiated(site, trust, has_tls13):
    with Connection(site.address, trust).handshake() as connection:
        assert connection.tls.version() == ("TLSv1.3" if has_tls13 else "TLSv1.2")


def test_tls_1_2_is_spoken(site, pki):
    with Connection(site.address, context(pki.root, V1_2)).handshake() as connection:
        assert connection.tls.version() == "TLSv1.2"
        connection.send(REQUEST)
        assert connection.response().body == TESTING_BODY


def test_tls_1_3_is_spoken_by_the_library_that_has_it(site, pki, has_tls13):
    settings = context(pki.root, V1_3)
    if not has_tls13:
        # To a TLS 1.2 server such a client looks like one that has no suite of TLS 1.2.
        assert refusal(site, settings) == (ALERT_HANDSHAKE_FAILURE, "no_shared_cipher")
        assert site.find_all('event=tls text=".*TLS 1.2 only')
        return
    since = site.mark()
    assert ask(site.address, settings).body == TESTING_BODY
    site.wait_for("event=fetch .* tls=1.3 ", since)


def test_fifty_fetches_in_a_row_are_answered(site, pki, version, measure):
    settings, seconds = context(pki.root, version), []
    for _ in range(50):
        started = time.monotonic()
        assert ask(site.address, settings).body == TESTING_BODY
        seconds.append(time.monotonic() - started)
    measure(f"a fetch over {version.name}: {1000 * statistics.median(seconds):.1f} ms (median of 50)")


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_older_versions_are_refused(site, pki, old):
    settings = context(pki.root, old, f"ALL:{WEAK}")
    assert refusal(site, settings) == (ALERT_PROTOCOL_VERSION, "protocol_version")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("host", [HOST, RSA_HOST], ids=["ECDSA", "RSA"])
def test_each_allowed_suite_of_tls_1_2_works(site, pki, suite, host):
    name = f"ECDHE-{'RSA' if host == RSA_HOST else 'ECDSA'}-{suite}"
    settings = context(pki.root, V1_2, name)
    with Connection(site.address, settings, host).handshake() as connection:
        assert connection.tls.cipher()[0] == name
        connection.send(request(host=host))
        assert connection.response().status == 200


@pytest.mark.parametrize("suite", REFUSED_SUITES)
def test_other_suites_are_refused(site, pki, suite):
    host = HOST if "ECDSA" in suite else RSA_HOST
    settings = context(pki.root, V1_2, f"{suite}:{WEAK}")
    alert, reason = refusal(site, settings, host)
    assert alert is not None
    assert reason == "no_shared_cipher"


def test_a_suite_for_the_other_kind_of_key_is_refused(site, pki):
    settings = context(pki.root, V1_2, "ECDHE-RSA-AES128-GCM-SHA256")
    assert refusal(site, settings, HOST)[1] == "no_shared_cipher"


def test_nothing_is_compressed(site, pki):
    with Connection(site.address, context(pki.root, V1_2)).handshake() as connection:
        assert connection.tls.compression() is None


@pytest.mark.parametrize("name", [HOST, HOST.upper(), "Mta-Sts.Example.COM"])
def test_sni_is_compared_without_case(site, trust, name):
    with Connection(site.address, trust, name) as connection:
        hello = connection.hello()
        assert name.encode() in hello
        connection.socket.sendall(hello)
        connection.handshake()
        connection.send(REQUEST)
        assert connection.response().body == TESTING_BODY


@pytest.mark.parametrize(
    "name",
    ["example.com", "mta-sts.example.invalid", "a.mta-sts.example.com", "x" * 63 + ".example.com"],
)
def test_unknown_sni_gets_unrecognized_name(site, version, pki, name):
    settings = context(pki.root, version)
    assert refusal(site, settings, name) == (ALERT_UNRECOGNIZED_NAME, "unrecognized_name")


def test_sni_chooses_the_certificate(site, pki):
    for host, other in ((HOST, RSA_HOST), (RSA_HOST, HOST)):
        with Connection(site.address, context(pki.root), host).handshake() as connection:
            names = [name for _, name in connection.tls.getpeercert()["subjectAltName"]]
            assert host in names and other not in names


def test_without_sni_the_first_certificate_is_served(site, pki):
    settings = without_sni(context(pki.root))
    with Connection(site.address, settings, None).handshake() as connection:
        assert ("DNS", HOST) in connection.tls.getpeercert()["subjectAltName"]


@pytest.mark.parametrize("offer", [["http/1.1"], ["h2", "http/1.1"], ["http/1.0", "http/1.1"]])
def test_http_1_1_is_chosen_where_it_is_offered(site, pki, version, offer):
    settings = context(pki.root, version, alpn=offer)
    with Connection(site.address, settings).handshake() as connection:
        assert connection.tls.selected_alpn_protocol() == "http/1.1"
        connection.send(REQUEST)
        assert connection.response().status == 200


@pytest.mark.parametrize("offer", [["h2"], ["http/1.0", "acme-tls/1"]])
def test_other_protocols_alone_are_refused(site, pki, version, offer, has_tls13):
    alert, reason = refusal(site, context(pki.root, version, alpn=offer))
    assert alert == ALERT_NO_APPLICATION_PROTOCOL
    # Mbed TLS 2.28 says no more than that it did not like the ClientHello.
    assert reason == "no_application_protocol" or (reason == "client_hello" and not has_tls13)


def test_without_alpn_no_protocol_is_chosen(site, pki, version):
    with Connection(site.address, context(pki.root, version)).handshake() as connection:
        assert connection.tls.selected_alpn_protocol() is None
        connection.send(REQUEST)
        assert connection.response().status == 200


def test_no_session_is_resumed_and_no_ticket_given(site, pki, version):
    settings = context(pki.root, version)
    session = None
    for _ in range(3):
        with Connection(site.address, settings, session=session).handshake() as connection:
            assert not connection.tls.session_reused
            connection.send(REQUEST)
            connection.response()
            session = connection.tls.session
            assert session is None or not session.has_ticket


def test_renegotiation_is_refused(site, pki, fetch):
    since = site.mark()
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-servername", HOST]
        + ["-CAfile", str(pki.root), "-tls1_2"],
        input=b"R\n",
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert b"RENEGOTIATING" in result.stderr
    assert b"no renegotiation" in result.stderr
    site.wait_for("state=request ", since)
    fetch(site)


def test_a_client_that_does_not_trust_us_is_logged(site, version):
    since = site.mark()
    with Connection(site.address, context(version=version)) as connection:
        with pytest.raises(ssl.SSLCertVerificationError):
            connection.handshake()
        site.wait_for(
            "event=handshake_failed state=handshake reason=alert_unknown_ca "
            f"client=127.0.0.1 tls=- ms=[0-9]+ host={HOST}$",
            since,
        )


def test_alert_of_an_unknown_kind_keeps_its_number(site, pki):
    since = site.mark()
    with Connection(site.address, context(pki.root, V1_2)) as connection:
        connection.socket.sendall(connection.hello() + b"\x15\x03\x03\x00\x02\x02\xee")
        assert is_gone(connection.socket)
    site.wait_for(r"event=handshake_failed .*reason=alert_238 ", since)


# An SSLv2 ClientHello that offers SSLv2 and TLS 1.0, with a challenge of 16 octets.
SSL2_HELLO = bytes.fromhex("802e0100020015000000100100800700c0030080") + bytes(28)
# A TLS 1.2 ClientHello of the record layer of SSL 3.0 that says SSL 3.0 within.
SSL3_HELLO = bytes.fromhex("160300002d010000290300") + bytes(32) + bytes.fromhex("000002002f0100")
STRANGERS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "SMTP": b"EHLO mail.example.com\r\nSTARTTLS\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "SSLv2": SSL2_HELLO,
    "SSL 3.0": SSL3_HELLO,
    "an empty handshake": b"\x16\x03\x01\x00\x00",
    "a record too long": b"\x16\x03\x01\xff\xff" + bytes(70000),
    "application data first": b"\x17\x03\x03\x00\x10" + bytes(16),
    "ChangeCipherSpec first": b"\x14\x03\x03\x00\x01\x01",
    "a ServerHello": b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
    "a hello of 16 MB": b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    "zeros": bytes(2000),
    "one byte": b"\x16",
}
OUTCOME = r"event=(handshake_failed|closed) state=handshake reason=\S+ client="


def send_and_leave(address, octets):
    """Sends, says that no more comes, and waits for the end of the connection."""
    with connect(address) as plain:
        try:
            plain.sendall(octets)
            plain.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert is_gone(plain)


@pytest.mark.parametrize("octets", STRANGERS.values(), ids=STRANGERS.keys())
def test_bytes_of_another_protocol_end_the_connection(site, fetch, octets):
    since = site.mark()
    send_and_leave(site.address, octets)
    site.wait_for(OUTCOME, since)
    fetch(site)


@pytest.mark.parametrize(
    "octets",
    [STRANGERS[name] for name in ("HTTP", "SSLv2", "a record too long")],
    ids=["HTTP", "SSLv2", "a record too long"],
)
def test_what_cannot_be_tls_is_not_waited_for(site, octets):
    with connect(site.address) as plain:
        plain.sendall(octets)
        assert is_gone(plain)


def test_random_bytes_end_their_connections(site, fetch):
    dice = random.Random(8461)
    since = site.mark()
    for _ in range(100):
        send_and_leave(site.address, dice.randbytes(dice.randint(1, 3000)))
    site.wait_for(OUTCOME, since, count=100)
    fetch(site)


def test_damaged_hellos_end_their_connections(site, trust, fetch):
    """Some of them are still good enough for an answer; none may harm the others."""
    dice = random.Random(8460)
    since = site.mark()
    for _ in range(200):
        with Connection(site.address, trust) as connection:
            hello = bytearray(connection.hello())
        for _ in range(dice.randint(1, 4)):
            hello[dice.randrange(5, len(hello))] = dice.randrange(256)
        send_and_leave(site.address, bytes(hello))
    site.wait_for(OUTCOME, since, count=200)
    fetch(site)


def test_a_hello_cut_short_anywhere_ends_its_connection(site, trust, fetch):
    with Connection(site.address, trust) as connection:
        hello = connection.hello()
    since = site.mark()
    cuts = range(1, len(hello), 3)
    for cut in cuts:
        send_and_leave(site.address, hello[:cut])
    site.wait_for(OUTCOME, since, count=len(cuts))
    fetch(site)


def test_damaged_records_after_the_handshake_end_the_connection(site, trust, fetch):
    since = site.mark()
    with Connection(site.address, trust).handshake() as connection:
        connection.tls.write(REQUEST)
        octets = bytearray(connection.outgoing.read())
        octets[-1] ^= 1
        connection.socket.sendall(octets)
        assert is_gone(connection.socket)
    site.wait_for("event=request_failed state=request reason=bad_record_mac ", since)
    fetch(site)


def test_a_client_that_leaves_after_the_handshake_is_logged(site, trust):
    since = site.mark()
    with Connection(site.address, trust).handshake():
        pass
    site.wait_for("event=closed state=request reason=closed ", since)
