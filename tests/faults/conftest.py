# SPDX-License-Identifier: MIT
"""The servers, certificates and clients are those of the system tests."""
import importlib.util
import sys
from pathlib import Path

import pytest

SYSTEM = Path(__file__).resolve().parents[1] / "system"
sys.path.insert(0, str(SYSTEM))

# Two modules cannot both be called conftest.
spec = importlib.util.spec_from_file_location("system_conftest", SYSTEM / "conftest.py")
system = importlib.util.module_from_spec(spec)
spec.loader.exec_module(system)

from process import program

pki, pair, trust = system.pki, system.pair, system.trust
has_tls13, version = system.has_tls13, system.version
serve, fetch, write_ini = system.serve, system.fetch, system.write_ini
tracer = system.strace
pytest_report_header = system.pytest_report_header


@pytest.fixture(scope="session")
def strace(tracer):
    if b"__asan_init" in Path(program()).read_bytes():
        pytest.skip("a sanitizer makes system calls of its own, and cannot do without them")
    return tracer
