# SPDX-License-Identifier: MIT
"""System calls that fail once: what strace sees of a process, what may fail, and its failing."""
import contextlib
import re
import subprocess
from collections import Counter, namedtuple

from process import DEADLINE, LineReader

Call = namedtuple("Call", "pid name text injected")
Fault = namedtuple("Fault", "call number error")


class NotReached(Exception):
    """This time there were fewer calls: signals that come together are read together, say."""


# A call that another process interrupts is in two lines, of which the second has the result.
LINE = re.compile(r"(?:(\d+) +)?(?:(\w+)\(|<\.\.\. (\w+) resumed>)")

# What the manual page of a call gives for it, and can come to a program that is right. Calls that
# are not here are made to fail all the same.
ERRORS = {
    "accept4": ("ECONNABORTED", "EINTR", "EMFILE"),
    "bind": ("EADDRINUSE", "ENOMEM"),
    "brk": ("retval=0",),  # the kernel knows no error here: it leaves the break where it was
    "clone": ("EAGAIN", "ENOMEM"),
    "close": ("EIO",),
    "epoll_create1": ("EMFILE", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_pwait": ("EINTR",),
    "epoll_wait": ("EINTR",),
    "getrandom": ("ENOSYS", "EAGAIN"),
    "mmap": ("ENOMEM",),
    "newfstatat": ("ENOENT", "EACCES"),
    "openat": ("EMFILE", "ENOENT"),
    "poll": ("EINTR", "ENOMEM"),
    "ppoll": ("EINTR", "ENOMEM"),
    "prctl": ("EPERM", "EINVAL"),
    "read": ("EIO", "EAGAIN"),
    "recvfrom": ("EINTR", "EAGAIN", "ECONNRESET", "ENOMEM"),
    "rename": ("ENOSPC", "EACCES"),
    "sendto": ("EINTR", "EAGAIN", "ECONNRESET", "ENOBUFS"),
    "shutdown": ("ENOTCONN",),
    "signalfd4": ("EMFILE", "ENOMEM"),
    "socket": ("EMFILE", "ENOBUFS"),
    "socketpair": ("EMFILE", "ENFILE"),
    "write": ("EIO", "ENOSPC", "EINTR"),
}
OTHER_ERRORS = ("EPERM", "ENOMEM")
# Each harmful one may cost a deadline.
ENOUGH = 5
# They return nothing, are the kernel's own, or have no error for arguments that are right; the C
# library does not look whether they have.
NEVER = ("exit_group", "restart_syscall", "rt_sigprocmask", "rt_sigreturn")
# Not a failure of anything: the program has to do it again.
AGAIN = ("EINTR", "EAGAIN")


def read_calls(output):
    """The calls in a file that strace wrote."""
    calls = []
    for line in output.read_text().splitlines():
        if found := LINE.match(line):
            name = found[2] or found[3]
            calls.append(Call(found[1], name, line, line.endswith("(INJECTED)")))
    return calls


def number_calls(calls):
    """Each call that began, and how many of its name there had been in its process with it."""
    counts = Counter()
    for call in calls:
        if " resumed>" not in call.text:
            counts[call.pid, call.name] += 1
            yield call, counts[call.pid, call.name]


def plan(numbered, left_out=()):
    """Each of these calls failing, in each of its ways."""
    found = dict.fromkeys((call.name, n) for call, n in numbered)
    return [
        Fault(name, n, error)
        for name, n in found
        if name not in (*NEVER, *left_out)
        for error in ERRORS.get(name, OTHER_ERRORS)
    ]


def injection(fault):
    error = fault.error if "=" in fault.error else f"error={fault.error}"
    return ["-e", f"inject={fault.call}:{error}:when={fault.number}"]


@contextlib.contextmanager
def attached(pid, output, *options):
    """strace sees this process meanwhile, and with -f the children that it makes."""
    command = ["strace", *options, "-o", str(output), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        said = LineReader(strace.stderr)
        try:
            said.wait_for("attached")
            yield
        finally:
            strace.terminate()
            strace.wait(DEADLINE)
            said.thread.join(DEADLINE)


def check_all(life, measure, where):
    """Makes a life meet all its faults, or as many as show what is wrong; how many it met."""
    faults, wrong, met = life.faults(), [], 0
    for fault in faults:
        try:
            life.meet(fault)
            met += 1
        except NotReached:
            pass
        except AssertionError as error:
            wrong.append(f"{fault}: {error}")
        if len(wrong) == ENOUGH:
            break
    measure(f"{met} faults injected into {where}, of {len(faults)} that were tried")
    assert not wrong, "\n".join(wrong)
    assert met > len(faults) / 2
    return met
