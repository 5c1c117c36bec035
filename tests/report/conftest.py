# SPDX-License-Identifier: MIT
"""What the tests of mta-sts-report share."""
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import runner

# Lines that the terminal summary ends with: measurements, which pass or fail nothing.
measurements = []


@pytest.fixture(scope="session")
def workspace():
    directory = Path(tempfile.mkdtemp(prefix="mta-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def directory(workspace):
    """A fresh one for each test."""
    return Path(tempfile.mkdtemp(prefix="t", dir=workspace))


@pytest.fixture
def file(directory):
    """Writes bytes, text or what becomes JSON to a file, and returns its path."""

    def write(content, name="report"):
        path = directory / name
        path.write_bytes(runner.as_bytes(content))
        return path

    return write


@pytest.fixture(scope="session")
def measure():
    """Keeps a line for the end of the run."""
    return measurements.append


def pytest_configure(config):
    config.addinivalue_line("markers", "unwrapped(reason): left out under a wrapper")


def pytest_collection_modifyitems(config, items):
    """Under a wrapper, which takes its time, some are left out; they are run without it."""
    marks = {item: item.get_closest_marker("unwrapped") for item in items}
    left = [item for item in items if runner.WRAPPER and marks[item]]
    for item in left:
        measurements.append(f"left out: {item.name}: {marks[item].args[0]}")
        items.remove(item)
    if left:
        config.hook.pytest_deselected(items=left)


def pytest_terminal_summary(terminalreporter):
    for line in measurements:
        terminalreporter.write_line(line)


def pytest_report_header():
    return f"mta-sts-report: {' '.join(runner.command())}"
