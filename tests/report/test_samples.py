# SPDX-License-Identifier: MIT
"""Reports of real senders, where they are at hand: MTA_STS_SAMPLES, or beside the repository."""
import json

import pytest
import runner

SAMPLES = runner.samples()


def expected_sessions(tree):
    """The larger of sts and tlsa, as the file's own numbers have it."""
    domains = {}
    for item in tree["policies"]:
        kinds = domains.setdefault(item["policy"]["policy-domain"].lower(), {})
        kinds[item["policy"]["policy-type"]] = (
            item["summary"]["total-successful-session-count"],
            item["summary"]["total-failure-session-count"],
        )
    return {
        domain: tuple(max(counts[i] for counts in kinds.values()) for i in (0, 1))
        for domain, kinds in domains.items()
    }


@pytest.mark.parametrize("path", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_sample(path):
    tree = json.loads(path.read_text())
    report = runner.report(path)
    sessions = expected_sessions(tree)
    assert report.sessions() == sessions
    assert report.result.code == any(failed for _, failed in sessions.values())
    assert report.result.err == ""
    (entry,) = report.domains.values()
    assert entry["first"] == tree["date-range"]["start-datetime"][:10]
    assert entry["last"] == entry["first"]
    assert [row["organization"] for row in entry["reporters"]] == [tree["organization-name"]]


def test_samples_together():
    """Of the RFC's example, which is there in two forms, one counts."""
    report = runner.report(*SAMPLES)
    trees = [json.loads(path.read_text()) for path in SAMPLES]
    names = {(tree["organization-name"], tree["report-id"]) for tree in trees}
    assert report.data["reports"] == len(names)
    assert report.data["duplicates"] == len(SAMPLES) - len(names)
