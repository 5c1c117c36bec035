# SPDX-License-Identifier: MIT
"""`make bench-attack`: does a sender that behaves still get the policy while others do not behave?
mta-stsd runs with the limits that it has where nobody sets any, nginx with as many connections, and with
more than enough. Each sender and attacker has addresses of its own in 127.0.0.0/8."""
import shutil
import sys
import time

import servers
from servers import Place, Server, load, number, result

SECONDS = number("BENCH_SECONDS", 30)
SLOW = number("BENCH_SLOW", 1000)
GARBAGE = number("BENCH_GARBAGE", 200)
HANDSHAKES = number("BENCH_HANDSHAKES", 50)
FETCHES = number("BENCH_FETCHES", 10)
CONNECTIONS = (1024, 8192)  # as many as mta-stsd has; more than all of this needs
QUIET_SECONDS = 5
SETTLE_SECONDS = 3  # until every slow client has come
GOAL_MS = 2000  # what the least patient sender waits

SENDERS = ("-s", "127.0.0.2", "-S", 8)
# Ten connections from each address are below mta-stsd's max_per_source.
SLOW_SOURCES = ("-s", "127.1.0.1", "-S", 100)
GARBAGE_SOURCES = ("-s", "127.2.0.1", "-S", 200)
HANDSHAKE_SOURCES = ("-s", "127.3.0.1", "-S", 50)


def behave(server, place, seconds):
    """Well-behaved fetches at their rate; enough threads that none waits for another."""
    before, start = server.cpu_seconds(), time.monotonic()
    process = load(server, place, "fetch", "-r", FETCHES, "-d", seconds, "-t", 64, *SENDERS)
    numbers = result(process)
    numbers["cpu"] = 100 * (server.cpu_seconds() - before) / (time.monotonic() - start)
    return numbers


def attack(server, place):
    """Fetches in the middle of it, and what the attackers got."""
    whole = SECONDS + 2 * SETTLE_SECONDS
    attackers = {
        "slow": load(server, place, "slow", "-n", SLOW, "-d", whole, *SLOW_SOURCES),
        "garbage": load(server, place, "garbage", "-r", GARBAGE, "-d", whole, *GARBAGE_SOURCES),
        "handshakes": load(
            server, place, "handshake", "-r", HANDSHAKES, "-d", whole, "-t", 100,
            *HANDSHAKE_SOURCES,
        ),
    }
    time.sleep(SETTLE_SECONDS)
    numbers = behave(server, place, SECONDS)
    return numbers, {name: result(process) for name, process in attackers.items()}


def row(name, state, numbers):
    return (f"{name:12}{state:14}{numbers['done']:>8}{numbers['failed']:>8}"
            f"{float(numbers['p50_ms']):>10.1f}{float(numbers['p99_ms']):>10.1f}"
            f"{float(numbers['max_ms']):>10.1f}{numbers['cpu']:>8.0f}")


def is_met(numbers):
    return int(numbers["failed"]) == 0 and 0 < float(numbers["p99_ms"]) < GOAL_MS


def main():
    place = Place()
    servers.take_answer(place)
    commands = {"mta-stsd": lambda where, port: servers.policy_command(where, port, "")}
    if shutil.which("nginx"):
        for count in CONNECTIONS:
            commands[f"nginx, {count}"] = (
                lambda where, port, count=count: servers.nginx_command(where, port, count)
            )
    rows, notes, met = [], [], {}
    for name, command in commands.items():
        print(f"bench-attack: {name}", file=sys.stderr)
        with Server(name, command, place) as server:
            server.first_fetch()
            rows.append(row(name, "quiet", behave(server, place, QUIET_SECONDS)))
            numbers, got = attack(server, place)
            rows.append(row(name, "under attack", numbers))
            met[name] = is_met(numbers)
        notes.append(f"{name}: slow clients connected {got['slow']['connected']} times, garbage "
                     f"{got['garbage']['connected']} times; full handshakes: "
                     f"{got['handshakes']['done']} done, {got['handshakes']['failed']} failed")
    print("\n".join(servers.versions()))
    print(f"{SLOW} slow clients of an octet a second, {GARBAGE} connections/s of garbage, "
          f"{HANDSHAKES} full handshakes/s;\nbeside them {FETCHES} fetches/s for {SECONDS} s, each "
          "timed from when it was due; the server on one CPU with one worker")
    print(f"mta-stsd: max_connections 1024, max_per_source 32, timeout 10 (the defaults); nginx: its "
          "defaults, with 1024 and\nwith 8192 worker_connections\n")
    print(f"{'':26}{'fetched':>8}{'failed':>8}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'CPU %':>8}")
    print("\n".join(rows) + "\n")
    print("\n".join(notes))
    for name, good in met.items():
        print(f"{name}: p99 under {GOAL_MS} ms and none failed: {'yes' if good else 'NO'}")
    sys.exit(0 if met["mta-stsd"] else 1)


if __name__ == "__main__":
    main()
