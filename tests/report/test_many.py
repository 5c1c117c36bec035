# SPDX-License-Identifier: MIT
"""Ten thousand reports in a Maildir: the numbers are those of an independent count, and memory
stays small."""
import json
from datetime import timedelta

import counting
import generator
import pytest
import runner
from process import SCALE

COUNT = 10_000 if SCALE == 1 else 1500
TODAY = generator.FIRST_DAY + timedelta(generator.DAYS + 3)
EMPTY_SHOWN = 10
# No test of speed: twenty times what it takes on a slow machine.
SECONDS = 200


@pytest.fixture(scope="module")
def maildir(workspace):
    path = workspace / "many"
    return path, generator.write_maildir(path, 20240301, COUNT)


@pytest.fixture(scope="module")
def expected(maildir):
    return counting.plain(counting.count(maildir[1], TODAY))


@pytest.fixture(scope="module")
def found(maildir):
    return runner.report("--until", TODAY, maildir[0])


def test_mailbox_is_mixed(maildir, expected):
    """The count would prove little if it counted nothing."""
    assert expected["domains"].keys() == set(DOMAINS)
    verdicts = {entry["verdict"] for entry in expected["domains"].values()}
    assert verdicts == {"safe", "not-yet", "failing"}
    assert all(expected[key] > COUNT // 500 for key in ("reports", "duplicates", "unreadable"))
    assert maildir[1].empty > 0


def test_totals(found, expected):
    data = counting.from_json(found.data)
    for key in ("reports", "duplicates", "unreadable"):
        assert data[key] == expected[key], key
    assert (found.data["outside"], found.data["incomplete"]) == (0, False)
    assert data["domains"].keys() == expected["domains"].keys()


# Some policies come without their domain.
DOMAINS = [*(domain.name for domain in generator.DOMAINS), ""]
PARTS = ["sessions", "days", "types", "failures", "reporters", "first", "last", "verdict"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_domain(found, expected, domain, part):
    data = counting.from_json(found.data)["domains"][domain]
    assert data[part] == expected["domains"][domain][part]


def test_lines_of_what_was_not_counted(maildir, found):
    lines = found.result.err.splitlines()
    no_report = [line for line in lines if line.endswith(": no report in this message")]
    differ = [line for line in lines if "another report" in line]
    # Of these the first few are named, and how many there are.
    assert len(no_report) == min(maildir[1].empty, EMPTY_SHOWN)
    in_all = [line for line in lines if line.endswith("messages without a report")]
    assert in_all == [
        f"mta-sts-report: in all {maildir[1].empty} messages without a report"
    ] * (maildir[1].empty > EMPTY_SHOWN)
    assert len(differ) == sum(report is None for report in maildir[1].reports)
    others = len(no_report) + len(in_all) + len(differ)
    assert len(lines) - others == maildir[1].unreadable
    assert found.result.code == 2


def test_the_same_mailbox_gives_the_same_octets(maildir, found):
    again = runner.run("--json", "--until", TODAY, maildir[0])
    assert again.out == found.result.out and again.err == found.result.err


def test_one_domain_of_it(maildir, found):
    name = "lost.example.net"
    one = runner.report("--until", TODAY, "--domain", name.upper(), maildir[0])
    assert one.data["domains"] == [found.domains[name]]


@pytest.mark.parametrize("format", ["--json", "--csv", "text", "--html"])
def test_memory_of_the_shipped_program(maildir, directory, measure, format):
    if runner.WRAPPER or runner.shipped() is None:
        measure("memory and time: left out: no shipped build without a wrapper is at hand")
        return
    options = {"text": [], "--html": ["--html", directory / "page.html"]}.get(format, [format])
    result = runner.measured(directory, *options, "--until", TODAY, maildir[0])
    assert result.code == 2
    measure(
        f"{COUNT} reports, {maildir[1].octets >> 20} MiB, {format}: {result.seconds:.2f} s, "
        f"peak {result.peak / (1 << 20):.1f} MiB"
    )
    assert result.peak <= runner.MEMORY_MAX
    assert result.seconds < SECONDS


def test_json_is_one_object(found):
    assert json.dumps(json.loads(found.result.out)) == json.dumps(found.data)
    assert found.result.out.isascii()
