# SPDX-License-Identifier: MIT
"""Faults of the name server: one domain for each, nothing else wrong with it, and what must be
found."""
import struct

import resolver
from cases import HOST, MX, RPT, STS, Case, error, info, untested, warning
from resolver import Fault, encode, record, reply, with_flags

STRING = b"v=STSv1; id=1;"
TEXT = bytes([len(STRING)]) + STRING
SELF = b"\xc0\x0c"  # a pointer to the question's name


def sts_unanswered(text="TXT record"):
    return [untested("DNS_FAILED", STS, text)]


def sts(name, spoil, wants=None, **more):
    """The record at _mta-sts is spoilt."""
    fault = Fault("_mta-sts", resolver.TXT, spoil)
    return Case(name, sts_unanswered() if wants is None else wants, fault=fault, **more)


def elsewhere(name, owner, kind, spoil, *wants, **more):
    return Case(name, list(wants), fault=Fault(owner, kind, spoil), **more)


def over_tcp(query):
    """TC over UDP; over TCP the whole answer."""
    return query.real if query.tcp else reply(query, flags=resolver.TC)


def never_whole(query):
    """TC over UDP; over TCP nothing."""
    return None if query.tcp else reply(query, flags=resolver.TC)


def another_question(query):
    question = query.question.replace(b"_mta-sts", b"_mta-stt")
    return reply(query, record(resolver.TXT, TEXT), question=question)


def another_owner(query):
    """Fits the question; the record in it is somebody else's."""
    return reply(query, record(resolver.TXT, TEXT, owner=encode("_mta-sts.other.test")))


def endless_alias(query):
    """Each alias leads to one that is new."""
    first, _, rest = query.name.partition(".")
    number = int(first[1:]) if first[1:].isdigit() else 0
    return reply(query, record(resolver.CNAME, encode(f"a{number + 1}.{rest}")))


def many_texts(query):
    """More than anyone would keep, and too many for UDP."""
    if not query.tcp:
        return reply(query, flags=resolver.TC)
    return reply(query, *[record(resolver.TXT, bytes([200]) + b"x" * 200)] * 300)


def long_text(query):
    """One record of 65,000 octets."""
    if not query.tcp:
        return reply(query, flags=resolver.TC)
    return reply(query, record(resolver.TXT, (b"\xff" + b"x" * 255) * 253))


def large_count(query):
    return reply(query, record(resolver.TXT, TEXT), count=0xFFFF)


def mx_data(data):
    return lambda query: reply(query, record(resolver.MX, data))


LIES = [
    sts("rdlength", lambda q: reply(q, record(resolver.TXT, TEXT, length=500))),
    sts("rdlengthmax", lambda q: reply(q, record(resolver.TXT, TEXT, length=0xFFFF))),
    sts("stringlength", lambda q: reply(q, record(resolver.TXT, b"\xff" + STRING))),
    sts("rdlengthshort", lambda q: reply(q, record(resolver.TXT, TEXT, length=5))),
    sts("cutshort", lambda q: reply(q, record(resolver.TXT, TEXT)[:-6])),
    sts("counts", large_count),
    sts("headonly", lambda q: reply(q, question=b"")[:12]),
    sts("garbage", lambda q: b"\xff" * 11),
    sts("pointerahead", lambda q: reply(q, record(resolver.TXT, TEXT, owner=b"\xff\xff"))),
    sts("pointerself", lambda q: reply(q, struct.pack("!H", 0xC000 + 12 + len(q.question)))),
    sts("labeltype", lambda q: reply(q, record(resolver.TXT, TEXT, owner=b"\x80ab\0"))),
    sts("otherquestion", another_question),
    sts("otherowner", another_owner),
    sts("othernumber", lambda q: reply(q, record(resolver.TXT, TEXT), number=q.id ^ 1)),
    sts("manytexts", many_texts, [error("TXT_MISSING", STS), warning("TXT_FOREIGN", STS, "300")]),
    sts("longtext", long_text, [error("TXT_MISSING", STS), warning("TXT_FOREIGN", STS)]),
    elsewhere(
        *("shortaddress", "mta-sts", resolver.A),
        lambda q: reply(q, record(resolver.A, b"\xc0\x00\x02")),
        untested("DNS_FAILED", HOST, "A record"),
    ),
    elsewhere(
        *("longaddress", "mta-sts", resolver.AAAA),
        lambda q: reply(q, record(resolver.AAAA, bytes(17))),
        untested("DNS_FAILED", HOST, "AAAA record"),
    ),
    *(
        elsewhere(
            *(name, "", resolver.MX, mx_data(data)),
            untested("DNS_FAILED", "{domain}", "MX record"),
        )
        for name, data in [
            ("mxshort", b"\0"),
            ("mxnoname", b"\0\x0a"),
            ("mxpointer", b"\0\x0a\xff\xff"),
            ("mxcut", b"\0\x0a\x3fabc"),
        ]
    ),
]

FAILURES = [
    Case(
        "silentserver",
        [
            untested("DNS_FAILED", STS, "no answer"),
            untested("DNS_FAILED", RPT, "no answer"),
            untested("DNS_FAILED", "{domain}", "MX record"),
            untested("DNS_FAILED", HOST, "A record"),
            untested("DNS_FAILED", HOST, "AAAA record"),
        ],
        fault=Fault(None, None, lambda q: None),
    ),
    sts("silentsts", lambda q: None, sts_unanswered("no answer")),
    sts("servfailsts", lambda q: with_flags(reply(q), resolver.SERVFAIL)),
    sts("refusedsts", lambda q: with_flags(reply(q), resolver.REFUSED)),
    # libresolv waits without end: the whole look-up is ended.
    sts("neverwhole", never_whole, [untested("CHECK_FAILED", "{domain}")]),
    Case(
        "endlessalias",
        [*sts_unanswered("alias"), untested("DNS_FAILED", RPT, "alias")],
        fault=Fault(None, resolver.TXT, endless_alias),
    ),
    Case(
        "aliasloop",
        [untested("DNS_FAILED", HOST, "alias")] * 2,
        host=["CNAME one"],
        more=["one CNAME two", "two CNAME one"],
    ),
    elsewhere(
        *("servfailmx", "", resolver.MX, lambda q: with_flags(reply(q), resolver.SERVFAIL)),
        untested("DNS_FAILED", "{domain}", "MX record"),
    ),
    elsewhere(
        *("servfailrpt", "_smtp._tls", resolver.TXT),
        lambda q: with_flags(reply(q), resolver.SERVFAIL),
        untested("DNS_FAILED", RPT, "TXT record"),
    ),
    elsewhere(
        *("servfailaaaa", "mta-sts", resolver.AAAA),
        lambda q: with_flags(reply(q), resolver.SERVFAIL),
        untested("DNS_FAILED", HOST, "AAAA record"),
    ),
]

# Nothing is wrong here: a good resolver does all of this.
GOOD = [
    sts("truncated", over_tcp, []),
    Case(
        "tlsasigned",
        [info("TLSA", MX)],
        smtp="postfix",
        more=["_25._tcp.mx TLSA 3 1 1 {spki}"],
        fault=Fault(None, None, lambda q: with_flags(q.real, resolver.AD)),
    ),
]
