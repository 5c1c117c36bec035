# SPDX-License-Identifier: MIT
"""The command line: options, what is read, what is written, exit codes."""
import csv
import io
import json
import os
import pty
import stat
import subprocess

import pytest
import runner

PLAIN = runner.DATA / "plain.json"
DETAILS = runner.DATA / "details.json"
BAD = runner.DATA / "truncated.json"
MAIL = runner.DATA / "mail_without_report.eml"
# Two domains on three days.
DAYS = ["2024-03-05", "2024-03-06", "2024-03-07"]


def tree(day, domain="example.com", failed=0):
    made = json.loads(PLAIN.read_text())
    made["report-id"] = f"{day}.{domain}"
    made["date-range"] = {
        "start-datetime": f"{day}T00:00:00Z",
        "end-datetime": f"{day}T23:59:59Z",
    }
    made["policies"][0]["policy"]["policy-domain"] = domain
    made["policies"][0]["summary"]["total-failure-session-count"] = failed
    return made


@pytest.fixture
def box(directory):
    path = directory / "box"
    path.mkdir()
    for day in DAYS:
        for domain in ("example.com", "example.net"):
            (path / f"{day}.{domain}").write_text(json.dumps(tree(day, domain)))
    return path


def test_no_failures():
    assert runner.run(PLAIN).code == 0


def test_failures(file):
    assert runner.run(DETAILS).code == 1
    assert runner.run(DETAILS, file(tree("2024-03-07"))).code == 1


def test_unreadable_input_is_named_and_the_rest_counted():
    result = runner.run("--json", PLAIN, BAD)
    assert result.code == 2
    assert result.err.startswith(f"mta-sts-report: {BAD}: ") and result.err.count("\n") == 1
    assert json.loads(result.out)["reports"] == 1


def test_unreadable_counts_more_than_failures():
    assert runner.run(DETAILS, BAD).code == 2


def test_mail_without_report_is_a_note():
    result = runner.run(PLAIN, MAIL)
    assert (result.code, result.err) == (
        0,
        f"mta-sts-report: {MAIL}: no report in this message\n",
    )


def test_no_report_at_all(directory):
    for path in (MAIL, directory):
        result = runner.run(path)
        assert result.code == 2 and "no report in all of the input" in result.err


def test_duplicate_that_differs_is_named(file):
    other = tree("2024-03-05") | {"report-id": json.loads(PLAIN.read_text())["report-id"]}
    other["policies"][0]["summary"]["total-successful-session-count"] = 99
    path = file(other)
    report = runner.report(PLAIN, path)
    assert report.sessions() == {"example.com": (5, 0)}
    assert (report.data["duplicates"], report.result.code) == (1, 0)
    assert report.result.err.startswith(f"mta-sts-report: {path}: left out")
    # Whichever comes first.
    assert runner.report(path, PLAIN).sessions() == {"example.com": (99, 0)}


def test_plain_duplicate_is_not_worth_a_line():
    report = runner.report(PLAIN, PLAIN)
    assert (report.data["duplicates"], report.result.err) == (1, "")


def days_of(report):
    return {name: [row["day"] for row in entry["days"]] for name, entry in report.domains.items()}


@pytest.mark.parametrize(
    "options, days",
    [
        ([], DAYS),
        (["--since", DAYS[1]], DAYS[1:]),
        (["--until", DAYS[1]], DAYS[:2]),
        (["--since", DAYS[1], "--until", DAYS[1]], [DAYS[1]]),
        ([f"--since={DAYS[0]}", f"--until={DAYS[2]}"], DAYS),
    ],
)
def test_since_and_until(box, options, days):
    report = runner.report(*options, box)
    assert days_of(report) == {"example.com": days, "example.net": days}
    assert report.data["outside"] == 2 * (3 - len(days))
    assert (report.result.code, report.result.err) == (0, "")


def test_until_is_the_day_that_is_judged_on(box):
    assert runner.report("--until", "2024-04-01", box).data["today"] == "2024-04-01"


def test_nothing_in_that_time(box):
    result = runner.run("--json", "--since", "2024-03-09", box)
    assert (result.code, json.loads(result.out)["outside"]) == (2, 6)
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["example.net", "EXAMPLE.Net"])
def test_one_domain(box, name):
    assert days_of(runner.report("--domain", name, box)) == {"example.net": DAYS}


def test_failures_of_other_domains_do_not_count(box, file):
    path = file(tree("2024-03-08", failed=2))
    assert runner.run(box, path).code == 1
    assert runner.run("--domain", "example.net", box, path).code == 0


def test_domain_that_is_not_there(box):
    result = runner.run("--domain", "example.org", box)
    assert result.code == 2 and result.err.count("\n") == 1


USAGE = [
    [],
    ["--json"],
    ["--no-such-option", PLAIN],
    ["--since", "yesterday", PLAIN],
    ["--since", "2024-02-30", PLAIN],
    ["--since", "2023-02-29", PLAIN],
    ["--since", "2024-03-05T00:00:00Z", PLAIN],
    ["--since", "", PLAIN],
    ["--until", "2024-3-5", PLAIN],
    ["--until"],
    ["--domain", "", PLAIN],
    ["--domain", "no domain", PLAIN],
    ["--csv=weeks", PLAIN],
    ["--csv=", PLAIN],
    ["--max-size", "0", PLAIN],
    ["--max-size", "-1", PLAIN],
    ["--max-size", "9999999999", PLAIN],
    ["--max-size", "8X", PLAIN],
    ["--max-size", "", PLAIN],
    ["-c", "/nonexistent.ini", PLAIN],
    ["-c", PLAIN, PLAIN],
    ["--json=yes", PLAIN],
]


@pytest.mark.parametrize("arguments", USAGE, ids=lambda row: " ".join(map(str, row))[:40])
def test_usage_errors(arguments):
    result = runner.run(*arguments)
    assert (result.code, result.out) == (3, "")
    assert result.err and runner.is_plain(result.err)


def test_help_and_version():
    begins = {"--help": "usage: mta-sts-report", "-h": "usage:", "--version": "mta-sts-report "}
    for option, part in begins.items():
        result = runner.run(option)
        assert (result.code, result.err) == (0, "") and result.out.startswith(part)


def test_help_names_every_option():
    text = runner.run("--help").out
    for name in ("since", "until", "domain", "json", "csv", "html", "max-size", "config"):
        assert f"--{name}" in text


def test_max_size_bounds_both_ways(file):
    big = json.loads(PLAIN.read_text()) | {"x": "y" * 20_000}
    path = file(big)
    assert runner.run("--max-size", "64K", path).code == 0
    result = runner.run("--max-size", "16K", path)
    assert result.code == 2 and "--max-size" in result.err
    huge = file(big | {"x": "y" * (9 << 20)}, "huge")
    assert runner.run(huge).code == 2
    assert runner.run("--max-size", "10M", huge).code == 0


# Outputs.


def rows(result):
    assert result.code in (0, 1), result
    assert result.out.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(result.out, newline=""), strict=True))


def test_csv_of_days(box):
    table = rows(runner.run("--csv", box))
    assert table == rows(runner.run("--csv=days", box))
    assert [(row["domain"], row["day"], row["good"], row["failed"]) for row in table] == [
        (domain, day, "5", "0") for domain in ("example.com", "example.net") for day in DAYS
    ]


def test_csv_of_failures():
    table = rows(runner.run("--csv=failures", DETAILS))
    assert [(row["result"], row["sessions"], row["mx"], row["receiving_ip"]) for row in table] == [
        ("certificate-expired", "2", "mx.example.com", "198.51.100.25"),
        ("starttls-not-supported", "1", "mx.example.com", "198.51.100.25"),
    ]


def test_html_is_written_beside_the_other_output(directory):
    page = directory / "page.html"
    for options, begins in (([], ""), (["--json"], "{"), (["--csv"], "domain,day,")):
        result = runner.run(*options, "--html", page, PLAIN)
        assert (result.code, result.err) == (0, "")
        assert result.out == runner.run(*options, PLAIN).out and result.out.startswith(begins)
        assert page.read_text().rstrip().endswith("</html>")
        page.unlink()


def test_html_to_standard_output_stands_for_the_text(directory):
    page = directory / "page.html"
    runner.run("--html", page, PLAIN)
    assert runner.run("--html", "-", PLAIN).out == page.read_text()


def test_html_that_cannot_be_written(directory):
    for path in (directory / "missing/page.html", directory, "/dev/full"):
        result = runner.run("--html", path, PLAIN)
        assert result.code == 3 and str(path) in result.err
        assert "example.com" in result.out


WRITING = [[], ["--json"], ["--csv"], ["--csv=failures"], ["--html", "-"], ["--help"]]
WRITING.append(["--version"])


@pytest.mark.parametrize("options", WRITING, ids=" ".join)
def test_full_standard_output(options):
    with open("/dev/full", "wb") as full:
        result = runner.run(*options, PLAIN, stdout=full)
    assert result.code == 3 and "standard output" in result.err


def test_closed_standard_output():
    result = runner.run(PLAIN, before=["sh", "-c", 'exec "$@" >&-', "sh"])
    assert result.code == 3


def test_closed_pipe(box):
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as pipe:
        assert runner.run(box, stdout=pipe).code == 3


@pytest.mark.unwrapped("a wrapper writes on the terminal, too")
def test_colour_is_for_terminals_only():
    assert "\033" not in runner.run(DETAILS).out
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        leader, follower = pty.openpty()
        done = subprocess.run(
            runner.command(DETAILS),
            stdout=follower,
            stderr=subprocess.PIPE,
            env=runner.environment(**environment),
            timeout=runner.LIMIT,
            check=False,
        )
        os.close(follower)
        text = b""
        while True:
            try:
                text += os.read(leader, 65536)
            except OSError:
                break
            if not text:
                break
        os.close(leader)
        assert done.returncode == 1 and (b"\033[" in text) == coloured, text


# Inputs.


def test_standard_input_is_named():
    result = runner.run("-", stdin=BAD.read_bytes())
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert result.err.startswith("mta-sts-report: standard input: ")


def test_standard_input_beside_files():
    report = runner.report(PLAIN, "-", stdin=json.dumps(tree("2024-03-06")).encode())
    assert report.sessions() == {"example.com": (10, 0)}


def test_a_file_called_dash(directory):
    (directory / "-").write_text(PLAIN.read_text())
    assert runner.report("./-", cwd=directory).sessions() == {"example.com": (5, 0)}
    assert runner.report("--", PLAIN).sessions() == {"example.com": (5, 0)}


@pytest.mark.parametrize("name", ["missing", "loop", "closed"])
def test_what_cannot_be_opened(directory, name):
    path = directory / name
    before = []
    if name == "loop":
        path.symlink_to(path)
    if name == "closed":
        path.write_text(PLAIN.read_text())
        path.chmod(0)
        if os.geteuid() == 0:
            directory.chmod(0o755)
            before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            directory.parent.chmod(0o755)
    result = runner.run("--json", path, PLAIN, before=before if runner.SCALE == 1 else [])
    if name == "closed" and before and runner.SCALE > 1:
        return
    assert result.code == 2 and f"{path}: " in result.err and result.err.count("\n") == 1
    assert json.loads(result.out)["reports"] == 1


def test_directories_in_circles(box):
    """What a link in a directory leads to is not followed: else it would be read without end."""
    (box / "again").symlink_to(box)
    report = runner.report(box)
    assert report.sessions() == {"example.com": (15, 0), "example.net": (15, 0)}
    assert report.result.err.count("\n") == 1 and "again" in report.result.err


def test_directory_that_is_a_link_itself(box, directory):
    (directory / "link").symlink_to(box)
    assert runner.report(directory / "link").data["reports"] == 6


def test_directories_nested_too_deep(box):
    deep = box
    for _ in range(20):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "1.json").write_text(PLAIN.read_text())
    report = runner.report(box)
    assert (report.data["reports"], report.result.code) == (6, 2)
    assert report.result.err.count("\n") == 1 and "nested too deep" in report.result.err


def test_what_is_no_file_is_not_read(box):
    """A fifo would never end."""
    os.mkfifo(box / "fifo")
    report = runner.report(box)
    assert (report.data["reports"], report.result.err.count("\n")) == (6, 1)
    assert stat.S_ISFIFO((box / "fifo").stat().st_mode)


def test_file_without_end():
    result = runner.run("/dev/zero")
    assert result.code == 2 and result.err.count("\n") >= 1


def test_order_of_files_does_not_matter(box):
    forth = runner.run("--json", *sorted(box.iterdir()))
    back = runner.run("--json", *sorted(box.iterdir(), reverse=True))
    assert forth.out == back.out


def test_config_whose_domain_was_asked_for(box, file):
    ini = file(
        "[server]\ncertificate = a\nprivate_key = b\n[policy]\ndomain = example.com\n"
        "mode = testing\nmx = mx.example.com\nmax_age = 604800\n",
        "a.ini",
    )
    assert runner.run("-c", ini, "--domain", "example.com", box).code == 0
    assert runner.run("--config", ini, box).code == 0
    assert runner.run("-c", ini, "--domain", "example.net", box).code == 3


def test_config_with_a_mistake(box, file):
    ini = file("[policy]\ndomain = example.com\nmode = maybe\n", "a.ini")
    result = runner.run("-c", ini, box)
    assert (result.code, result.out) == (3, "") and f"{ini}:" in result.err
