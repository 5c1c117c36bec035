# SPDX-License-Identifier: MIT
"""A mailbox of many reports as a dozen reporters send them, made from a seed. What each report
says is kept as data, from which counting.py counts."""
import base64
import gzip
import io
import json
import random
import zipfile
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

FIRST_DAY = date(2024, 1, 1)
DAYS = 60

Detail = namedtuple("Detail", "result mx sending receiving reason count")
Policy = namedtuple("Policy", "kind domain lines good failed details")


@dataclass
class Report:
    """What a report says, whatever form it has."""

    organization: str
    id: str
    day: date
    last: date
    policies: list


@dataclass
class Mailbox:
    """What was written: the reports in the order in which they are read, each as often as it is
    there; and how many files cannot be read, or hold no report."""

    reports: list = field(default_factory=list)
    unreadable: int = 0
    empty: int = 0
    octets: int = 0


def policy_lines(domain, mode):
    return ["version: STSv1", f"mode: {mode}", f"mx: *.{domain}", "max_age: 1209600"]


# How a domain is: its mode, the kinds of policy that senders find, the days (counted from the last
# one) on which sessions fail, with what they fail, and how many reporters it has.
Domain = namedtuple("Domain", "name mode kinds bad results reporters")
STS_RESULTS = [
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "moon-in-the-way",
]
FETCH_RESULTS = ["sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"]
DANE_RESULTS = ["tlsa-invalid", "dnssec-invalid", "dane-required"]
ALWAYS = range(DAYS)
DOMAINS = [
    Domain("clean.example.com", "testing", ["sts"], [], [], 9),
    Domain("enforced.example.com", "enforce", ["sts"], [], [], 9),
    Domain("double.example.com", "testing", ["sts", "tlsa"], [], [], 9),
    Domain("expired.example.com", "testing", ["sts"], range(5, 20), STS_RESULTS, 9),
    Domain("old-trouble.example.net", "enforce", ["sts"], range(14, 40), STS_RESULTS, 9),
    Domain("edge-trouble.example.net", "enforce", ["sts"], range(13, 40), STS_RESULTS, 9),
    Domain("lost.example.net", "enforce", ["sts"], ALWAYS, STS_RESULTS, 9),
    Domain("unfetched.example.net", "enforce", ["sts"], ALWAYS, FETCH_RESULTS, 9),
    Domain("dane.example.net", "testing", ["sts", "tlsa"], [2, 3], DANE_RESULTS, 9),
    Domain("one-reporter.example.org", "testing", ["sts"], [], [], 1),
    Domain("two-reporters.example.org", "testing", ["sts"], [], [], 2),
    Domain("no-policy.example.org", "testing", ["no-policy-found"], [], [], 9),
    Domain(
        "mixed.example.org",
        "testing",
        ["sts", "no-policy-found", "other"],
        [1, 30],
        STS_RESULTS,
        9,
    ),
    Domain("none.example.org", "none", ["sts"], [], [], 9),
]
MODELESS = {"none": ["version: STSv1", "mode: none", "max_age: 86400"]}


def lines_of(domain):
    return MODELESS.get(domain.mode, policy_lines(domain.name, domain.mode))


def make_details(random, domain, kind, failed):
    """Rows that may add up to the total or not."""
    results = DANE_RESULTS if kind == "tlsa" else domain.results
    rows = []
    for _ in range(random.randint(0, 3)):
        n = random.randint(1, 3)
        hosts = f"mx{n}.{domain.name}", f"192.0.2.{random.randint(1, 3)}", f"198.51.100.{n}"
        hosts = [host if random.random() < 0.8 else "" for host in hosts]
        reason = random.choice(["", "", "E1", "a longer reason, in words"])
        rows.append(Detail(random.choice(results), *hosts, reason, random.randint(1, failed)))
    return rows


def make_policies(random, domain, day):
    """The policies of one domain in one report."""
    is_bad = (FIRST_DAY + timedelta(DAYS - 1) - day).days in domain.bad
    found = []
    for kind in domain.kinds:
        if kind == "tlsa" and random.random() < 0.3:
            continue
        good = random.choice([random.randint(1, 9), random.randint(10, 5000)])
        failed = random.randint(1, 40) if is_bad and random.random() < 0.8 else 0
        if kind in ("tlsa", "no-policy-found", "other") and domain.name != "dane.example.net":
            failed = 0
        if kind == "sts" and domain.name == "dane.example.net":
            failed = 0
        details = make_details(random, domain, kind, failed) if failed else []
        lines = lines_of(domain) if kind == "sts" else []
        found.append(Policy(kind, domain.name, lines, good, failed, details))
    return found


# The reporters, each with habits of its own. A habit takes the report and its JSON and changes
# both, or the JSON alone where the meaning is the same.


def habit_plain(random, report, tree):
    pass


def habit_no_timezone(random, report, tree):
    """As Microsoft: no time zone, and the same sessions under sts and tlsa, in one string."""
    tree["date-range"] = {key: time[:-1] for key, time in tree["date-range"].items()}
    for item in tree["policies"]:
        item["policy"].pop("mx-host", None)
        if item["policy"]["policy-type"] == "tlsa":
            item["policy"]["policy-string"] = ['["3 1 1 %s"]' % ("ab" * 32)]


def habit_next_midnight(random, report, tree):
    """As Mail.ru: sorted keys, the end at midnight, no policy-string."""
    tree["date-range"]["end-datetime"] = f"{report.last + timedelta(1)}T00:00:00Z"
    for number, item in enumerate(tree["policies"]):
        item["policy"].pop("policy-string", None)
        report.policies[number] = report.policies[number]._replace(lines=[])


def habit_twice(random, report, tree):
    """As SocketLabs: the same policy twice, another name of the MX, the end before the start."""
    tree["policies"] = [item for item in tree["policies"] for _ in range(2)]
    tree["date-range"]["end-datetime"] = f"{report.day - timedelta(1)}T23:59:59Z"
    report.last = report.day
    for item in tree["policies"]:
        for row in item.get("failure-details", []):
            if "receiving-mx-hostname" in row:
                row["receiving-mx-host-name"] = row.pop("receiving-mx-hostname")


def habit_wrapped(random, report, tree):
    """In a wrapper, with counts that are strings, a null contact and unknown keys."""
    tree["contact-info"] = None
    tree["x-extension"] = {"a": [1, None]}
    for item in tree["policies"]:
        item["summary"] = {key: str(count) for key, count in item["summary"].items()}
        item.setdefault("failure-details", None)
    tree["tls-report"] = dict(tree)
    for key in list(tree):
        if key != "tls-report":
            del tree[key]


def habit_draft(random, report, tree):
    """As the drafts: one policy, at the top, and other names of keys."""
    if len(tree["policies"]) == 1:
        tree |= tree.pop("policies")[0]
        for row in tree.get("failure-details", []):
            row["session-count"] = row.pop("failed-session-count")
            if "failure-reason-code" in row:
                row["failure-error-code"] = row.pop("failure-reason-code")


def habit_domainless(random, report, tree):
    """A policy without its domain besides."""
    tree["policies"].insert(0, {"policy": {"policy-type": "sts"}, "summary": {}})
    report.policies.insert(0, Policy("sts", "", [], 0, 0, []))


def habit_nameless(random, report, tree):
    """No organization-name: the contact stands for it."""
    del tree["organization-name"]
    report.organization = tree["contact-info"]


def habit_tight(random, report, tree):
    """Policy lines without spaces, capitals in the domain, a week at a time."""
    for item in tree["policies"]:
        if "policy-string" in item["policy"]:
            item["policy"]["policy-string"] = [
                line.replace(": ", ":") for line in item["policy"]["policy-string"]
            ]
        item["policy"]["policy-domain"] = item["policy"]["policy-domain"].upper()
    report.last = report.day + timedelta(6)
    tree["date-range"]["end-datetime"] = f"{report.last}T23:59:59Z"


HABITS = [
    ("Sender One", habit_plain),
    ("Sender Two", habit_no_timezone),
    ("Sender Three", habit_next_midnight),
    ("Sender Four", habit_twice),
    ("Sender Five", habit_wrapped),
    ("Sender Six", habit_draft),
    ("Sender Seven", habit_domainless),
    ("Sender Eight", habit_nameless),
    ("Sender Nine", habit_tight),
]


def make_tree(report):
    """The JSON of a report by the letter of the RFC."""
    items = []
    for policy in report.policies:
        about = {"policy-type": policy.kind, "policy-domain": policy.domain}
        if policy.kind == "other":
            about["policy-type"] = "some-new-type"
        if policy.lines:
            about |= {"policy-string": policy.lines, "mx-host": [f"*.{policy.domain}"]}
        item = {
            "policy": about,
            "summary": {
                "total-successful-session-count": policy.good,
                "total-failure-session-count": policy.failed,
            },
        }
        if policy.details:
            item["failure-details"] = [make_row(detail) for detail in policy.details]
        items.append(item)
    return {
        "organization-name": report.organization,
        "date-range": {
            "start-datetime": f"{report.day}T00:00:00Z",
            "end-datetime": f"{report.last}T23:59:59Z",
        },
        "contact-info": "tlsrpt@example.net",
        "report-id": report.id,
        "policies": items,
    }


def make_row(detail):
    row = {
        "result-type": detail.result,
        "sending-mta-ip": detail.sending,
        "receiving-mx-hostname": detail.mx,
        "receiving-ip": detail.receiving,
        "failed-session-count": detail.count,
        "failure-reason-code": detail.reason,
    }
    return {key: value for key, value in row.items() if value != ""}


def as_zip(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("report.json", (2024, 3, 1, 0, 0, 0)), data)
    return out.getvalue()


def as_gzip(data):
    return gzip.compress(data, compresslevel=1, mtime=0)


def as_is(data):
    return data


MAIL = """\
Return-Path: <tlsrpt@example.net>
From: tlsrpt@example.net
To: tlsrpt@example.com
Subject: Report Domain: example.com
 Submitter: example.net Report-ID: <%(id)s>
MIME-Version: 1.0
Content-Type: multipart/report; report-type="tlsrpt";
 boundary="=-limit"

--=-limit
Content-Type: %(first)s

This is a report.
--=-limit
Content-Type: %(type)s
Content-Disposition: attachment; filename="example.net!example.com!1!2.json.gz"
Content-Transfer-Encoding: base64

%(body)s
--=-limit--
"""
TYPES = [
    "application/tlsrpt+json",
    "application/tlsrpt+gzip",
    "application/tlsrpt+x-gzip",
    "application/tlsrpt+zip",
    "application/tlsrpt",
    "application/gzip",
    "application/octet-stream",
]


def as_mail(random, data, number):
    body = base64.encodebytes(data).decode().rstrip("\n")
    if random.random() < 0.1:
        body = body.rstrip("=")
    mail = MAIL % {
        "id": number,
        "first": random.choice(["text/plain", "text/html; charset=utf-8"]),
        "type": random.choice(TYPES),
        "body": body,
    }
    if random.random() < 0.3:
        mail = mail.replace("\n", "\r\n")
    return mail.encode()


# What cannot be read, or is no report.
TROUBLES = [
    (b"", "unreadable"),
    (b'{"organization-name": "Sender', "unreadable"),
    (as_gzip(b'{"policies": []}' * 50)[:-9], "unreadable"),
    (b"\x00\x01\x02", "unreadable"),
    (b"[" * 5000, "unreadable"),
    (b"From: a@example.net\nSubject: Hello\n\nNo report, [just] words.\n", "empty"),
]


class Generator:
    def __init__(self, seed, count):
        self.random = random.Random(seed)
        self.count = count
        self.number = 0
        self.files = []  # bytes, and what they are: a Report, "unreadable" or "empty"

    def make_report(self, organization, habit, day, domains):
        self.number += 1
        report = Report(organization, f"{self.number}.{day:%j}@example.net", day, day, [])
        for domain in domains:
            report.policies += make_policies(self.random, domain, day)
        tree = make_tree(report)
        habit(self.random, report, tree)
        text = json.dumps(
            tree,
            indent=self.random.choice([None, None, 1]),
            sort_keys=habit is habit_next_midnight,
        )
        return report, (b"\xef\xbb\xbf" if self.number % 50 == 0 else b"") + text.encode()

    def wrap(self, data):
        packed = self.random.choice([as_gzip, as_gzip, as_gzip, as_zip, as_is])(data)
        return as_mail(self.random, packed, self.number) if self.random.random() < 0.8 else packed

    def make_one(self):
        choice = self.random.random()
        if choice < 0.01:
            self.files.append(self.random.choice(TROUBLES))
            return
        reporter = self.random.randrange(len(HABITS))
        known = [domain for domain in DOMAINS if reporter < domain.reporters]
        domains = self.random.sample(known, self.random.choice([1, 1, 1, 2, 3]))
        day = FIRST_DAY + timedelta(self.random.randrange(DAYS))
        # A week that ends behind the last day would make other days the newest.
        if HABITS[reporter][1] is habit_tight:
            day = min(day, FIRST_DAY + timedelta(DAYS - 7))
        report, data = self.make_report(*HABITS[reporter], day, domains)
        self.files.append((self.wrap(data), report))
        if choice < 0.05:
            self.files.append((self.wrap(data), report))  # the same again, in other wrapping
        elif choice < 0.06:
            self.files.append((self.wrap(data.replace(b"2024-0", b"2020-0")), None))

    def make_all(self):
        while len(self.files) < self.count:
            self.make_one()
        del self.files[self.count :]
        return self.files


def write_maildir(path, seed, count):
    """Writes a Maildir; "new" and "cur" in turn. Files are read in the order of their names, "new"
    first."""
    mailbox = Mailbox()
    files = Generator(seed, count).make_all()
    places = [Path(path) / name for name in ("new", "cur", "tmp")]
    for place in places:
        place.mkdir(parents=True)
    (places[2] / "1").write_bytes(b"not there yet")
    half = count // 2
    for number, (data, what) in enumerate(files):
        place = places[0] if number < half else places[1]
        flags = ":2,S" if number % 3 == 0 and number >= half else ""
        (place / f"{1709600000 + number}.M{number}.mail{flags}").write_bytes(data)
        mailbox.octets += len(data)
        if what == "unreadable":
            mailbox.unreadable += 1
        elif what == "empty":
            mailbox.empty += 1
        else:
            mailbox.reports.append(what)
    return mailbox
