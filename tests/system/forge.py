# SPDX-License-Identifier: MIT
"""Records of any type and content under the keys of a connection, in the client's place."""
import hashlib
import hmac

import client
from aesgcm import seal, xor
from hello import APPLICATION_DATA, TLS_1_2, records, vector


def expand(digest, secret, info, length):
    """P_hash of TLS 1.2 (RFC 5246 section 5), of which a key block is made."""
    octets, a = b"", info
    while len(octets) < length:
        a = hmac.digest(secret, a, digest)
        octets += hmac.digest(secret, a + info, digest)
    return octets[:length]


def expand_label(digest, secret, label, length):
    """HKDF-Expand-Label without a context, of one block (RFC 8446 section 7.1)."""
    info = length.to_bytes(2, "big") + vector(b"tls13 " + label, 1) + b"\0"
    return hmac.digest(secret, info + b"\1", digest)[:length]


class Forger:
    """Sends in the place of a client.Connection that has finished its handshake, has written
    nothing yet and whose settings keep its secrets in the file `keylog`."""

    def __init__(self, connection, keylog):
        self.connection = connection
        suite = connection.tls.cipher()[0]
        assert "GCM" in suite, suite
        self.digest = hashlib.sha384 if suite.endswith("SHA384") else hashlib.sha256
        self.size = 16 if "128" in suite else 32
        self.is_1_3 = connection.tls.version() == "TLSv1.3"
        lines = [line.split() for line in keylog.read_text().splitlines() if line[0] != "#"]
        secrets = {label: (random, secret) for label, random, secret in lines}
        if self.is_1_3:
            self.set_keys_of_1_3(secrets["CLIENT_TRAFFIC_SECRET_0"][1])
        else:
            self.set_keys_of_1_2(*secrets["CLIENT_RANDOM"])

    def set_keys_of_1_3(self, secret):
        secret = bytes.fromhex(secret)
        self.key = expand_label(self.digest, secret, b"key", self.size)
        self.iv = expand_label(self.digest, secret, b"iv", 12)
        self.sequence = 0

    def set_keys_of_1_2(self, random, master):
        server_random = next(records(self.connection.received))[1][6:38]
        seed = b"key expansion" + server_random + bytes.fromhex(random)
        block = expand(self.digest, bytes.fromhex(master), seed, 2 * self.size + 8)
        self.key, self.iv = block[: self.size], block[2 * self.size : 2 * self.size + 4]
        self.sequence = 1  # the client's Finished was the first

    def record(self, kind, payload, padding=0):
        number = self.sequence.to_bytes(8, "big")
        self.sequence += 1
        if self.is_1_3:
            plain = payload + bytes([kind]) + bytes(padding)
            header = bytes([APPLICATION_DATA]) + TLS_1_2 + (len(plain) + 16).to_bytes(2, "big")
            return header + seal(self.key, xor(self.iv, bytes(4) + number), plain, header)
        more = number + bytes([kind]) + TLS_1_2 + len(payload).to_bytes(2, "big")
        sealed = number + seal(self.key, self.iv + number, payload, more)
        return bytes([kind]) + TLS_1_2 + vector(sealed)

    def send(self, kind, payload, padding=0):
        self.connection.socket.sendall(self.record(kind, payload, padding))


def settings(ca, version, keylog):
    """Of a client whose secrets are kept."""
    ciphers = "ECDHE+AESGCM" if version == client.V1_2 else None
    made = client.context(ca, version, ciphers)
    made.keylog_filename = str(keylog)
    return made
