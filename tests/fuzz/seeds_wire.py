# SPDX-License-Identifier: MIT
"""What the fuzzers of mta-sts-check start from: DNS answers and the words of mail servers."""
import ipaddress
import struct

A, CNAME, MX, TXT, AAAA, TLSA = 1, 5, 15, 16, 28, 52
ASKED = b"\xc0\x0c"  # the name in the question


def name(text):
    """A name without compression."""
    return b"".join(bytes([len(label)]) + label for label in text.encode().split(b".")) + b"\0"


def record(kind, data, owner=ASKED, ttl=300):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def txt(*strings, **more):
    return record(TXT, b"".join(bytes([len(s)]) + s for s in strings), **more)


def address(text, **more):
    packed = ipaddress.ip_address(text).packed
    return record(A if len(packed) == 4 else AAAA, packed, **more)


def mx(preference, host):
    return record(MX, struct.pack(">H", preference) + host)


def answer(*records, kind=1, code=0, count=None):
    """As fuzz_dns.c reads it: kind, length, the number of records, the records."""
    data = bytes([len(records) if count is None else count]) + b"".join(records)
    return struct.pack(">BH", kind | code << 4, len(data)) + data


STS = txt(b"v=STSv1; id=20261101;")
RPT = txt(b"v=TLSRPTv1; rua=mailto:a@example.net,https://r.example.net:8443/v1")
V4, V6 = address("192.0.2.1"), address("2001:db8::1")
MAIL = name("mail.example.org")
DANE = record(TLSA, b"\3\1\1" + bytes(32))
NOTHING, NO_NAME, FAILS, SILENCE = answer(), answer(code=3), answer(code=2), answer(V4, kind=4)


def domain(sts=answer(STS), rpt=answer(RPT), host=answer(V4) + answer(V6),
           records=answer(mx(10, MAIL)), mail=answer(V4) + answer(V6), dane=answer(DANE, kind=3),
           endpoints=answer(V4) + answer(V6), flags=0):
    return bytes([flags]) + sts + rpt + host + records + mail + dane + endpoints


def dns_seeds():
    """A domain without a mistake, and one for each thing that an answer can be."""
    alias = record(CNAME, name("a.example.net"))
    chain = alias + address("192.0.2.9", owner=name("a.example.net"))
    empty = txt(b"x")
    raw = struct.pack(">HHHHHH", 1, 0x8180, 1, 1, 0, 0) + name("_mta-sts.example.org")
    raw += struct.pack(">HH", TXT, 1) + STS
    return {
        "good": domain(), "ini": domain(flags=4), "v6": domain(flags=1), "default": domain(flags=2),
        "split": domain(sts=answer(txt(b"v=STSv1; ", b"id=1;"))),
        "two": domain(sts=answer(STS, STS)), "many": domain(sts=answer(*[empty] * 34, STS)),
        "long": domain(sts=answer(txt(*[b"v" * 255] * 6))),
        "nul": domain(sts=answer(txt(b"v=STSv1; id=\0\x1b[31m"))),
        "misplaced": domain(sts=answer(txt(b"v=spf1")) + answer(STS) + answer(STS)),
        "misnamed": domain(rpt=answer(txt(b"v=TSLRPTv1")) + answer(RPT)),
        "ports": domain(rpt=answer(txt(b"v=TLSRPTv1; rua=https://u@a:1/,https://b:0,HTTPS://c"))),
        "alias": domain(host=answer(alias, chain[len(alias):]) + answer(V6)),
        "chain": domain(host=answer(alias) * 9 + answer(V6)),
        "alias-nothing": domain(host=answer(alias, code=3) * 2),
        "loop": domain(host=answer(record(CNAME, ASKED)) * 20),
        "addresses": domain(host=answer(*[V4] * 9) + answer(V6)),
        "short-a": domain(host=answer(record(A, b"\1\2\3")) + answer(V6)),
        "null-mx": domain(records=answer(mx(0, b"\0"))), "implicit": domain(records=NOTHING),
        "mx-order": domain(records=answer(mx(20, MAIL), mx(10, name("a.example.net")), mx(5, MAIL))),
        "mx-many": domain(records=answer(*[mx(i % 4, MAIL) for i in range(12)])),
        "mx-address": domain(records=answer(mx(1, name("192.0.2.1")))),
        "mx-bytes": domain(records=answer(mx(1, b"\4\x1b\n\0.\3com\0"))),
        "mx-pointer": domain(records=answer(mx(1, b"\xc0\x0c"))),
        "mx-loop": domain(records=answer(mx(1, b"\xc0\xff"))),
        "dane-many": domain(dane=answer(*[DANE] * 6)),
        "dane-long": domain(dane=answer(record(TLSA, b"\3\0\0" + bytes(100)))),
        "no-name": domain(sts=NO_NAME * 3), "fails": domain(sts=FAILS), "silence": domain(sts=SILENCE),
        "silent": b"\0" + SILENCE * 3, "too-long": domain(sts=answer(STS, kind=9)),
        "raw": b"\0" + struct.pack(">BH", 0, len(raw)) + raw, "count": domain(sts=answer(STS, count=9)),
        "other": domain(sts=answer(txt(b"v=STSv1; id=1;", owner=name("evil.example")))),
    }


def smtp_seeds():
    """Behind an octet for how the bytes are cut and one for how they end."""
    greeting, offer, ready = b"220 mx ESMTP\r\n", b"250-mx\r\n250-SIZE\r\n250 STARTTLS\r\n", b"220 go\r\n"
    good = greeting + offer + ready
    talks = {
        "good": good, "glued": good + b"220 injected\r\n", "lf": good.replace(b"\r", b""),
        "busy": b"421 later\r\n", "no-offer": greeting + b"250 mx\r\n", "bare": greeting + b"250\r\n",
        "first-line": greeting + b"250-STARTTLS\r\n250 mx\r\n", "refused": greeting + offer + b"454 no\r\n",
        "lower": greeting + b"250-mx\r\n250 starttls\r\n" + ready,
        "longer": greeting + b"250-mx\r\n250 STARTTLSX\r\n" + ready,
        "many": b"220-x\r\n" * 99 + good, "endless": b"220-x\r\n" * 101, "long": b"220 " + b"x" * 2050,
        "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "nul": b"220\0x\r\n" + offer + ready,
        "escape": b"220 \x1b[31m\r\n" + offer + ready, "ehlo": greeting + b"502 no\r\n", "cut": greeting[:7],
    }
    ends = b"\0\1\2\3"
    return {f"{key}-{end}": bytes([7 * end, end]) + talk for key, talk in talks.items() for end in ends}
