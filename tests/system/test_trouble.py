# SPDX-License-Identifier: MIT
"""Faults of the machine, of the clock, of what reads the log, and of clients: serving goes on."""
import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from client import REQUEST, Connection, ask, connect, is_gone
from policies import TESTING, TESTING_BODY, server_section
from process import DEADLINE, NOT_LOGFMT, SCALE, Server, program, session_members
from test_conn import SHORT, age, wait_open

ROOT = os.geteuid() == 0
YEAR = 365 * 86400
# Milliseconds for which a worker that lacks something accepts nobody (server.c).
PAUSE_MS = 1000
PAUSED = r"^level=error event=accept text=\".*: not accepting for 1000 ms\"$"


def wait_until(condition):
    """For what no log line tells: looks again and again, until a deadline."""
    limit = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < limit, condition
        select.select([], [], [], 0.02)
    return found


def workers_of(server):
    return [pid for pid in session_members(server.process.pid) if pid != server.process.pid]


def worker_of(server):
    (pid,) = workers_of(server)
    return pid


# Calls that fail. strace decides what accept4 answers. Its tracing and the sandbox exclude each
# other: seccomp kills what strace changes, and who is not dumpable cannot be traced. So these
# servers run with sandbox = off.


def without_leak_check():
    """It would itself use ptrace."""
    return {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "exitcode=99") + ":detect_leaks=0"}


class Call:
    """One accept4 as strace wrote it down."""

    def __init__(self, line):
        found = re.fullmatch(r"\d+ +(\d+\.\d+) accept4\(.*\) = (-?\d+)(.*)", line)
        assert found, line
        self.seconds, self.result = float(found[1]), int(found[2])
        self.injected = found[3].endswith("(INJECTED)")


@pytest.fixture
def serve_traced(serve, strace, write_ini, directory, pair):
    """A server whose accept4 fails as told, and a function that lists its calls."""

    def start(fault):
        output = directory / "strace"
        ini = write_ini(server_section(**pair._asdict(), workers=1, sandbox="off"), TESTING)
        server = serve.start(
            ini,
            [PAUSED],
            without_leak_check(),
            before=[*strace, "-o", output, "-e", "trace=accept4", "-e", f"inject=accept4:{fault}"],
        )

        def calls():
            lines = output.read_text().splitlines()
            return [Call(line) for line in lines if " accept4(" in line]

        return server, calls

    return start


def stop(server):
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == 0


def gaps_behind_failures(calls):
    """Seconds between each call that was made to fail and the next call."""
    pairs = zip(calls, calls[1:])
    return [after.seconds - before.seconds for before, after in pairs if before.injected]


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])
def test_accepting_pauses_while_the_machine_lacks_something(serve_traced, fetch, error):
    server, calls = serve_traced(f"error={error}:when=1")
    fetch(server)
    stop(server)
    (gap,) = gaps_behind_failures(calls())
    assert PAUSE_MS / 1000 - 0.05 < gap < PAUSE_MS / 1000 + 5
    assert len(server.find_all(PAUSED)) == 1
    # The one that failed, the client, "nobody else", and the look when it ends.
    assert len(calls()) <= 4


def test_accepting_pauses_each_time_when_it_fails_again(serve_traced, fetch):
    server, calls = serve_traced("error=EMFILE:when=1..2")
    fetch(server)
    stop(server)
    gaps = gaps_behind_failures(calls())
    assert len(gaps) == 2
    assert min(gaps) > PAUSE_MS / 1000 - 0.05
    assert len(server.find_all(PAUSED)) == 2
    assert len(calls()) <= 5


def test_clients_that_are_in_are_served_while_accepting_pauses(serve_traced, trust):
    server, calls = serve_traced("error=EMFILE:when=2..60")
    with Connection(server.address, trust).handshake() as first, connect(server.address):
        server.wait_for(PAUSED)
        first.send(REQUEST)
        assert first.response().body == TESTING_BODY
    assert all(call.injected for call in calls()[1:])
    server.wait_for("event=fetch ")


@pytest.mark.parametrize("error", ["ECONNABORTED", "EPROTO"])
def test_the_error_of_one_client_does_not_delay_the_next(serve_traced, fetch, error):
    server, calls = serve_traced(f"error={error}:when=1..3")
    fetch(server)
    stop(server)
    gaps = gaps_behind_failures(calls())
    assert len(gaps) == 3
    assert max(gaps) < PAUSE_MS / 1000 / 2
    assert not server.find_all("event=accept")


# A supervisor that is slow, because strace delays a call of it.


def state_of(pid):
    """One letter, when ten looks in a row see the same: strace often stops what it traces."""

    def look():
        select.select([], [], [], 0.01)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    def look_often():
        seen = {look() for _ in range(10)}
        return seen.pop() if len(seen) == 1 else None

    return wait_until(look_often)


def test_a_worker_that_ends_while_another_is_reaped_does_not_hold_up_a_reload(
    serve, strace, write_ini, directory, pair, fetch
):
    """The supervisor hears of both by the death of the first."""
    ini = write_ini(server_section(**pair._asdict(), workers=2, sandbox="off"), TESTING)
    slow = ["-e", "trace=wait4", "-e", "inject=wait4:delay_enter=400000"]
    tracing = [*strace, "-o", directory / "strace", *slow]
    server = serve.start(ini, env=without_leak_check(), before=tracing)
    pid = server.process.pid
    worker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])
    os.kill(worker, signal.SIGSTOP)
    # That is news of a child, for which the supervisor looks once.
    assert state_of(pid) == "t"
    wait_until(lambda: state_of(pid) == "S")
    server.signal(signal.SIGHUP)
    # It is about to reap the other worker.
    wait_until(lambda: state_of(pid) == "t")
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{worker}/exe").exists())
    started = time.monotonic()
    fetch(server)
    # An old worker that hangs would be waited for for two seconds.
    assert age(started) < 1.8


# Descriptors.

# valgrind has limits of its own, and gives its own answers to getrlimit.
own_limits = pytest.mark.unwrapped("valgrind has its own limit of descriptors")


@pytest.fixture
def serve_with_few_descriptors(serve, write_ini, pair):
    """A server that has more slots than descriptors; the sandbox would prevent that."""
    keys = {**pair._asdict(), "workers": 1, "max_per_source": 0, "sandbox": "off"}
    ini = write_ini(server_section(**keys), TESTING)
    return serve.start(ini, [PAUSED], before=["prlimit", "--nofile=24:1100"])


@own_limits
def test_service_resumes_when_there_are_descriptors_again(serve_with_few_descriptors, trust):
    server = serve_with_few_descriptors
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connect(server.address))
        started = time.monotonic()
        server.wait_for(PAUSED, count=2)
    assert ask(server.address, trust).body == TESTING_BODY
    assert len(server.find_all(PAUSED)) <= age(started) * 1000 / PAUSE_MS + 2


@own_limits
def test_more_clients_than_descriptors_are_all_answered(serve_with_few_descriptors, trust):
    server = serve_with_few_descriptors
    together = threading.Barrier(40)

    def fetch_at_once(_):
        with Connection(server.address, trust) as connection:
            together.wait(DEADLINE)
            connection.handshake()
            connection.send(REQUEST)
            return connection.response().body

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(fetch_at_once, range(40))) == [TESTING_BODY] * 40
    assert server.find_all(PAUSED)


def test_every_slot_has_its_descriptor(serve, trust):
    server = serve(workers=1, max_connections=8, max_per_source=0)
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Connection(server.address, trust).handshake()) for _ in range(8)
        ]
        # One more than that waits, and makes nobody lose a slot.
        stack.enter_context(connect(server.address))
        for client in clients:
            client.send(REQUEST)
            assert client.response().status == 200
    assert not server.find_all("event=(accept|refused|displaced)")


@pytest.fixture
def public(pair):
    """The program and its files where another user can read them; run by nobody in particular."""
    with tempfile.TemporaryDirectory(prefix="mta-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        for file in (program(), *pair):
            shutil.copy(file, path)
        if ROOT:
            os.chown(path / pair.private_key.name, 65534, 65534)
        yield path


@pytest.fixture
def start_as_nobody(public, pair):
    """Starts a server as somebody who is not root; what it says is in its log."""
    with contextlib.ExitStack() as stack:

        def start(*before, **keys):
            ini = public / "a.ini"
            files = {
                "certificate": public / pair.certificate.name,
                "private_key": public / pair.private_key.name,
            }
            # The user to change to is for root alone.
            ini.write_text(server_section(**(files | keys | {"user": None})) + TESTING)
            ini.chmod(0o644)
            become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            server = Server(
                ini,
                before=[*(become if ROOT else []), *before],
                binary=public / Path(program()).name,
            )
            stack.callback(server.stop)
            return server

        yield start


@own_limits
def test_a_limit_below_max_connections_is_refused_at_the_start(start_as_nobody):
    server = start_as_nobody("prlimit", "--nofile=64:64", max_connections=100)
    assert server.wait_exit() == 1
    (line,) = [line for line in server.lines if "warning[SANDBOX]" not in line][:-1]
    assert re.match(rf"{server.ini}:\d+: error\[DESCRIPTORS\]: ", line)
    assert "max_connections = 100 needs 108 descriptors, this process may have 64: raise" in line


def test_a_port_below_1024_wants_root_and_the_error_says_so(start_as_nobody):
    if Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip() == "0":
        pytest.skip("here anybody may listen on any port")
    server = start_as_nobody(listen=["127.0.0.1:1"])
    assert server.wait_exit() == 1
    (line,) = [line for line in server.lines if "warning[SANDBOX]" not in line][:-1]
    assert re.match(rf"{server.ini}:\d+: error\[LISTEN\]: cannot listen on 127.0.0.1:1: ", line)
    assert line.endswith(": ports below 1024 need root or CAP_NET_BIND_SERVICE")


@own_limits
def test_a_low_soft_limit_is_raised(start_as_nobody, trust):
    if os.environ.get("MTA_STSD_SANDBOX") == "off":
        pytest.skip("sandbox = off leaves the limits alone")
    server = start_as_nobody(
        *("prlimit", "--nofile=24:200"), max_connections=100, max_per_source=0, workers=1
    )
    server.wait_ready()
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(connect(server.address))
        wait_open(server, 40)
        assert ask(server.address, trust).status == 200
    server.check_log()


@pytest.mark.skipif(not ROOT, reason="cannot make a key of somebody else's")
def test_a_key_of_another_user_is_named_at_the_start(start_as_nobody, public, pair):
    os.chown(public / pair.private_key.name, 0, 0)
    server = start_as_nobody()
    assert server.wait_exit() == 1
    complaint, last = [line for line in server.lines if "warning[SANDBOX]" not in line]
    assert re.match(rf"{server.ini}:\d+: error\[KEY_FILE\]: .*: Permission denied$", complaint)
    assert last == "mta-stsd: not started"


# Standard error. The log is what the other tests wait for; here readiness is told to a service
# manager, and the port is chosen before.

REDIRECT = """
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that is inherited
numbers, to = sys.argv[1].split(","), int(sys.argv[2])
for number in map(int, numbers):
    os.close(number) if to < 0 else os.dup2(to, number)
os.execvp(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def serve_mutely(write_ini, directory, pair):
    """Starts a server with these descriptors closed (to < 0) or replaced by another."""
    with contextlib.ExitStack() as stack:
        manager = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(str(directory / "notify"))
        poll = select.poll()
        poll.register(manager, select.POLLIN)

        def start(to, numbers=(2,), before=()):
            with socket.create_server(("127.0.0.1", 0)) as other:
                address = other.getsockname()
            ini = write_ini(
                server_section(["{}:{}".format(*address)], **pair._asdict(), workers=1), TESTING
            )
            redirect = [sys.executable, "-c", REDIRECT, ",".join(map(str, numbers)), str(to)]
            server = Server(
                ini,
                env={"NOTIFY_SOCKET": str(directory / "notify")},
                before=[*redirect, *before],
                pass_fds=() if to < 0 else (to,),
            )
            stack.callback(server.stop)
            poll.register(server.pidfd, select.POLLIN)
            told = b""
            while b"READY=1" not in told:
                ready = dict(poll.poll(DEADLINE * 1000))
                assert manager.fileno() in ready, "ended, or never ready"
                told = manager.recv(4096)
            server.addresses = [address]
            return server

        yield start


@pytest.mark.unwrapped("valgrind does not start without standard error")
@pytest.mark.parametrize("numbers", [(2,), (0, 1, 2)], ids=["error", "all three"])
def test_with_closed_standard_descriptors_it_serves_and_nothing_else_takes_their_place(
    serve_mutely, fetch, numbers
):
    server = serve_mutely(-1, numbers)
    for _ in range(5):
        fetch(server)
    for number in numbers:
        assert os.readlink(f"/proc/{server.process.pid}/fd/{number}") == "/dev/null"


def test_when_the_log_cannot_be_written_it_serves_on(serve_mutely, fetch):
    with open("/dev/full", "wb") as full:
        server = serve_mutely(full.fileno())
        for _ in range(5):
            fetch(server)


def test_when_the_reader_of_the_log_goes_it_serves_on(serve_mutely, fetch):
    ours, its = os.pipe()
    with contextlib.closing(os.fdopen(its, "wb")):
        server = serve_mutely(its)
    os.close(ours)
    for _ in range(5):
        fetch(server)


class SlowReader:
    """A reader of the log that reads only when told to."""

    def __init__(self, plain):
        self.plain = plain
        self.octets = b""

    def wait_for(self, pattern):
        """Reads until a line matches."""

        def is_there():
            with contextlib.suppress(BlockingIOError):
                while part := os.read(self.plain, 65536):
                    self.octets += part
            return re.search(pattern, self.octets.decode(), re.MULTILINE)

        return wait_until(is_there)

    def lines(self):
        assert self.octets.endswith(b"\n")
        return self.octets.decode().splitlines()


def small_pipe(stack):
    ours, its = os.pipe()
    stack.callback(os.close, ours)
    stack.callback(os.close, its)
    os.set_blocking(ours, False)
    # Two pages: in a pipe of one page, one line is all there is room for.
    fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, 8192)
    return ours, its


def small_socket(stack):
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    stack.enter_context(ours)
    stack.enter_context(its)
    ours.setblocking(False)
    its.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return ours.fileno(), its.fileno()


@pytest.mark.parametrize("make", [small_pipe, small_socket], ids=["pipe", "socket"])
def test_while_nobody_reads_the_log_it_serves_on_and_counts_what_is_lost(serve_mutely, fetch, make):
    with contextlib.ExitStack() as stack:
        ours, its = make(stack)
        server = serve_mutely(its)
        for _ in range(60):
            fetch(server)
        reader = SlowReader(ours)
        reader.wait_for("^level=info event=ready ")
        assert 0 < len(re.findall(b" event=fetch ", reader.octets)) < 60
        fetch(server)
        lost = reader.wait_for("^level=warning event=log_lost lines=([0-9]+)$").group(1)
        written = [line for line in reader.lines() if " event=fetch " in line]
        assert len(written) + int(lost) == 61
        assert not [line for line in reader.lines() if NOT_LOGFMT.search(line)]


def test_a_log_that_is_read_again_goes_on_without_a_second_count(serve_mutely, fetch):
    with contextlib.ExitStack() as stack:
        ours, its = small_pipe(stack)
        server = serve_mutely(its)
        for _ in range(60):
            fetch(server)
        reader = SlowReader(ours)
        reader.wait_for("^level=info event=ready ")
        fetch(server)
        reader.wait_for("event=log_lost")
        mark = len(reader.octets)
        fetch(server)
        reader.wait_for(r"(?s).{%d}.*event=fetch " % mark)
        assert reader.octets.count(b"event=log_lost") == 1


# The file of the metrics. A reload, when it is done, writes it too.


def reload(server, pattern="event=reloaded "):
    since = server.mark()
    server.signal(signal.SIGHUP)
    server.wait_for(pattern, since)


CANNOT_WRITE = r"^level=error event=metrics text=\"cannot write /.*: {}\"$"


def test_a_missing_directory_for_the_metrics_is_said_once(serve, fetch, directory):
    missing = CANNOT_WRITE.format("No such file or directory")
    server = serve(allow=[missing], metrics_file=directory / "missing/metrics.prom")
    server.wait_for(missing)
    reload(server)
    reload(server)
    fetch(server)
    stop(server)
    assert len(server.find_all("event=metrics ")) == 1


def test_metrics_are_written_when_their_directory_appears(serve, directory):
    path = directory / "missing/metrics.prom"
    server = serve(allow=["event=metrics "], metrics_file=path)
    server.wait_for("event=metrics ")
    path.parent.mkdir()
    reload(server)
    wait_until(path.exists)


def test_a_second_fault_of_the_metrics_is_said_again(serve, directory):
    path = directory / "missing/metrics.prom"
    server = serve(allow=["event=metrics "], metrics_file=path)
    server.wait_for("event=metrics ")
    path.parent.mkdir()
    reload(server)
    wait_until(path.exists)
    shutil.rmtree(path.parent)
    reload(server)
    server.wait_for("event=metrics ", count=2)


@pytest.fixture
def small_disk(serve, write_ini, directory, pair):
    """A server with a disk of its own for the metrics, and that disk as it is seen from here."""
    able = ROOT and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0
    if not able:
        pytest.skip("a mount namespace of its own needs root, and a root that is a mount point")
    disk = directory / "disk"
    disk.mkdir()
    script = f"mount -t tmpfs -o size=64k none {disk} && exec " + '"$@"'
    ini = write_ini(
        server_section(**pair._asdict(), metrics_file=disk / "metrics.prom"), TESTING
    )
    server = serve.start(
        ini, ["event=metrics "], before=["unshare", "--mount", "sh", "-c", script, "sh"]
    )
    return server, Path(f"/proc/{server.process.pid}/root/{disk}")


def fill(disk):
    with open(disk / "rest", "wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(1024)):
            pass


def test_a_full_disk_for_the_metrics_is_said_once(small_disk, fetch):
    server, disk = small_disk
    wait_until((disk / "metrics.prom").exists)
    fill(disk)
    reload(server)
    full = CANNOT_WRITE.format("No space left on device")
    server.wait_for(full)
    reload(server)
    fetch(server)
    stop(server)
    assert len(server.find_all(full)) == 1


def test_a_full_disk_leaves_the_metrics_as_they_were(small_disk):
    server, disk = small_disk
    wait_until((disk / "metrics.prom").exists)
    before = (disk / "metrics.prom").read_text()
    fill(disk)
    reload(server)
    server.wait_for("event=metrics ")
    assert (disk / "metrics.prom").read_text() == before
    assert sorted(entry.name for entry in disk.iterdir()) == ["metrics.prom", "rest"]


def test_metrics_are_written_when_the_disk_has_room_again(small_disk):
    server, disk = small_disk
    wait_until((disk / "metrics.prom").exists)
    before = (disk / "metrics.prom").read_text()
    fill(disk)
    reload(server)
    server.wait_for("event=metrics ")
    (disk / "rest").unlink()
    reload(server)
    wait_until(lambda: (disk / "metrics.prom").read_text() != before)


def rewrite(path, pattern, replacement):
    """Changes a file so that nobody sees half of it."""
    new = path.with_suffix(".new")
    new.write_text(re.sub(pattern, replacement, path.read_text()))
    new.rename(path)


# The clock.

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
/* Seconds to add to the clock of the wall and to the monotonic one, in a file that is shared. */
static volatile long *shift;
__attribute__((constructor)) static void map_shift(void)
{
    int fd = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    void *memory = mmap(NULL, 2 * sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    shift = memory == MAP_FAILED ? NULL : memory;
}
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && shift != NULL && clock == CLOCK_REALTIME)
        now->tv_sec += shift[0];
    if (result == 0 && shift != NULL && clock == CLOCK_MONOTONIC)
        now->tv_sec += shift[1];
    return result;
}
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """The clocks of a server, which the test can change while it runs."""

    def __init__(self, library, path):
        self.path = path
        self.write(0, 0)
        self.env = {"CLOCK_SHIFT": str(path), "LD_PRELOAD": library}

    def write(self, wall, monotonic):
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("ll", wall, monotonic))


@pytest.fixture(scope="session")
def clock_library(workspace):
    binary = Path(program()).read_bytes()
    if b"/ld-linux" not in binary:
        pytest.skip("nothing can be loaded before a static program")
    source, library = workspace / "clock.c", workspace / "clock.so"
    source.write_text(CLOCK)
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    loaded = [str(library)]
    if b"libasan.so" in binary:
        found = subprocess.run(
            ["cc", "-print-file-name=libasan.so"], capture_output=True, check=True, text=True
        )
        loaded.insert(0, found.stdout.strip())
    return ":".join(loaded)


@pytest.fixture
def clock(clock_library, directory):
    return Clock(clock_library, directory / "clock")


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forward", "backward"])
def test_a_jump_of_the_clock_neither_cuts_nor_prolongs_a_connection(serve, fetch, clock, jump):
    server = serve(env=clock.env, timeout=SHORT)
    with connect(server.address) as plain:
        started = time.monotonic()
        wait_open(server, 1)
        clock.write(jump, 0)
        fetch(server)  # and the loop has turned
        assert is_gone(plain)
        assert SHORT - 0.5 <= age(started) < SHORT + 2
    server.wait_for(f"event=timeout state=accepted client=127.0.0.1 ms={SHORT}[0-9]{{3}}")


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["forward", "backward"])
def test_the_date_follows_the_clock(serve, fetch, clock, jump):
    server = serve(env=clock.env)
    first = parsedate_to_datetime(fetch(server).fields["Date"])
    clock.write(jump, 0)
    second = parsedate_to_datetime(fetch(server).fields["Date"])
    assert 0 <= (second - first).total_seconds() - jump < 60


def test_a_changed_file_is_found_although_the_clock_jumped_back(serve, trust, clock):
    server = serve(env=clock.env, allow=["event=finding code=CERT_NOT_YET "])
    clock.write(-YEAR, 0)
    rewrite(server.ini, "mode = testing", "mode = enforce")
    server.wait_for("event=reloaded ")
    assert b"mode: enforce" in ask(server.address, trust).body


# Signals.


def test_a_storm_of_signals_loses_no_fetch(serve, fetch):
    server = serve()
    count = 40 if SCALE == 1 else 8
    for _ in range(count):
        for number in [signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD] * 20:
            server.signal(number)
        assert fetch(server).body == TESTING_BODY
    since = server.mark()
    server.signal(signal.SIGUSR1)
    line = server.wait_for("event=summary ", since)
    assert f" fetches={count} handshake_failures=0 " in line
    assert line.endswith(" reloads_bad=0")


def test_an_old_worker_that_hangs_holds_up_a_reload_for_two_seconds(serve, fetch):
    server = serve(workers=1)
    with standstill(server):
        started = time.monotonic()
        reload(server)
        fetch(server)
        assert 2 <= age(started) < 2 + 2 * SCALE


def test_the_last_of_many_reloads_is_not_lost(serve, trust):
    server = serve()
    for seconds in range(100_000, 100_050):
        rewrite(server.ini, r"max_age = \d+", f"max_age = {seconds}")
        server.signal(signal.SIGHUP)
    expected = TESTING_BODY.replace(b"1209600", b"100049")
    wait_until(lambda: ask(server.address, trust).body == expected)


def test_a_death_among_forged_ones_is_noticed(serve, fetch):
    server = serve(workers=2, allow=["event=worker_died "])
    for _ in range(100):
        server.signal(signal.SIGCHLD)
    victim = workers_of(server)[0]
    os.kill(victim, signal.SIGKILL)
    for _ in range(100):
        server.signal(signal.SIGCHLD)
    server.wait_for(f"event=worker_died text=\"worker {victim} was killed by signal 9;")
    wait_until(lambda: len(workers_of(server)) == 2 and victim not in workers_of(server))
    fetch(server)


@pytest.mark.unwrapped("128 workers take minutes under valgrind")
def test_clients_that_hold_old_workers_delay_a_reload_and_no_more(serve, trust, fetch):
    server = serve(
        workers=1, max_per_source=0, timeout=60, allow=["event=(worker_failed|reload_failed) "]
    )
    with contextlib.ExitStack() as stack:
        while not server.find_all("event=reload_failed "):
            stack.enter_context(Connection(server.address, trust).handshake())
            reload(server, "event=(reloaded|reload_failed) ")
        fetch(server)
    server.wait_for("event=reloaded ", server.mark())
    fetch(server)


# Clients that tear their connection.


def reset(plain):
    """Closes with RST instead of FIN."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


@contextlib.contextmanager
def standstill(server):
    """The worker does nothing meanwhile: what comes, comes all at once for it."""
    worker = worker_of(server)
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGCONT)


def reset_while_waiting_for_the_worker(server, _):
    with standstill(server):
        reset(connect(server.address))


def reset_when_accepted(server, _):
    plain = connect(server.address)
    wait_open(server, 1)
    reset(plain)


def reset_within_the_hello(server, trust):
    connection = Connection(server.address, trust)
    connection.socket.sendall(connection.hello()[:40])
    reset(connection.socket)


def reset_behind_the_server_hello(server, trust):
    connection = Connection(server.address, trust)
    connection.socket.sendall(connection.hello())
    assert connection.socket.recv(5)
    reset(connection.socket)


def reset_within_the_request(server, trust):
    connection = Connection(server.address, trust).handshake()
    connection.send(REQUEST[:20])
    reset(connection.socket)


def reset_before_the_response(server, trust):
    connection = Connection(server.address, trust).handshake()
    with standstill(server):
        connection.send(REQUEST)
        reset(connection.socket)


def reset_behind_the_response(server, trust):
    connection = Connection(server.address, trust).handshake()
    connection.send(REQUEST)
    assert connection.response().status == 200
    reset(connection.socket)


@pytest.mark.parametrize(
    ("tear", "outcome"),
    [
        (reset_while_waiting_for_the_worker, "event=closed state=accepted "),
        (reset_when_accepted, "event=closed state=accepted "),
        (reset_within_the_hello, "event=handshake_failed state=handshake reason=reset "),
        (reset_behind_the_server_hello, "event=handshake_failed state=handshake reason=reset "),
        (reset_within_the_request, "event=request_failed state=request reason=reset "),
        (reset_before_the_response, "event=response_failed domain=example.com status=200 "),
        (reset_behind_the_response, "event=fetch domain=example.com status=200 "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_reset_ends_that_connection_alone(serve, fetch, trust, tear, outcome):
    server = serve(workers=1, log="debug", timeout=min(300, 60 * SCALE))
    tear(server, trust)
    server.wait_for(outcome)
    wait_open(server, 0)
    assert fetch(server).body == TESTING_BODY
