# SPDX-License-Identifier: MIT
"""slowhttptest against a server that serves others meanwhile: slow heads, slow bodies, heads full
of ranges, slow readers."""
import contextlib
import csv
import os
import shutil
import subprocess
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from client import HOST, PATH, Connection, ask
from looking import LATE, children, descriptors, wait_until
from policies import TESTING_BODY
from process import DEADLINE, program, resident_octets

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at a locked-up worker"),
    pytest.mark.unwrapped("valgrind is slower than these clients"),
]

SLOW_CLIENTS = 100
PER_SECOND = 50
SECONDS = 8
# Seconds that the server gives a connection: less than the slow clients want to take.
TIMEOUT = 3
# Octets of memory that it may have more after an attack than after as many clients that did not
# attack: far less than 40 KB for each, which is what a connection needs.
REMAINS = 2_000_000

Mode = namedtuple("Mode", "options line")
MODES = {
    "headers": Mode("-H -i 1 -x 8", "event=timeout state=request "),
    "body": Mode("-B -i 1 -s 8192 -x 8", "event=fetch .*status=405 "),
    "range": Mode("-R -a 10 -b 3000 -t HEAD", "event=fetch .*status=431 "),
    # With a name of the client, which our own do not give.
    "read": Mode("-X -w 1 -y 2 -n 1 -z 1 -k 3", 'event=fetch .*status=200 .*agent="[^"]'),
}
# It looks up the host that it is to ask.
NAMED = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.fixture(scope="module")
def hosts(workspace):
    """A file in the place of /etc/hosts, and what must go before a command to have it there."""
    if shutil.which("slowhttptest") is None:
        pytest.skip("no slowhttptest")
    path = workspace / "hosts"
    path.write_text(f"127.0.0.1 localhost {HOST}\n")
    before = ["unshare", "--mount", "sh", "-c", NAMED, str(path)]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    return before


class Attack:
    """slowhttptest as a process; .available is what it saw of the service, in per cent a second."""

    def __init__(self, hosts, server, mode, output):
        self.output = output
        self.process = subprocess.Popen(
            [
                *hosts,
                *("slowhttptest", *mode.options.split(), "-c", str(SLOW_CLIENTS)),
                *("-r", str(PER_SECOND), "-l", str(SECONDS), "-p", str(LATE), "-v", "1"),
                *("-g", "-o", str(output), "-u", f"https://{HOST}:{server.port}{PATH}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def goes_on(self):
        return self.process.poll() is None

    def wait_a_moment(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.02)

    def finish(self):
        said, _ = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0, said
        with Path(f"{self.output}.csv").open() as file:
            rows = list(csv.DictReader(file))
        return [int(row["Service Available"]) for row in rows]


def fetch_meanwhile(attack, server, trust, source):
    """The seconds that each fetch took, one after the other, while the attack goes on."""
    times = []
    while attack.goes_on():
        started = time.monotonic()
        response = ask(server.address, trust, source=(source, 0))
        assert (response.status, response.body) == (200, TESTING_BODY)
        times.append(time.monotonic() - started)
    return times


def attacked(attack, server, trust, source):
    """What the attack saw, and how long fetches took, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(fetch_meanwhile, attack, server, trust, source) for _ in range(2)]
        times = [seconds for job in jobs for seconds in job.result()]
    available = attack.finish()
    assert len(times) > 20
    assert max(times) < LATE
    return available, times


@pytest.mark.parametrize("mode", MODES)
def test_while_slow_clients_hold_connections_every_fetch_succeeds(
    serve, trust, hosts, directory, measure, mode
):
    server = serve(workers=1, max_per_source=0, timeout=TIMEOUT)
    (worker,) = children(server.process.pid)
    idle = descriptors(worker)
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            stack.enter_context(Connection(server.address, trust).handshake())
    wait_until(lambda: descriptors(worker) == idle)
    before = resident_octets(server.process.pid)
    attack = Attack(hosts, server, MODES[mode], directory / "slow")
    available, times = attacked(attack, server, trust, "127.0.0.1")
    assert set(available) == {100}
    # The last ones may be as slow as to be there when the attack is over.
    server.wait_for(MODES[mode].line, count=SLOW_CLIENTS * 9 // 10)
    wait_until(lambda: descriptors(worker) == idle)
    measure(
        f"slowhttptest, {mode}: {len(times)} fetches meanwhile, slowest {max(times):.2f} s"
    )
    if b"__asan_init" not in Path(program()).read_bytes():  # which keeps what is freed
        more = resident_octets(server.process.pid) - before
        measure(f"slowhttptest, {mode}: {more // 1024} KB more memory when it was over")
        assert more < REMAINS


def test_slow_clients_of_one_source_get_its_share_and_others_are_served(
    serve, trust, hosts, directory, measure
):
    share = 32
    server = serve(workers=1, max_per_source=share, timeout=TIMEOUT)
    (worker,) = children(server.process.pid)
    idle = descriptors(worker)
    attack = Attack(hosts, server, MODES["headers"], directory / "slow")
    most = 0

    def count():
        nonlocal most
        while attack.goes_on():
            most = max(most, descriptors(worker) - idle)
            attack.wait_a_moment()

    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(count)
        _, times = attacked(attack, server, trust, "127.0.0.2")
        counted.result()
    refused = server.find_all("event=refused reason=max_per_source client=127.0.0.1$")
    assert refused
    assert not server.find_all("event=refused .*client=127.0.0.2")
    # Two fetches at a time, and one client that is being refused.
    assert share - 1 <= most <= share + 3
    measure(
        f"slowhttptest beside max_per_source = {share}: {len(refused)} slow clients refused, at "
        f"most {most} connections open, {len(times)} fetches, the slowest took {max(times):.2f} s"
    )
