# SPDX-License-Identifier: MIT
"""mta-stsd as a process: commands that end, and a server with its log."""
import os
import re
import select
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A wrapper such as "valgrind -q --error-exitcode=99" goes before the program's name.
WRAPPER = shlex.split(os.environ.get("MTA_STSD_WRAPPER", ""))
SCALE = 20 if WRAPPER else 1
# Seconds after which a test gives up waiting; nothing here comes near to it.
DEADLINE = 20 * SCALE
NOT_LOGFMT = re.compile(r"^(?!level=(error|warning|info|debug) event=[a-z0-9_]+( |$))")
# Said where the kernel lacks a part of the sandbox, or where the sandbox is switched off.
ALWAYS_ALLOWED = (r"level=warning event=finding code=SANDBOX ",)


def program():
    """The binary under test."""
    candidates = [HERE / "../../build/asan/mta-stsd", HERE / "../../mta-stsd"]
    if "MTA_STSD" in os.environ:
        candidates = [Path(os.environ["MTA_STSD"])]
    for path in candidates:
        if path.exists():
            return str(path.resolve())
    raise FileNotFoundError("no mta-stsd: build it, or name it in MTA_STSD")


def environment():
    """Without what a service manager sets; a sanitizer's exit code is not one of ours."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID")
    }
    inherited.setdefault("ASAN_OPTIONS", "exitcode=99")
    inherited.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:exitcode=99")
    return inherited | {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run(*arguments, stdin=b"", cwd=None, stdout=subprocess.PIPE, before=()):
    """Runs a command of mta-stsd to its end; .stdout and .stderr are bytes. `before` is a command
    that becomes the program that it is given."""
    result = subprocess.run(
        [*before, *WRAPPER, program(), *map(str, arguments)],
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(),
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode in (0, 1, 2), result
    assert b"Sanitizer" not in result.stderr and b"runtime error" not in result.stderr, result
    return result


def session_members(leader):
    """The process ids of a session: the server, its workers and a wrapper."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader:
            members.append(int(entry.name))
    return members


def resident_octets(leader):
    """Memory of all processes of a session."""
    pages = 0
    for pid in session_members(leader):
        pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class LineReader:
    """Every line that a process writes, kept, and waited for."""

    def __init__(self, stream):
        self.stream = stream
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        with self.stream as stream:
            for line in stream:
                with self.changed:
                    self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def mark(self):
        """Where the lines end now: to look only at what comes later."""
        with self.changed:
            return len(self.lines)

    def find_all(self, pattern, since=0):
        with self.changed:
            return [line for line in self.lines[since:] if re.search(pattern, line)]

    def wait_for(self, pattern, since=0, count=1):
        """Waits until `count` lines match; returns the first."""

        def is_there():
            return len(self.find_all(pattern, since)) >= count or self.ended

        with self.changed:
            self.changed.wait_for(is_there, DEADLINE)
        found = self.find_all(pattern, since)
        assert len(found) >= count, f"{len(found)} of {count} {pattern!r} in {self.lines[since:]}"
        return found[0]


class Server:
    """mta-stsd serving an INI file, and its log. `before` is a command that prepares something and
    then becomes the program that it is given."""

    def __init__(self, ini, allow=(), env=None, before=(), pass_fds=(), binary=None):
        self.ini = Path(ini)
        self.allow = [*ALWAYS_ALLOWED, *allow]
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            [*before, *WRAPPER, binary or program(), "-c", str(ini)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment() | (env or {}),
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self.pidfd = os.pidfd_open(self.process.pid)
        self.log = LineReader(self.process.stdout)
        self.mark = self.log.mark
        self.find_all = self.log.find_all
        self.wait_for = self.log.wait_for

    @property
    def lines(self):
        return self.log.lines

    def wait_ready(self):
        self.wait_for(r"level=info event=ready( |$)")
        self.ready_seconds = time.monotonic() - self.started_at
        self.addresses = []
        for line in self.find_all(r"event=listening "):
            host, port = re.search(r"address=\[?([^\]]+)\]?:(\d+)$", line).groups()
            self.addresses.append((host, int(port)))

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return self.address[1]

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self):
        """The exit code; a server that does not end in time is killed and fails the test."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(DEADLINE * 1000):
            for pid in session_members(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"did not end: {self.lines}")
        code = self.process.wait()
        self.log.thread.join(DEADLINE)
        return code

    def stop(self):
        if self.process.returncode is None:
            self.signal(signal.SIGTERM)
            assert self.wait_exit() == 0, self.lines
        os.close(self.pidfd)

    def check_log(self):
        """Nothing but log lines, and no trouble that the test did not ask for."""
        for line in self.lines:
            assert not NOT_LOGFMT.search(line), line
            if re.match(r"level=(error|warning) ", line):
                assert any(re.search(pattern, line) for pattern in self.allow), line
