# SPDX-License-Identifier: MIT
"""Counts what generator.py has made, from its data: what mta-sts-report must find too. Written
from the rules, not from the program."""
from collections import defaultdict
from datetime import timedelta

POLICY_RESULTS = ("sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid")


def first_of_each(reports):
    """A report is known by its organization and id; None is one that says something else under
    the id of the one before it."""
    known = {}
    for report in reports:
        if report is not None:
            known.setdefault((report.organization, report.id), report)
    return list(known.values())


def counts_of(policies, kind):
    chosen = [policy for policy in policies if policy.kind == kind]
    return sum(policy.good for policy in chosen), sum(policy.failed for policy in chosen)


def sessions_of(policies):
    """sts and tlsa may be the same sessions: the larger; all others besides."""
    sts, tlsa, none, other = (
        counts_of(policies, kind) for kind in ("sts", "tlsa", "no-policy-found", "other")
    )
    return tuple(max(sts[i], tlsa[i]) + none[i] + other[i] for i in (0, 1))


def add(total, counts):
    return total[0] + counts[0], total[1] + counts[1]


def failure_rows(policy):
    """The rows of one policy; what the details leave of the total has no hosts."""
    for detail in policy.details:
        key = (policy.kind, detail.result, detail.mx, detail.sending, detail.receiving)
        yield key, detail.count
    rest = policy.failed - sum(detail.count for detail in policy.details)
    if rest > 0:
        yield (policy.kind, "unspecified", "", "", ""), rest


def mode_of(policy):
    for line in policy.lines:
        if line.startswith("mode: "):
            return line[len("mode: ") :]
    return None


def has_failed(policy):
    return policy.failed > 0 or bool(policy.details)


def is_refused(policy):
    """Sessions failed for another reason than that there was no policy to be had."""
    harmless = sum(detail.count for detail in policy.details if detail.result in POLICY_RESULTS)
    return max(policy.failed, sum(detail.count for detail in policy.details)) > harmless


def verdict(reports, domain, today):
    """reports: (report, policies of the domain)."""
    pairs = [(report, policy) for report, policies in reports for policy in policies]
    last = max(report.last for report, _ in reports)
    window = last - timedelta(13)
    seen = [(r.last, mode_of(p)) for r, p in pairs if p.kind == "sts" and mode_of(p)]
    newest = max(seen)[1] if seen else None
    for report, policy in pairs:
        lost = policy.kind == "tlsa" or (
            policy.kind == "sts" and (mode_of(policy) or newest) == "enforce"
        )
        if report.last >= window and lost and is_refused(policy):
            return "failing"
    failed = [report.last for report, policy in pairs if has_failed(policy)]
    clean_from = max(failed) if failed else None
    after = [r.day for r, _ in reports if clean_from is None or r.day > clean_from]
    days = (last - min(after)).days + 1 if after else 0
    good = {
        report.organization
        for report, policy in pairs
        if policy.kind == "sts"
        and policy.good > 0
        and (clean_from is None or report.last > clean_from)
        and report.last >= window
    }
    stale = (today - last).days > 7
    if newest == "none" or days < 14 or len(good) < 2 or stale:
        return "not-yet"
    return "safe"


def count_domain(reports, domain, today):
    """reports: (report, policies of the domain)."""
    result = {
        "sessions": (0, 0),
        "days": defaultdict(lambda: (0, 0)),
        "types": defaultdict(lambda: (0, 0)),
        "failures": {},
        "reporters": defaultdict(lambda: (0, 0, 0)),
        "first": min(report.day for report, _ in reports),
        "last": max(report.last for report, _ in reports),
        "verdict": verdict(reports, domain, today),
    }
    for report, policies in reports:
        sessions = sessions_of(policies)
        result["sessions"] = add(result["sessions"], sessions)
        result["days"][report.day] = add(result["days"][report.day], sessions)
        times, good, failed = result["reporters"][report.organization]
        result["reporters"][report.organization] = (
            times + 1,
            good + sessions[0],
            failed + sessions[1],
        )
        for policy in policies:
            if (policy.good, policy.failed) == (0, 0):
                continue
            counts = result["types"][policy.kind]
            result["types"][policy.kind] = add(counts, (policy.good, policy.failed))
            for key, sessions_failed in failure_rows(policy):
                old = result["failures"].get(key, (0, report.day, report.last))
                result["failures"][key] = (
                    old[0] + sessions_failed,
                    min(old[1], report.day),
                    max(old[2], report.last),
                )
    return result


def count(mailbox, today):
    """What --json must say, in a form of ours."""
    reports = first_of_each(mailbox.reports)
    by_domain = defaultdict(list)
    for report in reports:
        for domain in {policy.domain for policy in report.policies}:
            policies = [policy for policy in report.policies if policy.domain == domain]
            by_domain[domain].append((report, policies))
    return {
        "reports": len(reports),
        "duplicates": len(mailbox.reports) - len(reports),
        "unreadable": mailbox.unreadable,
        "domains": {
            domain: count_domain(entries, domain, today) for domain, entries in by_domain.items()
        },
    }


ROW_KEY = ("policy_type", "result", "mx", "sending_ip", "receiving_ip")


def both(counts):
    return counts["good"], counts["failed"]


def from_json(data):
    """The same form, of what the program says."""
    domains = {}
    for entry in data["domains"]:
        domains[entry["domain"]] = {
            "sessions": both(entry["sessions"]),
            "days": {row["day"]: both(row) for row in entry["days"]},
            "types": {kind: both(counts) for kind, counts in entry["policy_types"].items()},
            "failures": {
                tuple(row[key] for key in ROW_KEY): (row["sessions"], row["first"], row["last"])
                for row in entry["failures"]
            },
            "reporters": {
                row["organization"]: (row["reports"], *both(row)) for row in entry["reporters"]
            },
            "first": entry["first"],
            "last": entry["last"],
            "verdict": entry["verdict"],
        }
    kept = ("reports", "duplicates", "unreadable")
    return {key: data[key] for key in kept} | {"domains": domains}


def plain(value):
    """Dates as text, dictionaries of the plain kind."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return value.isoformat() if hasattr(value, "isoformat") else value
