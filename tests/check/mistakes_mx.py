# SPDX-License-Identifier: MIT
"""What is wrong with MX records and hosts, and with DANE: one domain for each mistake."""
import faults
from cases import (
    GOOD_MX,
    MX,
    MX_AT,
    NGINX,
    POSTFIX,
    Case,
    error,
    info,
    untested,
    warning,
)

# For a domain whose own names have the address of the good MX.
OTHER = f"other.{GOOD_MX}"
GOOD = f"MX 10 {GOOD_MX}."

RECORDS = [
    Case(
        "mxnone",
        [warning("MX_NONE", "{domain}")],
        mx=["A {good}"],
        web=NGINX,
        patterns=["mxnone.test"],
    ),
    Case("nullmx", [info("NULL_MX", "{domain}")], mx=["MX 0 ."]),
    Case(
        "uncovered",
        [error("MX_UNCOVERED", OTHER, GOOD_MX)],
        mx=[GOOD, f"MX 20 {OTHER}."],
    ),
    Case(
        "uncoveredtesting",
        [warning("MX_UNCOVERED", OTHER), info("MODE_TESTING", "{host}")],
        mx=[GOOD, f"MX 20 {OTHER}."],
        web=NGINX,
        mode="testing",
    ),
    Case(
        "onelabel",
        [error("MX_UNCOVERED", "a.b.{domain}", "one label")],
        mx=["MX 10 a.b", "MX 20 c"],
        more=["a.b A {good}", "c A {good}"],
        web=NGINX,
        patterns=["*.onelabel.test"],
    ),
    Case(
        "wildcardmx",
        [],
        mx=["MX 10 C"],
        more=["c A {good}"],
        web=NGINX,
        patterns=["*.wildcardmx.test"],
    ),
    Case(
        "unused",
        [warning("PATTERN_UNUSED", "retired.{domain}")],
        web=NGINX,
        patterns=[GOOD_MX, "retired.unused.test"],
    ),
    Case("wide", [info("PATTERN_WIDE", "*.good.test")], web=NGINX, patterns=["*.good.test"]),
    Case(
        "mxnoaddr",
        [error("MX_NOADDR", "nowhere.{domain}")],
        mx=[GOOD, "MX 20 nowhere"],
        web=NGINX,
        patterns=[GOOD_MX, "nowhere.mxnoaddr.test"],
    ),
    Case(
        "mxcname",
        [warning("MX_CNAME", "alias.{domain}")],
        mx=["MX 10 alias"],
        more=["alias CNAME mx.good.test."],
        web=NGINX,
        patterns=["alias.mxcname.test"],
    ),
    Case("mxip", [error("MX_IP", "192.0.2.40")], mx=[GOOD, "MX 20 192.0.2.40."]),
    Case(
        "mxmany",
        [warning("MX_MANY", "{domain}", "11")],
        mx=[f"MX {n} m{n}" for n in range(11)],
        more=[f"m{n} A {{good}}" for n in range(11)],
        web=NGINX,
        patterns=["*.mxmany.test"],
    ),
    Case(
        "mxdead",
        [warning("MX_UNREACHABLE", "nowhere.{domain} [{dead}]", "refused")],
        mx=[GOOD, "MX 20 nowhere"],
        more=["nowhere A {dead}"],
        web=NGINX,
        patterns=[GOOD_MX, "nowhere.mxdead.test"],
    ),
    Case(
        "mxsilent",
        [warning("MX_UNREACHABLE", "nowhere.{domain} [{silent}]", "in time")],
        mx=[GOOD, "MX 20 nowhere"],
        more=["nowhere A {silent}"],
        web=NGINX,
        patterns=[GOOD_MX, "nowhere.mxsilent.test"],
    ),
    Case(
        "blocked",
        [untested("PORT25_BLOCKED", "{domain}")],
        mx=["MX 10 nowhere"],
        more=["nowhere A {silent}"],
        web=NGINX,
        patterns=["nowhere.blocked.test"],
    ),
]


def mx_host(name, code, kind="good", text="", smtp=POSTFIX):
    """Two domains with an MX like this, usually Postfix with a certificate of this kind: an error
    under enforce, a warning under testing."""
    testing = [warning(code, MX_AT, text), info("MODE_TESTING", "{host}")]
    return [
        Case(name, [error(code, MX_AT, text)], smtp=smtp, mx_tls=kind),
        Case(f"{name}-testing", testing, smtp=smtp, mx_tls=kind, mode="testing"),
    ]


HOSTS = [
    Case("mxsmtp", [warning("MX_SMTP", MX_AT, "refuses")], smtp=faults.smtp(b"554 no\r\n")),
    *mx_host("mxplain", "MX_NO_STARTTLS", "none"),
    *mx_host("mxold", "MX_TLS_OLD", "old", "1.2"),
    *mx_host("mxchain", "MX_CERT_CHAIN", "leaf"),
    *mx_host("mxself", "MX_CERT_CHAIN", "self", "self-signed"),
    *mx_host("mxname", "MX_CERT_NAME", "other", "elsewhere"),
    *mx_host("mxcn", "MX_CERT_NAME", "cn", "common name"),
    *mx_host("mxexpired", "MX_CERT_DATE", "expired", "expired"),
    *mx_host("mxfuture", "MX_CERT_DATE", "future", "before"),
    Case("mxsoon", [warning("MX_CERT_SOON", MX_AT)], smtp=POSTFIX, mx_tls="soon"),
    *mx_host("mxtls", "MX_TLS", smtp=faults.smtp(after=faults.saying(b"no TLS\r\n" * 8))),
    *mx_host(
        "mxglued",
        "MX_STARTTLS_DATA",
        smtp=faults.smtp(starttls=faults.READY + b"250 injected\r\n"),
    ),
    Case(
        "mxplain-none",
        [warning("MX_NO_STARTTLS", MX_AT), warning("MODE_NONE", "{host}")],
        smtp=POSTFIX,
        mx_tls="none",
        mode="none",
    ),
]

DANE = [
    Case(
        "tlsanoad",
        [info("TLSA", MX), warning("TLSA_NO_AD", MX)],
        smtp=POSTFIX,
        more=["_25._tcp.mx TLSA 3 1 1 {spki}"],
    ),
    Case(
        "tlsamismatch",
        [info("TLSA", MX), warning("TLSA_NO_AD", MX), warning("TLSA_MISMATCH", MX_AT)],
        smtp=POSTFIX,
        more=[f"_25._tcp.mx TLSA 3 1 1 {'00' * 32}"],
    ),
    Case(
        "tlsawhole",
        [info("TLSA", MX), warning("TLSA_NO_AD", MX)],
        smtp=POSTFIX,
        more=["_25._tcp.mx TLSA 3 0 1 {certificate}"],
    ),
    Case(
        "tlsaissuer",
        [info("TLSA", MX), warning("TLSA_NO_AD", MX)],
        smtp=POSTFIX,
        more=["_25._tcp.mx TLSA 2 0 1 {issuer}"],
    ),
]
