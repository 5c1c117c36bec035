# SPDX-License-Identifier: MIT
"""What the tests of mta-sts-check share: a small internet of their own, and runs of the tool."""
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import namespace
import table
import tool
import world as worlds
from pki import Authority

# Runs of the tool: each waits more than it works, but for a wrapper.
AT_ONCE = 6 if tool.SCALE == 1 else 2


def pytest_collection_modifyitems(items):
    if not namespace.is_private():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=namespace.NEEDED))


@pytest.fixture(scope="session")
def world(workspace):
    directory = workspace / "pki"
    directory.mkdir()
    made = worlds.World(workspace, Authority(directory), table.ALL)
    with made.cleanup:
        yield made.start()
    made.stsd.check_log()


@pytest.fixture
def check(world):
    """Runs the tool on domains of the world."""

    def run(*arguments, **more):
        return tool.check(*world.options(), *arguments, **more)

    return run


class Runs:
    """Runs of the tool that begin when the first test wants one, and go on while tests run."""

    def __init__(self, world, items):
        self.world = world
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.survey = {}
        for ini in (True, False):
            cases = [case for case in table.MISTAKES if case.ini == ini]
            domains = [case.domain for case in cases]
            run = self.pool.submit(self.look_at, domains, ini, 4 * tool.TIMEOUT)
            self.survey |= dict.fromkeys(domains, run)
        wanted = [item.callspec.params.get("case") for item in items if hasattr(item, "callspec")]
        self.single = {
            case.domain: self.pool.submit(self.look_at, [case.domain], case.ini, case.timeout)
            for case in dict.fromkeys(wanted)
            if case in table.TROUBLES
        }

    def look_at(self, domains, ini, timeout):
        """Domains that the INI has are compared with it."""
        compare = ["-c", self.world.ini] if ini else []
        resolver = None
        if any(self.world.by_domain[domain].fault for domain in domains):
            resolver = worlds.SPOILT_RESOLVER
        options = self.world.options(resolver)
        return tool.check(*options, *compare, "--timeout", timeout or tool.TIMEOUT, *domains)

    def mistakes(self, case):
        """The findings of one domain among many."""
        return self.survey[case.domain].result().findings[case.domain]

    def trouble(self, case):
        """The run on this domain alone."""
        return self.single[case.domain].result()


@pytest.fixture(scope="session")
def runs(world, request):
    made = Runs(world, request.session.items)
    yield made
    made.pool.shutdown(cancel_futures=True)


def pytest_report_header():
    return f"mta-sts-check: {' '.join(tool.command())}"
