# SPDX-License-Identifier: MIT
"""Faults of policy hosts and MX hosts: one domain for each, nothing else wrong with it, and what
must be found."""
import faults
from cases import HOST_AT, MX_AT, NGINX, Case, error, warning
from faults import CHUNKED, chunk, head, http, http_then, length, over_tls, smtp
from resolver import Fault
from tool import TIMEOUT


def web(name, talk, *wants):
    return Case(name, list(wants), web=talk)


def half(name, talk, *wants):
    """Two addresses, of which one is well."""
    return Case(name, list(wants), web=NGINX, also=talk)


HTTP_SYNTAX = error("HTTP_SYNTAX", HOST_AT)
HTTP_SIZE = error("HTTP_SIZE", HOST_AT)
HTTP_SLOW = error("HTTP_SLOW", HOST_AT, f"within {TIMEOUT} seconds")
HOST_TLS = error("HOST_TLS", HOST_AT)


def whole(policy, *fields):
    return head(length(len(policy)), *fields) + policy


def chunked(*parts):
    return head(CHUNKED) + b"".join(parts)


WEB = [
    web("websilent", faults.silent, HOST_TLS),
    web("webclosing", faults.closing, HOST_TLS),
    web("webresetting", faults.resetting, HOST_TLS),
    web("webgarbage", faults.saying(bytes(range(256)) * 4), HOST_TLS),
    web("webplain", faults.saying(head(length(0))), HOST_TLS),
    web("webendless", faults.endless(b"\x16\x03\x03\x40\x00" + bytes(0x4000)), HOST_TLS),
    web("webdrip", faults.dripping(b"\x16\x03\x03\x40\x00" + bytes(64)), HOST_TLS),
    web("noanswer", over_tls(lambda tls, _: None), HTTP_SYNTAX),
    web("nothttp", http(lambda policy: policy), HTTP_SYNTAX),
    web("nuls", http(lambda policy: bytes(300) + b"\r\n\r\n"), HTTP_SYNTAX),
    web("oldhttp", http(lambda policy: b"HTTP/0.9 200 OK\r\n\r\n" + policy), HTTP_SYNTAX),
    web("endlesshead", over_tls(lambda tls, _: faults.repeat(tls, b"X-Field: x\r\n")), HTTP_SYNTAX),
    web("headcut", http(lambda policy: b"HTTP/1.1 200 OK\r\nContent-"), HTTP_SYNTAX),
    web("lengthlarge", http(lambda p: head(length(len(p) + 1)) + p), HTTP_SYNTAX),
    web("lengthsmall", http(lambda p: head(length(len(p) - 2)) + p), HTTP_SYNTAX),
    web("lengthword", http(lambda p: head(b"Content-Length: all") + p), HTTP_SYNTAX),
    web("lengthtail", http(lambda p: head(length(len(p)) + b"x") + p), HTTP_SYNTAX),
    web("lengthhuge", http(lambda p: head(b"Content-Length: 18446744073709551615") + p), HTTP_SIZE),
    web("lengthtwo", http(lambda p: whole(p, length(9))), HTTP_SYNTAX),
    web("nolengthcut", http_then(lambda p: head() + p, faults.cut), HTTP_SYNTAX),
    web(
        "endlessbody",
        http_then(lambda _: head(), lambda tls: faults.repeat(tls, b"x" * 4096)),
        HTTP_SIZE,
    ),
    web("stall", http_then(lambda p: head(length(len(p))) + p[:9], faults.until_gone), HTTP_SLOW),
    web("mute", over_tls(lambda tls, _: faults.until_gone(tls)), HTTP_SLOW),
    web("bodydrip", http_then(lambda _: head(), lambda tls: faults.drip(tls, b"x")), HTTP_SLOW),
    web("chunksize", http(lambda p: chunked(b"zz\r\n", p)), HTTP_SYNTAX),
    web("chunkminus", http(lambda p: chunked(b"-5\r\n", p)), HTTP_SYNTAX),
    web("chunkend", http(lambda p: chunked(chunk(p, len(p) - 4), chunk(b""))), HTTP_SYNTAX),
    web("chunkcut", http(lambda p: chunked(chunk(p))), HTTP_SYNTAX),
    web("chunkhuge", http(lambda p: chunked(b"ffffffffffffffff\r\n", p)), HTTP_SIZE),
    web("chunkwrap", http(lambda p: chunked(b"10000000000000001\r\nx\r\n0\r\n\r\n")), HTTP_SIZE),
    web(
        "chunkmany",
        http_then(lambda _: head(CHUNKED), lambda tls: faults.repeat(tls, chunk(b"x") * 500)),
        HTTP_SIZE,
    ),
    web(
        "redirectloop",
        http(
            lambda _: head(
                b"Location: https://mta-sts.redirectloop.test/.well-known/mta-sts.txt",
                length(0),
                status=b"302 Found",
            )
        ),
        error("HTTP_STATUS", HOST_AT, "redirect"),
    ),
    half("halfmute", faults.silent, error("HOST_TLS", "{host} [{also}]")),
    half("halfclosing", faults.closing, error("HOST_TLS", "{host} [{also}]")),
]

MX_SMTP = warning("MX_SMTP", MX_AT)
MX_TLS = error("MX_TLS", MX_AT)


def mx(name, talk, *wants):
    return Case(name, list(wants), smtp=talk)


SMTP = [
    mx("smtpsilent", faults.silent, MX_SMTP),
    mx("smtpclosing", faults.closing, MX_SMTP),
    mx("smtpresetting", faults.resetting, MX_SMTP),
    mx("endlessline", faults.endless(b"220-" + b"x" * 4092), MX_SMTP),
    mx("endlesslines", faults.endless(b"220-wait\r\n" * 400), MX_SMTP),
    mx("smtpdrip", faults.dripping(b"220-x\r\n"), MX_SMTP),
    mx("smtpgarbage", faults.saying(bytes(range(256))), MX_SMTP),
    mx("smtpnuls", faults.saying(bytes(4096)), MX_SMTP),
    mx("smtphttp", faults.saying(head(length(0))), MX_SMTP),
    mx("greeting554", smtp(b"554 5.3.2 no service\r\n"), MX_SMTP),
    mx("greeting421", smtp(b"421 4.3.2 later\r\n"), MX_SMTP),
    mx("ehlorefused", smtp(ehlo=b"502 5.5.2 what?\r\n"), MX_SMTP),
    mx("ehlocut", smtp(ehlo=b"250-mx.test\r\n250-STAR"), MX_SMTP),
    mx("ehloendless", smtp(ehlo=b"250-x\r\n" * 40000), MX_SMTP),
    mx("almost", smtp(ehlo=b"250-mx.test\r\n250 STARTTLSX\r\n"), error("MX_NO_STARTTLS", MX_AT)),
    mx("named", smtp(ehlo=b"250 STARTTLS\r\n"), error("MX_NO_STARTTLS", MX_AT)),
    mx("refused", smtp(starttls=b"454 4.7.0 not now\r\n"), error("MX_NO_STARTTLS", MX_AT)),
    mx("zero", smtp(starttls=b"000 2.0.0 go ahead\r\n"), error("MX_NO_STARTTLS", MX_AT)),
    mx("tlsstall", smtp(after=faults.silent), MX_TLS),
    mx("tlsclosing", smtp(after=faults.closing), MX_TLS),
    mx("tlsdrip", smtp(after=faults.dripping(b"\x16\x03\x03\x40\x00" + bytes(64))), MX_TLS),
    mx("tlsgarbage", smtp(after=faults.saying(bytes(range(256)))), MX_TLS),
    mx("tlsalert", smtp(after=faults.saying(b"\x15\x03\x03\0\x02\x02\x28")), MX_TLS),
    # Ten hosts, one as slow as the other: they are waited for together.
    Case(
        "tenfold",
        [warning("MX_SMTP", f"m{n}.{{domain}} [{{smtp}}]") for n in range(10)],
        smtp=faults.silent,
        mx=[f"MX 10 m{n}" for n in range(10)],
        more=[f"m{n} A {{smtp}}" for n in range(10)],
        patterns=["*.tenfold.test"],
    ),
]

# Nothing is wrong here, only unusual.
GOOD = [
    web("chunks", http(lambda p: chunked(chunk(p[:7]), chunk(p[7:]), chunk(b"")))),
    web("nolength", http(lambda p: head() + p)),
    web("lowercase", http(lambda p: b"HTTP/1.1" + head(length(len(p)))[8:].lower() + p)),
    web("lengthcut", http_then(whole, faults.cut)),
    # Postscreen lets a client wait that long, and longer.
    Case("lategreeting", [], smtp=smtp(late=6), timeout=60),
    Case("latergreeting", [], smtp=smtp(late=25), timeout=60),
    mx("longgreeting", smtp(b"220-mx.test\r\n" * 20 + b"220 mx.test\r\n")),
    mx("smallehlo", smtp(ehlo=b"250-mx.test\r\n250 starttls\r\n")),
]

# Text that would do something to a terminal.
ESCAPES = b"\x1b[2J\x1b]0;title\x07\xff\x7f"

HOSTILE = [
    Case(
        "escapetxt",
        [error("TXT_SYNTAX", "_mta-sts.{domain}"), error("RPT_RUA", "_smtp._tls.{domain}")],
        sts=[r'TXT "v=STSv1; id=\027[2J\007\255;"'],
        rpt=[r'TXT "v=TLSRPTv1; rua=mailto:\027[2J\007\255"'],
    ),
    web(
        "escapelocation",
        http(lambda _: head(b"Location: " + ESCAPES, length(0), status=b"301 Gone")),
        error("HTTP_STATUS", HOST_AT),
    ),
    web(
        "escapetype",
        http(lambda p: whole(p).replace(b"text/plain", b"text/\x1b[2J\x07\xff")),
        warning("HTTP_TYPE", HOST_AT),
    ),
    web(
        "escapepolicy",
        http(lambda p: whole(p.replace(b"enforce", b"enforce\x1b[2J\x07"))),
        error("POL_MODE", "{host}"),
    ),
    Case(
        "escapename",
        [error(code, r"\027[2j.{domain}") for code in ("MX_NOADDR", "MX_UNCOVERED")],
        mx=[r"MX 10 mx.good.test.", r"MX 20 \027\0912j"],
    ),
    mx("escapesmtp", smtp(b"554 " + ESCAPES + b"\n"), MX_SMTP),
]

# For tests of their own, which start the tool themselves.
NOWHERE = "MX 10 nowhere"
EXTRA = [
    Case(
        "ports",
        [],
        host=["A {dead}"],
        mx=[NOWHERE],
        more=["nowhere A {dead}"],
        ini=False,
        patterns=["nowhere.ports.test"],
    ),
    mx("nosmtp", faults.closing),
    mx("names", smtp()),
    Case("killeddns", [], fault=Fault(None, None, lambda query: None)),
    web("killedweb", faults.silent),
    mx("killedmx", faults.silent),
    mx("interrupted", faults.silent),
    web("manyfaults", http(lambda _: head(length(60000)) + b"no\r\n" * 15000)),
]
