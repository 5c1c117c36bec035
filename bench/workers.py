# SPDX-License-Identifier: MIT
"""`make bench-workers`: what a second worker brings. The load client needs CPU too: with two CPUs the
two workers share them with it, and then the CPU a fetch takes and how the workers share the fetches
say what two free CPUs would give."""
import os
import statistics
import sys

import servers
from servers import Place, Server, load, number, result

ROUNDS = number("BENCH_ROUNDS", 5)
SECONDS = number("BENCH_SECONDS", 3.0)
THREADS = number("BENCH_THREADS", 16)
SOURCES = ("-s", "127.0.0.2", "-S", "200")
COUNTS = (1, 2)
GOAL = 1.8


def cpu_of_each(server):
    """Seconds of each process, the supervisor's first."""
    pids = sorted(int(entry.name) for entry in server.processes())
    return [int(open(f"/proc/{pid}/schedstat").read().split()[0]) * 1e-9 for pid in pids]


def measure(place, count):
    """Fetches/s, CPU ms a fetch, and the least worker's part of the work."""
    limits = servers.UNLIMITED
    with Server(
        "mta-stsd",
        lambda place, port: servers.policy_command(place, port, limits, workers=count),
        place,
        cpus=servers.CPUS[: max(COUNTS)] if count > 1 else None,
    ) as server:
        server.first_fetch()
        others = servers.CPUS[max(COUNTS):] or servers.CPUS
        os.sched_setaffinity(0, others if count > 1 else {servers.CLIENT_CPU})
        before = cpu_of_each(server)
        numbers = result(load(server, place, "fetch", "-t", THREADS, "-d", SECONDS, *SOURCES))
        used = [after - start for start, after in zip(before, cpu_of_each(server))]
    workers = used[1:]
    return (
        float(numbers["per_second"]),
        1000 * sum(used) / int(numbers["done"]),
        100 * min(workers) / sum(workers),
    )


def main():
    place = Place()
    servers.take_answer(place)
    seen = {count: [] for count in COUNTS}
    for turn in range(ROUNDS):
        print(f"bench: round {turn + 1} of {ROUNDS}", file=sys.stderr)
        for count in COUNTS:
            seen[count].append(measure(place, count))
    print("\n".join(servers.versions()[:3]))
    print(f"medians of {ROUNDS} rounds of {SECONDS:g} s, {THREADS} fetches at once\n")
    print(f"{'':12}{'fetches/s':>12}{'CPU ms/fetch':>14}{'least share':>13}")
    for count in COUNTS:
        rate, cpu, share = (statistics.median(column) for column in zip(*seen[count]))
        print(f"{count} worker{'s' if count > 1 else ' '}   {rate:>12.0f}{cpu:>14.2f}{share:>12.0f}%")
    rates = [two[0] / one[0] for one, two in zip(seen[1], seen[2])]
    free = [2 * one[1] / two[1] for one, two in zip(seen[1], seen[2])]
    enough = len(servers.CPUS) > max(COUNTS)
    print(f"\ntwo workers: {statistics.median(rates):.2f} x the fetches/s of one"
          f"{'' if enough else ', and the client has a part of their CPUs'}")
    print(f"by CPU a fetch: {statistics.median(free):.2f} x on two free CPUs (goal: {GOAL})")


if __name__ == "__main__":
    main()
