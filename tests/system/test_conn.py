# SPDX-License-Identifier: MIT
"""Many clients, slow clients, silent clients; slots, shares and the end of the server."""
import contextlib
import select
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from client import REQUEST, Connection, ask, connect, is_gone
from policies import TESTING_BODY
from process import DEADLINE, SCALE, resident_octets

CLIENTS = 200
# Seconds that a connection may live, where a test waits for its end.
SHORT = 2 if SCALE == 1 else 20


def age(started):
    return time.monotonic() - started


def wait_open(server, count):
    """Asks the server how many connections it has until it says `count`."""
    limit = time.monotonic() + DEADLINE
    while time.monotonic() < limit:
        since = server.mark()
        server.signal(signal.SIGUSR1)
        line = server.wait_for("event=summary ", since)
        if f" open={count} " in line:
            return
    raise AssertionError(line)


def open_silent(server, stack, count):
    return [stack.enter_context(connect(server.address)) for _ in range(count)]


def test_two_hundred_clients_at_once_are_all_answered(serve, trust):
    server = serve(max_per_source=0, timeout=min(300, 60 * SCALE))
    barrier = threading.Barrier(CLIENTS)

    def fetch_at_once(_):
        with Connection(server.address, trust) as connection:
            barrier.wait(DEADLINE)
            connection.handshake()
            connection.send(REQUEST)
            return connection.response().body

    with ThreadPoolExecutor(CLIENTS) as pool:
        bodies = list(pool.map(fetch_at_once, range(CLIENTS)))
    assert bodies == [TESTING_BODY] * CLIENTS
    server.wait_for("event=fetch .* status=200 ", count=CLIENTS)


def send_slowly(plain, octets):
    """One byte a second until the server is gone."""
    for byte in octets:
        if select.select([plain], [], [], 1)[0]:
            return
        plain.sendall(bytes([byte]))


@pytest.mark.parametrize("state", ["handshake", "request"])
def test_slow_client_is_gone_at_its_deadline_while_others_are_served(serve, trust, fetch, state):
    server = serve(timeout=SHORT)
    with Connection(server.address, trust) as connection:
        started = time.monotonic()
        octets = connection.hello()
        if state == "request":
            connection.socket.sendall(octets)
            connection.handshake()
            connection.tls.write(REQUEST)
            octets = connection.outgoing.read()
        slow = threading.Thread(target=send_slowly, args=(connection.socket, octets))
        slow.start()
        while slow.is_alive():
            fetch(server)
            slow.join(0.1)
        assert is_gone(connection.socket)
        assert SHORT - 0.5 <= age(started) < SHORT + 2 * SCALE
    server.wait_for(f"event=timeout state={state} .*ms={SHORT}[0-9]{{3}}")


def test_silent_client_is_gone_at_its_deadline(serve):
    server = serve(timeout=1)
    with connect(server.address) as plain:
        started = time.monotonic()
        assert is_gone(plain)
        assert 0.5 <= age(started) < 1 + 2 * SCALE
    server.wait_for("event=timeout state=accepted client=127.0.0.1 ms=1[0-9]{3}")


def test_silent_clients_cost_no_tls_context(serve, fetch, measure):
    server = serve(max_per_source=0, timeout=min(300, 60 * SCALE))
    leader = server.process.pid
    for _ in range(10):
        fetch(server)
    wait_open(server, 0)
    before = resident_octets(leader)
    with contextlib.ExitStack() as stack:
        silent = open_silent(server, stack, CLIENTS)
        wait_open(server, CLIENTS)
        silent_cost = (resident_octets(leader) - before) // CLIENTS
        for plain in silent:
            plain.sendall(b"\x16")
        # Each worker reads what it has been sent before it is asked for its next answer.
        fetch(server)
        wait_open(server, CLIENTS)
        talking_cost = (resident_octets(leader) - before) // CLIENTS
    measure(f"memory of a silent client: {silent_cost} octets, of one that began: {talking_cost}")
    assert silent_cost < 10_000
    assert talking_cost > 2 * silent_cost


def test_too_many_clients_of_one_source_are_refused(serve, fetch, trust):
    server = serve(workers=1, max_per_source=2)
    with contextlib.ExitStack() as stack:
        first, second, third = open_silent(server, stack, 3)
        assert is_gone(third)
        server.wait_for("event=refused reason=max_per_source client=127.0.0.1$")
        assert ask(server.address, trust, source=("127.0.0.2", 0)).status == 200
        first.close()
        second.close()
        wait_open(server, 0)
        fetch(server)


def test_the_oldest_client_without_handshake_makes_room(serve, fetch, trust):
    server = serve(workers=1, max_connections=2)
    with connect(server.address) as oldest, Connection(server.address, trust) as younger:
        wait_open(server, 2)
        fetch(server)
        assert is_gone(oldest)
        server.wait_for("event=displaced state=accepted client=127.0.0.1 ")
        younger.handshake()
        younger.send(REQUEST)
        assert younger.response().status == 200


def test_a_client_in_the_middle_of_its_handshake_makes_room(serve, fetch, trust):
    server = serve(workers=1, max_connections=1)
    with Connection(server.address, trust) as beginner:
        beginner.socket.sendall(beginner.hello())
        assert beginner.socket.recv(5)
        fetch(server)
        assert is_gone(beginner.socket)
    server.wait_for("event=displaced state=handshake ")


def test_a_client_that_has_its_answer_makes_room(serve, fetch, trust):
    server = serve(workers=1, max_connections=1)
    with Connection(server.address, trust).handshake() as lingering:
        lingering.send(REQUEST)
        assert lingering.response().status == 200
        fetch(server)
    assert not server.find_all("event=displaced")


def test_a_client_beyond_the_slots_waits_for_its_turn(serve, trust):
    server = serve(workers=1, max_connections=1)
    with ThreadPoolExecutor(1) as pool:
        with Connection(server.address, trust).handshake() as first:
            waiting = pool.submit(ask, server.address, trust)
            first.send(REQUEST)
            assert first.response().status == 200
        assert waiting.result(DEADLINE).status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_server_ends_at_once(serve, number):
    server = serve()
    started = time.monotonic()
    server.signal(number)
    assert server.wait_exit() == 0
    assert age(started) < 2 * SCALE
    assert server.lines[-1] == 'level=info event=stopped text="all connections are finished"'


def test_an_open_request_is_finished_before_the_end(serve, trust, directory):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(directory / "notify"))
        manager.settimeout(DEADLINE)
        server = serve(env={"NOTIFY_SOCKET": str(directory / "notify")})
        with Connection(server.address, trust).handshake() as connection:
            connection.send(REQUEST[:20])
            server.signal(signal.SIGTERM)
            while b"STOPPING=1" not in manager.recv(4096):
                pass
            connection.send(REQUEST[20:])
            assert connection.response().body == TESTING_BODY
    assert server.wait_exit() == 0
    server.wait_for("event=fetch .* status=200 ")


def test_unfinished_clients_do_not_hold_the_end_beyond_their_deadline(serve):
    server = serve(timeout=1)
    with connect(server.address) as plain:
        wait_open(server, 1)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert is_gone(plain)
        assert server.wait_exit() == 0
        assert age(started) < 1 + 3 * SCALE


def test_ipv4_and_ipv6_are_served_at_once(serve, trust):
    with contextlib.closing(socket.socket(socket.AF_INET6)) as trial:
        try:
            trial.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
    server = serve(listen=("127.0.0.1:0", "[::1]:0", "[::]:0"))
    assert [host for host, _ in server.addresses] == ["127.0.0.1", "::1", "::"]
    for address in server.addresses[:2]:
        assert ask(address, trust).body == TESTING_BODY
    server.wait_for("event=fetch .* client=::1 ")
    # [::] takes both kinds, and IPv4 clients are logged as such.
    since = server.mark()
    for host in ("::1", "127.0.0.1"):
        assert ask((host, server.addresses[2][1]), trust).body == TESTING_BODY
        server.wait_for(f"event=fetch .* client={host} ", since)
