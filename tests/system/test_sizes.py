# SPDX-License-Identifier: MIT
"""What the buffers of the TLS library must hold, whichever way it was built: large hellos in any
number of pieces, the longest chain that is said to be sendable, records as large as TLS allows."""
import base64
import re

import pytest
from client import REQUEST, Connection, ask, context, request
from policies import TESTING, TESTING_BODY

RSA_4096 = ("RSA", "rsa_keygen_bits:4096")
HEAD_MAX = 8192
RECORD_MAX = 16384
# What tls_judge.c lets through: the octets of a chain, with five for each certificate.
CHAIN_MAX = RECORD_MAX - 16


def large_hello(pki, version, octets):
    """A client whose hello is so large: by protocol names, as a post-quantum share makes it."""
    names = ["http/1.1", *(f"{number:0200d}" for number in range(octets // 201))]
    return context(pki.root, version, alpn=names)


def get(connection):
    connection.send(REQUEST)
    return connection.response()


@pytest.mark.parametrize("octets", [2000, 4000, 8000, 15000])
def test_a_large_hello_is_understood(site, pki, version, octets):
    with Connection(site.address, large_hello(pki, version, octets)) as connection:
        hello = connection.hello()
        assert octets < len(hello) <= RECORD_MAX + 5
        connection.socket.sendall(hello)
        assert get(connection.handshake()).body == TESTING_BODY


@pytest.mark.parametrize("size", [1, 500, 1460])
def test_a_large_hello_may_arrive_in_pieces(site, pki, version, size):
    with Connection(site.address, large_hello(pki, version, 2000)) as connection:
        hello = connection.hello()
        for start in range(0, len(hello), size):
            connection.socket.sendall(hello[start : start + size])
        assert get(connection.handshake()).body == TESTING_BODY


def is_served(connection):
    try:
        return get(connection.handshake()).status == 200
    except OSError:  # an alert, or the end
        return False


@pytest.mark.parametrize("size", [64, 500, 1460])
def test_a_large_hello_may_be_several_records(site, pki, has_tls13, version, size):
    """RFC 8446 section 5.1. Mbed TLS 2.28 cannot do this, and refuses such a client alone."""
    with Connection(site.address, large_hello(pki, version, 2000)) as connection:
        hello = connection.hello()
        header, message = hello[:3], hello[5:]
        for start in range(0, len(message), size):
            part = message[start : start + size]
            connection.socket.sendall(header + len(part).to_bytes(2, "big") + part)
        assert is_served(connection) == has_tls13
    assert ask(site.address, context(pki.root, version)).body == TESTING_BODY


def head(size):
    """A request of just that size."""
    octets = request(more="X: ?\r\n")
    return octets.replace(b"?", b"?" * (size - len(octets) + 1))


def test_a_head_of_8192_octets_in_one_record_is_read(site, trust):
    assert ask(site.address, trust, head(HEAD_MAX)).body == TESTING_BODY


@pytest.mark.parametrize("size", [HEAD_MAX + 1, RECORD_MAX])
def test_a_longer_head_in_one_record_is_refused(site, trust, size):
    assert ask(site.address, trust, head(size)).status == 431


def test_a_chain_of_four_large_rsa_certificates_goes_out(serve, pki, version):
    issuers = ["root", "rsa one", "rsa two", "rsa three"]
    for issuer, name in zip(issuers, issuers[1:]):
        pki.authority(name, RSA_4096, issuer, subject=f"a test {name}")
    pair = pki.pair(
        "four", ["mta-sts.example.com", "mta-sts.example.net"], RSA_4096,
        order=("leaf", *reversed(issuers[1:])), issuer=issuers[-1],
    )
    server = serve(TESTING, certificate=pair.certificate, private_key=pair.private_key)
    with Connection(server.address, context(pki.root, version)).handshake() as connection:
        assert get(connection).body == TESTING_BODY


def chain_octets(pair):
    pem = pair.certificate.read_text()
    bodies = re.findall(r"-----BEGIN CERTIFICATE-----(.+?)-----END", pem, re.DOTALL)
    return sum(len(base64.b64decode(body)) + 5 for body in bodies)


def test_the_longest_chain_that_is_let_through_goes_out(serve, pki, version):
    hosts = ["mta-sts.example.com", "mta-sts.example.net"]
    hosts += [f"n{number:03d}.{'a' * 40}.example.com" for number in range(250)]
    room = CHAIN_MAX - chain_octets(pki.pair("nearly", hosts))
    assert room > 200
    # A name costs two octets beside its own; a signature is up to two shorter than it may be.
    while room > 80:
        hosts.append(f"{len(hosts)}".rjust(62, "b"))
        room -= 64
    hosts.append("c" * (room - 6))
    pair = pki.pair("longest", hosts)
    assert CHAIN_MAX - 8 <= chain_octets(pair) <= CHAIN_MAX
    server = serve(TESTING, certificate=pair.certificate, private_key=pair.private_key)
    with Connection(server.address, context(pki.root, version)).handshake() as connection:
        assert get(connection).body == TESTING_BODY
