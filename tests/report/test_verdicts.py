# SPDX-License-Identifier: MIT
"""The answer to the administrator's question, from reports to words; and what must not be taken for
an answer."""
from datetime import date, timedelta

import pytest
import runner

FIRST = date(2024, 3, 1)
INI = """\
[server]
certificate = certs/fullchain.pem
private_key = certs/privkey.pem
[policy]
domain = example.com
mode = %s
mx = mx.example.com
max_age = 604800
"""


def lines(mode):
    return ["version: STSv1", f"mode: {mode}", "mx: mx.example.com", "max_age: 604800"]


def make(
    organization, day, end=None, mode="testing", good=5, failed=0, result=None, kind="sts",
    domain="example.com",
):
    policy = {"policy-type": kind, "policy-domain": domain}
    if kind == "sts":
        policy["policy-string"] = lines(mode)
    tree = {
        "organization-name": organization,
        "date-range": {
            "start-datetime": f"{day}T00:00:00Z",
            "end-datetime": f"{end or day}T23:59:59Z",
        },
        "report-id": f"{day} {mode} {kind} {failed}",
        "policies": [
            {
                "policy": policy,
                "summary": {
                    "total-successful-session-count": good,
                    "total-failure-session-count": failed,
                },
            }
        ],
    }
    if result:
        tree["policies"][0]["failure-details"] = [
            {
                "result-type": result,
                "receiving-mx-hostname": "mx.example.com",
                "failed-session-count": failed,
            }
        ]
    return tree


def daily(organization, days, **more):
    return [make(organization, FIRST + timedelta(day), **more) for day in days]


@pytest.fixture
def judge(file):
    """Reads these reports on the day after FIRST + `on`: the domain's entry, and the result."""

    def look(reports, on, *options):
        paths = [file(tree, f"{number}.json") for number, tree in enumerate(reports)]
        report = runner.report("--until", FIRST + timedelta(on), *options, *paths)
        return report.domains["example.com"], report.result

    return look


@pytest.fixture
def ini(file):
    return lambda mode: ("-c", file(INI % mode, "a.ini"))


@pytest.fixture
def verdicts(file):
    """The verdicts alone: there may be none."""

    def look(reports, on):
        paths = [file(tree, f"{number}.json") for number, tree in enumerate(reports)]
        report = runner.report("--until", FIRST + timedelta(on), *paths)
        return [entry["verdict"] for entry in report.domains.values()]

    return look


def two(days, **more):
    return daily("Sender One", days, **more) + daily("Sender Two", days, **more)


def test_two_weeks_of_two_reporters_are_safe(judge):
    entry, result = judge(two(range(14)), 14)
    assert (entry["verdict"], result.code) == ("safe", 0)
    (reason,) = entry["reasons"]
    assert "14 days without a failure" in reason and "from 2 reporters" in reason
    assert (entry["words"], entry["mode"]) == ("safe to enforce", "testing")


def test_a_day_less_is_not(judge):
    entry, result = judge(two(range(13)), 13)
    assert (entry["verdict"], len(entry["reasons"]), result.code) == ("not-yet", 1, 0)
    assert "13 days" in entry["reasons"][0]


def test_failures_under_testing_are_not_yet(judge):
    more = daily("Sender One", [9], failed=2, result="validation-failure")
    entry, result = judge(two(range(14)) + more, 14)
    assert (entry["verdict"], result.code) == ("not-yet", 1)
    assert any("2 sessions failed" in reason for reason in entry["reasons"])


def test_failures_under_enforce_are_lost_mail(judge):
    more = daily("Sender One", [9], mode="enforce", failed=2, result="validation-failure")
    entry, result = judge(two(range(14), mode="enforce") + more, 14)
    assert (entry["verdict"], result.code) == ("failing", 1)
    assert "mail is being lost" in entry["words"]


def test_a_policy_that_cannot_be_had_loses_no_mail(judge):
    more = daily("Sender One", [9], mode="enforce", failed=2, result="sts-policy-fetch-error")
    entry, result = judge(two(range(14), mode="enforce") + more, 14)
    assert (entry["verdict"], result.code) == ("not-yet", 1)


def test_stale_reports_are_not_yet(judge):
    assert judge(two(range(14)), 20)[0]["verdict"] == "safe"
    entry, _ = judge(two(range(14)), 21)
    assert entry["verdict"] == "not-yet" and "8 days old" in entry["reasons"][0]


def test_until_cuts_and_judges(judge):
    """On the day before the failure all was well."""
    more = daily("Sender One", [14], failed=2, result="validation-failure")
    assert judge(two(range(15)) + more, 13)[0]["verdict"] == "safe"
    assert judge(two(range(15)) + more, 14)[0]["verdict"] == "not-yet"


def test_policy_of_the_ini_is_current(judge, ini):
    entry, result = judge(two(range(14)), 14, *ini("testing"))
    assert (entry["verdict"], result.err) == ("safe", "")
    assert [policy["current"] for policy in entry["policies"]] == [True]


def test_mode_alone_is_another_policy_but_no_other_proof(judge, ini):
    """What went well in two weeks of testing goes well under enforce."""
    entry, _ = judge(two(range(14)), 14, *ini("enforce"))
    assert (entry["verdict"], entry["mode"]) == ("safe", "enforce")
    assert [policy["current"] for policy in entry["policies"]] == [False]


def test_domain_of_the_ini_without_a_report_is_named(file):
    """That is how a wrong record looks."""
    paths = [file(tree, f"{number}.json") for number, tree in enumerate(two(range(14)))]
    ini = file((INI % "testing").replace("domain =", "domain = silent.example\ndomain ="), "a.ini")
    options = ("--until", FIRST + timedelta(14), "-c", ini)
    assert runner.report(*options, *paths).data["without_reports"] == ["silent.example"]
    assert "silent.example: no report of that time" in runner.run(*options, *paths).out
    assert "1 domain that is served has no report." in runner.run(*options, "--html", "-", *paths).out
    only = runner.report(*options, "--domain", "example.com", *paths)
    assert only.data["without_reports"] == []


def test_the_worst_comes_first(file):
    reports = two(range(14)) + daily(
        "Sender One", [9], mode="enforce", failed=2, result="validation-failure", domain="zz.example"
    )
    paths = [file(tree, f"{number}.json") for number, tree in enumerate(reports)]
    out = runner.run("--until", FIRST + timedelta(14), *paths).out
    assert out.index("zz.example: failing") < out.index("example.com: safe")
    assert "2 domains: 1 failing, 0 not yet safe, 1 safe; 29 reports" in out


def test_mx_of_the_ini_were_not_seen_yet(judge, file):
    path = file((INI % "testing").replace("= mx.", "= mx2."), "a.ini")
    entry, _ = judge(two(range(14)), 14, "-c", path)
    assert (entry["verdict"], entry["mode"]) == ("not-yet", "testing")
    assert [policy["current"] for policy in entry["policies"]] == [False]
    assert any("INI" in reason for reason in entry["reasons"])


def test_older_policies_beside_the_current_one(judge, ini):
    reports = two(range(7)) + two(range(7, 14), mode="enforce")
    entry, _ = judge(reports, 14, *ini("enforce"))
    assert (entry["verdict"], entry["words"]) == ("safe", "enforce holds")
    seen = [(policy["mode"], policy["current"]) for policy in entry["policies"]]
    assert seen == [("enforce", True), ("testing", False)]


def test_without_an_ini_nothing_is_said_of_it(judge):
    assert [policy["current"] for policy in judge(two([1]), 1)[0]["policies"]] == [None]


def test_domain_that_the_ini_has_not(file):
    """Anybody can send reports about any domain; those of the INI are ours."""
    ini = file((INI % "testing").replace("= example.com", "= example.net"), "a.ini")
    other = make("Sender Three", FIRST)
    other["policies"][0]["policy"]["policy-domain"] = "example.net"
    paths = [file(tree, f"{n}.json") for n, tree in enumerate([*two(range(14)), other])]
    report = runner.report("--until", FIRST + timedelta(14), "-c", ini, *paths)
    assert list(report.domains) == ["example.net"]
    assert (report.data["reports"], report.data["elsewhere"]) == (1, 28)


def test_a_claimed_period_of_decades_proves_nothing(verdicts):
    """A day of reports is not two weeks of them, whatever end it claims."""
    end = date(2099, 12, 31)
    reports = [make("Sender One", FIRST, end), make("Sender Two", FIRST, end)]
    assert "safe" not in verdicts(reports, 1)


def test_a_claimed_period_of_decades_hides_no_silence(verdicts):
    """Reports stopped half a year ago."""
    reports = two(range(14)) + [make("Sender One", FIRST + timedelta(14), date(2099, 12, 31))]
    assert verdicts(reports, 200) == ["not-yet"]


def test_one_reporter_in_two_spellings_of_one_report(judge):
    """The same reports again do not make a second reporter."""
    entry, _ = judge(daily("Sender One", range(14)) * 2, 14)
    assert entry["verdict"] == "not-yet"
    assert [row["reports"] for row in entry["reporters"]] == [14]


ADVISED = [
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
]


def test_each_result_has_its_advice(judge):
    reports = [make(result, FIRST, failed=1, result=result) for result in ADVISED]
    entry, _ = judge(reports, 1)
    advice = {row["result"]: row["advice"] for row in entry["failures"]}
    assert sorted(advice) == sorted(ADVISED) and len(set(advice.values())) == len(ADVISED)


def test_text_says_it_all(file):
    more = daily("Sender Three", [3], failed=12, result="certificate-expired")
    reports = two(range(5)) + more
    paths = [file(tree, str(number)) for number, tree in enumerate(reports)]
    text = runner.run("--until", FIRST + timedelta(5), *paths).out
    for part in (
        "example.com",
        "not yet safe to enforce",
        "Sender Three",
        "certificate-expired",
        "mx.example.com",
        "2024-03-01",
        "2024-03-05",
        "mode: testing",
        "renew the certificate",
        "====",
        "!",
    ):
        assert part in text, part
    assert runner.is_plain(text) and max(map(len, text.splitlines())) < 200
