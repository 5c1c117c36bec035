# SPDX-License-Identifier: MIT
"""INI files, good and bad, against what must be said of them: tests/data/ini/*.ini with the output
of --print-dns --json beside each. What is refused starts nothing."""
import json

import pytest
from process import run
from vectors import DATA

FILES = sorted((DATA / "ini").glob("*.ini"))


def expected(path):
    return path.with_suffix(".expected").read_text()


def is_good(path):
    return expected(path).startswith("{")


GOOD = [path for path in FILES if is_good(path)]
BAD = [path for path in FILES if not is_good(path)]


def table(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


@table(GOOD)
def test_good_file_is_read_as_it_stands(path):
    result = run("-c", path.name, "--print-dns", "--json", cwd=path.parent)
    assert result.stderr == b""
    assert result.stdout.decode() == expected(path)
    assert result.returncode == 0


@table(BAD)
def test_all_that_is_wrong_is_said(path):
    result = run("-c", path.name, "--print-dns", "--json", cwd=path.parent)
    assert result.stderr.decode() == expected(path)
    assert result.stdout == b""
    assert result.returncode == 1


@table(BAD)
def test_bad_file_starts_nothing(path):
    result = run("-c", path.name, cwd=path.parent)
    assert result.stderr.decode() == expected(path) + "mta-stsd: not started\n"
    assert result.stdout == b""
    assert result.returncode == 1


@table(BAD)
def test_check_says_the_same_and_counts(path):
    result = run("-c", path.name, "--check", cwd=path.parent)
    lines = result.stdout.decode().splitlines()
    assert result.returncode == 1
    assert set(expected(path).splitlines()) <= set(lines)
    for word in ("error", "warning"):
        count = sum(f": {word}[" in line for line in lines)
        assert f"{word}s: {count}" in lines[-1]
    assert lines[-1].startswith(f"{path.name}: domains: ")


@table(BAD)
def test_json_has_the_same_findings(path):
    plain = run("-c", path.name, "--check", cwd=path.parent).stdout.decode().splitlines()[:-1]
    answer = json.loads(run("-c", path.name, "--check", "--json", cwd=path.parent).stdout)
    lines = []
    for finding in answer["findings"]:
        place = f"{finding['file']}:{finding['line']}" if "line" in finding else finding["file"]
        lines.append(f"{place}: {finding['severity']}[{finding['code']}]: {finding['text']}")
    assert lines == plain


def test_crlf_means_the_same_as_lf(directory):
    lf = (DATA / "ini/crlf.ini").read_bytes().replace(b"\r\n", b"\n")
    (directory / "crlf.ini").write_bytes(lf)
    result = run("-c", "crlf.ini", "--print-dns", "--json", cwd=directory)
    assert result.stdout.decode() == expected(DATA / "ini/crlf.ini")


def test_domain_that_is_none_is_not_looked_up_among_certificates(write_ini):
    lines = ["[policy]", "domain = b_d.example", "domain = example.com", "mode = enforce"]
    ini = write_ini(*lines, "mx = mx.example.net", "max_age = 1209600")
    found = run("-c", ini, "--check").stdout.decode()
    assert f"{ini}:2: error[DOMAIN_SYNTAX]: " in found
    assert f"{ini}:3: error[CERT_MISSING]: " in found
    assert f"{ini}:2: error[CERT_MISSING]: " not in found


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("mx = a.example.com ; b.example.com", True),
        ("mx = a.example.com ;b.example.com, c.example.com", True),
        ("rua = mailto:a@example.net ; mailto:b@example.net", True),
        ("mx = a.example.com ; repeat; *.example.net covers one label", False),
        ("mx = a.example.com ; until May.", False),
        ("mx = a.example.com ; and also b.example.com", True),
        ("mx = a.example.com ; the first; (b.example.com).", True),
        ("mx = a.example.com ; mx.xn--p1ai", True),
        ("rua = mailto:a@example.net ; later https://tls.example.net/v1", True),
        ("mx = a.example.com ; e.g. for version 2.1, i.e. now", False),
        ("mx = a.example.com ;", False),
        ("mode = testing ; example.com", False),
    ],
)
def test_second_value_that_became_a_comment_is_warned_of(write_ini, line, warned):
    lines = ["[policy]", "domain = example.com", "max_age = 1209600", line]
    ini = write_ini(*lines, *([] if "mode" in line else ["mode = testing"]), "mx = mx.example.com")
    found = run("-c", ini, "--check").stdout.decode()
    assert (f"{ini}:4: warning[INI_COMMENT]: " in found) == warned
