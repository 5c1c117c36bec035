# SPDX-License-Identifier: MIT
"""ClientHellos, good and bad, octet by octet: what is answered, which alert refuses the others, and
that nothing is agreed to that this server must not have."""
import re

import hello
import pytest
from client import ALERT_HANDSHAKE_FAILURE, ALERT_PROTOCOL_VERSION, ALERT_UNRECOGNIZED_NAME, HOST
from hello import (
    EXTENDED_MASTER_SECRET, FATAL, FOR_BOTH, FOR_TLS_1_3, HEARTBEAT_ALLOWED, P256, P384,
    POINT_FORMATS, SESSION_TICKET, SIGNATURE_ALGORITHMS, SUITES, TLS_1_2, TLS_1_3, X25519, ask_raw,
    client_hello, extension, groups, key_share, record, server_name, vector, versions,
)
from torture import witness

SERVED, REFUSED = "a ServerHello", "no ServerHello"
# Neither, until the client has sent the last that it sends.
AWAITED = "no ServerHello yet"
ILLEGAL_PARAMETER, DECODE_ERROR = 47, 50
LINE = r"level=info event={} state=handshake reason=[a-z][a-z0-9_]* client="

BOTH = FOR_BOTH + FOR_TLS_1_3
NAMELESS = FOR_BOTH[1:]
OTHER = b"mta-sts.example.net"
HOSTNAME = HOST.encode()
OFFER_OF_PSK = extension(41, vector(vector(bytes(100)) + bytes(4)) + vector(vector(bytes(32), 1)))
PSK_WITH_DHE = extension(45, b"\x01\x01")
EARLY_DATA = extension(42)
EMPTY_SHARES = extension(51, b"\x00\x00")


def of_suites(numbers):
    return client_hello(FOR_BOTH, suites=bytes.fromhex(numbers))


def of_alpn(body):
    return client_hello(FOR_BOTH + (extension(16, body),))


# Where two are given: of Mbed TLS 2.28, for which all is TLS 1.2, and of 3.6. Some hellos that the
# RFC forbids are forgiven and served; what is agreed to is sound nevertheless.
HELLOS = {
    "the usual": (client_hello(), SERVED),
    "of TLS 1.2": (client_hello(FOR_BOTH), SERVED),
    # Versions.
    "version SSL 3.0": (client_hello(FOR_BOTH, b"\x03\x00"), ALERT_PROTOCOL_VERSION),
    "version TLS 1.0": (client_hello(FOR_BOTH, b"\x03\x01"), ALERT_PROTOCOL_VERSION),
    "version TLS 1.1": (client_hello(FOR_BOTH, b"\x03\x02"), ALERT_PROTOCOL_VERSION),
    "version 0.0": (client_hello(FOR_BOTH, b"\x00\x00"), ALERT_PROTOCOL_VERSION),
    "version 4.0": (client_hello(FOR_BOTH, b"\x04\x00"), ALERT_PROTOCOL_VERSION),
    "version 255.255": (
        client_hello(FOR_BOTH, b"\xff\xff"), (SERVED, ALERT_PROTOCOL_VERSION),
    ),
    "version SSL 2.0": (client_hello(FOR_BOTH, b"\x00\x02"), ALERT_PROTOCOL_VERSION),
    "only TLS 1.3": (client_hello(FOR_BOTH + (versions(TLS_1_3), key_share())), SERVED),
    "only TLS 1.1 in the list": (
        client_hello(FOR_BOTH + (versions(b"\x03\x02"),)),
        (SERVED, ALERT_PROTOCOL_VERSION),
    ),
    "unknown versions before ours": (
        client_hello(FOR_BOTH + (versions(b"\x7a\x7a", b"\x09\x09", TLS_1_2),)), SERVED,
    ),
    "an empty list of versions": (client_hello(FOR_BOTH + (versions(),)), (SERVED, REFUSED)),
    "half a version": (client_hello(FOR_BOTH + (extension(43, b"\3\3\4\3"),)), (SERVED, REFUSED)),
    # Suites.
    "no suites": (client_hello(suites=b""), REFUSED),
    "half a suite": (client_hello(suites=b"\x13\x01\xc0"), DECODE_ERROR),
    "NULL suites": (of_suites("0000 0001 0002 003b c006 c010 00ff"), ALERT_HANDSHAKE_FAILURE),
    "EXPORT suites": (of_suites("0003 0006 0008 000b 000e 0011 0014 0017 0062 0064 00ff"), 40),
    "anonymous suites": (of_suites("0018 001b 0034 006c c018 c019 00ff"), 40),
    "RC4 and 3DES": (of_suites("0004 0005 000a c007 c008 c011 c012 00ff"), 40),
    "suites of TLS 1.3 for TLS 1.2": (of_suites("1301 1302 1303 00ff"), 40),
    "pre-shared keys only": (of_suites("00a8 00ae c035 c036 ccab 00ff"), 40),
    "the signal of a fallback": (client_hello(FOR_BOTH, suites=SUITES + b"\x56\x00"), SERVED),
    "unknown suites first": (client_hello(suites=b"\x0a\x0a\xfa\xfa" + SUITES), SERVED),
    "7000 unknown suites first": (
        client_hello(FOR_BOTH, suites=b"\xab\xcd" * 7000 + SUITES), SERVED,
    ),
    # Compression and session.
    "no compression method": (client_hello(compression=b""), REFUSED),
    "DEFLATE and none": (client_hello(FOR_BOTH, compression=b"\x01\x00"), SERVED),
    "DEFLATE only": (client_hello(FOR_BOTH, compression=b"\x01"), SERVED),
    "DEFLATE and none for TLS 1.3": (
        client_hello(compression=b"\x01\x00"), (SERVED, ILLEGAL_PARAMETER),
    ),
    "255 compression methods": (client_hello(FOR_BOTH, compression=bytes(range(255))), REFUSED),
    "a session of 32 octets": (client_hello(session=bytes(32)), SERVED),
    "a session to resume in TLS 1.2": (client_hello(FOR_BOTH, session=bytes(range(32))), SERVED),
    "a session of 33 octets": (client_hello(session=bytes(33)), REFUSED),
    "a session of 255 octets": (client_hello(session=bytes(255)), REFUSED),
    # Extensions.
    "no extensions": (client_hello(b""), REFUSED),
    "an empty block of extensions": (client_hello(()), ALERT_HANDSHAKE_FAILURE),
    "100 unknown extensions": (
        client_hello(BOTH + tuple(extension(30000 + i, b"x" * 7) for i in range(100))), SERVED,
    ),
    "GREASE": (client_hello((extension(0x0A0A),) + BOTH + (extension(0xFAFA, b"\0"),)), SERVED),
    "the same name twice": (client_hello(BOTH + (server_name(),)), SERVED),
    "another name in a second extension": (client_hello(BOTH + (server_name(OTHER),)), 112),
    "two lists of groups": (client_hello(BOTH + (groups(P256),)), (DECODE_ERROR, SERVED)),
    "two lists of shares": (client_hello(BOTH + (key_share(),)), SERVED),
    "the extension of Heartbleed": (client_hello(BOTH + (HEARTBEAT_ALLOWED,)), SERVED),
    "heartbeat in TLS 1.2": (client_hello(FOR_BOTH + (HEARTBEAT_ALLOWED,)), SERVED),
    "a wish for a ticket": (client_hello(FOR_BOTH + (SESSION_TICKET,)), SERVED),
    "a ticket": (client_hello(FOR_BOTH + (extension(35, bytes(range(180))),)), SERVED),
    "a wish for a stapled answer": (
        client_hello(FOR_BOTH + (extension(5, b"\x01\x00\x00\x00\x00"),)), SERVED,
    ),
    "truncated HMAC": (client_hello(FOR_BOTH + (extension(4),)), SERVED),
    "an octet in an empty extension": (
        client_hello((server_name(),) + NAMELESS + (extension(23, b"x"),)), DECODE_ERROR,
    ),
    "extended master secret": (client_hello(FOR_BOTH + (EXTENDED_MASTER_SECRET,)), SERVED),
    "renegotiation, though it is the first": (
        client_hello(FOR_BOTH + (extension(0xFF01, vector(bytes(12), 1)),)), 40,
    ),
    "next protocol": (client_hello(FOR_BOTH + (extension(13172),)), SERVED),
    "a cookie that nobody gave": (client_hello(BOTH + (extension(44, vector(b"abc")),)), SERVED),
    # Protocols.
    "an empty ALPN": (of_alpn(b""), DECODE_ERROR),
    "an empty list of protocols": (of_alpn(b"\x00\x00"), REFUSED),
    "an empty protocol": (of_alpn(vector(b"\x00")), DECODE_ERROR),
    "half a protocol": (of_alpn(vector(b"\x09http")), DECODE_ERROR),
    "h2 only": (of_alpn(vector(vector(b"h2", 1))), 120),
    "HTTP/1.1 in upper case": (of_alpn(vector(vector(b"HTTP/1.1", 1))), 120),
    "http/1.1 with NUL": (of_alpn(vector(vector(b"http/1.1\0", 1))), 120),
    # Groups, shares, signatures.
    "no groups": (client_hello((server_name(), SIGNATURE_ALGORITHMS)), 40),
    "unknown groups": (
        client_hello((server_name(), groups(b"\x00\x01", b"\x00\x1a"), SIGNATURE_ALGORITHMS)), 40,
    ),
    "signatures with SHA-1 and MD5": (
        client_hello((server_name(), NAMELESS[0], extension(13, vector(b"\2\3\2\1\1\1\1\3")))), 40,
    ),
    "no signatures for TLS 1.3": (
        client_hello((server_name(), groups(X25519)) + FOR_TLS_1_3), REFUSED,
    ),
    "compressed points only": (
        client_hello((server_name(), groups(P256), extension(11, b"\1\1"), NAMELESS[2])), SERVED,
    ),
    "a share of five octets": (
        client_hello(FOR_BOTH + (versions(TLS_1_3), key_share(X25519, bytes(5)))),
        (SERVED, REFUSED),
    ),
    "a share of zero": (
        client_hello(FOR_BOTH + (versions(TLS_1_3), key_share(X25519, bytes(32)))),
        (SERVED, REFUSED),
    ),
    "a share that is no point": (
        client_hello(FOR_BOTH + (versions(TLS_1_3), key_share(P256, b"\4" + bytes(64)))),
        (SERVED, REFUSED),
    ),
    "no shares for TLS 1.3": (client_hello(FOR_BOTH + (versions(TLS_1_3),)), (SERVED, REFUSED)),
    # Pre-shared keys and early data.
    "early data without a key": (client_hello(BOTH + (EARLY_DATA,)), SERVED),
    "a pre-shared key": (client_hello(BOTH + (PSK_WITH_DHE, OFFER_OF_PSK)), SERVED),
    "a pre-shared key and early data": (
        client_hello(BOTH + (PSK_WITH_DHE, EARLY_DATA, OFFER_OF_PSK)), SERVED,
    ),
    "a pre-shared key that is not last": (
        client_hello(BOTH + (PSK_WITH_DHE, OFFER_OF_PSK, EARLY_DATA)),
        (SERVED, ILLEGAL_PARAMETER),
    ),
    "a pre-shared key without its modes": (
        client_hello(BOTH + (OFFER_OF_PSK,)), (SERVED, ILLEGAL_PARAMETER),
    ),
    "a pre-shared key without a share": (
        client_hello(FOR_BOTH + (versions(TLS_1_3), extension(45, b"\1\0"), OFFER_OF_PSK)),
        (SERVED, REFUSED),
    ),
    # A HelloRetryRequest; what follows it is below.
    "a retry": (client_hello(FOR_BOTH + (versions(TLS_1_3), EMPTY_SHARES)), SERVED),
}

NAMES = {
    "in upper case": (server_name(HOSTNAME.upper()), SERVED),
    "with NUL within": (server_name(HOSTNAME + b"\0.example.net"), ALERT_UNRECOGNIZED_NAME),
    "with NUL behind": (server_name(HOSTNAME + b"\0"), ALERT_UNRECOGNIZED_NAME),
    "empty": (server_name(b""), ALERT_UNRECOGNIZED_NAME),
    "of 253 octets": (server_name(b".".join([b"a" * 63] * 3 + [b"a" * 61])), 112),
    "of 254 octets": (server_name(b".".join([b"a" * 63] * 3 + [b"a" * 62])), 112),
    "of 255 octets": (server_name(b"a" * 255), ALERT_UNRECOGNIZED_NAME),
    "of 256 octets": (server_name(b"a" * 256), ALERT_UNRECOGNIZED_NAME),
    "of 10,000 octets": (server_name(b"a" * 10000), ALERT_UNRECOGNIZED_NAME),
    "an IPv4 address": (server_name(b"127.0.0.1"), ALERT_UNRECOGNIZED_NAME),
    "an IPv6 address": (server_name(b"[::1]"), ALERT_UNRECOGNIZED_NAME),
    "with a final dot": (server_name(HOSTNAME + b"."), ALERT_UNRECOGNIZED_NAME),
    "with a dot first": (server_name(b"." + HOSTNAME), ALERT_UNRECOGNIZED_NAME),
    "with a port": (server_name(HOSTNAME + b":443"), ALERT_UNRECOGNIZED_NAME),
    "with a blank": (server_name(HOSTNAME + b" "), ALERT_UNRECOGNIZED_NAME),
    "with a line end": (server_name(HOSTNAME + b"\r\n"), ALERT_UNRECOGNIZED_NAME),
    "in UTF-8": (server_name(b"mta-sts.ex\xc3\xa4mple.com"), ALERT_UNRECOGNIZED_NAME),
    "a wildcard": (server_name(b"*.example.com"), ALERT_UNRECOGNIZED_NAME),
    "of octets above ASCII": (server_name(b"\xff" * 20), ALERT_UNRECOGNIZED_NAME),
    "an extension without a list": (extension(0), DECODE_ERROR),
    "an empty list": (extension(0, b"\x00\x00"), SERVED),
    "two, ours first": (
        extension(0, vector(b"\0" + vector(HOSTNAME) + b"\0" + vector(OTHER))), SERVED,
    ),
    "two, an unknown one first": (
        extension(0, vector(b"\0" + vector(b"a.example") + b"\0" + vector(HOSTNAME))), 112,
    ),
    "of another type": (server_name(kind=1), SERVED),
    "of another type, then ours": (
        extension(0, vector(b"\xff" + vector(b"x") + b"\0" + vector(HOSTNAME))), SERVED,
    ),
}
HELLOS |= {
    f"name {what}, {version}": (client_hello((name,) + NAMELESS + more), outcome)
    for what, (name, outcome) in NAMES.items()
    for version, more in (("TLS 1.2", ()), ("TLS 1.3", FOR_TLS_1_3))
}


def check(witness, octets, outcome):
    """Sends it and looks at the answer, in the clear, and at the line in the log."""
    source = witness.client()
    answer = ask_raw(witness.server.address, octets, source)
    served = answer.message == 2
    line = witness.outcome(source)
    ended = served or outcome == AWAITED
    assert re.match(LINE.format("closed" if ended else "handshake_failed"), line)
    if served:
        numbers, compression = hello.server_extensions(answer.records[0][1])
        assert compression == 0
        # Of name, groups, point formats, master secret, versions, share, renegotiation only.
        assert set(numbers) <= {0, 10, 11, 23, 43, 51, 0xFF01}
    else:
        assert answer.message is None
        assert all(payload[0] == FATAL for _, payload in answer.records)
    if isinstance(outcome, int):
        assert answer.alert == outcome
    else:
        assert served == (outcome == SERVED)


@pytest.mark.parametrize("case", HELLOS.values(), ids=HELLOS.keys())
def test_each_hello_is_answered_or_refused(witness, has_tls13, case):
    message, outcome = case
    if isinstance(outcome, tuple):
        outcome = outcome[has_tls13]
    check(witness, record(message), outcome)


USUAL = record(client_hello(session=bytes(32)))
LENGTHS = {
    f"{field.name} {how}": (field, change)
    for field in hello.length_fields(USUAL)
    for how, change in (
        ("none", lambda length: 0),
        ("less", lambda length: length - 1),
        ("more", lambda length: length + 1),
        ("all", lambda length: -1),
    )
}


# Of 2.28 and of 3.6. 2.28 reads nothing of TLS 1.3. 3.6 does not mind what is left over behind a
# list, and reads no point formats for TLS 1.3, nor the versions behind the first that it knows.
SERVED_NEVERTHELESS = (
    "(list in extension 43|list of shares|share) .*",
    "list in extension 11 .*|list (in extension 10|of names|of shares) none|"
    "list in extension 43 less",
)
WAITED_FOR = ("record more", "record (less|more)|message (more|all)")


@pytest.mark.parametrize("name", LENGTHS)
def test_a_hello_with_a_wrong_length_within_is_refused_where_the_library_sees_it(
    witness, has_tls13, name
):
    field, change = LENGTHS[name]
    length = int.from_bytes(USUAL[field.at : field.at + field.size], "big")
    outcome = REFUSED
    if re.fullmatch(SERVED_NEVERTHELESS[has_tls13], name):
        outcome = SERVED
    elif re.fullmatch(WAITED_FOR[has_tls13], name):
        outcome = AWAITED
    check(witness, hello.with_length(USUAL, field, change(length)), outcome)


RETRY = client_hello(FOR_BOTH + (versions(TLS_1_3), EMPTY_SHARES))
AFTER_RETRY = {
    "the share": (client_hello(FOR_BOTH + (versions(TLS_1_3), key_share())), True),
    "no share again": (RETRY, False),
    "a share of another group": (
        client_hello(FOR_BOTH + (versions(TLS_1_3), key_share(P384, b"\4" + bytes(96)))), False,
    ),
    "another name": (
        client_hello((server_name(OTHER),) + NAMELESS + (versions(TLS_1_3), key_share())), False,
    ),
    "an unknown name": (
        client_hello((server_name(b"a.example"),) + NAMELESS + (versions(TLS_1_3), key_share())),
        False,
    ),
    "no extensions": (client_hello(()), False),
}


@pytest.mark.parametrize("case", AFTER_RETRY.values(), ids=AFTER_RETRY.keys())
def test_a_second_hello_must_be_what_was_asked_for(witness, has_tls13, case):
    """RFC 8446 section 4.1.4. For Mbed TLS 2.28 the first one was good, and no second is wanted."""
    second, good = case
    source = witness.client()
    answer = ask_raw(witness.server.address, record(RETRY) + record(second), source)
    answered = good and has_tls13
    event = "closed" if answered else "handshake_failed"
    assert re.match(LINE.format(event), witness.outcome(source))
    hellos = [payload for kind, payload in answer.records if (kind, payload[0]) == (22, 2)]
    assert len(hellos) == (2 if answered else 1)
