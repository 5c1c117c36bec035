# SPDX-License-Identifier: MIT
"""`make bench`: mta-stsd beside the floor of its library and beside other servers. They take turns,
several rounds, and each ratio is made within a round, so that a machine which is busy with other
things for a while is unjust to all of them alike."""
import statistics
import subprocess
import sys
import time

import servers
from servers import NotServing, Place, Server, load, number, result

ROUNDS = number("BENCH_ROUNDS", 5)
SECONDS = number("BENCH_SECONDS", 2.0)
IDLE = number("BENCH_IDLE", 500)
THREADS = number("BENCH_THREADS", 8)
# What OpenSSL 3.0 offers; said here, so that a newer client does the same.
GROUPS = number("BENCH_GROUPS", "X25519:P-256:X448:P-521:P-384")
SOURCES = ("-s", "127.0.0.2", "-S", "200")
VERSIONS = ("1.2", "1.3")

MEASURES = [
    *(f"CPU ms per fetch, TLS {version}" for version in VERSIONS),
    *(f"fetches/s, TLS {version}" for version in VERSIONS),
    *(f"p50 ms, TLS {version}" for version in VERSIONS),
    *(f"p99 ms, TLS {version}" for version in VERSIONS),
    "memory idle, kB",
    "memory per idle TLS connection, kB",
    "exec to first fetch, ms",
]


def fetches(server, place, version, threads):
    """Fetches for a while; what the client says, and the CPU seconds of the server."""
    before = server.cpu_seconds()
    options = ("-v", version, "-g", GROUPS, "-t", threads, "-d", SECONDS, *SOURCES)
    numbers = result(load(server, place, "fetch", *options))
    time.sleep(0.05)  # for the ends of the last connections
    return numbers, server.cpu_seconds() - before


def speaks(server, place, version):
    one = load(server, place, "handshake", "-v", version, "-n", 1, stderr=subprocess.DEVNULL)
    return result(one).get("done") == "1"


def weigh(server, place):
    """Memory idle, and what each idle connection adds, in kB; nothing where it cannot be seen."""
    try:
        idle = server.memory()
    except PermissionError:
        return {}  # the workers hide theirs from everybody but root
    holding = load(server, place, "hold", "-n", IDLE, "-g", GROUPS, *SOURCES)
    holding.stdout.readline()
    time.sleep(0.2)  # for the server to come to rest
    more = server.memory() - idle
    holding.communicate()
    return {
        "memory idle, kB": idle / 1000,
        "memory per idle TLS connection, kB": more / IDLE / 1000,
    }


def measure(server, place, versions, sessions):
    """One server's turn: numbers by the names of MEASURES."""
    _, seconds = server.first_fetch()
    seen = {"exec to first fetch, ms": seconds * 1000} | weigh(server, place)
    for version in versions:
        one, _ = fetches(server, place, version, 1)
        many, cpu = fetches(server, place, version, THREADS)
        failed = int(one["failed"]) + int(many["failed"])
        if failed:
            print(f"bench: {failed} fetches failed", file=sys.stderr)
        seen[f"p50 ms, TLS {version}"] = float(one["p50_ms"])
        seen[f"p99 ms, TLS {version}"] = float(one["p99_ms"])
        seen[f"fetches/s, TLS {version}"] = float(many["per_second"])
        seen[f"CPU ms per fetch, TLS {version}"] = cpu * 1000 / int(many["done"])
        sessions[version] = f"{many['group']} {many['cipher']}"
    return seen


def digits(value):
    """Three that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cells(rounds, base, name):
    """Median and ratio, and below it the spread."""
    values = [seen[name] for seen in rounds if name in seen]
    if not values:
        return "-", ""
    first = digits(statistics.median(values))
    if all(name in seen for seen in base):
        ratio = statistics.median(seen[name] / mine[name] for seen, mine in zip(rounds, base))
        first += f"  x{ratio:.2f}"
    return first, f"{digits(min(values))}-{digits(max(values))}"


def table(seen):
    """All numbers: a line of medians with their ratio to mta-stsd, a line of spreads."""
    width = 18
    names = list(seen)
    yield " " * 36 + "".join(f"{name:>{width}}" for name in names)
    for measure_name in MEASURES:
        both = [cells(seen[name], seen["mta-stsd"], measure_name) for name in names]
        yield f"{measure_name:36}" + "".join(f"{first:>{width}}" for first, _ in both)
        yield " " * 36 + "".join(f"{second:>{width}}" for _, second in both)


def share(seen, name, base, version):
    """The CPU that one takes of what the other takes; nothing if it does not speak the version."""
    measure_name = f"CPU ms per fetch, TLS {version}"
    ratios = [mine[measure_name] / least[measure_name]
              for mine, least in zip(seen[name], seen[base])
              if measure_name in mine and measure_name in least]
    if not ratios:
        return None
    return f"{statistics.median(ratios):.2f} x the CPU of {base} ({min(ratios):.2f}-{max(ratios):.2f}"


def shares(seen):
    """Our own share beside what the library alone takes, and what a library of our own saves."""
    for version in VERSIONS:
        ours = share(seen, "mta-stsd", "floor", version)
        if ours is None:
            yield f"TLS {version}: not spoken by this Mbed TLS"
            continue
        yield f"TLS {version}: mta-stsd takes {ours}; goal: at most 1.10)"
        if servers.OWN:
            own = share(seen, servers.OWN_NAME, "mta-stsd", version)
            goal = "; goal: at most 0.65)" if version == "1.3" else ")"
            yield f"TLS {version}: with its own library it takes {own}{goal}"


def try_out(commands, place):
    """The TLS versions of each server that can be measured, and what is wrong with the others."""
    versions, broken = {}, []
    for name, command in commands.items():
        try:
            with Server(name, command, place) as server:
                server.first_fetch()
                versions[name] = [version for version in VERSIONS if speaks(server, place, version)]
        except NotServing as error:
            if name in ("mta-stsd", "floor", servers.OWN_NAME):
                raise
            broken.append(f"{name} is left out, it does not serve: {error}")
    return versions, broken


def main():
    started = time.monotonic()
    place = Place()
    servers.take_answer(place)
    commands = servers.installed()
    versions, broken = try_out(commands, place)
    seen, sessions = {name: [] for name in versions}, {name: {} for name in versions}
    for turn in range(ROUNDS):
        for name in versions:
            print(f"bench: round {turn + 1} of {ROUNDS}: {name}", file=sys.stderr)
            with Server(name, commands[name], place) as server:
                seen[name].append(measure(server, place, versions[name], sessions[name]))
    print("\n".join(servers.versions() + broken))
    print(f"{ROUNDS} rounds; the server on CPU {servers.SERVER_CPU}, one worker, the client on CPU "
          f"{servers.CLIENT_CPU}; a full handshake each time, ECDSA P-256 certificate")
    print(f"p50, p99: one client after another for {SECONDS:g} s; CPU and fetches/s: {THREADS} at "
          f"once for {SECONDS:g} s; memory is PSS of all processes, with {IDLE} idle connections")
    print(f"the client offers {GROUPS}; chosen:")
    for name, chosen in sessions.items():
        print(f"  {name:18}" + "".join(f"TLS {v}: {chosen[v]}   " for v in chosen))
    print("medians, x ratio to mta-stsd in the same round; below them the least and the most\n")
    print("\n".join(table(seen)))
    print()
    print("\n".join(shares(seen)))
    print(f"took {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
