# SPDX-License-Identifier: MIT
"""The programs that fetch policies: each gets the very octets, and refuses what is not ours."""
import json
import os

import domains
import pytest
import senders

clients = pytest.mark.parametrize(
    "client", senders.CLIENTS, ids=lambda client: client.__name__
)


@pytest.mark.parametrize("name", domains.NAMES)
def test_mta_sts_query_finds_the_policy_of_the_ini(internet, name):
    domain = internet.policies[name]
    verdict, found, complaints = senders.query(name)
    assert (verdict, complaints) == ("VALID", "")
    identifier, policy = found
    assert identifier == internet.identifier(name)
    assert policy == {
        "version": "STSv1",
        "mode": domain.mode,
        "mx": list(domain.patterns),
        "max_age": domains.MAX_AGES[domain.mode],
    }


def test_mta_sts_query_with_the_id_that_is_published_fetches_nothing(internet):
    identifier = internet.identifier(domains.CLEAN)
    since = internet.stsd.mark()
    assert senders.query(domains.CLEAN, identifier)[:2] == ("NOT_CHANGED", None)
    assert internet.fetches(domains.CLEAN, since) == []


def test_mta_sts_query_finds_no_policy_without_a_record(internet):
    assert senders.query(domains.NO_POLICY) == ("NONE", None, "")


def test_mta_sts_query_rejects_a_host_with_the_certificate_of_another(internet):
    before = internet.other.accepted
    verdict, found, complaints = senders.query(domains.MISNAMED_HOST)
    assert (verdict, found) == ("FETCH_ERROR", None)
    assert "certificate verify failed" in complaints
    assert internet.other.accepted > before


def test_but_for_the_name_that_host_is_good(internet):
    assert senders.query(domains.ELSEWHERE)[0] == "VALID"


def test_mta_sts_query_is_refused_for_a_domain_that_the_ini_has_not(internet):
    verdict, found, complaints = senders.query(domains.STRANGER)
    assert (verdict, found) == ("FETCH_ERROR", None)
    assert "unrecognized name" in complaints.lower()


@clients
@pytest.mark.parametrize("name", domains.NAMES)
def test_a_client_gets_the_very_octets(internet, client, name):
    since = internet.stsd.mark()
    assert client(f"mta-sts.{name}") == (0, internet.body(name))
    internet.wait_for_fetch(name, since)


@clients
def test_a_client_takes_nothing_from_a_host_with_the_certificate_of_another(internet, client):
    before = internet.other.accepted
    code, octets = client(f"mta-sts.{domains.MISNAMED_HOST}")
    assert code != 0 and octets == b""
    assert internet.other.accepted > before
    assert client(f"mta-sts.{domains.ELSEWHERE}") == (0, internet.other.place.policy)


@clients
def test_a_client_is_refused_for_a_domain_that_the_ini_has_not(internet, client):
    code, octets = client(f"mta-sts.{domains.STRANGER}")
    assert code != 0 and octets == b""


@pytest.mark.parametrize("name", domains.NAMES)
def test_courier_finds_the_policy(internet, name):
    since = internet.stsd.mark()
    assert senders.courier_policy(name) == (internet.identifier(name), internet.lines(name))
    assert 'agent="Wget/' in internet.wait_for_fetch(name, since)


def test_courier_finds_no_policy_for_a_domain_without_a_record(internet):
    assert senders.courier_policy(domains.NO_POLICY) is None


def test_courier_takes_none_from_a_host_with_the_certificate_of_another(internet):
    assert senders.courier_policy(domains.MISNAMED_HOST) is None
    assert senders.courier_policy(domains.ELSEWHERE) is not None


def test_mta_sts_check_as_an_administrator_runs_it_finds_nothing_wrong(internet):
    """Neither a name server nor a CA is named: the system's are those of every sender here."""
    result = senders.call(os.environ["MTA_STS_CHECK"], "-c", internet.ini, "--json", domains.CLEAN)
    assert (result.returncode, result.stderr) == (0, b"")
    (report,) = json.loads(result.stdout)["domains"]
    assert {finding["severity"] for finding in report["findings"]} <= {"info"}


def test_mta_sts_check_finds_the_exchanger_that_the_policy_has_not(internet):
    result = senders.call(os.environ["MTA_STS_CHECK"], "--json", "spoofed.test")
    assert result.returncode == 2, result
