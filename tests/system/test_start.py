# SPDX-License-Identifier: MIT
"""Addresses that cannot be had: one clear line, and nothing is started."""
import os
import re
import socket

import pytest
from policies import TESTING, server_section
from process import run


@pytest.fixture
def start(write_ini, pair):
    """Tries to start; returns the file and the lines of the complaint."""

    def try_start(**server):
        ini = write_ini(server_section(**pair._asdict(), **server), TESTING)
        result = run("-c", ini)
        lines = result.stderr.decode().splitlines()
        assert result.returncode == 1
        assert result.stdout == b""
        assert lines.pop() == "mta-stsd: not started"
        return ini, [line for line in lines if "warning[SANDBOX]" not in line]

    return try_start


def test_port_in_use(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ini, lines = start(listen=[address])
    assert lines == [
        f"{ini}:2: error[LISTEN]: cannot listen on {address}: Address already in use: "
        "another process listens there"
    ]


def test_address_that_is_not_ours(start):
    ini, lines = start(listen=["203.0.113.7:443"])
    assert lines == [
        f"{ini}:2: error[LISTEN]: cannot listen on 203.0.113.7:443: Cannot assign requested "
        "address: this machine does not have that address"
    ]


def test_every_address_that_fails_is_named(start):
    ini, lines = start(listen=["203.0.113.7:443", "127.0.0.1:0", "198.51.100.7:443"])
    assert [line.split(": ")[0] for line in lines] == [f"{ini}:2", f"{ini}:4"]


def test_more_addresses_than_can_be_had(start):
    ini, lines = start(listen=["127.0.0.1:0"] * 100)
    assert len(lines) == 1
    assert re.fullmatch(rf"{ini}: error\[LISTEN\]: more than \d+ listen lines", lines[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (None, "started as root: set user in "),
        ("nobody-of-this-name", "user nobody-of-this-name is not in /etc/passwd"),
        ("0:0", "user 0:0 is root"),
        ("65534:", "user 65534: is neither a name nor uid:gid"),
    ],
    ids=["none", "unknown", "root", "half"],
)
def test_root_needs_a_user_to_serve_as(start, user, reason):
    ini, lines = start(user=user)
    assert len(lines) == 1
    assert re.match(rf"{ini}(:\d+)?: error\[USER\]: ", lines[0])
    assert reason in lines[0]


def test_an_ipv4_listener_may_stand_beside_the_ipv6_one(serve):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    server = serve(listen=[f"[::]:{port}", f"0.0.0.0:{port}"])
    assert server.addresses == [("::", port), ("0.0.0.0", port)]
