# SPDX-License-Identifier: MIT
"""All domains of the tests, and which of them yields which code."""
import mistakes
import mistakes_mx
import troubles
import troubles_dns

# Those that take long come first: the tool takes domains by sixteen.
MISTAKES = sorted(
    [
        *(mistakes.TXT + mistakes.HOSTS + mistakes.POLICIES + mistakes.REPORTS),
        *(mistakes_mx.RECORDS + mistakes_mx.HOSTS + mistakes_mx.DANE),
    ],
    key=lambda case: not case.is_slow(),
)
DNS_TROUBLES = troubles_dns.LIES + troubles_dns.FAILURES
WIRE_TROUBLES = troubles.WEB + troubles.SMTP + troubles.HOSTILE
HARMLESS = troubles.GOOD + troubles_dns.GOOD
TROUBLES = DNS_TROUBLES + WIRE_TROUBLES + HARMLESS
ALL = MISTAKES + TROUBLES + troubles.EXTRA

# Not to be had from a domain as such: test_jobs.py kills a process that looks at it.
KILLED = {"CHECK_FAILED": "killedmx.test"}


def code_domains():
    """{code: a domain that yields it}."""
    domains = {"DNSSEC_AD": ALL[0].domain} | KILLED
    for case in MISTAKES + TROUBLES:
        for want in case.wants:
            domains.setdefault(want.code, case.domain)
    return domains
