# SPDX-License-Identifier: MIT
"""Each system call of a worker that fails once, while it serves and while it starts: the connection
ends or is served whole, the start fails or the sandbox is complete, and the next client is served.
What is made to fail is what a trace shows that the worker calls."""
import os
import re
import signal
from pathlib import Path

import client
import pytest
from looking import LATE, children, descriptors, how_it_ends, wait_until
from tracing import AGAIN, NotReached, attached, check_all, injection, number_calls, plan
from tracing import read_calls

pytestmark = pytest.mark.usefixtures("strace")

# The kernel closes a descriptor whatever close returns. strace makes a call fail by not letting it
# happen, which leaves the descriptor open, as no kernel does.
LEFT_OUT = ("close",)
# What a connection can do without, or what is done again for it.
HARMLESS = ("accept4", "poll", "ppoll", "setsockopt", "shutdown", "write")
# Of each connection there is one of these lines, or word that a line was lost.
OUTCOMES = r"event=(fetch|refused|failed|closed|(handshake|request|response)_failed|log_lost) "
SUPERVISOR_SAYS = "event=(reloaded|reload_failed) "
# What a worker is after its start, as far as the kernel tells.
# The bounding set is left out: it is as large as it may be where its calls fail, and without any
# capability and with no_new_privs it gives none.
LOCKS = re.compile(
    r"^(?:Uid|Gid|Groups|Cap(?:Inh|Prm|Eff|Amb)|NoNewPrivs|Seccomp|Max (?:open|core|proc)).*$", re.M
)


class Serving:
    """A server of one worker, and fetches during which a call of that worker fails."""

    def __init__(self, server, settings, output, idle):
        self.server, self.settings, self.output = server, settings, output
        (self.worker,) = children(server.process.pid)
        self.descriptors = idle

    def fetch_whole(self):
        assert (ending := how_it_ends(self.server, self.settings)) == "whole", ending

    def faults(self):
        with attached(self.worker, self.output):
            self.fetch_whole()
            wait_until(lambda: descriptors(self.worker) == self.descriptors)
        return plan(number_calls(read_calls(self.output)), LEFT_OUT)

    def was_injected(self):
        return any(call.injected for call in read_calls(self.output))

    def fetch_with(self, fault):
        """How many fetches it took until the call failed: where the client's bytes come sooner,
        fewer calls do."""
        with attached(self.worker, self.output, *injection(fault)):
            for fetches in range(1, 5):
                ending = how_it_ends(self.server, self.settings)
                if self.was_injected():
                    break
                assert ending == "whole", ending
        if not self.was_injected():
            raise NotReached
        if fault.error in AGAIN or fault.call in HARMLESS:
            assert ending == "whole", ending
        return fetches

    def meet(self, fault):
        since = self.server.mark()
        fetches = self.fetch_with(fault)
        self.fetch_whole()
        self.server.wait_for(OUTCOMES, since, count=fetches + 1)
        wait_until(lambda: descriptors(self.worker) == self.descriptors)
        assert children(self.server.process.pid) == [self.worker], "the worker died"


class Starting:
    """A server whose new workers, after a reload, meet a call that fails, up to `last_call`."""

    def __init__(self, server, settings, output, last_call):
        self.server, self.settings, self.output = server, settings, output
        self.last_call = last_call
        self.supervisor = server.process.pid
        self.descriptors = descriptors(self.supervisor)
        self.locks = None

    def worker(self):
        (worker,) = wait_until(lambda: len(found := children(self.supervisor)) == 1 and found)
        return worker

    def reload(self):
        since = self.server.mark()
        self.server.signal(signal.SIGHUP)
        return self.server.wait_for(SUPERVISOR_SAYS, since)

    def calls(self):
        return [call for call in read_calls(self.output) if call.pid != str(self.supervisor)]

    def what_locks(self):
        """What /proc tells of the worker, and what it has asked of Landlock."""
        pid = self.worker()
        texts = [Path(f"/proc/{pid}/{name}").read_text() for name in ("status", "limits")]
        rules = [call.text for call in self.calls() if "create_ruleset({" in call.text]
        return [LOCKS.findall(text) for text in texts], [rule.split()[1:-1] for rule in rules]

    def faults(self):
        with attached(self.supervisor, self.output, "-f"):
            assert " event=reloaded " in self.reload()
        self.locks = self.what_locks()
        numbered = list(number_calls(self.calls()))
        (end,) = [i for i, (call, _) in enumerate(numbered) if self.last_call in call.text]
        return plan(numbered[: end + 1], LEFT_OUT)

    def meet(self, fault):
        since = self.server.mark()
        with attached(self.supervisor, self.output, "-f", *injection(fault)):
            said = self.reload()
        if not any(call.injected for call in self.calls()):
            # The supervisor met it first, and started no worker.
            assert any(call.injected for call in read_calls(self.output))
            assert " event=reload_failed " in said and " event=reloaded " in self.reload()
            raise NotReached
        if " event=reloaded " in said:
            assert self.what_locks() == self.locks, "not locked up as it should be"
        else:
            self.server.wait_for("event=worker_failed ", since)
            assert " event=reloaded " in self.reload()
        assert (ending := how_it_ends(self.server, self.settings)) == "whole", ending
        self.worker()
        wait_until(lambda: descriptors(self.supervisor) == self.descriptors)


def test_a_call_that_fails_during_a_fetch_harms_that_connection_at_most(
    serve, pki, directory, has_tls13, measure
):
    server = serve(
        workers=1, sandbox="off", log="debug", timeout=2 * LATE, allow=["event=(accept|log_lost) "]
    )
    idle = descriptors(*children(server.process.pid))
    for version in [client.V1_2] + ([client.V1_3] if has_tls13 else []):
        settings = client.context(pki.root, version)
        serving = Serving(server, settings, directory / "strace", idle)
        assert check_all(serving, measure, f"a worker that serves, {version.name}") > 60


# Behind its last call the filter kills who calls what strace makes of a call that is to fail.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at a locked-up worker")
@pytest.mark.parametrize(
    ("sandbox", "last_call"), [("strict", "SECCOMP_SET_MODE_FILTER"), ("off", ', "r", 1,')]
)
def test_a_worker_whose_start_meets_a_call_that_fails_serves_locked_up_or_not_at_all(
    serve, trust, directory, measure, sandbox, last_call
):
    allow = ["event=(worker_failed|reload_failed|log_lost|finding) "]
    server = serve(workers=1, sandbox=sandbox, log="debug", allow=allow)
    starting = Starting(server, trust, directory / "strace", last_call)
    assert check_all(starting, measure, f"a new worker, sandbox = {sandbox}") > 60
