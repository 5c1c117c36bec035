# SPDX-License-Identifier: MIT
"""Servers that do what they should not: how each one talks, as a function of a client's socket.

None of them waits without an eye on the client: all end when it has gone."""
import contextlib
import select
import socket
import ssl
import struct
import threading
from collections import namedtuple

from process import DEADLINE

# What a talk knows of its place: TLS settings, and the policy that it would serve.
Place = namedtuple("Place", "tls policy")


class Listener:
    """Accepts at one address; a thread for each client, which `talk` is called with."""

    def __init__(self, address, talk, place):
        self.talk, self.place = talk, place
        self.accepted = 0
        self.heard = []  # what clients said, in order: for the talks that note it
        self.changed = threading.Condition()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.create_server(address, family=family, backlog=128)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):  # shut down
            while True:
                plain = self.socket.accept()[0]
                with self.changed:
                    self.accepted += 1
                    self.changed.notify_all()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        with contextlib.suppress(OSError), plain:
            heard = self.talk(plain, self.place)
            if heard is not None:
                with self.changed:
                    self.heard.append(heard)
                    self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), (self.accepted, self.heard)

    def close(self):
        """The port is free when it returns."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(DEADLINE)
        self.socket.close()


def until_gone(plain):
    while plain.recv(65536):
        pass


def pause(plain, seconds):
    """That long, unless the client goes or says something; True if it kept still."""
    return not select.select([plain], [], [], seconds)[0]


def repeat(plain, octets):
    """Without an end, as fast as they are taken."""
    while True:
        plain.sendall(octets)


def drip(plain, octets):
    """One octet every fifth of a second, again and again: each one too early for an idle timer."""
    while True:
        for i in range(len(octets)):
            if not pause(plain, 0.2):
                until_gone(plain)
                return
            plain.sendall(octets[i : i + 1])


# Before any protocol.


def silent(plain, _place):
    until_gone(plain)


def closing(_plain, _place):
    pass


def resetting(plain, _place):
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def saying(octets):
    """Says this first, whatever the client does."""

    def talk(plain, _place):
        plain.sendall(octets)
        until_gone(plain)

    return talk


def endless(octets):
    return lambda plain, _place: repeat(plain, octets)


def dripping(octets):
    return lambda plain, _place: drip(plain, octets)


# SMTP.


def read_line(plain):
    """Up to a line's end; a client that goes ends the talk."""
    line = b""
    while not line.endswith(b"\n"):
        octet = plain.recv(1)
        if not octet:
            raise ConnectionError("the client has gone")
        line += octet
    return line


EHLO = b"250-mx.test\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
READY = b"220 2.0.0 Ready to start TLS\r\n"


def smtp(greeting=b"220 mx.test ESMTP\r\n", ehlo=EHLO, starttls=READY, after=None, late=0):
    """A dialogue with these replies; `after` takes over where TLS begins, else it is well done."""

    def talk(plain, place):
        if late and not pause(plain, late):
            return "early" if plain.recv(1) else "gone"
        plain.sendall(greeting)
        said = read_line(plain).decode("ascii")
        plain.sendall(ehlo)
        if not read_line(plain).upper().startswith(b"STARTTLS"):
            return said
        plain.sendall(starttls)
        if after is not None:
            # Not before the client has begun with TLS: what comes earlier is data behind the reply.
            select.select([plain], [], [], DEADLINE)
            after(plain, place)
        elif starttls == READY or starttls.startswith(READY):
            with place.tls.wrap_socket(plain, server_side=True) as tls:
                with contextlib.suppress(ssl.SSLError, OSError):
                    until_gone(tls)
        return said

    return talk


# HTTPS.


def over_tls(answer):
    """`answer` is called with the TLS socket and the policy once a request has come."""

    def talk(plain, place):
        with place.tls.wrap_socket(plain, server_side=True) as tls:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                octets = tls.recv(4096)
                if not octets:
                    return
                request += octets
            answer(tls, place.policy)
            # Fails where the answer has ended the connection itself.
            with contextlib.suppress(OSError, ValueError):
                tls.unwrap()

    return talk


def head(*fields, status=b"200 OK"):
    lines = b"HTTP/1.1 " + status, b"Content-Type: text/plain", b"Connection: close", *fields
    return b"\r\n".join(lines) + b"\r\n\r\n"


def length(number):
    return b"Content-Length: %d" % number


def http(make):
    """Sends what `make` makes of the policy, and closes as TLS wants it."""
    return over_tls(lambda tls, policy: tls.sendall(make(policy)))


def http_late(seconds):
    """A good answer, late."""

    def answer(tls, policy):
        if pause(tls, seconds):
            tls.sendall(head(length(len(policy))) + policy)

    return over_tls(answer)


def http_then(make, then):
    """Sends what `make` makes of the policy; then `then` is called with the socket."""

    def answer(tls, policy):
        tls.sendall(make(policy))
        then(tls)

    return over_tls(answer)


def cut(plain):
    """Ends the connection but not the TLS session: anybody on the way can do that."""
    plain.shutdown(socket.SHUT_RDWR)


def chunk(octets, size=None):
    return b"%x\r\n%b\r\n" % (len(octets) if size is None else size, octets)


CHUNKED = b"Transfer-Encoding: chunked"
