# SPDX-License-Identifier: MIT
"""What administrators do wrong: one domain for each mistake, and what must be found in it."""
import faults
from cases import (
    HOST,
    HOST_AT,
    NGINX,
    RPT,
    STS,
    TWO_WEEKS,
    Case,
    error,
    info,
    untested,
    warning,
)
from policies import body

TESTING = info("MODE_TESTING", HOST)
GOOD = ["mx.good.test"]
ENFORCE = body("enforce", GOOD, TWO_WEEKS)


def text(*lines):
    return "".join(f"{line}\r\n" for line in lines).encode()


def policy(name, wants, *lines, **more):
    """A domain whose policy is served by nginx as it is given: lines, or octets."""
    octets = lines[0] if isinstance(lines[0], bytes) else text(*lines)
    return Case(name, wants, web=NGINX, policy=octets, **more)


V, E, X, AGE = "version: STSv1", "mode: enforce", "mx: mx.good.test", f"max_age: {TWO_WEEKS}"

TXT = [
    Case("txtmissing", [error("TXT_MISSING", STS, "no such name (NXDOMAIN)")], sts=[]),
    Case("txtnodata", [error("TXT_MISSING", STS, "no TXT record")], sts=["A 192.0.2.1"]),
    Case(
        "txtmultiple",
        [error("TXT_MULTIPLE", STS)],
        sts=['TXT "v=STSv1; id={id};"', 'TXT "v=STSv1; id=old;"'],
    ),
    Case("txtsyntax", [error("TXT_SYNTAX", STS)], sts=['TXT "v=STSv1; id=2026-01-01;"']),
    Case("txtnoid", [error("TXT_SYNTAX", STS, "no id")], sts=['TXT "v=STSv1;"']),
    Case("idstale", [error("ID_STALE", STS, "old")], sts=['TXT "v=STSv1; id=old;"']),
    Case(
        "txtforeign",
        [warning("TXT_FOREIGN", STS)],
        sts=['TXT "v=STSv1; id={id};"', 'TXT "v=spf1 -all"'],
    ),
    Case(
        "wildcard",
        [error("TXT_MISSING", STS), warning("TXT_FOREIGN", STS)],
        sts=[],
        more=['* TXT "v=spf1 -all"'],
    ),
    Case(
        "atdomain",
        [error("TXT_MISSING", STS), warning("TXT_WRONG_NAME", "{domain}")],
        sts=[],
        more=['@ TXT "v=STSv1; id={id};"'],
    ),
    Case(
        "athost",
        [error("TXT_MISSING", STS), warning("TXT_WRONG_NAME", HOST)],
        sts=[],
        more=['mta-sts TXT "v=STSv1; id={id};"'],
    ),
    Case("txtext", [info("TXT_EXT", STS)], sts=['TXT "v=STSv1; id={id}; note=x;"']),
    Case("txtttl", [info("TXT_TTL", STS, "172800")], sts=['172800 TXT "v=STSv1; id={id};"']),
    Case("txtsplit", [], sts=['TXT "v=STS" "v1; i" "" "d={id}" ";"']),
    Case(
        "txtupper",
        [error("TXT_MISSING", STS), warning("TXT_FOREIGN", STS)],
        sts=['TXT "V=stsv1; id={id};"'],
    ),
    Case("txtblank", [error("TXT_SYNTAX", STS, "blank")], sts=['TXT "v=STSv1 ; id={id};"']),
    Case(
        "txtalias",
        [],
        sts=["CNAME _mta-sts.record"],
        more=['_mta-sts.record TXT "v=STSv1; id={id};"'],
    ),
    Case(
        "servfail.test",
        [
            untested("DNS_FAILED", STS, "TXT"),
            untested("DNS_FAILED", RPT, "TXT"),
            untested("DNS_FAILED", "{domain}", "MX"),
            untested("DNS_FAILED", HOST, "A record"),
            untested("DNS_FAILED", HOST, "AAAA record"),
        ],
        zone=False,
    ),
]

HOSTS = [
    Case("noaddr", [error("HOST_NOADDR", HOST)], host=['TXT "no address"']),
    Case("dangling", [error("HOST_NOADDR", HOST, "CNAME")], host=["CNAME nowhere.test."]),
    Case(
        "danglingdata",
        [error("HOST_NOADDR", HOST, "CNAME")],
        host=["CNAME there"],
        more=['there TXT "no address"'],
    ),
    Case("alias", [], host=["CNAME web.alias"], more=["web.alias A {web}"]),
    Case(
        "hostdead", [error("HOST_CONNECT", "{host} [{dead}]", "refused")], host=["A {dead}"]
    ),
    Case(
        "hostsilent", [error("HOST_CONNECT", "{host} [{silent}]", "in time")], host=["A {silent}"]
    ),
    Case(
        "halfdead",
        [warning("HOST_CONNECT", "{host} [{dead}]", "refused")],
        host=["A {dead}", "A {web}"],
    ),
    Case(
        "half6dead",
        [warning("HOST_CONNECT", "{host} [{dead6}]", "refused")],
        host=["AAAA {dead6}", "A {web}"],
    ),
    Case(
        "halfsilent",
        [warning("HOST_CONNECT", "{host} [{silent}]", "in time")],
        host=["A {silent}", "A {web}"],
    ),
    Case(
        "hostnoroute",
        [untested("NO_ROUTE", "{host} [203.0.113.1]")],
        host=["A 203.0.113.1", "A {web}"],
    ),
    Case(
        "hostmany",
        [untested("ADDRESSES_MANY", "{host}")]
        + [untested("NO_ROUTE", f"{{host}} [203.0.113.{n}]") for n in range(1, 9)],
        host=[f"A 203.0.113.{n}" for n in range(1, 10)],
    ),
    Case("hosttlsold", [error("HOST_TLS", HOST_AT, "1.2")], web=NGINX, tls="old"),
    Case("hostchain", [error("HOST_CERT_CHAIN", HOST_AT)], web=NGINX, tls="leaf"),
    Case("hostself", [error("HOST_CERT_CHAIN", HOST_AT, "self-signed")], web=NGINX, tls="self"),
    Case("hostname", [error("HOST_CERT_NAME", HOST_AT, "elsewhere")], web=NGINX, tls="other"),
    Case("hostcn", [error("HOST_CERT_NAME", HOST_AT, "common name")], web=NGINX, tls="cn"),
    Case("hostexpired", [error("HOST_CERT_DATE", HOST_AT, "expired")], web=NGINX, tls="expired"),
    Case("hostfuture", [error("HOST_CERT_DATE", HOST_AT, "before")], web=NGINX, tls="future"),
    Case("hostsoon", [warning("HOST_CERT_SOON", HOST_AT)], web=NGINX, tls="soon"),
    Case("http404", [error("HTTP_STATUS", HOST_AT, "404")], web=NGINX, location="return 404;"),
    Case(
        "redirect",
        [error("HTTP_STATUS", HOST_AT, "redirect")],
        web=NGINX,
        location="return 301 https://mta-sts.good.test$request_uri;",
    ),
    Case(
        "httptype",
        [warning("HTTP_TYPE", HOST_AT, "text/html")],
        web=NGINX,
        location="default_type text/html;",
    ),
    Case(
        "httptypecharset",
        [],
        web=NGINX,
        location="default_type text/plain; charset utf-8;",
    ),
    policy(
        "httpbig",
        [warning("HTTP_SIZE", HOST_AT, "5"), info("POL_UNKNOWN", HOST)],
        *(V, E, X, AGE, f"note: {'x' * 5000}"),
    ),
    policy("httphuge", [error("HTTP_SIZE", HOST_AT)], *(V, E, X, AGE, f"note: {'x' * 65536}")),
    Case(
        "httpslow",
        [warning("HTTP_SLOW", HOST_AT, "ms")],
        web=faults.http_late(2.2),
    ),
    Case(
        "bodydiffers",
        [error("BODY_DIFFERS", HOST_AT, "max_age: 2419200")],
        web=NGINX,
        ini=True,
        policy=body("enforce", GOOD, 2 * TWO_WEEKS),
    ),
    Case(
        "twobodies",
        [error("BODY_DIFFERS", "{host} [{also}]", "max_age: 2419200")],
        web=NGINX,
        also=faults.http(
            lambda _: faults.head() + body("enforce", GOOD, 2 * TWO_WEEKS)
        ),
    ),
]

POLICIES = [
    policy("polversion", [error("POL_VERSION", HOST)], "version: STSv2", E, X, AGE),
    policy("polnoversion", [error("POL_VERSION", HOST)], E, X, AGE),
    policy("polmode", [error("POL_MODE", HOST)], V, "mode: Enforce", X, AGE),
    policy("polnomode", [error("POL_MODE", HOST)], V, X, AGE),
    policy("polmaxage", [error("POL_MAXAGE", HOST)], V, E, X, "max_age: 14d"),
    policy("polmaxagelarge", [error("POL_MAXAGE", HOST)], V, E, X, "max_age: 31557601"),
    policy("polnomaxage", [error("POL_MAXAGE", HOST)], V, E, X),
    policy("polmx", [error("POL_MX_SYNTAX", HOST)], V, E, X, "mx: mx.*.test", AGE),
    policy("polmxdot", [error("POL_MX_SYNTAX", HOST)], V, E, X, "mx: mx.good.test.", AGE),
    policy("polmxlist", [error("POL_MX_SYNTAX", HOST)], V, E, f"{X}, mx2.good.test", AGE),
    policy("polnomx", [error("POL_MX_SYNTAX", HOST)], V, E, AGE),
    policy("polsyntax", [error("POL_SYNTAX", HOST)], V, E, X, AGE, "a line without a sign"),
    policy("polshort", [warning("POL_MAXAGE_SHORT", HOST)], V, E, X, "max_age: 86400"),
    policy(
        "polshorttesting",
        [warning("POL_MAXAGE_SHORT", HOST), TESTING],
        *(V, "mode: testing", X, "max_age: 86399"),
    ),
    policy("poldup", [warning("POL_DUP", HOST)], V, E, X, AGE, "max_age: 2419200"),
    policy("polunknown", [info("POL_UNKNOWN", HOST)], V, E, X, AGE, "note: x"),
    policy("pollf", [info("POL_LINES", HOST, "LF")], ENFORCE.replace(b"\r\n", b"\n")),
    policy("polmixed", [warning("POL_LINES", HOST)], ENFORCE.replace(b"\r\n", b"\n", 1)),
    policy("polblank", [error("POL_LINES", HOST)], V, E, "", X, AGE),
    policy(
        "polascii",
        [warning("POL_LINES", HOST), info("POL_UNKNOWN", HOST)],
        *(V, E, X, AGE, "note: für alle"),
    ),
    policy(
        "polsenders",
        [warning("POL_SENDERS_DIFFER", HOST), warning("MODE_NONE", HOST)],
        *(V, "mode: none", AGE),
    ),
    policy("poltesting", [TESTING], V, "mode: testing", X, AGE),
    policy("polnone", [warning("MODE_NONE", HOST)], V, "mode: none", X, AGE),
]

REPORTS = [
    Case("rptmissing", [warning("RPT_MISSING", RPT)], rpt=[]),
    Case(
        "rptmultiple",
        [error("RPT_MULTIPLE", RPT)],
        rpt=[f'TXT "v=TLSRPTv1; rua=mailto:{box}@reports.example"' for box in ("tls", "sts")],
    ),
    Case(
        "rptsyntax",
        [error("RPT_SYNTAX", RPT)],
        rpt=['TXT "v=TLSRPTv1 rua=mailto:tls@reports.example"'],
    ),
    Case("rptrua", [error("RPT_RUA", RPT)], rpt=['TXT "v=TLSRPTv1; rua=ftp://reports.example/"']),
    Case("rptnorua", [error("RPT_RUA", RPT)], rpt=['TXT "v=TLSRPTv1;"']),
    Case(
        "rptown",
        [info("RPT_RUA_SAME_DOMAIN", RPT)],
        rpt=['TXT "v=TLSRPTv1; rua=mailto:tls@{domain}"'],
        web=NGINX,
    ),
    Case(
        "rptmany",
        [info("RPT_RUA_MANY", RPT)],
        rpt=['TXT "v=TLSRPTv1; rua=mailto:a@reports.example,mailto:b@reports.example"'],
        web=NGINX,
    ),
    Case(
        "rptexpected",
        [warning("RPT_RUA_EXPECTED", RPT, "sts@reports.example")],
        rpt=['TXT "v=TLSRPTv1; rua=mailto:sts@reports.example"'],
    ),
    Case(
        "rptmisspelt",
        [warning("RPT_MISSING", RPT), warning("TXT_WRONG_NAME", RPT, "TLSRPTv1")],
        rpt=['TXT "v=TSLRPTv1; rua=mailto:tls@reports.example"'],
    ),
    Case(
        "rptelsewhere",
        [warning("RPT_MISSING", RPT), warning("TXT_WRONG_NAME", "_smtp-tlsrpt.{domain}")],
        rpt=[],
        more=['_smtp-tlsrpt TXT "v=TLSRPTv1; rua=mailto:tls@reports.example"'],
    ),
    Case(
        "rpthttps",
        [warning("RPT_HTTPS", "nowhere.{domain}:443", "address")],
        rpt=['TXT "v=TLSRPTv1; rua=https://nowhere.{domain}/tls"'],
        web=NGINX,
    ),
    Case(
        "rpthttpscert",
        [warning("RPT_HTTPS", "reports.{domain}:443", "certificate")],
        rpt=['TXT "v=TLSRPTv1; rua=https://reports.{domain}/tls"'],
        more=["reports A {web}"],
        web=NGINX,
    ),
    Case(
        "rpthttpsgood",
        [],
        rpt=['TXT "v=TLSRPTv1; rua=https://mta-sts.{domain}/tls"'],
        web=NGINX,
    ),
]
