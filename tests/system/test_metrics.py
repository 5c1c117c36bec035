# SPDX-License-Identifier: MIT
"""The file that node_exporter's textfile collector reads: its form, and each number in it."""
import contextlib
import hashlib
import os
import re
import signal
import socket
import ssl
import stat
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import answers
import pytest
from client import HOST, REQUEST, V1_2, Connection, ask, connect, context, is_gone, request
from client import without_sni
from pki import openssl
from policies import MX, RUA, TESTING, TESTING_BODY, body, policy, server_section
from process import SCALE, run
from test_conn import SHORT, wait_open
from test_http import UNKNOWN
from test_trouble import reload, reset, rewrite, stop, wait_until, worker_of

NET = "mta-sts.example.net"
FETCHES = "mta_stsd_fetches_total"
FAILURES = "mta_stsd_handshake_failures_total"
CONNECTIONS = "mta_stsd_connections_total"
OPEN = "mta_stsd_connections_open"
RELOADS = "mta_stsd_reloads_total"
NOT_AFTER = "mta_stsd_certificate_not_after_seconds"
POLICY = "mta_stsd_policy_info"
BUILD = "mta_stsd_build_info"
# Which metrics there are, and of what type.
FAMILIES = {
    FETCHES: "counter",
    FAILURES: "counter",
    CONNECTIONS: "counter",
    OPEN: "gauge",
    RELOADS: "counter",
    NOT_AFTER: "gauge",
    POLICY: "gauge",
    BUILD: "gauge",
}

END = "-----END CERTIFICATE-----\n"
NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")


class Metrics:
    """A file in the text exposition format of Prometheus 0.0.4, read strictly: of each family the
    help, then the type, then its samples together, none of them twice."""

    def __init__(self, text):
        self.types, self.samples = {}, {}
        helped = None
        assert text.endswith("\n"), "cut short"
        for line in text[:-1].split("\n"):
            if found := re.fullmatch(rf"# HELP ({NAME}) ((?:[^\\]|\\\\|\\n)+)", line):
                helped = found[1]
                assert helped not in self.types, line
            elif found := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line):
                assert found[1] == helped and helped not in self.types, line
                self.types[helped] = found[2]
            else:
                found = SAMPLE.fullmatch(line)
                assert found, line
                assert found[1] == helped and helped in self.types, line
                labels = re.findall(LABEL, found[2] or "")
                assert len(dict(labels)) == len(labels), f"a label twice: {line}"
                key = found[1], frozenset(labels)
                assert key not in self.samples, f"a sample twice: {line}"
                self.samples[key] = float(found[found.lastindex])
                assert self.types[helped] == "gauge" or self.samples[key] >= 0, line

    def value(self, family, **labels):
        return self.samples[family, frozenset(labels.items())]

    def all_of(self, family):
        """The labels of its samples as a dictionary, and the values."""
        return [(dict(key[1]), value) for key, value in self.samples.items() if key[0] == family]

    def by(self, family, label):
        """What is not 0, by its only label."""
        return {labels[label]: value for labels, value in self.all_of(family) if value}

    def fetches(self):
        """What is not 0, by domain and status."""
        samples = self.all_of(FETCHES)
        return {(key["domain"], int(key["status"])): n for key, n in samples if n}


@pytest.fixture
def path(directory):
    return directory / "metrics.prom"


@pytest.fixture
def serve_measured(serve, path):
    """A server that writes its metrics."""

    def start(*policies, **server):
        return serve(*policies, metrics_file=path, **server)

    return start


def read(path):
    return Metrics(path.read_text())


def read_at_end(server, path):
    stop(server)
    return read(path)


def read_when(path, condition):
    """Waits until the file says something."""

    def is_so():
        metrics = read(path) if path.exists() else None
        return metrics if metrics is not None and condition(metrics) else None

    return wait_until(is_so)


# The file.


def test_metrics_are_written_at_the_start(serve_measured, path):
    serve_measured()
    assert read_when(path, lambda metrics: True).types == FAMILIES


def test_metrics_are_written_every_ten_seconds(serve_measured, path, fetch):
    server = serve_measured()
    read_when(path, lambda metrics: True)
    started = time.monotonic()
    fetch(server)
    read_when(path, lambda metrics: metrics.fetches())
    assert time.monotonic() - started < 10 + 2 * SCALE


def test_metrics_are_written_at_the_end(serve_measured, path, fetch):
    server = serve_measured()
    read_when(path, lambda metrics: True)
    fetch(server)
    assert read_at_end(server, path).fetches() == {("example.com", 200): 1}


def test_without_a_path_no_metrics_are_written(serve, fetch):
    server = serve()
    fetch(server)
    stop(server)
    assert [entry.name for entry in server.ini.parent.iterdir()] == ["a.ini"]


def test_metrics_may_be_read_by_all(serve_measured, path):
    previous = os.umask(0o022)
    try:
        serve_measured()
    finally:
        os.umask(previous)
    read_when(path, lambda metrics: True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_no_reader_ever_sees_half_of_the_file(serve_measured, path):
    server = serve_measured()
    read_when(path, lambda metrics: True)
    texts, done = set(), threading.Event()

    def poll():
        while not done.is_set():
            texts.add(path.read_text())

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(poll)
        try:
            for _ in range(10):
                reload(server)
        finally:
            done.set()
        reader.result()
    assert len(texts) > 1
    assert all(Metrics(text).types == FAMILIES for text in texts)


def test_nothing_is_left_beside_the_file(serve_measured, path):
    server = serve_measured()
    reload(server)
    stop(server)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


# Fetches.

# One request for each status.
REQUESTS = {
    row.status: row.octets
    for row in answers.rows()
    # The server does not read longer ones to their end, and the kernel then may reset the connection.
    if row.status is not None and len(row.octets) < 1000
}


def test_fetches_are_counted_by_domain_and_status(serve_measured, path, trust):
    server = serve_measured(TESTING)
    for _ in range(3):
        assert ask(server.address, trust).status == 200
    assert ask(server.address, trust, request(method="HEAD")).status == 200
    assert ask(server.address, trust, request(host=NET), NET).status == 200
    assert read_at_end(server, path).fetches() == {
        ("example.com", 200): 4,
        ("example.net", 200): 1,
    }


@pytest.mark.parametrize("status", [400, 404, 405, 413, 421, 501, 505])
def test_a_refusal_counts_for_the_domain_in_the_handshake(serve_measured, path, trust, status):
    server = serve_measured()
    assert ask(server.address, trust, REQUESTS[status]).status == status
    assert read_at_end(server, path).fetches() == {("example.com", status): 1}


def test_a_refusal_without_sni_counts_for_no_domain(serve_measured, path, pki):
    server = serve_measured()
    settings = without_sni(context(pki.root))
    assert ask(server.address, settings, request(host=UNKNOWN), None).status == 421
    assert read_at_end(server, path).fetches() == {("", 421): 1}


def test_a_fetch_without_sni_counts_for_the_host_that_is_asked_for(serve_measured, path, pki):
    server = serve_measured()
    settings = without_sni(context(pki.root))
    assert ask(server.address, settings, request(host=NET), None).status == 200
    assert read_at_end(server, path).fetches() == {("example.net", 200): 1}


def test_each_domain_has_a_sample_before_its_first_fetch(serve_measured, path):
    serve_measured()
    metrics = read_when(path, lambda metrics: True)
    for domain in ("example.com", "example.net"):
        assert metrics.value(FETCHES, domain=domain, status="200") == 0


# Handshakes.


def fail(server, settings, sni=HOST):
    with Connection(server.address, settings, sni) as connection:
        with pytest.raises(ssl.SSLError):
            connection.handshake()
        assert is_gone(connection.socket)


def leave(server, octets, how=socket.socket.close):
    plain = connect(server.address)
    plain.sendall(octets)
    how(plain)


def unknown_name(server, pki):
    fail(server, context(pki.root), "mta-sts.example.invalid")


def no_common_suite(server, pki):
    fail(server, context(pki.root, V1_2, "ECDHE-RSA-AES128-GCM-SHA256"))


def old_version(server, pki):
    fail(server, context(pki.root, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"))


def distrust(server, _):
    with Connection(server.address, context()) as connection:
        with pytest.raises(ssl.SSLCertVerificationError):
            connection.handshake()
        server.wait_for("event=handshake_failed ")


def closing(server, _):
    leave(server, b"\x16\x03\x01")


def resetting(server, _):
    leave(server, b"\x16\x03\x01", reset)


def silence(server, _):
    with connect(server.address) as plain:
        plain.sendall(b"\x16\x03\x01")
        assert is_gone(plain)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (unknown_name, "unrecognized_name"),
        (no_common_suite, "no_shared_cipher"),
        (old_version, "protocol_version"),
        (distrust, "alert_unknown_ca"),
        (closing, "closed"),
        (resetting, "reset"),
        (silence, "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failed_handshake_is_counted_by_its_reason(serve_measured, path, pki, make, reason):
    server = serve_measured(timeout=SHORT)
    make(server, pki)
    server.wait_for("event=(handshake_failed|closed|timeout) state=handshake ")
    assert read_at_end(server, path).by(FAILURES, "reason") == {reason: 1}


def test_failed_handshakes_are_counted_as_the_log_has_them(serve_measured, path, pki):
    server = serve_measured()
    for _ in range(2):
        unknown_name(server, pki)
    for octets in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x00", bytes(50)):
        leave(server, octets)
    old_version(server, pki)
    server.wait_for("event=(handshake_failed|closed) state=handshake ", count=6)
    metrics = read_at_end(server, path)
    known = {labels["reason"] for labels, _ in metrics.all_of(FAILURES)}
    logged = [re.search(r"reason=(\S+)", line)[1] for line in server.find_all("state=handshake")]
    counted = Counter(reason if reason in known else "other" for reason in logged)
    assert metrics.by(FAILURES, "reason") == counted


def test_a_good_handshake_is_no_failure(serve_measured, path, fetch):
    server = serve_measured()
    fetch(server)
    assert read_at_end(server, path).by(FAILURES, "reason") == {}


# Connections.


def test_accepted_connections_are_counted(serve_measured, path, fetch):
    server = serve_measured()
    for _ in range(3):
        fetch(server)
    assert read_at_end(server, path).by(CONNECTIONS, "event") == {"accepted": 3}


def test_refused_connections_are_counted(serve_measured, path):
    server = serve_measured(workers=1, max_per_source=1)
    with connect(server.address):
        wait_open(server, 1)
        for _ in range(2):
            with connect(server.address) as refused:
                assert is_gone(refused)
    server.wait_for("event=refused reason=max_per_source ", count=2)
    assert read_at_end(server, path).by(CONNECTIONS, "event") == {"accepted": 1, "refused": 2}


def test_displaced_connections_are_counted(serve_measured, path, fetch):
    server = serve_measured(workers=1, max_connections=1)
    with connect(server.address):
        wait_open(server, 1)
        fetch(server)
    server.wait_for("event=displaced ")
    assert read_at_end(server, path).by(CONNECTIONS, "event") == {"accepted": 2, "displaced": 1}


def test_timed_out_connections_are_counted(serve_measured, path, trust):
    server = serve_measured(timeout=SHORT)
    with connect(server.address) as silent, Connection(server.address, trust).handshake() as idle:
        assert is_gone(silent)
        assert is_gone(idle.socket)
    server.wait_for("event=timeout ", count=2)
    assert read_at_end(server, path).by(CONNECTIONS, "event") == {"accepted": 2, "timed_out": 2}


def test_connections_that_fail_behind_the_handshake_are_counted(serve_measured, path, trust):
    server = serve_measured()
    connection = Connection(server.address, trust).handshake()
    connection.send(REQUEST[:20])
    reset(connection.socket)
    server.wait_for("event=request_failed ")
    metrics = read_at_end(server, path)
    assert metrics.by(CONNECTIONS, "event") == {"accepted": 1, "failed": 1}


def test_open_connections_are_shown_while_they_are(serve_measured, path):
    server = serve_measured()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(server.address))
        wait_open(server, 3)
        # It writes the file, and the workers that have the clients stay for them.
        reload(server)
        read_when(path, lambda metrics: metrics.value(OPEN) == 3)
    wait_open(server, 0)
    assert read_at_end(server, path).value(OPEN) == 0


def test_the_connections_of_a_dead_worker_are_not_open(serve_measured, path):
    server = serve_measured(workers=1, allow=["event=worker_died "])
    with connect(server.address) as plain:
        wait_open(server, 1)
        os.kill(worker_of(server), signal.SIGKILL)
        assert is_gone(plain)
    server.wait_for("event=worker_died ")
    assert read_at_end(server, path).value(OPEN) == 0


# Reloads, and what stays of the numbers.


def test_good_and_bad_reloads_are_counted(serve_measured, path):
    server = serve_measured(allow=["event=(finding|reload_failed) "])
    reload(server)
    reload(server)
    rewrite(server.ini, "mode = testing", "mode = perhaps")
    reload(server, "event=reload_failed ")
    # It is not loaded again before it changes.
    assert read_at_end(server, path).by(RELOADS, "result") == {"good": 2, "bad": 1}


def test_counters_outlive_a_reload(serve_measured, path, fetch):
    server = serve_measured()
    fetch(server)
    reload(server)
    fetch(server)
    assert read_at_end(server, path).fetches() == {("example.com", 200): 2}


def test_counters_outlive_a_worker(serve_measured, path, fetch):
    server = serve_measured(workers=1, allow=["event=worker_died "])
    fetch(server)
    server.wait_for("event=fetch ")
    os.kill(worker_of(server), signal.SIGKILL)
    server.wait_for("event=worker_died ")
    fetch(server)
    metrics = read_at_end(server, path)
    assert metrics.fetches() == {("example.com", 200): 2}
    assert metrics.value(CONNECTIONS, event="accepted") == 2


def test_counters_of_all_workers_are_added(serve_measured, path, fetch):
    server = serve_measured(workers=4)
    for _ in range(20):
        fetch(server)
    assert read_at_end(server, path).fetches() == {("example.com", 200): 20}


FIRST = policy(["example.com"], "testing", MX[:1], 1209600, RUA)
SECOND = policy(["example.net"], "testing", MX[:1], 1209600, RUA)


def test_a_domain_that_a_reload_adds_starts_at_zero(serve_measured, path, fetch):
    server = serve_measured(FIRST)
    fetch(server)
    rewrite(server.ini, r"\Z", SECOND)
    reload(server)
    metrics = read_when(path, lambda metrics: len(metrics.all_of(POLICY)) == 2)
    assert metrics.value(FETCHES, domain="example.net", status="200") == 0
    assert metrics.fetches() == {("example.com", 200): 1}


def test_a_domain_that_a_reload_removes_has_no_samples(serve_measured, path, fetch):
    server = serve_measured(FIRST, SECOND)
    fetch(server, HOST)
    fetch(server, NET)
    rewrite(server.ini, r"(?s)(.*)\[policy\].*", r"\1")
    reload(server)
    metrics = read_at_end(server, path)
    for family in (FETCHES, NOT_AFTER, POLICY):
        assert "example.net" not in {labels["domain"] for labels, _ in metrics.all_of(family)}
    assert metrics.fetches() == {("example.com", 200): 1}


def test_a_domain_that_comes_back_starts_at_zero(serve_measured, path, fetch):
    server = serve_measured(FIRST, SECOND)
    fetch(server, NET)
    rewrite(server.ini, r"(?s)(.*)\[policy\].*", r"\1")
    reload(server)
    rewrite(server.ini, r"\Z", SECOND)
    reload(server)
    metrics = read_at_end(server, path)
    assert metrics.value(FETCHES, domain="example.net", status="200") == 0


# Gauges.


def end_of(chain, directory):
    """When the first certificate of a chain ends in Unix time, by openssl."""
    ends = []
    for pem in chain.read_text().split(END)[:-1]:
        (directory / "one.pem").write_text(pem + END)
        line = openssl("x509", "-noout", "-enddate", "-in", directory / "one.pem").decode().strip()
        end = datetime.strptime(line, "notAfter=%b %d %H:%M:%S %Y GMT")
        ends.append(end.replace(tzinfo=timezone.utc).timestamp())
    return min(ends)


@pytest.mark.parametrize("days", [(-1, 40), (-1, 400)], ids=["leaf", "intermediate"])
def test_the_end_of_a_certificate_is_that_of_its_chain(serve_measured, path, pki, directory, days):
    pair = pki.pair(f"ends{days[1]}", [HOST, NET], days=days)
    serve_measured(**pair._asdict())
    metrics = read_when(path, lambda metrics: True)
    end = end_of(pair.certificate, directory)
    assert metrics.by(NOT_AFTER, "domain") == {"example.com": end, "example.net": end}


def test_each_domain_has_the_end_of_its_own_certificate(serve_measured, path, pki, directory):
    other = pki.pair("ends-otherwise", [NET], days=(-1, 50))
    first = pki.pair("ends40", [HOST, NET], days=(-1, 40))
    section = SECOND + "".join(f"{key} = {file}\n" for key, file in other._asdict().items())
    serve_measured(FIRST, section, **first._asdict())
    assert read_when(path, lambda metrics: True).by(NOT_AFTER, "domain") == {
        "example.com": end_of(first.certificate, directory),
        "example.net": end_of(other.certificate, directory),
    }


def test_a_renewed_certificate_shows_its_new_end(serve, pki, directory, path, write_ini):
    old = pki.pair("short-lived", [HOST], days=(-1, 40))
    new = pki.pair("renewed", [HOST], days=(-1, 80))
    live = directory / "live.pem"
    live.symlink_to(old.certificate)
    keys = {"certificate": live, "private_key": old.private_key, "metrics_file": path}
    server = serve.start(write_ini(server_section(**keys), FIRST))
    read_when(path, lambda metrics: metrics.by(NOT_AFTER, "domain"))
    (directory / "link").symlink_to(new.certificate)
    (directory / "link").rename(live)
    reload(server)
    expected = {"example.com": end_of(new.certificate, directory)}
    read_when(path, lambda metrics: metrics.by(NOT_AFTER, "domain") == expected)


def test_a_domain_without_a_certificate_has_none_that_ends(serve_measured, path, directory):
    missing = SECOND + f"certificate = {directory}/missing.pem\n"
    serve_measured(FIRST, missing, allow=["event=finding code=CERT_FILE "])
    metrics = read_when(path, lambda metrics: True)
    assert metrics.value(NOT_AFTER, domain="example.net") == 0
    assert metrics.value(NOT_AFTER, domain="example.com") > 0


def id_of(octets):
    return hashlib.sha256(octets).hexdigest()[:24]


def first_info(mode):
    octets = body(mode, MX[:1], 1209600)
    return {"domain": "example.com", "id": id_of(octets), "mode": mode}


def test_the_policy_of_each_domain_has_its_id_and_mode(serve_measured, path):
    none = policy(["example.net"], "none", MX[:1], 86400, RUA, serial=7)
    serve_measured(FIRST, none)
    metrics = read_when(path, lambda metrics: True)
    second = {
        "domain": "example.net",
        "id": id_of(body("none", MX[:1], 86400)) + "s7",
        "mode": "none",
    }
    assert metrics.all_of(POLICY) == [(first_info("testing"), 1), (second, 1)]


def test_a_changed_policy_replaces_the_old_one(serve_measured, path):
    server = serve_measured(FIRST)
    rewrite(server.ini, "mode = testing", "mode = enforce")
    reload(server)
    assert read_at_end(server, path).all_of(POLICY) == [(first_info("enforce"), 1)]


def test_the_build_is_what_version_says(serve_measured, path):
    serve_measured()
    ((labels, value),) = read_when(path, lambda metrics: True).all_of(BUILD)
    line = run("--version").stdout.decode()
    assert sorted(labels) == ["tls", "version"]
    assert value == 1
    assert labels["version"] in line.split()
    assert labels["tls"] in line


# The summary.


def test_the_summary_of_sigusr1_agrees_with_the_file(serve_measured, path, pki, fetch, trust):
    server = serve_measured(timeout=SHORT, allow=["event=(finding|reload_failed) "])
    fetch(server)
    assert ask(server.address, trust, request("/")).status == 404
    unknown_name(server, pki)
    silence(server, pki)
    reload(server)
    rewrite(server.ini, "mode = testing", "mode = perhaps")
    reload(server, "event=reload_failed ")
    wait_open(server, 0)
    summary = server.find_all("event=summary ")[-1]
    said = {key: float(value) for key, value in re.findall(r"(\w+)=(\d+)", summary)}
    metrics = read_at_end(server, path)
    events = {labels["event"]: value for labels, value in metrics.all_of(CONNECTIONS)}
    assert said == events | {
        "fetches": sum(metrics.fetches().values()),
        "handshake_failures": sum(metrics.by(FAILURES, "reason").values()),
        "open": metrics.value(OPEN),
        "reloads_good": metrics.value(RELOADS, result="good"),
        "reloads_bad": metrics.value(RELOADS, result="bad"),
    }
    assert said["fetches"] == 2 and said["handshake_failures"] == 2 and said["timed_out"] == 1


def test_the_summary_is_logged_at_every_log_level(serve_measured, path):
    server = serve_measured()
    rewrite(server.ini, r"\[server\]\n", "[server]\nlog = errors\n")
    server.signal(signal.SIGHUP)
    read_when(path, lambda metrics: metrics.by(RELOADS, "result"))
    server.signal(signal.SIGUSR1)
    server.wait_for("^level=info event=summary ")


def test_a_file_that_others_have_linked_is_replaced_and_not_written_through(
    serve_measured, path, directory
):
    precious = directory / "precious"
    precious.write_text("precious\n")
    path.symlink_to(precious)
    server = serve_measured()
    assert read_at_end(server, path).types == FAMILIES
    assert precious.read_text() == "precious\n"


def test_the_body_is_what_its_id_in_the_file_says(serve_measured, path, fetch):
    server = serve_measured()
    served = fetch(server).body
    assert served == TESTING_BODY
    metrics = read_when(path, lambda metrics: True)
    ids = {labels["domain"]: labels["id"] for labels, _ in metrics.all_of(POLICY)}
    assert ids["example.com"] == id_of(served)
