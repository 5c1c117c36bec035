# SPDX-License-Identifier: MIT
"""--lint: the verdict on policies and TXT values that somebody else wrote."""
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import vectors
from policies import ENFORCED_BODY
from process import run

ROWS = vectors.load()


def as_file(row):
    """A TXT value stands in a file with the line end that an editor puts behind it."""
    if row.record == "policy" or row.octets.endswith(b"\r"):
        return row.octets
    return row.octets + b"\n"


def lint(row):
    kind = [] if row.record == "policy" else ["--as", row.record]
    return run("--lint", "-", *kind, stdin=as_file(row))


@pytest.fixture(scope="module")
def results():
    """All rows judged, as many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip((row.name for row in ROWS), pool.map(lint, ROWS)))


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_verdict_is_that_of_the_table(results, row):
    result = results[row.name]
    lines = result.stdout.decode("ascii").splitlines()
    assert result.stderr == b""
    assert lines[-1] == f"stdin: {row.rfc}"
    assert result.returncode == (0 if row.rfc == "valid" else 1)
    if row.rfc == "valid":
        assert not any("error[" in line for line in lines)
        differ = any("warning[SENDERS_DIFFER]" in line for line in lines)
        assert differ == (row.publish == "ambiguous")


def test_file_is_judged_by_its_name(directory):
    path = directory / "mta-sts.txt"
    path.write_bytes(ENFORCED_BODY)
    result = run("--lint", path)
    assert result.returncode == 0
    assert result.stdout.decode() == f"{path}: valid\n"


def test_fault_is_given_with_line_and_column():
    octets = ENFORCED_BODY.replace(b"mx: *.example.net", b"mx:  mail.*.example.net")
    result = run("--lint", "-", stdin=octets)
    first, last = result.stdout.decode().splitlines()
    assert first.startswith('stdin:4:6: error[MX_WILDCARD]: mx "mail.*.example.net" ')
    assert last == "stdin: invalid"
    assert result.returncode == 1


def test_hostile_octets_are_escaped():
    result = run("--lint", "-", stdin=b"version: STSv1\r\nmx: \x1b[2J\xff\r\n")
    assert b"\\x1b[2J\\xff" in result.stdout
    assert b"\x1b" not in result.stdout


def test_json_has_the_verdict_and_the_findings():
    result = run("--lint", "-", "--json", stdin=b"version: STSv1\r\nmode: Enforce\r\n")
    answer = json.loads(result.stdout)
    assert result.returncode == 1
    assert answer["verdict"] == "invalid"
    findings = answer["result"]["findings"]
    assert answer["result"]["errors"] == len(findings) == 3
    place = {"file": "stdin", "line": 2, "column": 7}
    assert place.items() <= findings[0].items()
    assert (findings[0]["severity"], findings[0]["code"]) == ("error", "MODE")


def test_json_of_a_valid_policy_has_no_errors():
    result = run("--lint", "-", "--json", stdin=ENFORCED_BODY)
    answer = json.loads(result.stdout)
    assert result.returncode == 0
    assert answer == {"verdict": "valid", "result": {"findings": [], "errors": 0, "warnings": 0}}


@pytest.mark.parametrize(
    ("kind", "value"),
    [("sts", b"v=STSv1; id=1;"), ("tlsrpt", b"v=TLSRPTv1; rua=mailto:a@example.com")],
)
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_line_end_of_a_file_is_not_part_of_a_txt_value(kind, value, end):
    assert run("--lint", "-", "--as", kind, stdin=value + end).returncode == 0
    one_more = run("--lint", "-", "--as", kind, stdin=value + end + b"\n")
    assert one_more.returncode == (1 if end else 0)


def missing(path):
    return path, b"No such file or directory"


def a_directory(path):
    path.mkdir()
    return path, b"is a directory"


def a_device(path):
    path.symlink_to("/dev/zero")
    return path, b"is not a regular file"


def too_large(path):
    path.write_bytes(b"x" * (1 << 20 | 1))
    return path, b"is too large"


@pytest.mark.parametrize("kind", [missing, a_directory, a_device, too_large])
def test_file_that_cannot_be_read_is_one_clear_line(directory, kind):
    path, reason = kind(directory / "x")
    result = run("--lint", path)
    assert result.returncode == 1
    assert result.stdout == b""
    assert result.stderr == b"mta-stsd: %s: %s\n" % (str(path).encode(), reason)


@pytest.mark.parametrize("kind", [missing, a_directory, too_large])
def test_json_of_a_file_that_cannot_be_read_is_an_error(directory, kind):
    path, reason = kind(directory / "x")
    result = run("--lint", path, "--json")
    answer = json.loads(result.stdout)
    (finding,) = answer["result"]["findings"]
    assert (result.returncode, result.stderr) == (1, b"")
    assert answer["verdict"] is None
    assert (finding["severity"], finding["code"]) == ("error", "LINT_FILE")
    assert finding["file"] == str(path)
    assert finding["text"].endswith(reason.decode())


def test_pipe_is_read_to_its_end(directory):
    path = directory / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(path.write_bytes, ENFORCED_BODY)
        result = run("--lint", path)
        writer.result()
    assert result.stdout.decode() == f"{path}: valid\n"


def test_standard_input_is_read_by_the_name_of_its_device():
    result = run("--lint", "/dev/stdin", stdin=ENFORCED_BODY)
    assert result.stdout == b"/dev/stdin: valid\n"


def test_json_text_is_unicode(directory):
    path = directory / "caf\u00e9\U0001f31f"
    path.write_bytes(b"")
    answer = json.loads(run("--lint", path, "--json").stdout)
    assert {finding["file"] for finding in answer["result"]["findings"]} == {str(path)}


def test_nothing_at_all_is_invalid():
    result = run("--lint", "-")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (1, b"stdin: invalid")
