# SPDX-License-Identifier: MIT
"""The supervisor: its workers, their deaths and their end; the service manager's protocols."""
import contextlib
import os
import re
import select
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from client import REQUEST, V1_2, Connection, connect, context, is_gone, records
from load import finish, get, wait_until
from policies import MX, RUA, TESTING, TESTING_BODY, policy, server_section
from process import DEADLINE, SCALE, WRAPPER, program

DIED = "^level=error event=worker_died "
RELOADED = "^level=info event=reloaded "
# A sanitizer would take the signal and tell a story about it.
NO_HANDLERS = {
    name: f"{os.environ.get(name, 'exitcode=99')}:handle_segv=0"
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
}
ONE_CPU = """
import os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.execvp(sys.argv[1], sys.argv[1:])
"""
# Hands over a descriptor as a service manager does.
HAND_OVER = """
import os, sys
fd = int(sys.argv[1])
os.dup2(fd, 3)
if fd != 3:
    os.close(fd)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execvp(sys.argv[2], sys.argv[2:])
"""
# Leaves to the program that it becomes a child whose own parent has ended, and which ends itself
# when it can read from a descriptor.
LEAVE_ORPHAN = """
import os, sys
fd = int(sys.argv[1])
if os.fork() == 0:
    if os.fork() == 0:
        os.closerange(0, 3)
        os.read(fd, 1)
    os._exit(0)
os.wait()
os.close(fd)
os.execvp(sys.argv[2], sys.argv[2:])
"""

# Valgrind keeps SIGSEGV to itself.
FATAL = [signal.SIGKILL] if WRAPPER else [signal.SIGKILL, signal.SIGSEGV]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not root")


@pytest.fixture
def start(serve, write_ini, pair):
    """Starts a server with a command before it."""

    def start_it(*policies, before=(), pass_fds=(), env=None, allow=(), **server):
        ini = write_ini(server_section(**pair._asdict(), **server), *(policies or [TESTING]))
        return serve.start(ini, allow, env, before=before, pass_fds=pass_fds)

    return start_it


def children(pid):
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def workers_of(server):
    return children(server.process.pid)


def wait_workers(server, condition):
    """Their process ids, as soon as those are as they should be."""
    return wait_until(server, lambda _: condition(found := workers_of(server)) and found)


@contextlib.contextmanager
def only(server, worker):
    """All workers but one are stopped, so that it gets every client."""
    others = workers_of(server) - {worker}
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def server_random(server):
    """What is random in a ServerHello of TLS 1.2: before it may be the time, behind it a mark."""
    with Connection(server.address, context(version=V1_2)) as connection:
        connection.socket.sendall(connection.hello())
        octets = b""
        while not (found := list(records(octets))):
            octets += connection.socket.recv(65536)
    kind, hello = found[0]
    assert (kind, hello[0], hello[4:6]) == (22, 2, b"\x03\x03")
    return hello[10:30]


def randoms(server, count=5):
    """Some of each worker."""
    numbers = []
    for worker in workers_of(server):
        with only(server, worker):
            numbers += [server_random(server) for _ in range(count)]
    return numbers


def assert_no_repetition(numbers):
    assert len(numbers) > 1
    assert len(set(numbers)) == len(numbers)


@pytest.fixture
def two_workers(serve):
    return serve(workers=2, max_per_source=0, allow=[DIED], env=NO_HANDLERS)


def test_two_workers_have_random_numbers_of_their_own(two_workers):
    assert_no_repetition(randoms(two_workers))


def test_workers_after_a_reload_have_random_numbers_of_their_own(two_workers):
    before = randoms(two_workers)
    old = workers_of(two_workers)
    two_workers.signal(signal.SIGHUP)
    two_workers.wait_for(RELOADED)
    wait_workers(two_workers, lambda pids: len(pids) == 2 and not pids & old)
    assert_no_repetition(before + randoms(two_workers))


def replace_worker(server, worker, number):
    """Kills it; returns the process id of the one in its place."""
    old = workers_of(server)
    os.kill(worker, number)
    (new,) = wait_workers(server, lambda pids: len(pids) == len(old) and worker not in pids) - old
    return new


def test_a_worker_in_the_place_of_a_dead_one_has_random_numbers_of_its_own(two_workers):
    before = randoms(two_workers)
    replace_worker(two_workers, min(workers_of(two_workers)), signal.SIGKILL)
    assert_no_repetition(before + randoms(two_workers))


def test_as_many_workers_as_are_set(serve):
    server = serve(workers=3)
    server.wait_for('event=ready text=".*, 3 workers"')
    assert len(workers_of(server)) == 3


def test_by_default_a_worker_for_each_cpu_up_to_eight(serve):
    assert len(workers_of(serve())) == min(len(os.sched_getaffinity(0)), 8)


def test_cpus_that_cannot_be_used_get_no_worker(start):
    server = start(before=(sys.executable, "-c", ONE_CPU), workers="auto")
    assert len(workers_of(server)) == 1


@pytest.mark.parametrize("number", FATAL)
def test_a_worker_that_dies_is_replaced_and_others_are_unaffected(two_workers, trust, number):
    server = two_workers
    dying, other = workers_of(server)
    with contextlib.ExitStack() as stack:
        with only(server, other):
            unaffected = stack.enter_context(Connection(server.address, trust)).handshake()
        with only(server, dying):
            lost = stack.enter_context(Connection(server.address, trust)).handshake()
        new = replace_worker(server, dying, number)
        server.wait_for(f'{DIED}text="worker {dying} was killed by signal {number:d}; ')
        assert is_gone(lost.socket)
        with only(server, new):
            assert get(server, trust).body == TESTING_BODY
        assert finish(unaffected).body == TESTING_BODY


def test_workers_that_keep_dying_are_replaced_ever_more_slowly(serve, trust):
    server = serve(workers=1, allow=[DIED])
    pauses = []
    for deaths in range(1, 4):
        (worker,) = workers_of(server)
        started = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        server.wait_for(DIED, count=deaths)
        # A client that comes in the pause waits for its end.
        assert get(server, trust).body == TESTING_BODY
        pauses.append(time.monotonic() - started)
    assert pauses[0] < 0.9 * SCALE
    assert pauses[1] > 0.9
    assert pauses[2] > 1.9


def wait_refused(address):
    """Connects until that is refused; says after how many seconds."""
    started = time.monotonic()
    while time.monotonic() < started + DEADLINE:
        try:
            connect(address).close()
        except ConnectionRefusedError:
            return time.monotonic() - started
        except ConnectionResetError:
            pass
    raise AssertionError("not refused")


def start_handshake(connection):
    """Begins a handshake, and waits until the server has a part in it."""
    connection.socket.sendall(connection.hello())
    octets = connection.socket.recv(65536)
    connection.received += octets
    connection.incoming.write(octets)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_unfinished_client_is_served_while_new_ones_are_refused(serve, trust, number):
    server = serve(workers=2)
    with Connection(server.address, trust) as connection:
        start_handshake(connection)
        server.signal(number)
        assert wait_refused(server.address) < 2 * SCALE
        connection.handshake()
        connection.send(REQUEST)
        assert connection.response().body == TESTING_BODY
    assert server.wait_exit() == 0


def wait_ends(pidfds):
    for pidfd in pidfds:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(DEADLINE * 1000), "a worker has not ended"
        os.close(pidfd)


def test_workers_end_with_their_supervisor_when_their_clients_are_served(serve, trust):
    server = serve(workers=2)
    pidfds = [os.pidfd_open(worker) for worker in workers_of(server)]
    with Connection(server.address, trust).handshake() as connection:
        server.signal(signal.SIGKILL)
        assert wait_refused(server.address) < 2 * SCALE
        assert finish(connection).body == TESTING_BODY
    wait_ends(pidfds)
    assert server.wait_exit() == -signal.SIGKILL


class FirstProcess:
    """A server that is process 1 of a namespace, and a foreign child which it has there."""

    def __init__(self, start):
        reader, self.writer = os.pipe()
        leave_orphan = sys.executable, "-c", LEAVE_ORPHAN, str(reader)
        before = "unshare", "--pid", "--fork", *leave_orphan
        self.server = start(before=before, pass_fds=[reader], workers=1)
        os.close(reader)
        (self.pid,) = workers_of(self.server)
        # unshare is deaf to some signals.
        self.server.signal = lambda number: os.kill(self.pid, number)

    def orphans(self):
        """Its children that it has not started, dead ones included."""
        name = Path(sys.executable).name[:15] + "\n"
        return [
            child
            for child in children(self.pid)
            if Path(f"/proc/{child}/comm").read_text() == name
        ]


@pytest.fixture
def first_process(start):
    first = FirstProcess(start)
    yield first
    os.close(first.writer)


@needs_root
def test_process_1_reaps_the_orphans_of_others(first_process):
    (orphan,) = first_process.orphans()
    os.write(first_process.writer, b"e")
    wait_until(first_process.server, lambda _: orphan not in children(first_process.pid))
    assert len(children(first_process.pid)) == 1


@needs_root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_1_ends_upon_a_signal(first_process, trust, number):
    assert get(first_process.server, trust).body == TESTING_BODY
    first_process.server.signal(number)
    assert first_process.server.wait_exit() == 0


def test_sigusr1_logs_a_summary(serve, trust):
    server = serve()
    for _ in range(3):
        get(server, trust)
    # A silent one, and those that linger have gone.
    with connect(server.address):
        numbers = wait_until(
            server, lambda now: now["accepted"] == 4 and now["open"] == 1 and now
        )
    assert numbers == {
        **{"fetches": 3, "handshake_failures": 0, "open": 1, "accepted": 4, "refused": 0},
        **{"displaced": 0, "timed_out": 0, "failed": 0, "reloads_good": 0, "reloads_bad": 0},
    }


def proportional_octets(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * int(re.search(r"^Pss: +(\d+) kB$", text, re.M).group(1))


def shipped():
    """The program as it is installed: beside that of the sanitizers, whose memory is its own."""
    ours = Path(program())
    return ours if b"__asan" not in ours.read_bytes() else ours.parents[1] / ours.name


@pytest.mark.unwrapped("the memory would be that of the wrapper")
@needs_root
def test_supervisor_and_one_worker_take_less_than_6_mib(serve, trust, measure):
    section = policy(["example.com"], "testing", MX[:1], 1209600, RUA)
    server = serve(section, workers=1, binary=str(shipped()))
    for _ in range(10):
        get(server, trust)
    parts = [proportional_octets(pid) for pid in (server.process.pid, *workers_of(server))]
    assert len(parts) == 2
    measure(f"proportional memory of supervisor and worker: {parts[0]} + {parts[1]} octets")
    assert sum(parts) < 6 * 1024 * 1024


class Manager:
    """A service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(DEADLINE)

    def receive(self):
        """One message, as a dictionary."""
        lines = self.socket.recv(65536).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def wait_for(self, name):
        """Skips what changes of the status only."""
        while name not in (message := self.receive()):
            assert set(message) == {"STATUS"}, message
        return message


@pytest.fixture
def manager(directory):
    manager = Manager(directory / "n")
    with manager.socket:
        yield manager


@pytest.fixture
def managed(start, manager):
    """A server whose readiness the manager has been told of."""
    server = start(
        env={"NOTIFY_SOCKET": str(manager.path)}, workers=1, allow=["event=finding", "_failed "]
    )
    server.first_message = manager.receive()
    return server


def status_after_reload(server, manager):
    server.signal(signal.SIGHUP)
    manager.wait_for("RELOADING")
    return manager.wait_for("READY")["STATUS"]


def test_the_manager_is_told_of_readiness_first(managed):
    assert managed.first_message.keys() == {"READY", "STATUS"}
    assert managed.first_message["READY"] == "1"
    assert re.fullmatch(
        "2 of 2 domains served, certificate days left (89|90), 0 fetches",
        managed.first_message["STATUS"],
    )


def test_the_manager_is_told_when_a_reload_begins_and_ends(managed, manager):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    managed.signal(signal.SIGHUP)
    reloading = manager.wait_for("RELOADING")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert reloading.keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= after
    assert manager.wait_for("READY")["READY"] == "1"
    managed.wait_for(RELOADED)
    assert len(managed.find_all(RELOADED)) == 1


def test_the_status_counts_fetches(managed, manager, trust):
    for _ in range(3):
        get(managed, trust)
    assert status_after_reload(managed, manager).endswith(", 3 fetches")


def test_the_status_says_that_the_last_reload_failed(managed, manager):
    managed.ini.write_text("[policy]\n")
    assert status_after_reload(managed, manager).startswith("last reload failed; 2 of 2 domains ")


def test_the_status_says_when_a_reload_has_mended_that(managed, manager):
    text = managed.ini.read_text()
    managed.ini.write_text("[policy]\n")
    status_after_reload(managed, manager)
    managed.ini.write_text(text)
    assert status_after_reload(managed, manager).startswith("2 of 2 domains served, ")


def test_the_status_says_when_what_was_served_is_on_disk_again(managed, manager):
    good = managed.ini.with_name("good.ini")
    managed.ini.rename(good)
    managed.ini.symlink_to("good.ini")
    status_after_reload(managed, manager)
    managed.ini.unlink()
    status_after_reload(managed, manager)
    managed.ini.symlink_to("good.ini")
    assert manager.receive()["STATUS"].startswith("2 of 2 domains served, ")
    managed.wait_for(RELOADED)
    assert len(managed.find_all(RELOADED)) == 1


def test_the_manager_is_told_of_the_end_before_it_comes(managed, manager, trust):
    with Connection(managed.address, trust).handshake() as connection:
        managed.signal(signal.SIGTERM)
        assert manager.wait_for("STOPPING") == {"STOPPING": "1"}
        assert managed.process.poll() is None
        assert finish(connection).body == TESTING_BODY


@pytest.fixture
def handed_over():
    """A listening socket of the service manager's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def activate(start, handed_over):
    """Starts a server on that socket; what its INI file would listen on cannot be had."""
    number = handed_over.fileno()
    before = sys.executable, "-c", HAND_OVER, str(number)

    def start_on_socket():
        return start(before=before, pass_fds=[number], listen=("203.0.113.7:443",))

    return start_on_socket


def test_a_socket_of_the_manager_is_served(activate, handed_over, trust):
    server = activate()
    assert server.addresses == [handed_over.getsockname()]
    assert get(server, trust).body == TESTING_BODY


def test_a_socket_of_the_manager_stays_open_over_a_restart(activate, trust):
    first = activate()
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    with Connection(first.address, trust) as waiting:
        second = activate()
        assert second.address == first.address
        assert finish(waiting.handshake()).body == TESTING_BODY
