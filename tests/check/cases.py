# SPDX-License-Identifier: MIT
"""A mail domain of the tests as data: how it differs from a good one, and what must be found."""
from collections import namedtuple
from dataclasses import dataclass, field

from policies import body

# What the tool must say. `subject` may hold the words of Case.words; `text` is a part of the text.
Finding = namedtuple("Finding", "severity code subject text")

TWO_WEEKS = 1209600
GOOD_MX = "mx.good.test"
STSD, NGINX, POSTFIX = "mta-stsd", "nginx", "postfix"
# Who serves besides: nobody, not even a refusal; and a host that refuses.
SILENT_ADDRESS = "198.51.100.1"
DEAD_ADDRESS, DEAD_ADDRESS6 = "192.0.2.250", "2001:db8::7f"


def error(code, subject, text=""):
    return Finding("error", code, subject, text)


def warning(code, subject, text=""):
    return Finding("warning", code, subject, text)


def info(code, subject, text=""):
    return Finding("info", code, subject, text)


def untested(code, subject, text=""):
    return Finding("untested", code, subject, text)


HOST, HOST_AT = "{host}", "{host} [{web}]"
MX, MX_AT = "{mx}", "{mx} [{smtp}]"
STS, RPT = "_mta-sts.{domain}", "_smtp._tls.{domain}"


@dataclass(eq=False)
class Case:
    """Everything that is not given is as it must be."""

    name: str  # the domain is NAME.test, if there is no dot in it
    wants: list  # of Finding, besides DNSSEC_AD
    # Records: type and data, at the name where they belong. {id} is the id of the INI's policy.
    sts: list = field(default_factory=lambda: ['TXT "v=STSv1; id={id};"'])
    rpt: list = field(default_factory=lambda: ['TXT "v=TLSRPTv1; rua=mailto:tls@reports.example"'])
    mx: list = None  # at the domain; usually the one MX
    host: list = None  # at the policy host; usually its address
    more: list = field(default_factory=list)  # whole lines; $ORIGIN is the domain
    zone: bool = True  # whether the domain is in the zone of the tests at all
    # The policy host: a program, or the talk of a fault server.
    web: object = STSD
    tls: str = "good"  # kind of its certificate
    policy: bytes = None  # what it serves
    location: str = None  # what nginx does instead
    also: object = None  # talk of a second address
    # The MX mx.DOMAIN, likewise; None: the domain has the good MX that is everybody's.
    smtp: object = None
    mx_tls: str = "good"
    mode: str = "enforce"  # of the policy, where it is not given
    patterns: list = None  # its mx
    fault: object = None  # resolver.Fault
    ini: bool = None  # whether the INI has it; usually if mta-stsd serves it
    timeout: int = None  # seconds for each address, where it is run alone
    words: dict = field(default_factory=dict)  # filled in by the world: addresses

    def __post_init__(self):
        self.domain = self.name if "." in self.name else f"{self.name}.test"
        mx = GOOD_MX if self.smtp is None else f"mx.{self.domain}"
        self.words |= {
            "domain": self.domain,
            "host": f"mta-sts.{self.domain}",
            "mx": mx,
            "dead": DEAD_ADDRESS,
            "dead6": DEAD_ADDRESS6,
            "silent": SILENT_ADDRESS,
        }
        if self.smtp is not None and self.web == STSD:
            self.web = NGINX  # the INI has one policy for all
        if self.ini is None:
            self.ini = self.web == STSD
        if self.policy is None:
            self.policy = body(self.mode, self.patterns or [mx], TWO_WEEKS)

    def expected(self):
        """(severity, code, subject) of each finding, and the parts of their texts."""
        found = [want._replace(subject=want.subject.format(**self.words)) for want in self.wants]
        return sorted(want[:3] for want in found), found

    def zone_lines(self):
        """Its part of the zone file."""
        lines = [f"$ORIGIN {self.domain}."]
        lines += [f"_mta-sts {line}" for line in self.sts]
        lines += [f"_smtp._tls {line}" for line in self.rpt]
        lines += [f"@ {line}" for line in (["MX 10 {mx}."] if self.mx is None else self.mx)]
        addresses = ["A {web}", "A {also}"] if self.also else ["A {web}"]
        lines += [f"mta-sts {line}" for line in (addresses if self.host is None else self.host)]
        if self.smtp is not None:
            lines.append("mx A {smtp}")
        lines += self.more
        return [line.format(**self.words) for line in lines]

    def is_slow(self):
        """Whether somebody in it does not answer."""
        return any("{silent}" in line for line in [*(self.host or []), *self.more])
