# SPDX-License-Identifier: MIT
"""How a server is that met a fault: what /proc tells of its processes, what a client gets."""
import os
import select
import time
from pathlib import Path

import client
from client import REQUEST, Connection
from policies import TESTING_BODY
from process import DEADLINE

# Seconds that no fetch comes near to.
LATE = 5


def wait_until(condition):
    """For what no log line tells: looks again and again, until a deadline."""
    limit = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < limit, "waited in vain"
        select.select([], [], [], 0.02)
    return found


def children(pid):
    """The workers of a supervisor; what traces them is a child of somebody else."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def how_it_ends(server, settings):
    """"whole" or what went wrong; no part of a policy, and not late."""
    started = time.monotonic()
    octets, wrong = b"", "nothing came"
    try:
        with Connection(server.address, settings) as connection:
            connection.handshake()
            connection.send(REQUEST)
            octets = connection.read_to_end().octets
    except OSError as error:
        wrong = f"{type(error).__name__}: {error}"
    assert time.monotonic() - started < LATE, f"late: {wrong}"
    if octets == b"":
        return wrong
    response = client.parse(octets)
    assert (response.status, response.body) == (200, TESTING_BODY)
    return "whole"
