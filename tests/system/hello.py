# SPDX-License-Identifier: MIT
"""TLS by hand: records, ClientHellos good and bad, and what a server made of them."""
import contextlib
import socket
from collections import namedtuple

from client import HOST, connect, read_plain, records

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
WARNING, FATAL = 1, 2
CLOSE_NOTIFY, USER_CANCELED, NO_RENEGOTIATION = 0, 90, 100
TLS_1_2, TLS_1_3 = b"\x03\x03", b"\x03\x04"

# Of TLS 1.3, and of TLS 1.2 for both kinds of keys; the last is the fallback of RFC 5746.
SUITES = bytes.fromhex("1301 1302 1303 c02b c02f c02c c030 cca9 cca8 00ff")
X25519, P256, P384 = b"\x00\x1d", b"\x00\x17", b"\x00\x18"
SIGNATURES = bytes.fromhex("0403 0503 0603 0804 0805 0806 0401 0501 0601")
# A point of the curve: its base.
X25519_SHARE = b"\x09" + bytes(31)


def vector(octets, size=2):
    """With its length before it, in so many octets."""
    return len(octets).to_bytes(size, "big") + octets


def extension(kind, body=b""):
    return kind.to_bytes(2, "big") + vector(body)


def server_name(name=HOST.encode(), kind=0):
    return extension(0, vector(bytes([kind]) + vector(name)))


def groups(*numbers):
    return extension(10, vector(b"".join(numbers)))


POINT_FORMATS = extension(11, b"\x01\x00")
SIGNATURE_ALGORITHMS = extension(13, vector(SIGNATURES))
HEARTBEAT_ALLOWED = extension(15, b"\x01")
EXTENDED_MASTER_SECRET = extension(23)
SESSION_TICKET = extension(35)


def versions(*offered):
    return extension(43, vector(b"".join(offered), 1))


def key_share(group=X25519, share=X25519_SHARE):
    return extension(51, vector(group + vector(share)))


FOR_BOTH = (server_name(), groups(X25519, P256, P384), POINT_FORMATS, SIGNATURE_ALGORITHMS)
FOR_TLS_1_3 = (versions(TLS_1_3, TLS_1_2), key_share())


def message(kind, body):
    """Of the handshake protocol."""
    return bytes([kind]) + vector(body, 3)


def client_hello(
    extensions=FOR_BOTH + FOR_TLS_1_3, version=TLS_1_2, session=b"", suites=SUITES,
    compression=b"\x00", random=bytes(range(32)),
):
    """`extensions` are a sequence of them, or the octets of the whole block with its length."""
    if not isinstance(extensions, bytes):
        extensions = vector(b"".join(extensions))
    body = version + random + vector(session, 1) + vector(suites) + vector(compression, 1)
    return message(1, body + extensions)


def record(payload, kind=HANDSHAKE, version=b"\x03\x01"):
    return bytes([kind]) + version + vector(payload)


def in_records(octets, size, version=b"\x03\x01"):
    """A handshake message in records of so many octets."""
    parts = (octets[at : at + size] for at in range(0, len(octets), size))
    return b"".join(record(part, version=version) for part in parts)


def alert(level, number):
    return record(bytes([level, number]), ALERT, TLS_1_2)


# What came back in the clear: the type of the first handshake message, the number of the alert
# before all else, and the records.
Reply = namedtuple("Reply", "message alert records")


def reply(octets):
    found = list(records(octets))
    first = found[0] if found else (None, b"")
    return Reply(
        first[1][0] if first[0] == HANDSHAKE else None,
        first[1][1] if first[0] == ALERT and len(first[1]) == 2 else None,
        found,
    )


def ask_raw(address, octets, source=None):
    """Sends, says that no more comes, and reads to the end of the connection."""
    with connect(address, source) as plain:
        answer = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            plain.sendall(octets)
            plain.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            answer = read_plain(plain)
        return reply(answer)


# Where the length of a part of a ClientHello stands, and in how many octets.
Field = namedtuple("Field", "name at size")


def inner_fields(kind, at):
    """Of an extension's body that begins there."""
    if kind == 0:
        return [Field("list of names", at, 2), Field("name", at + 3, 2)]
    if kind in (10, 13):
        return [Field(f"list in extension {kind}", at, 2)]
    if kind in (11, 43):
        return [Field(f"list in extension {kind}", at, 1)]
    if kind == 51:
        return [Field("list of shares", at, 2), Field("share", at + 4, 2)]
    return []


def length_fields(octets):
    """All in one ClientHello in one record, from the outermost on."""
    found = [Field("record", 3, 2), Field("message", 6, 3)]
    at = 5 + 4 + 2 + 32
    for name, size in (("session", 1), ("suites", 2), ("compression", 1)):
        found.append(Field(name, at, size))
        at += size + int.from_bytes(octets[at : at + size], "big")
    found.append(Field("extensions", at, 2))
    at += 2
    while at < len(octets):
        kind, size = (int.from_bytes(octets[at + i : at + i + 2], "big") for i in (0, 2))
        found.append(Field(f"extension {kind}", at + 2, 2))
        found += inner_fields(kind, at + 4)
        at += 4 + size
    return found


def with_length(octets, field, length):
    value = (length % 256**field.size).to_bytes(field.size, "big")
    return octets[: field.at] + value + octets[field.at + field.size :]


def server_extensions(payload):
    """The numbers of those in a ServerHello, and the compression method that it chose."""
    at = 4 + 2 + 32
    at += 1 + payload[at] + 2
    compression, at, numbers = payload[at], at + 3, []
    while at < 4 + int.from_bytes(payload[1:4], "big"):
        numbers.append(int.from_bytes(payload[at : at + 2], "big"))
        at += 4 + int.from_bytes(payload[at + 2 : at + 4], "big")
    return numbers, compression
