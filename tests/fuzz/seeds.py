# SPDX-License-Identifier: MIT
"""Writes what the fuzzers start from: DIRECTORY/TARGET/*.

usage: seeds.py DIRECTORY
"""
import pathlib
import sys

import seeds_report
import seeds_text
import seeds_wire

SEEDS = {
    "unpack": seeds_report.unpack_seeds,
    "tlsrpt": seeds_report.tlsrpt_seeds,
    "http": seeds_text.http_seeds,
    "ini": seeds_text.ini_seeds,
    "policy": seeds_text.policy_seeds,
    "txt": seeds_text.txt_seeds,
    "env": seeds_text.env_seeds,
    "dns": seeds_wire.dns_seeds,
    "smtp": seeds_wire.smtp_seeds,
}


def main():
    """Writes them all."""
    directory = pathlib.Path(sys.argv[1])
    for target, seeds in SEEDS.items():
        (directory / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds().items():
            (directory / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
