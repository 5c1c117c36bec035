# SPDX-License-Identifier: MIT
"""What the tests of mta-sts-report share."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import runner

# Without samples there is nothing to try.
collect_ignore = [] if runner.samples() else ["test_samples.py"]


@pytest.fixture
def file(directory):
    """Writes bytes, text or what becomes JSON to a file, and returns its path."""

    def write(content, name="report"):
        path = directory / name
        path.write_bytes(runner.as_bytes(content))
        return path

    return write


def pytest_report_header():
    return f"mta-sts-report: {' '.join(runner.command())}"
