# SPDX-License-Identifier: MIT
"""Hostile and broken servers: each fault has a finding of its own, in bounded time, and is never a
pass."""
import contextlib

import pytest
import table
import tool
import troubles_dns
import world as worlds
from resolver import Fault, Resolver


def domains(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.domain)


@domains(table.DNS_TROUBLES)
def test_fault_of_the_name_server(runs, case):
    report = runs.trouble(case)
    tool.assert_as_wanted(case, report.findings[case.domain])
    assert report.result.code != 0


@domains(table.WIRE_TROUBLES)
def test_fault_of_a_host(runs, case):
    report = runs.trouble(case)
    tool.assert_as_wanted(case, report.findings[case.domain])
    assert report.result.code != 0
    assert report.result.seconds < 3 * tool.TIMEOUT


@domains(table.HARMLESS)
def test_harmless_oddity(runs, case):
    report = runs.trouble(case)
    tool.assert_as_wanted(case, report.findings[case.domain])
    assert report.result.code == tool.exit_code(0, 0, 0)


def test_name_server_without_tcp_that_truncates(world):
    fault = {worlds.CLEAN: Fault(None, None, troubles_dns.over_tcp)}
    address = worlds.V4(57)
    with contextlib.closing(Resolver(address, worlds.KNOT_ADDRESSES[0], fault, tcp=False)):
        report = tool.check(*world.options(address), worlds.CLEAN)
    assert {f["code"] for f in report.findings[worlds.CLEAN]} == {"DNS_FAILED"}
    assert report.result.seconds < 20 * tool.SCALE


def test_authentication_by_the_resolver_is_told(runs, world):
    case = world.by_domain["tlsasigned.test"]
    (finding,) = (
        f for f in runs.trouble(case).findings[case.domain] if f["code"] == "DNSSEC_AD"
    )
    assert "not authenticated" not in finding["text"]


def test_redirect_is_not_followed(check, world):
    case = world.by_domain["redirectloop.test"]
    listener = world.listener(case, "web", 443)
    before = listener.accepted
    assert check(case.domain).result.code == 2
    assert listener.accepted == before + 1


def test_policy_of_nothing_but_faults_does_not_flood(check):
    report = check("manyfaults.test")
    assert report.result.code == 2
    assert len(report.findings["manyfaults.test"]) < 200
