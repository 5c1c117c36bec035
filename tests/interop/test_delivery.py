# SPDX-License-Identifier: MIT
"""A Postfix that sends under our policies: what arrives, what does not, and why."""
import re

import domains
import pytest

# Postfix calls a connection Verified where the certificate is good and for a name of the policy,
# Trusted where it is good and no name was asked for.


def recipient(domain, word):
    return f"{word}@{domain}"


@pytest.mark.parametrize("name", ["example.com", "wildcard.test"])
def test_enforced_mail_is_delivered_to_an_exchanger_of_the_policy(internet, sender, name):
    to = recipient(name, "good")
    outcome = sender.send(to)
    exchanger = internet.exchanges[name][0]
    assert (outcome.status, outcome.relay) == ("sent", exchanger), outcome
    assert outcome.tls == "Verified", outcome
    (message,) = internet.receiver.wait_for_mail(to)
    assert f"by {exchanger}" in message["Received"]


@pytest.mark.parametrize(
    "name, reason",
    [
        # A good certificate, but for the name of an attacker's host; the policy's host without a
        # certificate for its name; without one of a CA that is trusted; without any.
        ("spoofed.test", "verification failed for mx.rogue.test.*hostname mismatch"),
        ("misnamed.test", "verification failed for mx.misnamed.test.*hostname mismatch"),
        ("untrusted.test", "verification failed for mx.untrusted.test.*self-signed"),
        ("plain.test", "TLS is required, but was not offered by host mx.plain.test"),
    ],
)
def test_enforced_mail_is_kept_back_from_a_bad_exchanger(internet, sender, name, reason):
    to = recipient(name, "kept")
    (exchanger,) = internet.exchanges[name]
    outcome = sender.send(to)
    assert (outcome.status, outcome.relay) == ("deferred", exchanger), outcome
    assert re.search(reason, outcome.said), outcome
    assert outcome.tls != "Verified", outcome
    assert internet.receiver.log.find_all(f"to=<{to}>") == []
    assert internet.receiver.find(to) == []


@pytest.mark.parametrize("name", ["example.net", "example.org", domains.NO_POLICY])
def test_what_is_not_enforced_is_delivered_all_the_same(internet, sender, name):
    to = recipient(name, "free")
    outcome = sender.send(to)
    assert (outcome.status, outcome.relay) == ("sent", domains.ROGUE), outcome
    assert outcome.tls == "Trusted", outcome
    internet.receiver.wait_for_mail(to)


@pytest.mark.parametrize("name", domains.NAMES)
def test_postfix_is_told_the_policy(internet, sender, name):
    domain = internet.policies[name]
    if domain.mode != "enforce":
        assert sender.policy(name) == []
        return
    level, match, servername = sender.policy(name)
    # A pattern's leading dot is Postfix's word for a wildcard.
    hosts = [pattern.lstrip("*") for pattern in domain.patterns]
    assert (level, servername) == ("secure", "servername=hostname")
    assert sorted(match.removeprefix("match=").split(":")) == sorted(hosts)
