# SPDX-License-Identifier: MIT
"""--probe: a good answer of our own server, and everything else that may hold the port."""
import contextlib
import os
import re
import socket
import ssl
import threading
import time

import pytest
from client import HOST
from pki import LEAF_ONLY
from policies import ENFORCED, MX, RUA, TESTING, TESTING_BODY, policy, server_section
from process import SCALE, run

HOSTS = [HOST, "mta-sts.example.net"]
GOOD_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@pytest.fixture
def probe(write_ini, pair):
    """Runs --probe with an INI of its own; returns exit code, output and complaint."""

    def run_probe(address, *policies, listen=("127.0.0.1:0",), keys=pair):
        sections = server_section(listen, **keys._asdict()), *(policies or [TESTING])
        operand = [] if address is None else ["{}:{}".format(*address)]
        result = run("-c", write_ini(*sections), "--probe", *operand)
        return result.returncode, result.stdout.decode(), result.stderr.decode()

    return run_probe


def complaint(address, fault):
    return 1, "", f"mta-stsd: probe of {HOST} at {address[0]}:{address[1]}: {fault}\n"


@contextlib.contextmanager
def stranger(talk):
    """A server that is not ours: `talk` is called with the first client's socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one():
        with contextlib.suppress(OSError), listener.accept()[0] as plain:
            talk(plain)

    thread = threading.Thread(target=serve_one, daemon=True)
    thread.start()
    with listener:
        yield listener.getsockname()
    thread.join()


def over_tls(pair, answer):
    """Answers any request with these bytes, over TLS with our certificate."""
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(*pair)

    def talk(plain):
        with settings.wrap_socket(plain, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(answer)
            tls.unwrap()

    return talk


def test_good_answer(serve, probe):
    server = serve()
    code, output, errors = probe(server.address)
    assert (code, errors) == (0, "")
    pattern = (
        rf"{HOST} at 127\.0\.0\.1:{server.port}: policy id [0-9a-f]{{24}} "
        r"over TLS 1\.[23] in \d+ ms\n"
    )
    assert re.fullmatch(pattern, output)
    server.wait_for('event=fetch .* status=200 .* agent="mta-stsd-probe"$')


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_without_an_address_the_first_of_the_ini_is_asked(serve, probe, host):
    server = serve()
    assert probe(None, listen=[f"{host}:{server.port}", "127.0.0.1:1"])[0] == 0


def test_first_domain_that_has_a_certificate_is_asked(serve, probe):
    server = serve()
    missing = ENFORCED + "certificate = none.pem\nprivate_key = none.pem\n"
    code, output, _ = probe(server.address, missing, TESTING)
    assert code == 0
    assert output.startswith(f"{HOST} at ")


def test_another_policy_is_found_out(serve, probe):
    server = serve()
    other = policy(["example.com"], "enforce", MX, 1209600, RUA)
    fault = "the policy served is not the policy of the INI file; reload?"
    assert probe(server.address, other) == complaint(server.address, fault)


def test_a_domain_that_is_not_served_is_found_out(serve, probe, pki):
    server = serve()
    keys = pki.pair("edu", ["mta-sts.example.edu"])
    code, _, errors = probe(
        server.address, policy(["example.edu"], "enforce", MX, 1209600, RUA), keys=keys
    )
    assert code == 1
    assert "alert_112" in errors or "unrecognized_name" in errors


def test_another_certificate_is_found_out(serve, probe, pki):
    server = serve()
    keys = pki.pair("other-good", HOSTS)
    fault = "certificate_not_ours"
    assert probe(server.address, keys=keys) == complaint(server.address, fault)


def test_a_chain_that_is_longer_than_that_of_the_ini_is_ours_as_well(serve, probe, pki, pair):
    leaf = pki.pair("leaf-only", HOSTS, order=LEAF_ONLY)
    longer = leaf.certificate.with_name("longer.pem")
    longer.write_text(leaf.certificate.read_text() + pki.intermediate.read_text())
    server = serve(certificate=longer, private_key=leaf.private_key)
    assert probe(server.address, keys=leaf)[0] == 0


def test_expired_certificate_is_found_out(serve, probe, pki):
    expired = pki.pair("expired", HOSTS, days=(-20, -10))
    server = serve(**expired._asdict(), allow=["^level=error event=finding code=CERT_EXPIRED "])
    fault = "certificate_not_in_date"
    assert probe(server.address, keys=expired) == complaint(server.address, fault)


def test_nothing_listens(probe):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
        assert probe(address) == complaint(address, "Connection refused")


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
def test_a_host_without_ipv6_is_probed_over_ipv4(serve, write_ini, pair):
    without = "ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"
    before = ["unshare", "--net", "sh", "-c", f'{without} && exec "$@"', "sh"]
    sections = server_section(["[::]:8443"], **pair._asdict()), TESTING
    server = serve.start(write_ini(*sections), before=before)
    there = ["nsenter", "--net", "--target", server.process.pid]
    result = run("-c", server.ini, "--probe", before=map(str, there))
    assert (result.returncode, result.stderr) == (0, b"")
    assert b" at 127.0.0.1:8443: policy id " in result.stdout


def test_a_server_that_never_answers_is_given_up_after_five_seconds(probe):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = silent.getsockname()
        started = time.monotonic()
        assert probe(address) == complaint(address, "no answer within 5 seconds")
        assert 4.9 < time.monotonic() - started < 6 * SCALE


def test_a_plain_http_server_is_found_out(probe):
    def talk(plain):
        plain.recv(4096)
        plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with stranger(talk) as address:
        code, _, errors = probe(address)
    assert code == 1
    assert errors.startswith(f"mta-stsd: probe of {HOST} at 127.0.0.1:{address[1]}: ")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the status is not 200"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://example.com/\r\n\r\n", "the status is not 200"),
        (b"", "the status is not 200"),
        (GOOD_HEAD[:-2], "the answer is cut short"),
        (GOOD_HEAD.replace(b"plain", b"html"), "the Content-Type is not text/plain"),
        (
            GOOD_HEAD + TESTING_BODY[:-1],
            "the policy served is not the policy of the INI file; reload?",
        ),
        (
            GOOD_HEAD + TESTING_BODY.replace(b"testing", b"enforce"),
            "the policy served is not the policy of the INI file; reload?",
        ),
        (
            GOOD_HEAD + TESTING_BODY + b"\0",
            "the policy served is not the policy of the INI file; reload?",
        ),
        (GOOD_HEAD + b"x" * 20000, "the answer is longer than any of ours"),
    ],
    ids=["404", "redirect", "empty", "cut", "type", "shorter", "mode", "longer", "endless"],
)
def test_an_answer_that_is_not_ours_is_found_out(probe, pair, answer, fault):
    with stranger(over_tls(pair, answer)) as address:
        assert probe(address) == complaint(address, fault)


def test_without_a_usable_certificate_there_is_nothing_to_ask(write_ini):
    result = run("-c", write_ini(TESTING), "--probe", "127.0.0.1:1")
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"no domain has a certificate that can be used" in result.stderr
