# SPDX-License-Identifier: MIT
"""Each system call of the supervisor that fails once: while it starts, reloads, replaces a worker
and stops. It goes on or ends with a message; SIGTERM always ends it."""
import contextlib
import os
import select
import signal
import socket
from pathlib import Path

import pytest
from looking import children, descriptors, how_it_ends, wait_until
from policies import TESTING, server_section
from process import DEADLINE, Server, session_members
from tracing import NotReached, attached, check_all, injection, number_calls, plan, read_calls

pytestmark = pytest.mark.usefixtures("strace")

# wait4 is asked with WNOHANG about children that are there, where it has no error to give. What
# fails here does not happen, and a close that does not happen is no failure that a kernel knows:
# it is left out where descriptors are counted.
LEFT_OUT = ("wait4",)
LEFT_OUT_COUNTED = (*LEFT_OUT, "close")
FIRST_CALL = "rt_sigaction(SIGPIPE"  # of main; those before it are the loader's


@pytest.fixture
def manager(directory):
    """A socket such as a service manager has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(directory / "notify"))
        made.setblocking(False)
        yield made


class Life:
    """Supervisors of one configuration, which meet calls that fail."""

    def __init__(self, directory, manager, pair, settings):
        self.output = directory / "strace"
        self.manager, self.settings = manager, settings
        self.ini = directory / "a.ini"
        # The log may lose the line that tells the port.
        with socket.create_server(("127.0.0.1", 0)) as other:
            self.address = other.getsockname()
        listen = ["{}:{}".format(*self.address)]
        metrics = directory / "metrics.prom"
        keys = pair._asdict() | {"workers": 1, "metrics_file": metrics, "timeout": 3}
        self.ini.write_text(server_section(listen, **keys) + TESTING)

    @contextlib.contextmanager
    def started(self, before=()):
        """A server, until it serves or has ended."""
        env = {"NOTIFY_SOCKET": self.manager.getsockname()}
        server = Server(self.ini, env=env, before=before)
        server.addresses = [self.address]
        try:
            wait_until(lambda: self.has_ended(server) or self.serves(server))
            yield server
        finally:
            if server.process.poll() is None:
                for pid in session_members(server.process.pid):
                    os.kill(pid, signal.SIGKILL)
            server.process.wait(DEADLINE)
            os.close(server.pidfd)

    def has_ended(self, server):
        self.drain_manager()
        poll = select.poll()
        poll.register(server.pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def serves(self, server):
        return how_it_ends(server, self.settings) == "whole"

    def drain_manager(self):
        with contextlib.suppress(BlockingIOError):
            while self.manager.recv(4096):
                pass

    def was_injected(self):
        return any(call.injected for call in read_calls(self.output))


def open_files(server):
    """What they are: the line to a new worker has another number."""
    directory = Path(f"/proc/{server.process.pid}/fd")
    return sorted(os.readlink(entry).split(":")[0] for entry in directory.iterdir())


def stop(server):
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0


class Starts(Life):
    def tracing(self):
        return ["strace", "-D", "-o", str(self.output)]

    def faults(self):
        with self.started(self.tracing()) as server:
            numbered = list(number_calls(read_calls(self.output)))
            stop(server)
        (first,) = [i for i, (call, _) in enumerate(numbered) if FIRST_CALL in call.text]
        return plan(numbered[first:], LEFT_OUT)

    def meet(self, fault):
        with self.started([*self.tracing(), *injection(fault)]) as server:
            wait_until(lambda: self.has_ended(server) or self.was_injected())
            if self.has_ended(server):
                assert server.wait_exit() == 1, "ended"
                assert server.find_all("^mta-stsd: |^level=error "), f"no message: {server.lines}"
            else:
                wait_until(lambda: self.serves(server))
                stop(server)


class Reloads(Life):
    """Reloads of one server, which must be as before after each of them."""

    def __init__(self, server, *more):
        super().__init__(*more)
        self.server = server
        self.descriptors = descriptors(server.process.pid)

    def workers(self):
        return children(self.server.process.pid)

    def reload(self):
        """Until there is a new worker or the reload has failed, and no old worker is left."""
        since, old = self.server.mark(), self.workers()
        self.server.signal(signal.SIGHUP)
        wait_until(lambda: self.workers() != old or self.server.find_all("reload_failed", since))
        wait_until(lambda: self.drain_manager() or len(self.workers()) == 1)

    def faults(self):
        with attached(self.server.process.pid, self.output):
            self.reload()
        return plan(number_calls(read_calls(self.output)), LEFT_OUT_COUNTED)

    def meet(self, fault):
        with attached(self.server.process.pid, self.output, *injection(fault)):
            for _ in range(4):
                self.reload()
                if self.was_injected():
                    break
        if not self.was_injected():
            raise NotReached
        since = self.server.mark()
        self.reload()
        self.server.wait_for("event=reloaded ", since)
        assert self.serves(self.server)
        wait_until(lambda: descriptors(self.server.process.pid) == self.descriptors)


class Event(Life):
    """Something that happens to a server of its own each time."""

    def happen(self, server):
        raise NotImplementedError

    def happen_traced(self, server, *options):
        with attached(server.process.pid, self.output, *options):
            self.happen(server)

    def faults(self):
        with self.started() as server:
            self.happen_traced(server)
        return plan(number_calls(read_calls(self.output)), LEFT_OUT_COUNTED)

    def meet(self, fault):
        for _ in range(4):
            with self.started() as server:
                before = open_files(server)
                self.happen_traced(server, *injection(fault))
                if not self.has_ended(server):
                    wait_until(lambda: open_files(server) == before)
                    stop(server)
            if self.was_injected():
                return
        raise NotReached


class Replaces(Event):
    def happen(self, server):
        (victim,) = children(server.process.pid)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(now := children(server.process.pid)) == 1 and victim not in now)
        wait_until(lambda: self.serves(server))


class Stops(Event):
    def happen(self, server):
        stop(server)


@pytest.mark.parametrize("life", [Starts, Replaces, Stops])
def test_a_call_of_the_supervisor_that_fails_ends_the_start_or_does_not_matter(
    directory, manager, pair, trust, measure, life
):
    made = life(directory, manager, pair, trust)
    check_all(made, measure, f"a supervisor that {life.__name__.lower()}")


def test_a_call_of_the_supervisor_that_fails_in_a_reload_does_not_stop_the_next(
    directory, manager, pair, trust, measure
):
    life = Life(directory, manager, pair, trust)
    with life.started() as server:
        reloads = Reloads(server, directory, manager, pair, trust)
        check_all(reloads, measure, "a supervisor that reloads")
        stop(server)
