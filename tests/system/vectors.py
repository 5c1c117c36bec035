# SPDX-License-Identifier: MIT
"""The tables of policies and TXT values: tests/data/*.tsv and, where $MTA_STS_VECTORS names a
directory that exists, the tables in it. Lines that begin with # are comments."""
import os
import re
from collections import namedtuple
from pathlib import Path

Row = namedtuple("Row", "name record rfc publish octets")

DATA = Path(__file__).resolve().parent.parent / "data"
COLUMNS = {
    "policy.tsv": ["rfc", "publish", "text"],
    "txt.tsv": ["record", "rfc", "publish", "text"],
}
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([\\rnt])|R\{(\d+)\}\{(.*?)\})")
LETTERS = {"\\": "\\", "r": "\r", "n": "\n", "t": "\t"}


def expand(match):
    code, letter, times, text = match.groups()
    if code:
        return chr(int(code, 16))
    if letter:
        return LETTERS[letter]
    unit = unescape(text)
    return "".join(unit.replace("%04d", f"{turn:04d}") for turn in range(int(times)))


def unescape(text):
    """Characters that stand for octets; what is not ASCII in the table stands for its UTF-8."""
    return ESCAPE.sub(expand, text)


def read(path):
    columns = COLUMNS[path.name]
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#") or not line:
            continue
        values = dict(zip(columns, line.split("\t")))
        octets = unescape(values["text"].encode().decode("latin-1")).encode("latin-1")
        name = f"{path.parent.name}-{path.stem}-{number}"
        record = values.get("record", "policy")
        yield Row(name, record, values["rfc"], values["publish"], octets)


def load():
    other = os.environ.get("MTA_STS_VECTORS", "")
    rows = []
    for directory in [DATA] + ([Path(other)] if os.path.isdir(other) else []):
        for name in COLUMNS:
            rows += read(directory / name)
    # A row without a record is about the set of TXT records at a name: no single value to judge.
    return [row for row in rows if row.record]
