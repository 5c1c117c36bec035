# SPDX-License-Identifier: MIT
"""What all tests share: directories, measurements, and what is left out under a wrapper."""
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Lines that the terminal summary ends with: measurements, which pass or fail nothing.
measurements = []
# What cannot be had under a wrapper, and why. Tests that want one of these, or are marked so, are
# left out there; they are run without it.
UNWRAPPED = {
    "strace": "strace and valgrind both want to run the program",
    "clock_library": "valgrind has its own libraries to load first",
}


@pytest.fixture(scope="session")
def workspace():
    """A directory with a short name: a line of an INI file has 197 octets."""
    directory = Path(tempfile.mkdtemp(prefix="mta-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def directory(workspace):
    """A fresh one for each test."""
    return Path(tempfile.mkdtemp(prefix="t", dir=workspace))


@pytest.fixture(scope="session")
def measure():
    """Keeps a line for the end of the run."""
    return measurements.append


def reason_against_wrapper(item):
    mark = item.get_closest_marker("unwrapped")
    reasons = [UNWRAPPED[name] for name in UNWRAPPED if name in item.fixturenames]
    return mark.args[0] if mark else reasons[0] if reasons else None


def pytest_configure(config):
    config.addinivalue_line("markers", "unwrapped(reason): left out under a wrapper")


def pytest_collection_modifyitems(config, items):
    wrapper = os.environ.get("MTA_STSD_WRAPPER")
    left = [item for item in items if wrapper and reason_against_wrapper(item)]
    for item in left:
        measurements.append(f"left out: {item.name}: {reason_against_wrapper(item)}")
        items.remove(item)
    if left:
        config.hook.pytest_deselected(items=left)


def pytest_terminal_summary(terminalreporter):
    for line in measurements:
        terminalreporter.write_line(line)
