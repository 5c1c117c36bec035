# SPDX-License-Identifier: MIT
"""A TLS client over memory, so that a test sees each record, alert and end of a connection."""
import re
import socket
import ssl
import warnings
from collections import namedtuple

from process import DEADLINE

HOST = "mta-sts.example.com"
PATH = "/.well-known/mta-sts.txt"
REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

ALERT_HANDSHAKE_FAILURE = 40
ALERT_PROTOCOL_VERSION = 70
ALERT_UNRECOGNIZED_NAME = 112
ALERT_NO_APPLICATION_PROTOCOL = 120

V1_2 = ssl.TLSVersion.TLSv1_2
V1_3 = ssl.TLSVersion.TLSv1_3

Response = namedtuple("Response", "status reason fields body head")
Ending = namedtuple("Ending", "octets close_notify")


def context(ca=None, version=None, ciphers=None, alpn=None):
    """A client's settings: trusts `ca` alone; with `version`, speaks only that."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # An end without close_notify is to be seen.
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if ca is not None:
        made.load_verify_locations(ca)
    if ciphers is not None:
        made.set_ciphers(ciphers)
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            made.minimum_version = version
            made.maximum_version = version
    if alpn is not None:
        made.set_alpn_protocols(alpn)
    return made


def without_sni(settings):
    settings.check_hostname = False
    return settings


def records(octets):
    """(type, payload) of each whole TLS record."""
    while len(octets) >= 5:
        end = 5 + int.from_bytes(octets[3:5], "big")
        if len(octets) < end:
            return
        yield octets[0], octets[5:end]
        octets = octets[end:]


class Connection:
    """One TLS connection to a server."""

    def __init__(self, address, settings, sni=HOST, source=None, session=None):
        self.socket = connect(address, source)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = settings.wrap_bio(
            self.incoming, self.outgoing, server_hostname=sni, session=session
        )
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _flush(self):
        if octets := self.outgoing.read():
            self.socket.sendall(octets)

    def _repeat(self, step):
        """Repeats a step of the TLS library until it wants no more octets."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                octets = self.socket.recv(65536)
                self.received += octets
                if octets:
                    self.incoming.write(octets)
                else:
                    self.incoming.write_eof()
            finally:
                if self.outgoing.pending:
                    self._flush()

    def hello(self):
        """The ClientHello, not sent."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def handshake(self):
        self._repeat(self.tls.do_handshake)
        return self

    def send(self, octets):
        """In a record of its own."""
        self.tls.write(octets)
        self._flush()

    def read_to_end(self):
        """What the server sends up to its end of the connection, which must be a FIN."""
        octets = b""
        close_notify = True
        try:
            while part := self._repeat(lambda: self.tls.read(65536)):
                octets += part
        except ssl.SSLEOFError:
            close_notify = False
        assert read_plain(self.socket) == b"", "bytes behind close_notify"
        return Ending(octets, close_notify)

    def leave(self):
        """Sends close_notify and waits for the server's, which must be all that still comes."""
        self._repeat(self.tls.unwrap)
        assert read_plain(self.socket) == b"", "bytes behind close_notify"

    def alert(self):
        """Number of the alert that the server sent in the clear; None if there was none."""
        for kind, payload in records(self.received):
            if kind == 21 and len(payload) == 2:
                return payload[1]
        return None

    def response(self):
        """The whole answer, ended as it should be."""
        ending = self.read_to_end()
        assert ending.close_notify, f"no close_notify behind {ending.octets!r}"
        return parse(ending.octets)


def connect(address, source=None):
    """What is sent in two parts arrives in two parts."""
    plain = socket.create_connection(address, DEADLINE, source)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain


def read_plain(plain):
    """What comes until the other side closes."""
    octets = b""
    while part := plain.recv(65536):
        octets += part
    return octets


def is_gone(plain):
    """Waits until the other side has closed or reset the connection; sends nothing."""
    try:
        read_plain(plain)
    except ConnectionResetError:
        pass
    return True


def parse(octets):
    head, separator, body = octets.partition(b"\r\n\r\n")
    assert separator, f"no end of the head in {octets!r}"
    lines = head.decode("ascii").split("\r\n")
    status, reason = re.fullmatch(r"HTTP/1\.1 (\d{3}) (.+)", lines[0]).groups()
    fields = dict(line.split(": ", 1) for line in lines[1:])
    assert len(fields) == len(lines) - 1, f"a field twice in {lines}"
    return Response(int(status), reason, fields, body, head.decode("ascii"))


def request(target=PATH, host=HOST, method="GET", version="HTTP/1.1", more=""):
    """A request as octets; without a Host line if host is None. `more` holds whole lines."""
    line = "" if host is None else f"Host: {host}\r\n"
    return f"{method} {target} {version}\r\n{line}{more}\r\n".encode("latin-1")


def ask(address, settings, octets=REQUEST, sni=HOST, source=None):
    """One request on a connection of its own."""
    with Connection(address, settings, sni, source) as connection:
        connection.handshake()
        connection.send(octets)
        return connection.response()
