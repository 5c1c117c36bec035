# SPDX-License-Identifier: MIT
"""What the other tests stand on: the server as it is started for real, and the zones."""
import os
import re
from pathlib import Path

import domains
import internet as internets
import process
import pytest
from senders import call


ROOT = b"$TTL 300\n. SOA ns. hostmaster. 1 3600 600 86400 300\n. NS ns.\nns. A 192.0.2.53\n"


def status(pid):
    """Fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def kzonecheck(name, path):
    """Silent about a good zone."""
    result = call("kzonecheck", "-o", name, path)
    return result.returncode == 0 and result.stdout + result.stderr == b""


def named_checkzone(name, path):
    """Two lines about a good zone."""
    result = call("named-checkzone", name, path)
    good = rb"zone \S+/IN: loaded serial \d+\nOK\n"
    return result.returncode == 0 and re.fullmatch(good, result.stdout + result.stderr)


checkers = pytest.mark.parametrize(
    "checker", [kzonecheck, named_checkzone], ids=lambda checker: checker.__name__
)


def test_the_server_listens_on_its_real_port(internet):
    assert internet.stsd.addresses == [(internets.POLICY_HOST, 443)]


def test_started_by_root_its_workers_have_no_privileges(internet):
    leader = internet.stsd.process.pid
    workers = [pid for pid in process.session_members(leader) if pid != leader]
    uid, gid = os.environ["MTA_STSD_USER"].split(":")
    assert workers
    for worker in map(status, workers):
        assert set(worker["Uid"].split()) == {uid}, worker
        assert set(worker["Gid"].split()) == {gid}, worker
        assert (int(worker["CapEff"], 16), worker["NoNewPrivs"]) == (0, "1"), worker
        assert os.environ["MTA_STSD_SANDBOX"] != "strict" or worker["Seccomp"] == "2", worker


@checkers
@pytest.mark.parametrize("name", domains.NAMES)
def test_a_zone_that_includes_what_was_printed_is_good(internet, checker, name):
    path = internet.directory / "knot" / f"{name}.zone"
    assert f'$INCLUDE "{internet.directory}/{name}.printed"' in path.read_text()
    assert checker(name, path)


@checkers
def test_a_zone_of_all_domains_is_good(internet, checker):
    path = internet.directory / "root.zone"
    path.write_bytes(ROOT + internet.print_dns())
    assert checker(".", path)


@checkers
def test_a_zone_with_a_broken_record_is_not(internet, checker):
    """So that the others say something."""
    path = internet.directory / "broken.zone"
    path.write_bytes(ROOT + internet.print_dns().replace(b';"\n', b";\n", 1))
    assert not checker(".", path)


def test_the_name_server_has_loaded_every_zone_without_a_warning(internet):
    assert internet.knot.log.find_all(r"\] loaded"), internet.knot.log.lines
    assert internet.knot.log.find_all(r"warning|error") == []
