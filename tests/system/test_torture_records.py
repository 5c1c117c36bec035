# SPDX-License-Identifier: MIT
"""Before and during the handshake: garbage of every record type, hellos in all sorts of pieces,
records of all sizes, alerts and other messages where none belong."""
import random
import re

import pytest
from client import REQUEST, connect, is_gone
from hello import (
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLOSE_NOTIFY, FATAL, FOR_BOTH, FOR_TLS_1_3,
    HANDSHAKE, HEARTBEAT, HEARTBEAT_ALLOWED, TLS_1_2, USER_CANCELED, WARNING, alert, ask_raw,
    client_hello, extension, in_records, message, record, reply,
)
from process import WRAPPER
from torture import witness

RECORD_MAX = 16384
# Of types; under a wrapper, where each client takes its time, some of them.
NUMBERS = [*range(32), *range(32, 256, 16 if WRAPPER else 1)]
TYPES = {
    "ChangeCipherSpec": CHANGE_CIPHER_SPEC,
    "alert": ALERT,
    "handshake": HANDSHAKE,
    "application data": APPLICATION_DATA,
    "heartbeat": HEARTBEAT,
}
LINE = r"level=info event=(closed|handshake_failed) state=handshake reason=[a-z][a-z0-9_]* client="
BOTH = client_hello()
OF_1_2 = client_hello(FOR_BOTH)
HELLOS = pytest.mark.parametrize("hello", [OF_1_2, BOTH], ids=["TLS 1.2", "TLS 1.3"])


def ask(witness, octets):
    """What came back, and the line in the log, which is one of a handshake that came to nothing."""
    source = witness.client()
    answer = ask_raw(witness.server.address, octets, source)
    line = witness.outcome(source)
    assert re.match(LINE, line)
    # Nothing but its flight and alerts: no heartbeat, no answer of HTTP.
    assert {kind for kind, _ in answer.records} <= {
        CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA,
    }
    return answer, line


@pytest.mark.parametrize("kind", [kind for kind in NUMBERS if kind != HANDSHAKE])
def test_a_first_record_of_another_type_is_refused(witness, has_tls13, kind):
    answer, line = ask(witness, record(bytes([WARNING, USER_CANCELED]), kind) * 20)
    assert answer.message is None
    # Mbed TLS 3.6 goes on waiting behind a warning, until the client sends no more.
    assert ("event=closed " in line) == (kind == ALERT and has_tls13)


def test_a_client_that_sends_64_kilobytes_and_asks_for_nothing_is_gone(witness):
    warning = alert(WARNING, USER_CANCELED)
    _, line = ask(witness, record(OF_1_2) + warning * (65536 // len(warning) + 1))
    assert " reason=too_much_received " in line
    # One that has sent less is not.
    _, line = ask(witness, record(OF_1_2) + warning * (60000 // len(warning)))
    assert " reason=closed " in line


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES.keys())
def test_records_of_garbage_are_no_hello(witness, kind):
    dice = random.Random(8446 + kind)
    for _ in range(40):
        garbage = [dice.randbytes(dice.choice([1, 2, 4, 100, 3000])) for _ in range(3)]
        answer, _ = ask(witness, b"".join(record(octets, kind) for octets in garbage))
        assert answer.message is None


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_first_message_of_any_kind_but_a_hello_is_refused(witness, kind):
    answer, line = ask(witness, record(message(kind, BOTH[4:])))
    assert (answer.message == 2) == (kind == 1)
    assert ("event=handshake_failed " in line) == (kind != 1)


@pytest.mark.unwrapped("the same hello, some hundred times")
@HELLOS
def test_a_hello_in_two_segments_is_answered_wherever_it_is_cut(witness, hello):
    octets = record(hello)
    for cut in range(1, len(octets)):
        source = witness.client()
        with connect(witness.server.address, source) as plain:
            plain.sendall(octets[:cut])
            plain.sendall(octets[cut:])
            answer = b""
            while reply(answer).message is None:
                part = plain.recv(65536)
                assert part, f"refused when cut at {cut}"
                answer += part
        assert re.match(LINE, witness.outcome(source))


@HELLOS
def test_a_hello_that_ends_early_is_not_answered_wherever_it_ends(witness, hello):
    octets = record(hello)
    for cut in range(1, len(octets)):
        answer, line = ask(witness, octets[:cut])
        assert answer.records == []
        assert "event=closed state=handshake reason=closed " in line


# And whether Mbed TLS 3.6 answers; 2.28 answers none of them.
PIECES = {
    "one octet a record": (in_records(BOTH, 1), False),
    "three octets a record": (in_records(BOTH, 3), False),
    "all but one octet, then one": (in_records(BOTH, len(BOTH) - 1), True),
    "the header of the message, then the rest": (record(BOTH[:4]) + record(BOTH[4:]), True),
    "half a header, then the rest": (record(BOTH[:2]) + record(BOTH[2:]), False),
    "ChangeCipherSpec first": (record(b"\x01", CHANGE_CIPHER_SPEC) + record(OF_1_2), True),
    "garbage behind the hello in its message": (record(message(1, BOTH[4:] + b"x" * 20)), True),
}


@pytest.mark.parametrize("case", PIECES.values(), ids=PIECES.keys())
def test_a_hello_in_several_records_is_answered_or_refused_but_not_waited_for(
    witness, has_tls13, case
):
    octets, answered = case
    answer, line = ask(witness, octets)
    assert (answer.message == 2) == ("event=closed " in line) == (answered and has_tls13)


NO_HELLOS = {
    "an empty record, then a hello": record(b"") + record(BOTH),
    "1000 empty records": record(b"") * 1000,
    "1000 empty alerts": record(b"", ALERT) * 1000,
    "a record of 2^14 + 1 octets": record(message(1, bytes(RECORD_MAX - 3))),
    "a record of 2^14 + 257 octets": record(message(1, bytes(RECORD_MAX + 253))),
    "a record of 2^16 - 1 octets": record(message(1, bytes(65531))),
    "a message of 2^24 - 1 octets": record(b"\x01\xff\xff\xff" + bytes(1000)) + record(bytes(1000)),
    "a message of 30,000 octets": in_records(message(1, BOTH[4:] + bytes(30000)), RECORD_MAX),
    "a message of 60,000 octets": in_records(message(1, BOTH[4:] + bytes(60000)), 1000),
    "an extension of 40,000 octets": in_records(
        client_hello(FOR_BOTH + FOR_TLS_1_3 + (extension(30000, bytes(40000)),)), RECORD_MAX
    ),
    "a fatal alert": alert(FATAL, 80),
    "a fatal alert of an unknown kind": alert(FATAL, 255),
    "half an alert": record(b"\x02", ALERT),
    "an alert of three octets": record(b"\x02\x50\x00", ALERT),
    "100 warnings": alert(WARNING, USER_CANCELED) * 100,
    "the request": record(REQUEST, APPLICATION_DATA),
    "a heartbeat": record(b"\x01\x40\x00", HEARTBEAT) * 2,
}


# What Mbed TLS 3.6 goes on behind, until the client sends no more.
NO_HELLOS_YET = {"100 warnings", "a message of 2^24 - 1 octets"}


@pytest.mark.parametrize("name", NO_HELLOS)
def test_what_is_no_hello_is_not_answered_as_one(witness, has_tls13, name):
    answer, line = ask(witness, NO_HELLOS[name])
    assert answer.message is None
    assert ("event=closed " in line) == (has_tls13 and name in NO_HELLOS_YET)


def early_data(size, count):
    return record(bytes(range(256)) * (size // 256), APPLICATION_DATA, TLS_1_2) * count


PSK = extension(41, b"\x00\x0a\x00\x04abcd\x00\x00\x00\x00\x00\x21\x20" + bytes(32))
EARLY = FOR_BOTH + FOR_TLS_1_3 + (extension(45, b"\x01\x01"), extension(42), PSK)
BEHIND = {
    "a warning": alert(WARNING, USER_CANCELED),
    "100 warnings": alert(WARNING, USER_CANCELED) * 100,
    "close_notify": alert(WARNING, CLOSE_NOTIFY),
    "a fatal alert": alert(FATAL, 40),
    "a fatal alert of an unknown kind": alert(FATAL, 255),
    "half an alert": record(b"\x02", ALERT, TLS_1_2),
    "an alert of three octets": record(b"\x02\x28\x00", ALERT, TLS_1_2),
    "an empty alert": record(b"", ALERT, TLS_1_2),
    "the same hello": record(BOTH),
    "half a hello": record(BOTH)[:50],
    "ChangeCipherSpec": record(b"\x01", CHANGE_CIPHER_SPEC, TLS_1_2),
    "100 of ChangeCipherSpec": record(b"\x01", CHANGE_CIPHER_SPEC, TLS_1_2) * 100,
    "ChangeCipherSpec of 2": record(b"\x02", CHANGE_CIPHER_SPEC, TLS_1_2),
    "a Finished in the clear": record(message(20, bytes(12)), HANDSHAKE, TLS_1_2),
    "a certificate": record(message(11, b"\x00\x00\x00"), HANDSHAKE, TLS_1_2),
    "a key exchange with no point": record(message(16, b"\x00"), HANDSHAKE, TLS_1_2),
    "a key exchange of zeros": record(message(16, b"\x20" + bytes(32)), HANDSHAKE, TLS_1_2),
    "an empty message": record(b"", HANDSHAKE, TLS_1_2),
    "1000 empty messages": record(b"", HANDSHAKE, TLS_1_2) * 1000,
    "the request in the clear": record(REQUEST, APPLICATION_DATA, TLS_1_2),
    "Heartbleed's heartbeat": record(b"\x01\x40\x00", HEARTBEAT, TLS_1_2),
    "a heartbeat": record(b"\x01\x00\x03abc" + bytes(16), HEARTBEAT, TLS_1_2),
    "garbage": bytes(range(250, 256)) * 500,
    "HTTP": REQUEST,
    "early data": early_data(512, 1),
    "100 KB of early data": early_data(RECORD_MAX, 6),
}
FIRST = {
    "TLS 1.2": client_hello(FOR_BOTH + (HEARTBEAT_ALLOWED,)),
    "TLS 1.3": client_hello(FOR_BOTH + FOR_TLS_1_3 + (HEARTBEAT_ALLOWED,)),
    "TLS 1.3 with early data": client_hello(EARLY),
}


# What is no fault in itself, in TLS 1.2 and in TLS 1.3: it is the client that leaves.
LEAVES = (
    {"a warning", "100 warnings", "close_notify", "half a hello"},
    {"ChangeCipherSpec", "100 of ChangeCipherSpec", "half a hello"},
)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("name", BEHIND)
def test_behind_a_hello_nothing_in_the_clear_leads_further(witness, has_tls13, first, name):
    """The flight is answered by what no client may send; the handshake must come to nothing."""
    answer, line = ask(witness, record(FIRST[first]) + BEHIND[name])
    assert answer.message == 2
    is_1_3 = has_tls13 and first != "TLS 1.2"
    assert ("event=closed " in line) == (name in LEAVES[is_1_3])
    # Of one hello there is one answer, and none is sent for a heartbeat or early data.
    assert [payload[0] for kind, payload in answer.records if kind == HANDSHAKE].count(2) == 1


def test_fatal_alerts_are_not_waited_behind(witness, has_tls13):
    """The server ends it: the client has not said that it sends no more."""
    for octets, reason in (
        # Mbed TLS 2.28 sees in the first record nothing but that it is no hello.
        (alert(FATAL, 40), "alert_handshake_failure" if has_tls13 else "client_hello"),
        (record(OF_1_2) + alert(FATAL, 48), "alert_unknown_ca"),
    ):
        source = witness.client()
        with connect(witness.server.address, source) as plain:
            plain.sendall(octets)
            assert is_gone(plain)
        assert re.search(f" reason={reason} ", witness.outcome(source))
