# SPDX-License-Identifier: MIT
"""AES-GCM (FIPS 197, NIST SP 800-38D), encryption alone: Python's library has none, and OpenSSL
sends no records but those that it means to send. Slow, and for tests only."""


def make_sbox():
    """Inverses in the field of 256 elements: p runs over its powers of 3, q over those of 1/3."""
    sbox = [0x63] * 256
    p = q = 1
    while True:
        p ^= (p << 1 & 0xFF) ^ (0x1B if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = q * 0x101
        sbox[p] = 0x63 ^ q ^ (turned >> 7 ^ turned >> 6 ^ turned >> 5 ^ turned >> 4) & 0xFF
        if p == 1:
            return sbox


SBOX = make_sbox()
DOUBLE = [(byte << 1 & 0xFF) ^ (0x1B if byte & 0x80 else 0) for byte in range(256)]


def expand(key):
    """The round keys, of 16 octets each."""
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    count, constant = len(words), 1
    while len(words) < 4 * (count + 7):
        word = words[-1]
        if len(words) % count == 0:
            word = bytes(SBOX[byte] for byte in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = DOUBLE[constant]
        elif count > 6 and len(words) % count == 4:
            word = bytes(SBOX[byte] for byte in word)
        words.append(xor(words[-count], word))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def mix(column):
    a, b, c, d = column
    every = a ^ b ^ c ^ d
    pairs = zip(column, (a ^ b, b ^ c, c ^ d, d ^ a))
    return bytes(byte ^ every ^ DOUBLE[pair] for byte, pair in pairs)


def encrypt_block(round_keys, block):
    state = xor(block, round_keys[0])
    for key in round_keys[1:]:
        state = bytes(SBOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16))
        if key is not round_keys[-1]:
            state = b"".join(mix(state[at : at + 4]) for at in range(0, 16, 4))
        state = xor(state, key)
    return state


def multiply(x, y):
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def ghash(subkey, octets):
    value = 0
    for at in range(0, len(octets), 16):
        value = multiply(value ^ int.from_bytes(octets[at : at + 16], "big"), subkey)
    return value.to_bytes(16, "big")


def padded(octets):
    return octets + bytes(-len(octets) % 16)


def seal(key, nonce, plain, more):
    """The ciphertext and its tag; `more` is authenticated only."""
    round_keys = expand(key)
    stream = b"".join(
        encrypt_block(round_keys, nonce + (at + 2).to_bytes(4, "big"))
        for at in range((len(plain) + 15) // 16)
    )
    cipher = xor(plain, stream)
    lengths = (8 * len(more)).to_bytes(8, "big") + (8 * len(cipher)).to_bytes(8, "big")
    subkey = int.from_bytes(encrypt_block(round_keys, bytes(16)), "big")
    tag = ghash(subkey, padded(more) + padded(cipher) + lengths)
    return cipher + xor(tag, encrypt_block(round_keys, nonce + b"\0\0\0\1"))
