# SPDX-License-Identifier: MIT
"""Other policies: a sender that has the old one stays with it until the new id is published."""
import senders
from domains import CHANGING, ENDING, MAX_AGES, NEW_MX, OLD_MX, RENEWED, ROGUE

EXCHANGER = f"mx.{ENDING}"


def test_a_new_exchanger_is_used_once_the_new_id_is_published(internet, sender):
    first, second = f"first@{CHANGING}", f"second@{CHANGING}"
    outcome = sender.send(first)
    assert (outcome.status, outcome.relay, outcome.tls) == ("sent", OLD_MX, "Verified"), outcome
    internet.change_policy(CHANGING, patterns=[NEW_MX])
    internet.move_mail(CHANGING, NEW_MX)
    since = internet.stsd.mark()
    sender.daemon.forget_records()
    outcome = sender.send(second)
    assert (outcome.status, outcome.relay) == ("deferred", NEW_MX), outcome
    assert internet.fetches(CHANGING, since) == []
    assert internet.receiver.find(second) == []
    internet.publish(CHANGING)
    sender.daemon.forget_records()
    outcome = sender.flush(second)
    assert (outcome.status, outcome.relay, outcome.tls) == ("sent", NEW_MX, "Verified"), outcome
    internet.wait_for_fetch(CHANGING, since)
    assert len(internet.fetches(CHANGING, since)) == 1
    assert len(internet.receiver.wait_for_mail(second)) == 1


def test_courier_stays_with_its_policy_until_the_new_id_is_published(internet):
    """It asks for the id when half of max_age is over."""
    half = MAX_AGES["testing"] // 2 + 1
    old = internet.identifier(RENEWED), internet.lines(RENEWED)
    assert senders.courier_policy(RENEWED) == old
    internet.change_policy(RENEWED, mode="enforce")
    since = internet.stsd.mark()
    senders.age_courier_policy(RENEWED, half)
    assert senders.courier_policy(RENEWED) == old
    assert internet.fetches(RENEWED, since) == []
    internet.publish(RENEWED)
    senders.age_courier_policy(RENEWED, half)
    new = internet.identifier(RENEWED), internet.lines(RENEWED)
    assert senders.courier_policy(RENEWED) == new != old
    internet.wait_for_fetch(RENEWED, since)
    assert len(internet.fetches(RENEWED, since)) == 1


def test_none_frees_the_senders_that_have_a_policy(internet, sender):
    """RFC 8461 section 2.6: the record and the policy stay, and say so."""
    first, second = f"first@{ENDING}", f"second@{ENDING}"
    outcome = sender.send(first)
    assert (outcome.status, outcome.relay, outcome.tls) == ("sent", EXCHANGER, "Verified"), outcome
    internet.move_mail(ENDING, ROGUE)
    outcome = sender.send(second)
    assert (outcome.status, outcome.relay) == ("deferred", ROGUE), outcome
    internet.change_policy(ENDING, mode="none")
    sender.daemon.forget_records()
    assert sender.flush(second).status == "deferred"
    internet.publish(ENDING)
    sender.daemon.forget_records()
    outcome = sender.flush(second)
    assert (outcome.status, outcome.relay, outcome.tls) == ("sent", ROGUE, "Trusted"), outcome
    assert len(internet.receiver.wait_for_mail(second)) == 1
    assert sender.policy(ENDING) == []
    assert senders.query(ENDING)[1][1]["mode"] == "none"
