# SPDX-License-Identifier: MIT
"""Clients that fetch all the time, and what a server serves as a whole: certificate and policy."""
import re
import signal
import ssl
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from client import HOST, Connection, request
from process import DEADLINE

# What one client is served: must belong together.
Served = namedtuple("Served", "certificate body")
Seen = namedtuple("Seen", "announced begun served")


def leaf(pair):
    """The certificate that a client sees, as DER."""
    pem = pair.certificate.read_text()
    return ssl.PEM_cert_to_DER_cert(pem[: pem.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)])


def finish(connection, host=HOST):
    """The answer to a client whose handshake is done."""
    connection.send(request(host=host))
    response = connection.response()
    assert response.status == 200, response
    return Served(connection.tls.getpeercert(binary_form=True), response.body)


def get(server, trust, host=HOST):
    """Fetches on a connection of its own."""
    with Connection(server.address, trust, host) as connection:
        return finish(connection.handshake(), host)


def summary(server):
    """What a server says of itself when it is asked: numbers by name."""
    since = server.mark()
    server.signal(signal.SIGUSR1)
    line = server.wait_for("event=summary ", since)
    return {name: int(number) for name, number in re.findall(r" ([a-z_]+)=(\d+)", line)}


def wait_until(server, condition):
    """Asks the server for summaries, which shows that it is alive, until the condition is met."""
    limit = time.monotonic() + DEADLINE
    while time.monotonic() < limit:
        numbers = summary(server)
        if found := condition(numbers):
            return found
    raise AssertionError(f"not within {DEADLINE} s: {server.lines}")


class Load:
    """Some threads that fetch without a pause. The test numbers the states of the server: `begun`
    is the last that a client may see already, `announced` the first that it may still see."""

    def __init__(self, server, trust, threads):
        self.server, self.trust = server, trust
        self.announced = self.begun = 0
        self.seen, self.failures = [], []
        self.changed = threading.Condition()
        self.ended = threading.Event()
        self.pool = ThreadPoolExecutor(threads)
        self.running = [self.pool.submit(self._fetch_on) for _ in range(threads)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.pool.shutdown()

    def _fetch_on(self):
        while not self.ended.is_set():
            announced = self.announced
            try:
                seen = Seen(announced, self.begun, get(self.server, self.trust))
            except (OSError, AssertionError) as error:
                self.failures.append(error)
                return
            with self.changed:
                self.seen.append(seen._replace(begun=self.begun))
                self.changed.notify_all()

    def wait_for_fetches(self, count):
        """Until so many more have come to their end, or one has failed."""
        with self.changed:
            goal = len(self.seen) + count
            assert self.changed.wait_for(
                lambda: len(self.seen) >= goal or self.failures, DEADLINE
            ), "no client came to its end"
