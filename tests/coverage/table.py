# SPDX-License-Identifier: MIT
"""Lines that ran, a file a row, from an lcov file; each file must have GOAL percent of them.
usage: table.py LCOV-FILE FILE-FOR-THE-LINES-THAT-DID-NOT"""
import os
import sys
from pathlib import Path

GOAL = 90


def read(lcov):
    """{file: {line: how often it ran}}, of the program's own sources."""
    files, counts = {}, {}
    for line in Path(lcov).read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            counts = files.setdefault(os.path.normpath(value), {})
        elif key == "DA":
            number, count = value.split(",")[:2]
            counts[int(number)] = int(count)
    return {
        name: counts for name, counts in sorted(files.items()) if name.endswith(".c") and not name.startswith("tests")
    }


def row(name, counts):
    ran = sum(1 for count in counts.values() if count)
    return f"{name:<32}{ran:>7} of {len(counts):>5}{100 * ran / len(counts):>8.1f} %"


def write_uncovered(files, path):
    with open(path, "w") as out:
        for name, counts in files.items():
            lines = Path(name).read_text().splitlines()
            for number, count in counts.items():
                if not count:
                    out.write(f"{name}:{number}: {lines[number - 1].strip()}\n")


def main():
    files = read(sys.argv[1])
    below = []
    for name, counts in files.items():
        print(row(name, counts))
        if sum(1 for count in counts.values() if count) * 100 < GOAL * len(counts):
            below.append(name)
    for directory in ("", "check", "report"):
        of = {
            (name, line): count
            for name, counts in files.items()
            if os.path.dirname(name) == directory
            for line, count in counts.items()
        }
        print(row(f"all of {directory or 'mta-stsd'}", of))
    write_uncovered(files, sys.argv[2])
    print(f"lines that did not run: {sys.argv[2]}")
    for name in below:
        print(f"FAILED: {name}: less than {GOAL} %")
    print(f"{len(files) - len(below)} passed, {len(below)} failed, 0 skipped")
    return 1 if below or not files else 0


sys.exit(main())
