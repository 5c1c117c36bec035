# SPDX-License-Identifier: MIT
"""The programs that senders and administrators fetch with: curl, wget, openssl."""
import contextlib
import re
import select
import shutil
import socket
import subprocess
import threading

import pytest
from client import HOST, PATH, request
from policies import ENFORCED_BODY, TESTING_BODY
from process import DEADLINE

RSA_HOST = "mta-sts.example.org"
URL = f"https://{HOST}{PATH}"


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def call(*command, stdin=b"", env=None):
    return subprocess.run(
        [*map(str, command)],
        input=stdin,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env=env,
    )


@pytest.fixture
def curl(site, pki):
    """curl with the URL that senders fetch; only the address behind it is ours."""

    def run_curl(*options, url=URL):
        connect = ["--connect-to", f"{HOST}:443:127.0.0.1:{site.port}"]
        return call("curl", "-sS", "--cacert", pki.root, *connect, *options, url)

    return run_curl


@needs("curl")
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--http1.1"],
        ["--http2"],
        ["--http1.0", "--no-alpn"],
        ["--tls-max", "1.2"],
        ["--compressed"],
    ],
    ids=" ".join,
)
def test_curl_gets_the_policy(curl, options):
    result = curl("--fail", *options)
    assert (result.returncode, result.stderr, result.stdout) == (0, b"", TESTING_BODY)


@needs("curl")
def test_curl_gets_the_policy_from_a_url_with_a_port(site, pki):
    result = call(
        *("curl", "-sS", "--fail", "--cacert", pki.root),
        *("--resolve", f"{HOST}:{site.port}:127.0.0.1", f"https://{HOST}:{site.port}{PATH}"),
    )
    assert (result.returncode, result.stdout) == (0, TESTING_BODY)


@needs("curl")
def test_curl_gets_the_head(curl):
    result = curl("--head")
    assert result.returncode == 0
    assert f"Content-Length: {len(TESTING_BODY)}\r\n".encode() in result.stdout


@needs("curl")
def test_curl_is_told_of_another_path(curl):
    result = curl("--fail", url=f"https://{HOST}/")
    assert result.returncode == 22
    assert b"404" in result.stderr


@needs("curl")
def test_curl_fetches_twice(curl):
    """Each time over a connection of its own, since each answer ends its connection."""
    result = curl("--fail", "--write-out", "%{num_connects}\n", URL)
    assert result.returncode == 0
    assert result.stdout == (TESTING_BODY + b"1\n") * 2


@needs("curl")
def test_curl_posting_a_large_body_gets_its_refusal(curl, directory):
    (directory / "body").write_bytes(b"x" * 100_000)
    result = curl("--data-binary", f"@{directory / 'body'}", "--write-out", "%{http_code}")
    assert (result.returncode, result.stdout[-3:]) == (0, b"405")


def relay(one, other):
    """Passes bytes on in both directions until one side has ended."""
    while True:
        for ready in select.select([one, other], [], [], DEADLINE)[0]:
            octets = ready.recv(65536)
            if not octets:
                return
            (other if ready is one else one).sendall(octets)


@contextlib.contextmanager
def tunnel(address):
    """An HTTP proxy whose every CONNECT leads to `address`: so that wget, which cannot be told
    where a name leads to, fetches the very URL that senders fetch. Yields the proxy's URL and the
    request lines that it has seen."""
    listener = socket.create_server(("127.0.0.1", 0))
    lines = []

    def serve_one():
        with listener.accept()[0] as near, socket.create_connection(address, DEADLINE) as far:
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(4096)
            lines.append(head.split(b"\r\n")[0].decode())
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            relay(near, far)

    thread = threading.Thread(target=serve_one, daemon=True)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lines
    thread.join(DEADLINE)


@needs("wget")
def test_wget_as_courier_calls_it_gets_the_policy(site, pki):
    since = site.mark()
    with tunnel(site.address) as (proxy, lines):
        result = call(
            *("wget", "-O", "-", "--timeout", "60", "--max-redirect", "0", "-q", URL),
            *("--no-config", f"--ca-certificate={pki.root}"),
            env={"https_proxy": proxy, "PATH": "/usr/bin:/bin"},
        )
    assert (result.returncode, result.stderr, result.stdout) == (0, b"", TESTING_BODY)
    assert lines == [f"CONNECT {HOST}:443 HTTP/1.1"]
    site.wait_for('event=fetch .* status=200 .* agent="Wget/', since)


def s_client(site, pki, *options, host=HOST, stdin=None):
    return call(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-servername", host),
        *("-CAfile", pki.root, "-verify_return_error", "-verify_hostname", host, *options),
        stdin=request(host=host) if stdin is None else stdin,
    )


def test_s_client_verifies_the_chain_and_gets_the_policy(site, pki):
    result = s_client(site, pki, "-ign_eof")
    assert result.returncode == 0
    assert b"Verify return code: 0 (ok)" in result.stdout
    assert b"Verification: OK" in result.stdout
    assert TESTING_BODY in result.stdout


def test_s_client_is_sent_leaf_and_intermediate_and_no_root(site, pki):
    output = s_client(site, pki, "-showcerts").stdout
    assert output.count(b"BEGIN CERTIFICATE") == 2


def test_s_client_is_asked_for_no_certificate(site, pki):
    assert b"No client certificate CA names sent" in s_client(site, pki).stdout


def test_s_client_that_reconnects_resumes_nothing(site, pki):
    output = s_client(site, pki, "-reconnect", "-tls1_2", stdin=b"").stdout
    assert len(re.findall(rb"^New, TLSv1\.2, ", output, re.M)) == 6
    assert b"Reused" not in output


@pytest.mark.parametrize(
    "suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
)
def test_s_client_gets_each_suite_of_tls_1_3(site, pki, has_tls13, suite):
    result = s_client(site, pki, "-tls1_3", "-ciphersuites", suite, "-ign_eof")
    if not has_tls13:
        assert result.returncode != 0
        return
    assert f"New, TLSv1.3, Cipher is {suite}".encode() in result.stdout
    assert TESTING_BODY in result.stdout


@pytest.mark.parametrize("group", ["P-256", "X25519", "P-384"])
def test_s_client_gets_each_group(site, pki, group):
    # Over TLS 1.2 the groups of a client also say which ECDSA keys it takes: ask for the RSA one.
    result = s_client(site, pki, "-groups", group, "-ign_eof", host=RSA_HOST)
    assert result.returncode == 0
    assert ENFORCED_BODY in result.stdout


@pytest.mark.parametrize("group", ["P-521", "X448"])
def test_s_client_is_refused_other_groups(site, pki, group):
    assert s_client(site, pki, "-groups", group, host=RSA_HOST).returncode != 0
