# SPDX-License-Identifier: MIT
"""Input made to harm: one line names the file and the fault, the rest is counted, memory is bounded
and nothing of it reaches a terminal, a page or a log as it came."""
import copy
import csv
import gzip
import io
import json
import zipfile
import zlib
from html.parser import HTMLParser

import pytest
import runner

PLAIN = json.loads((runner.DATA / "details.json").read_text())
GOOD = json.loads((runner.DATA / "plain.json").read_text()) | {"report-id": "good"}
MIB = 1 << 20


def with_good(directory, content, *options, name="bad"):
    """Reads the content and, beside it, a good report of five sessions."""
    (directory / name).write_bytes(runner.as_bytes(content))
    (directory / "good.json").write_text(json.dumps(GOOD))
    return runner.report(*options, directory / name, directory / "good.json")


def is_one_fault(report, name="bad"):
    (line,) = report.result.err.splitlines()
    return (
        name in line
        and runner.is_plain(line)
        and len(line) < 1000
        and report.result.code == 2
        and report.data["unreadable"] == 1
        and report.sessions() == {"example.com": (5, 0)}
    )


def packed_twice(data):
    return gzip.compress(gzip.compress(data))


def zip_of(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for number, data in enumerate(members):
            archive.writestr(f"{number}.json", data)
    return out.getvalue()


def spoilt(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1 :]


GZIP = gzip.compress(json.dumps(PLAIN).encode(), mtime=0)
ZIP = zip_of(json.dumps(PLAIN))
HEAD = b"From: a@example.net\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"


def nested_mail(depth):
    mail = b"Content-Type: application/json\n\n" + json.dumps(PLAIN).encode()
    for number in range(depth):
        line = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number)
        mail = line + mail + b"\n--b%d--\n" % number
    return b"From: a@example.net\n" + mail


FAULTS = {
    "gzip_header_alone": GZIP[:10],
    "gzip_two_bytes": GZIP[:2],
    "gzip_cut": GZIP[:-9],
    "gzip_bad_checksum": spoilt(GZIP, -6, GZIP[-6] ^ 1),
    "gzip_bad_length": spoilt(GZIP, -1, 7),
    "gzip_unknown_method": spoilt(GZIP, 2, 7),
    "gzip_of_gzip": packed_twice(json.dumps(PLAIN).encode()),
    "gzip_of_nothing": gzip.compress(b""),
    "gzip_of_words": gzip.compress(b"no report at all"),
    "gzip_bomb": gzip.compress(b" " * (64 * MIB)),
    "gzip_bomb_of_members": gzip.compress(b" " * MIB) * 64,
    "gzip_of_many_empty_members": gzip.compress(b"") * 20000,
    "gzip_with_garbage": GZIP + b"garbage after it",
    "zip_two_members": zip_of(json.dumps(PLAIN), json.dumps(GOOD)),
    "zip_empty": zip_of(),
    "zip_of_words": zip_of("no report at all"),
    "zip_bomb": zip_of(b" " * (64 * MIB)),
    "zip_cut": ZIP[:40],
    "zip_head_alone": ZIP[:4],
    "zip_bad_checksum": ZIP[:50] + bytes([ZIP[50] ^ 255]) + ZIP[51:],
    "too_large_packed": b"\x1f\x8b" + b"\x08" * (2 * MIB),
    "too_large": b'{"a": "' + b"x" * (9 * MIB) + b'"}',
    "deep_arrays": b"[" * 100_000,
    "deep_arrays_closed": b"[" * 100_000 + b"]" * 100_000,
    "deep_objects": b'{"a":' * 100_000,
    "deep_policies": b'{"policies":[' * 50_000,
    "not_utf8": b'{"organization-name": "\xff\xfe"}',
    "utf16": json.dumps(PLAIN).encode("utf-16"),
    "nul_in_json": json.dumps(PLAIN).replace("Sender", "\\u0000").encode(),
    "nul_bytes": json.dumps(PLAIN).replace("Sender", "\x00").encode().replace(b"\\u0000", b"\0"),
    "scalar": b'{"organization-name": 1}',
    "list": b"[]",
    "html": b"<html><body>404</body></html>",
    "words": b"no report at all",
    "blank": b" \n",
    "nothing": b"",
    "binary": bytes(range(256)) * 16,
    "mail_thousand_parts": HEAD + b"--b\n\nx\n" * 1000 + b"--b--\n",
    "mail_thousand_report_parts": HEAD
    + (b"--b\nContent-Type: application/json\n\n{}\n") * 1000
    + b"--b--\n",
    "mail_nested_too_deep": nested_mail(5000),
    "mail_many_fields": b"A: b\n" * 50_000 + b"\nwords",
    "date_words": PLAIN | {"date-range": {"start-datetime": "x", "end-datetime": "y"}},
    "date_of_no_calendar": PLAIN
    | {"date-range": {"start-datetime": "2024-02-31T00:00:00Z", "end-datetime": "2024-03-01"}},
    "date_of_no_leap_year": PLAIN
    | {"date-range": {"start-datetime": "2023-02-29T00:00:00Z", "end-datetime": "2023-03-01"}},
    "date_long_ago": PLAIN
    | {"date-range": {"start-datetime": "1999-01-01T00:00:00Z", "end-datetime": "1999-01-02"}},
    "date_in_the_future": PLAIN
    | {"date-range": {"start-datetime": "2098-01-01T00:00:00Z", "end-datetime": "2098-01-02"}},
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_one_line_and_the_rest_is_counted(directory, name):
    assert is_one_fault(with_good(directory, FAULTS[name]))


# A zip archive's member is whole where its directory begins.
ENDS = {"gzip": (GZIP, len(GZIP)), "zip": (ZIP, ZIP.index(b"PK\1\2") + 4)}


@pytest.mark.parametrize("kind", ENDS)
def test_packed_report_cut_anywhere(directory, kind):
    data, end = ENDS[kind]
    paths = []
    for length in range(1, end, 1 if runner.SCALE == 1 else 40):
        paths.append(directory / str(length))
        paths[-1].write_bytes(data[:length])
    report = runner.report(*paths)
    assert report.data["reports"] == 0
    assert report.data["unreadable"] == len(paths)
    assert report.result.err.count("\n") == len(paths)


def test_packed_report_with_any_octet_changed(directory):
    """Refused, or read as it was: the checksum holds."""
    expected = runner.report(runner.DATA / "details.json").sessions()
    step = 1 if runner.SCALE == 1 else 40
    for data in (GZIP, ZIP):
        paths = []
        for at in range(0, len(data), step):
            paths.append(directory / str(at))
            paths[-1].write_bytes(spoilt(data, at, data[at] ^ 0x55))
        report = runner.report(*paths)
        assert report.sessions() in ({}, expected)


def test_mail_cut_anywhere(directory):
    data = (runner.DATA / "mail.eml").read_bytes()
    paths = []
    for length in range(0, len(data), 7 if runner.SCALE == 1 else 200):
        paths.append(directory / str(length))
        paths[-1].write_bytes(data[:length])
    report = runner.report(*paths)
    assert report.sessions() in ({}, {"example.com": (5, 0)})


# Any place of a report, any value.

FULL = {
    "organization-name": "Sender One",
    "date-range": {
        "start-datetime": "2024-03-05T00:00:00Z",
        "end-datetime": "2024-03-05T23:59:59Z",
    },
    "contact-info": "tlsrpt@example.net",
    "report-id": "1",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing", "mx: mx.example.com"],
                "policy-domain": "example.com",
                "mx-host": ["mx.example.com"],
            },
            "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "192.0.2.1",
                    "receiving-mx-hostname": "mx.example.com",
                    "receiving-mx-helo": "mx.example.com",
                    "receiving-ip": "198.51.100.1",
                    "failed-session-count": 2,
                    "additional-information": "https://example.net/",
                    "failure-reason-code": "E1",
                }
            ],
        }
    ],
}
VALUES = {
    "null": None,
    "zero": 0,
    "number": 17,
    "negative": -1,
    "fraction": 0.5,
    "huge": 1e300,
    "integer": 10**40,
    "string": "a string",
    "empty": "",
    "long": "x" * 10000,
    "array": [],
    "arrays": [[[]], {}, None, "x", 1],
    "object": {},
    "objects": {"policy": {"policy": []}, "a": None},
    "true": True,
    "control": "\x1b[2J\r\n\x7f\u009b\u202e",
}


def places(tree, path=()):
    """Every place of a tree, the root too."""
    yield path
    if isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(value, (*path, key))


def replaced(path, value):
    if not path:
        return value
    tree = copy.deepcopy(FULL)
    at = tree
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return tree


PLACES = list(places(FULL))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: "/".join(map(str, path)) or "root")
def test_any_value_in_any_place(directory, path):
    """Each is a fault in one line, or a report that is counted."""
    (directory / "good.json").write_text(json.dumps(GOOD))
    paths = []
    for name, value in VALUES.items():
        tree = replaced(path, value)
        # Each in its own name, so that none is a duplicate.
        if isinstance(tree, dict):
            for key in ("organization-name", "report-id"):
                if path != (key,) and key in tree:
                    tree[key] = name
        paths.append(directory / name)
        paths[-1].write_text(json.dumps(tree))
    report = runner.report(*paths, directory / "good.json")
    faults = report.data["unreadable"]
    # One without policies is about no domain that is wanted.
    read = report.data["reports"] + report.data["elsewhere"]
    assert (read, report.data["duplicates"]) == (len(paths) + 1 - faults, 0)
    lines = report.result.err.splitlines()
    assert len({line.split(":")[1] for line in lines}) == len(lines) == faults
    assert all(map(runner.is_plain, lines))
    good, failed = report.sessions()["example.com"]
    # Beside the good report there may be at most what was claimed, cut to a limit.
    assert 5 <= good <= 5 + 5 * len(paths) + 2 * 10**12
    assert 0 <= failed <= 2 * len(paths) + 17 + 2 * 10**12
    assert (report.result.code == 2) == (faults > 0)


def test_every_place_was_tried():
    assert len(PLACES) == 31 and {len(path) for path in PLACES} == {0, 1, 2, 3, 4, 5}


# What must not come out as it came.

NASTY = {
    "ansi": "\x1b[31mred\x1b]0;title\x07",
    "c1": "\u009b31m\u0090\u009d",
    "lines": "a\r\nmta-sts-report: forged: line\n\tb\v\f",
    "delete": "\x7f\x08\x08",
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover=\"alert(1)\" x='",
    "comment": "--><b>x</b><!--",
    "entity": "&lt;b&gt;&#60;",
    "style": "</style></svg></title><b>",
    "bidi": "\u202egnp.exe\u2066\u2069\u200f",
    "invisible": "\u200b\ufeff\u2028\u2029\u00ad",
    "formula": "=HYPERLINK(\"http://example.net\")",
    "quotes": "a\",\"b\"\r\nx,y",
    "format": "%s%n%1000000d",
    "backslash": "\\x1b\\u001b\\",
    "emoji": "\U0001f600\U000e0001",
}


def nasty_report(text):
    """With the text in every string that is shown."""
    report = copy.deepcopy(FULL)
    report["organization-name"] = report["report-id"] = report["contact-info"] = text
    policy = report["policies"][0]["policy"]
    policy["policy-string"] = [text, "version: STSv1", text]
    policy["policy-domain"] = f"{text}.example.com"
    detail = report["policies"][0]["failure-details"][0]
    for key in detail:
        if key != "failed-session-count":
            detail[key] = text
    other = copy.deepcopy(report["policies"][0])
    other["policy"]["policy-type"] = text
    report["policies"].append(other)
    return report


class Page(HTMLParser):
    """Which elements and attributes are there, and what is between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.content, self.targets = set(), set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets += [value for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data):
        self.content.append(data)


def is_safe_page(text, harmless):
    """No element or attribute that a page of a harmless report has not."""
    page, other = Page(text), Page(harmless)
    return (
        page.tags <= other.tags
        and page.attributes <= other.attributes
        and "script" not in page.tags
        and all(target.startswith("#") for target in page.targets)
        and text.isascii()
        and all(c == "\n" or c.isprintable() for c in text)
    )


@pytest.mark.parametrize("name", NASTY)
def test_nothing_comes_out_as_it_came(directory, file, name):
    path = file(nasty_report(NASTY[name]))
    for options in ([], ["--csv"], ["--csv=failures"], ["--json"]):
        result = runner.run(*options, path)
        assert result.code == 1, result
        out = result.out.replace("\r\n", "\n") if options[:1] != ["--json"] else result.out
        assert runner.is_plain(out) and runner.is_plain(result.err)
        assert out.isascii() or options == []
    harmless = runner.run("--html", "-", file(nasty_report("harmless"), "harmless"))
    page = runner.run("--html", "-", path)
    assert is_safe_page(page.out, harmless.out)


@pytest.mark.parametrize("name", NASTY)
def test_json_output_has_the_strings_as_they_were_sent(file, name):
    report = runner.report(file(nasty_report(NASTY[name])))
    (entry,) = report.domains.values()
    assert {row["mx"] for row in entry["failures"]} == {NASTY[name]}
    assert {row["result"].lower() for row in entry["failures"]} == {NASTY[name].lower()}
    assert [row["organization"] for row in entry["reporters"]] == [NASTY[name]]


def test_csv_is_read_back(file):
    """A row is a row, and no cell is a formula."""
    for name, text in NASTY.items():
        result = runner.run("--csv=failures", file(nasty_report(text), name))
        rows = list(csv.reader(io.StringIO(result.out, newline=""), strict=True))
        assert {len(row) for row in rows} == {len(rows[0])} and len(rows) == 3
        assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r") for row in rows for cell in row)


@pytest.mark.parametrize("name", NASTY)
def test_file_name_is_escaped(directory, name):
    text = NASTY[name].replace("/", "_")
    report = with_good(directory, b"bad", name=text)
    assert is_one_fault(report, "")
    assert "<script>" not in report.result.err or text.isascii()


def test_option_values_are_escaped():
    for option in ("--domain", "--since", "--max-size", "--csv", "-c", "--html"):
        value = f"{option}=\x1b[2J" if option.startswith("--") else f"{option}\x1b[2J"
        result = runner.run(value, runner.DATA / "plain.json", cwd="/proc")
        assert result.code == 3 and runner.is_plain(result.err), result


# Memory, of the program as it is shipped.


def object_bomb(size):
    pieces, length = [], 0
    while length < size - 100:
        pieces.append(f'"{len(pieces):x}":0')
        length += len(pieces[-1]) + 1
    return ("{" + ",".join(pieces) + "}").encode()


def whole(details):
    """A report with so many octets of one thing that it is just small enough."""
    tree = copy.deepcopy(FULL)
    tree["policies"][0]["failure-details"] = "@"
    return json.dumps(tree).replace('"@"', details).encode()


def many(piece, size):
    return ",".join([piece] * (size // (len(piece) + 1)))


ROOM = 8 * MIB - 2000
POLICY = '{"policy":{"policy-domain":"%07x.example.com"}}'
BOMBS = {
    "arrays": lambda: b"[" + many("[]", ROOM).encode() + b"]",
    "objects": lambda: b"[" + many("{}", ROOM).encode() + b"]",
    "keys": lambda: object_bomb(ROOM),
    "strings": lambda: b"[" + many('""', ROOM).encode() + b"]",
    "numbers": lambda: b"[" + many("0", ROOM).encode() + b"]",
    "one_string": lambda: b'{"a":"' + b"x" * ROOM + b'"}',
    "details": lambda: whole("[" + many("{}", ROOM) + "]"),
    "policies": lambda: json.dumps(FULL | {"policies": "@"})
    .replace('"@"', "[" + ",".join(POLICY % n for n in range(160_000)) + "]")
    .encode(),
    "gzip_of_spaces": lambda: gzip_of_spaces(1 << 30),
    "gzip_of_arrays": lambda: gzip.compress(b"[" + many("[]", ROOM).encode() + b"]"),
    "zip_of_spaces": lambda: zip_of(b" " * (256 * MIB)),
    "deep": lambda: b"[" * ROOM,
    "parts": lambda: HEAD + b"--b\n\n\n" * 150_000,
    "fields": lambda: b"A: b\n" * 200_000,
    "long_field": lambda: b"Content-Type: text/plain; a=" + b"x" * MIB + b"\n\nwords",
    "parameters": lambda: b"Content-Type: text/plain" + b"; a=b" * 200_000 + b"\n\nwords",
    "addresses": lambda: b"From: " + b"a:" * 500_000 + b"\n\nwords",
    "comments": lambda: b"From: " + b"(" * 900_000 + b"\n\nwords",
    "nested": lambda: nested_mail(20_000)[:MIB],
    "base64": lambda: b"Content-Transfer-Encoding: base64\n\n" + b"AAAA" * (MIB // 4),
    "mbox": lambda: b"From a@example.net\nA: b\n\n\n" * 300_000,
    "mbox_without_end": lambda: b"From a@example.net\n\n" + b"x" * (64 * MIB),
}


def gzip_of_spaces(size):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * MIB
    return b"".join(packer.compress(block) for _ in range(size // MIB)) + packer.flush()


@pytest.mark.unwrapped("it would need the memory of the wrapper")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_little_memory(directory, file, measure, name):
    """Under the sanitizers too, for what they see; the memory is that of the shipped program."""
    path = file(BOMBS[name](), name)
    result = runner.run("--json", path)
    assert result.code in (0, 1, 2) and result.err.count("\n") <= 400_000
    if runner.shipped() is None:
        measure(f"{name}: memory: left out: there is no shipped build")
        return
    again = runner.measured(directory, "--json", path)
    assert (again.code, again.out) == (result.code, result.out)
    measure(f"{name}: peak {again.peak / MIB:.1f} MiB, {again.seconds:.2f} s")
    assert again.peak <= runner.MEMORY_MAX
