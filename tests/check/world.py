# SPDX-License-Identifier: MIT
"""The small internet in which the tests' domains live: who serves what at which address."""
import contextlib
import hashlib
import itertools
import json
import re
import socket
import ssl

import namespace
import process
from cases import GOOD_MX, NGINX, POSTFIX, STSD
from faults import Listener, Place
from pki import LEAF_ONLY, Pair, openssl
from policies import policy, server_section
from resolver import Resolver
from servers import END_WITH_US, Knot, Nginx, Postfix

V4, V6 = (lambda n: namespace.address(n)), (lambda n: namespace.address(n, socket.AF_INET6))
KNOT_ADDRESSES = [V4(53), V6(0x53)]
SPOILT_RESOLVER = V4(54)
STSD_ADDRESSES = [V4(10), V6(0x10)]
NGINX_ADDRESS = V4(20)
MX_ADDRESSES = [V4(40), V6(0x40), V4(41), V6(0x41)]
FIRST_FREE = 60  # the last octet of what is given to fault servers

CLEAN = "example.com"
RUA = "mailto:tls@reports.example"
CLEAN_MX = [f"mail1.{CLEAN}", f"mail2.{CLEAN}"]
CLEAN_LINES = [
    f"$ORIGIN {CLEAN}.",
    "@ MX 10 mail1",
    "@ MX 20 mail2",
    *(f"mail1 {kind} {address}" for kind, address in zip(("A", "AAAA"), MX_ADDRESSES[:2])),
    *(f"mail2 {kind} {address}" for kind, address in zip(("A", "AAAA"), MX_ADDRESSES[2:])),
    *(f"mta-sts {kind} {address}" for kind, address in zip(("A", "AAAA"), STSD_ADDRESSES)),
]

# What OpenSSL's default security level no longer does.
OLD_TLS = "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"

# Kinds of certificates: how they are signed, and what they are for; None: what they should be.
SIGNED = {
    "good": {},
    "old": {},
    "leaf": {"order": LEAF_ONLY},
    "expired": {"days": (-20, -1)},
    "future": {"days": (2, 90)},
    "soon": {"days": (-1, 6)},
}


def certificate(pki, kind, host):
    """A pair that is good or bad for this host."""
    name = f"{kind}-{host}"
    if kind == "other":
        return pki.pair(name, ["elsewhere.test"])
    if kind == "cn":
        return pki.pair(name, (), subject=host)
    if kind != "self":
        return pki.pair(name, [host], **SIGNED[kind])
    key = pki.pair("good-for-nothing").private_key
    path = pki.directory / f"{name}.pem"
    openssl(
        *("req", "-x509", "-config", pki.directory / "ca.cnf", "-key", key, "-days", "90"),
        *("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-out", path),
    )
    return Pair(path, key)


def digest(path, what):
    """SHA-256 of a certificate, or of its public key, as TLSA records have it."""
    if what == "certificate":
        der = openssl("x509", "-in", path, "-outform", "DER")
    else:
        public = path.with_suffix(".pub")
        public.write_bytes(openssl("x509", "-in", path, "-noout", "-pubkey"))
        der = openssl("pkey", "-pubin", "-in", public, "-outform", "DER")
    return hashlib.sha256(der).hexdigest()


def tls_settings(pair):
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(*pair)
    return settings


class World:
    def __init__(self, directory, pki, cases):
        self.directory, self.pki, self.cases = directory, pki, cases
        self.by_domain = {case.domain: case for case in cases}
        self.listeners = {}  # by address and port
        self.cleanup = contextlib.ExitStack()
        directory.chmod(0o755)  # servers give up root
        self.free = (V4(n) for n in itertools.count(FIRST_FREE))
        self.sites, self.services = [], {}
        self.ini = directory / "a.ini"
        namespace.prepare()

    def start(self):
        for case in self.cases:
            case.words |= {"good": MX_ADDRESSES[0], "web": STSD_ADDRESSES[0]}
            self.place_web(case)
            self.place_mx(case)
        self.make_certificates()
        self.start_stsd()
        self.start_knot()
        self.start_nginx()
        self.start_postfix()
        faulty = {case.domain: case.fault for case in self.cases if case.fault}
        self.resolver = self.keep(Resolver(SPOILT_RESOLVER, KNOT_ADDRESSES[0], faulty))
        return self

    def keep(self, server):
        self.cleanup.callback(server.close)
        return server

    def subdirectory(self, name):
        path = self.directory / name
        path.mkdir()
        return path

    def options(self, resolver=None):
        """Options of the tool for looking at these domains."""
        return "--ca", self.pki.root, "--resolver", resolver or KNOT_ADDRESSES[0]

    # Who serves what.

    def place_web(self, case):
        host = case.words["host"]
        if case.web == NGINX:
            alone = case.tls != "good"
            case.words["web"] = next(self.free) if alone else NGINX_ADDRESS
            pair = certificate(self.pki, case.tls, host) if alone else None
            self.sites.append(
                {
                    "address": case.words["web"],
                    "host": host,
                    "pair": pair,
                    "policy": case.policy,
                    "location": case.location or "",
                    "more": OLD_TLS if case.tls == "old" else "",
                }
            )
        elif case.web != STSD:
            case.words["web"] = next(self.free)
        if case.also:
            case.words["also"] = next(self.free)

    def place_mx(self, case):
        if case.smtp is not None:
            case.words["smtp"] = next(self.free)
        if case.smtp != POSTFIX:
            return
        if case.mx_tls == "none":
            self.services[case.words["smtp"]] = {"smtpd_tls_security_level": "none"}
        else:
            self.services[case.words["smtp"]] = case.mx_tls, case.words["mx"]

    def make_certificates(self):
        """The good ones: for all the policy hosts, and for all the MX hosts."""
        webs = [case.words["host"] for case in self.cases]
        self.web_pair = self.pki.pair("web", webs)
        self.stsd_pair = self.pki.pair(
            "stsd", [f"mta-sts.{CLEAN}", *(case.words["host"] for case in self.ini_cases())]
        )
        self.mx_pair = self.pki.pair("mx", [*CLEAN_MX, *self.good_mx_names()])
        leaf = self.mx_pair.certificate
        digests = {
            "spki": digest(leaf, "key"),
            "certificate": digest(leaf, "certificate"),
            "issuer": digest(self.pki.intermediate, "certificate"),
        }
        for case in self.cases:
            case.words |= digests
        web, mail = tls_settings(self.web_pair), tls_settings(self.mx_pair)
        for case in self.cases:
            for role in ("web", "also"):
                if callable(getattr(case, role)):
                    self.listen(case, role, 443, web)
            if callable(case.smtp):
                self.listen(case, "smtp", 25, mail)

    def listen(self, case, role, port, tls):
        address = case.words[role], port
        talk = getattr(case, role)
        self.listeners[address] = self.keep(Listener(address, talk, Place(tls, case.policy)))

    def listener(self, case, role, port):
        return self.listeners[case.words[role], port]

    def good_mx_names(self):
        """Names that lead to the good MX, as the cases have them."""
        names = {GOOD_MX, f"other.{GOOD_MX}"}
        for case in self.cases:
            if case.smtp is not None and case.mx_tls == "good":
                names.add(case.words["mx"])
            for line in [*case.more, *(f"@ {line}" for line in case.mx or [])]:
                match = re.fullmatch(r"(\S+) (A \{good\}|CNAME mx\.good\.test\.)", line)
                if match:
                    names.add(case.domain if match[1] == "@" else f"{match[1]}.{case.domain}")
        return sorted(names)

    # The programs.

    def ini_cases(self):
        return [case for case in self.cases if case.ini]

    def start_stsd(self):
        domains = [case.domain for case in self.ini_cases()]
        self.ini.write_text(
            server_section(
                [f"{V4(10)}:443", f"[{V6(0x10)}]:443"],
                certificate=self.stsd_pair.certificate,
                private_key=self.stsd_pair.private_key,
                max_per_source=0,
            )
            + policy([CLEAN], "enforce", CLEAN_MX, 1209600, [RUA])
            + policy(domains, "enforce", [GOOD_MX], 1209600, [RUA])
        )
        self.stsd = process.Server(self.ini, before=END_WITH_US)
        self.cleanup.callback(self.stsd.stop)
        self.stsd.wait_ready()

    def records(self, domain, ini=None):
        """What --print-dns prints for a domain: its lines, and its id."""
        options = "-c", ini or self.ini, "--print-dns"
        printed = process.run(*options, domain).stdout.decode()
        described = json.loads(process.run(*options, "--json", domain).stdout)
        return printed.splitlines(), described["domains"][0]["id"]

    def start_knot(self):
        self.id = self.records(self.ini_cases()[0].domain)[1]
        lines = [f"{GOOD_MX}. A {MX_ADDRESSES[0]}", f"other.{GOOD_MX}. A {MX_ADDRESSES[0]}"]
        lines.append(f"mta-sts.good.test. A {NGINX_ADDRESS}")
        for case in self.cases:
            case.words["id"] = self.id
            lines += case.zone_lines() if case.zone else []
        zones = {
            "test": lines,
            CLEAN: [*CLEAN_LINES, *self.records(CLEAN)[0]],
            **{case.domain: None for case in self.cases if not case.zone},
            **{name: [] for name in ("waiting.test", "repair.test")},
        }
        addresses = [*KNOT_ADDRESSES, *namespace.system_resolvers()]
        self.knot = self.keep(Knot(self.subdirectory("knot"), addresses, zones))

    def start_nginx(self):
        for site in self.sites:
            site |= (site.pop("pair") or self.web_pair)._asdict()
        self.keep(Nginx(self.subdirectory("nginx"), self.sites))

    def start_postfix(self):
        services = {address: ("good", None) for address in MX_ADDRESSES} | self.services
        for address, what in services.items():
            if isinstance(what, dict):
                continue
            kind, host = what
            pair = self.mx_pair if kind == "good" else certificate(self.pki, kind, host)
            options = {"smtpd_tls_chain_files": f"{pair.private_key},{pair.certificate}"}
            if kind == "old":
                options["smtpd_tls_protocols"] = "TLSv1,TLSv1.1"
                options["tls_medium_cipherlist"] = "ALL:@SECLEVEL=0"
            services[address] = options
        self.keep(Postfix(self.subdirectory("postfix"), services))

    def close(self):
        self.cleanup.close()
