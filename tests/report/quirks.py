# SPDX-License-Identifier: MIT
"""What real reporters make of RFC 8460, one departure a file in tests/data/tlsrpt, and what must
come out of each."""
from collections import namedtuple

Quirk = namedtuple(
    "Quirk", "file code reports sessions types notes failures policies first last organization says"
)

# The end of a note's text, by a name of ours.
NOTES = {
    "no_timezone": "a time without a time zone, taken as UTC",
    "ends_early": "a period that ends before it starts",
    "bad_count": "a count that is missing or none, taken as 0",
    "sum_differs": "failures that do not add up to their total; the total counts",
    "no_organization": "no organization-name; the contact-info stands for it",
    "no_domain": "a policy without its domain",
    "twice": "the same policy again, counted once",
}
TEXT = "version: STSv1\r\nmode: testing\r\nmx: mx.example.com\r\nmax_age: 604800\r\n"
TESTING = [("testing", TEXT)]
DAY = "2024-03-05"


def quirk(file, code=0, good=5, failed=0, kind="sts", notes="", **more):
    """One report of one policy, of example.com, unless more is said."""
    more.setdefault("reports", 1)
    more.setdefault("types", {kind: (good, failed)} if good or failed else {})
    more.setdefault("sessions", {"example.com": (good, failed)})
    more.setdefault("failures", [])
    more.setdefault("policies", TESTING if kind == "sts" else [])
    more.setdefault("first", DAY)
    more.setdefault("last", DAY)
    more.setdefault("organization", "Sender One")
    more.setdefault("says", [])
    return Quirk(file=file, code=code, notes=notes.split(), **more)


def failing(file, *failures, failed=1, **more):
    return quirk(file, code=1, failed=failed, failures=sorted(failures), **more)


def unreadable(file, *says, **more):
    """A fault is said in one line; nothing is counted."""
    nothing = {"reports": 0, "sessions": {}, "types": {}, "policies": []}
    return quirk(file, code=2, says=says, **nothing | more)


def row(result="certificate-expired", sessions=1, kind="sts", **more):
    defaults = {"mx": "mx.example.com", "sending": "192.0.2.25", "receiving": "198.51.100.25"}
    given = defaults | {"reason": ""} | more
    hosts = (given["mx"], given["sending"], given["receiving"])
    return (kind, result, *hosts, given["reason"], sessions)


def bare(result, sessions=1, **more):
    """A row without hosts."""
    return row(result, sessions, **{"mx": "", "sending": "", "receiving": ""} | more)


TOP = [
    quirk("plain.json"),
    unreadable("policies_missing.json", "no policies"),
    quirk("policy_object.json"),
    quirk("wrapped.json"),
    quirk("keys_reversed.json"),
    quirk("keys_sorted.json"),
    quirk("keys_unknown.json"),
    quirk("contact_null.json"),
    quirk("contact_missing.json"),
    quirk("organization_missing.json", notes="no_organization", organization="tlsrpt@example.net"),
    quirk("report_id_plus.json"),
    quirk("byte_order_mark.json"),
    unreadable("key_twice.json", "JSON"),
]

DATES = [
    quirk("no_timezone.json", notes="no_timezone"),
    quirk("ends_next_day.json"),
    quirk("ends_before_start.json", notes="ends_early"),
    quirk("week_long.json", first="2024-03-04", last="2024-03-10"),
]

COUNTS = [
    quirk("count_string.json"),
    quirk("count_missing.json", notes="bad_count"),
    quirk("count_null.json", notes="bad_count"),
    # There were failures, or nobody knows: no "no failures".
    quirk("count_negative.json", code=1, notes="bad_count"),
    failing(
        "details_sum_larger.json",
        row("sts-policy-fetch-error"),
        row("sts-webpki-invalid"),
        notes="sum_differs",
    ),
    failing(
        "details_sum_smaller.json",
        row(),
        bare("unspecified", 3),
        failed=4,
        notes="sum_differs",
    ),
    quirk(
        "sts_and_tlsa.json", types={"sts": (5, 0), "tlsa": (5, 0)}, organization="Sender Two"
    ),
]

POLICIES = [
    quirk("mx_host_absent.json"),
    quirk("mx_host_string.json"),
    quirk("mx_host_empty.json"),
    quirk("mx_host_pattern.json"),
    failing(
        "mx_host_name.json",
        bare("validation-failure", mx="mx.example.com"),
    ),
    quirk("policy_string_absent.json", policies=[(None, "")]),
    quirk("policy_string_one.json", policies=[(None, "version: STSv1\r\n")]),
    quirk("policy_string_tight.json"),
    quirk("policy_domain_absent.json", notes="no_domain", sessions={"": (5, 0)}),
    quirk("no_policy_found.json", good=0, kind="no-policy-found", notes="bad_count"),
    quirk("no_policy_found_counted.json", kind="no-policy-found"),
    quirk("policy_type_unknown.json", kind="other"),
    quirk("policy_twice.json", notes="twice"),
]

FAILURES = [
    failing(
        "details.json",
        row(sessions=2, reason="X509_V_ERR_CERT_HAS_EXPIRED"),
        row("starttls-not-supported"),
        failed=3,
    ),
    quirk("details_null.json"),
    quirk("details_empty.json"),
    failing("result_absent.json", row("unknown")),
    failing("result_unknown.json", row("moon-in-the-way")),
    failing("sending_ip_empty.json", row(sending="")),
    failing("sending_ip_absent.json", row(sending="")),
    failing("mx_absent.json", row(mx="")),
    failing(
        "reason_long.json",
        row(reason=("the answer of the policy host was bad: " + "and so on, " * 30)[:255]),
    ),
    failing("additional_information.json", row()),
    failing("draft_keys.json", bare("certificate-expired", mx="mx.example.com", reason="E42")),
]

PACKED = [
    quirk("plain.gz"),
    quirk("gzip_named.json"),
    quirk("json_named.gz"),
    quirk("plain.zip"),
    quirk("stored.zip"),
    unreadable("gzip_truncated.gz", "gzip"),
    quirk("gzip_two_members.gz"),
    unreadable("gzip_bad_checksum.gz", "gzip"),
    unreadable("zip_two_members.zip", "zip"),
    unreadable("zip_empty.zip", "zip"),
    unreadable("truncated.json", "JSON"),
    unreadable("empty.json", "empty"),
    unreadable("not_a_report.txt", "neither JSON, gzip, zip nor mail"),
]

MAIL = [
    quirk("mail.eml"),
    quirk("mail_report_type_bare.eml"),
    quirk("mail_split_name.eml"),
    quirk("mail_folded_subject.eml"),
    quirk("mail_html_first.eml"),
    quirk("mail_text_last.eml"),
    quirk("mail_base64_unpadded.eml"),
    quirk("mail_base64_padded.eml"),
    quirk("mail_base64_line_ends.eml"),
    quirk("mail_base64_one_line.eml"),
    quirk("mail_base64_short_lines.eml"),
    quirk("mail_gz_name.eml"),
    quirk("mail_single_part.eml"),
    quirk("mail_quoted_printable.eml"),
    quirk("mail_in_mail.eml"),
    unreadable("mail_without_report.eml", "no report in this message"),
    unreadable("mail_broken_report.eml", "gzip"),
    quirk("two.mbox", good=12, reports=2, last="2024-03-06"),
]

QUIRKS = TOP + DATES + COUNTS + POLICIES + FAILURES + PACKED + MAIL
# Looked at elsewhere.
OTHERS = {"hostile.json"}
