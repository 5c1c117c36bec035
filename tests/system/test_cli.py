# SPDX-License-Identifier: MIT
"""The command line: help, version, wrong usage, files that are not there, the policy's bytes."""
import re
import subprocess

import pytest
from policies import ENFORCED, MX, TESTING, TESTING_BODY, body, policy
from process import run

# The example of RFC 8461 with a longer max_age; its id is pinned here and nowhere computed.
PINNED = policy(["example.com"], "enforce", MX, 1209600)
PINNED_BODY = body("enforce", MX, 1209600)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_fits_a_screen(option):
    result = run(option)
    lines = result.stdout.decode("ascii").splitlines()
    assert result.returncode == 0
    assert result.stderr == b""
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_help_names_every_option():
    text = run("--help").stdout.decode()
    for option in ("--config", "--check", "--print-policy", "--print-dns", "--lint", "--as"):
        assert option in text
    for option in ("--probe", "--ttl", "--json", "--version", "--help"):
        assert option in text


def test_version_names_the_library():
    result = run("--version")
    assert result.returncode == 0
    pattern = r"mta-stsd \d+\.\d+\.\d+ \([Mm]bed TLS (2\.28|3|4)\.[\d.]+\)\n"
    assert re.fullmatch(pattern, result.stdout.decode())


WRONG_USAGE = [
    ["--nonsense"],
    ["-x"],
    ["-c"],
    ["stray"],
    ["--check", "stray"],
    ["--print-dns", "a", "b"],
    ["--check", "--print-dns"],
    ["-c", "-"],
    ["-c", "-", "--check"],
    ["--lint"],
    ["--lint", "a", "b"],
    ["--lint", "-", "--as", "dmarc"],
    ["--as", "sts"],
    ["--print-policy", "--json"],
    ["--json"],
    ["--ttl", "60"],
    ["--print-dns", "--ttl", "0"],
    ["--print-dns", "--ttl", "604801"],
    ["--print-dns", "--ttl", "-1"],
    ["--print-dns", "--ttl", "1h"],
    ["--print-dns", "--ttl", ""],
    ["--probe", "localhost:443"],
    ["--probe", "127.0.0.1"],
    ["--probe", "127.0.0.1:65536"],
    ["--probe", "[::1]"],
]


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == b""
    assert re.fullmatch(rb"[^\n]*mta-stsd: [^\n]+\n", result.stderr), result.stderr


COMMANDS = {
    "serve": [],
    "check": ["--check"],
    "print-policy": ["--print-policy"],
    "print-dns": ["--print-dns"],
    "probe": ["--probe"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_an_ini_file_that_cannot_be_read_is_named(directory, command, kind):
    path = directory / "none.ini" if kind == "missing" else directory
    reason = "No such file or directory" if kind == "missing" else "is a directory"
    result = run("-c", path, *command)
    expected = f"{path}: error[INI_FILE]: cannot read the configuration: {reason}"
    assert result.returncode == 1
    assert expected in (result.stdout + result.stderr).decode().splitlines()
    assert result.stdout == b"" or "--check" in command


def test_of_an_ini_file_that_cannot_be_read_nothing_else_is_said(directory):
    path = directory / "none.ini"
    lines = run("-c", path, "--check").stdout.decode().splitlines()
    assert [line for line in lines if "[" in line] == [
        f"{path}: error[INI_FILE]: cannot read the configuration: No such file or directory"
    ]


@pytest.mark.parametrize("command", ["--print-policy", "--print-dns"])
def test_unknown_domain_is_an_error(write_ini, command):
    ini = write_ini(TESTING)
    result = run("-c", ini, command, "example.invalid")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == f"mta-stsd: example.invalid is not a domain of {ini}\n"


def test_of_several_policies_one_must_be_named(write_ini):
    ini = write_ini(TESTING, ENFORCED)
    result = run("-c", ini, "--print-policy")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == f"mta-stsd: {ini} has 2 policies: name the domain\n"
    assert run("-c", ini, "--print-policy", "example.net").stdout == TESTING_BODY


def test_policy_is_printed_in_its_exact_bytes(write_ini):
    result = run("-c", write_ini(TESTING), "--print-policy")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == TESTING_BODY


def test_domain_is_found_in_any_case(write_ini):
    result = run("-c", write_ini(TESTING), "--print-policy", "Example.NET")
    assert result.stdout == TESTING_BODY


RENDERED = {
    "mode none keeps its mx": (
        policy(["example.com"], "none", MX, 86400),
        body("none", MX, 86400),
    ),
    "mode none without mx": (policy(["example.com"], "none", [], 86400), body("none", [], 86400)),
    "leading zeros": (
        policy(["example.com"], "testing", MX, "0086400"),
        body("testing", MX, 86400),
    ),
    "upper case": (
        policy(["Example.COM"], "testing", ["MAIL.example.com"], 86400),
        body("testing", ["mail.example.com"], 86400),
    ),
    "an mx twice": (
        policy(["example.com"], "testing", [*MX, *MX], 86400),
        body("testing", MX, 86400),
    ),
    "order of the INI": (
        policy(["example.com"], "testing", ["b.example.com", "a.example.com"], 86400),
        body("testing", ["b.example.com", "a.example.com"], 86400),
    ),
    "other order of keys": (
        "[policy a label; and more of it]\nmax_age: 86400\nmx=mail.example.com ; the only one\n"
        "mode = testing\nversion = STSv1\ndomain = example.com\n",
        body("testing", MX[:1], 86400),
    ),
}


@pytest.mark.parametrize("row", RENDERED.values(), ids=RENDERED.keys())
def test_policy_is_rendered_the_same_way_always(write_ini, row):
    section, expected = row
    assert run("-c", write_ini(section), "--print-policy").stdout == expected


def printed_id(ini):
    zone = run("-c", ini, "--print-dns").stdout.decode()
    return re.search(r'^_mta-sts\.\S+ \d+ IN TXT "v=STSv1; id=(\w+);"$', zone, re.M).group(1)


def test_id_is_the_pinned_one(write_ini):
    ini = write_ini(PINNED)
    assert run("-c", ini, "--print-policy").stdout == PINNED_BODY
    assert printed_id(ini) == "e7d3c066d549635c53bd9e97"


def test_id_is_what_sha256sum_says(write_ini):
    ini = write_ini(TESTING)
    octets = run("-c", ini, "--print-policy").stdout
    digest = subprocess.run(["sha256sum"], input=octets, capture_output=True, check=True).stdout
    assert printed_id(ini) == digest[:24].decode()


def test_serial_is_put_behind_the_id(write_ini):
    plain = printed_id(write_ini(PINNED))
    assert printed_id(write_ini(PINNED + "serial = 12\n")) == f"{plain}s12"


def test_id_depends_on_the_bytes_alone(write_ini):
    other = PINNED.replace("example.com\n", "example.org\n", 1) + "; a comment\n"
    assert printed_id(write_ini(PINNED)) == printed_id(write_ini(other))


def test_output_that_cannot_be_written_is_an_error(write_ini):
    with open("/dev/full", "wb") as full:
        result = run("-c", write_ini(TESTING), "--print-policy", stdout=full)
    assert result.returncode == 1
    assert result.stderr == b"mta-stsd: standard output: No space left on device\n"


def test_default_ini_file_is_in_etc():
    result = run("--check")
    assert b"/etc/mta-stsd/mta-stsd.ini: " in result.stdout
