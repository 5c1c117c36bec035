# SPDX-License-Identifier: MIT
"""Running mta-sts-check and reading what it says."""
import json
import os
import signal
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import process
from process import SCALE, WRAPPER

# The servers of the world are tried elsewhere: here just the tool runs under a wrapper.
process.WRAPPER = []
# Seconds for each address, where the tests say so.
TIMEOUT = 3 if SCALE == 1 else 20
# What nothing here comes near to: look-ups of a silent name server take the longest.
LIMIT = 30 * SCALE

Result = namedtuple("Result", "code out err seconds")


def program():
    """The binary under test: beside mta-stsd, unless it is named."""
    if "MTA_STS_CHECK" in os.environ:
        return os.environ["MTA_STS_CHECK"]
    path = Path(process.program()).with_name("mta-sts-check")
    if not path.exists():
        raise FileNotFoundError("no mta-sts-check: build it, or name it in MTA_STS_CHECK")
    return str(path)


def command(*arguments):
    return [*WRAPPER, program(), *map(str, arguments)]


def environment(**more):
    """Nothing of the caller's changes what is printed or trusted."""
    inherited = process.environment()
    for name in ("NO_COLOR", "SSL_CERT_FILE", "TERM"):
        inherited.pop(name, None)
    return inherited | more


def heed_interrupts():
    """A shell has what it runs in the background ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments, **more):
    more.setdefault("env", environment())
    more.setdefault("preexec_fn", heed_interrupts)
    return subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more,
    )


def finish(running, begun=None):
    begun = time.monotonic() if begun is None else begun
    try:
        out, err = running.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise
    result = Result(
        running.returncode,
        (out or b"").decode("utf-8"),
        (err or b"").decode("utf-8", "replace"),
        time.monotonic() - begun,
    )
    assert result.code in (0, 1, 2, 3), result
    assert "Sanitizer" not in result.err and "runtime error" not in result.err, result
    return result


def run(*arguments, **more):
    begun = time.monotonic()
    return finish(start(*arguments, **more), begun)


def exit_code(errors, warnings, untested):
    return 2 if errors else 1 if warnings or untested else 0


def is_well_formed(finding):
    """A text for people in each; nothing that a terminal or a log would choke on."""
    texts = [finding["text"], finding["subject"], finding.get("fix", "x")]
    return (
        finding.keys() <= {"severity", "code", "subject", "line", "column", "text", "fix"}
        and finding["severity"] in ("error", "warning", "info", "untested")
        and all(text and text.isascii() and text.isprintable() for text in texts)
    )


def check(*arguments, **more):
    """A run that must go well as a run: its JSON, with .result; counts and exit code fit."""
    result = run("--json", *arguments, **more)
    assert (result.err, result.code == 3) == ("", False), result
    report = json.loads(result.out)
    counts = "errors", "warnings", "untested"
    for count, severity in zip(counts, ("error", "warning", "untested")):
        for entry in report["domains"]:
            found = [f for f in entry["findings"] if f["severity"] == severity]
            assert entry[count] == len(found), entry
        assert report[count] == sum(entry[count] for entry in report["domains"])
    assert result.code == exit_code(*(report[count] for count in counts)), result
    findings = {entry["domain"]: entry["findings"] for entry in report["domains"]}
    return Report(findings, result) if SCALE == 1 else without_wrapper(findings, result)


Report = namedtuple("Report", "findings result")


def is_slow(severity, code):
    return (severity, code) == ("warning", "HTTP_SLOW")


def without_wrapper(findings, result):
    """As it would be without a wrapper, under which every policy host is slow."""
    kept = {
        domain: [f for f in found if not is_slow(f["severity"], f["code"])]
        for domain, found in findings.items()
    }
    severities = [f["severity"] for found in kept.values() for f in found]
    code = exit_code(*(name in severities for name in ("error", "warning", "untested")))
    return Report(kept, result._replace(code=code))


def keys(findings):
    """What was found, but for DNSSEC_AD, which is always there."""
    return sorted(
        (f["severity"], f["code"], f["subject"]) for f in findings if f["code"] != "DNSSEC_AD"
    )


def assert_as_wanted(case, findings):
    """Just what the case wants, and nothing besides."""
    wanted, parts = case.expected()
    if SCALE > 1:
        wanted = [want for want in wanted if not is_slow(*want[:2])]
        parts = [want for want in parts if not is_slow(*want[:2])]
    assert keys(findings) == wanted, findings
    assert all(is_well_formed(finding) for finding in findings), findings
    for want in parts:
        texts = [f["text"] for f in findings if (f["code"], f["subject"]) == want[1:3]]
        assert any(want.text in text for text in texts), (want, texts)
