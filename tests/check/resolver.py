# SPDX-License-Identifier: MIT
"""A name server that asks knot and passes its answers on, but for those that it spoils."""
import contextlib
import socket
import struct
import threading
from collections import namedtuple

from process import DEADLINE

A, CNAME, MX, TXT, AAAA, TLSA = 1, 5, 15, 16, 28, 52
QR, TC, RD, RA, AD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020
SERVFAIL, REFUSED = 2, 5

# What an answer is made from; `real` is what knot says. `tcp`: how the question came.
Query = namedtuple("Query", "id name type question real tcp")
# `spoil(query)` replaces answers of this owner (the labels before the domain) and type; None is
# any. It returns octets, or None for silence.
Fault = namedtuple("Fault", "owner type spoil")


def parse(message, real, tcp):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode("ascii").lower())
        at += 1 + message[at]
    (kind,) = struct.unpack_from("!H", message, at + 1)
    (number,) = struct.unpack_from("!H", message)
    return Query(number, ".".join(labels), kind, message[12 : at + 5], real, tcp)


def encode(name):
    parts = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def record(kind, data, owner=b"\xc0\x0c", length=None, ttl=300):
    """One of the answer section; its owner is that of the question unless another is given."""
    length = len(data) if length is None else length
    return owner + struct.pack("!HHIH", kind, 1, ttl, length) + data


def reply(query, *records, flags=0, question=None, count=None, number=None):
    return (
        struct.pack(
            "!6H",
            *(query.id if number is None else number, QR | RD | RA | flags, 1),
            *(len(records) if count is None else count, 0, 0),
        )
        + (query.question if question is None else question)
        + b"".join(records)
    )


def with_flags(message, flags):
    """A message with these flags too."""
    (old,) = struct.unpack_from("!H", message, 2)
    return message[:2] + struct.pack("!H", old | flags) + message[4:]


def exactly(plain, count):
    octets = b""
    while len(octets) < count:
        part = plain.recv(count - len(octets))
        if not part:
            raise ConnectionError("cut short")
        octets += part
    return octets


def read_message(plain):
    return exactly(plain, *struct.unpack("!H", exactly(plain, 2)))


def send_message(plain, message):
    plain.sendall(struct.pack("!H", len(message)) + message)


def ask(address, message):
    """The whole answer of a name server, over TCP."""
    with socket.create_connection((address, 53), DEADLINE) as plain:
        send_message(plain, message)
        return read_message(plain)


class Resolver:
    """Listens at `address`, UDP and, unless it is not wanted, TCP. `faults`: {domain: Fault}."""

    def __init__(self, address, upstream, faults, port=53, tcp=True):
        self.upstream, self.faults = upstream, faults
        self.asked = []  # (name, type), in order
        self.changed = threading.Condition()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = None
        loops = [self._serve_udp]
        if tcp:
            self.tcp = socket.create_server((address, port), family=family, backlog=128)
            loops.append(self._serve_tcp)
        self.closing = False
        self.threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
        for thread in self.threads:
            thread.start()

    def _serve_udp(self):
        while True:
            message, client = self.udp.recvfrom(4096)
            if self.closing:
                return
            threading.Thread(target=self._answer_udp, args=(message, client), daemon=True).start()

    def _answer_udp(self, message, client):
        with contextlib.suppress(OSError):
            answer = self.answer(message, tcp=False)
            if answer is not None:
                self.udp.sendto(answer, client)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):  # shut down
            while True:
                plain = self.tcp.accept()[0]
                threading.Thread(target=self._answer_tcp, args=(plain,), daemon=True).start()

    def _answer_tcp(self, plain):
        with contextlib.suppress(OSError), plain:
            while True:
                answer = self.answer(read_message(plain), tcp=True)
                if answer is None:
                    plain.recv(1)  # until it goes
                    return
                send_message(plain, answer)

    def answer(self, message, tcp):
        query = parse(message, ask(self.upstream, message), tcp)
        with self.changed:
            self.asked.append((query.name, query.type))
            self.changed.notify_all()
        fault = self.find(query)
        return query.real if fault is None else fault.spoil(query)

    def find(self, query):
        """The fault that this question meets."""
        for domain, fault in self.faults.items():
            if query.name != domain and not query.name.endswith("." + domain):
                continue
            owner = query.name[: -len(domain)].rstrip(".")
            if fault.owner in (None, owner) and fault.type in (None, query.type):
                return fault
        return None

    def count(self, name):
        with self.changed:
            return sum(asked == name for asked, _ in self.asked)

    def wait_until_asked(self, name, times=1):
        def is_there():
            return sum(asked == name for asked, _ in self.asked) >= times

        with self.changed:
            assert self.changed.wait_for(is_there, DEADLINE), f"{name} was not asked for"

    def close(self):
        """The ports are free when it returns."""
        self.closing = True
        if self.tcp is not None:
            self.tcp.shutdown(socket.SHUT_RDWR)
        self.udp.sendto(b"", self.udp.getsockname())
        for thread in self.threads:
            thread.join(DEADLINE)
        self.udp.close()
        if self.tcp is not None:
            self.tcp.close()
