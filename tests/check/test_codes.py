# SPDX-License-Identifier: MIT
"""Each mistake of an administrator is found, under its code and with its severity, and nothing else
is found with it."""
import re
from pathlib import Path

import pytest
import table
import tool

MANUAL = Path(__file__).resolve().parents[2] / "man/mta-sts-check.1"


def domains(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.domain)


@domains(table.MISTAKES)
def test_mistake(runs, case):
    tool.assert_as_wanted(case, runs.mistakes(case))


def test_every_code_of_the_manual_is_produced():
    section = re.search(r"^\.Sh FINDINGS$(.*?)^\.Sh ", MANUAL.read_text(), re.M | re.S)[1]
    documented = re.findall(r"^\.It Sy ([A-Z0-9_]+)", section, re.M)
    # For want of memory: a unit test, and tests/faults.
    assert sorted(documented) == sorted([*table.code_domains(), "NO_MEMORY"])
