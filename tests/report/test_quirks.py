# SPDX-License-Identifier: MIT
"""Every departure that real reporters make is read, noted where it matters, and counted right."""
import pytest
import quirks
import runner
from quirks import QUIRKS

RUNS = {}


def look(file):
    if file not in RUNS:
        RUNS[file] = runner.report("--until", "2024-03-11", runner.DATA / file)
    return RUNS[file]


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.file)
def test_sessions_and_exit_code(quirk):
    report = look(quirk.file)
    assert report.sessions() == quirk.sessions
    assert report.data["reports"] == quirk.reports
    assert [types for types in report.types().values() if types] == (
        [quirk.types] if quirk.types else []
    )
    assert report.result.code == quirk.code
    assert report.data["duplicates"] == report.data["outside"] == 0


@pytest.mark.parametrize("quirk", QUIRKS, ids=lambda quirk: quirk.file)
def test_notes_and_faults(quirk):
    report = look(quirk.file)
    assert report.notes() == {quirks.NOTES[name]: 1 for name in quirk.notes}
    lines = [line for line in report.result.err.splitlines() if quirk.file in line]
    assert len(lines) == len(quirk.says), report.result.err
    for line, part in zip(lines, quirk.says):
        assert line.startswith(f"mta-sts-report: {runner.DATA / quirk.file}") and part in line
    faults = [part for part in quirk.says if part != "no report in this message"]
    assert report.data["unreadable"] == len(faults)


@pytest.mark.parametrize(
    "quirk", [quirk for quirk in QUIRKS if quirk.sessions], ids=lambda quirk: quirk.file
)
def test_details(quirk):
    report = look(quirk.file)
    (entry,) = report.domains.values()
    assert report.failures(entry["domain"]) == quirk.failures
    assert [(row["mode"], row["text"]) for row in entry["policies"]] == quirk.policies
    assert (entry["first"], entry["last"]) == (quirk.first, quirk.last)
    assert [row["organization"] for row in entry["reporters"]] == [quirk.organization]


def test_every_file_is_in_the_table():
    named = [quirk.file for quirk in QUIRKS]
    assert len(set(named)) == len(named)
    assert {path.name for path in runner.DATA.iterdir()} == set(named) | quirks.OTHERS
