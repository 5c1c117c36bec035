# SPDX-License-Identifier: MIT
"""After the handshake: every kind of record and message that a client may send under its keys or
beside them, before its request. Each either changes nothing or ends that connection."""
import re
import ssl
import tempfile
from pathlib import Path

import forge
import pytest
from client import REQUEST, Connection, parse
from hello import (
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLOSE_NOTIFY, FATAL, FOR_BOTH, HANDSHAKE,
    HEARTBEAT, NO_RENEGOTIATION, TLS_1_2, USER_CANCELED, WARNING, alert, client_hello, message,
    record,
)
from policies import TESTING_BODY
from torture import witness

ANSWERED, ENDED = "answered", "ended"
# Of renegotiation TLS 1.2 may say no and go on (RFC 5246 section 7.2.2). OpenSSL then does not.
TOLD = "answered behind a warning"
RECORD_MAX = 16384


def data(octets):
    return APPLICATION_DATA, octets


def handshake(kind, body=b""):
    return HANDSHAKE, message(kind, body)


# What comes before the request, each a record under the client's keys; where two outcomes are
# given, of TLS 1.2 and of TLS 1.3.
INSIDE = {
    "nothing": ([], ANSWERED),
    "an empty record": ([data(b"")], ANSWERED),
    "two empty records": ([data(b"")] * 2, ANSWERED),
    "300 empty records": ([data(b"")] * 300, ENDED),
    "a warning": ([(ALERT, bytes([WARNING, USER_CANCELED]))], ANSWERED),
    "100 warnings": ([(ALERT, bytes([WARNING, USER_CANCELED]))] * 100, ANSWERED),
    "a warning of an unknown kind": ([(ALERT, bytes([WARNING, 255]))], ANSWERED),
    "no_renegotiation": ([(ALERT, bytes([WARNING, NO_RENEGOTIATION]))], ANSWERED),
    "close_notify": ([(ALERT, bytes([WARNING, CLOSE_NOTIFY]))], ENDED),
    "a fatal alert": ([(ALERT, bytes([FATAL, 80]))], ENDED),
    "a fatal close_notify": ([(ALERT, bytes([FATAL, CLOSE_NOTIFY]))], ENDED),
    "a fatal alert of an unknown kind": ([(ALERT, bytes([FATAL, 255]))], ENDED),
    "an alert of level 0": ([(ALERT, bytes([0, 80]))], ANSWERED),
    "an alert of level 3": ([(ALERT, bytes([3, 80]))], ANSWERED),
    "half an alert": ([(ALERT, bytes([FATAL]))], ENDED),
    "an alert of three octets": ([(ALERT, bytes([WARNING, USER_CANCELED, 0]))], ENDED),
    "an empty alert": ([(ALERT, b"")], ENDED),
    "two warnings in a record": ([(ALERT, bytes([WARNING, USER_CANCELED]) * 2)], ENDED),
    # Renegotiation, and other messages.
    "a ClientHello": ([(HANDSHAKE, client_hello(FOR_BOTH))], (TOLD, ENDED)),
    "a ClientHello of TLS 1.3": ([(HANDSHAKE, client_hello())], (TOLD, ENDED)),
    "a HelloRequest": ([handshake(0)], ENDED),
    "a ticket": ([handshake(4, bytes(50))], ENDED),
    "end of early data": ([handshake(5)], ENDED),
    "a certificate": ([handshake(11, bytes(50))], ENDED),
    "a second Finished": ([handshake(20, bytes(12))], ENDED),
    "an unknown message": ([handshake(99, b"abc")], ENDED),
    "half a message": ([(HANDSHAKE, b"\x01\x00\x01")], ENDED),
    "an empty message": ([(HANDSHAKE, b"")], ENDED),
    "a message of 16 MB": ([(HANDSHAKE, b"\x01\xff\xff\xff\x03\x03")], ENDED),
    # Mbed TLS has no KeyUpdate, which senders have no reason for in one request.
    "a KeyUpdate": ([handshake(24, b"\x00")], ENDED),
    "a KeyUpdate that wants another": ([handshake(24, b"\x01")], ENDED),
    "a KeyUpdate of an unknown kind": ([handshake(24, b"\x02")], ENDED),
    "ChangeCipherSpec": ([(CHANGE_CIPHER_SPEC, b"\x01")], (ENDED, ANSWERED)),
    "ChangeCipherSpec of 2": ([(CHANGE_CIPHER_SPEC, b"\x02")], ENDED),
    "a heartbeat": ([(HEARTBEAT, b"\x01\x00\x03abc" + bytes(16))], ENDED),
    "Heartbleed's heartbeat": ([(HEARTBEAT, b"\x01\x40\x00")], ENDED),
    "a record of type 0": ([(0, b"abc")], ENDED),
    "a record of type 255": ([(255, b"abc")], ENDED),
    "a record one octet too large": ([data(bytes(RECORD_MAX + 1))], ENDED),
}


def skip_a_number(forger):
    forger.sequence += 1


def repeat_a_number(forger):
    forger.send(APPLICATION_DATA, b"")
    forger.sequence -= 1


def spoil(at):
    def send(forger):
        octets = bytearray(forger.record(APPLICATION_DATA, b"GET /"))
        octets[at] ^= 1
        forger.connection.socket.sendall(octets)

    return send


def in_the_clear(octets):
    return lambda forger: forger.connection.socket.sendall(octets)


# The same for what is not, or not well, under the client's keys.
BESIDE = {
    "a number is left out": (skip_a_number, ENDED),
    "a number comes twice": (repeat_a_number, ENDED),
    "another type": (spoil(0), ENDED),
    "another length": (spoil(4), ENDED),
    "the first octet is spoilt": (spoil(5), ENDED),
    "the tag is spoilt": (spoil(-1), ENDED),
    "an alert in the clear": (in_the_clear(alert(FATAL, 80)), ENDED),
    "a warning in the clear": (in_the_clear(alert(WARNING, USER_CANCELED)), ENDED),
    "the request in the clear": (in_the_clear(record(REQUEST, APPLICATION_DATA, TLS_1_2)), ENDED),
    # RFC 8446 section 5 lets a client send one until the server's Finished has come.
    "ChangeCipherSpec in the clear": (
        in_the_clear(record(b"\x01", CHANGE_CIPHER_SPEC, TLS_1_2)), (ENDED, ANSWERED),
    ),
    "a ClientHello in the clear": (in_the_clear(record(client_hello())), ENDED),
    "a heartbeat in the clear": (in_the_clear(record(b"\1\x40\0", HEARTBEAT, TLS_1_2)), ENDED),
    "a record without room for a tag": (
        in_the_clear(record(bytes(5), APPLICATION_DATA, TLS_1_2)), ENDED,
    ),
    "an empty record": (in_the_clear(record(b"", APPLICATION_DATA, TLS_1_2)), ENDED),
    "a record of 2^14 + 257 octets": (
        in_the_clear(record(bytes(RECORD_MAX + 257), APPLICATION_DATA, TLS_1_2)), ENDED,
    ),
    "a record of 2^16 - 1 octets": (
        in_the_clear(record(bytes(65535), APPLICATION_DATA, TLS_1_2)), ENDED,
    ),
    "a record of SSL 3.0": (
        in_the_clear(record(bytes(50), APPLICATION_DATA, b"\x03\x00")), ENDED,
    ),
    "HTTP": (in_the_clear(REQUEST), ENDED),
    "zeros": (in_the_clear(bytes(2000)), ENDED),
}


@pytest.fixture
def forged(witness, pki, version, workspace):
    """Connects; yields who sends in the client's place, and the source."""
    with tempfile.TemporaryDirectory(dir=workspace) as directory:
        keylog = Path(directory) / "keys"
        source = witness.client()
        settings = forge.settings(pki.root, version, keylog)
        with Connection(witness.server.address, settings, source=source) as connection:
            yield forge.Forger(connection.handshake(), keylog), source


def answer(forger):
    """What comes up to the end, however it comes; and what OpenSSL finds fault with."""
    try:
        forger.send(APPLICATION_DATA, REQUEST)
        return forger.connection.read_to_end().octets, None
    except ssl.SSLError as error:
        return b"", error.reason
    except ConnectionError:
        return b"", None


def check(witness, forged, outcome):
    forger, source = forged
    octets, fault = answer(forger)
    line = witness.outcome(source)
    if isinstance(outcome, tuple):
        outcome = outcome[forger.is_1_3]
    if outcome == ENDED:
        assert octets == b""
        assert re.search(" event=(closed|request_failed) state=request reason=[a-z]", line)
        return
    assert "event=fetch domain=example.com status=200 " in line
    if outcome == TOLD:
        assert fault == "NO_RENEGOTIATION"
    else:
        assert parse(octets).body == TESTING_BODY


def table(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


@table(INSIDE)
def test_what_comes_before_a_request_changes_nothing_or_ends_it(witness, forged, case):
    sent, outcome = case
    for kind, octets in sent:
        try:
            forged[0].send(kind, octets)
        except ConnectionError:
            break
    check(witness, forged, outcome)


@table(BESIDE)
def test_what_is_not_under_the_keys_ends_the_connection(witness, forged, case):
    send, outcome = case
    send(forged[0])
    check(witness, forged, outcome)


@pytest.mark.parametrize("padding", [0, 1, 100, RECORD_MAX - len(REQUEST)])
def test_padding_is_taken_off(witness, forged, padding):
    """RFC 8446 section 5.4; TLS 1.2 has none, and there the request is sent as it is."""
    forger, source = forged
    forger.send(APPLICATION_DATA, REQUEST, padding)
    assert parse(forger.connection.read_to_end().octets).body == TESTING_BODY
    assert " status=200 " in witness.outcome(source)


@pytest.mark.parametrize("size", [1, 10, len(REQUEST) - 1])
def test_empty_records_within_a_request_do_no_harm(witness, forged, size):
    forger, source = forged
    for octets in (REQUEST[:size], b"", REQUEST[size:]):
        forger.send(APPLICATION_DATA, octets)
    assert parse(forger.connection.read_to_end().octets).body == TESTING_BODY
    assert " status=200 " in witness.outcome(source)


LATE = {
    "a fatal alert": (ALERT, bytes([FATAL, 80])),
    "half an alert": (ALERT, bytes([FATAL])),
    "a ClientHello": (HANDSHAKE, client_hello(FOR_BOTH)),
    "a heartbeat": (HEARTBEAT, b"\x01\x40\x00"),
    "a second request": (APPLICATION_DATA, REQUEST),
}


@table(LATE)
def test_what_comes_with_a_request_does_not_take_its_answer_away(witness, forged, case):
    forger, source = forged
    request = forger.record(APPLICATION_DATA, REQUEST)
    forger.connection.socket.sendall(request + forger.record(*case))
    assert parse(forger.connection.read_to_end().octets).body == TESTING_BODY
    assert " status=200 " in witness.outcome(source)


@pytest.mark.parametrize("sent", [b"", REQUEST[:30]], ids=["nothing", "half a request"])
def test_an_end_without_close_notify_is_no_request(witness, forged, sent):
    forger, source = forged
    if sent:
        forger.send(APPLICATION_DATA, sent)
    forger.connection.socket.shutdown(1)
    assert forger.connection.read_to_end().octets == b""
    assert "event=closed state=request reason=closed " in witness.outcome(source)


@pytest.mark.parametrize("said", [True, False], ids=["with close_notify", "without"])
def test_a_client_that_has_ended_its_side_still_gets_its_answer(witness, forged, said):
    forger, source = forged
    forger.send(APPLICATION_DATA, REQUEST)
    if said:
        forger.send(ALERT, bytes([WARNING, CLOSE_NOTIFY]))
    forger.connection.socket.shutdown(1)
    ending = forger.connection.read_to_end()
    assert ending.close_notify
    assert parse(ending.octets).body == TESTING_BODY
    assert " status=200 " in witness.outcome(source)
