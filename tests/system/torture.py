# SPDX-License-Identifier: MIT
"""Whether a server is as it was before it was ill-treated."""
import itertools
import os
import re

import pytest
from client import ask
from policies import TESTING_BODY
from process import session_members
from test_conn import wait_open

# Each client comes from an address of its own, by which its lines in the log are known.
addresses = (f"127.1.{number // 250}.{number % 250 + 1}" for number in itertools.count())


def count_descriptors(pids):
    """None if somebody else than root asks: the workers cannot be looked into."""
    try:
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]
    except PermissionError:
        return None


class Witness:
    """Remembers a server, and who has come to it since."""

    def __init__(self, server, trust, measure):
        self.server = server
        self.trust = trust
        self.clients = {}  # address: where the log ended when it came
        # The library opens what it needs with the first client.
        assert ask(server.address, trust).status == 200
        wait_open(server, 0)
        self.pids = session_members(server.process.pid)
        self.descriptors = count_descriptors(self.pids)
        if self.descriptors is None:
            measure("descriptors of the workers are not counted: that needs root")
        self.since = server.mark()

    def client(self):
        """The address of one more client, to be used once."""
        address = next(addresses)
        self.clients[address] = self.server.mark()
        return address, 0

    def outcome(self, source):
        """The line that says how the client came out, once it is there."""
        since = self.clients[source[0]]
        return self.server.wait_for(rf" client={re.escape(source[0])} ", since)

    def check(self):
        """The next client is served, by the same processes with as many descriptors, and each
        client before it has its one line in the log."""
        assert ask(self.server.address, self.trust).body == TESTING_BODY
        wait_open(self.server, 0)
        assert session_members(self.server.process.pid) == self.pids
        assert count_descriptors(self.pids) == self.descriptors
        named = [
            re.search(r" client=(\S+)", line).group(1)
            for line in self.server.find_all(r" client=127\.1\.", self.since)
        ]
        assert sorted(named) == sorted(self.clients)


@pytest.fixture(scope="module")
def witness(site, trust, measure):
    """For the server that the tests of a file share; it has its word when they are through."""
    made = Witness(site, trust, measure)
    yield made
    made.check()
