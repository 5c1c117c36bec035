# SPDX-License-Identifier: MIT
"""The private network namespace: addresses that exist in it alone, so that real ports are free."""
import os
import re
import socket
import subprocess
from pathlib import Path

from cases import DEAD_ADDRESS, SILENT_ADDRESS

NEEDED = "needs a private network namespace (root)"
IFF_UP = 1


def links():
    """{name: flags} of the interfaces that are up."""
    shown = subprocess.run(["ip", "-o", "link", "show", "up"], capture_output=True, check=True)
    return re.findall(r"^\d+: ([^:@]+)", shown.stdout.decode(), re.MULTILINE)


def is_private():
    """Root, and nothing leads out."""
    return os.geteuid() == 0 and set(links()) == {"lo"}


def system_resolvers():
    """The addresses that the system's resolver asks: in here they are ours."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    found = [line.split()[1] for line in lines if re.match(r"nameserver\s+[0-9.]+\s*$", line)]
    return found[:1] or ["127.0.0.1"]


def address(number, family=socket.AF_INET):
    """The n-th of ours."""
    return f"192.0.2.{number}" if family == socket.AF_INET else f"2001:db8::{number:x}"


def prepare():
    """Gives lo its addresses, and lets one network swallow what is sent to it."""
    commands = [f"addr replace {address(n)}/32 dev lo" for n in range(1, 255)]
    commands += [
        f"addr replace {address(n, socket.AF_INET6)}/128 dev lo nodad" for n in range(1, 128)
    ]
    commands += [f"addr replace {server}/32 dev lo" for server in system_resolvers()]
    commands += [f"route replace {SILENT_ADDRESS}/32 dev lo"]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands).encode(), check=True)
    assert DEAD_ADDRESS in {address(n) for n in range(1, 255)}
