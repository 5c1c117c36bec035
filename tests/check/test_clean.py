# SPDX-License-Identifier: MIT
"""A domain with nothing wrong: its records are what mta-stsd printed, two MX hosts and a policy
host have an IPv4 and an IPv6 address each, and the INI agrees."""
import re

import pytest
import tool
import world as worlds
from process import SCALE

LIMIT = 3 * SCALE  # seconds


@pytest.fixture(scope="module")
def clean(world):
    return tool.check(*world.options(), "-c", world.ini, worlds.CLEAN)


def test_nothing_is_found_above_info(clean):
    (findings,) = clean.findings.values()
    assert {f["severity"] for f in findings} <= {"info"}
    assert tool.keys(findings) == []
    assert clean.result.code == 0


def test_it_takes_less_than_three_seconds(clean, measure):
    measure(f"a clean domain with two MX hosts: {clean.result.seconds:.2f} s (at most {LIMIT})")
    assert clean.result.seconds < LIMIT


def test_dnssec_is_mentioned_once(clean):
    (findings,) = clean.findings.values()
    (finding,) = (f for f in findings if f["code"] == "DNSSEC_AD")
    assert "not authenticated" in finding["text"]


def test_every_address_was_looked_at(world):
    text = tool.run(*world.options(), "-c", world.ini, worlds.CLEAN).out
    hosts = [(f"mta-sts.{worlds.CLEAN}", address) for address in worlds.STSD_ADDRESSES]
    hosts += zip((worlds.CLEAN_MX[0],) * 2, worlds.MX_ADDRESSES[:2])
    hosts += zip((worlds.CLEAN_MX[1],) * 2, worlds.MX_ADDRESSES[2:])
    for host, address in hosts:
        assert re.search(rf"^ +ok .*{host} \[{re.escape(address)}\]", text, re.M), text


def test_without_an_ini_it_is_clean_as_well(world):
    assert tool.check(*world.options(), worlds.CLEAN).result.code == 0


def test_the_ini_names_the_domains(world):
    ini = world.directory / "clean.ini"
    text = world.ini.read_text()
    # Of two sections, the first is the clean domain's.
    ini.write_text(text[: text.rindex("[policy]")])
    assert list(tool.check(*world.options(), "-c", ini).findings) == [worlds.CLEAN]
