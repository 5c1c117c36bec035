# SPDX-License-Identifier: MIT
"""What the tests share: certificates, INI files, servers."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import client
import process
import pytest
from pki import RSA, Authority
from policies import ENFORCED, TESTING, server_section


@pytest.fixture(scope="session")
def pki(workspace):
    directory = workspace / "pki"
    directory.mkdir()
    return Authority(directory)


@pytest.fixture(scope="session")
def pair(pki):
    """The usual certificate: for example.com and example.net."""
    return pki.pair("good", ["mta-sts.example.com", "mta-sts.example.net"])


@pytest.fixture(scope="session")
def rsa_pair(pki):
    """One with an RSA key, for example.org."""
    return pki.pair("rsa", ["mta-sts.example.org"], key=RSA)


@pytest.fixture(scope="session")
def trust(pki):
    """Settings of a client that trusts our root."""
    return client.context(pki.root)


@pytest.fixture(scope="session")
def has_tls13():
    """Whether the library below speaks TLS 1.3: from version 3 on it must."""
    version = process.run("--version").stdout.decode()
    return int(re.search(r"[Mm]bed ?TLS (\d+)\.", version).group(1)) >= 3


@pytest.fixture(params=["1.2", "newest"])
def version(request, has_tls13):
    """TLS 1.2, and 1.3 where the library has it."""
    return client.V1_3 if request.param == "newest" and has_tls13 else client.V1_2


@pytest.fixture
def write_ini(directory):
    """Writes an INI file and returns its path."""

    def write(*sections, name="a.ini"):
        path = directory / name
        path.write_text("\n".join(sections))
        return path

    return write


class Starter:
    """Starts servers and, in the end, stops them and looks at what they wrote."""

    def __init__(self, workspace, pair):
        self.workspace = workspace
        self.pair = pair
        self.cleanup = contextlib.ExitStack()

    def __call__(self, *policies, allow=(), env=None, binary=None, **server):
        """Serves `policies`, sections of an INI file, with these keys in [server]."""
        server.setdefault("certificate", self.pair.certificate)
        server.setdefault("private_key", self.pair.private_key)
        path = Path(tempfile.mkdtemp(prefix="s", dir=self.workspace)) / "a.ini"
        path.write_text("\n".join([server_section(**server), *(policies or [TESTING])]))
        return self.start(path, allow, env, binary=binary)

    def start(self, ini, allow=(), env=None, **how):
        server = process.Server(ini, allow, env, **how)
        self.cleanup.callback(server.check_log)
        self.cleanup.callback(server.stop)
        server.wait_ready()
        return server


@pytest.fixture
def serve(workspace, pair):
    starter = Starter(workspace, pair)
    with starter.cleanup:
        yield starter


@pytest.fixture(scope="module")
def site(workspace, pair, rsa_pair):
    """A server that the tests of a file share: example.com and example.net with one policy,
    example.org with another policy and an RSA certificate."""
    starter = Starter(workspace, pair)
    enforced = (
        f"{ENFORCED}certificate = {rsa_pair.certificate}\nprivate_key = {rsa_pair.private_key}\n"
    )
    with starter.cleanup:
        yield starter(TESTING, enforced, max_per_source=0)


@pytest.fixture
def fetch(trust):
    """Fetches from a server and wants a good answer."""

    def good_fetch(server, sni=client.HOST, **more):
        response = client.ask(server.address, trust, client.request(host=sni), sni, **more)
        assert response.status == 200, response
        return response

    return good_fetch


@pytest.fixture(scope="session")
def strace():
    """The beginning of its command; it must be allowed to make system calls fail."""
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    command = ["strace", "-D", "-o", "/dev/null", "-e", "inject=accept4:error=EMFILE", "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("ptrace is not allowed here")
    # With -D the server keeps its process id, and signals get to it.
    return ["strace", "-D", "-f", "-qq", "-ttt"]


def pytest_report_header():
    return f"mta-stsd: {os.environ.get('MTA_STSD_WRAPPER', '')} {process.program()}"
