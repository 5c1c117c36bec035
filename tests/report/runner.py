# SPDX-License-Identifier: MIT
"""Running mta-sts-report and reading what it says."""
import json
import os
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import process
from process import SCALE, WRAPPER

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data/tlsrpt"
# What no run here comes near to.
LIMIT = 60 * SCALE
MEMORY_MAX = 64 << 20

Result = namedtuple("Result", "code out err seconds peak")

# Starts a program and writes its peak memory (KiB) to a file. It stands between, since what a
# process has used before it became the program counts as the program's: this one is small.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as out:
    out.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


def program():
    """The binary under test."""
    candidates = [HERE / f"../../build/{name}mta-sts-report" for name in ("asan/", "")]
    if "MTA_STS_REPORT" in os.environ:
        candidates = [Path(os.environ["MTA_STS_REPORT"])]
    for path in candidates:
        if path.exists():
            return str(path.resolve())
    raise FileNotFoundError("no mta-sts-report: build it, or name it in MTA_STS_REPORT")


def shipped():
    """The program as it is shipped, for memory and time; None if it is not built."""
    near = Path(program())
    if b"__asan_init" not in near.read_bytes():
        return str(near)
    path = near.parent.parent / "mta-sts-report"
    return str(path) if path.exists() else None


def command(*arguments):
    return [*WRAPPER, program(), *map(str, arguments)]


def environment(**more):
    """Nothing of the caller's changes what is printed."""
    inherited = process.environment()
    for name in ("NO_COLOR", "TERM"):
        inherited.pop(name, None)
    return inherited | more


def as_bytes(content):
    if not isinstance(content, (bytes, str)):
        content = json.dumps(content)
    return content.encode() if isinstance(content, str) else content


def finish(code, out, err, begun, peak=None):
    result = Result(
        code, out.decode("utf-8"), err.decode("utf-8"), time.monotonic() - begun, peak
    )
    assert result.code in (0, 1, 2, 3), result
    assert "Sanitizer" not in result.err and "runtime error" not in result.err, result
    return result


def run(*arguments, stdin=b"", stdout=subprocess.PIPE, cwd=None, before=(), **more):
    """A run to its end. `before` is a command that becomes the program that it is given."""
    begun = time.monotonic()
    done = subprocess.run(
        [*before, *command(*arguments)],
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(**more),
        timeout=LIMIT,
        check=False,
    )
    return finish(done.returncode, done.stdout or b"", done.stderr, begun)


def measured(directory, *arguments, limit=LIMIT):
    """A run of the shipped program, with its peak memory in octets; without a wrapper."""
    note = directory / "peak"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", MEASURE, note, shipped(), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
        timeout=limit,
        check=False,
    )
    peak = int(note.read_text()) << 10
    return finish(done.returncode, done.stdout, done.stderr, begun, peak)


def report(*arguments, **more):
    """The JSON of a run that could run, with .result."""
    result = run("--json", *arguments, **more)
    assert result.code != 3, result
    return Report(json.loads(result.out), result)


class Report:
    def __init__(self, data, result):
        self.data = data
        self.result = result
        self.domains = {entry["domain"]: entry for entry in data["domains"]}

    def sessions(self):
        return {name: both(entry["sessions"]) for name, entry in self.domains.items()}

    def types(self):
        return {
            name: {kind: both(counts) for kind, counts in entry["policy_types"].items()}
            for name, entry in self.domains.items()
        }

    def failures(self, domain="example.com"):
        keys = "policy_type", "result", "mx", "sending_ip", "receiving_ip", "reason", "sessions"
        return sorted(tuple(row[key] for key in keys) for row in self.domains[domain]["failures"])

    def notes(self):
        return {note["text"]: note["reports"] for note in self.data["notes"]}


def both(counts):
    return counts["good"], counts["failed"]


def is_plain(text):
    """Nothing that a terminal would choke on, and no text that runs the other way."""
    return all(c == "\n" or c.isprintable() for c in text)


def samples():
    """Reports of real senders, where they are at hand."""
    place = os.environ.get("MTA_STS_SAMPLES") or HERE / "../../../shared/tlsrpt-samples"
    return sorted(Path(place).glob("*.json"))
