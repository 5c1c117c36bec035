# SPDX-License-Identifier: MIT
"""What is printed, for people and for programs, and what is said of what cannot be run."""
import contextlib
import json
import os
import pty
import re
import subprocess

import pytest
import tool
import troubles
import world as worlds
from process import DEADLINE

ESCAPE = "\033["
# One of each severity: error, warning, info and not tested.
MANY = ["txtmissing.test", "rptmissing.test", "txtext.test", "servfail.test"]


@pytest.fixture
def run(world):
    def run_tool(*arguments, **more):
        return tool.run(*world.options(), *arguments, **more)

    return run_tool


@pytest.fixture(scope="module")
def text(world):
    """The lines for people, of one domain with an error that can be mended."""
    return tool.run(*world.options(), "txtmissing.test").out.splitlines()


def test_domain_stands_first(text):
    assert text[0].strip() == "txtmissing.test"


def test_what_is_well_is_told(text):
    assert any(re.match(r"^ +ok +mx +mx\.good\.test \[192\.0\.2\.40\]", line) for line in text)


def test_a_finding_is_a_line_and_its_fix_is_the_next(text):
    finding = r"^ +error +TXT_MISSING +_mta-sts\.txtmissing\.test: \S"
    (at,) = (i for i, line in enumerate(text) if re.match(finding, line))
    assert re.match(
        r'^ +fix: +_mta-sts\.txtmissing\.test\. \d+ IN TXT "v=STSv1; id=\w+;"$', text[at + 1]
    )


def test_counts_stand_last_before_the_advice(text):
    (at,) = (i for i, line in enumerate(text) if line.startswith("Order of work: "))
    assert text[at - 2 : at] == ["txtmissing.test: 1 error, 0 warnings, 0 not tested", ""]
    assert len(text) == at + 3


def test_no_advice_is_given_where_nothing_is_wrong(run):
    assert "Order of work" not in run(worlds.CLEAN).out
    assert "Order of work" not in run("--quiet", "txtmissing.test").out


def test_columns_are_aligned(text):
    """The codes, and what is in their column where all is well."""
    lines = [re.match(r" +(ok|error|info) +", line) for line in text]
    assert len({line.end() for line in lines if line is not None}) == 1, text


@pytest.mark.parametrize(
    ("domain", "word", "code"),
    zip(
        MANY,
        ("error", "warning", "info", "not tested"),
        ("TXT_MISSING", "RPT_MISSING", "TXT_EXT", "DNS_FAILED"),
    ),
)
def test_severity_in_words(run, domain, word, code):
    assert re.search(rf"^ +{word} +{code} ", run(domain).out, re.M)


def test_line_of_the_policy_is_told(run):
    text = run("polmode.test").out
    assert re.search(r"^ +error +POL_MODE +mta-sts\.polmode\.test\D+2\b", text, re.M)


def test_quiet_leaves_out_what_is_well(run):
    loud, quiet = run("txtmissing.test").out, run("--quiet", "txtmissing.test").out
    assert re.search(r"^ +ok ", loud, re.M)
    assert not re.search(r"^ +ok ", quiet, re.M)
    assert re.findall(r"^ +(?:error|info|fix).*", quiet, re.M) == re.findall(
        r"^ +(?:error|info|fix).*", loud, re.M
    )


def test_json_says_the_same_as_the_text(world, run):
    findings = tool.check(*world.options(), *MANY).findings
    text = run(*MANY).out
    assert list(findings) == MANY
    for domain in MANY:
        for finding in findings[domain]:
            assert f"{finding['code']} " in text
            assert finding["text"] in text
            assert finding.get("fix", "") in text


def test_json_has_the_line_of_the_policy(check):
    findings = check("polmode.test").findings["polmode.test"]
    assert [f["line"] for f in findings if f["code"] == "POL_MODE"] == [2]


def test_domains_keep_their_order(check):
    assert list(check(*reversed(MANY)).findings) == MANY[::-1]


def test_domain_in_capitals_is_the_same_domain(check):
    assert check("TXTEXT.Test").result.code == 0


@pytest.mark.parametrize(
    ("domains", "code"),
    [
        (["txtext.test"], 0),
        (["rptmissing.test"], 1),
        (["servfail.test"], 1),
        (["txtmissing.test"], 2),
        (["txtext.test", "rptmissing.test"], 1),
        (["servfail.test", "txtext.test"], 1),
        (["txtmissing.test", "txtext.test"], 2),
        (["servfail.test", "rptmissing.test", "txtmissing.test"], 2),
    ],
)
@pytest.mark.parametrize("form", ["--json", "--quiet"])
def test_exit_code_is_that_of_the_gravest_finding(run, domains, code, form):
    if code == 0 and tool.SCALE > 1:
        pytest.skip("under a wrapper the policy host is slow, which is a warning")
    assert run(form, *domains).code == code


def test_domain_that_does_not_exist(check):
    report = check("nowhere.test")
    assert [f["code"] for f in report.findings["nowhere.test"] if f["severity"] != "info"] == [
        *("HOST_NOADDR", "TXT_MISSING", "MX_NONE", "RPT_MISSING")
    ]
    assert report.result.code == 2


def test_hostile_text_is_made_printable(run):
    result = run(*(case.domain for case in troubles.HOSTILE))
    assert result.code == 2
    assert all(line.isascii() and line.isprintable() for line in result.out.split("\n"))


# Terminals.


def run_on_terminal(stream, *arguments, **environment):
    """What is written to a terminal in place of this stream."""
    try:
        ours, theirs = pty.openpty()
    except OSError:
        pytest.skip("no terminals: /dev/pts is not mounted")
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    running = subprocess.Popen(
        tool.command(*arguments),
        stdin=subprocess.DEVNULL,
        env=tool.environment(TERM="xterm", **environment),
        **{stream: theirs, other: subprocess.PIPE},
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 65536):
            written += part
    os.close(ours)
    rest = running.communicate(timeout=DEADLINE)[0 if other == "stdout" else 1]
    return written.decode(), rest.decode(), running.returncode


def test_colour_on_a_terminal(world):
    written, rest, code = run_on_terminal("stdout", *world.options(), "txtmissing.test")
    assert ESCAPE in written
    assert (rest, code) == ("", 2)


def test_no_colour_where_none_is_wanted(world):
    written = run_on_terminal("stdout", *world.options(), "txtmissing.test", NO_COLOR="1")[0]
    assert "TXT_MISSING" in written and ESCAPE not in written


def test_no_colour_in_a_file(run):
    assert ESCAPE not in run("txtmissing.test").out


def test_no_colour_in_json(world):
    written = run_on_terminal("stdout", "--json", *world.options(), "txtmissing.test")[0]
    json.loads(written)


def test_progress_on_a_terminal(world):
    progress, text, code = run_on_terminal("stderr", *world.options(), "txtmissing.test")
    assert progress and "TXT_MISSING" not in progress
    assert (code, ESCAPE in text) == (2, False)


# What cannot be run: exit code 3, and why on standard error.


def assert_cannot_run(result, *reasons):
    assert result.code == 3, result
    assert all(reason in result.err for reason in reasons), result
    assert result.err.endswith("\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option", "example.com"],
        ["--resolver"],
        ["--resolver", "name.example", "example.com"],
        ["--resolver", "192.0.2.53:0", "example.com"],
        ["--resolver", "192.0.2.53:65536", "example.com"],
        ["--resolver", "[2001:db8::53", "example.com"],
        ["--port", "0", "example.com"],
        ["--port", "https", "example.com"],
        ["--port", "65536", "example.com"],
        ["--smtp-port", "-25", "example.com"],
        ["--timeout", "0", "example.com"],
        ["--timeout", "", "example.com"],
        ["--timeout", "4294967297", "example.com"],
        ["--timeout", "1m", "example.com"],
        ["--localname", "a b", "example.com"],
        ["--localname", "a\r\nMAIL FROM:<>", "example.com"],
        ["--wait-dns", "example.com"],
        ["--wait-dns=soon", "-c", "/dev/null"],
        ["example..com"],
        ["-example.com"],
        [""],
        ["ex ample.com"],
        ["x" * 64 + ".test"],
        [".".join(["x" * 60] * 5)],
    ],
    ids=" ".join,
)
def test_wrong_usage(world, arguments):
    """Without the mistake, all of these would find a clean domain or one that is not there."""
    result = tool.run("--ca", world.pki.root, *arguments)
    assert_cannot_run(result)
    assert result.out == ""


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem", "", "/etc/hostname"])
def test_unusable_root_certificates(directory, name):
    (directory / "empty.pem").touch()
    path = directory / name
    result = tool.run("--ca", path, "--resolver", "192.0.2.53", worlds.CLEAN)
    assert_cannot_run(result, str(path))
    assert result.out == ""


def test_unusable_root_certificates_of_the_environment(directory):
    env = tool.environment(SSL_CERT_FILE=str(directory / "missing.pem"))
    assert_cannot_run(tool.run(worlds.CLEAN, env=env), "missing.pem")


def test_ini_that_is_not_there(run, directory):
    assert_cannot_run(run("-c", directory / "missing.ini"), "missing.ini")


def test_ini_with_a_mistake(world, run, directory):
    (directory / "a.ini").write_text(world.ini.read_text().replace("mode = enforce", "mode = on"))
    result = run("-c", directory / "a.ini")
    assert_cannot_run(result)
    assert re.search(r"a\.ini:\d+: error", result.err)
    assert result.out == ""


def test_domain_that_is_not_in_the_ini(world, run):
    assert_cannot_run(run("-c", world.ini, "good.test"), "good.test", str(world.ini))


@pytest.mark.parametrize(
    "arguments", [[worlds.CLEAN], ["--json", worlds.CLEAN], ["--help"], ["--version"]], ids=" ".join
)
@pytest.mark.parametrize("target", ["full", "closed"])
def test_output_that_cannot_be_written(world, run, arguments, target):
    more = {}
    with open("/dev/full", "wb") as full:
        if target == "full":
            more = {"stdout": full}
        else:
            more = {"stdout": None, "preexec_fn": lambda: os.close(1)}
        assert_cannot_run(run(*arguments, **more), "standard output")


def test_reader_that_has_gone(run):
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as pipe:
        assert_cannot_run(run(worlds.CLEAN, stdout=pipe))


@pytest.mark.parametrize(
    ("option", "pattern"),
    [
        ("--version", r"mta-sts-check \d+\.\d+\.\d+ .*\n"),
        ("--help", r"usage: mta-sts-check (.|\n)+\n"),
    ],
)
def test_what_is_printed_on_demand(option, pattern):
    result = tool.run(option)
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(pattern, result.out)
