# SPDX-License-Identifier: MIT
"""The page for managers: complete, without anything from outside, and seen in a real browser."""
import re
import shutil
import struct
import subprocess
import zlib
from datetime import date, timedelta

import pytest
import runner
from test_hostile import NASTY, Page, nasty_report
from test_verdicts import daily, make, two

FIRST = date(2024, 3, 1)
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
browser = pytest.mark.skipif(BROWSER is None, reason="no chromium: apt-get install chromium")
GOOD_COLOUR = (0x6D, 0x9D, 0xC5)
FAILED_COLOUR = (0xCF, 0x3A, 0x30)
VOID = {"meta", "br", "hr", "rect", "line", "link", "img", "input"}


@pytest.fixture(scope="module")
def page(workspace):
    """A page with good and failed sessions, and a domain besides."""
    directory = workspace / "page"
    directory.mkdir()
    reports = two(range(14)) + daily("Sender Three", [3, 9], failed=40, result="tlsa-invalid")
    other = make("Sender One", FIRST)
    other["report-id"] = "other"
    other["policies"][0]["policy"]["policy-domain"] = "a-longer-name-of-a-domain.example.org"
    for number, tree in enumerate([*reports, other]):
        (directory / f"{number}.json").write_text(runner.json.dumps(tree))
    path = workspace / "page.html"
    result = runner.run("--until", FIRST + timedelta(14), "--html", path, directory)
    assert result.code == 1
    return path


@pytest.fixture(scope="module")
def text(page):
    return page.read_text(encoding="ascii")


class Tree(Page):
    """Page, with a look at whether each element is ended where it should be."""

    def __init__(self, text):
        self.open, self.wrong = [], []
        super().__init__(text)

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        super().handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_elements_are_nested_and_ended(text):
    tree = Tree(text)
    assert (tree.open, tree.wrong) == ([], [])
    assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")


def test_nothing_runs_and_nothing_is_loaded(text):
    tree = Tree(text)
    assert not tree.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert not any(name.startswith("on") for name in tree.attributes)
    assert all(target.startswith("#") for target in tree.targets)
    # A policy host may be named in an advice, but not linked.
    assert not re.search(r"(src|href|action)\s*=\s*[\"']?(https?:)?//|url\(|@import", text)
    assert "default-src 'none'" in text


def test_links_lead_somewhere(text):
    targets = re.findall(r'href="#([^"]*)"', text)
    assert targets and all(f'id="{target}"' in text for target in targets)


def test_everything_is_in_it(text):
    words = " ".join(Tree(text).content)
    for part in (
        "example.com",
        "a-longer-name-of-a-domain.example.org",
        "Sender One",
        "Sender Three",
        "tlsa-invalid",
        "mx.example.com",
        "mode: testing",
        "80",
        "2024-03-14",
    ):
        assert part in words, part


def test_a_bar_for_each_day(text):
    assert text.count("<svg") == text.count("</svg>") == 2
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert sorted(chart.count('class="g"') for chart in charts) == [1, 14]
    assert sorted(chart.count('class="f"') for chart in charts) == [0, 2]
    assert "2024-03-04: 15 good, 40 failed" in text


@pytest.mark.parametrize("name", NASTY)
def test_hostile_strings_do_not_break_it(file, name):
    tree = Tree(runner.run("--html", "-", file(nasty_report(NASTY[name]))).out)
    assert (tree.open, tree.wrong) == ([], [])


def test_page_without_reports(directory):
    result = runner.run("--html", "-", directory)
    assert result.code == 2
    tree = Tree(result.out)
    assert (tree.open, tree.wrong) == ([], []) and "svg" not in tree.tags


def test_many_domains_make_a_page_of_bounded_size(directory):
    for number in range(1500):
        tree = make("Sender One", FIRST)
        tree["report-id"] = str(number)
        tree["policies"][0]["policy"]["policy-domain"] = f"d{number}.example.com"
        (directory / str(number)).write_text(runner.json.dumps(tree))
    text = runner.run("--html", "-", directory).out
    assert all(f"d{number}.example.com" in text for number in range(1500))
    assert len(text) < 4_000_000


# In a browser.


def browse(directory, *arguments):
    """Runs it on nothing but this; what it cannot do in time is a failure."""
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--no-first-run",
            f"--user-data-dir={directory / 'profile'}",
            *arguments,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=directory,
        timeout=120,
        check=False,
        env=runner.environment(HOME=str(directory)),
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]
    return done.stdout.decode()


def unfilter(kind, row, above, width):
    """One row of a PNG (its section 9)."""
    for i in range(len(row)):
        left = row[i - width] if i >= width else 0
        up, corner = above[i], above[i - width] if i >= width else 0
        if kind == 1:
            row[i] = (row[i] + left) & 255
        elif kind == 2:
            row[i] = (row[i] + up) & 255
        elif kind == 3:
            row[i] = (row[i] + (left + up) // 2) & 255
        elif kind == 4:
            guess = left + up - corner
            near = min((left, up, corner), key=lambda value: abs(guess - value))
            row[i] = (row[i] + near) & 255
    return row


def pixels(path):
    """The rows of a PNG of eight bits a channel, each a list of (red, green, blue)."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, header = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", data[at + 8 : at + 8 + length])
        if kind == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colour = header[:4]
    assert depth == 8 and colour in (2, 6)
    channels = 3 if colour == 2 else 4
    octets, stride = zlib.decompress(packed), width * channels
    rows, above = [], bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        row = bytearray(octets[start + 1 : start + 1 + stride])
        above = unfilter(octets[start], row, above, channels)
        rows.append([tuple(above[x : x + 3]) for x in range(0, stride, channels)])
    return rows


def shoot(directory, page, width, height):
    shot = directory / "shot.png"
    browse(directory, f"--screenshot={shot}", f"--window-size={width},{height}", page.as_uri())
    return pixels(shot)


@browser
@pytest.mark.unwrapped("the page does not depend on it")
def test_screenshot_shows_both_colours(directory, page):
    rows = shoot(directory, page, 1000, 2400)
    assert (len(rows), len(rows[0])) == (2400, 1000)
    seen = {}
    for row in rows:
        for pixel in row:
            seen[pixel] = seen.get(pixel, 0) + 1
    assert len(seen) > 20
    assert seen[(255, 255, 255)] > 100_000
    # Bars, and more than the samples of the legend.
    assert seen.get(GOOD_COLOUR, 0) > 2000 and seen.get(FAILED_COLOUR, 0) > 1000


@browser
@pytest.mark.unwrapped("the page does not depend on it")
@pytest.mark.parametrize("width", [400, 1000])
def test_page_is_no_wider_than_the_window(directory, page, width):
    """A page around it measures it, in a frame of that width."""
    inner = page.read_text().replace("default-src 'none'; ", "")
    probe = (
        "<script>onload = () => { document.title = 'width ' + "
        "document.documentElement.scrollWidth + ' of ' + innerWidth }</script></body>"
    )
    (directory / "inner.html").write_text(inner.replace("</body>", probe))
    # A headless window may have a least width: the frame has what it is told.
    (directory / "outer.html").write_text(
        f"<!DOCTYPE html><title>none</title><body><iframe id=f width={width} height=900 "
        "style='border:0' src=inner.html></iframe><script>onload = () => { const got = "
        "document.getElementById('f').contentDocument.title; document.body.textContent = got }"
        "</script></body>"
    )
    dom = browse(
        directory,
        "--dump-dom",
        "--allow-file-access-from-files",
        "--virtual-time-budget=2000",
        (directory / "outer.html").as_uri(),
    )
    found = re.search(r"width (\d+) of (\d+)", dom)
    assert found, dom[:500]
    assert int(found[2]) == width and int(found[1]) <= width


@browser
@pytest.mark.unwrapped("the page does not depend on it")
def test_hostile_page_runs_nothing(directory, file):
    """Even without the page's own policy against scripts a report cannot run one."""
    tree = nasty_report(NASTY["script"] + NASTY["image"] + NASTY["attribute"] + NASTY["style"])
    text = runner.run("--html", "-", file(tree)).out
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    text = text.replace(
        "<head>", "<head><script>alert = () => { document.title = 'it ran' }</script>"
    )
    (directory / "page.html").write_text(text)
    dom = browse(
        directory, "--dump-dom", "--virtual-time-budget=2000", (directory / "page.html").as_uri()
    )
    assert "</html>" in dom and "<title>it ran</title>" not in dom
