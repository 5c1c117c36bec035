# SPDX-License-Identifier: MIT
"""The processes of the tool: one that dies takes nothing with it, and none is left behind."""
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import tool
import world as worlds
from process import DEADLINE, session_members


def is_running(pid):
    """Not so if it is gone, or dead and not yet missed by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def members(leader):
    return [pid for pid in session_members(leader) if is_running(pid)]


def children(leader):
    """Of a process that leads a session."""
    return [pid for pid in members(leader) if pid != leader]


def wait_until(condition):
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def start(world, case):
    resolver = worlds.SPOILT_RESOLVER if case.fault else None
    options = *world.options(resolver), "--timeout", 600
    # The MX would be looked at after the policy host: one that is yet to come is not seen below.
    alone = ["--no-smtp"] if case.smtp is None else []
    return tool.start("--json", *options, *alone, case.domain, start_new_session=True)


def wait_until_it_waits(world, running, case):
    """Until just one of its processes is left, which has met the silence."""
    if case.fault:
        world.resolver.wait_until_asked(f"_mta-sts.{case.domain}")
    else:
        role, port = ("smtp", 25) if case.smtp else ("web", 443)
        listener = world.listener(case, role, port)
        listener.wait_for(lambda: listener.accepted > 0)
    wait_until(lambda: len(children(running.pid)) == 1)


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("killeddns.test", "{domain}"),
        ("killedweb.test", "{host} [{web}]"),
        ("killedmx.test", "{mx} [{smtp}]"),
    ],
)
def test_a_check_that_ends_abnormally_is_not_tested(world, name, subject):
    case = world.by_domain[name]
    running = start(world, case)
    wait_until_it_waits(world, running, case)
    os.kill(*children(running.pid), signal.SIGKILL)
    result = tool.finish(running)
    report = json.loads(result.out)
    (entry,) = report["domains"]
    assert tool.keys(entry["findings"]) == [
        ("untested", "CHECK_FAILED", subject.format(**case.words))
    ]
    assert (result.code, result.err, report["untested"]) == (1, "", 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_after_a_signal(world, number):
    case = world.by_domain["interrupted.test"]
    running = start(world, case)
    wait_until_it_waits(world, running, case)
    running.send_signal(number)
    running.communicate(timeout=DEADLINE)
    assert running.returncode == -number
    wait_until(lambda: not members(running.pid))
