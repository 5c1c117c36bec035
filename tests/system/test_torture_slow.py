# SPDX-License-Identifier: MIT
"""Clients that are slow in every state and in every way, all at once: each is gone at its deadline
and not before, and meanwhile the others are served."""
import itertools
import re
import select
import time
from concurrent.futures import ThreadPoolExecutor

import forge
import pytest
from client import REQUEST, V1_2, V1_3, Connection, ask, connect
from hello import (
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, FOR_BOTH, HANDSHAKE, P256, POINT_FORMATS,
    SIGNATURE_ALGORITHMS, TLS_1_2, USER_CANCELED, WARNING, alert, client_hello, groups, message,
    record, server_name,
)
from policies import TESTING_BODY
from process import DEADLINE, SCALE
from test_conn import SHORT, age
from torture import Witness

HELLO = record(client_hello())
HELLO_1_2 = record(client_hello(FOR_BOTH))
# A key exchange of the one group that the server may take, its base point for a key.
HELLO_P256 = record(
    client_hello((server_name(), groups(P256), POINT_FORMATS, SIGNATURE_ALGORITHMS))
)
P256_BASE = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
KEY_EXCHANGE = record(message(16, b"\x41\x04" + P256_BASE), HANDSHAKE, TLS_1_2)
CIPHER_CHANGE = record(b"\x01", CHANGE_CIPHER_SPEC, TLS_1_2)


def octets_of(octets):
    return [bytes([octet]) for octet in octets]


# Before and during the handshake: what is sent at once, and then a piece a second.
BEGINNERS = {
    "an octet, then nothing": (b"\x16", []),
    "a record's header, then nothing": (HELLO[:5], []),
    "all but one octet of a hello": (HELLO[:-1], []),
    "a hello, an octet a second": (b"", octets_of(HELLO)),
    "a hello, then nothing": (HELLO, []),
    "a hello of TLS 1.2, then nothing": (HELLO_1_2, []),
    "a hello, then half a record's header": (HELLO, octets_of(b"\x16\x03\x03")),
    "a hello, then warnings": (HELLO_1_2, itertools.repeat(alert(WARNING, USER_CANCELED))),
    "a key exchange, an octet a second": (HELLO_P256, octets_of(KEY_EXCHANGE)),
    "a key exchange, then nothing": (HELLO_P256 + KEY_EXCHANGE, []),
    "a key exchange and ChangeCipherSpec, then nothing": (
        HELLO_P256 + KEY_EXCHANGE + CIPHER_CHANGE, [],
    ),
}
WARNINGS = (ALERT, bytes([WARNING, USER_CANCELED]))
# With a finished handshake; the pieces are records under the client's keys.
ASKERS = {
    "nothing": [],
    "warnings": itertools.repeat(WARNINGS),
    # Four of TLS 1.2 in a row are too many for Mbed TLS.
    "empty records": [(APPLICATION_DATA, b"")] * 3,
    "an octet of the request a record": [(APPLICATION_DATA, part) for part in octets_of(REQUEST)],
    "a field a record, without end": (
        [(APPLICATION_DATA, REQUEST[:-2])] + [(APPLICATION_DATA, b"X: y\r\n")] * 2 * SHORT
    ),
    "all but one octet of the request": [(APPLICATION_DATA, REQUEST[:-1])],
}


def drip(plain, pieces):
    """Sends a piece a second, each made when its time has come, until the server has gone."""
    patience = time.monotonic() + DEADLINE
    for piece in itertools.chain(pieces, itertools.repeat(b"")):
        limit = time.monotonic() + 1
        assert limit < patience, "the server has not gone"
        try:
            while (left := limit - time.monotonic()) > 0:
                if select.select([plain], [], [], left)[0] and plain.recv(65536) == b"":
                    return
            plain.sendall(piece)
        except ConnectionError:
            return


def begin(witness, case):
    source = witness.client()
    started = time.monotonic()
    with connect(witness.server.address, source) as plain:
        plain.sendall(case[0])
        drip(plain, case[1])
    return age(started), witness.outcome(source), "handshake"


def handshake_and_ask(witness, settings, keylog, pieces):
    source = witness.client()
    started = time.monotonic()
    with Connection(witness.server.address, settings, source=source) as connection:
        forger = forge.Forger(connection.handshake(), keylog)
        drip(connection.socket, (forger.record(*piece) for piece in pieces))
    return age(started), witness.outcome(source), "request"


@pytest.fixture
def witness(serve, trust, measure):
    made = Witness(serve(timeout=SHORT, max_per_source=0), trust, measure)
    yield made
    made.check()


def check(results):
    for name, (seconds, line, state) in results.items():
        assert SHORT - 0.5 <= seconds < SHORT + 2 * SCALE, (name, seconds)
        expected = rf"level=info event=timeout state={state} client=\S+ tls=\S+ ms={SHORT}\d\d\d"
        assert re.match(rf"{expected}( |$)", line), (name, line)


def test_clients_that_are_slow_in_the_handshake_are_gone_at_their_deadline(witness, trust):
    with ThreadPoolExecutor(len(BEGINNERS)) as pool:
        running = {name: pool.submit(begin, witness, case) for name, case in BEGINNERS.items()}
        while not all(client.done() for client in running.values()):
            assert ask(witness.server.address, trust).body == TESTING_BODY
    check({name: client.result() for name, client in running.items()})


@pytest.mark.parametrize("newest", [False, True], ids=["1.2", "newest"])
def test_clients_that_are_slow_in_the_request_are_gone_at_their_deadline(
    witness, pki, trust, directory, has_tls13, newest
):
    version = V1_3 if newest and has_tls13 else V1_2
    with ThreadPoolExecutor(len(ASKERS)) as pool:
        running = {}
        for name, pieces in ASKERS.items():
            keylog = directory / f"keys-{len(running)}"
            settings = forge.settings(pki.root, version, keylog)
            running[name] = pool.submit(handshake_and_ask, witness, settings, keylog, pieces)
        while not all(client.done() for client in running.values()):
            assert ask(witness.server.address, trust).body == TESTING_BODY
    check({name: client.result() for name, client in running.items()})


@pytest.mark.parametrize("octets", [REQUEST, b"GET\r\n"], ids=["answered", "refused"])
def test_a_client_that_does_not_close_is_gone_soon_after_its_answer(serve, trust, measure, octets):
    witness = Witness(serve(timeout=10 * SCALE), trust, measure)
    source = witness.client()
    started = time.monotonic()
    with Connection(witness.server.address, trust, source=source).handshake() as connection:
        connection.send(octets)
        assert connection.response().status in (200, 400)
        # Waits until the server has no connection; this one is still open here.
        witness.check()
        assert age(started) < 8 * SCALE
