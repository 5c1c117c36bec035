# SPDX-License-Identifier: MIT
"""The mail domains of the tests as data: what each one says, and who takes its mail."""
from collections import namedtuple

# `patterns`: the mx lines of its policy. `exchanges`: where the MX records of its zone lead to.
Domain = namedtuple("Domain", "name mode patterns exchanges")

MAX_AGES = {"enforce": 1209600, "testing": 1209600, "none": 86400}
CLEAN, CLEAN_MX = "example.com", ["mx1.example.com", "mx2.example.com"]
# Takes everybody's mail, with a good certificate for its own name: what spoofed DNS leads to.
ROGUE = "mx.rogue.test"
CHANGING, ENDING, RENEWED = "changing.test", "ending.test", "renewed.test"
OLD_MX, NEW_MX = f"old.{CHANGING}", f"new.{CHANGING}"

SERVED = [
    Domain(CLEAN, "enforce", CLEAN_MX, CLEAN_MX),
    Domain("example.net", "testing", ["mx.example.net"], [ROGUE]),
    Domain("example.org", "none", ["mx.example.org"], [ROGUE]),
    Domain("wildcard.test", "enforce", ["*.in.wildcard.test"], ["mx7.in.wildcard.test"]),
    Domain("spoofed.test", "enforce", ["mx.spoofed.test"], [ROGUE]),
    Domain("untrusted.test", "enforce", ["mx.untrusted.test"], ["mx.untrusted.test"]),
    Domain("misnamed.test", "enforce", ["mx.misnamed.test"], ["mx.misnamed.test"]),
    Domain("plain.test", "enforce", ["mx.plain.test"], ["mx.plain.test"]),
    Domain(CHANGING, "enforce", [OLD_MX], [OLD_MX]),
    Domain(RENEWED, "testing", [f"mx.{RENEWED}"], [f"mx.{RENEWED}"]),
    Domain(ENDING, "enforce", [f"mx.{ENDING}"], [f"mx.{ENDING}"]),
]
BY_NAME = {domain.name: domain for domain in SERVED}
NAMES = list(BY_NAME)

# Domains with a record of their own making or none, and who is found at their mta-sts name.
NO_POLICY = "nopolicy.test"  # nobody
STRANGER = "stranger.test"  # mta-stsd, which does not know it
ELSEWHERE = "elsewhere.test"  # another policy host
MISNAMED_HOST = "misnamedhost.test"  # that host, whose certificate is for the former alone

# Kinds of certificates of the MX hosts that have not a good one; None: no STARTTLS.
BAD_EXCHANGES = {"mx.untrusted.test": "self", "mx.misnamed.test": "other", "mx.plain.test": None}
EXCHANGES = sorted({host for domain in SERVED for host in domain.exchanges} | {NEW_MX})
